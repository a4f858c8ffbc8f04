/* Jobs between admission and their end: the images that they take, and how they are renewed. */
#include "engine/engine_private.h"

#include "engine_fixture.h"
#include "full.h"

#include <pthread.h>

static int admit(struct jini *jini, const struct jini_subject *subject, uint32_t count,
                 struct jini_admit *out)
{
    jini_request_init(out);
    out->subject = *subject;
    out->parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
    return jini_admit(jini, out, NULL);
}

static struct jini_id admitted(struct jini *jini, const struct jini_subject *subject,
                               uint32_t count)
{
    struct jini_admit request;
    fixture_must(admit(jini, subject, count, &request), "admit", &request.request.error);
    return request.job.id;
}

static int put(struct jini *jini, const struct jini_id *job, uint64_t user, uint32_t flags,
               struct jini_image_put *out)
{
    struct png_request png = {32, 32, 1, "made for a test", NULL};
    jini_request_init(out);
    uint8_t *file = png_make(&png, &out->length);
    out->bytes = file;
    out->user_id = user;
    out->job_id = *job;
    out->flags = flags;
    int status = jini_image_put(jini, out, NULL);
    free(file);
    out->bytes = NULL;
    return status;
}

static struct jini_job job_of(struct jini *jini, const struct jini_id *id)
{
    struct jini_job job;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, id, &job, &error));
    return job;
}

static struct jini_usage usage_of(struct jini *jini, uint64_t user)
{
    struct jini_usage usage;
    struct jini_error error;
    CHECK_OK(jini_usage_get(jini, user, &usage, &error));
    return usage;
}

TEST(a_job_takes_no_image_beyond_its_count,
     "Of a job of three images the fourth is refused by field and numbers, and is not kept; the "
     "job goes on, and removing an image makes no room for another.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_subject subject = {.kind = JINI_SUBJECT_USER, .number = user};
    struct jini_id job = admitted(jini, &subject, 3);
    struct jini_image_put request;
    for (int i = 0; i < 3; i++)
        fixture_must(put(jini, &job, user, 0, &request), "put", &request.request.error);
    CHECK_STATUS(put(jini, &job, user, 0, &request), JINI_E_CONFLICT);
    CHECK_TEXT(request.request.error.field, "count");
    CHECK_CONTAINS(request.request.error.message, "for 3 images and has had 3");
    struct jini_image_remove remove;
    struct jini_id ids[3];
    struct jini_error error;
    size_t count;
    CHECK_OK(jini_job_images(jini, &job, ids, 3, &count, &error));
    jini_request_init(&remove);
    remove.id = ids[0];
    CHECK_OK(jini_image_remove(jini, &remove, NULL));
    CHECK_STATUS(put(jini, &job, user, JINI_PUT_SETTLES, &request), JINI_E_CONFLICT);
    CHECK_TEXT(request.request.error.field, "count");
    CHECK_INT(job_of(jini, &job).state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(usage_of(jini, user).images, ==, 2);
    CHECK_UINT(usage_of(jini, user).trashed_images, ==, 1);
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = job;
    CHECK_OK(jini_settle(jini, &settle, NULL));
    CHECK_STATUS(put(jini, &job, user, 0, &request), JINI_E_CONFLICT);
    CHECK_TEXT(request.request.error.field, "job");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(an_address_gets_no_image_beyond_its_count,
     "An anonymous job of one image takes one: the next is refused.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject;
    struct jini_image_put request;
    CHECK_OK(jini_subject_parse_address("192.0.2.1", &subject));
    struct jini_id job = admitted(jini, &subject, 1);
    fixture_must(put(jini, &job, 0, 0, &request), "put", &request.request.error);
    CHECK_STATUS(put(jini, &job, 0, 0, &request), JINI_E_CONFLICT);
    CHECK_TEXT(request.request.error.field, "count");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { PUTTERS = 6 };

struct putter {
    struct jini *jini;
    struct jini_id job;
    uint64_t user;
    unsigned stored;
};

static void *put_main(void *argument)
{
    struct putter *putter = argument;
    for (int i = 0; i < 4; i++) {
        struct jini_image_put request;
        int status = put(putter->jini, &putter->job, putter->user, 0, &request);
        CHECK(status == 0 || status == JINI_E_CONFLICT);
        putter->stored += status == 0;
    }
    return NULL;
}

TEST(no_race_stores_more_images_than_were_admitted,
     "Six threads put into one job of seven images at once, and together store seven.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_subject subject = {.kind = JINI_SUBJECT_USER, .number = user};
    struct jini_id job = admitted(jini, &subject, 7);
    struct putter putters[PUTTERS];
    pthread_t threads[PUTTERS];
    unsigned stored = 0;
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){jini, job, user, 0};
        CHECK_INT(pthread_create(&threads[i], NULL, put_main, &putters[i]), ==, 0);
    }
    for (int i = 0; i < PUTTERS; i++) {
        pthread_join(threads[i], NULL);
        stored += putters[i].stored;
    }
    CHECK_UINT(stored, ==, 7);
    CHECK_UINT(usage_of(jini, user).images, ==, 7);
    CHECK_UINT(job_of(jini, &job).images, ==, 7);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Leases ---- */

static int renew(struct jini *jini, const struct jini_id *job, enum jini_job_state state,
                 uint32_t lease_ms, struct jini_renew *out)
{
    jini_request_init(out);
    out->job_id = *job;
    out->state = state;
    out->lease_ms = lease_ms;
    return jini_renew(jini, out, NULL);
}

static void seconds_pass(unsigned seconds)
{
    __atomic_fetch_add(&fixture_wall_offset_ns, seconds * NS_PER_S, __ATOMIC_RELAXED);
}

static uint64_t now_ms(struct jini *jini)
{
    return clock_wall_ns(jini->clock) / NS_PER_MS;
}

static struct jini_subject user_with(struct jini *jini, const char *limits, uint32_t parallel)
{
    struct jini_user_add add;
    jini_request_init(&add);
    snprintf(add.user.username, sizeof(add.user.username), "worker");
    snprintf(add.user.overrides.limits, sizeof(add.user.overrides.limits), "%s", limits);
    add.user.flags = JINI_USER_ACTIVE;
    add.user.overrides.parallel_max = parallel;
    add.user.override_mask = JINI_ALLOWANCE_LIMITS | JINI_ALLOWANCE_PARALLEL;
    fixture_must(jini_user_add(jini, &add, NULL), "user", &add.request.error);
    return (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = add.user.id};
}

static void set_parallel(struct jini *jini, const struct jini_subject *subject, uint32_t parallel)
{
    struct jini_user_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_user_get(jini, subject->number, &set.user, &error));
    set.user.overrides.parallel_max = parallel;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.override_fields = JINI_ALLOWANCE_PARALLEL;
    CHECK_OK(jini_user_set(jini, &set, NULL));
}

static uint64_t left_of_quota(struct jini *jini, const struct jini_subject *subject)
{
    struct jini_limit_check check = {.subject = *subject, .flags = JINI_CHECK_PEEK};
    struct jini_limit_answer answer;
    struct jini_error error;
    CHECK_OK(jini_limit_check(jini, &check, &answer, &error));
    return answer.entries[0].remaining;
}

TEST(a_renewal_starts_a_job_once,
     "The first renewal as IN_PROGRESS sets the start, later ones and the end keep it; a job that "
     "waits may be renewed without a start, and one that was started does not wait again.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = user_with(jini, "30/day", 0);
    struct jini_id job = admitted(jini, &subject, 1);
    struct jini_renew request;
    seconds_pass(10);
    CHECK_OK(renew(jini, &job, JINI_JOB_IN_QUEUE, 0, &request));
    CHECK_INT(request.job.state, ==, JINI_JOB_IN_QUEUE);
    CHECK_UINT(request.job.started_ms, ==, 0);
    CHECK_UINT(request.job.expires_ms, >, now_ms(jini) + 890000);
    CHECK_UINT(request.job.expires_ms, <=, now_ms(jini) + 900000);
    seconds_pass(10);
    CHECK_OK(renew(jini, &job, JINI_JOB_IN_PROGRESS, 5000, &request));
    uint64_t started_ms = request.job.started_ms;
    CHECK_INT(request.job.state, ==, JINI_JOB_IN_PROGRESS);
    CHECK_UINT(started_ms, >=, request.job.created_ms + 20000);
    CHECK_UINT(request.job.expires_ms, ==, started_ms + 5000);
    seconds_pass(4);
    CHECK_OK(renew(jini, &job, JINI_JOB_IN_PROGRESS, 5000, &request));
    CHECK_UINT(request.job.started_ms, ==, started_ms);
    CHECK_UINT(request.job.expires_ms, >=, started_ms + 9000);
    CHECK_STATUS(renew(jini, &job, JINI_JOB_IN_QUEUE, 5000, &request), JINI_E_CONFLICT);
    CHECK_INT(request.job.state, ==, JINI_JOB_IN_PROGRESS);
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = job;
    CHECK_OK(jini_settle(jini, &settle, NULL));
    CHECK_UINT(settle.job.started_ms, ==, started_ms);
    CHECK_UINT(settle.job.finished_ms, >=, started_ms + 4000);
    CHECK_STATUS(renew(jini, &job, JINI_JOB_IN_PROGRESS, 0, &request), JINI_E_CONFLICT);
    CHECK_INT(request.job.state, ==, JINI_JOB_COMPLETED);
    CHECK_CONTAINS(request.request.error.message, "COMPLETED");
    static const struct jini_id nobody = {{1}};
    CHECK_STATUS(renew(jini, &nobody, JINI_JOB_IN_PROGRESS, 0, &request), JINI_E_NOT_FOUND);
    CHECK_STATUS(renew(jini, &job, JINI_JOB_COMPLETED, 0, &request), JINI_E_INVALID);
    CHECK_TEXT(request.request.error.field, "state");
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_job_lives_while_it_is_renewed,
     "A job far older than its first lease is not given up while it is renewed, counts as running "
     "all that time, and is given up once its last lease is over.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = user_with(jini, "30/day", 1);
    struct jini_id job = admitted(jini, &subject, 3);
    struct jini_renew request;
    struct jini_admit other;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(renew(jini, &job, JINI_JOB_IN_PROGRESS, 10000, &request));
        seconds_pass(9);
        jobs_expire(jini);
        CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_LIMITED);
        CHECK_UINT(other.request.error.retry_after_ms, <=, 1000);
        CHECK_INT(job_of(jini, &job).state, ==, JINI_JOB_IN_PROGRESS);
        CHECK_UINT(left_of_quota(jini, &subject), ==, 27);
    }
    seconds_pass(2);
    jobs_expire(jini);
    CHECK_INT(job_of(jini, &job).state, ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(left_of_quota(jini, &subject), ==, 30);
    CHECK_STATUS(renew(jini, &job, JINI_JOB_IN_PROGRESS, 10000, &request), JINI_E_CONFLICT);
    CHECK_INT(request.job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_UINT(left_of_quota(jini, &subject), ==, 30);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_parallel_refusal_names_the_lease_that_ends_first,
     "Beside a job that was renewed for an hour, the wait that a refusal names is that for the "
     "lease of the other one.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = user_with(jini, "30/day", 2);
    struct jini_id first = admitted(jini, &subject, 1);
    struct jini_id second = admitted(jini, &subject, 1);
    struct jini_renew request;
    struct jini_admit other;
    CHECK_OK(renew(jini, &first, JINI_JOB_IN_PROGRESS, 3600000, &request));
    CHECK_OK(renew(jini, &second, JINI_JOB_IN_PROGRESS, 10000, &request));
    CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_LIMITED);
    CHECK_UINT(other.request.error.retry_after_ms, >, 0);
    CHECK_UINT(other.request.error.retry_after_ms, <=, 10000);
    CHECK_CONTAINS(other.request.error.message, "at the latest in 10 s");
    CHECK_UINT(other.answer.parallel, ==, 2);
    CHECK_UINT(other.answer.parallel_max, ==, 2);
    /* With a lower bound both leases have to end. */
    CHECK_OK(renew(jini, &second, JINI_JOB_IN_PROGRESS, 10000, &request));
    set_parallel(jini, &subject, 1);
    CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_LIMITED);
    CHECK_UINT(other.request.error.retry_after_ms, >, 3500000);
    CHECK_CONTAINS(other.request.error.message, "at the latest in 1 h 0 min");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int peek(struct jini *jini, const struct jini_subject *subject, uint32_t cost,
                struct jini_limit_answer *answer, struct jini_error *error)
{
    struct jini_limit_check check = {.subject = *subject, .cost = cost, .flags = JINI_CHECK_PEEK};
    return jini_limit_check(jini, &check, answer, error);
}

TEST(a_peek_counts_as_an_admission_does,
     "Running jobs are in the way of a peek as of an admission, by quota and by their number, and "
     "in the way of neither once their leases are over.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = user_with(jini, "5/day", 3);
    struct jini_limit_answer answer;
    struct jini_error error;
    struct jini_admit request;
    CHECK_OK(peek(jini, &subject, 1, &answer, &error));
    CHECK_UINT(answer.parallel, ==, 0);
    CHECK_UINT(answer.parallel_max, ==, 3);
    admitted(jini, &subject, 1);
    admitted(jini, &subject, 3);
    CHECK_OK(peek(jini, &subject, 1, &answer, &error));
    CHECK_UINT(answer.parallel, ==, 2);
    CHECK_UINT(answer.entries[0].remaining, ==, 1);
    CHECK_STATUS(peek(jini, &subject, 2, &answer, &error), JINI_E_LIMITED);
    CHECK_TEXT(error.field, "quota");
    admitted(jini, &subject, 1);
    CHECK_STATUS(peek(jini, &subject, 1, &answer, &error), JINI_E_LIMITED);
    CHECK_TEXT(error.field, "parallel");
    CHECK_UINT(answer.decided, ==, JINI_LIMITS_MAX);
    CHECK_UINT(answer.retry_after_ms, >, 0);
    CHECK_UINT(answer.retry_after_ms, ==, error.retry_after_ms);
    CHECK_OK(peek(jini, &subject, 0, &answer, &error));
    CHECK_UINT(answer.entries[0].remaining, ==, 0);
    seconds_pass(901);
    CHECK_OK(peek(jini, &subject, 5, &answer, &error));
    CHECK_UINT(answer.entries[0].remaining, ==, 5);
    CHECK_UINT(answer.parallel, ==, 0);
    CHECK_OK(admit(jini, &subject, 4, &request));
    CHECK_UINT(request.answer.parallel, ==, 1);
    CHECK_UINT(left_of_quota(jini, &subject), ==, 1);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_lease_that_is_over_is_renewed_or_given_up,
     "Whoever comes first decides: a job that was renewed after its lease keeps its place, and one "
     "whose place another admission has taken is not revived.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject;
    struct jini_renew request;
    struct jini_admit other;
    CHECK_OK(jini_subject_parse_address("2001:db8::1", &subject));
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    CHECK_OK(jini_tier_get(jini, "Free", &set.tier, &error));
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits), "30/day");
    set.tier.allowance.parallel_max = 1;
    CHECK_OK(jini_tier_set(jini, &set, NULL));
    struct jini_id job = admitted(jini, &subject, 1);
    seconds_pass(901);
    CHECK_OK(renew(jini, &job, JINI_JOB_IN_PROGRESS, 0, &request));
    CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_LIMITED);
    seconds_pass(901);
    CHECK_OK(admit(jini, &subject, 1, &other));
    CHECK_STATUS(renew(jini, &job, JINI_JOB_IN_PROGRESS, 0, &request), JINI_E_CONFLICT);
    CHECK_INT(request.job.state, ==, JINI_JOB_TIMED_OUT);
    CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_LIMITED);
    CHECK_UINT(left_of_quota(jini, &subject), ==, 29);
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_disk_lets_leases_be_renewed,
     "Down to the reserve nothing is admitted, and a job that runs keeps its lease.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = user_with(jini, "30/day", 0);
    struct jini_id job = admitted(jini, &subject, 1);
    struct jini_renew request;
    struct jini_admit other;
    full_begin(jini);
    CHECK_STATUS(admit(jini, &subject, 1, &other), JINI_E_FULL);
    CHECK_OK(renew(jini, &job, JINI_JOB_IN_PROGRESS, 0, &request));
    full_end(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

enum { LEASED = 48 };

struct lease_race {
    struct jini *jini;
    struct jini_subject subject;
    struct jini_id jobs[LEASED];
    int renewed[LEASED]; /* what the renewal said */
};

static void *renew_main(void *argument)
{
    struct lease_race *race = argument;
    for (int i = LEASED; i-- > 0;) { /* the background begins with the first */
        struct jini_renew request;
        race->renewed[i] = renew(race->jini, &race->jobs[i], JINI_JOB_IN_PROGRESS, 60000, &request);
    }
    return NULL;
}

static void *expire_main(void *argument)
{
    struct lease_race *race = argument;
    jobs_expire(race->jini);
    return NULL;
}

/* An admission gives up all that it meets. */
static void *admit_main(void *argument)
{
    struct lease_race *race = argument;
    struct jini_admit other;
    for (int i = 0; i < 4; i++) {
        int status = admit(race->jini, &race->subject, 1, &other);
        CHECK(status == 0 || status == JINI_E_LIMITED);
    }
    return NULL;
}

TEST(a_renewal_never_races_a_job_back_to_life,
     "Of jobs whose leases are over, renewed and given up in the background and by admissions at "
     "once, each was renewed and runs, or has ended and gave back what it had.")
{
    struct jini *jini = fixture_open();
    struct lease_race race = {.jini = jini, .subject = user_with(jini, "100000/day", 0)};
    void *(*const mains[])(void *) = {renew_main, expire_main, admit_main};
    for (int round = 0; round < 4; round++) {
        pthread_t threads[3];
        uint64_t before = left_of_quota(jini, &race.subject);
        for (int i = 0; i < LEASED; i++)
            race.jobs[i] = admitted(jini, &race.subject, 2);
        seconds_pass(901);
        for (int i = 0; i < 3; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, mains[i], &race), ==, 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        uint64_t runs = 0;
        for (int i = 0; i < LEASED; i++) {
            bool lives = race.renewed[i] == 0;
            CHECK_STATUS(race.renewed[i], lives ? 0 : JINI_E_CONFLICT);
            CHECK_INT(job_of(jini, &race.jobs[i]).state, ==,
                      lives ? JINI_JOB_IN_PROGRESS : JINI_JOB_TIMED_OUT);
            runs += lives;
        }
        CHECK_UINT(left_of_quota(jini, &race.subject), ==, before - 2 * runs - 4);
        seconds_pass(901);
        jobs_expire(jini);
        CHECK_UINT(left_of_quota(jini, &race.subject), ==, before);
    }
    fixture_verify(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
