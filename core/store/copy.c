/*
 * Copies of a database in use.
 *
 * A copy is written under another name beside the one that it is to have, PATH.jini-partial,
 * synced, and only then given its name, which replaces nothing; so what has the name is whole. Who
 * writes the file holds a lock on it (flock), so that one that can be locked is what a copy left
 * that was interrupted, and is used again.
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

/* 0, an errno, or EAGAIN where another copy gave the file its name just now. */
static int lock_partial(struct target *target)
{
    struct stat info;
    target->fd = open(target->partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                      S_IRUSR | S_IWUSR);
    if (target->fd < 0)
        return errno;
    int failed = 0;
    struct stat named;
    if (flock(target->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        failed = EBUSY;
    else if (fstat(target->fd, &info) != 0)
        failed = errno;
    else if (!S_ISREG(info.st_mode))
        failed = EINVAL;
    else if (stat(target->partial, &named) != 0 || named.st_ino != info.st_ino)
        failed = EAGAIN;
    else if (ftruncate(target->fd, 0) != 0)
        failed = errno;
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
    status = copy_snapshot(store, form, target.fd);
    if (status)
        error_set(error, status, path, "copying failed: %s", jini_status_text(status));
    else if (fsync(target.fd) != 0)
        status = error_set_errno(error, errno, path, "cannot sync the copy");
    else
        status = publish(&target, error);
    if (status)
        unlink(target.partial);
    close(target.fd); /* and with it the lock, behind which the name is nobody's */
    return status;
}
