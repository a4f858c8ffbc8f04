/* Choosing the next job for a worker, and what stands in the queue. */
#include "generations/generations_private.h"
#include "generations/waiting.h"

#include "base/error.h"
#include "base/id.h"

enum { DROPPED_MAX = 8 };

static bool is_damage(int status)
{
    return status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
}

/* A line that a worker may be served from, by its first job. */
struct candidate {
    bool found;
    uint64_t rank; /* the priority, raised by the time that the first job has waited */
    uint64_t created_ms;
    uint32_t priority;
    char model[JINI_MODEL_MAX];
};

static void consider(const struct generations_serves *serves, const struct line *line,
                     uint64_t created_ms, struct candidate *best)
{
    uint64_t waited_ms = serves->now_ms > created_ms ? serves->now_ms - created_ms : 0;
    uint64_t rank = line->priority + (serves->aging_ms ? waited_ms / serves->aging_ms : 0);
    if (best->found &&
        (rank < best->rank || (rank == best->rank && created_ms >= best->created_ms)))
        return;
    *best = (struct candidate){true, rank, created_ms, line->priority, {0}};
    memcpy(best->model, line->model.data, line->model.length);
}

/* A worker of all models: of each priority the line whose first job is the oldest. */
static int consider_all(struct store_txn *txn, const struct generations_serves *serves,
                        struct candidate *best)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    key_waiting(&low, "head");
    high = low;
    tuple_after_prefix(&high);
    for (;;) {
        int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                       STORE_FORWARD, &cursor);
        if (status)
            return status;
        do {
            status = store_cursor_next(&cursor, NULL);
        } while (status == 0 && waiting_key_read(cursor.key, "head", &key) != 0);
        store_cursor_close(&cursor);
        if (status)
            return status == JINI_E_NOT_FOUND ? 0 : status;
        consider(serves, &key.line, key.number, best);
        if (serves->aging_ms == 0)
            return 0; /* those behind it have a lower priority */
        key_waiting(&low, "head");
        tuple_add_uint(&low, JINI_QUEUE_PRIORITY_MAX - key.line.priority + 1);
    }
}

/* A line by its row; where that is damaged, by its turns. */
static int consider_line(struct store_txn *txn, const struct generations_serves *serves,
                         const struct line *line, struct candidate *best)
{
    struct line_row row;
    struct turn first;
    int status = line_load(txn, line, &row);
    if (status == 0 && !id_is_zero(&row.head))
        consider(serves, line, row.head_created_ms, best);
    if (!is_damage(status))
        return status == JINI_E_NOT_FOUND ? 0 : status;
    status = line_first(txn, line, NULL, &first);
    if (status == 0)
        consider(serves, line, first.created_ms, best);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* The lines of one model, by falling priority. */
static int consider_model(struct store_txn *txn, const struct generations_serves *serves,
                          const char *model, struct candidate *best)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    key_waiting(&low, "line");
    tuple_add_text(&low, slice_of_text(model));
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while ((status = store_cursor_next(&cursor, NULL)) == 0) {
        if (waiting_key_read(cursor.key, "line", &key) != 0)
            continue;
        status = consider_line(txn, serves, &key.line, best);
        if (status)
            break;
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int choose(struct store_txn *txn, const struct generations_serves *serves,
                  struct candidate *best)
{
    int status = 0;
    best->found = false;
    if (serves->model_count == 0)
        status = consider_all(txn, serves, best);
    for (uint32_t i = 0; status == 0 && i < serves->model_count; i++)
        status = consider_model(txn, serves, serves->models[i], best);
    return status;
}

int generations_waiting_any(struct store_txn *txn, const struct generations_serves *serves,
                            struct jini_error *error)
{
    struct candidate best;
    int status = choose(txn, serves, &best);
    if (status)
        return error_set(error, status, "queue", "the queue for workers cannot be read: %s",
                         jini_status_text(status));
    return best.found ? 0 : JINI_E_NOT_FOUND;
}

/* ---- Taking ---- */

static int put_line(struct store_txn *txn, const struct line *line, const struct line_row *row)
{
    uint8_t bytes[WAITING_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    int status = line_row_write(row, &value);
    key_line(&key, line);
    return status ? status
                  : store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), buffer_slice(&value));
}

static int remove_key(struct store_txn *txn, const struct tuple *key)
{
    int status = store_delete(txn, STORE_SPACE_WAITING, tuple_key(key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Sets the first job of a line right, which the rows of its turns tell. */
static int mend_head(struct store_txn *txn, const struct line *line, uint64_t created_ms)
{
    struct tuple key;
    struct line_row row;
    struct turn first = {0};
    int status = line_first(txn, line, NULL, &first);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    int loaded = line_load(txn, line, &row);
    key_head(&key, line, created_ms);
    status = remove_key(txn, &key);
    if (status || loaded)
        return status; /* verify tells of a line whose row is damaged */
    row.head_round = first.round;
    row.head_created_ms = first.created_ms;
    row.head = first.id;
    key_head(&key, line, first.created_ms);
    if (!id_is_zero(&first.id))
        status = store_put(txn, STORE_SPACE_WAITING, tuple_key(&key), slice_of(NULL, 0));
    return status ? status : put_line(txn, line, &row);
}

/*
 * Rows that lead to no job which waits there, or to one that damage keeps from being taken, go, or
 * they would hold up those behind them.
 */
static int drop_turn(struct store_txn *txn, struct generations_take *take, const struct line *line,
                     const struct turn *turn)
{
    struct tuple key;
    key_turn(&key, line, turn->round, &turn->id);
    take->damaged++;
    take->damaged_id = turn->id;
    return remove_key(txn, &key);
}

static bool stands_at(const struct job_row *row, const struct line *line, const struct turn *turn)
{
    return job_row_standing(row) == STANDING_READY && row->round == turn->round &&
           row->priority == line->priority && slice_equal(row->model, line->model);
}

static int take_job(struct store_txn *txn, struct generations_take *take, const struct jini_id *id,
                    const struct job_row *row, struct jini_error *error)
{
    struct job_row after = *row;
    uint64_t now_ms = take->serves.now_ms;
    after.state = JINI_JOB_IN_PROGRESS;
    after.started_ms = now_ms > row->created_ms ? now_ms : row->created_ms;
    after.started_ms += after.started_ms == 0;
    after.expires_ms = now_ms + take->lease_ms;
    after.attempt++;
    after.worker = slice_of_text(take->worker);
    int status = job_change(txn, id, row, &after, error);
    if (status == 0)
        job_row_show(&after, id, &take->job);
    return status;
}

/* JINI_E_CONFLICT: what stood there led to no job, and is gone. */
static int take_from(struct store_txn *txn, struct generations_take *take,
                     const struct candidate *best, struct jini_error *error)
{
    const struct line line = {slice_of_text(best->model), best->priority};
    struct loaded_job job;
    struct turn first;
    int status = line_first(txn, &line, NULL, &first);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (status == 0) {
        status = job_load(txn, &first.id, &job, error);
        if (status == 0 && stands_at(&job.row, &line, &first)) {
            status = take_job(txn, take, &first.id, &job.row, error);
            if (!is_damage(status))
                return status;
        }
        if (status && status != JINI_E_NOT_FOUND && !is_damage(status))
            return status;
        error_clear(error);
        status = drop_turn(txn, take, &line, &first);
        if (status)
            return status;
    }
    status = mend_head(txn, &line, best->created_ms);
    return status ? status : JINI_E_CONFLICT;
}

int generations_waiting_take(struct store_txn *txn, struct generations_take *take,
                             struct jini_error *error)
{
    struct candidate best;
    int status = JINI_E_CONFLICT;
    take->damaged = 0;
    for (int i = 0; i < DROPPED_MAX && status == JINI_E_CONFLICT; i++) {
        status = choose(txn, &take->serves, &best);
        if (status)
            return error_set(error, status, "queue", "the queue for workers cannot be read: %s",
                             jini_status_text(status));
        status = best.found ? take_from(txn, take, &best, error) : JINI_E_NOT_FOUND;
    }
    return status == JINI_E_CONFLICT ? JINI_E_NOT_FOUND : status;
}

/* ---- Position ---- */

/* Counts the turns of the line before this one. */
static int count_before(struct store_txn *txn, const struct line *line, const struct tuple *end,
                        uint32_t most, struct generations_position *out)
{
    struct tuple low;
    struct store_cursor cursor;
    key_turns(&low, line);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(end),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while ((status = store_cursor_next(&cursor, NULL)) == 0 && out->ahead < most)
        out->ahead++;
    store_cursor_close(&cursor);
    out->more = status == 0;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Adds those of the model's lines of a higher priority. */
static int count_above(struct store_txn *txn, const struct line *line,
                       struct generations_position *out)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    struct line_row row;
    key_waiting(&low, "line");
    tuple_add_text(&low, line->model);
    key_line(&high, line);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while ((status = store_cursor_next(&cursor, NULL)) == 0) {
        if (waiting_key_read(cursor.key, "line", &key) == 0 && line_load(txn, &key.line, &row) == 0)
            out->ahead += row.count[STANDING_READY];
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int generations_waiting_position(struct store_txn *txn, const struct jini_id *id, uint32_t most,
                                 struct generations_position *out, struct jini_error *error)
{
    struct loaded_job job;
    struct tuple end;
    *out = (struct generations_position){0};
    int status = job_load(txn, id, &job, error);
    if (status == JINI_E_NOT_FOUND)
        return record_failed(error, status, "job", id);
    if (status)
        return status;
    if (job_row_standing(&job.row) != STANDING_READY)
        return error_set(error, JINI_E_CONFLICT, "state", "the job is %s%s: it has no place",
                         jini_job_state_name((enum jini_job_state)job.row.state),
                         job.row.flags & GENERATIONS_JOB_DELAYED  ? ", delayed"
                         : job.row.flags & GENERATIONS_JOB_QUEUED ? ""
                                                                  : ", and for no worker");
    const struct line line = job_row_line(&job.row);
    key_turn(&end, &line, job.row.round, id);
    status = count_before(txn, &line, &end, most, out);
    return status ? status : count_above(txn, &line, out);
}

/* ---- Figures and lists ---- */

/* The rows of a kind behind a key, or all. */
static int open_kind(struct store_txn *txn, const char *kind, const struct tuple *after,
                     struct store_cursor *cursor)
{
    struct tuple low;
    struct tuple high;
    key_waiting(&low, kind);
    high = low;
    tuple_after_prefix(&high);
    if (after) {
        low = *after;
        tuple_after_prefix(&low);
    }
    return store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                             STORE_FORWARD, cursor);
}

static void show_counts(const uint64_t counts[STANDINGS], struct generations_line *out)
{
    out->ready = counts[STANDING_READY];
    out->delayed = counts[STANDING_DELAYED];
    out->taken = counts[STANDING_TAKEN];
}

/* A row that is damaged is shown with what its key says. */
static void show_line(struct store_txn *txn, const struct waiting_key *key,
                      struct generations_line *out)
{
    struct line_row row;
    memset(out, 0, sizeof(*out));
    memcpy(out->model, key->model, sizeof(out->model));
    out->priority = key->line.priority;
    if (line_load(txn, &key->line, &row) != 0)
        return;
    show_counts(row.count, out);
    out->oldest_ms = row.head_created_ms;
}

/* When the first job of the oldest of its lines was created. */
static uint64_t oldest_of(struct store_txn *txn, uint32_t priority)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    uint64_t oldest_ms = 0;
    key_waiting(&low, "head");
    tuple_add_uint(&low, JINI_QUEUE_PRIORITY_MAX - priority);
    high = low;
    tuple_after_prefix(&high);
    if (store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                          STORE_FORWARD, &cursor) != 0)
        return 0;
    if (store_cursor_next(&cursor, NULL) == 0 && waiting_key_read(cursor.key, "head", &key) == 0)
        oldest_ms = key.number;
    store_cursor_close(&cursor);
    return oldest_ms;
}

static void show_rank(struct store_txn *txn, const struct waiting_key *key,
                      struct generations_line *out)
{
    struct rank_row row;
    memset(out, 0, sizeof(*out));
    out->priority = key->line.priority;
    if (rank_load(txn, key->line.priority, &row) != 0)
        return;
    show_counts(row.count, out);
    out->oldest_ms = oldest_of(txn, out->priority);
    out->taken_ever = row.taken;
    out->completed_ever = row.completed;
    out->retried_ever = row.retried;
    out->returned_ever = row.returned;
}

typedef void show_fn(struct store_txn *txn, const struct waiting_key *key,
                     struct generations_line *out);

static int list_rows(struct store_txn *txn, const char *kind, const struct tuple *after,
                     show_fn *show, struct generations_line *out, size_t capacity, size_t *count)
{
    struct store_cursor cursor;
    struct waiting_key key;
    *count = 0;
    int status = open_kind(txn, kind, after, &cursor);
    if (status)
        return status;
    while (*count < capacity && (status = store_cursor_next(&cursor, NULL)) == 0) {
        if (waiting_key_read(cursor.key, kind, &key) == 0)
            show(txn, &key, &out[(*count)++]);
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int generations_lines(struct store_txn *txn, const struct generations_line *after,
                      struct generations_line *out, size_t capacity, size_t *count)
{
    struct tuple key;
    if (after) {
        const struct line line = {slice_of_text(after->model), after->priority};
        key_line(&key, &line);
    }
    return list_rows(txn, "line", after ? &key : NULL, show_line, out, capacity, count);
}

int generations_waiting_count(struct store_txn *txn, uint64_t *ready, uint64_t *delayed)
{
    struct store_cursor cursor;
    struct waiting_key key;
    struct rank_row row;
    *ready = *delayed = 0;
    int status = open_kind(txn, "rank", NULL, &cursor);
    if (status)
        return status;
    while ((status = store_cursor_next(&cursor, NULL)) == 0) {
        if (waiting_key_read(cursor.key, "rank", &key) != 0 ||
            rank_load(txn, key.line.priority, &row) != 0)
            continue;
        *ready += row.count[STANDING_READY];
        *delayed += row.count[STANDING_DELAYED];
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int generations_ranks(struct store_txn *txn, const struct generations_line *after,
                      struct generations_line *out, size_t capacity, size_t *count)
{
    struct tuple key;
    if (after)
        key_rank(&key, after->priority);
    return list_rows(txn, "rank", after ? &key : NULL, show_rank, out, capacity, count);
}

static void show_flow(const struct waiting_key *key, struct generations_flow_job *out)
{
    out->priority = key->line.priority;
    out->user_id = key->user_id;
    memcpy(out->model, key->model, sizeof(out->model));
}

static int read_flows(struct store_cursor *cursor, struct generations_flow_job *out,
                      size_t capacity, size_t *count)
{
    struct waiting_key key;
    while (*count < capacity) {
        struct buffer value = buffer_of(out[*count].id.bytes, JINI_ID_BYTES);
        int status = store_cursor_next(cursor, &value);
        if (status == JINI_E_NOT_FOUND)
            return 0;
        if (status && status != JINI_E_TOO_BIG)
            return status;
        if (status || value.length != JINI_ID_BYTES ||
            waiting_key_read(cursor->key, "flow", &key) != 0)
            continue;
        show_flow(&key, &out[(*count)++]);
    }
    return 0;
}

int generations_waiting_list(struct store_txn *txn, const char *model,
                             struct generations_place_in_flows *place,
                             struct generations_flow_job *out, size_t capacity, size_t *count)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    *count = 0;
    key_waiting(&low, "flow");
    if (model)
        tuple_add_text(&low, slice_of_text(model));
    high = low;
    tuple_after_prefix(&high);
    if (place->length) {
        memcpy(low.bytes, place->key, place->length);
        low.length = place->length;
        tuple_after_prefix(&low);
    }
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    status = read_flows(&cursor, out, capacity, count);
    if (status == 0 && *count > 0) {
        place->length = cursor.key.length;
        memcpy(place->key, cursor.key.data, cursor.key.length);
    }
    store_cursor_close(&cursor);
    if (status)
        *count = 0;
    return status;
}
