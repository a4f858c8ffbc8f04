/*
 * Checksums: XXH3 (https://xxhash.com), 64 and 128 bits, for bytes that may rot. They are no
 * defence against somebody who chooses the bytes; crypto.h has the keyed hash for that.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/bytes.h"

/* XXH3-128 in its canonical form, most significant byte first. */
struct hash128 {
    uint8_t bytes[16];
};

uint64_t hash64(struct slice data);
uint64_t hash64_seeded(struct slice data, uint64_t seed);
struct hash128 hash128(struct slice data);

static inline bool hash128_equal(const struct hash128 *a, const struct hash128 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Hashing in pieces gives the same value as hashing the whole. */
struct hash_stream;
struct hash_stream *hash_stream_new(void); /* NULL when out of memory */
void hash_stream_free(struct hash_stream *stream);
void hash_stream_reset(struct hash_stream *stream);
void hash_stream_add(struct hash_stream *stream, struct slice data);
struct hash128 hash_stream_128(const struct hash_stream *stream);

#endif
