/* Taking words apart and putting them together: shared by algorithm.c and algorithm_sliding.c. */
#ifndef LIMITS_ALGORITHM_WORD_H
#define LIMITS_ALGORITHM_WORD_H

#include "limits/algorithm.h"

#define ALGORITHM_NS_PER_MS UINT64_C(1000000)

enum {
    WORD_FIXED_COUNT_BITS = 23,
    WORD_FIXED_COUNT_MAX = (1 << WORD_FIXED_COUNT_BITS) - 1,
    WORD_TIME_BITS = 40,
    WORD_SHIFT_BASE = 6, /* sub-windows are 2^7 to 2^21 ms long */
    WORD_SHIFT_MAX = WORD_SHIFT_BASE + 15,
    WORD_SUB_WINDOWS_MAX = 16
};

/* A sliding word's layout, which follows from the period and the shift that stands in the word. */
struct sliding_layout {
    uint8_t shift;
    uint8_t sub_windows;
    uint8_t count_bits;
};

/* False when no word of this period has this shift. */
bool sliding_layout_of(uint32_t period_ms, unsigned shift, struct sliding_layout *out);

/* The finest layout whose counts hold `amount`; false when none does. */
bool sliding_layout_for(uint32_t period_ms, uint64_t amount, struct sliding_layout *out);

/* The coarsest shift of a period: the largest whose sub-window is shorter than the period. */
unsigned sliding_shift_max(uint32_t period_ms);

uint64_t sliding_mark_ns(uint64_t word);
bool sliding_is_possible(uint64_t word, uint32_t period_ms, uint64_t now_ns);
void sliding_charge(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                    struct algorithm_outcome *out);
void sliding_peek(uint64_t word, const struct algorithm *limit, uint64_t now_ns, uint64_t cost,
                  struct algorithm_outcome *out);
uint64_t sliding_refund(uint64_t word, const struct algorithm_receipt *receipt, uint64_t now_ns);

#endif
