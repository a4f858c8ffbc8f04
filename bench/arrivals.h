/*
 * Requests that arrive at a rate of their own, whether those before them have come back or not, and
 * are timed from when they were to arrive: a sender that is late, or that has to wait because too
 * many are under way, makes them later, as it would make those who sent them.
 */
#ifndef BENCH_ARRIVALS_H
#define BENCH_ARRIVALS_H

#include "bench.h"

#include <jini/jini.h>

struct arrivals_work {
    size_t request_bytes; /* of a struct that begins with a struct jini_request */
    /* Fills in the next request and sends it; what the sending function returned. */
    int (*submit)(void *context, struct jini_request *request, jini_callback *callback);
    /* One has come back, on the engine's loop. Every request must succeed. */
    void (*done)(void *context, struct jini_request *request);
    void *context;
};

struct arrivals_figures {
    uint64_t requests;
    double per_s; /* from the first arrival to the last answer */
    double p50_s; /* from a request's arrival to its answer */
    double p99_s;
    double p999_s;
    double longest_s;
};

struct arrivals;

/* A rate that no engine keeps up with: as many are under way as there may be. */
#define ARRIVALS_AT_ONCE 1e9

/* At most `in_flight` are under way at a time; the next ones wait. */
struct arrivals *arrivals_new(const struct arrivals_work *work, unsigned in_flight);
void arrivals_free(struct arrivals *arrivals);

/* Requests for `seconds`, `per_s` of them on average, as a Poisson process has them arrive. */
void arrivals_run(struct arrivals *arrivals, double per_s, double seconds,
                  struct arrivals_figures *out);

#endif
