/* Users at hand: an entry is found exactly while what it was read from stands still. */
#include "../store/fixture.h"

#include "accounts/accounts.h"
#include "engine/user_cache.h"

enum { ENTRIES = 64 };

struct scene {
    struct store *store;
    struct plans *plans;
    struct user_cache *cache;
    const struct plan *plan; /* shared */
};

static void open_scene(struct scene *scene)
{
    struct jini_error error;
    scene->store = fixture_open(STORE_DRIVER_MEMORY);
    scene->plans = plans_new();
    CHECK(scene->plans != NULL);
    scene->cache = user_cache_new(scene->store, scene->plans, ENTRIES);
    CHECK(scene->cache != NULL);
    CHECK_OK(plans_get(scene->plans, "5/minute", &scene->plan, &error));
}

static void close_scene(struct scene *scene)
{
    user_cache_free(scene->cache);
    plans_free(scene->plans);
    store_close(scene->store);
}

static int op_mark(struct store_txn *txn, void *argument)
{
    uint32_t *word = argument;
    store_mark_changed(txn, *word);
    return store_put(txn, STORE_SPACE_APPLICATION, slice_of_text("key"), slice_of_text("value"));
}

static void mark(struct scene *scene, uint32_t word)
{
    CHECK_OK(store_write(scene->store, op_mark, &word));
}

static void keep(struct scene *scene, uint64_t user, struct user_words words, bool active)
{
    struct user_entry entry = {.plan = scene->plan, .active = active};
    user_cache_put(scene->cache, user, &words, &entry);
}

static bool is_kept(struct scene *scene, uint64_t user, bool active)
{
    struct user_entry entry;
    if (!user_cache_find(scene->cache, user, &entry))
        return false;
    CHECK(entry.plan == scene->plan);
    CHECK_INT(entry.active, ==, active);
    return true;
}

TEST(a_user_at_hand_is_found_until_a_word_moves,
     "Plan and flag come back for this user alone, up to the largest id, until the user or the "
     "tiers change.")
{
    static const uint64_t users[] = {1, 2, ENTRIES, ACCOUNTS_ID_MAX};
    struct scene scene;
    open_scene(&scene);
    CHECK(!is_kept(&scene, 0, false)); /* what an empty place looks like */
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        uint64_t user = users[i];
        bool active = i % 2;
        CHECK(!is_kept(&scene, user, active));
        keep(&scene, user, user_cache_words(scene.cache, user), active);
        CHECK(is_kept(&scene, user, active));
        CHECK(!is_kept(&scene, user ^ ENTRIES, active)); /* the same place */
        CHECK(!is_kept(&scene, user ^ UINT64_C(1) << 47, active));
        mark(&scene, accounts_user_word(user));
        CHECK(!is_kept(&scene, user, active));
        keep(&scene, user, user_cache_words(scene.cache, user), !active);
        CHECK(is_kept(&scene, user, !active));
        mark(&scene, accounts_tier_word());
        CHECK(!is_kept(&scene, user, !active));
    }
    close_scene(&scene);
}

TEST(a_user_read_while_words_are_odd_is_not_kept,
     "A commit that runs, or died, has made one word odd or both: what was read then is not kept, "
     "although their sum may be what it is once both stand still.")
{
    struct scene scene;
    open_scene(&scene);
    mark(&scene, accounts_user_word(1));
    mark(&scene, accounts_tier_word());
    struct user_words now = user_cache_words(scene.cache, 1);
    for (unsigned odd = 1; odd < 4; odd++) {
        keep(&scene, 1, (struct user_words){now.user - odd % 2, now.tiers + odd / 2}, true);
        CHECK(!is_kept(&scene, 1, true));
    }
    keep(&scene, 1, now, true);
    CHECK(is_kept(&scene, 1, true));
    close_scene(&scene);
}

TEST(a_plan_of_a_callers_own_is_not_kept,
     "Only shared plans, which live until the end, are pointed to.")
{
    struct scene scene;
    open_scene(&scene);
    struct plan own = *scene.plan;
    own.shared = false;
    struct user_words words = user_cache_words(scene.cache, 1);
    struct user_entry entry = {.plan = &own, .active = true};
    user_cache_put(scene.cache, 1, &words, &entry);
    CHECK(!user_cache_find(scene.cache, 1, &entry));
    close_scene(&scene);
}
