/*
 * User names made from addresses: the rule of django-allauth 0.50 (generate_unique_username), whose
 * clients expect "alice.smith" for Alice.Smith@example.com, and "alice.smith4" for the next one.
 */
#include "accounts/accounts.h"

#include "base/text.h"

enum { SUFFIX_DIGITS = 4, CANDIDATE_MAX = ACCOUNTS_CHARACTERS_MAX };

_Static_assert((int)CANDIDATE_MAX < (int)JINI_USERNAME_MAX,
               "a candidate fits, one byte a character");

/* splitmix64, https://prng.di.unimi.it/splitmix64.c (public domain). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The byte as it stands in a user name, or 0 for one that goes. The first @ ends the name. */
static char kept(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte + ('a' - 'A'));
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'))
        return (char)byte;
    return byte != 0 && strchr("_+.-", byte) ? (char)byte : 0;
}

/* Runs of blanks inside become one _, those at the ends go. */
static size_t make_base(struct slice ascii, char out[CANDIDATE_MAX + 1])
{
    size_t length = 0;
    bool blank = false;
    for (size_t i = 0; i < ascii.length && ascii.data[i] != '@' && length < CANDIDATE_MAX; i++) {
        char byte = kept(ascii.data[i]);
        if (is_blank(ascii.data[i]))
            blank = length > 0;
        if (byte && blank && length + 1 < CANDIDATE_MAX)
            out[length++] = '_';
        if (byte) {
            out[length++] = byte;
            blank = false;
        }
    }
    out[length] = '\0';
    return length;
}

static char suffix_character(unsigned place, uint64_t *random)
{
    uint64_t value = next_random(random);
    return place < SUFFIX_DIGITS ? (char)('0' + value % 10) : (char)('a' + value % 26);
}

void accounts_username_from_email(const char *email, uint64_t suffix_seed,
                                  struct accounts_candidates *out)
{
    uint8_t bytes[JINI_EMAIL_MAX * 8];
    struct buffer ascii = buffer_of(bytes, sizeof(bytes));
    char base[CANDIDATE_MAX + 1];
    size_t length = 0;
    uint64_t random = suffix_seed;
    memset(out, 0, sizeof(*out));
    if (text_to_ascii(slice_of(email, strnlen(email, JINI_EMAIL_MAX)), &ascii) == 0)
        length = make_base(buffer_slice(&ascii), base);
    if (length == 0) {
        memcpy(base, "user", sizeof("user"));
        length = strlen(base);
    }
    for (unsigned suffix = 0; suffix < ACCOUNTS_CANDIDATES; suffix++) {
        char *name = out->names[suffix];
        size_t kept_length = length + suffix <= CANDIDATE_MAX ? length : CANDIDATE_MAX - suffix;
        memcpy(name, base, kept_length);
        for (unsigned i = 0; i < suffix; i++)
            name[kept_length + i] = suffix_character(i, &random);
    }
}
