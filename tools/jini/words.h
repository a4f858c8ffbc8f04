/*
 * Texts for people: widths on a terminal, bytes and spans with honest units, times, and what is
 * safe to print.
 */
#ifndef JINI_CLI_WORDS_H
#define JINI_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_NUMBER_MAX = 48, WORDS_TIME_MAX = 32 };

/* "512 B", "1.5 KiB", "20.0 MiB". */
void words_bytes(uint64_t bytes, char out[WORDS_NUMBER_MAX]);

/*
 * "7 ms", "1.3 s", "12 min 5 s", "3 h 20 min", "2 d 4 h". Rounded up, so that nobody comes back too
 * early.
 */
void words_span_ms(uint64_t span_ms, char out[WORDS_NUMBER_MAX]);

/* ISO 8601 in UTC with milliseconds, "2025-03-01T12:00:00.000Z". */
void words_time_ms(uint64_t time_ms, char out[WORDS_TIME_MAX]);

/* Columns that UTF-8 text takes on a terminal. */
size_t words_width(const char *text);

/*
 * A copy of text that may be hostile, in which control characters, direction overrides and bytes
 * that are not UTF-8 are escapes. Line feeds stay with `keep_lines`. To be freed; NULL: out of
 * memory.
 */
enum words_lines { WORDS_ONE_LINE, WORDS_KEEP_LINES };
char *words_printable(const char *text, size_t length, enum words_lines lines);

/* A copy in which bytes that are not UTF-8 are U+FFFD. To be freed; NULL: out of memory. */
char *words_mended(const char *text, size_t length, size_t *mended_length);

/* The nearest of `count` names by edit distance, or NULL when none is near enough to be meant. */
const char *words_nearest(const char *name, const char *const *names, size_t count);

#endif
