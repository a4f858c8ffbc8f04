/* Tiers that were paid for: what other files of the engine need of subscriptions.c. */
#ifndef ENGINE_SUBSCRIPTIONS_H
#define ENGINE_SUBSCRIPTIONS_H

#include "engine/engine_private.h"

/*
 * Makes the tier of a user, as stored, that of a time: one that was paid for is over then, also
 * when nobody has written it down yet. JINI_E_CORRUPT: "subscription".
 */
int user_tier_at(struct store_txn *txn, uint64_t now_ms, struct jini_user *user,
                 struct jini_error *error);

/* A tier was set by hand: what the user has paid for decides it no more. */
int subscription_let_go(struct store_txn *txn, uint64_t user_id, struct jini_error *error);

#endif
