/*
 * The sliding window on one word. Layout and guarantee: algorithm.h.
 *
 * A sub-window with ordinal n covers the milliseconds [n << shift, (n + 1) << shift). The counts
 * are packed with the newest lowest, so that time moving on by one sub-window shifts them left by
 * one count.
 *
 * Why `sub_windows` = ceil(period / width) + 1 are enough: when the newest holds `now`, the end of
 * the sub-window that is shifted out next lies (sub_windows - 1) widths, hence at least a period,
 * before the newest's begin.
 */
#include "limits/algorithm_word.h"

/* A word taken apart, in the layout that it has. */
struct sliding {
    struct sliding_layout layout;
    uint64_t newest; /* ordinal */
    uint64_t counts; /* packed */
};

static uint64_t count_mask(const struct sliding_layout *layout)
{
    return (UINT64_C(1) << layout->count_bits) - 1;
}

static unsigned word_shift(uint64_t word)
{
    return (unsigned)(word >> 58 & 15) + WORD_SHIFT_BASE;
}

static unsigned word_payload_bits(unsigned shift)
{
    return 58 - WORD_TIME_BITS + shift;
}

static uint64_t word_newest(uint64_t word)
{
    unsigned shift = word_shift(word);
    return word << 6 >> 6 >> word_payload_bits(shift);
}

static uint64_t pack(const struct sliding *window)
{
    unsigned payload_bits = word_payload_bits(window->layout.shift);
    JINI_ASSERT(window->newest >> (58 - payload_bits) == 0);
    return UINT64_C(1) << 62 | (uint64_t)(window->layout.shift - WORD_SHIFT_BASE) << 58 |
           window->newest << payload_bits | window->counts;
}

unsigned sliding_shift_max(uint32_t period_ms)
{
    unsigned shift = period_ms <= 2 ? 0 : 31 - (unsigned)__builtin_clz(period_ms - 1);
    return shift < WORD_SHIFT_MAX ? shift : WORD_SHIFT_MAX;
}

bool sliding_layout_of(uint32_t period_ms, unsigned shift, struct sliding_layout *out)
{
    *out = (struct sliding_layout){0};
    if (shift <= WORD_SHIFT_BASE || shift > sliding_shift_max(period_ms))
        return false;
    unsigned sub_windows = ((period_ms + (1U << shift) - 1) >> shift) + 1;
    if (sub_windows > WORD_SUB_WINDOWS_MAX)
        return false;
    unsigned count_bits = word_payload_bits(shift) / sub_windows;
    if (count_bits < 2)
        return false;
    *out = (struct sliding_layout){(uint8_t)shift, (uint8_t)sub_windows, (uint8_t)count_bits};
    return true;
}

bool sliding_layout_for(uint32_t period_ms, uint64_t amount, struct sliding_layout *out)
{
    for (unsigned shift = WORD_SHIFT_BASE + 1; shift <= sliding_shift_max(period_ms); shift++) {
        if (sliding_layout_of(period_ms, shift, out) && amount < count_mask(out))
            return true;
    }
    *out = (struct sliding_layout){0};
    return false;
}

uint64_t sliding_mark_ns(uint64_t word)
{
    return ((word_newest(word) + 1) << word_shift(word)) * ALGORITHM_NS_PER_MS;
}

bool sliding_is_possible(uint64_t word, uint32_t period_ms, uint64_t now_ns)
{
    struct sliding_layout layout;
    return sliding_layout_of(period_ms, word_shift(word), &layout) &&
           sliding_mark_ns(word) <= now_ns + algorithm_reach_ns(LIMIT_SLIDING_WINDOW, period_ms);
}

/*
 * The end of the sub-window that lies `age` before the newest, plus the period: when its hits cease
 * to count.
 */
static uint64_t leaves_ns(const struct sliding *window, uint64_t period_ns, unsigned age)
{
    uint64_t ordinal = window->newest + 1;
    return ordinal < age
               ? 0
               : ((ordinal - age) << window->layout.shift) * ALGORITHM_NS_PER_MS + period_ns;
}

static uint64_t counts_mask(const struct sliding_layout *layout)
{
    return (UINT64_C(1) << (layout->count_bits * layout->sub_windows)) - 1;
}

static void advance(struct sliding *window, uint64_t ordinal)
{
    const struct sliding_layout *layout = &window->layout;
    if (ordinal <= window->newest)
        return;
    uint64_t steps = ordinal - window->newest;
    window->newest = ordinal;
    window->counts = steps >= layout->sub_windows
                         ? 0
                         : window->counts << (steps * layout->count_bits) & counts_mask(layout);
}

/*
 * The ordinal, in the layout of `to`, of the last sub-window within the one of `from` that lies
 * `age` before its newest.
 */
static uint64_t converted_ordinal(const struct sliding *from, unsigned age,
                                  const struct sliding_layout *to)
{
    uint64_t ordinal = from->newest > age ? from->newest - age : 0;
    if (to->shift >= from->layout.shift)
        return ordinal >> (to->shift - from->layout.shift);
    return ((ordinal + 1) << (from->layout.shift - to->shift)) - 1;
}

/*
 * The hits that still count, in another layout. None gets earlier, so none ceases to count earlier:
 * a hit goes to the last sub-window that it may belong to, and what would be too old for the new
 * layout goes to its oldest.
 */
static struct sliding convert(const struct sliding *from, const struct sliding_layout *to,
                              uint64_t period_ns, uint64_t now_ns)
{
    struct sliding made = {.layout = *to, .newest = converted_ordinal(from, 0, to)};
    uint64_t full = count_mask(to);
    uint64_t from_full = count_mask(&from->layout);
    for (unsigned age = 0; age < from->layout.sub_windows; age++) {
        uint64_t count = from->counts >> (age * from->layout.count_bits) & from_full;
        if (count == 0 || leaves_ns(from, period_ns, age) <= now_ns)
            continue;
        uint64_t made_age = made.newest - converted_ordinal(from, age, to);
        if (made_age >= to->sub_windows)
            made_age = to->sub_windows - 1U;
        unsigned place = (unsigned)made_age * to->count_bits;
        uint64_t sum = (made.counts >> place & full) + count;
        if (count == from_full || sum > full)
            sum = full;
        made.counts = (made.counts & ~(full << place)) | sum << place;
    }
    return made;
}

static struct sliding_layout layout_of(const struct algorithm *limit)
{
    return (struct sliding_layout){limit->shift, limit->sub_windows, limit->count_bits};
}

/* The word as it stands, in its own layout. It is possible, or ALGORITHM_FREE. */
static struct sliding unpack(uint64_t word, const struct algorithm *limit)
{
    struct sliding window = {.layout = layout_of(limit)};
    if (word == ALGORITHM_FREE)
        return window;
    if (word_shift(word) != limit->shift)
        JINI_ASSERT(sliding_layout_of(limit->period_ms, word_shift(word), &window.layout));
    window.newest = word_newest(word);
    window.counts = word & counts_mask(&window.layout);
    return window;
}

/* The window in the limit's layout, with the sub-window of `now` as its newest. */
static struct sliding brought_up(const struct sliding *from, const struct algorithm *limit,
                                 uint64_t now_ns)
{
    struct sliding window = *from;
    if (from->layout.shift != limit->shift) {
        struct sliding_layout layout = layout_of(limit);
        window = convert(from, &layout, limit->period_ns, now_ns);
    }
    advance(&window, now_ns / ALGORITHM_NS_PER_MS >> limit->shift);
    return window;
}

/* What the counts say at one time. */
struct sums {
    uint64_t used;     /* saturates far above any amount */
    uint64_t reset_ns; /* a time: when nothing counts any more; 0 when nothing does */
    uint64_t retry_ns; /* a time: when `cost` is admitted, if it is not yet */
};

static struct sums add_up(const struct sliding *window, const struct algorithm *limit,
                          uint64_t now_ns, uint64_t cost)
{
    struct sums sums = {0, 0, 0};
    uint64_t full = count_mask(&window->layout);
    uint64_t counts = window->counts;
    /* From the newest to the oldest: the first age at which the cost no longer fits must leave. */
    for (unsigned age = 0; counts != 0; age++, counts >>= window->layout.count_bits) {
        uint64_t count = counts & full;
        if (count == 0)
            continue;
        uint64_t leaves = leaves_ns(window, limit->period_ns, age);
        if (leaves <= now_ns)
            break;
        if (sums.reset_ns == 0)
            sums.reset_ns = leaves;
        sums.used += count == full ? UINT32_MAX : count;
        if (sums.retry_ns == 0 && sums.used + cost > limit->amount)
            sums.retry_ns = leaves;
    }
    return sums;
}

static void describe(const struct sums *sums, const struct algorithm *limit, uint64_t now_ns,
                     uint64_t cost, struct algorithm_outcome *out)
{
    uint64_t left = sums->used < limit->amount ? limit->amount - sums->used : 0;
    out->verdict = cost <= left ? ALGORITHM_ADMITTED : ALGORITHM_REFUSED;
    out->remaining = left;
    out->reset_ns = sums->reset_ns > now_ns ? sums->reset_ns - now_ns : 0;
    out->retry_after_ns = out->verdict == ALGORITHM_ADMITTED ? 0
                          : cost > limit->amount             ? ALGORITHM_NEVER
                                                             : sums->retry_ns - now_ns;
}

void sliding_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                    struct algorithm_outcome *out)
{
    sliding_peek(word, limit, now_ns, cost, out);
    if (out->verdict == ALGORITHM_REFUSED)
        return;
    struct sliding was = unpack(word, limit);
    struct sliding window = brought_up(&was, limit, now_ns);
    window.counts += cost;
    out->word = pack(&window);
    out->window = (uint64_t)window.layout.shift << WORD_TIME_BITS | window.newest;
    out->remaining -= cost;
    out->reset_ns = leaves_ns(&window, limit->period_ns, 0) - now_ns;
}

void sliding_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                  struct algorithm_outcome *out)
{
    struct sliding window = unpack(word, limit);
    struct sums sums = add_up(&window, limit, now_ns, cost);
    describe(&sums, limit, now_ns, cost, out);
    out->window = 0;
    out->word = word;
}

uint64_t sliding_refund(uint64_t word, const struct algorithm_receipt *receipt, uint64_t now_ns)
{
    struct sliding_layout layout;
    if (word >> 62 != 1 || !sliding_layout_of(receipt->period_ms, word_shift(word), &layout))
        return word;
    uint64_t ordinal = receipt->window & ((UINT64_C(1) << WORD_TIME_BITS) - 1);
    struct sliding window = {.layout = layout, .newest = word_newest(word)};
    if (receipt->window >> WORD_TIME_BITS != layout.shift || ordinal > window.newest ||
        window.newest - ordinal >= layout.sub_windows)
        return word;
    unsigned age = (unsigned)(window.newest - ordinal);
    uint64_t count = word >> (age * layout.count_bits) & count_mask(&layout);
    if (count == count_mask(&layout) ||
        leaves_ns(&window, receipt->period_ms * ALGORITHM_NS_PER_MS, age) <= now_ns)
        return word;
    return word - ((count < receipt->cost ? count : receipt->cost) << (age * layout.count_bits));
}
