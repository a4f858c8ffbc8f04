/* The format of raw metadata, and its texts as UTF-8. */
#include "codec/metadata.h"

#include "make.h"

#include <jini/status.h>

static const struct codec_text sample = {.source = CODEC_SOURCE_PNG_TEXT,
                                         .encoding = CODEC_TEXT_LATIN1,
                                         .form = CODEC_FORM_PLAIN,
                                         .length = 3,
                                         .keyword = {(const uint8_t *)"parameters", 10},
                                         .stored = {(const uint8_t *)"a\nb", 3}};

TEST(format_is_as_written_down, "The bytes are those of the table in metadata.h.")
{
    uint8_t room[64];
    struct buffer out = buffer_of(room, sizeof(room));
    codec_metadata_begin(&out);
    CHECK_OK(codec_metadata_add(&out, &sample));
    static const uint8_t expected[] = {'J', 'M', 'D', 1,   1,   1,    10,  0,   3,
                                       0,   0,   0,   'p', 'a', 'r',  'a', 'm', 'e',
                                       't', 'e', 'r', 's', 'a', '\n', 'b'};
    CHECK_UINT(out.length, ==, sizeof(expected));
    CHECK_BYTES(out.data, expected, sizeof(expected));
}

TEST(what_was_written_is_read, "Every entry comes back, and then the end.")
{
    uint8_t room[256];
    struct buffer out = buffer_of(room, sizeof(room));
    codec_metadata_begin(&out);
    CHECK_OK(codec_metadata_add(&out, &sample));
    struct codec_text second = sample;
    second.source = CODEC_SOURCE_EXIF;
    second.encoding = CODEC_TEXT_UTF16_BE;
    second.keyword = slice_of_text("UserComment");
    second.stored = slice_of("\0x", 2);
    second.length = 2;
    CHECK_OK(codec_metadata_add(&out, &second));
    struct jini_error error;
    struct codec_metadata_reader reader;
    struct codec_metadata_entry entry;
    CHECK_OK(codec_metadata_open(&reader, buffer_slice(&out), &error));
    CHECK_OK(codec_metadata_next(&reader, &entry, &error));
    CHECK_INT(entry.source, ==, CODEC_SOURCE_PNG_TEXT);
    CHECK(slice_equal(entry.keyword, slice_of_text("parameters")));
    CHECK(slice_equal(entry.value, slice_of_text("a\nb")));
    CHECK_OK(codec_metadata_next(&reader, &entry, &error));
    CHECK_INT(entry.encoding, ==, CODEC_TEXT_UTF16_BE);
    CHECK(slice_equal(entry.value, slice_of("\0x", 2)));
    CHECK_STATUS(codec_metadata_next(&reader, &entry, &error), JINI_E_NOT_FOUND);
    CHECK_OK(codec_metadata_find(buffer_slice(&out), "UserComment", &entry, &error));
    CHECK_UINT(entry.value.length, ==, 2);
    CHECK_STATUS(codec_metadata_find(buffer_slice(&out), "prompt", &entry, &error),
                 JINI_E_NOT_FOUND);
    CHECK_OK(codec_metadata_open(&reader, slice_of(NULL, 0), &error));
    CHECK_STATUS(codec_metadata_next(&reader, &entry, &error), JINI_E_NOT_FOUND);
}

TEST(changed_texts_are_corrupt,
     "A text whose stored bytes no longer give its length is refused, and nothing is added.")
{
    static const struct {
        enum codec_text_form form;
        const char *stored;
        size_t length;
    } cases[] = {
        {CODEC_FORM_PLAIN, "ab", 2},
        {CODEC_FORM_GIF_BLOCKS, "\2ab\2cd\0", 7},
        {CODEC_FORM_GIF_BLOCKS, "\2ab\0", 4},
        {CODEC_FORM_GIF_BLOCKS, "\3a", 2},
        {CODEC_FORM_DEFLATED, "no zlib stream", 14},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct codec_text text = sample;
        text.form = cases[i].form;
        text.stored = slice_of(cases[i].stored, cases[i].length);
        uint8_t room[8];
        struct buffer out = buffer_of(room, 1 + text.length);
        buffer_append_byte(&out, 'x');
        CHECK_STATUS(codec_text_value(&text, &out), JINI_E_CORRUPT);
        CHECK_UINT(out.length, ==, 1);
        CHECK(!out.overflow);
        out.length = 2;
        CHECK_STATUS(codec_text_value(&text, &out), JINI_E_TOO_BIG);
    }
}

TEST(newer_and_foreign_bytes_are_refused, "Another version is E_FORMAT, other bytes are E_CORRUPT.")
{
    struct jini_error error;
    struct codec_metadata_reader reader;
    CHECK_STATUS(codec_metadata_open(&reader, slice_of("JMD\x02", 4), &error), JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "version 2");
    CHECK_STATUS(codec_metadata_open(&reader, slice_of("JMD", 3), &error), JINI_E_CORRUPT);
    CHECK_STATUS(codec_metadata_open(&reader, slice_of("PK\3\4", 4), &error), JINI_E_CORRUPT);
}

TEST(damaged_bytes_are_never_read_past,
     "Cut or changed anywhere, an entry lies within or is refused.")
{
    uint8_t room[256];
    struct buffer out = buffer_of(room, sizeof(room));
    codec_metadata_begin(&out);
    for (int i = 0; i < 5; i++)
        CHECK_OK(codec_metadata_add(&out, &sample));
    for (int i = 0; i < 20000; i++) {
        size_t length = harness_random_below(out.length + 1);
        uint8_t *copy = exact_copy(out.data, length);
        for (unsigned flips = (unsigned)harness_random_below(3); length && flips; flips--)
            copy[harness_random_below(length)] = (uint8_t)harness_random();
        struct codec_metadata_reader reader;
        struct codec_metadata_entry entry;
        struct jini_error error;
        int status = codec_metadata_open(&reader, slice_of(copy, length), &error);
        for (int entries = 0; !status; entries++) {
            CHECK_INT(entries, <=, 32);
            status = codec_metadata_next(&reader, &entry, &error);
            if (!status) {
                CHECK(entry.keyword.data >= copy && entry.keyword.length > 0);
                CHECK(entry.value.data + entry.value.length <= copy + length);
                CHECK(entry.keyword.data + entry.keyword.length == entry.value.data);
            }
        }
        CHECK(status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_FORMAT);
        free(copy);
    }
}

static void check_utf8(enum codec_text_encoding encoding, const char *value, size_t length,
                       const char *expected)
{
    char room[128];
    struct buffer out = buffer_of(room, sizeof(room) - 1);
    CHECK_OK(codec_text_to_utf8(encoding, slice_of(value, length), &out));
    room[out.length] = '\0';
    CHECK_TEXT(room, expected);
}

TEST(texts_become_utf8,
     "Each encoding gives the same characters, and what it does not allow U+FFFD.")
{
    check_utf8(CODEC_TEXT_LATIN1, "caf\xe9", 4, "caf\xc3\xa9");
    check_utf8(CODEC_TEXT_UTF8, "caf\xc3\xa9", 5, "caf\xc3\xa9");
    check_utf8(CODEC_TEXT_UTF8, "a\xe9z\xc3", 4, "a\xef\xbf\xbdz\xef\xbf\xbd");
    check_utf8(CODEC_TEXT_UTF8, "a\0z", 3, "a\xef\xbf\xbdz");
    check_utf8(CODEC_TEXT_UNSAID, "caf\xc3\xa9", 5, "caf\xc3\xa9");
    check_utf8(CODEC_TEXT_UNSAID, "caf\xe9", 4, "caf\xc3\xa9");
    check_utf8(CODEC_TEXT_UTF16_BE, "\0a\x73\x2b", 4, "a\xe7\x8c\xab");
    check_utf8(CODEC_TEXT_UTF16_LE, "a\0\x2b\x73", 4, "a\xe7\x8c\xab");
    check_utf8(CODEC_TEXT_UTF16_BE, "\xd8\x3d\xde\x00", 4, "\xf0\x9f\x98\x80");
    check_utf8(CODEC_TEXT_UTF16_BE, "\xd8\x3d\0a\xde\0\0", 7,
               "\xef\xbf\xbd"
               "a"
               "\xef\xbf\xbd\xef\xbf\xbd");
    uint8_t small[4];
    struct buffer out = buffer_of(small, sizeof(small));
    CHECK_STATUS(codec_text_to_utf8(CODEC_TEXT_UTF8, slice_of_text("12345"), &out), JINI_E_TOO_BIG);
    out = buffer_of(small, sizeof(small));
    CHECK_STATUS(codec_text_to_utf8(CODEC_TEXT_JIS, slice_of_text("1"), &out), JINI_E_UNSUPPORTED);
}

TEST(random_bytes_become_valid_utf8,
     "Whatever the bytes, the result is UTF-8 of at most three times them.")
{
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[24];
        size_t length = harness_random_below(sizeof(bytes) + 1);
        for (size_t b = 0; b < length; b++)
            bytes[b] = (uint8_t)(harness_random_below(4) ? harness_random() : 0xD8);
        enum codec_text_encoding encoding =
            (enum codec_text_encoding)(CODEC_TEXT_LATIN1 + harness_random_below(5));
        uint8_t room[3 * sizeof(bytes)];
        struct buffer out = buffer_of(room, 3 * length);
        CHECK_OK(codec_text_to_utf8(encoding, slice_of(bytes, length), &out));
        uint8_t again[sizeof(room)];
        struct buffer second = buffer_of(again, out.length);
        CHECK_OK(codec_text_to_utf8(CODEC_TEXT_UTF8, buffer_slice(&out), &second));
        CHECK(slice_equal(buffer_slice(&out), buffer_slice(&second)));
    }
}
