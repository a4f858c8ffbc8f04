/*
 * Packs that are rewritten: nothing is let go of before its copy was read back, what is shared
 * stays shared, and damage in a pack keeps neither its neighbours nor what was purged.
 */
#include "faults.h"

#include "images/index.h"
#include "images/pack_path.h"
#include "plant.h"

#include <fcntl.h>
#include <unistd.h>

enum { IMAGES = 4, DOOMED = 1, PACKS_MAX = 64, SAMPLE_AT = 200, SAMPLE_BYTES = 1000 };

/* Files in memory: what a sync is worth is no subject here. */
static void work_in_memory(void)
{
    static char path[600];
    snprintf(path, sizeof(path), "%s/db", harness_fast_directory(64 << 20));
    fixture_directory = path;
}

static void trash(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
}

/* Whether bytes of the image of a seed are in any file. */
static bool is_somewhere(uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    bool found = harness_tree_holds(fixture_db(), file + SAMPLE_AT, SAMPLE_BYTES);
    free(file);
    return found;
}

static int tier(struct jini *jini, uint32_t flags)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags;
    return jini_archive_run(jini, &run, NULL);
}

/* ---- A byte that rots on its way ---- */

struct world {
    struct jini *jini;
    struct jini_id images[IMAGES];
};

static void check_all(const struct world *world, uint64_t doomed)
{
    for (uint64_t i = 0; i < IMAGES; i++) {
        if (i != doomed)
            CHECK_OK(fixture_get(world->jini, &world->images[i], i));
    }
}

/*
 * One pack that is due to be rewritten, because an image of it was purged. Without flags it is
 * sealed only.
 */
static struct world make_purged(uint32_t flags)
{
    struct world world = {.jini = fixture_open()};
    uint64_t user = fixture_user(world.jini, "alice", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        world.images[i] = fixture_put(world.jini, user, i);
    if (flags) {
        fixture_tier(world.jini, flags, NULL);
    } else {
        CHECK_OK(jini_close(world.jini, NULL, NULL));
        world.jini = fixture_open();
    }
    trash(world.jini, &world.images[DOOMED]);
    fixture_days_pass(8);
    return world;
}

/* Two small packs that are due to become one. */
static struct world make_small(uint32_t flags)
{
    struct world world = {.jini = fixture_open()};
    uint64_t user = fixture_user(world.jini, "alice", "Premium");
    (void)flags;
    for (uint64_t i = 0; i < IMAGES; i++) {
        world.images[i] = fixture_put(world.jini, user, i);
        if (i % 2 == 1) {
            CHECK_OK(jini_close(world.jini, NULL, NULL));
            world.jini = fixture_open();
        }
    }
    return world;
}

/* The nth write to a pack is wrong by a bit. False: there were not so many. */
static bool check_flipped(struct world (*make)(uint32_t flags), uint32_t flags, uint64_t doomed,
                          uint64_t nth)
{
    harness_remove(fixture_directory);
    struct world world = make(flags);
    fault_inject(&(struct fault_plan){
        .kinds = FAULT_WRITE, .effect = FAULT_FLIP, .nth = nth, .pattern = "*/packs/*.pack"});
    int status = tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
    bool flipped = fault_injected() > 0;
    fault_inject_stop();
    if (!flipped)
        CHECK_OK(status);
    check_all(&world, doomed);
    tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
    CHECK_OK(tier(world.jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT));
    check_all(&world, doomed);
    fixture_verify(world.jini);
    if (doomed < IMAGES)
        CHECK(!is_somewhere(doomed));
    CHECK_OK(jini_close(world.jini, NULL, NULL));
    return flipped;
}

static void sweep(struct world (*make)(uint32_t flags), uint32_t flags, uint64_t doomed)
{
    uint64_t nth = 1;
    fault_attach(harness_path("control"));
    work_in_memory();
    const uint64_t step = harness_sanitized() ? 3 : 1;
    while (check_flipped(make, flags, doomed, nth))
        nth += step;
    CHECK_UINT(nth, >, 3);
}

TEST(a_byte_that_rots_on_its_way_costs_nothing,
     "Whatever write to the new pack is wrong by a bit, the images of a pack that is rewritten for "
     "a purge are all there, at once and after the next runs, and the purge is done.")
{
    sweep(make_purged, 0, DOOMED);
}

TEST(a_byte_that_rots_on_its_way_from_the_archive_costs_nothing,
     "The same of a pack that is in the archive only.")
{
    sweep(make_purged, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, DOOMED);
}

TEST(a_byte_that_rots_when_small_packs_are_merged_costs_nothing,
     "The same of small packs that become one.")
{
    sweep(make_small, 0, IMAGES);
}

/* ---- Shared records ---- */

/* How many records the images of the database have. */
static size_t count_records(struct jini *jini)
{
    static struct index_pack packs[PACKS_MAX];
    struct index_location page[64];
    struct store_txn *txn;
    size_t pack_count;
    size_t records = 0;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_list(txn, NULL, packs, PACKS_MAX, &pack_count));
    for (size_t i = 0; i < pack_count; i++) {
        struct index_location last;
        bool any = false;
        size_t count;
        do {
            CHECK_OK(index_location_list(txn, &packs[i].id, any ? &last : NULL, page, 64, &count));
            for (size_t j = 0; j < count; j++) {
                records += !any || page[j].sequence != last.sequence;
                last = page[j];
                any = true;
            }
        } while (count == 64);
    }
    store_read_end(txn);
    return records;
}

TEST(
    rewriting_keeps_what_is_shared,
    "Hundreds of equal images, more than a page of them, have one record, however often their pack "
    "is rewritten.")
{
    enum { EQUAL = 300, OTHERS = 3, EQUAL_SEED = 7 };
    struct jini_id equal[EQUAL];
    struct jini_id others[OTHERS];
    work_in_memory();
    struct jini_options options;
    fixture_options(&options);
    options.pack_bytes_max = 4 << 20;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (int i = 0; i < EQUAL; i++)
        equal[i] = fixture_put(jini, user, EQUAL_SEED);
    for (uint64_t i = 0; i < OTHERS; i++)
        others[i] = fixture_put(jini, user, 100 + i);
    for (int i = 0; i < OTHERS; i++) {
        fixture_tier(jini, JINI_TIERING_NOW, NULL);
        CHECK_UINT(count_records(jini), ==, 1 + (size_t)(OTHERS - i));
        trash(jini, &others[i]);
        fixture_days_pass(8);
    }
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    CHECK_UINT(count_records(jini), ==, 1);
    for (int i = 0; i < EQUAL; i += 37)
        CHECK_OK(fixture_get(jini, &equal[i], EQUAL_SEED));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Damaged records ---- */

enum { BAD = 2, PAYLOAD = 1000, HEADER = 100 }; /* where a byte of its record is wrong */

static void load(struct jini *jini, const struct jini_id *id, struct index_location *location,
                 struct index_pack *pack)
{
    struct jini_image_place place = fixture_locate(jini, id);
    struct store_txn *txn;
    size_t count;
    struct index_location page[IMAGES];
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_get(txn, &place.pack_id, pack));
    CHECK_OK(index_location_list(txn, &place.pack_id, NULL, page, IMAGES, &count));
    store_read_end(txn);
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&page[i].image, id))
            *location = page[i];
    }
    CHECK(id_equal(&location->image, id));
}

/* Turns a bit of an image's record over, and gives what then stands around it. */
static void damage(struct jini *jini, const struct jini_id *id, uint64_t at, uint8_t sample[64])
{
    struct index_location location;
    struct index_pack pack;
    char path[INDEX_OBJECT_NAME_MAX];
    load(jini, id, &location, &pack);
    bool cold = pack.state == INDEX_PACK_COLD;
    if (cold)
        index_object_name(&pack, path);
    else
        pack_path(&pack.id, path);
    int fd = open(harness_path(cold ? "db/archive/%s" : "db/%s", path), O_RDWR | O_CLOEXEC);
    CHECK_INT(fd, >=, 0);
    off_t offset = (off_t)(location.offset + at);
    CHECK_INT(pread(fd, sample, 64, offset), ==, 64);
    sample[0] ^= 1;
    CHECK_INT(pwrite(fd, sample, 64, offset), ==, 64);
    close(fd);
}

static void check_reports_only(struct jini *jini, const struct jini_id *bad)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 1);
    CHECK_STATUS(fixture_get(jini, bad, BAD), JINI_E_CORRUPT);
}

static void check_damage_keeps_nothing(uint32_t flags, uint64_t also_at)
{
    uint8_t sample[64];
    struct index_location location;
    struct index_pack pack;
    struct world world = make_purged(flags);
    struct jini *jini = world.jini;
    const struct jini_id *bad = &world.images[BAD];
    if (also_at)
        damage(jini, bad, also_at, sample);
    damage(jini, bad, PAYLOAD, sample);
    CHECK_STATUS(tier(jini, JINI_TIERING_NOW), JINI_E_CORRUPT);
    CHECK(!is_somewhere(DOOMED));
    for (uint64_t i = 0; i < IMAGES; i++) {
        if (i == DOOMED || i == BAD)
            continue;
        CHECK_OK(fixture_get(jini, &world.images[i], i));
        load(jini, &world.images[i], &location, &pack);
        CHECK_INT(pack.state, !=, INDEX_PACK_SEALED); /* nor does it keep them local */
    }
    check_reports_only(jini, bad);
    CHECK(harness_tree_holds(fixture_db(), sample, sizeof(sample)));
    CHECK_OK(tier(jini, JINI_TIERING_NOW)); /* it was told once; verify goes on telling of it */
    check_reports_only(jini, bad);
    trash(jini, bad);
    fixture_days_pass(8);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK(!harness_tree_holds(fixture_db(), sample, sizeof(sample)));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_record_keeps_nothing_that_was_purged,
     "A pack with a damaged record is rewritten for a purge: what was purged goes, its neighbours "
     "go to the archive, and its bytes are kept as they are and told of.")
{
    check_damage_keeps_nothing(0, 0);
}

TEST(a_record_with_a_damaged_header_keeps_nothing_that_was_purged,
     "The same of a record whose header is not legible: the footer of the pack says where it "
     "stands.")
{
    check_damage_keeps_nothing(0, HEADER);
}

TEST(a_damaged_record_of_an_object_keeps_nothing_that_was_purged,
     "The same of a record that is damaged in the archive.")
{
    check_damage_keeps_nothing(JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, 0);
}

TEST(
    a_damaged_record_is_made_good_from_its_object,
    "Rewriting a pack that lies in the archive too takes a record that is damaged here from there.")
{
    uint8_t sample[64];
    struct world world = make_purged(JINI_TIERING_NOW);
    damage(world.jini, &world.images[BAD], PAYLOAD, sample);
    CHECK_OK(tier(world.jini, JINI_TIERING_NOW));
    check_all(&world, DOOMED);
    CHECK(!is_somewhere(DOOMED));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

TEST(a_damaged_header_is_made_good, "Of a record whose header alone is not legible the index knows "
                                    "all that stood there, and proves "
                                    "the rest.")
{
    uint8_t sample[64];
    struct world world = make_purged(0);
    damage(world.jini, &world.images[BAD], HEADER, sample);
    CHECK_OK(tier(world.jini, JINI_TIERING_NOW));
    check_all(&world, DOOMED);
    CHECK(!is_somewhere(DOOMED));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

static int op_put_location(struct store_txn *txn, void *argument)
{
    return index_location_put(txn, argument);
}

TEST(
    a_wrong_row_costs_no_record,
    "A location that points beside its record is taken for no damage: the pack stays as it is, and "
    "with the row put right the image is there.")
{
    struct index_pack pack;
    struct index_location right;
    struct world world = make_purged(JINI_TIERING_NOW | JINI_TIERING_FREE_HOT);
    load(world.jini, &world.images[BAD], &right, &pack);
    struct index_location wrong = right;
    wrong.offset += 64;
    CHECK_OK(store_write(world.jini->store, op_put_location, &wrong));
    CHECK_STATUS(tier(world.jini, JINI_TIERING_NOW), JINI_E_CORRUPT);
    CHECK_STATUS(tier(world.jini, JINI_TIERING_NOW), JINI_E_CORRUPT);
    CHECK_OK(store_write(world.jini->store, op_put_location, &right));
    check_all(&world, DOOMED);
    CHECK_OK(tier(world.jini, JINI_TIERING_NOW));
    check_all(&world, DOOMED);
    CHECK(!is_somewhere(DOOMED));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}
