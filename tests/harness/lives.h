/*
 * Lives of a child that is killed in the middle of its work, one after the other.
 *
 * A life ends after a random number of pieces of work, and one in four while the child is still
 * opening what the life before left. Nothing goes by the clock alone: on a busy machine the time of
 * a life is over before anything was done, and a kill that meets no work proves nothing. For the
 * same reason there are more lives than were asked for while too little was done in them.
 *
 *     struct lives lives = {.lives = 60, .pieces = 40, .done_min = 300, .middle_min = 20};
 *     while (lives_go_on(&lives, true)) {
 *         fflush(NULL);
 *         pid_t pid = fork();
 *         if (pid == 0)
 *             work_for_ever(lives.told);    life_begin() before each piece, life_end() behind it
 *         lives_kill(&lives, pid);
 *         check_what_was_done();
 *     }
 *     lives_check(&lives);
 */
#ifndef LIVES_H
#define LIVES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a child tells of its life, in memory that both share and that a kill does not take. */
struct life {
    _Atomic uint64_t begun;
    _Atomic uint64_t done;
};

static inline void life_begin(struct life *life)
{
    atomic_fetch_add(&life->begun, 1);
}

static inline void life_end(struct life *life)
{
    atomic_fetch_add(&life->done, 1);
}

struct lives {
    /* In. */
    unsigned lives;      /* at least; up to ten times as many while too little was done */
    uint64_t pieces;     /* a life ends after 1 to so many of them */
    uint64_t done_min;   /* over all lives */
    uint64_t middle_min; /* lives that ended with a piece begun and not done */

    /* Out, all zero at first. `told` is of the life at work, or of the last one. */
    struct life *told;
    unsigned lived;
    uint64_t done;
    uint64_t middle;
    uint64_t opening_ns; /* from the birth of a child to the first piece that it had done */
};

/*
 * True when another life is due; then `told` is ready for it. `enough` is false while the test
 * itself has not seen all that it wants to see.
 */
bool lives_go_on(struct lives *lives, bool enough);

/* Kills the child of this life at a random point. Fails the case when it has ended by itself. */
void lives_kill(struct lives *lives, int pid);

/* That what was asked for was done, and prints what that was. */
void lives_check(const struct lives *lives);

#endif
