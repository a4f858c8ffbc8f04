/* How long ended jobs are kept: until their time is over and their last image is gone. */
#include "records.h"

enum { KEEP_MS = 5000, FINISHED_MS = 50000 };

static int end_job(struct store *store, struct jini_id id, enum jini_job_state to, uint64_t keep_ms)
{
    struct generations_job_change change = {
        .id = id, .to = to, .now_ms = FINISHED_MS, .keep_ms = keep_ms};
    return change_job(store, &change);
}

static void make_running(struct store *store, uint64_t number, uint64_t user_id)
{
    struct generations_job job = make_job(number, user_id);
    CHECK_OK(create_job(store, &job));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_IN_PROGRESS));
}

static struct jini_id attach(struct store *store, uint64_t number, uint64_t job, uint64_t user_id)
{
    struct generations_image_new new = make_image(number, user_id);
    new.image.job_id = make_id(1, job);
    CHECK_OK(create_image(store, &new));
    return new.image.id;
}

/* Whether a job is in the queue of those to be deleted, and when. */
static uint64_t due_at(struct store *store, struct jini_id id)
{
    static struct generations_due due[DUE_LISTED_MAX];
    size_t count = list_due(store, GENERATIONS_DUE_ENDED, UINT64_MAX, due);
    for (size_t i = 0; i < count; i++) {
        if (jini_id_compare(&due[i].id, &id) == 0)
            return due[i].due_ms;
    }
    return 0;
}

STORE_TEST(an_ended_job_falls_due,
           "A job that ends, in whatever way, says until when it is kept and is in the queue then; "
           "one that is kept for ever is not, and deleting it leaves nothing.")
{
    struct store *store = records_open(driver);
    static const enum jini_job_state ends[] = {JINI_JOB_COMPLETED, JINI_JOB_FAILED,
                                               JINI_JOB_CANCELLED, JINI_JOB_TIMED_OUT};
    struct jini_job job;
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t keep_ms = i < 4 ? KEEP_MS + i : 0;
        make_running(store, i, i % 2 ? 7 : 0);
        CHECK_UINT(due_at(store, make_id(1, i)), ==, 0);
        CHECK_OK(end_job(store, make_id(1, i), ends[i % 4], keep_ms));
        CHECK_OK(get_job(store, make_id(1, i), &job));
        CHECK_UINT(job.kept_until_ms, ==, keep_ms ? FINISHED_MS + keep_ms : 0);
        CHECK_UINT(due_at(store, make_id(1, i)), ==, job.kept_until_ms);
    }
    CHECK_UINT(count_due(store, GENERATIONS_DUE_JOB), ==, 0);
    for (uint64_t i = 0; i < 8; i++)
        CHECK_OK(delete_job(store, make_id(1, i)));
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_JOBS), ==, 0);
    store_close(store);
}

STORE_TEST(
    an_image_keeps_its_job,
    "While an image of an ended job is there, in the trash or not, the job is in no queue and "
    "cannot be deleted; with the last image it falls due.")
{
    struct store *store = records_open(driver);
    struct generations_image image;
    make_running(store, 1, 7);
    struct jini_id job = make_id(1, 1);
    struct jini_id ids[] = {attach(store, 1, 1, 7), attach(store, 2, 1, 7), attach(store, 3, 1, 7)};
    CHECK_OK(delete_image(store, ids[1])); /* before the end */
    CHECK_UINT(due_at(store, job), ==, 0);
    CHECK_OK(end_job(store, job, JINI_JOB_COMPLETED, KEEP_MS));
    CHECK_UINT(due_at(store, job), ==, 0);
    CHECK_STATUS(delete_job(store, job), JINI_E_IN_USE);
    CHECK_OK(delete_image(store, ids[0]));
    CHECK_OK(trash_image(store, ids[2], 60000));
    CHECK_UINT(due_at(store, job), ==, 0);
    CHECK_STATUS(delete_job(store, job), JINI_E_IN_USE);
    CHECK_OK(untrash_image(store, ids[2]));
    CHECK_OK(trash_image(store, ids[2], 60000));
    CHECK_OK(delete_image(store, ids[2]));
    CHECK_STATUS(get_image(store, ids[2], &image), JINI_E_NOT_FOUND);
    CHECK_UINT(due_at(store, job), ==, FINISHED_MS + KEEP_MS);
    CHECK_OK(delete_job(store, job));
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    make_running(store, 2, 7); /* all of its images are gone when it ends */
    CHECK_OK(delete_image(store, attach(store, 4, 2, 7)));
    CHECK_OK(end_job(store, make_id(1, 2), JINI_JOB_COMPLETED, KEEP_MS));
    CHECK_UINT(due_at(store, make_id(1, 2)), ==, FINISHED_MS + KEEP_MS);
    make_running(store, 3, 7); /* kept for ever, images or not */
    struct jini_id last = attach(store, 5, 3, 7);
    CHECK_OK(end_job(store, make_id(1, 3), JINI_JOB_COMPLETED, 0));
    CHECK_OK(delete_image(store, last));
    CHECK_UINT(due_at(store, make_id(1, 3)), ==, 0);
    store_close(store);
}

STORE_TEST(a_damaged_job_keeps_no_image,
           "An image whose job is damaged or gone can be deleted like any other.")
{
    struct store *store = records_open(driver);
    for (uint64_t i = 0; i < 2; i++) {
        make_running(store, i, 7);
        struct jini_id image = attach(store, i, i, 7);
        CHECK_OK(end_job(store, make_id(1, i), JINI_JOB_COMPLETED, KEEP_MS));
        struct raw_row row = {.space = STORE_SPACE_JOBS, .key = key_of_id(make_id(1, i))};
        if (i == 0)
            row.value = slice_of("rot", 3);
        put_raw(store, &row);
        CHECK_OK(delete_image(store, image));
        CHECK_UINT(due_at(store, make_id(1, i)), ==, 0);
    }
    store_close(store);
}

enum { MODEL_JOBS = 60, MODEL_IMAGES = 4 };

struct model_job {
    bool exists;
    bool ended;
    uint64_t kept_until_ms;
    uint32_t images; /* there, in the trash or not */
    uint32_t attached;
    bool there[MODEL_IMAGES];
    bool trashed[MODEL_IMAGES];
};

static struct jini_id image_of(uint64_t job, uint32_t number)
{
    return make_id(2, job * MODEL_IMAGES + number);
}

static void step_image(struct store *store, struct model_job *job, uint64_t at)
{
    uint32_t number = (uint32_t)harness_random_below(MODEL_IMAGES);
    struct jini_id id = image_of(at, number);
    uint64_t what = harness_random_below(4);
    if (!job->there[number])
        return;
    if (what == 0) {
        CHECK_STATUS(trash_image(store, id, 70000), job->trashed[number] ? JINI_E_CONFLICT : 0);
        job->trashed[number] = true;
    } else if (what == 1) {
        CHECK_STATUS(untrash_image(store, id), job->trashed[number] ? 0 : JINI_E_CONFLICT);
        job->trashed[number] = false;
    } else {
        CHECK_OK(delete_image(store, id));
        job->there[number] = false;
        job->images--;
    }
}

static void step_job(struct store *store, struct model_job *job, uint64_t at)
{
    uint64_t what = harness_random_below(8);
    if (!job->exists)
        return;
    if (what < 2 && !job->ended && job->attached < MODEL_IMAGES) {
        attach(store, at * MODEL_IMAGES + job->attached, at, 1 + at % 3);
        job->there[job->attached++] = true;
        job->images++;
    } else if (what < 3 && !job->ended) {
        uint64_t keep_ms = harness_random_below(4) ? KEEP_MS + at : 0;
        CHECK_OK(end_job(store, make_id(1, at), JINI_JOB_COMPLETED, keep_ms));
        job->ended = true;
        job->kept_until_ms = keep_ms ? FINISHED_MS + keep_ms : 0;
    } else if (what == 7) {
        int expected = !job->ended ? JINI_E_CONFLICT : job->images ? JINI_E_IN_USE : 0;
        CHECK_STATUS(delete_job(store, make_id(1, at)), expected);
        job->exists = expected != 0;
    } else {
        step_image(store, job, at);
    }
}

STORE_TEST(
    the_queue_has_the_jobs_that_nobody_needs,
    "After any changes the queue has exactly the ended jobs without images that are not kept "
    "for ever.")
{
    struct store *store = records_open(driver);
    static struct model_job jobs[MODEL_JOBS];
    uint64_t count = 0;
    memset(jobs, 0, sizeof(jobs));
    for (unsigned step = 0; step < 1500 * harness_scale(); step++) {
        if (count < MODEL_JOBS && harness_random_below(8) == 0) {
            make_running(store, count, 1 + count % 3);
            jobs[count++].exists = true;
        } else if (count) {
            uint64_t at = harness_random_below(count);
            step_job(store, &jobs[at], at);
        }
        if (step % 50 != 49)
            continue;
        size_t expected = 0;
        for (uint64_t i = 0; i < count; i++) {
            bool due = jobs[i].exists && jobs[i].ended && jobs[i].images == 0;
            uint64_t due_ms = due ? jobs[i].kept_until_ms : 0;
            CHECK_UINT(due_at(store, make_id(1, i)), ==, due_ms);
            expected += due_ms != 0;
        }
        CHECK_UINT(count_due(store, GENERATIONS_DUE_ENDED), ==, expected);
    }
    store_close(store);
}
