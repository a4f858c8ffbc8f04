/* The arithmetic of rate limits, beside models that remember every hit. */
#include "limits/algorithm.h"

#include "harness.h"
#include "limits/algorithm_word.h"

#include <jini/status.h>

static const uint64_t ms_ns = UINT64_C(1000000);
static const uint64_t hour_ns = UINT64_C(3600000) * UINT64_C(1000000);

static struct algorithm prepare(const char *text)
{
    struct limit_list list;
    struct algorithm limit;
    struct jini_error error;
    if (limit_parse(slice_of_text(text), &list, &error) != 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", text, error.message);
    CHECK_OK(algorithm_prepare(&list.limits[0], &limit, &error));
    return limit;
}

static uint64_t capacity(const struct algorithm *limit)
{
    return limit->kind == LIMIT_GCRA ? limit->burst : limit->amount;
}

/* A clock that mostly creeps, sometimes jumps, and whose readings are sometimes old. */
struct run {
    struct algorithm limit;
    uint64_t now_ns;
    uint64_t word;
    bool stale_clocks;
};

static uint64_t step_clock(struct run *run)
{
    uint64_t period = run->limit.period_ns;
    switch (harness_random_below(8)) {
    case 0:
        run->now_ns += harness_random_below(3 * period);
        break;
    case 1:
        run->now_ns += harness_random_below(period);
        break;
    case 2:
        break;
    case 3: { /* to the very edges of ms and of sub-windows */
        uint64_t edge = ms_ns << (harness_random_below(2) ? run->limit.shift : 0);
        run->now_ns += harness_random_below(period);
        run->now_ns += edge - run->now_ns % edge - 1 + harness_random_below(3);
        break;
    }
    default:
        run->now_ns += harness_random_below(period / 8);
    }
    uint64_t now = run->now_ns;
    if (run->stale_clocks && harness_random_below(4) == 0)
        now -= harness_random_below(3 * period);
    return now;
}

static uint64_t random_cost(const struct algorithm *limit)
{
    if (harness_random_below(4))
        return 1;
    return 1 + harness_random_below(capacity(limit) + 1);
}

/*
 * The answers of a charge or peek hold at the moments that they name, and not a nanosecond earlier.
 */
static void check_promises(const struct algorithm *limit, uint64_t word, uint64_t now,
                           uint64_t cost, const struct algorithm_outcome *outcome)
{
    struct algorithm_outcome later;
    if (outcome->verdict == ALGORITHM_REFUSED && cost > capacity(limit))
        CHECK_UINT(outcome->retry_after_ns, ==, ALGORITHM_NEVER);
    if (outcome->verdict == ALGORITHM_REFUSED && cost <= capacity(limit)) {
        CHECK_UINT(outcome->retry_after_ns, >, 0);
        algorithm_peek(word, limit, now + outcome->retry_after_ns, cost, &later);
        CHECK_UINT(later.verdict, ==, ALGORITHM_ADMITTED);
        algorithm_peek(word, limit, now + outcome->retry_after_ns - 1, cost, &later);
        CHECK_UINT(later.verdict, ==, ALGORITHM_REFUSED);
    }
    algorithm_peek(word, limit, now, 0, &later);
    CHECK_UINT(later.remaining, ==, outcome->remaining);
    CHECK_UINT(later.reset_ns, ==, outcome->reset_ns);
    algorithm_peek(word, limit, now + outcome->reset_ns, 0, &later);
    CHECK_UINT(later.remaining, ==, capacity(limit));
    CHECK_UINT(later.reset_ns, ==, 0);
    if (outcome->reset_ns && outcome->remaining < capacity(limit)) {
        algorithm_peek(word, limit, now + outcome->reset_ns - 1, 0, &later);
        CHECK_UINT(later.remaining, <, capacity(limit));
    }
}

/*
 * Charges as algorithm.h tells a caller to: an impossible word is judged again by a fresh clock.
 * `*now` becomes the clock that was charged with.
 */
static void charge(struct run *run, uint64_t *now, uint64_t cost, enum algorithm_denied denied,
                   struct algorithm_outcome *out)
{
    uint64_t before_ns = algorithm_mark_ns(run->word);
    algorithm_charge(run->word, &run->limit, *now, cost, denied, out);
    if (out->verdict == ALGORITHM_IMPOSSIBLE) {
        CHECK_UINT(*now, <, run->now_ns);
        *now = run->now_ns;
        algorithm_charge(run->word, &run->limit, *now, cost, denied, out);
        CHECK_UINT(out->verdict, !=, ALGORITHM_IMPOSSIBLE);
    }
    if (out->word != run->word) {
        CHECK_UINT(algorithm_mark_ns(out->word), >, *now);
        CHECK_UINT(algorithm_mark_ns(out->word), >=, before_ns);
        CHECK_UINT(algorithm_mark_ns(out->word), <=,
                   run->now_ns + algorithm_reach_ns(run->limit.kind, run->limit.period_ms));
    }
    if (out->verdict == ALGORITHM_REFUSED && denied == ALGORITHM_DENIED_FREE)
        CHECK_UINT(out->word, ==, run->word);
    run->word = out->word;
}

/* Every hit that was admitted, as a model remembers it. */

enum { HITS_MAX = 400 };

struct hit {
    uint64_t at_ns;     /* the latest clock that any hit so far was admitted with */
    uint64_t read_ns;   /* the clock that it came with itself */
    uint64_t counts_ns; /* by the model: until when it counts */
    uint64_t cost;      /* 0 when it was taken back */
    uint64_t full_cost; /* what was charged */
    struct algorithm_receipt receipt;
};

struct history {
    unsigned count;
    uint64_t latest_ns;
    struct hit hits[HITS_MAX];
};

static void forget_old(struct history *history, uint64_t now, uint64_t age)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < history->count; i++) {
        if (history->hits[i].at_ns + age > now || kept + 1 >= history->count)
            history->hits[kept++] = history->hits[i];
    }
    history->count = kept;
    CHECK_UINT(kept, <, HITS_MAX);
}

static struct hit *remember(struct history *history, const struct run *run, uint64_t now,
                            uint64_t cost, const struct algorithm_outcome *outcome)
{
    if (now > history->latest_ns)
        history->latest_ns = now;
    if (history->count >= HITS_MAX / 2)
        forget_old(history, history->latest_ns, 8 * run->limit.period_ns + hour_ns / 30);
    struct hit *hit = &history->hits[history->count++];
    *hit = (struct hit){.at_ns = history->latest_ns,
                        .read_ns = now,
                        .cost = cost,
                        .full_cost = cost,
                        .receipt = algorithm_receipt_of(&run->limit, cost, outcome)};
    return hit;
}

static struct hit *random_hit(struct history *history)
{
    unsigned back = 1 + (unsigned)harness_random_below(6);
    struct hit *hit = history->count >= back ? &history->hits[history->count - back] : NULL;
    return hit && hit->cost ? hit : NULL;
}

/* Units whose time lies in (from, to]. */
static uint64_t units_within(const struct history *history, uint64_t from, uint64_t to)
{
    uint64_t units = 0;
    for (unsigned i = 0; i < history->count; i++) {
        if (history->hits[i].at_ns > from && history->hits[i].at_ns <= to)
            units += history->hits[i].cost;
    }
    return units;
}

/* Fixed windows. */

struct fixed_model {
    uint64_t expiry_ns;
    uint64_t used;
};

static void fixed_sequence(struct run *run, enum algorithm_denied denied)
{
    struct fixed_model model = {0, 0};
    struct history history = {0};
    for (int i = 0; i < 300; i++) {
        struct algorithm_outcome out;
        uint64_t now = step_clock(run);
        struct hit *hit = random_hit(&history);
        if (hit && harness_random_below(5) == 0) {
            run->word = algorithm_refund(run->word, &hit->receipt, run->now_ns);
            if (hit->receipt.window * ms_ns == model.expiry_ns && model.expiry_ns > run->now_ns)
                model.used -= hit->cost;
            hit->cost = 0;
            continue;
        }
        uint64_t cost = random_cost(&run->limit);
        charge(run, &now, cost, denied, &out);
        if (now >= model.expiry_ns && (cost <= run->limit.amount || denied)) {
            model.used = 0;
            model.expiry_ns = (now + run->limit.period_ns + ms_ns - 1) / ms_ns * ms_ns;
        }
        uint64_t used = now >= model.expiry_ns ? 0 : model.used;
        CHECK_UINT(out.verdict == ALGORITHM_ADMITTED, ==, used + cost <= run->limit.amount);
        if (out.verdict == ALGORITHM_ADMITTED || denied)
            used = model.used += cost;
        CHECK_UINT(out.remaining, ==, used < run->limit.amount ? run->limit.amount - used : 0);
        if (used)
            CHECK_UINT(out.reset_ns, ==, model.expiry_ns - now);
        check_promises(&run->limit, run->word, now, cost, &out);
        if (out.verdict == ALGORITHM_ADMITTED)
            remember(&history, run, now, cost, &out);
    }
}

TEST(
    fixed_windows_agree_with_the_model,
    "Verdict, remaining, reset and retry are those of a list of hits, with old clocks and refunds.")
{
    static const char *const texts[] = {"5/minute",      "60/minute",    "1/second",
                                        "100/7 seconds", "3/59 minutes", "0/minute"};
    for (unsigned i = 0; i < 600 * harness_scale(); i++) {
        struct run run = {.limit = prepare(texts[i % 6]),
                          .now_ns = harness_random_below(UINT64_C(1) << 58) + hour_ns * 9,
                          .stale_clocks = harness_random_below(2)};
        fixed_sequence(&run,
                       harness_random_below(2) ? ALGORITHM_DENIED_COUNTS : ALGORITHM_DENIED_FREE);
    }
}

TEST(a_denied_hit_counts_when_asked_to,
     "As in the Python library, a refused cost spends what is left.")
{
    struct algorithm limit = prepare("5/minute");
    struct algorithm_outcome out;
    algorithm_charge(ALGORITHM_FREE, &limit, hour_ns, 3, ALGORITHM_DENIED_COUNTS, &out);
    CHECK_UINT(out.remaining, ==, 2);
    algorithm_charge(out.word, &limit, hour_ns + 1, 3, ALGORITHM_DENIED_COUNTS, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_REFUSED);
    CHECK_UINT(out.remaining, ==, 0);
    algorithm_charge(out.word, &limit, hour_ns + 2, 1, ALGORITHM_DENIED_COUNTS, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_REFUSED);
    for (int i = 0; i < 5; i++)
        algorithm_charge(out.word, &limit, hour_ns + 2, UINT64_MAX, ALGORITHM_DENIED_COUNTS, &out);
    CHECK_UINT(out.word & WORD_FIXED_COUNT_MAX, ==, WORD_FIXED_COUNT_MAX);
    CHECK_UINT(algorithm_mark_ns(out.word), ==, hour_ns + limit.period_ns);
}

/* Sliding windows. */

/* What counts at `now`; an old clock finds what newer ones have not put out of the word yet. */
static uint64_t sliding_used(const struct history *history, const struct algorithm *limit,
                             uint64_t now)
{
    uint64_t used = 0;
    uint64_t width = ms_ns << limit->shift;
    for (unsigned i = 0; i < history->count; i++) {
        const struct hit *hit = &history->hits[i];
        bool held = hit->at_ns / width + limit->sub_windows > history->latest_ns / width;
        used += held && hit->counts_ns > now ? hit->cost : 0;
    }
    return used;
}

/* When `cost` more fit, if nobody else comes: one of the times at which a hit ceases to count. */
static uint64_t sliding_retry(const struct history *history, const struct algorithm *limit,
                              uint64_t now, uint64_t cost)
{
    uint64_t best = ALGORITHM_NEVER;
    for (unsigned i = 0; i < history->count; i++) {
        uint64_t at = history->hits[i].counts_ns;
        if (at > now && at - now < best && sliding_used(history, limit, at) + cost <= limit->amount)
            best = at - now;
    }
    return best;
}

static void sliding_sequence(struct run *run)
{
    struct history history = {0};
    const struct algorithm *limit = &run->limit;
    uint64_t width = ms_ns << limit->shift;
    for (int i = 0; i < 300; i++) {
        struct algorithm_outcome out;
        uint64_t now = step_clock(run);
        struct hit *hit = random_hit(&history);
        if (hit && harness_random_below(5) == 0) {
            run->word = algorithm_refund(run->word, &hit->receipt, run->now_ns);
            if (hit->counts_ns > run->now_ns)
                hit->cost = 0;
            continue;
        }
        uint64_t cost = random_cost(limit);
        charge(run, &now, cost, ALGORITHM_DENIED_COUNTS, &out);
        uint64_t used = sliding_used(&history, limit, now);
        CHECK_UINT(out.verdict == ALGORITHM_ADMITTED, ==, used + cost <= limit->amount);
        if (out.verdict == ALGORITHM_ADMITTED) {
            hit = remember(&history, run, now, cost, &out);
            hit->counts_ns = (hit->at_ns / width + 1) * width + limit->period_ns;
            used += cost;
            uint64_t within = units_within(&history, hit->at_ns - limit->period_ns, hit->at_ns);
            CHECK_UINT(within, <=, limit->amount);
        } else if (cost <= limit->amount) {
            CHECK_UINT(out.retry_after_ns, ==, sliding_retry(&history, limit, now, cost));
        }
        CHECK_UINT(out.remaining, ==, used < limit->amount ? limit->amount - used : 0);
        check_promises(limit, run->word, now, cost, &out);
    }
}

TEST(sliding_windows_agree_with_the_model, "No window of the period ever holds more than the "
                                           "amount, and a hit counts as long as documented.")
{
    static const char *const texts[] = {
        "5/minute sliding",     "60/minute sliding",   "1/second sliding", "100/7 seconds sliding",
        "3/59 minutes sliding", "2046/minute sliding", "2/minute sliding", "30/second sliding"};
    for (unsigned i = 0; i < 800 * harness_scale(); i++) {
        struct run run = {.limit = prepare(texts[i % 8]),
                          .now_ns = harness_random_below(UINT64_C(1) << 58) + hour_ns * 9,
                          .stale_clocks = harness_random_below(2)};
        sliding_sequence(&run);
    }
}

/* Gives the run another amount, within what its period can count. */
static void change_amount(struct run *run)
{
    static const uint64_t amounts[] = {1, 2, 5, 6, 7, 14, 30, 60, 62, 63, 64, 300, 2046, 0};
    uint64_t amount = amounts[harness_random_below(sizeof(amounts) / sizeof(amounts[0]))];
    uint64_t most = algorithm_amount_max(LIMIT_SLIDING_WINDOW, run->limit.period_ms);
    struct limit limit = {.amount = amount < most ? amount : most,
                          .multiples = run->limit.period_ms / 1000,
                          .unit = LIMIT_SECOND,
                          .algorithm = LIMIT_SLIDING_WINDOW};
    CHECK_OK(limit_check(&limit, NULL));
    CHECK_OK(algorithm_prepare(&limit, &run->limit, NULL));
}

TEST(a_changed_amount_never_shortens_what_counts,
     "Over changes of the amount, no hit is admitted into a window that holds its amount already.")
{
    static const char *const texts[] = {"5/minute sliding",     "5/40 seconds sliding",
                                        "5/second sliding",     "5/3 seconds sliding",
                                        "5/17 seconds sliding", "5/59 minutes sliding"};
    for (unsigned i = 0; i < 2400 * harness_scale(); i++) {
        struct run run = {.limit = prepare(texts[i % 6]),
                          .now_ns = harness_random_below(UINT64_C(1) << 58) + hour_ns * 9,
                          .stale_clocks = harness_random_below(2)};
        struct history history = {0};
        uint64_t period = run.limit.period_ns;
        uint64_t widest = ms_ns << sliding_shift_max(run.limit.period_ms);
        for (int s = 0; s < 250; s++) {
            struct algorithm_outcome out;
            uint64_t now = step_clock(&run);
            if (harness_random_below(8) == 0)
                change_amount(&run);
            struct hit *hit = random_hit(&history);
            if (hit && harness_random_below(6) == 0) {
                uint64_t word = algorithm_refund(run.word, &hit->receipt, run.now_ns);
                if (word != run.word)
                    hit->cost = 0; /* a refund that finds another layout gives nothing back */
                run.word = word;
                continue;
            }
            uint64_t cost = random_cost(&run.limit);
            charge(&run, &now, cost, ALGORITHM_DENIED_FREE, &out);
            if (out.verdict == ALGORITHM_ADMITTED) {
                hit = remember(&history, &run, now, cost, &out);
                CHECK_UINT(units_within(&history, hit->at_ns - period, hit->at_ns), <=,
                           run.limit.amount);
            } else if (cost <= run.limit.amount && now == run.now_ns) {
                CHECK_UINT(units_within(&history, now - period - 2 * widest, now) + cost, >,
                           run.limit.amount);
            }
            if (now == run.now_ns)
                check_promises(&run.limit, run.word, now, cost, &out);
        }
    }
}

TEST(a_full_count_stands_for_any_number,
     "A count with all bits set, read by a limit with a larger amount, still leaves no room.")
{
    struct algorithm narrow = prepare("6/minute sliding");
    struct algorithm wide = prepare("2046/minute sliding");
    struct algorithm_outcome out;
    algorithm_charge(ALGORITHM_FREE, &narrow, hour_ns, 6, ALGORITHM_DENIED_FREE, &out);
    uint64_t full = out.word + 1;
    CHECK_UINT(full & 7, ==, 7);
    algorithm_charge(full, &wide, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_REFUSED);
    algorithm_charge(full, &wide, hour_ns + 2 * narrow.period_ns, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_ADMITTED);
    /*
     * And a count that is too large for narrow words leaves none there, until it ceases to count.
     */
    algorithm_charge(ALGORITHM_FREE, &wide, hour_ns, 300, ALGORITHM_DENIED_FREE, &out);
    uint64_t word = out.word;
    algorithm_charge(word, &narrow, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_REFUSED);
    CHECK_UINT(out.word, ==, word);
    check_promises(&narrow, word, hour_ns, 1, &out);
}

TEST(sliding_layouts_fit_their_words, "Over every period, each layout fits and covers the period.")
{
    for (uint32_t period = ALGORITHM_PERIOD_MS_MIN; period < LIMIT_QUOTA_MS; period++) {
        unsigned coarsest = sliding_shift_max(period);
        CHECK(UINT32_C(1) << coarsest < period);
        CHECK(coarsest == WORD_SHIFT_MAX || UINT32_C(2) << coarsest >= period);
        struct sliding_layout layout;
        CHECK(sliding_layout_of(period, coarsest, &layout));
        for (unsigned shift = 0; shift < 40; shift++) {
            if (!sliding_layout_of(period, shift, &layout))
                continue;
            CHECK_UINT((layout.sub_windows - 1U) << shift, >=, period);
            CHECK_UINT((layout.sub_windows - 2U) << shift, <, period);
            CHECK_UINT(layout.sub_windows * layout.count_bits, <=, 18 + shift);
        }
    }
    struct sliding_layout layout;
    CHECK(sliding_layout_for(60000, 5, &layout));
    CHECK_UINT(layout.sub_windows, ==, 9);
    CHECK(sliding_layout_for(60000, 60, &layout));
    CHECK_UINT(layout.sub_windows, ==, 5);
    CHECK(sliding_layout_for(60000, 2046, &layout));
    CHECK_UINT(layout.sub_windows, ==, 3);
    CHECK(!sliding_layout_for(60000, 2047, &layout));
}

/* GCRA. */

/* The arrival time after the hits that stand, by the definition of the algorithm. */
static uint64_t gcra_chain(const struct history *history, const struct algorithm *limit, bool check)
{
    uint64_t arrival = 0;
    for (unsigned i = 0; i < history->count; i++) {
        const struct hit *hit = &history->hits[i];
        if (hit->cost == 0)
            continue;
        arrival =
            (arrival > hit->read_ns ? arrival : hit->read_ns) + hit->cost * limit->interval_ns;
        if (check)
            CHECK_UINT(arrival, <=, hit->read_ns + limit->tolerance_ns);
    }
    return arrival;
}

static void gcra_sequence(struct run *run, bool refunds)
{
    struct history history = {0};
    const struct algorithm *limit = &run->limit;
    CHECK_UINT(limit->interval_ns * limit->amount, >=, limit->period_ns);
    for (int i = 0; i < 300; i++) {
        struct algorithm_outcome out;
        uint64_t now = step_clock(run);
        struct hit *hit = random_hit(&history);
        if (refunds && hit && harness_random_below(3) == 0) {
            run->word = algorithm_refund(run->word, &hit->receipt, run->now_ns);
            hit->cost = 0;
            uint64_t chain = gcra_chain(&history, limit, true);
            if (chain > run->now_ns)
                CHECK_UINT(algorithm_mark_ns(run->word), >=, chain);
            continue;
        }
        uint64_t cost = random_cost(limit);
        uint64_t chain = gcra_chain(&history, limit, false);
        charge(run, &now, cost, ALGORITHM_DENIED_COUNTS, &out);
        uint64_t from = chain > now ? chain : now;
        bool conforms = from + cost * limit->interval_ns <= now + limit->tolerance_ns;
        if (out.verdict == ALGORITHM_ADMITTED)
            CHECK(conforms);
        else if (!refunds)
            CHECK(!conforms);
        if (out.verdict == ALGORITHM_ADMITTED) {
            hit = remember(&history, run, now, cost, &out);
            for (uint64_t back = 1; back < 5; back++) {
                uint64_t window = back * limit->period_ns / 2;
                CHECK_UINT(units_within(&history, hit->at_ns - window, hit->at_ns), <=,
                           limit->burst + window / limit->interval_ns);
            }
        }
        check_promises(limit, run->word, now, cost, &out);
    }
}

TEST(gcra_agrees_with_its_definition,
     "Hits are admitted exactly as the virtual scheduling algorithm says, at any rate and burst.")
{
    static const char *const texts[] = {"5/minute gcra",
                                        "60/minute gcra burst 10",
                                        "1/second gcra burst 5",
                                        "1000/second gcra burst 40",
                                        "7/59 minutes gcra burst 2",
                                        "3/7 seconds gcra burst 3"};
    for (unsigned i = 0; i < 900 * harness_scale(); i++) {
        struct run run = {.limit = prepare(texts[i % 6]),
                          .now_ns = harness_random_below(UINT64_C(1) << 58) + hour_ns * 9,
                          .stale_clocks = i / 6 % 2};
        gcra_sequence(&run, i / 12 % 2);
    }
}

TEST(a_gcra_refund_gives_back_what_has_not_leaked,
     "At once it gives all back, later less, and never so much that others exceed the limit.")
{
    struct algorithm limit = prepare("60/minute gcra burst 2");
    uint64_t second = 1000 * ms_ns;
    struct algorithm_outcome out;
    algorithm_charge(ALGORITHM_FREE, &limit, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    struct algorithm_receipt receipt = algorithm_receipt_of(&limit, 1, &out);
    CHECK_UINT(algorithm_mark_ns(algorithm_refund(out.word, &receipt, hour_ns)), ==, hour_ns + 1);
    algorithm_charge(out.word, &limit, hour_ns + second / 2, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(algorithm_mark_ns(out.word), ==, hour_ns + 2 * second);
    uint64_t word = algorithm_refund(out.word, &receipt, hour_ns + second / 2);
    CHECK_UINT(algorithm_mark_ns(word), ==, hour_ns + 3 * second / 2);
    CHECK_UINT(algorithm_refund(out.word, &receipt, hour_ns + second), ==, out.word);
    CHECK_UINT(algorithm_refund(out.word, &receipt, hour_ns + 9 * second), ==, out.word);
}

/* Words that nobody wrote. */

TEST(any_word_is_judged_without_harm,
     "A corrupt word is impossible, or gives an answer that keeps the limit's bounds.")
{
    static const char *const texts[] = {"5/minute", "5/minute sliding", "2046/minute sliding",
                                        "1000/second gcra burst 40", "30/second sliding"};
    struct algorithm limits[5];
    for (unsigned i = 0; i < 5; i++)
        limits[i] = prepare(texts[i]);
    uint64_t impossible = 0;
    for (unsigned i = 0; i < 2000000; i++) {
        const struct algorithm limit = limits[i % 5];
        uint64_t now = harness_random_below(UINT64_C(1) << 59);
        uint64_t word = harness_random();
        if (harness_random_below(2)) {
            struct algorithm_outcome first;
            algorithm_charge(ALGORITHM_FREE, &limit, now, 1, ALGORITHM_DENIED_FREE, &first);
            word = first.word ^ UINT64_C(1) << harness_random_below(64);
        }
        struct algorithm_outcome out;
        algorithm_charge(word, &limit, now, 1 + harness_random_below(4), ALGORITHM_DENIED_COUNTS,
                         &out);
        impossible += out.verdict == ALGORITHM_IMPOSSIBLE;
        if (out.verdict == ALGORITHM_IMPOSSIBLE)
            continue;
        CHECK(algorithm_is_possible(out.word, limit.period_ms, now));
        CHECK_UINT(out.remaining, <=, capacity(&limit));
        CHECK_UINT(out.reset_ns, <=, 3 * limit.period_ns + hour_ns);
        struct algorithm_receipt receipt = {.kind = (enum limit_algorithm)(i % 3),
                                            .period_ms = limit.period_ms,
                                            .window = harness_random(),
                                            .cost = harness_random()};
        uint64_t refunded = algorithm_refund(word, &receipt, now);
        CHECK(algorithm_is_possible(refunded, limit.period_ms, now));
    }
    CHECK_UINT(impossible, >, 100000);
}

TEST(a_word_too_far_ahead_is_impossible,
     "One ns within its reach a word is believed, beyond it not.")
{
    struct algorithm fixed = prepare("5/minute");
    struct algorithm_outcome out;
    algorithm_charge(ALGORITHM_FREE, &fixed, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    uint64_t word = out.word;
    uint64_t edge = hour_ns - ms_ns;
    algorithm_charge(word, &fixed, edge, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_ADMITTED);
    algorithm_charge(word, &fixed, edge - 1, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_IMPOSSIBLE);
    algorithm_peek(word, &fixed, edge - 1, 1, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_IMPOSSIBLE);
    struct algorithm gcra = prepare("5/minute gcra");
    algorithm_charge(word, &gcra, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_IMPOSSIBLE);
    algorithm_charge(ALGORITHM_RESERVED, &fixed, hour_ns, 1, ALGORITHM_DENIED_FREE, &out);
    CHECK_UINT(out.verdict, ==, ALGORITHM_IMPOSSIBLE);
}

TEST(words_of_different_algorithms_never_meet,
     "Free, reserved and the words of the three algorithms differ in their first bits.")
{
    static const char *const texts[] = {"5/minute", "5/minute sliding", "5/minute gcra"};
    for (unsigned kind = 0; kind < 3; kind++) {
        struct algorithm limit = prepare(texts[kind]);
        for (int i = 0; i < 10000; i++) {
            struct algorithm_outcome out;
            algorithm_charge(ALGORITHM_FREE, &limit, harness_random() >> harness_random_below(60),
                             1, ALGORITHM_DENIED_FREE, &out);
            enum limit_algorithm found;
            CHECK(algorithm_kind_of(out.word, &found));
            CHECK_UINT(found, ==, kind);
            CHECK(algorithm_is_owned(out.word));
        }
    }
    CHECK(!algorithm_is_owned(ALGORITHM_FREE) && !algorithm_is_owned(ALGORITHM_RESERVED));
    CHECK_UINT(algorithm_mark_ns(ALGORITHM_RESERVED), ==, 0);
}

TEST(the_end_of_the_clock_refuses,
     "Beyond 34 years of uptime time stands still and nothing overflows.")
{
    static const char *const texts[] = {"2/minute", "2/minute sliding", "2/minute gcra burst 2"};
    for (unsigned kind = 0; kind < 3; kind++) {
        struct algorithm limit = prepare(texts[kind]);
        uint64_t word = ALGORITHM_FREE;
        unsigned admitted = 0;
        for (uint64_t i = 0; i < 50; i++) {
            struct algorithm_outcome out;
            algorithm_charge(word, &limit, UINT64_MAX - i * hour_ns, 1, ALGORITHM_DENIED_FREE,
                             &out);
            admitted += out.verdict == ALGORITHM_ADMITTED;
            word = out.word;
        }
        CHECK_UINT(admitted, ==, 2);
    }
}
