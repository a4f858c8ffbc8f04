/*
 * 128-bit ids, ordered by the time they were made.
 */
#ifndef JINI_ID_H
#define JINI_ID_H

#include <jini/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JINI_ID_BYTES = 16, JINI_ID_TEXT_MAX = 37 };

/*
 * The layout is UUID version 7 (RFC 9562, section 5.7), most significant byte first. All zero is
 * "no id".
 */
struct jini_id {
    uint8_t bytes[JINI_ID_BYTES];
};

/* Writes the canonical text form, 36 characters and NUL, lower case. Any thread. */
JINI_EXPORT void jini_id_format(const struct jini_id *id, char text[JINI_ID_TEXT_MAX]);

/*
 * Reads the canonical text form, upper or lower case. `text` ends in NUL.
 * JINI_E_INVALID: not 8-4-4-4-12 hexadecimal digits; `out` is then all zero. Any version is taken.
 */
JINI_EXPORT int jini_id_parse(const char *text, struct jini_id *out);

/* Negative, zero or positive, as `a` was made before, is, or was made after `b`. */
JINI_EXPORT int jini_id_compare(const struct jini_id *a, const struct jini_id *b);

#ifdef __cplusplus
}
#endif
#endif
