/* Running rows and the due queue, against an array of jobs that go through random states. */
#include "records.h"

enum { MODEL_JOBS = 400, MODEL_USERS = 3 };

struct model_job {
    bool exists;
    uint64_t user_id;
    uint64_t expires_ms;
    enum jini_job_state state;
    bool counted;
};

static void check_user(struct store *store, const struct model_job *jobs, uint64_t count,
                       uint64_t user_id)
{
    struct generations_running running;
    struct jini_usage usage;
    static struct jini_job listed[MODEL_JOBS];
    struct jini_list_cursor cursor = {0};
    uint32_t expected_running = 0;
    uint32_t expected_expired = 0;
    size_t expected = 0;
    size_t found = list_jobs(store, user_id, &cursor, listed, MODEL_JOBS);
    CHECK_OK(get_running(store, user_id, 20000, &running));
    for (uint64_t i = count; i-- > 0;) {
        if (!jobs[i].exists || jobs[i].user_id != user_id)
            continue;
        struct jini_id id = make_id(1, i);
        CHECK_UINT(expected, <, found);
        CHECK_INT(jini_id_compare(&listed[expected].id, &id), ==, 0);
        CHECK_INT(listed[expected].state, ==, jobs[i].state);
        expected++;
        bool runs = jobs[i].counted && !generations_job_ended(jobs[i].state);
        bool expired = runs && jobs[i].expires_ms != 0 && jobs[i].expires_ms <= 20000;
        expected_running += runs;
        expected_expired += expired;
        for (uint32_t r = 0; r < running.count; r++) {
            if (jini_id_compare(&running.jobs[r].id, &id) == 0)
                CHECK(runs && expired == (r < running.expired));
        }
    }
    CHECK_UINT(found, ==, expected);
    CHECK_UINT(running.count, ==, expected_running);
    CHECK_UINT(running.expired, ==, expected_expired);
    CHECK_OK(get_usage(store, user_id, &usage));
    CHECK_UINT(usage.jobs, ==, expected);
}

static void check_queue(struct store *store, const struct model_job *jobs, uint64_t count)
{
    static struct generations_due due[DUE_LISTED_MAX];
    size_t found = list_due(store, GENERATIONS_DUE_JOB, UINT64_MAX, due);
    size_t expected = 0;
    for (uint64_t i = 0; i < count; i++)
        expected +=
            jobs[i].exists && jobs[i].expires_ms != 0 && !generations_job_ended(jobs[i].state);
    CHECK_UINT(found, ==, expected);
    for (size_t i = 0; i < found; i++) {
        const struct model_job *job = &jobs[load_be64(due[i].id.bytes + 8)];
        CHECK_UINT(job->expires_ms, ==, due[i].due_ms);
        CHECK(i == 0 || due[i - 1].due_ms <= due[i].due_ms);
    }
}

static void step_job(struct store *store, struct model_job *job, struct jini_id id)
{
    struct generations_job_change to = {
        .id = id,
        .to = (enum jini_job_state)(JINI_JOB_IN_QUEUE + harness_random_below(6)),
        .now_ms = 5000,
        .expires_ms = harness_random_below(3) ? 0 : harness_random_below(40000),
    };
    int status = change_job(store, &to);
    if (!job->exists) {
        CHECK_STATUS(status, JINI_E_NOT_FOUND);
        return;
    }
    CHECK_STATUS(status, generations_job_check_change(job->state, to.to, NULL));
    if (status)
        return;
    job->state = to.to;
    if (!generations_job_ended(to.to) && to.expires_ms != 0)
        job->expires_ms = to.expires_ms;
}

STORE_TEST(
    running_jobs_and_the_queue_follow_the_states,
    "After any changes the running rows, the due queue, lists and counts are those of the jobs.")
{
    struct store *store = records_open(driver);
    static struct model_job jobs[MODEL_JOBS];
    uint64_t count = 0;
    memset(jobs, 0, sizeof(jobs));
    for (unsigned step = 0; step < 1500 * harness_scale(); step++) {
        uint64_t at = count ? harness_random_below(count) : 0;
        uint64_t what = harness_random_below(10);
        if (what < 3 && count < MODEL_JOBS) {
            struct generations_job job = make_job(count, harness_random_below(MODEL_USERS + 1));
            job.expires_ms = harness_random_below(4) ? 1 + harness_random_below(40000) : 0;
            if (harness_random_below(4) == 0)
                job.flags = 0;
            CHECK_OK(create_job(store, &job));
            jobs[count++] = (struct model_job){true, job.user_id, job.expires_ms, JINI_JOB_IN_QUEUE,
                                               job.flags != 0};
        } else if (what < 9 && count) {
            step_job(store, &jobs[at], make_id(1, at));
        } else if (count) {
            bool may = jobs[at].exists && generations_job_ended(jobs[at].state);
            int expected = may ? 0 : jobs[at].exists ? JINI_E_CONFLICT : JINI_E_NOT_FOUND;
            CHECK_STATUS(delete_job(store, make_id(1, at)), expected);
            if (may)
                jobs[at].exists = false;
        }
        if (step % 100 == 99) {
            for (uint64_t user = 1; user <= MODEL_USERS; user++)
                check_user(store, jobs, count, user);
            check_queue(store, jobs, count);
        }
    }
    store_close(store);
}

STORE_TEST(
    at_most_256_jobs_of_a_user_are_counted,
    "The 257th counted job of a user is refused until one ends; one that is not counted is not.")
{
    struct store *store = records_open(driver);
    struct generations_running running;
    for (uint64_t i = 0; i < GENERATIONS_RUNNING_MAX; i++) {
        struct generations_job job = make_job(i, 7);
        CHECK_OK(create_job(store, &job));
    }
    struct generations_job job = make_job(1000, 7);
    CHECK_STATUS(create_job(store, &job), JINI_E_BUSY);
    job.flags = 0;
    CHECK_OK(create_job(store, &job));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_FAILED));
    CHECK_OK(set_job_state(store, make_id(1, 100), JINI_JOB_FAILED));
    job = make_job(1001, 7);
    CHECK_OK(create_job(store, &job));
    CHECK_OK(get_running(store, 7, 900100, &running));
    CHECK_UINT(running.count, ==, GENERATIONS_RUNNING_MAX);
    CHECK_UINT(running.expired, ==, 100);
    for (uint32_t i = 0; i < running.count; i++)
        CHECK((running.jobs[i].expires_ms <= 900100) == (i < running.expired));
    store_close(store);
}

static void check_address(struct store *store, struct slice address, uint32_t expected)
{
    struct generations_running running;
    CHECK_OK(get_running_of(store, &(struct generations_subject){0, address}, 0, &running));
    CHECK_UINT(running.count, ==, expected);
}

STORE_TEST(running_jobs_of_addresses_are_counted_apart,
           "Each address has a row of its running jobs; it follows their times, and goes with the "
           "last of them, as does the address that their records named.")
{
    struct store *store = records_open(driver);
    static const char first[] = "\x20\x01\x0d\xb8\0\1\0\2\0\0\0\0\0\0\0\1";
    struct slice addresses[] = {slice_of(first, 8), slice_of(first, 16), slice_of("\0\0", 1)};
    for (uint64_t i = 0; i < 6; i++) {
        struct generations_job job = make_job(i, 0);
        job.flags = GENERATIONS_JOB_COUNTED;
        job.address = addresses[i % 3];
        CHECK_OK(create_job(store, &job));
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 3);
    for (uint64_t i = 0; i < 3; i++)
        check_address(store, addresses[i], 2);
    struct generations_job_change to = {
        .id = make_id(1, 0), .to = JINI_JOB_IN_PROGRESS, .now_ms = 5, .expires_ms = 950000};
    CHECK_OK(change_job(store, &to));
    struct generations_running running;
    const struct generations_subject subject = {0, addresses[0]};
    CHECK_OK(get_running_of(store, &subject, 949999, &running));
    CHECK_UINT(running.expired, ==, 1); /* of both jobs, the other one */
    uint8_t bytes[8192];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct raw_row row = {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, 1))};
    CHECK_OK(get_raw(store, &row, &value));
    CHECK(memmem(bytes, value.length, first, 16));
    CHECK_OK(set_job_state(store, make_id(1, 1), JINI_JOB_FAILED));
    buffer_reset(&value);
    CHECK_OK(get_raw(store, &row, &value));
    CHECK(!memmem(bytes, value.length, first, 8));
    check_address(store, addresses[1], 1);
    static const enum jini_job_state ends[] = {JINI_JOB_FAILED, JINI_JOB_CANCELLED,
                                               JINI_JOB_TIMED_OUT};
    for (uint64_t i = 0; i < 6; i++) {
        if (i != 1)
            CHECK_OK(set_job_state(store, make_id(1, i), ends[i % 3]));
        if (i != 1 && i < 3)
            check_address(store, addresses[i], 1);
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    store_close(store);
}
