/* The record of a job: its fields, their rules, and how the public struct shows it. */
#include "generations/generations_private.h"

#include "base/error.h"
#include "base/id.h"

enum { JOB_FLAGS_MAX = 32, PROMPT_BYTES_MAX = JINI_PROMPT_MAX - 1 };

#define JOB(kind, member, longest) LAYOUT(struct job_row, kind, member, longest)

/* Space JOBS, key (id job). Numbers are pinned. */
static const struct layout_field fields[] = {
    [1] = JOB(UINT64, user_id, 0),
    [2] = JOB(UINT32, state, 0),
    [3] = JOB(UINT64, created_ms, 0),
    [4] = JOB(UINT64, started_ms, 0),
    [5] = JOB(UINT64, finished_ms, 0),
    [6] = JOB(UINT64, expires_ms, 0),
    [7] = JOB(UINT64, cost_credits, 0),
    [8] = JOB(UINT32, width, 0),
    [9] = JOB(UINT32, height, 0),
    [10] = JOB(UINT32, steps, 0),
    [11] = JOB(UINT32, count, 0),
    [12] = JOB(INT64, seed, 0),
    [13] = JOB(UINT64, guidance_millionths, 0),
    [14] = JOB(TEXT, model, JINI_MODEL_MAX - 1),
    [15] = JOB(TEXT, prompt, GENERATIONS_PROMPTS_INLINE_MAX),
    [16] = JOB(TEXT, negative, GENERATIONS_PROMPTS_INLINE_MAX),
    [17] = JOB(UINT32, prompt_bytes, 0),
    [18] = JOB(UINT32, negative_bytes, 0),
    [19] = JOB(BYTES, images, JOB_IMAGES_BYTES_MAX),
    [20] = JOB(BYTES, reservation, GENERATIONS_RESERVATION_MAX),
    [21] = JOB(TEXT, error, JINI_JOB_ERROR_MAX - 1),
    [22] = JOB(UINT64, number, 0),
    [23] = JOB(UINT32, flags, 0),
    [24] = JOB(BYTES, address, GENERATIONS_ADDRESS_MAX),
    [25] = JOB(UINT64, kept_until_ms, 0),
    [26] = JOB(UINT32, priority, 0),
    [27] = JOB(UINT64, round, 0),
    [28] = JOB(UINT64, wait_ms, 0),
    [29] = JOB(UINT32, attempt, 0),
    [30] = JOB(UINT32, attempts_max, 0),
    [31] = JOB(TEXT, worker, JINI_WORKER_NAME_MAX - 1),
    [32] = JOB(BYTES, facts, GENERATIONS_FACTS_MAX),
};

static const struct layout layout = {fields, sizeof(fields) / sizeof(fields[0])};

bool job_row_runs(const struct job_row *row)
{
    return (row->flags & GENERATIONS_JOB_COUNTED) != 0 &&
           !generations_job_ended((enum jini_job_state)row->state);
}

/* One for workers counts, so that its user or address is known for as long as it waits. */
static bool sound_for_workers(const struct job_row *row)
{
    bool queued = (row->flags & GENERATIONS_JOB_QUEUED) != 0;
    bool delayed = (row->flags & GENERATIONS_JOB_DELAYED) != 0;
    return (!queued || (row->flags & GENERATIONS_JOB_COUNTED) != 0) &&
           (!delayed || (queued && row->state != JINI_JOB_IN_PROGRESS)) &&
           row->priority <= JINI_QUEUE_PRIORITY_MAX;
}

static bool sound(const struct job_row *row)
{
    bool inside = row->prompt.length + row->negative.length > 0;
    bool by_address = row->user_id == 0 && job_row_runs(row);
    return row->state >= JINI_JOB_IN_QUEUE && row->state <= JINI_JOB_TIMED_OUT &&
           row->count <= JINI_JOB_IMAGES_MAX && row->images.length % JINI_ID_BYTES == 0 &&
           row->prompt.length + row->negative.length <= GENERATIONS_PROMPTS_INLINE_MAX &&
           row->prompt_bytes <= PROMPT_BYTES_MAX && row->negative_bytes <= PROMPT_BYTES_MAX &&
           !(inside && job_row_prompts_outside(row)) && by_address == (row->address.length > 0) &&
           sound_for_workers(row);
}

int job_row_read(struct slice document, struct job_row *out)
{
    memset(out, 0, sizeof(*out));
    int status = layout_read(&layout, document, out, &out->rest);
    if (status)
        return status;
    return sound(out) ? 0 : JINI_E_CORRUPT;
}

int job_row_write(const struct job_row *row, struct buffer *out)
{
    JINI_ASSERT(sound(row));
    return layout_write(&layout, row, &row->rest, out);
}

static void copy_text(char *to, size_t capacity, struct slice text)
{
    JINI_ASSERT(text.length < capacity);
    if (text.length)
        memcpy(to, text.data, text.length);
    to[text.length] = '\0';
}

void job_row_show(const struct job_row *row, const struct jini_id *id, struct jini_job *out)
{
    bool outside = job_row_prompts_outside(row);
    *out = (struct jini_job){
        .id = *id,
        .user_id = row->user_id,
        .state = (enum jini_job_state)row->state,
        .parameters = {.width = row->width,
                       .height = row->height,
                       .steps = row->steps,
                       .count = row->count,
                       .seed = row->seed,
                       .guidance_millionths = row->guidance_millionths},
        .created_ms = row->created_ms,
        .started_ms = row->started_ms,
        .finished_ms = row->finished_ms,
        .expires_ms = row->expires_ms,
        .kept_until_ms = row->kept_until_ms,
        .cost_credits = row->cost_credits,
        .images = (uint32_t)(row->images.length / JINI_ID_BYTES),
        .prompt_bytes = outside ? row->prompt_bytes : (uint32_t)row->prompt.length,
        .negative_bytes = outside ? row->negative_bytes : (uint32_t)row->negative.length,
        .priority = row->priority,
        .attempt = row->attempt,
        .attempts_max = row->attempts_max,
    };
    if (row->flags & GENERATIONS_JOB_QUEUED)
        out->flags |= JINI_JOB_FOR_WORKERS;
    if (job_row_standing(row) == STANDING_DELAYED)
        out->flags |= JINI_JOB_DELAYED;
    copy_text(out->worker, sizeof(out->worker), row->worker);
    copy_text(out->parameters.model, sizeof(out->parameters.model), row->model);
    copy_text(out->error, sizeof(out->error), row->error);
}

int job_row_has_image(struct store_txn *txn, const struct job_row *row,
                      const struct jini_id *except)
{
    for (size_t at = 0; at < row->images.length; at += JINI_ID_BYTES) {
        struct jini_id id;
        struct tuple key;
        memcpy(id.bytes, row->images.data + at, JINI_ID_BYTES);
        if (except && id_equal(&id, except))
            continue;
        key_record(&key, &id);
        int status = store_has(txn, STORE_SPACE_IMAGES, tuple_key(&key));
        if (status != JINI_E_NOT_FOUND)
            return status;
    }
    return JINI_E_NOT_FOUND;
}

int job_row_due(struct store_txn *txn, const struct job_row *row, const struct jini_id *except,
                struct due_time *out)
{
    *out = (struct due_time){GENERATIONS_DUE_JOB, row->expires_ms};
    if (!generations_job_ended((enum jini_job_state)row->state))
        return 0;
    *out = (struct due_time){GENERATIONS_DUE_ENDED, 0};
    int status = row->kept_until_ms == 0 ? 0 : job_row_has_image(txn, row, except);
    if (status != JINI_E_NOT_FOUND)
        return status;
    out->due_ms = row->kept_until_ms;
    return 0;
}

int job_load(struct store_txn *txn, const struct jini_id *id, struct loaded_job *out,
             struct jini_error *error)
{
    struct tuple key;
    key_record(&key, id);
    struct buffer value = buffer_of(out->bytes, sizeof(out->bytes));
    int status = store_get(txn, STORE_SPACE_JOBS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return status;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = job_row_read(buffer_slice(&value), &out->row);
    return status ? record_failed(error, status, "job", id) : 0;
}

int job_put(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
            struct jini_error *error)
{
    uint8_t bytes[JOB_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = job_row_write(row, &value);
    if (status)
        return record_failed(error, status, "job", id);
    struct tuple key;
    key_record(&key, id);
    return store_put(txn, STORE_SPACE_JOBS, tuple_key(&key), buffer_slice(&value));
}
