/*
 * Why a database could not be opened, in terms of the file, the disk or the owner that stands in
 * the way.
 */
#ifndef JINI_CLI_DIAGNOSE_H
#define JINI_CLI_DIAGNOSE_H

#include "command.h"

/*
 * Makes the error of an open that failed with `status` name the real file and cause. Returns the
 * status.
 */
int diagnose_open(struct command *command, int status);

#endif
