/* Credits in the engine: what other files need of grants.c. */
#ifndef ENGINE_GRANTS_H
#define ENGINE_GRANTS_H

#include "engine/engine_private.h"
#include "events/events.h"
#include "ledger/costs.h"
#include "ledger/grants.h"

/*
 * Makes ready what the calls of ledger/grants.h need, in an op: the memory of the writer thread.
 * JINI_E_NO_MEMORY.
 */
int grants_txn_in(struct store_txn *txn, struct jini *jini, uint64_t now_ms,
                  struct jini_error *error, struct grants_txn *out);

/* Appends the event of credits that have expired, if any have: after a call with txn->news. */
int grants_tell_expired(const struct grants_txn *grants, uint64_t user_id);

/* The event of a grant, unless it was made before; and of what expired to make room for it. */
int grants_tell_granted(const struct grants_txn *grants, const struct jini_grant *grant);

/* The event of credits that were taken from a grant, or given back of a job; of 0 there is none. */
int grants_tell(const struct grants_txn *grants, enum event_type happened, uint64_t user_id,
                const struct jini_id *subject_id, uint64_t credits);

/* A grant of the user has expired. */
int grants_due_in(struct store_txn *txn, struct jini *jini, uint64_t user_id, uint64_t now_ms,
                  struct jini_error *error);

/* What a generation costs, in any transaction; *out is all zero where nothing says so. */
int cost_in(struct store_txn *txn, const struct jini_parameters *parameters, uint64_t *credits,
            struct jini_cost *out, struct jini_error *error);

#endif
