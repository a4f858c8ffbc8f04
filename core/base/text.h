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
 * What a character is, from its general category in Unicode. The order is kept: what words are made
 * of comes first, what can be seen comes before what cannot.
 */
enum text_kind {
    TEXT_LETTER,    /* L: of any script */
    TEXT_MARK,      /* M: accents, vowel signs */
    TEXT_NUMBER,    /* N: digits of any script, numerals, fractions */
    TEXT_SYMBOL,    /* P and S: punctuation and signs */
    TEXT_SPACE,     /* Z: spaces, line and paragraph separators */
    TEXT_CONTROL,   /* Cc */
    TEXT_INVISIBLE, /* Cf, Cs, Co, Cn: formatting, private use, not assigned */
};

struct text_character {
    uint32_t codepoint;
    enum text_kind kind;
};

/*
 * Takes the first character off `text`. False at its end and where it is not UTF-8 (text is left).
 */
bool text_take(struct slice *text, struct text_character *out);

/*
 * Appends the ASCII that is left of `text` after compatibility decomposition (NFKD): letters lose
 * their accents, what has no ASCII form goes. JINI_E_INVALID: not UTF-8. JINI_E_TOO_BIG: it does
 * not fit `out`.
 */
int text_to_ascii(struct slice text, struct buffer *out);

/*
 * Folds `text` for comparison: Unicode NFKC with case folding (utf8proc), so that names that differ
 * only in case or in compatibility form become equal. Appends to `out`. JINI_E_INVALID: not UTF-8.
 * JINI_E_TOO_BIG: the result does not fit `out`. JINI_E_NO_MEMORY.
 */
int text_fold(struct slice text, struct buffer *out);

#endif
