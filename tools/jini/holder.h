/* Who holds the write lock: what explains why others wait. */
#ifndef JINI_CLI_HOLDER_H
#define JINI_CLI_HOLDER_H

#include "command.h"

/* True for a process that a signal or a debugger has stopped. */
bool holder_is_stopped(int32_t pid);

/*
 * Adds to the error of a request that timed out who holds the write lock, and for how long. True
 * when another process does: closing the database, which seals what was written, would wait for it
 * too.
 */
bool holder_explain(struct command *command);

#endif
