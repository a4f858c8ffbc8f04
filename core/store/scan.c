/*
 * Cursors, and scans in slices. A cursor remembers the last key that it gave; after a write of its
 * own transaction it looks that key up again, so it never stands on a page that has moved. With
 * overlays it merges: at each step the nearest key of the database and of every overlay wins, and a
 * deletion hides what lies below.
 */
#include "store/store_private.h"

#include "base/alloc.h"

enum { SLICE_ENTRIES = 512 };

/* As `seen_writes`: the driver's cursor does not stand on the last key. */
static const uint64_t lost_place = UINT64_MAX;

int store_cursor_open(struct store_txn *txn, enum store_space space, struct slice low,
                      struct slice high, enum store_direction direction, struct store_cursor *out)
{
    memset(out, 0, offsetof(struct store_cursor, low));
    out->txn = txn;
    out->space = space;
    out->direction = direction;
    int status = txn_check(txn);
    if (status)
        return status;
    if (low.length > STORE_KEY_MAX || high.length > STORE_KEY_MAX)
        return JINI_E_TOO_BIG;
    out->low_length = low.length;
    out->high_length = high.length;
    if (low.length)
        memcpy(out->low, low.data, low.length);
    if (high.length)
        memcpy(out->high, high.data, high.length);
    struct driver_cursor *cursor;
    status = txn->store->ops->cursor_open(txn->driver_txn, space, &cursor);
    if (status)
        return status;
    out->driver_cursor = cursor;
    return 0;
}

void store_cursor_close(struct store_cursor *cursor)
{
    if (cursor->driver_cursor)
        cursor->txn->store->ops->cursor_close(cursor->driver_cursor);
    cursor->driver_cursor = NULL;
}

/* Where the next look begins: behind the last key given, or at the bound where the scan starts. */
static struct slice position(const struct store_cursor *cursor, bool *after)
{
    *after = cursor->started && cursor->direction == STORE_FORWARD;
    if (cursor->started)
        return slice_of(cursor->key_bytes, cursor->key_length);
    return cursor->direction == STORE_FORWARD ? slice_of(cursor->low, cursor->low_length)
                                              : slice_of(cursor->high, cursor->high_length);
}

static int next_in_database(struct store_cursor *cursor, struct slice *key, struct slice *value)
{
    const struct driver_ops *ops = cursor->txn->store->ops;
    if (cursor->started && cursor->seen_writes == cursor->txn->writes && !cursor->txn->overlays)
        return ops->cursor_step(cursor->driver_cursor, cursor->direction, key, value);
    bool after;
    struct slice from = position(cursor, &after);
    cursor->seen_writes = cursor->txn->writes;
    return ops->cursor_seek(cursor->driver_cursor, from, cursor->direction, after, key, value);
}

static const struct tree_node *next_in_tree(const struct store_cursor *cursor,
                                            const struct tree_node *root)
{
    bool after;
    struct slice from = position(cursor, &after);
    if (cursor->direction == STORE_FORWARD)
        return tree_first(root, from, after);
    return from.length ? tree_last_before(root, from) : tree_last(root);
}

/* The nearest entry of all levels; `removed` when the newest level that has the key deletes it. */
static int next_merged(struct store_cursor *cursor, struct slice *key, struct slice *value,
                       bool *removed)
{
    struct store_txn *txn = cursor->txn;
    *removed = false;
    int status = next_in_database(cursor, key, value);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    bool found = status == 0;
    for (uint32_t level = 0; level < txn->overlays; level++) {
        const struct tree_node *node = next_in_tree(cursor, txn->overlay[level][cursor->space]);
        if (!node)
            continue;
        int order = found ? slice_compare(tree_key(node), *key) : -1;
        if (found && cursor->direction == STORE_BACKWARD)
            order = -order;
        if (order > 0)
            continue;
        found = true;
        *key = tree_key(node);
        *value = tree_value(node);
        *removed = tree_mark(node);
    }
    return found ? 0 : JINI_E_NOT_FOUND;
}

static bool inside(const struct store_cursor *cursor, struct slice key)
{
    struct slice low = slice_of(cursor->low, cursor->low_length);
    struct slice high = slice_of(cursor->high, cursor->high_length);
    if (cursor->direction == STORE_FORWARD)
        return high.length == 0 || slice_compare(key, high) < 0;
    return slice_compare(key, low) >= 0;
}

static int next_entry(struct store_cursor *cursor, struct buffer *value)
{
    struct slice key;
    struct slice found;
    bool removed;
    if (value)
        buffer_reset(value);
    int status = txn_check(cursor->txn);
    if (status)
        return status;
    do {
        status = next_merged(cursor, &key, &found, &removed);
        if (status == 0 && !inside(cursor, key))
            status = JINI_E_NOT_FOUND;
        if (status == 0 && (key.length > STORE_KEY_MAX || found.length > STORE_VALUE_MAX))
            status = JINI_E_CORRUPT;
        if (status) {
            cursor->seen_writes = lost_place;
            if (status != JINI_E_NOT_FOUND && cursor->txn->failure == 0)
                cursor->txn->failure = status;
            return status;
        }
        memcpy(cursor->key_bytes, key.data, key.length);
        cursor->key_length = key.length;
        cursor->started = true;
    } while (removed);
    cursor->key = slice_of(cursor->key_bytes, cursor->key_length);
    if (!value)
        return 0;
    buffer_append(value, found.data, found.length);
    return value->overflow ? JINI_E_TOO_BIG : 0;
}

int store_cursor_next(struct store_cursor *cursor, struct buffer *value)
{
    return txn_confirm(cursor->txn, next_entry(cursor, value));
}

/*
 * Scans in slices. A slice is copied from its snapshot into an arena and visited when the snapshot
 * is closed, so that a visit may take its time, and may write.
 */
enum { ARENA_BYTES = 256 * 1024, ENTRY_MAX = 8 + STORE_KEY_MAX + STORE_VALUE_MAX };

struct sliced_scan {
    enum store_space space;
    struct slice high;
    bool ended;
    bool started;
    size_t last_length; /* of the last key that was copied */
    uint8_t last[STORE_KEY_MAX];
    struct buffer arena; /* entries: key length u32, value length u32, key, value */
};

static void add_entry(struct buffer *arena, struct slice key, struct slice value)
{
    uint8_t lengths[8];
    store_le32(lengths, (uint32_t)key.length);
    store_le32(lengths + 4, (uint32_t)value.length);
    buffer_append(arena, lengths, sizeof(lengths));
    buffer_append(arena, key.data, key.length);
    buffer_append(arena, value.data, value.length);
    JINI_ASSERT(!arena->overflow);
}

/* Copies entries while the arena has room for the largest one; it keeps those before a failure. */
static int copy_slice(struct store_txn *txn, struct sliced_scan *scan, struct slice low,
                      uint8_t value_bytes[STORE_VALUE_MAX])
{
    struct store_cursor cursor;
    struct buffer value = buffer_of(value_bytes, STORE_VALUE_MAX);
    buffer_reset(&scan->arena);
    int status = store_cursor_open(txn, scan->space, low, scan->high, STORE_FORWARD, &cursor);
    if (status)
        return status;
    if (scan->started) {
        cursor.started = true;
        cursor.seen_writes = lost_place;
        cursor.key_length = scan->last_length;
        memcpy(cursor.key_bytes, scan->last, scan->last_length);
    }
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        if (scan->arena.capacity - scan->arena.length < ENTRY_MAX)
            break;
        status = store_cursor_next(&cursor, &value);
        scan->ended = status == JINI_E_NOT_FOUND;
        if (status)
            break;
        add_entry(&scan->arena, cursor.key, buffer_slice(&value));
    }
    scan->started = cursor.started;
    scan->last_length = cursor.key_length;
    memcpy(scan->last, cursor.key_bytes, cursor.key_length);
    store_cursor_close(&cursor);
    return scan->ended ? 0 : status;
}

static int visit_slice(const struct sliced_scan *scan, store_visit_fn *visit, void *argument)
{
    const uint8_t *at = scan->arena.data;
    const uint8_t *end = at + scan->arena.length;
    int status = 0;
    while (status == 0 && at < end) {
        struct slice key = slice_of(at + 8, load_le32(at));
        struct slice value = slice_of(key.data + key.length, load_le32(at + 4));
        status = visit(argument, key, value);
        at = value.data + value.length;
    }
    return status;
}

int store_each(struct store *store, enum store_space space, struct slice low, struct slice high,
               store_visit_fn *visit, void *argument)
{
    uint8_t *bytes = base_malloc(STORE_VALUE_MAX + ARENA_BYTES);
    if (!bytes)
        return JINI_E_NO_MEMORY;
    struct sliced_scan scan = {
        .space = space, .high = high, .arena = buffer_of(bytes + STORE_VALUE_MAX, ARENA_BYTES)};
    int status = 0;
    while (status == 0 && !scan.ended) {
        struct store_txn *txn;
        status = store_read_begin(store, &txn);
        if (status)
            break;
        int failure = copy_slice(txn, &scan, low, bytes);
        store_read_end(txn);
        status = visit_slice(&scan, visit, argument);
        if (status == 0)
            status = failure;
    }
    base_free(bytes);
    return status;
}

int store_measure(struct store *store, enum store_space space, uint64_t *entries, uint64_t *bytes)
{
    struct store_txn *txn;
    *entries = *bytes = 0;
    int status = store_read_begin(store, &txn);
    if (status)
        return status;
    status = txn_confirm(txn, store->ops->count(txn->driver_txn, space, entries, bytes));
    store_read_end(txn);
    if (status)
        *entries = *bytes = 0;
    return status;
}

int store_count(struct store *store, enum store_space space, uint64_t *out)
{
    uint64_t bytes;
    return store_measure(store, space, out, &bytes);
}
