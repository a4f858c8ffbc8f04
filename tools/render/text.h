/* What the bytes of a text are. */
#ifndef RENDER_TEXT_H
#define RENDER_TEXT_H

#include <jini/error.h>
#include <stdbool.h>

/* True when the bytes are well-formed UTF-8 (RFC 3629). */
bool render_text_is_valid(const char *text);

/*
 * Writes a UTF-8 text as Latin-1, which the caller frees; NULL when Latin-1 lacks one of its
 * characters. JINI_E_NO_MEMORY.
 */
int render_text_to_latin1(const char *text, char **out);

#endif
