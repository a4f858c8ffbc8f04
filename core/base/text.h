/* UTF-8 text: checks, bounded copies, folding for comparisons without case. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/bytes.h"

/* True when the bytes are well-formed UTF-8 (RFC 3629) without NUL. */
bool text_is_utf8(struct slice text);

/*
 * Copies `from` to `to`, at most `capacity` - 1 bytes and NUL. A cut falls between characters, and
 * each byte that is no UTF-8 becomes '?'. Returns the bytes written without the NUL.
 */
size_t text_copy_utf8(char *to, size_t capacity, const char *from);

/*
 * Folds `text` for comparison: Unicode NFKC with case folding (utf8proc), so that names that differ
 * only in case or in compatibility form become equal. Appends to `out`. JINI_E_INVALID: not UTF-8.
 * JINI_E_TOO_BIG: the result does not fit `out`. JINI_E_NO_MEMORY.
 */
int text_fold(struct slice text, struct buffer *out);

#endif
