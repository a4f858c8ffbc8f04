/*
 * Order-preserving keys. A key is a tuple of typed elements, written so that comparing the bytes of
 * two keys compares their elements from left to right, and so that a tool can print any key without
 * a schema.
 *
 * Format, element by element (the scheme of FoundationDB's tuple layer, reduced to what is used
 * here):
 *
 *   0x01 bytes 0x00              a byte string; a 0x00 inside is written 0x00 0xFF
 *   0x02 bytes 0x00              the same for UTF-8 text
 *   0x14 + n, n bytes            an unsigned integer, big-endian, in the fewest bytes n (0 to 8)
 *   0x30 16 bytes                a 128-bit id
 *
 * Elements of different types order by their first byte. A decoder takes the shortest form only, so
 * that equal tuples have equal bytes.
 */
#ifndef BASE_TUPLE_H
#define BASE_TUPLE_H

#include "base/bytes.h"

#include <jini/id.h>

enum { TUPLE_KEY_MAX = 400 };

/* A key under construction, on the caller's stack; it may be copied as a struct. */
struct tuple {
    size_t length;
    bool overflow; /* an element did not fit into TUPLE_KEY_MAX bytes: the key must not be used */
    uint8_t bytes[TUPLE_KEY_MAX];
};

void tuple_begin(struct tuple *tuple);
void tuple_add_bytes(struct tuple *tuple, struct slice bytes);
void tuple_add_text(struct tuple *tuple, struct slice text);
void tuple_add_uint(struct tuple *tuple, uint64_t value);
void tuple_add_id(struct tuple *tuple, const struct jini_id *id);

static inline struct slice tuple_key(const struct tuple *tuple)
{
    JINI_ASSERT(!tuple->overflow);
    return slice_of(tuple->bytes, tuple->length);
}

/*
 * Turns a key into the first key after all keys that begin with it, for the end of a range.
 * False when there is none (every byte is 0xFF, which no tuple is).
 */
bool tuple_after_prefix(struct tuple *tuple);

enum tuple_type { TUPLE_END, TUPLE_BYTES, TUPLE_TEXT, TUPLE_UINT, TUPLE_ID };

/* Reads a key that came from disk, element by element. */
struct tuple_reader {
    struct slice rest;
};

struct tuple_element {
    enum tuple_type type;
    uint64_t number;
    struct jini_id id;
    size_t length; /* of bytes or text, unescaped, in `bytes` */
    uint8_t bytes[TUPLE_KEY_MAX];
};

static inline struct tuple_reader tuple_reader_of(struct slice key)
{
    return (struct tuple_reader){.rest = key};
}

/* The next element; TUPLE_END after the last. JINI_E_CORRUPT: the bytes are no tuple. */
int tuple_next(struct tuple_reader *reader, struct tuple_element *out);

/* Whether an element is this text, as those are that tell kinds of rows apart. */
bool tuple_is_text(const struct tuple_element *element, const char *text);

/* The next element, which must be of this type. JINI_E_CORRUPT otherwise. */
int tuple_next_uint(struct tuple_reader *reader, uint64_t *out);
int tuple_next_id(struct tuple_reader *reader, struct jini_id *out);

#endif
