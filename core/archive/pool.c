/* The threads of drivers whose calls block. */
#include "archive/pool.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <signal.h>

enum queue { QUEUE_NONE, QUEUE_QUICK, QUEUE_SLOW, QUEUE_CANCELLED };

static struct pool_list *list_of(struct pool *pool, uint8_t queue)
{
    JINI_ASSERT(queue != QUEUE_NONE);
    return queue == QUEUE_QUICK  ? &pool->quick
           : queue == QUEUE_SLOW ? &pool->slow
                                 : &pool->cancelled;
}

static void append(struct pool *pool, struct archive_request *request, enum queue queue)
{
    struct pool_list *list = list_of(pool, (uint8_t)queue);
    request->internal.queue = (uint8_t)queue;
    request->internal.next = NULL;
    request->internal.previous = list->last;
    if (list->last)
        list->last->internal.next = request;
    else
        list->first = request;
    list->last = request;
    pool->waiting++;
}

static void take_out(struct pool *pool, struct archive_request *request)
{
    struct pool_list *list = list_of(pool, request->internal.queue);
    struct archive_request *next = request->internal.next;
    struct archive_request *previous = request->internal.previous;
    if (previous)
        previous->internal.next = next;
    else
        list->first = next;
    if (next)
        next->internal.previous = previous;
    else
        list->last = previous;
    request->internal.queue = QUEUE_NONE;
    JINI_ASSERT(pool->waiting > 0);
    pool->waiting--;
}

static bool is_slow(const struct archive_request *request)
{
    return request->operation != ARCHIVE_GET && request->operation != ARCHIVE_HEAD;
}

/* The request to run next, or NULL. */
static struct archive_request *take_next(struct pool *pool)
{
    uint32_t threads_max = pool->archive->options.threads;
    uint32_t slow_max = threads_max > 1 ? threads_max - 1 : 1;
    struct archive_request *quick = pool->quick.first;
    struct archive_request *slow = pool->slow_running < slow_max ? pool->slow.first : NULL;
    struct archive_request *next = pool->cancelled.first;
    if (!next) {
        next = quick && !(slow && pool->slow_turn) ? quick : slow;
        pool->slow_turn = next == quick;
    }
    if (next)
        take_out(pool, next);
    return next;
}

static void *work(void *argument)
{
    struct pool_worker *worker = argument;
    struct pool *pool = worker->pool;
    pthread_setname_np(pthread_self(), "jini-archive");
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct archive_request *request = take_next(pool);
        if (!request) {
            if (pool->closing)
                break;
            pool->idle++;
            pthread_cond_wait(&pool->wake, &pool->lock);
            pool->idle--;
            continue;
        }
        bool slow = is_slow(request);
        pool->slow_running += slow;
        pthread_mutex_unlock(&pool->lock);
        int status = archive_interrupted(pool->archive, request);
        if (status == 0)
            status = pool->run(pool->archive, worker, request);
        /* Before the callback, which may submit again and count on this thread's place. */
        pthread_mutex_lock(&pool->lock);
        pool->slow_running -= slow;
        if (slow && pool->slow.first && pool->idle > 0)
            pthread_cond_signal(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
        archive_complete(pool->archive, request, status);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void free_scratch(struct pool_worker *worker)
{
    hash_stream_free(worker->hash);
    base_free(worker->piece);
    worker->hash = NULL;
    worker->piece = NULL;
}

/* Signals sent to the process are for its own threads; a fault of ours must still be seen. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* Under the lock. */
static int start_thread(struct pool *pool)
{
    struct pool_worker *worker = &pool->workers[pool->thread_count];
    worker->pool = pool;
    worker->hash = hash_stream_new();
    worker->piece = base_malloc(POOL_PIECE_BYTES);
    pthread_attr_t attributes;
    sigset_t before;
    int failed = ENOMEM;
    if (worker->hash && worker->piece && pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, POOL_STACK_BYTES);
        block_signals(&before);
        failed = pthread_create(&worker->thread, &attributes, work, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (failed) {
        free_scratch(worker);
        return JINI_E_NO_MEMORY;
    }
    pool->thread_count++;
    return 0;
}

void pool_init(struct pool *pool, struct archive *archive, pool_run_fn *run)
{
    JINI_ASSERT(archive->options.threads <= POOL_THREADS_MAX);
    memset(pool, 0, sizeof(*pool));
    pool->archive = archive;
    pool->run = run;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
}

int pool_submit(struct pool *pool, struct archive_request *request)
{
    int status = 0;
    pthread_mutex_lock(&pool->lock);
    JINI_ASSERT(!pool->closing);
    if (pool->waiting >= pool->archive->options.queue_max) {
        status = error_set(&request->error, JINI_E_BUSY, "queue_max",
                           "%u requests wait for the archive already", pool->waiting);
    } else if (pool->waiting >= pool->idle && pool->thread_count < pool->archive->options.threads) {
        status = start_thread(pool);
        if (pool->thread_count > 0)
            status = 0; /* the threads that there are will come to it */
        else
            error_set(&request->error, status, "threads", "no thread could be started");
    }
    if (status == 0) {
        append(pool, request, is_slow(request) ? QUEUE_SLOW : QUEUE_QUICK);
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void pool_cancel(struct pool *pool, struct archive_request *request)
{
    pthread_mutex_lock(&pool->lock);
    if (request->internal.queue == QUEUE_QUICK || request->internal.queue == QUEUE_SLOW) {
        take_out(pool, request);
        append(pool, request, QUEUE_CANCELLED);
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void cancel_list(struct pool *pool, struct pool_list *list)
{
    while (list->first) {
        struct archive_request *request = list->first;
        atomic_store(&request->internal.cancelled, true);
        take_out(pool, request);
        append(pool, request, QUEUE_CANCELLED);
    }
}

void pool_cancel_all(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    cancel_list(pool, &pool->quick);
    cancel_list(pool, &pool->slow);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
    bool forked = archive_is_forked(pool->archive);
    if (!forked) {
        pthread_mutex_lock(&pool->lock);
        JINI_ASSERT(pool->waiting == 0);
        pool->closing = true;
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        if (!forked)
            pthread_join(pool->workers[i].thread, NULL);
        free_scratch(&pool->workers[i]);
    }
    if (!forked) {
        pthread_cond_destroy(&pool->wake);
        pthread_mutex_destroy(&pool->lock);
    }
}
