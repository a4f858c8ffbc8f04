/*
 * What a decision stood on, as bytes: with a job's record, and in a slot of the ring.
 *
 * Numbers are LEB128. version 1 (1 byte), version of the tier, length of its name (1 byte), its
 * name, parallel, parallel_max, cost, version of the price list, credits before, credits after,
 * count of limits (1 byte), the one that refused (1 byte); then of each limit unit (1 byte), flags
 * (1 byte), multiples, amount, remaining, reset_ms, retry_after_ms.
 */
#ifndef ENGINE_FACTS_H
#define ENGINE_FACTS_H

#include "base/bytes.h"

#include <jini/why.h>

enum { FACTS_MAX = 560 };

/*
 * Appends them; of limits that do not fit the last are left out. JINI_E_TOO_BIG: not even the rest
 * fits; FACTS_MAX bytes are always enough for all.
 */
int facts_write(const struct jini_decision *decision, struct buffer *out);

/* Fills in what they say, and nothing else. Bytes from a file: JINI_E_CORRUPT, JINI_E_FORMAT. */
int facts_read(struct slice bytes, struct jini_decision *out);

#endif
