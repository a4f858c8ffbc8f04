/*
 * Storing an image, on its way through three threads:
 *
 *   CPU worker   look at the file, compress its metadata, code it where that saves, hash it, choose
 *                its class
 *   appender     append it to a pack, sync the pack
 *   writer       one transaction: image record, location, pack row, and the end of the job
 *
 * What fails in the last step leaves garbage in a pack, which is rewritten for it as soon as it is
 * sealed: a purge of the same image, stored at the next try, would not find these bytes.
 */
#include "engine/engine_private.h"

#include "accounts/accounts.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "codec/codec.h"
#include "codec/image.h"
#include "engine/coding.h"
#include "engine/rate.h"
#include "engine/txn.h"
#include "generations/generations.h"
#include "images/appender.h"

#include <jini/images.h>

enum { PUT_OP_BYTES = 1024, PUT_TRIES = 3, METADATA_LEVEL = 3 };

struct put_work {
    struct jini_request *request;
    struct appender_item item;
    struct pack_prepared record;
    struct codec_image probe;
    struct generations_image_new image;
    struct index_location location;
    uint64_t now_ms;
    unsigned tries;
    struct coding coding;
    uint8_t *metadata;       /* raw */
    uint8_t *metadata_small; /* compressed */
};

static struct jini_image_put *put_of(struct jini_request *request)
{
    return (struct jini_image_put *)request;
}

static void finish(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    struct put_work *work = state->work;
    state->work = NULL;
    pack_prepared_free(&work->record);
    coding_free(state->jini, &work->coding);
    base_free(work->metadata);
    base_free(work->metadata_small);
    base_free(work);
    request_finish(request, status);
}

/* ---- On a worker: what the file is ---- */

/* The class of the user's images: by tier, and by the day on which they expire. */
static int choose_class(struct jini *jini, struct put_work *work, uint64_t user_id,
                        struct jini_error *error)
{
    struct allowed allowed;
    int status = allowance_of(jini, user_id, &allowed, error);
    if (status)
        return status;
    uint32_t days = allowed.allowance.retention_days;
    work->item.tier_group = allowed.tier_group;
    work->item.expiry_day = days ? (uint32_t)(work->now_ms / MS_PER_DAY) + days + 1 : 0;
    plan_release(allowed.plan);
    return 0;
}

static int take_metadata(struct jini *jini, struct put_work *work, struct pack_input *input,
                         struct jini_error *error)
{
    size_t length = work->probe.metadata_bytes;
    if (length == 0)
        return 0;
    if (length > jini->options.metadata_bytes_max)
        return error_set(error, JINI_E_TOO_BIG, "metadata.bytes_max",
                         "the image carries %zu bytes of metadata; at most %llu are taken", length,
                         (unsigned long long)jini->options.metadata_bytes_max);
    work->metadata = base_malloc(length);
    if (!work->metadata)
        return error_set(error, JINI_E_NO_MEMORY, "metadata", "out of memory");
    struct buffer raw = buffer_of(work->metadata, length);
    int status = codec_image_metadata(&work->probe, &raw, error);
    if (status)
        return status;
    work->image.image.metadata_bytes = raw.length;
    if (raw.length <= GENERATIONS_METADATA_INLINE_MAX) {
        work->image.metadata = buffer_slice(&raw);
        return 0;
    }
    size_t room = codec_smaller_bound(raw.length);
    work->metadata_small = base_malloc(room);
    if (!work->metadata_small)
        return error_set(error, JINI_E_NO_MEMORY, "metadata", "out of memory");
    struct buffer small = buffer_of(work->metadata_small, room);
    struct codec_choice choice;
    status = codec_compress_if_smaller(&jini->codecs, buffer_slice(&raw), METADATA_LEVEL, &small,
                                       &choice, error);
    if (status)
        return status;
    input->metadata = choice.bytes;
    input->metadata_original_length = (uint32_t)raw.length;
    input->metadata_codec = (struct pack_codec){choice.codec->id, choice.codec->version};
    return 0;
}

/* Of a job for workers only who has it stores images. */
static int check_attempt(const struct jini_job *job, uint32_t attempt, struct jini_error *error)
{
    if (job->flags & JINI_JOB_FOR_WORKERS && job->state == JINI_JOB_IN_PROGRESS &&
        job->attempt == attempt)
        return 0;
    return error_set(error, JINI_E_CONFLICT, "attempt",
                     "the job is %s at its attempt %u: who has attempt %u stores no image for it",
                     jini_job_state_name(job->state), job->attempt, attempt);
}

static int check_owner(struct store_txn *txn, const struct jini_image_put *put,
                       struct jini_error *error)
{
    if (!id_is_zero(&put->job_id)) {
        struct jini_job job;
        int status = generations_job_get(txn, &put->job_id, &job, error);
        if (status == JINI_E_NOT_FOUND)
            return error_set(error, status, "job", "there is no such job");
        if (status)
            return status;
        if (generations_job_ended(job.state))
            return error_set(error, JINI_E_CONFLICT, "job", "the job has ended: it is %s",
                             jini_job_state_name(job.state));
        if (job.flags & JINI_JOB_FOR_WORKERS || put->attempt != 0)
            status = check_attempt(&job, put->attempt, error);
        if (status)
            return status;
        if (job.user_id != put->user_id)
            return error_set(error, JINI_E_FORBIDDEN, "user_id",
                             "the job is another user's: an image belongs to whom its job belongs");
    }
    return 0;
}

/* What a probe says, in the words of the public record. */
static void describe_file(const struct codec_image *probe, size_t length, struct jini_image *image)
{
    image->bytes = length;
    image->width = probe->width;
    image->height = probe->height;
    image->metadata_bytes = probe->metadata_bytes;
    image->texts_omitted = probe->texts_omitted;
    if (probe->has_seed && probe->seed <= INT64_MAX) {
        image->flags |= JINI_IMAGE_HAS_SEED;
        image->seed = (int64_t)probe->seed;
    }
    if (probe->damage & CODEC_DAMAGE_OF_IMAGE)
        image->flags |= JINI_IMAGE_DAMAGED;
    text_copy_utf8(image->media_type, sizeof(image->media_type),
                   codec_image_media_type(probe->type));
}

int jini_image_probe(const void *bytes, size_t length, struct jini_image *out,
                     struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    error_clear(error);
    struct codec_image *probe = base_malloc(sizeof(*probe));
    if (!probe)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    int status = codec_image_probe(slice_of(bytes, length), CODEC_PROBE_DEFAULT, probe, error);
    if (status == 0)
        describe_file(probe, length, out);
    base_free(probe);
    return status;
}

static void describe(struct put_work *work, const struct jini_image_put *put)
{
    struct jini_image *image = &work->image.image;
    describe_file(&work->probe, put->length, image);
    image->id = work->location.image;
    image->job_id = put->job_id;
    image->user_id = put->user_id;
    image->created_ms = work->now_ms;
}

/*
 * What would be refused is refused before it is in a pack, which would have to be rewritten to be
 * rid of it. The transaction looks again.
 */
static int look_at_owner(struct jini *jini, const struct jini_image_put *put,
                         struct jini_error *error)
{
    struct store_txn *txn;
    if (id_is_zero(&put->job_id))
        return 0;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = check_owner(txn, put, error);
    store_read_end(txn);
    return status;
}

static int prepare(struct jini *jini, struct put_work *work, const struct jini_image_put *put,
                   struct jini_error *error)
{
    struct slice bytes = slice_of(put->bytes, put->length);
    struct pack_input input = {.payload = bytes};
    int status = codec_image_probe(bytes, CODEC_PROBE_CHECK_CRC, &work->probe, error);
    if (status == 0)
        status = choose_class(jini, work, put->user_id, error);
    if (status == 0)
        status = look_at_owner(jini, put, error);
    if (status == 0)
        status = take_metadata(jini, work, &input, error);
    if (status)
        return status;
    coding_try(jini, &work->coding, &input);
    work->location.image = id_next(&jini->ids);
    input.image = work->location.image;
    status = pack_prepare(&input, &work->record, error);
    if (status)
        return status;
    describe(work, put);
    memcpy(work->image.image.hash, work->record.record.original_hash.bytes, 16);
    return 0;
}

/* ---- On the writer: the transaction ---- */

static void fill_location(struct put_work *work)
{
    const struct pack_record *record = &work->record.record;
    struct index_location *location = &work->location;
    location->pack = work->item.pack.id;
    location->sequence = record->sequence;
    location->offset = work->record.offset;
    location->stored_length = record->stored_length;
    location->original_length = record->original_length;
    location->metadata_stored_length = record->metadata_stored_length;
    location->metadata_original_length = record->metadata_original_length;
    location->codec_id = record->codec.id;
    location->codec_version = record->codec.version;
    location->metadata_codec_id = record->metadata_codec.id;
    location->metadata_codec_version = record->metadata_codec.version;
    location->original_hash = record->original_hash;
    work->image.place = (struct generations_place){
        .state = JINI_IMAGE_HOT,
        .pack_sequence = record->sequence,
        .pack_id = location->pack,
        .stored_bytes = record->stored_length,
        .expires_ms = (uint64_t)work->item.expiry_day * MS_PER_DAY,
    };
}

static int op_put(struct jini_txn *inside, void *request)
{
    struct store_txn *txn = inside->store;
    struct jini_image_put *put = request;
    struct put_work *work = request_state(&put->request)->work;
    struct jini_error *error = &put->request.error;
    int status = check_owner(txn, put, error);
    if (status == 0)
        status = generations_image_create(txn, &work->image, error);
    if (status == 0 && (put->flags & JINI_PUT_SETTLES))
        status = settle_job(txn, request_state(&put->request)->jini, &put->job_id, put->attempt, 0,
                            work->now_ms, NULL, error);
    if (status == 0)
        status = index_location_put(txn, &work->location);
    if (status == 0) {
        status = index_pack_open(txn, &work->item.pack);
        work->item.status = status;
    }
    return status;
}

static void submit_to_appender(struct jini_request *request);

static void after_put(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct put_work *work = state->work;
    struct jini_image_put *put = put_of(request);
    int status = request->status;
    if (status == 0)
        appender_release(state->jini->appender, &work->item);
    else
        appender_abandon(state->jini->appender, &work->item);
    if (status == JINI_E_CONFLICT && work->item.status == JINI_E_CONFLICT &&
        ++work->tries < PUT_TRIES) {
        submit_to_appender(request); /* the pack was taken from us: append to another one */
        return;
    }
    if (status == 0) {
        put->image = work->image.image;
        put->image.expires_ms = work->image.place.expires_ms;
    }
    finish(request, status);
}

/* ---- On the appender's thread ---- */

static void explain_late_pack(struct jini_request *request, int status)
{
    const struct jini *jini = request_state(request)->jini;
    if (status == JINI_E_TIMEOUT)
        error_set(&request->error, status, "request.timeout_ms",
                  "it waited for its turn to be written to a pack for %llu ms, and nothing of it "
                  "was done; send fewer at once, or allow more time",
                  (unsigned long long)request_timeout_ms(jini, request));
}

static void on_appended(struct appender_item *item, int status)
{
    struct put_work *work =
        (struct put_work *)(void *)((char *)item - offsetof(struct put_work, item));
    struct jini_request *request = work->request;
    struct request_state *state = request_state(request);
    if (status == 0) {
        fill_location(work);
        item->status = 0;
        status = request_write(request, op_put, STORE_NEW_WORK, PUT_OP_BYTES, after_put);
        if (status)
            appender_abandon(state->jini->appender, item);
    } else {
        request->error = item->error;
        explain_late_pack(request, status);
    }
    if (status)
        finish(request, status);
}

static void submit_to_appender(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct put_work *work = state->work;
    work->item.record = &work->record;
    work->item.done = on_appended;
    work->item.deadline_ns = state->deadline_ns;
    work->item.cancelled = &state->cancelled;
    int status = appender_submit(state->jini->appender, &work->item);
    if (status == JINI_E_BUSY)
        error_set(&request->error, status, "pack.queue_bytes_max",
                  "%llu bytes of images wait to be written; slow down",
                  (unsigned long long)state->jini->options.pack_queue_bytes_max);
    if (status)
        finish(request, status);
}

static void run_prepare(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct request_state *state = request_state(request);
    struct put_work *work = state->work;
    if (status == 0)
        status = prepare(state->jini, work, put_of(request), &request->error);
    if (status)
        finish(request, status);
    else
        submit_to_appender(request);
}

static int check_put(const struct jini *jini, const struct jini_image_put *put,
                     struct jini_error *error)
{
    if (!jini->appender)
        return explain_read_only(error);
    if (!put->bytes || put->length == 0)
        return error_set(error, JINI_E_NOT_IMAGE, "bytes", "an empty file is no image");
    if (put->length > jini->options.image_bytes_max)
        return error_set(error, JINI_E_TOO_BIG, "image.bytes_max",
                         "the image has %zu bytes; at most %llu are taken", put->length,
                         (unsigned long long)jini->options.image_bytes_max);
    int status = check_flags(put->flags, JINI_PUT_SETTLES, error);
    if (status == 0 && (put->flags & JINI_PUT_SETTLES) && id_is_zero(&put->job_id))
        return error_set(error, JINI_E_INVALID, "job_id", "JINI_PUT_SETTLES needs a job to settle");
    return status;
}

int jini_image_put(struct jini *jini, struct jini_image_put *put, jini_callback *callback)
{
    struct jini_request *request = &put->request;
    int status = request_begin(jini, request, sizeof(*put), REQUEST_IMAGE_PUT, callback);
    if (status)
        return status;
    status = check_put(jini, put, &request->error);
    if (status)
        return request_refuse(request, status);
    struct put_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    work->request = request;
    work->now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    request_state(request)->work = work;
    status = request_run_on(jini->cpu, request, run_prepare);
    if (status) {
        base_free(work);
        request_state(request)->work = NULL;
        return request_refuse(request, status);
    }
    return callback ? 0 : request_wait(request);
}
