/* See child.h. */
#include "child.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *read_all(int descriptor)
{
    size_t capacity = 64 * 1024;
    size_t length = 0;
    char *text = bench_alloc(capacity + 1, 1);
    for (;;) {
        ssize_t got = read(descriptor, text + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            bench_fail("cannot read what a child printed: %s", strerror(errno));
        if (got == 0 || length == capacity)
            return text;
        length += (size_t)got;
    }
}

/* 0, or why it could not be started. */
static int start(const char *program, char *const *arguments, bool quiet, pid_t *child, int *out)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0)
        bench_fail("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    if (quiet)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(child, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed)
        close(ends[0]);
    *out = ends[0];
    return failed;
}

char *child_output(const char *program, const char *const *arguments, bool quiet, bool *failed)
{
    pid_t child;
    int output;
    int status;
    *failed = true;
    if (start(program, (char *const *)(uintptr_t)arguments, quiet, &child, &output))
        return NULL;
    char *text = read_all(output);
    close(output);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    *failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return text;
}
