/*
 * The table of rate limits: a file of the database directory (limits.shm) that all processes map
 * and charge with single compare-and-swaps. It forgets everything at a reboot, and when the file is
 * deleted or found damaged.
 *
 * Promise: over all threads and processes, no limit admits more than its amount (algorithm.h says
 * how long a unit counts), however processes are stopped or killed. A process that dies between a
 * charge and its use of it has spent that unit.
 *
 * Subjects are hashed with a key of the table, together with their limit's algorithm, period,
 * ordinal and scope, but not its amount: a user whose tier changes keeps what was counted. Each
 * region (anonymous and authenticated subjects) has slots of its own, so that neither can crowd the
 * other out, and its own answer when a subject finds no free slot.
 *
 * All functions may be called on any thread. None allocates but table_open() and, after the table
 * was replaced or could be made at last, the first call that notices. None of them survives fork:
 * in a child all answer JINI_E_FORKED.
 *
 * Memory is mapped from a file: whoever truncates limits.shm under running processes kills them
 * (SIGBUS), as with any mapped database. Deleting or replacing it is harmless.
 */
#ifndef LIMITS_TABLE_H
#define LIMITS_TABLE_H

#include "limits/slot.h"

#include <jini/error.h>
#include <jini/limits.h>

struct table;

enum table_region { TABLE_ANONYMOUS, TABLE_AUTHENTICATED, TABLE_REGIONS };

/* What a subject is told that finds its region full: no, or yes without being counted. */
enum table_policy { TABLE_FAIL_CLOSED, TABLE_FAIL_OPEN };

enum {
    TABLE_SLOTS_MIN = 31,
    TABLE_SLOTS_MAX = 1 << 28,
    TABLE_WAIT_MS_DEFAULT = 20,
    TABLE_WAIT_MS_MAX = 1000,
    TABLE_VALUE_MAX = 72,
    TABLE_ITEMS_MAX = 3 * LIMITS_MAX
};

struct table_region_options {
    uint32_t slots; /* rounded up to whole buckets; README.md says how many subjects fit */
    enum table_policy when_full;
};

struct table_options {
    const char *directory;
    const struct jini_clock *clock; /* borrowed until table_close() */
    /*
     * Which table is current, in memory that all processes share; borrowed until table_close().
     * Only this module writes it. It may begin at 0, also beside a table that exists.
     */
    _Atomic uint64_t *generation;
    /*
     * Names this process: no other process, living or dead, has or had the same pair. `incarnation`
     * is not 0.
     */
    uint32_t holder_slot;
    uint32_t holder_incarnation;
    /*
     * False only when the process that a pair names is dead for certain. Called while it holds
     * others up.
     */
    bool (*alive)(void *context, uint32_t slot, uint32_t incarnation);
    /*
     * False when what is free on the disk is meant for others, so that a new table may take no more
     * than the one before gives back. NULL: it is always free.
     */
    bool (*may_take_room)(void *context);
    void *context; /* of the two */
    /*
     * How long a stopped process may hold up newcomers to its bucket, and a charge for which the
     * table was replaced.
     */
    uint32_t wait_ms;
    struct table_region_options regions[TABLE_REGIONS];
};

/*
 * 65,536 anonymous slots (full: no) and 1,048,576 authenticated ones (full: no), waiting 20 ms. The
 * rest is zero.
 */
void table_options_init(struct table_options *options);

/*
 * Opens the table, or makes it. A table of this boot with other sizes is replaced by one that has
 * these and counts all that it counted. It is used as it is while other processes have it open,
 * where the disk has no room for another one beside it, and where that has no place for all.
 *
 * 0 also where the disk has no room for a table, whose file is reserved as a whole: table_state()
 * is JINI_E_FULL then. Until there is room, which is looked for at most ten times a second by
 * whatever comes, a region that fails open admits, uncounted, and all else answers JINI_E_FULL.
 *
 * JINI_E_INVALID: an option is out of its range.
 * JINI_E_FORMAT: processes of another version have the table open.
 * JINI_E_BUSY: another process is making the table, for more than 5 s.
 * JINI_E_FULL: not even the empty limits.lock can be made. JINI_E_IO, JINI_E_NO_MEMORY.
 */
int table_open(const struct table_options *options, struct table **out, struct jini_error *error);

/* No other call may run or come later. Takes NULL. */
void table_close(struct table *table);

/*
 * Looks whether the file is still the one that is mapped and undamaged, and makes a new one if not,
 * or if there has been no room for one. For a timer: without it a file that was merely deleted is
 * noticed when the next process opens the table. Waits for who makes one no longer than a charge
 * does. Errors of table_open(), and JINI_E_FULL when there is no room for a table.
 */
int table_check(struct table *table, struct jini_error *error);

/*
 * 0, or why charges find no table: JINI_E_FULL, no room for one; or what table_open() may answer,
 * when the table was replaced. As of the last try; nothing is tried here.
 */
int table_state(struct table *table, struct jini_error *error);

/* Subjects. */

enum table_kind {
    TABLE_USER,
    TABLE_API_KEY,
    TABLE_IPV4,
    TABLE_IPV6,
    TABLE_TIER,
    TABLE_MODEL,
    TABLE_GLOBAL
};

/*
 * Somebody under one limit. Make it once and keep it where the caller keeps its limits: it
 * remembers where it was found. Not for two threads at once; copies are independent.
 */
struct table_subject {
    /* What is found out by use, in one cache line with the rest of the hot path. */
    uint64_t generation; /* of the table that the next three belong to; 0 for none */
    uint64_t tag;
    uint32_t bucket;
    uint32_t first;
    uint32_t slot;
    /* Who it is. */
    enum table_region region;
    enum limit_algorithm algorithm;
    uint32_t period_ms;
    uint32_t ordinal;
    uint8_t kind;
    uint8_t length;
    uint64_t scope;
    uint8_t value[TABLE_VALUE_MAX];
};
_Static_assert(sizeof(struct table_subject) == 128, "two cache lines, where the caller aligns it");

/*
 * Names a subject by the bytes of its value (copied) under a limit. `scope` sets limits apart that
 * look alike (a hash of a path or model; 0 for none). Users are 8 bytes, see table_subject_user().
 * JINI_E_INVALID: the value is longer than TABLE_VALUE_MAX, or the limit is a quota.
 */
int table_subject_init(struct table_subject *subject, enum table_region region,
                       enum table_kind kind, struct slice value, uint64_t scope,
                       const struct limit *limit);

/* The same for a user by number, in the authenticated region. */
int table_subject_user(struct table_subject *subject, uint64_t user, uint64_t scope,
                       const struct limit *limit);

/*
 * The same for an IP address, 4 or 16 bytes in network order, in the anonymous region. IPv6 counts
 * by its first 64 bits, which are one customer's; an IPv4 address in IPv6 form counts as IPv4.
 */
int table_subject_address(struct table_subject *subject, struct slice address, uint64_t scope,
                          const struct limit *limit);

/* Begins to load what a charge of the subject will read. */
void table_prefetch(struct table *table, struct table_subject *subject);

/* Charging. */

struct table_item {
    const struct algorithm *limit; /* of the same algorithm and period as the subject */
    struct table_subject *subject;
    uint64_t cost;
    bool shadow; /* count and report, but never refuse */
};

enum table_verdict {
    TABLE_UNTRIED, /* an item before it refused; the rest of the answer is as of a peek */
    TABLE_ADMITTED,
    TABLE_REFUSED,
    TABLE_SHADOW,    /* would be refused, but for shadow mode; not counted */
    TABLE_UNCOUNTED, /* the region is full and fails open */
    TABLE_FULL, /* the region is full and fails closed; `retry_after_ns` says when there may be room
                 */
    TABLE_BUSY, /* a stopped process holds the subject's bucket, in a region that fails closed */
    TABLE_TAKEN_BACK /* was admitted, and refunded because a later item refused; the rest of the
                        answer is as of a peek after that */
};

/* What a refund needs; plain data that may be stored. All zero when nothing was counted. */
struct table_receipt {
    struct algorithm_receipt charge;
    uint64_t generation;
    uint64_t tag;
    uint32_t region;
    uint32_t bucket;
    uint32_t slot;
};

/*
 * Spans count from the reading of the clock that decided: `now_ns`, or a later one that the table
 * took itself.
 */
struct table_answer {
    enum table_verdict verdict;
    uint64_t remaining;
    uint64_t reset_ns;
    uint64_t retry_after_ns; /* 0 when admitted; ALGORITHM_NEVER */
    struct table_receipt receipt;
};

/*
 * How several limits go together. All or none: what was charged is refunded when a later item
 * refuses. Seed (the Python service that the wire contract describes): earlier items stay charged,
 * and a refused cost counts on the fixed window that refused it.
 */
enum table_profile { TABLE_ALL_OR_NONE, TABLE_SEED };

/*
 * Charges items in their order up to the first that refuses, and looks at those behind it.
 * `now_ns` is a reading of the table's clock, the fresher the better. `answers` has `count` places,
 * all are filled.
 * 0: all are admitted (or in shadow mode, or uncounted).
 * JINI_E_LIMITED: one refused.
 * JINI_E_BUSY: a region that fails closed is full or its bucket is held.
 * JINI_E_INVALID: a cost is 0, a limit does not belong to its subject, or `count` is not within 1
 * and TABLE_ITEMS_MAX; nothing is charged. JINI_E_FORKED. Errors of table_state(): there is no
 * table; a region that fails open then admits, uncounted.
 */
int table_charge(struct table *table, const struct table_item *items, size_t count,
                 enum table_profile profile, uint64_t now_ns, struct table_answer *answers);

/*
 * Takes a charge back, in the window that it was counted in. To be called once per receipt.
 * JINI_E_NOT_FOUND: that window is over, or the receipt is empty; nothing changes. JINI_E_FORKED.
 */
int table_refund(struct table *table, const struct table_receipt *receipt);

/*
 * What a charge of the item (its cost may be 0) would find; `remaining` is what is left before it.
 * Nothing is counted. 0 whatever the verdict, JINI_E_INVALID, JINI_E_FORKED, errors of
 * table_state() unless the region fails open.
 */
int table_peek(struct table *table, const struct table_item *item, uint64_t now_ns,
               struct table_answer *answer);

/*
 * Forgets what was counted of a subject. Receipts from before refund nothing any more.
 * JINI_E_NOT_FOUND: nothing was counted.
 * JINI_E_BUSY: its bucket is held by a stopped process. JINI_E_FORKED, errors of table_state().
 */
int table_reset(struct table *table, struct table_subject *subject);

/* Reports. */

/* Counted since the table was made, over all processes, but for the last. */
struct table_counters {
    uint64_t admitted;
    uint64_t refused;   /* also in shadow mode */
    uint64_t uncounted; /* admitted by a full or held region that fails open */
    uint64_t full;      /* refused by a full or held region that fails closed */
    uint64_t busy;      /* of both: the bucket was held by a stopped process */
    uint64_t taken;     /* slots that got a new owner */
    uint64_t corrupt;   /* words that no charge can have written */
    uint64_t broken;    /* claims of dead processes that were broken */
    uint64_t missing;   /* charges by this handle that found no table; admitted or not */
};

/* Errors of table_state(), with `missing` filled in. JINI_E_FORKED. */
int table_counters(struct table *table, struct table_counters *out);

struct table_occupancy {
    uint64_t slots;
    uint64_t live;     /* counting somebody; estimated when `examined` is less than `slots` */
    uint64_t examined; /* at most 131,072 slots are looked at */
};
int table_occupancy(struct table *table, enum table_region region, struct table_occupancy *out);

enum { TABLE_TOP_MAX = JINI_LIMIT_TOP_MAX };

struct table_entry {
    struct slot_description subject; /* its amount and burst are those of when the slot was taken */
    enum limit_algorithm algorithm;
    uint64_t used;
    uint64_t remaining;
    uint64_t reset_ns;
};

/*
 * The subjects of a region that have used the largest share of their limit, largest first, at most
 * `capacity` (up to TABLE_TOP_MAX). Reads the whole region: for people, not for requests.
 */
int table_top(struct table *table, enum table_region region, struct table_entry *out,
              size_t capacity, size_t *count);

/* "user 42", "ip 192.0.2.1", "ip 2001:db8::/64", "model CompVis/stable-d..." Returns the length. */
enum { TABLE_SUBJECT_TEXT_MAX = 96 };
size_t table_subject_text(const struct slot_description *subject,
                          char text[TABLE_SUBJECT_TEXT_MAX]);

#endif
