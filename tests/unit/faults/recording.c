/* Recording: what was recorded, played back whole, is what stands on disk. */
#include "faults.h"
#include "harness.h"
#include "powerloss.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAST_BYTES = 16 << 20 };

static const char *root;
static const char *log_path;

static void begin(void)
{
    fault_attach(harness_path("control"));
    CHECK_INT(mkdir("root", 0700), ==, 0);
    CHECK_INT(symlink(harness_fast_directory(FAST_BYTES), "built"), ==, 0);
    root = "root";
    log_path = "log";
}

static char *read_file(const char *path, size_t *length)
{
    struct stat info;
    int fd = open(path, O_RDONLY);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(fstat(fd, &info), ==, 0);
    char *bytes = malloc((size_t)info.st_size + 1);
    CHECK(bytes != NULL);
    CHECK_INT(read(fd, bytes, (size_t)info.st_size), ==, info.st_size);
    close(fd);
    *length = (size_t)info.st_size;
    return bytes;
}

static void compare_files(const char *a, const char *b)
{
    size_t a_length;
    size_t b_length;
    char *a_bytes = read_file(a, &a_length);
    char *b_bytes = read_file(b, &b_length);
    if (a_length != b_length)
        harness_fail(__FILE__, __LINE__, "%s has %zu bytes, %s has %zu", a, a_length, b, b_length);
    for (size_t i = 0; i < a_length; i++) {
        if (a_bytes[i] != b_bytes[i])
            harness_fail(__FILE__, __LINE__, "%s and %s differ at byte %zu of %zu", a, b, i,
                         a_length);
    }
    free(a_bytes);
    free(b_bytes);
}

static int is_visible(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Fails unless both folders hold the same names with the same bytes. */
static void compare_folders(const char *a, const char *b)
{
    struct dirent **a_entries;
    struct dirent **b_entries;
    int a_count = scandir(a, &a_entries, is_visible, alphasort);
    int b_count = scandir(b, &b_entries, is_visible, alphasort);
    CHECK_INT(a_count, ==, b_count);
    for (int i = 0; i < a_count; i++) {
        char a_path[512];
        char b_path[512];
        struct stat info;
        CHECK_TEXT(a_entries[i]->d_name, b_entries[i]->d_name);
        snprintf(a_path, sizeof(a_path), "%s/%s", a, a_entries[i]->d_name);
        snprintf(b_path, sizeof(b_path), "%s/%s", b, b_entries[i]->d_name);
        CHECK_INT(stat(a_path, &info), ==, 0);
        if (S_ISDIR(info.st_mode))
            compare_folders(a_path, b_path);
        else
            compare_files(a_path, b_path);
        free(a_entries[i]);
        free(b_entries[i]);
    }
    free(a_entries);
    free(b_entries);
}

/* A path to one of a few names, in one of a few folders, so that operations meet. */
static const char *some_path(void)
{
    static char paths[4][64];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    static const char *const folders[] = {"root", "root/x", "root/y", "root/x/z"};
    snprintf(path, sizeof(paths[0]), "%s/%c", folders[harness_random_below(4)],
             (char)('a' + harness_random_below(5)));
    return path;
}

static char noise[20000];

static void write_somehow(const char *path)
{
    static const int flags[] = {0, O_APPEND, O_TRUNC, O_DSYNC, O_EXCL};
    int chosen = flags[harness_random_below(5)];
    int fd = open(path, O_WRONLY | O_CREAT | chosen, 0600);
    if (fd < 0)
        return;
    for (uint64_t i = harness_random_below(4); i > 0; i--) {
        size_t length = harness_random_below(sizeof(noise) / 2) + 1;
        const char *from = noise + harness_random_below(sizeof(noise) / 2);
        off_t offset = (off_t)harness_random_below(30000);
        const struct iovec parts[2] = {{(char *)from, length / 3},
                                       {(char *)from + length / 3, length - length / 3}};
        switch (harness_random_below(4)) {
        case 0:
            CHECK_INT(write(fd, from, length), ==, length);
            break;
        case 1:
            CHECK_INT(pwrite(fd, from, length, offset), ==, length);
            break;
        case 2:
            CHECK_INT(writev(fd, parts, 2), ==, length);
            break;
        default:
            CHECK_INT(pwritev(fd, parts, 2, offset), ==, length);
        }
    }
    if (harness_random_below(3) == 0)
        CHECK_INT(fsync(fd), ==, 0);
    close(fd);
}

static void resize_somehow(const char *path)
{
    off_t size = (off_t)harness_random_below(40000);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return;
    switch (harness_random_below(4)) {
    case 0:
        CHECK_INT(ftruncate(fd, size), ==, 0);
        break;
    case 1:
        CHECK_INT(truncate(path, size), ==, 0);
        break;
    case 2:
        CHECK_INT(posix_fallocate(fd, size, 5000), ==, 0);
        break;
    default:
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, size, 7000) != 0)
            CHECK_INT(errno, ==, EOPNOTSUPP);
    }
    close(fd);
}

static void map_somehow(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return;
    CHECK_INT(fstat(fd, &info), ==, 0);
    if (info.st_size > 5000) {
        char *map = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(map != MAP_FAILED);
        memset(map + 4090, 'm', 20);
        if (harness_random_below(2))
            CHECK_INT(msync(map, (size_t)info.st_size, MS_SYNC), ==, 0);
        else
            CHECK_INT(fdatasync(fd), ==, 0);
        CHECK_INT(munmap(map, (size_t)info.st_size), ==, 0);
    }
    close(fd);
}

static void copy_somehow(const char *from, const char *to)
{
    int source = open(from, O_RDONLY);
    int target = open(to, O_WRONLY | O_CREAT, 0600);
    off_t offset = (off_t)harness_random_below(9000);
    off_t start = 0;
    if (source >= 0 && target >= 0 && copy_file_range(source, &start, target, &offset, 9000, 0) < 0)
        CHECK(errno == EINVAL || errno == EXDEV); /* one file, overlapping */
    if (source >= 0)
        close(source);
    if (target >= 0)
        close(target);
}

/* Many calls find nothing to work on, and that is as good. */
static void may_fail(int result)
{
    (void)result;
}

static void link_unnamed(const char *path)
{
    char link[64];
    int fd = open("root", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0)
        return;
    CHECK_INT(write(fd, noise, 3000), ==, 3000);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    may_fail(linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
    close(fd);
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return;
    CHECK_INT(fsync(fd), ==, 0);
    close(fd);
}

static void do_something(void)
{
    const char *path = some_path();
    const char *other = some_path();
    switch (harness_random_below(16)) {
    case 0:
    case 1:
    case 2:
        write_somehow(path);
        break;
    case 3:
        resize_somehow(path);
        break;
    case 4:
        may_fail(rename(path, other));
        break;
    case 5:
        may_fail(renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE));
        break;
    case 6:
        may_fail(link(path, other));
        break;
    case 7:
        may_fail(unlink(path));
        break;
    case 8:
        may_fail(mkdir(harness_random_below(2) ? "root/x" : "root/y", 0700));
        break;
    case 9:
        may_fail(mkdir("root/x/z", 0700));
        break;
    case 10:
        may_fail(remove(harness_random_below(4) ? path : "root/x/z"));
        break;
    case 11:
        copy_somehow(path, other);
        break;
    case 12:
        link_unnamed(path);
        break;
    case 13:
        map_somehow(path);
        break;
    case 14:
        sync_folder(harness_random_below(2) ? "root" : "root/x");
        break;
    default:
        may_fail(rename("root/x/z", "root/y/z"));
        may_fail(rename("root/y/z", "root/x/z"));
    }
}

static void fill_noise(void)
{
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)harness_random();
}

static void sync_everything(void)
{
    int fd = open("root", O_RDONLY);
    CHECK_INT(syncfs(fd), ==, 0);
    close(fd);
}

TEST(the_whole_log_gives_the_whole_folder,
     "After any row of calls the image of the last cut with everything equals the folder.")
{
    begin();
    fill_noise();
    for (int i = 0; i < 50; i++)
        do_something();
    fault_record_start(root, log_path);
    for (unsigned i = 0; i < 2000 * harness_scale(); i++)
        do_something();
    fault_record_stop();
    struct powerloss *loss = powerloss_open(log_path);
    powerloss_build(loss, powerloss_last_cut(loss), POWERLOSS_EVERYTHING, "built/image");
    compare_folders("root", "built/image");
    powerloss_close(loss);
}

TEST(after_a_sync_of_everything_nothing_is_lost,
     "Whatever the seed, an image at a cut right after syncfs() equals the folder.")
{
    begin();
    fill_noise();
    fault_record_start(root, log_path);
    for (int i = 0; i < 500; i++)
        do_something();
    sync_everything();
    fault_record_stop();
    struct powerloss *loss = powerloss_open(log_path);
    for (uint64_t seed = 0; seed < 20; seed++) {
        powerloss_build(loss, powerloss_last_cut(loss), seed, "built/image");
        compare_folders("root", "built/image");
    }
    powerloss_close(loss);
}

TEST(the_first_cut_is_the_folder_at_the_start, "What stood there before a recording is durable.")
{
    begin();
    fill_noise();
    for (int i = 0; i < 300; i++)
        do_something();
    fault_record_start("root", log_path);
    int fd = open("root/new", O_WRONLY | O_CREAT, 0600);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    close(fd);
    fault_record_stop();
    CHECK_INT(unlink("root/new"), ==, 0);
    struct powerloss *loss = powerloss_open(log_path);
    powerloss_build(loss, powerloss_last_cut(loss), POWERLOSS_NOTHING_MORE, "built/image");
    compare_folders("root", "built/image");
    powerloss_build(loss, powerloss_first_cut(loss), POWERLOSS_EVERYTHING, "built/image");
    compare_folders("root", "built/image");
    powerloss_close(loss);
}

enum { WRITERS = 3, RECORDS_EACH = 300, RECORD_BYTES = 16 };

static void append_records(int writer)
{
    int fd = open("root/shared", O_WRONLY | O_APPEND | O_CREAT, 0600);
    CHECK_INT(fd, >=, 0);
    for (int i = 0; i < RECORDS_EACH; i++) {
        char record[64];
        snprintf(record, sizeof(record), "writer %d: %05d\n", writer, i);
        CHECK_INT(write(fd, record, RECORD_BYTES), ==, RECORD_BYTES);
        fault_mark("%d %d", writer, i);
    }
    close(fd);
}

static void *append_thread(void *argument)
{
    append_records(*(const int *)argument);
    return NULL;
}

TEST(threads_and_processes_share_one_order,
     "Appends of several processes and threads come back in the order in which the file has them.")
{
    begin();
    fault_record_start(root, log_path);
    int pids[WRITERS];
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        CHECK_INT(pids[i], >=, 0);
        if (pids[i] == 0) {
            append_records(WRITERS + i);
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        CHECK_INT(pthread_create(&threads[i], NULL, append_thread, &numbers[i]), ==, 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
        harness_wait_exit(pids[i], 0);
    }
    fault_record_stop();
    struct powerloss *loss = powerloss_open(log_path);
    powerloss_build(loss, powerloss_last_cut(loss), POWERLOSS_EVERYTHING, "built/image");
    compare_folders("root", "built/image");
    int marks = 0;
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++)
        marks += powerloss_mark(loss, cut) != NULL;
    CHECK_INT(marks, ==, 2 * WRITERS * RECORDS_EACH);
    powerloss_close(loss);
}

TEST(a_mark_follows_what_it_acknowledges,
     "At the cut of a mark the call before it is in the image.")
{
    begin();
    fault_record_start(root, log_path);
    int fd = open("root/f", O_WRONLY | O_CREAT, 0600);
    for (char c = 'a'; c <= 'e'; c++) {
        CHECK_INT(write(fd, &c, 1), ==, 1);
        fault_mark("wrote %c", c);
    }
    close(fd);
    fault_record_stop();
    fault_mark("not recorded");
    struct powerloss *loss = powerloss_open(log_path);
    int seen = 0;
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        char wanted[16];
        size_t length;
        if (!powerloss_mark(loss, cut))
            continue;
        snprintf(wanted, sizeof(wanted), "wrote %c", 'a' + seen++);
        CHECK_TEXT(powerloss_mark(loss, cut), wanted);
        powerloss_build(loss, cut, POWERLOSS_EVERYTHING, "built/image");
        free(read_file("built/image/f", &length));
        CHECK_UINT(length, ==, seen);
    }
    CHECK_INT(seen, ==, 5);
    CHECK_CONTAINS(powerloss_describe(loss, powerloss_last_cut(loss)), "mark");
    /* Going back begins again. */
    size_t length;
    powerloss_build(loss, powerloss_first_cut(loss) + 4, POWERLOSS_EVERYTHING, "built/image");
    free(read_file("built/image/f", &length));
    CHECK_UINT(length, ==, 1);
    powerloss_close(loss);
}

TEST(stores_through_a_mapping_are_captured,
     "A mark records what a mapping changed, unsynced, and leaves the process its locks.")
{
    begin();
    int fd = open("root/map", O_RDWR | O_CREAT, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    CHECK_INT(ftruncate(fd, 4096), ==, 0);
    fault_record_start(root, log_path);
    CHECK_INT(fcntl(fd, F_SETLK, &lock), ==, 0);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    memcpy(map, "stored", 6);
    fault_mark("stored");
    fault_record_stop();
    fflush(NULL);
    int pid = fork();
    if (pid == 0)
        _exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK ? 0 : 1);
    harness_wait_exit(pid, 0);
    struct powerloss *loss = powerloss_open(log_path);
    powerloss_build(loss, powerloss_last_cut(loss), POWERLOSS_EVERYTHING, "built/image");
    compare_folders("root", "built/image");
    powerloss_build(loss, powerloss_last_cut(loss), POWERLOSS_NOTHING_MORE, "built/image");
    size_t length;
    char *bytes = read_file("built/image/map", &length);
    CHECK_UINT(length, ==, 4096);
    CHECK_INT(bytes[0], ==, 0);
    free(bytes);
    CHECK(!powerloss_is_event(loss, powerloss_last_cut(loss) - 1));
    CHECK(powerloss_is_event(loss, powerloss_last_cut(loss)));
    powerloss_close(loss);
}
