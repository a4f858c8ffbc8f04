/* Image files put together by hand, byte by byte, for the tests of the codec module. */
#ifndef MAKE_H
#define MAKE_H

#include "base/bytes.h"
#include "harness.h"

#include <stdlib.h>
#include <zlib.h>

/* A file that grows. */
struct made {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

static inline void made_free(struct made *made)
{
    free(made->data);
    *made = (struct made){0};
}

static inline void made_add(struct made *made, const void *data, size_t length)
{
    if (made->capacity - made->length < length) {
        made->capacity = (made->length + length) * 2 + 64;
        made->data = realloc(made->data, made->capacity);
        CHECK(made->data != NULL);
    }
    if (length)
        memcpy(made->data + made->length, data, length);
    made->length += length;
}

static inline void made_add_text(struct made *made, const char *text)
{
    made_add(made, text, strlen(text));
}

static inline void made_add_byte(struct made *made, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    made_add(made, &value, 1);
}

static inline void made_add_be16(struct made *made, unsigned value)
{
    made_add_byte(made, value >> 8);
    made_add_byte(made, value);
}

static inline void made_add_be32(struct made *made, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    made_add(made, bytes, 4);
}

static inline void made_add_le16(struct made *made, unsigned value)
{
    made_add_byte(made, value);
    made_add_byte(made, value >> 8);
}

static inline void made_add_le32(struct made *made, uint32_t value)
{
    uint8_t bytes[4];
    store_le32(bytes, value);
    made_add(made, bytes, 4);
}

static inline struct slice made_slice(const struct made *made)
{
    return slice_of(made->data, made->length);
}

/*
 * The bytes in a block of the heap that is exactly as long, so that the sanitizer sees a read past
 * them.
 */
static inline uint8_t *exact_copy(const void *data, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    CHECK(copy != NULL);
    if (length)
        memcpy(copy, data, length);
    return length ? copy : (free(copy), NULL);
}

static inline void deflate_into(struct made *out, const void *data, size_t length)
{
    uLongf room = compressBound((uLong)length);
    uint8_t *packed = malloc(room);
    CHECK(packed != NULL);
    CHECK_INT(compress2(packed, &room, data, (uLong)length, 6), ==, Z_OK);
    made_add(out, packed, room);
    free(packed);
}

static inline void png_chunk(struct made *png, const char *type, const void *data, size_t length)
{
    made_add_be32(png, (uint32_t)length);
    size_t begin = png->length;
    made_add(png, type, 4);
    made_add(png, data, length);
    made_add_be32(png, (uint32_t)crc32(0, png->data + begin, (uInt)(length + 4)));
}

/* Signature and header of an RGB picture with 8 bits. */
static inline void png_begin(struct made *png, uint32_t width, uint32_t height)
{
    struct made header = {0};
    made_add_be32(&header, width);
    made_add_be32(&header, height);
    made_add(&header, "\x08\x02\0\0\0", 5);
    made_add(png, "\x89PNG\r\n\x1a\n", 8);
    png_chunk(png, "IHDR", header.data, header.length);
    made_free(&header);
}

/* Pixels of one colour, in one IDAT. */
static inline void png_pixels(struct made *png, uint32_t width, uint32_t height)
{
    size_t length = (size_t)height * (width * 3 + 1);
    uint8_t *rows = calloc(1, length);
    CHECK(rows != NULL);
    struct made packed = {0};
    deflate_into(&packed, rows, length);
    png_chunk(png, "IDAT", packed.data, packed.length);
    free(rows);
    made_free(&packed);
}

static inline void png_end(struct made *png)
{
    png_chunk(png, "IEND", NULL, 0);
}

static inline void png_text(struct made *png, const char *keyword, const void *text, size_t length)
{
    struct made data = {0};
    made_add(&data, keyword, strlen(keyword) + 1);
    made_add(&data, text, length);
    png_chunk(png, "tEXt", data.data, data.length);
    made_free(&data);
}

static inline void png_compressed_text(struct made *png, const char *keyword, const void *text,
                                       size_t length)
{
    struct made data = {0};
    made_add(&data, keyword, strlen(keyword) + 1);
    made_add_byte(&data, 0);
    deflate_into(&data, text, length);
    png_chunk(png, "zTXt", data.data, data.length);
    made_free(&data);
}

static inline void png_international_text(struct made *png, const char *keyword, const void *text,
                                          size_t length, bool deflated)
{
    struct made data = {0};
    made_add(&data, keyword, strlen(keyword) + 1);
    made_add_byte(&data, deflated);
    made_add(&data, "\0de\0Schl\xc3\xbcssel", 14);
    made_add_byte(&data, 0);
    if (deflated)
        deflate_into(&data, text, length);
    else
        made_add(&data, text, length);
    png_chunk(png, "iTXt", data.data, data.length);
    made_free(&data);
}

/*
 * A little-endian or big-endian Exif block with UserComment, and with Make when that is given.
 * `code` has 8 bytes.
 */
static inline void exif_block(struct made *out, bool big_endian, const char *make, const char *code,
                              const void *comment, size_t comment_length)
{
    void (*add16)(struct made *, unsigned) = big_endian ? made_add_be16 : made_add_le16;
    void (*add32)(struct made *, uint32_t) = big_endian ? made_add_be32 : made_add_le32;
    uint32_t make_length = make ? (uint32_t)strlen(make) + 1 : 0;
    unsigned entries = make ? 2 : 1;
    uint32_t directory = 8 + 2 + entries * 12 + 4;
    uint32_t comment_at = directory + 2 + 12 + 4;
    made_add(out, big_endian ? "MM" : "II", 2);
    add16(out, 42);
    add32(out, 8);
    add16(out, entries);
    if (make) {
        add16(out, 0x010F);
        add16(out, 2);
        add32(out, make_length);
        add32(out, comment_at + 8 + (uint32_t)comment_length);
    }
    add16(out, 0x8769);
    add16(out, 4);
    add32(out, 1);
    add32(out, directory);
    add32(out, 0);
    add16(out, 1);
    add16(out, 0x9286);
    add16(out, 7);
    add32(out, 8 + (uint32_t)comment_length);
    add32(out, comment_at);
    add32(out, 0);
    made_add(out, code, 8);
    made_add(out, comment, comment_length);
    if (make)
        made_add(out, make, make_length);
}

/* ASCII text as UTF-16. */
static inline void utf16_of(struct made *out, const char *text, bool big_endian)
{
    for (; *text; text++) {
        if (big_endian)
            made_add_be16(out, (uint8_t)*text);
        else
            made_add_le16(out, (uint8_t)*text);
    }
}

/* ---- AVIF ---- */

/* Begins a box; its length is set by made_box_end(). */
static inline size_t made_box_begin(struct made *file, const char *type)
{
    made_add_be32(file, 0);
    made_add(file, type, 4);
    return file->length - 8;
}

static inline void made_box_end(struct made *file, size_t begin)
{
    store_be32(file->data + begin, (uint32_t)(file->length - begin));
}

static inline void made_size_box(struct made *file, uint32_t width, uint32_t height)
{
    size_t box = made_box_begin(file, "ispe");
    made_add_be32(file, 0);
    made_add_be32(file, width);
    made_add_be32(file, height);
    made_box_end(file, box);
}

#endif
