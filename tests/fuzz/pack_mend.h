/* Makes the checksums of any bytes those of a pack, so that a fuzzer gets past them. */
#ifndef FUZZ_PACK_MEND_H
#define FUZZ_PACK_MEND_H

#include "images/pack_format.h"

/* Whose bytes a mended pack are. */
static const struct jini_id pack_mend_id = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static inline void mend_end(uint8_t *part, size_t length, uint64_t seed)
{
    store_le64(part + length - 8, hash64_seeded(slice_of(part, length - 8), seed));
}

/* Makes the checksums of a record right, as far as its lengths allow. */
static inline void mend_record(uint8_t *record, size_t left, uint64_t offset)
{
    uint64_t stored = load_le64(record + 48);
    uint32_t metadata = load_le32(record + 60);
    if (stored <= left && metadata <= left && pack_record_length(stored, metadata) <= left) {
        struct slice payload = slice_of(record + pack_payload_at(stored, metadata), (size_t)stored);
        uint8_t *table = record + PACK_RECORD_HEADER_BYTES;
        pack_table_fill(payload, table);
        struct hash128 hash = hash128(payload);
        memcpy(record + 80, hash.bytes, 16);
        if (load_le16(record + 32) == PACK_CODEC_NONE) {
            memcpy(record + 64, hash.bytes, 16);
            store_le64(record + 40, stored);
        }
        store_le64(record + 96, hash64(slice_of(table, pack_table_bytes(stored))));
        store_le64(record + 104, hash64(slice_of(record + pack_metadata_at(stored), metadata)));
    }
    uint8_t place[24];
    memcpy(place, pack_mend_id.bytes, 16);
    store_le64(place + 16, offset);
    mend_end(record, PACK_RECORD_HEADER_BYTES, hash64(slice_of(place, sizeof(place))));
}

static inline void mend_footer(uint8_t *bytes, size_t length, size_t at)
{
    memcpy(bytes + at + 16, pack_mend_id.bytes, 16);
    store_le64(bytes + at + 32, at);
    mend_end(bytes + at, PACK_FOOTER_HEADER_BYTES, 0);
    if (length - at < PACK_FOOTER_HEADER_BYTES + PACK_TRAILER_BYTES)
        return;
    uint8_t *trailer = bytes + length - PACK_TRAILER_BYTES;
    memcpy(trailer + 16, pack_mend_id.bytes, 16);
    store_le64(trailer + 32, at);
    store_le64(trailer + 40, length);
    size_t footer_bytes = length - at - PACK_TRAILER_BYTES;
    store_le64(trailer + 48, hash64(slice_of(bytes + at, footer_bytes)));
    mend_end(trailer, PACK_TRAILER_BYTES, 0);
}

/* Mends records and footer of a whole pack, whose header stays as it is. */
static inline void pack_mend(uint8_t *bytes, size_t length)
{
    for (size_t at = PACK_HEADER_BYTES; at < length; at += PACK_ALIGNMENT) {
        size_t left = length - at;
        struct slice part = slice_of(bytes + at, left);
        if (left >= PACK_RECORD_HEADER_BYTES && pack_looks_like_record(part))
            mend_record(bytes + at, left, at);
        else if (left >= PACK_FOOTER_HEADER_BYTES && pack_looks_like_footer(part))
            mend_footer(bytes, length, at);
    }
}

#endif
