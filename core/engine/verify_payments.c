/*
 * Payments: their records against the ledger, transfer by transfer, against their references and
 * the periods of their users, and those against the tiers of the users.
 */
#include "engine/verify_private.h"

#include "base/alloc.h"
#include "base/tuple.h"
#include "engine/subscriptions.h"
#include "ledger/books.h"
#include "ledger/payments.h"
#include "ledger/prices.h"
#include "ledger/subscriptions.h"

/* So many payments are read in one snapshot to sum them up; it is some 2 s old then. */
enum { SUMMED_MAX = 500 * 1000, CURRENCIES_MAX = 32 };

/* ---- Prices ---- */

int verify_price(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct verify_place place = {.kind = "price_damaged", .field = "price"};
    if (!prices_is_key(key))
        return verify_cost(v, txn, key);
    int status = prices_check_row(txn, key);
    if (status_is_damage(status))
        verify_problem(
            v, &place,
            "price: an entry of the price list cannot be read; payments by it are refused");
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- Payments ---- */

static int check_reference(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct verify_place place = {.kind = "payment_reference_wrong", .field = "reference"};
    int status = payments_check_reference(txn, key);
    if (status_is_damage(status))
        verify_problem(v, &place,
                       "reference: the row of a provider's reference names no payment that has it");
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

/* The row of its reference names it. */
static int check_named(struct verifying *v, struct store_txn *txn, const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    const struct verify_place place = {
        .kind = "payment_reference_wrong", .field = "reference", .user_id = shown->user_id};
    struct jini_id owner;
    if (shown->reference[0] == '\0')
        return 0;
    int status = payments_find(txn, shown->provider, shown->reference, &owner);
    if (status == JINI_E_NOT_FOUND || (status == 0 && !id_equal(&owner, &shown->id)))
        verify_problem(v, &place,
                       "reference: a payment of user %llu is not found by its provider's reference",
                       (unsigned long long)shown->user_id);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

/* One that is settled and whose time is not over has a period, and no other has. */
static int check_period(struct verifying *v, struct store_txn *txn, const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    const struct verify_place place = {
        .kind = "payment_period_wrong", .field = "period", .user_id = shown->user_id};
    struct subscription periods;
    struct jini_error ignored;
    int status = subscription_read(txn, shown->user_id, &periods, &ignored);
    if (status)
        return status_is_damage(status) ? 0 : status;
    const struct period *period = subscription_period(&periods, &shown->id);
    bool settled = shown->state == JINI_PAYMENT_SETTLED;
    bool open = settled && payment->served_ms < payment->period_ms;
    uint64_t length_ms = period ? period->ends_ms - period->starts_ms : 0;
    bool right = open == (period != NULL);
    if (period && period->ends_ms != PAYMENT_FOREVER)
        right = right && payment->served_ms + length_ms == payment->period_ms;
    if (!right)
        verify_problem(v, &place,
                       "period: what user %llu has paid for by a payment is not what the user has",
                       (unsigned long long)shown->user_id);
    return 0;
}

int verify_payment(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct verify_place place = {.kind = "payment_damaged", .field = "payment"};
    struct ledger_finding finding;
    struct jini_error ignored;
    struct payment payment;
    struct jini_id id;
    int status = payments_read_key(key, &id);
    if (status == JINI_E_NOT_FOUND)
        return check_reference(v, txn, key);
    if (status == 0)
        status = payments_read(txn, &id, &payment, &ignored);
    if (status_is_damage(status))
        verify_problem(v, &place,
                       "payment: a record cannot be read; its money is not accounted for");
    if (status)
        return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
    status = books_check(txn, &payment, &finding);
    if (status == 0 && finding.kind) {
        place.kind = finding.kind;
        place.user_id = payment.shown.user_id;
        verify_problem(v, &place, "payment: %s", finding.message);
    }
    if (status == 0)
        status = check_named(v, txn, &payment);
    return status ? status : check_period(v, txn, &payment);
}

/* ---- What users have paid for ---- */

static int check_periods(struct verifying *v, struct store_txn *txn,
                         const struct subscription *periods)
{
    const struct verify_place place = {
        .kind = "subscription_wrong", .field = "period", .user_id = periods->user_id};
    struct payment payment;
    struct jini_error ignored;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < periods->count; i++) {
        status = payments_read(txn, &periods->periods[i].payment_id, &payment, &ignored);
        bool wrong = status == 0 && (payment.shown.user_id != periods->user_id ||
                                     payment.shown.state != JINI_PAYMENT_SETTLED);
        if (status == JINI_E_NOT_FOUND || wrong)
            verify_problem(v, &place, "period: user %llu has one that nobody has paid for",
                           (unsigned long long)periods->user_id);
        status = status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
    }
    return status;
}

/* Where the tier follows from the row, the user's record has that of the row's last change. */
static int check_tier(struct verifying *v, struct store_txn *txn,
                      const struct subscription *periods)
{
    const struct verify_place place = {
        .kind = "subscription_wrong", .field = "tier", .user_id = periods->user_id};
    struct subscription_view view;
    struct jini_user user;
    struct jini_tier tier;
    if (!(periods->flags & SUBSCRIPTION_HOLDS))
        return 0;
    subscription_view(periods, periods->last_ms, &view);
    int status = accounts_user_get(txn, periods->user_id, &user);
    if (status)
        return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
    bool right = view.tier && user.tier_until_ms == view.until_ms;
    if (right && strcmp(user.tier, view.tier) != 0)
        right = accounts_tier_get(txn, view.tier, &tier) == JINI_E_NOT_FOUND;
    if (!right)
        verify_problem(v, &place, "tier: user %llu does not have the tier that was paid for",
                       (unsigned long long)periods->user_id);
    return 0;
}

int verify_subscription(struct verifying *v, struct store_txn *txn, uint64_t user_id)
{
    const struct verify_place place = {
        .kind = "subscription_damaged", .field = "row", .user_id = user_id};
    struct subscription periods;
    struct jini_error ignored;
    int status = subscription_read(txn, user_id, &periods, &ignored);
    if (status_is_damage(status)) {
        verify_problem(v, &place, "row: what user %llu has paid for cannot be read",
                       (unsigned long long)user_id);
        return 0;
    }
    if (status == 0)
        status = check_periods(v, txn, &periods);
    return status ? status : check_tier(v, txn, &periods);
}

/* ---- The books ---- */

struct sums {
    uint32_t count;
    bool complete;
    struct jini_books items[CURRENCIES_MAX];
};

static void add_to_sums(struct sums *sums, const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    uint32_t i = 0;
    if (shown->received_ms == 0)
        return;
    while (i < sums->count && strcmp(sums->items[i].currency, shown->received_currency) != 0)
        i++;
    if (i == CURRENCIES_MAX) {
        sums->complete = false;
        return;
    }
    if (i == sums->count)
        memcpy(sums->items[sums->count++].currency, shown->received_currency, JINI_CURRENCY_MAX);
    sums->items[i].deferred += (int64_t)payment_deferred(payment);
    sums->items[i].unmatched += shown->state == JINI_PAYMENT_REFUSED ? (int64_t)shown->received : 0;
    sums->items[i].disputed += shown->state == JINI_PAYMENT_DISPUTED ? (int64_t)shown->received : 0;
}

static int sum_payments(struct verifying *v, struct store_txn *txn, struct sums *sums)
{
    struct jini_error ignored;
    struct payment payment;
    struct jini_id id = {{0}};
    size_t found = 1;
    sums->complete = true;
    for (uint32_t i = 0; sums->complete && found == 1; i++) {
        if (i == SUMMED_MAX || verify_cancelled(v)) {
            sums->complete = false;
            return 0;
        }
        int status = payments_list(txn, &id, &id, 1, &found);
        if (status == 0 && found == 1)
            status = payments_read(txn, &id, &payment, &ignored);
        if (status) { /* it was told */
            sums->complete = false;
            return status_is_damage(status) ? 0 : status;
        }
        if (found == 1)
            add_to_sums(sums, &payment);
    }
    return 0;
}

static int compare_books(struct verifying *v, struct store_txn *txn, const struct jini_books *sum)
{
    const struct verify_place place = {.kind = "books_wrong", .field = "books"};
    struct jini_error ignored;
    struct jini_books books;
    int status = books_read(txn, sum->currency, &books, &ignored);
    if (status)
        return status_is_damage(status) || status == JINI_E_TOO_BIG ? 0 : status;
    if (books.deferred != sum->deferred || books.unmatched != sum->unmatched ||
        books.disputed != sum->disputed)
        verify_problem(v, &place,
                       "books: the accounts of %s have %lld deferred, %lld unmatched and %lld "
                       "disputed, and the payments %lld, %lld and %lld",
                       sum->currency, (long long)books.deferred, (long long)books.unmatched,
                       (long long)books.disputed, (long long)sum->deferred,
                       (long long)sum->unmatched, (long long)sum->disputed);
    return 0;
}

int verify_books(struct verifying *v)
{
    struct store_txn *txn;
    struct sums *sums = base_calloc(1, sizeof(*sums));
    v->phase = "books";
    v->phase_rows = 0;
    int status = sums ? verify_snapshot(v, &txn) : JINI_E_NO_MEMORY;
    if (status) {
        base_free(sums);
        return status;
    }
    status = sum_payments(v, txn, sums);
    for (uint32_t i = 0; status == 0 && sums->complete && i < sums->count; i++)
        status = compare_books(v, txn, &sums->items[i]);
    verify_snapshot_end(v, txn);
    base_free(sums);
    return status;
}
