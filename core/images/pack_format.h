/*
 * The format of a pack: a file of images that are appended and never changed. The same bytes are an
 * object of the archive.
 *
 * All integers are little-endian; hashes and ids stand in their canonical byte order, most
 * significant byte first. XXH3 is https://xxhash.com, XXH3-64 and XXH3-128 without seed unless one
 * is named.
 *
 *   pack      = header, record*                      an open pack, or one whose process died
 *             | header, record*, footer, trailer     a sealed pack
 *
 * Every version of the format keeps: the magics; the version that follows them; the length of the
 * pack header and of the record header, each with its checksum in its last 8 bytes. So a reader
 * tells damage (the checksum fails) from a newer version (it holds, the version is larger), and
 * refuses the latter.
 *
 * The tables below give offset, length and meaning.
 *
 * Pack header, 4096 bytes, at offset 0:
 *      0   8  magic "JINIPACK"
 *      8   4  format version, 1
 *     12   4  flags, 0
 *     16  16  pack id (UUIDv7)
 *     32   4  tier group of the pack's class
 *     36   4  the day on which all of its images expire, in days since 1970-01-01; 0 = kept
 *     40  16  id of the engine instance that created it
 *     56   8  created, nanoseconds since 1970-01-01T00:00:00Z
 *     64      zero
 *   4088   8  XXH3-64 of bytes 0 to 4087
 *
 * Record, at a multiple of 64: header, block table, metadata, payload, zeros up to the next
 * multiple of 64. The header:
 *      0   4  magic "JREC"
 *      4   2  format version, 1
 *      6   2  kind: 1 = image
 *      8   4  sequence number in the pack, from 0, below 65536
 *     12   4  flags, 0
 *     16  16  image id
 *     32   2  codec of the payload; 0 = the payload is the original
 *     34   2  version of that codec
 *     36   2  codec of the metadata; 0 = as it was
 *     38   2  version of that codec
 *     40   8  length of the original bytes, at most 256 MiB
 *     48   8  length of the payload, at most 256 MiB
 *     56   4  length of the original metadata, at most 16 MiB
 *     60   4  length of the stored metadata, at most 16 MiB
 *     64  16  XXH3-128 of the original bytes
 *     80  16  XXH3-128 of the payload
 *     96   8  XXH3-64 of the block table
 *    104   8  XXH3-64 of the stored metadata
 *    112  16  key id; zero = not encrypted
 *    128  24  nonce of the payload (reserved for encryption; zero without a key)
 *    152  24  nonce of the metadata (the same)
 *    176      zero
 *    248   8  XXH3-64 of bytes 0 to 247, seeded by XXH3-64(pack id, 8 bytes offset of the record)
 *
 * The block table holds, for every 64 KiB of the payload (the last block may be shorter), 8 bytes:
 * the XXH3-64 of the block. The seed makes a record valid at its place only: one that was copied to
 * another pack or offset, or is left from an earlier file, fails its check.
 *
 * Footer, behind the last record:
 *      0   4  magic "JFTR"
 *      4   2  format version, 1
 *      6   2  length of an entry, 80
 *      8   4  count of entries, at most 65536
 *     12   4  flags, 0
 *     16  16  pack id
 *     32   8  offset of this footer
 *     40      zero
 *     56   8  XXH3-64 of bytes 0 to 55
 *   Entries, in the order of the records:
 *      0   8  offset of the record
 *      8   8  length of the payload
 *     16   8  length of the original bytes
 *     24  16  image id
 *     40  16  XXH3-128 of the original bytes
 *     56   4  sequence number
 *     60   4  length of the stored metadata
 *     64   4  length of the original metadata
 *     68   4  flags of the record
 *     72   2  kind
 *     74   2  codec of the payload
 *     76   2  version of that codec
 *     78   2  codec of the metadata
 *
 * A record of which nothing is legible has no entry: bytes between two records that belong to
 * neither were damaged before the pack was sealed.
 *
 * Trailer, the last 64 bytes of a sealed pack:
 *      0   8  magic "JINIPEND"
 *      8   4  format version, 1
 *     12   4  count of entries
 *     16  16  pack id
 *     32   8  offset of the footer
 *     40   8  length of the file
 *     48   8  XXH3-64 of the footer, its header and its entries
 *     56   8  XXH3-64 of bytes 0 to 55
 *
 * Nothing in the footer or trailer depends on when it was written, so that sealing again after a
 * crash gives the same bytes. What is written as zero must be read as zero: a later version may
 * give it meaning.
 *
 * Everything here is pure: functions from slices to structs and back. Any thread.
 */
#ifndef IMAGES_PACK_FORMAT_H
#define IMAGES_PACK_FORMAT_H

#include "base/bytes.h"
#include "base/hash.h"

#include <jini/error.h>
#include <jini/id.h>

enum {
    PACK_VERSION = 1,
    PACK_HEADER_BYTES = 4096,
    PACK_RECORD_HEADER_BYTES = 256,
    PACK_FOOTER_HEADER_BYTES = 64,
    PACK_FOOTER_ENTRY_BYTES = 80,
    PACK_TRAILER_BYTES = 64,
    PACK_ALIGNMENT = 64,
    PACK_BLOCK_BYTES = 65536,
    PACK_BLOCK_HASH_BYTES = 8,
    PACK_PAYLOAD_BYTES_MAX = 256 << 20,
    PACK_METADATA_BYTES_MAX = 16 << 20,
    PACK_RECORDS_MAX = 65536,
    PACK_KEY_ID_BYTES = 16,
    PACK_NONCE_BYTES = 24
};

/* No pack is longer, so that no sum of an offset and a length can overflow. */
#define PACK_BYTES_MAX (UINT64_C(1) << 36)

enum { PACK_KIND_IMAGE = 1, PACK_CODEC_NONE = 0 };

struct pack_header {
    struct jini_id pack;
    struct jini_id instance;
    uint64_t created_ns;
    uint32_t tier_group;
    uint32_t expiry_day; /* days since 1970-01-01; 0: kept */
};

/* How bytes were coded: ids of the codec module, which this one only carries. */
struct pack_codec {
    uint16_t id;
    uint16_t version;
};

struct pack_record {
    struct jini_id image;
    uint64_t original_length;
    uint64_t stored_length;
    uint32_t sequence;
    uint32_t flags;
    uint32_t metadata_original_length;
    uint32_t metadata_stored_length;
    uint16_t kind;
    struct pack_codec codec;
    struct pack_codec metadata_codec;
    struct hash128 original_hash;
    struct hash128 stored_hash;
    uint64_t table_checksum;
    uint64_t metadata_checksum;
    uint8_t key_id[PACK_KEY_ID_BYTES];
    uint8_t nonce[PACK_NONCE_BYTES];
    uint8_t metadata_nonce[PACK_NONCE_BYTES];
};

/* What a footer tells of a record: enough to list a pack, and to index it anew. */
struct pack_entry {
    uint64_t offset;
    uint64_t stored_length;
    uint64_t original_length;
    struct jini_id image;
    struct hash128 original_hash;
    uint32_t sequence;
    uint32_t metadata_stored_length;
    uint32_t metadata_original_length;
    uint32_t flags;
    uint16_t kind;
    struct pack_codec codec;
    uint16_t metadata_codec_id;
};

struct pack_footer {
    struct jini_id pack;
    uint64_t offset;
    uint32_t count;
};

struct pack_trailer {
    struct jini_id pack;
    uint64_t footer_offset;
    uint64_t file_length;
    uint64_t footer_checksum;
    uint32_t count;
};

static inline uint64_t pack_align(uint64_t offset)
{
    return (offset + PACK_ALIGNMENT - 1) & ~(uint64_t)(PACK_ALIGNMENT - 1);
}

/* The number of blocks in a payload of this length. */
static inline uint32_t pack_blocks(uint64_t stored_length)
{
    return (uint32_t)((stored_length + PACK_BLOCK_BYTES - 1) / PACK_BLOCK_BYTES);
}

static inline uint32_t pack_table_bytes(uint64_t stored_length)
{
    return pack_blocks(stored_length) * PACK_BLOCK_HASH_BYTES;
}

/*
 * Where the parts of a record begin, counted from its first byte, and the length of the whole with
 * its padding. The lengths must be within their bounds, as those of every decoded record and entry
 * are.
 */
static inline uint64_t pack_metadata_at(uint64_t stored_length)
{
    return (uint64_t)PACK_RECORD_HEADER_BYTES + pack_table_bytes(stored_length);
}

static inline uint64_t pack_payload_at(uint64_t stored_length, uint32_t metadata_stored_length)
{
    return pack_metadata_at(stored_length) + metadata_stored_length;
}

static inline uint64_t pack_record_length(uint64_t stored_length, uint32_t metadata_stored_length)
{
    return pack_align(pack_payload_at(stored_length, metadata_stored_length) + stored_length);
}

/* The length of a footer with its entries, without the trailer. */
static inline uint64_t pack_footer_length(uint32_t count)
{
    return PACK_FOOTER_HEADER_BYTES + (uint64_t)count * PACK_FOOTER_ENTRY_BYTES;
}

/* Writes the hashes of the payload's blocks, pack_table_bytes() of them, to `table`. */
void pack_table_fill(struct slice payload, uint8_t *table);

/* True when `block` has the hash that stands for the block `index` in `table`. */
bool pack_table_holds(const uint8_t *table, uint32_t index, struct slice block);

void pack_header_encode(const struct pack_header *header, uint8_t out[PACK_HEADER_BYTES]);

/* `offset` is where the record will stand in the pack: it is part of the checksum. */
void pack_record_encode(const struct pack_record *record, const struct jini_id *pack,
                        uint64_t offset, uint8_t out[PACK_RECORD_HEADER_BYTES]);
void pack_footer_encode(const struct pack_footer *footer, uint8_t out[PACK_FOOTER_HEADER_BYTES]);
void pack_entry_encode(const struct pack_entry *entry, uint8_t out[PACK_FOOTER_ENTRY_BYTES]);
void pack_trailer_encode(const struct pack_trailer *trailer, uint8_t out[PACK_TRAILER_BYTES]);

/*
 * The decoders take the bytes as they stand at `offset` of the pack, at least as many as the part
 * is long, and check all that can be checked on them alone; `out` is zero after an error. `pack` is
 * the id that the bytes must belong to; pack_header_decode() and pack_trailer_decode() take NULL
 * for any. JINI_E_CORRUPT: the bytes are damaged, too few, or belong to another place; `error`
 * names offset and fault. JINI_E_FORMAT: they are whole and of a newer version; nothing may be
 * changed or cut off in that pack.
 */
int pack_header_decode(struct slice bytes, const struct jini_id *pack, struct pack_header *out,
                       struct jini_error *error);
int pack_record_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                       struct pack_record *out, struct jini_error *error);
int pack_footer_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                       struct pack_footer *out, struct jini_error *error);
int pack_trailer_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                        struct pack_trailer *out, struct jini_error *error);

/*
 * Decodes the entry that begins at `offset` of the pack. An entry has no checksum of its own: the
 * caller has compared that of the footer. JINI_E_CORRUPT: it points outside of `footer`'s records,
 * or a length breaks its bound.
 */
int pack_entry_decode(struct slice bytes, const struct pack_footer *footer, uint64_t offset,
                      struct pack_entry *out, struct jini_error *error);

/* True when the bytes begin with the magic of a record, or of a footer; nothing else is checked. */
bool pack_looks_like_record(struct slice bytes);
bool pack_looks_like_footer(struct slice bytes);

/* The entry that a footer holds for this record at this offset. */
struct pack_entry pack_entry_of(const struct pack_record *record, uint64_t offset);

bool pack_entry_equal(const struct pack_entry *a, const struct pack_entry *b);

/*
 * Checks a whole record in memory, as it was got from a pack or by a ranged read of an archive
 * object: header, block table, metadata, payload and padding. `bytes` begin at the record and may
 * go on behind it. `metadata` and `payload` point into `bytes`. Errors as of the decoders; the
 * sequence number must be `sequence`.
 */
int pack_record_check(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                      uint32_t sequence, struct pack_record *record, struct slice *metadata,
                      struct slice *payload, struct jini_error *error);

/* Fills `error` (may be NULL) with JINI_E_CORRUPT, the pack, the offset and what failed. */
int pack_corrupt(struct jini_error *error, const struct jini_id *pack, uint64_t offset,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
