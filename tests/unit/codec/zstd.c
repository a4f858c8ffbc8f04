/* Compressing one buffer, the table of codecs, and the pool that threads share. */
#include "codec/zstd.h"

#include "make.h"

#include <jini/status.h>
#include <pthread.h>
#include <sys/resource.h>
#include <zstd.h>

enum { SAMPLE_BYTES = 100000 };

/* Bytes of which about `noise` in 256 are random. */
static void fill(uint8_t *bytes, size_t length, unsigned noise)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] =
            harness_random_below(256) < noise ? (uint8_t)harness_random() : (uint8_t)(i / 64);
}

TEST(bytes_come_back, "Every codec, length and level gives back exactly what was encoded.")
{
    static const size_t lengths[] = {0, 1, 2, 63, 1000, 65536, SAMPLE_BYTES};
    static uint8_t bytes[SAMPLE_BYTES];
    static uint8_t encoded[SAMPLE_BYTES * 2];
    static uint8_t decoded[SAMPLE_BYTES];
    struct codec_pool pool;
    codec_pool_init(&pool);
    for (unsigned id = CODEC_STORED; id <= CODEC_ZSTD; id++) {
        const struct codec *codec;
        struct jini_error error;
        CHECK_OK(codec_find(id, id, &codec, &error));
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            fill(bytes, lengths[i], (unsigned)harness_random_below(257));
            int level = id == CODEC_ZSTD ? (int)harness_random_below(20) : 0;
            struct slice original = slice_of(bytes, lengths[i]);
            struct buffer out = buffer_of(encoded, sizeof(encoded));
            buffer_append_byte(&out, 'x');
            CHECK_OK(codec->encode(i & 1 ? &pool : NULL, original, level, &out, &error));
            struct slice stored = slice_of(encoded + 1, out.length - 1);
            CHECK_UINT(stored.length, <=, codec->bound(lengths[i]));
            CHECK_OK(codec->verify(&pool, stored, original, &error));
            struct buffer back = buffer_of(decoded, lengths[i]);
            CHECK_OK(codec->decode(&pool, stored, lengths[i], &back, &error));
            CHECK(slice_equal(buffer_slice(&back), original));
        }
    }
    codec_pool_clear(&pool);
    codec_pool_clear(&pool);
}

TEST(unknown_codecs_are_named,
     "An id or version that is not in the table is E_FORMAT with its number.")
{
    const struct codec *codec;
    struct jini_error error;
    CHECK_STATUS(codec_find(7, 1, &codec, &error), JINI_E_FORMAT);
    CHECK(codec == NULL);
    CHECK_CONTAINS(error.message, "codec 7");
    CHECK_STATUS(codec_find(CODEC_ZSTD, 9, &codec, &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "version 9 of codec 1 (zstd)");
    CHECK_STATUS(codec_find(CODEC_STORED, 1, &codec, &error), JINI_E_FORMAT);
    CHECK_STATUS(codec_find(65536 + CODEC_ZSTD, 1, &codec, &error), JINI_E_FORMAT);
    CHECK_STATUS(codec_find(CODEC_ZSTD, 65537, &codec, NULL), JINI_E_FORMAT);
}

static size_t compress_sample(uint8_t *bytes, unsigned noise, uint8_t *encoded, size_t capacity)
{
    fill(bytes, SAMPLE_BYTES, noise);
    struct buffer out = buffer_of(encoded, capacity);
    CHECK_OK(codec_zstd_compress(NULL, slice_of(bytes, SAMPLE_BYTES), 3, &out, NULL));
    return out.length;
}

TEST(wrong_lengths_are_corrupt, "What the record says and what the frame holds must be the same.")
{
    static uint8_t bytes[SAMPLE_BYTES];
    static uint8_t encoded[SAMPLE_BYTES * 2];
    static uint8_t decoded[SAMPLE_BYTES + 1];
    size_t length = compress_sample(bytes, 50, encoded, sizeof(encoded));
    struct jini_error error;
    struct slice frame = slice_of(encoded, length);
    struct buffer out = buffer_of(decoded, sizeof(decoded));
    CHECK_STATUS(codec_zstd_decompress(NULL, frame, SAMPLE_BYTES - 1, &out, &error),
                 JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, frame, SAMPLE_BYTES + 1, &out, &error),
                 JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, frame, SIZE_MAX, &out, &error), JINI_E_CORRUPT);
    out = buffer_of(decoded, SAMPLE_BYTES - 1);
    CHECK_STATUS(codec_zstd_decompress(NULL, frame, SAMPLE_BYTES, &out, &error), JINI_E_TOO_BIG);
    CHECK_UINT(out.length, ==, 0);
    bytes[SAMPLE_BYTES / 2] ^= 1;
    CHECK_STATUS(codec_zstd_verify(NULL, frame, slice_of(bytes, SAMPLE_BYTES), &error),
                 JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_verify(NULL, frame, slice_of(bytes, SAMPLE_BYTES - 1), &error),
                 JINI_E_CORRUPT);
}

TEST(only_one_plain_frame_is_taken,
     "Two frames, a skippable frame, cut or trailing bytes and an unsaid size are refused.")
{
    static const uint8_t skippable[] = {0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    static const uint8_t before_rfc[] = {0x25, 0xB5, 0x2F, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0};
    struct made frame = {0};
    uint8_t packed[64];
    uint8_t back[64];
    size_t length = ZSTD_compress(packed, sizeof(packed), "abcd", 4, 1);
    CHECK(!ZSTD_isError(length));
    struct jini_error error;
    struct buffer out = buffer_of(back, sizeof(back));
    CHECK_OK(codec_zstd_decompress(NULL, slice_of(packed, length), 4, &out, &error));
    made_add(&frame, packed, length);
    made_add(&frame, packed, length);
    CHECK_STATUS(codec_zstd_decompress(NULL, made_slice(&frame), 4, &out, &error), JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, made_slice(&frame), 8, &out, &error), JINI_E_CORRUPT);
    frame.length = length;
    made_add(&frame, skippable, sizeof(skippable));
    CHECK_STATUS(codec_zstd_decompress(NULL, made_slice(&frame), 4, &out, &error), JINI_E_CORRUPT);
    frame.length = length - 1;
    CHECK_STATUS(codec_zstd_decompress(NULL, made_slice(&frame), 4, &out, &error), JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, slice_of(skippable, 12), 0, &out, &error),
                 JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, slice_of(before_rfc, 12), 0, &out, &error),
                 JINI_E_CORRUPT);
    CHECK_STATUS(codec_zstd_decompress(NULL, slice_of(NULL, 0), 0, &out, &error), JINI_E_CORRUPT);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    CHECK(context != NULL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    length = ZSTD_compress2(context, packed, sizeof(packed), "abcd", 4);
    ZSTD_freeCCtx(context);
    CHECK_STATUS(codec_zstd_decompress(NULL, slice_of(packed, length), 4, &out, &error),
                 JINI_E_CORRUPT);
    CHECK_UINT(out.length, ==, 4);
    made_free(&frame);
}

TEST(mutated_frames_stay_in_bounds,
     "A frame with changed bytes is refused, or gives the length that the record says.")
{
    enum { SMALL = 2000 };
    uint8_t bytes[SMALL];
    uint8_t encoded[SMALL * 2];
    struct codec_pool pool;
    codec_pool_init(&pool);
    unsigned given = 0;
    for (unsigned i = 0; i < 20000 * harness_scale(); i++) {
        fill(bytes, SMALL, (unsigned)harness_random_below(257));
        struct buffer out = buffer_of(encoded, sizeof(encoded));
        CHECK_OK(codec_zstd_compress(&pool, slice_of(bytes, SMALL), 1, &out, NULL));
        size_t length = harness_random_below(8) ? out.length : harness_random_below(out.length);
        uint8_t *copy = exact_copy(encoded, length);
        for (unsigned flips = 1 + (unsigned)harness_random_below(4); length && flips; flips--)
            copy[harness_random_below(length)] ^= (uint8_t)(1 + harness_random_below(255));
        uint8_t *decoded = malloc(SMALL);
        CHECK(decoded != NULL);
        struct buffer back = buffer_of(decoded, SMALL);
        struct jini_error error;
        int status = codec_zstd_decompress(&pool, slice_of(copy, length), SMALL, &back, &error);
        if (status == 0) {
            CHECK_UINT(back.length, ==, SMALL);
            given++;
        } else {
            CHECK_STATUS(status, JINI_E_CORRUPT);
            CHECK_UINT(back.length, ==, 0);
        }
        free(decoded);
        free(copy);
    }
    CHECK_UINT(given, >, 0);
    codec_pool_clear(&pool);
}

TEST(levels_out_of_range_are_refused, "A level that zstd has not is E_INVALID and names the range.")
{
    uint8_t room[64];
    struct buffer out = buffer_of(room, sizeof(room));
    struct jini_error error;
    CHECK_STATUS(codec_zstd_compress(NULL, slice_of_text("x"), 20, &out, &error), JINI_E_INVALID);
    CHECK_CONTAINS(error.message, "20 is not between 1 and 19");
    CHECK_STATUS(codec_zstd_compress(NULL, slice_of_text("x"), -1, &out, &error), JINI_E_INVALID);
    struct codec_choice choice;
    CHECK_STATUS(codec_compress_if_smaller(NULL, slice_of_text("x"), 99, &out, &choice, &error),
                 JINI_E_INVALID);
    CHECK(choice.codec == NULL);
    const struct codec *stored;
    CHECK_OK(codec_find(CODEC_STORED, 0, &stored, &error));
    CHECK_STATUS(stored->encode(NULL, slice_of_text("x"), 3, &out, &error), JINI_E_INVALID);
}

TEST(small_gains_are_not_taken,
     "Bytes are compressed when that saves two percent, else kept as they are.")
{
    static uint8_t bytes[SAMPLE_BYTES];
    static uint8_t room[SAMPLE_BYTES];
    bool compressed = false;
    bool kept = false;
    struct jini_error error;
    for (unsigned noise = 0; noise <= 256; noise += 4) {
        fill(bytes, SAMPLE_BYTES, noise);
        struct slice from = slice_of(bytes, SAMPLE_BYTES);
        static uint8_t whole[SAMPLE_BYTES * 2];
        struct buffer all = buffer_of(whole, sizeof(whole));
        CHECK_OK(codec_zstd_compress(NULL, from, 0, &all, NULL));
        struct buffer out = buffer_of(room, codec_smaller_bound(SAMPLE_BYTES));
        struct codec_choice choice;
        CHECK_OK(codec_compress_if_smaller(NULL, from, 0, &out, &choice, &error));
        if (choice.codec->id == CODEC_ZSTD) {
            compressed = true;
            CHECK_UINT(choice.bytes.length, <=, SAMPLE_BYTES / 100 * 98);
            CHECK_UINT(out.length, ==, choice.bytes.length);
            CHECK_OK(choice.codec->verify(NULL, choice.bytes, from, &error));
        } else {
            kept = true;
            CHECK_UINT(all.length, >=, SAMPLE_BYTES / 100 * 98 - 64);
            CHECK(choice.bytes.data == bytes && choice.bytes.length == SAMPLE_BYTES);
            CHECK_UINT(out.length, ==, 0);
        }
    }
    CHECK(compressed && kept);
}

TEST(two_percent_is_rounded_down, "The room is 98 percent, and nothing for nothing.")
{
    CHECK_UINT(codec_smaller_bound(0), ==, 0);
    CHECK_UINT(codec_smaller_bound(1), ==, 0);
    CHECK_UINT(codec_smaller_bound(50), ==, 49);
    CHECK_UINT(codec_smaller_bound(51), ==, 49);
    CHECK_UINT(codec_smaller_bound(1000), ==, 980);
    struct buffer out = buffer_of(NULL, 0);
    struct codec_choice choice;
    CHECK_OK(codec_compress_if_smaller(NULL, slice_of(NULL, 0), 0, &out, &choice, NULL));
    CHECK_INT(choice.codec->id, ==, CODEC_STORED);
}

struct hammer {
    struct codec_pool *pool;
    unsigned number;
    bool ok;
};

static void *hammer_run(void *argument)
{
    enum { BYTES = 3000 };
    struct hammer *hammer = argument;
    uint8_t bytes[BYTES];
    uint8_t encoded[BYTES * 2];
    uint8_t decoded[BYTES];
    hammer->ok = true;
    for (unsigned i = 0; i < 2000 && hammer->ok; i++) {
        for (unsigned b = 0; b < BYTES; b++)
            bytes[b] = (uint8_t)(b % (7 + i % 50) * (hammer->number + 1));
        struct slice original = slice_of(bytes, BYTES - i % 1000);
        struct buffer out = buffer_of(encoded, sizeof(encoded));
        struct buffer back = buffer_of(decoded, sizeof(decoded));
        hammer->ok = codec_zstd_compress(hammer->pool, original, 1, &out, NULL) == 0 &&
                     codec_zstd_decompress(hammer->pool, buffer_slice(&out), original.length, &back,
                                           NULL) == 0 &&
                     slice_equal(buffer_slice(&back), original);
    }
    return NULL;
}

TEST(threads_share_a_pool,
     "More threads than slots compress and decompress at once, each its own bytes.")
{
    enum { THREADS = CODEC_POOL_SLOTS + 2 };
    struct codec_pool pool;
    codec_pool_init(&pool);
    pthread_t threads[THREADS];
    struct hammer hammers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){&pool, i, false};
        CHECK_INT(pthread_create(&threads[i], NULL, hammer_run, &hammers[i]), ==, 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), ==, 0);
        CHECK(hammers[i].ok);
    }
    codec_pool_clear(&pool);
}

TEST(pool_keeps_no_large_context, "What level 19 took for a large input is given back.")
{
    size_t length = (size_t)4 << 20;
    uint8_t *bytes = calloc(1, length);
    uint8_t *room = malloc(length);
    CHECK(bytes && room);
    struct codec_pool pool;
    codec_pool_init(&pool);
    struct buffer out = buffer_of(room, length);
    CHECK_OK(codec_zstd_compress(&pool, slice_of(bytes, length), 19, &out, NULL));
    for (int i = 0; i < CODEC_POOL_SLOTS; i++)
        CHECK(atomic_load(&pool.compressors[i]) == NULL);
    out.length = 0;
    CHECK_OK(codec_zstd_compress(&pool, slice_of(bytes, length), 3, &out, NULL));
    CHECK(atomic_load(&pool.compressors[0]) != NULL);
    codec_pool_clear(&pool);
    free(bytes);
    free(room);
}

TEST(no_memory_is_an_error, "When the heap gives out, the call says so and leaves nothing behind.")
{
    uint8_t packed[64];
    struct buffer out = buffer_of(packed, sizeof(packed));
    CHECK_OK(codec_zstd_compress(NULL, slice_of_text("abcd"), 0, &out, NULL));
    struct jini_error error;
    harness_fail_allocation(1);
    CHECK_STATUS(codec_zstd_verify(NULL, buffer_slice(&out), slice_of_text("abcd"), &error),
                 JINI_E_NO_MEMORY);
    CHECK(harness_allocation_failed());
    CHECK_OK(codec_zstd_verify(NULL, buffer_slice(&out), slice_of_text("abcd"), &error));
    if (harness_sanitized())
        return; /* the limit below would stop the sanitizer itself */
    size_t length = (size_t)16 << 20;
    uint8_t *bytes = calloc(1, length);
    uint8_t *room = malloc(length);
    CHECK(bytes && room);
    struct rlimit limit = {(rlim_t)64 << 20, (rlim_t)64 << 20};
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), ==, 0);
    out = buffer_of(room, length);
    CHECK_STATUS(codec_zstd_compress(NULL, slice_of(bytes, length), 19, &out, &error),
                 JINI_E_NO_MEMORY);
    CHECK_UINT(out.length, ==, 0);
    free(bytes);
    free(room);
}
