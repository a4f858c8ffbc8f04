/* What the codecs of the parts of a pack share. Only pack_*.c include it. */
#ifndef IMAGES_PACK_PART_H
#define IMAGES_PACK_PART_H

#include "base/bytes.h"
#include "base/hash.h"

#include <jini/error.h>
#include <jini/id.h>

static inline bool pack_all_zero(const uint8_t *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* The checksum of a part that ends in it. */
static inline uint64_t pack_part_checksum(const void *part, size_t length, uint64_t seed)
{
    return hash64_seeded(slice_of(part, length - sizeof(uint64_t)), seed);
}

static inline void pack_part_finish(void *part, size_t length, uint64_t seed)
{
    uint64_t checksum = pack_part_checksum(part, length, seed);
    store_le64((uint8_t *)part + length - sizeof(checksum), checksum);
}

static inline bool pack_part_holds(const void *part, size_t length, uint64_t seed)
{
    const uint8_t *end = (const uint8_t *)part + length;
    return load_le64(end - sizeof(uint64_t)) == pack_part_checksum(part, length, seed);
}

/*
 * Fills `error` with JINI_E_FORMAT: `what` has the value `value`, which this version does not know.
 */
int pack_newer(struct jini_error *error, const struct jini_id *pack, uint64_t offset,
               const char *what, uint32_t value);

/* Whether the lengths of a record or an entry keep their bounds. */
bool pack_lengths_fit(uint64_t original, uint64_t stored, uint32_t metadata_original,
                      uint32_t metadata_stored);

#endif
