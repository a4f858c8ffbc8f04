/* The queue of writes: deadlines, cancelling, bounds, batches, closing. On every driver. */
#include "fixture.h"

#include <pthread.h>

/* A thread that does the store's housekeeping more often than anybody would. */
struct ticker {
    struct store *store;
    pthread_t thread;
    _Atomic bool stopped;
};

STORE_TEST(a_write_past_its_deadline_is_not_run,
           "A write still queued at its deadline completes with JINI_E_TIMEOUT and writes nothing.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write late;
    struct fixture_write early;
    struct fixture_pair late_pair = fixture_pair("late", "1");
    struct fixture_pair early_pair = fixture_pair("early", "1");
    uint64_t now = clock_boot_ns(&clock_system);
    fixture_block(store, &blocker);
    fixture_prepare(&late, fixture_op_put, &late_pair);
    late.write.deadline_ns = now + 20 * NS_PER_MS;
    fixture_prepare(&early, fixture_op_put, &early_pair);
    early.write.deadline_ns = now + 60000 * NS_PER_MS;
    CHECK_OK(store_submit(store, &late.write));
    CHECK_OK(store_submit(store, &early.write));
    fixture_sleep_ms(40);
    fixture_release(&blocker);
    CHECK_STATUS(fixture_wait(&late), JINI_E_TIMEOUT);
    CHECK_OK(fixture_wait(&early));
    CHECK_TEXT(fixture_text(store, "late"), "-");
    CHECK_TEXT(fixture_text(store, "early"), "1");
    store_close(store);
}

static void *tick_until_stopped(void *argument)
{
    struct ticker *ticker = argument;
    while (!atomic_load(&ticker->stopped)) {
        store_tick(ticker->store);
        fixture_sleep_ms(1);
    }
    return NULL;
}

static void tick_begin(struct ticker *ticker, struct store *store)
{
    ticker->store = store;
    atomic_store(&ticker->stopped, false);
    CHECK(pthread_create(&ticker->thread, NULL, tick_until_stopped, ticker) == 0);
}

static void tick_end(struct ticker *ticker)
{
    atomic_store(&ticker->stopped, true);
    pthread_join(ticker->thread, NULL);
}

STORE_TEST(
    a_tick_sweeps_the_queue_of_a_busy_writer,
    "While a write runs, one that is late and one that is cancelled complete, what is neither "
    "waits on, and nothing of the first two is written.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write late;
    struct fixture_write cancelled;
    struct fixture_write early;
    struct fixture_pair pairs[3] = {fixture_pair("late", "1"), fixture_pair("cancelled", "1"),
                                    fixture_pair("early", "1")};
    struct ticker ticker;
    uint64_t now = clock_boot_ns(&clock_system);
    fixture_block(store, &blocker);
    fixture_prepare(&late, fixture_op_put, &pairs[0]);
    late.write.deadline_ns = now + 100 * NS_PER_MS;
    fixture_prepare(&cancelled, fixture_op_put, &pairs[1]);
    fixture_prepare(&early, fixture_op_put, &pairs[2]);
    early.write.deadline_ns = now + 60000 * NS_PER_MS;
    CHECK_OK(store_submit(store, &late.write));
    CHECK_OK(store_submit(store, &cancelled.write));
    CHECK_OK(store_submit(store, &early.write));
    store_cancel(store, &cancelled.write);
    tick_begin(&ticker, store);
    CHECK_STATUS(fixture_wait(&cancelled), JINI_E_CANCELLED);
    CHECK_STATUS(fixture_wait(&late), JINI_E_TIMEOUT);
    CHECK_UINT(clock_boot_ns(&clock_system), >=, late.write.deadline_ns);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.queue_ops, ==, 1);
    CHECK_INT(atomic_load(&early.calls), ==, 0);
    CHECK_INT(atomic_load(&blocker.write.calls), ==, 0);
    fixture_release(&blocker);
    CHECK_OK(fixture_wait(&early));
    tick_end(&ticker);
    CHECK_TEXT(fixture_text(store, "late"), "-");
    CHECK_TEXT(fixture_text(store, "cancelled"), "-");
    CHECK_TEXT(fixture_text(store, "early"), "1");
    store_close(store);
}

struct slow_done {
    struct fixture_write write;
    struct store *store;
    struct fixture_write next;
    int answer; /* of a blocking write in `done` */
    _Atomic bool entered;
};

static void submit_and_linger(struct store_write *write)
{
    struct slow_done *slow = (struct slow_done *)(void *)write;
    struct fixture_pair pair = fixture_pair("blocking", "1");
    CHECK_OK(store_submit(slow->store, &slow->next.write));
    slow->answer = store_write(slow->store, fixture_op_put, &pair);
    atomic_store(&slow->entered, true);
    fixture_sleep_ms(50);
    fixture_done(write);
}

STORE_TEST(
    stopping_waits_for_a_tick,
    "A callback in a tick may submit and may not block, and has returned when store_stop() has.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct slow_done slow = {.store = store};
    struct fixture_pair pair = fixture_pair("a", "1");
    struct ticker ticker;
    fixture_block(store, &blocker);
    fixture_prepare(&slow.next, fixture_op_put, &pair);
    fixture_prepare(&slow.write, fixture_op_put, &pair);
    slow.write.write.done = submit_and_linger;
    CHECK_OK(store_submit(store, &slow.write.write));
    store_cancel(store, &slow.write.write);
    tick_begin(&ticker, store);
    while (!atomic_load(&slow.entered))
        fixture_sleep_ms(1);
    atomic_store(&blocker.released, true);
    store_stop(store);
    CHECK_INT(atomic_load(&slow.write.calls), ==, 1);
    CHECK_STATUS(slow.write.write.status, JINI_E_CANCELLED);
    CHECK_STATUS(slow.answer, JINI_E_ON_LOOP);
    CHECK_INT(atomic_load(&slow.next.calls), ==, 1);
    CHECK_INT(atomic_load(&blocker.write.calls), ==, 1);
    tick_end(&ticker);
    store_close(store);
}

STORE_TEST(a_deadline_in_the_past_is_told_at_once,
           "A write submitted after its own deadline completes with JINI_E_TIMEOUT.")
{
    struct store *store = fixture_open(driver);
    struct fixture_write late;
    struct fixture_pair pair = fixture_pair("late", "1");
    fixture_prepare(&late, fixture_op_put, &pair);
    late.write.deadline_ns = 1;
    CHECK_OK(store_submit(store, &late.write));
    CHECK_STATUS(fixture_wait(&late), JINI_E_TIMEOUT);
    CHECK_TEXT(fixture_text(store, "late"), "-");
    store_close(store);
}

STORE_TEST(a_queued_write_can_be_cancelled,
           "A write cancelled while it waits completes with JINI_E_CANCELLED and writes nothing.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write writes[5];
    struct fixture_pair pairs[5] = {fixture_pair("0", "1"), fixture_pair("1", "1"),
                                    fixture_pair("2", "1"), fixture_pair("3", "1"),
                                    fixture_pair("4", "1")};
    fixture_block(store, &blocker);
    for (int i = 0; i < 5; i++) {
        fixture_prepare(&writes[i], fixture_op_put, &pairs[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    store_cancel(store, &writes[0].write);
    store_cancel(store, &writes[2].write);
    store_cancel(store, &writes[4].write);
    store_cancel(store, &writes[4].write);
    fixture_release(&blocker);
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(fixture_wait(&writes[i]), i % 2 == 0 ? JINI_E_CANCELLED : 0);
    CHECK_TEXT(fixture_text(store, "2"), "-");
    CHECK_TEXT(fixture_text(store, "3"), "1");
    store_close(store);
}

STORE_TEST(cancelling_what_runs_changes_nothing,
           "A write that runs, or has completed, goes on as if it had not been cancelled.")
{
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write write;
    struct fixture_pair pair = fixture_pair("a", "1");
    fixture_block(store, &blocker);
    store_cancel(store, &blocker.write.write);
    fixture_release(&blocker);
    fixture_prepare(&write, fixture_op_put, &pair);
    CHECK_OK(store_submit(store, &write.write));
    CHECK_OK(fixture_wait(&write));
    store_cancel(store, &write.write);
    CHECK_OK(fixture_wait(&write));
    CHECK_TEXT(fixture_text(store, "a"), "1");
    store_close(store);
}

STORE_TEST(
    the_queue_is_bounded_in_ops,
    "A submit beyond queue_ops_max is JINI_E_BUSY, never calls back, and leaves the rest alone.")
{
    struct store_options options = fixture_options(driver);
    options.queue_ops_max = 4;
    struct store *store = fixture_open_with(&options);
    struct fixture_blocker blocker;
    struct fixture_write writes[5];
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_block(store, &blocker);
    for (int i = 0; i < 5; i++) {
        fixture_prepare(&writes[i], fixture_op_add, &one);
        CHECK_STATUS(store_submit(store, &writes[i].write), i < 4 ? 0 : JINI_E_BUSY);
    }
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.queue_ops, ==, 4);
    fixture_release(&blocker);
    for (int i = 0; i < 4; i++)
        CHECK_OK(fixture_wait(&writes[i]));
    CHECK_OK(store_submit(store, &writes[4].write));
    CHECK_OK(fixture_wait(&writes[4]));
    CHECK_UINT(fixture_number(store, 1), ==, 5);
    store_close(store);
}

STORE_TEST(
    the_queue_is_bounded_in_bytes,
    "A submit beyond queue_bytes_max is JINI_E_BUSY; one that can never fit is JINI_E_TOO_BIG.")
{
    struct store_options options = fixture_options(driver);
    options.queue_bytes_max = 1000;
    struct store *store = fixture_open_with(&options);
    struct fixture_blocker blocker;
    struct fixture_write writes[4];
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_block(store, &blocker);
    for (int i = 0; i < 4; i++) {
        fixture_prepare(&writes[i], fixture_op_add, &one);
        writes[i].write.bytes = i < 3 ? 400 : 1001;
        CHECK_STATUS(store_submit(store, &writes[i].write), i < 2    ? 0
                                                            : i == 2 ? JINI_E_BUSY
                                                                     : JINI_E_TOO_BIG);
    }
    store_cancel(store, &writes[0].write);
    fixture_release(&blocker);
    CHECK_STATUS(fixture_wait(&writes[0]), JINI_E_CANCELLED);
    CHECK_OK(fixture_wait(&writes[1]));
    CHECK_OK(store_submit(store, &writes[2].write));
    CHECK_OK(fixture_wait(&writes[2]));
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.queue_bytes, ==, 0);
    store_close(store);
}

/*
 * Runs `count` writes of `bytes` bytes as one queue and returns the number of commits that it took.
 */
static uint64_t commits_of(struct store *store, int count, size_t bytes)
{
    struct store_figures before;
    struct store_figures after;
    struct fixture_blocker blocker;
    struct fixture_write *writes = calloc((size_t)count, sizeof(*writes));
    struct fixture_fill *fills = calloc((size_t)count, sizeof(*fills));
    CHECK(writes && fills);
    CHECK_OK(store_figures(store, &before));
    fixture_block(store, &blocker);
    for (int i = 0; i < count; i++) {
        fills[i] = (struct fixture_fill){(uint64_t)i, 1, bytes};
        fixture_prepare(&writes[i], fixture_op_fill, &fills[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    fixture_release(&blocker);
    for (int i = 0; i < count; i++)
        CHECK_OK(fixture_wait(&writes[i]));
    CHECK_OK(store_figures(store, &after));
    free(writes);
    free(fills);
    return after.commits - before.commits;
}

/* Batches that a slow machine does not cut by their time. */
static struct store_options untimed_options(enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    options.batch_run_ms = 1000;
    return options;
}

STORE_TEST(a_queue_commits_together, "Writes that wait at the same time share one commit.")
{
    struct store_options options = untimed_options(driver);
    struct store *store = fixture_open_with(&options);
    CHECK_UINT(commits_of(store, 100, 10), ==, 1);
    store_close(store);
}

STORE_TEST(a_batch_is_bounded_in_ops, "No commit holds more than batch_ops_max ops.")
{
    struct store_options options = untimed_options(driver);
    options.batch_ops_max = 8;
    struct store *store = fixture_open_with(&options);
    CHECK_UINT(commits_of(store, 80, 10), ==, 10);
    store_close(store);
}

STORE_TEST(a_batch_is_bounded_in_bytes, "A commit ends when its ops have written batch_bytes_max.")
{
    struct store_options options = untimed_options(driver);
    options.batch_bytes_max = 10000;
    struct store *store = fixture_open_with(&options);
    CHECK_UINT(commits_of(store, 20, 5000), ==, 10);
    store_close(store);
}

static int op_slow(struct store_txn *txn, void *argument)
{
    fixture_sleep_ms(4);
    return fixture_op_put_number(txn, argument);
}

STORE_TEST(a_batch_is_bounded_in_time, "A commit ends when its ops have run for batch_run_ms.")
{
    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    options.batch_run_ms = 10;
    struct store *store = fixture_open_with(&options);
    struct fixture_blocker blocker;
    struct fixture_write writes[30];
    struct fixture_number numbers[30];
    fixture_block(store, &blocker);
    for (uint64_t i = 0; i < 30; i++) {
        numbers[i] = (struct fixture_number){STORE_SPACE_APPLICATION, i, i};
        fixture_prepare(&writes[i], op_slow, &numbers[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    fixture_release(&blocker);
    for (int i = 0; i < 30; i++)
        CHECK_OK(fixture_wait(&writes[i]));
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.commits, >=, 10); /* three ops of 4 ms each, at most */
    store_close(store);
}

STORE_TEST(
    closing_cancels_what_waits,
    "store_close() finishes the batch that runs and completes the rest with JINI_E_CANCELLED.")
{
    struct store_options options = fixture_options(driver);
    options.batch_ops_max = 1;
    struct store *store = fixture_open_with(&options);
    struct fixture_blocker blocker;
    struct fixture_write writes[10];
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_block(store, &blocker);
    for (int i = 0; i < 10; i++) {
        fixture_prepare(&writes[i], fixture_op_add, &one);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    atomic_store(&blocker.released, true);
    store_close(store);
    CHECK_INT(atomic_load(&blocker.write.calls), ==, 1);
    CHECK_OK(blocker.write.write.status);
    unsigned cancelled = 0;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(atomic_load(&writes[i].calls), ==, 1);
        cancelled += writes[i].write.status == JINI_E_CANCELLED;
        CHECK(writes[i].write.status == 0 || writes[i].write.status == JINI_E_CANCELLED);
    }
    CHECK_UINT(cancelled, >=, 1);
}

struct chain {
    struct store *store;
    struct store_write write;
    struct fixture_number number;
    _Atomic int left;
};

static void done_and_submit(struct store_write *write)
{
    struct chain *chain = (struct chain *)((char *)write - offsetof(struct chain, write));
    CHECK_OK(write->status);
    if (atomic_fetch_sub(&chain->left, 1) > 1)
        CHECK_OK(store_submit(chain->store, write));
}

STORE_TEST(a_callback_may_submit_again, "A write may be submitted again from its own callback.")
{
    struct store *store = fixture_open(driver);
    struct chain chain = {.store = store, .number = {STORE_SPACE_APPLICATION, 1, 1}, .left = 200};
    chain.write = (struct store_write){
        .op = fixture_op_add, .argument = &chain.number, .done = done_and_submit};
    CHECK_OK(store_submit(store, &chain.write));
    while (atomic_load(&chain.left) > 0)
        fixture_sleep_ms(1);
    CHECK_UINT(fixture_number(store, 1), ==, 200);
    store_close(store);
}

/* Many threads, with deadlines and cancels thrown in. */

enum { THREADS = 16, PER_THREAD = 300 };

struct crowd {
    struct store *store;
    uint64_t seed;
    uint64_t succeeded;
};

static void *run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    struct fixture_write writes[8];
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    for (int round = 0; round < PER_THREAD / 8; round++) {
        bool queued[8];
        for (int i = 0; i < 8; i++) {
            crowd->seed = crowd->seed * 6364136223846793005u + 1442695040888963407u;
            fixture_prepare(&writes[i], fixture_op_add, &one);
            if (crowd->seed >> 60 == 1)
                writes[i].write.deadline_ns = clock_boot_ns(&clock_system) + NS_PER_MS / 2;
            int status = store_submit(crowd->store, &writes[i].write);
            CHECK(status == 0 || status == JINI_E_BUSY);
            queued[i] = status == 0;
            if (queued[i] && crowd->seed >> 60 == 2)
                store_cancel(crowd->store, &writes[i].write);
        }
        for (int i = 0; i < 8; i++) {
            int status = queued[i] ? fixture_wait(&writes[i]) : JINI_E_BUSY;
            CHECK(status == 0 || status == JINI_E_BUSY || status == JINI_E_TIMEOUT ||
                  status == JINI_E_CANCELLED);
            crowd->succeeded += status == 0;
        }
    }
    return NULL;
}

STORE_TEST(a_crowd_is_counted_exactly,
           "With many threads, deadlines, cancels and a tick that sweeps "
           "beside the writer, exactly the writes that succeeded are "
           "stored.")
{
    struct store_options options = fixture_options(driver);
    options.queue_ops_max = 64;
    struct store *store = fixture_open_with(&options);
    struct ticker ticker;
    tick_begin(&ticker, store);
    pthread_t threads[THREADS];
    struct crowd crowds[THREADS];
    uint64_t succeeded = 0;
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.store = store, .seed = harness_random()};
        CHECK(pthread_create(&threads[i], NULL, run_crowd, &crowds[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        succeeded += crowds[i].succeeded;
    }
    tick_end(&ticker);
    CHECK_UINT(fixture_number(store, 1), ==, succeeded);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.queue_ops, ==, 0);
    store_close(store);
}
