/*
 * Killed at random points in the middle of the main job: a child admits, settles, releases, stores,
 * archives, frees, removes and reads in several threads, for a user and an address, and says
 * through a pipe what was acknowledged; the parent kills it, opens the database and holds it to the
 * promises P1, P2, P5 and P6.
 */
#include "quotas.h"

#include <jini/jini.h>

#include "harness.h"
#include "lives.h"
#include "png.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LIVES = 200, THREADS = 3, ACKED_MAX = 200000, SIDES = 4, SEEDS_PER_LIFE = 100000 };

/* A life ends after 1 to so many jobs. */
enum { JOBS_PER_LIFE = 30 };

static const char limits[] = "1000000/minute; 10000000/day; 20000000/month";
static const char address[] = "2001:db8:1:2::3";

enum said_kind { SAID_ADMITTED, SAID_RELEASED, SAID_STORED, SAID_REMOVING, SAID_REMOVED };

/* What the child says, in one write of a pipe, so that it arrives whole. */
struct said {
    uint32_t kind; /* enum said_kind */
    uint32_t seed;
    struct jini_id id;  /* of the job or the image */
    struct jini_id job; /* that was settled with a stored image */
};

/* In memory where there is room: a kill takes nothing from there, and it is quicker. */
static const char *database(void)
{
    static char path[600];
    if (!path[0])
        snprintf(path, sizeof(path), "%s/db", harness_fast_directory(256 << 20));
    return path;
}

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
    int status = jini_open(&jini, database(), &options, &error);
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
static struct life *child_life;

static void say(enum said_kind kind, uint32_t seed, const struct jini_id *id,
                const struct jini_id *job)
{
    struct said said = {kind, seed, *id, *job};
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
    say(SAID_REMOVING, seed, id, id);
    must(jini_image_remove(child_engine, &remove, NULL), "remove", &remove.request.error);
    say(SAID_REMOVED, seed, id, id);
}

static struct jini_id admit_one(uint32_t seed, bool anonymous, uint32_t count)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject.kind = JINI_SUBJECT_USER;
    admit.subject.number = child_user;
    if (anonymous)
        CHECK_OK(jini_subject_parse_address(address, &admit.subject));
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = count};
    must(jini_admit(child_engine, &admit, NULL), "admit", &admit.request.error);
    say(SAID_ADMITTED, seed, &admit.job.id, &admit.job.id);
    return admit.job.id;
}

static void start_one(const struct jini_id *job)
{
    struct jini_renew renew;
    jini_request_init(&renew);
    renew.job_id = *job;
    renew.state = JINI_JOB_IN_PROGRESS;
    must(jini_renew(child_engine, &renew, NULL), "renew", &renew.request.error);
}

static void release_one(uint32_t seed, const struct jini_id *job)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = *job;
    release.state = JINI_JOB_FAILED;
    must(jini_release(child_engine, &release, NULL), "release", &release.request.error);
    say(SAID_RELEASED, seed, job, job);
}

static void store_one(uint32_t seed, const struct jini_id *job, bool anonymous)
{
    struct jini_image_put put;
    size_t length;
    uint8_t *file = picture(seed, &length);
    jini_request_init(&put);
    put.bytes = file;
    put.length = length;
    put.user_id = anonymous ? 0 : child_user;
    put.job_id = *job;
    put.flags = JINI_PUT_SETTLES;
    must(jini_image_put(child_engine, &put, NULL), "put", &put.request.error);
    say(SAID_STORED, seed, &put.image.id, job);
    free(file);
    if (seed % 7 == 0)
        remove_one(seed, &put.image.id);
}

/* A job with one of three ends: stored, released, or left to its lease. */
static void run_job(uint32_t seed)
{
    bool anonymous = seed % 4 == 0;
    struct jini_id job = admit_one(seed, anonymous, 1 + seed % 3);
    if (seed % 3 == 0)
        start_one(&job);
    if (seed % 11 == 1)
        return;
    if (seed % 5 == 1)
        release_one(seed, &job);
    else
        store_one(seed, &job, anonymous);
}

static void *store_forever(void *argument)
{
    for (uint32_t seed = *(uint32_t *)argument;; seed += THREADS) {
        life_begin(child_life);
        run_job(seed);
        life_end(child_life);
    }
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

static void child_main(int pipe, uint64_t user, uint32_t first_seed, struct life *life)
{
    static uint32_t seeds[THREADS];
    pthread_t thread;
    child_pipe = pipe;
    child_user = user;
    child_life = life;
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

struct acked_job {
    struct jini_id id;
    enum jini_job_state state; /* IN_QUEUE: its end was not acknowledged */
};

static struct acked_job acked_jobs[ACKED_MAX];
static size_t acked_jobs_count;

static struct quotas quotas;

static struct acked *find_image(const struct jini_id *id)
{
    for (size_t i = acked_count; i > 0; i--) {
        if (jini_id_compare(&acked[i - 1].id, id) == 0)
            return &acked[i - 1];
    }
    harness_fail(__FILE__, __LINE__, "something was removed that was never stored");
}

static struct acked_job *find_job(const struct jini_id *id)
{
    for (size_t i = acked_jobs_count; i > 0; i--) {
        if (jini_id_compare(&acked_jobs[i - 1].id, id) == 0)
            return &acked_jobs[i - 1];
    }
    harness_fail(__FILE__, __LINE__, "a job ended that was never admitted");
}

static void take(const struct said *said)
{
    CHECK_UINT(acked_count, <, ACKED_MAX);
    CHECK_UINT(acked_jobs_count, <, ACKED_MAX);
    switch ((enum said_kind)said->kind) {
    case SAID_ADMITTED:
        acked_jobs[acked_jobs_count++] = (struct acked_job){said->id, JINI_JOB_IN_QUEUE};
        break;
    case SAID_RELEASED:
        find_job(&said->id)->state = JINI_JOB_FAILED;
        break;
    case SAID_STORED:
        acked[acked_count++] = (struct acked){.id = said->id, .seed = said->seed};
        find_job(&said->job)->state = JINI_JOB_COMPLETED;
        break;
    case SAID_REMOVING:
        find_image(&said->id)->removing = true;
        break;
    case SAID_REMOVED:
        find_image(&said->id)->removed = true;
        break;
    }
}

/* One life, and what was said in it. */
static void live(struct lives *lives, uint64_t user, uint32_t first_seed)
{
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child_main(ends[1], user, first_seed, lives->told);
    }
    close(ends[1]);
    lives_kill(lives, pid);
    struct said said;
    ssize_t got;
    while ((got = read(ends[0], &said, sizeof(said))) == sizeof(said))
        take(&said);
    CHECK_INT(got, ==, 0);
    close(ends[0]);
}

static void check_job(struct jini *jini, const struct acked_job *acked_job)
{
    struct jini_job job;
    struct jini_error error;
    int status = jini_job_get(jini, &acked_job->id, &job, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "an acknowledged admission is lost: %s: %s",
                     jini_status_name(status), error.message);
    if (acked_job->state != JINI_JOB_IN_QUEUE)
        CHECK_INT(job.state, ==, acked_job->state);
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
static void check_database(size_t from, size_t jobs_from, bool all)
{
    struct jini *jini = open_engine();
    struct jini_verify verify;
    jini_request_init(&verify);
    verify.report = on_problem;
    verify.flags = all ? JINI_VERIFY_DEEP : 0;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    CHECK_INT(quotas_check(jini, &quotas), ==, 0);
    quotas_release_all(jini, &quotas);
    CHECK_INT(quotas_check(jini, &quotas), ==, 0);
    for (size_t i = all ? 0 : jobs_from; i < acked_jobs_count; i++)
        check_job(jini, &acked_jobs[i]);
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
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set); /* of the address */
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%s", limits);
    set.tier.allowance.parallel_max = 0;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s", limits);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
    return add.user.id;
}

static void begin_quotas(uint64_t user)
{
    struct jini_subject subject;
    CHECK_OK(jini_subject_parse_address(address, &subject));
    quotas.user = user;
    memcpy(quotas.address, subject.address, sizeof(quotas.address));
}

TEST(what_was_acknowledged_is_there_after_every_kill,
     "Killed at any point, no acknowledged job or image is lost or changed, none that was removed "
     "comes back, quotas agree with the jobs to the unit, and verify finds nothing.")
{
    uint64_t user = add_user();
    unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 8 : 1);
    struct lives lives = {
        .lives = count, .pieces = JOBS_PER_LIFE, .done_min = count * 6, .middle_min = count / 2};
    uint32_t seed = 1;
    begin_quotas(user);
    for (; lives_go_on(&lives, acked_count >= 4 * count); seed += SEEDS_PER_LIFE) {
        size_t from = acked_count;
        size_t jobs_from = acked_jobs_count;
        live(&lives, user, seed);
        check_database(from, jobs_from, false);
    }
    check_database(acked_count, acked_jobs_count, true);
    printf("     %zu jobs and %zu images acknowledged\n", acked_jobs_count, acked_count);
    lives_check(&lives);
    CHECK_UINT(acked_count, >=, 4 * count);
    for (int owner = 0; owner < 2; owner++)
        CHECK_UINT(quotas.completed[owner], >, 0);
}
