/* Reading users: by id, by name or address, in order. */
#include "accounts/accounts.h"

#include "accounts/keys.h"
#include "accounts/user_record.h"

enum { ROWS_SKIPPED_MAX = 16 }; /* other rows of one user that a list steps over before it seeks */

/* JINI_E_CORRUPT also for a record that is too long to be one. */
static int read_record(struct store_txn *txn, uint64_t id, struct jini_user *user,
                       struct user_extra *extra)
{
    uint8_t bytes[USER_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    if (id == 0)
        return JINI_E_NOT_FOUND;
    keys_user(id, &key);
    int status = store_get(txn, STORE_SPACE_USERS, tuple_key(&key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return user_record_read(buffer_slice(&value), id, user, extra);
}

int user_record_load(struct store_txn *txn, uint64_t id, struct user_record *out)
{
    return read_record(txn, id, &out->user, &out->extra);
}

int accounts_user_get(struct store_txn *txn, uint64_t id, struct jini_user *out)
{
    int status = read_record(txn, id, out, NULL);
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

/* A text that cannot be a key is nobody's. */
static int find_in(struct store_txn *txn, enum keys_index index, const char *login, uint64_t *id)
{
    struct tuple key;
    int status = keys_login(index, login, &key);
    if (status == JINI_E_INVALID || status == JINI_E_TOO_BIG)
        return JINI_E_NOT_FOUND;
    return status ? status : keys_get_id(txn, &key, id);
}

static int find_id(struct store_txn *txn, const char *login, uint64_t *id)
{
    int status = JINI_E_NOT_FOUND;
    *id = 0;
    if (strchr(login, '@'))
        status = find_in(txn, KEYS_MAIL, login, id);
    return status == JINI_E_NOT_FOUND ? find_in(txn, KEYS_NAME, login, id) : status;
}

/* The user that an index names must be there. */
static int found(int status)
{
    return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
}

int accounts_user_find(struct store_txn *txn, const char *login, struct jini_user *out)
{
    uint64_t id;
    int status = find_id(txn, login, &id);
    if (status) {
        memset(out, 0, sizeof(*out));
        return status;
    }
    return found(accounts_user_get(txn, id, out));
}

int accounts_user_hidden_by(struct store_txn *txn, const struct jini_user *user, uint64_t *other)
{
    struct jini_user owner;
    struct tuple name;
    struct tuple mail;
    struct tuple owner_mail;
    uint64_t id;
    *other = 0;
    int status = keys_login(KEYS_NAME, user->username, &name);
    if (status == 0)
        status = keys_get_id(txn, &name, &id);
    if (status || id != user->id)
        return status;
    status = keys_login(KEYS_MAIL, user->username, &mail);
    if (status == 0)
        status = keys_get_id(txn, &mail, &id);
    if (status || id == user->id)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    status = found(accounts_user_get(txn, id, &owner));
    if (status == 0)
        status = keys_login(KEYS_MAIL, owner.email, &owner_mail);
    if (status == 0 && slice_equal(tuple_key(&mail), tuple_key(&owner_mail)))
        *other = id;
    return status;
}

int accounts_credentials_find(struct store_txn *txn, const char *login,
                              struct accounts_credentials *out)
{
    struct user_record record;
    uint64_t id;
    memset(out, 0, sizeof(*out));
    int status = find_id(txn, login, &id);
    if (status == 0)
        status = found(user_record_load(txn, id, &record));
    if (status)
        return status;
    out->user_id = id;
    out->revocation_epoch = record.user.revocation_epoch;
    memcpy(out->password_hash, record.extra.password_hash, sizeof(out->password_hash));
    return 0;
}

/*
 * Moves the cursor to the first row of the next user id after `*id`, and sets that. After some rows
 * of one user the cursor is opened anew behind the last of them, so that a user with many costs no
 * more than a seek.
 */
static int next_id(struct store_cursor *cursor, uint64_t *id)
{
    struct store_txn *txn = cursor->txn;
    uint64_t number = *id;
    for (int rows = 0; number == *id; rows++) {
        if (rows == ROWS_SKIPPED_MAX) {
            struct tuple low;
            tuple_begin(&low);
            tuple_add_uint(&low, *id);
            tuple_after_prefix(&low);
            store_cursor_close(cursor);
            int opened = store_cursor_open(txn, STORE_SPACE_USERS, tuple_key(&low),
                                           slice_of(NULL, 0), STORE_FORWARD, cursor);
            if (opened)
                return opened;
        }
        int status = store_cursor_next(cursor, NULL);
        if (status)
            return status;
        struct tuple_reader reader = tuple_reader_of(cursor->key);
        if (tuple_next_uint(&reader, &number) != 0)
            return JINI_E_CORRUPT;
    }
    *id = number;
    return 0;
}

int accounts_user_list(struct store_txn *txn, uint64_t after, struct jini_user *out,
                       size_t capacity, size_t *count)
{
    struct store_cursor cursor;
    struct tuple low;
    uint64_t id = after;
    *count = 0;
    tuple_begin(&low);
    tuple_add_uint(&low, after);
    tuple_after_prefix(&low);
    int status = store_cursor_open(txn, STORE_SPACE_USERS, tuple_key(&low), slice_of(NULL, 0),
                                   STORE_FORWARD, &cursor);
    while (status == 0 && *count < capacity) {
        status = next_id(&cursor, &id);
        if (status)
            break;
        status = accounts_user_get(txn, id, &out[*count]);
        if (status == 0)
            ++*count;
        else if (status == JINI_E_NOT_FOUND)
            status = 0; /* rows of others under an id that is no user's */
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}
