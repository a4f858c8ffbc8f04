/*
 * Ops of credentials. All reading and checking of an op comes before its first write.
 */
#include "accounts/credential_record.h"

#include "accounts/keys.h"
#include "base/error.h"

enum { REMOVED_AT_ONCE = 16 /* more are over the bound only where an option was lowered */ };

/* ---- Keys ---- */

void credentials_key(uint64_t id, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_text(out, slice_of_text("cred"));
    tuple_add_uint(out, id);
}

static void owned_of(uint64_t user_id, uint32_t kind, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_text(out, slice_of_text("owned"));
    tuple_add_uint(out, user_id);
    tuple_add_uint(out, kind);
}

void credentials_owned_key(const struct jini_credential *credential, struct tuple *out)
{
    owned_of(credential->user_id, credential->kind, out);
    tuple_add_uint(out, credential->id);
}

bool credentials_read_owned_key(struct tuple_reader *reader, struct jini_credential *out)
{
    uint64_t kind;
    memset(out, 0, sizeof(*out));
    if (tuple_next_uint(reader, &out->user_id) != 0 || tuple_next_uint(reader, &kind) != 0 ||
        tuple_next_uint(reader, &out->id) != 0 || reader->rest.length != 0)
        return false;
    out->kind = kind <= JINI_SESSION ? (uint32_t)kind : 0;
    return out->kind != 0;
}

/* ---- Those of a user ---- */

typedef bool each_fn(struct store_txn *txn, void *context, const struct jini_credential *owned);

/* Calls `each` for each from the first behind `after` on, until it says false. */
static int each_owned(struct store_txn *txn, uint64_t user_id, uint32_t kind, uint64_t after,
                      each_fn *each, void *context)
{
    struct tuple low;
    struct tuple high;
    struct store_cursor cursor;
    bool goes_on = true;
    owned_of(user_id, kind, &low);
    high = low;
    tuple_after_prefix(&high);
    if (after) {
        tuple_add_uint(&low, after);
        tuple_after_prefix(&low);
    }
    int status = store_cursor_open(txn, STORE_SPACE_USER_KEYS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while (goes_on && (status = store_cursor_next(&cursor, NULL)) == 0) {
        struct tuple_reader reader = tuple_reader_of(cursor.key);
        struct tuple_element name;
        struct jini_credential owned;
        if (tuple_next(&reader, &name) == 0 && credentials_read_owned_key(&reader, &owned))
            goes_on = each(txn, context, &owned);
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- Whether one is in use ---- */

static bool is_expired(const struct jini_credential *credential, uint64_t now_ms)
{
    return credential->expires_ms != 0 && credential->expires_ms <= now_ms;
}

static bool is_over(const struct credential_record *record, const struct jini_user *user,
                    uint64_t now_ms)
{
    return record->credential.revoked_ms != 0 || is_expired(&record->credential, now_ms) ||
           (record->credential.kind == JINI_SESSION && record->epoch != user->revocation_epoch);
}

static int deny(struct jini_error *error, const char *why)
{
    return error_set(error, JINI_E_DENIED, "credential", "%s", why);
}

static int check_record(const struct credential_record *record, const struct credential_text *text,
                        struct jini_error *error)
{
    static const char unknown[] = "it is no key and no session of this database";
    if (record->credential.kind != (uint32_t)text->kind ||
        !crypto_equal(record->digest, text->digest, sizeof(record->digest)))
        return deny(error, unknown);
    if (record->credential.revoked_ms != 0)
        return deny(error, "the key was revoked: its user makes another");
    return 0;
}

static int check_user(const struct credential_record *record, const struct jini_user *user,
                      uint64_t now_ms, struct jini_error *error)
{
    const struct jini_credential *credential = &record->credential;
    if (credential->kind == JINI_SESSION && record->epoch != user->revocation_epoch)
        return deny(error, "the sessions of the user were ended: log in again");
    if (is_expired(credential, now_ms))
        return error_set(error, JINI_E_EXPIRED, "credential", "the time of the %s is over: %s",
                         credential->kind == JINI_SESSION ? "session" : "key",
                         credential->kind == JINI_SESSION ? "log in again"
                                                          : "its user makes another");
    if (!(user->flags & JINI_USER_ACTIVE))
        return error_set(error, JINI_E_INACTIVE, "user", "the user is disabled");
    return 0;
}

static int unreadable(struct jini_error *error, int status, const char *field, uint64_t id)
{
    return error_set(error, status, field, "the record of %s %llu cannot be read: %s", field,
                     (unsigned long long)id, jini_status_text(status));
}

static int check(struct store_txn *txn, const struct credential_text *text, uint64_t now_ms,
                 struct credential_record *record, struct jini_user *user, struct jini_error *error)
{
    int status = credential_record_load(txn, text->id, record);
    if (status == JINI_E_NOT_FOUND)
        return deny(error, "it is no key and no session of this database");
    if (status)
        return unreadable(error, status, "credential", text->id);
    status = check_record(record, text, error);
    if (status)
        return status;
    status = accounts_user_get(txn, record->credential.user_id, user);
    if (status)
        return unreadable(error, status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status, "user",
                          record->credential.user_id);
    return check_user(record, user, now_ms, error);
}

int credentials_check(struct store_txn *txn, const struct credential_text *text, uint64_t now_ms,
                      struct jini_credential *out, struct jini_user *user, struct jini_error *error)
{
    struct credential_record record;
    int status = check(txn, text, now_ms, &record, user, error);
    *out = record.credential;
    if (status) {
        memset(out, 0, sizeof(*out));
        memset(user, 0, sizeof(*user));
    }
    return status;
}

/* ---- Adding ---- */

static bool count_rows(struct store_txn *txn, void *context, const struct jini_credential *owned)
{
    (void)txn;
    (void)owned;
    ++*(uint32_t *)context;
    return true;
}

/* Loads what an "owned" row leads to. JINI_E_CORRUPT: that is another user's, or another kind. */
static int load_owned(struct store_txn *txn, const struct jini_credential *owned,
                      struct credential_record *out)
{
    int status = credential_record_load(txn, owned->id, out);
    bool theirs = out->credential.user_id == owned->user_id && out->credential.kind == owned->kind;
    return status || theirs ? status : JINI_E_CORRUPT;
}

/* What stands where another one is to come. */
struct census {
    const struct jini_user *user;
    uint64_t now_ms;
    uint32_t count;
    int failure;
    struct jini_credential leaves; /* the one to go: one that is over, or that expires first */
    bool leaves_over;
};

/* A row that leads to none of this user's lets nobody in, and is the first to go. */
static bool count_one(struct store_txn *txn, void *context, const struct jini_credential *owned)
{
    struct census *census = context;
    struct credential_record record;
    int status = load_owned(txn, owned, &record);
    bool lost = status == JINI_E_NOT_FOUND || status_is_damage(status);
    if (status && !lost) {
        census->failure = status;
        return false;
    }
    bool over = lost || is_over(&record, census->user, census->now_ms);
    const struct jini_credential *here = lost ? owned : &record.credential;
    bool first = census->count++ == 0;
    if (first || over > census->leaves_over ||
        (over == census->leaves_over && here->expires_ms < census->leaves.expires_ms)) {
        census->leaves = *owned;
        census->leaves.expires_ms = here->expires_ms;
        census->leaves_over = over;
    }
    return true;
}

/* Both rows; that of another user, to which the "owned" row leads, stays. */
static int remove_rows(struct store_txn *txn, const struct jini_credential *credential)
{
    struct credential_record record;
    struct tuple key;
    int status = credential_record_load(txn, credential->id, &record);
    bool foreign = status == 0 && load_owned(txn, credential, &record) != 0;
    if (status && status != JINI_E_NOT_FOUND && !status_is_damage(status))
        return status;
    status = 0;
    credentials_key(credential->id, &key);
    if (!foreign)
        status = store_delete(txn, STORE_SPACE_USER_KEYS, tuple_key(&key));
    credentials_owned_key(credential, &key);
    if (status == 0 || status == JINI_E_NOT_FOUND)
        status = store_delete(txn, STORE_SPACE_USER_KEYS, tuple_key(&key));
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Makes a place for one more. */
static int make_room(struct store_txn *txn, const struct credential_add *add,
                     const struct jini_user *user, struct jini_error *error)
{
    const struct jini_credential *credential = add->credential;
    uint32_t count = 0;
    int status = each_owned(txn, user->id, credential->kind, 0, count_rows, &count);
    for (int i = 0; status == 0 && count >= add->most && i < REMOVED_AT_ONCE; i++, count--) {
        struct census census = {.user = user, .now_ms = add->now_ms};
        status = each_owned(txn, user->id, credential->kind, 0, count_one, &census);
        status = census.failure ? census.failure : status;
        if (status)
            return status;
        if (credential->kind == JINI_KEY && !census.leaves_over)
            return error_set(error, JINI_E_TOO_BIG, "keys.per_user_max",
                             "the user has %u keys in use, and no more may be: revoke one",
                             census.count);
        status = remove_rows(txn, &census.leaves);
    }
    return status;
}

static int load_user(struct store_txn *txn, const struct credential_add *add,
                     struct jini_user *user, struct jini_error *error)
{
    int status = accounts_user_get(txn, add->credential->user_id, user);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "user_id", "there is no user of this id");
    if (status)
        return unreadable(error, status, "user", add->credential->user_id);
    if (add->credential->kind != JINI_SESSION)
        return 0;
    if (user->revocation_epoch != add->epoch)
        return error_set(error, JINI_E_CONFLICT, "revocation_epoch",
                         "sessions of the user were ended since the login: log in again");
    if (!(user->flags & JINI_USER_ACTIVE))
        return error_set(error, JINI_E_INACTIVE, "user_id", "the user is disabled");
    return 0;
}

static int put_rows(struct store_txn *txn, const struct credential_record *record)
{
    uint8_t bytes[CREDENTIAL_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    int status = credential_record_write(record, &value);
    credentials_key(record->credential.id, &key);
    if (status == 0)
        status = store_put(txn, STORE_SPACE_USER_KEYS, tuple_key(&key), buffer_slice(&value));
    credentials_owned_key(&record->credential, &key);
    return status ? status
                  : store_put(txn, STORE_SPACE_USER_KEYS, tuple_key(&key), slice_of(NULL, 0));
}

int credentials_add(struct store_txn *txn, const struct credential_add *add,
                    struct jini_error *error)
{
    struct jini_credential *credential = add->credential;
    struct credential_record record = {.credential = *credential, .epoch = add->epoch};
    struct jini_user user;
    struct tuple key;
    int status = load_user(txn, add, &user, error);
    if (status)
        return status;
    credentials_key(credential->id, &key);
    status = store_has(txn, STORE_SPACE_USER_KEYS, tuple_key(&key));
    if (status != JINI_E_NOT_FOUND)
        return status ? status
                      : error_set(error, JINI_E_CONFLICT, "id",
                                  "the id that was drawn is in use: try again");
    status = make_room(txn, add, &user, error);
    if (status)
        return status;
    record.credential.created_ms = add->now_ms;
    record.credential.revoked_ms = 0;
    credential_show((enum jini_credential_kind)credential->kind, credential->id,
                    record.credential.shown);
    memcpy(record.digest, add->digest, sizeof(record.digest));
    status = put_rows(txn, &record);
    if (status == 0)
        *credential = record.credential;
    return status;
}

/* ---- Revoking ---- */

int credentials_revoke(struct store_txn *txn, const struct jini_credential_revoke *revoke,
                       uint64_t now_ms, struct jini_error *error)
{
    struct credential_record record;
    int status = credential_record_load(txn, revoke->id, &record);
    if (status == JINI_E_NOT_FOUND ||
        (status == 0 && revoke->user_id != 0 && revoke->user_id != record.credential.user_id))
        return error_set(error, JINI_E_NOT_FOUND, "id", "there is no such key and no such session");
    if (status)
        return unreadable(error, status, "credential", revoke->id);
    if (record.credential.kind == JINI_SESSION)
        return remove_rows(txn, &record.credential);
    if (record.credential.revoked_ms != 0)
        return 0;
    record.credential.revoked_ms = now_ms + (now_ms == 0);
    return put_rows(txn, &record);
}

/* ---- Reading ---- */

int credentials_get(struct store_txn *txn, uint64_t id, struct jini_credential *out)
{
    struct credential_record record;
    int status = credential_record_load(txn, id, &record);
    *out = record.credential;
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

struct listing {
    const struct jini_user *user;
    struct jini_credential *out;
    size_t capacity;
    size_t count;
    int failure;
};

static bool list_one(struct store_txn *txn, void *context, const struct jini_credential *owned)
{
    struct listing *listing = context;
    struct credential_record record;
    int status = load_owned(txn, owned, &record);
    if (status == JINI_E_NOT_FOUND || status_is_damage(status))
        return true; /* verify tells of it */
    listing->failure = status;
    if (status)
        return false;
    if (record.credential.kind != JINI_SESSION || record.epoch == listing->user->revocation_epoch)
        listing->out[listing->count++] = record.credential;
    return listing->count < listing->capacity;
}

int credentials_list(struct store_txn *txn, uint64_t user_id, enum jini_credential_kind kind,
                     uint64_t after, struct jini_credential *out, size_t capacity, size_t *count)
{
    struct jini_user user;
    struct listing listing = {.user = &user, .out = out, .capacity = capacity};
    *count = 0;
    int status = accounts_user_get(txn, user_id, &user);
    if (status == 0 && capacity > 0)
        status = each_owned(txn, user_id, kind, after, list_one, &listing);
    status = listing.failure ? listing.failure : status;
    *count = status ? 0 : listing.count;
    return status;
}
