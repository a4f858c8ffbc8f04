/* Looking up a tier for the ops on users. */
#ifndef ACCOUNTS_TIER_LOOKUP_H
#define ACCOUNTS_TIER_LOOKUP_H

#include "accounts/accounts.h"

/*
 * Writes the name of a tier as it is spelled there; "" stands for the default tier. `name` and
 * `out` may be the same. JINI_E_NOT_FOUND ("tier"), JINI_E_CORRUPT.
 */
int tier_resolve(struct store_txn *txn, const char *name, char out[JINI_TIER_NAME_MAX],
                 struct jini_error *error);

#endif
