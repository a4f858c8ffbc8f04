/*
 * Carries what a table counts over to one of other sizes. Tags are hashes under a key, and a tag
 * says in which bucket it belongs, whatever their number: so under the same key every slot can be
 * placed again, and is found there by its subject.
 *
 * Nobody else has either table open: the old one has no user, the new one no name yet. So the slots
 * stand still, and what is being taken or reset (RESERVED) was left by a dead process, which
 * answered nobody.
 */
#include "limits/table_internal.h"

#include <jini/limits.h>

static uint64_t copy_word(_Atomic uint64_t *to, _Atomic uint64_t *from)
{
    uint64_t word = atomic_load_explicit(from, memory_order_relaxed);
    atomic_store_explicit(to, word, memory_order_relaxed);
    return word;
}

/* Whether the slot still counts somebody. Whatever stands in it, the answer is only yes or no. */
static bool is_live(struct slot *slot, struct slot_details *details, uint64_t now_ns)
{
    uint64_t words[SLOT_DETAIL_WORDS];
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    if (!algorithm_is_owned(state) || atomic_load_explicit(&slot->tag, memory_order_relaxed) == 0)
        return false;
    for (unsigned i = 0; i < SLOT_DETAIL_WORDS; i++)
        words[i] = atomic_load_explicit(&details->words[i], memory_order_relaxed);
    uint32_t period_ms = slot_described(words).period_ms;
    return algorithm_is_possible(state, period_ms, now_ns) &&
           algorithm_expiry_ns(state, period_ms) > now_ns;
}

/* Gives the slot the first free place of its bucket; false when there is none. */
static bool place(const struct table_view_region *to, struct slot *slot,
                  struct slot_details *details)
{
    uint32_t number = table_bucket_of_tag(to, slot->tag);
    struct table_bucket *bucket = &to->buckets[number];
    unsigned free = 0;
    while (free < TABLE_BUCKET_SLOTS && bucket->slots[free].state != ALGORITHM_FREE)
        free++;
    if (free == TABLE_BUCKET_SLOTS)
        return false;
    struct slot_details *described = &to->details[(size_t)number * TABLE_BUCKET_SLOTS + free];
    copy_word(&described->floor_ns, &details->floor_ns);
    for (unsigned i = 0; i < SLOT_DETAIL_WORDS; i++)
        copy_word(&described->words[i], &details->words[i]);
    copy_word(&bucket->slots[free].tag, &slot->tag);
    copy_word(&bucket->slots[free].state, &slot->state);
    return true;
}

static bool carry_region(const struct table_view_region *from, const struct table_view_region *to,
                         uint64_t now_ns)
{
    for (uint32_t b = 0; b < from->bucket_count; b++) {
        for (unsigned s = 0; s < TABLE_BUCKET_SLOTS; s++) {
            struct slot *slot = &from->buckets[b].slots[s];
            struct slot_details *details = &from->details[(size_t)b * TABLE_BUCKET_SLOTS + s];
            if (is_live(slot, details, now_ns) && !place(to, slot, details))
                return false;
        }
    }
    return true;
}

bool table_carry(const struct table_view *from, const struct table_view *to, uint64_t now_ns)
{
    JINI_ASSERT(memcmp(from->key, to->key, sizeof(from->key)) == 0);
    for (unsigned r = 0; r < TABLE_REGIONS; r++) {
        if (!carry_region(&from->regions[r], &to->regions[r], now_ns))
            return false;
    }
    return true;
}
