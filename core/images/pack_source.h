/*
 * The bytes of one pack, wherever they are: a file that may still grow, or memory that holds a
 * whole pack (an archive object that was fetched, a test, a fuzzer).
 */
#ifndef IMAGES_PACK_SOURCE_H
#define IMAGES_PACK_SOURCE_H

#include "base/bytes.h"

#include <jini/error.h>
#include <jini/id.h>

/* Borrows the descriptor or the bytes. May be copied, and used by several threads at once. */
struct pack_source {
    struct jini_id pack; /* whose bytes they must be: records of another pack fail their check */
    int descriptor;      /* -1: `bytes` */
    struct slice bytes;
};

struct pack_source pack_source_of_file(const struct jini_id *pack, int descriptor);
struct pack_source pack_source_of_bytes(const struct jini_id *pack, struct slice bytes);

/* The length at this moment. JINI_E_IO. */
int pack_source_length(const struct pack_source *source, uint64_t *out, struct jini_error *error);

/*
 * Reads `length` bytes at `offset`. JINI_E_CORRUPT: the pack ends before that. JINI_E_IO: reading
 * failed; the same read may succeed later.
 */
int pack_source_read(const struct pack_source *source, uint64_t offset, void *to, size_t length,
                     struct jini_error *error);

/*
 * Has the kernel forget what it holds of these bytes, so that the next read comes from the disk, as
 * far as the system goes along: not of what is not synced, nor on a file system in memory; and what
 * the disk itself keeps in its cache is out of reach.
 */
void pack_source_forget(const struct pack_source *source, uint64_t offset, uint64_t length);

#endif
