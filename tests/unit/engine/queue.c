/* The queue of jobs: what workers do with them, how they wait, and what operators see. */
#include "engine/queue.h"

#include "engine_fixture.h"
#include "full.h"

#include <pthread.h>

static const char model[] = "sd-xl";

static struct jini *open_with_option(const char *name, const char *value)
{
    struct jini_options options;
    struct jini_error error;
    fixture_options(&options);
    options.queue_retry_ms = 1000;
    if (name)
        CHECK_OK(jini_options_set(&options, name, value, &error));
    return fixture_open_with(&options);
}

static int queue(struct jini *jini, uint64_t user, const char *name, struct jini_admit *admit)
{
    jini_request_init(admit);
    admit->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    snprintf(admit->parameters.model, sizeof(admit->parameters.model), "%s", name);
    admit->prompt = "a lighthouse";
    admit->negative = "people";
    admit->flags = JINI_ADMIT_QUEUE;
    return jini_admit(jini, admit, NULL);
}

static struct jini_id queued(struct jini *jini, uint64_t user)
{
    struct jini_admit admit;
    fixture_must(queue(jini, user, model, &admit), "admit", &admit.request.error);
    CHECK_INT(admit.job.state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(admit.job.flags, ==, JINI_JOB_FOR_WORKERS);
    return admit.job.id;
}

static struct jini_job_taken *room(void)
{
    static struct jini_job_taken taken[JINI_TAKE_MAX];
    return taken;
}

static void prepare_take(struct jini_job_take *take, uint32_t wait_ms)
{
    jini_request_init(take);
    take->worker = "gpu-1";
    take->wait_ms = wait_ms;
    take->taken = room();
    take->capacity = 1;
}

static uint32_t take(struct jini *jini, uint32_t wait_ms, uint32_t lease_ms)
{
    struct jini_job_take request;
    prepare_take(&request, wait_ms);
    request.lease_ms = lease_ms;
    fixture_must(jini_job_take(jini, &request, NULL), "take", &request.request.error);
    return request.count;
}

static int finish(struct jini *jini, const struct jini_id *job, uint32_t attempt,
                  struct jini_job *out)
{
    struct jini_job_finish request;
    jini_request_init(&request);
    request.job_id = *job;
    request.attempt = attempt;
    int status = jini_job_finish(jini, &request, NULL);
    if (out)
        *out = request.job;
    return status;
}

static int fail(struct jini *jini, const struct jini_id *job, uint32_t attempt, bool retry,
                struct jini_job *out)
{
    struct jini_job_fail request;
    jini_request_init(&request);
    request.job_id = *job;
    request.attempt = attempt;
    request.retry = retry;
    request.reason = "CUDA out of memory";
    int status = jini_job_fail(jini, &request, NULL);
    *out = request.job;
    return status;
}

static int extend(struct jini *jini, const struct jini_id *job, uint32_t attempt,
                  struct jini_job *out)
{
    struct jini_job_extend request;
    jini_request_init(&request);
    request.job_id = *job;
    request.attempt = attempt;
    request.lease_ms = 60000;
    int status = jini_job_extend(jini, &request, NULL);
    *out = request.job;
    return status;
}

static struct jini_job job_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, id, &job, &error));
    return job;
}

static void pass_ms(uint64_t ms)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, ms * NS_PER_MS, __ATOMIC_RELAXED);
}

static bool same(const struct jini_id *a, const struct jini_id *b)
{
    return jini_id_compare(a, b) == 0;
}

/* ---- One job ---- */

TEST(a_worker_gets_the_whole_job_and_finishes_it,
     "A job that was admitted for the queue comes with its prompts, parameters and attempt, takes "
     "the images of who has it, and is settled once.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    struct jini_job job;
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    const struct jini_job_taken *taken = room();
    CHECK(same(&taken->job.id, &id));
    CHECK_TEXT(taken->prompt, "a lighthouse");
    CHECK_TEXT(taken->negative, "people");
    CHECK_TEXT(taken->job.worker, "gpu-1");
    CHECK_UINT(taken->job.attempt, ==, 1);
    CHECK_UINT(taken->job.priority, ==, 10);
    CHECK_UINT(taken->job.parameters.steps, ==, 20);
    CHECK_INT(taken->job.state, ==, JINI_JOB_IN_PROGRESS);
    CHECK_UINT(take(jini, 0, 0), ==, 0);
    CHECK_OK(extend(jini, &id, 1, &job));
    CHECK_STATUS(extend(jini, &id, 0, &job), JINI_E_INVALID);
    CHECK_OK(finish(jini, &id, 1, &job));
    CHECK_INT(job.state, ==, JINI_JOB_COMPLETED);
    CHECK_STATUS(finish(jini, &id, 1, &job), JINI_E_CONFLICT);
    CHECK_INT(job.state, ==, JINI_JOB_COMPLETED);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(only_who_has_a_job_renews_settles_and_stores_for_it,
     "A job for workers is neither renewed nor settled by who has no attempt of it, and takes "
     "images of the attempt that has it alone.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    struct png_request png = {32, 32, 1, "made for a test", NULL};
    struct jini_settle settle;
    struct jini_renew renew;
    struct jini_image_put put;
    jini_request_init(&settle);
    jini_request_init(&renew);
    settle.job_id = renew.job_id = id;
    renew.state = JINI_JOB_IN_PROGRESS;
    CHECK_STATUS(jini_settle(jini, &settle, NULL), JINI_E_CONFLICT);
    CHECK_STATUS(jini_renew(jini, &renew, NULL), JINI_E_CONFLICT);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    CHECK_STATUS(jini_settle(jini, &settle, NULL), JINI_E_CONFLICT);
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.user_id = user;
    put.job_id = id;
    put.flags = JINI_PUT_SETTLES;
    for (put.attempt = 0; put.attempt < 3; put.attempt += 2) {
        CHECK_STATUS(jini_image_put(jini, &put, NULL), JINI_E_CONFLICT);
        CHECK_TEXT(put.request.error.field, "attempt");
    }
    put.attempt = 1;
    fixture_must(jini_image_put(jini, &put, NULL), "put", &put.request.error);
    free(file);
    CHECK_INT(job_of(jini, &id).state, ==, JINI_JOB_COMPLETED);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_lost_worker_loses_the_job_to_another,
     "When the lease is over the job goes to the next worker under the next attempt; what the "
     "first one still does is a conflict that changes nothing, and who is lost at the last attempt "
     "leaves it timed out, with everything given back.")
{
    struct jini *jini = open_with_option("queue.attempts_max", "2");
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    struct jini_job job;
    CHECK_UINT(take(jini, 0, 1000), ==, 1);
    CHECK_UINT(take(jini, 0, 1000), ==, 0);
    pass_ms(1001);
    CHECK_UINT(take(jini, 0, 1000), ==, 1);
    CHECK_UINT(room()->job.attempt, ==, 2);
    CHECK_TEXT(room()->job.error, "the worker was lost");
    CHECK_STATUS(extend(jini, &id, 1, &job), JINI_E_CONFLICT);
    CHECK_STATUS(finish(jini, &id, 1, &job), JINI_E_CONFLICT);
    CHECK_UINT(job.attempt, ==, 2);
    CHECK_STATUS(fail(jini, &id, 1, true, &job), JINI_E_CONFLICT);
    CHECK_STATUS(fail(jini, &id, 1, false, &job), JINI_E_CONFLICT);
    CHECK_INT(job_of(jini, &id).state, ==, JINI_JOB_IN_PROGRESS);
    fixture_verify(jini);
    pass_ms(1001);
    CHECK_UINT(take(jini, 0, 0), ==, 0);
    job = job_of(jini, &id);
    CHECK_INT(job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_CONTAINS(job.error, "lost");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_lease_that_is_over_is_extended_until_somebody_notices,
     "A worker that comes late and before all others keeps its job.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    struct jini_id id = queued(jini, fixture_user(jini, "alice", "Premium"));
    struct jini_job job;
    CHECK_UINT(take(jini, 0, 1000), ==, 1);
    pass_ms(5000);
    CHECK_OK(extend(jini, &id, 1, &job));
    CHECK_UINT(take(jini, 0, 0), ==, 0);
    CHECK_OK(finish(jini, &id, 1, NULL));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_attempt_that_failed_is_followed_by_another_after_a_while,
     "A job that failed waits for at most the time that doubles with each attempt, and then fails "
     "for good with its last reason; one that is not to be tried again fails at once.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    struct jini_job job;
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        CHECK_UINT(take(jini, 0, 0), ==, 1);
        uint64_t now_ms = fixture_wall_ns(NULL) / NS_PER_MS;
        CHECK_OK(fail(jini, &id, attempt, true, &job));
        CHECK_TEXT(job.error, "CUDA out of memory");
        if (attempt == 3)
            break;
        uint64_t whole_ms = 1000u << (attempt - 1);
        CHECK_UINT(job.flags, ==, JINI_JOB_FOR_WORKERS | JINI_JOB_DELAYED);
        CHECK_UINT(job.expires_ms, >=, now_ms + whole_ms / 2);
        CHECK_UINT(job.expires_ms, <=, now_ms + whole_ms + 1000);
        CHECK_UINT(take(jini, 0, 0), ==, 0);
        fixture_verify(jini);
        pass_ms(whole_ms);
    }
    CHECK_INT(job.state, ==, JINI_JOB_FAILED);
    id = queued(jini, user);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    CHECK_OK(fail(jini, &id, 1, false, &job));
    CHECK_INT(job.state, ==, JINI_JOB_FAILED);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(who_waits_too_long_is_timed_out,
     "A job that no worker took in its time ends as TIMED_OUT, and its parallel job is free again.")
{
    struct jini *jini = open_with_option("queue.ttl_ms", "5000");
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    pass_ms(4000);
    jobs_expire(jini);
    CHECK_INT(job_of(jini, &id).state, ==, JINI_JOB_IN_QUEUE);
    pass_ms(2000);
    jobs_expire(jini);
    struct jini_job job = job_of(jini, &id);
    CHECK_INT(job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_CONTAINS(job.error, "no worker");
    CHECK_UINT(take(jini, 0, 0), ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_that_comes_back_counts_as_running_all_the_while,
     "An admission that finds the lease of a worker over puts the job back, and still counts it; "
     "a peek says the same before.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    set.tier.allowance.parallel_max = 1;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    uint64_t user = fixture_user(jini, "alice", "Free");
    struct jini_id id = queued(jini, user);
    struct jini_admit admit;
    CHECK_UINT(take(jini, 0, 1000), ==, 1);
    pass_ms(2000);
    CHECK_STATUS(queue(jini, user, model, &admit), JINI_E_LIMITED);
    CHECK_TEXT(admit.request.error.field, "parallel");
    CHECK_INT(job_of(jini, &id).state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(take(jini, 0, 1000), ==, 1);
    CHECK_OK(finish(jini, &id, 2, NULL));
    queued(jini, user);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Cancelling ---- */

TEST(a_cancelled_job_is_learned_of_at_the_next_call,
     "A job is cancelled whether it waits or a worker is at it, who learns it when it extends.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id waiting = queued(jini, user);
    struct jini_job job;
    fixture_release(jini, &waiting, JINI_JOB_CANCELLED);
    CHECK_UINT(take(jini, 0, 0), ==, 0);
    struct jini_id taken = queued(jini, user);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    fixture_release(jini, &taken, JINI_JOB_CANCELLED);
    CHECK_STATUS(extend(jini, &taken, 1, &job), JINI_E_CONFLICT);
    CHECK_INT(job.state, ==, JINI_JOB_CANCELLED);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static uint64_t purge(struct jini *jini, const char *name, uint64_t user)
{
    struct jini_queue_purge request;
    jini_request_init(&request);
    request.model = name;
    request.user_id = user;
    fixture_must(jini_queue_purge(jini, &request, NULL), "purge", &request.request.error);
    return request.removed;
}

TEST(purging_cancels_what_waits,
     "A purge of a user, of a model and of all cancels jobs that wait, in as many transactions as "
     "it takes, and leaves those that workers have.")
{
    enum { JOBS = 50 };
    struct jini *jini = open_with_option(NULL, NULL);
    struct jini_tier_set set;
    struct jini_error error;
    struct jini_admit admit;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    set.tier.allowance.parallel_max = 0;
    set.tier.allowance.limits[0] = '\0';
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    uint64_t users[2] = {fixture_user(jini, "alice", "Free"), fixture_user(jini, "bob", "Free")};
    for (unsigned i = 0; i < 4 * JOBS; i++)
        CHECK_OK(queue(jini, users[i % 2], i % 4 < 2 ? model : "other", &admit));
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    struct jini_id taken = room()->job.id;
    CHECK_UINT(room()->job.user_id, ==, users[0]);
    CHECK_UINT(purge(jini, "other", users[1]), ==, JOBS);
    CHECK_UINT(purge(jini, NULL, users[0]), ==, 2 * JOBS - 1);
    CHECK_UINT(purge(jini, "other", 0), ==, 0);
    CHECK_UINT(purge(jini, NULL, 0), ==, JOBS);
    CHECK_INT(job_of(jini, &taken).state, ==, JINI_JOB_IN_PROGRESS);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Waiting ---- */

struct waiting_worker {
    struct jini *jini;
    struct jini_job_take request;
    struct jini_job_taken taken;
    pthread_t thread;
    int status;
};

static void *wait_for_job(void *argument)
{
    struct waiting_worker *worker = argument;
    worker->status = jini_job_take(worker->jini, &worker->request, NULL);
    return NULL;
}

static void start_waiting(struct jini *jini, struct waiting_worker *worker, uint32_t wait_ms)
{
    uint32_t before = takes_waiting(jini->takes);
    worker->jini = jini;
    prepare_take(&worker->request, wait_ms);
    worker->request.taken = &worker->taken;
    CHECK_INT(pthread_create(&worker->thread, NULL, wait_for_job, worker), ==, 0);
    while (takes_waiting(jini->takes) == before)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

TEST(a_worker_that_waits_gets_the_next_job,
     "Workers that wait get jobs as they come, each job one worker; and where none comes they are "
     "told so after their wait.")
{
    enum { WORKERS = 8 };
    static struct waiting_worker workers[WORKERS];
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    uint64_t begin_ns = fixture_boot_ns(NULL);
    CHECK_UINT(take(jini, 50, 0), ==, 0);
    CHECK_UINT(fixture_boot_ns(NULL) - begin_ns, >=, 50 * NS_PER_MS);
    for (unsigned i = 0; i < WORKERS; i++)
        start_waiting(jini, &workers[i], 60000);
    for (unsigned i = 0; i < WORKERS; i++)
        queued(jini, user);
    for (unsigned i = 0; i < WORKERS; i++) {
        CHECK_INT(pthread_join(workers[i].thread, NULL), ==, 0);
        CHECK_OK(workers[i].status);
        CHECK_UINT(workers[i].request.count, ==, 1);
        for (unsigned k = 0; k < i; k++)
            CHECK(!same(&workers[i].taken.job.id, &workers[k].taken.job.id));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_worker_that_waits_is_woken_by_what_falls_due,
     "One that waits gets the job that was delayed, and that whose worker is lost, when their time "
     "is there, though no background runs.")
{
    static struct waiting_worker worker;
    struct jini *jini = open_with_option("queue.retry_ms", "100");
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id id = queued(jini, user);
    struct jini_job job;
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    start_waiting(jini, &worker, 60000);
    CHECK_OK(fail(jini, &id, 1, true, &job));
    CHECK_INT(pthread_join(worker.thread, NULL), ==, 0);
    CHECK_UINT(worker.request.count, ==, 1);
    CHECK_UINT(worker.taken.job.attempt, ==, 2);
    CHECK_OK(finish(jini, &id, 2, NULL));
    queued(jini, user);
    CHECK_UINT(take(jini, 0, 100), ==, 1);
    start_waiting(jini, &worker, 60000);
    CHECK_INT(pthread_join(worker.thread, NULL), ==, 0);
    CHECK_UINT(worker.request.count, ==, 1);
    CHECK_UINT(worker.taken.job.attempt, ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int op_create(struct store_txn *txn, void *argument)
{
    struct jini_error ignored;
    return generations_job_create(txn, argument, &ignored);
}

TEST(a_worker_that_waits_misses_no_job_of_a_process_that_was_killed,
     "A job whose process has committed it and told nobody is taken all the same, seconds later.")
{
    static struct waiting_worker worker;
    struct jini *jini = open_with_option(NULL, NULL);
    struct generations_job job = {.id = id_next(&jini->ids),
                                  .user_id = fixture_user(jini, "alice", "Premium"),
                                  .parameters = {.count = 1},
                                  .created_ms = 1,
                                  .attempts_max = 1,
                                  .flags = GENERATIONS_JOB_COUNTED | GENERATIONS_JOB_QUEUED};
    start_waiting(jini, &worker, 30000);
    CHECK_OK(store_write(jini->store, op_create, &job));
    CHECK_INT(pthread_join(worker.thread, NULL), ==, 0);
    CHECK_OK(worker.status);
    CHECK_UINT(worker.request.count, ==, 1);
    CHECK(same(&worker.taken.job.id, &job.id));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    waiting_ends_by_cancel_by_close_and_at_the_bound,
    "A worker that waits is told of its cancellation and of a close at once, and one more than may "
    "wait is refused.")
{
    static struct waiting_worker workers[2];
    struct jini *jini = open_with_option("queue.takes_max", "2");
    start_waiting(jini, &workers[0], 60000);
    start_waiting(jini, &workers[1], 60000);
    struct jini_job_take third;
    prepare_take(&third, 1000);
    CHECK_STATUS(jini_job_take(jini, &third, NULL), JINI_E_BUSY);
    CHECK_TEXT(third.request.error.field, "queue.takes_max");
    jini_cancel(jini, &workers[0].request.request);
    CHECK_INT(pthread_join(workers[0].thread, NULL), ==, 0);
    CHECK_STATUS(workers[0].status, JINI_E_CANCELLED);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_INT(pthread_join(workers[1].thread, NULL), ==, 0);
    CHECK_STATUS(workers[1].status, JINI_E_CANCELLED);
}

TEST(a_worker_takes_only_what_it_serves,
     "A worker that names models leaves the jobs of others, and takes several at once where it has "
     "room for them.")
{
    static const char *const others[] = {"sd-1.5", "flux"};
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_job_take request;
    struct jini_admit admit;
    for (unsigned i = 0; i < 6; i++)
        CHECK_OK(queue(jini, user, i < 3 ? model : others[i % 2], &admit));
    prepare_take(&request, 0);
    request.models = others;
    request.model_count = 2;
    request.capacity = 5;
    fixture_must(jini_job_take(jini, &request, NULL), "take", &request.request.error);
    CHECK_UINT(request.count, ==, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK(strcmp(request.taken[i].job.parameters.model, model) != 0);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    CHECK_TEXT(room()->job.parameters.model, model);
    prepare_take(&request, 0);
    request.worker = "";
    CHECK_STATUS(jini_job_take(jini, &request, NULL), JINI_E_INVALID);
    prepare_take(&request, 0);
    request.capacity = 0;
    CHECK_STATUS(jini_job_take(jini, &request, NULL), JINI_E_INVALID);
    prepare_take(&request, 0);
    request.model_count = 1;
    CHECK_STATUS(jini_job_take(jini, &request, NULL), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Operators ---- */

TEST(the_queue_shows_how_it_stands,
     "Lines, priorities, the list and the place of a job say what waits, is delayed and is taken; "
     "and so do the metrics.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t premium = fixture_user(jini, "alice", "Premium");
    uint64_t free_user = fixture_user(jini, "bob", "Free");
    struct jini_job_position position;
    struct jini_queue_cursor cursor = {0};
    struct jini_queue_line lines[4];
    struct jini_job jobs[8];
    struct jini_error error;
    struct jini_job job;
    size_t count;
    struct jini_id first = queued(jini, free_user);
    struct jini_id second = queued(jini, free_user);
    struct jini_id third = queued(jini, premium);
    CHECK_OK(jini_job_position(jini, &second, &position, &error));
    CHECK_UINT(position.ahead, ==, 2);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    CHECK(same(&room()->job.id, &third));
    CHECK_OK(fail(jini, &third, 1, true, &job));
    CHECK_STATUS(jini_job_position(jini, &third, &position, &error), JINI_E_CONFLICT);
    CHECK_UINT(take(jini, 0, 0), ==, 1);
    CHECK(same(&room()->job.id, &first));
    CHECK_OK(jini_queue_lines(jini, NULL, lines, 4, &count, &error));
    CHECK_UINT(count, ==, 2);
    CHECK_TEXT(lines[0].model, model);
    CHECK_UINT(lines[0].priority, ==, 10);
    CHECK_UINT(lines[0].delayed, ==, 1);
    CHECK_UINT(lines[1].waiting, ==, 1);
    CHECK_UINT(lines[1].in_progress, ==, 1);
    CHECK_UINT(lines[1].oldest_ms, >, 0);
    CHECK_OK(jini_queue_lines(jini, &lines[0], lines, 4, &count, &error));
    CHECK_UINT(count, ==, 1);
    CHECK_OK(jini_queue_priorities(jini, NULL, lines, 4, &count, &error));
    CHECK_UINT(count, ==, 2);
    CHECK_UINT(lines[0].taken + lines[1].taken, ==, 2);
    CHECK_UINT(lines[0].retried, ==, 1);
    CHECK_OK(jini_queue_list(jini, NULL, JINI_JOB_IN_QUEUE, &cursor, jobs, 8, &count, &error));
    CHECK_UINT(count, ==, 2);
    CHECK_OK(jini_queue_list(jini, NULL, 0, &cursor, jobs, 8, &count, &error));
    CHECK_UINT(count, ==, 0);
    static char text[262144];
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &count, &error));
    CHECK_CONTAINS(text, "jini_queue_jobs{priority=\"0\",state=\"waiting\"} 1\n");
    CHECK_CONTAINS(text, "jini_queue_jobs{priority=\"10\",state=\"delayed\"} 1\n");
    CHECK_CONTAINS(text, "jini_queue_retried_total 1\n");
    CHECK_CONTAINS(text, "jini_queue_oldest_seconds{priority=\"0\"}");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    no_more_jobs_wait_than_may,
    "Beyond queue.jobs_max an admission for the queue is busy and charges nothing; one that is run "
    "by its caller is not.")
{
    struct jini *jini = open_with_option("queue.jobs_max", "1");
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_admit admit;
    queued(jini, user);
    CHECK_STATUS(queue(jini, user, model, &admit), JINI_E_BUSY);
    CHECK_TEXT(admit.request.error.field, "queue");
    admit.flags = 0;
    CHECK_OK(jini_admit(jini, &admit, NULL));
    CHECK_UINT(admit.job.flags, ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(jobs_end_on_a_full_disk,
     "Where there is no room for new work, jobs are extended, finished, failed, cancelled and "
     "purged; none is taken.")
{
    struct jini *jini = open_with_option(NULL, NULL);
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_id ids[5];
    struct jini_job job;
    struct jini_job_take request;
    for (int i = 0; i < 5; i++)
        ids[i] = queued(jini, user);
    for (int i = 0; i < 3; i++)
        CHECK_UINT(take(jini, 0, 0), ==, 1);
    full_begin(jini);
    CHECK_OK(extend(jini, &ids[0], 1, &job));
    CHECK_OK(finish(jini, &ids[0], 1, NULL));
    CHECK_OK(fail(jini, &ids[1], 1, true, &job));
    CHECK_OK(fail(jini, &ids[2], 1, false, &job));
    fixture_release(jini, &ids[3], JINI_JOB_CANCELLED);
    prepare_take(&request, 0);
    CHECK_STATUS(jini_job_take(jini, &request, NULL), JINI_E_FULL);
    CHECK_UINT(purge(jini, NULL, 0), ==, 2);
    full_end(jini);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
