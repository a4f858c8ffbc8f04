/*
 * Records of packs in the archive. Each is one ranged GET, and every byte is checked before it is
 * handed out: also of a copy in the cache, for memory rots too and it may be hours old.
 *
 * Readers of images wait for their records together, see cold_reads.h.
 */
#ifndef ENGINE_COLD_H
#define ENGINE_COLD_H

#include "archive/archive.h"
#include "engine/engine_private.h"
#include "images/cache.h"
#include "images/index.h"
#include "images/pack_format.h"

struct cold_record {
    struct cache_entry *entry; /* the bytes of the record */
    struct slice metadata;     /* as stored; borrowed from the entry, as `payload` */
    struct slice payload;
};

/* What a record is called in the cache, and how many bytes it has. */
struct cache_key cold_key(const struct index_location *location);
uint64_t cold_length(const struct index_location *location);

/* A GET on its way: the request, and what it points to. Pinned until it comes back. */
struct cold_get {
    struct archive_request request;
    struct cache_entry *entry; /* that the record goes to */
    char name[INDEX_OBJECT_NAME_MAX];
};

/*
 * Fills in all of a GET but for `done`, `user` and the deadline. JINI_E_NO_MEMORY. The entry is to
 * be released, also after a GET that failed.
 */
int cold_get_init(struct cold_get *get, const struct index_pack *pack,
                  const struct index_location *location, struct jini_error *error);

/*
 * Checks all bytes of the entry of `record`, and that they are the record that the index means, and
 * finds its parts. JINI_E_CORRUPT, JINI_E_FORMAT.
 */
int cold_record_check(const struct index_location *location, struct cold_record *record,
                      struct jini_error *error);

#endif
