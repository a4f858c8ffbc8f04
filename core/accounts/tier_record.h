/*
 * The tier record.
 *
 * Format: a document (base/document.h) of at most 4,096 bytes. The numbers are pinned. A field that
 * is 0 or empty is left out, but for those that are always there.
 *
 *   field  name            type  what it holds
 *    1     name            text  1 to 32 bytes, as typed when the tier was added, always there
 *    2     position        uint  the place among the tiers, by the time they were added, always
 *                                there
 *    3     currency        text  three letters
 *    4     price_minor     uint
 *    5     limits          text  up to 256 bytes
 *    6     width_max       uint  32 bits
 *    7     height_max      uint
 *    8     steps_max       uint
 *    9     parallel_max    uint
 *   10     retention_days  uint
 *   11     queue_priority  uint  up to 1,000
 *   12     version         uint  how often it was changed since it was added
 *
 * Fields of other numbers are kept, and a record is corrupt for the same reasons as in
 * user_record.h.
 */
#ifndef ACCOUNTS_TIER_RECORD_H
#define ACCOUNTS_TIER_RECORD_H

#include "base/document.h"
#include "base/tuple.h"
#include "store/store.h"

#include <jini/accounts.h>

enum { TIER_RECORD_MAX = 4096 };

struct tier_record {
    struct jini_tier tier;
    uint64_t position;
    struct document_rest rest;
};

/*
 * JINI_E_CORRUPT: then `out` holds anything. JINI_E_FORMAT: more unknown fields than can be kept.
 */
int tier_record_read(struct slice bytes, struct tier_record *out);

/* Reads the record of a key of space TIERS. JINI_E_NOT_FOUND, and as tier_record_read(). */
int tier_record_load(struct store_txn *txn, const struct tuple *key, struct tier_record *out);

/* JINI_E_TOO_BIG: the record is longer than `out` can take. */
int tier_record_write(const struct tier_record *record, struct buffer *out);

#endif
