/* Reading and writing single keys, on every driver. */
#include "fixture.h"

STORE_TEST(a_value_is_read_back, "What was put under a key is what a later snapshot reads there.")
{
    struct store *store = fixture_open(driver);
    fixture_put(store, "a", "one");
    CHECK_TEXT(fixture_text(store, "a"), "one");
    CHECK_TEXT(fixture_text(store, "b"), "-");
    fixture_put(store, "a", "a longer value");
    CHECK_TEXT(fixture_text(store, "a"), "a longer value");
    fixture_put(store, "a", "");
    CHECK_TEXT(fixture_text(store, "a"), "");
    store_close(store);
}

STORE_TEST(a_snapshot_stands_still, "A snapshot reads what was committed when it was opened.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    fixture_put(store, "a", "one");
    fixture_put(store, "b", "stays");
    CHECK_OK(store_read_begin(store, &txn));
    fixture_put(store, "a", "two");
    fixture_put(store, "c", "new");
    CHECK_OK(fixture_delete(store, "b"));
    CHECK_TEXT(fixture_read_text(txn, "a"), "one");
    CHECK_TEXT(fixture_read_text(txn, "b"), "stays");
    CHECK_TEXT(fixture_read_text(txn, "c"), "-");
    store_read_end(txn);
    CHECK_TEXT(fixture_text(store, "a"), "two");
    store_close(store);
}

STORE_TEST(a_deleted_key_is_gone, "A deleted key is not found, and deleting it again says so.")
{
    struct store *store = fixture_open(driver);
    fixture_put(store, "a", "one");
    CHECK_OK(fixture_delete(store, "a"));
    CHECK_TEXT(fixture_text(store, "a"), "-");
    CHECK_STATUS(fixture_delete(store, "a"), JINI_E_NOT_FOUND);
    fixture_put(store, "a", "again");
    CHECK_TEXT(fixture_text(store, "a"), "again");
    store_close(store);
}

STORE_TEST(has_answers_without_the_value, "store_has() tells whether a key is there.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    fixture_put(store, "a", "");
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, slice_of_text("a")));
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, slice_of_text("b")), JINI_E_NOT_FOUND);
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(spaces_are_apart, "The same key in two spaces names two values.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    for (int space = 1; space < STORE_SPACES; space++) {
        uint8_t byte = (uint8_t)space;
        struct fixture_pair pair = {(enum store_space)space, slice_of_text("k"),
                                    slice_of(&byte, 1)};
        CHECK_OK(store_write(store, fixture_op_put, &pair));
    }
    CHECK_OK(store_read_begin(store, &txn));
    for (int space = 1; space < STORE_SPACES; space++) {
        uint8_t byte;
        struct buffer value = buffer_of(&byte, 1);
        CHECK_OK(store_get(txn, (enum store_space)space, slice_of_text("k"), &value));
        CHECK_INT(byte, ==, space);
    }
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(a_key_may_have_400_bytes_and_no_more,
           "Keys of 1 and 400 bytes are stored; an empty one is invalid and one of 401 too big.")
{
    struct store *store = fixture_open(driver);
    uint8_t bytes[STORE_KEY_MAX + 1];
    memset(bytes, 'k', sizeof(bytes));
    for (size_t length = 1; length <= STORE_KEY_MAX; length += 399) {
        struct fixture_pair pair = {STORE_SPACE_APPLICATION, slice_of(bytes, length),
                                    slice_of(bytes, length)};
        struct store_txn *txn;
        uint8_t out[STORE_KEY_MAX];
        struct buffer value = buffer_of(out, sizeof(out));
        CHECK_OK(store_write(store, fixture_op_put, &pair));
        CHECK_OK(store_read_begin(store, &txn));
        CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, pair.key, &value));
        CHECK(slice_equal(buffer_slice(&value), pair.value));
        store_read_end(txn);
    }
    struct fixture_pair empty = {STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of_text("v")};
    CHECK_STATUS(store_write(store, fixture_op_put, &empty), JINI_E_INVALID);
    CHECK_STATUS(store_write(store, fixture_op_delete, &empty), JINI_E_INVALID);
    struct fixture_pair big = {STORE_SPACE_APPLICATION, slice_of(bytes, sizeof(bytes)),
                               slice_of_text("v")};
    CHECK_STATUS(store_write(store, fixture_op_put, &big), JINI_E_TOO_BIG);
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, empty.key), JINI_E_INVALID);
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, big.key), JINI_E_TOO_BIG);
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(a_value_may_have_64_kib_and_no_more,
           "Values of every size up to 65,536 bytes come back whole; one byte more is too big.")
{
    struct store *store = fixture_open(driver);
    static const size_t sizes[] = {0, 1, 1900, 2000, 2048, 4080, 4096, 8192, 65535, 65536};
    uint8_t *bytes = malloc(STORE_VALUE_MAX + 1);
    uint8_t *out = malloc(STORE_VALUE_MAX);
    CHECK(bytes && out);
    for (size_t i = 0; i <= STORE_VALUE_MAX; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct fixture_pair pair = {STORE_SPACE_APPLICATION, slice_of_text("k"),
                                    slice_of(bytes, sizes[i])};
        struct store_txn *txn;
        struct buffer value = buffer_of(out, STORE_VALUE_MAX);
        CHECK_OK(store_write(store, fixture_op_put, &pair));
        CHECK_OK(store_read_begin(store, &txn));
        CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, pair.key, &value));
        store_read_end(txn);
        CHECK(slice_equal(buffer_slice(&value), pair.value));
    }
    struct fixture_pair big = {STORE_SPACE_APPLICATION, slice_of_text("k"),
                               slice_of(bytes, STORE_VALUE_MAX + 1)};
    CHECK_STATUS(store_write(store, fixture_op_put, &big), JINI_E_TOO_BIG);
    free(bytes);
    free(out);
    store_close(store);
}

STORE_TEST(a_buffer_that_is_too_small_is_told,
           "A value that does not fit its buffer is JINI_E_TOO_BIG and leaves the buffer empty.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    char bytes[8];
    struct buffer value = buffer_of(bytes, 3);
    fixture_put(store, "fits", "abc");
    fixture_put(store, "big", "abcd");
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, slice_of_text("fits"), &value));
    CHECK_UINT(value.length, ==, 3);
    CHECK_STATUS(store_get(txn, STORE_SPACE_APPLICATION, slice_of_text("big"), &value),
                 JINI_E_TOO_BIG);
    CHECK_UINT(value.length, ==, 0);
    CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, slice_of_text("fits"), &value));
    CHECK_STATUS(store_get(txn, STORE_SPACE_APPLICATION, slice_of_text("none"), &value),
                 JINI_E_NOT_FOUND);
    CHECK_UINT(value.length, ==, 0);
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(many_lookups_each_have_a_status, "store_get_many() answers each lookup by itself.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    char bytes[3][4];
    fixture_put(store, "a", "one");
    fixture_put(store, "c", "three");
    struct store_lookup lookups[3] = {
        {STORE_SPACE_APPLICATION, slice_of_text("a"), buffer_of(bytes[0], 4), 1},
        {STORE_SPACE_APPLICATION, slice_of_text("b"), buffer_of(bytes[1], 4), 1},
        {STORE_SPACE_APPLICATION, slice_of_text("c"), buffer_of(bytes[2], 4), 1},
    };
    CHECK_OK(store_read_begin(store, &txn));
    store_get_many(txn, lookups, 3);
    store_read_end(txn);
    CHECK_OK(lookups[0].status);
    CHECK(slice_equal(buffer_slice(&lookups[0].value), slice_of_text("one")));
    CHECK_STATUS(lookups[1].status, JINI_E_NOT_FOUND);
    CHECK_STATUS(lookups[2].status, JINI_E_TOO_BIG);
    store_close(store);
}

STORE_TEST(a_snapshot_refuses_writes, "Writing, stamping and overlays need a write transaction.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    struct fixture_pair pair = fixture_pair("a", "one");
    uint64_t stamp;
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_STATUS(fixture_op_put(txn, &pair), JINI_E_READ_ONLY);
    CHECK_STATUS(fixture_op_delete(txn, &pair), JINI_E_READ_ONLY);
    CHECK_STATUS(store_stamp(txn, &stamp), JINI_E_READ_ONLY);
    CHECK_STATUS(store_overlay_begin(txn), JINI_E_READ_ONLY);
    store_read_end(txn);
    CHECK_TEXT(fixture_text(store, "a"), "-");
    store_close(store);
}

STORE_TEST(any_bytes_make_a_key, "Keys may hold every byte, and differ in the last of them.")
{
    struct store *store = fixture_open(driver);
    for (unsigned i = 0; i < 256; i++) {
        uint8_t key[3] = {0, 255, (uint8_t)i};
        struct fixture_pair pair = {STORE_SPACE_APPLICATION, slice_of(key, 3),
                                    slice_of(key + 2, 1)};
        CHECK_OK(store_write(store, fixture_op_put, &pair));
    }
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    for (unsigned i = 0; i < 256; i++) {
        uint8_t key[3] = {0, 255, (uint8_t)i};
        uint8_t byte = 0;
        struct buffer value = buffer_of(&byte, 1);
        CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, slice_of(key, 3), &value));
        CHECK_UINT(byte, ==, i);
    }
    store_read_end(txn);
    store_close(store);
}
