/* Keys and sessions: their texts, their rows, and how many there are. */
#include "accounts_fixture.h"

#include "accounts/credential_record.h"

/* ---- Texts ---- */

static void make_text(enum jini_credential_kind kind, uint8_t fill,
                      char text[JINI_CREDENTIAL_TEXT_MAX], struct credential_text *out)
{
    uint8_t random[CREDENTIAL_RANDOM_BYTES];
    memset(random, fill, sizeof(random));
    credential_make(kind, random, text, out);
}

TEST(texts_are_pinned,
     "The text of given random bytes is this one, for ever: five bits a character, the most "
     "significant first.")
{
    static const uint8_t random[CREDENTIAL_RANDOM_BYTES] = {
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x00, 0x11, 0x22, 0x33,
        0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    char text[JINI_CREDENTIAL_TEXT_MAX];
    struct credential_text made;
    credential_make(JINI_KEY, random, text, &made);
    CHECK_UINT(made.id, ==, UINT64_C(0x0123456789abcde));
    CHECK_TEXT(text, "jk_04hmasw9nf6y_0024h36h2ncsvrh6daqf6dvvqz");
    make_text(JINI_SESSION, 0xff, text, &made);
    CHECK_TEXT(text, "js_zzzzzzzzzzzz_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    make_text(JINI_SESSION, 0, text, &made);
    CHECK_UINT(made.id, ==, 1); /* 0 is the id of none */
    CHECK_TEXT(text, "js_000000000001_00000000000000000000000000");
}

TEST(a_text_is_read_as_it_was_made_and_no_other_is,
     "A text gives back its id, kind and digest; with any byte changed to any other, cut, or "
     "longer, it is none, or another's.")
{
    char text[JINI_CREDENTIAL_TEXT_MAX];
    struct credential_text made;
    struct credential_text read;
    uint64_t id;
    make_text(JINI_KEY, 0x5a, text, &made);
    CHECK_OK(credential_read(text, &read));
    CHECK_UINT(read.id, ==, made.id);
    CHECK_INT(read.kind, ==, JINI_KEY);
    CHECK(crypto_equal(read.digest, made.digest, sizeof(read.digest)));
    for (size_t i = 0; i < strlen(text); i++) {
        for (unsigned byte = 1; byte < 256; byte++) {
            char other[JINI_CREDENTIAL_TEXT_MAX];
            memcpy(other, text, sizeof(other));
            other[i] = (char)byte;
            if (other[i] != text[i] && credential_read(other, &read) == 0)
                CHECK(!crypto_equal(read.digest, made.digest, sizeof(read.digest)));
        }
        char cut[JINI_CREDENTIAL_TEXT_MAX] = "";
        memcpy(cut, text, i);
        CHECK_STATUS(credential_read(cut, &read), JINI_E_DENIED);
    }
    text[strlen(text)] = '0'; /* of 48 bytes, so that NULs are left */
    CHECK_STATUS(credential_read(text, &read), JINI_E_DENIED);
    CHECK_STATUS(credential_read(NULL, &read), JINI_E_DENIED);
    CHECK_STATUS(credential_read("jk_000000000000_00000000000000000000000000", &read),
                 JINI_E_DENIED);
    CHECK_OK(credential_read_id("js_000000000020", &id));
    CHECK_UINT(id, ==, 64);
    CHECK_STATUS(credential_read_id("js_00000000002", &id), JINI_E_INVALID);
    CHECK_STATUS(credential_read_id("js_0000000000200", &id), JINI_E_INVALID);
    CHECK_STATUS(credential_read_id("jx_000000000020", &id), JINI_E_INVALID);
}

/* ---- Rows ---- */

struct call {
    struct world *world;
    struct credential_add add;
    struct jini_credential_revoke revoke;
};

static int op_add(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    return credentials_add(txn, &call->add, &call->world->error);
}

static int op_revoke(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    return credentials_revoke(txn, &call->revoke, call->world->now_ms, &call->world->error);
}

static int add_until(struct world *world, enum jini_credential_kind kind, uint64_t user,
                     uint64_t id, uint64_t expires_ms)
{
    struct jini_credential credential = {
        .id = id, .user_id = user, .kind = kind, .expires_ms = expires_ms};
    uint8_t digest[CRYPTO_DIGEST_BYTES] = {(uint8_t)id};
    struct call call = {
        .world = world,
        .add = {.credential = &credential, .digest = digest, .now_ms = world->now_ms, .most = 3}};
    return store_write(world->store, op_add, &call);
}

static int revoke_one(struct world *world, uint64_t id, uint64_t user)
{
    struct call call = {.world = world, .revoke = {.id = id, .user_id = user}};
    return store_write(world->store, op_revoke, &call);
}

/* The ids of those that are listed, as one number of one digit each. */
static uint64_t listed(struct world *world, uint64_t user, enum jini_credential_kind kind)
{
    struct jini_credential list[16];
    struct store_txn *txn;
    size_t count;
    uint64_t digits = 0;
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(credentials_list(txn, user, kind, 0, list, 16, &count));
    for (size_t i = 0; i < count; i++)
        digits = digits * 10 + list[i].id;
    for (size_t i = 0; i < count; i++) { /* the same one at a time */
        struct jini_credential one;
        size_t found;
        CHECK_OK(credentials_list(txn, user, kind, i ? list[i - 1].id : 0, &one, 1, &found));
        CHECK_UINT(found, ==, 1);
        CHECK_UINT(one.id, ==, list[i].id);
    }
    store_read_end(txn);
    return digits;
}

STORE_TEST(keys_that_are_over_give_their_place,
           "Beyond the bound no key is made while all are in use; one that was revoked or has "
           "expired is listed until its place is needed.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t alice = world_add(&world, "alice", "");
    uint64_t bob = world_add(&world, "bob", "");
    CHECK_OK(add_until(&world, JINI_KEY, alice, 1, 0));
    CHECK_OK(add_until(&world, JINI_KEY, alice, 2, world.now_ms + 10));
    CHECK_OK(add_until(&world, JINI_KEY, alice, 3, 0));
    CHECK_STATUS(add_until(&world, JINI_KEY, alice, 4, 0), JINI_E_TOO_BIG);
    CHECK_TEXT(world.error.field, "keys.per_user_max");
    CHECK_OK(add_until(&world, JINI_KEY, bob, 5, 0));
    CHECK_STATUS(add_until(&world, JINI_KEY, alice, 5, 0), JINI_E_CONFLICT);
    CHECK_STATUS(revoke_one(&world, 3, bob), JINI_E_NOT_FOUND);
    CHECK_OK(revoke_one(&world, 3, alice));
    CHECK_OK(revoke_one(&world, 3, 0));
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 123);
    CHECK_OK(add_until(&world, JINI_KEY, alice, 4, 0));
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 124);
    world.now_ms += 10;
    CHECK_OK(add_until(&world, JINI_KEY, alice, 6, 0));
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 146);
    CHECK_UINT(listed(&world, bob, JINI_KEY), ==, 5);
    CHECK_STATUS(add_until(&world, JINI_KEY, 999, 7, 0), JINI_E_NOT_FOUND);
    world_close(&world);
}

STORE_TEST(a_session_more_ends_the_one_that_expires_first,
           "Beyond the bound a session takes the place of one that is over, or else of the one "
           "that expires first; an ended one leaves the list.")
{
    struct world world;
    world_open(&world, driver);
    uint64_t alice = world_add(&world, "alice", "");
    for (uint64_t id = 1; id <= 3; id++)
        CHECK_OK(add_until(&world, JINI_SESSION, alice, id, world.now_ms + 100 - 10 * (id % 3)));
    CHECK_OK(add_until(&world, JINI_SESSION, alice, 4, world.now_ms + 500));
    CHECK_UINT(listed(&world, alice, JINI_SESSION), ==, 134);
    world.now_ms += 95; /* the first is over, though others expire later */
    CHECK_OK(add_until(&world, JINI_SESSION, alice, 5, world.now_ms + 1));
    CHECK_UINT(listed(&world, alice, JINI_SESSION), ==, 345);
    CHECK_OK(revoke_one(&world, 4, alice));
    CHECK_STATUS(revoke_one(&world, 4, alice), JINI_E_NOT_FOUND);
    CHECK_UINT(listed(&world, alice, JINI_SESSION), ==, 35);
    world_close(&world);
}

/* ---- What verify finds ---- */

struct raw {
    struct tuple key;
    const char *value; /* NULL: it goes */
    size_t length;
};

static int op_raw(struct store_txn *txn, void *argument)
{
    const struct raw *raw = argument;
    return raw->value ? store_put(txn, STORE_SPACE_USER_KEYS, tuple_key(&raw->key),
                                  slice_of(raw->value, raw->length))
                      : store_delete(txn, STORE_SPACE_USER_KEYS, tuple_key(&raw->key));
}

static void plant(struct world *world, const struct tuple *key, const char *value, size_t length)
{
    struct raw raw = {*key, value, length};
    CHECK_OK(store_write(world->store, op_raw, &raw));
}

static const char *found(struct world *world, const struct tuple *key)
{
    struct accounts_finding finding;
    struct store_txn *txn;
    CHECK_OK(store_read_begin(world->store, &txn));
    CHECK_OK(accounts_check_key(txn, tuple_key(key), &finding));
    store_read_end(txn);
    return finding.kind ? finding.kind : "nothing";
}

TEST(damaged_rows_of_credentials_are_found,
     "A record that cannot be read, one of no user or that is not listed, and rows that lead to "
     "none or to another's are named; and the place of a damaged one is free.")
{
    struct world world;
    struct tuple record;
    struct tuple owned;
    world_open(&world, STORE_DRIVER_MEMORY);
    uint64_t alice = world_add(&world, "alice", "");
    struct jini_credential key = {.id = 1, .user_id = alice, .kind = JINI_KEY};
    for (uint64_t id = 1; id <= 3; id++)
        CHECK_OK(add_until(&world, JINI_KEY, alice, id, 0));
    credentials_key(1, &record);
    credentials_owned_key(&key, &owned);
    CHECK_TEXT(found(&world, &record), "nothing");
    CHECK_TEXT(found(&world, &owned), "nothing");
    plant(&world, &owned, NULL, 0);
    CHECK_TEXT(found(&world, &record), "credential_not_owned");
    plant(&world, &owned, "", 0);
    key.kind = JINI_SESSION;
    credentials_owned_key(&key, &owned);
    plant(&world, &owned, "", 0);
    CHECK_TEXT(found(&world, &owned), "owned_differs");
    key = (struct jini_credential){.id = 9, .user_id = alice, .kind = JINI_KEY};
    credentials_owned_key(&key, &owned);
    plant(&world, &owned, "", 0);
    CHECK_TEXT(found(&world, &owned), "owned_without_credential");
    plant(&world, &owned, NULL, 0);
    plant(&world, &record, "rot", 3);
    CHECK_TEXT(found(&world, &record), "credential_damaged");
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 23);
    CHECK_OK(add_until(&world, JINI_KEY, alice, 4, 0));
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 234);
    CHECK_STATUS(add_until(&world, JINI_KEY, alice, 5, 0), JINI_E_TOO_BIG);
    tuple_add_uint(&record, 7);
    plant(&world, &record, "", 0);
    CHECK_TEXT(found(&world, &record), "login_key_damaged");
    world_close(&world);
}

TEST(a_row_that_leads_to_anothers_shows_and_takes_nothing_of_it,
     "It is in no list, and makes room for a key of its own user; the other user's key stays.")
{
    struct world world;
    struct tuple owned;
    world_open(&world, STORE_DRIVER_MEMORY);
    uint64_t alice = world_add(&world, "alice", "");
    uint64_t bob = world_add(&world, "bob", "");
    CHECK_OK(add_until(&world, JINI_KEY, alice, 1, 0));
    const struct jini_credential foreign = {.id = 1, .user_id = bob, .kind = JINI_KEY};
    credentials_owned_key(&foreign, &owned);
    plant(&world, &owned, "", 0);
    CHECK_UINT(listed(&world, bob, JINI_KEY), ==, 0);
    for (uint64_t id = 2; id <= 4; id++)
        CHECK_OK(add_until(&world, JINI_KEY, bob, id, 0));
    CHECK_UINT(listed(&world, bob, JINI_KEY), ==, 234);
    CHECK_UINT(listed(&world, alice, JINI_KEY), ==, 1);
    world_close(&world);
}

TEST(hostile_records_are_refused,
     "A record cut anywhere, or with any byte changed, is refused or one that could be.")
{
    uint8_t bytes[CREDENTIAL_RECORD_MAX];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct credential_record record = {.credential = {.id = 1,
                                                      .user_id = 300,
                                                      .kind = JINI_KEY,
                                                      .created_ms = 5,
                                                      .name = "laptop",
                                                      .limits = "5/minute"},
                                       .epoch = 3};
    struct credential_record read;
    CHECK_OK(credential_record_write(&record, &out));
    for (size_t length = 0; length < out.length; length++)
        CHECK(credential_record_read(slice_of(bytes, length), 1, &read) != 0);
    for (size_t i = 0; i < out.length; i++) {
        uint8_t was = bytes[i];
        for (unsigned byte = 0; byte < 256; byte++) {
            bytes[i] = (uint8_t)byte;
            if (credential_record_read(buffer_slice(&out), 1, &read) != 0)
                continue;
            CHECK(read.credential.user_id != 0);
            CHECK(read.credential.kind == JINI_KEY || read.credential.kind == JINI_SESSION);
            CHECK(memchr(read.credential.name, 0, sizeof(read.credential.name)));
            CHECK(memchr(read.credential.limits, 0, sizeof(read.credential.limits)));
        }
        bytes[i] = was;
    }
}
