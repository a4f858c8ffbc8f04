/* Overlays: parts of an op that can be undone, on every driver. */
#include "fixture.h"

static int put_key(struct store_txn *txn, const char *key, const char *value)
{
    return store_put(txn, STORE_SPACE_APPLICATION, slice_of_text(key), slice_of_text(value));
}

static int delete_key(struct store_txn *txn, const char *key)
{
    return store_delete(txn, STORE_SPACE_APPLICATION, slice_of_text(key));
}

static int op_keep_and_discard(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(put_key(txn, "base", "1"));
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(put_key(txn, "kept", "1"));
    CHECK_TEXT(fixture_read_text(txn, "kept"), "1");
    CHECK_TEXT(fixture_read_text(txn, "base"), "1");
    CHECK_OK(store_overlay_keep(txn));
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(put_key(txn, "dropped", "1"));
    CHECK_OK(put_key(txn, "base", "2"));
    CHECK_TEXT(fixture_read_text(txn, "base"), "2");
    store_overlay_discard(txn);
    CHECK_TEXT(fixture_read_text(txn, "base"), "1");
    CHECK_TEXT(fixture_read_text(txn, "dropped"), "-");
    return 0;
}

STORE_TEST(a_discarded_overlay_never_was, "Kept overlays are stored, discarded ones are not.")
{
    struct store *store = fixture_open(driver);
    CHECK_OK(store_write(store, op_keep_and_discard, NULL));
    CHECK_TEXT(fixture_text(store, "base"), "1");
    CHECK_TEXT(fixture_text(store, "kept"), "1");
    CHECK_TEXT(fixture_text(store, "dropped"), "-");
    store_close(store);
}

static int op_delete_in_overlay(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(delete_key(txn, "a"));
    CHECK_TEXT(fixture_read_text(txn, "a"), "-");
    CHECK_STATUS(delete_key(txn, "a"), JINI_E_NOT_FOUND);
    CHECK_STATUS(delete_key(txn, "never"), JINI_E_NOT_FOUND);
    store_overlay_discard(txn);
    CHECK_TEXT(fixture_read_text(txn, "a"), "1");
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(delete_key(txn, "b"));
    CHECK_OK(put_key(txn, "fleeting", "1"));
    CHECK_OK(delete_key(txn, "fleeting"));
    CHECK_OK(delete_key(txn, "c"));
    CHECK_OK(put_key(txn, "c", "2"));
    CHECK_OK(store_overlay_keep(txn));
    CHECK_TEXT(fixture_read_text(txn, "b"), "-");
    return 0;
}

STORE_TEST(a_deletion_in_an_overlay_hides_what_lies_below,
           "A deletion in an overlay is undone by discarding and done by keeping it.")
{
    struct store *store = fixture_open(driver);
    fixture_put(store, "a", "1");
    fixture_put(store, "b", "1");
    fixture_put(store, "c", "1");
    CHECK_OK(store_write(store, op_delete_in_overlay, NULL));
    CHECK_TEXT(fixture_text(store, "a"), "1");
    CHECK_TEXT(fixture_text(store, "b"), "-");
    CHECK_TEXT(fixture_text(store, "c"), "2");
    CHECK_TEXT(fixture_text(store, "fleeting"), "-");
    store_close(store);
}

static int nest(struct store_txn *txn)
{
    static const char *const keys[] = {"1", "2", "3", "4"};
    for (int i = 0; i < STORE_OVERLAYS_MAX; i++) {
        CHECK_OK(store_overlay_begin(txn));
        CHECK_OK(put_key(txn, keys[i], "new"));
        CHECK_OK(put_key(txn, "shared", keys[i]));
    }
    CHECK_STATUS(store_overlay_begin(txn), JINI_E_TOO_BIG);
    CHECK_TEXT(fixture_read_text(txn, "shared"), "4");
    CHECK_OK(store_overlay_keep(txn)); /* 4 into 3 */
    store_overlay_discard(txn);        /* 3, and 4 with it */
    CHECK_TEXT(fixture_read_text(txn, "shared"), "2");
    CHECK_OK(store_overlay_keep(txn)); /* 2 into 1 */
    CHECK_TEXT(fixture_read_text(txn, "1"), "new");
    return store_overlay_keep(txn);
}

static int op_nest(struct store_txn *txn, void *argument)
{
    (void)argument;
    return nest(txn);
}

static int op_nest_and_fail(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(nest(txn));
    return JINI_E_CONFLICT;
}

static void check_nested(struct store *store)
{
    CHECK_TEXT(fixture_text(store, "1"), "new");
    CHECK_TEXT(fixture_text(store, "2"), "new");
    CHECK_TEXT(fixture_text(store, "3"), "-");
    CHECK_TEXT(fixture_text(store, "4"), "-");
    CHECK_TEXT(fixture_text(store, "shared"), "2");
}

STORE_TEST(overlays_nest_four_deep,
           "An inner overlay goes the way of the one around it, and a fifth is refused.")
{
    struct store *store = fixture_open(driver);
    CHECK_OK(store_write(store, op_nest, NULL));
    check_nested(store);
    store_close(store);
}

STORE_TEST(overlays_nest_as_deep_beside_a_failing_op,
           "An op has all its overlays also when its batch runs again because of another op.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write good;
    struct fixture_write bad;
    fixture_block(store, &blocker);
    fixture_prepare(&bad, op_nest_and_fail, NULL);
    fixture_prepare(&good, op_nest, NULL);
    CHECK_OK(store_submit(store, &bad.write));
    CHECK_OK(store_submit(store, &good.write));
    fixture_release(&blocker);
    CHECK_STATUS(fixture_wait(&bad), JINI_E_CONFLICT);
    CHECK_OK(fixture_wait(&good));
    check_nested(store);
    store_close(store);
}

static int op_leave_open(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(put_key(txn, "outside", "1"));
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(put_key(txn, "inside", "1"));
    return 0;
}

static int op_write_and_fail(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(put_key(txn, "failed", "1"));
    return JINI_E_FORBIDDEN;
}

STORE_TEST(what_is_left_open_is_discarded,
           "An overlay that an op does not end is discarded, whoever is in the batch with it.")
{
    struct store *store = fixture_open(driver);
    CHECK_OK(store_write(store, op_leave_open, NULL));
    CHECK_TEXT(fixture_text(store, "outside"), "1");
    CHECK_TEXT(fixture_text(store, "inside"), "-");
    CHECK_OK(fixture_delete(store, "outside"));

    struct fixture_blocker blocker;
    struct fixture_write left;
    struct fixture_write bad;
    fixture_block(store, &blocker);
    fixture_prepare(&left, op_leave_open, NULL);
    fixture_prepare(&bad, op_write_and_fail, NULL);
    CHECK_OK(store_submit(store, &left.write));
    CHECK_OK(store_submit(store, &bad.write));
    fixture_release(&blocker);
    CHECK_OK(fixture_wait(&left));
    CHECK_STATUS(fixture_wait(&bad), JINI_E_FORBIDDEN);
    CHECK_TEXT(fixture_text(store, "outside"), "1");
    CHECK_TEXT(fixture_text(store, "inside"), "-");
    CHECK_TEXT(fixture_text(store, "failed"), "-");
    store_close(store);
}

static int op_fail_in_overlay(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(store_overlay_begin(txn));
    CHECK_OK(put_key(txn, "a", "1"));
    store_overlay_discard(txn);
    return JINI_E_CONFLICT;
}

STORE_TEST(a_group_that_was_undone_costs_no_second_run,
           "An op that fails with all its writes discarded does not make its batch run again.")
{
    struct store *store = fixture_open(driver);
    struct store_figures figures;
    CHECK_STATUS(store_write(store, op_fail_in_overlay, NULL), JINI_E_CONFLICT);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.batches_rerun, ==, 0);
    CHECK_TEXT(fixture_text(store, "a"), "-");
    store_close(store);
}

/* ---- Against a model ---- */

/* Keys are 0 to MODEL_KEYS - 1, stored with one or two bytes; values are 0 to 250, or absent. */
enum { MODEL_KEYS = 60, MODEL_LEVELS = STORE_OVERLAYS_MAX + 1, ABSENT = -1 };

struct model {
    int value[MODEL_LEVELS][MODEL_KEYS];
    int level;
};

static struct slice model_key(uint8_t bytes[2], int key)
{
    bytes[0] = (uint8_t)(key / 2 + 1);
    bytes[1] = 7;
    return slice_of(bytes, key % 2 ? 2 : 1); /* a key and one that begins with it */
}

static void model_put(struct store_txn *txn, struct model *model, int key)
{
    uint8_t bytes[2];
    uint8_t value = (uint8_t)harness_random_below(250);
    CHECK_OK(store_put(txn, STORE_SPACE_APPLICATION, model_key(bytes, key), slice_of(&value, 1)));
    model->value[model->level][key] = value;
}

static void model_delete(struct store_txn *txn, struct model *model, int key)
{
    uint8_t bytes[2];
    bool there = model->value[model->level][key] != ABSENT;
    CHECK_STATUS(store_delete(txn, STORE_SPACE_APPLICATION, model_key(bytes, key)),
                 there ? 0 : JINI_E_NOT_FOUND);
    model->value[model->level][key] = ABSENT;
}

static void model_get(struct store_txn *txn, const struct model *model, int key)
{
    uint8_t bytes[2];
    uint8_t byte = 0;
    struct buffer value = buffer_of(&byte, 1);
    int expected = model->value[model->level][key];
    CHECK_STATUS(store_get(txn, STORE_SPACE_APPLICATION, model_key(bytes, key), &value),
                 expected == ABSENT ? JINI_E_NOT_FOUND : 0);
    if (expected != ABSENT)
        CHECK_INT(byte, ==, expected);
}

/* The next key of the model behind `at`, in the direction, inside low to high; or -1. */
static int model_next(const struct model *model, int at, int low, int high, bool forward)
{
    for (at += forward ? 1 : -1; at >= low && at < high; at += forward ? 1 : -1) {
        if (model->value[model->level][at] != ABSENT)
            return at;
    }
    return -1;
}

static void model_level(struct store_txn *txn, struct model *model)
{
    int level = model->level;
    size_t bytes = sizeof(model->value[0]);
    switch (harness_random_below(3)) {
    case 0:
        if (level + 1 == MODEL_LEVELS)
            return;
        CHECK_OK(store_overlay_begin(txn));
        memcpy(model->value[level + 1], model->value[level], bytes);
        model->level++;
        return;
    case 1:
        if (level == 0)
            return;
        CHECK_OK(store_overlay_keep(txn));
        memcpy(model->value[level - 1], model->value[level], bytes);
        model->level--;
        return;
    default:
        if (level == 0)
            return;
        store_overlay_discard(txn);
        model->level--;
    }
}

static void model_change(struct store_txn *txn, struct model *model)
{
    int key = (int)harness_random_below(MODEL_KEYS);
    switch (harness_random_below(8)) {
    case 0:
    case 1:
    case 2:
        model_put(txn, model, key);
        return;
    case 3:
    case 4:
        model_delete(txn, model, key);
        return;
    case 5:
        model_level(txn, model);
        return;
    default:
        model_get(txn, model, key);
    }
}

/* A scan with changes between its steps. */
static void model_scan(struct store_txn *txn, struct model *model)
{
    struct store_cursor cursor;
    uint8_t low_bytes[2];
    uint8_t high_bytes[2];
    uint8_t byte = 0;
    struct buffer value = buffer_of(&byte, 1);
    bool forward = harness_random_below(2) == 0;
    bool change = harness_random_below(2) == 0;
    int low = (int)harness_random_below(MODEL_KEYS);
    int high = (int)harness_random_below(MODEL_KEYS);
    bool open_low = harness_random_below(3) == 0;
    bool open_high = harness_random_below(3) == 0;
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION,
                               open_low ? slice_of(NULL, 0) : model_key(low_bytes, low),
                               open_high ? slice_of(NULL, 0) : model_key(high_bytes, high),
                               forward ? STORE_FORWARD : STORE_BACKWARD, &cursor));
    low = open_low ? 0 : low;
    high = open_high ? MODEL_KEYS : high;
    int at = forward ? low - 1 : high;
    for (;;) {
        at = model_next(model, at, low, high, forward);
        int status = store_cursor_next(&cursor, &value);
        CHECK_STATUS(status, at < 0 ? JINI_E_NOT_FOUND : 0);
        if (status)
            break;
        uint8_t bytes[2];
        CHECK(slice_equal(cursor.key, model_key(bytes, at)));
        CHECK_INT(byte, ==, model->value[model->level][at]);
        for (uint64_t i = change ? harness_random_below(3) : 0; i > 0; i--)
            model_change(txn, model);
    }
    store_cursor_close(&cursor);
}

static int op_model(struct store_txn *txn, void *argument)
{
    struct model *model = argument;
    for (int i = 0; i < 400; i++) {
        model_change(txn, model);
        if (i % 10 == 0)
            model_scan(txn, model);
    }
    while (model->level > 0) {
        CHECK_OK(store_overlay_keep(txn));
        memcpy(model->value[model->level - 1], model->value[model->level], sizeof(model->value[0]));
        model->level--;
    }
    return 0;
}

STORE_TEST(random_operations_match_a_model,
           "Random writes, overlays and scans both ways give what a plain array gives.")
{
    struct store_options options = fixture_options(driver);
    options.run_twice = false; /* the ops draw random numbers */
    struct store *store = fixture_open_with(&options);
    struct model model = {.level = 0};
    for (int key = 0; key < MODEL_KEYS; key++)
        model.value[0][key] = ABSENT;
    for (unsigned round = 0; round < 40 * harness_scale(); round++) {
        CHECK_OK(store_write(store, op_model, &model));
        struct store_txn *txn;
        CHECK_OK(store_read_begin(store, &txn));
        for (int key = 0; key < MODEL_KEYS; key++)
            model_get(txn, &model, key);
        store_read_end(txn);
    }
    store_close(store);
}
