/*
 * The events of a request, one after the other. What they change is in the batch; a linked chain
 * that fails is taken back there.
 */
#include "ledger/batch.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/id.h"

#define ACCOUNT(name)  JINI_ACCOUNT_RESULT_##name
#define TRANSFER(name) JINI_TRANSFER_RESULT_##name

/* The largest time of an imported event; the clock does not come there before 2262. */
static const uint64_t imported_ns_max = INT64_MAX;

/* ---- Chains ---- */

/* Where a chain began, and all that it may have to take back. */
struct chain {
    uint32_t first; /* event of the request; BATCH_NONE: no chain is open */
    bool broken;
    uint32_t events; /* of the batch, before it */
    uint64_t last_ns;
};

static const struct chain no_chain = {.first = BATCH_NONE};

static void chain_open(struct ledger_batch *batch, struct chain *chain, uint32_t first)
{
    *chain = (struct chain){
        .first = first, .events = batch->event_count, .last_ns = batch->head.last_ns};
    batch->undo_count = 0;
    batch->in_chain = true;
}

static void chain_close(struct ledger_batch *batch, struct chain *chain)
{
    *chain = no_chain;
    batch->in_chain = false;
}

static void chain_take_back(struct ledger_batch *batch, struct chain *chain)
{
    while (batch->undo_count > 0) {
        const struct batch_undo *undo = &batch->undo[--batch->undo_count];
        if (undo->kind == UNDO_ACCOUNT)
            batch->accounts[undo->index] = undo->before.account;
        else
            batch->pendings[undo->index] = undo->before.pending;
    }
    batch->event_count = chain->events;
    batch->head.last_ns = chain->last_ns;
    chain->broken = true;
    batch->in_chain = false;
}

/*
 * One request, of accounts or of transfers: how to run event `i` by itself, and how to tell what
 * became of it. A result of 0 is CREATED in both.
 */
struct run {
    struct ledger_batch *batch;
    struct store_txn *txn;
    uint32_t count;
    const void *events;
    void *results;
    bool (*is_linked)(const struct run *run, uint32_t i);
    int (*evaluate)(const struct run *run, uint32_t i, uint32_t *result, struct jini_error *error);
    void (*tell)(const struct run *run, uint32_t i, uint32_t result);
};

/* The results that chains have of themselves are the same numbers for both. */
enum { RESULT_OK = 0, RESULT_LINKED_FAILED = 1, RESULT_CHAIN_OPEN = 2 };
_Static_assert((int)ACCOUNT(LINKED_EVENT_FAILED) == RESULT_LINKED_FAILED &&
                   (int)TRANSFER(LINKED_EVENT_FAILED) == RESULT_LINKED_FAILED &&
                   (int)ACCOUNT(LINKED_EVENT_CHAIN_OPEN) == RESULT_CHAIN_OPEN &&
                   (int)TRANSFER(LINKED_EVENT_CHAIN_OPEN) == RESULT_CHAIN_OPEN,
               "chains fail alike");

static int run_one(const struct run *run, uint32_t i, struct chain *chain, struct jini_error *error)
{
    bool linked = run->is_linked(run, i);
    uint32_t result = RESULT_OK;
    int status = 0;
    if (linked && chain->first == BATCH_NONE)
        chain_open(run->batch, chain, i);
    if (linked && i == run->count - 1)
        result = RESULT_CHAIN_OPEN;
    else if (chain->broken)
        result = RESULT_LINKED_FAILED;
    else
        status = run->evaluate(run, i, &result, error);
    if (status)
        return status;
    if (result != RESULT_OK && chain->first != BATCH_NONE && !chain->broken) {
        chain_take_back(run->batch, chain);
        for (uint32_t before = chain->first; before < i; before++)
            run->tell(run, before, RESULT_LINKED_FAILED);
    }
    run->tell(run, i, result);
    if (chain->first != BATCH_NONE && (!linked || result == RESULT_CHAIN_OPEN))
        chain_close(run->batch, chain);
    return 0;
}

static int run_all(const struct run *run, struct jini_error *error)
{
    struct chain chain = no_chain;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < run->count; i++)
        status = run_one(run, i, &chain, error);
    return status;
}

static int run_begin(const struct run *run, uint64_t now_ns, struct jini_error *error)
{
    int status = 0;
    JINI_ASSERT(run->count <= run->batch->requests_max);
    for (uint32_t i = 0; status == 0 && i < run->count; i++) {
        if (run->is_linked(run, i))
            status = batch_allow_chains(run->batch);
    }
    if (status)
        return error_set(error, status, "ledger", "out of memory");
    return batch_begin(run->batch, run->txn, now_ns, error);
}

/* ---- Accounts ---- */

static const struct jini_account *account_at(const struct run *run, uint32_t i)
{
    return (const struct jini_account *)run->events + i;
}

static bool account_is_linked(const struct run *run, uint32_t i)
{
    return account_at(run, i)->flags & JINI_ACCOUNT_LINKED;
}

static void tell_account(const struct run *run, uint32_t i, uint32_t result)
{
    ((uint32_t *)run->results)[i] = result;
}

/* All of a request are imported, as its first is, or none. */
static enum jini_account_result check_account_time(const struct run *run, uint32_t i)
{
    const struct jini_account *account = account_at(run, i);
    bool wanted = account_at(run, 0)->flags & JINI_ACCOUNT_IMPORTED;
    bool imported = account->flags & JINI_ACCOUNT_IMPORTED;
    if (wanted && !imported)
        return ACCOUNT(IMPORTED_EVENT_EXPECTED);
    if (imported && !wanted)
        return ACCOUNT(IMPORTED_EVENT_NOT_EXPECTED);
    if (!imported)
        return account->timestamp ? ACCOUNT(TIMESTAMP_MUST_BE_ZERO) : ACCOUNT(CREATED);
    if (account->timestamp == 0 || account->timestamp > imported_ns_max)
        return ACCOUNT(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE);
    return account->timestamp >= run->batch->now_ns
               ? ACCOUNT(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE)
               : ACCOUNT(CREATED);
}

static enum jini_account_result check_account(const struct run *run, uint32_t i,
                                              const struct batch_account *known)
{
    const struct jini_account *account = account_at(run, i);
    if (known->exists)
        return rules_account_exists(account, &known->account);
    enum jini_account_result result = rules_account_fields(account);
    if (result == ACCOUNT(CREATED) && account->timestamp != 0 &&
        account->timestamp <= run->batch->head.last_ns)
        result = ACCOUNT(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS);
    return result;
}

static int evaluate_account(const struct run *run, uint32_t i, uint32_t *out,
                            struct jini_error *error)
{
    struct ledger_batch *batch = run->batch;
    const struct jini_account *account = account_at(run, i);
    uint32_t index;
    enum jini_account_result result = check_account_time(run, i);
    if (result == ACCOUNT(CREATED))
        result = rules_account_form(account);
    *out = result;
    if (result != ACCOUNT(CREATED))
        return 0;
    int status = batch_account(batch, run->txn, &account->id, &index, error);
    if (status)
        return status;
    *out = result = check_account(run, i, &batch->accounts[index]);
    if (result != ACCOUNT(CREATED))
        return 0;
    batch_touch_account(batch, index);
    struct batch_account *made = &batch->accounts[index];
    made->account = *account;
    made->account.flags &= (uint16_t)~JINI_ACCOUNT_LINKED;
    made->exists = true;
    if (account->timestamp == 0)
        made->account.timestamp = batch_next_ns(batch);
    batch->head.last_ns = made->account.timestamp;
    return 0;
}

int ledger_create_accounts(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                           const struct jini_account *accounts, uint32_t count, uint32_t *results,
                           struct jini_error *error)
{
    struct run run = {.batch = batch,
                      .txn = txn,
                      .count = count,
                      .events = accounts,
                      .results = results,
                      .is_linked = account_is_linked,
                      .evaluate = evaluate_account,
                      .tell = tell_account};
    int status = run_begin(&run, now_ns, error);
    if (status == 0)
        status = run_all(&run, error);
    return status ? status : batch_write(batch, txn, error);
}

/* ---- Transfers ---- */

static const struct jini_transfer *transfer_at(const struct run *run, uint32_t i)
{
    return (const struct jini_transfer *)run->events + i;
}

static struct jini_transfer_reply *reply_at(const struct run *run, uint32_t i)
{
    return (struct jini_transfer_reply *)run->results + i;
}

static bool transfer_is_linked(const struct run *run, uint32_t i)
{
    return transfer_at(run, i)->flags & JINI_TRANSFER_LINKED;
}

static void tell_transfer(const struct run *run, uint32_t i, uint32_t result)
{
    struct jini_transfer_reply *reply = reply_at(run, i);
    if (result == RESULT_LINKED_FAILED)
        memset(reply, 0, sizeof(*reply)); /* what it said before the chain failed */
    reply->result = result;
}

static enum jini_transfer_result check_transfer_time(const struct run *run, uint32_t i)
{
    const struct jini_transfer *transfer = transfer_at(run, i);
    bool wanted = transfer_at(run, 0)->flags & JINI_TRANSFER_IMPORTED;
    bool imported = transfer->flags & JINI_TRANSFER_IMPORTED;
    if (wanted && !imported)
        return TRANSFER(IMPORTED_EVENT_EXPECTED);
    if (imported && !wanted)
        return TRANSFER(IMPORTED_EVENT_NOT_EXPECTED);
    if (!imported)
        return transfer->timestamp ? TRANSFER(TIMESTAMP_MUST_BE_ZERO) : TRANSFER(CREATED);
    if (transfer->timestamp == 0 || transfer->timestamp > imported_ns_max)
        return TRANSFER(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE);
    return transfer->timestamp >= run->batch->now_ns
               ? TRANSFER(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE)
               : TRANSFER(CREATED);
}

/* The transfer has the id of one that exists. */
static int compare_existing(const struct run *run, uint32_t i, const struct batch_id *known,
                            enum jini_transfer_result *result, struct jini_error *error)
{
    struct jini_transfer existing;
    const struct jini_transfer *ended = NULL;
    uint32_t index;
    int status = batch_transfer(run->batch, run->txn, known, &existing, error);
    if (status)
        return status;
    if (rules_is_end(&existing)) {
        status = batch_pending(run->batch, run->txn, &existing.pending_id, &index, error);
        if (status)
            return status;
        ended = &run->batch->pendings[index].pending.transfer;
    }
    *result = rules_transfer_exists(transfer_at(run, i), &existing, ended);
    if (*result == TRANSFER(EXISTS))
        reply_at(run, i)->timestamp = existing.timestamp;
    return 0;
}

/* A transfer under evaluation: its final form, and what it is about. */
struct evaluation {
    const struct run *run;
    struct jini_transfer transfer;
    uint32_t debit;
    uint32_t credit;
    uint32_t ended; /* of a post or a void: in `pendings` */
    amount128 amount;
};

static int find_accounts(struct evaluation *e, const struct jini_id *debit,
                         const struct jini_id *credit, struct rules_parties *out,
                         struct jini_error *error)
{
    struct ledger_batch *batch = e->run->batch;
    int status = batch_account(batch, e->run->txn, debit, &e->debit, error);
    if (status == 0)
        status = batch_account(batch, e->run->txn, credit, &e->credit, error);
    if (status)
        return status;
    const struct batch_account *from = &batch->accounts[e->debit];
    const struct batch_account *to = &batch->accounts[e->credit];
    *out = (struct rules_parties){.debit = from->exists ? &from->account : NULL,
                                  .credit = to->exists ? &to->account : NULL,
                                  .last_ns = batch->head.last_ns};
    return 0;
}

static int evaluate_move(struct evaluation *e, enum jini_transfer_result *result,
                         struct jini_error *error)
{
    struct rules_parties parties;
    *result = rules_transfer_fields(&e->transfer);
    if (*result != TRANSFER(CREATED))
        return 0;
    int status = find_accounts(e, &e->transfer.debit_account_id, &e->transfer.credit_account_id,
                               &parties, error);
    if (status == 0)
        *result = rules_transfer(&e->transfer, &parties, &e->amount);
    return status;
}

static int evaluate_end(struct evaluation *e, enum jini_transfer_result *result,
                        struct jini_error *error)
{
    struct ledger_batch *batch = e->run->batch;
    struct rules_parties parties = {0};
    *result = rules_end_fields(&e->transfer);
    if (*result != TRANSFER(CREATED))
        return 0;
    int status = batch_pending(batch, e->run->txn, &e->transfer.pending_id, &e->ended, error);
    if (status)
        return status;
    const struct batch_pending *ended = &batch->pendings[e->ended];
    const struct jini_transfer *held = &ended->pending.transfer;
    if (ended->exists && (held->flags & JINI_TRANSFER_PENDING)) {
        status =
            find_accounts(e, &held->debit_account_id, &held->credit_account_id, &parties, error);
        if (status == 0 && (!parties.debit || !parties.credit))
            status = error_set(error, JINI_E_CORRUPT, "pending_id",
                               "a pending transfer names an account that is not there");
    }
    if (status == 0)
        *result =
            rules_end(&e->transfer, ended->exists ? &ended->pending : NULL, &parties, &e->amount);
    return status;
}

static void apply_move(struct evaluation *e)
{
    struct ledger_batch *batch = e->run->batch;
    e->transfer.amount = amount_out(e->amount);
    rules_apply(&e->transfer, &batch->accounts[e->debit].account,
                &batch->accounts[e->credit].account);
}

static void apply_end(struct evaluation *e)
{
    struct ledger_batch *batch = e->run->batch;
    struct pending *ended;
    bool posted = e->transfer.flags & JINI_TRANSFER_POST_PENDING_TRANSFER;
    batch_touch_pending(batch, e->ended);
    ended = &batch->pendings[e->ended].pending;
    ended->state = posted ? PENDING_POSTED : PENDING_VOIDED;
    ended->ended_ns = e->transfer.timestamp;
    rules_fill_end(&e->transfer, &ended->transfer);
    rules_apply_end(&ended->transfer, posted, e->amount, &batch->accounts[e->debit].account,
                    &batch->accounts[e->credit].account);
}

/* What was made pends from now on. */
static int remember_pending(struct evaluation *e, struct jini_error *error)
{
    struct ledger_batch *batch = e->run->batch;
    uint32_t index;
    int status = batch_pending(batch, e->run->txn, &e->transfer.id, &index, error);
    if (status)
        return status;
    batch_touch_pending(batch, index);
    struct batch_pending *made = &batch->pendings[index];
    made->exists = true;
    made->pending = (struct pending){.state = PENDING_OPEN,
                                     .expires_ns = rules_expires_ns(&e->transfer),
                                     .transfer = e->transfer};
    return 0;
}

static int make_transfer(struct evaluation *e, uint32_t i, struct batch_id *known,
                         struct jini_error *error)
{
    struct ledger_batch *batch = e->run->batch;
    batch_touch_account(batch, e->debit);
    batch_touch_account(batch, e->credit);
    if (rules_is_end(&e->transfer))
        apply_end(e);
    else
        apply_move(e);
    *known = (struct batch_id){.kind = ID_CREATED, .event = batch->event_count, .changed = true};
    const struct batch_event *event = batch_append(batch, &e->transfer, e->debit, e->credit);
    *reply_at(e->run, i) = (struct jini_transfer_reply){
        .timestamp = e->transfer.timestamp,
        .amount = e->transfer.amount,
        .debit = event->event.balance[BLOCK_DEBIT],
        .credit = event->event.balance[BLOCK_CREDIT],
    };
    return e->transfer.flags & JINI_TRANSFER_PENDING ? remember_pending(e, error) : 0;
}

/* One whose form is right and whose id is free. */
static int evaluate_new(const struct run *run, uint32_t i, uint32_t id, uint32_t *out,
                        struct jini_error *error)
{
    struct ledger_batch *batch = run->batch;
    struct evaluation e = {.run = run, .transfer = *transfer_at(run, i)};
    enum jini_transfer_result result;
    if (!(e.transfer.flags & JINI_TRANSFER_IMPORTED))
        e.transfer.timestamp = batch_next_ns(batch);
    int status = rules_is_end(&e.transfer) ? evaluate_end(&e, &result, error)
                                           : evaluate_move(&e, &result, error);
    if (status)
        return status;
    *out = result;
    if (rules_is_transient(result)) {
        batch->ids[id] = (struct batch_id){.kind = ID_FAILED, .changed = true};
        batch->failed_ids = true;
    }
    return result == TRANSFER(CREATED) ? make_transfer(&e, i, &batch->ids[id], error) : 0;
}

static int evaluate_transfer(const struct run *run, uint32_t i, uint32_t *out,
                             struct jini_error *error)
{
    const struct jini_transfer *transfer = transfer_at(run, i);
    enum jini_transfer_result result = check_transfer_time(run, i);
    uint32_t index;
    memset(reply_at(run, i), 0, sizeof(struct jini_transfer_reply));
    if (result == TRANSFER(CREATED))
        result = rules_transfer_form(transfer);
    *out = result;
    if (result != TRANSFER(CREATED))
        return 0;
    int status = batch_id(run->batch, run->txn, &transfer->id, &index, error);
    if (status)
        return status;
    const struct batch_id known = run->batch->ids[index];
    if (known.kind == ID_FREE)
        return evaluate_new(run, i, index, out, error);
    result = TRANSFER(ID_ALREADY_FAILED);
    if (known.kind != ID_FAILED)
        status = compare_existing(run, i, &known, &result, error);
    *out = result;
    return status;
}

int ledger_create_transfers(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                            const struct jini_transfer *transfers, uint32_t count,
                            struct jini_transfer_reply *replies, struct jini_error *error)
{
    struct run run = {.batch = batch,
                      .txn = txn,
                      .count = count,
                      .events = transfers,
                      .results = replies,
                      .is_linked = transfer_is_linked,
                      .evaluate = evaluate_transfer,
                      .tell = tell_transfer};
    bool imported = count > 0 && (transfers[0].flags & JINI_TRANSFER_IMPORTED);
    uint32_t expired;
    int status = run_begin(&run, now_ns, error);
    if (status == 0 && !imported) /* an end has the time of now, before which nothing comes then */
        status = batch_expire(batch, txn, &expired, error);
    if (status == 0)
        status = run_all(&run, error);
    return status ? status : batch_write(batch, txn, error);
}
