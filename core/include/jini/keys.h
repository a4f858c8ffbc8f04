/*
 * Credentials: keys for programs, and sessions of people who logged in.
 *
 * Either is a text that its user shows with each request: "jk_" or "js_", twelve characters that
 * name it, "_", and a secret of 128 random bits.
 *
 *     jk_0f3k9w2mqa7c_1c8z0v4n7t2x5y9b3d6f8h1j4k
 *
 * It is told once, when it is made. The database keeps a digest (BLAKE2b), from which nobody gets
 * the text back, so that who reads a backup cannot use it; and what stands before the secret, by
 * which it is listed and revoked.
 *
 * jini_admit() takes such a text instead of a subject, and looks at it again in the transaction of
 * the admission: one that was revoked, or whose user's sessions were, admits nothing more.
 * jini_credential_check() is for all other requests of a service.
 */
#ifndef JINI_KEYS_H
#define JINI_KEYS_H

#include <jini/accounts.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_CREDENTIAL_TEXT_MAX = 48, /* with the NUL, as all of these */
    JINI_CREDENTIAL_SHOWN_MAX = 16,
    JINI_CREDENTIAL_NAME_MAX = 65,
    JINI_KEY_LIMITS_TEXT_MAX = 65,
    JINI_KEY_LIMITS_MAX = 2 /* rate limits of a key */
};

enum jini_credential_kind { JINI_KEY = 1, JINI_SESSION = 2 };

struct jini_credential {
    uint64_t id; /* never used again; of a key its number as JINI_SUBJECT_API_KEY */
    uint64_t user_id;
    uint32_t kind; /* enum jini_credential_kind */
    uint32_t reserved;
    uint64_t created_ms;
    uint64_t expires_ms;                   /* 0: never, which only keys do */
    uint64_t revoked_ms;                   /* 0: it was not */
    char shown[JINI_CREDENTIAL_SHOWN_MAX]; /* the text up to the secret: "jk_0f3k9w2mqa7c" */
    char name[JINI_CREDENTIAL_NAME_MAX];   /* what the user calls it, or a session's device */
    char limits[JINI_KEY_LIMITS_TEXT_MAX]; /* of a key, beside those of its user; "": none */
};

/*
 * Makes a key. In: of `key` user_id, name (up to 64 bytes of UTF-8 without control characters, may
 * be empty), limits ("30/minute": up to two rate limits, which count this key alone, beside those
 * of its user) and expires_ms. Out: `key` as stored, and `text`, which nobody is told again.
 *
 * A user has up to keys.per_user_max keys. Those that are over are listed until their place is
 * needed.
 *
 *   JINI_E_INVALID    a member breaks its rule; "expires_ms", it lies in the past
 *   JINI_E_NOT_FOUND  "user_id"
 *   JINI_E_TOO_BIG    "keys.per_user_max", so many are in use
 *   JINI_E_CONFLICT   the name that was drawn is in use; try again
 * Durable once it succeeded. Where the outcome is unknown, look for a new key and revoke it.
 */
struct jini_key_add {
    struct jini_request request;
    struct jini_credential key;
    char text[JINI_CREDENTIAL_TEXT_MAX];
};
JINI_EXPORT int jini_key_add(struct jini *jini, struct jini_key_add *add, jini_callback *callback);

/*
 * Begins a session, of a user who has logged in. In: of `session` user_id and name, and expires_ms
 * or 0 for session.ttl_s from now; `revocation_epoch` of the user as jini_login() gave it, so that
 * what was revoked since the login begins no session. Out: `session`, `text`.
 *
 * A user has up to sessions.per_user_max sessions: one more ends another, one that is over or else
 * the one that expires first.
 *
 *   JINI_E_INVALID, JINI_E_NOT_FOUND: as of jini_key_add()
 *   JINI_E_INACTIVE  the user is disabled
 *   JINI_E_CONFLICT  "revocation_epoch", sessions were revoked since; or as of jini_key_add()
 * Durable once it succeeded.
 */
struct jini_session_begin {
    struct jini_request request;
    struct jini_credential session;
    uint64_t revocation_epoch;
    char text[JINI_CREDENTIAL_TEXT_MAX];
};
JINI_EXPORT int jini_session_begin(struct jini *jini, struct jini_session_begin *begin,
                                   jini_callback *callback);

/*
 * Revokes a key, which stays in the list, or ends a session, which leaves it. In: `id`; `user_id`,
 * whose it must be, 0: anybody's. All sessions of a user end by JINI_USER_FIELD_REVOKE of
 * jini_user_set(), and by a new password. JINI_E_NOT_FOUND ("id"): there is none, or it is another
 * user's. Again: 0 for a key. Works on a full disk. Durable, and holds for the next request of
 * every process.
 */
struct jini_credential_revoke {
    struct jini_request request;
    uint64_t id;
    uint64_t user_id;
};
JINI_EXPORT int jini_credential_revoke(struct jini *jini, struct jini_credential_revoke *revoke,
                                       jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_credential_revoke(struct jini_txn *txn,
                                           struct jini_credential_revoke *revoke);

/*
 * Whose a text is. Any thread, on a snapshot, a few microseconds; `user` may be NULL. Both are all
 * zero after an error.
 *
 *   JINI_E_DENIED    it is no text of a credential, none of this database, or was revoked
 *   JINI_E_EXPIRED   its time is over
 *   JINI_E_INACTIVE  its user is disabled
 *   JINI_E_CORRUPT   its record, or that of its user, cannot be read
 * Charges nothing: rate limits of the key count admissions, and what jini_limit_check() is asked.
 */
JINI_EXPORT int jini_credential_check(struct jini *jini, const char *text,
                                      struct jini_credential *out, struct jini_user *user,
                                      struct jini_error *error);

/*
 * Reads a credential by its id, in use or not. And lists those of a user and a kind by id, from the
 * first behind `after` on; `count` below `capacity`: no more. Sessions that a revocation of all has
 * ended are listed no more. Any thread, on a snapshot. JINI_E_NOT_FOUND: "id", "user_id".
 */
JINI_EXPORT int jini_credential_get(struct jini *jini, uint64_t id, struct jini_credential *out,
                                    struct jini_error *error);
JINI_EXPORT int jini_credential_list(struct jini *jini, uint64_t user_id,
                                     enum jini_credential_kind kind, uint64_t after,
                                     struct jini_credential *out, size_t capacity, size_t *count,
                                     struct jini_error *error);

/* The id of a text as `shown`, or of a whole one. JINI_E_INVALID. */
JINI_EXPORT int jini_credential_parse_id(const char *text, uint64_t *id);

#ifdef __cplusplus
}
#endif
#endif
