/*
 * The user record.
 *
 * Format: a document (base/document.h) of at most 4,096 bytes. The numbers are pinned. A field that
 * is 0 or empty is left out, but for those that a tool reads first.
 *
 *   field  name              type  what it holds
 *    1     username          text  1 to 300 bytes, always there
 *    2     email             text  up to 254 bytes, as typed
 *    3     first_name        text  up to 300 bytes
 *    4     last_name         text  up to 300 bytes
 *    5     flags             uint  enum jini_user_flag, 32 bits; unknown bits are kept
 *    6     tier              text  1 to 32 bytes, spelled as the tier is, always there
 *    7     created_ms        uint  always there
 *    8     last_login_ms     uint
 *    9     revocation_epoch  uint
 *   10     password_hash     text  argon2id in PHC form, pbkdf2_sha256 as Django writes it, or '!'
 *                                  first
 *   11     override_mask     uint  enum jini_allowance_field, 32 bits; unknown bits are kept
 *   12     limits            text  this and the next five: there when the mask names them, and not
 *                                  0
 *   13     width_max         uint  32 bits
 *   14     height_max        uint
 *   15     steps_max         uint
 *   16     parallel_max      uint
 *   17     retention_days    uint
 *   18     tier_until_ms     uint  when the tier is over that was paid for
 *
 * Fields of other numbers are of a newer version and are kept when the record is rewritten. A
 * record that lacks what is always there, has a field twice, a known field of another type, a text
 * too long or not UTF-8, or a number that does not fit, is corrupt.
 */
#ifndef ACCOUNTS_USER_RECORD_H
#define ACCOUNTS_USER_RECORD_H

#include "base/document.h"
#include "store/store.h"

#include <jini/accounts.h>

enum { USER_RECORD_MAX = 4096 };

/* What a record holds beside a struct jini_user. */
struct user_extra {
    uint32_t flags_unknown;
    uint32_t overrides_unknown;
    char password_hash[JINI_PASSWORD_HASH_MAX]; /* "": none */
    struct document_rest rest;
};

struct user_record {
    struct jini_user user;
    struct user_extra extra;
};

/*
 * Reads a record into `user`, as accounts_user_get() says, and into `extra` unless that is NULL.
 * JINI_E_CORRUPT: then `user` holds anything. JINI_E_FORMAT: more unknown fields than `extra` can
 * keep.
 */
int user_record_read(struct slice record, uint64_t id, struct jini_user *user,
                     struct user_extra *extra);

/*
 * Reads the record of a user from the store, to be changed. JINI_E_NOT_FOUND, and as
 * user_record_read().
 */
int user_record_load(struct store_txn *txn, uint64_t id, struct user_record *out);

/* JINI_E_TOO_BIG: the record is longer than `out` can take. */
int user_record_write(const struct user_record *record, struct buffer *out);

#endif
