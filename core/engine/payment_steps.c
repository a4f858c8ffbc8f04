/* What a payment buys is given, and taken back, in a transaction. */
#include "engine/paying.h"

#include "base/error.h"
#include "base/id.h"
#include "engine/due.h"

enum { MS_PER_S = 1000, RATE_PARTS = 1000 };

/* ---- The tier ---- */

/* What a day of it costs, by which tiers are compared. */
static uint64_t rate_of(const struct payment *payment)
{
    uint64_t days = payment->period_ms / BOOKS_DAY_MS;
    return payment->period_ms == PAYMENT_FOREVER ? 0 : payment->tier_amount * RATE_PARTS / days;
}

static int make_period(struct paying *paying, const struct payment *payment, struct period *out,
                       uint32_t *refusal)
{
    struct jini_currency currency;
    struct jini_tier tier;
    int status = accounts_tier_get(paying->txn->store, payment->shown.tier, &tier);
    if (status == JINI_E_NOT_FOUND) {
        *refusal = JINI_REFUSAL_TIER;
        return 0;
    }
    jini_currency_find(payment->shown.currency, &currency);
    *out = (struct period){
        .payment_id = payment->shown.id, .rate = rate_of(payment), .ledger = currency.number};
    memcpy(out->tier, tier.name, sizeof(out->tier));
    return status;
}

/* The payment whose period another one has interrupted keeps what was given of it. */
static int note_cut(struct paying *paying, const struct period_cut *cut)
{
    struct payment other;
    if (!cut->cut)
        return 0;
    int status = payments_read(paying->txn->store, &cut->payment_id, &other, paying->error);
    if (status)
        return status;
    other.served_ms += cut->served_ms;
    status = paying_recognise(paying, &other);
    return status ? status : paying_save(paying, &other);
}

/* ---- Credits ---- */

static uint64_t expiry_of(const struct paying *paying, const struct payment *payment,
                          uint64_t at_ms)
{
    const struct period *period = subscription_period(&paying->periods, &payment->shown.id);
    if (!payment->credits_expire)
        return 0;
    return period ? period->ends_ms : at_ms + payment->shown.days * BOOKS_DAY_MS;
}

static int grant_credits(struct paying *paying, struct payment *payment, uint64_t at_ms)
{
    struct jini_grant grant = {
        .id = books_id(&payment->shown.id, BOOKS_GRANT, payment->grants),
        .source_id = payment->shown.id,
        .user_id = payment->shown.user_id,
        .granted = payment->shown.credits - payment->credits_gone,
        .category = JINI_GRANT_PAID,
        .priority = payment->priority,
        .expires_ms = expiry_of(paying, payment, at_ms),
    };
    if (grant.granted == 0)
        return 0;
    int status = grants_add(&paying->grants, &grant);
    if (status == 0 && grant.expires_ms > paying->now_ms)
        status = due_add(paying->txn->store, DUE_GRANT, grant.expires_ms, &grant.account_id,
                         paying->error);
    if (status)
        return status;
    paying->given = grant;
    payment->grants++;
    payment->grant_account = grant.account_id;
    payment->shown.grant_id = grant.id;
    uint64_t expired; /* of one that was paid long ago */
    return grant.expires_ms != 0 && grant.expires_ms <= paying->now_ms
               ? grants_expire(&paying->grants, grant.user_id, &expired)
               : 0;
}

/* ---- Giving ---- */

static uint64_t left_of_period(const struct payment *payment)
{
    bool forever = payment->period_ms == PAYMENT_FOREVER;
    bool served = payment->served_ms == payment->period_ms;
    return served ? 0 : forever ? PAYMENT_FOREVER : payment->period_ms - payment->served_ms;
}

static int give_tier(struct paying *paying, const struct payment *payment, uint64_t at_ms,
                     struct period_cut *cut, uint32_t *refusal)
{
    struct subscription *periods = &paying->periods;
    struct period period;
    uint64_t length_ms = left_of_period(payment);
    cut->cut = false;
    if (payment->period_ms == 0 || length_ms == 0)
        return 0;
    int status = make_period(paying, payment, &period, refusal);
    if (status == 0 && *refusal == JINI_REFUSAL_NONE)
        *refusal = (uint32_t)subscription_insert(periods, &period, length_ms, at_ms, cut);
    if (status || *refusal != JINI_REFUSAL_NONE)
        return status;
    periods->flags &= ~(uint32_t)(SUBSCRIPTION_CANCELLED | SUBSCRIPTION_PAST_DUE);
    subscription_set_grace(periods, paying->txn->jini->options.payments_grace_s * MS_PER_S);
    /* One that is over already takes no tier that was set by hand. */
    if (periods->grace_ms > paying->now_ms)
        periods->flags |= SUBSCRIPTION_HOLDS;
    return 0;
}

int paying_give(struct paying *paying, struct payment *payment, uint64_t at_ms, uint32_t *refusal)
{
    const struct subscription before = paying->periods;
    struct store_txn *store = paying->txn->store;
    struct period_cut cut;
    *refusal = JINI_REFUSAL_NONE;
    int status = give_tier(paying, payment, at_ms, &cut, refusal);
    if (status || *refusal != JINI_REFUSAL_NONE)
        return status;
    status = store_overlay_begin(store);
    if (status)
        return status;
    status = grant_credits(paying, payment, at_ms);
    if (status == 0)
        status = store_overlay_keep(store);
    else
        store_overlay_discard(store);
    if (status == JINI_E_BUSY) { /* the wallet is full */
        error_clear(paying->error);
        *refusal = JINI_REFUSAL_GRANTS;
        paying->periods = before;
        return 0;
    }
    return status ? status : note_cut(paying, &cut);
}

/* ---- Taking back ---- */

int paying_revoke(struct paying *paying, struct payment *payment, uint64_t *revoked)
{
    *revoked = 0;
    if (id_is_zero(&payment->grant_account))
        return 0;
    int status = grants_revoke(&paying->grants, &payment->shown.grant_id, revoked);
    payment->credits_gone -= *revoked;
    paying->taken_from = payment->shown.grant_id;
    paying->taken += *revoked;
    return status;
}

/* The periods behind one that is gone begin earlier, and so are their payments due earlier. */
static int make_due(struct paying *paying)
{
    struct payment other;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < paying->periods.count; i++) {
        status = payments_read(paying->txn->store, &paying->periods.periods[i].payment_id, &other,
                               paying->error);
        if (status == 0)
            status = paying_save(paying, &other);
    }
    return status;
}

/* Of credits what jobs have reserved is theirs; what comes free of it is taken later. */
int paying_take_back(struct paying *paying, struct payment *payment)
{
    struct subscription *periods = &paying->periods;
    uint64_t served_ms;
    uint64_t revoked;
    int status = 0;
    if (subscription_remove(periods, &payment->shown.id, paying->now_ms, &served_ms)) {
        payment->served_ms += served_ms;
        subscription_set_grace(periods, paying->txn->jini->options.payments_grace_s * MS_PER_S);
        status = make_due(paying);
    }
    payment->credits_gone = payment->shown.credits;
    return status ? status : paying_revoke(paying, payment, &revoked);
}

static bool was_taken_back(const struct payment *payment)
{
    uint32_t state = payment->shown.state;
    return state == JINI_PAYMENT_REFUNDED || state == JINI_PAYMENT_DISPUTED;
}

/* One grant, if a payment has brought it that was taken back. */
static int revoke_returned(struct jini_txn *txn, const struct jini_grant *grant,
                           struct jini_error *error)
{
    struct payment payment;
    struct paying paying;
    uint64_t revoked;
    if (grant->remaining == 0 || id_is_zero(&grant->source_id))
        return 0;
    int status = payments_read(txn->store, &grant->source_id, &payment, error);
    if (status == JINI_E_NOT_FOUND) {
        error_clear(error);
        return 0; /* it comes from elsewhere */
    }
    if (status || !was_taken_back(&payment))
        return status;
    status = paying_begin(&paying, txn, grant->user_id, error);
    if (status == 0)
        status = payments_read(txn->store, &grant->source_id, &payment, error);
    if (status == 0)
        status = paying_revoke(&paying, &payment, &revoked);
    if (status == 0)
        status = paying_save(&paying, &payment);
    return status ? status : paying_end(&paying);
}

int paying_revoke_returned(struct jini_txn *txn, uint64_t user_id, struct jini_error *error)
{
    struct wallet wallet;
    int status = grants_read(txn->store, user_id, &wallet, error);
    for (uint32_t i = 0; status == 0 && i < wallet.count; i++)
        status = revoke_returned(txn, &wallet.grants[i], error);
    return status;
}
