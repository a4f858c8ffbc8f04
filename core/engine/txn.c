/*
 * The caller's own transactions: its records in a space of their own, and the engine's calls beside
 * them.
 */
#include "engine/txn.h"

#include "base/alloc.h"
#include "base/error.h"

enum { DEFAULT_BYTES = 256 };

static int op_run_function(struct jini_txn *txn, void *argument)
{
    struct jini_write *write = argument;
    int status = write->function(txn, write->argument);
    if (status > 0)
        return error_set(
            &write->request.error, JINI_E_INVALID, "function",
            "it returned %d; a function of a transaction returns 0 or a negative status", status);
    /* A call that failed has said so; what is full or too big answers through the function. */
    bool the_functions = status && status != JINI_E_FULL && status != JINI_E_TOO_BIG;
    if (the_functions && write->request.error.code != status)
        explain_function(&write->request.error, status);
    return status;
}

int jini_write(struct jini *jini, struct jini_write *write, jini_callback *callback)
{
    int status = request_begin(jini, &write->request, sizeof(*write), REQUEST_WRITE, callback);
    if (status)
        return status;
    if (!write->function) {
        error_set(&write->request.error, JINI_E_INVALID, "function", "a function is needed");
        return request_refuse(&write->request, JINI_E_INVALID);
    }
    status = request_write(&write->request, op_run_function,
                           write->releases ? STORE_RELEASE : STORE_NEW_WORK,
                           write->bytes ? write->bytes : DEFAULT_BYTES, NULL);
    if (status)
        return request_refuse(&write->request, status);
    return callback ? 0 : request_wait(&write->request);
}

int jini_read(struct jini *jini, jini_txn_fn *function, void *argument, struct jini_error *error)
{
    struct jini_txn txn;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    txn.error = error;
    status = function(&txn, argument);
    txn_snapshot_end(&txn);
    if (status == 0)
        error_clear(error); /* of what a call inside said, and the function made good */
    else if (error && error->code != status)
        explain_function(error, status);
    return status;
}

/* How long a value is that did not fit: read once more, into a buffer for the longest. */
static int measure(struct jini_txn *txn, struct slice key, size_t *length)
{
    uint8_t *bytes = base_malloc(STORE_VALUE_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, STORE_VALUE_MAX);
    int status = store_get(txn->store, STORE_SPACE_APPLICATION, key, &value);
    *length = value.length;
    base_free(bytes);
    return status ? status : JINI_E_TOO_BIG;
}

int jini_txn_get(struct jini_txn *txn, const void *key, size_t key_length, void *value,
                 size_t capacity, size_t *length)
{
    struct buffer out = buffer_of(value, capacity);
    struct slice whole_key = slice_of(key, key_length);
    int status = store_get(txn->store, STORE_SPACE_APPLICATION, whole_key, &out);
    *length = out.length;
    return status == JINI_E_TOO_BIG ? measure(txn, whole_key, length) : status;
}

int jini_txn_put(struct jini_txn *txn, const void *key, size_t key_length, const void *value,
                 size_t value_length)
{
    return store_put(txn->store, STORE_SPACE_APPLICATION, slice_of(key, key_length),
                     slice_of(value, value_length));
}

int jini_txn_delete(struct jini_txn *txn, const void *key, size_t key_length)
{
    return store_delete(txn->store, STORE_SPACE_APPLICATION, slice_of(key, key_length));
}

int jini_txn_scan(struct jini_txn *txn, const struct jini_range *range, jini_visit_fn *visit,
                  void *argument)
{
    struct store_cursor cursor;
    int status = store_cursor_open(txn->store, STORE_SPACE_APPLICATION,
                                   slice_of(range->low, range->low ? range->low_length : 0),
                                   slice_of(range->high, range->high ? range->high_length : 0),
                                   range->backward ? STORE_BACKWARD : STORE_FORWARD, &cursor);
    if (status)
        return status;
    uint8_t *bytes = base_malloc(STORE_VALUE_MAX);
    if (!bytes) {
        store_cursor_close(&cursor);
        return JINI_E_NO_MEMORY;
    }
    struct buffer value = buffer_of(bytes, STORE_VALUE_MAX);
    int answer = 0;
    while (answer == 0 && (status = store_cursor_next(&cursor, &value)) == 0)
        answer = visit(argument, cursor.key.data, cursor.key.length, value.data, value.length);
    store_cursor_close(&cursor);
    base_free(bytes);
    return answer || status == JINI_E_NOT_FOUND ? answer : status;
}

int jini_txn_stamp(struct jini_txn *txn, uint64_t *out)
{
    return store_stamp(txn->store, out);
}
