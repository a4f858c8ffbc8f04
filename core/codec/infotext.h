/*
 * The seed in an infotext, the text that the AUTOMATIC1111 web UI and its relatives write beside an
 * image:
 *
 *     a lighthouse at dusk
 *     Negative prompt: blurry
 *     Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x768, ...
 *
 * Its last line holds pairs, found as that program finds them, by the pattern
 *
 *     \s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)
 *
 * applied again and again; with fewer than three pairs the line belongs to the prompt and there is
 * no seed.
 */
#ifndef CODEC_INFOTEXT_H
#define CODEC_INFOTEXT_H

#include "base/bytes.h"

/* A pair of the last line, and where the search goes on. */
struct codec_infotext_pair {
    struct slice key;
    struct slice value; /* with its quotes, if it has them */
};

/*
 * Takes the next pair off the front of `line`. False when there is none left. Bytes from 0x80 on
 * count as letters, so the text may be in any encoding that keeps ASCII as it is.
 */
bool codec_infotext_next(struct slice *line, struct codec_infotext_pair *out);

/*
 * The seed of an infotext. False when it is no infotext, or names no seed that is a decimal number
 * below 2^64. Time grows with the length of the text, whatever is in it.
 */
bool codec_infotext_seed(struct slice text, uint64_t *out);

#endif
