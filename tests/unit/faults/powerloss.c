/*
 * Images of power losses, shown on small programs that are right or miss one sync. A program that
 * is right passes thousands of images; one that misses a sync is caught.
 */
#include "powerloss.h"

#include "faults.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS_EACH = 12, SEEDS_SANITIZED = 4, FAST_BYTES = 16 << 20, RECORDS_BYTES_MAX = 100000 };

/* Answers whether an image holds everything that was acknowledged up to its cut. */
typedef bool image_check(const char *image, int acknowledged);

struct verdict {
    unsigned images;
    unsigned bad;
};

static void begin(void)
{
    fault_attach(harness_path("control"));
    CHECK_INT(mkdir("root", 0700), ==, 0);
    CHECK_INT(symlink(harness_fast_directory(FAST_BYTES), "built"), ==, 0);
}

/*
 * Checks several images of every cut, or until so many are bad. Marks are "N": operation N is
 * acknowledged.
 */
static struct verdict check_images(image_check *check, unsigned bad_max)
{
    struct verdict verdict = {0, 0};
    struct powerloss *loss = powerloss_open("log");
    int acknowledged = 0;
    unsigned seeds = harness_sanitized() ? SEEDS_SANITIZED : SEEDS_EACH * harness_scale();
    size_t last = powerloss_last_cut(loss);
    for (size_t cut = powerloss_first_cut(loss); cut <= last && verdict.bad < bad_max; cut++) {
        const char *mark = powerloss_mark(loss, cut);
        if (mark)
            acknowledged = (int)strtol(mark, NULL, 10);
        for (uint64_t i = 0; i < seeds; i++) {
            uint64_t seed = i < 2 ? i : harness_random();
            powerloss_build(loss, cut, seed, "built/image");
            verdict.images++;
            verdict.bad += !check("built/image", acknowledged);
        }
    }
    powerloss_close(loss);
    return verdict;
}

static void check_right(image_check *check, unsigned images_min)
{
    struct verdict verdict = check_images(check, UINT_MAX);
    CHECK_UINT(verdict.images * (harness_sanitized() ? SEEDS_EACH / SEEDS_SANITIZED : 1), >=,
               images_min);
    CHECK_UINT(verdict.bad, ==, 0);
}

static void check_caught(image_check *check)
{
    struct verdict verdict = check_images(check, 1);
    CHECK_UINT(verdict.bad, >, 0);
}

static void sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(fsync(fd), ==, 0);
    CHECK_INT(close(fd), ==, 0);
}

/* What a file of an image holds, as text; NULL when it is not there. */
static const char *read_text(const char *path)
{
    static char text[RECORDS_BYTES_MAX];
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return NULL;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    CHECK_INT(length, >=, 0);
    text[length] = '\0';
    close(fd);
    return text;
}

/* An append-only log of records of one length, each acknowledged when it is durable. */

enum { RECORDS = 120, RECORD_BYTES = 700 };

static void fill_record(char record[RECORD_BYTES], int number)
{
    char text[16];
    snprintf(text, sizeof(text), "%08d", number);
    memset(record, 'a' + number % 26, RECORD_BYTES);
    memcpy(record, text, 8);
}

static void run_append_log(int (*sync)(int fd), int open_flags)
{
    char record[RECORD_BYTES];
    int fd = open("root/append", O_WRONLY | O_CREAT | O_APPEND | open_flags, 0600);
    CHECK_INT(fd, >=, 0);
    sync_directory("root");
    for (int i = 1; i <= RECORDS; i++) {
        fill_record(record, i);
        CHECK_INT(write(fd, record, RECORD_BYTES), ==, RECORD_BYTES);
        if (sync)
            CHECK_INT(sync(fd), ==, 0);
        fault_mark("%d", i);
    }
    close(fd);
}

static bool append_log_is_whole(const char *image, int acknowledged)
{
    char path[64];
    char wanted[RECORD_BYTES];
    snprintf(path, sizeof(path), "%s/append", image);
    const char *text = read_text(path);
    if (!text)
        return acknowledged == 0;
    for (int i = 1; i <= acknowledged; i++) {
        fill_record(wanted, i);
        if (memcmp(text + (i - 1) * RECORD_BYTES, wanted, RECORD_BYTES) != 0)
            return false;
    }
    return true;
}

TEST(an_append_log_with_syncs_is_right,
     "Every acknowledged record is in every image, with either sync.")
{
    begin();
    fault_record_start("root", "log");
    run_append_log(fsync, 0);
    fault_record_stop();
    check_right(append_log_is_whole, 4000);
}

TEST(fdatasync_covers_the_size, "An append that is synced by fdatasync is there, its size too.")
{
    begin();
    fault_record_start("root", "log");
    run_append_log(fdatasync, 0);
    fault_record_stop();
    check_right(append_log_is_whole, 4000);
}

TEST(a_synchronous_descriptor_needs_no_sync,
     "Each write to an O_DSYNC descriptor is durable by itself.")
{
    begin();
    fault_record_start("root", "log");
    run_append_log(NULL, O_DSYNC);
    fault_record_stop();
    check_right(append_log_is_whole, 2500);
}

TEST(an_append_log_without_syncs_is_caught,
     "Without a sync some image lacks an acknowledged record.")
{
    begin();
    fault_record_start("root", "log");
    run_append_log(NULL, 0);
    fault_record_stop();
    check_caught(append_log_is_whole);
}

TEST(a_swallowed_sync_is_caught, "The right program, with its syncs swallowed, is caught.")
{
    begin();
    fault_record_start("root", "log");
    fault_swallow_syncs("append");
    run_append_log(fsync, 0);
    fault_swallow_syncs(NULL);
    CHECK_UINT(fault_swallowed(), ==, RECORDS);
    fault_record_stop();
    check_caught(append_log_is_whole);
}

TEST(a_swallowed_synchronous_write_is_caught,
     "O_DSYNC promises nothing for a file whose syncs are swallowed.")
{
    begin();
    fault_record_start("root", "log");
    fault_swallow_syncs("*/root/append");
    run_append_log(NULL, O_DSYNC);
    CHECK_UINT(fault_swallowed(), ==, RECORDS);
    fault_record_stop();
    check_caught(append_log_is_whole);
}

TEST(a_swallowed_directory_sync_is_caught,
     "A new file may be gone when its directory was not synced.")
{
    begin();
    fault_record_start("root", "log");
    fault_swallow_syncs("root/");
    run_append_log(fsync, 0);
    CHECK_UINT(fault_swallowed(), ==, 1);
    fault_record_stop();
    check_caught(append_log_is_whole);
}

/* A file that is replaced as a whole: written beside, synced, renamed, directory synced. */

enum { REPLACEMENTS = 60 };

enum omission { OMIT_NOTHING, OMIT_FILE_SYNC, OMIT_DIRECTORY_SYNC };

static void run_replacement(enum omission omission)
{
    for (int i = 1; i <= REPLACEMENTS; i++) {
        char text[3000];
        char number[16];
        snprintf(number, sizeof(number), "%08d", i);
        memset(text, 'a' + i % 26, sizeof(text));
        memcpy(text, number, 8);
        int fd = open("root/file.new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        CHECK_INT(fd, >=, 0);
        CHECK_INT(write(fd, text, sizeof(text)), ==, sizeof(text));
        if (omission != OMIT_FILE_SYNC)
            CHECK_INT(fdatasync(fd), ==, 0);
        CHECK_INT(close(fd), ==, 0);
        CHECK_INT(rename("root/file.new", "root/file"), ==, 0);
        if (omission != OMIT_DIRECTORY_SYNC)
            sync_directory("root");
        fault_mark("%d", i);
    }
}

/* The file is whole, and the acknowledged version or the one after it. */
static bool replacement_is_whole(const char *image, int acknowledged)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/file", image);
    const char *text = read_text(path);
    if (!text)
        return acknowledged == 0;
    long version = strtol(text, NULL, 10);
    if (strlen(text) != 3000 || version < acknowledged || version > acknowledged + 1)
        return false;
    for (int i = 8; i < 3000; i++) {
        if (text[i] != 'a' + version % 26)
            return false;
    }
    return true;
}

TEST(an_atomic_replacement_is_right, "Old or new, and whole, in thousands of images.")
{
    begin();
    fault_record_start("root", "log");
    run_replacement(OMIT_NOTHING);
    fault_record_stop();
    check_right(replacement_is_whole, 3000);
}

TEST(a_rename_without_directory_sync_is_caught,
     "Some image has the old file although the new was acknowledged.")
{
    begin();
    fault_record_start("root", "log");
    run_replacement(OMIT_DIRECTORY_SYNC);
    fault_record_stop();
    check_caught(replacement_is_whole);
}

TEST(a_rename_before_file_sync_is_caught, "Some image has the new name with an empty or torn file.")
{
    begin();
    fault_record_start("root", "log");
    run_replacement(OMIT_FILE_SYNC);
    fault_record_stop();
    check_caught(replacement_is_whole);
}

/* What images show of single calls. Each check counts a different picture of one folder. */

static unsigned seen[8];

static struct powerloss *record_of(void (*program)(void))
{
    fault_record_start("root", "log");
    program();
    fault_record_stop();
    return powerloss_open("log");
}

/* Builds many images of the last cut; `picture` answers which of `seen` to count, or -1. */
static void count_pictures(struct powerloss *loss, int (*picture)(void))
{
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < 600; i++) {
        powerloss_build(loss, powerloss_last_cut(loss), i < 2 ? i : harness_random(),
                        "built/image");
        int number = picture();
        CHECK_INT(number, >=, 0);
        seen[number]++;
    }
    powerloss_close(loss);
}

static bool is_there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static int make_file(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(write(fd, text, strlen(text)), ==, strlen(text));
    return fd;
}

static void rename_in_one_directory(void)
{
    CHECK_INT(rename("root/a", "root/b"), ==, 0);
}

static int picture_of_rename(void)
{
    return is_there("built/image/a") * 2 + is_there("built/image/b");
}

TEST(a_rename_never_loses_the_file, "Old name, new name or both are seen, and never neither.")
{
    begin();
    close(make_file("root/a", "text"));
    count_pictures(record_of(rename_in_one_directory), picture_of_rename);
    CHECK_UINT(seen[0], ==, 0);
    CHECK_UINT(seen[1], >, 0);
    CHECK_UINT(seen[2], >, 0);
    CHECK_UINT(seen[3], >, 0);
}

static void rename_and_sync_old(void)
{
    CHECK_INT(rename("root/x/a", "root/y/b"), ==, 0);
    sync_directory("root/x");
}

static void rename_and_sync_new(void)
{
    CHECK_INT(rename("root/x/a", "root/y/b"), ==, 0);
    sync_directory("root/y");
}

static int picture_of_move(void)
{
    return is_there("built/image/x/a") * 2 + is_there("built/image/y/b");
}

static void make_x_and_y(void)
{
    CHECK_INT(mkdir("root/x", 0700), ==, 0);
    CHECK_INT(mkdir("root/y", 0700), ==, 0);
    close(make_file("root/x/a", "text"));
}

TEST(a_move_is_lost_when_only_the_old_directory_is_synced,
     "Removal is durable then, and arrival is not.")
{
    begin();
    make_x_and_y();
    count_pictures(record_of(rename_and_sync_old), picture_of_move);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[1], >, 0);
    CHECK_UINT(seen[2] + seen[3], ==, 0);
}

TEST(a_move_is_kept_when_the_new_directory_is_synced,
     "Arrival is durable; the old name may linger.")
{
    begin();
    make_x_and_y();
    count_pictures(record_of(rename_and_sync_new), picture_of_move);
    CHECK_UINT(seen[0] + seen[2], ==, 0);
    CHECK_UINT(seen[1], >, 0);
    CHECK_UINT(seen[3], >, 0);
}

static void unlink_a(void)
{
    CHECK_INT(unlink("root/a"), ==, 0);
}

static void unlink_a_and_sync(void)
{
    unlink_a();
    sync_directory("root");
}

TEST(an_unlinked_file_may_come_back, "Until the directory is synced, and then no more.")
{
    begin();
    close(make_file("root/a", "text"));
    struct powerloss *loss = record_of(unlink_a);
    count_pictures(loss, picture_of_rename);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[2], >, 0);
    close(make_file("root/a", "text"));
    count_pictures(record_of(unlink_a_and_sync), picture_of_rename);
    CHECK_UINT(seen[2], ==, 0);
}

static void make_in_new_directory(void)
{
    CHECK_INT(mkdir("root/new", 0700), ==, 0);
    int fd = make_file("root/new/a", "text");
    CHECK_INT(fsync(fd), ==, 0);
    close(fd);
    sync_directory("root/new");
}

static int picture_of_new(void)
{
    return is_there("built/image/new") + is_there("built/image/new/a");
}

TEST(a_synced_file_in_an_unsynced_directory_is_gone,
     "All names on the way to a file must be durable.")
{
    begin();
    count_pictures(record_of(make_in_new_directory), picture_of_new);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[1], ==, 0);
    CHECK_UINT(seen[2], >, 0);
}

static void make_synced_but_unnamed(void)
{
    int fd = make_file("root/a", "text");
    CHECK_INT(fsync(fd), ==, 0);
    close(fd);
}

TEST(a_synced_file_does_not_sync_its_name, "fsync of a new file alone leaves images without it.")
{
    begin();
    count_pictures(record_of(make_synced_but_unnamed), picture_of_rename);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[2], >, 0);
}

static void overwrite_two_sectors(void)
{
    char text[1024];
    memset(text, 'n', sizeof(text));
    int fd = open("root/a", O_WRONLY);
    CHECK_INT(pwrite(fd, text, sizeof(text), 0), ==, sizeof(text));
    close(fd);
}

/* 0 to 3 for old and new sectors; fails for a sector that is neither. */
static int picture_of_sectors(void)
{
    const char *text = read_text("built/image/a");
    CHECK(text != NULL);
    CHECK_UINT(strlen(text), ==, 1024);
    for (int i = 0; i < 1024; i++)
        CHECK_INT(text[i], ==, text[i / 512 * 512]);
    return (text[0] == 'n') * 2 + (text[512] == 'n');
}

TEST(a_cut_is_covered_until_something_is_synced,
     "What a loss may leave at a cut it may leave at the next as well, unless a sync or a "
     "synchronous write is between; the last cut stands for itself.")
{
    begin();
    fault_record_start("root", "log");
    int fd = open("root/file", O_WRONLY | O_CREAT, 0600);
    CHECK_INT(write(fd, "a", 1), ==, 1);
    fault_mark("1");
    CHECK_INT(fsync(fd), ==, 0);
    CHECK_INT(write(fd, "b", 1), ==, 1);
    close(fd);
    fd = open("root/file", O_WRONLY | O_DSYNC);
    CHECK_INT(write(fd, "c", 1), ==, 1);
    fault_mark("2");
    close(fd);
    fault_record_stop();
    struct powerloss *loss = powerloss_open("log");
    unsigned uncovered = 0;
    for (size_t cut = powerloss_first_cut(loss); cut <= powerloss_last_cut(loss); cut++) {
        uncovered += !powerloss_is_covered(loss, cut);
        CHECK(!powerloss_mark(loss, cut) || !powerloss_is_covered(loss, cut));
    }
    CHECK_UINT(uncovered, ==, 3); /* before the sync, before the last write, the last */
    powerloss_close(loss);
}

TEST(writes_tear_at_sectors, "Each sector of 512 bytes is old or new by itself, and whole.")
{
    begin();
    char text[1025];
    memset(text, 'o', sizeof(text));
    text[1024] = '\0';
    close(make_file("root/a", text));
    count_pictures(record_of(overwrite_two_sectors), picture_of_sectors);
    for (int i = 0; i < 4; i++)
        CHECK_UINT(seen[i], >, 0);
}

static void write_before_synchronous(void)
{
    char text[512];
    memset(text, 'n', sizeof(text));
    int fd = open("root/a", O_WRONLY);
    CHECK_INT(pwrite(fd, text, sizeof(text), 0), ==, sizeof(text));
    int synchronous = open("root/a", O_WRONLY | O_DSYNC);
    CHECK_INT(pwrite(synchronous, text, sizeof(text), 512), ==, sizeof(text));
    close(fd);
    close(synchronous);
}

TEST(a_synchronous_write_covers_its_own_range,
     "An earlier write elsewhere in the file stays in doubt.")
{
    begin();
    char text[1025];
    memset(text, 'o', sizeof(text));
    text[1024] = '\0';
    close(make_file("root/a", text));
    count_pictures(record_of(write_before_synchronous), picture_of_sectors);
    CHECK_UINT(seen[0] + seen[2], ==, 0);
    CHECK_UINT(seen[1], >, 0);
    CHECK_UINT(seen[3], >, 0);
}

static void append_unsynced(void)
{
    char text[5000];
    memset(text, 'n', sizeof(text));
    int fd = open("root/a", O_WRONLY | O_APPEND);
    CHECK_INT(write(fd, text, sizeof(text)), ==, sizeof(text));
    close(fd);
}

/* 0: old size. 1: new size, all written. 2: new size with holes. */
static int picture_of_append(void)
{
    struct stat info;
    CHECK_INT(stat("built/image/a", &info), ==, 0);
    if (info.st_size == 4)
        return 0;
    CHECK_INT(info.st_size, ==, 5004);
    const char *text = read_text("built/image/a");
    return strlen(text) == 5004 ? 1 : 2;
}

TEST(an_unsynced_size_may_stand_without_its_bytes,
     "Old size, new size with bytes, and new size with holes are seen.")
{
    begin();
    close(make_file("root/a", "text"));
    count_pictures(record_of(append_unsynced), picture_of_append);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[1], >, 0);
    CHECK_UINT(seen[2], >, 0);
}

static void shrink_unsynced(void)
{
    CHECK_INT(truncate("root/a", 1), ==, 0);
}

static int picture_of_shrink(void)
{
    struct stat info;
    CHECK_INT(stat("built/image/a", &info), ==, 0);
    CHECK(info.st_size == 4 || info.st_size == 1);
    return info.st_size == 4;
}

TEST(an_unsynced_truncation_may_be_undone, "Both sizes are seen.")
{
    begin();
    close(make_file("root/a", "text"));
    count_pictures(record_of(shrink_unsynced), picture_of_shrink);
    CHECK_UINT(seen[0], >, 0);
    CHECK_UINT(seen[1], >, 0);
}

/* LMDB, whose calls come from a library that knows nothing of the shim. */

enum { COMMITS = 25, VALUE_BYTES = 900 };

static MDB_env *open_lmdb(const char *path, unsigned flags)
{
    MDB_env *environment;
    CHECK_INT(mdb_env_create(&environment), ==, 0);
    CHECK_INT(mdb_env_set_mapsize(environment, 1 << 20), ==, 0);
    if (mdb_env_open(environment, path, flags, 0600) == 0)
        return environment;
    mdb_env_close(environment);
    return NULL;
}

static void run_lmdb(void)
{
    MDB_env *environment = open_lmdb("root", 0);
    CHECK(environment != NULL);
    for (int i = 1; i <= COMMITS; i++) {
        char value[VALUE_BYTES];
        MDB_txn *transaction;
        MDB_dbi space;
        memset(value, 'a' + i % 26, sizeof(value));
        CHECK_INT(mdb_txn_begin(environment, NULL, 0, &transaction), ==, 0);
        CHECK_INT(mdb_dbi_open(transaction, NULL, 0, &space), ==, 0);
        MDB_val key = {sizeof(i), &i};
        MDB_val data = {sizeof(value), value};
        CHECK_INT(mdb_put(transaction, space, &key, &data, 0), ==, 0);
        CHECK_INT(mdb_txn_commit(transaction), ==, 0);
        fault_mark("%d", i);
    }
    mdb_env_close(environment);
}

static bool lmdb_holds(MDB_txn *transaction, int acknowledged)
{
    MDB_dbi space;
    if (mdb_dbi_open(transaction, NULL, 0, &space) != 0)
        return false;
    for (int i = 1; i <= acknowledged; i++) {
        MDB_val key = {sizeof(i), &i};
        MDB_val data;
        if (mdb_get(transaction, space, &key, &data) != 0 || data.mv_size != VALUE_BYTES)
            return false;
        for (int b = 0; b < VALUE_BYTES; b++) {
            if (((const char *)data.mv_data)[b] != 'a' + i % 26)
                return false;
        }
    }
    return true;
}

static bool lmdb_is_whole(const char *image, int acknowledged)
{
    MDB_txn *transaction;
    if (acknowledged == 0)
        return true; /* LMDB syncs no directory; before the first commit there may be nothing */
    MDB_env *environment = open_lmdb(image, 0);
    if (!environment)
        return false;
    bool good = false;
    if (mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction) == 0) {
        good = lmdb_holds(transaction, acknowledged);
        mdb_txn_abort(transaction);
    }
    mdb_env_close(environment);
    return good;
}

static void make_lmdb(void)
{
    begin();
    MDB_env *environment = open_lmdb("root", 0);
    CHECK(environment != NULL);
    mdb_env_close(environment);
}

TEST(lmdb_is_right, "Every acknowledged commit is in every image of an LMDB that was there before.")
{
    make_lmdb();
    fault_record_start("root", "log");
    run_lmdb();
    fault_record_stop();
    check_right(lmdb_is_whole, 1000);
}

TEST(lmdb_without_its_syncs_is_caught,
     "With the syncs of its data file swallowed some image is not whole.")
{
    make_lmdb();
    fault_swallow_syncs("data.mdb");
    fault_record_start("root", "log");
    run_lmdb();
    fault_record_stop();
    CHECK_UINT(fault_swallowed(), >=, COMMITS);
    /* A damaged tree may crash LMDB itself, which is caught as well. */
    int status;
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        close(STDERR_FILENO);
        _exit(check_images(lmdb_is_whole, 1).bad > 0 ? 1 : 0);
    }
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
