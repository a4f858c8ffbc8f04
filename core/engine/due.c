/*
 * What falls due in the engine, a slice in each transaction.
 *
 *  1. The transaction looks at the queue again and does what the row says if that still holds, so
 *     several processes may do this at once and need no lease.
 *  2. A row goes with what it led to, also when there was nothing to do. What is damaged holds up
 *     no other: it is logged, its row goes, and verify tells of it.
 */
#include "engine/due.h"

#include "base/error.h"
#include "engine/grants.h"
#include "engine/paying.h"
#include "ledger/place.h"

enum { SLICE = 32, SLICES_MAX = 64 };

int due_add(struct store_txn *txn, enum due_what what, uint64_t due_ms, const struct jini_id *id,
            struct jini_error *error)
{
    struct generations_due due = {.kind = GENERATIONS_DUE_ENGINE,
                                  .due_ms = due_ms,
                                  .id = *id,
                                  .value = {(uint8_t)what},
                                  .value_length = 1};
    return generations_due_add(txn, &due, error);
}

struct due_slice {
    struct jini *jini;
    uint64_t now_ms;
    size_t count;
    uint32_t damaged;
    struct jini_error error;
};

static int do_one(struct store_txn *txn, struct due_slice *slice, const struct generations_due *due)
{
    struct jini_txn inside = {.jini = slice->jini, .store = txn, .now_ms = slice->now_ms};
    uint64_t user_id;
    if (due->value_length == 1 && due->value[0] == DUE_GRANT &&
        place_is_of_user(&due->id, &user_id, NULL))
        return grants_due_in(txn, slice->jini, user_id, slice->now_ms, &slice->error);
    if (due->value_length == 1 && due->value[0] == DUE_PAYMENT)
        return payment_due_in(&inside, &due->id, due->due_ms, &slice->error);
    if (due->value_length == 1 && due->value[0] == DUE_SUBSCRIPTION &&
        place_is_of_user(&due->id, &user_id, NULL))
        return subscription_due_in(&inside, user_id, due->due_ms, &slice->error);
    return JINI_E_CORRUPT;
}

/* What one row does stands or falls by itself. */
static int do_apart(struct store_txn *txn, struct due_slice *slice,
                    const struct generations_due *due)
{
    int status = store_overlay_begin(txn);
    if (status)
        return status;
    status = do_one(txn, slice, due);
    if (status == 0)
        return store_overlay_keep(txn);
    store_overlay_discard(txn);
    slice->damaged += status_is_damage(status);
    return status_is_damage(status) ? 0 : status;
}

static int op_due(struct store_txn *txn, void *argument)
{
    struct due_slice *slice = argument;
    struct generations_due due[SLICE];
    slice->damaged = 0;
    int status = generations_due_list(txn, GENERATIONS_DUE_ENGINE, slice->now_ms, due, SLICE,
                                      &slice->count, &slice->error);
    for (size_t i = 0; status == 0 && i < slice->count; i++) {
        status = do_apart(txn, slice, &due[i]);
        if (status == 0)
            status = generations_due_remove(txn, &due[i]);
    }
    return status;
}

/* Looks first, so that an idle engine commits nothing. */
static int is_due(struct due_slice *slice, bool *due)
{
    struct store_txn *txn;
    struct generations_due first;
    size_t count = 0;
    int status = store_read_begin_explained(slice->jini->store, &txn, &slice->error);
    if (status)
        return status;
    status = generations_due_list(txn, GENERATIONS_DUE_ENGINE, slice->now_ms, &first, 1, &count,
                                  &slice->error);
    store_read_end(txn);
    *due = count > 0;
    return status;
}

void due_tend(struct jini *jini)
{
    struct due_slice slice = {.jini = jini};
    bool due = true;
    int status = 0;
    for (int turn = 0; turn < SLICES_MAX && status == 0 && due; turn++) {
        if (atomic_load(&jini->state) != ENGINE_OPEN)
            return;
        slice.now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        status = is_due(&slice, &due);
        if (status == 0 && due)
            status = store_write_until(jini->store, op_due, &slice, STORE_RELEASE,
                                       background_deadline(jini));
        if (status == 0 && due && slice.damaged > 0)
            log_record(&jini->log, JINI_LOG_ERROR, "due_damaged",
                       LOG_NUMBER("things", slice.damaged),
                       LOG_TEXT("message", slice.error.message));
    }
    if (status && status != JINI_E_CLOSED && status != JINI_E_CANCELLED)
        log_record(&jini->log, JINI_LOG_WARNING, "due_not_done",
                   LOG_TEXT("status", jini_status_name(status)),
                   LOG_TEXT("message", slice.error.message));
}
