/*
 * Holding a thread of an engine at a place where it calls out: in a report of verify or of tiering,
 * or where it asks for the time.
 */
#ifndef HELD_H
#define HELD_H

#include "engine_fixture.h"

#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

/* Work stops in it until the gate is opened. */
struct gate {
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
};

static inline void gate_pass(struct gate *gate)
{
    atomic_fetch_add(&gate->entered, 1);
    while (!atomic_load(&gate->open))
        usleep(1000);
}

static inline void gate_await(const struct gate *gate)
{
    while (!atomic_load(&gate->entered))
        usleep(1000);
}

/* Asked for the time of day by a thread of this name, held_clock holds it at the gate. */
static const char *held_thread;
static struct gate *_Atomic held_gate;

static inline uint64_t held_wall_ns(void *context)
{
    char name[16] = "";
    struct gate *gate = atomic_load(&held_gate);
    if (gate && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, held_thread) == 0)
        gate_pass(gate);
    return fixture_wall_ns(context);
}

static const struct jini_clock held_clock = {held_wall_ns, fixture_boot_ns, NULL};

static inline void hold_thread(const char *name, struct gate *gate)
{
    held_thread = name;
    atomic_store(&held_gate, gate);
}

/* For jini_verify and jini_archive_run; the context is the gate. */
static inline void hold_in_verify(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)phase;
    (void)done;
    (void)total;
    gate_pass(context);
}

static inline void hold_in_tiering(void *context, const struct jini_tiering_event *event)
{
    (void)event;
    gate_pass(context);
}

/* ---- An engine and a loop on which everything comes back ---- */

struct scene {
    struct jini *jini;
    uv_loop_t loop;
    struct gate gate;
    uint32_t timeout_ms; /* of what is submitted from now on */
    unsigned returned;
    unsigned closed;
};

static inline void scene_open(struct scene *scene, const struct jini_options *options)
{
    struct jini_error error;
    memset(scene, 0, sizeof(*scene));
    scene->jini = fixture_open_with(options);
    CHECK_INT(uv_loop_init(&scene->loop), ==, 0);
    CHECK_OK(jini_attach(scene->jini, &scene->loop, &error));
}

static inline void scene_on_return(struct jini_request *request)
{
    struct scene *scene = request->data;
    CHECK_UINT(scene->closed, ==, 0);
    scene->returned++;
}

static inline void scene_begin(struct scene *scene, struct jini_request *request)
{
    request->data = scene;
    request->timeout_ms = scene->timeout_ms;
}

static inline void scene_on_closed(void *context)
{
    struct scene *scene = context;
    scene->closed++;
}

/* Turns the loop for up to ten seconds. */
static inline void scene_turn_until(struct scene *scene, unsigned returned)
{
    for (int i = 0; i < 10000 && scene->returned < returned; i++) {
        uv_run(&scene->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    CHECK_UINT(scene->returned, ==, returned);
}

/* Lets go of what is held, after jini_close(), and sees that this comes last. */
static inline void scene_end(struct scene *scene, unsigned returned)
{
    CHECK_UINT(scene->closed, ==, 0);
    atomic_store(&held_gate, NULL);
    atomic_store(&scene->gate.open, 1);
    uv_run(&scene->loop, UV_RUN_DEFAULT);
    CHECK_UINT(scene->returned, ==, returned);
    CHECK_UINT(scene->closed, ==, 1);
    CHECK_INT(uv_loop_close(&scene->loop), ==, 0);
}

static inline void scene_close(struct scene *scene, unsigned returned)
{
    atomic_store(&held_gate, NULL);
    atomic_store(&scene->gate.open, 1);
    CHECK_OK(jini_close(scene->jini, scene_on_closed, scene));
    scene_end(scene, returned);
}

/* A picture that a put may borrow; freed by the caller. */
static inline void scene_put(struct scene *scene, struct jini_image_put *put, uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    jini_request_init(put);
    scene_begin(scene, &put->request);
    put->bytes = png_make(&png, &put->length);
    CHECK_OK(jini_image_put(scene->jini, put, scene_on_return));
}

/* Stores one, for verify and tiering to find. */
static inline struct jini_id scene_store(struct scene *scene, uint64_t seed)
{
    struct jini_image_put put;
    scene_put(scene, &put, seed);
    scene_turn_until(scene, scene->returned + 1);
    CHECK_OK(put.request.status);
    free((void *)(uintptr_t)put.bytes);
    return put.image.id;
}

/* Adds alice, who logs in with "correct horse". */
static inline uint64_t scene_add_alice(struct scene *scene)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    add.user.flags = JINI_USER_ACTIVE;
    add.password = "correct horse";
    scene_begin(scene, &add.request);
    CHECK_OK(jini_user_add(scene->jini, &add, scene_on_return));
    scene_turn_until(scene, scene->returned + 1);
    CHECK_OK(add.request.status);
    return add.user.id;
}

static inline void scene_login(struct scene *scene, struct jini_login *login)
{
    jini_request_init(login);
    scene_begin(scene, &login->request);
    login->login = "alice";
    login->password = "correct horse";
    CHECK_OK(jini_login(scene->jini, login, scene_on_return));
}

static inline void scene_verify(struct scene *scene, struct jini_verify *verify)
{
    jini_request_init(verify);
    scene_begin(scene, &verify->request);
    verify->progress = hold_in_verify;
    verify->context = &scene->gate;
    CHECK_OK(jini_verify(scene->jini, verify, scene_on_return));
}

/* A run on the background's thread, or with JINI_TIERING_DRY_RUN a plan on one for CPU work. */
static inline void scene_run(struct scene *scene, struct jini_archive_run *run, uint32_t flags)
{
    jini_request_init(run);
    scene_begin(scene, &run->request);
    run->flags = JINI_TIERING_NOW | flags;
    run->report = hold_in_tiering;
    run->report_context = &scene->gate;
    CHECK_OK(jini_archive_run(scene->jini, run, scene_on_return));
}

#endif
