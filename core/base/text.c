/* UTF-8 on top of utf8proc (https://juliastrings.github.io/utf8proc/). */
#include "base/text.h"

#include "base/alloc.h"

#include <jini/status.h>
#include <utf8proc.h>

/* Code points that one character may become, with room to spare: 18 are the most. */
enum { DECOMPOSED_MAX = 128 };

#define EACH_BYTE(value) ((uint64_t)(value)*UINT64_C(0x0101010101010101))

/* The length of the well-formed character at `data`, or 0. */
static size_t character_length(const uint8_t *data, size_t length)
{
    utf8proc_int32_t codepoint;
    if (length > 0 && data[0] != 0 && data[0] < 0x80)
        return 1;
    utf8proc_ssize_t taken = utf8proc_iterate(data, (utf8proc_ssize_t)length, &codepoint);
    return taken > 0 && codepoint > 0 ? (size_t)taken : 0;
}

/*
 * True for eight bytes from 1 to 127: none has its high bit set, and none would after taking
 * away 1.
 */
static bool is_plain(const uint8_t *bytes)
{
    uint64_t word = load_le64(bytes);
    return ((word | (word - EACH_BYTE(1))) & EACH_BYTE(0x80)) == 0;
}

bool text_is_utf8(struct slice text)
{
    size_t position = 0;
    while (position < text.length) {
        if (text.length - position >= sizeof(uint64_t) && is_plain(text.data + position)) {
            position += sizeof(uint64_t);
            continue;
        }
        size_t taken = character_length(text.data + position, text.length - position);
        if (taken == 0)
            return false;
        position += taken;
    }
    return true;
}

size_t text_copy_utf8(char *to, size_t capacity, const char *from)
{
    JINI_ASSERT(capacity > 0);
    const uint8_t *bytes = (const uint8_t *)from;
    size_t left = strlen(from);
    size_t written = 0;
    while (left > 0) {
        if (left >= sizeof(uint64_t) && written + sizeof(uint64_t) < capacity && is_plain(bytes)) {
            memcpy(to + written, bytes, sizeof(uint64_t));
            written += sizeof(uint64_t);
            bytes += sizeof(uint64_t);
            left -= sizeof(uint64_t);
            continue;
        }
        size_t taken = character_length(bytes, left);
        size_t length = taken ? taken : 1;
        if (written + length > capacity - 1)
            break;
        if (taken)
            memcpy(to + written, bytes, taken);
        else
            to[written] = '?';
        written += length;
        bytes += length;
        left -= length;
    }
    to[written] = '\0';
    return written;
}

static enum text_kind kind_of(utf8proc_int32_t codepoint)
{
    switch (utf8proc_category_string(codepoint)[0]) {
    case 'L':
        return TEXT_LETTER;
    case 'M':
        return TEXT_MARK;
    case 'N':
        return TEXT_NUMBER;
    case 'Z':
        return TEXT_SPACE;
    case 'C':
        return utf8proc_category(codepoint) == UTF8PROC_CATEGORY_CC ? TEXT_CONTROL : TEXT_INVISIBLE;
    default:
        return TEXT_SYMBOL;
    }
}

bool text_take(struct slice *text, struct text_character *out)
{
    *out = (struct text_character){0};
    size_t taken = text->length ? character_length(text->data, text->length) : 0;
    if (taken == 0)
        return false;
    utf8proc_int32_t codepoint;
    utf8proc_iterate(text->data, (utf8proc_ssize_t)text->length, &codepoint);
    *out = (struct text_character){(uint32_t)codepoint, kind_of(codepoint)};
    text->data += taken;
    text->length -= taken;
    return true;
}

int text_to_ascii(struct slice text, struct buffer *out)
{
    if (!text_is_utf8(text))
        return JINI_E_INVALID;
    struct text_character character;
    while (text_take(&text, &character)) {
        utf8proc_int32_t parts[DECOMPOSED_MAX];
        int boundary = 0;
        utf8proc_ssize_t count =
            utf8proc_decompose_char((utf8proc_int32_t)character.codepoint, parts, DECOMPOSED_MAX,
                                    UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE, &boundary);
        JINI_ASSERT(count >= 0 && count <= DECOMPOSED_MAX);
        for (utf8proc_ssize_t i = 0; i < count; i++) {
            if (parts[i] < 0x80)
                buffer_append_byte(out, (uint8_t)parts[i]);
        }
    }
    return out->overflow ? JINI_E_TOO_BIG : 0;
}

static bool is_ascii(struct slice text)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < text.length; i++)
        seen |= text.data[i];
    return seen < 0x80;
}

/* ASCII is its own NFKC; what case folding leaves to do is the lower case of 26 letters. */
static int fold_ascii(struct slice text, struct buffer *out)
{
    uint8_t *to = buffer_reserve(out, text.length);
    if (!to)
        return JINI_E_TOO_BIG;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        to[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
    }
    return 0;
}

static int fold_unicode(struct slice text, struct buffer *out)
{
    const utf8proc_option_t options =
        UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_ssize_t length = (utf8proc_ssize_t)text.length;
    utf8proc_ssize_t count = utf8proc_decompose(text.data, length, NULL, 0, options);
    if (count < 0)
        return JINI_E_INVALID;
    utf8proc_int32_t *codepoints = base_malloc(((size_t)count + 1) * sizeof(*codepoints));
    if (!codepoints)
        return JINI_E_NO_MEMORY;
    int status = JINI_E_INVALID;
    if (utf8proc_decompose(text.data, length, codepoints, count, options) == count) {
        /* Encodes in place: UTF-8 of a code point takes no more than its four bytes. */
        utf8proc_ssize_t bytes = utf8proc_reencode(codepoints, count, options);
        if (bytes >= 0) {
            buffer_append(out, codepoints, (size_t)bytes);
            status = out->overflow ? JINI_E_TOO_BIG : 0;
        }
    }
    base_free(codepoints);
    return status;
}

int text_fold(struct slice text, struct buffer *out)
{
    if (!text_is_utf8(text))
        return JINI_E_INVALID;
    return is_ascii(text) ? fold_ascii(text, out) : fold_unicode(text, out);
}
