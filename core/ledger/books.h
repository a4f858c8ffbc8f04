/*
 * The books of payments: what is posted, and how much of a payment is revenue. The accounts are in
 * the ledger of a currency (chart.h).
 *
 *   arrived       cash -> deferred; of a REFUSED one  cash -> unmatched
 *   its fee       fees -> cash
 *   recognised    deferred -> revenue
 *   refunded      deferred -> cash, as far as it goes, then  refunds -> cash;  unmatched -> cash
 *   disputed      disputed -> cash
 *     won         cash -> disputed
 *     lost        deferred -> disputed, then  refunds -> disputed;  its fee  fees -> cash
 *
 * (debit -> credit.) Each transfer has its payment as user data 128. Ids are made from the
 * payment's id and what happened, so that nothing is posted twice.
 */
#ifndef LEDGER_BOOKS_H
#define LEDGER_BOOKS_H

#include "ledger/chart.h"
#include "ledger/grants.h"
#include "ledger/payments.h"
#include "ledger/subscriptions.h"

#define BOOKS_DAY_MS UINT64_C(86400000)

/* What happens to a payment; pinned for ever, as ids are made of them. */
enum books_step {
    BOOKS_ARRIVED = 1,
    BOOKS_FEE = 2,
    BOOKS_RECOGNISED = 3, /* number: all revenue after it */
    BOOKS_REFUNDED_DEFERRED = 4,
    BOOKS_REFUNDED_REVENUE = 5,
    BOOKS_REFUNDED_UNMATCHED = 6,
    BOOKS_DISPUTED = 7,
    BOOKS_WON = 8,
    BOOKS_LOST_DEFERRED = 9,
    BOOKS_LOST_REVENUE = 10,
    BOOKS_LOST_FEE = 11,
    BOOKS_GRANT = 12 /* the id of a grant; number: which */
};

struct jini_id books_id(const struct jini_id *payment_id, enum books_step step, uint64_t number);

struct books_move {
    enum books_step step;
    uint64_t number;
    enum chart_code debit;
    enum chart_code credit;
    uint64_t amount; /* 0: it is left out */
};

/* Posts some moves of a payment, all or none. */
enum { BOOKS_MOVES_MAX = 4 };
int books_post(const struct grants_txn *txn, const struct payment *payment,
               const struct books_move *moves, uint32_t count);

/* floor(amount x gone / whole), and all of it once all has gone. Pure. */
uint64_t books_share(uint64_t amount, uint64_t gone, uint64_t whole);

/*
 * How much of its tier's part is revenue at a time: that of the whole days that have passed;
 * `period` is what stands in the user's row, or NULL. Pure.
 */
uint64_t books_time_revenue(const struct payment *payment, const struct period *period,
                            uint64_t now_ms);

/* And of its credits' part, of which so many are left in the present grant. Pure. */
uint64_t books_credits_revenue(const struct payment *payment, uint64_t left);

/* The accounts of a currency, zero where there are none. */
int books_read(struct store_txn *txn, const char *currency, struct jini_books *out,
               struct jini_error *error);

/* For verify: what is wrong between a payment and the ledger; out->kind is NULL: nothing is. */
int books_check(struct store_txn *txn, const struct payment *payment, struct ledger_finding *out);

#endif
