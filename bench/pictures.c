/*
 * See pictures.h. The pixels are stored without compression, so that the size is what is asked for.
 */
#include "pictures.h"

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    WIDTH = 512,
    PIXEL_BYTES = 3,
    ROW_BYTES = 1 + WIDTH * PIXEL_BYTES,
    CHUNK_EXTRA = 12,
    TEXT_BYTES = 160
};

static const char keyword[] = "parameters"; /* its NUL belongs to the chunk */

static void store_be32(uint8_t *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(number >> 8 * (3 - i));
}

/* Completes a chunk whose data stands in its place already; returns where the next one begins. */
static uint8_t *finish_chunk(uint8_t *chunk, const char *type, size_t length)
{
    store_be32(chunk, (uint32_t)length);
    memcpy(chunk + 4, type, 4);
    store_be32(chunk + 8 + length, (uint32_t)crc32(0, chunk + 4, (uInt)(length + 4)));
    return chunk + length + CHUNK_EXTRA;
}

static uint8_t *write_pixels(uint8_t *chunk, size_t room, unsigned height, uint64_t seed)
{
    size_t raw_length = (size_t)height * ROW_BYTES;
    uint8_t *raw = bench_alloc(1, raw_length + 8);
    uLongf length = room;
    for (size_t i = 0; i < raw_length; i += 8) {
        uint64_t noise = bench_random(&seed);
        memcpy(raw + i, &noise, 8);
    }
    for (unsigned row = 0; row < height; row++)
        raw[(size_t)row * ROW_BYTES] = 0; /* no filter */
    if (compress2(chunk + 8, &length, raw, raw_length, Z_NO_COMPRESSION) != Z_OK)
        bench_fail("zlib cannot store the pixels");
    free(raw);
    return finish_chunk(chunk, "IDAT", length);
}

void picture_make(struct picture *picture, size_t length, uint64_t seed)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned height = length > 2 * ROW_BYTES ? (unsigned)(length / ROW_BYTES) : 1;
    size_t room = compressBound((uLong)height * ROW_BYTES) + 4096;
    uint8_t header[13] = {0};
    store_be32(header, WIDTH);
    store_be32(header + 4, height);
    header[8] = 8; /* bits of a sample */
    header[9] = 2; /* red, green, blue */
    picture->bytes = bench_alloc(1, room);
    uint8_t *at = picture->bytes;
    memcpy(at, signature, sizeof(signature));
    at += sizeof(signature);
    memcpy(at + 8, header, sizeof(header));
    at = finish_chunk(at, "IHDR", sizeof(header));
    picture->text_at = (size_t)(at - picture->bytes);
    at += TEXT_BYTES + CHUNK_EXTRA;
    at = write_pixels(at, room - 1024, height, seed);
    at = finish_chunk(at, "IEND", 0);
    picture->length = (size_t)(at - picture->bytes);
    picture_number(picture, seed);
}

void picture_number(struct picture *picture, uint64_t number)
{
    uint8_t *chunk = picture->bytes + picture->text_at;
    char *text = (char *)chunk + 8 + sizeof(keyword);
    size_t room = TEXT_BYTES - sizeof(keyword);
    memcpy(chunk + 8, keyword, sizeof(keyword));
    memset(text, ' ', room);
    int length =
        snprintf(text, room,
                 "a lighthouse on a cliff\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: %llu",
                 (unsigned long long)number);
    text[length] = ' '; /* the rest of the chunk is blanks */
    finish_chunk(chunk, "tEXt", TEXT_BYTES);
}

void picture_free(struct picture *picture)
{
    free(picture->bytes);
    picture->bytes = NULL;
}
