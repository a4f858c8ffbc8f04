/*
 * Retention: the log loses its old end.
 *
 * An event goes when it is older than keep_ms and all consumers are done with it. It goes whatever
 * consumers need when it is older than keep_max_ms, or the log has too many bytes: a consumer that
 * nobody runs any more keeps nothing for ever. What such a consumer has lost by it is counted in
 * its record, and it goes on behind.
 */
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"

enum { SLICE = 256, ROW_OVERHEAD = 20 };

/* All consumers, as they are changed in one slice. */
struct consumers {
    size_t count;
    uint64_t safe; /* all are done with what comes up to here */
    bool changed[JINI_CONSUMERS_MAX];
    struct consumer items[JINI_CONSUMERS_MAX];
};

/* The first delivery that is held or waits; UINT64_MAX: none. */
static int first_delivery(struct store_txn *txn, const char *name, uint64_t *out)
{
    struct store_cursor rows;
    struct tuple low;
    struct tuple high;
    *out = UINT64_MAX;
    consumer_key(CONSUMER_DELIVERY, name, &low);
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    status = store_cursor_next(&rows, NULL);
    if (status == 0) {
        struct tuple_reader reader =
            tuple_reader_of(slice_of(rows.key.data + low.length, rows.key.length - low.length));
        tuple_next_uint(&reader, out);
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int load_all(struct store_txn *txn, struct consumers *all)
{
    all->safe = UINT64_MAX;
    memset(all->changed, 0, sizeof(all->changed));
    int status = consumers_list(txn, NULL, all->items, JINI_CONSUMERS_MAX, &all->count);
    for (size_t i = 0; status == 0 && i < all->count; i++) {
        const struct jini_consumer *is = &all->items[i].is;
        uint64_t first = UINT64_MAX;
        if (is->held > 0)
            status = first_delivery(txn, is->name, &first);
        uint64_t before = first > 0 ? first - 1 : 0;
        uint64_t safe = is->position < before ? is->position : before;
        all->safe = safe < all->safe ? safe : all->safe;
    }
    return status;
}

static bool is_to_go(const struct events_retention *retention, uint64_t position, uint64_t safe)
{
    uint64_t time_ms = position / 1000000;
    uint64_t age_ms = retention->now_ms > time_ms ? retention->now_ms - time_ms : 0;
    return retention->over_bytes > 0 ||
           (retention->keep_max_ms > 0 && age_ms > retention->keep_max_ms) ||
           (retention->keep_ms > 0 && age_ms > retention->keep_ms && position <= safe);
}

/* ---- What a consumer loses ---- */

static int lose_delivery(struct store_txn *txn, struct consumers *all, size_t at, uint64_t position,
                         struct buffer *value)
{
    struct jini_consumer *is = &all->items[at].is;
    struct delivery delivery;
    if (is->held == 0)
        return 0;
    int status = delivery_get(txn, is->name, position, value, &delivery);
    if (status == JINI_E_NOT_FOUND || status_is_damage(status) ||
        (status == 0 && delivery.event.length > 0))
        return 0;
    if (status)
        return status;
    is->held--;
    is->lost++;
    all->changed[at] = true;
    return delivery_remove(txn, is->name, &delivery);
}

static int lose(struct store_txn *txn, struct consumers *all, uint64_t position,
                const struct event_row *event, struct buffer *value)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < all->count; i++) {
        struct jini_consumer *is = &all->items[i].is;
        uint64_t lost = is->lost;
        if (is->kind == JINI_CONSUMER_EACH)
            status = lose_delivery(txn, all, i, position, value);
        if (is->position < position) { /* and it may hold it, after a replay */
            is->lost += is->lost == lost && event && events_filter_takes(&is->filter, event);
            is->position = position;
            is->epoch++; /* of who holds it: its batch begins before */
            is->leased_until_ms = 0;
            all->changed[i] = true;
        }
    }
    return status;
}

static uint64_t lost_by_all(const struct consumers *all)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < all->count; i++)
        sum += all->items[i].is.lost;
    return sum;
}

/* ---- A slice ---- */

struct retiring {
    struct store_txn *txn;
    struct events_retention *retention;
    struct consumers *all;
    struct buffer row;
    struct buffer value;
};

static int remove_row(struct retiring *retiring, struct slice key, uint64_t position)
{
    struct events_retention *retention = retiring->retention;
    struct tuple copy = {.length = key.length};
    struct event_row event;
    uint64_t bytes = key.length + retiring->row.length + ROW_OVERHEAD;
    bool readable = event_row_read(buffer_slice(&retiring->row), &event) == 0;
    int status = position <= retiring->all->safe ? 0
                                                 : lose(retiring->txn, retiring->all, position,
                                                        readable ? &event : NULL, &retiring->value);
    if (status)
        return status;
    memcpy(copy.bytes, key.data, key.length);
    retention->removed++;
    retention->over_bytes -= bytes < retention->over_bytes ? bytes : retention->over_bytes;
    return store_delete(retiring->txn, STORE_SPACE_EVENTS, tuple_key(&copy));
}

static int remove_rows(struct retiring *retiring)
{
    struct events_retention *retention = retiring->retention;
    struct store_cursor rows;
    int status = store_cursor_open(retiring->txn, STORE_SPACE_EVENTS, slice_of(NULL, 0),
                                   slice_of(NULL, 0), STORE_FORWARD, &rows);
    if (status)
        return status;
    while (status == 0 && retention->removed < SLICE) {
        uint64_t position = 0; /* a key that is none goes as the oldest */
        status = store_cursor_next(&rows, &retiring->row);
        if (status && status != JINI_E_TOO_BIG)
            break;
        event_key_read(rows.key, &position);
        status = 0;
        if (!is_to_go(retention, position, retiring->all->safe))
            break;
        status = remove_row(retiring, rows.key, position);
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int save_changed(struct store_txn *txn, const struct consumers *all)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < all->count; i++) {
        if (all->changed[i])
            status = consumer_save(txn, &all->items[i]);
    }
    return status;
}

int events_retire(struct store_txn *txn, struct events_retention *retention)
{
    struct retiring retiring = {.txn = txn, .retention = retention};
    const uint64_t over_bytes = retention->over_bytes;
    retention->removed = retention->lost = 0;
    retiring.all = base_malloc(sizeof(*retiring.all) + EVENT_ROW_MAX + DELIVERY_ROW_MAX);
    if (!retiring.all)
        return JINI_E_NO_MEMORY;
    uint8_t *bytes = (uint8_t *)(retiring.all + 1);
    retiring.row = buffer_of(bytes, EVENT_ROW_MAX);
    retiring.value = buffer_of(bytes + EVENT_ROW_MAX, DELIVERY_ROW_MAX);
    int status = load_all(txn, retiring.all);
    uint64_t lost = status ? 0 : lost_by_all(retiring.all);
    if (status == 0)
        status = remove_rows(&retiring);
    if (status == 0)
        status = save_changed(txn, retiring.all);
    if (status == 0)
        retention->lost = (uint32_t)(lost_by_all(retiring.all) - lost);
    retention->over_bytes = over_bytes; /* a run that follows on it does the same */
    base_free(retiring.all);
    return status;
}

int events_retention_due(struct store_txn *txn, const struct events_retention *retention, bool *due)
{
    struct store_cursor rows;
    uint64_t position = 0;
    *due = false;
    int status = store_cursor_open(txn, STORE_SPACE_EVENTS, slice_of(NULL, 0), slice_of(NULL, 0),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    status = store_cursor_next(&rows, NULL);
    if (status == 0)
        event_key_read(rows.key, &position);
    store_cursor_close(&rows);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    if (is_to_go(retention, position, 0)) {
        *due = true; /* whatever consumers need */
        return 0;
    }
    if (!is_to_go(retention, position, UINT64_MAX))
        return 0;
    struct consumers *all = base_malloc(sizeof(*all));
    if (!all)
        return JINI_E_NO_MEMORY;
    status = load_all(txn, all);
    *due = status == 0 && is_to_go(retention, position, all->safe);
    base_free(all);
    return status;
}
