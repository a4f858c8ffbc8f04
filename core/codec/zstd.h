/*
 * One buffer to one zstd frame and back (RFC 8878, libzstd). The functions are the `zstd` row of
 * the table in codec.c and may be called by themselves; codec.h tells their parameters and errors.
 */
#ifndef CODEC_ZSTD_H
#define CODEC_ZSTD_H

#include "codec/codec.h"

enum { CODEC_ZSTD_LEVEL_MIN = 1, CODEC_ZSTD_LEVEL_DEFAULT = 3, CODEC_ZSTD_LEVEL_MAX = 19 };

size_t codec_zstd_bound(size_t length);

int codec_zstd_compress(struct codec_pool *pool, struct slice from, int level, struct buffer *out,
                        struct jini_error *error);

/*
 * Takes one frame that fills `from`, tells its content size, which is `length`, and uses no
 * dictionary. Everything else is JINI_E_CORRUPT, and is found before memory is written: several
 * frames, skippable frames, formats before RFC 8878.
 */
int codec_zstd_decompress(struct codec_pool *pool, struct slice from, size_t length,
                          struct buffer *out, struct jini_error *error);

int codec_zstd_verify(struct codec_pool *pool, struct slice encoded, struct slice original,
                      struct jini_error *error);

#endif
