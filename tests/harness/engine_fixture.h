/* An engine in a test: its own clock where wanted, users, images made on the spot. */
#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H

#include <jini/jini.h>

#include "harness.h"
#include "png.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A wall clock that a test moves; boot time is the machine's. */
static uint64_t fixture_wall_offset_ns;

static uint64_t fixture_wall_ns(void *context)
{
    struct timespec time;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec +
           __atomic_load_n(&fixture_wall_offset_ns, __ATOMIC_RELAXED);
}

static uint64_t fixture_boot_ns(void *context)
{
    struct timespec time;
    (void)context;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static const struct jini_clock fixture_clock = {fixture_wall_ns, fixture_boot_ns, NULL};

/* Where the database lies; a test may set another place. */
static const char *fixture_directory;

static inline const char *fixture_db(void)
{
    return fixture_directory ? fixture_directory : harness_path("db");
}

static inline void fixture_days_pass(unsigned days)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, (uint64_t)days * 86400u * 1000000000u,
                       __ATOMIC_RELAXED);
}

static inline void fixture_options(struct jini_options *options)
{
    jini_options_init(options);
    options->create = 1;
    options->store_run_twice = 1;
    options->background_run = 0;
    options->password_memory_kib = 64;
    options->password_passes = 1;
    options->store_reserve_bytes = 1 << 20;
    options->pack_bytes_max = 256 * 1024;
    options->clock = &fixture_clock;
}

static inline struct jini *fixture_open_with(const struct jini_options *options)
{
    struct jini *jini;
    struct jini_error error;
    int status = jini_open(&jini, fixture_db(), options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static inline struct jini *fixture_open(void)
{
    struct jini_options options;
    fixture_options(&options);
    return fixture_open_with(&options);
}

static inline void fixture_must(int status, const char *what, const struct jini_error *error)
{
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s: %s: %s", what, jini_status_name(status),
                     error->field, error->message);
}

static inline uint64_t fixture_user(struct jini *jini, const char *name, const char *tier)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "%s", name);
    snprintf(add.user.tier, sizeof(add.user.tier), "%s", tier);
    add.user.flags = JINI_USER_ACTIVE;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return add.user.id;
}

static inline void fixture_settle(struct jini *jini, const struct jini_id *job)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = *job;
    fixture_must(jini_settle(jini, &settle, NULL), "settle", &settle.request.error);
}

static inline void fixture_release(struct jini *jini, const struct jini_id *job,
                                   enum jini_job_state state)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = *job;
    release.state = state;
    fixture_must(jini_release(jini, &release, NULL), "release", &release.request.error);
}

/* Stores the picture of a seed as an import of the user's. */
static inline struct jini_id fixture_put(struct jini *jini, uint64_t user, uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    return put.image.id;
}

/*
 * 0 when the image reads back as the picture of its seed; fails the case when other bytes come
 * back.
 */
static inline int fixture_get(struct jini *jini, const struct jini_id *id, uint64_t seed)
{
    struct png_request png = {64, 64, seed, "made for a test", NULL};
    struct jini_image_get get;
    size_t length;
    uint8_t *file = png_make(&png, &length);
    uint8_t *bytes = malloc(length);
    jini_request_init(&get);
    get.id = *id;
    get.buffer = bytes;
    get.capacity = length;
    int status = jini_image_get(jini, &get, NULL);
    if (status == 0) {
        CHECK_UINT(get.length, ==, length);
        CHECK_BYTES(bytes, file, length);
    }
    free(bytes);
    free(file);
    return status;
}

static inline struct jini_image_place fixture_locate(struct jini *jini, const struct jini_id *id)
{
    struct jini_image_place place;
    struct jini_error error;
    fixture_must(jini_image_locate(jini, id, &place, &error), "locate", &error);
    return place;
}

static inline void fixture_tier(struct jini *jini, uint32_t flags, struct jini_archive_run *out)
{
    struct jini_archive_run run;
    jini_request_init(&run);
    run.flags = flags;
    fixture_must(jini_archive_run(jini, &run, NULL), "tiering", &run.request.error);
    if (out)
        *out = run;
}

static inline void fixture_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    fprintf(stderr, "verify: %s: %s\n", problem->kind, problem->message);
}

static inline void fixture_verify(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.flags = JINI_VERIFY_DEEP;
    verify.report = fixture_problem;
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    CHECK_UINT(verify.problems, ==, 0);
}

#endif
