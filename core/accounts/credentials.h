/*
 * Keys and sessions: texts that stand for a user.
 *
 *   text: "jk_" or "js_", its id of 60 bits as 12 characters, "_", 128 random bits as 26
 *   characters; 5 bits each, the most significant first, of "0123456789abcdefghjkmnpqrstvwxyz"
 *
 * Rows, in USER_KEYS:
 *
 *   (text "cred", uint id)                        the credential, a document of at most 512 bytes
 *   (text "owned", uint user, uint kind, uint id) empty: it is this user's
 *
 *   field  name        type   what it holds
 *    1     user_id     uint   always there
 *    2     kind        uint   enum jini_credential_kind, always there
 *    3     digest      bytes  BLAKE2b-256 of the whole text, always there
 *    4     created_ms  uint
 *    5     expires_ms  uint   0: never
 *    6     revoked_ms  uint   0: not
 *    7     name        text   up to 64 bytes
 *    8     limits      text   of a key, up to 64 bytes
 *    9     epoch       uint   of a session: revocation_epoch of its user when it began
 *
 * Fields of other numbers are of a newer version and are kept. A record that lacks what is always
 * there, has a field twice, of another type or too long, is corrupt.
 *
 * Invariants
 *  1. A credential and the row that it is owned come and go together.
 *  2. A user has no more of a kind than may be, so that nothing has to be cleaned by the clock.
 *     Who comes to a full one takes the place of one that is over.
 *  3. A secret is not stored, and what is compared are digests, in a time that tells nothing.
 */
#ifndef ACCOUNTS_CREDENTIALS_H
#define ACCOUNTS_CREDENTIALS_H

#include "accounts/accounts.h"
#include "base/tuple.h"

#include <jini/keys.h>

/* A text, taken apart. */
struct credential_text {
    uint64_t id;
    enum jini_credential_kind kind;
    uint8_t digest[CRYPTO_DIGEST_BYTES];
};

/* Makes a text from random bytes, at least 24; pure. */
enum { CREDENTIAL_RANDOM_BYTES = 24 };
void credential_make(enum jini_credential_kind kind, const uint8_t random[CREDENTIAL_RANDOM_BYTES],
                     char text[JINI_CREDENTIAL_TEXT_MAX], struct credential_text *out);

/* JINI_E_DENIED: it is none. `text` may be NULL. */
int credential_read(const char *text, struct credential_text *out);

/* What stands before the secret. */
void credential_show(enum jini_credential_kind kind, uint64_t id,
                     char shown[JINI_CREDENTIAL_SHOWN_MAX]);

/* JINI_E_INVALID: it does not begin as a text of a credential. */
int credential_read_id(const char *text, uint64_t *id);

/*
 * Checks name and limits. `check_limits` says whether a text is one of rate limits for a key.
 * JINI_E_INVALID.
 */
int credential_check_new(const struct jini_credential *credential,
                         accounts_check_limits_fn *check_limits, struct jini_error *error);

struct credential_add {
    struct jini_credential *credential; /* id, user_id, kind, expires_ms, name, limits; out: all */
    const uint8_t *digest;
    uint64_t epoch; /* of a session */
    uint64_t now_ms;
    uint32_t most; /* of its kind and user */
};

/*
 *   JINI_E_NOT_FOUND  "user_id"
 *   JINI_E_INACTIVE   "user_id", of a session
 *   JINI_E_CONFLICT   "revocation_epoch"; "id", it is in use
 *   JINI_E_TOO_BIG    "keys.per_user_max"
 */
int credentials_add(struct store_txn *txn, const struct credential_add *add,
                    struct jini_error *error);

/* As jini_credential_check(). `user` may not be NULL. */
int credentials_check(struct store_txn *txn, const struct credential_text *text, uint64_t now_ms,
                      struct jini_credential *out, struct jini_user *user,
                      struct jini_error *error);

/* As jini_credential_revoke(). */
int credentials_revoke(struct store_txn *txn, const struct jini_credential_revoke *revoke,
                       uint64_t now_ms, struct jini_error *error);

/* JINI_E_NOT_FOUND, JINI_E_CORRUPT. */
int credentials_get(struct store_txn *txn, uint64_t id, struct jini_credential *out);

/* As jini_credential_list(); a damaged record is passed over. */
int credentials_list(struct store_txn *txn, uint64_t user_id, enum jini_credential_kind kind,
                     uint64_t after, struct jini_credential *out, size_t capacity, size_t *count);

/* ---- For accounts_check_key() ---------------------------------------------------------------- */

/* Keys; reading one: false where it is none. */
void credentials_key(uint64_t id, struct tuple *out);
void credentials_owned_key(const struct jini_credential *credential, struct tuple *out);
bool credentials_read_owned_key(struct tuple_reader *reader, struct jini_credential *out);

#endif
