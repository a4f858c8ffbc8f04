/* Tiers: what they allow is data, changed at run time. */
#include "engine/engine_private.h"

#include "accounts/accounts.h"
#include "base/error.h"

static int op_tier_set(struct store_txn *txn, void *argument)
{
    struct jini_tier_set *set = argument;
    struct accounts_tier_change change = {.tier = &set->tier,
                                          .fields = set->fields,
                                          .mode = set->mode,
                                          .check_limits = limits_text_is_checked};
    return accounts_tier_set(txn, &change, &set->request.error);
}

int jini_tier_set(struct jini *jini, struct jini_tier_set *set, jini_callback *callback)
{
    int status = request_begin(jini, &set->request, sizeof(*set), REQUEST_TIER_SET, callback);
    if (status)
        return status;
    status = accounts_tier_check(&set->tier, set->fields ? set->fields : JINI_TIER_FIELD_ALL,
                                 limits_text_check, &set->request.error);
    if (status == 0)
        status = request_write(&set->request, op_tier_set, STORE_NEW_WORK, sizeof(set->tier), NULL);
    if (status)
        return request_refuse(&set->request, status);
    return callback ? 0 : request_wait(&set->request);
}

static int op_tier_remove(struct store_txn *txn, void *argument)
{
    struct jini_tier_remove *remove = argument;
    return accounts_tier_remove(txn, remove->name, &remove->request.error);
}

int jini_tier_remove(struct jini *jini, struct jini_tier_remove *remove, jini_callback *callback)
{
    int status =
        request_begin(jini, &remove->request, sizeof(*remove), REQUEST_TIER_REMOVE, callback);
    if (status)
        return status;
    if (!memchr(remove->name, '\0', sizeof(remove->name)))
        status = error_set(&remove->request.error, JINI_E_INVALID, "name",
                           "the name of a tier has 1 to %d bytes", JINI_TIER_NAME_MAX - 1);
    if (status == 0)
        status = request_write(&remove->request, op_tier_remove, STORE_RELEASE, 128, NULL);
    if (status)
        return request_refuse(&remove->request, status);
    return callback ? 0 : request_wait(&remove->request);
}

int jini_tier_get(struct jini *jini, const char *name, struct jini_tier *out,
                  struct jini_error *error)
{
    struct store_txn *txn;
    memset(out, 0, sizeof(*out));
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = accounts_tier_get(txn, name, out);
    store_read_end(txn);
    return status
               ? error_set(error, status, "tier", "tier \"%s\": %s", name, jini_status_text(status))
               : 0;
}

int jini_tier_list(struct jini *jini, struct jini_tier *out, size_t capacity, size_t *count,
                   struct jini_error *error)
{
    struct store_txn *txn;
    *count = 0;
    int status = snapshot_begin(jini, &txn, error);
    if (status)
        return status;
    status = accounts_tier_list(txn, out, capacity, count);
    store_read_end(txn);
    return status ? error_set(error, status, "tier", "%s", jini_status_text(status)) : 0;
}
