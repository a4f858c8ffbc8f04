/* Admissions of random users, and their settling, many at once. */
#ifndef BENCH_GENERATIONS_H
#define BENCH_GENERATIONS_H

#include "bench.h"

#include <jini/jini.h>

struct generations {
    struct jini *jini;
    uint64_t users;      /* the ids 1 to this */
    uint64_t count;      /* of generations */
    unsigned in_flight;  /* 1: one after the other, each call waiting for its end */
    uint64_t *random;    /* NULL: spread evenly, in order */
    bool may_be_refused; /* a limit that refuses is no failure */

    /* Private. */
    uint64_t next;
};

/* Runs them all. Ends the process when one fails. */
void generations_run(struct generations *generations);

#endif
