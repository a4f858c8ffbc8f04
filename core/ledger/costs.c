/* See costs.h. */
#include "ledger/costs.h"

#include "base/error.h"
#include "base/text.h"
#include "base/tuple.h"

#include <string.h>

enum { VERSION = 1, ROW_BYTES = 48, HEAD_BYTES = 8 };

__extension__ typedef unsigned __int128 wide;

/* ---- Rules ---- */

static int check_price(uint64_t price, const char *field, struct jini_error *error)
{
    if (price <= JINI_COST_MAX)
        return 0;
    return error_set(error, JINI_E_INVALID, field, "%llu; a price is at most 2^40",
                     (unsigned long long)price);
}

int costs_check(const struct jini_cost *cost, struct jini_error *error)
{
    const char *end = memchr(cost->model, '\0', sizeof(cost->model));
    if (!end || !text_is_utf8(slice_of(cost->model, (size_t)(end - cost->model))))
        return error_set(error, JINI_E_INVALID, "model", "UTF-8 text of up to %d bytes is taken",
                         JINI_MODEL_MAX - 1);
    int status = check_price(cost->per_image, "per_image", error);
    if (status == 0)
        status = check_price(cost->per_step, "per_step", error);
    if (status == 0)
        status = check_price(cost->per_megapixel, "per_megapixel", error);
    return status ? status : check_price(cost->per_megapixel_step, "per_megapixel_step", error);
}

uint64_t costs_of(const struct jini_cost *cost, uint32_t width, uint32_t height, uint32_t steps,
                  uint32_t count)
{
    const wide million = 1000 * 1000;
    wide pixels = (wide)width * height;
    wide image = million * (cost->per_image + (wide)cost->per_step * steps) +
                 pixels * (cost->per_megapixel + (wide)cost->per_megapixel_step * steps);
    wide credits = (image * count + 1000 * million - 1) / (1000 * million);
    return credits < JINI_CREDITS_MAX ? (uint64_t)credits : JINI_CREDITS_MAX;
}

/* ---- Rows ---- */

static void head_key(struct tuple *key)
{
    tuple_begin(key);
    tuple_add_text(key, slice_of_text("costs"));
}

/* Of all entries of a model. */
static void model_key(const char *model, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_text(key, slice_of_text("cost"));
    tuple_add_bytes(key, slice_of_text(model));
}

static int damaged(struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "costs", "an entry of the price list is damaged");
}

static int read_head(struct store_txn *txn, uint64_t *version, struct jini_error *error)
{
    uint8_t bytes[HEAD_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    *version = 0;
    head_key(&key);
    int status = store_get(txn, STORE_SPACE_PRICES, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != HEAD_BYTES))
        return damaged(error);
    if (status == 0)
        *version = load_le64(bytes);
    return status;
}

static void write_row(const struct jini_cost *cost, bool gone, uint8_t out[ROW_BYTES])
{
    memset(out, 0, ROW_BYTES);
    out[0] = VERSION;
    out[1] = gone;
    store_le64(out + 8, cost->changed_ms);
    store_le64(out + 16, cost->per_image);
    store_le64(out + 24, cost->per_step);
    store_le64(out + 32, cost->per_megapixel);
    store_le64(out + 40, cost->per_megapixel_step);
}

static int read_row(struct slice row, struct jini_cost *out, bool *gone)
{
    if (row.length < 1 || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    if (row.length != ROW_BYTES || row.data[1] > 1 || load_le64(row.data) >> 16 != 0)
        return JINI_E_CORRUPT;
    *gone = row.data[1];
    out->changed_ms = load_le64(row.data + 8);
    out->per_image = load_le64(row.data + 16);
    out->per_step = load_le64(row.data + 24);
    out->per_megapixel = load_le64(row.data + 32);
    out->per_megapixel_step = load_le64(row.data + 40);
    return costs_check(out, NULL) ? JINI_E_CORRUPT : 0;
}

/* The parts of the key of an entry. */
static int read_key(struct slice key, struct jini_cost *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element kind;
    struct tuple_element model;
    if (tuple_next(&reader, &kind) != 0 || !tuple_is_text(&kind, "cost") ||
        tuple_next(&reader, &model) != 0 || model.type != TUPLE_BYTES ||
        model.length >= sizeof(out->model) || memchr(model.bytes, '\0', model.length) ||
        tuple_next_uint(&reader, &out->version) != 0 || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    memset(out->model, 0, sizeof(out->model));
    memcpy(out->model, model.bytes, model.length);
    return 0;
}

/* The newest entry of a model. JINI_E_NOT_FOUND: there is none, or it was taken away. */
static int find_newest(struct store_txn *txn, const char *model, struct jini_cost *out,
                       struct jini_error *error)
{
    uint8_t bytes[ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_cursor cursor;
    struct tuple low;
    bool gone = false;
    memset(out, 0, sizeof(*out));
    model_key(model, &low);
    struct tuple high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_PRICES, tuple_key(&low), tuple_key(&high),
                                   STORE_BACKWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, &value);
    if (status == 0)
        status = read_key(cursor.key, out);
    if (status == 0)
        status = read_row(buffer_slice(&value), out, &gone);
    store_cursor_close(&cursor);
    if (status == JINI_E_TOO_BIG || status == JINI_E_CORRUPT)
        return damaged(error);
    return status == 0 && gone ? JINI_E_NOT_FOUND : status;
}

int costs_find(struct store_txn *txn, const char *model, struct jini_cost *out,
               struct jini_error *error)
{
    int status = find_newest(txn, model, out, error);
    if (status == JINI_E_NOT_FOUND && model[0] != '\0')
        status = find_newest(txn, "", out, error);
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

int costs_set(struct store_txn *txn, struct jini_cost *cost, bool remove, uint64_t now_ms,
              struct jini_error *error)
{
    uint8_t row[ROW_BYTES];
    uint8_t head[HEAD_BYTES];
    struct jini_cost old;
    struct tuple key;
    uint64_t version;
    int status = costs_check(cost, error);
    if (status == 0)
        status = read_head(txn, &version, error);
    if (status == 0 && remove && find_newest(txn, cost->model, &old, error) == JINI_E_NOT_FOUND)
        status = error_set(error, JINI_E_NOT_FOUND, "model",
                           "the price list has no entry of the model \"%s\"", cost->model);
    if (status)
        return status;
    cost->version = version + 1;
    cost->changed_ms = now_ms;
    write_row(cost, remove, row);
    model_key(cost->model, &key);
    tuple_add_uint(&key, cost->version);
    status = store_put(txn, STORE_SPACE_PRICES, tuple_key(&key), slice_of(row, sizeof(row)));
    if (status)
        return status;
    head_key(&key);
    store_le64(head, cost->version);
    return store_put(txn, STORE_SPACE_PRICES, tuple_key(&key), slice_of(head, sizeof(head)));
}

/* The first model behind the keys that begin with `low`. */
static int next_model(struct store_txn *txn, const struct tuple *low, char model[JINI_MODEL_MAX],
                      struct jini_error *error)
{
    struct store_cursor cursor;
    struct jini_cost first;
    struct tuple high;
    tuple_begin(&high);
    tuple_add_text(&high, slice_of_text("cost"));
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_PRICES, tuple_key(low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, NULL);
    if (status == 0 && read_key(cursor.key, &first) != 0)
        status = damaged(error);
    else if (status == 0)
        memcpy(model, first.model, JINI_MODEL_MAX);
    store_cursor_close(&cursor);
    return status;
}

int costs_list(struct store_txn *txn, const char *after, struct jini_cost *out, size_t capacity,
               size_t *count, struct jini_error *error)
{
    char model[JINI_MODEL_MAX];
    struct tuple low;
    int status = 0;
    *count = 0;
    tuple_begin(&low);
    tuple_add_text(&low, slice_of_text("cost"));
    if (after) {
        model_key(after, &low);
        tuple_after_prefix(&low);
    }
    while (*count < capacity && (status = next_model(txn, &low, model, error)) == 0) {
        status = find_newest(txn, model, &out[*count], error);
        if (status && status != JINI_E_NOT_FOUND)
            return status;
        *count += status == 0;
        model_key(model, &low);
        tuple_after_prefix(&low);
    }
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int costs_check_row(struct store_txn *txn, struct slice key)
{
    uint8_t bytes[ROW_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct jini_cost cost;
    struct tuple head;
    bool gone;
    int status = store_get(txn, STORE_SPACE_PRICES, key, &value);
    head_key(&head);
    if (status == JINI_E_TOO_BIG)
        return JINI_E_CORRUPT;
    if (status)
        return status;
    if (slice_equal(key, tuple_key(&head)))
        return value.length == HEAD_BYTES ? 0 : JINI_E_CORRUPT;
    status = read_key(key, &cost);
    return status ? status : read_row(buffer_slice(&value), &cost, &gone);
}
