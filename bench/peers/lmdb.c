/* See lmdb.h. */
#include "peers/lmdb.h"

#include "bench.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The same address space as Jini reserves by default; less where sanitizers need it for themselves.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAP_BYTES (UINT64_C(1) << 33)
#else
#define MAP_BYTES (UINT64_C(1) << 38)
#endif

enum { COPIES_OF_COMMIT = 10000 };

struct raw {
    MDB_env *env;
    enum raw_mode mode;
    MDB_txn *write;
    MDB_txn *read;
    MDB_txn *held; /* of raw_find() */
};

static void check(int code, const char *what)
{
    if (code)
        bench_fail("LMDB: %s: %s", what, mdb_strerror(code));
}

static void open_environment(struct raw *raw, const char *directory)
{
    static const unsigned flags[] = {
        [RAW_SYNCED] = 0, [RAW_UNSYNCED] = MDB_NOSYNC, [RAW_READ_ONLY] = MDB_RDONLY};
    check(mdb_env_create(&raw->env), "creating an environment");
    check(mdb_env_set_maxdbs(raw->env, 64), "setting the number of databases");
    check(mdb_env_set_mapsize(raw->env, MAP_BYTES), "setting the size of the map");
    check(mdb_env_open(raw->env, directory, flags[raw->mode] | MDB_NOTLS, 0600), directory);
}

struct raw *raw_open(const char *directory, enum raw_mode mode)
{
    struct raw *raw = bench_alloc(1, sizeof(*raw));
    raw->mode = mode;
    open_environment(raw, directory);
    return raw;
}

void raw_sync_from_now(struct raw *raw)
{
    raw->mode = RAW_SYNCED;
    check(mdb_env_sync(raw->env, 1), "syncing");
    check(mdb_env_set_flags(raw->env, MDB_NOSYNC, 0), "syncing from now on");
}

static void close_environment(struct raw *raw)
{
    raw_find_end(raw);
    if (raw->read)
        mdb_txn_abort(raw->read);
    raw->read = NULL;
    mdb_env_close(raw->env);
}

void raw_close(struct raw *raw)
{
    close_environment(raw);
    free(raw);
}

void raw_compact(struct raw *raw, const char *directory)
{
    char copy[4200];
    char from[4300];
    char to[4300];
    snprintf(copy, sizeof(copy), "%s/compact", directory);
    snprintf(from, sizeof(from), "%s/data.mdb", copy);
    snprintf(to, sizeof(to), "%s/data.mdb", directory);
    if (mkdir(copy, 0700) != 0)
        bench_fail("cannot make %s", copy);
    check(mdb_env_copy2(raw->env, copy, MDB_CP_COMPACT), "compacting");
    close_environment(raw);
    if (rename(from, to) != 0 || rmdir(copy) != 0)
        bench_fail("cannot put %s in place", from);
    open_environment(raw, directory);
}

unsigned raw_space(struct raw *raw, const char *name)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    bool create = raw->mode != RAW_READ_ONLY;
    check(mdb_txn_begin(raw->env, NULL, create ? 0 : MDB_RDONLY, &txn), "opening a database");
    check(mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, &dbi), name);
    check(mdb_txn_commit(txn), "opening a database");
    return dbi;
}

void raw_begin(struct raw *raw)
{
    check(mdb_txn_begin(raw->env, NULL, 0, &raw->write), "beginning a transaction");
}

static MDB_val to_val(struct raw_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.length, .mv_data = (void *)(uintptr_t)bytes.data};
}

void raw_put(struct raw *raw, unsigned space, struct raw_bytes key, struct raw_bytes value)
{
    MDB_val key_val = to_val(key);
    MDB_val value_val = to_val(value);
    check(mdb_put(raw->write, space, &key_val, &value_val, 0), "writing a record");
}

void raw_delete(struct raw *raw, unsigned space, struct raw_bytes key)
{
    MDB_val key_val = to_val(key);
    check(mdb_del(raw->write, space, &key_val, NULL), "deleting a record");
}

void raw_commit(struct raw *raw)
{
    check(mdb_txn_commit(raw->write), "committing");
}

size_t raw_get(struct raw *raw, unsigned space, struct raw_bytes key, void *value, size_t capacity)
{
    MDB_val key_val = to_val(key);
    MDB_val found;
    if (raw->read)
        check(mdb_txn_renew(raw->read), "renewing a snapshot");
    else
        check(mdb_txn_begin(raw->env, NULL, MDB_RDONLY, &raw->read), "opening a snapshot");
    check(mdb_get(raw->read, space, &key_val, &found), "reading a record");
    if (found.mv_size > capacity)
        bench_fail("a record of %zu bytes is longer than the buffer", found.mv_size);
    memcpy(value, found.mv_data, found.mv_size);
    mdb_txn_reset(raw->read);
    return found.mv_size;
}

size_t raw_find(struct raw *raw, unsigned space, struct raw_bytes key)
{
    MDB_val key_val = to_val(key);
    MDB_val found;
    if (!raw->held)
        check(mdb_txn_begin(raw->env, NULL, MDB_RDONLY, &raw->held), "opening a snapshot");
    check(mdb_get(raw->held, space, &key_val, &found), "reading a record");
    return found.mv_size;
}

void raw_find_end(struct raw *raw)
{
    if (raw->held)
        mdb_txn_abort(raw->held);
    raw->held = NULL;
}

uint64_t raw_copy_values(struct raw *raw, unsigned space, struct raw *from, unsigned from_space)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t number[RAW_NUMBER_BYTES];
    uint64_t count = 0;
    check(mdb_txn_begin(from->env, NULL, MDB_RDONLY, &txn), "opening a snapshot");
    check(mdb_cursor_open(txn, from_space, &cursor), "opening a cursor");
    raw_begin(raw);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        raw_put(raw, space, raw_number(++count, number),
                (struct raw_bytes){value.mv_data, value.mv_size});
        if (count % COPIES_OF_COMMIT == 0) {
            raw_commit(raw);
            raw_begin(raw);
        }
    }
    raw_commit(raw);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return count;
}

uint64_t raw_bytes_written(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/thread-self/io", "r");
    if (!file)
        bench_fail("/proc/thread-self/io cannot be read");
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "wchar: %llu", &bytes) == 1)
            break;
    }
    fclose(file);
    return bytes;
}
