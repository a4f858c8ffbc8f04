/* Gathered writes, write-behind, sync and lock of pack files. */
#include "images/pack_write.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

void pack_writer_begin(struct pack_writer *writer, int descriptor, uint64_t offset, uint64_t end)
{
    writer->descriptor = descriptor;
    writer->failed_errno = 0;
    writer->offset = offset;
    writer->end = end;
    writer->gathered = 0;
    writer->count = 0;
}

void pack_writer_cut(struct pack_writer *writer, uint64_t length)
{
    if (writer->started > length)
        writer->started = length & ~(uint64_t)(PAGE_BYTES - 1);
}

/*
 * Starts the disk on whole pages that will not be written to again. A hint: where the file system
 * does not know it, the next sync does all the work. A real failure to write shows in that sync.
 */
static void start_disk(struct pack_writer *writer)
{
    uint64_t whole = writer->offset & ~(uint64_t)(PAGE_BYTES - 1);
    if (whole < writer->started + PACK_WRITE_BYTES ||
        writer->end < writer->offset + PACK_WRITE_REST)
        return;
    (void)sync_file_range(writer->descriptor, (off_t)writer->started,
                          (off_t)(whole - writer->started), SYNC_FILE_RANGE_WRITE);
    writer->started = whole;
}

/* Drops the first `bytes` of the pieces. */
static void drop_written(struct pack_writer *writer, size_t bytes)
{
    unsigned whole = 0;
    writer->offset += bytes;
    writer->gathered -= bytes;
    while (whole < writer->count && bytes >= writer->pieces[whole].iov_len)
        bytes -= writer->pieces[whole++].iov_len;
    writer->count -= whole;
    memmove(writer->pieces, writer->pieces + whole, writer->count * sizeof(writer->pieces[0]));
    if (writer->count > 0) {
        writer->pieces[0].iov_base = (uint8_t *)writer->pieces[0].iov_base + bytes;
        writer->pieces[0].iov_len -= bytes;
    }
}

void pack_writer_flush(struct pack_writer *writer)
{
    while (writer->count > 0 && !writer->failed_errno) {
        ssize_t written =
            pwritev(writer->descriptor, writer->pieces, (int)writer->count, (off_t)writer->offset);
        if (written > 0)
            drop_written(writer, (size_t)written);
        else if (written == 0)
            writer->failed_errno = ENOSPC;
        else if (errno != EINTR)
            writer->failed_errno = errno;
    }
    if (!writer->failed_errno)
        start_disk(writer);
}

void pack_writer_add(struct pack_writer *writer, struct slice bytes)
{
    while (bytes.length > 0 && !writer->failed_errno) {
        size_t room = PACK_WRITE_BYTES - (size_t)writer->gathered;
        size_t length = bytes.length < room ? bytes.length : room;
        writer->pieces[writer->count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = length};
        writer->gathered += length;
        bytes.data += length;
        bytes.length -= length;
        if (writer->gathered == PACK_WRITE_BYTES || writer->count == PACK_WRITE_PIECES)
            pack_writer_flush(writer);
    }
}

int pack_writer_sync(int descriptor)
{
    int status;
    do {
        status = fdatasync(descriptor);
    } while (status != 0 && errno == EINTR);
    return status;
}

int pack_lock(int descriptor, const char *path, struct jini_error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(error, JINI_E_LOCKED, "pack",
                         "%s is being written by another process; let it finish", path);
    return error_set_errno(error, errno, "pack", "cannot lock %s", path);
}
