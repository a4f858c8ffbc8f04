/* Rules of users and tiers as a whole, and what a tier and an override allow together. */
#include "accounts/accounts.h"

#include "accounts/check_text.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>

enum {
    FIELDS_KNOWN = JINI_USER_FIELD_USERNAME | JINI_USER_FIELD_EMAIL | JINI_USER_FIELD_NAMES |
                   JINI_USER_FIELD_FLAGS | JINI_USER_FIELD_TIER | JINI_USER_FIELD_OVERRIDES |
                   JINI_USER_FIELD_REVOKE,
    FLAGS_KNOWN = JINI_USER_ACTIVE | JINI_USER_STAFF,
    CURRENCY_LETTERS = JINI_CURRENCY_MAX - 1,
};

/* A number of an allowance, its bound, and its names as a tier's member and as an override. */
struct allowance_rule {
    enum jini_allowance_field field;
    size_t offset;
    uint32_t max;
    const char *name;
};

static const struct allowance_rule allowance_rules[] = {
    {JINI_ALLOWANCE_WIDTH, offsetof(struct jini_allowance, width_max), ACCOUNTS_SIDE_MAX,
     "width_max"},
    {JINI_ALLOWANCE_HEIGHT, offsetof(struct jini_allowance, height_max), ACCOUNTS_SIDE_MAX,
     "height_max"},
    {JINI_ALLOWANCE_STEPS, offsetof(struct jini_allowance, steps_max), ACCOUNTS_STEPS_MAX,
     "steps_max"},
    {JINI_ALLOWANCE_PARALLEL, offsetof(struct jini_allowance, parallel_max), ACCOUNTS_PARALLEL_MAX,
     "parallel_max"},
    {JINI_ALLOWANCE_RETENTION, offsetof(struct jini_allowance, retention_days),
     ACCOUNTS_RETENTION_DAYS_MAX, "retention_days"},
};

enum { RULES = sizeof(allowance_rules) / sizeof(allowance_rules[0]) };

static uint32_t *member_of(struct jini_allowance *allowance, const struct allowance_rule *rule)
{
    return (uint32_t *)((char *)allowance + rule->offset);
}

static uint32_t value_of(const struct jini_allowance *allowance, const struct allowance_rule *rule)
{
    return *(const uint32_t *)((const char *)allowance + rule->offset);
}

static int check_limits_text(const char *text, const char *owner,
                             accounts_check_limits_fn *check_limits, struct jini_error *error)
{
    char field[JINI_ERROR_FIELD_MAX];
    snprintf(field, sizeof(field), "%s.limits", owner);
    size_t length = strnlen(text, JINI_LIMITS_TEXT_MAX);
    if (length == JINI_LIMITS_TEXT_MAX)
        return error_set(error, JINI_E_INVALID, field, "longer than %d bytes; shorten it",
                         JINI_LIMITS_TEXT_MAX - 1);
    if (!text_is_utf8(slice_of(text, length)))
        return error_set(error, JINI_E_INVALID, field, "not UTF-8; convert it");
    struct jini_error reason = {0};
    int status = check_limits(text, &reason);
    if (status)
        return error_set(error, status, field, "%s", reason.message);
    return 0;
}

/*
 * The members of an allowance that `mask` names; `owner` begins the name of the field of an error.
 */
static int check_allowance(const struct jini_allowance *allowance, uint32_t mask, const char *owner,
                           accounts_check_limits_fn *check_limits, struct jini_error *error)
{
    JINI_ASSERT(check_limits);
    for (int i = 0; i < RULES; i++) {
        const struct allowance_rule *rule = &allowance_rules[i];
        uint32_t value = value_of(allowance, rule);
        if (!(mask & (uint32_t)rule->field) || value <= rule->max)
            continue;
        char field[JINI_ERROR_FIELD_MAX];
        snprintf(field, sizeof(field), "%s.%s", owner, rule->name);
        return error_set(error, JINI_E_INVALID, field, "%u; use 1 to %u, or 0 for no bound", value,
                         rule->max);
    }
    if (mask & JINI_ALLOWANCE_LIMITS)
        return check_limits_text(allowance->limits, owner, check_limits, error);
    return 0;
}

static int check_bits(uint32_t bits, uint32_t known, const char *field, struct jini_error *error)
{
    if ((bits & ~known) == 0)
        return 0;
    return error_set(error, JINI_E_INVALID, field, "has the unknown bits 0x%x; take them out",
                     bits & ~known);
}

static int check_overrides(const struct jini_user *user, accounts_check_limits_fn *check_limits,
                           struct jini_error *error)
{
    int status = check_bits(user->override_mask, JINI_ALLOWANCE_ALL, "override_mask", error);
    return status ? status
                  : check_allowance(&user->overrides, user->override_mask, "overrides",
                                    check_limits, error);
}

int accounts_user_check(const struct jini_user *user, uint32_t fields,
                        accounts_check_limits_fn *check_limits, struct jini_error *error)
{
    int status = check_bits(fields, FIELDS_KNOWN, "fields", error);
    if (status == 0 && fields & JINI_USER_FIELD_USERNAME)
        status = check_username(user->username, sizeof(user->username), error);
    if (status == 0 && fields & JINI_USER_FIELD_EMAIL)
        status = check_email(user->email, sizeof(user->email), error);
    if (status == 0 && fields & JINI_USER_FIELD_FIRST_NAME)
        status = check_person_name(user->first_name, sizeof(user->first_name), "first_name", error);
    if (status == 0 && fields & JINI_USER_FIELD_LAST_NAME)
        status = check_person_name(user->last_name, sizeof(user->last_name), "last_name", error);
    if (status == 0 && fields & JINI_USER_FIELD_FLAGS)
        status = check_bits(user->flags, FLAGS_KNOWN, "flags", error);
    if (status == 0 && fields & JINI_USER_FIELD_TIER && user->tier[0] != '\0')
        status = check_tier_name(user->tier, sizeof(user->tier), "tier", error);
    if (status == 0 && fields & JINI_USER_FIELD_OVERRIDES)
        status = check_overrides(user, check_limits, error);
    return status;
}

static int check_price(const struct jini_tier *tier, uint32_t fields, struct jini_error *error)
{
    bool has_price = fields & JINI_TIER_FIELD_PRICE;
    bool has_currency = fields & JINI_TIER_FIELD_CURRENCY;
    size_t length = has_currency ? strnlen(tier->currency, sizeof(tier->currency)) : 0;
    size_t letters = 0;
    while (letters < length && tier->currency[letters] >= 'A' && tier->currency[letters] <= 'Z')
        letters++;
    bool absent = length == 0 && !(has_price && tier->price_minor > 0);
    if (has_currency && !absent && (length != CURRENCY_LETTERS || letters != length))
        return error_set(error, JINI_E_INVALID, "currency",
                         "not three capital letters; use a code of ISO 4217, as EUR");
    if (has_price && tier->price_minor > ACCOUNTS_PRICE_MINOR_MAX)
        return error_set(error, JINI_E_INVALID, "price_minor", "%llu; use at most %llu",
                         (unsigned long long)tier->price_minor,
                         (unsigned long long)ACCOUNTS_PRICE_MINOR_MAX);
    return 0;
}

int accounts_tier_check(const struct jini_tier *tier, uint32_t fields,
                        accounts_check_limits_fn *check_limits, struct jini_error *error)
{
    int status = check_bits(fields, JINI_TIER_FIELD_ALL, "fields", error);
    if (status == 0)
        status = check_tier_name(tier->name, sizeof(tier->name), "name", error);
    if (status == 0)
        status = check_price(tier, fields, error);
    if (status == 0 && fields & JINI_TIER_FIELD_QUEUE_PRIORITY &&
        tier->queue_priority > ACCOUNTS_QUEUE_PRIORITY_MAX)
        status = error_set(error, JINI_E_INVALID, "queue_priority", "%u; use at most %d",
                           tier->queue_priority, ACCOUNTS_QUEUE_PRIORITY_MAX);
    if (status == 0)
        status = check_allowance(&tier->allowance, fields, "allowance", check_limits, error);
    return status;
}

void accounts_allowance_take(const struct jini_allowance *from, uint32_t fields,
                             struct jini_allowance *to)
{
    if (fields & JINI_ALLOWANCE_LIMITS)
        memcpy(to->limits, from->limits, sizeof(to->limits));
    for (int i = 0; i < RULES; i++) {
        if (fields & (uint32_t)allowance_rules[i].field)
            *member_of(to, &allowance_rules[i]) = value_of(from, &allowance_rules[i]);
    }
}

void accounts_allowance(const struct jini_tier *tier, const struct jini_user *user,
                        struct jini_allowance *out)
{
    *out = tier->allowance;
    accounts_allowance_take(&user->overrides, user->override_mask, out);
}
