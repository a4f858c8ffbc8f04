/*
 * libsodium (argon2id, SipHash, comparison), OpenSSL (PBKDF2 for hashes that Django made) and getrandom(2).
 */
#include "base/crypto.h"

#include <errno.h>
#include <jini/status.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

_Static_assert(CRYPTO_PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "an argon2id hash fits");
_Static_assert(CRYPTO_HASH_KEY_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "SipHash key");

enum {
    PBKDF2_ITERATIONS_MAX = 10 * 1000 * 1000,
    PBKDF2_DIGEST_BYTES = 32,
    PBKDF2_SALT_MAX = 128,
    ARGON2_MEMORY_KIB_MAX = 1024 * 1024,
    ARGON2_PASSES_MAX = 64,
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

bool crypto_equal(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void crypto_wipe(void *data, size_t length)
{
    sodium_memzero(data, length);
}

int crypto_password_hash(struct slice password, struct crypto_password_cost cost,
                         char out[CRYPTO_PASSWORD_HASH_MAX])
{
    memset(out, 0, CRYPTO_PASSWORD_HASH_MAX);
    int failed = crypto_pwhash_str_alg(out, (const char *)password.data, password.length,
                                       cost.passes, (size_t)cost.memory_kib * 1024,
                                       crypto_pwhash_ALG_ARGON2ID13);
    return failed ? JINI_E_NO_MEMORY : 0;
}

/* Reads "m=M,t=T,p=1$" after the prefix. */
static int argon2_cost(const char *stored, struct crypto_password_cost *out)
{
    unsigned long memory_kib;
    unsigned long passes;
    unsigned long lanes;
    int taken = 0;
    const char *parameters = stored + sizeof(argon2_prefix) - 1;
    if (strlen(stored) >= crypto_pwhash_STRBYTES ||
        sscanf(parameters, "m=%10lu,t=%10lu,p=%3lu$%n", &memory_kib, &passes, &lanes, &taken) != 3 ||
        taken == 0)
        return JINI_E_CORRUPT;
    if (memory_kib < 8 || memory_kib > ARGON2_MEMORY_KIB_MAX || passes < 1 ||
        passes > ARGON2_PASSES_MAX || lanes != 1)
        return JINI_E_CORRUPT;
    *out = (struct crypto_password_cost){(uint32_t)memory_kib, (uint32_t)passes};
    return 0;
}

struct pbkdf2 {
    int iterations;
    struct slice salt;
    uint8_t digest[PBKDF2_DIGEST_BYTES];
};

static int pbkdf2_parse(const char *stored, struct pbkdf2 *out)
{
    const char *text = stored + sizeof(pbkdf2_prefix) - 1;
    char *end;
    errno = 0;
    long iterations = strtol(text, &end, 10);
    if (errno || end == text || *end != '$' || iterations < 1 || iterations > PBKDF2_ITERATIONS_MAX)
        return JINI_E_CORRUPT;
    const char *salt = end + 1;
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
    out->iterations = (int)iterations;
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
                          (int)hash.salt.length, hash.iterations, EVP_sha256(), sizeof(digest),
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
    if (stored[0] == '\0' || stored[0] == '!')
        return JINI_E_DENIED;
    if (begins_with(stored, pbkdf2_prefix))
        return pbkdf2_verify(password, stored);
    struct crypto_password_cost cost;
    if (!begins_with(stored, argon2_prefix) || argon2_cost(stored, &cost) != 0)
        return JINI_E_CORRUPT;
    errno = 0;
    if (crypto_pwhash_str_verify(stored, (const char *)password.data, password.length) == 0)
        return 0;
    return errno == ENOMEM ? JINI_E_NO_MEMORY : JINI_E_DENIED;
}

int crypto_password_check_form(const char *stored)
{
    struct crypto_password_cost cost;
    struct pbkdf2 hash;
    if (stored[0] == '!')
        return 0;
    if (begins_with(stored, argon2_prefix))
        return argon2_cost(stored, &cost) ? JINI_E_INVALID : 0;
    if (begins_with(stored, pbkdf2_prefix))
        return pbkdf2_parse(stored, &hash) ? JINI_E_INVALID : 0;
    return JINI_E_INVALID;
}

bool crypto_password_outdated(const char *stored, struct crypto_password_cost cost)
{
    struct crypto_password_cost has;
    if (!begins_with(stored, argon2_prefix) || argon2_cost(stored, &has) != 0)
        return true;
    return has.memory_kib < cost.memory_kib || has.passes < cost.passes;
}
