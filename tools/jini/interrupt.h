/*
 * Signals: the first SIGINT, SIGTERM or SIGHUP asks the command to end, the second ends the process
 * at once. SIGPIPE and SIGXFSZ are ignored: the write that met the broken pipe or the limit of a
 * file's size fails instead.
 */
#ifndef JINI_CLI_INTERRUPT_H
#define JINI_CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * Installs the handlers; a signal that was ignored when the process began stays ignored. Before any
 * other thread starts.
 */
void interrupt_install(void);

/* The signal that asked the command to end, or 0. Any thread. */
int interrupt_signal(void);

/* A descriptor that is readable as soon as a signal came, for poll(). -1: there is none. */
int interrupt_descriptor(void);

/* Waits until a descriptor can be read. False: a signal came, be it just before. */
bool interrupt_wait_readable(int readable);

#endif
