/* Zstandard behind the codec interface, and the pool of its contexts. */
#include "codec/zstd.h"

#include "base/alloc.h"
#include "base/error.h"

#include <zstd.h>
#include <zstd_errors.h>

/* A context larger than this is not kept: level 19 on a large input takes 80 MiB. */
#define CONTEXT_BYTES_KEPT ((size_t)4 << 20)

/*
 * A slot is taken and filled by exchanging the whole pointer, so that no context is ever seen by
 * two threads and there is no list to be corrupted by an address that comes back.
 */
static void *slot_take(_Atomic(void *) *slots)
{
    for (int i = 0; i < CODEC_POOL_SLOTS; i++) {
        if (!atomic_load_explicit(&slots[i], memory_order_relaxed))
            continue;
        void *context = atomic_exchange_explicit(&slots[i], NULL, memory_order_acquire);
        if (context)
            return context;
    }
    return NULL;
}

static bool slot_put(_Atomic(void *) *slots, void *context)
{
    for (int i = 0; i < CODEC_POOL_SLOTS; i++) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&slots[i], &empty, context,
                                                    memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}

static ZSTD_CCtx *compressor_take(struct codec_pool *pool)
{
    ZSTD_CCtx *context = pool ? slot_take(pool->compressors) : NULL;
    return context ? context : ZSTD_createCCtx();
}

static void compressor_put(struct codec_pool *pool, ZSTD_CCtx *context)
{
    if (!context)
        return;
    if (!pool || ZSTD_sizeof_CCtx(context) > CONTEXT_BYTES_KEPT ||
        !slot_put(pool->compressors, context))
        ZSTD_freeCCtx(context);
}

static ZSTD_DCtx *decompressor_take(struct codec_pool *pool)
{
    ZSTD_DCtx *context = pool ? slot_take(pool->decompressors) : NULL;
    return context ? context : ZSTD_createDCtx();
}

static void decompressor_put(struct codec_pool *pool, ZSTD_DCtx *context)
{
    if (!context)
        return;
    if (!pool || ZSTD_sizeof_DCtx(context) > CONTEXT_BYTES_KEPT ||
        !slot_put(pool->decompressors, context))
        ZSTD_freeDCtx(context);
}

void codec_pool_init(struct codec_pool *pool)
{
    for (int i = 0; i < CODEC_POOL_SLOTS; i++) {
        atomic_init(&pool->compressors[i], NULL);
        atomic_init(&pool->decompressors[i], NULL);
    }
}

void codec_pool_clear(struct codec_pool *pool)
{
    for (int i = 0; i < CODEC_POOL_SLOTS; i++) {
        ZSTD_freeCCtx(atomic_exchange(&pool->compressors[i], NULL));
        ZSTD_freeDCtx(atomic_exchange(&pool->decompressors[i], NULL));
    }
}

size_t codec_zstd_bound(size_t length)
{
    return ZSTD_compressBound(length);
}

static int compress_failed(size_t result, struct slice from, size_t room, struct jini_error *error)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_dstSize_tooSmall:
        return error_set(
            error, JINI_E_TOO_BIG, "out",
            "%zu bytes do not compress into %zu: give codec_zstd_bound() bytes of room",
            from.length, room);
    case ZSTD_error_memory_allocation:
        return error_set(error, JINI_E_NO_MEMORY, "zstd",
                         "no memory to compress %zu bytes: try again later", from.length);
    default:
        return error_set(error, JINI_E_INVALID, "zstd", "%zu bytes cannot be compressed: %s",
                         from.length, ZSTD_getErrorName(result));
    }
}

int codec_zstd_compress(struct codec_pool *pool, struct slice from, int level, struct buffer *out,
                        struct jini_error *error)
{
    JINI_ASSERT(!out->overflow && out->length <= out->capacity);
    if (level == CODEC_LEVEL_DEFAULT)
        level = CODEC_ZSTD_LEVEL_DEFAULT;
    if (level < CODEC_ZSTD_LEVEL_MIN || level > CODEC_ZSTD_LEVEL_MAX)
        return error_set(error, JINI_E_INVALID, "level",
                         "zstd level %d is not between %d and %d; 0 is the default, %d", level,
                         CODEC_ZSTD_LEVEL_MIN, CODEC_ZSTD_LEVEL_MAX, CODEC_ZSTD_LEVEL_DEFAULT);
    ZSTD_CCtx *context = compressor_take(pool);
    if (!context)
        return error_set(error, JINI_E_NO_MEMORY, "zstd",
                         "no memory to compress %zu bytes: try again later", from.length);
    size_t room = out->capacity - out->length;
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    size_t result = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(result))
        result = ZSTD_compress2(context, out->data ? out->data + out->length : NULL, room,
                                from.data, from.length);
    compressor_put(pool, context);
    if (ZSTD_isError(result))
        return compress_failed(result, from, room, error);
    out->length += result;
    JINI_ASSERT(out->length <= out->capacity);
    return 0;
}

/* Everything about the frame that can be known before it is decompressed. */
static int frame_check(struct slice from, size_t length, struct jini_error *error)
{
    if (from.length < 4 || load_le32(from.data) != ZSTD_MAGICNUMBER)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "%zu stored bytes do not begin with a zstd frame", from.length);
    unsigned long long told = ZSTD_getFrameContentSize(from.data, from.length);
    if (told == ZSTD_CONTENTSIZE_ERROR || told == ZSTD_CONTENTSIZE_UNKNOWN)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "the header of a zstd frame of %zu bytes tells no content size",
                         from.length);
    if (told != length)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "the zstd frame holds %llu bytes, its record says %zu", told, length);
    if (ZSTD_getDictID_fromFrame(from.data, from.length) != 0)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "the zstd frame asks for a dictionary, which this codec does not use");
    size_t frame = ZSTD_findFrameCompressedSize(from.data, from.length);
    if (ZSTD_isError(frame))
        return error_set(error, JINI_E_CORRUPT, "zstd", "the zstd frame of %zu bytes is broken: %s",
                         from.length, ZSTD_getErrorName(frame));
    if (frame != from.length)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "the zstd frame ends after %zu of %zu stored bytes", frame, from.length);
    return 0;
}

int codec_zstd_decompress(struct codec_pool *pool, struct slice from, size_t length,
                          struct buffer *out, struct jini_error *error)
{
    JINI_ASSERT(!out->overflow && out->length <= out->capacity);
    int status = frame_check(from, length, error);
    if (status)
        return status;
    if (length > out->capacity - out->length)
        return error_set(error, JINI_E_TOO_BIG, "out", "%zu bytes do not fit the room of %zu",
                         length, out->capacity - out->length);
    ZSTD_DCtx *context = decompressor_take(pool);
    if (!context)
        return error_set(error, JINI_E_NO_MEMORY, "zstd",
                         "no memory to decompress %zu bytes: try again later", length);
    /* The room is cut to `length`: a frame that lies about its size cannot write past it. */
    size_t result = ZSTD_decompressDCtx(context, out->data ? out->data + out->length : NULL, length,
                                        from.data, from.length);
    decompressor_put(pool, context);
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
        return error_set(error, JINI_E_NO_MEMORY, "zstd",
                         "no memory to decompress %zu bytes: try again later", length);
    if (ZSTD_isError(result))
        return error_set(error, JINI_E_CORRUPT, "zstd", "the zstd frame of %zu bytes is broken: %s",
                         from.length, ZSTD_getErrorName(result));
    if (result != length)
        return error_set(error, JINI_E_CORRUPT, "zstd",
                         "the zstd frame gave %zu bytes, its record says %zu", result, length);
    out->length += length;
    return 0;
}

int codec_zstd_verify(struct codec_pool *pool, struct slice encoded, struct slice original,
                      struct jini_error *error)
{
    uint8_t *decoded = base_malloc(original.length ? original.length : 1);
    if (!decoded)
        return error_set(error, JINI_E_NO_MEMORY, "zstd",
                         "no memory to verify %zu bytes: try again later", original.length);
    struct buffer out = buffer_of(decoded, original.length);
    int status = codec_zstd_decompress(pool, encoded, original.length, &out, error);
    if (!status && !slice_equal(buffer_slice(&out), original))
        status = error_set(error, JINI_E_CORRUPT, "zstd",
                           "the zstd frame decompresses to %zu bytes that are not the original",
                           original.length);
    base_free(decoded);
    return status;
}
