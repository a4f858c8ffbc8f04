/* Checking the rows of consumers against each other, for verify. */
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"

struct finding {
    const char *kind;
    const char *what;
};

static int find(struct finding *out, const char *kind, const char *what)
{
    out->kind = kind;
    out->what = what;
    return 0;
}

static int count_rows(struct store_txn *txn, enum consumer_row kind, const char *name,
                      uint64_t *count)
{
    struct store_cursor rows;
    struct tuple low;
    struct tuple high;
    *count = 0;
    consumer_key(kind, name, &low);
    high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_CONSUMERS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &rows);
    if (status)
        return status;
    while ((status = store_cursor_next(&rows, NULL)) == 0)
        ++*count;
    store_cursor_close(&rows);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int check_record(struct store_txn *txn, const char *name, struct finding *out)
{
    struct consumer consumer;
    uint64_t held = 0;
    uint64_t dead = 0;
    uint64_t times = 0;
    int status = consumer_load(txn, name, &consumer, NULL);
    if (status_is_damage(status))
        return find(out, "consumer_damaged",
                    "the record of a consumer cannot be read; it takes no events");
    if (status == 0)
        status = count_rows(txn, CONSUMER_DELIVERY, name, &held);
    if (status == 0)
        status = count_rows(txn, CONSUMER_DUE, name, &times);
    if (status == 0)
        status = count_rows(txn, CONSUMER_DEAD, name, &dead);
    if (status)
        return status;
    if (held != consumer.is.held || dead != consumer.is.dead || times != held)
        return find(out, "consumer_counts_wrong",
                    "a consumer has other numbers of deliveries, of their times or of dead "
                    "letters than its record says");
    return 0;
}

static int check_delivery(struct store_txn *txn, const char *name, uint64_t position,
                          struct buffer *value, struct finding *out)
{
    struct delivery delivery;
    struct event_row event;
    struct tuple key;
    int status = delivery_get(txn, name, position, value, &delivery);
    if (status == 0 && delivery.event.length > 0)
        status = event_row_read(delivery.event, &event);
    if (status_is_damage(status))
        return find(out, "delivery_damaged", "a delivery cannot be read; it does not come back");
    if (status)
        return status;
    consumer_key(CONSUMER_DUE, name, &key);
    tuple_add_uint(&key, delivery.due_ms);
    tuple_add_uint(&key, position);
    status = store_has(txn, STORE_SPACE_CONSUMERS, tuple_key(&key));
    if (status == JINI_E_NOT_FOUND)
        return find(out, "delivery_without_time", "no row says when a delivery comes back");
    return status;
}

static int check_due(struct store_txn *txn, const char *name, uint64_t due_ms, uint64_t position,
                     struct buffer *value, struct finding *out)
{
    struct delivery delivery;
    int status = delivery_get(txn, name, position, value, &delivery);
    if (status == JINI_E_NOT_FOUND || (status == 0 && delivery.due_ms != due_ms))
        return find(out, "time_without_delivery", "a time belongs to no delivery");
    return status_is_damage(status) ? 0 : status; /* it is told where it lies */
}

static int check_dead(struct store_txn *txn, const char *name, uint64_t position,
                      struct finding *out)
{
    int status = dead_check(txn, name, position);
    if (status_is_damage(status))
        return find(out, "dead_letter_damaged",
                    "a dead letter cannot be read; it is not listed, and can be dropped only");
    return status;
}

/* The parts of a key; false: it is none of this space. */
struct parts {
    uint64_t kind;
    char name[JINI_CONSUMER_NAME_MAX];
    uint64_t numbers[2];
};

static bool read_key(struct slice key, struct parts *out)
{
    static const int numbers[] = {0, 1, 2, 1};
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element name;
    if (tuple_next_uint(&reader, &out->kind) != 0 || out->kind > CONSUMER_DEAD ||
        tuple_next(&reader, &name) != 0 || name.type != TUPLE_TEXT ||
        name.length >= sizeof(out->name))
        return false;
    memcpy(out->name, name.bytes, name.length);
    out->name[name.length] = '\0';
    if (strlen(out->name) != name.length || consumer_check_name(out->name, NULL) != 0)
        return false;
    for (int i = 0; i < numbers[out->kind]; i++) {
        if (tuple_next_uint(&reader, &out->numbers[i]) != 0)
            return false;
    }
    return reader.rest.length == 0;
}

static int check_part(struct store_txn *txn, const struct parts *parts, struct buffer *value,
                      struct finding *out)
{
    struct tuple record;
    consumer_key(CONSUMER_RECORD, parts->name, &record);
    int status = store_has(txn, STORE_SPACE_CONSUMERS, tuple_key(&record));
    if (status == JINI_E_NOT_FOUND)
        return find(out, "consumer_row_orphaned", "a row belongs to a consumer that is not there");
    if (status)
        return status;
    switch ((enum consumer_row)parts->kind) {
    case CONSUMER_RECORD:
        return check_record(txn, parts->name, out);
    case CONSUMER_DELIVERY:
        return check_delivery(txn, parts->name, parts->numbers[0], value, out);
    case CONSUMER_DUE:
        return check_due(txn, parts->name, parts->numbers[0], parts->numbers[1], value, out);
    case CONSUMER_DEAD:
        return check_dead(txn, parts->name, parts->numbers[0], out);
    }
    return 0;
}

int consumers_check_row(struct store_txn *txn, struct slice key, const char **kind,
                        const char **what)
{
    struct finding found = {0};
    struct parts parts;
    *kind = *what = NULL;
    if (!read_key(key, &parts)) {
        *kind = "consumer_key_damaged";
        return 0;
    }
    int status = store_has(txn, STORE_SPACE_CONSUMERS, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    uint8_t *bytes = base_malloc(DELIVERY_ROW_MAX);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct buffer value = buffer_of(bytes, DELIVERY_ROW_MAX);
    status = check_part(txn, &parts, &value, &found);
    base_free(bytes);
    *kind = found.kind;
    *what = found.what;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}
