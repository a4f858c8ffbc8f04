/*
 * A bounded queue of tasks and the threads that run them. Threads are started when there is work for them and
 * live until the pool goes. A task that waits past its deadline, or was cancelled, is run with that
 * status, so that every task ends the same way.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"

#include <stdio.h>
#include <sys/prctl.h>

enum { STACK_BYTES = 512 * 1024, THREADS_MAX = 256 };

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct pool_task *first;
    struct pool_task *last;
    uint32_t waiting;
    uint32_t queue_max;
    uint32_t idle;
    uint32_t running_threads;
    uint32_t threads_max;
    bool ending;
    const struct jini_clock *clock;
    char name[16];
    pthread_t threads[THREADS_MAX];
};

static struct pool_task *take(struct pool *pool)
{
    struct pool_task *task = pool->first;
    if (task) {
        pool->first = task->next;
        if (!pool->first)
            pool->last = NULL;
        pool->waiting--;
    }
    return task;
}

static int status_of(const struct pool *pool, const struct pool_task *task)
{
    if (pool->ending || (task->cancelled && atomic_load(task->cancelled)))
        return JINI_E_CANCELLED;
    if (task->deadline_ns && clock_boot_ns(pool->clock) > task->deadline_ns)
        return JINI_E_TIMEOUT;
    return 0;
}

static void *thread_main(void *argument)
{
    struct pool *pool = argument;
    prctl(PR_SET_NAME, pool->name, 0, 0, 0);
    loop_mark_worker_thread();
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct pool_task *task = take(pool);
        if (task) {
            int status = status_of(pool, task);
            pthread_mutex_unlock(&pool->lock);
            task->run(task, status);
            pthread_mutex_lock(&pool->lock);
            continue;
        }
        if (pool->ending)
            break;
        pool->idle++;
        pthread_cond_wait(&pool->wake, &pool->lock);
        pool->idle--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int pool_create(const struct pool_options *options, struct pool **out)
{
    JINI_ASSERT(options->threads >= 1 && options->threads <= THREADS_MAX);
    *out = NULL;
    struct pool *pool = base_calloc(1, sizeof(*pool));
    if (!pool)
        return JINI_E_NO_MEMORY;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->queue_max = options->queue_max;
    pool->threads_max = options->threads;
    pool->clock = options->clock;
    snprintf(pool->name, sizeof(pool->name), "%s", options->name);
    *out = pool;
    return 0;
}

void pool_stop(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    for (uint32_t i = 0; i < pool->running_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pool->running_threads = 0;
    JINI_ASSERT(pool->first == NULL);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    JINI_ASSERT(pool->running_threads == 0);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    base_free(pool);
}

/* Held under the lock. */
static bool start_thread(struct pool *pool)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed =
        pthread_create(&pool->threads[pool->running_threads], &attributes, thread_main, pool);
    pthread_attr_destroy(&attributes);
    if (!failed)
        pool->running_threads++;
    return !failed;
}

int pool_submit(struct pool *pool, struct pool_task *task)
{
    int status = 0;
    task->next = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->ending)
        status = JINI_E_CLOSED;
    else if (pool->waiting >= pool->queue_max)
        status = JINI_E_BUSY;
    else if (pool->idle <= pool->waiting && pool->running_threads < pool->threads_max &&
             !start_thread(pool) && pool->running_threads == 0)
        status = JINI_E_NO_MEMORY;
    if (status == 0) {
        *(pool->last ? &pool->last->next : &pool->first) = task;
        pool->last = task;
        pool->waiting++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (status == 0)
        pthread_cond_signal(&pool->wake);
    return status;
}

uint32_t pool_waiting(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    uint32_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}
