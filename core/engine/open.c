/*
 * Opening and closing an engine.
 *
 * Open: options, store, images, limits, workers, background, own loop; what fails is taken down in
 * reverse order.
 *
 * Close: refuse new work; cancel what is under way in the archive; bound what still waits for the
 * write lock; stop workers, reads of the archive, background, appender and the store's writer, in
 * the order in which a request passes them: each finishes what runs and cancels what waits; wait
 * until every request has been delivered; stop the own loop; only then free the store, which the
 * loop's timer and a submit on its way may still look at, and the rest. The callback, if any, comes
 * last.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/path.h"
#include "engine/cold_reads.h"
#include "engine/decisions.h"
#include "engine/queue.h"
#include "engine/rate.h"
#include "engine/waits.h"
#include "images/appender.h"
#include "images/cache.h"
#include "images/pack_files.h"
#include "images/pack_lost.h"
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IDLE_POLL_MS = 5, CLOSER_STACK_BYTES = 256 * 1024, PACK_FILES_MAX = 256 };

const struct store_format engine_format = {.version = 1, .version_min = 1};

const char *jini_version(void)
{
    return JINI_VERSION;
}

static int load_options(const char *path, const struct jini_options *given,
                        struct jini_options *out, struct jini_error *error)
{
    if (given) {
        if (given->size != sizeof(*given))
            return error_set(error, JINI_E_INVALID, "options",
                             "the size is not the one of this library; call jini_options_init() "
                             "and build against the same release");
        *out = *given;
        return options_check(out, error);
    }
    int status = jini_options_read(out, path, error);
    return status ? status : options_check(out, error); /* of what goes together */
}

static int open_store(struct jini *jini, struct jini_error *error)
{
    const struct jini_options *options = &jini->options;
    struct store_options store;
    store_options_init(&store);
    store.directory = jini->directory;
    store.process_name =
        options->process_name[0] ? options->process_name : program_invocation_short_name;
    store.create = options->create != 0;
    store.read_only = options->read_only != 0;
    store.sync = (enum store_sync)options->store_sync;
    store.map_bytes = options->store_map_bytes;
    store.map_bytes_max = options->store_map_bytes_max;
    store.reserve_bytes = options->store_reserve_bytes;
    store.readers_max = (uint32_t)options->store_readers_max;
    store.queue_ops_max = (uint32_t)options->store_queue_ops_max;
    store.queue_bytes_max = options->store_queue_bytes_max;
    store.batch_ops_max = (uint32_t)options->store_batch_ops_max;
    store.batch_bytes_max = options->store_batch_bytes_max;
    store.batch_run_ms = (uint32_t)options->store_batch_run_ms;
    store.gate_wait_ms = (uint32_t)options->store_gate_wait_ms;
    store.migrate_wait_ms = (uint32_t)options->store_migrate_wait_ms;
    store.allow_unsafe_filesystem = options->store_allow_unsafe_filesystem != 0;
    store.run_twice = options->store_run_twice != 0;
    store.clock = jini->clock;
    store.log = jini->log;
    store.format = &engine_format;
    return store_open(&store, &jini->store, error);
}

static int open_waits(struct jini *jini, struct jini_error *error)
{
    jini->waits = waits_new(jini, (uint32_t)jini->options.events_waits_max);
    return jini->waits ? 0
                       : error_set(error, JINI_E_NO_MEMORY, "events.waits_max", "out of memory");
}

static int open_workers(struct jini *jini, struct jini_error *error)
{
    const struct jini_options *options = &jini->options;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t automatic = processors < 1 ? 1 : processors > 64 ? 64 : (uint32_t)processors;
    struct workers_options cpu = {
        .threads = options->cpu_threads ? (uint32_t)options->cpu_threads : automatic,
        .queue = {"jini-cpu", "cpu.threads", "cpu.queue_max", (uint32_t)options->cpu_queue_max,
                  jini->clock},
    };
    struct workers_options passwords = {
        .threads = (uint32_t)options->password_threads,
        .queue = {"jini-password", "password.threads", "password.queue_max",
                  (uint32_t)options->password_queue_max, jini->clock},
    };
    struct workers_options verifier = {
        .threads = 1,
        .queue = {"jini-verify", NULL, "verify", 1, jini->clock},
    };
    struct workers_options opener = {
        .threads = 1,
        .queue = {"jini-opener", NULL, "archive", 1, jini->clock},
    };
    struct workers_options copier = {
        .threads = 1,
        .queue = {"jini-backup", NULL, "backup", 1, jini->clock},
    };
    int status = workers_create(&cpu, &jini->cpu);
    if (status == 0)
        status = workers_create(&passwords, &jini->passwords);
    if (status == 0)
        status = workers_create(&verifier, &jini->verifier);
    if (status == 0)
        status = workers_create(&copier, &jini->copier);
    if (status == 0)
        status = workers_create(&opener, &jini->opener);
    return status ? error_set(error, status, "cpu.threads", "%s", jini_status_text(status)) : 0;
}

static int open_appender(struct jini *jini, struct jini_error *error)
{
    const struct jini_options *options = &jini->options;
    struct appender_options appender = {
        .store = jini->store,
        .directory = jini->directory_fd,
        .clock = jini->clock,
        .ids = &jini->ids,
        .log = jini->log,
        .instance = jini->instance,
        .pack_bytes_max = options->pack_bytes_max,
        .pack_age_max_ms = options->pack_age_max_s * 1000,
        .queue_bytes_max = options->pack_queue_bytes_max,
    };
    return appender_new(&appender, &jini->appender, error);
}

static int open_images(struct jini *jini, struct jini_error *error)
{
    jini->instance = id_next(&jini->ids);
    codec_pool_init(&jini->codecs);
    jini->directory_fd = open(jini->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (jini->directory_fd < 0)
        return error_set_errno(error, errno, jini->directory, "cannot open the directory");
    int status = pack_files_new(jini->directory_fd, PACK_FILES_MAX, &jini->pack_files, error);
    if (status)
        return status;
    jini->image_cache = cache_new(jini->options.cache_image_bytes);
    if (!jini->image_cache)
        return error_set(error, JINI_E_NO_MEMORY, "cache.image_bytes", "out of memory");
    struct cold_reads_options reads = {
        .readers_max = (uint32_t)jini->options.archive_reads_max,
        .bytes_max = jini->options.archive_read_bytes_max,
    };
    jini->cold_reads = cold_reads_new(jini, &reads);
    if (!jini->cold_reads)
        return error_set(error, JINI_E_NO_MEMORY, "archive.reads_max", "out of memory");
    return jini->options.read_only ? 0 : open_appender(jini, error);
}

static int op_create_tiers(struct store_txn *txn, void *argument)
{
    (void)argument;
    return accounts_tiers_create(txn);
}

/*
 * 0: the tier is there. A damaged record holds up no opening, so that verify can name it; whoever
 * needs it says so.
 */
static int find_tier(struct jini *jini, const char *name, struct jini_error *error)
{
    struct store_txn *txn;
    struct jini_tier tier;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = accounts_tier_get(txn, name, &tier);
    store_read_end(txn);
    return status_is_damage(status) ? 0 : status;
}

/* A new database gets the default tiers; every other has some already. */
static int prepare_tiers(struct jini *jini, struct jini_error *error)
{
    accounts_ids_init(&jini->user_ids);
    int status = find_tier(jini, ACCOUNTS_TIER_DEFAULT, error);
    if (status == JINI_E_NOT_FOUND && !jini->options.read_only)
        status = store_write_at_open(jini->store, op_create_tiers, NULL, error);
    return error_complete(error, status, "tiers", "the tiers cannot be read or made");
}

/* What no reading of its text shows. One that only looks has no anonymous clients. */
static int check_anonymous_tier(struct jini *jini, struct jini_error *error)
{
    const char *name = jini->options.anonymous_tier;
    if (jini->options.read_only)
        return 0;
    int status = find_tier(jini, name, error);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_INVALID, "anonymous.tier",
                         "there is no tier \"%s\"; open with anonymous.tier=%s to make it", name,
                         ACCOUNTS_TIER_DEFAULT);
    return error_complete(error, status, "anonymous.tier", "the tier cannot be read");
}

static int open_limits(struct jini *jini, struct jini_error *error)
{
    jini->plans = plans_new();
    if (!jini->plans)
        return error_set(error, JINI_E_NO_MEMORY, "limits", "out of memory");
    return jini->options.read_only ? 0 : rates_open(jini, error);
}

static int open_queue(struct jini *jini, struct jini_error *error)
{
    jini->decisions = decisions_new(jini->directory, jini->options.decisions_kept);
    if (!jini->decisions)
        return error_set(error, JINI_E_NO_MEMORY, "decisions.kept", "out of memory");
    jini->takes = jini->options.read_only ? NULL : takes_new(jini);
    if (!jini->takes && !jini->options.read_only)
        return error_set(error, JINI_E_NO_MEMORY, "queue", "out of memory");
    return 0;
}

static void init_locks(struct jini *jini)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&jini->loops_lock, NULL);
    pthread_mutex_init(&jini->idle_lock, NULL);
    archives_init(&jini->archives);
    pthread_cond_init(&jini->idle, &monotonic);
    lease_keeper_init(&jini->lease_keeper);
    pthread_condattr_destroy(&monotonic);
}

static int op_give_ids_back(struct store_txn *txn, void *argument)
{
    return accounts_ids_give_back(txn, argument);
}

/* The ids of a block that was begun go back, so that short processes do not leave large gaps. */
static void give_ids_back(struct jini *jini)
{
    struct accounts_id_range rest = accounts_ids_drain(&jini->user_ids);
    if (rest.count > 0)
        store_write_class(jini->store, op_give_ids_back, &rest, STORE_RELEASE);
}

/* What still writes does not wait for ever behind a process that was stopped while it wrote. */
static void stop_work(struct jini *jini)
{
    archives_stop(jini); /* nothing below waits for the archive */
    waits_stop(jini->waits);
    takes_stop(jini->takes);
    if (jini->store)
        store_bound_wait(jini->store, (uint32_t)jini->options.store_close_wait_ms);
    workers_stop(jini->passwords);
    workers_stop(jini->cpu);
    workers_stop(jini->verifier);
    workers_stop(jini->copier);
    cold_reads_stop(jini->cold_reads);
    workers_stop(jini->opener); /* for which no read waits any more */
    background_stop(jini);
    appender_stop(jini->appender);
    if (jini->store)
        give_ids_back(jini);
    store_stop(jini->store);
}

static void destroy(struct jini *jini)
{
    stop_work(jini);
    loop_stop_own(jini); /* its timer uses the store */
    background_free(jini);
    appender_free(jini->appender);
    archives_destroy(&jini->archives);
    cold_reads_free(jini->cold_reads);
    waits_free(jini->waits);
    rates_close(jini);
    takes_free(jini->takes);
    decisions_free(jini->decisions);
    store_close(jini->store);
    plans_free(jini->plans);
    ledger_batch_free(jini->ledger_batch);
    cache_free(jini->image_cache);
    pack_files_free(jini->pack_files);
    codec_pool_clear(&jini->codecs);
    if (jini->directory_fd >= 0)
        close(jini->directory_fd);
    workers_free(jini->passwords);
    workers_free(jini->cpu);
    workers_free(jini->verifier);
    workers_free(jini->copier);
    workers_free(jini->opener);
    lease_keeper_destroy(&jini->lease_keeper);
    pthread_cond_destroy(&jini->idle);
    pthread_mutex_destroy(&jini->idle_lock);
    pthread_mutex_destroy(&jini->loops_lock);
    base_free(jini->directory);
    base_free(jini);
}

enum { FOUND_PACK = 1 };

static int find_pack(void *context, const struct jini_id *pack)
{
    (void)context;
    (void)pack;
    return FOUND_PACK;
}

static int find_lost(void *context, const struct pack_lost *lost)
{
    (void)context;
    (void)lost;
    return FOUND_PACK;
}

static bool has_records(int directory)
{
    struct stat info;
    return fstatat(directory, "data.mdb", &info, 0) == 0 || errno != ENOENT;
}

/* Whether there are objects in the archive that lies in the database directory by default. */
static bool has_objects(int directory)
{
    bool found = false;
    const struct dirent *entry;
    int fd = openat(directory, "archive/packs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *months = fd < 0 ? NULL : fdopendir(fd);
    if (!months && fd >= 0)
        close(fd);
    while (months && !found && (entry = readdir(months)))
        found = entry->d_name[0] != '.';
    if (months)
        closedir(months);
    return found;
}

/* In this order: who has just made the database has made its records before its packs. */
static bool has_packs_alone(int directory)
{
    return !has_records(directory) &&
           (pack_path_walk(directory, find_pack, NULL, NULL, NULL) == FOUND_PACK ||
            pack_lost_walk(directory, find_lost, NULL, NULL) == FOUND_PACK ||
            has_objects(directory)) &&
           !has_records(directory);
}

/* New records beside old packs would know none of their images, and take them for garbage. */
static int check_packs(const struct jini *jini, struct jini_error *error)
{
    int directory = open(jini->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return 0; /* nothing there, or opening will say what is wrong */
    bool alone = has_packs_alone(directory);
    bool is_backup = faccessat(directory, BACKUP_MARKER, F_OK, 0) == 0;
    close(directory);
    if (!alone)
        return 0;
    if (is_backup)
        return error_set(error, jini->options.create ? JINI_E_EXISTS : JINI_E_NOT_FOUND, "packs",
                         "\"%.200s\" is a backup that did not come to its end and has no data.mdb: "
                         "make it again, which goes on with what was copied",
                         jini->directory);
    return error_set(error, jini->options.create ? JINI_E_EXISTS : JINI_E_NOT_FOUND, "packs",
                     "\"%.200s\" has packs and no data.mdb: the records of their images are lost. "
                     "Put data.mdb back, from a backup; or move the folders packs and archive "
                     "elsewhere to begin anew",
                     jini->directory);
}

static int open_parts(struct jini *jini, struct jini_error *error)
{
    int status = archives_check_option(jini, error);
    if (status == 0)
        status = check_packs(jini, error);
    if (status == 0)
        status = open_store(jini, error);
    if (status == 0)
        status = prepare_tiers(jini, error);
    if (status == 0)
        status = check_anonymous_tier(jini, error);
    if (status == 0)
        status = open_images(jini, error);
    if (status == 0)
        status = open_limits(jini, error);
    if (status == 0)
        status = open_waits(jini, error);
    if (status == 0)
        status = open_queue(jini, error);
    if (status == 0)
        status = open_workers(jini, error);
    if (status == 0 && !jini->options.read_only)
        status = background_start(jini, error);
    return status ? status : loop_start_own(jini, error);
}

int jini_open(struct jini **out, const char *path, const struct jini_options *options,
              struct jini_error *error)
{
    *out = NULL;
    error_clear(error);
    if (!path || path[0] == '\0' || strlen(path) > 4000)
        return error_set(error, JINI_E_INVALID, "path", "a directory of 1 to 4000 bytes is needed");
    if (loop_thread_is_an_engines())
        return error_set(error, JINI_E_ON_LOOP, "path",
                         "opening may wait for long; do it on a thread of your own, not in a "
                         "callback or a function of a transaction");
    struct jini *jini = base_calloc(1, sizeof(*jini));
    if (!jini)
        return error_set(error, JINI_E_NO_MEMORY, "jini", "out of memory");
    init_locks(jini);
    jini->directory_fd = -1;
    jini->fork_generation = fork_generation();
    int status = load_options(path, options, &jini->options, error);
    if (status)
        goto fail;
    jini->directory = path_absolute(path);
    if (!jini->directory) {
        status = error_set_errno(error, errno, "path", "cannot tell where \"%.200s\" is", path);
        goto fail;
    }
    jini->clock = jini->options.clock ? jini->options.clock : &clock_system;
    jini->log = (struct log){jini->options.log, jini->options.log_context, jini->options.log_level};
    id_source_init(&jini->ids, jini->clock);
    status = open_parts(jini, error);
    if (status)
        goto fail;
    *out = jini;
    return 0;
fail:
    destroy(jini);
    return status;
}

/* Until the last request has been handed back. */
static void wait_until_idle(struct jini *jini)
{
    pthread_mutex_lock(&jini->idle_lock);
    while (atomic_load(&jini->active) > 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + IDLE_POLL_MS * NS_PER_MS;
        until.tv_sec += (time_t)(ns / NS_PER_S);
        until.tv_nsec = (long)(ns % NS_PER_S);
        pthread_cond_timedwait(&jini->idle, &jini->idle_lock, &until);
    }
    pthread_mutex_unlock(&jini->idle_lock);
}

static void finish_close(struct jini *jini)
{
    stop_work(jini);
    wait_until_idle(jini);
    destroy(jini);
}

struct closing {
    struct jini *jini;
    struct loop *loop; /* NULL: the callback runs on the closing thread */
    jini_close_callback *callback;
    void *context;
};

static void *closer_main(void *argument)
{
    struct closing closing = *(struct closing *)argument;
    base_free(argument);
    struct jini *jini = closing.jini;
    stop_work(jini);
    wait_until_idle(jini);
    if (closing.loop)
        loop_forget(closing.loop);
    destroy(jini);
    if (closing.loop)
        loop_detach_and_call(closing.loop, closing.callback, closing.context);
    else
        closing.callback(closing.context);
    return NULL;
}

static int close_later(struct jini *jini, jini_close_callback *callback, void *context)
{
    struct closing *closing = base_malloc(sizeof(*closing));
    if (!closing)
        return JINI_E_NO_MEMORY;
    *closing = (struct closing){jini, loop_attached(jini), callback, context};
    if (closing->loop)
        loop_hold(closing->loop);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, CLOSER_STACK_BYTES);
    pthread_t thread;
    int failed = pthread_create(&thread, &attributes, closer_main, closing);
    pthread_attr_destroy(&attributes);
    if (failed) {
        if (closing->loop)
            loop_release(closing->loop);
        base_free(closing);
        return JINI_E_NO_MEMORY;
    }
    return 0;
}

int jini_close(struct jini *jini, jini_close_callback *callback, void *context)
{
    if (!jini || jini->fork_generation != fork_generation())
        return 0;
    bool mine = loop_attached(jini) != NULL;
    if (!callback && (loop_thread_must_not_block(jini) || request_is_delivered_here(jini)))
        return JINI_E_ON_LOOP;
    if (loop_attached_count(jini) > (mine ? 1 : 0))
        return JINI_E_BUSY;
    uint32_t open = ENGINE_OPEN;
    if (!atomic_compare_exchange_strong(&jini->state, &open, ENGINE_CLOSING))
        return JINI_E_CLOSED;
    if (!callback) {
        finish_close(jini);
        return 0;
    }
    int status = close_later(jini, callback, context);
    if (status)
        atomic_store(&jini->state, ENGINE_OPEN);
    return status;
}

void jini_id_make(struct jini *jini, struct jini_id *out)
{
    *out = id_next(&jini->ids);
}

int jini_health(const struct jini *jini, struct jini_error *error)
{
    error_clear(error);
    if (jini->fork_generation != fork_generation())
        return error_set(error, JINI_E_FORKED, "jini",
                         "this handle was made before a fork; open the database anew");
    return store_health(jini->store, error);
}
