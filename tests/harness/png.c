/*
 * The least that is a PNG (W3C PNG, third edition): signature, IHDR, tEXt, IDAT of stored blocks,
 * IEND.
 */
#include "png.h"

#include <stdlib.h>
#include <string.h>

enum { STORED_MAX = 65535, CHUNK_OVERHEAD = 12 };

static uint32_t crc_of(const uint8_t *data, size_t length)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static uint8_t *put_number(uint8_t *to, uint32_t value)
{
    for (int i = 3; i >= 0; i--)
        *to++ = (uint8_t)(value >> 8 * i);
    return to;
}

/* Closes a chunk whose type and data stand behind its length already. */
static uint8_t *end_chunk(uint8_t *begin, uint8_t *end)
{
    put_number(begin, (uint32_t)(end - begin - 8));
    return put_number(end, crc_of(begin + 4, (size_t)(end - begin - 4)));
}

static uint8_t *add_text(uint8_t *to, const char *keyword, const char *text)
{
    uint8_t *begin = to;
    if (!text)
        return to;
    memcpy(to + 4, "tEXt", 4);
    to += 8;
    memcpy(to, keyword, strlen(keyword) + 1);
    to += strlen(keyword) + 1;
    memcpy(to, text, strlen(text));
    return end_chunk(begin, to + strlen(text));
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ z >> 27;
}

/* Rows of noise, each behind its filter byte, as a zlib stream of stored blocks. */
static uint8_t *add_pixels(uint8_t *to, const struct png_request *request, unsigned greys)
{
    uint64_t state = request->seed;
    size_t row = (size_t)request->width + 1;
    size_t left = row * request->height;
    size_t at = 0;
    uint32_t a = 1;
    uint32_t b = 0;
    uint8_t *begin = to;
    memcpy(to + 4, "IDAT\x78\x01", 6);
    to += 10;
    while (left > 0) {
        size_t block = left < STORED_MAX ? left : STORED_MAX;
        *to++ = block == left;
        *to++ = (uint8_t)block;
        *to++ = (uint8_t)(block >> 8);
        *to++ = (uint8_t)~block;
        *to++ = (uint8_t)(~block >> 8);
        for (size_t i = 0; i < block; i++, at++) {
            uint8_t byte = at % row == 0 ? 0 : (uint8_t)(next_random(&state) % greys);
            *to++ = byte;
            a = (a + byte) % 65521;
            b = (b + a) % 65521;
        }
        left -= block;
    }
    return end_chunk(begin, put_number(to, b << 16 | a));
}

uint8_t *png_make(const struct png_request *request, size_t *length)
{
    return png_make_greys(request, 256, length);
}

uint8_t *png_make_greys(const struct png_request *request, unsigned greys, size_t *length)
{
    size_t pixels = ((size_t)request->width + 1) * request->height;
    size_t texts = (request->parameters ? strlen(request->parameters) : 0) +
                   (request->workflow ? strlen(request->workflow) : 0);
    uint8_t *file = malloc(pixels + pixels / STORED_MAX * 5 + texts + 512);
    if (!file)
        abort();
    uint8_t *to = file;
    memcpy(to, "\x89PNG\r\n\x1a\n", 8);
    to += 8;
    uint8_t *begin = to;
    memcpy(to + 4, "IHDR", 4);
    to = put_number(put_number(to + 8, request->width), request->height);
    memcpy(to, "\x08\x00\x00\x00\x00", 5);
    to = end_chunk(begin, to + 5);
    to = add_text(to, "parameters", request->parameters);
    to = add_text(to, "workflow", request->workflow);
    to = add_pixels(to, request, greys);
    memcpy(to + 4, "IEND", 4);
    to = end_chunk(to, to + 8);
    *length = (size_t)(to - file);
    return file;
}
