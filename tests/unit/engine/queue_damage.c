/* The queue of jobs where rows are damaged or lead nowhere, and where a clock is set back. */
#include "engine/queue.h"

#include "found.h"
#include "plant.h"

enum { SOON_MS = 3000 }; /* for what comes at once, or not at all */

static struct jini *open_queue(void)
{
    struct jini_options options;
    fixture_options(&options);
    return fixture_open_with(&options);
}

static struct jini_id queued(struct jini *jini, uint64_t user, const char *prompt)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user};
    admit.parameters = (struct jini_parameters){
        .width = 64, .height = 64, .steps = 20, .count = 1, .model = "sd-xl"};
    admit.prompt = prompt;
    admit.flags = JINI_ADMIT_QUEUE;
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

static void prepare_take(struct jini_job_take *take, struct jini_job_taken *taken, uint32_t wait_ms)
{
    jini_request_init(take);
    take->worker = "gpu-1";
    take->wait_ms = wait_ms;
    take->taken = taken;
    take->capacity = 1;
}

static bool takes(struct jini *jini, const struct jini_id *id, const char *model)
{
    static struct jini_job_taken taken;
    struct jini_job_take take;
    prepare_take(&take, &taken, 0);
    take.models = &model;
    take.model_count = model != NULL;
    fixture_must(jini_job_take(jini, &take, NULL), "take", &take.request.error);
    return take.count == 1 && jini_id_compare(&taken.job.id, id) == 0;
}

static struct tuple key_of(const char *kind, uint32_t priority)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text(kind));
    tuple_add_uint(&key, JINI_QUEUE_PRIORITY_MAX - priority);
    return key;
}

static struct tuple key_of_line(const char *model, uint32_t priority)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text("line"));
    tuple_add_text(&key, slice_of_text(model));
    tuple_add_uint(&key, JINI_QUEUE_PRIORITY_MAX - priority);
    return key;
}

static uint32_t priority_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, id, &job, &error));
    return job.priority;
}

/* ---- Rows that lead nowhere ---- */

TEST(a_line_that_is_none_holds_up_no_other,
     "Rows that lead workers of all models to lines that have no job, more than one take drops, "
     "keep nobody from the job that waits.")
{
    struct jini *jini = open_queue();
    struct jini_id id = queued(jini, fixture_user(jini, "alice", "Premium"), "a lighthouse");
    for (uint64_t i = 1; i <= 20; i++) {
        struct tuple key = key_of("head", JINI_QUEUE_PRIORITY_MAX);
        tuple_add_uint(&key, i);
        tuple_add_text(&key, slice_of_text("no line"));
        plant_row(jini, STORE_SPACE_WAITING, &key, "", 0);
    }
    bool found = false;
    for (int i = 0; i < 4 && !found; i++)
        found = takes(jini, &id, NULL);
    CHECK(found);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_that_damage_keeps_from_being_taken_holds_up_no_other,
     "Where the row of running jobs of the first job's user is damaged, the next job is taken, and "
     "verify names the row and the job that no worker comes to.")
{
    static struct found found;
    struct jini *jini = open_queue();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    struct jini_id first = queued(jini, alice, "a lighthouse");
    struct jini_id second = queued(jini, fixture_user(jini, "bob", "Premium"), "a cat");
    struct tuple key = plant_key_user(alice, "run");
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    CHECK(takes(jini, &second, NULL));
    CHECK(!takes(jini, &first, NULL));
    found_run(jini, "running_damaged", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    found_run(jini, "job_not_waiting", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_line_is_served_by_its_turns,
     "Workers of all models and those that name one come to the jobs of a line whose row is "
     "damaged.")
{
    struct jini *jini = open_queue();
    struct jini_id ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = queued(jini, fixture_user(jini, (const char *[]){"a1", "b2", "c3"}[i], "Premium"),
                        "a lighthouse");
    struct tuple key = key_of_line("sd-xl", priority_of(jini, &ids[0]));
    plant_row(jini, STORE_SPACE_WAITING, &key, "\xc1", 1);
    CHECK(takes(jini, &ids[0], "sd-xl"));
    CHECK(takes(jini, &ids[1], NULL));
    CHECK(takes(jini, &ids[2], "sd-xl"));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* Of the user's first rate limit. */
static uint64_t rate_left(struct jini *jini, uint64_t user)
{
    const struct jini_limit_check look = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                          .cost = 1,
                                          .flags = JINI_CHECK_PEEK};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &look, &answer, &error));
    CHECK_UINT(answer.count, >, 0);
    return answer.entries[0].remaining;
}

TEST(a_prompt_that_is_lost_holds_up_no_other,
     "A job whose prompt is gone fails, its unit of the rate limit is given back, and the same "
     "take gives the next job.")
{
    static char prompt[2000];
    struct jini *jini = open_queue();
    struct jini_error error;
    struct jini_job job;
    memset(prompt, 'x', sizeof(prompt) - 1);
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    uint64_t before = rate_left(jini, alice);
    struct jini_id first = queued(jini, alice, prompt);
    struct jini_id second = queued(jini, fixture_user(jini, "bob", "Premium"), "a cat");
    struct tuple key = plant_key_id(&first);
    tuple_add_text(&key, slice_of_text("p"));
    plant_row(jini, STORE_SPACE_JOBS, &key, NULL, 0);
    CHECK(takes(jini, &second, NULL));
    CHECK_OK(jini_job_get(jini, &first, &job, &error));
    CHECK_INT(job.state, ==, JINI_JOB_FAILED);
    CHECK_UINT(rate_left(jini, alice), ==, before);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Figures ---- */

struct waiting_worker {
    struct jini *jini;
    struct jini_job_take request;
    struct jini_job_taken taken;
    pthread_t thread;
};

static void *wait_for_job(void *argument)
{
    struct waiting_worker *worker = argument;
    CHECK_OK(jini_job_take(worker->jini, &worker->request, NULL));
    return NULL;
}

static void check_worker_is_woken(struct jini *jini)
{
    static struct waiting_worker worker;
    worker.jini = jini;
    prepare_take(&worker.request, &worker.taken, SOON_MS);
    CHECK_INT(pthread_create(&worker.thread, NULL, wait_for_job, &worker), ==, 0);
    while (takes_waiting(jini->takes) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    queued(jini, fixture_user(jini, "alice", "Premium"), "a lighthouse");
    CHECK_INT(pthread_join(worker.thread, NULL), ==, 0);
    CHECK_UINT(worker.request.count, ==, 1);
}

TEST(damaged_figures_of_a_priority_keep_no_job_and_no_worker,
     "Where the figures of a priority cannot be read, its jobs are admitted, and wake who waits.")
{
    struct jini *jini = open_queue();
    struct jini_id id = queued(jini, fixture_user(jini, "bob", "Premium"), "a cat");
    struct tuple key = key_of("rank", priority_of(jini, &id));
    CHECK(takes(jini, &id, NULL));
    plant_row(jini, STORE_SPACE_WAITING, &key, "\xc1", 1);
    check_worker_is_woken(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(more_priorities_than_are_shown_keep_no_worker_asleep,
     "A job of the lowest of a hundred priorities wakes who waits, and the figures of all count "
     "it.")
{
    static char text[1 << 18];
    struct jini *jini = open_queue();
    struct jini_error error;
    size_t length;
    for (uint32_t i = 0; i < 100; i++) {
        struct tuple key = key_of("rank", JINI_QUEUE_PRIORITY_MAX - i);
        plant_row(jini, STORE_SPACE_WAITING, &key, "\x80", 1);
    }
    check_worker_is_woken(jini);
    CHECK_OK(jini_metrics(jini, text, sizeof(text), &length, &error));
    CHECK(strstr(text, "jini_queue_taken_total 1\n"));
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int op_create(struct store_txn *txn, void *argument)
{
    struct jini_error ignored;
    return generations_job_create(txn, argument, &ignored);
}

TEST(what_a_job_was_admitted_on_is_verified,
     "Facts of a job that cannot be read are named by verify, and refused by jini_why().")
{
    static struct found found;
    struct jini *jini = open_queue();
    struct jini_decision decision;
    struct jini_error error;
    struct generations_job job = {
        .id = id_next(&jini->ids),
        .user_id = fixture_user(jini, "alice", "Premium"),
        .parameters = {.count = 1},
        .created_ms = 1,
        .facts = slice_of_text("\x01\xff"),
    };
    CHECK_OK(store_write(jini->store, op_create, &job));
    found_run(jini, "facts_damaged", 0, &found);
    CHECK_UINT(found.count, ==, 1);
    CHECK_STATUS(jini_why(jini, &job.id, &decision, &error), JINI_E_CORRUPT);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- A clock that is set back ---- */

TEST(a_clock_that_is_set_back_loses_and_doubles_nothing,
     "Set back by a day while a worker is at a job, who has it goes on, extends and finishes; what "
     "comes then is taken before it ends, and all rows agree.")
{
    static struct jini_job_taken taken;
    struct jini_job_extend extend;
    struct jini_job_finish finish;
    struct jini_job_take take;
    struct jini *jini = open_queue();
    uint64_t alice = fixture_user(jini, "alice", "Premium");
    fixture_days_pass(2);
    struct jini_id first = queued(jini, alice, "a lighthouse");
    CHECK(takes(jini, &first, NULL));
    __atomic_fetch_sub(&fixture_wall_offset_ns, UINT64_C(86400) * NS_PER_S, __ATOMIC_RELAXED);
    jini_request_init(&extend);
    extend.job_id = first;
    extend.attempt = 1;
    extend.lease_ms = 1000;
    CHECK_OK(jini_job_extend(jini, &extend, NULL));
    struct jini_id second = queued(jini, alice, "a cat");
    CHECK(takes(jini, &second, NULL));
    fixture_verify(jini);
    jini_request_init(&finish);
    finish.job_id = second;
    finish.attempt = 1;
    CHECK_OK(jini_job_finish(jini, &finish, NULL));
    __atomic_fetch_add(&fixture_wall_offset_ns, UINT64_C(1001) * NS_PER_MS, __ATOMIC_RELAXED);
    prepare_take(&take, &taken, 0);
    CHECK_OK(jini_job_take(jini, &take, NULL));
    CHECK_UINT(take.count, ==, 1);
    CHECK_UINT(taken.job.attempt, ==, 2);
    finish.job_id = first;
    CHECK_STATUS(jini_job_finish(jini, &finish, NULL), JINI_E_CONFLICT);
    finish.attempt = 2;
    CHECK_OK(jini_job_finish(jini, &finish, NULL));
    CHECK_UINT(finish.job.finished_ms, >=, finish.job.created_ms);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
