/* Tiers: the default ones, adding, changing, removing, listing. */
#include "accounts_fixture.h"

static struct jini_tier new_tier(const char *name)
{
    struct jini_tier tier = {.currency = "EUR", .price_minor = 900};
    snprintf(tier.name, sizeof(tier.name), "%s", name);
    snprintf(tier.allowance.limits, sizeof(tier.allowance.limits), "1/second");
    tier.allowance.width_max = 512;
    tier.queue_priority = 7;
    return tier;
}

static void check_same_tier(const struct jini_tier *a, const struct jini_tier *b)
{
    CHECK_TEXT(a->name, b->name);
    CHECK_TEXT(a->currency, b->currency);
    CHECK_UINT(a->price_minor, ==, b->price_minor);
    CHECK_TEXT(a->allowance.limits, b->allowance.limits);
    CHECK_UINT(a->allowance.width_max, ==, b->allowance.width_max);
    CHECK_UINT(a->allowance.height_max, ==, b->allowance.height_max);
    CHECK_UINT(a->allowance.steps_max, ==, b->allowance.steps_max);
    CHECK_UINT(a->allowance.parallel_max, ==, b->allowance.parallel_max);
    CHECK_UINT(a->allowance.retention_days, ==, b->allowance.retention_days);
    CHECK_UINT(a->queue_priority, ==, b->queue_priority);
}

STORE_TEST(a_new_database_has_three_tiers,
           "They allow what the services before allowed, and are right.")
{
    static const struct jini_tier expected[] = {
        {"Free", "EUR", 0, {"5/minute; 30/day", 1024, 1024, 200, 5, 30}, 0, 0},
        {"Basic", "EUR", 500, {"5/minute; 30/day", 1024, 1024, 200, 5, 90}, 5, 0},
        {"Premium", "EUR", 1500, {"60/minute; 2000/day", 2048, 2048, 500, 20, 0}, 10, 0},
    };
    struct world world;
    struct jini_tier tiers[JINI_TIERS_MAX];
    size_t count;
    world_open(&world, driver);
    CHECK_OK(world_tier_list(&world, tiers, JINI_TIERS_MAX, &count));
    CHECK_UINT(count, ==, 3);
    for (size_t i = 0; i < count; i++) {
        check_same_tier(&tiers[i], &expected[i]);
        CHECK_OK(accounts_tier_check(&tiers[i], JINI_TIER_FIELD_ALL, world_check_limits, NULL));
    }
    world_close(&world);
}

STORE_TEST(removed_default_tiers_stay_away, "Only a database without tiers gets the default ones.")
{
    struct world world;
    struct jini_tier tier;
    world_open(&world, driver);
    CHECK_OK(world_tier_remove(&world, "Basic"));
    CHECK_OK(store_write(world.store, world_op_tiers, NULL));
    CHECK_STATUS(world_tier_get(&world, "Basic", &tier), JINI_E_NOT_FOUND);
    CHECK_OK(world_tier_get(&world, "Premium", &tier));
    world_close(&world);
}

STORE_TEST(tiers_are_found_without_case, "Any spelling finds a tier, and nothing else does.")
{
    struct world world;
    struct jini_tier tier;
    struct jini_tier zero;
    memset(&zero, 0, sizeof(zero));
    world_open(&world, driver);
    CHECK_OK(world_tier_get(&world, "pReMiUm", &tier));
    CHECK_TEXT(tier.name, "Premium");
    static const char *const names[] = {"", "Gold", "Premium ", "\xff"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        memset(&tier, 1, sizeof(tier));
        CHECK_STATUS(world_tier_get(&world, names[i], &tier), JINI_E_NOT_FOUND);
        CHECK_BYTES(&tier, &zero, sizeof(tier));
    }
    world_close(&world);
}

STORE_TEST(a_tier_is_added_and_changed, "A change replaces all but the spelling of the name.")
{
    struct world world;
    struct jini_tier read;
    world_open(&world, driver);
    struct jini_tier tier = new_tier("Gold");
    CHECK_OK(world_tier_set(&world, &tier));
    CHECK_OK(world_tier_get(&world, "gold", &read));
    check_same_tier(&read, &tier);
    tier = new_tier("GOLD");
    tier.price_minor = 0;
    tier.currency[0] = '\0';
    tier.allowance.retention_days = 7;
    CHECK_OK(world_tier_set(&world, &tier));
    CHECK_TEXT(tier.name, "Gold");
    CHECK_OK(world_tier_get(&world, "Gold", &read));
    check_same_tier(&read, &tier);
    struct jini_tier tiers[JINI_TIERS_MAX];
    size_t count;
    CHECK_OK(world_tier_list(&world, tiers, JINI_TIERS_MAX, &count));
    CHECK_UINT(count, ==, 4);
    world_close(&world);
}

STORE_TEST(members_of_a_tier_change_alone,
           "What a change does not name stays; a new tier has 0 and \"\" there.")
{
    struct world world;
    struct jini_tier stored;
    world_open(&world, driver);
    CHECK_OK(world_tier_get(&world, "Premium", &stored));
    struct jini_tier tier = new_tier("premium");
    CHECK_OK(world_tier_change(&world, &tier, JINI_ALLOWANCE_WIDTH, JINI_TIER_CHANGE));
    stored.allowance.width_max = 512;
    check_same_tier(&tier, &stored);
    tier = new_tier("premium");
    CHECK_OK(world_tier_change(&world, &tier, JINI_TIER_FIELD_PRICE | JINI_ALLOWANCE_LIMITS,
                               JINI_TIER_CHANGE));
    stored.price_minor = 900;
    snprintf(stored.allowance.limits, sizeof(stored.allowance.limits), "1/second");
    check_same_tier(&tier, &stored);
    CHECK_OK(world_tier_get(&world, "Premium", &tier));
    check_same_tier(&tier, &stored);

    tier = new_tier("Gold");
    CHECK_OK(world_tier_change(&world, &tier, JINI_ALLOWANCE_WIDTH, JINI_TIER_ADD));
    stored = (struct jini_tier){.name = "Gold", .allowance = {.width_max = 512}};
    check_same_tier(&tier, &stored);
    tier = new_tier("Gold");
    CHECK_STATUS(world_tier_change(&world, &tier, JINI_TIER_FIELD_PRICE, JINI_TIER_CHANGE),
                 JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "currency");
    tier.currency[0] = '\0';
    CHECK_OK(world_tier_change(&world, &tier, JINI_TIER_FIELD_CURRENCY, JINI_TIER_CHANGE));
    CHECK_STATUS(world_tier_change(&world, &tier, 1U << 30, JINI_TIER_CHANGE), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "fields");
    world_close(&world);
}

STORE_TEST(a_tier_is_added_or_changed_as_asked,
           "Who adds does not change, who changes does not add, and neither leaves anything.")
{
    struct world world;
    struct jini_tier tier = new_tier("Gold");
    world_open(&world, driver);
    CHECK_STATUS(world_tier_change(&world, &tier, 0, JINI_TIER_CHANGE), JINI_E_NOT_FOUND);
    CHECK_STATUS(world_tier_get(&world, "Gold", &tier), JINI_E_NOT_FOUND);
    tier = new_tier("gold");
    CHECK_OK(world_tier_change(&world, &tier, 0, JINI_TIER_ADD));
    tier.price_minor = 1;
    CHECK_STATUS(world_tier_change(&world, &tier, 0, JINI_TIER_ADD), JINI_E_EXISTS);
    CHECK_OK(world_tier_get(&world, "Gold", &tier));
    CHECK_UINT(tier.price_minor, ==, 900);
    CHECK_STATUS(world_tier_change(&world, &tier, 0, JINI_TIER_CHANGE + 1), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "mode");
    world_close(&world);
}

STORE_TEST(a_wrong_tier_is_refused, "A member that breaks a rule changes nothing.")
{
    struct world world;
    struct jini_tier tier = new_tier("Gold");
    world_open(&world, driver);
    snprintf(tier.allowance.limits, sizeof(tier.allowance.limits), "bad");
    CHECK_STATUS(world_tier_set(&world, &tier), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "allowance.limits");
    tier = new_tier("Go ld");
    CHECK_STATUS(world_tier_set(&world, &tier), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "name");
    CHECK_UINT(world_rows(&world, STORE_SPACE_TIERS, slice_of(NULL, 0), slice_of(NULL, 0)), ==, 3);
    world_close(&world);
}

STORE_TEST(a_tier_in_use_stays, "A tier goes when the last user of it has another.")
{
    struct world world;
    world_open(&world, driver);
    struct jini_tier tier = new_tier("Gold");
    CHECK_OK(world_tier_set(&world, &tier));
    tier = new_tier("Golden"); /* a name that begins with the other */
    CHECK_OK(world_tier_set(&world, &tier));
    struct jini_user user = world_user("alice", "");
    snprintf(user.tier, sizeof(user.tier), "Golden");
    CHECK_OK(world_create(&world, &user, NULL));
    CHECK_STATUS(world_tier_remove(&world, "GOLDEN"), JINI_E_IN_USE);
    CHECK_TEXT(world.error.field, "name");
    CHECK_CONTAINS(world.error.message, "users have");
    CHECK_OK(world_tier_remove(&world, "gold"));
    CHECK_STATUS(world_tier_remove(&world, "Gold"), JINI_E_NOT_FOUND);
    snprintf(user.tier, sizeof(user.tier), "Basic");
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_TIER));
    CHECK_OK(world_tier_remove(&world, "golden"));
    CHECK_STATUS(world_tier_get(&world, "Golden", &tier), JINI_E_NOT_FOUND);
    snprintf(user.tier, sizeof(user.tier), "Golden");
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_TIER), JINI_E_NOT_FOUND);
    world_close(&world);
}

STORE_TEST(the_default_tier_stays, "The tier of anonymous users cannot be removed, but changed.")
{
    struct world world;
    struct jini_tier tier;
    world_open(&world, driver);
    CHECK_STATUS(world_tier_remove(&world, "free"), JINI_E_IN_USE);
    CHECK_CONTAINS(world.error.message, "Free");
    CHECK_OK(world_tier_get(&world, "Free", &tier));
    tier.allowance.steps_max = 50;
    CHECK_OK(world_tier_set(&world, &tier));
    CHECK_OK(world_tier_get(&world, "Free", &tier));
    CHECK_UINT(tier.allowance.steps_max, ==, 50);
    world_close(&world);
}

STORE_TEST(there_are_at_most_64_tiers, "The 65th is refused until one is removed; changes go on.")
{
    struct world world;
    struct jini_tier tier;
    char name[16];
    world_open(&world, driver);
    for (int i = 3; i < JINI_TIERS_MAX; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        tier = new_tier(name);
        CHECK_OK(world_tier_set(&world, &tier));
    }
    tier = new_tier("more");
    CHECK_STATUS(world_tier_set(&world, &tier), JINI_E_TOO_BIG);
    CHECK_TEXT(world.error.field, "name");
    tier = new_tier("t5");
    tier.price_minor = 1;
    CHECK_OK(world_tier_set(&world, &tier));
    CHECK_OK(world_tier_remove(&world, "t5"));
    tier = new_tier("more");
    CHECK_OK(world_tier_set(&world, &tier));
    world_close(&world);
}

STORE_TEST(tiers_are_listed_as_they_were_added,
           "A removed one leaves no gap, a new one comes last.")
{
    struct world world;
    struct jini_tier tiers[JINI_TIERS_MAX];
    static const char *const names[] = {"zz", "aa", "mm", "BB"};
    static const char *const expected[] = {"Free", "Basic", "Premium", "aa", "mm", "BB", "zz"};
    size_t count;
    world_open(&world, driver);
    for (size_t i = 0; i < 4; i++) {
        struct jini_tier tier = new_tier(names[i]);
        CHECK_OK(world_tier_set(&world, &tier));
    }
    CHECK_OK(world_tier_remove(&world, "zz"));
    struct jini_tier again = new_tier("zz");
    CHECK_OK(world_tier_set(&world, &again));
    CHECK_OK(world_tier_list(&world, tiers, JINI_TIERS_MAX, &count));
    CHECK_UINT(count, ==, 7);
    for (size_t i = 0; i < count; i++)
        CHECK_TEXT(tiers[i].name, expected[i]);
    for (size_t capacity = 0; capacity < 7; capacity++) {
        memset(tiers, 0, sizeof(tiers));
        CHECK_STATUS(world_tier_list(&world, tiers, capacity, &count), JINI_E_TOO_BIG);
        CHECK_UINT(count, ==, capacity);
        for (size_t i = 0; i < count; i++)
            CHECK_TEXT(tiers[i].name, expected[i]);
        CHECK_TEXT(tiers[capacity].name, "");
    }
    world_close(&world);
}
