/* Appending to lists and walking through them. */
#include "ledger/postings.h"

#include "base/error.h"
#include "base/tuple.h"

enum { VERSION = 1, VARINT_MAX = 10, KIND_TAIL = 0, KIND_CHUNK = 1 };

struct postings_term postings_number(enum postings_field field, uint64_t value)
{
    struct postings_term term = {.field = field};
    store_be64(term.value.bytes + 8, value);
    return term;
}

/* ---- Rows ---- */

/* A row under construction. */
struct row {
    uint32_t count;
    uint64_t first;
    uint64_t last;
    size_t length; /* of `bytes` */
    uint8_t bytes[POSTINGS_CHUNK_BYTES];
};

static void row_clear(struct row *row)
{
    row->count = 0;
    row->length = POSTINGS_HEADER_BYTES;
}

static size_t write_varint(uint64_t value, uint8_t out[VARINT_MAX])
{
    size_t length = 0;
    while (value >= 0x80) {
        out[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[length++] = (uint8_t)value;
    return length;
}

/* False: it does not fit any more. */
static bool row_add(struct row *row, uint64_t time)
{
    uint8_t bytes[VARINT_MAX];
    if (row->count == 0) {
        row->first = row->last = time;
        row->count = 1;
        return true;
    }
    JINI_ASSERT(time > row->last);
    size_t length = write_varint(time - row->last, bytes);
    if (row->length + length > sizeof(row->bytes))
        return false;
    memcpy(row->bytes + row->length, bytes, length);
    row->length += length;
    row->last = time;
    row->count++;
    return true;
}

static struct slice row_end(struct row *row)
{
    row->bytes[0] = VERSION;
    row->bytes[1] = 0;
    store_le16(row->bytes + 2, (uint16_t)row->count);
    store_le64(row->bytes + 4, row->first);
    store_le64(row->bytes + 12, row->last);
    return slice_of(row->bytes, row->length);
}

/* One varint of at most `length` bytes; how many it took, or 0. */
static size_t read_varint(const uint8_t *bytes, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length && i < VARINT_MAX; i++) {
        if (i == VARINT_MAX - 1 && bytes[i] > 1)
            return 0;
        value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *out = value;
            return i + 1;
        }
    }
    return 0;
}

int postings_read_row(struct slice row, uint64_t *times, uint32_t *count)
{
    *count = 0;
    if (row.length < POSTINGS_HEADER_BYTES || row.length > POSTINGS_CHUNK_BYTES)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    uint32_t wanted = load_le16(row.data + 2);
    if (row.data[0] != VERSION || row.data[1] != 0 || wanted < 1 || wanted > POSTINGS_ROW_TIMES_MAX)
        return JINI_E_CORRUPT;
    size_t at = POSTINGS_HEADER_BYTES;
    uint64_t time = load_le64(row.data + 4);
    times[0] = time;
    for (uint32_t i = 1; i < wanted; i++) {
        uint64_t difference;
        size_t took = read_varint(row.data + at, row.length - at, &difference);
        if (took == 0 || difference == 0 || difference > UINT64_MAX - time)
            return JINI_E_CORRUPT;
        at += took;
        times[i] = time += difference;
    }
    if (at != row.length || time != load_le64(row.data + 12))
        return JINI_E_CORRUPT;
    *count = wanted;
    return 0;
}

/* ---- Keys ---- */

static bool is_of_account(enum postings_field field)
{
    return field == POSTINGS_DEBITS || field == POSTINGS_CREDITS;
}

static void tail_key(const struct postings_term *term, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, KIND_TAIL);
    tuple_add_uint(key, term->field);
    tuple_add_id(key, &term->value);
}

static void chunk_key(const struct postings_term *term, uint64_t first_ns, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, KIND_CHUNK);
    tuple_add_uint(key, term->field);
    tuple_add_id(key, &term->value);
    tuple_add_uint(key, first_ns);
}

static int read_field(struct tuple_reader *reader, struct postings_term *out)
{
    uint64_t field;
    if (tuple_next_uint(reader, &field) != 0 || field == 0 || field >= POSTINGS_FIELDS)
        return JINI_E_CORRUPT;
    out->field = (enum postings_field)field;
    return 0;
}

int postings_read_key(struct slice key, struct postings_key *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    uint64_t kind;
    memset(out, 0, sizeof(*out));
    if (tuple_next_uint(&reader, &kind) != 0 || kind > KIND_CHUNK ||
        read_field(&reader, &out->term) != 0 || tuple_next_id(&reader, &out->term.value) != 0)
        return JINI_E_CORRUPT;
    if (kind == KIND_CHUNK && tuple_next_uint(&reader, &out->first_ns) != 0)
        return JINI_E_CORRUPT;
    bool of_account = is_of_account(out->term.field);
    out->row = kind == KIND_TAIL ? POSTINGS_TAIL : of_account ? POSTINGS_MARK : POSTINGS_CHUNK;
    return reader.rest.length == 0 && !(kind == KIND_TAIL && of_account) ? 0 : JINI_E_CORRUPT;
}

static int explain(int status, const struct postings_term *term, struct jini_error *error)
{
    static const char *const names[POSTINGS_FIELDS] = {
        "",       "debit_account_id", "credit_account_id", "code",
        "ledger", "user_data_128",    "user_data_64",      "user_data_32"};
    return error_set(error, status, names[term->field],
                     "a list of the transfers with a %s cannot be read: %s", names[term->field],
                     jini_status_text(status));
}

/* ---- Appending ---- */

/* The times of the tail; none where there is no row. */
static int read_tail(struct store_txn *txn, const struct postings_term *term, uint64_t *times,
                     uint32_t *count)
{
    uint8_t bytes[POSTINGS_CHUNK_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    *count = 0;
    tail_key(term, &key);
    int status = store_get(txn, STORE_SPACE_POSTINGS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0)
        status = postings_read_row(buffer_slice(&value), times, count);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

static int write_chunk(struct store_txn *txn, const struct postings_term *term, struct row *row)
{
    struct tuple key;
    chunk_key(term, row->first, &key);
    int status = store_put(txn, STORE_SPACE_POSTINGS, tuple_key(&key), row_end(row));
    row_clear(row);
    return status;
}

/* Adds one time. A row that is full by it becomes a chunk first. */
static int add(struct store_txn *txn, const struct postings_term *term, struct row *row,
               uint64_t time)
{
    if (row_add(row, time))
        return 0;
    int status = write_chunk(txn, term, row);
    row_add(row, time);
    return status;
}

static int write_tail(struct store_txn *txn, const struct postings_term *term, struct row *row)
{
    struct tuple key;
    tail_key(term, &key);
    return store_put(txn, STORE_SPACE_POSTINGS, tuple_key(&key), row_end(row));
}

/*
 * A tail always has the newest time, so that appending finds the end of the list in it. When it has
 * grown over its bound, all but that one leave it.
 */
int postings_append(struct store_txn *txn, const struct postings_term *term,
                    const struct postings_source *source, struct jini_error *error)
{
    uint64_t times[POSTINGS_ROW_TIMES_MAX];
    uint32_t count;
    struct row row;
    uint64_t time;
    uint64_t next;
    int status = read_tail(txn, term, times, &count);
    if (status)
        return explain(status, term, error);
    if (!source->next(source->context, &time))
        return 0;
    if (count > 0 && times[count - 1] >= time)
        return explain(JINI_E_CORRUPT, term, error);
    row_clear(&row);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        status = add(txn, term, &row, times[i]);
    while (status == 0 && source->next(source->context, &next)) {
        status = add(txn, term, &row, time);
        time = next;
    }
    if (status == 0 && row.count >= POSTINGS_TAIL_MAX)
        status = write_chunk(txn, term, &row);
    if (status == 0)
        status = add(txn, term, &row, time);
    return status ? status : write_tail(txn, term, &row);
}

/* ---- Walking ---- */

/*
 * Row after row: forward the chunk that begins at or before `min`, those that begin after it, the
 * tail; backward the tail, then the chunks that begin at or before `max`.
 */
enum { STEP_CHUNK_BEFORE, STEP_CHUNK_AFTER, STEP_TAIL, STEP_END };

void postings_open(struct postings_walk *walk, struct store_txn *txn,
                   const struct postings_term *term, uint64_t min, uint64_t max,
                   enum store_direction direction)
{
    walk->txn = txn;
    walk->term = *term;
    walk->direction = direction;
    walk->min = min;
    walk->max = max;
    walk->step = direction == STORE_FORWARD ? STEP_CHUNK_BEFORE : STEP_TAIL;
    if (min > max)
        walk->step = STEP_END;
    walk->count = 0;
    walk->at = 0;
}

/* The nearest chunk that begins at or before a time, or at or after it. JINI_E_NOT_FOUND. */
static int load_chunk(struct postings_walk *walk, uint64_t time, enum store_direction direction)
{
    uint8_t bytes[POSTINGS_CHUNK_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_cursor cursor;
    struct tuple low;
    struct tuple high;
    chunk_key(&walk->term, direction == STORE_FORWARD ? time : 0, &low);
    chunk_key(&walk->term, direction == STORE_FORWARD ? UINT64_MAX : time, &high);
    bool bounded = tuple_after_prefix(&high);
    JINI_ASSERT(bounded);
    int status = store_cursor_open(walk->txn, STORE_SPACE_POSTINGS, tuple_key(&low),
                                   tuple_key(&high), direction, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, &value);
    store_cursor_close(&cursor);
    if (status == 0)
        status = postings_read_row(buffer_slice(&value), walk->times, &walk->count);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

static int load_row(struct postings_walk *walk)
{
    bool forward = walk->direction == STORE_FORWARD;
    int step = walk->step;
    int status;
    if (step == STEP_TAIL) {
        status = read_tail(walk->txn, &walk->term, walk->times, &walk->count);
        walk->step = forward ? STEP_END : STEP_CHUNK_BEFORE;
        return status;
    }
    if (step == STEP_CHUNK_BEFORE)
        status = load_chunk(walk, forward ? walk->min : walk->max, STORE_BACKWARD);
    else
        status = load_chunk(walk, walk->min, STORE_FORWARD);
    if (forward && step == STEP_CHUNK_BEFORE)
        walk->step = STEP_CHUNK_AFTER;
    else if (status == JINI_E_NOT_FOUND)
        walk->step = forward ? STEP_TAIL : STEP_END;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Leaves of the row what lies in the range, and of the range what lies behind the row. */
static void cut(struct postings_walk *walk)
{
    uint32_t begin = 0;
    uint32_t end = walk->count;
    if (end == 0)
        return;
    uint64_t first = walk->times[0];
    uint64_t last = walk->times[end - 1];
    while (begin < end && walk->times[begin] < walk->min)
        begin++;
    while (end > begin && walk->times[end - 1] > walk->max)
        end--;
    walk->at = begin;
    walk->count = end;
    bool forward = walk->direction == STORE_FORWARD;
    if (forward ? last >= walk->max : first <= walk->min)
        walk->step = STEP_END;
    else if (forward)
        walk->min = last >= walk->min ? last + 1 : walk->min;
    else
        walk->max = first <= walk->max ? first - 1 : walk->max;
}

int postings_next(struct postings_walk *walk, uint64_t *time, struct jini_error *error)
{
    while (walk->at == walk->count) {
        walk->at = walk->count = 0;
        if (walk->step == STEP_END)
            return JINI_E_NOT_FOUND;
        int status = load_row(walk);
        if (status)
            return explain(status, &walk->term, error);
        cut(walk);
    }
    *time = walk->direction == STORE_FORWARD ? walk->times[walk->at++] : walk->times[--walk->count];
    return 0;
}
