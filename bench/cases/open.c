/* open: how long it takes to open a large database. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/lmdb.h"

#include <stdlib.h>

enum { OPENS_WARM = 15, OPENS_COLD = 5, OPENS_QUICK = 3 };

static double open_once(const char *path)
{
    struct jini_options options;
    bench_jini_options(&options);
    options.create = 0;
    uint64_t begin = bench_now_ns();
    struct jini *jini = bench_jini_open(path, &options);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    bench_jini_close(jini);
    return seconds;
}

/* LMDB alone: mapping the file and finding one space. */
static double open_raw(const char *path)
{
    uint64_t begin = bench_now_ns();
    struct raw *raw = raw_open(path, RAW_READ_ONLY);
    raw_space(raw, "users");
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    raw_close(raw);
    return seconds;
}

static void measure_small(const struct bench_options *options, unsigned opens,
                          struct bench_result *result)
{
    struct bench_series times = {0};
    char *prepared = database_users(options, bench_scaled(options, 10000, 100));
    char *path = database_clone(options, prepared, "open-small");
    for (unsigned i = 0; i < opens; i++)
        series_add(&times, open_once(path));
    result_number(result, "small_database_s", series_median(&times));
    database_remove(path);
    free(path);
    free(prepared);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct bench_series warm = {0}, cold = {0}, raw = {0};
    uint64_t users = bench_scaled(options, 1000000, 1000);
    unsigned opens = options->quick ? OPENS_QUICK : OPENS_WARM;
    char *prepared = database_generations(options, users, users);
    char *path = database_clone(options, prepared, "open");
    bench_progress("open");
    result_number(result, "first_open_s", open_once(path));
    for (unsigned i = 0; i < opens; i++) {
        series_add(&warm, open_once(path));
        series_add(&raw, open_raw(path));
    }
    for (unsigned i = 0; i < (options->quick ? OPENS_QUICK : OPENS_COLD); i++) {
        database_drop_caches(path);
        series_add(&cold, open_once(path));
    }
    result_value(result, series_median(&warm));
    result_ceiling(result, series_median(&raw),
                   "LMDB used directly: mdb_env_open and mdb_dbi_open");
    result_number(result, "cold_s", series_median(&cold));
    result_number(result, "cold_most_s", series_most(&cold));
    result_number(result, "value_most", series_most(&warm));
    result_count(result, "database_bytes", database_bytes(path));
    result_count(result, "users", users);
    measure_small(options, opens, result);
    database_remove(path);
    free(path);
    free(prepared);
}

const struct bench_case case_open = {
    .name = "open",
    .measures = "opening a database with 1,000,000 users and 1,000,000 generations",
    .unit = "s",
    .target = "under 50 ms, whatever its size",
    .method = "jini_open() until it returns; the value is the median of opens with the files in "
              "the page cache. cold_s is the "
              "median after the system was told to forget the files of the database; first_open_s "
              "the first open of a copy, "
              "which makes the files that processes share; small_database_s the same as the value "
              "with 10,000 users.",
    .demands = {{"value", BENCH_AT_MOST, 0.05}, {"cold_s", BENCH_AT_MOST, 0.05}},
    .run = measure,
};
