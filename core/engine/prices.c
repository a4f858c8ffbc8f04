/* What money buys: the calls. The rules are the ledger's (ledger/prices.h). */
#include "ledger/prices.h"

#include "base/error.h"
#include "engine/txn.h"

enum { PRICE_BYTES = 256 };

static int check_price(void *request, enum txn_place place)
{
    struct jini_price_set *set = request;
    struct jini_error *error = &set->request.error;
    (void)place;
    if (set->remove > 1)
        return error_set(error, JINI_E_INVALID, "remove", "it is 0 or 1");
    return set->remove ? prices_check_name(set->price.name, "name", error)
                       : prices_check(&set->price, error);
}

/* The tier as it is spelled. */
static int find_tier(struct jini_txn *txn, struct jini_price *price, struct jini_error *error)
{
    struct jini_tier tier;
    if (price->tier[0] == '\0')
        return 0;
    int status = accounts_tier_get(txn->store, price->tier, &tier);
    if (status)
        return error_set(error, status, "tier", "the tier \"%s\": %s", price->tier,
                         jini_status_text(status));
    memcpy(price->tier, tier.name, sizeof(price->tier));
    return 0;
}

static int op_price(struct jini_txn *txn, void *request)
{
    struct jini_price_set *set = request;
    struct jini_error *error = &set->request.error;
    int status = set->remove ? 0 : find_tier(txn, &set->price, error);
    return status ? status : prices_set(txn->store, &set->price, set->remove, txn->now_ms, error);
}

static const struct txn_form price_form = {
    .kind = REQUEST_PRICE_SET,
    .size = sizeof(struct jini_price_set),
    .bytes = PRICE_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_price,
    .op = op_price,
};

int jini_price_set(struct jini *jini, struct jini_price_set *set, jini_callback *callback)
{
    return txn_submit(jini, &set->request, &price_form, callback);
}

int jini_txn_price_set(struct jini_txn *txn, struct jini_price_set *set)
{
    return txn_call(txn, &set->request, &price_form);
}

int jini_txn_price_get(struct jini_txn *txn, const char *name, uint64_t version,
                       struct jini_price *out, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = check_given(name, "name", said);
    if (status == 0)
        status = strlen(name) < JINI_PRICE_NAME_MAX
                     ? prices_find(txn->store, name, version, out, said)
                     : JINI_E_NOT_FOUND;
    if (status == JINI_E_NOT_FOUND)
        error_set(said, status, "name", "the price list has no \"%.40s\"", name);
    return txn_answer(txn, status, said, "name", "price");
}

int jini_price_get(struct jini *jini, const char *name, uint64_t version, struct jini_price *out,
                   struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_price_get(&txn, name, version, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_price_list(struct jini_txn *txn, const char *after, struct jini_price *out,
                        size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = 0;
    *count = 0;
    if (after && strlen(after) >= JINI_PRICE_NAME_MAX)
        status = error_set(said, JINI_E_INVALID, "after", "no price has as long a name");
    if (status == 0)
        status = prices_list(txn->store, after, out, capacity, count, said);
    return txn_answer(txn, status, said, "prices", "price list");
}

int jini_price_list(struct jini *jini, const char *after, struct jini_price *out, size_t capacity,
                    size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_price_list(&txn, after, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}
