/*
 * Prices, payments, subscriptions: what money buys.
 *
 * A price says what an amount of money buys: a tier for a period, credits, or both. A payment goes
 *
 *            intend          settle
 *     (none) ------> INTENT --------> SETTLED <---------. won
 *              |       |  |            |    |           |
 *              |       |  |  fail      |    | dispute   |
 *              |       |  `-----> FAILED    `------> DISPUTED
 *              |       |            |  | refund         | lost
 *              |       v   settle   |  v                v
 *              `---> REFUSED <------'  REFUNDED <-------'
 *                       `-------- refund ---^
 *
 * and in the transaction in which it is settled its money is posted by double entry, its credits
 * are granted, and its tier is given. A refund or a dispute takes back what was not used. What
 * arrived and buys nothing is REFUSED: the payment says why, its money stands apart until it is
 * refunded, and no tier changes.
 *
 * Amounts are whole numbers of a currency's smallest unit: 1500 is EUR 15.00. The ledger of a
 * currency has its number in ISO 4217; core/ledger/README.md says which accounts are in it, and how
 * revenue is recognised.
 *
 * Each call may be made again: it is answered with what is, `repeated` is 1, and nothing happens a
 * second time. With other contents it is JINI_E_CONFLICT, and the error names the member.
 */
#ifndef JINI_PAYMENTS_H
#define JINI_PAYMENTS_H

#include <jini/accounts.h>
#include <jini/grants.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes of text members, with the NUL; and counts. */
enum {
    JINI_PRICE_NAME_MAX = 33,
    JINI_PROVIDER_MAX = 33,
    JINI_REFERENCE_MAX = 129,
    JINI_PAYMENT_REASON_MAX = 129,
    JINI_PRICES_MAX = 256,              /* not a size: of one price list */
    JINI_PRICE_CHANGES_MAX = 64 * 1024, /* not a size: of the list, in its life */
    JINI_PERIODS_MAX = 24, /* not a size: that a user may have, the one that runs too */
    JINI_PERIOD_DAYS_MAX = 36500,
    JINI_FOREVER = 0 /* as days of a period: it does not end */
};
#define JINI_MONEY_MAX UINT64_C(1000000000000) /* of a price or a payment */

/* ---- Currencies ------------------------------------------------------------------------------ */

struct jini_currency {
    char code[JINI_CURRENCY_MAX]; /* "EUR" */
    uint16_t number;              /* of ISO 4217, and of its ledger */
    uint16_t digits;              /* behind the point of an amount: 2 of EUR, 0 of JPY */
};

/* Finds a currency by its code. JINI_E_NOT_FOUND; `out` is then all zero. Any thread. */
JINI_EXPORT int jini_currency_find(const char *code, struct jini_currency *out);

/* ---- Prices ---------------------------------------------------------------------------------- */

struct jini_price {
    char name[JINI_PRICE_NAME_MAX]; /* 1 to 32 letters, digits, -, _ and . */
    char currency[JINI_CURRENCY_MAX];
    char tier[JINI_TIER_NAME_MAX]; /* empty: none */
    uint64_t amount;               /* 1 to JINI_MONEY_MAX */
    uint64_t credits;              /* 0: none */
    uint64_t credits_amount; /* what of `amount` is for the credits, all where there is no tier; the
                                rest is for the tier. It says when which part becomes revenue */
    uint32_t days;           /* of the period, up to JINI_PERIOD_DAYS_MAX; JINI_FOREVER */
    uint32_t priority;       /* of the grant of credits */
    uint32_t credits_expire; /* 1: with the period; 0: never */
    uint32_t reserved;
    uint64_t version; /* of the price list, when the entry was made */
    uint64_t changed_ms;
};

/*
 * Sets a price from now on, or takes it away. Payments that were begun before keep the one that
 * they were begun with. In: `price`, `remove`. Out: `price` as stored.
 *   JINI_E_INVALID    a member breaks its rule
 *   JINI_E_NOT_FOUND  "tier"; with `remove`, "name"
 *   JINI_E_TOO_BIG    "name": there are JINI_PRICES_MAX, or the list was changed
 *                     JINI_PRICE_CHANGES_MAX times
 * Durable.
 */
struct jini_price_set {
    struct jini_request request;
    struct jini_price price;
    uint32_t remove; /* 1: the price goes */
    uint32_t reserved;
};
JINI_EXPORT int jini_price_set(struct jini *jini, struct jini_price_set *set,
                               jini_callback *callback);
JINI_EXPORT int jini_txn_price_set(struct jini_txn *txn, struct jini_price_set *set);

/* A price as it holds now, or with a version as it was then. JINI_E_NOT_FOUND. Any thread. */
JINI_EXPORT int jini_price_get(struct jini *jini, const char *name, uint64_t version,
                               struct jini_price *out, struct jini_error *error);
JINI_EXPORT int jini_txn_price_get(struct jini_txn *txn, const char *name, uint64_t version,
                                   struct jini_price *out, struct jini_error *error);

/* Lists the prices that hold, by name, behind `after` (NULL: from the first). */
JINI_EXPORT int jini_price_list(struct jini *jini, const char *after, struct jini_price *out,
                                size_t capacity, size_t *count, struct jini_error *error);
JINI_EXPORT int jini_txn_price_list(struct jini_txn *txn, const char *after, struct jini_price *out,
                                    size_t capacity, size_t *count, struct jini_error *error);

/* ---- Payments -------------------------------------------------------------------------------- */

/* X(name, number, text) */
#define JINI_PAYMENT_STATE_MAP(X)                                                                  \
    X(INTENT, 1, "intent")                                                                         \
    X(SETTLED, 2, "settled")                                                                       \
    X(FAILED, 3, "failed")                                                                         \
    X(REFUSED, 4, "refused")                                                                       \
    X(REFUNDED, 5, "refunded")                                                                     \
    X(DISPUTED, 6, "disputed")

enum jini_payment_state {
#define JINI_PAYMENT_STATE_ENUM(name, number, text) JINI_PAYMENT_##name = (number),
    JINI_PAYMENT_STATE_MAP(JINI_PAYMENT_STATE_ENUM)
#undef JINI_PAYMENT_STATE_ENUM
};

/* "settled" and so on; "unknown" for another number. Static. Any thread. */
JINI_EXPORT const char *jini_payment_state_name(uint32_t state);

/* Why a payment is REFUSED. X(name, number, text) */
#define JINI_PAYMENT_REFUSAL_MAP(X)                                                                \
    X(NONE, 0, "none")                                                                             \
    X(NO_PRICE, 1, "there is no such price")                                                       \
    X(AMOUNT, 2, "another amount than that of the price")                                          \
    X(CURRENCY, 3, "another currency than that of the price")                                      \
    X(TIER, 4, "the tier that it buys is not there any more")                                      \
    X(OWNED, 5, "the user has the tier for ever")                                                  \
    X(PERIODS, 6, "the user has paid for as many periods as one may have")                         \
    X(GRANTS, 7, "the user has as many grants of credits as one may have")                         \
    X(FAILED_BEFORE, 8, "it had failed before its money arrived")

enum jini_payment_refusal {
#define JINI_PAYMENT_REFUSAL_ENUM(name, number, text) JINI_REFUSAL_##name = (number),
    JINI_PAYMENT_REFUSAL_MAP(JINI_PAYMENT_REFUSAL_ENUM)
#undef JINI_PAYMENT_REFUSAL_ENUM
};

/* The text of a refusal; "unknown" for another number. Static. Any thread. */
JINI_EXPORT const char *jini_payment_refusal_text(uint32_t refusal);

enum jini_dispute_outcome { JINI_DISPUTE_OPEN, JINI_DISPUTE_WON, JINI_DISPUTE_LOST };

struct jini_payment {
    struct jini_id id; /* by its caller */
    uint64_t user_id;
    uint32_t state;                   /* enum jini_payment_state */
    uint32_t refusal;                 /* enum jini_payment_refusal */
    uint32_t outcome;                 /* enum jini_dispute_outcome, of one that was disputed */
    uint32_t days;                    /* of the period that it buys */
    char price[JINI_PRICE_NAME_MAX];  /* empty: it matches none */
    char tier[JINI_TIER_NAME_MAX];    /* that it buys; empty: none */
    char currency[JINI_CURRENCY_MAX]; /* as intended, */
    char received_currency[JINI_CURRENCY_MAX]; /* and as it arrived; empty: it did not */
    char provider[JINI_PROVIDER_MAX];
    char reference[JINI_REFERENCE_MAX];   /* of the provider */
    char reason[JINI_PAYMENT_REASON_MAX]; /* of its failure, refund or dispute, by its caller */
    uint64_t price_version;
    uint64_t amount;   /* as intended, */
    uint64_t received; /* and as it arrived */
    uint64_t fee;      /* of the provider, for the payment and for a dispute that was lost */
    uint64_t refunded; /* also by a dispute that was lost */
    uint64_t deferred; /* of what was received: not yet revenue */
    uint64_t revenue;  /* was recognised; a refund may have taken of it */
    uint64_t credits;  /* that it buys */
    uint64_t created_ms;
    uint64_t received_ms; /* 0: not yet */
    uint64_t ended_ms;    /* failed or refunded; 0: neither */
    uint64_t disputed_ms; /* 0: never */
    uint64_t starts_ms;   /* the period, or what is left of it since another one went first; 0: */
    uint64_t ends_ms;     /* none, or it is over. UINT64_MAX: never */
    struct jini_id grant_id; /* of its credits; zero: none */
};

/*
 * Begins a payment. In: `id`, which the caller may send again; `user_id`; `price`, or `currency`
 * and `amount`, or all three; `provider` and `reference` may be empty as long as they are not
 * known; `at_ms`, when it was begun, not in the future, 0 for now; `flags`. Out: `payment`.
 *
 * A second payment of a user for a price within payments.same_ms is the first one, and so is one
 * with the reference of another and the same contents: `payment` is that one, with its own id, and
 * `repeated` is 1. One that matches no price is REFUSED at once.
 *   JINI_E_INVALID    a member breaks its rule; "price": several are of that amount, name one; or
 *                     there is none of that name, and no amount is said
 *   JINI_E_NOT_FOUND  "user_id"
 *   JINI_E_CONFLICT   "user_id", "price", "amount", "currency", "reference" and so on: the id
 *                     stands for a payment with another one
 *   JINI_E_EXISTS     "reference": a payment has it with another user, price or amount
 *   JINI_E_BUSY       "payments": the user began 64 within payments.same_ms
 * Durable.
 */
enum jini_payment_flag {
    JINI_PAYMENT_IMPORTED = 1 << 0 /* from elsewhere: each id is a payment, however near another */
};
struct jini_payment_intend {
    struct jini_request request;
    struct jini_id id;
    uint64_t user_id;
    uint64_t amount;
    uint64_t at_ms;
    char price[JINI_PRICE_NAME_MAX];
    char currency[JINI_CURRENCY_MAX];
    char provider[JINI_PROVIDER_MAX];
    char reference[JINI_REFERENCE_MAX];
    uint32_t flags; /* enum jini_payment_flag */
    uint32_t repeated;
    struct jini_payment payment;
};
JINI_EXPORT int jini_payment_intend(struct jini *jini, struct jini_payment_intend *intend,
                                    jini_callback *callback);
JINI_EXPORT int jini_txn_payment_intend(struct jini_txn *txn, struct jini_payment_intend *intend);

/*
 * The money of a payment has arrived. In: `id`; `currency` and `amount`, empty and 0 for those
 * intended; `fee`, what the provider keeps, at most the amount; `provider` and `reference`, empty
 * for those intended; `at_ms`, as above. Out: `payment`, SETTLED, or REFUSED with its reason.
 *
 * A payment for the tier that the user has extends it; one for another tier begins at once if it is
 * dearer by the day, and what is left of the others follows it, or else behind them; README.md of
 * core/ledger has the rules.
 *   JINI_E_INVALID    a member breaks its rule
 *   JINI_E_NOT_FOUND  "id"
 *   JINI_E_CONFLICT   "reference", "provider", "amount", "currency" or "fee": it arrived before,
 *                     with another one
 *   JINI_E_EXISTS     "reference": another payment has it
 * Durable.
 */
struct jini_payment_settle {
    struct jini_request request;
    struct jini_id id;
    uint64_t amount;
    uint64_t fee;
    uint64_t at_ms;
    char currency[JINI_CURRENCY_MAX];
    char provider[JINI_PROVIDER_MAX];
    char reference[JINI_REFERENCE_MAX];
    uint32_t reserved;
    uint32_t repeated;
    struct jini_payment payment;
};
JINI_EXPORT int jini_payment_settle(struct jini *jini, struct jini_payment_settle *settle,
                                    jini_callback *callback);
JINI_EXPORT int jini_txn_payment_settle(struct jini_txn *txn, struct jini_payment_settle *settle);

/*
 * The other ways on. In: `id` and what each says; `reason` may be empty. Out: `payment`.
 * JINI_E_NOT_FOUND: "id". JINI_E_CONFLICT: "state", it does not go on from where it is that way; or
 * it was done before with another "amount", "outcome" or "fee". Work on a full disk. Durable.
 *
 * jini_payment_fail()     an INTENT comes to nothing
 * jini_payment_refund()   a SETTLED or REFUSED payment is paid back, `amount` or with 0 all of it.
 *                         Its tier goes, and of its credits what is neither drawn nor reserved.
 *                         Once: what is not paid back is revenue. JINI_E_INVALID: "amount", more
 *                         than arrived, or less of one that is REFUSED
 * jini_payment_dispute()  the money of a SETTLED payment is held by its bank; tier and unused
 *                         credits go. Once: a payment that was won is not disputed again
 * jini_payment_resolve()  a dispute has ended. WON: what was taken is given again, from now on.
 *                         LOST: the payment is REFUNDED. `fee` is what the bank keeps for that,
 *                         beyond the amount. JINI_E_BUSY: "grants", the user's wallet is full
 */
struct jini_payment_end {
    struct jini_request request;
    struct jini_id id;
    uint64_t amount;  /* of a refund */
    uint64_t fee;     /* of a resolve */
    uint32_t outcome; /* of a resolve: enum jini_dispute_outcome */
    uint32_t repeated;
    char reason[JINI_PAYMENT_REASON_MAX];
    struct jini_payment payment;
};
JINI_EXPORT int jini_payment_fail(struct jini *jini, struct jini_payment_end *end,
                                  jini_callback *callback);
JINI_EXPORT int jini_txn_payment_fail(struct jini_txn *txn, struct jini_payment_end *end);
JINI_EXPORT int jini_payment_refund(struct jini *jini, struct jini_payment_end *end,
                                    jini_callback *callback);
JINI_EXPORT int jini_txn_payment_refund(struct jini_txn *txn, struct jini_payment_end *end);
JINI_EXPORT int jini_payment_dispute(struct jini *jini, struct jini_payment_end *end,
                                     jini_callback *callback);
JINI_EXPORT int jini_txn_payment_dispute(struct jini_txn *txn, struct jini_payment_end *end);
JINI_EXPORT int jini_payment_resolve(struct jini *jini, struct jini_payment_end *end,
                                     jini_callback *callback);
JINI_EXPORT int jini_txn_payment_resolve(struct jini_txn *txn, struct jini_payment_end *end);

/* Reads a payment, by its id or by its provider's reference. JINI_E_NOT_FOUND. Any thread. */
JINI_EXPORT int jini_payment_get(struct jini *jini, const struct jini_id *id,
                                 struct jini_payment *out, struct jini_error *error);
JINI_EXPORT int jini_txn_payment_get(struct jini_txn *txn, const struct jini_id *id,
                                     struct jini_payment *out, struct jini_error *error);
JINI_EXPORT int jini_payment_find(struct jini *jini, const char *provider, const char *reference,
                                  struct jini_payment *out, struct jini_error *error);
JINI_EXPORT int jini_txn_payment_find(struct jini_txn *txn, const char *provider,
                                      const char *reference, struct jini_payment *out,
                                      struct jini_error *error);

/*
 * Lists payments behind `after` (NULL: from the first): with a user those of the user, the newest
 * first; with 0 all, by id. JINI_E_NOT_FOUND: "user_id"; "after", it is none of that user.
 */
JINI_EXPORT int jini_payment_list(struct jini *jini, uint64_t user_id, const struct jini_id *after,
                                  struct jini_payment *out, size_t capacity, size_t *count,
                                  struct jini_error *error);
JINI_EXPORT int jini_txn_payment_list(struct jini_txn *txn, uint64_t user_id,
                                      const struct jini_id *after, struct jini_payment *out,
                                      size_t capacity, size_t *count, struct jini_error *error);

/* ---- Subscriptions --------------------------------------------------------------------------- */

enum jini_subscription_state {
    JINI_SUBSCRIPTION_NONE,
    JINI_SUBSCRIPTION_ACTIVE,  /* a period runs */
    JINI_SUBSCRIPTION_PAST_DUE /* it is over, and the tier stays for the grace (payments.grace_s) */
};

struct jini_subscription {
    uint64_t user_id;
    uint32_t state;      /* enum jini_subscription_state */
    uint32_t periods;    /* how many are paid, the one that runs too */
    uint32_t cancelled;  /* 1: it ends with the period, without grace */
    uint32_t holds_tier; /* 0: the tier was set by hand since, and stays when the period ends */
    char tier[JINI_TIER_NAME_MAX];
    char price[JINI_PRICE_NAME_MAX]; /* of the period that runs */
    uint64_t price_version;
    struct jini_id payment_id;
    uint64_t starts_ms; /* the period that runs */
    uint64_t ends_ms;   /* UINT64_MAX: never */
    uint64_t paid_ms;   /* until when is paid, by all periods */
    uint64_t grace_ms;  /* until when the tier stays */
};

/* What a user has. JINI_E_NOT_FOUND: "user_id". Any thread. */
JINI_EXPORT int jini_subscription_get(struct jini *jini, uint64_t user_id,
                                      struct jini_subscription *out, struct jini_error *error);
JINI_EXPORT int jini_txn_subscription_get(struct jini_txn *txn, uint64_t user_id,
                                          struct jini_subscription *out, struct jini_error *error);

/*
 * Has a subscription end with what is paid, without grace; or with `resume` go on again. A payment
 * resumes it too. In: `user_id`, `resume`. Out: `subscription`. JINI_E_NOT_FOUND: "user_id", or
 * "subscription", there is none. Works on a full disk. Durable.
 */
struct jini_subscription_cancel {
    struct jini_request request;
    uint64_t user_id;
    uint32_t resume;
    uint32_t reserved;
    struct jini_subscription subscription;
};
JINI_EXPORT int jini_subscription_cancel(struct jini *jini, struct jini_subscription_cancel *cancel,
                                         jini_callback *callback);
JINI_EXPORT int jini_txn_subscription_cancel(struct jini_txn *txn,
                                             struct jini_subscription_cancel *cancel);

/* ---- The books ------------------------------------------------------------------------------- */

/*
 * The balances of a currency's accounts. cash + fees + disputed + refunds = deferred + revenue +
 * unmatched, always.
 */
struct jini_books {
    char currency[JINI_CURRENCY_MAX];
    uint32_t reserved;
    int64_t cash; /* what arrived less what was paid back and kept; may be negative */
    int64_t fees;
    int64_t disputed;  /* held by banks */
    int64_t refunds;   /* paid back of what was revenue */
    int64_t deferred;  /* received for what is still to be given */
    int64_t revenue;   /* of which `refunds` is to be taken off */
    int64_t unmatched; /* of payments that are REFUSED */
};

/*
 * Reads them; all zero where nothing was paid in that currency. JINI_E_INVALID: "currency".
 * JINI_E_TOO_BIG: a balance is over 2^63. Any thread.
 */
JINI_EXPORT int jini_books_get(struct jini *jini, const char *currency, struct jini_books *out,
                               struct jini_error *error);
JINI_EXPORT int jini_txn_books_get(struct jini_txn *txn, const char *currency,
                                   struct jini_books *out, struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
