/*
 * Jobs with damaged records and reservations beside whole ones: ending what was given up goes on.
 */
#include "plant.h"

#include "generations/generations.h"

struct seen {
    unsigned records; /* of the log, of the event that tells of damaged jobs */
    int64_t reservations;
    int64_t unreadable;
};

static void on_log(void *context, enum jini_log_level level, const char *event,
                   const struct jini_log_field *fields, size_t field_count)
{
    struct seen *seen = context;
    (void)level;
    if (strcmp(event, "jobs_damaged") != 0)
        return;
    seen->records++;
    for (size_t i = 0; i < field_count; i++) {
        if (strcmp(fields[i].name, "reservations") == 0)
            seen->reservations += fields[i].number;
        if (strcmp(fields[i].name, "records") == 0)
            seen->unreadable += fields[i].number;
    }
}

static struct jini *open_seen(struct seen *seen, uint32_t parallel)
{
    struct jini_options options;
    struct jini_tier_set set;
    struct jini_error error;
    fixture_options(&options);
    options.log = on_log;
    options.log_context = seen;
    struct jini *jini = fixture_open_with(&options);
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Basic", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "30/day");
    set.tier.allowance.parallel_max = parallel;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
    return jini;
}

static int admit(struct jini *jini, uint64_t user, struct jini_admit *out)
{
    jini_request_init(out);
    out->subject.kind = JINI_SUBJECT_USER;
    out->subject.number = user;
    out->parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = 1};
    return jini_admit(jini, out, NULL);
}

static struct jini_id admitted(struct jini *jini, uint64_t user)
{
    struct jini_admit request;
    fixture_must(admit(jini, user, &request), "admit", &request.request.error);
    return request.job.id;
}

static uint64_t remaining(struct jini *jini, uint64_t user)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .flags = JINI_CHECK_PEEK,
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    return answer.entries[0].remaining;
}

static int state_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    int status = jini_job_get(jini, id, &job, &error);
    return status ? status : (int)job.state;
}

static int op_create(struct store_txn *txn, void *argument)
{
    return generations_job_create(txn, argument, NULL);
}

/* A counted job whose reservation is of no version that there is. */
static struct jini_id with_rotten_reservation(struct jini *jini, uint64_t user)
{
    uint64_t now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    struct generations_job job = {
        .id = id_next(&jini->ids),
        .user_id = user,
        .parameters = {.width = 64, .height = 64, .steps = 20, .count = 1},
        .created_ms = now_ms,
        .expires_ms = now_ms + 1000,
        .reservation = slice_of_text("a reservation that is no reservation"),
        .flags = GENERATIONS_JOB_COUNTED,
    };
    CHECK_OK(store_write(jini->store, op_create, &job));
    return job.id;
}

static void make_rotten(struct jini *jini, const struct jini_id *id)
{
    struct tuple key = plant_key_id(id);
    plant_row(jini, STORE_SPACE_JOBS, &key, "rot", 3);
}

enum { BACKLOG = 3000, DUE_MAX = 4096 };

static size_t due_jobs(struct jini *jini)
{
    static struct generations_due due[DUE_MAX];
    struct store_txn *txn;
    size_t count;
    CHECK_OK(store_read_begin(jini->store, &txn));
    CHECK_OK(
        generations_due_list(txn, GENERATIONS_DUE_JOB, UINT64_MAX / 2, due, DUE_MAX, &count, NULL));
    store_read_end(txn);
    return count;
}

static uint32_t running_jobs(struct jini *jini, uint64_t user)
{
    static struct generations_running running;
    struct store_txn *txn;
    CHECK_OK(store_read_begin(jini->store, &txn));
    const struct generations_subject subject = {.user_id = user};
    CHECK_OK(generations_running_get(txn, &subject, 0, &running, NULL));
    store_read_end(txn);
    return running.count;
}

TEST(a_damaged_job_holds_up_no_expiry, "Jobs given up beside a rotten record and a rotten "
                                       "reservation end and give back; it is logged.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 0);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    uint64_t bob = fixture_user(jini, "bob", "Basic");
    struct jini_id rotten = with_rotten_reservation(jini, alice);
    struct jini_id unreadable = admitted(jini, alice);
    struct jini_id whole = admitted(jini, alice);
    struct jini_id other = admitted(jini, bob);
    make_rotten(jini, &unreadable);
    CHECK_UINT(remaining(jini, bob), ==, 29);
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    jobs_expire(jini);
    CHECK_INT(state_of(jini, &rotten), ==, JINI_JOB_TIMED_OUT);
    CHECK_INT(state_of(jini, &whole), ==, JINI_JOB_TIMED_OUT);
    CHECK_INT(state_of(jini, &other), ==, JINI_JOB_TIMED_OUT);
    CHECK_STATUS(state_of(jini, &unreadable), JINI_E_CORRUPT);
    CHECK_UINT(remaining(jini, alice), ==, 29); /* what the unreadable job reserved is not known */
    CHECK_UINT(remaining(jini, bob), ==, 30);
    CHECK_UINT(due_jobs(jini), ==, 0);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_INT(seen.reservations, ==, 1);
    CHECK_INT(seen.unreadable, ==, 1);
    jobs_expire(jini);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static void plant_due(struct jini *jini, uint64_t due_ms, const struct jini_id *id)
{
    struct tuple key = plant_key_due("job", due_ms, id);
    plant_row(jini, STORE_SPACE_QUEUE, &key, "", 0);
}

TEST(a_second_row_of_a_job_holds_up_no_expiry,
     "A job with two rows in the queue, both due, ends once; its rows are gone, and jobs behind it "
     "end too.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 0);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    struct jini_admit twice;
    CHECK_OK(admit(jini, alice, &twice));
    struct jini_id behind = admitted(jini, alice);
    plant_due(jini, twice.job.expires_ms - 5000, &twice.job.id);
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    jobs_expire(jini);
    CHECK_INT(state_of(jini, &twice.job.id), ==, JINI_JOB_TIMED_OUT);
    CHECK_INT(state_of(jini, &behind), ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(due_jobs(jini), ==, 0);
    CHECK_UINT(remaining(jini, alice), ==, 30);
    CHECK_UINT(seen.records, ==, 0);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int op_plant_backlog(struct store_txn *txn, void *argument)
{
    struct jini_id *id = argument;
    int status = 0;
    for (uint32_t i = 0; i < BACKLOG && status == 0; i++) {
        store_be32(id->bytes, i);
        struct tuple key = plant_key_due("job", 1, id);
        status = store_put(txn, STORE_SPACE_QUEUE, tuple_key(&key), slice_of(NULL, 0));
    }
    return status;
}

TEST(a_backlog_of_expiry_is_worked_off_in_turns,
     "Of a long backlog one turn does a bounded part and the next ones the rest; once the engine "
     "closes nothing more is begun.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 0);
    struct jini_id id = {{0}};
    CHECK_OK(store_write(jini->store, op_plant_backlog, &id));
    CHECK_UINT(due_jobs(jini), ==, BACKLOG);
    jobs_expire(jini);
    size_t left = due_jobs(jini);
    CHECK_UINT(left, >, 0);
    CHECK_UINT(left, <, BACKLOG);
    atomic_store(&jini->state, ENGINE_CLOSING);
    jobs_expire(jini);
    CHECK_UINT(due_jobs(jini), ==, left);
    atomic_store(&jini->state, ENGINE_OPEN);
    jobs_expire(jini);
    CHECK_UINT(due_jobs(jini), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_wrong_row_ends_no_job_before_its_time,
     "A row of the queue that is due before its job goes, and the job runs until its own lease is "
     "over.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 0);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    struct jini_admit early;
    CHECK_OK(admit(jini, alice, &early));
    plant_due(jini, early.job.created_ms, &early.job.id);
    CHECK_UINT(due_jobs(jini), ==, 2);
    jobs_expire(jini);
    CHECK_INT(state_of(jini, &early.job.id), ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(due_jobs(jini), ==, 1);
    CHECK_UINT(running_jobs(jini, alice), ==, 1);
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    jobs_expire(jini);
    CHECK_INT(state_of(jini, &early.job.id), ==, JINI_JOB_TIMED_OUT);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_wrong_row_of_running_jobs_ends_none_either,
     "A job that runs by its own record counts as running and is not ended by an admission, "
     "whatever time the row of running jobs has.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 1);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    struct jini_id job = admitted(jini, alice);
    struct tuple key = plant_key_user(alice, "run");
    uint8_t entry[24];
    memcpy(entry, job.bytes, JINI_ID_BYTES);
    store_le64(entry + JINI_ID_BYTES, 1);
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, entry, sizeof(entry));
    struct jini_admit request;
    CHECK_STATUS(admit(jini, alice, &request), JINI_E_LIMITED);
    CHECK_TEXT(request.request.error.field, "parallel");
    CHECK_INT(state_of(jini, &job), ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(running_jobs(jini, alice), ==, 1);
    struct jini_renew renew;
    jini_request_init(&renew);
    renew.job_id = job;
    renew.state = JINI_JOB_IN_PROGRESS;
    fixture_wall_offset_ns += 1000000000u;    /* so that its lease ends later */
    CHECK_OK(jini_renew(jini, &renew, NULL)); /* sets the row right */
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_row_of_quotas_holds_up_no_expiry,
     "A job whose user's quotas cannot be read is ended without them, and others give back theirs.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 0);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    uint64_t bob = fixture_user(jini, "bob", "Basic");
    struct jini_id damaged = admitted(jini, alice);
    struct jini_id whole = admitted(jini, bob);
    struct tuple key = plant_key_user(alice, "q");
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    jobs_expire(jini);
    CHECK_INT(state_of(jini, &damaged), ==, JINI_JOB_TIMED_OUT);
    CHECK_INT(state_of(jini, &whole), ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(remaining(jini, bob), ==, 30);
    CHECK_INT(seen.reservations, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_damaged_job_holds_up_no_admission,
     "Given-up jobs of a user that cannot be ended are skipped once, logged, and count no more.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 2);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    struct jini_id rotten = with_rotten_reservation(jini, alice);
    struct jini_id unreadable = admitted(jini, alice);
    struct jini_admit request;
    CHECK_STATUS(admit(jini, alice, &request), JINI_E_LIMITED);
    make_rotten(jini, &unreadable);
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    admitted(jini, alice);
    CHECK_INT(state_of(jini, &rotten), ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(running_jobs(jini, alice), ==, 1);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_INT(seen.reservations, ==, 1);
    CHECK_INT(seen.unreadable, ==, 1);
    admitted(jini, alice);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refused_admission_keeps_what_it_cleaned, "A refusal that met a damaged job keeps it out of "
                                                "the row of running jobs and tells of it once.")
{
    struct seen seen = {0};
    struct jini *jini = open_seen(&seen, 1);
    uint64_t alice = fixture_user(jini, "alice", "Basic");
    struct jini_id unreadable = with_rotten_reservation(jini, alice);
    make_rotten(jini, &unreadable);
    struct generations_job job = {
        .id = id_next(&jini->ids),
        .user_id = alice,
        .parameters = {.width = 64, .height = 64, .steps = 20, .count = 1},
        .created_ms = 1,
        .flags = GENERATIONS_JOB_COUNTED,
    };
    CHECK_OK(store_write(jini->store, op_create, &job));
    fixture_wall_offset_ns += UINT64_C(3600) * 1000000000u;
    struct jini_admit request;
    CHECK_STATUS(admit(jini, alice, &request), JINI_E_LIMITED);
    CHECK_TEXT(request.request.error.field, "parallel");
    CHECK_UINT(running_jobs(jini, alice), ==, 1);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_STATUS(admit(jini, alice, &request), JINI_E_LIMITED);
    CHECK_UINT(seen.records, ==, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
