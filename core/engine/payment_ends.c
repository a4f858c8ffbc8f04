/* Payments: the calls that end one, each by what its payment becomes. */
#include "engine/paying.h"

#include "base/error.h"

static int invalid(struct jini_error *error, const char *field, const char *rule)
{
    return error_set(error, JINI_E_INVALID, field, "%s", rule);
}

/* ---- The other ways on ---- */

static int check_end(void *request, enum txn_place place)
{
    struct jini_payment_end *end = request;
    (void)place;
    int status = payment_check_id(&end->id, &end->request.error);
    return status ? status
                  : payment_check_text(end->reason, sizeof(end->reason), "reason",
                                       &end->request.error);
}

static int check_resolve(void *request, enum txn_place place)
{
    struct jini_payment_end *end = request;
    struct jini_error *error = &end->request.error;
    int status = check_end(request, place);
    if (status == 0 && end->outcome != JINI_DISPUTE_WON && end->outcome != JINI_DISPUTE_LOST)
        status = invalid(error, "outcome", "a dispute is won or lost");
    if (status == 0 && end->fee > JINI_MONEY_MAX)
        status = invalid(error, "fee", "it is at most 10^12 of the currency's smallest unit");
    return status;
}

static int wrong_state(const struct payment *payment, const char *what, struct jini_error *error)
{
    return error_set(error, JINI_E_CONFLICT, "state", "the payment is %s, and so it is not %s",
                     jini_payment_state_name(payment->shown.state), what);
}

/* What one of these calls does: `repeats` says whether it was made before, `run` does it. */
struct ending {
    int (*repeats)(const struct jini_payment_end *end, const struct payment *payment,
                   bool *repeated, struct jini_error *error);
    int (*run)(struct paying *paying, const struct jini_payment_end *end, struct payment *payment);
    enum event_type happened;
};

static int run_end(struct jini_txn *txn, struct jini_payment_end *end, const struct ending *ending)
{
    struct jini_error *error = &end->request.error;
    struct payment payment;
    struct paying paying;
    bool repeated = false;
    uint64_t expired;
    end->repeated = 0;
    int status = payments_read(txn->store, &end->id, &payment, error);
    if (status == 0)
        status = ending->repeats(end, &payment, &repeated, error);
    if (status)
        return status;
    if (repeated) {
        end->repeated = 1;
        return payment_show(txn->store, &end->id, &end->payment, NULL, error);
    }
    status = paying_begin(&paying, txn, payment.shown.user_id, error);
    if (status == 0)
        status = grants_expire(&paying.grants, payment.shown.user_id, &expired);
    if (status == 0) /* which the periods may have written */
        status = payments_read(txn->store, &end->id, &payment, error);
    if (status == 0)
        status = paying_recognise(&paying, &payment);
    if (status)
        return status;
    if (end->reason[0] != '\0')
        memcpy(payment.shown.reason, end->reason, sizeof(payment.shown.reason));
    status = ending->run(&paying, end, &payment);
    return status ? status : payment_finish(&paying, &payment, ending->happened, &end->payment);
}

/* ---- Failing ---- */

static int fail_repeats(const struct jini_payment_end *end, const struct payment *payment,
                        bool *repeated, struct jini_error *error)
{
    uint32_t state = payment->shown.state;
    (void)end;
    *repeated = state == JINI_PAYMENT_FAILED;
    return *repeated || state == JINI_PAYMENT_INTENT ? 0 : wrong_state(payment, "failed", error);
}

static int run_fail(struct paying *paying, const struct jini_payment_end *end,
                    struct payment *payment)
{
    (void)end;
    payment->shown.state = JINI_PAYMENT_FAILED;
    payment->shown.ended_ms = paying->now_ms;
    return 0;
}

static int op_fail(struct jini_txn *txn, void *request)
{
    static const struct ending fail = {fail_repeats, run_fail, EVENT_PAYMENT_FAILED};
    return run_end(txn, request, &fail);
}

/* ---- Refunding ---- */

static int refund_repeats(const struct jini_payment_end *end, const struct payment *payment,
                          bool *repeated, struct jini_error *error)
{
    const struct jini_payment *shown = &payment->shown;
    bool refused = shown->state == JINI_PAYMENT_REFUSED && shown->received_ms != 0;
    uint64_t amount = end->amount ? end->amount : shown->received;
    *repeated = shown->state == JINI_PAYMENT_REFUNDED && shown->outcome != JINI_DISPUTE_LOST;
    if (*repeated)
        return amount == shown->refunded ? 0 : payment_differs(error, "amount");
    if (shown->state != JINI_PAYMENT_SETTLED && !refused)
        return wrong_state(payment, "refunded", error);
    if (amount > shown->received)
        return error_set(error, JINI_E_INVALID, "amount", "%llu; %llu arrived",
                         (unsigned long long)amount, (unsigned long long)shown->received);
    if (refused && amount != shown->received)
        return invalid(error, "amount", "what bought nothing is paid back as a whole");
    return 0;
}

/* The money goes back, from what is deferred first; what is left of that is revenue. */
static int pay_back(struct paying *paying, struct payment *payment, uint64_t amount)
{
    struct jini_payment *shown = &payment->shown;
    bool refused = shown->state == JINI_PAYMENT_REFUSED;
    uint64_t deferred = payment_deferred(payment);
    uint64_t from_deferred = amount < deferred ? amount : deferred;
    uint64_t from_revenue = refused ? 0 : amount - from_deferred;
    uint64_t kept = deferred - from_deferred;
    shown->revenue += kept;
    shown->refunded = amount;
    shown->state = JINI_PAYMENT_REFUNDED;
    shown->ended_ms = paying->now_ms;
    const struct books_move moves[] = {
        {BOOKS_REFUNDED_DEFERRED, 0, CHART_DEFERRED, CHART_CASH, from_deferred},
        {BOOKS_REFUNDED_REVENUE, 0, CHART_REFUNDS, CHART_CASH, from_revenue},
        {BOOKS_REFUNDED_UNMATCHED, 0, CHART_UNMATCHED, CHART_CASH, refused ? amount : 0},
        {BOOKS_RECOGNISED, shown->revenue, CHART_DEFERRED, CHART_REVENUE, kept},
    };
    return books_post(&paying->grants, payment, moves, 4);
}

static int run_refund(struct paying *paying, const struct jini_payment_end *end,
                      struct payment *payment)
{
    int status = 0;
    if (payment->shown.state == JINI_PAYMENT_SETTLED)
        status = paying_take_back(paying, payment);
    return status ? status
                  : pay_back(paying, payment, end->amount ? end->amount : payment->shown.received);
}

static int op_refund(struct jini_txn *txn, void *request)
{
    static const struct ending refund = {refund_repeats, run_refund, EVENT_PAYMENT_REFUNDED};
    return run_end(txn, request, &refund);
}

/* ---- Disputes ---- */

static int dispute_repeats(const struct jini_payment_end *end, const struct payment *payment,
                           bool *repeated, struct jini_error *error)
{
    const struct jini_payment *shown = &payment->shown;
    (void)end;
    *repeated = shown->disputed_ms != 0;
    return *repeated || shown->state == JINI_PAYMENT_SETTLED
               ? 0
               : wrong_state(payment, "disputed", error);
}

static int run_dispute(struct paying *paying, const struct jini_payment_end *end,
                       struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    const struct books_move move = {BOOKS_DISPUTED, 0, CHART_DISPUTED, CHART_CASH, shown->received};
    (void)end;
    int status = paying_take_back(paying, payment);
    shown->state = JINI_PAYMENT_DISPUTED;
    shown->disputed_ms = paying->now_ms;
    return status ? status : books_post(&paying->grants, payment, &move, 1);
}

static int op_dispute(struct jini_txn *txn, void *request)
{
    static const struct ending dispute = {dispute_repeats, run_dispute, EVENT_PAYMENT_DISPUTED};
    return run_end(txn, request, &dispute);
}

static int resolve_repeats(const struct jini_payment_end *end, const struct payment *payment,
                           bool *repeated, struct jini_error *error)
{
    const struct jini_payment *shown = &payment->shown;
    *repeated = shown->outcome != JINI_DISPUTE_OPEN;
    if (*repeated && shown->outcome != end->outcome)
        return payment_differs(error, "outcome");
    if (*repeated)
        return payment->dispute_fee == end->fee ? 0 : payment_differs(error, "fee");
    return shown->state == JINI_PAYMENT_DISPUTED ? 0 : wrong_state(payment, "resolved", error);
}

/* Time that cannot be given again, since the user has it by now, is revenue. */
static int give_again(struct paying *paying, struct payment *payment, uint32_t *refusal)
{
    int status = paying_give(paying, payment, paying->now_ms, refusal);
    if (status || *refusal == JINI_REFUSAL_NONE || *refusal == JINI_REFUSAL_GRANTS)
        return status;
    payment->served_ms = payment->period_ms;
    return paying_give(paying, payment, paying->now_ms, refusal);
}

static int run_won(struct paying *paying, struct payment *payment)
{
    const struct books_move moves[] = {
        {BOOKS_WON, 0, CHART_CASH, CHART_DISPUTED, payment->shown.received},
        {BOOKS_LOST_FEE, 0, CHART_FEES, CHART_CASH, payment->dispute_fee},
    };
    uint32_t refusal;
    payment->shown.state = JINI_PAYMENT_SETTLED;
    int status = give_again(paying, payment, &refusal);
    if (status == 0 && refusal == JINI_REFUSAL_GRANTS)
        return error_set(paying->error, JINI_E_BUSY, "grants",
                         "the user has as many grants of credits as one may have; come back when "
                         "one is used up");
    if (status == 0)
        status = books_post(&paying->grants, payment, moves, 2);
    return status ? status : paying_recognise(paying, payment);
}

static int run_lost(struct paying *paying, struct payment *payment)
{
    struct jini_payment *shown = &payment->shown;
    uint64_t deferred = payment_deferred(payment);
    const struct books_move moves[] = {
        {BOOKS_LOST_DEFERRED, 0, CHART_DEFERRED, CHART_DISPUTED, deferred},
        {BOOKS_LOST_REVENUE, 0, CHART_REFUNDS, CHART_DISPUTED, shown->received - deferred},
        {BOOKS_LOST_FEE, 0, CHART_FEES, CHART_CASH, payment->dispute_fee},
    };
    shown->state = JINI_PAYMENT_REFUNDED;
    shown->refunded = shown->received;
    shown->ended_ms = paying->now_ms;
    return books_post(&paying->grants, payment, moves, 3);
}

static int run_resolve(struct paying *paying, const struct jini_payment_end *end,
                       struct payment *payment)
{
    payment->shown.outcome = end->outcome;
    payment->dispute_fee = end->fee;
    return end->outcome == JINI_DISPUTE_WON ? run_won(paying, payment) : run_lost(paying, payment);
}

static int op_resolve(struct jini_txn *txn, void *request)
{
    static const struct ending won = {resolve_repeats, run_resolve, EVENT_PAYMENT_DISPUTE_WON};
    static const struct ending lost = {resolve_repeats, run_resolve, EVENT_PAYMENT_DISPUTE_LOST};
    const struct jini_payment_end *end = request;
    return run_end(txn, request, end->outcome == JINI_DISPUTE_WON ? &won : &lost);
}

/* ---- The calls ---- */

static const struct txn_form fail_form =
    PAYMENT_FORM(REQUEST_PAYMENT_FAIL, jini_payment_end, check_end, op_fail, STORE_RELEASE);
static const struct txn_form refund_form =
    PAYMENT_FORM(REQUEST_PAYMENT_REFUND, jini_payment_end, check_end, op_refund, STORE_RELEASE);
static const struct txn_form dispute_form =
    PAYMENT_FORM(REQUEST_PAYMENT_DISPUTE, jini_payment_end, check_end, op_dispute, STORE_RELEASE);
static const struct txn_form resolve_form = PAYMENT_FORM(REQUEST_PAYMENT_RESOLVE, jini_payment_end,
                                                         check_resolve, op_resolve, STORE_RELEASE);

int jini_payment_fail(struct jini *jini, struct jini_payment_end *end, jini_callback *callback)
{
    return txn_submit(jini, &end->request, &fail_form, callback);
}

int jini_txn_payment_fail(struct jini_txn *txn, struct jini_payment_end *end)
{
    return txn_call(txn, &end->request, &fail_form);
}

int jini_payment_refund(struct jini *jini, struct jini_payment_end *end, jini_callback *callback)
{
    return txn_submit(jini, &end->request, &refund_form, callback);
}

int jini_txn_payment_refund(struct jini_txn *txn, struct jini_payment_end *end)
{
    return txn_call(txn, &end->request, &refund_form);
}

int jini_payment_dispute(struct jini *jini, struct jini_payment_end *end, jini_callback *callback)
{
    return txn_submit(jini, &end->request, &dispute_form, callback);
}

int jini_txn_payment_dispute(struct jini_txn *txn, struct jini_payment_end *end)
{
    return txn_call(txn, &end->request, &dispute_form);
}

int jini_payment_resolve(struct jini *jini, struct jini_payment_end *end, jini_callback *callback)
{
    return txn_submit(jini, &end->request, &resolve_form, callback);
}

int jini_txn_payment_resolve(struct jini_txn *txn, struct jini_payment_end *end)
{
    return txn_call(txn, &end->request, &resolve_form);
}
