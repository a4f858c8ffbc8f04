/* Fixed window and GCRA on one word, and the choice among the algorithms. Layouts: algorithm.h. */
#include "limits/algorithm.h"

#include "base/error.h"
#include "limits/algorithm_word.h"

static const uint64_t gcra_tag = UINT64_C(1) << 61;
static const uint64_t gcra_time_mask = (UINT64_C(1) << 61) - 1;

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t clock_cut(uint64_t now_ns)
{
    return min_u64(now_ns, ALGORITHM_CLOCK_MAX_NS);
}

static uint64_t after(uint64_t time_ns, uint64_t now_ns)
{
    return time_ns > now_ns ? time_ns - now_ns : 0;
}

/* Fixed window. */

static uint64_t fixed_word(uint64_t expiry_ms, uint64_t count)
{
    JINI_ASSERT(expiry_ms >> WORD_TIME_BITS == 0);
    return UINT64_C(1) << 63 | expiry_ms << WORD_FIXED_COUNT_BITS |
           min_u64(count, WORD_FIXED_COUNT_MAX);
}

static bool is_fixed(uint64_t word)
{
    return word >> 63 == 1;
}

static uint64_t fixed_expiry_ms(uint64_t word)
{
    return word << 1 >> (WORD_FIXED_COUNT_BITS + 1);
}

static uint64_t fixed_count(uint64_t word)
{
    return word & WORD_FIXED_COUNT_MAX;
}

static uint64_t fixed_mark_ns(uint64_t word)
{
    return fixed_expiry_ms(word) * ALGORITHM_NS_PER_MS;
}

static void fixed_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns,
                         uint64_t cost, enum algorithm_denied denied, struct algorithm_outcome *out)
{
    uint64_t expiry_ms = 0;
    uint64_t count = 0;
    bool open = is_fixed(word) && fixed_mark_ns(word) > now_ns;
    if (open) {
        expiry_ms = fixed_expiry_ms(word);
        count = fixed_count(word);
    } else {
        expiry_ms = (now_ns + limit->period_ns + ALGORITHM_NS_PER_MS - 1) / ALGORITHM_NS_PER_MS;
    }
    uint64_t left = count < limit->amount ? limit->amount - count : 0;
    bool admitted = cost <= left;
    bool counted = admitted || denied == ALGORITHM_DENIED_COUNTS;
    if (counted)
        count = min_u64(count + min_u64(cost, WORD_FIXED_COUNT_MAX), WORD_FIXED_COUNT_MAX);
    out->verdict = admitted ? ALGORITHM_ADMITTED : ALGORITHM_REFUSED;
    out->word = counted ? fixed_word(expiry_ms, count) : word;
    out->window = expiry_ms;
    out->remaining = count < limit->amount ? limit->amount - count : 0;
    out->reset_ns = open || counted ? expiry_ms * ALGORITHM_NS_PER_MS - now_ns : 0;
    out->retry_after_ns = admitted ? 0 : cost > limit->amount ? ALGORITHM_NEVER : out->reset_ns;
}

static void fixed_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                       struct algorithm_outcome *out)
{
    bool open = is_fixed(word) && fixed_mark_ns(word) > now_ns;
    uint64_t count = open ? fixed_count(word) : 0;
    out->remaining = count < limit->amount ? limit->amount - count : 0;
    out->verdict = cost <= out->remaining ? ALGORITHM_ADMITTED : ALGORITHM_REFUSED;
    out->word = word;
    out->window = open ? fixed_expiry_ms(word) : 0;
    out->reset_ns = open ? fixed_mark_ns(word) - now_ns : 0;
    out->retry_after_ns = out->verdict == ALGORITHM_ADMITTED ? 0
                          : cost > limit->amount             ? ALGORITHM_NEVER
                                                             : out->reset_ns;
}

static uint64_t fixed_refund(uint64_t word, const struct algorithm_receipt *receipt,
                             uint64_t now_ns)
{
    uint64_t count = fixed_count(word);
    if (!is_fixed(word) || fixed_expiry_ms(word) != receipt->window ||
        fixed_mark_ns(word) <= now_ns || count == WORD_FIXED_COUNT_MAX)
        return word;
    return fixed_word(fixed_expiry_ms(word), count - min_u64(count, receipt->cost));
}

/* GCRA. */

static bool is_gcra(uint64_t word)
{
    return word >> 61 == 1;
}

static uint64_t gcra_arrival_ns(uint64_t word, uint64_t now_ns)
{
    return is_gcra(word) ? max_u64(word & gcra_time_mask, now_ns) : now_ns;
}

/* Units that may come at once. */
static uint64_t gcra_room(uint64_t arrival_ns, const struct algorithm *limit, uint64_t now_ns)
{
    return after(now_ns + limit->tolerance_ns, arrival_ns) / limit->interval_ns;
}

static uint64_t gcra_retry_ns(uint64_t arrival_ns, const struct algorithm *limit, uint64_t now_ns,
                              uint64_t cost)
{
    if (cost > limit->burst)
        return ALGORITHM_NEVER;
    return after(arrival_ns + cost * limit->interval_ns, now_ns + limit->tolerance_ns);
}

static void gcra_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns,
                        uint64_t cost, struct algorithm_outcome *out)
{
    uint64_t arrival_ns = gcra_arrival_ns(word, now_ns);
    uint64_t room = gcra_room(arrival_ns, limit, now_ns);
    out->window = now_ns;
    if (cost > room) {
        out->verdict = ALGORITHM_REFUSED;
        out->word = word;
        out->remaining = room;
        out->retry_after_ns = gcra_retry_ns(arrival_ns, limit, now_ns, cost);
    } else {
        arrival_ns += cost * limit->interval_ns;
        out->verdict = ALGORITHM_ADMITTED;
        out->word = gcra_tag | arrival_ns;
        out->remaining = room - cost;
        out->retry_after_ns = 0;
    }
    out->reset_ns = arrival_ns - now_ns;
}

static void gcra_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                      struct algorithm_outcome *out)
{
    uint64_t arrival_ns = gcra_arrival_ns(word, now_ns);
    out->remaining = gcra_room(arrival_ns, limit, now_ns);
    out->verdict = cost <= out->remaining ? ALGORITHM_ADMITTED : ALGORITHM_REFUSED;
    out->word = word;
    out->window = now_ns;
    out->reset_ns = arrival_ns - now_ns;
    out->retry_after_ns =
        out->verdict == ALGORITHM_ADMITTED ? 0 : gcra_retry_ns(arrival_ns, limit, now_ns, cost);
}

static uint64_t gcra_refund(uint64_t word, const struct algorithm_receipt *receipt, uint64_t now_ns)
{
    uint64_t arrival_ns = word & gcra_time_mask;
    uint64_t passed_ns = after(now_ns, receipt->window);
    if (!is_gcra(word) || arrival_ns <= now_ns || passed_ns >= receipt->cost)
        return word;
    uint64_t back_ns = receipt->cost - passed_ns;
    return gcra_tag | (after(arrival_ns, now_ns) > back_ns ? arrival_ns - back_ns : now_ns + 1);
}

/* Any algorithm. */

bool algorithm_kind_of(uint64_t word, enum limit_algorithm *out)
{
    *out = LIMIT_FIXED_WINDOW;
    if (is_fixed(word))
        return true;
    *out = word >> 62 ? LIMIT_SLIDING_WINDOW : LIMIT_GCRA;
    return word >> 61 != 0;
}

uint64_t algorithm_mark_ns(uint64_t word)
{
    if (is_fixed(word))
        return fixed_mark_ns(word);
    if (is_gcra(word))
        return word & gcra_time_mask;
    return algorithm_is_owned(word) ? sliding_mark_ns(word) : 0;
}

uint64_t algorithm_expiry_ns(uint64_t word, uint32_t period_ms)
{
    enum limit_algorithm kind;
    uint64_t lasts_ns = algorithm_kind_of(word, &kind) && kind == LIMIT_SLIDING_WINDOW
                            ? period_ms * ALGORITHM_NS_PER_MS
                            : 0;
    return algorithm_mark_ns(word) + lasts_ns;
}

uint64_t algorithm_reach_ns(enum limit_algorithm kind, uint32_t period_ms)
{
    switch (kind) {
    case LIMIT_FIXED_WINDOW:
        return ((uint64_t)period_ms + 1) * ALGORITHM_NS_PER_MS;
    case LIMIT_SLIDING_WINDOW:
        return (UINT64_C(1) << sliding_shift_max(period_ms)) * ALGORITHM_NS_PER_MS;
    default:
        return ALGORITHM_GCRA_TOLERANCE_MS_MAX * ALGORITHM_NS_PER_MS;
    }
}

bool algorithm_is_possible(uint64_t word, uint32_t period_ms, uint64_t now_ns)
{
    enum limit_algorithm kind;
    if (word == ALGORITHM_FREE)
        return true;
    if (!algorithm_kind_of(word, &kind))
        return false;
    if (kind == LIMIT_SLIDING_WINDOW)
        return sliding_is_possible(word, period_ms, now_ns);
    return algorithm_mark_ns(word) <= clock_cut(now_ns) + algorithm_reach_ns(kind, period_ms);
}

/* As algorithm_is_possible(), for a word that must be of the limit's own kind. */
static bool fits(uint64_t word, const struct algorithm *limit, uint64_t now_ns)
{
    enum limit_algorithm kind;
    if (word == ALGORITHM_FREE)
        return true;
    return algorithm_kind_of(word, &kind) && kind == limit->kind &&
           algorithm_is_possible(word, limit->period_ms, now_ns);
}

static void impossible(uint64_t word, struct algorithm_outcome *out)
{
    *out = (struct algorithm_outcome){.verdict = ALGORITHM_IMPOSSIBLE, .word = word};
}

void algorithm_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                      enum algorithm_denied denied, struct algorithm_outcome *out)
{
    JINI_ASSERT(cost >= 1);
    now_ns = clock_cut(now_ns);
    if (!fits(word, limit, now_ns))
        impossible(word, out);
    else if (limit->kind == LIMIT_FIXED_WINDOW)
        fixed_charge(word, limit, now_ns, cost, denied, out);
    else if (limit->kind == LIMIT_SLIDING_WINDOW)
        sliding_charge(word, limit, now_ns, cost, out);
    else
        gcra_charge(word, limit, now_ns, cost, out);
}

void algorithm_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                    struct algorithm_outcome *out)
{
    now_ns = clock_cut(now_ns);
    if (!fits(word, limit, now_ns))
        impossible(word, out);
    else if (limit->kind == LIMIT_FIXED_WINDOW)
        fixed_peek(word, limit, now_ns, cost, out);
    else if (limit->kind == LIMIT_SLIDING_WINDOW)
        sliding_peek(word, limit, now_ns, cost, out);
    else
        gcra_peek(word, limit, now_ns, cost, out);
}

struct algorithm_receipt algorithm_receipt_of(const struct algorithm *limit, uint64_t cost,
                                              const struct algorithm_outcome *outcome)
{
    return (struct algorithm_receipt){
        .kind = limit->kind,
        .period_ms = limit->period_ms,
        .window = outcome->window,
        .cost = limit->kind == LIMIT_GCRA ? cost * limit->interval_ns : cost,
    };
}

uint64_t algorithm_refund(uint64_t word, const struct algorithm_receipt *receipt, uint64_t now_ns)
{
    now_ns = clock_cut(now_ns);
    switch (receipt->kind) {
    case LIMIT_FIXED_WINDOW:
        return fixed_refund(word, receipt, now_ns);
    case LIMIT_SLIDING_WINDOW:
        return sliding_refund(word, receipt, now_ns);
    default:
        return gcra_refund(word, receipt, now_ns);
    }
}

uint64_t algorithm_amount_max(enum limit_algorithm kind, uint32_t period_ms)
{
    struct sliding_layout layout;
    switch (kind) {
    case LIMIT_FIXED_WINDOW:
        return ALGORITHM_FIXED_AMOUNT_MAX;
    case LIMIT_SLIDING_WINDOW:
        JINI_ASSERT(sliding_layout_of(period_ms, sliding_shift_max(period_ms), &layout));
        return (UINT64_C(1) << layout.count_bits) - 2;
    default:
        return (uint64_t)period_ms * (ALGORITHM_GCRA_PER_SECOND_MAX / 1000);
    }
}

static int prepare_gcra(const struct limit *limit, struct algorithm *out, struct jini_error *error)
{
    if (limit->amount == 0)
        return error_set(error, JINI_E_INVALID, "amount",
                         "A gcra limit admits at least 1 unit per period; for none at all "
                         "write a limit of 0 without gcra.");
    out->interval_ns = (out->period_ns + limit->amount - 1) / limit->amount;
    uint64_t burst_max = ALGORITHM_GCRA_TOLERANCE_MS_MAX * ALGORITHM_NS_PER_MS / out->interval_ns;
    if (limit->burst < 1 || limit->burst > burst_max)
        return error_set(error, JINI_E_INVALID, "burst",
                         "A burst of %u is not within 1 and %llu, the units that this limit "
                         "admits in an hour.",
                         limit->burst, (unsigned long long)burst_max);
    out->burst = limit->burst;
    out->tolerance_ns = limit->burst * out->interval_ns;
    return 0;
}

int algorithm_prepare(const struct limit *limit, struct algorithm *out, struct jini_error *error)
{
    *out = (struct algorithm){0};
    if (limit->period_ms < ALGORITHM_PERIOD_MS_MIN || limit->period_ms >= LIMIT_QUOTA_MS)
        return error_set(error, JINI_E_INVALID, "period",
                         "A rate limit's period is at least a second and shorter than an hour; "
                         "%llu ms is not.",
                         (unsigned long long)limit->period_ms);
    struct algorithm made = {
        .kind = limit->algorithm,
        .period_ms = (uint32_t)limit->period_ms,
        .period_ns = limit->period_ms * ALGORITHM_NS_PER_MS,
        .amount = limit->amount,
    };
    uint64_t amount_max = algorithm_amount_max(limit->algorithm, made.period_ms);
    if (limit->amount > amount_max)
        return error_set(error, JINI_E_INVALID, "amount",
                         "%llu is more than the %llu that a %s limit over %llu s can count; "
                         "use another algorithm or a shorter period.",
                         (unsigned long long)limit->amount, (unsigned long long)amount_max,
                         limit_algorithm_name(limit->algorithm),
                         (unsigned long long)limit->period_ms / 1000);
    if (limit->algorithm == LIMIT_GCRA) {
        int status = prepare_gcra(limit, &made, error);
        if (status)
            return status;
    }
    if (limit->algorithm == LIMIT_SLIDING_WINDOW) {
        struct sliding_layout layout;
        JINI_ASSERT(sliding_layout_for(made.period_ms, limit->amount, &layout));
        made.shift = layout.shift;
        made.sub_windows = layout.sub_windows;
        made.count_bits = layout.count_bits;
    }
    *out = made;
    return 0;
}
