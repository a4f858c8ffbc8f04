/*
 * The way of a request through the engine.
 *
 *            begin             write / run_on                finish
 *   caller ---------> under way ------------> queue, thread ---------> loop, or waiting caller
 *      |                 |
 *      |<----------------'  refuse: nothing was started; the caller gets the status, no callback
 *
 *  1. Between begin and finish (or refuse) the request is the engine's and counted in jini->active.
 *  2. finish happens once, after the last touch of the request by the engine but for its delivery.
 *  3. Delivery is the callback on a loop thread, or the futex of the caller who waits: never both.
 */
#include "engine/engine_private.h"

#include "base/error.h"
#include "base/fork.h"
#include "engine/cold_reads.h"
#include "engine/queue.h"
#include "engine/txn.h"
#include "engine/waits.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void jini_request_init_as(struct jini_request *request, size_t size)
{
    memset(request, 0, size);
    request->size = (uint32_t)size;
    request->version = JINI_REQUEST_VERSION;
}

int engine_check(const struct jini *jini)
{
    if (jini->fork_generation != fork_generation())
        return JINI_E_FORKED;
    if (atomic_load(&jini->state) != ENGINE_OPEN)
        return JINI_E_CLOSED;
    return store_health(jini->store, NULL);
}

static int refuse_early(struct jini_request *request, int status, const char *field,
                        const char *message)
{
    request->status = status;
    return error_set(&request->error, status, field, "%s", message);
}

/*
 * The last touch of the engine by a request. jini_close() frees the engine as soon as it has seen 0
 * under the lock, so nothing is read after the subtraction; a count that ends just as closing
 * begins is found by its polling.
 */
static void count_down(struct jini *jini)
{
    if (atomic_load(&jini->state) == ENGINE_OPEN) {
        atomic_fetch_sub(&jini->active, 1);
        return;
    }
    pthread_mutex_lock(&jini->idle_lock);
    atomic_fetch_sub(&jini->active, 1);
    pthread_cond_broadcast(&jini->idle);
    pthread_mutex_unlock(&jini->idle_lock);
}

/*
 * A struct that is under way is the engine's, whichever function it is given to: nothing of it is
 * touched, and only the result tells.
 */
int request_check(struct jini_request *request, size_t size)
{
    bool known = request->version == JINI_REQUEST_VERSION;
    if (known && atomic_load(&request_state(request)->submitted))
        return JINI_E_INVALID;
    if (known && request->size == size)
        return 0;
    return refuse_early(request, JINI_E_INVALID, "request",
                        "size or version is not the one of this library; call "
                        "jini_request_init() and build against the same release");
}

int request_begin(struct jini *jini, struct jini_request *request, size_t size,
                  enum request_kind kind, jini_callback *callback)
{
    struct request_state *state = request_state(request);
    if (jini->fork_generation != fork_generation())
        return refuse_early(request, JINI_E_FORKED, "jini", jini_status_text(JINI_E_FORKED));
    int status = request_check(request, size);
    if (status)
        return status;
    if (!callback && loop_thread_must_not_block(jini))
        return refuse_early(request, JINI_E_ON_LOOP, "callback",
                            "a loop or worker thread must not block; pass a callback");
    atomic_fetch_add(&jini->active, 1);
    status = engine_check(jini);
    if (status) {
        count_down(jini);
        request->status = status;
        if (status == JINI_E_POISONED)
            return store_health(jini->store, &request->error);
        return error_set(&request->error, status, "jini", "%s", jini_status_text(status));
    }
    error_clear(&request->error);
    request->status = 0;
    /* One by one: what queues keep in it stays, which jini_cancel() may be looking at. */
    state->jini = jini;
    state->callback = callback;
    state->loop = callback ? loop_of_thread(jini) : NULL;
    state->work = NULL;
    state->effects = NULL;
    state->kind = (uint32_t)kind;
    state->deadline_ns = clock_boot_ns(jini->clock) + request_timeout_ms(jini, request) * NS_PER_MS;
    atomic_store(&state->cancelled, 0);
    atomic_store(&state->finished, 0);
    if (callback)
        loop_hold(state->loop);
    atomic_store(&state->submitted, 1);
    return 0;
}

/* Counts the end. Every status that ends a request is said in words. */
static void settle(struct jini_request *request, int status)
{
    const struct request_state *state = request_state(request);
    /* The functions of callers return what they like. */
    int index = status > -REQUEST_STATUS_OTHER ? -status : REQUEST_STATUS_OTHER;
    JINI_ASSERT(status <= 0 && state->kind < REQUEST_KINDS);
    atomic_fetch_add_explicit(&state->jini->ended[state->kind][index], 1, memory_order_relaxed);
    request->status = status;
    if (status == 0)
        error_clear(&request->error);
    else if (request->error.code != status)
        explain_end(request, status);
}

int request_refuse(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    struct jini *jini = state->jini;
    JINI_ASSERT(status < 0);
    settle(request, status);
    if (state->callback)
        loop_release(state->loop);
    atomic_store(&state->submitted, 0);
    count_down(jini);
    return status;
}

void request_finish(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    struct jini *jini = state->jini;
    settle(request, status);
    if (state->callback) {
        loop_post(state->loop, request); /* counts down when it was delivered */
        return;
    }
    atomic_store(&state->submitted, 0);
    atomic_store(&state->finished, 1);
    syscall(SYS_futex, &state->finished, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    count_down(jini);
}

/* Whose callback this thread is in. Its loop may have been detached by it. */
static _Thread_local const struct jini *delivering;

/* On a loop thread: hands the request back to its caller. */
void request_deliver(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct jini *jini = state->jini;
    jini_callback *callback = state->callback;
    const struct jini *outer = delivering;
    atomic_store(&state->submitted, 0);
    delivering = jini;
    callback(request);
    delivering = outer;
    count_down(jini);
}

bool request_is_delivered_here(const struct jini *jini)
{
    return delivering == jini;
}

int request_wait(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    while (!atomic_load(&state->finished))
        syscall(SYS_futex, &state->finished, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return request->status;
}

static struct jini_request *request_of_write(struct store_write *write)
{
    struct request_state *state =
        (struct request_state *)(void *)((char *)write - offsetof(struct request_state, write));
    return (struct jini_request *)(void *)((char *)state - offsetof(struct jini_request, reserved));
}

/* Each run of an op begins without error and effects of the run before. */
static int run_op(struct store_txn *store, void *argument)
{
    struct jini_request *request = argument;
    struct request_state *state = request_state(request);
    struct jini_txn txn = {.jini = state->jini,
                           .store = store,
                           .now_ms = state->now_ms,
                           .error = &request->error,
                           .effects = &state->effects};
    loop_mark_worker_thread(); /* a blocking call in a caller's function would wait for itself */
    error_clear(&request->error);
    txn_effects_drop(&state->effects, NULL);
    int status = state->op(&txn, request);
    if (status == JINI_E_TOO_BIG && request->error.code != status)
        store_explain(store, &request->error);
    return status;
}

static void on_written(struct store_write *write)
{
    struct jini_request *request = request_of_write(write);
    struct request_state *state = request_state(request);
    int status = write->status;
    if (status == 0)
        txn_effects_run(state->jini, &state->effects);
    else
        txn_effects_drop(&state->effects, NULL);
    if (status && request->error.code != status)
        explain_write(state->jini, status, request_timeout_ms(state->jini, request),
                      &request->error);
    if (state->after) {
        request->status = status;
        state->after(request);
    } else {
        request_finish(request, status);
    }
}

int request_write(struct jini_request *request, txn_op_fn *op, enum store_class class,
                  uint32_t bytes, request_step_fn *after)
{
    struct request_state *state = request_state(request);
    struct store_write *write = &state->write;
    state->op = op;
    state->after = after;
    state->now_ms = clock_wall_ns(state->jini->clock) / NS_PER_MS;
    /* One by one: the store's own members stay, which jini_cancel() may be looking at. */
    write->op = run_op;
    write->argument = request;
    write->done = on_written;
    write->deadline_ns = state->deadline_ns;
    write->bytes = bytes;
    write->class = class;
    int status = store_submit(state->jini->store, write);
    if (status)
        explain_queue(request, status);
    return status;
}

/* One by one: what its queue keeps in it stays, which jini_cancel() may be looking at. */
struct worker_task *request_task(struct jini_request *request,
                                 void (*step)(struct worker_task *task, int status))
{
    struct request_state *state = request_state(request);
    state->task.run = step;
    state->task.deadline_ns = state->deadline_ns;
    state->task.cancelled = &state->cancelled;
    state->task.continues = false;
    return &state->task;
}

int request_run_on(struct workers *workers, struct jini_request *request,
                   void (*step)(struct worker_task *task, int status))
{
    return workers_submit(workers, request_task(request, step), &request->error);
}

int request_continue_on(struct workers *workers, struct jini_request *request,
                        void (*step)(struct worker_task *task, int status))
{
    struct worker_task *task = request_task(request, step);
    task->deadline_ns = UINT64_MAX; /* what it waited for, in time or not, is there */
    task->continues = true;
    return workers_submit(workers, task, &request->error);
}

void jini_cancel(struct jini *jini, struct jini_request *request)
{
    struct request_state *state = request_state(request);
    if (jini->fork_generation != fork_generation() || !atomic_load(&state->submitted))
        return;
    atomic_store(&state->cancelled, 1);
    archives_cancel(jini, request);
    if (atomic_load(&jini->state) != ENGINE_OPEN)
        return; /* closing cancels all that waits */
    store_cancel(jini->store, &state->write);
    task_cancel(&state->task);
    waits_cancel(jini->waits);
    if (state->kind == REQUEST_IMAGE_GET)
        cold_reads_cancel(jini->cold_reads, request);
    if (state->kind == REQUEST_JOB_TAKE)
        takes_cancel(jini->takes, request);
}

int snapshot_begin(struct jini *jini, struct store_txn **out, struct jini_error *error)
{
    error_clear(error);
    int status = engine_check(jini);
    if (status == JINI_E_POISONED)
        return store_health(jini->store, error);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    return store_read_begin_explained(jini->store, out, error);
}
