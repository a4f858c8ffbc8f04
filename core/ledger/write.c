/* What came of a request, into the store. */
#include "ledger/batch.h"
#include "ledger/place.h"

#include "base/error.h"
#include "base/id.h"
#include "ledger/chains.h"

/* Gives the events their links, and the accounts their new ends. */
static int link_events(struct ledger_batch *batch, struct store_txn *txn)
{
    int status = 0;
    for (uint32_t i = 0; i < batch->event_count; i++) {
        struct batch_event *event = &batch->events[i];
        for (int side = BLOCK_DEBIT; status == 0 && side <= BLOCK_CREDIT; side++) {
            struct batch_account *account = &batch->accounts[event->account[side]];
            JINI_ASSERT(account->changed);
            status = chain_append(txn, &account->account.id, (enum block_side)side,
                                  event->event.transfer.timestamp, &account->ends[side],
                                  &event->event.before_ns[side]);
        }
    }
    return status;
}

static int write_blocks(struct ledger_batch *batch, struct store_txn *txn)
{
    const struct block_event *events[BLOCK_EVENTS_MAX];
    int status = 0;
    for (uint32_t done = 0; status == 0 && done < batch->event_count;) {
        uint32_t count = batch->event_count - done;
        count = count < BLOCK_EVENTS_MAX ? count : BLOCK_EVENTS_MAX;
        for (uint32_t i = 0; i < count; i++)
            events[i] = &batch->events[done + i].event;
        status = blocks_append(txn, &batch->head, events, count, &batch->block);
        done += count;
    }
    return status;
}

/* ---- Ids ---- */

static int write_id(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                    uint64_t timestamp)
{
    uint8_t bytes[8];
    struct tuple key;
    tuple_begin(&key);
    tuple_add_id(&key, id);
    store_le64(bytes, timestamp);
    if (jini_id_compare(id, &batch->head.greatest_id) > 0)
        batch->head.greatest_id = *id;
    return store_put(txn, STORE_SPACE_TRANSFER_IDS, tuple_key(&key), slice_of(bytes, 8));
}

static int write_ids(struct ledger_batch *batch, struct store_txn *txn)
{
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < batch->event_count; i++) {
        const struct jini_transfer *transfer = &batch->events[i].event.transfer;
        if (!id_is_zero(&transfer->id))
            status = write_id(batch, txn, &transfer->id, transfer->timestamp);
    }
    for (uint32_t i = 0; status == 0 && batch->failed_ids && i <= batch->id_map.mask; i++) {
        const struct id_slot *slot = &batch->id_map.slots[i];
        const struct batch_id *id = slot->value ? &batch->ids[slot->value - 1] : NULL;
        if (id && id->kind == ID_FAILED && id->changed)
            status = write_id(batch, txn, &slot->id, 0);
    }
    return status;
}

/* ---- Pending transfers ---- */

static int write_due(struct ledger_batch *batch, struct store_txn *txn,
                     const struct batch_pending *pending)
{
    const struct pending *now = &pending->pending;
    struct tuple key;
    if (now->state != PENDING_OPEN && pending->due_ns != 0) {
        pending_due_key(pending->due_ns, now->transfer.timestamp, &key);
        int status = store_delete(txn, STORE_SPACE_PENDING, tuple_key(&key));
        return status == JINI_E_NOT_FOUND ? 0 : status; /* verify tells */
    }
    if (now->state != PENDING_OPEN || now->expires_ns == 0)
        return 0;
    if (now->expires_ns < batch->head.due_ns)
        batch->head.due_ns = now->expires_ns;
    pending_due_key(now->expires_ns, now->transfer.timestamp, &key);
    return store_put(txn, STORE_SPACE_PENDING, tuple_key(&key), slice_of(NULL, 0));
}

static int write_pendings(struct ledger_batch *batch, struct store_txn *txn)
{
    uint8_t bytes[RECORD_PENDING_BYTES];
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < batch->pending_count; i++) {
        const struct batch_pending *pending = &batch->pendings[i];
        struct tuple key;
        if (!pending->changed)
            continue;
        record_write_pending(&pending->pending, bytes);
        pending_key(pending->pending.transfer.timestamp, &key);
        status =
            store_put(txn, STORE_SPACE_PENDING, tuple_key(&key), slice_of(bytes, sizeof(bytes)));
        if (status == 0)
            status = write_due(batch, txn, pending);
    }
    return status;
}

/* ---- Lists ---- */

static void list_add(struct ledger_batch *batch, struct event_list *list, int field, uint32_t event)
{
    batch->events[event].next[field] = BATCH_NONE;
    if (list->first == BATCH_NONE)
        list->first = event;
    else
        batch->events[list->last].next[field] = event;
    list->last = event;
}

static void term_add(struct ledger_batch *batch, const struct postings_term *term, uint32_t event)
{
    uint32_t *value = id_map_at(&batch->term_maps[term->field], &term->value);
    if (*value == 0) {
        batch->terms[batch->term_count] = (struct batch_term){*term, {BATCH_NONE, BATCH_NONE}};
        *value = ++batch->term_count;
    }
    list_add(batch, &batch->terms[*value - 1].events, term->field, event);
}

static void number_add(struct ledger_batch *batch, enum postings_field field, uint64_t number,
                       uint32_t event)
{
    struct postings_term term = postings_number(field, number);
    if (number != 0)
        term_add(batch, &term, event);
}

static void make_lists(struct ledger_batch *batch)
{
    for (uint32_t i = 0; i < batch->event_count; i++) {
        const struct jini_transfer *transfer = &batch->events[i].event.transfer;
        number_add(batch, POSTINGS_CODE, transfer->code, i);
        number_add(batch, POSTINGS_LEDGER, transfer->ledger, i);
        number_add(batch, POSTINGS_USER_DATA_64, transfer->user_data_64, i);
        number_add(batch, POSTINGS_USER_DATA_32, transfer->user_data_32, i);
        struct postings_term term = {POSTINGS_USER_DATA_128, transfer->user_data_128};
        if (!id_is_zero(&term.value))
            term_add(batch, &term, i);
    }
}

struct list_walk {
    const struct ledger_batch *batch;
    int field;
    uint32_t event;
};

static bool next_time(void *context, uint64_t *time)
{
    struct list_walk *walk = context;
    if (walk->event == BATCH_NONE)
        return false;
    const struct batch_event *event = &walk->batch->events[walk->event];
    *time = event->event.transfer.timestamp;
    walk->event = event->next[walk->field];
    return true;
}

static int write_list(struct ledger_batch *batch, struct store_txn *txn,
                      const struct postings_term *term, const struct event_list *events,
                      struct jini_error *error)
{
    struct list_walk walk = {batch, term->field, events->first};
    struct postings_source source = {next_time, &walk};
    return postings_append(txn, term, &source, error);
}

/* ---- Accounts ---- */

static int write_account(struct store_txn *txn, const struct batch_account *account)
{
    uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX];
    struct tuple key;
    enum store_space space = place_of_account(&account->account.id, &key);
    size_t length = record_write_account(&account->account, account->ends, bytes);
    return store_put(txn, space, tuple_key(&key), slice_of(bytes, length));
}

static int write_accounts(struct ledger_batch *batch, struct store_txn *txn)
{
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < batch->account_count; i++) {
        if (batch->accounts[i].changed)
            status = write_account(txn, &batch->accounts[i]);
    }
    return status;
}

int batch_write(struct ledger_batch *batch, struct store_txn *txn, struct jini_error *error)
{
    int status = link_events(batch, txn);
    if (status == 0)
        status = write_blocks(batch, txn);
    if (status == 0)
        status = write_ids(batch, txn);
    if (status == 0)
        status = write_pendings(batch, txn);
    make_lists(batch);
    if (status == 0)
        status = write_accounts(batch, txn);
    for (uint32_t i = 0; status == 0 && i < batch->term_count; i++)
        status = write_list(batch, txn, &batch->terms[i].term, &batch->terms[i].events, error);
    if (status == 0)
        status = blocks_write_head(txn, &batch->head);
    return error_complete(error, status, "ledger", "the ledger cannot be written");
}
