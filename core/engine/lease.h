/*
 * Leases: background work that one process does at a time.
 *
 * A lease is a row in space LEASES, key (text name), 32 bytes little-endian: epoch (8), slot (4) and incarnation (4)
 * of the holder in the registry, until when in boot time (8), zero (8). Slot 0xffffffff: nobody.
 *
 *  1. The epoch grows whenever the lease changes hands, so (name, epoch) names one holding for ever.
 *  2. Every transaction of the work checks the epoch: a holder that was stopped and wakes up late changes nothing.
 *  3. A lease is taken over when its holder is dead (the kernel's lock says so), or its time is up.
 */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "engine/engine_private.h"

struct lease {
    struct jini *jini;
    const char *name;
    uint64_t epoch;
};

/* Takes or renews. JINI_E_LOCKED: a live process has it. Blocks for a commit. */
int lease_take(struct jini *jini, const char *name, struct lease *out);

/* Makes it last for another background.lease_ms. JINI_E_CONFLICT: it was taken over; stop. */
int lease_renew(const struct lease *lease);

void lease_give(const struct lease *lease);

/* In every op of the work. JINI_E_CONFLICT: it was taken over. */
int lease_check(struct store_txn *txn, const struct lease *lease);

#endif
