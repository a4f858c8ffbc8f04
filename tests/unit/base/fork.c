/* Telling a child from its parent. */
#include "base/fork.h"

#include "harness.h"

#include <pthread.h>
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
