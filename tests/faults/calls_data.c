/* The calls on descriptors: reading, writing, sizes, syncs, mappings. */
#include "real.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CURRENT_POSITION = -1, PARTS_MAX = 1024, MAPPINGS_MAX = 64 };

/* The first `length` bytes of the parts, in `out`; returns how many parts that makes. */
static int cut_parts(const struct iovec *parts, int count, size_t length, struct iovec *out)
{
    int kept = 0;
    while (kept < count && length > 0) {
        out[kept] = parts[kept];
        if (out[kept].iov_len > length)
            out[kept].iov_len = length;
        length -= out[kept++].iov_len;
    }
    return kept;
}

static size_t parts_length(const struct iovec *parts, int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    return length;
}

static ssize_t write_really(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (flags)
        return REAL(pwritev2)(fd, parts, count, offset, flags);
    if (offset == CURRENT_POSITION)
        return REAL(writev)(fd, parts, count);
    return REAL(pwritev)(fd, parts, count, offset);
}

static void record_written(int fd, const struct iovec *parts, int count, off_t offset, int flags,
                           ssize_t written)
{
    struct stat info;
    if (!record_inode(fd, &info))
        return;
    int status = fcntl(fd, F_GETFL);
    if (status & O_APPEND)
        offset = info.st_size - written;
    else if (offset == CURRENT_POSITION)
        offset = lseek(fd, 0, SEEK_CUR) - written;
    bool durable = ((status & O_DSYNC) || (flags & (RWF_DSYNC | RWF_SYNC))) && !fault_swallows(fd);
    record_write(info.st_ino, parts, count, (uint64_t)offset, (uint64_t)written, durable);
}

/* The bytes of the parts as one, with a bit turned over, to be freed. */
static struct iovec flip_parts(const struct iovec *parts, int count, size_t length)
{
    uint8_t *bytes = malloc(length);
    size_t done = 0;
    if (!bytes)
        fault_give_up("malloc", "a write that is to be wrong");
    for (int i = 0; i < count; i++) {
        memcpy(bytes + done, parts[i].iov_base, parts[i].iov_len);
        done += parts[i].iov_len;
    }
    bytes[length / 2] ^= 1;
    return (struct iovec){bytes, length};
}

static ssize_t write_decided(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!record_begin())
        return write_really(fd, parts, count, offset, flags);
    ssize_t written = write_really(fd, parts, count, offset, flags);
    if (written > 0)
        record_written(fd, parts, count, offset, flags, written);
    record_end();
    return written;
}

/* Every write ends here. Position -1 is the descriptor's own. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    struct iovec cut[PARTS_MAX];
    enum fault_verdict verdict = fault_decide(FAULT_WRITE, fd);
    if (verdict == VERDICT_FAIL)
        return -1;
    size_t length = parts_length(parts, count > 0 && count <= PARTS_MAX ? count : 0);
    if (verdict == VERDICT_SHORT && length > 1) {
        count = cut_parts(parts, count, length / 2, cut);
        parts = cut;
    }
    if (verdict == VERDICT_FLIP && length > 0) {
        struct iovec flipped = flip_parts(parts, count, length);
        ssize_t written = write_decided(fd, &flipped, 1, offset, flags);
        free(flipped.iov_base);
        return written;
    }
    return write_decided(fd, parts, count, offset, flags);
}

ssize_t write(int fd, const void *data, size_t length)
{
    if (!fault_watching())
        return REAL(write)(fd, data, length);
    const struct iovec part = {(void *)data, length};
    return write_parts(fd, &part, 1, CURRENT_POSITION, 0);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    if (!fault_watching() || offset < 0)
        return REAL(pwrite)(fd, data, length, offset);
    const struct iovec part = {(void *)data, length};
    return write_parts(fd, &part, 1, offset, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!fault_watching())
        return REAL(writev)(fd, parts, count);
    return write_parts(fd, parts, count, CURRENT_POSITION, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!fault_watching() || offset < 0)
        return REAL(pwritev)(fd, parts, count, offset);
    return write_parts(fd, parts, count, offset, 0);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!fault_watching())
        return REAL(pwritev2)(fd, parts, count, offset, flags);
    return write_parts(fd, parts, count, offset, flags);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length,
                        unsigned flags)
{
    if (!fault_watching())
        return REAL(copy_file_range)(from, from_offset, to, to_offset, length, flags);
    enum fault_verdict verdict = fault_decide(FAULT_WRITE, to);
    if (verdict == VERDICT_FAIL)
        return -1;
    if (verdict == VERDICT_SHORT && length > 1)
        length /= 2;
    if (!record_begin())
        return REAL(copy_file_range)(from, from_offset, to, to_offset, length, flags);
    ssize_t copied = REAL(copy_file_range)(from, from_offset, to, to_offset, length, flags);
    if (copied > 0) {
        off_t end = to_offset ? *to_offset : lseek(to, 0, SEEK_CUR);
        record_contents(to, (uint64_t)(end - copied), (uint64_t)copied);
    }
    record_end();
    return copied;
}

static ssize_t read_parts(int fd, const struct iovec *parts, int count, off_t offset)
{
    struct iovec cut[PARTS_MAX];
    enum fault_verdict verdict = fault_decide(FAULT_READ, fd);
    if (verdict == VERDICT_FAIL)
        return -1;
    size_t length = parts_length(parts, count > 0 && count <= PARTS_MAX ? count : 0);
    if (verdict == VERDICT_SHORT && length > 1) {
        count = cut_parts(parts, count, length / 2, cut);
        parts = cut;
    }
    if (offset == CURRENT_POSITION)
        return REAL(readv)(fd, parts, count);
    return REAL(preadv)(fd, parts, count, offset);
}

ssize_t read(int fd, void *data, size_t length)
{
    if (!fault_watching())
        return REAL(read)(fd, data, length);
    const struct iovec part = {data, length};
    return read_parts(fd, &part, 1, CURRENT_POSITION);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset)
{
    if (!fault_watching() || offset < 0)
        return REAL(pread)(fd, data, length, offset);
    const struct iovec part = {data, length};
    return read_parts(fd, &part, 1, offset);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
    if (!fault_watching())
        return REAL(readv)(fd, parts, count);
    return read_parts(fd, parts, count, CURRENT_POSITION);
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!fault_watching() || offset < 0)
        return REAL(preadv)(fd, parts, count, offset);
    return read_parts(fd, parts, count, offset);
}

typedef int sync_call(int fd);

static int sync_descriptor(int fd, sync_call *call)
{
    if (fault_decide(FAULT_SYNC, fd) == VERDICT_FAIL)
        return -1;
    if (fault_swallows(fd))
        return 0;
    if (!record_begin())
        return call(fd);
    int result = call(fd);
    if (result == 0)
        record_sync(fd);
    record_end();
    return result;
}

int fsync(int fd)
{
    return fault_watching() ? sync_descriptor(fd, REAL(fsync)) : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fault_watching() ? sync_descriptor(fd, REAL(fdatasync)) : REAL(fdatasync)(fd);
}

int syncfs(int fd)
{
    if (!fault_watching())
        return REAL(syncfs)(fd);
    if (fault_decide(FAULT_SYNC, fd) == VERDICT_FAIL)
        return -1;
    if (fault_swallows(fd))
        return 0;
    if (!record_begin())
        return REAL(syncfs)(fd);
    int result = REAL(syncfs)(fd);
    if (result == 0)
        record_sync_all();
    record_end();
    return result;
}

/* Starts writing without a promise: nothing is durable by it, so nothing is recorded. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags)
{
    if (fault_watching() && fault_decide(FAULT_SYNC, fd) == VERDICT_FAIL)
        return -1;
    return REAL(sync_file_range)(fd, offset, length, flags);
}

int ftruncate(int fd, off_t size)
{
    struct stat info;
    if (!fault_watching())
        return REAL(ftruncate)(fd, size);
    if (fault_decide(FAULT_SIZE, fd) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(ftruncate)(fd, size);
    int result = REAL(ftruncate)(fd, size);
    if (result == 0 && record_inode(fd, &info))
        record_size(&info);
    record_end();
    return result;
}

int truncate(const char *path, off_t size)
{
    struct stat info;
    if (!fault_watching())
        return REAL(truncate)(path, size);
    if (fault_decide_name(FAULT_SIZE, AT_FDCWD, path) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(truncate)(path, size);
    int result = REAL(truncate)(path, size);
    if (result == 0 && stat(path, &info) == 0)
        record_size(&info);
    record_end();
    return result;
}

static void record_allocated(int fd, int mode, off_t offset, off_t length)
{
    struct stat info;
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
        errno = ENOTSUP;
        fault_give_up("cannot record", "fallocate() that moves bytes");
    }
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        record_zero(fd, (uint64_t)offset, (uint64_t)length);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && record_inode(fd, &info))
        record_size(&info);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (!fault_watching())
        return REAL(fallocate)(fd, mode, offset, length);
    if (fault_decide(FAULT_SIZE, fd) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(fallocate)(fd, mode, offset, length);
    int result = REAL(fallocate)(fd, mode, offset, length);
    if (result == 0)
        record_allocated(fd, mode, offset, length);
    record_end();
    return result;
}

/* Answers an errno instead of setting it. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
    if (!fault_watching())
        return REAL(posix_fallocate)(fd, offset, length);
    if (fault_decide(FAULT_SIZE, fd) == VERDICT_FAIL)
        return errno;
    if (!record_begin())
        return REAL(posix_fallocate)(fd, offset, length);
    int result = REAL(posix_fallocate)(fd, offset, length);
    if (result == 0)
        record_allocated(fd, 0, offset, length);
    record_end();
    return result;
}

/* The shared, writable mappings that this process made while it was recorded. Under the lock. */
struct mapping {
    char *address;
    size_t length;
    uint64_t inode;
    off_t offset;
    char path[FAULT_PATH_MAX];
};
static struct mapping mappings[MAPPINGS_MAX];
static size_t mapping_turn;

static void record_mapping(int fd, void *address, size_t length, off_t offset)
{
    struct stat info;
    if (!record_inode(fd, &info))
        return;
    record_map(info.st_ino);
    struct mapping *mapping = &mappings[mapping_turn++ % MAPPINGS_MAX];
    *mapping = (struct mapping){address, length, info.st_ino, offset, ""};
    fault_path_of(fd, mapping->path);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    bool stores = fd >= 0 && (flags & MAP_TYPE) != MAP_PRIVATE && (protection & PROT_WRITE);
    if (!stores || !fault_watching())
        return REAL(mmap)(address, length, protection, flags, fd, offset);
    if (fault_decide(FAULT_MAP, fd) == VERDICT_FAIL)
        return MAP_FAILED;
    if (!record_begin())
        return REAL(mmap)(address, length, protection, flags, fd, offset);
    void *map = REAL(mmap)(address, length, protection, flags, fd, offset);
    if (map != MAP_FAILED)
        record_mapping(fd, map, length, offset);
    record_end();
    return map;
}

static const struct mapping *find_mapping(const char *address)
{
    for (size_t i = 1; i <= MAPPINGS_MAX; i++) {
        const struct mapping *mapping = &mappings[(mapping_turn - i) % MAPPINGS_MAX];
        if (address >= mapping->address && address < mapping->address + mapping->length)
            return mapping;
    }
    return NULL;
}

/* What lies in memory is what the sync has made durable. */
static void record_memory(char *address, size_t length)
{
    const struct mapping *mapping = find_mapping(address);
    struct stat info;
    if (!mapping || stat(mapping->path, &info) != 0 || info.st_ino != mapping->inode)
        return;
    off_t offset = mapping->offset + (address - mapping->address);
    if (offset >= info.st_size)
        return;
    if ((off_t)length > info.st_size - offset)
        length = (size_t)(info.st_size - offset);
    const struct iovec part = {address, length};
    record_write(info.st_ino, &part, 1, (uint64_t)offset, length, true);
}

static bool swallows_memory(const char *address)
{
    const struct mapping *mapping = find_mapping(address);
    return mapping && fault_swallows_path(mapping->path, false);
}

int msync(void *address, size_t length, int flags)
{
    if (!fault_watching() || !(flags & MS_SYNC))
        return REAL(msync)(address, length, flags);
    if (fault_decide(FAULT_SYNC, -1) == VERDICT_FAIL)
        return -1;
    if (!record_begin())
        return REAL(msync)(address, length, flags);
    int result = 0;
    if (swallows_memory(address)) {
        atomic_fetch_add(&fault_block()->swallowed, 1);
    } else {
        result = REAL(msync)(address, length, flags);
        if (result == 0)
            record_memory(address, length);
    }
    record_end();
    return result;
}

int close(int fd)
{
    if (!fault_watching() || fault_decide(FAULT_CLOSE, fd) != VERDICT_FAIL)
        return REAL(close)(fd);
    int error = errno;
    REAL(close)(fd);
    errno = error;
    return -1;
}

/* The names that libc's headers give the same calls: for large files, and with buffer checks. */

ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int)
    __attribute__((alias("pwritev2")));
ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));
ssize_t preadv64(int, const struct iovec *, int, off64_t) __attribute__((alias("preadv")));
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
int truncate64(const char *, off64_t) __attribute__((alias("truncate")));
int fallocate64(int, int, off64_t, off64_t) __attribute__((alias("fallocate")));
int posix_fallocate64(int, off64_t, off64_t) __attribute__((alias("posix_fallocate")));
void *mmap64(void *, size_t, int, int, int, off64_t) __attribute__((alias("mmap")));

ssize_t __read_chk(int fd, void *data, size_t length, size_t room);
ssize_t __read_chk(int fd, void *data, size_t length, size_t room)
{
    return length > room || !fault_watching() ? REAL(__read_chk)(fd, data, length, room)
                                              : read(fd, data, length);
}

ssize_t __pread_chk(int fd, void *data, size_t length, off_t offset, size_t room);
ssize_t __pread_chk(int fd, void *data, size_t length, off_t offset, size_t room)
{
    return length > room || !fault_watching() ? REAL(__pread_chk)(fd, data, length, offset, room)
                                              : pread(fd, data, length, offset);
}
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t) __attribute__((alias("__pread_chk")));
