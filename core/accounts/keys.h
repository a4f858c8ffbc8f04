/*
 * Where accounts keeps what. Keys are tuples (base/tuple.h); "folded" is text_fold() of the text.
 *
 *   space      key                                            value
 *   USERS      (uint user id, text "u")                       the user's document, user_record.h
 *   USER_KEYS  (text "name", bytes folded user name)          user id, 8 bytes little-endian
 *   USER_KEYS  (text "mail", bytes folded email address)      user id, 8 bytes little-endian
 *   USER_KEYS  (text "tier", bytes folded tier name, uint id) empty: this user has this tier
 *   USER_KEYS  (text "ids")                                   next user id to be given, 8 bytes
 *                                                             little-endian
 *   USER_KEYS  (text "cred", uint id)                         a key or session, credentials.h
 *   USER_KEYS  (text "owned", uint user, uint kind, uint id)  empty: it is this user's
 *   TIERS      (bytes folded tier name)                       the tier's document, tier_record.h
 *
 * What a user does lies in ACTIVITY, under the same first element, and is other modules': users are
 * many and change seldom, and those who are active at a time are few, so that what their admissions
 * write takes few pages. Id 0 is no user's; rows under it are of addresses.
 */
#ifndef ACCOUNTS_KEYS_H
#define ACCOUNTS_KEYS_H

#include "base/tuple.h"
#include "store/store.h"

enum {
    KEYS_FOLDED_MAX = 384,      /* so that (text "name", bytes folded) stays below TUPLE_KEY_MAX */
    KEYS_TIER_FOLDED_MAX = 352, /* compatibility folding makes at most 11 bytes of one */
    KEYS_ID_BYTES = 8,
};

/* The two indexes of users by a text of theirs. */
enum keys_index { KEYS_NAME, KEYS_MAIL };

void keys_user(uint64_t id, struct tuple *out);

/*
 * JINI_E_INVALID: the text is not UTF-8. JINI_E_TOO_BIG: it folds to more than fits a key.
 * JINI_E_NO_MEMORY.
 */
int keys_login(enum keys_index index, const char *text, struct tuple *out);
int keys_tier(const char *name, struct tuple *out);

/* The prefix of a tier's membership rows, and the row of one user. The same errors. */
int keys_members(const char *tier, struct tuple *out);
int keys_member(const char *tier, uint64_t id, struct tuple *out);

/* A value that is one id. Reading: JINI_E_NOT_FOUND; JINI_E_CORRUPT: it is no such value, or 0. */
struct slice keys_id_value(uint64_t id, uint8_t bytes[KEYS_ID_BYTES]);
int keys_get_id(struct store_txn *txn, const struct tuple *key, uint64_t *out);

void keys_counter(struct tuple *out);

#endif
