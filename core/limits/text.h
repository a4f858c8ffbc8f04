/*
 * Limits as people write them: "5/minute; 30/day calendar Europe/Berlin; 9/second gcra burst 20".
 *
 * Grammar (letter case does not matter but in ZONE; any white space may stand between the parts):
 *
 *     text      = limit *( ( "," | ";" | "|" ) limit )
 *     limit     = AMOUNT ( "/" | "per" ) [ MULTIPLES ] unit [ "s" ] [ algorithm ] [ "shadow" ]
 *     unit      = "second" | "minute" | "hour" | "day" | "month" | "year"
 *     algorithm = "sliding" | "gcra" [ "burst" BURST ]       a rate limit: less than an hour
 *               | "calendar" [ ZONE ] | "anchor" [ ZONE ]    a quota: an hour or more
 *
 * Up to `unit` this is the notation of the Python library `limits` 2.8 (its regular expression, but
 * for a stray ":" before a separator, which that takes). Without an algorithm a window begins with
 * its first hit. A month is then 30 days and a year 360, as there; calendar and anchor periods use
 * real ones.
 */
#ifndef LIMITS_TEXT_H
#define LIMITS_TEXT_H

#include "base/bytes.h"

#include <jini/error.h>

enum {
    LIMITS_MAX = 8,          /* limits in one text */
    LIMIT_TEXT_MAX = 1024,   /* bytes of a text, as read and as written, with NUL */
    LIMIT_HUMAN_MAX = 64,    /* bytes of limit_human(), with NUL */
    LIMIT_ZONE_MAX = 40,     /* bytes of a time zone's name, with NUL */
    LIMIT_YEARS_MAX = 10,    /* the longest period, in years of 360 days */
    LIMIT_QUOTA_MS = 3600000 /* a period this long or longer is a quota's */
};

/* The largest amount of a quota; those of rate limits stand in algorithm.h. */
#define LIMIT_QUOTA_AMOUNT_MAX UINT64_C(1000000000000000)

enum limit_unit { LIMIT_SECOND, LIMIT_MINUTE, LIMIT_HOUR, LIMIT_DAY, LIMIT_MONTH, LIMIT_YEAR };

/* How a rate limit counts. A quota always counts in windows. */
enum limit_algorithm { LIMIT_FIXED_WINDOW, LIMIT_SLIDING_WINDOW, LIMIT_GCRA };

/*
 * Where the windows of a quota begin: with the first hit, by the calendar, or at the billing
 * anchor.
 */
enum limit_period { LIMIT_FIRST_HIT, LIMIT_CALENDAR, LIMIT_ANCHOR };

struct limit {
    uint64_t amount;
    uint64_t period_ms; /* of first-hit windows: multiples x unit, with months of 30 and years of
                           360 days */
    uint32_t multiples;
    uint32_t burst;   /* of LIMIT_GCRA: units that may come at once; else 0 */
    uint32_t ordinal; /* how many earlier limits of the list count in the same way over the same
                         period */
    enum limit_unit unit;
    enum limit_algorithm algorithm;
    enum limit_period period;
    bool shadow;               /* counted and reported, never refuses */
    char zone[LIMIT_ZONE_MAX]; /* of calendar and anchor periods, "UTC" by default; else empty */
};

struct limit_list {
    uint32_t count;
    struct limit limits[LIMITS_MAX];
};

/*
 * True for a quota, which lives in the store; false for a rate limit, which lives in shared memory.
 */
static inline bool limit_is_quota(const struct limit *limit)
{
    return limit->period_ms >= LIMIT_QUOTA_MS;
}

/*
 * The period of a limit that was checked, in the largest unit that it is a whole number of. Limits
 * of one kind that last alike have one span, however they were spelled: it tells what their
 * counters are of. Of calendar and anchor periods, whose months and years are real ones, only 12
 * months are a year: 24 hours and a day, 30 days and a month differ there. Pure.
 */
struct limit_span {
    uint32_t multiples;
    enum limit_unit unit;
};
struct limit_span limit_span(const struct limit *limit);

/*
 * Reads a text of 1 to LIMITS_MAX limits. `text` is borrowed for the call and need not end in NUL.
 * JINI_E_INVALID: the text breaks a rule; `error` (may be NULL) names the field ("text", "amount",
 * "period", "algorithm", "burst", "zone"), which limit of the text, and the rule. `out` is then
 * empty. Any thread; may read a time zone's file.
 */
int limit_parse(struct slice text, struct limit_list *out, struct jini_error *error);

/* The same, but that a time zone is taken by its name: whether there is one is not asked. Pure. */
int limit_parse_pure(struct slice text, struct limit_list *out, struct jini_error *error);

/*
 * Checks a limit that was not read from text, and fills `period_ms`, an unset zone and an unset
 * burst in. The rules and errors are those of limit_parse(), and of limit_parse_pure().
 */
int limit_check(struct limit *limit, struct jini_error *error);
int limit_check_pure(struct limit *limit, struct jini_error *error);

/*
 * Appends the canonical text, which limit_parse() reads back as the same list.
 * JINI_E_TOO_BIG: it does not fit; LIMIT_TEXT_MAX bytes always do.
 */
int limit_format(const struct limit_list *list, struct buffer *out);

/* What a refusal says of the limit: "5 per 1 minute". Returns the length. */
size_t limit_human(const struct limit *limit, char out[LIMIT_HUMAN_MAX]);

/*
 * The name of a unit ("minute"), an algorithm ("fixed", "sliding", "gcra") or a period's kind.
 * Static.
 */
const char *limit_unit_name(enum limit_unit unit);
const char *limit_algorithm_name(enum limit_algorithm algorithm);
const char *limit_period_name(enum limit_period period);

#endif
