/* A store about to close: how long it waits for its turn to write. */
#include "shared.h"

#include "store/store_private.h"

#include <pthread.h>

TEST(a_store_about_to_close_does_not_wait_for_ever,
     "Its wait bounded, a store cancels what waits behind a stopped process, and what is submitted "
     "after that without another wait of that length; with the lock free again it writes.")
{
    enum { BOUND_MS = 300, LATER = 20 };
    struct holder holder = new_holder();
    store_close(open_shared());
    pid_t pid = fixture_spawn(hold_the_lock, &holder);
    fixture_await(holder.inside);
    fixture_stop(pid);
    struct store *store = open_shared();
    struct fixture_write write;
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    uint64_t begin = fixture_ms();
    fixture_prepare(&write, fixture_op_add, &one);
    CHECK_OK(store_submit(store, &write.write));
    fixture_sleep_ms(BOUND_MS);
    store_bound_wait(store, BOUND_MS);
    CHECK_STATUS(fixture_wait(&write), JINI_E_CANCELLED);
    CHECK_UINT(fixture_ms() - begin, >=, 2 * BOUND_MS);
    begin = fixture_ms();
    for (int i = 0; i < LATER; i++)
        CHECK_STATUS(store_write(store, fixture_op_add, &one), JINI_E_CANCELLED);
    CHECK_UINT(fixture_ms() - begin, <, LATER * BOUND_MS / 2);
    fixture_raise(holder.go_on);
    CHECK(kill(pid, SIGCONT) == 0);
    fixture_await(holder.completed);
    CHECK_OK(store_write(store, fixture_op_add, &one));
    CHECK_UINT(fixture_number(store, 1), ==, 112);
    harness_wait_exit(pid, 0);
    store_close(store);
}

/* A clock that holds up the thread of a tick once, behind its look at the time. */
static _Thread_local bool held_up;
static _Atomic bool looked;
static _Atomic bool bounded;

static uint64_t boot_ns_of_a_slow_tick(void *context)
{
    (void)context;
    uint64_t now_ns = clock_boot_ns(&clock_system);
    if (!held_up)
        return now_ns;
    held_up = false;
    atomic_store(&looked, true);
    for (int i = 0; i < 100 && !atomic_load(&bounded); i++)
        fixture_sleep_ms(2); /* in vain where the tick looks with the lock of the queue */
    return now_ns;
}

static uint64_t real_wall_ns(void *context)
{
    (void)context;
    return clock_wall_ns(&clock_system);
}

static const struct jini_clock slow_tick_clock = {real_wall_ns, boot_ns_of_a_slow_tick, NULL};

static void *tick_slowly(void *argument)
{
    held_up = true;
    store_tick(argument);
    return NULL;
}

static void wait_for_the_turn(struct store *store)
{
    uint64_t since_ns = 0;
    while (since_ns == 0) {
        fixture_sleep_ms(1);
        pthread_mutex_lock(&store->lock);
        since_ns = store->waits_since_ns;
        pthread_mutex_unlock(&store->lock);
    }
}

/* A store with a write that waits behind that of another process, which has the turn. */
struct waiting {
    struct holder holder;
    pid_t pid;
    struct store *store;
    struct fixture_write write;
    struct fixture_number one;
};

static void wait_behind_another(struct waiting *waiting, const struct jini_clock *clock)
{
    struct store_options options = shared_options();
    options.clock = clock;
    waiting->holder = new_holder();
    waiting->one = (struct fixture_number){STORE_SPACE_APPLICATION, 1, 1};
    store_close(open_shared());
    waiting->pid = fixture_spawn(hold_the_lock, &waiting->holder);
    fixture_await(waiting->holder.inside);
    waiting->store = fixture_open_with(&options);
    fixture_prepare(&waiting->write, fixture_op_add, &waiting->one);
    CHECK_OK(store_submit(waiting->store, &waiting->write.write));
    wait_for_the_turn(waiting->store);
}

/* The turn comes, and what waited is written. */
static void end_wait(struct waiting *waiting)
{
    fixture_raise(waiting->holder.go_on);
    CHECK_OK(fixture_wait(&waiting->write));
    CHECK_UINT(fixture_number(waiting->store, 1), ==, 112);
    harness_wait_exit(waiting->pid, 0);
}

TEST(a_tick_beside_the_begin_of_closing_cancels_nothing,
     "A tick that has looked at the time just before the wait is bounded does not take the bound "
     "for passed: what waits is written when its turn comes.")
{
    struct waiting waiting;
    pthread_t thread;
    wait_behind_another(&waiting, &slow_tick_clock);
    CHECK(pthread_create(&thread, NULL, tick_slowly, waiting.store) == 0);
    while (!atomic_load(&looked))
        fixture_sleep_ms(1);
    store_bound_wait(waiting.store, 60000);
    atomic_store(&bounded, true);
    pthread_join(thread, NULL);
    CHECK_INT(atomic_load(&waiting.write.calls), ==, 0);
    end_wait(&waiting);
    store_close(waiting.store);
}

/* A clock by which an hour passes between a turn and what is done in it. */
static struct store *_Atomic turning;

static uint64_t boot_ns_of_a_late_turn(void *context)
{
    (void)context;
    struct store *store = atomic_load(&turning);
    bool has_turn = store && info_of(store, getpid()).holds_write_lock;
    return clock_boot_ns(&clock_system) + (has_turn ? 3600 * NS_PER_S : 0);
}

static const struct jini_clock late_turn_clock = {real_wall_ns, boot_ns_of_a_late_turn, NULL};

TEST(a_turn_that_has_come_ends_the_wait,
     "A store about to close that has its turn to write writes what waited for it, however long "
     "that took.")
{
    struct waiting waiting;
    wait_behind_another(&waiting, &late_turn_clock);
    store_bound_wait(waiting.store, 60000);
    atomic_store(&turning, waiting.store);
    end_wait(&waiting);
    atomic_store(&turning, NULL);
    store_close(waiting.store);
}
