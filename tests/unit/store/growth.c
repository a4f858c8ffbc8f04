/* Growth of the map, behind the gate. */
#include "fixture.h"
#include "store/store_private.h"

#include <pthread.h>
#include <sys/mman.h>

static struct store_options small_map(void)
{
    struct store_options options = fixture_options(STORE_DRIVER_LMDB);
    options.map_bytes = 1 << 20;
    options.map_bytes_max = UINT64_C(1) << 32;
    options.gate_wait_ms = 100;
    return options;
}

static struct store_figures figures_of(struct store *store)
{
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    return figures;
}

TEST(the_map_grows_with_the_data, "Data far beyond the first map is stored, and the map doubles.")
{
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    for (uint64_t i = 0; i < 40; i++)
        CHECK_OK(fixture_fill(store, i * 100, 100, 4000));
    struct store_figures figures = figures_of(store);
    CHECK_UINT(figures.map_bytes, >=, 16 << 20);
    CHECK_UINT(figures.map_growths, >=, 4);
    CHECK_UINT(figures.used_bytes, <=, figures.map_bytes);
    store_close(store);
    options.map_bytes = 1 << 20; /* less than there is */
    store = fixture_open_with(&options);
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 3999)));
    store_read_end(txn);
    CHECK_OK(fixture_fill(store, 4000, 500, 4000));
    store_close(store);
}

TEST(one_op_may_outgrow_the_map,
     "An op that needs many times the map is stored after it has grown.")
{
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    CHECK_OK(fixture_fill(store, 0, 3000, 8000));
    CHECK_UINT(figures_of(store).map_bytes, >=, 24 << 20);
    store_close(store);
}

static int op_stamped(struct store_txn *txn, void *argument)
{
    (void)argument;
    uint8_t key[8];
    uint64_t stamp;
    CHECK_OK(store_stamp(txn, &stamp));
    return store_put(txn, STORE_SPACE_QUEUE, fixture_number_key(key, stamp), slice_of(key, 8));
}

TEST(a_stamp_may_be_what_outgrows_the_map, "When the last write of a commit, the stamp, is the one "
                                           "that finds the map full, the map grows.")
{
    struct store_options options = small_map();
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    for (int i = 0; i < 8000; i++)
        CHECK_OK(store_write(store, op_stamped, NULL));
    struct store_figures figures = figures_of(store);
    CHECK(!figures.full);
    store_close(store);
}

struct growing {
    struct store *store;
    struct fixture_write write;
    struct fixture_fill fill;
    unsigned begun;
    uint64_t most;
};

/* Has the map outgrown while the check is at its first page, and stays there until growth waits. */
static bool grow_once(void *context, uint64_t done, uint64_t total)
{
    struct growing *growing = context;
    CHECK_UINT(done, <=, total);
    growing->most = done > growing->most ? done : growing->most;
    if (done > 0 || growing->begun++ > 0)
        return true;
    fixture_prepare(&growing->write, fixture_op_fill, &growing->fill);
    CHECK_OK(store_submit(growing->store, &growing->write.write));
    for (int i = 0; i < 4000 && atomic_load(&growing->store->gate_closed) == 0; i++)
        fixture_sleep_ms(1);
    CHECK(atomic_load(&growing->store->gate_closed));
    return true;
}

TEST(verify_gives_way_to_growth,
     "A check of the data file lets the map grow meanwhile, begins anew and ends well.")
{
    struct store_options options = small_map();
    options.gate_wait_ms = 5000;
    struct store *store = fixture_open_with(&options);
    struct growing growing = {.store = store, .fill = {1000, 1000, 8000}};
    struct store_watch watch = {grow_once, &growing};
    struct jini_error error;
    CHECK_OK(fixture_fill(store, 0, 150, 4000));
    CHECK_OK(store_verify(store, &watch, &error));
    CHECK_OK(fixture_wait(&growing.write));
    CHECK_UINT(growing.begun, ==, 2);
    CHECK_UINT(growing.most, >=, 100);
    CHECK_UINT(figures_of(store).map_growths, >=, 1);
    store_close(store);
}

static bool end_late(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done < total / 2;
}

TEST(verify_ends_when_it_is_told, "A check whose watch says so ends with JINI_E_CANCELLED.")
{
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    struct store_watch watch = {end_late, NULL};
    struct jini_error error;
    CHECK_OK(fixture_fill(store, 0, 1000, 1000));
    CHECK_STATUS(store_verify(store, &watch, &error), JINI_E_CANCELLED);
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
}

TEST(growth_waits_for_a_snapshot_up_to_its_bound,
     "With a snapshot open for longer than gate_wait_ms, the batch fails with JINI_E_BUSY, and the "
     "snapshot and all after it are as if nothing had been.")
{
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    struct store_txn *txn;
    fixture_put(store, "k", "v");
    CHECK_OK(store_read_begin(store, &txn));
    uint64_t begin = fixture_ms();
    CHECK_STATUS(fixture_fill(store, 0, 1000, 4000), JINI_E_BUSY);
    CHECK_UINT(fixture_ms() - begin, >=, 100);
    CHECK_TEXT(fixture_read_text(txn, "k"), "v");
    struct store_txn *second;
    CHECK_OK(store_read_begin(store, &second));
    CHECK_TEXT(fixture_read_text(second, "k"), "v");
    store_read_end(second);
    store_read_end(txn);
    CHECK_OK(fixture_fill(store, 0, 1000, 4000));
    store_close(store);
}

struct late_end {
    struct store_txn *txn;
    unsigned after_ms;
};

static void *end_later(void *argument)
{
    struct late_end *late = argument;
    fixture_sleep_ms(late->after_ms);
    CHECK_TEXT(fixture_read_text(late->txn, "k"), "v");
    store_read_end(late->txn);
    return NULL;
}

TEST(growth_goes_on_when_the_snapshot_ends,
     "A snapshot that ends within gate_wait_ms delays growth and nothing else.")
{
    struct store_options options = small_map();
    options.gate_wait_ms = 20000;
    struct store *store = fixture_open_with(&options);
    struct late_end late = {.after_ms = 50};
    pthread_t thread;
    fixture_put(store, "k", "v");
    CHECK_OK(store_read_begin(store, &late.txn));
    CHECK(pthread_create(&thread, NULL, end_later, &late) == 0);
    CHECK_OK(fixture_fill(store, 0, 1000, 4000));
    pthread_join(thread, NULL);
    CHECK_TEXT(fixture_text(store, "k"), "v");
    store_close(store);
}

/* Readers in threads while the map grows many times. */

struct hammer {
    struct store *store;
    _Atomic bool stop;
    _Atomic uint64_t reads;
};

static void *read_all_the_time(void *argument)
{
    struct hammer *hammer = argument;
    while (!atomic_load(&hammer->stop)) {
        struct store_txn *txn;
        int status = store_read_begin(hammer->store, &txn);
        if (status == JINI_E_BUSY)
            continue;
        CHECK_OK(status);
        CHECK_TEXT(fixture_read_text(txn, "k"), "v");
        store_read_end(txn);
        atomic_fetch_add(&hammer->reads, 1);
    }
    return NULL;
}

/* Fills `megabytes`, trying again what is busy. */
static void fill_megabytes(struct store *store, uint64_t first, uint64_t megabytes)
{
    for (uint64_t i = 0; i < megabytes * 8; i++) {
        int status = fixture_fill(store, first + i * 32, 32, 4000);
        if (status == JINI_E_BUSY)
            i--;
        else
            CHECK_OK(status);
    }
}

TEST(snapshots_live_across_growth,
     "Threads that read all the time survive a map that grows to 64 MiB.")
{
    struct store_options options = small_map();
    options.gate_wait_ms = 5000;
    struct store *store = fixture_open_with(&options);
    struct hammer hammer = {.store = store};
    pthread_t threads[4];
    fixture_put(store, "k", "v");
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, read_all_the_time, &hammer) == 0);
    fill_megabytes(store, 0, 40);
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(atomic_load(&hammer.reads), >, 0);
    CHECK_UINT(figures_of(store).map_growths, >=, 5);
    store_close(store);
}

/* Two processes. */

struct pair {
    struct fixture_flag ready;
    struct fixture_flag grown;
};

static void hold_a_snapshot(void *argument)
{
    struct pair *pair = argument;
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_TEXT(fixture_read_text(txn, "k"), "v");
    fixture_raise(pair->ready);
    fixture_await(pair->grown);
    CHECK_TEXT(fixture_read_text(txn, "k"), "v");
    /*
     * A new snapshot needs the larger map, which this process may not adopt while it has the old
     * one.
     */
    struct store_txn *second;
    CHECK_STATUS(store_read_begin(store, &second), JINI_E_BUSY);
    CHECK_TEXT(fixture_read_text(txn, "k"), "v");
    store_read_end(txn);
    CHECK_TEXT(fixture_text(store, "k"), "w");
    fixture_put(store, "k", "x");
    store_close(store);
}

TEST(growth_with_an_open_reader_in_another_process,
     "A process grows the map while another has a snapshot open, which reads on undisturbed; the "
     "other process adopts the size with its next transaction.")
{
    struct pair pair = {fixture_flag(), fixture_flag()};
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "k", "v");
    store_close(store);
    pid_t pid = fixture_spawn(hold_a_snapshot, &pair);
    store = fixture_open_with(&options);
    fixture_await(pair.ready);
    fill_megabytes(store, 0, 8);
    fixture_put(store, "k", "w");
    CHECK_UINT(figures_of(store).map_growths, >=, 3);
    fixture_raise(pair.grown);
    harness_wait_exit(pid, 0);
    CHECK_TEXT(fixture_text(store, "k"), "x");
    store_close(store);
}

struct grower {
    uint64_t first;
    uint64_t megabytes;
};

static void grow_and_read(void *argument)
{
    const struct grower *grower = argument;
    struct store_options options = small_map();
    options.gate_wait_ms = 10000;
    struct store *store = fixture_open_with(&options);
    struct hammer hammer = {.store = store};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, read_all_the_time, &hammer) == 0);
    fill_megabytes(store, grower->first, grower->megabytes);
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    store_close(store);
}

TEST(
    two_processes_grow_one_map,
    "Two processes that write, read on threads and grow the map, each adopting what the other did.")
{
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "k", "v");
    store_close(store);
    struct grower growers[2] = {{0, 24}, {1000000, 24}};
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
        pids[i] = fixture_spawn(grow_and_read, &growers[i]);
    for (int i = 0; i < 2; i++)
        harness_wait_exit(pids[i], 0);
    store = fixture_open_with(&options);
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    for (uint64_t i = 0; i < 24 * 256; i++) {
        CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, i)));
        CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 1000000 + i)));
    }
    store_read_end(txn);
    struct jini_error error;
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
}

/*
 * An op of this process is running while one of its readers finds the map grown by another process.
 */

static void hold_the_gate(void *argument)
{
    struct pair *pair = argument;
    struct store_options options = small_map();
    options.gate_wait_ms = 5000;
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    struct hammer hammer = {.store = store};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, read_all_the_time, &hammer) == 0);
    fixture_raise(pair->ready);
    for (uint64_t i = 0; !fixture_await_ms(pair->grown, 0); i++)
        CHECK_OK(fixture_fill(store, 5000000 + i % 50, 5, 100)); /* an op that walks old pages */
    atomic_store(&hammer.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    store_close(store);
}

TEST(
    a_reader_that_adopts_a_map_waits_for_the_writer,
    "Readers that find the map grown elsewhere never take it from under a transaction of their own "
    "process.")
{
    struct pair pair = {fixture_flag(), fixture_flag()};
    struct store_options options = small_map();
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "k", "v");
    store_close(store);
    pid_t pid = fixture_spawn(hold_the_gate, &pair);
    options.gate_wait_ms = 5000;
    store = fixture_open_with(&options);
    fixture_await(pair.ready);
    fill_megabytes(store, 0, 30);
    fixture_raise(pair.grown);
    harness_wait_exit(pid, 0);
    store_close(store);
}

TEST(
    a_map_that_finds_no_address_space_leaves_things_as_they_are,
    "When the larger map cannot be had, the batch fails and the store goes on with the map it has.")
{
    if (harness_sanitized())
        harness_skip("the sanitizers keep the address space for themselves");
    struct store_options options = small_map();
    options.map_bytes = UINT64_C(1) << 22;
    options.map_bytes_max = UINT64_C(1) << 46;
    struct store *store = fixture_open_with(&options);
    fixture_put(store, "k", "v");
    /* Takes the address space, down to pieces of 1 MiB. */
    for (uint64_t bytes = UINT64_C(1) << 46; bytes >= UINT64_C(1) << 20; bytes /= 2) {
        while (mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
               MAP_FAILED)
            continue;
    }
    CHECK_STATUS(fixture_fill(store, 0, 2000, 8000), JINI_E_NO_MEMORY);
    CHECK_TEXT(fixture_text(store, "k"), "v");
    fixture_put(store, "k", "w");
    CHECK_OK(store_health(store, NULL));
    store_close(store);
}
