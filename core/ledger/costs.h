/*
 * What a generation costs in credits: a price list by model.
 *
 * Every change of the list has a number, its version, which grows by one. An entry is never
 * changed: a later one of the same model takes its place, so that what a job cost can be explained
 * afterwards, and a job that was admitted keeps its price.
 *
 *   PRICES (text "costs")                      the newest version, u64
 *   PRICES (text "cost", bytes model, uint version)   0 version of the row u8, 1 |
 *       1 gone u8, 0 or 1 | 2 zero u8 x 6 | 8 time in ms u64 | 16 per image, per step, per
 *       megapixel, per megapixel and step, in thousandths of a credit, u64 each (48 bytes)
 *
 * A model that has no entry costs what the entry of the model "" says; without that, nothing.
 */
#ifndef LEDGER_COSTS_H
#define LEDGER_COSTS_H

#include "store/store.h"

#include <jini/grants.h>

/* JINI_E_INVALID: a price over its bound, or a model that is no text of its length. Pure. */
int costs_check(const struct jini_cost *cost, struct jini_error *error);

/*
 * Makes an entry the one of its model, and sets its version and changed_ms. With `remove` there is
 * none from now on: JINI_E_NOT_FOUND where there was none.
 */
int costs_set(struct store_txn *txn, struct jini_cost *cost, bool remove, uint64_t now_ms,
              struct jini_error *error);

/* The entry by which a model is charged. JINI_E_NOT_FOUND: none, it costs nothing. */
int costs_find(struct store_txn *txn, const char *model, struct jini_cost *out,
               struct jini_error *error);

/*
 * The entries that hold, by model, after that of the model `after` (NULL: from the first), up to
 * `capacity`.
 */
int costs_list(struct store_txn *txn, const char *after, struct jini_cost *out, size_t capacity,
               size_t *count, struct jini_error *error);

/* For verify: a row as it stands now. JINI_E_NOT_FOUND; JINI_E_CORRUPT, JINI_E_FORMAT: damaged. */
int costs_check_row(struct store_txn *txn, struct slice key);

/* What images cost together, rounded up to whole credits, at most JINI_CREDITS_MAX. Pure. */
uint64_t costs_of(const struct jini_cost *cost, uint32_t width, uint32_t height, uint32_t steps,
                  uint32_t count);

#endif
