/*
 * Reading the command line by the table of verbs. Global options may stand before the verb and
 * behind it; options and arguments of a verb in any order; "--" ends the options. Names are written
 * in full: what is cut is refused with the name that it begins.
 */
#ifndef JINI_CLI_ARGS_H
#define JINI_CLI_ARGS_H

#include "table.h"

#include <jini/error.h>
#include <stdbool.h>

enum { ARGS_GIVEN_MAX = 128 };

struct args {
    const struct verb *verb;        /* NULL: none was given */
    const struct verb_group *group; /* a group without its verb, with --help */
    char **positionals;             /* point into the command line */
    size_t positional_count;
    size_t given_count;
    struct {
        const struct option_row *row;
        const char *value; /* NULL of a flag */
    } given[ARGS_GIVEN_MAX];
};

/*
 * Parses and checks against the table; reorders `values`. JINI_E_INVALID: `error` names the verb,
 * option or argument, the rule, and the nearest name where there is one.
 */
int args_parse(int count, char **values, struct args *out, struct jini_error *error);

/* True when the option was given. `name` stands in the table. */
bool args_has(const struct args *args, const char *name);

/* The value of an option, the last one given; NULL: not given. */
const char *args_text(const struct args *args, const char *name);

/* The value of a VALUE_NUMBER, or `otherwise`. */
int64_t args_number(const struct args *args, const char *name, int64_t otherwise);

/* True when --json stands on a command line that may be wrong otherwise. */
bool args_wants_json(int count, char **values);

#endif
