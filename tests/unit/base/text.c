/* UTF-8: what is text, how it is cut, how it is folded. */
#include "base/text.h"

#include "harness.h"

#include <jini/status.h>
#include <stdlib.h>

static const struct {
    const char *what;
    size_t length;
    const char *bytes;
} ill_formed[] = {
    {"NUL", 1, "\0"},
    {"a lone continuation", 1, "\x80"},
    {"a cut character of two", 1, "\xc3"},
    {"a cut character of three", 2, "\xe2\x82"},
    {"a cut character of four", 3, "\xf0\x9f\x98"},
    {"two bytes for a slash", 2, "\xc0\xaf"},
    {"three bytes for a slash", 3, "\xe0\x80\xaf"},
    {"four bytes for a slash", 4, "\xf0\x80\x80\xaf"},
    {"a surrogate", 3, "\xed\xa0\x80"},
    {"above U+10FFFF", 4, "\xf4\x90\x80\x80"},
    {"a first byte of five", 5, "\xf8\x88\x80\x80\x80"},
    {"0xFE", 1, "\xfe"},
    {"0xFF", 1, "\xff"},
};

TEST(well_formed_text_is_taken, "Every Unicode scalar value but NUL is text.")
{
    CHECK(text_is_utf8(slice_of(NULL, 0)));
    for (uint32_t point = 1; point <= 0x10FFFF; point++) {
        uint8_t bytes[4];
        size_t length = 0;
        if (point >= 0xD800 && point <= 0xDFFF)
            continue;
        if (point < 0x80) {
            bytes[length++] = (uint8_t)point;
        } else if (point < 0x800) {
            bytes[length++] = (uint8_t)(0xC0 | point >> 6);
        } else if (point < 0x10000) {
            bytes[length++] = (uint8_t)(0xE0 | point >> 12);
            bytes[length++] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        } else {
            bytes[length++] = (uint8_t)(0xF0 | point >> 18);
            bytes[length++] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
            bytes[length++] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        }
        if (point >= 0x80)
            bytes[length++] = (uint8_t)(0x80 | (point & 0x3F));
        CHECK(text_is_utf8(slice_of(bytes, length)));
    }
}

TEST(ill_formed_text_is_refused,
     "Overlong forms, surrogates, cut characters and NUL are no text, anywhere.")
{
    for (size_t i = 0; i < sizeof(ill_formed) / sizeof(ill_formed[0]); i++) {
        for (size_t before = 0; before < 4; before++) {
            /* Exactly as long as the text, so that a sanitizer sees a byte too far. */
            size_t length = before + ill_formed[i].length;
            char *text = malloc(length);
            CHECK(text != NULL);
            memset(text, 'a', before);
            memcpy(text + before, ill_formed[i].bytes, ill_formed[i].length);
            if (text_is_utf8(slice_of(text, length)))
                harness_fail(__FILE__, __LINE__, "%s is taken for text", ill_formed[i].what);
            free(text);
        }
    }
}

TEST(copies_are_cut_between_characters,
     "Whatever the room, a copy is UTF-8, ends in NUL and stays inside.")
{
    static const char text[] =
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* 1, 2, 3, 4 and 1 bytes */
    static const size_t ends[] = {0, 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t capacity = 1; capacity < sizeof(ends) / sizeof(ends[0]); capacity++) {
        char copy[32];
        memset(copy, 'x', sizeof(copy));
        size_t written = text_copy_utf8(copy, capacity, text);
        CHECK_UINT(written, ==, ends[capacity]);
        CHECK_UINT(strlen(copy), ==, written);
        CHECK_BYTES(copy, text, written);
        CHECK_INT(copy[capacity], ==, 'x');
    }
}

TEST(bytes_that_are_no_text_become_question_marks, "A copy of anything is UTF-8.")
{
    char copy[64];
    text_copy_utf8(copy, sizeof(copy),
                   "a\xff"
                   "b\xe2\x82"
                   "c\xed\xa0\x80");
    CHECK_TEXT(copy, "a?b??c???");
    for (int i = 0; i < 20000; i++) {
        char noise[40];
        size_t length = harness_random_below(sizeof(noise));
        for (size_t b = 0; b < length; b++)
            noise[b] = (char)(harness_random_below(255) + 1);
        noise[length] = '\0';
        size_t capacity = 1 + harness_random_below(sizeof(copy));
        size_t written = text_copy_utf8(copy, capacity, noise);
        CHECK_UINT(written, <, capacity);
        CHECK(text_is_utf8(slice_of(copy, written)));
    }
}

static void check_fold(const char *text, const char *expected)
{
    uint8_t bytes[128];
    struct buffer out = buffer_of(bytes, sizeof(bytes) - 1);
    CHECK_OK(text_fold(slice_of_text(text), &out));
    bytes[out.length] = '\0';
    CHECK_TEXT((const char *)bytes, expected);
}

TEST(folding_forgets_case_and_form,
     "Names that differ in case, width or composition fold to one text.")
{
    check_fold("", "");
    check_fold("Alice@Example.ORG", "alice@example.org");
    check_fold("STRASSE", "strasse");
    check_fold("Stra\xc3\x9f"
               "e",
               "strasse");
    check_fold("\xce\xa3\xce\x91\xcf\x82", "\xcf\x83\xce\xb1\xcf\x83"); /* final sigma is sigma */
    check_fold("\xef\xbc\xa1\xef\xbc\xa2", "ab");                       /* full width */
    check_fold("\xef\xac\x81", "fi");                                   /* ligature */
    check_fold("E\xcc\x81", "\xc3\xa9");                                /* decomposed */
    check_fold("\xc3\x89", "\xc3\xa9");
    check_fold("a\xc2\xad"
               "b",
               "ab");                    /* soft hyphen is ignorable */
    check_fold("\xc4\xb0", "i\xcc\x87"); /* dotted capital I, not the Turkish rule */
}

TEST(folding_twice_is_folding_once, "A folded text folds to itself, also with marks in any order.")
{
    static const char *const marks[] = {"\xcd\x85", "\xcc\x81", "\xcc\x88", "\xcc\xa7", "\xcc\xa3"};
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[64];
        uint8_t once[512];
        uint8_t twice[512];
        struct buffer text = buffer_of(bytes, sizeof(bytes));
        uint32_t point = 0x80 + (uint32_t)harness_random_below(0x780);
        uint8_t two[2] = {(uint8_t)(0xC0 | point >> 6), (uint8_t)(0x80 | (point & 0x3F))};
        buffer_append(&text, two, sizeof(two));
        for (uint64_t m = harness_random_below(4); m > 0; m--)
            buffer_append(&text, marks[harness_random_below(5)], 2);
        struct buffer first = buffer_of(once, sizeof(once));
        struct buffer second = buffer_of(twice, sizeof(twice));
        CHECK_OK(text_fold(buffer_slice(&text), &first));
        CHECK_OK(text_fold(buffer_slice(&first), &second));
        CHECK(slice_equal(buffer_slice(&first), buffer_slice(&second)));
    }
}

TEST(folding_refuses_what_is_no_text, "Ill-formed bytes are E_INVALID and append nothing.")
{
    for (size_t i = 0; i < sizeof(ill_formed) / sizeof(ill_formed[0]); i++) {
        uint8_t bytes[16];
        struct buffer out = buffer_of(bytes, sizeof(bytes));
        CHECK_STATUS(text_fold(slice_of(ill_formed[i].bytes, ill_formed[i].length), &out),
                     JINI_E_INVALID);
        CHECK_UINT(out.length, ==, 0);
    }
}

TEST(folding_reports_a_full_buffer,
     "A result that does not fit is E_TOO_BIG; one that just fits is not.")
{
    uint8_t bytes[8];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    CHECK_OK(text_fold(slice_of_text("ABCDEFGH"), &out));
    buffer_reset(&out);
    CHECK_STATUS(text_fold(slice_of_text("ABCDEFGHI"), &out), JINI_E_TOO_BIG);
    /* One character may fold to eighteen: U+FDFA is 33 bytes. */
    buffer_reset(&out);
    CHECK_STATUS(text_fold(slice_of_text("\xef\xb7\xba"), &out), JINI_E_TOO_BIG);
}
