/* Several limits charged together: all or none, in order, in shadow mode, and behind a refusal. */
#include "table_fixture.h"

TEST(several_limits_go_all_or_none,
     "When a later limit refuses, the earlier ones get back what they were charged.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    static const char *const texts[] = {"5/minute", "6/2 minutes sliding", "2/second gcra burst 2"};
    struct charge charges[3];
    struct table_item items[3];
    struct table_answer answers[3];
    for (unsigned i = 0; i < 3; i++) {
        charge_init(&charges[i], texts[i], 42);
        items[i] = charges[i].item;
    }
    uint64_t now = fixture_clock_ns(NULL);
    CHECK_OK(table_charge(table, items, 3, TABLE_ALL_OR_NONE, now, answers));
    CHECK_OK(table_charge(table, items, 3, TABLE_ALL_OR_NONE, now, answers));
    CHECK_UINT(answers[0].remaining, ==, 3);
    CHECK_UINT(answers[1].remaining, ==, 4);
    CHECK_UINT(answers[2].remaining, ==, 0);
    CHECK_STATUS(table_charge(table, items, 3, TABLE_ALL_OR_NONE, now, answers), JINI_E_LIMITED);
    CHECK_UINT(answers[0].verdict, ==, TABLE_TAKEN_BACK);
    CHECK_UINT(answers[1].verdict, ==, TABLE_TAKEN_BACK);
    CHECK_UINT(answers[2].verdict, ==, TABLE_REFUSED);
    CHECK_UINT(answers[0].remaining, ==, 3);
    CHECK_UINT(answers[1].remaining, ==, 4);
    CHECK_UINT(answers[0].receipt.tag, ==, 0);
    CHECK_UINT(answers[2].retry_after_ns, ==, NS_PER_S / 2);
    CHECK_UINT(charge_peek(table, &charges[0]).remaining, ==, 3);
    CHECK_UINT(charge_peek(table, &charges[1]).remaining, ==, 4);
    table_close(table);
}

TEST(what_stands_behind_a_refusal_is_looked_at,
     "Behind the item that refused nothing is counted, and the answers say how the items stand.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    static const char *const texts[] = {"5/minute", "6/2 minutes sliding", "2/second gcra burst 2",
                                        "3/minute shadow", "7/3 minutes"};
    struct charge charges[5];
    struct table_item items[5];
    struct table_answer answers[5];
    for (unsigned i = 0; i < 5; i++) {
        charge_init(&charges[i], texts[i], 42);
        items[i] = charges[i].item;
    }
    charges[3].limit.ordinal = 1;
    CHECK_OK(table_subject_user(&charges[3].subject, 42, 0, &charges[3].limit));
    uint64_t now = fixture_clock_ns(NULL);
    CHECK_OK(table_charge(table, items, 4, TABLE_ALL_OR_NONE, now, answers));
    CHECK_OK(table_charge(table, items, 4, TABLE_ALL_OR_NONE, now, answers));
    struct table_counters before;
    struct table_counters after;
    for (unsigned profile = TABLE_ALL_OR_NONE; profile <= TABLE_SEED; profile++) {
        items[0].cost = 4;
        CHECK_OK(table_counters(table, &before));
        CHECK_STATUS(table_charge(table, items, 5, profile, now, answers), JINI_E_LIMITED);
        CHECK_OK(table_counters(table, &after));
        CHECK_UINT(after.admitted, ==, before.admitted);
        CHECK_UINT(after.refused, ==, before.refused + 1);
        CHECK_UINT(answers[0].verdict, ==, TABLE_REFUSED);
        static const uint64_t left[] = {0, 4, 0, 1, 7};
        for (unsigned i = 1; i < 5; i++) {
            struct table_answer seen = charge_peek(table, &charges[i]);
            CHECK_UINT(answers[i].verdict, ==, TABLE_UNTRIED);
            CHECK_UINT(answers[i].remaining, ==, left[i]);
            CHECK_UINT(answers[i].remaining, ==, seen.remaining);
            CHECK_UINT(answers[i].reset_ns, ==, seen.reset_ns);
            CHECK_UINT(answers[i].retry_after_ns, ==, seen.retry_after_ns);
            CHECK_UINT(answers[i].receipt.tag, ==, 0);
        }
        CHECK_UINT(answers[2].retry_after_ns, ==, NS_PER_S / 2);
        CHECK_UINT(answers[4].reset_ns, ==, 0);
    }
    table_close(table);
}

TEST(the_seed_profile_counts_as_the_seed_did,
     "In order, up to the first failure, which counts on the limit that failed; later ones stay.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charges[2];
    struct table_answer answers[2];
    charge_init(&charges[0], "5/minute", 1);
    charge_init(&charges[1], "3/2 minutes", 1);
    struct table_item items[2] = {charges[0].item, charges[1].item};
    uint64_t now = fixture_clock_ns(NULL);
    for (int i = 0; i < 3; i++)
        CHECK_OK(table_charge(table, items, 2, TABLE_SEED, now, answers));
    CHECK_STATUS(table_charge(table, items, 2, TABLE_SEED, now, answers), JINI_E_LIMITED);
    CHECK_UINT(answers[0].verdict, ==, TABLE_ADMITTED); /* and stays charged */
    CHECK_UINT(answers[0].remaining, ==, 1);
    CHECK_UINT(answers[1].verdict, ==, TABLE_REFUSED);
    CHECK_UINT(charge_peek(table, &charges[0]).remaining, ==, 1);
    /* A denied cost of 3 spends the 1 that was left. */
    items[0].cost = 3;
    CHECK_STATUS(table_charge(table, items, 2, TABLE_SEED, now, answers), JINI_E_LIMITED);
    CHECK_UINT(answers[0].verdict, ==, TABLE_REFUSED);
    CHECK_UINT(answers[1].verdict, ==, TABLE_UNTRIED);
    CHECK_UINT(charge_peek(table, &charges[0]).remaining, ==, 0);
    /* Without a window, a denied cost opens one. */
    struct charge other;
    charge_init(&other, "5/minute", 2);
    other.item.cost = 6;
    CHECK_STATUS(table_charge(table, &other.item, 1, TABLE_SEED, now, answers), JINI_E_LIMITED);
    other.item.cost = 1;
    CHECK_STATUS(table_charge(table, &other.item, 1, TABLE_SEED, now, answers), JINI_E_LIMITED);
    table_close(table);
}

TEST(shadow_limits_report_and_never_refuse,
     "A limit in shadow mode says that it would refuse, and lets all pass.")
{
    fixture_set_up();
    struct table *table = fixture_open();
    struct charge charges[2];
    struct table_answer answers[2];
    charge_init(&charges[0], "1/minute shadow", 1);
    charge_init(&charges[1], "3/minute", 1);
    charges[1].limit.ordinal = 1;
    CHECK_OK(table_subject_user(&charges[1].subject, 1, 0, &charges[1].limit));
    struct table_item items[2] = {charges[0].item, charges[1].item};
    uint64_t now = fixture_clock_ns(NULL);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(table_charge(table, items, 2, TABLE_ALL_OR_NONE, now, answers));
        CHECK_UINT(answers[0].verdict, ==, i == 0 ? TABLE_ADMITTED : TABLE_SHADOW);
        CHECK_UINT(answers[1].verdict, ==, TABLE_ADMITTED);
        CHECK_UINT(answers[1].remaining, ==, 2 - i);
    }
    CHECK_UINT(answers[0].retry_after_ns, ==, 60 * NS_PER_S);
    CHECK_STATUS(table_charge(table, items, 2, TABLE_ALL_OR_NONE, now, answers), JINI_E_LIMITED);
    CHECK_UINT(charge_peek(table, &charges[0]).verdict, ==, TABLE_SHADOW);
    table_close(table);
}
