/* Verify: the rows by which users are found, tiers, the counter of user ids, and leases. */
#include "found.h"
#include "plant.h"

#include "accounts/keys.h"
#include "accounts/tier_record.h"

enum { NOBODY = 999 };

struct world {
    struct jini *jini;
    uint64_t alice; /* Premium, alice@example.org */
    uint64_t bob;   /* Free */
};

static struct world make_world(void)
{
    struct world world = {.jini = fixture_open()};
    struct jini_user_set set;
    world.alice = fixture_user(world.jini, "Alice", "Premium");
    world.bob = fixture_user(world.jini, "bob", "Free");
    jini_request_init(&set);
    set.user.id = world.alice;
    set.fields = JINI_USER_FIELD_EMAIL;
    snprintf(set.user.email, sizeof(set.user.email), "Alice@example.org");
    fixture_must(jini_user_set(world.jini, &set, NULL), "set", &set.request.error);
    fixture_verify(world.jini);
    return world;
}

static struct tuple login_key(enum keys_index index, const char *text)
{
    struct tuple key;
    CHECK_OK(keys_login(index, text, &key));
    return key;
}

static void plant_id(struct jini *jini, const struct tuple *key, uint64_t id)
{
    uint8_t bytes[KEYS_ID_BYTES];
    plant_row(jini, STORE_SPACE_USER_KEYS, key, keys_id_value(id, bytes).data, sizeof(bytes));
}

static void plant_key(struct jini *jini, const struct tuple *key, const void *value, size_t length)
{
    plant_row(jini, STORE_SPACE_USER_KEYS, key, value, length);
}

static void take_key(struct jini *jini, const struct tuple *key)
{
    plant_row(jini, STORE_SPACE_USER_KEYS, key, NULL, 0);
}

TEST(rows_of_names_and_addresses_that_are_wrong_are_found,
     "A row of a name or an address whose user has another or is not there, one without a user id, "
     "and a key of no row are named; and whoever is not found by the own row.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct tuple key = login_key(KEYS_NAME, "carol");
    plant_id(jini, &key, world.bob);
    check_one(jini, "login_differs", "username", world.bob, "the name \"carol\" finds user 2");
    plant_key(jini, &key, "rot", 3);
    check_one(jini, "login_damaged", "id", 0, "\"carol\"");
    take_key(jini, &key);
    key = login_key(KEYS_MAIL, "x@example.org");
    plant_id(jini, &key, NOBODY);
    check_one(jini, "login_without_user", "id", NOBODY, "the address \"x@example.org\"");
    take_key(jini, &key);
    key = login_key(KEYS_MAIL, "alice@example.org");
    plant_id(jini, &key, world.bob);
    check_one(jini, "login_differs", "email", world.bob, "\"alice@example.org\"");
    check_one(jini, "user_not_found_by_email", "email", world.alice, "user 1");
    plant_id(jini, &key, world.alice);
    fixture_verify(jini);
    tuple_add_uint(&key, 1);
    plant_id(jini, &key, world.alice);
    check_one(jini, "login_key_damaged", "key", 0, "no key of this space");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(rows_of_tiers_that_are_wrong_are_found,
     "A user whose row among those of its tier is missing, and a row in another tier, of a user "
     "who is not there, or with a value, are named.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct tuple right;
    struct tuple wrong;
    CHECK_OK(keys_member("premium", world.alice, &right));
    CHECK_OK(keys_member("Free", world.alice, &wrong));
    take_key(jini, &right);
    check_one(jini, "user_without_member", "tier", world.alice, "no row in the tier \"Premium\"");
    plant_key(jini, &right, "rot", 3);
    check_one(jini, "member_damaged", "row", world.alice, "has a value");
    plant_key(jini, &right, "", 0);
    plant_key(jini, &wrong, "", 0);
    check_one(jini, "member_differs", "tier", world.alice,
              "has the tier \"Premium\" and a row in \"free\"");
    take_key(jini, &wrong);
    CHECK_OK(keys_member("Free", NOBODY, &wrong));
    plant_key(jini, &wrong, "", 0);
    check_one(jini, "member_without_user", "id", NOBODY, "\"free\"");
    take_key(jini, &wrong);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(tiers_that_are_damaged_are_found,
     "A tier whose record cannot be read, one under another name than its own, and a key of no "
     "tier are named.")
{
    static struct tier_record record;
    struct world world = make_world();
    struct jini *jini = world.jini;
    uint8_t bytes[TIER_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_txn *txn;
    struct tuple key;
    CHECK_OK(keys_tier("Basic", &key));
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(tier_record_load(txn, &key, &record));
    store_read_end(txn);
    CHECK_OK(tier_record_write(&record, &value));
    plant_row(jini, STORE_SPACE_TIERS, &key, "rot", 3);
    check_one(jini, "tier_damaged", "record", 0, "\"basic\"");
    plant_row(jini, STORE_SPACE_TIERS, &key, value.data, value.length);
    fixture_verify(jini);
    CHECK_OK(keys_tier("Gold", &key));
    plant_row(jini, STORE_SPACE_TIERS, &key, value.data, value.length);
    check_one(jini, "tier_differs", "name", 0, "\"gold\" has the name \"Basic\"");
    plant_row(jini, STORE_SPACE_TIERS, &key, NULL, 0);
    tuple_add_uint(&key, 1);
    plant_row(jini, STORE_SPACE_TIERS, &key, value.data, value.length);
    check_one(jini, "tier_key_damaged", "key", 0, "no key of this space");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_counter_of_ids_that_is_wrong_is_found,
     "A counter of user ids that is missing, behind the last user, or cannot be read is named, "
     "whatever rows of no user there are; one that is behind goes right with the next user.")
{
    struct world world = make_world();
    struct jini *jini = world.jini;
    struct tuple key;
    keys_counter(&key);
    plant_id(jini, &key, world.bob);
    check_one(jini, "user_ids_behind", "next", world.bob, "is 2, and user 2 is there");
    take_key(jini, &key);
    check_one(jini, "user_ids_behind", "next", world.bob, "is 1, and user 2 is there");
    plant_key(jini, &key, "rot", 3);
    check_one(jini, "user_ids_damaged", "next", 0, "no user can be added");
    plant_id(jini, &key, world.bob);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open(); /* without a block of ids */
    CHECK_UINT(fixture_user(jini, "carol", "Free"), ==, world.bob + 1);
    fixture_verify(jini);
    key = plant_key_user(NOBODY, "x");
    plant_row(jini, STORE_SPACE_USERS, &key, "rot", 3);
    check_one(jini, "user_key_damaged", "key", NOBODY, "no key of this space");
    CHECK_UINT(find(jini, "user_ids_behind").count, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(leases_that_are_damaged_are_found,
     "A lease that cannot be read, and a key of no lease, are named.")
{
    struct jini *jini = fixture_open();
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text("tiering"));
    plant_row(jini, STORE_SPACE_LEASES, &key, "rot", 3);
    check_one(jini, "lease_damaged", "row", 0, "no process can take it");
    plant_row(jini, STORE_SPACE_LEASES, &key, NULL, 0);
    fixture_tier(jini, 0, NULL);
    fixture_verify(jini);
    tuple_add_uint(&key, 1);
    plant_row(jini, STORE_SPACE_LEASES, &key, "", 0);
    check_one(jini, "lease_key_damaged", "key", 0, "no key of this space");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
