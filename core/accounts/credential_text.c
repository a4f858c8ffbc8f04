/* Texts of credentials: making them, taking them apart. Pure. */
#include "accounts/credentials.h"

#include "base/error.h"
#include "base/text.h"

enum {
    PREFIX = 3, /* characters of "jk_" */
    ID_CHARACTERS = 12,
    ID_BITS = 60,
    SECRET_BYTES = 16,
    SECRET_CHARACTERS = 26,
    TEXT_CHARACTERS = PREFIX + ID_CHARACTERS + 1 + SECRET_CHARACTERS,
};

_Static_assert((int)TEXT_CHARACTERS < (int)JINI_CREDENTIAL_TEXT_MAX, "a text fits");
_Static_assert((int)PREFIX + ID_CHARACTERS < (int)JINI_CREDENTIAL_SHOWN_MAX, "what is shown fits");
_Static_assert(8 + (int)SECRET_BYTES == (int)CREDENTIAL_RANDOM_BYTES,
               "an id and a secret are drawn");

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char prefixes[][PREFIX + 1] = {[JINI_KEY] = "jk_", [JINI_SESSION] = "js_"};

static void write_id(uint64_t id, char *to)
{
    for (int i = ID_CHARACTERS - 1; i >= 0; i--, id >>= 5)
        to[i] = alphabet[id & 31];
}

static bool read_id(const char *from, uint64_t *id)
{
    *id = 0;
    for (int i = 0; i < ID_CHARACTERS; i++) {
        const char *digit = from[i] ? strchr(alphabet, from[i]) : NULL;
        if (!digit)
            return false;
        *id = *id << 5 | (uint64_t)(digit - alphabet);
    }
    return *id != 0;
}

/* 130 bits, of which the first two are 0. */
static void write_secret(const uint8_t secret[SECRET_BYTES], char *to)
{
    uint64_t high = load_be64(secret);
    uint64_t low = load_be64(secret + 8);
    for (int i = SECRET_CHARACTERS - 1; i >= 0; i--) {
        to[i] = alphabet[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
}

static bool kind_of(const char *text, enum jini_credential_kind *out)
{
    for (int kind = JINI_KEY; kind <= JINI_SESSION; kind++) {
        *out = (enum jini_credential_kind)kind;
        if (strncmp(text, prefixes[kind], PREFIX) == 0)
            return true;
    }
    return false;
}

void credential_show(enum jini_credential_kind kind, uint64_t id,
                     char shown[JINI_CREDENTIAL_SHOWN_MAX])
{
    memcpy(shown, prefixes[kind], PREFIX);
    write_id(id, shown + PREFIX);
    shown[PREFIX + ID_CHARACTERS] = '\0';
}

void credential_make(enum jini_credential_kind kind, const uint8_t random[CREDENTIAL_RANDOM_BYTES],
                     char text[JINI_CREDENTIAL_TEXT_MAX], struct credential_text *out)
{
    out->kind = kind;
    out->id = load_be64(random) >> (64 - ID_BITS);
    out->id += out->id == 0;
    credential_show(kind, out->id, text);
    text[PREFIX + ID_CHARACTERS] = '_';
    write_secret(random + 8, text + PREFIX + ID_CHARACTERS + 1);
    text[TEXT_CHARACTERS] = '\0';
    crypto_digest(slice_of(text, TEXT_CHARACTERS), out->digest);
}

int credential_read_id(const char *text, uint64_t *id)
{
    enum jini_credential_kind kind;
    *id = 0;
    if (!text || !kind_of(text, &kind) || !read_id(text + PREFIX, id) ||
        (text[PREFIX + ID_CHARACTERS] != '\0' && text[PREFIX + ID_CHARACTERS] != '_'))
        return JINI_E_INVALID;
    return 0;
}

/* The digest is of the bytes as they are, so only one spelling of a text is right. */
int credential_read(const char *text, struct credential_text *out)
{
    memset(out, 0, sizeof(*out));
    if (!text || strnlen(text, JINI_CREDENTIAL_TEXT_MAX) != TEXT_CHARACTERS ||
        !kind_of(text, &out->kind) || credential_read_id(text, &out->id) != 0)
        return JINI_E_DENIED;
    crypto_digest(slice_of(text, TEXT_CHARACTERS), out->digest);
    return 0;
}

static bool has_control(const char *text)
{
    struct slice rest = slice_of_text(text);
    struct text_character character;
    while (text_take(&rest, &character)) {
        if (character.kind == TEXT_CONTROL)
            return true;
    }
    return rest.length > 0; /* it is not UTF-8 */
}

int credential_check_new(const struct jini_credential *credential,
                         accounts_check_limits_fn *check_limits, struct jini_error *error)
{
    const char *name = credential->name;
    if (!memchr(name, '\0', sizeof(credential->name)) || has_control(name))
        return error_set(error, JINI_E_INVALID, "name",
                         "up to %d bytes of UTF-8 without control characters are taken",
                         JINI_CREDENTIAL_NAME_MAX - 1);
    if (credential->kind != JINI_KEY)
        return 0;
    if (!memchr(credential->limits, '\0', sizeof(credential->limits)))
        return error_set(error, JINI_E_INVALID, "limits", "up to %d bytes are taken",
                         JINI_KEY_LIMITS_TEXT_MAX - 1);
    return check_limits(credential->limits, error);
}
