/* Creating packs, appending to them, syncing and sealing. */
#include "images/pack_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fork.h"
#include "images/pack_footer.h"
#include "images/pack_path.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0660, ENTRIES_MIN = 64 };

enum file_state { FILE_OPEN, FILE_POISONED, FILE_SEALED };

struct pack_file {
    struct pack_header header;
    int directory;
    struct fork_file handle; /* of the lock: a child must not keep it */
    uint32_t fork_generation;
    atomic_int state;        /* enum file_state; a sync may poison beside an append */
    atomic_bool name_synced; /* the directories are durable */
    _Atomic uint64_t end;
    struct pack_writer writer;
    struct pack_entry *entries; /* for the footer; one per record */
    uint32_t count;
    uint32_t capacity;
};

static int poison(struct pack_file *file)
{
    atomic_store(&file->state, FILE_POISONED);
    return JINI_E_POISONED;
}

static int check_usable(const struct pack_file *file, struct jini_error *error)
{
    if (file->fork_generation != fork_generation())
        return error_set(
            error, JINI_E_FORKED, "pack",
            "the pack was opened before this process was forked; open the engine anew");
    if (atomic_load(&file->state) == FILE_POISONED)
        return error_set(error, JINI_E_POISONED, "pack",
                         "the pack failed to sync and takes nothing more; append to a new one");
    return 0;
}

static int create_at(int directory, const char *path, struct fork_file *handle,
                     struct jini_error *error)
{
    int failed = fork_file_open(handle, directory, path, O_CREAT | O_EXCL | O_RDWR, FILE_MODE);
    if (!failed)
        return 0;
    return error_set_errno(error, failed, "pack", "cannot create %s", path);
}

/* Locks the new file; finds out when a cleaner took it for abandoned in the instant before. */
static int claim(int descriptor, const char *path, struct jini_error *error)
{
    int status = pack_lock(descriptor, path, error);
    struct stat info;
    if (!status && fstat(descriptor, &info) != 0)
        return error_set_errno(error, errno, "pack", "cannot look at %s", path);
    if (!status && info.st_nlink == 0)
        return error_set(error, JINI_E_LOCKED, "pack",
                         "%s was cleaned up while it was created; take another id", path);
    return status;
}

static int write_header(struct pack_file *file, const char *path, struct jini_error *error)
{
    uint8_t header[PACK_HEADER_BYTES];
    pack_header_encode(&file->header, header);
    pack_writer_begin(&file->writer, file->handle.descriptor, 0, sizeof(header));
    pack_writer_add(&file->writer, slice_of(header, sizeof(header)));
    pack_writer_flush(&file->writer);
    if (file->writer.failed_errno)
        return error_set_errno(error, file->writer.failed_errno, "pack",
                               "cannot write the header of %s", path);
    return 0;
}

int pack_file_create(int directory, const struct pack_header *header, struct pack_file **out,
                     struct jini_error *error)
{
    *out = NULL;
    char path[PACK_PATH_MAX];
    pack_path(&header->pack, path);
    struct pack_file *file = base_calloc(1, sizeof(*file));
    if (!file)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "no memory for a pack; try later");
    file->header = *header;
    file->directory = directory;
    file->fork_generation = fork_generation();
    int status = pack_path_prepare(directory, &header->pack, error);
    if (!status)
        status = create_at(directory, path, &file->handle, error);
    if (status)
        goto free_file;
    status = claim(file->handle.descriptor, path, error);
    if (status == JINI_E_LOCKED)
        goto close_file; /* the cleaner removes it */
    if (!status)
        status = write_header(file, path, error);
    if (status)
        goto remove_file;
    atomic_store(&file->end, PACK_HEADER_BYTES);
    *out = file;
    return 0;
remove_file:
    unlinkat(directory, path, 0);
close_file:
    fork_file_close(&file->handle);
free_file:
    base_free(file);
    return status;
}

/* Appending. */

/* Where the pack will end with these records. */
static int check_room(const struct pack_file *file, struct pack_prepared *const *records,
                      size_t count, uint64_t *end, struct jini_error *error)
{
    *end = atomic_load(&file->end);
    for (size_t i = 0; i < count && *end < PACK_BYTES_MAX; i++)
        *end += records[i]->length;
    if (count > PACK_RECORDS_MAX - file->count || *end >= PACK_BYTES_MAX)
        return error_set(
            error, JINI_E_TOO_BIG, "pack",
            "the pack holds %u records in %llu bytes and cannot take %zu more; seal it",
            file->count, (unsigned long long)atomic_load(&file->end), count);
    return 0;
}

static int reserve_entries(struct pack_file *file, size_t count, struct jini_error *error)
{
    uint32_t needed = file->count + (uint32_t)count;
    if (needed <= file->capacity)
        return 0;
    uint32_t capacity = file->capacity ? 2 * file->capacity : ENTRIES_MIN;
    if (capacity < needed)
        capacity = needed;
    struct pack_entry *entries = base_realloc(file->entries, capacity * sizeof(*entries));
    if (!entries)
        return error_set(error, JINI_E_NO_MEMORY, "pack",
                         "no memory for the pack's index; try later");
    file->entries = entries;
    file->capacity = capacity;
    return 0;
}

static void add_record(struct pack_writer *writer, const struct pack_prepared *record)
{
    static const uint8_t zeros[PACK_ALIGNMENT];
    size_t used = record->head_bytes + record->metadata.length + record->payload.length;
    pack_writer_add(writer, slice_of(record->head, record->head_bytes));
    pack_writer_add(writer, record->metadata);
    pack_writer_add(writer, record->payload);
    pack_writer_add(writer, slice_of(zeros, (size_t)(record->length - used)));
}

/* Takes over the records that lie wholly below `written`. Returns their number. */
static size_t take_over(struct pack_file *file, struct pack_prepared *const *records, size_t count,
                        uint64_t written)
{
    size_t whole = 0;
    uint64_t end = atomic_load(&file->end);
    while (whole < count && records[whole]->offset + records[whole]->length <= written) {
        const struct pack_prepared *record = records[whole++];
        file->entries[file->count++] = pack_entry_of(&record->record, record->offset);
        end = record->offset + record->length;
    }
    atomic_store(&file->end, end);
    return whole;
}

/* Cuts off what stands behind the last record. */
static int cut_tail(struct pack_file *file, struct jini_error *error)
{
    uint64_t end = atomic_load(&file->end);
    pack_writer_cut(&file->writer, end);
    if (ftruncate(file->handle.descriptor, (off_t)end) == 0)
        return 0;
    error_set_errno(error, errno, "pack", "cannot cut the pack back to %llu bytes",
                    (unsigned long long)end);
    if (error)
        error->code = JINI_E_POISONED;
    return poison(file);
}

/* The end of a failed write. */
static int cut_back(struct pack_file *file, int failed_errno, const char *what,
                    struct jini_error *error)
{
    int status = cut_tail(file, error);
    return status ? status
                  : error_set_errno(error, failed_errno, "pack", "cannot %s the pack", what);
}

int pack_file_append(struct pack_file *file, struct pack_prepared *const *records, size_t count,
                     size_t *appended, struct jini_error *error)
{
    *appended = 0;
    int status = check_usable(file, error);
    if (!status && atomic_load(&file->state) == FILE_SEALED)
        status =
            error_set(error, JINI_E_READ_ONLY, "pack", "the pack is sealed; append to a new one");
    uint64_t end;
    if (!status)
        status = check_room(file, records, count, &end, error);
    if (!status)
        status = reserve_entries(file, count, error);
    if (status)
        return status;
    uint64_t offset = atomic_load(&file->end);
    struct pack_writer *writer = &file->writer;
    pack_writer_begin(writer, file->handle.descriptor, offset, end);
    for (size_t i = 0; i < count && !writer->failed_errno; i++) {
        struct pack_prepared *record = records[i];
        record->offset = offset;
        record->record.sequence = file->count + (uint32_t)i;
        pack_record_encode(&record->record, &file->header.pack, offset, record->head);
        add_record(writer, record);
        offset += record->length;
    }
    pack_writer_flush(writer);
    *appended = take_over(file, records, count, writer->offset);
    if (writer->failed_errno)
        return cut_back(file, writer->failed_errno, "append to", error);
    JINI_ASSERT(*appended == count && atomic_load(&file->end) == end);
    return 0;
}

int pack_file_cut(struct pack_file *file, uint32_t records, struct jini_error *error)
{
    int status = check_usable(file, error);
    if (status || records >= file->count)
        return status;
    JINI_ASSERT(atomic_load(&file->state) == FILE_OPEN);
    atomic_store(&file->end, file->entries[records].offset);
    file->count = records;
    return cut_tail(file, error);
}

/* Syncing and sealing. */

static int sync_name(struct pack_file *file, struct jini_error *error)
{
    if (atomic_load(&file->name_synced))
        return 0;
    int status = pack_path_sync(file->directory, &file->header.pack, error);
    if (status == JINI_E_BUSY || status == JINI_E_NO_MEMORY)
        return status;
    if (status) {
        if (error)
            error->code = JINI_E_POISONED;
        return poison(file);
    }
    atomic_store(&file->name_synced, true);
    return 0;
}

int pack_file_sync(struct pack_file *file, uint64_t *durable_end, struct jini_error *error)
{
    if (durable_end)
        *durable_end = 0;
    int status = check_usable(file, error);
    if (status)
        return status;
    uint64_t end = atomic_load(&file->end);
    if (pack_writer_sync(file->handle.descriptor) != 0) {
        error_set_errno(error, errno, "pack",
                        "the pack failed to sync and takes nothing more; append to a new one");
        if (error)
            error->code = JINI_E_POISONED;
        return poison(file);
    }
    status = sync_name(file, error);
    if (!status && durable_end)
        *durable_end = end;
    return status;
}

int pack_file_seal(struct pack_file *file, struct jini_error *error)
{
    int status = check_usable(file, error);
    if (status || atomic_load(&file->state) == FILE_SEALED)
        return status;
    uint8_t *footer;
    size_t length;
    uint64_t end = atomic_load(&file->end);
    status = pack_footer_build(&file->header.pack, file->entries, file->count, end, &footer,
                               &length, error);
    if (status)
        return status;
    pack_writer_begin(&file->writer, file->handle.descriptor, end, end + length);
    pack_writer_add(&file->writer, slice_of(footer, length));
    pack_writer_flush(&file->writer);
    base_free(footer);
    if (file->writer.failed_errno)
        return cut_back(file, file->writer.failed_errno, "seal", error);
    status = pack_file_sync(file, NULL, error);
    if (status)
        return status;
    atomic_store(&file->state, FILE_SEALED);
    base_free(file->entries);
    file->entries = NULL;
    file->capacity = 0;
    return 0;
}

uint64_t pack_file_end(const struct pack_file *file)
{
    return atomic_load(&file->end);
}

uint32_t pack_file_records(const struct pack_file *file)
{
    return file->count;
}

const struct pack_header *pack_file_header(const struct pack_file *file)
{
    return &file->header;
}

void pack_file_close(struct pack_file *file)
{
    if (!file)
        return;
    fork_file_close(&file->handle);
    base_free(file->entries);
    base_free(file);
}
