/*
 * Ops that write users.
 *
 * The record and the index rows of a user change together, in one transaction:
 *
 *  1. Every user has one "name" row, one "mail" row unless the address is empty, and one "tier"
 *     row; the rows follow from the record alone.
 *  2. A "name" or "mail" row names a user who has that text, folded; so no two users share one.
 *  3. Names and addresses are one namespace of logins: no row that is written here names another
 *     user than the row of the same text in the other index. Older databases may have such a pair.
 *  4. All reading and checking comes before the first write, so that a refusal leaves nothing to
 *     undo.
 */
#include "accounts/accounts.h"

#include "accounts/id_counter.h"
#include "accounts/keys.h"
#include "accounts/tier_lookup.h"
#include "accounts/user_record.h"
#include "base/error.h"

/* A row of an index that goes and one that comes, or either alone. */
struct row_change {
    bool removes;
    bool puts;
    struct tuple remove;
    struct tuple put;
};

struct user_change {
    struct row_change name;
    struct row_change mail;
    struct row_change tier;
};

static int not_found(uint64_t id, struct jini_error *error)
{
    return error_set(error, JINI_E_NOT_FOUND, "id", "there is no user %llu",
                     (unsigned long long)id);
}

static int load(struct store_txn *txn, uint64_t id, struct user_record *out,
                struct jini_error *error)
{
    int status = user_record_load(txn, id, out);
    if (status == JINI_E_NOT_FOUND)
        return not_found(id, error);
    if (status)
        return error_set(error, status, "id", "the record of user %llu cannot be read: %s",
                         (unsigned long long)id, jini_status_text(status));
    return 0;
}

static struct slice encode(const struct user_record *record, uint8_t bytes[USER_RECORD_MAX])
{
    struct buffer out = buffer_of(bytes, USER_RECORD_MAX);
    int status = user_record_write(record, &out);
    JINI_ASSERT(status == 0); /* all members at their bounds, and the rest, are less than that */
    return buffer_slice(&out);
}

static int save(struct store_txn *txn, const struct user_record *record)
{
    uint8_t bytes[USER_RECORD_MAX];
    struct tuple key;
    keys_user(record->user.id, &key);
    return store_put(txn, STORE_SPACE_USERS, tuple_key(&key), encode(record, bytes));
}

static bool same_record(const struct user_record *a, const struct user_record *b)
{
    uint8_t bytes_a[USER_RECORD_MAX];
    uint8_t bytes_b[USER_RECORD_MAX];
    return slice_equal(encode(a, bytes_a), encode(b, bytes_b));
}

/* A unique text of a user that changes; "" is none. */
struct login_change {
    uint64_t user_id; /* 0: not yet created */
    enum keys_index index;
    const char *from;
    const char *to;
};

static const char *field_of(enum keys_index index)
{
    return index == KEYS_MAIL ? "email" : "username";
}

/* The user whom the row of `key` names, 0 when there is no such row. */
static int find_owner(struct store_txn *txn, const struct tuple *key, const char *field,
                      uint64_t *owner, struct jini_error *error)
{
    int status = keys_get_id(txn, key, owner);
    if (status && status != JINI_E_NOT_FOUND)
        return error_set(error, status, field, "its index row cannot be read: %s",
                         jini_status_text(status));
    return 0;
}

/*
 * 0 when the row of `key` is free to be taken, and the same text in the other index is nobody's but
 * the user's own: what logs in one user must not find another.
 */
static int check_free(struct store_txn *txn, const struct login_change *change,
                      const struct tuple *key, struct jini_error *error)
{
    enum keys_index other = change->index == KEYS_MAIL ? KEYS_NAME : KEYS_MAIL;
    const char *field = field_of(change->index);
    struct tuple other_key;
    uint64_t owner;
    int status = find_owner(txn, key, field, &owner, error);
    if (status)
        return status;
    if (owner)
        return error_set(error, JINI_E_EXISTS, field,
                         "another user has it, in this or another spelling; choose another");
    status = keys_login(other, change->to, &other_key);
    if (status)
        return error_set(error, status, field, "cannot be folded: %s", jini_status_text(status));
    status = find_owner(txn, &other_key, field, &owner, error);
    if (status)
        return status;
    if (owner && owner != change->user_id)
        return error_set(error, JINI_E_EXISTS, field,
                         "it is the %s of another user, and both log in; choose another",
                         other == KEYS_MAIL ? "email address" : "user name");
    return 0;
}

static bool same_key(const struct tuple *a, const struct tuple *b)
{
    return slice_equal(tuple_key(a), tuple_key(b));
}

/* Finds out what becomes of the rows of a unique text. */
static int plan_login(struct store_txn *txn, const struct login_change *change,
                      struct row_change *out, struct jini_error *error)
{
    int status = 0;
    out->removes = change->from[0] != '\0';
    out->puts = change->to[0] != '\0';
    if (out->removes)
        status = keys_login(change->index, change->from, &out->remove);
    if (status == 0 && out->puts)
        status = keys_login(change->index, change->to, &out->put);
    if (status)
        return error_set(error, status == JINI_E_NO_MEMORY ? status : JINI_E_CORRUPT,
                         field_of(change->index), "cannot be folded: %s", jini_status_text(status));
    if (out->removes && out->puts && same_key(&out->remove, &out->put))
        out->removes = out->puts = false;
    return out->puts ? check_free(txn, change, &out->put, error) : 0;
}

static int plan_tier(const char *from, const char *to, uint64_t id, struct row_change *out,
                     struct jini_error *error)
{
    int status = 0;
    out->removes = from[0] != '\0';
    out->puts = true;
    if (out->removes)
        status = keys_member(from, id, &out->remove);
    if (status == 0)
        status = keys_member(to, id, &out->put);
    if (status)
        return error_set(error, status == JINI_E_NO_MEMORY ? status : JINI_E_CORRUPT, "tier",
                         "cannot be folded: %s", jini_status_text(status));
    if (out->removes && same_key(&out->remove, &out->put))
        out->removes = out->puts = false;
    return 0;
}

/* A row that ought to be there and is not means that the index is damaged. */
static int apply_row(struct store_txn *txn, const struct row_change *change, struct slice value,
                     struct jini_error *error)
{
    int status = 0;
    if (change->removes)
        status = store_delete(txn, STORE_SPACE_USER_KEYS, tuple_key(&change->remove));
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_CORRUPT, "id", "the user lacks an index row");
    if (status == 0 && change->puts)
        status = store_put(txn, STORE_SPACE_USER_KEYS, tuple_key(&change->put), value);
    return status;
}

static int apply(struct store_txn *txn, const struct user_change *change,
                 const struct user_record *record, struct jini_error *error)
{
    uint8_t bytes[KEYS_ID_BYTES];
    struct slice id = keys_id_value(record->user.id, bytes);
    int status = apply_row(txn, &change->name, id, error);
    if (status == 0)
        status = apply_row(txn, &change->mail, id, error);
    if (status == 0)
        status = apply_row(txn, &change->tier, slice_of(NULL, 0), error);
    return status ? status : save(txn, record);
}

/* Members that the mask does not name are not stored; they read as 0. */
static void clear_unused_overrides(struct jini_user *user)
{
    struct jini_allowance used = {0};
    user->override_mask &= JINI_ALLOWANCE_ALL;
    accounts_allowance_take(&user->overrides, user->override_mask, &used);
    user->overrides = used;
}

/* ---- Creating -------------------------------------------------------------------------------- */

static int check_create(const struct accounts_create *create, struct jini_error *error)
{
    const struct jini_user *user = create->user;
    uint32_t fields = JINI_USER_FIELD_EMAIL | JINI_USER_FIELD_NAMES | JINI_USER_FIELD_FLAGS |
                      JINI_USER_FIELD_TIER | JINI_USER_FIELD_OVERRIDES;
    if (!create->derive_username)
        fields |= JINI_USER_FIELD_USERNAME;
    int status = accounts_user_check(user, fields, create->check_limits, error);
    if (status)
        return status;
    if (create->derive_username && user->email[0] == '\0')
        return error_set(error, JINI_E_INVALID, "username",
                         "empty, and there is no address to make one from; give one of the two");
    return create->password_hash ? accounts_password_check_hash(create->password_hash, error) : 0;
}

static void fill_record(const struct accounts_create *create, struct user_record *out)
{
    memset(out, 0, sizeof(*out));
    out->user = *create->user;
    out->user.created_ms = create->now_ms;
    out->user.last_login_ms = 0;
    out->user.revocation_epoch = 0;
    out->user.tier_until_ms = 0;
    clear_unused_overrides(&out->user);
    if (create->password_hash)
        memcpy(out->extra.password_hash, create->password_hash, strlen(create->password_hash));
}

/* Takes the first name that is free of those made from the address. */
static int derive_username(struct store_txn *txn, uint64_t suffix_seed, struct jini_user *user,
                           struct row_change *out, struct jini_error *error)
{
    const struct login_change change = {0, KEYS_NAME, "", user->username};
    struct accounts_candidates candidates;
    int status = JINI_E_EXISTS;
    accounts_username_from_email(user->email, suffix_seed, &candidates);
    for (int i = 0; i < ACCOUNTS_CANDIDATES && status == JINI_E_EXISTS; i++) {
        memcpy(user->username, candidates.names[i], sizeof(user->username));
        status = plan_login(txn, &change, out, error);
    }
    if (status == 0)
        error_clear(error);
    return status;
}

/* The id of the draw, or one from the counter; where that is in use, from behind all users. */
static int choose_id(struct store_txn *txn, struct accounts_draw *draw, uint64_t *id,
                     struct jini_error *error)
{
    struct tuple key;
    draw->taken = (struct accounts_id_range){0};
    *id = draw->id;
    if (draw->id == 0) {
        int status = id_counter_look(txn, draw->take, &draw->taken, error);
        if (status)
            return status;
        *id = draw->taken.first;
    }
    keys_user(*id, &key);
    int status = store_has(txn, STORE_SPACE_USERS, tuple_key(&key));
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    status = id_counter_look_behind_users(txn, draw->take ? draw->take : 1, &draw->taken, error);
    *id = draw->taken.first;
    return status;
}

int accounts_user_create(struct store_txn *txn, const struct accounts_create *create,
                         struct jini_error *error)
{
    struct user_record record;
    struct user_change change;
    struct jini_user *user = &record.user;
    const struct login_change name = {0, KEYS_NAME, "", user->username};
    const struct login_change mail = {0, KEYS_MAIL, "", user->email};
    JINI_ASSERT(create->draw->id != 0 || create->draw->take != 0);
    error_clear(error);
    int status = check_create(create, error);
    if (status)
        return status;
    fill_record(create, &record);
    status = tier_resolve(txn, user->tier, user->tier, error);
    if (status == 0 && create->derive_username)
        status = derive_username(txn, create->suffix_seed, user, &change.name, error);
    else if (status == 0)
        status = plan_login(txn, &name, &change.name, error);
    if (status == 0)
        status = plan_login(txn, &mail, &change.mail, error);
    if (status == 0)
        status = choose_id(txn, create->draw, &user->id, error);
    if (status == 0)
        status = plan_tier("", user->tier, user->id, &change.tier, error);
    if (status == 0 && create->draw->taken.count > 0)
        status = id_counter_take(txn, &create->draw->taken);
    if (status == 0)
        status = apply(txn, &change, &record, error);
    if (status)
        return status;
    *create->user = *user;
    return 0;
}

/* ---- Changing -------------------------------------------------------------------------------- */

static void set_overrides(const struct jini_user *from, uint32_t fields, struct jini_user *to)
{
    uint32_t mask = fields ? fields : JINI_ALLOWANCE_ALL;
    to->override_mask = (to->override_mask & ~mask) | (from->override_mask & mask);
    accounts_allowance_take(&from->overrides, from->override_mask & mask, &to->overrides);
    clear_unused_overrides(to);
}

static void set_members(const struct jini_user *from, uint32_t fields, struct jini_user *to)
{
    if (fields & JINI_USER_FIELD_USERNAME)
        memcpy(to->username, from->username, sizeof(to->username));
    if (fields & JINI_USER_FIELD_EMAIL)
        memcpy(to->email, from->email, sizeof(to->email));
    if (fields & JINI_USER_FIELD_FIRST_NAME)
        memcpy(to->first_name, from->first_name, sizeof(to->first_name));
    if (fields & JINI_USER_FIELD_LAST_NAME)
        memcpy(to->last_name, from->last_name, sizeof(to->last_name));
    uint32_t flags = (fields & JINI_USER_FIELD_ACTIVE ? (uint32_t)JINI_USER_ACTIVE : 0) |
                     (fields & JINI_USER_FIELD_STAFF ? (uint32_t)JINI_USER_STAFF : 0);
    to->flags = (to->flags & ~flags) | (from->flags & flags);
}

/* An epoch that would begin anew at 0 would bring back sessions that are over. */
static int revoke(struct user_record *record, struct jini_error *error)
{
    if (record->user.revocation_epoch == UINT64_MAX)
        return error_set(error, JINI_E_CORRUPT, "id", "user %llu has the last revocation epoch",
                         (unsigned long long)record->user.id);
    record->user.revocation_epoch++;
    return 0;
}

static int plan_update(struct store_txn *txn, const struct user_record *from,
                       const struct user_record *to, struct user_change *out,
                       struct jini_error *error)
{
    const struct jini_user *old = &from->user;
    const struct jini_user *new = &to->user;
    const struct login_change name = {new->id, KEYS_NAME, old->username, new->username};
    const struct login_change mail = {new->id, KEYS_MAIL, old->email, new->email};
    int status = plan_login(txn, &name, &out->name, error);
    if (status == 0)
        status = plan_login(txn, &mail, &out->mail, error);
    if (status == 0)
        status = plan_tier(old->tier, new->tier, new->id, &out->tier, error);
    return status;
}

int accounts_update_check(const struct accounts_update *update, struct jini_error *error)
{
    struct jini_user named = *update->user;
    if (update->fields == 0)
        return error_set(error, JINI_E_INVALID, "fields", "empty; name what is to be changed");
    if (update->override_fields & ~(uint32_t)JINI_ALLOWANCE_ALL)
        return error_set(error, JINI_E_INVALID, "override_fields",
                         "has the unknown bits 0x%x; take them out",
                         update->override_fields & ~(uint32_t)JINI_ALLOWANCE_ALL);
    if (update->override_fields)
        named.override_mask &= update->override_fields | ~(uint32_t)JINI_ALLOWANCE_ALL;
    return accounts_user_check(&named, update->fields, update->check_limits, error);
}

int accounts_user_update(struct store_txn *txn, const struct accounts_update *update,
                         struct jini_error *error)
{
    struct user_record stored;
    struct user_record record;
    struct user_change change;
    error_clear(error);
    int status = accounts_update_check(update, error);
    if (status == 0)
        status = load(txn, update->user->id, &stored, error);
    if (status)
        return status;
    record = stored;
    set_members(update->user, update->fields, &record.user);
    if (update->fields & JINI_USER_FIELD_OVERRIDES)
        set_overrides(update->user, update->override_fields, &record.user);
    if (update->fields & JINI_USER_FIELD_TIER) {
        status = tier_resolve(txn, update->user->tier, record.user.tier, error);
        record.user.tier_until_ms = 0;
    }
    if (status == 0 && update->fields & JINI_USER_FIELD_REVOKE)
        status = revoke(&record, error);
    if (status == 0)
        status = plan_update(txn, &stored, &record, &change, error);
    if (status)
        return status;
    if (!same_record(&stored, &record)) {
        status = apply(txn, &change, &record, error);
        if (status)
            return status;
        store_mark_changed(txn, accounts_user_word(record.user.id));
    }
    if (update->tier_before)
        memcpy(update->tier_before, stored.user.tier, sizeof(stored.user.tier));
    *update->user = record.user;
    return 0;
}

int accounts_tier_hold(struct store_txn *txn, uint64_t user_id, const char *tier, uint64_t until_ms,
                       struct jini_error *error)
{
    struct user_record stored;
    struct user_record record;
    struct row_change change;
    int status = load(txn, user_id, &stored, error);
    if (status)
        return status;
    record = stored;
    record.user.tier_until_ms = until_ms;
    status = tier_resolve(txn, tier, record.user.tier, error);
    if (status == 0)
        status = plan_tier(stored.user.tier, record.user.tier, user_id, &change, error);
    if (status || same_record(&stored, &record))
        return status;
    status = apply_row(txn, &change, slice_of(NULL, 0), error);
    if (status == 0)
        status = save(txn, &record);
    if (status == 0)
        store_mark_changed(txn, accounts_user_word(user_id));
    return status;
}

/* ---- Credentials ----------------------------------------------------------------------------- */

static void set_hash(struct user_record *record, const char *hash)
{
    memset(record->extra.password_hash, 0, sizeof(record->extra.password_hash));
    if (hash)
        memcpy(record->extra.password_hash, hash, strlen(hash));
}

int accounts_password_set(struct store_txn *txn, const struct accounts_password_change *change,
                          struct jini_error *error)
{
    struct user_record record;
    int status = 0;
    error_clear(error);
    if (change->password_hash)
        status = accounts_password_check_hash(change->password_hash, error);
    if (status == 0)
        status = load(txn, change->user_id, &record, error);
    if (status == 0)
        status = revoke(&record, error);
    if (status)
        return status;
    set_hash(&record, change->password_hash);
    status = save(txn, &record);
    if (status == 0)
        store_mark_changed(txn, accounts_user_word(change->user_id));
    return status;
}

int accounts_login_record(struct store_txn *txn, const struct accounts_login *login,
                          struct jini_error *error)
{
    const struct accounts_credentials *verified = &login->verified;
    struct user_record record;
    int status = 0;
    error_clear(error);
    if (login->renewed_hash)
        status = accounts_password_check_hash(login->renewed_hash, error);
    if (status == 0)
        status = load(txn, verified->user_id, &record, error);
    if (status)
        return status;
    if (record.user.revocation_epoch != verified->revocation_epoch)
        return error_set(error, JINI_E_CONFLICT, "password",
                         "the password or the sessions of the user changed meanwhile; try again");
    if (!(record.user.flags & JINI_USER_ACTIVE))
        return error_set(error, JINI_E_INACTIVE, "login", "the account is disabled");
    record.user.last_login_ms = login->now_ms;
    if (login->renewed_hash && strcmp(record.extra.password_hash, verified->password_hash) == 0)
        set_hash(&record, login->renewed_hash);
    status = save(txn, &record);
    if (status == 0)
        *login->user = record.user;
    return status;
}
