/*
 * Admissions in full, as a service makes them: rate limit, quota, parallel jobs, credits, the job's
 * record and an event. The users that are active are spread evenly over all of them, and each has a
 * grant of credits to draw from.
 */
#ifndef BENCH_ADMISSIONS_H
#define BENCH_ADMISSIONS_H

#include "arrivals.h"

/*
 * Has a prepared database charge a credit for each generation, and grants credits to users 1,
 * 1 + stride and so on, up to `users`. Without syncs, but synced at its end. Limits are lifted.
 */
void admissions_prepare(const char *path, uint64_t users, uint64_t active);

/* A source of admissions of active users drawn at random, one engine, one sender. */
struct admissions {
    struct jini *jini;
    uint64_t users;
    uint64_t active;
    uint64_t random;
    uint64_t sent;
    struct jini_id *jobs; /* that run, JOBS_MAX at most */
    uint64_t job_count;
};

enum { ADMISSIONS_JOBS_MAX = 1 << 20 };

void admissions_open(const char *path, uint64_t users, uint64_t active, struct admissions *out);
void admissions_close(struct admissions *admissions);

/* The id of an active user, by number from 0. */
uint64_t admissions_user(const struct admissions *admissions, uint64_t number);

/* What arrivals send. */
struct arrivals_work admissions_work(struct admissions *admissions);

/* Settles all jobs that run, many at once. */
void admissions_settle(struct admissions *admissions);

#endif
