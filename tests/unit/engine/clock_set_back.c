/*
 * A wall clock that is set back by months: the ids of packs run backwards, and things come from the
 * future. Nothing is lost, nothing goes before its time, and nothing stays for ever.
 */
#include "engine_fixture.h"

#include <jini/archive.h>

enum { BACK_DAYS = 90, TRASH_DAYS = 8, RETENTION_DAYS = 32 };

static void days_back(unsigned days)
{
    __atomic_fetch_sub(&fixture_wall_offset_ns, (uint64_t)days * 86400u * 1000000000u,
                       __ATOMIC_RELAXED);
}

static void trash(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
}

static void restore(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove restored;
    jini_request_init(&restored);
    restored.id = *id;
    CHECK_OK(jini_image_restore(jini, &restored, NULL));
}

static bool is_somewhere(uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    bool found = harness_tree_holds(fixture_db(), file + 200, 1000);
    free(file);
    return found;
}

static uint64_t purged_by_a_run(struct jini *jini, uint32_t flags)
{
    struct jini_archive_run run;
    fixture_tier(jini, flags, &run);
    return run.images_purged;
}

/* One image each, by its seed: where it is when the clock is set back. */
enum { COLD, ARCHIVED, OPEN, TRASHED, EXPIRING, BEFORE };

struct world {
    struct jini *jini;
    uint64_t premium;
    uint64_t free;
    struct jini_id images[BEFORE];
};

static struct world make_world(void)
{
    struct world world = {.jini = fixture_open()};
    world.premium = fixture_user(world.jini, "pia", "Premium");
    world.free = fixture_user(world.jini, "fay", "Free");
    world.images[COLD] = fixture_put(world.jini, world.premium, COLD);
    fixture_tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    world.images[ARCHIVED] = fixture_put(world.jini, world.premium, ARCHIVED);
    fixture_tier(world.jini, JINI_TIERING_NOW, NULL);
    world.images[OPEN] = fixture_put(world.jini, world.premium, OPEN);
    world.images[TRASHED] = fixture_put(world.jini, world.premium, TRASHED);
    world.images[EXPIRING] = fixture_put(world.jini, world.free, EXPIRING);
    trash(world.jini, &world.images[TRASHED]);
    days_back(BACK_DAYS);
    return world;
}

static void check_all(const struct world *world)
{
    for (uint64_t i = 0; i < BEFORE; i++)
        CHECK_OK(fixture_get(world->jini, &world->images[i], i));
}

TEST(a_clock_set_back_lets_nothing_go,
     "With the clock 90 days back nothing expires and the trash can be restored; all images are "
     "archived, freed and read, with packs whose ids are older than those before them.")
{
    struct world world = make_world();
    CHECK_UINT(purged_by_a_run(world.jini, 0), ==, 0);
    restore(world.jini, &world.images[TRASHED]);
    check_all(&world);
    struct jini_id same_process = fixture_put(world.jini, world.premium, 10);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
    world.jini = fixture_open();
    struct jini_id next_process = fixture_put(world.jini, world.premium, 11);
    struct jini_image_place late = fixture_locate(world.jini, &next_process);
    struct jini_image_place early = fixture_locate(world.jini, &world.images[COLD]);
    CHECK_INT(jini_id_compare(&late.pack_id, &early.pack_id), <, 0);
    CHECK_UINT(purged_by_a_run(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT), ==, 0);
    check_all(&world);
    CHECK_OK(fixture_get(world.jini, &same_process, 10));
    CHECK_OK(fixture_get(world.jini, &next_process, 11));
    CHECK_INT(fixture_locate(world.jini, &next_process).state, ==, JINI_IMAGE_COLD);
    for (int i = 0; i < BEFORE; i++)
        CHECK_INT(fixture_locate(world.jini, &world.images[i]).state, ==, JINI_IMAGE_COLD);
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(a_clock_set_back_keeps_nothing_for_ever,
     "What is trashed by the clock that was set back is purged after its time, out of packs from "
     "the future too, and what is put then expires after its own; what came before goes when its "
     "time has come.")
{
    struct world world = make_world();
    fixture_tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
    world.jini = fixture_open();
    struct jini_id short_lived = fixture_put(world.jini, world.free, 12);
    trash(world.jini, &world.images[OPEN]); /* in a pack with the one that was trashed before */
    fixture_days_pass(TRASH_DAYS);
    CHECK_UINT(purged_by_a_run(world.jini, JINI_TIERING_NOW), ==, 1);
    fixture_tier(world.jini, JINI_TIERING_NOW, NULL);
    CHECK(!is_somewhere(OPEN));
    CHECK(is_somewhere(TRASHED));
    fixture_days_pass(RETENTION_DAYS);
    CHECK_UINT(purged_by_a_run(world.jini, JINI_TIERING_NOW), ==, 1);
    CHECK_STATUS(fixture_get(world.jini, &short_lived, 12), JINI_E_NOT_FOUND);
    CHECK_OK(fixture_get(world.jini, &world.images[EXPIRING], EXPIRING));

    fixture_days_pass(BACK_DAYS - TRASH_DAYS);
    CHECK_UINT(purged_by_a_run(world.jini, JINI_TIERING_NOW), ==, 2);
    fixture_tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK(!is_somewhere(TRASHED));
    CHECK(!is_somewhere(EXPIRING));
    CHECK_OK(fixture_get(world.jini, &world.images[COLD], COLD));
    CHECK_OK(fixture_get(world.jini, &world.images[ARCHIVED], ARCHIVED));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(packs_from_the_future_go_down_when_their_time_comes,
     "By themselves packs that a clock far ahead has made are archived and freed as soon as the "
     "right clock has reached them, and not before.")
{
    struct world world = make_world();
    restore(world.jini, &world.images[TRASHED]);
    CHECK_OK(jini_close(world.jini, NULL, NULL)); /* seals */
    world.jini = fixture_open();
    fixture_tier(world.jini, 0, NULL);
    CHECK_INT(fixture_locate(world.jini, &world.images[ARCHIVED]).state, ==,
              JINI_IMAGE_HOT_ARCHIVED);
    CHECK_INT(fixture_locate(world.jini, &world.images[OPEN]).state, ==, JINI_IMAGE_HOT);
    fixture_days_pass(BACK_DAYS + 2);
    fixture_tier(world.jini, 0, NULL);
    CHECK_INT(fixture_locate(world.jini, &world.images[OPEN]).state, ==, JINI_IMAGE_HOT_ARCHIVED);
    fixture_days_pass(8);
    fixture_tier(world.jini, 0, NULL);
    CHECK_INT(fixture_locate(world.jini, &world.images[OPEN]).state, ==, JINI_IMAGE_COLD);
    CHECK_INT(fixture_locate(world.jini, &world.images[ARCHIVED]).state, ==, JINI_IMAGE_COLD);
    CHECK_OK(fixture_get(world.jini, &world.images[OPEN], OPEN));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}
