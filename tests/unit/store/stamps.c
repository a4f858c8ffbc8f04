/* Commit stamps: the order of everything, whatever the clocks say. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static uint64_t shifted_wall_ns(void *context)
{
    return clock_wall_ns(&clock_system) + (uint64_t) * (const int64_t *)context;
}

static uint64_t shifted_boot_ns(void *context)
{
    (void)context;
    return clock_boot_ns(&clock_system);
}

static struct jini_clock shifted_clock(int64_t *offset_ns)
{
    return (struct jini_clock){shifted_wall_ns, shifted_boot_ns, offset_ns};
}

/* An event: its stamp is its key, its source and number are its value. */
struct event {
    uint64_t source;
    uint64_t number;
    uint64_t stamp;
};

static int op_event(struct store_txn *txn, void *argument)
{
    struct event *event = argument;
    int status = store_stamp(txn, &event->stamp);
    if (status)
        return status;
    return fixture_put_number(txn, STORE_SPACE_JOBS, event->stamp,
                              event->source << 32 | event->number);
}

STORE_TEST(stamps_increase,
           "Every commit's stamps are larger than all before, near the wall clock.")
{
    struct store *store = fixture_open(driver);
    uint64_t last = clock_wall_ns(&clock_system) - NS_PER_S;
    for (uint64_t i = 0; i < 200; i++) {
        struct event event = {1, i, 0};
        CHECK_OK(store_write(store, op_event, &event));
        CHECK_UINT(event.stamp, >, last);
        CHECK_UINT(event.stamp, <, clock_wall_ns(&clock_system) + NS_PER_S);
        last = event.stamp;
    }
    store_close(store);
}

static int op_many_stamps(struct store_txn *txn, void *argument)
{
    uint64_t *last = argument;
    uint64_t first = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t stamp;
        CHECK_OK(store_stamp(txn, &stamp));
        CHECK_UINT(stamp, >, first);
        first = stamp;
    }
    *last = first;
    return fixture_put_number(txn, STORE_SPACE_JOBS, first, 0);
}

STORE_TEST(an_op_may_take_many_stamps, "The stamps of one op are all different, and in order.")
{
    struct store *store = fixture_open(driver);
    uint64_t last;
    struct event event = {1, 0, 0};
    CHECK_OK(store_write(store, op_many_stamps, &last));
    CHECK_OK(store_write(store, op_event, &event));
    CHECK_UINT(event.stamp, >, last);
    store_close(store);
}

STORE_TEST(a_clock_that_is_set_back_does_not_set_stamps_back,
           "With the wall clock set back an hour, stamps go on above the last one.")
{
    int64_t offset = 0;
    struct jini_clock clock = shifted_clock(&offset);
    struct store_options options = fixture_options(driver);
    options.clock = &clock;
    struct store *store = fixture_open_with(&options);
    struct event event = {1, 0, 0};
    uint64_t last = 0;
    for (uint64_t i = 0; i < 20; i++) {
        offset = i % 2 ? -3600 * (int64_t)NS_PER_S : 0;
        event.number = i;
        CHECK_OK(store_write(store, op_event, &event));
        CHECK_UINT(event.stamp, >, last);
        last = event.stamp;
    }
    store_close(store);
}

static int op_stamp_and_fail(struct store_txn *txn, void *argument)
{
    uint64_t stamp;
    (void)argument;
    CHECK_OK(store_stamp(txn, &stamp));
    return JINI_E_CONFLICT;
}

STORE_TEST(a_failed_op_leaves_stamps_in_order,
           "An op that took a stamp and failed disturbs nothing.")
{
    struct store *store = fixture_open(driver);
    struct event event = {1, 0, 0};
    uint64_t last = 0;
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_STATUS(store_write(store, op_stamp_and_fail, NULL), JINI_E_CONFLICT);
        CHECK_OK(store_write(store, op_event, &event));
        CHECK_UINT(event.stamp, >, last);
        last = event.stamp;
    }
    store_close(store);
}

TEST(stamps_go_on_after_reopening, "A database that is opened again by a process whose clock is "
                                   "behind goes on above its last stamp.")
{
    int64_t offset = 0;
    struct jini_clock clock = shifted_clock(&offset);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.clock = &clock;
    struct store *store = fixture_open_with(&options);
    struct event first = {1, 0, 0};
    struct event second = {1, 1, 0};
    CHECK_OK(store_write(store, op_event, &first));
    store_close(store);
    offset = -86400 * (int64_t)NS_PER_S;
    store = fixture_open_with(&options);
    CHECK_OK(store_write(store, op_event, &second));
    CHECK_UINT(second.stamp, ==, first.stamp + 1);
    store_close(store);
}

TEST(
    stamps_are_kept_by_a_compacting_copy,
    "In a copy, where LMDB counts its transactions anew, stamps go on above those of the original.")
{
    int64_t offset = 0;
    struct jini_clock clock = shifted_clock(&offset);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.clock = &clock;
    struct store *store = fixture_open_with(&options);
    struct event first = {1, 0, 0};
    struct event second = {1, 1, 0};
    struct jini_error error;
    for (int i = 0; i < 50; i++)
        CHECK_OK(store_write(store, op_event, &first));
    CHECK(mkdir("copy", 0700) == 0);
    CHECK_OK(store_copy(store, "copy/data.mdb", STORE_COPY_COMPACT, &error));
    store_close(store);
    offset = -86400 * (int64_t)NS_PER_S;
    options.directory = "copy";
    store = fixture_open_with(&options);
    CHECK_OK(store_write(store, op_event, &second));
    CHECK_UINT(second.stamp, ==, first.stamp + 1);
    store_close(store);
}

/* Two writers whose clocks differ by 10 s, and a consumer that reads behind them. */

enum { EVENTS = 400 };

struct source {
    uint64_t number;
    int64_t offset_ns;
};

static void write_events(void *argument)
{
    struct source *source = argument;
    struct jini_clock clock = shifted_clock(&source->offset_ns);
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.clock = &clock;
    struct store *store = fixture_open_with(&options);
    for (uint64_t i = 0; i < EVENTS; i++) {
        struct event event = {source->number, i, 0};
        CHECK_OK(store_write(store, op_event, &event));
    }
    store_close(store);
}

struct consumer {
    uint64_t last_stamp;
    uint64_t next[2]; /* the number that comes next of each source */
    uint64_t switches;
    uint64_t last_source;
};

/* Reads what lies behind the last stamp that it saw. */
static void consume(struct store *store, struct consumer *consumer)
{
    struct store_txn *txn;
    struct store_cursor cursor;
    uint8_t low[8];
    uint8_t bytes[8];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_JOBS,
                               fixture_number_key(low, consumer->last_stamp + 1), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    while (store_cursor_next(&cursor, &value) == 0) {
        uint64_t stamp = load_be64(cursor.key.data);
        uint64_t source = load_le64(bytes) >> 32;
        CHECK_UINT(stamp, >, consumer->last_stamp);
        CHECK_UINT(load_le64(bytes) & UINT32_MAX, ==, consumer->next[source]);
        consumer->next[source]++;
        consumer->last_stamp = stamp;
        consumer->switches += source != consumer->last_source;
        consumer->last_source = source;
    }
    store_cursor_close(&cursor);
    store_read_end(txn);
}

TEST(a_tailing_consumer_sees_each_event_once_and_in_order,
     "Events of two processes whose clocks differ by 10 s are read by stamp: each once, none late.")
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    store_close(fixture_open_with(&options));
    struct source sources[2] = {{0, 0}, {1, -10 * (int64_t)NS_PER_S}};
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
        pids[i] = fixture_spawn(write_events, &sources[i]);
    struct store *store = fixture_open_with(&options);
    struct consumer consumer = {0};
    while (consumer.next[0] < EVENTS || consumer.next[1] < EVENTS)
        consume(store, &consumer);
    for (int i = 0; i < 2; i++)
        harness_wait_exit(pids[i], 0);
    consume(store, &consumer);
    CHECK_UINT(consumer.next[0], ==, EVENTS);
    CHECK_UINT(consumer.next[1], ==, EVENTS);
    printf("     the sources took turns %" PRIu64 " times\n", consumer.switches);
    store_close(store);
}
