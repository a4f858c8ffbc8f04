/*
 * Packs that the index does not know, set aside: packs/lost/<pack id>.pack.
 *
 * What the index does not know may be what a crash left, or packs with images whose records were
 * lost, with data.mdb or by an older one that was put back. Nobody can tell these apart for
 * certain. So they are kept here for a time, from where they can be taken back. The time when one
 * was set aside is the file's own, of its last change: a tool that copies it makes it younger, not
 * older.
 *
 * `directory` is everywhere a descriptor of the database directory, borrowed for the call. Any
 * thread, any process.
 */
#ifndef IMAGES_PACK_LOST_H
#define IMAGES_PACK_LOST_H

#include "images/pack_path.h"

/* The name of the folder in packs/. */
#define PACK_LOST_FOLDER "lost"

/* Writes the path of a pack that was set aside, relative to the database directory. */
void pack_lost_path(const struct jini_id *pack, char out[PACK_PATH_MAX]);

/* Moves a pack's file here, at wall time `now_ms`. Durable. Errors of the file system. */
int pack_lost_put(int directory, const struct jini_id *pack, uint64_t now_ms,
                  struct jini_error *error);

/*
 * Moves it back to its path, where it replaces what is there. Durable. JINI_E_NOT_FOUND: it is not
 * here.
 */
int pack_lost_take(int directory, const struct jini_id *pack, struct jini_error *error);

/* Removes it. Durable. JINI_E_NOT_FOUND. */
int pack_lost_remove(int directory, const struct jini_id *pack, struct jini_error *error);

struct pack_lost {
    struct jini_id pack;
    uint64_t bytes;
    uint64_t since_ms; /* wall time when it was set aside */
};

/* JINI_E_NOT_FOUND: it is not here. */
int pack_lost_find(int directory, const struct jini_id *pack, struct pack_lost *out,
                   struct jini_error *error);

/*
 * Calls `found` for every pack that is here, in no order. Another value than 0 ends the walk and is
 * its result.
 */
typedef int pack_lost_fn(void *context, const struct pack_lost *lost);
int pack_lost_walk(int directory, pack_lost_fn *found, void *context, struct jini_error *error);

#endif
