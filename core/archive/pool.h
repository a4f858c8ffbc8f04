/*
 * A bounded queue of requests and a few threads that run them, for drivers whose calls block.
 *
 * 1. A request is in exactly one of three lists, or with one thread, or finished.
 * 2. Reading an image does not wait for archiving: of several threads, one is kept free of slow
 *    requests (PUT, LIST, DELETE) for the quick ones (GET, HEAD). A thread that may take either
 *    kind takes them in turn.
 * 3. A cancelled request that waits goes to the `cancelled` list, which any thread empties first.
 * 4. Threads start when there is work for them and stay until the pool is closed. They take no
 *    signals but those of a fault of their own.
 */
#ifndef ARCHIVE_POOL_H
#define ARCHIVE_POOL_H

#include "archive/driver.h"

enum { POOL_THREADS_MAX = 4, POOL_PIECE_BYTES = 256 * 1024, POOL_STACK_BYTES = 256 * 1024 };

struct pool;

/* A thread, and what it works with. */
struct pool_worker {
    struct pool *pool;
    pthread_t thread;
    struct hash_stream *hash;
    uint8_t *piece; /* POOL_PIECE_BYTES */
};

/* Does the work of a request that was not cancelled and is in time; returns its status. */
typedef int pool_run_fn(struct archive *archive, struct pool_worker *worker,
                        struct archive_request *request);

struct pool_list {
    struct archive_request *first;
    struct archive_request *last;
};

struct pool {
    struct archive *archive;
    pool_run_fn *run;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct pool_list quick;
    struct pool_list slow;
    struct pool_list cancelled;
    uint32_t waiting; /* in all three lists */
    uint32_t idle;
    uint32_t slow_running;
    bool slow_turn;
    bool closing;
    uint32_t thread_count;
    struct pool_worker workers[POOL_THREADS_MAX];
};

/* Bounds are those of the archive's options. */
void pool_init(struct pool *pool, struct archive *archive, pool_run_fn *run);

/* JINI_E_BUSY: `queue_max` requests wait. JINI_E_NO_MEMORY: not one thread could be started. */
int pool_submit(struct pool *pool, struct archive_request *request);

/* Brings a request that waits, and was marked as cancelled, to its end. */
void pool_cancel(struct pool *pool, struct archive_request *request);

/* The same for all that wait. */
void pool_cancel_all(struct pool *pool);

/* Ends the threads; nothing may be outstanding. In a child after fork it only frees memory. */
void pool_close(struct pool *pool);

#endif
