/*
 * Packs without their database: the files below DIR/packs and the objects of an archive, which have
 * the same bytes. For whoever has lost the records and has the images, or one file of many.
 *
 *     jini_pack_open(&pack, "0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a.pack", &error);
 *     jini_pack_each(pack, JINI_PACK_DEEP, on_part, &mine, &summary, &error);
 *     jini_pack_close(pack);
 *
 * No engine is needed, and nothing is written. A file may be sealed or not, in use by an engine,
 * cut, or damaged anywhere: what holds its checksums is told and read, and what does not is told
 * with its place. Not told by a pack: whose an image is, whether it was removed, and the ids of
 * images that share the bytes of another, which lie there once, under the id of the first.
 *
 * A handle may be used by any number of threads at once.
 */
#ifndef JINI_PACKS_H
#define JINI_PACKS_H

#include <jini/images.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jini_pack; /* an open file */

/*
 * Opens a pack. `path`: a regular file; not data.mdb or lock.mdb of a database that this process
 * has open, whose locks would go when it is closed again. The pack's id, without which no record
 * can be checked, is that of its header, or of its end, or, where both are damaged, of its name.
 * `*out` is NULL after an error.
 *   JINI_E_NOT_FOUND  there is no such file
 *   JINI_E_INVALID    it is no regular file
 *   JINI_E_CORRUPT    nothing tells the id: it is no pack, or too little is left of it
 *   JINI_E_FORMAT     of a newer version
 *   JINI_E_IO, JINI_E_NO_MEMORY
 */
JINI_EXPORT int jini_pack_open(struct jini_pack **out, const char *path, struct jini_error *error);

/* Takes NULL. */
JINI_EXPORT void jini_pack_close(struct jini_pack *pack);

enum jini_pack_part {
    JINI_PACK_RECORD = 1, /* an image with its metadata */
    JINI_PACK_HEADER = 2, /* the beginning of the file, which names the pack */
    JINI_PACK_GAP = 3,    /* bytes in which no record is legible */
    JINI_PACK_FOOTER = 4, /* the list of records at the end of a sealed pack */
    JINI_PACK_TAIL = 5 /* the end of a pack that is not sealed, from where on no record is legible:
                             what is being written, what a crash tore before it was acknowledged, or
                             damage. Only the database knows */
};

/* "record", "header", "gap", "footer" or "tail"; "unknown" for another value. Static. */
JINI_EXPORT const char *jini_pack_part_name(enum jini_pack_part part);

/*
 * A part of a pack. Parts other than records are told when something is wrong with them only. Texts
 * are borrowed for the callback, but `codec`, which is static.
 */
struct jini_pack_item {
    enum jini_pack_part part;
    int32_t status;  /* 0; JINI_E_CORRUPT; JINI_E_FORMAT, of a record whose codec is a newer one */
    uint64_t offset; /* in the file */
    uint64_t length;

    /* Of a record; else zero. What is told of a damaged one stood under a checksum that holds. */
    struct jini_id image_id;
    uint64_t bytes;          /* of the image as it was put */
    uint64_t stored_bytes;   /* as it is stored */
    uint64_t metadata_bytes; /* of metadata that is stored beside it: up to 1 KiB lies in the image
                                alone. As jini_image_get() gives it */
    uint32_t sequence;       /* of the record in the pack */
    uint32_t reserved;
    const char *codec; /* "stored" or "zstd"; "unknown" with JINI_E_FORMAT; "" where none is */

    const char *damage; /* a sentence; "" when `status` is 0 */
};

/* Another value than 0 ends the walk and is its result. */
typedef int jini_pack_fn(void *context, const struct jini_pack_item *item);

enum jini_pack_flag {
    JINI_PACK_DEEP = 1 << 0 /* reads every byte, and decodes what is coded. Without it headers alone
                               are looked at, and a record that is told with 0 may be damaged */
};

/* All that was told, counted. */
struct jini_pack_summary {
    struct jini_id pack_id;
    uint64_t created_ms; /* 0: the header is damaged */
    uint32_t sealed;     /* 1: it ends as a sealed pack does, and its list of records holds */
    uint32_t records;    /* without damage */
    uint32_t problems;   /* items with a status */
    uint32_t reserved;
    uint64_t bytes;        /* of these records' images as they were put */
    uint64_t stored_bytes; /* as they are stored */
    uint64_t file_bytes;
};

/*
 * Walks through a pack and calls `report` (may be NULL) for every record, in the order of their
 * offsets, and all damage, on the calling thread; jini_pack_read() may be called there. `flags`: of
 * enum jini_pack_flag. `*out` counts what was told, also after an error. Result: 0 also when there
 * are problems. Takes up to 17 MiB of memory, and with JINI_PACK_DEEP that of the largest coded
 * image, twice.
 *   JINI_E_FORMAT   a part is of a newer version, and nothing is told of what follows
 *   JINI_E_INVALID  a flag is unknown
 *   JINI_E_IO, JINI_E_NO_MEMORY: the walk could not go on, and says nothing about the pack
 */
JINI_EXPORT int jini_pack_each(struct jini_pack *pack, uint32_t flags, jini_pack_fn *report,
                               void *context, struct jini_pack_summary *out,
                               struct jini_error *error);

/*
 * Reads an image, or its raw metadata (jini_metadata_next() steps through it), as jini_image_get()
 * does: checked, and decoded where it is coded. Metadata that is not stored beside the image is
 * taken from the image. In: `offset` and `sequence` of the record, as jini_pack_each() told them;
 * `what`; `buffer` of `capacity` bytes. Out: `length`. No metadata at all is a length of 0.
 *   JINI_E_TOO_BIG  `capacity` is less than `length`, which is set; nothing was copied. capacity 0
 *                   asks for the length
 *   JINI_E_CORRUPT  what is wanted of the record is damaged, or no record is there. Metadata may be
 *                   whole where the image is not, and the other way round
 *   JINI_E_FORMAT   by a newer codec
 *   JINI_E_INVALID  "what"
 *   JINI_E_IO, JINI_E_NO_MEMORY
 */
struct jini_pack_read {
    uint64_t offset;
    uint32_t sequence;
    uint32_t what; /* enum jini_get_what */
    void *buffer;
    size_t capacity;
    size_t length;
};
JINI_EXPORT int jini_pack_read(struct jini_pack *pack, struct jini_pack_read *read,
                               struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
