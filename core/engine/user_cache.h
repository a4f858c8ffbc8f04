/*
 * Users at hand: whose limits plan is which, 16 bytes each, and 4 that are looked at where a tier
 * ends.
 *
 * An entry holds while the change words of its user and of the tiers stand where they stood when it
 * was read (store/store.h); so a change by any process holds for the next check. Entries are read
 * and written without a lock; an entry of another user in the same place is overwritten.
 */
#ifndef ENGINE_USER_CACHE_H
#define ENGINE_USER_CACHE_H

#include "engine/plans.h"
#include "store/store.h"

struct user_cache;

/* NULL when out of memory. `entries` is rounded up to a power of two. */
struct user_cache *user_cache_new(struct store *store, const struct plans *plans, uint64_t entries);
void user_cache_free(struct user_cache *cache); /* takes NULL */

struct user_entry {
    const struct plan *plan; /* in the cache: a shared one */
    bool active;             /* the user may generate */
    uint64_t
        until_ms; /* wall time at which the entry is over; to the second, never late. 0: none */
};

/* The change words under which an entry is read. To be taken before the snapshot is opened. */
struct user_words {
    uint64_t user;
    uint64_t tiers;
};
struct user_words user_cache_words(const struct user_cache *cache, uint64_t user_id);

/* Begins to load what user_cache_find() will read. */
void user_cache_prefetch(const struct user_cache *cache, uint64_t user_id);

/* True when the user is at hand and nothing that matters has changed. */
bool user_cache_find(const struct user_cache *cache, uint64_t user_id, struct user_entry *out);

/* Keeps what was read under `words`, unless a change is under way or the plan is not shared. */
void user_cache_put(struct user_cache *cache, uint64_t user_id, const struct user_words *words,
                    const struct user_entry *entry);

#endif
