/* The fast way through short fields says what the slow one says. */
#include "base/document.h"

#include "harness.h"

#include <jini/status.h>
#include <stdlib.h>

struct expected {
    enum document_type type;
    uint64_t number;
    size_t length;
};

/* Writes a value with `tag` and `width` big-endian bytes behind it. */
static size_t put_value(uint8_t *to, uint8_t tag, size_t width, uint64_t value)
{
    to[0] = tag;
    for (size_t i = 0; i < width; i++)
        to[1 + i] = (uint8_t)(value >> 8 * (width - 1 - i));
    return 1 + width;
}

/* One map of one field, its number written short or long, which takes the fast or the slow way. */
static void check_field(bool long_number, const uint8_t *value, size_t length,
                        const struct expected *expected)
{
    uint8_t *bytes = malloc(length + 3); /* exactly as long, so that a read outside is seen */
    CHECK(bytes);
    size_t begin = 0;
    bytes[begin++] = 0x81;
    if (long_number)
        bytes[begin++] = 0xcc;
    bytes[begin++] = 5;
    memcpy(bytes + begin, value, length);
    struct document_reader reader;
    struct document_field field;
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *part = malloc(begin + cut);
        CHECK(part);
        memcpy(part, bytes, begin + cut);
        CHECK_OK(document_open(&reader, slice_of(part, begin + cut)));
        CHECK_STATUS(document_next(&reader, &field), JINI_E_CORRUPT);
        free(part);
    }
    CHECK_OK(document_open(&reader, slice_of(bytes, begin + length)));
    memset(&field, 0xee, sizeof(field));
    CHECK_OK(document_next(&reader, &field));
    CHECK_UINT(field.field, ==, 5);
    CHECK_INT(field.type, ==, expected->type);
    CHECK_UINT(field.number, ==, expected->number);
    CHECK_INT(field.negative, ==, 0);
    CHECK_UINT(field.bytes.length, ==, expected->length);
    CHECK_UINT(field.raw.length, ==, length + begin - 1);
    CHECK(field.raw.data == bytes + 1);
    if (expected->length)
        CHECK_BYTES(field.bytes.data, value + length - expected->length, expected->length);
    CHECK_OK(document_next(&reader, &field));
    CHECK_INT(field.type, ==, DOCUMENT_END);
    free(bytes);
}

static void check_both(const uint8_t *value, size_t length, struct expected expected)
{
    check_field(false, value, length, &expected);
    check_field(true, value, length, &expected);
}

TEST(numbers_of_every_width_are_read,
     "An unsigned integer reads the same by both ways, cut at any byte.")
{
    uint8_t value[9];
    for (uint8_t number = 0; number < 128; number++)
        check_both(&number, 1, (struct expected){DOCUMENT_UINT, number, 0});
    for (unsigned width = 0; width < 4; width++) {
        for (int i = 0; i < 50; i++) {
            uint64_t number = harness_random() >> (64 - (8u << width));
            size_t length = put_value(value, (uint8_t)(0xcc + width), (size_t)1 << width, number);
            check_both(value, length, (struct expected){DOCUMENT_UINT, number, 0});
        }
    }
}

TEST(texts_of_every_short_length_are_read, "A text up to 300 bytes reads the same by both ways.")
{
    uint8_t value[310];
    memset(value, 'x', sizeof(value));
    for (size_t length = 0; length < 300; length++) {
        if (length < 32) {
            value[0] = (uint8_t)(0xa0 | length);
            check_both(value, 1 + length, (struct expected){DOCUMENT_TEXT, 0, length});
        }
        if (length < 256) {
            put_value(value, 0xd9, 1, length);
            check_both(value, 2 + length, (struct expected){DOCUMENT_TEXT, 0, length});
        }
        put_value(value, 0xda, 2, length);
        check_both(value, 3 + length, (struct expected){DOCUMENT_TEXT, 0, length});
        value[1] = value[2] = 'x';
    }
}
