/* Putting a row into a data file past the store, which would not take it. */
#ifndef RAW_H
#define RAW_H

#include "base/bytes.h"

#include "harness.h"

#include <lmdb.h>

/* No engine has the database open. */
static inline void raw_put(const char *directory, const char *space, struct slice key,
                           struct slice value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val raw_key = {key.length, (void *)(uintptr_t)key.data};
    MDB_val raw_value = {value.length, (void *)(uintptr_t)value.data};
    CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 64) == 0);
    CHECK(mdb_env_open(env, directory, 0, 0600) == 0);
    CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    CHECK(mdb_dbi_open(txn, space, 0, &dbi) == 0);
    CHECK(mdb_put(txn, dbi, &raw_key, &raw_value, 0) == 0);
    CHECK(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

#endif
