/*
 * What `jini help` says, all of it from the table of verbs: texts, JSON, the manual page, the
 * completion script.
 */
#ifndef JINI_CLI_HELP_H
#define JINI_CLI_HELP_H

#include "table.h"

#include <stdio.h>

/* A subject that is no verb: "limits". */
struct help_row {
    const char *term; /* NULL ends a list */
    const char *text;
};
struct help_topic {
    const char *name; /* NULL ends the list */
    const char *summary;
    const char *text;
    const struct help_row *rows;
};
extern const struct help_topic help_topics[];
const struct help_topic *help_find_topic(const char *name); /* NULL: there is none */

void help_all(void);
void help_group(const struct verb_group *group);
void help_verb(const struct verb *verb);

/* man.c: jini(1) in man(7) macros. completion.c: a script for bash. Both are printed as results. */
void help_man(void);
void help_completion(void);

/* "-o, --output FILE", or "--deep". */
void help_option_name(const struct option_row *row, char *out, size_t capacity);

/* "USER FILE|DIR...". Empty for a verb without arguments. */
void help_arguments_text(const struct verb *verb, char *out, size_t capacity);

/* True for a verb that is in no group. */
int help_is_alone(const struct verb *verb);

#endif
