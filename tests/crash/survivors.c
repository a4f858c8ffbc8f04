/*
 * Who goes on while another is killed: several processes admit, store, read and run tiering on one
 * database, and one of them is killed at a random point again and again. What anybody was told must
 * hold, limits are neither exceeded nor lost, and the others never meet an error.
 */
#include "quotas.h"

#include "engine_fixture.h"
#include "lives.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIVES = 20, PIECES = 16, SURVIVORS = 2, STORED_MAX = 100000, SEEDS_EACH = 1000007 };

/* Small enough that the processes come to their ends, though nobody else counts with them. */
enum { CHECKS = 400, JOBS = 60 };
static const char checks_limit[] = "400/59 minute";
static const char jobs_limit[] = "60/month";

enum said_kind { SAID_STORED, SAID_CHECKED };

/* What a process says, in one write of a pipe, so that it arrives whole. */
struct said {
    uint32_t kind; /* enum said_kind */
    uint32_t reserved;
    uint64_t seed;
    struct jini_id id;
};

/* In memory that all processes share. */
struct shared {
    _Atomic bool stop;         /* for the survivors */
    _Atomic uint64_t survived; /* pieces that survivors have done */
};

static struct shared *shared;

/* In memory where there is room: a kill takes nothing from there, and it is quicker. */
static struct jini *open_engine(void)
{
    static char path[600];
    struct jini_options options;
    if (!path[0])
        snprintf(path, sizeof(path), "%s/db", harness_fast_directory(256 << 20));
    fixture_directory = path;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.pack_bytes_max = 64 * 1024;
    options.archive_age_min_s = 0;
    options.archive_hot_s = 0;
    options.cache_image_bytes = 1 << 20;
    return fixture_open_with(&options);
}

/* ---- The processes ---- */

struct worker {
    struct jini *jini;
    uint64_t user;
    int pipe;
};

static void say(const struct worker *worker, enum said_kind kind, uint64_t seed,
                const struct jini_id *id)
{
    struct said said = {.kind = kind, .seed = seed, .id = *id};
    if (write(worker->pipe, &said, sizeof(said)) != sizeof(said))
        _exit(1);
}

static int check_once(struct jini *jini)
{
    struct jini_limit_answer answer;
    struct jini_error error;
    struct jini_limit_check check = {
        .subject = {.kind = JINI_SUBJECT_GLOBAL}, .limits = checks_limit, .cost = 1};
    int status = jini_limit_check(jini, &check, &answer, &error);
    if (status != JINI_E_LIMITED)
        fixture_must(status, "check", &error);
    return status;
}

static int admit_once(struct jini *jini, uint64_t user, struct jini_id *job)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    int status = jini_admit(jini, &admit, NULL);
    if (status != JINI_E_LIMITED)
        fixture_must(status, "admit", &admit.request.error);
    *job = admit.job.id;
    return status;
}

/* A job that is given back or done, as long as the quota has room. */
static void run_job(const struct worker *worker, uint64_t seed)
{
    struct jini_id job;
    if (admit_once(worker->jini, worker->user, &job) != 0)
        return;
    if (seed % 3 == 0)
        fixture_release(worker->jini, &job, JINI_JOB_FAILED);
    else
        fixture_settle(worker->jini, &job);
}

static void do_piece(const struct worker *worker, uint64_t seed)
{
    struct jini_id image = fixture_put(worker->jini, worker->user, seed);
    say(worker, SAID_STORED, seed, &image);
    if (check_once(worker->jini) == 0)
        say(worker, SAID_CHECKED, seed, &image);
    if (seed % 2 == 0)
        run_job(worker, seed);
    if (seed % 8 == 0) /* with NOW a run waits up to a second for the packs of the others */
        fixture_tier(worker->jini, seed % 512 ? 0 : JINI_TIERING_NOW, NULL);
    CHECK_OK(fixture_get(worker->jini, &image, seed));
}

static void survive(struct worker worker, uint64_t seed)
{
    worker.jini = open_engine();
    while (!atomic_load(&shared->stop)) {
        do_piece(&worker, seed++);
        atomic_fetch_add(&shared->survived, 1);
    }
    CHECK_OK(jini_close(worker.jini, NULL, NULL));
    _exit(0);
}

static void live(struct worker worker, uint64_t seed, struct life *life)
{
    worker.jini = open_engine();
    for (;;) {
        life_begin(life);
        do_piece(&worker, seed++);
        life_end(life);
    }
}

/* ---- The parent ---- */

struct stored {
    struct jini_id id;
    uint64_t seed;
};

static struct stored stored[STORED_MAX];
static size_t stored_count;
static uint64_t checked_count;

/* Takes what was said so far. */
static void listen(int from)
{
    struct said said;
    while (read(from, &said, sizeof(said)) == sizeof(said)) {
        CHECK_UINT(stored_count, <, STORED_MAX);
        if (said.kind == SAID_STORED)
            stored[stored_count++] = (struct stored){said.id, said.seed};
        else
            checked_count++;
    }
}

static uint64_t make_database(void)
{
    struct jini *jini = open_engine();
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s", jobs_limit);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    CHECK_OK(jini_close(jini, NULL, NULL));
    return add.user.id;
}

/* Counts on to the end of each limit: what was counted is all that was told, and nothing more. */
static void check_limits(struct jini *jini, uint64_t user, unsigned lived)
{
    struct quotas quotas = {.user = user};
    struct jini_id job;
    uint64_t left = 0;
    CHECK_UINT(checked_count, <=, CHECKS);
    while (check_once(jini) == 0)
        left++;
    CHECK_UINT(checked_count + left, <=, CHECKS);
    CHECK_UINT(checked_count + left + lived, >=, CHECKS); /* each kill may have come in between */
    CHECK_INT(quotas_check(jini, &quotas), ==, 0);
    quotas_release_all(jini, &quotas);
    CHECK_UINT(quotas.completed[0], <=, JOBS);
    while (admit_once(jini, user, &job) == 0)
        fixture_settle(jini, &job);
    CHECK_INT(quotas_check(jini, &quotas), ==, 0);
    CHECK_UINT(quotas.completed[0], ==, JOBS);
}

static void check_database(uint64_t user, unsigned lived)
{
    struct jini *jini = open_engine();
    fixture_verify(jini);
    for (size_t i = 0; i < stored_count; i++)
        CHECK_OK(fixture_get(jini, &stored[i].id, stored[i].seed));
    check_limits(jini, user, lived);
    fixture_tier(jini, JINI_TIERING_NOW | JINI_TIERING_FREE_HOT, NULL);
    fixture_verify(jini);
    for (size_t i = 0; i < stored_count; i++)
        CHECK_OK(fixture_get(jini, &stored[i].id, stored[i].seed));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* A child that does `work`; the parent does not come back from it. */
static pid_t start(const struct worker *worker, uint64_t seed, struct life *life)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    if (life)
        live(*worker, seed, life);
    survive(*worker, seed);
    _exit(1);
}

TEST(others_go_on_while_one_is_killed,
     "While one of several processes is killed again and again the others meet no error; in the "
     "end every acknowledged image reads back, limits counted what was told, and verify is clean.")
{
    unsigned count = LIVES * harness_scale() / (harness_sanitized() ? 4 : 1);
    struct lives lives = {
        .lives = count, .pieces = PIECES, .done_min = count * 2, .middle_min = count / 3};
    struct worker worker = {.user = make_database()};
    pid_t survivors[SURVIVORS];
    uint64_t seed = 1;
    int ends[2];
    CHECK_INT(pipe(ends), ==, 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    worker.pipe = ends[1];
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (int i = 0; i < SURVIVORS; i++, seed += SEEDS_EACH)
        survivors[i] = start(&worker, seed, NULL);
    while (lives_go_on(&lives, atomic_load(&shared->survived) >= 2 * count)) {
        lives_kill(&lives, start(&worker, seed, lives.told));
        listen(ends[0]);
        seed += SEEDS_EACH;
    }
    atomic_store(&shared->stop, true);
    for (int i = 0; i < SURVIVORS; i++)
        harness_wait_exit(survivors[i], 0);
    listen(ends[0]);
    printf("     %zu images stored and %" PRIu64 " checks admitted beside %u lives; the survivors "
           "did %" PRIu64 " pieces of work\n",
           stored_count, checked_count, lives.lived, atomic_load(&shared->survived));
    check_database(worker.user, lives.lived);
    lives_check(&lives);
    CHECK_UINT(atomic_load(&shared->survived), >=, 2 * count);
}
