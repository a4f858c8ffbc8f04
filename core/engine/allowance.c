/*
 * What a subject may: its tier's allowance with the user's overrides; addresses have a tier of the
 * options.
 */
#include "engine/rate.h"
#include "engine/subscriptions.h"
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
    int status = check_given(text, "limits", error);
    if (status == 0)
        status = plans_check_length(text, error);
    return status ? status : limits_text_check(text, error);
}

/*
 * Tells the packs of one tier from those of others. Names that differ in case are one tier.
 * JINI_E_NO_MEMORY.
 */
static int group_of_tier(const char *name, uint32_t *out)
{
    uint8_t bytes[4 * JINI_TIER_NAME_MAX * 3];
    struct buffer folded = buffer_of(bytes, sizeof(bytes));
    int status = text_fold(slice_of_text(name), &folded);
    *out = status ? 0 : (uint32_t)hash64(buffer_slice(&folded));
    return status;
}

static int find_user(struct store_txn *txn, uint64_t user_id, struct jini_user *out,
                     struct jini_error *error)
{
    int status = accounts_user_get(txn, user_id, out);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "user", "there is no user %llu",
                         (unsigned long long)user_id);
    if (status)
        return error_set(error, status, "user", "the record of user %llu cannot be read: %s",
                         (unsigned long long)user_id, jini_status_text(status));
    return 0;
}

/* The tier that a user's record names. */
static int find_tier(struct store_txn *txn, const struct jini_user *user, struct jini_tier *out,
                     struct jini_error *error)
{
    int status = accounts_tier_get(txn, user->tier, out);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_CORRUPT, "tier",
                         "user %llu has the tier \"%s\", which is not there; give the user another",
                         (unsigned long long)user->id, user->tier);
    if (status)
        return error_set(error, status, "tier", "the tier \"%s\" of user %llu cannot be read: %s",
                         user->tier, (unsigned long long)user->id, jini_status_text(status));
    return 0;
}

/* It was there at open; a process whose option names another can have removed it since. */
static int find_anonymous_tier(struct store_txn *txn, const char *name, struct jini_tier *out,
                               struct jini_error *error)
{
    int status = accounts_tier_get(txn, name, out);
    if (status == JINI_E_NOT_FOUND)
        return error_set(
            error, JINI_E_CORRUPT, "anonymous.tier",
            "names the tier \"%s\", which was removed meanwhile; add it again, or open "
            "with another",
            name);
    if (status)
        return error_set(error, status, "anonymous.tier",
                         "names the tier \"%s\", which cannot be read: %s", name,
                         jini_status_text(status));
    return 0;
}

int allowance_in(struct store_txn *txn, const struct jini *jini, uint64_t user_id, uint64_t now_ms,
                 struct allowed *out, struct jini_error *error)
{
    struct jini_user user = {.flags = JINI_USER_ACTIVE};
    struct jini_tier tier;
    int status = 0;
    memset(out, 0, sizeof(*out));
    if (user_id)
        status = find_user(txn, user_id, &user, error);
    if (status == 0)
        status = user_tier_at(txn, now_ms, &user, error);
    if (status == 0)
        status = user_id ? find_tier(txn, &user, &tier, error)
                         : find_anonymous_tier(txn, jini->options.anonymous_tier, &tier, error);
    if (status)
        return status;
    accounts_allowance(&tier, &user, &out->allowance);
    out->flags = user.flags;
    out->queue_priority = tier.queue_priority;
    out->tier_version = tier.version;
    text_copy_utf8(out->tier, sizeof(out->tier), tier.name);
    out->anchor_ns = user.created_ms * NS_PER_MS;
    out->until_ms = user.tier_until_ms;
    status = group_of_tier(tier.name, &out->tier_group);
    return status ? error_set(error, status, "tier", "the name of the tier cannot be compared: %s",
                              jini_status_text(status))
                  : 0;
}

int allowance_of(struct jini *jini, uint64_t user_id, struct allowed *out, struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = allowance_in(txn, jini, user_id, clock_wall_ns(jini->clock) / NS_PER_MS, out, error);
    store_read_end(txn);
    return status ? status : plans_get(jini->plans, out->allowance.limits, &out->plan, error);
}
