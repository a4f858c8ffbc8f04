/*
 * Opening and closing, in this order and back: the directory, one handle per process and directory,
 * the registry, the data file, the driver, readers, the reserve, the writer, the format. Health:
 * forked, poisoned.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"

#include <stdio.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/*
 * Sanitizers keep tables of the address space, so it is not reserved by the hundred gigabytes under
 * them.
 */
#ifdef SANITIZED
static const uint64_t default_map_bytes = UINT64_C(1) << 30;
#else
static const uint64_t default_map_bytes = UINT64_C(256) << 30;
#endif
static const uint64_t map_bytes_min = UINT64_C(1) << 20;

/* Debug builds, and tests by their fixture, find out ops that may not be run again. */
#ifdef NDEBUG
static const bool default_run_twice = false;
#else
static const bool default_run_twice = true;
#endif

void store_options_init(struct store_options *options)
{
    *options = (struct store_options){
        .driver = STORE_DRIVER_LMDB,
        .sync = STORE_SYNC_FULL,
        .run_twice = default_run_twice,
        .map_bytes_max = UINT64_C(4) << 40,
        .reserve_bytes = UINT64_C(16) << 20,
        .readers_max = 256,
        .queue_ops_max = 16384,
        .queue_bytes_max = UINT64_C(256) << 20,
        .batch_ops_max = 1024,
        .batch_bytes_max = UINT64_C(16) << 20,
        .batch_run_ms = 5,
        .gate_wait_ms = 1000,
        .migrate_wait_ms = 10000,
    };
}

/* ---- Options ---- */

/* What is reserved at open. */
static uint64_t map_bytes_of(const struct store_options *options)
{
    if (options->map_bytes)
        return options->map_bytes;
    return default_map_bytes < options->map_bytes_max ? default_map_bytes : options->map_bytes_max;
}

static int check_options(const struct store_options *options, struct jini_error *error)
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t min;
        uint64_t max;
    } ranges[] = {
        {"store.map_bytes_max", options->map_bytes_max, map_bytes_min, UINT64_C(1) << 46},
        {"store.map_bytes", map_bytes_of(options), map_bytes_min, UINT64_C(1) << 46},
        {"store.reserve_bytes", options->reserve_bytes, 0, UINT64_C(1) << 34},
        {"store.readers_max", options->readers_max, 1, STORE_READERS_MAX},
        {"store.queue_ops_max", options->queue_ops_max, 1, 1 << 20},
        {"store.queue_bytes_max", options->queue_bytes_max, 1, UINT64_C(1) << 40},
        {"store.batch_ops_max", options->batch_ops_max, 1, 1 << 16},
        {"store.batch_bytes_max", options->batch_bytes_max, 1, UINT64_C(1) << 32},
        {"store.batch_run_ms", options->batch_run_ms, 1, 1000},
        {"store.gate_wait_ms", options->gate_wait_ms, 1, 600000},
        {"store.migrate_wait_ms", options->migrate_wait_ms, 0, 3600000},
        {"store.driver", options->driver, STORE_DRIVER_LMDB, STORE_DRIVER_MEMORY},
        {"store.sync", options->sync, STORE_SYNC_FULL, STORE_SYNC_NONE},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max)
            return error_set(error, JINI_E_INVALID, ranges[i].name, "%llu is not from %llu to %llu",
                             (unsigned long long)ranges[i].value, (unsigned long long)ranges[i].min,
                             (unsigned long long)ranges[i].max);
    }
    if (options->map_bytes > options->map_bytes_max)
        return error_set(error, JINI_E_INVALID, "store.map_bytes",
                         "%llu is more than store.map_bytes_max, which is %llu; lower it, leave it "
                         "at 0, or raise that",
                         (unsigned long long)options->map_bytes,
                         (unsigned long long)options->map_bytes_max);
    if (!options->format || options->format->version == 0 ||
        options->format->version < options->format->version_min)
        return error_set(error, JINI_E_INVALID, "format", "the store needs a format");
    if (options->driver == STORE_DRIVER_LMDB && (!options->directory || !options->directory[0]))
        return error_set(error, JINI_E_INVALID, "directory", "the store needs a directory");
    if (options->driver == STORE_DRIVER_MEMORY && options->read_only)
        return error_set(error, JINI_E_INVALID, "store.read_only",
                         "the memory driver has nothing to read that was not written through it");
    if (options->directory && strlen(options->directory) > 4000)
        return error_set(error, JINI_E_INVALID, "directory", "longer than 4000 bytes");
    return 0;
}

/* ---- Opening and closing ---- */

static int open_registry(struct store *store, bool look_on, struct jini_error *error)
{
    struct registry_options options = {
        .directory = store->options.at_rest ? NULL : store->directory,
        .process_name = store->options.process_name,
        .clock = store->options.clock,
        .format_min = store->options.format->version_min,
        .format_max = store->options.format->version,
        .read_only = store->options.read_only,
        .look_on = look_on,
        .sync = store->options.sync,
    };
    int status = registry_open(&options, &store->registry, error);
    if (status == 0)
        store->looks_on = store->options.at_rest || registry_looks_on(store->registry);
    return status;
}

/* Opening waited for a turn to write and did not get it. */
static int blame_holder(struct store *store, struct jini_error *error)
{
    struct store_process_info infos[STORE_PROCESSES_MAX];
    size_t count = registry_list(store->registry, infos, STORE_PROCESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (infos[i].holds_write_lock)
            return error_set(error, JINI_E_BUSY, store->directory,
                             "process %d (%s) has held the write lock for %llu ms, longer than "
                             "opening waits; is it stopped?",
                             infos[i].pid, infos[i].name,
                             (unsigned long long)(infos[i].lock_ns / NS_PER_MS));
    }
    return error_set(error, JINI_E_BUSY, store->directory,
                     "other processes have had the write lock for over %d ms", STORE_OPEN_WAIT_MS);
}

static uint64_t open_deadline_ns(const struct store *store)
{
    return clock_boot_ns(store->options.clock) + STORE_OPEN_WAIT_MS * NS_PER_MS;
}

int store_write_at_open(struct store *store, store_op_fn *op, void *argument,
                        struct jini_error *error)
{
    int status = store_write_until(store, op, argument, STORE_NEW_WORK, open_deadline_ns(store));
    return status == JINI_E_TIMEOUT ? blame_holder(store, error) : status;
}

struct opening {
    const struct jini_clock *clock;
    uint64_t deadline_ns;
};

static bool goes_on_waiting(void *argument)
{
    const struct opening *opening = argument;
    return clock_boot_ns(opening->clock) < opening->deadline_ns;
}

static int create_spaces(struct store *store, struct jini_error *error)
{
    if (store->options.read_only || store->ops->has_spaces(store->driver))
        return 0;
    struct opening opening = {store->options.clock, open_deadline_ns(store)};
    if (!registry_turn_take(store->registry, goes_on_waiting, &opening))
        return blame_holder(store, error);
    int status = store->ops->create_spaces(store->driver, error);
    registry_turn_give(store->registry);
    return status;
}

static int create_data(struct store *store, const struct store_options *options,
                       struct jini_error *error)
{
    if (options->read_only)
        return 0;
    int status = 0;
    if (options->create) {
        status = registry_setup_begin(store->registry, error);
        if (status)
            return status;
        status = store->ops->create(options, error);
        registry_setup_end(store->registry);
    }
    return status || !store->directory ? status : directory_sync(store, error);
}

static int open_driver(struct store *store, struct jini_error *error)
{
    struct store_options options = store->options;
    uint64_t soft = reserve_soft_map_bytes(store);
    options.directory = store->directory;
    if (options.map_bytes > soft)
        options.map_bytes = soft;
    int status = create_data(store, &options, error);
    if (status == 0)
        status = store->ops->open(&options, store->looks_on, &store->driver, error);
    return status ? status : create_spaces(store, error);
}

static void close_files(struct store *store)
{
    if (store->driver)
        store->ops->close(store->driver);
    registry_close(store->registry);
    store->driver = NULL;
    store->registry = NULL;
}

/* Who only reads needs no room for what processes share: without it he looks on. */
static int open_files(struct store *store, struct jini_error *error)
{
    int status = open_registry(store, false, error);
    if (status == 0)
        status = open_driver(store, error);
    if (status != JINI_E_FULL || !store->options.read_only)
        return status;
    close_files(store);
    status = open_registry(store, true, error);
    return status ? status : open_driver(store, error);
}

static int open_parts(struct store *store, struct jini_error *error)
{
    int status = 0;
    if (store->directory) {
        status = directory_prepare(store, error);
        if (status == 0)
            status = directory_claim(store, error);
        if (status)
            return status;
    }
    status = open_files(store, error);
    if (status)
        return status;
    if (readers_create(store) != 0)
        return error_set(error, JINI_E_NO_MEMORY, "store.readers_max", "out of memory");
    status = reserve_open(store, error);
    if (status == 0 && !store->options.read_only)
        status = writer_start(store, error);
    if (status)
        return status;
    home_find(store);
    return format_prepare(store, error);
}

static void destroy(struct store *store)
{
    writer_stop(store);
    reserve_close(store);
    readers_destroy(store);
    close_files(store);
    if (store->directory)
        directory_release(store);
    pthread_cond_destroy(&store->gate_opened);
    pthread_mutex_destroy(&store->gate_wait_lock);
    pthread_mutex_destroy(&store->gate_lock);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->sweep_lock);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->reserve_lock);
    pthread_mutex_destroy(&store->poison_lock);
    base_free(store->directory);
    base_free(store);
}

static void init_locks(struct store *store)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->poison_lock, NULL);
    pthread_mutex_init(&store->reserve_lock, NULL);
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->sweep_lock, NULL);
    pthread_cond_init(&store->wake, &monotonic);
    pthread_mutex_init(&store->gate_lock, NULL);
    pthread_mutex_init(&store->gate_wait_lock, NULL);
    pthread_cond_init(&store->gate_opened, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int store_open(const struct store_options *options, struct store **out, struct jini_error *error)
{
    *out = NULL;
    error_clear(error);
    JINI_ASSERT(!options->at_rest || options->read_only);
    int status = check_options(options, error);
    if (status)
        return status;
    struct store *store = base_calloc(1, sizeof(*store));
    if (!store)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    store->options = *options;
    store->options.map_bytes = map_bytes_of(options);
    if (!store->options.clock)
        store->options.clock = &clock_system;
    store->ops = options->driver == STORE_DRIVER_LMDB ? &driver_lmdb : &driver_memory;
    store->fork_generation = fork_generation();
    store->reserve_fd = -1;
    store->io_fd = -1;
    store->earliest_deadline_ns = UINT64_MAX;
    store->write_txn.store = store;
    store->write_txn.writable = true;
    init_locks(store);
    if (options->driver == STORE_DRIVER_LMDB) {
        store->directory = base_strdup(options->directory);
        if (!store->directory) {
            status = error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
            goto fail;
        }
    }
    status = open_parts(store, error);
    if (status)
        goto fail;
    *out = store;
    return 0;
fail:
    destroy(store);
    return status;
}

void store_stop(struct store *store)
{
    if (store && store->fork_generation == fork_generation())
        writer_stop(store);
}

void store_close(struct store *store)
{
    if (!store || store->fork_generation != fork_generation())
        return;
    destroy(store);
}

/* ---- Health ---- */

static bool is_forked(const struct store *store)
{
    return store->fork_generation != fork_generation();
}

int store_check(const struct store *store)
{
    if (is_forked(store))
        return JINI_E_FORKED;
    return atomic_load_explicit(&store->poisoned, memory_order_acquire) ? JINI_E_POISONED : 0;
}

int store_look(struct store *store)
{
    if (store->looks_on && !is_forked(store) && registry_disturbed(store->registry))
        store_poison(store, "another process has opened the database, which this one may only read "
                            "as long as it is the only one");
    return store_check(store);
}

int store_health(const struct store *store, struct jini_error *error)
{
    int status = store_check(store);
    if (status == JINI_E_POISONED)
        error_set(error, status, "store", "%s; close the database, mend the cause, open it again",
                  store->poison_reason);
    else if (status)
        error_set(error, status, "store",
                  "this handle was made before a fork; open the database anew in this process");
    return status;
}

void store_poison(struct store *store, const char *reason)
{
    if (is_forked(store))
        return; /* the lock may have been held by a thread that the child does not have */
    pthread_mutex_lock(&store->poison_lock);
    if (!atomic_load(&store->poisoned)) {
        snprintf(store->poison_reason, sizeof(store->poison_reason), "%s", reason);
        atomic_store_explicit(&store->poisoned, 1, memory_order_release);
        log_record(&store->options.log, JINI_LOG_ERROR, "store_poisoned",
                   LOG_TEXT("reason", reason));
    }
    pthread_mutex_unlock(&store->poison_lock);
}

void store_tick(struct store *store)
{
    if (is_forked(store))
        return;
    writer_tick(store);
    if (store_look(store) != 0)
        return;
    store->ops->clear_stale_readers(store->driver);
    reserve_tick(store);
    store_check_registry(store);
}

void store_check_registry(struct store *store)
{
    if (!registry_file_present(store->registry))
        store_poison(store, "somebody deleted the file `processes` of the open database");
}

/* ---- Shared words ---- */

uint64_t store_change_word(const struct store *store, uint32_t word)
{
    return atomic_load_explicit(registry_change_word(store->registry, word), memory_order_acquire);
}

struct store_process store_self(const struct store *store)
{
    return registry_self(store->registry);
}

bool store_process_alive(struct store *store, struct store_process process)
{
    return !is_forked(store) && registry_alive(store->registry, process);
}

_Atomic uint64_t *store_shared_word(struct store *store, uint32_t index)
{
    return registry_shared_word(store->registry, index);
}
