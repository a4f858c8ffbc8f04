/* The manual page jini(1), in the macros of man(7). */
#include "command.h"
#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Text as roff: escapes for backslashes and hyphens, and a guard for lines that would begin a
 * request.
 */
static char *roff(const char *text)
{
    char *out = malloc(strlen(text) * 5 + 3);
    char *to = out;
    bool line_begins = true;
    for (; out && *text; text++) {
        if (line_begins && (*text == '.' || *text == '\'')) {
            memcpy(to, "\\&", 2);
            to += 2;
        }
        line_begins = *text == '\n';
        if (*text == '\\') {
            memcpy(to, "\\(rs", 4);
            to += 4;
        } else if (*text == '-') {
            memcpy(to, "\\-", 2);
            to += 2;
        } else if (*text == '\'') {
            memcpy(to, "\\(aq", 4);
            to += 4;
        } else if (*text == '~') {
            memcpy(to, "\\(ti", 4);
            to += 4;
        } else if (*text == '^') {
            memcpy(to, "\\(ha", 4);
            to += 4;
        } else {
            *to++ = *text;
        }
    }
    if (out)
        *to = '\0';
    return out;
}

/* A line "MACRO text", or the text alone where there is no macro. */
static void put_line(const char *macro, const char *text)
{
    char *escaped = roff(text);
    if (escaped && macro)
        output_line("%s %s", macro, escaped);
    else if (escaped)
        output_line("%s", escaped);
    free(escaped);
}

/* Paragraphs, which an empty line parts. */
static void put_text(const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        char *part = strndup(text, length);
        if (part)
            put_line(NULL, part);
        free(part);
        text += length;
        if (*text) {
            output_line(".PP");
            text += 2;
        }
    }
}

static void put_item(const char *name, const char *text)
{
    output_line(".TP");
    put_line(".B", name);
    put_text(text);
}

static void put_options(const struct option_row *rows)
{
    for (; rows->name; rows++) {
        char name[160];
        help_option_name(rows, name, sizeof(name));
        put_item(name, rows->text);
    }
}

static void put_examples(const struct example_row *rows)
{
    output_line(".PP");
    output_line("Examples:");
    for (; rows->command; rows++) {
        output_line(".PP");
        output_line(".in +4n");
        output_line(".EX");
        put_line(NULL, rows->command);
        output_line(".EE");
        output_line(".in");
        output_line(".RS 8");
        put_text(rows->text);
        output_line(".RE");
    }
}

static void put_verb(const struct verb *verb)
{
    char heading[320];
    char arguments[200];
    help_arguments_text(verb, arguments, sizeof(arguments));
    snprintf(heading, sizeof(heading), "jini %s%s%s%s", verb->name,
             verb->options->name ? " [OPTION]..." : "", arguments[0] != '\0' ? " " : "", arguments);
    put_line(".SS", heading);
    put_text(verb->text);
    for (const struct argument_row *row = verb->arguments; row->name; row++)
        put_item(row->name, row->text);
    put_options(verb->options);
    put_examples(verb->examples);
}

static void put_topic(const struct help_topic *topic)
{
    char heading[80];
    snprintf(heading, sizeof(heading), "Topic %s: %s", topic->name, topic->summary);
    put_line(".SH", heading);
    put_text(topic->text);
    for (const struct help_row *row = topic->rows; row->term; row++)
        put_item(row->term, row->text);
}

static void put_database_options(void)
{
    output_line(".SH OPTIONS OF THE ENGINE");
    put_text(
        "Read from DIR/jini.conf (lines \"name = value\"), from the environment (store.sync is "
        "JINI_STORE_SYNC) and from --set NAME=VALUE, each above the one before.");
    for (size_t i = 0; jini_options_info(i); i++) {
        const struct jini_option_info *info = jini_options_info(i);
        char name[200];
        snprintf(name, sizeof(name), "%s%s%s", info->name, info->choices ? " = " : "",
                 info->choices ? info->choices : "");
        put_item(name, info->text);
    }
}

static void put_exit_statuses(void)
{
    static const struct {
        int code;
        const char *text;
    } rows[] = {
#define ROW(name, value, exit_code, http, retry, text) {exit_code, text},
        JINI_STATUS_MAP(ROW)
#undef ROW
    };
    output_line(".SH EXIT STATUS");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char code[16];
        snprintf(code, sizeof(code), "%d", rows[i].code);
        put_item(code, rows[i].text);
        if (rows[i].code == 0)
            put_item("1", "verify, pack verify or pack list found problems");
    }
    put_item("129, 130, 143", "ended by SIGHUP, SIGINT or SIGTERM, with everything consistent");
    put_item("141", "the reader of standard output went away");
}

static void put_description(void)
{
    output_line(".SH DESCRIPTION");
    put_text(
        "Keeps users, tiers, limits, jobs and images of a service that sells generated images in "
        "one embedded database. Every verb is safe beside other processes that have the database "
        "open.\n\n"
        "Results go to standard output; errors, notes and progress go to standard error. With "
        "--json a result is one JSON object, or one object a line for lists and events, and an "
        "error is one object {\"error\": {\"code\", \"exit_status\", \"name\", \"field\", "
        "\"message\", \"retry_after_ms\"}} on standard error: code is the negative number of the "
        "status in the library, exit_status that of EXIT STATUS, retry_after_ms null for never and "
        "0 for a time that is not known. Times are ISO 8601 in UTC.\n\n"
        "The first SIGINT, SIGTERM or SIGHUP cancels what waits, finishes what runs and closes the "
        "database; a second one ends the process at once, which loses nothing that was "
        "acknowledged. After the first one, results that wait in front of a full pipe are written "
        "when its reader goes on within three seconds. What \"put\" has stored and standard output "
        "did not take stands on standard error, with --json as {\"unprinted\": {\"id\", "
        "\"file\"}}.");
}

void help_man(void)
{
    output_line(".TH JINI 1 \"\" \"jini %s\" \"User Commands\"", jini_version());
    output_line(".SH NAME");
    output_line("jini \\- users, limits and images of a service that sells generated images");
    output_line(".SH SYNOPSIS");
    output_line(".B jini");
    output_line("[GLOBAL OPTION]... VERB [OPTION]... [ARGUMENT]...");
    put_description();
    output_line(".SH GLOBAL OPTIONS");
    put_options(table_globals);
    output_line(".SH VERBS");
    for (const struct verb *verb = table_verbs; verb->name; verb++)
        put_verb(verb);
    for (const struct help_topic *topic = help_topics; topic->name; topic++)
        put_topic(topic);
    put_database_options();
    put_exit_statuses();
    output_line(".SH ENVIRONMENT");
    put_item("JINI_DB", "the database directory where --db is not given");
    put_item("JINI_PROGRESS_MS",
             "how often a line tells how far a long verb is, where standard error is no terminal; "
             "5000 by default");
    put_item("NO_COLOR", "not empty: no colours on a terminal");
    output_line(".SH FILES");
    put_item("DIR/jini.conf", "options of the database in DIR");
    put_item("DIR/data.mdb", "users, tiers, jobs, limits and the index of images");
}
