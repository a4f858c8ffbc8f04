/* See place.h. */
#include "ledger/place.h"

enum { MARK_0 = 0x6a, MARK_1 = 0x77 };

static const uint64_t user_mask = (UINT64_C(1) << 48) - 1;
static const uint64_t mark = (uint64_t)(MARK_0 << 8 | MARK_1) << 48;

struct jini_id place_user_account(uint64_t user_id, uint64_t number)
{
    struct jini_id id;
    JINI_ASSERT(user_id != 0 && user_id <= user_mask);
    store_be64(id.bytes, mark | user_id);
    store_be64(id.bytes + 8, number);
    return id;
}

bool place_is_of_user(const struct jini_id *id, uint64_t *user_id, uint64_t *number)
{
    uint64_t high = load_be64(id->bytes);
    if ((high & ~user_mask) != mark || (high & user_mask) == 0)
        return false;
    if (user_id)
        *user_id = high & user_mask;
    if (number)
        *number = load_be64(id->bytes + 8);
    return true;
}

enum store_space place_of_account(const struct jini_id *id, struct tuple *key)
{
    uint64_t user_id;
    uint64_t number;
    tuple_begin(key);
    if (!place_is_of_user(id, &user_id, &number)) {
        tuple_add_id(key, id);
        return STORE_SPACE_LEDGER_ACCOUNTS;
    }
    tuple_add_uint(key, user_id);
    tuple_add_text(key, slice_of_text(PLACE_ACCOUNT_ROW));
    tuple_add_uint(key, number);
    return STORE_SPACE_ACTIVITY;
}

static int read_of_user(struct tuple_reader *reader, struct jini_id *out)
{
    struct tuple_element row;
    uint64_t user_id;
    uint64_t number;
    int status = tuple_next_uint(reader, &user_id);
    if (status == 0)
        status = tuple_next(reader, &row);
    if (status)
        return status;
    if (user_id == 0 || !tuple_is_text(&row, PLACE_ACCOUNT_ROW))
        return JINI_E_NOT_FOUND;
    status = tuple_next_uint(reader, &number);
    if (status == 0 && user_id > user_mask)
        status = JINI_E_CORRUPT;
    if (status == 0)
        *out = place_user_account(user_id, number);
    return status;
}

int place_read(enum store_space space, struct tuple_reader *reader, struct jini_id *out)
{
    if (space == STORE_SPACE_ACTIVITY)
        return read_of_user(reader, out);
    int status = tuple_next_id(reader, out);
    /* One of a user lies there. */
    return status == 0 && place_is_of_user(out, NULL, NULL) ? JINI_E_CORRUPT : status;
}
