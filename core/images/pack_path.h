/*
 * Where packs lie: packs/YYYY-MM/<pack id>.pack, below the database directory.
 *
 * The month is that of the pack id (UUIDv7), in UTC, so that the path of a pack follows from its id
 * alone. A directory holds one month of packs of all classes: some thousands of files, made durable
 * by one fsync for each new pack, and the month's own name by one fsync of packs/.
 *
 * `directory` is everywhere a descriptor of the database directory, borrowed for the call. Any
 * thread, any process.
 */
#ifndef IMAGES_PACK_PATH_H
#define IMAGES_PACK_PATH_H

#include <jini/error.h>
#include <jini/id.h>
#include <stdbool.h>

enum { PACK_PATH_MAX = 64 };

/* Writes the path of a pack, relative to the database directory. Any id has a path. */
void pack_path(const struct jini_id *pack, char out[PACK_PATH_MAX]);

/*
 * Creates packs/ and the month of this pack where they are missing. Not durable until
 * pack_path_sync(). Errors of the file system, as error_from_errno() maps them.
 */
int pack_path_prepare(int directory, const struct jini_id *pack, struct jini_error *error);

/*
 * Makes durable that the pack's file is there, or that it is gone, with the directories above it.
 */
int pack_path_sync(int directory, const struct jini_id *pack, struct jini_error *error);

/* The length of the pack's file at this moment. JINI_E_NOT_FOUND: there is none. */
int pack_path_bytes(int directory, const struct jini_id *pack, uint64_t *out,
                    struct jini_error *error);

/*
 * Removes the pack's file; readers that have it open keep their bytes. Durable after
 * pack_path_sync(). JINI_E_NOT_FOUND: there is none.
 */
int pack_path_remove(int directory, const struct jini_id *pack, struct jini_error *error);

/* Called for each pack that is found. Another value than 0 ends the walk and is its result. */
typedef int pack_path_fn(void *context, const struct jini_id *pack);

/*
 * Calls `found` for every pack file below packs/, in no order; a pack that appears or goes
 * meanwhile may be met or not. Other files are passed over, and counted in `strange` (may be NULL):
 * nobody but Jini has a reason to put one there. Packs that were set aside (pack_lost.h) are
 * neither met nor counted. Without packs/ there are no packs.
 */
int pack_path_walk(int directory, pack_path_fn *found, void *context, uint64_t *strange,
                   struct jini_error *error);

#endif
