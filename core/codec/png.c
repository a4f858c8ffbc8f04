/*
 * Reading the chunks of a PNG (W3C PNG, third edition).
 *
 *   8 bytes of signature, then chunks:
 *     4  length n of the data, big-endian, at most 2^31 - 1
 *     4  type, four ASCII letters
 *     n  data
 *     4  CRC-32 of type and data
 *
 * IHDR is the first chunk and IEND the last; between them the pixels lie in IDAT chunks, which are
 * skipped.
 */
#include "codec/probe.h"

#include <zlib.h>

enum {
    SIGNATURE_BYTES = 8,
    CHUNK_OVERHEAD = 12,
    HEADER_BYTES = 13,
    KEYWORD_BYTES_MAX = 79,
};

#define CHUNK_TYPE(a, b, c, d)                                                                     \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum {
    TYPE_IHDR = CHUNK_TYPE('I', 'H', 'D', 'R'),
    TYPE_IDAT = CHUNK_TYPE('I', 'D', 'A', 'T'),
    TYPE_IEND = CHUNK_TYPE('I', 'E', 'N', 'D'),
    TYPE_TEXT = CHUNK_TYPE('t', 'E', 'X', 't'),
    TYPE_ZTXT = CHUNK_TYPE('z', 'T', 'X', 't'),
    TYPE_ITXT = CHUNK_TYPE('i', 'T', 'X', 't'),
    TYPE_EXIF = CHUNK_TYPE('e', 'X', 'I', 'f'),
};

struct chunk {
    uint32_t type;
    const uint8_t *type_bytes; /* in the file, the data follows */
    struct slice data;
};

static bool is_letter(uint8_t byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

/* Reads the chunk at `position` of the file. False when there is none; the damage is then told. */
static bool read_chunk(struct probe *probe, size_t position, struct chunk *out)
{
    struct slice rest = probe_rest(probe, position);
    if (rest.length < 8) {
        probe_damage(probe, CODEC_DAMAGE_TRUNCATED, "the PNG ends at byte %zu without its IEND",
                     probe->file.length);
        return false;
    }
    uint32_t length = load_be32(rest.data);
    out->type_bytes = rest.data + 4;
    out->type = load_be32(rest.data + 4);
    if (length > INT32_MAX || !is_letter(rest.data[4]) || !is_letter(rest.data[5]) ||
        !is_letter(rest.data[6]) || !is_letter(rest.data[7])) {
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the bytes from %zu on are no PNG chunk",
                     position);
        return false;
    }
    if (rest.length < CHUNK_OVERHEAD || length > rest.length - CHUNK_OVERHEAD) {
        probe_damage(probe, CODEC_DAMAGE_TRUNCATED,
                     "the PNG ends at byte %zu, inside of the %.4s chunk at %zu",
                     probe->file.length, (const char *)out->type_bytes, position);
        return false;
    }
    out->data = slice_of(rest.data + 8, length);
    return true;
}

/* The chunks whose content is read here are few and small, so their CRC is always checked. */
static bool is_read_here(uint32_t type)
{
    return type == TYPE_IHDR || type == TYPE_TEXT || type == TYPE_ZTXT || type == TYPE_ITXT ||
           type == TYPE_EXIF || type == TYPE_IEND;
}

static void check_crc(struct probe *probe, const struct chunk *chunk)
{
    if (!(probe->flags & CODEC_PROBE_CHECK_CRC) && !is_read_here(chunk->type))
        return;
    uint32_t stored = load_be32(chunk->data.data + chunk->data.length);
    uint32_t found = (uint32_t)crc32_z(0, chunk->type_bytes, chunk->data.length + 4);
    if (found != stored)
        probe_damage(probe, CODEC_DAMAGE_CRC,
                     "the %.4s chunk at %zu has CRC %08x, and its bytes give %08x",
                     (const char *)chunk->type_bytes,
                     (size_t)(chunk->type_bytes - probe->file.data) - 4, stored, found);
}

/*
 * Splits `data` at its first NUL. False when there is none among the first `length_max` + 1 bytes.
 */
static bool split_at_nul(struct slice data, size_t length_max, struct slice *head,
                         struct slice *tail)
{
    size_t searched = data.length < length_max + 1 ? data.length : length_max + 1;
    const uint8_t *nul = searched ? memchr(data.data, 0, searched) : NULL;
    if (!nul)
        return false;
    *head = slice_of(data.data, (size_t)(nul - data.data));
    *tail = slice_of(nul + 1, data.length - head->length - 1);
    return true;
}

/* What follows the keyword of an iTXt: two flags, language tag, translated keyword, text. */
static bool split_international(struct slice rest, struct codec_text *text)
{
    struct slice ignored;
    if (rest.length < 2 || rest.data[0] > 1 || (rest.data[0] == 1 && rest.data[1] != 0))
        return false;
    text->form = rest.data[0] == 1 ? CODEC_FORM_DEFLATED : CODEC_FORM_PLAIN;
    rest = slice_of(rest.data + 2, rest.length - 2);
    return split_at_nul(rest, rest.length, &ignored, &rest) &&
           split_at_nul(rest, rest.length, &ignored, &text->stored);
}

static void read_text(struct probe *probe, const struct chunk *chunk)
{
    struct codec_text text = {0};
    struct slice rest;
    bool whole = split_at_nul(chunk->data, KEYWORD_BYTES_MAX, &text.keyword, &rest) &&
                 text.keyword.length > 0;
    if (whole && chunk->type == TYPE_TEXT) {
        text.source = CODEC_SOURCE_PNG_TEXT;
        text.encoding = CODEC_TEXT_LATIN1;
        text.stored = rest;
    } else if (whole && chunk->type == TYPE_ZTXT) {
        whole = rest.length > 0 && rest.data[0] == 0;
        text.source = CODEC_SOURCE_PNG_COMPRESSED;
        text.encoding = CODEC_TEXT_LATIN1;
        text.form = CODEC_FORM_DEFLATED;
        if (whole)
            text.stored = slice_of(rest.data + 1, rest.length - 1);
    } else if (whole) {
        text.source = CODEC_SOURCE_PNG_INTERNATIONAL;
        text.encoding = CODEC_TEXT_UTF8;
        whole = split_international(rest, &text);
    }
    if (whole) {
        probe_add_text(probe, text);
        return;
    }
    probe->image->texts_omitted++;
    probe_damage(probe, CODEC_DAMAGE_METADATA, "the %.4s chunk at %zu is not put together as one",
                 (const char *)chunk->type_bytes,
                 (size_t)(chunk->type_bytes - probe->file.data) - 4);
}

/* Section 11.2.1: which bit depths a colour type allows, and the one value of each method. */
static void check_header(struct probe *probe, const uint8_t *header)
{
    uint8_t depth = header[8];
    uint8_t colour = header[9];
    bool low = depth == 1 || depth == 2 || depth == 4;
    bool allowed = depth == 8;
    if (colour == 0)
        allowed = low || depth == 8 || depth == 16;
    else if (colour == 3)
        allowed = low || depth == 8;
    else if (colour == 2 || colour == 4 || colour == 6)
        allowed = depth == 8 || depth == 16;
    else
        allowed = false;
    if (!allowed || header[10] != 0 || header[11] != 0 || header[12] > 1)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE,
                     "the PNG header has colour type %u with depth %u, methods %u %u %u", colour,
                     depth, header[10], header[11], header[12]);
}

static int read_header(struct probe *probe)
{
    struct slice file = probe->file;
    if (file.length < SIGNATURE_BYTES + 8 + HEADER_BYTES)
        return probe_refuse(probe, "the PNG ends before its header does");
    const uint8_t *chunk = file.data + SIGNATURE_BYTES;
    if (load_be32(chunk) != HEADER_BYTES || load_be32(chunk + 4) != TYPE_IHDR)
        return probe_refuse(probe, "the PNG does not begin with an IHDR chunk of %d bytes",
                            HEADER_BYTES);
    int status = probe_size(probe, load_be32(chunk + 8), load_be32(chunk + 12));
    if (!status)
        check_header(probe, chunk + 8);
    return status;
}

static void read_end(struct probe *probe, const struct chunk *chunk, size_t end)
{
    if (chunk->data.length != 0)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the IEND chunk holds %zu bytes",
                     chunk->data.length);
    if (end < probe->file.length)
        probe_damage(probe, CODEC_DAMAGE_TRAILING, "%zu bytes follow the end of the PNG",
                     probe->file.length - end);
}

int codec_png_probe(struct probe *probe)
{
    int status = read_header(probe);
    if (status)
        return status;
    size_t position = SIGNATURE_BYTES;
    bool pixels = false;
    struct chunk chunk;
    while (!probe->status && read_chunk(probe, position, &chunk)) {
        check_crc(probe, &chunk);
        if (chunk.type == TYPE_IDAT)
            pixels = true;
        else if (chunk.type == TYPE_TEXT || chunk.type == TYPE_ZTXT || chunk.type == TYPE_ITXT)
            read_text(probe, &chunk);
        else if (chunk.type == TYPE_EXIF)
            codec_exif_probe(probe, chunk.data);
        else if (chunk.type == TYPE_IHDR && position != SIGNATURE_BYTES)
            probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the PNG has a second header at %zu",
                         position);
        position += CHUNK_OVERHEAD + chunk.data.length;
        if (chunk.type == TYPE_IEND) {
            read_end(probe, &chunk, position);
            break;
        }
    }
    if (!pixels)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the PNG has no pixels (no IDAT chunk)");
    return 0;
}
