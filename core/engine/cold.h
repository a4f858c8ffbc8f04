/* A record of the archive, fetched and checked, for whoever rewrites packs. */
#ifndef ENGINE_COLD_H
#define ENGINE_COLD_H

#include "engine/engine_private.h"
#include "images/cache.h"
#include "images/index.h"

struct cold_record {
    struct cache_entry *entry;
    struct slice metadata; /* as stored; borrowed from the entry, as `payload` */
    struct slice payload;
};

/* One ranged GET. JINI_E_CORRUPT, JINI_E_ARCHIVE and what the archive answers. To be released after success. */
int cold_record_fetch(struct jini *jini, const struct index_pack *pack,
                      const struct index_location *location, struct cold_record *out,
                      struct jini_error *error);
void cold_record_release(struct cold_record *record);

#endif
