/*
 * The bound on parallel jobs, and renewals, under race: threads of several processes admit for one
 * user and one address, and settle, release and abandon what they got.
 */
#include <jini/jini.h>

#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROCESSES = 3,
    THREADS = 3,
    BOUND = 3,
    STEPS = 25,
    ABANDONED_MS = 15,
    SUBJECTS = 2,
    JOIN_TRIES = 200
};

/* The amount of the quota, so large that it never refuses. */
enum { AMOUNT = 1000000 };

/*
 * Counted outside of the database, in memory that all processes share. A job is counted from when
 * its admission has returned until its end is asked for, so never when it does not run.
 */
struct counted {
    _Atomic unsigned running;
    _Atomic unsigned most; /* seen at once */
    _Atomic unsigned settled;
    _Atomic unsigned abandoned;
    _Atomic unsigned refused;
};

struct world {
    struct jini_subject subjects[SUBJECTS];
    struct counted counted[SUBJECTS];
};

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_sync = JINI_SYNC_NONE; /* no power is lost here */
    options.store_reserve_bytes = 1 << 20;
    options.background_interval_ms = 10;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static struct world *make_world(void)
{
    struct world *world =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    struct jini *jini = open_engine();
    struct jini_tier_set set;
    struct jini_user_add add;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%d/day", AMOUNT);
    set.tier.allowance.parallel_max = BOUND;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Free");
    add.user.flags = JINI_USER_ACTIVE;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
    world->subjects[0] = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = add.user.id};
    CHECK_OK(jini_subject_parse_address("2001:db8:1:2::3", &world->subjects[1]));
    return world;
}

static int admit(struct jini *jini, const struct jini_subject *subject, uint32_t lease_ms,
                 struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = *subject;
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    out->lease_ms = lease_ms;
    int status = jini_admit(jini, out, NULL);
    if (status == JINI_E_LIMITED)
        CHECK_TEXT(out->request.error.field, "parallel");
    else if (status)
        harness_fail(__FILE__, __LINE__, "admit: %s: %s", jini_status_name(status),
                     out->request.error.message);
    return status;
}

static void settle(struct jini *jini, const struct jini_id *job)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = *job;
    CHECK_OK(jini_settle(jini, &settle, NULL));
}

static void release(struct jini *jini, const struct jini_id *job)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = *job;
    release.state = JINI_JOB_FAILED;
    CHECK_OK(jini_release(jini, &release, NULL));
}

static void start(struct jini *jini, const struct jini_id *job)
{
    struct jini_renew renew;
    jini_request_init(&renew);
    renew.job_id = *job;
    renew.state = JINI_JOB_IN_PROGRESS;
    CHECK_OK(jini_renew(jini, &renew, NULL));
}

static void note_running(struct counted *counted)
{
    unsigned now = atomic_fetch_add(&counted->running, 1) + 1;
    unsigned most = atomic_load(&counted->most);
    CHECK_UINT(now, <=, BOUND);
    while (now > most && !atomic_compare_exchange_weak(&counted->most, &most, now))
        continue;
}

/* A job takes a while; until the bound was met once, for as long as it takes others to join it. */
static void run(const struct counted *counted, uint64_t random)
{
    for (unsigned i = 0; i < random % 32; i++)
        sched_yield();
    for (unsigned i = 0; i < JOIN_TRIES && atomic_load(&counted->most) < BOUND; i++)
        usleep(100);
}

/* One job with one of three ends, admitted as soon as there is room for it. */
static void step(struct jini *jini, const struct jini_subject *subject, struct counted *counted,
                 uint64_t random)
{
    struct jini_admit request;
    bool abandons = random % 4 == 0;
    while (admit(jini, subject, abandons ? ABANDONED_MS : 0, &request) != 0)
        atomic_fetch_add(&counted->refused, 1);
    if (abandons) { /* when its lease ends is not known here: it is not counted */
        atomic_fetch_add(&counted->abandoned, 1);
        return;
    }
    note_running(counted);
    if (random % 8 < 4)
        start(jini, &request.job.id);
    run(counted, random);
    atomic_fetch_sub(&counted->running, 1);
    if (random % 4 == 1) {
        release(jini, &request.job.id);
        return;
    }
    settle(jini, &request.job.id);
    atomic_fetch_add(&counted->settled, 1);
}

struct worker {
    struct jini *jini;
    struct world *world;
    uint64_t random; /* a generator of its own: splitmix64 is shared state in the harness */
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (unsigned i = 0; i < STEPS * harness_scale(); i++) {
        worker->random = worker->random * 6364136223846793005u + 1442695040888963407u;
        unsigned k = (unsigned)(worker->random >> 60) % SUBJECTS;
        step(worker->jini, &worker->world->subjects[k], &worker->world->counted[k],
             worker->random >> 33);
    }
    return NULL;
}

static void run_process(struct world *world, uint64_t seed)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct jini *jini = open_engine();
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){jini, world, seed + i};
        CHECK_INT(pthread_create(&threads[i], NULL, work, &workers[i]), ==, 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t left_of_quota(struct jini *jini, const struct jini_subject *subject)
{
    struct jini_limit_check check = {.subject = *subject, .flags = JINI_CHECK_PEEK};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    return answer.entries[0].remaining;
}

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    (void)context;
    fprintf(stderr, "verify: %s: %s\n", problem->kind, problem->message);
}

/* Nothing is reserved any more once the leases of what was abandoned are over. */
static void check_end(const struct world *world)
{
    struct jini *jini = open_engine();
    struct jini_verify verify;
    for (int k = 0; k < SUBJECTS; k++) {
        const struct counted *counted = &world->counted[k];
        uint64_t expected = AMOUNT - counted->settled;
        for (int i = 0; i < 1000 && left_of_quota(jini, &world->subjects[k]) != expected; i++)
            usleep(5000);
        CHECK_UINT(left_of_quota(jini, &world->subjects[k]), ==, expected);
        printf("     %u settled, %u abandoned, %u refused, at most %u at once\n", counted->settled,
               counted->abandoned, counted->refused, counted->most);
        CHECK_UINT(counted->running, ==, 0);
        CHECK_UINT(counted->most, ==, BOUND);
        CHECK_UINT(counted->refused, >, 0);
        CHECK_UINT(counted->abandoned, >, 0);
        struct jini_admit again[BOUND + 1];
        for (int i = 0; i < BOUND; i++)
            CHECK_OK(admit(jini, &world->subjects[k], 0, &again[i]));
        CHECK_STATUS(admit(jini, &world->subjects[k], 0, &again[BOUND]), JINI_E_LIMITED);
    }
    jini_request_init(&verify);
    verify.report = on_problem;
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(parallel_jobs_are_bounded_over_processes_and_threads,
     "Nine threads of three processes never run more jobs of a user or an address at once than its "
     "tier allows, reach that bound, and leave nothing reserved.")
{
    struct world *world = make_world();
    pid_t pids[PROCESSES];
    fflush(NULL);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0) {
            run_process(world, harness_seed() + i * THREADS);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        harness_wait_exit(pids[i], 0);
    check_end(world);
    munmap(world, sizeof(*world));
}
