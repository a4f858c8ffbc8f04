/* Dead letters: deliveries that were given up, with their events. */
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

enum {
    VERSION = 1,
    DROPPED_AT_ONCE = 4,
    DEAD_ROW_MAX = DEAD_HEADER + JINI_DEAD_REASON_MAX + EVENT_ROW_MAX
};

_Static_assert((int)DEAD_ROW_MAX <= (int)DELIVERY_ROW_MAX, "a buffer for one takes the other");

static void key_of(const char *name, uint64_t position, struct tuple *out)
{
    consumer_key(CONSUMER_DEAD, name, out);
    tuple_add_uint(out, position);
}

/* A row, borrowed. */
struct dead_row {
    uint32_t deliveries;
    uint64_t dead_ms;
    struct slice reason;
    struct slice event;
};

static int read_row(struct slice row, struct dead_row *out)
{
    if (row.length < DEAD_HEADER || row.data[0] == 0 || row.data[1] != 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    size_t reason = load_le16(row.data + 2);
    if (reason >= JINI_DEAD_REASON_MAX || row.length < DEAD_HEADER + reason ||
        row.length - DEAD_HEADER - reason > EVENT_ROW_MAX)
        return JINI_E_CORRUPT;
    out->deliveries = load_le32(row.data + 4);
    out->dead_ms = load_le64(row.data + 8);
    out->reason = slice_of(row.data + DEAD_HEADER, reason);
    out->event = slice_of(row.data + DEAD_HEADER + reason, row.length - DEAD_HEADER - reason);
    return 0;
}

static int open_rows(struct store_txn *txn, const char *name, uint64_t after,
                     struct store_cursor *out)
{
    struct tuple low;
    struct tuple high;
    consumer_key(CONSUMER_DEAD, name, &high);
    low = high;
    tuple_add_uint(&low, after);
    tuple_after_prefix(&high);
    return store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                             STORE_FORWARD, out);
}

static int read_position(struct slice key, uint64_t *position)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    uint64_t kind;
    int status = tuple_next_uint(&reader, &kind);
    if (status == 0)
        status = tuple_next(&reader, &name);
    if (status == 0)
        status = tuple_next_uint(&reader, position);
    return status == 0 && reader.rest.length != 0 ? JINI_E_CORRUPT : status;
}

/* ---- Burying ---- */

static int drop_oldest(struct store_txn *txn, struct consumer *consumer)
{
    struct store_cursor rows;
    struct tuple key;
    int status = open_rows(txn, consumer->is.name, 0, &rows);
    if (status)
        return status;
    status = store_cursor_next(&rows, NULL);
    if (status == 0) {
        key = (struct tuple){.length = rows.key.length};
        memcpy(key.bytes, rows.key.data, rows.key.length);
    }
    store_cursor_close(&rows);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    consumer->is.dead -= consumer->is.dead > 0;
    consumer->is.dead_lost++;
    return store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
}

static int put_dead(struct store_txn *txn, struct consumer *consumer,
                    const struct delivery *delivery, const struct dead_row *dead)
{
    uint8_t bytes[DEAD_ROW_MAX];
    uint8_t header[DEAD_HEADER] = {VERSION};
    struct buffer row = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    store_le16(header + 2, (uint16_t)dead->reason.length);
    store_le32(header + 4, dead->deliveries);
    store_le64(header + 8, dead->dead_ms);
    buffer_append(&row, header, sizeof(header));
    buffer_append(&row, dead->reason.data, dead->reason.length);
    buffer_append(&row, dead->event.data, dead->event.length);
    JINI_ASSERT(!row.overflow);
    key_of(consumer->is.name, delivery->position, &key);
    int status = store_has(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
    if (status == JINI_E_NOT_FOUND) /* else it died before, and was replayed */
        consumer->is.dead++;
    else if (status)
        return status;
    return store_put(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), buffer_slice(&row));
}

int dead_bury(struct store_txn *txn, struct consumer *consumer, const struct delivery *delivery,
              const char *reason, uint64_t now_ms, uint32_t dead_max)
{
    char text[JINI_DEAD_REASON_MAX];
    uint8_t *bytes = base_malloc(EVENT_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, EVENT_ROW_MAX);
    struct dead_row dead = {
        .deliveries = delivery->deliveries,
        .dead_ms = now_ms,
        .reason = slice_of(text, text_copy_utf8(text, sizeof(text), reason ? reason : ""))};
    int status = delivery_event(txn, delivery, &value, &dead.event);
    bool gone = status == JINI_E_NOT_FOUND || status_is_damage(status);
    /* More than one where the option was lowered. */
    for (int i = 0; status == 0 && consumer->is.dead >= dead_max && i < DROPPED_AT_ONCE; i++)
        status = drop_oldest(txn, consumer);
    if (status == 0)
        status = put_dead(txn, consumer, delivery, &dead);
    base_free(bytes);
    consumer->is.lost += gone;
    consumer->is.held -= consumer->is.held > 0;
    return status && !gone ? status : delivery_remove(txn, consumer->is.name, delivery);
}

/* ---- Listing ---- */

static int show(const struct dead_row *dead, uint64_t position, struct jini_dead_letter *letters,
                struct jini_events_page *page)
{
    struct event_row event;
    int status = event_row_read(dead->event, &event);
    if (status == 0)
        status = events_page_add(page, position, &event);
    if (status)
        return status;
    struct jini_dead_letter *letter = &letters[page->count - 1];
    memset(letter, 0, sizeof(*letter));
    letter->position = position;
    letter->dead_ms = dead->dead_ms;
    letter->deliveries = dead->deliveries;
    memcpy(letter->reason, dead->reason.data, dead->reason.length);
    page->events[page->count - 1].delivery = dead->deliveries;
    return 0;
}

static int list_rows(struct store_cursor *rows, struct buffer *value,
                     struct jini_dead_letter *letters, struct jini_events_page *page)
{
    while (page->count < page->capacity) {
        struct dead_row dead;
        uint64_t position;
        int status = store_cursor_next(rows, value);
        if (status && status != JINI_E_TOO_BIG)
            return status == JINI_E_NOT_FOUND ? 0 : status;
        if (status || read_position(rows->key, &position) != 0 ||
            read_row(buffer_slice(value), &dead) != 0)
            continue; /* verify tells of it */
        status = show(&dead, position, letters, page);
        if (status == JINI_E_TOO_BIG)
            return 0;
        if (status && !status_is_damage(status))
            return status;
    }
    return 0;
}

int dead_list(struct store_txn *txn, const char *name, uint64_t after,
              struct jini_dead_letter *letters, struct jini_events_page *page,
              struct jini_error *error)
{
    struct consumer consumer;
    struct store_cursor rows;
    int status = events_page_begin(page, error);
    if (status == 0)
        status = consumer_load(txn, name, &consumer, error);
    if (status || after == UINT64_MAX)
        return status;
    uint8_t *bytes = base_malloc(DELIVERY_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, DELIVERY_ROW_MAX);
    status = open_rows(txn, name, after + 1, &rows);
    if (status == 0) {
        status = list_rows(&rows, &value, letters, page);
        store_cursor_close(&rows);
    }
    base_free(bytes);
    return status;
}

int dead_check(struct store_txn *txn, const char *name, uint64_t position)
{
    struct dead_row dead;
    struct event_row event;
    struct tuple key;
    uint8_t *bytes = base_malloc(DELIVERY_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, DELIVERY_ROW_MAX);
    key_of(name, position, &key);
    int status = store_get(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), &value);
    if (status == 0)
        status = read_row(buffer_slice(&value), &dead);
    if (status == 0)
        status = event_row_read(dead.event, &event);
    base_free(bytes);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

/* ---- Sending again, and dropping ---- */

static int without_row(int status, struct buffer *value)
{
    if (status != JINI_E_TOO_BIG)
        return status;
    value->length = 0;
    return 0;
}

/* The dead letter at a position, or the first behind it; a row that is too long is left out. */
static int find(struct store_txn *txn, const struct dead_change *change, uint64_t after,
                struct buffer *value, uint64_t *position)
{
    struct store_cursor rows;
    struct tuple key;
    if (change->position != 0) {
        *position = change->position;
        key_of(change->name, *position, &key);
        int status = after ? JINI_E_NOT_FOUND
                           : store_get(txn, STORE_SPACE_CONSUMERS, tuple_key(&key), value);
        return without_row(status, value);
    }
    if (after == UINT64_MAX)
        return JINI_E_NOT_FOUND;
    int status = open_rows(txn, change->name, after + 1, &rows);
    if (status)
        return status;
    do
        status = without_row(store_cursor_next(&rows, value), value);
    while (status == 0 && read_position(rows.key, position) != 0); /* verify tells of it */
    store_cursor_close(&rows);
    return status;
}

static int remove_dead(struct store_txn *txn, struct consumer *consumer, uint64_t position)
{
    struct tuple key;
    key_of(consumer->is.name, position, &key);
    consumer->is.dead -= consumer->is.dead > 0;
    return store_delete(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
}

/* One that is replayed at the same time is held already. */
static int resend_one(struct store_txn *txn, struct consumer *consumer, uint64_t position,
                      const struct dead_row *dead, uint64_t now_ms)
{
    struct delivery again = {.position = position, .event = dead->event};
    again.due_ms = consumer_tick(consumer, now_ms);
    int status = delivery_has(txn, consumer->is.name, position);
    if (status == JINI_E_NOT_FOUND) {
        consumer->is.held++;
        status = delivery_put(txn, consumer->is.name, &again, 0);
    }
    return status ? status : remove_dead(txn, consumer, position);
}

typedef int change_fn(struct store_txn *txn, struct consumer *consumer, uint64_t position,
                      struct slice row, const struct dead_change *change);

static int resend_row(struct store_txn *txn, struct consumer *consumer, uint64_t position,
                      struct slice row, const struct dead_change *change)
{
    struct dead_row dead;
    int status = read_row(row, &dead);
    return status ? status : resend_one(txn, consumer, position, &dead, change->now_ms);
}

static int drop_row(struct store_txn *txn, struct consumer *consumer, uint64_t position,
                    struct slice row, const struct dead_change *change)
{
    (void)row;
    (void)change;
    return remove_dead(txn, consumer, position);
}

static int each_letter(struct store_txn *txn, struct consumer *consumer, struct dead_change *change,
                       change_fn *run)
{
    uint8_t *bytes = base_malloc(DELIVERY_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, DELIVERY_ROW_MAX);
    uint64_t position = 0;
    int status = 0;
    while (status == 0 && change->count < JINI_DEAD_CHANGED_MAX &&
           (run == drop_row || consumer->is.held < change->held_max)) {
        status = find(txn, change, position, &value, &position);
        if (status == 0)
            status = run(txn, consumer, position, buffer_slice(&value), change);
        change->count += status == 0;
        if (change->position == 0 && status_is_damage(status))
            status = 0; /* verify tells of it, and dropping removes it */
    }
    base_free(bytes);
    return status == JINI_E_NOT_FOUND && (change->position == 0 || change->count > 0) ? 0 : status;
}

static int change_all(struct store_txn *txn, struct dead_change *change, change_fn *run,
                      struct jini_error *error)
{
    struct consumer consumer;
    change->count = 0;
    int status = consumer_load(txn, change->name, &consumer, error);
    if (status)
        return status;
    uint64_t dead = consumer.is.dead;
    status = each_letter(txn, &consumer, change, run);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "position", "there is no dead letter of this position");
    if (status)
        return error_complete(error, status, "position", "the dead letter");
    if (change->count == 0 && dead > 0)
        return error_set(error, JINI_E_BUSY, "events.held_max",
                         "consumer \"%s\" has %llu deliveries that are held or wait, the most",
                         change->name, (unsigned long long)consumer.is.held);
    if (change->count == 0)
        return 0;
    store_signal(txn, STORE_SHARED_EVENTS);
    return consumer_save(txn, &consumer);
}

int dead_resend(struct store_txn *txn, struct dead_change *change, struct jini_error *error)
{
    return change_all(txn, change, resend_row, error);
}

int dead_drop(struct store_txn *txn, struct dead_change *change, struct jini_error *error)
{
    return change_all(txn, change, drop_row, error);
}
