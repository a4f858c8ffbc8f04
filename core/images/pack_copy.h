/*
 * Copying a record to another pack: its bytes as they are stored, under a header of the new place.
 *
 *     alloc, read into `bytes` --take---------> append `prepared`, sync, read back --> check
 *                              --take_damaged->
 *
 * What can be made anew from what holds (block table, padding) is, and so is a header, where the
 * index can prove the rest. Any other record that does not hold is copied byte for byte and does
 * not hold at its new place either: nothing that somebody may still get out of it is lost.
 */
#ifndef IMAGES_PACK_COPY_H
#define IMAGES_PACK_COPY_H

#include "images/index.h"
#include "images/pack_prepare.h"

/* Not to be moved: `prepared` points to `bytes`. */
struct pack_copy {
    uint8_t *bytes; /* of the whole record; appending writes the new header over the old one */
    size_t length;
    bool damaged;
    struct hash128 body; /* of a damaged one: of all that stands behind its header */
    struct pack_prepared prepared;
};

/* Makes room for the record of a location. JINI_E_CORRUPT: it is longer than any can be. */
int pack_copy_alloc(const struct index_location *location, struct pack_copy *out,
                    struct jini_error *error);

/*
 * Makes the record ready to be appended, once its bytes were read. JINI_E_CORRUPT: header, metadata
 * or payload do not hold, or it is not the one that the location means. JINI_E_FORMAT.
 */
int pack_copy_take(struct pack_copy *copy, const struct index_location *location,
                   struct jini_error *error);

/* Whether the bytes begin with the header of the record that the location means. */
bool pack_copy_is_named(const struct pack_copy *copy, const struct index_location *location);

/*
 * The same of a record that does not hold. Where its header is not legible, what the index knows of
 * it takes its place. `damaged` tells whether it holds then.
 */
void pack_copy_take_damaged(struct pack_copy *copy, const struct index_location *location);

/*
 * Whether bytes that were read at the new place `location` are those that were appended there: they
 * hold, or, of a damaged record, are `body` (NULL: it was whole). JINI_E_CORRUPT.
 */
int pack_copy_check(const struct pack_copy *found, const struct index_location *location,
                    const struct hash128 *body, struct jini_error *error);

/* Takes a struct that is all zero. */
void pack_copy_free(struct pack_copy *copy);

#endif
