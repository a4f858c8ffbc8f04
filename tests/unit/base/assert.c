/* The end of a process whose library is wrong. */
#include "base/assert.h"

#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(a_failed_assertion_says_where_and_aborts,
     "The message names expression, file and line, in every build.")
{
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    int pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        JINI_ASSERT(1 + 1 == 2);
        JINI_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char message[600] = "";
    ssize_t length = read(ends[0], message, sizeof(message) - 1);
    CHECK_INT(length, >, 0);
    int status;
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_CONTAINS(message, "assertion failed: 1 + 1 == 3");
    CHECK_CONTAINS(message, "assert.c:");
}
