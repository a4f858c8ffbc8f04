/* Creating, finding, changing and listing users, on every driver. */
#include "accounts_fixture.h"

static const char argon2[] = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
static const char argon2_other[] = "$argon2id$v=19$m=128,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
                                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static void check_same_user(const struct jini_user *a, const struct jini_user *b)
{
    CHECK_UINT(a->id, ==, b->id);
    CHECK_UINT(a->flags, ==, b->flags);
    CHECK_UINT(a->override_mask, ==, b->override_mask);
    CHECK_UINT(a->created_ms, ==, b->created_ms);
    CHECK_UINT(a->last_login_ms, ==, b->last_login_ms);
    CHECK_UINT(a->revocation_epoch, ==, b->revocation_epoch);
    CHECK_TEXT(a->tier, b->tier);
    CHECK_TEXT(a->username, b->username);
    CHECK_TEXT(a->email, b->email);
    CHECK_TEXT(a->first_name, b->first_name);
    CHECK_TEXT(a->last_name, b->last_name);
    CHECK_TEXT(a->overrides.limits, b->overrides.limits);
    CHECK_UINT(a->overrides.width_max, ==, b->overrides.width_max);
    CHECK_UINT(a->overrides.height_max, ==, b->overrides.height_max);
    CHECK_UINT(a->overrides.steps_max, ==, b->overrides.steps_max);
    CHECK_UINT(a->overrides.parallel_max, ==, b->overrides.parallel_max);
    CHECK_UINT(a->overrides.retention_days, ==, b->overrides.retention_days);
}

static struct jini_user full_user(void)
{
    struct jini_user user = world_user("Zoë.Ω", "Zoe@Example.ORG");
    snprintf(user.first_name, sizeof(user.first_name), "Zoë");
    snprintf(user.last_name, sizeof(user.last_name),
             "O'Neil \xe2\x80\x8d"
             "Wu");
    snprintf(user.tier, sizeof(user.tier), "pREMIUM");
    user.flags = JINI_USER_ACTIVE | JINI_USER_STAFF;
    user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_STEPS | JINI_ALLOWANCE_PARALLEL;
    snprintf(user.overrides.limits, sizeof(user.overrides.limits), "7/minute");
    user.overrides.steps_max = ACCOUNTS_STEPS_MAX;
    user.overrides.parallel_max = 0;
    user.overrides.width_max = 77; /* not named by the mask */
    return user;
}

STORE_TEST(a_user_is_read_as_created, "What is created is what is read by id, name and address.")
{
    struct world world;
    struct jini_user read;
    world_open(&world, driver);
    struct jini_user user = full_user();
    user.id = 99;
    user.created_ms = 5;
    user.last_login_ms = 6;
    user.revocation_epoch = 7;
    CHECK_OK(world_create(&world, &user, argon2));
    CHECK_UINT(user.id, ==, 1);
    CHECK_UINT(user.created_ms, ==, WORLD_NOW_MS);
    CHECK_UINT(user.last_login_ms, ==, 0);
    CHECK_UINT(user.revocation_epoch, ==, 0);
    CHECK_TEXT(user.tier, "Premium");
    CHECK_UINT(user.overrides.width_max, ==, 0);
    CHECK_OK(world_get(&world, 1, &read));
    check_same_user(&read, &user);
    CHECK_TEXT(read.email, "Zoe@Example.ORG");
    static const char *const logins[] = {
        "Zoë.Ω", "zoë.ω", "ZOË.Ω", "Zoe\xcc\x88.\xce\xa9", "zoe@example.org", "ZOE@EXAMPLE.ORG"};
    for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
        CHECK_OK(world_find(&world, logins[i], &read));
        check_same_user(&read, &user);
    }
    struct accounts_credentials credentials;
    CHECK_OK(world_credentials(&world, "zoe@example.org", &credentials));
    CHECK_UINT(credentials.user_id, ==, 1);
    CHECK_TEXT(credentials.password_hash, argon2);
    world_close(&world);
}

STORE_TEST(an_unknown_user_is_not_found, "No id, name or address that nobody has finds anybody.")
{
    struct world world;
    struct jini_user user;
    struct jini_user zero;
    char long_text[1000];
    memset(&zero, 0, sizeof(zero));
    memset(long_text, 'a', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    world_open(&world, driver);
    world_add(&world, "alice", "alice@example.org");
    memset(&user, 1, sizeof(user));
    CHECK_STATUS(world_get(&world, 0, &user), JINI_E_NOT_FOUND);
    CHECK_BYTES(&user, &zero, sizeof(user));
    memset(&user, 1, sizeof(user));
    CHECK_STATUS(world_get(&world, 2, &user), JINI_E_NOT_FOUND);
    CHECK_BYTES(&user, &zero, sizeof(user));
    CHECK_STATUS(world_get(&world, UINT64_MAX, &user), JINI_E_NOT_FOUND);
    const char *const logins[] = {"", "bob", "alice@", "@", "\xff\xfe", long_text};
    for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
        memset(&user, 1, sizeof(user));
        CHECK_STATUS(world_find(&world, logins[i], &user), JINI_E_NOT_FOUND);
        CHECK_BYTES(&user, &zero, sizeof(user));
    }
    world_close(&world);
}

/* Renames a user past the rule that keeps names and addresses apart, as older versions did. */
static void plant_name(struct world *world, uint64_t id, const char *username)
{
    static struct user_record record;
    uint8_t bytes[USER_RECORD_MAX];
    uint8_t id_bytes[KEYS_ID_BYTES];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct store_txn *txn;
    struct tuple key;
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(user_record_load(txn, id, &record));
    store_read_end(txn);
    CHECK_OK(keys_login(KEYS_NAME, record.user.username, &key));
    world_delete(world, STORE_SPACE_USER_KEYS, &key);
    snprintf(record.user.username, sizeof(record.user.username), "%s", username);
    CHECK_OK(keys_login(KEYS_NAME, username, &key));
    world_put(world, STORE_SPACE_USER_KEYS, &key, keys_id_value(id, id_bytes));
    CHECK_OK(user_record_write(&record, &out));
    keys_user(id, &key);
    world_put(world, STORE_SPACE_USERS, &key, buffer_slice(&out));
}

static uint64_t hidden_by(struct world *world, uint64_t id)
{
    struct store_txn *txn;
    struct jini_user user;
    uint64_t other;
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(accounts_user_get(txn, id, &user));
    CHECK_OK(accounts_user_hidden_by(txn, &user, &other));
    store_read_end(txn);
    return other;
}

STORE_TEST(a_pair_of_an_older_version_finds_the_address,
           "Where a name is another's address the address wins; either user can be changed.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t bob = world_add(&world, "bob", "Bob@example.org");
    uint64_t impostor = world_add(&world, "carol", "");
    CHECK_UINT(hidden_by(&world, impostor), ==, 0);
    plant_name(&world, impostor, "bob@Example.org");
    CHECK_UINT(world_id_of(&world, "bob@example.org"), ==, bob);
    CHECK_UINT(hidden_by(&world, impostor), ==, bob);
    CHECK_UINT(hidden_by(&world, bob), ==, 0);
    /* What leaves the text as it is goes on, also in another spelling. */
    struct jini_user user = world_user("BOB@example.org", "");
    user.id = impostor;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_NAMES));
    user = world_user("carol", "");
    user.id = impostor;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME));
    CHECK_UINT(world_id_of(&world, "carol"), ==, impostor);
    CHECK_UINT(hidden_by(&world, impostor), ==, 0);
    user = world_user("bob@example.org", "");
    user.id = impostor;
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_USERNAME), JINI_E_EXISTS);
    world_close(&world);
}

static void check_exists(struct world *world, int status, const char *field, const char *part)
{
    CHECK_STATUS(status, JINI_E_EXISTS);
    CHECK_TEXT(world->error.field, field);
    CHECK_CONTAINS(world->error.message, part);
}

STORE_TEST(names_and_addresses_are_one_namespace,
           "No name is another user's address, in any spelling, created or changed.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t alice = world_add(&world, "alice", "a@example.org");
    uint64_t bob = world_add(&world, "b@example.org", "");
    struct jini_user user = world_user("A@Example.org", "");
    check_exists(&world, world_create(&world, &user, NULL), "username", "email address of another");
    user = world_user("carol", "\xef\xbd\x82@example.org"); /* full-width b */
    check_exists(&world, world_create(&world, &user, NULL), "email", "user name of another");
    user = world_user("", "B@example.org");
    check_exists(&world, world_create(&world, &user, NULL), "email", "user name of another");
    user = world_user("a@EXAMPLE.org", "");
    user.id = bob;
    check_exists(&world, world_update(&world, &user, JINI_USER_FIELD_USERNAME), "username",
                 "email address of another");
    user = world_user("", "b@example.org");
    user.id = alice;
    check_exists(&world, world_update(&world, &user, JINI_USER_FIELD_EMAIL), "email",
                 "user name of another");
    CHECK_UINT(world_id_of(&world, "a@example.org"), ==, alice);
    CHECK_UINT(world_id_of(&world, "b@example.org"), ==, bob);
    world_close(&world);
}

STORE_TEST(ones_own_name_may_be_ones_address,
           "It is so from the beginning or by a change of either, and free for others after it.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t alice = world_add(&world, "a@example.org", "A@example.org");
    uint64_t bob = world_add(&world, "b@example.org", "");
    struct jini_user user = world_user("", "B@example.org");
    user.id = bob;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_EMAIL));
    user = world_user("bob", "");
    user.id = bob;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME));
    user = world_user("b@EXAMPLE.org", "");
    user.id = bob;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME));
    CHECK_UINT(world_id_of(&world, "b@example.org"), ==, bob);
    user = world_user("alice", "alice@example.org");
    user.id = alice;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL));
    CHECK_UINT(world_add(&world, "a@example.org", ""), !=, alice);
    world_close(&world);
}

STORE_TEST(names_and_addresses_are_unique,
           "Case and compatibility forms make no new name or address.")
{
    struct world world;
    world_open(&world, driver);
    world_add(&world, "alice", "alice@example.org");
    struct jini_user user = world_user("ALICE", "other@example.org");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "username");
    CHECK_UINT(user.id, ==, 0);
    user = world_user("\xef\xbd\x81lice", "other@example.org"); /* full-width a */
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "username");
    user = world_user("other", "ALICE@EXAMPLE.ORG");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "email");
    CHECK_TEXT(user.email, "ALICE@EXAMPLE.ORG");
    CHECK_UINT(world_id_of(&world, "other"), ==, 0);
    world_add(&world, "other", "");
    world_add(&world, "third", "");
    world_close(&world);
}

STORE_TEST(a_name_is_made_from_the_address,
           "Without a name the part before the @ serves, with characters added when it is taken.")
{
    struct world world;
    world_open(&world, driver);
    struct jini_user user = world_user("", "Alice.Smith@example.com");
    CHECK_OK(world_create(&world, &user, NULL));
    CHECK_TEXT(user.username, "alice.smith");
    for (int i = 0; i < 6; i++) {
        char email[64];
        snprintf(email, sizeof(email), "ALICE.SMITH@example%d.com", i);
        user = world_user("", email);
        CHECK_OK(world_create(&world, &user, NULL));
        CHECK_UINT(strlen(user.username), ==, strlen("alice.smith") + (size_t)i + 1);
        CHECK_UINT(world_id_of(&world, user.username), ==, user.id);
    }
    user = world_user("", "alice.smith@last.com");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "username");
    CHECK_TEXT(user.username, "");
    world.suffix_seed = 2;
    CHECK_OK(world_create(&world, &user, NULL));
    user = world_user("", "");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "username");
    world_close(&world);
}

STORE_TEST(a_bad_user_is_refused_whole, "An op that finds a bad member writes nothing.")
{
    struct world world;
    world_open(&world, driver);
    struct jini_user user = world_user("a b", "");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "username");
    user = world_user("alice", "");
    CHECK_STATUS(world_create(&world, &user, "md5$x$y"), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "password_hash");
    snprintf(user.tier, sizeof(user.tier), "Gold");
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_NOT_FOUND);
    CHECK_TEXT(world.error.field, "tier");
    CHECK_CONTAINS(world.error.message, "Gold");
    struct tuple counter;
    keys_counter(&counter);
    struct slice none = slice_of(NULL, 0);
    CHECK_UINT(world_rows(&world, STORE_SPACE_USERS, none, none), ==, 0);
    CHECK_UINT(world_rows(&world, STORE_SPACE_USER_KEYS, none, none), ==, 0);
    world_close(&world);
}

STORE_TEST(
    an_update_moves_the_index_rows,
    "After a change of name, address or tier the old ones are free and the new ones are taken.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "alice@example.org");
    struct jini_user user = world_user("Carol", "carol@example.org");
    snprintf(user.tier, sizeof(user.tier), "basic");
    user.id = id;
    CHECK_OK(world_update(&world, &user,
                          JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL | JINI_USER_FIELD_TIER));
    CHECK_TEXT(user.tier, "Basic");
    CHECK_UINT(user.created_ms, ==, WORLD_NOW_MS);
    CHECK_UINT(world_id_of(&world, "alice"), ==, 0);
    CHECK_UINT(world_id_of(&world, "alice@example.org"), ==, 0);
    CHECK_UINT(world_id_of(&world, "carol"), ==, id);
    CHECK_UINT(world_id_of(&world, "carol@example.org"), ==, id);
    uint64_t other = world_add(&world, "alice", "alice@example.org");
    CHECK_UINT(other, !=, id);
    /* Counter, and name, mail and tier of two users. */
    struct slice none = slice_of(NULL, 0);
    CHECK_UINT(world_rows(&world, STORE_SPACE_USER_KEYS, none, none), ==, 7);
    /* Another spelling of one's own name is no change of the index; an empty address has no row. */
    user = world_user("CAROL", "");
    user.id = id;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL));
    CHECK_TEXT(user.username, "CAROL");
    CHECK_UINT(world_rows(&world, STORE_SPACE_USER_KEYS, none, none), ==, 6);
    CHECK_UINT(world_id_of(&world, "carol"), ==, id);
    CHECK_UINT(world_id_of(&world, "carol@example.org"), ==, 0);
    world_close(&world);
}

STORE_TEST(an_update_changes_what_its_mask_names,
           "Members that the mask does not name stay as stored.")
{
    struct world world;
    world_open(&world, driver);
    struct jini_user stored = full_user();
    CHECK_OK(world_create(&world, &stored, argon2));
    struct jini_user user;
    memset(&user, 0, sizeof(user));
    user.id = stored.id;
    user.flags = JINI_USER_STAFF;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_FLAGS));
    stored.flags = JINI_USER_STAFF;
    check_same_user(&user, &stored);

    memset(&user, 0, sizeof(user));
    user.id = stored.id;
    snprintf(user.first_name, sizeof(user.first_name), "Ann");
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_NAMES));
    snprintf(stored.first_name, sizeof(stored.first_name), "Ann");
    stored.last_name[0] = '\0';
    check_same_user(&user, &stored);

    memset(&user, 0, sizeof(user));
    user.id = stored.id;
    user.override_mask = JINI_ALLOWANCE_WIDTH;
    user.overrides.width_max = 4096;
    user.overrides.steps_max = 12;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_OVERRIDES));
    stored.override_mask = JINI_ALLOWANCE_WIDTH;
    memset(&stored.overrides, 0, sizeof(stored.overrides));
    stored.overrides.width_max = 4096;
    check_same_user(&user, &stored);

    memset(&user, 0, sizeof(user));
    user.id = stored.id;
    snprintf(user.first_name, sizeof(user.first_name), "Bob");
    snprintf(user.last_name, sizeof(user.last_name), "Li");
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_LAST_NAME));
    snprintf(stored.last_name, sizeof(stored.last_name), "Li");
    check_same_user(&user, &stored);

    memset(&user, 0, sizeof(user));
    user.id = stored.id;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_REVOKE | JINI_USER_FIELD_TIER));
    stored.revocation_epoch = 1;
    snprintf(stored.tier, sizeof(stored.tier), "Free");
    check_same_user(&user, &stored);

    struct jini_user read;
    CHECK_OK(world_get(&world, stored.id, &read));
    check_same_user(&read, &stored);
    struct accounts_credentials credentials;
    CHECK_OK(world_credentials(&world, stored.username, &credentials));
    CHECK_TEXT(credentials.password_hash, argon2);
    world_close(&world);
}

STORE_TEST(
    an_override_changes_alone,
    "An override that a change does not name stays, whatever the caller's struct has for it.")
{
    struct world world;
    struct jini_user user;
    struct jini_user stored;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    CHECK_OK(world_get(&world, id, &stored));
    memset(&user, 0, sizeof(user));
    user.id = id;
    user.override_mask = JINI_ALLOWANCE_WIDTH | JINI_ALLOWANCE_STEPS | JINI_ALLOWANCE_LIMITS;
    user.overrides = (struct jini_allowance){.width_max = 4096, .steps_max = 12};
    snprintf(user.overrides.limits, sizeof(user.overrides.limits), "9/day");
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_OVERRIDES));
    stored.override_mask = user.override_mask;
    stored.overrides = user.overrides;

    memset(&user, 0, sizeof(user));
    user.id = id;
    user.override_mask = JINI_ALLOWANCE_WIDTH | JINI_ALLOWANCE_HEIGHT | JINI_ALLOWANCE_STEPS;
    user.overrides = (struct jini_allowance){.width_max = 1, .height_max = 64, .steps_max = 1};
    CHECK_OK(world_override(&world, &user, JINI_USER_FIELD_OVERRIDES, JINI_ALLOWANCE_HEIGHT));
    stored.override_mask |= JINI_ALLOWANCE_HEIGHT;
    stored.overrides.height_max = 64;
    check_same_user(&user, &stored);

    memset(&user, 0, sizeof(user));
    user.id = id;
    CHECK_OK(world_override(&world, &user, JINI_USER_FIELD_OVERRIDES,
                            JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_WIDTH));
    stored.override_mask = JINI_ALLOWANCE_HEIGHT | JINI_ALLOWANCE_STEPS;
    stored.overrides = (struct jini_allowance){.height_max = 64, .steps_max = 12};
    check_same_user(&user, &stored);

    /* What does not change is not looked at, and so may be anything. */
    user.override_mask = JINI_ALLOWANCE_HEIGHT | JINI_ALLOWANCE_STEPS | JINI_ALLOWANCE_LIMITS;
    user.overrides = (struct jini_allowance){.height_max = 4000000000u, .steps_max = 13};
    snprintf(user.overrides.limits, sizeof(user.overrides.limits), "nonsense");
    CHECK_OK(world_override(&world, &user, JINI_USER_FIELD_OVERRIDES, JINI_ALLOWANCE_STEPS));
    stored.overrides.steps_max = 13;
    check_same_user(&user, &stored);
    user.override_mask = JINI_ALLOWANCE_HEIGHT;
    user.overrides.height_max = 4000000000u;
    CHECK_STATUS(world_override(&world, &user, JINI_USER_FIELD_OVERRIDES, JINI_ALLOWANCE_HEIGHT),
                 JINI_E_INVALID);

    CHECK_STATUS(world_override(&world, &user, JINI_USER_FIELD_OVERRIDES, 1U << 6), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "override_fields");
    world_close(&world);
}

STORE_TEST(a_refused_update_changes_nothing,
           "After a refusal the record, the index and the argument stand.")
{
    struct world world;
    world_open(&world, driver);
    world_add(&world, "alice", "alice@example.org");
    uint64_t bob = world_add(&world, "bob", "bob@example.org");
    const uint32_t both = JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL;
    struct jini_user before;
    CHECK_OK(world_get(&world, bob, &before));
    struct jini_user user = world_user("Alice", "new@example.org");
    user.id = bob;
    CHECK_STATUS(world_update(&world, &user, both), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "username");
    user = world_user("new", "Alice@Example.org");
    user.id = bob;
    CHECK_STATUS(world_update(&world, &user, both), JINI_E_EXISTS);
    CHECK_TEXT(world.error.field, "email");
    CHECK_TEXT(user.username, "new");
    snprintf(user.tier, sizeof(user.tier), "Gold");
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_TIER), JINI_E_NOT_FOUND);
    CHECK_TEXT(world.error.field, "tier");
    CHECK_STATUS(world_update(&world, &user, 0), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "fields");
    CHECK_STATUS(world_update(&world, &user, 1 << 20), JINI_E_INVALID);
    user.username[0] = '\0';
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_USERNAME), JINI_E_INVALID);
    user.id = 77;
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_FLAGS), JINI_E_NOT_FOUND);
    CHECK_TEXT(world.error.field, "id");
    user.id = 0;
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_FLAGS), JINI_E_NOT_FOUND);
    struct jini_user after;
    CHECK_OK(world_get(&world, bob, &after));
    check_same_user(&after, &before);
    CHECK_UINT(world_id_of(&world, "bob"), ==, bob);
    CHECK_UINT(world_id_of(&world, "new"), ==, 0);
    world_close(&world);
}

STORE_TEST(a_new_password_ends_sessions,
           "Setting a hash, or none, moves the revocation epoch by one.")
{
    struct world world;
    struct accounts_credentials credentials;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_TEXT(credentials.password_hash, "");
    CHECK_OK(world_password(&world, id, argon2));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_TEXT(credentials.password_hash, argon2);
    CHECK_UINT(credentials.revocation_epoch, ==, 1);
    CHECK_STATUS(world_password(&world, id, "plain"), JINI_E_INVALID);
    CHECK_TEXT(world.error.field, "password_hash");
    CHECK_STATUS(world_password(&world, 9, argon2), JINI_E_NOT_FOUND);
    CHECK_OK(world_password(&world, id, NULL));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_TEXT(credentials.password_hash, "");
    CHECK_UINT(credentials.revocation_epoch, ==, 2);
    world_close(&world);
}

STORE_TEST(a_login_is_recorded,
           "A login sets its time and renews the hash that it was checked against.")
{
    struct world world;
    struct accounts_credentials credentials;
    struct jini_user user = world_user("alice", "");
    world_open(&world, driver);
    CHECK_OK(world_create(&world, &user, argon2));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    world.now_ms = 1800000000;
    CHECK_OK(world_login(&world, &credentials, NULL, &user));
    CHECK_UINT(user.last_login_ms, ==, 1800000000);
    CHECK_OK(world_login(&world, &credentials, argon2_other, &user));
    struct accounts_credentials renewed;
    CHECK_OK(world_credentials(&world, "alice", &renewed));
    CHECK_TEXT(renewed.password_hash, argon2_other);
    CHECK_UINT(renewed.revocation_epoch, ==, 0);
    /* A second login that was checked against the old hash does not bring it back. */
    CHECK_OK(world_login(&world, &credentials, argon2, &user));
    CHECK_OK(world_credentials(&world, "alice", &renewed));
    CHECK_TEXT(renewed.password_hash, argon2_other);
    world_close(&world);
}

STORE_TEST(
    a_stale_login_is_refused,
    "A login that was checked before a new password, a revocation or a disabling does not count.")
{
    struct world world;
    struct accounts_credentials credentials;
    struct jini_user user = world_user("alice", "");
    world_open(&world, driver);
    CHECK_OK(world_create(&world, &user, argon2));
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_OK(world_password(&world, user.id, argon2_other));
    CHECK_STATUS(world_login(&world, &credentials, argon2, &user), JINI_E_CONFLICT);
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_TEXT(credentials.password_hash, argon2_other);
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_REVOKE));
    CHECK_STATUS(world_login(&world, &credentials, NULL, &user), JINI_E_CONFLICT);
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    user.flags = 0;
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_FLAGS));
    CHECK_STATUS(world_login(&world, &credentials, NULL, &user), JINI_E_INACTIVE);
    CHECK_OK(world_get(&world, user.id, &user));
    CHECK_UINT(user.last_login_ms, ==, 0);
    credentials.user_id = 8;
    CHECK_STATUS(world_login(&world, &credentials, NULL, &user), JINI_E_NOT_FOUND);
    world_close(&world);
}

/* A row of another module under a user's prefix. */
static void put_foreign_row(struct world *world, uint64_t id, unsigned number)
{
    struct tuple key;
    char name[16];
    snprintf(name, sizeof(name), "%c%u", number % 2 ? 'a' : 'z', number);
    tuple_begin(&key);
    tuple_add_uint(&key, id);
    tuple_add_text(&key, slice_of_text(name));
    world_put(world, STORE_SPACE_USERS, &key, slice_of_text("foreign"));
}

STORE_TEST(a_list_gives_users_by_id, "Every user once, in order, whatever else lies beside them.")
{
    enum { USERS = 20, PAGE = 7 };
    struct world world;
    struct jini_user page[PAGE];
    world_open(&world, driver);
    size_t count = 9;
    CHECK_OK(world_list(&world, 0, page, PAGE, &count));
    CHECK_UINT(count, ==, 0);
    for (unsigned row = 0; row < 3; row++)
        put_foreign_row(&world, 0, row);
    for (int i = 0; i < USERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%d", i);
        uint64_t id = world_add(&world, name, "");
        for (unsigned row = 0; row < (i == 5 ? 60u : (unsigned)i % 4); row++)
            put_foreign_row(&world, id, row);
    }
    for (unsigned row = 0; row < 40; row++)
        put_foreign_row(&world, 1000, row); /* of nobody */
    uint64_t after = 0;
    uint64_t seen = 0;
    do {
        CHECK_OK(world_list(&world, after, page, PAGE, &count));
        for (size_t i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof(name), "user%" PRIu64, seen);
            CHECK_UINT(page[i].id, ==, seen + 1);
            CHECK_TEXT(page[i].username, name);
            seen++;
            after = page[i].id;
        }
    } while (count == PAGE);
    CHECK_UINT(seen, ==, USERS);
    CHECK_OK(world_list(&world, UINT64_MAX, page, PAGE, &count));
    CHECK_UINT(count, ==, 0);
    CHECK_OK(world_list(&world, 0, page, 0, &count));
    CHECK_UINT(count, ==, 0);
    world_close(&world);
}
