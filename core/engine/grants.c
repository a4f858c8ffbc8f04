/* Grants and wallets: the calls. The rules are the ledger's (ledger/grants.h). */
#include "engine/grants.h"
#include "engine/paying.h"

#include "base/error.h"
#include "engine/due.h"
#include "engine/txn.h"
#include "generations/generations.h"

enum { GRANT_BYTES = 1536 + 2 * EVENT_BYTES, COST_BYTES = 256 };

int grants_txn_in(struct store_txn *txn, struct jini *jini, uint64_t now_ms,
                  struct jini_error *error, struct grants_txn *out)
{
    int status = ledger_memory(jini, GRANTS_BATCH, error);
    *out = (struct grants_txn){txn, jini->ledger_batch, now_ms, error, NULL};
    return status;
}

int grants_tell_expired(const struct grants_txn *grants, uint64_t user_id)
{
    struct event event;
    if (grants->news->expired == 0)
        return 0;
    event_begin(&event, EVENT_CREDITS_EXPIRED, user_id, NULL);
    event_add_uint(&event, EVENT_FIELD_CREDITS, grants->news->expired);
    return events_append(grants->store, &event);
}

int grants_tell(const struct grants_txn *grants, enum event_type happened, uint64_t user_id,
                const struct jini_id *subject_id, uint64_t credits)
{
    struct event event;
    if (credits == 0)
        return 0;
    event_begin(&event, happened, user_id, subject_id);
    event_add_uint(&event, EVENT_FIELD_CREDITS, credits);
    return events_append(grants->store, &event);
}

int grants_due_in(struct store_txn *txn, struct jini *jini, uint64_t user_id, uint64_t now_ms,
                  struct jini_error *error)
{
    struct grants_txn grants;
    struct grants_news news = {0};
    uint64_t expired;
    int status = grants_txn_in(txn, jini, now_ms, error, &grants);
    grants.news = &news;
    if (status == 0)
        status = grants_expire(&grants, user_id, &expired);
    return status ? status : grants_tell_expired(&grants, user_id);
}

/* ---- Granting ---- */

static int invalid(struct jini_error *error, const char *field, const char *rule)
{
    return error_set(error, JINI_E_INVALID, field, "%s", rule);
}

static int check_grant(void *request, enum txn_place place)
{
    struct jini_grant_add *add = request;
    const struct jini_grant *grant = &add->grant;
    struct jini_error *error = &add->request.error;
    (void)place;
    if (id_is_zero(&grant->id))
        return invalid(error, "id", "a grant has an id");
    if (grant->granted < 1 || grant->granted > JINI_CREDITS_MAX)
        return invalid(error, "granted", "a grant is of 1 to 2^62 credits");
    if (grant->category != JINI_GRANT_PAID && grant->category != JINI_GRANT_PROMOTIONAL)
        return invalid(error, "category", "it is paid or promotional");
    if (grant->priority > JINI_PRIORITY_MAX)
        return invalid(error, "priority", "it is 0 to 255");
    if (grant->effective_ms / 1000 >= UINT32_MAX)
        return invalid(error, "effective_ms", "it is before 2106");
    if (grant->expires_ms / 1000 >= UINT32_MAX - 1)
        return invalid(error, "expires_ms", "it is before 2106, or 0 for never");
    if (grant->expires_ms != 0 && grant->expires_ms <= grant->effective_ms)
        return invalid(error, "expires_ms", "it is after effective_ms");
    return 0;
}

/* A call that is made again after the grant has expired is answered all the same. */
static int refuse_expired(const struct jini_txn *txn, const struct jini_grant *grant,
                          struct jini_error *error)
{
    struct jini_transfer ignored;
    if (grant->expires_ms == 0 || grant->expires_ms > txn->now_ms)
        return 0;
    int status = ledger_transfer_get(txn->store, &grant->id, &ignored, error);
    if (status == JINI_E_NOT_FOUND)
        return invalid(error, "expires_ms", "it lies in the past");
    return status;
}

int grants_tell_granted(const struct grants_txn *grants, const struct jini_grant *grant)
{
    struct event event;
    event_begin(&event, EVENT_CREDITS_GRANTED, grant->user_id, &grant->id);
    event_add_uint(&event, EVENT_FIELD_CREDITS, grant->granted);
    event_add_text(&event, EVENT_FIELD_CATEGORY,
                   grant->category == JINI_GRANT_PAID ? "paid" : "promotional");
    event_add_uint(&event, EVENT_FIELD_EXPIRES_MS, grant->expires_ms);
    int status = grants_tell_expired(grants, grant->user_id); /* to make room for it */
    return status || grants->news->granted == 0 ? status : events_append(grants->store, &event);
}

static int op_grant(struct jini_txn *txn, void *request)
{
    struct jini_grant_add *add = request;
    struct jini_error *error = &add->request.error;
    struct grants_txn grants;
    struct grants_news news = {0};
    struct jini_user user;
    int status = accounts_user_get(txn->store, add->grant.user_id, &user);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "user_id", "there is no user of this id");
    if (status == 0)
        status = refuse_expired(txn, &add->grant, error);
    if (status == 0)
        status = grants_txn_in(txn->store, txn->jini, txn->now_ms, error, &grants);
    grants.news = &news;
    if (status == 0)
        status = grants_add(&grants, &add->grant);
    if (status == 0)
        status = grants_tell_granted(&grants, &add->grant);
    if (status || add->grant.expires_ms == 0 || add->grant.expires_ms <= txn->now_ms)
        return status;
    return due_add(txn->store, DUE_GRANT, add->grant.expires_ms, &add->grant.account_id, error);
}

static const struct txn_form grant_form = {
    .kind = REQUEST_GRANT_ADD,
    .size = sizeof(struct jini_grant_add),
    .bytes = GRANT_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_grant,
    .op = op_grant,
};

int jini_grant_add(struct jini *jini, struct jini_grant_add *add, jini_callback *callback)
{
    return txn_submit(jini, &add->request, &grant_form, callback);
}

int jini_txn_grant_add(struct jini_txn *txn, struct jini_grant_add *add)
{
    return txn_call(txn, &add->request, &grant_form);
}

/* ---- Giving back, and taking away ---- */

static int op_refund(struct jini_txn *txn, void *request)
{
    struct jini_grant_refund *refund = request;
    struct jini_error *error = &refund->request.error;
    struct grants_txn grants;
    struct grants_news news = {0};
    struct jini_job job;
    uint64_t user_id;
    refund->refunded = 0;
    int status = generations_job_get(txn->store, &refund->job_id, &job, error);
    if (status == 0 && !generations_job_ended(job.state))
        return error_set(error, JINI_E_CONFLICT, "job_id",
                         "the job has not ended; release it instead");
    if (status == 0 || status == JINI_E_NOT_FOUND) /* its record may be gone */
        status = grants_user_of(txn->store, &refund->job_id, &user_id, error);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "job_id", "no credits were reserved for such a job");
    if (status == 0)
        status = grants_txn_in(txn->store, txn->jini, txn->now_ms, error, &grants);
    grants.news = &news;
    if (status == 0)
        status =
            grants_refund(&grants, user_id, &refund->job_id, refund->credits, &refund->refunded);
    if (status == 0)
        status = grants_tell(&grants, EVENT_CREDITS_REFUNDED, user_id, &refund->job_id,
                             refund->refunded);
    if (status == 0)
        status = grants_tell_expired(&grants, user_id);
    return status ? status : paying_revoke_returned(txn, user_id, error);
}

static const struct txn_form refund_form = {
    .kind = REQUEST_GRANT_REFUND,
    .size = sizeof(struct jini_grant_refund),
    .bytes = GRANT_BYTES,
    .class = STORE_RELEASE,
    .op = op_refund,
};

int jini_grant_refund(struct jini *jini, struct jini_grant_refund *refund, jini_callback *callback)
{
    return txn_submit(jini, &refund->request, &refund_form, callback);
}

int jini_txn_grant_refund(struct jini_txn *txn, struct jini_grant_refund *refund)
{
    return txn_call(txn, &refund->request, &refund_form);
}

static int op_revoke(struct jini_txn *txn, void *request)
{
    struct jini_grant_revoke *revoke = request;
    struct jini_error *error = &revoke->request.error;
    struct jini_transfer granting;
    struct grants_txn grants;
    int status = grants_txn_in(txn->store, txn->jini, txn->now_ms, error, &grants);
    if (status == 0)
        status = grants_revoke(&grants, &revoke->grant_id, &revoke->revoked);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "grant_id", "there is no grant of this id");
    if (status == 0)
        status = ledger_transfer_get(txn->store, &revoke->grant_id, &granting, error);
    if (status == 0)
        status = grants_get(txn->store, &granting.credit_account_id, &revoke->grant, error);
    if (status)
        return status;
    revoke->grant.id = revoke->grant_id;
    return grants_tell(&grants, EVENT_CREDITS_REVOKED, revoke->grant.user_id, &revoke->grant_id,
                       revoke->revoked);
}

static const struct txn_form revoke_form = {
    .kind = REQUEST_GRANT_REVOKE,
    .size = sizeof(struct jini_grant_revoke),
    .bytes = GRANT_BYTES,
    .class = STORE_RELEASE,
    .op = op_revoke,
};

int jini_grant_revoke(struct jini *jini, struct jini_grant_revoke *revoke, jini_callback *callback)
{
    return txn_submit(jini, &revoke->request, &revoke_form, callback);
}

int jini_txn_grant_revoke(struct jini_txn *txn, struct jini_grant_revoke *revoke)
{
    return txn_call(txn, &revoke->request, &revoke_form);
}

/* ---- Looking ---- */

static void sum_up(const struct wallet *wallet, uint64_t now_ms, struct jini_wallet *out)
{
    out->user_id = wallet->user_id;
    out->available = grants_available(wallet, now_ms);
    out->grants = wallet->count;
    for (uint32_t i = 0; i < wallet->count; i++) {
        const struct jini_grant *grant = &wallet->grants[i];
        out->reserved += grant->reserved;
        if (grant->effective_ms > now_ms)
            out->later += grant->remaining;
    }
}

int jini_txn_wallet_get(struct jini_txn *txn, uint64_t user_id, struct jini_wallet *out,
                        struct jini_grant *grants, size_t capacity, size_t *count,
                        struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    struct jini_user user;
    struct wallet wallet;
    memset(out, 0, sizeof(*out));
    *count = 0;
    int status = accounts_user_get(txn->store, user_id, &user);
    if (status == JINI_E_NOT_FOUND)
        error_set(said, status, "user_id", "there is no user of this id");
    if (status == 0)
        status = grants_read(txn->store, user_id, &wallet, said);
    if (status == 0) {
        sum_up(&wallet, clock_wall_ns(txn->jini->clock) / NS_PER_MS, out);
        *count = wallet.count < capacity ? wallet.count : capacity;
        if (*count > 0)
            memcpy(grants, wallet.grants, *count * sizeof(*grants));
    }
    return txn_answer(txn, status, said, "user_id", "wallet");
}

int jini_wallet_get(struct jini *jini, uint64_t user_id, struct jini_wallet *out,
                    struct jini_grant *grants, size_t capacity, size_t *count,
                    struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_wallet_get(&txn, user_id, out, grants, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}

/* ---- What generations cost ---- */

static int check_cost(void *request, enum txn_place place)
{
    struct jini_cost_set *set = request;
    (void)place;
    if (set->remove > 1)
        return invalid(&set->request.error, "remove", "it is 0 or 1");
    return costs_check(&set->cost, &set->request.error);
}

static int op_cost(struct jini_txn *txn, void *request)
{
    struct jini_cost_set *set = request;
    return costs_set(txn->store, &set->cost, set->remove, txn->now_ms, &set->request.error);
}

static const struct txn_form cost_form = {
    .kind = REQUEST_COST_SET,
    .size = sizeof(struct jini_cost_set),
    .bytes = COST_BYTES,
    .class = STORE_NEW_WORK,
    .check = check_cost,
    .op = op_cost,
};

int jini_cost_set(struct jini *jini, struct jini_cost_set *set, jini_callback *callback)
{
    return txn_submit(jini, &set->request, &cost_form, callback);
}

int jini_txn_cost_set(struct jini_txn *txn, struct jini_cost_set *set)
{
    return txn_call(txn, &set->request, &cost_form);
}

int cost_in(struct store_txn *txn, const struct jini_parameters *parameters, uint64_t *credits,
            struct jini_cost *out, struct jini_error *error)
{
    int status = costs_find(txn, parameters->model, out, error);
    *credits = status ? 0
                      : costs_of(out, parameters->width, parameters->height, parameters->steps,
                                 parameters->count);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int jini_txn_cost_of(struct jini_txn *txn, const struct jini_parameters *parameters,
                     uint64_t *credits, struct jini_cost *cost, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = 0;
    *credits = 0;
    memset(cost, 0, sizeof(*cost));
    if (!memchr(parameters->model, '\0', sizeof(parameters->model)))
        status = invalid(said, "model", "it has no end");
    if (status == 0)
        status = cost_in(txn->store, parameters, credits, cost, said);
    return txn_answer(txn, status, said, "costs", "price list");
}

int jini_cost_of(struct jini *jini, const struct jini_parameters *parameters, uint64_t *credits,
                 struct jini_cost *cost, struct jini_error *error)
{
    struct jini_txn txn;
    *credits = 0;
    memset(cost, 0, sizeof(*cost));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_cost_of(&txn, parameters, credits, cost, error);
    txn_snapshot_end(&txn);
    return status;
}

int jini_txn_cost_list(struct jini_txn *txn, const char *after, struct jini_cost *out,
                       size_t capacity, size_t *count, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    int status = 0;
    *count = 0;
    if (after && strlen(after) >= JINI_MODEL_MAX)
        status = invalid(said, "after", "no model is as long");
    if (status == 0)
        status = costs_list(txn->store, after, out, capacity, count, said);
    return txn_answer(txn, status, said, "costs", "price list");
}

int jini_cost_list(struct jini *jini, const char *after, struct jini_cost *out, size_t capacity,
                   size_t *count, struct jini_error *error)
{
    struct jini_txn txn;
    *count = 0;
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_cost_list(&txn, after, out, capacity, count, error);
    txn_snapshot_end(&txn);
    return status;
}
