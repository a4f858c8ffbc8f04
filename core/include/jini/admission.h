/*
 * Admission: may this generation run? One durable transaction decides over user, tier, quota and
 * parallel jobs, and writes the job; another settles it or gives back what it reserved.
 *
 *            admit           renew                 settle
 *     (none) -----> IN_QUEUE -----> IN_PROGRESS -----------> COMPLETED, charged
 *                        |               |        release
 *                        `-- reserved ---+-----------------> FAILED or CANCELLED, given back
 *                                        |  lease is over
 *                                        `-----------------> TIMED_OUT, given back
 *
 * A worker renews the lease for as long as it is at the job. A job may also be settled from the
 * queue: then its start is its end.
 *
 * With JINI_ADMIT_QUEUE the job waits for workers of its own, which take it, extend its lease, and
 * finish it: jini/queue.h. It is released as any other, but neither renewed nor settled.
 */
#ifndef JINI_ADMISSION_H
#define JINI_ADMISSION_H

#include <jini/generations.h>
#include <jini/keys.h>
#include <jini/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Asks to run a generation. The order: credential, user and tier are read; size and steps are held
 * against the tier; rate limits are charged, those of a key first; then the transaction checks
 * credential, user, tier, parallel jobs, quotas and credits (what it costs is the price list's,
 * grants.h), reserves, and writes the job. Whatever
 * refuses or fails after that charge, a quota too, gives it back. A refusal writes nothing durable;
 * jobs of the user that were given up may end with it. There is no form of it inside a transaction
 * of the caller's, which may run more than once and be undone, while rate limits are charged
 * outside of any.
 *
 * In: `credential`, the text of a key or a session (keys.h), borrowed until it comes back: then
 * `subject` is its user, and set here; or NULL, and `subject`, a user or an address (which gets the
 * tier anonymous.tier with its bound on parallel jobs, IPv6 by its /64; its images expire as that
 * tier's do); `parameters`; `prompt` and
 * `negative`, up to 16,384 bytes each, NULL for none;
 * `lease_ms`, 0 for admission.lease_ms; `flags`; `request_id`.
 * Out: `job`, and `answer` with every rate limit and quota as it stands after the decision, those
 * behind the one that refused too, or after what failed without one, as JINI_E_TIMEOUT and
 * JINI_E_FULL do (without entries, where it cannot be read); that of a refusal holds nothing for
 * jini_limit_refund(), but what JINI_ADMIT_IN_ORDER counted. `key_answer` is the same of the rate
 * limits of the key: where one of them refuses, `answer` has no entry that does.
 *
 * A request id that was admitted in the last 24 hours is answered with its job, as it is now, and
 * charges nothing; with another subject, prompt or other parameters it is an error. What was
 * refused under it is decided afresh.
 *
 * JINI_E_EXISTS     "request_id": it was admitted, and something else was asked for
 * JINI_E_EXPIRED    "request_id": it was admitted, and the record of its job is gone
 * JINI_E_LIMITED    a rate limit, a quota or the bound on parallel jobs ("parallel"), or a rate
 *                   limit of the key ("key"); answer says
 *                   which and when to return: never (UINT64_MAX) when parameters.count alone is
 *                   above a limit's amount
 * JINI_E_FUNDS      it costs more credits than the user's wallet has, or any at all, where the
 *                   subject is an address
 * JINI_E_FORBIDDEN  the tier does not allow "width", "height" or "steps"
 * JINI_E_INACTIVE, JINI_E_NOT_FOUND  the user
 * JINI_E_DENIED     "credential": it is none of this database, or was revoked
 * JINI_E_EXPIRED    "credential": its time is over
 * JINI_E_BUSY       the table of rate limits, as of jini_limit_check(); 32 other periods of quotas
 *                   still count for the subject ("quota"); 256 jobs of the subject run, the most
 *                   that are counted ("parallel"); the subject's limits were changed four times
 *                   meanwhile ("limits"); queue.jobs_max wait for workers ("queue"); or a queue
 *                   of requests is full, by its option
 * JINI_E_FULL       the disk, for new work or for the table of rate limits ("limits.shm")
 * JINI_E_CORRUPT    "user", "tier" or "anonymous.tier", as of jini_limit_check(); "credential"
 * Durable once it succeeded.
 *
 * With a callback, what refuses before the transaction (user, tier, size, rate limits, the table of
 * rate limits) is answered by the call itself, which then does not call back; quotas and the bound
 * on parallel jobs refuse in the callback, and so does all of the former where it changed
 * meanwhile. So a caller looks at both, as with every request.
 */
enum jini_admit_flag {
    /*
     * Where a rate limit refuses, they count as with JINI_CHECK_IN_ORDER. Where all of them admit
     * and a quota or the bound on parallel jobs refuses, they are given back, as without it.
     */
    JINI_ADMIT_IN_ORDER = 1 << 0,

    /* The job waits for a worker, by the priority of its user's tier: jini/queue.h. */
    JINI_ADMIT_QUEUE = 1 << 1
};

struct jini_admit {
    struct jini_request request;
    const char *credential;
    struct jini_subject subject;
    struct jini_parameters parameters;
    const char *prompt;
    const char *negative;
    uint32_t lease_ms;         /* not with JINI_ADMIT_QUEUE */
    uint32_t flags;            /* enum jini_admit_flag */
    uint64_t queue_ttl_ms;     /* with it: how long it waits, each time; 0: queue.ttl_ms */
    struct jini_id request_id; /* by the caller, who may send it again; zero: none */
    struct jini_job job;
    struct jini_limit_answer answer;
    struct jini_limit_answer key_answer; /* without entries: it has no limits of its own */
    uint64_t cost;                       /* in credits; also of what was refused for them */
    uint64_t credits;                    /* where there is a cost: what the user has left */
    uint64_t cost_version;               /* of the price list; 0: no entry says what it costs */
    uint32_t repeated; /* 1: this request id was admitted before, and `job` is that one */
    uint32_t reserved;
    struct jini_id decision_id; /* for jini_why(); zero: it keeps nothing of this */
};
JINI_EXPORT int jini_admit(struct jini *jini, struct jini_admit *admit, jini_callback *callback);

/*
 * Renews the lease of a job, which then ends `lease_ms` from now, and says where it stands. What a
 * worker calls when it begins, and then well before each lease is over.
 *
 * In: `job_id`; `state`, JINI_JOB_IN_PROGRESS when a worker is at it (the first time starts it), or
 * JINI_JOB_IN_QUEUE when it waits; `lease_ms`, 0 for admission.lease_ms.
 * Out: `job`.
 *
 * JINI_E_CONFLICT   it has ended, `job` says how: the work is lost, and nothing revives it; it is
 *                   IN_PROGRESS and does not go back into the queue; or it is for workers
 * JINI_E_NOT_FOUND  there is no such job
 * JINI_E_INVALID    "state"
 * A lease that is over can be renewed until somebody gives the job up: all that it reserved is its
 * own until then. Works on a full disk. Durable.
 */
struct jini_renew {
    struct jini_request request;
    struct jini_id job_id;
    enum jini_job_state state;
    uint32_t lease_ms;
    struct jini_job job;
};
JINI_EXPORT int jini_renew(struct jini *jini, struct jini_renew *renew, jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_renew(struct jini_txn *txn, struct jini_renew *renew);

/*
 * Ends a job that is done: what it reserved becomes used, but for `unused_credits` of the credits,
 * which are given back; what is drawn is drawn in the order of drawing. In: `job_id`,
 * `unused_credits` (more than it costs is all). Out: `job`. JINI_E_NOT_FOUND; JINI_E_CONFLICT: it
 * has ended already, `job` says how, or is for workers ("attempt"). Works on a full disk. Durable.
 */
struct jini_settle {
    struct jini_request request;
    struct jini_id job_id;
    uint64_t unused_credits;
    struct jini_job job;
};
JINI_EXPORT int jini_settle(struct jini *jini, struct jini_settle *settle, jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_settle(struct jini_txn *txn, struct jini_settle *settle);

/*
 * Ends a job that is not going to be done: what it reserved is given back, quotas and, where their
 * windows are still open, rate limits. In: `job_id`, `state` (JINI_JOB_FAILED or
 * JINI_JOB_CANCELLED), `reason` (up to 256 bytes; NULL: none).
 * Out: `job`. Errors as of jini_settle(). Works on a full disk. Durable.
 */
struct jini_release {
    struct jini_request request;
    struct jini_id job_id;
    enum jini_job_state state;
    uint32_t reserved;
    const char *reason;
    struct jini_job job;
};
JINI_EXPORT int jini_release(struct jini *jini, struct jini_release *release,
                             jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_release(struct jini_txn *txn, struct jini_release *release);

#ifdef __cplusplus
}
#endif
#endif
