/*
 * Reading limit texts. The grammar stands in text.h, the rules that a limit keeps in text_rules.c.
 */
#include "limits/text.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* `rest` is what is left of the text; `index` counts the limits from 1 for messages. */
struct parser {
    int (*check)(struct limit *limit, struct jini_error *error);
    struct slice rest;
    unsigned index;
    struct jini_error *error;
};

enum { WORD_SHOWN_MAX = 40 };

__attribute__((format(printf, 3, 4))) static int fail(const struct parser *parser,
                                                      const char *field, const char *format, ...)
{
    char message[JINI_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    return error_set(parser->error, JINI_E_INVALID, field, "Limit %u of the text: %s",
                     parser->index, message);
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_separator(uint8_t byte)
{
    return byte == ',' || byte == ';' || byte == '|';
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static void advance(struct parser *parser, size_t length)
{
    JINI_ASSERT(length <= parser->rest.length);
    parser->rest.data += length;
    parser->rest.length -= length;
}

static uint8_t peek(const struct parser *parser)
{
    return parser->rest.length ? parser->rest.data[0] : 0;
}

static void skip_spaces(struct parser *parser)
{
    while (parser->rest.length && is_space(peek(parser)))
        advance(parser, 1);
}

/* Takes `keyword`, which is lower case, if the rest begins with it in any case. */
static bool take(struct parser *parser, const char *keyword)
{
    size_t length = strlen(keyword);
    if (parser->rest.length < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (lower(parser->rest.data[i]) != (uint8_t)keyword[i])
            return false;
    }
    advance(parser, length);
    return true;
}

/* The next word: bytes up to a space, a separator or the end. */
static struct slice word_ahead(const struct parser *parser)
{
    size_t length = 0;
    while (length < parser->rest.length && !is_space(parser->rest.data[length]) &&
           !is_separator(parser->rest.data[length]))
        length++;
    return slice_of(parser->rest.data, length);
}

static int shown(struct slice word)
{
    return (int)(word.length < WORD_SHOWN_MAX ? word.length : WORD_SHOWN_MAX);
}

static bool word_is(struct slice word, const char *keyword)
{
    struct parser parser = {.rest = word};
    return strlen(keyword) == word.length && take(&parser, keyword);
}

static bool take_word(struct parser *parser, const char *keyword)
{
    struct slice word = word_ahead(parser);
    if (!word_is(word, keyword))
        return false;
    advance(parser, word.length);
    skip_spaces(parser);
    return true;
}

/* Takes decimal digits. `*digits` tells how many; a value above `max` becomes max + 1. */
static uint64_t take_number(struct parser *parser, uint64_t max, size_t *digits)
{
    uint64_t value = 0;
    for (*digits = 0; parser->rest.length && is_digit(peek(parser)); ++*digits) {
        value = value * 10 + (uint64_t)(peek(parser) - '0');
        if (value > max)
            value = max + 1;
        advance(parser, 1);
    }
    return value;
}

/* "5 / 2 minutes", as the Python library takes it. */
static int parse_rate(struct parser *parser, struct limit *limit)
{
    size_t digits;
    skip_spaces(parser);
    struct slice typed = word_ahead(parser);
    limit->amount = take_number(parser, LIMIT_QUOTA_AMOUNT_MAX, &digits);
    typed.length = digits;
    if (digits == 0) {
        struct slice word = word_ahead(parser);
        return fail(parser, "amount",
                    "it begins with a whole number, as in 5/minute, not with \"%.*s\".",
                    shown(word), word.length ? (const char *)word.data : "");
    }
    if (limit->amount > LIMIT_QUOTA_AMOUNT_MAX)
        return fail(parser, "amount", "%.*s%s is more than the %llu that any limit counts.",
                    shown(typed), (const char *)typed.data,
                    typed.length > WORD_SHOWN_MAX ? "..." : "",
                    (unsigned long long)LIMIT_QUOTA_AMOUNT_MAX);
    skip_spaces(parser);
    if (!take(parser, "/") && !take(parser, "per"))
        return fail(parser, "period",
                    "\"/\" or \"per\" and a unit of time follow the amount, as in 5/minute.");
    skip_spaces(parser);
    uint64_t multiples = take_number(parser, UINT32_MAX - UINT64_C(1), &digits);
    limit->multiples = digits ? (uint32_t)multiples : 1;
    skip_spaces(parser);
    for (int unit = LIMIT_SECOND; unit <= LIMIT_YEAR; unit++) {
        if (take(parser, limit_unit_name((enum limit_unit)unit))) {
            limit->unit = (enum limit_unit)unit;
            take(parser, "s");
            struct slice tail = word_ahead(parser);
            if (tail.length)
                return fail(parser, "period", "\"%.*s\" follows the unit of time without a space.",
                            shown(tail), (const char *)tail.data);
            skip_spaces(parser);
            return 0;
        }
    }
    struct slice word = word_ahead(parser);
    return fail(parser, "period",
                "\"%.*s\" is no unit of time; there are second, minute, hour, day, month and year.",
                shown(word), word.length ? (const char *)word.data : "");
}

static int parse_burst(struct parser *parser, struct limit *limit)
{
    size_t digits;
    if (!take_word(parser, "burst")) {
        limit->burst = 1;
        return 0;
    }
    limit->burst = (uint32_t)take_number(parser, UINT32_MAX - UINT64_C(1), &digits);
    struct slice tail = word_ahead(parser);
    if (digits == 0 || limit->burst == 0 || tail.length)
        return fail(parser, "burst",
                    "a whole number of 1 or more follows \"burst\", as in gcra burst 20.");
    skip_spaces(parser);
    return 0;
}

static int parse_zone(struct parser *parser, struct limit *limit)
{
    struct slice word = word_ahead(parser);
    if (word.length == 0 || word_is(word, "shadow"))
        return 0;
    if (word.length >= LIMIT_ZONE_MAX || memchr(word.data, 0, word.length))
        return fail(parser, "zone", "\"%.*s\" is no name of a time zone, such as Europe/Berlin.",
                    shown(word), (const char *)word.data);
    memcpy(limit->zone, word.data, word.length);
    advance(parser, word.length);
    skip_spaces(parser);
    return 0;
}

static int parse_algorithm(struct parser *parser, struct limit *limit)
{
    if (take_word(parser, "sliding")) {
        limit->algorithm = LIMIT_SLIDING_WINDOW;
        return 0;
    }
    if (take_word(parser, "gcra")) {
        limit->algorithm = LIMIT_GCRA;
        return parse_burst(parser, limit);
    }
    if (take_word(parser, "calendar"))
        limit->period = LIMIT_CALENDAR;
    else if (take_word(parser, "anchor"))
        limit->period = LIMIT_ANCHOR;
    else
        return 0;
    return parse_zone(parser, limit);
}

static int parse_limit(struct parser *parser, struct limit *limit)
{
    int status = parse_rate(parser, limit);
    if (!status)
        status = parse_algorithm(parser, limit);
    if (status)
        return status;
    limit->shadow = take_word(parser, "shadow");
    struct slice word = word_ahead(parser);
    if (word.length)
        return fail(
            parser, "algorithm",
            "\"%.*s\" is not understood here; after the period come sliding, gcra [burst B], "
            "calendar [ZONE] or anchor [ZONE], and shadow at the end.",
            shown(word), (const char *)word.data);
    struct jini_error rule;
    status = parser->check(limit, &rule);
    return status ? fail(parser, rule.field, "%s", rule.message) : 0;
}

static bool same_counter(const struct limit *a, const struct limit *b)
{
    struct limit_span span_a = limit_span(a);
    struct limit_span span_b = limit_span(b);
    return a->algorithm == b->algorithm && a->period == b->period && span_a.unit == span_b.unit &&
           span_a.multiples == span_b.multiples && strcmp(a->zone, b->zone) == 0;
}

static void number_alike(struct limit_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t before = 0; before < i; before++)
            list->limits[i].ordinal += same_counter(&list->limits[i], &list->limits[before]);
    }
}

static int parse_text(struct parser parser, struct limit_list *out)
{
    struct limit_list list;
    struct slice text = parser.rest;
    struct jini_error *error = parser.error;
    memset(&list, 0, sizeof(list));
    memset(out, 0, sizeof(*out));
    error_clear(error);
    if (text.length >= LIMIT_TEXT_MAX)
        return error_set(error, JINI_E_INVALID, "text",
                         "A limit text has at most %d bytes; this one has %zu.", LIMIT_TEXT_MAX - 1,
                         text.length);
    for (;;) {
        if (list.count == LIMITS_MAX)
            return error_set(error, JINI_E_INVALID, "text",
                             "A text has at most %d limits; this one has more.", LIMITS_MAX);
        int status = parse_limit(&parser, &list.limits[list.count]);
        if (status)
            return status;
        list.count++;
        if (parser.rest.length == 0)
            break;
        advance(&parser, 1);
        parser.index++;
    }
    number_alike(&list);
    *out = list;
    return 0;
}

int limit_parse(struct slice text, struct limit_list *out, struct jini_error *error)
{
    return parse_text(
        (struct parser){.check = limit_check, .rest = text, .index = 1, .error = error}, out);
}

int limit_parse_pure(struct slice text, struct limit_list *out, struct jini_error *error)
{
    return parse_text(
        (struct parser){.check = limit_check_pure, .rest = text, .index = 1, .error = error}, out);
}
