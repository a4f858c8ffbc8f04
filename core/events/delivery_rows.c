/* The rows of deliveries, and of the times at which they come back. */
#include "events/consumers.h"

enum { VERSION = 1, MOMENT_MS = 1000 };

void consumer_key(enum consumer_row kind, const char *name, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_uint(out, kind);
    if (name)
        tuple_add_text(out, slice_of_text(name));
}

static void key_of(const char *name, uint64_t position, struct tuple *out)
{
    consumer_key(CONSUMER_DELIVERY, name, out);
    tuple_add_uint(out, position);
}

static void due_key(const char *name, uint64_t due_ms, uint64_t position, struct tuple *out)
{
    consumer_key(CONSUMER_DUE, name, out);
    tuple_add_uint(out, due_ms);
    tuple_add_uint(out, position);
}

uint64_t consumer_time(const struct consumer *consumer, uint64_t now_ms)
{
    uint64_t time_ms = now_ms + consumer->ahead_ms;
    return time_ms < consumer->seen_ms ? consumer->seen_ms : time_ms;
}

bool consumer_time_stands(const struct consumer *consumer, uint64_t now_ms)
{
    return consumer->is.held > 0 &&
           consumer_time(consumer, now_ms) - now_ms - consumer->ahead_ms > MOMENT_MS;
}

uint64_t consumer_tick(struct consumer *consumer, uint64_t now_ms)
{
    consumer->seen_ms = consumer_time(consumer, now_ms);
    consumer->ahead_ms = consumer->seen_ms - now_ms;
    return consumer->seen_ms;
}

int delivery_get(struct store_txn *txn, const char *name, uint64_t position, struct buffer *value,
                 struct delivery *out)
{
    struct tuple key;
    key_of(name, position, &key);
    int status = store_get(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    const uint8_t *row = value->data;
    if (value->length < DELIVERY_HEADER || load_le32(row) != VERSION)
        return value->length > 0 && row[0] > VERSION ? JINI_E_FORMAT : JINI_E_CORRUPT;
    *out = (struct delivery){
        .position = position,
        .deliveries = load_le32(row + 4),
        .epoch = load_le64(row + 8),
        .due_ms = load_le64(row + 16),
        .event = slice_of(row + DELIVERY_HEADER, value->length - DELIVERY_HEADER),
    };
    return 0;
}

int delivery_has(struct store_txn *txn, const char *name, uint64_t position)
{
    struct tuple key;
    key_of(name, position, &key);
    return store_has(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
}

/* What is gone already is what was wanted. */
static int remove_key(struct store_txn *txn, const struct tuple *key)
{
    int status = store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Of the many rows without an event of their own, each is a few bytes. */
static int put_row(struct store_txn *txn, const char *name, const struct delivery *delivery)
{
    uint8_t bytes[DELIVERY_HEADER + EVENT_ROW_MAX];
    struct buffer row = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    uint8_t header[DELIVERY_HEADER] = {VERSION};
    store_le32(header + 4, delivery->deliveries);
    store_le64(header + 8, delivery->epoch);
    store_le64(header + 16, delivery->due_ms);
    buffer_append(&row, header, sizeof(header));
    buffer_append(&row, delivery->event.data, delivery->event.length);
    if (row.overflow)
        return JINI_E_TOO_BIG;
    key_of(name, delivery->position, &key);
    return store_put(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), buffer_slice(&row));
}

int delivery_put(struct store_txn *txn, const char *name, const struct delivery *delivery,
                 uint64_t old_due_ms)
{
    struct tuple key;
    int status = 0;
    if (old_due_ms) {
        due_key(name, old_due_ms, delivery->position, &key);
        status = remove_key(txn, &key);
    }
    due_key(name, delivery->due_ms, delivery->position, &key);
    if (status == 0)
        status = store_put(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), slice_of(NULL, 0));
    return status ? status : put_row(txn, name, delivery);
}

int delivery_remove(struct store_txn *txn, const char *name, const struct delivery *delivery)
{
    struct tuple key;
    due_key(name, delivery->due_ms, delivery->position, &key);
    int status = remove_key(txn, &key);
    if (status)
        return status;
    key_of(name, delivery->position, &key);
    return remove_key(txn, &key);
}

int delivery_event(struct store_txn *txn, const struct delivery *delivery, struct buffer *row,
                   struct slice *out)
{
    struct tuple key;
    *out = delivery->event;
    if (delivery->event.length > 0)
        return 0;
    event_key(delivery->position, &key);
    int status = store_get(txn, STORE_SPACE_EVENTS, tuple_key(&key), row);
    *out = buffer_slice(row);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}
