/*
 * Transactions of the caller's own: records, scans, stamps, and what happens to functions that
 * fail.
 */
#include "engine_fixture.h"

#include <unistd.h>

enum { KEY_MAX = 400, VALUE_MAX = 65536 };

static int write_with(struct jini *jini, jini_txn_fn *function, void *argument)
{
    struct jini_write write;
    jini_request_init(&write);
    write.function = function;
    write.argument = argument;
    return jini_write(jini, &write, NULL);
}

struct record {
    const void *key;
    size_t key_length;
    const void *value;
    size_t value_length;
};

static int put_record(struct jini_txn *txn, void *argument)
{
    const struct record *record = argument;
    return jini_txn_put(txn, record->key, record->key_length, record->value, record->value_length);
}

static int delete_record(struct jini_txn *txn, void *argument)
{
    const struct record *record = argument;
    return jini_txn_delete(txn, record->key, record->key_length);
}

struct reading {
    const void *key;
    size_t key_length;
    void *value;
    size_t capacity;
    size_t length;
};

static int get_record(struct jini_txn *txn, void *argument)
{
    struct reading *reading = argument;
    return jini_txn_get(txn, reading->key, reading->key_length, reading->value, reading->capacity,
                        &reading->length);
}

TEST(records_keep_their_bounds,
     "Keys of 1 to 400 bytes and values of 0 to 65,536 are taken, others not.")
{
    static uint8_t bytes[VALUE_MAX + 1];
    static uint8_t back[VALUE_MAX];
    struct jini *jini = fixture_open();
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)harness_random();
    struct record record = {bytes, KEY_MAX, bytes, VALUE_MAX};
    CHECK_OK(write_with(jini, put_record, &record));
    struct reading reading = {bytes, KEY_MAX, back, sizeof(back), 0};
    CHECK_OK(jini_read(jini, get_record, &reading, NULL));
    CHECK_UINT(reading.length, ==, VALUE_MAX);
    CHECK_BYTES(back, bytes, VALUE_MAX);
    reading.capacity = VALUE_MAX - 1;
    memset(back, 0, sizeof(back));
    CHECK_STATUS(jini_read(jini, get_record, &reading, NULL), JINI_E_TOO_BIG);
    CHECK_UINT(reading.length, ==, VALUE_MAX);
    for (size_t i = 0; i < sizeof(back); i++)
        CHECK_UINT(back[i], ==, 0);
    record = (struct record){bytes, 1, "", 0};
    CHECK_OK(write_with(jini, put_record, &record));
    reading = (struct reading){bytes, 1, NULL, 0, 9};
    CHECK_OK(jini_read(jini, get_record, &reading, NULL));
    CHECK_UINT(reading.length, ==, 0);
    record = (struct record){bytes, 0, "x", 1};
    CHECK_STATUS(write_with(jini, put_record, &record), JINI_E_INVALID);
    record = (struct record){bytes, KEY_MAX + 1, "x", 1};
    CHECK_STATUS(write_with(jini, put_record, &record), JINI_E_TOO_BIG);
    record = (struct record){bytes, 1, bytes, VALUE_MAX + 1};
    CHECK_STATUS(write_with(jini, put_record, &record), JINI_E_TOO_BIG);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct flood {
    uint64_t count;
    size_t value_length;
};

static int put_many(struct jini_txn *txn, void *argument)
{
    static const uint8_t value[VALUE_MAX + 1];
    const struct flood *flood = argument;
    int status = 0;
    for (uint64_t i = 0; status == 0 && i < flood->count; i++)
        status = jini_txn_put(txn, &i, sizeof(i), value, flood->value_length);
    return status;
}

TEST(a_bound_of_a_write_is_named,
     "A write that goes over a bound in a key, in a value or in all its bytes is JINI_E_TOO_BIG, "
     "and its error names the bound.")
{
    static const struct {
        struct flood flood;
        const char *field;
        const char *bound;
    } rows[] = {
        {{1, VALUE_MAX + 1}, "value", "65536 bytes"},
        {{1100, VALUE_MAX}, "write", "67108864 bytes"},
    };
    static const uint8_t key[KEY_MAX + 1];
    struct jini_options options;
    struct jini_write write;
    fixture_options(&options);
    options.store_run_twice = 0;
    struct jini *jini = fixture_open_with(&options);
    size_t count = sizeof(rows) / sizeof(rows[0]) - harness_sanitized(); /* half a minute */
    for (size_t i = 0; i < count; i++) {
        jini_request_init(&write);
        write.function = put_many;
        write.argument = (void *)(uintptr_t)&rows[i].flood;
        CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_TOO_BIG);
        CHECK_TEXT(write.request.error.field, rows[i].field);
        CHECK_CONTAINS(write.request.error.message, rows[i].bound);
    }
    struct record record = {key, sizeof(key), "x", 1};
    jini_request_init(&write);
    write.function = put_record;
    write.argument = &record;
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_TOO_BIG);
    CHECK_TEXT(write.request.error.field, "key");
    CHECK_CONTAINS(write.request.error.message, "400 bytes");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(records_are_replaced_and_deleted,
     "A second put replaces; what is deleted is gone, and once only.")
{
    struct jini *jini = fixture_open();
    char value[8];
    struct record record = {"k", 1, "first", 5};
    CHECK_OK(write_with(jini, put_record, &record));
    record = (struct record){"k", 1, "2nd", 3};
    CHECK_OK(write_with(jini, put_record, &record));
    struct reading reading = {"k", 1, value, sizeof(value), 0};
    CHECK_OK(jini_read(jini, get_record, &reading, NULL));
    CHECK_UINT(reading.length, ==, 3);
    CHECK_BYTES(value, "2nd", 3);
    CHECK_OK(write_with(jini, delete_record, &record));
    CHECK_STATUS(jini_read(jini, get_record, &reading, NULL), JINI_E_NOT_FOUND);
    CHECK_STATUS(write_with(jini, delete_record, &record), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_snapshot_is_not_written, "In jini_read() puts, deletes and stamps are JINI_E_READ_ONLY.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    struct record record = {"k", 1, "v", 1};
    CHECK_STATUS(jini_read(jini, put_record, &record, &error), JINI_E_READ_ONLY);
    CHECK_INT(error.code, ==, JINI_E_READ_ONLY);
    CHECK_STATUS(jini_read(jini, delete_record, &record, NULL), JINI_E_READ_ONLY);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Scans ---- */

enum { NUMBERS = 100 };

static int put_numbers(struct jini_txn *txn, void *argument)
{
    (void)argument;
    int status = 0;
    for (int i = 0; status == 0 && i < NUMBERS; i++) {
        char key[8];
        snprintf(key, sizeof(key), "n%03d", (i * 37) % NUMBERS);
        status = jini_txn_put(txn, key, 4, key + 1, 3);
    }
    return status;
}

struct scan {
    struct jini_range range;
    int stop_after;
    int seen;
    int numbers[NUMBERS];
};

static int on_number(void *argument, const void *key, size_t key_length, const void *value,
                     size_t value_length)
{
    struct scan *scan = argument;
    char digits[4] = {0};
    CHECK_UINT(key_length, ==, 4);
    CHECK_UINT(value_length, ==, 3);
    CHECK_BYTES((const char *)key + 1, value, 3);
    memcpy(digits, value, 3);
    CHECK_INT(scan->seen, <, NUMBERS);
    scan->numbers[scan->seen++] = (int)strtol(digits, NULL, 10);
    return scan->seen == scan->stop_after ? 77 : 0;
}

static int run_scan(struct jini_txn *txn, void *argument)
{
    struct scan *scan = argument;
    return jini_txn_scan(txn, &scan->range, on_number, scan);
}

static void check_scan(struct jini *jini, struct scan *scan, int first, int step, int count)
{
    CHECK_OK(jini_read(jini, run_scan, scan, NULL));
    CHECK_INT(scan->seen, ==, count);
    for (int i = 0; i < count; i++)
        CHECK_INT(scan->numbers[i], ==, first + i * step);
}

enum { READERS_MAX = 4 };

struct nested {
    struct jini *jini;
    unsigned depth;
    struct jini_error error; /* of the innermost, which is refused */
};

/* Opens one snapshot inside the other until there are no more. */
static int read_deeper(struct jini_txn *txn, void *argument)
{
    struct nested *nested = argument;
    struct jini_error error;
    (void)txn;
    nested->depth++;
    int status = jini_read(nested->jini, read_deeper, nested, &error);
    if (status != JINI_E_BUSY || nested->depth != READERS_MAX)
        return status;
    nested->error = error;
    return 0;
}

TEST(snapshots_are_bounded_and_the_bound_is_named,
     "One snapshot more than store.readers_max is JINI_E_BUSY, and the error names the option and "
     "its value; when they have ended there are as many again.")
{
    struct jini_options options;
    fixture_options(&options);
    options.store_readers_max = READERS_MAX;
    struct jini *jini = fixture_open_with(&options);
    for (int i = 0; i < 2; i++) {
        struct nested nested = {.jini = jini};
        CHECK_OK(jini_read(jini, read_deeper, &nested, NULL));
        CHECK_UINT(nested.depth, ==, READERS_MAX);
        CHECK_INT(nested.error.code, ==, JINI_E_BUSY);
        CHECK_TEXT(nested.error.field, "store.readers_max");
        CHECK_CONTAINS(nested.error.message, "all 4 snapshots");
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(scans_go_both_ways, "A range is seen in order, low included and high not, from either end.")
{
    struct jini *jini = fixture_open();
    struct scan scan = {0};
    check_scan(jini, &scan, 0, 1, 0);
    CHECK_OK(write_with(jini, put_numbers, NULL));
    check_scan(jini, &scan, 0, 1, NUMBERS);
    scan = (struct scan){.range = {.backward = 1}};
    check_scan(jini, &scan, NUMBERS - 1, -1, NUMBERS);
    scan = (struct scan){.range = {"n010", 4, "n020", 4, 0, 0}};
    check_scan(jini, &scan, 10, 1, 10);
    scan = (struct scan){.range = {"n010", 4, "n020", 4, 1, 0}};
    check_scan(jini, &scan, 19, -1, 10);
    scan = (struct scan){.range = {.low = "n095", .low_length = 4}};
    check_scan(jini, &scan, 95, 1, 5);
    scan = (struct scan){.range = {.high = "n005", .high_length = 4, .backward = 1}};
    check_scan(jini, &scan, 4, -1, 5);
    scan = (struct scan){.range = {"n020", 4, "n010", 4, 0, 0}};
    check_scan(jini, &scan, 0, 1, 0);
    scan = (struct scan){.range = {"n020", 4, "n020", 4, 0, 0}};
    check_scan(jini, &scan, 0, 1, 0);
    scan = (struct scan){.stop_after = 3};
    CHECK_INT(jini_read(jini, run_scan, &scan, NULL), ==, 77);
    CHECK_INT(scan.seen, ==, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Stamps ---- */

struct stamps {
    uint64_t first;
    uint64_t second;
    int result;
};

static int take_stamps(struct jini_txn *txn, void *argument)
{
    struct stamps *stamps = argument;
    int status = jini_txn_stamp(txn, &stamps->first);
    if (status == 0)
        status = jini_txn_stamp(txn, &stamps->second);
    return status ? status : stamps->result;
}

TEST(stamps_only_grow,
     "Stamps grow within a transaction, from one to the next, and after opening anew.")
{
    struct jini *jini = fixture_open();
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        struct stamps stamps = {.result = i % 3 == 1 ? JINI_E_CONFLICT : 0};
        CHECK_STATUS(write_with(jini, take_stamps, &stamps), stamps.result);
        if (stamps.result)
            continue;
        CHECK_UINT(stamps.first, >, last);
        CHECK_UINT(stamps.second, >, stamps.first);
        last = stamps.second;
        if (i % 5 == 4) {
            CHECK_OK(jini_close(jini, NULL, NULL));
            jini = fixture_open();
        }
    }
    struct stamps stamps = {0};
    CHECK(jini_read(jini, take_stamps, &stamps, NULL) < 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Functions that fail ---- */

static int fail_late(struct jini_txn *txn, void *argument)
{
    int status = jini_txn_put(txn, "one", 3, "x", 1);
    if (status == 0)
        status = jini_txn_put(txn, "two", 3, "x", 1);
    return status ? status : *(const int *)argument;
}

TEST(a_function_that_fails_late_leaves_nothing,
     "What a function wrote before it failed is undone, and its neighbours in the batch stay.")
{
    struct jini *jini = fixture_open();
    struct jini_error error;
    char value[8];
    static int results[] = {JINI_E_CONFLICT, JINI_E_NOT_FOUND, -12345, JINI_E_INVALID};
    struct record record = {"kept", 4, "x", 1};
    CHECK_OK(write_with(jini, put_record, &record));
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        CHECK_INT(write_with(jini, fail_late, &results[i]), ==, results[i]);
        struct reading reading = {"one", 3, value, sizeof(value), 0};
        CHECK_STATUS(jini_read(jini, get_record, &reading, &error), JINI_E_NOT_FOUND);
        reading.key = "two";
        CHECK_STATUS(jini_read(jini, get_record, &reading, &error), JINI_E_NOT_FOUND);
    }
    static int positive = 5;
    struct jini_write write;
    jini_request_init(&write);
    write.function = fail_late;
    write.argument = &positive;
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "function");
    struct reading reading = {"one", 3, value, sizeof(value), 0};
    CHECK_STATUS(jini_read(jini, get_record, &reading, &error), JINI_E_NOT_FOUND);
    reading = (struct reading){"kept", 4, value, sizeof(value), 0};
    CHECK_OK(jini_read(jini, get_record, &reading, &error));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int count_runs(struct jini_txn *txn, void *argument)
{
    unsigned *runs = argument;
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", (*runs)++);
    return jini_txn_put(txn, "runs", 4, text, (size_t)length);
}

static int answer_runs(struct jini_txn *txn, void *argument)
{
    unsigned *runs = argument;
    (void)txn;
    return (*runs)++ % 2 ? JINI_E_CONFLICT : 0;
}

TEST(a_function_that_cannot_be_repeated_is_found,
     "With store.run_twice other writes or another result the second time are JINI_E_UNREPEATABLE.")
{
    struct jini *jini = fixture_open();
    unsigned runs = 0;
    char value[8];
    CHECK_STATUS(write_with(jini, count_runs, &runs), JINI_E_UNREPEATABLE);
    CHECK_UINT(runs, >=, 2);
    struct reading reading = {"runs", 4, value, sizeof(value), 0};
    CHECK_STATUS(jini_read(jini, get_record, &reading, NULL), JINI_E_NOT_FOUND);
    runs = 0;
    CHECK_STATUS(write_with(jini, answer_runs, &runs), JINI_E_UNREPEATABLE);
    struct record record = {"k", 1, "v", 1};
    CHECK_OK(write_with(jini, put_record, &record));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(records_live_through_closing, "What a write returned for is there after opening anew.")
{
    struct jini *jini = fixture_open();
    char value[8];
    struct record record = {"k", 1, "v", 1};
    CHECK_OK(write_with(jini, put_record, &record));
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    struct reading reading = {"k", 1, value, sizeof(value), 0};
    CHECK_OK(jini_read(jini, get_record, &reading, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}
