/* What verbs about money take from the command line. */
#ifndef JINI_CLI_PAY_ARGS_H
#define JINI_CLI_PAY_ARGS_H

#include "command.h"

/* The currency of --currency; EUR where it is not given. */
int pay_take_currency(struct command *command, struct jini_currency *out);

/* An amount; `name` is that of the option or argument. */
int pay_parse_amount(struct command *command, const char *name, const char *text,
                     const struct jini_currency *currency, uint64_t *out);

/* That of an option; 0 where it is not given. */
int pay_take_amount(struct command *command, const char *option,
                    const struct jini_currency *currency, uint64_t *out);

/* Copies the value of an option; "" where it is not given. */
int pay_take_text(struct command *command, const char *option, char *out, size_t capacity);

#endif
