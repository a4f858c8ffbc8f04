/* The table, the queue and the hand of cache.h, under one lock; bytes are copied outside of it. */
#include "images/cache.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { BUCKETS = 4096, MAPPED_BYTES_MIN = 128 * 1024 };

struct cache_entry {
    struct cache_key key;
    size_t length;
    size_t mapped_bytes; /* of an entry that is no piece of the heap; else 0 */
    _Atomic uint32_t references;
    bool inside;
    bool visited;
    struct cache_entry *newer;
    struct cache_entry *older;
    struct cache_entry *next_in_bucket;
    uint8_t bytes[];
};

struct cache {
    pthread_mutex_t lock;
    uint64_t bytes_max;
    struct cache_entry *newest;
    struct cache_entry *oldest;
    struct cache_entry *hand;
    struct cache_figures figures;
    struct cache_entry *buckets[BUCKETS];
};

static uint32_t bucket_of(const struct cache_key *key)
{
    return (uint32_t)(hash64_seeded(slice_of(key->pack.bytes, JINI_ID_BYTES), key->sequence) %
                      BUCKETS);
}

static bool same_key(const struct cache_key *a, const struct cache_key *b)
{
    return a->sequence == b->sequence && jini_id_compare(&a->pack, &b->pack) == 0;
}

struct cache *cache_new(uint64_t bytes_max)
{
    struct cache *cache = base_calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    cache->bytes_max = bytes_max;
    return cache;
}

/*
 * Large entries are mappings of their own, which go back to the system when they are evicted. On
 * the heap they would leave holes, and a process would hold up to twice as much as the cache is
 * allowed.
 */
static struct cache_entry *entry_memory(size_t bytes)
{
    if (bytes < MAPPED_BYTES_MIN) {
        struct cache_entry *entry = base_malloc(bytes);
        if (entry)
            memset(entry, 0, sizeof(*entry));
        return entry;
    }
    struct cache_entry *entry =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (entry == MAP_FAILED)
        return NULL;
    entry->mapped_bytes = bytes;
    return entry;
}

struct cache_entry *cache_entry_new(const struct cache_key *key, size_t length)
{
    struct cache_entry *entry = entry_memory(sizeof(*entry) + length);
    if (!entry)
        return NULL;
    entry->key = *key;
    entry->length = length;
    atomic_init(&entry->references, 1);
    return entry;
}

uint8_t *cache_entry_bytes(struct cache_entry *entry)
{
    return entry->bytes;
}

size_t cache_entry_length(const struct cache_entry *entry)
{
    return entry->length;
}

void cache_entry_release(struct cache_entry *entry)
{
    if (atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    if (entry->mapped_bytes)
        munmap(entry, entry->mapped_bytes);
    else
        base_free(entry);
}

/* Held under the lock, as all below that change the queue. */
static struct cache_entry **link_of(struct cache *cache, const struct cache_key *key)
{
    struct cache_entry **link = &cache->buckets[bucket_of(key)];
    while (*link && !same_key(&(*link)->key, key))
        link = &(*link)->next_in_bucket;
    return link;
}

static void take_out(struct cache *cache, struct cache_entry *entry)
{
    JINI_ASSERT(entry->inside);
    *link_of(cache, &entry->key) = entry->next_in_bucket;
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
    if (cache->hand == entry)
        cache->hand = entry->newer;
    entry->inside = false;
    cache->figures.bytes -= entry->length;
    cache->figures.entries--;
    cache_entry_release(entry);
}

static void evict_one(struct cache *cache)
{
    struct cache_entry *entry = cache->hand ? cache->hand : cache->oldest;
    while (entry->visited) {
        entry->visited = false;
        entry = entry->newer ? entry->newer : cache->oldest;
    }
    cache->hand = entry->newer;
    take_out(cache, entry);
}

struct cache_entry *cache_get(struct cache *cache, const struct cache_key *key)
{
    pthread_mutex_lock(&cache->lock);
    struct cache_entry *entry = *link_of(cache, key);
    if (entry) {
        entry->visited = true;
        atomic_fetch_add(&entry->references, 1);
        cache->figures.hits++;
    } else {
        cache->figures.misses++;
    }
    pthread_mutex_unlock(&cache->lock);
    return entry;
}

void cache_put(struct cache *cache, struct cache_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    struct cache_entry **link = link_of(cache, &entry->key);
    if (entry->length <= cache->bytes_max && !*link) {
        while (cache->figures.bytes + entry->length > cache->bytes_max)
            evict_one(cache);
        link = link_of(cache, &entry->key);
        *link = entry;
        entry->next_in_bucket = NULL;
        entry->older = cache->newest;
        entry->newer = NULL;
        *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
        cache->newest = entry;
        entry->inside = true;
        atomic_fetch_add(&entry->references, 1);
        cache->figures.bytes += entry->length;
        cache->figures.entries++;
    }
    pthread_mutex_unlock(&cache->lock);
}

void cache_forget(struct cache *cache, struct cache_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    if (entry->inside)
        take_out(cache, entry);
    pthread_mutex_unlock(&cache->lock);
}

void cache_figures(struct cache *cache, struct cache_figures *out)
{
    pthread_mutex_lock(&cache->lock);
    *out = cache->figures;
    pthread_mutex_unlock(&cache->lock);
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        take_out(cache, cache->oldest);
    pthread_mutex_destroy(&cache->lock);
    base_free(cache);
}
