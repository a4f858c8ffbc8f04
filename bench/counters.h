/*
 * Counters that do not depend on the machine: what a scripted run of one thread writes, syncs, asks
 * of the archive and allocates, per operation. They are committed (bench/counters.json) and
 * compared, so that a change which makes an operation dearer is seen where it is made.
 */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include "bench.h"

/* Before anything else of Jini is called: allocations are counted from then on. */
void counters_begin(void);

/*
 * Runs the scripts. With `write` their counters go to that file. With `compare` they are held
 * against those of that file, and each that differs is printed with both numbers. With neither,
 * they are printed. Returns the exit status: 1 when something differs.
 */
int counters_run(const struct bench_options *options, const char *compare, const char *write);

#endif
