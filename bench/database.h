/*
 * Databases with many users, prepared once and used by several cases. They are built without syncs,
 * and copied without their free pages, synced. A case that writes works on a clone.
 */
#ifndef BENCH_DATABASE_H
#define BENCH_DATABASE_H

#include "bench.h"

/*
 * Slots for limits.slots that hold one rate limit of each of so many users: buckets are filled by
 * chance.
 */
enum { DATABASE_SLOTS_PER_USER = 3 };

/* A directory of this case alone, empty at first; to be freed. */
char *database_fresh(const struct bench_options *options, const char *name);

/*
 * A database of `users` users on the tier Premium, with the ids 1 to `users` and a few more, as one
 * that has been closed. To be freed; not to be opened, but cloned.
 */
char *database_users(const struct bench_options *options, uint64_t users);

/*
 * The same, and so many generations, admitted and settled, spread evenly over the users; Premium's
 * limits are lifted.
 */
char *database_generations(const struct bench_options *options, uint64_t users,
                           uint64_t generations);

/* A copy of a prepared database, synced, that the case may write to; to be freed. */
char *database_clone(const struct bench_options *options, const char *prepared, const char *name);

/*
 * A database that `build` makes in an empty directory, unless a case before this one has; a sibling
 * of those above, but for being written to where it lies, by one case after the other. The name
 * begins with "ledger-". To be freed.
 */
typedef void database_build_fn(const char *path, const void *context);
char *database_prepared(const struct bench_options *options, const char *name,
                        database_build_fn *build, const void *context);

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
