/*
 * Events: what happened, written in the transaction that made it happen.
 *
 *     jini_request_init(&append);
 *     append.type = "image.liked";
 *     append.user_id = 17;
 *     append.subject_id = image_id;
 *     append.payload = "{\"from\":\"gallery\"}";
 *     status = jini_events_append(jini, &append, NULL);
 *
 * The log has one order, that of the commits of all processes. The position of an event is its time
 * in nanoseconds since 1970, or one more than that of the event before it, where a clock stands or
 * was set back: it grows strictly, and is kept for ever. So a position and a time are one thing.
 *
 * Of what was refused there is no event, and each change has its events once, whatever is killed.
 */
#ifndef JINI_EVENTS_H
#define JINI_EVENTS_H

#include <jini/id.h>
#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    JINI_EVENT_TYPE_MAX = 48,        /* of a name, with NUL */
    JINI_EVENT_PAYLOAD_MAX = 32768,  /* bytes, with NUL */
    JINI_EVENT_PREFIXES_MAX = 8,     /* of one filter */
    JINI_EVENT_TYPES_RESERVED = 1024 /* numbers below are the engine's */
};

/*
 * X(name, number, text): what the engine appends. A number is pinned for ever. The payload is a
 * JSON object with these members, where they say something:
 *
 *   job.admitted       subject: the job; cost_credits
 *   job.started        subject: the job; a worker is at it, of a job for workers the attempt, its
 *                      first or another
 *   job.completed      subject: the job; cost_credits that were drawn
 *   job.failed         subject: the job; reason
 *   job.cancelled      subject: the job; reason
 *   job.timed_out      subject: the job; nobody came back for it
 *   job.retried        subject: the job, which waits for workers anew; attempt, that has failed,
 *                      and its reason
 *   user.created       tier
 *   user.tier_changed  tier, tier_before
 *   credits.granted    subject: the grant; credits, category ("paid" or "promotional"), expires_ms
 *   credits.expired    credits
 *   credits.revoked    subject: the grant; credits that were taken from it
 *   credits.refunded   subject: the job; credits that were given back of it
 *   payment.settled    subject: the payment, as of all that follow; price, amount, currency, and
 *                      the tier and the credits that it buys
 *   payment.failed     price, amount, currency, reason
 *   payment.refused    price, amount, currency, reason: what arrived, or was begun, buys nothing
 *   payment.refunded   price, amount that went back, currency, reason
 *   payment.disputed   price, amount, currency, reason
 *   payment.dispute_won, payment.dispute_lost
 *                      the same; a payment whose dispute was lost is refunded by it
 *   subscription.started
 *                      tier, paid_ms: until when is paid, left out where that is for ever
 *   subscription.renewed
 *                      the same; another payment has extended it, or goes before or behind others
 *   subscription.cancelled, subscription.resumed
 *                      the same
 *   subscription.past_due
 *                      and grace_ms, until when the tier stays
 *   subscription.ended tier, paid_ms: all is over that was paid for, or was taken back
 */
#define JINI_EVENT_TYPE_MAP(X)                                                                     \
    X(JOB_ADMITTED, 1, "job.admitted")                                                             \
    X(JOB_STARTED, 2, "job.started")                                                               \
    X(JOB_COMPLETED, 3, "job.completed")                                                           \
    X(JOB_FAILED, 4, "job.failed")                                                                 \
    X(JOB_CANCELLED, 5, "job.cancelled")                                                           \
    X(JOB_TIMED_OUT, 6, "job.timed_out")                                                           \
    X(JOB_RETRIED, 7, "job.retried")                                                               \
    X(USER_CREATED, 20, "user.created")                                                            \
    X(USER_TIER_CHANGED, 21, "user.tier_changed")                                                  \
    X(CREDITS_GRANTED, 30, "credits.granted")                                                      \
    X(CREDITS_EXPIRED, 31, "credits.expired")                                                      \
    X(CREDITS_REVOKED, 32, "credits.revoked")                                                      \
    X(CREDITS_REFUNDED, 33, "credits.refunded")                                                    \
    X(PAYMENT_SETTLED, 40, "payment.settled")                                                      \
    X(PAYMENT_FAILED, 41, "payment.failed")                                                        \
    X(PAYMENT_REFUSED, 42, "payment.refused")                                                      \
    X(PAYMENT_REFUNDED, 43, "payment.refunded")                                                    \
    X(PAYMENT_DISPUTED, 44, "payment.disputed")                                                    \
    X(PAYMENT_DISPUTE_WON, 45, "payment.dispute_won")                                              \
    X(PAYMENT_DISPUTE_LOST, 46, "payment.dispute_lost")                                            \
    X(SUBSCRIPTION_STARTED, 50, "subscription.started")                                            \
    X(SUBSCRIPTION_RENEWED, 51, "subscription.renewed")                                            \
    X(SUBSCRIPTION_CANCELLED, 52, "subscription.cancelled")                                        \
    X(SUBSCRIPTION_RESUMED, 53, "subscription.resumed")                                            \
    X(SUBSCRIPTION_PAST_DUE, 54, "subscription.past_due")                                          \
    X(SUBSCRIPTION_ENDED, 55, "subscription.ended")

/*
 * An event. `payload` lies in the text of the page that the event was read into, with NUL, and is a
 * JSON object in UTF-8: at least "{}".
 */
struct jini_event {
    uint64_t position;
    uint64_t user_id;          /* 0: of no user */
    struct jini_id subject_id; /* zero: none */
    const char *payload;
    uint32_t payload_length; /* without NUL */
    uint32_t delivery;       /* of one that a consumer EACH was given: 1, or which time it comes */
    char type[JINI_EVENT_TYPE_MAX];
};

/* Where events are read into: memory of the caller's. */
struct jini_events_page {
    struct jini_event *events;
    uint32_t capacity;    /* of `events`, at least 1 */
    uint32_t count;       /* how many were read */
    char *text;           /* for their payloads */
    size_t text_capacity; /* at least JINI_EVENT_PAYLOAD_MAX; beyond it some 64 for each event */
    size_t text_length;   /* what they take, with their NULs */
};

/* Which events are wanted: those to which all applies. All zero: all of them. */
struct jini_events_filter {
    uint64_t user_id;      /* 0: of all users and of none */
    uint32_t prefix_count; /* 0: of all types */
    uint32_t reserved;
    char prefixes[JINI_EVENT_PREFIXES_MAX]
                 [JINI_EVENT_TYPE_MAX]; /* any of them begins the type: "job." or "job.failed" */
};

/* Where a listing stands. All zero: at the beginning of the log. */
struct jini_events_cursor {
    uint64_t position; /* that of the last event that was looked at: those behind it are next */
    uint32_t ended;    /* 1: the last call came to the end of the log, which may grow */
    uint32_t looked;   /* how many it looked at, whatever their type */
};

/* The cursor before the first event of a time, in milliseconds since 1970. */
static inline struct jini_events_cursor jini_events_from_ms(uint64_t time_ms)
{
    struct jini_events_cursor cursor = {time_ms ? time_ms * 1000000 - 1 : 0, 0, 0};
    return cursor;
}

/*
 * Appends an event of the caller's own. In: `type`, 1 to 47 of a-z 0-9 _ - and ., which begins with
 * none of the words that types of the engine have before their point ("job.", "user."); `user_id`;
 * `subject_id`; `payload`, NULL for "{}". Out: `position`.
 *
 * JINI_E_INVALID    "type"; "payload": no JSON object in UTF-8, or nested more than 32 deep
 * JINI_E_TOO_BIG    "payload"
 * Durable.
 */
struct jini_events_append {
    struct jini_request request;
    const char *type;
    uint64_t user_id;
    struct jini_id subject_id;
    const char *payload; /* borrowed until it comes back, as `type` */
    uint64_t position;
};
JINI_EXPORT int jini_events_append(struct jini *jini, struct jini_events_append *append,
                                   jini_callback *callback);

/* The same inside a transaction: see jini_txn_fn. */
JINI_EXPORT int jini_txn_events_append(struct jini_txn *txn, struct jini_events_append *append);

/*
 * Reads events behind the cursor into a page, in their order, and moves the cursor on. `filter`
 * NULL: all. There may be fewer than the page has room for, and none, though the log goes on: one
 * call looks at so many and no more; call again until the cursor has ended. What is damaged is
 * passed over: jini_verify() names it. JINI_E_INVALID: "page", or "prefixes" of the filter.
 * Any thread.
 */
JINI_EXPORT int jini_events_list(struct jini *jini, const struct jini_events_filter *filter,
                                 struct jini_events_cursor *cursor, struct jini_events_page *page,
                                 struct jini_error *error);
JINI_EXPORT int jini_txn_events_list(struct jini_txn *txn, const struct jini_events_filter *filter,
                                     struct jini_events_cursor *cursor,
                                     struct jini_events_page *page, struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
