/*
 * Credits: grants and wallets.
 *
 * Credits are whole numbers of a unit that the service chooses. A user gets them by grants; the
 * wallet of a user is the sum of them. They are drawn in the order of priority, then expiry, then
 * age. A generation that costs credits reserves them when it is admitted, draws them when it is
 * settled, and gives them back when it is released. All of it is in the ledger (ledger.h), in
 * JINI_CREDITS_LEDGER: each grant is an account.
 */
#ifndef JINI_GRANTS_H
#define JINI_GRANTS_H

#include <jini/generations.h>
#include <jini/ledger.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_CREDITS_LEDGER = 1,   /* the ledger of credits; currencies have theirs from ISO 4217 */
    JINI_GRANTS_LIVE_MAX = 64, /* of one wallet that have credits */
    JINI_PRIORITY_MAX = 255
};
#define JINI_CREDITS_MAX (UINT64_C(1) << 62) /* of one grant */

enum jini_grant_category { JINI_GRANT_PAID = 1, JINI_GRANT_PROMOTIONAL = 2 };

struct jini_grant {
    struct jini_id id;         /* by its caller, who may send it again: it is granted once */
    struct jini_id account_id; /* its account in the ledger */
    struct jini_id source_id;  /* where it comes from: a payment, or what the caller says */
    uint64_t user_id;
    uint64_t granted;
    uint64_t remaining;    /* neither drawn nor reserved */
    uint64_t reserved;     /* by jobs that have not ended */
    uint64_t effective_ms; /* not drawn before; to the second. 0: at once */
    uint64_t expires_ms;   /* not drawn from then on; to the second. 0: never */
    uint64_t created_ms;
    uint32_t category; /* enum jini_grant_category */
    uint32_t priority; /* 0 to JINI_PRIORITY_MAX; the smallest is drawn first */
};

/*
 * Grants credits to a user. In: `grant`: id, user_id, granted (1 to JINI_CREDITS_MAX), category,
 * priority, effective_ms, expires_ms, source_id (may be zero). Out: `grant` as it stands; where it
 * was granted before by the same call, as it stands now.
 *   JINI_E_INVALID    a member breaks its rule; it is over already
 *   JINI_E_NOT_FOUND  "user_id"
 *   JINI_E_CONFLICT   "id": it stands for another grant, or another transfer
 *   JINI_E_BUSY       "grants": the user has JINI_GRANTS_LIVE_MAX
 * Durable.
 */
struct jini_grant_add {
    struct jini_request request;
    struct jini_grant grant;
};
JINI_EXPORT int jini_grant_add(struct jini *jini, struct jini_grant_add *add,
                               jini_callback *callback);
JINI_EXPORT int jini_txn_grant_add(struct jini_txn *txn, struct jini_grant_add *add);

/* What a user can spend. */
struct jini_wallet {
    uint64_t user_id;
    uint64_t available; /* may be reserved now */
    uint64_t reserved;
    uint64_t later;  /* of grants that have not taken effect */
    uint64_t grants; /* how many have credits, or credits that are reserved */
};

/*
 * Reads a wallet, and up to `capacity` grants of it in drawing order, their number to `count`;
 * JINI_GRANTS_LIVE_MAX is enough but after refunds. `out` may be NULL with a capacity of 0.
 * JINI_E_NOT_FOUND: "user_id". Any thread.
 */
JINI_EXPORT int jini_wallet_get(struct jini *jini, uint64_t user_id, struct jini_wallet *wallet,
                                struct jini_grant *out, size_t capacity, size_t *count,
                                struct jini_error *error);
JINI_EXPORT int jini_txn_wallet_get(struct jini_txn *txn, uint64_t user_id,
                                    struct jini_wallet *wallet, struct jini_grant *out,
                                    size_t capacity, size_t *count, struct jini_error *error);

/*
 * Gives credits that a job drew back to the grants that they came from, the last one first, also
 * long after it was settled. What comes back to a grant that has expired expires at once. In:
 * `job_id`, `credits` (more than it drew is all). Out: `refunded`.
 *   JINI_E_NOT_FOUND  "job_id": no credits were reserved for such a job
 *   JINI_E_CONFLICT   "job_id": the job has not ended
 *   JINI_E_EXISTS     "job": it was refunded before; nothing is given twice
 * Works on a full disk. Durable.
 */
struct jini_grant_refund {
    struct jini_request request;
    struct jini_id job_id;
    uint64_t credits;
    uint64_t refunded;
};
JINI_EXPORT int jini_grant_refund(struct jini *jini, struct jini_grant_refund *refund,
                                  jini_callback *callback);
JINI_EXPORT int jini_txn_grant_refund(struct jini_txn *txn, struct jini_grant_refund *refund);

/*
 * Takes what is left of a grant away; what was drawn stays drawn, and what jobs have reserved stays
 * theirs. In: `grant_id`. Out: `revoked`, 0 where nothing was left, and `grant` as it stands.
 * JINI_E_NOT_FOUND: "grant_id". Works on a full disk. Durable.
 */
struct jini_grant_revoke {
    struct jini_request request;
    struct jini_id grant_id;
    uint64_t revoked;
    struct jini_grant grant;
};
JINI_EXPORT int jini_grant_revoke(struct jini *jini, struct jini_grant_revoke *revoke,
                                  jini_callback *callback);
JINI_EXPORT int jini_txn_grant_revoke(struct jini_txn *txn, struct jini_grant_revoke *revoke);

/* ---- What generations cost ------------------------------------------------------------------- */

#define JINI_COST_MAX (UINT64_C(1) << 40) /* of each price of an entry */

/*
 * An entry of the price list: what a generation by a model costs. Prices are in thousandths of a
 * credit, so that a small image may cost less than one; the sum of a generation is rounded up to
 * whole credits.
 *
 *   count x (per_image + per_step x steps + (per_megapixel + per_megapixel_step x steps) x pixels
 *            / 10^6)
 */
struct jini_cost {
    char model[JINI_MODEL_MAX]; /* empty: all that have no entry of their own */
    uint64_t per_image;
    uint64_t per_step;
    uint64_t per_megapixel;
    uint64_t per_megapixel_step;
    uint64_t version;    /* of the list, when the entry was made */
    uint64_t changed_ms; /* when that was */
};

/*
 * Sets what a model costs from now on, or takes its entry away. Jobs that were admitted before keep
 * their price. Without any entry generations cost nothing. In: `cost`, `remove`. Out: `cost` with
 * its version. JINI_E_INVALID: a member of `cost`. JINI_E_NOT_FOUND: "model", with `remove`.
 * Durable.
 */
struct jini_cost_set {
    struct jini_request request;
    struct jini_cost cost;
    uint32_t remove; /* 1: the entry goes */
    uint32_t reserved;
};
JINI_EXPORT int jini_cost_set(struct jini *jini, struct jini_cost_set *set,
                              jini_callback *callback);
JINI_EXPORT int jini_txn_cost_set(struct jini_txn *txn, struct jini_cost_set *set);

/*
 * What a generation would cost now; all zero in `cost` where no entry says anything. Any thread.
 */
JINI_EXPORT int jini_cost_of(struct jini *jini, const struct jini_parameters *parameters,
                             uint64_t *credits, struct jini_cost *cost, struct jini_error *error);
JINI_EXPORT int jini_txn_cost_of(struct jini_txn *txn, const struct jini_parameters *parameters,
                                 uint64_t *credits, struct jini_cost *cost,
                                 struct jini_error *error);

/*
 * Lists the entries that hold, by model, behind that of the model `after` (NULL: from the first).
 */
JINI_EXPORT int jini_cost_list(struct jini *jini, const char *after, struct jini_cost *out,
                               size_t capacity, size_t *count, struct jini_error *error);
JINI_EXPORT int jini_txn_cost_list(struct jini_txn *txn, const char *after, struct jini_cost *out,
                                   size_t capacity, size_t *count, struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
