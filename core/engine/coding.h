/*
 * Coding an image before it is stored: by zstd, where that saves room clearly. PNG, JPEG, WebP and
 * AVIF are compressed already, so that most images are not worth it; a PNG of stored blocks, or one
 * that carries much text, is. A cheap look at a few pieces tells which: every image pays for that
 * alone.
 *
 * What is coded is decoded again and compared before it is believed. Memory is bounded: over
 * pack.queue_bytes_max for all images that are being coded or wait to be written coded, and where
 * anything else fails, an image is stored as it is.
 */
#ifndef ENGINE_CODING_H
#define ENGINE_CODING_H

#include "base/bytes.h"
#include "base/hash.h"
#include "images/pack_prepare.h"

struct jini;

/* A coded image, or all zero: none. */
struct coding {
    uint8_t *bytes;
    size_t length;
    uint64_t reserved;       /* of what all may hold */
    struct hash128 original; /* of the image as it was put */
};

/*
 * Codes the payload of `input`, which then points to the coded bytes and says so, or leaves it as
 * it is. For a thread that may take its time.
 */
void coding_try(struct jini *jini, struct coding *coding, struct pack_input *input);

/* Gives back what a coding holds, once the record was written. Takes one that is all zero. */
void coding_free(struct jini *jini, struct coding *coding);

#endif
