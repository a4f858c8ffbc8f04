/* Copies of a database in use, and figures about it. */
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

enum { COPY_ATTEMPTS = 8 };

static int sync_parent(const char *path)
{
    char copy[4096];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = fsync(fd) ? errno : 0;
    close(fd);
    return failed;
}

/*
 * The snapshot keeps the map from being resized while it is copied. The driver copies in a
 * transaction of its own, which needs a larger map when another process has grown it since; the
 * next snapshot adopts that.
 */
static int copy_snapshot(struct store *store, int fd)
{
    for (int i = 0; i < COPY_ATTEMPTS; i++) {
        struct store_txn *txn;
        int status = store_read_begin(store, &txn);
        if (status)
            return status;
        status = txn_confirm(txn, store->ops->copy(store->driver, fd));
        store_read_end(txn);
        if (status > DRIVER_CODES)
            return status;
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            return error_from_errno(errno);
    }
    return JINI_E_BUSY;
}

int store_copy(struct store *store, const char *path, struct jini_error *error)
{
    int status = store_check(store);
    if (status)
        return error_set(error, status, path, "cannot open a snapshot: %s",
                         jini_status_text(status));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, path, "cannot create the copy");
    status = copy_snapshot(store, fd);
    if (status)
        error_set(error, status, path, "copying failed: %s", jini_status_text(status));
    else if (fsync(fd) != 0)
        status = error_set_errno(error, errno, path, "cannot sync the copy");
    close(fd);
    if (status == 0) {
        int failed = sync_parent(path);
        if (failed)
            status = error_set_errno(error, failed, path, "cannot sync the directory of the copy");
    }
    if (status)
        unlink(path);
    return status;
}

int store_verify(struct store *store, struct jini_error *error)
{
    struct store_txn *txn;
    error_clear(error);
    int status =
        store_read_begin(store, &txn); /* keeps the pages that are read from being used again */
    if (status)
        return error_set(error, status, "store", "cannot open a snapshot: %s",
                         jini_status_text(status));
    struct store_options options = store->options;
    options.directory = store->directory;
    status = store->ops->verify(&options, error);
    int confirmed = txn_confirm(txn, status);
    if (confirmed != status)
        status = store_health(store, error);
    store_read_end(txn);
    return status;
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
    status = store->ops->figures(store->driver, txn->driver_txn, true, &figures);
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
