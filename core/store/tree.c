/* The treap behind tree.h: changes copy the path from the root, and nothing else. */
#include "store/tree.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <jini/status.h>
#include <stdatomic.h>

struct tree_node {
    _Atomic uint32_t references;
    bool mark;
    uint64_t priority;
    struct tree_node *left;
    struct tree_node *right;
    uint32_t key_length;
    uint32_t value_length;
    uint8_t bytes[]; /* key, then value */
};

struct slice tree_key(const struct tree_node *node)
{
    return slice_of(node->bytes, node->key_length);
}

struct slice tree_value(const struct tree_node *node)
{
    return slice_of(node->bytes + node->key_length, node->value_length);
}

bool tree_mark(const struct tree_node *node)
{
    return node->mark;
}

struct tree_node *tree_retain(struct tree_node *root)
{
    if (root)
        atomic_fetch_add_explicit(&root->references, 1, memory_order_relaxed);
    return root;
}

void tree_release(struct tree_node *root)
{
    while (root) {
        uint32_t before = atomic_fetch_sub_explicit(&root->references, 1, memory_order_acq_rel);
        JINI_ASSERT(before > 0);
        if (before > 1)
            return;
        tree_release(root->left);
        struct tree_node *right = root->right;
        base_free(root);
        root = right;
    }
}

static struct tree_node *node_new(struct slice key, struct slice value, bool mark)
{
    struct tree_node *node = base_malloc(sizeof(*node) + key.length + value.length);
    if (!node)
        return NULL;
    atomic_init(&node->references, 1);
    node->mark = mark;
    node->priority = hash64(key);
    node->left = NULL;
    node->right = NULL;
    node->key_length = (uint32_t)key.length;
    node->value_length = (uint32_t)value.length;
    if (key.length)
        memcpy(node->bytes, key.data, key.length);
    if (value.length)
        memcpy(node->bytes + key.length, value.data, value.length);
    return node;
}

/* A copy with other children, whose references it takes. On failure it releases them. */
static struct tree_node *node_with(const struct tree_node *node, struct tree_node *left,
                                   struct tree_node *right)
{
    struct tree_node *copy = node_new(tree_key(node), tree_value(node), node->mark);
    if (!copy) {
        tree_release(left);
        tree_release(right);
        return NULL;
    }
    copy->left = left;
    copy->right = right;
    return copy;
}

/* The order of the heap; equal hashes fall back on the keys, so that the shape stays unique. */
static bool above(const struct tree_node *a, const struct tree_node *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return slice_compare(tree_key(a), tree_key(b)) < 0;
}

/* `parent` and `child` are both new and held by nobody else. */
static struct tree_node *rotate_left_child(struct tree_node *parent)
{
    struct tree_node *child = parent->left;
    parent->left = child->right;
    child->right = parent;
    return child;
}

static struct tree_node *rotate_right_child(struct tree_node *parent)
{
    struct tree_node *child = parent->right;
    parent->right = child->left;
    child->left = parent;
    return child;
}

static struct tree_node *insert(struct tree_node *node, struct slice key, struct slice value,
                                bool mark)
{
    if (!node)
        return node_new(key, value, mark);
    int order = slice_compare(key, tree_key(node));
    if (order == 0) {
        struct tree_node *fresh = node_new(key, value, mark);
        if (fresh) {
            fresh->left = tree_retain(node->left);
            fresh->right = tree_retain(node->right);
        }
        return fresh;
    }
    struct tree_node *changed = insert(order < 0 ? node->left : node->right, key, value, mark);
    if (!changed)
        return NULL;
    struct tree_node *copy = order < 0 ? node_with(node, changed, tree_retain(node->right))
                                       : node_with(node, tree_retain(node->left), changed);
    if (!copy || !above(changed, copy))
        return copy;
    return order < 0 ? rotate_left_child(copy) : rotate_right_child(copy);
}

int tree_put(struct tree_node **root, struct slice key, struct slice value, bool mark)
{
    struct tree_node *changed = insert(*root, key, value, mark);
    if (!changed)
        return JINI_E_NO_MEMORY;
    tree_release(*root);
    *root = changed;
    return 0;
}

/* A new tree of all of `left`, then all of `right`; borrows both. */
static int join(struct tree_node *left, struct tree_node *right, struct tree_node **out)
{
    if (!left || !right) {
        *out = tree_retain(left ? left : right);
        return 0;
    }
    struct tree_node *inner;
    if (above(left, right)) {
        if (join(left->right, right, &inner) != 0)
            return JINI_E_NO_MEMORY;
        *out = node_with(left, tree_retain(left->left), inner);
    } else {
        if (join(left, right->left, &inner) != 0)
            return JINI_E_NO_MEMORY;
        *out = node_with(right, inner, tree_retain(right->right));
    }
    return *out ? 0 : JINI_E_NO_MEMORY;
}

static int erase(struct tree_node *node, struct slice key, struct tree_node **out)
{
    int order = slice_compare(key, tree_key(node));
    if (order == 0)
        return join(node->left, node->right, out);
    struct tree_node *changed;
    int status = erase(order < 0 ? node->left : node->right, key, &changed);
    if (status)
        return status;
    *out = order < 0 ? node_with(node, changed, tree_retain(node->right))
                     : node_with(node, tree_retain(node->left), changed);
    return *out ? 0 : JINI_E_NO_MEMORY;
}

int tree_delete(struct tree_node **root, struct slice key)
{
    if (!tree_find(*root, key))
        return JINI_E_NOT_FOUND;
    struct tree_node *changed = NULL;
    int status = erase(*root, key, &changed);
    if (status)
        return status;
    tree_release(*root);
    *root = changed;
    return 0;
}

const struct tree_node *tree_find(const struct tree_node *root, struct slice key)
{
    while (root) {
        int order = slice_compare(key, tree_key(root));
        if (order == 0)
            return root;
        root = order < 0 ? root->left : root->right;
    }
    return NULL;
}

const struct tree_node *tree_first(const struct tree_node *root, struct slice key, bool after)
{
    const struct tree_node *best = NULL;
    while (root) {
        int order = slice_compare(tree_key(root), key);
        if (order > 0 || (order == 0 && !after)) {
            best = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return best;
}

const struct tree_node *tree_last_before(const struct tree_node *root, struct slice key)
{
    const struct tree_node *best = NULL;
    while (root) {
        if (slice_compare(tree_key(root), key) < 0) {
            best = root;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return best;
}

const struct tree_node *tree_last(const struct tree_node *root)
{
    while (root && root->right)
        root = root->right;
    return root;
}
