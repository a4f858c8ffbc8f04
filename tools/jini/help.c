/* Help as text of 80 columns, and as JSON. */
#include "help.h"

#include "command.h"

#include <string.h>

enum { COLUMNS = 80, OPTION_COLUMN = 28, VERB_COLUMN = 18, LINE_BYTES = 256 };

void help_option_name(const struct option_row *row, char *out, size_t capacity)
{
    const char *space = row->kind == VALUE_NONE ? "" : " ";
    const char *value = row->kind == VALUE_NONE ? "" : row->value;
    if (row->letter)
        snprintf(out, capacity, "-%c, --%s%s%s", row->letter, row->name, space, value);
    else
        snprintf(out, capacity, "--%s%s%s", row->name, space, value);
}

void help_arguments_text(const struct verb *verb, char *out, size_t capacity)
{
    size_t length = 0;
    out[0] = '\0';
    for (const struct argument_row *row = verb->arguments; row->name && length < capacity; row++) {
        const char *open = row->count == ARGUMENT_OPTIONAL || row->count == ARGUMENT_ANY ? "[" : "";
        const char *dots = row->count == ARGUMENT_MANY || row->count == ARGUMENT_ANY ? "..." : "";
        int written = snprintf(out + length, capacity - length, "%s%s%s%s%s", length ? " " : "",
                               open, row->name, dots, open[0] != '\0' ? "]" : "");
        length += written > 0 ? (size_t)written : 0;
    }
}

int help_is_alone(const struct verb *verb)
{
    return strchr(verb->name, ' ') == NULL;
}

/* ---- Text ---- */

/*
 * Prints `lead` and then `text`, broken between words, from column `indent` on. An empty line parts
 * paragraphs.
 */
static void wrap(const char *lead, size_t indent, const char *text)
{
    char line[LINE_BYTES];
    size_t length = strlen(lead);
    if (length + 2 > indent && length > 0) {
        output_line("%s", lead);
        lead = "";
        length = 0;
    }
    snprintf(line, sizeof(line), "%s%*s", lead, (int)(indent - length), "");
    length = indent;
    while (*text) {
        size_t word = strcspn(text, " \n");
        bool fresh = length == indent;
        if (!fresh && length + 1 + word > COLUMNS) {
            output_line("%s", line);
            snprintf(line, sizeof(line), "%*s", (int)indent, "");
            length = indent;
            fresh = true;
        }
        snprintf(line + length, sizeof(line) - length, "%s%.*s", fresh ? "" : " ", (int)word, text);
        length = strlen(line);
        text += word;
        if (strncmp(text, "\n\n", 2) == 0) {
            output_line("%s", line);
            output_line("%s", "");
            snprintf(line, sizeof(line), "%*s", (int)indent, "");
            length = indent;
        }
        text += strspn(text, " \n");
    }
    output_line("%s", line);
}

static void print_options(const char *heading, const struct option_row *rows)
{
    if (!rows->name)
        return;
    output_line("%s", "");
    output_heading("%s", heading);
    for (; rows->name; rows++) {
        char name[LINE_BYTES];
        char lead[LINE_BYTES];
        help_option_name(rows, name, sizeof(name));
        snprintf(lead, sizeof(lead), "  %s%.200s", rows->letter ? "" : "    ", name);
        wrap(lead, OPTION_COLUMN, rows->text);
    }
}

static void print_arguments(const struct verb *verb)
{
    if (!verb->arguments->name)
        return;
    output_line("%s", "");
    output_heading("Arguments");
    for (const struct argument_row *row = verb->arguments; row->name; row++) {
        char lead[LINE_BYTES];
        snprintf(lead, sizeof(lead), "  %s", row->name);
        wrap(lead, OPTION_COLUMN, row->text);
    }
}

static void print_examples(const struct example_row *rows)
{
    output_line("%s", "");
    output_heading("Examples");
    for (; rows->command; rows++) {
        output_line("  %s", rows->command);
        wrap("", 6, rows->text);
    }
}

/* ---- JSON ---- */

static json_t *options_as_json(const struct option_row *rows)
{
    json_t *list = json_array();
    for (; rows->name; rows++) {
        char letter[2] = {rows->letter, '\0'};
        json_t *row =
            json_pack("{s:s, s:s?, s:s?, s:s}", "name", rows->name, "letter",
                      rows->letter ? letter : NULL, "value", rows->value, "text", rows->text);
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *verb_as_json(const struct verb *verb)
{
    json_t *arguments = json_array();
    json_t *examples = json_array();
    for (const struct argument_row *row = verb->arguments; row->name; row++)
        json_array_append_new(
            arguments,
            json_pack("{s:s, s:s, s:b, s:b}", "name", row->name, "text", row->text, "optional",
                      row->count == ARGUMENT_OPTIONAL || row->count == ARGUMENT_ANY, "many",
                      row->count == ARGUMENT_MANY || row->count == ARGUMENT_ANY));
    for (const struct example_row *row = verb->examples; row->command; row++)
        json_array_append_new(examples,
                              json_pack("{s:s, s:s}", "command", row->command, "text", row->text));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "verb", verb->name, "summary", verb->summary,
                     "text", verb->text, "arguments", arguments, "options",
                     options_as_json(verb->options), "examples", examples);
}

static void print_json_list(const char *group)
{
    json_t *verbs = json_array();
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (!group || table_is_in_group(verb, group))
            json_array_append_new(verbs, verb_as_json(verb));
    }
    output_json(json_pack("{s:s, s:o, s:o}", "version", jini_version(), "global_options",
                          options_as_json(table_globals), "verbs", verbs));
}

/* ---- What is asked for ---- */

void help_verb(const struct verb *verb)
{
    char arguments[LINE_BYTES];
    if (output_is_json()) {
        output_json(verb_as_json(verb));
        return;
    }
    help_arguments_text(verb, arguments, sizeof(arguments));
    output_line("Usage: jini %s%s%s%s", verb->name, verb->options->name ? " [OPTION]..." : "",
                arguments[0] != '\0' ? " " : "", arguments);
    output_line("%s", "");
    wrap("", 0, verb->text);
    print_arguments(verb);
    print_options("Options", verb->options);
    print_options("Global options", table_globals);
    print_examples(verb->examples);
}

static void print_verb_line(const struct verb *verb)
{
    char lead[LINE_BYTES];
    snprintf(lead, sizeof(lead), "  %s", verb->name);
    wrap(lead, VERB_COLUMN + 2, verb->summary);
}

void help_group(const struct verb_group *group)
{
    if (output_is_json()) {
        print_json_list(group->name);
        return;
    }
    output_line("Usage: jini %s VERB [OPTION]... [ARGUMENT]...", group->name);
    output_line("%s", "");
    wrap("", 0, group->summary);
    output_line("%s", "");
    output_heading("Verbs");
    for (const struct verb *verb = table_verbs; verb->name; verb++) {
        if (table_is_in_group(verb, group->name))
            print_verb_line(verb);
    }
    output_line("%s", "");
    output_line("\"jini %s VERB --help\" explains a verb.", group->name);
}

void help_all(void)
{
    if (output_is_json()) {
        print_json_list(NULL);
        return;
    }
    output_line("Usage: jini [GLOBAL OPTION]... VERB [OPTION]... [ARGUMENT]...");
    output_line("%s", "");
    wrap("", 0,
         "Keeps users, tiers, limits, jobs and images of a service that sells generated images, in "
         "one embedded database.");
    output_line("%s", "");
    output_heading("Verbs");
    for (const struct verb *verb = table_verbs; verb->name; verb++)
        print_verb_line(verb);
    print_options("Global options", table_globals);
    output_line("%s", "");
    output_heading("Examples");
    output_line("  jini init");
    output_line("  jini user add alice --tier Premium");
    output_line("  jini put alice renders/");
    output_line("  jini archive run --now --free-hot");
    output_line("  jini verify");
    output_line("%s", "");
    output_line("\"jini VERB --help\" explains a verb, with examples; \"jini help limits\" the");
    output_line("notation of rate limits and quotas.");
}

/* ---- jini help ---- */

static void print_topic(const struct help_topic *topic)
{
    json_t *rows = json_array();
    for (const struct help_row *row = topic->rows; row->term; row++)
        json_array_append_new(rows, json_pack("{s:s, s:s}", "term", row->term, "text", row->text));
    output_json(json_pack("{s:s, s:s, s:s, s:o}", "topic", topic->name, "summary", topic->summary,
                          "text", topic->text, "rows", rows));
    if (output_is_json())
        return;
    wrap("", 0, topic->text);
    output_line("%s", "");
    for (const struct help_row *row = topic->rows; row->term; row++) {
        char lead[LINE_BYTES];
        snprintf(lead, sizeof(lead), "  %s", row->term);
        wrap(lead, VERB_COLUMN + 4, row->text);
    }
}

static int help_words(struct command *command)
{
    const char *first = command_argument(command, 0);
    const char *second = command_argument(command, 1);
    const struct verb *verb = table_find(first, second);
    const struct verb_group *group = second ? NULL : table_find_group(first);
    const struct help_topic *topic = second ? NULL : help_find_topic(first);
    if (topic) {
        print_topic(topic);
        return 0;
    }
    if (!verb && !group) {
        /* The parser knows how to say which name is near. */
        char *values[] = {(char *)(uintptr_t) "jini", (char *)(uintptr_t)first,
                          (char *)(uintptr_t)second, NULL};
        struct args ignored;
        int status = args_parse(second ? 3 : 2, values, &ignored, &command->error);
        return status ? status
                      : command_fail(command, JINI_E_INVALID, "VERB",
                                     "there is no verb \"%s %s\"; \"jini help\" lists them all",
                                     first, second ? second : "");
    }
    if (verb)
        help_verb(verb);
    else
        help_group(group);
    return 0;
}

int verb_help(struct command *command)
{
    if (args_has(&command->args, "man"))
        help_man();
    else if (args_has(&command->args, "completion"))
        help_completion();
    else if (command_argument(command, 0))
        return help_words(command);
    else
        help_all();
    return 0;
}
