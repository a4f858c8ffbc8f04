/* XXH3 through libxxhash. */
#include "base/hash.h"

#include "base/alloc.h"

#include <xxhash.h>

/*
 * The library's plain entry points use the vectors of the baseline CPU; these choose by the CPU at
 * hand.
 */
#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#endif

struct hash_stream {
    XXH3_state_t *state;
};

static struct hash128 canonical(XXH128_hash_t value)
{
    struct hash128 out;
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, value);
    memcpy(out.bytes, bytes.digest, sizeof(out.bytes));
    return out;
}

uint64_t hash64(struct slice data)
{
    return XXH3_64bits(data.data, data.length);
}

uint64_t hash64_seeded(struct slice data, uint64_t seed)
{
    return XXH3_64bits_withSeed(data.data, data.length, seed);
}

struct hash128 hash128(struct slice data)
{
    return canonical(XXH3_128bits(data.data, data.length));
}

struct hash_stream *hash_stream_new(void)
{
    struct hash_stream *stream = base_malloc(sizeof(*stream));
    if (!stream)
        return NULL;
    stream->state = XXH3_createState();
    if (!stream->state) {
        base_free(stream);
        return NULL;
    }
    hash_stream_reset(stream);
    return stream;
}

void hash_stream_free(struct hash_stream *stream)
{
    if (!stream)
        return;
    XXH3_freeState(stream->state);
    base_free(stream);
}

void hash_stream_reset(struct hash_stream *stream)
{
    XXH3_128bits_reset(stream->state);
}

void hash_stream_add(struct hash_stream *stream, struct slice data)
{
    if (data.length)
        XXH3_128bits_update(stream->state, data.data, data.length);
}

struct hash128 hash_stream_128(const struct hash_stream *stream)
{
    return canonical(XXH3_128bits_digest(stream->state));
}
