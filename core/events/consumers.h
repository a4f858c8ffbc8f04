/*
 * Consumers: inside of a store transaction. What they promise stands in <jini/consumers.h>.
 *
 *   CONSUMERS (uint 0, text name)                  a document: how it is made, and how it stands
 *   CONSUMERS (uint 1, text name, uint position)   a delivery that is held or waits:
 *                                                  0 version u8, 1 | 1 zero u8 x 3 |
 *                                                  4 deliveries u32 | 8 epoch u64; 0: it waits |
 *                                                  16 due u64, ms | 24 the event's row, where it
 *                                                  is not to be looked for in the log
 *   CONSUMERS (uint 2, text name, uint due, uint position)   empty: when it comes back
 *   CONSUMERS (uint 3, text name, uint position)   a dead letter: 0 version u8, 1 | 1 zero u8 |
 *                                                  2 length of the reason u16 | 4 deliveries u32 |
 *                                                  8 dead since u64, ms | 16 the reason | the
 *                                                  event's row
 *
 *  1. Of the events up to its position, those that a consumer EACH has not done have a row of kind
 *     1, and one of kind 2 with the same time; or one of kind 3. There are no others.
 *  2. `held` and `dead` of the record are how many rows of these kinds there are, and bounded.
 *  3. The epoch grows with each holder of a consumer ONCE, and with each take of one EACH, whose
 *     deliveries have it: so what is answered is what was taken.
 *  4. A lease ONCE is over when its time is, or when it lies farther ahead than it was ever to
 *     last, as it does where a clock was set back. The times of deliveries are those of a clock of
 *     the consumer's own: that of the wall, but that it stands still where the other one is set
 *     back, and goes on from there.
 */
#ifndef EVENTS_CONSUMERS_H
#define EVENTS_CONSUMERS_H

#include "events/events.h"

#include <jini/consumers.h>

enum { CONSUMER_RECORD_MAX = 1024, CONSUMER_DELIVERIES = 16 };

/* A consumer with what is not shown of it. */
struct consumer {
    struct jini_consumer is;
    uint32_t lease_ms;
    uint64_t given;    /* EACH: the farthest position that it had */
    uint64_t ahead_ms; /* EACH: of the wall clock, as far as that one was ever set back */
    uint64_t seen_ms;  /* EACH: its own time, when it last wrote times of deliveries */
    struct document_rest rest;
};

/* ---- Records: consumers.c -------------------------------------------------------------------- */

/* 0, or JINI_E_INVALID: "consumer". NULL is none. */
int consumer_check_name(const char *name, struct jini_error *error);

/* Of a new one: fills in what is 0, and checks the rest. JINI_E_INVALID. */
int consumer_check(struct jini_consumer *consumer, struct jini_error *error);

/* JINI_E_NOT_FOUND, JINI_E_CORRUPT, JINI_E_FORMAT, said in words. */
int consumer_load(struct store_txn *txn, const char *name, struct consumer *out,
                  struct jini_error *error);
int consumer_save(struct store_txn *txn, const struct consumer *consumer);

int consumers_create(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms,
                     bool *existed, struct jini_error *error);
int consumers_delete(struct store_txn *txn, const char *name, struct jini_error *error);
int consumers_seek(struct store_txn *txn, const char *name, uint64_t position,
                   struct jini_error *error);

/* Those by name behind `after`. Damaged ones are passed over. */
int consumers_list(struct store_txn *txn, const char *after, struct consumer *out, size_t capacity,
                   size_t *count);

/* Fills in lag_events and lag_ms. */
int consumer_measure(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms);
int consumer_measure_to(struct store_txn *txn, struct jini_consumer *consumer, uint64_t now_ms,
                        uint64_t events_max);

/* ---- Once: once.c ---------------------------------------------------------------------------- */

bool consumer_lease_is_over(const struct consumer *consumer, uint64_t now_ms);

/*
 * Makes `*epoch` the holder's for another `lease_ms`: 0 is one who wants to be. JINI_E_LOCKED:
 * another is, with retry_after_ms. JINI_E_CONFLICT: another was meanwhile.
 */
int consumers_claim(struct store_txn *txn, struct consumer *consumer, uint64_t *epoch,
                    uint32_t lease_ms, uint64_t now_ms, struct jini_error *error);

/* As jini_txn_events_advance(). */
int consumers_advance(struct store_txn *txn, const char *name,
                      const struct jini_events_batch *batch, uint64_t now_ms,
                      struct jini_error *error);

/* ---- Each: deliveries.c ---------------------------------------------------------------------- */

/* What time it is for the deliveries of a consumer; with tick for one that is saved then. */
uint64_t consumer_time(const struct consumer *consumer, uint64_t now_ms);
uint64_t consumer_tick(struct consumer *consumer, uint64_t now_ms);

/* The wall clock was set back by more than a moment: a take writes that down, and time goes on. */
bool consumer_time_stands(const struct consumer *consumer, uint64_t now_ms);

struct deliveries_take {
    uint64_t now_ms;
    uint32_t lease_ms;
    uint32_t held_max;
    uint32_t dead_max;
    struct jini_events_page *page; /* which was begun */
    bool moved;                    /* out: something was written, if nothing was taken */
};

/*
 * Whether there is something to take or to move on over; else `*due_ms` is when the next delivery
 * comes back by the wall clock, UINT64_MAX: none waits.
 */
int deliveries_ready(struct store_txn *txn, const struct consumer *consumer, uint64_t now_ms,
                     bool *ready, uint64_t *due_ms);

/*
 * Takes what is due and then what is new, as far as the page has room; the consumer's epoch is that
 * of what was taken. JINI_E_BUSY: held_max.
 */
int deliveries_take(struct store_txn *txn, struct consumer *consumer, struct deliveries_take *take,
                    struct jini_error *error);

/* As jini_txn_events_ack() and _nack(). */
struct deliveries_answer {
    const char *name;
    const struct jini_events_batch *batch;
    const uint64_t *positions;
    uint32_t count;
    uint32_t stale; /* out */
    bool back;      /* a nack */
    uint64_t delay_ms;
    const char *reason;
    uint64_t now_ms;
    uint64_t time_ms; /* private */
    uint32_t dead_max;
};
int deliveries_answer(struct store_txn *txn, struct deliveries_answer *answer,
                      struct jini_error *error);

/* ---- Rows of deliveries: delivery_rows.c ----------------------------------------------------- */

enum consumer_row { CONSUMER_RECORD, CONSUMER_DELIVERY, CONSUMER_DUE, CONSUMER_DEAD };
enum { DELIVERY_HEADER = 24, DEAD_HEADER = 16, DELIVERY_ROW_MAX = 512 + EVENT_ROW_MAX };

void consumer_key(enum consumer_row kind, const char *name, struct tuple *out);

struct delivery {
    uint64_t position;
    uint32_t deliveries;
    uint64_t epoch;
    uint64_t due_ms;
    struct slice event; /* of its own; empty: in the log */
};

/* The value of a row is read into `value`, which `out` borrows from. JINI_E_CORRUPT. */
int delivery_get(struct store_txn *txn, const char *name, uint64_t position, struct buffer *value,
                 struct delivery *out);
int delivery_has(struct store_txn *txn, const char *name, uint64_t position);

/* Writes it with the row of its time. `old_due_ms`: of the one that it had; 0: none. */
int delivery_put(struct store_txn *txn, const char *name, const struct delivery *delivery,
                 uint64_t old_due_ms);
int delivery_remove(struct store_txn *txn, const char *name, const struct delivery *delivery);

/* Its event: its own, or from the log, into `row`. JINI_E_NOT_FOUND: it is gone. */
int delivery_event(struct store_txn *txn, const struct delivery *delivery, struct buffer *row,
                   struct slice *out);

/* ---- Dead letters: dead.c -------------------------------------------------------------------- */

/* Makes a delivery a dead letter; the oldest makes room where there are `dead_max`. */
int dead_bury(struct store_txn *txn, struct consumer *consumer, const struct delivery *delivery,
              const char *reason, uint64_t now_ms, uint32_t dead_max);

int dead_list(struct store_txn *txn, const char *name, uint64_t after,
              struct jini_dead_letter *letters, struct jini_events_page *page,
              struct jini_error *error);

/* For verify: JINI_E_CORRUPT, JINI_E_FORMAT: it cannot be read. JINI_E_NOT_FOUND. */
int dead_check(struct store_txn *txn, const char *name, uint64_t position);

struct dead_change {
    const char *name;
    uint64_t position; /* 0: the first ones, up to JINI_DEAD_CHANGED_MAX */
    uint64_t now_ms;
    uint32_t held_max;
    uint64_t count; /* out */
};
int dead_resend(struct store_txn *txn, struct dead_change *change, struct jini_error *error);
int dead_drop(struct store_txn *txn, struct dead_change *change, struct jini_error *error);

/* ---- Retention: retention.c ------------------------------------------------------------------ */

struct events_retention {
    uint64_t now_ms;
    uint64_t keep_ms;     /* 0: for ever, unless what follows says otherwise */
    uint64_t keep_max_ms; /* whatever consumers need; 0: no bound */
    uint64_t over_bytes;  /* of the oldest are to go whatever else; less by each run */

    /* Out. */
    uint32_t removed;
    uint32_t lost; /* of these and all consumers: they had not had them */
};

/* Whether the oldest event is to go. */
int events_retention_due(struct store_txn *txn, const struct events_retention *retention,
                         bool *due);

/* Removes a slice of what is to go. */
int events_retire(struct store_txn *txn, struct events_retention *retention);

/* For verify: what is wrong with a row; as events_check_row(). */
int consumers_check_row(struct store_txn *txn, struct slice key, const char **kind,
                        const char **what);

#endif
