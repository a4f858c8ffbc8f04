/* Images through admission into the store, and back. */
#include "demo/demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note_refusal(struct demo *demo, struct demo_image *image,
                         const struct jini_error *error, int status)
{
    struct demo_user *user = &demo->users[image->owner];
    pthread_mutex_lock(&demo->lock);
    image->refusals++;
    unsigned i = 0;
    while (i < user->reason_count &&
           (user->reasons[i].status != status || strcmp(user->reasons[i].field, error->field) != 0))
        i++;
    if (i == user->reason_count && i < DEMO_REASONS) {
        user->reason_count++;
        user->reasons[i].status = status;
        snprintf(user->reasons[i].field, sizeof(user->reasons[i].field), "%s", error->field);
        snprintf(user->reasons[i].example, sizeof(user->reasons[i].example), "%s", error->message);
    }
    if (i < DEMO_REASONS)
        user->reasons[i].count++;
    pthread_mutex_unlock(&demo->lock);
}

static int admit(struct demo *demo, struct demo_image *image, struct jini_id *job)
{
    struct jini_admit request;
    jini_request_init(&request);
    request.subject.kind = JINI_SUBJECT_USER;
    request.subject.number = demo->users[image->owner].id;
    request.parameters = (struct jini_parameters){.width = image->admitted_width,
                                                  .height = image->admitted_height,
                                                  .steps = 20,
                                                  .count = 1,
                                                  .seed = (int64_t)image->seed,
                                                  .guidance_millionths = 7500000};
    snprintf(request.parameters.model, sizeof(request.parameters.model),
             "stabilityai/stable-diffusion-2-1");
    request.prompt = image->name;
    int status = jini_admit(demo->jini, &request, NULL);
    if (status)
        note_refusal(demo, image, &request.request.error, status);
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

static void store_one(struct demo *demo, size_t index)
{
    struct demo_image *image = &demo->images[index];
    struct jini_id job;
    if (image->status == 0 || image->refused)
        return;
    image->status = admit(demo, image, &job);
    if (image->status)
        return;
    struct jini_image_put put;
    jini_request_init(&put);
    put.bytes = image->bytes;
    put.length = image->length;
    put.user_id = demo->users[image->owner].id;
    put.job_id = job;
    put.flags = JINI_PUT_SETTLES;
    image->status = jini_image_put(demo->jini, &put, NULL);
    if (image->status) {
        note_refusal(demo, image, &put.request.error, image->status);
        release(demo, &job, put.request.error.message);
        if (image->status == JINI_E_TOO_BIG || image->status == JINI_E_NOT_IMAGE)
            give_up(demo, image);
        return;
    }
    image->id = put.image.id;
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

static void read_one(struct demo *demo, size_t index)
{
    struct demo_image *image = &demo->images[index];
    if (image->status)
        return;
    struct jini_image_get get;
    jini_request_init(&get);
    get.id = image->id;
    get.capacity = image->length;
    get.buffer = malloc(image->length);
    int status = get.buffer ? jini_image_get(demo->jini, &get, NULL) : JINI_E_NO_MEMORY;
    bool same = status == 0 && get.length == image->length &&
                memcmp(get.buffer, image->bytes, image->length) == 0;
    if (!same) {
        fprintf(stderr, "jini-demo: %s did not come back: %s\n", image->name,
                status ? get.request.error.message : "the bytes differ");
        pthread_mutex_lock(&demo->lock);
        demo->differing++;
        pthread_mutex_unlock(&demo->lock);
    }
    free(get.buffer);
}

int demo_read_back(struct demo *demo)
{
    demo_parallel(demo, "reading back", demo->image_count, read_one);
    return demo->differing ? JINI_E_CORRUPT : 0;
}
