/*
 * Images: bytes in, the same bytes out, whatever tier they went through.
 */
#ifndef JINI_IMAGES_H
#define JINI_IMAGES_H

#include <jini/generations.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Looks at a file as jini_image_put() will, without storing it: media_type, width, height, bytes,
 * metadata_bytes, texts_omitted, seed and flags of `out` are set, all else is zero. It does not go
 * through the pixels: only jini_image_put() sees wrong checksums there. Any thread, no engine
 * needed.
 * JINI_E_NOT_IMAGE, JINI_E_NO_MEMORY.
 */
JINI_EXPORT int jini_image_probe(const void *bytes, size_t length, struct jini_image *out,
                                 struct jini_error *error);

enum jini_put_flag {
    JINI_PUT_SETTLES = 1 << 0 /* ends the job in the same transaction, as jini_settle() does */
};

/*
 * Stores an image. In: `bytes` and `length` (borrowed until it comes back): a PNG, JPEG, WebP, GIF
 * or AVIF file of 1 to image.bytes_max bytes, kept exactly as it is; `user_id`, 0 for anonymous;
 * `job_id`, a job of that user that has not ended and has had fewer images than the count of its
 * parameters, or all zero for an import; `flags`.
 * Out: `image`.
 *
 * JINI_E_NOT_IMAGE  no image of a known type, of which `error` shows how it begins; or `bytes` is
 *                   NULL or `length` 0
 * JINI_E_TOO_BIG    over image.bytes_max, or its metadata over metadata.bytes_max
 * JINI_E_INVALID    "flags", one is unknown; "job_id", JINI_PUT_SETTLES without a job
 * JINI_E_NOT_FOUND  "user" or "job"
 * JINI_E_FORBIDDEN  "user_id": the job is another user's
 * JINI_E_CONFLICT   "job": it has ended; "attempt": it is for workers, and this is not the attempt
 *                   that has it; "count": it has had all of its images, those among them
 *                   that were removed since
 * JINI_E_BUSY       pack.queue_bytes_max of images wait to be written
 * JINI_E_CORRUPT    "user", "tier" or "anonymous.tier", as of jini_limit_check()
 * Once it succeeded, bytes and record survive power loss. After a failure neither is visible.
 */
struct jini_image_put {
    struct jini_request request;
    const void *bytes;
    size_t length;
    uint64_t user_id;
    struct jini_id job_id;
    uint32_t flags;   /* enum jini_put_flag */
    uint32_t attempt; /* of a job that a worker took: its number; else 0 */
    struct jini_image image;
};
JINI_EXPORT int jini_image_put(struct jini *jini, struct jini_image_put *put,
                               jini_callback *callback);

/* What of an image is read. */
enum jini_get_what {
    JINI_GET_BYTES = 0,   /* the file */
    JINI_GET_METADATA = 1 /* its raw metadata: see jini_metadata_next() */
};

/*
 * Reads an image. In: `id`; `what`; `buffer` of `capacity` bytes. Out: `length`, `image`.
 * The bytes are checked against the checksum made when they were put, on every read. A cold image
 * comes from the archive, and stays in a bounded cache. Without a callback, hot images are read on
 * the calling thread.
 *
 * JINI_E_TOO_BIG    `capacity` is less than `length`, which is set; nothing was copied. capacity 0
 *                   asks for the length
 * JINI_E_NOT_FOUND  no such image, or in the trash
 * JINI_E_CORRUPT    no copy passes its check; `error` names the pack, the offset and the object
 * JINI_E_ARCHIVE    the archive did not answer; try again
 * JINI_E_BUSY       its bytes were moved 16 times while it was read; try again
 */
struct jini_image_get {
    struct jini_request request;
    struct jini_id id;
    uint32_t what; /* enum jini_get_what */
    uint32_t reserved;
    void *buffer;
    size_t capacity;
    size_t length;
    struct jini_image image;
};
JINI_EXPORT int jini_image_get(struct jini *jini, struct jini_image_get *get,
                               jini_callback *callback);

/* One text of an image's raw metadata, borrowed from the buffer that holds it. */
struct jini_metadata_text {
    const char *keyword; /* "parameters", "workflow", "UserComment"; not ended by NUL */
    size_t keyword_length;
    const void *bytes; /* verbatim, as it stood in the file, inflated */
    size_t length;
};

/*
 * Steps through raw metadata: `position` begins at 0 and moves on. JINI_E_NOT_FOUND after the last
 * text. JINI_E_CORRUPT: the bytes are no such metadata.
 */
JINI_EXPORT int jini_metadata_next(const void *metadata, size_t length, size_t *position,
                                   struct jini_metadata_text *out);

enum jini_remove_flag {
    JINI_REMOVE_PURGE = 1 << 0 /* its purge is due now, also that of an image in the trash: the next
                                  run of tiering deletes every copy */
};

/*
 * Moves an image to the trash, from where jini_image_restore() brings it back for trash.s seconds;
 * then every copy is purged. JINI_E_NOT_FOUND: also where it is in the trash already, without
 * JINI_REMOVE_PURGE. Works on a full disk. Durable.
 */
struct jini_image_remove {
    struct jini_request request;
    struct jini_id id;
    uint32_t flags; /* enum jini_remove_flag; 0 for jini_image_restore() */
    uint32_t reserved;
};
JINI_EXPORT int jini_image_remove(struct jini *jini, struct jini_image_remove *remove,
                                  jini_callback *callback);

/* Brings an image back from the trash. JINI_E_NOT_FOUND: it is not there, or purged. Durable. */
JINI_EXPORT int jini_image_restore(struct jini *jini, struct jini_image_remove *restore,
                                   jini_callback *callback);

/* The same two inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_image_remove(struct jini_txn *txn, struct jini_image_remove *remove);
JINI_EXPORT int jini_txn_image_restore(struct jini_txn *txn, struct jini_image_remove *restore);

#ifdef __cplusplus
}
#endif
#endif
