/* Calls that fail on request. */
#include "faults.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void attach(void)
{
    fault_attach(harness_path("control"));
}

static int fd;       /* of the file "file", open for reading and writing */
static int other_fd; /* of the file "other" */
static void *map;    /* a page of "file", shared */

static void make_files(void)
{
    fd = open("file", O_RDWR | O_CREAT, 0600);
    other_fd = open("other", O_RDWR | O_CREAT, 0600);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(other_fd, >=, 0);
    CHECK_INT(ftruncate(fd, 8192), ==, 0);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK_INT(mkdir("folder", 0700), ==, 0);
}

static int64_t closes_if_open(int opened)
{
    if (opened >= 0)
        close(opened);
    return opened;
}

static int64_t call_open(void)
{
    return closes_if_open(open("file", O_RDONLY));
}
static int64_t call_open_create(void)
{
    return closes_if_open(open("new", O_RDWR | O_CREAT, 0600));
}
static int64_t call_openat(void)
{
    return closes_if_open(openat(AT_FDCWD, "file", O_RDONLY));
}
static int64_t call_creat(void)
{
    return closes_if_open(creat("other", 0600));
}

static int64_t call_mkstemp(void)
{
    char name[] = "temporary-XXXXXX";
    return closes_if_open(mkstemp(name));
}

static int64_t call_mkostemp(void)
{
    char name[] = "temporary-XXXXXX";
    return closes_if_open(mkostemp(name, O_CLOEXEC));
}

static const struct iovec parts[2] = {{(void *)"abc", 3}, {(void *)"defg", 4}};
static char room[64];
static const struct iovec rooms[2] = {{room, 3}, {room + 3, 4}};

static int64_t call_write(void)
{
    return write(fd, "abc", 3);
}
static int64_t call_pwrite(void)
{
    return pwrite(fd, "abc", 3, 10);
}
static int64_t call_writev(void)
{
    return writev(fd, parts, 2);
}
static int64_t call_pwritev(void)
{
    return pwritev(fd, parts, 2, 5);
}
static int64_t call_pwritev2(void)
{
    return pwritev2(fd, parts, 2, 5, RWF_DSYNC);
}
static int64_t call_read(void)
{
    return read(fd, room, 3);
}
static int64_t call_pread(void)
{
    return pread(fd, room, 3, 0);
}
static int64_t call_readv(void)
{
    return readv(fd, rooms, 2);
}
static int64_t call_preadv(void)
{
    return preadv(fd, rooms, 2, 0);
}

static int64_t call_copy_file_range(void)
{
    off_t from = 0;
    off_t to = 0;
    return copy_file_range(fd, &from, other_fd, &to, 100, 0);
}

static int64_t call_fsync(void)
{
    return fsync(fd);
}
static int64_t call_fdatasync(void)
{
    return fdatasync(fd);
}
static int64_t call_syncfs(void)
{
    return syncfs(fd);
}
static int64_t call_msync(void)
{
    return msync(map, 4096, MS_SYNC);
}

static int64_t call_sync_file_range(void)
{
    return sync_file_range(fd, 0, 10, SYNC_FILE_RANGE_WRITE);
}

static int64_t call_ftruncate(void)
{
    return ftruncate(fd, 8192);
}
static int64_t call_truncate(void)
{
    return truncate("other", 3);
}
static int64_t call_fallocate(void)
{
    return fallocate(fd, 0, 0, 10);
}

static int64_t call_posix_fallocate(void)
{
    errno = posix_fallocate(fd, 0, 10);
    return errno ? -1 : 0;
}

static int64_t call_rename(void)
{
    return rename("other", "other");
}
static int64_t call_renameat(void)
{
    return renameat(AT_FDCWD, "other", AT_FDCWD, "other");
}

static int64_t call_renameat2(void)
{
    return renameat2(AT_FDCWD, "other", AT_FDCWD, "renamed", RENAME_NOREPLACE);
}

static int64_t call_link(void)
{
    return link("file", "linked");
}
static int64_t call_linkat(void)
{
    return linkat(AT_FDCWD, "file", AT_FDCWD, "linkedat", 0);
}
static int64_t call_unlink(void)
{
    return unlink("linked");
}
static int64_t call_unlinkat(void)
{
    return unlinkat(AT_FDCWD, "linkedat", 0);
}
static int64_t call_remove(void)
{
    return remove("new");
}
static int64_t call_rmdir(void)
{
    return rmdir("made");
}
static int64_t call_mkdir(void)
{
    return mkdir("made", 0700);
}
static int64_t call_mkdirat(void)
{
    return mkdirat(AT_FDCWD, "madeat", 0700);
}
static int64_t call_close(void)
{
    return close(dup(fd));
}

static int64_t call_mmap(void)
{
    void *second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return second == MAP_FAILED ? -1 : munmap(second, 4096);
}

enum { CREATES = FAULT_OPEN | FAULT_CREATE };

/* In an order in which each finds what it needs. */
static const struct {
    const char *name;
    int64_t (*call)(void);
    uint32_t kind;
} calls[] = {
    {"open", call_open, FAULT_OPEN},
    {"open with O_CREAT", call_open_create, CREATES},
    {"openat", call_openat, FAULT_OPEN},
    {"creat", call_creat, CREATES},
    {"mkstemp", call_mkstemp, CREATES},
    {"mkostemp", call_mkostemp, CREATES},
    {"write", call_write, FAULT_WRITE},
    {"pwrite", call_pwrite, FAULT_WRITE},
    {"writev", call_writev, FAULT_WRITE},
    {"pwritev", call_pwritev, FAULT_WRITE},
    {"pwritev2", call_pwritev2, FAULT_WRITE},
    {"copy_file_range", call_copy_file_range, FAULT_WRITE},
    {"read", call_read, FAULT_READ},
    {"pread", call_pread, FAULT_READ},
    {"readv", call_readv, FAULT_READ},
    {"preadv", call_preadv, FAULT_READ},
    {"fsync", call_fsync, FAULT_SYNC},
    {"fdatasync", call_fdatasync, FAULT_SYNC},
    {"syncfs", call_syncfs, FAULT_SYNC},
    {"msync", call_msync, FAULT_SYNC},
    {"sync_file_range", call_sync_file_range, FAULT_SYNC},
    {"ftruncate", call_ftruncate, FAULT_SIZE},
    {"truncate", call_truncate, FAULT_SIZE},
    {"fallocate", call_fallocate, FAULT_SIZE},
    {"posix_fallocate", call_posix_fallocate, FAULT_SIZE},
    {"rename", call_rename, FAULT_RENAME},
    {"renameat", call_renameat, FAULT_RENAME},
    {"renameat2", call_renameat2, FAULT_RENAME},
    {"link", call_link, FAULT_LINK},
    {"linkat", call_linkat, FAULT_LINK},
    {"unlink", call_unlink, FAULT_UNLINK},
    {"unlinkat", call_unlinkat, FAULT_UNLINK},
    {"remove", call_remove, FAULT_UNLINK},
    {"mkdir", call_mkdir, FAULT_MKDIR},
    {"mkdirat", call_mkdirat, FAULT_MKDIR},
    {"rmdir", call_rmdir, FAULT_UNLINK},
    {"close", call_close, FAULT_CLOSE},
    {"mmap", call_mmap, FAULT_MAP},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

TEST(every_call_fails_on_request,
     "Each call fails with the errno of the plan, and works when it is over.")
{
    attach();
    make_files();
    for (size_t i = 0; i < CALLS; i++) {
        const struct fault_plan plan = {.kinds = calls[i].kind, .error = EDQUOT, .nth = 1};
        fault_inject(&plan);
        int64_t result = calls[i].call();
        int error = errno;
        fault_inject_stop();
        if (result != -1 || error != EDQUOT)
            harness_fail(__FILE__, __LINE__, "%s answers %" PRId64 ", errno %d", calls[i].name,
                         result, error);
        CHECK_UINT(fault_injected(), ==, 1);
        if (calls[i].call() < 0)
            harness_fail(__FILE__, __LINE__, "%s fails without a plan: %s", calls[i].name,
                         strerror(errno));
    }
}

TEST(kinds_that_were_not_chosen_pass, "A plan for one kind of call leaves all other kinds alone.")
{
    attach();
    make_files();
    for (size_t i = 0; i < CALLS; i++) {
        /* Opening closes; the plan must not see that either. */
        const struct fault_plan plan = {.kinds =
                                            FAULT_ALL & ~calls[i].kind & ~(uint32_t)FAULT_CLOSE,
                                        .repeat = FAULT_FROM_THEN_ON,
                                        .error = EIO,
                                        .nth = 1};
        fault_inject(&plan);
        int64_t result = calls[i].call();
        uint64_t counted = fault_calls();
        fault_inject_stop();
        if (result < 0 || counted != 0)
            harness_fail(__FILE__, __LINE__, "%s is counted as another kind", calls[i].name);
    }
}

TEST(creating_is_a_kind_of_opening,
     "A plan for what creates or empties a file leaves all other opening alone.")
{
    attach();
    make_files();
    const struct fault_plan plan = {
        .kinds = FAULT_CREATE, .repeat = FAULT_FROM_THEN_ON, .error = EIO, .nth = 1};
    fault_inject(&plan);
    CHECK_INT(open("file", O_RDWR), >=, 0);
    CHECK_INT(open("file", O_RDWR | O_TRUNC), ==, -1);
    CHECK_INT(open("new", O_RDWR | O_CREAT, 0600), ==, -1);
    CHECK_UINT(fault_injected(), ==, 2);
}

TEST(a_failed_call_has_done_nothing,
     "Neither a file nor a byte is there after an injected failure.")
{
    attach();
    make_files();
    const struct fault_plan plan = {
        .kinds = FAULT_ALL_WRITING, .repeat = FAULT_FROM_THEN_ON, .error = ENOSPC, .nth = 1};
    fault_inject(&plan);
    CHECK_INT(open("never", O_RDWR | O_CREAT, 0600), ==, -1);
    CHECK_INT(errno, ==, ENOSPC);
    CHECK_INT(pwrite(fd, "abc", 3, 0), ==, -1);
    CHECK_INT(ftruncate(fd, 1), ==, -1);
    CHECK_INT(rename("file", "moved"), ==, -1);
    CHECK_INT(unlink("file"), ==, -1);
    CHECK_INT(posix_fallocate(fd, 0, 1 << 20), ==, ENOSPC);
    fault_inject_stop();
    struct stat info;
    CHECK_INT(stat("never", &info), ==, -1);
    CHECK_INT(stat("file", &info), ==, 0);
    CHECK_INT(info.st_size, ==, 8192);
    CHECK_INT(pread(fd, room, 3, 0), ==, 3);
    CHECK_BYTES(room, "\0\0\0", 3);
}

TEST(only_the_nth_call_fails, "Calls before and after the nth are untouched when it fails once.")
{
    attach();
    make_files();
    for (uint64_t nth = 1; nth <= 5; nth++) {
        const struct fault_plan plan = {.kinds = FAULT_WRITE, .error = EIO, .nth = nth};
        fault_inject(&plan);
        for (uint64_t i = 1; i <= 8; i++)
            CHECK_INT(write(fd, "x", 1), ==, i == nth ? -1 : 1);
        CHECK_UINT(fault_calls(), ==, 8);
        CHECK_UINT(fault_injected(), ==, 1);
    }
}

TEST(a_full_disk_stays_full, "From the nth call on all fail, until the plan ends.")
{
    attach();
    make_files();
    const struct fault_plan plan = {
        .kinds = FAULT_WRITE, .repeat = FAULT_FROM_THEN_ON, .error = ENOSPC, .nth = 4};
    fault_inject(&plan);
    for (uint64_t i = 1; i <= 8; i++)
        CHECK_INT(write(fd, "x", 1), ==, i >= 4 ? -1 : 1);
    CHECK_UINT(fault_injected(), ==, 5);
    fault_inject_stop();
    CHECK_INT(write(fd, "x", 1), ==, 1);
}

TEST(a_pattern_chooses_files,
     "Only calls on matching paths, by descriptor or by name, count and fail.")
{
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_ALL,
                                    .repeat = FAULT_FROM_THEN_ON,
                                    .error = EIO,
                                    .nth = 1,
                                    .pattern = "oth*"};
    fault_inject(&plan);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    CHECK_INT(write(other_fd, "x", 1), ==, -1);
    CHECK_INT(fsync(fd), ==, 0);
    CHECK_INT(fsync(other_fd), ==, -1);
    CHECK_INT(rename("file", "other"), ==, -1);
    CHECK_INT(rename("file", "moved"), ==, 0);
    CHECK_INT(open("folder/other", O_CREAT | O_RDWR, 0600), ==, -1);
    CHECK_UINT(fault_injected(), ==, 4);
}

TEST(a_pattern_knows_the_whole_path,
     "A name that is given below a directory's descriptor, or below the working directory, matches "
     "by its whole path.")
{
    attach();
    make_files();
    int directory = open("folder", O_RDONLY | O_DIRECTORY);
    const struct fault_plan plan = {.kinds = FAULT_ALL,
                                    .repeat = FAULT_FROM_THEN_ON,
                                    .error = EIO,
                                    .nth = 1,
                                    .pattern = "/*/folder/*"};
    CHECK_INT(directory, >=, 0);
    fault_inject(&plan);
    CHECK_INT(openat(directory, "new", O_CREAT | O_RDWR, 0600), ==, -1);
    CHECK_INT(mkdirat(directory, "new", 0700), ==, -1);
    CHECK_INT(renameat(AT_FDCWD, "file", directory, "new"), ==, -1);
    CHECK_INT(mkdir("folder/new", 0700), ==, -1);
    CHECK_UINT(fault_injected(), ==, 4);
    CHECK_INT(mkdir("new", 0700), ==, 0);
    CHECK_UINT(fault_injected(), ==, 4);
}

TEST(short_calls_do_half,
     "A short write writes its first half, over several parts too, and a read likewise.")
{
    attach();
    make_files();
    const struct fault_plan plan = {
        .kinds = FAULT_WRITE, .effect = FAULT_SHORT, .repeat = FAULT_FROM_THEN_ON, .nth = 1};
    fault_inject(&plan);
    CHECK_INT(pwrite(fd, "abcdefgh", 8, 0), ==, 4);
    CHECK_INT(pwritev(fd, parts, 2, 100), ==, 3);
    CHECK_INT(pwrite(fd, "z", 1, 200), ==, 1);
    const struct iovec longer[2] = {{(void *)"ab", 2}, {(void *)"cdefgh", 6}};
    CHECK_INT(pwritev(fd, longer, 2, 300), ==, 4);
    const struct fault_plan reads = {
        .kinds = FAULT_READ, .effect = FAULT_SHORT, .repeat = FAULT_ONCE, .nth = 1};
    fault_inject(&reads);
    CHECK_INT(pread(fd, room, 8, 0), ==, 4);
    fault_inject_stop();
    CHECK_INT(pread(fd, room, 8, 0), ==, 8);
    CHECK_BYTES(room, "abcd\0\0\0\0", 8);
    CHECK_INT(pread(fd, room, 8, 300), ==, 8);
    CHECK_BYTES(room, "abcd\0\0\0\0", 8);
}

TEST(flipped_writes_are_wrong_by_a_bit,
     "A flipped write answers as a good one, and one bit of its middle byte is wrong, over several "
     "parts too; calls of other kinds do not count.")
{
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_ALL, .effect = FAULT_FLIP, .nth = 1};
    fault_inject(&plan);
    CHECK_INT(fsync(fd), ==, 0);
    const struct iovec longer[2] = {{(void *)"ab", 2}, {(void *)"cdefgh", 6}};
    CHECK_INT(pwritev(fd, longer, 2, 0), ==, 8);
    CHECK_INT(pwrite(fd, "abcdefgh", 8, 8), ==, 8);
    CHECK_UINT(fault_injected(), ==, 1);
    fault_inject_stop();
    CHECK_INT(pread(fd, room, 8, 0), ==, 8);
    CHECK_BYTES(room, "abcddfgh", 8);
    CHECK_INT(pread(fd, room, 8, 8), ==, 8);
    CHECK_BYTES(room, "abcdefgh", 8);
}

TEST(a_failed_close_has_closed, "As on Linux the descriptor is gone, whatever close answers.")
{
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_CLOSE, .error = EIO, .nth = 1};
    fault_inject(&plan);
    CHECK_INT(close(fd), ==, -1);
    CHECK_INT(errno, ==, EIO);
    CHECK_INT(fcntl(fd, F_GETFD), ==, -1);
    CHECK_INT(errno, ==, EBADF);
}

/* A subject with five calls that write: it reports the first failure. */
static int write_safely(void)
{
    int file = open("safe.new", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        return -errno;
    int error = 0;
    if (write(file, "abc", 3) != 3 || fsync(file) != 0)
        error = errno;
    if (close(file) != 0 && !error)
        error = errno;
    if (!error && rename("safe.new", "safe") != 0)
        error = errno;
    return -error;
}

TEST(the_loop_visits_every_call_once,
     "fault_loop fails call 1, 2, ... and ends after the run without failure.")
{
    attach();
    uint64_t runs = 0;
    for (uint64_t n = 1; fault_loop(FAULT_ALL_WRITING, n, EIO); n++) {
        int result = write_safely();
        CHECK_INT(result, ==, n <= 5 ? -EIO : 0);
        runs++;
    }
    CHECK_UINT(runs, ==, 6);
    CHECK_INT(write_safely(), ==, 0);
}

TEST(children_share_the_plan, "The counter runs over parent and child, and the child's call fails.")
{
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_WRITE, .error = EIO, .nth = 3};
    fault_inject(&plan);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        int first = (int)write(fd, "x", 1);
        int second = (int)write(fd, "x", 1);
        _exit(first == 1 && second == -1 && errno == EIO ? 0 : 1);
    }
    harness_wait_exit(pid, 0);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    CHECK_UINT(fault_calls(), ==, 4);
}

TEST(a_killed_process_has_not_done_its_call,
     "The nth call kills its process, and what it would have done is not done.")
{
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_WRITE, .effect = FAULT_KILL, .nth = 2};
    fault_inject(&plan);
    fflush(NULL);
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        bool both = pwrite(fd, "a", 1, 0) == 1 && pwrite(fd, "b", 1, 0) == 1;
        _exit(!both);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_UINT(fault_injected(), ==, 1);
    fault_inject_stop();
    CHECK_INT(pread(fd, room, 1, 0), ==, 1);
    CHECK_INT(room[0], ==, 'a');
}

static void read_boot_id(char text[64])
{
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    CHECK_INT(file, >=, 0);
    CHECK_INT(read(file, text, 63), ==, 37);
    text[36] = '\0';
    CHECK_INT(close(file), ==, 0);
}

TEST(the_machine_starts_anew, "With another start of the machine its boot id is another.")
{
    char before[64];
    char after[64];
    attach();
    read_boot_id(before);
    fault_boot(7);
    read_boot_id(after);
    CHECK_TEXT(after, "b0070000-0000-4000-8000-000000000007");
    fault_boot(0);
    read_boot_id(after);
    CHECK_TEXT(after, before);
}

TEST(programs_attach_by_the_environment,
     "A program that knows nothing of the shim fails with LD_PRELOAD.")
{
    if (harness_sanitized())
        harness_skip("a sanitizer wants to be the first library, which LD_PRELOAD takes from it");
    attach();
    make_files();
    const struct fault_plan plan = {.kinds = FAULT_OPEN,
                                    .repeat = FAULT_FROM_THEN_ON,
                                    .error = EACCES,
                                    .nth = 1,
                                    .pattern = "*copy"};
    fault_inject(&plan);
    for (int run = 0; run < 2; run++) {
        int pid = fork();
        CHECK_INT(pid, >=, 0);
        if (pid == 0) {
            setenv("LD_PRELOAD", fault_library(), 1);
            close(STDERR_FILENO);
            execlp("cp", "cp", "file", "copy", (char *)NULL);
            _exit(99);
        }
        harness_wait_exit(pid, run == 0 ? 1 : 0);
        CHECK_UINT(fault_injected(), >=, 1);
        fault_inject_stop();
    }
}

static void count_and_open(void *context)
{
    unsigned *count = context;
    ++*count;
    CHECK_INT(call_open(), >=, 0);
}

TEST(a_hook_runs_before_the_calls_that_it_waits_for,
     "A hook runs before each call of its kind and path, and not for the calls that it makes "
     "itself.")
{
    unsigned count = 0;
    make_files();
    fault_before(FAULT_OPEN, "fil*", count_and_open, &count);
    CHECK_INT(call_open(), >=, 0);
    CHECK_INT(call_openat(), >=, 0);
    CHECK_INT(call_creat(), >=, 0);
    CHECK_INT(call_write(), ==, 3);
    fault_before(0, NULL, NULL, NULL);
    CHECK_INT(call_open(), >=, 0);
    CHECK_UINT(count, ==, 2);
}
