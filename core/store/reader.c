/*
 * Snapshots, and the gate that keeps them away while the map is resized.
 *
 *  1. A reader belongs to whoever swapped its `busy` from 0 to 1, until that is 0 again.
 *  2. Who takes a reader looks at the gate after the swap; who closes the gate looks at the readers
 *     after the store. Both are sequentially consistent, so at least one of the two sees the other.
 *  3. The writer passes the gate like a reader, by `writer_inside`, for the length of each of its
 *     transactions.
 *  4. While the gate is closed and all of them are idle, no pointer into the map is in use in this
 *     process.
 *  5. When the map could not be mapped again, the store is poisoned and the gate stays closed.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"

#include <sched.h>
#include <time.h>

enum { GATE_POLL_US = 20 };

int readers_create(struct store *store)
{
    uint32_t count = store->options.readers_max;
    store->readers_memory = base_calloc(count + 1, sizeof(struct reader));
    if (!store->readers_memory)
        return JINI_E_NO_MEMORY;
    uintptr_t unaligned = (uintptr_t)store->readers_memory;
    size_t alignment = _Alignof(struct reader);
    store->readers = (struct reader *)((unaligned + alignment - 1) / alignment * alignment);
    return 0;
}

void readers_destroy(struct store *store)
{
    for (uint32_t i = 0; store->readers && i < store->options.readers_max; i++) {
        struct reader *reader = &store->readers[i];
        JINI_ASSERT(atomic_load(&reader->busy) == 0);
        if (reader->txn.driver_txn)
            store->ops->reader_free(reader->txn.driver_txn);
    }
    base_free(store->readers_memory);
    store->readers_memory = NULL;
    store->readers = NULL;
}

/*
 * Threads begin their search at different places, and each at the place that it found free last
 * time.
 */
static _Thread_local uint32_t preferred;
static _Atomic uint32_t next_preferred;

static struct reader *take_reader(struct store *store)
{
    uint32_t count = store->options.readers_max;
    if (preferred == 0)
        preferred = atomic_fetch_add_explicit(&next_preferred, 1, memory_order_relaxed) + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct reader *reader = &store->readers[(preferred + i) % count];
        uint32_t idle = 0;
        if (atomic_load_explicit(&reader->busy, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&reader->busy, &idle, 1)) {
            preferred = (preferred + i) % count + (preferred + i < count ? 0 : count);
            return reader;
        }
    }
    return NULL;
}

static void give_reader(struct reader *reader)
{
    atomic_store_explicit(&reader->busy, 0, memory_order_release);
}

/* Waits until the gate opens, up to the time that growth itself may take. */
static bool wait_for_gate(struct store *store)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + 2 * store->options.gate_wait_ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    int waited = 0;
    pthread_mutex_lock(&store->gate_wait_lock);
    while (atomic_load(&store->gate_closed) && !atomic_load(&store->poisoned) && waited == 0)
        waited = pthread_cond_timedwait(&store->gate_opened, &store->gate_wait_lock, &until);
    pthread_mutex_unlock(&store->gate_wait_lock);
    return waited == 0;
}

/*
 * Waits as long as the gate is closed: a resize is bounded by itself. JINI_E_POISONED: it will not
 * open again.
 */
int gate_enter_writer(struct store *store)
{
    for (;;) {
        if (atomic_load(&store->poisoned))
            return JINI_E_POISONED;
        atomic_store(&store->writer_inside, 1);
        if (!atomic_load(&store->gate_closed))
            return 0;
        atomic_store(&store->writer_inside, 0);
        wait_for_gate(store);
    }
}

void gate_leave_writer(struct store *store)
{
    JINI_ASSERT(atomic_load(&store->writer_inside) == 1);
    atomic_store(&store->writer_inside, 0);
}

static int begin_on(struct store *store, struct reader *reader)
{
    struct store_txn *txn = &reader->txn;
    if (!txn->driver_txn) {
        txn->store = store; /* not before: most readers are never taken, nor their pages */
        int status = store->ops->reader_new(store->driver, &txn->driver_txn);
        if (status)
            return status;
    }
    return store->ops->reader_begin(txn->driver_txn);
}

static int refuse_behind_gate(const struct store *store, struct jini_error *error)
{
    return error_set(error, JINI_E_BUSY, "store.gate_wait_ms",
                     "the database grows, and has waited for snapshots that are open for longer "
                     "than %u ms (store.gate_wait_ms); keep them short, and try again",
                     store->options.gate_wait_ms);
}

static int refuse_one_more(const struct store *store, struct jini_error *error)
{
    return error_set(error, JINI_E_BUSY, "store.readers_max",
                     "all %u snapshots that this process may have open at once "
                     "(store.readers_max) are open; end some, or raise it",
                     store->options.readers_max);
}

static int refuse_driver(int status, struct jini_error *error)
{
    if (status != JINI_E_BUSY)
        return error_set(error, status, "store", "a snapshot cannot be opened: %s",
                         jini_status_text(status));
    return error_set(error, JINI_E_BUSY, "lock.mdb",
                     "the table of snapshots, which all processes of the database share, is full; "
                     "end processes, or lower their store.readers_max");
}

int store_read_begin(struct store *store, struct store_txn **out)
{
    return store_read_begin_explained(store, out, NULL);
}

int store_read_begin_explained(struct store *store, struct store_txn **out,
                               struct jini_error *error)
{
    *out = NULL;
    for (;;) {
        if (store_look(store))
            return store_health(store, error);
        struct reader *reader = take_reader(store);
        if (!reader)
            return refuse_one_more(store, error);
        if (atomic_load(&store->gate_closed)) {
            give_reader(reader);
            if (!wait_for_gate(store))
                return refuse_behind_gate(store, error);
            continue;
        }
        int status = begin_on(store, reader);
        if (status == 0) {
            *out = &reader->txn;
            return 0;
        }
        give_reader(reader);
        if (status != DRIVER_MAP_RESIZED)
            return refuse_driver(status, error);
        status = gate_resize(store, 0);
        if (status == JINI_E_BUSY)
            return refuse_behind_gate(store, error);
        if (status)
            return refuse_driver(status, error);
    }
}

void store_read_end(struct store_txn *txn)
{
    if (!txn)
        return;
    struct reader *reader = (struct reader *)((char *)txn - offsetof(struct reader, txn));
    if (txn->store->fork_generation != fork_generation())
        return; /* in LMDB's table of readers the slot is the parent's */
    JINI_ASSERT(atomic_load(&reader->busy) == 1);
    txn->failure = 0;
    txn->store->ops->reader_end(txn->driver_txn);
    give_reader(reader);
}

static bool all_idle(const struct store *store)
{
    if (atomic_load(&store->writer_inside))
        return false;
    for (uint32_t i = 0; i < store->options.readers_max; i++) {
        if (atomic_load(&store->readers[i].busy))
            return false;
    }
    return true;
}

static bool wait_until_idle(const struct store *store)
{
    uint64_t end = clock_boot_ns(&clock_system) + store->options.gate_wait_ms * NS_PER_MS;
    while (!all_idle(store)) {
        if (clock_boot_ns(&clock_system) > end)
            return false;
        struct timespec pause = {.tv_nsec = GATE_POLL_US * 1000L};
        nanosleep(&pause, NULL);
    }
    return true;
}

/*
 * Closes the gate, waits for the readers that run, resizes (0: to what another process chose) and
 * opens again. JINI_E_BUSY: a reader or the writer ran for longer than gate_wait_ms; nothing
 * changed. JINI_E_NO_MEMORY: there is no address space for it; nothing changed. Other errors: the
 * store is poisoned. Not inside a transaction.
 */
int gate_resize(struct store *store, uint64_t map_bytes)
{
    pthread_mutex_lock(&store->gate_lock);
    atomic_store(&store->gate_closed, 1);
    int status = JINI_E_BUSY;
    if (wait_until_idle(store))
        status = store->ops->resize(store->driver, map_bytes);
    bool lost = status && status != JINI_E_BUSY && status != JINI_E_NO_MEMORY;
    if (lost)
        store_poison(store, "the map could not be mapped again after a change of its size");
    pthread_mutex_lock(&store->gate_wait_lock);
    atomic_store(&store->gate_closed, lost);
    pthread_cond_broadcast(&store->gate_opened);
    pthread_mutex_unlock(&store->gate_wait_lock);
    pthread_mutex_unlock(&store->gate_lock);
    if (status == 0) {
        atomic_fetch_add(&store->counters.map_growths, 1);
        log_record(&store->options.log, JINI_LOG_INFO, "store_map_resized",
                   LOG_NUMBER("bytes", store->ops->map_bytes(store->driver)));
    }
    return status;
}
