/*
 * Making a record ready to be appended: bounds, hashes and the block table, all that takes
 * processor time. It is done in the thread that has the image, so that the one appender of a pack
 * only writes.
 */
#ifndef IMAGES_PACK_PREPARE_H
#define IMAGES_PACK_PREPARE_H

#include "images/pack_format.h"

/* What a caller wants to store. All bytes are borrowed until the prepared record is freed. */
struct pack_input {
    struct jini_id image;
    struct slice payload; /* as it will be stored, at most PACK_PAYLOAD_BYTES_MAX */
    struct pack_codec codec;
    uint64_t original_length; /* of an uncoded payload: 0, or its length */
    const struct hash128
        *original_hash;    /* of an uncoded payload: NULL, or known already and trusted */
    struct slice metadata; /* as it will be stored, at most PACK_METADATA_BYTES_MAX */
    struct pack_codec metadata_codec;
    uint32_t metadata_original_length; /* of uncoded metadata: 0, or its length */
    uint8_t key_id[PACK_KEY_ID_BYTES]; /* zero: neither payload nor metadata is encrypted */
    uint8_t nonce[PACK_NONCE_BYTES];
    uint8_t metadata_nonce[PACK_NONCE_BYTES];
};

/* Room for the header and the block table of a payload of 2 MiB; more is allocated. */
enum { PACK_INLINE_HEAD_BYTES = PACK_RECORD_HEADER_BYTES + 32 * PACK_BLOCK_HASH_BYTES };

/* A record that only lacks its place. Not to be copied or moved. */
struct pack_prepared {
    struct pack_record record; /* appending fills in the sequence number */
    struct slice metadata;
    struct slice payload;
    uint64_t offset; /* filled in by appending */
    uint64_t length; /* of the whole record with its padding */
    uint8_t *head;   /* header and block table */
    size_t head_bytes;
    uint8_t inline_head[PACK_INLINE_HEAD_BYTES];
};

/*
 * Checks and hashes. An image that was looked for by its hash is not hashed again: give
 * `original_hash`. Any thread. Free with pack_prepared_free(), also after an error. JINI_E_TOO_BIG:
 * payload, original or metadata is over its bound. JINI_E_INVALID: an uncoded payload with another
 * length than the original, or a coded or encrypted one without the original's hash and length.
 * JINI_E_NO_MEMORY.
 */
int pack_prepare(const struct pack_input *input, struct pack_prepared *out,
                 struct jini_error *error);

/* Takes a struct that is all zero. */
void pack_prepared_free(struct pack_prepared *prepared);

#endif
