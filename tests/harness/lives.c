/* When a child is killed: see lives.h. */
#include "lives.h"

#include "harness_private.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIVES_FACTOR = 10, OPENING_ONE_IN = 4, POLL_NS = 50000 };

/* How long opening takes when no life has told yet, and the most that is waited behind a piece. */
enum { OPENING_GUESS_NS = 5000000, PIECE_NS_MAX = 100000000 };

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void pause_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)}, NULL);
}

bool lives_go_on(struct lives *lives, bool enough)
{
    if (!lives->told) {
        lives->told = mmap(NULL, sizeof(*lives->told), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(lives->told != MAP_FAILED);
    }
    atomic_store(&lives->told->begun, 0);
    atomic_store(&lives->told->done, 0);
    enough = enough && lives->done >= lives->done_min && lives->middle >= lives->middle_min;
    return lives->lived < lives->lives || (!enough && lives->lived < lives->lives * LIVES_FACTOR);
}

/* Waits until so many pieces are done, and tells when the first was. */
static uint64_t wait_for_pieces(const struct lives *lives, int pid, uint64_t pieces)
{
    uint64_t first_ns = 0;
    while (atomic_load(&lives->told->done) < pieces || first_ns == 0) {
        if (first_ns == 0 && atomic_load(&lives->told->done) > 0)
            first_ns = now_ns();
        siginfo_t ended = {0};
        CHECK_INT(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT), ==, 0);
        if (ended.si_pid == pid)
            return first_ns; /* lives_kill() tells of it */
        pause_ns(POLL_NS);
    }
    return first_ns;
}

/* Into the middle of the piece that comes: as long as one has taken so far, at most. */
static void live_on(const struct lives *lives, uint64_t first_ns)
{
    uint64_t done = atomic_load(&lives->told->done);
    uint64_t piece_ns = (now_ns() - first_ns) / (done ? done : 1);
    pause_ns(harness_random_below(piece_ns < PIECE_NS_MAX ? piece_ns + 1 : PIECE_NS_MAX));
}

void lives_kill(struct lives *lives, int pid)
{
    uint64_t born_ns = now_ns();
    int status;
    CHECK_INT(pid, >, 0);
    if (harness_random_below(OPENING_ONE_IN) == 0) {
        uint64_t opening_ns = lives->opening_ns ? lives->opening_ns : OPENING_GUESS_NS;
        pause_ns(harness_random_below(opening_ns));
    } else {
        uint64_t pieces = 1 + harness_random_below(lives->pieces);
        uint64_t first_ns = wait_for_pieces(lives, pid, pieces);
        lives->opening_ns = first_ns - born_ns;
        live_on(lives, first_ns);
    }
    kill(pid, SIGKILL);
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        harness_told_crash();
        harness_fail(__FILE__, __LINE__, "the child ended before it was killed, by %s %d",
                     WIFSIGNALED(status) ? "signal" : "exit",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    uint64_t done = atomic_load(&lives->told->done);
    lives->lived++;
    lives->done += done;
    lives->middle += atomic_load(&lives->told->begun) > done;
}

void lives_check(const struct lives *lives)
{
    printf("     %u lives, %" PRIu64 " pieces of work done, %" PRIu64 " lives ended in one\n",
           lives->lived, lives->done, lives->middle);
    CHECK_UINT(lives->done, >=, lives->done_min);
    CHECK_UINT(lives->middle, >=, lives->middle_min);
}
