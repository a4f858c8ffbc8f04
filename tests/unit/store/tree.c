/* The persistent map behind the memory driver and the overlays. */
#include "store/tree.h"

#include "harness.h"

#include <jini/status.h>
#include <stdlib.h>

enum { KEYS = 200, VERSIONS = 20, ABSENT = -1 };

struct version {
    struct tree_node *root;
    int value[KEYS];
};

static struct slice key_of(uint8_t bytes[3], int key)
{
    bytes[0] = (uint8_t)(key / 50);
    bytes[1] = (uint8_t)(key / 3 * 3);
    bytes[2] = (uint8_t)key;
    return slice_of(bytes, key % 3 ? 3 : 2); /* some are the beginning of others */
}

static void change(struct version *version)
{
    uint8_t bytes[3];
    int key = (int)harness_random_below(KEYS);
    if (harness_random_below(2)) {
        uint8_t value = (uint8_t)harness_random();
        CHECK_OK(tree_put(&version->root, key_of(bytes, key), slice_of(&value, 1), value & 1));
        version->value[key] = value;
    } else {
        CHECK_STATUS(tree_delete(&version->root, key_of(bytes, key)),
                     version->value[key] == ABSENT ? JINI_E_NOT_FOUND : 0);
        version->value[key] = ABSENT;
    }
}

static void check_node(const struct tree_node *node, const struct version *version, int key)
{
    uint8_t bytes[3];
    if (key < 0 || key >= KEYS) {
        CHECK(node == NULL);
        return;
    }
    CHECK(node != NULL);
    CHECK(slice_equal(tree_key(node), key_of(bytes, key)));
    CHECK_INT(tree_value(node).data[0], ==, version->value[key]);
    CHECK_INT(tree_mark(node), ==, version->value[key] & 1);
}

/* The nearest key that is there, from `key` on in steps of `step`. */
static int nearest(const struct version *version, int key, int step)
{
    while (key >= 0 && key < KEYS && version->value[key] == ABSENT)
        key += step;
    return key;
}

static void check_version(const struct version *version)
{
    uint8_t bytes[3];
    check_node(tree_last(version->root), version, nearest(version, KEYS - 1, -1));
    check_node(tree_first(version->root, slice_of(NULL, 0), false), version,
               nearest(version, 0, 1));
    for (int key = 0; key < KEYS; key++) {
        struct slice slice = key_of(bytes, key);
        const struct tree_node *found = tree_find(version->root, slice);
        CHECK((found != NULL) == (version->value[key] != ABSENT));
        check_node(tree_first(version->root, slice, false), version, nearest(version, key, 1));
        check_node(tree_first(version->root, slice, true), version, nearest(version, key + 1, 1));
        check_node(tree_last_before(version->root, slice), version, nearest(version, key - 1, -1));
    }
}

TEST(versions_stand_still,
     "Random changes match an array, and every older version stays as it was.")
{
    struct version *versions = calloc(VERSIONS, sizeof(*versions));
    CHECK(versions);
    for (int key = 0; key < KEYS; key++)
        versions[0].value[key] = ABSENT;
    for (int i = 0; i < VERSIONS; i++) {
        if (i > 0) {
            versions[i] = versions[i - 1];
            tree_retain(versions[i].root);
        }
        for (int k = 0; k < 100; k++)
            change(&versions[i]);
    }
    for (int i = 0; i < VERSIONS; i++)
        check_version(&versions[i]);
    for (int i = 0; i < VERSIONS; i += 2)
        tree_release(versions[i].root);
    for (int i = 1; i < VERSIONS; i += 2)
        check_version(&versions[i]);
    for (int i = 1; i < VERSIONS; i += 2)
        tree_release(versions[i].root);
    free(versions);
}

TEST(the_order_of_changes_does_not_matter_for_depth,
     "A hundred thousand keys put in order, where a plain tree would be a list, are found fast.")
{
    struct tree_node *root = NULL;
    uint8_t bytes[8];
    for (uint64_t i = 0; i < 100000; i++) {
        store_be64(bytes, i);
        CHECK_OK(tree_put(&root, slice_of(bytes, 8), slice_of(bytes, 8), false));
    }
    for (uint64_t i = 0; i < 100000; i++) {
        store_be64(bytes, i);
        CHECK(tree_find(root, slice_of(bytes, 8)) != NULL);
    }
    tree_release(root);
    tree_release(NULL);
    CHECK(tree_retain(NULL) == NULL);
}

TEST(a_change_without_memory_changes_nothing,
     "When any allocation of a change fails, the version stays whole and nothing is lost.")
{
    struct version version = {0};
    for (int key = 0; key < KEYS; key++)
        version.value[key] = ABSENT;
    harness_fail_allocation(0);
    for (int i = 0; i < 300; i++)
        change(&version);
    for (int key = 0; key < KEYS; key++) {
        uint8_t bytes[3];
        bool there = version.value[key] != ABSENT;
        for (uint64_t nth = 1;; nth++) {
            harness_fail_allocation(nth);
            int status = there ? tree_delete(&version.root, key_of(bytes, key))
                               : tree_put(&version.root, key_of(bytes, key), slice_of(bytes, 1),
                                          bytes[0] & 1);
            bool failed = harness_allocation_failed();
            harness_fail_allocation(0);
            CHECK_STATUS(status, failed ? JINI_E_NO_MEMORY : 0);
            if (!failed)
                break;
            check_version(&version);
        }
        version.value[key] = there ? ABSENT : bytes[0];
    }
    check_version(&version);
    tree_release(version.root);
}
