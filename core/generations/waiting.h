/*
 * The queue of jobs for workers: which of them is next.
 *
 *                            take                          settled, failed for good, cancelled
 *     created --> READY ----------------> TAKEN ----------------------------------> ended
 *                   ^  '-- its wait is over, cancelled --> ended       |
 *                   |                                                  |  the lease is over
 *                   |<-------------------------------------------------|
 *                   '----------- DELAYED <-----------------------------'  failed, to be tried again
 *                     its time is there
 *
 * READY and DELAYED jobs are IN_QUEUE, TAKEN ones IN_PROGRESS. Each take is an attempt, and its
 * number tells its holder from those before: a change by a number that is not the newest is a
 * conflict and changes nothing.
 *
 * The order. The READY jobs of one model and one priority are a line. A line is served in rounds,
 * and a user, or an address of anonymous clients, has one job in each: a new job's round is the
 * next after the line's own (that of the job taken last, or of a later one) and after those of all
 * jobs of its user that stand in the line, and within a round the older job comes first. So a
 * user's next job waits for two jobs of each other user at most, however many those have (for more
 * where jobs of the same user were cancelled before it). A job that comes back keeps its round,
 * which is past, and so comes first.
 *
 * Between lines the higher priority goes first, and among equal ones the line whose first job is
 * the oldest; each `aging_ms` that this job has waited raises its line by one. So a low priority
 * waits, but not for ever.
 *
 * Costs. Every step touches a few rows of a space that is as small as what waits; none depends on
 * how much waits but by log(n). Choosing reads one row for each priority, or for each model that
 * the worker serves and its priorities.
 *
 * Rows, space WAITING. P is JINI_QUEUE_PRIORITY_MAX - priority, so that the highest comes first.
 *
 *   (text "line", text model, uint P)
 *       document: 1 the line's round; 2 to 4 jobs that are READY, DELAYED, TAKEN; 5 round, 6 time
 *       of creation and 7 id of the first READY one. There while the line has a job
 *   (text "rank", uint P)
 *       document: 1 to 3 as 2 to 4 above, of all lines of a priority; ever: 4 taken, 5 completed,
 *       6 retried, 7 returned. Stays
 *   (text "head", uint P, uint created_ms, text model)
 *       empty: a line that has a READY job, by the first of them
 *   (text "turn", text model, uint P, uint round, id)
 *       a READY job; 8 bytes: created_ms, little-endian
 *   (text "flow", text model, uint P, uint user, bytes address, uint round)
 *       a job of the user that has not ended; 16 bytes: its id
 */
#ifndef GENERATIONS_WAITING_H
#define GENERATIONS_WAITING_H

#include "generations/generations.h"

struct generations_check;

/* Which jobs a worker takes. */
struct generations_serves {
    const char *const *models;
    uint32_t model_count; /* 0: it serves all */
    uint64_t now_ms;
    uint64_t aging_ms; /* 0: a lower priority waits for as long as there is a higher one */
};

/* JINI_E_BUSY ("queue"): as many jobs wait as may; `waiting_max` 0: any number may. */
int generations_waiting_room(struct store_txn *txn, uint64_t waiting_max, struct jini_error *error);

/* How many jobs are READY, and how many DELAYED; a damaged row counts none. */
int generations_waiting_count(struct store_txn *txn, uint64_t *ready, uint64_t *delayed);

/*
 * Whether a take may find a job for a worker. A row that leads to none promises one until a take
 * has come to it, which mends that. JINI_E_NOT_FOUND, with no words: none waits for it.
 */
int generations_waiting_any(struct store_txn *txn, const struct generations_serves *serves,
                            struct jini_error *error);

struct generations_take {
    struct generations_serves serves;
    const char *worker; /* its name, up to JINI_WORKER_NAME_MAX - 1 bytes */
    uint64_t lease_ms;

    /* Out. */
    struct jini_job job; /* IN_PROGRESS; `attempt` is the holder's number */
    uint32_t damaged;    /* rows that led to no job that can be taken, and are gone now */
    struct jini_id damaged_id;
};

/* Takes the next job. JINI_E_NOT_FOUND, with no words: none waits for this worker. */
int generations_waiting_take(struct store_txn *txn, struct generations_take *take,
                             struct jini_error *error);

/*
 * Puts a job back that was TAKEN, to wait anew: for workers at once, or from `ready_ms` on (not 0);
 * or makes a DELAYED one READY. `failure` is kept, cut at 256 bytes; NULL: what was there stays.
 * JINI_E_NOT_FOUND. JINI_E_CONFLICT: it does not stand there, or another attempt has it.
 */
struct generations_return {
    struct jini_id id;
    uint32_t attempt; /* 0: whoever has it */
    uint64_t now_ms;
    uint64_t ready_ms; /* 0: now */
    const char *failure;

    struct jini_job job; /* out */
};
int generations_waiting_return(struct store_txn *txn, struct generations_return *back,
                               struct jini_error *error);

/* Whether a job whose time is over comes back into the line, rather than that it ends. */
bool generations_comes_back(const struct jini_job *job);

/*
 * How many jobs come before a READY one: of its line, and all of its model with a higher priority.
 * Counted up to `most` of its line, `more` says that there are more. JINI_E_NOT_FOUND: no such job.
 * JINI_E_CONFLICT: it does not wait.
 */
struct generations_position {
    uint64_t ahead;
    bool more;
};
int generations_waiting_position(struct store_txn *txn, const struct jini_id *id, uint32_t most,
                                 struct generations_position *out, struct jini_error *error);

/* ---- Figures and lists ----------------------------------------------------------------------- */

/* A line; or of all lines of a priority, without model. */
struct generations_line {
    char model[JINI_MODEL_MAX];
    uint32_t priority;
    uint64_t ready;
    uint64_t delayed;
    uint64_t taken;
    uint64_t oldest_ms;      /* when its first READY job was created; 0: none is */
    uint64_t taken_ever;     /* of a priority */
    uint64_t completed_ever; /* the same */
    uint64_t retried_ever;
    uint64_t returned_ever;
};

/* Lines by model and falling priority, from the first behind `after` on (NULL: all). */
int generations_lines(struct store_txn *txn, const struct generations_line *after,
                      struct generations_line *out, size_t capacity, size_t *count);

/* Priorities that have had a job, the highest first. */
int generations_ranks(struct store_txn *txn, const struct generations_line *after,
                      struct generations_line *out, size_t capacity, size_t *count);

/* Jobs for workers that have not ended, by model, falling priority and user. */
struct generations_place_in_flows {
    size_t length; /* 0: the beginning */
    uint8_t key[STORE_KEY_MAX];
};
struct generations_flow_job {
    struct jini_id id;
    uint32_t priority;
    uint64_t user_id;
    char model[JINI_MODEL_MAX];
};

/* `model` NULL: of all. A damaged row is passed over. */
int generations_waiting_list(struct store_txn *txn, const char *model,
                             struct generations_place_in_flows *place,
                             struct generations_flow_job *out, size_t capacity, size_t *count);

/* A key of space WAITING: what it says agrees with the jobs and the other rows. */
int generations_check_waiting(const struct generations_check *check, struct slice key);

#endif
