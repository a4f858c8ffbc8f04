/*
 * The row of a subject's quotas, read, changed and written as a whole; the layout stands in
 * quota.h.
 */
#include "limits/quota.h"

#include "base/hash.h"
#include "base/tuple.h"

#include <stdio.h>

enum {
    ROW_VERSION = 1,
    ROW_HEADER_BYTES = 8,
    COUNTER_BYTES = 40,
    ROW_BYTES_MAX = ROW_HEADER_BYTES + QUOTA_COUNTERS_MAX * COUNTER_BYTES,
    IPV6_PREFIX_BYTES = 8,
};

struct row {
    uint32_t count;
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
};

uint64_t quota_identity(const struct limit *limit)
{
    char text[LIMIT_ZONE_MAX + 64];
    struct limit_span span = limit_span(limit);
    int length = snprintf(text, sizeof(text), "%u/%u/%u/%u/%s", (unsigned)span.multiples,
                          (unsigned)span.unit, (unsigned)limit->period, (unsigned)limit->ordinal,
                          limit->zone);
    JINI_ASSERT(length > 0 && (size_t)length < sizeof(text));
    return hash64(slice_of(text, (size_t)length));
}

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

struct slice quota_address(const struct quota_subject *subject)
{
    if (subject->user_id != 0)
        return slice_of(NULL, 0);
    return slice_of(subject->address, is_ipv4(subject->address) ? 16 : IPV6_PREFIX_BYTES);
}

static struct tuple row_key(const struct quota_subject *subject)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, subject->user_id);
    tuple_add_text(&key, slice_of_text("q"));
    if (subject->user_id == 0)
        tuple_add_bytes(&key, quota_address(subject));
    return key;
}

static int decode_row(struct slice bytes, struct row *out)
{
    out->count = 0;
    if (bytes.length < ROW_HEADER_BYTES || load_le16(bytes.data) == 0)
        return JINI_E_CORRUPT;
    if (load_le16(bytes.data) > ROW_VERSION)
        return JINI_E_FORMAT;
    uint32_t count = load_le16(bytes.data + 2);
    if (count > QUOTA_COUNTERS_MAX ||
        bytes.length != ROW_HEADER_BYTES + (size_t)count * COUNTER_BYTES)
        return JINI_E_CORRUPT;
    for (; out->count < count; out->count++) {
        const uint8_t *from = bytes.data + ROW_HEADER_BYTES + out->count * (size_t)COUNTER_BYTES;
        out->counters[out->count] =
            (struct quota_counter){load_le64(from), load_le64(from + 8), load_le64(from + 16),
                                   load_le64(from + 24), load_le64(from + 32)};
    }
    return 0;
}

static int read_row(struct store_txn *txn, const struct quota_subject *subject, struct row *out)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key = row_key(subject);
    out->count = 0;
    int status = store_get(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return decode_row(buffer_slice(&value), out);
}

static int write_row(struct store_txn *txn, const struct quota_subject *subject,
                     const struct row *row)
{
    uint8_t bytes[ROW_BYTES_MAX] = {0};
    struct tuple key = row_key(subject);
    store_le16(bytes, ROW_VERSION);
    store_le16(bytes + 2, (uint16_t)row->count);
    for (uint32_t i = 0; i < row->count; i++) {
        const struct quota_counter *counter = &row->counters[i];
        uint8_t *to = bytes + ROW_HEADER_BYTES + i * COUNTER_BYTES;
        store_le64(to, counter->identity);
        store_le64(to + 8, counter->start_ns);
        store_le64(to + 16, counter->end_ns);
        store_le64(to + 24, counter->used);
        store_le64(to + 32, counter->reserved);
    }
    return store_put(txn, STORE_SPACE_ACTIVITY, tuple_key(&key),
                     slice_of(bytes, ROW_HEADER_BYTES + row->count * COUNTER_BYTES));
}

static struct quota_counter *find(struct row *row, uint64_t identity)
{
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->counters[i].identity == identity)
            return &row->counters[i];
    }
    return NULL;
}

static bool is_planned(const struct quota_plan *plan, uint64_t identity)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (quota_identity(&plan->limits[i]) == identity)
            return true;
    }
    return false;
}

/* Nothing is reserved, and it counts nothing any more: used is 0, or its window is over. */
static bool may_go(const struct quota_counter *counter, uint64_t now_ns)
{
    return counter->reserved == 0 && (counter->used == 0 || counter->end_ns <= now_ns);
}

/*
 * A place for one more counter: a free one, or one that may go and that the plan does not
 * name. NULL: there is none.
 */
static struct quota_counter *add(struct row *row, const struct quota_plan *plan, uint64_t identity,
                                 uint64_t now_ns)
{
    struct quota_counter *place = NULL;
    if (row->count < QUOTA_COUNTERS_MAX)
        place = &row->counters[row->count++];
    for (uint32_t i = 0; i < row->count && !place; i++) {
        struct quota_counter *counter = &row->counters[i];
        if (may_go(counter, now_ns) && !is_planned(plan, counter->identity))
            place = counter;
    }
    if (place)
        *place = (struct quota_counter){.identity = identity};
    return place;
}

/* The counter of a limit, moved on to the window that holds `now_ns`. NULL: the row is full. */
static struct quota_counter *advance(struct row *row, const struct quota_plan *plan, uint32_t index,
                                     uint64_t now_ns)
{
    const struct limit *limit = &plan->limits[index];
    uint64_t identity = quota_identity(limit);
    struct quota_counter *counter = find(row, identity);
    struct period_window window;
    if (counter) {
        struct period_window current = {counter->start_ns, counter->end_ns};
        window = period_advance(&current, limit, plan->zones[index], plan->anchor_ns, now_ns);
        if (window.start_ns == current.start_ns)
            return counter;
    } else {
        counter = add(row, plan, identity, now_ns);
        if (!counter)
            return NULL;
        window = period_open(limit, plan->zones[index], plan->anchor_ns, now_ns);
    }
    counter->start_ns = window.start_ns;
    counter->end_ns = window.end_ns;
    counter->used = 0;
    counter->reserved = 0;
    return counter;
}

static uint64_t room_of(const struct limit *limit, const struct quota_counter *counter)
{
    uint64_t taken = counter->used + counter->reserved;
    return taken >= counter->used && taken < limit->amount ? limit->amount - taken : 0;
}

/* What a limit says before the charge, which fits or does not. */
static struct quota_outcome look(const struct limit *limit, const struct quota_counter *counter,
                                 uint64_t cost, uint64_t now_ns)
{
    uint64_t room = room_of(limit, counter);
    struct quota_outcome outcome = {
        .refused = cost > room,
        .remaining = room,
        .reset_ns = counter->end_ns > now_ns ? counter->end_ns - now_ns : 0,
    };
    if (outcome.refused)
        outcome.retry_after_ns = cost > limit->amount ? UINT64_MAX : outcome.reset_ns;
    return outcome;
}

/* What a limit says that has no place in a full row: when the first of the others gives its up. */
static struct quota_outcome look_at_full(const struct row *row, const struct quota_plan *plan,
                                         uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX;
    for (uint32_t i = 0; i < row->count; i++) {
        const struct quota_counter *counter = &row->counters[i];
        if (counter->end_ns < first_ns && !is_planned(plan, counter->identity))
            first_ns = counter->end_ns;
    }
    uint64_t wait_ns = first_ns > now_ns ? first_ns - now_ns : 0;
    return (struct quota_outcome){.refused = true, .reset_ns = wait_ns, .retry_after_ns = wait_ns};
}

/*
 * Fills in outcomes and receipts. JINI_E_BUSY: a limit has no place in the row; those have receipts
 * of nothing.
 */
static int look_at_all(struct quota_charge *charge, struct row *row)
{
    const struct quota_plan *plan = charge->plan;
    int status = 0;
    charge->decided = plan->count;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct quota_counter *counter = advance(row, plan, i, charge->now_ns);
        if (!counter) {
            status = JINI_E_BUSY;
            charge->outcomes[i] = look_at_full(row, plan, charge->now_ns);
            charge->receipts[i] = (struct quota_receipt){0};
            continue;
        }
        charge->outcomes[i] = look(&plan->limits[i], counter, charge->cost, charge->now_ns);
        charge->receipts[i] =
            (struct quota_receipt){counter->identity, counter->start_ns, charge->cost};
        if (charge->outcomes[i].refused && !plan->limits[i].shadow &&
            charge->decided == plan->count)
            charge->decided = i;
    }
    return charge->decided < plan->count ? JINI_E_LIMITED : status;
}

/* Ends reservations; false when none of them stands in the row any more. */
static bool settle_row(struct row *row, const struct quota_receipt *receipts, uint32_t count,
                       uint64_t used)
{
    bool changed = false;
    for (uint32_t i = 0; i < count; i++) {
        struct quota_counter *counter = find(row, receipts[i].identity);
        if (!counter || counter->start_ns != receipts[i].start_ns)
            continue;
        uint64_t cost = receipts[i].cost < counter->reserved ? receipts[i].cost : counter->reserved;
        counter->reserved -= cost;
        counter->used += used < cost ? used : cost;
        changed = true;
    }
    return changed;
}

int quota_peek(struct store_txn *txn, struct quota_charge *charge)
{
    struct row row;
    charge->decided = charge->plan->count;
    int status = read_row(txn, &charge->subject, &row);
    if (status)
        return status;
    settle_row(&row, charge->released, charge->released_count, 0);
    status = look_at_all(charge, &row);
    return status == JINI_E_LIMITED ? 0 : status;
}

int quota_reserve(struct store_txn *txn, struct quota_charge *charge)
{
    const struct quota_plan *plan = charge->plan;
    struct row row;
    charge->decided = plan->count;
    if (plan->count == 0)
        return 0;
    int status = read_row(txn, &charge->subject, &row);
    if (status == 0)
        status = look_at_all(charge, &row);
    if (status)
        return status;
    for (uint32_t i = 0; i < plan->count; i++) {
        struct quota_counter *counter = find(&row, charge->receipts[i].identity);
        JINI_ASSERT(counter != NULL);
        uint64_t room = charge->outcomes[i].remaining;
        uint64_t cost = charge->cost < room ? charge->cost : room; /* less only in shadow */
        counter->reserved += cost;
        charge->outcomes[i].remaining = room - cost;
        charge->receipts[i].cost = cost;
    }
    return write_row(txn, &charge->subject, &row);
}

int quota_settle(struct store_txn *txn, const struct quota_subject *subject,
                 const struct quota_receipt *receipts, uint32_t count, uint64_t used)
{
    struct row row;
    int status = read_row(txn, subject, &row);
    if (status)
        return status;
    return settle_row(&row, receipts, count, used) ? write_row(txn, subject, &row) : 0;
}

int quota_reset(struct store_txn *txn, const struct quota_subject *subject)
{
    struct row row;
    int status = read_row(txn, subject, &row);
    if (status || row.count == 0)
        return status;
    for (uint32_t i = 0; i < row.count; i++)
        row.counters[i].used = 0; /* so that it may go where the row is full */
    return write_row(txn, subject, &row);
}

int quota_list(struct store_txn *txn, const struct quota_subject *subject,
               struct quota_counter out[QUOTA_COUNTERS_MAX], uint32_t *count)
{
    struct row row;
    *count = 0;
    int status = read_row(txn, subject, &row);
    if (status)
        return status;
    memcpy(out, row.counters, row.count * sizeof(row.counters[0]));
    *count = row.count;
    return row.count ? 0 : JINI_E_NOT_FOUND;
}

/* ---- Sweeping ---- */

static bool row_has_ended(const struct row *row, uint64_t now_ns)
{
    for (uint32_t i = 0; i < row->count; i++) {
        const struct quota_counter *counter = &row->counters[i];
        if (counter->reserved > 0 || counter->end_ns > now_ns ||
            now_ns - counter->end_ns < QUOTA_GRACE_NS)
            return false;
    }
    return true;
}

/* The address whose row has this key. */
static int address_of(struct slice key, struct quota_subject *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element element;
    uint64_t zero;
    memset(out, 0, sizeof(*out));
    int status = tuple_next_uint(&reader, &zero);
    for (int i = 0; status == 0 && i < 2; i++) /* "q", then the address */
        status = tuple_next(&reader, &element);
    if (status || element.type != TUPLE_BYTES || element.length > sizeof(out->address))
        return JINI_E_CORRUPT;
    memcpy(out->address, element.bytes, element.length);
    struct tuple same = row_key(out);
    return slice_equal(tuple_key(&same), key) ? 0 : JINI_E_CORRUPT;
}

/* Opens the range from behind the key that was looked at last. */
static int open_sweep(struct store_txn *txn, const struct quota_sweep *sweep,
                      struct store_cursor *out)
{
    struct tuple high;
    tuple_begin(&high);
    tuple_add_uint(&high, 0);
    tuple_add_text(&high, slice_of_text("q"));
    struct tuple low = high;
    bool bounded = tuple_after_prefix(&high);
    JINI_ASSERT(bounded);
    if (sweep->last_length > 0) {
        memcpy(low.bytes, sweep->last, sweep->last_length);
        low.length = sweep->last_length;
        /* The key of ::/64 begins those of all IPv4 addresses: only the next longer key is next. */
        if (low.length < STORE_KEY_MAX)
            low.bytes[low.length++] = 0;
    }
    return store_cursor_open(txn, STORE_SPACE_ACTIVITY, tuple_key(&low), tuple_key(&high),
                             STORE_FORWARD, out);
}

static void look_at_entry(struct quota_sweep *sweep, struct slice key, struct slice value,
                          uint64_t now_ns)
{
    struct row row;
    struct quota_subject *subject = &sweep->ended[sweep->count];
    memcpy(sweep->last, key.data, key.length);
    sweep->last_length = key.length;
    if (address_of(key, subject) == 0 && decode_row(value, &row) == 0 &&
        row_has_ended(&row, now_ns))
        sweep->count++;
}

int quota_sweep_next(struct store_txn *txn, struct quota_sweep *sweep, uint64_t now_ns)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct store_cursor cursor;
    sweep->count = 0;
    int status = open_sweep(txn, sweep, &cursor);
    if (status)
        return status;
    for (uint32_t i = 0; i < QUOTA_SWEEP_ROWS && status == 0; i++) {
        struct buffer value = buffer_of(bytes, sizeof(bytes));
        status = store_cursor_next(&cursor, &value);
        if (status == JINI_E_TOO_BIG) { /* no row is: passed over like all damage */
            value.length = 0;
            status = 0;
        }
        if (status == 0)
            look_at_entry(sweep, cursor.key, buffer_slice(&value), now_ns);
    }
    store_cursor_close(&cursor);
    sweep->at_end = status == JINI_E_NOT_FOUND;
    return sweep->at_end ? 0 : status;
}

int quota_remove_ended(struct store_txn *txn, const struct quota_subject *subject, uint64_t now_ns)
{
    struct row row;
    JINI_ASSERT(subject->user_id == 0);
    struct tuple key = row_key(subject);
    int status = store_has(txn, STORE_SPACE_ACTIVITY, tuple_key(&key));
    if (status == 0)
        status = read_row(txn, subject, &row);
    if (status)
        return status;
    return row_has_ended(&row, now_ns) ? store_delete(txn, STORE_SPACE_ACTIVITY, tuple_key(&key))
                                       : JINI_E_NOT_FOUND;
}
