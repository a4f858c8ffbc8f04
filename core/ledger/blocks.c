/* Writing and reading blocks. */
#include "ledger/blocks.h"

#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "base/tuple.h"

enum { VERSION = 1 };

/* ---- The head ---- */

static struct tuple head_key(void)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_text(&key, slice_of_text("head"));
    return key;
}

int blocks_read_head(struct store_txn *txn, struct ledger_head *out, struct jini_error *error)
{
    uint8_t bytes[RECORD_HEAD_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key = head_key();
    memset(out, 0, sizeof(*out));
    out->due_ns = UINT64_MAX;
    int status = store_get(txn, STORE_SPACE_TRANSFERS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = record_read_head(buffer_slice(&value), out);
    return status ? error_set(error, status, "ledger", "the head of the ledger cannot be read: %s",
                              jini_status_text(status))
                  : 0;
}

int blocks_write_head(struct store_txn *txn, const struct ledger_head *head)
{
    uint8_t bytes[RECORD_HEAD_BYTES];
    struct tuple key = head_key();
    record_write_head(head, bytes);
    return store_put(txn, STORE_SPACE_TRANSFERS, tuple_key(&key), slice_of(bytes, sizeof(bytes)));
}

/* ---- Writing ---- */

static void block_key(uint64_t first_ns, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, first_ns);
}

static uint8_t *write_balances(const struct block_event *event, uint32_t index, uint8_t *at)
{
    for (uint16_t side = BLOCK_DEBIT; side <= BLOCK_CREDIT; side++) {
        if (!event->keeps_balance[side])
            continue;
        store_le16(at, (uint16_t)index);
        store_le16(at + 2, side);
        record_write_balance(&event->balance[side], at + 4);
        at += BLOCK_BALANCE_BYTES;
    }
    return at;
}

static void fill(struct block *block, const struct block_event *const *events, uint32_t count)
{
    uint8_t *at = block->bytes + BLOCK_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++, at += RECORD_TRANSFER_BYTES)
        record_write_transfer(&events[i]->transfer, at);
    for (uint32_t i = 0; i < count; i++, at += BLOCK_LINK_BYTES) {
        store_le64(at, events[i]->before_ns[BLOCK_DEBIT]);
        store_le64(at + 8, events[i]->before_ns[BLOCK_CREDIT]);
    }
    uint8_t *balances = at;
    for (uint32_t i = 0; i < count; i++)
        at = write_balances(events[i], i, at);
    block->events = count;
    block->balances = (uint32_t)((size_t)(at - balances) / BLOCK_BALANCE_BYTES);
    block->length = (size_t)(at - block->bytes);
}

int blocks_append(struct store_txn *txn, struct ledger_head *head,
                  const struct block_event *const *events, uint32_t count, struct block *scratch)
{
    struct tuple key;
    JINI_ASSERT(count >= 1 && count <= BLOCK_EVENTS_MAX);
    fill(scratch, events, count);
    scratch->first_ns = events[0]->transfer.timestamp;
    scratch->number = head->blocks + 1;
    uint8_t *header = scratch->bytes;
    memset(header, 0, BLOCK_HEADER_BYTES);
    header[0] = VERSION;
    store_le16(header + 2, (uint16_t)count);
    store_le16(header + 4, (uint16_t)scratch->balances);
    store_le64(header + 8, scratch->number);
    memcpy(header + 16, head->hash, RECORD_HASH_BYTES);
    block_key(scratch->first_ns, &key);
    int status = store_put(txn, STORE_SPACE_TRANSFERS, tuple_key(&key),
                           slice_of(scratch->bytes, scratch->length));
    if (status)
        return status;
    block_hash(scratch, head->hash);
    head->blocks++;
    head->events += count;
    return 0;
}

/* ---- Reading ---- */

static int damaged(uint64_t first_ns, const char *what, struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "ledger",
                     "the block of transfers that begins at %llu ns is damaged (%s)",
                     (unsigned long long)first_ns, what);
}

static const uint8_t *event_at(const struct block *block, uint32_t event)
{
    return block->bytes + BLOCK_HEADER_BYTES + (size_t)event * RECORD_TRANSFER_BYTES;
}

static const uint8_t *link_at(const struct block *block, uint32_t event)
{
    return event_at(block, block->events) + (size_t)event * BLOCK_LINK_BYTES;
}

static const uint8_t *balance_at(const struct block *block, uint32_t balance)
{
    return link_at(block, block->events) + (size_t)balance * BLOCK_BALANCE_BYTES;
}

/* Where a balance stands among those of its block. */
static uint32_t place_of(uint32_t event, uint32_t side)
{
    return 2 * event + side;
}

static uint32_t place_at(const struct block *block, uint32_t balance)
{
    const uint8_t *bytes = balance_at(block, balance);
    return place_of(load_le16(bytes), load_le16(bytes + 2));
}

static bool in_order(const struct block *block)
{
    for (uint32_t i = 0; i < block->events; i++) {
        uint64_t time = block_time(block, i);
        if ((i > 0 && time <= block_time(block, i - 1)) ||
            block_link(block, i, BLOCK_DEBIT) >= time || block_link(block, i, BLOCK_CREDIT) >= time)
            return false;
    }
    for (uint32_t i = 0; i < block->balances; i++) {
        const uint8_t *bytes = balance_at(block, i);
        if (load_le16(bytes) >= block->events || load_le16(bytes + 2) > BLOCK_CREDIT)
            return false;
        if (i > 0 && place_at(block, i) <= place_at(block, i - 1))
            return false;
    }
    return true;
}

static int parse(uint64_t first_ns, struct block *block, struct jini_error *error)
{
    const uint8_t *header = block->bytes;
    block->first_ns = 0;
    if (block->length < BLOCK_HEADER_BYTES)
        return damaged(first_ns, "it is cut", error);
    if (header[0] > VERSION)
        return error_set(error, JINI_E_FORMAT, "ledger",
                         "the block of transfers that begins at %llu ns is of format %u; this "
                         "version reads %d",
                         (unsigned long long)first_ns, header[0], VERSION);
    block->events = load_le16(header + 2);
    block->balances = load_le16(header + 4);
    block->number = load_le64(header + 8);
    if (header[0] != VERSION || header[1] != 0 || load_le16(header + 6) != 0 || block->events < 1 ||
        block->events > BLOCK_EVENTS_MAX || block->balances > 2 * block->events)
        return damaged(first_ns, "its header", error);
    if (block->length != BLOCK_HEADER_BYTES +
                             (size_t)block->events * (RECORD_TRANSFER_BYTES + BLOCK_LINK_BYTES) +
                             (size_t)block->balances * BLOCK_BALANCE_BYTES)
        return damaged(first_ns, "its length", error);
    if (block_time(block, 0) != first_ns || !in_order(block))
        return damaged(first_ns, "its order", error);
    block->first_ns = first_ns;
    return 0;
}

int blocks_read(struct store_txn *txn, uint64_t timestamp, enum store_direction direction,
                struct block *out, struct jini_error *error)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    uint64_t first_ns = 0;
    out->first_ns = 0;
    block_key(direction == STORE_FORWARD ? timestamp : 0, &low);
    block_key(direction == STORE_FORWARD ? UINT64_MAX : timestamp, &high);
    bool bounded = tuple_after_prefix(&high);
    JINI_ASSERT(bounded);
    struct buffer value = buffer_of(out->bytes, sizeof(out->bytes));
    int status = store_cursor_open(txn, STORE_SPACE_TRANSFERS, tuple_key(&low), tuple_key(&high),
                                   direction, &cursor);
    if (status)
        return error_set(error, status, "ledger", "%s", jini_status_text(status));
    status = store_cursor_next(&cursor, &value);
    struct tuple_reader reader = tuple_reader_of(cursor.key);
    if (status == 0 && (tuple_next_uint(&reader, &first_ns) != 0 || reader.rest.length != 0))
        status = JINI_E_CORRUPT;
    store_cursor_close(&cursor);
    out->length = value.length;
    if (status == JINI_E_TOO_BIG || status == JINI_E_CORRUPT)
        return damaged(timestamp, "no block can be read there", error);
    if (status)
        return error_set(error, status, "ledger", "%s", jini_status_text(status));
    return parse(first_ns, out, error);
}

int blocks_seek(struct store_txn *txn, uint64_t timestamp, struct block *block, uint32_t *event,
                struct jini_error *error)
{
    bool at_hand = block->first_ns != 0 && block->first_ns <= timestamp &&
                   timestamp <= block_time(block, block->events - 1);
    int status = at_hand ? 0 : blocks_read(txn, timestamp, STORE_BACKWARD, block, error);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    *event = status ? 0 : block_find(block, timestamp);
    if (status || *event == block->events || block_time(block, *event) != timestamp)
        return error_set(error, JINI_E_CORRUPT, "ledger",
                         "a row names a transfer of the time %llu ns, at which there is none",
                         (unsigned long long)timestamp);
    return 0;
}

int blocks_find(struct store_txn *txn, uint64_t timestamp, struct block *scratch,
                struct jini_transfer *out, struct jini_error *error)
{
    uint32_t event;
    scratch->first_ns = 0;
    int status = blocks_seek(txn, timestamp, scratch, &event, error);
    if (status == 0)
        block_transfer(scratch, event, out);
    return status;
}

uint64_t block_time(const struct block *block, uint32_t event)
{
    return load_le64(event_at(block, event) + 120);
}

uint32_t block_find(const struct block *block, uint64_t timestamp)
{
    uint32_t low = 0;
    uint32_t high = block->events;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (block_time(block, middle) < timestamp)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void block_transfer(const struct block *block, uint32_t event, struct jini_transfer *out)
{
    record_read_transfer(event_at(block, event), out);
}

uint64_t block_link(const struct block *block, uint32_t event, enum block_side side)
{
    return load_le64(link_at(block, event) + 8 * side);
}

bool block_balance(const struct block *block, uint32_t event, enum block_side side,
                   struct jini_balance *out)
{
    uint32_t wanted = place_of(event, side);
    uint32_t low = 0;
    uint32_t high = block->balances;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (place_at(block, middle) < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == block->balances || place_at(block, low) != wanted)
        return false;
    record_read_balance(balance_at(block, low) + 4, out);
    return true;
}

/* ---- The chain ---- */

void block_hash(const struct block *block, uint8_t out[RECORD_HASH_BYTES])
{
    crypto_digest(slice_of(block->bytes, block->length), out);
}

const uint8_t *block_previous_hash(const struct block *block)
{
    return block->bytes + 16;
}
