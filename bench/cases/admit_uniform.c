/*
 * admit-uniform: full admissions of users drawn from all there are, beside a raw LMDB program that
 * makes the same puts.
 */
#include "admissions.h"
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/disk.h"
#include "peers/service.h"

#include <stdlib.h>

enum { IN_FLIGHT = 1024, RATE = 25000, SYNC_ROUNDS_PER_S = 4 };

struct contest {
    const struct bench_options *options;
    struct admissions admissions;
    struct arrivals *arrivals;
    struct service *raw;
    struct bench_series per_s;
    struct bench_series raw_per_s;
    struct bench_series ratio;
    struct bench_series pages;
    struct bench_series per_commit;
    struct bench_series syncs;
    struct bench_series disk_syncs;
};

static double run_jini(struct contest *contest, uint64_t count, uint64_t *batch)
{
    struct arrivals_figures figures;
    struct bench_figures before;
    bench_figures(contest->admissions.jini, &before);
    arrivals_run(contest->arrivals, ARRIVALS_AT_ONCE, (double)count / ARRIVALS_AT_ONCE, &figures);
    struct bench_figures done = bench_figures_since(contest->admissions.jini, &before);
    admissions_settle(&contest->admissions);
    series_add(&contest->per_s, figures.per_s);
    series_add(&contest->pages, done.pages / done.ops);
    series_add(&contest->per_commit, done.ops / done.commits);
    series_add(&contest->syncs,
               done.commits * BENCH_SYNCS_PER_COMMIT * figures.per_s / (double)count);
    *batch = (uint64_t)(done.ops / done.commits + 0.5);
    return figures.per_s;
}

static double run_raw(struct contest *contest, uint64_t count, uint64_t batch)
{
    uint64_t begin_ns = bench_now_ns();
    service_admit(contest->raw, count, batch);
    double per_s = (double)count / ((double)(bench_now_ns() - begin_ns) / 1e9);
    service_settle_all(contest->raw, batch);
    series_add(&contest->raw_per_s, per_s);
    return per_s;
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct contest contest = {.options = options};
    uint64_t batch;
    uint64_t users = bench_scaled(options, 1000000, 10000);
    uint64_t past = bench_scaled(options, 10000000, 20000);
    uint64_t count = (uint64_t)(RATE * options->seconds);
    char *prepared = database_generations(options, users, past);
    char *path = database_clone(options, prepared, "admit-uniform");
    char *raw_path = database_fresh(options, "admit-uniform-raw");
    admissions_prepare(path, users, users);
    admissions_open(path, users, users, &contest.admissions);
    const struct arrivals_work work = admissions_work(&contest.admissions);
    contest.arrivals = arrivals_new(&work, IN_FLIGHT);
    bench_progress("admit-uniform: users of the raw program");
    contest.raw = service_new(raw_path, users, past);
    service_charge(contest.raw);
    service_sync_from_now(contest.raw);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("admit-uniform: round %u", round + 1);
        double per_s = run_jini(&contest, count, &batch);
        series_add(&contest.ratio, per_s / run_raw(&contest, count, batch));
        series_add(&contest.disk_syncs,
                   disk_syncs_per_s(options->directory, options->seconds / SYNC_ROUNDS_PER_S));
    }
    result_value(result, series_median(&contest.ratio));
    result_figure(result, series_median(&contest.per_s), "admissions/s");
    result_peer(result, series_median(&contest.raw_per_s),
                "LMDB used directly by one thread, with batches of the same size");
    result_ceiling(result, series_median(&contest.disk_syncs) * IN_FLIGHT,
                   "fdatasync of 4 KiB, each for as many admissions as are in flight");
    result_number(result, "pages_per_admission", series_median(&contest.pages));
    result_number(result, "admissions_per_commit", series_median(&contest.per_commit));
    result_number(result, "jini_syncs_per_s", series_median(&contest.syncs));
    arrivals_free(contest.arrivals);
    admissions_close(&contest.admissions);
    service_free(contest.raw);
    database_remove(path);
    database_remove(raw_path);
    free(path);
    free(raw_path);
    free(prepared);
}

const struct bench_case case_admit_uniform = {
    .name = "admit-uniform",
    .measures = "full admissions over 1,000,000 users with 10,000,000 past jobs, against raw LMDB",
    .unit = "ratio",
    .target = "0.6 of a raw LMDB program with the same puts, sizes and key distribution",
    .method =
        "Users are drawn at random from 1,000,000, who have 10,000,000 generations behind them. "
        "1,024 admissions are under way at a time, durable, in full: rate limit, quota, parallel "
        "jobs, a credit from the user's grant, the job's record, an event. Between the rounds all "
        "jobs are settled, which is not timed. The raw program is one thread that puts rows of the "
        "same sizes under keys of the same kind into LMDB, in batches as large as Jini's commits "
        "were in the round before, and reads, checks and limits nothing. The ratio is the median "
        "of those of neighbouring rounds.",
    .demands = {{"value", BENCH_AT_LEAST, 0.6}},
    .shown = {"pages_per_admission"},
    .run = measure,
};
