/* transfer-spread: batches of transfers between many accounts. */
#include "cases/cases.h"
#include "transfer_batches.h"

static void measure(const struct bench_options *options, struct bench_result *result)
{
    transfer_batches_measure(options, result, TRANSFERS_SPREAD, true);
}

const struct bench_case case_transfer_spread = {
    .name = "transfer-spread",
    .measures = "durable transfers between 10,000 accounts at random, in batches of 8,190",
    .unit = "transfers/s",
    .target = "0.6 of a raw LMDB program with the same puts; 5 times PostgreSQL by libpq, "
              "prepared, one set-based statement a batch",
    .method = LEDGERS_HISTORY
    "As transfer-batch, but between accounts drawn at random from 10,000, of which a batch "
    "touches 8,060. The raw program has the same history in rows of the same keys and sizes, and "
    "puts as many of them for each batch as Jini, in one transaction with the same syncs; what it "
    "knows of the lists that grow it keeps in memory, and it reads, checks and hashes "
    "nothing. " LEDGERS_PEERS "A batch is one transaction there: in PostgreSQL " POSTGRES_BATCH
    ", in SQLite "
    "an insert for each transfer and an update for each account.",
    .demands = {{"ratio_to_raw_lmdb", BENCH_AT_LEAST, 0.6},
                {"ratio_to_postgresql", BENCH_AT_LEAST, 5}},
    .shown = {"ratio_to_sqlite"},
    .run = measure,
};
