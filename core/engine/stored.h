/*
 * From what a record of a pack has stored back to what was put, image or metadata.
 *
 * Both forms are checked: the stored bytes by the record's own checksums before they are decoded,
 * and what an image decodes to by the hash that was made of it when it was put. Decoding writes
 * where the caller says and not a byte beyond the length in the index, whatever the record claims.
 */
#ifndef ENGINE_STORED_H
#define ENGINE_STORED_H

#include "images/index.h"

#include <jini/images.h>

struct jini;

/* Which part of a record is wanted, and where it goes. */
struct stored_part {
    const struct index_location *location;
    enum jini_get_what what;
    void *buffer;  /* of `length` bytes */
    size_t length; /* of the part as it was put */
};

/*
 * Decodes stored bytes that have been compared with their record. JINI_E_CORRUPT: they are not that
 * part; JINI_E_FORMAT: by a newer codec; JINI_E_NO_MEMORY. After an error the buffer holds bytes of
 * no meaning.
 */
int stored_decode(struct jini *jini, const struct stored_part *part, struct slice stored,
                  struct jini_error *error);

/* Reads a part from the local file of its pack. Errors of pack_files_acquire() and pack_read.h. */
int stored_read(struct jini *jini, const struct stored_part *part, struct jini_error *error);

#endif
