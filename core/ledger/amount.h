/* Amounts as integers to reckon with, and balances. */
#ifndef LEDGER_AMOUNT_H
#define LEDGER_AMOUNT_H

#include <jini/ledger.h>
#include <stdbool.h>

__extension__ typedef unsigned __int128 amount128;

static const amount128 amount_max = ~(amount128)0;

static inline amount128 amount_of(struct jini_amount amount)
{
    return (amount128)amount.high << 64 | amount.low;
}

static inline struct jini_amount amount_out(amount128 amount)
{
    return (struct jini_amount){(uint64_t)amount, (uint64_t)(amount >> 64)};
}

static inline bool amount_equal(struct jini_amount a, struct jini_amount b)
{
    return a.low == b.low && a.high == b.high;
}

static inline bool amount_is_zero(struct jini_amount a)
{
    return (a.low | a.high) == 0;
}

/* True when a + b is over the largest amount. */
static inline bool amount_overflows(amount128 a, amount128 b)
{
    return b > amount_max - a;
}

/* struct jini_balance, to reckon with. */
struct balance {
    amount128 debits_pending;
    amount128 debits_posted;
    amount128 credits_pending;
    amount128 credits_posted;
};

static inline struct balance balance_of(const struct jini_balance *balance)
{
    return (struct balance){amount_of(balance->debits_pending), amount_of(balance->debits_posted),
                            amount_of(balance->credits_pending),
                            amount_of(balance->credits_posted)};
}

static inline struct jini_balance balance_out(const struct balance *balance)
{
    return (struct jini_balance){
        amount_out(balance->debits_pending), amount_out(balance->debits_posted),
        amount_out(balance->credits_pending), amount_out(balance->credits_posted)};
}

#endif
