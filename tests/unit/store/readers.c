/* Snapshots: how many, how old, in how many threads. */
#include "fixture.h"

#include <pthread.h>

STORE_TEST(snapshots_are_bounded,
           "Beyond readers_max open snapshots another is JINI_E_BUSY, until one is ended.")
{
    struct store_options options = fixture_options(driver);
    options.readers_max = 3;
    struct store *store = fixture_open_with(&options);
    struct store_txn *txns[4];
    for (int i = 0; i < 3; i++)
        CHECK_OK(store_read_begin(store, &txns[i]));
    CHECK_STATUS(store_read_begin(store, &txns[3]), JINI_E_BUSY);
    CHECK(txns[3] == NULL);
    struct jini_error error;
    CHECK_STATUS(store_read_begin_explained(store, &txns[3], &error), JINI_E_BUSY);
    CHECK_TEXT(error.field, "store.readers_max");
    CHECK_CONTAINS(error.message, "all 3 snapshots");
    store_read_end(txns[1]);
    CHECK_OK(store_read_begin(store, &txns[3]));
    store_read_end(txns[0]);
    store_read_end(txns[2]);
    store_read_end(txns[3]);
    store_read_end(NULL);
    store_close(store);
}

STORE_TEST(a_snapshot_outlives_a_thousand_commits,
           "A snapshot reads its own state after 1,500 commits that replaced everything.")
{
    struct store *store = fixture_open(driver);
    struct store_txn *txn;
    CHECK_OK(fixture_fill(store, 0, 200, 100));
    fixture_put(store, "k", "old");
    CHECK_OK(store_read_begin(store, &txn));
    for (uint64_t i = 0; i < 1500; i++) {
        struct fixture_number number = {STORE_SPACE_APPLICATION, i % 200, i};
        CHECK_OK(store_write(store, fixture_op_put_number, &number));
    }
    fixture_put(store, "k", "new");
    CHECK_TEXT(fixture_read_text(txn, "k"), "old");
    struct store_cursor cursor;
    uint8_t bytes[100];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    for (int i = 0; i < 200; i++) {
        CHECK_OK(store_cursor_next(&cursor, &value));
        CHECK_UINT(value.length, ==, 100);
    }
    store_cursor_close(&cursor);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, 1);
    if (driver == STORE_DRIVER_LMDB)
        CHECK_UINT(figures.oldest_reader_lag, >=, 1500);
    store_read_end(txn);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, 0);
    CHECK_TEXT(fixture_text(store, "k"), "new");
    store_close(store);
}

static void *end_elsewhere(void *argument)
{
    struct store_txn *txn = argument;
    CHECK_TEXT(fixture_read_text(txn, "k"), "v");
    store_read_end(txn);
    return NULL;
}

STORE_TEST(a_snapshot_may_be_ended_on_another_thread,
           "A snapshot is bound to no thread: another one may read on it and end it.")
{
    struct store_options options = fixture_options(driver);
    options.readers_max = 1;
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "k", "v");
    for (int i = 0; i < 50; i++) {
        struct store_txn *txn;
        pthread_t thread;
        CHECK_OK(store_read_begin(store, &txn));
        CHECK(pthread_create(&thread, NULL, end_elsewhere, txn) == 0);
        pthread_join(thread, NULL);
    }
    store_close(store);
}

struct readers_case {
    struct fixture_flag opened;
    struct fixture_flag end;
    uint32_t snapshots;
};

static void hold_snapshots(void *argument)
{
    const struct readers_case *readers = argument;
    struct store_txn *txn;
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    for (uint32_t i = 0; i < readers->snapshots; i++)
        CHECK_OK(store_read_begin(store, &txn));
    fixture_raise(readers->opened);
    fixture_await(readers->end);
    store_close(store);
}

TEST(readers_of_the_dead_are_cleared_by_the_next_to_open,
     "Snapshots of a process that was killed are gone when another one has opened the database, "
     "before any tick, also while a third keeps the table of readers in use.")
{
    struct readers_case idle = {fixture_flag(), fixture_flag(), 0};
    struct readers_case doomed = {fixture_flag(), fixture_flag(), 5};
    struct store_figures figures;
    store_close(fixture_open(STORE_DRIVER_LMDB));
    pid_t idle_pid = fixture_spawn(hold_snapshots, &idle);
    fixture_await(idle.opened);
    pid_t doomed_pid = fixture_spawn(hold_snapshots, &doomed);
    fixture_await(doomed.opened);
    struct store *store = fixture_open(STORE_DRIVER_LMDB);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, 5);
    store_close(store);
    fixture_kill(doomed_pid);
    store = fixture_open(STORE_DRIVER_LMDB);
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, 0);
    store_close(store);
    fixture_raise(idle.end);
    harness_wait_exit(idle_pid, 0);
}

/* Two numbers that every commit keeps equal. */

struct hammer {
    struct store *store;
    _Atomic bool stop;
    _Atomic uint64_t reads;
};

static int op_raise_both(struct store_txn *txn, void *argument)
{
    (void)argument;
    for (uint64_t key = 1; key <= 2; key++) {
        struct fixture_number number = {STORE_SPACE_APPLICATION, key * 1000, 1};
        CHECK_OK(fixture_op_add(txn, &number));
    }
    return 0;
}

static void *read_both(void *argument)
{
    struct hammer *hammer = argument;
    uint64_t last = 0;
    while (!atomic_load(&hammer->stop)) {
        struct store_txn *txn;
        uint64_t first = 0;
        uint64_t second = 0;
        int status = store_read_begin(hammer->store, &txn);
        if (status == JINI_E_BUSY)
            continue;
        CHECK_OK(status);
        (void)fixture_get_number(txn, STORE_SPACE_APPLICATION, 1000, &first);
        (void)fixture_get_number(txn, STORE_SPACE_APPLICATION, 2000, &second);
        store_read_end(txn);
        CHECK_UINT(first, ==, second);
        CHECK_UINT(first, >=, last);
        last = first;
        atomic_fetch_add(&hammer->reads, 1);
    }
    return NULL;
}

STORE_TEST(readers_see_whole_commits,
           "Readers on many threads, more than there are snapshots, see no half of a commit.")
{
    struct store_options options = fixture_options(driver);
    options.readers_max = 4;
    struct store *store = fixture_open_with(&options);
    struct hammer hammer = {.store = store};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, read_both, &hammer) == 0);
    for (int i = 0; i < 300; i++)
        CHECK_OK(store_write(store, op_raise_both, NULL));
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(fixture_number(store, 1000), ==, 300);
    CHECK_UINT(atomic_load(&hammer.reads), >, 0);
    store_close(store);
}

STORE_TEST(a_reader_does_not_wait_for_the_writer, "Reads go on while an op is running for long.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    fixture_put(store, "k", "v");
    fixture_block(store, &blocker);
    CHECK_TEXT(fixture_text(store, "k"), "v");
    fixture_release(&blocker);
    store_close(store);
}
