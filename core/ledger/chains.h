/*
 * Chains: the debits of an account, and its credits, in the order of their times. An account has
 * the time of its newest debit and credit (records.h), and each event the times of those before it
 * (blocks.h). So appending to them writes nothing but what is written anyway: the account and the
 * event.
 *
 * A chain is walked from its end. So that it can be entered in the middle, and walked forward,
 * every 128th event of it has a mark, an empty row:
 *
 *   POSTINGS (uint 1, uint field, id account, uint time)   field: POSTINGS_DEBITS, POSTINGS_CREDITS
 */
#ifndef LEDGER_CHAINS_H
#define LEDGER_CHAINS_H

#include "ledger/blocks.h"

enum { CHAIN_MARK_EVENTS = 128 };

/*
 * Appends an event to the chain of an account's side: what stands before it goes to `before_ns`,
 * and its mark is written if it has one.
 */
int chain_append(struct store_txn *txn, const struct jini_id *account_id, enum block_side side,
                 uint64_t timestamp, struct chain_end *end, uint64_t *before_ns);

/* A walk over the times of a chain from `min` to `max`, both included. */
struct chain_walk {
    struct store_txn *txn;
    struct jini_id account_id;
    enum block_side side;
    enum store_direction direction;
    uint64_t min;
    uint64_t max;
    uint64_t end_ns; /* of the chain */
    uint64_t time;   /* the one at hand; 0: it has ended */
    uint32_t left;   /* forward: how many of `times` come behind it, the nearest last */
    uint64_t times[CHAIN_MARK_EVENTS];
};

/*
 * Goes to the first time. That of an account that does not exist ends at once. `scratch` has some
 * block afterwards. JINI_E_CORRUPT.
 */
int chain_open(struct chain_walk *walk, struct block *scratch, struct jini_error *error);

/*
 * Goes to the next time. `block` has the event at hand, with this number; going forward, it may
 * have another one afterwards.
 */
int chain_next(struct chain_walk *walk, struct block *block, uint32_t event,
               struct jini_error *error);

#endif
