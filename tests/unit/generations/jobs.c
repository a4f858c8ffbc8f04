/* Jobs: their records, states, prompts and reservations, and what hangs on them. */
#include "records.h"

STORE_TEST(a_job_is_read_back, "Every member of a new job is read back, in state IN_QUEUE.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    CHECK_OK(create_job(store, &job));
    struct jini_job out;
    CHECK_OK(get_job(store, job.id, &out));
    CHECK_INT(jini_id_compare(&out.id, &job.id), ==, 0);
    CHECK_UINT(out.user_id, ==, 7);
    CHECK_INT(out.state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(out.parameters.width, ==, 512);
    CHECK_UINT(out.parameters.height, ==, 768);
    CHECK_UINT(out.parameters.steps, ==, 30);
    CHECK_UINT(out.parameters.count, ==, 4);
    CHECK_INT(out.parameters.seed, ==, -1);
    CHECK_UINT(out.parameters.guidance_millionths, ==, 7500000);
    CHECK_TEXT(out.parameters.model, "stabilityai/stable-diffusion-2-1");
    CHECK_UINT(out.created_ms, ==, 1001);
    CHECK_UINT(out.started_ms, ==, 0);
    CHECK_UINT(out.finished_ms, ==, 0);
    CHECK_UINT(out.expires_ms, ==, 900001);
    CHECK_UINT(out.cost_credits, ==, 3);
    CHECK_UINT(out.images, ==, 0);
    CHECK_UINT(out.prompt_bytes, ==, 23);
    CHECK_UINT(out.negative_bytes, ==, 6);
    CHECK_TEXT(out.error, "");
    CHECK_STATUS(get_job(store, make_id(1, 2), &out), JINI_E_NOT_FOUND);
    CHECK_UINT(out.user_id, ==, 0);
    store_close(store);
}

STORE_TEST(extreme_values_are_read_back, "Members are read back whole at the ends of their ranges.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, UINT64_MAX);
    job.parameters = (struct jini_parameters){.width = UINT32_MAX,
                                              .height = UINT32_MAX,
                                              .steps = UINT32_MAX,
                                              .count = JINI_JOB_IMAGES_MAX,
                                              .seed = INT64_MIN,
                                              .guidance_millionths = UINT64_MAX};
    memset(job.parameters.model, 'm', JINI_MODEL_MAX - 1);
    job.created_ms = job.expires_ms = job.cost_credits = UINT64_MAX;
    CHECK_OK(create_job(store, &job));
    struct jini_job out;
    CHECK_OK(get_job(store, job.id, &out));
    CHECK_INT(memcmp(&out.parameters, &job.parameters, sizeof(job.parameters)), ==, 0);
    CHECK_UINT(out.user_id, ==, UINT64_MAX);
    CHECK_UINT(out.created_ms, ==, UINT64_MAX);
    CHECK_UINT(out.expires_ms, ==, UINT64_MAX);
    CHECK_UINT(out.cost_credits, ==, UINT64_MAX);
    job = make_job(2, 1);
    job.parameters.seed = INT64_MAX;
    CHECK_OK(create_job(store, &job));
    CHECK_OK(get_job(store, job.id, &out));
    CHECK_INT(out.parameters.seed, ==, INT64_MAX);
    store_close(store);
}

static void check_refused(struct store *store, const struct generations_job *job, int expected,
                          const char *field)
{
    struct call call = {.run = run_job_create, .in = job};
    CHECK_STATUS(change(store, &call), expected);
    CHECK_TEXT(call.error.field, field);
}

STORE_TEST(bad_members_are_refused,
           "A member that breaks its rule is named, and nothing is stored.")
{
    struct store *store = records_open(driver);
    static char big[GENERATIONS_RESERVATION_MAX + 1];
    struct generations_job job = make_job(1, 7);
    memset(&job.id, 0, sizeof(job.id));
    check_refused(store, &job, JINI_E_INVALID, "id");
    job = make_job(1, 7);
    memset(job.parameters.model, 'm', sizeof(job.parameters.model));
    check_refused(store, &job, JINI_E_INVALID, "model");
    job.parameters.model[3] = (char)0xff;
    job.parameters.model[JINI_MODEL_MAX - 1] = '\0';
    check_refused(store, &job, JINI_E_INVALID, "model");
    job = make_job(1, 7);
    job.parameters.count = 0;
    check_refused(store, &job, JINI_E_INVALID, "count");
    job.parameters.count = JINI_JOB_IMAGES_MAX + 1;
    check_refused(store, &job, JINI_E_INVALID, "count");
    job = make_job(1, 7);
    job.prompt = slice_of("a\0b", 3);
    check_refused(store, &job, JINI_E_INVALID, "prompt");
    job = make_job(1, 7);
    job.negative = slice_of("\xc3", 1);
    check_refused(store, &job, JINI_E_INVALID, "negative");
    job = make_job(1, 7);
    job.reservation = slice_of(big, sizeof(big));
    check_refused(store, &job, JINI_E_TOO_BIG, "reservation");
    job = make_job(1, 7);
    job.flags = 1u << 5;
    check_refused(store, &job, JINI_E_INVALID, "flags");
    job = make_job(1, 0);
    job.flags = GENERATIONS_JOB_COUNTED;
    check_refused(store, &job, JINI_E_INVALID, "address");
    job.address = slice_of(big, GENERATIONS_ADDRESS_MAX + 1);
    check_refused(store, &job, JINI_E_INVALID, "address");
    job.address = slice_of(big, GENERATIONS_ADDRESS_MAX);
    job.flags = 0;
    check_refused(store, &job, JINI_E_INVALID, "address");
    job.user_id = 7;
    job.flags = GENERATIONS_JOB_COUNTED;
    check_refused(store, &job, JINI_E_INVALID, "address");
    CHECK_UINT(count_rows(store, STORE_SPACE_JOBS), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    job = make_job(1, 7);
    CHECK_OK(create_job(store, &job));
    check_refused(store, &job, JINI_E_EXISTS, "id");
    store_close(store);
}

struct prompts {
    struct jini_id id;
    struct buffer prompt;
    struct buffer negative;
};

static int run_prompts(struct store_txn *txn, struct call *call)
{
    struct prompts *prompts = call->out;
    buffer_reset(&prompts->prompt);
    buffer_reset(&prompts->negative);
    return generations_job_prompts(txn, &prompts->id, &prompts->prompt, &prompts->negative,
                                   &call->error);
}

static uint8_t long_prompt[JINI_PROMPT_MAX];
static uint8_t long_negative[JINI_PROMPT_MAX];
static uint8_t read_prompt[JINI_PROMPT_MAX];
static uint8_t read_negative[JINI_PROMPT_MAX];

static void check_prompts(struct store *store, uint64_t number, size_t prompt, size_t negative)
{
    struct generations_job job = make_job(number, 7);
    job.prompt = slice_of(long_prompt, prompt);
    job.negative = slice_of(long_negative, negative);
    CHECK_OK(create_job(store, &job));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_IN_PROGRESS));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_COMPLETED));
    struct prompts out = {job.id, buffer_of(read_prompt, JINI_PROMPT_MAX - 1),
                          buffer_of(read_negative, JINI_PROMPT_MAX - 1)};
    CHECK_OK(look(store, &(struct call){.run = run_prompts, .out = &out}));
    CHECK(slice_equal(buffer_slice(&out.prompt), job.prompt));
    CHECK(slice_equal(buffer_slice(&out.negative), job.negative));
    struct jini_job job_out;
    CHECK_OK(get_job(store, job.id, &job_out));
    CHECK_UINT(job_out.prompt_bytes, ==, prompt);
    CHECK_UINT(job_out.negative_bytes, ==, negative);
}

STORE_TEST(
    prompts_of_any_length_are_read_back,
    "Prompts of 0 to 16,384 bytes are read back, in the record or beside it, also after changes.")
{
    struct store *store = records_open(driver);
    static const size_t lengths[] = {0, 1, 512, 513, 1023, 1024, 1025, 4000, 16384};
    enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };
    for (size_t i = 0; i < JINI_PROMPT_MAX; i++) {
        long_prompt[i] = (uint8_t)('a' + i % 26);
        long_negative[i] = (uint8_t)('A' + i % 23);
    }
    for (size_t p = 0; p < LENGTHS; p++) {
        for (size_t n = 0; n < LENGTHS; n++)
            check_prompts(store, p * LENGTHS + n + 1, lengths[p], lengths[n]);
    }
    struct generations_job job = make_job(1000, 7);
    job.prompt = slice_of(long_prompt, JINI_PROMPT_MAX);
    CHECK_STATUS(create_job(store, &job), JINI_E_TOO_BIG);
    store_close(store);
}

STORE_TEST(
    a_small_buffer_for_a_prompt_is_refused,
    "A prompt that does not fit its buffer is refused, whether it lies in the record or not.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    memset(long_prompt, 'p', sizeof(long_prompt));
    CHECK_OK(create_job(store, &job));
    struct prompts out = {job.id, buffer_of(read_prompt, 22), buffer_of(read_negative, 100)};
    CHECK_STATUS(look(store, &(struct call){.run = run_prompts, .out = &out}), JINI_E_TOO_BIG);
    job = make_job(2, 7);
    job.prompt = slice_of(long_prompt, 5000);
    CHECK_OK(create_job(store, &job));
    out.id = job.id;
    out.prompt.capacity = 4999;
    CHECK_STATUS(look(store, &(struct call){.run = run_prompts, .out = &out}), JINI_E_TOO_BIG);
    out.prompt.capacity = 5000;
    CHECK_OK(look(store, &(struct call){.run = run_prompts, .out = &out}));
    out.id = make_id(1, 3);
    CHECK_STATUS(look(store, &(struct call){.run = run_prompts, .out = &out}), JINI_E_NOT_FOUND);
    store_close(store);
}

STORE_TEST(the_end_of_a_job_hands_out_its_reservation_once,
           "The change that ends a job returns its reservation; no later read or change has it.")
{
    struct store *store = records_open(driver);
    static const enum jini_job_state ends[] = {JINI_JOB_FAILED, JINI_JOB_CANCELLED,
                                               JINI_JOB_TIMED_OUT, JINI_JOB_COMPLETED};
    for (uint64_t i = 0; i < 4; i++) {
        struct generations_job job = make_job(i, 7);
        uint8_t reservation[GENERATIONS_RESERVATION_MAX];
        memset(reservation, (int)i + 1, sizeof(reservation));
        job.reservation = slice_of(reservation, sizeof(reservation));
        CHECK_OK(create_job(store, &job));
        struct generations_job_change to = {
            .id = job.id, .to = JINI_JOB_IN_PROGRESS, .now_ms = 2000};
        CHECK_OK(change_job(store, &to));
        CHECK_UINT(to.reservation_length, ==, 0);
        to.to = ends[i];
        to.now_ms = 3000;
        to.failure = i == 0 ? "CUDA out of memory" : NULL;
        CHECK_OK(change_job(store, &to));
        CHECK_UINT(to.reservation_length, ==, sizeof(reservation));
        CHECK_BYTES(to.reservation, reservation, sizeof(reservation));
        CHECK_INT(to.job.state, ==, ends[i]);
        CHECK_UINT(to.job.started_ms, ==, 2000);
        CHECK_UINT(to.job.finished_ms, ==, 3000);
        CHECK_TEXT(to.job.error, i == 0 ? "CUDA out of memory" : "");
        to.to = JINI_JOB_CANCELLED;
        CHECK_STATUS(change_job(store, &to), JINI_E_CONFLICT);
        CHECK_UINT(to.reservation_length, ==, 0);
        struct jini_job out;
        CHECK_OK(get_job(store, job.id, &out));
        CHECK_INT(out.state, ==, ends[i]);
        uint8_t bytes[8192];
        struct buffer value = buffer_of(bytes, sizeof(bytes));
        struct raw_row row = {.space = STORE_SPACE_JOBS, .key = key_of_id(job.id)};
        CHECK_OK(get_raw(store, &row, &value));
        CHECK(!memmem(bytes, value.length, reservation, 16));
    }
    struct generations_job_change none = {.id = make_id(9, 9), .to = JINI_JOB_CANCELLED};
    CHECK_STATUS(change_job(store, &none), JINI_E_NOT_FOUND);
    store_close(store);
}

STORE_TEST(times_of_a_job_never_run_backwards, "With a clock that was set back a job starts no "
                                               "earlier than it was created, and ends no earlier.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    job.created_ms = 100000;
    CHECK_OK(create_job(store, &job));
    struct generations_job_change to = {.id = job.id, .to = JINI_JOB_IN_PROGRESS, .now_ms = 5};
    CHECK_OK(change_job(store, &to));
    CHECK_UINT(to.job.started_ms, ==, 100000);
    to.to = JINI_JOB_COMPLETED;
    to.now_ms = 0;
    CHECK_OK(change_job(store, &to));
    CHECK_UINT(to.job.finished_ms, ==, 100000);
    store_close(store);
}

STORE_TEST(a_long_failure_is_cut, "The error of a job is cut to 256 bytes between characters.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    CHECK_OK(create_job(store, &job));
    char failure[1000];
    for (size_t i = 0; i < sizeof(failure) - 1; i += 3)
        memcpy(failure + i, "\xe2\x82\xac", 3);
    failure[sizeof(failure) - 1] = '\0';
    struct generations_job_change to = {
        .id = job.id, .to = JINI_JOB_FAILED, .now_ms = 5, .failure = failure};
    CHECK_OK(change_job(store, &to));
    CHECK_UINT(strlen(to.job.error), ==, 255);
    CHECK_BYTES(to.job.error, failure, 255);
    struct jini_job out;
    CHECK_OK(get_job(store, job.id, &out));
    CHECK_TEXT(out.error, to.job.error);
    store_close(store);
}

STORE_TEST(
    a_started_job_may_get_a_new_time,
    "A job that starts with a time of its own is given up then, in the queue and the running row.")
{
    struct store *store = records_open(driver);
    static struct generations_due due[DUE_LISTED_MAX];
    struct generations_running running;
    struct generations_job job = make_job(1, 7);
    CHECK_OK(create_job(store, &job));
    CHECK_UINT(list_due(store, GENERATIONS_DUE_JOB, UINT64_MAX, due), ==, 1);
    CHECK_UINT(due[0].due_ms, ==, 900001);
    struct generations_job_change to = {
        .id = job.id, .to = JINI_JOB_IN_PROGRESS, .now_ms = 5, .expires_ms = 950000};
    CHECK_OK(change_job(store, &to));
    CHECK_UINT(to.job.expires_ms, ==, 950000);
    CHECK_UINT(list_due(store, GENERATIONS_DUE_JOB, 949999, due), ==, 0);
    CHECK_UINT(list_due(store, GENERATIONS_DUE_JOB, 950000, due), ==, 1);
    CHECK_INT(jini_id_compare(&due[0].id, &job.id), ==, 0);
    CHECK_UINT(due[0].value_length, ==, 0);
    CHECK_OK(get_running(store, 7, 949999, &running));
    CHECK_UINT(running.count, ==, 1);
    CHECK_UINT(running.expired, ==, 0);
    CHECK_UINT(running.jobs[0].expires_ms, ==, 950000);
    CHECK_OK(get_running(store, 7, 950000, &running));
    CHECK_UINT(running.expired, ==, 1);
    to.to = JINI_JOB_TIMED_OUT;
    CHECK_OK(change_job(store, &to));
    CHECK_UINT(list_due(store, GENERATIONS_DUE_JOB, UINT64_MAX, due), ==, 0);
    CHECK_OK(get_running(store, 7, 0, &running));
    CHECK_UINT(running.count, ==, 0);
    store_close(store);
}

STORE_TEST(
    a_job_is_deleted_when_it_has_ended,
    "A job can be deleted when it has ended, with its prompts, and leaves nothing but its number.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    memset(long_prompt, 'p', sizeof(long_prompt));
    job.prompt = slice_of(long_prompt, 3000);
    job.negative = slice_of(long_prompt, 10);
    CHECK_OK(create_job(store, &job));
    CHECK_UINT(count_rows(store, STORE_SPACE_JOBS), ==, 3);
    CHECK_STATUS(delete_job(store, job.id), JINI_E_CONFLICT);
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_IN_PROGRESS));
    CHECK_STATUS(delete_job(store, job.id), JINI_E_CONFLICT);
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_FAILED));
    CHECK_OK(delete_job(store, job.id));
    CHECK_STATUS(delete_job(store, job.id), JINI_E_NOT_FOUND);
    CHECK_UINT(count_rows(store, STORE_SPACE_JOBS), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 1);
    struct jini_usage usage;
    CHECK_OK(get_usage(store, 7, &usage));
    CHECK_UINT(usage.jobs, ==, 0);
    store_close(store);
}

STORE_TEST(anonymous_jobs_touch_no_user_row,
           "A job of user 0 is stored and given up in time, and has no list, no count and, when it "
           "is not counted, no running row.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 0);
    CHECK_OK(create_job(store, &job));
    CHECK_UINT(count_rows(store, STORE_SPACE_ACTIVITY), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 1);
    struct jini_job out[4];
    struct jini_list_cursor cursor = {0};
    CHECK_UINT(list_jobs(store, 0, &cursor, out, 4), ==, 0);
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_CANCELLED));
    CHECK_OK(delete_job(store, job.id));
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    CHECK_UINT(count_rows(store, STORE_SPACE_JOBS), ==, 0);
    store_close(store);
}

TEST(a_job_that_memory_refused_is_not_there, "When any allocation fails, creating or ending a job "
                                             "changes nothing, and works when tried again.")
{
    struct store *store = records_open(STORE_DRIVER_MEMORY);
    memset(long_prompt, 'p', sizeof(long_prompt));
    for (uint64_t nth = 1; nth < 1000; nth++) {
        struct generations_job job = make_job(nth, 7);
        job.prompt = slice_of(long_prompt, 3000);
        struct jini_job out;
        harness_fail_allocation(nth);
        int status = create_job(store, &job);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        if (status)
            CHECK_STATUS(status, JINI_E_NO_MEMORY);
        CHECK_STATUS(get_job(store, job.id, &out), status ? JINI_E_NOT_FOUND : 0);
        if (status)
            CHECK_OK(create_job(store, &job));
        harness_fail_allocation(nth);
        status = set_job_state(store, job.id, JINI_JOB_FAILED);
        failed = failed || harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK_OK(get_job(store, job.id, &out));
        CHECK_INT(out.state, ==, status ? JINI_JOB_IN_QUEUE : JINI_JOB_FAILED);
        CHECK_UINT(count_due(store, GENERATIONS_DUE_JOB), ==, status ? 1 : 0);
        if (status)
            CHECK_OK(set_job_state(store, job.id, JINI_JOB_FAILED));
        struct jini_usage usage;
        CHECK_OK(get_usage(store, 7, &usage));
        CHECK_UINT(usage.jobs, ==, nth);
        if (!failed) {
            CHECK_UINT(nth, >, 10);
            store_close(store);
            return;
        }
    }
    CHECK(!"an allocation failed at every count");
}
