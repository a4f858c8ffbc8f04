/* Passwords: rules, forms of hashes, and checking. */
#include "accounts_fixture.h"

#include <time.h>

static const struct crypto_password_cost small = {.memory_kib = 64, .passes = 1};
static const struct crypto_password_cost larger = {.memory_kib = 128, .passes = 2};

TEST(passwords_have_1_to_1024_bytes, "Anything else is refused, with the number.")
{
    static char text[JINI_PASSWORD_MAX + 1];
    struct jini_error error;
    CHECK_STATUS(accounts_password_check_rules("", &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "password");
    CHECK_OK(accounts_password_check_rules("x", &error));
    memset(text, 'x', sizeof(text) - 1);
    CHECK_STATUS(accounts_password_check_rules(text, &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "1024");
    text[JINI_PASSWORD_MAX - 1] = '\0';
    CHECK_OK(accounts_password_check_rules(text, &error));
    CHECK_OK(accounts_password_check_rules("\xff \x01", NULL));
}

TEST(an_argon2id_hash_fits_its_password, "What was hashed is found right, all else is denied.")
{
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    CHECK_OK(crypto_password_hash(slice_of_text("correct horse"), small, hash));
    CHECK_OK(accounts_password_check_hash(hash, NULL));
    CHECK_OK(accounts_password_verify("correct horse", hash, small));
    CHECK_STATUS(accounts_password_verify("correct hors", hash, small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("correct horse ", hash, small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("", hash, small), JINI_E_DENIED);
    CHECK(!crypto_password_outdated(hash, small));
    CHECK(crypto_password_outdated(hash, larger));
}

TEST(a_password_longer_than_the_bound_is_denied, "Also when the hash was made of all of it.")
{
    static char text[JINI_PASSWORD_MAX + 10];
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    memset(text, 'x', sizeof(text) - 1);
    CHECK_OK(crypto_password_hash(slice_of_text(text), small, hash));
    CHECK_STATUS(accounts_password_verify(text, hash, small), JINI_E_DENIED);
    text[JINI_PASSWORD_MAX - 1] = '\0';
    CHECK_OK(crypto_password_hash(slice_of_text(text), small, hash));
    CHECK_OK(accounts_password_verify(text, hash, small));
}

TEST(hashes_of_django_are_checked, "Its pbkdf2_sha256 form is taken, checked, and to be renewed.")
{
    /* Made by Python's hashlib.pbkdf2_hmac, as django.contrib.auth.hashers does it. */
    static const struct {
        const char *password;
        const char *hash;
    } imports[] = {
        {"s3cret-pw", "pbkdf2_sha256$1000$4ab1XyzQ$Z/i7WL3/OyShFOd1wS7sEn1sErdtwk6b8z1oynxtQoU="},
        {"p\xc3\xa4ssword",
         "pbkdf2_sha256$260$n0tSoRandom$WdLPaK+wnF4yL95Q6MO18x4Q7KdhFTZeEVNC4SwsLIA="},
    };
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(accounts_password_check_hash(imports[i].hash, NULL));
        CHECK_OK(accounts_password_verify(imports[i].password, imports[i].hash, small));
        CHECK_STATUS(accounts_password_verify("other", imports[i].hash, small), JINI_E_DENIED);
        CHECK(crypto_password_outdated(imports[i].hash, small));
    }
}

TEST(an_account_without_a_password_takes_none,
     "No user, no hash and an unusable one are denied alike.")
{
    CHECK_STATUS(accounts_password_verify("x", NULL, small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("x", "", small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("x", "!", small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("!unusable", "!unusable", small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("", NULL, small), JINI_E_DENIED);
    CHECK_STATUS(accounts_password_verify("x", "plain", small), JINI_E_CORRUPT);
}

/* Of this process alone, so that a busy machine changes little. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t time_of(const char *stored, struct crypto_password_cost cost)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        uint64_t begin = cpu_ns();
        CHECK_STATUS(accounts_password_verify("wrong", stored, cost), JINI_E_DENIED);
        uint64_t took = cpu_ns() - begin;
        best = took < best ? took : best;
    }
    return best;
}

TEST(an_unknown_user_costs_the_same_work, "A denial takes as long with a hash as without one.")
{
    const struct crypto_password_cost cost = {.memory_kib = 8192, .passes = 2};
    char hash[CRYPTO_PASSWORD_HASH_MAX];
    CHECK_OK(crypto_password_hash(slice_of_text("right"), cost, hash));
    uint64_t known = time_of(hash, cost);
    uint64_t unknown = time_of(NULL, cost);
    uint64_t unusable = time_of("!x", cost);
    CHECK_UINT(unknown, >, known / 3);
    CHECK_UINT(unknown, <, known * 3);
    CHECK_UINT(unusable, >, known / 3);
}

TEST(hashes_of_other_forms_are_refused, "What could not be checked or not be stored is no hash.")
{
    static char text[JINI_PASSWORD_HASH_MAX + 50];
    struct jini_error error;
    static const char *const hashes[] = {
        "",
        "plain",
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
        "pbkdf2_sha1$1000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2_sha256$1000$salt$AAAA",
        "pbkdf2_sha256$1000$sa lt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2_sha256$1000$s\xfflt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "!\xff",
        "! x",
    };
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        CHECK_STATUS(accounts_password_check_hash(hashes[i], &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "password_hash");
    }
    memset(text, '!', sizeof(text) - 1);
    CHECK_STATUS(accounts_password_check_hash(text, &error), JINI_E_INVALID);
    text[JINI_PASSWORD_HASH_MAX - 1] = '\0';
    CHECK_OK(accounts_password_check_hash(text, &error));
}

STORE_TEST(an_imported_hash_is_renewed_at_login, "After the first login the hash is argon2id.")
{
    static const char import[] =
        "pbkdf2_sha256$1000$4ab1XyzQ$Z/i7WL3/OyShFOd1wS7sEn1sErdtwk6b8z1oynxtQoU=";
    struct world world;
    struct accounts_credentials credentials;
    struct jini_user user = world_user("alice", "");
    char renewed[CRYPTO_PASSWORD_HASH_MAX];
    world_open(&world, driver);
    CHECK_OK(world_create(&world, &user, import));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_OK(accounts_password_verify("s3cret-pw", credentials.password_hash, small));
    CHECK(crypto_password_outdated(credentials.password_hash, small));
    CHECK_OK(crypto_password_hash(slice_of_text("s3cret-pw"), small, renewed));
    CHECK_OK(world_login(&world, &credentials, renewed, &user));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_OK(accounts_password_verify("s3cret-pw", credentials.password_hash, small));
    CHECK(!crypto_password_outdated(credentials.password_hash, small));
    CHECK_UINT(credentials.revocation_epoch, ==, 0);
    world_close(&world);
}
