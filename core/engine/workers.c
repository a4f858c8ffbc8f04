/*
 * A bounded queue of tasks and the threads that run them. Threads are started when there is work for them and
 * live until the workers are stopped. A task that waits past its deadline, or was cancelled, is run with that
 * status, so that every task ends the same way.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <sys/prctl.h>

enum { STACK_BYTES = 512 * 1024, THREADS_MAX = 256 };

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct worker_task *first;
    struct worker_task *last;
    uint32_t waiting;
    uint32_t queue_max;
    const char *queue_option;
    uint32_t idle;
    uint32_t running_threads;
    uint32_t threads_max;
    bool ending;
    const struct jini_clock *clock;
    char name[16];
    pthread_t threads[THREADS_MAX];
};

static struct worker_task *take(struct workers *workers)
{
    struct worker_task *task = workers->first;
    if (task) {
        workers->first = task->next;
        if (!workers->first)
            workers->last = NULL;
        workers->waiting--;
    }
    return task;
}

static int status_of(const struct workers *workers, const struct worker_task *task)
{
    if (workers->ending || (task->cancelled && atomic_load(task->cancelled)))
        return JINI_E_CANCELLED;
    if (task->deadline_ns && clock_boot_ns(workers->clock) > task->deadline_ns)
        return JINI_E_TIMEOUT;
    return 0;
}

static void *thread_main(void *argument)
{
    struct workers *workers = argument;
    prctl(PR_SET_NAME, workers->name, 0, 0, 0);
    loop_mark_worker_thread();
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct worker_task *task = take(workers);
        if (task) {
            int status = status_of(workers, task);
            pthread_mutex_unlock(&workers->lock);
            task->run(task, status);
            pthread_mutex_lock(&workers->lock);
            continue;
        }
        if (workers->ending)
            break;
        workers->idle++;
        pthread_cond_wait(&workers->wake, &workers->lock);
        workers->idle--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

int workers_create(const struct workers_options *options, struct workers **out)
{
    JINI_ASSERT(options->threads >= 1 && options->threads <= THREADS_MAX);
    *out = NULL;
    struct workers *workers = base_calloc(1, sizeof(*workers));
    if (!workers)
        return JINI_E_NO_MEMORY;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    workers->queue_max = options->queue_max;
    workers->queue_option = options->queue_option;
    workers->threads_max = options->threads;
    workers->clock = options->clock;
    snprintf(workers->name, sizeof(workers->name), "%s", options->name);
    *out = workers;
    return 0;
}

void workers_stop(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_mutex_unlock(&workers->lock);
    pthread_cond_broadcast(&workers->wake);
    for (uint32_t i = 0; i < workers->running_threads; i++)
        pthread_join(workers->threads[i], NULL);
    workers->running_threads = 0;
    JINI_ASSERT(workers->first == NULL);
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    JINI_ASSERT(workers->running_threads == 0);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
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

int workers_submit(struct workers *workers, struct worker_task *task, struct jini_error *error)
{
    int status = 0;
    task->next = NULL;
    pthread_mutex_lock(&workers->lock);
    if (workers->ending)
        status = JINI_E_CLOSED;
    else if (workers->waiting >= workers->queue_max && !task->continues)
        status = error_set(error, JINI_E_BUSY, workers->queue_option,
                           "%u tasks wait for a thread of %s, as many as %s allows; come back when "
                           "some are done, or raise it",
                           workers->waiting, workers->name, workers->queue_option);
    else if (workers->idle <= workers->waiting && workers->running_threads < workers->threads_max &&
             !start_thread(workers) && workers->running_threads == 0)
        status = JINI_E_NO_MEMORY;
    if (status == 0) {
        *(workers->last ? &workers->last->next : &workers->first) = task;
        workers->last = task;
        workers->waiting++;
        /* Under the lock: the task's end may close the engine before this function returns. */
        pthread_cond_signal(&workers->wake);
    }
    pthread_mutex_unlock(&workers->lock);
    return status;
}

uint32_t workers_waiting(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    uint32_t waiting = workers->waiting;
    pthread_mutex_unlock(&workers->lock);
    return waiting;
}
