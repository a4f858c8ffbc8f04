/* Signals: who waits for a commit is woken by it, in any process. */
#include "shared.h"

#include <pthread.h>

enum { ROUNDS = 3000, PLAYERS = 2, BALL = 1, LATE_MS = 1500 };

static int op_pass(struct store_txn *txn, void *argument)
{
    store_signal(txn, STORE_SHARED_EVENTS);
    return fixture_op_add(txn, argument);
}

static void pass(struct store *store)
{
    struct fixture_number one = {STORE_SPACE_APPLICATION, BALL, 1};
    CHECK_OK(store_write(store, op_pass, &one));
}

static uint64_t now_ms(void)
{
    return clock_boot_ns(&clock_system) / NS_PER_MS;
}

/* Waits until the number is this player's to raise. */
static void await_turn(struct store *store, uint64_t player)
{
    for (;;) {
        uint32_t seen = store_signal_seen(store, STORE_SHARED_EVENTS);
        if (fixture_number(store, BALL) % PLAYERS == player)
            return;
        uint64_t begin = now_ms();
        store_signal_wait(store, STORE_SHARED_EVENTS, seen, 60000);
        CHECK_UINT(now_ms() - begin, <, LATE_MS);
    }
}

static void play(struct store *store, uint64_t player)
{
    for (int i = 0; i < ROUNDS; i++) {
        await_turn(store, player);
        pass(store);
    }
}

static void play_in_a_child(void *argument)
{
    (void)argument;
    struct store *store = open_shared();
    play(store, 1);
    store_close(store);
}

TEST(no_signal_is_lost,
     "Two processes that wait for each other's commits, thousands of times, are woken by each.")
{
    pid_t pid = fixture_spawn(play_in_a_child, NULL);
    struct store *store = open_shared();
    play(store, 0);
    harness_wait_exit(pid, 0);
    CHECK_UINT(fixture_number(store, BALL), ==, 2 * ROUNDS);
    store_close(store);
}

static void *wait_on_thread(void *argument)
{
    struct store *store = argument;
    uint32_t seen = store_signal_seen(store, STORE_SHARED_EVENTS);
    if (fixture_number(store, BALL) == 0)
        store_signal_wait(store, STORE_SHARED_EVENTS, seen, 60000);
    return NULL;
}

STORE_TEST(all_who_wait_are_woken, "One commit wakes every thread.")
{
    pthread_t threads[8];
    struct store *store = fixture_open(driver);
    uint64_t begin = now_ms();
    for (int i = 0; i < 8; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, wait_on_thread, store), ==, 0);
    pass(store);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(now_ms() - begin, <, LATE_MS);
    store_close(store);
}

static int op_fail(struct store_txn *txn, void *argument)
{
    (void)argument;
    store_signal(txn, STORE_SHARED_EVENTS);
    return JINI_E_CONFLICT;
}

STORE_TEST(what_commits_nothing_signals_nothing,
           "A commit signals once whatever was asked, an op that fails alone does not, and one "
           "outside of ops does.")
{
    struct store *store = fixture_open(driver);
    uint32_t before = store_signal_seen(store, STORE_SHARED_EVENTS);
    CHECK_STATUS(store_write(store, op_fail, NULL), JINI_E_CONFLICT);
    CHECK_UINT(store_signal_seen(store, STORE_SHARED_EVENTS), ==, before);
    fixture_put(store, "other", "1");
    CHECK_UINT(store_signal_seen(store, STORE_SHARED_EVENTS), ==, before);
    pass(store);
    CHECK_UINT(store_signal_seen(store, STORE_SHARED_EVENTS), ==, before + 1);
    store_signal_now(store, STORE_SHARED_EVENTS);
    CHECK_UINT(store_signal_seen(store, STORE_SHARED_EVENTS), ==, before + 2);
    uint64_t begin = now_ms();
    store_signal_wait(store, STORE_SHARED_EVENTS, before, 60000); /* another value: at once */
    store_signal_wait(store, STORE_SHARED_EVENTS, before + 2, 10);
    CHECK_UINT(now_ms() - begin, <, LATE_MS);
    store_close(store);
}
