/*
 * The queue of what falls due.
 *
 * Space QUEUE, key (text kind, uint due_ms, id): kind is "job", "ended", "image", "purge" or
 * "engine", and the value belongs to who added the row. Rows are added near the end of their kind
 * and removed at its beginning.
 */
#include "generations/generations_private.h"

#include "base/error.h"

static void key_of(struct tuple *key, enum generations_due_kind kind, uint64_t due_ms,
                   const struct jini_id *id)
{
    key_due(key, kind, due_ms);
    tuple_add_id(key, id);
}

int generations_due_add(struct store_txn *txn, const struct generations_due *due,
                        struct jini_error *error)
{
    if (due->value_length > sizeof(due->value))
        return error_set(error, JINI_E_INVALID, "value_length",
                         "the value of a due row has %u bytes: at most %d are kept",
                         (unsigned)due->value_length, GENERATIONS_DUE_VALUE_MAX);
    struct tuple key;
    key_of(&key, due->kind, due->due_ms, &due->id);
    return store_put(txn, STORE_SPACE_QUEUE, tuple_key(&key),
                     slice_of(due->value, due->value_length));
}

int generations_due_remove(struct store_txn *txn, const struct generations_due *due)
{
    struct tuple key;
    key_of(&key, due->kind, due->due_ms, &due->id);
    return store_delete(txn, STORE_SPACE_QUEUE, tuple_key(&key));
}

int due_move(struct store_txn *txn, const struct jini_id *id, struct due_time before,
             struct due_time after)
{
    struct tuple key;
    if (before.kind == after.kind && before.due_ms == after.due_ms)
        return 0;
    if (before.due_ms != 0) {
        key_of(&key, before.kind, before.due_ms, id);
        int status = store_delete(txn, STORE_SPACE_QUEUE, tuple_key(&key));
        /* Whoever works through the queue may have taken the row away already. */
        if (status && status != JINI_E_NOT_FOUND)
            return status;
    }
    if (after.due_ms == 0)
        return 0;
    key_of(&key, after.kind, after.due_ms, id);
    return store_put(txn, STORE_SPACE_QUEUE, tuple_key(&key), slice_of(NULL, 0));
}

static int read_key(struct slice key, struct generations_due *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element element;
    if (tuple_next(&reader, &element) != 0 || element.type != TUPLE_TEXT ||
        tuple_next_uint(&reader, &out->due_ms) != 0 || tuple_next_id(&reader, &out->id) != 0 ||
        reader.rest.length != 0)
        return JINI_E_CORRUPT;
    return 0;
}

static int read_rows(struct store_cursor *cursor, enum generations_due_kind kind,
                     struct generations_due *out, size_t capacity, size_t *count)
{
    while (*count < capacity) {
        struct generations_due *due = &out[*count];
        memset(due, 0, sizeof(*due));
        due->kind = kind;
        struct buffer value = buffer_of(due->value, sizeof(due->value));
        int status = store_cursor_next(cursor, &value);
        if (status == JINI_E_NOT_FOUND)
            return 0;
        if (status && status != JINI_E_TOO_BIG)
            return status;
        if (status == JINI_E_TOO_BIG || read_key(cursor->key, due) != 0)
            continue; /* a damaged row holds up no other */
        due->value_length = (uint32_t)value.length;
        (*count)++;
    }
    return 0;
}

static int list_from(struct store_txn *txn, const struct tuple *low, enum generations_due_kind kind,
                     uint64_t now_ms, struct generations_due *out, size_t capacity, size_t *count,
                     struct jini_error *error)
{
    *count = 0;
    struct tuple high;
    key_due(&high, kind, now_ms);
    bool bounded = tuple_after_prefix(&high); /* behind all rows of now_ms itself */
    JINI_ASSERT(bounded);
    struct store_cursor cursor;
    int status = store_cursor_open(txn, STORE_SPACE_QUEUE, tuple_key(low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status == 0) {
        status = read_rows(&cursor, kind, out, capacity, count);
        store_cursor_close(&cursor);
    }
    if (status)
        *count = 0;
    return status ? error_set(error, status, "queue", "the due queue cannot be read: %s",
                              jini_status_text(status))
                  : 0;
}

int generations_due_list(struct store_txn *txn, enum generations_due_kind kind, uint64_t now_ms,
                         struct generations_due *out, size_t capacity, size_t *count,
                         struct jini_error *error)
{
    struct tuple low;
    key_due(&low, kind, 0);
    return list_from(txn, &low, kind, now_ms, out, capacity, count, error);
}

int generations_due_list_after(struct store_txn *txn, const struct generations_due *after,
                               uint64_t now_ms, struct generations_due *out, size_t capacity,
                               size_t *count, struct jini_error *error)
{
    struct tuple low;
    key_of(&low, after->kind, after->due_ms, &after->id);
    bool bounded = tuple_after_prefix(&low);
    JINI_ASSERT(bounded);
    return list_from(txn, &low, after->kind, now_ms, out, capacity, count, error);
}
