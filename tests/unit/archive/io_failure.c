/*
 * The directory driver when the system fails it. This program defines the system calls that the
 * driver makes, so that it can let any of them fail, count them and keep their order; they go to
 * the kernel otherwise.
 */
#include "support.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum call {
    CALL_OPENAT,
    CALL_MKDIRAT,
    CALL_PWRITE,
    CALL_PREAD,
    CALL_FALLOCATE,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_RENAMEAT2,
    CALL_LINKAT,
    CALL_UNLINKAT,
    CALL_FLOCK,
    CALL_FSTATAT,
    CALL_READDIR,
    CALLS
};

static struct {
    _Atomic uint32_t mask;      /* calls that count down */
    _Atomic uint64_t countdown; /* 1: the next one fails; 0: none does */
    _Atomic bool all_after;     /* and so do all that follow */
    _Atomic bool fired;
    _Atomic int failure;  /* errno */
    _Atomic bool shorten; /* transfers move a part only, or are interrupted */
    _Atomic uint64_t turn;
    _Atomic uint32_t counts[CALLS];
    _Atomic uint32_t order_length;
    uint8_t order[4096];
    void (*before_flock)(void);
    void (*before_fdatasync)(void);
} io;

static void arm(uint32_t mask, uint64_t nth, int failure)
{
    atomic_store(&io.countdown, 0);
    atomic_store(&io.fired, false);
    atomic_store(&io.all_after, false);
    atomic_store(&io.failure, failure);
    atomic_store(&io.mask, mask);
    atomic_store(&io.countdown, nth);
}

static void arm_all(uint32_t mask, int failure)
{
    arm(mask, 0, failure);
    atomic_store(&io.all_after, true);
}

static void disarm(void)
{
    arm(0, 0, 0);
}

static void reset_counts(void)
{
    memset(io.counts, 0, sizeof(io.counts));
    atomic_store(&io.order_length, 0);
}

static bool fails(enum call call)
{
    uint32_t place = atomic_fetch_add(&io.order_length, 1);
    if (place < sizeof(io.order))
        io.order[place] = (uint8_t)call;
    atomic_fetch_add(&io.counts[call], 1);
    if (!(atomic_load(&io.mask) >> call & 1))
        return false;
    bool fail = atomic_load(&io.all_after);
    uint64_t left = atomic_load(&io.countdown);
    while (left > 0 && !atomic_compare_exchange_weak(&io.countdown, &left, left - 1))
        continue;
    fail |= left == 1;
    if (fail) {
        atomic_store(&io.fired, true);
        errno = atomic_load(&io.failure);
    }
    return fail;
}

/* How much of a transfer is made; 0: it is interrupted. */
static size_t part_of(size_t length)
{
    uint64_t turn = atomic_load(&io.shorten) ? atomic_fetch_add(&io.turn, 1) % 4 : 3;
    return turn == 0 ? 0 : turn == 1 ? 1 + length / 3 : turn == 2 ? (length + 1) / 2 : length;
}

int openat(int fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(CALL_OPENAT) ? -1 : (int)syscall(SYS_openat, fd, path, flags, mode);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
    return fails(CALL_MKDIRAT) ? -1 : (int)syscall(SYS_mkdirat, fd, path, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    if (fails(CALL_PWRITE))
        return -1;
    size_t part = part_of(length);
    errno = EINTR;
    return part ? syscall(SYS_pwrite64, fd, bytes, part, offset) : -1;
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    if (fails(CALL_PREAD))
        return atomic_load(&io.failure) ? -1 : 0;
    size_t part = part_of(length);
    errno = EINTR;
    return part ? syscall(SYS_pread64, fd, bytes, part, offset) : -1;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fails(CALL_FALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fdatasync(int fd)
{
    if (io.before_fdatasync)
        io.before_fdatasync();
    return fails(CALL_FDATASYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return fails(CALL_RENAMEAT2) ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return fails(CALL_LINKAT) ? -1 : (int)syscall(SYS_linkat, from, old, to, new, flags);
}

int unlinkat(int fd, const char *path, int flags)
{
    return fails(CALL_UNLINKAT) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

int flock(int fd, int operation)
{
    if (io.before_flock) {
        void (*hook)(void) = io.before_flock;
        io.before_flock = NULL;
        hook();
    }
    return fails(CALL_FLOCK) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

int fstatat(int fd, const char *path, struct stat *info, int flags)
{
    typedef int stat_function(int, const char *, struct stat *, int);
    stat_function *real = (stat_function *)(uintptr_t)dlsym(RTLD_NEXT, "fstatat64");
    return fails(CALL_FSTATAT) ? -1 : real(fd, path, info, flags);
}

struct dirent *readdir(DIR *stream)
{
    typedef struct dirent *readdir_function(DIR *);
    readdir_function *real = (readdir_function *)(uintptr_t)dlsym(RTLD_NEXT, "readdir64");
    return fails(CALL_READDIR) ? NULL : real(stream);
}

#define BIT(call) (UINT32_C(1) << (call))

enum { SIZE = 300 * 1024 };

static unsigned count_temporaries(void)
{
    struct dirent *entry;
    unsigned count = 0;
    DIR *stream = opendir("archive/.tmp");
    while (stream && (entry = readdir(stream)) != NULL)
        count += entry->d_name[0] != '.';
    if (stream)
        closedir(stream);
    return count;
}

static struct archive *open_anew(void)
{
    struct archive_options options = test_options(ARCHIVE_CREATE);
    struct archive *archive = NULL;
    options.temporary_age_ms = 0;
    CHECK_OK(archive_open("dir:archive", &options, &archive, NULL));
    return archive;
}

/* What a run of all operations was told. */
struct told {
    int open;
    int put[2];
    int get;
    int head;
    int list;
    unsigned listed;
    int delete;
};

static void use_everything(struct told *told)
{
    struct archive_options options = test_options(ARCHIVE_CREATE);
    struct archive *archive = NULL;
    static struct test_names names;
    uint8_t *bytes = make_bytes(SIZE, 1);
    uint8_t *buffer = test_memory(SIZE);
    size_t length = 0;
    uint64_t size = 0;
    memset(&names, 0, sizeof(names));
    *told = (struct told){.put = {-99, -99}, .delete = -99};
    told->open = archive_open("dir:archive", &options, &archive, NULL);
    if (told->open == 0) {
        told->put[0] = test_put(archive, "a/one", bytes, SIZE);
        told->put[1] = test_put(archive, "a/b/two", bytes, SIZE);
        told->get = test_get(archive, "a/one", buffer, SIZE, &length);
        told->head = test_head(archive, "a/b/two", &size);
        told->list = test_walk(archive, slice_of(NULL, 0), collect_name, &names, NULL);
        told->listed = names.count;
        told->delete = test_delete(archive, "a/one");
    }
    archive_close(archive);
    if (told->open == 0 && told->get == 0) {
        CHECK_UINT(length, ==, SIZE);
        CHECK_BYTES(buffer, bytes, SIZE);
    }
    if (told->open == 0 && told->head == 0)
        CHECK_UINT(size, ==, SIZE);
}

/* An object is whole or absent; `must` tells which one it has to be, if it is known. */
static void check_object(struct archive *archive, const char *name, const uint8_t *expected,
                         bool must_be, bool must_not)
{
    uint8_t *buffer = test_memory(SIZE);
    size_t length;
    int status = test_get(archive, name, buffer, SIZE, &length);
    CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    CHECK(status == 0 || !must_be);
    CHECK(status != 0 || !must_not);
    if (status == 0) {
        CHECK_UINT(length, ==, SIZE);
        CHECK_BYTES(buffer, expected, SIZE);
    }
}

static void check_told(const struct told *told)
{
    uint8_t *expected = make_bytes(SIZE, 1);
    struct archive *archive = open_anew();
    CHECK_UINT(count_temporaries(), ==, 0);
    check_object(archive, "a/one", expected, told->put[0] == 0 && told->delete == -99,
                 told->delete == 0);
    check_object(archive, "a/b/two", expected, told->put[1] == 0, false);
    /* A listing that is good is complete. */
    if (told->list == 0)
        CHECK_UINT(told->listed, >=, (told->put[0] == 0) + (told->put[1] == 0));
    int status = test_put(archive, "a/b/two", expected, SIZE);
    CHECK(status == 0 || status == JINI_E_EXISTS);
    archive_close(archive);
}

TEST(any_failing_call_is_an_answer, "Whichever system call fails, and how, answers are true, "
                                    "objects whole, and nothing is left behind.")
{
    static const int failures[] = {EIO, ENOSPC, EMFILE};
    /* A sanitizer, many times slower, sees the code behind each failure in a sample too. */
    const uint64_t step = harness_step_of_sweep();
    CHECK_INT(chdir(harness_fast_directory(64 << 20)), ==, 0);
    for (unsigned f = 0; f < sizeof(failures) / sizeof(failures[0]); f++) {
        bool fired = true;
        unsigned rounds = 0;
        for (uint64_t nth = 1 + harness_random_below(step); fired; nth += step, rounds++) {
            struct told told;
            CHECK_UINT(nth, <, 1000);
            arm(UINT32_MAX, nth, failures[f]);
            use_everything(&told);
            fired = atomic_load(&io.fired);
            disarm();
            check_told(&told);
            harness_remove("archive");
        }
        printf("     errno %d: %u calls\n", failures[f], rounds - 1);
    }
}

TEST(calls_that_keep_failing_are_answers,
     "When every call of one kind fails from some point on, answers are true and objects whole.")
{
    for (unsigned call = 0; call < CALLS; call++) {
        struct told told;
        struct archive *archive = open_anew();
        archive_close(archive);
        arm_all(BIT(call), call % 2 ? EIO : ENOSPC);
        use_everything(&told);
        disarm();
        check_told(&told);
        harness_remove("archive");
    }
}

TEST(full_disk_stores_nothing,
     "ENOSPC while reserving or writing answers FULL, leaves nothing, and passes.")
{
    uint8_t *bytes = make_bytes(SIZE, 1);
    struct archive *archive = open_anew();
    struct archive_extent extent = archive_memory(bytes, SIZE);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text("full"),
                                      .put = {.extents = &extent, .extent_count = 1}};
    struct jini_error error;
    arm(BIT(CALL_FALLOCATE), 1, ENOSPC);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_FULL);
    CHECK_CONTAINS(error.message, "\"full\"");
    CHECK_CONTAINS(error.message, "archive");
    CHECK_CONTAINS(error.message, "No space left");
    CHECK_UINT(count_temporaries(), ==, 0);
    arm(BIT(CALL_PWRITE), 2, ENOSPC);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_FULL);
    CHECK_UINT(count_temporaries(), ==, 0);
    arm(BIT(CALL_PWRITE), 1, EDQUOT);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_FULL);
    arm(BIT(CALL_FDATASYNC), 1, ENOSPC);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_FULL);
    CHECK_UINT(count_temporaries(), ==, 0);
    CHECK_UINT(test_list(archive, "")->count, ==, 0);
    disarm();
    CHECK_OK(archive_run(archive, &request, &error));
    check_object(archive, "full", bytes, true, false);
    archive_close(archive);
}

TEST(disk_without_reservation_works,
     "Where fallocate() is not supported, objects are stored all the same.")
{
    struct archive *archive = open_anew();
    arm_all(BIT(CALL_FALLOCATE), EOPNOTSUPP);
    CHECK_OK(test_put_text(archive, "o", "object"));
    check_text(archive, "o", "object");
    archive_close(archive);
}

TEST(failed_sync_of_a_file_stores_nothing,
     "An object whose bytes could not be synced does not get its name.")
{
    struct archive *archive = open_anew();
    arm(BIT(CALL_FDATASYNC), 1, EIO);
    CHECK_STATUS(test_put_text(archive, "o", "object"), JINI_E_IO);
    CHECK_UINT(test_list(archive, "")->count, ==, 0);
    CHECK_UINT(count_temporaries(), ==, 0);
    CHECK_OK(test_put_text(archive, "o", "object"));
    archive_close(archive);
}

TEST(failed_sync_of_a_directory_poisons,
     "After it PUT and DELETE answer POISONED, reading works, and opening anew mends it.")
{
    struct archive *archive = open_anew();
    CHECK_OK(test_put_text(archive, "d/first", "1"));
    arm(BIT(CALL_FSYNC), 1, EIO);
    CHECK_STATUS(test_put_text(archive, "d/second", "2"), JINI_E_IO);
    disarm();
    CHECK_STATUS(test_put_text(archive, "d/third", "3"), JINI_E_POISONED);
    CHECK_STATUS(test_put_text(archive, "d/second", "2"), JINI_E_POISONED);
    CHECK_STATUS(test_delete(archive, "d/first"), JINI_E_POISONED);
    check_text(archive, "d/first", "1");
    CHECK_TEXT(test_list(archive, "")->text, "d/first d/second");
    archive_close(archive);
    archive = open_anew();
    CHECK_STATUS(test_put_text(archive, "d/second", "2"), JINI_E_EXISTS);
    check_text(archive, "d/second", "2");
    archive_close(archive);
}

TEST(failed_sync_above_poisons,
     "It is the same when a directory above a new one could not be synced.")
{
    struct archive *archive = open_anew();
    arm(BIT(CALL_FSYNC), 2, EIO);
    CHECK_STATUS(test_put_text(archive, "new/o", "1"), JINI_E_IO);
    disarm();
    CHECK_STATUS(test_delete(archive, "x"), JINI_E_POISONED);
    archive_close(archive);
}

TEST(link_stands_in_for_rename,
     "Where renameat2() cannot refuse to replace, a hard link does, and no temporary stays.")
{
    static const int failures[] = {EINVAL, ENOSYS};
    for (int i = 0; i < 2; i++) {
        struct archive *archive = open_anew();
        arm_all(BIT(CALL_RENAMEAT2), failures[i]);
        CHECK_OK(test_put_text(archive, "d/o", "object"));
        CHECK_STATUS(test_put_text(archive, "d/o", "another"), JINI_E_EXISTS);
        check_text(archive, "d/o", "object");
        CHECK_UINT(atomic_load(&io.counts[CALL_LINKAT]), >, 0);
        archive_close(archive);
        disarm();
        CHECK_UINT(count_temporaries(), ==, 0);
        harness_remove("archive");
    }
}

/* Makes the name appear after the driver has seen that it is free. */
static void take_the_name(void)
{
    close(make_file("archive/taken", "theirs", 6));
}

TEST(rename_decides_who_was_first,
     "A name that is taken while the body is written stays as it is: EXISTS.")
{
    for (int i = 0; i < 2; i++) {
        struct archive *archive = open_anew();
        io.before_flock = take_the_name;
        arm_all(i ? BIT(CALL_RENAMEAT2) : 0, EINVAL);
        CHECK_STATUS(test_put_text(archive, "taken", "ours"), JINI_E_EXISTS);
        disarm();
        check_text(archive, "taken", "theirs");
        CHECK_UINT(count_temporaries(), ==, 0);
        archive_close(archive);
        harness_remove("archive");
    }
}

TEST(other_file_system_is_told,
     "A directory that lies on another file system is refused as UNSUPPORTED.")
{
    struct archive *archive = open_anew();
    struct archive_extent extent = archive_memory("x", 1);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text("mounted/o"),
                                      .put = {.extents = &extent, .extent_count = 1}};
    struct jini_error error;
    arm_all(BIT(CALL_RENAMEAT2), EXDEV);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_UNSUPPORTED);
    CHECK_CONTAINS(error.message, "another file system");
    disarm();
    CHECK_UINT(count_temporaries(), ==, 0);
    archive_close(archive);
}

TEST(interrupted_and_short_transfers_are_continued,
     "Partial reads and writes, and EINTR, lose and double no byte.")
{
    enum { LARGE = 2 * 1024 * 1024 + 77 };
    uint8_t *bytes = make_bytes(LARGE, 2);
    uint8_t *buffer = test_memory(LARGE);
    int fd = make_file("body", bytes, LARGE);
    struct archive_extent extents[3] = {archive_file(fd, 0, 1000000),
                                        archive_memory(bytes + 1000000, 999),
                                        archive_file(fd, 1000999, LARGE - 1000999)};
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text("parts"),
                                      .put = {.extents = extents, .extent_count = 3}};
    struct hash128 checksum = hash128(slice_of(bytes, LARGE));
    size_t length;
    atomic_store(&io.shorten, true);
    struct archive *archive = open_anew();
    CHECK_OK(archive_run(archive, &request, NULL));
    CHECK(hash128_equal(&request.checksum, &checksum));
    CHECK_OK(test_get(archive, "parts", buffer, LARGE, &length));
    CHECK_UINT(length, ==, LARGE);
    CHECK_BYTES(buffer, bytes, LARGE);
    archive_close(archive);
}

TEST(object_that_shrinks_is_corrupt, "An object that ends while it is read answers CORRUPT.")
{
    uint8_t *bytes = make_bytes(SIZE, 1);
    uint8_t *buffer = test_memory(SIZE);
    size_t length;
    struct archive *archive = open_anew();
    CHECK_OK(test_put(archive, "o", bytes, SIZE));
    arm(BIT(CALL_PREAD), 2, 0);
    CHECK_STATUS(test_get(archive, "o", buffer, SIZE, &length), JINI_E_CORRUPT);
    arm(BIT(CALL_PREAD), 2, EIO);
    CHECK_STATUS(test_get(archive, "o", buffer, SIZE, &length), JINI_E_IO);
    CHECK_OK(test_get(archive, "o", buffer, SIZE, &length));
    archive_close(archive);
}

/* A collector of another process that comes between the making and the locking of a temporary. */
static void collect_in_between(void)
{
    struct dirent *entry;
    DIR *stream = opendir("archive/.tmp");
    CHECK(stream);
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] != '.')
            CHECK_INT(syscall(SYS_unlinkat, dirfd(stream), entry->d_name, 0), ==, 0);
    }
    closedir(stream);
}

TEST(collector_in_between_is_noticed,
     "A temporary that was collected before it was locked is made anew, and the PUT succeeds.")
{
    struct archive *archive = open_anew();
    io.before_flock = collect_in_between;
    CHECK_OK(test_put_text(archive, "one", "1"));
    check_text(archive, "one", "1");
    arm(BIT(CALL_FLOCK), 1, EWOULDBLOCK);
    CHECK_OK(test_put_text(archive, "two", "2"));
    check_text(archive, "two", "2");
    arm_all(BIT(CALL_FLOCK), ENOLCK);
    CHECK_STATUS(test_put_text(archive, "three", "3"), JINI_E_IO);
    disarm();
    CHECK_UINT(count_temporaries(), ==, 0);
    archive_close(archive);
}

static uint32_t position_of(enum call call, bool last)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < atomic_load(&io.order_length) && i < sizeof(io.order); i++) {
        if (io.order[i] == call) {
            found = i;
            if (!last)
                break;
        }
    }
    CHECK_UINT(found, !=, UINT32_MAX);
    return found;
}

TEST(syncs_come_in_order_and_once, "A PUT writes, syncs the file, names it, syncs the directory; "
                                   "directories above are synced once.")
{
    uint8_t *bytes = make_bytes(SIZE, 1);
    struct archive *archive = open_anew();
    reset_counts();
    CHECK_OK(test_put(archive, "x/y/one", bytes, SIZE));
    CHECK_UINT(position_of(CALL_PWRITE, true), <, position_of(CALL_FDATASYNC, false));
    CHECK_UINT(position_of(CALL_FDATASYNC, true), <, position_of(CALL_RENAMEAT2, false));
    CHECK_UINT(position_of(CALL_RENAMEAT2, true), <, position_of(CALL_FSYNC, false));
    CHECK_UINT(io.counts[CALL_FDATASYNC], ==, 1);
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 3); /* x/y, the root, x */
    CHECK_UINT(io.counts[CALL_PWRITE], ==, 2);
    reset_counts();
    CHECK_OK(test_put(archive, "x/y/two", bytes, SIZE));
    CHECK_UINT(io.counts[CALL_FDATASYNC], ==, 1);
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 1);
    reset_counts();
    CHECK_STATUS(test_put(archive, "x/y/two", bytes, SIZE), JINI_E_EXISTS);
    CHECK_UINT(io.counts[CALL_PWRITE], ==, 0);
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 1);
    reset_counts();
    CHECK_OK(test_delete(archive, "x/y/two"));
    CHECK_UINT(position_of(CALL_UNLINKAT, true), <, position_of(CALL_FSYNC, false));
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 1);
    reset_counts();
    CHECK_OK(test_delete(archive, "x/y/two"));
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 1);
    archive_close(archive);
    /* Another process may have died before it synced what it made. */
    archive = open_anew();
    reset_counts();
    CHECK_OK(test_put(archive, "x/y/three", bytes, SIZE));
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 3);
    archive_close(archive);
}

TEST(creating_is_durable,
     "A new archive's marker, its root and the directory above are synced before it is open.")
{
    reset_counts();
    struct archive *archive = open_anew();
    CHECK_UINT(io.counts[CALL_FDATASYNC], ==, 1);
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 2);
    archive_close(archive);
    reset_counts();
    archive = open_anew();
    CHECK_UINT(io.counts[CALL_FDATASYNC] + io.counts[CALL_FSYNC], ==, 0);
    archive_close(archive);
}

static struct {
    struct archive *archive;
    struct archive_request *request;
} to_cancel;

static void cancel_now(void)
{
    archive_cancel(to_cancel.archive, to_cancel.request);
}

TEST(cancel_during_the_sync_stores_nothing,
     "A PUT that is cancelled before it has its name does not get it.")
{
    struct archive_extent extent = archive_memory("x", 1);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text("o"),
                                      .put = {.extents = &extent, .extent_count = 1}};
    uint64_t size;
    struct archive *archive = open_anew();
    to_cancel.archive = archive;
    to_cancel.request = &request;
    io.before_fdatasync = cancel_now;
    CHECK_STATUS(archive_run(archive, &request, NULL), JINI_E_CANCELLED);
    io.before_fdatasync = NULL;
    CHECK_STATUS(test_head(archive, "o", &size), JINI_E_NOT_FOUND);
    CHECK_UINT(count_temporaries(), ==, 0);
    archive_close(archive);
}

TEST(directory_made_again_is_synced_again,
     "A directory that somebody removed and a PUT made anew is synced up to the root.")
{
    struct archive *archive = open_anew();
    CHECK_OK(test_put_text(archive, "x/one", "1"));
    CHECK_INT(unlink("archive/x/one"), ==, 0);
    CHECK_INT(rmdir("archive/x"), ==, 0);
    reset_counts();
    CHECK_OK(test_put_text(archive, "x/two", "2"));
    CHECK_UINT(io.counts[CALL_FSYNC], ==, 2);
    archive_close(archive);
}
