/*
 * Storing and deleting objects in the directory driver.
 *
 * A PUT writes a temporary, syncs it, names it, syncs the directory. Until it is named, whatever
 * goes wrong ends with the temporary removed and nothing changed; a full disk is met by the
 * reservation before the first byte is written. Bytes that a caller gives from a file are read
 * piece by piece, so no object is ever in memory whole.
 */
#include "archive/dir.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much is written before the kernel is asked to begin writing it to the disk. */
#define FLUSH_BYTES (UINT64_C(8) << 20)

int dir_write(int fd, struct slice bytes, uint64_t offset)
{
    while (bytes.length > 0) {
        ssize_t written = pwrite(fd, bytes.data, bytes.length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : ENOSPC;
        bytes = slice_of(bytes.data + written, bytes.length - (size_t)written);
        offset += (uint64_t)written;
    }
    return 0;
}

/* A body on its way into a file. */
struct writer {
    struct dir *dir;
    struct pool_worker *worker;
    struct archive_request *request;
    int fd;
    uint64_t size;    /* written */
    uint64_t flushed; /* handed to the disk */
    size_t pending;   /* bytes in the worker's piece */
};

static int write_out(struct writer *writer, struct slice bytes)
{
    struct archive_request *request = writer->request;
    int status = archive_interrupted(&writer->dir->archive, request);
    if (status != 0)
        return status;
    hash_stream_add(writer->worker->hash, bytes);
    int failed = dir_write(writer->fd, bytes, writer->size);
    if (failed)
        return dir_failed(writer->dir, failed, request->name, "writing", &request->error);
    writer->size += bytes.length;
    if (writer->size - writer->flushed >= FLUSH_BYTES) {
        /* A hint that spreads the work of the sync; its failure is the sync's to report. */
        (void)sync_file_range(writer->fd, (off_t)writer->flushed,
                              (off_t)(writer->size - writer->flushed), SYNC_FILE_RANGE_WRITE);
        writer->flushed = writer->size;
    }
    return 0;
}

static int flush_pending(struct writer *writer)
{
    size_t length = writer->pending;
    writer->pending = 0;
    return length ? write_out(writer, slice_of(writer->worker->piece, length)) : 0;
}

/* Reads up to `length` bytes of a file extent behind what is pending; gives how many. */
static int read_extent(struct writer *writer, uint32_t index, uint64_t done, size_t length,
                       size_t *taken)
{
    const struct archive_extent *extent = &writer->request->put.extents[index];
    ssize_t got;
    do {
        got = pread(extent->fd, writer->worker->piece + writer->pending, length,
                    (off_t)(extent->offset + done));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set_errno(&writer->request->error, errno, "extents",
                               "reading piece %u of the body at %llu failed", index,
                               (unsigned long long)(extent->offset + done));
    if (got == 0)
        return error_set(&writer->request->error, JINI_E_CORRUPT, "extents",
                         "the file of piece %u of the body ends at %llu, before the piece does",
                         index, (unsigned long long)(extent->offset + done));
    *taken = (size_t)got;
    return 0;
}

static int write_extent(struct writer *writer, uint32_t index)
{
    const struct archive_extent *extent = &writer->request->put.extents[index];
    int status = 0;
    size_t taken = 0;
    for (uint64_t done = 0; status == 0 && done < extent->length; done += taken) {
        uint64_t left = extent->length - done;
        size_t room = POOL_PIECE_BYTES - writer->pending;
        taken = left < room ? (size_t)left : room;
        if (extent->kind == ARCHIVE_EXTENT_FILE) {
            status = read_extent(writer, index, done, taken, &taken);
        } else if (taken == POOL_PIECE_BYTES) {
            status = write_out(writer, slice_of((const uint8_t *)extent->memory + done, taken));
            continue;
        } else {
            memcpy(writer->worker->piece + writer->pending, (const uint8_t *)extent->memory + done,
                   taken);
        }
        if (status == 0)
            writer->pending += taken;
        if (writer->pending == POOL_PIECE_BYTES)
            status = flush_pending(writer);
    }
    return status;
}

static uint64_t body_size(const struct archive_put *put)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < put->extent_count; i++)
        size += put->extents[i].length;
    return size;
}

/* Writes the whole body and makes it durable; the file has no name of its own yet. */
static int write_body(struct dir *dir, struct pool_worker *worker, struct archive_request *request,
                      int fd)
{
    struct writer writer = {.dir = dir, .worker = worker, .request = request, .fd = fd};
    uint64_t size = body_size(&request->put);
    int status = 0;
    /* Not all file systems can reserve; they meet a full disk while writing. */
    if (size > 0 && fallocate(fd, 0, 0, (off_t)size) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS && errno != EINTR)
        return dir_failed(dir, errno, request->name, "reserving space for", &request->error);
    hash_stream_reset(worker->hash);
    for (uint32_t i = 0; status == 0 && i < request->put.extent_count; i++)
        status = write_extent(&writer, i);
    if (status == 0)
        status = flush_pending(&writer);
    if (status != 0)
        return status;
    JINI_ASSERT(writer.size == size);
    if (fdatasync(fd) != 0)
        return dir_failed(dir, errno, request->name, "syncing", &request->error);
    request->size = size;
    request->checksum = hash_stream_128(worker->hash);
    return archive_interrupted(&dir->archive, request);
}

/* Refuses a name under which something stands; the object there is somebody's, or it is a directory
 * of objects. */
static int refuse_taken(const struct dir *dir, const struct dir_place *place,
                        struct archive_request *request)
{
    struct stat info;
    if (fstatat(place->fd, place->leaf, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (S_ISDIR(info.st_mode))
        return error_set(&request->error, JINI_E_CONFLICT, "name",
                         "\"%.*s\" has objects below it in the archive %s and cannot be one itself",
                         dir_shown_length(request->name), (const char *)request->name.data,
                         dir->shown);
    return error_set(&request->error, JINI_E_EXISTS, "name",
                     "there is an object \"%.*s\" in the archive %s",
                     dir_shown_length(request->name), (const char *)request->name.data, dir->shown);
}

static int store(struct dir *dir, struct pool_worker *worker, struct archive_request *request,
                 const struct dir_place *place)
{
    struct dir_temporary temporary;
    int status = refuse_taken(dir, place, request); /* spares writing in vain; the rename decides */
    if (status == 0)
        status = dir_temporary_make(dir, &temporary, &request->error);
    if (status != 0)
        return status;
    status = write_body(dir, worker, request, temporary.fd);
    if (status == 0)
        status = dir_temporary_publish(dir, &temporary, place->fd, place->leaf, &request->error);
    if (status == JINI_E_EXISTS && refuse_taken(dir, place, request) == JINI_E_CONFLICT)
        status = JINI_E_CONFLICT;
    /* The object is cold, and whoever reads it back to verify it shall read the disk. */
    if (status == 0)
        (void)posix_fadvise(temporary.fd, 0, 0, POSIX_FADV_DONTNEED);
    dir_temporary_end(&temporary);
    return status;
}

static int put(struct dir *dir, struct pool_worker *worker, struct archive_request *request)
{
    struct dir_place place;
    int status = dir_walk(dir, request->name, DIR_WALK_MAKE, &place, &request->error);
    if (status != 0)
        return status;
    status = store(dir, worker, request, &place);
    if (status == 0 || status == JINI_E_EXISTS) {
        struct jini_error exists = request->error;
        int settled = dir_settle(dir, request->name, &place, &request->error);
        if (settled != 0)
            status = settled;
        else
            request->error = exists;
    }
    close(place.fd);
    return status;
}

int dir_put(struct dir *dir, struct pool_worker *worker, struct archive_request *request)
{
    int status = dir_check_poisoned(dir, &request->error);
    if (status == 0)
        status = put(dir, worker, request);
    /* What a PUT needs and does not find is a part of the archive that somebody took away. */
    if (status == JINI_E_NOT_FOUND) {
        status = JINI_E_ARCHIVE;
        request->error.code = status;
    }
    return status;
}

int dir_delete(struct dir *dir, struct archive_request *request)
{
    struct dir_place place;
    int status = dir_check_poisoned(dir, &request->error);
    if (status == 0)
        status = dir_walk(dir, request->name, DIR_WALK_EXISTING, &place, &request->error);
    if (status == JINI_E_NOT_FOUND)
        return 0; /* directories are never removed, so neither is there an entry to make durable */
    if (status != 0)
        return status;
    if (unlinkat(place.fd, place.leaf, 0) != 0 && errno != ENOENT && errno != EISDIR)
        status = dir_failed(dir, errno, request->name, "deleting", &request->error);
    else
        status = dir_settle(dir, request->name, &place, &request->error);
    close(place.fd);
    return status;
}
