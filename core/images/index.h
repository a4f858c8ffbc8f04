/*
 * The index of images: which packs there are and in which state, and where each image's bytes lie.
 * Functions of a store transaction; the bytes themselves are in pack files (pack_format.h).
 *
 *   space PACKS      (id pack)                           a document, struct index_pack
 *   space LOCATIONS  (id pack, uint sequence, id image)  96 bytes, struct index_location
 *   space CONTENT    (uint tier group, uint expiry day, bytes hash, uint length)
 *                                                        (id pack, uint sequence)
 *   space ORPHANS    (uint due_ms, id pack, id attempt)  empty
 *
 *  1. A location exists exactly while its image does; several images may share one record of a
 *     pack, each with a location of its own. A record without locations is garbage, a pack without
 *     locations is dropped.
 *  2. Locations are added to a pack only while it is OPEN by its owner, or by the one who rewrites
 *     packs.
 *  3. The content row of a hash names a record that exists, or one whose pack is gone: then it
 *     counts for nothing.
 *  4. A pack's object in the archive is byte for byte the pack's sealed file. Its name has the id
 *     of the attempt that wrote it, so that no name is used twice.
 *  5. An attempt leaves a pack's row only in a transaction that makes an orphan row for it. So
 *     every object that this database ever began to write is named by a pack or by an orphan, until
 *     it was deleted; what neither names belongs to somebody else. But an object with the id of a
 *     pack of this index is that pack, whoever wrote it: a later state whose records were lost.
 */
#ifndef IMAGES_INDEX_H
#define IMAGES_INDEX_H

#include "base/hash.h"
#include "images/pack_format.h"
#include "store/store.h"

enum index_pack_state {
    INDEX_PACK_DAMAGED = 0,   /* of a listed row that cannot be read: its id is all that is known */
    INDEX_PACK_OPEN = 1,      /* its owner appends to it */
    INDEX_PACK_SEALED = 2,    /* immutable, local only */
    INDEX_PACK_ARCHIVING = 3, /* as SEALED; an object may exist under the attempt's name */
    INDEX_PACK_ARCHIVED = 4,  /* local and, verified, in the archive */
    INDEX_PACK_COLD = 5,      /* in the archive only; the local file goes or is gone */
    INDEX_PACK_PURGING = 6    /* without images; every copy goes, then the row */
};

enum index_pack_flag {
    /* Its garbage is or may become all that is left of purged images: rewrite it soon, whatever its
     * share. */
    INDEX_PACK_MUST_COMPACT = 1 << 0,
    INDEX_PACK_SHARED = 1 << 1,     /* its images were looked for among those of other packs */
    INDEX_PACK_WAS_COLD = 1 << 2,   /* of what was cold: archived and freed regardless of age */
    INDEX_PACK_HAS_DAMAGE = 1 << 3, /* of records that did not hold when copied: it stays local */
};

struct index_pack {
    struct jini_id id;
    enum index_pack_state state;
    uint32_t flags;
    uint32_t tier_group;
    uint32_t expiry_day; /* days since 1970 at whose beginning all its images expire; 0: kept */
    struct store_process owner; /* of an OPEN pack */
    uint64_t created_ms;
    uint64_t sealed_ms; /* of a rewritten pack: of the oldest of its sources */
    uint64_t archived_ms;
    uint64_t file_bytes;        /* of the sealed file, and of the object */
    uint32_t records;           /* of the sealed file, garbage included */
    uint64_t payload_bytes;     /* of these records */
    struct jini_id attempt;     /* names the object; zero: none */
    struct hash128 object_hash; /* XXH3-128 of the object, once it was verified */
    uint64_t removals; /* times that images were taken away, so that garbage may have grown */
    uint64_t counted;  /* `removals` when the garbage was counted last */
};

struct index_location {
    struct jini_id pack;
    struct jini_id image;
    uint32_t sequence;
    uint32_t metadata_stored_length;
    uint32_t metadata_original_length;
    uint16_t codec_id;
    uint16_t codec_version;
    uint16_t metadata_codec_id;
    uint16_t metadata_codec_version;
    uint64_t offset;
    uint64_t stored_length;
    uint64_t original_length;
    struct hash128 original_hash;
};

enum { INDEX_OBJECT_NAME_MAX = 128 };

/*
 * The name of the object that an attempt writes: packs/YYYY-MM/PACK-ATTEMPT.pack, the month being
 * the pack's.
 */
void index_object_name(const struct index_pack *pack, char out[INDEX_OBJECT_NAME_MAX]);

/* The pack of an object's name. JINI_E_INVALID: it is no such name. */
int index_object_parse(struct slice name, struct jini_id *pack, struct jini_id *attempt);

/* ---- Packs; errors as of store_get() and store_put(), and JINI_E_CORRUPT ---- */

int index_pack_get(struct store_txn *txn, const struct jini_id *id, struct index_pack *out);
int index_pack_put(struct store_txn *txn, const struct index_pack *pack);
int index_pack_delete(struct store_txn *txn, const struct jini_id *id);

/* Writes down that images were taken out of a pack; `flags` are added to its own. */
int index_pack_note_removal(struct store_txn *txn, const struct jini_id *id, uint32_t flags);

/*
 * Lists packs by id, that is by age, behind `after` (NULL: from the first); `*count` of up to
 * `capacity`. A row that cannot be read is listed as INDEX_PACK_DAMAGED, so that it hides no other.
 */
int index_pack_list(struct store_txn *txn, const struct jini_id *after, struct index_pack *out,
                    size_t capacity, size_t *count);

/*
 * Calls `visit` for every pack by age, in slices of a snapshot each; no snapshot is open meanwhile.
 * Returns 0, the first other answer of `visit`, or why the rows cannot be read.
 */
typedef int index_pack_visit_fn(void *context, const struct index_pack *pack);
int index_pack_each(struct store *store, index_pack_visit_fn *visit, void *context);

/* The id of the youngest pack. JINI_E_NOT_FOUND: there is none. */
int index_pack_last(struct store_txn *txn, struct jini_id *out);

/*
 * Makes the row of a pack that this process has just created, or finds it. JINI_E_CONFLICT: it is
 * not OPEN by this owner any more: append to another pack.
 */
int index_pack_open(struct store_txn *txn, const struct index_pack *pack);

/* ---- Orphans: objects that no pack names any more ---- */

struct index_orphan {
    uint64_t due_ms; /* when the object may be deleted: a PUT may still be under way before */
    struct jini_id pack;
    struct jini_id attempt;
};

int index_orphan_put(struct store_txn *txn, const struct index_orphan *orphan);
int index_orphan_delete(struct store_txn *txn, const struct index_orphan *orphan);

/* The row of an attempt. JINI_E_NOT_FOUND. Goes through all rows, which are those of an hour. */
int index_orphan_find(struct store_txn *txn, const struct jini_id *attempt,
                      struct index_orphan *out);

/* A row as it is stored. JINI_E_CORRUPT: it is none of this space. */
int index_orphan_read(struct slice key, struct slice value, struct index_orphan *out);

/*
 * Lists orphans that are due at `now_ms`, the oldest first; `*count` of up to `capacity`. Keys that
 * are none of this space are passed over.
 */
int index_orphan_list(struct store_txn *txn, uint64_t now_ms, struct index_orphan *out,
                      size_t capacity, size_t *count);

/* ---- Locations ---- */

int index_location_put(struct store_txn *txn, const struct index_location *location);
int index_location_get(struct store_txn *txn, const struct jini_id *pack, uint32_t sequence,
                       const struct jini_id *image, struct index_location *out);
int index_location_delete(struct store_txn *txn, const struct index_location *location);

/*
 * Lists a pack's locations in order behind `after` (NULL: from the first); `*count` of up to
 * `capacity`.
 */
int index_location_list(struct store_txn *txn, const struct jini_id *pack,
                        const struct index_location *after, struct index_location *out,
                        size_t capacity, size_t *count);

/* Any location of one record. JINI_E_NOT_FOUND: the record is garbage. */
int index_location_of_record(struct store_txn *txn, const struct jini_id *pack, uint32_t sequence,
                             struct index_location *out);

/* JINI_E_CORRUPT: a record that passed its own checks is not the one that the location means. */
int index_check_record(const struct index_location *location, const struct pack_record *record,
                       struct jini_error *error);

/* The last location of a pack. JINI_E_NOT_FOUND: it has none. */
int index_location_last(struct store_txn *txn, const struct jini_id *pack,
                        struct index_location *out);

/* ---- Content: records by their hash, within one class ---- */

struct index_content {
    uint32_t tier_group;
    uint32_t expiry_day;
    uint64_t length;
    struct hash128 hash;
    struct jini_id pack;
    uint32_t sequence;
};

/* Fills in `pack` and `sequence`. JINI_E_NOT_FOUND. */
int index_content_get(struct store_txn *txn, struct index_content *content);
int index_content_put(struct store_txn *txn, const struct index_content *content);

/* A row as it is stored. JINI_E_CORRUPT: key or value is none of this space. */
int index_content_read(struct slice key, struct slice value, struct index_content *out);

/* Deletes the row, if it still names this pack. */
int index_content_delete(struct store_txn *txn, const struct index_content *content);

#endif
