/* The contract of requests: blocking, callbacks on loops, cancel, close. */
#include <jini/jini.h>

#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

static char value_one[] = "one";
static char value_x[] = "x";

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_run_twice = 1;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static int put_a(struct jini_txn *txn, void *argument)
{
    return jini_txn_put(txn, "a", 1, argument, strlen(argument));
}

static int get_a(struct jini_txn *txn, void *argument)
{
    size_t length;
    int status = jini_txn_get(txn, "a", 1, argument, 63, &length);
    ((char *)argument)[length] = '\0';
    return status;
}

TEST(a_blocking_write_is_there_when_it_returns,
     "A write without a callback returns when it is durable.")
{
    struct jini *jini = open_engine();
    struct jini_write write;
    char text[64];
    jini_request_init(&write);
    write.function = put_a;
    write.argument = value_one;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_OK(jini_read(jini, get_a, text, NULL));
    CHECK_TEXT(text, "one");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

struct counter {
    struct jini *jini;
    unsigned returned;
    unsigned wanted;
    pthread_t thread;
    bool closed;
};

static void on_write(struct jini_request *request)
{
    struct counter *counter = request->data;
    CHECK_OK(request->status);
    CHECK(pthread_equal(counter->thread, pthread_self()));
    counter->returned++;
}

TEST(callbacks_come_on_the_attached_loop,
     "Requests submitted on a thread with an attached loop come back on that loop, once each.")
{
    enum { WRITES = 500 };
    static struct jini_write writes[WRITES];
    struct counter counter = {.thread = pthread_self()};
    uv_loop_t loop;
    struct jini_error error;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    counter.jini = open_engine();
    CHECK_OK(jini_attach(counter.jini, &loop, &error));
    CHECK_STATUS(jini_attach(counter.jini, &loop, &error), JINI_E_EXISTS);
    for (int i = 0; i < WRITES; i++) {
        jini_request_init(&writes[i]);
        writes[i].request.data = &counter;
        writes[i].function = put_a;
        writes[i].argument = value_x;
        CHECK_OK(jini_write(counter.jini, &writes[i], on_write));
    }
    CHECK_UINT(counter.returned, ==, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_UINT(counter.returned, ==, WRITES);
    struct jini_write blocking;
    jini_request_init(&blocking);
    blocking.function = put_a;
    blocking.argument = value_x;
    CHECK_STATUS(jini_write(counter.jini, &blocking, NULL), JINI_E_ON_LOOP);
    CHECK_STATUS(jini_close(counter.jini, NULL, NULL), JINI_E_ON_LOOP);
    CHECK_OK(jini_detach(counter.jini));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
    CHECK_OK(jini_close(counter.jini, NULL, NULL));
}

static void on_closed(void *context)
{
    struct counter *counter = context;
    CHECK(pthread_equal(counter->thread, pthread_self()));
    CHECK_UINT(counter->returned, ==, counter->wanted);
    counter->closed = true;
}

static void on_any_end(struct jini_request *request)
{
    struct counter *counter = request->data;
    CHECK(request->status == 0 || request->status == JINI_E_CANCELLED);
    counter->returned++;
}

TEST(close_on_a_loop_brings_everything_back_first,
     "Closing with a callback delivers every request, then detaches the loop and calls back on it.")
{
    enum { WRITES = 300 };
    static struct jini_write writes[WRITES];
    struct counter counter = {.thread = pthread_self(), .wanted = WRITES};
    uv_loop_t loop;
    struct jini_error error;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    counter.jini = open_engine();
    CHECK_OK(jini_attach(counter.jini, &loop, &error));
    for (int i = 0; i < WRITES; i++) {
        jini_request_init(&writes[i]);
        writes[i].request.data = &counter;
        writes[i].function = put_a;
        writes[i].argument = value_x;
        CHECK_OK(jini_write(counter.jini, &writes[i], on_any_end));
    }
    CHECK_OK(jini_close(counter.jini, on_closed, &counter));
    struct jini_write late;
    jini_request_init(&late);
    late.function = put_a;
    late.argument = value_x;
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(counter.closed);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}

TEST(a_request_not_initialised_is_refused,
     "A struct of another size or version is refused by name.")
{
    struct jini *jini = open_engine();
    struct jini_write write;
    jini_request_init(&write);
    write.function = put_a;
    write.argument = value_x;
    write.request.size--;
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_INVALID);
    CHECK_TEXT(write.request.error.field, "request");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Cancel, timeout, reuse ---- */

/* A function of a transaction that holds the writer until it is let go. */
struct gate {
    _Atomic uint32_t begin; /* of another process */
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
};

static void pause_a_moment(void)
{
    usleep(1000);
}

static int pass_gate(struct jini_txn *txn, void *argument)
{
    struct gate *gate = argument;
    atomic_store(&gate->entered, 1);
    while (!atomic_load(&gate->open))
        pause_a_moment();
    return jini_txn_put(txn, "gate", 4, "passed", 6);
}

static void wait_for(const _Atomic uint32_t *number, uint32_t wanted)
{
    while (atomic_load(number) != wanted)
        pause_a_moment();
}

/* A write with what became of it. */
struct followed {
    struct jini_write write;
    _Atomic uint32_t returned;
};

static void on_followed(struct jini_request *request)
{
    struct followed *followed = request->data;
    atomic_fetch_add(&followed->returned, 1);
}

static void follow(struct jini *jini, struct followed *followed, jini_txn_fn *function,
                   void *argument)
{
    jini_request_init(&followed->write);
    followed->write.request.data = followed;
    followed->write.function = function;
    followed->write.argument = argument;
    CHECK_OK(jini_write(jini, &followed->write, on_followed));
}

static int get_nothing(struct jini_txn *txn, void *argument)
{
    char value[64];
    size_t length;
    (void)argument;
    return jini_txn_get(txn, "a", 1, value, sizeof(value), &length);
}

TEST(a_waiting_request_can_be_cancelled, "A request cancelled while it waits comes back cancelled "
                                         "and did nothing; one that runs finishes.")
{
    struct jini *jini = open_engine();
    struct gate gate = {0};
    struct followed running = {0};
    struct followed waiting = {0};
    follow(jini, &running, pass_gate, &gate);
    wait_for(&gate.entered, 1);
    follow(jini, &waiting, put_a, value_x);
    jini_cancel(jini, &waiting.write.request);
    jini_cancel(jini, &running.write.request);
    jini_cancel(jini, &waiting.write.request);
    atomic_store(&gate.open, 1);
    wait_for(&running.returned, 1);
    wait_for(&waiting.returned, 1);
    CHECK_OK(running.write.request.status);
    CHECK_STATUS(waiting.write.request.status, JINI_E_CANCELLED);
    CHECK_INT(waiting.write.request.error.code, ==, JINI_E_CANCELLED);
    CHECK_STATUS(jini_read(jini, get_nothing, NULL, NULL), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(running.returned, ==, 1);
    CHECK_UINT(waiting.returned, ==, 1);
}

TEST(cancelling_what_is_not_under_way_does_nothing,
     "jini_cancel() of a request before its submit or after its return has no effect on its next "
     "use.")
{
    struct jini *jini = open_engine();
    struct jini_write write;
    jini_request_init(&write);
    jini_cancel(jini, &write.request);
    write.function = put_a;
    write.argument = value_one;
    CHECK_OK(jini_write(jini, &write, NULL));
    jini_cancel(jini, &write.request);
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    a_deadline_passes_while_a_long_write_runs,
    "A request whose timeout_ms has passed when its turn comes is late, and nothing of it is done.")
{
    struct jini *jini = open_engine();
    struct gate gate = {0};
    struct followed running = {0};
    struct followed late = {0};
    follow(jini, &running, pass_gate, &gate);
    wait_for(&gate.entered, 1);
    jini_request_init(&late.write);
    late.write.request.data = &late;
    late.write.request.timeout_ms = 20;
    late.write.function = put_a;
    late.write.argument = value_x;
    CHECK_OK(jini_write(jini, &late.write, on_followed));
    usleep(50000);
    atomic_store(&gate.open, 1);
    wait_for(&running.returned, 1);
    wait_for(&late.returned, 1);
    CHECK_STATUS(late.write.request.status, JINI_E_TIMEOUT);
    CHECK_INT(late.write.request.error.code, ==, JINI_E_TIMEOUT);
    CHECK_STATUS(jini_read(jini, get_nothing, NULL, NULL), JINI_E_NOT_FOUND);
    late.write.request.timeout_ms = 0;
    CHECK_OK(jini_write(jini, &late.write, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_caller_does_not_wait_for_a_long_write,
     "A blocking request past its deadline, and a cancelled one, return while a long write still "
     "runs, and nothing of them is done.")
{
    struct jini *jini = open_engine();
    struct gate gate = {0};
    struct followed running = {0};
    struct followed cancelled = {0};
    struct jini_write late;
    follow(jini, &running, pass_gate, &gate);
    wait_for(&gate.entered, 1);
    follow(jini, &cancelled, put_a, value_x);
    jini_cancel(jini, &cancelled.write.request);
    jini_request_init(&late);
    late.request.timeout_ms = 100;
    late.function = put_a;
    late.argument = value_x;
    CHECK_STATUS(jini_write(jini, &late, NULL), JINI_E_TIMEOUT);
    CHECK_INT(late.request.error.code, ==, JINI_E_TIMEOUT);
    wait_for(&cancelled.returned, 1);
    CHECK_STATUS(cancelled.write.request.status, JINI_E_CANCELLED);
    CHECK_UINT(atomic_load(&running.returned), ==, 0);
    atomic_store(&gate.open, 1);
    wait_for(&running.returned, 1);
    CHECK_OK(running.write.request.status);
    CHECK_STATUS(jini_read(jini, get_nothing, NULL, NULL), JINI_E_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(cancelled.returned, ==, 1);
}

TEST(a_deadline_passes_while_another_process_writes,
     "A request times out while the write lock is with another process, and works once it is free.")
{
    struct gate *gate = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(gate != MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        wait_for(&gate->begin, 1);
        struct jini *own = open_engine();
        struct jini_write write;
        jini_request_init(&write);
        write.function = pass_gate;
        write.argument = gate;
        _exit(jini_write(own, &write, NULL) == 0 && jini_close(own, NULL, NULL) == 0 ? 0 : 1);
    }
    struct jini *jini = open_engine();
    atomic_store(&gate->begin, 1);
    wait_for(&gate->entered, 1);
    struct jini_write late;
    jini_request_init(&late);
    late.request.timeout_ms = 100;
    late.function = put_a;
    late.argument = value_x;
    CHECK_STATUS(jini_write(jini, &late, NULL), JINI_E_TIMEOUT);
    atomic_store(&gate->open, 1);
    harness_wait_exit(child, 0);
    late.request.timeout_ms = 0;
    CHECK_OK(jini_write(jini, &late, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_request_under_way_is_not_taken_twice,
     "A second submit of a request that is under way, by whichever function, is refused by its "
     "result alone: status and error of the first stay, and it comes back once.")
{
    struct jini *jini = open_engine();
    struct gate gate = {0};
    struct followed running = {0};
    struct jini_request *request = &running.write.request;
    follow(jini, &running, pass_gate, &gate);
    wait_for(&gate.entered, 1);
    CHECK_STATUS(jini_write(jini, &running.write, on_followed), JINI_E_INVALID);
    CHECK_STATUS(jini_write(jini, &running.write, NULL), JINI_E_INVALID);
    CHECK_STATUS(jini_settle(jini, (struct jini_settle *)(void *)request, on_followed),
                 JINI_E_INVALID);
    CHECK_INT(request->status, ==, 0);
    CHECK_INT(request->error.code, ==, 0);
    CHECK_TEXT(request->error.message, "");
    atomic_store(&gate.open, 1);
    wait_for(&running.returned, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(running.returned, ==, 1);
    CHECK_OK(request->status);
    CHECK_INT(request->error.code, ==, 0);
}

static int fail_late(struct jini_txn *txn, void *argument)
{
    (void)argument;
    int status = jini_txn_put(txn, "late", 4, "x", 1);
    return status ? status : JINI_E_CONFLICT;
}

TEST(a_request_is_used_again,
     "A request that came back, well or badly, is submitted anew without init.")
{
    struct jini *jini = open_engine();
    struct jini_write write;
    jini_request_init(&write);
    for (int i = 0; i < 3; i++) {
        write.function = fail_late;
        CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_CONFLICT);
        CHECK_INT(write.request.error.code, ==, JINI_E_CONFLICT);
        write.function = put_a;
        write.argument = value_one;
        CHECK_OK(jini_write(jini, &write, NULL));
        CHECK_INT(write.request.error.code, ==, 0);
        CHECK_TEXT(write.request.error.message, "");
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Callbacks ---- */

struct chain {
    struct jini_write write;
    struct jini *jini;
    _Atomic uint32_t left;
    _Atomic uint32_t on_loop_refusals;
};

static void on_link(struct jini_request *request)
{
    struct chain *chain = request->data;
    CHECK_OK(request->status);
    struct jini_write blocking;
    jini_request_init(&blocking);
    blocking.function = put_a;
    blocking.argument = value_x;
    if (jini_write(chain->jini, &blocking, NULL) == JINI_E_ON_LOOP)
        atomic_fetch_add(&chain->on_loop_refusals, 1);
    if (atomic_load(&chain->left) > 1)
        CHECK_OK(jini_write(chain->jini, &chain->write, on_link));
    atomic_fetch_sub(&chain->left, 1);
}

TEST(a_callback_submits_the_next,
     "A callback on the own loop may submit its request again, and may not block.")
{
    enum { LINKS = 50 };
    struct chain chain = {.jini = open_engine(), .left = LINKS};
    jini_request_init(&chain.write);
    chain.write.request.data = &chain;
    chain.write.function = put_a;
    chain.write.argument = value_x;
    CHECK_OK(jini_write(chain.jini, &chain.write, on_link));
    wait_for(&chain.left, 0);
    CHECK_UINT(chain.on_loop_refusals, ==, LINKS);
    CHECK_OK(jini_close(chain.jini, NULL, NULL));
}

struct inner {
    struct jini *jini;
    _Atomic int status;
};

static int write_inside(struct jini_txn *txn, void *argument)
{
    struct inner *inner = argument;
    struct jini_write blocking;
    jini_request_init(&blocking);
    blocking.function = put_a;
    blocking.argument = value_x;
    atomic_store(&inner->status, jini_write(inner->jini, &blocking, NULL));
    return jini_txn_put(txn, "b", 1, "x", 1);
}

TEST(a_transaction_does_not_wait_for_itself,
     "A blocking request inside a function of jini_write() is refused instead of waiting for ever.")
{
    struct jini *jini = open_engine();
    struct inner inner = {.jini = jini};
    struct jini_write write;
    jini_request_init(&write);
    write.function = write_inside;
    write.argument = &inner;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_STATUS(inner.status, JINI_E_ON_LOOP);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { STORM_THREADS = 8, STORM_WRITES = 200 };

struct storm {
    struct jini *jini;
    struct followed writes[STORM_WRITES];
    unsigned refused;
    uint64_t seed;
};

static void *storm_main(void *argument)
{
    struct storm *storm = argument;
    for (unsigned i = 0; i < STORM_WRITES; i++) {
        struct followed *followed = &storm->writes[i];
        jini_request_init(&followed->write);
        followed->write.request.data = followed;
        followed->write.function = put_a;
        followed->write.argument = value_x;
        int status = jini_write(storm->jini, &followed->write, on_followed);
        if (status) {
            CHECK_STATUS(status, JINI_E_BUSY);
            followed->write.request.data = NULL;
            storm->refused++;
            continue;
        }
        if ((storm->seed >> (i % 64)) & 1)
            jini_cancel(storm->jini, &followed->write.request);
    }
    return NULL;
}

TEST(each_of_a_storm_comes_back_once, "Writes of eight threads on a short queue, half of them "
                                      "cancelled: each taken one returns once.")
{
    static struct storm storms[STORM_THREADS];
    pthread_t threads[STORM_THREADS];
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_queue_ops_max = 64;
    CHECK_OK(jini_open(&jini, harness_path("db"), &options, &error));
    for (unsigned t = 0; t < STORM_THREADS; t++) {
        storms[t].jini = jini;
        storms[t].seed = harness_random();
        CHECK_INT(pthread_create(&threads[t], NULL, storm_main, &storms[t]), ==, 0);
    }
    for (unsigned t = 0; t < STORM_THREADS; t++)
        pthread_join(threads[t], NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (unsigned t = 0; t < STORM_THREADS; t++) {
        for (unsigned i = 0; i < STORM_WRITES; i++) {
            const struct followed *followed = &storms[t].writes[i];
            CHECK_UINT(followed->returned, ==, followed->write.request.data ? 1 : 0);
            int status = followed->write.request.status;
            CHECK(status == 0 || status == JINI_E_CANCELLED || status == JINI_E_BUSY);
        }
    }
}

TEST(loops_are_attached_and_detached_by_the_rules,
     "One loop a thread; detach needs one, and none of its requests under way; then it may attach "
     "anew.")
{
    struct jini *jini = open_engine();
    struct jini_error error;
    struct followed followed = {0};
    struct gate gate = {0};
    uv_loop_t loop;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_STATUS(jini_detach(jini), JINI_E_NOT_FOUND);
    CHECK_OK(jini_attach(jini, &loop, &error));
    CHECK_STATUS(jini_attach(jini, &loop, &error), JINI_E_EXISTS);
    CHECK_TEXT(error.field, "loop");
    follow(jini, &followed, pass_gate, &gate);
    CHECK_STATUS(jini_detach(jini), JINI_E_BUSY);
    atomic_store(&gate.open, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_UINT(followed.returned, ==, 1);
    CHECK_OK(jini_detach(jini));
    CHECK_STATUS(jini_detach(jini), JINI_E_NOT_FOUND);
    CHECK_OK(jini_attach(jini, &loop, &error));
    CHECK_OK(jini_detach(jini));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
    struct jini_write blocking;
    jini_request_init(&blocking);
    blocking.function = put_a;
    blocking.argument = value_x;
    CHECK_OK(jini_write(jini, &blocking, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refused_submit_calls_nothing_back,
     "A submit that returns an error leaves status and error in the request and never calls back.")
{
    struct jini *jini = open_engine();
    struct followed followed = {0};
    jini_request_init(&followed.write);
    followed.write.request.data = &followed;
    CHECK_STATUS(jini_write(jini, &followed.write, on_followed), JINI_E_INVALID);
    CHECK_STATUS(followed.write.request.status, JINI_E_INVALID);
    CHECK_TEXT(followed.write.request.error.field, "function");
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(followed.returned, ==, 0);
}
