/*
 * The machine of the slot protocol. Rules and reasons: slot.h.
 *
 *   charge  FIND -> LOAD -> VERIFY [-> CLOCK] -> SWAP -> end       (swap lost: LOAD)
 *             |
 *             no slot has the tag: CLAIM_LOAD -> CLAIM_TAKE -> HELD_CLOCK -> SCAN_* of all slots
 *               |                                                          |
 *               a living process has it: CLAIM_ALIVE -> CLAIM_WAIT -> FIND found: RELEASE -> LOAD
 *                                                                          |
 *               end <- RELEASE <- PUBLISH <- SET_TAG <- DESCRIBE <- RESERVE, not found
 *
 *   refund  LOAD -> VERIFY -> CLOCK [-> FLOOR_LOAD -> FLOOR_RAISE] -> SWAP -> end
 *
 *   reset   CLAIM_* -> SCAN_* -> RESET_LOAD -> FLOOR_* -> RESET_RESERVE -> RESET_TAG -> RESET_FREE
 *           -> RELEASE -> end
 *
 * SLOT_BROKEN(rule) is false. The test that includes this file defines it to break one rule at a
 * time.
 */
#include "limits/slot.h"

#include "base/assert.h"

#ifndef SLOT_BROKEN
#define SLOT_BROKEN(rule) false
#endif

enum { SEARCHES_MAX = 64 };

/* A floor farther ahead than any mark can be was not written by this code. */
static const uint64_t floor_reach_ns = (LIMIT_QUOTA_MS + 1) * NS_PER_MS;

/* Descriptions. */

void slot_describe(const struct slot_description *from, uint64_t words[SLOT_DETAIL_WORDS])
{
    JINI_ASSERT(from->kind < 16 && from->value_length < 32 && from->period_ms < 1U << 23);
    memcpy(words, from->value, SLOT_VALUE_MAX);
    words[2] = from->scope;
    words[3] = from->amount;
    words[4] =
        (uint64_t)from->burst << 32 | from->period_ms << 9 | from->value_length << 4 | from->kind;
}

static uint32_t described_period_ms(uint64_t last_word)
{
    return (uint32_t)last_word >> 9;
}

struct slot_description slot_described(const uint64_t words[SLOT_DETAIL_WORDS])
{
    struct slot_description to = {
        .scope = words[2],
        .amount = words[3],
        .burst = (uint32_t)(words[4] >> 32),
        .period_ms = described_period_ms(words[4]),
        .value_length = words[4] >> 4 & 31,
        .kind = words[4] & 15,
    };
    memcpy(to.value, words, SLOT_VALUE_MAX);
    return to;
}

/* Ways through the machine. */

static void finish(struct slot_actor *actor, enum slot_result result)
{
    actor->step = SLOT_STEP_END;
    actor->result = result;
}

static void release(struct slot_actor *actor, enum slot_result result)
{
    actor->step = SLOT_STEP_RELEASE;
    actor->after_release = SLOT_STEP_END;
    actor->released_result = result;
}

static void search(struct slot_actor *actor)
{
    actor->step = SLOT_STEP_FIND;
    actor->searched = 0;
    actor->state = 0;
    actor->next = 0;
    if (++actor->searches > SEARCHES_MAX)
        finish(actor, SLOT_BUSY);
}

static uint32_t searched_slot(const struct slot_actor *actor)
{
    uint32_t slot = actor->bucket.first + actor->searched;
    return slot < actor->bucket.count ? slot : slot - actor->bucket.count;
}

static void first_charge(const struct slot_actor *actor, struct algorithm_outcome *out)
{
    const struct slot_job *job = actor->job;
    algorithm_charge(ALGORITHM_FREE, job->limit, actor->now_ns, job->cost, job->denied, out);
}

/*
 * The subject has no slot. A refused charge does not take one, but where a refused charge is
 * counted.
 */
static void claim(struct slot_actor *actor)
{
    actor->step = SLOT_STEP_CLAIM_LOAD;
    actor->state = 0;
    actor->next = 0;
    if (actor->job->operation != SLOT_CHARGE)
        return;
    first_charge(actor, &actor->outcome);
    if (actor->outcome.word == ALGORITHM_FREE)
        finish(actor, SLOT_ANSWERED);
}

static void scan_from_start(struct slot_actor *actor)
{
    actor->step = SLOT_STEP_SCAN_STATE;
    actor->searched = 0;
    actor->chosen = SLOT_NONE;
    actor->chosen_state = 0;
    actor->free_ns = UINT64_MAX;
}

void slot_begin(struct slot_actor *actor, const struct slot_process *process,
                const struct slot_bucket *bucket, const struct slot_job *job, uint32_t slot,
                uint64_t now_ns)
{
    JINI_ASSERT(process->claim != 0 && job->tag != 0 && bucket->count > 0);
    memset(actor, 0, sizeof(*actor));
    actor->process = process;
    actor->bucket = *bucket;
    actor->job = job;
    actor->now_ns = now_ns;
    if (job->operation == SLOT_REFUND) {
        JINI_ASSERT(job->slot < bucket->count);
        slot = job->slot;
    }
    if (job->operation == SLOT_RESET) {
        actor->step = SLOT_STEP_CLAIM_LOAD;
    } else if (slot < bucket->count) {
        actor->slot = slot;
        actor->step = SLOT_STEP_LOAD;
    } else {
        actor->step = SLOT_STEP_FIND;
    }
}

/* Charging and refunding a slot that has the subject's tag. */

static void step_find(struct slot_actor *actor)
{
    uint32_t slot = searched_slot(actor);
    if (atomic_load(&actor->bucket.slots[slot].tag) == actor->job->tag) {
        actor->slot = slot;
        actor->step = SLOT_STEP_LOAD;
    } else if (++actor->searched == actor->bucket.count) {
        claim(actor);
    }
}

static void step_load(struct slot_actor *actor)
{
    actor->state = atomic_load(&actor->bucket.slots[actor->slot].state);
    actor->clock_is_fresh = false;
    actor->step = SLOT_STEP_VERIFY;
    if (algorithm_is_owned(actor->state))
        return;
    if (actor->job->operation == SLOT_CHARGE)
        claim(actor);
    else
        finish(actor, SLOT_ABSENT);
}

/* Decides what the state becomes, by the clock at hand. */
static void judge_charge(struct slot_actor *actor)
{
    const struct slot_job *job = actor->job;
    algorithm_charge(actor->state, job->limit, actor->now_ns, job->cost, job->denied,
                     &actor->outcome);
    if (actor->outcome.verdict == ALGORITHM_IMPOSSIBLE) {
        if (!actor->clock_is_fresh && !SLOT_BROKEN(rule_impossible_by_fresh_clock)) {
            actor->step = SLOT_STEP_CLOCK;
            return;
        }
        actor->corrupt_words++;
        first_charge(actor, &actor->outcome);
    }
    actor->next = actor->outcome.word;
    actor->step = SLOT_STEP_SWAP;
    if (actor->next == actor->state || actor->next == ALGORITHM_FREE)
        finish(actor, SLOT_ANSWERED);
}

static void judge_refund(struct slot_actor *actor)
{
    actor->next = algorithm_refund(actor->state, &actor->job->receipt, actor->now_ns);
    actor->step = SLOT_STEP_SWAP;
    if (actor->next == actor->state)
        finish(actor, SLOT_ABSENT);
    else if (algorithm_mark_ns(actor->next) < algorithm_mark_ns(actor->state) &&
             !SLOT_BROKEN(rule_refund_raises_floor))
        actor->step = SLOT_STEP_FLOOR_LOAD;
}

static void verified(struct slot_actor *actor)
{
    if (actor->job->operation == SLOT_CHARGE)
        judge_charge(actor);
    else if (SLOT_BROKEN(rule_refund_by_fresh_clock))
        judge_refund(actor);
    else
        actor->step = SLOT_STEP_CLOCK;
}

static void step_verify(struct slot_actor *actor)
{
    uint64_t tag = atomic_load(&actor->bucket.slots[actor->slot].tag);
    if (tag == actor->job->tag || SLOT_BROKEN(rule_tag_after_state))
        verified(actor);
    else if (actor->job->operation == SLOT_CHARGE)
        search(actor);
    else
        finish(actor, SLOT_ABSENT);
}

static void read_clock(struct slot_actor *actor)
{
    uint64_t now_ns = clock_boot_ns(actor->process->clock);
    if (now_ns > actor->now_ns)
        actor->now_ns = now_ns;
}

static void step_clock(struct slot_actor *actor)
{
    read_clock(actor);
    actor->clock_is_fresh = true;
    if (actor->job->operation == SLOT_CHARGE)
        judge_charge(actor);
    else
        judge_refund(actor);
}

static void step_swap(struct slot_actor *actor)
{
    _Atomic uint64_t *state = &actor->bucket.slots[actor->slot].state;
    uint64_t expected = actor->state;
    bool swapped = true;
    if (SLOT_BROKEN(rule_charge_by_swap))
        atomic_store(state, actor->next);
    else
        swapped = atomic_compare_exchange_strong(state, &expected, actor->next);
    if (swapped)
        finish(actor, SLOT_ANSWERED);
    else
        actor->step = SLOT_STEP_LOAD;
}

/* Raising the floor to the mark of a word before it is replaced by one with an earlier mark. */

static void floor_is_raised(struct slot_actor *actor)
{
    actor->floor_ns = 0;
    actor->step = actor->job->operation == SLOT_RESET ? SLOT_STEP_RESET_RESERVE : SLOT_STEP_SWAP;
}

static void step_floor_load(struct slot_actor *actor)
{
    actor->floor_ns = atomic_load(&actor->bucket.details[actor->slot].floor_ns);
    actor->step = SLOT_STEP_FLOOR_RAISE;
    if (actor->floor_ns >= algorithm_mark_ns(actor->state))
        floor_is_raised(actor);
}

static void step_floor_raise(struct slot_actor *actor)
{
    if (atomic_compare_exchange_strong(&actor->bucket.details[actor->slot].floor_ns,
                                       &actor->floor_ns, algorithm_mark_ns(actor->state)))
        floor_is_raised(actor);
    else
        actor->step = SLOT_STEP_FLOOR_LOAD;
}

/* The claim. */

static void step_claim_load(struct slot_actor *actor)
{
    actor->claim_seen = atomic_load(actor->bucket.claim);
    actor->step = actor->claim_seen ? SLOT_STEP_CLAIM_ALIVE : SLOT_STEP_CLAIM_TAKE;
}

static void step_claim_alive(struct slot_actor *actor)
{
    const struct slot_process *process = actor->process;
    bool alive = process->alive(process->context, actor->claim_seen, actor->waits);
    actor->step = alive && !SLOT_BROKEN(rule_living_keep_claims) ? SLOT_STEP_CLAIM_WAIT
                                                                 : SLOT_STEP_CLAIM_TAKE;
}

static void step_claim_wait(struct slot_actor *actor)
{
    const struct slot_process *process = actor->process;
    actor->claim_seen = 0;
    if (!process->wait(process->context, actor->waits++)) {
        finish(actor, SLOT_BUSY);
    } else if (actor->job->operation == SLOT_CHARGE) {
        actor->searched = 0; /* the holder may have brought the subject in */
        actor->step = SLOT_STEP_FIND;
    } else {
        actor->step = SLOT_STEP_CLAIM_LOAD;
    }
}

static void step_claim_take(struct slot_actor *actor)
{
    uint64_t expected = actor->claim_seen;
    bool taken = true;
    if (SLOT_BROKEN(rule_claim_by_swap))
        atomic_store(actor->bucket.claim, actor->process->claim);
    else
        taken =
            atomic_compare_exchange_strong(actor->bucket.claim, &expected, actor->process->claim);
    if (taken) {
        actor->broken_claims += actor->claim_seen != 0;
        scan_from_start(actor);
        if (!SLOT_BROKEN(rule_clock_under_claim))
            actor->step = SLOT_STEP_HELD_CLOCK;
    } else {
        actor->step = SLOT_STEP_CLAIM_LOAD;
    }
    actor->claim_seen = 0;
}

static void step_held_clock(struct slot_actor *actor)
{
    read_clock(actor);
    actor->step = SLOT_STEP_SCAN_STATE;
}

/* Searching under the claim: for the subject, and for a slot to take. */

static void scanned_all(struct slot_actor *actor)
{
    if (actor->job->operation != SLOT_CHARGE) {
        release(actor, SLOT_ABSENT);
    } else if (actor->chosen == SLOT_NONE) {
        release(actor, SLOT_FULL);
    } else {
        actor->slot = actor->chosen;
        actor->step = SLOT_BROKEN(rule_tag_after_reserve) ? SLOT_STEP_SET_TAG : SLOT_STEP_RESERVE;
    }
}

static void scan_next(struct slot_actor *actor)
{
    actor->state = 0;
    actor->floor_ns = 0;
    actor->period_ms = 0;
    actor->clock_is_fresh = false;
    actor->step = SLOT_STEP_SCAN_STATE;
    if (++actor->searched == actor->bucket.count)
        scanned_all(actor);
}

/*
 * A slot that nobody owns, or whose owner is not the subject: worth taking? Without a candidate so
 * far, yes.
 */
static void scan_judged(struct slot_actor *actor)
{
    if (actor->job->operation == SLOT_CHARGE && actor->chosen == SLOT_NONE)
        actor->step = SLOT_STEP_SCAN_DETAILS;
    else
        scan_next(actor);
}

static void step_scan_state(struct slot_actor *actor)
{
    actor->slot = searched_slot(actor);
    actor->state = atomic_load(&actor->bucket.slots[actor->slot].state);
    if (algorithm_is_owned(actor->state))
        actor->step = SLOT_STEP_SCAN_TAG;
    else if (actor->state == ALGORITHM_FREE || SLOT_BROKEN(rule_orphans_are_freed))
        scan_judged(actor);
    else
        actor->step = SLOT_STEP_ORPHAN_TAG;
}

static void step_orphan_tag(struct slot_actor *actor)
{
    atomic_store(&actor->bucket.slots[actor->slot].tag, 0);
    actor->step = SLOT_STEP_ORPHAN_FREE;
}

static void step_orphan_free(struct slot_actor *actor)
{
    atomic_store(&actor->bucket.slots[actor->slot].state, ALGORITHM_FREE);
    actor->state = ALGORITHM_FREE;
    scan_judged(actor);
}

static void step_scan_tag(struct slot_actor *actor)
{
    uint64_t tag = atomic_load(&actor->bucket.slots[actor->slot].tag);
    if (tag != actor->job->tag || SLOT_BROKEN(rule_search_under_claim)) {
        scan_judged(actor);
    } else if (actor->job->operation == SLOT_RESET) {
        actor->step = SLOT_STEP_RESET_LOAD;
    } else {
        actor->step = SLOT_STEP_RELEASE;
        actor->after_release = SLOT_STEP_LOAD;
    }
}

/*
 * True when no word that the subject will have here can equal one that the slot had before: rule 4.
 */
static bool floor_is_passed(const struct slot_actor *actor)
{
    if (SLOT_BROKEN(rule_floor_is_passed) || actor->floor_ns <= actor->now_ns ||
        actor->floor_ns > actor->now_ns + floor_reach_ns)
        return true;
    struct algorithm_outcome first;
    first_charge(actor, &first);
    return actor->job->limit->kind != LIMIT_GCRA && actor->floor_ns < algorithm_mark_ns(first.word);
}

static void judge_slot(struct slot_actor *actor)
{
    uint32_t period_ms = (uint32_t)actor->period_ms;
    bool possible = algorithm_is_possible(actor->state, period_ms, actor->now_ns);
    if (!actor->clock_is_fresh && !SLOT_BROKEN(rule_impossible_by_fresh_clock) &&
        (!possible || actor->floor_ns > actor->now_ns + floor_reach_ns)) {
        actor->step = SLOT_STEP_SCAN_CLOCK;
        return;
    }
    uint64_t free_ns = possible ? algorithm_expiry_ns(actor->state, period_ms) : 0;
    actor->corrupt_words += !possible;
    if (free_ns <= actor->now_ns && floor_is_passed(actor)) {
        actor->chosen = actor->slot;
        actor->chosen_state = actor->state;
    } else {
        if (free_ns < actor->floor_ns)
            free_ns = actor->floor_ns;
        if (free_ns < actor->free_ns)
            actor->free_ns = free_ns;
    }
    scan_next(actor);
}

/* The period does not change under the claim, so that only the floor is shared here. */
static void step_scan_details(struct slot_actor *actor)
{
    const struct slot_details *details = &actor->bucket.details[actor->slot];
    actor->period_ms = described_period_ms(atomic_load(&details->words[SLOT_DETAIL_WORDS - 1]));
    actor->floor_ns = atomic_load(&details->floor_ns);
    judge_slot(actor);
}

static void step_scan_clock(struct slot_actor *actor)
{
    read_clock(actor);
    actor->clock_is_fresh = true;
    judge_slot(actor);
}

/* Taking a slot. */

static void step_reserve(struct slot_actor *actor)
{
    _Atomic uint64_t *state = &actor->bucket.slots[actor->chosen].state;
    uint64_t expected = actor->chosen_state;
    bool reserved = true;
    if (SLOT_BROKEN(rule_reserve_by_swap))
        atomic_store(state, ALGORITHM_RESERVED);
    else
        reserved = atomic_compare_exchange_strong(state, &expected, ALGORITHM_RESERVED);
    actor->step = SLOT_STEP_DESCRIBE;
    actor->chosen_state = ALGORITHM_RESERVED;
    if (!reserved)
        scan_from_start(actor); /* its owner came back */
}

/* Nobody acts on the description but under the claim, so that its words may go in one step. */
static void step_describe(struct slot_actor *actor)
{
    struct slot_details *details = &actor->bucket.details[actor->slot];
    for (unsigned i = 0; i < SLOT_DETAIL_WORDS; i++)
        atomic_store_explicit(&details->words[i], actor->job->description[i], memory_order_relaxed);
    actor->step = SLOT_STEP_SET_TAG;
}

static void step_set_tag(struct slot_actor *actor)
{
    atomic_store(&actor->bucket.slots[actor->slot].tag, actor->job->tag);
    actor->step = SLOT_STEP_PUBLISH;
    if (SLOT_BROKEN(rule_tag_after_reserve) && actor->chosen_state != ALGORITHM_RESERVED) {
        actor->step = SLOT_STEP_RESERVE;
    } else if (SLOT_BROKEN(rule_publish_before_release)) {
        actor->step = SLOT_STEP_RELEASE;
        actor->after_release = SLOT_STEP_PUBLISH;
    }
}

static void step_publish(struct slot_actor *actor)
{
    first_charge(actor, &actor->outcome);
    atomic_store(&actor->bucket.slots[actor->slot].state, actor->outcome.word);
    actor->taken_slots++;
    release(actor, SLOT_ANSWERED);
    if (SLOT_BROKEN(rule_publish_before_release))
        finish(actor, SLOT_ANSWERED);
}

/* Resetting a subject. The slot was found under the claim, so that its tag stays. */

static void step_reset_load(struct slot_actor *actor)
{
    actor->state = atomic_load(&actor->bucket.slots[actor->slot].state);
    actor->step =
        SLOT_BROKEN(rule_reset_raises_floor) ? SLOT_STEP_RESET_RESERVE : SLOT_STEP_FLOOR_LOAD;
}

static void step_reset_reserve(struct slot_actor *actor)
{
    uint64_t expected = actor->state;
    bool reserved = atomic_compare_exchange_strong(&actor->bucket.slots[actor->slot].state,
                                                   &expected, ALGORITHM_RESERVED);
    actor->step = reserved ? SLOT_STEP_RESET_TAG : SLOT_STEP_RESET_LOAD;
}

static void step_reset_tag(struct slot_actor *actor)
{
    atomic_store(&actor->bucket.slots[actor->slot].tag, 0);
    actor->step = SLOT_STEP_RESET_FREE;
}

static void step_reset_free(struct slot_actor *actor)
{
    atomic_store(&actor->bucket.slots[actor->slot].state, ALGORITHM_FREE);
    release(actor, SLOT_ANSWERED);
}

static void step_release(struct slot_actor *actor)
{
    uint64_t expected = actor->process->claim;
    atomic_compare_exchange_strong(actor->bucket.claim, &expected, 0);
    actor->step = actor->after_release;
    if (actor->after_release == SLOT_STEP_END)
        finish(actor, actor->released_result);
}

void slot_step(struct slot_actor *actor)
{
    static void (*const steps[])(struct slot_actor *) = {
        [SLOT_STEP_FIND] = step_find,
        [SLOT_STEP_LOAD] = step_load,
        [SLOT_STEP_VERIFY] = step_verify,
        [SLOT_STEP_CLOCK] = step_clock,
        [SLOT_STEP_FLOOR_LOAD] = step_floor_load,
        [SLOT_STEP_FLOOR_RAISE] = step_floor_raise,
        [SLOT_STEP_SWAP] = step_swap,
        [SLOT_STEP_CLAIM_LOAD] = step_claim_load,
        [SLOT_STEP_CLAIM_ALIVE] = step_claim_alive,
        [SLOT_STEP_CLAIM_WAIT] = step_claim_wait,
        [SLOT_STEP_CLAIM_TAKE] = step_claim_take,
        [SLOT_STEP_HELD_CLOCK] = step_held_clock,
        [SLOT_STEP_SCAN_STATE] = step_scan_state,
        [SLOT_STEP_ORPHAN_TAG] = step_orphan_tag,
        [SLOT_STEP_ORPHAN_FREE] = step_orphan_free,
        [SLOT_STEP_SCAN_TAG] = step_scan_tag,
        [SLOT_STEP_SCAN_DETAILS] = step_scan_details,
        [SLOT_STEP_SCAN_CLOCK] = step_scan_clock,
        [SLOT_STEP_RESERVE] = step_reserve,
        [SLOT_STEP_DESCRIBE] = step_describe,
        [SLOT_STEP_SET_TAG] = step_set_tag,
        [SLOT_STEP_PUBLISH] = step_publish,
        [SLOT_STEP_RESET_LOAD] = step_reset_load,
        [SLOT_STEP_RESET_RESERVE] = step_reset_reserve,
        [SLOT_STEP_RESET_TAG] = step_reset_tag,
        [SLOT_STEP_RESET_FREE] = step_reset_free,
        [SLOT_STEP_RELEASE] = step_release,
    };
    JINI_ASSERT(actor->result == SLOT_RUNNING && actor->step < SLOT_STEP_END);
    steps[actor->step](actor);
}
