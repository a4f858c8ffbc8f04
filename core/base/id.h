/*
 * Making 128-bit ids.
 *
 * UUID version 7, RFC 9562 section 5.7: 48 bits of milliseconds since 1970, then the fraction of
 * the millisecond in the 12 bits after the version (section 6.2, method 3), then 62 random bits.
 * Within one source every id is larger than the one before it, also when the clock is set back: the
 * 60 bits of time then count on by one. Ids of several processes interleave by their clocks.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/clock.h"

#include <jini/id.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct id_source {
    const struct jini_clock *clock;
    _Atomic uint64_t last; /* milliseconds << 12 | fraction, of the newest id */
};

void id_source_init(struct id_source *source, const struct jini_clock *clock);

/* A new id. Any thread; safe after fork. */
struct jini_id id_next(struct id_source *source);

/* When the id was made, in milliseconds since 1970. */
uint64_t id_time_ms(const struct jini_id *id);

bool id_is_zero(const struct jini_id *id);

static inline bool id_equal(const struct jini_id *a, const struct jini_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#endif
