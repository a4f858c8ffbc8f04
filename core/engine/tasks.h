/*
 * A bounded queue of tasks that wait for a thread: those of the worker threads, and archive runs.
 *
 *   put --> waiting --taken--> run(task, 0)                     by the thread that took it
 *    |         '--late, cancelled, closed--> run(task, TIMEOUT, CANCELLED)   by whoever took it out
 *    '--> BUSY, CANCELLED, CLOSED: it was not put there
 *
 *  1. A task is in one queue at most, and runs once for each time that it was put there.
 *  2. What is late leaves the queue by the next sweep, what is cancelled at once: neither waits for
 *     a thread, which may be at work for hours.
 *  3. `lock` is held for each change of the queue, so whoever takes a task out has it alone. No
 *     task runs under it, and nothing of a task is touched after it ran.
 */
#ifndef ENGINE_TASKS_H
#define ENGINE_TASKS_H

#include <jini/clock.h>
#include <jini/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct task_queue;

/* A task; part of a request. */
struct worker_task {
    /* With a status other than 0 it only ends: it must not block then. */
    void (*run)(struct worker_task *task, int status);
    uint64_t deadline_ns;              /* boot time; UINT64_MAX: none */
    bool continues;                    /* what has begun: not refused when the queue is full */
    const _Atomic uint32_t *cancelled; /* set before task_cancel() */

    /* Private. */
    struct task_queue *_Atomic queue; /* NULL: in none */
    struct worker_task *next;
    struct worker_task *previous;
    const struct task_queue *late_in; /* where its deadline passed; NULL: in none */
    int status;                       /* why it was taken out */
};

/* What people know a queue by, and how much of it. The texts are static. */
struct task_queue_options {
    const char *threads;        /* their name */
    const char *threads_option; /* for more of them; NULL: there is one */
    const char *queue_option;   /* for `queue_max` */
    uint32_t queue_max;
    const struct jini_clock *clock;
};

struct task_queue {
    struct task_queue_options options;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the threads that take; by the monotonic clock */
    struct worker_task *first;
    struct worker_task *last;
    uint32_t waiting;
    uint64_t earliest_ns; /* no deadline of those that wait is before it */
    bool closed;
};

void task_queue_init(struct task_queue *queue, const struct task_queue_options *options);
void task_queue_destroy(struct task_queue *queue); /* empty */

/*
 * Under the lock. Puts a task at the end and wakes a thread. JINI_E_BUSY: queue_max wait, which
 * `error` says; else it is left alone. JINI_E_CANCELLED: it was cancelled before. JINI_E_CLOSED.
 */
int task_queue_put(struct task_queue *queue, struct worker_task *task, struct jini_error *error);

/*
 * Under the lock. Takes the first task, to be run with `status`: 0, or that it is late or cancelled
 * by now. NULL: none waits.
 */
struct worker_task *task_queue_take(struct task_queue *queue, int *status);

/* Under the lock. Takes out this one, which waits. */
void task_queue_take_out(struct task_queue *queue, struct worker_task *task);

/* Locks, puts, unlocks. */
int task_queue_submit(struct task_queue *queue, struct worker_task *task, struct jini_error *error);

/* Ends a task that waits, with JINI_E_CANCELLED; any other is left alone. Any thread. */
void task_cancel(struct worker_task *task);

/* Ends those that are late. About once a second, on one thread. */
void task_queue_sweep(struct task_queue *queue);

/* Takes no more, ends all that wait with JINI_E_CANCELLED and wakes all threads. Once or more. */
void task_queue_close(struct task_queue *queue);
bool task_queue_closed(struct task_queue *queue);

uint32_t task_queue_waiting(struct task_queue *queue);

#endif
