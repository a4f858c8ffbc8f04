/*
 * Onlookers: processes that may read the directory of a database but not write in it, because it is
 * mounted read-only or belongs to another user.
 *
 * An onlooker has no slot in the registry and no place in LMDB's table of readers, so nobody who
 * writes keeps the pages of its snapshots from being used again. What it reads is sound while
 * nobody else has the database open:
 *
 *  1. It opens only while no slot's lock is held.
 *  2. `openings` grows with each slot that is taken, before the process in it can write. An
 *     onlooker looks at it before each read, and again when what it has read is copied: as long as
 *     it stands still, nobody has come.
 *  3. A database without the file `processes`, as a copy is at first, has no such word; there,
 *     somebody has come when the file is whole.
 *
 * By 2 nothing wrong is answered, but pages that are written over while LMDB walks them may lead it
 * out of the map, or to an assertion that ends the process. A get or a step of a cursor walks for
 * microseconds; what walks long, a copy, reads the file by calls instead (copy.c).
 */
#include "store/registry_layout.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_whole(const struct stat *info)
{
    return (uint64_t)info->st_size >= sizeof(struct registry_map);
}

static int open_file(struct registry *registry, struct jini_error *error)
{
    struct stat info;
    registry->fd = open(registry->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (registry->fd < 0 && errno != ENOENT)
        return error_set_errno(error, errno, registry->path, "cannot read the registry");
    if (registry->fd >= 0 && fstat(registry->fd, &info) != 0)
        return error_set_errno(error, errno, registry->path, "cannot look at the registry");
    if (registry->fd >= 0 && !is_whole(&info)) {
        close(registry->fd);
        registry->fd = -1;
    }
    return 0;
}

static int check_alone(const struct registry *registry, struct jini_error *error)
{
    for (uint32_t i = 0; i < REGISTRY_SLOTS; i++) {
        const struct registry_slot *slot = &registry->map->slots[i];
        if (registry_slot_taken(registry, i))
            return error_set(error, JINI_E_LOCKED, registry->path,
                             "process %d (%.*s) has this database open, and would not see that "
                             "this one reads, which may not write the file; stop that process, "
                             "read as a user and by a mount that may write, or read a copy",
                             slot->pid, STORE_NAME_MAX, slot->name);
    }
    return 0;
}

int onlooker_open(struct registry *registry, struct jini_error *error)
{
    registry->looks_on = true;
    registry->self.slot = REGISTRY_SLOTS; /* none */
    int status = open_file(registry, error);
    if (status)
        return status;
    int flags = registry->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *map = mmap(NULL, sizeof(struct registry_map), PROT_READ, flags, registry->fd, 0);
    if (map == MAP_FAILED)
        return error_set_errno(error, errno, registry->path, "cannot map the registry");
    registry->map = map;
    /* Before the locks are looked at: whoever comes after that changes it. */
    registry->openings = atomic_load(&registry->map->header.openings);
    return check_alone(registry, error);
}

bool registry_looks_on(const struct registry *registry)
{
    return registry->looks_on;
}

bool registry_disturbed(const struct registry *registry)
{
    struct stat info;
    atomic_thread_fence(memory_order_acquire); /* what was read before this was read before */
    if (registry->fd >= 0)
        return atomic_load(&registry->map->header.openings) != registry->openings;
    return stat(registry->path, &info) == 0 && is_whole(&info);
}
