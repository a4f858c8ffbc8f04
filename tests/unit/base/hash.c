/* Checksums. */
#include "base/hash.h"

#include "harness.h"

static void hex(const struct hash128 *hash, char text[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        text[2 * i] = digits[hash->bytes[i] >> 4];
        text[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    text[32] = '\0';
}

TEST(values_are_xxh3, "The checksums are XXH3 as published, so that any tool can compute them.")
{
    char text[33];
    struct hash128 empty = hash128(slice_of("", 0));
    hex(&empty, text);
    CHECK_TEXT(text, "99aa06d3014798d86001c324468d497f");
    CHECK_UINT(hash64(slice_of("", 0)), ==, UINT64_C(0x2d06800538d394c2));
}

TEST(pieces_hash_as_the_whole, "A stream fed in pieces of any length has the hash of the whole.")
{
    static uint8_t bytes[70000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)harness_random();
    struct hash_stream *stream = hash_stream_new();
    CHECK(stream);
    for (int round = 0; round < 200; round++) {
        size_t length = harness_random_below(sizeof(bytes) + 1);
        struct hash128 whole = hash128(slice_of(bytes, length));
        hash_stream_reset(stream);
        size_t at = 0;
        while (at < length) {
            size_t piece = 1 + harness_random_below(length - at);
            hash_stream_add(stream, slice_of(bytes + at, piece));
            at += piece;
        }
        struct hash128 pieces = hash_stream_128(stream);
        CHECK(hash128_equal(&whole, &pieces));
    }
    hash_stream_free(stream);
}
