/*
 * The end of a job: what it reserved becomes used, or is given back, in the transaction that ends
 * it.
 *
 * The reservation of a job, as its record keeps it (little-endian):
 *
 *   offset  size
 *        0     1  version: 2 where credits are held, else 1
 *        1     1  count of quotas
 *        2     1  count of rate limits
 *        3     1  kind of the subject
 *        4     8  number of the subject
 *       12    16  address of the subject
 *       28     1  version 2: count of holds of credits (ledger/grants.h); 3 bytes zero
 *   then for each quota 24 bytes: identity, begin of the window, cost
 *   then for each rate limit 48 bytes: algorithm (1), region (1), slot (1), zero (1), period in ms
 *   (4), bucket (4), zero (4), window (8), cost (8), generation of the table (8), tag (8)
 */
#ifndef ENGINE_JOBS_H
#define ENGINE_JOBS_H

#include "engine/rate.h"
#include "generations/generations.h"

enum job_end_flag {
    /*
     * A reservation that cannot be given back, since it or the row of the quotas is damaged, is
     * lost; the job ends.
     */
    JOB_END_DESPITE_DAMAGE = 1 << 0,
    /* Only if nobody came back for it: JINI_E_IN_USE while its lease runs. */
    JOB_END_GIVEN_UP = 1 << 1
};

/* How a job ends. */
struct job_end {
    struct jini *jini;
    struct jini_id id;
    enum jini_job_state to;
    uint32_t flags; /* enum job_end_flag */
    uint64_t now_ms;
    uint64_t unused;    /* COMPLETED: credits of its cost that are given back; more is all */
    const char *reason; /* or NULL */
    uint32_t attempt;   /* of a job for workers: who has it; 0: nobody */

    /* Out. */
    bool returned; /* job_give_up_in(): it waits for workers again, and has not ended */
    struct jini_job job;
    struct rate_receipts
        rates; /* to be refunded once the transaction has committed, unless COMPLETED */
    bool lost; /* despite damage: what it reserved was not given back, at least in part */
};

/*
 * Ends a job in a transaction. JINI_E_NOT_FOUND; JINI_E_CONFLICT: it has ended; JINI_E_IN_USE: see
 * JOB_END_GIVEN_UP; JINI_E_CORRUPT.
 */
int job_end_in(struct store_txn *txn, struct job_end *end, struct jini_error *error);

/*
 * What was found damaged while jobs that were given up were ended; an op fills it afresh at each
 * run.
 */
struct job_damage {
    uint32_t reservations; /* lost with jobs that were ended */
    uint32_t records;      /* of jobs that could not be ended */
    struct jini_id last;   /* one of these jobs */
};

/*
 * Ends a job that was given up, as TIMED_OUT at end->now_ms, and lets no damage of it hold up
 * others; or puts it back into the queue for workers, where it has attempts left or was delayed.
 * JINI_E_NOT_FOUND: there is nothing to end, because it is gone, has ended or cannot be read: the
 * row that led here is the caller's to remove, and the rest is left to verify.
 * JINI_E_IN_USE: by its own record its lease still runs, so that the row is wrong.
 */
int job_give_up_in(struct store_txn *txn, struct job_end *end, struct job_damage *damage);

/* Events: a worker is at it; it waits for workers anew, after an attempt that failed. */
int job_tell_started(struct store_txn *txn, const struct jini_job *job);
int job_tell_retried(struct store_txn *txn, const struct jini_job *job, uint32_t attempt);

/* JINI_E_CONFLICT, with `out` the job as it is: how it has ended, or who has it. */
int job_conflict(struct store_txn *txn, const struct jini_id *id, struct jini_job *out);

/* An effect of a transaction (txn.h): gives back what struct rate_receipts say. */
void job_refund(struct jini *jini, const void *receipts);

/* Whether a job has not ended and its lease, if it has one, runs. */
bool job_is_held(const struct jini_job *job, uint64_t now_ms);

/* Gives up to `capacity` jobs up that are due; what they were charged is in `ends`. */
int jobs_give_up_due(struct store_txn *txn, struct jini *jini, uint64_t now_ms,
                     struct job_end *ends, size_t capacity, size_t *count,
                     struct job_damage *damage);

/* Logs what was found, once that has committed; nothing when there is nothing. */
void job_log_damage(const struct jini *jini, const struct job_damage *damage);

/* The jobs that a subject runs, as its next admission counts them. */
struct standing {
    uint64_t now_ms;
    uint32_t parallel;                  /* those that stay when the given up ones are ended */
    struct generations_running running; /* these among them */
};

/*
 * How a subject stands at quotas->now_ns, in any transaction; writes nothing. `quotas` gets the
 * outcomes of a peek to which nothing is reserved by jobs that were given up. Errors of
 * quota_peek(), JINI_E_NO_MEMORY.
 */
int standing_read(struct store_txn *txn, struct quota_charge *quotas, struct standing *out);

/* JINI_E_LIMITED: no further job may run. `parallel_max` 0: any number may. */
int standing_check_parallel(const struct standing *standing, uint32_t parallel_max,
                            struct jini_error *error);

struct reservation {
    struct jini_subject subject;
    uint32_t holds; /* of credits */
    uint32_t quota_count;
    struct quota_receipt quotas[LIMITS_MAX];
    struct rate_receipts rates;
};

/*
 * Reads what a job's record keeps; nothing is reserved by a job without limits, which has no bytes.
 * JINI_E_CORRUPT: these bytes are no reservation; `out` then says of nothing.
 */
int reservation_decode(struct slice bytes, struct reservation *out);

size_t reservation_encode(const struct jini_subject *subject, const struct quota_charge *quotas,
                          const struct rate_receipts *rates, uint32_t holds,
                          uint8_t out[GENERATIONS_RESERVATION_MAX]);

#endif
