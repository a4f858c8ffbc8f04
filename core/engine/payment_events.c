/* Events of payments and of what follows from them, in the transaction of the step. */
#include "engine/paying.h"

#include "base/id.h"

int paying_tell(struct paying *paying, enum event_type happened, const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    bool arrived = shown->received_ms != 0;
    bool back = happened == EVENT_PAYMENT_REFUNDED || happened == EVENT_PAYMENT_DISPUTE_LOST;
    uint64_t in = arrived ? shown->received : shown->amount;
    struct event event;
    event_begin(&event, happened, shown->user_id, &shown->id);
    event_add_text(&event, EVENT_FIELD_PRICE, shown->price);
    event_add_uint(&event, EVENT_FIELD_AMOUNT, back ? shown->refunded : in);
    event_add_text(&event, EVENT_FIELD_CURRENCY,
                   arrived ? shown->received_currency : shown->currency);
    event_add_text(&event, EVENT_FIELD_REASON,
                   happened == EVENT_PAYMENT_REFUSED ? jini_payment_refusal_text(shown->refusal)
                                                     : shown->reason);
    if (happened == EVENT_PAYMENT_SETTLED) {
        event_add_text(&event, EVENT_FIELD_TIER, shown->tier);
        event_add_uint(&event, EVENT_FIELD_CREDITS, shown->credits);
    }
    return events_append(paying->txn->store, &event);
}

int tell_tier(struct store_txn *txn, uint64_t user_id, const char *tier, const char *before)
{
    struct event event;
    if (strcmp(tier, before) == 0)
        return 0;
    event_begin(&event, EVENT_USER_TIER_CHANGED, user_id, NULL);
    event_add_text(&event, EVENT_FIELD_TIER, tier);
    event_add_text(&event, EVENT_FIELD_TIER_BEFORE, before);
    return events_append(txn, &event);
}

/* ---- Periods ---- */

static int tell_period(struct paying *paying, enum event_type happened, const struct period *period)
{
    const struct subscription *periods = &paying->periods;
    const struct period *last = periods->count ? &periods->periods[periods->count - 1] : period;
    struct event event;
    event_begin(&event, happened, periods->user_id, &period->payment_id);
    event_add_text(&event, EVENT_FIELD_TIER, period->tier);
    if (last->ends_ms != PAYMENT_FOREVER)
        event_add_uint(&event, EVENT_FIELD_PAID_MS, last->ends_ms);
    if (happened == EVENT_SUBSCRIPTION_PAST_DUE)
        event_add_uint(&event, EVENT_FIELD_GRACE_MS, periods->grace_ms);
    return events_append(paying->txn->store, &event);
}

/* One that was not there before; NULL: there is none. */
static const struct period *find_new(const struct subscription *before,
                                     const struct subscription *now)
{
    for (uint32_t i = 0; i < now->count; i++) {
        if (!subscription_period(before, &now->periods[i].payment_id))
            return &now->periods[i];
    }
    return NULL;
}

static int tell_flags(struct paying *paying, const struct subscription *before)
{
    const struct subscription *now = &paying->periods;
    const struct period *last = &now->periods[now->count - 1];
    uint32_t set = now->flags & ~before->flags;
    uint32_t cleared = before->flags & ~now->flags;
    int status = 0;
    if (set & SUBSCRIPTION_PAST_DUE)
        status = tell_period(paying, EVENT_SUBSCRIPTION_PAST_DUE, last);
    if (status == 0 && set & SUBSCRIPTION_CANCELLED)
        status = tell_period(paying, EVENT_SUBSCRIPTION_CANCELLED, last);
    if (status == 0 && cleared & SUBSCRIPTION_CANCELLED)
        status = tell_period(paying, EVENT_SUBSCRIPTION_RESUMED, last);
    return status;
}

int paying_tell_periods(struct paying *paying)
{
    const struct subscription before = paying->told;
    const struct subscription *now = &paying->periods;
    const struct period *begun = find_new(&before, now);
    int status = 0;
    paying->told = paying->periods;
    if (before.count > 0 && now->count == 0)
        return tell_period(paying, EVENT_SUBSCRIPTION_ENDED, &before.periods[before.count - 1]);
    if (begun)
        status = tell_period(
            paying, before.count == 0 ? EVENT_SUBSCRIPTION_STARTED : EVENT_SUBSCRIPTION_RENEWED,
            begun);
    return status || now->count == 0 ? status : tell_flags(paying, &before);
}
