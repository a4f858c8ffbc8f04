/* Images through admission into the store, and back. */
#include "demo/demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `what`: the limit that refused, or the field of the error. */
static void note_refusal(struct demo *demo, struct demo_image *image, const char *what,
                         const struct jini_error *error, int status)
{
    struct demo_user *user = &demo->users[image->owner];
    pthread_mutex_lock(&demo->lock);
    image->refusals++;
    unsigned i = 0;
    while (i < user->reason_count &&
           (user->reasons[i].status != status || strcmp(user->reasons[i].what, what) != 0))
        i++;
    if (i == DEMO_REASONS)
        i--; /* the last one takes all that find no room */
    struct demo_reason *reason = &user->reasons[i];
    if (i == user->reason_count) {
        user->reason_count++;
        reason->status = status;
        snprintf(reason->what, sizeof(reason->what), "%s", what);
        snprintf(reason->example, sizeof(reason->example), "%s", error->message);
    }
    reason->count++;
    pthread_mutex_unlock(&demo->lock);
}

/* The field, and of a limit also its amount and period: what is lifted is another limit. */
static void name_limit(const struct jini_admit *request, char out[JINI_ERROR_FIELD_MAX])
{
    const struct jini_limit_answer *answer = &request->answer;
    const char *field = request->request.error.field;
    if (answer->decided >= answer->count) {
        snprintf(out, JINI_ERROR_FIELD_MAX, "%s", field);
        return;
    }
    const struct jini_limit_entry *entry = &answer->entries[answer->decided];
    snprintf(out, JINI_ERROR_FIELD_MAX, "%.20s %llu/%u x %u", field,
             (unsigned long long)entry->amount, entry->multiples, entry->unit);
}

static int admit(struct demo *demo, struct demo_image *image, struct jini_id *job)
{
    struct jini_admit request;
    jini_request_init(&request);
    request.subject.kind = JINI_SUBJECT_USER;
    request.subject.number = demo->users[image->owner].id;
    request.parameters = (struct jini_parameters){.width = image->width,
                                                  .height = image->height,
                                                  .steps = 20,
                                                  .count = 1,
                                                  .seed = (int64_t)image->seed,
                                                  .guidance_millionths = 7500000};
    snprintf(request.parameters.model, sizeof(request.parameters.model),
             "stabilityai/stable-diffusion-2-1");
    request.prompt = image->name;
    int status = jini_admit(demo->jini, &request, NULL);
    if (status) {
        char what[JINI_ERROR_FIELD_MAX];
        name_limit(&request, what);
        note_refusal(demo, image, what, &request.request.error, status);
    }
    *job = request.job.id;
    return status;
}

static void release(struct demo *demo, const struct jini_id *job, const char *reason)
{
    struct jini_release request;
    jini_request_init(&request);
    request.job_id = *job;
    request.state = JINI_JOB_FAILED;
    request.reason = reason;
    if (jini_release(demo->jini, &request, NULL) != 0)
        fprintf(stderr, "jini-demo: a job could not be released: %s\n",
                request.request.error.message);
}

/* An image that no lifting of limits makes one that can be stored. */
static void give_up(struct demo *demo, struct demo_image *image)
{
    image->refused = true;
    pthread_mutex_lock(&demo->lock);
    demo->users[image->owner].images--;
    demo->bytes -= image->length;
    pthread_mutex_unlock(&demo->lock);
}

/* Stores the bytes of an image whose job was admitted; the job is settled with it, or released. */
static int put(struct demo *demo, struct demo_image *image, const struct jini_id *job)
{
    struct jini_image_put put;
    uint8_t *bytes;
    jini_request_init(&put);
    int status = demo_image_read(demo, image, &bytes, &put.length);
    if (status) {
        release(demo, job, "its file could not be read again");
        return status;
    }
    put.bytes = bytes;
    put.user_id = demo->users[image->owner].id;
    put.job_id = *job;
    put.flags = JINI_PUT_SETTLES;
    status = jini_image_put(demo->jini, &put, NULL);
    free(bytes);
    image->id = put.image.id;
    if (status) {
        note_refusal(demo, image, put.request.error.field, &put.request.error, status);
        release(demo, job, put.request.error.message);
    }
    return status;
}

static void store_one(struct demo *demo, size_t index)
{
    struct demo_image *image = &demo->images[index];
    struct jini_id job;
    if (image->status == 0 || image->refused)
        return;
    image->status = admit(demo, image, &job);
    if (image->status)
        return;
    image->status = put(demo, image, &job);
    if (image->status) {
        if (image->status == JINI_E_TOO_BIG || image->status == JINI_E_NOT_IMAGE)
            give_up(demo, image);
        return;
    }
    pthread_mutex_lock(&demo->lock);
    demo->users[image->owner].stored++;
    demo->users[image->owner].bytes += image->length;
    pthread_mutex_unlock(&demo->lock);
}

size_t demo_submit(struct demo *demo)
{
    size_t left = 0;
    demo_parallel(demo, "storing", demo->image_count, store_one);
    for (size_t i = 0; i < demo->image_count; i++)
        left += demo->images[i].status != 0 && !demo->images[i].refused;
    return left;
}

/* 0 when the image comes back as its file is; else what happened is printed. */
static int compare(struct demo *demo, const struct demo_image *image)
{
    struct jini_image_get get;
    uint8_t *bytes;
    size_t length;
    int status = demo_image_read(demo, image, &bytes, &length);
    if (status)
        return status;
    jini_request_init(&get);
    get.id = image->id;
    get.capacity = length;
    get.buffer = malloc(length);
    status = get.buffer ? jini_image_get(demo->jini, &get, NULL) : JINI_E_NO_MEMORY;
    bool same = status == 0 && get.length == length && memcmp(get.buffer, bytes, length) == 0;
    if (!same)
        fprintf(stderr, "jini-demo: %s did not come back: %s\n", image->name,
                status ? get.request.error.message : "the bytes differ");
    free(get.buffer);
    free(bytes);
    return same ? 0 : JINI_E_CORRUPT;
}

static void read_one(struct demo *demo, size_t index)
{
    const struct demo_image *image = &demo->images[index];
    if (image->status || compare(demo, image) == 0)
        return;
    pthread_mutex_lock(&demo->lock);
    demo->differing++;
    pthread_mutex_unlock(&demo->lock);
}

int demo_read_back(struct demo *demo)
{
    demo_parallel(demo, "reading back", demo->image_count, read_one);
    return demo->differing ? JINI_E_CORRUPT : 0;
}
