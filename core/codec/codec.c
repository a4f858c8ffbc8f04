/* The table of codecs, the codec that does nothing, and the choice between it and zstd. */
#include "codec/codec.h"

#include "base/error.h"
#include "codec/zstd.h"

static size_t stored_bound(size_t length)
{
    return length;
}

static int stored_encode(struct codec_pool *pool, struct slice from, int level, struct buffer *out,
                         struct jini_error *error)
{
    (void)pool;
    if (level != CODEC_LEVEL_DEFAULT)
        return error_set(error, JINI_E_INVALID, "level",
                         "bytes stored as they are have no level %d: give 0", level);
    if (from.length > out->capacity - out->length)
        return error_set(error, JINI_E_TOO_BIG, "out", "%zu bytes do not fit the room of %zu",
                         from.length, out->capacity - out->length);
    buffer_append(out, from.data, from.length);
    return 0;
}

static int stored_decode(struct codec_pool *pool, struct slice from, size_t length,
                         struct buffer *out, struct jini_error *error)
{
    if (from.length != length)
        return error_set(error, JINI_E_CORRUPT, "stored",
                         "%zu bytes are stored as they are, their record says %zu", from.length,
                         length);
    return stored_encode(pool, from, CODEC_LEVEL_DEFAULT, out, error);
}

static int stored_verify(struct codec_pool *pool, struct slice encoded, struct slice original,
                         struct jini_error *error)
{
    (void)pool;
    if (slice_equal(encoded, original))
        return 0;
    return error_set(error, JINI_E_CORRUPT, "stored", "%zu stored bytes are not the %zu original",
                     encoded.length, original.length);
}

static const struct codec codecs[] = {
    {CODEC_STORED, 0, "stored", stored_bound, stored_encode, stored_decode, stored_verify},
    {CODEC_ZSTD, 1, "zstd", codec_zstd_bound, codec_zstd_compress, codec_zstd_decompress,
     codec_zstd_verify},
};

int codec_find(uint32_t id, uint32_t version, const struct codec **out, struct jini_error *error)
{
    const char *name = NULL;
    *out = NULL;
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        if (codecs[i].id != id)
            continue;
        if (codecs[i].version == version) {
            *out = &codecs[i];
            return 0;
        }
        name = codecs[i].name;
    }
    if (name)
        return error_set(error, JINI_E_FORMAT, "codec",
                         "version %u of codec %u (%s) is not one that this library reads: use a "
                         "newer one",
                         version, id, name);
    return error_set(error, JINI_E_FORMAT, "codec",
                     "codec %u (version %u) is not one that this library knows: use a newer one",
                     id, version);
}

size_t codec_smaller_bound(size_t length)
{
    return length - length / 50 - (length % 50 != 0);
}

int codec_compress_if_smaller(struct codec_pool *pool, struct slice from, int level,
                              struct buffer *out, struct codec_choice *choice,
                              struct jini_error *error)
{
    *choice = (struct codec_choice){0};
    size_t room = codec_smaller_bound(from.length);
    JINI_ASSERT(!out->overflow && room <= out->capacity - out->length);
    uint8_t *place = out->data ? out->data + out->length : NULL;
    struct buffer part = buffer_of(place, room);
    /*
     * What does not fit that much room does not save enough, and zstd stops as soon as it sees so.
     */
    int status = codec_zstd_compress(pool, from, level, &part, error);
    if (status == 0) {
        out->length += part.length;
        choice->bytes = buffer_slice(&part);
        return codec_find(CODEC_ZSTD, 1, &choice->codec, error);
    }
    if (status != JINI_E_TOO_BIG)
        return status;
    error_clear(error);
    choice->bytes = from;
    return codec_find(CODEC_STORED, 0, &choice->codec, error);
}

enum { SAMPLE_PIECES = 4, SAMPLE_PIECE_BYTES = 4096, SAMPLE_LEVEL = 1 };

/*
 * Pieces from the middle of each quarter: a file begins with headers and texts, which say little of
 * the pixels behind them.
 */
static struct slice take_sample(struct slice from, uint8_t room[SAMPLE_PIECES * SAMPLE_PIECE_BYTES])
{
    size_t between = (from.length - SAMPLE_PIECE_BYTES) / (2 * SAMPLE_PIECES);
    for (size_t i = 0; i < SAMPLE_PIECES; i++)
        memcpy(room + i * SAMPLE_PIECE_BYTES, from.data + between * (2 * i + 1),
               SAMPLE_PIECE_BYTES);
    return slice_of(room, SAMPLE_PIECES * SAMPLE_PIECE_BYTES);
}

bool codec_looks_compressible(struct codec_pool *pool, struct slice from)
{
    uint8_t sample[SAMPLE_PIECES * SAMPLE_PIECE_BYTES];
    uint8_t small[sizeof(sample)];
    struct jini_error ignored;
    if (from.length > sizeof(sample))
        from = take_sample(from, sample);
    struct buffer out = buffer_of(small, from.length - from.length / CODEC_CLEAR_SAVING);
    return from.length >= CODEC_CLEAR_SAVING &&
           codec_zstd_compress(pool, from, SAMPLE_LEVEL, &out, &ignored) == 0;
}
