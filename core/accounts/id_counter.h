/* The counter of user ids in the store, for the op that creates a user. */
#ifndef ACCOUNTS_ID_COUNTER_H
#define ACCOUNTS_ID_COUNTER_H

#include "accounts/accounts.h"

/* The next `take` ids, still to be taken. JINI_E_TOO_BIG, JINI_E_CORRUPT. */
int id_counter_look(struct store_txn *txn, uint64_t take, struct accounts_id_range *out,
                    struct jini_error *error);

/*
 * The same, but ids behind all users too: for whoever has met an id in use, which shows that the
 * counter is behind them. JINI_E_EXISTS: the last user cannot be found.
 */
int id_counter_look_behind_users(struct store_txn *txn, uint64_t take,
                                 struct accounts_id_range *out, struct jini_error *error);

/*
 * The largest id of a user. JINI_E_NOT_FOUND: there is none, or too many rows that are of no user
 * stand behind it.
 */
int id_counter_last_user(struct store_txn *txn, uint64_t *out);

/* Takes what one of the looks found in the same transaction. Writes. */
int id_counter_take(struct store_txn *txn, const struct accounts_id_range *range);

#endif
