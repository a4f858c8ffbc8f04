/* Inflating the zlib streams (RFC 1950) of compressed texts, bounded. */
#ifndef CODEC_INFLATE_H
#define CODEC_INFLATE_H

#include "base/bytes.h"

/*
 * How many bytes a stream inflates to, keeping none of them. `produced` counts the bytes that were
 * inflated, also when the call fails, and is at most `length_max` + 1. JINI_E_TOO_BIG: more than
 * `length_max`; inflating stopped there. JINI_E_CORRUPT: no stream, or its end or its check is
 * missing. JINI_E_NO_MEMORY. Bytes after the stream are ignored.
 */
int codec_inflate_measure(struct slice stream, size_t length_max, size_t *produced);

/* Appends to `out` what a stream inflates to. Errors as above; the bound is the room in `out`. */
int codec_inflate(struct slice stream, struct buffer *out);

#endif
