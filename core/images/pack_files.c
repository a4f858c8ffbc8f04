/*
 * The cache of read descriptors: a hash table of slots, the idle ones in a list from newest to
 * oldest.
 */
#include "images/pack_files.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/pack_format.h"
#include "images/pack_path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CAPACITY_MAX = 65536, NO_DESCRIPTOR = -1 };

/*
 * A slot is free, being opened, held or idle. `source` is first: it is what callers get, and how
 * they name the slot when they release it.
 */
struct slot {
    struct pack_source source;
    unsigned holders;
    bool listed;        /* in the hash table */
    struct slot *next;  /* in the bucket, or in the list of free slots */
    struct slot *newer; /* in the list of idle slots */
    struct slot *older;
};

struct pack_files {
    int directory;
    pthread_mutex_t
        mutex; /* guards all that follows; never held while a file is opened or closed */
    unsigned capacity;
    unsigned buckets; /* a power of two */
    unsigned open;
    unsigned held;
    uint64_t hits;
    uint64_t misses;
    uint64_t forgets; /* number of calls; one who opens a file compares it before and after */
    struct slot *free;
    struct slot idle; /* the ring's head: idle.older is the newest, idle.newer the oldest */
    struct slot *slots;
    struct slot **table;
};

int pack_files_new(int directory, unsigned capacity, struct pack_files **out,
                   struct jini_error *error)
{
    *out = NULL;
    if (capacity == 0 || capacity > CAPACITY_MAX)
        return error_set(error, JINI_E_INVALID, "pack_files",
                         "%u open packs are asked for; give 1 to %d", capacity, CAPACITY_MAX);
    unsigned buckets = 1;
    while (buckets < 2 * capacity)
        buckets *= 2;
    struct pack_files *files = base_calloc(1, sizeof(*files));
    struct slot *slots = base_calloc(capacity, sizeof(*slots));
    struct slot **table = base_calloc(buckets, sizeof(*table));
    if (!files || !slots || !table) {
        base_free(table);
        base_free(slots);
        base_free(files);
        return error_set(error, JINI_E_NO_MEMORY, "pack_files", "no memory for %u slots", capacity);
    }
    *files = (struct pack_files){
        .directory = directory,
        .capacity = capacity,
        .buckets = buckets,
        .slots = slots,
        .table = table,
    };
    files->idle.newer = &files->idle;
    files->idle.older = &files->idle;
    for (unsigned i = 0; i < capacity; i++) {
        slots[i].source.descriptor = NO_DESCRIPTOR;
        slots[i].next = files->free;
        files->free = &slots[i];
    }
    pthread_mutex_init(&files->mutex, NULL);
    *out = files;
    return 0;
}

void pack_files_free(struct pack_files *files)
{
    if (!files)
        return;
    JINI_ASSERT(files->held == 0);
    for (unsigned i = 0; i < files->capacity; i++) {
        if (files->slots[i].source.descriptor != NO_DESCRIPTOR)
            close(files->slots[i].source.descriptor);
    }
    pthread_mutex_destroy(&files->mutex);
    base_free(files->table);
    base_free(files->slots);
    base_free(files);
}

/* Called with the mutex. */

static struct slot **bucket_of(struct pack_files *files, const struct jini_id *pack)
{
    uint64_t hash = hash64(slice_of(pack->bytes, JINI_ID_BYTES));
    return &files->table[hash & (files->buckets - 1)];
}

static struct slot *lookup(struct pack_files *files, const struct jini_id *pack)
{
    struct slot *slot = *bucket_of(files, pack);
    while (slot && memcmp(slot->source.pack.bytes, pack->bytes, JINI_ID_BYTES) != 0)
        slot = slot->next;
    return slot;
}

static void list(struct pack_files *files, struct slot *slot)
{
    struct slot **bucket = bucket_of(files, &slot->source.pack);
    slot->next = *bucket;
    *bucket = slot;
    slot->listed = true;
}

static void unlist(struct pack_files *files, struct slot *slot)
{
    struct slot **link = bucket_of(files, &slot->source.pack);
    while (*link != slot)
        link = &(*link)->next;
    *link = slot->next;
    slot->listed = false;
}

static void make_idle(struct pack_files *files, struct slot *slot)
{
    slot->newer = &files->idle;
    slot->older = files->idle.older;
    slot->older->newer = slot;
    files->idle.older = slot;
}

static void leave_idle(struct slot *slot)
{
    slot->newer->older = slot->older;
    slot->older->newer = slot->newer;
}

static void hold(struct pack_files *files, struct slot *slot)
{
    if (slot->holders++ == 0) {
        leave_idle(slot);
        files->held++;
    }
}

/*
 * Empties a slot that nobody holds and nothing lists. Returns the descriptor, to be closed without
 * the mutex.
 */
static int vacate(struct pack_files *files, struct slot *slot)
{
    int descriptor = slot->source.descriptor;
    slot->source.descriptor = NO_DESCRIPTOR;
    slot->next = files->free;
    files->free = slot;
    files->open -= descriptor != NO_DESCRIPTOR;
    return descriptor;
}

/* Takes an idle slot out of the cache. */
static int evict(struct pack_files *files, struct slot *slot)
{
    leave_idle(slot);
    unlist(files, slot);
    return vacate(files, slot);
}

/* Takes a free slot, if need be that of the pack which was idle for longest. NULL: all are held. */
static struct slot *take_slot(struct pack_files *files, int *close_first)
{
    *close_first = NO_DESCRIPTOR;
    if (!files->free && files->idle.newer != &files->idle)
        *close_first = evict(files, files->idle.newer);
    struct slot *slot = files->free;
    if (slot)
        files->free = slot->next;
    return slot;
}

/* Called without the mutex. */

static void close_if_open(int descriptor)
{
    if (descriptor != NO_DESCRIPTOR)
        close(descriptor);
}

/* A header that a newer version wrote is the only one that keeps a pack from being read. */
static int check_header(const struct pack_source *source, struct jini_error *error)
{
    uint8_t bytes[PACK_HEADER_BYTES];
    struct pack_header header;
    int status = pack_source_read(source, 0, bytes, sizeof(bytes), error);
    if (!status)
        status = pack_header_decode(slice_of(bytes, sizeof(bytes)), &source->pack, &header, error);
    if (status != JINI_E_CORRUPT)
        return status;
    error_clear(error);
    return 0;
}

static int open_pack(int directory, const struct jini_id *pack, int *out, struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    pack_path(pack, path);
    *out = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a fifo */
    if (*out < 0)
        return error_set_errno(error, errno, "pack", "cannot open %s", path);
    struct pack_source source = pack_source_of_file(pack, *out);
    int status = check_header(&source, error);
    if (!status)
        return 0;
    close(*out);
    *out = NO_DESCRIPTOR;
    return status;
}

/* Puts a newly opened file into its slot, or uses the one that another thread opened meanwhile. */
static struct slot *settle(struct pack_files *files, struct slot *slot, const struct jini_id *pack,
                           int descriptor, bool fresh, int *close_after)
{
    *close_after = NO_DESCRIPTOR;
    struct slot *other = lookup(files, pack);
    if (other && fresh) {
        hold(files, other);
        vacate(files, slot);
        *close_after = descriptor;
        return other;
    }
    slot->source = pack_source_of_file(pack, descriptor);
    slot->holders = 1;
    slot->listed = false;
    files->held++;
    files->open++;
    if (fresh)
        list(files, slot);
    return slot;
}

static int open_into(struct pack_files *files, struct slot *slot, const struct jini_id *pack,
                     uint64_t forgets, const struct pack_source **out, struct jini_error *error)
{
    int descriptor;
    int close_after = NO_DESCRIPTOR;
    int status = open_pack(files->directory, pack, &descriptor, error);
    pthread_mutex_lock(&files->mutex);
    if (status)
        vacate(files, slot);
    else
        *out =
            &settle(files, slot, pack, descriptor, forgets == files->forgets, &close_after)->source;
    pthread_mutex_unlock(&files->mutex);
    close_if_open(close_after);
    return status;
}

int pack_files_acquire(struct pack_files *files, const struct jini_id *pack,
                       const struct pack_source **out, struct jini_error *error)
{
    *out = NULL;
    int close_first = NO_DESCRIPTOR;
    pthread_mutex_lock(&files->mutex);
    struct slot *slot = lookup(files, pack);
    if (slot) {
        files->hits++;
        hold(files, slot);
        pthread_mutex_unlock(&files->mutex);
        *out = &slot->source;
        return 0;
    }
    files->misses++;
    uint64_t forgets = files->forgets;
    slot = take_slot(files, &close_first);
    pthread_mutex_unlock(&files->mutex);
    close_if_open(close_first);
    if (!slot)
        return error_set(
            error, JINI_E_BUSY, "pack_files",
            "all %u descriptors for packs are in use; try later, or raise their number",
            files->capacity);
    return open_into(files, slot, pack, forgets, out, error);
}

void pack_files_release(struct pack_files *files, const struct pack_source *source)
{
    int close_after = NO_DESCRIPTOR;
    pthread_mutex_lock(&files->mutex);
    struct slot *slot = &files->slots[(const struct slot *)source - files->slots];
    JINI_ASSERT(slot->holders > 0);
    if (--slot->holders == 0) {
        files->held--;
        if (slot->listed)
            make_idle(files, slot);
        else
            close_after = vacate(files, slot);
    }
    pthread_mutex_unlock(&files->mutex);
    close_if_open(close_after);
}

void pack_files_forget(struct pack_files *files, const struct jini_id *pack)
{
    int close_after = NO_DESCRIPTOR;
    pthread_mutex_lock(&files->mutex);
    files->forgets++;
    struct slot *slot = lookup(files, pack);
    if (slot && slot->holders > 0)
        unlist(files, slot);
    else if (slot)
        close_after = evict(files, slot);
    pthread_mutex_unlock(&files->mutex);
    close_if_open(close_after);
}

unsigned pack_files_drop_removed(struct pack_files *files)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < files->capacity; i++) {
        int close_after = NO_DESCRIPTOR;
        struct slot *slot = &files->slots[i];
        struct stat info;
        pthread_mutex_lock(&files->mutex);
        if (slot->source.descriptor != NO_DESCRIPTOR && slot->holders == 0 &&
            fstat(slot->source.descriptor, &info) == 0 && info.st_nlink == 0)
            close_after = evict(files, slot);
        pthread_mutex_unlock(&files->mutex);
        dropped += close_after != NO_DESCRIPTOR;
        close_if_open(close_after);
    }
    return dropped;
}

struct pack_files_stats pack_files_stats(struct pack_files *files)
{
    pthread_mutex_lock(&files->mutex);
    struct pack_files_stats stats = {files->open, files->held, files->hits, files->misses};
    pthread_mutex_unlock(&files->mutex);
    return stats;
}
