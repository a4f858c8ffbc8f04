/* See ledgers.h. */
#include "ledgers.h"

#include "database.h"

#include <stdlib.h>
#include <unistd.h>

enum { HISTORY = 10000000, ACCOUNTS = 10000, ACCOUNTS_LEAST = 100, WARM_UP_BATCHES = 12 };

/* What a database is built of. */
struct history {
    uint32_t accounts;
    uint64_t batches;
    bool small;
};

static void build_jini(const char *path, const void *context)
{
    const struct history *history = context;
    struct transfer *transfers = bench_alloc(TRANSFERS_BATCH, sizeof(*transfers));
    struct transfer_source source = transfers_of_history(history->accounts);
    struct jini_ledger *ledger = jini_ledger_open(path, history->accounts, false);
    jini_ledger_add_accounts(ledger);
    for (uint64_t batch = 0; batch < history->batches; batch++) {
        transfers_next(&source, transfers_history_accounts(batch), transfers, TRANSFERS_BATCH);
        jini_ledger_batch(ledger, transfers, TRANSFERS_BATCH);
    }
    jini_ledger_close(ledger);
    free(transfers);
}

static void build_postgres(const char *path, const void *context)
{
    const struct history *history = context;
    postgres_load(path, history->accounts, history->batches, history->small);
}

static void build_sqlite(const char *path, const void *context)
{
    const struct history *history = context;
    sqlite_load(path, history->accounts, history->batches);
}

/* PostgreSQL's and Jini's are built by a process of their own, beside SQLite's. */
static void prepare(const struct bench_options *options, const struct history *history,
                    bool with_postgres, char *paths[3])
{
    bench_progress("loading %llu transfers into each ledger",
                   (unsigned long long)(history->batches * TRANSFERS_BATCH));
    if (bench_fork() == 0) {
        if (with_postgres)
            free(database_prepared(options, "ledger-postgresql", build_postgres, history));
        free(database_prepared(options, "ledger-jini", build_jini, history));
        _exit(0);
    }
    paths[2] = database_prepared(options, "ledger-sqlite", build_sqlite, history);
    bench_wait_children(1);
    paths[0] = database_prepared(options, "ledger-jini", build_jini, history);
    paths[1] = with_postgres
                   ? database_prepared(options, "ledger-postgresql", build_postgres, history)
                   : NULL;
}

/*
 * Opening follows a checkpoint, after which PostgreSQL logs each page whole that is written for the
 * first time. In rounds as short as these that would be most of what it does; in a service it is
 * not. Spread over all accounts, so that all pages that the cases write have been written.
 */
static void warm_up(const struct bench_options *options, const struct ledgers *ledgers)
{
    struct transfer *transfers = bench_alloc(TRANSFERS_BATCH, sizeof(*transfers));
    struct transfer_source source = transfers_from_now(ledgers->accounts);
    for (int i = 0; i < (options->quick ? 1 : WARM_UP_BATCHES); i++) {
        transfers_next(&source, TRANSFERS_SPREAD, transfers, TRANSFERS_BATCH);
        postgres_batch(ledgers->postgres, transfers, TRANSFERS_BATCH);
    }
    free(transfers);
}

void ledgers_open(const struct bench_options *options, struct ledgers *out,
                  struct bench_result *result)
{
    uint64_t transfers = bench_scaled(options, HISTORY, 1);
    struct history history = {.accounts = (uint32_t)bench_scaled(options, ACCOUNTS, ACCOUNTS_LEAST),
                              .batches = (transfers + TRANSFERS_BATCH - 1) / TRANSFERS_BATCH,
                              .small = options->quick};
    const char *missing = postgres_server_missing(options->directory);
    char *paths[3];
    if (missing)
        result_missing(result, "postgresql", missing);
    prepare(options, &history, !missing, paths);
    out->accounts = history.accounts;
    out->batches = history.batches;
    out->jini = jini_ledger_open(paths[0], history.accounts, true);
    out->postgres = missing ? NULL : postgres_open(paths[1], history.small);
    if (out->postgres)
        warm_up(options, out);
    out->sqlite = sqlite_open(paths[2]);
    for (int i = 0; i < 3; i++)
        free(paths[i]);
}

void ledgers_close(struct ledgers *ledgers)
{
    jini_ledger_close(ledgers->jini);
    if (ledgers->postgres)
        postgres_close(ledgers->postgres);
    sqlite_close(ledgers->sqlite);
}

/* ---- Contestants ----------------------------------------------------------------------------- */

void contestant_begin(struct contestant *contestant)
{
    if (contestant->self && contestant->sums)
        contestant->sums(contestant->self, &contestant->before);
}

void contestant_end(struct contestant *contestant, struct bench_result *result)
{
    struct transfer_sums after;
    if (!contestant->self || !contestant->sums)
        return;
    contestant->sums(contestant->self, &after);
    if (contestant->before.debits != contestant->before.credits || after.debits != after.credits)
        result_broken(result, "%s: debits of %llu and credits of %llu", contestant->name,
                      (unsigned long long)after.debits, (unsigned long long)after.credits);
    if (after.debits - contestant->before.debits != contestant->source.amount)
        result_broken(result, "%s: %llu was moved, and the accounts have %llu more",
                      contestant->name, (unsigned long long)contestant->source.amount,
                      (unsigned long long)(after.debits - contestant->before.debits));
}

void contestants_compare(struct bench_result *result, const char *field,
                         const struct contestant *contestant, const struct contestant *other)
{
    struct bench_series ratios = {0};
    if (!other->self)
        return;
    for (unsigned i = 0; i < contestant->per_s.count; i++)
        series_add(&ratios, contestant->per_s.values[i] / other->per_s.values[i]);
    result_number(result, field, series_median(&ratios));
}
