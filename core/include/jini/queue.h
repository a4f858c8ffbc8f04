/*
 * The queue of jobs: those that were admitted with JINI_ADMIT_QUEUE wait for workers, in any
 * process that has the database open.
 *
 *     admit --> IN_QUEUE --take--> IN_PROGRESS --finish--> COMPLETED, charged
 *                  ^                    |
 *                  |--------------------| its lease ended, or it failed and is tried again
 *                  |                    |
 *                  | nobody took it     | failed for good, or at the last attempt
 *                  '--> TIMED_OUT       '--> FAILED, or TIMED_OUT where the worker was lost
 *
 * A worker takes a job, extends its lease while it is at it, stores the images (jini_image_put()
 * with `job_id` and `attempt`), and finishes it, or stores the last image with JINI_PUT_SETTLES.
 * Each take is an attempt with a number of its own, which goes with every call about the job. When
 * the lease of a worker ends, the job goes to another one, under the next number: what the first
 * one still tries is JINI_E_CONFLICT then and changes nothing. So a job ends once and is charged
 * once, whoever dies when. Images that an attempt has stored stay with the job and count: the next
 * attempt makes those that are missing (parameters.count less `images`).
 *
 * The order. Jobs of one model and one priority (the tier's queue_priority) are a line, which is
 * served in rounds: a user, or an address of anonymous clients, has one job in each round, so that
 * a user's next job waits for two jobs of each other user at most, however many those have. Jobs
 * that come back are first. Between lines the higher priority goes first, and among equal ones the
 * line whose first job is the oldest; each queue.aging_ms that this job has waited raises its line
 * by one, so that a low priority waits, but not for ever.
 *
 * Anybody may cancel a job: jini_release() as JINI_JOB_CANCELLED ends it at once and gives back
 * what it reserved, and a worker that has it learns so at its next call.
 */
#ifndef JINI_QUEUE_H
#define JINI_QUEUE_H

#include <jini/generations.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_TAKE_MAX = 64,        /* jobs of one call */
    JINI_TAKE_MODELS_MAX = 64, /* models that a worker may name */
    JINI_POSITION_MAX = 1000
};

struct jini_job_taken {
    struct jini_job job; /* `attempt` goes with all calls about it */
    char prompt[JINI_PROMPT_MAX];
    char negative[JINI_PROMPT_MAX];
};

/*
 * Takes jobs. In: `worker`, its name, 1 to 64 bytes of UTF-8; `models` that it serves,
 * `model_count` of them, 0 for all; `lease_ms`, 0 for queue.lease_ms; `taken` with room for
 * `capacity` jobs, 1 to 64; `wait_ms`, how long to wait where there is none, asleep until there is
 * one. All that is pointed to is borrowed until it comes back.
 * Out: `count` jobs in `taken`; 0 after the wait.
 *
 * JINI_E_INVALID    "worker", "models", "capacity" or "taken"
 * JINI_E_BUSY       queue.takes_max of this process wait
 * JINI_E_FULL       the disk, for new work
 * JINI_E_CANCELLED  by jini_cancel(), or the engine is closed: no job was taken
 * JINI_E_READ_ONLY, JINI_E_TIMEOUT: a write in the end waited for longer than request.timeout_ms
 * Durable. After JINI_E_POISONED a job may have been taken; it comes back when the lease ends.
 */
struct jini_job_take {
    struct jini_request request;
    const char *worker;
    const char *const *models;
    uint32_t model_count;
    uint32_t lease_ms;
    uint32_t wait_ms;
    uint32_t capacity;
    struct jini_job_taken *taken;
    uint32_t count;
    uint32_t reserved;
};
JINI_EXPORT int jini_job_take(struct jini *jini, struct jini_job_take *take,
                              jini_callback *callback);

/*
 * Renews the lease of a job that a worker has: it ends `lease_ms` from now, 0 for queue.lease_ms.
 * In: `job_id`, `attempt`. Out: `job`.
 * JINI_E_CONFLICT: `job` tells why: it has ended, or another attempt has it, or is to have it. The
 * work is lost. JINI_E_INVALID ("attempt", it is 0). JINI_E_NOT_FOUND. A lease that is over can be
 * extended until somebody noticed. Works on a full disk. Durable.
 */
struct jini_job_extend {
    struct jini_request request;
    struct jini_id job_id;
    uint32_t attempt;
    uint32_t lease_ms;
    struct jini_job job;
};
JINI_EXPORT int jini_job_extend(struct jini *jini, struct jini_job_extend *extend,
                                jini_callback *callback);

/*
 * Ends a job that is done: what it reserved becomes used, but for `unused_credits` of the credits.
 * In: `job_id`, `attempt`, `unused_credits`. Out: `job`. Errors as of jini_job_extend(). Works on a
 * full disk. Durable.
 */
struct jini_job_finish {
    struct jini_request request;
    struct jini_id job_id;
    uint32_t attempt;
    uint32_t reserved;
    uint64_t unused_credits;
    struct jini_job job;
};
JINI_EXPORT int jini_job_finish(struct jini *jini, struct jini_job_finish *finish,
                                jini_callback *callback);

/*
 * Says that an attempt failed. With `retry` 1 and attempts left (queue.attempts_max as it was when
 * the job was admitted) the job goes back into the queue, after queue.retry_ms, twice that after
 * the second attempt and so on up to queue.retry_max_ms, of which up to a half is left out by
 * chance; else it ends as FAILED, and what it reserved is given back.
 * In: `job_id`, `attempt`, `reason` (up to 256 bytes; NULL: none), `retry`. Out: `job`. Errors as
 * of jini_job_extend(). Works on a full disk. Durable.
 */
struct jini_job_fail {
    struct jini_request request;
    struct jini_id job_id;
    uint32_t attempt;
    uint32_t retry;
    const char *reason;
    struct jini_job job;
};
JINI_EXPORT int jini_job_fail(struct jini *jini, struct jini_job_fail *fail,
                              jini_callback *callback);

/* The same three inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_job_extend(struct jini_txn *txn, struct jini_job_extend *extend);
JINI_EXPORT int jini_txn_job_finish(struct jini_txn *txn, struct jini_job_finish *finish);
JINI_EXPORT int jini_txn_job_fail(struct jini_txn *txn, struct jini_job_fail *fail);

/*
 * How many jobs are before one that waits: those of its model that have a higher priority, and
 * those before it in its line, which are counted up to JINI_POSITION_MAX; `more`: there are more.
 * Aging may let it pass some. JINI_E_NOT_FOUND. JINI_E_CONFLICT: it does not wait, or is delayed.
 */
struct jini_job_position {
    uint64_t ahead;
    uint32_t more;
    uint32_t reserved;
};
JINI_EXPORT int jini_job_position(struct jini *jini, const struct jini_id *id,
                                  struct jini_job_position *out, struct jini_error *error);

/* Jobs for workers that have not ended, of a model and a priority, or of a priority. */
struct jini_queue_line {
    char model[JINI_MODEL_MAX];
    uint32_t priority;
    uint64_t waiting;     /* IN_QUEUE, for a worker to take */
    uint64_t delayed;     /* IN_QUEUE, not to be taken yet */
    uint64_t in_progress; /* IN_PROGRESS */
    uint64_t oldest_ms;   /* when the first one that waits was created; 0: none does */

    /* Of a priority, since the database was made. */
    uint64_t taken;     /* attempts */
    uint64_t completed; /* jobs */
    uint64_t retried;   /* attempts that failed, and were followed by another */
    uint64_t returned;  /* attempts whose lease ended, the same */
};

/*
 * Lists lines by model and falling priority, from the first behind `after` on (NULL: from the
 * beginning); `count` below `capacity`: no more. And priorities that have ever had a job, the
 * highest first. Any thread, on a snapshot.
 */
JINI_EXPORT int jini_queue_lines(struct jini *jini, const struct jini_queue_line *after,
                                 struct jini_queue_line *out, size_t capacity, size_t *count,
                                 struct jini_error *error);
JINI_EXPORT int jini_queue_priorities(struct jini *jini, const struct jini_queue_line *after,
                                      struct jini_queue_line *out, size_t capacity, size_t *count,
                                      struct jini_error *error);

/* A place in the list of the queue. All zero is the beginning. Private. */
struct jini_queue_cursor {
    uint64_t length;
    uint8_t key[400];
};

/*
 * Lists the jobs for workers that have not ended, of a model (NULL: of all), by model, falling
 * priority, user and age; of `state` alone where that is not 0. A call may give fewer than
 * `capacity`: the end is where it gives 0. Any thread, on a snapshot.
 */
JINI_EXPORT int jini_queue_list(struct jini *jini, const char *model, enum jini_job_state state,
                                struct jini_queue_cursor *cursor, struct jini_job *out,
                                size_t capacity, size_t *count, struct jini_error *error);

/*
 * Cancels jobs that are IN_QUEUE, delayed ones too: of a model (NULL: of all) and of a user (0: of
 * all). Out: `removed`. Several transactions: what comes meanwhile may be cancelled too, and after
 * an error those that were removed stay so. Works on a full disk. Durable.
 */
struct jini_queue_purge {
    struct jini_request request;
    const char *model; /* borrowed until it comes back */
    uint64_t user_id;
    uint64_t removed;
};
JINI_EXPORT int jini_queue_purge(struct jini *jini, struct jini_queue_purge *purge,
                                 jini_callback *callback);

#ifdef __cplusplus
}
#endif
#endif
