/*
 * Leases: background work that one process does at a time.
 *
 * A lease is a row in space LEASES, key (text name), 32 bytes little-endian: epoch (8), slot (4)
 * and incarnation (4) of the holder in the registry, until when in boot time (8), zero (8). Slot
 * 0xffffffff: nobody.
 *
 *  1. The epoch grows whenever the lease changes hands, so (name, epoch) names one holding for
 *     ever.
 *  2. Every transaction of the work checks the epoch: a holder that was stopped and wakes up late
 *     changes nothing.
 *  3. A lease is taken over when its holder is dead (the kernel's lock says so), or its time is up,
 *     and it was not renewed meanwhile.
 *     That time is the holder's own: processes may keep leases of different lengths. One from
 *     before a restart of the machine may lie far ahead in boot time, and nobody who is alive holds
 *     it.
 */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "store/store.h"

#include <pthread.h>

struct jini;

struct lease {
    struct jini *jini;
    const char *name;
    uint64_t epoch;
};

/* Who has it may delete packs and objects, and nobody else may. Held by name: keep it one text. */
#define LEASE_OF_TIERING "tiering"

/* See lease_hold(). Part of an engine. */
struct lease_keeper {
    pthread_mutex_t lock;
    bool taken;         /* by a thread of this process, or about to be */
    struct lease lease; /* to be kept; without a name: none */
    uint64_t renew_at_ns;
    bool under_way;
    struct store_write write;
    struct lease renewal; /* of `write` */
    uint64_t until_ns;
};
void lease_keeper_init(struct lease_keeper *keeper);
void lease_keeper_destroy(struct lease_keeper *keeper);

/*
 * Takes or renews. JINI_E_LOCKED: a live process has it. Blocks for a commit, until `until_ns` at
 * most (boot time; 0: for as long as a lease lasts): JINI_E_TIMEOUT.
 */
int lease_take(struct jini *jini, const char *name, uint64_t until_ns, struct lease *out);

/*
 * Makes it last for another background.lease_ms, once a third of it has passed: cheap to call
 * often.
 * JINI_E_CONFLICT: it was taken over; stop.
 */
int lease_renew(const struct lease *lease);

void lease_give(const struct lease *lease);

/*
 * Takes a lease that is renewed by the engine's timer while the work waits for something long, such
 * as an upload, until lease_let_go(). One of them at a time in a process, whose threads no row
 * tells apart: JINI_E_LOCKED also when another thread holds one. A process that is stopped renews
 * nothing.
 */
int lease_hold(struct jini *jini, const char *name, uint64_t until_ns, struct lease *out);
void lease_let_go(const struct lease *lease);
void lease_tick(struct jini *jini); /* never blocks */

/* In every op of the work. JINI_E_CONFLICT: it was taken over. */
int lease_check(struct store_txn *txn, const struct lease *lease);

/*
 * For work that writes nothing to the store: whether the lease has been ours until now. Errors as
 * of lease_check() and of a snapshot.
 */
int lease_look(const struct lease *lease);

/* How often a lease has been taken; 0: never. */
int lease_epoch(struct jini *jini, const char *name, uint64_t *out);

/*
 * For verify: whether a row of space LEASES can be read. JINI_E_INVALID: the key is none of this
 * space. JINI_E_CORRUPT: the row is damaged, so nobody can take the lease. 0 also if there is none.
 */
int lease_check_row(struct store_txn *txn, struct slice key);

#endif
