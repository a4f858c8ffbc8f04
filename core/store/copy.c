/*
 * Copies of a database in use.
 *
 * A copy is written under another name beside the one that it is to have, PATH.jini-partial,
 * synced, and only then given its name, which replaces nothing; so what has the name is whole. Who
 * writes the file holds a lock on it (flock), so that one that can be locked is what a copy left
 * that was interrupted, and is used again. Only if it can be that: a regular file of this user that
 * nobody else may open, since whoever may would read the records, and with no other name, which it
 * has where a copy was interrupted between getting its name and losing this one.
 */
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 8, PATH_MAX_BYTES = 4096 };

static const char suffix[] = ".jini-partial";

struct target {
    const char *path;
    char partial[PATH_MAX_BYTES + sizeof(suffix)];
    int fd; /* of the partial file, locked; -1 */
};

static bool is_of_a_copy(const struct stat *info)
{
    return S_ISREG(info->st_mode) && info->st_uid == geteuid() &&
           (info->st_mode & ALLPERMS & ~(mode_t)(S_IRUSR | S_IWUSR)) == 0;
}

/* Makes the partial file, or opens the one that is there. As lock_partial(). */
static int open_partial(struct target *target, bool *made)
{
    const int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    target->fd = open(target->partial, flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    *made = target->fd >= 0;
    if (!*made && errno == EEXIST) {
        target->fd = open(target->partial, flags);
        if (target->fd < 0 && errno == ENOENT)
            return EAGAIN;
        if (target->fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
            return EEXIST;
    }
    return target->fd < 0 ? errno : 0;
}

/* Whether the file that is locked is the one to write. As lock_partial(). */
static int check_partial(const struct target *target, bool made)
{
    struct stat info;
    struct stat named;
    if (fstat(target->fd, &info) != 0)
        return errno;
    if (!made && !is_of_a_copy(&info))
        return EEXIST;
    if (lstat(target->partial, &named) != 0 || named.st_ino != info.st_ino ||
        named.st_dev != info.st_dev)
        return EAGAIN;
    if (!made && info.st_nlink > 1) /* a whole copy by now, which keeps its other name */
        return unlink(target->partial) == 0 ? EAGAIN : errno;
    return ftruncate(target->fd, 0) == 0 ? 0 : errno;
}

/*
 * 0, an errno, EAGAIN where the name has to be looked at again, since another copy gave the file
 * its own just now, or EEXIST where it is one that no copy has left.
 */
static int lock_partial(struct target *target)
{
    bool made;
    int failed = open_partial(target, &made);
    if (failed)
        return failed;
    if (flock(target->fd, LOCK_EX | LOCK_NB) != 0)
        failed = errno == EWOULDBLOCK ? EBUSY : errno;
    else
        failed = check_partial(target, made);
    if (failed) {
        close(target->fd);
        target->fd = -1;
    }
    return failed;
}

static int open_target(const char *path, struct target *target, struct jini_error *error)
{
    struct stat info;
    target->path = path;
    target->fd = -1;
    if (strlen(path) >= PATH_MAX_BYTES)
        return error_set(error, JINI_E_INVALID, "path", "longer than %d bytes", PATH_MAX_BYTES - 1);
    snprintf(target->partial, sizeof(target->partial), "%s%s", path, suffix);
    if (lstat(path, &info) == 0)
        return error_set(error, JINI_E_EXISTS, path, "it is there already");
    int failed = EAGAIN;
    for (int i = 0; failed == EAGAIN && i < ATTEMPTS; i++)
        failed = lock_partial(target);
    if (failed == EBUSY)
        return error_set(error, JINI_E_BUSY, path, "another copy to this file is under way");
    if (failed == EEXIST)
        return error_set(error, JINI_E_EXISTS, target->partial,
                         "no copy has left it: it is no file, or others than this user may open "
                         "it; a copy is written under this name at first, so remove it");
    return failed ? error_set_errno(error, failed, path, "cannot create the copy") : 0;
}

/*
 * The snapshot keeps the map from being resized while it is copied. The driver may copy in a
 * transaction of its own, which needs a larger map when another process has grown it since; the
 * next snapshot adopts that.
 */
static int copy_snapshot(struct store *store, enum store_copy_form form, int fd)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct store_txn *txn;
        int status = store_read_begin(store, &txn);
        if (status)
            return status;
        status = txn_confirm(txn, store->ops->copy(txn->driver_txn, form, fd));
        store_read_end(txn);
        if (status > DRIVER_CODES)
            return status;
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            return error_from_errno(errno);
    }
    return JINI_E_BUSY;
}

/* 0 or an errno. */
static int give_name(const struct target *target)
{
    if (renameat2(AT_FDCWD, target->partial, AT_FDCWD, target->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    /* Some file systems rename but cannot refuse to replace; a hard link refuses everywhere. */
    if (link(target->partial, target->path) != 0)
        return errno;
    unlink(target->partial);
    return 0;
}

static int sync_parent(const char *path)
{
    char copy[PATH_MAX_BYTES];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = fsync(fd) ? errno : 0;
    close(fd);
    return failed;
}

static int publish(const struct target *target, struct jini_error *error)
{
    int failed = give_name(target);
    if (failed)
        unlink(target->partial); /* later its name is anybody's */
    if (failed == EEXIST)
        return error_set(error, JINI_E_EXISTS, target->path, "somebody made it meanwhile");
    if (failed)
        return error_set_errno(error, failed, target->path, "cannot give the copy its name");
    failed = sync_parent(target->path);
    if (failed == 0)
        return 0;
    unlink(target->path);
    return error_set_errno(error, failed, target->path, "cannot sync the directory of the copy");
}

int store_copy(struct store *store, const char *path, enum store_copy_form form,
               struct jini_error *error)
{
    struct target target;
    int status = store_look(store);
    if (status)
        return error_set(error, status, path, "cannot open a snapshot: %s",
                         jini_status_text(status));
    status = open_target(path, &target, error);
    if (status)
        return status;
    if (store->looks_on)
        form = STORE_COPY_PLAIN; /* reads by calls; the other walks the map, which nobody keeps */
    status = copy_snapshot(store, form, target.fd);
    if (status)
        error_set(error, status, path, "copying failed: %s", jini_status_text(status));
    else if (fsync(target.fd) != 0)
        status = error_set_errno(error, errno, path, "cannot sync the copy");
    if (status)
        unlink(target.partial);
    else
        status = publish(&target, error);
    close(target.fd); /* and with it the lock, behind which the name is nobody's */
    return status;
}
