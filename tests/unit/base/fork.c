/* Telling a child from its parent, and keeping files from it. */
#include "base/fork.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

TEST(every_fork_is_another_generation,
     "Child and grandchild differ from their parents, which keep theirs.")
{
    uint32_t parent = fork_generation();
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        uint32_t child = fork_generation();
        CHECK_UINT(child, !=, parent);
        int grandchild = fork();
        CHECK_INT(grandchild, >=, 0);
        if (grandchild == 0) {
            CHECK_UINT(fork_generation(), !=, child);
            CHECK_UINT(fork_generation(), !=, parent);
            _exit(0);
        }
        harness_wait_exit(grandchild, 0);
        CHECK_UINT(fork_generation(), ==, child);
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    CHECK_UINT(fork_generation(), ==, parent);
}

static void *fork_here(void *argument)
{
    const uint32_t *parent = argument;
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0)
        _exit(fork_generation() != *parent ? 0 : 1);
    harness_wait_exit(pid, 0);
    return NULL;
}

TEST(a_fork_on_any_thread_counts, "A child that a second thread forks differs too.")
{
    uint32_t parent = fork_generation();
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, fork_here, &parent), ==, 0);
    CHECK_INT(pthread_join(thread, NULL), ==, 0);
    CHECK_UINT(fork_generation(), ==, parent);
}

static void open_new(struct fork_file *file, const char *name)
{
    int flags = O_RDWR | O_CREAT | O_EXCL;
    CHECK_INT(fork_file_open(file, AT_FDCWD, harness_path("%s", name), flags, 0600), ==, 0);
    CHECK(file->descriptor >= 0);
    CHECK_INT(fcntl(file->descriptor, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

TEST(a_child_has_the_files_closed,
     "A file is closed in a child, which may close it again, and goes on in the parent.")
{
    enum { FILES = 4 };
    static const char *const names[FILES] = {"a", "b", "c", "d"};
    struct fork_file files[FILES];
    int numbers[FILES];
    for (int i = 0; i < FILES; i++) {
        open_new(&files[i], names[i]);
        numbers[i] = files[i].descriptor;
    }
    fork_file_close(&files[1]); /* between two others */
    CHECK_INT(files[1].descriptor, ==, -1);
    fork_file_close(&files[1]);
    CHECK_INT(fork_file_open(&files[1], AT_FDCWD, harness_path("none/b"), O_RDONLY, 0), ==, ENOENT);
    CHECK_INT(files[1].descriptor, ==, -1);
    int pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < FILES; i++) {
            CHECK_INT(files[i].descriptor, ==, -1);
            CHECK_INT(fcntl(numbers[i], F_GETFD), ==, -1);
        }
        struct fork_file own;
        open_new(&own, "own");
        for (int i = 0; i < FILES; i++)
            fork_file_close(&files[i]);
        CHECK_INT(fcntl(own.descriptor, F_GETFD), ==, FD_CLOEXEC);
        fork_file_close(&own);
        _exit(0);
    }
    harness_wait_exit(pid, 0);
    for (int i = 0; i < FILES; i++) {
        if (i != 1)
            CHECK_INT(write(files[i].descriptor, "x", 1), ==, 1);
        fork_file_close(&files[i]);
        CHECK_INT(files[i].descriptor, ==, -1);
        CHECK_INT(fcntl(numbers[i], F_GETFD), ==, -1);
    }
}

static void *open_and_close(void *argument)
{
    const atomic_bool *stop = argument;
    struct fork_file files[3];
    while (!atomic_load(stop)) {
        for (int i = 0; i < 3; i++)
            CHECK_INT(fork_file_open(&files[i], AT_FDCWD, harness_path("shared"), O_RDWR, 0), ==,
                      0);
        for (int i = 0; i < 3; i++)
            fork_file_close(&files[i]);
    }
    return NULL;
}

/* How many descriptors of this process lead to the file. */
static int count_open(const char *path)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++) {
        char link[64];
        char target[512];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        count += strcmp(target, path) == 0;
    }
    return count;
}

TEST(no_fork_slips_between_opening_and_listing,
     "Whenever a child is forked beside threads that open and close files, it has none of them.")
{
    enum { THREADS = 2, FORKS = 100 };
    struct fork_file file;
    open_new(&file, "shared");
    char path[512];
    snprintf(path, sizeof(path), "%s", harness_path("shared"));
    CHECK_INT(count_open(path), ==, 1);
    atomic_bool stop = false;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, open_and_close, &stop), ==, 0);
    for (int i = 0; i < FORKS; i++) {
        int pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            _exit(count_open(path));
        harness_wait_exit(pid, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
    CHECK_INT(count_open(path), ==, 1);
    fork_file_close(&file);
}
