/* Verify of the rows that share records, and of those that let objects go. */
#include "faults.h"

#include "found.h"
#include "plant.h"

#include "images/index.h"

enum { IMAGES = 3 };

/* It is found once, and nothing else. */
static void check_found(struct jini *jini, const char *kind, const char *field,
                        const struct jini_id *pack)
{
    static struct found found;
    found_run(jini, NULL, 0, &found);
    if (found.count != 1)
        found_print(&found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].kind, kind);
    CHECK_TEXT(found.items[0].field, field);
    CHECK(found.items[0].message[0] != '\0');
    if (pack)
        CHECK(id_equal(&found.items[0].pack, pack));
}

/* A sealed pack in the archive, and the row of its first record. */
struct world {
    struct jini *jini;
    struct index_pack pack;
    struct index_location locations[IMAGES];
    struct index_content right;
};

static struct world make_world(void)
{
    struct world world = {.jini = fixture_open()};
    struct store_txn *txn;
    size_t count;
    uint64_t user = fixture_user(world.jini, "alice", "Premium");
    for (uint64_t i = 0; i < IMAGES; i++)
        fixture_put(world.jini, user, i);
    fixture_tier(world.jini, JINI_TIERING_NOW, NULL);
    CHECK_OK(store_read_begin(world.jini->store, &txn));
    CHECK_OK(index_pack_list(txn, NULL, &world.pack, 1, &count));
    CHECK_UINT(count, ==, 1);
    CHECK_OK(index_location_list(txn, &world.pack.id, NULL, world.locations, IMAGES, &count));
    CHECK_UINT(count, ==, IMAGES);
    world.right = (struct index_content){.tier_group = world.pack.tier_group,
                                         .expiry_day = world.pack.expiry_day,
                                         .length = world.locations[0].original_length,
                                         .hash = world.locations[0].original_hash};
    CHECK_OK(index_content_get(txn, &world.right));
    store_read_end(txn);
    fixture_verify(world.jini);
    return world;
}

static int op_put_content(struct store_txn *txn, void *argument)
{
    return index_content_put(txn, argument);
}

static int op_delete_content(struct store_txn *txn, void *argument)
{
    return index_content_delete(txn, argument);
}

static void check_content(const struct world *world, struct index_content wrong, const char *kind,
                          const char *field)
{
    struct index_content right = world->right;
    CHECK_OK(store_write(world->jini->store, op_put_content, &wrong));
    check_found(world->jini, kind, field, &wrong.pack);
    CHECK_OK(store_write(world->jini->store, op_delete_content, &wrong));
    CHECK_OK(store_write(world->jini->store, op_put_content, &right));
    fixture_verify(world->jini);
}

TEST(
    a_content_row_of_another_record_is_found,
    "A row that names a record with another checksum or length, one of another class, and one that "
    "its pack does not have, are found with the pack.")
{
    struct world world = make_world();
    struct index_content wrong = world.right;
    wrong.sequence = world.locations[1].sequence;
    check_content(&world, wrong, "content_differs_from_record", "hash");
    wrong = world.right;
    wrong.length++;
    check_content(&world, wrong, "content_differs_from_record", "length");
    wrong = world.right;
    wrong.tier_group++;
    check_content(&world, wrong, "content_of_another_class", "class");
    wrong = world.right;
    wrong.sequence = IMAGES;
    check_content(&world, wrong, "content_without_record", "sequence");
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

static int op_forget(struct store_txn *txn, void *argument)
{
    return index_location_delete(txn, argument);
}

TEST(a_content_row_of_a_record_without_images_is_compared,
     "Of a record that no image has any more the pack's footer tells: a row that says the same is "
     "right, and another one is found.")
{
    struct world world = make_world();
    struct index_content wrong = world.right;
    struct tuple image = plant_key_id(&world.locations[0].image);
    CHECK_OK(store_write(world.jini->store, op_forget, &world.locations[0]));
    plant_row(world.jini, STORE_SPACE_IMAGES, &image, NULL, 0);
    /* The lists of the user miss the image, too. */
    CHECK_UINT(find(world.jini, "content_differs_from_record").count, ==, 0);
    wrong.hash.bytes[0] ^= 1;
    CHECK_OK(store_write(world.jini->store, op_put_content, &wrong));
    check_one(world.jini, "content_differs_from_record", "hash", 0, "another checksum");
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

/* How often a verify reads from files of packs. */
static uint64_t pack_reads(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    fault_inject(
        &(struct fault_plan){.kinds = FAULT_READ, .nth = UINT64_MAX, .pattern = "*/packs/*.pack"});
    CHECK_OK(jini_verify(jini, &verify, NULL));
    fault_inject_stop();
    return fault_calls();
}

TEST(many_content_rows_without_images_cost_one_reading,
     "However many rows name records of a pack that no image has any more, its footer is read once "
     "for them: its trailer, and its entries.")
{
    enum { RECORDS = 20 };
    struct index_location locations[RECORDS];
    struct index_pack pack;
    struct store_txn *txn;
    size_t count;
    fault_attach(harness_path("control"));
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    for (uint64_t i = 0; i < RECORDS; i++)
        fixture_put(jini, user, i);
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(index_pack_list(txn, NULL, &pack, 1, &count));
    CHECK_OK(index_location_list(txn, &pack.id, NULL, locations, RECORDS, &count));
    store_read_end(txn);
    CHECK_UINT(count, ==, RECORDS);
    uint64_t before = pack_reads(jini);
    for (size_t i = 1; i < RECORDS; i++)
        CHECK_OK(store_write(jini->store, op_forget, &locations[i]));
    CHECK_UINT(pack_reads(jini), ==, before + 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_content_row_that_cannot_be_read_is_found,
     "A key or a value that is none of the space is found; the row of a pack that is gone is none.")
{
    struct world world = make_world();
    struct tuple key = plant_key_id(&world.pack.id);
    plant_row(world.jini, STORE_SPACE_CONTENT, &key, "rot", 3);
    check_found(world.jini, "content_damaged", "row", NULL);
    plant_row(world.jini, STORE_SPACE_CONTENT, &key, NULL, 0);
    struct index_content gone = world.right;
    gone.hash.bytes[0] ^= 1;
    gone.pack = id_next(&world.jini->ids);
    CHECK_OK(store_write(world.jini->store, op_put_content, &gone));
    fixture_verify(world.jini);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}

static int op_put_orphan(struct store_txn *txn, void *argument)
{
    return index_orphan_put(txn, argument);
}

static int op_delete_orphan(struct store_txn *txn, void *argument)
{
    return index_orphan_delete(txn, argument);
}

TEST(an_orphan_that_is_somebodys_is_found,
     "A row that lets the object of a pack go is found, one of an earlier attempt is not, and one "
     "that cannot be read is.")
{
    struct world world = make_world();
    struct index_orphan orphan = {UINT64_C(1) << 50, world.pack.id, id_next(&world.jini->ids)};
    CHECK_OK(store_write(world.jini->store, op_put_orphan, &orphan));
    fixture_verify(world.jini);
    CHECK_OK(store_write(world.jini->store, op_delete_orphan, &orphan));
    orphan.attempt = world.pack.attempt;
    CHECK_OK(store_write(world.jini->store, op_put_orphan, &orphan));
    check_found(world.jini, "orphan_of_a_pack", "attempt", &world.pack.id);
    CHECK_OK(store_write(world.jini->store, op_delete_orphan, &orphan));
    struct tuple key = plant_key_id(&world.pack.id);
    plant_row(world.jini, STORE_SPACE_ORPHANS, &key, "", 0);
    check_found(world.jini, "orphan_damaged", "row", NULL);
    CHECK_OK(jini_close(world.jini, NULL, NULL));
}
