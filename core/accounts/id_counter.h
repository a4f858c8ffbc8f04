/* The counter of user ids in the store, for the op that creates a user. */
#ifndef ACCOUNTS_ID_COUNTER_H
#define ACCOUNTS_ID_COUNTER_H

#include "accounts/accounts.h"

/* The next `take` ids, still to be taken. JINI_E_TOO_BIG, JINI_E_CORRUPT. */
int id_counter_look(struct store_txn *txn, uint64_t take, struct accounts_id_range *out,
                    struct jini_error *error);

/* Takes what id_counter_look() found in the same transaction. Writes. */
int id_counter_take(struct store_txn *txn, const struct accounts_id_range *range);

#endif
