/* Slices, bounded buffers and integers of fixed byte order. */
#include "base/bytes.h"

#include "harness.h"

#include <stdlib.h>

TEST(slices_order_by_bytes_then_length, "A slice lies before every longer one that begins with it.")
{
    struct slice empty = slice_of(NULL, 0);
    struct slice a = slice_of_text("a");
    struct slice ab = slice_of_text("ab");
    struct slice b = slice_of_text("b");
    struct slice high = slice_of_text("\xff");
    CHECK_INT(slice_compare(empty, empty), ==, 0);
    CHECK_INT(slice_compare(empty, a), <, 0);
    CHECK_INT(slice_compare(a, ab), <, 0);
    CHECK_INT(slice_compare(ab, b), <, 0);
    CHECK_INT(slice_compare(b, high), <, 0);
    CHECK_INT(slice_compare(high, b), >, 0);
    CHECK(slice_equal(empty, slice_of("x", 0)));
    CHECK(slice_equal(ab, slice_of("abc", 2)));
    CHECK(!slice_equal(a, ab));
    CHECK(slice_has_prefix(ab, a));
    CHECK(slice_has_prefix(ab, empty));
    CHECK(!slice_has_prefix(a, ab));
    CHECK(!slice_has_prefix(ab, b));
}

TEST(a_full_buffer_takes_nothing_more,
     "What does not fit writes nothing, and neither does what follows.")
{
    uint8_t bytes[8];
    memset(bytes, 0xAA, sizeof(bytes));
    struct buffer buffer = buffer_of(bytes, 4);
    buffer_append(&buffer, "abc", 3);
    buffer_append(&buffer, NULL, 0);
    CHECK(!buffer.overflow);
    buffer_append(&buffer, "de", 2);
    CHECK(buffer.overflow);
    buffer_append_byte(&buffer, 'f');
    CHECK(slice_equal(buffer_slice(&buffer), slice_of_text("abc")));
    CHECK_UINT(bytes[3], ==, 0xAA);
    CHECK(buffer_reserve(&buffer, SIZE_MAX) == NULL);
    buffer_reset(&buffer);
    buffer_append(&buffer, "wxyz", 4);
    CHECK(!buffer.overflow);
    CHECK(slice_equal(buffer_slice(&buffer), slice_of_text("wxyz")));
    CHECK_UINT(bytes[4], ==, 0xAA);
}

TEST(integers_keep_their_order_of_bytes, "Little and big endian are what they say, at any address.")
{
    uint8_t bytes[16];
    for (size_t at = 0; at < 8; at++) {
        uint8_t *to = bytes + at;
        store_le16(to, 0x0102);
        CHECK_BYTES(to, "\x02\x01", 2);
        CHECK_UINT(load_le16(to), ==, 0x0102);
        store_le32(to, 0x01020304);
        CHECK_BYTES(to, "\x04\x03\x02\x01", 4);
        CHECK_UINT(load_le32(to), ==, 0x01020304);
        CHECK_UINT(load_be32(to), ==, 0x04030201);
        store_be32(to, 0x01020304);
        CHECK_BYTES(to, "\x01\x02\x03\x04", 4);
        store_le64(to, UINT64_C(0x0102030405060708));
        CHECK_BYTES(to, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
        CHECK_UINT(load_le64(to), ==, UINT64_C(0x0102030405060708));
        store_be64(to, UINT64_C(0x0102030405060708));
        CHECK_BYTES(to, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        CHECK_UINT(load_be64(to), ==, UINT64_C(0x0102030405060708));
        store_le16(to, 0xFFFF);
        CHECK_UINT(load_le16(to), ==, 0xFFFF);
    }
}
