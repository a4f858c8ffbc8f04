/* Tiers: what they allow is data, changed at run time. */
#include "engine/txn.h"

#include "accounts/accounts.h"
#include "base/error.h"
#include "ledger/prices.h"

enum { REMOVE_OP_BYTES = 128 };

/* ---- Setting ---- */

static int check_set(void *request, enum txn_place place)
{
    struct jini_tier_set *set = request;
    return accounts_tier_check(&set->tier, set->fields ? set->fields : JINI_TIER_FIELD_ALL,
                               txn_limits_check(place), &set->request.error);
}

static int op_set(struct jini_txn *txn, void *request)
{
    struct jini_tier_set *set = request;
    struct accounts_tier_change change = {.tier = &set->tier,
                                          .fields = set->fields,
                                          .mode = set->mode,
                                          .check_limits = limits_text_is_checked};
    return accounts_tier_set(txn->store, &change, &set->request.error);
}

static const struct txn_form set_form = {
    .kind = REQUEST_TIER_SET,
    .size = sizeof(struct jini_tier_set),
    .bytes = sizeof(struct jini_tier),
    .class = STORE_NEW_WORK,
    .check = check_set,
    .op = op_set,
};

int jini_tier_set(struct jini *jini, struct jini_tier_set *set, jini_callback *callback)
{
    return txn_submit(jini, &set->request, &set_form, callback);
}

int jini_txn_tier_set(struct jini_txn *txn, struct jini_tier_set *set)
{
    return txn_call(txn, &set->request, &set_form);
}

/* ---- Removing ---- */

static int check_remove(void *request, enum txn_place place)
{
    struct jini_tier_remove *remove = request;
    (void)place;
    if (memchr(remove->name, '\0', sizeof(remove->name)))
        return 0;
    return error_set(&remove->request.error, JINI_E_INVALID, "name",
                     "the name of a tier has 1 to %d bytes", JINI_TIER_NAME_MAX - 1);
}

/* JINI_E_IN_USE: a price buys it. */
static int refuse_sold(struct jini_txn *txn, const char *name, struct jini_error *error)
{
    struct jini_tier tier;
    bool sold = false;
    int status = accounts_tier_get(txn->store, name, &tier);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status; /* removing it will say so */
    status = prices_name_tier(txn->store, tier.name, &sold, error);
    if (status == 0 && sold)
        status = error_set(error, JINI_E_IN_USE, "name",
                           "a price buys the tier \"%s\"; take the price away first", tier.name);
    return status;
}

static int op_remove(struct jini_txn *txn, void *request)
{
    struct jini_tier_remove *remove = request;
    int status = refuse_sold(txn, remove->name, &remove->request.error);
    if (status)
        return status;
    return accounts_tier_remove(txn->store, remove->name, txn->jini->options.anonymous_tier,
                                &remove->request.error);
}

static const struct txn_form remove_form = {
    .kind = REQUEST_TIER_REMOVE,
    .size = sizeof(struct jini_tier_remove),
    .bytes = REMOVE_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_remove,
    .op = op_remove,
};

int jini_tier_remove(struct jini *jini, struct jini_tier_remove *remove, jini_callback *callback)
{
    return txn_submit(jini, &remove->request, &remove_form, callback);
}

int jini_txn_tier_remove(struct jini_txn *txn, struct jini_tier_remove *remove)
{
    return txn_call(txn, &remove->request, &remove_form);
}

/* ---- Reading ---- */

int jini_txn_tier_get(struct jini_txn *txn, const char *name, struct jini_tier *out,
                      struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = check_given(name, "tier", said);
    if (status)
        return txn_answer(txn, status, said, "tier", "tier");
    status = accounts_tier_get(txn->store, name, out);
    if (status)
        error_set(said, status, "tier", "tier \"%s\": %s", name, jini_status_text(status));
    return txn_answer(txn, status, said, "tier", "tier");
}

int jini_tier_get(struct jini *jini, const char *name, struct jini_tier *out,
                  struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_tier_get(&txn, name, out, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_tier_list(struct jini_txn *txn, struct jini_tier *out, size_t capacity, size_t *count,
                       struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    *count = 0;
    int status = accounts_tier_list(txn->store, out, capacity, count);
    return txn_answer(txn, status, said, "tier", "tiers");
}

int jini_tier_list(struct jini *jini, struct jini_tier *out, size_t capacity, size_t *count,
                   struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_tier_list(&txn, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}
