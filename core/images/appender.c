/*
 * The thread of appender.h: takes what waits, appends it class by class, syncs each pack once,
 * hands it back.
 */
#include "images/appender.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "images/pack_file.h"
#include "images/pack_path.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

enum {
    STACK_BYTES = 512 * 1024,
    BATCH_ITEMS_MAX = 64,
    BATCH_BYTES_MAX = 32 << 20,
    SEAL_WRITE_S = 30, /* behind a process that was stopped while it writes: then tiering seals */
    KEPT_SHARE = 10,   /* of a disk, one part at most is kept free */
    PACKS_TAKING_MAX = 16, /* classes with a pack at hand; one more retires the oldest */
};

struct appender_pack {
    struct appender_pack *next;
    struct pack_file *file;
    struct index_pack row;
    uint64_t created_ns; /* boot time */
    uint32_t unreleased; /* items appended and not yet released; under the lock */
    atomic_bool retired; /* takes no more records; sealed when all are released */
    atomic_bool broken;  /* not to be written to: the next run of tiering seals it */
    bool touched;        /* by the batch that runs */
    bool has_abandoned;  /* a record that no image has; under the lock */
};

struct appender {
    struct appender_options options;
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t settled; /* a pack was sealed or given up */
    struct appender_item *first;
    struct appender_item *last;
    uint64_t queue_bytes;
    bool stopping;
    bool check_packs;    /* something was released or is to be sealed */
    uint64_t seals_seen; /* of the word by which another process asks for sealing */
    struct appender_figures figures;
    int seal_status;
    struct jini_error seal_error;

    struct appender_pack *packs; /* the list under the lock; the files are the thread's */
};

static uint64_t record_bytes(const struct appender_item *item)
{
    return item->record->length;
}

/* ---- Packs ---- */

static int create_pack(struct appender *appender, const struct appender_item *item,
                       struct appender_pack **out, struct jini_error *error)
{
    struct appender_pack *pack = base_calloc(1, sizeof(*pack));
    if (!pack)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    uint64_t now_ns = clock_wall_ns(appender->options.clock);
    pack->row = (struct index_pack){
        .id = id_next(appender->options.ids),
        .state = INDEX_PACK_OPEN,
        .tier_group = item->tier_group,
        .expiry_day = item->expiry_day,
        .owner = store_self(appender->options.store),
        .created_ms = now_ns / NS_PER_MS,
    };
    struct pack_header header = {
        .pack = pack->row.id,
        .instance = appender->options.instance,
        .created_ns = now_ns,
        .tier_group = item->tier_group,
        .expiry_day = item->expiry_day,
    };
    int status = pack_file_create(appender->options.directory, &header, &pack->file, error);
    if (status) {
        base_free(pack);
        return status;
    }
    pack->created_ns = clock_boot_ns(appender->options.clock);
    pthread_mutex_lock(&appender->lock);
    pack->next = appender->packs;
    appender->packs = pack;
    appender->figures.packs_open++;
    pthread_mutex_unlock(&appender->lock);
    *out = pack;
    return 0;
}

static void retire(struct appender *appender, struct appender_pack *pack)
{
    pthread_mutex_lock(&appender->lock);
    pack->retired = true;
    appender->check_packs = true;
    pthread_mutex_unlock(&appender->lock);
}

static bool takes(const struct appender_pack *pack, const struct appender_item *item)
{
    return !pack->retired && !pack->broken && pack->row.tier_group == item->tier_group &&
           pack->row.expiry_day == item->expiry_day;
}

/* Keeps the number of packs that take records bounded: the oldest one goes. */
static void make_room(struct appender *appender)
{
    struct appender_pack *oldest = NULL;
    unsigned taking = 0;
    for (struct appender_pack *pack = appender->packs; pack; pack = pack->next) {
        if (pack->retired || pack->broken)
            continue;
        taking++;
        oldest = pack; /* new ones go to the head of the list */
    }
    if (taking >= PACKS_TAKING_MAX)
        retire(appender, oldest);
}

static int pack_for(struct appender *appender, const struct appender_item *item,
                    struct appender_pack **out, struct jini_error *error)
{
    for (struct appender_pack *pack = appender->packs; pack; pack = pack->next) {
        if (!takes(pack, item))
            continue;
        uint64_t end = pack_file_end(pack->file);
        bool empty = pack_file_records(pack->file) == 0;
        if (empty || (end + record_bytes(item) <= appender->options.pack_bytes_max &&
                      pack_file_records(pack->file) < PACK_RECORDS_MAX)) {
            *out = pack;
            return 0;
        }
        retire(appender, pack);
        break;
    }
    make_room(appender);
    return create_pack(appender, item, out, error);
}

/* ---- Appending ---- */

/* Appends the items of one pack, which follow each other in the array. */
static void append_run(struct appender *appender, struct appender_pack *pack,
                       struct appender_item *const *items, size_t count)
{
    struct pack_prepared *records[BATCH_ITEMS_MAX];
    size_t appended = 0;
    struct jini_error error;
    for (size_t i = 0; i < count; i++)
        records[i] = items[i]->record;
    int status = pack_file_append(pack->file, records, count, &appended, &error);
    pthread_mutex_lock(&appender->lock);
    pack->unreleased += (uint32_t)appended;
    pthread_mutex_unlock(&appender->lock);
    pack->touched = true;
    pack->broken |= status == JINI_E_POISONED; /* the next image goes to another one */
    status = pack_file_failed(status, &error);
    for (size_t i = 0; i < count; i++) {
        items[i]->place = i < appended ? pack : NULL;
        items[i]->status = i < appended ? 0 : status;
        items[i]->pack = pack->row;
        if (i >= appended)
            items[i]->error = error;
    }
}

static void append_all(struct appender *appender, struct appender_item **items, size_t count)
{
    size_t begin = 0;
    while (begin < count) {
        struct appender_pack *pack = NULL;
        struct appender_item *first = items[begin];
        first->status = pack_for(appender, first, &pack, &first->error);
        if (first->status) {
            begin++;
            continue;
        }
        size_t end = begin + 1;
        uint64_t bytes = pack_file_end(pack->file) + record_bytes(first);
        uint64_t records = pack_file_records(pack->file) + UINT64_C(1);
        while (end < count && takes(pack, items[end]) && records < PACK_RECORDS_MAX &&
               bytes + record_bytes(items[end]) <= appender->options.pack_bytes_max) {
            bytes += record_bytes(items[end]);
            records++;
            end++;
        }
        append_run(appender, pack, &items[begin], end - begin);
        begin = end;
    }
}

static void fail_items_of(struct appender_item **items, size_t count,
                          const struct appender_pack *pack, int status,
                          const struct jini_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i]->place == pack && items[i]->status == 0) {
            items[i]->status = status;
            items[i]->error = *error;
        }
    }
}

/*
 * What a failed sync was to make durable is lost with it, and nothing else: the images that were
 * acknowledged lie in front of that. So the pack is given up, and no more. The same holds for one
 * that a failed append has left with a torn tail.
 */
static void sync_touched(struct appender *appender, struct appender_item **items, size_t count)
{
    for (struct appender_pack *pack = appender->packs; pack; pack = pack->next) {
        if (!pack->touched)
            continue;
        pack->touched = false;
        struct jini_error error;
        int status = pack_file_sync(pack->file, NULL, &error); /* a broken one refuses */
        pthread_mutex_lock(&appender->lock);
        appender->figures.syncs += !pack->broken;
        pthread_mutex_unlock(&appender->lock);
        if (status == 0)
            continue;
        pack->broken = true;
        status = pack_file_failed(status, &error);
        fail_items_of(items, count, pack, status, &error);
        log_record(&appender->options.log, JINI_LOG_ERROR, "pack_sync_failed",
                   LOG_TEXT("message", error.message));
    }
}

/*
 * Room for rewriting one pack is kept free, a tenth of a small disk at most: without it purged
 * images could give nothing back to a disk that is full.
 */
static int check_room(const struct appender *appender, struct appender_item *const *items,
                      size_t count, struct jini_error *error)
{
    struct statvfs disk;
    if (fstatvfs(appender->options.directory, &disk) != 0)
        return 0; /* then appending finds out */
    uint64_t unit = disk.f_frsize;
    uint64_t kept = disk.f_blocks / KEPT_SHARE * unit;
    if (kept > appender->options.pack_bytes_max)
        kept = appender->options.pack_bytes_max;
    uint64_t wanted = kept;
    for (size_t i = 0; i < count; i++)
        wanted += record_bytes(items[i]);
    if (disk.f_bavail * unit >= wanted)
        return 0;
    return error_set(
        error, JINI_E_FULL, "disk",
        "the disk of the database has %llu bytes left, of which %llu are kept for "
        "rewriting packs; free some, or delete images for good (\"jini rm --purge\") and "
        "let tiering run (\"jini archive run\")",
        (unsigned long long)(disk.f_bavail * unit), (unsigned long long)kept);
}

static void run_batch(struct appender *appender, struct appender_item **items, size_t count)
{
    struct jini_error error;
    int status = check_room(appender, items, count, &error);
    for (size_t i = 0; i < count; i++) {
        items[i]->place = NULL;
        items[i]->status = status;
        if (status)
            items[i]->error = error;
    }
    if (status == 0) {
        append_all(appender, items, count);
        sync_touched(appender, items, count);
    }
    for (size_t i = 0; i < count; i++) {
        struct appender_item *item = items[i];
        if (item->status && item->place)
            appender_abandon(appender, item);
        item->done(item, item->status);
    }
}

/* ---- Sealing ---- */

static int op_seal(struct store_txn *txn, void *argument)
{
    struct index_pack sealed = *(const struct index_pack *)argument;
    struct index_pack found;
    int status = index_pack_get(txn, &sealed.id, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0; /* nothing in the index ever named it: see remove_unnamed() */
    if (status)
        return status;
    if (found.state != INDEX_PACK_OPEN)
        return JINI_E_CONFLICT;
    sealed.flags |= found.flags;
    sealed.removals =
        found.removals + 1; /* images that were appended and not committed are garbage */
    return index_pack_put(txn, &sealed);
}

static int seal(struct appender *appender, struct appender_pack *pack, struct jini_error *error)
{
    uint64_t payload_end = pack_file_end(pack->file);
    uint32_t records = pack_file_records(pack->file);
    int status = pack_file_seal(pack->file, error);
    if (status)
        return status;
    struct index_pack row = pack->row;
    row.state = INDEX_PACK_SEALED;
    row.flags |= pack->has_abandoned ? INDEX_PACK_MUST_COMPACT : 0;
    row.sealed_ms = clock_wall_ns(appender->options.clock) / NS_PER_MS;
    row.records = records;
    row.payload_bytes = payload_end;
    row.file_bytes = payload_end + pack_footer_length(records) + PACK_TRAILER_BYTES;
    uint64_t deadline_ns = clock_boot_ns(appender->options.clock) + SEAL_WRITE_S * NS_PER_S;
    status = store_write_until(appender->options.store, op_seal, &row, STORE_RELEASE, deadline_ns);
    if (status)
        error_set(error, status, "pack", "a pack was sealed, but its index was not changed: %s",
                  jini_status_text(status));
    return status;
}

/*
 * What has no row when all is released never gets one: its puts were refused or failed. Nobody else
 * could tell it from a pack whose records were lost.
 */
static void remove_unnamed(const struct appender *appender, const struct jini_id *id)
{
    struct store_txn *txn;
    struct index_pack row;
    if (store_read_begin(appender->options.store, &txn) != 0)
        return;
    int status = index_pack_get(txn, id, &row);
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND && pack_path_remove(appender->options.directory, id, NULL) == 0)
        (void)pack_path_sync(appender->options.directory, id, NULL); /* else it is set aside */
}

static void drop(struct appender *appender, struct appender_pack *pack)
{
    pthread_mutex_lock(&appender->lock);
    struct appender_pack **link = &appender->packs;
    while (*link != pack)
        link = &(*link)->next;
    *link = pack->next;
    appender->figures.packs_open--;
    pthread_cond_broadcast(&appender->settled);
    pthread_mutex_unlock(&appender->lock);
    pack_file_close(pack->file);
    base_free(pack);
}

static bool is_old(const struct appender *appender, const struct appender_pack *pack)
{
    return clock_boot_ns(appender->options.clock) - pack->created_ns >=
           appender->options.pack_age_max_ms * NS_PER_MS;
}

static _Atomic uint64_t *seals_word(const struct appender *appender)
{
    return store_shared_word(appender->options.store, STORE_SHARED_SEALS);
}

/* True once after another process has asked for the packs that are open. */
static bool was_asked(struct appender *appender)
{
    uint64_t asked = atomic_load(seals_word(appender));
    pthread_mutex_lock(&appender->lock);
    bool news = asked != appender->seals_seen;
    appender->seals_seen = asked;
    pthread_mutex_unlock(&appender->lock);
    return news;
}

/* Seals what is retired and released, and lets go of what is broken. */
static void settle_packs(struct appender *appender)
{
    struct appender_pack *next;
    bool asked = was_asked(appender);
    for (struct appender_pack *pack = appender->packs; pack; pack = next) {
        next = pack->next;
        pthread_mutex_lock(&appender->lock);
        if (asked || is_old(appender, pack) || appender->stopping)
            pack->retired = true;
        bool ready = (pack->retired || pack->broken) && pack->unreleased == 0;
        pthread_mutex_unlock(&appender->lock);
        if (!ready)
            continue;
        struct jini_error error;
        int status = pack->broken ? error_set(&error, JINI_E_IO, "pack",
                                              "a pack is left to the next run of tiering to seal")
                                  : pack_file_failed(seal(appender, pack, &error), &error);
        if (status) {
            log_record(&appender->options.log, JINI_LOG_ERROR, "pack_not_sealed",
                       LOG_TEXT("message", error.message));
            pthread_mutex_lock(&appender->lock);
            if (appender->seal_status == 0) {
                appender->seal_status = status;
                appender->seal_error = error;
            }
            pthread_mutex_unlock(&appender->lock);
        }
        remove_unnamed(appender, &pack->row.id);
        drop(appender, pack);
    }
}

/* ---- The thread ---- */

/* Held under the lock. */
static size_t take_items(struct appender *appender, struct appender_item **out)
{
    size_t count = 0;
    uint64_t bytes = 0;
    while (appender->first && count < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX) {
        struct appender_item *item = appender->first;
        appender->first = item->next;
        if (!appender->first)
            appender->last = NULL;
        bytes += record_bytes(item);
        out[count++] = item;
    }
    appender->queue_bytes -= bytes;
    appender->figures.records += count;
    appender->figures.bytes += bytes;
    return count;
}

static void wait_for_work(struct appender *appender)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1; /* packs grow old, and others ask for them */
    bool ends = appender->stopping && !appender->packs;
    if (!appender->first && !appender->check_packs && !ends)
        pthread_cond_timedwait(&appender->wake, &appender->lock, &until);
}

static int status_of(const struct appender_item *item, bool stopping, uint64_t now_ns)
{
    if (stopping || (item->cancelled && atomic_load(item->cancelled)))
        return JINI_E_CANCELLED;
    return item->deadline_ns && now_ns > item->deadline_ns ? JINI_E_TIMEOUT : 0;
}

/*
 * Hands back what is not to be written any more; the others move together. Returns how many they
 * are.
 */
static size_t drop_late(struct appender *appender, struct appender_item **items, size_t count,
                        bool stopping)
{
    uint64_t now_ns = clock_boot_ns(appender->options.clock);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int status = status_of(items[i], stopping, now_ns);
        if (status == 0)
            items[kept++] = items[i];
        else
            items[i]->done(items[i], status);
    }
    return kept;
}

static void *appender_main(void *argument)
{
    struct appender *appender = argument;
    struct appender_item *items[BATCH_ITEMS_MAX];
    prctl(PR_SET_NAME, "jini-appender", 0, 0, 0);
    for (;;) {
        pthread_mutex_lock(&appender->lock);
        wait_for_work(appender);
        bool stopping = appender->stopping;
        appender->check_packs = false;
        size_t count = take_items(appender, items);
        pthread_mutex_unlock(&appender->lock);
        size_t kept = drop_late(appender, items, count, stopping);
        if (kept > 0)
            run_batch(appender, items, kept);
        settle_packs(appender);
        if (stopping && !appender->packs && count == 0)
            return NULL;
    }
}

/* ---- The interface ---- */

int appender_new(const struct appender_options *options, struct appender **out,
                 struct jini_error *error)
{
    *out = NULL;
    struct appender *appender = base_calloc(1, sizeof(*appender));
    if (!appender)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    appender->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&appender->lock, NULL);
    pthread_cond_init(&appender->wake, &monotonic);
    pthread_cond_init(&appender->settled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    appender->seals_seen = atomic_load(seals_word(appender));
    *out = appender;
    return 0;
}

/* Held under the lock. The thread is started by the first image: who only reads needs none. */
static bool start_thread(struct appender *appender)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&appender->thread, &attributes, appender_main, appender);
    pthread_attr_destroy(&attributes);
    appender->thread_runs = !failed;
    return !failed;
}

int appender_submit(struct appender *appender, struct appender_item *item)
{
    int status = 0;
    uint64_t bytes = record_bytes(item);
    item->next = NULL;
    item->place = NULL;
    item->status = 0;
    error_clear(&item->error);
    pthread_mutex_lock(&appender->lock);
    if (appender->stopping)
        status = JINI_E_CLOSED;
    else if (appender->queue_bytes > 0 &&
             appender->queue_bytes + bytes > appender->options.queue_bytes_max)
        status = JINI_E_BUSY;
    else if (!appender->thread_runs && !start_thread(appender))
        status = JINI_E_NO_MEMORY;
    if (status == 0) {
        *(appender->last ? &appender->last->next : &appender->first) = item;
        appender->last = item;
        appender->queue_bytes += bytes;
        /*
         * Under the lock: the end of the item may free the appender before this function returns.
         */
        pthread_cond_signal(&appender->wake);
    }
    pthread_mutex_unlock(&appender->lock);
    return status;
}

static void let_go(struct appender *appender, struct appender_item *item, bool abandoned)
{
    struct appender_pack *pack = item->place;
    if (!pack)
        return;
    item->place = NULL;
    pthread_mutex_lock(&appender->lock);
    JINI_ASSERT(pack->unreleased > 0);
    pack->unreleased--;
    pack->has_abandoned |= abandoned;
    bool wake = pack->unreleased == 0 && (pack->retired || pack->broken || appender->stopping);
    appender->check_packs |= wake;
    pthread_mutex_unlock(&appender->lock);
    if (wake)
        pthread_cond_signal(&appender->wake);
}

void appender_release(struct appender *appender, struct appender_item *item)
{
    let_go(appender, item, false);
}

void appender_abandon(struct appender *appender, struct appender_item *item)
{
    let_go(appender, item, true);
}

int appender_seal(struct appender *appender, struct jini_error *error)
{
    pthread_mutex_lock(&appender->lock);
    appender->seal_status = 0;
    for (struct appender_pack *pack = appender->packs; pack; pack = pack->next)
        pack->retired = true;
    appender->check_packs = true;
    pthread_cond_signal(&appender->wake);
    for (;;) {
        bool waiting = false;
        for (struct appender_pack *pack = appender->packs; pack; pack = pack->next)
            waiting |= pack->retired;
        if (!waiting)
            break;
        pthread_cond_wait(&appender->settled, &appender->lock);
    }
    int status = appender->seal_status;
    if (status && error)
        *error = appender->seal_error;
    pthread_mutex_unlock(&appender->lock);
    return status;
}

void appender_ask_others(struct appender *appender)
{
    pthread_mutex_lock(&appender->lock);
    /* An ask of another process that was not looked at yet still counts. */
    uint64_t asked = atomic_fetch_add(seals_word(appender), 1);
    if (appender->seals_seen == asked)
        appender->seals_seen = asked + 1;
    pthread_mutex_unlock(&appender->lock);
}

bool appender_holds(struct appender *appender, const struct jini_id *pack)
{
    bool held = false;
    pthread_mutex_lock(&appender->lock);
    for (const struct appender_pack *at = appender->packs; at && !held; at = at->next)
        held = id_equal(&at->row.id, pack);
    pthread_mutex_unlock(&appender->lock);
    return held;
}

void appender_stop(struct appender *appender)
{
    if (!appender)
        return;
    pthread_mutex_lock(&appender->lock);
    appender->stopping = true;
    appender->check_packs = true;
    pthread_cond_signal(&appender->wake);
    bool runs = appender->thread_runs;
    appender->thread_runs = false;
    pthread_mutex_unlock(&appender->lock);
    if (runs)
        pthread_join(appender->thread, NULL);
}

void appender_free(struct appender *appender)
{
    if (!appender)
        return;
    JINI_ASSERT(!appender->thread_runs && !appender->packs && !appender->first);
    pthread_cond_destroy(&appender->settled);
    pthread_cond_destroy(&appender->wake);
    pthread_mutex_destroy(&appender->lock);
    base_free(appender);
}

void appender_figures(struct appender *appender, struct appender_figures *out)
{
    pthread_mutex_lock(&appender->lock);
    *out = appender->figures;
    out->queue_bytes = appender->queue_bytes;
    pthread_mutex_unlock(&appender->lock);
}
