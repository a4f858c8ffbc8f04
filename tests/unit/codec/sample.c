/* The guess whether bytes are worth coding. */
#include "codec/codec.h"

#include "harness.h"

#include <stdlib.h>

enum { LENGTH = 1 << 20 };

static uint8_t *noise(size_t length)
{
    uint8_t *bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)harness_random();
    return bytes;
}

static bool guess(const uint8_t *bytes, size_t length)
{
    struct codec_pool pool;
    codec_pool_init(&pool);
    bool first = codec_looks_compressible(&pool, slice_of(bytes, length));
    CHECK(codec_looks_compressible(&pool, slice_of(bytes, length)) == first);
    CHECK(codec_looks_compressible(NULL, slice_of(bytes, length)) == first);
    codec_pool_clear(&pool);
    return first;
}

TEST(noise_is_not_worth_coding, "Noise of any length is not worth it, also behind a long text.")
{
    uint8_t *bytes = noise(LENGTH);
    for (size_t length = 0; length < 100; length++)
        CHECK(!guess(bytes, length));
    for (size_t length = 100; length <= LENGTH; length += 1 + length / 3)
        CHECK(!guess(bytes, length));
    memset(bytes, 'x', LENGTH / 10);
    CHECK(!guess(bytes, LENGTH));
    free(bytes);
}

TEST(what_repeats_is_worth_coding, "Bytes of two bits each are worth it, at any length but a few.")
{
    uint8_t *bytes = noise(LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] &= 3;
    for (size_t length = 200; length <= LENGTH; length += 1 + length / 3)
        CHECK(guess(bytes, length));
    free(bytes);
}

TEST(the_guess_sees_all_quarters, "What compresses in one quarter of four is enough.")
{
    for (int quarter = 0; quarter < 4; quarter++) {
        uint8_t *bytes = noise(LENGTH);
        memset(bytes + quarter * (LENGTH / 4), 'x', LENGTH / 4);
        CHECK(guess(bytes, LENGTH));
        free(bytes);
    }
}
