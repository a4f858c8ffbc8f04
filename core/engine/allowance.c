/*
 * What a subject may: its tier's allowance with the user's overrides; addresses have a tier of the
 * options.
 */
#include "engine/rate.h"
#include "engine/txn.h"

#include "accounts/accounts.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

int limits_text_check(const char *text, struct jini_error *error)
{
    struct limit_list list;
    struct limit_list *out = &list;
    if (text[0] == '\0')
        return 0;
    return limit_parse(slice_of_text(text), out, error);
}

/* Looking a zone up reads its file, which a transaction must not do. */
static int check_inside(const char *text, struct jini_error *error)
{
    struct limit_list list;
    if (text[0] == '\0')
        return 0;
    int status = limit_parse_pure(slice_of_text(text), &list, error);
    for (uint32_t i = 0; status == 0 && i < list.count; i++) {
        const char *zone = list.limits[i].zone;
        if (zone[0] != '\0' && strcmp(zone, "UTC") != 0)
            status = error_set(error, JINI_E_INVALID, "zone",
                               "whether there is a time zone \"%s\" is read from a file, which a "
                               "transaction must not do; set such limits by a request of their own",
                               zone);
    }
    return status;
}

accounts_check_limits_fn *txn_limits_check(enum txn_place place)
{
    return place == TXN_INSIDE ? check_inside : limits_text_check;
}

int limits_text_is_checked(const char *text, struct jini_error *error)
{
    (void)text;
    (void)error;
    return 0;
}

int jini_limits_validate(const char *text, struct jini_error *error)
{
    error_clear(error);
    int status = plans_check_length(text, error);
    return status ? status : limits_text_check(text, error);
}

/* Tells the packs of one tier from those of others. Names that differ in case are one tier. */
static uint32_t group_of_tier(const char *name)
{
    uint8_t bytes[4 * JINI_TIER_NAME_MAX * 3];
    struct buffer folded = buffer_of(bytes, sizeof(bytes));
    if (text_fold(slice_of_text(name), &folded) != 0)
        return 0;
    return (uint32_t)hash64(buffer_slice(&folded));
}

int allowance_in(struct store_txn *txn, const struct jini *jini, uint64_t user_id,
                 struct allowed *out)
{
    struct jini_user user = {.flags = JINI_USER_ACTIVE};
    struct jini_tier tier;
    const char *name = jini->options.anonymous_tier;
    memset(out, 0, sizeof(*out));
    if (user_id) {
        int status = accounts_user_get(txn, user_id, &user);
        if (status)
            return status;
        name = user.tier;
    }
    int status = accounts_tier_get(txn, name, &tier);
    if (status == JINI_E_NOT_FOUND) /* it was there at open: another process has removed it */
        return user_id ? JINI_E_CORRUPT : JINI_E_INVALID;
    if (status)
        return status;
    accounts_allowance(&tier, &user, &out->allowance);
    out->flags = user.flags;
    out->tier_group = group_of_tier(tier.name);
    out->anchor_ns = user.created_ms * NS_PER_MS;
    return 0;
}

int allowance_failed(const struct jini *jini, uint64_t user_id, int status,
                     struct jini_error *error)
{
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "user", "there is no user %llu",
                         (unsigned long long)user_id);
    if (status == JINI_E_INVALID)
        return error_set(error, status, "anonymous.tier", "there is no tier \"%s\" any more",
                         jini->options.anonymous_tier);
    if (user_id)
        return error_set(error, status, "tier", "the tier of the user cannot be read: %s",
                         jini_status_text(status));
    return error_set(error, status, "tier", "the tier \"%s\" cannot be read: %s",
                     jini->options.anonymous_tier, jini_status_text(status));
}

int allowance_of(struct jini *jini, uint64_t user_id, struct allowed *out, struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = allowance_in(txn, jini, user_id, out);
    store_read_end(txn);
    if (status)
        return allowance_failed(jini, user_id, status, error);
    return plans_get(jini->plans, out->allowance.limits, &out->plan, error);
}
