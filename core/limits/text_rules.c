/* The rules that every limit keeps, and limits written as text. */
#include "limits/text.h"

#include "base/error.h"
#include "limits/algorithm.h"
#include "limits/period.h"

#include <stdarg.h>
#include <stdio.h>

enum { MONTHS_PER_YEAR = 12 };

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {
    [LIMIT_SECOND] = {"second", UINT64_C(1000)},
    [LIMIT_MINUTE] = {"minute", UINT64_C(60) * 1000},
    [LIMIT_HOUR] = {"hour", UINT64_C(3600) * 1000},
    [LIMIT_DAY] = {"day", UINT64_C(24) * 3600 * 1000},
    [LIMIT_MONTH] = {"month", UINT64_C(30) * 24 * 3600 * 1000},
    [LIMIT_YEAR] = {"year", UINT64_C(360) * 24 * 3600 * 1000},
};

const char *limit_unit_name(enum limit_unit unit)
{
    JINI_ASSERT(unit <= LIMIT_YEAR);
    return units[unit].name;
}

const char *limit_algorithm_name(enum limit_algorithm algorithm)
{
    static const char *const names[] = {"fixed", "sliding", "gcra"};
    JINI_ASSERT(algorithm <= LIMIT_GCRA);
    return names[algorithm];
}

const char *limit_period_name(enum limit_period period)
{
    static const char *const names[] = {"first-hit", "calendar", "anchor"};
    JINI_ASSERT(period <= LIMIT_ANCHOR);
    return names[period];
}

struct limit_span limit_span(const struct limit *limit)
{
    struct limit_span span = {limit->multiples, limit->unit};
    JINI_ASSERT(limit->period_ms > 0); /* it was checked */
    if (limit->period != LIMIT_FIRST_HIT) {
        if (span.unit == LIMIT_MONTH && span.multiples % MONTHS_PER_YEAR == 0)
            span = (struct limit_span){span.multiples / MONTHS_PER_YEAR, LIMIT_YEAR};
        return span;
    }
    span.unit = LIMIT_YEAR;
    while (limit->period_ms % units[span.unit].ms != 0)
        span.unit--;
    span.multiples = (uint32_t)(limit->period_ms / units[span.unit].ms);
    return span;
}

static int check_period(struct limit *limit, struct jini_error *error)
{
    if (limit->unit > LIMIT_YEAR || limit->algorithm > LIMIT_GCRA || limit->period > LIMIT_ANCHOR)
        return error_set(error, JINI_E_INVALID, "period",
                         "The unit, algorithm or kind of period is not one of those that exist.");
    if (limit->multiples == 0)
        return error_set(error, JINI_E_INVALID, "period",
                         "A period of 0 %ss is no period; the least is 1 second.",
                         units[limit->unit].name);
    /* Held against the bound before the product, which wraps around. */
    if (limit->multiples > LIMIT_YEARS_MAX * units[LIMIT_YEAR].ms / units[limit->unit].ms)
        return error_set(error, JINI_E_INVALID, "period",
                         "%u %ss is longer than the longest period, %d years of 360 days.",
                         limit->multiples, units[limit->unit].name, LIMIT_YEARS_MAX);
    limit->period_ms = limit->multiples * units[limit->unit].ms;
    return 0;
}

static int check_rate(struct limit *limit, struct jini_error *error)
{
    struct algorithm prepared;
    if (limit->period != LIMIT_FIRST_HIT)
        return error_set(error, JINI_E_INVALID, "period",
                         "A %s period is one of a quota, over an hour or more; shorter limits have "
                         "fixed or sliding windows or gcra.",
                         limit_period_name(limit->period));
    if (limit->algorithm == LIMIT_GCRA && limit->burst == 0)
        limit->burst = 1;
    if (limit->algorithm != LIMIT_GCRA && limit->burst != 0)
        return error_set(error, JINI_E_INVALID, "burst", "Only a gcra limit has a burst.");
    if (limit->zone[0] != '\0')
        return error_set(error, JINI_E_INVALID, "zone",
                         "Only calendar and anchor periods have a time zone.");
    return algorithm_prepare(limit, &prepared, error);
}

static int check_zone(struct limit *limit, struct jini_error *error)
{
    static const char utc[] = "UTC";
    if (limit->zone[0] == '\0')
        memcpy(limit->zone, utc, sizeof(utc));
    if (!memchr(limit->zone, 0, sizeof(limit->zone)))
        return error_set(error, JINI_E_INVALID, "zone", "The name of a time zone is too long.");
    return 0;
}

static int check_zone_known(const struct limit *limit, struct jini_error *error)
{
    if (limit->zone[0] != '\0' && !period_zone_is_known(limit->zone))
        return error_set(error, JINI_E_INVALID, "zone",
                         "\"%.*s\" is no time zone that this machine knows; write a name of the "
                         "IANA database, such "
                         "as Europe/Berlin (the package tzdata holds them).",
                         LIMIT_ZONE_MAX - 1, limit->zone);
    return 0;
}

static int check_quota(struct limit *limit, struct jini_error *error)
{
    if (limit->algorithm != LIMIT_FIXED_WINDOW || limit->burst != 0)
        return error_set(
            error, JINI_E_INVALID, "algorithm",
            "%s counts in shared memory, which a reboot forgets, so its period is shorter than an "
            "hour; a "
            "period of an hour or more is a quota, counted durably in windows: leave \"%s\" out.",
            limit_algorithm_name(limit->algorithm), limit_algorithm_name(limit->algorithm));
    if (limit->amount > LIMIT_QUOTA_AMOUNT_MAX)
        return error_set(error, JINI_E_INVALID, "amount", "A quota is at most %llu units.",
                         (unsigned long long)LIMIT_QUOTA_AMOUNT_MAX);
    if (limit->period == LIMIT_FIRST_HIT) {
        if (limit->zone[0] != '\0')
            return error_set(error, JINI_E_INVALID, "zone",
                             "Only calendar and anchor periods have a time zone.");
        return 0;
    }
    if (limit->period == LIMIT_CALENDAR && (limit->multiples != 1 || limit->unit < LIMIT_HOUR))
        return error_set(error, JINI_E_INVALID, "period",
                         "A calendar period is one hour, day, month or year, not %u %ss; for a "
                         "longer one use anchor.",
                         limit->multiples, units[limit->unit].name);
    if (limit->period == LIMIT_ANCHOR && limit->unit < LIMIT_DAY)
        return error_set(error, JINI_E_INVALID, "period",
                         "An anchor period is counted in days, months or years, not in %ss.",
                         units[limit->unit].name);
    return check_zone(limit, error);
}

int limit_check_pure(struct limit *limit, struct jini_error *error)
{
    error_clear(error);
    int status = check_period(limit, error);
    if (status)
        return status;
    return limit_is_quota(limit) ? check_quota(limit, error) : check_rate(limit, error);
}

int limit_check(struct limit *limit, struct jini_error *error)
{
    int status = limit_check_pure(limit, error);
    return status ? status : check_zone_known(limit, error);
}

size_t limit_human(const struct limit *limit, char out[LIMIT_HUMAN_MAX])
{
    int length = snprintf(out, LIMIT_HUMAN_MAX, "%llu per %u %s", (unsigned long long)limit->amount,
                          limit->multiples, limit_unit_name(limit->unit));
    JINI_ASSERT(length > 0 && length < LIMIT_HUMAN_MAX);
    return (size_t)length;
}

__attribute__((format(printf, 2, 3))) static void append(struct buffer *out, const char *format,
                                                         ...)
{
    char text[LIMIT_HUMAN_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    JINI_ASSERT(length >= 0 && (size_t)length < sizeof(text));
    buffer_append(out, text, (size_t)length);
}

static void format_one(const struct limit *limit, struct buffer *out)
{
    const char *unit = limit_unit_name(limit->unit);
    if (limit->multiples == 1)
        append(out, "%llu/%s", (unsigned long long)limit->amount, unit);
    else
        append(out, "%llu/%u %ss", (unsigned long long)limit->amount, limit->multiples, unit);
    if (limit->algorithm != LIMIT_FIXED_WINDOW)
        append(out, " %s", limit_algorithm_name(limit->algorithm));
    if (limit->burst > 1)
        append(out, " burst %u", limit->burst);
    if (limit->period != LIMIT_FIRST_HIT) {
        append(out, " %s", limit_period_name(limit->period));
        if (strcmp(limit->zone, "UTC") != 0)
            append(out, " %s", limit->zone);
    }
    if (limit->shadow)
        append(out, " shadow");
}

int limit_format(const struct limit_list *list, struct buffer *out)
{
    JINI_ASSERT(list->count <= LIMITS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        if (i > 0)
            append(out, "; ");
        format_one(&list->limits[i], out);
    }
    return out->overflow ? JINI_E_TOO_BIG : 0;
}
