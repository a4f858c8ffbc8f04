/*
 * A world of three actors on a bucket of two slots, and a search through all of its states: what
 * slot.c runs its scenarios in.
 *
 * A state is everything that is shared, all that each actor remembers, the clock, and what an
 * outside observer knows of the charges that were admitted. From each state lead the next step of
 * each actor, its death, and a tick of the clock. The search visits every state that can be reached
 * and checks in each what must hold. The code under test is included before it.
 */
#ifndef SLOT_WORLD_H
#define SLOT_WORLD_H

#include "base/hash.h"
#include "harness.h"
#include "limits/algorithm_word.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACTORS = 3, SLOTS = 2, SUBJECTS = 4, JOBS_MAX = 3, HITS_MAX = 8, SOLO_STEPS_MAX = 200 };

enum subject { NOBODY, ANNA, BEN, CARA, DORA }; /* the values are their tags */

/* One job of an actor's script. A refund takes back the charge that the actor made last. */
struct errand {
    enum slot_operation operation;
    enum subject subject; /* NOBODY ends the script */
    uint64_t cost;
};

struct scenario {
    const char *name;
    struct errand before[3]; /* done by one actor before the search begins */
    struct errand scripts[ACTORS][JOBS_MAX];
    struct algorithm
        limits[SUBJECTS + 1]; /* by subject; all are the first one's when only that is given */
    uint64_t tick_ns;
    unsigned ticks;
    unsigned kills;
    uint32_t slots; /* 0 stands for SLOTS */
};

/* What is known outside of the bucket: every hit that was admitted. */
struct hit {
    enum subject subject;
    uint32_t actor;
    uint64_t read_ns; /* the clock it was admitted by */
    uint64_t cost;
    uint64_t refunded;
    struct algorithm_receipt receipt;
};

struct participant {
    struct slot_actor machine;
    struct slot_job job;
    uint32_t errand;
    bool running;
    bool killed;
};

struct world {
    _Atomic uint64_t claim;
    struct slot slots[SLOTS];
    struct slot_details details[SLOTS];
    uint64_t now_ns;
    uint32_t ticks_left;
    uint32_t kills_left;
    uint32_t hit_count;
    struct participant actors[ACTORS + 1]; /* the last one comes before and after all others */
    struct hit hits[HITS_MAX];
};

static struct world world; /* the machines point into it */
static const struct scenario *scenario;
static const char *wrong; /* what the search found */
static uint64_t states;

/* The processes. */

static uint64_t world_clock(void *context)
{
    (void)context;
    return world.now_ns;
}

static const struct jini_clock clock_of_world = {world_clock, world_clock, NULL};

static uint64_t claim_of(uint32_t actor)
{
    return 100 + actor;
}

static bool is_alive(void *context, uint64_t claim, uint32_t waits)
{
    (void)context;
    (void)waits;
    return claim >= 100 && claim <= 100 + ACTORS && !world.actors[claim - 100].killed;
}

static bool wait_once(void *context, uint32_t waits)
{
    (void)context;
    return waits < 1;
}

static struct slot_process processes[ACTORS + 1];

/* The limits. */

static struct algorithm limit_of(enum limit_algorithm kind, uint64_t amount, uint32_t period_ms)
{
    struct algorithm limit = {
        .kind = kind, .amount = amount, .period_ms = period_ms, .period_ns = period_ms * NS_PER_MS};
    if (kind == LIMIT_SLIDING_WINDOW) {
        struct sliding_layout layout;
        CHECK(sliding_layout_for(period_ms, amount, &layout));
        limit.shift = layout.shift;
        limit.sub_windows = layout.sub_windows;
        limit.count_bits = layout.count_bits;
    }
    if (kind == LIMIT_GCRA) {
        limit.interval_ns = limit.period_ns;
        limit.burst = (uint32_t)amount;
        limit.tolerance_ns = limit.burst * limit.interval_ns;
    }
    return limit;
}

static const struct algorithm *limit_for(enum subject subject)
{
    const struct algorithm *own = &scenario->limits[subject];
    return own->period_ms ? own : &scenario->limits[0];
}

static uint32_t slot_count(void)
{
    return scenario->slots ? scenario->slots : SLOTS;
}

/* Running errands. */

static const struct errand *errand_of(uint32_t actor)
{
    const struct participant *self = &world.actors[actor];
    if (actor == ACTORS || self->errand == JOBS_MAX)
        return NULL;
    const struct errand *errand = &scenario->scripts[actor][self->errand];
    return errand->subject == NOBODY ? NULL : errand;
}

static struct hit *last_hit_of(uint32_t actor, enum subject subject)
{
    for (uint32_t i = world.hit_count; i-- > 0;) {
        struct hit *hit = &world.hits[i];
        if (hit->actor == actor && hit->subject == subject && !hit->refunded)
            return hit;
    }
    return NULL;
}

static void begin(uint32_t actor, const struct errand *errand)
{
    struct participant *self = &world.actors[actor];
    const struct algorithm *limit = limit_for(errand->subject);
    struct slot_bucket bucket = {&world.claim, world.slots, world.details, slot_count(), 0};
    uint32_t place = self->job.slot;
    self->errand++;
    memset(&self->job, 0, sizeof(self->job));
    self->job.operation = errand->operation;
    self->job.tag = errand->subject;
    self->job.limit = limit;
    self->job.cost = errand->cost;
    self->job.description[SLOT_DETAIL_WORDS - 1] = limit->period_ms << 9;
    self->job.slot = place;
    if (errand->operation == SLOT_REFUND) {
        const struct hit *hit = last_hit_of(actor, errand->subject);
        if (!hit)
            return;
        self->job.receipt = hit->receipt;
    }
    slot_begin(&self->machine, &processes[actor], &bucket, &self->job, SLOT_NONE, world.now_ns);
    self->running = true;
}

static void note_charge(uint32_t actor)
{
    struct participant *self = &world.actors[actor];
    struct slot_actor *machine = &self->machine;
    if (machine->outcome.verdict != ALGORITHM_ADMITTED)
        return;
    self->job.slot = machine->slot;
    CHECK_UINT(world.hit_count, <, HITS_MAX);
    world.hits[world.hit_count++] = (struct hit){
        .subject = (enum subject)self->job.tag,
        .actor = actor,
        .read_ns = machine->now_ns,
        .cost = self->job.cost,
        .receipt = algorithm_receipt_of(self->job.limit, self->job.cost, &machine->outcome)};
}

/* Whatever is reset no longer exists, and neither do the charges that it counted. */
static void note_reset(enum subject subject)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < world.hit_count; i++) {
        if (world.hits[i].subject != subject)
            world.hits[kept++] = world.hits[i];
    }
    memset(&world.hits[kept], 0, (world.hit_count - kept) * sizeof(world.hits[0]));
    world.hit_count = kept;
}

/* Clears what no later step reads, so that states that differ in nothing else are one. */
static void forget_what_is_not_read(struct slot_actor *machine)
{
    struct algorithm_outcome outcome = {0};
    if (machine->step == SLOT_STEP_SWAP) {
        outcome.verdict = machine->outcome.verdict;
        outcome.window = machine->outcome.window;
    }
    machine->outcome = outcome;
    machine->free_ns = 0;
    machine->searches = 0;
    machine->corrupt_words = 0;
    machine->broken_claims = 0;
    machine->taken_slots = 0;
    if (machine->step == SLOT_STEP_FIND)
        machine->slot = 0;
    if (machine->step == SLOT_STEP_LOAD)
        machine->state = machine->next = machine->chosen = machine->searched = 0;
    if (machine->step >= SLOT_STEP_CLAIM_LOAD && machine->step <= SLOT_STEP_HELD_CLOCK)
        machine->slot = machine->searched = 0;
    if ((machine->step >= SLOT_STEP_RESERVE && machine->step <= SLOT_STEP_PUBLISH) ||
        machine->step == SLOT_STEP_RELEASE)
        machine->state = machine->searched = 0;
}

/* An actor between two errands, or dead, has nothing but the place of its last charge. */
static void stop(struct participant *self)
{
    uint32_t slot = self->job.slot;
    self->running = false;
    memset(&self->machine, 0, sizeof(self->machine));
    memset(&self->job, 0, sizeof(self->job));
    self->job.slot = slot;
}

/* One step of one actor, and what an outside observer knows from it. */
static void advance(uint32_t actor)
{
    struct participant *self = &world.actors[actor];
    struct slot_actor *machine = &self->machine;
    enum slot_step step = machine->step;
    slot_step(machine);
    bool swapped = step == SLOT_STEP_SWAP && machine->result == SLOT_ANSWERED;
    if (step == SLOT_STEP_PUBLISH || (swapped && self->job.operation == SLOT_CHARGE))
        note_charge(actor);
    if (swapped && self->job.operation == SLOT_REFUND) {
        struct hit *hit = last_hit_of(actor, (enum subject)self->job.tag);
        if (hit)
            hit->refunded = 1;
    }
    if (step == SLOT_STEP_RESET_RESERVE && machine->step == SLOT_STEP_RESET_TAG)
        note_reset((enum subject)self->job.tag);
    if (machine->result == SLOT_RUNNING)
        forget_what_is_not_read(machine);
    else
        stop(self);
}

/* What must hold in every state. */

static uint64_t counts_until_ns(const struct hit *hit)
{
    if (hit->receipt.kind == LIMIT_FIXED_WINDOW)
        return hit->receipt.window * NS_PER_MS;
    uint64_t shift = hit->receipt.window >> WORD_TIME_BITS;
    uint64_t ordinal = hit->receipt.window & ((UINT64_C(1) << WORD_TIME_BITS) - 1);
    return ((ordinal + 1) << shift) * NS_PER_MS + hit->receipt.period_ms * NS_PER_MS;
}

static uint64_t units_counted(enum subject subject)
{
    uint64_t units = 0;
    for (uint32_t i = 0; i < world.hit_count; i++) {
        const struct hit *hit = &world.hits[i];
        if (hit->subject == subject && !hit->refunded && counts_until_ns(hit) > world.now_ns)
            units += hit->cost;
    }
    return units;
}

/* The arrival time that the hits of a subject amount to, with or without those taken back. */
static uint64_t arrival_ns(enum subject subject, bool with_refunded)
{
    uint64_t arrival = 0;
    for (uint32_t i = 0; i < world.hit_count; i++) {
        const struct hit *hit = &world.hits[i];
        if (hit->subject != subject || (hit->refunded && !with_refunded))
            continue;
        arrival = (arrival > hit->read_ns ? arrival : hit->read_ns) + hit->receipt.cost;
    }
    return arrival > world.now_ns ? arrival : world.now_ns;
}

static void check_window_of(enum subject subject, uint64_t word)
{
    const struct algorithm *limit = limit_for(subject);
    struct algorithm_outcome found;
    algorithm_peek(word, limit, world.now_ns, 0, &found);
    uint64_t units = units_counted(subject);
    if (units > limit->amount)
        wrong = "more units than the amount are admitted into one window";
    else if (found.remaining > limit->amount - units)
        wrong = "an admitted charge is not counted";
    else if (found.remaining < limit->amount - units)
        wrong = "a charge is counted on a subject that it was not admitted for";
}

static void check_arrival_of(enum subject subject, uint64_t word)
{
    uint64_t found = algorithm_mark_ns(word);
    if (found < world.now_ns)
        found = world.now_ns;
    if (found < arrival_ns(subject, false))
        wrong = "an admitted charge is not counted";
    else if (found > arrival_ns(subject, true))
        wrong = "a charge is counted on a subject that it was not admitted for";
}

static void check_subject(enum subject subject)
{
    unsigned live = 0;
    uint64_t word = ALGORITHM_FREE;
    for (uint32_t i = 0; i < slot_count(); i++) {
        uint64_t state = atomic_load(&world.slots[i].state);
        if (algorithm_is_owned(state) && atomic_load(&world.slots[i].tag) == subject) {
            live++;
            word = state;
        }
    }
    if (live > 1)
        wrong = "a subject has two live slots";
    else if (limit_for(subject)->kind == LIMIT_GCRA)
        check_arrival_of(subject, word);
    else
        check_window_of(subject, word);
}

/* Windows of one subject do not overlap. */
static void check_windows(void)
{
    for (uint32_t i = 0; i < world.hit_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct hit *a = &world.hits[i];
            const struct hit *b = &world.hits[j];
            if (a->subject != b->subject || a->receipt.kind != LIMIT_FIXED_WINDOW)
                continue;
            uint64_t apart = a->receipt.window > b->receipt.window
                                 ? a->receipt.window - b->receipt.window
                                 : b->receipt.window - a->receipt.window;
            if (apart != 0 && apart < a->receipt.period_ms)
                wrong = "two windows of one subject overlap";
        }
    }
}

static void check_state(void)
{
    for (enum subject subject = ANNA; subject <= DORA && !wrong; subject++)
        check_subject(subject);
    if (!wrong)
        check_windows();
}

/* Runs one actor alone to the end of its errand; the world is put back by the caller. */
static enum slot_result run_alone(uint32_t actor)
{
    struct slot_actor *machine = &world.actors[actor].machine;
    for (unsigned i = 0; i < SOLO_STEPS_MAX; i++) {
        if (machine->result != SLOT_RUNNING)
            return machine->result;
        slot_step(machine);
    }
    return SLOT_RUNNING;
}

static bool is_held_against(uint32_t actor, uint64_t claim)
{
    return claim != claim_of(actor) && is_alive(NULL, claim, 0);
}

/*
 * Whatever the others do not do any more, an actor comes to an end, and only a living holder makes
 * it give up.
 */
static void check_progress(void)
{
    struct world saved = world;
    for (uint32_t actor = 0; actor < ACTORS && !wrong; actor++) {
        if (!world.actors[actor].running || world.actors[actor].killed)
            continue;
        const struct slot_actor *machine = &world.actors[actor].machine;
        bool held = machine->step == SLOT_STEP_CLAIM_WAIT || /* it has seen the holder alive */
                    is_held_against(actor, machine->claim_seen) ||
                    is_held_against(actor, atomic_load(&world.claim));
        enum slot_result result = run_alone(actor);
        if (result == SLOT_RUNNING)
            wrong = "an actor that runs alone does not end";
        else if (result == SLOT_BUSY && !held)
            wrong = "an actor gives up although nobody alive holds the claim";
        else if (atomic_load(&world.claim) == claim_of(actor))
            wrong = "an actor ends with the claim in its hands";
        world = saved;
    }
}

/*
 * When all have ended or died, somebody who comes much later finds room, and leaves nothing
 * reserved.
 */
static void check_end(void)
{
    static const struct errand late = {SLOT_CHARGE, DORA, 1};
    struct world saved = world;
    world.now_ns += 3600 * NS_PER_S * 3;
    begin(ACTORS, &late);
    enum slot_result result = run_alone(ACTORS);
    if (result != SLOT_ANSWERED)
        wrong = "a late charge finds no room in a bucket of expired slots";
    if (atomic_load(&world.claim) != 0)
        wrong = "the claim is never given back";
    for (uint32_t i = 0; i < slot_count(); i++) {
        if (atomic_load(&world.slots[i].state) == ALGORITHM_RESERVED)
            wrong = "a slot stays reserved for ever";
    }
    world = saved;
}

/* The search. */

static struct {
    struct hash128 *entries;
    uint64_t capacity;
    uint64_t count;
} visited;

static bool is_empty(const struct hash128 *entry)
{
    static const struct hash128 none;
    return hash128_equal(entry, &none);
}

static struct hash128 *visited_place(struct hash128 *entries, uint64_t capacity,
                                     const struct hash128 *hash)
{
    uint64_t at = load_le64(hash->bytes) & (capacity - 1);
    while (!is_empty(&entries[at]) && !hash128_equal(&entries[at], hash))
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static void visited_grow(void)
{
    uint64_t capacity = visited.capacity ? visited.capacity * 2 : 1 << 16;
    struct hash128 *entries = calloc(capacity, sizeof(*entries));
    CHECK(entries != NULL);
    for (uint64_t i = 0; i < visited.capacity; i++) {
        if (!is_empty(&visited.entries[i]))
            *visited_place(entries, capacity, &visited.entries[i]) = visited.entries[i];
    }
    free(visited.entries);
    visited.entries = entries;
    visited.capacity = capacity;
}

/* False when the world has been in this state before. */
static bool visit(void)
{
    if (visited.count * 2 >= visited.capacity)
        visited_grow();
    struct hash128 hash = hash128(slice_of(&world, sizeof(world)));
    struct hash128 *place = visited_place(visited.entries, visited.capacity, &hash);
    if (!is_empty(place))
        return false;
    *place = hash;
    visited.count++;
    return true;
}

static char trail[4096]; /* the moves to the state at hand, for the report */

static void explore(size_t trail_length);

static void explore_move(size_t trail_length, const char *verb, uint32_t actor, int step)
{
    int added =
        snprintf(trail + trail_length, sizeof(trail) - trail_length, " %s%u:%d", verb, actor, step);
    explore(trail_length + (size_t)added < sizeof(trail) - 64 ? trail_length + (size_t)added
                                                              : trail_length);
}

static void explore(size_t trail_length)
{
    if (wrong || !visit())
        return;
    states++;
    check_state();
    if (!wrong)
        check_progress();
    if (wrong) {
        trail[trail_length] = '\0';
        return;
    }
    struct world saved = world;
    bool ended = true;
    for (uint32_t actor = 0; actor < ACTORS && !wrong; actor++) {
        struct participant *self = &world.actors[actor];
        const struct errand *errand = errand_of(actor);
        if (self->killed || (!self->running && !errand))
            continue;
        ended = false;
        int step = self->running ? (int)self->machine.step : -1;
        if (self->running)
            advance(actor);
        else
            begin(actor, errand);
        explore_move(trail_length, "", actor, step);
        if (wrong)
            return;
        world = saved;
        if (self->running && self->machine.step != SLOT_STEP_FIND && world.kills_left > 0) {
            world.kills_left--;
            self->killed = true;
            stop(self);
            self->job.slot = 0;
            explore_move(trail_length, "kill", actor, step);
            if (wrong)
                return;
            world = saved;
        }
    }
    if (world.ticks_left > 0 && !ended) {
        world.ticks_left--;
        world.now_ns += scenario->tick_ns;
        explore_move(trail_length, "tick", 0, 0);
        if (wrong)
            return;
        world = saved;
    }
    if (ended)
        check_end();
}

/* Returns what was found wrong, or NULL after all states were seen. */
static const char *search_all(const struct scenario *of, enum rule rule)
{
    scenario = of;
    broken_rule = no_rule;
    wrong = NULL;
    states = 0;
    memset(&world, 0, sizeof(world));
    free(visited.entries);
    memset(&visited, 0, sizeof(visited));
    world.now_ns = 10000 * NS_PER_S;
    world.ticks_left = of->ticks;
    world.kills_left = of->kills;
    for (uint32_t actor = 0; actor <= ACTORS; actor++)
        processes[actor] =
            (struct slot_process){claim_of(actor), &clock_of_world, is_alive, wait_once, NULL};
    for (unsigned i = 0; i < 3 && of->before[i].subject != NOBODY; i++) {
        begin(ACTORS, &of->before[i]);
        while (world.actors[ACTORS].running)
            advance(ACTORS);
    }
    memset(&world.actors[ACTORS], 0, sizeof(world.actors[ACTORS]));
    broken_rule = rule;
    explore(0);
    broken_rule = no_rule;
    return wrong;
}

#endif
