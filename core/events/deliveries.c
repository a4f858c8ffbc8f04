/*
 * Consumers EACH: taking and answering deliveries.
 *
 * A take goes first over what has come back, in the order of its times, then on along the log. What
 * it looks at is bounded, and what it passes over it does not look at again.
 */
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"

enum { LOOK_MAX = 4096, DUE_MAX = 512, MOVE_MIN = 1024 };

/* ---- What is due ---- */

static int open_due(struct store_txn *txn, const char *name, struct store_cursor *out)
{
    struct tuple low;
    struct tuple high;
    consumer_key(CONSUMER_DUE, name, &low);
    high = low;
    tuple_after_prefix(&high);
    return store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                             STORE_FORWARD, out);
}

static int read_due(struct slice key, uint64_t *due_ms, uint64_t *position)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    uint64_t kind;
    int status = tuple_next_uint(&reader, &kind);
    if (status == 0)
        status = tuple_next(&reader, &name);
    if (status == 0)
        status = tuple_next_uint(&reader, due_ms);
    if (status == 0)
        status = tuple_next_uint(&reader, position);
    return status == 0 && reader.rest.length != 0 ? JINI_E_CORRUPT : status;
}

/* A row of a time to which no delivery belongs is damage, and goes. */
static int remove_due(struct store_txn *txn, const char *name, uint64_t due_ms, uint64_t position)
{
    struct tuple key;
    consumer_key(CONSUMER_DUE, name, &key);
    tuple_add_uint(&key, due_ms);
    tuple_add_uint(&key, position);
    int status = store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

struct due_list {
    size_t count;
    struct {
        uint64_t due_ms;
        uint64_t position;
    } items[DUE_MAX];
};

static int list_due(struct store_txn *txn, const char *name, uint64_t time_ms, size_t most,
                    struct due_list *out)
{
    struct store_cursor rows;
    out->count = 0;
    int status = open_due(txn, name, &rows);
    if (status)
        return status;
    while (out->count < most && out->count < DUE_MAX &&
           (status = store_cursor_next(&rows, NULL)) == 0) {
        uint64_t due_ms;
        uint64_t position;
        if (read_due(rows.key, &due_ms, &position) != 0)
            continue; /* verify tells of it */
        if (due_ms > time_ms)
            break;
        out->items[out->count].due_ms = due_ms;
        out->items[out->count++].position = position;
    }
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- Taking ---- */

struct taking {
    struct store_txn *txn;
    struct consumer *consumer;
    struct deliveries_take *take;
    uint64_t epoch;
    uint64_t time_ms;    /* of the consumer */
    struct buffer row;   /* of a delivery */
    struct buffer event; /* of the log */
    struct due_list due;
    bool full; /* of the page */
};

static int hand_out(struct taking *taking, struct delivery *delivery, uint64_t old_due_ms,
                    const struct event_row *event)
{
    struct jini_events_page *page = taking->take->page;
    int status = events_page_add(page, delivery->position, event);
    if (status == JINI_E_TOO_BIG && page->count > 0) {
        taking->full = true;
        return 0;
    }
    if (status)
        return status;
    delivery->deliveries++;
    delivery->epoch = taking->epoch;
    delivery->due_ms = taking->time_ms + taking->take->lease_ms;
    page->events[page->count - 1].delivery = delivery->deliveries;
    return delivery_put(taking->txn, taking->consumer->is.name, delivery, old_due_ms);
}

/* The event of a delivery went with retention, or cannot be read. */
static int lose(struct taking *taking, const struct delivery *delivery)
{
    struct jini_consumer *is = &taking->consumer->is;
    is->held -= is->held > 0;
    is->lost++;
    taking->take->moved = true;
    return delivery_remove(taking->txn, is->name, delivery);
}

static int take_back(struct taking *taking, uint64_t due_ms, uint64_t position)
{
    struct consumer *consumer = taking->consumer;
    struct deliveries_take *take = taking->take;
    struct delivery delivery;
    struct event_row event;
    struct slice bytes;
    int status = delivery_get(taking->txn, consumer->is.name, position, &taking->row, &delivery);
    if (status == JINI_E_NOT_FOUND || status_is_damage(status) ||
        (status == 0 && delivery.due_ms != due_ms)) {
        take->moved = true;
        return remove_due(taking->txn, consumer->is.name, due_ms, position);
    }
    if (status)
        return status;
    if (delivery.deliveries >= consumer->is.deliveries_max) {
        take->moved = true;
        return dead_bury(taking->txn, consumer, &delivery, NULL, take->now_ms, take->dead_max);
    }
    status = delivery_event(taking->txn, &delivery, &taking->event, &bytes);
    if (status == 0)
        status = event_row_read(bytes, &event);
    if (status == 0)
        status = hand_out(taking, &delivery, due_ms, &event);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? lose(taking, &delivery)
                                                                  : status;
}

static int take_due(struct taking *taking)
{
    const struct jini_events_page *page = taking->take->page;
    int status = list_due(taking->txn, taking->consumer->is.name, taking->time_ms, page->capacity,
                          &taking->due);
    for (size_t i = 0; status == 0 && i < taking->due.count && !taking->full; i++)
        status = take_back(taking, taking->due.items[i].due_ms, taking->due.items[i].position);
    return status;
}

/* An event that is new to the consumer; after a replay it may be held or wait already. */
static int take_new(struct taking *taking, uint64_t position, struct slice bytes)
{
    struct consumer *consumer = taking->consumer;
    struct delivery delivery = {.position = position};
    struct event_row event;
    int status = event_row_read(bytes, &event);
    if (status_is_damage(status) || !events_filter_takes(&consumer->is.filter, &event))
        return 0;
    if (position <= consumer->given) {
        status = delivery_has(taking->txn, consumer->is.name, position);
        if (status != JINI_E_NOT_FOUND)
            return status;
    }
    status = hand_out(taking, &delivery, 0, &event);
    if (status == 0 && !taking->full)
        consumer->is.held++;
    return status_is_damage(status) ? 0 : status;
}

static int scan(struct taking *taking, struct store_cursor *rows)
{
    struct jini_consumer *is = &taking->consumer->is;
    const struct deliveries_take *take = taking->take;
    for (int looked = 0; looked < LOOK_MAX && take->page->count < take->page->capacity; looked++) {
        uint64_t position;
        if (is->held >= take->held_max)
            return 0;
        int status = store_cursor_next(rows, &taking->event);
        if (status == JINI_E_NOT_FOUND)
            return 0;
        if (status && status != JINI_E_TOO_BIG)
            return status;
        if (event_key_read(rows->key, &position) != 0)
            continue;
        if (status == 0)
            status = take_new(taking, position, buffer_slice(&taking->event));
        if (taking->full)
            return 0;
        if (status && status != JINI_E_TOO_BIG)
            return status;
        is->position = position;
    }
    return 0;
}

static int take_from_log(struct taking *taking)
{
    struct consumer *consumer = taking->consumer;
    uint64_t before = consumer->is.position;
    struct store_cursor rows;
    struct tuple low;
    if (before == UINT64_MAX)
        return 0;
    event_key(before + 1, &low);
    int status = store_cursor_open(taking->txn, STORE_SPACE_EVENTS, tuple_key(&low),
                                   slice_of(NULL, 0), STORE_FORWARD, &rows);
    if (status)
        return status;
    status = scan(taking, &rows);
    store_cursor_close(&rows);
    if (consumer->is.position > consumer->given)
        consumer->given = consumer->is.position;
    taking->take->moved |= consumer->is.position != before;
    return status;
}

static int take_all(struct taking *taking, struct jini_error *error)
{
    struct jini_consumer *is = &taking->consumer->is;
    struct deliveries_take *take = taking->take;
    int status = take_due(taking);
    if (status == 0 && !taking->full)
        status = take_from_log(taking);
    if (status)
        return status;
    if (take->page->count > 0)
        is->epoch = taking->epoch;
    if (take->page->count > 0 || take->moved)
        return consumer_save(taking->txn, taking->consumer);
    if (is->held >= take->held_max)
        return error_set(error, JINI_E_BUSY, "events.held_max",
                         "consumer \"%s\" has %llu deliveries that are held or wait, the most; "
                         "answer some",
                         is->name, (unsigned long long)is->held);
    return 0;
}

int deliveries_take(struct store_txn *txn, struct consumer *consumer, struct deliveries_take *take,
                    struct jini_error *error)
{
    struct taking *taking = base_malloc(sizeof(*taking) + DELIVERY_ROW_MAX + EVENT_ROW_MAX);
    if (!taking)
        return JINI_E_NO_MEMORY;
    uint8_t *bytes = (uint8_t *)(taking + 1);
    taking->txn = txn;
    taking->consumer = consumer;
    taking->take = take;
    taking->epoch = consumer->is.epoch + 1;
    taking->row = buffer_of(bytes, DELIVERY_ROW_MAX);
    taking->event = buffer_of(bytes + DELIVERY_ROW_MAX, EVENT_ROW_MAX);
    taking->full = false;
    take->moved = consumer_time_stands(consumer, take->now_ms);
    taking->time_ms = consumer_tick(consumer, take->now_ms);
    int status = take_all(taking, error);
    base_free(taking);
    return status;
}

/* ---- Looking ---- */

/* Whether a scan finds one that is wanted, or passes over so many that they are worth a write. */
static int look_ahead(struct store_txn *txn, const struct consumer *consumer, bool *ready)
{
    struct store_cursor rows;
    struct tuple low;
    struct event_row event;
    if (consumer->is.position == UINT64_MAX)
        return 0;
    uint8_t *bytes = base_malloc(EVENT_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, EVENT_ROW_MAX);
    event_key(consumer->is.position + 1, &low);
    int status = store_cursor_open(txn, STORE_SPACE_EVENTS, tuple_key(&low), slice_of(NULL, 0),
                                   STORE_FORWARD, &rows);
    for (int looked = 0; status == 0 && !*ready; looked++) {
        status = store_cursor_next(&rows, &value);
        bool wanted = status == 0 && event_row_read(buffer_slice(&value), &event) == 0 &&
                      events_filter_takes(&consumer->is.filter, &event);
        *ready = wanted || (status == 0 && looked >= MOVE_MIN);
    }
    store_cursor_close(&rows);
    base_free(bytes);
    return status == JINI_E_NOT_FOUND || status == JINI_E_TOO_BIG ? 0 : status;
}

int deliveries_ready(struct store_txn *txn, const struct consumer *consumer, uint64_t now_ms,
                     bool *ready, uint64_t *due_ms)
{
    struct store_cursor rows;
    uint64_t position;
    uint64_t time_ms = consumer_time(consumer, now_ms);
    *ready = false;
    *due_ms = UINT64_MAX;
    int status = open_due(txn, consumer->is.name, &rows);
    if (status)
        return status;
    do
        status = store_cursor_next(&rows, NULL);
    while (status == 0 && read_due(rows.key, due_ms, &position) != 0);
    store_cursor_close(&rows);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (status)
        *due_ms = UINT64_MAX;
    else
        *due_ms -= *due_ms > time_ms ? time_ms - now_ms : *due_ms; /* on the wall clock */
    *ready = *due_ms <= now_ms || consumer_time_stands(consumer, now_ms);
    return *ready ? 0 : look_ahead(txn, consumer, ready);
}

/* ---- Answers ---- */

static int answer_one(struct store_txn *txn, struct consumer *consumer,
                      struct deliveries_answer *answer, uint64_t position, struct buffer *row)
{
    struct delivery delivery;
    int status = delivery_get(txn, answer->name, position, row, &delivery);
    if (status_is_damage(status) || status == JINI_E_NOT_FOUND ||
        (status == 0 && (delivery.epoch == 0 || delivery.epoch != answer->batch->epoch))) {
        answer->stale++;
        return 0;
    }
    if (status)
        return status;
    if (answer->back && delivery.deliveries >= consumer->is.deliveries_max)
        return dead_bury(txn, consumer, &delivery, answer->reason, answer->now_ms,
                         answer->dead_max);
    if (answer->back) {
        uint64_t old_due_ms = delivery.due_ms;
        delivery.epoch = 0;
        delivery.due_ms = answer->time_ms + answer->delay_ms;
        return delivery_put(txn, answer->name, &delivery, old_due_ms);
    }
    consumer->is.held -= consumer->is.held > 0;
    return delivery_remove(txn, answer->name, &delivery);
}

int deliveries_answer(struct store_txn *txn, struct deliveries_answer *answer,
                      struct jini_error *error)
{
    struct consumer consumer;
    answer->stale = 0;
    int status = consumer_load(txn, answer->name, &consumer, error);
    if (status)
        return status;
    if (consumer.is.kind != JINI_CONSUMER_EACH)
        return error_set(error, JINI_E_INVALID, "consumer",
                         "a consumer ONCE is advanced, and has no deliveries to answer");
    uint8_t *bytes = base_malloc(DELIVERY_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer row = buffer_of(bytes, DELIVERY_ROW_MAX);
    answer->time_ms = consumer_tick(&consumer, answer->now_ms);
    for (uint32_t i = 0; status == 0 && i < answer->count; i++)
        status = answer_one(txn, &consumer, answer, answer->positions[i], &row);
    base_free(bytes);
    if (status == 0 && answer->stale == answer->count)
        return error_set(error, JINI_E_CONFLICT, "positions",
                         "none of them is held by this batch any more");
    if (answer->back)
        store_signal(txn, STORE_SHARED_EVENTS); /* for those who wait until something is due */
    return status ? status : consumer_save(txn, &consumer);
}
