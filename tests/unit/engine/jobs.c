/* Jobs between admission and their end: the images that they take. */
#include "engine_fixture.h"

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
