/*
 * Reading the chunks of a WebP (RFC 9649).
 *
 *   "RIFF", 4 bytes of length of what follows, "WEBP", then chunks:
 *     4  type
 *     4  length n of the data, little-endian
 *     n  data, and one byte more when n is odd
 *
 * The first chunk is VP8 (lossy), VP8L (lossless) or VP8X (anything more); each tells the picture's
 * size.
 */
#include "codec/probe.h"

enum { FILE_HEADER_BYTES = 12, CHUNK_HEADER_BYTES = 8 };

struct chunk {
    const uint8_t *type; /* four bytes in the file */
    struct slice data;   /* cut at the end of the file */
    size_t length;       /* as told */
};

static bool is_type(const struct chunk *chunk, const char *type)
{
    return memcmp(chunk->type, type, 4) == 0;
}

static bool read_chunk(const struct probe *probe, size_t position, size_t end, struct chunk *out)
{
    if (end - position < CHUNK_HEADER_BYTES)
        return false;
    const uint8_t *at = probe->file.data + position;
    size_t room = end - position - CHUNK_HEADER_BYTES;
    out->type = at;
    out->length = load_le32(at + 4);
    out->data = slice_of(at + CHUNK_HEADER_BYTES, out->length < room ? out->length : room);
    return true;
}

/* RFC 6386 section 9.1: a frame tag of 3 bytes, the start code, then 14 bits of each side. */
static int read_lossy(struct probe *probe, struct slice data)
{
    static const uint8_t start_code[] = {0x9D, 0x01, 0x2A};
    if (data.length < 10 || (data.data[0] & 1) != 0 || memcmp(data.data + 3, start_code, 3) != 0)
        return probe_refuse(probe, "the WebP does not begin with a VP8 key frame");
    return probe_size(probe, load_le16(data.data + 6) & 0x3FFF, load_le16(data.data + 8) & 0x3FFF);
}

/* RFC 9649 section 3.4: a signature byte, then 14 bits of each side, less one. */
static int read_lossless(struct probe *probe, struct slice data)
{
    if (data.length < 5 || data.data[0] != 0x2F)
        return probe_refuse(probe, "the WebP does not begin with a VP8L header");
    uint32_t bits = load_le32(data.data + 1);
    return probe_size(probe, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
}

/* RFC 9649 section 2.7: flags, 3 bytes reserved, then 24 bits of each side, less one. */
static int read_extended(struct probe *probe, struct slice data)
{
    if (data.length < 10)
        return probe_refuse(probe, "the VP8X header of the WebP is cut");
    uint32_t width = (load_le32(data.data + 3) >> 8) + 1;
    uint32_t height = (load_le32(data.data + 6) >> 8) + 1;
    if ((uint64_t)width * height > UINT32_MAX)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE,
                     "the WebP has %u x %u pixels, and more than 2^32 - 1 are not allowed", width,
                     height);
    return probe_size(probe, width, height);
}

static int read_first(struct probe *probe, const struct chunk *chunk)
{
    if (is_type(chunk, "VP8 "))
        return read_lossy(probe, chunk->data);
    if (is_type(chunk, "VP8L"))
        return read_lossless(probe, chunk->data);
    if (is_type(chunk, "VP8X"))
        return read_extended(probe, chunk->data);
    return probe_refuse(probe, "the WebP does not begin with a VP8, VP8L or VP8X chunk");
}

static void read_metadata(struct probe *probe, const struct chunk *chunk)
{
    if (is_type(chunk, "EXIF")) {
        codec_exif_probe(probe, chunk->data);
    } else if (is_type(chunk, "XMP ") && chunk->data.length > 0) {
        struct codec_text text = {.source = CODEC_SOURCE_XMP,
                                  .encoding = CODEC_TEXT_UTF8,
                                  .keyword = slice_of_text("XML:com.adobe.xmp"),
                                  .stored = chunk->data};
        probe_add_text(probe, text);
    }
}

/* Compares the length in the file's header with the file's own; the end of the chunks. */
static size_t read_end(struct probe *probe)
{
    size_t length = probe->file.length;
    uint64_t told = (uint64_t)load_le32(probe->file.data + 4) + 8;
    if (told < FILE_HEADER_BYTES) {
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the header of the WebP tells %llu bytes",
                     (unsigned long long)told);
        return length;
    }
    if (told > length) {
        probe_damage(probe, CODEC_DAMAGE_TRUNCATED, "the WebP ends at byte %zu of %llu", length,
                     (unsigned long long)told);
        return length;
    }
    if (told < length)
        probe_damage(probe, CODEC_DAMAGE_TRAILING, "%zu bytes follow the end of the WebP",
                     length - (size_t)told);
    return (size_t)told;
}

int codec_webp_probe(struct probe *probe)
{
    struct chunk chunk;
    size_t position = FILE_HEADER_BYTES;
    size_t end = read_end(probe);
    if (!read_chunk(probe, position, end, &chunk))
        return probe_refuse(probe, "the WebP ends before its header does");
    int status = read_first(probe, &chunk);
    if (status)
        return status;
    bool pixels = false;
    while (!probe->status && read_chunk(probe, position, end, &chunk)) {
        if (is_type(&chunk, "VP8 ") || is_type(&chunk, "VP8L") || is_type(&chunk, "ANMF"))
            pixels = true;
        if (chunk.data.length < chunk.length) {
            probe_damage(probe, CODEC_DAMAGE_TRUNCATED,
                         "the chunk at %zu of the WebP has %zu of its %zu bytes", position,
                         chunk.data.length, chunk.length);
            return 0;
        }
        read_metadata(probe, &chunk);
        position += CHUNK_HEADER_BYTES + chunk.length;
        position += (chunk.length & 1) != 0 && position < end;
    }
    if (position < end)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the WebP ends in %zu bytes of no chunk",
                     end - position);
    if (!pixels)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the WebP has no pixels (no VP8 chunk)");
    return 0;
}
