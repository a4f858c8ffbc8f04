/*
 * Credits: the rows of wallets against the accounts of their grants, the holds of jobs against the
 * ledger, from both sides, and the price list. The ledger checks itself (verify_ledger.c).
 */
#include "engine/verify_private.h"

#include "base/tuple.h"
#include "engine/grants.h"
#include "generations/generations.h"
#include "ledger/place.h"

static int tell(struct verifying *v, int status, const struct verify_place *about,
                const struct ledger_finding *finding)
{
    struct verify_place place = *about;
    place.kind = finding->kind;
    place.field = finding->field;
    if (status == 0 && finding->kind)
        verify_problem(v, &place, "%s: %s", finding->field, finding->message);
    return status;
}

int verify_wallet(struct verifying *v, struct store_txn *txn, uint64_t user_id)
{
    const struct verify_place about = {.user_id = user_id};
    struct ledger_finding finding;
    int status = grants_check_wallet(txn, user_id, &finding);
    return tell(v, status, &about, &finding);
}

int verify_grant(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct verify_place about = {0};
    struct ledger_finding finding;
    struct jini_id id;
    if (place_read(STORE_SPACE_ACTIVITY, &reader, &id) != 0 || reader.rest.length != 0 ||
        !place_is_of_user(&id, &about.user_id, NULL))
        return 0;
    int status = grants_check_account(txn, &id, &finding);
    return tell(v, status, &about, &finding);
}

int verify_job_credits(struct verifying *v, struct store_txn *txn, const struct jini_id *job_id,
                       uint32_t holds)
{
    const struct verify_place about = {.job = job_id};
    struct ledger_finding finding;
    struct jini_error ignored;
    struct jini_job job;
    int status = generations_job_get(txn, job_id, &job, &ignored);
    if (status == 0)
        status = grants_check_holds(txn, job_id, holds, job.cost_credits, &finding);
    else
        return status_is_damage(status) ? 0 : status; /* it was told */
    return tell(v, status, &about, &finding);
}

int verify_hold(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct jini_error ignored;
    struct jini_id job_id;
    struct jini_job job;
    const struct verify_place place = {.kind = "credits_held", .field = "credits", .job = &job_id};
    int status = grants_read_hold(txn, key, &job_id);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status; /* no open hold; or told by the ledger */
    status = generations_job_get(txn, &job_id, &job, &ignored);
    bool ended = status == 0 && generations_job_ended(job.state);
    if (status == JINI_E_NOT_FOUND || ended)
        verify_problem(v, &place,
                       "credits: some are held for a job that %s; nobody gives them back",
                       ended ? "has ended" : "is not there");
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int verify_cost(struct verifying *v, struct store_txn *txn, struct slice key)
{
    const struct verify_place place = {.kind = "price_damaged", .field = "costs"};
    int status = costs_check_row(txn, key);
    if (status_is_damage(status))
        verify_problem(v, &place,
                       "costs: an entry of the price list cannot be read; generations by its model "
                       "are refused");
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}
