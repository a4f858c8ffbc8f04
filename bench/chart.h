/*
 * A plot of one result: a bar for what Jini did, for what was asked, and for what the machine and
 * the peer did.
 */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include <jansson.h>

/* `object` is the JSON object of a case. Ends the process when the file cannot be written. */
void chart_write(const char *path, const json_t *object);

#endif
