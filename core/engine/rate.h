/*
 * Rate limits of the engine: whose limits count, on the table in shared memory.
 */
#ifndef ENGINE_RATE_H
#define ENGINE_RATE_H

#include "engine/engine_private.h"
#include "engine/plans.h"
#include "limits/table.h"

#include <jini/keys.h>
#include <jini/limits.h>

/*
 * Opens the table of this database, with the cache of users; without its file where the disk has no
 * room for it.
 */
int rates_open(struct jini *jini, struct jini_error *error);
void rates_close(struct jini *jini); /* takes an engine that was opened read-only */

/*
 * Housekeeping, at each turn of the background thread: looks once a minute whether the table's file
 * is still there and whole, each time while there is no table, and logs what changes.
 */
void rates_tend(struct jini *jini);

/* Whoever is counted comes through here. JINI_E_INVALID: there is no such kind, or user 0. */
int subject_check(const struct jini_subject *subject, struct jini_error *error);

/* Whose allowance counts; 0: that of addresses. */
static inline uint64_t user_of(const struct jini_subject *subject)
{
    return subject->kind == JINI_SUBJECT_USER ? subject->number : 0;
}

static inline struct quota_subject quota_subject_of(const struct jini_subject *subject)
{
    struct quota_subject out = {.user_id = user_of(subject)};
    memcpy(out.address, subject->address, sizeof(out.address));
    return out;
}

/* What a charge took; enough to give it back, from another process too. */
enum { RATE_RECEIPTS_MAX = LIMITS_MAX + JINI_KEY_LIMITS_MAX /* of a user and of a key */ };

struct rate_receipts {
    uint32_t count;
    struct table_receipt items[RATE_RECEIPTS_MAX];
};

struct rate_charge {
    struct jini_subject subject;
    const struct plan *plan;
    uint64_t scope; /* 0: the subject's own limits */
    uint64_t cost;
    uint32_t flags; /* enum jini_check_flag */

    /* Out. */
    struct rate_receipts receipts;
};

/*
 * Charges the rate limits of a plan; `answer` gets their entries, at their places in the text.
 * JINI_E_LIMITED,
 * JINI_E_BUSY: nothing is charged (but for JINI_CHECK_IN_ORDER).
 */
int rate_charge(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer,
                struct jini_error *error);

/*
 * Gives back what a charge took, where its windows are still open. The answer shows the rate limits
 * as they stand after that, and holds no receipt any more: what it took is not to be given back
 * twice.
 */
void rate_undo(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer);

/* The answer of a charge that is not made: how all stand, and no receipts. */
void rate_look(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer);

/* Gives back what receipts say, where their windows are still open. */
void rate_refund(struct jini *jini, const struct rate_receipts *receipts);

/*
 * What a subject may: by its tier and override, or the anonymous tier's. Reads a snapshot. The plan
 * is to be given back by plan_release(); NULL after an error.
 *
 * JINI_E_NOT_FOUND  "user"
 * JINI_E_CORRUPT    "user" or "tier", the user's record or tier cannot be read or the tier is not
 *                   there; "anonymous.tier", the same of the tier of addresses
 */
struct allowed {
    struct jini_allowance allowance;
    const struct plan *plan;
    uint32_t tier_group;
    uint32_t queue_priority;
    uint32_t tier_version;
    char tier[JINI_TIER_NAME_MAX];
    uint32_t flags;     /* of the user; JINI_USER_ACTIVE for an address */
    uint64_t anchor_ns; /* from which anchor periods count */
    uint64_t until_ms;  /* when the user's tier changes by itself; 0: never */
};
int allowance_of(struct jini *jini, uint64_t user_id, struct allowed *out,
                 struct jini_error *error);

/* The same inside a transaction, as it is at a time, without the plan. */
int allowance_in(struct store_txn *txn, const struct jini *jini, uint64_t user_id, uint64_t now_ms,
                 struct allowed *out, struct jini_error *error);

/* Fills in the entries of quotas, from outcomes. */
void rate_add_quotas(const struct plan *plan, const struct quota_charge *quotas,
                     struct jini_limit_answer *answer);

/*
 * Says in words that quotas answered JINI_E_BUSY, which it returns: the row of the subject is full.
 */
int rate_quotas_full(const struct quota_charge *quotas, struct jini_error *error);

/* A span as people say it, rounded up, so that coming back then is not too early. */
enum { RATE_SPAN_MAX = 32 };
void rate_span(uint64_t ms, char text[RATE_SPAN_MAX]);

/* Says a refusal in words. */
int rate_refusal(const struct jini_limit_answer *answer, struct jini_error *error);

/* The part of jini_metrics() about limits. */
struct metrics_page;
void rates_metrics(struct jini *jini, struct metrics_page *page);

#endif
