/*
 * Where an account lies.
 *
 * Most lie in LEDGER_ACCOUNTS by their id. One of a user lies in ACTIVITY, among the other rows of
 * that user, so that who charges a user's quota and credits at once writes one page for both.
 * Its id says whose it is:
 *
 *   0 "jw" (0x6a 0x77) | 2 user u48, not 0 | 8 number u64          big-endian
 *
 *   ACTIVITY (uint user, text "a", uint number)   the account
 *
 * Any caller may give an account such an id; that says where it is kept and nothing else.
 */
#ifndef LEDGER_PLACE_H
#define LEDGER_PLACE_H

#include "base/tuple.h"
#include "store/spaces.h"

#include <jini/id.h>

/* The text in the keys of a user's accounts. */
#define PLACE_ACCOUNT_ROW "a"

struct jini_id place_user_account(uint64_t user_id, uint64_t number);

/* False: it is no user's. Either may be NULL. */
bool place_is_of_user(const struct jini_id *id, uint64_t *user_id, uint64_t *number);

/* The key of the account, and its space. */
enum store_space place_of_account(const struct jini_id *id, struct tuple *key);

/*
 * Reads the account from the front of a key of LEDGER_ACCOUNTS or ACTIVITY. JINI_E_NOT_FOUND: a
 * row of ACTIVITY that is none of the ledger's. JINI_E_CORRUPT.
 */
int place_read(enum store_space space, struct tuple_reader *reader, struct jini_id *out);

#endif
