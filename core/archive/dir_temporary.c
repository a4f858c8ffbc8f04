/*
 * Temporaries of the directory driver: files that are being written, and what a crash left of them.
 *
 * A writer creates the file and then locks it. A collector that comes in between may get the lock
 * first and remove the file; so a writer that has the lock looks whether the file still has a name,
 * and begins anew if not. With that, a file that can be locked is nobody's.
 */
#include "archive/dir.h"

#include "base/crypto.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKE_TRIES = 16 };

static int open_folder(const struct dir *dir)
{
    return openat(dir->root, DIR_TEMPORARIES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void random_name(char name[DIR_TEMPORARY_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[DIR_TEMPORARY_NAME_BYTES / 2];
    crypto_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        name[2 * i] = digits[bytes[i] >> 4];
        name[2 * i + 1] = digits[bytes[i] & 15];
    }
    name[DIR_TEMPORARY_NAME_BYTES - 1] = '\0';
}

/* One try: 0, EAGAIN when a collector came in between, or another errno. */
static int make_file(struct dir_temporary *out)
{
    struct stat info;
    random_name(out->name);
    out->fd = openat(out->folder, out->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     DIR_FILE_MODE);
    if (out->fd < 0)
        return errno == EEXIST ? EAGAIN : errno;
    int failed = 0;
    if (flock(out->fd, LOCK_EX | LOCK_NB) != 0 || fstat(out->fd, &info) != 0)
        failed = errno; /* EWOULDBLOCK is EAGAIN */
    else if (info.st_nlink == 0)
        failed = EAGAIN;
    if (failed) {
        unlinkat(out->folder, out->name, 0);
        close(out->fd);
    }
    return failed;
}

int dir_temporary_make(struct dir *dir, struct dir_temporary *out, struct jini_error *error)
{
    out->fd = -1;
    out->folder = open_folder(dir);
    if (out->folder < 0 && errno == ENOENT) {
        if (mkdirat(dir->root, DIR_TEMPORARIES, DIR_MODE) == 0 || errno == EEXIST)
            out->folder = open_folder(dir);
    }
    int failed = out->folder < 0 ? errno : EAGAIN;
    for (int i = 0; failed == EAGAIN && i < MAKE_TRIES; i++)
        failed = make_file(out);
    if (failed == 0)
        return 0;
    if (out->folder >= 0)
        close(out->folder);
    out->fd = -1;
    out->folder = -1;
    return error_set_errno(error, failed, "archive", "making a file in %s/%s failed", dir->shown,
                           DIR_TEMPORARIES);
}

int dir_temporary_publish(struct dir *dir, struct dir_temporary *temporary, int parent,
                          const char *leaf, struct jini_error *error)
{
    JINI_ASSERT(temporary->fd >= 0 && temporary->name[0]);
    int failed = 0;
    if (renameat2(temporary->folder, temporary->name, parent, leaf, RENAME_NOREPLACE) == 0)
        temporary->name[0] = '\0';
    else
        failed = errno;
    /* Some file systems rename but cannot refuse to replace; a hard link refuses everywhere. */
    if (failed == EINVAL || failed == ENOSYS)
        failed = linkat(temporary->folder, temporary->name, parent, leaf, 0) == 0 ? 0 : errno;
    if (failed == EEXIST)
        return error_set(error, JINI_E_EXISTS, "name",
                         "an object of that name exists in the archive %s", dir->shown);
    if (failed == EXDEV)
        return error_set(
            error, JINI_E_UNSUPPORTED, "archive",
            "a directory of the archive %s lies on another file system; an archive lies on one",
            dir->shown);
    return failed ? error_set_errno(error, failed, "archive",
                                    "naming a finished file in the archive %s failed", dir->shown)
                  : 0;
}

void dir_temporary_end(struct dir_temporary *temporary)
{
    if (temporary->fd < 0)
        return;
    if (temporary->name[0])
        unlinkat(temporary->folder, temporary->name, 0);
    close(temporary->fd);
    close(temporary->folder);
    temporary->fd = -1;
}

/* Also a file from the future counts as old: the clock was set back, and the lock decides anyway.
 */
static bool is_old(const struct dir *dir, const struct stat *info)
{
    uint64_t now_ns = clock_wall_ns(dir->archive.options.clock);
    uint64_t then_ns = (uint64_t)info->st_mtim.tv_sec * NS_PER_S + (uint64_t)info->st_mtim.tv_nsec;
    uint64_t apart_ns = now_ns > then_ns ? now_ns - then_ns : then_ns - now_ns;
    return apart_ns / NS_PER_MS >= dir->archive.options.temporary_age_ms;
}

static bool collect_file(struct dir *dir, int folder, const char *name)
{
    struct stat info;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool removed = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && is_old(dir, &info) &&
                   flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;
    close(fd);
    return removed;
}

void dir_collect(struct dir *dir)
{
    int folder = open_folder(dir);
    DIR *stream = folder < 0 ? NULL : fdopendir(folder);
    if (!stream) {
        if (folder >= 0)
            close(folder);
        return;
    }
    const struct dirent *entry;
    for (int i = 0; i < DIR_COLLECT_MAX && (entry = readdir(stream)) != NULL; i++) {
        if (entry->d_name[0] != '.' && collect_file(dir, folder, entry->d_name))
            atomic_fetch_add(&dir->archive.temporaries_collected, 1);
    }
    closedir(stream);
}
