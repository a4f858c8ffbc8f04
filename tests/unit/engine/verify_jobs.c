/* Verify: jobs and what counts them, planted so that they do not agree. */
#include "plant.h"

#include "generations/generations_private.h"

/* What the last run found of one kind. */
struct found {
    const char *kind;
    unsigned count;
    struct jini_verify_problem problem;
    char field[48];
    char message[512];
};

static void on_problem(void *context, const struct jini_verify_problem *problem)
{
    struct found *found = context;
    if (strcmp(problem->kind, found->kind) != 0)
        return;
    found->count++;
    found->problem = *problem;
    snprintf(found->field, sizeof(found->field), "%s", problem->field);
    snprintf(found->message, sizeof(found->message), "%s", problem->message);
}

static struct found find(struct jini *jini, const char *kind)
{
    struct found found = {.kind = kind};
    struct jini_verify request;
    jini_request_init(&request);
    request.report = on_problem;
    request.context = &found;
    fixture_must(jini_verify(jini, &request, NULL), "verify", &request.request.error);
    return found;
}

static struct jini_id admitted(struct jini *jini, const struct jini_subject *subject,
                               uint32_t count)
{
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = *subject;
    admit.parameters =
        (struct jini_parameters){.width = 64, .height = 64, .steps = 20, .count = count};
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
    CHECK_TEXT(found.field, "images");
    CHECK_CONTAINS(found.message, "3 images and was admitted for 2");
    CHECK_INT(jini_id_compare(&found.problem.job_id, &edit.id), ==, 0);
    CHECK_UINT(found.problem.user_id, ==, subject.number);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
