/*
 * Handing out user ids from blocks.
 *
 *  1. The counter in the store is the lowest id that no process has taken; it only grows, but for
 *     (3).
 *  2. Of the draws that find the pool empty, one takes a block for those that come after it; the
 *     others take one id each, so that a burst of draws leaves no gaps.
 *  3. A range is given back only when its end is the counter, so nobody has taken an id above it,
 *     and only from a pool that is empty then, so nobody gets an id of it any more.
 *  4. In a damaged database the counter may be behind users. No id in use is given: whoever meets
 *     one takes ids from behind the last user, and moves the counter there.
 */
#include "accounts/accounts.h"

#include "accounts/id_counter.h"
#include "accounts/keys.h"
#include "base/error.h"

enum {
    NEXT_SHIFT = 16,
    TAKING = 1,
    ROWS_PASSED_MAX = 1024, /* of others, in search of the last user */
};

_Static_assert(ACCOUNTS_ID_BLOCK < 1 << (NEXT_SHIFT - 1), "the rest of a block fits the state");

static uint64_t pack(uint64_t next, uint64_t left)
{
    return next << NEXT_SHIFT | left << 1;
}

static uint64_t next_of(uint64_t state)
{
    return state >> NEXT_SHIFT;
}

static uint64_t left_of(uint64_t state)
{
    return (state & ((1u << NEXT_SHIFT) - 1)) >> 1;
}

void accounts_ids_init(struct accounts_ids *ids)
{
    atomic_init(&ids->state, 0);
}

void accounts_ids_draw(struct accounts_ids *ids, struct accounts_draw *out)
{
    uint64_t state = atomic_load(&ids->state);
    memset(out, 0, sizeof(*out));
    for (;;) {
        uint64_t wanted = state | TAKING;
        if (left_of(state))
            wanted = pack(next_of(state) + 1, left_of(state) - 1);
        else if (state & TAKING)
            break;
        if (atomic_compare_exchange_weak(&ids->state, &state, wanted))
            break;
    }
    if (left_of(state))
        out->id = next_of(state);
    else
        out->take = state & TAKING ? 1 : ACCOUNTS_ID_BLOCK;
}

void accounts_ids_settle(struct accounts_ids *ids, const struct accounts_draw *draw, int status)
{
    if (draw->take != ACCOUNTS_ID_BLOCK)
        return;
    JINI_ASSERT(atomic_load(&ids->state) & TAKING);
    uint64_t state = 0;
    if (status == 0)
        state = pack(draw->taken.first + 1, draw->taken.count - 1);
    atomic_store(&ids->state, state);
}

struct accounts_id_range accounts_ids_drain(struct accounts_ids *ids)
{
    uint64_t state = atomic_load(&ids->state);
    do {
        if (state & TAKING)
            return (struct accounts_id_range){0};
    } while (!atomic_compare_exchange_weak(&ids->state, &state, 0));
    return (struct accounts_id_range){next_of(state), left_of(state)};
}

static int read_counter(struct store_txn *txn, uint64_t *next)
{
    struct tuple key;
    keys_counter(&key);
    int status = keys_get_id(txn, &key, next);
    if (status == JINI_E_NOT_FOUND) {
        *next = 1;
        return 0;
    }
    return status == 0 && *next > ACCOUNTS_ID_MAX + 1 ? JINI_E_CORRUPT : status;
}

/* Whether this is the key of a user's record, and of which. */
static bool is_user_key(struct slice key, uint64_t *id)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple own;
    if (tuple_next_uint(&reader, id) != 0)
        return false;
    keys_user(*id, &own);
    return slice_equal(key, tuple_key(&own));
}

int id_counter_last_user(struct store_txn *txn, uint64_t *out)
{
    struct store_cursor cursor;
    struct tuple low;
    struct tuple high;
    bool found = false;
    *out = 0;
    tuple_begin(&low);
    tuple_add_uint(&low, 1);
    tuple_begin(&high);
    tuple_add_uint(&high, ACCOUNTS_ID_MAX + 1);
    int status = store_cursor_open(txn, STORE_SPACE_USERS, tuple_key(&low), tuple_key(&high),
                                   STORE_BACKWARD, &cursor);
    for (int rows = 0; status == 0 && !found && rows < ROWS_PASSED_MAX; rows++) {
        status = store_cursor_next(&cursor, NULL);
        found = status == 0 && is_user_key(cursor.key, out);
    }
    store_cursor_close(&cursor);
    return status || found ? status : JINI_E_NOT_FOUND;
}

static int look_from(uint64_t next, uint64_t take, struct accounts_id_range *out,
                     struct jini_error *error)
{
    *out = (struct accounts_id_range){0};
    if (next > ACCOUNTS_ID_MAX - take + 1)
        return error_set(error, JINI_E_TOO_BIG, "id", "all user ids are used up");
    *out = (struct accounts_id_range){next, take};
    return 0;
}

static int load_counter(struct store_txn *txn, uint64_t *next, struct jini_error *error)
{
    int status = read_counter(txn, next);
    if (status)
        error_set(error, status, "id", "the counter of user ids cannot be read: %s",
                  jini_status_text(status));
    return status;
}

int id_counter_look(struct store_txn *txn, uint64_t take, struct accounts_id_range *out,
                    struct jini_error *error)
{
    uint64_t next;
    *out = (struct accounts_id_range){0};
    int status = load_counter(txn, &next, error);
    return status ? status : look_from(next, take, out, error);
}

int id_counter_look_behind_users(struct store_txn *txn, uint64_t take,
                                 struct accounts_id_range *out, struct jini_error *error)
{
    uint64_t next;
    uint64_t last;
    *out = (struct accounts_id_range){0};
    int status = load_counter(txn, &next, error);
    if (status)
        return status;
    status = id_counter_last_user(txn, &last);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_EXISTS, "id",
                         "the next id is in use, and more than %d rows of no user stand behind the "
                         "last user",
                         ROWS_PASSED_MAX);
    if (status)
        return error_set(error, status, "id", "the last user cannot be found: %s",
                         jini_status_text(status));
    return look_from(last < next ? next : last + 1, take, out, error);
}

static int write_counter(struct store_txn *txn, uint64_t next)
{
    uint8_t bytes[KEYS_ID_BYTES];
    struct tuple key;
    keys_counter(&key);
    return store_put(txn, STORE_SPACE_USER_KEYS, tuple_key(&key), keys_id_value(next, bytes));
}

int id_counter_take(struct store_txn *txn, const struct accounts_id_range *range)
{
    return write_counter(txn, range->first + range->count);
}

int accounts_ids_give_back(struct store_txn *txn, const struct accounts_id_range *range)
{
    uint64_t next;
    if (range->count == 0)
        return 0;
    int status = read_counter(txn, &next);
    if (status || next != range->first + range->count)
        return status;
    return write_counter(txn, range->first);
}
