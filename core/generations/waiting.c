/* What a change of a job means for the queue for workers. */
#include "generations/waiting.h"
#include "generations/generations_private.h"

#include "base/error.h"
#include "base/id.h"

static bool is_damage(int status)
{
    return status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
}

static int damaged(struct jini_error *error, int status)
{
    return error_set(error, status, "queue", "a row of the queue for workers cannot be read: %s",
                     jini_status_text(status));
}

/* ---- The round of a new job ---- */

/* The last round in which the user has a job in the line; 0: in none. */
static int last_round(struct store_txn *txn, const struct job_row *row, uint64_t *out)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    *out = 0;
    key_flow(&low, row);
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                   STORE_BACKWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, NULL);
    if (status == 0)
        status = waiting_key_read(cursor.key, "flow", &key);
    if (status == 0)
        *out = key.number;
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int choose_round(struct store_txn *txn, const struct line_row *line, struct job_row *after,
                        struct jini_error *error)
{
    int status = last_round(txn, after, &after->round);
    if (status)
        return damaged(error, status);
    if (after->round < line->round)
        after->round = line->round;
    if (++after->round == 0)
        return damaged(error, JINI_E_CORRUPT);
    return 0;
}

int generations_waiting_room(struct store_txn *txn, uint64_t waiting_max, struct jini_error *error)
{
    uint64_t ready;
    uint64_t delayed;
    if (waiting_max == 0)
        return 0;
    int status = generations_waiting_count(txn, &ready, &delayed);
    if (status)
        return damaged(error, status);
    if (ready + delayed < waiting_max)
        return 0;
    return error_set(error, JINI_E_BUSY, "queue", "%llu jobs wait for workers, and no more may",
                     (unsigned long long)(ready + delayed));
}

/* ---- The first of a line ---- */

static int compare_turns(const struct turn *a, const struct turn *b)
{
    if (a->round != b->round)
        return a->round < b->round ? -1 : 1;
    return jini_id_compare(&a->id, &b->id);
}

static void set_head(struct line_row *line, const struct turn *turn)
{
    line->head_round = turn->round;
    line->head_created_ms = turn->created_ms;
    line->head = turn->id;
}

static int choose_head(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
                       struct waiting_edit *edit)
{
    struct line_row *line = &edit->line;
    const struct line which = job_row_line(row);
    const struct turn mine = {row->round, row->created_ms, *id};
    struct turn first = {line->head_round, line->head_created_ms, line->head};
    if (edit->after == STANDING_READY && edit->before != STANDING_READY &&
        (id_is_zero(&first.id) || compare_turns(&mine, &first) < 0))
        set_head(line, &mine);
    if (edit->before != STANDING_READY || edit->after == STANDING_READY || !id_equal(&first.id, id))
        return 0;
    int status = line_first(txn, &which, id, &first);
    if (status == JINI_E_NOT_FOUND)
        first = (struct turn){0};
    else if (status)
        return status;
    set_head(line, &first);
    return 0;
}

/* ---- A change ---- */

static void count(uint64_t counts[STANDINGS], enum job_standing before, enum job_standing after)
{
    if (before != STANDING_OUT && counts[before] > 0)
        counts[before]--;
    if (after != STANDING_OUT)
        counts[after]++;
}

static void count_ever(struct rank_row *rank, const struct waiting_edit *edit,
                       const struct job_row *after)
{
    if (edit->after == STANDING_TAKEN)
        rank->taken += edit->before != STANDING_TAKEN;
    else if (edit->before == STANDING_TAKEN && edit->after == STANDING_OUT)
        rank->completed += after && after->state == JINI_JOB_COMPLETED;
    else if (edit->before == STANDING_TAKEN && edit->after == STANDING_DELAYED)
        rank->retried++;
    else if (edit->before == STANDING_TAKEN)
        rank->returned++;
}

/* What cannot be read keeps no job from ending; one that is new would stand in no order. */
static int pass_damage(int status, enum job_standing before, bool *lost, struct jini_error *error)
{
    *lost = is_damage(status);
    if (status == 0 || status == JINI_E_NOT_FOUND || (*lost && before != STANDING_OUT))
        return 0;
    return damaged(error, status);
}

int waiting_edit_begin(struct store_txn *txn, const struct jini_id *id,
                       const struct job_row *before, struct job_row *after,
                       struct waiting_edit *edit, struct jini_error *error)
{
    const struct job_row *row = before ? before : after;
    edit->before = job_row_standing(before);
    edit->after = job_row_standing(after);
    if (edit->before == STANDING_OUT && edit->after == STANDING_OUT)
        return 0;
    const struct line which = job_row_line(row);
    int status = line_load(txn, &which, &edit->line_before);
    edit->line_is_new = status == JINI_E_NOT_FOUND;
    status = pass_damage(status, edit->before, &edit->line_lost, error);
    if (status)
        return status;
    edit->line = edit->line_before;
    /* The figures of a priority keep nothing from anything. */
    status = rank_load(txn, row->priority, &edit->rank);
    edit->rank_lost = is_damage(status);
    if (edit->rank_lost || status == JINI_E_NOT_FOUND)
        status = 0;
    else if (status)
        status = damaged(error, status);
    if (status == 0 && edit->before == STANDING_OUT)
        status = choose_round(txn, &edit->line, after, error);
    if (status || edit->before == edit->after)
        return status;
    count(edit->line.count, edit->before, edit->after);
    count(edit->rank.count, edit->before, edit->after);
    count_ever(&edit->rank, edit, after);
    if (edit->after == STANDING_TAKEN && edit->line.round < row->round)
        edit->line.round = row->round;
    return choose_head(txn, id, row, edit);
}

/* The row may be gone already: take() drops what leads to no job. */
static int remove_row(struct store_txn *txn, const struct tuple *key)
{
    int status = store_delete(txn, STORE_SPACE_WAITING, tuple_key(key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int move_head(struct store_txn *txn, const struct line *line, const struct line_row *before,
                     const struct line_row *after)
{
    struct tuple key;
    bool had = !id_is_zero(&before->head);
    bool has = !id_is_zero(&after->head);
    if (had && has && before->head_created_ms == after->head_created_ms)
        return 0;
    key_head(&key, line, before->head_created_ms);
    int status = had ? remove_row(txn, &key) : 0;
    if (status || !has)
        return status;
    key_head(&key, line, after->head_created_ms);
    return store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), slice_of(NULL, 0));
}

static int write_line(struct store_txn *txn, const struct line *line,
                      const struct waiting_edit *edit)
{
    uint8_t bytes[WAITING_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    const uint64_t *counts = edit->line.count;
    struct tuple key;
    if (edit->line_lost)
        return 0;
    int status = move_head(txn, line, &edit->line_before, &edit->line);
    key_line(&key, line);
    if (status)
        return status;
    if (counts[STANDING_READY] + counts[STANDING_DELAYED] + counts[STANDING_TAKEN] == 0)
        return edit->line_is_new ? 0 : remove_row(txn, &key);
    status = line_row_write(&edit->line, &value);
    return status ? status
                  : store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), buffer_slice(&value));
}

static int write_rank(struct store_txn *txn, uint32_t priority, const struct waiting_edit *edit)
{
    uint8_t bytes[WAITING_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    key_rank(&key, priority);
    int status = edit->rank_lost ? 0 : rank_row_write(&edit->rank, &value);
    return status || edit->rank_lost
               ? status
               : store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), buffer_slice(&value));
}

static int write_turn(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
                      const struct waiting_edit *edit)
{
    const struct line line = job_row_line(row);
    struct tuple key;
    uint8_t created[TURN_ROW_BYTES];
    key_turn(&key, &line, row->round, id);
    if (edit->after != STANDING_READY)
        return edit->before == STANDING_READY ? remove_row(txn, &key) : 0;
    store_le64(created, row->created_ms);
    return store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), slice_of(created, sizeof(created)));
}

static int write_flow(struct store_txn *txn, const struct jini_id *id, const struct job_row *row,
                      const struct waiting_edit *edit)
{
    struct tuple key;
    key_flow(&key, row);
    tuple_add_uint(&key, row->round);
    if (edit->after == STANDING_OUT)
        return remove_row(txn, &key);
    if (edit->before != STANDING_OUT)
        return 0;
    return store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), slice_of(id->bytes, JINI_ID_BYTES));
}

int waiting_edit_write(struct store_txn *txn, const struct jini_id *id,
                       const struct job_row *before, const struct job_row *after,
                       const struct waiting_edit *edit)
{
    const struct job_row *row = before ? before : after;
    if (edit->before == edit->after)
        return 0;
    if (edit->after == STANDING_READY || edit->after == STANDING_DELAYED)
        store_signal(txn, STORE_SHARED_QUEUE);
    const struct line line = job_row_line(row);
    int status = write_turn(txn, id, row, edit);
    if (status == 0)
        status = write_flow(txn, id, row, edit);
    if (status == 0)
        status = write_line(txn, &line, edit);
    return status ? status : write_rank(txn, row->priority, edit);
}

/* ---- Back into the line ---- */

bool generations_comes_back(const struct jini_job *job)
{
    if (!(job->flags & JINI_JOB_FOR_WORKERS) || generations_job_ended(job->state))
        return false;
    if (job->state == JINI_JOB_IN_PROGRESS)
        return job->attempt < job->attempts_max;
    return (job->flags & JINI_JOB_DELAYED) != 0;
}

static int check_return(const struct generations_return *back, const struct job_row *row,
                        struct jini_error *error)
{
    enum job_standing standing = job_row_standing(row);
    if (standing != STANDING_TAKEN && (standing != STANDING_DELAYED || back->ready_ms != 0))
        return error_set(error, JINI_E_CONFLICT, "state",
                         "the job is %s: only one that a worker has goes back into the queue",
                         jini_job_state_name((enum jini_job_state)row->state));
    if (back->attempt != 0 && (standing != STANDING_TAKEN || back->attempt != row->attempt))
        return error_set(error, JINI_E_CONFLICT, "attempt",
                         "the job is at its attempt %u, not at %u", row->attempt, back->attempt);
    return 0;
}

int generations_waiting_return(struct store_txn *txn, struct generations_return *back,
                               struct jini_error *error)
{
    struct loaded_job job;
    char failure[JINI_JOB_ERROR_MAX];
    memset(&back->job, 0, sizeof(back->job));
    int status = job_load(txn, &back->id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", &back->id);
    if (status == 0)
        status = check_return(back, &job.row, error);
    if (status)
        return status;
    struct job_row after = job.row;
    after.state = JINI_JOB_IN_QUEUE;
    after.started_ms = 0;
    after.flags &= ~(uint32_t)GENERATIONS_JOB_DELAYED;
    after.expires_ms = job.row.wait_ms ? back->now_ms + job.row.wait_ms : 0;
    if (back->ready_ms != 0) {
        after.flags |= GENERATIONS_JOB_DELAYED;
        after.expires_ms = back->ready_ms;
    }
    if (back->failure)
        after.error = job_failure(failure, back->failure);
    status = job_change(txn, &back->id, &job.row, &after, error);
    if (status == 0)
        job_row_show(&after, &back->id, &back->job);
    return status;
}
