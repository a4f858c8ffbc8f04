/* transfer-batch: batches of transfers between two hot accounts. */
#include "cases/cases.h"
#include "transfer_batches.h"

static void measure(const struct bench_options *options, struct bench_result *result)
{
    transfer_batches_measure(options, result, TRANSFERS_HOT, false);
}

const struct bench_case case_transfer_batch = {
    .name = "transfer-batch",
    .measures = "durable transfers between two hot accounts, in batches of 8,190",
    .unit = "transfers/s",
    .target = "300,000/s after 10,000,000 of them, every index queryable after each batch",
    .method = LEDGERS_HISTORY
    "One thread calls jini_transfers_create() with 8,190 transfers between two accounts, waits "
    "until they are durable, and then, in the time that is measured, lists the newest transfers "
    "of the account and of the code of the last one and gets the first by its id: a wrong answer "
    "fails the run. " LEDGERS_PEERS
    "A batch is one transaction there: in PostgreSQL " POSTGRES_BATCH
    ", in SQLite an insert for each transfer and an update for each account.",
    .demands = {{"value", BENCH_AT_LEAST, 300e3}},
    .shown = {"ratio_to_postgresql", "ratio_to_sqlite"},
    .run = measure,
};
