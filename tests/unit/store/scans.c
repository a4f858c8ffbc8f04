/* Cursors and scans in slices, on every driver. */
#include "fixture.h"
#include "raw.h"

/* Walks a range and writes the keys, one letter each, into `out`. */
static void walk(struct store_txn *txn, const char *low, const char *high,
                 enum store_direction direction, char *out)
{
    struct store_cursor cursor;
    char bytes[16];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status;
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of_text(low),
                               slice_of_text(high), direction, &cursor));
    while ((status = store_cursor_next(&cursor, &value)) == 0) {
        CHECK(slice_equal(cursor.key, buffer_slice(&value)));
        memcpy(out, cursor.key.data, cursor.key.length);
        out += cursor.key.length;
        *out++ = ' ';
    }
    CHECK_STATUS(status, JINI_E_NOT_FOUND);
    CHECK_STATUS(store_cursor_next(&cursor, &value), JINI_E_NOT_FOUND);
    CHECK_STATUS(store_cursor_next(&cursor, NULL), JINI_E_NOT_FOUND);
    *out = '\0';
    store_cursor_close(&cursor);
}

static const char *walked(struct store *store, const char *low, const char *high,
                          enum store_direction direction)
{
    static char out[512];
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    walk(txn, low, high, direction, out);
    store_read_end(txn);
    return out;
}

static void put_all(struct store *store, const char *const *keys)
{
    for (; *keys; keys++)
        fixture_put(store, *keys, *keys);
}

STORE_TEST(a_scan_goes_in_order, "A scan gives every key once, in byte order, from both ends.")
{
    struct store *store = fixture_open(driver);
    put_all(store, (const char *const[]){"d", "b", "ab", "a", "c", "abc", NULL});
    CHECK_TEXT(walked(store, "", "", STORE_FORWARD), "a ab abc b c d ");
    CHECK_TEXT(walked(store, "", "", STORE_BACKWARD), "d c b abc ab a ");
    store_close(store);
}

STORE_TEST(a_scan_keeps_its_bounds, "The low bound is included, the high one is not.")
{
    struct store *store = fixture_open(driver);
    put_all(store, (const char *const[]){"a", "b", "c", "d", "e", NULL});
    CHECK_TEXT(walked(store, "b", "d", STORE_FORWARD), "b c ");
    CHECK_TEXT(walked(store, "b", "d", STORE_BACKWARD), "c b ");
    CHECK_TEXT(walked(store, "bb", "dd", STORE_FORWARD), "c d ");
    CHECK_TEXT(walked(store, "bb", "dd", STORE_BACKWARD), "d c ");
    CHECK_TEXT(walked(store, "", "b", STORE_BACKWARD), "a ");
    CHECK_TEXT(walked(store, "e", "", STORE_FORWARD), "e ");
    CHECK_TEXT(walked(store, "e", "", STORE_BACKWARD), "e ");
    CHECK_TEXT(walked(store, "f", "", STORE_FORWARD), "");
    CHECK_TEXT(walked(store, "f", "", STORE_BACKWARD), "");
    CHECK_TEXT(walked(store, "", "a", STORE_FORWARD), "");
    CHECK_TEXT(walked(store, "", "a", STORE_BACKWARD), "");
    CHECK_TEXT(walked(store, "c", "c", STORE_FORWARD), "");
    CHECK_TEXT(walked(store, "d", "b", STORE_FORWARD), "");
    CHECK_TEXT(walked(store, "d", "b", STORE_BACKWARD), "");
    store_close(store);
}

STORE_TEST(an_empty_space_has_nothing, "A scan of an empty space ends at once.")
{
    struct store *store = fixture_open(driver);
    CHECK_TEXT(walked(store, "", "", STORE_FORWARD), "");
    CHECK_TEXT(walked(store, "", "", STORE_BACKWARD), "");
    CHECK_TEXT(walked(store, "a", "b", STORE_BACKWARD), "");
    store_close(store);
}

STORE_TEST(a_bound_over_the_key_size_is_refused, "A bound longer than any key is JINI_E_TOO_BIG.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    struct store_cursor cursor;
    uint8_t bytes[STORE_KEY_MAX + 1] = {0};
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_STATUS(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(bytes, sizeof(bytes)),
                                   slice_of(NULL, 0), STORE_FORWARD, &cursor),
                 JINI_E_TOO_BIG);
    CHECK_STATUS(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0),
                                   slice_of(bytes, sizeof(bytes)), STORE_FORWARD, &cursor),
                 JINI_E_TOO_BIG);
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(a_value_that_does_not_fit_is_stepped_over,
           "After JINI_E_TOO_BIG the cursor stands on that entry and goes on behind it.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    struct store_cursor cursor;
    char bytes[2];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    fixture_put(store, "a", "1");
    fixture_put(store, "b", "too long");
    fixture_put(store, "c", "3");
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    CHECK_OK(store_cursor_next(&cursor, &value));
    CHECK_STATUS(store_cursor_next(&cursor, &value), JINI_E_TOO_BIG);
    CHECK(slice_equal(cursor.key, slice_of_text("b")));
    CHECK_OK(store_cursor_next(&cursor, &value));
    CHECK(slice_equal(cursor.key, slice_of_text("c")));
    store_cursor_close(&cursor);
    store_read_end(txn);
    store_close(store);
}

STORE_TEST(a_scan_crosses_pages, "A scan over thousands of entries misses none, from both ends.")
{
    struct store *store = fixture_open(driver);
    enum { COUNT = 5000 };
    CHECK_OK(fixture_fill(store, 0, COUNT, 100));
    struct store_txn *txn;
    struct store_cursor cursor;
    CHECK_OK(store_read_begin(store, &txn));
    for (int direction = STORE_FORWARD; direction <= STORE_BACKWARD; direction++) {
        CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0),
                                   slice_of(NULL, 0), (enum store_direction)direction, &cursor));
        for (uint64_t i = 0; i < COUNT; i++) {
            CHECK_OK(store_cursor_next(&cursor, NULL));
            CHECK_UINT(load_be64(cursor.key.data), ==,
                       direction == STORE_FORWARD ? i : COUNT - 1 - i);
        }
        CHECK_STATUS(store_cursor_next(&cursor, NULL), JINI_E_NOT_FOUND);
        store_cursor_close(&cursor);
    }
    store_read_end(txn);
    store_close(store);
}

/* Scans beside writes of the same transaction. */

static int put_key(struct store_txn *txn, const char *key)
{
    return store_put(txn, STORE_SPACE_APPLICATION, slice_of_text(key), slice_of_text(key));
}

static int delete_key(struct store_txn *txn, const char *key)
{
    return store_delete(txn, STORE_SPACE_APPLICATION, slice_of_text(key));
}

struct beside {
    enum store_direction direction;
    char seen[64];
};

static int op_scan_beside_writes(struct store_txn *txn, void *argument)
{
    struct beside *beside = argument;
    struct store_cursor cursor;
    char *out = beside->seen;
    bool forward = beside->direction == STORE_FORWARD;
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                               beside->direction, &cursor));
    while (store_cursor_next(&cursor, NULL) == 0) {
        char key = (char)cursor.key.data[0];
        *out++ = key;
        if (key == 'c') {
            CHECK_OK(delete_key(txn, "c"));                 /* where the cursor stands */
            CHECK_OK(put_key(txn, forward ? "d" : "b"));    /* ahead */
            CHECK_OK(delete_key(txn, forward ? "e" : "a")); /* ahead */
            CHECK_OK(put_key(txn, forward ? "bb" : "cc"));  /* behind */
        }
    }
    *out = '\0';
    store_cursor_close(&cursor);
    return 0;
}

STORE_TEST(
    a_scan_sees_the_writes_of_its_op,
    "What an op puts or deletes ahead of its own scan is seen by it; what lies behind is not.")
{
    struct store *store = fixture_open(driver);
    put_all(store, (const char *const[]){"a", "c", "e", "g", NULL});
    struct beside beside = {.direction = STORE_FORWARD};
    CHECK_OK(store_write(store, op_scan_beside_writes, &beside));
    CHECK_TEXT(beside.seen, "acdg");
    CHECK_TEXT(walked(store, "", "", STORE_FORWARD), "a bb d g ");
    store_close(store);
}

STORE_TEST(a_backward_scan_sees_the_writes_of_its_op,
           "The same holds for a scan that goes backward.")
{
    struct store *store = fixture_open(driver);
    put_all(store, (const char *const[]){"a", "c", "e", "g", NULL});
    struct beside beside = {.direction = STORE_BACKWARD};
    CHECK_OK(store_write(store, op_scan_beside_writes, &beside));
    CHECK_TEXT(beside.seen, "gecb");
    CHECK_TEXT(walked(store, "", "", STORE_FORWARD), "b cc e g ");
    store_close(store);
}

static int op_delete_while_scanning(struct store_txn *txn, void *argument)
{
    (void)argument;
    struct store_cursor cursor;
    uint64_t seen = 0;
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    while (store_cursor_next(&cursor, NULL) == 0) {
        CHECK_UINT(load_be64(cursor.key.data), ==, seen);
        seen++;
        CHECK_OK(store_delete(txn, STORE_SPACE_APPLICATION, cursor.key));
    }
    CHECK_UINT(seen, ==, 2000);
    store_cursor_close(&cursor);
    return 0;
}

STORE_TEST(a_scan_may_delete_what_it_finds, "Deleting each entry as it is found empties the space.")
{
    struct store *store = fixture_open(driver);
    CHECK_OK(fixture_fill(store, 0, 2000, 64));
    CHECK_OK(store_write(store, op_delete_while_scanning, NULL));
    CHECK_TEXT(walked(store, "", "", STORE_FORWARD), "");
    store_close(store);
}

/* store_each() */

struct visits {
    struct store *store;
    uint64_t count;
    uint64_t next;
    uint64_t stop_at;
    size_t bytes;
};

static int visit_in_order(void *argument, struct slice key, struct slice value)
{
    struct visits *visits = argument;
    CHECK_UINT(load_be64(key.data), ==, visits->next);
    CHECK_UINT(value.length, ==, visits->bytes);
    visits->next++;
    visits->count++;
    return visits->next == visits->stop_at ? 42 : 0;
}

STORE_TEST(each_visits_every_entry_once, "store_each() goes over many slices and misses "
                                         "nothing, and store_count() says how many there are.")
{
    struct store *store = fixture_open(driver);
    struct visits visits = {.bytes = 300};
    CHECK_OK(fixture_fill(store, 0, 3000, 300));
    CHECK_OK(store_each(store, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                        visit_in_order, &visits));
    CHECK_UINT(visits.count, ==, 3000);
    uint64_t entries;
    CHECK_OK(store_count(store, STORE_SPACE_APPLICATION, &entries));
    CHECK_UINT(entries, ==, 3000);
    CHECK_OK(store_count(store, STORE_SPACE_ORPHANS, &entries));
    CHECK_UINT(entries, ==, 0);
    uint8_t low[8];
    uint8_t high[8];
    visits = (struct visits){.next = 100, .bytes = 300};
    CHECK_OK(store_each(store, STORE_SPACE_APPLICATION, fixture_number_key(low, 100),
                        fixture_number_key(high, 1700), visit_in_order, &visits));
    CHECK_UINT(visits.count, ==, 1600);
    store_close(store);
}

STORE_TEST(each_takes_the_largest_values, "Values of 64 KiB pass through store_each().")
{
    struct store *store = fixture_open(driver);
    struct visits visits = {.bytes = STORE_VALUE_MAX};
    CHECK_OK(fixture_fill(store, 0, 20, STORE_VALUE_MAX));
    CHECK_OK(store_each(store, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                        visit_in_order, &visits));
    CHECK_UINT(visits.count, ==, 20);
    store_close(store);
}

static int note_key(void *argument, struct slice key, struct slice value)
{
    char *keys = argument;
    (void)value;
    strncat(keys, (const char *)key.data, key.length);
    return 0;
}

TEST(each_visits_what_is_before_a_damage,
     "Where a file has a key longer than any, store_each() visits the entries before it and is "
     "JINI_E_CORRUPT.")
{
    char keys[16] = "";
    uint8_t key[STORE_KEY_MAX + 1];
    struct slice all = slice_of(NULL, 0);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    put_all(store, (const char *const[]){"a", "b", "d", NULL});
    store_close(store);
    memset(key, 'c', sizeof(key));
    raw_put(harness_path("db"), "application", slice_of(key, sizeof(key)), slice_of("x", 1));
    store = fixture_open(STORE_DRIVER_LMDB);
    CHECK_STATUS(store_each(store, STORE_SPACE_APPLICATION, all, all, note_key, keys),
                 JINI_E_CORRUPT);
    CHECK_TEXT(keys, "ab");
    store_close(store);
}

STORE_TEST(each_ends_when_a_visit_says_so, "A visit's answer other than 0 ends the scan with it.")
{
    struct store *store = fixture_open(driver);
    struct visits visits = {.bytes = 8, .stop_at = 700};
    CHECK_OK(fixture_fill(store, 0, 2000, 8));
    CHECK_INT(store_each(store, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                         visit_in_order, &visits),
              ==, 42);
    CHECK_UINT(visits.count, ==, 700);
    store_close(store);
}

static int visit_and_write(void *argument, struct slice key, struct slice value)
{
    struct visits *visits = argument;
    (void)value;
    uint64_t number = load_be64(key.data);
    if (number >= 2000)
        return 0; /* its own, seen or not */
    CHECK_UINT(number, ==, visits->next);
    visits->next++;
    visits->count++;
    /* Deletes what was visited, and writes behind the range so much that the map must grow. */
    struct fixture_fill gone = {number, 1, 0};
    CHECK_OK(store_write(visits->store, fixture_op_clear, &gone));
    return fixture_fill(visits->store, 1000000 + number, 1, 8192);
}

STORE_TEST(a_visit_may_write,
           "Visits that write see each old entry once, also while the map grows.")
{
    struct store_options options = fixture_options(driver);
    options.map_bytes = 4 << 20;
    options.gate_wait_ms = 200;
    struct store *store = fixture_open_with(&options);
    struct visits visits = {.store = store};
    CHECK_OK(fixture_fill(store, 0, 2000, 16));
    CHECK_OK(store_each(store, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                        visit_and_write, &visits));
    CHECK_UINT(visits.count, ==, 2000);
    if (driver == STORE_DRIVER_LMDB) {
        struct store_figures figures;
        CHECK_OK(store_figures(store, &figures));
        CHECK_UINT(figures.map_growths, >=, 1);
    }
    store_close(store);
}
