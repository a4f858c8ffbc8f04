/* The list of tasks.h, and taking out of it what waits no longer. */
#include "engine/tasks.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"

void task_queue_init(struct task_queue *queue, const struct task_queue_options *options)
{
    pthread_condattr_t monotonic;
    *queue = (struct task_queue){.options = *options, .earliest_ns = UINT64_MAX};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void task_queue_destroy(struct task_queue *queue)
{
    JINI_ASSERT(!queue->first && queue->waiting == 0);
    pthread_cond_destroy(&queue->wake);
    pthread_mutex_destroy(&queue->lock);
}

static bool is_cancelled(const struct worker_task *task)
{
    return atomic_load(task->cancelled) != 0;
}

/*
 * The queue is entered before the flag is read, and task_cancel() reads them in the other order: so
 * one of the two finds the other, and no cancelled task stays to wait.
 */
int task_queue_put(struct task_queue *queue, struct worker_task *task, struct jini_error *error)
{
    const struct task_queue_options *options = &queue->options;
    task->late_in = NULL;
    if (queue->closed)
        return JINI_E_CLOSED;
    if (queue->waiting >= options->queue_max && !task->continues)
        return error_set(error, JINI_E_BUSY, options->queue_option,
                         "%u tasks wait for a thread of %s, as many as %s allows; come back when "
                         "some are done, or raise it",
                         queue->waiting, options->threads, options->queue_option);
    task->next = NULL;
    task->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = task;
    queue->last = task;
    queue->waiting++;
    atomic_store(&task->queue, queue);
    if (is_cancelled(task)) {
        task_queue_take_out(queue, task);
        return JINI_E_CANCELLED;
    }
    if (task->deadline_ns < queue->earliest_ns)
        queue->earliest_ns = task->deadline_ns;
    /* Under the lock: the task's end may close the engine before this function returns. */
    pthread_cond_signal(&queue->wake);
    return 0;
}

void task_queue_take_out(struct task_queue *queue, struct worker_task *task)
{
    JINI_ASSERT(queue->waiting > 0 && atomic_load(&task->queue) == queue);
    *(task->previous ? &task->previous->next : &queue->first) = task->next;
    *(task->next ? &task->next->previous : &queue->last) = task->previous;
    queue->waiting--;
    atomic_store(&task->queue, NULL);
}

static int judge(const struct task_queue *queue, struct worker_task *task)
{
    if (queue->closed || is_cancelled(task))
        return JINI_E_CANCELLED;
    if (clock_boot_ns(queue->options.clock) <= task->deadline_ns)
        return 0;
    task->late_in = queue;
    return JINI_E_TIMEOUT;
}

struct worker_task *task_queue_take(struct task_queue *queue, int *status)
{
    struct worker_task *task = queue->first;
    if (!task)
        return NULL;
    task_queue_take_out(queue, task);
    *status = judge(queue, task);
    return task;
}

int task_queue_submit(struct task_queue *queue, struct worker_task *task, struct jini_error *error)
{
    pthread_mutex_lock(&queue->lock);
    int status = task_queue_put(queue, task, error);
    pthread_mutex_unlock(&queue->lock);
    return status;
}

void task_cancel(struct worker_task *task)
{
    struct task_queue *queue = atomic_load(&task->queue);
    if (!queue)
        return;
    pthread_mutex_lock(&queue->lock);
    bool waits = atomic_load(&task->queue) == queue;
    if (waits)
        task_queue_take_out(queue, task);
    pthread_mutex_unlock(&queue->lock);
    if (waits)
        task->run(task, JINI_E_CANCELLED);
}

/* Under the lock. Takes out, in order, what does not run any more; returns it linked by `next`. */
static struct worker_task *take_out_ended(struct task_queue *queue)
{
    struct worker_task *ended = NULL;
    struct worker_task **link = &ended;
    queue->earliest_ns = UINT64_MAX;
    for (struct worker_task *task = queue->first, *next; task; task = next) {
        next = task->next;
        int status = judge(queue, task);
        if (status) {
            task_queue_take_out(queue, task);
            task->status = status;
            task->next = NULL;
            *link = task;
            link = &task->next;
        } else if (task->deadline_ns < queue->earliest_ns) {
            queue->earliest_ns = task->deadline_ns;
        }
    }
    return ended;
}

static void run_all(struct worker_task *task)
{
    while (task) {
        struct worker_task *next = task->next;
        task->run(task, task->status);
        task = next;
    }
}

void task_queue_sweep(struct task_queue *queue)
{
    struct worker_task *ended = NULL;
    pthread_mutex_lock(&queue->lock);
    if (clock_boot_ns(queue->options.clock) > queue->earliest_ns)
        ended = take_out_ended(queue);
    pthread_mutex_unlock(&queue->lock);
    run_all(ended);
}

void task_queue_close(struct task_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    struct worker_task *ended = take_out_ended(queue);
    pthread_cond_broadcast(&queue->wake);
    pthread_mutex_unlock(&queue->lock);
    run_all(ended);
}

bool task_queue_closed(struct task_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return closed;
}

uint32_t task_queue_waiting(struct task_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    uint32_t waiting = queue->waiting;
    pthread_mutex_unlock(&queue->lock);
    return waiting;
}
