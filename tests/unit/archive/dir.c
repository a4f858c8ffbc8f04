/* What is particular to the directory driver: its URL, its format, hostile directories,
 * temporaries. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void write_file(const char *path, const char *text)
{
    close(make_file(path, text, strlen(text)));
}

static int try_open(const char *url, enum archive_mode mode, struct jini_error *error)
{
    struct archive_options options = test_options(mode);
    struct archive *archive = NULL;
    int status = archive_open(url, &options, &archive, error);
    CHECK((status == 0) == (archive != NULL));
    archive_close(archive);
    return status;
}

/* URLs and roots. */

TEST(urls_name_a_directory,
     "An absolute and a relative path, with and without slashes, name the same archive.")
{
    char url[600];
    struct jini_error error;
    CHECK_OK(try_open("dir:archive", ARCHIVE_CREATE, &error));
    snprintf(url, sizeof(url), "dir://%s", harness_path("archive"));
    CHECK_OK(try_open(url, ARCHIVE_OPEN_EXISTING, &error));
    snprintf(url, sizeof(url), "dir:%s/", harness_path("archive"));
    CHECK_OK(try_open(url, ARCHIVE_OPEN_EXISTING, &error));
    CHECK_OK(try_open("dir:./archive", ARCHIVE_OPEN_EXISTING, &error));
}

TEST(malformed_urls_are_refused,
     "A URL without scheme, path or with a host is refused, and the message says what to write.")
{
    static const struct {
        const char *url;
        const char *part;
    } rows[] = {
        {"", "dir:"},
        {"archive", "dir:, fault:"},
        {"ftp://host/path", "\"ftp\" is no kind of archive; a URL begins with one of dir:, fault:"},
        {"dirs:archive", "dir:"},
        {"dir:", "the path is empty"},
        {"dir://host/path", "has a host"},
        {"dir://", "has a host"},
        {"fault:", "fault:SPEC:URL"},
        {"fault:x", "fault:SPEC:URL"},
        {"fault::fault::dir:archive", "fault:SPEC:URL"},
        {"fault::nothing", "no kind of archive"}};
    struct jini_error error;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STATUS(try_open(rows[i].url, ARCHIVE_CREATE, &error), JINI_E_INVALID);
        CHECK_CONTAINS(error.message, rows[i].part);
    }
    static char longest[ARCHIVE_URL_MAX + 2];
    memset(longest, 'x', sizeof(longest) - 1);
    memcpy(longest, "dir:", 4);
    CHECK_STATUS(try_open(longest, ARCHIVE_CREATE, &error), JINI_E_INVALID);
    CHECK_STATUS(try_open(NULL, ARCHIVE_CREATE, &error), JINI_E_INVALID);
}

TEST(missing_archive_is_not_found,
     "What is not there, or was never made an archive, is not found unless it is created.")
{
    struct jini_error error;
    CHECK_STATUS(try_open("dir:none", ARCHIVE_OPEN_EXISTING, &error), JINI_E_NOT_FOUND);
    CHECK_CONTAINS(error.message, "mount the disk");
    CHECK_CONTAINS(error.message, "none");
    CHECK_INT(mkdir("empty", 0700), ==, 0);
    CHECK_STATUS(try_open("dir:empty", ARCHIVE_OPEN_EXISTING, &error), JINI_E_NOT_FOUND);
    CHECK_CONTAINS(error.message, "holds no archive");
    CHECK_STATUS(try_open("dir:none/deeper", ARCHIVE_CREATE, &error), JINI_E_NOT_FOUND);
    CHECK_OK(try_open("dir:empty", ARCHIVE_CREATE, &error));
    CHECK_OK(try_open("dir:empty", ARCHIVE_CREATE, &error));
    CHECK_OK(try_open("dir:empty", ARCHIVE_OPEN_EXISTING, &error));
}

TEST(a_new_archive_is_no_other_one,
     "Where an archive is, a new one is refused, and that one stays; an empty place, or none, "
     "becomes one.")
{
    struct jini_error error;
    CHECK_OK(try_open("dir:new", ARCHIVE_CREATE_NEW, &error));
    CHECK_STATUS(try_open("dir:new", ARCHIVE_CREATE_NEW, &error), JINI_E_EXISTS);
    CHECK_CONTAINS(error.message, "new");
    CHECK_OK(try_open("dir:new", ARCHIVE_OPEN_EXISTING, &error));
    CHECK_INT(mkdir("empty", 0700), ==, 0);
    CHECK_OK(try_open("dir:empty", ARCHIVE_CREATE_NEW, &error));
    write_file("file", "dear");
    CHECK_STATUS(try_open("dir:file", ARCHIVE_CREATE_NEW, &error), JINI_E_INVALID);
}

TEST(directory_in_use_is_not_taken,
     "A directory with files of somebody else, or a file, does not become an archive.")
{
    struct jini_error error;
    CHECK_INT(mkdir("home", 0700), ==, 0);
    write_file("home/letter", "dear");
    CHECK_STATUS(try_open("dir:home", ARCHIVE_CREATE, &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "not empty");
    CHECK_STATUS(try_open("dir:home", ARCHIVE_CREATE_NEW, &error), JINI_E_INVALID);
    CHECK_INT(access("home/.jini-archive", F_OK), ==, -1);
    CHECK_STATUS(try_open("dir:home/letter", ARCHIVE_CREATE, &error), JINI_E_INVALID);
    CHECK_STATUS(try_open("dir:home/letter", ARCHIVE_OPEN_EXISTING, &error), JINI_E_INVALID);
    CHECK_INT(mkdir("disk", 0700), ==, 0);
    CHECK_INT(mkdir("disk/lost+found", 0700), ==, 0);
    CHECK_OK(try_open("dir:disk", ARCHIVE_CREATE, &error));
}

TEST(other_versions_are_refused,
     "An archive of a newer format, or with a damaged marker, is not opened.")
{
    struct jini_error error;
    CHECK_OK(try_open("dir:archive", ARCHIVE_CREATE, &error));
    write_file("archive/.jini-archive", "jini-archive 2\n");
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error), JINI_E_FORMAT);
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_CREATE, &error), JINI_E_FORMAT);
    write_file("archive/.jini-archive", "");
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error), JINI_E_CORRUPT);
    write_file("archive/.jini-archive", "jini-archive 1\n and more");
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error), JINI_E_FORMAT);
    write_file("archive/.jini-archive", "something else");
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error), JINI_E_CORRUPT);
    write_file("archive/.jini-archive", "jini-archive 1\n");
    CHECK_OK(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error));
}

TEST(several_create_at_once, "Processes that create one archive at the same time all open it.")
{
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        CHECK_INT(children[i], >=, 0);
        if (children[i] == 0) {
            struct archive *archive = test_open("dir:archive");
            int status = test_put_text(archive, "one", "1");
            CHECK(status == 0 || status == JINI_E_EXISTS);
            archive_close(archive);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++)
        harness_wait_exit(children[i], 0);
    struct archive *archive = test_open("dir:archive");
    check_text(archive, "one", "1");
    archive_close(archive);
}

TEST(object_is_a_file_of_its_name,
     "The format on disk: each object is a plain file below the root, with its bytes alone.")
{
    char text[32] = {0};
    struct archive *archive = test_open("dir:archive");
    CHECK_OK(test_put_text(archive, "packs/2026/a.pack", "bytes"));
    archive_close(archive);
    int fd = open("archive/packs/2026/a.pack", O_RDONLY);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(read(fd, text, sizeof(text)), ==, 5);
    CHECK_TEXT(text, "bytes");
    close(fd);
    fd = open("archive/.jini-archive", O_RDONLY);
    CHECK_INT(read(fd, text, sizeof(text)), ==, 15);
    CHECK_TEXT(text, "jini-archive 1\n");
    close(fd);
}

/* Hostile directories. */

TEST(links_do_not_lead_out, "Symbolic links below the root are never followed, by no operation.")
{
    char buffer[32];
    size_t length;
    uint64_t size;
    CHECK_INT(mkdir("outside", 0700), ==, 0);
    write_file("outside/secret", "secret");
    struct archive *archive = test_open("dir:archive");
    CHECK_INT(symlink("../outside", "archive/way"), ==, 0);
    CHECK_INT(symlink("../outside/secret", "archive/file"), ==, 0);
    CHECK_INT(symlink("nowhere", "archive/dangling"), ==, 0);
    CHECK_STATUS(test_put_text(archive, "way/planted", "x"), JINI_E_CONFLICT);
    CHECK_STATUS(test_get(archive, "way/secret", buffer, 32, &length), JINI_E_NOT_FOUND);
    CHECK_STATUS(test_head(archive, "way/secret", &size), JINI_E_NOT_FOUND);
    CHECK_OK(test_delete(archive, "way/secret"));
    CHECK_STATUS(test_get(archive, "file", buffer, 32, &length), JINI_E_CORRUPT);
    CHECK_STATUS(test_head(archive, "file", &size), JINI_E_CORRUPT);
    CHECK_STATUS(test_put_text(archive, "file", "x"), JINI_E_EXISTS);
    CHECK_STATUS(test_put_text(archive, "dangling", "x"), JINI_E_EXISTS);
    CHECK_TEXT(test_list(archive, "")->text, "");
    CHECK_OK(test_delete(archive, "file"));
    CHECK_INT(access("outside/secret", F_OK), ==, 0);
    CHECK_INT(access("outside/planted", F_OK), ==, -1);
    archive_close(archive);
}

TEST(link_in_place_of_the_temporaries_is_refused,
     "When .tmp is a link, nothing is written where it points.")
{
    struct archive *archive = test_open("dir:archive");
    CHECK_INT(rmdir("archive/.tmp"), ==, 0);
    CHECK_INT(mkdir("outside", 0700), ==, 0);
    CHECK_INT(symlink("../outside", "archive/.tmp"), ==, 0);
    CHECK_STATUS(test_put_text(archive, "o", "x"), JINI_E_ARCHIVE);
    CHECK_INT(rmdir("outside"), ==, 0);
    archive_close(archive);
}

TEST(removed_root_is_told,
     "When somebody removes the whole archive, a PUT says so and makes nothing up.")
{
    struct archive *archive = test_open("dir:archive");
    CHECK_INT(rmdir("archive/.tmp"), ==, 0);
    CHECK_INT(unlink("archive/.jini-archive"), ==, 0);
    CHECK_INT(rmdir("archive"), ==, 0);
    CHECK_STATUS(test_put_text(archive, "o", "x"), JINI_E_POISONED);
    CHECK_STATUS(test_put_text(archive, "d/o", "x"), JINI_E_POISONED);
    CHECK_INT(access("archive", F_OK), ==, -1);
    archive_close(archive);
}

TEST(moved_root_is_told,
     "What was renamed, or has another directory in its place, is neither written nor read.")
{
    char buffer[8];
    size_t length;
    uint64_t size;
    struct archive *archive = test_open("dir:archive");
    CHECK_OK(test_put_text(archive, "o", "x"));
    CHECK_INT(rename("archive", "elsewhere"), ==, 0);
    CHECK_STATUS(test_put_text(archive, "p", "x"), JINI_E_POISONED);
    CHECK_STATUS(test_head(archive, "o", &size), JINI_E_POISONED);
    CHECK_INT(mkdir("archive", 0700), ==, 0);
    CHECK_STATUS(test_get(archive, "o", buffer, 8, &length), JINI_E_POISONED);
    CHECK_STATUS(test_delete(archive, "o"), JINI_E_POISONED);
    CHECK_INT(rmdir("archive"), ==, 0);
    CHECK_INT(rename("elsewhere", "archive"), ==, 0);
    CHECK_OK(test_get(archive, "o", buffer, 8, &length));
    archive_close(archive);
}

TEST(relative_path_is_of_the_opening,
     "A relative path means the working directory of when the archive was opened.")
{
    struct archive *archive = test_open("dir:archive");
    CHECK_INT(mkdir("elsewhere", 0700), ==, 0);
    CHECK_INT(chdir("elsewhere"), ==, 0);
    CHECK_OK(test_put_text(archive, "o", "x"));
    CHECK_INT(chdir(".."), ==, 0);
    check_text(archive, "o", "x");
    archive_close(archive);
}

TEST(special_files_are_no_objects,
     "A FIFO or a socket under an object's name neither hangs a GET nor is listed.")
{
    char buffer[8];
    size_t length;
    uint64_t size;
    struct archive *archive = test_open("dir:archive");
    CHECK_INT(mkfifo("archive/pipe", 0600), ==, 0);
    CHECK_STATUS(test_get(archive, "pipe", buffer, 8, &length), JINI_E_CORRUPT);
    CHECK_STATUS(test_head(archive, "pipe", &size), JINI_E_CORRUPT);
    CHECK_UINT(test_list(archive, "")->count, ==, 0);
    archive_close(archive);
}

TEST(foreign_names_are_not_listed, "Files whose names no object can have are left out of listings.")
{
    struct archive *archive = test_open("dir:archive");
    CHECK_OK(test_put_text(archive, "good", "1"));
    write_file("archive/bad\nname", "x");
    write_file("archive/bad\\name", "x");
    write_file("archive/bad\xff", "x");
    write_file("archive/.hidden", "x");
    CHECK_INT(mkdir("archive/.dot", 0700), ==, 0);
    write_file("archive/.dot/inside", "x");
    CHECK_INT(mkdir("archive/lost+found", 0700), ==, 0);
    write_file("archive/lost+found/inside", "x");
    CHECK_TEXT(test_list(archive, "")->text, "good");
    archive_close(archive);
}

TEST(trees_too_deep_are_not_listed,
     "Directories deeper than any name are left out, and use no more memory.")
{
    char path[600] = "archive";
    struct archive *archive = test_open("dir:archive");
    for (int i = 0; i < 40; i++) {
        strncat(path, "/d", sizeof(path) - strlen(path) - 1);
        CHECK_INT(mkdir(path, 0700), ==, 0);
        char file[700];
        snprintf(file, sizeof(file), "%s/f", path);
        write_file(file, "x");
    }
    CHECK_UINT(test_list(archive, "")->count, ==, 15);
    archive_close(archive);
}

/* Temporaries. */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static struct archive_statistics open_with_age(uint64_t age_ms)
{
    struct archive_options options = test_options(ARCHIVE_OPEN_EXISTING);
    struct archive *archive = NULL;
    struct archive_statistics statistics;
    options.temporary_age_ms = age_ms;
    CHECK_OK(archive_open("dir:archive", &options, &archive, NULL));
    archive_statistics(archive, &statistics);
    archive_close(archive);
    return statistics;
}

static void set_age(const char *path, int64_t seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

TEST(leftovers_are_collected,
     "Opening removes temporaries that are old and unlocked, and counts them.")
{
    archive_close(test_open("dir:archive"));
    write_file("archive/.tmp/old", "x");
    write_file("archive/.tmp/young", "x");
    write_file("archive/.tmp/future", "x");
    CHECK_INT(mkdir("archive/.tmp/directory", 0700), ==, 0);
    CHECK_INT(symlink("../o", "archive/.tmp/link"), ==, 0);
    set_age("archive/.tmp/old", 700);
    set_age("archive/.tmp/young", 500);
    set_age("archive/.tmp/future", -700);
    CHECK_UINT(open_with_age(600 * 1000).temporaries_collected, ==, 2);
    CHECK(!exists("archive/.tmp/old"));
    CHECK(!exists("archive/.tmp/future"));
    CHECK(exists("archive/.tmp/young"));
    CHECK(exists("archive/.tmp/directory"));
    CHECK_UINT(open_with_age(0).temporaries_collected, ==, 1);
    CHECK(!exists("archive/.tmp/young"));
}

TEST(locked_temporaries_stay,
     "What a live process is writing is not collected, however old; once it is dead, it is.")
{
    archive_close(test_open("dir:archive"));
    int pipes[2];
    CHECK_INT(pipe(pipes), ==, 0);
    pid_t child = fork();
    CHECK_INT(child, >=, 0);
    if (child == 0) {
        int fd = make_file("archive/.tmp/theirs", "x", 1);
        CHECK_INT(flock(fd, LOCK_EX), ==, 0);
        CHECK_INT(write(pipes[1], "x", 1), ==, 1);
        for (;;)
            pause();
    }
    char byte;
    CHECK_INT(read(pipes[0], &byte, 1), ==, 1);
    CHECK_INT(kill(child, SIGSTOP), ==, 0);
    set_age("archive/.tmp/theirs", 100000);
    CHECK_UINT(open_with_age(0).temporaries_collected, ==, 0);
    CHECK(exists("archive/.tmp/theirs"));
    CHECK_INT(kill(child, SIGKILL), ==, 0);
    CHECK_INT(waitpid(child, NULL, 0), ==, child);
    CHECK_UINT(open_with_age(0).temporaries_collected, ==, 1);
    CHECK(!exists("archive/.tmp/theirs"));
}

TEST(collecting_beside_putting_harms_nobody,
     "Archives opened with an age of zero while others put lose no object.")
{
    enum { OBJECTS = 60 };
    archive_close(test_open("dir:archive"));
    pid_t child = fork();
    CHECK_INT(child, >=, 0);
    if (child == 0) {
        for (;;)
            open_with_age(0);
    }
    struct archive *archive = test_open("dir:archive");
    uint8_t *bytes = make_bytes(50000, 1);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "o/%u", i);
        CHECK_OK(test_put(archive, name, bytes, 50000));
    }
    CHECK_INT(kill(child, SIGKILL), ==, 0);
    CHECK_INT(waitpid(child, NULL, 0), ==, child);
    CHECK_UINT(test_list(archive, "o/")->count, ==, OBJECTS);
    CHECK_UINT(test_list(archive, "o/")->bytes, ==, OBJECTS * 50000);
    archive_close(archive);
}

/* Threads. */

static int wait_at_entry(struct archive_request *request, const struct archive_entry *entry)
{
    (void)entry;
    gate_pass(request->user);
    return 0;
}

TEST(one_thread_is_kept_for_reading,
     "However many slow requests run or wait, a GET and a HEAD get through.")
{
    struct gate gate = GATE_INITIALIZER;
    struct archive *archive = test_open("dir:archive");
    struct archive_request slow[5];
    uint64_t size;
    CHECK_OK(test_put_text(archive, "o", "x"));
    for (int i = 0; i < 5; i++) {
        slow[i] = (struct archive_request){.operation = ARCHIVE_LIST,
                                           .user = &gate,
                                           .list = {.entry = wait_at_entry, .entries_max = 1}};
        CHECK_OK(archive_submit(archive, &slow[i]));
    }
    gate_await(&gate, 1);
    check_text(archive, "o", "x");
    CHECK_OK(test_head(archive, "o", &size));
    usleep(10000);
    CHECK_UINT(gate.arrived, ==, 1);
    gate_open(&gate);
    for (int i = 0; i < 5; i++)
        CHECK_OK(archive_wait(archive, &slow[i]));
    archive_close(archive);
}

TEST(signals_of_the_process_are_left_alone,
     "A signal for the process is never handled on a thread of the archive.")
{
    struct archive *archive = test_open("dir:archive");
    sigset_t set;
    siginfo_t info;
    struct timespec none = {0, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(test_put_text(archive, "o", "x"));
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, NULL), ==, 0);
    CHECK_INT(kill(getpid(), SIGUSR1), ==, 0); /* would end the process if another thread took it */
    check_text(archive, "o", "x");
    CHECK_INT(sigtimedwait(&set, &info, &none), ==, SIGUSR1);
    archive_close(archive);
}

/* Bounds of the system. */

TEST(file_size_limit_is_full,
     "Past RLIMIT_FSIZE a PUT answers FULL, the process lives, and nothing is left.")
{
    struct archive *archive = test_open("dir:archive");
    uint8_t *bytes = make_bytes(100000, 1);
    struct rlimit limit = {.rlim_cur = 50000, .rlim_max = RLIM_INFINITY};
    uint64_t size;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    CHECK_STATUS(test_put(archive, "large", bytes, 100000), JINI_E_FULL);
    CHECK_STATUS(test_head(archive, "large", &size), JINI_E_NOT_FOUND);
    CHECK_OK(test_put(archive, "small", bytes, 50000));
    CHECK_INT(rmdir("archive/.tmp"), ==, 0); /* empty */
    archive_close(archive);
}

/* Runs `body` as a user who may not do everything. */
static void as_nobody(void (*body)(void))
{
    CHECK_INT(chmod(harness_directory(), 0777), ==, 0);
    pid_t child = fork();
    CHECK_INT(child, >=, 0);
    if (child == 0) {
        if (geteuid() == 0) {
            CHECK_INT(setgroups(0, NULL), ==, 0);
            CHECK_INT(setgid(65534), ==, 0);
            CHECK_INT(setuid(65534), ==, 0);
        }
        body();
        _exit(0);
    }
    harness_wait_exit(child, 0);
}

static void use_unwritable(void)
{
    struct jini_error error;
    struct archive *archive = test_open("dir:archive");
    CHECK_OK(test_put_text(archive, "d/one", "1"));
    CHECK_INT(chmod("archive/.tmp", 0555), ==, 0);
    struct archive_extent extent = archive_memory("x", 1);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text("d/two"),
                                      .put = {.extents = &extent, .extent_count = 1}};
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_IO);
    CHECK_CONTAINS(error.message, "archive/.tmp");
    CHECK_CONTAINS(error.message, "Permission denied");
    CHECK_INT(chmod("archive/.tmp", 0755), ==, 0);
    CHECK_INT(chmod("archive/d", 0555), ==, 0);
    CHECK_STATUS(archive_run(archive, &request, &error), JINI_E_IO);
    CHECK_CONTAINS(error.message, "Permission denied");
    CHECK_STATUS(test_delete(archive, "d/one"), JINI_E_IO);
    check_text(archive, "d/one", "1");
    CHECK_INT(chmod("archive/d", 0000), ==, 0);
    CHECK_STATUS(
        test_walk(archive, slice_of(NULL, 0), collect_name, &(struct test_names){0}, &error),
        JINI_E_IO);
    CHECK_INT(chmod("archive/d", 0755), ==, 0);
    CHECK_OK(archive_run(archive, &request, &error));
    archive_close(archive);
    CHECK_INT(chmod("archive", 0000), ==, 0);
    CHECK_STATUS(try_open("dir:archive", ARCHIVE_OPEN_EXISTING, &error), JINI_E_IO);
    CHECK_CONTAINS(error.message, "Permission denied");
    CHECK_INT(chmod("archive", 0755), ==, 0);
    CHECK_INT(mkdir("locked", 0555), ==, 0);
    CHECK_STATUS(try_open("dir:locked", ARCHIVE_CREATE, &error), JINI_E_IO);
    CHECK_STATUS(try_open("dir:locked/new", ARCHIVE_CREATE, &error), JINI_E_IO);
}

TEST(unwritable_directories_are_told,
     "Where permissions lack, PUT, DELETE, LIST and opening say so, and reading goes on.")
{
    as_nobody(use_unwritable);
}

TEST(descriptors_do_not_leak,
     "After many requests of every kind, good and bad, as many descriptors are open as before.")
{
    char buffer[8];
    size_t length;
    uint64_t size;
    int before = open("/dev/null", O_RDONLY);
    close(before);
    for (int round = 0; round < 5; round++) {
        struct archive *archive = test_open("dir:archive");
        (void)test_put_text(archive, "a/b/c", "x");
        CHECK_STATUS(test_put_text(archive, "a/b/c/d", "x"), JINI_E_CONFLICT);
        CHECK_STATUS(test_put_text(archive, "a/b", "x"), JINI_E_CONFLICT);
        CHECK_OK(test_get(archive, "a/b/c", buffer, 8, &length));
        CHECK_STATUS(test_get(archive, "a/b/x", buffer, 8, &length), JINI_E_NOT_FOUND);
        CHECK_STATUS(test_get(archive, "a/b", buffer, 8, &length), JINI_E_NOT_FOUND);
        CHECK_STATUS(test_head(archive, "a/b", &size), JINI_E_NOT_FOUND);
        CHECK_UINT(test_list(archive, "")->count, ==, 1);
        CHECK_OK(test_delete(archive, "a/none"));
        archive_close(archive);
        struct jini_error error;
        CHECK_STATUS(try_open("dir:archive/a/b/c", ARCHIVE_CREATE, &error), JINI_E_INVALID);
    }
    int after = open("/dev/null", O_RDONLY);
    CHECK_INT(after, ==, before);
    close(after);
}
