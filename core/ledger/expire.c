/* The ends of pending transfers whose time is over: events without an id of their own. */
#include "ledger/batch.h"

#include "base/error.h"

static int damaged(const char *what, struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "pending_id", "%s", what);
}

static int read_key(struct slice key, uint64_t *expires_ns, uint64_t *timestamp)
{
    struct tuple_reader reader = tuple_reader_of(key);
    uint64_t kind;
    if (tuple_next_uint(&reader, &kind) != 0 || kind != 1 ||
        tuple_next_uint(&reader, expires_ns) != 0 || tuple_next_uint(&reader, timestamp) != 0 ||
        reader.rest.length != 0)
        return JINI_E_CORRUPT;
    return 0;
}

/* What is held goes back. */
static void apply(struct ledger_batch *batch, struct batch_pending *pending, uint32_t debit,
                  uint32_t credit)
{
    struct jini_transfer event = pending->pending.transfer;
    batch_touch_account(batch, debit);
    batch_touch_account(batch, credit);
    rules_apply_end(&event, false, 0, &batch->accounts[debit].account,
                    &batch->accounts[credit].account);
    event.pending_id = event.id;
    memset(&event.id, 0, sizeof(event.id));
    event.flags = JINI_TRANSFER_EXPIRED;
    event.timeout = 0;
    event.timestamp = batch_next_ns(batch);
    batch_append(batch, &event, debit, credit);
}

static int expire_one(struct ledger_batch *batch, struct store_txn *txn, uint64_t timestamp,
                      struct jini_error *error)
{
    struct batch_pending *pending = &batch->pendings[batch->pending_count];
    uint32_t debit;
    uint32_t credit;
    int status = pending_read(txn, timestamp, pending);
    if (status)
        return error_set(error, status, "pending_id", "a pending transfer cannot be read: %s",
                         jini_status_text(status));
    const struct jini_transfer *held = &pending->pending.transfer;
    if (pending->due_ns == 0)
        return damaged("the queue of expiries names a transfer that is not open", error);
    status = batch_account(batch, txn, &held->debit_account_id, &debit, error);
    if (status == 0)
        status = batch_account(batch, txn, &held->credit_account_id, &credit, error);
    if (status)
        return status;
    if (!batch->accounts[debit].exists || !batch->accounts[credit].exists)
        return damaged("a pending transfer names an account that is not there", error);
    pending->exists = true;
    *id_map_at(&batch->pending_map, &held->id) = ++batch->pending_count;
    batch_touch_pending(batch, batch->pending_count - 1);
    pending->pending.state = PENDING_EXPIRED;
    pending->pending.ended_ns = batch_next_ns(batch);
    apply(batch, pending, debit, credit);
    return 0;
}

static int expire_due(struct ledger_batch *batch, struct store_txn *txn,
                      struct store_cursor *cursor, uint32_t *expired, struct jini_error *error)
{
    for (;;) {
        uint64_t expires_ns;
        uint64_t timestamp;
        int status = store_cursor_next(cursor, NULL);
        if (status == JINI_E_NOT_FOUND) {
            batch->head.due_ns = UINT64_MAX;
            return 0;
        }
        if (status == 0 && read_key(cursor->key, &expires_ns, &timestamp) != 0)
            return damaged("the queue of expiries has a key that is none of its own", error);
        if (status)
            return error_set(error, status, "pending_id", "%s", jini_status_text(status));
        batch->head.due_ns = expires_ns;
        if (expires_ns > batch->now_ns || *expired == batch->expiries_max)
            return 0;
        status = expire_one(batch, txn, timestamp, error);
        if (status)
            return status;
        (*expired)++;
    }
}

int batch_expire(struct ledger_batch *batch, struct store_txn *txn, uint32_t *expired,
                 struct jini_error *error)
{
    struct store_cursor cursor;
    struct tuple low;
    *expired = 0;
    if (batch->head.due_ns > batch->now_ns)
        return 0;
    pending_due_key(0, 0, &low);
    int status = store_cursor_open(txn, STORE_SPACE_PENDING, tuple_key(&low), slice_of(NULL, 0),
                                   STORE_FORWARD, &cursor);
    if (status)
        return error_set(error, status, "pending_id", "%s", jini_status_text(status));
    status = expire_due(batch, txn, &cursor, expired, error);
    store_cursor_close(&cursor);
    return status;
}

int ledger_expire(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                  uint32_t *expired, struct jini_error *error)
{
    int status = batch_begin(batch, txn, now_ns, error);
    if (status == 0)
        status = batch_expire(batch, txn, expired, error);
    return status ? status : batch_write(batch, txn, error);
}

int ledger_due_ns(struct store_txn *txn, uint64_t *out, struct jini_error *error)
{
    struct ledger_head head;
    int status = blocks_read_head(txn, &head, error);
    *out = head.due_ns;
    return status;
}
