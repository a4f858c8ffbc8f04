/* Users, the rows by which they are found, tiers, and the counter of user ids. */
#include "engine/verify_private.h"

#include "accounts/accounts.h"

/* Reports what accounts has found, if anything; returns the status of its look. */
static int told(struct verifying *v, int status, const struct accounts_finding *finding)
{
    if (status == 0 && finding->kind) {
        const struct verify_place place = {
            .kind = finding->kind, .field = finding->field, .user_id = finding->user_id};
        verify_problem(v, &place, "%s: %s", finding->field, finding->rule);
    }
    return status;
}

/*
 * A name that finds another user is told apart from a damaged index when it is that user's address:
 * versions that kept names and addresses apart let it be, and only people can say whose it is.
 */
static void report_not_found_by_name(struct verifying *v, struct store_txn *txn,
                                     const struct jini_user *user)
{
    struct verify_place place = {
        .kind = "user_not_found_by_name", .field = "username", .user_id = user->id};
    uint64_t other;
    if (accounts_user_hidden_by(txn, user, &other) != 0 || other == 0) {
        verify_problem(v, &place, "user %llu is not found by the name \"%s\"",
                       (unsigned long long)user->id, user->username);
        return;
    }
    place.kind = "user_name_is_email_of_another";
    verify_problem(v, &place,
                   "the name of user %llu is the email address of user %llu, who is found and logs "
                   "in by it; change the name of user %llu or the address of user %llu: \"%s\"",
                   (unsigned long long)user->id, (unsigned long long)other,
                   (unsigned long long)user->id, (unsigned long long)other, user->username);
}

static int check_user(struct verifying *v, struct store_txn *txn, const struct jini_user *user)
{
    struct verify_place place = {.user_id = user->id};
    struct accounts_finding finding;
    struct jini_user by_name;
    struct jini_tier tier;
    if (accounts_user_find(txn, user->username, &by_name) != 0 || by_name.id != user->id)
        report_not_found_by_name(v, txn, user);
    if (user->email[0] != '\0' &&
        (accounts_user_find(txn, user->email, &by_name) != 0 || by_name.id != user->id)) {
        place.kind = "user_not_found_by_email";
        place.field = "email";
        verify_problem(v, &place, "user %llu is not found by its email address",
                       (unsigned long long)user->id);
    }
    if (accounts_tier_get(txn, user->tier, &tier) == JINI_E_NOT_FOUND) {
        place.kind = "user_without_tier";
        place.field = "tier";
        verify_problem(v, &place, "user %llu has the tier \"%s\", which is not there",
                       (unsigned long long)user->id, user->tier);
    }
    return told(v, accounts_check_member(txn, user, &finding), &finding);
}

int verify_user(struct verifying *v, struct store_txn *txn, uint64_t id)
{
    const struct verify_place place = {.kind = "user_damaged", .field = "record", .user_id = id};
    struct jini_user user;
    int status = accounts_user_get(txn, id, &user);
    if (status == 0)
        status = check_user(v, txn, &user);
    else if (status_is_damage(status))
        verify_problem(v, &place, "the record of user %llu cannot be read", (unsigned long long)id);
    v->request->users++;
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

int verify_user_key(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct accounts_finding finding;
    return told(v, accounts_check_key(txn, key, &finding), &finding);
}

int verify_tier(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct accounts_finding finding;
    return told(v, accounts_check_tier(txn, key, &finding), &finding);
}

int verify_user_ids(struct verifying *v)
{
    struct accounts_finding finding;
    struct store_txn *txn;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = told(v, accounts_check_ids(txn, &finding), &finding);
    verify_snapshot_end(v, txn);
    return status;
}
