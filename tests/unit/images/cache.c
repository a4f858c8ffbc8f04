/* The bounded cache of cold records. */
#include "images/cache.h"

#include "harness.h"

#include <pthread.h>
#include <stdlib.h>

enum { ENTRY_BYTES = 1000 };

static struct cache_key key_of(uint32_t number)
{
    struct cache_key key = {.sequence = number % 7};
    memcpy(key.pack.bytes, &number, sizeof(number));
    return key;
}

/* An entry whose bytes tell its number. Held. */
static struct cache_entry *make_entry(uint32_t number, size_t length)
{
    struct cache_key key = key_of(number);
    struct cache_entry *entry = cache_entry_new(&key, length);
    CHECK(entry != NULL);
    memset(cache_entry_bytes(entry), (int)(number % 251), length);
    return entry;
}

static void put(struct cache *cache, uint32_t number, size_t length)
{
    struct cache_entry *entry = make_entry(number, length);
    cache_put(cache, entry);
    cache_entry_release(entry);
}

/* True when the cache has the number, with the bytes that were put. */
static bool has(struct cache *cache, uint32_t number, size_t length)
{
    struct cache_key key = key_of(number);
    struct cache_entry *entry = cache_get(cache, &key);
    if (!entry)
        return false;
    for (size_t i = 0; i < length; i += 1 + length / 16)
        CHECK_UINT(cache_entry_bytes(entry)[i], ==, number % 251);
    CHECK_UINT(cache_entry_bytes(entry)[length - 1], ==, number % 251);
    cache_entry_release(entry);
    return true;
}

static struct cache_figures figures_of(struct cache *cache)
{
    struct cache_figures figures;
    cache_figures(cache, &figures);
    return figures;
}

TEST(what_is_put_is_got, "A record that was put is got by its pack and number, and by no other.")
{
    struct cache *cache = cache_new(10 * ENTRY_BYTES);
    put(cache, 1, ENTRY_BYTES);
    CHECK(has(cache, 1, ENTRY_BYTES));
    CHECK(!has(cache, 2, ENTRY_BYTES));
    struct cache_key other = key_of(1);
    other.sequence++;
    CHECK(cache_get(cache, &other) == NULL);
    CHECK_UINT(figures_of(cache).hits, ==, 1);
    CHECK_UINT(figures_of(cache).misses, ==, 2);
    cache_free(cache);
    cache_free(NULL);
}

TEST(the_bound_holds, "Whatever is put, in whatever sizes, the cache holds at most its bound, and "
                      "counts what it holds.")
{
    enum { BOUND = 300 * 1024, NUMBERS = 200, PUTS = 800 };
    static size_t lengths[NUMBERS];
    struct cache *cache = cache_new(BOUND);
    for (int i = 0; i < PUTS; i++) {
        uint32_t number = (uint32_t)harness_random_below(NUMBERS);
        /* Some are mappings of their own, and some are larger than all the cache. */
        uint64_t scale = harness_random_below(8) ? 8 * 1024 : 2 * BOUND;
        if (has(cache, number, 1))
            continue;
        lengths[number] = 1 + harness_random_below(scale);
        put(cache, number, lengths[number]);
        CHECK_UINT(figures_of(cache).bytes, <=, BOUND);
        CHECK(has(cache, number, lengths[number]) == (lengths[number] <= BOUND));
    }
    uint64_t bytes = 0;
    uint64_t entries = 0;
    for (uint32_t number = 0; number < NUMBERS; number++) {
        if (lengths[number] && has(cache, number, lengths[number])) {
            bytes += lengths[number];
            entries++;
        }
    }
    CHECK_UINT(figures_of(cache).bytes, ==, bytes);
    CHECK_UINT(figures_of(cache).entries, ==, entries);
    cache_free(cache);
}

TEST(a_cache_of_nothing_keeps_nothing, "With a bound of 0 nothing is kept.")
{
    struct cache *cache = cache_new(0);
    put(cache, 1, 1);
    CHECK(!has(cache, 1, 1));
    CHECK_UINT(figures_of(cache).entries, ==, 0);
    cache_free(cache);
}

TEST(what_is_used_again_outlives_a_scan,
     "Records that are used again stay while many others that are used once pass through.")
{
    enum { USED = 5, PASSING = 1000 };
    struct cache *cache = cache_new(10 * ENTRY_BYTES);
    for (uint32_t i = 0; i < USED; i++)
        put(cache, i, ENTRY_BYTES);
    for (uint32_t i = 0; i < PASSING; i++) {
        CHECK(has(cache, i % USED, ENTRY_BYTES));
        put(cache, 100 + i, ENTRY_BYTES);
    }
    for (uint32_t i = 0; i < USED; i++)
        CHECK(has(cache, i, ENTRY_BYTES));
    cache_free(cache);
}

TEST(what_somebody_holds_stays_whole,
     "An entry that was evicted or forgotten while somebody holds it keeps its bytes until then.")
{
    struct cache *cache = cache_new(2 * ENTRY_BYTES);
    struct cache_entry *evicted = make_entry(1, ENTRY_BYTES);
    struct cache_entry *forgotten = make_entry(2, ENTRY_BYTES);
    cache_put(cache, evicted);
    for (uint32_t i = 10; i < 20; i++)
        put(cache, i, ENTRY_BYTES);
    CHECK(!has(cache, 1, ENTRY_BYTES));
    cache_put(cache, forgotten);
    cache_forget(cache, forgotten);
    cache_forget(cache, forgotten);
    cache_forget(cache, evicted);
    CHECK(!has(cache, 2, ENTRY_BYTES));
    CHECK_UINT(cache_entry_bytes(evicted)[ENTRY_BYTES - 1], ==, 1);
    CHECK_UINT(cache_entry_bytes(forgotten)[ENTRY_BYTES - 1], ==, 2);
    cache_entry_release(evicted);
    cache_entry_release(forgotten);
    cache_free(cache);
}

TEST(the_first_of_a_record_is_kept,
     "Of two entries of one record that were read at once, the first one stays.")
{
    struct cache *cache = cache_new(10 * ENTRY_BYTES);
    struct cache_key key = key_of(1);
    struct cache_entry *first = make_entry(1, ENTRY_BYTES);
    struct cache_entry *second = make_entry(1, ENTRY_BYTES);
    cache_put(cache, first);
    cache_put(cache, second);
    struct cache_entry *got = cache_get(cache, &key);
    CHECK(got == first);
    cache_forget(cache, second); /* is not in it */
    CHECK_UINT(figures_of(cache).entries, ==, 1);
    cache_entry_release(got);
    cache_entry_release(first);
    cache_entry_release(second);
    cache_free(cache);
}

static void *use(void *argument)
{
    struct cache *cache = argument;
    uint64_t state = harness_seed() + (uint64_t)(uintptr_t)&state;
    for (int i = 0; i < 5000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint32_t number = (uint32_t)(state >> 33) % 30;
        struct cache_key key = key_of(number);
        struct cache_entry *entry = cache_get(cache, &key);
        if (!entry)
            put(cache, number, ENTRY_BYTES);
        if (!entry)
            continue;
        CHECK_UINT(cache_entry_bytes(entry)[ENTRY_BYTES - 1], ==, number);
        if (state >> 60 == 0)
            cache_forget(cache, entry);
        cache_entry_release(entry);
    }
    return NULL;
}

TEST(threads_share_a_cache, "Threads that put, get and forget the same records at once get their "
                            "bytes, within the bound.")
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct cache *cache = cache_new(10 * ENTRY_BYTES);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, use, cache), ==, 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(figures_of(cache).bytes, <=, 10 * ENTRY_BYTES);
    cache_free(cache);
}
