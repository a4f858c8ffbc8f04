/* A running command: what it was given, the database that it opened, and how it ended. */
#ifndef JINI_CLI_COMMAND_H
#define JINI_CLI_COMMAND_H

#include "args.h"
#include "output.h"
#include "wait.h"

#include <jini/jini.h>

struct command {
    struct args args;
    const char *directory;
    struct jini_options options; /* once command_load_options() was called */
    struct jini *jini;           /* NULL: not open */
    struct jini_error error;     /* of what failed */
    bool stuck;    /* another process holds the write lock: closing would wait for it */
    int exit_code; /* of a verb that has one of its own; 0: from the status */
};

/*
 * Fills in command->options: defaults, DIR/jini.conf, environment, --set, each above the one
 * before. A command leaves background work to services unless background.run is set somewhere.
 */
int command_load_options(struct command *command);

/*
 * Errors of the engine name members of its structs, and its functions; people know options:
 * "allowance.limits" becomes "--limits" where that was given.
 */
void command_name_options(struct command *command);

/* How far an option's value came; the sources of command_option_source(). */
const char *command_option_source(struct command *command, const char *name);

/* Opens the database. JINI_E_NOT_FOUND: `error` says how to make one. */
int command_open(struct command *command);

/* The same, and makes it when there is none. */
int command_create(struct command *command);

/* Fills in command->error and returns `status`. */
int command_fail(struct command *command, int status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Waits for a request as wait_for() does; what failed stands in command->error. */
int command_wait(struct command *command, struct jini_request *request, int submitted);

/* The argument at `index`; NULL: not given. */
const char *command_argument(const struct command *command, size_t index);

/*
 * Finds the user whom a text means: id:N by id, name:NAME by name or email address, digits by
 * either, and other texts as a name. JINI_E_INVALID: digits that are one user's id and another's
 * name.
 */
int command_find_user(struct command *command, const char *text, struct jini_user *out);

/* Reads an id. */
int command_parse_id(struct command *command, const char *text, struct jini_id *out);

/* True when the command should end early: a signal came, or nobody reads the output. */
bool command_is_over(void);

#endif
