/*
 * What is kept back for releases, settlements, deletions and expiries when disk or map run full.
 *
 * On disk: the file `reserve`, allocated to reserve_bytes. When a write meets a full disk, the file is cut to
 * nothing, so that small writes fit again, and the store is `full`: new work is refused until the file can be
 * allocated anew. In the map: the last reserve_bytes below map_bytes_max, entered once, left when as much is free.
 */
#include "store/store_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FULL_DISK = 1, FULL_MAP = 2 };

static bool allocate(struct store *store)
{
    return store->reserve_fd < 0 ||
           posix_fallocate(store->reserve_fd, 0, (off_t)store->options.reserve_bytes) == 0;
}

void reserve_open(struct store *store)
{
    store->reserve_fd = -1;
    if (!store->directory || store->options.read_only || store->options.reserve_bytes == 0)
        return;
    char path[4200];
    snprintf(path, sizeof(path), "%s/reserve", store->directory);
    store->reserve_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->reserve_fd < 0 || !allocate(store))
        reserve_enter(store, "disk");
}

void reserve_close(struct store *store)
{
    if (store->reserve_fd >= 0)
        close(store->reserve_fd);
    store->reserve_fd = -1;
}

uint64_t reserve_soft_map_bytes(const struct store *store)
{
    uint64_t hard = store->options.map_bytes_max;
    return hard > 2 * store->options.reserve_bytes ? hard - store->options.reserve_bytes : hard;
}

void reserve_enter(struct store *store, const char *cause)
{
    bool disk = strcmp(cause, "disk") == 0;
    atomic_fetch_or(&store->full, disk ? FULL_DISK : FULL_MAP);
    store->reserve_checked_ns = clock_boot_ns(&clock_system);
    log_record(&store->options.log, JINI_LOG_ERROR, "store_full", LOG_TEXT("cause", cause));
    if (disk && store->reserve_fd >= 0 && ftruncate(store->reserve_fd, 0) != 0)
        log_record(&store->options.log, JINI_LOG_ERROR, "store_reserve_lost",
                   LOG_TEXT("cause", "the reserve file cannot be cut"));
}

/* Free bytes of the map: free pages inside the file, and what the file may still grow by. */
static bool map_has_room(struct store *store)
{
    struct store_txn *txn;
    struct driver_figures figures;
    if (store_read_begin(store, &txn) != 0)
        return false;
    int status = store->ops->figures(store->driver, txn->driver_txn, true, &figures);
    store_read_end(txn);
    if (status)
        return false;
    uint64_t hard = store->options.map_bytes_max;
    uint64_t beyond = hard > figures.used_bytes ? hard - figures.used_bytes : 0;
    return figures.free_pages * figures.page_bytes + beyond >= 2 * store->options.reserve_bytes;
}

/* Looks, at most once a second, whether new work can be taken again. */
void reserve_try_leave(struct store *store)
{
    uint64_t now = clock_boot_ns(&clock_system);
    if (now - store->reserve_checked_ns < NS_PER_S)
        return;
    store->reserve_checked_ns = now;
    uint32_t full = atomic_load(&store->full);
    if ((full & FULL_DISK) && allocate(store))
        full &= ~(uint32_t)FULL_DISK;
    if ((full & FULL_MAP) && map_has_room(store))
        full &= ~(uint32_t)FULL_MAP;
    atomic_store(&store->full, full);
    if (full == 0)
        log_record(&store->options.log, JINI_LOG_INFO, "store_has_room",
                   LOG_NUMBER("reserve_bytes", store->options.reserve_bytes));
}
