/* Records of consumers: made, found, listed, removed. */
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>

/* The fields of a record. Numbers are pinned for ever. */
enum field {
    FIELD_KIND = 1,
    FIELD_DELIVERIES_MAX = 2,
    FIELD_USER = 3,
    FIELD_PREFIXES = 4, /* parted by spaces */
    FIELD_POSITION = 5,
    FIELD_CREATED = 6,
    FIELD_HELD = 7,
    FIELD_DEAD = 8,
    FIELD_LOST = 9,
    FIELD_DEAD_LOST = 10,
    FIELD_EPOCH = 11,
    FIELD_LEASED_UNTIL = 12,
    FIELD_LEASE = 13,
    FIELD_GIVEN = 14,
    FIELD_AHEAD = 15,
    FIELD_SEEN = 16,
};

static const char type_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
static const char name_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:";

/* ---- Checks ---- */

int consumer_check_name(const char *name, struct jini_error *error)
{
    size_t length = name ? strnlen(name, JINI_CONSUMER_NAME_MAX) : 0;
    if (length > 0 && length < JINI_CONSUMER_NAME_MAX && strspn(name, name_bytes) == length)
        return 0;
    return error_set(error, JINI_E_INVALID, "consumer",
                     "a name is 1 to %d of a-z, A-Z, 0-9, _, -, the point and the colon",
                     JINI_CONSUMER_NAME_MAX - 1);
}

static int check_prefixes(const struct jini_events_filter *filter, struct jini_error *error)
{
    int status = events_filter_check(filter, error);
    for (uint32_t i = 0; status == 0 && i < filter->prefix_count; i++) {
        if (strspn(filter->prefixes[i], type_bytes) != strlen(filter->prefixes[i]))
            status = error_set(error, JINI_E_INVALID, "prefixes",
                               "no type begins with \"%.47s\": a-z, 0-9, _, - and the point are "
                               "what types have",
                               filter->prefixes[i]);
    }
    return status;
}

int consumer_check(struct jini_consumer *consumer, struct jini_error *error)
{
    bool each = consumer->kind == JINI_CONSUMER_EACH;
    int status = consumer_check_name(consumer->name, error);
    if (status)
        return status;
    if (!each && consumer->kind != JINI_CONSUMER_ONCE)
        return error_set(error, JINI_E_INVALID, "kind",
                         "it is JINI_CONSUMER_ONCE or JINI_CONSUMER_EACH");
    if (each && consumer->deliveries_max == 0)
        consumer->deliveries_max = CONSUMER_DELIVERIES;
    if (consumer->deliveries_max > (each ? JINI_DELIVERIES_MAX : 0))
        return error_set(error, JINI_E_INVALID, "deliveries_max",
                         "up to %d for a consumer EACH, and none for one ONCE",
                         JINI_DELIVERIES_MAX);
    return check_prefixes(&consumer->filter, error);
}

/* ---- Rows ---- */

static void add_prefixes(struct document_writer *writer, const struct jini_events_filter *filter)
{
    char text[JINI_EVENT_PREFIXES_MAX * JINI_EVENT_TYPE_MAX];
    size_t length = 0;
    for (uint32_t i = 0; i < filter->prefix_count; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? " " : "",
                                   filter->prefixes[i]);
    document_add_text(writer, FIELD_PREFIXES, slice_of(text, length));
}

int consumer_save(struct store_txn *txn, const struct consumer *consumer)
{
    uint8_t bytes[CONSUMER_RECORD_MAX];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    struct tuple key;
    const struct jini_consumer *is = &consumer->is;
    document_begin(&writer, &out);
    document_add_uint(&writer, FIELD_KIND, is->kind);
    document_add_uint(&writer, FIELD_DELIVERIES_MAX, is->deliveries_max);
    document_add_uint(&writer, FIELD_USER, is->filter.user_id);
    add_prefixes(&writer, &is->filter);
    document_add_uint(&writer, FIELD_POSITION, is->position);
    document_add_uint(&writer, FIELD_CREATED, is->created_ms);
    document_add_uint(&writer, FIELD_HELD, is->held);
    document_add_uint(&writer, FIELD_DEAD, is->dead);
    document_add_uint(&writer, FIELD_LOST, is->lost);
    document_add_uint(&writer, FIELD_DEAD_LOST, is->dead_lost);
    document_add_uint(&writer, FIELD_EPOCH, is->epoch);
    document_add_uint(&writer, FIELD_LEASED_UNTIL, is->leased_until_ms);
    document_add_uint(&writer, FIELD_LEASE, consumer->lease_ms);
    document_add_uint(&writer, FIELD_GIVEN, consumer->given);
    document_add_uint(&writer, FIELD_AHEAD, consumer->ahead_ms);
    document_add_uint(&writer, FIELD_SEEN, consumer->seen_ms);
    document_add_rest(&writer, &consumer->rest);
    int status = document_end(&writer);
    if (status)
        return status;
    consumer_key(CONSUMER_RECORD, is->name, &key);
    return store_put(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), buffer_slice(&out));
}

static int read_prefixes(struct slice text, struct jini_events_filter *out)
{
    while (text.length > 0) {
        const uint8_t *space = memchr(text.data, ' ', text.length);
        size_t length = space ? (size_t)(space - text.data) : text.length;
        if (out->prefix_count == JINI_EVENT_PREFIXES_MAX || length == 0 ||
            length >= JINI_EVENT_TYPE_MAX)
            return JINI_E_CORRUPT;
        memcpy(out->prefixes[out->prefix_count++], text.data, length);
        length += space != NULL;
        text = slice_of(text.data + length, text.length - length);
    }
    return 0;
}

static int read_field(const struct document_field *field, struct consumer *out)
{
    struct jini_consumer *is = &out->is;
    if (field->field == FIELD_PREFIXES)
        return field->type == DOCUMENT_TEXT ? read_prefixes(field->bytes, &is->filter)
                                            : JINI_E_CORRUPT;
    if (field->field > FIELD_SEEN)
        return document_keep(&out->rest, field);
    if (field->type != DOCUMENT_UINT)
        return JINI_E_CORRUPT;
    switch (field->field) {
    case FIELD_KIND:
        is->kind = (uint32_t)field->number;
        return field->number == JINI_CONSUMER_ONCE || field->number == JINI_CONSUMER_EACH
                   ? 0
                   : JINI_E_CORRUPT;
    case FIELD_DELIVERIES_MAX:
        is->deliveries_max = (uint32_t)field->number;
        return field->number <= JINI_DELIVERIES_MAX ? 0 : JINI_E_CORRUPT;
    case FIELD_USER:
        is->filter.user_id = field->number;
        return 0;
    case FIELD_POSITION:
        is->position = field->number;
        return 0;
    case FIELD_CREATED:
        is->created_ms = field->number;
        return 0;
    case FIELD_HELD:
        is->held = field->number;
        return 0;
    case FIELD_DEAD:
        is->dead = field->number;
        return 0;
    case FIELD_LOST:
        is->lost = field->number;
        return 0;
    case FIELD_DEAD_LOST:
        is->dead_lost = field->number;
        return 0;
    case FIELD_EPOCH:
        is->epoch = field->number;
        return 0;
    case FIELD_LEASED_UNTIL:
        is->leased_until_ms = field->number;
        return 0;
    case FIELD_LEASE:
        out->lease_ms = (uint32_t)field->number;
        return 0;
    case FIELD_GIVEN:
        out->given = field->number;
        return 0;
    case FIELD_AHEAD:
        out->ahead_ms = field->number;
        return field->number <= INT64_MAX ? 0 : JINI_E_CORRUPT;
    case FIELD_SEEN:
        out->seen_ms = field->number;
        return field->number <= INT64_MAX ? 0 : JINI_E_CORRUPT;
    default:
        return JINI_E_CORRUPT;
    }
}

static int read_record(struct slice row, struct consumer *out)
{
    struct document_reader reader;
    struct document_field field;
    int status = document_open(&reader, row);
    while (status == 0) {
        status = document_next(&reader, &field);
        if (status == 0 && field.type == DOCUMENT_END)
            return out->is.kind ? 0 : JINI_E_CORRUPT;
        if (status == 0)
            status = read_field(&field, out);
    }
    return status;
}

static int get(struct store_txn *txn, const char *name, struct consumer *out)
{
    uint8_t bytes[CONSUMER_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    memset(out, 0, sizeof(*out));
    consumer_key(CONSUMER_RECORD, name, &key);
    int status = store_get(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    snprintf(out->is.name, sizeof(out->is.name), "%s", name);
    return read_record(buffer_slice(&value), out);
}

int consumer_load(struct store_txn *txn, const char *name, struct consumer *out,
                  struct jini_error *error)
{
    int status = consumer_check_name(name, error);
    if (status)
        return status;
    status = get(txn, name, out);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "consumer", "there is no consumer \"%s\"", name);
    return status
               ? error_set(error, status, "consumer", "the record of \"%s\" cannot be read", name)
               : 0;
}

/* ---- Making and removing ---- */

/* The position of the newest event; 0: there is none. */
static int find_end(struct store_txn *txn, uint64_t *out)
{
    struct store_cursor rows;
    *out = 0;
    int status = store_cursor_open(txn, STORE_SPACE_EVENTS, slice_of(NULL, 0), slice_of(NULL, 0),
                                   STORE_BACKWARD, &rows);
    if (status)
        return status;
    do
        status = store_cursor_next(&rows, NULL);
    while (status == 0 && event_key_read(rows.key, out) != 0);
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static bool is_same(const struct jini_consumer *a, const struct jini_consumer *b)
{
    bool same = a->kind == b->kind && a->deliveries_max == b->deliveries_max &&
                a->filter.user_id == b->filter.user_id &&
                a->filter.prefix_count == b->filter.prefix_count;
    for (uint32_t i = 0; same && i < a->filter.prefix_count; i++)
        same = strcmp(a->filter.prefixes[i], b->filter.prefixes[i]) == 0;
    return same;
}

static int count_records(struct store_txn *txn, size_t *count)
{
    struct store_cursor rows;
    struct tuple low;
    struct tuple high;
    *count = 0;
    consumer_key(CONSUMER_RECORD, NULL, &low);
    consumer_key(CONSUMER_DELIVERY, NULL, &high);
    int status = store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    while (*count < JINI_CONSUMERS_MAX && (status = store_cursor_next(&rows, NULL)) == 0)
        ++*count;
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int make(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms,
                struct jini_error *error)
{
    struct consumer made = {.is = *consumer};
    size_t count;
    int status = count_records(txn, &count);
    if (status == 0 && count >= JINI_CONSUMERS_MAX)
        return error_set(error, JINI_E_BUSY, "consumer", "there are %d consumers, the most",
                         JINI_CONSUMERS_MAX);
    if (status == 0 && consumer->position == JINI_EVENTS_END)
        status = find_end(txn, &made.is.position);
    if (status)
        return status;
    struct jini_consumer *is = &made.is;
    is->created_ms = now_ms;
    is->lag_events = is->lag_ms = is->held = is->dead = is->lost = is->dead_lost = 0;
    is->epoch = is->leased_until_ms = 0;
    *consumer = made.is;
    return consumer_save(txn, &made);
}

int consumers_create(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms,
                     bool *existed, struct jini_error *error)
{
    struct consumer found;
    int status = get(txn, consumer->name, &found);
    *existed = status == 0;
    if (status == JINI_E_NOT_FOUND)
        return make(txn, consumer, now_ms, error);
    if (status)
        return error_set(error, status, "consumer", "the record of \"%s\" cannot be read",
                         consumer->name);
    if (!is_same(consumer, &found.is))
        return error_set(error, JINI_E_EXISTS, "consumer",
                         "\"%s\" is there, with another kind, filter or deliveries_max",
                         consumer->name);
    *consumer = found.is;
    return 0;
}

/* Removes all rows of a kind. Their number is bounded. */
static int remove_rows(struct store_txn *txn, enum consumer_row kind, const char *name)
{
    struct store_cursor rows;
    struct tuple low;
    struct tuple high;
    consumer_key(kind, name, &low);
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    while ((status = store_cursor_next(&rows, NULL)) == 0) {
        struct tuple key = {.length = rows.key.length};
        memcpy(key.bytes, rows.key.data, rows.key.length);
        status = store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
        if (status)
            break;
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* One whose record is damaged is removed as well. */
int consumers_delete(struct store_txn *txn, const char *name, struct jini_error *error)
{
    struct tuple key;
    int status = consumer_check_name(name, error);
    if (status)
        return status;
    consumer_key(CONSUMER_RECORD, name, &key);
    status = store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "consumer", "there is no consumer \"%s\"", name);
    store_signal(txn, STORE_SHARED_EVENTS); /* for those who wait on it in vain */
    for (int kind = CONSUMER_DELIVERY; status == 0 && kind <= CONSUMER_DEAD; kind++)
        status = remove_rows(txn, (enum consumer_row)kind, name);
    return status;
}

int consumers_seek(struct store_txn *txn, const char *name, uint64_t position,
                   struct jini_error *error)
{
    struct consumer consumer;
    int status = consumer_load(txn, name, &consumer, error);
    if (status == 0 && position == JINI_EVENTS_END)
        status = find_end(txn, &position);
    if (status)
        return status;
    consumer.is.position = position;
    consumer.is.epoch++;
    consumer.is.leased_until_ms = 0;
    store_signal(txn, STORE_SHARED_EVENTS); /* for those who wait for events behind it */
    return consumer_save(txn, &consumer);
}

/* ---- Looking ---- */

/* The name in a key of a record. */
static int read_name(struct slice key, char name[JINI_CONSUMER_NAME_MAX])
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element text;
    uint64_t kind;
    if (tuple_next_uint(&reader, &kind) != 0 || kind != CONSUMER_RECORD ||
        tuple_next(&reader, &text) != 0 || text.type != TUPLE_TEXT ||
        text.length >= JINI_CONSUMER_NAME_MAX || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    memcpy(name, text.bytes, text.length);
    name[text.length] = '\0';
    return strlen(name) == text.length ? consumer_check_name(name, NULL) : JINI_E_CORRUPT;
}

int consumers_list(struct store_txn *txn, const char *after, struct consumer *out, size_t capacity,
                   size_t *count)
{
    struct store_cursor rows;
    struct tuple low;
    struct tuple high;
    char name[JINI_CONSUMER_NAME_MAX];
    *count = 0;
    consumer_key(CONSUMER_RECORD, after, &low);
    consumer_key(CONSUMER_DELIVERY, NULL, &high);
    int status = store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    while (*count < capacity && (status = store_cursor_next(&rows, NULL)) == 0) {
        if (read_name(rows.key, name) != 0 || (after && strcmp(name, after) == 0))
            continue;
        status = get(txn, name, &out[*count]);
        if (status && !status_is_damage(status))
            break;
        *count += status == 0;
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int consumer_measure(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms)
{
    return consumer_measure_to(txn, consumer, now_ms, JINI_LAG_EVENTS_MAX);
}

int consumer_measure_to(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms,
                        uint64_t events_max)
{
    struct store_cursor rows;
    struct tuple low;
    consumer->lag_events = consumer->lag_ms = 0;
    if (consumer->position == UINT64_MAX)
        return 0;
    event_key(consumer->position + 1, &low);
    int status = store_cursor_open(txn, STORE_SPACE_EVENTS, tuple_key(&low), slice_of(NULL, 0),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    while (consumer->lag_events < events_max && (status = store_cursor_next(&rows, NULL)) == 0) {
        uint64_t position;
        if (event_key_read(rows.key, &position) != 0)
            continue;
        uint64_t time_ms = position / 1000000;
        if (consumer->lag_events++ == 0)
            consumer->lag_ms = time_ms < now_ms ? now_ms - time_ms : 1;
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}
