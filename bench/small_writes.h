/*
 * Small durable writes by submitters (submitters.h), which the raw LMDB program makes as well.
 */
#ifndef BENCH_SMALL_WRITES_H
#define BENCH_SMALL_WRITES_H

#include "submitters.h"

enum { SMALL_KEY_BYTES = 12, SMALL_VALUE_BYTES = 64 };

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

/* Submitters that make such writes. Their sources live on from round to round. */
struct small_options {
    unsigned threads;
    unsigned in_flight;
    enum small_keys keys;
    uint64_t records;
    uint32_t stream_first;
};

struct small_writes;
struct small_writes *small_writes_new(struct jini *jini, const struct small_options *options);
void small_writes_free(struct small_writes *writes);
struct submitters *small_writes_submitters(struct small_writes *writes);

#endif
