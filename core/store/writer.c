/*
 * The queue of writes and the thread that serves it.
 *
 *  1. A write is in one place: with its caller, in the queue (linked, counted), or in the batch
 *     that runs.
 *  2. Its `done` runs once: on the writer thread, after its batch is settled and the write lock is
 *     given back, or on whoever swept it out of the queue.
 *  3. A write whose deadline passes while it is queued completes with JINI_E_TIMEOUT; that holds
 *     also while the thread waits for another process's lock (it sweeps meanwhile) and while a
 *     batch runs long (the tick sweeps).
 *  4. `lock` is held for each change of the queue, so whoever takes a write out has it alone. No
 *     `done` runs under it.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WRITER_STACK_BYTES = 1024 * 1024, GATHER_MAX_NS = 1000000 };

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Held under `lock`. */
static void enqueue(struct store *store, struct store_write *write)
{
    write->state = WRITE_QUEUED;
    write->status = 0;
    write->next = NULL;
    write->previous = store->last;
    if (store->last)
        store->last->next = write;
    else
        store->first = write;
    store->last = write;
    store->queue_ops++;
    store->queue_bytes += write->bytes;
    if (write->deadline_ns && write->deadline_ns < store->earliest_deadline_ns)
        store->earliest_deadline_ns = write->deadline_ns;
}

/* Held under `lock`. */
static void unlink_write(struct store *store, struct store_write *write)
{
    JINI_ASSERT(write->state == WRITE_QUEUED && store->queue_ops > 0);
    *(write->previous ? &write->previous->next : &store->first) = write->next;
    *(write->next ? &write->next->previous : &store->last) = write->previous;
    store->queue_ops--;
    store->queue_bytes -= write->bytes;
    write->state = WRITE_TAKEN;
}

void writer_complete(struct store_write *write, int status)
{
    write->status = status;
    write->done(write);
}

/* Held under `lock`. */
static bool has_place(const struct store *store, struct store_write *write)
{
    const struct store_options *options = &store->options;
    write->queue_ops = store->queue_ops;
    write->queue_bytes = store->queue_bytes;
    return store->queue_ops < options->queue_ops_max &&
           store->queue_bytes + write->bytes <= options->queue_bytes_max;
}

int store_submit(struct store *store, struct store_write *write)
{
    int status = store_check(store);
    if (status)
        return status;
    if (store->options.read_only)
        return JINI_E_READ_ONLY;
    if (write->bytes > store->options.queue_bytes_max)
        return JINI_E_TOO_BIG;
    pthread_mutex_lock(&store->lock);
    if (store->closing)
        status = JINI_E_CLOSED;
    else if (!has_place(store, write))
        status = JINI_E_BUSY;
    else
        enqueue(store, write);
    /* Under the lock: who gets the write back may close the store before this returns. */
    if (status == 0 && (store->queue_ops == 1 || store->queue_ops == store->gather_target))
        pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* What a write is taken out of the queue for: a status, or 0 where it stays. */
typedef int judge_fn(const struct store_write *write, uint64_t now_ns);

static int judge_swept(const struct store_write *write, uint64_t now_ns)
{
    if (write->status == JINI_E_CANCELLED)
        return JINI_E_CANCELLED;
    return write->deadline_ns && write->deadline_ns <= now_ns ? JINI_E_TIMEOUT : 0;
}

static int judge_closed(const struct store_write *write, uint64_t now_ns)
{
    (void)write;
    (void)now_ns;
    return JINI_E_CANCELLED;
}

/*
 * Takes out of the queue, in order, what `judge` names; returns it linked by `next`. Held under
 * `lock`.
 */
static struct store_write *extract(struct store *store, judge_fn *judge, uint64_t now_ns)
{
    struct store_write *found = NULL;
    struct store_write **link = &found;
    uint64_t earliest = UINT64_MAX;
    for (struct store_write *write = store->first; write;) {
        struct store_write *next = write->next;
        int status = judge(write, now_ns);
        if (status) {
            unlink_write(store, write);
            write->status = status;
            write->next = NULL;
            *link = write;
            link = &write->next;
        } else if (write->deadline_ns && write->deadline_ns < earliest) {
            earliest = write->deadline_ns;
        }
        write = next;
    }
    store->earliest_deadline_ns = earliest;
    store->cancels = 0;
    return found;
}

static void complete_all(struct store_write *list)
{
    while (list) {
        struct store_write *next = list->next;
        writer_complete(list, list->status);
        list = next;
    }
}

/* True when the turn to write has not come within the bound of a closing. Held under `lock`. */
static bool waits_in_vain(const struct store *store, uint64_t now_ns)
{
    if (store->wait_max_ns == 0 || store->waits_since_ns == 0)
        return false;
    return store->gave_up || now_ns - store->waits_since_ns >= store->wait_max_ns;
}

/* Completes what is late or cancelled. False when the store is closing. */
bool writer_sweep(struct store *store)
{
    struct store_write *found = NULL;
    pthread_mutex_lock(&store->lock);
    /* Under the lock, as `waits_since_ns` is set: never before it. */
    uint64_t now = clock_boot_ns(store->options.clock);
    if (waits_in_vain(store, now)) {
        store->gave_up = true;
        found = extract(store, judge_closed, now);
    } else if (store->cancels > 0 || now >= store->earliest_deadline_ns) {
        found = extract(store, judge_swept, now);
    }
    bool closing = store->closing;
    pthread_mutex_unlock(&store->lock);
    complete_all(found);
    return !closing;
}

/* The store in whose queue this thread sweeps beside the writer. */
static _Thread_local const struct store *sweeping;

void writer_tick(struct store *store)
{
    pthread_mutex_lock(&store->sweep_lock);
    sweeping = store;
    writer_sweep(store);
    sweeping = NULL;
    pthread_mutex_unlock(&store->sweep_lock);
}

void store_cancel(struct store *store, struct store_write *write)
{
    if (store_check(store) == JINI_E_FORKED)
        return; /* the lock may have been held by a thread that the child does not have */
    pthread_mutex_lock(&store->lock);
    if (write->state == WRITE_QUEUED) {
        write->status = JINI_E_CANCELLED;
        store->cancels++;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->lock);
}

void store_bound_wait(struct store *store, uint32_t wait_ms)
{
    pthread_mutex_lock(&store->lock);
    store->wait_max_ns = wait_ms * NS_PER_MS;
    if (store->waits_since_ns)
        store->waits_since_ns = clock_boot_ns(store->options.clock);
    pthread_mutex_unlock(&store->lock);
}

static bool on_wait(void *argument)
{
    struct store *store = argument;
    pthread_mutex_lock(&store->lock);
    if (store->waits_since_ns == 0)
        store->waits_since_ns = clock_boot_ns(store->options.clock);
    pthread_mutex_unlock(&store->lock);
    bool goes_on = writer_sweep(store);
    pthread_mutex_lock(&store->lock);
    bool wanted = goes_on && store->first != NULL;
    if (!wanted)
        store->waits_since_ns = 0;
    pthread_mutex_unlock(&store->lock);
    return wanted;
}

/* Whatever was waited for, nothing of it was in vain. */
static void end_wait(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->waits_since_ns = 0;
    store->gave_up = false;
    pthread_mutex_unlock(&store->lock);
}

/* The turn is ours: moves the head of the queue into the batch. */
static void fill_batch(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->batch_count = 0;
    while (store->first && store->batch_count < store->options.batch_ops_max) {
        struct store_write *write = store->first;
        unlink_write(store, write);
        store->batch[store->batch_count++] = write;
    }
    pthread_mutex_unlock(&store->lock);
}

/*
 * Puts the tail of the batch, which has not run, back to the head of the queue; returns how long
 * that is.
 */
static uint32_t return_rest(struct store *store, uint32_t from, uint32_t count)
{
    pthread_mutex_lock(&store->lock);
    for (uint32_t i = count; i > from; i--) {
        struct store_write *write = store->batch[i - 1];
        write->state = WRITE_QUEUED;
        write->status = 0;
        write->previous = NULL;
        write->next = store->first;
        *(store->first ? &store->first->previous : &store->last) = write;
        store->first = write;
        store->queue_ops++;
        store->queue_bytes += write->bytes;
        if (write->deadline_ns && write->deadline_ns < store->earliest_deadline_ns)
            store->earliest_deadline_ns = write->deadline_ns;
    }
    uint32_t queued = store->queue_ops;
    pthread_mutex_unlock(&store->lock);
    return queued;
}

static void note_lock_wait(struct store *store, uint64_t begin_ns)
{
    uint64_t us = (clock_boot_ns(&clock_system) - begin_ns) / NS_PER_US;
    atomic_fetch_add(&store->counters.lock_wait_us_sum, us);
    if (us > atomic_load(&store->counters.lock_wait_us_max))
        atomic_store(&store->counters.lock_wait_us_max, us);
}

/*
 * Submitters that have just been answered are likely to submit again at once. Without a moment's
 * wait the next batch would be the few that came first, the one after it all others, and so on:
 * half of the syncs for nothing. So the writer expects as many ops as it has answered and as were
 * queued by then, less an eighth, for an eighth of what the commit took and at most GATHER_MAX_NS.
 */
static void expect_next(struct store *store, uint32_t answered, uint32_t queued, uint64_t took_ns)
{
    uint64_t expected = (uint64_t)answered + queued;
    if (expected > store->options.batch_ops_max)
        expected = store->options.batch_ops_max;
    uint64_t wait_ns = took_ns / 8 < GATHER_MAX_NS ? took_ns / 8 : GATHER_MAX_NS;
    store->gather_ops = (uint32_t)(expected - expected / 8);
    store->gather_until_ns = monotonic_ns() + wait_ns;
}

/* Held under `lock`. */
static void gather(struct store *store)
{
    struct timespec until = {.tv_sec = (time_t)(store->gather_until_ns / NS_PER_S),
                             .tv_nsec = (long)(store->gather_until_ns % NS_PER_S)};
    store->gather_target = store->gather_ops;
    while (store->queue_ops < store->gather_target && !store->closing &&
           monotonic_ns() < store->gather_until_ns)
        pthread_cond_timedwait(&store->wake, &store->lock, &until);
    store->gather_target = 0;
}

static void serve_queue(struct store *store)
{
    uint64_t begin = clock_boot_ns(&clock_system);
    if (!registry_turn_take(store->registry, on_wait, store))
        return;
    note_lock_wait(store, begin);
    end_wait(store);
    writer_sweep(store);
    fill_batch(store);
    uint32_t taken = store->batch_count;
    uint64_t run_begin = monotonic_ns();
    uint32_t queued = 0;
    if (taken > 0) {
        batch_run(store);
        queued = return_rest(store, store->batch_count, taken);
    }
    registry_turn_give(store->registry);
    uint64_t took_ns = monotonic_ns() - run_begin;
    for (uint32_t i = 0; i < store->batch_count; i++)
        writer_complete(store->batch[i], store->batch[i]->status);
    expect_next(store, store->batch_count, queued, took_ns);
}

static void *writer_main(void *argument)
{
    struct store *store = argument;
    prctl(PR_SET_NAME, "jini-writer", 0, 0, 0);
    store->io_fd = open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    for (;;) {
        pthread_mutex_lock(&store->lock);
        while (!store->first && !store->closing)
            pthread_cond_wait(&store->wake, &store->lock);
        gather(store);
        bool closing = store->closing;
        pthread_mutex_unlock(&store->lock);
        if (closing)
            break;
        writer_sweep(store);
        serve_queue(store);
    }
    pthread_mutex_lock(&store->lock);
    struct store_write *left = extract(store, judge_closed, 0);
    pthread_mutex_unlock(&store->lock);
    complete_all(left);
    if (store->io_fd >= 0)
        close(store->io_fd);
    return NULL;
}

int writer_start(struct store *store, struct jini_error *error)
{
    store->batch = base_calloc(store->options.batch_ops_max, sizeof(*store->batch));
    if (!store->batch)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WRITER_STACK_BYTES);
    int failed = pthread_create(&store->writer, &attributes, writer_main, store);
    pthread_attr_destroy(&attributes);
    if (failed)
        return error_set_errno(error, failed, "store", "cannot start the writer thread");
    store->writer_runs = true;
    return 0;
}

void writer_stop(struct store *store)
{
    if (store->writer_runs) {
        pthread_mutex_lock(&store->lock);
        store->closing = true;
        pthread_mutex_unlock(&store->lock);
        pthread_cond_signal(&store->wake);
        pthread_join(store->writer, NULL);
        store->writer_runs = false;
        /* A tick may still be completing what it took. */
        pthread_mutex_lock(&store->sweep_lock);
        pthread_mutex_unlock(&store->sweep_lock);
    }
    base_free(store->batch);
    store->batch = NULL;
}

/* A blocking write waits on a futex of its own. */
struct waiting_write {
    struct store_write write;
    _Atomic uint32_t finished;
};

static void wake_waiter(struct store_write *write)
{
    struct waiting_write *waiting = (struct waiting_write *)write;
    atomic_store(&waiting->finished, 1);
    syscall(SYS_futex, &waiting->finished, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

int store_write(struct store *store, store_op_fn *op, void *argument)
{
    return store_write_class(store, op, argument, STORE_NEW_WORK);
}

int store_write_class(struct store *store, store_op_fn *op, void *argument, enum store_class class)
{
    return store_write_until(store, op, argument, class, 0);
}

int store_write_until(struct store *store, store_op_fn *op, void *argument, enum store_class class,
                      uint64_t deadline_ns)
{
    if (sweeping == store || (store->writer_runs && pthread_equal(pthread_self(), store->writer)))
        return JINI_E_ON_LOOP;
    struct waiting_write waiting = {
        .write = {.op = op,
                  .argument = argument,
                  .done = wake_waiter,
                  .class = class,
                  .deadline_ns = deadline_ns},
    };
    int status = store_submit(store, &waiting.write);
    if (status)
        return status;
    while (!atomic_load(&waiting.finished))
        syscall(SYS_futex, &waiting.finished, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return waiting.write.status;
}
