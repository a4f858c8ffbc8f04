/* Reading the bytes of a pack from a file or from memory. */
#include "images/pack_source.h"

#include "base/error.h"
#include "images/pack_format.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct pack_source pack_source_of_file(const struct jini_id *pack, int descriptor)
{
    JINI_ASSERT(descriptor >= 0);
    return (struct pack_source){.pack = *pack, .descriptor = descriptor};
}

struct pack_source pack_source_of_bytes(const struct jini_id *pack, struct slice bytes)
{
    return (struct pack_source){.pack = *pack, .descriptor = -1, .bytes = bytes};
}

static int read_failed(const struct pack_source *source, uint64_t offset, int saved_errno,
                       struct jini_error *error)
{
    char name[JINI_ID_TEXT_MAX];
    jini_id_format(&source->pack, name);
    return error_set_errno(error, saved_errno, "pack", "cannot read pack %s at offset %llu", name,
                           (unsigned long long)offset);
}

int pack_source_length(const struct pack_source *source, uint64_t *out, struct jini_error *error)
{
    *out = source->bytes.length;
    if (source->descriptor < 0)
        return 0;
    struct stat info;
    if (fstat(source->descriptor, &info) != 0)
        return read_failed(source, 0, errno, error);
    *out = (uint64_t)info.st_size;
    return 0;
}

static int too_short(const struct pack_source *source, uint64_t offset, size_t length,
                     struct jini_error *error)
{
    uint64_t end;
    int status = pack_source_length(source, &end, error);
    if (status)
        return status;
    return pack_corrupt(error, &source->pack, offset,
                        "%zu bytes are wanted and the pack ends at %llu", length,
                        (unsigned long long)end);
}

int pack_source_read(const struct pack_source *source, uint64_t offset, void *to, size_t length,
                     struct jini_error *error)
{
    if (source->descriptor < 0) {
        struct slice bytes = source->bytes;
        if (offset > bytes.length || length > bytes.length - offset)
            return too_short(source, offset, length, error);
        if (length)
            memcpy(to, bytes.data + offset, length);
        return 0;
    }
    if (offset > PACK_BYTES_MAX)
        return too_short(source, offset, length, error);
    size_t done = 0;
    while (done < length) {
        ssize_t got =
            pread(source->descriptor, (uint8_t *)to + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return read_failed(source, offset + done, errno, error);
        if (got == 0)
            return too_short(source, offset, length, error);
        done += (size_t)got;
    }
    return 0;
}

void pack_source_forget(const struct pack_source *source, uint64_t offset, uint64_t length)
{
    if (source->descriptor < 0)
        return;
    /* Pages go whole or not at all, so those at both ends are taken in. */
    const uint64_t page = 4096;
    uint64_t begin = offset & ~(page - 1);
    uint64_t end = (offset + length + page - 1) & ~(page - 1);
    (void)posix_fadvise(source->descriptor, (off_t)begin, (off_t)(end - begin),
                        POSIX_FADV_DONTNEED);
}
