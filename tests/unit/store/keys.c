/* Reading and writing keys, on every driver. */
#include "fixture.h"

struct pair {
    struct slice key;
    struct slice value;
};

static int op_put(struct store_txn *txn, void *argument)
{
    const struct pair *pair = argument;
    return store_put(txn, STORE_SPACE_APPLICATION, pair->key, pair->value);
}

static void put(struct store *store, const char *key, const char *value)
{
    struct pair pair = {slice_of_text(key), slice_of_text(value)};
    CHECK_OK(store_write(store, op_put, &pair));
}

static int get(struct store *store, const char *key, char *text, size_t capacity)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    struct buffer value = buffer_of(text, capacity - 1);
    int status = store_get(txn, STORE_SPACE_APPLICATION, slice_of_text(key), &value);
    text[value.length] = '\0';
    store_read_end(txn);
    return status;
}

STORE_TEST(a_value_is_read_back, "What was put under a key is what a later snapshot reads there.")
{
    struct store *store = fixture_open(driver);
    char text[64];
    put(store, "a", "one");
    CHECK_OK(get(store, "a", text, sizeof(text)));
    CHECK_TEXT(text, "one");
    CHECK_STATUS(get(store, "b", text, sizeof(text)), JINI_E_NOT_FOUND);
    put(store, "a", "two");
    CHECK_OK(get(store, "a", text, sizeof(text)));
    CHECK_TEXT(text, "two");
    store_close(store);
}

STORE_TEST(a_snapshot_stands_still, "A snapshot reads what was committed when it was opened.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    put(store, "a", "one");
    CHECK_OK(store_read_begin(store, &txn));
    put(store, "a", "two");
    uint8_t bytes[16];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    CHECK_OK(store_get(txn, STORE_SPACE_APPLICATION, slice_of_text("a"), &value));
    CHECK(slice_equal(buffer_slice(&value), slice_of_text("one")));
    store_read_end(txn);
    store_close(store);
}

static int op_fail_after_write(struct store_txn *txn, void *argument)
{
    int status = op_put(txn, argument);
    return status ? status : JINI_E_FORBIDDEN;
}

STORE_TEST(a_late_failure_leaves_nothing,
           "An op that fails after it wrote leaves nothing of what it wrote.")
{
    struct store *store = fixture_open(driver);
    char text[64];
    struct pair pair = {slice_of_text("a"), slice_of_text("one")};
    CHECK_STATUS(store_write(store, op_fail_after_write, &pair), JINI_E_FORBIDDEN);
    CHECK_STATUS(get(store, "a", text, sizeof(text)), JINI_E_NOT_FOUND);
    store_close(store);
}
