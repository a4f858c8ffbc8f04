/* Reading jobs, images and lists, and the trash. */
#include "engine/engine_private.h"

#include "base/error.h"
#include "generations/generations.h"

#include <jini/images.h>

enum { LIST_PAGE = 16 };

int jini_job_get(struct jini *jini, const struct jini_id *id, struct jini_job *out,
                 struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_job_get(txn, id, out, error);
    store_read_end(txn);
    return status ? error_complete(error, status, "id", "job") : 0;
}

int jini_job_prompts(struct jini *jini, const struct jini_id *id, char *prompt,
                     size_t prompt_capacity, char *negative, size_t negative_capacity,
                     struct jini_error *error)
{
    struct store_txn *txn;
    struct buffer texts[2] = {buffer_of(prompt, prompt_capacity ? prompt_capacity - 1 : 0),
                              buffer_of(negative, negative_capacity ? negative_capacity - 1 : 0)};
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_job_prompts(txn, id, prompt ? &texts[0] : NULL,
                                     negative ? &texts[1] : NULL, error);
    store_read_end(txn);
    if (prompt && prompt_capacity)
        prompt[status ? 0 : texts[0].length] = '\0';
    if (negative && negative_capacity)
        negative[status ? 0 : texts[1].length] = '\0';
    return status ? error_complete(error, status, "id", "job") : 0;
}

int jini_job_images(struct jini *jini, const struct jini_id *id, struct jini_id *out,
                    size_t capacity, size_t *count, struct jini_error *error)
{
    struct store_txn *txn;
    *count = 0;
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_job_images(txn, id, out, capacity, count, error);
    store_read_end(txn);
    return status ? error_complete(error, status, "id", "job") : 0;
}

int jini_job_list(struct jini *jini, uint64_t user_id, struct jini_list_cursor *cursor,
                  struct jini_job *out, size_t capacity, size_t *count, struct jini_error *error)
{
    struct store_txn *txn;
    *count = 0;
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_job_list(txn, user_id, cursor, out, capacity, count, error);
    store_read_end(txn);
    return status ? error_complete(error, status, "user", "jobs") : 0;
}

int jini_image_stat(struct jini *jini, const struct jini_id *id, struct jini_image *out,
                    struct jini_error *error)
{
    struct store_txn *txn;
    struct generations_image image;
    memset(out, 0, sizeof(*out));
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_image_get(txn, id, &image, error);
    store_read_end(txn);
    *out = image.image;
    return status ? error_complete(error, status, "id", "image") : 0;
}

int jini_image_list(struct jini *jini, uint64_t user_id, struct jini_list_cursor *cursor,
                    struct jini_image *out, size_t capacity, size_t *count,
                    struct jini_error *error)
{
    struct store_txn *txn;
    struct jini_list_cursor next = *cursor; /* a page that fails can be asked for again */
    size_t listed = 0;
    *count = 0;
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_image_list(txn, user_id, &next, out, capacity, &listed, error);
    store_read_end(txn);
    if (status)
        return error_complete(error, status, "user", "images");
    *cursor = next;
    *count = listed;
    return 0;
}

int jini_usage_get(struct jini *jini, uint64_t user_id, struct jini_usage *out,
                   struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = generations_usage(txn, user_id, out, error);
    store_read_end(txn);
    return status ? error_complete(error, status, "user", "usage") : 0;
}

/* ---- The trash ---- */

static int op_remove(struct store_txn *txn, void *argument)
{
    struct jini_image_remove *remove = argument;
    const struct jini *jini = request_state(&remove->request)->jini;
    uint64_t now_ms = request_state(&remove->request)->now_ms;
    struct generations_trash trash = {
        .id = remove->id, .now_ms = now_ms, .purge_ms = now_ms + jini->options.trash_s * 1000};
    int status = generations_image_trash(txn, &trash, &remove->request.error);
    return status == JINI_E_CONFLICT
               ? error_set(&remove->request.error, JINI_E_NOT_FOUND, "id", "it is in the trash")
               : status;
}

static int op_restore(struct store_txn *txn, void *argument)
{
    struct jini_image_remove *restore = argument;
    int status = generations_image_untrash(txn, &restore->id, &restore->request.error);
    return status == JINI_E_CONFLICT ? error_set(&restore->request.error, JINI_E_NOT_FOUND, "id",
                                                 "it is not in the trash")
                                     : status;
}

static int run_release_op(struct jini *jini, struct jini_image_remove *remove,
                          enum request_kind kind, jini_callback *callback)
{
    store_op_fn *op = kind == REQUEST_IMAGE_REMOVE ? op_remove : op_restore;
    int status = request_begin(jini, &remove->request, sizeof(*remove), kind, callback);
    if (status)
        return status;
    request_state(&remove->request)->now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    status = request_write(&remove->request, op, STORE_RELEASE, 512, NULL);
    if (status)
        return request_refuse(&remove->request, status);
    return callback ? 0 : request_wait(&remove->request);
}

int jini_image_remove(struct jini *jini, struct jini_image_remove *remove, jini_callback *callback)
{
    return run_release_op(jini, remove, REQUEST_IMAGE_REMOVE, callback);
}

int jini_image_restore(struct jini *jini, struct jini_image_remove *restore,
                       jini_callback *callback)
{
    return run_release_op(jini, restore, REQUEST_IMAGE_RESTORE, callback);
}
