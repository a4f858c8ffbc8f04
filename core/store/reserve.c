/*
 * What is kept back for releases, settlements, deletions and expiries when disk or map run full.
 *
 *   disk   the file `reserve`, allocated to reserve_bytes, shared by all processes. When a write
 *          meets a full disk, the file is cut to nothing, so that small writes fit again, and the
 *          store is full. Only ENOSPC and EDQUOT are a full disk. Where the file cannot be made for
 *          another reason, opening fails and says which. When that comes later, it is logged, and
 *          new work goes on without a reserve: on a full disk there is none for releases then.
 *   map    the last reserve_bytes below map_bytes_max. The map grows into them only when the store
 *          is full. Of a map of up to twice reserve_bytes, a sixteenth is kept back. With
 *          reserve_bytes 0 nothing is: releases too may find no page left.
 *
 *      room ---- the disk is full, or the map is down to its reserve ---> full: new work refused
 *      room <--- the file can be allocated again, the map has room ------ full
 *
 *  1. `full` is of this process; another one finds out by itself, at its first write that does not
 *     fit.
 *  2. It is left only with the reserve file in place, unless that fails though the disk has room;
 *     and with as much free in the map as its reserve and the same again, or an eighth of the map;
 *     where nothing is kept back, with a sixteenth of the map (32 MiB are enough).
 *  3. The file never shrinks: once it has grown into the map's reserve, free pages are counted
 *     again whenever a quarter of the reserve has been written.
 */
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_PATH_MAX = 4200 };

/* A large map without a reserve need not have more than this free to take new work again. */
static const uint64_t room_bytes_max = UINT64_C(32) << 20;

static const char *cause_name(enum reserve_cause cause)
{
    return cause == RESERVE_DISK ? "disk" : "map";
}

static bool is_disk_full(int failed)
{
    return failed == ENOSPC || failed == EDQUOT;
}

static bool has_file(const struct store *store)
{
    return store->directory && !store->options.read_only && store->options.reserve_bytes > 0;
}

static void path_of(const struct store *store, char out[RESERVE_PATH_MAX])
{
    snprintf(out, RESERVE_PATH_MAX, "%s/reserve", store->directory);
}

/* 0 or an errno. */
static int open_file(struct store *store)
{
    char path[RESERVE_PATH_MAX];
    if (store->reserve_fd >= 0)
        return 0;
    path_of(store, path);
    store->reserve_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return store->reserve_fd < 0 ? errno : 0;
}

/* 0 or an errno; what was allocated by then is given back. */
static int allocate_file(struct store *store)
{
    if (!has_file(store))
        return 0;
    int failed = open_file(store);
    if (failed)
        return failed;
    failed = posix_fallocate(store->reserve_fd, 0, (off_t)store->options.reserve_bytes);
    if (failed && ftruncate(store->reserve_fd, 0) != 0)
        log_record(&store->options.log, JINI_LOG_ERROR, "store_reserve_stuck",
                   LOG_TEXT("cause", "the reserve file cannot be cut"));
    return failed;
}

/* Notes that the file could not be made although the disk has room, or that it is there again. */
static void note_failure(struct store *store, int failed)
{
    char path[RESERVE_PATH_MAX];
    char reason[128];
    char message[RESERVE_PATH_MAX + 256];
    int before = atomic_exchange(&store->reserve_errno, failed);
    if (before == failed)
        return;
    path_of(store, path);
    if (failed)
        snprintf(message, sizeof(message),
                 "%s cannot be made: %s; work goes on, and on a full disk nothing is kept back for "
                 "releases",
                 path, strerror_r(failed, reason, sizeof(reason)));
    else
        snprintf(message, sizeof(message), "%s is there again", path);
    log_record(&store->options.log, failed ? JINI_LOG_ERROR : JINI_LOG_INFO,
               failed ? "store_reserve_failed" : "store_reserve_made",
               LOG_TEXT("message", message));
}

/*
 * Room for the file and as much again, so that the store does not become full with the next write.
 */
static bool disk_has_room(const struct store *store)
{
    struct statvfs info;
    return !has_file(store) || statvfs(store->directory, &info) != 0 ||
           (uint64_t)info.f_bavail * info.f_frsize >= 2 * store->options.reserve_bytes;
}

static bool file_in_place(const struct store *store)
{
    struct stat info;
    return !has_file(store) || (store->reserve_fd >= 0 && fstat(store->reserve_fd, &info) == 0 &&
                                (uint64_t)info.st_size >= store->options.reserve_bytes);
}

bool store_reserve_is_whole(const struct store *store)
{
    return !(atomic_load(&store->full) & RESERVE_DISK) && file_in_place(store);
}

static const char *advice_for(int failed)
{
    if (failed == EFBIG)
        return "; raise the limit of file sizes (ulimit -f), or lower store.reserve_bytes";
    if (failed == EISDIR || failed == ELOOP)
        return "; it is no file of the database: move it away";
    return "";
}

int reserve_open(struct store *store, struct jini_error *error)
{
    char path[RESERVE_PATH_MAX];
    char reason[128];
    int failed = allocate_file(store);
    if (is_disk_full(failed))
        reserve_enter(store, RESERVE_DISK);
    if (failed == 0 || is_disk_full(failed))
        return 0;
    path_of(store, path);
    return error_set(error, JINI_E_IO, path,
                     "the file that keeps %llu bytes of the disk back (store.reserve_bytes) cannot "
                     "be made: %s%s",
                     (unsigned long long)store->options.reserve_bytes,
                     strerror_r(failed, reason, sizeof(reason)), advice_for(failed));
}

void reserve_close(struct store *store)
{
    if (store->reserve_fd >= 0)
        close(store->reserve_fd);
    store->reserve_fd = -1;
}

/* A sixteenth of the map in whole 64 KiB, as a map has at least 1 MiB. */
static uint64_t sixteenth(uint64_t map_bytes)
{
    return (map_bytes >> 20) << 16;
}

/* What is kept back of the map. */
static uint64_t map_reserve(const struct store *store)
{
    uint64_t hard = store->options.map_bytes_max;
    uint64_t reserve = store->options.reserve_bytes;
    if (hard > 2 * reserve)
        return reserve;
    return sixteenth(hard) < reserve ? sixteenth(hard) : reserve;
}

uint64_t reserve_soft_map_bytes(const struct store *store)
{
    return store->options.map_bytes_max - map_reserve(store);
}

bool store_is_full(const struct store *store)
{
    return atomic_load(&store->full) != 0;
}

int store_explain_full(const struct store *store, struct jini_error *error)
{
    const struct store_options *options = &store->options;
    uint32_t causes = atomic_load(&store->full);
    struct statvfs disk = {0};
    if (causes & RESERVE_MAP)
        return error_set(error, JINI_E_FULL, "store.map_bytes_max",
                         "the database has grown to the %llu bytes that it may have, of which %llu "
                         "are kept for what gives room back; delete something, or raise it",
                         (unsigned long long)options->map_bytes_max,
                         (unsigned long long)map_reserve(store));
    if (causes == 0)
        return error_set(error, JINI_E_FULL, "store",
                         "disk or map had no room for it; there is some again by now: try again");
    if (!store->directory || statvfs(store->directory, &disk) != 0)
        return error_set(error, JINI_E_FULL, "store", "%s", jini_status_text(JINI_E_FULL));
    unsigned long long left = disk.f_bavail * (uint64_t)disk.f_frsize;
    if (options->reserve_bytes == 0)
        return error_set(error, JINI_E_FULL, "disk",
                         "the disk of the database has %llu bytes left, too few for it: free some",
                         left);
    return error_set(error, JINI_E_FULL, "disk",
                     "the disk of the database has %llu bytes left; new work is refused until it "
                     "has %llu, twice store.reserve_bytes: free some, or delete something",
                     left, 2 * (unsigned long long)options->reserve_bytes);
}

void reserve_enter(struct store *store, enum reserve_cause cause)
{
    uint32_t before = atomic_fetch_or(&store->full, (uint32_t)cause);
    if (before & (uint32_t)cause)
        return;
    atomic_store(&store->reserve_checked_ns, clock_boot_ns(&clock_system));
    log_record(&store->options.log, JINI_LOG_ERROR, "store_full",
               LOG_TEXT("cause", cause_name(cause)));
    if (cause == RESERVE_DISK && store->reserve_fd >= 0 && ftruncate(store->reserve_fd, 0) != 0)
        log_record(&store->options.log, JINI_LOG_ERROR, "store_reserve_lost",
                   LOG_TEXT("cause", "the reserve file cannot be cut"));
}

static void leave(struct store *store, enum reserve_cause cause)
{
    uint32_t before = atomic_fetch_and(&store->full, ~(uint32_t)cause);
    if (before & (uint32_t)cause)
        log_record(&store->options.log, JINI_LOG_INFO, "store_has_room",
                   LOG_TEXT("cause", cause_name(cause)));
}

/* Free bytes of the map: free pages inside the file, and what the file may still grow by. */
static int map_room(struct store *store, uint64_t *out)
{
    struct store_txn *txn;
    struct driver_figures figures;
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = store->ops->figures(store->driver, txn->driver_txn, true, &figures);
    store_read_end(txn);
    if (status)
        return status;
    uint64_t hard = store->options.map_bytes_max;
    uint64_t beyond = hard > figures.used_bytes ? hard - figures.used_bytes : 0;
    *out = figures.free_pages * figures.page_bytes + beyond;
    return 0;
}

static bool in_map_reserve(const struct store *store)
{
    return store->ops->map_bytes(store->driver) > reserve_soft_map_bytes(store);
}

/* How much room ends `full`: little enough for any map to have it with some data in it. */
static uint64_t room_to_leave(const struct store *store)
{
    uint64_t kept = map_reserve(store);
    uint64_t part = sixteenth(store->options.map_bytes_max);
    if (kept)
        return kept + (kept < 2 * part ? kept : 2 * part);
    return part < room_bytes_max ? part : room_bytes_max;
}

static void watch_map(struct store *store)
{
    uint64_t room;
    if (map_room(store, &room))
        return;
    if (room < map_reserve(store))
        reserve_enter(store, RESERVE_MAP);
    else if (room >= room_to_leave(store))
        leave(store, RESERVE_MAP);
}

static void watch_disk(struct store *store)
{
    bool full = atomic_load(&store->full) & RESERVE_DISK;
    if (full ? !disk_has_room(store) : file_in_place(store))
        return;
    int failed = allocate_file(store);
    if (is_disk_full(failed)) {
        reserve_enter(store, RESERVE_DISK); /* another process may have used it up */
        return;
    }
    note_failure(store, failed);
    leave(store, RESERVE_DISK);
}

static void watch(struct store *store)
{
    atomic_store(&store->reserve_checked_ns, clock_boot_ns(&clock_system));
    store->reserve_checked_bytes = atomic_load(&store->counters.bytes_written);
    watch_disk(store);
    if (atomic_load(&store->full) || in_map_reserve(store))
        watch_map(store);
}

/*
 * Before each batch: looks once a second while the store is full, else when much was written into
 * the map's reserve.
 */
void reserve_watch(struct store *store)
{
    bool full = atomic_load(&store->full) != 0;
    bool deep = in_map_reserve(store);
    if ((!full && !deep) || pthread_mutex_trylock(&store->reserve_lock) != 0)
        return;
    uint64_t idle_ns = clock_boot_ns(&clock_system) - atomic_load(&store->reserve_checked_ns);
    uint64_t written = atomic_load(&store->counters.bytes_written) - store->reserve_checked_bytes;
    if ((full && idle_ns >= NS_PER_S) || (deep && written >= map_reserve(store) / 4))
        watch(store);
    pthread_mutex_unlock(&store->reserve_lock);
}

void reserve_tick(struct store *store)
{
    if (store->options.read_only || pthread_mutex_trylock(&store->reserve_lock) != 0)
        return;
    if (clock_boot_ns(&clock_system) - atomic_load(&store->reserve_checked_ns) >= NS_PER_S / 2)
        watch(store);
    pthread_mutex_unlock(&store->reserve_lock);
}
