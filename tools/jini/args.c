/* Parsing by getopt_long(3), with tables made from ours and messages of our own. */
#include "args.h"

#include "words.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 64, LONG_BASE = 1000, WORDS_MAX = 64 };

/* The options that may stand in one place, in getopt's form. */
struct parser {
    const char *verb; /* "" before it is known */
    size_t row_count;
    const struct option_row *rows[ROWS_MAX];
    struct option longs[ROWS_MAX + 1];
    char shorts[2 * ROWS_MAX + 4];
};

static int fail(struct jini_error *error, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct jini_error *error, const char *field, const char *format, ...)
{
    va_list arguments;
    memset(error, 0, sizeof(*error));
    error->code = JINI_E_INVALID;
    snprintf(error->field, sizeof(error->field), "%s", field);
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return error->code;
}

static void add_rows(struct parser *parser, const struct option_row *rows)
{
    char *end = parser->shorts + strlen(parser->shorts);
    for (; rows->name && parser->row_count < ROWS_MAX; rows++) {
        size_t index = parser->row_count++;
        int takes = rows->kind == VALUE_NONE ? no_argument : required_argument;
        parser->rows[index] = rows;
        parser->longs[index] = (struct option){rows->name, takes, NULL, LONG_BASE + (int)index};
        if (rows->letter) {
            *end++ = rows->letter;
            if (takes == required_argument)
                *end++ = ':';
        }
    }
    *end = '\0';
}

static void parser_init(struct parser *parser, const struct verb *verb)
{
    memset(parser, 0, sizeof(*parser));
    parser->verb = verb ? verb->name : "";
    /*
     * "+": stop at the first word, which is the verb; ":": tell a missing value from an unknown
     * option.
     */
    snprintf(parser->shorts, sizeof(parser->shorts), verb ? ":" : "+:");
    add_rows(parser, table_globals);
    if (verb)
        add_rows(parser, verb->options);
}

static const struct option_row *row_of_code(const struct parser *parser, int code)
{
    if (code >= LONG_BASE)
        return parser->rows[code - LONG_BASE];
    for (size_t i = 0; i < parser->row_count; i++) {
        if (parser->rows[i]->letter == code)
            return parser->rows[i];
    }
    return NULL;
}

static const char *see(const struct parser *parser, char *text, size_t capacity)
{
    snprintf(text, capacity, "\"jini %s%s--help\"", parser->verb, parser->verb[0] ? " " : "");
    return text;
}

static int unknown_option(const struct parser *parser, const char *word, struct jini_error *error)
{
    char help[64];
    char name[64];
    const char *names[ROWS_MAX];
    const char *begun = NULL;
    size_t starts = 0;
    while (word[0] == '-')
        word++;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    for (size_t i = 0; i < parser->row_count; i++) {
        names[i] = parser->rows[i]->name;
        if (strncmp(names[i], name, strlen(name)) != 0)
            continue;
        begun = names[i];
        starts++;
    }
    see(parser, help, sizeof(help));
    if (starts > 1)
        return fail(error, name, "--%s begins several options; see %s", name, help);
    const char *nearest = starts ? begun : words_nearest(name, names, parser->row_count);
    if (nearest)
        return fail(error, name, "there is no option --%s; did you mean --%s? See %s", name,
                    nearest, help);
    return fail(error, name, "there is no option --%s; see %s", name, help);
}

/* What getopt_long() refused. */
static int bad_option(const struct parser *parser, int code, char **values,
                      struct jini_error *error)
{
    char help[64];
    const struct option_row *row = row_of_code(parser, optopt);
    see(parser, help, sizeof(help));
    if (code == ':' && row)
        return fail(error, row->name, "--%s needs a value: %s; see %s", row->name, row->value,
                    help);
    if (optopt >= LONG_BASE && row)
        return fail(error, row->name, "--%s takes no value; see %s", row->name, help);
    if (optopt > 0 && optopt < LONG_BASE) {
        char letter[2] = {(char)optopt, '\0'};
        return fail(error, letter, "there is no option -%s; see %s", letter, help);
    }
    return unknown_option(parser, values[optind - 1], error);
}

/* ---- Values ---- */

static bool parse_integer(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return errno == 0 && end != text && *end == '\0';
}

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (;;) {
        size_t span = strcspn(choices, "|");
        if (length > 0 && span == length && memcmp(choices, value, span) == 0)
            return true;
        if (choices[span] == '\0')
            return false;
        choices += span + 1;
    }
}

static int check_value(const struct option_row *row, const char *value, struct jini_error *error)
{
    int64_t number;
    bool tier = row->kind == VALUE_NUMBER_OR_TIER;
    switch (row->kind) {
    case VALUE_NUMBER:
    case VALUE_NUMBER_OR_TIER:
        if (tier && strcmp(value, "tier") == 0)
            return 0;
        if (parse_integer(value, &number) && number >= row->least && number <= row->most)
            return 0;
        return fail(error, row->name, "--%s: \"%s\" is not a whole number from %lld to %lld%s",
                    row->name, value, (long long)row->least, (long long)row->most,
                    tier ? ", nor the word \"tier\"" : "");
    case VALUE_CHOICE:
        if (is_choice(row->choices, value))
            return 0;
        return fail(error, row->name, "--%s: \"%s\" is not one of %s", row->name, value,
                    row->choices);
    case VALUE_SETTING:
        if (strchr(value, '=') && value[0] != '=')
            return 0;
        return fail(error, row->name, "--%s: \"%s\" is not NAME=VALUE; see \"jini options\"",
                    row->name, value);
    case VALUE_FILE:
    case VALUE_DIRECTORY:
        return value[0] != '\0' ? 0 : fail(error, row->name, "--%s: a path is needed", row->name);
    default:
        return 0;
    }
}

static int take(const struct option_row *row, const char *value, struct args *out,
                struct jini_error *error)
{
    if (out->given_count == ARGS_GIVEN_MAX)
        return fail(error, row->name, "more than %d options are given", ARGS_GIVEN_MAX);
    if (value) {
        int status = check_value(row, value, error);
        if (status)
            return status;
    }
    out->given[out->given_count].row = row;
    out->given[out->given_count].value = value;
    out->given_count++;
    return 0;
}

/*
 * The long name that getopt_long() took for a longer one: "--price" of --price-minor, which would
 * be another amount. NULL: it was written in full, or is a letter.
 */
static const char *cut_name(const struct option_row *row, int code, char **values)
{
    bool apart = optarg && optarg == values[optind - 1];
    const char *word = values[optind - (apart ? 2 : 1)];
    if (code < LONG_BASE || strncmp(word, "--", 2) != 0)
        return NULL;
    return strcspn(word + 2, "=") == strlen(row->name) ? NULL : word;
}

/*
 * Reads options from values[1] on; values[0] is passed over. `*next`: the index of the first word
 * behind them.
 */
static int read_options(struct parser *parser, int count, char **values, struct args *out,
                        int *next, struct jini_error *error)
{
    int code;
    opterr = 0;
    optind = 0; /* begin anew: glibc's way to say it */
    while ((code = getopt_long(count, values, parser->shorts, parser->longs, NULL)) != -1) {
        const struct option_row *row =
            code == '?' || code == ':' ? NULL : row_of_code(parser, code);
        const char *cut = row ? cut_name(row, code, values) : NULL;
        int status = cut   ? unknown_option(parser, cut, error)
                     : row ? take(row, row->kind == VALUE_NONE ? NULL : optarg, out, error)
                           : bad_option(parser, code, values, error);
        if (status)
            return status;
    }
    *next = optind;
    return 0;
}

/* ---- The verb ---- */

static int unknown_verb(const char *group, const char *word, struct jini_error *error)
{
    const char *names[WORDS_MAX];
    size_t count = 0;
    for (const struct verb *verb = table_verbs; verb->name && count < WORDS_MAX; verb++) {
        if (group ? table_is_in_group(verb, group) : strchr(verb->name, ' ') == NULL)
            names[count++] = table_last_word(verb);
    }
    for (const struct verb_group *row = table_groups; !group && row->name && count < WORDS_MAX;
         row++)
        names[count++] = row->name;
    const char *nearest = words_nearest(word, names, count);
    const char *space = group ? " " : "";
    group = group ? group : "";
    if (nearest)
        return fail(
            error, "verb",
            "there is no verb \"%s%s%s\"; did you mean \"%s%s%s\"? \"jini help\" lists them all",
            group, space, word, group, space, nearest);
    return fail(error, "verb", "there is no verb \"%s%s%s\"; \"jini help\" lists them all", group,
                space, word);
}

/* Finds the verb, one word or two; `*at` is moved to its last word. */
static int find_verb(struct parser *parser, int count, char **values, int *at, struct args *out,
                     struct jini_error *error)
{
    const char *first = values[*at];
    const struct verb_group *group = table_find_group(first);
    if (!group) {
        out->verb = table_find(first, NULL);
        return out->verb ? 0 : unknown_verb(NULL, first, error);
    }
    int next;
    int status = read_options(parser, count - *at, values + *at, out, &next, error);
    if (status)
        return status;
    if (*at + next >= count) {
        out->group = group;
        return args_has(out, "help")
                   ? 0
                   : fail(error, "verb", "\"%s\" needs a verb; \"jini help %s\" lists them", first,
                          first);
    }
    *at += next;
    out->verb = table_find(first, values[*at]);
    return out->verb ? 0 : unknown_verb(first, values[*at], error);
}

static int check_positionals(const struct args *args, struct jini_error *error)
{
    size_t given = args->positional_count;
    const char *verb = args->verb->name;
    for (const struct argument_row *row = args->verb->arguments; row->name; row++) {
        bool needed = row->count == ARGUMENT_ONE || row->count == ARGUMENT_MANY;
        bool many = row->count == ARGUMENT_MANY || row->count == ARGUMENT_ANY;
        if (given == 0 && needed)
            return fail(error, row->name, "%s is missing: %s; see \"jini %s --help\"", row->name,
                        row->text, verb);
        given = many || given == 0 ? 0 : given - 1;
    }
    if (given == 0)
        return 0;
    const char *extra = args->positionals[args->positional_count - given];
    return fail(error, "arguments", "\"%s\" is one argument too many; see \"jini %s --help\"",
                extra, verb);
}

int args_parse(int count, char **values, struct args *out, struct jini_error *error)
{
    struct parser parser;
    int at = 0;
    memset(out, 0, sizeof(*out));
    parser_init(&parser, NULL);
    int status = read_options(&parser, count, values, out, &at, error);
    if (status || at >= count)
        return status;
    status = find_verb(&parser, count, values, &at, out, error);
    if (status || !out->verb)
        return status;
    parser_init(&parser, out->verb);
    int next;
    status = read_options(&parser, count - at, values + at, out, &next, error);
    if (status)
        return status;
    out->positionals = values + at + next;
    out->positional_count = (size_t)(count - at - next);
    return args_has(out, "help") ? 0 : check_positionals(out, error);
}

/* ---- What was given ---- */

bool args_has(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].row->name, name) == 0)
            return true;
    }
    return false;
}

const char *args_text(const struct args *args, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].row->name, name) == 0)
            value = args->given[i].value;
    }
    return value;
}

int64_t args_number(const struct args *args, const char *name, int64_t otherwise)
{
    int64_t number = otherwise;
    const char *text = args_text(args, name);
    if (text && !parse_integer(text, &number))
        return otherwise;
    return number;
}

bool args_wants_json(int count, char **values)
{
    for (int i = 1; i < count && strcmp(values[i], "--") != 0; i++) {
        if (strcmp(values[i], "--json") == 0)
            return true;
    }
    return false;
}
