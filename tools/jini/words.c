/* Formatting and checking of texts. All of it works in the locale C.UTF-8, which main() sets. */
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

void words_bytes(uint64_t bytes, char out[WORDS_NUMBER_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(out, WORDS_NUMBER_MAX, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(out, WORDS_NUMBER_MAX, "%.1f %s", value, units[unit]);
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return value / by + (value % by != 0);
}

void words_span_ms(uint64_t span_ms, char out[WORDS_NUMBER_MAX])
{
    uint64_t seconds = divide_up(span_ms, 1000);
    if (span_ms < 1000)
        snprintf(out, WORDS_NUMBER_MAX, "%" PRIu64 " ms", span_ms);
    else if (span_ms < 60000)
        snprintf(out, WORDS_NUMBER_MAX, "%.1f s", (double)divide_up(span_ms, 100) / 10);
    else if (seconds < 3600)
        snprintf(out, WORDS_NUMBER_MAX, "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
                 seconds % 60);
    else if (seconds < 86400)
        snprintf(out, WORDS_NUMBER_MAX, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                 seconds % 3600 / 60);
    else
        snprintf(out, WORDS_NUMBER_MAX, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                 seconds % 86400 / 3600);
}

void words_time_ms(uint64_t time_ms, char out[WORDS_TIME_MAX])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    out[0] = '\0';
    if (!gmtime_r(&seconds, &parts))
        return;
    char date[24];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, WORDS_TIME_MAX, "%s.%03uZ", date, (unsigned)(time_ms % 1000));
}

/* The character at the front of `text`. Its length, or 0 for bytes that are no UTF-8. */
static size_t next_character(const char *text, size_t length, wchar_t *out)
{
    mbstate_t state = {0};
    size_t taken = mbrtowc(out, text, length, &state);
    if (taken == 0) { /* the character NUL */
        *out = L'\0';
        return 1;
    }
    return taken > length ? 0 : taken;
}

size_t words_width(const char *text)
{
    size_t width = 0;
    size_t length = strlen(text);
    while (length > 0) {
        wchar_t character = L'?';
        size_t taken = next_character(text, length, &character);
        int columns = taken ? wcwidth(character) : 1;
        width += columns > 0 ? (size_t)columns : 0;
        taken = taken ? taken : 1;
        text += taken;
        length -= taken;
    }
    return width;
}

/* Marks that reverse or hide what stands beside them. */
static bool is_treacherous(wchar_t c)
{
    return iswcntrl((wint_t)c) || (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

char *words_printable(const char *text, size_t length, enum words_lines lines)
{
    enum { ESCAPE_MAX = 8 }; /* of one byte of text */
    char *out = malloc(length * ESCAPE_MAX + 1);
    char *to = out;
    while (out && length > 0) {
        wchar_t character = 0;
        size_t taken = next_character(text, length, &character);
        bool line = lines == WORDS_KEEP_LINES && (*text == '\n' || *text == '\t');
        if (taken > 0 && (line || !is_treacherous(character))) {
            memcpy(to, text, taken);
            to += taken;
        } else if (taken == 0 || character < 0x80) {
            to += snprintf(to, ESCAPE_MAX + 1, "\\x%02x", (unsigned)(unsigned char)*text);
        } else {
            to += snprintf(to, ESCAPE_MAX + 1, "\\u%04x", (unsigned)character & 0xffff);
        }
        taken = taken ? taken : 1;
        text += taken;
        length -= taken;
    }
    if (out)
        *to = '\0';
    return out;
}

char *words_mended(const char *text, size_t length, size_t *mended_length)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *out = malloc(length * 3 + 1);
    char *to = out;
    while (out && length > 0) {
        wchar_t character;
        size_t taken = next_character(text, length, &character);
        memcpy(to, taken ? text : replacement, taken ? taken : 3);
        to += taken ? taken : 3;
        taken = taken ? taken : 1;
        text += taken;
        length -= taken;
    }
    if (out)
        *to = '\0';
    *mended_length = out ? (size_t)(to - out) : 0;
    return out;
}

/* Levenshtein's distance; 64 and more for names that are longer than any of ours. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t columns = strlen(b);
    if (columns >= sizeof(row) / sizeof(row[0]) || strlen(a) >= sizeof(row) / sizeof(row[0]))
        return sizeof(row);
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[columns];
}

const char *words_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(name) / 3 + 2; /* a name of which less than half is right is another one */
    for (size_t i = 0; i < count; i++) {
        size_t far = distance(name, names[i]);
        if (far < best) {
            best = far;
            nearest = names[i];
        }
    }
    return nearest;
}
