/* Checksums: the values are on disk, so they must be those of every other XXH3. */
#include "base/hash.h"

#include "harness.h"

static uint8_t thousand[1000];

static void fill_thousand(void)
{
    for (size_t i = 0; i < sizeof(thousand); i++)
        thousand[i] = (uint8_t)(i % 251);
}

static void check_128(struct slice data, const char *expected)
{
    struct hash128 hash = hash128(data);
    CHECK_BYTES(hash.bytes, expected, sizeof(hash.bytes));
}

TEST(values_are_those_of_xxhsum,
     "64 and 128 bits agree with `xxhsum -H3` and `xxhsum -H2` of xxHash 0.8.1.")
{
    fill_thousand();
    CHECK_UINT(hash64(slice_of(NULL, 0)), ==, UINT64_C(0x2d06800538d394c2));
    CHECK_UINT(hash64(slice_of_text("jini")), ==, UINT64_C(0xa8c3820cbb4cf691));
    CHECK_UINT(hash64(slice_of(thousand, sizeof(thousand))), ==, UINT64_C(0x33ef703fb2b20ed1));
    check_128(slice_of(NULL, 0),
              "\x99\xaa\x06\xd3\x01\x47\x98\xd8\x60\x01\xc3\x24\x46\x8d\x49\x7f");
    check_128(slice_of_text("jini"),
              "\x2d\x45\x65\x7c\x22\x89\xee\x62\x4a\x26\xc9\xcc\x38\xe3\x30\x0a");
    check_128(slice_of(thousand, sizeof(thousand)),
              "\x18\xbf\x41\xbc\x82\x29\xe2\x77\x33\xef\x70\x3f\xb2\xb2\x0e\xd1");
}

TEST(a_seed_changes_the_value, "Seed 0 is the plain hash, and another seed is another hash.")
{
    struct slice data = slice_of_text("jini");
    CHECK_UINT(hash64_seeded(data, 0), ==, hash64(data));
    CHECK_UINT(hash64_seeded(data, 1), !=, hash64(data));
    CHECK_UINT(hash64_seeded(data, 1), !=, hash64_seeded(data, 2));
}

TEST(pieces_hash_like_the_whole, "However the bytes are cut, a stream gives the hash of them all.")
{
    static uint8_t bytes[20000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)harness_random();
    struct hash_stream *stream = hash_stream_new();
    CHECK(stream != NULL);
    for (int round = 0; round < 200; round++) {
        size_t length = harness_random_below(sizeof(bytes));
        hash_stream_reset(stream);
        for (size_t at = 0; at < length;) {
            size_t piece = harness_random_below(length - at + 1);
            hash_stream_add(stream, slice_of(bytes + at, piece));
            at += piece;
        }
        struct hash128 pieces = hash_stream_128(stream);
        struct hash128 whole = hash128(slice_of(bytes, length));
        CHECK(hash128_equal(&pieces, &whole));
    }
    hash_stream_free(stream);
    hash_stream_free(NULL);
}

TEST(any_flipped_bit_changes_the_value, "A single wrong bit is seen, by either width.")
{
    fill_thousand();
    struct slice data = slice_of(thousand, sizeof(thousand));
    struct hash128 good = hash128(data);
    uint64_t good64 = hash64(data);
    for (size_t bit = 0; bit < sizeof(thousand) * 8; bit++) {
        thousand[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct hash128 bad = hash128(data);
        CHECK(!hash128_equal(&good, &bad));
        CHECK_UINT(hash64(data), !=, good64);
        thousand[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(a_stream_without_memory_is_null, "hash_stream_new answers NULL when its allocation fails.")
{
    harness_fail_allocation(1);
    CHECK(hash_stream_new() == NULL);
    CHECK(harness_allocation_failed());
    harness_fail_allocation(0);
    struct hash_stream *stream = hash_stream_new();
    CHECK(stream != NULL);
    hash_stream_free(stream);
}
