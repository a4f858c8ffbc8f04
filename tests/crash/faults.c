/*
 * The main job with every single call failing once, with each read and write being short, with each
 * allocation failing, and with a disk that stays full: whatever happens is an error that says what
 * failed, and what was acknowledged is there afterwards. faults_work.c does the same beside the
 * main job.
 */
#include "faults.h"

#include "engine_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGES = 3 };

/* What a run has acknowledged; in the run's own process. */
struct outcome {
    uint64_t user;
    struct jini_id images[IMAGES];
    bool stored[IMAGES];
};

static struct jini *try_open(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    fixture_options(&options);
    options.store_run_twice = 0;
    options.limits_slots = 64;
    options.limits_slots_anonymous = 64;
    options.store_map_bytes = 64 << 20;
    options.cache_users = 16;
    options.store_readers_max = 16;
    options.cpu_threads = 1;
    int status = jini_open(&jini, fixture_db(), &options, &error);
    if (status)
        CHECK(error.message[0] != '\0' && error.code == status);
    return jini;
}

static void try_put(struct jini *jini, struct outcome *outcome, unsigned index)
{
    struct png_request png = {64, 64, index, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = outcome->user;
    outcome->stored[index] = jini_image_put(jini, &put, NULL) == 0;
    outcome->images[index] = put.image.id;
    if (!outcome->stored[index])
        CHECK(put.request.error.message[0] != '\0');
    free(file);
}

/* The main job, going on after whatever fails. */
static void work(struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    struct jini *jini = try_open();
    if (!jini)
        return;
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "alice");
    snprintf(add.user.tier, sizeof(add.user.tier), "Premium");
    add.user.flags = JINI_USER_ACTIVE;
    if (jini_user_add(jini, &add, NULL) == 0)
        outcome->user = add.user.id;
    for (unsigned i = 0; outcome->user && i < IMAGES; i++) {
        struct jini_admit admit;
        jini_request_init(&admit);
        admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = outcome->user};
        admit.parameters =
            (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
        jini_admit(jini, &admit, NULL);
        try_put(jini, outcome, i);
        struct jini_archive_run run;
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
        if (i == 1)
            jini_archive_run(jini, &run, NULL);
    }
    for (unsigned i = 0; i < IMAGES; i++) {
        if (outcome->stored[i])
            fixture_get(jini, &outcome->images[i], i);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Without faults: all that was acknowledged is there, and the database works. */
static void check(const struct outcome *outcome)
{
    struct jini *jini = try_open();
    CHECK(jini != NULL);
    struct jini_user user;
    struct jini_error error;
    if (outcome->user)
        CHECK_OK(jini_user_get(jini, outcome->user, &user, &error));
    for (unsigned i = 0; i < IMAGES; i++) {
        if (outcome->stored[i])
            CHECK_OK(fixture_get(jini, &outcome->images[i], i));
    }
    fixture_tier(jini, JINI_TIERING_NOW, NULL);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/*
 * Hundreds of lives, each with a dozen syncs, are quick in memory; what a sync is worth is
 * powerloss.c's subject.
 */
static void start_over(void)
{
    static char path[600];
    if (!fixture_directory) {
        snprintf(path, sizeof(path), "%s/db", harness_fast_directory(64 << 20));
        fixture_directory = path;
    }
    harness_remove(fixture_directory);
}

/*
 * Files of the database only: libuv ends the process when its own eventfd cannot be written, which
 * never happens.
 */
static void loop_over_calls(uint32_t kinds, enum fault_effect effect, int error)
{
    struct outcome outcome;
    const uint64_t step = harness_step_of_long_sweep();
    uint64_t n = 1 + harness_random_below(step);
    bool injected = true;
    harness_keep_heap();
    fault_attach(harness_path("control"));
    start_over();
    for (; injected; n += step) {
        struct fault_plan plan = {
            .kinds = kinds, .effect = effect, .error = error, .nth = n, .pattern = "*/db*"};
        fault_inject(&plan);
        work(&outcome);
        injected = fault_injected() > 0;
        fault_inject_stop();
        check(&outcome);
        start_over();
    }
    printf("     %llu calls failed in turn\n", (unsigned long long)(n / step));
    CHECK_UINT(n, >, 20);
}

TEST(each_failing_call_loses_nothing,
     "With each writing call failing once with EIO, nothing acknowledged is lost.")
{
    loop_over_calls(FAULT_ALL_WRITING & ~(uint32_t)FAULT_CLOSE, FAULT_FAIL, EIO);
}

TEST(each_full_disk_loses_nothing,
     "With each writing call meeting a full disk once, nothing acknowledged is lost.")
{
    loop_over_calls(FAULT_ALL_WRITING & ~(uint32_t)FAULT_CLOSE, FAULT_FAIL, ENOSPC);
}

TEST(each_failing_read_loses_nothing,
     "With each read failing once, nothing acknowledged is lost, and no wrong byte comes back.")
{
    loop_over_calls(FAULT_READ, FAULT_FAIL, EIO);
}

TEST(each_short_call_loses_nothing,
     "With each read and write doing half once, nothing acknowledged is lost.")
{
    loop_over_calls(FAULT_READ | FAULT_WRITE, FAULT_SHORT, 0);
}

TEST(each_failing_close_loses_nothing,
     "With each close answering EIO once, nothing acknowledged is lost.")
{
    loop_over_calls(FAULT_CLOSE, FAULT_FAIL, EIO);
}

TEST(each_failing_allocation_loses_nothing, "With each allocation of the library failing once, "
                                            "nothing acknowledged is lost and nothing leaks.")
{
    struct outcome outcome;
    const uint64_t step = harness_step_of_long_sweep();
    uint64_t n = 1 + harness_random_below(step);
    start_over();
    for (;; n += step) {
        harness_fail_allocation(n);
        work(&outcome);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        check(&outcome);
        start_over();
        if (!failed)
            break;
    }
    printf("     %llu allocations failed in turn\n", (unsigned long long)(n / step));
    CHECK_UINT(n, >, 30);
}

TEST(a_full_disk_refuses_and_goes_on, "On a full disk new images are refused, removing and reading "
                                      "go on, and with room again all works.")
{
    struct jini_options options;
    struct outcome outcome = {0};
    fault_attach(harness_path("control"));
    fixture_options(&options);
    options.store_run_twice = 0;
    struct jini *jini = fixture_open_with(&options);
    outcome.user = fixture_user(jini, "alice", "Premium");
    struct jini_id before = fixture_put(jini, outcome.user, 0);
    struct jini_id doomed = fixture_put(jini, outcome.user, 1);
    struct fault_plan plan = {.kinds = FAULT_WRITE,
                              .effect = FAULT_FAIL,
                              .repeat = FAULT_FROM_THEN_ON,
                              .error = ENOSPC,
                              .nth = 1,
                              .pattern = "*.pack"};
    fault_inject(&plan);
    struct png_request png = {64, 64, 2, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = outcome.user;
    CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_FULL);
    CHECK_OK(fixture_get(jini, &before, 0));
    struct jini_image_remove remove;
    jini_request_init(&remove);
    remove.id = doomed;
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    fault_inject_stop();
    CHECK_OK(jini_image_put(jini, &put, NULL));
    free(file);
    CHECK_OK(fixture_get(jini, &put.image.id, 2));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
