/* Durable quotas, on either driver of the store. */
#include "limits/quota.h"

#include "../store/fixture.h"
#include "base/hash.h"

#define DAY UINT64_C(86400000000000)

static const uint64_t noon = UINT64_C(1795435200) * UINT64_C(1000000000); /* 2026-11-23 12:00 UTC */

static int op_reserve(struct store_txn *txn, void *argument)
{
    return quota_reserve(txn, argument);
}

static void make_plan(struct quota_plan *plan, const char *text)
{
    struct limit_list list;
    struct jini_error error;
    memset(plan, 0, sizeof(*plan));
    if (limit_parse(slice_of_text(text), &list, &error) != 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", text, error.message);
    for (uint32_t i = 0; i < list.count; i++)
        plan->limits[plan->count++] = list.limits[i];
}

static struct quota_charge charge_of(const struct quota_plan *plan, uint64_t user, uint64_t now_ns,
                                     uint64_t cost)
{
    return (struct quota_charge){
        .subject = {.user_id = user}, .plan = plan, .now_ns = now_ns, .cost = cost};
}

/* "99/2 months; 99/3 months; ...": `count` periods, the first of `months`. */
static void make_long_plan(struct quota_plan *plan, uint32_t months, uint32_t count)
{
    char text[LIMIT_TEXT_MAX] = "";
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s99/%u months", i > 0 ? "; " : "",
                 months + i);
    }
    make_plan(plan, text);
}

static int op_reset(struct store_txn *txn, void *argument)
{
    return quota_reset(txn, argument);
}

struct settle_argument {
    struct quota_subject subject;
    const struct quota_charge *charge;
    uint64_t used;
};

static int op_settle(struct store_txn *txn, void *argument)
{
    const struct settle_argument *settle = argument;
    return quota_settle(txn, &settle->subject, settle->charge->receipts,
                        settle->charge->plan->count, settle->used);
}

static void settle(struct store *store, const struct quota_charge *charge, uint64_t used)
{
    struct settle_argument argument = {charge->subject, charge, used};
    CHECK_OK(store_write(store, op_settle, &argument));
}

STORE_TEST(
    a_quota_is_reserved_up_to_its_amount,
    "Thirty of 30/day are reserved, the next is refused with the time until the window ends.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    struct quota_charge charge;
    make_plan(&plan, "30/day");
    for (uint64_t i = 0; i < 30; i++) {
        charge = charge_of(&plan, 7, noon + i, 1);
        CHECK_OK(store_write(store, op_reserve, &charge));
        CHECK_UINT(charge.outcomes[0].remaining, ==, 29 - i);
    }
    charge = charge_of(&plan, 7, noon + 1000, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_LIMITED);
    CHECK_UINT(charge.decided, ==, 0);
    CHECK_UINT(charge.outcomes[0].retry_after_ns, ==, DAY - 1000);
    charge = charge_of(&plan, 8, noon, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    charge = charge_of(&plan, 7, noon + DAY, 30);
    CHECK_OK(store_write(store, op_reserve, &charge));
    store_close(store);
}

STORE_TEST(a_full_row_refuses_and_forgets_no_live_count,
           "Where 32 other periods still count, a charge of a 33rd is busy until one ends or is "
           "reset; what was counted stays counted, also within one charge of two new periods.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    struct quota_charge charge;
    struct quota_charge old[QUOTA_COUNTERS_MAX / LIMITS_MAX];
    struct quota_plan old_plans[QUOTA_COUNTERS_MAX / LIMITS_MAX];
    struct quota_subject subject = {.user_id = 7};
    for (uint32_t i = 0; i < QUOTA_COUNTERS_MAX / LIMITS_MAX; i++) {
        make_long_plan(&old_plans[i], 2 + i * LIMITS_MAX, LIMITS_MAX);
        old[i] = charge_of(&old_plans[i], 7, noon, 99);
        CHECK_OK(store_write(store, op_reserve, &old[i]));
    }
    make_plan(&plan, "5/hour; 7/day");
    charge = charge_of(&plan, 7, noon, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_BUSY);
    CHECK(charge.outcomes[0].refused && charge.outcomes[1].refused);
    CHECK_UINT(charge.outcomes[0].retry_after_ns, ==, 60 * DAY);
    for (uint32_t i = 0; i < QUOTA_COUNTERS_MAX / LIMITS_MAX; i++) {
        struct quota_charge again = charge_of(&old_plans[i], 7, noon + 1, 1);
        CHECK_STATUS(store_write(store, op_reserve, &again), JINI_E_LIMITED);
    }
    settle(store, &old[0], 99);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_BUSY);
    /* The periods of 2 months are over: one place, and two are needed. */
    charge = charge_of(&plan, 7, noon + 61 * DAY, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_BUSY);
    CHECK(!charge.outcomes[0].refused && charge.outcomes[1].refused);
    charge = charge_of(&plan, 7, noon + 91 * DAY, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    CHECK_UINT(charge.outcomes[0].remaining, ==, 4);
    CHECK_UINT(charge.outcomes[1].remaining, ==, 6);
    /* What is reserved holds its place, over or not; what a reset set to nothing does not. */
    make_plan(&plan, "5/2 hours; 7/2 days; 9/3 days; 9/4 days; 9/5 days; 9/6 days; 9/7 days");
    charge = charge_of(&plan, 7, noon + 92 * DAY, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_BUSY);
    CHECK_OK(store_write(store, op_reset, &subject));
    make_plan(&plan, "5/2 hours; 7/2 days; 9/3 days; 9/4 days; 9/5 days; 9/6 days");
    charge = charge_of(&plan, 7, noon + 92 * DAY, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    make_plan(&plan, "1/8 days");
    charge = charge_of(&plan, 7, noon + 2000 * DAY, 1);
    settle(store, &old[3], 0);
    CHECK_OK(store_write(store, op_reserve, &charge));
    store_close(store);
}

STORE_TEST(all_quotas_or_none, "When one of several quotas refuses, none of them is charged.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "10/day; 3/hour");
    struct quota_charge charge = charge_of(&plan, 7, noon, 3);
    CHECK_OK(store_write(store, op_reserve, &charge));
    charge = charge_of(&plan, 7, noon, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_LIMITED);
    CHECK_UINT(charge.decided, ==, 1);
    charge = charge_of(&plan, 7, noon + DAY / 24, 3);
    CHECK_OK(store_write(store, op_reserve, &charge));
    CHECK_UINT(charge.outcomes[0].remaining, ==, 4);
    store_close(store);
}

STORE_TEST(a_change_of_amount_keeps_the_count,
           "A tier with another amount over the same period goes on with what was used.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan small;
    struct quota_plan large;
    make_plan(&small, "30/day");
    make_plan(&large, "2000/day");
    struct quota_charge charge = charge_of(&small, 7, noon, 30);
    CHECK_OK(store_write(store, op_reserve, &charge));
    charge = charge_of(&large, 7, noon + 1, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    CHECK_UINT(charge.outcomes[0].remaining, ==, 1969);
    store_close(store);
}

STORE_TEST(a_respelled_period_keeps_the_count,
           "A period that is written in another unit goes on with what was used, within a window "
           "and into the next; one that lasts otherwise has a counter of its own.")
{
    static const struct {
        const char *before;
        const char *after;
        bool same;
    } cases[] = {
        {"3/day", "3/24 hours", true},
        {"3/1440 minutes", "3/day", true},
        {"3/month", "3/30 days", true},
        {"3/year", "3/12 months", true},
        {"3/hour", "3/3600 seconds", true},
        {"3/2 years anchor Europe/Berlin", "3/24 months anchor Europe/Berlin", true},
        {"3/day; 9/24 hours", "3/24 hours; 9/day", true},
        {"3/day", "3/25 hours", false},
        {"3/month anchor", "3/30 days anchor", false},
        {"3/year anchor", "3/360 days anchor", false},
        {"3/day", "3/day calendar", false},
        {"3/day calendar", "3/day calendar Europe/Berlin", false},
    };
    struct store *store = fixture_open(driver);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quota_plan before;
        struct quota_plan after;
        make_plan(&before, cases[i].before);
        make_plan(&after, cases[i].after);
        struct quota_charge first = charge_of(&before, i + 1, noon, 3);
        CHECK_OK(store_write(store, op_reserve, &first));
        struct quota_charge second = charge_of(&after, i + 1, noon + 1, 3);
        CHECK_STATUS(store_write(store, op_reserve, &second), cases[i].same ? JINI_E_LIMITED : 0);
        if (!cases[i].same)
            continue;
        settle(store, &first, 1);
        second.cost = 2;
        CHECK_OK(store_write(store, op_reserve, &second));
        CHECK_UINT(second.outcomes[0].remaining, ==, 0);
    }
    store_close(store);
}

TEST(identities_are_for_ever, "What tells a counter in the row is what the format says it is.")
{
    static const struct {
        const char *text;
        const char *hashed;
    } cases[] = {
        {"30/day", "1/3/0/0/"},
        {"30/720 hours", "1/4/0/0/"},
        {"30/hour calendar Europe/Berlin", "1/2/1/0/Europe/Berlin"},
        {"30/12 months anchor", "1/5/2/0/UTC"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quota_plan plan;
        make_plan(&plan, cases[i].text);
        CHECK_UINT(quota_identity(&plan.limits[0]), ==, hash64(slice_of_text(cases[i].hashed)));
    }
    struct quota_plan day;
    make_plan(&day, "30/day");
    CHECK_UINT(quota_identity(&day.limits[0]), ==, UINT64_C(0xd21011b23361d00f));
}

STORE_TEST(a_receipt_of_an_old_window_changes_nothing,
           "What is released after its window has ended is not given to the next one.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "5/day");
    struct quota_charge first = charge_of(&plan, 7, noon, 5);
    CHECK_OK(store_write(store, op_reserve, &first));
    struct quota_charge second = charge_of(&plan, 7, noon + DAY, 5);
    CHECK_OK(store_write(store, op_reserve, &second));
    settle(store, &first, 0);
    struct quota_charge third = charge_of(&plan, 7, noon + DAY + 1, 1);
    CHECK_STATUS(store_write(store, op_reserve, &third), JINI_E_LIMITED);
    settle(store, &second, 0);
    CHECK_OK(store_write(store, op_reserve, &third));
    store_close(store);
}

STORE_TEST(a_clock_set_back_opens_nothing,
           "With the clock set back the window goes on, and no counts are lost or opened anew.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "3/day");
    struct quota_charge charge = charge_of(&plan, 7, noon, 3);
    CHECK_OK(store_write(store, op_reserve, &charge));
    charge = charge_of(&plan, 7, noon - 10 * DAY, 1);
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_LIMITED);
    charge = charge_of(&plan, 7, noon + DAY, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    store_close(store);
}

STORE_TEST(a_shadow_quota_counts_and_never_refuses,
           "A quota in shadow mode says what it would have done, and lets everything pass.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "2/day shadow");
    for (int i = 0; i < 4; i++) {
        struct quota_charge charge = charge_of(&plan, 7, noon, 1);
        CHECK_OK(store_write(store, op_reserve, &charge));
        CHECK_INT(charge.outcomes[0].refused, ==, i >= 2);
        settle(store, &charge, 1);
    }
    store_close(store);
}

/* Plain numbers that are obviously right: one quota of first-hit days. */
struct model {
    uint64_t start_ns;
    uint64_t used;
    uint64_t reserved;
};

STORE_TEST(counts_agree_with_a_model,
           "Random reservations, settlements and releases leave what plain arithmetic says.")
{
    enum { USERS = 5, OPS = 3000, OPEN = 64 };
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "20/day");
    struct model models[USERS] = {{0}};
    struct {
        struct quota_charge charge;
        unsigned user;
        bool live;
    } open[OPEN];
    memset(open, 0, sizeof(open));
    uint64_t now = noon;
    for (int i = 0; i < OPS; i++) {
        now += harness_random_below(DAY / 50);
        unsigned user = (unsigned)harness_random_below(USERS);
        unsigned place = (unsigned)harness_random_below(OPEN);
        if (open[place].live) {
            struct model *model = &models[open[place].user];
            uint64_t cost = open[place].charge.receipts[0].cost;
            uint64_t used = harness_random_below(cost + 1);
            settle(store, &open[place].charge, used);
            if (model->start_ns == open[place].charge.receipts[0].start_ns) {
                model->reserved -= cost;
                model->used += used;
            }
            open[place].live = false;
            continue;
        }
        struct model *model = &models[user];
        uint64_t cost = 1 + harness_random_below(4);
        struct quota_charge charge = charge_of(&plan, user + 1, now, cost);
        int status = store_write(store, op_reserve, &charge);
        struct model next = *model;
        if (next.start_ns == 0 || now >= next.start_ns + DAY)
            next = (struct model){.start_ns = now};
        bool fits = next.used + next.reserved + cost <= 20;
        CHECK_STATUS(status, fits ? 0 : JINI_E_LIMITED);
        if (!fits)
            continue;
        next.reserved += cost;
        *model = next;
        CHECK_UINT(charge.outcomes[0].remaining, ==, 20 - next.used - next.reserved);
        open[place].charge = charge;
        open[place].user = user;
        open[place].live = true;
    }
    store_close(store);
}

static int op_damage(struct store_txn *txn, void *argument)
{
    struct quota_subject subject = {.user_id = 7};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    uint32_t count;
    (void)argument;
    int status = quota_list(txn, &subject, counters, &count);
    if (status)
        return status;
    uint8_t key[] = {0x15, 7, 0x02, 'q', 0x00};
    return store_put(txn, STORE_SPACE_ACTIVITY, slice_of(key, sizeof(key)),
                     slice_of("\1\0\2\0", 4));
}

STORE_TEST(a_damaged_row_is_reported,
           "A row that breaks its format is JINI_E_CORRUPT and changes nothing.")
{
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    make_plan(&plan, "20/day");
    struct quota_charge charge = charge_of(&plan, 7, noon, 1);
    CHECK_OK(store_write(store, op_reserve, &charge));
    CHECK_OK(store_write(store, op_damage, NULL));
    CHECK_STATUS(store_write(store, op_reserve, &charge), JINI_E_CORRUPT);
    store_close(store);
}

/* ---- Sweeping ---- */

static struct quota_charge charge_address(const struct quota_plan *plan, const uint8_t address[16],
                                          uint64_t now_ns)
{
    struct quota_charge charge = charge_of(plan, 0, now_ns, 1);
    memcpy(charge.subject.address, address, 16);
    return charge;
}

static void number_address(uint32_t number, uint8_t address[16])
{
    static const uint8_t ipv4[16] = {[10] = 0xff, 0xff, 10};
    memcpy(address, ipv4, 16);
    if (number % 2) { /* every other one is an IPv6 network */
        memset(address, 0, 16);
        address[0] = 0x20;
    }
    size_t at = number % 2 ? 4 : 13;
    address[at] = (uint8_t)(number >> 16);
    address[at + 1] = (uint8_t)(number >> 8);
    address[at + 2] = (uint8_t)number;
}

/* Reserves one of the plan for an address, and settles it unless it is to stay reserved. */
static void use_address(struct store *store, const struct quota_plan *plan,
                        const uint8_t address[16], bool stays_reserved)
{
    struct quota_charge charge = charge_address(plan, address, noon);
    CHECK_OK(store_write(store, op_reserve, &charge));
    if (!stays_reserved)
        settle(store, &charge, 1);
}

static bool has_row(struct store *store, uint64_t user, const uint8_t address[16])
{
    struct quota_subject subject = {.user_id = user};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    struct store_txn *txn;
    uint32_t count;
    memcpy(subject.address, address, 16);
    CHECK_OK(store_read_begin(store, &txn));
    int status = quota_list(txn, &subject, counters, &count);
    store_read_end(txn);
    CHECK(status == 0 || status == JINI_E_NOT_FOUND);
    return status == 0;
}

struct removal {
    const struct quota_subject *subject;
    uint64_t now_ns;
};

static int op_remove(struct store_txn *txn, void *argument)
{
    const struct removal *removal = argument;
    return quota_remove_ended(txn, removal->subject, removal->now_ns);
}

static void sweep_slice(struct store *store, struct quota_sweep *sweep, uint64_t now_ns)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(quota_sweep_next(txn, sweep, now_ns));
    store_read_end(txn);
}

/* A whole turn; returns how many rows it removed, in `slices` slices. */
static uint32_t sweep_all(struct store *store, uint64_t now_ns, uint32_t *slices)
{
    struct quota_sweep sweep = {0};
    uint32_t removed = 0;
    for (*slices = 0; !sweep.at_end; ++*slices) {
        sweep_slice(store, &sweep, now_ns);
        for (uint32_t i = 0; i < sweep.count; i++, removed++) {
            struct removal removal = {&sweep.ended[i], now_ns};
            CHECK_OK(store_write(store, op_remove, &removal));
        }
    }
    return removed;
}

STORE_TEST(rows_of_addresses_go_when_their_windows_are_long_over,
           "Rows go a day after their last window ended, unless something is reserved.")
{
    static const uint8_t addresses[][16] = {
        {0}, /* ::/64, whose key begins those of IPv4 */
        {[10] = 0xff, 0xff, 192, 0, 2, 1},
        {[10] = 0xff, 0xff, 192, 0, 2, 2},
        {0x20, 0x01, 0x0d, 0xb8},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    enum { RESERVED = 2, MONTHLY = 3, COUNT = 5 };
    struct store *store = fixture_open(driver);
    struct quota_plan daily;
    struct quota_plan both;
    uint32_t slices;
    make_plan(&daily, "20/day");
    make_plan(&both, "20/day; 30/month");
    for (uint32_t i = 0; i < COUNT; i++)
        use_address(store, i == MONTHLY ? &both : &daily, addresses[i], i == RESERVED);
    use_address(store, &daily, addresses[0], false);
    struct quota_charge user = charge_of(&daily, 7, noon, 1);
    CHECK_OK(store_write(store, op_reserve, &user));
    settle(store, &user, 1);
    CHECK_UINT(sweep_all(store, noon + DAY + QUOTA_GRACE_NS - 1, &slices), ==, 0);
    CHECK_UINT(sweep_all(store, noon + DAY + QUOTA_GRACE_NS, &slices), ==, 3);
    CHECK_UINT(slices, ==, 1);
    for (uint32_t i = 0; i < COUNT; i++)
        CHECK_UINT(has_row(store, 0, addresses[i]), ==, i == RESERVED || i == MONTHLY);
    CHECK_UINT(sweep_all(store, noon + 31 * DAY, &slices), ==, 1);
    CHECK_UINT(sweep_all(store, noon + 400 * DAY, &slices), ==, 0);
    CHECK(has_row(store, 0, addresses[RESERVED]));
    CHECK(has_row(store, 7, addresses[0]));
    CHECK_UINT(sweep_all(store, 0, &slices), ==, 0);
    store_close(store);
}

STORE_TEST(a_sweep_goes_on_where_it_was,
           "A turn over many rows takes slices of a bounded size and comes to each row once.")
{
    enum { ROWS = 3 * QUOTA_SWEEP_ROWS + 10 };
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    struct quota_sweep sweep = {0};
    uint8_t address[16];
    uint32_t slices;
    make_plan(&plan, "20/day");
    for (uint32_t i = 0; i < ROWS; i++) {
        number_address(i, address);
        use_address(store, &plan, address, i % 5 == 0);
    }
    sweep_slice(store, &sweep, noon);
    CHECK_UINT(sweep.count, ==, 0);
    CHECK(!sweep.at_end);
    sweep = (struct quota_sweep){0};
    sweep_slice(store, &sweep, noon + 9 * DAY);
    CHECK_UINT(sweep.count, >, 0);
    CHECK_UINT(sweep.count, <, QUOTA_SWEEP_ROWS);
    CHECK_UINT(sweep_all(store, noon + 9 * DAY, &slices), ==, ROWS - (ROWS + 4) / 5);
    CHECK_UINT(slices, ==, 4);
    for (uint32_t i = 0; i < ROWS; i++) {
        number_address(i, address);
        CHECK_UINT(has_row(store, 0, address), ==, i % 5 == 0);
    }
    CHECK_UINT(sweep_all(store, noon + 9 * DAY, &slices), ==, 0);
    CHECK_UINT(slices, ==, 1);
    store_close(store);
}

STORE_TEST(a_row_that_is_used_again_stays,
           "What was charged between the look at a row and its removal is not lost.")
{
    static const uint8_t address[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    struct quota_sweep sweep = {0};
    make_plan(&plan, "20/day");
    use_address(store, &plan, address, false);
    sweep_slice(store, &sweep, noon + 9 * DAY);
    CHECK_UINT(sweep.count, ==, 1);
    struct quota_charge charge = charge_address(&plan, address, noon + 9 * DAY);
    CHECK_OK(store_write(store, op_reserve, &charge));
    struct removal removal = {&sweep.ended[0], noon + 9 * DAY};
    CHECK_STATUS(store_write(store, op_remove, &removal), JINI_E_NOT_FOUND);
    settle(store, &charge, 1);
    CHECK_STATUS(store_write(store, op_remove, &removal), JINI_E_NOT_FOUND);
    charge = charge_address(&plan, address, noon + 9 * DAY);
    CHECK_OK(store_write(store, op_reserve, &charge));
    CHECK_UINT(charge.outcomes[0].remaining, ==, 18);
    settle(store, &charge, 1);
    removal.now_ns = noon + 12 * DAY;
    CHECK_OK(store_write(store, op_remove, &removal));
    CHECK_STATUS(store_write(store, op_remove, &removal), JINI_E_NOT_FOUND);
    store_close(store);
}

static int op_damage_addresses(struct store_txn *txn, void *argument)
{
    uint8_t key[] = {0x14, 0x02, 'q', 0x00, 0x01, 0x30, 0x30, 0x00};
    (void)argument;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < 2 * QUOTA_SWEEP_ROWS; i++) {
        key[5] = (uint8_t)(0x30 + i / 64);
        key[6] = (uint8_t)(0x30 + i % 64);
        status = store_put(txn, STORE_SPACE_ACTIVITY, slice_of(key, sizeof(key)),
                           slice_of("\1\0\0\0\0\0\0\0", 8));
    }
    return status;
}

STORE_TEST(damaged_rows_do_not_hold_up_a_sweep,
           "Keys that are no address are passed over, however many, and stay for verify.")
{
    static const uint8_t address[16] = {0xfe, 0x80};
    struct store *store = fixture_open(driver);
    struct quota_plan plan;
    uint32_t slices;
    make_plan(&plan, "20/day");
    use_address(store, &plan, address, false);
    CHECK_OK(store_write(store, op_damage_addresses, NULL));
    CHECK_UINT(sweep_all(store, noon + 9 * DAY, &slices), ==, 1);
    CHECK_UINT(slices, ==, 3);
    CHECK(!has_row(store, 0, address));
    store_close(store);
}
