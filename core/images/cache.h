/*
 * Records of cold packs, kept in memory up to a bound. What goes when room is needed is chosen by
 * SIEVE (Y. Zhang and others, "SIEVE is Simpler than LRU", NSDI 2024): entries stand in the order
 * of their arrival, a use marks an entry, and a hand that moves from old to new takes the first
 * without a mark and clears marks as it passes. A scan over many images so displaces little of what
 * is used again.
 *
 * Any thread. Entries are counted references: what somebody holds stays until it is released.
 */
#ifndef IMAGES_CACHE_H
#define IMAGES_CACHE_H

#include "base/bytes.h"

#include <jini/id.h>

struct cache;
struct cache_entry;

struct cache_key {
    struct jini_id pack;
    uint32_t sequence;
};

/* `bytes_max` 0 keeps nothing. NULL when out of memory. */
struct cache *cache_new(uint64_t bytes_max);
void cache_free(struct cache *cache); /* takes NULL; nothing may be held */

/* An entry of its own, to be filled and then put. NULL when out of memory. Held once. */
struct cache_entry *cache_entry_new(const struct cache_key *key, size_t length);
uint8_t *cache_entry_bytes(struct cache_entry *entry);
size_t cache_entry_length(const struct cache_entry *entry);
void cache_entry_release(struct cache_entry *entry);

/* The entry of a key, held, or NULL. */
struct cache_entry *cache_get(struct cache *cache, const struct cache_key *key);

/*
 * Adds a filled entry; the caller still holds it. One that is too large, or of a key that is there,
 * is not kept.
 */
void cache_put(struct cache *cache, struct cache_entry *entry);

/* Takes an entry out, if it is in. */
void cache_forget(struct cache *cache, struct cache_entry *entry);

struct cache_figures {
    uint64_t bytes;
    uint64_t entries;
    uint64_t hits;
    uint64_t misses;
};
void cache_figures(struct cache *cache, struct cache_figures *out);

#endif
