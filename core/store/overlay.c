/*
 * Overlays: writes of a part of an op, kept in trees of their own until they are kept or discarded.
 * A deletion is an entry with its mark set. Reads look from the newest overlay down to the
 * database.
 */
#include "store/store_private.h"

static void release(struct tree_node **roots)
{
    for (int i = 0; i < STORE_SPACES; i++) {
        tree_release(roots[i]);
        roots[i] = NULL;
    }
}

const struct tree_node *overlay_find(const struct store_txn *txn, enum store_space space,
                                     struct slice key)
{
    for (uint32_t level = txn->overlays; level > 0; level--) {
        const struct tree_node *node = tree_find(txn->overlay[level - 1][space], key);
        if (node)
            return node;
    }
    return NULL;
}

int overlay_write(struct store_txn *txn, enum store_space space, struct slice key,
                  struct slice value, bool remove)
{
    if (remove) {
        int status = store_has(txn, space, key);
        if (status)
            return status;
    }
    txn->writes++;
    int status = tree_put(&txn->overlay[txn->overlays - 1][space], key, value, remove);
    if (status && txn->failure == 0)
        txn->failure = status;
    return status;
}

int store_overlay_begin(struct store_txn *txn)
{
    if (!txn->writable)
        return JINI_E_READ_ONLY;
    if (txn->overlays - txn->overlay_base == STORE_OVERLAYS_MAX)
        return JINI_E_TOO_BIG;
    txn->overlays++;
    JINI_ASSERT(txn->overlays <= OVERLAYS_MAX);
    return 0;
}

/* Writes one level's entries into the level below it, which may be the database. */
static int move_down(struct store_txn *txn, struct tree_node *const *roots)
{
    for (int space = 0; space < STORE_SPACES; space++) {
        const struct tree_node *node = tree_first(roots[space], slice_of(NULL, 0), false);
        while (node) {
            struct slice key = tree_key(node);
            int status = txn->overlays ? tree_put(&txn->overlay[txn->overlays - 1][space], key,
                                                  tree_value(node), tree_mark(node))
                                       : txn_apply(txn, (enum store_space)space, key,
                                                   tree_value(node), tree_mark(node));
            if (status && !(status == JINI_E_NOT_FOUND && tree_mark(node))) {
                if (txn->failure == 0)
                    txn->failure = status;
                return status;
            }
            node = tree_first(roots[space], key, true);
        }
    }
    return 0;
}

int store_overlay_keep(struct store_txn *txn)
{
    JINI_ASSERT(txn->overlays > txn->overlay_base);
    txn->overlays--;
    struct tree_node **roots = txn->overlay[txn->overlays];
    int status = move_down(txn, roots);
    release(roots);
    txn->writes++;
    return status;
}

void store_overlay_discard(struct store_txn *txn)
{
    JINI_ASSERT(txn->overlays > txn->overlay_base);
    txn->overlays--;
    release(txn->overlay[txn->overlays]);
    txn->writes++;
}

void overlay_begin_batch(struct store_txn *txn)
{
    JINI_ASSERT(txn->overlays == 0 && txn->overlay_base == 0);
    txn->overlays = 1;
    txn->overlay_base = 1;
}

int overlay_keep_batch(struct store_txn *txn)
{
    JINI_ASSERT(txn->overlays == 1 && txn->overlay_base == 1);
    txn->overlay_base = 0;
    return store_overlay_keep(txn);
}

void overlay_discard_left(struct store_txn *txn)
{
    while (txn->overlays > txn->overlay_base)
        store_overlay_discard(txn);
}

void overlay_discard_all(struct store_txn *txn)
{
    txn->overlay_base = 0;
    overlay_discard_left(txn);
}
