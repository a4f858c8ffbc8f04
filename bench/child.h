/* Running another program for what it prints. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>

/*
 * Runs `program`, looked for in PATH, with `arguments` up to a NULL, and waits. Returns what it
 * printed, to be freed; of more than 64 KiB the beginning. NULL: it cannot be started.
 * `*failed` is set when it did not end with 0. With `quiet` its errors are not shown.
 */
char *child_output(const char *program, const char *const *arguments, bool quiet, bool *failed);

#endif
