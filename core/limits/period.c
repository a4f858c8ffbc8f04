/*
 * Windows of quotas. Local times are counted in seconds since 1970-01-01T00:00:00 on the local
 * clock.
 *
 * A period's windows are numbered; local_begin() gives the local time at which one begins,
 * first_moment() turns it into a moment, and the window of `now` is found by stepping from an
 * estimate of its number.
 */
#include "limits/period.h"

#include <glib.h>
#include <jini/status.h>

enum {
    SECONDS_PER_HOUR = 3600,
    SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR,
    MONTHS_PER_YEAR = 12,
    OFFSET_SECONDS_MAX = 30 * SECONDS_PER_HOUR, /* more than any zone has ever been away from UTC */
};

static const uint64_t ns_per_second = UINT64_C(1000000000);

/*
 * A date of the proleptic Gregorian calendar as a count of months since year 0, and a day from 1.
 */
struct date {
    int64_t month;
    int day;
};

static int64_t floor_divide(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

/* Days from 1970-01-01 to January 1 of a year. */
static int64_t days_before_year(int64_t year)
{
    int64_t before = year - 1;
    return year * 365 + floor_divide(before, 4) - floor_divide(before, 100) +
           floor_divide(before, 400) - 719527;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = floor_divide(month, MONTHS_PER_YEAR);
    int64_t index = month - year * MONTHS_PER_YEAR;
    return days[index] + (index == 1 && is_leap(year));
}

/* Days from 1970-01-01 to the first of a month. */
static int64_t days_before_month(int64_t month)
{
    int64_t year = floor_divide(month, MONTHS_PER_YEAR);
    int64_t days = days_before_year(year);
    for (int64_t m = year * MONTHS_PER_YEAR; m < month; m++)
        days += days_in_month(m);
    return days;
}

static struct date date_of_day(int64_t day)
{
    int64_t year = floor_divide(day * 400, 146097) + 1970; /* exact or one off */
    while (days_before_year(year) > day)
        year--;
    while (days_before_year(year + 1) <= day)
        year++;
    int64_t month = year * MONTHS_PER_YEAR;
    day -= days_before_year(year);
    while (day >= days_in_month(month))
        day -= days_in_month(month++);
    return (struct date){month, (int)day + 1};
}

/* Zones. GLib's GTimeZone is what stands behind the name. */

static GTimeZone *glib_zone(const struct period_zone *zone)
{
    return (GTimeZone *)(uintptr_t)zone;
}

/*
 * Names as the database forms them: Area/Location, or a single word of letters ("UTC", "Japan").
 * GLib itself also takes rules ("EST5EDT,M3.2.0,M11.1.0"), offsets and paths, which are no names.
 */
static bool is_zone_name(const char *name)
{
    bool plain = true;
    bool area = false;
    if (!g_ascii_isupper(name[0]))
        return false;
    for (const char *at = name; *at; at++) {
        if (*at == '/') {
            if (!g_ascii_isalpha(at[1]))
                return false;
            area = true;
        } else if (!g_ascii_isalpha(*at)) {
            if (!g_ascii_isdigit(*at) && !strchr("_+-", *at))
                return false;
            plain = false;
        }
    }
    return plain || area;
}

int period_zone_open(const char *name, struct period_zone **out)
{
    *out = NULL;
    if (!is_zone_name(name))
        return JINI_E_NOT_FOUND;
    GTimeZone *zone =
        strcmp(name, "UTC") == 0 ? g_time_zone_new_utc() : g_time_zone_new_identifier(name);
    *out = (struct period_zone *)zone;
    return zone ? 0 : JINI_E_NOT_FOUND;
}

void period_zone_close(struct period_zone *zone)
{
    if (zone)
        g_time_zone_unref(glib_zone(zone));
}

bool period_zone_is_known(const char *name)
{
    struct period_zone *zone;
    if (period_zone_open(name, &zone))
        return false;
    period_zone_close(zone);
    return true;
}

static int interval_at(const struct period_zone *zone, int64_t moment)
{
    return g_time_zone_find_interval(glib_zone(zone), G_TIME_TYPE_UNIVERSAL, moment);
}

static int64_t local_of(const struct period_zone *zone, int64_t moment)
{
    if (!zone)
        return moment;
    return moment + g_time_zone_get_offset(glib_zone(zone), interval_at(zone, moment));
}

/* The first moment after `from`, and up to `to`, that does not belong to the interval of `from`. */
static int64_t interval_end(const struct period_zone *zone, int64_t from, int64_t to)
{
    int interval = interval_at(zone, from);
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        if (interval_at(zone, middle) == interval)
            from = middle;
        else
            to = middle;
    }
    return to;
}

/* The first moment at which the local clock shows `local` or later. */
static int64_t first_moment(const struct period_zone *zone, int64_t local)
{
    if (!zone)
        return local;
    int64_t from = local - OFFSET_SECONDS_MAX;
    for (;;) {
        int interval = interval_at(zone, from);
        int64_t moment = local - g_time_zone_get_offset(glib_zone(zone), interval);
        if (moment <= from)
            return from;
        if (interval_at(zone, moment) == interval)
            return moment;
        from = interval_end(zone, from, moment);
    }
}

/* Numbered windows. */

struct numbering {
    enum limit_unit unit;
    int64_t multiples;
    int64_t anchor; /* local; calendar periods count from 1970-01-01T00:00:00 */
};

static bool by_months(const struct numbering *numbering)
{
    return numbering->unit >= LIMIT_MONTH;
}

static int64_t window_months(const struct numbering *numbering)
{
    return numbering->multiples * (numbering->unit == LIMIT_YEAR ? MONTHS_PER_YEAR : 1);
}

static int64_t window_seconds(const struct numbering *numbering)
{
    return numbering->multiples *
           (numbering->unit == LIMIT_DAY ? SECONDS_PER_DAY : SECONDS_PER_HOUR);
}

static int64_t local_begin(const struct numbering *numbering, int64_t number)
{
    if (!by_months(numbering))
        return numbering->anchor + number * window_seconds(numbering);
    int64_t anchor_day = floor_divide(numbering->anchor, SECONDS_PER_DAY);
    struct date date = date_of_day(anchor_day);
    int64_t second = numbering->anchor - anchor_day * SECONDS_PER_DAY;
    date.month += number * window_months(numbering);
    if (date.day > days_in_month(date.month))
        date.day = days_in_month(date.month);
    return (days_before_month(date.month) + date.day - 1) * SECONDS_PER_DAY + second;
}

/* The number of the window that holds a local time, or one close to it. */
static int64_t estimate(const struct numbering *numbering, int64_t local)
{
    if (!by_months(numbering))
        return floor_divide(local - numbering->anchor, window_seconds(numbering));
    int64_t month = date_of_day(floor_divide(local, SECONDS_PER_DAY)).month;
    int64_t anchor_month = date_of_day(floor_divide(numbering->anchor, SECONDS_PER_DAY)).month;
    return floor_divide(month - anchor_month, window_months(numbering));
}

static uint64_t wall_ns(int64_t moment)
{
    return moment > 0 ? (uint64_t)moment * ns_per_second : 0;
}

static struct period_window numbered_window(const struct numbering *numbering,
                                            const struct period_zone *zone, int64_t now)
{
    int64_t number = estimate(numbering, local_of(zone, now));
    int64_t start = first_moment(zone, local_begin(numbering, number));
    while (start > now)
        start = first_moment(zone, local_begin(numbering, --number));
    int64_t end = first_moment(zone, local_begin(numbering, number + 1));
    while (end <= now) {
        start = end;
        number++;
        end = first_moment(zone, local_begin(numbering, number + 1));
    }
    JINI_ASSERT(start <= now && now < end);
    return (struct period_window){wall_ns(start), wall_ns(end)};
}

static uint64_t wall_cut(uint64_t ns)
{
    return ns < PERIOD_WALL_MAX_NS ? ns : PERIOD_WALL_MAX_NS;
}

struct period_window period_open(const struct limit *limit, const struct period_zone *zone,
                                 uint64_t anchor_ns, uint64_t now_ns)
{
    JINI_ASSERT(limit_is_quota(limit));
    now_ns = wall_cut(now_ns);
    if (limit->period == LIMIT_FIRST_HIT)
        return (struct period_window){now_ns, now_ns + limit->period_ms * (ns_per_second / 1000)};
    struct numbering numbering = {.unit = limit->unit, .multiples = limit->multiples};
    if (limit->period == LIMIT_ANCHOR)
        numbering.anchor = local_of(zone, (int64_t)(wall_cut(anchor_ns) / ns_per_second));
    return numbered_window(&numbering, zone, (int64_t)(now_ns / ns_per_second));
}

struct period_window period_advance(const struct period_window *current, const struct limit *limit,
                                    const struct period_zone *zone, uint64_t anchor_ns,
                                    uint64_t now_ns)
{
    now_ns = wall_cut(now_ns);
    if (now_ns < current->end_ns)
        return *current;
    struct period_window next = period_open(limit, zone, anchor_ns, now_ns);
    if (next.start_ns < current->end_ns)
        next.start_ns = current->end_ns;
    return next;
}
