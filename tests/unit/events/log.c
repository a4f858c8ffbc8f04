/* The rows of the log: what is written is read, and what is damaged is not believed. */
#include "events/events.h"

#include "harness.h"

#include <stdio.h>

static const struct store_format format = {.version = 1, .version_min = 1};

static struct store *open_memory(void)
{
    struct store_options options;
    struct store *store;
    store_options_init(&options);
    options.driver = STORE_DRIVER_MEMORY;
    options.run_twice = true;
    options.format = &format;
    CHECK_OK(store_open(&options, &store, NULL));
    return store;
}

static int op_append(struct store_txn *txn, void *argument)
{
    return events_append(txn, argument);
}

static void append(struct store *store, struct event *event)
{
    CHECK_OK(store_write(store, op_append, event));
}

static void append_job(struct store *store, enum event_type type, uint64_t user, const char *reason)
{
    struct event event;
    event_begin(&event, type, user, NULL);
    event_add_text(&event, EVENT_FIELD_REASON, reason);
    append(store, &event);
}

struct reading {
    struct jini_events_cursor cursor;
    struct jini_events_page page;
    struct jini_event events[64];
    char text[JINI_EVENT_PAYLOAD_MAX];
};

static void read_more(struct store *store, const struct jini_events_filter *filter,
                      struct reading *reading, uint32_t capacity)
{
    struct store_txn *txn;
    reading->page = (struct jini_events_page){.events = reading->events,
                                              .capacity = capacity,
                                              .text = reading->text,
                                              .text_capacity = sizeof(reading->text)};
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(events_list(txn, filter, &reading->cursor, &reading->page, NULL));
    store_read_end(txn);
}

TEST(events_come_back_in_order,
     "Each with its type, user, subject and payload; positions grow, also within one transaction.")
{
    static struct reading reading;
    struct store *store = open_memory();
    struct jini_id job = {{7, 7}};
    struct event own;
    struct event event;
    event_begin(&event, EVENT_JOB_ADMITTED, 5, &job);
    event_add_uint(&event, EVENT_FIELD_COST_CREDITS, 12);
    event_add_uint(&event, EVENT_FIELD_CREDITS, 0);
    append(store, &event);
    append_job(store, EVENT_JOB_FAILED, 6, "out of \"memory\"");
    event_begin(&own, EVENT_BY_NAME, 0, NULL);
    own.name = "image.liked";
    own.json = slice_of_text("{\"by\":3}");
    append(store, &own);
    read_more(store, NULL, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 3);
    CHECK_UINT(reading.cursor.ended, ==, 1);
    CHECK_TEXT(reading.events[0].type, "job.admitted");
    CHECK_TEXT(reading.events[0].payload, "{\"cost_credits\":12}");
    CHECK_UINT(reading.events[0].user_id, ==, 5);
    CHECK_BYTES(&reading.events[0].subject_id, &job, sizeof(job));
    CHECK_TEXT(reading.events[1].payload, "{\"reason\":\"out of \\\"memory\\\"\"}");
    CHECK_TEXT(reading.events[2].type, "image.liked");
    CHECK_TEXT(reading.events[2].payload, "{\"by\":3}");
    CHECK_UINT(reading.events[0].position, <, reading.events[1].position);
    CHECK_UINT(reading.events[1].position, <, reading.events[2].position);
    CHECK_UINT(reading.cursor.position, ==, reading.events[2].position);
    store_close(store);
}

TEST(a_listing_goes_on_where_it_stood,
     "In pages of any size all events come once; by types and users only those, and a page that "
     "filters all away moves on.")
{
    static struct reading reading;
    struct jini_events_filter filter = {.prefix_count = 2, .prefixes = {"user.", "job.f"}};
    struct store *store = open_memory();
    for (uint64_t i = 0; i < 90; i++)
        append_job(store, i % 3 ? EVENT_JOB_STARTED : EVENT_JOB_FAILED, 1 + i % 2, NULL);
    uint64_t seen = 0;
    reading.cursor = (struct jini_events_cursor){0};
    for (uint32_t size = 1; !reading.cursor.ended; size = size % 7 + 1) {
        read_more(store, NULL, &reading, size);
        seen += reading.page.count;
    }
    CHECK_UINT(seen, ==, 90);
    reading.cursor = (struct jini_events_cursor){0};
    read_more(store, &filter, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 30);
    filter.user_id = 2;
    reading.cursor = (struct jini_events_cursor){0};
    read_more(store, &filter, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 15);
    for (uint32_t i = 0; i < 15; i++)
        CHECK_TEXT(reading.events[i].type, "job.failed");
    append_job(store, EVENT_JOB_FAILED, 2, NULL);
    read_more(store, &filter, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 1);
    store_close(store);
}

TEST(a_page_is_full_when_its_text_is,
     "Payloads that do not fit together come in the next call; the longest fits by itself.")
{
    static struct reading reading;
    static char json[JINI_EVENT_PAYLOAD_MAX];
    struct store *store = open_memory();
    struct event event;
    memset(json, ' ', sizeof(json));
    json[0] = '{';
    json[JINI_EVENT_PAYLOAD_MAX - 2] = '}';
    json[JINI_EVENT_PAYLOAD_MAX - 1] = '\0';
    CHECK_OK(events_check_own("a", json, NULL));
    for (int i = 0; i < 3; i++) {
        event_begin(&event, EVENT_BY_NAME, 1, NULL);
        event.name = "a";
        event.json = slice_of_text(json);
        append(store, &event);
    }
    reading.cursor = (struct jini_events_cursor){0};
    for (int i = 0; i < 3; i++) {
        read_more(store, NULL, &reading, 64);
        CHECK_UINT(reading.page.count, ==, 1);
        CHECK_UINT(reading.events[0].payload_length, ==, JINI_EVENT_PAYLOAD_MAX - 1);
    }
    read_more(store, NULL, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 0);
    store_close(store);
}

TEST(what_applications_append_is_checked,
     "Types of the engine's words, odd bytes and lengths, and payloads that are no object.")
{
    static const char *const wrong[] = {
        "",  "job.x", "job", "user.created", "credits.",
        "A", "a b",   "a/b", "\xc3\xa9",     "12345678901234567890123456789012345678901234567x"};
    static const char *const right[] = {"a", "jobs.done", "image.liked", "x-1_2.y",
                                        "1234567890123456789012345678901234567890123456x"};
    struct jini_error error;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_STATUS(events_check_own(wrong[i], NULL, &error), JINI_E_INVALID);
        CHECK_TEXT(error.field, "type");
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        CHECK_OK(events_check_own(right[i], "{}", &error));
    CHECK_STATUS(events_check_own(NULL, NULL, &error), JINI_E_INVALID);
    CHECK_STATUS(events_check_own("a", "[]", &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "payload");
    static char big[JINI_EVENT_PAYLOAD_MAX + 1];
    memset(big, ' ', JINI_EVENT_PAYLOAD_MAX);
    CHECK_STATUS(events_check_own("a", big, &error), JINI_E_TOO_BIG);
}

struct row_of_bytes {
    uint64_t position;
    struct slice value;
};

static int op_put(struct store_txn *txn, void *argument)
{
    const struct row_of_bytes *row = argument;
    struct tuple key;
    event_key(row->position, &key);
    return store_put(txn, STORE_SPACE_EVENTS, tuple_key(&key), row->value);
}

static void check_kind(struct store *store, uint64_t position, const char *expected)
{
    struct store_txn *txn;
    struct tuple key;
    const char *kind;
    const char *what;
    event_key(position, &key);
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(events_check_row(txn, tuple_key(&key), &kind, &what));
    store_read_end(txn);
    CHECK_TEXT(kind ? kind : "", expected);
}

TEST(damaged_rows_hold_up_no_others,
     "Random bytes and cut rows are passed over by a listing, and named by the check.")
{
    static struct reading reading;
    struct store *store = open_memory();
    uint8_t bytes[64];
    append_job(store, EVENT_JOB_STARTED, 1, NULL);
    for (uint64_t i = 0; i < 500; i++) {
        size_t length = harness_random_below(sizeof(bytes));
        for (size_t j = 0; j < length; j++)
            bytes[j] = (uint8_t)harness_random();
        bytes[0] = (uint8_t)harness_random_below(3);
        bytes[1] = (uint8_t)harness_random_below(16);
        struct row_of_bytes row = {1 + i, slice_of(bytes, length)};
        CHECK_OK(store_write(store, op_put, &row));
    }
    CHECK_OK(store_write(store, op_put, &(struct row_of_bytes){600, slice_of(bytes, 0)}));
    check_kind(store, 600, "event_damaged");
    check_kind(store, 601, "");
    uint64_t last = 0;
    reading.cursor = (struct jini_events_cursor){0};
    while (!reading.cursor.ended) {
        read_more(store, NULL, &reading, 64);
        for (uint32_t i = 0; i < reading.page.count; i++) {
            CHECK_UINT(reading.events[i].position, >, last);
            last = reading.events[i].position;
        }
    }
    CHECK_TEXT(reading.events[reading.page.count - 1].type, "job.started");
    store_close(store);
}

TEST(a_type_of_a_newer_version_is_shown_as_unknown,
     "An event of a number that this version does not know is listed, with its payload.")
{
    static struct reading reading;
    struct store *store = open_memory();
    uint8_t row[EVENT_ROW_HEADER] = {1, 0, 0xe7, 3};
    CHECK_OK(store_write(store, op_put, &(struct row_of_bytes){9, slice_of(row, sizeof(row))}));
    reading.cursor = (struct jini_events_cursor){0};
    read_more(store, NULL, &reading, 64);
    CHECK_UINT(reading.page.count, ==, 1);
    CHECK_TEXT(reading.events[0].type, "unknown");
    check_kind(store, 9, "");
    row[0] = 2;
    CHECK_OK(store_write(store, op_put, &(struct row_of_bytes){9, slice_of(row, sizeof(row))}));
    check_kind(store, 9, "event_damaged");
    store_close(store);
}

TEST(numbers_of_types_and_fields_are_their_own, "No number or name stands twice.")
{
    static const struct {
        uint32_t number;
        const char *name;
    } types[] =
        {
#define ROW(name, number, text) {number, text},
            JINI_EVENT_TYPE_MAP(ROW)},
      fields[] = {EVENT_FIELD_MAP(ROW)
#undef ROW
      };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        CHECK_UINT(types[i].number, <, JINI_EVENT_TYPES_RESERVED);
        CHECK_UINT(strlen(types[i].name), <, JINI_EVENT_TYPE_MAX);
        for (size_t j = 0; j < i; j++)
            CHECK(types[i].number != types[j].number && strcmp(types[i].name, types[j].name) != 0);
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        for (size_t j = 0; j < i; j++)
            CHECK(fields[i].number != fields[j].number &&
                  strcmp(fields[i].name, fields[j].name) != 0);
}
