/* See books.h. */
#include "ledger/books.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/id.h"
#include "ledger/amount.h"
#include "ledger/currency.h"

#include <stdio.h>

enum { TIME_BYTES = 6 }; /* of an id: what makes ids grow with time */

static const enum chart_code codes[] = {CHART_CASH,     CHART_FEES,     CHART_DISPUTED,
                                        CHART_REFUNDS,  CHART_DEFERRED, CHART_REVENUE,
                                        CHART_UNMATCHED};

enum { CODES = sizeof(codes) / sizeof(codes[0]) };

/* ---- Posting ---- */

struct jini_id books_id(const struct jini_id *payment_id, enum books_step step, uint64_t number)
{
    uint8_t seen[JINI_ID_BYTES + 16];
    struct jini_id id = *payment_id;
    memcpy(seen, payment_id->bytes, JINI_ID_BYTES);
    store_be64(seen + JINI_ID_BYTES, step);
    store_be64(seen + JINI_ID_BYTES + 8, number);
    struct hash128 hash = hash128(slice_of(seen, sizeof(seen)));
    memcpy(id.bytes + TIME_BYTES, hash.bytes, JINI_ID_BYTES - TIME_BYTES);
    return id;
}

/* The currency whose books a payment is in: that in which it arrived. */
static int ledger_of(const struct payment *payment, uint32_t *out, struct jini_error *error)
{
    struct jini_currency currency;
    int status = jini_currency_find(payment->shown.received_currency, &currency);
    *out = currency.number;
    return status ? error_set(error, JINI_E_CORRUPT, "currency",
                              "the payment is in \"%s\", which is no currency",
                              payment->shown.received_currency)
                  : 0;
}

static int post(const struct grants_txn *txn, struct jini_transfer *transfers, uint32_t count)
{
    struct jini_transfer_reply replies[BOOKS_MOVES_MAX];
    for (uint32_t i = 0; i + 1 < count; i++)
        transfers[i].flags |= JINI_TRANSFER_LINKED;
    int status = ledger_create_transfers(txn->store, txn->batch, txn->now_ms * NS_PER_MS, transfers,
                                         count, replies, txn->error);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        uint32_t result = replies[i].result;
        if (result != JINI_TRANSFER_RESULT_CREATED &&
            result != JINI_TRANSFER_RESULT_LINKED_EVENT_FAILED)
            status = error_set(txn->error, JINI_E_CONFLICT, "transfer",
                               "the ledger does not take what is posted of the payment: %s",
                               jini_transfer_result_name(result));
    }
    return status;
}

int books_post(const struct grants_txn *txn, const struct payment *payment,
               const struct books_move *moves, uint32_t count)
{
    struct jini_transfer transfers[BOOKS_MOVES_MAX];
    uint32_t kept = 0;
    uint32_t ledger;
    JINI_ASSERT(count <= BOOKS_MOVES_MAX);
    int status = ledger_of(payment, &ledger, txn->error);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        const struct books_move *move = &moves[i];
        if (move->amount == 0)
            continue;
        transfers[kept++] = (struct jini_transfer){
            .id = books_id(&payment->shown.id, move->step, move->number),
            .debit_account_id = chart_account(ledger, move->debit),
            .credit_account_id = chart_account(ledger, move->credit),
            .amount = jini_amount_of(move->amount),
            .user_data_128 = payment->shown.id,
            .ledger = ledger,
            .code = (uint16_t)(CHART_PAYMENT + move->step),
        };
    }
    if (status || kept == 0)
        return status;
    status = chart_make(txn->store, txn->batch, txn->now_ms * NS_PER_MS, ledger, codes, CODES,
                        txn->error);
    return status ? status : post(txn, transfers, kept);
}

/* ---- Revenue ---- */

uint64_t books_share(uint64_t amount, uint64_t gone, uint64_t whole)
{
    return gone >= whole ? amount : (uint64_t)((amount128)amount * gone / whole);
}

uint64_t books_time_revenue(const struct payment *payment, const struct period *period,
                            uint64_t now_ms)
{
    uint64_t gone_ms = payment->served_ms;
    if (payment->period_ms == 0 || payment->period_ms == PAYMENT_FOREVER)
        return payment->tier_amount; /* there is no time over which to recognise it */
    if (period && now_ms > period->starts_ms)
        gone_ms += (now_ms < period->ends_ms ? now_ms : period->ends_ms) - period->starts_ms;
    return books_share(payment->tier_amount, gone_ms / BOOKS_DAY_MS,
                       payment->period_ms / BOOKS_DAY_MS);
}

uint64_t books_credits_revenue(const struct payment *payment, uint64_t left)
{
    uint64_t credits = payment->shown.credits;
    return left >= credits ? 0 : books_share(payment->credits_amount, credits - left, credits);
}

/* ---- Reading ---- */

static int read_balance(struct store_txn *txn, uint32_t ledger, enum chart_code code, bool debit,
                        int64_t *out, struct jini_error *error)
{
    struct jini_id id = chart_account(ledger, code);
    struct jini_account account;
    *out = 0;
    int status = ledger_account_get(txn, &id, &account, error);
    if (status == JINI_E_NOT_FOUND) {
        error_clear(error);
        return 0;
    }
    if (status)
        return status;
    struct balance balance = balance_of(&account.balance);
    amount128 plus = debit ? balance.debits_posted : balance.credits_posted;
    amount128 minus = debit ? balance.credits_posted : balance.debits_posted;
    amount128 size = plus > minus ? plus - minus : minus - plus;
    if (size > INT64_MAX)
        return error_set(error, JINI_E_TOO_BIG, "currency", "a balance of it is over 2^63");
    *out = plus > minus ? (int64_t)size : -(int64_t)size;
    return 0;
}

int books_read(struct store_txn *txn, const char *code, struct jini_books *out,
               struct jini_error *error)
{
    const struct {
        enum chart_code code;
        bool debit;
        int64_t *to;
    } accounts[CODES] = {
        {CHART_CASH, true, &out->cash},           {CHART_FEES, true, &out->fees},
        {CHART_DISPUTED, true, &out->disputed},   {CHART_REFUNDS, true, &out->refunds},
        {CHART_DEFERRED, false, &out->deferred},  {CHART_REVENUE, false, &out->revenue},
        {CHART_UNMATCHED, false, &out->unmatched}};
    struct jini_currency currency;
    memset(out, 0, sizeof(*out));
    int status = jini_currency_find(code, &currency);
    if (status)
        return error_set(error, JINI_E_INVALID, "currency", "it is no currency of ISO 4217");
    memcpy(out->currency, currency.code, sizeof(out->currency));
    for (size_t i = 0; status == 0 && i < CODES; i++)
        status = read_balance(txn, currency.number, accounts[i].code, accounts[i].debit,
                              accounts[i].to, error);
    return status;
}

/* ---- For verify ---- */

enum { LISTED_AT_ONCE = 32 };

/* What the transfers of a payment come to: debits less credits, by the place in `codes`. */
static int sum_up(struct store_txn *txn, const struct payment *payment, uint32_t ledger,
                  int64_t sums[CODES])
{
    struct jini_transfer found[LISTED_AT_ONCE];
    struct jini_ledger_filter filter = {.user_data_128 = payment->shown.id, .ledger = ledger};
    struct jini_ledger_cursor cursor = {0};
    struct jini_error ignored;
    struct jini_id accounts[CODES];
    size_t count;
    memset(sums, 0, CODES * sizeof(sums[0]));
    for (size_t i = 0; i < CODES; i++)
        accounts[i] = chart_account(ledger, codes[i]);
    while (cursor.state != JINI_LEDGER_LISTING_ENDED) {
        int status =
            ledger_transfers_list(txn, &filter, &cursor, found, LISTED_AT_ONCE, &count, &ignored);
        if (status)
            return status;
        for (size_t i = 0; i < count * CODES; i++) {
            const struct jini_transfer *one = &found[i / CODES];
            sums[i % CODES] += id_equal(&one->debit_account_id, &accounts[i % CODES])
                                   ? (int64_t)one->amount.low
                                   : 0;
            sums[i % CODES] -= id_equal(&one->credit_account_id, &accounts[i % CODES])
                                   ? (int64_t)one->amount.low
                                   : 0;
        }
    }
    return 0;
}

int books_check(struct store_txn *txn, const struct payment *payment, struct ledger_finding *out)
{
    const struct jini_payment *shown = &payment->shown;
    bool disputed = shown->state == JINI_PAYMENT_DISPUTED;
    bool refused = shown->state == JINI_PAYMENT_REFUSED;
    int64_t fees = (int64_t)(shown->fee + payment->dispute_fee);
    int64_t deferred = (int64_t)payment_deferred(payment);
    int64_t received = (int64_t)shown->received;
    int64_t held = disputed ? received : 0;
    int64_t back = (int64_t)shown->refunded;
    int64_t revenue = (int64_t)shown->revenue;
    int64_t unmatched = refused ? received : 0;
    /* What was paid back of revenue: all that is left between the two sides. */
    const int64_t expected[CODES] = {received - back - held - fees,
                                     fees,
                                     held,
                                     deferred + revenue + unmatched - (received - back),
                                     -deferred,
                                     -revenue,
                                     -unmatched};
    int64_t sums[CODES];
    struct jini_error ignored;
    uint32_t ledger;
    out->kind = NULL;
    if (shown->received_ms == 0)
        return 0;
    int status = ledger_of(payment, &ledger, &ignored);
    if (status == 0)
        status = sum_up(txn, payment, ledger, sums);
    for (size_t i = 0; status == 0 && i < CODES && out->kind == NULL; i++) {
        if (sums[i] == expected[i])
            continue;
        out->kind = "payment_books_wrong";
        out->field = "payment";
        snprintf(out->message, sizeof(out->message),
                 "the ledger has %lld of it in the account of code %d, and its record %lld",
                 (long long)sums[i], (int)codes[i], (long long)expected[i]);
    }
    return status_is_damage(status) ? 0 : status;
}
