/*
 * The ledger inside of a store transaction. README.md has the model, the rows and the invariants.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "store/store.h"

#include <jini/ledger.h>

/*
 * The memory of one request: what it reads and changes is looked at and reckoned with there, and
 * written in one go. One may be used again, also by an op that runs a second time.
 */
struct ledger_batch;

/* For requests of up to `count` events. NULL: out of memory. */
struct ledger_batch *ledger_batch_new(uint32_t count);
void ledger_batch_free(struct ledger_batch *batch); /* takes NULL */
uint32_t ledger_batch_size(const struct ledger_batch *batch);

/*
 * Makes accounts. `results` has one for each, whatever becomes of the others. Returns 0 unless the
 * ledger cannot be read or written: then the op must fail. `now_ns` is the time by the clock; the
 * ledger's own never goes back.
 */
int ledger_create_accounts(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                           const struct jini_account *accounts, uint32_t count, uint32_t *results,
                           struct jini_error *error);

/*
 * Makes transfers, after pending ones have expired that were due by `now_ns`, a bounded number of
 * them. The same returns. `replies` may be NULL where only `results` are wanted.
 */
int ledger_create_transfers(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                            const struct jini_transfer *transfers, uint32_t count,
                            struct jini_transfer_reply *replies, struct jini_error *error);

/* Has pending transfers expire that are due, as many as the batch has room for. */
int ledger_expire(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                  uint32_t *expired, struct jini_error *error);

/* When the next pending transfer may expire; UINT64_MAX: none is there. */
int ledger_due_ns(struct store_txn *txn, uint64_t *out, struct jini_error *error);

/* JINI_E_NOT_FOUND, JINI_E_CORRUPT. */
int ledger_account_get(struct store_txn *txn, const struct jini_id *id, struct jini_account *out,
                       struct jini_error *error);
int ledger_transfer_get(struct store_txn *txn, const struct jini_id *id, struct jini_transfer *out,
                        struct jini_error *error);

/*
 * Lists transfers, in the order of their times or against it, and moves the cursor on. `count` may
 * be less than `capacity`, and 0, while the cursor goes on: only so many are looked at in one call.
 * JINI_E_INVALID: the filter, with the field; JINI_E_CORRUPT, JINI_E_NO_MEMORY.
 */
int ledger_transfers_list(struct store_txn *txn, const struct jini_ledger_filter *filter,
                          struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                          size_t capacity, size_t *count, struct jini_error *error);

/*
 * The same of the balances of the account of the filter, which has a history: JINI_E_UNSUPPORTED
 * otherwise. All events of it count, whatever else the filter says, but for the times.
 */
int ledger_balances_list(struct store_txn *txn, const struct jini_ledger_filter *filter,
                         struct jini_ledger_cursor *cursor, struct jini_ledger_balance *out,
                         size_t capacity, size_t *count, struct jini_error *error);

/* The balance of an account with history after all events up to a time; of the last, its time. */
int ledger_balance_at(struct store_txn *txn, const struct jini_id *account_id, uint64_t timestamp,
                      struct jini_ledger_balance *out, struct jini_error *error);

#endif
