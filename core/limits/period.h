/*
 * Windows of quotas: which stretch of time a durable counter counts now. Pure but for the time zone
 * database, which is read through GLib when a zone is opened.
 *
 * Kinds of period (text.h): a first-hit window begins with the hit that opens it and lasts a fixed
 * time; a calendar window is the hour, day, month or year that holds `now` in a zone; an anchor
 * window is counted from the moment a subscription began, at the same local time of the day, on the
 * same day of the month. In a month without that day the window begins on its last day, and goes
 * back to the anchor's own day after it (the 31st: January 31, February 28, March 31).
 *
 * A window begins at the FIRST moment at which the local clock shows its begin or something later.
 * So a local midnight that does not exist (clocks are set forward over it) begins when they are
 * set, one that exists twice begins at the first, and the windows of a zone follow each other
 * without gap or overlap whatever its clocks do. Days have 23, 24 or 25 hours, and so does the
 * calendar hour in which clocks are set back last two.
 *
 * Wall clocks jump. period_advance() keeps a counter's window until its end, however far back the
 * clock is set: time never goes before the begin of the counter's window. A window that is opened
 * never begins before the one it follows ended. So a clock set back opens nothing early and loses
 * no counts; a clock that was wrong by years in the other direction leaves counters in windows that
 * begin in the future and hold until they are reset or reached.
 */
#ifndef LIMITS_PERIOD_H
#define LIMITS_PERIOD_H

#include "limits/text.h"

/* Wall time in ns since 1970 (UTC): `start_ns` belongs to the window, `end_ns` to the next. */
struct period_window {
    uint64_t start_ns;
    uint64_t end_ns;
};

/* Times from here on (the year 2500) are taken as this one. */
#define PERIOD_WALL_MAX_NS (UINT64_C(16725225600) * UINT64_C(1000000000))

/* A time zone of the IANA database. Immutable; any thread. */
struct period_zone;

/*
 * Opens a zone by its name ("Europe/Berlin"; "UTC" always exists). `*out` is NULL after an error.
 * JINI_E_NOT_FOUND: the machine does not know it. GLib ends the process when it gets no memory.
 */
int period_zone_open(const char *name, struct period_zone **out);

/* Takes NULL. */
void period_zone_close(struct period_zone *zone);

/* True when period_zone_open() would find the zone. */
bool period_zone_is_known(const char *name);

/*
 * The window that holds `now_ns`, for a counter that has none. `limit` has passed limit_check() and
 * is a quota; `zone` is that of its name, NULL stands for UTC and is enough for first-hit periods.
 * `anchor_ns` is the wall time from which anchor periods count; it may lie in the future, and is
 * not read for other kinds.
 */
struct period_window period_open(const struct limit *limit, const struct period_zone *zone,
                                 uint64_t anchor_ns, uint64_t now_ns);

/*
 * The window of a counter whose window was `current`: the same one until its end has come, then the
 * one that holds `now_ns`, cut so that it begins no earlier than `current` ended. The counter's
 * counts are void when the answer's start differs from the start of `current`.
 */
struct period_window period_advance(const struct period_window *current, const struct limit *limit,
                                    const struct period_zone *zone, uint64_t anchor_ns,
                                    uint64_t now_ns);

#endif
