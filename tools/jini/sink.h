/*
 * Bytes on their way to standard output, buffered. A full pipe blocks as it should, and a signal
 * that comes meanwhile loses nothing: what was not taken yet is written when the reader reads on.
 * Only a reader that takes nothing for SINK_PATIENCE_MS after a signal is given up.
 */
#ifndef JINI_CLI_SINK_H
#define JINI_CLI_SINK_H

#include <stdbool.h>
#include <stddef.h>

enum { SINK_PATIENCE_MS = 3000 };

/*
 * Both return 0, or the errno of what failed (ETIMEDOUT: given up), after which they must not be
 * called again. By one thread at a time.
 */
int sink_write(const void *bytes, size_t length);
int sink_flush(void);

/* True when there is nothing to flush. */
bool sink_is_empty(void);

#endif
