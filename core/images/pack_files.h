/*
 * A bounded cache of packs that are open for reading.
 *
 * Invariants
 *
 *  1. At most `capacity` descriptors are open, at any instant.
 *  2. A descriptor that somebody holds is not closed; the one that was idle for longest goes first.
 *  3. After pack_files_forget() nobody gets the forgotten descriptor any more, also when another
 *     thread was opening the file just then.
 */
#ifndef IMAGES_PACK_FILES_H
#define IMAGES_PACK_FILES_H

#include "images/pack_source.h"

struct pack_files;

/*
 * `directory`, a descriptor of the database directory, is borrowed until pack_files_free().
 * `capacity`, from 1 to 65536, is at least the number of threads that read at once. JINI_E_INVALID,
 * JINI_E_NO_MEMORY.
 */
int pack_files_new(int directory, unsigned capacity, struct pack_files **out,
                   struct jini_error *error);

/* Nobody may hold a source of it. Takes NULL. */
void pack_files_free(struct pack_files *files);

/*
 * The pack, open for reading, until pack_files_release(). Any thread. A damaged pack header is no
 * hindrance: each record proves by itself that it belongs to this pack.
 *   JINI_E_NOT_FOUND  the file is gone: read the index again
 *   JINI_E_FORMAT     a newer version wrote it
 *   JINI_E_BUSY       all descriptors are held, or the process may open no more
 *   JINI_E_IO
 */
int pack_files_acquire(struct pack_files *files, const struct jini_id *pack,
                       const struct pack_source **out, struct jini_error *error);
void pack_files_release(struct pack_files *files, const struct pack_source *source);

/*
 * To be called when this process has removed the file of a pack: its space is free as soon as the
 * last holder has released it.
 */
void pack_files_forget(struct pack_files *files, const struct jini_id *pack);

/*
 * Closes idle descriptors of files that another process removed, and returns how many there were;
 * their space was not free until now. One fstat() for each idle descriptor: for a timer.
 */
unsigned pack_files_drop_removed(struct pack_files *files);

struct pack_files_stats {
    unsigned open; /* descriptors */
    unsigned held; /* those that are in use */
    uint64_t hits;
    uint64_t misses;
};
struct pack_files_stats pack_files_stats(struct pack_files *files);

#endif
