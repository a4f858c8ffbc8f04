/* Closing an engine from every state: each request comes back once, and the close callback last. */
#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

struct gate {
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
};

static int pass_gate(struct jini_txn *txn, void *argument)
{
    struct gate *gate = argument;
    atomic_store(&gate->entered, 1);
    while (!atomic_load(&gate->open))
        usleep(1000);
    return jini_txn_put(txn, "gate", 4, "passed", 6);
}

static int put_x(struct jini_txn *txn, void *argument)
{
    (void)argument;
    return jini_txn_put(txn, "x", 1, "x", 1);
}

static void wait_for(const _Atomic uint32_t *number, uint32_t wanted)
{
    while (atomic_load(number) != wanted)
        usleep(1000);
}

enum { WAITING = 20 };

/* A writer that is held, and writes that wait behind it. */
struct scene {
    struct jini *jini;
    struct gate gate;
    struct jini_write running;
    struct jini_write waiting[WAITING];
    _Atomic uint32_t returned;
    _Atomic uint32_t returned_at_close;
    _Atomic uint32_t closed;
    pthread_t closed_on;
};

static void on_return(struct jini_request *request)
{
    struct scene *scene = request->data;
    atomic_fetch_add(&scene->returned, 1);
}

static void on_closed(void *context)
{
    struct scene *scene = context;
    scene->closed_on = pthread_self();
    atomic_store(&scene->returned_at_close, atomic_load(&scene->returned));
    atomic_store(&scene->closed, 1);
}

static void submit(struct scene *scene, struct jini_write *write, jini_txn_fn *function)
{
    jini_request_init(write);
    write->request.data = scene;
    write->function = function;
    write->argument = &scene->gate;
    CHECK_OK(jini_write(scene->jini, write, on_return));
}

static void begin(struct scene *scene)
{
    submit(scene, &scene->running, pass_gate);
    wait_for(&scene->gate.entered, 1);
    for (int i = 0; i < WAITING; i++)
        submit(scene, &scene->waiting[i], put_x);
}

static void check_ends(const struct scene *scene)
{
    CHECK_UINT(scene->returned, ==, WAITING + 1);
    CHECK_OK(scene->running.request.status);
    for (int i = 0; i < WAITING; i++)
        CHECK_STATUS(scene->waiting[i].request.status, JINI_E_CANCELLED);
}

TEST(closing_nothing_is_fine, "jini_close() takes NULL.")
{
    CHECK_OK(jini_close(NULL, NULL, NULL));
}

TEST(an_idle_engine_closes, "An engine without work closes, with and without a callback.")
{
    struct scene scene = {.jini = fixture_open()};
    CHECK_OK(jini_close(scene.jini, NULL, NULL));
    scene.jini = fixture_open();
    CHECK_OK(jini_close(scene.jini, on_closed, &scene));
    wait_for(&scene.closed, 1);
    CHECK(!pthread_equal(scene.closed_on, pthread_self()));
    CHECK_OK(jini_close(fixture_open(), NULL, NULL));
}

enum { CLOSING_REACHES_THE_WRITER_US = 500000 }; /* the thread that closes has to get there first */

static void *open_gate_later(void *argument)
{
    struct scene *scene = argument;
    usleep(CLOSING_REACHES_THE_WRITER_US);
    atomic_store(&scene->gate.open, 1);
    return NULL;
}

TEST(closing_cancels_what_waits_and_finishes_what_runs,
     "A blocking close returns after the running write and the cancelled ones have come back.")
{
    struct scene scene = {.jini = fixture_open()};
    pthread_t thread;
    begin(&scene);
    CHECK_INT(pthread_create(&thread, NULL, open_gate_later, &scene), ==, 0);
    CHECK_OK(jini_close(scene.jini, NULL, NULL));
    check_ends(&scene);
    pthread_join(thread, NULL);
}

TEST(closing_while_a_user_is_added, "An account whose request is under way when the engine closes "
                                    "is added, or cancelled, and the ids of "
                                    "its block are given up.")
{
    for (int i = 0; i < 20; i++) {
        struct scene scene = {.jini = fixture_open()};
        struct jini_user_add add;
        jini_request_init(&add);
        add.request.data = &scene;
        snprintf(add.user.username, sizeof(add.user.username), "user%d", i);
        CHECK_OK(jini_user_add(scene.jini, &add, on_return));
        CHECK_OK(jini_close(scene.jini, NULL, NULL));
        CHECK_UINT(scene.returned, ==, 1);
        CHECK(add.request.status == 0 || add.request.status == JINI_E_CANCELLED);
    }
}

TEST(closing_twice_is_refused,
     "While an engine closes, new work and a second close are JINI_E_CLOSED.")
{
    struct scene scene = {.jini = fixture_open()};
    begin(&scene);
    CHECK_OK(jini_close(scene.jini, on_closed, &scene));
    CHECK_STATUS(jini_close(scene.jini, NULL, NULL), JINI_E_CLOSED);
    CHECK_STATUS(jini_close(scene.jini, on_closed, &scene), JINI_E_CLOSED);
    struct jini_write late;
    jini_request_init(&late);
    late.function = put_x;
    CHECK_STATUS(jini_write(scene.jini, &late, NULL), JINI_E_CLOSED);
    CHECK_INT(late.request.error.code, ==, JINI_E_CLOSED);
    CHECK_STATUS(jini_write(scene.jini, &late, on_return), JINI_E_CLOSED);
    struct jini_user user;
    char text[16];
    size_t length;
    CHECK_STATUS(jini_read(scene.jini, put_x, NULL, NULL), JINI_E_CLOSED);
    CHECK_STATUS(jini_user_get(scene.jini, 1, &user, NULL), JINI_E_CLOSED);
    CHECK_STATUS(jini_copy(scene.jini, harness_path("copy"), JINI_COPY_PLAIN, NULL), JINI_E_CLOSED);
    CHECK_STATUS(jini_metrics(scene.jini, text, sizeof(text), &length, NULL), JINI_E_CLOSED);
    CHECK_OK(jini_health(scene.jini, NULL));
    jini_cancel(scene.jini, &scene.running.request);
    open_gate_later(&scene);
    wait_for(&scene.closed, 1);
    CHECK_UINT(scene.returned_at_close, ==, WAITING + 1);
    check_ends(&scene);
}

TEST(closing_on_an_attached_loop_ends_on_it,
     "The close callback runs on the attached loop, after all others, and the loop can be closed.")
{
    struct scene scene = {.jini = fixture_open()};
    struct jini_error error;
    uv_loop_t loop;
    pthread_t thread;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(scene.jini, &loop, &error));
    begin(&scene);
    CHECK_STATUS(jini_close(scene.jini, NULL, NULL), JINI_E_ON_LOOP);
    CHECK_OK(jini_close(scene.jini, on_closed, &scene));
    CHECK_STATUS(jini_close(scene.jini, on_closed, &scene), JINI_E_CLOSED);
    CHECK_INT(pthread_create(&thread, NULL, open_gate_later, &scene), ==, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    CHECK_UINT(scene.closed, ==, 1);
    CHECK(pthread_equal(scene.closed_on, pthread_self()));
    CHECK_UINT(scene.returned_at_close, ==, WAITING + 1);
    check_ends(&scene);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}

static void close_in_callback(struct jini_request *request)
{
    struct scene *scene = request->data;
    atomic_fetch_add(&scene->returned, 1);
    CHECK_STATUS(jini_close(scene->jini, NULL, NULL), JINI_E_ON_LOOP);
    CHECK_OK(jini_close(scene->jini, on_closed, scene));
}

TEST(a_callback_may_close, "A callback closes the engine, on the own loop and on an attached one.")
{
    struct scene scene = {.jini = fixture_open()};
    jini_request_init(&scene.running);
    scene.running.request.data = &scene;
    scene.running.function = put_x;
    CHECK_OK(jini_write(scene.jini, &scene.running, close_in_callback));
    wait_for(&scene.closed, 1);
    CHECK_UINT(scene.returned, ==, 1);

    struct scene attached = {.jini = fixture_open()};
    struct jini_error error;
    uv_loop_t loop;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(attached.jini, &loop, &error));
    jini_request_init(&attached.running);
    attached.running.request.data = &attached;
    attached.running.function = put_x;
    CHECK_OK(jini_write(attached.jini, &attached.running, close_in_callback));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_UINT(attached.closed, ==, 1);
    CHECK_UINT(attached.returned, ==, 1);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}

static void detach_and_close_in_callback(struct jini_request *request)
{
    struct scene *scene = request->data;
    CHECK_OK(jini_detach(scene->jini));
    close_in_callback(request);
}

TEST(a_callback_may_detach_and_close,
     "In a callback that has detached its loop closing is still not waited for: it would wait for "
     "that callback.")
{
    struct scene scene = {.jini = fixture_open()};
    struct jini_error error;
    uv_loop_t loop;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(scene.jini, &loop, &error));
    jini_request_init(&scene.running);
    scene.running.request.data = &scene;
    scene.running.function = put_x;
    CHECK_OK(jini_write(scene.jini, &scene.running, detach_and_close_in_callback));
    uv_run(&loop, UV_RUN_DEFAULT);
    wait_for(&scene.closed, 1);
    CHECK_UINT(scene.returned, ==, 1);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}

struct other_thread {
    struct jini *jini;
    _Atomic uint32_t attached;
    _Atomic uint32_t go_on;
};

static void *attach_main(void *argument)
{
    struct other_thread *other = argument;
    struct jini_error error;
    uv_loop_t loop;
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(other->jini, &loop, &error));
    atomic_store(&other->attached, 1);
    wait_for(&other->go_on, 1);
    CHECK_OK(jini_detach(other->jini));
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
    return NULL;
}

TEST(loops_of_other_threads_keep_it_open,
     "With a loop of another thread attached closing is JINI_E_BUSY, and the engine works on.")
{
    struct other_thread other = {.jini = fixture_open()};
    struct scene scene = {.jini = other.jini};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, attach_main, &other), ==, 0);
    wait_for(&other.attached, 1);
    CHECK_STATUS(jini_close(other.jini, NULL, NULL), JINI_E_BUSY);
    CHECK_STATUS(jini_close(other.jini, on_closed, &scene), JINI_E_BUSY);
    fixture_user(other.jini, "alice", "Free");
    atomic_store(&other.go_on, 1);
    pthread_join(thread, NULL);
    CHECK_OK(jini_close(other.jini, NULL, NULL));
    CHECK_UINT(scene.closed, ==, 0);
}

static void count_close(void *context)
{
    (*(unsigned *)context)++;
}

static void count_end(struct jini_request *request)
{
    (*(unsigned *)request->data)++;
}

TEST(a_slow_loop_does_not_lose_the_store,
     "While closing waits for a loop that does not turn, the engine's timer meets a whole store.")
{
    uv_loop_t loop;
    struct jini_error error;
    unsigned ended = 0;
    unsigned closed = 0;
    struct jini *jini = fixture_open();
    CHECK_INT(uv_loop_init(&loop), ==, 0);
    CHECK_OK(jini_attach(jini, &loop, &error));
    struct jini_write write;
    jini_request_init(&write);
    write.request.data = &ended;
    write.function = put_x;
    CHECK_OK(jini_write(jini, &write, count_end));
    CHECK_OK(jini_close(jini, count_close, &closed));
    sleep(3); /* the timer's tick is a second */
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_UINT(ended, ==, 1);
    CHECK_UINT(closed, ==, 1);
    CHECK_INT(uv_loop_close(&loop), ==, 0);
}
