/* The rows of the queue for workers; waiting.h has their formats. */
#include "generations/generations_private.h"
#include "generations/waiting.h"

#include "base/error.h"
#include "base/id.h"

#define LINE(kind, member) LAYOUT(struct line_row, kind, member, 0)
#define RANK(kind, member) LAYOUT(struct rank_row, kind, member, 0)

static const struct layout_field line_fields[] = {
    [1] = LINE(UINT64, round),
    [2] = LINE(UINT64, count[STANDING_READY]),
    [3] = LINE(UINT64, count[STANDING_DELAYED]),
    [4] = LINE(UINT64, count[STANDING_TAKEN]),
    [5] = LINE(UINT64, head_round),
    [6] = LINE(UINT64, head_created_ms),
    [7] = LINE(16_BYTES, head),
};

static const struct layout_field rank_fields[] = {
    [1] = RANK(UINT64, count[STANDING_READY]),
    [2] = RANK(UINT64, count[STANDING_DELAYED]),
    [3] = RANK(UINT64, count[STANDING_TAKEN]),
    [4] = RANK(UINT64, taken),
    [5] = RANK(UINT64, completed),
    [6] = RANK(UINT64, retried),
    [7] = RANK(UINT64, returned),
};

static const struct layout line_layout = {line_fields,
                                          sizeof(line_fields) / sizeof(line_fields[0])};
static const struct layout rank_layout = {rank_fields,
                                          sizeof(rank_fields) / sizeof(rank_fields[0])};

enum job_standing job_row_standing(const struct job_row *row)
{
    if (!row || !(row->flags & GENERATIONS_JOB_QUEUED) ||
        generations_job_ended((enum jini_job_state)row->state))
        return STANDING_OUT;
    if (row->state == JINI_JOB_IN_PROGRESS)
        return STANDING_TAKEN;
    return row->flags & GENERATIONS_JOB_DELAYED ? STANDING_DELAYED : STANDING_READY;
}

/* ---- Keys ---- */

void key_waiting(struct tuple *key, const char *kind)
{
    tuple_begin(key);
    tuple_add_text(key, slice_of_text(kind));
}

static void add_priority(struct tuple *key, uint32_t priority)
{
    JINI_ASSERT(priority <= JINI_QUEUE_PRIORITY_MAX);
    tuple_add_uint(key, JINI_QUEUE_PRIORITY_MAX - priority);
}

static void add_line(struct tuple *key, const struct line *line)
{
    tuple_add_text(key, line->model);
    add_priority(key, line->priority);
}

void key_line(struct tuple *key, const struct line *line)
{
    key_waiting(key, "line");
    add_line(key, line);
}

void key_rank(struct tuple *key, uint32_t priority)
{
    key_waiting(key, "rank");
    add_priority(key, priority);
}

void key_head(struct tuple *key, const struct line *line, uint64_t created_ms)
{
    key_waiting(key, "head");
    add_priority(key, line->priority);
    tuple_add_uint(key, created_ms);
    tuple_add_text(key, line->model);
}

void key_turns(struct tuple *key, const struct line *line)
{
    key_waiting(key, "turn");
    add_line(key, line);
}

void key_turn(struct tuple *key, const struct line *line, uint64_t round, const struct jini_id *id)
{
    key_turns(key, line);
    tuple_add_uint(key, round);
    tuple_add_id(key, id);
}

void key_flow(struct tuple *key, const struct job_row *row)
{
    const struct line line = job_row_line(row);
    key_waiting(key, "flow");
    add_line(key, &line);
    tuple_add_uint(key, row->user_id);
    tuple_add_bytes(key, row->address);
}

/* ---- Keys read back ---- */

static int next_priority(struct tuple_reader *reader, uint32_t *out)
{
    uint64_t number;
    int status = tuple_next_uint(reader, &number);
    if (status == 0 && number > JINI_QUEUE_PRIORITY_MAX)
        status = JINI_E_CORRUPT;
    *out = status ? 0 : (uint32_t)(JINI_QUEUE_PRIORITY_MAX - number);
    return status;
}

static int next_model(struct tuple_reader *reader, struct waiting_key *out)
{
    struct tuple_element element;
    if (tuple_next(reader, &element) != 0 || element.type != TUPLE_TEXT ||
        element.length >= sizeof(out->model) || memchr(element.bytes, 0, element.length))
        return JINI_E_CORRUPT;
    memcpy(out->model, element.bytes, element.length);
    out->model[element.length] = '\0';
    out->line.model = slice_of_text(out->model);
    return 0;
}

static int next_line(struct tuple_reader *reader, struct waiting_key *out)
{
    int status = next_model(reader, out);
    return status ? status : next_priority(reader, &out->line.priority);
}

static int next_flow(struct tuple_reader *reader, struct waiting_key *out)
{
    struct tuple_element address;
    int status = next_line(reader, out);
    if (status == 0)
        status = tuple_next_uint(reader, &out->user_id);
    if (status)
        return status;
    if (tuple_next(reader, &address) != 0 || address.type != TUPLE_BYTES ||
        address.length > sizeof(out->address) || (out->user_id != 0) != (address.length == 0))
        return JINI_E_CORRUPT;
    memcpy(out->address, address.bytes, address.length);
    out->address_length = address.length;
    return tuple_next_uint(reader, &out->number);
}

static int next_head(struct tuple_reader *reader, struct waiting_key *out)
{
    int status = next_priority(reader, &out->line.priority);
    if (status == 0)
        status = tuple_next_uint(reader, &out->number);
    return status ? status : next_model(reader, out);
}

int waiting_key_read(struct slice key, const char *kind, struct waiting_key *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    memset(out, 0, sizeof(*out));
    int status = tuple_next(&reader, &name);
    if (status || name.type != TUPLE_TEXT || !tuple_is_text(&name, kind))
        return JINI_E_CORRUPT;
    if (strcmp(kind, "rank") == 0)
        status = next_priority(&reader, &out->line.priority);
    else if (strcmp(kind, "head") == 0)
        status = next_head(&reader, out);
    else if (strcmp(kind, "flow") == 0)
        status = next_flow(&reader, out);
    else
        status = next_line(&reader, out);
    if (status == 0 && strcmp(kind, "turn") == 0) {
        status = tuple_next_uint(&reader, &out->number);
        if (status == 0)
            status = tuple_next_id(&reader, &out->id);
    }
    return status == 0 && reader.rest.length == 0 ? 0 : JINI_E_CORRUPT;
}

/* ---- Rows ---- */

static int load(struct store_txn *txn, const struct tuple *key, const struct layout *layout,
                void *row, struct layout_rest *rest)
{
    uint8_t bytes[WAITING_ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_WAITING, tuple_key(key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return layout_read(layout, buffer_slice(&value), row, rest);
}

int line_load(struct store_txn *txn, const struct line *line, struct line_row *out)
{
    struct tuple key;
    memset(out, 0, sizeof(*out));
    key_line(&key, line);
    return load(txn, &key, &line_layout, out, &out->rest);
}

int rank_load(struct store_txn *txn, uint32_t priority, struct rank_row *out)
{
    struct tuple key;
    memset(out, 0, sizeof(*out));
    key_rank(&key, priority);
    return load(txn, &key, &rank_layout, out, &out->rest);
}

int line_row_write(const struct line_row *row, struct buffer *out)
{
    return layout_write(&line_layout, row, &row->rest, out);
}

int rank_row_write(const struct rank_row *row, struct buffer *out)
{
    return layout_write(&rank_layout, row, &row->rest, out);
}

int line_first(struct store_txn *txn, const struct line *line, const struct jini_id *except,
               struct turn *out)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    struct waiting_key key;
    uint8_t bytes[TURN_ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    key_turns(&low, line);
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_WAITING, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while ((status = store_cursor_next(&cursor, &value)) == 0 || status == JINI_E_TOO_BIG) {
        /* A damaged row holds up no other. */
        if (status || value.length != TURN_ROW_BYTES ||
            waiting_key_read(cursor.key, "turn", &key) != 0 ||
            (except && id_equal(&key.id, except)))
            continue;
        *out = (struct turn){key.number, load_le64(bytes), key.id};
        break;
    }
    store_cursor_close(&cursor);
    return status;
}
