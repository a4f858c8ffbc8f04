/*
 * Removing quota rows of addresses whose windows are over, a slice at each turn of the background
 * work.
 *
 *  1. A slice is one short snapshot, and one transaction if it found something. The transaction
 *     looks at each row again, so several processes may clean at once and need no lease.
 *  2. A turn over all rows goes on at the next slice where the one before it stopped. After a turn
 *     that found nothing it rests. Where it stands is not durable: a process begins with the first
 *     row.
 *  3. Only the background thread comes here.
 */
#include "engine/rate_private.h"

#define REST_NS (UINT64_C(600) * NS_PER_S)

static int op_remove_ended(struct store_txn *txn, void *argument)
{
    struct quota_cleaning *cleaning = argument;
    cleaning->removed = 0;
    for (uint32_t i = 0; i < cleaning->sweep.count; i++) {
        int status = quota_remove_ended(txn, &cleaning->sweep.ended[i], cleaning->now_ns);
        if (status && status != JINI_E_NOT_FOUND)
            return status;
        cleaning->removed += status == 0;
    }
    return 0;
}

static int clean_slice(struct jini *jini, struct quota_cleaning *cleaning)
{
    struct store_txn *txn;
    cleaning->now_ns = clock_wall_ns(jini->clock);
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = quota_sweep_next(txn, &cleaning->sweep, cleaning->now_ns);
    store_read_end(txn);
    if (status || cleaning->sweep.count == 0)
        return status;
    cleaning->found = true;
    status = store_write_until(jini->store, op_remove_ended, cleaning, STORE_RELEASE,
                               background_deadline(jini));
    if (status == 0)
        atomic_fetch_add_explicit(&jini->rates->quota_rows_removed, cleaning->removed,
                                  memory_order_relaxed);
    return status;
}

void quotas_clean(struct jini *jini)
{
    struct quota_cleaning *cleaning = &jini->rates->cleaning;
    uint64_t now_ns = clock_boot_ns(jini->clock);
    if (now_ns < cleaning->rest_until_ns)
        return;
    int status = clean_slice(jini, cleaning);
    if (status && status != JINI_E_CLOSED && status != JINI_E_CANCELLED)
        log_record(&jini->log, JINI_LOG_WARNING, "quotas_not_cleaned",
                   LOG_TEXT("status", jini_status_name(status)));
    if (status == 0 && !cleaning->sweep.at_end)
        return;
    /* The end of a turn. What failed is tried again by the next one, after a rest. */
    if (status || !cleaning->found)
        cleaning->rest_until_ns = now_ns + REST_NS;
    cleaning->sweep = (struct quota_sweep){0};
    cleaning->found = false;
}
