/*
 * Streams of transfers, which Jini and the programs that it is measured against make alike: the
 * same accounts, amounts and codes, in the same order, under ids that grow with time.
 */
#ifndef BENCH_TRANSFERS_H
#define BENCH_TRANSFERS_H

#include "bench.h"

enum {
    TRANSFERS_BATCH = 8190, /* the most that one request of Jini may have */
    TRANSFERS_LEDGER = 1,
    TRANSFERS_ACCOUNT_CODE = 1,
    TRANSFERS_CODES = 10, /* a transfer has one of them, drawn at random */
    TRANSFERS_AMOUNT_MAX = 1000,
    TRANSFERS_ID_BYTES = 16
};

/* Accounts are numbered from 1. The last two are hot: transfers go between them, or they do not. */
enum transfers_accounts { TRANSFERS_SPREAD, TRANSFERS_HOT };

struct transfer {
    uint8_t id[TRANSFERS_ID_BYTES];
    uint32_t debit; /* the number of an account */
    uint32_t credit;
    uint32_t amount;
    uint16_t code;
};

struct transfer_source {
    uint64_t next; /* what the ids are made of */
    uint64_t random;
    uint32_t accounts; /* how many there are, beside the two */
    uint64_t amount;   /* of all transfers so far */
    uint64_t count;
};

/* For a database that has the history below, or more: all ids are greater than those in it. */
struct transfer_source transfers_from_now(uint32_t accounts);

/* Of what was there before: first to last. */
struct transfer_source transfers_of_history(uint32_t accounts);

/* Which accounts the history is about changes with each batch, so that both kinds have half. */
enum transfers_accounts transfers_history_accounts(uint64_t batch);

void transfers_next(struct transfer_source *source, enum transfers_accounts accounts,
                    struct transfer *out, uint32_t count);

/* The 16 bytes that account `number` is known by. */
void transfers_account_id(uint32_t number, uint8_t out[TRANSFERS_ID_BYTES]);

/* What the accounts of a ledger add up to. */
struct transfer_sums {
    uint64_t debits;
    uint64_t credits;
};

#endif
