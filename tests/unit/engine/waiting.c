/*
 * Requests that wait for threads of the engine: cancelled, late, or too many, while the threads are
 * held.
 */
#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

/* ---- Holding a thread ---- */

/* Work stops in it until the gate is opened. */
struct gate {
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
};

static void pass(struct gate *gate)
{
    atomic_fetch_add(&gate->entered, 1);
    while (!atomic_load(&gate->open))
        usleep(1000);
}

static void wait_until_entered(const struct gate *gate)
{
    while (!atomic_load(&gate->entered))
        usleep(1000);
}

/* Asked for the time by a password thread, this clock holds it. */
static struct gate *_Atomic password_gate;

static uint64_t holding_wall_ns(void *context)
{
    char name[16] = "";
    struct gate *gate = atomic_load(&password_gate);
    if (gate && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "jini-password") == 0)
        pass(gate);
    return fixture_wall_ns(context);
}

static const struct jini_clock holding_clock = {holding_wall_ns, fixture_boot_ns, NULL};

static void hold_in_verify(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)phase;
    (void)done;
    (void)total;
    pass(context);
}

static void hold_in_tiering(void *context, const struct jini_tiering_event *event)
{
    (void)event;
    pass(context);
}

/* ---- An engine with one thread of each kind, and a loop on which everything comes back ---- */

struct scene {
    struct jini *jini;
    uv_loop_t loop;
    struct gate gate;
    unsigned returned;
    struct jini_verify verify;
    struct jini_login login;
    struct jini_archive_run run;
};

static void open_scene(struct scene *scene)
{
    struct jini_options options;
    struct jini_error error;
    memset(scene, 0, sizeof(*scene));
    fixture_options(&options);
    options.cpu_threads = 1;
    options.password_threads = 1;
    options.background_queue_max = 1;
    options.clock = &holding_clock;
    scene->jini = fixture_open_with(&options);
    CHECK_INT(uv_loop_init(&scene->loop), ==, 0);
    CHECK_OK(jini_attach(scene->jini, &scene->loop, &error));
}

static void on_return(struct jini_request *request)
{
    unsigned *returned = request->data;
    (*returned)++;
}

static void on_closed(void *context)
{
    (*(unsigned *)context)++;
}

/* Lets go of the thread, brings everything back and closes. */
static void close_scene(struct scene *scene, unsigned returned)
{
    unsigned closed = 0;
    atomic_store(&scene->gate.open, 1);
    CHECK_OK(jini_close(scene->jini, on_closed, &closed));
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    CHECK_UINT(closed, ==, 1);
    CHECK_UINT(scene->returned, ==, returned);
    CHECK_INT(uv_loop_close(&scene->loop), ==, 0);
}

/* Something to verify and to seal. */
static void store_image(struct scene *scene)
{
    struct png_request png = {16, 16, 1, "x", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    put.request.data = &scene->returned;
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    CHECK_OK(jini_image_put(scene->jini, &put, on_return));
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    CHECK_OK(put.request.status);
    free(file);
}

static void hold_cpu(struct scene *scene)
{
    store_image(scene);
    jini_request_init(&scene->verify);
    scene->verify.request.data = &scene->returned;
    scene->verify.progress = hold_in_verify;
    scene->verify.context = &scene->gate;
    CHECK_OK(jini_verify(scene->jini, &scene->verify, on_return));
    wait_until_entered(&scene->gate);
}

static void submit_login(struct scene *scene, struct jini_login *login)
{
    jini_request_init(login);
    login->request.data = &scene->returned;
    login->request.timeout_ms = 100;
    login->login = "alice";
    login->password = "correct horse";
    CHECK_OK(jini_login(scene->jini, login, on_return));
}

static void hold_passwords(struct scene *scene)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    add.user.flags = JINI_USER_ACTIVE;
    add.password = "correct horse";
    add.request.data = &scene->returned;
    CHECK_OK(jini_user_add(scene->jini, &add, on_return));
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    CHECK_OK(add.request.status);
    atomic_store(&password_gate, &scene->gate);
    submit_login(scene, &scene->login);
    wait_until_entered(&scene->gate);
}

static void submit_run(struct scene *scene, struct jini_archive_run *run)
{
    jini_request_init(run);
    run->request.data = &scene->returned;
    run->request.timeout_ms = 100;
    run->flags = JINI_TIERING_NOW;
    run->report = hold_in_tiering;
    run->report_context = &scene->gate;
    CHECK_OK(jini_archive_run(scene->jini, run, on_return));
}

static void hold_background(struct scene *scene)
{
    store_image(scene);
    submit_run(scene, &scene->run);
    wait_until_entered(&scene->gate);
}

/* Turns the loop for up to ten seconds, while the thread is held. */
static void turn_until(struct scene *scene, unsigned returned)
{
    for (int i = 0; i < 10000 && scene->returned < returned; i++) {
        uv_run(&scene->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    CHECK_UINT(scene->returned, ==, returned);
}

/* A request that was cancelled is on the loop already: it needs no turn of the engine's. */
static void check_cancelled(struct scene *scene, struct jini_request *request)
{
    unsigned before = scene->returned;
    jini_cancel(scene->jini, request);
    CHECK_UINT(scene->returned, ==, before);
    uv_run(&scene->loop, UV_RUN_NOWAIT);
    CHECK_UINT(scene->returned, ==, before + 1);
    CHECK_STATUS(request->status, JINI_E_CANCELLED);
    CHECK_CONTAINS(request->error.message, "taken back");
    jini_cancel(scene->jini, request);
}

/* It says which threads it waited for, for how long, and what to do. */
static void check_late(const struct jini_request *request, const char *threads, const char *advice)
{
    CHECK_STATUS(request->status, JINI_E_TIMEOUT);
    CHECK_INT(request->error.code, ==, JINI_E_TIMEOUT);
    CHECK_TEXT(request->error.field, "request.timeout_ms");
    CHECK_CONTAINS(request->error.message, "100 ms");
    CHECK_CONTAINS(request->error.message, threads);
    CHECK_CONTAINS(request->error.message, advice);
}

static void submit_get(struct scene *scene, struct jini_image_get *get)
{
    jini_request_init(get);
    get->request.data = &scene->returned;
    get->request.timeout_ms = 100;
    CHECK_OK(jini_image_get(scene->jini, get, on_return));
}

TEST(what_waits_for_a_cpu_thread_comes_back,
     "Behind a verify that holds the only thread, a read and a put that are cancelled come back at "
     "once, and others when their time is up; nothing of them is done.")
{
    static struct scene scene;
    struct jini_image_get get;
    struct jini_image_get late;
    struct jini_image_put put;
    struct png_request png = {16, 16, 1, "x", NULL};
    open_scene(&scene);
    hold_cpu(&scene);
    submit_get(&scene, &get);
    submit_get(&scene, &late);
    jini_request_init(&put);
    put.request.data = &scene.returned;
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    CHECK_OK(jini_image_put(scene.jini, &put, on_return));
    check_cancelled(&scene, &put.request);
    check_cancelled(&scene, &get.request);
    turn_until(&scene, 4);
    check_late(&late.request, "jini-cpu", "raise cpu.threads");
    CHECK_UINT(scene.gate.entered, ==, 1);
    close_scene(&scene, 5);
    free(file);
}

TEST(what_waits_for_a_password_thread_comes_back,
     "Behind a login that holds the only thread, one that is cancelled comes back at once, and "
     "another when its time is up.")
{
    static struct scene scene;
    struct jini_login login;
    struct jini_login late;
    open_scene(&scene);
    hold_passwords(&scene);
    submit_login(&scene, &login);
    submit_login(&scene, &late);
    check_cancelled(&scene, &login.request);
    turn_until(&scene, 3);
    check_late(&late.request, "jini-password", "raise password.threads");
    CHECK_UINT(scene.gate.entered, ==, 1);
    atomic_store(&password_gate, NULL);
    close_scene(&scene, 4);
}

TEST(what_waits_for_the_background_comes_back,
     "Behind an archive run that holds the thread, one that is cancelled comes back at once, and "
     "another when its time is up.")
{
    static struct scene scene;
    struct jini_archive_run run;
    struct jini_archive_run late;
    open_scene(&scene);
    hold_background(&scene);
    submit_run(&scene, &run);
    check_cancelled(&scene, &run.request);
    submit_run(&scene, &late);
    turn_until(&scene, 3);
    check_late(&late.request, "jini-background", "try again later");
    close_scene(&scene, 4);
}

TEST(archive_runs_do_not_pile_up,
     "More archive runs than background.queue_max are refused, with the option and its number.")
{
    static struct scene scene;
    struct jini_archive_run waiting;
    struct jini_archive_run refused;
    open_scene(&scene);
    hold_background(&scene);
    submit_run(&scene, &waiting);
    jini_request_init(&refused);
    refused.request.data = &scene.returned;
    CHECK_STATUS(jini_archive_run(scene.jini, &refused, on_return), JINI_E_BUSY);
    CHECK_TEXT(refused.request.error.field, "background.queue_max");
    CHECK_CONTAINS(refused.request.error.message, "1 tasks wait");
    check_cancelled(&scene, &waiting.request);
    submit_run(&scene, &waiting);
    close_scene(&scene, 4);
}

/* ---- Races ---- */

enum { STORM_THREADS = 4, STORM_GETS = 200 };

struct storm {
    struct jini *jini;
    uint64_t seed;
    _Atomic uint32_t returned;
    struct jini_image_get gets[STORM_GETS];
};

static void on_storm(struct jini_request *request)
{
    struct storm *storm = request->data;
    int status = request->status;
    CHECK(status == JINI_E_NOT_FOUND || status == JINI_E_CANCELLED || status == JINI_E_TIMEOUT);
    atomic_fetch_add(&storm->returned, 1);
}

static void *storm_main(void *argument)
{
    struct storm *storm = argument;
    for (unsigned i = 0; i < STORM_GETS; i++) {
        struct jini_image_get *get = &storm->gets[i];
        jini_request_init(get);
        get->request.data = storm;
        get->request.timeout_ms = 1 + i % 3;
        CHECK_OK(jini_image_get(storm->jini, get, on_storm));
        if (storm->seed >> i % 64 & 1)
            jini_cancel(storm->jini, &storm->gets[i / 2].request);
    }
    return NULL;
}

TEST(each_read_of_a_storm_comes_back_once,
     "Reads of four threads, cancelled, late and done at once, come back once each.")
{
    static struct storm storms[STORM_THREADS];
    pthread_t threads[STORM_THREADS];
    struct jini *jini = fixture_open();
    for (unsigned t = 0; t < STORM_THREADS; t++) {
        storms[t].jini = jini;
        storms[t].seed = harness_random();
        CHECK_INT(pthread_create(&threads[t], NULL, storm_main, &storms[t]), ==, 0);
    }
    for (unsigned t = 0; t < STORM_THREADS; t++)
        pthread_join(threads[t], NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
    for (unsigned t = 0; t < STORM_THREADS; t++)
        CHECK_UINT(storms[t].returned, ==, STORM_GETS);
}
