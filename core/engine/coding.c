#include "engine/coding.h"

#include "base/alloc.h"
#include "engine/engine_private.h"

/* Level 3 takes four times as long on pixels in stored blocks, and saves not one per cent more. */
enum { LEVEL = 1 };

/* Reading coded bytes costs more than reading them as they are: less than that is not worth it. */
static size_t room_for(size_t length)
{
    return length - length / CODEC_CLEAR_SAVING;
}

/* Coding takes the room of the result, and checking it that of the image. */
static uint64_t memory_for(size_t length)
{
    return (uint64_t)room_for(length) + length;
}

static bool reserve(struct jini *jini, struct coding *coding, uint64_t bytes)
{
    uint64_t before = atomic_fetch_add(&jini->coding_bytes, bytes);
    coding->reserved = bytes;
    if (before == 0 || before + bytes <= jini->options.pack_queue_bytes_max)
        return true;
    coding_free(jini, coding);
    return false;
}

static void keep_only(struct jini *jini, struct coding *coding, size_t length)
{
    uint8_t *smaller = base_realloc(coding->bytes, length);
    coding->bytes = smaller ? smaller : coding->bytes;
    coding->length = length;
    atomic_fetch_sub(&jini->coding_bytes, coding->reserved - length);
    coding->reserved = length;
}

static int code(struct jini *jini, const struct codec *codec, struct slice from, struct buffer *out,
                struct jini_error *error)
{
    int status = codec->encode(&jini->codecs, from, LEVEL, out, error);
    return status ? status : codec->verify(&jini->codecs, buffer_slice(out), from, error);
}

void coding_try(struct jini *jini, struct coding *coding, struct pack_input *input)
{
    const struct codec *codec;
    struct jini_error error;
    struct slice from = input->payload;
    size_t room = room_for(from.length);
    if (!codec_looks_compressible(&jini->codecs, from) ||
        codec_find(CODEC_ZSTD, 1, &codec, &error) != 0 ||
        !reserve(jini, coding, memory_for(from.length)))
        return;
    coding->bytes = base_malloc(room);
    struct buffer out = buffer_of(coding->bytes, room);
    int status = coding->bytes ? code(jini, codec, from, &out, &error) : JINI_E_NO_MEMORY;
    if (status) {
        if (status != JINI_E_TOO_BIG && status != JINI_E_NO_MEMORY)
            log_record(&jini->log, JINI_LOG_ERROR, "image_coding_failed",
                       LOG_TEXT("message", error.message));
        coding_free(jini, coding);
        return;
    }
    keep_only(jini, coding, out.length);
    coding->original = hash128(from);
    input->payload = slice_of(coding->bytes, coding->length);
    input->codec = (struct pack_codec){codec->id, codec->version};
    input->original_length = from.length;
    input->original_hash = &coding->original;
}

void coding_free(struct jini *jini, struct coding *coding)
{
    base_free(coding->bytes);
    atomic_fetch_sub(&jini->coding_bytes, coding->reserved);
    *coding = (struct coding){0};
}
