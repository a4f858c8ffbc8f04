/* Verify: jobs and what counts them, planted so that they do not agree. */
#include "found.h"
#include "plant.h"

#include "engine/rate.h"
#include "generations/generations_private.h"

static struct jini_id admitted(struct jini *jini, const struct jini_subject *subject,
                               uint32_t count)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = *subject;
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
    admit.lease_ms = UINT32_MAX; /* weeks */
    fixture_must(jini_admit(jini, &admit, NULL), "admit", &admit.request.error);
    return admit.job.id;
}

struct job_edit {
    struct jini_id id;
    uint32_t images;
};

/* Gives a job images that were never there. */
static int op_edit_job(struct store_txn *txn, void *argument)
{
    static uint8_t ids[JOB_IMAGES_BYTES_MAX];
    const struct job_edit *edit = argument;
    struct loaded_job job;
    int status = job_load(txn, &edit->id, &job, NULL);
    if (status)
        return status;
    memset(ids, 7, sizeof(ids));
    job.row.images = slice_of(ids, (size_t)edit->images * JINI_ID_BYTES);
    return job_put(txn, &edit->id, &job.row, NULL);
}

TEST(a_job_with_too_many_images_is_found,
     "A job that has had more images than it was admitted for is named with both numbers.")
{
    struct jini *jini = fixture_open();
    struct jini_subject subject = {.kind = JINI_SUBJECT_USER,
                                   .number = fixture_user(jini, "alice", "Premium")};
    struct job_edit edit = {admitted(jini, &subject, 2), 3};
    fixture_verify(jini);
    CHECK_OK(store_write(jini->store, op_edit_job, &edit));
    struct found found = find(jini, "job_over_count");
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].field, "images");
    CHECK_CONTAINS(found.items[0].message, "3 images and was admitted for 2");
    CHECK_INT(jini_id_compare(&found.items[0].job, &edit.id), ==, 0);
    CHECK_UINT(found.items[0].user, ==, subject.number);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Quotas ---- */

/* Units of a subject's quotas that are reserved for nobody, or given back under a job that runs. */
struct units {
    struct quota_charge charge;
    bool give;
};

static int op_units(struct store_txn *txn, void *argument)
{
    struct units *units = argument;
    struct quota_charge *charge = &units->charge;
    if (!units->give)
        return quota_reserve(txn, charge);
    int status = quota_peek(txn, charge);
    return status ? status
                  : quota_settle(txn, &charge->subject, charge->receipts, charge->plan->count, 0);
}

static void plant_units(struct jini *jini, const struct jini_subject *subject, uint64_t cost,
                        bool give)
{
    struct allowed allowed;
    struct jini_error error;
    CHECK_OK(allowance_of(jini, user_of(subject), &allowed, &error));
    struct units units = {.charge = {.subject = quota_subject_of(subject),
                                     .plan = &allowed.plan->quotas,
                                     .now_ns = clock_wall_ns(jini->clock),
                                     .cost = cost},
                          .give = give};
    CHECK_OK(store_write(jini->store, op_units, &units));
    plan_release(allowed.plan);
}

static void end(struct jini *jini, const struct jini_id *job)
{
    struct jini_settle settle;
    jini_request_init(&settle);
    settle.job_id = *job;
    fixture_must(jini_settle(jini, &settle, NULL), "settle", &settle.request.error);
}

static void check_miscounted(struct jini *jini, uint64_t user, const char *owner,
                             const char *numbers)
{
    struct found found = find(jini, "quota_miscounted");
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].field, "reserved");
    CHECK_CONTAINS(found.items[0].message, owner);
    CHECK_CONTAINS(found.items[0].message, numbers);
    CHECK_UINT(found.items[0].user, ==, user);
}

TEST(quotas_that_differ_from_the_running_jobs_are_found,
     "Units that are reserved and belong to no job, of a user or an address, and units that a job "
     "has and its quota has not, are named with both numbers.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_subject alice = {.kind = JINI_SUBJECT_USER, .number = user};
    struct jini_subject address;
    char owner[32];
    CHECK_OK(jini_subject_parse_address("2001:db8:1:2::7", &address));
    snprintf(owner, sizeof(owner), "user %llu", (unsigned long long)user);
    struct jini_id job = admitted(jini, &alice, 4);
    admitted(jini, &alice, 3);
    admitted(jini, &address, 1);
    fixture_verify(jini);
    plant_units(jini, &alice, 2, false);
    check_miscounted(jini, user, owner, "has 9 units reserved; the jobs that run reserved 7");
    end(jini, &job);
    check_miscounted(jini, user, owner, "has 5 units reserved; the jobs that run reserved 3");
    plant_units(jini, &alice, 2, true);
    fixture_verify(jini);
    plant_units(jini, &alice, 1, true);
    check_miscounted(jini, user, owner, "has 2 units reserved; the jobs that run reserved 3");
    plant_units(jini, &alice, 1, false);
    plant_units(jini, &address, 3, false);
    check_miscounted(
        jini, 0, "address 2001:db8:1:2::", "has 4 units reserved; the jobs that run reserved 1");
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(
    quotas_agree_over_windows_and_tiers,
    "A job that reserved in a window that is over, or under limits that its user no longer has, is "
    "no finding, neither while it runs nor when it has ended.")
{
    struct jini *jini = fixture_open();
    uint64_t user = fixture_user(jini, "alice", "Premium");
    struct jini_subject alice = {.kind = JINI_SUBJECT_USER, .number = user};
    struct jini_user_set set;
    struct jini_id jobs[3];
    jobs[0] = admitted(jini, &alice, 4);
    fixture_days_pass(2);
    fixture_verify(jini);
    jini_request_init(&set);
    set.user.id = user;
    set.fields = JINI_USER_FIELD_OVERRIDES;
    set.user.override_mask = JINI_ALLOWANCE_LIMITS;
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "9/hour; 50/month");
    CHECK_OK(jini_user_set(jini, &set, NULL));
    jobs[1] = admitted(jini, &alice, 4);
    fixture_verify(jini);
    snprintf(set.user.overrides.limits, sizeof(set.user.overrides.limits), "20/day; 9/hour");
    CHECK_OK(jini_user_set(jini, &set, NULL));
    jobs[2] = admitted(jini, &alice, 3);
    fixture_verify(jini);
    for (int i = 0; i < 3; i++) {
        end(jini, &jobs[i]);
        fixture_verify(jini);
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Retention ---- */

TEST(wrong_rows_of_ended_jobs_are_found,
     "An ended job that is in no queue though it is not kept for ever, one that stands at another "
     "time, and an image without its job are named.")
{
    struct jini *jini = fixture_open();
    struct jini_subject address;
    struct png_request png = {32, 32, 1, "made for a test", NULL};
    struct jini_image_put put;
    CHECK_OK(jini_subject_parse_address("192.0.2.1", &address));
    struct jini_id job = admitted(jini, &address, 1);
    end(jini, &job);
    struct jini_job ended;
    struct jini_error error;
    CHECK_OK(jini_job_get(jini, &job, &ended, &error));
    CHECK_UINT(ended.kept_until_ms, >, 0);
    fixture_verify(jini);
    struct tuple right = plant_key_due("ended", ended.kept_until_ms, &job);
    struct tuple wrong = plant_key_due("ended", ended.kept_until_ms + 1, &job);
    plant_row(jini, STORE_SPACE_QUEUE, &right, NULL, 0);
    struct found found = find(jini, "job_not_due");
    CHECK_UINT(found.count, ==, 1);
    CHECK_TEXT(found.items[0].field, "kept_until_ms");
    plant_row(jini, STORE_SPACE_QUEUE, &wrong, "", 0);
    CHECK_UINT(find(jini, "due_differs").count, ==, 1);
    jini_request_init(&put);
    uint8_t *file = png_make(&png, &put.length);
    put.bytes = file;
    put.job_id = admitted(jini, &address, 1);
    put.flags = JINI_PUT_SETTLES;
    CHECK_OK(jini_image_put(jini, &put, NULL));
    free(file);
    CHECK_UINT(find(jini, "image_without_job").count, ==, 0);
    struct tuple key = plant_key_id(&put.job_id);
    plant_row(jini, STORE_SPACE_JOBS, &key, NULL, 0);
    found = find(jini, "image_without_job");
    CHECK_UINT(found.count, ==, 1);
    CHECK_INT(jini_id_compare(&found.items[0].image, &put.image.id), ==, 0);
    CHECK_INT(jini_id_compare(&found.items[0].job, &put.job_id), ==, 0);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
