/* Passwords: their rules, and checking one so that time tells little. */
#include "accounts/accounts.h"

#include "base/error.h"

_Static_assert((int)JINI_PASSWORD_HASH_MAX == (int)CRYPTO_PASSWORD_HASH_MAX,
               "a hash fits its member");

enum { PASSWORD_BYTES_MAX = JINI_PASSWORD_MAX - 1 };

int accounts_password_check_rules(const char *password, struct jini_error *error)
{
    size_t length = strnlen(password, JINI_PASSWORD_MAX);
    if (length == 0)
        return error_set(error, JINI_E_INVALID, "password", "empty; use 1 to %d bytes",
                         PASSWORD_BYTES_MAX);
    if (length > PASSWORD_BYTES_MAX)
        return error_set(error, JINI_E_INVALID, "password", "longer than %d bytes; shorten it",
                         PASSWORD_BYTES_MAX);
    return 0;
}

int accounts_password_check_hash(const char *hash, struct jini_error *error)
{
    size_t length = strnlen(hash, JINI_PASSWORD_HASH_MAX);
    bool printable = length < JINI_PASSWORD_HASH_MAX;
    for (size_t i = 0; i < length && printable; i++)
        printable = hash[i] > ' ' && hash[i] <= '~';
    if (!printable || crypto_password_check_form(hash) != 0)
        return error_set(error, JINI_E_INVALID, "password_hash",
                         "of no known form; use argon2id as \"$argon2id$v=19$...\", or Django's "
                         "\"pbkdf2_sha256$iterations$salt$hash\"");
    return 0;
}

/* As much work as checking a hash of this cost, for a password that cannot be right. */
static int deny_after_work(struct slice password, struct crypto_password_cost cost)
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    int status = crypto_password_hash(password, cost, hash);
    crypto_wipe(hash, sizeof(hash));
    return status == JINI_E_NO_MEMORY ? status : JINI_E_DENIED;
}

int accounts_password_verify(const char *password, const char *stored,
                             struct crypto_password_cost cost)
{
    struct slice bytes = slice_of(password, strnlen(password, JINI_PASSWORD_MAX));
    bool fits_none = !stored || stored[0] == '\0' || stored[0] == '!';
    if (fits_none || bytes.length == 0 || bytes.length > PASSWORD_BYTES_MAX)
        return deny_after_work(bytes, cost);
    return crypto_password_verify(bytes, stored);
}
