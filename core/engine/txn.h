/*
 * Calls in transactions: one shape for what stands alone (jini_settle()) and inside a function of
 * jini_write() or jini_read() (jini_txn_settle()). Nothing is written twice.
 *
 * A call that writes is a struct txn_form: what is checked before anything is read, and the op that
 * does the work, whichever way it came.
 *
 *     static const struct txn_form settle_form = {...};
 *
 *     int jini_settle(struct jini *jini, struct jini_settle *settle, jini_callback *callback)
 *     {
 *         return txn_submit(jini, &settle->request, &settle_form, callback);
 *     }
 *
 *     int jini_txn_settle(struct jini_txn *txn, struct jini_settle *settle)
 *     {
 *         return txn_call(txn, &settle->request, &settle_form);
 *     }
 *
 * A call that reads is a function of a transaction, which its other form runs on a snapshot:
 *
 *     int jini_txn_job_get(struct jini_txn *txn, ...)
 *     {
 *         struct jini_error *said = txn_error(txn, error);
 *         int status = generations_job_get(txn->store, id, out, said);
 *         return txn_answer(txn, status, said, "id", "job");
 *     }
 *
 *     int jini_job_get(struct jini *jini, ...)
 *     {
 *         struct jini_txn txn;
 *         int status = txn_snapshot(jini, &txn, error);
 *         if (status)
 *             return status;
 *         status = jini_txn_job_get(&txn, ...);
 *         txn_snapshot_end(&txn);
 *         return status;
 *     }
 *
 * Rules of an op
 *
 *  1. It runs more than once and is undone as often (store.h): time is txn->now_ms, ids and random
 *     values come with the request or from counters in the store, and members that it gives back
 *     are written afresh at each run. One that takes and gives back the same member, as `user` of
 *     struct jini_user_set, gives the same when it is run on what it gave.
 *  2. It reads no file, waits for nothing and charges nothing outside of the store. What has to
 *     happen outside once it has committed goes to txn_after_commit(): rate limits that are given
 *     back, consumers of events that are woken.
 *  3. In a caller's transaction it stands in an overlay of its own: when it fails, nothing of it
 *     stays, though the caller goes on. Of the store's overlays it may open the others.
 *  4. What it refuses it says in the error of the request. The error of the whole jini_write() is
 *     that of the call that failed, if the function answers with its status.
 *
 * A call that needs more than that before its transaction (a hash, rate limits, a pack) has no form
 * here: it goes through request_write() itself, and its op is of the same type. A transfer, a grant
 * or an event is records alone: its check and its op are a form, its id comes with the request, its
 * stamp from store_stamp(), and whoever waits for it is told by txn_after_commit().
 */
#ifndef ENGINE_TXN_H
#define ENGINE_TXN_H

#include "engine/engine_private.h"

struct txn_effect;

struct jini_txn {
    struct jini *jini;
    struct store_txn *store;
    uint64_t now_ms;          /* wall time of the transaction; 0 on a snapshot */
    struct jini_error *error; /* gets those of calls that fail, beside their own; NULL: none does */
    struct txn_effect **effects; /* NULL: a snapshot, which is not written to */
};

/* How a call came: by itself, or in a function of the caller's. */
enum txn_place { TXN_ALONE, TXN_INSIDE };

struct txn_form {
    enum request_kind kind;
    uint32_t size;  /* of the struct that begins with the request */
    uint32_t bytes; /* about how much it writes, beside what `more_bytes` says; NULL: nothing */
    uint32_t (*more_bytes)(const void *request);
    enum store_class class;
    /* Of members, reading nothing; on the submitting thread, or in each run. NULL: none. */
    int (*check)(void *request, enum txn_place place);
    txn_op_fn *op;
};

int txn_submit(struct jini *jini, struct jini_request *request, const struct txn_form *form,
               jini_callback *callback);
int txn_call(struct jini_txn *txn, struct jini_request *request, const struct txn_form *form);

/* A transaction that only reads. `error` may be NULL. */
int txn_snapshot(struct jini *jini, struct jini_txn *out, struct jini_error *error);
void txn_snapshot_end(struct jini_txn *txn);

/*
 * Where a call that reads says what failed: `error`, or where that is NULL the transaction's own,
 * which may be NULL too. It is cleared. And its end: says what it was about, unless that was said.
 */
struct jini_error *txn_error(const struct jini_txn *txn, struct jini_error *error);
int txn_answer(struct jini_txn *txn, int status, struct jini_error *said, const char *field,
               const char *what);

/*
 * In an op: has `run` called with a copy of the data once the transaction has committed, on the
 * writer thread, before the request comes back; never for a run that was undone. It must not block.
 * JINI_E_NO_MEMORY.
 */
typedef void txn_effect_fn(struct jini *jini, const void *data);
int txn_after_commit(struct jini_txn *txn, txn_effect_fn *run, const void *data, size_t length);

/* For request.c: forgets those after `until` (NULL: all); runs all in order, and forgets them. */
void txn_effects_drop(struct txn_effect **effects, const struct txn_effect *until);
void txn_effects_run(struct jini *jini, struct txn_effect **effects);

/* The check of a limits text that comes with a call. Inside, one with a time zone is refused. */
accounts_check_limits_fn *txn_limits_check(enum txn_place place);

#endif
