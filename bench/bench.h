/*
 * The benchmark: one table of cases (cases.c), one file per case (cases/), and the programs that
 * Jini is measured against (peers/). A case runs in a process of its own, measures Jini and what
 * the machine itself can do in turns, and fills in a result, which is printed as one JSON object or
 * as text.
 *
 * Jini is used by its public headers only. A step that fails ends the process with a message: a
 * figure that is half measured is none.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Cases ----------------------------------------------------------------------------------- */

struct bench_options {
    const char *directory; /* on the disk that is to be measured */
    double seconds;        /* of one round */
    double scale;          /* of the data: 1 is a million users */
    bool quick;            /* a smoke test: figures mean nothing */
    bool keep;             /* leave prepared databases for the next run */
};

enum bench_bound { BENCH_AT_LEAST, BENCH_AT_MOST };

/* What a field of the result has to reach. */
struct bench_demand {
    const char *field; /* "value", or the name of another number of the result */
    enum bench_bound bound;
    double number;
};

enum { BENCH_DEMANDS_MAX = 3, BENCH_SHOWN_MAX = 6 };

struct bench_result;

struct bench_case {
    const char *name;
    const char *measures; /* one line */
    const char *unit;     /* of `value` */
    const char *target;   /* in words, as the table of figures says it */
    const char *method;   /* paragraphs, for help and for the page of figures */
    struct bench_demand demands[BENCH_DEMANDS_MAX]; /* up to the first without a field */
    const char *shown[BENCH_SHOWN_MAX]; /* fields that the table has beside them; up to a NULL */
    void (*run)(const struct bench_options *options, struct bench_result *result);
};

/* All cases, in the order in which they run; NULL after the last. */
extern const struct bench_case *const bench_cases[];
const struct bench_case *bench_case_find(const char *name); /* NULL: no such case */

/* A number of users or records at the scale of this run, at least `least`. */
uint64_t bench_scaled(const struct bench_options *options, uint64_t full, uint64_t least);

/* ---- result.c: what a case found ------------------------------------------------------------- */

/* `value` is what the target speaks of. */
void result_value(struct bench_result *result, double value);

/*
 * What `value` was made of, where that is a ratio: the figure of Jini in the unit of ceiling and
 * peer. Without it these are in the unit of `value`.
 */
void result_figure(struct bench_result *result, double figure, const char *unit);

/* What the machine itself did in the same run, and a program that does the same without Jini. */
void result_ceiling(struct bench_result *result, double figure, const char *what);
void result_peer(struct bench_result *result, double figure, const char *what);

/*
 * A peer that is not to be had on this machine, and why: the field NAME_missing. A demand that asks
 * for a ratio to it is not met then, and has no figure.
 */
void result_missing(struct bench_result *result, const char *name, const char *why);

/* Further fields. */
void result_number(struct bench_result *result, const char *field, double number);
void result_count(struct bench_result *result, const char *field, uint64_t number);

/*
 * A promise did not hold, so the figures are worth nothing: the run fails after they were printed.
 */
void result_broken(struct bench_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct bench_result *result_new(const struct bench_case *bench,
                                const struct bench_options *options);
void result_free(struct bench_result *result);
bool result_is_broken(const struct bench_result *result);

/* The object, as text to be freed. */
char *result_json(struct bench_result *result);
void result_print(struct bench_result *result);

/* ---- measure.c: time, order statistics, random numbers, complaints --------------------------- */

/* Ends the process with this message. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What is being done, on standard error when that is a terminal. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t bench_now_ns(void);
void bench_sleep(double seconds);

/* fork(), for a child that ends with the process that it was forked from. */
int bench_fork(void);

/* Ends the process if a child has ended. */
void bench_fail_if_child_ended(void);

/* Waits for this many children; ends the process if one failed. */
void bench_wait_children(unsigned count);

/* Memory that children share, all zero. */
void *bench_share(size_t bytes);

/* Ends the process when there is no memory. */
void *bench_alloc(size_t count, size_t size);

enum { BENCH_ROUNDS = 5, BENCH_ROUNDS_QUICK = 3 };

/* How often each contestant is measured, in turns. */
unsigned bench_rounds(const struct bench_options *options);

/* Figures of the rounds of one contestant. */
struct bench_series {
    unsigned count;
    double values[32];
};
void series_add(struct bench_series *series, double value);
double series_median(const struct bench_series *series);
double series_least(const struct bench_series *series);
double series_most(const struct bench_series *series);

/* A generator of its own for each thread: splitmix64. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `bound`, which is below 2^32. */
static inline uint64_t bench_random_below(uint64_t *state, uint64_t bound)
{
    return (bench_random(state) >> 32) * bound >> 32;
}

#endif
