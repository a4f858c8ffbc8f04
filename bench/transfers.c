/* See transfers.h. */
#include "transfers.h"

#include <time.h>

/* Eight bytes that grow, and eight that do not, as in an id that begins with the time. */
static void make_id(uint64_t number, uint8_t out[TRANSFERS_ID_BYTES])
{
    uint64_t state = number;
    uint64_t rest = bench_random(&state);
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(number >> 8 * (7 - i));
        out[8 + i] = (uint8_t)(rest >> 8 * (7 - i));
    }
}

void transfers_account_id(uint32_t number, uint8_t out[TRANSFERS_ID_BYTES])
{
    make_id(number, out);
}

struct transfer_source transfers_of_history(uint32_t accounts)
{
    return (struct transfer_source){.random = 1, .accounts = accounts};
}

struct transfer_source transfers_from_now(uint32_t accounts)
{
    enum { COUNTER_BITS = 20 };
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return (struct transfer_source){.next = ms << COUNTER_BITS, .random = 2, .accounts = accounts};
}

enum transfers_accounts transfers_history_accounts(uint64_t batch)
{
    return batch % 2 ? TRANSFERS_HOT : TRANSFERS_SPREAD;
}

static void next(struct transfer_source *source, enum transfers_accounts accounts,
                 struct transfer *out)
{
    uint32_t first = accounts == TRANSFERS_HOT ? source->accounts + 1 : 1;
    uint32_t count = accounts == TRANSFERS_HOT ? 2 : source->accounts;
    uint32_t debit = (uint32_t)bench_random_below(&source->random, count);
    uint32_t away = 1 + (uint32_t)bench_random_below(&source->random, count - 1);
    make_id(++source->next, out->id);
    out->debit = first + debit;
    out->credit = first + (debit + away) % count;
    out->amount = 1 + (uint32_t)bench_random_below(&source->random, TRANSFERS_AMOUNT_MAX);
    out->code = (uint16_t)(1 + bench_random_below(&source->random, TRANSFERS_CODES));
    source->amount += out->amount;
    source->count++;
}

void transfers_next(struct transfer_source *source, enum transfers_accounts accounts,
                    struct transfer *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        next(source, accounts, &out[i]);
}
