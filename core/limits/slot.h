/*
 * The slot protocol: how processes that share a bucket of slots charge, refund and reset subjects
 * so that no subject ever has two live slots and no charge is lost or lands on somebody else.
 *
 * A slot is two words side by side: the tag, which says whose it is, and the state, an algorithm's
 * word (algorithm.h). A bucket has some slots and a claim word, which is 0 or names the process
 * that may change which tags stand in it.
 *
 * Invariants. They hold at every instant, over every interleaving of the atomic operations of any
 * number of threads and processes, each of which may be stopped for any time or killed between any
 * two of them. (tests/unit/limits/slot.c runs all interleavings of three actors on two slots, and
 * shows that each rule below is needed.)
 *
 *   1. A slot's tag changes only while its state is RESERVED, and only by the process that the
 *      claim word names.
 *   2. A state becomes RESERVED only by a compare-and-swap, made by that process, from FREE, from
 *      an expired word, or (reset) from the word just read.
 *   3. At most one slot of a bucket has a given tag and a state that is neither FREE nor RESERVED.
 *      A slot is given a tag only after all slots were searched for it under the claim.
 *   4. No state that a slot had under one owner comes back under a later one. So a compare-and-swap
 *      from a word that was read under an owner fails once the owner is another, however late it
 *      comes.
 *   5. A charge or refund swaps from a state that was read BEFORE the tag was seen to be the
 *      subject's. By 1 and 4 the swap then charges that subject or fails.
 *   6. A claim whose holder is alive is never taken from it. That of a dead one is taken over by
 *      compare-and-swap; whoever holds the claim frees the slots that are RESERVED by nobody before
 *      it looks for room.
 *   7. Every charge that was answered "admitted" is counted in the subject's slot until its window
 *      ends, is refunded or reset.
 *
 * Why 4 holds. Every word has a mark, a time (algorithm.h); equal words have equal marks. All words
 * of an owner have marks after the time at which it took the slot, and it takes the slot when every
 * earlier mark lies before that time:
 *   - an expired word is the one with the owner's latest mark, but for GCRA words, whose mark a
 *     refund puts back, and for words that were reset while they counted. Both first raise the
 *     slot's FLOOR to the mark they leave.
 *   - a slot is taken only by who finds its floor passed: at or before `now`, or (when marks of the
 *     new owner cannot fall) before the mark of its first word.
 *   - the clock under a claim is read after the claim was taken, so it is no earlier than any that
 *     the slot was judged by before.
 *
 * Clocks may otherwise be old. A word that seems to lie too far in the future is judged again by a
 * clock read after it, before it counts as corrupt; a refund always reads its clock after the word.
 *
 * The operations are written as a machine whose every step does one operation on shared memory (or
 * reads the clock, or asks whether a process lives), so that the very code that runs in production
 * can be stepped by the test through every interleaving. All operations are sequentially
 * consistent.
 */
#ifndef LIMITS_SLOT_H
#define LIMITS_SLOT_H

#include "base/clock.h"
#include "limits/algorithm.h"

#include <stdatomic.h>

/* In shared memory. A tag of 0 is nobody's. */
struct slot {
    _Atomic uint64_t tag;
    _Atomic uint64_t state;
};

enum { SLOT_DETAIL_WORDS = 5 };

/*
 * In shared memory, beside each slot: what is not needed to charge it. `words` are written by the
 * claim's holder while the slot is RESERVED; slot_describe() says what they hold.
 */
struct slot_details {
    _Atomic uint64_t floor_ns;
    _Atomic uint64_t words[SLOT_DETAIL_WORDS];
};

enum { SLOT_VALUE_MAX = 16 };

/* Who a slot counts, in a form that can be printed. */
struct slot_description {
    uint64_t scope;  /* hash of the limit's scope */
    uint64_t amount; /* of the limit when the slot was taken */
    uint32_t period_ms;
    uint32_t burst;
    uint8_t kind;         /* of the subject, 0 to 15 */
    uint8_t value_length; /* of the subject's value; up to 31, more than SLOT_VALUE_MAX when it is
                             cut */
    uint8_t value[SLOT_VALUE_MAX]; /* its first bytes */
};

/* The words of a description, and back. Any words give some description. */
void slot_describe(const struct slot_description *from, uint64_t words[SLOT_DETAIL_WORDS]);
struct slot_description slot_described(const uint64_t words[SLOT_DETAIL_WORDS]);

/* A bucket as an actor sees it. Slots are searched from `first` on, round to the one before it. */
struct slot_bucket {
    _Atomic uint64_t *claim;
    struct slot *slots;
    struct slot_details *details;
    uint32_t count;
    uint32_t first;
};

/* What an actor needs of its process. */
struct slot_process {
    uint64_t claim; /* what it writes into a claim word: not 0, and never used by another process */
    const struct jini_clock *clock;
    /*
     * False when the process that this claim names is dead for certain. `waits` counts the tries
     * before.
     */
    bool (*alive)(void *context, uint64_t claim, uint32_t waits);
    /*
     * Pauses before the next look at a claim that another holds; false when that has lasted long
     * enough.
     */
    bool (*wait)(void *context, uint32_t waits);
    void *context;
};

enum slot_operation { SLOT_CHARGE, SLOT_REFUND, SLOT_RESET };

/* What is to be done. Borrowed by the actor until it is done. */
struct slot_job {
    enum slot_operation operation;
    uint64_t tag;
    /* charge */
    const struct algorithm *limit;
    uint64_t cost;
    enum algorithm_denied denied;
    uint64_t description[SLOT_DETAIL_WORDS];
    /* refund */
    struct algorithm_receipt receipt;
    uint32_t slot; /* where it was charged */
};

enum slot_result {
    SLOT_RUNNING,
    SLOT_ANSWERED, /* charge: `outcome` says how; refund and reset: it is done */
    SLOT_ABSENT,   /* refund, reset: there is nothing (left) to take back */
    SLOT_FULL, /* charge: every slot counts somebody else; the first is free again at `free_ns` */
    SLOT_BUSY  /* another process held the claim for too long */
};

enum slot_step {
    SLOT_STEP_FIND,
    SLOT_STEP_LOAD,
    SLOT_STEP_VERIFY,
    SLOT_STEP_CLOCK,
    SLOT_STEP_FLOOR_LOAD,
    SLOT_STEP_FLOOR_RAISE,
    SLOT_STEP_SWAP,
    SLOT_STEP_CLAIM_LOAD,
    SLOT_STEP_CLAIM_ALIVE,
    SLOT_STEP_CLAIM_WAIT,
    SLOT_STEP_CLAIM_TAKE,
    SLOT_STEP_HELD_CLOCK,
    SLOT_STEP_SCAN_STATE,
    SLOT_STEP_ORPHAN_TAG,
    SLOT_STEP_ORPHAN_FREE,
    SLOT_STEP_SCAN_TAG,
    SLOT_STEP_SCAN_DETAILS,
    SLOT_STEP_SCAN_CLOCK,
    SLOT_STEP_RESERVE,
    SLOT_STEP_DESCRIBE,
    SLOT_STEP_SET_TAG,
    SLOT_STEP_PUBLISH,
    SLOT_STEP_RESET_LOAD,
    SLOT_STEP_RESET_RESERVE,
    SLOT_STEP_RESET_TAG,
    SLOT_STEP_RESET_FREE,
    SLOT_STEP_RELEASE,
    SLOT_STEP_END
};

/* One operation on its way. Everything that it knows between two steps. */
struct slot_actor {
    const struct slot_process *process;
    const struct slot_job *job;
    struct slot_bucket bucket;

    enum slot_step step;
    enum slot_result result;
    enum slot_step after_release;
    enum slot_result released_result; /* when that is SLOT_STEP_END */
    uint32_t slot;                    /* the one that is worked on, or was charged in the end */
    uint32_t searched;                /* slots looked at in this search */
    uint32_t chosen;                  /* the slot to take; SLOT_NONE */
    uint32_t waits;
    uint32_t searches;   /* lost slots since the start */
    bool clock_is_fresh; /* `now_ns` was read after `state` */
    uint64_t now_ns;
    uint64_t state; /* as read from `slot` */
    uint64_t next;  /* what `state` is to become */
    uint64_t floor_ns;
    uint64_t claim_seen;
    uint64_t chosen_state;
    uint64_t period_ms; /* of the slot that is judged */
    uint64_t free_ns;   /* SLOT_FULL: when the first slot is free again */
    struct algorithm_outcome outcome;
    /* What happened on the way, for counters. */
    uint32_t corrupt_words;
    uint32_t broken_claims;
    uint32_t taken_slots;
};

#define SLOT_NONE UINT32_MAX

/*
 * Starts an operation. `slot` is where the subject is believed to be: such a slot is tried first.
 * With SLOT_NONE the bucket is searched. A refund goes to the slot of its job. `now_ns` is a
 * reading of the process's clock, however old.
 */
void slot_begin(struct slot_actor *actor, const struct slot_process *process,
                const struct slot_bucket *bucket, const struct slot_job *job, uint32_t slot,
                uint64_t now_ns);

/* Does one operation on shared memory. Not for an actor whose result is not SLOT_RUNNING. */
void slot_step(struct slot_actor *actor);

/* Steps until the operation is done. */
static inline enum slot_result slot_run(struct slot_actor *actor)
{
    while (actor->result == SLOT_RUNNING)
        slot_step(actor);
    return actor->result;
}

#endif
