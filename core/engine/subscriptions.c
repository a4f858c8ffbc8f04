/*
 * Tiers that were paid for: how a user's periods go on, in a transaction; their calls.
 *
 *            settle                end of the last period
 *     (none) ------> ACTIVE ------------------------------> PAST_DUE
 *        ^           |    ^                                   |   |
 *        |           |    `------------ settle ---------------'   |
 *        |           | cancelled, refunded, disputed              | grace is over
 *        `-----------+--------------------------------------------'
 *             default tier
 *
 * Whoever asks for the tier reckons by the row (user_tier_at()), so that it is right at any moment;
 * the timer and the next payment write down what has become of it.
 */
#include "engine/subscriptions.h"

#include "base/error.h"
#include "base/id.h"
#include "engine/due.h"
#include "engine/paying.h"
#include "ledger/place.h"

enum { IDLE_DAYS_MAX = 30, CANCEL_BYTES = 512, MS_PER_S = 1000, MS_PER_HOUR = 3600 * 1000 };

/* ---- The tier ---- */

int user_tier_at(struct store_txn *txn, uint64_t now_ms, struct jini_user *user,
                 struct jini_error *error)
{
    struct subscription periods;
    struct subscription_view view;
    struct jini_tier tier;
    if (user->tier_until_ms == 0 || now_ms < user->tier_until_ms)
        return 0;
    int status = subscription_read(txn, user->id, &periods, error);
    if (status)
        return status;
    subscription_view(&periods, now_ms, &view);
    status = accounts_tier_get(txn, view.tier ? view.tier : ACCOUNTS_TIER_DEFAULT, &tier);
    if (status == JINI_E_NOT_FOUND) /* it was removed, though paid for */
        status = accounts_tier_get(txn, ACCOUNTS_TIER_DEFAULT, &tier);
    if (status)
        return error_set(error, status, "tier", "the tier of user %llu cannot be read: %s",
                         (unsigned long long)user->id, jini_status_text(status));
    memcpy(user->tier, tier.name, sizeof(user->tier));
    user->tier_until_ms = view.until_ms;
    return 0;
}

int subscription_let_go(struct store_txn *txn, uint64_t user_id, struct jini_error *error)
{
    struct subscription periods;
    int status = subscription_read(txn, user_id, &periods, error);
    if (status || !(periods.flags & SUBSCRIPTION_HOLDS))
        return status;
    periods.flags &= ~(uint32_t)SUBSCRIPTION_HOLDS;
    return subscription_write(txn, &periods);
}

/* The user's record, as the row says it now. */
static int hold_tier(struct paying *paying, const struct subscription_view *view)
{
    struct store_txn *store = paying->txn->store;
    uint64_t user_id = paying->periods.user_id;
    const char *tier = view->tier ? view->tier : "";
    struct jini_user before;
    struct jini_user now;
    int status = accounts_user_get(store, user_id, &before);
    if (status == 0)
        status = accounts_tier_hold(store, user_id, tier, view->until_ms, paying->error);
    if (status == JINI_E_NOT_FOUND && strcmp(paying->error->field, "tier") == 0) {
        error_clear(paying->error);
        status = accounts_tier_hold(store, user_id, "", view->until_ms, paying->error);
    }
    if (status == 0)
        status = accounts_user_get(store, user_id, &now);
    return status ? status : tell_tier(store, user_id, now.tier, before.tier);
}

/* ---- Revenue ---- */

/* The grant of its credits, all zero where it has none. */
static int grant_of(const struct paying *paying, const struct payment *payment,
                    struct jini_grant *out)
{
    memset(out, 0, sizeof(*out));
    return id_is_zero(&payment->grant_account)
               ? 0
               : grants_get(paying->txn->store, &payment->grant_account, out, paying->error);
}

/*
 * When a payment is looked at again: at the end of each day of its period; else once a day, or less
 * often the longer nothing happened to its credits, and when they expire. Of one that was taken
 * back: as long as jobs may give credits back that they had reserved.
 */
static uint64_t next_look(const struct paying *paying, const struct payment *payment,
                          const struct jini_grant *grant)
{
    const struct period *period = subscription_period(&paying->periods, &payment->shown.id);
    uint64_t now_ms = paying->now_ms;
    if (payment->shown.state != JINI_PAYMENT_SETTLED)
        return grant->reserved > 0 ? now_ms + MS_PER_HOUR : 0;
    if (payment_deferred(payment) == 0)
        return 0;
    if (period && payment->time_revenue < payment->tier_amount) {
        uint64_t from_ms = now_ms > period->starts_ms ? now_ms : period->starts_ms;
        uint64_t part_ms = (payment->served_ms + from_ms - period->starts_ms) % BOOKS_DAY_MS;
        return from_ms + BOOKS_DAY_MS - part_ms;
    }
    uint64_t idle = now_ms > payment->moved_ms ? (now_ms - payment->moved_ms) / BOOKS_DAY_MS : 0;
    uint64_t days = idle < 1 ? 1 : idle > IDLE_DAYS_MAX ? IDLE_DAYS_MAX : idle;
    uint64_t look_ms = now_ms + days * BOOKS_DAY_MS;
    return grant->expires_ms > now_ms && grant->expires_ms < look_ms ? grant->expires_ms : look_ms;
}

int paying_recognise(struct paying *paying, struct payment *payment)
{
    const struct period *period = subscription_period(&paying->periods, &payment->shown.id);
    struct jini_grant grant;
    if (payment->shown.state != JINI_PAYMENT_SETTLED)
        return 0;
    int status = grant_of(paying, payment, &grant);
    if (status)
        return status;
    uint64_t by_time = books_time_revenue(payment, period, paying->now_ms);
    uint64_t by_credits = books_credits_revenue(payment, grant.remaining + grant.reserved);
    uint64_t more = 0;
    /* What was given back to a grant does not make revenue less: it is drawn again, or expires. */
    if (by_time > payment->time_revenue) {
        more += by_time - payment->time_revenue;
        payment->time_revenue = by_time;
    }
    if (by_credits > payment->credits_revenue) {
        more += by_credits - payment->credits_revenue;
        payment->credits_revenue = by_credits;
    }
    if (more == 0)
        return 0;
    payment->shown.revenue += more;
    payment->moved_ms = paying->now_ms;
    const struct books_move move = {BOOKS_RECOGNISED, payment->shown.revenue, CHART_DEFERRED,
                                    CHART_REVENUE, more};
    return books_post(&paying->grants, payment, &move, 1);
}

int paying_save(struct paying *paying, struct payment *payment)
{
    struct jini_grant grant;
    int status = grant_of(paying, payment, &grant);
    if (status)
        return status;
    uint64_t due_ms = next_look(paying, payment, &grant);
    if (due_ms != 0 && due_ms != payment->due_ms)
        status =
            due_add(paying->txn->store, DUE_PAYMENT, due_ms, &payment->shown.id, paying->error);
    payment->due_ms = due_ms;
    return status ? status : payments_write(paying->txn->store, payment);
}

/* ---- How periods go on ---- */

/* The payment of the first period, once more of that was given. */
static int settle_first(struct paying *paying, bool is_over)
{
    const struct period first = paying->periods.periods[0];
    struct payment payment;
    int status = payments_read(paying->txn->store, &first.payment_id, &payment, paying->error);
    if (status)
        return status;
    if (is_over) {
        payment.served_ms += first.ends_ms - first.starts_ms;
        subscription_drop_first(&paying->periods);
    }
    status = paying_recognise(paying, &payment);
    return status ? status : paying_save(paying, &payment);
}

/* What was paid for is over, and the grace with it. */
static void end_subscription(struct paying *paying)
{
    struct subscription *periods = &paying->periods;
    periods->flags &= ~(uint32_t)(SUBSCRIPTION_CANCELLED | SUBSCRIPTION_PAST_DUE);
    periods->grace_ms = 0;
}

static int go_on(struct paying *paying)
{
    struct subscription *periods = &paying->periods;
    int status = 0;
    while (status == 0 && periods->count > 0 && periods->periods[0].ends_ms <= paying->now_ms) {
        bool in_grace = periods->count == 1 && paying->now_ms < periods->grace_ms;
        if (in_grace && periods->flags & SUBSCRIPTION_PAST_DUE)
            return 0;
        if (in_grace)
            periods->flags |= SUBSCRIPTION_PAST_DUE;
        status = settle_first(paying, !in_grace);
        if (status == 0 && periods->count == 0)
            end_subscription(paying);
    }
    return status;
}

int paying_begin(struct paying *paying, struct jini_txn *txn, uint64_t user_id,
                 struct jini_error *error)
{
    *paying = (struct paying){.txn = txn, .error = error};
    int status = subscription_read(txn->store, user_id, &paying->periods, error);
    paying->now_ms = txn->now_ms > paying->periods.last_ms ? txn->now_ms : paying->periods.last_ms;
    if (status == 0)
        status = grants_txn_in(txn->store, txn->jini, paying->now_ms, error, &paying->grants);
    paying->grants.news = &paying->news;
    paying->told = paying->periods;
    if (status == 0)
        status = go_on(paying);
    return status ? status : paying_tell_periods(paying);
}

/* What has become of credits. */
static int tell_credits(struct paying *paying)
{
    const struct grants_txn *grants = &paying->grants;
    uint64_t user_id = paying->periods.user_id;
    int status =
        grants_tell(grants, EVENT_CREDITS_REVOKED, user_id, &paying->taken_from, paying->taken);
    if (status == 0 && paying->news.granted > 0)
        return grants_tell_granted(grants, &paying->given);
    return status ? status : grants_tell_expired(grants, user_id);
}

int paying_end(struct paying *paying)
{
    struct subscription *periods = &paying->periods;
    struct subscription_view view;
    int status = go_on(paying); /* what was given may be over already */
    if (status)
        return status;
    if (periods->count == 0)
        end_subscription(paying);
    subscription_view(periods, paying->now_ms, &view);
    status = paying_tell_periods(paying);
    if (status == 0 && periods->flags & SUBSCRIPTION_HOLDS)
        status = hold_tier(paying, &view);
    if (status == 0)
        status = tell_credits(paying);
    if (view.tier == NULL)
        periods->flags &= ~(uint32_t)SUBSCRIPTION_HOLDS;
    uint64_t due_ms = subscription_due(periods, paying->now_ms);
    if (status == 0 && due_ms != 0 && due_ms != periods->due_ms) {
        struct jini_id id = place_user_account(periods->user_id, 0);
        status = due_add(paying->txn->store, DUE_SUBSCRIPTION, due_ms, &id, paying->error);
    }
    periods->due_ms = due_ms;
    periods->last_ms = paying->now_ms;
    return status ? status : subscription_write(paying->txn->store, periods);
}

/* ---- What is due ---- */

int subscription_due_in(struct jini_txn *txn, uint64_t user_id, uint64_t due_ms,
                        struct jini_error *error)
{
    struct subscription periods;
    struct paying paying;
    int status = subscription_read(txn->store, user_id, &periods, error);
    if (status || periods.due_ms != due_ms)
        return status;
    status = paying_begin(&paying, txn, user_id, error);
    return status ? status : paying_end(&paying);
}

int payment_due_in(struct jini_txn *txn, const struct jini_id *id, uint64_t due_ms,
                   struct jini_error *error)
{
    struct payment payment;
    struct paying paying;
    uint64_t ignored;
    int status = payments_read(txn->store, id, &payment, error);
    if (status || payment.due_ms != due_ms)
        return status;
    status = paying_begin(&paying, txn, payment.shown.user_id, error);
    if (status == 0)
        status = payments_read(txn->store, id, &payment, error); /* which that may have written */
    if (status == 0)
        status = grants_expire(&paying.grants, payment.shown.user_id, &ignored);
    if (status == 0 && payment.shown.state == JINI_PAYMENT_SETTLED)
        status = paying_recognise(&paying, &payment);
    else if (status == 0)
        status = paying_revoke(&paying, &payment, &ignored);
    if (status == 0)
        status = paying_save(&paying, &payment);
    return status ? status : paying_end(&paying);
}

/* ---- The calls ---- */

static void show(const struct subscription *periods, uint64_t now_ms, struct jini_subscription *out)
{
    struct subscription_view view;
    subscription_view(periods, now_ms, &view);
    memset(out, 0, sizeof(*out));
    out->user_id = periods->user_id;
    out->state = view.state;
    if (view.state == JINI_SUBSCRIPTION_NONE)
        return;
    const struct period *period = &periods->periods[view.index];
    out->periods = periods->count - view.index;
    out->cancelled = (periods->flags & SUBSCRIPTION_CANCELLED) != 0;
    out->holds_tier = (periods->flags & SUBSCRIPTION_HOLDS) != 0;
    memcpy(out->tier, period->tier, sizeof(out->tier));
    out->payment_id = period->payment_id;
    out->starts_ms = period->starts_ms;
    out->ends_ms = period->ends_ms;
    out->paid_ms = view.paid_ms;
    out->grace_ms = periods->grace_ms;
}

static int show_with_price(struct store_txn *txn, const struct subscription *periods,
                           uint64_t now_ms, struct jini_subscription *out, struct jini_error *error)
{
    struct payment payment;
    show(periods, now_ms, out);
    if (out->state == JINI_SUBSCRIPTION_NONE)
        return 0;
    int status = payments_read(txn, &out->payment_id, &payment, error);
    memcpy(out->price, payment.shown.price, sizeof(out->price));
    out->price_version = payment.shown.price_version;
    return status;
}

static int check_user(struct jini_txn *txn, uint64_t user_id, struct jini_error *error)
{
    struct jini_user user;
    int status = accounts_user_get(txn->store, user_id, &user);
    return status == JINI_E_NOT_FOUND
               ? error_set(error, status, "user_id", "there is no user of this id")
               : status;
}

int jini_txn_subscription_get(struct jini_txn *txn, uint64_t user_id, struct jini_subscription *out,
                              struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    uint64_t now_ms = txn->now_ms ? txn->now_ms : clock_wall_ns(txn->jini->clock) / NS_PER_MS;
    struct subscription periods;
    memset(out, 0, sizeof(*out));
    int status = check_user(txn, user_id, said);
    if (status == 0)
        status = subscription_read(txn->store, user_id, &periods, said);
    if (status == 0)
        status = show_with_price(txn->store, &periods, now_ms, out, said);
    return txn_answer(txn, status, said, "user_id", "subscription");
}

int jini_subscription_get(struct jini *jini, uint64_t user_id, struct jini_subscription *out,
                          struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_subscription_get(&txn, user_id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

static int check_cancel(void *request, enum txn_place place)
{
    struct jini_subscription_cancel *cancel = request;
    (void)place;
    return cancel->resume > 1
               ? error_set(&cancel->request.error, JINI_E_INVALID, "resume", "it is 0 or 1")
               : 0;
}

static int op_cancel(struct jini_txn *txn, void *request)
{
    struct jini_subscription_cancel *cancel = request;
    struct jini_error *error = &cancel->request.error;
    struct paying paying;
    int status = check_user(txn, cancel->user_id, error);
    if (status == 0)
        status = paying_begin(&paying, txn, cancel->user_id, error);
    if (status)
        return status;
    struct subscription *periods = &paying.periods;
    if (periods->count == 0)
        return error_set(error, JINI_E_NOT_FOUND, "subscription", "the user has none");
    periods->flags &= ~(uint32_t)SUBSCRIPTION_CANCELLED;
    periods->flags |= cancel->resume ? 0 : SUBSCRIPTION_CANCELLED;
    subscription_set_grace(periods, txn->jini->options.payments_grace_s * MS_PER_S);
    status = paying_end(&paying);
    return status
               ? status
               : show_with_price(txn->store, periods, paying.now_ms, &cancel->subscription, error);
}

static const struct txn_form cancel_form = {
    .kind = REQUEST_SUBSCRIPTION_CANCEL,
    .size = sizeof(struct jini_subscription_cancel),
    .bytes = CANCEL_BYTES,
    .class = STORE_RELEASE,
    .check = check_cancel,
    .op = op_cancel,
};

int jini_subscription_cancel(struct jini *jini, struct jini_subscription_cancel *cancel,
                             jini_callback *callback)
{
    return txn_submit(jini, &cancel->request, &cancel_form, callback);
}

int jini_txn_subscription_cancel(struct jini_txn *txn, struct jini_subscription_cancel *cancel)
{
    return txn_call(txn, &cancel->request, &cancel_form);
}
