/* See requests.h. */
#include "generations/requests.h"

#include "base/error.h"
#include "base/tuple.h"
#include "generations/check_private.h"

enum { VERSION = 1, ROW_BYTES = 40, DAY_MS = 86400 * 1000, SWEEP_MAX = 256 };

static void key_of(uint64_t day, const struct jini_id *id, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, day);
    tuple_add_id(key, id);
}

static int read_row(struct slice row, struct generations_request *out)
{
    if (row.length < 1 || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    if (row.length != ROW_BYTES || load_le64(row.data) != VERSION)
        return JINI_E_CORRUPT;
    memcpy(out->job_id.bytes, row.data + 8, JINI_ID_BYTES);
    memcpy(out->digest.bytes, row.data + 24, sizeof(out->digest.bytes));
    return 0;
}

static int find_on(struct store_txn *txn, const struct jini_id *id, uint64_t day,
                   struct generations_request *out)
{
    uint8_t bytes[ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    key_of(day, id, &key);
    int status = store_get(txn, STORE_SPACE_REQUESTS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    out->id = *id;
    return read_row(buffer_slice(&value), out);
}

int generations_request_find(struct store_txn *txn, const struct jini_id *id, uint64_t now_ms,
                             struct generations_request *out)
{
    uint64_t day = now_ms / DAY_MS;
    int status = find_on(txn, id, day, out);
    if (status == JINI_E_NOT_FOUND && day > 0)
        status = find_on(txn, id, day - 1, out);
    return status == JINI_E_NOT_FOUND ? find_on(txn, id, day + 1, out) : status;
}

int generations_request_add(struct store_txn *txn, const struct generations_request *request,
                            uint64_t now_ms)
{
    uint8_t row[ROW_BYTES] = {VERSION};
    struct tuple key;
    memcpy(row + 8, request->job_id.bytes, JINI_ID_BYTES);
    memcpy(row + 24, request->digest.bytes, sizeof(request->digest.bytes));
    key_of(now_ms / DAY_MS, &request->id, &key);
    return store_put(txn, STORE_SPACE_REQUESTS, tuple_key(&key), slice_of(row, sizeof(row)));
}

/* ---- Removing ---- */

static int open_old(struct store_txn *txn, uint64_t now_ms, struct store_cursor *cursor)
{
    struct tuple high;
    uint64_t day = now_ms / DAY_MS;
    tuple_begin(&high);
    tuple_add_uint(&high, day > 0 ? day - 1 : 0);
    return store_cursor_open(txn, STORE_SPACE_REQUESTS, slice_of(NULL, 0), tuple_key(&high),
                             STORE_FORWARD, cursor);
}

int generations_requests_due(struct store_txn *txn, uint64_t now_ms, bool *due)
{
    struct store_cursor cursor;
    *due = false;
    int status = open_old(txn, now_ms, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, NULL);
    store_cursor_close(&cursor);
    *due = status == 0;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int generations_requests_sweep(struct store_txn *txn, uint64_t now_ms, uint32_t most,
                               uint32_t *removed)
{
    struct tuple keys[SWEEP_MAX];
    struct store_cursor cursor;
    uint32_t count = 0;
    *removed = 0;
    int status = open_old(txn, now_ms, &cursor);
    if (status)
        return status;
    while (count < most && count < SWEEP_MAX && (status = store_cursor_next(&cursor, NULL)) == 0) {
        tuple_begin(&keys[count]);
        memcpy(keys[count].bytes, cursor.key.data, cursor.key.length);
        keys[count++].length = cursor.key.length;
    }
    store_cursor_close(&cursor);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    status = 0;
    for (; status == 0 && *removed < count; *removed += status == 0)
        status = store_delete(txn, STORE_SPACE_REQUESTS, tuple_key(&keys[*removed]));
    return status;
}

/* ---- Verify ---- */

int generations_check_request(const struct generations_check *check, struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct generations_request request;
    struct jini_id id;
    uint64_t day;
    if (tuple_next_uint(&reader, &day) != 0 || tuple_next_id(&reader, &id) != 0 ||
        reader.rest.length != 0)
        return check_stray_key(check, STORE_SPACE_REQUESTS, key, "request_key_damaged");
    int status = find_on(check->txn, &id, day, &request);
    const struct check_place place = {.kind = "request_damaged", .field = "request", .job = &id};
    if (check_is_damage(status))
        check_report(
            check, &place,
            "the row of an admitted request cannot be read; who sends it again is refused");
    return check_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}
