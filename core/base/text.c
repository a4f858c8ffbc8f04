/* UTF-8 on top of utf8proc (https://juliastrings.github.io/utf8proc/). */
#include "base/text.h"

#include <jini/status.h>
#include <stdlib.h>
#include <utf8proc.h>

/* The length of the well-formed character at `data`, or 0. */
static size_t character_length(const uint8_t *data, size_t length)
{
    utf8proc_int32_t codepoint;
    utf8proc_ssize_t taken = utf8proc_iterate(data, (utf8proc_ssize_t)length, &codepoint);
    return taken > 0 && codepoint > 0 ? (size_t)taken : 0;
}

bool text_is_utf8(struct slice text)
{
    size_t position = 0;
    while (position < text.length) {
        if (text.data[position] != 0 && text.data[position] < 0x80) {
            position++;
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

int text_fold(struct slice text, struct buffer *out)
{
    if (!text_is_utf8(text))
        return JINI_E_INVALID;
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t length = utf8proc_map(text.data, (utf8proc_ssize_t)text.length, &folded,
                                           UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE |
                                               UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    if (length < 0)
        return length == UTF8PROC_ERROR_NOMEM ? JINI_E_NO_MEMORY : JINI_E_INVALID;
    buffer_append(out, folded, (size_t)length);
    free(folded);
    return out->overflow ? JINI_E_TOO_BIG : 0;
}
