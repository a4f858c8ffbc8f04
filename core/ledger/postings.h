/*
 * Postings: for each value of a field that is no account, the times of the events that have it, in
 * order. Those of accounts are chains (chains.h), of which only the marks lie here.
 *
 * Most lists grow at their end and few of their values are read, so a list is a row of its newest
 * times, the tail, and chunks of older ones. Appending rewrites tails, which lie side by side; when
 * a tail is full its times become a chunk, which is written once.
 *
 * Tail and chunk are the same: 0 version u8, 1 | 1 zero u8 | 2 count u16 | 4 first time u64 |
 * 12 last time u64 | 20 the others as differences to the one before, each in groups of 7 bits, low
 * first, with the top bit set but in the last (LEB128). Keys:
 *
 *   POSTINGS (uint 0, uint field, id value)                     tail
 *   POSTINGS (uint 1, uint field, id value, uint first time)    chunk, or mark
 *
 * A value shorter than 128 bits is an id with zeros before it.
 */
#ifndef LEDGER_POSTINGS_H
#define LEDGER_POSTINGS_H

#include "store/store.h"

enum postings_field {
    POSTINGS_DEBITS = 1,
    POSTINGS_CREDITS = 2,
    POSTINGS_CODE = 3,
    POSTINGS_LEDGER = 4,
    POSTINGS_USER_DATA_128 = 5,
    POSTINGS_USER_DATA_64 = 6,
    POSTINGS_USER_DATA_32 = 7,
    POSTINGS_FIELDS
};

enum {
    POSTINGS_TAIL_MAX = 32,      /* times of a tail */
    POSTINGS_CHUNK_BYTES = 1800, /* so that two lie on a page of the store */
    POSTINGS_HEADER_BYTES = 20,
    POSTINGS_ROW_TIMES_MAX = POSTINGS_CHUNK_BYTES - POSTINGS_HEADER_BYTES + 1
};

struct postings_term {
    enum postings_field field;
    struct jini_id value;
};

struct postings_term postings_number(enum postings_field field, uint64_t value);

/* The times to append, in order; each call gives the next, false after the last. */
struct postings_source {
    bool (*next)(void *context, uint64_t *time);
    void *context;
};

/* Appends times that are later than all of the list. JINI_E_CORRUPT: the tail is damaged. */
int postings_append(struct store_txn *txn, const struct postings_term *term,
                    const struct postings_source *source, struct jini_error *error);

/* A walk over the times of a list from `min` to `max`, both included. */
struct postings_walk {
    struct store_txn *txn;
    struct postings_term term;
    enum store_direction direction;
    uint64_t min;
    uint64_t max;
    int step;
    uint32_t at; /* what is left of the row that was read last: from `at` to `count` */
    uint32_t count;
    uint64_t times[POSTINGS_ROW_TIMES_MAX];
};

void postings_open(struct postings_walk *walk, struct store_txn *txn,
                   const struct postings_term *term, uint64_t min, uint64_t max,
                   enum store_direction direction);

/* JINI_E_NOT_FOUND after the last. JINI_E_CORRUPT: a row is damaged. */
int postings_next(struct postings_walk *walk, uint64_t *time, struct jini_error *error);

/* ---- For verify ---- */

/* What a key of POSTINGS names. JINI_E_CORRUPT: nothing. */
struct postings_key {
    enum postings_row { POSTINGS_TAIL, POSTINGS_CHUNK, POSTINGS_MARK } row;
    struct postings_term term;
    uint64_t first_ns; /* of a chunk; of a mark, its time */
};
int postings_read_key(struct slice key, struct postings_key *out);

/* The times of a row, POSTINGS_ROW_TIMES_MAX at most. JINI_E_CORRUPT, JINI_E_FORMAT. */
int postings_read_row(struct slice row, uint64_t *times, uint32_t *count);

#endif
