/* Limit texts. */
#include "limits/text.h"

#include "harness.h"
#include "limits/algorithm.h"

#include <jini/status.h>
#include <stdio.h>

static void parse(const char *text, struct limit_list *list)
{
    struct jini_error error;
    if (limit_parse(slice_of_text(text), list, &error) != 0)
        harness_fail(__FILE__, __LINE__, "\"%s\": %s", text, error.message);
}

static void check_refused(const char *text, const char *field, const char *part)
{
    struct limit_list list;
    struct jini_error error;
    memset(&list, 0xAA, sizeof(list));
    if (limit_parse(slice_of_text(text), &list, &error) != JINI_E_INVALID)
        harness_fail(__FILE__, __LINE__, "\"%s\" is taken", text);
    if (strcmp(error.field, field) != 0 || !strstr(error.message, part))
        harness_fail(__FILE__, __LINE__, "\"%s\" is refused by %s: %s", text, error.field,
                     error.message);
    CHECK_UINT(list.count, ==, 0);
    CHECK_INT(limit_parse(slice_of_text(text), &list, NULL), ==, JINI_E_INVALID);
}

static void check_canonical(const char *text, const char *canonical)
{
    char written[LIMIT_TEXT_MAX];
    struct limit_list list;
    parse(text, &list);
    struct buffer out = buffer_of(written, sizeof(written) - 1);
    CHECK_OK(limit_format(&list, &out));
    written[out.length] = '\0';
    CHECK_TEXT(written, canonical);
    struct limit_list again;
    parse(written, &again);
    CHECK(memcmp(&again, &list, sizeof(list)) == 0);
}

TEST(
    the_notation_of_the_python_library,
    "Every form that the library's expression takes gives the amount, multiples and unit it gives.")
{
    static const struct {
        const char *text;
        unsigned count;
        struct {
            uint64_t amount;
            uint32_t multiples;
            enum limit_unit unit;
        } limits[3];
    } cases[] = {
        {"5/minute", 1, {{5, 1, LIMIT_MINUTE}}},
        {"5 per 2 hours", 1, {{5, 2, LIMIT_HOUR}}},
        {"5per2hour", 1, {{5, 2, LIMIT_HOUR}}},
        {"5perminute", 1, {{5, 1, LIMIT_MINUTE}}},
        {"5/2minute", 1, {{5, 2, LIMIT_MINUTE}}},
        {"5/23minutes", 1, {{5, 23, LIMIT_MINUTE}}},
        {"5 /  minute", 1, {{5, 1, LIMIT_MINUTE}}},
        {"  10 PER 1 Day ;3/second|2/year",
         3,
         {{10, 1, LIMIT_DAY}, {3, 1, LIMIT_SECOND}, {2, 1, LIMIT_YEAR}}},
        {"0/minute", 1, {{0, 1, LIMIT_MINUTE}}},
        {"05/minute", 1, {{5, 1, LIMIT_MINUTE}}},
        {"5/minute\n", 1, {{5, 1, LIMIT_MINUTE}}},
        {"5/minute, 3/hour", 2, {{5, 1, LIMIT_MINUTE}, {3, 1, LIMIT_HOUR}}},
        {"5 per\tminute", 1, {{5, 1, LIMIT_MINUTE}}},
        {"60/minute; 2000/day", 2, {{60, 1, LIMIT_MINUTE}, {2000, 1, LIMIT_DAY}}},
        {"1/Months\f|\v7 / 2 SECONDS", 2, {{1, 1, LIMIT_MONTH}, {7, 2, LIMIT_SECOND}}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct limit_list list;
        parse(cases[i].text, &list);
        CHECK_UINT(list.count, ==, cases[i].count);
        for (unsigned l = 0; l < list.count; l++) {
            CHECK_UINT(list.limits[l].amount, ==, cases[i].limits[l].amount);
            CHECK_UINT(list.limits[l].multiples, ==, cases[i].limits[l].multiples);
            CHECK_UINT(list.limits[l].unit, ==, cases[i].limits[l].unit);
            CHECK_UINT(list.limits[l].algorithm, ==, LIMIT_FIXED_WINDOW);
            CHECK_UINT(list.limits[l].period, ==, LIMIT_FIRST_HIT);
            CHECK(!list.limits[l].shadow);
        }
    }
}

TEST(what_the_python_library_refuses, "Texts outside of the notation are refused and say where.")
{
    check_refused("", "amount", "Limit 1");
    check_refused("   ", "amount", "Limit 1");
    check_refused("5", "period", "\"/\" or \"per\"");
    check_refused("5 minute", "period", "\"/\" or \"per\"");
    check_refused("5/minute;", "amount", "Limit 2");
    check_refused(";5/minute", "amount", "Limit 1");
    check_refused("5/minute;;3/hour", "amount", "Limit 2");
    check_refused("5/ 2 3 minute", "period", "\"3\" is no unit");
    check_refused("5/minutess", "period", "without a space");
    check_refused("5/minutesliding", "period", "without a space");
    check_refused("5/minute 3/hour", "algorithm", "\"3/hour\" is not understood");
    check_refused("5/m", "period", "\"m\" is no unit");
    check_refused("5 / per minute", "period", "\"per\" is no unit");
    check_refused("5//minute", "period", "unit");
    check_refused("+5/minute", "amount", "\"+5/minute\"");
    check_refused("-5/minute", "amount", "whole number");
    check_refused("5.5/minute", "period", "\"/\" or \"per\"");
    check_refused("five/minute", "amount", "\"five/minute\"");
    check_refused("5/2", "period", "\"\" is no unit");
    check_refused("5/fortnight", "period", "\"fortnight\"");
}

TEST(words_after_the_period, "Algorithms, bursts, zones and shadow mode are read in their places.")
{
    struct limit_list list;
    parse("60/Minute SLIDING; 10/second gcra Burst 20 shadow | 30/day calendar Europe/Berlin,"
          "1000/month anchor shadow; 5/minute Shadow; 7/3 months anchor America/New_York; 2/s"
          "econd gcra; 9/hours Calendar",
          &list);
    CHECK_UINT(list.count, ==, 8);
    const struct limit *limits = list.limits;
    CHECK_UINT(limits[0].algorithm, ==, LIMIT_SLIDING_WINDOW);
    CHECK_UINT(limits[1].algorithm, ==, LIMIT_GCRA);
    CHECK_UINT(limits[1].burst, ==, 20);
    CHECK(limits[1].shadow && !limits[0].shadow);
    CHECK_UINT(limits[2].period, ==, LIMIT_CALENDAR);
    CHECK_TEXT(limits[2].zone, "Europe/Berlin");
    CHECK_UINT(limits[3].period, ==, LIMIT_ANCHOR);
    CHECK_TEXT(limits[3].zone, "UTC");
    CHECK(limits[3].shadow && limits[4].shadow);
    CHECK_TEXT(limits[4].zone, "");
    CHECK_UINT(limits[5].multiples, ==, 3);
    CHECK_UINT(limits[6].burst, ==, 1);
    CHECK_UINT(limits[7].unit, ==, LIMIT_HOUR);
    check_refused("5/minute shadow sliding", "algorithm", "\"sliding\" is not understood");
    check_refused("5/minute sliding gcra", "algorithm", "\"gcra\" is not understood");
    check_refused("5/minute burst 5", "algorithm", "\"burst\" is not understood");
    check_refused("5/minute gcra burst", "burst", "whole number");
    check_refused("5/minute gcra burst x", "burst", "whole number");
    check_refused("5/minute gcra burst 5x", "burst", "whole number");
    check_refused("5/minute gcra burst 0", "burst", "1 or more");
    check_refused("5/minute gcra burst 301", "burst", "not within 1 and 300");
    check_refused("5/day calendar Europe/Berlin shadow Europe/Paris", "algorithm", "Europe/Paris");
    check_refused("5/day calendar Europe/Nowhere", "zone", "Europe/Nowhere");
    check_refused("5/day calendar ../../etc/passwd", "zone", "IANA");
    check_refused("5/day calendar Area/0123456789012345678901234567890123456789", "zone",
                  "no name of a time zone");
}

TEST(a_zone_may_be_taken_by_its_name,
     "Read without files, a text keeps all rules but that its time zones are known here.")
{
    struct limit_list list;
    struct limit_list same;
    struct jini_error error;
    struct slice text = slice_of_text("5/minute; 30/day calendar Europe/Nowhere; 9/day calendar");
    CHECK_STATUS(limit_parse(text, &list, &error), JINI_E_INVALID);
    CHECK_OK(limit_parse_pure(text, &list, &error));
    CHECK_UINT(list.count, ==, 3);
    CHECK_TEXT(list.limits[0].zone, "");
    CHECK_TEXT(list.limits[1].zone, "Europe/Nowhere");
    CHECK_TEXT(list.limits[2].zone, "UTC");
    text = slice_of_text("5/minute gcra burst 5; 30/day anchor Europe/Berlin");
    CHECK_OK(limit_parse(text, &list, &error));
    CHECK_OK(limit_parse_pure(text, &same, &error));
    CHECK_BYTES(&list, &same, sizeof(list));
    CHECK_STATUS(limit_parse_pure(slice_of_text("5/day sliding"), &list, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "algorithm");
}

TEST(rates_and_quotas_part_at_an_hour,
     "Below an hour a limit is a rate, from an hour on a quota, and each has its own algorithms.")
{
    struct limit_list list;
    parse("5/59 minutes; 5/60 minutes; 5/3599 seconds; 5/3600 seconds; 5/hour", &list);
    CHECK(!limit_is_quota(&list.limits[0]));
    CHECK(limit_is_quota(&list.limits[1]));
    CHECK(!limit_is_quota(&list.limits[2]));
    CHECK(limit_is_quota(&list.limits[3]));
    CHECK(limit_is_quota(&list.limits[4]));
    check_refused("5/hour sliding", "algorithm", "a reboot forgets");
    check_refused("5/60 minutes gcra burst 5", "algorithm", "a reboot forgets");
    check_refused("5/minute calendar", "period", "quota");
    check_refused("5/minute anchor", "period", "quota");
    check_refused("5/2 days calendar", "period", "one hour, day, month or year");
    check_refused("5/60 minutes calendar", "period", "one hour, day, month or year");
    check_refused("5/hour anchor", "period", "days, months or years");
}

TEST(bounds_are_refused_one_beyond, "The bound itself is taken, one more is not.")
{
    static const struct {
        const char *within;
        const char *beyond;
        const char *field;
    } cases[] = {
        {"8388606/minute", "8388607/minute", "amount"},
        {"2046/minute sliding", "2047/minute sliding", "amount"},
        {"510/second sliding", "511/second sliding", "amount"},
        {"8190/3599 seconds sliding", "8191/3599 seconds sliding", "amount"},
        {"1000000/second gcra", "1000001/second gcra", "amount"},
        {"1/minute gcra burst 60", "1/minute gcra burst 61", "burst"},
        {"1000000000000000/hour", "1000000000000001/hour", "amount"},
        {"1/10 years", "1/11 years", "period"},
        {"1/1 second", "1/0 seconds", "period"},
        {"1/120 months", "5/593066618 years", "period"}, /* 2^64 ms and 145 days */
        {"0/second sliding", "0/second gcra", "amount"},
        {"1/3600 days", "1/3601 days", "period"},
        {"1/311040000 seconds", "1/99999999999999999999 seconds", "period"},
        {"1/hour", "99999999999999999999999999/hour", "amount"},
        {"1/minute gcra burst 1", "1/minute gcra burst 99999999999999999999", "burst"},
        {"1/s"
         "econd;1/second;1/second;1/second;1/second;1/second;1/second;1/second",
         "1/second;1/second;1/second;1/second;1/second;1/second;1/second;1/second;1/second",
         "text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct limit_list list;
        parse(cases[i].within, &list);
        check_refused(cases[i].beyond, cases[i].field, "");
    }
    char text[LIMIT_TEXT_MAX + 1];
    struct limit_list list;
    struct jini_error error;
    memset(text, ' ', sizeof(text));
    memcpy(text, "5/minute", 8);
    CHECK_OK(limit_parse(slice_of(text, LIMIT_TEXT_MAX - 1), &list, &error));
    CHECK_STATUS(limit_parse(slice_of(text, LIMIT_TEXT_MAX), &list, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "text");
}

TEST(canonical_texts, "A text is written in one way, which reads back as the same list.")
{
    check_canonical("  5 PER 1 Minutes", "5/minute");
    check_canonical("60/minute,2000 per day", "60/minute; 2000/day");
    check_canonical("1/2 second gcra burst 1", "1/2 seconds gcra");
    check_canonical("1/second GCRA burst 7 SHADOW", "1/second gcra burst 7 shadow");
    check_canonical("5/day calendar UTC", "5/day calendar");
    check_canonical("5/day anchor Europe/Berlin shadow", "5/day anchor Europe/Berlin shadow");
    check_canonical("3/minute sliding|3/minutes sliding", "3/minute sliding; 3/minute sliding");
    char text[LIMIT_TEXT_MAX] = "";
    size_t length = 0;
    for (int i = 0; i < LIMITS_MAX; i++)
        length += (size_t)snprintf(
            text + length, sizeof(text) - length, "%s%s", i ? "; " : "",
            "1000000000000000/1 month anchor America/Argentina/ComodRivadavia shadow");
    struct limit_list list;
    parse(text, &list);
    uint8_t small[16];
    struct buffer out = buffer_of(small, sizeof(small));
    CHECK_STATUS(limit_format(&list, &out), JINI_E_TOO_BIG);
    uint8_t large[LIMIT_TEXT_MAX - 1];
    out = buffer_of(large, sizeof(large));
    CHECK_OK(limit_format(&list, &out));
}

TEST(what_a_refusal_says, "The text for people is amount, multiples and unit.")
{
    static const char *const cases[][2] = {
        {"5/minute", "5 per 1 minute"},
        {"30/day", "30 per 1 day"},
        {"60/minute sliding shadow", "60 per 1 minute"},
        {"1000000000000000/86400000 seconds", "1000000000000000 per 86400000 second"},
        {"3 per 2 hours", "3 per 2 hour"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct limit_list list;
        char human[LIMIT_HUMAN_MAX];
        parse(cases[i][0], &list);
        CHECK_UINT(limit_human(&list.limits[0], human), ==, strlen(cases[i][1]));
        CHECK_TEXT(human, cases[i][1]);
    }
}

TEST(limits_that_count_alike_are_numbered,
     "Limits of one text with the same algorithm and period get counters of their own.")
{
    struct limit_list list;
    parse(
        "5/minute;9/60 seconds;5/minute sliding;7/minute;5/day;6/day calendar;7/day;8/day calendar",
        &list);
    static const uint32_t expected[] = {0, 1, 0, 2, 0, 0, 1, 1};
    for (unsigned i = 0; i < list.count; i++)
        CHECK_UINT(list.limits[i].ordinal, ==, expected[i]);
    /* A real month is never 30 days, but always a twelfth of a year. */
    parse("5/month;5/30 days;5/month anchor;5/30 days anchor;5/24 months anchor;5/2 years anchor",
          &list);
    static const uint32_t spelled[] = {0, 1, 0, 0, 0, 1};
    for (unsigned i = 0; i < list.count; i++)
        CHECK_UINT(list.limits[i].ordinal, ==, spelled[i]);
}

TEST(periods_have_one_span,
     "However a period is spelled, it is the same number of its largest unit.")
{
    static const struct {
        const char *text;
        struct limit_span span;
    } cases[] = {
        {"5/60 seconds", {1, LIMIT_MINUTE}},       {"5/90 seconds sliding", {90, LIMIT_SECOND}},
        {"5/5400 seconds", {90, LIMIT_MINUTE}},    {"5/60 minutes", {1, LIMIT_HOUR}},
        {"5/36 hours", {36, LIMIT_HOUR}},          {"5/1440 minutes", {1, LIMIT_DAY}},
        {"5/86400 seconds", {1, LIMIT_DAY}},       {"5/30 days", {1, LIMIT_MONTH}},
        {"5/720 hours", {1, LIMIT_MONTH}},         {"5/31 days", {31, LIMIT_DAY}},
        {"5/360 days", {1, LIMIT_YEAR}},           {"5/120 months", {10, LIMIT_YEAR}},
        {"5/311040000 seconds", {10, LIMIT_YEAR}}, {"5/month calendar", {1, LIMIT_MONTH}},
        {"5/30 days anchor", {30, LIMIT_DAY}},     {"5/360 days anchor", {360, LIMIT_DAY}},
        {"5/12 months anchor", {1, LIMIT_YEAR}},   {"5/18 months anchor", {18, LIMIT_MONTH}},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct limit_list list;
        parse(cases[i].text, &list);
        struct limit_span span = limit_span(&list.limits[0]);
        CHECK_UINT(span.multiples, ==, cases[i].span.multiples);
        CHECK_UINT(span.unit, ==, cases[i].span.unit);
    }
}

TEST(limits_that_are_built_by_code, "limit_check() keeps structs to the rules of texts.")
{
    struct jini_error error;
    struct limit limit = {.amount = 5, .multiples = 2, .unit = LIMIT_MINUTE};
    CHECK_OK(limit_check(&limit, &error));
    CHECK_UINT(limit.period_ms, ==, 120000);
    limit.burst = 3;
    CHECK_STATUS(limit_check(&limit, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "burst");
    limit.algorithm = LIMIT_GCRA;
    limit.burst = 0;
    CHECK_OK(limit_check(&limit, &error));
    CHECK_UINT(limit.burst, ==, 1);
    limit = (struct limit){.amount = 5, .multiples = 1, .unit = (enum limit_unit)17};
    CHECK_STATUS(limit_check(&limit, &error), JINI_E_INVALID);
    limit =
        (struct limit){.amount = 5, .multiples = 1, .unit = LIMIT_DAY, .period = LIMIT_CALENDAR};
    memset(limit.zone, 'A', sizeof(limit.zone));
    CHECK_STATUS(limit_check(&limit, &error), JINI_E_INVALID);
    CHECK_TEXT(error.field, "zone");
    limit.zone[0] = '\0';
    CHECK_OK(limit_check(&limit, &error));
    CHECK_TEXT(limit.zone, "UTC");
}

/* A text of words that fit together often enough to reach every rule. */
static size_t random_text(char *text, size_t capacity)
{
    static const char *const words[] = {"5",        "60",        "/",
                                        " per ",    "2 ",        "minute",
                                        "second",   "hour",      "day",
                                        "month",    "year",      "s",
                                        " sliding", " gcra",     " burst",
                                        " 7",       " ",         " anchor",
                                        " shadow",  " calendar", ";",
                                        ",",        "|",         "\t",
                                        "0",        "8388607",   " Europe/Berlin",
                                        "\xff",     "5/minute",  "30/day",
                                        "PER",      " 1000000",  "x",
                                        "\n",       "Minutes"};
    size_t length = 0;
    unsigned parts = 1 + (unsigned)harness_random_below(12);
    for (unsigned i = 0; i < parts; i++) {
        const char *word = words[harness_random_below(sizeof(words) / sizeof(words[0]))];
        if (length + strlen(word) >= capacity)
            break;
        memcpy(text + length, word, strlen(word));
        length += strlen(word);
    }
    if (length && harness_random_below(8) == 0)
        text[harness_random_below(length)] = (char)harness_random_below(256);
    return length;
}

TEST(random_texts_read_back_or_are_explained,
     "What is taken reads back from its canonical text; what is refused names a field and a rule.")
{
    unsigned taken = 0;
    for (unsigned i = 0; i < 300000 * harness_scale(); i++) {
        char text[300];
        size_t length = random_text(text, sizeof(text));
        struct limit_list list;
        struct jini_error error;
        int status = limit_parse(slice_of(text, length), &list, &error);
        if (status) {
            CHECK_STATUS(status, JINI_E_INVALID);
            CHECK_INT(error.code, ==, status);
            CHECK(error.field[0] && error.message[0]);
            CHECK_UINT(list.count, ==, 0);
            continue;
        }
        taken++;
        uint8_t written[LIMIT_TEXT_MAX];
        struct buffer out = buffer_of(written, sizeof(written) - 1);
        CHECK_OK(limit_format(&list, &out));
        struct limit_list again;
        CHECK_OK(limit_parse(buffer_slice(&out), &again, &error));
        CHECK(memcmp(&again, &list, sizeof(list)) == 0);
    }
    CHECK_UINT(taken, >, 500);
}
