/*
 * What falls due in the engine: rows of the due queue that it keeps for itself
 * (GENERATIONS_DUE_ENGINE). Byte 0 of the value says what; the id, of which thing.
 */
#ifndef ENGINE_DUE_H
#define ENGINE_DUE_H

#include "engine/engine_private.h"
#include "generations/generations.h"

/* Pinned for ever. */
enum due_what {
    DUE_GRANT = 1,       /* the account of a grant that expires */
    DUE_PAYMENT = 2,     /* a payment of which some is to become revenue */
    DUE_SUBSCRIPTION = 3 /* account 0 of a user whose period or grace ends */
};

int due_add(struct store_txn *txn, enum due_what what, uint64_t due_ms, const struct jini_id *id,
            struct jini_error *error);

/* Does what is due, a slice in each transaction; what is left waits for the next turn. */
void due_tend(struct jini *jini);

#endif
