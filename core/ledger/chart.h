/*
 * The chart of accounts that the engine itself keeps: one account of each kind in a ledger, made
 * when it is first needed.
 *
 * Ids: 0 "js" (0x6a 0x73) | 2 zero u16 | 4 ledger u32 | 8 code u64       big-endian
 */
#ifndef LEDGER_CHART_H
#define LEDGER_CHART_H

#include "ledger/ledger.h"

/* Codes of accounts and of transfers; pinned for ever. */
enum chart_code {
    CHART_ISSUED = 1,  /* what was granted, as a debit balance */
    CHART_USED = 2,    /* drawn by jobs */
    CHART_EXPIRED = 3, /* never drawn */
    CHART_REVOKED = 4, /* taken back with the payment */
    CHART_GRANT = 16,  /* + category: the grants of users */

    /* Of transfers. */
    CHART_GRANTING = 32,
    CHART_GENERATION = 33,
    CHART_REFUND = 34,
    CHART_EXPIRY = 35,
    CHART_REVOCATION = 36,

    /* Of payments, in the ledger of their currency (books.h). */
    CHART_CASH = 64,
    CHART_FEES = 65,     /* what providers keep */
    CHART_DISPUTED = 66, /* held by banks */
    CHART_REFUNDS = 67,  /* paid back of what was revenue */
    CHART_DEFERRED = 68, /* received for what is still to be given */
    CHART_REVENUE = 69,
    CHART_UNMATCHED = 70, /* received for nothing that is sold */

    /* Of transfers: + enum books_step. */
    CHART_PAYMENT = 96
};

struct jini_id chart_account(uint32_t ledger, enum chart_code code);

/* Makes sure that some accounts of a ledger are there. */
int chart_make(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns, uint32_t ledger,
               const enum chart_code *codes, uint32_t count, struct jini_error *error);

#endif
