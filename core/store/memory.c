/*
 * The memory driver: spaces as persistent trees, one root per space. A snapshot holds the roots of
 * its commit, a write transaction holds roots of its own and puts them in place when it commits.
 * For tests: it runs the same conformance suite as LMDB and keeps nothing.
 */
#include "store/driver.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/tree.h"

#include <pthread.h>
#include <stdatomic.h>

struct roots {
    struct tree_node *space[STORE_SPACES];
};

struct driver {
    pthread_mutex_t lock; /* guards `newest`, `readers` */
    struct roots newest;
    uint32_t readers;
    _Atomic uint64_t map_bytes;
};

struct driver_txn {
    struct driver *driver;
    struct roots roots;
    bool writable;
};

struct driver_cursor {
    struct driver_txn *txn;
    enum store_space space;
    const struct tree_node *at;
};

static void roots_retain(struct roots *to, const struct roots *from)
{
    for (int i = 0; i < STORE_SPACES; i++)
        to->space[i] = tree_retain(from->space[i]);
}

static void roots_release(struct roots *roots)
{
    for (int i = 0; i < STORE_SPACES; i++) {
        tree_release(roots->space[i]);
        roots->space[i] = NULL;
    }
}

static int memory_create(const struct store_options *options, struct jini_error *error)
{
    (void)options;
    (void)error;
    return 0;
}

static int memory_open(const struct store_options *options, bool unseen, struct driver **out,
                       struct jini_error *error)
{
    (void)unseen;
    struct driver *driver = base_calloc(1, sizeof(*driver));
    if (!driver)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    pthread_mutex_init(&driver->lock, NULL);
    driver->map_bytes = options->map_bytes;
    *out = driver;
    return 0;
}

static void memory_close(struct driver *driver)
{
    roots_release(&driver->newest);
    pthread_mutex_destroy(&driver->lock);
    base_free(driver);
}

static int memory_create_spaces(struct driver *driver, struct jini_error *error)
{
    (void)driver;
    (void)error;
    return 0;
}

static bool memory_has_spaces(struct driver *driver)
{
    (void)driver;
    return true;
}

static int memory_reader_new(struct driver *driver, struct driver_txn **out)
{
    struct driver_txn *txn = base_calloc(1, sizeof(*txn));
    if (!txn)
        return JINI_E_NO_MEMORY;
    txn->driver = driver;
    *out = txn;
    return 0;
}

static int memory_reader_begin(struct driver_txn *reader)
{
    struct driver *driver = reader->driver;
    pthread_mutex_lock(&driver->lock);
    roots_retain(&reader->roots, &driver->newest);
    driver->readers++;
    pthread_mutex_unlock(&driver->lock);
    return 0;
}

static void memory_reader_end(struct driver_txn *reader)
{
    struct driver *driver = reader->driver;
    roots_release(&reader->roots);
    pthread_mutex_lock(&driver->lock);
    JINI_ASSERT(driver->readers > 0);
    driver->readers--;
    pthread_mutex_unlock(&driver->lock);
}

static void memory_reader_free(struct driver_txn *reader)
{
    base_free(reader);
}

static int memory_write_begin(struct driver *driver, struct driver_txn **out)
{
    int status = memory_reader_new(driver, out);
    if (status)
        return status;
    (*out)->writable = true;
    pthread_mutex_lock(&driver->lock);
    roots_retain(&(*out)->roots, &driver->newest);
    pthread_mutex_unlock(&driver->lock);
    return 0;
}

static void memory_write_abort(struct driver_txn *txn)
{
    roots_release(&txn->roots);
    base_free(txn);
}

static int memory_write_commit(struct driver_txn *txn)
{
    struct driver *driver = txn->driver;
    pthread_mutex_lock(&driver->lock);
    struct roots old = driver->newest;
    driver->newest = txn->roots;
    pthread_mutex_unlock(&driver->lock);
    txn->roots = old;
    memory_write_abort(txn);
    return 0;
}

static int memory_get(struct driver_txn *txn, enum store_space space, struct slice key,
                      struct slice *value)
{
    const struct tree_node *node = tree_find(txn->roots.space[space], key);
    if (!node)
        return JINI_E_NOT_FOUND;
    *value = tree_value(node);
    return 0;
}

static int memory_put(struct driver_txn *txn, enum store_space space, struct slice key,
                      struct slice value)
{
    JINI_ASSERT(txn->writable);
    return tree_put(&txn->roots.space[space], key, value, false);
}

static int memory_remove(struct driver_txn *txn, enum store_space space, struct slice key)
{
    JINI_ASSERT(txn->writable);
    return tree_delete(&txn->roots.space[space], key);
}

static int memory_cursor_open(struct driver_txn *txn, enum store_space space,
                              struct driver_cursor **out)
{
    struct driver_cursor *cursor = base_calloc(1, sizeof(*cursor));
    if (!cursor)
        return JINI_E_NO_MEMORY;
    cursor->txn = txn;
    cursor->space = space;
    *out = cursor;
    return 0;
}

static int cursor_found(struct driver_cursor *cursor, struct slice *key, struct slice *value)
{
    if (!cursor->at)
        return JINI_E_NOT_FOUND;
    *key = tree_key(cursor->at);
    *value = tree_value(cursor->at);
    return 0;
}

static int memory_cursor_seek(struct driver_cursor *cursor, struct slice key,
                              enum store_direction direction, bool after, struct slice *found_key,
                              struct slice *found_value)
{
    const struct tree_node *root = cursor->txn->roots.space[cursor->space];
    if (direction == STORE_FORWARD)
        cursor->at = tree_first(root, key, after);
    else
        cursor->at = key.length ? tree_last_before(root, key) : tree_last(root);
    return cursor_found(cursor, found_key, found_value);
}

static int memory_cursor_step(struct driver_cursor *cursor, enum store_direction direction,
                              struct slice *found_key, struct slice *found_value)
{
    const struct tree_node *root = cursor->txn->roots.space[cursor->space];
    struct slice key = tree_key(cursor->at);
    cursor->at =
        direction == STORE_FORWARD ? tree_first(root, key, true) : tree_last_before(root, key);
    return cursor_found(cursor, found_key, found_value);
}

static void memory_cursor_close(struct driver_cursor *cursor)
{
    base_free(cursor);
}

static int memory_count(struct driver_txn *txn, enum store_space space, uint64_t *entries,
                        uint64_t *bytes)
{
    const struct tree_node *root = txn->roots.space[space];
    const struct tree_node *node = tree_first(root, slice_of(NULL, 0), false);
    *entries = *bytes = 0;
    for (; node; node = tree_first(root, tree_key(node), true)) {
        ++*entries;
        *bytes += tree_key(node).length + tree_value(node).length;
    }
    return 0;
}

static int memory_resize(struct driver *driver, uint64_t map_bytes)
{
    if (map_bytes)
        driver->map_bytes = map_bytes;
    return 0;
}

static uint64_t memory_map_bytes(const struct driver *driver)
{
    return driver->map_bytes;
}

static int memory_data_file(const struct driver *driver)
{
    (void)driver;
    return -1;
}

static int memory_copy(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    (void)reader;
    (void)form;
    (void)fd;
    return JINI_E_UNSUPPORTED;
}

static int memory_verify(const struct store_options *options, const struct store_watch *watch,
                         struct jini_error *error)
{
    (void)watch;
    return memory_create(options, error);
}

static int memory_clear_stale_readers(struct driver *driver)
{
    (void)driver;
    return 0;
}

static int memory_figures(struct driver *driver, struct driver_txn *reader, bool walk_free_list,
                          struct driver_figures *out)
{
    (void)reader;
    (void)walk_free_list;
    *out = (struct driver_figures){.map_bytes = driver->map_bytes, .page_bytes = 4096};
    pthread_mutex_lock(&driver->lock);
    out->readers = driver->readers;
    pthread_mutex_unlock(&driver->lock);
    return 0;
}

const struct driver_ops driver_memory = {
    .create = memory_create,
    .open = memory_open,
    .close = memory_close,
    .create_spaces = memory_create_spaces,
    .has_spaces = memory_has_spaces,
    .reader_new = memory_reader_new,
    .reader_begin = memory_reader_begin,
    .reader_end = memory_reader_end,
    .reader_free = memory_reader_free,
    .write_begin = memory_write_begin,
    .write_commit = memory_write_commit,
    .write_abort = memory_write_abort,
    .get = memory_get,
    .put = memory_put,
    .remove = memory_remove,
    .cursor_open = memory_cursor_open,
    .cursor_seek = memory_cursor_seek,
    .cursor_step = memory_cursor_step,
    .cursor_close = memory_cursor_close,
    .count = memory_count,
    .resize = memory_resize,
    .map_bytes = memory_map_bytes,
    .data_file = memory_data_file,
    .copy = memory_copy,
    .verify = memory_verify,
    .clear_stale_readers = memory_clear_stale_readers,
    .figures = memory_figures,
};
