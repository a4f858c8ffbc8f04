/* See transfer_batches.h. */
#include "transfer_batches.h"

#include "database.h"
#include "peers/disk.h"
#include "peers/ledger_rows.h"

#include <stdlib.h>

enum { JINI, POSTGRES, SQLITE, RAW, CONTESTANTS };
enum { TRANSFER_BYTES = 128 /* as Jini keeps them */, CEILING_BATCHES = 20 };

typedef void batch_fn(void *self, const struct transfer *transfers, uint32_t count);

struct contest {
    const struct bench_options *options;
    enum transfers_accounts accounts;
    struct ledgers ledgers;
    struct contestant contestants[CONTESTANTS];
    struct transfer transfers[TRANSFERS_BATCH];
    struct bench_series commits;
    struct bench_series pages;
    struct bench_series disk;
};

static void run(struct contest *contest, struct contestant *contestant, batch_fn *batch)
{
    uint64_t before = contestant->source.count;
    uint64_t begin_ns = bench_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(contest->options->seconds * 1e9);
    if (!contestant->self)
        return;
    do {
        transfers_next(&contestant->source, contest->accounts, contest->transfers, TRANSFERS_BATCH);
        batch(contestant->self, contest->transfers, TRANSFERS_BATCH);
    } while (bench_now_ns() < end_ns);
    series_add(&contestant->per_s, (double)(contestant->source.count - before) /
                                       ((double)(bench_now_ns() - begin_ns) / 1e9));
}

static void run_jini(struct contest *contest)
{
    struct bench_figures before;
    struct jini *jini = jini_ledger_engine(contest->ledgers.jini);
    bench_figures(jini, &before);
    uint64_t begin_ns = bench_now_ns();
    run(contest, &contest->contestants[JINI], jini_ledger_batch_asked);
    double took_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    struct bench_figures done = bench_figures_since(jini, &before);
    series_add(&contest->commits, done.commits / took_s);
    series_add(&contest->pages, done.pages / done.commits);
}

/* What the transfers of a batch take on disk, written and synced a batch at a time. */
static void run_disk(struct contest *contest)
{
    static const uint8_t bytes[TRANSFERS_BATCH * TRANSFER_BYTES];
    struct disk_piece piece = {bytes, sizeof(bytes)};
    double seconds =
        disk_write_s(contest->options->directory, &piece, 1, CEILING_BATCHES, CEILING_BATCHES);
    series_add(&contest->disk, CEILING_BATCHES * TRANSFERS_BATCH / seconds);
}

static void report(struct contest *contest, struct bench_result *result)
{
    const struct contestant *jini = &contest->contestants[JINI];
    const struct contestant *postgres = &contest->contestants[POSTGRES];
    const struct contestant *sqlite = &contest->contestants[SQLITE];
    const struct contestant *raw = &contest->contestants[RAW];
    result_value(result, series_median(&jini->per_s));
    result_ceiling(result, series_median(&contest->disk),
                   "pwrite of the transfers of a batch, 128 bytes each, and fdatasync");
    if (postgres->self)
        result_peer(result, series_median(&postgres->per_s), "PostgreSQL 15: " POSTGRES_BATCH);
    if (raw->self)
        result_number(result, "raw_lmdb_per_s", series_median(&raw->per_s));
    contestants_compare(result, "ratio_to_raw_lmdb", jini, raw);
    contestants_compare(result, "ratio_to_postgresql", jini, postgres);
    result_number(result, "sqlite_per_s", series_median(&sqlite->per_s));
    contestants_compare(result, "ratio_to_sqlite", jini, sqlite);
    result_number(result, "value_least", series_least(&jini->per_s));
    result_number(result, "value_most", series_most(&jini->per_s));
    result_number(result, "batches_per_s", series_median(&contest->commits));
    result_number(result, "pages_per_batch", series_median(&contest->pages));
    result_count(result, "transfers_before", contest->ledgers.batches * TRANSFERS_BATCH);
    result_count(result, "wrong_answers", jini_ledger_wrong_answers(contest->ledgers.jini));
    if (jini_ledger_wrong_answers(contest->ledgers.jini) > 0)
        result_broken(result, "the newest transfers were not found by account, code or id");
}

void transfer_batches_measure(const struct bench_options *options, struct bench_result *result,
                              enum transfers_accounts accounts, bool with_raw)
{
    struct contest *contest = bench_alloc(1, sizeof(*contest));
    struct ledgers *ledgers = &contest->ledgers;
    char *raw_path = database_fresh(options, "transfers-raw");
    contest->options = options;
    contest->accounts = accounts;
    ledgers_open(options, ledgers, result);
    struct ledger_rows *raw =
        with_raw ? ledger_rows_new(raw_path, ledgers->accounts, ledgers->batches) : NULL;
    struct contestant contestants[CONTESTANTS] = {
        [JINI] = {.name = "Jini", .self = ledgers->jini, .sums = jini_ledger_sums},
        [POSTGRES] = {.name = "PostgreSQL", .self = ledgers->postgres, .sums = postgres_sums},
        [SQLITE] = {.name = "SQLite", .self = ledgers->sqlite, .sums = sqlite_sums},
        [RAW] = {.name = "LMDB", .self = raw},
    };
    for (int i = 0; i < CONTESTANTS; i++) {
        contest->contestants[i] = contestants[i];
        contest->contestants[i].source = transfers_from_now(ledgers->accounts);
        contestant_begin(&contest->contestants[i]);
    }
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("batches of transfers: round %u", round + 1);
        run_jini(contest);
        run(contest, &contest->contestants[RAW], ledger_rows_batch);
        run(contest, &contest->contestants[POSTGRES], postgres_batch);
        run(contest, &contest->contestants[SQLITE], sqlite_batch);
        sqlite_checkpoint(ledgers->sqlite);
        run_disk(contest);
    }
    for (int i = 0; i < CONTESTANTS; i++)
        contestant_end(&contest->contestants[i], result);
    report(contest, result);
    ledgers_close(ledgers);
    if (raw)
        ledger_rows_free(raw);
    database_remove(raw_path);
    free(raw_path);
    free(contest);
}
