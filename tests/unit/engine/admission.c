/* Admission: the order of its checks, every refusal, the end of jobs, and what each gives back. */
#include "full.h"
#include "plant.h"

#include <pthread.h>
#include <unistd.h>

static void set_limits(struct jini *jini, const char *limits, uint32_t parallel)
{
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Basic", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "%s", limits);
    set.tier.allowance.parallel_max = parallel;
    fixture_must(jini_tier_set(jini, &set, NULL), "tier", &set.request.error);
}

static struct jini *open_with_tier(const char *limits, uint32_t parallel)
{
    struct jini *jini = fixture_open();
    set_limits(jini, limits, parallel);
    return jini;
}

static void prepare(struct jini_admit *admit, uint64_t user, uint32_t count)
{
    jini_request_init(admit);
    admit->subject.kind = JINI_SUBJECT_USER;
    admit->subject.number = user;
    admit->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
    admit->prompt = "a lighthouse";
}

static int admit_some(struct jini *jini, uint64_t user, uint32_t count, struct jini_admit *admit)
{
    prepare(admit, user, count);
    return jini_admit(jini, admit, NULL);
}

static int admit_one(struct jini *jini, uint64_t user, struct jini_admit *admit)
{
    return admit_some(jini, user, 1, admit);
}

static int release_as(struct jini *jini, const struct jini_id *id, enum jini_job_state state)
{
    struct jini_release release;
    jini_request_init(&release);
    release.job_id = *id;
    release.state = state;
    release.reason = "worker went away";
    return jini_release(jini, &release, NULL);
}

static int settle(struct jini *jini, const struct jini_id *id)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = *id;
    return jini_settle(jini, &settle, NULL);
}

/* What is left of the limit at `index` of the user's own. */
static uint64_t remaining(struct jini *jini, uint64_t user, uint32_t index)
{
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .flags = JINI_CHECK_PEEK,
                                     .cost = 1};
    struct jini_limit_answer answer;
    struct jini_error error;
    int status = jini_limit_check(jini, &check, &answer, &error);
    CHECK(status == 0 || status == JINI_E_LIMITED);
    CHECK_UINT(index, <, answer.count);
    return answer.entries[index].remaining;
}

static uint64_t jobs_of(struct jini *jini, uint64_t user)
{
    struct jini_usage usage;
    struct jini_error error;
    CHECK_OK(jini_usage_get(jini, user, &usage, &error));
    return usage.jobs;
}

TEST(what_breaks_a_rule_is_refused_first,
     "Wrong subjects, numbers and texts are JINI_E_INVALID by field, before any limit is charged.")
{
    struct jini *jini = open_with_tier("5/minute; 30/day", 5);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    static char text[JINI_PROMPT_MAX + 1];
    memset(text, 'x', sizeof(text) - 1);
#define CHECK_INVALID(member, value, named)                                                        \
    do {                                                                                           \
        prepare(&admit, user, 1);                                                                  \
        admit.member = (value);                                                                    \
        CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_INVALID);                              \
        CHECK_TEXT(admit.request.error.field, named);                                              \
    } while (0)
    CHECK_INVALID(subject.kind, 0, "subject");
    CHECK_INVALID(subject.kind, JINI_SUBJECT_GLOBAL, "subject");
    CHECK_INVALID(subject.number, 0, "subject");
    CHECK_INVALID(parameters.width, 0, "width");
    CHECK_INVALID(parameters.height, 65537, "height");
    CHECK_INVALID(parameters.steps, 0, "steps");
    CHECK_INVALID(parameters.count, 0, "count");
    CHECK_INVALID(parameters.count, JINI_JOB_IMAGES_MAX + 1, "count");
    CHECK_INVALID(parameters.model[0], (char)0xff, "model");
    CHECK_INVALID(prompt, text, "prompt");
    CHECK_INVALID(negative, "\xff", "negative");
    prepare(&admit, user, 1);
    memset(admit.parameters.model, 'm', sizeof(admit.parameters.model));
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_INVALID);
    CHECK_TEXT(admit.request.error.field, "model");
    CHECK_UINT(remaining(jini, user, 0), ==, 5);
    text[JINI_PROMPT_MAX - 1] = '\0';
    prepare(&admit, user, 1);
    admit.prompt = text;
    admit.negative = text;
    CHECK_OK(jini_admit(jini, &admit, NULL));
    CHECK_UINT(admit.job.prompt_bytes, ==, JINI_PROMPT_MAX - 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(the_tier_is_asked_before_the_limits,
     "Unknown and disabled users and sizes beyond the tier are refused by name and charge nothing.")
{
    struct jini *jini = open_with_tier("5/minute; 30/day", 5);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    CHECK_STATUS(admit_one(jini, user + 99, &admit), JINI_E_NOT_FOUND);
    static const struct {
        const char *field;
        uint32_t width;
        uint32_t height;
        uint32_t steps;
    } beyond[] = {
        {"width", 1025, 1025, 201}, {"height", 1024, 1025, 201}, {"steps", 1024, 1024, 201}};
    for (size_t i = 0; i < 3; i++) {
        prepare(&admit, user, 1);
        admit.parameters.width = beyond[i].width;
        admit.parameters.height = beyond[i].height;
        admit.parameters.steps = beyond[i].steps;
        CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_FORBIDDEN);
        CHECK_TEXT(admit.request.error.field, beyond[i].field);
        CHECK_UINT(admit.request.error.retry_after_ms, ==, 0);
    }
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_FLAGS;
    CHECK_OK(jini_user_set(jini, &set, NULL));
    prepare(&admit, user, 1);
    admit.parameters.width = 5000;
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_INACTIVE);
    set.user.flags = JINI_USER_ACTIVE;
    CHECK_OK(jini_user_set(jini, &set, NULL));
    CHECK_UINT(remaining(jini, user, 0), ==, 5);
    CHECK_UINT(remaining(jini, user, 1), ==, 30);
    CHECK_UINT(jobs_of(jini, user), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    a_rate_limit_refuses_before_the_quota,
    "The rate limit that is used up decides and says when to come back; the quota stays untouched.")
{
    struct jini *jini = open_with_tier("30/day; 3/minute", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    for (int i = 0; i < 3; i++)
        CHECK_OK(admit_one(jini, user, &admit));
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_LIMITED);
    CHECK_UINT(admit.answer.decided, ==, 1);
    CHECK_UINT(admit.answer.retry_after_ms, >, 0);
    CHECK_UINT(admit.answer.retry_after_ms, <=, 60001);
    CHECK_UINT(admit.request.error.retry_after_ms, ==, admit.answer.retry_after_ms);
    CHECK_CONTAINS(admit.request.error.message, "3 per 1 minute");
    CHECK_UINT(admit.answer.entries[0].amount, ==, 30);
    CHECK_UINT(admit.answer.entries[0].multiples, ==, 1);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 27);
    CHECK_UINT(admit.answer.entries[0].reset_ms, >, 0);
    CHECK_UINT(remaining(jini, user, 0), ==, 27);
    CHECK_UINT(jobs_of(jini, user), ==, 3);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refusing_quota_gives_the_rate_limit_back,
     "A quota that is used up refuses with its words, and the rate limit is as it was before.")
{
    struct jini *jini = open_with_tier("50/minute; 2/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_OK(admit_one(jini, user, &admit));
    for (int i = 0; i < 4; i++) {
        CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_LIMITED);
        CHECK_UINT(admit.answer.decided, ==, 1);
        CHECK_CONTAINS(admit.request.error.message, "2 per 1 day");
        CHECK_UINT(admit.answer.retry_after_ms, >, 86000000);
        CHECK_UINT(admit.answer.retry_after_ms, <=, 86400000);
    }
    CHECK_UINT(remaining(jini, user, 0), ==, 48);
    fixture_days_pass(1);
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refusal_holds_nothing_to_refund,
     "The answer of a refusal after the rate limits shows them as they stand then, and refunding "
     "it gives nobody's charge back.")
{
    static const struct {
        const char *name;
        const char *limits;
        uint32_t parallel;
        uint64_t left;
    } cases[] = {{"alice", "9/minute; 9/30 seconds sliding; 2/day", 0, 0},
                 {"bob", "9/minute; 9/30 seconds sliding; 30/day", 2, 28}};
    struct jini *jini = open_with_tier("", 0);
    for (size_t i = 0; i < 2; i++) {
        uint64_t user = fixture_user(jini, cases[i].name, "Basic");
        struct jini_admit admit;
        struct jini_error error;
        set_limits(jini, cases[i].limits, cases[i].parallel);
        CHECK_OK(admit_one(jini, user, &admit));
        CHECK_OK(admit_one(jini, user, &admit));
        CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_LIMITED);
        CHECK_UINT(admit.answer.count, ==, 3);
        CHECK_UINT(admit.answer.entries[0].remaining, ==, 7);
        CHECK_UINT(admit.answer.entries[1].remaining, ==, 7);
        CHECK_UINT(admit.answer.entries[2].remaining, ==, cases[i].left);
        CHECK_STATUS(jini_limit_refund(jini, &admit.answer, &error), JINI_E_NOT_FOUND);
        CHECK_UINT(remaining(jini, user, 0), ==, 7);
        CHECK_UINT(remaining(jini, user, 1), ==, 7);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_refusal_shows_the_limits_behind_it,
     "Where a rate limit refuses, the answers of a check and of an admission have those behind it "
     "as they stand, as a look right after does.")
{
    struct jini *jini = open_with_tier("5/minute; 50/10 minutes; 30/day", 0);
    struct jini_subject user = {.kind = JINI_SUBJECT_USER,
                                .number = fixture_user(jini, "alice", "Basic")};
    struct jini_limit_check check = {.subject = user, .cost = 4};
    struct jini_limit_answer answer;
    struct jini_error error;
    struct jini_admit admit;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_LIMITED);
    CHECK_UINT(answer.decided, ==, 0);
    CHECK_UINT(answer.entries[1].remaining, ==, 46);
    CHECK_UINT(answer.entries[1].reset_ms, >, 500000);
    CHECK_UINT(answer.entries[1].flags, ==, 0);
    CHECK_OK(admit_one(jini, user.number, &admit));
    CHECK_STATUS(admit_one(jini, user.number, &admit), JINI_E_LIMITED);
    check.flags = JINI_CHECK_PEEK;
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_LIMITED);
    CHECK_UINT(admit.answer.count, ==, 3);
    CHECK_UINT(admit.answer.entries[1].remaining, ==, 45);
    CHECK_UINT(admit.answer.entries[2].remaining, ==, 29);
    for (int i = 0; i < 3; i++)
        CHECK_UINT(admit.answer.entries[i].remaining, ==, answer.entries[i].remaining);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { QUEUED = 16 }; /* the least that store.queue_ops_max may be */

struct held {
    _Atomic bool entered;
    _Atomic bool open;
    _Atomic int ended; /* requests that came back */
};

static int hold_the_writer(struct jini_txn *txn, void *argument)
{
    struct held *held = argument;
    (void)txn;
    atomic_store(&held->entered, true);
    while (!atomic_load(&held->open))
        usleep(1000);
    return 0;
}

static void on_held(struct jini_request *request)
{
    struct held *held = request->data;
    CHECK_OK(request->status);
    atomic_fetch_add(&held->ended, 1);
}

static void submit_held(struct jini *jini, struct jini_write *write, struct held *held)
{
    jini_request_init(write);
    write->request.data = held;
    write->request.timeout_ms = 60000;
    write->function = hold_the_writer;
    write->argument = held;
    CHECK_OK(jini_write(jini, write, on_held));
}

static void check_answer(const struct jini_admit *admit)
{
    CHECK_UINT(admit->answer.count, ==, 2);
    CHECK_UINT(admit->answer.decided, ==, JINI_LIMITS_MAX);
    CHECK_UINT(admit->answer.entries[0].remaining, ==, 8);
    CHECK_UINT(admit->answer.entries[1].amount, ==, 30);
    CHECK_UINT(admit->answer.entries[1].remaining, ==, 29);
    CHECK_UINT(admit->answer.entries[1].reset_ms, >, 0);
}

TEST(what_fails_without_a_decision_shows_limits_as_they_stand,
     "The answer of an admission that found the store full, the queue full or came too late has "
     "rate limits and quotas as they stand, and not as used up.")
{
    struct jini_options options;
    fixture_options(&options);
    options.store_queue_ops_max = QUEUED;
    struct jini *jini = fixture_open_with(&options);
    set_limits(jini, "9/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    struct jini_write writes[1 + QUEUED];
    struct held held = {0};
    CHECK_OK(admit_one(jini, user, &admit));
    full_begin(jini);
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_FULL);
    check_answer(&admit);
    atomic_store(&jini->store->full, 0);
    full_end(jini);
    submit_held(jini, &writes[0], &held);
    while (!atomic_load(&held.entered))
        usleep(1000);
    prepare(&admit, user, 1);
    admit.request.timeout_ms = 20;
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_TIMEOUT);
    check_answer(&admit);
    for (int i = 1; i <= QUEUED; i++)
        submit_held(jini, &writes[i], &held);
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_BUSY);
    CHECK_TEXT(admit.request.error.field, "store.queue_ops_max");
    check_answer(&admit);
    atomic_store(&held.open, true);
    while (atomic_load(&held.ended) < 1 + QUEUED)
        usleep(1000);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(many_periods_over_time_are_refused_as_busy,
     "A user whose tier had 32 long periods is refused a 33rd in words, and the engine goes on; "
     "after a reset it is admitted.")
{
    struct jini *jini = open_with_tier("", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    struct jini_error error;
    for (int i = 0; i < 4; i++) {
        char limits[256] = "";
        for (int k = 0; k < 8; k++) {
            size_t length = strlen(limits);
            snprintf(limits + length, sizeof(limits) - length, "%s99/%d months", k ? "; " : "",
                     2 + i * 8 + k);
        }
        set_limits(jini, limits, 0);
        CHECK_OK(admit_one(jini, user, &admit));
        CHECK_OK(settle(jini, &admit.job.id));
    }
    set_limits(jini, "9/minute; 5/hour; 7/day", 0);
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_BUSY);
    CHECK_TEXT(admit.request.error.field, "quota");
    CHECK_CONTAINS(admit.request.error.message, "jini_limit_reset");
    CHECK_UINT(admit.request.error.retry_after_ms, >, 0);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 9);
    CHECK_UINT(admit.answer.entries[1].amount, ==, 5);
    struct jini_limit_check check = {.subject = admit.subject, .flags = JINI_CHECK_PEEK, .cost = 1};
    struct jini_limit_answer answer;
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_BUSY);
    CHECK_TEXT(error.field, "quota");
    struct jini_limit_reset reset;
    jini_request_init(&reset);
    reset.subject = admit.subject;
    CHECK_OK(jini_limit_reset(jini, &reset, NULL));
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_UINT(admit.answer.entries[1].remaining, ==, 4);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_peek_of_quotas_that_cannot_be_read_has_no_answer,
     "Where the row of quotas is damaged a peek is JINI_E_CORRUPT without entries, also beside a "
     "rate limit that refuses: it never says of a quota that nothing is left.")
{
    struct jini *jini = open_with_tier("1/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = user},
                                     .flags = JINI_CHECK_PEEK,
                                     .cost = 1};
    struct tuple key = plant_key_user(user, "q");
    struct jini_limit_answer answer;
    struct jini_admit admit;
    struct jini_error error;
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_LIMITED);
    CHECK_TEXT(error.field, "rate");
    CHECK_UINT(answer.count, ==, 2);
    CHECK_UINT(answer.entries[1].remaining, ==, 29);
    plant_row(jini, STORE_SPACE_ACTIVITY, &key, "rot", 3);
    CHECK_STATUS(jini_limit_check(jini, &check, &answer, &error), JINI_E_CORRUPT);
    CHECK_TEXT(error.field, "quota");
    CHECK_UINT(answer.count, ==, 0);
    CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(parallel_jobs_are_bounded,
     "One job more than the tier runs at once is refused as parallel until one of them ends.")
{
    struct jini *jini = open_with_tier("50/minute; 300/day", 2);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit first;
    struct jini_admit second;
    struct jini_admit third;
    CHECK_OK(admit_one(jini, user, &first));
    CHECK_INT(first.job.state, ==, JINI_JOB_IN_QUEUE);
    CHECK_OK(admit_one(jini, user, &second));
    CHECK_STATUS(admit_one(jini, user, &third), JINI_E_LIMITED);
    CHECK_TEXT(third.request.error.field, "parallel");
    CHECK_UINT(third.request.error.retry_after_ms, >, 0);
    CHECK_UINT(third.request.error.retry_after_ms, <=, 900000);
    CHECK_UINT(third.answer.retry_after_ms, ==, third.request.error.retry_after_ms);
    CHECK_UINT(remaining(jini, user, 0), ==, 48);
    CHECK_UINT(remaining(jini, user, 1), ==, 298);
    CHECK_OK(settle(jini, &first.job.id));
    CHECK_OK(admit_one(jini, user, &third));
    CHECK_STATUS(admit_one(jini, user, &first), JINI_E_LIMITED);
    CHECK_OK(release_as(jini, &second.job.id, JINI_JOB_CANCELLED));
    CHECK_OK(admit_one(jini, user, &first));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { RACERS = 8 };

struct racer {
    struct jini *jini;
    uint64_t user;
    unsigned admitted;
};

static void *race_main(void *argument)
{
    struct racer *racer = argument;
    for (int i = 0; i < 10; i++) {
        struct jini_admit admit;
        int status = admit_one(racer->jini, racer->user, &admit);
        CHECK(status == 0 || status == JINI_E_LIMITED);
        racer->admitted += status == 0;
    }
    return NULL;
}

TEST(no_race_admits_more_than_the_bound,
     "Eight threads admit at once, and together exactly as many as the quota has.")
{
    struct jini *jini = open_with_tier("1000/minute; 13/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    unsigned admitted = 0;
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){jini, user, 0};
        CHECK_INT(pthread_create(&threads[i], NULL, race_main, &racers[i]), ==, 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        admitted += racers[i].admitted;
    }
    CHECK_UINT(admitted, ==, 13);
    CHECK_UINT(remaining(jini, user, 0), ==, 1000 - 13);
    CHECK_UINT(remaining(jini, user, 1), ==, 0);
    CHECK_UINT(jobs_of(jini, user), ==, 13);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_ends_once,
     "Settling charges, releasing gives back, and a job that has ended is in conflict.")
{
    struct jini *jini = open_with_tier("50/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit done;
    struct jini_admit failed;
    struct jini_error error;
    struct jini_job job;
    CHECK_OK(admit_one(jini, user, &done));
    CHECK_OK(admit_some(jini, user, 4, &failed));
    CHECK_UINT(remaining(jini, user, 1), ==, 25);
    CHECK_OK(settle(jini, &done.job.id));
    CHECK_OK(release_as(jini, &failed.job.id, JINI_JOB_FAILED));
    CHECK_UINT(remaining(jini, user, 0), ==, 49);
    CHECK_UINT(remaining(jini, user, 1), ==, 29);
    CHECK_OK(jini_job_get(jini, &failed.job.id, &job, &error));
    CHECK_INT(job.state, ==, JINI_JOB_FAILED);
    CHECK_TEXT(job.error, "worker went away");
    struct jini_settle again;
    jini_request_init(&again);
    again.job_id = failed.job.id;
    CHECK_STATUS(jini_settle(jini, &again, NULL), JINI_E_CONFLICT);
    CHECK_INT(again.job.state, ==, JINI_JOB_FAILED);
    CHECK_STATUS(settle(jini, &done.job.id), JINI_E_CONFLICT);
    CHECK_STATUS(release_as(jini, &done.job.id, JINI_JOB_FAILED), JINI_E_CONFLICT);
    CHECK_STATUS(release_as(jini, &done.job.id, JINI_JOB_COMPLETED), JINI_E_INVALID);
    struct jini_id none = {{1}};
    CHECK_STATUS(settle(jini, &none), JINI_E_NOT_FOUND);
    CHECK_STATUS(release_as(jini, &none, JINI_JOB_FAILED), JINI_E_NOT_FOUND);
    CHECK_UINT(remaining(jini, user, 1), ==, 29);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_abandoned_job_gives_back_on_touch,
     "When the lease is over, the next admission of the user ends the job and has its quota again.")
{
    struct jini *jini = open_with_tier("50/minute; 2/day", 1);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit lost;
    struct jini_admit next;
    struct jini_error error;
    struct jini_job job;
    prepare(&lost, user, 2);
    lost.lease_ms = 5000;
    CHECK_OK(jini_admit(jini, &lost, NULL));
    CHECK_STATUS(admit_one(jini, user, &next), JINI_E_LIMITED);
    __atomic_fetch_add(&fixture_wall_offset_ns, UINT64_C(6000000000), __ATOMIC_RELAXED);
    CHECK_OK(admit_one(jini, user, &next));
    CHECK_OK(jini_job_get(jini, &lost.job.id, &job, &error));
    CHECK_INT(job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(remaining(jini, user, 1), ==, 1);
    CHECK_STATUS(settle(jini, &lost.job.id), JINI_E_CONFLICT);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_abandoned_job_gives_its_rate_back_on_touch,
     "An admission that finds jobs given up gives their units of the rate limit back too.")
{
    struct jini *jini = open_with_tier("5/hour; 100/day", 1);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    for (int i = 0; i < 5; i++) {
        __atomic_fetch_add(&fixture_wall_offset_ns, UINT64_C(1001000000), __ATOMIC_RELAXED);
        prepare(&admit, user, 1);
        admit.lease_ms = 1000;
        CHECK_OK(jini_admit(jini, &admit, NULL));
    }
    CHECK_UINT(remaining(jini, user, 0), ==, 4);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_abandoned_job_gives_back_in_the_background,
     "Background work ends a job whose lease is over: quota and rate limit are there again.")
{
    struct jini_options options;
    struct jini_error error;
    struct jini_admit lost;
    struct jini_job job;
    struct jini *jini = open_with_tier("50/minute; 2/day", 1);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    CHECK_OK(jini_close(jini, NULL, NULL));
    fixture_options(&options);
    options.background_run = 1;
    options.background_interval_ms = 10;
    jini = fixture_open_with(&options);
    prepare(&lost, user, 2);
    lost.lease_ms = 3600000;
    CHECK_OK(jini_admit(jini, &lost, NULL));
    CHECK_UINT(remaining(jini, user, 1), ==, 0);
    __atomic_fetch_add(&fixture_wall_offset_ns, UINT64_C(3601000000000), __ATOMIC_RELAXED);
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(jini_job_get(jini, &lost.job.id, &job, &error));
        if (job.state == JINI_JOB_TIMED_OUT && remaining(jini, user, 0) == 50)
            break;
        usleep(10000);
    }
    CHECK_INT(job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(remaining(jini, user, 0), ==, 50);
    CHECK_UINT(remaining(jini, user, 1), ==, 2);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(counting_in_order_charges_what_refuses,
     "With IN_ORDER the limits before the refusing one stay charged; without it nothing is.")
{
    struct jini *jini = open_with_tier("9/minute; 2/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    CHECK_OK(admit_some(jini, user, 2, &admit));
    CHECK_UINT(remaining(jini, user, 0), ==, 7);
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_LIMITED);
    CHECK_UINT(remaining(jini, user, 0), ==, 7);
    prepare(&admit, user, 1);
    admit.flags = JINI_ADMIT_IN_ORDER;
    CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_LIMITED);
    CHECK_UINT(admit.answer.decided, ==, 1);
    CHECK_UINT(remaining(jini, user, 0), ==, 6);
    CHECK_UINT(remaining(jini, user, 2), ==, 28);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(counting_in_order_gives_back_what_a_quota_refuses,
     "With IN_ORDER too, a quota or the bound on parallel jobs that refuses gives the rate limits "
     "back that admitted, and leaves nothing to refund.")
{
    static const struct {
        const char *name;
        const char *limits;
        uint32_t parallel;
    } cases[] = {{"alice", "9/minute; 2/day; 5/minute", 0},
                 {"bob", "9/minute; 30/day; 5/minute", 2}};
    struct jini *jini = open_with_tier("", 0);
    for (size_t i = 0; i < 2; i++) {
        uint64_t user = fixture_user(jini, cases[i].name, "Basic");
        struct jini_admit admit;
        struct jini_error error;
        set_limits(jini, cases[i].limits, cases[i].parallel);
        CHECK_OK(admit_one(jini, user, &admit));
        CHECK_OK(admit_one(jini, user, &admit));
        prepare(&admit, user, 1);
        admit.flags = JINI_ADMIT_IN_ORDER;
        CHECK_STATUS(jini_admit(jini, &admit, NULL), JINI_E_LIMITED);
        CHECK_TEXT(admit.request.error.field, i == 0 ? "quota" : "parallel");
        CHECK_UINT(admit.answer.entries[0].remaining, ==, 7);
        CHECK_UINT(admit.answer.entries[2].remaining, ==, 3);
        CHECK_STATUS(jini_limit_refund(jini, &admit.answer, &error), JINI_E_NOT_FOUND);
        CHECK_UINT(remaining(jini, user, 0), ==, 7);
        CHECK_UINT(remaining(jini, user, 2), ==, 3);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int admit_address(struct jini *jini, const char *text, struct jini_admit *admit)
{
    prepare(admit, 0, 1);
    CHECK_OK(jini_subject_parse_address(text, &admit->subject));
    return jini_admit(jini, admit, NULL);
}

TEST(addresses_have_the_anonymous_tier,
     "IPv4 counts by address, IPv6 by its /64; quotas and rate limits of one do not touch another.")
{
    struct jini *jini = fixture_open();
    struct jini_admit admit;
    for (int i = 0; i < 5; i++) {
        char text[64];
        snprintf(text, sizeof(text), "2001:db8:1:2::%d", i + 1);
        CHECK_OK(admit_address(jini, text, &admit));
        CHECK_UINT(admit.job.user_id, ==, 0);
        CHECK_UINT(admit.answer.entries[0].remaining, ==, 4 - i);
        CHECK_UINT(admit.answer.entries[1].remaining, ==, 29 - i);
    }
    CHECK_STATUS(admit_address(jini, "2001:db8:1:2:ffff::1", &admit), JINI_E_LIMITED);
    CHECK_OK(admit_address(jini, "2001:db8:1:3::1", &admit));
    CHECK_UINT(admit.answer.entries[1].remaining, ==, 29);
    for (int i = 0; i < 5; i++)
        CHECK_OK(admit_address(jini, i % 2 ? "::ffff:192.0.2.1" : "192.0.2.1", &admit));
    CHECK_STATUS(admit_address(jini, "192.0.2.1", &admit), JINI_E_LIMITED);
    CHECK_OK(admit_address(jini, "192.0.2.2", &admit));
    CHECK_OK(release_as(jini, &admit.job.id, JINI_JOB_FAILED));
    CHECK_OK(admit_address(jini, "192.0.2.2", &admit));
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 4);
    CHECK_UINT(admit.answer.entries[1].remaining, ==, 29);
    struct jini_subject subject;
    CHECK_STATUS(jini_subject_parse_address("192.0.2", &subject), JINI_E_INVALID);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_of_many_images_costs_as_many,
     "Count is the cost in every limit; more than fits is refused.")
{
    struct jini *jini = open_with_tier("5/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    CHECK_OK(admit_some(jini, user, 3, &admit));
    CHECK_UINT(admit.answer.cost, ==, 3);
    CHECK_UINT(admit.answer.entries[0].remaining, ==, 2);
    CHECK_UINT(admit.answer.entries[1].remaining, ==, 27);
    CHECK_STATUS(admit_some(jini, user, 3, &admit), JINI_E_LIMITED);
    CHECK_STATUS(admit_some(jini, user, 6, &admit), JINI_E_LIMITED);
    CHECK_UINT(admit.answer.retry_after_ms, ==, UINT64_MAX);
    CHECK_OK(admit_some(jini, user, 2, &admit));
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(overrides_and_tiers_hold_at_once,
     "An override replaces the tier's limits, and a new tier counts from the next admission on.")
{
    struct jini *jini = open_with_tier("2/minute; 30/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    CHECK_OK(admit_some(jini, user, 2, &admit));
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_LIMITED);
    struct jini_user_set set;
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_WIDTH;
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "7/minute");
    set.user.overrides.width_max = 32;
    CHECK_OK(jini_user_set(jini, &set, NULL));
    CHECK_STATUS(admit_one(jini, user, &admit), JINI_E_FORBIDDEN);
    CHECK_CONTAINS(admit.request.error.message, "32");
    set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    CHECK_OK(jini_user_set(jini, &set, NULL));
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_UINT(admit.answer.count, ==, 1);
    CHECK_UINT(admit.answer.entries[0].amount, ==, 7);
    set.user.override_mask = 0;
    set.fields = JINI_USER_FIELD_OVERRIDES | JINI_USER_FIELD_TIER;
    snprintf(set.user.tier, sizeof(set.user.tier), "Premium");
    CHECK_OK(jini_user_set(jini, &set, NULL));
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_UINT(admit.answer.entries[0].amount, ==, 60);
    CHECK_UINT(admit.answer.entries[1].amount, ==, 2000);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_set_back_admits_no_more,
     "With the wall clock a day back the quota that is used up still refuses, and jobs still end.")
{
    struct jini *jini = open_with_tier("50/minute; 2/day", 0);
    uint64_t user = fixture_user(jini, "alice", "Basic");
    struct jini_admit admit;
    struct jini_admit second;
    fixture_days_pass(10);
    CHECK_OK(admit_one(jini, user, &admit));
    CHECK_OK(admit_one(jini, user, &second));
    __atomic_fetch_sub(&fixture_wall_offset_ns, UINT64_C(86400000000000), __ATOMIC_RELAXED);
    struct jini_admit third;
    CHECK_STATUS(admit_one(jini, user, &third), JINI_E_LIMITED);
    CHECK_OK(settle(jini, &admit.job.id));
    CHECK_OK(release_as(jini, &second.job.id, JINI_JOB_FAILED));
    CHECK_OK(admit_one(jini, user, &third));
    CHECK_STATUS(admit_one(jini, user, &second), JINI_E_LIMITED);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
