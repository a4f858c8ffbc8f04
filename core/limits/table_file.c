/*
 * The file of the table: made, checked, mapped and replaced.
 *
 * limits.shm, in the byte order of the machine:
 *
 *        0  8   "JINILIMT"
 *        8  4   version, 3
 *       12  4   bytes of this header, checksum included
 *       16  8   checksum: XXH3-64 of the header with this field zero
 *       24  8   generation of the table
 *       32  16  boot id of the machine when the table was made
 *       48  16  key of the hashes of subjects
 *       64  4   slots in a bucket, 31
 *       68  4   number of regions
 *       72  8   buckets of the anonymous region
 *       80  8   buckets of the authenticated region
 *     4096      64 cache lines of counters (table_internal.h)
 *     8192      buckets of each region in turn, 512 bytes each, every region from a multiple of
 *               4096; then the details of each region's slots, 48 bytes each, likewise
 *
 * Zeros after the header are an empty table. The first 24 bytes have this meaning in every version.
 *
 * limits.lock holds no bytes. Its byte 0 is locked (open file description lock) by who makes or
 * looks for a table, its byte 1 is locked shared by everybody who has the table open.
 *
 * Invariants
 *  1. limits.shm is only ever replaced, by rename, under the lock of byte 0; what counts nothing
 *     any more and nobody has open is removed before, for its room. Its header never changes.
 *  2. The shared generation word never falls, but for a number at its very end. It is set to a
 *     table's generation after the table stands at its path; where a crash came between, the next
 *     one to look sets it.
 *  3. The table that counts is the one at the path whose generation is the word's. Processes with
 *     another view move to it at their next call.
 *  4. A view that was left keeps its addresses, filled with zeros, until close: whoever still works
 *     in it finds an empty table.
 *  5. A table that takes the place of one that counts has its key and all that counts in it before
 *     it is renamed (table_carry.c). Only who has the table open alone makes such a one.
 *  6. Where the disk has no room for a table a handle has none: it is no user by byte 1, and looks
 *     again at its next call, RETRY_MS after the last look.
 */
#include "limits/table_internal.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <jini/id.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    FORMAT_VERSION = 3,
    SHARDS_OFFSET = 4096,
    BUCKETS_OFFSET = 8192,
    PAGE_BYTES = 4096,
    LOCK_MAKING = 0, /* bytes of limits.lock */
    LOCK_USING = 1,
    LOCK_TRIES = 5000, /* of who opens the table, one a millisecond */
    RETRY_MS = 100
};

static const char format_magic[8] = {'J', 'I', 'N', 'I', 'L', 'I', 'M', 'T'};

struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint64_t checksum;
    uint64_t generation;
    uint8_t boot_id[JINI_ID_BYTES];
    uint8_t key[CRYPTO_HASH_KEY_BYTES];
    uint32_t bucket_slots;
    uint32_t region_count;
    uint64_t bucket_counts[TABLE_REGIONS];
};
_Static_assert(offsetof(struct header, checksum) == 16, "the checksum's place is for ever");
_Static_assert(sizeof(struct header) == 88, "the header is as written above");

/* What stands at the path. */
enum finding { FOUND_NOTHING, FOUND_DAMAGED, FOUND_OTHER_BOOT, FOUND_OTHER_VERSION, FOUND_TABLE };

struct found {
    enum finding finding;
    int file; /* -1 for none */
    struct header header;
    struct stat info;
};

/* Layout. */

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static uint64_t file_bytes(const uint64_t bucket_counts[TABLE_REGIONS])
{
    uint64_t bytes = BUCKETS_OFFSET;
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        bytes += whole_pages(bucket_counts[r] * TABLE_BUCKET_BYTES);
        bytes += whole_pages(bucket_counts[r] * TABLE_BUCKET_SLOTS * sizeof(struct slot_details));
    }
    return bytes;
}

static void point_into(struct table_view *view, const uint64_t bucket_counts[TABLE_REGIONS])
{
    uint64_t offset = BUCKETS_OFFSET;
    view->shards = (struct table_counter_shard *)(void *)(view->base + SHARDS_OFFSET);
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        view->regions[r].bucket_count = (uint32_t)bucket_counts[r];
        view->regions[r].buckets = (struct table_bucket *)(void *)(view->base + offset);
        offset += whole_pages(bucket_counts[r] * TABLE_BUCKET_BYTES);
    }
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        view->regions[r].details = (struct slot_details *)(void *)(view->base + offset);
        offset += whole_pages(bucket_counts[r] * TABLE_BUCKET_SLOTS * sizeof(struct slot_details));
    }
    JINI_ASSERT(offset == view->bytes);
}

static void bucket_counts_of(const struct table_options *options,
                             uint64_t bucket_counts[TABLE_REGIONS])
{
    for (unsigned r = 0; r < TABLE_REGIONS; r++)
        bucket_counts[r] =
            (options->regions[r].slots + TABLE_BUCKET_SLOTS - 1) / TABLE_BUCKET_SLOTS;
}

/* The header. */

/* Over the first `length` bytes of a page that begins with a header, of whatever version. */
static uint64_t header_checksum(const uint8_t page[PAGE_BYTES], uint32_t length)
{
    uint8_t copy[PAGE_BYTES];
    JINI_ASSERT(length <= PAGE_BYTES);
    memcpy(copy, page, length);
    memset(copy + offsetof(struct header, checksum), 0, sizeof(uint64_t));
    return hash64(slice_of(copy, length));
}

static int read_boot_id(uint8_t out[JINI_ID_BYTES], struct jini_error *error)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[JINI_ID_TEXT_MAX] = "";
    struct jini_id id;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    int saved = errno;
    if (file >= 0)
        close(file);
    if (length != (ssize_t)sizeof(text) - 1 || jini_id_parse(text, &id) != 0)
        return error_set_errno(error, length < 0 ? saved : EIO, path,
                               "The machine's boot id cannot be read.");
    memcpy(out, id.bytes, JINI_ID_BYTES);
    return 0;
}

static enum finding judge_header(const uint8_t page[PAGE_BYTES], const struct header *header,
                                 off_t size, const uint8_t *boot_id)
{
    if (memcmp(header->magic, format_magic, sizeof(format_magic)) != 0 ||
        header->header_bytes < offsetof(struct header, generation) ||
        header->header_bytes > PAGE_BYTES ||
        header->checksum != header_checksum(page, header->header_bytes))
        return FOUND_DAMAGED;
    if (header->version != FORMAT_VERSION)
        return FOUND_OTHER_VERSION;
    if (header->header_bytes != sizeof(*header) || header->generation == 0 ||
        header->bucket_slots != TABLE_BUCKET_SLOTS || header->region_count != TABLE_REGIONS)
        return FOUND_DAMAGED;
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        if (header->bucket_counts[r] < 1 ||
            header->bucket_counts[r] > TABLE_SLOTS_MAX / TABLE_BUCKET_SLOTS + 1)
            return FOUND_DAMAGED;
    }
    if (size < 0 || (uint64_t)size != file_bytes(header->bucket_counts))
        return FOUND_DAMAGED;
    if (memcmp(header->boot_id, boot_id, JINI_ID_BYTES) != 0)
        return FOUND_OTHER_BOOT;
    return FOUND_TABLE;
}

static void found_close(struct found *found)
{
    if (found->file >= 0)
        close(found->file);
    found->file = -1;
}

static int look(const struct table *table, const uint8_t *boot_id, struct found *out,
                struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    out->file = open(table->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (out->file < 0 && errno == ENOENT)
        return 0;
    out->finding = FOUND_DAMAGED;
    if (out->file < 0 && errno == ELOOP)
        return 0;
    if (out->file < 0)
        return error_set_errno(error, errno, table->path,
                               "The table of rate limits cannot be opened.");
    if (fstat(out->file, &out->info) != 0)
        return error_set_errno(error, errno, table->path,
                               "The table of rate limits cannot be examined.");
    if (!S_ISREG(out->info.st_mode))
        return 0;
    uint8_t page[PAGE_BYTES];
    ssize_t taken = pread(out->file, page, sizeof(page), 0);
    if (taken < 0)
        return error_set_errno(error, errno, table->path,
                               "The table of rate limits cannot be read.");
    if (taken == (ssize_t)sizeof(page)) {
        memcpy(&out->header, page, sizeof(out->header));
        out->finding = judge_header(page, &out->header, out->info.st_size, boot_id);
    }
    return 0;
}

/* Locks. */

static int lock_byte(const struct table *table, short type, off_t byte)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(table->lock_file.descriptor, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

/* Tries once a millisecond, `tries` times. */
static int lock_making(const struct table *table, unsigned tries, struct jini_error *error)
{
    for (unsigned tried = 0; tried < tries; tried++) {
        if (tried > 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS}, NULL);
        int failed = lock_byte(table, F_WRLCK, LOCK_MAKING);
        if (!failed)
            return 0;
        if (failed != EAGAIN && failed != EACCES && failed != EINTR)
            return error_set_errno(error, failed, "limits.lock",
                                   "The table of rate limits cannot be locked.");
    }
    return error_set(error, JINI_E_BUSY, "limits.lock",
                     "Another process has been making the table of rate limits for %u ms; is it "
                     "stopped?",
                     tries);
}

static void unlock_making(const struct table *table)
{
    lock_byte(table, F_UNLCK, LOCK_MAKING);
}

/*
 * Becomes a user of the table; byte 0 is locked. `*sole` tells whether no other handle has it open.
 * Users only come under byte 0, so that it stays true until that is unlocked.
 */
static int become_user(const struct table *table, bool *sole, struct jini_error *error)
{
    *sole = lock_byte(table, F_WRLCK, LOCK_USING) == 0;
    int failed = lock_byte(table, F_RDLCK, LOCK_USING);
    if (failed)
        return error_set_errno(error, failed, "limits.lock",
                               "The table of rate limits cannot be locked for use.");
    return 0;
}

/* Views. */

static int view_map(int file, const struct header *header, const struct stat *info,
                    struct table_view **out, struct jini_error *error)
{
    uint64_t bytes = file_bytes(header->bucket_counts);
    *out = NULL;
    struct table_view *view = base_calloc(1, sizeof(*view));
    if (!view)
        return error_set(error, JINI_E_NO_MEMORY, "limits.shm",
                         "No memory for a view of the table of rate limits.");
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        base_free(view);
        return error_set_errno(error, errno, "limits.shm",
                               "The table of rate limits cannot be mapped.");
    }
    /*
     * Without read-around a page costs memory and time only once somebody in it is counted. Huge
     * pages were no faster here, and a filesystem that has them writes 2 MiB back for each word
     * that changed.
     */
    madvise(base, bytes, MADV_RANDOM);
    view->base = base;
    view->bytes = bytes;
    view->generation = header->generation;
    view->device = info->st_dev;
    view->inode = info->st_ino;
    memcpy(view->key, header->key, sizeof(view->key));
    point_into(view, header->bucket_counts);
    *out = view;
    return 0;
}

static void view_free(struct table_view *view)
{
    if (!view)
        return;
    munmap(view->base, view->bytes);
    base_free(view);
}

/*
 * Invariant 4. Where the addresses cannot be filled anew, the old file stays mapped, which does no
 * harm either.
 */
static void view_leave(struct table_view *view)
{
    if (view)
        mmap(view->base, view->bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

static void view_publish(struct table *table, struct table_view *view)
{
    struct table_view *before = atomic_load(&table->view);
    view->older = before;
    table->remaps++;
    atomic_store(&table->view, view);
    view_leave(before);
}

/* Making a table. */

struct making {
    struct header header;
    uint64_t given_back;       /* bytes of disk, by the table before */
    struct table_view *before; /* what counts goes over into the new one; NULL for nothing */
};

/* Under the key of the table before (NULL: a new one), so that its slots can be placed again. */
static void new_header(const struct table *table, uint64_t generation, const uint8_t *boot_id,
                       const struct table_view *before, struct header *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->magic, format_magic, sizeof(format_magic));
    out->version = FORMAT_VERSION;
    out->header_bytes = sizeof(*out);
    out->generation = generation;
    memcpy(out->boot_id, boot_id, JINI_ID_BYTES);
    if (before)
        memcpy(out->key, before->key, sizeof(out->key));
    else
        crypto_random(out->key, sizeof(out->key));
    out->bucket_slots = TABLE_BUCKET_SLOTS;
    out->region_count = TABLE_REGIONS;
    bucket_counts_of(&table->options, out->bucket_counts);
    uint8_t page[PAGE_BYTES];
    memcpy(page, out, sizeof(*out));
    out->checksum = header_checksum(page, sizeof(*out));
}

/* What this process may still take of the disk: some of it is the superuser's. */
static uint64_t free_bytes(int file)
{
    struct statvfs disk;
    if (fstatvfs(file, &disk) != 0)
        return UINT64_MAX;
    return (uint64_t)(geteuid() == 0 ? disk.f_bfree : disk.f_bavail) * disk.f_frsize;
}

static int no_room(int file, uint64_t bytes, struct jini_error *error)
{
    return error_set(error, JINI_E_FULL, "limits.shm",
                     "The table of rate limits takes %llu bytes of disk and %llu are free: make "
                     "room, or have fewer slots.",
                     (unsigned long long)bytes, (unsigned long long)free_bytes(file));
}

/*
 * Looks before anything is taken: a try that fails would fill the disk for a moment, in which the
 * writes of others fail. What the table before has just given back is taken without a look, for a
 * file system may not count it as free yet.
 */
static int check_room(const struct table *table, int file, const struct making *making,
                      struct jini_error *error)
{
    const struct table_options *options = &table->options;
    uint64_t bytes = file_bytes(making->header.bucket_counts);
    if (bytes <= making->given_back)
        return 0;
    if (options->may_take_room && !options->may_take_room(options->context))
        return error_set(error, JINI_E_FULL, "limits.shm",
                         "The table of rate limits takes %llu bytes of disk, and what is free is "
                         "kept for releases and deletions: make room, or have fewer slots.",
                         (unsigned long long)bytes);
    return free_bytes(file) < bytes ? no_room(file, bytes, error) : 0;
}

/*
 * The whole file is reserved, so that a full disk fails here and not under a process that writes a
 * page of it.
 */
static int write_table(int file, const struct header *header)
{
    int failed = posix_fallocate(file, 0, (off_t)file_bytes(header->bucket_counts));
    if (failed)
        return failed;
    errno = EIO;
    return pwrite(file, header, sizeof(*header), 0) == (ssize_t)sizeof(*header) ? 0 : errno;
}

/* Invariant 5. */
static int carry_over(const struct table *table, const struct making *making,
                      const struct table_view *to, struct jini_error *error)
{
    if (!making->before || table_carry(making->before, to, clock_boot_ns(table->clock)))
        return 0;
    return error_set(error, JINI_E_FULL, "limits.shm",
                     "A table of rate limits of the size that is asked for has no place for all "
                     "that is counted now: have more slots.");
}

static int make(struct table *table, const struct making *making, struct table_view **out,
                struct jini_error *error)
{
    struct stat info;
    *out = NULL;
    unlink(table->temporary_path);
    int file = open(table->temporary_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    if (file < 0)
        return error_set_errno(error, errno, table->temporary_path,
                               "The table of rate limits cannot be made.");
    int status = check_room(table, file, making, error);
    int failed = status ? 0 : write_table(file, &making->header);
    if (!status && !failed && fstat(file, &info) != 0)
        failed = errno;
    if (failed == ENOSPC || failed == EDQUOT)
        status = no_room(file, file_bytes(making->header.bucket_counts), error);
    else if (failed)
        status = error_set_errno(error, failed, table->temporary_path,
                                 "The table of rate limits cannot be written.");
    if (!status)
        status = view_map(file, &making->header, &info, out, error);
    if (!status)
        status = carry_over(table, making, *out, error);
    if (!status && rename(table->temporary_path, table->path) != 0)
        status = error_set_errno(error, errno, table->path,
                                 "The table of rate limits cannot be put in its place.");
    if (status) {
        view_free(*out);
        *out = NULL;
        unlink(table->temporary_path);
    }
    close(file);
    return status;
}

/* Finding the table that counts. */

/* A table whose counts are those of now. */
static bool is_counting(const struct found *found, uint64_t word)
{
    return found->finding == FOUND_TABLE && found->header.generation >= word;
}

/* Whether the table that was found is to be used; 0 and `*use` false when it is to be replaced. */
static int decide(const struct table *table, const struct found *found, uint64_t word, bool *use,
                  struct jini_error *error)
{
    uint64_t wanted[TABLE_REGIONS];
    bucket_counts_of(&table->options, wanted);
    *use = false;
    if (found->finding == FOUND_OTHER_VERSION && !table->sole_user)
        return error_set(error, JINI_E_FORMAT, table->path,
                         "Running processes use version %u of the table of rate limits, this one "
                         "writes version %d: "
                         "stop them first.",
                         found->header.version, FORMAT_VERSION);
    if (!is_counting(found, word))
        return 0;
    bool fits = memcmp(wanted, found->header.bucket_counts, sizeof(wanted)) == 0;
    *use = fits || !table->sole_user;
    return 0;
}

/*
 * A larger one, by a step that nobody else takes: tables that are made without knowledge of each
 * other (the word and the file were both lost) must not get the same number, or a process would
 * miss the change.
 */
static uint64_t next_generation(uint64_t newest)
{
    uint32_t step;
    crypto_random(&step, sizeof(step));
    uint64_t next = newest + 1 + step;
    return next > newest ? next : UINT64_C(1) + step;
}

/*
 * Makes a table in the place of what was found. What counts nothing any more gives its room to the
 * new one first, if nobody has it open. A table that counts, and has other sizes, stays until the
 * new one stands beside it with all that it counts, and goes on where the disk has no room for
 * both or the new one no place for all.
 */
static int replace(struct table *table, struct found *found, uint64_t word, const uint8_t *boot_id,
                   struct table_view **out, struct jini_error *error)
{
    struct making making = {.given_back = 0};
    const struct table_view *now = atomic_load(&table->view);
    uint64_t newest = found->finding == FOUND_TABLE ? found->header.generation : 0;
    if (newest < word)
        newest = word;
    if (now && newest < now->generation)
        newest = now->generation;
    if (is_counting(found, word)) {
        int status = view_map(found->file, &found->header, &found->info, &making.before, error);
        if (status)
            return status;
    } else if (table->sole_user && found->file >= 0 && unlink(table->path) == 0) {
        making.given_back = (uint64_t)found->info.st_blocks * 512; /* the unit of stat(2) */
        found_close(found);
    }
    new_header(table, next_generation(newest), boot_id, making.before, &making.header);
    int status = make(table, &making, out, error);
    if (status == JINI_E_FULL && making.before) {
        error_clear(error);
        *out = making.before;
        return 0;
    }
    view_free(making.before);
    return status;
}

static int find_locked(struct table *table, struct jini_error *error)
{
    uint8_t boot_id[JINI_ID_BYTES];
    struct found found = {.file = -1};
    struct table_view *view = NULL;
    bool use = false;
    uint64_t word = atomic_load(table->generation);
    int status = read_boot_id(boot_id, error);
    if (!status)
        status = look(table, boot_id, &found, error);
    if (!status)
        status = decide(table, &found, word, &use, error);
    if (status)
        goto done;
    const struct table_view *now = atomic_load(&table->view);
    if (use && now && now->generation == found.header.generation &&
        now->device == found.info.st_dev && now->inode == found.info.st_ino) {
        atomic_store(table->generation, now->generation);
        goto done;
    }
    if (table->remaps >= TABLE_REMAPS_MAX) {
        status = error_set(
            error, JINI_E_CORRUPT, table->path,
            "The table of rate limits was replaced %u times under this process; close it and "
            "look who removes or damages the file.",
            table->remaps);
        goto done;
    }
    if (use)
        status = view_map(found.file, &found.header, &found.info, &view, error);
    else
        status = replace(table, &found, word, boot_id, &view, error);
    if (!status) {
        atomic_store(table->generation, view->generation);
        view_publish(table, view);
    }
done:
    found_close(&found);
    return status;
}

static int find(struct table *table, unsigned lock_tries, struct jini_error *error)
{
    int status = lock_making(table, lock_tries, error);
    if (status)
        return status;
    table->sole_user = false;
    if (!atomic_load(&table->view))
        status = become_user(table, &table->sole_user, error);
    if (!status)
        status = find_locked(table, error);
    if (!atomic_load(&table->view))
        lock_byte(table, F_UNLCK, LOCK_USING);
    unlock_making(table);
    return status;
}

static bool is_current(const struct table *table)
{
    return table_is_current(table, atomic_load(&table->view));
}

/*
 * The same, and keeps what became of it. Called under the mutex, once others know the table. After
 * a table that is in use could not be checked nobody has to wait, should it be replaced just then.
 */
static int try_to_find(struct table *table, unsigned lock_tries)
{
    error_clear(&table->failure);
    int status = find(table, lock_tries, &table->failure);
    bool missing = status && !is_current(table);
    table->retry_at_ns = missing ? clock_boot_ns(table->clock) + RETRY_MS * NS_PER_MS : 0;
    return status;
}

int table_file_open(struct table *table, struct jini_error *error)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/limits.lock", table->options.directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(error, JINI_E_INVALID, "directory",
                         "The path of the directory has more than %zu bytes.", sizeof(path));
    int failed =
        fork_file_open(&table->lock_file, AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0660);
    if (failed)
        return error_set_errno(error, failed, path,
                               "The lock of the table of rate limits cannot be opened.");
    int status = try_to_find(table, LOCK_TRIES);
    if (status == JINI_E_FULL)
        return 0;
    if (status && error)
        *error = table->failure;
    return status;
}

/*
 * Whoever charges waits here, all threads of the process one behind the other: for a stopped
 * process no longer than at a bucket, then RETRY_MS long not at all. The time is read under the
 * mutex and once more behind a failure, which may have taken a while.
 */
int table_file_refresh(struct table *table, enum table_refresh refresh, struct jini_error *error)
{
    int status = 0;
    error_clear(error);
    pthread_mutex_lock(&table->mutex);
    bool current = is_current(table);
    if (refresh == TABLE_REFRESH_VERIFY ||
        (!current && clock_boot_ns(table->clock) >= table->retry_at_ns))
        status = try_to_find(table, table->options.wait_ms + 1);
    else if (!current)
        status = table->failure.code;
    if (status && error)
        *error = table->failure;
    pthread_mutex_unlock(&table->mutex);
    return status;
}

int table_file_state(struct table *table, struct jini_error *error)
{
    int status = 0;
    error_clear(error);
    pthread_mutex_lock(&table->mutex);
    if (!is_current(table))
        status = table->failure.code;
    if (status && error)
        *error = table->failure;
    pthread_mutex_unlock(&table->mutex);
    return status;
}

void table_file_close(struct table *table)
{
    struct table_view *view = atomic_load(&table->view);
    while (view) {
        struct table_view *older = view->older;
        view_free(view);
        view = older;
    }
    atomic_store(&table->view, NULL);
    fork_file_close(&table->lock_file);
}
