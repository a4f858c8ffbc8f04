/*
 * Rewriting packs that are here and in the archive, behind an archive that answers wrongly: a copy
 * that is good is never let go of for one that is not.
 */
#include "cold_fixture.h"

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
