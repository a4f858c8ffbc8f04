/*
 * Loops: the engine's own, and those that callers attach. A finished request is put into its loop's
 * list by any thread and delivered by the loop's thread.
 *
 *  1. The list is guarded by the loop's lock; everything else of a loop belongs to the thread that
 *     runs it.
 *  2. An attached loop is kept running by our handle only while requests are under way that come
 *     back on it.
 *  3. The own loop lives from open to close, on its own thread, and also runs the housekeeping
 *     timer, which ends what has waited for too long for the writer, a thread or the archive,
 *     renews the lease of a long run and lets go of files that another process removed; so what it
 *     uses is made before the own loop and freed only after it has ended.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"
#include "engine/cold_reads.h"
#include "images/pack_files.h"

#include <sys/prctl.h>
#include <uv.h>

enum { OWN_STACK_BYTES = 512 * 1024, TICK_MS = 1000, DROP_REMOVED_TICKS = 10 };

struct loop {
    struct jini *_Atomic jini; /* NULL once the engine has let go of an attached loop */
    uint32_t fork_generation;
    bool own;
    uv_loop_t *uv;
    uv_async_t async;
    uint64_t held; /* requests under way that come back here */

    pthread_mutex_t lock;
    struct jini_request *first;
    struct jini_request *last;
    bool stopping;
    jini_close_callback *detach_callback;
    void *detach_context;

    struct loop *next_of_engine;
    struct loop *next_of_thread;

    /* Of the own loop. */
    uv_loop_t own_uv;
    uv_timer_t timer;
    uint32_t ticks;
    pthread_t thread;
};

static _Thread_local struct loop *loops_of_thread;

/* A thread of an engine; in a forked child the thread that remains is none. */
static _Thread_local bool works;
static _Thread_local uint32_t works_generation;

void loop_mark_worker_thread(void)
{
    works = true;
    works_generation = fork_generation();
}

static bool is_worker_thread(void)
{
    return works && works_generation == fork_generation();
}

static struct loop *find_of_thread(struct jini *jini)
{
    uint32_t generation = fork_generation();
    for (struct loop *loop = loops_of_thread; loop; loop = loop->next_of_thread) {
        if (loop->jini == jini && loop->fork_generation == generation)
            return loop;
    }
    return NULL;
}

struct loop *loop_of_thread(struct jini *jini)
{
    struct loop *loop = loops_of_thread ? find_of_thread(jini) : NULL;
    return loop ? loop : jini->own_loop;
}

struct loop *loop_attached(struct jini *jini)
{
    struct loop *loop = find_of_thread(jini);
    return loop && !loop->own ? loop : NULL;
}

uint32_t loop_attached_count(struct jini *jini)
{
    uint32_t count = 0;
    pthread_mutex_lock(&jini->loops_lock);
    for (struct loop *loop = jini->loops; loop; loop = loop->next_of_engine)
        count++;
    pthread_mutex_unlock(&jini->loops_lock);
    return count;
}

bool loop_thread_must_not_block(struct jini *jini)
{
    return is_worker_thread() || (loops_of_thread && find_of_thread(jini));
}

bool loop_thread_is_an_engines(void)
{
    uint32_t generation = fork_generation();
    for (const struct loop *loop = loops_of_thread; loop; loop = loop->next_of_thread) {
        if (loop->own && loop->fork_generation == generation)
            return true;
    }
    return is_worker_thread();
}

void loop_hold(struct loop *loop)
{
    if (loop->own)
        return;
    if (loop->held++ == 0)
        uv_ref((uv_handle_t *)&loop->async);
}

void loop_release(struct loop *loop)
{
    if (loop->own)
        return;
    JINI_ASSERT(loop->held > 0);
    if (--loop->held == 0)
        uv_unref((uv_handle_t *)&loop->async);
}

void loop_post(struct loop *loop, struct jini_request *request)
{
    request_state(request)->next = NULL;
    pthread_mutex_lock(&loop->lock);
    bool was_empty = loop->first == NULL;
    *(loop->last ? &request_state(loop->last)->next : &loop->first) = request;
    loop->last = request;
    /* Sent under the lock: the loop may be detached as soon as it has seen the request. */
    if (was_empty)
        uv_async_send(&loop->async);
    pthread_mutex_unlock(&loop->lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct loop *loop = handle->data;
    pthread_mutex_destroy(&loop->lock);
    jini_close_callback *callback = loop->detach_callback;
    void *context = loop->detach_context;
    base_free(loop);
    if (callback)
        callback(context);
}

/* On the loop's thread. */
static void detach(struct loop *loop)
{
    struct loop **link = &loops_of_thread;
    while (*link != loop)
        link = &(*link)->next_of_thread;
    *link = loop->next_of_thread;
    uv_close((uv_handle_t *)&loop->async, on_closed);
}

void loop_forget(struct loop *loop)
{
    struct jini *jini = loop->jini;
    atomic_store(&loop->jini, NULL);
    pthread_mutex_lock(&jini->loops_lock);
    struct loop **link = &jini->loops;
    while (*link != loop)
        link = &(*link)->next_of_engine;
    *link = loop->next_of_engine;
    pthread_mutex_unlock(&jini->loops_lock);
}

static void on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    pthread_mutex_lock(&loop->lock);
    struct jini_request *request = loop->first;
    loop->first = NULL;
    loop->last = NULL;
    bool stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    while (request) {
        struct jini_request *next = request_state(request)->next;
        loop_release(loop);
        request_deliver(request);
        request = next;
    }
    if (!stopping)
        return;
    if (loop->own) {
        uv_close((uv_handle_t *)&loop->timer, NULL);
        uv_close((uv_handle_t *)&loop->async, NULL);
    } else {
        detach(loop);
    }
}

static int prepare(struct loop *loop, struct jini *jini, uv_loop_t *uv)
{
    loop->jini = jini;
    loop->fork_generation = fork_generation();
    loop->uv = uv;
    int failed = uv_async_init(uv, &loop->async, on_async);
    if (failed)
        return failed;
    loop->async.data = loop;
    pthread_mutex_init(&loop->lock, NULL);
    return 0;
}

int jini_attach(struct jini *jini, struct uv_loop_s *uv, struct jini_error *error)
{
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    if (loops_of_thread && find_of_thread(jini))
        return error_set(error, JINI_E_EXISTS, "loop", "this thread has a loop attached already");
    struct loop *loop = base_calloc(1, sizeof(*loop));
    if (!loop)
        return error_set(error, JINI_E_NO_MEMORY, "loop", "out of memory");
    int failed = prepare(loop, jini, uv);
    if (failed) {
        base_free(loop);
        return error_set(error, JINI_E_IO, "loop", "cannot make a handle on the loop: %s",
                         uv_strerror(failed));
    }
    uv_unref((uv_handle_t *)&loop->async);
    pthread_mutex_lock(&jini->loops_lock);
    loop->next_of_engine = jini->loops;
    jini->loops = loop;
    pthread_mutex_unlock(&jini->loops_lock);
    loop->next_of_thread = loops_of_thread;
    loops_of_thread = loop;
    return 0;
}

int jini_detach(struct jini *jini)
{
    if (jini->fork_generation != fork_generation())
        return JINI_E_FORKED;
    struct loop *loop = loop_attached(jini);
    if (!loop)
        return JINI_E_NOT_FOUND;
    if (loop->held > 0)
        return JINI_E_BUSY;
    loop_forget(loop);
    detach(loop);
    return 0;
}

void loop_detach_and_call(struct loop *loop, jini_close_callback *callback, void *context)
{
    pthread_mutex_lock(&loop->lock);
    loop->detach_callback = callback;
    loop->detach_context = context;
    loop->stopping = true;
    uv_async_send(&loop->async);
    pthread_mutex_unlock(&loop->lock);
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    struct jini *jini = loop->jini; /* whose parts are freed after this loop has ended */
    store_tick(jini->store);
    workers_sweep(jini->cpu);
    workers_sweep(jini->passwords);
    workers_sweep(jini->verifier);
    workers_sweep(jini->copier);
    background_sweep(jini);
    lease_tick(jini);
    cold_reads_sweep(jini->cold_reads, clock_boot_ns(jini->clock));
    if (++loop->ticks % DROP_REMOVED_TICKS == 0)
        pack_files_drop_removed(jini->pack_files);
}

static void *own_main(void *argument)
{
    struct loop *loop = argument;
    prctl(PR_SET_NAME, "jini-loop", 0, 0, 0);
    loop->next_of_thread = NULL;
    loops_of_thread = loop;
    uv_run(loop->uv, UV_RUN_DEFAULT);
    loops_of_thread = NULL;
    return NULL;
}

/* Makes loop, handles and thread. On failure the loop's handles are closed again. */
static int start(struct loop *loop, struct jini *jini)
{
    int failed = uv_loop_init(&loop->own_uv);
    if (failed)
        return failed;
    loop->own = true;
    failed = prepare(loop, jini, &loop->own_uv);
    if (failed) {
        uv_loop_close(&loop->own_uv);
        return failed;
    }
    uv_timer_init(&loop->own_uv, &loop->timer);
    loop->timer.data = loop;
    uv_timer_start(&loop->timer, on_tick, TICK_MS, TICK_MS);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, OWN_STACK_BYTES);
    failed = pthread_create(&loop->thread, &attributes, own_main, loop);
    pthread_attr_destroy(&attributes);
    if (failed) {
        uv_close((uv_handle_t *)&loop->timer, NULL);
        uv_close((uv_handle_t *)&loop->async, NULL);
        uv_run(&loop->own_uv, UV_RUN_DEFAULT);
        uv_loop_close(&loop->own_uv);
        pthread_mutex_destroy(&loop->lock);
        return -failed;
    }
    return 0;
}

int loop_start_own(struct jini *jini, struct jini_error *error)
{
    struct loop *loop = base_calloc(1, sizeof(*loop));
    if (!loop)
        return error_set(error, JINI_E_NO_MEMORY, "jini", "out of memory");
    int failed = start(loop, jini);
    if (failed) {
        base_free(loop);
        return error_set(error, error_from_errno(-failed), "jini", "cannot start the loop: %s",
                         uv_strerror(failed));
    }
    jini->own_loop = loop;
    return 0;
}

void loop_stop_own(struct jini *jini)
{
    struct loop *loop = jini->own_loop;
    if (!loop)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    uv_async_send(&loop->async);
    pthread_mutex_unlock(&loop->lock);
    pthread_join(loop->thread, NULL);
    JINI_ASSERT(loop->first == NULL);
    uv_loop_close(&loop->own_uv);
    pthread_mutex_destroy(&loop->lock);
    base_free(loop);
    jini->own_loop = NULL;
}
