/*
 * The log of events: inside of a store transaction.
 *
 *     struct event event;
 *     event_begin(&event, EVENT_JOB_FAILED, user_id, &job_id);
 *     event_add_text(&event, EVENT_FIELD_REASON, reason);
 *     status = events_append(txn, &event);
 *
 *   EVENTS (uint position)   0 version u8, 1 | 1 length of the name u8 | 2 type u16; 0: by name |
 *                            4 user u64 | 12 subject, 16 bytes | 28 the name | the payload
 *                            (little-endian)
 *
 * The position is the commit stamp, so rows are appended, and is the time of the event in
 * nanoseconds. The payload of an event with a number is a document (base/document.h) of
 * EVENT_FIELD_MAP, or empty; that of one with a name is the JSON text that it came with, or empty.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "base/document.h"
#include "base/tuple.h"
#include "store/store.h"

#include <jini/events.h>

enum event_type {
    EVENT_BY_NAME = 0,
#define EVENT_TYPE_ENUM(name, number, text) EVENT_##name = (number),
    JINI_EVENT_TYPE_MAP(EVENT_TYPE_ENUM)
#undef EVENT_TYPE_ENUM
};

/* X(name, number, member in JSON): numbers are pinned for ever. */
#define EVENT_FIELD_MAP(X)                                                                         \
    X(COST_CREDITS, 1, "cost_credits")                                                             \
    X(REASON, 2, "reason")                                                                         \
    X(TIER, 3, "tier")                                                                             \
    X(TIER_BEFORE, 4, "tier_before")                                                               \
    X(CREDITS, 5, "credits")                                                                       \
    X(CATEGORY, 6, "category")                                                                     \
    X(EXPIRES_MS, 7, "expires_ms")                                                                 \
    X(ATTEMPT, 8, "attempt")                                                                       \
    X(PRICE, 9, "price")                                                                           \
    X(AMOUNT, 10, "amount")                                                                        \
    X(CURRENCY, 11, "currency")                                                                    \
    X(PAID_MS, 12, "paid_ms")                                                                      \
    X(GRACE_MS, 13, "grace_ms")

enum event_field {
#define EVENT_FIELD_ENUM(name, number, text) EVENT_FIELD_##name = (number),
    EVENT_FIELD_MAP(EVENT_FIELD_ENUM)
#undef EVENT_FIELD_ENUM
};

enum {
    EVENT_ROW_HEADER = 28,
    EVENT_DOCUMENT_MAX = 1024, /* the payload of an event of the engine */
    EVENT_ROW_MAX = EVENT_ROW_HEADER + JINI_EVENT_TYPE_MAX + JINI_EVENT_PAYLOAD_MAX,
    EVENT_BYTES = 64 /* about what one without a payload adds to a transaction */
};

/* An event that is being made. */
struct event {
    enum event_type type;
    const char *name;  /* of one EVENT_BY_NAME */
    struct slice json; /* the payload of such a one, which was checked */
    uint64_t user_id;
    struct jini_id subject_id;

    /* Private: the payload of all others. */
    uint32_t fields;
    struct document_writer writer;
    struct buffer document;
    uint8_t bytes[EVENT_DOCUMENT_MAX];
};

/* `subject_id` may be NULL. */
void event_begin(struct event *event, enum event_type type, uint64_t user_id,
                 const struct jini_id *subject_id);

/* A text that is NULL or empty is left out, and so is a number that is 0. */
void event_add_uint(struct event *event, enum event_field field, uint64_t value);
void event_add_text(struct event *event, enum event_field field, const char *text);
void event_add_id(struct event *event, enum event_field field, const struct jini_id *id);

/*
 * Appends it, in an op, and has those woken who wait for events once that has committed.
 * JINI_E_TOO_BIG: the payload. What the store answers.
 */
int events_append(struct store_txn *txn, struct event *event);

/* The same; `*position` gets where it stands. */
int events_append_at(struct store_txn *txn, struct event *event, uint64_t *position);

/*
 * Of an application: 0, or JINI_E_INVALID or JINI_E_TOO_BIG with the field. `payload` may be NULL.
 */
int events_check_own(const char *type, const char *payload, struct jini_error *error);

/* ---- Reading --------------------------------------------------------------------------------- */

/* A row, borrowed. */
struct event_row {
    enum event_type type;
    struct slice name; /* "job.admitted", or the application's */
    uint64_t user_id;
    struct jini_id subject_id;
    struct slice payload;
};

void event_key(uint64_t position, struct tuple *out);

/* JINI_E_CORRUPT: the key is none of this space. */
int event_key_read(struct slice key, uint64_t *position);

/*
 * JINI_E_CORRUPT; JINI_E_FORMAT: of a later version. A type that is not known, as a newer process
 * appends them, has the name "unknown".
 */
int event_row_read(struct slice row, struct event_row *out);

/* Appends the payload as JSON. JINI_E_TOO_BIG: it does not fit. JINI_E_CORRUPT. */
int event_payload_json(const struct event_row *row, struct buffer *out);

/* 0, or JINI_E_INVALID: "prefixes". NULL is one. */
int events_filter_check(const struct jini_events_filter *filter, struct jini_error *error);
bool events_filter_takes(const struct jini_events_filter *filter, const struct event_row *row);

/* JINI_E_INVALID: "page". Empties it. */
int events_page_begin(struct jini_events_page *page, struct jini_error *error);

/* Adds an event to a page. JINI_E_TOO_BIG: it has no room left. JINI_E_CORRUPT. */
int events_page_add(struct jini_events_page *page, uint64_t position, const struct event_row *row);

/* As jini_events_list(), with errors of the store. */
int events_list(struct store_txn *txn, const struct jini_events_filter *filter,
                struct jini_events_cursor *cursor, struct jini_events_page *page,
                struct jini_error *error);

/* For verify: what is wrong with a key of EVENTS and its row; NULL: nothing, or it is gone. */
int events_check_row(struct store_txn *txn, struct slice key, const char **kind, const char **what);

#endif
