/*
 * Payments as records, and the rows by which they are found.
 *
 *   PAYMENTS (uint 0, id payment)                        the record
 *   PAYMENTS (uint 1, bytes provider, bytes reference)   the payment that has it, 16 bytes
 *
 * The payments of a user are a chain: each record has the id of the one before it, and the user's
 * row (subscriptions.h) that of the last.
 *
 * Format of a record: a document (base/document.h) of at most PAYMENT_RECORD_MAX bytes. The numbers
 * are pinned. What is 0 or empty is left out. Fields of other numbers are kept.
 *
 *    1 user_id         2 state            3 refusal          4 outcome         5 days
 *    6 price           7 tier             8 currency         9 received_currency
 *   10 provider       11 reference       12 reason          13 price_version  14 amount
 *   15 received       16 fee             17 dispute_fee     18 refunded       19 revenue
 *   20 credits        21 created_ms      22 received_ms     23 ended_ms       24 disputed_ms
 *   25 grant_account  26 grant_id        27 previous        28 tier_amount    29 credits_amount
 *   30 period_ms      31 served_ms       32 time_revenue    33 credits_revenue
 *   34 credits_gone   35 due_ms          36 moved_ms        37 grants         38 priority
 *   39 credits_expire
 */
#ifndef LEDGER_PAYMENTS_H
#define LEDGER_PAYMENTS_H

#include "base/document.h"
#include "store/store.h"

#include <jini/payments.h>

enum { PAYMENT_RECORD_MAX = 1536 };

#define PAYMENT_FOREVER UINT64_MAX /* as period_ms, and as the end of a period */

/*
 * A payment. What was bought is copied from the price when it is settled. The whole amount is
 * tier_amount + credits_amount; of both so much is revenue as time_revenue and credits_revenue say,
 * and the rest is deferred as long as the payment is SETTLED or DISPUTED.
 */
struct payment {
    struct jini_payment shown; /* but for deferred, starts_ms and ends_ms */
    struct jini_id previous;   /* of the user; zero: it is the first */
    struct jini_id grant_account;
    uint64_t dispute_fee; /* beside shown.fee */
    uint64_t tier_amount;
    uint64_t credits_amount;
    uint64_t period_ms; /* 0: it buys none; PAYMENT_FOREVER */
    uint64_t served_ms; /* of it, before the period that stands in the user's row */
    uint64_t time_revenue;
    uint64_t credits_revenue;
    uint64_t credits_gone; /* drawn or expired before the present grant was made */
    uint64_t due_ms;       /* when it is looked at again; 0: not */
    uint64_t moved_ms;     /* when revenue was recognised last */
    uint32_t grants;       /* that were made for it */
    uint32_t priority;
    uint32_t credits_expire;
    struct document_rest rest;
};

/* What is deferred of it. */
uint64_t payment_deferred(const struct payment *payment);

/* JINI_E_NOT_FOUND: "id"; JINI_E_CORRUPT, JINI_E_FORMAT. */
int payments_read(struct store_txn *txn, const struct jini_id *id, struct payment *out,
                  struct jini_error *error);
int payments_write(struct store_txn *txn, const struct payment *payment);

/* The payment that has a reference. JINI_E_NOT_FOUND. */
int payments_find(struct store_txn *txn, const char *provider, const char *reference,
                  struct jini_id *out);
int payments_name(struct store_txn *txn, const struct payment *payment);

/* Up to `capacity` ids behind `after` (NULL: from the first). */
int payments_list(struct store_txn *txn, const struct jini_id *after, struct jini_id *out,
                  size_t capacity, size_t *count);

/*
 * For verify. The payment of a key: JINI_E_NOT_FOUND, it is a reference's; JINI_E_CORRUPT, it is
 * none. And what is wrong with the row of a reference: JINI_E_CORRUPT.
 */
int payments_read_key(struct slice key, struct jini_id *out);
int payments_check_reference(struct store_txn *txn, struct slice key);

#endif
