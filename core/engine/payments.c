/*
 * Payments: the calls. Each finds out whether it was made before, then what the payment is to
 * become; paying.h has what follows from that.
 */
#include "engine/paying.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "ledger/currency.h"
#include "ledger/prices.h"

enum { SAME_MAX = 64 };

/* ---- What is given ---- */

static int invalid(struct jini_error *error, const char *field, const char *rule)
{
    return error_set(error, JINI_E_INVALID, field, "%s", rule);
}

int payment_check_text(const char *text, size_t capacity, const char *field,
                       struct jini_error *error)
{
    const char *end = memchr(text, '\0', capacity);
    if (end && text_is_utf8(slice_of(text, (size_t)(end - text))))
        return 0;
    return error_set(error, JINI_E_INVALID, field, "UTF-8 text of up to %zu bytes is taken",
                     capacity - 1);
}

int payment_check_id(const struct jini_id *id, struct jini_error *error)
{
    return id_is_zero(id) ? invalid(error, "id", "a payment has an id") : 0;
}

/* Both or neither. */
static int check_reference(const char provider[JINI_PROVIDER_MAX],
                           const char reference[JINI_REFERENCE_MAX], struct jini_error *error)
{
    int status = payment_check_text(provider, JINI_PROVIDER_MAX, "provider", error);
    if (status == 0)
        status = payment_check_text(reference, JINI_REFERENCE_MAX, "reference", error);
    if (status == 0 && provider[0] == '\0' && reference[0] != '\0')
        status = invalid(error, "provider", "a reference is some provider's");
    return status;
}

/* An amount with its currency; both, or where nothing is said neither. */
static int check_money(uint64_t amount, const char currency[JINI_CURRENCY_MAX], bool needed,
                       struct jini_error *error)
{
    struct jini_currency found;
    if (!needed && amount == 0 && currency[0] == '\0')
        return 0;
    if (amount < 1 || amount > JINI_MONEY_MAX)
        return invalid(error, "amount", "it is 1 to 10^12 of the currency's smallest unit");
    return currency_check(currency, &found, error);
}

static int check_time(const struct jini_txn *txn, uint64_t at_ms, struct jini_error *error)
{
    return at_ms > txn->now_ms ? invalid(error, "at_ms", "it lies in the future") : 0;
}

int payment_differs(struct jini_error *error, const char *field)
{
    return error_set(error, JINI_E_CONFLICT, field,
                     "the payment was made before with another %s; nothing was changed", field);
}

/* ---- What is answered ---- */

int payment_finish(struct paying *paying, struct payment *payment, enum event_type happened,
                   struct jini_payment *out)
{
    int status = paying_save(paying, payment);
    if (status == 0 && happened)
        status = paying_tell(paying, happened, payment);
    if (status == 0)
        status = paying_end(paying);
    /* A period that was over at once has written it anew. */
    return status ? status
                  : payment_show(paying->txn->store, &payment->shown.id, out, NULL, paying->error);
}

/* ---- Intending ---- */

static int check_intend(void *request, enum txn_place place)
{
    struct jini_payment_intend *intend = request;
    struct jini_error *error = &intend->request.error;
    bool has_price = intend->price[0] != '\0';
    (void)place;
    int status = check_flags(intend->flags, JINI_PAYMENT_IMPORTED, error);
    if (status == 0)
        status = payment_check_id(&intend->id, error);
    if (status == 0 && has_price)
        status = prices_check_name(intend->price, "price", error);
    if (status == 0)
        status = check_money(intend->amount, intend->currency, !has_price, error);
    return status ? status : check_reference(intend->provider, intend->reference, error);
}

/* Whether a payment is the one that is intended; what was not said then does not count. */
static int compare_intent(const struct jini_payment_intend *intend, const struct payment *payment,
                          struct jini_error *error)
{
    const struct jini_payment *old = &payment->shown;
    if (old->user_id != intend->user_id)
        return payment_differs(error, "user_id");
    if (intend->price[0] != '\0' && strcmp(old->price, intend->price) != 0)
        return payment_differs(error, "price");
    if (intend->amount != 0 && old->amount != intend->amount)
        return payment_differs(error, "amount");
    if (intend->currency[0] != '\0' && strcmp(old->currency, intend->currency) != 0)
        return payment_differs(error, "currency");
    if (intend->provider[0] != '\0' && old->provider[0] != '\0' &&
        strcmp(old->provider, intend->provider) != 0)
        return payment_differs(error, "provider");
    if (intend->reference[0] != '\0' && old->reference[0] != '\0' &&
        strcmp(old->reference, intend->reference) != 0)
        return payment_differs(error, "reference");
    return 0;
}

static int user_exists(struct jini_txn *txn, uint64_t user_id, struct jini_error *error)
{
    struct jini_user user;
    int status = accounts_user_get(txn->store, user_id, &user);
    return status == JINI_E_NOT_FOUND
               ? error_set(error, status, "user_id", "there is no user of this id")
               : status;
}

/* The payment of that id. JINI_E_NOT_FOUND: it is a new one. */
static int find_by_id(struct jini_txn *txn, const struct jini_payment_intend *intend,
                      struct payment *out, struct jini_error *error)
{
    int status = payments_read(txn->store, &intend->id, out, error);
    if (status == JINI_E_NOT_FOUND)
        error_clear(error);
    return status ? status : compare_intent(intend, out, error);
}

/* The payment that has a reference; zero: none has it, or there is no reference. */
static int owner_of_reference(struct jini_txn *txn, const char *provider, const char *reference,
                              struct jini_id *owner, struct jini_error *error)
{
    memset(owner, 0, sizeof(*owner));
    int status = reference[0] == '\0' ? JINI_E_NOT_FOUND
                                      : payments_find(txn->store, provider, reference, owner);
    if (status == 0 || status == JINI_E_NOT_FOUND)
        return 0;
    return error_set(error, status, "reference", "its row cannot be read: %s",
                     jini_status_text(status));
}

static int taken(struct jini_error *error)
{
    return error_set(error, JINI_E_EXISTS, "reference",
                     "another payment has this reference of the provider");
}

/* The payment that is intended, by its id or its reference. JINI_E_NOT_FOUND: it is a new one. */
static int find_intended(struct jini_txn *txn, const struct jini_payment_intend *intend,
                         struct payment *out, struct jini_error *error)
{
    struct jini_id owner;
    int status = find_by_id(txn, intend, out, error);
    if (status != JINI_E_NOT_FOUND)
        return status;
    status = owner_of_reference(txn, intend->provider, intend->reference, &owner, error);
    if (status || id_is_zero(&owner))
        return status ? status : JINI_E_NOT_FOUND;
    status = payments_read(txn->store, &owner, out, error);
    if (status)
        return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
    return compare_intent(intend, out, error) ? taken(error) : 0;
}

/* What the price says, or why there is none. */
static int match(struct jini_txn *txn, const struct jini_payment_intend *intend,
                 struct payment *payment, struct jini_error *error)
{
    struct jini_payment *shown = &payment->shown;
    struct jini_price price;
    bool named = intend->price[0] != '\0';
    int status = named ? prices_find(txn->store, intend->price, 0, &price, error)
                       : prices_match(txn->store, intend->currency, intend->amount, &price, error);
    shown->amount = intend->amount;
    memcpy(shown->currency, intend->currency, sizeof(shown->currency));
    if (status == JINI_E_NOT_FOUND && named && intend->amount == 0)
        return error_set(error, JINI_E_INVALID, "price",
                         "there is no price \"%s\", and no amount is given", intend->price);
    if (status == JINI_E_NOT_FOUND) {
        memcpy(shown->price, intend->price, sizeof(shown->price));
        shown->refusal = JINI_REFUSAL_NO_PRICE;
        return 0;
    }
    if (status)
        return status;
    memcpy(shown->price, price.name, sizeof(shown->price));
    memcpy(shown->tier, price.tier, sizeof(shown->tier));
    shown->price_version = price.version;
    shown->days = price.days;
    shown->credits = price.credits;
    payment->priority = price.priority;
    payment->credits_expire = price.credits_expire;
    if (intend->amount == 0) {
        shown->amount = price.amount;
        memcpy(shown->currency, price.currency, sizeof(shown->currency));
    } else if (strcmp(price.currency, intend->currency) != 0) {
        shown->refusal = JINI_REFUSAL_CURRENCY;
    } else if (price.amount != intend->amount) {
        shown->refusal = JINI_REFUSAL_AMOUNT;
    }
    return 0;
}

/* A payment for the same price that the user began just before; JINI_E_NOT_FOUND. */
static int find_same(struct paying *paying, const struct payment *wanted, struct payment *out)
{
    uint64_t same_ms = paying->txn->jini->options.payments_same_ms;
    struct jini_id id = paying->periods.last_payment;
    int recent = 0;
    for (int i = 0; same_ms > 0 && !id_is_zero(&id) && i < SAME_MAX; i++, id = out->previous) {
        int status = payments_read(paying->txn->store, &id, out, paying->error);
        if (status)
            return status;
        const struct jini_payment *shown = &out->shown;
        if (paying->now_ms - shown->created_ms >= same_ms)
            continue; /* it may have been imported since */
        recent++;
        if (shown->price_version != 0 && shown->price_version == wanted->shown.price_version &&
            (shown->state == JINI_PAYMENT_INTENT || shown->state == JINI_PAYMENT_SETTLED))
            return 0;
    }
    if (recent == SAME_MAX)
        return error_set(paying->error, JINI_E_BUSY, "payments",
                         "the user began %d payments within payments.same_ms; come back later",
                         SAME_MAX);
    return JINI_E_NOT_FOUND;
}

static int begin_payment(struct paying *paying, struct jini_payment_intend *intend)
{
    struct jini_error *error = &intend->request.error;
    struct payment payment = {.shown = {.id = intend->id, .user_id = intend->user_id}};
    struct payment same;
    struct jini_payment *shown = &payment.shown;
    int status = match(paying->txn, intend, &payment, error);
    if (status)
        return status;
    bool imported = intend->flags & JINI_PAYMENT_IMPORTED;
    status = imported || shown->refusal ? JINI_E_NOT_FOUND : find_same(paying, &payment, &same);
    if (status == 0) {
        intend->repeated = 1;
        return payment_show(paying->txn->store, &same.shown.id, &intend->payment, NULL, error);
    }
    if (status != JINI_E_NOT_FOUND)
        return status;
    error_clear(error);
    shown->state = shown->refusal ? JINI_PAYMENT_REFUSED : JINI_PAYMENT_INTENT;
    shown->created_ms = intend->at_ms ? intend->at_ms : paying->now_ms;
    memcpy(shown->provider, intend->provider, sizeof(shown->provider));
    memcpy(shown->reference, intend->reference, sizeof(shown->reference));
    payment.previous = paying->periods.last_payment;
    paying->periods.last_payment = shown->id;
    status = shown->reference[0] != '\0' ? payments_name(paying->txn->store, &payment) : 0;
    enum event_type happened = shown->refusal ? EVENT_PAYMENT_REFUSED : 0;
    return status ? status : payment_finish(paying, &payment, happened, &intend->payment);
}

static int op_intend(struct jini_txn *txn, void *request)
{
    struct jini_payment_intend *intend = request;
    struct jini_error *error = &intend->request.error;
    struct payment old;
    struct paying paying;
    intend->repeated = 0;
    int status = check_time(txn, intend->at_ms, error);
    if (status == 0)
        status = user_exists(txn, intend->user_id, error);
    if (status)
        return status;
    status = find_intended(txn, intend, &old, error);
    if (status == 0) {
        intend->repeated = 1;
        return payment_show(txn->store, &old.shown.id, &intend->payment, NULL, error);
    }
    if (status != JINI_E_NOT_FOUND)
        return status;
    status = paying_begin(&paying, txn, intend->user_id, error);
    return status ? status : begin_payment(&paying, intend);
}

/* ---- Settling ---- */

static int check_settle(void *request, enum txn_place place)
{
    struct jini_payment_settle *settle = request;
    struct jini_error *error = &settle->request.error;
    (void)place;
    int status = payment_check_id(&settle->id, error);
    if (status == 0)
        status = check_money(settle->amount, settle->currency, false, error);
    if (status == 0)
        status = check_reference(settle->provider, settle->reference, error);
    if (status == 0 && settle->fee > JINI_MONEY_MAX)
        status = invalid(error, "fee", "it is at most the amount");
    return status;
}

/* Its money has arrived before: the same call again, or another one. */
static int compare_settled(const struct jini_payment_settle *settle, const struct payment *payment,
                           struct jini_error *error)
{
    const struct jini_payment *old = &payment->shown;
    if (settle->provider[0] != '\0' && strcmp(old->provider, settle->provider) != 0)
        return payment_differs(error, "provider");
    if (settle->reference[0] != '\0' && strcmp(old->reference, settle->reference) != 0)
        return payment_differs(error, "reference");
    if (settle->amount != 0 && old->received != settle->amount)
        return payment_differs(error, "amount");
    if (settle->currency[0] != '\0' && strcmp(old->received_currency, settle->currency) != 0)
        return payment_differs(error, "currency");
    return old->fee == settle->fee ? 0 : payment_differs(error, "fee");
}

/* The provider's reference, which may be known only now. */
static int take_reference(struct paying *paying, const struct jini_payment_settle *settle,
                          struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    struct jini_id owner;
    if (settle->provider[0] != '\0' && shown->provider[0] != '\0' &&
        strcmp(shown->provider, settle->provider) != 0)
        return payment_differs(paying->error, "provider");
    if (settle->reference[0] != '\0' && shown->reference[0] != '\0' &&
        strcmp(shown->reference, settle->reference) != 0)
        return payment_differs(paying->error, "reference");
    int status =
        owner_of_reference(paying->txn, settle->provider, settle->reference, &owner, paying->error);
    if (status)
        return status;
    if (!id_is_zero(&owner))
        return id_equal(&owner, &shown->id) ? 0 : taken(paying->error);
    if (settle->provider[0] != '\0')
        memcpy(shown->provider, settle->provider, sizeof(shown->provider));
    if (settle->reference[0] != '\0')
        memcpy(shown->reference, settle->reference, sizeof(shown->reference));
    return settle->reference[0] != '\0' ? payments_name(paying->txn->store, payment) : 0;
}

/* What arrived, and whether it is what the price asks for. */
static int receive(struct paying *paying, const struct jini_payment_settle *settle,
                   struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    bool as_intended = settle->amount == 0;
    shown->received = as_intended ? shown->amount : settle->amount;
    memcpy(shown->received_currency, as_intended ? shown->currency : settle->currency,
           sizeof(shown->received_currency));
    shown->received_ms = settle->at_ms ? settle->at_ms : paying->now_ms;
    shown->fee = settle->fee;
    if (shown->fee > shown->received)
        return invalid(paying->error, "fee", "it is at most the amount");
    if (shown->state == JINI_PAYMENT_FAILED)
        shown->refusal = JINI_REFUSAL_FAILED_BEFORE;
    else if (shown->refusal == 0 && strcmp(shown->received_currency, shown->currency) != 0)
        shown->refusal = JINI_REFUSAL_CURRENCY;
    else if (shown->refusal == 0 && shown->received != shown->amount)
        shown->refusal = JINI_REFUSAL_AMOUNT;
    return 0;
}

/* What is bought for it, as the price said when the payment was begun. */
static int take_terms(struct paying *paying, struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    struct jini_price price;
    int status =
        prices_find(paying->txn->store, shown->price, shown->price_version, &price, paying->error);
    if (status)
        return error_set(paying->error, status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status,
                         "price", "the price of the payment cannot be read");
    payment->credits_amount = price.credits_amount;
    payment->tier_amount = shown->received - price.credits_amount;
    if (price.tier[0] != '\0')
        payment->period_ms =
            price.days == JINI_FOREVER ? PAYMENT_FOREVER : price.days * BOOKS_DAY_MS;
    return 0;
}

/* Gives what was bought; JINI_REFUSAL_... where it cannot be. */
static int buy(struct paying *paying, struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    int status = take_terms(paying, payment);
    if (status == 0)
        status = paying_give(paying, payment, shown->received_ms, &shown->refusal);
    if (shown->refusal) {
        payment->tier_amount = 0;
        payment->credits_amount = 0;
        payment->period_ms = 0;
    }
    return status;
}

static int settle_payment(struct paying *paying, const struct jini_payment_settle *settle,
                          struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    int status = take_reference(paying, settle, payment);
    if (status == 0)
        status = receive(paying, settle, payment);
    if (status == 0 && shown->refusal == 0)
        status = buy(paying, payment);
    if (status)
        return status;
    shown->state = shown->refusal ? JINI_PAYMENT_REFUSED : JINI_PAYMENT_SETTLED;
    shown->ended_ms = 0;
    payment->moved_ms = paying->now_ms;
    const struct books_move moves[] = {
        {BOOKS_ARRIVED, 0, CHART_CASH, shown->refusal ? CHART_UNMATCHED : CHART_DEFERRED,
         shown->received},
        {BOOKS_FEE, 0, CHART_FEES, CHART_CASH, shown->fee},
    };
    status = books_post(&paying->grants, payment, moves, 2);
    return status ? status : paying_recognise(paying, payment);
}

static int op_settle(struct jini_txn *txn, void *request)
{
    struct jini_payment_settle *settle = request;
    struct jini_error *error = &settle->request.error;
    struct payment payment;
    struct paying paying;
    settle->repeated = 0;
    int status = check_time(txn, settle->at_ms, error);
    if (status == 0)
        status = payments_read(txn->store, &settle->id, &payment, error);
    if (status)
        return status;
    if (payment.shown.received_ms != 0) {
        settle->repeated = 1;
        status = compare_settled(settle, &payment, error);
        return status ? status
                      : payment_show(txn->store, &settle->id, &settle->payment, NULL, error);
    }
    status = paying_begin(&paying, txn, payment.shown.user_id, error);
    if (status == 0)
        status = settle_payment(&paying, settle, &payment);
    bool refused = payment.shown.state == JINI_PAYMENT_REFUSED;
    return status ? status
                  : payment_finish(&paying, &payment,
                                   refused ? EVENT_PAYMENT_REFUSED : EVENT_PAYMENT_SETTLED,
                                   &settle->payment);
}

/* ---- The calls that write ---- */

static const struct txn_form intend_form = PAYMENT_FORM(REQUEST_PAYMENT_INTEND, jini_payment_intend,
                                                        check_intend, op_intend, STORE_NEW_WORK);
static const struct txn_form settle_form = PAYMENT_FORM(REQUEST_PAYMENT_SETTLE, jini_payment_settle,
                                                        check_settle, op_settle, STORE_NEW_WORK);

int jini_payment_intend(struct jini *jini, struct jini_payment_intend *intend,
                        jini_callback *callback)
{
    return txn_submit(jini, &intend->request, &intend_form, callback);
}

int jini_txn_payment_intend(struct jini_txn *txn, struct jini_payment_intend *intend)
{
    return txn_call(txn, &intend->request, &intend_form);
}

int jini_payment_settle(struct jini *jini, struct jini_payment_settle *settle,
                        jini_callback *callback)
{
    return txn_submit(jini, &settle->request, &settle_form, callback);
}

int jini_txn_payment_settle(struct jini_txn *txn, struct jini_payment_settle *settle)
{
    return txn_call(txn, &settle->request, &settle_form);
}
