/*
 * Closing while threads of the engine are at work: what waits for them comes back at once, what
 * runs finishes, and the close callback is the last.
 */
#include "held.h"

#include <pthread.h>

enum { MANY = 20 };

static struct scene scene;

static void open_scene(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.cpu_threads = 1;
    options.password_threads = 1;
    options.request_timeout_ms = 60000; /* longer than the scene waits */
    options.clock = &held_clock;
    scene_open(&scene, &options);
}

/* What ran finished, or was taken back where it came to wait again. */
static void check_ran(const struct jini_request *request)
{
    CHECK(request->status == 0 || request->status == JINI_E_CANCELLED);
}

static void begin_closing(void)
{
    CHECK_OK(jini_close(scene.jini, scene_on_closed, &scene));
}

TEST(a_login_is_hashed_and_another_waits,
     "Closing brings back the login that waits while the first still holds the thread, then that.")
{
    struct jini_login running;
    struct jini_login waiting;
    open_scene();
    scene_add_alice(&scene);
    hold_thread("jini-password", &scene.gate);
    scene_login(&scene, &running);
    gate_await(&scene.gate);
    scene_login(&scene, &waiting);
    begin_closing();
    scene_turn_until(&scene, 2);
    CHECK_STATUS(waiting.request.status, JINI_E_CANCELLED);
    scene_end(&scene, 3);
    check_ran(&running.request);
}

TEST(a_plan_is_made_and_a_read_waits,
     "Closing brings back the read that waits behind a plan of tiering, and ends the plan.")
{
    struct jini_archive_run plan;
    struct jini_image_get get;
    open_scene();
    scene_store(&scene, 1);
    scene_run(&scene, &plan, JINI_TIERING_DRY_RUN);
    gate_await(&scene.gate);
    jini_request_init(&get);
    get.request.data = &scene;
    CHECK_OK(jini_image_get(scene.jini, &get, scene_on_return));
    begin_closing();
    scene_turn_until(&scene, 2);
    CHECK_STATUS(get.request.status, JINI_E_CANCELLED);
    scene_end(&scene, 3);
    check_ran(&plan.request);
}

TEST(verify_runs, "Closing ends a verify that runs.")
{
    struct jini_verify verify;
    open_scene();
    scene_store(&scene, 1);
    scene_verify(&scene, &verify);
    gate_await(&scene.gate);
    begin_closing();
    scene_end(&scene, 2);
    CHECK_STATUS(verify.request.status, JINI_E_CANCELLED);
}

TEST(an_archive_run_is_under_way_and_another_waits,
     "Closing brings back the run that waits, and ends the other one between two packs.")
{
    struct jini_archive_run running;
    struct jini_archive_run waiting;
    open_scene();
    scene_store(&scene, 1);
    scene_run(&scene, &running, 0);
    gate_await(&scene.gate);
    scene_run(&scene, &waiting, 0);
    begin_closing();
    scene_turn_until(&scene, 2);
    CHECK_STATUS(waiting.request.status, JINI_E_CANCELLED);
    scene_end(&scene, 3);
    check_ran(&running.request);
    struct jini *jini = fixture_open();
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_put_is_being_written, "Closing waits for the thread that writes images, and what it answers "
                             "holds: the image is there, or nothing is.")
{
    static struct jini_image_put puts[MANY];
    open_scene();
    hold_thread("jini-appender", &scene.gate);
    for (int i = 0; i < MANY; i++)
        scene_put(&scene, &puts[i], (uint64_t)i);
    gate_await(&scene.gate);
    begin_closing();
    scene_end(&scene, MANY);
    struct jini *jini = fixture_open();
    for (int i = 0; i < MANY; i++) {
        check_ran(&puts[i].request);
        if (puts[i].request.status == 0)
            CHECK_OK(fixture_get(jini, &puts[i].image.id, (uint64_t)i));
        free((void *)(uintptr_t)puts[i].bytes);
    }
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(reads_are_under_way, "Closing in the middle of reads brings each back, whole or cancelled.")
{
    static struct jini_image_get gets[MANY];
    static uint8_t bytes[MANY][1 << 15];
    struct png_request png = {64, 64, 1, "made for a test", NULL};
    size_t length;
    uint8_t *file = png_make(&png, &length);
    open_scene();
    struct jini_id id = scene_store(&scene, 1);
    for (int i = 0; i < MANY; i++) {
        jini_request_init(&gets[i]);
        gets[i].request.data = &scene;
        gets[i].id = id;
        gets[i].buffer = bytes[i];
        gets[i].capacity = sizeof(bytes[i]);
        CHECK_OK(jini_image_get(scene.jini, &gets[i], scene_on_return));
    }
    begin_closing();
    scene_end(&scene, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        check_ran(&gets[i].request);
        if (gets[i].request.status == 0)
            CHECK_BYTES(bytes[i], file, length);
    }
    free(file);
}

static void *close_main(void *argument)
{
    CHECK_OK(jini_close(argument, NULL, NULL));
    return NULL;
}

static void on_own_loop(struct jini_request *request)
{
    _Atomic uint32_t *returned = request->data;
    atomic_fetch_add(returned, 1);
}

TEST(a_blocking_close_waits_for_what_runs,
     "Closing without a callback returns after a plan that runs, and after what waited behind it.")
{
    struct jini_options options;
    struct jini_archive_run plan;
    struct jini_image_get waiting;
    struct gate gate = {0};
    _Atomic uint32_t returned = 0;
    pthread_t thread;
    fixture_options(&options);
    options.cpu_threads = 1;
    options.request_timeout_ms = 60000;
    struct jini *jini = fixture_open_with(&options);
    jini_request_init(&waiting);
    waiting.id = fixture_put(jini, 0, 1);
    jini_request_init(&plan);
    plan.request.data = &returned;
    plan.flags = JINI_TIERING_NOW | JINI_TIERING_DRY_RUN;
    plan.report = hold_in_tiering;
    plan.report_context = &gate;
    CHECK_OK(jini_archive_run(jini, &plan, on_own_loop));
    gate_await(&gate);
    waiting.request.data = &returned;
    CHECK_OK(jini_image_get(jini, &waiting, on_own_loop));
    CHECK_INT(pthread_create(&thread, NULL, close_main, jini), ==, 0);
    for (int i = 0; i < 10000 && atomic_load(&returned) == 0; i++)
        usleep(1000);
    CHECK_UINT(returned, ==, 1);
    CHECK_STATUS(waiting.request.status, JINI_E_CANCELLED);
    atomic_store(&gate.open, 1);
    pthread_join(thread, NULL);
    CHECK_UINT(returned, ==, 2);
    check_ran(&plan.request);
}

static struct jini_id admitted(struct jini *jini, uint64_t user)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static uint64_t unlimited_user(struct jini *jini)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return add.user.id;
}

static void on_closed(void *context)
{
    atomic_store((_Atomic uint32_t *)context, 1);
}

TEST(
    many_jobs_are_given_up,
    "Closing waits for one slice of the jobs that are given up, not for all; the next opening does "
    "the rest.")
{
    enum { JOBS = 100 };
    struct jini_id jobs[JOBS];
    struct gate gate = {0};
    _Atomic uint32_t closed = 0;
    struct jini_options options;
    struct jini_error error;
    struct jini_job job;
    fixture_options(&options);
    options.clock = &held_clock;
    options.background_run = 1;
    options.background_interval_ms = 10;
    struct jini *jini = fixture_open_with(&options);
    uint64_t user = unlimited_user(jini);
    for (int i = 0; i < JOBS; i++)
        jobs[i] = admitted(jini, user);
    hold_thread("jini-background", &gate);
    gate_await(&gate);
    fixture_days_pass(1);
    CHECK_OK(jini_close(jini, on_closed, &closed));
    atomic_store(&held_gate, NULL);
    atomic_store(&gate.open, 1);
    while (!atomic_load(&closed))
        usleep(1000);
    jini = fixture_open();
    unsigned left = 0;
    for (int i = 0; i < JOBS; i++) {
        CHECK_OK(jini_job_get(jini, &jobs[i], &job, &error));
        left += job.state <= JINI_JOB_IN_PROGRESS;
    }
    CHECK_UINT(left, >, JOBS / 2);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
