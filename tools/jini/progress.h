/* A progress bar on standard error, when that is a terminal. */
#ifndef JINI_CLI_PROGRESS_H
#define JINI_CLI_PROGRESS_H

#include <stdint.h>

/* Begins a bar: "putting  [#####.....]  50 of 100 files, 20.0 MiB, 12.3 MiB/s". `unit`: "files". Static texts. */
void progress_begin(const char *what, const char *unit);

/* Sets how far it is. `total` 0: not known, no bar is drawn but the figures are. Any thread. */
void progress_set(uint64_t done, uint64_t total, uint64_t bytes);

/* Names the part of the work that is under way. Copied. Any thread. */
void progress_phase(const char *phase);

/* Draws it, at most ten times a second. On the main thread. */
void progress_tick(void);

/* Removes it. */
void progress_end(void);

/* Milliseconds since progress_begin(). */
uint64_t progress_elapsed_ms(void);

#endif
