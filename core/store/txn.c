/*
 * What may be done inside a transaction: reads, writes, stamps, marks. Writes of an op are counted,
 * bounded and, where every op runs twice, digested.
 */
#include "store/store_private.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/hash.h"

static const char stamp_key[] = "stamp";

void txn_reset_batch(struct store_txn *txn)
{
    JINI_ASSERT(txn->overlays == 0);
    txn->writes = 0;
    txn->applied = 0;
    txn->bytes = 0;
    txn->stamp_loaded = false;
    txn->stamp_used = false;
    txn->mark_count = 0;
    txn->mark_all = false;
    txn->signals = 0;
    txn_reset_op(txn);
}

void txn_reset_op(struct store_txn *txn)
{
    txn->op_keys = 0;
    txn->op_bytes = 0;
    txn->digest = 0;
    txn->exceeded = TXN_BOUND_NONE;
    txn->failure = 0;
}

/* A snapshot that was inherited through fork is not ours to use. */
int txn_check(const struct store_txn *txn)
{
    if (txn->store->fork_generation != fork_generation())
        return JINI_E_FORKED;
    return txn->store->looks_on ? store_look(txn->store) : 0;
}

/*
 * The status of a read whose result has been copied out of the map: what one that looks on has read
 * counts only when nobody has come by then who may have written over it.
 */
int txn_confirm(const struct store_txn *txn, int status)
{
    int health = txn->store->looks_on ? store_look(txn->store) : 0;
    return health ? health : status;
}

static int check_key(enum store_space space, struct slice key)
{
    JINI_ASSERT((unsigned)space < STORE_SPACES);
    if (key.length == 0)
        return JINI_E_INVALID;
    return key.length <= STORE_KEY_MAX ? 0 : JINI_E_TOO_BIG;
}

/* What an op sees of a driver's own codes; the batch sees the code itself and mends the cause. */
static int public_status(int status)
{
    return status <= DRIVER_CODES ? JINI_E_FULL : status;
}

/*
 * An error of the driver that the op cannot mend: remembered, so that the op fails whatever it
 * answers.
 */
static int driver_failed(struct store_txn *txn, int status)
{
    if (txn->failure == 0)
        txn->failure = status;
    return public_status(status);
}

static int find(struct store_txn *txn, enum store_space space, struct slice key,
                struct slice *value)
{
    int status = txn_check(txn);
    if (status == 0)
        status = check_key(space, key);
    if (status)
        return status;
    if (txn->overlays) {
        const struct tree_node *node = overlay_find(txn, space, key);
        if (node) {
            *value = tree_value(node);
            return tree_mark(node) ? JINI_E_NOT_FOUND : 0;
        }
    }
    status = txn->store->ops->get(txn->driver_txn, space, key, value);
    if (status == 0 && value->length > STORE_VALUE_MAX)
        status = JINI_E_CORRUPT;
    if (status && status != JINI_E_NOT_FOUND)
        return driver_failed(txn, status);
    return status;
}

int store_get(struct store_txn *txn, enum store_space space, struct slice key, struct buffer *value)
{
    buffer_reset(value);
    struct slice found;
    int status = find(txn, space, key, &found);
    if (status == 0)
        buffer_append(value, found.data, found.length);
    return txn_confirm(txn, value->overflow ? JINI_E_TOO_BIG : status);
}

int store_has(struct store_txn *txn, enum store_space space, struct slice key)
{
    struct slice found;
    return txn_confirm(txn, find(txn, space, key, &found));
}

void store_get_many(struct store_txn *txn, struct store_lookup *lookups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lookups[i].status = store_get(txn, lookups[i].space, lookups[i].key, &lookups[i].value);
}

int txn_apply(struct store_txn *txn, enum store_space space, struct slice key, struct slice value,
              bool remove)
{
    const struct driver_ops *ops = txn->store->ops;
    int status = remove ? ops->remove(txn->driver_txn, space, key)
                        : ops->put(txn->driver_txn, space, key, value);
    if (status && status != JINI_E_NOT_FOUND)
        return driver_failed(txn, status);
    if (status == 0) {
        txn->writes++;
        txn->applied++;
        txn->bytes += key.length + value.length;
    }
    return status;
}

static void digest_write(struct store_txn *txn, enum store_space space, struct slice key,
                         struct slice value, bool remove)
{
    uint64_t kind = (uint64_t)space << 1 | (remove ? 1 : 0);
    txn->digest = hash64_seeded(key, txn->digest ^ kind);
    txn->digest = hash64_seeded(value, txn->digest);
}

static enum txn_bound exceeded_by(const struct store_txn *txn, struct slice key, struct slice value)
{
    if (key.length > STORE_KEY_MAX)
        return TXN_BOUND_KEY;
    if (value.length > STORE_VALUE_MAX)
        return TXN_BOUND_VALUE;
    if (txn->op_keys >= STORE_OP_KEYS_MAX)
        return TXN_BOUND_KEYS;
    bool fits = txn->op_bytes + key.length + value.length <= STORE_OP_BYTES_MAX;
    return fits ? TXN_BOUND_NONE : TXN_BOUND_BYTES;
}

int store_explain(const struct store_txn *txn, struct jini_error *error)
{
    switch (txn->exceeded) {
    case TXN_BOUND_NONE:
        break;
    case TXN_BOUND_KEY:
        return error_set(error, JINI_E_TOO_BIG, "key", "a key has at most %d bytes", STORE_KEY_MAX);
    case TXN_BOUND_VALUE:
        return error_set(error, JINI_E_TOO_BIG, "value", "a value has at most %d bytes",
                         STORE_VALUE_MAX);
    case TXN_BOUND_KEYS:
        return error_set(error, JINI_E_TOO_BIG, "write",
                         "one write changes at most %d keys; make several of it",
                         STORE_OP_KEYS_MAX);
    case TXN_BOUND_BYTES:
        return error_set(error, JINI_E_TOO_BIG, "write",
                         "the keys and values of one write have at most %d bytes together; make "
                         "several of it",
                         STORE_OP_BYTES_MAX);
    }
    return JINI_E_TOO_BIG;
}

static int write(struct store_txn *txn, enum store_space space, struct slice key,
                 struct slice value, bool remove)
{
    int status = txn_check(txn);
    if (status)
        return status;
    if (!txn->writable)
        return JINI_E_READ_ONLY;
    txn->exceeded = exceeded_by(txn, key, value);
    if (txn->exceeded != TXN_BOUND_NONE)
        return JINI_E_TOO_BIG;
    status = check_key(space, key);
    if (status)
        return status;
    if (txn->failure)
        return public_status(txn->failure);
    status = txn->overlays ? overlay_write(txn, space, key, value, remove)
                           : txn_apply(txn, space, key, value, remove);
    if (status)
        return status;
    txn->op_keys++;
    txn->op_bytes += key.length + value.length;
    if (txn->store->options.run_twice)
        digest_write(txn, space, key, value, remove);
    return 0;
}

int store_put(struct store_txn *txn, enum store_space space, struct slice key, struct slice value)
{
    return write(txn, space, key, value, false);
}

int store_delete(struct store_txn *txn, enum store_space space, struct slice key)
{
    return write(txn, space, key, slice_of(NULL, 0), true);
}

/*
 * The last stamp lies in space META as 8 bytes, little-endian, and travels with every copy of the
 * database. The clock only lifts it: a clock that stands or runs backwards gives last + 1, and a
 * copy that is put back in place of a newer database goes on above what the newer one had given, as
 * long as the clock is right.
 */
static int load_stamp(struct store_txn *txn)
{
    struct slice found;
    struct slice key = slice_of_text(stamp_key);
    int status = txn->store->ops->get(txn->driver_txn, STORE_SPACE_META, key, &found);
    if (status == JINI_E_NOT_FOUND)
        txn->stamp = 0;
    else if (status)
        return driver_failed(txn, status);
    else if (found.length != sizeof(uint64_t))
        return driver_failed(txn, JINI_E_CORRUPT);
    else
        txn->stamp = load_le64(found.data);
    txn->stamp_loaded = true;
    return 0;
}

int store_stamp(struct store_txn *txn, uint64_t *out)
{
    *out = 0;
    if (!txn->writable)
        return JINI_E_READ_ONLY;
    if (!txn->stamp_loaded) {
        int status = load_stamp(txn);
        if (status)
            return status;
    }
    txn->stamp = txn->now_ns > txn->stamp ? txn->now_ns : txn->stamp + 1;
    txn->stamp_used = true;
    *out = txn->stamp;
    return 0;
}

int txn_flush_stamp(struct store_txn *txn)
{
    if (!txn->stamp_used || txn->applied == 0)
        return 0;
    uint8_t bytes[sizeof(uint64_t)];
    store_le64(bytes, txn->stamp);
    int status = txn_apply(txn, STORE_SPACE_META, slice_of_text(stamp_key),
                           slice_of(bytes, sizeof(bytes)), false);
    return txn->failure ? txn->failure : status;
}

void store_mark_changed(struct store_txn *txn, uint32_t word)
{
    JINI_ASSERT(word < STORE_CHANGE_WORDS);
    for (uint32_t i = 0; i < txn->mark_count; i++) {
        if (txn->marks[i] == word)
            return;
    }
    if (txn->mark_count == MARKS_MAX)
        txn->mark_all = true;
    else
        txn->marks[txn->mark_count++] = (uint16_t)word;
}
