/*
 * The inside of the engine, shared by its own files.
 *
 *   options.c   the table of options        open.c      opening, closing, health
 *   request.c   a request's way             loop.c      loops and completions
 *   workers.c      threads for CPU work        txn.c       the caller's transactions
 *   users.c     users and passwords         tiers.c     tiers
 *   user_cache.c  tier and limits at hand   rate.c      rate limits
 *   admission.c admit, settle, release      puts.c      storing images
 *   gets.c      reading images              background.c  leased work
 *   archiving.c tiering                     verify.c    checks of everything
 *   metrics.c   figures
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "store/store.h"

#include <jini/engine.h>
#include <pthread.h>
#include <stdatomic.h>

struct workers;
struct loop;

enum engine_state { ENGINE_OPEN, ENGINE_CLOSING };

struct jini {
    uint32_t fork_generation;
    _Atomic uint32_t state; /* enum engine_state */
    _Atomic uint64_t active; /* requests under way */
    struct jini_options options;
    struct log log;
    const struct jini_clock *clock;
    char *directory;
    struct store *store;
    struct id_source ids;
    struct workers *cpu;
    struct workers *passwords;
    struct loop *own_loop;

    pthread_mutex_t loops_lock; /* guards `loops` */
    struct loop *loops;

    pthread_mutex_t idle_lock; /* with `idle`: active came down to 0 while closing */
    pthread_cond_t idle;
};

struct jini_txn {
    struct jini *jini;
    struct store_txn *store;
};

/* ---- request.c: a request's way ---------------------------------------------------------------- */

typedef void request_step_fn(struct jini_request *request);

/* A task of a workers; part of a request, or standing alone. */
struct worker_task {
    void (*run)(struct worker_task *task, int status); /* status: 0, or JINI_E_TIMEOUT, _CANCELLED */
    struct worker_task *next;
    uint64_t deadline_ns; /* 0: none */
    _Atomic uint32_t *cancelled; /* NULL: cannot be */
};

/* What the engine keeps in `reserved` of a request that it has. */
struct request_state {
    struct jini *jini;
    jini_callback *callback; /* NULL: somebody waits */
    struct loop *loop;       /* where the callback runs */
    struct jini_request *next;
    store_op_fn *op;
    request_step_fn *after;
    struct store_write write;
    struct worker_task task;
    uint64_t deadline_ns;
    _Atomic uint32_t cancelled;
    _Atomic uint32_t finished; /* a futex */
    _Atomic uint32_t submitted;
};

_Static_assert(sizeof(struct request_state) <= sizeof(((struct jini_request *)0)->reserved),
               "the state of a request fits into what callers reserve");

static inline struct request_state *request_state(struct jini_request *request)
{
    return (struct request_state *)(void *)request->reserved;
}

/*
 * Takes a request from its caller. After 0 it is under way and ends by request_finish(), exactly once;
 * after an error it was never taken, and the error stands in it.
 */
int request_begin(struct jini *jini, struct jini_request *request, size_t size,
                  jini_callback *callback);

/* On a loop thread: hands a request that is finished back to its caller. */
void request_deliver(struct jini_request *request);

/* Gives it up before anything was started: the caller gets `status` at once and no callback. */
int request_refuse(struct jini_request *request, int status);

/* Ends it, on any thread of the engine. The request may be gone when this returns. */
void request_finish(struct jini_request *request, int status);

/* The end of a submitting function: 0 with a callback; else waits and returns the result. */
int request_wait(struct jini_request *request);

/* Queues `op` (its argument is the request) and then `after` on the writer thread, or request_finish() when NULL. */
int request_write(struct jini_request *request, store_op_fn *op, enum store_class class,
                  uint32_t bytes, request_step_fn *after);

/* The whole way of a request that is one op: begin, write, wait. Checks have been made by the caller. */
int request_run_op(struct jini *jini, struct jini_request *request, size_t size, store_op_fn *op,
                   jini_callback *callback);

/* Runs `step` on a workers; its second argument is not 0 when the request was late or cancelled. */
int request_run_on(struct workers *workers, struct jini_request *request,
                   void (*step)(struct worker_task *task, int status));

static inline struct jini_request *request_of_task(struct worker_task *task)
{
    struct request_state *state =
        (struct request_state *)(void *)((char *)task - offsetof(struct request_state, task));
    return (struct jini_request *)(void *)((char *)state - offsetof(struct jini_request, reserved));
}

/* 0, or why nothing is taken any more: JINI_E_FORKED, JINI_E_CLOSED, JINI_E_POISONED. */
int engine_check(const struct jini *jini);

/* ---- loop.c ------------------------------------------------------------------------------------- */

int loop_start_own(struct jini *jini, struct jini_error *error);
void loop_stop_own(struct jini *jini);

/* The loop on which requests of this thread come back; the engine's own when it has none. */
struct loop *loop_of_thread(struct jini *jini);

/* True on a thread that must not block: one that runs a loop of the engine, or works for it. */
bool loop_thread_must_not_block(struct jini *jini);
void loop_mark_worker_thread(void);

/* A request that will come back there is under way, or was refused after all. On the loop's thread, if attached. */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

/* Has the loop deliver a request, which also releases it. Any thread. */
void loop_post(struct loop *loop, struct jini_request *request);

/* The attached loop of this thread, or NULL; how many loops are attached by anybody. */
struct loop *loop_attached(struct jini *jini);
uint32_t loop_attached_count(struct jini *jini);

/* Takes an attached loop out of its engine, which may go before the loop does. Any thread. */
void loop_forget(struct loop *loop);

/* Has a forgotten loop detach itself and then call back. Any thread; the last use of the loop. */
void loop_detach_and_call(struct loop *loop, jini_close_callback *callback, void *context);

/* ---- workers.c ------------------------------------------------------------------------------------- */

struct workers_options {
    const char *name; /* of its threads */
    uint32_t threads;
    uint32_t queue_max;
    const struct jini_clock *clock;
};
int workers_create(const struct workers_options *options, struct workers **out);

/* Runs what runs, completes what waits with JINI_E_CANCELLED, and ends the threads. Both take NULL. */
void workers_stop(struct workers *workers);
void workers_free(struct workers *workers);

/* Queues a task. JINI_E_BUSY: queue_max tasks wait. JINI_E_NO_MEMORY: no thread could be started. */
int workers_submit(struct workers *workers, struct worker_task *task);
uint32_t workers_waiting(struct workers *workers);

#endif
