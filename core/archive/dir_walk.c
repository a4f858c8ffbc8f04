/*
 * The way to an object in the directory driver, and the durability of the directories on it:
 * invariants 2, 3 and 5 of dir.h.
 */
#include "archive/dir.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct slice directory_of(struct slice name)
{
    while (name.length > 0 && name.data[name.length - 1] != '/')
        name.length--;
    if (name.length > 0)
        name.length--;
    return name;
}

static void copy_segment(char to[ARCHIVE_SEGMENT_MAX + 1], struct slice segment)
{
    JINI_ASSERT(segment.length > 0 && segment.length <= ARCHIVE_SEGMENT_MAX);
    JINI_ASSERT(segment.data[0] != '.' && !memchr(segment.data, '/', segment.length));
    memcpy(to, segment.data, segment.length);
    to[segment.length] = '\0';
}

static int enter_directory(int parent, const char *segment)
{
    return openat(parent, segment, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_directory(int parent, const char *segment)
{
    if (mkdirat(parent, segment, DIR_MODE) != 0 && errno != EEXIST)
        return -1;
    return enter_directory(parent, segment);
}

int dir_walk(struct dir *dir, struct slice name, enum dir_walk how, struct dir_place *out,
             struct jini_error *error)
{
    struct slice rest = directory_of(name);
    struct slice segment;
    size_t leaf_begin = rest.length ? rest.length + 1 : 0;
    char text[ARCHIVE_SEGMENT_MAX + 1];
    copy_segment(out->leaf, slice_of(name.data + leaf_begin, name.length - leaf_begin));
    out->made = false;
    out->fd = fcntl(dir->root, F_DUPFD_CLOEXEC, 0);
    while (out->fd >= 0 && archive_name_next(&rest, &segment)) {
        copy_segment(text, segment);
        int next = enter_directory(out->fd, text);
        if (next < 0 && errno == ENOENT && how == DIR_WALK_MAKE) {
            next = make_directory(out->fd, text);
            out->made = true;
        }
        int saved_errno = errno;
        close(out->fd);
        out->fd = next;
        errno = saved_errno;
    }
    if (out->fd >= 0)
        return 0;
    if (errno == ENOTDIR && how == DIR_WALK_MAKE)
        return error_set(
            error, JINI_E_CONFLICT, "name",
            "the object \"%.*s\" cannot lie below something in the archive %s that is not a "
            "directory",
            dir_shown_length(name), (const char *)name.data, dir->shown);
    return dir_failed(dir, errno, name, "reaching the directory of", error);
}

/* Durability of directories. */

static bool is_settled(struct dir *dir, const struct hash128 *hash)
{
    pthread_mutex_lock(&dir->settled_lock);
    bool known = hash128_equal(&dir->settled[hash->bytes[0]], hash);
    pthread_mutex_unlock(&dir->settled_lock);
    return known;
}

static void remember_settled(struct dir *dir, const struct hash128 *hash)
{
    pthread_mutex_lock(&dir->settled_lock);
    dir->settled[hash->bytes[0]] = *hash;
    pthread_mutex_unlock(&dir->settled_lock);
}

/* Returns an errno. After a failure nothing that the driver says about durability can be believed.
 */
static int sync_directory(struct dir *dir, int fd)
{
    if (fsync(fd) == 0)
        return 0;
    int failed = errno;
    atomic_store(&dir->poisoned, true);
    return failed;
}

/* Syncs the root and each directory on the way to `directory`, without that one. Returns an errno.
 */
static int sync_ancestors(struct dir *dir, struct slice directory)
{
    struct slice segment;
    char text[ARCHIVE_SEGMENT_MAX + 1];
    int failed = 0;
    int fd = fcntl(dir->root, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    while (failed == 0 && archive_name_next(&directory, &segment)) {
        failed = sync_directory(dir, fd);
        copy_segment(text, segment);
        int next = failed ? -1 : enter_directory(fd, text);
        if (failed == 0 && next < 0)
            failed = errno;
        close(fd);
        fd = next;
    }
    if (fd >= 0)
        close(fd);
    return failed;
}

int dir_settle(struct dir *dir, struct slice name, const struct dir_place *place,
               struct jini_error *error)
{
    struct slice directory = directory_of(name);
    struct hash128 hash = hash128(directory);
    int failed = sync_directory(dir, place->fd);
    if (failed == 0 && directory.length > 0 && (place->made || !is_settled(dir, &hash))) {
        failed = sync_ancestors(dir, directory);
        if (failed == 0)
            remember_settled(dir, &hash);
    }
    return failed ? dir_failed(dir, failed, name, "syncing the directory of", error) : 0;
}
