/*
 * Consumers: who reads the log of events to act on it, by name, and goes on where it stood, in
 * whatever process.
 *
 * There are two ways to take events, and a consumer is made for one of them:
 *
 * JINI_CONSUMER_ONCE. One holder at a time gets events in order, and writes what they lead to and
 * how far it came in one transaction: each event has its effect once, whatever is killed.
 *
 *     jini_request_init(&take);
 *     take.consumer = "mails";
 *     take.wait_ms = 30000;
 *     take.page = ...;
 *     while (jini_events_take(jini, &take, NULL) == 0) {
 *         struct work work = {&take, ...};
 *         write.function = do_it;                jini_txn_put(...) for each event, then
 *         write.argument = &work;                jini_txn_events_advance(txn, &work.advance),
 *         status = jini_write(jini, &write, NULL);       whose `batch` is that of the take
 *     }
 *
 * The first take makes its caller the holder, and take.batch says so to the next. Each take and
 * each advance makes the lease last anew; once it is over, another may take the consumer over, and
 * what the former holder still does is JINI_E_CONFLICT and undone.
 *
 * JINI_CONSUMER_EACH. Any number of workers take events, each of which is held by one of them for a
 * time. jini_events_ack() ends it; jini_events_nack() gives it back, to come again after a delay;
 * one that is not answered comes back when its time is over. After so many deliveries it becomes a
 * dead letter. The order is kept as far as nothing comes back.
 *
 *         (log) -- take --> held -- ack --> done
 *                    ^       |
 *                    |       |-- nack, or its time is over --> waits --,
 *                    '-------------------------------------------------'--> dead letter
 *                                                                            | send again, drop
 */
#ifndef JINI_CONSUMERS_H
#define JINI_CONSUMERS_H

#include <jini/events.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_CONSUMER_NAME_MAX = 64, /* with NUL */
    JINI_CONSUMERS_MAX = 256,    /* of one database */
    JINI_DELIVERIES_MAX = 1000,  /* what deliveries_max may be */
    JINI_DEAD_REASON_MAX = 257   /* with NUL */
};

enum jini_consumer_kind { JINI_CONSUMER_ONCE = 1, JINI_CONSUMER_EACH = 2 };

/* Where a new consumer begins, and where jini_consumer_seek() goes. */
#define JINI_EVENTS_BEGIN UINT64_C(0) /* at the oldest event that is kept */
#define JINI_EVENTS_END   UINT64_MAX  /* behind the newest one */

struct jini_consumer {
    char name[JINI_CONSUMER_NAME_MAX]; /* 1 to 63 of a-z A-Z 0-9 _ - . : */
    uint32_t kind;                     /* enum jini_consumer_kind */
    uint32_t deliveries_max;           /* EACH: then it is a dead letter; 0: 16 */
    struct jini_events_filter filter;  /* what it is to get */
    uint64_t position;                 /* all events up to it are done, held, waiting or dead */

    /* Out. */
    uint64_t created_ms;
    uint64_t lag_events;      /* of the log, behind `position`; at most JINI_LAG_EVENTS_MAX */
    uint64_t lag_ms;          /* age of the first of them; 0: none */
    uint64_t held;            /* EACH: held or waiting */
    uint64_t dead;            /* EACH: dead letters that are kept */
    uint64_t lost;            /* that were removed before it had them: events.keep_max_s */
    uint64_t dead_lost;       /* EACH: dead letters that had to make room: events.dead_max */
    uint64_t epoch;           /* grows with each holder */
    uint64_t leased_until_ms; /* ONCE: 0: nobody holds it */
};
enum { JINI_LAG_EVENTS_MAX = 100000 };

/*
 * Makes a consumer. In: `consumer`. The same again finds it as it stands (`existed` is 1), wherever
 * it was to begin; another kind, filter or deliveries_max under the name is an error.
 * JINI_E_EXISTS; JINI_E_INVALID: "name", "kind", "deliveries_max", "prefixes"; JINI_E_BUSY: there
 * are JINI_CONSUMERS_MAX. Durable.
 */
struct jini_consumer_create {
    struct jini_request request;
    struct jini_consumer consumer;
    uint32_t existed;
    uint32_t reserved;
};
JINI_EXPORT int jini_consumer_create(struct jini *jini, struct jini_consumer_create *create,
                                     jini_callback *callback);

/*
 * Removes a consumer with all that it holds, and its dead letters. JINI_E_NOT_FOUND. Works on a
 * full disk. Durable.
 */
struct jini_consumer_delete {
    struct jini_request request;
    const char *name; /* borrowed until it comes back */
};
JINI_EXPORT int jini_consumer_delete(struct jini *jini, struct jini_consumer_delete *remove,
                                     jini_callback *callback);

/*
 * Replay: the events behind `position` come again (jini_events_from_ms() has that of a time), or
 * those before it are passed over. Who holds a consumer ONCE does so no longer; what a consumer
 * EACH has given out stays so, and does not come twice at once. JINI_E_NOT_FOUND. Durable.
 */
struct jini_consumer_seek {
    struct jini_request request;
    const char *name;
    uint64_t position; /* JINI_EVENTS_BEGIN, JINI_EVENTS_END, or any */
};
JINI_EXPORT int jini_consumer_seek(struct jini *jini, struct jini_consumer_seek *seek,
                                   jini_callback *callback);

/*
 * Lists consumers by name, from behind `after` on (NULL: from the first). Each looks at up to
 * JINI_LAG_EVENTS_MAX keys of the log. Any thread.
 */
JINI_EXPORT int jini_consumer_list(struct jini *jini, const char *after, struct jini_consumer *out,
                                   size_t capacity, size_t *count, struct jini_error *error);

/* ---- Taking ---------------------------------------------------------------------------------- */

/* What was taken, and by whom: given back to end it. Opaque, but that `upto` may be lowered. */
struct jini_events_batch {
    uint64_t epoch;
    uint64_t from; /* where the consumer stood */
    uint64_t upto; /* ONCE: position of the last event that was looked at */
};

/*
 * Takes events. In: `consumer`; `lease_ms`, for how long they are its caller's, 0 for
 * events.lease_ms; `wait_ms`, how long to wait for one where there is none, 0: not; `page`, which
 * bounds how many; of a consumer ONCE `batch`, zero at first and then as it was left.
 * Out: the events in the page, none where none came; `batch`.
 *
 * JINI_E_NOT_FOUND  there is no such consumer
 * JINI_E_LOCKED     ONCE: another holds it; retry_after_ms says for how long. With `wait_ms` it is
 *                   waited for
 * JINI_E_CONFLICT   ONCE: the batch is of a holder that was followed by another: begin with zero
 * JINI_E_BUSY       EACH: events.held_max of it are held or wait; or events.waits_max wait already
 * JINI_E_INVALID    "lease_ms": under 10 ms or over a day; "page"
 * jini_cancel() and jini_close() end the waiting.
 */
struct jini_events_take {
    struct jini_request request;
    const char *consumer; /* borrowed until it comes back, as the memory of the page */
    uint32_t lease_ms;
    uint32_t wait_ms;
    struct jini_events_batch batch;
    struct jini_events_page page;
};
JINI_EXPORT int jini_events_take(struct jini *jini, struct jini_events_take *take,
                                 jini_callback *callback);

/*
 * ONCE: all events of the batch up to batch.upto are done. Inside of the transaction that writes
 * what they led to, it is what makes that happen once. JINI_E_CONFLICT: another holds the consumer,
 * or it does not stand at batch.from any more: undo it all. JINI_E_NOT_FOUND. Durable.
 */
struct jini_events_advance {
    struct jini_request request;
    const char *consumer;
    struct jini_events_batch batch;
};
JINI_EXPORT int jini_events_advance(struct jini *jini, struct jini_events_advance *advance,
                                    jini_callback *callback);
JINI_EXPORT int jini_txn_events_advance(struct jini_txn *txn, struct jini_events_advance *advance);

/*
 * EACH: ends deliveries (ack), or gives them back (nack), which come again `delay_ms` later, or
 * become dead letters where this was the last delivery. In: `consumer`; `batch` of the take;
 * `positions` of events of it; of a nack `delay_ms` and `reason` (up to 256 bytes; NULL: none).
 * Out: `stale`, how many are not held by the batch any more, since their time was over: nothing
 * became of them. JINI_E_CONFLICT: all of them. JINI_E_INVALID: "positions", "delay_ms" (over 30
 * days), "reason". JINI_E_NOT_FOUND. Works on a full disk. Durable.
 */
struct jini_events_answer {
    struct jini_request request;
    const char *consumer;
    struct jini_events_batch batch;
    const uint64_t *positions;
    uint32_t count; /* up to JINI_EVENTS_ANSWERED_MAX */
    uint32_t stale;
    uint64_t delay_ms;
    const char *reason;
};
enum { JINI_EVENTS_ANSWERED_MAX = 1024 };
JINI_EXPORT int jini_events_ack(struct jini *jini, struct jini_events_answer *ack,
                                jini_callback *callback);
JINI_EXPORT int jini_txn_events_ack(struct jini_txn *txn, struct jini_events_answer *ack);
JINI_EXPORT int jini_events_nack(struct jini *jini, struct jini_events_answer *nack,
                                 jini_callback *callback);
JINI_EXPORT int jini_txn_events_nack(struct jini_txn *txn, struct jini_events_answer *nack);

/*
 * Waits until there is an event behind `position`, of any type, for up to `wait_ms`; then
 * JINI_E_TIMEOUT. For those who list. JINI_E_BUSY: events.waits_max wait already.
 */
struct jini_events_wait {
    struct jini_request request;
    uint64_t position;
    uint32_t wait_ms;
    uint32_t reserved;
};
JINI_EXPORT int jini_events_wait(struct jini *jini, struct jini_events_wait *wait,
                                 jini_callback *callback);

/* ---- Dead letters ---------------------------------------------------------------------------- */

struct jini_dead_letter {
    uint64_t position; /* of its event, at the same place of the page */
    uint64_t dead_ms;  /* since when */
    uint32_t deliveries;
    uint32_t reserved;
    char reason[JINI_DEAD_REASON_MAX]; /* of the last nack; empty: its time was over */
};

/*
 * Lists the dead letters of a consumer behind a position, into `letters` and with their events into
 * the page, which both have room for page->capacity. They are kept whether the log has their events
 * or not. JINI_E_NOT_FOUND: the consumer. Any thread.
 */
JINI_EXPORT int jini_dead_list(struct jini *jini, const char *consumer, uint64_t after,
                               struct jini_dead_letter *letters, struct jini_events_page *page,
                               struct jini_error *error);

/*
 * Has dead letters delivered again, as if for the first time; or drops them. In: `consumer`;
 * `position`, 0: the oldest ones, up to JINI_DEAD_CHANGED_MAX of them and as far as events.held_max
 * allows. Out: `count`, how many: with 0 call again until there are fewer than that.
 * JINI_E_NOT_FOUND: the consumer, or "position". JINI_E_BUSY: events.held_max are held or wait, and
 * none was sent again. Durable.
 */
struct jini_dead_change {
    struct jini_request request;
    const char *consumer;
    uint64_t position;
    uint64_t count;
};
enum { JINI_DEAD_CHANGED_MAX = 1024 };
JINI_EXPORT int jini_dead_resend(struct jini *jini, struct jini_dead_change *change,
                                 jini_callback *callback);
JINI_EXPORT int jini_dead_drop(struct jini *jini, struct jini_dead_change *change,
                               jini_callback *callback);

#ifdef __cplusplus
}
#endif
#endif
