/*
 * What a payment does, in its transaction: to its record, to the user's periods and tier, to
 * credits, and to the books. The calls are in payments.c.
 *
 *  1. Each step begins with paying_begin(), which brings what is over up to the present time, and
 *     ends with paying_end(), after which record, row, tier, grants and books agree.
 *  2. Time is max(now, the last time of the user's payments): a clock that was set back gives
 *     nothing twice.
 */
#ifndef ENGINE_PAYING_H
#define ENGINE_PAYING_H

#include "engine/grants.h"
#include "engine/subscriptions.h"
#include "engine/txn.h"
#include "events/events.h"
#include "ledger/books.h"
#include "ledger/payments.h"
#include "ledger/subscriptions.h"

struct paying {
    struct jini_txn *txn;
    struct grants_txn grants;
    struct subscription periods; /* of the user */
    uint64_t now_ms;
    struct jini_error *error;

    /* What is still to be told, by paying_end(). */
    struct subscription told; /* as `periods` was when it was told the last time */
    struct grants_news news;
    struct jini_grant given;
    struct jini_id taken_from; /* a grant */
    uint64_t taken;            /* of its credits */
};

/* subscriptions.c */
int paying_begin(struct paying *paying, struct jini_txn *txn, uint64_t user_id,
                 struct jini_error *error);
int paying_end(struct paying *paying);

/* Makes what of a payment is due by now revenue; says when to look again. Writes neither. */
int paying_recognise(struct paying *paying, struct payment *payment);

/* Writes the record, and when it is due. */
int paying_save(struct paying *paying, struct payment *payment);

/*
 * payment_steps.c: gives what is left of what a payment buys, as from `at_ms`. `*refusal` says why
 * that is not possible (enum jini_payment_refusal), and then nothing was given.
 */
int paying_give(struct paying *paying, struct payment *payment, uint64_t at_ms, uint32_t *refusal);

/* Takes back what was not used of it. */
int paying_take_back(struct paying *paying, struct payment *payment);

/* Takes credits that came free since. */
int paying_revoke(struct paying *paying, struct payment *payment, uint64_t *revoked);

/* payment_events.c: appends an event of a payment, and of what has become of the periods. */
int paying_tell(struct paying *paying, enum event_type happened, const struct payment *payment);
int paying_tell_periods(struct paying *paying);

/* Of the tier of a user, where it has changed. */
int tell_tier(struct store_txn *txn, uint64_t user_id, const char *tier, const char *before);

/* payments.c: what the calls share. The end of a step: all is written and told, and shown. */
int payment_finish(struct paying *paying, struct payment *payment, enum event_type happened,
                   struct jini_payment *out);
int payment_check_text(const char *text, size_t capacity, const char *field,
                       struct jini_error *error);
int payment_check_id(const struct jini_id *id, struct jini_error *error);
int payment_differs(struct jini_error *error, const char *field);

enum { PAYMENT_BYTES = 4096 + 6 * EVENT_BYTES };

#define PAYMENT_FORM(kind_, type, check_, op_, class_)                                             \
    {                                                                                              \
        .kind = (kind_), .size = sizeof(struct type), .bytes = PAYMENT_BYTES, .class = (class_),   \
        .check = (check_), .op = (op_)                                                             \
    }

/*
 * Takes credits that came back to grants of a user whose payments were refunded, lost or are
 * disputed.
 */
int paying_revoke_returned(struct jini_txn *txn, uint64_t user_id, struct jini_error *error);

/* payment_reads.c: reads a payment as callers see it, and the one before it of its user. */
int payment_show(struct store_txn *txn, const struct jini_id *id, struct jini_payment *out,
                 struct jini_id *previous, struct jini_error *error);

/* What is due, of the background; rows that another one has followed are passed over. */
int payment_due_in(struct jini_txn *txn, const struct jini_id *id, uint64_t due_ms,
                   struct jini_error *error);
int subscription_due_in(struct jini_txn *txn, uint64_t user_id, uint64_t due_ms,
                        struct jini_error *error);

#endif
