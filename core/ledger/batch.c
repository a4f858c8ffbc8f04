/* The memory of a request, and what is known there. */
#include "ledger/batch.h"
#include "ledger/place.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/id.h"

enum { EXPIRIES_MIN = 64 };

/* ---- Memory ---- */

static uint32_t events_max(const struct ledger_batch *batch)
{
    return batch->requests_max + batch->expiries_max;
}

static bool make_maps(struct ledger_batch *batch)
{
    uint32_t events = events_max(batch);
    bool made = id_map_init(&batch->account_map, 2 * events) &&
                id_map_init(&batch->id_map, 2 * batch->requests_max) &&
                id_map_init(&batch->pending_map, 2 * events);
    for (int field = POSTINGS_CODE; field < POSTINGS_FIELDS; field++)
        made = made && id_map_init(&batch->term_maps[field], events);
    return made;
}

struct ledger_batch *ledger_batch_new(uint32_t count)
{
    struct ledger_batch *batch = base_malloc(sizeof(*batch));
    if (!batch)
        return NULL;
    memset(batch, 0, offsetof(struct ledger_batch, block));
    batch->requests_max = count;
    batch->expiries_max = count < EXPIRIES_MIN ? EXPIRIES_MIN : count;
    uint32_t events = events_max(batch);
    batch->events = base_malloc(events * sizeof(*batch->events));
    batch->accounts = base_malloc(2 * events * sizeof(*batch->accounts));
    batch->ids = base_malloc(2 * (size_t)count * sizeof(*batch->ids));
    batch->pendings = base_malloc(2 * events * sizeof(*batch->pendings));
    batch->terms = base_malloc(POSTINGS_FIELDS * events * sizeof(*batch->terms));
    if (make_maps(batch) && batch->events && batch->accounts && batch->ids && batch->pendings &&
        batch->terms)
        return batch;
    ledger_batch_free(batch);
    return NULL;
}

void ledger_batch_free(struct ledger_batch *batch)
{
    if (!batch)
        return;
    id_map_free(&batch->account_map);
    id_map_free(&batch->id_map);
    id_map_free(&batch->pending_map);
    for (int field = 0; field < POSTINGS_FIELDS; field++)
        id_map_free(&batch->term_maps[field]);
    base_free(batch->events);
    base_free(batch->accounts);
    base_free(batch->ids);
    base_free(batch->pendings);
    base_free(batch->terms);
    base_free(batch->undo);
    base_free(batch);
}

uint32_t ledger_batch_size(const struct ledger_batch *batch)
{
    return batch->requests_max;
}

int batch_allow_chains(struct ledger_batch *batch)
{
    if (batch->undo)
        return 0;
    batch->undo_max = 3 * batch->requests_max; /* two accounts and a pending transfer for each */
    batch->undo = base_malloc(batch->undo_max * sizeof(*batch->undo));
    return batch->undo ? 0 : JINI_E_NO_MEMORY;
}

int batch_begin(struct ledger_batch *batch, struct store_txn *txn, uint64_t now_ns,
                struct jini_error *error)
{
    id_map_clear(&batch->account_map);
    id_map_clear(&batch->id_map);
    id_map_clear(&batch->pending_map);
    for (int field = POSTINGS_CODE; field < POSTINGS_FIELDS; field++)
        id_map_clear(&batch->term_maps[field]);
    batch->event_count = batch->account_count = batch->id_count = 0;
    batch->pending_count = batch->term_count = batch->undo_count = 0;
    batch->in_chain = batch->failed_ids = false;
    batch->now_ns = now_ns;
    return blocks_read_head(txn, &batch->head, error);
}

/* ---- What is known ---- */

static int explain(int status, const char *field, const char *what, struct jini_error *error)
{
    return error_set(error, status, field, "%s cannot be read: %s", what, jini_status_text(status));
}

/* A value of at most `capacity` bytes. JINI_E_NOT_FOUND. */
static int read_value(struct store_txn *txn, enum store_space space, const struct tuple *key,
                      struct buffer *value)
{
    int status = store_get(txn, space, tuple_key(key), value);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

int account_read(struct store_txn *txn, const struct jini_id *id, struct jini_account *out,
                 struct chain_end ends[2], struct jini_error *error)
{
    uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    enum store_space space = place_of_account(id, &key);
    int status = read_value(txn, space, &key, &value);
    if (status == 0)
        status = record_read_account(buffer_slice(&value), id, out, ends);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "id", "there is no account with this id");
    return status ? explain(status, "account", "an account", error) : 0;
}

int ledger_account_get(struct store_txn *txn, const struct jini_id *id, struct jini_account *out,
                       struct jini_error *error)
{
    struct chain_end ends[2];
    return account_read(txn, id, out, ends, error);
}

int batch_account(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                  uint32_t *index, struct jini_error *error)
{
    uint32_t *value = id_map_at(&batch->account_map, id);
    if (*value == 0) {
        struct batch_account *new = &batch->accounts[batch->account_count];
        memset(new->ends, 0, sizeof(new->ends));
        int status = account_read(txn, id, &new->account, new->ends, error);
        if (status && status != JINI_E_NOT_FOUND)
            return status;
        new->exists = status == 0;
        new->changed = false;
        *value = ++batch->account_count;
    }
    *index = *value - 1;
    return 0;
}

/* JINI_E_NOT_FOUND. 0 in `timestamp`: it failed. */
static int read_id(struct store_txn *txn, const struct jini_id *id, uint64_t *timestamp)
{
    uint8_t bytes[8];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    tuple_begin(&key);
    tuple_add_id(&key, id);
    int status = read_value(txn, STORE_SPACE_TRANSFER_IDS, &key, &value);
    if (status == 0 && value.length != sizeof(bytes))
        status = JINI_E_CORRUPT;
    *timestamp = status ? 0 : load_le64(bytes);
    return status;
}

static int look_up_id(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                      struct batch_id *out)
{
    int status = JINI_E_NOT_FOUND;
    *out = (struct batch_id){.kind = ID_FREE};
    if (jini_id_compare(id, &batch->head.greatest_id) <= 0)
        status = read_id(txn, id, &out->timestamp);
    if (status == 0)
        out->kind = out->timestamp ? ID_STORED : ID_FAILED;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int batch_id(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
             uint32_t *index, struct jini_error *error)
{
    uint32_t *value = id_map_at(&batch->id_map, id);
    if (*value == 0) {
        int status = look_up_id(batch, txn, id, &batch->ids[batch->id_count]);
        if (status)
            return explain(status, "id", "the row of a transfer's id", error);
        *value = ++batch->id_count;
    }
    struct batch_id *known = &batch->ids[*value - 1];
    /* Made by a chain that failed: the number is free, or another event's. */
    if (known->kind == ID_CREATED &&
        (known->event >= batch->event_count ||
         !id_equal(&batch->events[known->event].event.transfer.id, id)))
        *known = (struct batch_id){.kind = ID_FREE};
    *index = *value - 1;
    return 0;
}

int batch_transfer(struct ledger_batch *batch, struct store_txn *txn, const struct batch_id *id,
                   struct jini_transfer *out, struct jini_error *error)
{
    if (id->kind == ID_CREATED) {
        *out = batch->events[id->event].event.transfer;
        return 0;
    }
    return blocks_find(txn, id->timestamp, &batch->block, out, error);
}

int ledger_transfer_get(struct store_txn *txn, const struct jini_id *id, struct jini_transfer *out,
                        struct jini_error *error)
{
    uint64_t timestamp;
    int status = read_id(txn, id, &timestamp);
    if (status == JINI_E_NOT_FOUND || (status == 0 && timestamp == 0))
        return error_set(error, JINI_E_NOT_FOUND, "id", "there is no transfer with this id");
    if (status)
        return explain(status, "id", "the row of a transfer's id", error);
    struct block *block = base_malloc(sizeof(*block));
    if (!block)
        return error_set(error, JINI_E_NO_MEMORY, "transfer", "out of memory");
    status = blocks_find(txn, timestamp, block, out, error);
    base_free(block);
    return status;
}

/* ---- Pending transfers ---- */

void pending_key(uint64_t timestamp, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, 0);
    tuple_add_uint(key, timestamp);
}

void pending_due_key(uint64_t expires_ns, uint64_t timestamp, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, 1);
    tuple_add_uint(key, expires_ns);
    tuple_add_uint(key, timestamp);
}

int pending_read(struct store_txn *txn, uint64_t timestamp, struct batch_pending *out)
{
    uint8_t bytes[RECORD_PENDING_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    memset(out, 0, sizeof(*out));
    pending_key(timestamp, &key);
    int status = read_value(txn, STORE_SPACE_PENDING, &key, &value);
    if (status == 0)
        status = record_read_pending(buffer_slice(&value), &out->pending);
    if (status == 0 && out->pending.transfer.timestamp != timestamp)
        status = JINI_E_CORRUPT;
    if (status == 0 && out->pending.state == PENDING_OPEN)
        out->due_ns = out->pending.expires_ns;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int batch_pending(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                  uint32_t *index, struct jini_error *error)
{
    uint32_t at;
    int status = batch_id(batch, txn, id, &at, error);
    if (status)
        return status;
    const struct batch_id *known = &batch->ids[at];
    uint32_t *value = id_map_at(&batch->pending_map, id);
    if (*value == 0) {
        struct batch_pending *new = &batch->pendings[batch->pending_count];
        memset(new, 0, sizeof(*new));
        if (known->kind == ID_STORED)
            status = pending_read(txn, known->timestamp, new);
        if (status)
            return explain(status, "pending_id", "a pending transfer", error);
        *value = ++batch->pending_count;
    }
    *index = *value - 1;
    batch->pendings[*index].exists = known->kind == ID_STORED || known->kind == ID_CREATED;
    return 0;
}

/* ---- Changes ---- */

static struct batch_undo *next_undo(struct ledger_batch *batch)
{
    JINI_ASSERT(batch->undo_count < batch->undo_max);
    return &batch->undo[batch->undo_count++];
}

void batch_touch_account(struct ledger_batch *batch, uint32_t index)
{
    struct batch_account *account = &batch->accounts[index];
    if (batch->in_chain) {
        struct batch_undo *undo = next_undo(batch);
        undo->kind = UNDO_ACCOUNT;
        undo->index = index;
        undo->before.account = *account;
    }
    account->changed = true;
}

void batch_touch_pending(struct ledger_batch *batch, uint32_t index)
{
    struct batch_pending *pending = &batch->pendings[index];
    if (batch->in_chain) {
        struct batch_undo *undo = next_undo(batch);
        undo->kind = UNDO_PENDING;
        undo->index = index;
        undo->before.pending = *pending;
    }
    pending->changed = true;
}

/* Its lists are made when it is written, so that a chain that fails leaves nothing in them. */
struct batch_event *batch_append(struct ledger_batch *batch, const struct jini_transfer *transfer,
                                 uint32_t debit, uint32_t credit)
{
    const uint32_t sides[2] = {debit, credit};
    struct batch_event *event = &batch->events[batch->event_count++];
    event->event.transfer = *transfer;
    for (int side = BLOCK_DEBIT; side <= BLOCK_CREDIT; side++) {
        const struct jini_account *account = &batch->accounts[sides[side]].account;
        event->account[side] = sides[side];
        event->event.balance[side] = account->balance;
        event->event.keeps_balance[side] = account->flags & JINI_ACCOUNT_HISTORY;
    }
    batch->head.last_ns = transfer->timestamp;
    return event;
}
