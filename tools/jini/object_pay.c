/* See object_pay.h. */
#include "object_pay.h"

#include "layout.h"
#include "money.h"

static json_t *money(uint64_t amount, const char *currency)
{
    char text[MONEY_TEXT_MAX];
    money_format((int64_t)amount, currency, text);
    return json_string(text);
}

static json_t *signed_money(int64_t amount, const char *currency)
{
    char text[MONEY_TEXT_MAX];
    money_format(amount, currency, text);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : layout_text(text);
}

/* When something ends: null for never, and for what is not. */
static json_t *end_of(uint64_t ends_ms)
{
    return ends_ms == UINT64_MAX ? json_string("never") : layout_time(ends_ms);
}

json_t *object_price(const struct jini_price *price)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:o, s:o}", "name",
                     layout_text(price->name), "amount", money(price->amount, price->currency),
                     "currency", layout_text(price->currency), "tier", text_or_null(price->tier),
                     "days",
                     price->days == JINI_FOREVER ? json_string("for ever")
                                                 : json_integer((json_int_t)price->days),
                     "credits", layout_number(price->credits), "credits_amount",
                     money(price->credits_amount, price->currency), "credits_expire",
                     (int)price->credits_expire, "priority", (json_int_t)price->priority, "version",
                     layout_number(price->version), "changed", layout_time(price->changed_ms));
}

static json_t *outcome_of(const struct jini_payment *payment)
{
    if (payment->disputed_ms == 0)
        return json_null();
    return json_string(payment->outcome == JINI_DISPUTE_WON    ? "won"
                       : payment->outcome == JINI_DISPUTE_LOST ? "lost"
                                                               : "open");
}

/* What it bought, and what has become of its money. */
static json_t *bought(const struct jini_payment *payment)
{
    const char *currency = payment->received_ms ? payment->received_currency : payment->currency;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tier", text_or_null(payment->tier),
        "starts", layout_time(payment->starts_ms), "ends", end_of(payment->ends_ms), "credits",
        layout_number(payment->credits), "grant_id", layout_id(&payment->grant_id), "received",
        money(payment->received, currency), "fee", money(payment->fee, currency), "refunded",
        money(payment->refunded, currency), "deferred", money(payment->deferred, currency),
        "revenue", money(payment->revenue, currency));
}

json_t *object_payment(const struct jini_payment *payment)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        layout_id(&payment->id), "user_id", layout_number(payment->user_id), "state",
        jini_payment_state_name(payment->state), "refusal",
        payment->refusal ? json_string(jini_payment_refusal_text(payment->refusal)) : json_null(),
        "price", text_or_null(payment->price), "amount", money(payment->amount, payment->currency),
        "currency", layout_text(payment->currency), "provider", text_or_null(payment->provider),
        "reference", text_or_null(payment->reference), "reason", text_or_null(payment->reason),
        "created", layout_time(payment->created_ms), "arrived", layout_time(payment->received_ms),
        "ended", layout_time(payment->ended_ms), "dispute", outcome_of(payment));
    json_t *more = bought(payment);
    if (!object || !more || json_object_update(object, more) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(more);
    return object;
}

json_t *object_subscription(const struct jini_subscription *subscription)
{
    if (subscription->state == JINI_SUBSCRIPTION_NONE)
        return json_null();
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:o}", "state",
        subscription->state == JINI_SUBSCRIPTION_ACTIVE ? "active" : "past due", "tier",
        layout_text(subscription->tier), "price", text_or_null(subscription->price), "starts",
        layout_time(subscription->starts_ms), "ends", end_of(subscription->ends_ms), "paid_until",
        end_of(subscription->paid_ms), "grace_until", end_of(subscription->grace_ms), "periods",
        (json_int_t)subscription->periods, "cancelled", (int)subscription->cancelled, "holds_tier",
        (int)subscription->holds_tier, "payment_id", layout_id(&subscription->payment_id));
}

json_t *object_books(const struct jini_books *books)
{
    const char *currency = books->currency;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "currency", layout_text(currency), "cash",
        signed_money(books->cash, currency), "fees", signed_money(books->fees, currency),
        "disputed", signed_money(books->disputed, currency), "refunds",
        signed_money(books->refunds, currency), "deferred", signed_money(books->deferred, currency),
        "revenue", signed_money(books->revenue, currency), "unmatched",
        signed_money(books->unmatched, currency));
}
