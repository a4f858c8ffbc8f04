/*
 * The queue of jobs under kills: four processes admit jobs that cost credits, take them, extend,
 * store, finish, fail, cancel and abandon them, and are killed one after the other at random points
 * while the others go on with what they left. Every job ends once and is charged once, none is
 * lost, and no two attempts at one job are both told that they finished it.
 */
#include "engine/queue.h"
#include "ledger/chart.h"

#include "engine_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROUNDS = 6,
    PROCESSES = 4,
    USERS = 3,
    LEASE_MS = 40,
    MESSAGES_MAX = 150,
    KEPT_MAX = 60000,
    COST = 3,
};

static const char *const models[] = {"sd-xl", "flux"};

static struct jini *open_engine(void)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.background_run = 1;
    options.background_interval_ms = 10;
    options.queue_retry_ms = 5;
    options.queue_retry_max_ms = 20;
    options.queue_attempts_max = 5;
    return fixture_open_with(&options);
}

/* ---- The children ---- */

enum said_kind { SAID_ADMITTED, SAID_FINISHED, SAID_FAILED, SAID_CANCELLED };

struct said {
    uint64_t kind; /* enum said_kind */
    struct jini_id job;
};

static struct jini *engine;
static int told;
static uint64_t users[USERS];

static void say(enum said_kind kind, const struct jini_id *job)
{
    struct said said = {kind, *job};
    if (write(told, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static struct jini_id admit(uint64_t number)
{
    struct jini_admit request;
    jini_request_init(&request);
    request.subject =
        (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = users[number % USERS]};
    request.parameters =
        (struct jini_parameters){.width = 24, .height = 24, .steps = 1, .count = 1};
    snprintf(request.parameters.model, sizeof(request.parameters.model), "%s", models[number % 2]);
    request.flags = JINI_ADMIT_QUEUE;
    int status = jini_admit(engine, &request, NULL);
    if (status == JINI_E_BUSY) /* as many as a user may have */
        return (struct jini_id){{0}};
    fixture_must(status, "admit", &request.request.error);
    return request.job.id;
}

static void *admit_for_ever(void *argument)
{
    for (uint64_t state = *(uint64_t *)argument;;) {
        struct jini_id job = admit(next_random(&state));
        if (id_is_zero(&job)) {
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
            continue;
        }
        say(SAID_ADMITTED, &job);
        if (next_random(&state) % 16)
            continue;
        struct jini_release cancel;
        jini_request_init(&cancel);
        cancel.job_id = job;
        cancel.state = JINI_JOB_CANCELLED;
        int status = jini_release(engine, &cancel, NULL);
        if (status == 0)
            say(SAID_CANCELLED, &job);
        else if (status != JINI_E_CONFLICT)
            fixture_must(status, "cancel", &cancel.request.error);
    }
    return NULL;
}

/* 0, or that another one has the job by now. */
static int must_or_conflict(int status, const char *what, const struct jini_error *error)
{
    if (status != JINI_E_CONFLICT)
        fixture_must(status, what, error);
    return status;
}

static int store_image(const struct jini_job *job, uint64_t seed)
{
    struct png_request png = {24, 24, seed, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = job->user_id;
    put.job_id = job->id;
    put.attempt = job->attempt;
    put.flags = JINI_PUT_SETTLES;
    int status = jini_image_put(engine, &put, NULL);
    free(file);
    return must_or_conflict(status, "put", &put.request.error);
}

static int finish(const struct jini_job *job)
{
    struct jini_job_finish request;
    jini_request_init(&request);
    request.job_id = job->id;
    request.attempt = job->attempt;
    return must_or_conflict(jini_job_finish(engine, &request, NULL), "finish",
                            &request.request.error);
}

static void fail(const struct jini_job *job, bool retry)
{
    struct jini_job_fail request;
    jini_request_init(&request);
    request.job_id = job->id;
    request.attempt = job->attempt;
    request.retry = retry;
    int status =
        must_or_conflict(jini_job_fail(engine, &request, NULL), "fail", &request.request.error);
    if (status == 0 && request.job.state == JINI_JOB_FAILED)
        say(SAID_FAILED, &job->id);
}

static void extend(const struct jini_job *job)
{
    struct jini_job_extend request;
    jini_request_init(&request);
    request.job_id = job->id;
    request.attempt = job->attempt;
    request.lease_ms = LEASE_MS;
    must_or_conflict(jini_job_extend(engine, &request, NULL), "extend", &request.request.error);
}

static void work_at(const struct jini_job *job, uint64_t chance)
{
    if (chance % 8 == 0) /* late: it may be another's by then */
        nanosleep(&(struct timespec){.tv_nsec = 2 * LEASE_MS * 1000000L}, NULL);
    if (chance % 8 == 1)
        extend(job);
    switch (chance / 8 % 8) {
    case 0:
        fail(job, true);
        break;
    case 1:
        fail(job, chance / 64 % 2);
        break;
    case 2:
        break; /* abandoned */
    case 3:
        if (store_image(job, chance) == 0)
            say(SAID_FINISHED, &job->id);
        break;
    default:
        if (finish(job) == 0)
            say(SAID_FINISHED, &job->id);
    }
}

static void *work_for_ever(void *argument)
{
    uint64_t state = *(uint64_t *)argument;
    struct jini_job_taken *taken = malloc(2 * sizeof(*taken));
    for (;;) {
        struct jini_job_take take;
        jini_request_init(&take);
        take.worker = "worker";
        take.taken = taken;
        take.capacity = 1 + next_random(&state) % 2;
        take.models = &models[next_random(&state) % 2];
        take.model_count = next_random(&state) % 2;
        take.lease_ms = LEASE_MS;
        take.wait_ms = 100;
        fixture_must(jini_job_take(engine, &take, NULL), "take", &take.request.error);
        for (uint32_t i = 0; i < take.count; i++)
            work_at(&taken[i].job, next_random(&state));
    }
    return NULL;
}

static void child_main(int pipe, uint64_t seed)
{
    static uint64_t seeds[2];
    pthread_t thread;
    told = pipe;
    engine = open_engine();
    seeds[0] = seed;
    seeds[1] = seed + 1;
    pthread_create(&thread, NULL, admit_for_ever, &seeds[0]);
    work_for_ever(&seeds[1]);
}

/* ---- The parent ---- */

struct kept {
    size_t count;
    struct jini_id ids[KEPT_MAX];
};

static struct kept kept[SAID_CANCELLED + 1];

/* Takes up to `most` messages; false when no more come. */
static bool listen(int from, unsigned most, int wait_ms)
{
    struct pollfd ready = {.fd = from, .events = POLLIN};
    for (unsigned i = 0; i < most; i++) {
        struct said said;
        if (poll(&ready, 1, wait_ms) <= 0 || read(from, &said, sizeof(said)) != sizeof(said))
            return false;
        struct kept *list = &kept[said.kind];
        CHECK_UINT(list->count, <, KEPT_MAX);
        list->ids[list->count++] = said.job;
    }
    return true;
}

/* All are killed, one after the other, while those that live go on. */
static void run_children(uint64_t round)
{
    pid_t pids[PROCESSES];
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fflush(NULL);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0)
            child_main(ends[1], harness_seed() + 2 * (round * PROCESSES + i));
    }
    close(ends[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        listen(ends[0], 1 + (unsigned)harness_random_below(MESSAGES_MAX), 20000);
        nanosleep(&(struct timespec){.tv_nsec = (long)harness_random_below(3000000)}, NULL);
        kill(pids[i], SIGKILL);
        CHECK_INT(waitpid(pids[i], &status, 0), ==, pids[i]);
        CHECK(WIFSIGNALED(status)); /* else it met an error, and said so */
    }
    while (listen(ends[0], UINT32_MAX, -1))
        continue;
    close(ends[0]);
}

static uint64_t left_in_queue(void)
{
    struct jini_queue_line ranks[4];
    struct jini_error error;
    uint64_t left = 0;
    size_t count;
    CHECK_OK(jini_queue_priorities(engine, NULL, ranks, 4, &count, &error));
    for (size_t i = 0; i < count; i++)
        left += ranks[i].waiting + ranks[i].delayed + ranks[i].in_progress;
    return left;
}

/* Does what is left, as a worker that never fails. */
static void drain(void)
{
    static struct jini_job_taken taken[JINI_TAKE_MAX];
    while (left_in_queue() > 0) {
        struct jini_job_take take;
        jini_request_init(&take);
        take.worker = "last";
        take.taken = taken;
        take.capacity = JINI_TAKE_MAX;
        take.wait_ms = 500;
        fixture_must(jini_job_take(engine, &take, NULL), "take", &take.request.error);
        for (uint32_t i = 0; i < take.count; i++)
            CHECK_OK(finish(&taken[i].job));
    }
}

static int by_id(const void *a, const void *b)
{
    return jini_id_compare(a, b);
}

/* What was acknowledged stands, once. */
static void check_said(enum said_kind kind, enum jini_job_state state)
{
    struct kept *list = &kept[kind];
    qsort(list->ids, list->count, sizeof(list->ids[0]), by_id);
    for (size_t i = 0; i < list->count; i++) {
        struct jini_job job;
        struct jini_error error;
        CHECK(i == 0 || by_id(&list->ids[i - 1], &list->ids[i]) != 0);
        CHECK_OK(jini_job_get(engine, &list->ids[i], &job, &error));
        CHECK_INT(job.state, ==, state);
    }
}

static uint64_t count_completed(void)
{
    uint64_t completed = 0;
    for (int i = 0; i < USERS; i++) {
        struct jini_list_cursor cursor = {0};
        struct jini_error error;
        struct jini_job jobs[32];
        size_t count = 32;
        while (count == 32) {
            CHECK_OK(jini_job_list(engine, users[i], &cursor, jobs, 32, &count, &error));
            for (size_t k = 0; k < count; k++) {
                CHECK_INT(jobs[k].state, >=, JINI_JOB_COMPLETED); /* it has ended */
                completed += jobs[k].state == JINI_JOB_COMPLETED;
            }
        }
    }
    return completed;
}

static void check_credits(uint64_t completed)
{
    struct jini_id used = chart_account(JINI_CREDITS_LEDGER, CHART_USED);
    struct jini_account account;
    struct jini_error error;
    CHECK_OK(jini_account_get(engine, &used, &account, &error));
    CHECK_UINT(account.balance.credits_posted.low, ==, completed * COST);
    CHECK_UINT(account.balance.credits_pending.low, ==, 0);
}

static void make_database(void)
{
    struct jini_tier_set set;
    struct jini_error error;
    struct jini_cost_set cost;
    engine = open_engine();
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(engine, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "1000000/day");
    set.tier.allowance.parallel_max = 0;
    set.tier.allowance.retention_days = 0;
    CHECK_OK(jini_tier_set(engine, &set, NULL));
    jini_request_init(&cost);
    cost.cost.per_image = 1000 * COST;
    CHECK_OK(jini_cost_set(engine, &cost, NULL));
    for (int i = 0; i < USERS; i++) {
        struct jini_grant_add add;
        char name[16];
        snprintf(name, sizeof(name), "user%d", i);
        users[i] = fixture_user(engine, name, "Free");
        jini_request_init(&add);
        jini_id_make(engine, &add.grant.id);
        add.grant.user_id = users[i];
        add.grant.granted = JINI_CREDITS_MAX / 4;
        add.grant.category = JINI_GRANT_PAID;
        fixture_must(jini_grant_add(engine, &add, NULL), "grant", &add.request.error);
    }
    CHECK_OK(jini_close(engine, NULL, NULL));
}

TEST(every_job_ends_once_whoever_dies,
     "Killed one after the other among takes, extensions and ends in four processes, workers leave "
     "nothing that verify finds; in the end every job has ended, once, what was acknowledged "
     "stands, and the credits used are those of the completed jobs.")
{
    make_database();
    unsigned rounds = ROUNDS * harness_scale() / (harness_sanitized() ? 2 : 1);
    for (unsigned i = 0; i < rounds; i++) {
        run_children(i);
        struct jini_options options;
        fixture_options(&options);
        engine = fixture_open_with(&options);
        fixture_verify(engine);
        CHECK_OK(jini_close(engine, NULL, NULL));
    }
    engine = open_engine();
    drain();
    uint64_t completed = count_completed();
    check_said(SAID_FINISHED, JINI_JOB_COMPLETED);
    check_said(SAID_FAILED, JINI_JOB_FAILED);
    check_said(SAID_CANCELLED, JINI_JOB_CANCELLED);
    check_credits(completed);
    printf("     %zu jobs admitted, %zu finished, %zu failed, %zu cancelled in %u lives\n",
           kept[SAID_ADMITTED].count, kept[SAID_FINISHED].count, kept[SAID_FAILED].count,
           kept[SAID_CANCELLED].count, rounds * PROCESSES);
    CHECK_UINT(kept[SAID_FINISHED].count, >, rounds);
    CHECK_UINT(completed, >=, kept[SAID_FINISHED].count);
    fixture_verify(engine);
    CHECK_OK(jini_close(engine, NULL, NULL));
}
