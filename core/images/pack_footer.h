/*
 * The index at the end of a sealed pack: building it, and reading a pack's list of records without
 * a scan.
 */
#ifndef IMAGES_PACK_FOOTER_H
#define IMAGES_PACK_FOOTER_H

#include "images/pack_format.h"
#include "images/pack_source.h"

/*
 * Builds footer and trailer as they follow the record area that ends at `offset`. `out` gets bytes
 * that the caller frees with base_free(). JINI_E_NO_MEMORY.
 */
int pack_footer_build(const struct jini_id *pack, const struct pack_entry *entries, uint32_t count,
                      uint64_t offset, uint8_t **out, size_t *length, struct jini_error *error);

/* What a sealed pack holds, in the order of its records. */
struct pack_contents {
    struct pack_entry *entries;
    uint32_t count;
    uint64_t footer_offset;
};

/*
 * Reads and checks trailer and footer: the entries then are ascending, apart from each other and
 * within the records' area. Takes one read of 64 bytes and one of the footer, at most 5.1 MiB. Free
 * with pack_contents_free().
 *   JINI_E_NOT_FOUND  there is no whole trailer: the pack is not sealed, or its end is damaged
 *   JINI_E_CORRUPT    there is one, and the footer does not hold
 *   JINI_E_FORMAT     newer
 *   JINI_E_IO, JINI_E_NO_MEMORY
 */
int pack_contents_read(const struct pack_source *source, struct pack_contents *out,
                       struct jini_error *error);

void pack_contents_free(struct pack_contents *contents);

#endif
