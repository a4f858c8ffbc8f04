/* Credits by the public calls. */
#include "engine_fixture.h"

#include <unistd.h>

static struct jini_id number_id(uint64_t number)
{
    struct jini_id id = {{0}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static struct jini_grant_add add_of(uint64_t number, uint64_t user_id, uint64_t granted)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    add.grant.id = number_id(number);
    add.grant.user_id = user_id;
    add.grant.granted = granted;
    add.grant.category = JINI_GRANT_PROMOTIONAL;
    return add;
}

static struct jini_wallet wallet_of(struct jini *jini, uint64_t user_id)
{
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_wallet_get(jini, user_id, &wallet, NULL, 0, &count, &error));
    return wallet;
}

TEST(credits_are_granted_once, "A grant that is sent again is answered as the first time.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_grant grants[4];
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    for (int i = 0; i < 2; i++) {
        struct jini_grant_add add = add_of(77, user, 500);
        fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
        CHECK_UINT(add.grant.remaining, ==, 500);
    }
    struct jini_grant_add other = add_of(77, user, 501);
    CHECK_STATUS(jini_grant_add(jini, &other, NULL), JINI_E_CONFLICT);
    CHECK_TEXT(other.request.error.field, "id");
    CHECK_OK(jini_wallet_get(jini, user, &wallet, grants, 4, &count, &error));
    CHECK_UINT(count, ==, 1);
    CHECK_UINT(wallet.available, ==, 500);
    CHECK_UINT(grants[0].granted, ==, 500);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_grant_breaks_no_rule, "What is wrong with a grant is named, and nothing is granted.")
{
    static const struct {
        const char *field;
        int status;
    } cases[] = {{"id", JINI_E_INVALID},         {"granted", JINI_E_INVALID},
                 {"granted", JINI_E_INVALID},    {"category", JINI_E_INVALID},
                 {"priority", JINI_E_INVALID},   {"effective_ms", JINI_E_INVALID},
                 {"expires_ms", JINI_E_INVALID}, {"expires_ms", JINI_E_INVALID},
                 {"user_id", JINI_E_NOT_FOUND},  {"expires_ms", JINI_E_INVALID}};
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "ada", "Free");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jini_grant_add add = add_of(i == 0 ? 0 : 7, user, 5);
        struct jini_grant *grant = &add.grant;
        grant->granted = i == 1 ? 0 : i == 2 ? JINI_CREDITS_MAX + 1 : 5;
        grant->category = i == 3 ? 3 : grant->category;
        grant->priority = i == 4 ? 256 : 0;
        grant->effective_ms = i == 5 ? UINT64_MAX : i == 7 ? 5000 : 0;
        grant->expires_ms = i == 6 ? UINT64_C(1000) * UINT32_MAX : i == 7 ? 4000 : i == 9 ? 1 : 0;
        grant->user_id = i == 8 ? 12345678 : user;
        CHECK_STATUS(jini_grant_add(jini, &add, NULL), cases[i].status);
        CHECK_TEXT(add.request.error.field, cases[i].field);
    }
    CHECK_UINT(wallet_of(jini, user).grants, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_grant_expires_by_itself, "What is not drawn by then goes, also when nobody looks.")
{
    struct jini_options options;
    struct jini_account account = {0};
    struct jini_error error;
    fixture_options(&options);
    options.background_run = 1;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "ada", "Free");
    struct jini_grant_add add = add_of(5, user, 40);
    add.grant.expires_ms = fixture_wall_ns(NULL) / 1000000 + UINT64_C(86400) * 1000;
    fixture_must(jini_grant_add(jini, &add, NULL), "grant", &add.request.error);
    CHECK_UINT(wallet_of(jini, user).available, ==, 40);
    fixture_days_pass(2);
    CHECK_UINT(wallet_of(jini, user).available, ==, 0);
    for (int tries = 0; tries < 1500 && account.balance.debits_posted.low == 0; tries++) {
        usleep(10000);
        CHECK_OK(jini_account_get(jini, &add.grant.account_id, &account, &error));
    }
    CHECK_UINT(account.balance.debits_posted.low, ==, 40);
    CHECK_UINT(wallet_of(jini, user).grants, ==, 0);
    fixture_must(jini_grant_add(jini, &add, NULL), "the same again", &add.request.error);
    CHECK_UINT(add.grant.remaining, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
