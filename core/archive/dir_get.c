/* Reading objects of the directory driver. */
#include "archive/dir.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int absent(const struct dir *dir, struct slice name, struct jini_error *error)
{
    return error_set(error, JINI_E_NOT_FOUND, "name",
                     "there is no object \"%.*s\" in the archive %s", dir_shown_length(name),
                     (const char *)name.data, dir->shown);
}

/* Tells an object from what else may stand under its name. */
static int check_file(const struct dir *dir, struct archive_request *request,
                      const struct stat *info)
{
    if (S_ISDIR(info->st_mode))
        return absent(dir, request->name, &request->error);
    if (!S_ISREG(info->st_mode))
        return error_set(
            &request->error, JINI_E_CORRUPT, "name",
            "\"%.*s\" in the archive %s is not a regular file; something else than Jini put "
            "it there",
            dir_shown_length(request->name), (const char *)request->name.data, dir->shown);
    request->size = (uint64_t)info->st_size;
    request->modified_ms =
        (uint64_t)info->st_mtim.tv_sec * 1000 + (uint64_t)info->st_mtim.tv_nsec / NS_PER_MS;
    return 0;
}

int dir_head(struct dir *dir, struct archive_request *request)
{
    struct dir_place place;
    struct stat info;
    int status = dir_walk(dir, request->name, DIR_WALK_EXISTING, &place, &request->error);
    if (status == JINI_E_NOT_FOUND)
        return absent(dir, request->name, &request->error);
    if (status != 0)
        return status;
    if (fstatat(place.fd, place.leaf, &info, AT_SYMLINK_NOFOLLOW) == 0)
        status = check_file(dir, request, &info);
    else if (errno == ENOENT)
        status = absent(dir, request->name, &request->error);
    else
        status = dir_failed(dir, errno, request->name, "looking at", &request->error);
    close(place.fd);
    return status;
}

static int open_object(struct dir *dir, struct archive_request *request, int *out)
{
    struct dir_place place;
    struct stat info = {.st_mode = 0};
    *out = -1;
    int status = dir_walk(dir, request->name, DIR_WALK_EXISTING, &place, &request->error);
    if (status == JINI_E_NOT_FOUND)
        return absent(dir, request->name, &request->error);
    if (status != 0)
        return status;
    /* Not blocking: a FIFO that somebody put there must not hold up the thread. */
    int fd = openat(place.fd, place.leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int failed = fd < 0 ? errno : 0;
    close(place.fd);
    if (failed == ENOENT)
        return absent(dir, request->name, &request->error);
    if (failed == ELOOP) /* a symbolic link; its mode is 0 here, which is not a regular file */
        return check_file(dir, request, &info);
    if (failed == 0 && fstat(fd, &info) != 0)
        failed = errno;
    if (failed)
        status = dir_failed(dir, failed, request->name, "opening", &request->error);
    else
        status = check_file(dir, request, &info);
    if (status == 0)
        *out = fd;
    else if (fd >= 0)
        close(fd);
    return status;
}

static int too_short(const struct dir *dir, struct archive_request *request, uint64_t end)
{
    return error_set(
        &request->error, JINI_E_CORRUPT, "name",
        "the object \"%.*s\" in the archive %s ends at %llu, before the range that was asked for",
        dir_shown_length(request->name), (const char *)request->name.data, dir->shown,
        (unsigned long long)end);
}

/* The number of bytes to deliver, if the object has them and they fit. */
static int plan(const struct dir *dir, struct archive_request *request, uint64_t *length)
{
    const struct archive_get *get = &request->get;
    uint64_t size = request->size;
    *length = 0;
    if (get->length == ARCHIVE_TO_END) {
        if (get->offset > 0 && get->offset >= size)
            return too_short(dir, request, size);
        *length = size - get->offset;
    } else {
        if (get->offset > size || get->length > size - get->offset)
            return too_short(dir, request, size);
        *length = get->length;
    }
    if (get->buffer && *length > get->capacity)
        return error_set(&request->error, JINI_E_TOO_BIG, "buffer",
                         "%llu bytes of the object do not fit the buffer, which holds %zu",
                         (unsigned long long)*length, get->capacity);
    return 0;
}

/* Reads the next piece and delivers it; gives its length. */
static int read_piece(struct dir *dir, struct pool_worker *worker, struct archive_request *request,
                      int fd, uint64_t left, size_t *taken)
{
    const struct archive_get *get = &request->get;
    uint8_t *to = get->buffer ? get->buffer + request->bytes : worker->piece;
    size_t length = left < POOL_PIECE_BYTES ? (size_t)left : POOL_PIECE_BYTES;
    ssize_t got;
    do {
        got = pread(fd, to, length, (off_t)(get->offset + request->bytes));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return dir_failed(dir, errno, request->name, "reading", &request->error);
    if (got == 0)
        return too_short(dir, request, get->offset + request->bytes);
    *taken = (size_t)got;
    struct slice piece = slice_of(to, (size_t)got);
    hash_stream_add(worker->hash, piece);
    return get->sink ? archive_give_piece(request, piece) : 0;
}

int dir_get(struct dir *dir, struct pool_worker *worker, struct archive_request *request)
{
    uint64_t length = 0;
    int fd;
    int status = open_object(dir, request, &fd);
    if (status != 0)
        return status;
    status = plan(dir, request, &length);
    if (status == 0 && length > POOL_PIECE_BYTES)
        (void)posix_fadvise(fd, (off_t)request->get.offset, (off_t)length, POSIX_FADV_SEQUENTIAL);
    hash_stream_reset(worker->hash);
    while (status == 0 && request->bytes < length) {
        size_t taken = 0;
        status = archive_interrupted(&dir->archive, request);
        if (status == 0)
            status = read_piece(dir, worker, request, fd, length - request->bytes, &taken);
        request->bytes += taken;
    }
    if (status == 0)
        request->checksum = hash_stream_128(worker->hash);
    close(fd);
    return status;
}
