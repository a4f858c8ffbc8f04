/* Opening Jini as the cases want it, reading its figures, and keeping many requests under way. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "bench.h"

#include <jini/jini.h>

/*
 * The options of a measurement: the defaults, but that background work does not run, so that
 * nothing else is at work while a figure is taken.
 */
void bench_jini_options(struct jini_options *options);

struct jini *bench_jini_open(const char *directory, const struct jini_options *options);
void bench_jini_close(struct jini *jini);

/* Ends the process unless `status` is 0. */
void bench_check(int status, const struct jini_error *error, const char *what);

/* The counters that the cases look at, from jini_metrics(). */
struct bench_figures {
    double ops;
    double commits;
    double commit_s; /* that they took altogether, their ops aside */
    double pages;
    double pack_syncs;
    double pack_bytes;
    double image_cache_bytes;
    double archive_gets; /* for cold images */
    double batches_rerun;
};
void bench_figures(struct jini *jini, struct bench_figures *out);

/* What lies between two readings. */
struct bench_figures bench_figures_since(struct jini *jini, const struct bench_figures *before);

/*
 * Syncs of the disk that a commit asks for in the mode store.sync=full: one of the data pages, and
 * one of the meta page, which LMDB writes through a descriptor with O_DSYNC.
 */
enum { BENCH_SYNCS_PER_COMMIT = 2 };

/*
 * Keeps up to `in_flight` requests under way until there is nothing more to do. `next` fills in and
 * submits one request, with the callback given, and puts what the submitting function returned into
 * `status`; it returns false, having submitted nothing, when all is done. Every request must
 * succeed.
 */
struct bench_flow_step {
    unsigned place; /* which of the `in_flight` requests it is */
    struct jini_request *request;
    jini_callback *callback;
    int status;
};

struct bench_flow {
    size_t request_bytes; /* of a struct that begins with a struct jini_request */
    unsigned in_flight;
    bool (*next)(void *context, struct bench_flow_step *step);
    void *context;
};
void bench_flow_run(const struct bench_flow *flow);

#endif
