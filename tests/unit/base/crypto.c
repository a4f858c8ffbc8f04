/* Keyed hashes, random bytes and passwords. */
#include "base/crypto.h"

#include "harness.h"

#include <jini/status.h>
#include <stdlib.h>

/* The least that argon2id takes, so that cases are quick. */
static const struct crypto_password_cost cheap = {.memory_kib = 8, .passes = 1};

TEST(keyed_hash_is_siphash_2_4, "The values are the 128-bit test vectors of SipHash's authors.")
{
    uint8_t key[CRYPTO_HASH_KEY_BYTES];
    for (int i = 0; i < CRYPTO_HASH_KEY_BYTES; i++)
        key[i] = (uint8_t)i;
    struct crypto_hash empty = crypto_keyed_hash(key, slice_of(NULL, 0));
    CHECK_UINT(empty.low, ==, UINT64_C(0xe6a825ba047f81a3));
    CHECK_UINT(empty.high, ==, UINT64_C(0x930255c71472f66d));
    struct crypto_hash zero = crypto_keyed_hash(key, slice_of("\0", 1));
    CHECK_UINT(zero.low, ==, UINT64_C(0x44af996bd8c187da));
    CHECK_UINT(zero.high, ==, UINT64_C(0x45fc229b11597634));
    key[0] = 1;
    CHECK_UINT(crypto_keyed_hash(key, slice_of(NULL, 0)).low, !=, empty.low);
}

TEST(random_bytes_fill_what_was_asked, "Every length is filled to its end and not further.")
{
    for (size_t length = 0; length < 600; length += 37) {
        uint8_t bytes[640];
        uint8_t seen[640] = {0};
        for (int round = 0; round < 16; round++) {
            memset(bytes, 0, sizeof(bytes));
            crypto_random(bytes, length);
            for (size_t i = 0; i < sizeof(bytes); i++)
                seen[i] |= bytes[i];
        }
        for (size_t i = 0; i < sizeof(bytes); i++)
            CHECK_INT(seen[i] != 0, ==, i < length);
    }
}

TEST(equal_compares_every_byte, "Two blocks are equal when all bytes are, and wiping leaves zeros.")
{
    uint8_t a[32];
    uint8_t b[32];
    crypto_random(a, sizeof(a));
    memcpy(b, a, sizeof(a));
    CHECK(crypto_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 0x80;
        CHECK(!crypto_equal(a, b, sizeof(a)));
        b[i] ^= 0x80;
    }
    static const uint8_t zeros[32];
    crypto_wipe(a, sizeof(a));
    CHECK_BYTES(a, zeros, sizeof(a));
}

TEST(a_password_verifies_against_its_hash, "The right password is taken, any other is denied.")
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    struct slice password = slice_of_text("correct horse");
    CHECK_OK(crypto_password_hash(password, cheap, hash));
    CHECK(strncmp(hash, "$argon2id$v=19$m=8,t=1,p=1$", 27) == 0);
    CHECK_OK(crypto_password_check_form(hash));
    CHECK_OK(crypto_password_verify(password, hash));
    CHECK_STATUS(crypto_password_verify(slice_of_text("correct horsf"), hash), JINI_E_DENIED);
    CHECK_STATUS(crypto_password_verify(slice_of_text("correct hors"), hash), JINI_E_DENIED);
    CHECK_STATUS(crypto_password_verify(slice_of(NULL, 0), hash), JINI_E_DENIED);
    char again[CRYPTO_PASSWORD_HASH_MAX];
    CHECK_OK(crypto_password_hash(password, cheap, again));
    CHECK(strcmp(hash, again) != 0);
}

TEST(a_password_may_be_any_bytes, "Empty passwords and passwords with NUL inside are told apart.")
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    CHECK_OK(crypto_password_hash(slice_of("a\0b", 3), cheap, hash));
    CHECK_OK(crypto_password_verify(slice_of("a\0b", 3), hash));
    CHECK_STATUS(crypto_password_verify(slice_of("a\0c", 3), hash), JINI_E_DENIED);
    CHECK_STATUS(crypto_password_verify(slice_of("a", 1), hash), JINI_E_DENIED);
    CHECK_OK(crypto_password_hash(slice_of(NULL, 0), cheap, hash));
    CHECK_OK(crypto_password_verify(slice_of(NULL, 0), hash));
    CHECK_STATUS(crypto_password_verify(slice_of("", 1), hash), JINI_E_DENIED);
}

TEST(hashes_of_the_reference_program_are_taken, "A hash that the authors' `argon2` made verifies.")
{
    static const char made[] = "$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQxMjM0$"
                               "CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8";
    CHECK_OK(crypto_password_verify(slice_of_text("correct horse"), made));
    CHECK_STATUS(crypto_password_verify(slice_of_text("wrong"), made), JINI_E_DENIED);
}

TEST(hashes_of_django_are_taken,
     "PBKDF2 hashes as Django stores them verify (made by Python's hashlib).")
{
    static const struct {
        const char *password;
        const char *stored;
    } rows[] = {
        {"letmein", "pbkdf2_sha256$10000$seasalt$FQCNpiZpTb0zub+HBsH6TOwyRxJ19FwvjbweatNmK/Y="},
        {"", "pbkdf2_sha256$1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc="},
        {"\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c",
         "pbkdf2_sha256$36000$Q2xvdWQ$Vh/7nVY1xIuF47HIMNwe71WjYzo2aaIkCe6q5ZgkXFU="},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_OK(crypto_password_check_form(rows[i].stored));
        CHECK_OK(crypto_password_verify(slice_of_text(rows[i].password), rows[i].stored));
        CHECK_STATUS(crypto_password_verify(slice_of_text("no"), rows[i].stored), JINI_E_DENIED);
        CHECK(crypto_password_outdated(rows[i].stored, cheap));
    }
}

TEST(unusable_hashes_deny,
     "An empty hash, or one that Django marked by '!', denies every password.")
{
    CHECK_STATUS(crypto_password_verify(slice_of_text(""), ""), JINI_E_DENIED);
    CHECK_STATUS(crypto_password_verify(slice_of_text("!"), "!"), JINI_E_DENIED);
    CHECK_STATUS(crypto_password_verify(slice_of_text("x"), "!pbkdf2_sha256$1$x$"), JINI_E_DENIED);
    CHECK_OK(crypto_password_check_form("!"));
    CHECK_STATUS(crypto_password_check_form(""), JINI_E_INVALID);
}

TEST(hostile_stored_hashes_are_corrupt,
     "A stored hash of any other form, or one that asks for absurd work, is refused at once.")
{
    static const char *const rows[] = {
        "password",
        "md5$salt$0123456789abcdef",
        "$2b$12$abcdefghijklmnopqrstuv",
        "pbkdf2_sha256",
        "pbkdf2_sha256$",
        "pbkdf2_sha256$1$",
        "pbkdf2_sha256$1$x",
        "pbkdf2_sha256$1$x$",
        "pbkdf2_sha256$0$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$-1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$ 1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$01$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$10000001$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$99999999999999999999$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$1$$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=",
        "pbkdf2_sha256$1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc",
        "pbkdf2_sha256$1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8rzxc=x",
        "pbkdf2_sha256$1$x$yb9iKunqNijXRQKUvO6LoyiwVgfOzKs1+3gaWy8=",
        "pbkdf2_sha256$1$x$!!!!Kunqnjxrqkuvo6loyiwvgfozks1gawy8rzxc=",
        "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m= 8,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHQxMjM0$"
        "CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=1048576,t=5,p=1$c29tZXNhbHQxMjM0$"
        "CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=8,t=524289,p=1$c29tZXNhbHQxMjM0$"
        "CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=4294967304,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLb",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8$",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$CvLRebYm922AmfULiYGPX2iZhCJ1tMVpeiLbNsJAdT8",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$CvLRebYm",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$",
        "$argon2id$v=19$m=8,t=1,p=1$$",
        "$argon2id$v=19$m=8,t=1,p=1$",
        "$argon2id$v=19$",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = crypto_password_verify(slice_of_text("x"), rows[i]);
        if (status != JINI_E_CORRUPT)
            harness_fail(__FILE__, __LINE__, "\"%s\" answers %s", rows[i],
                         jini_status_name(status));
        if (crypto_password_check_form(rows[i]) != JINI_E_INVALID)
            harness_fail(__FILE__, __LINE__, "\"%s\" passes for a stored hash", rows[i]);
        CHECK(crypto_password_outdated(rows[i], cheap));
    }
}

TEST(every_cut_hash_is_corrupt,
     "A stored hash that lost its end or has one byte changed never verifies.")
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    struct slice password = slice_of_text("correct horse");
    CHECK_OK(crypto_password_hash(password, cheap, hash));
    size_t length = strlen(hash);
    for (size_t cut = 1; cut < length; cut++) {
        char part[CRYPTO_PASSWORD_HASH_MAX];
        memcpy(part, hash, cut);
        part[cut] = '\0';
        int status = crypto_password_verify(password, part);
        CHECK(status == JINI_E_CORRUPT || status == JINI_E_DENIED);
    }
    for (int i = 0; i < 500; i++) {
        char damaged[CRYPTO_PASSWORD_HASH_MAX];
        memcpy(damaged, hash, sizeof(damaged));
        size_t at = harness_random_below(length);
        damaged[at] = (char)(damaged[at] ^ (1 << harness_random_below(7)));
        if (damaged[at] == '\0' || strncmp(damaged, hash, 27) != 0)
            continue; /* an absurd cost is told of above */
        CHECK(crypto_password_verify(password, damaged) != 0);
    }
}

TEST(costs_outside_the_range_are_refused, "A hash that could not be verified later is never made.")
{
    static const struct crypto_password_cost costs[] = {
        {0, 1}, {7, 1}, {8, 0}, {1024 * 1024 + 1, 1}, {1024 * 1024, 5}, {UINT32_MAX, UINT32_MAX},
    };
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        memset(hash, 'x', sizeof(hash));
        CHECK_STATUS(crypto_password_hash(slice_of_text("p"), costs[i], hash), JINI_E_INVALID);
        CHECK_TEXT(hash, "");
    }
}

TEST(too_long_a_password_is_refused,
     "The bound on a password holds when it is set and when it is checked.")
{
    char *password = malloc(CRYPTO_PASSWORD_MAX + 1);
    CHECK(password != NULL);
    memset(password, 'p', CRYPTO_PASSWORD_MAX + 1);
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    struct slice longest = slice_of(password, CRYPTO_PASSWORD_MAX);
    struct slice over = slice_of(password, CRYPTO_PASSWORD_MAX + 1);
    CHECK_STATUS(crypto_password_hash(over, cheap, hash), JINI_E_TOO_BIG);
    CHECK_OK(crypto_password_hash(longest, cheap, hash));
    CHECK_OK(crypto_password_verify(longest, hash));
    CHECK_STATUS(crypto_password_verify(over, hash), JINI_E_DENIED);
    free(password);
}

TEST(outdated_hashes_are_told,
     "A hash below the wanted memory or passes is outdated, one above is not.")
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    struct crypto_password_cost cost = {.memory_kib = 16, .passes = 2};
    CHECK_OK(crypto_password_hash(slice_of_text("p"), cost, hash));
    CHECK(!crypto_password_outdated(hash, cost));
    CHECK(!crypto_password_outdated(hash, cheap));
    CHECK(crypto_password_outdated(hash, (struct crypto_password_cost){17, 2}));
    CHECK(crypto_password_outdated(hash, (struct crypto_password_cost){16, 3}));
}
