/*
 * Threads that run tasks from a bounded queue (tasks.h). They are started when there is work for
 * them and live until the workers are stopped.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"

#include <sys/prctl.h>

enum { STACK_BYTES = 512 * 1024, THREADS_MAX = 256 };

struct workers {
    struct task_queue queue; /* whose lock guards the numbers too */
    uint32_t idle;
    uint32_t running_threads;
    uint32_t threads_max;
    pthread_t threads[THREADS_MAX];
};

static void *thread_main(void *argument)
{
    struct workers *workers = argument;
    struct task_queue *queue = &workers->queue;
    prctl(PR_SET_NAME, queue->options.threads, 0, 0, 0);
    loop_mark_worker_thread();
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        int status;
        struct worker_task *task = task_queue_take(queue, &status);
        if (task) {
            pthread_mutex_unlock(&queue->lock);
            task->run(task, status);
            pthread_mutex_lock(&queue->lock);
            continue;
        }
        if (queue->closed)
            break;
        workers->idle++;
        pthread_cond_wait(&queue->wake, &queue->lock);
        workers->idle--;
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

int workers_create(const struct workers_options *options, struct workers **out)
{
    JINI_ASSERT(options->threads >= 1 && options->threads <= THREADS_MAX);
    *out = NULL;
    struct workers *workers = base_calloc(1, sizeof(*workers));
    if (!workers)
        return JINI_E_NO_MEMORY;
    task_queue_init(&workers->queue, &options->queue);
    workers->threads_max = options->threads;
    *out = workers;
    return 0;
}

void workers_stop(struct workers *workers)
{
    if (!workers)
        return;
    task_queue_close(&workers->queue);
    for (uint32_t i = 0; i < workers->running_threads; i++)
        pthread_join(workers->threads[i], NULL);
    workers->running_threads = 0;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    JINI_ASSERT(workers->running_threads == 0);
    task_queue_destroy(&workers->queue);
    base_free(workers);
}

/* Held under the lock. */
static bool start_thread(struct workers *workers)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&workers->threads[workers->running_threads], &attributes,
                                thread_main, workers);
    pthread_attr_destroy(&attributes);
    if (!failed)
        workers->running_threads++;
    return !failed;
}

/* Held under the lock, with a task in the queue. False: there is no thread, and none to be had. */
static bool ensure_thread(struct workers *workers)
{
    bool enough = workers->idle >= workers->queue.waiting;
    if (enough || workers->running_threads == workers->threads_max)
        return true;
    return start_thread(workers) || workers->running_threads > 0;
}

int workers_submit(struct workers *workers, struct worker_task *task, struct jini_error *error)
{
    struct task_queue *queue = &workers->queue;
    pthread_mutex_lock(&queue->lock);
    int status = task_queue_put(queue, task, error);
    if (status == 0 && !ensure_thread(workers)) {
        task_queue_take_out(queue, task);
        status = JINI_E_NO_MEMORY;
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

void workers_sweep(struct workers *workers)
{
    task_queue_sweep(&workers->queue);
}

uint32_t workers_waiting(struct workers *workers)
{
    return task_queue_waiting(&workers->queue);
}
