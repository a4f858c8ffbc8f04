/*
 * Jobs. Every change of a job goes through one step, which is given the row as it was and as it
 * will be and works out what that means for the user's list, the running row, the due queue and the
 * queue for workers.
 */
#include "generations/generations_private.h"
#include "generations/waiting.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"

struct job_step {
    const struct jini_id *id;
    const struct job_row *before; /* NULL: it is new */
    struct job_row *after;        /* NULL: it goes */
    bool running_changed;
    struct list_edit list; /* of a job that is new or goes */
    struct running_edit running;
    struct waiting_edit waiting;
    struct due_time due_before;
    struct due_time due_after;
};

static int prepare_due(struct store_txn *txn, struct job_step *step)
{
    static const struct due_time never = {GENERATIONS_DUE_JOB, 0};
    int status = 0;
    step->due_before = step->due_after = never;
    if (step->before)
        status = job_row_due(txn, step->before, NULL, &step->due_before);
    if (status == 0 && step->after)
        status = job_row_due(txn, step->after, NULL, &step->due_after);
    return status;
}

static int prepare_list(struct store_txn *txn, struct job_step *step, struct jini_error *error)
{
    const struct list_counts none = {0};
    const struct list_counts one = {.items = 1};
    const struct job_row *row = step->before ? step->before : step->after;
    int status = list_edit_begin(txn, row->user_id, LIST_JOBS, &step->list, error);
    if (status)
        return status;
    if (step->before) {
        status = list_edit_remove(txn, &step->list, row->number, step->id, error);
        return status ? status : list_edit_count(&step->list, &one, &none, error);
    }
    list_edit_add(&step->list, step->id, &step->after->number);
    return list_edit_count(&step->list, &none, &one, error);
}

static int prepare_running(struct store_txn *txn, struct job_step *step, struct jini_error *error)
{
    bool before = step->before && job_row_runs(step->before);
    bool after = step->after && job_row_runs(step->after);
    step->running_changed =
        before != after || (before && step->before->expires_ms != step->after->expires_ms);
    if (!step->running_changed)
        return 0;
    struct generations_subject subject = job_row_subject(before ? step->before : step->after);
    int status = running_edit_begin(txn, &subject, &step->running, error);
    if (status)
        return status;
    if (after)
        return running_edit_set(&step->running, step->id, step->after->expires_ms, error);
    running_edit_remove(&step->running, step->id);
    return 0;
}

/* A prompt that is lost is no reason to keep the rest. */
static int delete_prompt(struct store_txn *txn, const struct tuple *key, uint32_t length)
{
    if (length == 0)
        return 0;
    int status = store_delete(txn, STORE_SPACE_JOBS, tuple_key(key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int delete_record(struct store_txn *txn, const struct job_step *step)
{
    struct tuple key;
    key_record(&key, step->id);
    int status = store_delete(txn, STORE_SPACE_JOBS, tuple_key(&key));
    key_prompt(&key, step->id);
    if (status == 0)
        status = delete_prompt(txn, &key, step->before->prompt_bytes);
    key_negative(&key, step->id);
    if (status == 0)
        status = delete_prompt(txn, &key, step->before->negative_bytes);
    return status;
}

/* Carries a change out: all reads and checks, then all writes. */
static int take_step(struct store_txn *txn, struct job_step *step, struct jini_error *error)
{
    bool list_changed = !step->before || !step->after;
    int status = list_changed ? prepare_list(txn, step, error) : 0;
    if (status == 0)
        status = prepare_running(txn, step, error);
    if (status == 0)
        status =
            waiting_edit_begin(txn, step->id, step->before, step->after, &step->waiting, error);
    if (status == 0)
        status = prepare_due(txn, step);
    if (status == 0)
        status =
            step->after ? job_put(txn, step->id, step->after, error) : delete_record(txn, step);
    if (status == 0 && list_changed)
        status = list_edit_write(txn, &step->list, error);
    if (status == 0 && step->running_changed)
        status = running_edit_write(txn, &step->running);
    if (status == 0)
        status = waiting_edit_write(txn, step->id, step->before, step->after, &step->waiting);
    if (status == 0)
        status = due_move(txn, step->id, step->due_before, step->due_after);
    return status;
}

int job_change(struct store_txn *txn, const struct jini_id *id, const struct job_row *before,
               struct job_row *after, struct jini_error *error)
{
    struct job_step step = {.id = id, .before = before, .after = after};
    return take_step(txn, &step, error);
}

static int check_prompt(const char *field, struct slice text, struct jini_error *error)
{
    if (text.length >= JINI_PROMPT_MAX)
        return error_set(error, JINI_E_TOO_BIG, field, "has %zu bytes: at most %d are taken",
                         text.length, JINI_PROMPT_MAX - 1);
    if (!text_is_utf8(text))
        return error_set(error, JINI_E_INVALID, field, "is not UTF-8 text without NUL");
    return 0;
}

static int check_for_workers(const struct generations_job *job, struct jini_error *error)
{
    if (!(job->flags & GENERATIONS_JOB_QUEUED))
        return 0;
    if (!(job->flags & GENERATIONS_JOB_COUNTED))
        return error_set(error, JINI_E_INVALID, "flags", "a job for workers is counted");
    if (job->priority > JINI_QUEUE_PRIORITY_MAX)
        return error_set(error, JINI_E_INVALID, "priority", "%u is not from 0 to %d",
                         (unsigned)job->priority, JINI_QUEUE_PRIORITY_MAX);
    if (job->attempts_max == 0)
        return error_set(error, JINI_E_INVALID, "attempts_max", "a job is tried once at least");
    return 0;
}

static int check_new(const struct generations_job *job, struct jini_error *error)
{
    int status;
    const struct jini_parameters *parameters = &job->parameters;
    if (id_is_zero(&job->id))
        return error_set(error, JINI_E_INVALID, "id", "is all zero, which is no id");
    const char *end = memchr(parameters->model, '\0', sizeof(parameters->model));
    if (!end || !text_is_utf8(slice_of_text(parameters->model)))
        return error_set(error, JINI_E_INVALID, "model", "is not UTF-8 text of at most %d bytes",
                         JINI_MODEL_MAX - 1);
    if (parameters->count == 0 || parameters->count > JINI_JOB_IMAGES_MAX)
        return error_set(error, JINI_E_INVALID, "count", "is %u: a job makes 1 to %d images",
                         (unsigned)parameters->count, JINI_JOB_IMAGES_MAX);
    if (job->reservation.length > GENERATIONS_RESERVATION_MAX)
        return error_set(error, JINI_E_TOO_BIG, "reservation", "has %zu bytes: at most %d are kept",
                         job->reservation.length, GENERATIONS_RESERVATION_MAX);
    if (job->facts.length > GENERATIONS_FACTS_MAX)
        return error_set(error, JINI_E_TOO_BIG, "facts", "has %zu bytes: at most %d are kept",
                         job->facts.length, GENERATIONS_FACTS_MAX);
    if ((job->flags & ~(uint32_t)(GENERATIONS_JOB_COUNTED | GENERATIONS_JOB_QUEUED)) != 0)
        return error_set(error, JINI_E_INVALID, "flags", "%#x has unknown bits",
                         (unsigned)job->flags);
    status = check_for_workers(job, error);
    if (status)
        return status;
    bool by_address = job->user_id == 0 && job->flags & GENERATIONS_JOB_COUNTED;
    if (by_address != (job->address.length > 0) || job->address.length > GENERATIONS_ADDRESS_MAX)
        return error_set(error, JINI_E_INVALID, "address",
                         "has %zu bytes: an anonymous job that is counted has 1 to %d, others none",
                         job->address.length, GENERATIONS_ADDRESS_MAX);
    status = check_prompt("prompt", job->prompt, error);
    return status ? status : check_prompt("negative", job->negative, error);
}

static void fill_new(struct job_row *row, const struct generations_job *job)
{
    const struct jini_parameters *parameters = &job->parameters;
    *row = (struct job_row){
        .user_id = job->user_id,
        .state = JINI_JOB_IN_QUEUE,
        .created_ms = job->created_ms,
        .expires_ms = job->expires_ms,
        .cost_credits = job->cost_credits,
        .width = parameters->width,
        .height = parameters->height,
        .steps = parameters->steps,
        .count = parameters->count,
        .seed = parameters->seed,
        .guidance_millionths = parameters->guidance_millionths,
        .model = slice_of_text(parameters->model),
        .reservation = job->reservation,
        .facts = job->facts,
        .address = job->address,
        .flags = job->flags,
    };
    if (job->flags & GENERATIONS_JOB_QUEUED) {
        row->priority = job->priority;
        row->attempts_max = job->attempts_max;
        row->wait_ms = job->wait_ms;
    }
    if (job->prompt.length + job->negative.length <= GENERATIONS_PROMPTS_INLINE_MAX) {
        row->prompt = job->prompt;
        row->negative = job->negative;
    } else {
        row->prompt_bytes = (uint32_t)job->prompt.length;
        row->negative_bytes = (uint32_t)job->negative.length;
    }
}

static int put_prompts(struct store_txn *txn, const struct generations_job *job,
                       const struct job_row *row)
{
    struct tuple key;
    int status = 0;
    if (row->prompt_bytes != 0) {
        key_prompt(&key, &job->id);
        status = store_put(txn, STORE_SPACE_JOBS, tuple_key(&key), job->prompt);
    }
    if (status == 0 && row->negative_bytes != 0) {
        key_negative(&key, &job->id);
        status = store_put(txn, STORE_SPACE_JOBS, tuple_key(&key), job->negative);
    }
    return status;
}

int generations_job_create(struct store_txn *txn, const struct generations_job *job,
                           struct jini_error *error)
{
    int status = check_new(job, error);
    if (status)
        return status;
    struct tuple key;
    key_record(&key, &job->id);
    status = store_has(txn, STORE_SPACE_JOBS, tuple_key(&key));
    if (status != JINI_E_NOT_FOUND)
        return status ? status : error_set(error, JINI_E_EXISTS, "id", "there is a job of this id");
    if (job->flags & GENERATIONS_JOB_QUEUED) {
        status = generations_waiting_room(txn, job->waiting_max, error);
        if (status)
            return status;
    }
    struct job_row row;
    fill_new(&row, job);
    struct job_step step = {.id = &job->id, .after = &row};
    status = take_step(txn, &step, error);
    return status ? status : put_prompts(txn, job, &row);
}

int generations_job_get(struct store_txn *txn, const struct jini_id *id, struct jini_job *out,
                        struct jini_error *error)
{
    struct loaded_job job;
    memset(out, 0, sizeof(*out));
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", id);
    if (status == 0)
        job_row_show(&job.row, id, out);
    return status;
}

static int read_prompt(struct store_txn *txn, const struct tuple *key, uint32_t length,
                       struct buffer *out)
{
    if (length == 0)
        return 0;
    uint8_t bytes[JINI_PROMPT_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_JOBS, tuple_key(key), &value);
    if (status == JINI_E_NOT_FOUND || status == JINI_E_TOO_BIG ||
        (status == 0 && (value.length != length || !text_is_utf8(buffer_slice(&value)))))
        return JINI_E_CORRUPT;
    if (status)
        return status;
    buffer_append(out, value.data, value.length);
    return 0;
}

static int read_prompts(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
                        struct buffer *prompt, struct buffer *negative)
{
    struct tuple key;
    int status = 0;
    if (prompt) {
        buffer_append(prompt, row->prompt.data, row->prompt.length);
        key_prompt(&key, id);
        status = read_prompt(txn, &key, row->prompt_bytes, prompt);
    }
    if (status == 0 && negative) {
        buffer_append(negative, row->negative.data, row->negative.length);
        key_negative(&key, id);
        status = read_prompt(txn, &key, row->negative_bytes, negative);
    }
    return status;
}

int generations_job_prompts(struct store_txn *txn, const struct jini_id *id, struct buffer *prompt,
                            struct buffer *negative, struct jini_error *error)
{
    struct loaded_job job;
    int status = job_load(txn, id, &job, error);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (status == 0)
        status = read_prompts(txn, id, &job.row, prompt, negative);
    if (status)
        return record_failed(error, status, "job", id);
    if ((prompt && prompt->overflow) || (negative && negative->overflow))
        return error_set(error, JINI_E_TOO_BIG, prompt && prompt->overflow ? "prompt" : "negative",
                         "does not fit the buffer: %d bytes always do", JINI_PROMPT_MAX - 1);
    return 0;
}

int generations_job_images(struct store_txn *txn, const struct jini_id *id, struct jini_id *out,
                           size_t capacity, size_t *count, struct jini_error *error)
{
    struct loaded_job job;
    *count = 0;
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", id);
    if (status)
        return status;
    size_t images = job.row.images.length / JINI_ID_BYTES;
    if (images > capacity)
        return error_set(error, JINI_E_TOO_BIG, "capacity", "the job has %zu images: %d always fit",
                         images, JINI_JOB_IMAGES_MAX);
    if (images)
        memcpy(out, job.row.images.data, job.row.images.length);
    *count = images;
    return 0;
}

int generations_job_facts(struct store_txn *txn, const struct jini_id *id, struct buffer *out,
                          struct jini_error *error)
{
    struct loaded_job job;
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", id);
    if (status == 0)
        buffer_append(out, job.row.facts.data, job.row.facts.length);
    return status;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

struct slice job_failure(char cut[JINI_JOB_ERROR_MAX], const char *failure)
{
    return slice_of(cut, text_copy_utf8(cut, JINI_JOB_ERROR_MAX, failure));
}

/* `failure` holds the cut text, which the row borrows. */
static void fill_changed(struct job_row *row, const struct generations_job_change *change,
                         char failure[JINI_JOB_ERROR_MAX])
{
    row->state = change->to;
    if (!generations_job_ended(change->to)) {
        if (change->to == JINI_JOB_IN_PROGRESS && row->started_ms == 0)
            row->started_ms = later(change->now_ms, later(row->created_ms, 1));
        if (change->expires_ms != 0)
            row->expires_ms = change->expires_ms;
        return;
    }
    row->finished_ms = later(change->now_ms, later(later(row->created_ms, row->started_ms), 1));
    row->kept_until_ms = change->keep_ms ? row->finished_ms + change->keep_ms : 0;
    row->flags &= ~(uint32_t)GENERATIONS_JOB_DELAYED;
    row->reservation = slice_of(NULL, 0);
    row->address = slice_of(NULL, 0);
    row->cost_credits -=
        change->uncharged < row->cost_credits ? change->uncharged : row->cost_credits;
    if (change->failure)
        row->error = job_failure(failure, change->failure);
}

static void give_out(struct generations_job_change *change, struct slice reservation)
{
    if (!generations_job_ended(change->to) || reservation.length == 0)
        return;
    change->reservation_length = (uint32_t)reservation.length;
    memcpy(change->reservation, reservation.data, reservation.length);
}

/* Of a job for workers: only who has it renews and completes it; anybody may end it otherwise. */
static int check_holder(const struct job_row *row, const struct generations_job_change *change,
                        struct jini_error *error)
{
    enum job_standing standing = job_row_standing(row);
    if (change->attempt != 0) {
        if (standing == STANDING_TAKEN && row->attempt == change->attempt)
            return 0;
        return error_set(error, JINI_E_CONFLICT, "attempt",
                         "the job is %s at its attempt %u: who has attempt %u has lost it",
                         jini_job_state_name((enum jini_job_state)row->state), row->attempt,
                         change->attempt);
    }
    if (standing == STANDING_OUT ||
        (generations_job_ended(change->to) && change->to != JINI_JOB_COMPLETED))
        return 0;
    return error_set(error, JINI_E_CONFLICT, "attempt",
                     "the job is for workers: only who took it from the queue renews and finishes "
                     "it");
}

int generations_job_transition(struct store_txn *txn, struct generations_job_change *change,
                               struct jini_error *error)
{
    struct loaded_job job;
    memset(&change->job, 0, sizeof(change->job));
    change->reservation_length = 0;
    int status = job_load(txn, &change->id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", &change->id);
    if (status == 0)
        status =
            generations_job_check_change((enum jini_job_state)job.row.state, change->to, error);
    if (status == 0)
        status = check_holder(&job.row, change, error);
    if (status)
        return status;
    change->from = (enum jini_job_state)job.row.state;
    struct job_row after = job.row;
    char failure[JINI_JOB_ERROR_MAX];
    fill_changed(&after, change, failure);
    struct job_step step = {.id = &change->id, .before = &job.row, .after = &after};
    status = take_step(txn, &step, error);
    if (status)
        return status;
    job_row_show(&after, &change->id, &change->job);
    give_out(change, job.row.reservation);
    return 0;
}

int generations_job_delete(struct store_txn *txn, const struct jini_id *id,
                           struct jini_error *error)
{
    struct loaded_job job;
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", id);
    if (status)
        return status;
    if (!generations_job_ended((enum jini_job_state)job.row.state))
        return error_set(error, JINI_E_CONFLICT, "state",
                         "the job is %s: end it before it is deleted",
                         jini_job_state_name((enum jini_job_state)job.row.state));
    status = job_row_has_image(txn, &job.row, NULL);
    if (status != JINI_E_NOT_FOUND)
        return status ? status
                      : error_set(error, JINI_E_IN_USE, "images",
                                  "an image of the job is there: it goes after its last image");
    struct job_step step = {.id = id, .before = &job.row};
    return take_step(txn, &step, error);
}
