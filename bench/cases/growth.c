/* growth: what an admission costs with a hundred times as many users, in pages and in time. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "generations.h"
#include "peers/lmdb.h"
#include "peers/service.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    IN_FLIGHT = 512,
    BATCH = 64, /* writes of a commit; more than that are always waiting */
    HISTORY_PER_USER =
        10, /* generations of the small database before; as many altogether in the large one */
    MEASURED_PER_USER = 2,    /* of the small database, over all rounds */
    SINGLE_SHARE = 10,        /* one in so many of a round is measured alone */
    SINGLE_GENERATIONS = 1000 /* where the history grows with the users */
};

enum size { SMALL, LARGE, SIZES };

/* Jini's and the raw program's database of one size, and what was measured on them. */
struct contestant {
    uint64_t users;
    char *path;
    char *raw_path;
    struct jini *jini;
    struct service *raw;
    struct bench_series pages; /* per write, each in a commit of its own */
    struct bench_series raw_pages;
    struct bench_series batch_pages; /* per write, in commits of many */
    struct bench_series raw_batch_pages;
    struct bench_series batch_s; /* per write */
    struct bench_series raw_batch_s;
    struct bench_series batch;
};

static void begin(const struct bench_options *options, struct contestant *contestant,
                  uint64_t users, uint64_t generations)
{
    struct jini_options jini_options;
    char name[64];
    contestant->users = users;
    char *prepared = database_generations(options, users, generations);
    snprintf(name, sizeof(name), "growth-%llu", (unsigned long long)users);
    contestant->path = database_clone(options, prepared, name);
    snprintf(name, sizeof(name), "growth-raw-%llu", (unsigned long long)users);
    contestant->raw_path = database_fresh(options, name);
    bench_jini_options(&jini_options);
    jini_options.store_sync = JINI_SYNC_NONE;
    jini_options.store_batch_ops_max = BATCH;
    contestant->jini = bench_jini_open(contestant->path, &jini_options);
    bench_progress("growth: %llu users of the raw program", (unsigned long long)users);
    contestant->raw = service_new(contestant->raw_path, users, generations);
    free(prepared);
}

static void end(struct contestant *contestant)
{
    bench_jini_close(contestant->jini);
    service_free(contestant->raw);
    database_remove(contestant->path);
    database_remove(contestant->raw_path);
    free(contestant->path);
    free(contestant->raw_path);
}

/* Admissions and settlings; pages per write, and seconds per write if asked for. */
static double run_jini(struct contestant *contestant, uint64_t count, unsigned in_flight,
                       uint64_t *random, double *seconds, double *batch)
{
    struct bench_figures before;
    struct generations generations = {.jini = contestant->jini,
                                      .users = contestant->users,
                                      .count = count,
                                      .in_flight = in_flight,
                                      .random = random};
    bench_figures(contestant->jini, &before);
    uint64_t begin_ns = bench_now_ns();
    generations_run(&generations);
    double took_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    struct bench_figures done = bench_figures_since(contestant->jini, &before);
    *seconds = took_s / done.ops;
    *batch = done.ops / done.commits;
    return done.pages / done.ops;
}

static double run_raw(struct contestant *contestant, uint64_t count, double batch, double *seconds)
{
    enum { PAGE_BYTES = 4096, WRITES = 2 };
    uint64_t before = raw_bytes_written();
    uint64_t begin_ns = bench_now_ns();
    service_run(contestant->raw, count, (uint64_t)(batch + 0.5));
    *seconds = (double)(bench_now_ns() - begin_ns) / 1e9 / (double)(WRITES * count);
    return (double)(raw_bytes_written() - before) / PAGE_BYTES / (double)(WRITES * count);
}

static void run_round(struct contestant *contestant, uint64_t count, uint64_t *random)
{
    double seconds;
    double batch;
    uint64_t single = count / SINGLE_SHARE;
    series_add(&contestant->pages, run_jini(contestant, single, 1, random, &seconds, &batch));
    series_add(&contestant->raw_pages, run_raw(contestant, single, 1, &seconds));
    series_add(&contestant->batch_pages,
               run_jini(contestant, count, IN_FLIGHT, random, &seconds, &batch));
    series_add(&contestant->batch_s, seconds);
    series_add(&contestant->batch, batch);
    series_add(&contestant->raw_batch_pages, run_raw(contestant, count, batch, &seconds));
    series_add(&contestant->raw_batch_s, seconds);
}

/* How many times as much the large database takes. */
static double grown(const struct bench_series *small, const struct bench_series *large)
{
    return series_median(large) / series_median(small);
}

static void report(const struct contestant *small, const struct contestant *large,
                   struct bench_result *result)
{
    double time = grown(&small->batch_s, &large->batch_s);
    double raw_time = grown(&small->raw_batch_s, &large->raw_batch_s);
    result_value(result, grown(&small->pages, &large->pages));
    result_ceiling(result, grown(&small->raw_pages, &large->raw_pages),
                   "the growth of a raw LMDB program with the same puts");
    result_number(result, "time_loss_to_raw_lmdb", time / raw_time);
    result_number(result, "time_loss", time);
    result_number(result, "raw_time_loss", raw_time);
    result_number(result, "pages_per_write_small", series_median(&small->pages));
    result_number(result, "pages_per_write_large", series_median(&large->pages));
    result_number(result, "raw_pages_per_write_small", series_median(&small->raw_pages));
    result_number(result, "raw_pages_per_write_large", series_median(&large->raw_pages));
    result_number(result, "batch_pages_growth", grown(&small->batch_pages, &large->batch_pages));
    result_number(result, "raw_batch_pages_growth",
                  grown(&small->raw_batch_pages, &large->raw_batch_pages));
    result_number(result, "batch_pages_per_write_small", series_median(&small->batch_pages));
    result_number(result, "batch_pages_per_write_large", series_median(&large->batch_pages));
    result_number(result, "raw_batch_pages_per_write_small",
                  series_median(&small->raw_batch_pages));
    result_number(result, "raw_batch_pages_per_write_large",
                  series_median(&large->raw_batch_pages));
    result_number(result, "batch_s_per_write_small", series_median(&small->batch_s));
    result_number(result, "batch_s_per_write_large", series_median(&large->batch_s));
    result_number(result, "raw_batch_s_per_write_small", series_median(&small->raw_batch_s));
    result_number(result, "raw_batch_s_per_write_large", series_median(&large->raw_batch_s));
    result_number(result, "writes_per_commit_small", series_median(&small->batch));
    result_number(result, "writes_per_commit_large", series_median(&large->batch));
}

/* Pages per write where the history grows with the users: each has had one generation. */
static double with_history(const struct bench_options *options, uint64_t users, uint64_t *random)
{
    double seconds;
    double batch;
    struct contestant contestant = {0};
    begin(options, &contestant, users, users);
    double pages = run_jini(&contestant, SINGLE_GENERATIONS, 1, random, &seconds, &batch);
    end(&contestant);
    return pages;
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct contestant contestants[SIZES] = {0};
    uint64_t random = 1;
    unsigned rounds = bench_rounds(options);
    uint64_t small = bench_scaled(options, 10000, 200);
    uint64_t large = bench_scaled(options, 1000000, 5000);
    double history = with_history(options, large, &random) / with_history(options, small, &random);
    begin(options, &contestants[SMALL], small, small * HISTORY_PER_USER);
    begin(options, &contestants[LARGE], large, small * HISTORY_PER_USER);
    uint64_t count = small * MEASURED_PER_USER / rounds;
    for (unsigned round = 0; round < rounds; round++) {
        for (int i = 0; i < SIZES; i++) {
            bench_progress("growth: round %u, %llu users", round + 1,
                           (unsigned long long)contestants[i].users);
            run_round(&contestants[i], count, &random);
        }
    }
    report(&contestants[SMALL], &contestants[LARGE], result);
    result_number(result, "pages_growth_with_history", history);
    end(&contestants[SMALL]);
    end(&contestants[LARGE]);
}

const struct bench_case case_growth = {
    .name = "growth",
    .measures = "pages dirtied per write of an admission at 1,000,000 users, by those at 10,000",
    .unit = "ratio",
    .target = "pages at most 1.2; time at most 1.3 times what the raw LMDB program loses",
    .method = "A generation is two writes: jini_admit() of a random user, and jini_settle(). The "
              "value is how many times as many "
              "pages each dirties in a commit of its own (store_pages_written by store_ops of the "
              "metrics), with 1,000,000 users "
              "against 10,000, and 100,000 generations on record in both; "
              "pages_growth_with_history is the same where the history "
              "grows with the users, one generation each, so that the tree of jobs is higher as "
              "well. Time is measured in commits of 64 writes. There "
              "(batch_...) each write of a random user dirties the leaf of that user and, the more "
              "users there are, the "
              "branch page above it as well, which it shares with others in a small database; the "
              "raw program shows the same. "
              "The raw program is one thread that puts rows of the same sizes into three LMDB "
              "databases, in commits of as many "
              "writes. Without syncs, so that the time of the disk does not hide what is compared.",
    .demands = {{"value", BENCH_AT_MOST, 1.2}, {"time_loss_to_raw_lmdb", BENCH_AT_MOST, 1.3}},
    .run = measure,
};
