/*
 * One wallet spent by 64 threads in 4 processes at once: what is drawn is never more than there
 * was, and in the end all of it is somewhere.
 */
#include <jini/jini.h>

#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 4, THREADS = 16, GRANTS = 20, GRANTED = 97, COST_MAX = 3, AMOUNT = 1000000 };

/* Counted outside of the database, in memory that all processes share. */
struct world {
    uint64_t user;
    _Atomic uint64_t drawn;
    _Atomic uint64_t settled;
    _Atomic uint64_t released;
    _Atomic uint64_t refused;
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
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static void add_grant(struct jini *jini, uint64_t user, unsigned number)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    jini_id_make(jini, &add.grant.id);
    add.grant.user_id = user;
    add.grant.granted = GRANTED;
    add.grant.category = JINI_GRANT_PAID;
    add.grant.priority = number % 3;
    CHECK_OK(jini_grant_add(jini, &add, NULL));
}

static struct world *make_world(void)
{
    struct world *world =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(world != MAP_FAILED);
    struct jini *jini = open_engine();
    struct jini_tier_set set;
    struct jini_user_add add;
    struct jini_cost_set cost;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%d/day", AMOUNT);
    set.tier.allowance.parallel_max = 0;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    add.user.flags = JINI_USER_ACTIVE;
    CHECK_OK(jini_user_add(jini, &add, NULL));
    jini_request_init(&cost);
    cost.cost.per_image = 1000;
    CHECK_OK(jini_cost_set(jini, &cost, NULL));
    for (unsigned i = 0; i < GRANTS; i++)
        add_grant(jini, add.user.id, i);
    CHECK_OK(jini_close(jini, NULL, NULL));
    world->user = add.user.id;
    return world;
}

static void settle(struct jini *jini, const struct jini_id *job, uint64_t unused)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = *job;
    settle.unused_credits = unused;
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

/* Spends until there is nothing left; of one job in four nothing is drawn, of one not all. */
struct spender {
    struct jini *jini;
    struct world *world;
    uint64_t seed;
    pthread_t thread;
};

static bool spend_once(struct spender *spender, uint64_t turn)
{
    struct world *world = spender->world;
    uint32_t count = 1 + (uint32_t)((spender->seed + turn) % COST_MAX);
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = world->user};
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = count};
    int status = jini_admit(spender->jini, &admit, NULL);
    if (status == JINI_E_FUNDS) {
        atomic_fetch_add(&world->refused, 1);
        return admit.credits > 0; /* a cheaper one may still be paid */
    }
    if (status)
        harness_fail(__FILE__, __LINE__, "admit: %s: %s", jini_status_name(status),
                     admit.request.error.message);
    CHECK_UINT(admit.cost, ==, count);
    if (turn % 4 == 0) {
        release(spender->jini, &admit.job.id);
        atomic_fetch_add(&world->released, 1);
        return true;
    }
    uint64_t unused = turn % 4 == 1 ? 1 : 0;
    settle(spender->jini, &admit.job.id, unused);
    atomic_fetch_add(&world->drawn, count - unused);
    atomic_fetch_add(&world->settled, 1);
    return true;
}

static void *spend(void *argument)
{
    struct spender *spender = argument;
    for (uint64_t turn = 0; turn < 10000 && spend_once(spender, turn); turn++)
        continue;
    return NULL;
}

static void run_process(struct world *world, unsigned number)
{
    static struct spender spenders[THREADS];
    struct jini *jini = open_engine();
    for (unsigned i = 0; i < THREADS; i++) {
        spenders[i] = (struct spender){jini, world, number * THREADS + i, 0};
        CHECK_INT(pthread_create(&spenders[i].thread, NULL, spend, &spenders[i]), ==, 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(spenders[i].thread, NULL), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
    _exit(0);
}

static void check_world(const struct world *world)
{
    struct jini_grant grants[2 * GRANTS];
    struct jini_verify verify;
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    struct jini *jini = open_engine();
    CHECK_OK(jini_wallet_get(jini, world->user, &wallet, grants, 2 * GRANTS, &count, &error));
    CHECK_UINT(wallet.reserved, ==, 0);
    CHECK_UINT(wallet.available + world->drawn, ==, GRANTS * GRANTED);
    CHECK_UINT(wallet.available, <, COST_MAX);
    jini_request_init(&verify);
    CHECK_OK(jini_verify(jini, &verify, NULL));
    CHECK_UINT(verify.problems, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(one_wallet_is_spent_by_many_at_once,
     "64 threads in 4 processes draw from one wallet until it is empty: not a credit too many, not "
     "one lost.")
{
    struct world *world = make_world();
    fflush(NULL);
    for (unsigned i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            run_process(world, i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        CHECK(wait(&status) > 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    printf("     %llu jobs settled, %llu released, %llu refused\n",
           (unsigned long long)world->settled, (unsigned long long)world->released,
           (unsigned long long)world->refused);
    CHECK_UINT(world->settled, >, 100);
    check_world(world);
}
