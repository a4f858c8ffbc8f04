/*
 * The LMDB driver: each space is one named database of one environment, the files data.mdb and
 * lock.mdb.
 *
 *  1. One environment per process and directory (LMDB's file locks need it; open.c sees to it).
 *  2. Read transactions belong to reader objects, not to threads (MDB_NOTLS).
 *  3. The file is checked before it is mapped (lmdb_file.h): a file that was cut is refused, where
 *     reading it through the map would end the process by SIGBUS.
 *  4. The map is read by transactions only, which the store keeps away while it is resized; its
 *     size is also kept beside it, for everybody else.
 *  5. Codes of LMDB are translated here and nowhere else.
 */
#include "store/driver.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The table of readers has room for every process that there may be with as many snapshots as it
 * may have, and for those that LMDB opens itself, for a copy and for the list of spaces. A reader
 * has 64 bytes in it.
 */
enum {
    SPACES_MAX = 64,
    READERS_BESIDE = 4, /* of a process */
    READERS_MAX = STORE_PROCESSES_MAX * (STORE_READERS_MAX + READERS_BESIDE),
};

struct driver_txn {
    struct driver *driver;
    MDB_txn *txn;
};

struct driver {
    MDB_env *env;
    struct driver_txn write; /* there is one at a time */
    bool read_only;
    bool syncs;   /* commits are synced */
    int probe_fd; /* of the data file, to ask why a write failed; -1 */
    _Atomic uint64_t map_bytes;
    /*
     * Where the write transaction was last in each space, NULL: nowhere. What an op reads and
     * writes next lies on the same page more often than not, which then is not searched for from
     * the root. LMDB frees them with the transaction.
     */
    MDB_cursor *places[STORE_SPACES];
    unsigned present; /* how many spaces exist: all, or fewer in an older database */
    MDB_dbi dbi[STORE_SPACES];
    bool exists[STORE_SPACES];
};

/*
 * A cursor is LMDB's own, by another name, so that opening one in an op allocates nothing here.
 * This one stands for all of spaces that do not exist.
 */
static struct driver_cursor {
    char unused;
} nowhere;

static struct driver_cursor *from_lmdb(MDB_cursor *cursor)
{
    return (struct driver_cursor *)(void *)cursor;
}

static MDB_cursor *to_lmdb(struct driver_cursor *cursor)
{
    return (MDB_cursor *)(void *)cursor;
}

static const char *const space_names[STORE_SPACES] = {
#define SPACE_NAME(name, number, text) [number] = text,
    STORE_SPACE_MAP(SPACE_NAME)
#undef SPACE_NAME
};

const char *store_space_name(enum store_space space)
{
    JINI_ASSERT((unsigned)space < STORE_SPACES);
    return space_names[space];
}

static int translate(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return JINI_E_NOT_FOUND;
    case MDB_MAP_FULL:
        return DRIVER_MAP_FULL;
    case MDB_MAP_RESIZED:
        return DRIVER_MAP_RESIZED;
    case MDB_TXN_FULL:
        return DRIVER_TXN_FULL;
    case MDB_READERS_FULL:
        return JINI_E_BUSY;
    case MDB_VERSION_MISMATCH:
        return JINI_E_FORMAT;
    case MDB_BAD_VALSIZE:
        return JINI_E_TOO_BIG;
    default:
        if (code >= MDB_KEYEXIST && code <= MDB_LAST_ERRCODE)
            return JINI_E_CORRUPT;
        return error_from_errno(code);
    }
}

static MDB_val to_val(struct slice slice)
{
    return (MDB_val){.mv_size = slice.length, .mv_data = (void *)(uintptr_t)slice.data};
}

static struct slice to_slice(MDB_val val)
{
    return slice_of(val.mv_data, val.mv_size);
}

/* Opens the handles of the spaces that exist, or of all with MDB_CREATE. */
static int open_spaces(struct driver *driver, unsigned txn_flags, unsigned dbi_flags)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(driver->env, NULL, txn_flags, &txn);
    if (code)
        return code;
    driver->present = 0;
    for (int i = 0; i < STORE_SPACES; i++) {
        code = mdb_dbi_open(txn, space_names[i], dbi_flags, &driver->dbi[i]);
        if (code && code != MDB_NOTFOUND) {
            mdb_txn_abort(txn);
            return code;
        }
        driver->exists[i] = code == 0;
        driver->present += code == 0;
    }
    return mdb_txn_commit(txn);
}

static void note_map_bytes(struct driver *driver)
{
    MDB_envinfo info;
    mdb_env_info(driver->env, &info);
    atomic_store(&driver->map_bytes, info.me_mapsize);
}

static unsigned environment_flags(const struct store_options *options, bool unseen)
{
    unsigned flags = MDB_NOTLS | (unseen ? MDB_NOLOCK : 0);
    if (options->read_only)
        return flags | MDB_RDONLY;
    switch (options->sync) {
    case STORE_SYNC_FULL:
        return flags;
    case STORE_SYNC_META:
        return flags | MDB_NOMETASYNC;
    default:
        return flags | MDB_NOSYNC;
    }
}

/*
 * LMDB only extends lock.mdb; a hole of it that is first written to while the disk is full would
 * end the process. So it is allocated, before LMDB opens it: closing it later would drop LMDB's own
 * locks on it.
 */
static int allocate_lock_file(const char *directory, struct jini_error *error)
{
    enum { READER_BYTES = 64, HEADER_BYTES = 4096 };
    char path[4200];
    snprintf(path, sizeof(path), "%s/lock.mdb", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0; /* LMDB says it better */
    int failed = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, READERS_MAX * READER_BYTES + HEADER_BYTES);
    int saved_errno = errno;
    close(fd);
    if (failed && (saved_errno == ENOSPC || saved_errno == EDQUOT))
        return error_set_errno(error, saved_errno, path, "cannot allocate the table of readers");
    return 0;
}

static int environment_open(struct driver *driver, const struct store_options *options, bool unseen,
                            struct jini_error *error)
{
    int code = mdb_env_create(&driver->env);
    if (code)
        return error_set(error, translate(code), "store", "%s", mdb_strerror(code));
    mdb_env_set_maxdbs(driver->env, SPACES_MAX);
    mdb_env_set_maxreaders(driver->env, READERS_MAX);
    mdb_env_set_mapsize(driver->env, options->map_bytes);
    code = mdb_env_open(driver->env, options->directory, environment_flags(options, unseen), 0600);
    if (code == ENOMEM)
        return error_set(error, JINI_E_NO_MEMORY, "store.map_bytes",
                         "cannot reserve %llu bytes of address space; set a smaller map",
                         (unsigned long long)options->map_bytes);
    if (code)
        return error_set(error, translate(code), options->directory,
                         "cannot open the LMDB environment: %s", mdb_strerror(code));
    int fd;
    if (mdb_env_get_fd(driver->env, &fd) == 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    int stale;
    mdb_reader_check(driver->env, &stale);
    code = open_spaces(driver, MDB_RDONLY, 0);
    if (code == MDB_MAP_RESIZED) {
        mdb_env_set_mapsize(driver->env, 0);
        code = open_spaces(driver, MDB_RDONLY, 0);
    }
    if (code)
        return error_set(error, translate(code), options->directory, "cannot open the spaces: %s",
                         mdb_strerror(code));
    if (driver->present == 0)
        return error_set(error, JINI_E_FORMAT, options->directory,
                         "the data file is one of LMDB, but not of Jini");
    note_map_bytes(driver);
    return 0;
}

/* Only the writer asks it, so a database that is read needs none. */
static int open_probe(struct driver *driver, const char *directory, struct jini_error *error)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/data.mdb", directory);
    driver->probe_fd = open(path, O_RDWR | O_CLOEXEC);
    if (driver->probe_fd < 0)
        return error_set_errno(error, errno, path, "cannot open the data file");
    return 0;
}

static void lmdb_close(struct driver *driver)
{
    if (driver->env)
        mdb_env_close(driver->env);
    if (driver->probe_fd >= 0)
        close(driver->probe_fd);
    base_free(driver);
}

static int lmdb_create(const struct store_options *options, struct jini_error *error)
{
    return lmdb_file_create(options->directory, error);
}

static int lmdb_open(const struct store_options *options, bool unseen, struct driver **out,
                     struct jini_error *error)
{
    struct driver *driver = base_calloc(1, sizeof(*driver));
    if (!driver)
        return error_set(error, JINI_E_NO_MEMORY, "store", "out of memory");
    driver->read_only = options->read_only;
    driver->syncs = options->sync != STORE_SYNC_NONE;
    driver->probe_fd = -1;
    int status = lmdb_file_check(options->directory, LMDB_CHECK_ROOTS, NULL, error);
    if (status == 0 && !options->read_only)
        status = open_probe(driver, options->directory, error);
    if (status == 0 && !unseen)
        status = allocate_lock_file(options->directory, error);
    if (status == 0)
        status = environment_open(driver, options, unseen, error);
    if (status) {
        lmdb_close(driver);
        return status;
    }
    *out = driver;
    return 0;
}

static bool lmdb_has_spaces(struct driver *driver)
{
    return driver->present == STORE_SPACES;
}

static int lmdb_create_spaces(struct driver *driver, struct jini_error *error)
{
    int code = open_spaces(driver, 0, MDB_CREATE);
    if (code)
        return error_set(error, translate(code), "store", "cannot create the spaces: %s",
                         mdb_strerror(code));
    return 0;
}

static int lmdb_reader_new(struct driver *driver, struct driver_txn **out)
{
    struct driver_txn *reader = base_calloc(1, sizeof(*reader));
    if (!reader)
        return JINI_E_NO_MEMORY;
    reader->driver = driver;
    *out = reader;
    return 0;
}

static int lmdb_reader_begin(struct driver_txn *reader)
{
    if (reader->txn)
        return translate(mdb_txn_renew(reader->txn));
    return translate(mdb_txn_begin(reader->driver->env, NULL, MDB_RDONLY, &reader->txn));
}

static void lmdb_reader_end(struct driver_txn *reader)
{
    mdb_txn_reset(reader->txn);
}

static void lmdb_reader_free(struct driver_txn *reader)
{
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    base_free(reader);
}

/* True when the file cannot grow: the disk, a quota or a limit of this process is in the way. */
static bool cannot_grow(int fd)
{
    enum { MORE_BYTES = 1 << 20 };
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0 || fallocate(fd, 0, end, MORE_BYTES) == 0)
        return false;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}

/*
 * LMDB answers EIO for a write that a full disk cut short as well as for a sync that failed, and
 * after a failed sync nothing may go on. The kernel tells each descriptor of a file once that
 * writing it back failed: when ours knows of nothing and the file cannot grow, it was the disk that
 * is full.
 */
static int write_status(const struct driver *driver, int code)
{
    int status = translate(code);
    if (status != JINI_E_FULL && code != EIO)
        return status;
    if (driver->syncs && fdatasync(driver->probe_fd) != 0)
        return JINI_E_IO;
    if (code == EIO && cannot_grow(driver->probe_fd))
        return JINI_E_FULL;
    return status;
}

static int lmdb_write_begin(struct driver *driver, struct driver_txn **out)
{
    driver->write.driver = driver;
    memset(driver->places, 0, sizeof(driver->places));
    *out = &driver->write;
    return translate(mdb_txn_begin(driver->env, NULL, 0, &driver->write.txn));
}

static int lmdb_write_commit(struct driver_txn *txn)
{
    return write_status(txn->driver, mdb_txn_commit(txn->txn));
}

static void lmdb_write_abort(struct driver_txn *txn)
{
    mdb_txn_abort(txn->txn);
}

/* The place of the write transaction in a space. */
static int find_place(struct driver *driver, enum store_space space, MDB_cursor **out)
{
    int code = 0;
    if (!driver->places[space])
        code = mdb_cursor_open(driver->write.txn, driver->dbi[space], &driver->places[space]);
    *out = driver->places[space];
    return code;
}

/* Removing a row may take pages away: what comes next is searched for from the root. */
static void forget_place(struct driver *driver, enum store_space space)
{
    if (driver->places[space])
        mdb_cursor_close(driver->places[space]);
    driver->places[space] = NULL;
}

static int get_there(struct driver *driver, enum store_space space, MDB_val *key, MDB_val *value)
{
    MDB_cursor *place;
    int code = find_place(driver, space, &place);
    return code ? code : mdb_cursor_get(place, key, value, MDB_SET);
}

static int lmdb_get(struct driver_txn *txn, enum store_space space, struct slice key,
                    struct slice *value)
{
    struct driver *driver = txn->driver;
    if (!driver->exists[space])
        return JINI_E_NOT_FOUND;
    MDB_val key_val = to_val(key);
    MDB_val value_val;
    int code = txn == &driver->write ? get_there(driver, space, &key_val, &value_val)
                                     : mdb_get(txn->txn, driver->dbi[space], &key_val, &value_val);
    if (code)
        return translate(code);
    *value = to_slice(value_val);
    return 0;
}

static int lmdb_count(struct driver_txn *txn, enum store_space space, uint64_t *entries,
                      uint64_t *bytes)
{
    MDB_stat found = {0};
    int code = 0;
    if (txn->driver->exists[space])
        code = mdb_stat(txn->txn, txn->driver->dbi[space], &found);
    *entries = found.ms_entries;
    *bytes = (found.ms_branch_pages + found.ms_leaf_pages + found.ms_overflow_pages) *
             (uint64_t)found.ms_psize;
    return code ? translate(code) : 0;
}

static int lmdb_put(struct driver_txn *txn, enum store_space space, struct slice key,
                    struct slice value)
{
    MDB_val key_val = to_val(key);
    MDB_val value_val = to_val(value);
    MDB_cursor *place;
    int code = find_place(txn->driver, space, &place);
    if (code == 0)
        code = mdb_cursor_put(place, &key_val, &value_val, 0);
    return write_status(txn->driver, code);
}

static int lmdb_remove(struct driver_txn *txn, enum store_space space, struct slice key)
{
    MDB_val key_val = to_val(key);
    forget_place(txn->driver, space);
    return write_status(txn->driver, mdb_del(txn->txn, txn->driver->dbi[space], &key_val, NULL));
}

static int lmdb_cursor_open(struct driver_txn *txn, enum store_space space,
                            struct driver_cursor **out)
{
    MDB_cursor *cursor;
    *out = &nowhere;
    if (!txn->driver->exists[space])
        return 0;
    int code = mdb_cursor_open(txn->txn, txn->driver->dbi[space], &cursor);
    if (code == 0)
        *out = from_lmdb(cursor);
    return translate(code);
}

static int cursor_get(struct driver_cursor *cursor, MDB_val *key, MDB_cursor_op op,
                      struct slice *found_key, struct slice *found_value)
{
    MDB_val value;
    int code = mdb_cursor_get(to_lmdb(cursor), key, &value, op);
    if (code)
        return translate(code);
    *found_key = to_slice(*key);
    *found_value = to_slice(value);
    return 0;
}

static int lmdb_cursor_seek(struct driver_cursor *cursor, struct slice key,
                            enum store_direction direction, bool after, struct slice *found_key,
                            struct slice *found_value)
{
    if (cursor == &nowhere)
        return JINI_E_NOT_FOUND;
    MDB_val val = to_val(key);
    if (key.length == 0)
        return cursor_get(cursor, &val, direction == STORE_FORWARD ? MDB_FIRST : MDB_LAST,
                          found_key, found_value);
    int status = cursor_get(cursor, &val, MDB_SET_RANGE, found_key, found_value);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (direction == STORE_BACKWARD)
        return cursor_get(cursor, &val, status == 0 ? MDB_PREV : MDB_LAST, found_key, found_value);
    if (status == 0 && after && slice_equal(*found_key, key))
        return cursor_get(cursor, &val, MDB_NEXT, found_key, found_value);
    return status;
}

static int lmdb_cursor_step(struct driver_cursor *cursor, enum store_direction direction,
                            struct slice *found_key, struct slice *found_value)
{
    MDB_val val;
    return cursor_get(cursor, &val, direction == STORE_FORWARD ? MDB_NEXT : MDB_PREV, found_key,
                      found_value);
}

static void lmdb_cursor_close(struct driver_cursor *cursor)
{
    if (cursor != &nowhere)
        mdb_cursor_close(to_lmdb(cursor));
}

/* LMDB unmaps first and maps again after; whether there is room for the new map is asked before. */
static bool address_space_left(uint64_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return false;
    munmap(map, bytes);
    return true;
}

static int lmdb_resize(struct driver *driver, uint64_t map_bytes)
{
    if (map_bytes && !address_space_left(map_bytes))
        return JINI_E_NO_MEMORY;
    if (mdb_env_set_mapsize(driver->env, map_bytes) != 0)
        return JINI_E_IO;
    note_map_bytes(driver);
    return 0;
}

static uint64_t lmdb_map_bytes(const struct driver *driver)
{
    return atomic_load(&driver->map_bytes);
}

static int lmdb_data_file(const struct driver *driver)
{
    int fd;
    return mdb_env_get_fd(driver->env, &fd) == 0 ? fd : -1;
}

/*
 * LMDB's own plain copy takes the lock of writers, for as long as the target takes to write the
 * meta pages, and hangs where a process was stopped with the lock.
 */
static int lmdb_copy(struct driver_txn *reader, enum store_copy_form form, int fd)
{
    MDB_env *env = reader->driver->env;
    if (form == STORE_COPY_COMPACT)
        return translate(mdb_env_copyfd2(env, fd, MDB_CP_COMPACT));
    int source;
    int code = mdb_env_get_fd(env, &source);
    return code ? translate(code) : lmdb_file_copy(source, mdb_txn_id(reader->txn), fd);
}

static int lmdb_verify(const struct store_options *options, const struct store_watch *watch,
                       struct jini_error *error)
{
    return lmdb_file_check(options->directory, LMDB_CHECK_ALL, watch, error);
}

static int lmdb_clear_stale_readers(struct driver *driver)
{
    int stale;
    return translate(mdb_reader_check(driver->env, &stale));
}

struct reader_list {
    uint32_t readers;
    uint64_t oldest;
};

/*
 * A line of mdb_reader_list(): pid, thread and transaction id, which is "-" for a reader at rest.
 */
static int count_reader(const char *line, void *context)
{
    struct reader_list *list = context;
    long pid;
    unsigned long long thread;
    unsigned long long txnid;
    if (sscanf(line, "%ld %llx %llu", &pid, &thread, &txnid) == 3) {
        list->readers++;
        if (txnid < list->oldest)
            list->oldest = txnid;
    }
    return 0;
}

/*
 * Free pages stand in LMDB's own database 0: each value begins with the number of page ids in it.
 */
static int count_free_pages(MDB_txn *txn, uint64_t *out)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, 0, &cursor);
    if (code)
        return code;
    MDB_val key;
    MDB_val value;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t pages = 0;
        if (value.mv_size >= sizeof(pages))
            memcpy(&pages, value.mv_data, sizeof(pages));
        *out += pages;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int lmdb_figures(struct driver *driver, struct driver_txn *reader, bool walk_free_list,
                        struct driver_figures *out)
{
    MDB_envinfo info;
    MDB_stat stat_info;
    *out = (struct driver_figures){0};
    mdb_env_info(driver->env, &info);
    mdb_env_stat(driver->env, &stat_info);
    out->map_bytes = info.me_mapsize;
    out->page_bytes = stat_info.ms_psize;
    out->used_bytes = (info.me_last_pgno + 1) * stat_info.ms_psize;
    struct reader_list list = {0, info.me_last_txnid};
    mdb_reader_list(driver->env, count_reader, &list);
    out->readers = list.readers;
    out->oldest_reader_lag = info.me_last_txnid - list.oldest;
    return walk_free_list ? translate(count_free_pages(reader->txn, &out->free_pages)) : 0;
}

const struct driver_ops driver_lmdb = {
    .create = lmdb_create,
    .open = lmdb_open,
    .close = lmdb_close,
    .create_spaces = lmdb_create_spaces,
    .has_spaces = lmdb_has_spaces,
    .reader_new = lmdb_reader_new,
    .reader_begin = lmdb_reader_begin,
    .reader_end = lmdb_reader_end,
    .reader_free = lmdb_reader_free,
    .write_begin = lmdb_write_begin,
    .write_commit = lmdb_write_commit,
    .write_abort = lmdb_write_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .cursor_open = lmdb_cursor_open,
    .cursor_seek = lmdb_cursor_seek,
    .cursor_step = lmdb_cursor_step,
    .cursor_close = lmdb_cursor_close,
    .count = lmdb_count,
    .resize = lmdb_resize,
    .map_bytes = lmdb_map_bytes,
    .data_file = lmdb_data_file,
    .copy = lmdb_copy,
    .verify = lmdb_verify,
    .clear_stale_readers = lmdb_clear_stale_readers,
    .figures = lmdb_figures,
};
