/* Jini with a ledger of transfers (transfers.h), as the cases use it. */
#ifndef BENCH_JINI_LEDGER_H
#define BENCH_JINI_LEDGER_H

#include "engine.h"
#include "transfers.h"

struct jini_ledger;

/* Opens the ledger of a directory, with these accounts and the two hot ones beside them. */
struct jini_ledger *jini_ledger_open(const char *directory, uint32_t accounts, bool synced);
void jini_ledger_close(struct jini_ledger *ledger);
struct jini *jini_ledger_engine(struct jini_ledger *ledger);

void jini_ledger_add_accounts(struct jini_ledger *ledger);

/* What the ledger is asked to make of a transfer. */
void jini_ledger_describe(const struct transfer *transfer, struct jini_transfer *out);

/* Makes up to TRANSFERS_BATCH transfers by one request. */
void jini_ledger_batch(void *ledger, const struct transfer *transfers, uint32_t count);

/*
 * Makes the same, and then asks for them by every index: the newest transfers of an account and of
 * a code must be those of the batch, and one is found by its id.
 */
void jini_ledger_batch_asked(void *ledger, const struct transfer *transfers, uint32_t count);

/* How many of those answers were wrong. */
uint64_t jini_ledger_wrong_answers(const struct jini_ledger *ledger);

void jini_ledger_sums(void *ledger, struct transfer_sums *out);

#endif
