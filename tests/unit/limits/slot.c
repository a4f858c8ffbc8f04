/*
 * The slot protocol, run through every interleaving of up to three actors on a bucket of two slots,
 * with the clock moving and actors being killed between any two steps.
 *
 * The code under test is compiled into this file, so that one rule of it at a time can be broken:
 * the search must then find a state that is wrong, or it would prove nothing.
 */
#include <stdbool.h>

enum rule {
    no_rule,
    rule_tag_after_state,
    rule_search_under_claim,
    rule_tag_after_reserve,
    rule_charge_by_swap,
    rule_reserve_by_swap,
    rule_claim_by_swap,
    rule_living_keep_claims,
    rule_orphans_are_freed,
    rule_publish_before_release,
    rule_impossible_by_fresh_clock,
    rule_clock_under_claim,
    rule_floor_is_passed,
    rule_refund_raises_floor,
    rule_refund_by_fresh_clock,
    rule_reset_raises_floor
};

static enum rule broken_rule;
#define SLOT_BROKEN(rule) (broken_rule == (rule))

#include "limits/slot.c" /* so that SLOT_BROKEN is of use */

#include "slot_world.h"

/* The scenarios. Every one runs all interleavings; together they need every rule. */

#define CHARGE(subject)                                                                            \
    {                                                                                              \
        SLOT_CHARGE, subject, 1                                                                    \
    }
#define REFUND(subject)                                                                            \
    {                                                                                              \
        SLOT_REFUND, subject, 0                                                                    \
    }
#define RESET(subject)                                                                             \
    {                                                                                              \
        SLOT_RESET, subject, 0                                                                     \
    }

enum scenario_index {
    NEWCOMERS,
    STRANGERS,
    TAKE_OVER,
    REVIVAL,
    REFUNDS,
    RESETS,
    BREAKERS,
    OLD_CLOCKS,
    LEAKY_REFUNDS,
    LEAKY_RECALL,
    SLIDING,
    MIXED,
    SCENARIOS
};

static struct scenario scenarios[SCENARIOS];

/* Fixed windows of 2 units and 2 ms. */
static void set_up_windows(void)
{
    struct algorithm fixed = limit_of(LIMIT_FIXED_WINDOW, 2, 2);
    scenarios[NEWCOMERS] =
        (struct scenario){.name = "three charges of one subject that has no slot",
                          .scripts = {{CHARGE(ANNA)}, {CHARGE(ANNA)}, {CHARGE(ANNA)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 3,
                          .kills = 2};
    scenarios[STRANGERS] =
        (struct scenario){.name = "three subjects and room for two",
                          .scripts = {{CHARGE(ANNA)}, {CHARGE(BEN)}, {CHARGE(CARA)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 3,
                          .kills = 2};
    scenarios[TAKE_OVER] =
        (struct scenario){.name = "an expired subject comes back while another takes its slot",
                          .before = {CHARGE(ANNA), CHARGE(CARA)},
                          .scripts = {{CHARGE(ANNA)}, {CHARGE(ANNA)}, {CHARGE(BEN)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 4,
                          .kills = 1};
    scenarios[REVIVAL] =
        (struct scenario){.name = "two newcomers and an owner that comes back, on one slot",
                          .before = {CHARGE(ANNA)},
                          .scripts = {{CHARGE(ANNA), CHARGE(ANNA)}, {CHARGE(BEN)}, {CHARGE(CARA)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 4,
                          .kills = 1,
                          .slots = 1};
    scenarios[REFUNDS] =
        (struct scenario){.name = "charges, refunds and a take-over",
                          .scripts = {{CHARGE(ANNA), REFUND(ANNA)}, {CHARGE(ANNA)}, {CHARGE(BEN)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 3,
                          .kills = 1};
    scenarios[RESETS] = (struct scenario){
        .name = "a subject is reset while it is charged and another takes its slot",
        .before = {CHARGE(ANNA)},
        .scripts = {{CHARGE(ANNA)}, {RESET(ANNA)}, {CHARGE(BEN)}},
        .limits = {fixed},
        .tick_ns = NS_PER_MS,
        .ticks = 2,
        .kills = 1};
    scenarios[BREAKERS] =
        (struct scenario){.name = "a holder dies in the middle and two break its claim",
                          .before = {CHARGE(ANNA)},
                          .scripts = {{CHARGE(ANNA)}, {CHARGE(BEN)}, {CHARGE(CARA)}},
                          .limits = {fixed},
                          .tick_ns = NS_PER_MS,
                          .ticks = 3,
                          .kills = 2};
    scenarios[OLD_CLOCKS] =
        (struct scenario){.name = "readings of the clock that are older than the window",
                          .scripts = {{CHARGE(ANNA)}, {CHARGE(ANNA), CHARGE(ANNA)}, {CHARGE(ANNA)}},
                          .limits = {fixed},
                          .tick_ns = 2 * NS_PER_MS,
                          .ticks = 3,
                          .kills = 0};
}

/* GCRA of a unit in 2 ms and a burst of 3, sliding windows of 2 units and 1 s, and all together. */
static void set_up_others(void)
{
    struct algorithm fixed = limit_of(LIMIT_FIXED_WINDOW, 2, 2);
    struct algorithm gcra = limit_of(LIMIT_GCRA, 3, 2);
    struct algorithm sliding = limit_of(LIMIT_SLIDING_WINDOW, 2, 1000);
    scenarios[LEAKY_REFUNDS] =
        (struct scenario){.name = "refunds of gcra charges beside new ones",
                          .before = {CHARGE(ANNA)},
                          .scripts = {{CHARGE(ANNA), REFUND(ANNA)}, {CHARGE(ANNA)}, {CHARGE(ANNA)}},
                          .limits = {gcra},
                          .tick_ns = NS_PER_MS,
                          .ticks = 4,
                          .kills = 1};
    scenarios[LEAKY_RECALL] =
        (struct scenario){.name = "a slot whose arrival time was put back is taken over",
                          .before = {CHARGE(ANNA)},
                          .scripts = {{CHARGE(ANNA), REFUND(ANNA)}, {CHARGE(ANNA)}, {CHARGE(BEN)}},
                          .limits = {gcra},
                          .tick_ns = NS_PER_MS,
                          .ticks = 4,
                          .kills = 1};
    scenarios[SLIDING] =
        (struct scenario){.name = "sliding windows",
                          .before = {CHARGE(ANNA)},
                          .scripts = {{CHARGE(ANNA), REFUND(ANNA)}, {CHARGE(ANNA)}, {CHARGE(BEN)}},
                          .limits = {sliding},
                          .tick_ns = 600 * NS_PER_MS,
                          .ticks = 3,
                          .kills = 1};
    scenarios[MIXED] = (struct scenario){
        .name = "subjects of three algorithms and one slot",
        .scripts = {{CHARGE(ANNA), REFUND(ANNA)}, {CHARGE(BEN)}, {CHARGE(CARA), RESET(CARA)}},
        .limits = {fixed, gcra, fixed, sliding},
        .tick_ns = 1100 * NS_PER_MS,
        .ticks = 2,
        .kills = 1,
        .slots = 1};
}

static void set_up_scenarios(void)
{
    set_up_windows();
    set_up_others();
}

static void check_scenario(enum scenario_index index)
{
    set_up_scenarios();
    if (harness_sanitized()) { /* which is slower, and looks for nothing that this adds */
        scenarios[index].kills = scenarios[index].kills ? 1 : 0;
        scenarios[index].ticks = 1;
    }
    const char *found = search_all(&scenarios[index], no_rule);
    printf("     %s: %llu states\n", scenarios[index].name, (unsigned long long)states);
    if (found)
        harness_fail(__FILE__, __LINE__, "%s: %s, after%s", scenarios[index].name, found, trail);
    CHECK_UINT(states, >, 1000);
}

static void check_broken(enum scenario_index index, enum rule rule)
{
    set_up_scenarios();
    const char *found = search_all(&scenarios[index], rule);
    if (!found)
        harness_fail(__FILE__, __LINE__, "%s: nothing is wrong in %llu states",
                     scenarios[index].name, (unsigned long long)states);
    printf("     found after %llu states: %s, by%s\n", (unsigned long long)states, found, trail);
}

TEST(newcomers_share_one_slot,
     "Charges of a subject without a slot give it one slot, and all count.")
{
    check_scenario(NEWCOMERS);
}

TEST(strangers_stay_apart,
     "Three subjects on two slots: each is counted apart or told that it is full.")
{
    check_scenario(STRANGERS);
}

TEST(expired_slots_are_taken_over,
     "A slot that expired goes to one owner, old or new, and loses nothing.")
{
    check_scenario(TAKE_OVER);
}

TEST(a_slot_goes_round,
     "One slot that several subjects take from each other counts each of them right.")
{
    check_scenario(REVIVAL);
}

TEST(refunds_find_their_window, "A refund takes back its own charge or nothing.")
{
    check_scenario(REFUNDS);
}

TEST(resets_lose_nothing_else, "A reset ends what was counted before it, and no charge after it.")
{
    check_scenario(RESETS);
}

TEST(the_dead_hold_nothing, "Claims of the dead are broken, once, and what they reserved is freed.")
{
    check_scenario(BREAKERS);
}

TEST(old_clocks_admit_nothing_more,
     "A clock that was read before others moved on never admits more.")
{
    check_scenario(OLD_CLOCKS);
}

TEST(gcra_refunds_never_overdraw,
     "What is given back is never more than the charges that stand allow.")
{
    check_scenario(LEAKY_REFUNDS);
}

TEST(no_word_comes_back, "A word of one owner never equals a word of a later one.")
{
    check_scenario(LEAKY_RECALL);
}

TEST(sliding_windows_are_kept, "The same with sliding windows.")
{
    check_scenario(SLIDING);
}

TEST(algorithms_share_slots, "Subjects under different algorithms use one slot after each other.")
{
    check_scenario(MIXED);
}

/* The search must be able to fail: every rule, broken, is found. */

TEST(found_when_the_tag_is_not_seen_after_the_state,
     "Without the tag behind the state, a charge strays.")
{
    check_broken(TAKE_OVER, rule_tag_after_state);
}

TEST(found_when_nobody_searches_under_the_claim,
     "Without a search under the claim there are two slots.")
{
    check_broken(NEWCOMERS, rule_search_under_claim);
}

TEST(found_when_the_tag_is_set_before_the_reservation,
     "A tag set on an owned slot takes its charges.")
{
    check_broken(TAKE_OVER, rule_tag_after_reserve);
}

TEST(found_when_a_charge_is_stored, "A plain store loses the charge that came between.")
{
    check_broken(NEWCOMERS, rule_charge_by_swap);
}

TEST(found_when_a_reservation_is_stored, "A plain store takes a slot whose owner came back.")
{
    check_broken(TAKE_OVER, rule_reserve_by_swap);
}

TEST(found_when_a_claim_is_stored, "Two who both store their claim both act on it.")
{
    check_broken(NEWCOMERS, rule_claim_by_swap);
}

TEST(found_when_claims_of_the_living_are_broken,
     "A living holder acts on after its claim was taken.")
{
    check_broken(NEWCOMERS, rule_living_keep_claims);
}

TEST(found_when_orphans_stay, "A slot that a dead process reserved is lost.")
{
    check_broken(BREAKERS, rule_orphans_are_freed);
}

TEST(found_when_the_claim_is_released_too_early,
     "A slot that is still reserved looks like an orphan.")
{
    check_broken(NEWCOMERS, rule_publish_before_release);
}

TEST(found_when_an_old_clock_condemns_a_word, "A good word looks corrupt by an old clock.")
{
    check_broken(OLD_CLOCKS, rule_impossible_by_fresh_clock);
}

TEST(found_when_a_slot_is_taken_by_an_old_clock, "An old clock repeats a word of the owner before.")
{
    check_broken(BREAKERS, rule_clock_under_claim);
}

TEST(found_when_the_floor_is_not_asked, "A slot that was reset repeats a word of its owner before.")
{
    check_broken(RESETS, rule_floor_is_passed);
}

TEST(found_when_a_refund_leaves_the_floor, "A refund makes room for a word that was there before.")
{
    check_broken(LEAKY_RECALL, rule_refund_raises_floor);
}

TEST(found_when_a_refund_uses_an_old_clock, "A refund by an old clock gives back what has leaked.")
{
    check_broken(LEAKY_REFUNDS, rule_refund_by_fresh_clock);
}

TEST(found_when_a_reset_leaves_the_floor, "A reset makes room for a word that was there before.")
{
    check_broken(RESETS, rule_reset_raises_floor);
}
