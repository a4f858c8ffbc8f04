/* The entries of user_cache.h: two words each, of which one guards the other. */
#include "engine/user_cache.h"

#include "accounts/accounts.h"
#include "base/alloc.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

enum { ENTRIES_MIN = 64 };

/*
 * `changes` holds, above its lowest 16 bits, the sum of both change words when the entry was read:
 * they only grow, so it is what it was only while both are. Below them the entry's own changes are
 * counted, so that a reader sees that it was written meanwhile also where the sum is the same
 * again; an odd count says that it is being written. `user` holds, from the highest bit on: 48
 * bits of the user's id, whether there is an entry at all, whether the user is active, whether the
 * entry has an end, which then stands in `ends`, the number of the plan.
 */
struct entry {
    _Atomic uint64_t changes;
    _Atomic uint64_t user;
};

enum { SUM_SHIFT = 16, COUNT_MASK = (1 << SUM_SHIFT) - 1 };
enum {
    ID_SHIFT = 16,
    IS_THERE = 1 << 15,
    IS_ACTIVE = 1 << 14,
    HAS_END = 1 << 13,
    NUMBER_MASK = HAS_END - 1
};

enum { MS_PER_S = 1000 };

_Static_assert(PLAN_NUMBERS <= NUMBER_MASK + 1, "a plan's number finds room");
_Static_assert(ACCOUNTS_ID_MAX >> (64 - ID_SHIFT) == 0, "an id finds room");

struct user_cache {
    struct store *store;
    const struct plans *plans;
    uint64_t mask;
    struct entry *entries;
    _Atomic uint32_t *ends; /* in seconds since 1970 */
    void *memory;
};

/*
 * Users come in no order, so that with small pages nearly every look into a large cache would miss
 * the processor's table of pages as well. Best effort: where the system has no large pages to give,
 * small ones do.
 */
static void ask_for_huge_pages(void *memory, size_t bytes)
{
    uintptr_t begin = ((uintptr_t)memory + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    uintptr_t end = ((uintptr_t)memory + bytes) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

void user_cache_free(struct user_cache *cache)
{
    if (!cache)
        return;
    base_free(cache->memory);
    base_free(cache->ends);
    base_free(cache);
}

struct user_cache *user_cache_new(struct store *store, const struct plans *plans, uint64_t entries)
{
    uint64_t count = ENTRIES_MIN;
    while (count < entries)
        count *= 2;
    struct user_cache *cache = base_calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    cache->memory = base_calloc(count + 4, sizeof(struct entry));
    cache->ends = base_calloc(count, sizeof(*cache->ends));
    if (!cache->memory || !cache->ends) {
        user_cache_free(cache);
        return NULL;
    }
    cache->entries = (struct entry *)(((uintptr_t)cache->memory + 63) / 64 * 64);
    ask_for_huge_pages(cache->memory, (count + 4) * sizeof(struct entry));
    cache->store = store;
    cache->plans = plans;
    cache->mask = count - 1;
    return cache;
}

/* Ids are handed out in order, so as many users as there are entries never share one. */
static struct entry *entry_of(const struct user_cache *cache, uint64_t user_id)
{
    return &cache->entries[user_id & cache->mask];
}

void user_cache_prefetch(const struct user_cache *cache, uint64_t user_id)
{
    __builtin_prefetch(entry_of(cache, user_id));
}

struct user_words user_cache_words(const struct user_cache *cache, uint64_t user_id)
{
    return (struct user_words){store_change_word(cache->store, accounts_user_word(user_id)),
                               store_change_word(cache->store, accounts_tier_word())};
}

static uint64_t sum_of(struct user_words words)
{
    return words.user + words.tiers;
}

bool user_cache_find(const struct user_cache *cache, uint64_t user_id, struct user_entry *out)
{
    const struct entry *entry = entry_of(cache, user_id);
    uint64_t changes = atomic_load_explicit(&entry->changes, memory_order_acquire);
    uint64_t user = atomic_load_explicit(&entry->user, memory_order_relaxed);
    uint64_t until_s = 0;
    if (user & HAS_END)
        until_s = atomic_load_explicit(&cache->ends[user_id & cache->mask], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (user >> ID_SHIFT != user_id || !(user & IS_THERE) || (changes & 1) ||
        atomic_load_explicit(&entry->changes, memory_order_relaxed) != changes ||
        sum_of(user_cache_words(cache, user_id)) != changes >> SUM_SHIFT)
        return false;
    out->plan = plans_shared(cache->plans, user & NUMBER_MASK);
    out->active = (user & IS_ACTIVE) != 0;
    out->until_ms = until_s * MS_PER_S;
    return true;
}

void user_cache_put(struct user_cache *cache, uint64_t user_id, const struct user_words *words,
                    const struct user_entry *entry)
{
    if (((words->user | words->tiers) & 1) || !entry->plan->shared)
        return;
    struct entry *kept = entry_of(cache, user_id);
    uint64_t until_s = entry->until_ms / MS_PER_S;
    uint32_t flags = (entry->active ? IS_ACTIVE : 0) | (entry->until_ms ? HAS_END : 0);
    uint64_t changes = atomic_load_explicit(&kept->changes, memory_order_relaxed);
    if ((changes & 1) || !atomic_compare_exchange_strong(&kept->changes, &changes, changes | 1))
        return; /* somebody else writes it */
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&kept->user, user_id << ID_SHIFT | IS_THERE | flags | entry->plan->number,
                          memory_order_relaxed);
    if (entry->until_ms)
        atomic_store_explicit(&cache->ends[user_id & cache->mask],
                              until_s < UINT32_MAX ? (uint32_t)until_s : UINT32_MAX,
                              memory_order_relaxed);
    atomic_store_explicit(&kept->changes,
                          sum_of(*words) << SUM_SHIFT | ((changes + 2) & COUNT_MASK),
                          memory_order_release);
}
