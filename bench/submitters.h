/*
 * Threads that each keep a number of requests under way: a callback on the engine's loop hands a
 * request that came back to its thread, which sends the next.
 */
#ifndef BENCH_SUBMITTERS_H
#define BENCH_SUBMITTERS_H

#include "bench.h"

#include <jini/jini.h>

enum { SUBMITTERS_MAX = 64, IN_FLIGHT_MAX = 64 };

/* What is sent. */
struct submitters_work {
    size_t request_bytes; /* of a struct that begins with a struct jini_request */
    void (*init)(void *context, struct jini_request *request);
    /* Fills in the next request of a submitter and sends it; what the sending function returned. */
    int (*submit)(void *context, unsigned submitter, struct jini_request *request,
                  jini_callback *callback);
    void *context;
};

struct submitters_options {
    unsigned threads;   /* up to SUBMITTERS_MAX */
    unsigned in_flight; /* of each thread, up to IN_FLIGHT_MAX */
    struct submitters_work work;
};

struct submitters;
struct submitters *submitters_new(const struct submitters_options *options);
void submitters_free(struct submitters *submitters);

struct submitters_figures {
    uint64_t requests; /* that were acknowledged */
    double seconds;
    double longest_wait_s; /* from submit to acknowledgement */
};

/* Submits for `seconds`, waits for what is under way, and says what was acknowledged. */
void submitters_run(struct submitters *submitters, double seconds, struct submitters_figures *out);

#endif
