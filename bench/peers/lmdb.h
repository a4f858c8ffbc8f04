/*
 * LMDB used directly, as a program would that has no Jini: one thread, one transaction at a time.
 * Errors end the process.
 */
#ifndef PEERS_LMDB_H
#define PEERS_LMDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw;

enum raw_mode {
    RAW_SYNCED,   /* every commit is durable */
    RAW_UNSYNCED, /* as Jini's store.sync=none */
    RAW_READ_ONLY
};

struct raw_bytes {
    const void *data;
    size_t length;
};

struct raw *raw_open(const char *directory, enum raw_mode mode);
void raw_close(struct raw *raw);

/* Syncs what an unsynced program has written, and every commit from now on. */
void raw_sync_from_now(struct raw *raw);

/*
 * Opens the database of a directory anew without its free pages. Spaces are to be asked for again.
 */
void raw_compact(struct raw *raw, const char *directory);

/* A named database, made unless the mode is RAW_READ_ONLY; a number for the calls below. */
unsigned raw_space(struct raw *raw, const char *name);

/* A write transaction; one at a time. */
void raw_begin(struct raw *raw);
void raw_put(struct raw *raw, unsigned space, struct raw_bytes key, struct raw_bytes value);
void raw_delete(struct raw *raw, unsigned space, struct raw_bytes key);
void raw_commit(struct raw *raw);

/*
 * Renews the read transaction, copies a value of at most `capacity` bytes and gives the snapshot
 * back. Returns the length.
 */
size_t raw_get(struct raw *raw, unsigned space, struct raw_bytes key, void *value, size_t capacity);

/* The key of record `number` of a program that numbers its records. */
enum { RAW_NUMBER_BYTES = 4 };
static inline struct raw_bytes raw_number(uint64_t number, uint8_t key[RAW_NUMBER_BYTES])
{
    for (int i = 0; i < RAW_NUMBER_BYTES; i++)
        key[i] = (uint8_t)(number >> 8 * (RAW_NUMBER_BYTES - 1 - i));
    return (struct raw_bytes){key, RAW_NUMBER_BYTES};
}

/* Looks a record up on a snapshot that stays open, without copying it. Returns the length. */
size_t raw_find(struct raw *raw, unsigned space, struct raw_bytes key);

/* Gives that snapshot back. */
void raw_find_end(struct raw *raw);

/*
 * Copies the values of a space of another environment, in order, as records 1, 2, 3 and so on of
 * `space`. Returns how many there were.
 */
uint64_t raw_copy_values(struct raw *raw, unsigned space, struct raw *from, unsigned from_space);

/* Bytes that this thread has given to write calls, from /proc. */
uint64_t raw_bytes_written(void);

#endif
