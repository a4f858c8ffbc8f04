/* Failing allocations: every op either happens wholly or not at all, and works the next time. */
#include "accounts_fixture.h"

static const char argon2[] = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

enum { FAILURES_MAX = 400 };

typedef int step_fn(struct world *world, unsigned number);

/* A hash over all rows of the three spaces. */
static uint64_t fingerprint(struct world *world)
{
    static const enum store_space spaces[] = {STORE_SPACE_USERS, STORE_SPACE_USER_KEYS,
                                              STORE_SPACE_TIERS};
    static uint8_t bytes[STORE_VALUE_MAX];
    uint64_t hash = 0;
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    for (int i = 0; i < 3; i++) {
        struct buffer value = buffer_of(bytes, sizeof(bytes));
        struct slice all = slice_of(NULL, 0);
        struct store_cursor cursor;
        CHECK_OK(store_cursor_open(txn, spaces[i], all, all, STORE_FORWARD, &cursor));
        while (store_cursor_next(&cursor, &value) == 0) {
            for (size_t b = 0; b < cursor.key.length; b++)
                hash = hash * 1099511628211u ^ cursor.key.data[b];
            for (size_t b = 0; b < value.length; b++)
                hash = hash * 1099511628211u ^ bytes[b];
        }
        store_cursor_close(&cursor);
    }
    store_read_end(txn);
    return hash;
}

/* Runs the step with the first, second, ... allocation failing, until none does. */
static void try_all(struct world *world, step_fn *step)
{
    for (unsigned nth = 1; nth <= FAILURES_MAX; nth++) {
        uint64_t before = fingerprint(world);
        harness_fail_allocation(nth);
        int status = step(world, nth);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        if (status) {
            CHECK_STATUS(status, JINI_E_NO_MEMORY);
            CHECK(failed);
            CHECK_UINT(fingerprint(world), ==, before);
        }
        if (!failed) {
            CHECK_OK(status);
            return;
        }
    }
    harness_fail(__FILE__, __LINE__, "still failing after %d allocations", FAILURES_MAX);
}

/* Texts that are not ASCII, so that folding takes memory. */
static int step_create(struct world *world, unsigned number)
{
    struct jini_user user = {0};
    snprintf(user.username, sizeof(user.username), "Zo\xc3\x8b%u", number);
    snprintf(user.email, sizeof(user.email), "Zo\xc3\x8b%u@example.org", number);
    snprintf(user.tier, sizeof(user.tier), "Gr\xc3\xbcn");
    return world_create(world, &user, argon2);
}

static int step_derive(struct world *world, unsigned number)
{
    struct jini_user user = {0};
    snprintf(user.email, sizeof(user.email), "\xc3\x89mil%u@example.org", number);
    return world_create(world, &user, NULL);
}

static int step_update(struct world *world, unsigned number)
{
    struct jini_user user = {.id = 1};
    snprintf(user.username, sizeof(user.username), "\xc3\x89mil.%u", number);
    snprintf(user.email, sizeof(user.email), "\xc3\x89mil.%u@example.org", number);
    snprintf(user.tier, sizeof(user.tier), "%s", number % 2 ? "Gr\xc3\xbcn" : "Free");
    return world_update(world, &user,
                        JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL | JINI_USER_FIELD_TIER);
}

static int step_password(struct world *world, unsigned number)
{
    (void)number;
    return world_password(world, 1, argon2);
}

static int step_login(struct world *world, unsigned number)
{
    struct accounts_credentials credentials;
    struct jini_user user;
    struct store_txn *txn;
    int status = store_read_begin(world->store, &txn);
    if (status)
        return status;
    status = accounts_credentials_find(txn, "F\xc3\xa9lix", &credentials);
    store_read_end(txn);
    world->now_ms += number;
    return status ? status : world_login(world, &credentials, argon2, &user);
}

static int step_find(struct world *world, unsigned number)
{
    struct jini_user users[2];
    struct jini_tier tiers[JINI_TIERS_MAX];
    struct store_txn *txn;
    size_t count;
    (void)number;
    int status = store_read_begin(world->store, &txn);
    if (status)
        return status;
    status = accounts_user_find(txn, "F\xc3\xa9lix", users);
    if (status == 0)
        status = accounts_user_list(txn, 0, users, 2, &count);
    if (status == 0)
        status = accounts_tier_get(txn, "gr\xc3\xbcn", tiers);
    if (status == 0)
        status = accounts_tier_list(txn, tiers, JINI_TIERS_MAX, &count);
    store_read_end(txn);
    return status;
}

static int step_tier_set(struct world *world, unsigned number)
{
    struct jini_tier tier = {.price_minor = 0};
    snprintf(tier.name, sizeof(tier.name), "\xc3\x89%u", number % 40);
    return world_tier_set(world, &tier);
}

static int step_tier_remove(struct world *world, unsigned number)
{
    (void)number;
    return world_tier_remove(world, "W\xc3\xbcst");
}

/* The tier of anonymous clients stays. */
static int step_tier_keep(struct world *world, unsigned number)
{
    (void)number;
    int status = world_tier_remove_beside(world, "w\xc3\xbcst", "W\xc3\xbcst");
    return status == JINI_E_IN_USE ? 0 : status ? status : JINI_E_CORRUPT;
}

STORE_TEST(an_op_without_memory_changes_nothing,
           "With the nth allocation failing an op is E_NO_MEMORY and leaves every row as it was.")
{
    struct world world;
    struct store_options options = fixture_options(driver);
    options.run_twice = false; /* an allocation that fails once would make the two runs differ */
    world_open_with(&world, &options);
    struct jini_tier tier = {.name = "Gr\xc3\xbcn"};
    CHECK_OK(world_tier_set(&world, &tier));
    tier = (struct jini_tier){.name = "W\xc3\xbcst"};
    CHECK_OK(world_tier_set(&world, &tier));
    struct jini_user user = {.flags = JINI_USER_ACTIVE};
    world_add(&world, "\xc3\x89mil.0", "");
    snprintf(user.username, sizeof(user.username), "F\xc3\xa9lix");
    CHECK_OK(world_create(&world, &user, NULL));
    try_all(&world, step_create);
    try_all(&world, step_derive);
    try_all(&world, step_update);
    try_all(&world, step_password);
    try_all(&world, step_login);
    try_all(&world, step_find);
    try_all(&world, step_tier_set);
    try_all(&world, step_tier_keep);
    try_all(&world, step_tier_remove);
    world_close(&world);
}
