/* Checking a database in use, and figures about it. */
#include "store/store_private.h"

#include "base/error.h"

enum { VERIFY_TRIES = 8 };

struct verifying {
    struct store *store;
    const struct store_watch *watch;
    bool gave_way;
};

static bool verify_goes_on(void *context, uint64_t done, uint64_t total)
{
    struct verifying *verifying = context;
    const struct store_watch *watch = verifying->watch;
    verifying->gave_way = atomic_load(&verifying->store->gate_closed) != 0;
    return !verifying->gave_way && (!watch || watch->goes_on(watch->context, done, total));
}

/* The snapshot keeps the pages that are read from being used again. */
static int verify_once(struct verifying *verifying, struct jini_error *error)
{
    struct store *store = verifying->store;
    struct store_watch watch = {verify_goes_on, verifying};
    struct store_txn *txn;
    int status = store_read_begin(store, &txn);
    if (status)
        return error_set(error, status, "store", "cannot open a snapshot: %s",
                         jini_status_text(status));
    struct store_options options = store->options;
    options.directory = store->directory;
    status = store->ops->verify(&options, &watch, error);
    if (txn_confirm(txn, status) != status)
        status = store_health(store, error);
    store_read_end(txn);
    return status;
}

int store_verify(struct store *store, const struct store_watch *watch, struct jini_error *error)
{
    struct verifying verifying = {.store = store, .watch = watch};
    int status = JINI_E_BUSY;
    error_clear(error);
    for (int i = 0; i < VERIFY_TRIES; i++) {
        verifying.gave_way = false;
        status = verify_once(&verifying, error);
        if (status != JINI_E_CANCELLED || !verifying.gave_way)
            return status;
    }
    return error_set(error, JINI_E_BUSY, "data.mdb",
                     "the map grew %d times while the data file was checked; try again when less "
                     "is written",
                     VERIFY_TRIES);
}

static void load_counters(struct store *store, struct store_figures *out)
{
    struct counters *counters = &store->counters;
    out->commits = atomic_load(&counters->commits);
    out->ops = atomic_load(&counters->ops);
    out->op_failures = atomic_load(&counters->op_failures);
    out->commit_us_sum = atomic_load(&counters->commit_us_sum);
    for (int i = 0; i < STORE_LATENCY_BUCKETS; i++)
        out->commit_buckets[i] = atomic_load(&counters->commit_buckets[i]);
    for (int i = 0; i < STORE_BATCH_BUCKETS; i++)
        out->batch_buckets[i] = atomic_load(&counters->batch_buckets[i]);
    out->batch_ops_sum = atomic_load(&counters->batch_ops_sum);
    out->batches_rerun = atomic_load(&counters->batches_rerun);
    out->map_growths = atomic_load(&counters->map_growths);
    out->lock_wait_us_sum = atomic_load(&counters->lock_wait_us_sum);
    out->lock_wait_us_max = atomic_load(&counters->lock_wait_us_max);
}

int store_figures(struct store *store, struct store_figures *out)
{
    memset(out, 0, sizeof(*out));
    struct store_txn *txn;
    struct driver_figures figures;
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = txn_confirm(txn, store->ops->figures(store->driver, txn->driver_txn, true, &figures));
    store_read_end(txn);
    if (status)
        return status;
    load_counters(store, out);
    out->map_bytes = figures.map_bytes;
    out->used_bytes = figures.used_bytes;
    out->free_pages = figures.free_pages;
    out->page_bytes = figures.page_bytes;
    out->readers = figures.readers > 0 ? figures.readers - 1 : 0; /* not the one that counts */
    out->oldest_reader_lag = figures.oldest_reader_lag;
    out->pages_written = atomic_load(&store->counters.bytes_written) / figures.page_bytes;
    out->full = atomic_load(&store->full) != 0;
    out->reserve_errno = atomic_load(&store->reserve_errno);
    pthread_mutex_lock(&store->lock);
    out->queue_ops = store->queue_ops;
    out->queue_bytes = store->queue_bytes;
    pthread_mutex_unlock(&store->lock);
    return 0;
}

size_t store_processes(struct store *store, struct store_process_info *out, size_t capacity)
{
    return store_check(store) == JINI_E_FORKED ? 0 : registry_list(store->registry, out, capacity);
}

bool store_lock_holder(struct store *store, struct store_process_info *out)
{
    return store_check(store) != JINI_E_FORKED && registry_holder(store->registry, out);
}
