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
