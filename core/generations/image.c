/*
 * Images. As with jobs, every change goes through one step that compares the row as it was with the
 * row as it will be, and brings the user's list and counts and the due queue into line; the image
 * that is the last of its job lets the job go.
 */
#include "generations/generations_private.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"

/* Far above what is taken anywhere; it keeps the sum of a user's bytes from overflow. */
#define BYTES_MAX (UINT64_C(1) << 40)

struct image_step {
    const struct jini_id *id;
    const struct image_row *before; /* NULL: it is new */
    struct image_row *after;        /* NULL: it goes */
    bool list_changed;
    struct list_edit list;
    struct due_time job_due; /* of its job, which has ended and loses its last image */
};

static bool in_trash(const struct image_row *row)
{
    return row->purge_ms != 0;
}

static struct due_time due_time_of(const struct image_row *row)
{
    if (!row)
        return (struct due_time){GENERATIONS_DUE_IMAGE, 0};
    if (in_trash(row))
        return (struct due_time){GENERATIONS_DUE_PURGE, row->purge_ms};
    return (struct due_time){GENERATIONS_DUE_IMAGE, row->expires_ms};
}

static struct list_counts counts_of(const struct image_row *row)
{
    if (!row)
        return (struct list_counts){0};
    if (in_trash(row))
        return (struct list_counts){.trashed_items = 1, .trashed_bytes = row->bytes};
    return (struct list_counts){.items = 1, .bytes = row->bytes};
}

static bool is_listed(const struct image_row *row)
{
    return row && !in_trash(row);
}

static int prepare_list(struct store_txn *txn, struct image_step *step, struct jini_error *error)
{
    bool before = is_listed(step->before);
    bool after = is_listed(step->after);
    const struct list_counts counts_before = counts_of(step->before);
    const struct list_counts counts_after = counts_of(step->after);
    step->list_changed = memcmp(&counts_before, &counts_after, sizeof(counts_before)) != 0 ||
                         !step->before || !step->after;
    if (!step->list_changed)
        return 0;
    uint64_t user_id = step->before ? step->before->user_id : step->after->user_id;
    int status = list_edit_begin(txn, user_id, LIST_IMAGES, &step->list, error);
    if (status)
        return status;
    if (!step->before)
        list_edit_add(&step->list, step->id, &step->after->number);
    else if (before && !after)
        status = list_edit_remove(txn, &step->list, step->before->number, step->id, error);
    else if (!before && after)
        status = list_edit_restore(txn, &step->list, step->before->number, step->id, error);
    return status ? status : list_edit_count(&step->list, &counts_before, &counts_after, error);
}

/* What cannot be read of its job is no reason to keep an image: verify tells of it. */
static int prepare_job(struct store_txn *txn, struct image_step *step)
{
    struct loaded_job job;
    if (step->after || id_is_zero(&step->before->job_id))
        return 0;
    int status = job_load(txn, &step->before->job_id, &job, NULL);
    if (status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_FORMAT)
        return 0;
    if (status || !generations_job_ended((enum jini_job_state)job.row.state))
        return status;
    return job_row_due(txn, &job.row, step->id, &step->job_due);
}

static int write_record(struct store_txn *txn, const struct image_step *step,
                        struct jini_error *error)
{
    struct tuple key;
    key_record(&key, step->id);
    if (!step->after)
        return store_delete(txn, STORE_SPACE_IMAGES, tuple_key(&key));
    uint8_t bytes[IMAGE_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = image_row_write(step->after, &value);
    if (status)
        return record_failed(error, status, "image", step->id);
    return store_put(txn, STORE_SPACE_IMAGES, tuple_key(&key), buffer_slice(&value));
}

static int write_step(struct store_txn *txn, const struct image_step *step,
                      struct jini_error *error)
{
    int status = write_record(txn, step, error);
    if (status == 0 && step->list_changed)
        status = list_edit_write(txn, &step->list, error);
    if (status == 0)
        status = due_move(txn, step->id, due_time_of(step->before), due_time_of(step->after));
    if (status == 0 && step->job_due.due_ms != 0)
        status = due_move(txn, &step->before->job_id, (struct due_time){0}, step->job_due);
    return status;
}

static int take_step(struct store_txn *txn, struct image_step *step, struct jini_error *error)
{
    int status = prepare_list(txn, step, error);
    if (status == 0)
        status = prepare_job(txn, step);
    return status ? status : write_step(txn, step, error);
}

/* ---- Creating -------------------------------------------------------------------------------- */

static int check_place(const struct generations_place *place, struct jini_error *error)
{
    if (place->state < JINI_IMAGE_HOT || place->state > JINI_IMAGE_COLD)
        return error_set(error, JINI_E_INVALID, "state", "%s is no place where bytes are",
                         jini_image_state_name(place->state));
    return 0;
}

static int check_new(const struct generations_image_new *new, struct jini_error *error)
{
    static const uint32_t flags = JINI_IMAGE_HAS_SEED | JINI_IMAGE_DAMAGED;
    const struct jini_image *image = &new->image;
    if (id_is_zero(&image->id))
        return error_set(error, JINI_E_INVALID, "id", "is all zero, which is no id");
    const char *end = memchr(image->media_type, '\0', sizeof(image->media_type));
    if (!end || !text_is_utf8(slice_of_text(image->media_type)))
        return error_set(error, JINI_E_INVALID, "media_type",
                         "is not UTF-8 text of at most %d bytes", JINI_MEDIA_TYPE_MAX - 1);
    if (image->bytes > BYTES_MAX)
        return error_set(error, JINI_E_INVALID, "bytes",
                         "is %llu: no image is longer than %llu bytes",
                         (unsigned long long)image->bytes, (unsigned long long)BYTES_MAX);
    if ((image->flags & ~flags) != 0)
        return error_set(error, JINI_E_INVALID, "flags", "%#x has unknown bits",
                         (unsigned)image->flags);
    if (new->metadata.length > GENERATIONS_METADATA_INLINE_MAX)
        return error_set(error, JINI_E_INVALID, "metadata",
                         "has %zu bytes: over %d it belongs into the pack", new->metadata.length,
                         GENERATIONS_METADATA_INLINE_MAX);
    if (new->metadata.length != 0 && new->metadata.length != image->metadata_bytes)
        return error_set(error, JINI_E_INVALID, "metadata_bytes",
                         "is %llu, but the metadata has %zu bytes",
                         (unsigned long long)image->metadata_bytes, new->metadata.length);
    return check_place(&new->place, error);
}

static void fill_place(struct image_row *row, const struct generations_place *place)
{
    row->place = place->state;
    row->pack_id = place->pack_id;
    row->pack_sequence = place->pack_sequence;
    row->stored_bytes = place->stored_bytes;
    row->expires_ms = place->expires_ms;
}

static void fill_new(struct image_row *row, const struct generations_image_new *new)
{
    const struct jini_image *image = &new->image;
    *row = (struct image_row){
        .user_id = image->user_id,
        .created_ms = image->created_ms,
        .bytes = image->bytes,
        .metadata_bytes = image->metadata_bytes,
        .seed = image->seed,
        .texts_omitted = image->texts_omitted,
        .width = image->width,
        .height = image->height,
        .flags = image->flags,
        .job_id = image->job_id,
        .media_type = slice_of_text(image->media_type),
        .metadata = new->metadata,
    };
    memcpy(row->hash, image->hash, sizeof(row->hash));
    fill_place(row, &new->place);
}

/* Adds an image to a job: `ids` holds the longer list, which `job` then borrows. */
static int attach(struct store_txn *txn, const struct jini_image *image, struct loaded_job *job,
                  uint8_t ids[JOB_IMAGES_BYTES_MAX], struct jini_error *error)
{
    int status = job_load(txn, &image->job_id, job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", &image->job_id);
    if (status)
        return status;
    struct slice *images = &job->row.images;
    if (job->row.user_id != image->user_id)
        return error_set(error, JINI_E_INVALID, "job_id",
                         "the job is of user %llu, the image of %llu",
                         (unsigned long long)job->row.user_id, (unsigned long long)image->user_id);
    if (images->length / JINI_ID_BYTES >= job->row.count)
        return error_set(error, JINI_E_CONFLICT, "count",
                         "the job was admitted for %u images and has had %zu: admit another",
                         (unsigned)job->row.count, images->length / JINI_ID_BYTES);
    if (images->length)
        memcpy(ids, images->data, images->length);
    memcpy(ids + images->length, image->id.bytes, JINI_ID_BYTES);
    *images = slice_of(ids, images->length + JINI_ID_BYTES);
    return 0;
}

int generations_image_create(struct store_txn *txn, const struct generations_image_new *new,
                             struct jini_error *error)
{
    const struct jini_image *image = &new->image;
    int status = check_new(new, error);
    if (status)
        return status;
    struct tuple key;
    key_record(&key, &image->id);
    status = store_has(txn, STORE_SPACE_IMAGES, tuple_key(&key));
    if (status != JINI_E_NOT_FOUND)
        return status ? status
                      : error_set(error, JINI_E_EXISTS, "id", "there is an image of this id");
    bool has_job = !id_is_zero(&image->job_id);
    struct loaded_job job;
    uint8_t ids[JOB_IMAGES_BYTES_MAX];
    status = has_job ? attach(txn, image, &job, ids, error) : 0;
    if (status)
        return status;
    struct image_row row;
    fill_new(&row, new);
    struct image_step step = {.id = &image->id, .after = &row};
    status = prepare_list(txn, &step, error);
    if (status == 0 && has_job)
        status = job_put(txn, &image->job_id, &job.row, error);
    return status ? status : write_step(txn, &step, error);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int load(struct store_txn *txn, const struct jini_id *id, struct loaded_image *out,
                struct jini_error *error)
{
    int status = image_load(txn, id, out, error);
    return status == JINI_E_NOT_FOUND ? record_failed(error, status, "image", id) : status;
}

static void show(const struct image_row *row, const struct jini_id *id,
                 struct generations_image *out)
{
    image_row_show(row, id, &out->image);
    out->place = (struct generations_place){.state = (enum jini_image_state)row->place,
                                            .pack_sequence = row->pack_sequence,
                                            .pack_id = row->pack_id,
                                            .stored_bytes = row->stored_bytes,
                                            .expires_ms = row->expires_ms};
    out->trashed_ms = row->trashed_ms;
    out->purge_ms = row->purge_ms;
    out->metadata_inline = row->metadata.length != 0;
}

int generations_image_get(struct store_txn *txn, const struct jini_id *id,
                          struct generations_image *out, struct jini_error *error)
{
    struct loaded_image image;
    memset(out, 0, sizeof(*out));
    int status = load(txn, id, &image, error);
    if (status == 0)
        show(&image.row, id, out);
    return status;
}

int generations_image_metadata(struct store_txn *txn, const struct jini_id *id, struct buffer *out,
                               struct jini_error *error)
{
    struct loaded_image image;
    int status = load(txn, id, &image, error);
    if (status)
        return status;
    buffer_append(out, image.row.metadata.data, image.row.metadata.length);
    if (out->overflow)
        return error_set(error, JINI_E_TOO_BIG, "metadata",
                         "does not fit the buffer: %d bytes always do",
                         GENERATIONS_METADATA_INLINE_MAX);
    return 0;
}

/* ---- Changing -------------------------------------------------------------------------------- */

int generations_image_update(struct store_txn *txn, const struct jini_id *id,
                             const struct generations_place *place, struct jini_error *error)
{
    struct loaded_image image;
    int status = check_place(place, error);
    if (status == 0)
        status = load(txn, id, &image, error);
    if (status)
        return status;
    enum jini_image_state from = (enum jini_image_state)image.row.place;
    status = generations_image_check_change(from, place->state, error);
    if (status)
        return status;
    struct image_row after = image.row;
    fill_place(&after, place);
    struct image_step step = {.id = id, .before = &image.row, .after = &after};
    return take_step(txn, &step, error);
}

int generations_image_trash(struct store_txn *txn, const struct generations_trash *trash,
                            struct jini_error *error)
{
    struct loaded_image image;
    if (trash->purge_ms == 0)
        return error_set(error, JINI_E_INVALID, "purge_ms", "is 0: the trash is purged some day");
    int status = load(txn, &trash->id, &image, error);
    if (status)
        return status;
    bool there = in_trash(&image.row);
    if (there && !trash->sooner)
        return error_set(error, JINI_E_CONFLICT, "state", "the image is in the trash already");
    if (there && image.row.purge_ms <= trash->purge_ms)
        return 0;
    struct image_row after = image.row;
    after.trashed_ms = there ? image.row.trashed_ms : trash->now_ms;
    after.purge_ms = trash->purge_ms;
    struct image_step step = {.id = &trash->id, .before = &image.row, .after = &after};
    return take_step(txn, &step, error);
}

int generations_image_untrash(struct store_txn *txn, const struct jini_id *id,
                              struct jini_error *error)
{
    struct loaded_image image;
    int status = load(txn, id, &image, error);
    if (status)
        return status;
    if (!in_trash(&image.row))
        return error_set(error, JINI_E_CONFLICT, "state", "the image is not in the trash");
    struct image_row after = image.row;
    after.trashed_ms = 0;
    after.purge_ms = 0;
    struct image_step step = {.id = id, .before = &image.row, .after = &after};
    return take_step(txn, &step, error);
}

int generations_image_delete(struct store_txn *txn, const struct jini_id *id,
                             struct generations_image *out, struct jini_error *error)
{
    struct loaded_image image;
    if (out)
        memset(out, 0, sizeof(*out));
    int status = load(txn, id, &image, error);
    if (status)
        return status;
    struct image_step step = {.id = id, .before = &image.row};
    status = take_step(txn, &step, error);
    if (status == 0 && out)
        show(&image.row, id, out);
    return status;
}
