/*
 * Databases with many users, prepared once and used by several cases. They are built without syncs, closed and
 * then synced as a whole. A case that writes works on a clone.
 */
#ifndef BENCH_DATABASE_H
#define BENCH_DATABASE_H

#include "bench.h"

/* Rate limits of prepared users: Premium's, and those of the override. */
enum { DATABASE_LIMIT = 60, DATABASE_OVERRIDE_EVERY = 10, DATABASE_OVERRIDE_LIMIT = 20 };

/* How many checks of rate limits a user is allowed within a minute. */
static inline unsigned database_limit_of(uint64_t user)
{
    return user % DATABASE_OVERRIDE_EVERY == 0 ? DATABASE_OVERRIDE_LIMIT : DATABASE_LIMIT;
}

/* A directory of this case alone, empty at first; to be freed. */
char *database_fresh(const struct bench_options *options, const char *name);

/*
 * A database of `users` users on the tier Premium, with the ids 1 to `users` and a few more, as one that has been
 * closed. Every tenth has an override of its limits. To be freed; not to be opened, but cloned.
 */
char *database_users(const struct bench_options *options, uint64_t users);

/* The same, and one generation of each user that was admitted and settled. */
char *database_generations(const struct bench_options *options, uint64_t users);

/* A copy of a prepared database, synced, that the case may write to; to be freed. */
char *database_clone(const struct bench_options *options, const char *prepared, const char *name);

/* Removes a directory with all in it. */
void database_remove(const char *path);

/* Removes the prepared databases from the directory of the run. */
void database_remove_prepared(const struct bench_options *options);

/* Has the system forget what it holds of the files in a directory. Nobody may have them mapped. */
void database_drop_caches(const char *path);

/* Syncs the file data.mdb of a directory. */
void database_sync(const char *path);

/* Bytes of the file data.mdb. */
uint64_t database_bytes(const char *path);

#endif
