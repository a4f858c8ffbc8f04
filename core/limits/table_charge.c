/*
 * Charging subjects in the table. The protocol of slots is slot.c's, the arithmetic algorithm.c's.
 *
 * The short way: a subject that remembers its slot is charged by three operations on that slot
 * (load the state, load the tag, swap the state), which are the steps LOAD, VERIFY and SWAP of
 * slot.c in the same order. Whatever it finds that is not plain goes the long way, through the
 * machine.
 */
#include "limits/table_internal.h"

#include <jini/status.h>
#include <sched.h>
#include <time.h>

enum {
    SPINS_BEFORE_SLEEP = 200, /* a claim is usually held for less than a microsecond */
    ALIVE_EVERY = 8,          /* sleeps between two looks whether the holder lives */
    SLEEP_US = 50
};

/*
 * Looks for the subject's tag from its first slot on. What it answers may be outdated at once:
 * slot.c's FIND.
 */
static uint32_t find_slot(const struct table_bucket *bucket, const struct table_subject *subject)
{
    uint32_t slot = subject->first;
    for (uint32_t i = 0; i < TABLE_BUCKET_SLOTS; i++) {
        if (atomic_load_explicit(&bucket->slots[slot].tag, memory_order_relaxed) == subject->tag)
            return slot;
        if (++slot == TABLE_BUCKET_SLOTS)
            slot = 0;
    }
    return SLOT_NONE;
}

/* Reads the state of a slot that has this tag: slot.c's LOAD and VERIFY. */
static inline bool load_slot(const struct slot *slot, uint64_t tag, uint64_t *state)
{
    *state = atomic_load_explicit(&slot->state, memory_order_acquire);
    return atomic_load_explicit(&slot->tag, memory_order_acquire) == tag &&
           algorithm_is_owned(*state);
}

/* The same, where the subject was last or wherever it is now. */
static inline bool load_subject(struct table_bucket *bucket, struct table_subject *subject,
                                uint64_t *state)
{
    if (__builtin_expect(load_slot(&bucket->slots[subject->slot], subject->tag, state), 1))
        return true;
    uint32_t slot = find_slot(bucket, subject);
    if (slot == SLOT_NONE)
        return false;
    subject->slot = slot;
    return load_slot(&bucket->slots[slot], subject->tag, state);
}

/* The long way. */

struct long_way {
    struct slot_process process;
    struct slot_job job;
    struct slot_actor actor;
    struct table *table;
    uint64_t give_up_ns; /* on the monotonic clock; 0 before the first sleep */
};

static bool holder_is_alive(void *context, uint64_t claim, uint32_t waits)
{
    const struct long_way *way = context;
    const struct table_options *options = &way->table->options;
    if (claim == way->table->claim)
        return true; /* another thread of this process */
    if (waits < SPINS_BEFORE_SLEEP || (waits - SPINS_BEFORE_SLEEP) % ALIVE_EVERY != 0)
        return true; /* not asked yet: asking is a system call */
    return options->alive(options->context, (uint32_t)claim, (uint32_t)(claim >> 32));
}

static bool wait_for_holder(void *context, uint32_t waits)
{
    struct long_way *way = context;
    struct timespec time;
    if (waits < SPINS_BEFORE_SLEEP) {
        if (waits % 16 == 15)
            sched_yield();
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t now_ns = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
    if (way->give_up_ns == 0)
        way->give_up_ns = now_ns + way->table->options.wait_ms * NS_PER_MS;
    if (now_ns >= way->give_up_ns)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = SLEEP_US * 1000L}, NULL);
    return true;
}

/* A place in a view; `slot` may be SLOT_NONE. */
struct place {
    uint32_t region;
    uint32_t bucket;
    uint32_t first;
    uint32_t slot;
};

static struct place place_of(const struct table_subject *subject)
{
    return (struct place){subject->region, subject->bucket, subject->first, subject->slot};
}

/* Does way->job. */
static enum slot_result go(struct long_way *way, struct table *table, struct table_view *view,
                           struct place place, uint64_t now_ns)
{
    struct table_view_region *region = &view->regions[place.region];
    struct table_bucket *bucket = &region->buckets[place.bucket];
    struct slot_bucket seen = {
        .claim = &bucket->claim,
        .slots = bucket->slots,
        .details = region->details + (size_t)place.bucket * TABLE_BUCKET_SLOTS,
        .count = TABLE_BUCKET_SLOTS,
        .first = place.first,
    };
    way->table = table;
    way->give_up_ns = 0;
    way->process = (struct slot_process){.claim = table->claim,
                                         .clock = table->clock,
                                         .alive = holder_is_alive,
                                         .wait = wait_for_holder,
                                         .context = way};
    slot_begin(&way->actor, &way->process, &seen, &way->job, place.slot, now_ns);
    enum slot_result result = slot_run(&way->actor);
    if (way->actor.corrupt_words)
        table_count(view, COUNTER_CORRUPT, way->actor.corrupt_words);
    if (way->actor.broken_claims)
        table_count(view, COUNTER_BROKEN, way->actor.broken_claims);
    if (way->actor.taken_slots)
        table_count(view, COUNTER_TAKEN, way->actor.taken_slots);
    return result;
}

static void describe(const struct table_item *item, uint64_t words[SLOT_DETAIL_WORDS])
{
    const struct table_subject *subject = item->subject;
    struct slot_description description = {
        .scope = subject->scope,
        .amount = item->limit->amount,
        .period_ms = item->limit->period_ms,
        .burst = item->limit->burst,
        .kind = subject->kind,
        .value_length = subject->length < 31 ? subject->length : 31,
    };
    memcpy(description.value, subject->value, SLOT_VALUE_MAX);
    slot_describe(&description, words);
}

/* Answers. */

static inline void answer_outcome(const struct table_item *item,
                                  const struct algorithm_outcome *outcome,
                                  struct table_answer *answer)
{
    answer->verdict = outcome->verdict == ALGORITHM_ADMITTED ? TABLE_ADMITTED
                      : item->shadow                         ? TABLE_SHADOW
                                                             : TABLE_REFUSED;
    answer->remaining = outcome->remaining;
    answer->reset_ns = outcome->reset_ns;
    answer->retry_after_ns = outcome->retry_after_ns;
}

static inline void answer_charged(struct table_view *view, const struct table_item *item,
                                  const struct algorithm_outcome *outcome,
                                  struct table_answer *answer)
{
    const struct table_subject *subject = item->subject;
    answer_outcome(item, outcome, answer);
    table_count(view, answer->verdict == TABLE_ADMITTED ? COUNTER_ADMITTED : COUNTER_REFUSED, 1);
    if (answer->verdict != TABLE_ADMITTED)
        return;
    answer->receipt = (struct table_receipt){
        .charge = algorithm_receipt_of(item->limit, item->cost, outcome),
        .generation = view->generation,
        .tag = subject->tag,
        .region = subject->region,
        .bucket = subject->bucket,
        .slot = subject->slot,
    };
}

/* The answer of a region that has no room, or whose bucket is held for too long. */
static void answer_unable(struct table *table, struct table_view *view,
                          const struct table_item *item, const struct slot_actor *actor,
                          uint64_t now_ns, struct table_answer *answer)
{
    bool full = actor->result == SLOT_FULL;
    bool open =
        item->shadow || table->options.regions[item->subject->region].when_full == TABLE_FAIL_OPEN;
    if (!full)
        table_count(view, COUNTER_BUSY, 1);
    table_count(view, open ? COUNTER_UNCOUNTED : COUNTER_FULL, 1);
    answer->remaining = open ? item->limit->amount : 0;
    answer->verdict = open ? TABLE_UNCOUNTED : full ? TABLE_FULL : TABLE_BUSY;
    if (!open)
        answer->retry_after_ns = full && actor->free_ns > now_ns
                                     ? actor->free_ns - now_ns
                                     : table->options.wait_ms * NS_PER_MS;
}

static void charge_long(struct table *table, struct table_view *view, const struct table_item *item,
                        enum algorithm_denied denied, uint64_t now_ns, struct place place,
                        struct table_answer *answer)
{
    struct long_way way = {.job = {.operation = SLOT_CHARGE,
                                   .tag = item->subject->tag,
                                   .limit = item->limit,
                                   .cost = item->cost,
                                   .denied = denied}};
    describe(item, way.job.description);
    if (go(&way, table, view, place, now_ns) != SLOT_ANSWERED) {
        answer_unable(table, view, item, &way.actor, now_ns, answer);
        return;
    }
    item->subject->slot = way.actor.slot;
    answer_charged(view, item, &way.actor.outcome, answer);
}

static inline void charge_item(struct table *table, struct table_view *view,
                               const struct table_item *item, enum algorithm_denied denied,
                               uint64_t now_ns, struct table_answer *answer)
{
    struct table_subject *subject = item->subject;
    table_place_if_new(view, subject);
    struct table_bucket *bucket = table_bucket_of(view, subject);
    struct place place = place_of(subject);
    uint64_t state;
    if (!load_subject(bucket, subject, &state)) {
        place.slot = SLOT_NONE;
        charge_long(table, view, item, denied, now_ns, place, answer);
        return;
    }
    struct algorithm_outcome outcome;
    algorithm_charge(state, item->limit, now_ns, item->cost, denied, &outcome);
    if (outcome.verdict == ALGORITHM_IMPOSSIBLE ||
        (outcome.word != state && !atomic_compare_exchange_strong_explicit(
                                      &bucket->slots[subject->slot].state, &state, outcome.word,
                                      memory_order_acq_rel, memory_order_relaxed))) {
        place.slot = subject->slot;
        charge_long(table, view, item, denied, now_ns, place, answer);
        return;
    }
    answer_charged(view, item, &outcome, answer);
}

/* What callers may get wrong. */
static bool is_item(const struct table_item *item)
{
    return item->subject->region < TABLE_REGIONS && item->subject->length <= TABLE_VALUE_MAX &&
           item->subject->algorithm == item->limit->kind &&
           item->subject->period_ms == item->limit->period_ms;
}

/* There is no table, or it cannot be opened: what the policies of the regions make of it. */
static int answer_without_table(const struct table *table, const struct table_item *items,
                                size_t count, int status, struct table_answer *answers)
{
    for (size_t i = 0; i < count; i++) {
        if (!items[i].shadow &&
            table->options.regions[items[i].subject->region].when_full == TABLE_FAIL_CLOSED)
            return status;
    }
    for (size_t i = 0; i < count; i++) {
        answers[i].verdict = TABLE_UNCOUNTED;
        answers[i].remaining = items[i].limit->amount;
    }
    return 0;
}

/* Member by member: clearing a whole array costs more than a charge's arithmetic. */
static inline void clear_answer(struct table_answer *answer)
{
    answer->verdict = TABLE_UNTRIED;
    answer->remaining = 0;
    answer->reset_ns = 0;
    answer->retry_after_ns = 0;
    answer->receipt = (struct table_receipt){0};
}

static void peek_item(struct table *table, struct table_view *view, const struct table_item *item,
                      uint64_t now_ns, struct table_answer *answer)
{
    struct table_subject *subject = item->subject;
    struct algorithm_outcome outcome;
    uint64_t state;
    table_place_if_new(view, subject);
    if (!load_subject(table_bucket_of(view, subject), subject, &state))
        state = ALGORITHM_FREE;
    algorithm_peek(state, item->limit, now_ns, item->cost, &outcome);
    if (outcome.verdict == ALGORITHM_IMPOSSIBLE) {
        uint64_t fresh_ns = clock_boot_ns(table->clock);
        algorithm_peek(state, item->limit, fresh_ns, item->cost, &outcome);
        if (outcome.verdict == ALGORITHM_IMPOSSIBLE)
            algorithm_peek(ALGORITHM_FREE, item->limit, fresh_ns, item->cost, &outcome);
    }
    answer_outcome(item, &outcome, answer);
}

/* How an item stands that is not charged by what refused. */
static void look_at(struct table *table, struct table_view *view, const struct table_item *item,
                    uint64_t now_ns, enum table_verdict verdict, struct table_answer *answer)
{
    peek_item(table, view, item, now_ns, answer);
    answer->verdict = verdict;
}

/* Takes back what came before the item that refused. */
static void take_back(struct table *table, struct table_view *view, const struct table_item *items,
                      size_t count, uint64_t now_ns, struct table_answer *answers)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].verdict != TABLE_ADMITTED)
            continue;
        table_refund(table, &answers[i].receipt);
        memset(&answers[i].receipt, 0, sizeof(answers[i].receipt));
        look_at(table, view, &items[i], now_ns, TABLE_TAKEN_BACK, &answers[i]);
    }
}

int table_charge(struct table *table, const struct table_item *items, size_t count,
                 enum table_profile profile, uint64_t now_ns, struct table_answer *answers)
{
    struct table_view *view;
    enum algorithm_denied denied =
        profile == TABLE_SEED ? ALGORITHM_DENIED_COUNTS : ALGORITHM_DENIED_FREE;
    if (table_is_forked(table))
        return JINI_E_FORKED;
    if (count < 1 || count > TABLE_ITEMS_MAX)
        return JINI_E_INVALID;
    for (size_t i = 0; i < count; i++)
        clear_answer(&answers[i]);
    for (size_t i = 0; i < count; i++) {
        if (!is_item(&items[i]) || items[i].cost == 0)
            return JINI_E_INVALID;
    }
    int status = table_view_of(table, &view);
    if (status) {
        atomic_fetch_add_explicit(&table->missing, 1, memory_order_relaxed);
        return answer_without_table(table, items, count, status, answers);
    }
    for (size_t i = 0; i < count; i++) {
        charge_item(table, view, &items[i], denied, now_ns, &answers[i]);
        enum table_verdict verdict = answers[i].verdict;
        if (verdict == TABLE_ADMITTED || verdict == TABLE_SHADOW || verdict == TABLE_UNCOUNTED)
            continue;
        if (profile == TABLE_ALL_OR_NONE)
            take_back(table, view, items, i, now_ns, answers);
        for (size_t behind = i + 1; behind < count; behind++)
            look_at(table, view, &items[behind], now_ns, TABLE_UNTRIED, &answers[behind]);
        return verdict == TABLE_REFUSED ? JINI_E_LIMITED : JINI_E_BUSY;
    }
    return 0;
}

int table_refund(struct table *table, const struct table_receipt *receipt)
{
    struct table_view *view;
    if (table_is_forked(table))
        return JINI_E_FORKED;
    if (receipt->tag == 0 || table_view_of(table, &view) != 0 ||
        receipt->generation != view->generation || receipt->region >= TABLE_REGIONS ||
        receipt->bucket >= view->regions[receipt->region].bucket_count ||
        receipt->slot >= TABLE_BUCKET_SLOTS || receipt->charge.kind > LIMIT_GCRA)
        return JINI_E_NOT_FOUND;
    struct long_way way = {.job = {.operation = SLOT_REFUND,
                                   .tag = receipt->tag,
                                   .receipt = receipt->charge,
                                   .slot = receipt->slot}};
    struct place place = {receipt->region, receipt->bucket, 0, receipt->slot};
    return go(&way, table, view, place, 0) == SLOT_ANSWERED ? 0 : JINI_E_NOT_FOUND;
}

int table_peek(struct table *table, const struct table_item *item, uint64_t now_ns,
               struct table_answer *answer)
{
    struct table_view *view;
    memset(answer, 0, sizeof(*answer));
    if (table_is_forked(table))
        return JINI_E_FORKED;
    if (!is_item(item))
        return JINI_E_INVALID;
    int status = table_view_of(table, &view);
    if (status)
        return answer_without_table(table, item, 1, status, answer);
    peek_item(table, view, item, now_ns, answer);
    return 0;
}

int table_reset(struct table *table, struct table_subject *subject)
{
    struct table_view *view;
    if (table_is_forked(table))
        return JINI_E_FORKED;
    if (subject->region >= TABLE_REGIONS || subject->length > TABLE_VALUE_MAX)
        return JINI_E_INVALID;
    int status = table_view_of(table, &view);
    if (status)
        return status;
    table_place_if_new(view, subject);
    struct long_way way = {.job = {.operation = SLOT_RESET, .tag = subject->tag}};
    enum slot_result result = go(&way, table, view, place_of(subject), 0);
    if (result == SLOT_BUSY)
        return JINI_E_BUSY;
    return result == SLOT_ANSWERED ? 0 : JINI_E_NOT_FOUND;
}
