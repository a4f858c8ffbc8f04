/* Looking at payments and at the books. */
#include "engine/paying.h"

#include "base/error.h"
#include "base/id.h"

const char *jini_payment_state_name(uint32_t state)
{
    switch (state) {
#define STATE_NAME(name, number, text)                                                             \
    case number:                                                                                   \
        return text;
        JINI_PAYMENT_STATE_MAP(STATE_NAME)
#undef STATE_NAME
    default:
        return "unknown";
    }
}

const char *jini_payment_refusal_text(uint32_t refusal)
{
    switch (refusal) {
#define REFUSAL_TEXT(name, number, text)                                                           \
    case number:                                                                                   \
        return text;
        JINI_PAYMENT_REFUSAL_MAP(REFUSAL_TEXT)
#undef REFUSAL_TEXT
    default:
        return "unknown";
    }
}

static void show(const struct payment *payment, const struct subscription *periods,
                 struct jini_payment *out)
{
    const struct period *period = subscription_period(periods, &payment->shown.id);
    *out = payment->shown;
    out->fee += payment->dispute_fee;
    out->deferred = payment_deferred(payment);
    out->starts_ms = period ? period->starts_ms : 0;
    out->ends_ms = period ? period->ends_ms : 0;
}

int payment_show(struct store_txn *txn, const struct jini_id *id, struct jini_payment *out,
                 struct jini_id *previous, struct jini_error *error)
{
    struct subscription periods;
    struct payment payment;
    memset(out, 0, sizeof(*out));
    int status = payments_read(txn, id, &payment, error);
    if (status == 0)
        status = subscription_read(txn, payment.shown.user_id, &periods, error);
    if (status)
        return status;
    show(&payment, &periods, out);
    if (previous)
        *previous = payment.previous;
    return 0;
}

int jini_txn_payment_get(struct jini_txn *txn, const struct jini_id *id, struct jini_payment *out,
                         struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = payment_show(txn->store, id, out, NULL, said);
    return txn_answer(txn, status, said, "id", "payment");
}

int jini_payment_get(struct jini *jini, const struct jini_id *id, struct jini_payment *out,
                     struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_payment_get(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_payment_find(struct jini_txn *txn, const char *provider, const char *reference,
                          struct jini_payment *out, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    struct jini_id id;
    memset(out, 0, sizeof(*out));
    int status = check_given(provider, "provider", said);
    if (status == 0)
        status = check_given(reference, "reference", said);
    if (status == 0 &&
        (strlen(provider) >= JINI_PROVIDER_MAX || strlen(reference) >= JINI_REFERENCE_MAX))
        status = JINI_E_NOT_FOUND;
    if (status == 0)
        status = payments_find(txn->store, provider, reference, &id);
    if (status == 0)
        status = payment_show(txn->store, &id, out, NULL, said);
    return txn_answer(txn, status, said, "reference", "payment");
}

int jini_payment_find(struct jini *jini, const char *provider, const char *reference,
                      struct jini_payment *out, struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_payment_find(&txn, provider, reference, out, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- Lists ---- */

/* The chain of a user, from the last one back. */
static int list_of_user(struct store_txn *txn, uint64_t user_id, const struct jini_id *after,
                        struct jini_payment *out, size_t capacity, size_t *count,
                        struct jini_error *error)
{
    struct subscription periods;
    struct jini_payment last;
    struct jini_user user;
    struct jini_id next;
    int status = accounts_user_get(txn, user_id, &user);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "user_id", "there is no user of this id");
    if (status == 0)
        status = subscription_read(txn, user_id, &periods, error);
    next = status ? (struct jini_id){{0}} : periods.last_payment;
    if (status == 0 && after) {
        status = payment_show(txn, after, &last, &next, error);
        if (status == JINI_E_NOT_FOUND || (status == 0 && last.user_id != user_id))
            status = error_set(error, JINI_E_NOT_FOUND, "after", "it is no payment of that user");
    }
    while (status == 0 && *count < capacity && !id_is_zero(&next)) {
        struct jini_id id = next;
        status = payment_show(txn, &id, &out[*count], &next, error);
        *count += status == 0;
    }
    return status;
}

static int list_all(struct store_txn *txn, const struct jini_id *after, struct jini_payment *out,
                    size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_id id;
    size_t found = 1;
    int status = 0;
    while (status == 0 && *count < capacity && found == 1) {
        status = payments_list(txn, after, &id, 1, &found);
        if (status || found == 0)
            break;
        status = payment_show(txn, &id, &out[*count], NULL, error);
        *count += status == 0;
        after = &id;
    }
    return status;
}

int jini_txn_payment_list(struct jini_txn *txn, uint64_t user_id, const struct jini_id *after,
                          struct jini_payment *out, size_t capacity, size_t *count,
                          struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    *count = 0;
    int status = user_id ? list_of_user(txn->store, user_id, after, out, capacity, count, said)
                         : list_all(txn->store, after, out, capacity, count, said);
    return txn_answer(txn, status, said, "user_id", "payments");
}

int jini_payment_list(struct jini *jini, uint64_t user_id, const struct jini_id *after,
                      struct jini_payment *out, size_t capacity, size_t *count,
                      struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_payment_list(&txn, user_id, after, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- The books ---- */

int jini_txn_books_get(struct jini_txn *txn, const char *currency, struct jini_books *out,
                       struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = check_given(currency, "currency", said);
    if (status == 0)
        status = books_read(txn->store, currency, out, said);
    return txn_answer(txn, status, said, "currency", "books");
}

int jini_books_get(struct jini *jini, const char *currency, struct jini_books *out,
                   struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_books_get(&txn, currency, out, error);
    txn_snapshot_end(&txn);
    return status;
}
