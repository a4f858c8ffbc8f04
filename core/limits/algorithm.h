/*
 * The arithmetic of rate limits: pure functions on one 64-bit word, which holds all that is
 * remembered of one subject under one limit. No clock is read and no memory is shared here.
 *
 * Layouts of the word, from the most significant bit. Times are since boot (CLOCK_BOOTTIME).
 *
 *     1    fixed window     expiry in ms (40), count (23)
 *     01   sliding window   shift - 6 (4), ordinal of the newest sub-window (40 - shift),
 *                           counts (18 + shift)
 *     001  GCRA             theoretical arrival time in ns (61)
 *     000  no algorithm     0: the slot is free; 1: the slot is reserved (slot.h)
 *
 * Fixed window: opens with its first hit and ends when `expiry` has come (the first ms not before
 * the hit plus the period). A count with all bits set stands for that many or more.
 *
 * Sliding window: time is cut into sub-windows of 2^shift ms. The word counts the hits of the
 * newest `k` of them, newest in the lowest bits, (18 + shift) / k bits each; k is the most that a
 * window of the period can touch. A hit counts until the END of its sub-window plus the period has
 * come, so that no window of the period ever holds more than the amount; it counts at most one
 * sub-window's length too long. The width is the finest whose counts can hold the amount: a word of
 * another width (the amount was changed) is converted so that nothing counts shorter. All bits of a
 * count set: that many or more, up to any amount.
 *
 * GCRA: the generic cell rate algorithm in its virtual scheduling form (ATM Forum, Traffic
 * Management 4.0, section 4.4.2; ITU-T I.371). A unit moves the arrival time by the interval
 * (period / amount, rounded up to ns); it is admitted while that lies at most burst x interval
 * ahead of now.
 *
 * What the slot protocol builds on (slot.h), with the mark of a word as algorithm_mark_ns() gives
 * it:
 *  1. A charge yields a word whose mark lies after `now`.
 *  2. Fixed and sliding words of one subject never get a smaller mark, by whatever function and
 *     clock.
 *  3. A GCRA word gets a smaller mark by a refund only.
 *  4. Equal words have equal marks, and the algorithm can be told from the word.
 *  5. The mark of a word that a charge at time `now` yields lies at most algorithm_reach_ns() after
 *     `now`.
 *
 * A clock that its caller read a while ago is safe: it admits at most what a fresh one would, and
 * moves nothing back. Only algorithm_refund() and a verdict of ALGORITHM_IMPOSSIBLE need a clock
 * that was read after the word was.
 */
#ifndef LIMITS_ALGORITHM_H
#define LIMITS_ALGORITHM_H

#include "limits/text.h"

enum {
    ALGORITHM_FIXED_AMOUNT_MAX = (1 << 23) - 2,
    ALGORITHM_GCRA_PER_SECOND_MAX = 1000000, /* the interval is at least 1 us */
    ALGORITHM_GCRA_TOLERANCE_MS_MAX = LIMIT_QUOTA_MS,
    ALGORITHM_PERIOD_MS_MIN = 1000
};

/* Words that no algorithm yields. A file of zeros is a table of free slots. */
#define ALGORITHM_FREE     UINT64_C(0)
#define ALGORITHM_RESERVED UINT64_C(1)

/* For "never": the cost is larger than the limit ever admits. */
#define ALGORITHM_NEVER UINT64_MAX

/* Clocks are cut off here, 34.8 years after boot: time then stands still and limits only refuse. */
#define ALGORITHM_CLOCK_MAX_NS (((UINT64_C(1) << 40) - 2 * LIMIT_QUOTA_MS) * UINT64_C(1000000))

/* A rate limit made ready for the functions below. Plain data; copy it as you like. */
struct algorithm {
    enum limit_algorithm kind;
    uint32_t period_ms;
    uint64_t amount;
    uint64_t period_ns;
    uint64_t interval_ns;  /* GCRA: the time that one unit takes */
    uint64_t tolerance_ns; /* GCRA: burst x interval */
    uint32_t burst;
    uint8_t shift;       /* sliding window: log2 of the sub-window's length in ms */
    uint8_t sub_windows; /* sliding window: how many the word counts */
    uint8_t count_bits;  /* sliding window: bits of each count */
};

enum algorithm_verdict {
    ALGORITHM_REFUSED,
    ALGORITHM_ADMITTED,
    ALGORITHM_IMPOSSIBLE /* the word cannot come from this limit at this time: see
                            algorithm_charge() */
};

/* Whether a refused charge is counted on a fixed window. Other algorithms never count one. */
enum algorithm_denied { ALGORITHM_DENIED_FREE, ALGORITHM_DENIED_COUNTS };

struct algorithm_outcome {
    enum algorithm_verdict verdict;
    uint64_t word;           /* the new word; the same as before when nothing changes */
    uint64_t window;         /* names what the charge was counted in, for algorithm_refund() */
    uint64_t remaining;      /* units that would be admitted at once now, after this charge */
    uint64_t reset_ns;       /* from now until all of the amount (GCRA: the burst) is there again */
    uint64_t retry_after_ns; /* from now until the same cost is admitted if nobody else comes; 0
                                when admitted; ALGORITHM_NEVER */
};

/* What a refund needs to know of a charge. */
struct algorithm_receipt {
    enum limit_algorithm kind;
    uint32_t period_ms;
    uint64_t window;
    uint64_t cost; /* units; of GCRA the nanoseconds that they took */
};

/*
 * Makes a rate limit ready.
 * JINI_E_INVALID: it is outside the bounds of its word; `error` names "amount", "period",
 * "algorithm" or "burst" and the bound.
 */
int algorithm_prepare(const struct limit *limit, struct algorithm *out, struct jini_error *error);

/* The largest amount that a limit of this kind takes over this period. */
uint64_t algorithm_amount_max(enum limit_algorithm kind, uint32_t period_ms);

/*
 * Charges `cost` (1 or more) units. ALGORITHM_FREE stands for a subject that is not counted yet.
 *
 * ALGORITHM_IMPOSSIBLE: the word has another algorithm's layout, or reaches farther into the future
 * than a charge at `now_ns` could have. Either it is corrupt or the clock was read too early: read
 * the clock again, then judge the same word again; if it still is impossible, charge ALGORITHM_FREE
 * instead of it.
 */
void algorithm_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                      enum algorithm_denied denied, struct algorithm_outcome *out);

/*
 * What a charge of `cost` (0 or more) would find. `remaining` is what is left before it. The word
 * stays.
 */
void algorithm_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                    struct algorithm_outcome *out);

/* The receipt of an admitted charge. */
struct algorithm_receipt algorithm_receipt_of(const struct algorithm *limit, uint64_t cost,
                                              const struct algorithm_outcome *outcome);

/*
 * The word after a charge is taken back; the same word when its window is over, or when it cannot
 * be told what it still counts. `now_ns` must have been read after `word` was.
 *
 * A window gets all of the cost back. GCRA gets back what cannot have leaked away since the charge:
 * its time less the time that has passed. With more, charges that were admitted since could exceed
 * the limit on their own: the interval counts from when a charge was made, and the word does not
 * know whether the subject was idle in between.
 */
uint64_t algorithm_refund(uint64_t word, const struct algorithm_receipt *receipt, uint64_t now_ns);

/*
 * The word's place in time, which orders the words of a slot (see above). 0 for a free or reserved
 * slot.
 */
uint64_t algorithm_mark_ns(uint64_t word);

/* From when the word says no more than ALGORITHM_FREE does. `period_ms` is its limit's. */
uint64_t algorithm_expiry_ns(uint64_t word, uint32_t period_ms);

/* How far after the clock the mark of a word of this kind and period can lie. */
uint64_t algorithm_reach_ns(enum limit_algorithm kind, uint32_t period_ms);

/* The algorithm of a word; false for a free or reserved slot, and for words that nothing yields. */
bool algorithm_kind_of(uint64_t word, enum limit_algorithm *out);

/* False when the word is corrupt, for any limit of this period and a clock read after it. */
bool algorithm_is_possible(uint64_t word, uint32_t period_ms, uint64_t now_ns);

/* True for a word that a subject can own: neither free nor reserved. */
static inline bool algorithm_is_owned(uint64_t word)
{
    return word >> 61 != 0;
}

#endif
