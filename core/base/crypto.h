/*
 * Hashing, random bytes and password hashes. libsodium and OpenSSL do the work; nothing here
 * is a primitive of our own.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/bytes.h"

enum {
    CRYPTO_HASH_KEY_BYTES = 16,
    CRYPTO_DIGEST_BYTES = 32,
    CRYPTO_PASSWORD_HASH_MAX = 256,
    CRYPTO_PASSWORD_MAX = 4096
};

/* Bytes from the kernel's generator. Never fails: a machine without one cannot run this process. */
void crypto_random(void *out, size_t length);

/* SipHash-2-4 with 128 bits of output, for subjects that callers choose. Two words, low first. */
struct crypto_hash {
    uint64_t low;
    uint64_t high;
};
struct crypto_hash crypto_keyed_hash(const uint8_t key[CRYPTO_HASH_KEY_BYTES], struct slice data);

/* BLAKE2b with 256 bits of output (RFC 7693): nobody finds other bytes with the same one. */
void crypto_digest(struct slice data, uint8_t out[CRYPTO_DIGEST_BYTES]);

/* Compares without telling by time where the bytes differ. */
bool crypto_equal(const void *a, const void *b, size_t length);

/* Overwrites memory so that the compiler cannot leave it out. */
void crypto_wipe(void *data, size_t length);

/* What an argon2id hash costs. RFC 9106; OWASP's minimum is 19 MiB, 2 passes, 1 lane. */
struct crypto_password_cost {
    uint32_t memory_kib;
    uint32_t passes;
};

/* Whether crypto_password_hash() takes a cost; its bounds stand there. */
bool crypto_password_cost_is_taken(struct crypto_password_cost cost);

/*
 * Hashes a password into the PHC text form, "$argon2id$v=19$m=...,t=...,p=1$salt$hash". Takes tens
 * of milliseconds and `memory_kib` of memory.
 *   JINI_E_TOO_BIG    the password is longer than CRYPTO_PASSWORD_MAX
 *   JINI_E_INVALID    the cost is below 8 KiB or one pass, above 1 GiB, or more work than four
 *                     passes over 1 GiB
 *   JINI_E_NO_MEMORY  the memory could not be had
 */
int crypto_password_hash(struct slice password, struct crypto_password_cost cost,
                         char out[CRYPTO_PASSWORD_HASH_MAX]);

/*
 * Checks a password against a stored hash: argon2id (PHC form) or Django's
 * "pbkdf2_sha256$iterations$salt$base64". JINI_E_DENIED: it does not match, is longer than
 * CRYPTO_PASSWORD_MAX, or the stored hash is marked unusable (empty, or a first '!').
 * JINI_E_CORRUPT: the stored hash is of neither form, or asks for more than 10,000,000 iterations
 * or for a cost that crypto_password_hash() refuses. JINI_E_NO_MEMORY.
 */
int crypto_password_verify(struct slice password, const char *stored);

/*
 * JINI_E_INVALID unless `stored` is of a form that crypto_password_verify() takes, or marked
 * unusable by '!'.
 */
int crypto_password_check_form(const char *stored);

/*
 * True when `stored` is not an argon2id hash of at least this cost, and is to be made anew at the
 * next login.
 */
bool crypto_password_outdated(const char *stored, struct crypto_password_cost cost);

#endif
