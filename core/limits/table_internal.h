/* What the files of the table share. */
#ifndef LIMITS_TABLE_INTERNAL_H
#define LIMITS_TABLE_INTERNAL_H

#include "limits/table.h"

#include "base/crypto.h"
#include "base/fork.h"

#include <pthread.h>
#include <sys/types.h>

enum {
    TABLE_BUCKET_SLOTS = 31,
    TABLE_BUCKET_BYTES = 512,
    TABLE_LINE_SLOTS = 4, /* slots in a cache line */
    TABLE_COUNTER_SHARDS = 64,
    TABLE_REMAPS_MAX =
        1024 /* tables that one handle sees; each keeps its address space until close */
};

/* In the file. */
struct table_bucket {
    _Atomic uint64_t claim;
    uint64_t unused;
    struct slot slots[TABLE_BUCKET_SLOTS];
};
_Static_assert(sizeof(struct table_bucket) == TABLE_BUCKET_BYTES, "a bucket is 8 cache lines");
_Static_assert(sizeof(struct slot_details) == 48, "details are 48 bytes");

enum table_counter {
    COUNTER_ADMITTED,
    COUNTER_REFUSED,
    COUNTER_UNCOUNTED,
    COUNTER_FULL,
    COUNTER_BUSY,
    COUNTER_TAKEN,
    COUNTER_CORRUPT,
    COUNTER_BROKEN,
    COUNTERS
};

/* In the file: a cache line, so that threads do not share one. */
struct table_counter_shard {
    _Atomic uint64_t counts[COUNTERS];
};
_Static_assert(sizeof(struct table_counter_shard) == 64, "a shard is a cache line");

struct table_view_region {
    uint32_t bucket_count;
    struct table_bucket *buckets;
    struct slot_details *details;
};

/*
 * A table as it is mapped. Immutable once it is published; kept until close, so that late readers
 * of it do no harm.
 */
struct table_view {
    uint64_t generation;
    uint8_t key[CRYPTO_HASH_KEY_BYTES];
    struct table_view_region regions[TABLE_REGIONS];
    struct table_counter_shard *shards;
    uint8_t *base;
    size_t bytes;
    dev_t device;
    ino_t inode;
    struct table_view *older;
};

struct table {
    struct table_view *_Atomic view; /* NULL: there has been no room for a table */
    _Atomic uint64_t *generation;
    const struct jini_clock *clock;
    uint32_t fork_generation;
    uint64_t claim;
    struct table_options options;
    char *path;
    char *temporary_path;
    pthread_mutex_t mutex;      /* below: who looks for another table */
    struct fork_file lock_file; /* limits.lock */
    bool sole_user;             /* while the table is being opened: nobody else has it open */
    uint32_t remaps;
    uint64_t retry_at_ns;      /* after a failure: not before */
    struct jini_error failure; /* of the last try to find the table; code 0: it was found */
    _Atomic uint64_t missing;  /* charges that found no table */
};

/*
 * table_file.c: makes the current table the view, under the file lock. `verify` also looks at the
 * file when the generation says that nothing has changed.
 */
enum table_refresh { TABLE_REFRESH_CHANGED, TABLE_REFRESH_VERIFY };
int table_file_open(struct table *table, struct jini_error *error);
int table_file_refresh(struct table *table, enum table_refresh refresh, struct jini_error *error);
int table_file_state(struct table *table, struct jini_error *error);
void table_file_close(struct table *table);

/* Whether this is a view of the table that counts now. */
static inline bool table_is_current(const struct table *table, const struct table_view *view)
{
    return view &&
           view->generation == atomic_load_explicit(table->generation, memory_order_acquire);
}

/* The current view, or an error: there is no table, or it cannot be opened. */
int table_view_slow(struct table *table, struct table_view **out);

static inline int table_view_of(struct table *table, struct table_view **out)
{
    struct table_view *view = atomic_load_explicit(&table->view, memory_order_acquire);
    *out = view;
    if (__builtin_expect(!table_is_current(table, view), 0))
        return table_view_slow(table, out);
    return 0;
}

static inline bool table_is_forked(const struct table *table)
{
    return table->fork_generation != fork_generation();
}

/*
 * table_carry.c: copies what counts now in one table into an empty one with the same key. False
 * when one of its buckets has no place for all: then it is of no use.
 */
bool table_carry(const struct table_view *from, const struct table_view *to, uint64_t now_ns);

/* The bucket that a tag belongs in follows from the tag, so that a slot can be placed again. */
static inline uint32_t table_bucket_of_tag(const struct table_view_region *region, uint64_t tag)
{
    return (uint32_t)((tag >> 32) * region->bucket_count >> 32);
}

/* Finds out where the subject belongs in this view. */
void table_place(const struct table_view *view, struct table_subject *subject);

static inline void table_place_if_new(const struct table_view *view, struct table_subject *subject)
{
    if (__builtin_expect(subject->generation != view->generation, 0))
        table_place(view, subject);
}

static inline struct table_bucket *table_bucket_of(const struct table_view *view,
                                                   const struct table_subject *subject)
{
    return &view->regions[subject->region].buckets[subject->bucket];
}

/* Adds to a counter of the calling thread's shard. */
void table_count(struct table_view *view, enum table_counter counter, uint64_t by);

#endif
