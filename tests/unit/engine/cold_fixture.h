/* Cold images behind an archive whose faults a test sets, and reads of them by callback. */
#ifndef COLD_FIXTURE_H
#define COLD_FIXTURE_H

#include "engine/engine_private.h"

#include "archive/archive.h"
#include "archive/fault.h"

#include "engine_fixture.h"

#include <pthread.h>
#include <unistd.h>

#define COLD_HEALTHY "skip=0"

enum {
    COLD_WAIT_MS = 30000,
    COLD_TIMEOUT_S = 600 /* of a read that asks for no other; by the clock of the test */
};

/* A clock whose boot time a test moves: deadlines and delays pass when it says so. */
static uint64_t cold_boot_offset_ns;

static uint64_t cold_boot_ns(void *context)
{
    return fixture_boot_ns(context) + __atomic_load_n(&cold_boot_offset_ns, __ATOMIC_RELAXED);
}

static const struct jini_clock cold_clock = {fixture_wall_ns, cold_boot_ns, NULL};

static inline void cold_seconds_pass(unsigned seconds)
{
    __atomic_fetch_add(&cold_boot_offset_ns, seconds * UINT64_C(1000000000), __ATOMIC_RELAXED);
}

/* The options of an engine over such an archive. */
static inline void cold_options(struct jini_options *options)
{
    fixture_options(options);
    snprintf(options->archive_url, sizeof(options->archive_url), "fault:%s:dir:archive",
             COLD_HEALTHY);
    options->trash_s = 0;
    options->clock = &cold_clock;
    options->request_timeout_ms = COLD_TIMEOUT_S * 1000;
}

static inline struct archive *cold_archive(struct jini *jini)
{
    struct jini_error error;
    CHECK_OK(archives_open(jini, &error));
    return jini->archives.handle->archive;
}

static inline void cold_faults(struct jini *jini, const char *spec)
{
    struct jini_error error;
    fixture_must(archive_fault_set(cold_archive(jini), spec, &error), spec, &error);
}

/* How many GETs the archive has answered. */
static inline uint64_t cold_gets(struct jini *jini)
{
    struct archive_statistics statistics;
    archive_statistics(cold_archive(jini), &statistics);
    return statistics.operations[ARCHIVE_GET].finished;
}

/* Puts the pictures of the seeds from `seed` on, and moves them to the archive. */
static inline void cold_images(struct jini *jini, uint64_t seed, struct jini_id *ids,
                               unsigned count)
{
    static uint64_t user;
    if (!user)
        user = fixture_user(jini, "alice", "Premium");
    for (unsigned i = 0; i < count; i++)
        ids[i] = fixture_put(jini, user, seed + i);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
}

/* A read with a callback. */
struct cold_get_later {
    struct jini_image_get get;
    uint64_t seed;
    uint8_t bytes[8192];
    _Atomic unsigned times; /* that it came back */
};

static inline void cold_came_back(struct jini_request *request)
{
    struct cold_get_later *later = request->data;
    atomic_fetch_add(&later->times, 1);
}

static inline int cold_submit(struct jini *jini, struct cold_get_later *later,
                              const struct jini_id *id, uint64_t seed, uint32_t timeout_s)
{
    jini_request_init(&later->get);
    later->get.request.data = later;
    later->get.request.timeout_ms = timeout_s * 1000;
    later->get.id = *id;
    later->get.buffer = later->bytes;
    later->get.capacity = sizeof(later->bytes);
    later->seed = seed;
    atomic_store(&later->times, 0);
    return jini_image_get(jini, &later->get, cold_came_back);
}

/* Waits until it has come back; after status 0 its bytes must be the picture of its seed. */
static inline int cold_result(struct cold_get_later *later)
{
    for (int i = 0; i < COLD_WAIT_MS && atomic_load(&later->times) == 0; i++)
        usleep(1000);
    CHECK_UINT(atomic_load(&later->times), ==, 1);
    if (later->get.request.status == 0) {
        struct png_request png = {64, 64, later->seed, "made for a test", NULL};
        size_t length;
        uint8_t *file = png_make(&png, &length);
        CHECK_UINT(later->get.length, ==, length);
        CHECK_BYTES(later->bytes, file, length);
        free(file);
    }
    return later->get.request.status;
}

/* Waits for a line of the figures: "jini_archive_reads 8". */
static inline void cold_wait_for(struct jini *jini, const char *wanted)
{
    static char metrics[65536];
    struct jini_error error;
    size_t length;
    for (int i = 0; i < COLD_WAIT_MS; i++) {
        CHECK_OK(jini_metrics(jini, metrics, sizeof(metrics), &length, &error));
        const char *found = strstr(metrics, wanted);
        if (found && found[strlen(wanted)] == '\n')
            return;
        usleep(1000);
    }
    harness_fail(__FILE__, __LINE__, "%s did not come", wanted);
}

#endif
