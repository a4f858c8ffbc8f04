/* admit: full admissions that arrive at a rate of their own, by a few active users of many. */
#include "admissions.h"
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/admission_stack.h"
#include "peers/disk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    IN_FLIGHT = 8192,
    THREADS = 64,
    STACK_BYTES = 256 * 1024,
    WARM_UP_ROUNDS = 4,
    SYNC_ROUNDS_PER_S = 4
};
#define RATE       30000.0 /* admissions/s that the target speaks of */
#define STEP       5000.0
#define P99_MOST_S 0.02

struct contest {
    const struct bench_options *options;
    struct admissions admissions;
    struct arrivals *arrivals;
    struct bench_series sustained;
    struct bench_series p50_s;
    struct bench_series p99_s;
    struct bench_series p999_s;
    struct bench_series pages;
    struct bench_series per_commit;
    struct bench_series commit_s;
    struct bench_series disk_syncs;
    struct admission_stack *stack; /* NULL: it is missing */
    struct admission_client *clients[THREADS];
    _Atomic bool stopping;
    struct bench_series of_stack;
};

/* ---- PostgreSQL and Redis -------------------------------------------------------------------- */

struct thread {
    pthread_t thread;
    struct contest *contest;
    struct admission_client *client;
    uint64_t random;
    uint64_t count;
};

static void *admit_by_stack(void *argument)
{
    struct thread *thread = argument;
    const struct admissions *admissions = &thread->contest->admissions;
    while (!atomic_load_explicit(&thread->contest->stopping, memory_order_relaxed)) {
        uint64_t number = bench_random_below(&thread->random, admissions->active);
        admission_client_admit(thread->client, admissions_user(admissions, number));
        thread->count++;
    }
    return NULL;
}

/* Closed-loop, which is what it is best at; admissions per second. */
static double run_stack(struct contest *contest, double seconds)
{
    static uint64_t seeds;
    struct thread threads[THREADS];
    pthread_attr_t attributes;
    uint64_t count = 0;
    uint64_t begin_ns = bench_now_ns();
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    atomic_store(&contest->stopping, false);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] =
            (struct thread){.contest = contest, .client = contest->clients[i], .random = ++seeds};
        if (pthread_create(&threads[i].thread, &attributes, admit_by_stack, &threads[i]) != 0)
            bench_fail("cannot start a thread");
    }
    bench_sleep(seconds);
    atomic_store(&contest->stopping, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        count += threads[i].count;
    }
    pthread_attr_destroy(&attributes);
    return (double)count / ((double)(bench_now_ns() - begin_ns) / 1e9);
}

/* After a checkpoint PostgreSQL logs each page whole that is first written. */
static void begin_stack(struct contest *contest, uint64_t users, struct bench_result *result)
{
    const struct bench_options *options = contest->options;
    const char *missing = admission_stack_missing(options->directory);
    if (missing) {
        result_missing(result, "postgresql_redis", missing);
        return;
    }
    bench_progress("admit: users for PostgreSQL");
    char *path = database_fresh(options, "admit-stack");
    if (chmod(path, 0711) != 0)
        bench_fail("cannot let others pass %s", path);
    contest->stack = admission_stack_new(path, users, options->quick);
    free(path);
    for (unsigned i = 0; i < THREADS; i++)
        contest->clients[i] = admission_client_new(contest->stack, i);
    run_stack(contest, WARM_UP_ROUNDS * options->seconds);
}

static void end_stack(struct contest *contest)
{
    if (!contest->stack)
        return;
    for (unsigned i = 0; i < THREADS; i++)
        admission_client_free(contest->clients[i]);
    admission_stack_free(contest->stack);
    char *path = database_fresh(contest->options, "admit-stack");
    database_remove(path);
    free(path);
}

/* ---- Jini ------------------------------------------------------------------------------------ */

/* What is admitted of a rate that is offered; 0: some wait too long. */
static double offer(struct contest *contest, double per_s, struct arrivals_figures *out)
{
    arrivals_run(contest->arrivals, per_s, contest->options->seconds, out);
    admissions_settle(&contest->admissions);
    return out->p99_s < P99_MOST_S ? out->per_s : 0;
}

/* The highest rate of which none do, from that of the target up, or else down. */
static double find_sustained(struct contest *contest, double at_target)
{
    struct arrivals_figures figures;
    double sustained = at_target;
    double more = sustained;
    for (double rate = RATE + STEP; more > 0; rate += STEP) {
        sustained = more;
        more = offer(contest, rate, &figures);
    }
    for (double rate = RATE - STEP; sustained == 0 && rate > 0; rate -= STEP)
        sustained = offer(contest, rate, &figures);
    return sustained;
}

static void run_round(struct contest *contest)
{
    struct arrivals_figures figures;
    struct bench_figures before;
    bench_figures(contest->admissions.jini, &before);
    arrivals_run(contest->arrivals, RATE, contest->options->seconds, &figures);
    struct bench_figures done = bench_figures_since(contest->admissions.jini, &before);
    admissions_settle(&contest->admissions);
    double at_target = figures.p99_s < P99_MOST_S ? figures.per_s : 0;
    series_add(&contest->p50_s, figures.p50_s);
    series_add(&contest->p99_s, figures.p99_s);
    series_add(&contest->p999_s, figures.p999_s);
    series_add(&contest->pages, done.pages / done.ops);
    series_add(&contest->per_commit, done.ops / done.commits);
    series_add(&contest->commit_s, done.commit_s / done.commits);
    series_add(&contest->sustained, find_sustained(contest, at_target));
    series_add(&contest->disk_syncs,
               disk_syncs_per_s(contest->options->directory,
                                contest->options->seconds / SYNC_ROUNDS_PER_S));
    if (contest->stack)
        series_add(&contest->of_stack, run_stack(contest, contest->options->seconds));
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct contest contest = {.options = options};
    uint64_t users = bench_scaled(options, 1000000, 10000);
    uint64_t active = bench_scaled(options, 10000, 1000);
    char *prepared = database_users(options, users);
    char *path = database_clone(options, prepared, "admit");
    admissions_prepare(path, users, active);
    admissions_open(path, users, active, &contest.admissions);
    const struct arrivals_work work = admissions_work(&contest.admissions);
    contest.arrivals = arrivals_new(&work, IN_FLIGHT);
    begin_stack(&contest, users, result);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("admit: round %u", round + 1);
        run_round(&contest);
    }
    result_value(result, series_median(&contest.sustained));
    result_number(result, "p99_s", series_median(&contest.p99_s));
    result_number(result, "p50_s", series_median(&contest.p50_s));
    result_number(result, "p999_s", series_median(&contest.p999_s));
    result_number(result, "pages_per_admission", series_median(&contest.pages));
    result_number(result, "admissions_per_commit", series_median(&contest.per_commit));
    result_number(result, "commit_s", series_median(&contest.commit_s));
    result_ceiling(result, series_median(&contest.disk_syncs) * series_median(&contest.per_commit),
                   "fdatasync of 4 KiB, each for as many admissions as a commit has");
    if (contest.stack) {
        double of_stack = series_median(&contest.of_stack);
        result_peer(result, of_stack,
                    "PostgreSQL 15 and Redis 7, 64 connections: " ADMISSION_STACK);
        result_number(result, "ratio_to_postgresql_redis",
                      series_median(&contest.sustained) / of_stack);
    }
    end_stack(&contest);
    arrivals_free(contest.arrivals);
    admissions_close(&contest.admissions);
    database_remove(path);
    free(path);
    free(prepared);
}

const struct bench_case case_admit = {
    .name = "admit",
    .measures = "full admissions of 10,000 active users among 1,000,000, offered open-loop",
    .unit = "admissions/s",
    .target =
        "30,000/s with p99 under 20 ms; 10 times one PostgreSQL transaction plus one Redis call",
    .method =
        "Users are drawn at random from 10,000 of 1,000,000, spread evenly, on a tier whose limits "
        "refuse none of them. Admissions arrive one by one with random gaps, as those of a Poisson "
        "process, whether those before were answered or not, each durable and in full: rate limit, "
        "quota, parallel jobs, a credit reserved from the user's grant, the job's record, an "
        "event. The time of each counts from when it was to arrive. The value is the highest rate "
        "with a 99th percentile under 20 ms, in steps of 5,000/s from 30,000/s up, or else down; "
        "p50_s, p99_s, p999_s, pages and commits are those at 30,000/s. Jobs are settled between "
        "the rounds, which is not timed. PostgreSQL has 64 connections of as many threads, each of "
        "which makes one admission after the other, as fast as they are answered; its functions "
        "keep no ledger, no history of the wallet and no list of running jobs, and Redis keeps "
        "nothing on the disk, all of which favours them.",
    .demands = {{"value", BENCH_AT_LEAST, 30e3},
                {"p99_s", BENCH_AT_MOST, 0.02},
                {"ratio_to_postgresql_redis", BENCH_AT_LEAST, 10}},
    .shown = {"p99_s"},
    .run = measure,
};
