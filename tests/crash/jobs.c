/*
 * Jobs that come and go: two processes admit, settle, release, abandon, store and remove, and their
 * background work gives jobs up and removes ended ones, until both are killed at a random point.
 * What is left must agree with itself, no image may have lost its job, and all else must go. The
 * user's jobs cost credits, of grants that come and expire meanwhile: each is paid for once.
 */
#include "engine/engine_private.h"
#include "ledger/chart.h"
#include "store/store.h"

#include "engine_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, PROCESSES = 2, THREADS = 2, MESSAGES_MAX = 120, STORED_MAX = 20000 };

/* Wall time runs so much faster for all that have the database open: a second in 10 ms. */
enum { PACE = 100 };

enum { COST = 3, GRANTED = 40, GRANTED_S = 300 };

static const char paid_model[] = "paid";

static uint64_t epoch_ns;
static uint64_t
    passed_ns; /* beside what the clock itself has passed; what is forked later has it */

static uint64_t fast_wall_ns(void *context)
{
    uint64_t now_ns = fixture_wall_ns(context);
    return epoch_ns + (now_ns - epoch_ns) * PACE + passed_ns;
}

static const struct jini_clock fast_clock = {fast_wall_ns, fixture_boot_ns, NULL};

static struct jini *open_engine(bool background)
{
    struct jini_options options;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.clock = &fast_clock;
    options.background_run = background;
    options.background_interval_ms = 10;
    options.job_retention_s = 1;
    options.job_retention_anonymous_s = 2;
    options.trash_s = 1;
    return fixture_open_with(&options);
}

/* ---- The children ---- */

enum said_kind { SAID_STORED, SAID_REMOVING, SAID_RELEASED };

struct said {
    uint32_t kind; /* enum said_kind: of an image with its job, or of a job alone */
    uint32_t paid; /* 1: by the user, and not by an address */
    struct jini_id image;
    struct jini_id job;
};

static struct jini *child_engine;
static int child_pipe;
static uint64_t child_user;

static void say(enum said_kind kind, uint64_t user, const struct jini_id *image,
                const struct jini_id *job)
{
    struct said said = {kind, user != 0, *image, *job};
    if (write(child_pipe, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

static struct jini_id admit(uint64_t user, uint32_t lease_ms)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    if (user == 0)
        CHECK_OK(jini_subject_parse_address("192.0.2.1", &admit.subject));
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    if (user != 0)
        memcpy(admit.parameters.model, paid_model, sizeof(paid_model));
    admit.lease_ms = lease_ms;
    fixture_must(jini_admit(child_engine, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static void release(const struct jini_id *job)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = *job;
    release.state = JINI_JOB_FAILED;
    fixture_must(jini_release(child_engine, &release, NULL), "release", &release.request.error);
    say(SAID_RELEASED, 0, job, job);
}

static void store(uint64_t user, uint64_t seed, bool removes)
{
    struct png_request png = {24, 24, seed, "made for a test", NULL};
    struct jini_image_put put;
    struct jini_image_remove remove;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    put.job_id = admit(user, 0);
    put.flags = JINI_PUT_SETTLES;
    fixture_must(jini_image_put(child_engine, &put, NULL), "put", &put.request.error);
    free(file);
    say(SAID_STORED, user, &put.image.id, &put.job_id);
    if (!removes)
        return;
    say(SAID_REMOVING, user, &put.image.id, &put.job_id);
    jini_request_init(&remove);
    remove.id = put.image.id;
    fixture_must(jini_image_remove(child_engine, &remove, NULL), "remove", &remove.request.error);
}

/* One that expires while it is drawn from, or for ever. */
static void grant(struct jini *jini, uint64_t user, uint64_t credits, bool expires)
{
    struct jini_grant_add add;
    jini_request_init(&add);
    jini_id_make(jini, &add.grant.id);
    add.grant.user_id = user;
    add.grant.granted = credits;
    add.grant.category = JINI_GRANT_PAID;
    add.grant.expires_ms =
        expires ? fast_wall_ns(NULL) / NS_PER_MS + GRANTED_S * UINT64_C(1000) : 0;
    int status = jini_grant_add(jini, &add, NULL);
    if (status != JINI_E_BUSY) /* as many as there may be */
        fixture_must(status, "grant", &add.request.error);
}

static void *work_forever(void *argument)
{
    for (uint64_t seed = *(uint64_t *)argument;; seed++) {
        uint64_t user = seed % 3 ? child_user : 0;
        struct jini_id job;
        if (seed % 5 == 0)
            grant(child_engine, child_user, GRANTED, true);
        switch (seed % 7) {
        case 0:
        case 1:
            job = admit(user, 0);
            release(&job);
            break;
        case 2:
            admit(user, 1); /* and it is given up */
            break;
        default:
            store(user, seed, seed % 2 == 0);
        }
    }
    return NULL;
}

static void child_main(int pipe, uint64_t user, uint64_t first_seed)
{
    static uint64_t seeds[THREADS];
    pthread_t thread;
    child_pipe = pipe;
    child_user = user;
    child_engine = open_engine(true);
    for (uint64_t i = 1; i < THREADS; i++) {
        seeds[i] = first_seed + i * 1000000;
        pthread_create(&thread, NULL, work_forever, &seeds[i]);
    }
    seeds[0] = first_seed;
    work_forever(&seeds[0]);
}

/* ---- The parent ---- */

struct stored {
    struct jini_id image;
    struct jini_id job;
    bool removing;
};

static struct stored stored[STORED_MAX];
static size_t stored_count;

static struct jini_id released[STORED_MAX];
static size_t released_count;

static size_t paid_count; /* jobs of the user that were acknowledged as settled */

static void take(const struct said *said)
{
    CHECK_UINT(stored_count, <, STORED_MAX);
    CHECK_UINT(released_count, <, STORED_MAX);
    if (said->kind == SAID_STORED) {
        stored[stored_count++] = (struct stored){said->image, said->job, false};
        paid_count += said->paid;
        return;
    }
    if (said->kind == SAID_RELEASED) {
        released[released_count++] = said->job;
        return;
    }
    for (size_t i = stored_count; i > 0; i--) {
        if (jini_id_compare(&stored[i - 1].image, &said->image) == 0) {
            stored[i - 1].removing = true;
            return;
        }
    }
    harness_fail(__FILE__, __LINE__, "something is removed that was never stored");
}

/* Takes up to `most` messages; false when no more come. */
static bool listen(int from, unsigned most, int wait_ms)
{
    struct pollfd ready = {.fd = from, .events = POLLIN};
    for (unsigned i = 0; i < most; i++) {
        struct said said;
        if (poll(&ready, 1, wait_ms) <= 0 || read(from, &said, sizeof(said)) != sizeof(said))
            return false;
        take(&said);
    }
    return true;
}

/* Two lives that end together, soon after as many messages as chance will have it. */
static void run_children(uint64_t user, uint64_t round)
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
            child_main(ends[1], user, 1 + (round * PROCESSES + i) * 10000000);
    }
    close(ends[1]);
    listen(ends[0], 1 + (unsigned)harness_random_below(MESSAGES_MAX), 20000);
    nanosleep(&(struct timespec){.tv_nsec = (long)harness_random_below(3000000)}, NULL);
    for (int i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    while (listen(ends[0], UINT32_MAX, -1))
        continue;
    close(ends[0]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        CHECK_INT(waitpid(pids[i], &status, 0), ==, pids[i]);
        CHECK(WIFSIGNALED(status)); /* else it met an error, and said so */
    }
}

static int count_row(void *context, struct slice key, struct slice value)
{
    (void)value;
    *(size_t *)context += key.length == 1 + sizeof(struct jini_id); /* no prompts are made here */
    return 0;
}

static size_t rows(struct jini *jini, enum store_space space)
{
    size_t count = 0;
    struct slice all = slice_of(NULL, 0);
    CHECK_OK(store_each(jini->store, space, all, all, count_row, &count));
    return count;
}

static void check_images_have_jobs(struct jini *jini)
{
    for (size_t i = 0; i < stored_count; i++) {
        struct jini_job job;
        struct jini_image image;
        struct jini_error error;
        if (stored[i].removing)
            continue;
        CHECK_OK(jini_image_stat(jini, &stored[i].image, &image, &error));
        CHECK_OK(jini_job_get(jini, &stored[i].job, &job, &error));
        CHECK_INT(job.state, ==, JINI_JOB_COMPLETED);
    }
}

/* Released jobs that the last lives have removed themselves. */
static size_t count_gone(struct jini *jini, size_t from)
{
    size_t gone = 0;
    for (size_t i = from; i < released_count; i++) {
        struct jini_job job;
        struct jini_error error;
        int status = jini_job_get(jini, &released[i], &job, &error);
        CHECK(status == 0 || status == JINI_E_NOT_FOUND);
        gone += status != 0;
    }
    return gone;
}

/*
 * What was drawn is the cost of all that were settled: of those that were acknowledged, and at most
 * one more of each thread that was killed. Nothing is reserved any more.
 */
static void check_credits(struct jini *jini, uint64_t user, unsigned lives)
{
    struct jini_id used = chart_account(JINI_CREDITS_LEDGER, CHART_USED);
    struct jini_account account;
    struct jini_wallet wallet;
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_account_get(jini, &used, &account, &error));
    CHECK_UINT(account.balance.credits_posted.low % COST, ==, 0);
    CHECK_UINT(account.balance.credits_posted.low / COST, >=, paid_count);
    CHECK_UINT(account.balance.credits_posted.low / COST, <=,
               paid_count + (uint64_t)lives * PROCESSES * THREADS);
    CHECK_UINT(account.balance.credits_pending.low, ==, 0);
    CHECK_OK(jini_wallet_get(jini, user, &wallet, NULL, 0, &count, &error));
    CHECK_UINT(wallet.reserved, ==, 0);
}

/* Returns how many of the released jobs were gone before the rest of them goes here. */
static size_t check_database(uint64_t user, unsigned lives, size_t released_from)
{
    struct jini *jini = open_engine(false);
    fixture_verify(jini);
    check_images_have_jobs(jini);
    size_t gone = count_gone(jini, released_from);
    passed_ns += UINT64_C(86400) * NS_PER_S / 4; /* leases, the trash and retentions are over */
    jobs_expire(jini);
    check_credits(jini, user, lives);
    passed_ns += UINT64_C(60) * NS_PER_S;
    fixture_tier(jini, 0, NULL);
    jobs_clean(jini);
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, rows(jini, STORE_SPACE_IMAGES));
    check_images_have_jobs(jini);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return gone;
}

static uint64_t make_database(void)
{
    struct jini *jini = open_engine(false);
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "1000000/day");
    set.tier.allowance.parallel_max = 0;
    set.tier.allowance.retention_days = 0;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_cost_set cost;
    jini_request_init(&cost);
    memcpy(cost.cost.model, paid_model, sizeof(paid_model));
    cost.cost.per_image = 1000 * COST;
    CHECK_OK(jini_cost_set(jini, &cost, NULL));
    grant(jini, user, JINI_CREDITS_MAX, false);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return user;
}

TEST(what_is_kept_agrees_after_every_kill,
     "Killed while jobs are given up and removed in two processes, no image is without its job, "
     "verify finds nothing, and every job without an image goes.")
{
    epoch_ns = fixture_wall_ns(NULL);
    uint64_t user = make_database();
    unsigned rounds = ROUNDS * harness_scale() / (harness_sanitized() ? 2 : 1);
    size_t gone = 0;
    for (unsigned i = 0; i < rounds; i++) {
        size_t from = released_count;
        run_children(user, i);
        gone += check_database(user, i + 1, from);
    }
    printf("     %zu images stored and %zu jobs released in %u lives, which removed %zu of these\n",
           stored_count, released_count, rounds, gone);
    CHECK_UINT(stored_count, >, rounds);
    CHECK_UINT(gone, >, 0);
}
