/*
 * The queue of jobs for workers: what a worker does with a job (queue.c), how it waits for one
 * (takes.c), and what operators see and do (queue_report.c).
 */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/jobs.h"
#include "generations/waiting.h"

#include <jini/queue.h>

/* ---- takes.c: workers that wait -------------------------------------------------------------- */

/* Jobs that one op of a take gives up, because they are due or cannot be read. */
enum { TAKE_DUE_MAX = 8, TAKE_ENDS_MAX = 16 };

/* A take under way; part of its request. */
struct take_work {
    struct jini_request *request;
    struct take_work *next;
    struct take_work *previous;
    uint64_t until_ns; /* boot time: how long it waits */
    bool waits;        /* it stands in the list */
    bool chosen;       /* its op counts as under way */

    /* Of the last run of the op: jobs that were given up on the way, and what is damaged. */
    size_t ended;
    struct job_end ends[TAKE_ENDS_MAX];
    struct job_damage damage;
};

/* What a worker takes, as of now. */
struct generations_serves take_serves(const struct jini *jini, const struct jini_job_take *take);

/* Runs its op, on any thread; 0: it goes on by itself, to its end or to takes_wait(). */
int take_run(struct take_work *work);

/* Ends it: frees the work, and hands the request back. */
void take_finish(struct take_work *work, int status);

struct takes;
struct takes *takes_new(struct jini *jini); /* NULL: out of memory */
void takes_stop(struct takes *takes);       /* ends those that wait with JINI_E_CANCELLED */
void takes_free(struct takes *takes);       /* both take NULL */

/* Its op has ended, however. */
void takes_ran(struct takes *takes, struct take_work *work);

/* Has a take wait until there may be a job for it, and then runs it; or ends it. */
void takes_wait(struct takes *takes, struct take_work *work);

/* Its request was cancelled: if it waits it ends, at once. */
void takes_cancel(struct takes *takes, const struct jini_request *request);

uint32_t takes_waiting(struct takes *takes);

/* The part of jini_metrics() about the queue. */
struct metrics_page;
void queue_metrics(struct jini *jini, struct metrics_page *page);

#endif
