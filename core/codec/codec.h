/*
 * Codecs: how bytes were packed before they were stored, and how to get exactly them back.
 *
 * A stored record names its codec by id and version. Both are pinned for ever; a change to what a
 * codec writes is a new version, and every version that was ever written stays readable. Zeros mean
 * "as they are", so a record that knows nothing of codecs is valid.
 *
 *   id  version  name    what is stored
 *    0        0  stored  the bytes as they are
 *    1        1  zstd    one zstd frame (RFC 8878) with its content size, no dictionary, no
 *                        checksum of its own: the record that holds it has one
 *
 * An image codec that takes PNG or JPEG apart and rebuilds it byte by byte is one more row of the
 * table in codec.c.
 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "base/bytes.h"

#include <jini/error.h>
#include <stdatomic.h>

enum codec_id { CODEC_STORED = 0, CODEC_ZSTD = 1 };

enum { CODEC_LEVEL_DEFAULT = 0, CODEC_POOL_SLOTS = 4 };

/*
 * Working memory of the codecs, kept between calls. Any number of threads may use one pool at once:
 * a call takes what it needs out of a slot, makes its own when all are taken, and puts it back;
 * what finds no free slot, or has grown over 4 MiB, is freed. So a pool holds at most 2 *
 * CODEC_POOL_SLOTS * 4 MiB. Every call that takes a pool also takes NULL and then makes its working
 * memory anew.
 */
struct codec_pool {
    _Atomic(void *) compressors[CODEC_POOL_SLOTS];
    _Atomic(void *) decompressors[CODEC_POOL_SLOTS];
};

void codec_pool_init(struct codec_pool *pool);

/* Frees what the pool keeps; it may be used again. No call may be running on it. */
void codec_pool_clear(struct codec_pool *pool);

/* One row of the table. Every function may be called on any thread; none keeps what it is given. */
struct codec {
    uint16_t id;
    uint16_t version;
    const char *name;

    /* The most bytes that encode() writes for `length` bytes. */
    size_t (*bound)(size_t length);

    /*
     * Appends the encoded form of `from` to `out`. `level` is CODEC_LEVEL_DEFAULT or one of the
     * codec's own. JINI_E_INVALID: no such level. JINI_E_TOO_BIG: it does not fit `out`.
     * JINI_E_NO_MEMORY. `out` keeps the length that it had when the call fails.
     */
    int (*encode)(struct codec_pool *pool, struct slice from, int level, struct buffer *out,
                  struct jini_error *error);

    /*
     * Appends to `out` the bytes that were encoded. `length` is how many they are, from the record:
     * nothing in `from` is believed beyond it. JINI_E_CORRUPT: `from` is not the encoded form of
     * that many bytes. JINI_E_TOO_BIG: `out` has no room for `length` bytes. JINI_E_NO_MEMORY.
     * `out` keeps the length that it had when the call fails, the room behind it may have been
     * written to.
     */
    int (*decode)(struct codec_pool *pool, struct slice from, size_t length, struct buffer *out,
                  struct jini_error *error);

    /*
     * JINI_E_CORRUPT unless `encoded` decodes to exactly `original`. To be called before the
     * original is given up. JINI_E_NO_MEMORY: it takes as much memory as the original does.
     */
    int (*verify)(struct codec_pool *pool, struct slice encoded, struct slice original,
                  struct jini_error *error);
};

/*
 * The codec of a record. Static. JINI_E_FORMAT: an id or version that this library does not know,
 * which the message names: the record is of a newer version, or is no record.
 */
int codec_find(uint32_t id, uint32_t version, const struct codec **out, struct jini_error *error);

/* What codec_compress_if_smaller() chose. */
struct codec_choice {
    const struct codec *codec;
    struct slice bytes; /* to be stored: the caller's own, or those in `out` */
};

/* The room that codec_compress_if_smaller() needs in `out`: 98 % of `length`, rounded down. */
size_t codec_smaller_bound(size_t length);

/*
 * Compresses `from` by zstd if that saves at least 2 % of it, else chooses it as it is and leaves
 * `out` as it was. `out` has room for codec_smaller_bound(from.length) bytes; `pool` and `level` as
 * in struct codec. JINI_E_INVALID: no such level. JINI_E_NO_MEMORY. `choice` is all zero when the
 * call fails.
 */
int codec_compress_if_smaller(struct codec_pool *pool, struct slice from, int level,
                              struct buffer *out, struct codec_choice *choice,
                              struct jini_error *error);

/* What coding a whole image must save to be worth it: one of so many bytes. */
enum { CODEC_CLEAR_SAVING = 8 };

/*
 * A guess from a few pieces of `from` whether zstd saves that much of it: tens of microseconds,
 * whatever the length, and the same answer each time for the same bytes. False also when memory is
 * short.
 */
bool codec_looks_compressible(struct codec_pool *pool, struct slice from);

#endif
