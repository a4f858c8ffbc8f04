/*
 * What the ledger takes and what it answers otherwise: pure functions of an event and of what there
 * is. The order of the checks is the order of the result maps in <jini/ledger.h>.
 */
#ifndef LEDGER_RULES_H
#define LEDGER_RULES_H

#include "ledger/amount.h"
#include "ledger/records.h"

enum { RULES_ENDS = JINI_TRANSFER_POST_PENDING_TRANSFER | JINI_TRANSFER_VOID_PENDING_TRANSFER };

static inline bool rules_is_end(const struct jini_transfer *transfer)
{
    return (transfer->flags & RULES_ENDS) != 0;
}

/* ---- Accounts: the form, then either what exists already or the rest of the fields ---- */

enum jini_account_result rules_account_form(const struct jini_account *account);
enum jini_account_result rules_account_exists(const struct jini_account *account,
                                              const struct jini_account *existing);
enum jini_account_result rules_account_fields(const struct jini_account *account);

/* ---- Transfers ---- */

enum jini_transfer_result rules_transfer_form(const struct jini_transfer *transfer);

/*
 * `existing` has the id of `transfer`. `pending` is what it ended, where it is a post or a void;
 * else NULL.
 */
enum jini_transfer_result rules_transfer_exists(const struct jini_transfer *transfer,
                                                const struct jini_transfer *existing,
                                                const struct jini_transfer *pending);

/* The fields of one that is no post and no void. */
enum jini_transfer_result rules_transfer_fields(const struct jini_transfer *transfer);

/* What a transfer is held against. */
struct rules_parties {
    const struct jini_account *debit;  /* NULL: there is none */
    const struct jini_account *credit; /* NULL: there is none */
    uint64_t last_ns;                  /* of what came before: an imported event is later */
};

/*
 * Whether the accounts take it, by `timestamp` as well, which is the one that it will have.
 * `amount` is what it moves: less than it says where it balances.
 */
enum jini_transfer_result rules_transfer(const struct jini_transfer *transfer,
                                         const struct rules_parties *parties, amount128 *amount);

/* The same two of a post or a void. `pending` is NULL when no transfer has that id. */
enum jini_transfer_result rules_end_fields(const struct jini_transfer *transfer);
enum jini_transfer_result rules_end(const struct jini_transfer *transfer,
                                    const struct pending *pending,
                                    const struct rules_parties *parties, amount128 *amount);

/* Takes from what it ends all that a post or a void leaves out. */
void rules_fill_end(struct jini_transfer *transfer, const struct jini_transfer *pending);

/*
 * True for results that hang on the state of the ledger at that moment. An id that met one is used
 * up, so that a request that was sent twice does not succeed the second time.
 */
bool rules_is_transient(enum jini_transfer_result result);

/* ---- Effects ---- */

void rules_apply(const struct jini_transfer *transfer, struct jini_account *debit,
                 struct jini_account *credit);

/* `amount` is what was posted of `pending`; nothing where it was voided or has expired. */
void rules_apply_end(const struct jini_transfer *pending, bool posted, amount128 amount,
                     struct jini_account *debit, struct jini_account *credit);

/* When a pending transfer expires; 0: never. */
uint64_t rules_expires_ns(const struct jini_transfer *transfer);

#endif
