/*
 * Accounts and transfers: the calls, and the expiry of what pends.
 *
 * Each call is an op on the writer thread, one after the other, so one batch memory serves them
 * all. It grows to the largest request that came and is kept.
 */
#include "engine/txn.h"

#include "base/error.h"
#include "ledger/ledger.h"

enum {
    EVENT_BYTES = 400, /* block, id, account, postings */
    BATCH_EVENTS = 64, /* of the first memory */
    EXPIRE_TURNS = 16  /* of one look at what is due */
};

int ledger_memory(struct jini *jini, uint32_t count, struct jini_error *error)
{
    struct ledger_batch *batch = jini->ledger_batch;
    if (batch && ledger_batch_size(batch) >= count)
        return 0;
    batch = ledger_batch_new(count > BATCH_EVENTS ? count : BATCH_EVENTS);
    if (!batch)
        return error_set(error, JINI_E_NO_MEMORY, "count",
                         "there is no memory for a request of %u events", count);
    ledger_batch_free(jini->ledger_batch);
    jini->ledger_batch = batch;
    return 0;
}

/* The same in each run of the op. Between two milliseconds the ledger counts on by itself. */
static uint64_t now_ns(const struct jini_txn *txn)
{
    return txn->now_ms * NS_PER_MS;
}

/* Some events, and room for what becomes of each. */
static int check_arrays(uint32_t count, const void *events, const char *events_field,
                        const void *results, const char *results_field, struct jini_error *error)
{
    if (count < 1 || count > JINI_LEDGER_BATCH_MAX)
        return error_set(error, JINI_E_INVALID, "count", "%u; a request has 1 to %d", count,
                         JINI_LEDGER_BATCH_MAX);
    if (events && results)
        return 0;
    return error_set(error, JINI_E_INVALID, events ? results_field : events_field, "it is missing");
}

/* ---- Accounts ---- */

static int check_accounts(void *request, enum txn_place place)
{
    struct jini_accounts_create *create = request;
    (void)place;
    return check_arrays(create->count, create->accounts, "accounts", create->results, "results",
                        &create->request.error);
}

static uint32_t bytes_of_accounts(const void *request)
{
    return ((const struct jini_accounts_create *)request)->count * EVENT_BYTES;
}

static int op_accounts(struct jini_txn *txn, void *request)
{
    struct jini_accounts_create *create = request;
    struct jini_error *error = &create->request.error;
    int status = ledger_memory(txn->jini, create->count, error);
    if (status)
        return status;
    status = ledger_create_accounts(txn->store, txn->jini->ledger_batch, now_ns(txn),
                                    create->accounts, create->count, create->results, error);
    create->created = 0;
    for (uint32_t i = 0; status == 0 && i < create->count; i++)
        create->created += create->results[i] == JINI_ACCOUNT_RESULT_CREATED;
    return status;
}

static const struct txn_form accounts_form = {
    .kind = REQUEST_ACCOUNTS_CREATE,
    .size = sizeof(struct jini_accounts_create),
    .more_bytes = bytes_of_accounts,
    .class = STORE_NEW_WORK,
    .check = check_accounts,
    .op = op_accounts,
};

int jini_accounts_create(struct jini *jini, struct jini_accounts_create *create,
                         jini_callback *callback)
{
    return txn_submit(jini, &create->request, &accounts_form, callback);
}

int jini_txn_accounts_create(struct jini_txn *txn, struct jini_accounts_create *create)
{
    return txn_call(txn, &create->request, &accounts_form);
}

/* ---- Transfers ---- */

static int check_transfers(void *request, enum txn_place place)
{
    struct jini_transfers_create *create = request;
    (void)place;
    return check_arrays(create->count, create->transfers, "transfers", create->replies, "replies",
                        &create->request.error);
}

static uint32_t bytes_of_transfers(const void *request)
{
    return ((const struct jini_transfers_create *)request)->count * EVENT_BYTES;
}

static int op_transfers(struct jini_txn *txn, void *request)
{
    struct jini_transfers_create *create = request;
    struct jini_error *error = &create->request.error;
    int status = ledger_memory(txn->jini, create->count, error);
    if (status)
        return status;
    status = ledger_create_transfers(txn->store, txn->jini->ledger_batch, now_ns(txn),
                                     create->transfers, create->count, create->replies, error);
    create->created = 0;
    for (uint32_t i = 0; status == 0 && i < create->count; i++)
        create->created += create->replies[i].result == JINI_TRANSFER_RESULT_CREATED;
    return status;
}

static const struct txn_form transfers_form = {
    .kind = REQUEST_TRANSFERS_CREATE,
    .size = sizeof(struct jini_transfers_create),
    .more_bytes = bytes_of_transfers,
    .class = STORE_NEW_WORK,
    .check = check_transfers,
    .op = op_transfers,
};

/* Of nothing but posts and voids: it settles what was admitted, also on a disk that is full. */
static const struct txn_form ends_form = {
    .kind = REQUEST_TRANSFERS_CREATE,
    .size = sizeof(struct jini_transfers_create),
    .more_bytes = bytes_of_transfers,
    .class = STORE_RELEASE,
    .check = check_transfers,
    .op = op_transfers,
};

static bool only_ends(const struct jini_transfers_create *create)
{
    const unsigned ends = JINI_TRANSFER_POST_PENDING_TRANSFER | JINI_TRANSFER_VOID_PENDING_TRANSFER;
    if (!create->transfers || create->count > JINI_LEDGER_BATCH_MAX)
        return false; /* it will be refused */
    for (uint32_t i = 0; i < create->count; i++) {
        if (!(create->transfers[i].flags & ends))
            return false;
    }
    return true;
}

int jini_transfers_create(struct jini *jini, struct jini_transfers_create *create,
                          jini_callback *callback)
{
    return txn_submit(jini, &create->request, only_ends(create) ? &ends_form : &transfers_form,
                      callback);
}

int jini_txn_transfers_create(struct jini_txn *txn, struct jini_transfers_create *create)
{
    return txn_call(txn, &create->request, &transfers_form);
}

/* ---- Queries ---- */

int jini_txn_account_get(struct jini_txn *txn, const struct jini_id *id, struct jini_account *out,
                         struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = ledger_account_get(txn->store, id, out, said);
    return txn_answer(txn, status, said, "id", "account");
}

int jini_account_get(struct jini *jini, const struct jini_id *id, struct jini_account *out,
                     struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_account_get(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_transfer_get(struct jini_txn *txn, const struct jini_id *id, struct jini_transfer *out,
                          struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = ledger_transfer_get(txn->store, id, out, said);
    return txn_answer(txn, status, said, "id", "transfer");
}

int jini_transfer_get(struct jini *jini, const struct jini_id *id, struct jini_transfer *out,
                      struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_transfer_get(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_transfer_list(struct jini_txn *txn, const struct jini_ledger_filter *filter,
                           struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                           size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = ledger_transfers_list(txn->store, filter, cursor, out, capacity, count, said);
    return txn_answer(txn, status, said, "filter", "transfers");
}

int jini_transfer_list(struct jini *jini, const struct jini_ledger_filter *filter,
                       struct jini_ledger_cursor *cursor, struct jini_transfer *out,
                       size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_transfer_list(&txn, filter, cursor, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_balance_list(struct jini_txn *txn, const struct jini_ledger_filter *filter,
                          struct jini_ledger_cursor *cursor, struct jini_ledger_balance *out,
                          size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = ledger_balances_list(txn->store, filter, cursor, out, capacity, count, said);
    return txn_answer(txn, status, said, "filter", "balances");
}

int jini_balance_list(struct jini *jini, const struct jini_ledger_filter *filter,
                      struct jini_ledger_cursor *cursor, struct jini_ledger_balance *out,
                      size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_balance_list(&txn, filter, cursor, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_balance_at(struct jini_txn *txn, const struct jini_id *account_id, uint64_t timestamp,
                        struct jini_ledger_balance *out, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = ledger_balance_at(txn->store, account_id, timestamp, out, said);
    return txn_answer(txn, status, said, "account_id", "balance");
}

int jini_balance_at(struct jini *jini, const struct jini_id *account_id, uint64_t timestamp,
                    struct jini_ledger_balance *out, struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_balance_at(&txn, account_id, timestamp, out, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- Expiry ---- */

struct expiring {
    struct jini *jini;
    uint64_t now_ns;
    uint32_t expired;
    struct jini_error error;
};

static int op_expire(struct store_txn *txn, void *argument)
{
    struct expiring *expiring = argument;
    int status = ledger_memory(expiring->jini, BATCH_EVENTS, &expiring->error);
    return status ? status
                  : ledger_expire(txn, expiring->jini->ledger_batch, expiring->now_ns,
                                  &expiring->expired, &expiring->error);
}

/* Looks first, so that an idle engine commits nothing. */
static int is_due(struct jini *jini, uint64_t wall_ns, bool *due, struct jini_error *error)
{
    struct store_txn *txn;
    uint64_t due_ns = UINT64_MAX;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = ledger_due_ns(txn, &due_ns, error);
    store_read_end(txn);
    *due = due_ns <= wall_ns;
    return status;
}

void ledger_tend(struct jini *jini)
{
    struct expiring expiring = {.jini = jini};
    bool due = true;
    int status = 0;
    for (int turn = 0; turn < EXPIRE_TURNS && status == 0 && due; turn++) {
        expiring.now_ns = clock_wall_ns(jini->clock);
        status = is_due(jini, expiring.now_ns, &due, &expiring.error);
        if (status == 0 && due)
            status = store_write_until(jini->store, op_expire, &expiring, STORE_RELEASE,
                                       background_deadline(jini));
    }
    if (status && status != JINI_E_CLOSED && status != JINI_E_CANCELLED)
        log_record(&jini->log, JINI_LOG_WARNING, "ledger_not_expired",
                   LOG_TEXT("status", jini_status_name(status)),
                   LOG_TEXT("message", expiring.error.message));
}
