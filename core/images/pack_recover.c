/* Sealing the pack of a process that died. */
#include "images/pack_recover.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"
#include "images/pack_footer.h"
#include "images/pack_path.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { ENTRIES_MIN = 64 };

struct recovery {
    int directory;
    struct fork_file handle; /* of the lock: a child must not keep it */
    struct jini_id pack;
    char path[PACK_PATH_MAX];
    struct pack_entry *entries;
    uint32_t count;
    uint32_t capacity;
    struct jini_error *error;
};

static int keep_entry(void *context, const struct pack_scan_item *item)
{
    struct recovery *recovery = context;
    if (item->part != PACK_PART_RECORD)
        return 0;
    JINI_ASSERT(recovery->count < PACK_RECORDS_MAX);
    if (recovery->count == recovery->capacity) {
        uint32_t capacity = recovery->capacity ? 2 * recovery->capacity : ENTRIES_MIN;
        struct pack_entry *entries = base_realloc(recovery->entries, capacity * sizeof(*entries));
        if (!entries)
            return error_set(recovery->error, JINI_E_NO_MEMORY, "pack",
                             "no memory for the pack's index; try later");
        recovery->entries = entries;
        recovery->capacity = capacity;
    }
    recovery->entries[recovery->count++] = *item->entry;
    return 0;
}

/* Removes a file whose process died before its header was written. */
static int remove_unborn(struct recovery *recovery)
{
    int status = pack_path_remove(recovery->directory, &recovery->pack, recovery->error);
    if (!status)
        status = pack_path_sync(recovery->directory, &recovery->pack, recovery->error);
    if (status)
        return status;
    return error_set(recovery->error, JINI_E_NOT_FOUND, "pack",
                     "%s held nothing but a torn header and was removed", recovery->path);
}

static int failed(struct recovery *recovery, int saved_errno, const char *what)
{
    return error_set_errno(recovery->error, saved_errno, "pack", "cannot %s %s", what,
                           recovery->path);
}

/*
 * Cuts the file to its record area and writes the footer behind it. A record that is cut by the end
 * of the file leaves the area longer than the file: the missing bytes become zeros, and the record
 * stays damaged.
 */
static int write_footer(struct recovery *recovery, uint64_t end)
{
    uint8_t *footer;
    size_t length;
    int status = pack_footer_build(&recovery->pack, recovery->entries, recovery->count, end,
                                   &footer, &length, recovery->error);
    if (status)
        return status;
    if (ftruncate(recovery->handle.descriptor, (off_t)end) != 0) {
        status = failed(recovery, errno, "cut");
        goto done;
    }
    struct pack_writer writer = {.started = end};
    pack_writer_begin(&writer, recovery->handle.descriptor, end, end + length);
    pack_writer_add(&writer, slice_of(footer, length));
    pack_writer_flush(&writer);
    if (writer.failed_errno) {
        status = failed(recovery, writer.failed_errno, "seal");
        /* Best effort: a torn footer is cut off by the next recovery, too. */
        if (ftruncate(recovery->handle.descriptor, (off_t)end) != 0)
            errno = 0;
    }
done:
    base_free(footer);
    return status;
}

static int seal(struct recovery *recovery, uint64_t acknowledged_end,
                struct pack_scan_result *result)
{
    struct pack_source source = pack_source_of_file(&recovery->pack, recovery->handle.descriptor);
    struct pack_scan_options options = {
        .depth = PACK_SCAN_EVERYTHING,
        .expected = PACK_STATE_OPEN,
        .acknowledged_end = acknowledged_end,
    };
    /* After a failed sync the kernel may show what the disk does not have: read the disk. */
    (void)posix_fadvise(recovery->handle.descriptor, 0, 0, POSIX_FADV_DONTNEED);
    int status = pack_scan(&source, &options, keep_entry, recovery, result, recovery->error);
    if (status)
        return status;
    if (result->header_damaged && result->records == 0 && acknowledged_end <= PACK_HEADER_BYTES)
        return remove_unborn(recovery);
    if (!result->sealed)
        status = write_footer(recovery, result->end);
    if (!status && pack_writer_sync(recovery->handle.descriptor) != 0)
        status = failed(recovery, errno, "sync");
    if (!status)
        status = pack_path_sync(recovery->directory, &recovery->pack, recovery->error);
    if (!status)
        result->sealed = true;
    return status;
}

int pack_recover(int directory, const struct jini_id *pack, uint64_t acknowledged_end,
                 struct pack_scan_result *result, struct jini_error *error)
{
    memset(result, 0, sizeof(*result));
    if (acknowledged_end % PACK_ALIGNMENT != 0 || acknowledged_end > PACK_BYTES_MAX)
        return error_set(error, JINI_E_INVALID, "acknowledged_end",
                         "%llu is not where a record can end",
                         (unsigned long long)acknowledged_end);
    struct recovery recovery = {.directory = directory, .pack = *pack, .error = error};
    pack_path(pack, recovery.path);
    int open_errno =
        fork_file_open(&recovery.handle, directory, recovery.path, O_RDWR | O_NOFOLLOW, 0);
    if (open_errno)
        return failed(&recovery, open_errno, "open");
    int status = pack_lock(recovery.handle.descriptor, recovery.path, error);
    if (!status)
        status = seal(&recovery, acknowledged_end, result);
    base_free(recovery.entries);
    fork_file_close(&recovery.handle);
    return status;
}
