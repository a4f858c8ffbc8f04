/*
 * Users and tiers.
 *
 * A user has an integer id that is never used again, a user name and an email address that are
 * unique without regard to case, also against each other, since either logs in, a password hash, a
 * tier, and optionally overrides of what the tier allows. Tiers are data: a change of a tier or of
 * a user's tier holds for the next request of every process.
 */
#ifndef JINI_ACCOUNTS_H
#define JINI_ACCOUNTS_H

#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes of text members, with the NUL. Text is UTF-8. */
enum {
    JINI_USERNAME_MAX = 301, /* 150 characters, 300 bytes */
    JINI_EMAIL_MAX = 255,
    JINI_PERSON_NAME_MAX = 301, /* 150 characters, 300 bytes */
    JINI_TIER_NAME_MAX = 33,
    JINI_LIMITS_TEXT_MAX = 257,
    JINI_PASSWORD_MAX = 1025,
    JINI_PASSWORD_HASH_MAX = 256,
    JINI_CURRENCY_MAX = 4,
    JINI_TIERS_MAX = 64, /* not a size: as many tiers as there can be */
};

enum jini_user_flag {
    JINI_USER_ACTIVE = 1 << 0, /* may log in and generate */
    JINI_USER_STAFF = 1 << 1
};

/*
 * What a tier allows, and what a user's overrides may replace. 0 means no bound, where a bound is
 * meant. The numbers have bounds of their own: 65,536 pixels, 100,000 steps, 10,000 jobs, 36,500
 * days. Whatever they allow, 256 jobs of one subject may run at once: see jini_admit().
 */
struct jini_allowance {
    char limits[JINI_LIMITS_TEXT_MAX]; /* rate limits and quotas, "5/minute; 30/day"; limits.h */
    uint32_t width_max;                /* of an image, in pixels */
    uint32_t height_max;
    uint32_t steps_max;      /* of a generation */
    uint32_t parallel_max;   /* jobs that may run at once, of a user or an address */
    uint32_t retention_days; /* how long images are kept; 0: for ever */
};

/* Members of struct jini_allowance that an override replaces. */
enum jini_allowance_field {
    JINI_ALLOWANCE_LIMITS = 1 << 0,
    JINI_ALLOWANCE_WIDTH = 1 << 1,
    JINI_ALLOWANCE_HEIGHT = 1 << 2,
    JINI_ALLOWANCE_STEPS = 1 << 3,
    JINI_ALLOWANCE_PARALLEL = 1 << 4,
    JINI_ALLOWANCE_RETENTION = 1 << 5,
    JINI_ALLOWANCE_ALL = (1 << 6) - 1
};

/*
 * A user. What functions fill in has text members that end in NUL, with anything behind it, and
 * members of `overrides` that override_mask does not name are 0 and "".
 */
struct jini_user {
    uint64_t id;                   /* 1 to 2^48 - 1 */
    uint32_t flags;                /* enum jini_user_flag */
    uint32_t override_mask;        /* enum jini_allowance_field: what of `overrides` counts */
    uint64_t created_ms;           /* since 1970, as all times that end in _ms and are not spans */
    uint64_t last_login_ms;        /* 0: never */
    uint64_t revocation_epoch;     /* sessions begun under a smaller one are over */
    uint64_t tier_until_ms;        /* the tier is paid until then (payments.h); 0: it stays */
    char tier[JINI_TIER_NAME_MAX]; /* spelled as the tier is, whatever the case it was given in */
    char username[JINI_USERNAME_MAX];
    char email[JINI_EMAIL_MAX]; /* as typed; may be empty */
    char first_name[JINI_PERSON_NAME_MAX];
    char last_name[JINI_PERSON_NAME_MAX];
    struct jini_allowance overrides;
};

/*
 * Adds a user. In: `user` (id, created_ms, last_login_ms, revocation_epoch and tier_until_ms are
 * set by the engine; an empty tier is the default one, "Free"), and at most one of `password` and
 * `password_hash`; with neither no password fits.
 *
 * A user name is 1 to 150 letters and digits of any script and @ . + - _. An empty one is made from
 * the address: the part before the @ in plain lower case, with 1 to 6 characters more if that is
 * taken. An email address may be empty; else it has one @, before it up to 64 bytes without quotes
 * and blanks, and behind it a domain of two labels or more, or "localhost". First and last name
 * have up to 150 characters, none a control character. `password` has 1 to 1,024 bytes.
 * `password_hash` is argon2id in PHC form or Django's "pbkdf2_sha256$...", for imports; one that
 * begins with '!' fits no password. Without JINI_USER_ACTIVE in `flags` the user is disabled: it
 * cannot log in, and is refused wherever limits are asked (JINI_E_INACTIVE).
 *
 * Out: `user` as stored.
 *   JINI_E_INVALID    a member breaks its rule
 *   JINI_E_EXISTS     `error.field` is "username" or "email": another user has it, as the name or
 *                     as the address; one user's name and address may be equal
 *   JINI_E_NOT_FOUND  "tier", there is no such tier
 * Durable once it succeeded.
 */
struct jini_user_add {
    struct jini_request request;
    struct jini_user user;
    const char *password;
    const char *password_hash;
};
JINI_EXPORT int jini_user_add(struct jini *jini, struct jini_user_add *add,
                              jini_callback *callback);

/*
 * The same inside a transaction: see jini_txn_fn. Here `password` is NULL, since hashing takes too
 * long, and `user.username` is not empty; JINI_E_INVALID names them.
 */
JINI_EXPORT int jini_txn_user_add(struct jini_txn *txn, struct jini_user_add *add);

/* Members of struct jini_user that jini_user_set() replaces. */
enum jini_user_field {
    JINI_USER_FIELD_USERNAME = 1 << 0,
    JINI_USER_FIELD_EMAIL = 1 << 1,
    JINI_USER_FIELD_FIRST_NAME = 1 << 2,
    JINI_USER_FIELD_ACTIVE = 1 << 3, /* JINI_USER_ACTIVE in flags */
    JINI_USER_FIELD_TIER = 1 << 4,
    JINI_USER_FIELD_OVERRIDES = 1 << 5, /* those that override_fields names */
    JINI_USER_FIELD_REVOKE = 1 << 6,    /* adds 1 to revocation_epoch: all sessions end */
    JINI_USER_FIELD_STAFF = 1 << 7,     /* JINI_USER_STAFF in flags */
    JINI_USER_FIELD_LAST_NAME = 1 << 8,
    JINI_USER_FIELD_NAMES = JINI_USER_FIELD_FIRST_NAME | JINI_USER_FIELD_LAST_NAME,
    JINI_USER_FIELD_FLAGS = JINI_USER_FIELD_ACTIVE | JINI_USER_FIELD_STAFF
};

/*
 * Changes a user. In: `user.id`, `fields`, and the members that `fields` names, under the rules of
 * jini_user_add(), but that an empty user name is refused. What is not named stays as the
 * transaction finds it, so two changes of different members at once both hold. Of the overrides
 * change those that `override_fields` names: one that `user.override_mask` names too becomes what
 * `user.overrides` has, any other goes. A tier that is set stays, whatever the user has paid for: a
 * period that ends takes it no more, and the next payment for a tier does (payments.h). Out: `user`
 * as stored. A change of tier, flags or overrides
 * holds for the next request of every process. JINI_E_NOT_FOUND: no such user ("id") or tier
 * ("tier"). JINI_E_EXISTS: "username" or "email", as jini_user_add(). Durable.
 */
struct jini_user_set {
    struct jini_request request;
    struct jini_user user;
    uint32_t fields; /* enum jini_user_field, at least one */
    uint32_t
        override_fields; /* enum jini_allowance_field, with JINI_USER_FIELD_OVERRIDES; 0: all */
};
JINI_EXPORT int jini_user_set(struct jini *jini, struct jini_user_set *set,
                              jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_user_set(struct jini_txn *txn, struct jini_user_set *set);

/*
 * Sets a password, 1 to 1,024 bytes, or with NULL none that fits, and ends all sessions. Hashing
 * takes tens of milliseconds on a thread of the engine's own. JINI_E_NOT_FOUND. Durable.
 */
struct jini_password_set {
    struct jini_request request;
    uint64_t user_id;
    const char *password;
};
JINI_EXPORT int jini_password_set(struct jini *jini, struct jini_password_set *set,
                                  jini_callback *callback);

/*
 * Checks a password. In: `login`, a user name or an email address, and `password`. Out: `user`,
 * with the new last_login_ms. A hash of another kind or of a smaller cost than configured is made
 * anew on success.
 *   JINI_E_DENIED    unknown user or wrong password, without telling which, and after the same work
 *   JINI_E_INACTIVE  the password is right, the account is disabled
 *   JINI_E_CONFLICT  password or sessions changed while it was checked; try again
 *   JINI_E_BUSY      too many logins wait
 */
struct jini_login {
    struct jini_request request;
    const char *login;
    const char *password;
    struct jini_user user;
};
JINI_EXPORT int jini_login(struct jini *jini, struct jini_login *login, jini_callback *callback);

/*
 * Reads a user on a snapshot. Any thread, a few microseconds, never waits for a writer. The tier is
 * that of now: one that was paid until then is over. `out` is all zero after an error.
 * JINI_E_NOT_FOUND. `error` may be NULL.
 */
JINI_EXPORT int jini_user_get(struct jini *jini, uint64_t id, struct jini_user *out,
                              struct jini_error *error);

/*
 * The same, by user name or by email address, without regard to case and compatibility forms. A
 * text with an @ is an address first, which matters only where an older version let a name be
 * another user's address. `login` may be another spelling of the address: mail goes to
 * `out->email`.
 */
JINI_EXPORT int jini_user_find(struct jini *jini, const char *login, struct jini_user *out,
                               struct jini_error *error);

/*
 * Lists users by id. `after` is the id of the last one known, 0 for the beginning; up to `capacity`
 * users go to `out`, their number to `count`: fewer than `capacity` when there are no more.
 */
JINI_EXPORT int jini_user_list(struct jini *jini, uint64_t after, struct jini_user *out,
                               size_t capacity, size_t *count, struct jini_error *error);

/* The same three inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_user_get(struct jini_txn *txn, uint64_t id, struct jini_user *out,
                                  struct jini_error *error);
JINI_EXPORT int jini_txn_user_find(struct jini_txn *txn, const char *login, struct jini_user *out,
                                   struct jini_error *error);
JINI_EXPORT int jini_txn_user_list(struct jini_txn *txn, uint64_t after, struct jini_user *out,
                                   size_t capacity, size_t *count, struct jini_error *error);

struct jini_tier {
    char name[JINI_TIER_NAME_MAX];    /* letters, digits, - and _; unique without regard to case */
    char currency[JINI_CURRENCY_MAX]; /* ISO 4217, "EUR"; may be empty where the price is 0 */
    uint64_t
        price_minor; /* of a period, in the currency's smallest unit: 1500 is EUR 15.00; to 10^12 */
    struct jini_allowance allowance;
    uint32_t queue_priority; /* 0 to 1,000: of jobs that wait for a worker, the higher go first */
    uint32_t version;        /* out: how often it was changed since it was added */
};

/* Members of struct jini_tier that jini_tier_set() replaces, beside enum jini_allowance_field. */
enum jini_tier_field {
    JINI_TIER_FIELD_PRICE = 1 << 16,
    JINI_TIER_FIELD_CURRENCY = 1 << 17,
    JINI_TIER_FIELD_QUEUE_PRIORITY = 1 << 18,
    JINI_TIER_FIELD_ALL = JINI_ALLOWANCE_ALL | JINI_TIER_FIELD_PRICE | JINI_TIER_FIELD_CURRENCY |
                          JINI_TIER_FIELD_QUEUE_PRIORITY
};

enum jini_tier_set_mode {
    JINI_TIER_ADD_OR_CHANGE,
    JINI_TIER_ADD,   /* JINI_E_EXISTS where there is one of that name */
    JINI_TIER_CHANGE /* JINI_E_NOT_FOUND where there is none */
};

/*
 * Adds a tier, or changes the one of that name, whose spelling stays as it was added. At most 64
 * tiers. In: `tier.name`, and the members of `tier` that `fields` names; others stay as the
 * transaction finds them, or are 0 and "" in a new tier. Out: `tier` as stored. JINI_E_INVALID: a
 * member or the limits text breaks a rule. JINI_E_TOO_BIG: 64 tiers. JINI_E_EXISTS,
 * JINI_E_NOT_FOUND ("name"): as `mode` says. Holds for the next request of every process. Durable.
 */
struct jini_tier_set {
    struct jini_request request;
    struct jini_tier tier;
    uint32_t fields; /* enum jini_tier_field, enum jini_allowance_field; 0: all */
    uint32_t mode;   /* enum jini_tier_set_mode */
};
JINI_EXPORT int jini_tier_set(struct jini *jini, struct jini_tier_set *set,
                              jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_tier_set(struct jini_txn *txn, struct jini_tier_set *set);

/*
 * Deletes a tier. JINI_E_NOT_FOUND. JINI_E_IN_USE: users have it, so move them first; a price buys
 * it; or it is the default one, "Free", or the one of anonymous.tier of this process, which stay.
 * Durable.
 */
struct jini_tier_remove {
    struct jini_request request;
    char name[JINI_TIER_NAME_MAX];
};
JINI_EXPORT int jini_tier_remove(struct jini *jini, struct jini_tier_remove *remove,
                                 jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_tier_remove(struct jini_txn *txn, struct jini_tier_remove *remove);

/* Reads a tier by name, without regard to case. JINI_E_NOT_FOUND. */
JINI_EXPORT int jini_tier_get(struct jini *jini, const char *name, struct jini_tier *out,
                              struct jini_error *error);

/*
 * Lists all tiers in the order in which they were added; a `capacity` of JINI_TIERS_MAX is always
 * enough. JINI_E_TOO_BIG: there are more; the first stand in `out`.
 */
JINI_EXPORT int jini_tier_list(struct jini *jini, struct jini_tier *out, size_t capacity,
                               size_t *count, struct jini_error *error);

/* The same two inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_tier_get(struct jini_txn *txn, const char *name, struct jini_tier *out,
                                  struct jini_error *error);
JINI_EXPORT int jini_txn_tier_list(struct jini_txn *txn, struct jini_tier *out, size_t capacity,
                                   size_t *count, struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
