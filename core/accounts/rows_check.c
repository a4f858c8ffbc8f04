/* Checking index rows, tiers and the counter of user ids against the records, for verify. */
#include "accounts/credential_record.h"

#include "accounts/id_counter.h"
#include "accounts/keys.h"
#include "accounts/tier_record.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_MAX = 192 }; /* of a text from a key, with its NUL */

static void find(struct accounts_finding *out, const char *kind, const char *field, uint64_t user,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void find(struct accounts_finding *out, const char *kind, const char *field, uint64_t user,
                 const char *format, ...)
{
    va_list arguments;
    out->kind = kind;
    out->field = field;
    out->user_id = user;
    va_start(arguments, format);
    vsnprintf(out->rule, sizeof(out->rule), format, arguments);
    va_end(arguments);
}

static void find_stray(struct accounts_finding *out, const char *kind, size_t length)
{
    find(out, kind, "key", 0, STORE_STRAY_KEY, length);
}

/* What was looked at may be gone, and what it led to is damaged by itself. */
static int quiet(int status)
{
    bool ignored =
        status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
    return ignored ? 0 : status;
}

/* ---- Rows of USER_KEYS ---- */

enum row_kind { ROW_STRAY, ROW_NAME, ROW_MAIL, ROW_MEMBER, ROW_IDS, ROW_CREDENTIAL, ROW_OWNED };

struct row {
    enum row_kind kind;
    struct tuple key;
    char text[SHOWN_MAX]; /* the folded name or address, or that of the tier, to be shown */
    uint64_t member;      /* whose row it is among those of a tier; of a credential its id */
    struct jini_credential owned;
};

/* Takes a byte string off a key, to be shown. */
static bool take_shown(struct tuple_reader *reader, char shown[SHOWN_MAX])
{
    struct tuple_element element;
    if (tuple_next(reader, &element) != 0 || element.type != TUPLE_BYTES ||
        element.length == sizeof(element.bytes))
        return false;
    element.bytes[element.length] = '\0';
    text_copy_utf8(shown, SHOWN_MAX, (const char *)element.bytes);
    return true;
}

static bool copy_key(struct slice key, struct tuple *out)
{
    tuple_begin(out);
    if (key.length > sizeof(out->bytes))
        return false;
    memcpy(out->bytes, key.data, key.length);
    out->length = key.length;
    return true;
}

static void parse_row(struct slice key, struct row *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element first;
    enum row_kind kind = ROW_STRAY;
    out->kind = ROW_STRAY;
    if (!copy_key(key, &out->key) || tuple_next(&reader, &first) != 0)
        return;
    if (tuple_is_text(&first, "ids"))
        kind = ROW_IDS;
    else if (tuple_is_text(&first, "tier") && take_shown(&reader, out->text) &&
             tuple_next_uint(&reader, &out->member) == 0)
        kind = ROW_MEMBER;
    else if (tuple_is_text(&first, "name") && take_shown(&reader, out->text))
        kind = ROW_NAME;
    else if (tuple_is_text(&first, "mail") && take_shown(&reader, out->text))
        kind = ROW_MAIL;
    else if (tuple_is_text(&first, "cred") && tuple_next_uint(&reader, &out->member) == 0)
        kind = ROW_CREDENTIAL;
    else if (tuple_is_text(&first, "owned") && credentials_read_owned_key(&reader, &out->owned))
        kind = ROW_OWNED;
    if (reader.rest.length == 0)
        out->kind = kind;
}

/* Whether a key that was made, with this status, is that of the row. JINI_E_NO_MEMORY. */
static int compare_key(int made, const struct tuple *key, const struct row *row, bool *same)
{
    *same = made == 0 && slice_equal(tuple_key(key), tuple_key(&row->key));
    return made == JINI_E_NO_MEMORY ? made : 0;
}

static int check_login(struct store_txn *txn, const struct row *row, struct accounts_finding *out)
{
    bool mail = row->kind == ROW_MAIL;
    const char *what = mail ? "address" : "name";
    struct jini_user user;
    struct tuple key;
    uint64_t id;
    bool same;
    int status = keys_get_id(txn, &row->key, &id);
    if (status == JINI_E_CORRUPT)
        find(out, "login_damaged", "id", 0,
             "the row of the %s \"%s\" holds no user id; nobody can log in by it or be given it",
             what, row->text);
    if (status)
        return quiet(status);
    status = accounts_user_get(txn, id, &user);
    if (status == JINI_E_NOT_FOUND)
        find(out, "login_without_user", "id", id,
             "the %s \"%s\" finds user %llu, who is not there; nobody can be given it", what,
             row->text, (unsigned long long)id);
    if (status)
        return quiet(status);
    const char *own = mail ? user.email : user.username;
    int made = keys_login(mail ? KEYS_MAIL : KEYS_NAME, own, &key);
    status = compare_key(made, &key, row, &same);
    if (status == 0 && !same)
        find(out, "login_differs", mail ? "email" : "username", id,
             "the %s \"%s\" finds user %llu, whose record has another; nobody can be given it",
             what, row->text, (unsigned long long)id);
    return status;
}

static int check_member_value(struct store_txn *txn, const struct row *row,
                              struct accounts_finding *out)
{
    uint8_t byte;
    struct buffer value = buffer_of(&byte, sizeof(byte));
    int status = store_get(txn, STORE_SPACE_USER_KEYS, tuple_key(&row->key), &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length > 0)) {
        find(out, "member_damaged", "row", row->member,
             "the row of user %llu in the tier \"%s\" has a value, and is to have none",
             (unsigned long long)row->member, row->text);
        return 0;
    }
    return quiet(status);
}

static int check_member(struct store_txn *txn, const struct row *row, struct accounts_finding *out)
{
    struct jini_user user;
    struct tuple key;
    bool same;
    int status = accounts_user_get(txn, row->member, &user);
    if (status == JINI_E_NOT_FOUND)
        find(out, "member_without_user", "id", row->member,
             "user %llu is not there and has a row in the tier \"%s\", which keeps that from being "
             "removed",
             (unsigned long long)row->member, row->text);
    if (status)
        return quiet(status);
    int made = keys_member(user.tier, row->member, &key);
    status = compare_key(made, &key, row, &same);
    if (status == 0 && !same)
        find(out, "member_differs", "tier", row->member,
             "user %llu has the tier \"%s\" and a row in \"%s\", which keeps that from being "
             "removed",
             (unsigned long long)row->member, user.tier, row->text);
    return status || out->kind ? status : check_member_value(txn, row, out);
}

/* ---- Credentials ---- */

static int check_credential(struct store_txn *txn, const struct row *row,
                            struct accounts_finding *out)
{
    struct credential_record record;
    struct jini_user user;
    struct tuple key;
    int status = credential_record_load(txn, row->member, &record);
    if (status == JINI_E_CORRUPT || status == JINI_E_FORMAT)
        find(out, "credential_damaged", "record", 0,
             "the record of key or session %llu cannot be read, and nobody is let in by it",
             (unsigned long long)row->member);
    if (status)
        return quiet(status);
    uint64_t user_id = record.credential.user_id;
    status = accounts_user_get(txn, user_id, &user);
    if (status == JINI_E_NOT_FOUND)
        find(out, "credential_without_user", "user_id", user_id,
             "%s is of user %llu, who is not there", record.credential.shown,
             (unsigned long long)user_id);
    if (status)
        return quiet(status);
    credentials_owned_key(&record.credential, &key);
    status = store_has(txn, STORE_SPACE_USER_KEYS, tuple_key(&key));
    if (status == JINI_E_NOT_FOUND)
        find(out, "credential_not_owned", "user_id", user_id,
             "%s is not listed among those of its user; revoke it by its id",
             record.credential.shown);
    return quiet(status);
}

static int check_owned(struct store_txn *txn, const struct row *row, struct accounts_finding *out)
{
    const struct jini_credential *owned = &row->owned;
    struct credential_record record;
    int status = credential_record_load(txn, owned->id, &record);
    if (status == JINI_E_NOT_FOUND)
        find(out, "owned_without_credential", "id", owned->user_id,
             "user %llu has a row of key or session %llu, which is not there",
             (unsigned long long)owned->user_id, (unsigned long long)owned->id);
    if (status)
        return quiet(status);
    if (record.credential.user_id != owned->user_id || record.credential.kind != owned->kind)
        find(out, "owned_differs", "user_id", owned->user_id,
             "%s is listed among those of user %llu, and is of user %llu", record.credential.shown,
             (unsigned long long)owned->user_id, (unsigned long long)record.credential.user_id);
    return 0;
}

int accounts_check_key(struct store_txn *txn, struct slice key, struct accounts_finding *out)
{
    struct row row;
    out->kind = NULL;
    int status = store_has(txn, STORE_SPACE_USER_KEYS, key);
    if (status)
        return quiet(status);
    parse_row(key, &row);
    switch (row.kind) {
    case ROW_NAME:
    case ROW_MAIL:
        return check_login(txn, &row, out);
    case ROW_MEMBER:
        return check_member(txn, &row, out);
    case ROW_IDS:
        return 0; /* see accounts_check_ids(): it may be the one that is missing */
    case ROW_CREDENTIAL:
        return check_credential(txn, &row, out);
    case ROW_OWNED:
        return check_owned(txn, &row, out);
    case ROW_STRAY:
        find_stray(out, "login_key_damaged", key.length);
    }
    return 0;
}

int accounts_check_member(struct store_txn *txn, const struct jini_user *user,
                          struct accounts_finding *out)
{
    struct tuple key;
    out->kind = NULL;
    int status = keys_member(user->tier, user->id, &key);
    if (status == JINI_E_NO_MEMORY)
        return status;
    if (status == 0)
        status = store_has(txn, STORE_SPACE_USER_KEYS, tuple_key(&key));
    if (status)
        find(out, "user_without_member", "tier", user->id,
             "user %llu has no row in the tier \"%s\": that can be removed beside this user, whose "
             "own tier cannot be changed",
             (unsigned long long)user->id, user->tier);
    return status == JINI_E_INVALID || status == JINI_E_TOO_BIG ? 0 : quiet(status);
}

/* ---- Tiers ---- */

int accounts_check_tier(struct store_txn *txn, struct slice key, struct accounts_finding *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tier_record record;
    struct row row = {.kind = ROW_STRAY};
    struct tuple own;
    bool same;
    out->kind = NULL;
    int status = store_has(txn, STORE_SPACE_TIERS, key);
    if (status)
        return quiet(status);
    if (!copy_key(key, &row.key) || !take_shown(&reader, row.text) || reader.rest.length > 0) {
        find_stray(out, "tier_key_damaged", key.length);
        return 0;
    }
    status = tier_record_load(txn, &row.key, &record);
    if (status == JINI_E_CORRUPT || status == JINI_E_FORMAT)
        find(out, "tier_damaged", "record", 0,
             "the record of the tier \"%s\" cannot be read, and so the list of all tiers cannot",
             row.text);
    if (status)
        return quiet(status);
    int made = keys_tier(record.tier.name, &own);
    status = compare_key(made, &own, &row, &same);
    if (status == 0 && !same)
        find(out, "tier_differs", "name", 0, "the record of the tier \"%s\" has the name \"%s\"",
             row.text, record.tier.name);
    return status;
}

/* ---- The counter of ids ---- */

int accounts_check_ids(struct store_txn *txn, struct accounts_finding *out)
{
    struct accounts_id_range next;
    uint64_t last;
    out->kind = NULL;
    int status = id_counter_look(txn, 0, &next, NULL);
    if (status == JINI_E_CORRUPT)
        find(out, "user_ids_damaged", "next", 0,
             "the counter of user ids cannot be read; no user can be added");
    if (status)
        return quiet(status);
    status = id_counter_last_user(txn, &last);
    if (status == 0 && last >= next.first)
        find(out, "user_ids_behind", "next", last,
             "the next id to be given is %llu, and user %llu is there; the counter is put right "
             "when a user who is added would get an id in use",
             (unsigned long long)next.first, (unsigned long long)last);
    return quiet(status);
}
