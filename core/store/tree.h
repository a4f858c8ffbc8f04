/*
 * A persistent ordered map in memory: every change makes a new version and leaves the old ones
 * whole. A version is its root; versions share what they have in common, and a reference count
 * frees what no version holds. The memory driver keeps its spaces in it, and a transaction its
 * overlays.
 *
 * It is a treap whose priorities are hashes of the keys (C. R. Aragon and R. G. Seidel, "Randomized
 * search trees", 1989): the same content has the same shape, and depth is O(log n) whatever the
 * order of the changes.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "base/bytes.h"

/* One entry. NULL is the empty map. Immutable once it is part of a version. */
struct tree_node;

struct tree_node *tree_retain(struct tree_node *root); /* takes NULL; any thread */
void tree_release(struct tree_node *root);             /* takes NULL; any thread */

/*
 * Replaces *root, whose reference it takes, by a version with the change. On failure *root stays.
 * `mark` is kept beside the value: an overlay marks deletions with it.
 * JINI_E_NO_MEMORY. tree_delete: JINI_E_NOT_FOUND.
 */
int tree_put(struct tree_node **root, struct slice key, struct slice value, bool mark);
int tree_delete(struct tree_node **root, struct slice key);

/* The entry with this key, or NULL. Borrowed from the version. */
const struct tree_node *tree_find(const struct tree_node *root, struct slice key);

/*
 * The first entry at or after `key` (behind it with `after`), the last before `key`, the last of
 * all; or NULL.
 */
const struct tree_node *tree_first(const struct tree_node *root, struct slice key, bool after);
const struct tree_node *tree_last_before(const struct tree_node *root, struct slice key);
const struct tree_node *tree_last(const struct tree_node *root);

struct slice tree_key(const struct tree_node *node);
struct slice tree_value(const struct tree_node *node);
bool tree_mark(const struct tree_node *node);

#endif
