/* Change words: set by what caches must see, and by nothing else. */
#include "accounts_fixture.h"

static const char argon2[] = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct words {
    uint64_t before[STORE_CHANGE_WORDS];
};

static void remember(const struct world *world, struct words *words)
{
    for (uint32_t i = 0; i < STORE_CHANGE_WORDS; i++)
        words->before[i] = store_change_word(world->store, i);
}

/* Exactly `word` has moved since; UINT32_MAX: none has. */
static void check_moved(const struct world *world, struct words *words, uint32_t word)
{
    for (uint32_t i = 0; i < STORE_CHANGE_WORDS; i++) {
        uint64_t now = store_change_word(world->store, i);
        CHECK_UINT(now & 1, ==, 0);
        if ((now != words->before[i]) != (i == word))
            harness_fail(__FILE__, __LINE__, "word %u %s", i,
                         i == word ? "stands still" : "has moved");
    }
    remember(world, words);
}

enum { NONE = -1 };

STORE_TEST(a_change_of_a_user_moves_its_word,
           "Each kind of change moves the word of that user alone.")
{
    static struct words words;
    struct world world;
    world_open(&world, driver);
    remember(&world, &words);
    struct jini_user user = world_user("alice", "alice@example.org");
    CHECK_OK(world_create(&world, &user, argon2));
    check_moved(&world, &words, (uint32_t)NONE);
    const uint32_t word = accounts_user_word(user.id);
    snprintf(user.username, sizeof(user.username), "Carol");
    snprintf(user.email, sizeof(user.email), "carol@example.org");
    snprintf(user.first_name, sizeof(user.first_name), "Carol");
    snprintf(user.tier, sizeof(user.tier), "Basic");
    user.flags ^= JINI_USER_STAFF | JINI_USER_ACTIVE;
    user.override_mask = JINI_ALLOWANCE_STEPS;
    const struct jini_user changed = user;
    for (uint32_t field = 1; field <= JINI_USER_FIELD_STAFF; field <<= 1) {
        user = changed;
        CHECK_OK(world_update(&world, &user, field));
        check_moved(&world, &words, word);
        user = changed;
        CHECK_OK(world_update(&world, &user, field)); /* the same again */
        check_moved(&world, &words, field == JINI_USER_FIELD_REVOKE ? word : (uint32_t)NONE);
    }
    CHECK_OK(world_password(&world, user.id, argon2));
    check_moved(&world, &words, word);
    CHECK_OK(world_password(&world, user.id, argon2)); /* the epoch moves all the same */
    check_moved(&world, &words, word);
    world_close(&world);
}

STORE_TEST(a_login_moves_no_word, "Neither its time nor a renewed hash is in a cache.")
{
    static struct words words;
    struct world world;
    struct accounts_credentials credentials;
    struct jini_user user = world_user("alice", "");
    world_open(&world, driver);
    CHECK_OK(world_create(&world, &user, argon2));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    remember(&world, &words);
    world.now_ms++;
    CHECK_OK(world_login(&world, &credentials, NULL, &user));
    check_moved(&world, &words, (uint32_t)NONE);
    world.now_ms++;
    CHECK_OK(world_login(&world, &credentials, argon2, &user));
    check_moved(&world, &words, (uint32_t)NONE);
    world_close(&world);
}

STORE_TEST(a_refusal_moves_no_word, "What was refused changed nothing.")
{
    static struct words words;
    struct world world;
    world_open(&world, driver);
    world_add(&world, "alice", "");
    struct jini_user user = world_user("bob", "");
    CHECK_OK(world_create(&world, &user, NULL));
    remember(&world, &words);
    snprintf(user.username, sizeof(user.username), "ALICE");
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_USERNAME), JINI_E_EXISTS);
    CHECK_STATUS(world_password(&world, user.id, "junk"), JINI_E_INVALID);
    CHECK_STATUS(world_tier_remove(&world, "Free"), JINI_E_IN_USE);
    struct jini_tier tier = {.name = "a b"};
    CHECK_STATUS(world_tier_set(&world, &tier), JINI_E_INVALID);
    check_moved(&world, &words, (uint32_t)NONE);
    world_close(&world);
}

STORE_TEST(a_change_of_a_tier_moves_the_first_word,
           "Adding, changing and removing do, the same again does not.")
{
    static struct words words;
    struct world world;
    struct jini_tier tier = {.name = "Gold", .allowance = {.limits = "1/day"}};
    world_open(&world, driver);
    remember(&world, &words);
    CHECK_OK(world_tier_set(&world, &tier));
    check_moved(&world, &words, accounts_tier_word());
    CHECK_OK(world_tier_set(&world, &tier));
    check_moved(&world, &words, (uint32_t)NONE);
    tier.allowance.steps_max = 5;
    CHECK_OK(world_tier_set(&world, &tier));
    check_moved(&world, &words, accounts_tier_word());
    CHECK_OK(world_tier_remove(&world, "gold"));
    check_moved(&world, &words, accounts_tier_word());
    CHECK_OK(store_write(world.store, world_op_tiers, NULL));
    check_moved(&world, &words, (uint32_t)NONE);
    world_close(&world);
}

STORE_TEST(default_tiers_move_the_first_word,
           "Who looked for tiers before they were there looks again.")
{
    struct world world = {.store = fixture_open(driver)};
    uint64_t before = store_change_word(world.store, accounts_tier_word());
    CHECK_OK(store_write(world.store, world_op_tiers, NULL));
    CHECK_UINT(store_change_word(world.store, accounts_tier_word()), !=, before);
    world_close(&world);
}
