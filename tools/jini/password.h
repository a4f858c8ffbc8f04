/* Passwords come from a terminal without echo, or from standard input; never from an argument. */
#ifndef JINI_CLI_PASSWORD_H
#define JINI_CLI_PASSWORD_H

#include "command.h"

/* How a password is asked for. */
enum password_source {
    PASSWORD_NONE,
    PASSWORD_TERMINAL, /* asked twice */
    PASSWORD_STDIN     /* its first line */
};

/*
 * Reads a password into `out`, JINI_PASSWORD_MAX bytes with NUL; to be wiped by password_wipe().
 * Call it before the database is opened: people take their time. JINI_E_INVALID: none, too long,
 * the two differ, or no terminal.
 */
int password_read(struct command *command, enum password_source source, char *out);

void password_wipe(char *password);

#endif
