/*
 * Records of packs in the archive, through the cache of images or past it. Each is one ranged GET, and every byte is
 * checked before it is handed out: also of the cached copy, for memory rots too and it may be hours old.
 */
#ifndef ENGINE_COLD_H
#define ENGINE_COLD_H

#include "engine/engine_private.h"
#include "images/cache.h"
#include "images/index.h"
#include "images/pack_format.h"

struct cold_record {
    struct cache_entry *entry;
    struct slice metadata; /* as stored; borrowed from the entry, as `payload` */
    struct slice payload;
};

/*
 * Gets a record by boot time `deadline_ns`. JINI_E_CORRUPT, JINI_E_TIMEOUT and what the archive answers. To be released
 * after success. cold_record_get() goes through the cache; cold_record_fetch() does not, for who reads each record once.
 */
int cold_record_get(struct jini *jini, const struct index_pack *pack,
                    const struct index_location *location, uint64_t deadline_ns,
                    struct cold_record *out, struct jini_error *error);
int cold_record_fetch(struct jini *jini, const struct index_pack *pack,
                      const struct index_location *location, uint64_t deadline_ns,
                      struct cold_record *out, struct jini_error *error);
void cold_record_release(struct cold_record *record);

#endif
