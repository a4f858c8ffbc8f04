/*
 * Reading one record of a pack, checked. Nothing unchecked is ever given out: after an error the
 * caller's buffer holds bytes of no meaning.
 *
 * Every function here takes the place that the index holds, may run on any thread beside the
 * appender of the same pack, and answers
 *   JINI_E_CORRUPT  the record is damaged or is not the one at that place: read the index again,
 *                   retry once, then take another copy
 *   JINI_E_FORMAT   the record is of a newer version
 *   JINI_E_IO       reading failed
 * `error` may be NULL.
 */
#ifndef IMAGES_PACK_READ_H
#define IMAGES_PACK_READ_H

#include "images/pack_format.h"
#include "images/pack_source.h"

/* Where a record stands. */
struct pack_place {
    uint64_t offset;
    uint32_t sequence;
};

/* The record's header: lengths, hashes, codec. */
int pack_read_record(const struct pack_source *source, const struct pack_place *place,
                     struct pack_record *out, struct jini_error *error);

/*
 * The whole payload, compared with its XXH3-128. `out` tells its length and codec.
 * JINI_E_TOO_BIG: it is longer than `capacity`; `out` is filled, so that the caller can come back
 * with room.
 */
int pack_read_payload(const struct pack_source *source, const struct pack_place *place,
                      void *buffer, size_t capacity, struct pack_record *out,
                      struct jini_error *error);

/*
 * `length` bytes of the payload from its byte `from`, compared block by block: only blocks that
 * hold a wanted byte are read. JINI_E_INVALID: the range goes over the payload's end; `out` is
 * filled. JINI_E_NO_MEMORY: up to 96 KiB could not be had.
 */
int pack_read_range(const struct pack_source *source, const struct pack_place *place, uint64_t from,
                    void *buffer, size_t length, struct pack_record *out, struct jini_error *error);

/* The stored metadata, as pack_read_payload() gives the payload. */
int pack_read_metadata(const struct pack_source *source, const struct pack_place *place,
                       void *buffer, size_t capacity, struct pack_record *out,
                       struct jini_error *error);

#endif
