/* Records of users and tiers as bytes: what newer versions wrote, and what is damaged. */
#include "accounts_fixture.h"

#include "accounts/tier_record.h"

#include <stdlib.h>

/* A record under construction. */
struct draft {
    uint8_t bytes[USER_RECORD_MAX * 2];
    struct buffer out;
    struct document_writer writer;
};

static void begin(struct draft *draft)
{
    draft->out = buffer_of(draft->bytes, sizeof(draft->bytes));
    document_begin(&draft->writer, &draft->out);
}

static void add_text(struct draft *draft, uint32_t field, const char *text)
{
    document_add_text(&draft->writer, field, slice_of_text(text));
}

static struct slice end(struct draft *draft)
{
    CHECK_OK(document_end(&draft->writer));
    return buffer_slice(&draft->out);
}

/* The least that is a user. */
static void begin_user(struct draft *draft)
{
    begin(draft);
    add_text(draft, 1, "alice");
    add_text(draft, 6, "Free");
    document_add_uint(&draft->writer, 7, 1234);
}

static int read_user(struct slice bytes, struct user_record *out)
{
    memset(out, 0xee, sizeof(*out));
    /* A copy of its exact length, so that a read outside is seen. */
    uint8_t *copy = malloc(bytes.length + 1);
    CHECK(copy);
    if (bytes.length)
        memcpy(copy, bytes.data, bytes.length);
    struct jini_user short_read;
    int without = user_record_read(slice_of(copy, bytes.length), 5, &short_read, NULL);
    int with = user_record_read(slice_of(copy, bytes.length), 5, &out->user, &out->extra);
    free(copy);
    if (with != JINI_E_FORMAT)
        CHECK_INT(without, ==, with);
    return with;
}

TEST(the_least_record_is_a_user, "Fields that are not there read as 0 and empty.")
{
    struct draft draft;
    struct user_record record;
    begin_user(&draft);
    CHECK_OK(read_user(end(&draft), &record));
    const struct jini_user *user = &record.user;
    CHECK_UINT(user->id, ==, 5);
    CHECK_TEXT(user->username, "alice");
    CHECK_TEXT(user->tier, "Free");
    CHECK_UINT(user->created_ms, ==, 1234);
    CHECK_TEXT(user->email, "");
    CHECK_TEXT(user->first_name, "");
    CHECK_TEXT(user->last_name, "");
    CHECK_UINT(user->flags, ==, 0);
    CHECK_UINT(user->last_login_ms, ==, 0);
    CHECK_UINT(user->revocation_epoch, ==, 0);
    CHECK_UINT(user->override_mask, ==, 0);
    CHECK_TEXT(user->overrides.limits, "");
    CHECK_UINT(user->overrides.width_max, ==, 0);
    CHECK_UINT(user->overrides.height_max, ==, 0);
    CHECK_UINT(user->overrides.steps_max, ==, 0);
    CHECK_UINT(user->overrides.parallel_max, ==, 0);
    CHECK_UINT(user->overrides.retention_days, ==, 0);
    CHECK_TEXT(record.extra.password_hash, "");
}

TEST(field_numbers_are_pinned, "A record written by hand from the table reads as the table says.")
{
    struct draft draft;
    struct user_record record;
    begin(&draft);
    add_text(&draft, 1, "n");
    add_text(&draft, 2, "e");
    add_text(&draft, 3, "f");
    add_text(&draft, 4, "l");
    document_add_uint(&draft.writer, 5, JINI_USER_STAFF);
    add_text(&draft, 6, "t");
    document_add_uint(&draft.writer, 7, 70);
    document_add_uint(&draft.writer, 8, 80);
    document_add_uint(&draft.writer, 9, 90);
    add_text(&draft, 10, "p");
    document_add_uint(&draft.writer, 11, JINI_ALLOWANCE_ALL);
    add_text(&draft, 12, "m");
    for (uint32_t field = 13; field <= 17; field++)
        document_add_uint(&draft.writer, field, field * 10);
    struct slice bytes = end(&draft);
    CHECK_OK(read_user(bytes, &record));
    CHECK_TEXT(record.user.username, "n");
    CHECK_TEXT(record.user.email, "e");
    CHECK_TEXT(record.user.first_name, "f");
    CHECK_TEXT(record.user.last_name, "l");
    CHECK_UINT(record.user.flags, ==, JINI_USER_STAFF);
    CHECK_TEXT(record.user.tier, "t");
    CHECK_UINT(record.user.created_ms, ==, 70);
    CHECK_UINT(record.user.last_login_ms, ==, 80);
    CHECK_UINT(record.user.revocation_epoch, ==, 90);
    CHECK_TEXT(record.extra.password_hash, "p");
    CHECK_UINT(record.user.override_mask, ==, JINI_ALLOWANCE_ALL);
    CHECK_TEXT(record.user.overrides.limits, "m");
    CHECK_UINT(record.user.overrides.width_max, ==, 130);
    CHECK_UINT(record.user.overrides.height_max, ==, 140);
    CHECK_UINT(record.user.overrides.steps_max, ==, 150);
    CHECK_UINT(record.user.overrides.parallel_max, ==, 160);
    CHECK_UINT(record.user.overrides.retention_days, ==, 170);
    uint8_t again[USER_RECORD_MAX];
    struct buffer out = buffer_of(again, sizeof(again));
    CHECK_OK(user_record_write(&record, &out));
    CHECK(slice_equal(buffer_slice(&out), bytes));
}

static void random_text(char *to, size_t capacity, bool may_be_empty)
{
    size_t length = harness_random_below(4) ? harness_random_below(capacity) : capacity - 1;
    if (length == 0 && !may_be_empty)
        length = 1;
    memset(to, 0, capacity);
    for (size_t i = 0; i < length; i++)
        to[i] = (char)(' ' + harness_random_below(95));
}

static void random_record(struct user_record *record)
{
    struct jini_user *user = &record->user;
    memset(record, 0, sizeof(*record));
    user->id = 5;
    random_text(user->username, sizeof(user->username), false);
    random_text(user->email, sizeof(user->email), true);
    random_text(user->first_name, sizeof(user->first_name), true);
    random_text(user->last_name, sizeof(user->last_name), true);
    random_text(user->tier, sizeof(user->tier), false);
    random_text(record->extra.password_hash, sizeof(record->extra.password_hash), true);
    user->flags = (uint32_t)harness_random_below(4);
    user->created_ms = harness_random() >> harness_random_below(64);
    user->last_login_ms = harness_random() >> harness_random_below(64);
    user->revocation_epoch = harness_random() >> harness_random_below(64);
    user->override_mask = (uint32_t)harness_random_below(JINI_ALLOWANCE_ALL + 1);
    struct jini_allowance *overrides = &user->overrides;
    if (user->override_mask & JINI_ALLOWANCE_LIMITS)
        random_text(overrides->limits, sizeof(overrides->limits), true);
    uint32_t *numbers[] = {&overrides->width_max, &overrides->height_max, &overrides->steps_max,
                           &overrides->parallel_max, &overrides->retention_days};
    for (unsigned i = 0; i < 5; i++) {
        if (user->override_mask & (JINI_ALLOWANCE_WIDTH << i))
            *numbers[i] = (uint32_t)harness_random() >> harness_random_below(32);
    }
    record->extra.flags_unknown = (uint32_t)harness_random() & ~3u;
    record->extra.overrides_unknown = (uint32_t)harness_random() & ~(uint32_t)JINI_ALLOWANCE_ALL;
}

TEST(what_is_written_is_read, "Any record comes back member by member, and fits its bound.")
{
    static struct user_record record;
    static struct user_record read;
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[USER_RECORD_MAX];
        struct buffer out = buffer_of(bytes, sizeof(bytes));
        random_record(&record);
        CHECK_OK(user_record_write(&record, &out));
        memset(&read, 0, sizeof(read));
        CHECK_OK(user_record_read(buffer_slice(&out), 5, &read.user, &read.extra));
        CHECK_BYTES(&read, &record, sizeof(read));
    }
}

TEST(a_record_that_breaks_a_rule_is_corrupt, "Each rule of the format is checked.")
{
    static const uint32_t texts[] = {1, 2, 3, 4, 6, 10, 12};
    static const size_t bounds[] = {300, 254, 300, 300, 32, 255, 256};
    static const uint32_t numbers[] = {5, 7, 8, 9, 11, 13, 14, 15, 16, 17};
    static const bool wide[] = {false, true, true, true, false, false, false, false, false, false};
    struct draft draft;
    struct user_record record;
    char text[400];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (int kind = 0; kind < 4; kind++) {
            begin(&draft);
            for (uint32_t field = 1; field <= 12; field++) {
                if ((field == 1 || field == 6) && field != texts[i])
                    add_text(&draft, field, "x");
                if (field == 7)
                    document_add_uint(&draft.writer, 7, 1);
                if (field == 11)
                    document_add_uint(&draft.writer, 11, JINI_ALLOWANCE_ALL);
                if (field != texts[i])
                    continue;
                memset(text, 'x', sizeof(text));
                text[bounds[i] + (kind == 1)] = '\0';
                if (kind == 2)
                    text[1] = '\xff';
                if (kind == 3)
                    document_add_uint(&draft.writer, field, 1);
                else
                    add_text(&draft, field, text);
            }
            CHECK_STATUS(read_user(end(&draft), &record), kind == 0 ? 0 : JINI_E_CORRUPT);
        }
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        for (int kind = 0; kind < 4; kind++) {
            begin(&draft);
            add_text(&draft, 1, "x");
            add_text(&draft, 6, "x");
            if (numbers[i] != 7)
                document_add_uint(&draft.writer, 7, 1);
            if (numbers[i] != 11)
                document_add_uint(&draft.writer, 11, JINI_ALLOWANCE_ALL);
            if (kind == 0)
                document_add_uint(&draft.writer, numbers[i], UINT32_MAX);
            else if (kind == 1)
                document_add_uint(&draft.writer, numbers[i], UINT64_C(1) << 32);
            else if (kind == 2)
                add_text(&draft, numbers[i], "1");
            else
                document_add_int(&draft.writer, numbers[i], -1);
            bool right = kind == 0 || (kind == 1 && wide[i]);
            CHECK_STATUS(read_user(end(&draft), &record), right ? 0 : JINI_E_CORRUPT);
        }
    }
}

TEST(missing_and_doubled_fields_are_corrupt, "Name, tier and time are there, and every field once.")
{
    struct draft draft;
    struct user_record record;
    for (uint32_t missing = 0; missing < 3; missing++) {
        for (int empty = 0; empty < 2; empty++) {
            begin(&draft);
            if (missing != 0 || empty)
                add_text(&draft, 1, missing == 0 ? "" : "x");
            if (missing != 1 || empty)
                add_text(&draft, 6, missing == 1 ? "" : "x");
            if (missing != 2)
                document_add_uint(&draft.writer, 7, 0);
            CHECK_STATUS(read_user(end(&draft), &record), JINI_E_CORRUPT);
        }
    }
    static const uint32_t twice[] = {1, 2, 5, 7, 10, 11};
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        begin_user(&draft);
        for (int n = 0; n < 2; n++) {
            if (twice[i] == 1 || twice[i] == 2 || twice[i] == 10)
                add_text(&draft, twice[i], "y");
            else
                document_add_uint(&draft.writer, twice[i], 1);
        }
        CHECK_STATUS(read_user(end(&draft), &record), JINI_E_CORRUPT);
    }
}

TEST(an_override_outside_its_mask_is_corrupt, "It would come to life when the mask changes.")
{
    struct draft draft;
    struct user_record record;
    begin_user(&draft);
    document_add_uint(&draft.writer, 13, 5);
    CHECK_STATUS(read_user(end(&draft), &record), JINI_E_CORRUPT);
    begin_user(&draft);
    document_add_uint(&draft.writer, 13, 5); /* before the mask: the order is free */
    document_add_uint(&draft.writer, 11, JINI_ALLOWANCE_WIDTH);
    CHECK_OK(read_user(end(&draft), &record));
    begin_user(&draft);
    document_add_uint(&draft.writer, 11, JINI_ALLOWANCE_ALL); /* 0 and "" are left out */
    CHECK_OK(read_user(end(&draft), &record));
    CHECK_UINT(record.user.override_mask, ==, JINI_ALLOWANCE_ALL);
}

TEST(damaged_records_never_read_outside, "Any flipped, cut or longer record is read or refused.")
{
    static struct user_record record;
    static struct user_record read;
    uint8_t bytes[USER_RECORD_MAX];
    for (int i = 0; i < 20000; i++) {
        struct buffer out = buffer_of(bytes, sizeof(bytes));
        if (i % 20 == 0)
            random_record(&record);
        CHECK_OK(user_record_write(&record, &out));
        for (uint64_t flips = harness_random_below(4); flips > 0; flips--)
            bytes[harness_random_below(out.length)] ^= (uint8_t)(1u << harness_random_below(8));
        size_t length = harness_random_below(3) ? out.length : harness_random_below(out.length);
        int status = read_user(slice_of(bytes, length), &read);
        if (status == 0) {
            CHECK(memchr(read.user.username, 0, sizeof(read.user.username)));
            CHECK(memchr(read.user.email, 0, sizeof(read.user.email)));
            CHECK(memchr(read.user.tier, 0, sizeof(read.user.tier)));
            CHECK(memchr(read.user.overrides.limits, 0, sizeof(read.user.overrides.limits)));
        } else if (status != JINI_E_FORMAT) {
            CHECK_STATUS(status, JINI_E_CORRUPT);
        }
    }
}

/* Replaces the stored record of a user. */
static void replace_user(struct world *world, uint64_t id, struct slice bytes)
{
    struct tuple key;
    keys_user(id, &key);
    world_put(world, STORE_SPACE_USERS, &key, bytes);
}

STORE_TEST(what_a_newer_version_stored_is_kept,
           "Unknown fields, flags and override bits outlive every kind of change here.")
{
    struct world world;
    struct draft draft;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    begin_user(&draft);
    document_add_uint(&draft.writer, 5, 1u << 30 | JINI_USER_ACTIVE);
    document_add_uint(&draft.writer, 11, 1u << 20 | JINI_ALLOWANCE_STEPS);
    document_add_uint(&draft.writer, 15, 9);
    document_add_uint(&draft.writer, 19, 190);
    add_text(&draft, 200, "two hundred");
    document_add_int(&draft.writer, 70000, -5);
    replace_user(&world, id, end(&draft));
    struct jini_user user;
    CHECK_OK(world_get(&world, id, &user));
    CHECK_UINT(user.flags, ==, JINI_USER_ACTIVE);
    CHECK_UINT(user.override_mask, ==, JINI_ALLOWANCE_STEPS);
    CHECK_OK(world_update(&world, &user,
                          JINI_USER_FIELD_NAMES | JINI_USER_FIELD_FLAGS |
                              JINI_USER_FIELD_OVERRIDES | JINI_USER_FIELD_TIER |
                              JINI_USER_FIELD_REVOKE));
    CHECK_OK(world_password(&world, id, NULL));
    struct accounts_credentials credentials;
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    CHECK_OK(world_login(&world, &credentials, NULL, &user));
    struct tuple key;
    uint8_t bytes[USER_RECORD_MAX];
    struct user_record record;
    keys_user(id, &key);
    size_t length = world_read(&world, STORE_SPACE_USERS, &key, bytes, sizeof(bytes));
    CHECK_OK(user_record_read(slice_of(bytes, length), id, &record.user, &record.extra));
    CHECK_UINT(record.extra.flags_unknown, ==, 1u << 30);
    CHECK_UINT(record.extra.overrides_unknown, ==, 1u << 20);
    CHECK_UINT(record.extra.rest.fields, ==, 3);
    struct document_reader reader;
    struct document_field field;
    unsigned seen = 0;
    CHECK_OK(document_open(&reader, slice_of(bytes, length)));
    while (document_next(&reader, &field) == 0 && field.type != DOCUMENT_END) {
        seen += field.field == 19 && field.number == 190;
        seen += field.field == 200 && slice_equal(field.bytes, slice_of_text("two hundred"));
        seen += field.field == 70000 && field.negative == -5;
    }
    CHECK_UINT(seen, ==, 3);
    world_close(&world);
}

STORE_TEST(too_much_of_a_newer_version_is_readable_but_not_writable,
           "A record with more unknown bytes than can be kept is read, and no change drops any.")
{
    struct world world;
    struct draft draft;
    char text[DOCUMENT_REST_MAX + 1];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    begin_user(&draft);
    add_text(&draft, 99, text);
    replace_user(&world, id, end(&draft));
    struct jini_user user;
    CHECK_OK(world_get(&world, id, &user));
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_REVOKE), JINI_E_FORMAT);
    CHECK_TEXT(world.error.field, "id");
    world_close(&world);
}

STORE_TEST(damaged_rows_are_corrupt_to_every_caller,
           "No damage is a crash, a wrong user or a success.")
{
    struct world world;
    struct jini_user user;
    struct accounts_credentials credentials;
    uint8_t junk[USER_RECORD_MAX + 100] = {0x81, 0x01};
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "alice@example.org");
    uint64_t bob = world_add(&world, "bob", "bob@example.org");
    static const size_t lengths[] = {0, 1, 2, USER_RECORD_MAX, USER_RECORD_MAX + 100};
    CHECK_OK(world_credentials(&world, "alice", &credentials));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct jini_user zero;
        struct jini_user page[2];
        size_t count;
        memset(&zero, 0, sizeof(zero));
        memset(&user, 1, sizeof(user));
        replace_user(&world, id, slice_of(junk, lengths[i]));
        CHECK_STATUS(world_get(&world, id, &user), JINI_E_CORRUPT);
        CHECK_BYTES(&user, &zero, sizeof(user));
        CHECK_STATUS(world_find(&world, "alice", &user), JINI_E_CORRUPT);
        CHECK_STATUS(world_list(&world, 0, page, 2, &count), JINI_E_CORRUPT);
        CHECK_UINT(count, ==, 0);
        CHECK_OK(world_list(&world, id, page, 2, &count));
        CHECK_UINT(count, ==, 1);
        user.id = id;
        CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_FLAGS), JINI_E_CORRUPT);
        CHECK_STATUS(world_password(&world, id, NULL), JINI_E_CORRUPT);
        CHECK_STATUS(world_login(&world, &credentials, NULL, &user), JINI_E_CORRUPT);
    }
    struct tuple key;
    CHECK_OK(keys_login(KEYS_NAME, "bob", &key));
    static const uint8_t nobody[] = {77, 0, 0, 0, 0, 0, 0, 0};
    const struct {
        const uint8_t *data;
        size_t length;
    } rows[] = {{nobody, 8}, {nobody, 7}, {nobody + 1, 7}, {nobody, 0}, {junk, 100}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world_put(&world, STORE_SPACE_USER_KEYS, &key, slice_of(rows[i].data, rows[i].length));
        CHECK_STATUS(world_find(&world, "bob", &user), JINI_E_CORRUPT);
        CHECK_STATUS(world_credentials(&world, "bob", &credentials), JINI_E_CORRUPT);
    }
    struct jini_user rival = world_user("Bob", "");
    CHECK_STATUS(world_create(&world, &rival, NULL), JINI_E_CORRUPT);
    CHECK_TEXT(world.error.field, "username");
    /* A row that is gone is found out by the change that would move it, and nothing moves. */
    world_delete(&world, STORE_SPACE_USER_KEYS, &key);
    user = world_user("bobby", "");
    user.id = bob;
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_USERNAME), JINI_E_CORRUPT);
    CHECK_OK(world_get(&world, bob, &user));
    CHECK_TEXT(user.username, "bob");
    world_close(&world);
}

STORE_TEST(a_key_that_is_no_users_is_corrupt, "A list that meets a key of another form says so.")
{
    struct world world;
    struct jini_user page[4];
    struct tuple key;
    size_t count;
    world_open(&world, driver);
    world_add(&world, "alice", "");
    tuple_begin(&key);
    tuple_add_id(&key, &(struct jini_id){{1}});
    world_put(&world, STORE_SPACE_USERS, &key, slice_of_text("x"));
    CHECK_STATUS(world_list(&world, 0, page, 4, &count), JINI_E_CORRUPT);
    CHECK_UINT(count, ==, 1);
    world_close(&world);
}

STORE_TEST(the_last_epoch_is_not_passed, "An epoch that would begin anew at 0 is corrupt.")
{
    struct world world;
    struct draft draft;
    struct jini_user user;
    world_open(&world, driver);
    uint64_t id = world_add(&world, "alice", "");
    begin_user(&draft);
    document_add_uint(&draft.writer, 9, UINT64_MAX);
    replace_user(&world, id, end(&draft));
    CHECK_OK(world_get(&world, id, &user));
    CHECK_STATUS(world_update(&world, &user, JINI_USER_FIELD_REVOKE), JINI_E_CORRUPT);
    CHECK_STATUS(world_password(&world, id, NULL), JINI_E_CORRUPT);
    CHECK_OK(world_update(&world, &user, JINI_USER_FIELD_FLAGS));
    world_close(&world);
}

STORE_TEST(tier_records_keep_and_check_the_same, "Unknown fields are kept, damage is corrupt.")
{
    struct world world;
    struct draft draft;
    struct tuple key;
    struct jini_tier tier;
    uint8_t bytes[TIER_RECORD_MAX];
    struct tier_record record;
    world_open(&world, driver);
    CHECK_OK(keys_tier("Gold", &key));
    begin(&draft);
    add_text(&draft, 1, "Gold");
    document_add_uint(&draft.writer, 2, 40);
    add_text(&draft, 3, "USD");
    document_add_uint(&draft.writer, 4, 44);
    add_text(&draft, 5, "5/day");
    for (uint32_t field = 6; field <= 10; field++)
        document_add_uint(&draft.writer, field, field * 10);
    add_text(&draft, 50, "newer");
    world_put(&world, STORE_SPACE_TIERS, &key, end(&draft));
    CHECK_OK(world_tier_get(&world, "gold", &tier));
    CHECK_TEXT(tier.currency, "USD");
    CHECK_UINT(tier.price_minor, ==, 44);
    CHECK_TEXT(tier.allowance.limits, "5/day");
    CHECK_UINT(tier.allowance.width_max, ==, 60);
    CHECK_UINT(tier.allowance.height_max, ==, 70);
    CHECK_UINT(tier.allowance.steps_max, ==, 80);
    CHECK_UINT(tier.allowance.parallel_max, ==, 90);
    CHECK_UINT(tier.allowance.retention_days, ==, 100);
    tier.price_minor = 45;
    CHECK_OK(world_tier_set(&world, &tier));
    size_t length = world_read(&world, STORE_SPACE_TIERS, &key, bytes, sizeof(bytes));
    CHECK_OK(tier_record_read(slice_of(bytes, length), &record));
    CHECK_UINT(record.position, ==, 40);
    CHECK_UINT(record.rest.fields, ==, 1);

    for (int i = 0; i < 3000; i++) {
        uint8_t damaged[TIER_RECORD_MAX];
        memcpy(damaged, bytes, length);
        damaged[harness_random_below(length)] ^= (uint8_t)(1u << harness_random_below(8));
        int status = tier_record_read(slice_of(damaged, length), &record);
        CHECK(status == 0 || status == JINI_E_CORRUPT);
        CHECK_STATUS(tier_record_read(slice_of(bytes, (size_t)i % length), &record),
                     JINI_E_CORRUPT);
    }
    struct jini_tier tiers[JINI_TIERS_MAX];
    struct jini_user user = world_user("alice", "");
    size_t count;
    snprintf(user.tier, sizeof(user.tier), "Gold");
    world_put(&world, STORE_SPACE_TIERS, &key, slice_of("junk", 4));
    CHECK_STATUS(world_tier_get(&world, "Gold", &tier), JINI_E_CORRUPT);
    CHECK_STATUS(world_tier_list(&world, tiers, JINI_TIERS_MAX, &count), JINI_E_CORRUPT);
    CHECK_UINT(count, ==, 0);
    CHECK_STATUS(world_create(&world, &user, NULL), JINI_E_CORRUPT);
    CHECK_TEXT(world.error.field, "tier");
    CHECK_STATUS(world_tier_remove(&world, "Gold"), JINI_E_CORRUPT);
    CHECK_STATUS(store_write(world.store, world_op_tiers, NULL), JINI_E_CORRUPT);
    world_close(&world);
}

STORE_TEST(more_tiers_than_there_can_be_are_corrupt,
           "A list is bounded whatever the database holds.")
{
    struct world world;
    struct jini_tier tiers[JINI_TIERS_MAX];
    size_t count;
    world_open(&world, driver);
    for (int i = 0; i < 100; i++) {
        struct draft draft;
        struct tuple key;
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        begin(&draft);
        add_text(&draft, 1, name);
        document_add_uint(&draft.writer, 2, UINT64_MAX);
        CHECK_OK(keys_tier(name, &key));
        world_put(&world, STORE_SPACE_TIERS, &key, end(&draft));
    }
    CHECK_STATUS(world_tier_list(&world, tiers, JINI_TIERS_MAX, &count), JINI_E_CORRUPT);
    struct jini_tier tier = {.name = "one-more"};
    CHECK_STATUS(world_tier_set(&world, &tier), JINI_E_CORRUPT);
    world_close(&world);
}

STORE_TEST(text_members_end_in_nul_after_a_read,
           "A reused struct shows nothing of the user before.")
{
    struct world world;
    struct jini_user user;
    world_open(&world, driver);
    struct jini_user full = world_user("a-very-long-user-name", "long.address@example.org");
    full.override_mask = JINI_ALLOWANCE_ALL;
    snprintf(full.overrides.limits, sizeof(full.overrides.limits), "9/minute");
    full.overrides.width_max = 9;
    snprintf(full.first_name, sizeof(full.first_name), "Alexandra");
    CHECK_OK(world_create(&world, &full, NULL));
    uint64_t id = world_add(&world, "b", "");
    memset(&user, 0xff, sizeof(user));
    CHECK_OK(world_get(&world, full.id, &user));
    CHECK_OK(world_get(&world, id, &user));
    CHECK_TEXT(user.username, "b");
    CHECK_TEXT(user.email, "");
    CHECK_TEXT(user.first_name, "");
    CHECK_TEXT(user.overrides.limits, "");
    CHECK_UINT(user.overrides.width_max, ==, 0);
    CHECK_UINT(user.override_mask, ==, 0);
    world_close(&world);
}
