/* See disk.h. */
#include "peers/disk.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

enum { PAGE_BYTES = 4096, FILE_PAGES = 1024 };

static int open_scratch(const char *directory, char path[4200])
{
    snprintf(path, 4200, "%s/scratch", directory);
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0)
        bench_fail("cannot make %s: %s", path, strerror(errno));
    return descriptor;
}

static void write_all(int descriptor, const void *bytes, size_t length, uint64_t offset)
{
    const uint8_t *from = bytes;
    while (length > 0) {
        ssize_t written = pwrite(descriptor, from, length, (off_t)offset);
        if (written <= 0)
            bench_fail("pwrite: %s", strerror(errno));
        from += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
}

static void sync_data(int descriptor)
{
    if (fdatasync(descriptor) != 0)
        bench_fail("fdatasync: %s", strerror(errno));
}

double disk_syncs_per_s(const char *directory, double seconds)
{
    char path[4200];
    static uint8_t page[PAGE_BYTES];
    int descriptor = open_scratch(directory, path);
    for (uint64_t i = 0; i < FILE_PAGES; i++)
        write_all(descriptor, page, sizeof(page), i * PAGE_BYTES);
    sync_data(descriptor);
    uint64_t begin = bench_now_ns();
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    uint64_t syncs = 0;
    while (bench_now_ns() < end || syncs == 0) {
        page[0]++;
        write_all(descriptor, page, sizeof(page), syncs % FILE_PAGES * PAGE_BYTES);
        sync_data(descriptor);
        syncs++;
    }
    double rate = (double)syncs / ((double)(bench_now_ns() - begin) / 1e9);
    close(descriptor);
    unlink(path);
    return rate;
}

double disk_write_s(const char *directory, const struct disk_piece *pieces, uint64_t piece_count,
                    uint64_t count, uint64_t syncs)
{
    char path[4200];
    int descriptor = open_scratch(directory, path);
    uint64_t offset = 0;
    uint64_t synced = 0;
    uint64_t begin = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        const struct disk_piece *piece = &pieces[i % piece_count];
        write_all(descriptor, piece->bytes, piece->length, offset);
        offset += piece->length;
        for (; synced < (i + 1) * syncs / count; synced++)
            sync_data(descriptor);
    }
    if (synced == 0)
        sync_data(descriptor);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    close(descriptor);
    unlink(path);
    return seconds;
}

struct disk_hash disk_hash(const void *bytes, size_t length)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, length);
    return (struct disk_hash){hash.low64, hash.high64};
}

void disk_read(int descriptor, void *buffer, size_t length, uint64_t offset)
{
    uint8_t *to = buffer;
    while (length > 0) {
        ssize_t got = pread(descriptor, to, length, (off_t)offset);
        if (got <= 0)
            bench_fail("pread: %s", got ? strerror(errno) : "the file is too short");
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
}
