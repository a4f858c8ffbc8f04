/*
 * Rewriting packs that are here and in the archive, behind an archive that answers wrongly: a copy
 * that is good is never let go of for one that is not.
 */
#include "cold_fixture.h"
#include "found.h"

#include "images/index.h"
#include "images/pack_path.h"

#include <fcntl.h>

enum { IMAGES = 4, DOOMED = 1, BAD = 2, AT = 1000 };

struct world {
    struct jini *jini;
    struct jini_id images[IMAGES];
};

static struct index_location location_of(struct jini *jini, const struct jini_id *id,
                                         struct index_pack *pack)
{
    struct jini_image_place place = fixture_locate(jini, id);
    struct index_location page[IMAGES];
    struct store_txn *txn;
    size_t count;
    size_t at = 0;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_get(txn, &place.pack_id, pack));
    CHECK_OK(index_location_list(txn, &place.pack_id, NULL, page, IMAGES, &count));
    store_read_end(txn);
    while (at < count && !id_equal(&page[at].image, id))
        at++;
    CHECK_UINT(at, <, count);
    return page[at];
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(pread(fd, &byte, 1, (off_t)offset), ==, 1);
    byte ^= 1;
    CHECK_INT(pwrite(fd, &byte, 1, (off_t)offset), ==, 1);
    close(fd);
}

/* An image's record rots in the local file. */
static void damage_file(struct jini *jini, const struct jini_id *id)
{
    struct index_pack pack;
    char path[PACK_PATH_MAX];
    struct index_location location = location_of(jini, id, &pack);
    pack_path(&pack.id, path);
    flip(harness_path("db/%s", path), location.offset + AT);
}

/* At another place than in the file, so that the two copies differ. */
static void damage_object(struct jini *jini, const struct jini_id *id)
{
    struct index_pack pack;
    char name[INDEX_OBJECT_NAME_MAX];
    struct index_location location = location_of(jini, id, &pack);
    index_object_name(&pack, name);
    flip(harness_path("db/archive/%s", name), location.offset + AT + 1);
}

/* An archived pack whose file has rotted in one record, and that a purge makes due. */
static struct world make(void)
{
    struct world world;
    struct jini_options options;
    struct jini_image_remove remove;
    cold_options(&options);
    world.jini = fixture_open_with(&options);
    uint64_t user = fixture_user(world.jini, "alice", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        world.images[i] = fixture_put(world.jini, user, i);
    fixture_tier(world.jini, JINI_TIERING_NOW, NULL);
    damage_file(world.jini, &world.images[BAD]);
    jini_request_init(&remove);
    remove.id = world.images[DOOMED];
    CHECK_OK(jini_image_remove(world.jini, &remove, NULL));
    fixture_days_pass(1);
    return world;
}

static int tier(struct jini *jini)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW;
    return jini_archive_run(jini, &run, NULL);
}

static bool is_somewhere(uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    bool found = harness_tree_holds(fixture_db(), file + 200, 2 * AT);
    free(file);
    return found;
}

static void check_good(struct world *world)
{
    cold_faults(world->jini, COLD_HEALTHY);
    for (uint64_t i = 0; i < IMAGES; i++) {
        if (i != DOOMED)
            CHECK_OK(fixture_get(world->jini, &world->images[i], i));
    }
    CHECK(is_somewhere(BAD));
    CHECK(!is_somewhere(DOOMED));
    fixture_verify(world->jini);
    CHECK_OK(jini_close(world->jini, NULL, NULL));
}

TEST(
    a_wrong_bit_on_the_way_costs_no_record,
    "Of a record that has rotted here and is whole in the archive, one wrong answer of the archive "
    "is no damage: it is asked again, and its copy is taken.")
{
    static const char *const scripts[] = {"flip", "short", "flip+flip", "flip+short"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
        char spec[64];
        harness_remove(fixture_db());
        struct world world = make();
        snprintf(spec, sizeof(spec), "script=%s,operations=get", scripts[i]);
        cold_faults(world.jini, spec);
        CHECK_OK(tier(world.jini));
        check_good(&world);
    }
}

TEST(
    an_archive_that_is_in_doubt_costs_no_record,
    "While readings of the object fail, or are wrong each time in another way, the pack stays with "
    "all that is in it; the next run makes the record good.")
{
    static const char *const scripts[] = {"flip+refuse", "flip+flip+refuse", "flip+flip+flip"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
        char spec[64];
        harness_remove(fixture_db());
        struct world world = make();
        snprintf(spec, sizeof(spec), "script=%s,operations=get", scripts[i]);
        cold_faults(world.jini, spec);
        CHECK_INT(tier(world.jini), !=, 0);
        CHECK(is_somewhere(BAD));
        cold_faults(world.jini, COLD_HEALTHY);
        CHECK_OK(tier(world.jini));
        check_good(&world);
    }
}

TEST(
    a_record_that_has_rotted_twice_keeps_nothing,
    "A record that holds neither here nor in the archive is put apart, and its pack goes with what "
    "was purged.")
{
    struct world world = make();
    damage_object(world.jini, &world.images[BAD]);
    CHECK_STATUS(tier(world.jini), JINI_E_CORRUPT);
    CHECK(!is_somewhere(DOOMED));
    CHECK_OK(tier(world.jini));
    for (uint64_t i = 0; i < IMAGES; i++) {
        if (i != DOOMED)
            CHECK_STATUS(fixture_get(world.jini, &world.images[i], i),
                         i == BAD ? JINI_E_CORRUPT : 0);
    }
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

/* ---- Freeing and archiving ---- */

static struct world make_archived(uint32_t flags)
{
    struct world world;
    struct jini_options options;
    cold_options(&options);
    world.jini = fixture_open_with(&options);
    uint64_t user = fixture_user(world.jini, "alice", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        world.images[i] = fixture_put(world.jini, user, i);
    if (flags)
        fixture_tier(world.jini, flags, NULL);
    return world;
}

static int tier_with(struct jini *jini, uint32_t flags, struct jini_archive_run *run)
{
    jini_request_init(run);
    run->flags = flags;
    return jini_archive_run(jini, run, NULL);
}

static void read_all(const struct world *world)
{
    for (uint64_t i = 0; i < IMAGES; i++)
        CHECK_OK(fixture_get(world->jini, &world->images[i], i));
}

TEST(a_file_is_freed_for_a_proved_object_only,
     "However short a time ago a pack was archived, another run reads its object before the local "
     "copy goes: of one that has rotted the copy stays, and is archived anew.")
{
    struct jini_archive_run run;
    struct world world = make_archived(JINI_TIERING_NOW);
    damage_object(world.jini, &world.images[BAD]);
    CHECK_STATUS(tier_with(world.jini, JINI_TIERING_FREE_HOT, &run), JINI_E_ARCHIVE);
    CHECK_UINT(run.packs_freed, ==, 0);
    read_all(&world);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    read_all(&world);
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(a_run_reads_an_object_once,
     "What a run has archived it has read back, and frees without reading it once more; what "
     "another run has archived it reads.")
{
    struct jini_archive_run run;
    struct world world = make_archived(JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
    CHECK_UINT(cold_gets(world.jini), ==, 1);
    uint64_t user = fixture_user(world.jini, "bob", "Premium");
    fixture_put(world.jini, user, IMAGES);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_NOW, &run));
    CHECK_UINT(cold_gets(world.jini), ==, 2);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_FREE_HOT, &run));
    CHECK_UINT(cold_gets(world.jini), ==, 3);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(two_copies_with_different_damage_make_a_whole_one,
     "Where file and object have lost different images, freeing puts together what holds of "
     "either.")
{
    struct jini_archive_run run;
    struct world world = make_archived(JINI_TIERING_NOW);
    damage_file(world.jini, &world.images[BAD]);
    damage_object(world.jini, &world.images[DOOMED]);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_FREE_HOT, &run));
    read_all(&world);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    read_all(&world);
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(verify_names_what_mends_a_file_that_is_in_the_archive,
     "Of a damaged file whose pack is in the archive verify says which run puts the other copy in "
     "its place, and that run does.")
{
    struct found found;
    struct jini_archive_run run;
    struct world world = make_archived(JINI_TIERING_NOW);
    damage_file(world.jini, &world.images[BAD]);
    found_run(world.jini, "pack_damaged", JINI_VERIFY_DEEP, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_CONTAINS(found.items[0].message, "jini archive run --free-hot");
    CHECK_OK(tier_with(world.jini, JINI_TIERING_FREE_HOT, &run));
    read_all(&world);
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(a_bad_record_keeps_no_others_from_the_archive,
     "Of a local pack that has rotted in one record all others go to the archive; the run names "
     "the image, puts it apart and says so once.")
{
    struct jini_archive_run run;
    struct jini_options options;
    char image[JINI_ID_TEXT_MAX];
    struct world world = make_archived(0);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
    cold_options(&options);
    world.jini = fixture_open_with(&options);
    damage_file(world.jini, &world.images[BAD]);
    CHECK_STATUS(tier_with(world.jini, JINI_TIERING_NOW, &run), JINI_E_CORRUPT);
    jini_id_format(&world.images[BAD], image);
    CHECK_CONTAINS(run.request.error.message, image);
    CHECK_UINT(run.packs_failed, ==, 0);
    CHECK_UINT(run.images_archived, ==, IMAGES - 1);
    CHECK_OK(tier_with(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, &run));
    CHECK_UINT(run.packs_freed, ==, 1);
    for (uint64_t i = 0; i < IMAGES; i++) {
        enum jini_image_state state = fixture_locate(world.jini, &world.images[i]).state;
        CHECK_INT(state, ==, i == BAD ? JINI_IMAGE_HOT : JINI_IMAGE_COLD);
        CHECK_STATUS(fixture_get(world.jini, &world.images[i], i), i == BAD ? JINI_E_CORRUPT : 0);
    }
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(a_damaged_file_without_its_object_keeps_what_holds,
     "Where the object is lost and the file has rotted in one record, the others are archived "
     "again, and runs go on saying so for as long as the image is there.")
{
    struct jini_archive_run run;
    struct jini_error error;
    uint32_t flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
    struct world world = make_archived(JINI_TIERING_NOW);
    damage_file(world.jini, &world.images[BAD]);
    harness_remove(harness_path("db/archive"));
    CHECK_OK(jini_archive_init(world.jini, &error));
    CHECK_STATUS(tier_with(world.jini, flags, &run), JINI_E_CORRUPT);
    CHECK_UINT(run.images_archived, ==, IMAGES - 1);
    for (uint64_t i = 0; i < IMAGES; i++)
        CHECK_STATUS(fixture_get(world.jini, &world.images[i], i), i == BAD ? JINI_E_CORRUPT : 0);
    CHECK_INT(tier_with(world.jini, flags, &run), !=, 0);
    CHECK_UINT(run.packs_failed, >, 0);
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = world.images[BAD];
    CHECK_OK(jini_image_remove(world.jini, &remove, NULL));
    CHECK_OK(tier_with(world.jini, flags, &run));
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

static void note_object(void *context, const struct jini_tiering_event *event)
{
    unsigned *events = context;
    (*events)++;
    CHECK_TEXT(event->object, "");
}

TEST(an_object_that_was_never_written_is_not_named,
     "After a PUT that was refused neither a plan nor a purge says that the pack is in the "
     "archive.")
{
    struct jini_archive_run run;
    struct jini_image_remove remove;
    unsigned events = 0;
    struct world world = make_archived(0);
    cold_faults(world.jini, "every=1,kinds=refuse,operations=put");
    CHECK_INT(tier_with(world.jini, JINI_TIERING_NOW, &run), !=, 0);
    jini_request_init(&run);
    run.flags = JINI_TIERING_NOW | JINI_TIERING_DRY_RUN;
    run.report = note_object;
    run.report_context = &events;
    CHECK_OK(jini_archive_run(world.jini, &run, NULL));
    CHECK_UINT(events, ==, 1);
    for (unsigned i = 0; i < IMAGES; i++) {
        jini_request_init(&remove);
        remove.id = world.images[i];
        remove.flags = JINI_REMOVE_PURGE;
        CHECK_OK(jini_image_remove(world.jini, &remove, NULL));
    }
    cold_faults(world.jini, "skip=0"); /* who deletes stores a token first */
    jini_request_init(&run);
    run.report = note_object;
    run.report_context = &events;
    CHECK_OK(jini_archive_run(world.jini, &run, NULL));
    CHECK_UINT(run.packs_purged, ==, 1);
    CHECK_UINT(events, ==, 3);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}
