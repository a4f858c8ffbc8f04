/* Writing, reading and converting the texts that generators leave in images. */
#include "codec/metadata.h"

#include "base/error.h"
#include "base/text.h"
#include "codec/inflate.h"

static const uint8_t header[CODEC_METADATA_HEADER] = {'J', 'M', 'D', CODEC_METADATA_VERSION};

/* Puts the blocks of a GIF comment together; `length` is what they hold. */
static int join_blocks(struct slice blocks, size_t length, struct buffer *out)
{
    size_t position = 0;
    size_t joined = 0;
    while (position < blocks.length && blocks.data[position] != 0) {
        size_t block = blocks.data[position++];
        if (block > blocks.length - position || block > length - joined)
            return JINI_E_CORRUPT;
        buffer_append(out, blocks.data + position, block);
        position += block;
        joined += block;
    }
    return joined == length ? 0 : JINI_E_CORRUPT;
}

int codec_text_value(const struct codec_text *text, struct buffer *out)
{
    if (out->overflow || text->length > out->capacity - out->length)
        return JINI_E_TOO_BIG;
    size_t begin = out->length;
    int status = 0;
    switch (text->form) {
    case CODEC_FORM_PLAIN:
        if (text->stored.length != text->length)
            return JINI_E_CORRUPT;
        buffer_append(out, text->stored.data, text->stored.length);
        return 0;
    case CODEC_FORM_DEFLATED: {
        /* The room is cut to what was measured, so that changed bytes cannot spread over more. */
        struct buffer part = buffer_of(out->data ? out->data + begin : NULL, text->length);
        status = codec_inflate(text->stored, &part);
        if (status == JINI_E_TOO_BIG || (!status && part.length != text->length))
            status = JINI_E_CORRUPT;
        out->length += part.length;
        break;
    }
    case CODEC_FORM_GIF_BLOCKS:
        status = join_blocks(text->stored, text->length, out);
        break;
    }
    if (status)
        out->length = begin;
    return status;
}

static void append_codepoint(struct buffer *out, uint32_t codepoint)
{
    uint8_t bytes[4];
    size_t length;
    if (codepoint == 0)
        codepoint = 0xFFFD;
    if (codepoint < 0x80) {
        bytes[0] = (uint8_t)codepoint;
        length = 1;
    } else if (codepoint < 0x800) {
        bytes[0] = (uint8_t)(0xC0 | codepoint >> 6);
        bytes[1] = (uint8_t)(0x80 | (codepoint & 0x3F));
        length = 2;
    } else if (codepoint < 0x10000) {
        bytes[0] = (uint8_t)(0xE0 | codepoint >> 12);
        bytes[1] = (uint8_t)(0x80 | (codepoint >> 6 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (codepoint & 0x3F));
        length = 3;
    } else {
        bytes[0] = (uint8_t)(0xF0 | codepoint >> 18);
        bytes[1] = (uint8_t)(0x80 | (codepoint >> 12 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (codepoint >> 6 & 0x3F));
        bytes[3] = (uint8_t)(0x80 | (codepoint & 0x3F));
        length = 4;
    }
    buffer_append(out, bytes, length);
}

static void append_latin1(struct buffer *out, struct slice value)
{
    for (size_t i = 0; i < value.length; i++)
        append_codepoint(out, value.data[i]);
}

/* The length of the UTF-8 character at the start of `value`, or 0 when there is none. */
static size_t character_length(struct slice value)
{
    uint8_t first = value.data[0];
    size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (length > value.length || !text_is_utf8(slice_of(value.data, length)))
        return 0;
    return length;
}

static void append_utf8(struct buffer *out, struct slice value)
{
    if (text_is_utf8(value)) {
        buffer_append(out, value.data, value.length);
        return;
    }
    while (value.length > 0) {
        size_t length = character_length(value);
        if (length)
            buffer_append(out, value.data, length);
        else
            append_codepoint(out, 0xFFFD);
        size_t taken = length ? length : 1;
        value = slice_of(value.data + taken, value.length - taken);
    }
}

static uint32_t utf16_unit(const uint8_t *at, bool big_endian)
{
    return big_endian ? (uint32_t)at[0] << 8 | at[1] : (uint32_t)at[1] << 8 | at[0];
}

static void append_utf16(struct buffer *out, struct slice value, bool big_endian)
{
    size_t i = 0;
    while (i + 1 < value.length) {
        uint32_t unit = utf16_unit(value.data + i, big_endian);
        i += 2;
        if (unit >= 0xD800 && unit < 0xDC00 && i + 1 < value.length) {
            uint32_t low = utf16_unit(value.data + i, big_endian);
            if (low >= 0xDC00 && low < 0xE000) {
                append_codepoint(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
                i += 2;
                continue;
            }
        }
        append_codepoint(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : unit);
    }
    if (i < value.length)
        append_codepoint(out, 0xFFFD);
}

int codec_text_to_utf8(enum codec_text_encoding encoding, struct slice value, struct buffer *out)
{
    switch (encoding) {
    case CODEC_TEXT_LATIN1:
        append_latin1(out, value);
        break;
    case CODEC_TEXT_UTF8:
        append_utf8(out, value);
        break;
    case CODEC_TEXT_UNSAID:
        if (text_is_utf8(value))
            append_utf8(out, value);
        else
            append_latin1(out, value);
        break;
    case CODEC_TEXT_UTF16_BE:
        append_utf16(out, value, true);
        break;
    case CODEC_TEXT_UTF16_LE:
        append_utf16(out, value, false);
        break;
    default:
        return JINI_E_UNSUPPORTED;
    }
    return out->overflow ? JINI_E_TOO_BIG : 0;
}

void codec_metadata_begin(struct buffer *out)
{
    buffer_append(out, header, sizeof(header));
}

int codec_metadata_add(struct buffer *out, const struct codec_text *text)
{
    JINI_ASSERT(text->keyword.length >= 1 && text->keyword.length <= UINT8_MAX);
    JINI_ASSERT(text->length <= CODEC_METADATA_BYTES_MAX);
    uint8_t entry[CODEC_METADATA_ENTRY] = {(uint8_t)text->source, (uint8_t)text->encoding,
                                           (uint8_t)text->keyword.length, 0};
    store_le32(entry + 4, text->length);
    buffer_append(out, entry, sizeof(entry));
    buffer_append(out, text->keyword.data, text->keyword.length);
    return codec_text_value(text, out);
}

int codec_metadata_open(struct codec_metadata_reader *reader, struct slice bytes,
                        struct jini_error *error)
{
    *reader = (struct codec_metadata_reader){0};
    if (bytes.length == 0)
        return 0;
    if (bytes.length < sizeof(header) || memcmp(bytes.data, header, 3) != 0)
        return error_set(error, JINI_E_CORRUPT, "metadata",
                         "%zu bytes of raw metadata do not begin with their mark", bytes.length);
    if (bytes.data[3] != CODEC_METADATA_VERSION)
        return error_set(error, JINI_E_FORMAT, "metadata",
                         "version %u of raw metadata is not one that this library reads, which is "
                         "%d: use a newer one",
                         bytes.data[3], CODEC_METADATA_VERSION);
    reader->rest = slice_of(bytes.data + sizeof(header), bytes.length - sizeof(header));
    return 0;
}

int codec_metadata_next(struct codec_metadata_reader *reader, struct codec_metadata_entry *out,
                        struct jini_error *error)
{
    *out = (struct codec_metadata_entry){0};
    struct slice rest = reader->rest;
    if (rest.length == 0)
        return JINI_E_NOT_FOUND;
    size_t left = rest.length - CODEC_METADATA_ENTRY;
    if (rest.length < CODEC_METADATA_ENTRY || rest.data[2] == 0 || rest.data[3] != 0 ||
        rest.data[2] > left || load_le32(rest.data + 4) > left - rest.data[2])
        return error_set(error, JINI_E_CORRUPT, "metadata",
                         "an entry of raw metadata reaches past the %zu bytes that are left of it",
                         rest.length);
    size_t keyword = rest.data[2];
    size_t value = load_le32(rest.data + 4);
    out->source = (enum codec_text_source)rest.data[0];
    out->encoding = (enum codec_text_encoding)rest.data[1];
    out->keyword = slice_of(rest.data + CODEC_METADATA_ENTRY, keyword);
    out->value = slice_of(out->keyword.data + keyword, value);
    reader->rest = slice_of(out->value.data + value, left - keyword - value);
    return 0;
}

int codec_metadata_find(struct slice bytes, const char *keyword, struct codec_metadata_entry *out,
                        struct jini_error *error)
{
    *out = (struct codec_metadata_entry){0};
    struct codec_metadata_reader reader;
    int status = codec_metadata_open(&reader, bytes, error);
    while (!status) {
        status = codec_metadata_next(&reader, out, error);
        if (!status && slice_equal(out->keyword, slice_of_text(keyword)))
            return 0;
    }
    *out = (struct codec_metadata_entry){0};
    return status;
}
