/*
 * What money buys: a list of prices by name.
 *
 * As with costs (costs.h), every change of the list has a number, its version, and an entry is
 * never changed: a later one of the same name takes its place, so that a payment keeps the price
 * that it was begun with.
 *
 *   PRICES (text "prices")                            0 newest version u64 | 8 how many hold u64
 *   PRICES (text "price", bytes name, uint version)   0 version of the row u8, 1 |
 *       1 gone u8, 0 or 1 | 2 credits expire u8, 0 or 1 | 3 priority u8 | 4 days u32 |
 *       8 time in ms u64 | 16 amount u64 | 24 credits u64 | 32 amount for the credits u64 |
 *       40 currency, 4 bytes, NUL at the end | 44 length of the tier's name u8 | 45 zero u8 x 3 |
 *       48 the tier's name (48 bytes and that)
 */
#ifndef LEDGER_PRICES_H
#define LEDGER_PRICES_H

#include "store/store.h"

#include <jini/payments.h>

/* JINI_E_INVALID: a member breaks its rule. Whether there is such a tier is not asked. Pure. */
int prices_check(const struct jini_price *price, struct jini_error *error);

/* JINI_E_INVALID ("price" or as said): no name of a price. Pure. */
int prices_check_name(const char name[JINI_PRICE_NAME_MAX], const char *field,
                      struct jini_error *error);

/*
 * Makes an entry that of its name, and sets its version and changed_ms. With `remove` there is none
 * from now on: JINI_E_NOT_FOUND where there was none. JINI_E_TOO_BIG: "name".
 */
int prices_set(struct store_txn *txn, struct jini_price *price, bool remove, uint64_t now_ms,
               struct jini_error *error);

/* By name; `version` 0: the entry that holds. JINI_E_NOT_FOUND. */
int prices_find(struct store_txn *txn, const char *name, uint64_t version, struct jini_price *out,
                struct jini_error *error);

/*
 * The price of an amount, among those that hold. JINI_E_NOT_FOUND: there is none. JINI_E_INVALID
 * ("price"): there are several.
 */
int prices_match(struct store_txn *txn, const char *currency, uint64_t amount,
                 struct jini_price *out, struct jini_error *error);

/* Whether a price that holds buys a tier; names are compared as they are. */
int prices_name_tier(struct store_txn *txn, const char *tier, bool *out, struct jini_error *error);

/* As costs_list(). */
int prices_list(struct store_txn *txn, const char *after, struct jini_price *out, size_t capacity,
                size_t *count, struct jini_error *error);

/* Whether a key of PRICES is one of these rows. */
bool prices_is_key(struct slice key);

/* For verify: as costs_check_row(). */
int prices_check_row(struct store_txn *txn, struct slice key);

#endif
