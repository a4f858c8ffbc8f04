/* The contract of requests: blocking, callbacks on loops, cancel, close. */
#include <jini/jini.h>

#include "harness.h"

#include <pthread.h>
#include <stdio.h>
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
