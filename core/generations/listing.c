/* Listing a user's images and jobs with their records, and what a user has in all. */
#include "generations/generations_private.h"

#include "base/error.h"

enum { IDS_AT_ONCE = 64 };

/*
 * Reads the record of one listed id into its place in the caller's array; JINI_E_CORRUPT: it is not
 * of `user_id`.
 */
typedef int show_fn(struct store_txn *txn, const struct jini_id *id, uint64_t user_id, void *out,
                    size_t index, struct jini_error *error);

static int show_image(struct store_txn *txn, const struct jini_id *id, uint64_t user_id, void *out,
                      size_t index, struct jini_error *error)
{
    struct loaded_image image;
    int status = image_load(txn, id, &image, error);
    if (status == JINI_E_NOT_FOUND || (status == 0 && image.row.user_id != user_id))
        return record_failed(error, JINI_E_CORRUPT, "image", id);
    if (status == 0)
        image_row_show(&image.row, id, (struct jini_image *)out + index);
    return status;
}

static int show_job(struct store_txn *txn, const struct jini_id *id, uint64_t user_id, void *out,
                    size_t index, struct jini_error *error)
{
    struct loaded_job job;
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND || (status == 0 && job.row.user_id != user_id))
        return record_failed(error, JINI_E_CORRUPT, "job", id);
    if (status == 0)
        job_row_show(&job.row, id, (struct jini_job *)out + index);
    return status;
}

struct list_owner {
    uint64_t user_id;
    enum user_list_kind kind;
    show_fn *show;
};

/* Lists in pieces whose ids fit the stack. `cursor` moves only when all went well. */
static int list(struct store_txn *txn, const struct list_owner *owner,
                struct jini_list_cursor *cursor, void *out, size_t capacity, size_t *count,
                struct jini_error *error)
{
    struct jini_list_cursor place = *cursor;
    struct jini_id ids[IDS_AT_ONCE];
    size_t listed = 0;
    size_t taken;
    size_t wanted;
    *count = 0;
    do {
        wanted = capacity - listed < IDS_AT_ONCE ? capacity - listed : IDS_AT_ONCE;
        int status =
            list_read(txn, owner->user_id, owner->kind, &place, ids, wanted, &taken, error);
        for (size_t i = 0; status == 0 && i < taken; i++)
            status = owner->show(txn, &ids[i], owner->user_id, out, listed + i, error);
        if (status)
            return status;
        listed += taken;
    } while (listed < capacity && taken == wanted);
    *cursor = place;
    *count = listed;
    return 0;
}

int generations_image_list(struct store_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                           struct jini_image *out, size_t capacity, size_t *count,
                           struct jini_error *error)
{
    const struct list_owner owner = {user_id, LIST_IMAGES, show_image};
    return list(txn, &owner, cursor, out, capacity, count, error);
}

int generations_job_list(struct store_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                         struct jini_job *out, size_t capacity, size_t *count,
                         struct jini_error *error)
{
    const struct list_owner owner = {user_id, LIST_JOBS, show_job};
    return list(txn, &owner, cursor, out, capacity, count, error);
}

int generations_usage(struct store_txn *txn, uint64_t user_id, struct jini_usage *out,
                      struct jini_error *error)
{
    struct list_tail images;
    struct list_tail jobs;
    memset(out, 0, sizeof(*out));
    int status = list_load(txn, user_id, LIST_IMAGES, &images, error);
    if (status == 0)
        status = list_load(txn, user_id, LIST_JOBS, &jobs, error);
    if (status)
        return status;
    *out = (struct jini_usage){
        .images = images.counts.items,
        .bytes = images.counts.bytes,
        .trashed_images = images.counts.trashed_items,
        .trashed_bytes = images.counts.trashed_bytes,
        .jobs = jobs.counts.items,
    };
    return 0;
}
