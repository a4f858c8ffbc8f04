/* The keys of accounts; the table stands in keys.h. */
#include "accounts/keys.h"

#include "base/text.h"

#include <jini/status.h>

void keys_user(uint64_t id, struct tuple *out)
{
    JINI_ASSERT(id != 0);
    tuple_begin(out);
    tuple_add_uint(out, id);
    tuple_add_text(out, slice_of_text("u"));
}

static int add_folded(struct tuple *tuple, const char *text, size_t folded_max)
{
    uint8_t bytes[KEYS_FOLDED_MAX];
    JINI_ASSERT(folded_max <= sizeof(bytes));
    struct buffer folded = buffer_of(bytes, folded_max);
    int status = text_fold(slice_of_text(text), &folded);
    if (status)
        return status;
    tuple_add_bytes(tuple, buffer_slice(&folded));
    JINI_ASSERT(!tuple->overflow);
    return 0;
}

int keys_login(enum keys_index index, const char *text, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_text(out, slice_of_text(index == KEYS_MAIL ? "mail" : "name"));
    return add_folded(out, text, KEYS_FOLDED_MAX);
}

int keys_tier(const char *name, struct tuple *out)
{
    tuple_begin(out);
    return add_folded(out, name, KEYS_TIER_FOLDED_MAX);
}

int keys_members(const char *tier, struct tuple *out)
{
    tuple_begin(out);
    tuple_add_text(out, slice_of_text("tier"));
    return add_folded(out, tier, KEYS_TIER_FOLDED_MAX);
}

int keys_member(const char *tier, uint64_t id, struct tuple *out)
{
    int status = keys_members(tier, out);
    tuple_add_uint(out, id);
    JINI_ASSERT(!out->overflow);
    return status;
}

struct slice keys_id_value(uint64_t id, uint8_t bytes[KEYS_ID_BYTES])
{
    JINI_ASSERT(id != 0);
    store_le64(bytes, id);
    return slice_of(bytes, KEYS_ID_BYTES);
}

int keys_get_id(struct store_txn *txn, const struct tuple *key, uint64_t *out)
{
    uint8_t bytes[KEYS_ID_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    *out = 0;
    int status = store_get(txn, STORE_SPACE_USER_KEYS, tuple_key(key), &value);
    if (status == JINI_E_TOO_BIG)
        return JINI_E_CORRUPT;
    if (status)
        return status;
    if (value.length != KEYS_ID_BYTES || load_le64(bytes) == 0)
        return JINI_E_CORRUPT;
    *out = load_le64(bytes);
    return 0;
}

void keys_counter(struct tuple *out)
{
    tuple_begin(out);
    tuple_add_text(out, slice_of_text("ids"));
}
