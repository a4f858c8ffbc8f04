/* Characters and their kinds, the way to ASCII, and the fast ways through plain text. */
#include "base/text.h"

#include "harness.h"

#include <jini/status.h>

static void check_kind(const char *text, uint32_t codepoint, enum text_kind kind)
{
    struct slice rest = slice_of_text(text);
    struct text_character character;
    CHECK(text_take(&rest, &character));
    CHECK_UINT(character.codepoint, ==, codepoint);
    CHECK_INT(character.kind, ==, kind);
    CHECK_UINT(rest.length, ==, 0);
    CHECK(!text_take(&rest, &character));
}

TEST(characters_are_taken_one_by_one, "Each character comes with its code point and its kind.")
{
    check_kind("a", 'a', TEXT_LETTER);
    check_kind("\xce\xa9", 0x3a9, TEXT_LETTER);      /* Greek */
    check_kind("\xe5\xad\x97", 0x5b57, TEXT_LETTER); /* Chinese */
    check_kind("\xcc\x81", 0x301, TEXT_MARK);        /* combining acute */
    check_kind("7", '7', TEXT_NUMBER);
    check_kind("\xc2\xb2", 0xb2, TEXT_NUMBER); /* superscript two */
    check_kind("_", '_', TEXT_SYMBOL);
    check_kind("+", '+', TEXT_SYMBOL);
    check_kind("\xf0\x9f\x98\x80", 0x1f600, TEXT_SYMBOL); /* grinning face */
    check_kind(" ", ' ', TEXT_SPACE);
    check_kind("\xc2\xa0", 0xa0, TEXT_SPACE);
    check_kind("\xe2\x80\xa8", 0x2028, TEXT_SPACE);
    check_kind("\n", '\n', TEXT_CONTROL);
    check_kind("\x7f", 0x7f, TEXT_CONTROL);
    check_kind("\xc2\x85", 0x85, TEXT_CONTROL);
    check_kind("\xe2\x80\x8b", 0x200b, TEXT_INVISIBLE); /* zero-width space */
    check_kind("\xe2\x80\xae", 0x202e, TEXT_INVISIBLE); /* right-to-left override */
    check_kind("\xee\x80\x80", 0xe000, TEXT_INVISIBLE); /* private use */
    check_kind("\xcd\xb8", 0x378, TEXT_INVISIBLE);      /* not assigned */
}

TEST(ill_formed_bytes_are_not_taken, "Where the bytes are no UTF-8 nothing is taken.")
{
    static const char *const texts[] = {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct slice rest = slice_of_text(texts[i]);
        struct text_character character;
        CHECK(!text_take(&rest, &character));
        CHECK_UINT(rest.length, ==, strlen(texts[i]));
    }
    struct slice zero = slice_of("\0", 1);
    struct text_character character;
    CHECK(!text_take(&zero, &character));
}

static void check_ascii(const char *text, const char *expected)
{
    char bytes[64];
    struct buffer out = buffer_of(bytes, sizeof(bytes) - 1);
    CHECK_OK(text_to_ascii(slice_of_text(text), &out));
    bytes[out.length] = '\0';
    CHECK_TEXT(bytes, expected);
}

TEST(text_becomes_ascii, "Accents go, compatibility forms are written out, other scripts vanish.")
{
    check_ascii("", "");
    check_ascii("Plain @ 1+1", "Plain @ 1+1");
    check_ascii("Zo\xc3\xab", "Zoe");
    check_ascii("Zoe\xcc\x88", "Zoe");
    check_ascii("\xef\xbc\xa1\xef\xac\x81", "Afi"); /* full-width A, fi ligature */
    check_ascii("\xe2\x84\xab", "A");               /* Angstrom sign */
    check_ascii("\xe1\xba\xad", "a");               /* two accents */
    check_ascii("a\xce\xa9\xe5\xad\x97z", "az");
    check_ascii("\xef\xb7\xba", "   "); /* the ligature of 18 code points: its blanks stay */
    char bytes[2];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    CHECK_STATUS(text_to_ascii(slice_of_text("abc"), &out), JINI_E_TOO_BIG);
    out = buffer_of(bytes, sizeof(bytes));
    CHECK_STATUS(text_to_ascii(slice_of_text("a\xff"), &out), JINI_E_INVALID);
    CHECK_UINT(out.length, ==, 0);
}

/* One byte at a time, as RFC 3629 has it, and without NUL. */
static bool slow_is_utf8(struct slice text)
{
    struct text_character character;
    while (text_take(&text, &character))
        continue;
    return text.length == 0;
}

TEST(the_fast_check_agrees_with_the_slow_one,
     "A byte that is no text is found at every place, whatever stands around it.")
{
    uint8_t bytes[40];
    for (int i = 0; i < 200000; i++) {
        size_t length = harness_random_below(sizeof(bytes));
        for (size_t b = 0; b < length; b++)
            bytes[b] = (uint8_t)(1 + harness_random_below(127));
        if (length > 0 && harness_random_below(2)) {
            static const uint8_t odd[] = {0x00, 0x80, 0xc3, 0xff, 0x7f};
            bytes[harness_random_below(length)] = odd[harness_random_below(sizeof(odd))];
        }
        if (length > 1 && harness_random_below(4) == 0) {
            size_t place = harness_random_below(length - 1);
            bytes[place] = 0xc3;
            bytes[place + 1] = 0xa9;
        }
        struct slice text = slice_of(bytes, length);
        CHECK_INT(text_is_utf8(text), ==, slow_is_utf8(text));
    }
}

TEST(folding_ascii_is_folding_unicode,
     "Plain text folds as it does with another character beside it.")
{
    for (int i = 0; i < 20000; i++) {
        char text[34];
        char plain[64];
        char other[64];
        size_t length = harness_random_below(32);
        for (size_t b = 0; b < length; b++)
            text[b] = (char)(1 + harness_random_below(127));
        struct buffer out = buffer_of(plain, sizeof(plain));
        CHECK_OK(text_fold(slice_of(text, length), &out));
        text[length] =
            '\xc3'; /* sharp s, which folds to "ss" and so sends the whole the long way */
        text[length + 1] = '\x9f';
        struct buffer whole = buffer_of(other, sizeof(other));
        CHECK_OK(text_fold(slice_of(text, length + 2), &whole));
        CHECK_UINT(whole.length, ==, out.length + 2);
        CHECK_BYTES(plain, other, out.length);
    }
}

TEST(folding_without_memory_is_an_error,
     "A failed allocation is E_NO_MEMORY and the next call works.")
{
    char bytes[64];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct slice text = slice_of_text("\xc3\x89");
    harness_fail_allocation(1);
    CHECK_STATUS(text_fold(text, &out), JINI_E_NO_MEMORY);
    CHECK(harness_allocation_failed());
    harness_fail_allocation(0);
    CHECK_UINT(out.length, ==, 0);
    CHECK_OK(text_fold(text, &out));
    CHECK_UINT(out.length, ==, 2);
}
