/*
 * Slices (borrowed bytes), bounded buffers (bytes written into memory that somebody else owns), and
 * integers of fixed byte order.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes owned elsewhere. `data` may be NULL when `length` is 0. */
struct slice {
    const uint8_t *data;
    size_t length;
};

static inline struct slice slice_of(const void *data, size_t length)
{
    return (struct slice){.data = data, .length = length};
}

static inline struct slice slice_of_text(const char *text)
{
    return slice_of(text, strlen(text));
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Order of the bytes, then of the lengths: the order of the keys of the store. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

static inline bool slice_has_prefix(struct slice whole, struct slice prefix)
{
    return whole.length >= prefix.length &&
           (prefix.length == 0 || memcmp(whole.data, prefix.data, prefix.length) == 0);
}

/*
 * A writer into `capacity` bytes at `data`. What does not fit sets `overflow` and writes nothing,
 * so a chain of appends needs one check at its end.
 */
struct buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    bool overflow;
};

static inline struct buffer buffer_of(void *data, size_t capacity)
{
    return (struct buffer){.data = data, .capacity = capacity};
}

static inline void buffer_reset(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->overflow = false;
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->length);
}

static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t length)
{
    JINI_ASSERT(buffer->length <= buffer->capacity);
    if (buffer->overflow || length > buffer->capacity - buffer->length) {
        buffer->overflow = true;
        return NULL;
    }
    uint8_t *place = buffer->length ? buffer->data + buffer->length : buffer->data;
    buffer->length += length;
    return place;
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    uint8_t *place = buffer_reserve(buffer, length);
    if (place && length)
        memcpy(place, data, length);
}

static inline void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

static inline uint16_t load_le16(const void *from)
{
    const uint8_t *b = from;
    return (uint16_t)(b[0] | (uint16_t)b[1] << 8);
}

static inline uint32_t load_le32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

static inline uint64_t load_le64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static inline uint32_t load_be32(const void *from)
{
    return __builtin_bswap32(load_le32(from));
}

static inline uint64_t load_be64(const void *from)
{
    return __builtin_bswap64(load_le64(from));
}

static inline void store_le16(void *to, uint16_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}

static inline void store_le32(void *to, uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    memcpy(to, &value, sizeof(value));
}

static inline void store_le64(void *to, uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(to, &value, sizeof(value));
}

static inline void store_be32(void *to, uint32_t value)
{
    store_le32(to, __builtin_bswap32(value));
}

static inline void store_be64(void *to, uint64_t value)
{
    store_le64(to, __builtin_bswap64(value));
}

#endif
