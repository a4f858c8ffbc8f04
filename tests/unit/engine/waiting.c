/*
 * Requests that wait for threads of the engine: cancelled, late, or too many, while the threads are
 * held.
 */
#include "held.h"

#include <pthread.h>

enum { TIMEOUT_MS = 100 };

static struct scene scene;
static struct jini_archive_run plan;
static struct jini_login running_login;
static struct jini_archive_run running_run;

/* An engine with one thread of each kind. */
static void open_scene(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.cpu_threads = 1;
    options.password_threads = 1;
    options.background_queue_max = 1;
    options.clock = &held_clock;
    scene_open(&scene, &options);
}

static void hold_cpu(void)
{
    scene_store(&scene, 1);
    scene_run(&scene, &plan, JINI_TIERING_DRY_RUN);
    gate_await(&scene.gate);
}

static void hold_passwords(void)
{
    scene_add_alice(&scene);
    hold_thread("jini-password", &scene.gate);
    scene_login(&scene, &running_login);
    gate_await(&scene.gate);
}

static void hold_background(void)
{
    scene_store(&scene, 1);
    scene_run(&scene, &running_run, 0);
    gate_await(&scene.gate);
}

/* A request that was cancelled is on the loop already: it needs no turn of the engine's. */
static void check_cancelled(struct jini_request *request)
{
    unsigned before = scene.returned;
    jini_cancel(scene.jini, request);
    CHECK_UINT(scene.returned, ==, before);
    uv_run(&scene.loop, UV_RUN_NOWAIT);
    CHECK_UINT(scene.returned, ==, before + 1);
    CHECK_STATUS(request->status, JINI_E_CANCELLED);
    CHECK_CONTAINS(request->error.message, "taken back");
    jini_cancel(scene.jini, request);
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

static void submit_get(struct jini_image_get *get)
{
    jini_request_init(get);
    scene_begin(&scene, &get->request);
    CHECK_OK(jini_image_get(scene.jini, get, scene_on_return));
}

TEST(what_waits_for_a_cpu_thread_comes_back,
     "Behind a plan that holds the only thread, a read and a put that are cancelled come back at "
     "once, and others when their time is up; nothing of them is done.")
{
    struct jini_image_get get;
    struct jini_image_get late;
    struct jini_image_put put;
    open_scene();
    hold_cpu();
    submit_get(&get);
    scene_put(&scene, &put, 2);
    scene.timeout_ms = TIMEOUT_MS;
    submit_get(&late);
    check_cancelled(&put.request);
    check_cancelled(&get.request);
    scene_turn_until(&scene, 4);
    check_late(&late.request, "jini-cpu", "raise cpu.threads");
    CHECK_UINT(scene.gate.entered, ==, 1);
    scene_close(&scene, 5);
    free((void *)(uintptr_t)put.bytes);
}

TEST(what_waits_for_a_password_thread_comes_back,
     "Behind a login that holds the only thread, one that is cancelled comes back at once, and "
     "another when its time is up.")
{
    struct jini_login login;
    struct jini_login late;
    open_scene();
    hold_passwords();
    scene_login(&scene, &login);
    scene.timeout_ms = TIMEOUT_MS;
    scene_login(&scene, &late);
    check_cancelled(&login.request);
    scene_turn_until(&scene, 3);
    check_late(&late.request, "jini-password", "raise password.threads");
    CHECK_UINT(scene.gate.entered, ==, 1);
    scene_close(&scene, 4);
}

TEST(what_waits_for_the_background_comes_back,
     "Behind an archive run that holds the thread, one that is cancelled comes back at once, and "
     "another when its time is up.")
{
    struct jini_archive_run run;
    struct jini_archive_run late;
    open_scene();
    hold_background();
    scene_run(&scene, &run, 0);
    check_cancelled(&run.request);
    scene.timeout_ms = TIMEOUT_MS;
    scene_run(&scene, &late, 0);
    scene_turn_until(&scene, 3);
    check_late(&late.request, "jini-background", "try again later");
    scene_close(&scene, 4);
}

TEST(archive_runs_do_not_pile_up,
     "More archive runs than background.queue_max are refused, with the option and its number.")
{
    struct jini_archive_run waiting;
    struct jini_archive_run refused;
    open_scene();
    hold_background();
    scene_run(&scene, &waiting, 0);
    jini_request_init(&refused);
    refused.request.data = &scene;
    CHECK_STATUS(jini_archive_run(scene.jini, &refused, scene_on_return), JINI_E_BUSY);
    CHECK_TEXT(refused.request.error.field, "background.queue_max");
    CHECK_CONTAINS(refused.request.error.message, "1 tasks wait");
    check_cancelled(&waiting.request);
    scene_run(&scene, &waiting, 0);
    scene_close(&scene, 4);
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
