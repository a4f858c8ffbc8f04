/* The disk and the page cache used directly. Errors end the process. */
#ifndef PEERS_DISK_H
#define PEERS_DISK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Syncs per second of a program that does nothing else: 4 KiB appended to a file of allocated
 * blocks, fdatasync, and again, for `seconds`.
 */
double disk_syncs_per_s(const char *directory, double seconds);

/*
 * Writes `count` times the next of `pieces` at the end of a new file, with `syncs` fdatasyncs
 * spread evenly; seconds.
 */
struct disk_piece {
    const void *bytes;
    size_t length;
};
double disk_write_s(const char *directory, const struct disk_piece *pieces, uint64_t piece_count,
                    uint64_t count, uint64_t syncs);

/* XXH3-128 by the entry point that chooses by the CPU at hand. */
struct disk_hash {
    uint64_t low;
    uint64_t high;
};
struct disk_hash disk_hash(const void *bytes, size_t length);

/* Reads `length` bytes at `offset`, by as few pread calls as it takes. */
void disk_read(int descriptor, void *buffer, size_t length, uint64_t offset);

#endif
