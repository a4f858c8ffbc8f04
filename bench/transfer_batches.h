/* Rounds of batches of transfers: Jini, PostgreSQL, SQLite and a raw LMDB program in turns. */
#ifndef BENCH_TRANSFER_BATCHES_H
#define BENCH_TRANSFER_BATCHES_H

#include "ledgers.h"

/* `with_raw`: beside a program on LMDB that makes the same puts (peers/ledger_rows.h). */
void transfer_batches_measure(const struct bench_options *options, struct bench_result *result,
                              enum transfers_accounts accounts, bool with_raw);

#endif
