/*
 * A run of all cases: each in a process of its own, whose JSON object is kept as RESULTS/CASE.json
 * beside a plot, RESULTS/CASE.svg; all of them together in RESULTS/all.json, and as a table in
 * RESULTS/table.md.
 */
#ifndef BENCH_ALL_H
#define BENCH_ALL_H

#include "bench.h"

struct all_options {
    const char *results; /* a directory, made if need be */
    const char *readme;  /* NULL, or a page whose figures between its two markers are rewritten */
};

/* Returns the exit status: 1 when a case failed; the others have been run all the same. */
int all_run(const struct bench_options *options, const struct all_options *all);

#endif
