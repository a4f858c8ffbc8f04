/*
 * The file of a pack while it grows: created, appended to, synced, and sealed.
 *
 *             create              append, sync                seal
 *     (none) --------> open ------------------------> open ---------> sealed, never written again
 *                       |  a sync fails: poisoned: only close
 *                       |  the process dies: the file stays open until pack_recover() seals it
 *
 * Invariants
 *
 *  1. Bytes of a whole record are never overwritten. What a failed append left behind the last
 *     whole record, and what pack_file_cut() takes back, is cut off before anything else is
 *     written.
 *  2. Everything below the end that pack_file_sync() answered survives kill -9 and power loss,
 *     together with the name of the file and of the directories above it.
 *  3. After a failed sync nothing is known of what was written since the last good one, and the
 *     kernel may show bytes that are not on the disk. So the file is not appended to again and not
 *     sealed by this process.
 *  4. The process that may write to a pack holds an open-file-description lock on it (fcntl,
 *     F_OFD_SETLK), which goes with the process: no child keeps the file (base/fork.h).
 *
 * One thread at a time may append or seal; one other thread may sync at the same time. Readers need
 * no permission: they read by places that were given out after a sync.
 */
#ifndef IMAGES_PACK_FILE_H
#define IMAGES_PACK_FILE_H

#include "images/pack_prepare.h"

struct pack_file;

/*
 * Creates the file of a new pack in the database directory `directory` (borrowed until close) and
 * writes its header; nothing is durable before pack_file_sync(). The id in `header` names the file;
 * it must be a new one.
 *   JINI_E_EXISTS  there is such a file
 *   JINI_E_LOCKED  somebody cleans up the file at this instant; take another id
 *   JINI_E_FULL, JINI_E_NO_MEMORY, JINI_E_IO and others of the file system: there is no file then
 */
int pack_file_create(int directory, const struct pack_header *header, struct pack_file **out,
                     struct jini_error *error);

/*
 * Appends records in this order, straight from the callers' buffers. `*appended` tells how many of
 * them now stand whole in the file, from the first; after success all. Each of those has its offset
 * and sequence number. Nothing is durable before pack_file_sync().
 *   JINI_E_FULL       disk, quota or file size limit; the rest was cut off, and the pack may be
 *                     appended to again
 *   JINI_E_IO         as JINI_E_FULL
 *   JINI_E_TOO_BIG    the pack would pass PACK_RECORDS_MAX or PACK_BYTES_MAX: seal it; nothing was
 *                     written
 *   JINI_E_NO_MEMORY  nothing was written
 *   JINI_E_POISONED   see invariant 3, or the rest could not be cut off: close, and append to a new
 *                     pack
 *   JINI_E_READ_ONLY  sealed
 *   JINI_E_FORKED     the file was created before a fork, by the parent
 */
int pack_file_append(struct pack_file *file, struct pack_prepared *const *records, size_t count,
                     size_t *appended, struct jini_error *error);

/*
 * Takes back all records but the first `records`, of which nobody was told yet. JINI_E_POISONED:
 * they could not be cut off; close, and append to a new pack. JINI_E_FORKED.
 */
int pack_file_cut(struct pack_file *file, uint32_t records, struct jini_error *error);

/*
 * Makes durable what was appended before the call began. `*durable_end` (may be NULL) tells up to
 * which offset. JINI_E_POISONED: the disk did not take it: see invariant 3; no record past the last
 * good sync may be acknowledged. JINI_E_BUSY, JINI_E_NO_MEMORY: a directory could not be opened:
 * try again. JINI_E_FORKED.
 */
int pack_file_sync(struct pack_file *file, uint64_t *durable_end, struct jini_error *error);

/*
 * Writes footer and trailer and syncs: the pack is then immutable and may be archived. Sealing a
 * sealed pack does nothing. JINI_E_FULL, JINI_E_IO, JINI_E_NO_MEMORY: it stays open, with all
 * records: try again. JINI_E_POISONED, JINI_E_FORKED.
 */
int pack_file_seal(struct pack_file *file, struct jini_error *error);

/*
 * What a failure of one pack is to who can take another one: of a poisoned pack an error of input
 * and output. `error` may be NULL.
 */
static inline int pack_file_failed(int status, struct jini_error *error)
{
    if (status != JINI_E_POISONED)
        return status;
    if (error)
        error->code = JINI_E_IO;
    return JINI_E_IO;
}

/* The end of the record area, and the number of records. Of the appending thread. */
uint64_t pack_file_end(const struct pack_file *file);
uint32_t pack_file_records(const struct pack_file *file);
const struct pack_header *pack_file_header(const struct pack_file *file);

/* Closes without sync or seal. Takes NULL. */
void pack_file_close(struct pack_file *file);

#endif
