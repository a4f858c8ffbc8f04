/*
 * Accounts: users, tiers and credentials as functions of a store transaction, and the rules that
 * need none.
 *
 * A function that writes is called in an op; it reads and checks first, writes after, and takes
 * time, ids and hashes from its arguments. A function that reads takes an op's transaction or a
 * snapshot. The rest is pure. The caller does all that waits or computes for long: submitting ops,
 * hashing passwords.
 *
 * What a writing function answers, beside its own errors: JINI_E_INVALID with the field and the
 * rule, JINI_E_CORRUPT when a stored record or index is damaged, JINI_E_NO_MEMORY, and what the
 * store answers. `error` may be NULL. The formats of keys and records stand in keys.h,
 * user_record.h and tier_record.h.
 *
 * Change words. All words of the store are this module's: word 0 stands for the tiers, the others
 * for users. What a cache may keep of a user or a tier holds while the word holds
 * (store_change_word()). Creating a user marks nothing, so "there is no such user" must not be
 * cached; neither does a login, whose time and renewed hash are not for caches.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "base/crypto.h"
#include "store/store.h"

#include <jini/accounts.h>
#include <stdatomic.h>

#define ACCOUNTS_TIER_DEFAULT "Free"

/* Bounds of what an allowance, a tier and an id may say. */
enum {
    ACCOUNTS_SIDE_MAX = 65536, /* pixels */
    ACCOUNTS_STEPS_MAX = 100000,
    ACCOUNTS_PARALLEL_MAX = 10000,
    ACCOUNTS_RETENTION_DAYS_MAX = 36500,
    ACCOUNTS_CHARACTERS_MAX = 150, /* of a user name, a first or a last name */
    ACCOUNTS_LOCAL_PART_MAX = 64,  /* bytes of an address before the @; RFC 5321, 4.5.3.1.1 */
    ACCOUNTS_LABEL_MAX = 63,       /* characters between two dots of a domain; RFC 1035, 2.3.4 */
    ACCOUNTS_ID_BLOCK = 64,        /* user ids that a process takes at once */
};
#define ACCOUNTS_PRICE_MINOR_MAX UINT64_C(1000000000000)

enum { ACCOUNTS_QUEUE_PRIORITY_MAX = 1000 };
#define ACCOUNTS_ID_MAX ((UINT64_C(1) << 48) - 1)

/* The change word of the tiers, and of a user. Pinned: processes of several versions share them. */
static inline uint32_t accounts_tier_word(void)
{
    return 0;
}

static inline uint32_t accounts_user_word(uint64_t id)
{
    return 1 + (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % (STORE_CHANGE_WORDS - 1);
}

/* ---- Rules, pure ----------------------------------------------------------------------------- */

/*
 * Says whether a limits text can be used: 0, or JINI_E_INVALID with the reason in `error`. The text
 * ends in NUL and is UTF-8. Called inside ops, so it depends on the text alone.
 */
typedef int accounts_check_limits_fn(const char *text, struct jini_error *error);

/*
 * Checks the members of `user` that `fields` names (enum jini_user_field); whether a tier exists
 * and whether a name is free is not asked here. An empty email and an empty tier (the default one)
 * are right, an empty username is not. JINI_E_INVALID: `error` names the first member that breaks a
 * rule, and the rule.
 */
int accounts_user_check(const struct jini_user *user, uint32_t fields,
                        accounts_check_limits_fn *check_limits, struct jini_error *error);

/*
 * The same for the name of a tier and the members that `fields` names (enum jini_tier_field, enum
 * jini_allowance_field). That a price needs a currency is asked where both are named.
 */
int accounts_tier_check(const struct jini_tier *tier, uint32_t fields,
                        accounts_check_limits_fn *check_limits, struct jini_error *error);

/* Copies the members that `fields` names (enum jini_allowance_field). */
void accounts_allowance_take(const struct jini_allowance *from, uint32_t fields,
                             struct jini_allowance *to);

/*
 * What a user may: the tier's allowance, each member replaced that the user's override_mask names.
 */
void accounts_allowance(const struct jini_tier *tier, const struct jini_user *user,
                        struct jini_allowance *out);

/* User names made from an address, in the order in which they are tried. */
enum { ACCOUNTS_CANDIDATES = 7 };
struct accounts_candidates {
    char names[ACCOUNTS_CANDIDATES][JINI_USERNAME_MAX];
};

/*
 * Makes user names from an address, as django-allauth 0.50 does: what is left of it after
 * compatibility decomposition and the loss of all that is neither ASCII letter, digit, space nor
 * one of _ @ + . -, in lower case, up to the @, blanks as _; "user" when nothing is left. The
 * second to the seventh add 1 to 6 characters drawn from `suffix_seed`: up to four digits, then
 * letters.
 */
void accounts_username_from_email(const char *email, uint64_t suffix_seed,
                                  struct accounts_candidates *out);

/* ---- Passwords, pure, and slow where it says so ---------------------------------------------- */

/* JINI_E_INVALID ("password") unless the text has 1 to 1,024 bytes. */
int accounts_password_check_rules(const char *password, struct jini_error *error);

/*
 * JINI_E_INVALID ("password_hash") unless the text is an argon2id hash in PHC form, Django's
 * "pbkdf2_sha256$...", or marked unusable by a first '!', in printable ASCII of up to 255 bytes.
 */
int accounts_password_check_hash(const char *hash, struct jini_error *error);

/*
 * Checks a password. `stored` is NULL for a user who does not exist; then, and for an account that
 * has no password, a hash of `cost` is computed all the same, so that time does not tell who has an
 * account. Slow: tens of milliseconds and cost.memory_kib of memory. JINI_E_DENIED: it does not
 * match. JINI_E_CORRUPT, JINI_E_NO_MEMORY.
 */
int accounts_password_verify(const char *password, const char *stored,
                             struct crypto_password_cost cost);

/* ---- User ids -------------------------------------------------------------------------------- */

/*
 * A process takes blocks of ids from a counter in the store and hands them out, so that the counter
 * is written once per block. An id is given once for ever; a process that dies leaves a gap of up
 * to one block.
 *
 *   accounts_ids_draw()       any thread, before the op is submitted
 *   accounts_user_create()    inside the op: takes a block when the draw says so, and another id
 *                             than the drawn one where that is in use
 *   accounts_ids_settle()     any thread, exactly once per draw, after the op completed or was not
 *                             submitted
 *   accounts_ids_drain() and accounts_ids_give_back() at close
 */
struct accounts_ids {
    _Atomic uint64_t state; /* next id << 16 | ids left << 1 | somebody is taking a block */
};

/* `count` ids from `first`. */
struct accounts_id_range {
    uint64_t first;
    uint64_t count;
};

struct accounts_draw {
    uint64_t id; /* 0: the op takes `take` ids from the counter and uses the first */
    uint64_t take;
    struct accounts_id_range taken; /* out, of the op */
};

void accounts_ids_init(struct accounts_ids *ids);
void accounts_ids_draw(struct accounts_ids *ids, struct accounts_draw *out);
void accounts_ids_settle(struct accounts_ids *ids, const struct accounts_draw *draw, int status);

/*
 * Empties the pool. While a draw that takes a block is open there is nothing in it; that block
 * becomes a gap.
 */
struct accounts_id_range accounts_ids_drain(struct accounts_ids *ids);

/*
 * Puts a drained range back when no other process took a block since; else it stays a gap. Writes.
 */
int accounts_ids_give_back(struct store_txn *txn, const struct accounts_id_range *range);

/* ---- Users ----------------------------------------------------------------------------------- */

/*
 * Reads. On success the text members of `out` end in NUL and what lies behind a NUL is left as it
 * was, which saves the time to clear it; all other members are set; members of `overrides` that
 * override_mask does not name are 0 and "". After an error `out` is all zero.
 */
int accounts_user_get(struct store_txn *txn, uint64_t id, struct jini_user *out);

/*
 * Finds by user name or address; a text with an @ is an address first. JINI_E_NOT_FOUND, also for a
 * text that no user could have. Folding makes different texts equal: whoever sends mail sends it to
 * `out->email`, never to `login`.
 */
int accounts_user_find(struct store_txn *txn, const char *login, struct jini_user *out);

/*
 * Finds the user whose address is the name of `user`, a user as stored, and who is found by it
 * instead; 0: nobody. Names and addresses are one namespace to every op here, but a database may
 * have such a pair from a version that let it be. JINI_E_NOT_FOUND: the name has no index row.
 */
int accounts_user_hidden_by(struct store_txn *txn, const struct jini_user *user, uint64_t *other);

/* What a login is checked against. */
struct accounts_credentials {
    uint64_t user_id;
    uint64_t revocation_epoch;
    char password_hash[JINI_PASSWORD_HASH_MAX]; /* "": no password fits */
};

/* As accounts_user_find(). */
int accounts_credentials_find(struct store_txn *txn, const char *login,
                              struct accounts_credentials *out);

/*
 * Lists users by id, from the first after `after`. `count` tells how many stand in `out`, also
 * after an error; fewer than `capacity` after success: no more. JINI_E_CORRUPT: the user after the
 * last of `out` is damaged.
 */
int accounts_user_list(struct store_txn *txn, uint64_t after, struct jini_user *out,
                       size_t capacity, size_t *count);

/*
 * Creates a user. All members of `user` but id, created_ms, last_login_ms, revocation_epoch and
 * tier_until_ms come from the caller. On success `user` is as stored; a run that follows on it does
 * the same again. After an error it is unchanged.
 */
struct accounts_create {
    struct jini_user *user;
    bool derive_username; /* from the address; set when the caller gave none */
    const char
        *password_hash; /* as accounts_password_check_hash() takes it; NULL: no password fits */
    uint64_t now_ms;
    uint64_t suffix_seed; /* random; for accounts_username_from_email() */
    struct accounts_draw *draw;
    accounts_check_limits_fn *check_limits;
};

/*
 *   JINI_E_EXISTS     "username" or "email" is taken, as a name or as an address; "id": the id is
 *                     in use and no other is found, which no whole database answers
 *   JINI_E_NOT_FOUND  "tier"
 *   JINI_E_TOO_BIG    "id", all ids are used up
 */
int accounts_user_create(struct store_txn *txn, const struct accounts_create *create,
                         struct jini_error *error);

/*
 * Changes the members of the user `user->id` that `fields` names. On success `user` is as stored,
 * and a run that follows on it does the same again. Marks the user's word, unless nothing differs
 * from what is stored.
 */
struct accounts_update {
    struct jini_user *user;
    uint32_t fields;          /* enum jini_user_field, at least one */
    uint32_t override_fields; /* as of struct jini_user_set */
    accounts_check_limits_fn *check_limits;
    char *tier_before; /* NULL, or room for the name of the tier that it had, on success */
};

/*
 * What of that needs no transaction. Only those overrides are looked at that change: the others may
 * be what the run before gave back. JINI_E_INVALID as of accounts_user_check().
 */
int accounts_update_check(const struct accounts_update *update, struct jini_error *error);

/* The same errors. JINI_E_NOT_FOUND: "id" or "tier". JINI_E_EXISTS: "username" or "email". */
int accounts_user_update(struct store_txn *txn, const struct accounts_update *update,
                         struct jini_error *error);

/*
 * Gives a user a tier until a time, 0: for good; it is accounts_user_update() that gives one by
 * hand. "" is the default tier. Marks the user's word, unless nothing differs. JINI_E_NOT_FOUND:
 * "id" or "tier".
 */
int accounts_tier_hold(struct store_txn *txn, uint64_t user_id, const char *tier, uint64_t until_ms,
                       struct jini_error *error);

/*
 * Replaces a password's hash (NULL: no password fits) and adds 1 to the revocation epoch, which
 * ends all sessions. Marks the user's word. JINI_E_NOT_FOUND: "id".
 */
struct accounts_password_change {
    uint64_t user_id;
    const char *password_hash;
};
int accounts_password_set(struct store_txn *txn, const struct accounts_password_change *change,
                          struct jini_error *error);

/* A password that was found to be right. */
struct accounts_login {
    struct accounts_credentials verified; /* what it was checked against */
    const char *renewed_hash;             /* replaces that hash; NULL: it stays */
    uint64_t now_ms;
    struct jini_user *user; /* out: as stored; unchanged after an error */
};

/*
 * Records a login: last_login_ms, and the renewed hash unless another login renewed it first. Marks
 * nothing.
 *   JINI_E_INACTIVE   the account is disabled
 *   JINI_E_CONFLICT   password or sessions were revoked since the check; check again
 *   JINI_E_NOT_FOUND  "id"
 */
int accounts_login_record(struct store_txn *txn, const struct accounts_login *login,
                          struct jini_error *error);

/* ---- Tiers ----------------------------------------------------------------------------------- */

/*
 * Stores the default tiers, Free, Basic and Premium, in a database that has none. Does nothing
 * where there are tiers: the default one cannot be removed, so there are some in every database
 * that this ran on before.
 */
int accounts_tiers_create(struct store_txn *txn);

/* As jini_tier_get(); `out` is all zero after an error. */
int accounts_tier_get(struct store_txn *txn, const char *name, struct jini_tier *out);

/*
 * In the order in which they were added. JINI_E_TOO_BIG: more than `capacity`, of which `out` has
 * the first.
 */
int accounts_tier_list(struct store_txn *txn, struct jini_tier *out, size_t capacity,
                       size_t *count);

/*
 * Adds a tier or changes the one of that name, whose spelling stays. Marks the tiers' word, unless
 * nothing differs. On success `tier` is as stored, and a run that follows on it does the same
 * again.
 */
struct accounts_tier_change {
    struct jini_tier *tier;
    uint32_t fields; /* enum jini_tier_field, enum jini_allowance_field; 0: all */
    uint32_t mode;   /* enum jini_tier_set_mode */
    accounts_check_limits_fn *check_limits;
};

/* JINI_E_TOO_BIG: "name", there are JINI_TIERS_MAX. JINI_E_EXISTS, JINI_E_NOT_FOUND: "name". */
int accounts_tier_set(struct store_txn *txn, const struct accounts_tier_change *change,
                      struct jini_error *error);

/*
 * Deletes a tier. Marks the tiers' word. JINI_E_NOT_FOUND. JINI_E_IN_USE: users have it, or it is
 * the default.
 * `anonymous` (NULL: none): the tier of anonymous clients, which is in use too.
 */
int accounts_tier_remove(struct store_txn *txn, const char *name, const char *anonymous,
                         struct jini_error *error);

/* ---- Checking -------------------------------------------------------------------------------- */

/*
 * For verify. Each looks at one row and at those that must agree with it, in the one snapshot that
 * it is given, and finds one thing at most. It says nothing of a row that is not there, since that
 * may have gone before the snapshot was opened, nor of a damaged record that it only came to from
 * another row: that one is found when its own turn comes. They return 0 whatever was found, or what
 * the store answers when it cannot be read.
 */
struct accounts_finding {
    const char *kind;  /* fixed, for tools; NULL: nothing was found */
    const char *field; /* of the row that was looked at */
    uint64_t user_id;  /* 0: it is about none */
    char rule[448];    /* a sentence: what is there, and what follows */
};

/* A key of space USER_KEYS: whom it names is there, and has that name, address or tier. */
int accounts_check_key(struct store_txn *txn, struct slice key, struct accounts_finding *out);

/* A key of space TIERS: the record, and its name. */
int accounts_check_tier(struct store_txn *txn, struct slice key, struct accounts_finding *out);

/* A user, as stored, among those of its tier. */
int accounts_check_member(struct store_txn *txn, const struct jini_user *user,
                          struct accounts_finding *out);

/* The next id to be given lies above all ids in use. */
int accounts_check_ids(struct store_txn *txn, struct accounts_finding *out);

#endif
