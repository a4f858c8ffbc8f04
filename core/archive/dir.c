/* The directory driver: opening, creating, walking to an object. The format and the invariants
 * stand in dir.h. */
#include "archive/dir.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dir *dir_of(struct archive *archive)
{
    return (struct dir *)archive;
}

int dir_failed(const struct dir *dir, int saved_errno, struct slice name, const char *what,
               struct jini_error *error)
{
    return error_set_errno(error, saved_errno, "archive", "%s \"%.*s\" in the archive %s failed",
                           what, dir_shown_length(name), (const char *)name.data, dir->shown);
}

int dir_check_poisoned(struct dir *dir, struct jini_error *error)
{
    if (!atomic_load(&dir->poisoned))
        return 0;
    return error_set(
        error, JINI_E_POISONED, "archive",
        "a directory of the archive %s could not be synced; mend the disk and open the "
        "archive anew",
        dir->shown);
}

/* Whether the path still leads to the directory that is open. */
static int check_root(struct dir *dir, struct jini_error *error)
{
    struct stat opened;
    struct stat found;
    if (fstat(dir->root, &opened) != 0)
        return error_set_errno(error, errno, "archive", "looking at the archive %s failed",
                               dir->shown);
    if (stat(dir->path, &found) == 0 && found.st_dev == opened.st_dev &&
        found.st_ino == opened.st_ino)
        return 0;
    return error_set(error, JINI_E_POISONED, "archive",
                     "the directory of the archive %s was moved, or another one is in its place, "
                     "since it was opened; put it back, or open the archive anew",
                     dir->shown);
}

/* "dir:///path" and "dir:path"; a host is refused, so that "dir://path" is not taken for something
 * else. */
static int parse_path(const char *rest, const char **path, struct jini_error *error)
{
    if (strncmp(rest, "//", 2) == 0) {
        rest += 2;
        if (*rest != '/')
            return error_set(error, JINI_E_INVALID, "archive",
                             "dir://%.64s has a host; write dir:///PATH or dir:PATH", rest);
    }
    if (*rest == '\0')
        return error_set(error, JINI_E_INVALID, "archive",
                         "the path is empty; write dir:///PATH or dir:PATH");
    *path = rest;
    return 0;
}

/*
 * Syncs the directory that the root itself stands in. One that may not even be read is somebody
 * else's, who has put the root there.
 */
static int sync_parent(const struct dir *dir, bool made, struct jini_error *error)
{
    int fd = openat(dir->root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;
    if (fd < 0 && errno == EACCES && !made)
        return 0;
    if (fd < 0 || fsync(fd) != 0)
        status = error_set_errno(error, errno, "archive",
                                 "syncing the directory above the archive %s failed", dir->shown);
    if (fd >= 0)
        close(fd);
    return status;
}

static int open_root(struct dir *dir, const char *path, bool *made, struct jini_error *error)
{
    *made = false;
    if (dir->archive.options.mode != ARCHIVE_OPEN_EXISTING) {
        *made = mkdir(path, DIR_MODE) == 0;
        if (!*made && errno != EEXIST)
            return error_set_errno(error, errno, "archive", "making the archive %s failed",
                                   dir->shown);
    }
    dir->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->root >= 0)
        return 0;
    if (errno == ENOENT)
        return error_set(
            error, JINI_E_NOT_FOUND, "archive",
            "there is no directory %s; mount the disk that holds the archive, or make a new one "
            "with \"jini archive init\"",
            dir->shown);
    if (errno == ENOTDIR)
        return error_set(error, JINI_E_INVALID, "archive", "%s is not a directory", dir->shown);
    return error_set_errno(error, errno, "archive", "opening the archive %s failed", dir->shown);
}

/* 0, or JINI_E_NOT_FOUND with no error filled when there is no marker. */
static int read_marker(struct dir *dir, struct jini_error *error)
{
    static const char text[] = DIR_MARKER_TEXT;
    char bytes[64];
    int fd = openat(dir->root, DIR_MARKER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return JINI_E_NOT_FOUND;
    ssize_t length = fd < 0 ? -1 : pread(fd, bytes, sizeof(bytes), 0);
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return error_set_errno(error, saved_errno, "archive", "reading %s/%s failed", dir->shown,
                               DIR_MARKER);
    if (slice_equal(slice_of(bytes, (size_t)length), slice_of_text(text)))
        return 0;
    if (slice_has_prefix(slice_of(bytes, (size_t)length), slice_of_text("jini-archive ")))
        return error_set(error, JINI_E_FORMAT, "archive",
                         "the archive %s was made by a newer version; use that one", dir->shown);
    return error_set(error, JINI_E_CORRUPT, "archive",
                     "%s/%s does not say \"jini-archive 1\"; is this an archive?", dir->shown,
                     DIR_MARKER);
}

/* A directory with files of somebody else must not become an archive: they would be listed as
 * objects. */
static int check_empty(struct dir *dir, struct jini_error *error)
{
    int fd = openat(dir->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int saved_errno = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(error, saved_errno, "archive", "listing %s failed", dir->shown);
    }
    int status = 0;
    const struct dirent *entry;
    for (errno = 0; status == 0 && (entry = readdir(stream)) != NULL; errno = 0) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lost+found") != 0)
            status = error_set(error, JINI_E_INVALID, "archive",
                               "%s is not empty and is no archive; give a directory of its own",
                               dir->shown);
    }
    if (status == 0 && errno != 0)
        status = error_set_errno(error, errno, "archive", "listing %s failed", dir->shown);
    closedir(stream);
    return status;
}

static int write_marker(struct dir *dir, struct jini_error *error)
{
    static const char text[] = DIR_MARKER_TEXT;
    struct dir_temporary temporary;
    int status = dir_temporary_make(dir, &temporary, error);
    if (status != 0)
        return status;
    int failed = dir_write(temporary.fd, slice_of_text(text), 0);
    if (failed == 0 && fdatasync(temporary.fd) != 0)
        failed = errno;
    if (failed)
        status = error_set_errno(error, failed, "archive", "writing %s/%s failed", dir->shown,
                                 DIR_MARKER);
    else
        status = dir_temporary_publish(dir, &temporary, dir->root, DIR_MARKER, error);
    dir_temporary_end(&temporary);
    if (status == JINI_E_EXISTS) /* another process was faster */
        status = read_marker(dir, error);
    if (status == 0 && fsync(dir->root) != 0)
        status = error_set_errno(error, errno, "archive", "syncing %s failed", dir->shown);
    return status;
}

static int find_archive(struct dir *dir, bool made, struct jini_error *error)
{
    int status = read_marker(dir, error);
    if (status == 0 && dir->archive.options.mode == ARCHIVE_CREATE_NEW)
        return error_set(error, JINI_E_EXISTS, "archive", "there is an archive already in %s",
                         dir->shown);
    if (status != JINI_E_NOT_FOUND)
        return status;
    if (dir->archive.options.mode == ARCHIVE_OPEN_EXISTING)
        return error_set(error, JINI_E_NOT_FOUND, "archive",
                         "%s holds no archive; mount the disk that holds it, or make a new one "
                         "with \"jini archive init\"",
                         dir->shown);
    status = check_empty(dir, error);
    if (status == 0)
        status = sync_parent(dir, made, error);
    return status == 0 ? write_marker(dir, error) : status;
}

static int run(struct archive *archive, struct pool_worker *worker, struct archive_request *request)
{
    struct dir *dir = dir_of(archive);
    int status = check_root(dir, &request->error);
    if (status)
        return status;
    switch (request->operation) {
    case ARCHIVE_PUT:
        return dir_put(dir, worker, request);
    case ARCHIVE_GET:
        return dir_get(dir, worker, request);
    case ARCHIVE_HEAD:
        return dir_head(dir, request);
    case ARCHIVE_LIST:
        return dir_list(dir, request);
    default:
        JINI_ASSERT(request->operation == ARCHIVE_DELETE);
        return dir_delete(dir, request);
    }
}

static int dir_open(struct archive *archive, const char *rest, struct jini_error *error)
{
    struct dir *dir = dir_of(archive);
    const char *path = NULL;
    bool made = false;
    dir->root = -1;
    int status = parse_path(rest, &path, error);
    if (status != 0)
        return status;
    text_copy_utf8(dir->shown, sizeof(dir->shown), path);
    dir->path = path_absolute(path);
    if (!dir->path)
        return error_set_errno(error, errno, "archive", "cannot tell where %s is", dir->shown);
    status = open_root(dir, dir->path, &made, error);
    if (status == 0)
        status = find_archive(dir, made, error);
    if (status != 0) {
        if (dir->root >= 0)
            close(dir->root);
        base_free(dir->path);
        return status;
    }
    pthread_mutex_init(&dir->settled_lock, NULL);
    pool_init(&dir->pool, archive, run);
    dir_collect(dir);
    return 0;
}

static int dir_submit(struct archive *archive, struct archive_request *request)
{
    return pool_submit(&dir_of(archive)->pool, request);
}

static void dir_cancel(struct archive *archive, struct archive_request *request)
{
    pool_cancel(&dir_of(archive)->pool, request);
}

static void dir_stop(struct archive *archive)
{
    pool_cancel_all(&dir_of(archive)->pool);
}

static void dir_close(struct archive *archive)
{
    struct dir *dir = dir_of(archive);
    pool_close(&dir->pool);
    if (!archive_is_forked(archive))
        pthread_mutex_destroy(&dir->settled_lock);
    close(dir->root);
    base_free(dir->path);
}

const struct archive_driver archive_dir_driver = {.scheme = "dir",
                                                  .size = sizeof(struct dir),
                                                  .open = dir_open,
                                                  .submit = dir_submit,
                                                  .cancel = dir_cancel,
                                                  .stop = dir_stop,
                                                  .close = dir_close};
