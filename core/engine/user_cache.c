/* The entries of user_cache.h: seven words behind a sequence number, in one cache line. */
#include "engine/user_cache.h"

#include "accounts/accounts.h"
#include "base/alloc.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

enum { ENTRIES_MIN = 64, WORDS = 7 };

enum {
    WORD_USER,
    WORD_USER_CHANGE,
    WORD_TIERS_CHANGE,
    WORD_PLAN,
    WORD_GENERATION,
    WORD_TAG,
    WORD_PLACE
};

/* Bit 0 of the sequence: being written. Bit 0 of the plan, which is aligned: the user is active. */
struct line {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[WORDS];
};

_Static_assert(sizeof(struct line) == 64, "an entry is one cache line");

struct user_cache {
    struct store *store;
    uint64_t mask;
    struct line *lines;
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

struct user_cache *user_cache_new(struct store *store, uint64_t entries)
{
    uint64_t count = ENTRIES_MIN;
    while (count < entries)
        count *= 2;
    struct user_cache *cache = base_calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    cache->memory = base_calloc(count + 1, sizeof(struct line));
    if (!cache->memory) {
        base_free(cache);
        return NULL;
    }
    cache->lines = (struct line *)(((uintptr_t)cache->memory + 63) / 64 * 64);
    ask_for_huge_pages(cache->memory, (count + 1) * sizeof(struct line));
    cache->store = store;
    cache->mask = count - 1;
    return cache;
}

void user_cache_free(struct user_cache *cache)
{
    if (!cache)
        return;
    base_free(cache->memory);
    base_free(cache);
}

/* Ids are handed out in order, so as many users as there are entries never share one. */
static struct line *line_of(const struct user_cache *cache, uint64_t user_id)
{
    return &cache->lines[user_id & cache->mask];
}

void user_cache_prefetch(const struct user_cache *cache, uint64_t user_id)
{
    __builtin_prefetch(line_of(cache, user_id));
}

struct user_words user_cache_words(const struct user_cache *cache, uint64_t user_id)
{
    return (struct user_words){store_change_word(cache->store, accounts_user_word(user_id)),
                               store_change_word(cache->store, accounts_tier_word())};
}

static uint64_t load(const struct line *line, int word)
{
    return atomic_load_explicit(&line->words[word], memory_order_relaxed);
}

static void set(struct line *line, int word, uint64_t value)
{
    atomic_store_explicit(&line->words[word], value, memory_order_relaxed);
}

bool user_cache_find(const struct user_cache *cache, uint64_t user_id, struct user_entry *out)
{
    const struct line *line = line_of(cache, user_id);
    uint64_t sequence = atomic_load_explicit(&line->sequence, memory_order_acquire);
    if (load(line, WORD_USER) != user_id || (sequence & 1))
        return false;
    struct user_words words = {load(line, WORD_USER_CHANGE), load(line, WORD_TIERS_CHANGE)};
    uint64_t plan = load(line, WORD_PLAN);
    uint64_t place = load(line, WORD_PLACE);
    out->hint.generation = load(line, WORD_GENERATION);
    out->hint.tag = load(line, WORD_TAG);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&line->sequence, memory_order_relaxed) != sequence)
        return false;
    struct user_words now = user_cache_words(cache, user_id);
    if (now.user != words.user || now.tiers != words.tiers)
        return false;
    out->plan = (const struct plan *)(uintptr_t)(plan & ~UINT64_C(1));
    out->active = plan & 1;
    out->hint.bucket = (uint32_t)place;
    out->hint.first = (uint16_t)(place >> 32);
    out->hint.slot = (uint16_t)(place >> 48);
    return true;
}

void user_cache_put(struct user_cache *cache, uint64_t user_id, const struct user_words *words,
                    const struct user_entry *entry)
{
    if (((words->user | words->tiers) & 1) || !entry->plan->shared)
        return;
    struct line *line = line_of(cache, user_id);
    uint64_t sequence = atomic_load_explicit(&line->sequence, memory_order_relaxed);
    if ((sequence & 1) || !atomic_compare_exchange_strong(&line->sequence, &sequence, sequence + 1))
        return; /* somebody else writes it */
    atomic_thread_fence(memory_order_release);
    set(line, WORD_USER, user_id);
    set(line, WORD_USER_CHANGE, words->user);
    set(line, WORD_TIERS_CHANGE, words->tiers);
    set(line, WORD_PLAN, (uint64_t)(uintptr_t)entry->plan | entry->active);
    set(line, WORD_GENERATION, entry->hint.generation);
    set(line, WORD_TAG, entry->hint.tag);
    set(line, WORD_PLACE,
        entry->hint.bucket | (uint64_t)entry->hint.first << 32 | (uint64_t)entry->hint.slot << 48);
    atomic_store_explicit(&line->sequence, sequence + 2, memory_order_release);
}
