/*
 * What a user has paid for: the periods of tiers, one after the other.
 *
 *   USERS (uint user, text "p")   0 version u8, 1 | 1 flags u8 | 2 count of periods u16 |
 *       4 zero u32 | 8 time of the last change in ms u64 | 16 last payment, 16 bytes |
 *       32 end of the grace in ms u64 | 40 when it is looked at again in ms u64 (48 bytes),
 *       then for each period, 80 bytes:
 *       0 payment, 16 bytes | 16 start in ms u64 | 24 end in ms u64, all ones: never |
 *       32 price of a day in thousandths of the smallest unit u64 | 40 ledger u32 | 44 zero u32 |
 *       48 tier, 32 bytes, NUL behind it
 *
 *  1. Periods are in the order of time and do not overlap. The first is the one that runs, or that
 *     is over while the grace is not; only the last may have no end.
 *  2. A payment has one period at most. What was given of it before that one began is in its
 *     record.
 *  3. While HOLDS is set, the user's record has the tier and its end that follow from the row; both
 *     are written together.
 *
 * All but reading and writing are pure functions of a row and a time.
 */
#ifndef LEDGER_SUBSCRIPTIONS_H
#define LEDGER_SUBSCRIPTIONS_H

#include "store/store.h"

#include <jini/payments.h>

/* The text in the key of the row. */
#define SUBSCRIPTION_ROW "p"

enum subscription_flag {
    SUBSCRIPTION_CANCELLED = 1 << 0, /* there is no grace */
    SUBSCRIPTION_HOLDS = 1 << 1,     /* the user's tier follows from it */
    SUBSCRIPTION_PAST_DUE = 1 << 2   /* it was told that the grace has begun */
};

struct period {
    struct jini_id payment_id;
    uint64_t starts_ms;
    uint64_t ends_ms; /* PAYMENT_FOREVER */
    uint64_t rate;    /* price of a day, in thousandths of the smallest unit */
    uint32_t ledger;
    char tier[JINI_TIER_NAME_MAX];
};

/* All zero but for user_id: a user who never began a payment. */
struct subscription {
    uint64_t user_id;
    uint64_t last_ms; /* no time of its payments is before that */
    uint64_t grace_ms;
    uint64_t due_ms; /* 0: never */
    struct jini_id last_payment;
    uint32_t flags; /* enum subscription_flag */
    uint32_t count;
    struct period periods[JINI_PERIODS_MAX];
};

/* JINI_E_CORRUPT, JINI_E_FORMAT. */
int subscription_read(struct store_txn *txn, uint64_t user_id, struct subscription *out,
                      struct jini_error *error);
int subscription_write(struct store_txn *txn, const struct subscription *subscription);

/* How it stands at a time. */
struct subscription_view {
    uint32_t state;    /* enum jini_subscription_state */
    uint32_t index;    /* of the period whose tier it is */
    const char *tier;  /* NULL: none */
    uint64_t until_ms; /* when the tier changes; 0: never */
    uint64_t paid_ms;  /* when the last period ends */
};
void subscription_view(const struct subscription *subscription, uint64_t now_ms,
                       struct subscription_view *out);

/* The period of a payment, or NULL. */
const struct period *subscription_period(const struct subscription *subscription,
                                         const struct jini_id *payment_id);

/* A payment whose period was interrupted: what of it was given until then. */
struct period_cut {
    bool cut;
    struct jini_id payment_id;
    uint64_t served_ms;
};

/*
 * Puts a period in, from `at_ms` on or behind others: see README.md. `period` has all but its
 * times. Returns 0, JINI_REFUSAL_OWNED or JINI_REFUSAL_PERIODS, and then has changed nothing.
 */
int subscription_insert(struct subscription *subscription, const struct period *period,
                        uint64_t length_ms, uint64_t at_ms, struct period_cut *cut);

/*
 * Takes the period of a payment out at a time, and those behind it forward. `served_ms` is what was
 * given of it. False: it has none.
 */
bool subscription_remove(struct subscription *subscription, const struct jini_id *payment_id,
                         uint64_t now_ms, uint64_t *served_ms);

/* Takes the first period away, which is over. */
void subscription_drop_first(struct subscription *subscription);

/* Reckons the end of the grace anew. */
void subscription_set_grace(struct subscription *subscription, uint64_t grace_ms);

/* When something is to be done next, behind `now_ms`; 0: nothing. */
uint64_t subscription_due(const struct subscription *subscription, uint64_t now_ms);

#endif
