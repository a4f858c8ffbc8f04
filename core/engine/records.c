/* Reading jobs, images and lists, and the trash. */
#include "engine/txn.h"

#include "base/error.h"
#include "generations/generations.h"

#include <jini/images.h>

enum { TRASH_OP_BYTES = 512 };

/* ---- Jobs ---- */

int jini_txn_job_get(struct jini_txn *txn, const struct jini_id *id, struct jini_job *out,
                     struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = generations_job_get(txn->store, id, out, said);
    return txn_answer(txn, status, said, "id", "job");
}

int jini_job_get(struct jini *jini, const struct jini_id *id, struct jini_job *out,
                 struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_job_get(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

/* A text of `capacity` bytes that ends in NUL, or nothing where there is no room for that. */
static void end_text(char *text, size_t capacity, size_t length)
{
    if (text && capacity)
        text[length] = '\0';
}

int jini_txn_job_prompts(struct jini_txn *txn, const struct jini_id *id, char *prompt,
                         size_t prompt_capacity, char *negative, size_t negative_capacity,
                         struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    struct buffer texts[2] = {buffer_of(prompt, prompt_capacity ? prompt_capacity - 1 : 0),
                              buffer_of(negative, negative_capacity ? negative_capacity - 1 : 0)};
    int status = generations_job_prompts(txn->store, id, prompt ? &texts[0] : NULL,
                                         negative ? &texts[1] : NULL, said);
    end_text(prompt, prompt_capacity, status ? 0 : texts[0].length);
    end_text(negative, negative_capacity, status ? 0 : texts[1].length);
    return txn_answer(txn, status, said, "id", "job");
}

int jini_job_prompts(struct jini *jini, const struct jini_id *id, char *prompt,
                     size_t prompt_capacity, char *negative, size_t negative_capacity,
                     struct jini_error *error)
{
    struct jini_txn txn;
    end_text(prompt, prompt_capacity, 0);
    end_text(negative, negative_capacity, 0);
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status =
        jini_txn_job_prompts(&txn, id, prompt, prompt_capacity, negative, negative_capacity, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_job_images(struct jini_txn *txn, const struct jini_id *id, struct jini_id *out,
                        size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    *count = 0;
    int status = generations_job_images(txn->store, id, out, capacity, count, said);
    return txn_answer(txn, status, said, "id", "job");
}

int jini_job_images(struct jini *jini, const struct jini_id *id, struct jini_id *out,
                    size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_job_images(&txn, id, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_job_list(struct jini_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                      struct jini_job *out, size_t capacity, size_t *count,
                      struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    *count = 0;
    int status = generations_job_list(txn->store, user_id, cursor, out, capacity, count, said);
    return txn_answer(txn, status, said, "user", "jobs");
}

int jini_job_list(struct jini *jini, uint64_t user_id, struct jini_list_cursor *cursor,
                  struct jini_job *out, size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_job_list(&txn, user_id, cursor, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- Images ---- */

int jini_txn_image_stat(struct jini_txn *txn, const struct jini_id *id, struct jini_image *out,
                        struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    struct generations_image image;
    memset(out, 0, sizeof(*out));
    int status = generations_image_get(txn->store, id, &image, said);
    if (status == 0)
        *out = image.image;
    return txn_answer(txn, status, said, "id", "image");
}

int jini_image_stat(struct jini *jini, const struct jini_id *id, struct jini_image *out,
                    struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_image_stat(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_image_list(struct jini_txn *txn, uint64_t user_id, struct jini_list_cursor *cursor,
                        struct jini_image *out, size_t capacity, size_t *count,
                        struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = generations_image_list(txn->store, user_id, cursor, out, capacity, count, said);
    return txn_answer(txn, status, said, "user", "images");
}

int jini_image_list(struct jini *jini, uint64_t user_id, struct jini_list_cursor *cursor,
                    struct jini_image *out, size_t capacity, size_t *count,
                    struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_image_list(&txn, user_id, cursor, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_usage_get(struct jini_txn *txn, uint64_t user_id, struct jini_usage *out,
                       struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = generations_usage(txn->store, user_id, out, said);
    return txn_answer(txn, status, said, "user", "usage");
}

int jini_usage_get(struct jini *jini, uint64_t user_id, struct jini_usage *out,
                   struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_usage_get(&txn, user_id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- The trash ---- */

static int check_remove(void *request, enum txn_place place)
{
    struct jini_image_remove *remove = request;
    (void)place;
    return check_flags(remove->flags, JINI_REMOVE_PURGE, &remove->request.error);
}

static int check_restore(void *request, enum txn_place place)
{
    struct jini_image_remove *restore = request;
    (void)place;
    return check_flags(restore->flags, 0, &restore->request.error);
}

static int explain_trash(const struct jini_id *id, bool inside, struct jini_error *error)
{
    char text[JINI_ID_TEXT_MAX];
    jini_id_format(id, text);
    return error_set(error, JINI_E_NOT_FOUND, "id", "image %s is %s the trash", text,
                     inside ? "in" : "not in");
}

static int op_remove(struct jini_txn *txn, void *request)
{
    struct jini_image_remove *remove = request;
    bool now = (remove->flags & JINI_REMOVE_PURGE) != 0;
    uint64_t kept_ms = now ? 0 : txn->jini->options.trash_s * 1000;
    struct generations_trash trash = {
        .id = remove->id, .now_ms = txn->now_ms, .purge_ms = txn->now_ms + kept_ms, .sooner = now};
    int status = generations_image_trash(txn->store, &trash, &remove->request.error);
    return status == JINI_E_CONFLICT ? explain_trash(&remove->id, true, &remove->request.error)
                                     : status;
}

static int op_restore(struct jini_txn *txn, void *request)
{
    struct jini_image_remove *restore = request;
    int status = generations_image_untrash(txn->store, &restore->id, &restore->request.error);
    return status == JINI_E_CONFLICT ? explain_trash(&restore->id, false, &restore->request.error)
                                     : status;
}

static const struct txn_form remove_form = {
    .kind = REQUEST_IMAGE_REMOVE,
    .size = sizeof(struct jini_image_remove),
    .bytes = TRASH_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_remove,
    .op = op_remove,
};

static const struct txn_form restore_form = {
    .kind = REQUEST_IMAGE_RESTORE,
    .size = sizeof(struct jini_image_remove),
    .bytes = TRASH_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_restore,
    .op = op_restore,
};

int jini_image_remove(struct jini *jini, struct jini_image_remove *remove, jini_callback *callback)
{
    return txn_submit(jini, &remove->request, &remove_form, callback);
}

int jini_txn_image_remove(struct jini_txn *txn, struct jini_image_remove *remove)
{
    return txn_call(txn, &remove->request, &remove_form);
}

int jini_image_restore(struct jini *jini, struct jini_image_remove *restore,
                       jini_callback *callback)
{
    return txn_submit(jini, &restore->request, &restore_form, callback);
}

int jini_txn_image_restore(struct jini_txn *txn, struct jini_image_remove *restore)
{
    return txn_call(txn, &restore->request, &restore_form);
}
