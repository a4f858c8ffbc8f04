/*
 * libsodium (argon2id, SipHash, comparison), OpenSSL (PBKDF2 for hashes that Django made) and
 * getrandom(2).
 */
#include "base/crypto.h"

#include <errno.h>
#include <jini/status.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <sys/random.h>

_Static_assert(CRYPTO_PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "an argon2id hash fits");
_Static_assert(CRYPTO_HASH_KEY_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "SipHash key");

enum {
    PBKDF2_ITERATIONS_MAX = 10 * 1000 * 1000,
    PBKDF2_DIGEST_BYTES = 32,
    PBKDF2_SALT_MAX = 128,
    ARGON2_MEMORY_KIB_MIN = 8,
    ARGON2_MEMORY_KIB_MAX = 1024 * 1024,
    ARGON2_WORK_KIB_MAX = 4 * ARGON2_MEMORY_KIB_MAX, /* memory times passes */
    ARGON2_SALT_MIN = 8,
    ARGON2_DIGEST_MIN = 16,
};

static const char argon2_prefix[] = "$argon2id$v=19$";
static const char pbkdf2_prefix[] = "pbkdf2_sha256$";

__attribute__((constructor)) static void start_sodium(void)
{
    JINI_ASSERT(sodium_init() >= 0);
}

void crypto_random(void *out, size_t length)
{
    uint8_t *to = out;
    while (length > 0) {
        ssize_t taken = getrandom(to, length, 0);
        if (taken < 0 && errno == EINTR)
            continue;
        JINI_ASSERT(taken > 0);
        to += taken;
        length -= (size_t)taken;
    }
}

struct crypto_hash crypto_keyed_hash(const uint8_t key[CRYPTO_HASH_KEY_BYTES], struct slice data)
{
    uint8_t out[crypto_shorthash_siphashx24_BYTES];
    crypto_shorthash_siphashx24(out, data.data, data.length, key);
    return (struct crypto_hash){load_le64(out), load_le64(out + 8)};
}

void crypto_digest(struct slice data, uint8_t out[CRYPTO_DIGEST_BYTES])
{
    crypto_generichash(out, CRYPTO_DIGEST_BYTES, data.data, data.length, NULL, 0);
}

bool crypto_equal(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void crypto_wipe(void *data, size_t length)
{
    sodium_memzero(data, length);
}

bool crypto_password_cost_is_taken(struct crypto_password_cost cost)
{
    return cost.memory_kib >= ARGON2_MEMORY_KIB_MIN && cost.memory_kib <= ARGON2_MEMORY_KIB_MAX &&
           cost.passes >= 1 && cost.passes <= ARGON2_WORK_KIB_MAX / cost.memory_kib;
}

int crypto_password_hash(struct slice password, struct crypto_password_cost cost,
                         char out[CRYPTO_PASSWORD_HASH_MAX])
{
    memset(out, 0, CRYPTO_PASSWORD_HASH_MAX);
    if (password.length > CRYPTO_PASSWORD_MAX)
        return JINI_E_TOO_BIG;
    if (!crypto_password_cost_is_taken(cost))
        return JINI_E_INVALID;
    const char *text = password.length ? (const char *)password.data : "";
    int failed =
        crypto_pwhash_str_alg(out, text, password.length, cost.passes,
                              (size_t)cost.memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    return failed ? JINI_E_NO_MEMORY : 0;
}

static bool take_text(const char **text, const char *expected)
{
    size_t length = strlen(expected);
    if (strncmp(*text, expected, length) != 0)
        return false;
    *text += length;
    return true;
}

/*
 * A decimal number from 1 to `max`, without sign, blanks or leading zeros: the one way to write it.
 */
static bool take_number(const char **text, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    const char *digit = *text;
    while (*digit >= '0' && *digit <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*digit++ - '0');
    if (value == 0 || value > max || **text == '0')
        return false;
    *text = digit;
    *out = (uint32_t)value;
    return true;
}

/* Base64 without padding of at least `bytes_min` bytes. */
static bool take_base64(const char **text, size_t bytes_min)
{
    uint8_t bytes[CRYPTO_PASSWORD_HASH_MAX];
    size_t length = 0;
    const char *after = NULL;
    if (sodium_base642bin(bytes, sizeof(bytes), *text, strlen(*text), NULL, &length, &after,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
        return false;
    *text = after;
    return length >= bytes_min;
}

/* Reads "$argon2id$v=19$m=M,t=T,p=1$salt$hash". */
static int argon2_parse(const char *stored, struct crypto_password_cost *out)
{
    struct crypto_password_cost cost = {0};
    const char *text = stored;
    *out = cost;
    if (strlen(stored) >= crypto_pwhash_STRBYTES || !take_text(&text, argon2_prefix) ||
        !take_text(&text, "m=") || !take_number(&text, UINT32_MAX, &cost.memory_kib) ||
        !take_text(&text, ",t=") || !take_number(&text, UINT32_MAX, &cost.passes) ||
        !take_text(&text, ",p=1$") || !take_base64(&text, ARGON2_SALT_MIN) ||
        !take_text(&text, "$") || !take_base64(&text, ARGON2_DIGEST_MIN) || *text != '\0')
        return JINI_E_CORRUPT;
    if (!crypto_password_cost_is_taken(cost))
        return JINI_E_CORRUPT;
    *out = cost;
    return 0;
}

struct pbkdf2 {
    uint32_t iterations;
    struct slice salt;
    uint8_t digest[PBKDF2_DIGEST_BYTES];
};

/* Reads "pbkdf2_sha256$iterations$salt$base64 with padding". */
static int pbkdf2_parse(const char *stored, struct pbkdf2 *out)
{
    const char *text = stored;
    memset(out, 0, sizeof(*out));
    if (!take_text(&text, pbkdf2_prefix) ||
        !take_number(&text, PBKDF2_ITERATIONS_MAX, &out->iterations) || !take_text(&text, "$"))
        return JINI_E_CORRUPT;
    const char *salt = text;
    const char *digest = strchr(salt, '$');
    if (!digest || digest == salt || digest - salt > PBKDF2_SALT_MAX)
        return JINI_E_CORRUPT;
    digest++;
    size_t length = 0;
    const char *after = NULL;
    if (sodium_base642bin(out->digest, sizeof(out->digest), digest, strlen(digest), NULL, &length,
                          &after, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length != sizeof(out->digest) || *after != '\0')
        return JINI_E_CORRUPT;
    out->salt = slice_of(salt, (size_t)(digest - 1 - salt));
    return 0;
}

static int pbkdf2_verify(struct slice password, const char *stored)
{
    struct pbkdf2 hash;
    int status = pbkdf2_parse(stored, &hash);
    if (status)
        return status;
    uint8_t digest[PBKDF2_DIGEST_BYTES];
    if (PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.length, hash.salt.data,
                          (int)hash.salt.length, (int)hash.iterations, EVP_sha256(), sizeof(digest),
                          digest) != 1)
        return JINI_E_NO_MEMORY;
    return crypto_equal(digest, hash.digest, sizeof(digest)) ? 0 : JINI_E_DENIED;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int crypto_password_verify(struct slice password, const char *stored)
{
    if (stored[0] == '\0' || stored[0] == '!' || password.length > CRYPTO_PASSWORD_MAX)
        return JINI_E_DENIED;
    if (begins_with(stored, pbkdf2_prefix))
        return pbkdf2_verify(password, stored);
    struct crypto_password_cost cost;
    if (argon2_parse(stored, &cost) != 0)
        return JINI_E_CORRUPT;
    errno = 0;
    const char *text = password.length ? (const char *)password.data : "";
    if (crypto_pwhash_str_verify(stored, text, password.length) == 0)
        return 0;
    return errno == ENOMEM ? JINI_E_NO_MEMORY : JINI_E_DENIED;
}

int crypto_password_check_form(const char *stored)
{
    struct crypto_password_cost cost;
    struct pbkdf2 hash;
    if (stored[0] == '!' || argon2_parse(stored, &cost) == 0 || pbkdf2_parse(stored, &hash) == 0)
        return 0;
    return JINI_E_INVALID;
}

bool crypto_password_outdated(const char *stored, struct crypto_password_cost cost)
{
    struct crypto_password_cost has;
    if (argon2_parse(stored, &has) != 0)
        return true;
    return has.memory_kib < cost.memory_kib || has.passes < cost.passes;
}
