/*
 * Several processes on one database: sums, fairness, processes that are stopped, killed or forked.
 */
#include "shared.h"

#include "store/store_private.h"

#include <pthread.h>

/* ---- Sums ---- */

enum { COUNTERS = 10, SUM_PROCESSES = 6, SUM_THREADS = 3, SUM_WRITES = 200 };

static void *add_much(void *argument)
{
    for (uint64_t i = 0; i < SUM_WRITES; i++) {
        struct fixture_number one = {STORE_SPACE_APPLICATION, i % COUNTERS, 1};
        CHECK_OK(store_write(argument, fixture_op_add, &one));
    }
    return NULL;
}

static void add_in_threads(void *argument)
{
    (void)argument;
    pthread_t threads[SUM_THREADS];
    struct store *store = open_shared();
    for (int i = 0; i < SUM_THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, add_much, store) == 0);
    for (int i = 0; i < SUM_THREADS; i++)
        pthread_join(threads[i], NULL);
    store_close(store);
}

TEST(counters_of_many_processes_add_up,
     "Six processes with three threads each, opening a new database at once, lose no addition.")
{
    pid_t pids[SUM_PROCESSES];
    for (int i = 0; i < SUM_PROCESSES; i++)
        pids[i] = fixture_spawn(add_in_threads, NULL);
    for (int i = 0; i < SUM_PROCESSES; i++)
        harness_wait_exit(pids[i], 0);
    struct store *store = open_shared();
    for (uint64_t i = 0; i < COUNTERS; i++)
        CHECK_UINT(fixture_number(store, i), ==,
                   SUM_PROCESSES * SUM_THREADS * SUM_WRITES / COUNTERS);
    store_close(store);
}

/* ---- Fairness ---- */

enum { FAIR_PROCESSES = 4, IN_FLIGHT = 32 };

struct busy_writer {
    struct store *store;
    struct store_write write;
    struct fixture_number number;
    _Atomic uint64_t *count;
    const _Atomic bool *stop;
    _Atomic bool ended;
};

static void write_again(struct store_write *write)
{
    struct busy_writer *writer =
        (struct busy_writer *)((char *)write - offsetof(struct busy_writer, write));
    if (write->status == 0)
        atomic_fetch_add(writer->count, 1);
    if (atomic_load(writer->stop) || store_submit(writer->store, write) != 0)
        atomic_store(&writer->ended, true);
}

/* Keeps IN_FLIGHT writes queued for the time given; returns how many were committed. */
static uint64_t keep_busy(struct store *store, unsigned ms, uint64_t key)
{
    static struct busy_writer writers[IN_FLIGHT];
    _Atomic uint64_t count = 0;
    _Atomic bool stop = false;
    for (uint64_t i = 0; i < IN_FLIGHT; i++) {
        writers[i] = (struct busy_writer){.store = store,
                                          .number = {STORE_SPACE_APPLICATION, key + i, 1},
                                          .count = &count,
                                          .stop = &stop};
        writers[i].write = (struct store_write){
            .op = fixture_op_add, .argument = &writers[i].number, .done = write_again};
        CHECK_OK(store_submit(store, &writers[i].write));
    }
    fixture_sleep_ms(ms);
    atomic_store(&stop, true);
    for (int i = 0; i < IN_FLIGHT; i++) {
        while (!atomic_load(&writers[i].ended))
            fixture_sleep_ms(1);
    }
    return atomic_load(&count);
}

struct contest {
    struct fixture_flag ready;
    struct fixture_flag go;
    int results[2];
    uint64_t key;
};

static void contend(void *argument)
{
    struct contest *contest = argument;
    struct store *store = open_shared();
    fixture_raise(contest->ready);
    fixture_await(contest->go);
    uint64_t count = keep_busy(store, 1500, contest->key);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    uint64_t results[2] = {count, figures.lock_wait_us_max};
    CHECK(write(contest->results[1], results, sizeof(results)) == sizeof(results));
    store_close(store);
}

TEST(
    four_busy_writers_share_fairly,
    "Of four processes that write as fast as they can, the slowest gets at least half of the mean.")
{
    struct contest contest = {fixture_flag(), fixture_flag(), {0, 0}, 0};
    pid_t pids[FAIR_PROCESSES];
    CHECK(pipe(contest.results) == 0);
    store_close(open_shared());
    for (int i = 0; i < FAIR_PROCESSES; i++) {
        contest.key = (uint64_t)i * 1000;
        pids[i] = fixture_spawn(contend, &contest);
    }
    for (int i = 0; i < FAIR_PROCESSES; i++)
        fixture_await(contest.ready);
    for (int i = 0; i < FAIR_PROCESSES; i++)
        fixture_raise(contest.go);
    uint64_t sum = 0;
    uint64_t least = UINT64_MAX;
    uint64_t wait_us = 0;
    for (int i = 0; i < FAIR_PROCESSES; i++) {
        uint64_t results[2];
        CHECK(read(contest.results[0], results, sizeof(results)) == sizeof(results));
        sum += results[0];
        least = results[0] < least ? results[0] : least;
        wait_us = results[1] > wait_us ? results[1] : wait_us;
    }
    for (int i = 0; i < FAIR_PROCESSES; i++)
        harness_wait_exit(pids[i], 0);
    printf("     %" PRIu64 " ops, the slowest %" PRIu64 ", longest wait for the lock %" PRIu64
           " us\n",
           sum, least, wait_us);
    CHECK_UINT(least * FAIR_PROCESSES * 2, >=, sum);
}

static void be_busy(void *argument)
{
    struct contest *contest = argument;
    struct store *store = open_shared();
    fixture_raise(contest->ready);
    (void)keep_busy(store, 2000, 0);
    store_close(store);
}

TEST(a_light_writer_is_not_starved,
     "Beside three busy processes, one that writes now and then waits for a few commits at most.")
{
    struct contest contest = {fixture_flag(), fixture_flag(), {0, 0}, 0};
    pid_t pids[3];
    store_close(open_shared());
    for (int i = 0; i < 3; i++)
        pids[i] = fixture_spawn(be_busy, &contest);
    for (int i = 0; i < 3; i++)
        fixture_await(contest.ready);
    struct store *store = open_shared();
    uint64_t longest_us = 0;
    uint64_t end = fixture_ms() + 1500;
    uint64_t count = 0;
    while (fixture_ms() < end) {
        struct fixture_number one = {STORE_SPACE_APPLICATION, 9999, 1};
        uint64_t begin = clock_boot_ns(&clock_system);
        CHECK_OK(store_write(store, fixture_op_add, &one));
        uint64_t us = (clock_boot_ns(&clock_system) - begin) / NS_PER_US;
        longest_us = us > longest_us ? us : longest_us;
        count++;
        fixture_sleep_ms(5);
    }
    printf("     %" PRIu64 " writes, the longest took %" PRIu64 " us\n", count, longest_us);
    CHECK_UINT(longest_us, <, harness_sanitized() ? 5000000 : 1000000);
    for (int i = 0; i < 3; i++)
        harness_wait_exit(pids[i], 0);
    store_close(store);
}

/* ---- Stopped and killed ---- */

TEST(a_process_stopped_with_the_lock_is_named_and_waited_for_with_a_bound,
     "While a process is stopped inside an op, writes of others run into their deadlines, reads "
     "work, and the list names its pid and how long; continued, it completes and all go on.")
{
    struct holder holder = new_holder();
    store_close(open_shared());
    pid_t pid = fixture_spawn(hold_the_lock, &holder);
    fixture_await(holder.inside);
    fixture_stop(pid);
    struct store *store = open_shared(); /* opening does not wait for it */
    struct fixture_write writes[2];
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    uint64_t begin = fixture_ms();
    for (int i = 0; i < 2; i++) {
        fixture_prepare(&writes[i], fixture_op_add, &one);
        writes[i].write.deadline_ns =
            clock_boot_ns(&clock_system) + (uint64_t)(i + 1) * 300 * NS_PER_MS;
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    CHECK_STATUS(fixture_wait(&writes[0]), JINI_E_TIMEOUT);
    uint64_t first_ms = fixture_ms() - begin;
    CHECK(first_ms >= 300 && first_ms < 2000);
    struct store_process_info info = info_of(store, pid);
    CHECK(info.holds_write_lock && !info.waits_for_write_lock);
    CHECK_UINT(info.lock_ns, >=, 300 * NS_PER_MS);
    CHECK_TEXT(info.name, "holder");
    struct store_process_info self = info_of(store, getpid());
    CHECK(self.waits_for_write_lock && !self.holds_write_lock);
    CHECK_STATUS(fixture_wait(&writes[1]), JINI_E_TIMEOUT);
    CHECK_UINT(fixture_number(store, 1), ==, 0);

    fixture_prepare(&writes[0], fixture_op_add, &one);
    CHECK_OK(store_submit(store, &writes[0].write));
    fixture_raise(holder.go_on);
    fixture_sleep_ms(20);
    CHECK_INT(atomic_load(&writes[0].calls), ==, 0);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK_OK(fixture_wait(&writes[0]));
    CHECK_UINT(fixture_number(store, 1), ==, 112);
    harness_wait_exit(pid, 0);
    store_close(store);
}

TEST(a_process_killed_with_the_lock_holds_up_nobody,
     "When a process is killed inside an op, others go on at once and nothing of the op is there.")
{
    struct holder holder = new_holder();
    store_close(open_shared());
    pid_t pid = fixture_spawn(hold_the_lock, &holder);
    fixture_await(holder.inside);
    struct store *store = open_shared();
    struct fixture_write write;
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_prepare(&write, fixture_op_add, &one);
    CHECK_OK(store_submit(store, &write.write));
    fixture_sleep_ms(50);
    CHECK_INT(atomic_load(&write.calls), ==, 0);
    uint64_t begin = fixture_ms();
    fixture_kill(pid);
    CHECK_OK(fixture_wait(&write));
    CHECK_UINT(fixture_ms() - begin, <, 1000);
    CHECK_UINT(fixture_number(store, 1), ==, 1);
    store_close(store);
}

TEST(processes_killed_in_the_queue_hold_up_nobody,
     "Processes that are stopped and then killed while they wait for their turn are passed over.")
{
    struct holder holder = new_holder();
    struct holder waiting = new_holder();
    store_close(open_shared());
    pid_t first = fixture_spawn(hold_the_lock, &holder);
    fixture_await(holder.inside);
    pid_t queued[3];
    for (int i = 0; i < 3; i++)
        queued[i] = fixture_spawn(hold_the_lock, &waiting);
    struct store *store = open_shared();
    for (int i = 0; i < 3; i++) {
        while (!info_of(store, first).holds_write_lock)
            fixture_sleep_ms(1);
        struct store_process_info infos[8];
        bool waits = false;
        while (!waits) {
            size_t count = store_processes(store, infos, 8);
            for (size_t k = 0; k < count; k++)
                waits |= infos[k].pid == queued[i] && infos[k].waits_for_write_lock;
        }
        fixture_stop(queued[i]);
    }
    struct fixture_write write;
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_prepare(&write, fixture_op_add, &one);
    CHECK_OK(store_submit(store, &write.write));
    fixture_sleep_ms(30);
    fixture_raise(holder.go_on);
    harness_wait_exit(first, 0);
    for (int i = 0; i < 3; i++)
        fixture_kill(queued[i]);
    CHECK_OK(fixture_wait(&write));
    CHECK_UINT(fixture_number(store, 1), ==, 112);
    store_close(store);
}

TEST(a_process_stopped_in_the_queue_is_passed_over,
     "A process that is stopped while it waits for its turn does not hold up the others, and takes "
     "its turn when it goes on.")
{
    struct holder holder = new_holder();
    struct holder waiting = new_holder();
    store_close(open_shared());
    pid_t first = fixture_spawn(hold_the_lock, &holder);
    fixture_await(holder.inside);
    pid_t stopped = fixture_spawn(hold_the_lock, &waiting);
    struct store *store = open_shared();
    struct store_process_info infos[8];
    bool waits = false;
    while (!waits) {
        size_t count = store_processes(store, infos, 8);
        for (size_t i = 0; i < count; i++)
            waits |= infos[i].pid == stopped && infos[i].waits_for_write_lock;
    }
    fixture_stop(stopped);
    fixture_raise(holder.go_on);
    harness_wait_exit(first, 0);
    uint64_t longest_ms = 0;
    uint64_t all_begin = fixture_ms();
    for (uint64_t i = 0; i < 100; i++) {
        struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
        uint64_t begin = fixture_ms();
        CHECK_OK(store_write(store, fixture_op_add, &one));
        uint64_t ms = fixture_ms() - begin;
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    printf("     the longest write took %" PRIu64 " ms\n", longest_ms);
    CHECK_UINT(fixture_ms() - all_begin, <, 5000); /* it is waited for once, not each time */
    CHECK_UINT(fixture_number(store, 1), ==, 211);
    CHECK(kill(stopped, SIGCONT) == 0);
    fixture_await(waiting.inside);
    CHECK(info_of(store, stopped).holds_write_lock);
    fixture_raise(waiting.go_on);
    harness_wait_exit(stopped, 0);
    CHECK_UINT(fixture_number(store, 1), ==, 111);
    store_close(store);
}

static void await_waiting(struct store *store, pid_t pid)
{
    while (!info_of(store, pid).waits_for_write_lock)
        fixture_sleep_ms(1);
}

static void join_the_queue(void *argument)
{
    struct holder *holder = argument;
    struct store *store = open_shared();
    fixture_raise(holder->completed);
    CHECK_OK(store_write(store, op_hold, holder));
    store_close(store);
}

static void join_the_queue_when_told(void *argument)
{
    const struct holder *holder = argument;
    fixture_await(holder->inside);
    join_the_queue(argument);
}

TEST(a_process_stopped_in_the_queue_behind_a_dead_one_is_passed_over,
     "When the process that writes is killed while the first in the queue is stopped, those behind "
     "it go on soon, and it takes its turn when it is continued.")
{
    for (int reopened = 0; reopened < 2; reopened++) {
        struct holder holder = new_holder();
        struct holder waiting = new_holder();
        struct holder newcomer = new_holder();
        store_close(open_shared());
        pid_t first = fixture_spawn(hold_the_lock, &holder);
        fixture_await(holder.inside);
        pid_t stopped = fixture_spawn(join_the_queue, &waiting);
        fixture_await(waiting.completed);
        pid_t last = fixture_spawn(join_the_queue_when_told, &newcomer);
        struct store *store = open_shared();
        await_waiting(store, stopped);
        fixture_stop(stopped);
        struct fixture_write write;
        struct fixture_number one = {STORE_SPACE_APPLICATION, 2, 1};
        fixture_prepare(&write, fixture_op_add, &one);
        CHECK_OK(store_submit(store, &write.write));
        await_waiting(store, getpid());
        uint64_t begin = fixture_ms();
        fixture_kill(first);
        fixture_raise(newcomer.go_on);
        if (reopened) /* the slot of the dead one gets a new owner, which waits as well */
            fixture_raise(newcomer.inside);
        while (!atomic_load(&write.calls) && fixture_ms() - begin < 5000)
            fixture_sleep_ms(1);
        CHECK_INT(atomic_load(&write.calls), ==, 1);
        CHECK_OK(fixture_wait(&write));
        printf("     passed over after %" PRIu64 " ms\n", fixture_ms() - begin);
        if (!reopened)
            fixture_raise(newcomer.inside);
        harness_wait_exit(last, 0);
        CHECK(kill(stopped, SIGCONT) == 0);
        fixture_raise(waiting.go_on);
        harness_wait_exit(stopped, 0);
        CHECK_UINT(fixture_number(store, 1), ==, 111);
        CHECK_UINT(fixture_number(store, 2), ==, (uint64_t)reopened + 1);
        store_close(store);
    }
}

static int op_add_both(struct store_txn *txn, void *argument)
{
    (void)argument;
    for (uint64_t key = 1; key <= 2; key++) {
        struct fixture_number one = {STORE_SPACE_APPLICATION, key * 100000, 1};
        CHECK_OK(fixture_op_add(txn, &one));
    }
    return 0;
}

static void add_until_killed(void *argument)
{
    (void)argument;
    struct store *store = open_shared();
    for (;;)
        CHECK_OK(store_write(store, op_add_both, NULL));
}

static void kill_and_replace(void *argument)
{
    const unsigned *rounds = argument;
    pid_t pids[4];
    for (int i = 0; i < 4; i++)
        pids[i] = fixture_spawn(add_until_killed, NULL);
    for (unsigned i = 0; i < *rounds; i++) {
        fixture_sleep_ms(1 + (unsigned)harness_random_below(15));
        fixture_kill(pids[i % 4]);
        pids[i % 4] = fixture_spawn(add_until_killed, NULL);
    }
    for (int i = 0; i < 4; i++)
        fixture_kill(pids[i]);
}

TEST(work_goes_on_while_processes_are_killed, "While writers are killed at random and replaced, "
                                              "another process's writes all complete soon, and "
                                              "no half of anybody's op is seen.")
{
    unsigned rounds = (harness_sanitized() ? 30 : 120) * harness_scale();
    store_close(open_shared());
    pid_t killer = fixture_spawn(kill_and_replace, &rounds);
    struct store *store = open_shared();
    uint64_t longest_ms = 0;
    int status;
    while (waitpid(killer, &status, WNOHANG) == 0) {
        uint64_t begin = fixture_ms();
        CHECK_OK(store_write(store, op_add_both, NULL));
        uint64_t ms = fixture_ms() - begin;
        longest_ms = ms > longest_ms ? ms : longest_ms;
        struct store_txn *txn;
        uint64_t first;
        uint64_t second;
        CHECK_OK(store_read_begin(store, &txn));
        CHECK_OK(fixture_get_number(txn, STORE_SPACE_APPLICATION, 100000, &first));
        CHECK_OK(fixture_get_number(txn, STORE_SPACE_APPLICATION, 200000, &second));
        store_read_end(txn);
        CHECK_UINT(first, ==, second);
        store_tick(store);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    printf("     %" PRIu64 " ops, the longest write took %" PRIu64 " ms\n",
           fixture_number(store, 100000), longest_ms);
    CHECK_UINT(longest_ms, <, 5000);
    struct jini_error error;
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
}

/* ---- Fork without exec ---- */

struct fork_case {
    struct holder holder;
    struct fixture_flag child_done_checks;
    struct fixture_flag parent_is_dead;
    struct fixture_flag child_is_done;
};

static void check_inherited(struct store *store, struct store_txn *txn)
{
    struct fixture_pair pair = fixture_pair("a", "2");
    struct fixture_write write;
    struct store_txn *other;
    struct store_cursor cursor;
    struct store_figures figures;
    struct store_process_info infos[4];
    struct jini_error error;
    uint64_t number;
    CHECK_STATUS(store_health(store, &error), JINI_E_FORKED);
    CHECK_CONTAINS(error.message, "fork");
    fixture_prepare(&write, fixture_op_put, &pair);
    CHECK_STATUS(store_submit(store, &write.write), JINI_E_FORKED);
    CHECK_STATUS(store_write(store, fixture_op_put, &pair), JINI_E_FORKED);
    store_cancel(store, &write.write);
    CHECK_STATUS(store_read_begin(store, &other), JINI_E_FORKED);
    CHECK_STATUS(fixture_get_number(txn, STORE_SPACE_APPLICATION, 1, &number), JINI_E_FORKED);
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, slice_of_text("a")), JINI_E_FORKED);
    CHECK_STATUS(store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0),
                                   slice_of(NULL, 0), STORE_FORWARD, &cursor),
                 JINI_E_FORKED);
    store_read_end(txn);
    CHECK_STATUS(store_figures(store, &figures), JINI_E_FORKED);
    CHECK_STATUS(store_copy(store, "copy", STORE_COPY_PLAIN, &error), JINI_E_FORKED);
    CHECK_STATUS(store_verify(store, NULL, &error), JINI_E_FORKED);
    CHECK_UINT(store_processes(store, infos, 4), ==, 0);
    CHECK(!store_process_alive(store, store_self(store)));
    store_poison(store, "from the child");
    store_tick(store);
    store_close(store);
    CHECK_STATUS(store_health(store, &error), JINI_E_FORKED);
}

/* The child: its inherited handle is dead, its own works, before and after its parent's death. */
static void live_on(struct fork_case *fork_case, struct store *inherited, struct store_txn *txn)
{
    struct store_process parent = store_self(inherited);
    pid_t parent_pid = getppid();
    check_inherited(inherited, txn);
    struct store *store = open_shared();
    CHECK(store_process_alive(store, parent));
    CHECK_TEXT(fixture_text(store, "a"), "1");
    fixture_put(store, "b", "child");
    fixture_raise(fork_case->child_done_checks);

    fixture_await(fork_case->holder.inside); /* the parent has the lock, and a snapshot */
    CHECK(info_of(store, parent_pid).holds_write_lock);
    struct fixture_write write;
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    fixture_prepare(&write, fixture_op_add, &one);
    CHECK_OK(store_submit(store, &write.write));
    fixture_raise(fork_case->holder.completed);
    fixture_await(fork_case->parent_is_dead);
    CHECK_OK(fixture_wait(&write));
    CHECK_UINT(fixture_number(store, 1), ==, 1);
    CHECK(!store_process_alive(store, parent));
    struct store_process_info infos[4];
    CHECK_UINT(store_processes(store, infos, 4), ==, 1);
    CHECK_INT(infos[0].pid, ==, getpid());
    store_tick(store);
    struct store_figures figures;
    CHECK_OK(store_figures(store, &figures));
    CHECK_UINT(figures.readers, ==, 0);
    for (uint64_t i = 0; i < 100; i++)
        CHECK_OK(store_write(store, fixture_op_add, &one));
    CHECK_UINT(fixture_number(store, 1), ==, 101);
    store_close(store);
    fixture_raise(fork_case->child_is_done);
}

static void fork_with_a_store(void *argument)
{
    struct fork_case *fork_case = argument;
    struct store_txn *txn;
    struct store *store = open_shared();
    fixture_put(store, "a", "1");
    CHECK_OK(store_read_begin(store, &txn));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        live_on(fork_case, store, txn);
        _exit(0);
    }
    fixture_await(fork_case->child_done_checks);
    /* What the child did to its copy of the handle is nothing to ours. */
    CHECK_OK(store_health(store, NULL));
    CHECK_TEXT(fixture_read_text(txn, "a"), "1");
    CHECK_TEXT(fixture_read_text(txn, "b"), "-");
    CHECK_TEXT(fixture_text(store, "b"), "child");
    (void)store_write(store, op_hold, &fork_case->holder); /* until it is killed */
}

TEST(a_fork_without_exec_is_a_process_of_its_own,
     "In a forked child the inherited handle answers JINI_E_FORKED to everything, a new one works "
     "beside the parent's, and goes on when the parent is killed with the lock in its hands.")
{
    fixture_skip_fork_beside_threads();
    struct fork_case fork_case = {new_holder(), fixture_flag(), fixture_flag(), fixture_flag()};
    pid_t parent = fixture_spawn(fork_with_a_store, &fork_case);
    fixture_await(fork_case.holder.completed);
    fixture_kill(parent);
    fixture_raise(fork_case.parent_is_dead);
    CHECK(fixture_await_ms(fork_case.child_is_done, 60000));
    struct store *store = open_shared();
    CHECK_UINT(fixture_number(store, 1), ==, 101);
    store_close(store);
}

TEST(a_parent_may_end_before_its_child,
     "A parent that closes its store and ends leaves the child's own handle working.")
{
    fixture_skip_fork_beside_threads();
    struct fixture_flag opened = fixture_flag();
    struct fixture_flag closed = fixture_flag();
    struct store *store = open_shared();
    fixture_put(store, "a", "1");
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct store *own = open_shared();
        CHECK_TEXT(fixture_text(own, "a"), "1");
        fixture_raise(opened);
        fixture_await(closed);
        fixture_put(own, "b", "1");
        CHECK_TEXT(fixture_text(own, "b"), "1");
        store_close(own);
        store_close(store); /* does nothing */
        _exit(0);
    }
    fixture_await(opened);
    store_close(store);
    fixture_raise(closed);
    harness_wait_exit(pid, 0);
    store = open_shared();
    CHECK_TEXT(fixture_text(store, "b"), "1");
    store_close(store);
}
