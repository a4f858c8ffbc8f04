/* transfer-single: durable transfers one at a time, by many threads. */
#include "cases/cases.h"
#include "ledgers.h"
#include "peers/disk.h"
#include "submitters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 64, IN_FLIGHT = 16, STACK_BYTES = 256 * 1024, SYNC_ROUNDS_PER_S = 4 };

struct contest {
    const struct bench_options *options;
    struct ledgers ledgers;
    struct contestant jini;
    struct contestant postgres;
    struct contestant sqlite;
    struct submitters *submitters;
    struct postgres_client *clients[THREADS];
    pthread_mutex_t lock; /* of the source that threads draw from */
    _Atomic bool stopping;
    struct bench_series batch;
    struct bench_series syncs;
    struct bench_series disk_syncs;
    double longest_wait_s;
};

static void next(struct contest *contest, struct transfer_source *source, struct transfer *out)
{
    pthread_mutex_lock(&contest->lock);
    transfers_next(source, TRANSFERS_SPREAD, out, 1);
    pthread_mutex_unlock(&contest->lock);
}

/* ---- Jini ------------------------------------------------------------------------------------ */

struct single {
    struct jini_transfers_create create;
    struct jini_transfer transfer;
    struct jini_transfer_reply reply;
};

static void init(void *context, struct jini_request *request)
{
    struct single *single = (struct single *)request;
    (void)context;
    jini_request_init(&single->create);
    single->create.transfers = &single->transfer;
    single->create.replies = &single->reply;
    single->create.count = 1;
    single->create.created = 1;
}

static int submit(void *context, unsigned submitter, struct jini_request *request,
                  jini_callback *callback)
{
    struct contest *contest = context;
    struct single *single = (struct single *)request;
    struct transfer transfer;
    (void)submitter;
    if (single->create.created != 1) /* the one before */
        bench_fail("a transfer was not made: %s", jini_transfer_result_name(single->reply.result));
    next(contest, &contest->jini.source, &transfer);
    jini_ledger_describe(&transfer, &single->transfer);
    return jini_transfers_create(jini_ledger_engine(contest->ledgers.jini), &single->create,
                                 callback);
}

static void run_jini(struct contest *contest)
{
    struct bench_figures before;
    struct submitters_figures round;
    struct jini *jini = jini_ledger_engine(contest->ledgers.jini);
    bench_figures(jini, &before);
    submitters_run(contest->submitters, contest->options->seconds, &round);
    struct bench_figures done = bench_figures_since(jini, &before);
    series_add(&contest->jini.per_s, (double)round.requests / round.seconds);
    series_add(&contest->batch, done.ops / done.commits);
    series_add(&contest->syncs, done.commits * BENCH_SYNCS_PER_COMMIT / round.seconds);
    if (round.longest_wait_s > contest->longest_wait_s)
        contest->longest_wait_s = round.longest_wait_s;
}

/* ---- PostgreSQL ------------------------------------------------------------------------------ */

struct thread {
    pthread_t thread;
    struct contest *contest;
    struct postgres_client *client;
};

static void *make_by_postgres(void *argument)
{
    struct thread *thread = argument;
    struct contest *contest = thread->contest;
    struct transfer transfer;
    while (!atomic_load_explicit(&contest->stopping, memory_order_relaxed)) {
        next(contest, &contest->postgres.source, &transfer);
        postgres_client_make(thread->client, &transfer);
    }
    return NULL;
}

static void run_postgres(struct contest *contest)
{
    struct thread threads[THREADS];
    pthread_attr_t attributes;
    uint64_t before = contest->postgres.source.count;
    uint64_t begin_ns = bench_now_ns();
    if (!contest->postgres.self)
        return;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    atomic_store(&contest->stopping, false);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.contest = contest, .client = contest->clients[i]};
        if (pthread_create(&threads[i].thread, &attributes, make_by_postgres, &threads[i]) != 0)
            bench_fail("cannot start a thread");
    }
    bench_sleep(contest->options->seconds);
    atomic_store(&contest->stopping, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    series_add(&contest->postgres.per_s, (double)(contest->postgres.source.count - before) /
                                             ((double)(bench_now_ns() - begin_ns) / 1e9));
    pthread_attr_destroy(&attributes);
}

/* ---- SQLite, which has one writer at a time anyway ------------------------------------------- */

static void run_sqlite(struct contest *contest)
{
    struct transfer transfer;
    uint64_t before = contest->sqlite.source.count;
    uint64_t begin_ns = bench_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(contest->options->seconds * 1e9);
    do {
        transfers_next(&contest->sqlite.source, TRANSFERS_SPREAD, &transfer, 1);
        sqlite_batch(contest->ledgers.sqlite, &transfer, 1);
    } while (bench_now_ns() < end_ns);
    series_add(&contest->sqlite.per_s, (double)(contest->sqlite.source.count - before) /
                                           ((double)(bench_now_ns() - begin_ns) / 1e9));
    sqlite_checkpoint(contest->ledgers.sqlite);
}

/* ---------------------------------------------------------------------------------------------- */

static void begin(struct contest *contest, struct bench_result *result)
{
    struct ledgers *ledgers = &contest->ledgers;
    struct submitters_options submitters = {.threads = THREADS,
                                            .in_flight = IN_FLIGHT,
                                            .work = {sizeof(struct single), init, submit, contest}};
    ledgers_open(contest->options, ledgers, result);
    struct transfer_source source = transfers_from_now(ledgers->accounts);
    contest->jini = (struct contestant){"Jini", ledgers->jini, jini_ledger_sums, source, {0}, {0}};
    contest->postgres =
        (struct contestant){"PostgreSQL", ledgers->postgres, postgres_sums, source, {0}, {0}};
    contest->sqlite = (struct contestant){"SQLite", ledgers->sqlite, sqlite_sums, source, {0}, {0}};
    contest->submitters = submitters_new(&submitters);
    for (unsigned i = 0; ledgers->postgres && i < THREADS; i++)
        contest->clients[i] = postgres_client_new(ledgers->postgres);
    contestant_begin(&contest->jini);
    contestant_begin(&contest->postgres);
    contestant_begin(&contest->sqlite);
}

static void end(struct contest *contest, struct bench_result *result)
{
    contestant_end(&contest->jini, result);
    contestant_end(&contest->postgres, result);
    contestant_end(&contest->sqlite, result);
    submitters_free(contest->submitters);
    for (unsigned i = 0; contest->ledgers.postgres && i < THREADS; i++)
        postgres_client_free(contest->clients[i]);
    ledgers_close(&contest->ledgers);
}

static void report(const struct contest *contest, struct bench_result *result)
{
    result_value(result, series_median(&contest->jini.per_s));
    result_ceiling(result, series_median(&contest->disk_syncs) * THREADS * IN_FLIGHT,
                   "fdatasync of 4 KiB, each for as many transfers as are in flight");
    if (contest->ledgers.postgres)
        result_peer(result, series_median(&contest->postgres.per_s),
                    "PostgreSQL 15, 64 connections: " POSTGRES_SINGLE);
    contestants_compare(result, "ratio_to_postgresql", &contest->jini, &contest->postgres);
    result_number(result, "sqlite_per_s", series_median(&contest->sqlite.per_s));
    contestants_compare(result, "ratio_to_sqlite", &contest->jini, &contest->sqlite);
    result_number(result, "value_least", series_least(&contest->jini.per_s));
    result_number(result, "value_most", series_most(&contest->jini.per_s));
    result_number(result, "transfers_per_commit", series_median(&contest->batch));
    result_number(result, "jini_syncs_per_s", series_median(&contest->syncs));
    result_number(result, "longest_wait_s", contest->longest_wait_s);
    result_count(result, "transfers_before", contest->ledgers.batches * TRANSFERS_BATCH);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct contest *contest = bench_alloc(1, sizeof(*contest));
    contest->options = options;
    pthread_mutex_init(&contest->lock, NULL);
    begin(contest, result);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("transfer-single: round %u", round + 1);
        run_jini(contest);
        run_postgres(contest);
        run_sqlite(contest);
        series_add(&contest->disk_syncs,
                   disk_syncs_per_s(options->directory, options->seconds / SYNC_ROUNDS_PER_S));
    }
    end(contest, result);
    report(contest, result);
    pthread_mutex_destroy(&contest->lock);
    free(contest);
}

const struct bench_case case_transfer_single = {
    .name = "transfer-single",
    .measures = "durable single transfers by 64 threads with 16 in flight each",
    .unit = "transfers/s",
    .target = "50,000/s, and 6 times PostgreSQL with 64 connections",
    .method = LEDGERS_HISTORY
    "64 threads keep 16 jini_transfers_create() requests of one transfer each under way, between "
    "accounts drawn at random from 10,000; a callback on the engine's loop hands a request back "
    "to its thread, which sends the next. " LEDGERS_PEERS "PostgreSQL has 64 connections of as "
    "many threads, and each makes one transfer after the other: " POSTGRES_SINGLE ". SQLite makes "
    "one after the other in transactions of their own.",
    .demands = {{"value", BENCH_AT_LEAST, 50e3}, {"ratio_to_postgresql", BENCH_AT_LEAST, 6}},
    .shown = {"ratio_to_sqlite"},
    .run = measure,
};
