/* Ids and times of the ledger on the command line. */
#ifndef JINI_CLI_LEDGER_ARGS_H
#define JINI_CLI_LEDGER_ARGS_H

#include "command.h"

/* A UUID, or a decimal number: other programs count their accounts. */
int ledger_parse_id(struct command *command, const char *what, const char *text,
                    struct jini_id *out);

/* The id of an option; all zero where it is not given. */
int ledger_take_id(struct command *command, const char *option, struct jini_id *out);

/* The id of the first argument, or a new one. */
int ledger_take_own_id(struct command *command, struct jini_id *out);

/*
 * Nanoseconds since 1970, or a time of ISO 8601 in UTC, which is taken to its second; 0 where it is
 * not given.
 */
int ledger_take_time(struct command *command, const char *option, uint64_t *out);

#endif
