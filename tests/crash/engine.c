/*
 * Killed at random points in the middle of the main job: a child admits, stores, archives, frees,
 * removes and reads in several threads, and says through a pipe what was acknowledged; the parent
 * kills it, opens the database and holds it to the promises P1, P2, P5 and P6.
 */
#include <jini/jini.h>

#include "harness.h"
#include "png.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 60, THREADS = 3, ACKED_MAX = 200000, SIDES = 4, SEEDS_PER_LIFE = 100000 };

/* What the child says, in one write of a pipe, so that it arrives whole. */
struct said {
    uint32_t kind; /* 1: stored, 2: going to be removed, 3: removed */
    uint32_t seed;
    struct jini_id id;
};

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.background_run = 0;
    options.pack_bytes_max = 64 * 1024;
    options.store_reserve_bytes = 1 << 20;
    options.cache_image_bytes = 1 << 20;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static uint8_t *picture(uint32_t seed, size_t *length)
{
    char text[2000];
    struct png_request png = {16 + seed % SIDES * 24, 16 + seed / SIDES % SIDES * 24, seed, text,
                              NULL};
    memset(text, 'a' + (int)(seed % 26), sizeof(text));
    text[seed % 3 == 0 ? 1500 : 100] = '\0';
    return png_make(&png, length);
}

/* ---- The child ---- */

static struct jini *child_engine;
static int child_pipe;
static uint64_t child_user;

static void say(uint32_t kind, uint32_t seed, const struct jini_id *id)
{
    struct said said = {kind, seed, *id};
    if (write(child_pipe, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

static void must(int status, const char *what, const struct jini_error *error)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s: %s: %s: %s\n", what, jini_status_name(status), error->field,
            error->message);
    _exit(2);
}

static void remove_one(uint32_t seed, const struct jini_id *id)
{
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = *id;
    say(2, seed, id);
    must(jini_image_remove(child_engine, &remove, NULL), "remove", &remove.request.error);
    say(3, seed, id);
}

static void store_one(uint32_t seed)
{
    struct jini_admit admit;
    struct jini_image_put put;
    size_t length;
    uint8_t *file = picture(seed, &length);
    jini_request_init(&admit);
    admit.subject.kind = JINI_SUBJECT_USER;
    admit.subject.number = child_user;
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    must(jini_admit(child_engine, &admit, NULL), "admit", &admit.request.error);
    jini_request_init(&put);
    put.bytes = file;
    put.length = length;
    put.user_id = child_user;
    put.job_id = admit.job.id;
    put.flags = JINI_PUT_SETTLES;
    must(jini_image_put(child_engine, &put, NULL), "put", &put.request.error);
    say(1, seed, &put.image.id);
    free(file);
    if (seed % 7 == 0)
        remove_one(seed, &put.image.id);
}

static void *store_forever(void *argument)
{
    for (uint32_t seed = *(uint32_t *)argument;; seed += THREADS)
        store_one(seed);
    return NULL;
}

static void archive_forever(void)
{
    for (unsigned i = 0;; i++) {
        struct jini_archive_run run;
        struct timespec pause = {.tv_nsec = 3000000};
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | (i % 2 ? JINI_TIERING_FREE_HOT : 0);
        must(jini_archive_run(child_engine, &run, NULL), "archive", &run.request.error);
        nanosleep(&pause, NULL);
    }
}

static void child_main(int pipe, uint64_t user, uint32_t first_seed)
{
    static uint32_t seeds[THREADS];
    pthread_t thread;
    child_pipe = pipe;
    child_user = user;
    child_engine = open_engine();
    for (uint32_t i = 0; i < THREADS; i++) {
        seeds[i] = first_seed + i;
        pthread_create(&thread, NULL, store_forever, &seeds[i]);
    }
    archive_forever();
}

/* ---- The parent ---- */

struct acked {
    struct jini_id id;
    uint32_t seed;
    bool removing;
    bool removed;
};

static struct acked acked[ACKED_MAX];
static size_t acked_count;

static void take(const struct said *said)
{
    if (said->kind == 1) {
        CHECK_UINT(acked_count, <, ACKED_MAX);
        acked[acked_count++] = (struct acked){.id = said->id, .seed = said->seed};
        return;
    }
    for (size_t i = acked_count; i > 0; i--) {
        if (jini_id_compare(&acked[i - 1].id, &said->id) == 0) {
            acked[i - 1].removing = true;
            acked[i - 1].removed |= said->kind == 3;
            return;
        }
    }
    harness_fail(__FILE__, __LINE__, "something was removed that was never stored");
}

/* Kills the child when its time has come, and reads what it said. */
static void run_child(uint64_t user, uint32_t first_seed)
{
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child_main(ends[1], user, first_seed);
    }
    close(ends[1]);
    uint64_t us = 20000 + harness_random_below(harness_sanitized() ? 600000 : 200000);
    struct timespec life = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&life, NULL);
    kill(pid, SIGKILL);
    struct said said;
    ssize_t got;
    while ((got = read(ends[0], &said, sizeof(said))) == sizeof(said))
        take(&said);
    CHECK_INT(got, ==, 0);
    close(ends[0]);
    int status;
    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    CHECK(WIFSIGNALED(status)); /* else it met an error, and said so */
}

static void check_image(struct jini *jini, const struct acked *image)
{
    struct jini_image_get get;
    size_t length;
    uint8_t *file = picture(image->seed, &length);
    uint8_t *bytes = malloc(length);
    jini_request_init(&get);
    get.id = image->id;
    get.buffer = bytes;
    get.capacity = length;
    int status = jini_image_get(jini, &get, NULL);
    if (image->removed) {
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
    } else if (!image->removing || status == 0) {
        if (status)
            harness_fail(__FILE__, __LINE__, "an acknowledged image is lost: %s: %s",
                         jini_status_name(status), get.request.error.message);
        CHECK_UINT(get.length, ==, length);
        CHECK_BYTES(bytes, file, length);
    }
    free(bytes);
    free(file);
}

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    fprintf(stderr, "verify: %s: %s\n", problem->kind, problem->message);
}

/* All that the last life acknowledged and a sample of the earlier ones; at the end, everything. */
static void check_database(size_t from, bool all)
{
    struct jini *jini = open_engine();
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.report = on_problem;
    verify.flags = all ? JINI_VERIFY_DEEP : 0;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    for (size_t i = all ? 0 : from; i < acked_count; i++)
        check_image(jini, &acked[i]);
    for (unsigned i = 0; i < 50 && from > 0; i++)
        check_image(jini, &acked[harness_random_below(from)]);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t add_user(void)
{
    struct jini *jini = open_engine();
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits),
             "1000000/minute; 10000000/day");
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
    return add.user.id;
}

TEST(what_was_acknowledged_is_there_after_every_kill,
     "Killed at any point, no acknowledged image is lost or changed, none that was removed comes "
     "back, and verify finds nothing.")
{
    uint64_t user = add_user();
    unsigned rounds = ROUNDS * harness_scale() / (harness_sanitized() ? 4 : 1);
    uint32_t seed = 1;
    for (unsigned i = 0; i < rounds; i++, seed += SEEDS_PER_LIFE) {
        size_t from = acked_count;
        run_child(user, seed);
        check_database(from, i + 1 == rounds);
    }
    printf("     %zu images acknowledged in %u lives\n", acked_count, rounds);
    CHECK_UINT(acked_count, >, rounds);
}
