/*
 * How far a long verb is, on standard error: a bar when that is a terminal, else a line every few
 * seconds. Neither with --json or --quiet.
 */
#ifndef JINI_CLI_PROGRESS_H
#define JINI_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Begins: "putting  [#####.....]  50 of 100 files, 20.0 MiB, 12.3 MiB/s". `unit`: "files"; NULL:
 * what is counted are bytes, "archiving  [#####.....]  20.0 MiB of 40.0 MiB, 12.3 MiB/s". Static
 * texts.
 */
void progress_begin(const char *what, const char *unit);

/*
 * Sets how far it is. `total` 0: not known, no bar is drawn but the figures are. `bytes` beside the
 * unit; 0: none. Any thread.
 */
void progress_set(uint64_t done, uint64_t total, uint64_t bytes);

/* Names the part of the work that is under way. Copied. Any thread. */
void progress_phase(const char *phase);

/*
 * Draws the bar, at most ten times a second, or prints the line, every JINI_PROGRESS_MS of the
 * environment, 5000 without it. On the main thread.
 */
void progress_tick(void);

/* Draws the bar a last time and removes it. */
void progress_end(void);

/* True when somebody is to see it: worth finding out a total for. */
bool progress_is_wanted(void);

/* Milliseconds since progress_begin(). */
uint64_t progress_elapsed_ms(void);

#endif
