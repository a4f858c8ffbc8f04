/*
 * Threads that submit small durable writes through jini_write(), each with a number of them in
 * flight, and the writes themselves, which the raw LMDB program makes as well.
 */
#ifndef BENCH_SUBMITTERS_H
#define BENCH_SUBMITTERS_H

#include "bench.h"

#include <jini/jini.h>

enum { SMALL_KEY_BYTES = 12, SMALL_VALUE_BYTES = 64, SUBMITTERS_MAX = 64, IN_FLIGHT_MAX = 64 };

/* Where the writes go. */
enum small_keys {
    /* Each submitter appends to a stream of its own: an event, a job, a log line. */
    SMALL_KEYS_STREAMS,
    /* Each write replaces one of `records` records, drawn at random: a counter, a state. */
    SMALL_KEYS_RANDOM
};

/* One write of one record. */
struct small_write {
    uint8_t key[SMALL_KEY_BYTES];
    uint8_t value[SMALL_VALUE_BYTES];
};

/* What makes the writes of one submitter: the same ones from the same beginning. */
struct small_source {
    enum small_keys keys;
    uint32_t stream;
    uint64_t records;
    uint64_t next;
    uint64_t random;
};
void small_next(struct small_source *source, struct small_write *out);

/* The key and first value of record `number` of SMALL_KEYS_RANDOM. */
void small_record(uint64_t number, struct small_write *out);

struct submitters_options {
    unsigned threads;   /* up to SUBMITTERS_MAX */
    unsigned in_flight; /* of each thread, up to IN_FLIGHT_MAX */
    enum small_keys keys;
    uint64_t records;
    uint32_t stream_first;
};

/* Sources live on from round to round. */
struct submitters;
struct submitters *submitters_new(struct jini *jini, const struct submitters_options *options);
void submitters_free(struct submitters *submitters);

struct submitters_figures {
    uint64_t writes; /* that were acknowledged */
    double seconds;
    double longest_wait_s; /* from submit to acknowledgement */
};

/* Submits for `seconds`, waits for what is under way, and says what was acknowledged. */
void submitters_run(struct submitters *submitters, double seconds, struct submitters_figures *out);

#endif
