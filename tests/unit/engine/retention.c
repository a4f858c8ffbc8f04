/* Removing ended jobs in the background: whose go when, what keeps them, and what that costs. */
#include "plant.h"

#include "engine/jobs.h"
#include "generations/generations.h"

enum { RETENTION_S = 3600 };

static unsigned damaged_logged;

static void on_log(void *context, enum jini_log_level level, const char *event,
                   const struct jini_log_field *fields, size_t field_count)
{
    (void)context;
    (void)level;
    (void)fields;
    (void)field_count;
    damaged_logged += strcmp(event, "jobs_damaged") == 0;
}

static struct jini *open_with(uint64_t retention_s, uint64_t anonymous_s, uint64_t background)
{
    struct jini_options options;
    fixture_options(&options);
    options.job_retention_s = retention_s;
    options.job_retention_anonymous_s = anonymous_s;
    options.background_run = background;
    options.background_interval_ms = 10;
    options.log = on_log;
    return fixture_open_with(&options);
}

static void seconds_pass(uint64_t seconds)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, seconds * NS_PER_S, __ATOMIC_RELAXED);
}

/* A user without limits; 0: an address. */
static uint64_t add_user(struct jini *jini, const char *name)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "%s", name);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return add.user.id;
}

static struct jini_id admitted(struct jini *jini, uint64_t user, const char *prompt)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    if (user == 0)
        CHECK_OK(jini_subject_parse_address("192.0.2.1", &admit.subject));
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    admit.prompt = prompt;
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static struct jini_id released(struct jini *jini, uint64_t user, const char *prompt)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = admitted(jini, user, prompt);
    release.state = JINI_JOB_FAILED;
    fixture_must(jini_release(jini, &release, NULL), "release", &release.request.error);
    return release.job_id;
}

/* A job that is settled with its image, which is returned. */
static struct jini_id stored(struct jini *jini, uint64_t user, struct jini_id *job)
{
    struct png_request png = {32, 32, 1, "made for a test", NULL};
    struct jini_image_put put;
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    *job = admitted(jini, user, NULL);
    put.bytes = file;
    put.user_id = user;
    put.job_id = *job;
    put.flags = JINI_PUT_SETTLES;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    return put.image.id;
}

static bool is_there(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    int status = jini_job_get(jini, id, &job, &error);
    CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    return status == 0;
}

static uint64_t jobs_of(struct jini *jini, uint64_t user)
{
    struct jini_usage usage;
    struct jini_error error;
    CHECK_OK(jini_usage_get(jini, user, &usage, &error));
    return usage.jobs;
}

static int count_row(void *context, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    (*(size_t *)context)++;
    return 0;
}

static size_t rows(struct jini *jini, enum store_space space)
{
    size_t count = 0;
    struct slice all = slice_of(NULL, 0);
    CHECK_OK(store_each(jini->store, space, all, all, count_row, &count));
    return count;
}

TEST(anonymous_jobs_go_and_those_of_users_stay, "By default an anonymous job goes a day after its "
                                                "end, and one of a user never; each says until "
                                                "when it is kept.")
{
    struct jini_options options;
    struct jini_job job;
    struct jini_error error;
    fixture_options(&options);
    CHECK_UINT(options.job_retention_s, ==, 0);
    CHECK_UINT(options.job_retention_anonymous_s, ==, 86400);
    struct jini *jini = fixture_open();
    uint64_t alice = add_user(jini, "alice");
    struct jini_id of_alice = released(jini, alice, NULL);
    struct jini_id anonymous = released(jini, 0, NULL);
    struct jini_id running = admitted(jini, 0, NULL);
    CHECK_OK(jini_job_get(jini, &of_alice, &job, &error));
    CHECK_UINT(job.kept_until_ms, ==, 0);
    CHECK_OK(jini_job_get(jini, &anonymous, &job, &error));
    CHECK_UINT(job.kept_until_ms, ==, job.finished_ms + 86400000);
    seconds_pass(86399);
    jobs_clean(jini);
    CHECK(is_there(jini, &anonymous));
    seconds_pass(1);
    jobs_clean(jini);
    CHECK(!is_there(jini, &anonymous));
    CHECK(is_there(jini, &running));
    jobs_expire(jini); /* given up now, and kept from now on */
    jobs_clean(jini);
    CHECK(is_there(jini, &running));
    seconds_pass(86400);
    jobs_clean(jini);
    CHECK(!is_there(jini, &running));
    CHECK(is_there(jini, &of_alice));
    CHECK_UINT(jobs_of(jini, alice), ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(jobs_of_users_go_with_all_that_hangs_on_them,
     "With a retention set, ended jobs leave their user's list and count, and their prompts go; "
     "jobs that ended while there was none stay.")
{
    static char prompt[9000];
    struct jini *jini = open_with(0, 0, 0);
    uint64_t alice = add_user(jini, "alice");
    memset(prompt, 'p', sizeof(prompt) - 1);
    struct jini_id kept = released(jini, alice, prompt);
    struct jini_id anonymous = released(jini, 0, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = open_with(RETENTION_S, 0, 0);
    for (int i = 0; i < 40; i++) /* several pages of her list */
        released(jini, alice, i % 2 ? prompt : NULL);
    CHECK_UINT(jobs_of(jini, alice), ==, 41);
    seconds_pass(RETENTION_S);
    jobs_clean(jini);
    CHECK_UINT(jobs_of(jini, alice), ==, 1);
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, 3); /* with the prompt of the one that stays */
    CHECK(is_there(jini, &kept) && is_there(jini, &anonymous));
    struct jini_list_cursor cursor = {0};
    struct jini_job listed[4];
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_job_list(jini, alice, &cursor, listed, 4, &count, &error));
    CHECK_UINT(count, ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_stays_with_its_image,
     "A job far older than its retention is there while its image is, in the trash too, and goes "
     "once the image has been purged.")
{
    struct jini *jini = open_with(RETENTION_S, RETENTION_S, 0);
    uint64_t alice = add_user(jini, "alice");
    struct jini_id jobs[2];
    struct jini_id images[2] = {stored(jini, alice, &jobs[0]), stored(jini, 0, &jobs[1])};
    struct jini_image image;
    struct jini_error error;
    seconds_pass(10 * RETENTION_S);
    jobs_clean(jini);
    CHECK(is_there(jini, &jobs[0]) && is_there(jini, &jobs[1]));
    for (int i = 0; i < 2; i++) {
        struct jini_image_remove remove;
        jini_request_init(&remove);
        remove.id = images[i];
        CHECK_OK(jini_image_remove(jini, &remove, NULL));
    }
    seconds_pass(10 * RETENTION_S);
    jobs_clean(jini);
    CHECK(is_there(jini, &jobs[0]) && is_there(jini, &jobs[1]));
    fixture_verify(jini);
    fixture_days_pass(8);
    fixture_tier(jini, 0, NULL);
    CHECK_STATUS(jini_image_stat(jini, &images[0], &image, &error), JINI_E_NOT_FOUND);
    CHECK(is_there(jini, &jobs[0]) && is_there(jini, &jobs[1]));
    jobs_clean(jini);
    CHECK(!is_there(jini, &jobs[0]) && !is_there(jini, &jobs[1]));
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    an_expired_image_lets_its_job_go,
    "When the retention of a tier's images is over, their jobs follow, and with them the last row.")
{
    enum { JOBS = 5 };
    struct jini *jini = open_with(RETENTION_S, RETENTION_S, 0);
    struct jini_id job;
    for (int i = 0; i < JOBS; i++)
        stored(jini, 0, &job);
    fixture_days_pass(33); /* Free keeps images for 30 days */
    jobs_clean(jini);
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, JOBS);
    fixture_tier(jini, 0, NULL);
    jobs_clean(jini);
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, 0);
    CHECK_UINT(rows(jini, STORE_SPACE_QUEUE), ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(what_is_kept_costs_nothing, "While no job is due, looking for one commits nothing, however "
                                 "many are kept; many that are due "
                                 "go in slices.")
{
    enum { JOBS = 150 };
    struct jini *jini = open_with(RETENTION_S, 0, 0);
    uint64_t alice = add_user(jini, "alice");
    struct store_figures before;
    struct store_figures after;
    for (int i = 0; i < JOBS; i++)
        released(jini, alice, NULL);
    CHECK_OK(store_figures(jini->store, &before));
    for (int i = 0; i < 10; i++)
        jobs_clean(jini);
    CHECK_OK(store_figures(jini->store, &after));
    CHECK_UINT(after.commits, ==, before.commits);
    seconds_pass(RETENTION_S);
    jobs_clean(jini);
    CHECK_OK(store_figures(jini->store, &after));
    CHECK_UINT(jobs_of(jini, alice), ==, 0);
    CHECK_UINT(after.ops - before.ops, ==, (JOBS + 63) / 64);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_job_holds_up_no_other, "Jobs due beside one that cannot be read go; the damaged one "
                                      "stays for verify, is told of once, "
                                      "and is not looked at again.")
{
    struct jini *jini = open_with(RETENTION_S, RETENTION_S, 0);
    struct jini_id first = released(jini, 0, NULL);
    struct jini_id rotten = released(jini, 0, NULL);
    struct jini_id last = released(jini, 0, NULL);
    struct tuple key = plant_key_id(&rotten);
    plant_row(jini, STORE_SPACE_JOBS, &key, "rot", 3);
    static const struct jini_id nobody = {{1, 2, 3}};
    key = plant_key_due("ended", 7, &nobody);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
    seconds_pass(RETENTION_S);
    jobs_clean(jini);
    CHECK(!is_there(jini, &first) && !is_there(jini, &last));
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, 1);
    CHECK_UINT(rows(jini, STORE_SPACE_QUEUE), ==, 0);
    CHECK_UINT(damaged_logged, ==, 1);
    jobs_clean(jini);
    CHECK_UINT(damaged_logged, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_background_removes_jobs,
     "An engine left alone removes the jobs whose time is over, and its figures count them.")
{
    enum { JOBS = 5 };
    struct jini *jini = open_with(0, RETENTION_S, 0);
    for (int i = 0; i < JOBS; i++)
        released(jini, 0, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
    seconds_pass(RETENTION_S);
    jini = open_with(0, RETENTION_S, 1);
    for (int i = 0; i < 6000 && atomic_load(&jini->jobs_removed) < JOBS; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    CHECK_UINT(rows(jini, STORE_SPACE_JOBS), ==, 0);
    char text[65536];
    struct jini_error error;
    size_t length;
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    CHECK_CONTAINS(text, "jini_jobs_removed_total 5\n");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
