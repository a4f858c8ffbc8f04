/*
 * Reads of records in the archive: who waits for which GET. No thread of the engine waits with
 * them, but for one that opens the archive, so a slow archive takes nothing from those who put
 * images or read hot ones.
 *
 *             begin      open, its turn: GET      the archive answers
 *    reader ---------> waiting -------------> waiting -----------> done() ---> looks ---> end
 *       |                 |                      |                   ^
 *       |                 '----------------------'--- cancelled, ----'
 *       |                                             late, closing
 *       '<--- refused: nothing was begun, done() does not come
 *
 *  1. Whoever wants a record that is on its way, the same bytes of it, waits for the same GET; so a
 *     record is asked for once, however many want it.
 *  2. Of the option archive.read_bytes_max is the memory of records, from the GET until the last
 *     reader has ended; a record that is larger goes alone. What would be more waits for its turn,
 *     in order, without memory of its own.
 *  3. Of archive.reads_max is the number of readers, from begin to end. One more is refused.
 *  4. After begin answered 0, done() comes once: on a thread of the archive, the opener, or the
 *     thread of whoever cancels, sweeps or stops, or of another reader.
 *  5. Nobody waits past his deadline by more than the time between two sweeps, whatever the
 *     threads of the archive do. A GET ends by the last deadline of those for whom it was sent; who
 *     came later, and has time left, is then done with JINI_E_TIMEOUT and asks again.
 *  6. A GET for which nobody waits any more is cancelled.
 *  7. Where the archive is not open, the first who needs it has it opened by a thread of its own;
 *     readers wait for that as for their turn, and all who wait end with its error if it fails.
 */
#ifndef ENGINE_COLD_READS_H
#define ENGINE_COLD_READS_H

#include "engine/cold.h"

struct cold_reads;
struct cold_flight;

/* One who waits. Owned by the caller, left alone from begin to done(), and ended after that. */
struct cold_read {
    /* Set by the caller. */
    void (*done)(struct cold_read *read); /* must not block */
    const struct jini_request *request;   /* by whom cold_reads_cancel() finds it */
    const _Atomic uint32_t *cancelled;
    uint64_t deadline_ns; /* boot time */

    /* Out: the bytes, not checked, after status 0; borrowed until cold_reads_end(). */
    int status;
    bool asked; /* the archive was: it did not end while it waited for its turn */
    struct cache_entry *entry;
    struct jini_error error;

    /* Private. */
    struct cold_flight *flight;
    struct cold_read *next;
};

struct cold_reads_options {
    uint32_t readers_max;
    uint64_t bytes_max;
};

/* NULL when out of memory. The engine's opener and archives are used from the first read on. */
struct cold_reads *cold_reads_new(struct jini *jini, const struct cold_reads_options *options);

/*
 * No more is begun, and what waits ends with JINI_E_CANCELLED. Does not block; may be called again.
 * Takes NULL, as cold_reads_free() does, which is called after the archive was closed.
 */
void cold_reads_stop(struct cold_reads *reads);
void cold_reads_free(struct cold_reads *reads);

/*
 * Has the record of `location` fetched from the object of `pack`. Does not block. JINI_E_BUSY:
 * readers_max wait. JINI_E_CANCELLED: the request was, or reading is stopped. JINI_E_NO_MEMORY.
 */
int cold_reads_begin(struct cold_reads *reads, const struct index_pack *pack,
                     const struct index_location *location, struct cold_read *read,
                     struct jini_error *error);

/* Gives back what a read that is done has held; `read` is free to be used again. */
void cold_reads_end(struct cold_reads *reads, struct cold_read *read);

/* The read of this request, if it waits, is done with JINI_E_CANCELLED. Any thread. */
void cold_reads_cancel(struct cold_reads *reads, const struct jini_request *request);

/* Ends the reads that are late at boot time `now_ns`. About once a second, on one thread. */
void cold_reads_sweep(struct cold_reads *reads, uint64_t now_ns);

struct cold_reads_figures {
    uint32_t readers; /* begun and not ended */
    uint64_t bytes;   /* of the records that they were sent for */
};
void cold_reads_figures(struct cold_reads *reads, struct cold_reads_figures *out);

#endif
