/* Appending to chains and walking along them. */
#include "ledger/chains.h"

#include "base/error.h"
#include "base/id.h"
#include "base/tuple.h"
#include "ledger/batch.h"
#include "ledger/postings.h"

static void mark_key(const struct jini_id *account_id, enum block_side side, uint64_t timestamp,
                     struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, 1);
    tuple_add_uint(key, side == BLOCK_DEBIT ? POSTINGS_DEBITS : POSTINGS_CREDITS);
    tuple_add_id(key, account_id);
    tuple_add_uint(key, timestamp);
}

int chain_append(struct store_txn *txn, const struct jini_id *account_id, enum block_side side,
                 uint64_t timestamp, struct chain_end *end, uint64_t *before_ns)
{
    struct tuple key;
    *before_ns = end->last_ns;
    end->last_ns = timestamp;
    if (++end->since_mark < CHAIN_MARK_EVENTS)
        return 0;
    end->since_mark = 0;
    mark_key(account_id, side, timestamp, &key);
    return store_put(txn, STORE_SPACE_POSTINGS, tuple_key(&key), slice_of(NULL, 0));
}

/* ---- Walking ---- */

static int damaged(const struct chain_walk *walk, struct jini_error *error)
{
    char id[JINI_ID_TEXT_MAX];
    jini_id_format(&walk->account_id, id);
    return error_set(error, JINI_E_CORRUPT,
                     walk->side == BLOCK_DEBIT ? "debit_account_id" : "credit_account_id",
                     "the list of the %s of account %s cannot be read",
                     walk->side == BLOCK_DEBIT ? "debits" : "credits", id);
}

/* The time of the first mark at or after a time; where there is none, the end of the chain. */
static int find_mark(const struct chain_walk *walk, uint64_t timestamp, uint64_t *out)
{
    struct store_cursor cursor;
    struct postings_key mark;
    struct tuple low;
    struct tuple high;
    *out = walk->end_ns;
    mark_key(&walk->account_id, walk->side, timestamp, &low);
    mark_key(&walk->account_id, walk->side, UINT64_MAX, &high);
    int status = store_cursor_open(walk->txn, STORE_SPACE_POSTINGS, tuple_key(&low),
                                   tuple_key(&high), STORE_FORWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, NULL);
    if (status == 0)
        status = postings_read_key(cursor.key, &mark);
    if (status == 0)
        *out = mark.first_ns;
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* From a time of the chain to the one before it. */
static int go_back(const struct chain_walk *walk, struct block *block, uint64_t *timestamp,
                   struct jini_error *error)
{
    uint32_t event;
    int status = blocks_seek(walk->txn, *timestamp, block, &event, error);
    if (status == 0)
        *timestamp = block_link(block, event, walk->side);
    return status;
}

static void arrive(struct chain_walk *walk, uint64_t timestamp)
{
    bool in_range = timestamp >= walk->min && timestamp <= walk->max;
    walk->time = in_range ? timestamp : 0;
}

/* Backward: from the mark behind `max`, or the end, to the first that is not later. */
static int enter(struct chain_walk *walk, struct block *scratch, struct jini_error *error)
{
    uint64_t time = walk->end_ns;
    int status = time > walk->max ? find_mark(walk, walk->max, &time) : 0;
    for (int steps = 0; status == 0 && time > walk->max; steps++) {
        if (steps == CHAIN_MARK_EVENTS)
            return damaged(walk, error);
        status = go_back(walk, scratch, &time, error);
    }
    arrive(walk, time);
    return status;
}

/* Forward: the times from `min` to the next mark, or to the end. */
static int collect(struct chain_walk *walk, struct block *scratch, struct jini_error *error)
{
    uint64_t time;
    int status = find_mark(walk, walk->min, &time);
    while (status == 0 && time != 0 && time >= walk->min) {
        if (walk->left == CHAIN_MARK_EVENTS)
            return damaged(walk, error);
        walk->times[walk->left++] = time;
        status = go_back(walk, scratch, &time, error);
    }
    arrive(walk, status == 0 && walk->left > 0 ? walk->times[--walk->left] : 0);
    return status;
}

int chain_open(struct chain_walk *walk, struct block *scratch, struct jini_error *error)
{
    struct jini_account account;
    struct chain_end ends[2];
    walk->time = 0;
    walk->left = 0;
    int status = account_read(walk->txn, &walk->account_id, &account, ends, error);
    if (status == JINI_E_NOT_FOUND)
        error_clear(error);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    walk->end_ns = ends[walk->side].last_ns;
    if (walk->end_ns == 0 || walk->min > walk->max)
        return 0;
    return walk->direction == STORE_FORWARD ? collect(walk, scratch, error)
                                            : enter(walk, scratch, error);
}

int chain_next(struct chain_walk *walk, struct block *block, uint32_t event,
               struct jini_error *error)
{
    JINI_ASSERT(walk->time != 0);
    if (walk->direction == STORE_BACKWARD) {
        arrive(walk, block_link(block, event, walk->side));
        return 0;
    }
    if (walk->left == 0 && walk->time < walk->end_ns) {
        walk->min = walk->time + 1;
        return collect(walk, block, error);
    }
    arrive(walk, walk->left > 0 ? walk->times[--walk->left] : 0);
    return 0;
}
