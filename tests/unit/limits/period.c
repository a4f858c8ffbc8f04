/* Windows of quotas. */
#include "limits/period.h"

#include "harness.h"

#include <jini/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t hour_ns = UINT64_C(3600000000000);

static struct limit quota(const char *text)
{
    struct limit_list list;
    struct jini_error error;
    if (limit_parse(slice_of_text(text), &list, &error) != 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", text, error.message);
    CHECK_UINT(list.count, ==, 1);
    return list.limits[0];
}

static struct period_zone *zone_of(const char *name)
{
    struct period_zone *zone;
    CHECK_OK(period_zone_open(name, &zone));
    return zone;
}

/* "2024-03-31T00:00:00Z" as ns. */
static uint64_t at(const char *text)
{
    struct tm time = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &time);
    CHECK(end && *end == '\0');
    return (uint64_t)timegm(&time) * second_ns;
}

static const char *show(uint64_t ns)
{
    static char texts[4][40];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    time_t seconds = (time_t)(ns / second_ns);
    struct tm time;
    gmtime_r(&seconds, &time);
    strftime(text, 40, "%Y-%m-%dT%H:%M:%SZ", &time);
    return text;
}

static void check_window(const char *text, uint64_t anchor_ns, const char *now, const char *start,
                         const char *end)
{
    struct limit limit = quota(text);
    struct period_zone *zone = limit.zone[0] ? zone_of(limit.zone) : NULL;
    struct period_window window = period_open(&limit, zone, anchor_ns, at(now));
    CHECK_TEXT(show(window.start_ns), start);
    CHECK_TEXT(show(window.end_ns), end);
    period_zone_close(zone);
}

TEST(first_hit_windows_last_their_nominal_time,
     "A first-hit window begins with the hit; a month has 30 days and a year 360.")
{
    check_window("30/day", 0, "2024-02-28T15:00:00Z", "2024-02-28T15:00:00Z",
                 "2024-02-29T15:00:00Z");
    check_window("30/2 months", 0, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z",
                 "2024-03-01T00:00:00Z");
    check_window("30/year", 0, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z",
                 "2024-12-26T00:00:00Z");
    check_window("30/90 minutes", 0, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z",
                 "2024-01-01T01:30:00Z");
}

TEST(calendar_windows_follow_the_zone, "Hours, days, months and years begin by the zone's clock.")
{
    check_window("9/day calendar", 0, "2024-02-29T23:59:59Z", "2024-02-29T00:00:00Z",
                 "2024-03-01T00:00:00Z");
    check_window("9/month calendar", 0, "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z",
                 "2024-03-01T00:00:00Z");
    check_window("9/year calendar", 0, "2000-12-31T23:59:59Z", "2000-01-01T00:00:00Z",
                 "2001-01-01T00:00:00Z");
    check_window("9/month calendar America/New_York", 0, "2024-03-01T04:59:59Z",
                 "2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z");
    check_window("9/month calendar America/New_York", 0, "2024-03-01T05:00:00Z",
                 "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z");
    check_window("9/hour calendar Asia/Kathmandu", 0, "2024-05-05T10:20:00Z",
                 "2024-05-05T10:15:00Z", "2024-05-05T11:15:00Z");
    /* By the rule in the zone's file, past its last written transition. */
    check_window("9/day calendar Europe/Berlin", 0, "2100-07-01T12:00:00Z", "2100-06-30T22:00:00Z",
                 "2100-07-01T22:00:00Z");
    check_window("9/day calendar Europe/Berlin", 0, "2100-12-01T12:00:00Z", "2100-11-30T23:00:00Z",
                 "2100-12-01T23:00:00Z");
}

TEST(days_of_23_and_25_hours, "The day on which clocks change is an hour shorter or longer.")
{
    check_window("9/day calendar Europe/Berlin", 0, "2024-03-31T12:00:00Z", "2024-03-30T23:00:00Z",
                 "2024-03-31T22:00:00Z");
    check_window("9/day calendar Europe/Berlin", 0, "2024-10-27T12:00:00Z", "2024-10-26T22:00:00Z",
                 "2024-10-27T23:00:00Z");
    check_window("9/hour calendar Europe/Berlin", 0, "2024-10-27T00:30:00Z", "2024-10-27T00:00:00Z",
                 "2024-10-27T02:00:00Z");
    check_window("9/hour calendar Europe/Berlin", 0, "2024-10-27T01:30:00Z", "2024-10-27T00:00:00Z",
                 "2024-10-27T02:00:00Z");
    check_window("9/hour calendar Europe/Berlin", 0, "2024-03-31T00:59:59Z", "2024-03-31T00:00:00Z",
                 "2024-03-31T01:00:00Z");
    check_window("9/hour calendar Europe/Berlin", 0, "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z",
                 "2024-03-31T02:00:00Z");
}

TEST(midnight_that_does_not_exist,
     "A day whose midnight is skipped begins when the clocks are set.")
{
    /* Brazil, 2018-11-04: 00:00 became 01:00. */
    check_window("9/day calendar America/Sao_Paulo", 0, "2018-11-04T02:59:59Z",
                 "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z");
    check_window("9/day calendar America/Sao_Paulo", 0, "2018-11-04T03:00:00Z",
                 "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
    /* Samoa had no 2011-12-30. */
    check_window("9/day calendar Pacific/Apia", 0, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z",
                 "2011-12-30T10:00:00Z");
    check_window("9/day calendar Pacific/Apia", 0, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z",
                 "2011-12-31T10:00:00Z");
}

TEST(midnight_that_exists_twice,
     "A day begins at the first of its midnights and is not left again.")
{
    /* Cuba, 2023-11-05: 01:00 became 00:00. */
    check_window("9/day calendar America/Havana", 0, "2023-11-05T05:30:00Z", "2023-11-05T04:00:00Z",
                 "2023-11-06T05:00:00Z");
    /* Newfoundland, 2006-10-29: 00:01 became 23:01 of the day before. */
    check_window("9/day calendar America/St_Johns", 0, "2006-10-29T02:30:30Z",
                 "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z");
    check_window("9/day calendar America/St_Johns", 0, "2006-10-29T03:00:00Z",
                 "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z");
}

TEST(the_anchor_day_falls_back_and_returns,
     "The 31st is the last day of a shorter month, and the 31st again after it.")
{
    uint64_t anchor = at("2023-01-31T10:00:00Z");
    static const char *const begins[] = {
        "2023-01-31T10:00:00Z", "2023-02-28T10:00:00Z", "2023-03-31T10:00:00Z",
        "2023-04-30T10:00:00Z", "2023-05-31T10:00:00Z", "2023-06-30T10:00:00Z",
        "2023-07-31T10:00:00Z", "2023-08-31T10:00:00Z", "2023-09-30T10:00:00Z",
        "2023-10-31T10:00:00Z", "2023-11-30T10:00:00Z", "2023-12-31T10:00:00Z",
        "2024-01-31T10:00:00Z", "2024-02-29T10:00:00Z", "2024-03-31T10:00:00Z"};
    for (size_t i = 0; i + 1 < sizeof(begins) / sizeof(begins[0]); i++) {
        check_window("9/month anchor", anchor, begins[i], begins[i], begins[i + 1]);
        check_window("9/month anchor", anchor, show(at(begins[i + 1]) - second_ns), begins[i],
                     begins[i + 1]);
    }
    check_window("9/3 months anchor", at("2023-11-30T00:00:00Z"), "2024-03-01T00:00:00Z",
                 "2024-02-29T00:00:00Z", "2024-05-30T00:00:00Z");
    check_window("9/year anchor", at("2020-02-29T08:00:00Z"), "2023-06-01T00:00:00Z",
                 "2023-02-28T08:00:00Z", "2024-02-29T08:00:00Z");
    check_window("9/10 days anchor", at("2024-02-25T08:00:00Z"), "2024-03-06T09:00:00Z",
                 "2024-03-06T08:00:00Z", "2024-03-16T08:00:00Z");
}

TEST(an_anchor_keeps_its_local_time_of_day,
     "Windows of an anchor in a zone begin at the same local time over changes of its clocks.")
{
    uint64_t anchor = at("2024-01-15T08:30:00Z"); /* 09:30 in Berlin */
    check_window("9/month anchor Europe/Berlin", anchor, "2024-04-01T00:00:00Z",
                 "2024-03-15T08:30:00Z", "2024-04-15T07:30:00Z");
    /* An anchor that lies ahead counts backwards. */
    check_window("9/month anchor Europe/Berlin", anchor, "2023-12-31T00:00:00Z",
                 "2023-12-15T08:30:00Z", "2024-01-15T08:30:00Z");
}

TEST(windows_partition_time,
     "In any zone, at any time, the next window begins where this one ends, and holds that moment.")
{
    static const char *const texts[] = {
        "9/hour calendar ", "9/day calendar ", "9/month calendar ",  "9/year calendar ",
        "9/day anchor ",    "9/month anchor ", "9/5 months anchor ", "9/year anchor "};
    static const char *const zones[] = {"UTC",
                                        "Europe/Berlin",
                                        "America/St_Johns",
                                        "America/Sao_Paulo",
                                        "America/Havana",
                                        "Australia/Lord_Howe",
                                        "Pacific/Apia",
                                        "Africa/Casablanca",
                                        "Asia/Kathmandu",
                                        "Antarctica/Troll"};
    unsigned rounds = 40 * harness_scale();
    for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
            char text[80];
            snprintf(text, sizeof(text), "%s%s", texts[t], zones[z]);
            struct limit limit = quota(text);
            struct period_zone *zone = zone_of(limit.zone);
            for (unsigned i = 0; i < rounds; i++) {
                uint64_t now = harness_random_below(UINT64_C(4400000000) * second_ns);
                uint64_t anchor = harness_random_below(UINT64_C(4400000000) * second_ns);
                struct period_window window = period_open(&limit, zone, anchor, now);
                for (int step = 0; step < 6; step++) {
                    CHECK_UINT(window.start_ns, <=, now);
                    CHECK_UINT(now, <, window.end_ns);
                    uint64_t inside =
                        window.start_ns + harness_random_below(window.end_ns - window.start_ns);
                    struct period_window same = period_open(&limit, zone, anchor, inside);
                    CHECK_UINT(same.start_ns, ==, window.start_ns);
                    CHECK_UINT(same.end_ns, ==, window.end_ns);
                    now = window.end_ns;
                    struct period_window next = period_advance(&window, &limit, zone, anchor, now);
                    CHECK_UINT(next.start_ns, ==, window.end_ns);
                    window = next;
                }
            }
            period_zone_close(zone);
        }
    }
}

/* Local time on the C library's clock of the zone in TZ, in seconds. */
static int64_t libc_local(int64_t moment)
{
    time_t seconds = (time_t)moment;
    struct tm time;
    CHECK(localtime_r(&seconds, &time) != NULL);
    return moment + time.tm_gmtoff;
}

TEST(days_begin_where_the_c_library_says,
     "Day for day over 40 years, a day begins at the first moment at which localtime() shows it.")
{
    static const char *const zones[] = {"Europe/Berlin",      "America/St_Johns", "America/Havana",
                                        "America/Sao_Paulo",  "Pacific/Apia",     "Asia/Beirut",
                                        "Australia/Lord_Howe"};
    for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
        struct limit limit = quota("9/day calendar");
        struct period_zone *zone = zone_of(zones[z]);
        unsigned odd = 0;
        setenv("TZ", zones[z], 1);
        tzset();
        struct period_window window = period_open(&limit, zone, 0, at("1985-01-01T12:00:00Z"));
        while (window.end_ns < at("2025-01-01T00:00:00Z")) {
            int64_t start = (int64_t)(window.start_ns / second_ns);
            int64_t midnight = libc_local(start) / 86400 * 86400;
            CHECK_INT(libc_local(start - 1), <, midnight);
            if (libc_local(start) != midnight || window.end_ns - window.start_ns != 24 * hour_ns) {
                odd++;
                for (int64_t before = start - 30 * 3600; before < start; before += 30)
                    CHECK_INT(libc_local(before), <, midnight);
            }
            window = period_advance(&window, &limit, zone, 0, window.end_ns);
        }
        CHECK_UINT(odd, >, 20);
        period_zone_close(zone);
    }
}

TEST(dates_agree_with_the_c_library, "Calendar months in UTC begin where timegm() says.")
{
    struct limit limit = quota("9/month calendar");
    for (int i = 0; i < 20000; i++) {
        uint64_t now = harness_random_below(PERIOD_WALL_MAX_NS);
        time_t seconds = (time_t)(now / second_ns);
        struct tm time;
        CHECK(gmtime_r(&seconds, &time) != NULL);
        struct tm begin = {.tm_year = time.tm_year, .tm_mon = time.tm_mon, .tm_mday = 1};
        struct tm end = {.tm_year = time.tm_year, .tm_mon = time.tm_mon + 1, .tm_mday = 1};
        struct period_window window = period_open(&limit, NULL, 0, now);
        CHECK_UINT(window.start_ns, ==, (uint64_t)timegm(&begin) * second_ns);
        CHECK_UINT(window.end_ns, ==, (uint64_t)timegm(&end) * second_ns);
    }
}

TEST(a_clock_set_back_opens_nothing_early,
     "Whatever the clock does, a counter's window stays until its end, and windows never overlap.")
{
    static const char *const texts[] = {"9/hour", "9/day calendar Europe/Berlin", "9/month anchor",
                                        "9/2 days"};
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        struct limit limit = quota(texts[t]);
        struct period_zone *zone = limit.zone[0] ? zone_of(limit.zone) : NULL;
        uint64_t now = at("2024-03-29T12:00:00Z");
        uint64_t anchor = at("2023-01-31T10:00:00Z");
        struct period_window window = period_open(&limit, zone, anchor, now);
        for (int i = 0; i < 3000; i++) {
            int64_t jump = (int64_t)harness_random_below(96 * hour_ns) - (int64_t)(47 * hour_ns);
            now = (uint64_t)((int64_t)now + jump);
            struct period_window next = period_advance(&window, &limit, zone, anchor, now);
            if (now < window.end_ns) {
                CHECK_UINT(next.start_ns, ==, window.start_ns);
                CHECK_UINT(next.end_ns, ==, window.end_ns);
            } else {
                CHECK_UINT(next.start_ns, >=, window.end_ns);
                CHECK_UINT(next.start_ns, <=, now);
                CHECK_UINT(next.end_ns, >, now);
            }
            window = next;
        }
        period_zone_close(zone);
    }
}

TEST(another_kind_of_window_begins_after_the_old_one,
     "A counter whose limit became a calendar one opens its next window no earlier than the old "
     "one ended.")
{
    struct limit before = quota("9/day");
    struct limit after = quota("9/day calendar");
    struct period_window window = period_open(&before, NULL, 0, at("2024-03-01T15:00:00Z"));
    struct period_window next =
        period_advance(&window, &after, NULL, 0, at("2024-03-02T16:00:00Z"));
    CHECK_TEXT(show(next.start_ns), "2024-03-02T15:00:00Z");
    CHECK_TEXT(show(next.end_ns), "2024-03-03T00:00:00Z");
}

TEST(only_names_of_zones_are_taken,
     "Paths, offsets, rules, directories and unknown names are no zones, and none of them harms.")
{
    static const char *const wrong[] = {"",
                                        "Nowhere/City",
                                        "Europe",
                                        "europe/berlin",
                                        "Europe/Berlin/",
                                        "Europe//Berlin",
                                        "/Europe/Berlin",
                                        "../Europe/Berlin",
                                        "Europe/../Europe/Berlin",
                                        "+02:00",
                                        "EST5EDT4,M3.2.0,M11.1.0",
                                        "ABC3",
                                        "Foo",
                                        "leapseconds",
                                        "zone.tab",
                                        ":Europe/Berlin",
                                        "Europe/Berlin\xff"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct period_zone *zone;
        if (period_zone_open(wrong[i], &zone) != JINI_E_NOT_FOUND)
            harness_fail(__FILE__, __LINE__, "\"%s\" is taken as a zone", wrong[i]);
        CHECK(zone == NULL);
        CHECK(!period_zone_is_known(wrong[i]));
    }
    static const char *const right[] = {"UTC", "Europe/Berlin", "America/Argentina/ComodRivadavia",
                                        "Etc/GMT+5", "America/Port-au-Prince"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        CHECK(period_zone_is_known(right[i]));
    period_zone_close(NULL);
}

TEST(the_ends_of_time_are_taken, "Times at 0 and far beyond the bound give windows all the same.")
{
    struct limit limit = quota("9/month anchor");
    struct period_window window = period_open(&limit, NULL, UINT64_MAX, 0);
    CHECK_UINT(window.start_ns, ==, 0);
    CHECK_UINT(window.end_ns, >, 0);
    window = period_open(&limit, NULL, 0, UINT64_MAX);
    CHECK_UINT(window.start_ns, <=, PERIOD_WALL_MAX_NS);
    CHECK_UINT(window.end_ns, >, PERIOD_WALL_MAX_NS);
    struct period_window next = period_advance(&window, &limit, NULL, 0, UINT64_MAX);
    CHECK_UINT(next.start_ns, ==, window.start_ns);
}
