/*
 * write-small: small durable writes by many threads, beside a raw LMDB program that makes the same
 * ones.
 */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/disk.h"
#include "peers/lmdb.h"
#include "small_writes.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 64, IN_FLIGHT = 16, LOAD_BATCH = 10000, SYNC_ROUNDS_PER_S = 4 };

/* One distribution of keys, measured on a database of Jini and one of the raw program. */
struct contest {
    enum small_keys keys;
    uint64_t records;
    char *jini_path;
    char *raw_path;
    struct jini *jini;
    struct small_writes *writes_of_jini;
    struct raw *raw;
    unsigned raw_space;
    struct small_source raw_sources[THREADS];
    struct bench_series writes;
    struct bench_series raw_writes;
    struct bench_series syncs;
    struct bench_series raw_syncs;
    struct bench_series disk_syncs;
    struct bench_series batch;
    double longest_wait_s;
};

/* ---- The records that are there before ------------------------------------------------------- */

struct load {
    uint64_t first;
    uint64_t count;
};

static int load_some(struct jini_txn *txn, void *argument)
{
    const struct load *load = argument;
    struct small_write write;
    int status = 0;
    for (uint64_t i = 0; status == 0 && i < load->count; i++) {
        small_record(load->first + i, &write);
        status = jini_txn_put(txn, write.key, sizeof(write.key), write.value, sizeof(write.value));
    }
    return status;
}

static void load_jini(struct contest *contest)
{
    struct jini_options options;
    bench_jini_options(&options);
    options.store_sync = JINI_SYNC_NONE;
    struct jini *jini = bench_jini_open(contest->jini_path, &options);
    for (struct load load = {0, LOAD_BATCH}; load.first < contest->records;
         load.first += LOAD_BATCH) {
        struct jini_write write;
        jini_request_init(&write);
        if (load.count > contest->records - load.first)
            load.count = contest->records - load.first;
        write.function = load_some;
        write.argument = &load;
        bench_check(jini_write(jini, &write, NULL), &write.request.error, "loading records");
    }
    bench_jini_close(jini);
    database_sync(contest->jini_path);
}

static void load_raw(struct contest *contest)
{
    struct small_write write;
    struct raw *raw = raw_open(contest->raw_path, RAW_UNSYNCED);
    unsigned space = raw_space(raw, "records");
    for (uint64_t i = 0; i < contest->records; i++) {
        if (i % LOAD_BATCH == 0)
            raw_begin(raw);
        small_record(i, &write);
        raw_put(raw, space, (struct raw_bytes){write.key, sizeof(write.key)},
                (struct raw_bytes){write.value, sizeof(write.value)});
        if ((i + 1) % LOAD_BATCH == 0 || i + 1 == contest->records)
            raw_commit(raw);
    }
    raw_close(raw);
    database_sync(contest->raw_path);
}

static void begin(const struct bench_options *options, struct contest *contest)
{
    struct jini_options jini_options;
    struct small_options small = {.threads = THREADS,
                                  .in_flight = IN_FLIGHT,
                                  .keys = contest->keys,
                                  .records = contest->records};
    contest->jini_path = database_fresh(options, "write-small");
    contest->raw_path = database_fresh(options, "write-small-raw");
    if (contest->keys == SMALL_KEYS_RANDOM) {
        bench_progress("write-small: loading %llu records", (unsigned long long)contest->records);
        load_jini(contest);
        load_raw(contest);
    }
    bench_jini_options(&jini_options);
    contest->jini = bench_jini_open(contest->jini_path, &jini_options);
    contest->writes_of_jini = small_writes_new(contest->jini, &small);
    contest->raw = raw_open(contest->raw_path, RAW_SYNCED);
    contest->raw_space = raw_space(contest->raw, "records");
    for (uint32_t i = 0; i < THREADS; i++)
        contest->raw_sources[i] = (struct small_source){
            .keys = contest->keys, .stream = i, .records = contest->records, .random = i};
}

static void end(struct contest *contest)
{
    small_writes_free(contest->writes_of_jini);
    bench_jini_close(contest->jini);
    raw_close(contest->raw);
    database_remove(contest->jini_path);
    database_remove(contest->raw_path);
    free(contest->jini_path);
    free(contest->raw_path);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static uint64_t run_jini(struct contest *contest, double seconds)
{
    struct bench_figures before;
    struct submitters_figures round;
    bench_figures(contest->jini, &before);
    submitters_run(small_writes_submitters(contest->writes_of_jini), seconds, &round);
    struct bench_figures done = bench_figures_since(contest->jini, &before);
    double batch = done.ops / done.commits;
    series_add(&contest->writes, (double)round.requests / round.seconds);
    series_add(&contest->syncs, done.commits * BENCH_SYNCS_PER_COMMIT / round.seconds);
    series_add(&contest->batch, batch);
    if (round.longest_wait_s > contest->longest_wait_s)
        contest->longest_wait_s = round.longest_wait_s;
    return (uint64_t)(batch + 0.5);
}

/* One thread, `batch` writes to a commit: the submitters' streams in turn. */
static void run_raw(struct contest *contest, double seconds, uint64_t batch)
{
    struct small_write write;
    uint64_t writes = 0;
    uint64_t commits = 0;
    uint64_t begin_ns = bench_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    while (bench_now_ns() < end_ns || commits == 0) {
        raw_begin(contest->raw);
        for (uint64_t i = 0; i < batch; i++) {
            small_next(&contest->raw_sources[writes++ % THREADS], &write);
            raw_put(contest->raw, contest->raw_space,
                    (struct raw_bytes){write.key, sizeof(write.key)},
                    (struct raw_bytes){write.value, sizeof(write.value)});
        }
        raw_commit(contest->raw);
        commits++;
    }
    double took_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    series_add(&contest->raw_writes, (double)writes / took_s);
    series_add(&contest->raw_syncs, (double)commits * BENCH_SYNCS_PER_COMMIT / took_s);
}

static void run(const struct bench_options *options, struct contest *contest)
{
    begin(options, contest);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("write-small: round %u, %s keys", round + 1,
                       contest->keys == SMALL_KEYS_RANDOM ? "random" : "appended");
        uint64_t batch = run_jini(contest, options->seconds);
        run_raw(contest, options->seconds, batch);
        series_add(&contest->disk_syncs,
                   disk_syncs_per_s(options->directory, options->seconds / SYNC_ROUNDS_PER_S));
    }
    end(contest);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct contest *streams = bench_alloc(1, sizeof(*streams));
    struct contest *scattered = bench_alloc(1, sizeof(*scattered));
    streams->keys = SMALL_KEYS_STREAMS;
    scattered->keys = SMALL_KEYS_RANDOM;
    scattered->records = bench_scaled(options, 1000000, 1000);
    run(options, streams);
    run(options, scattered);
    double writes = series_median(&streams->writes);
    double raw_writes = series_median(&streams->raw_writes);
    result_value(result, writes);
    result_ceiling(result, series_median(&streams->disk_syncs) * THREADS * IN_FLIGHT,
                   "fdatasync of 4 KiB, each for as many writes as are in flight");
    result_peer(result, raw_writes,
                "LMDB used directly by one thread, with batches of the same size");
    result_number(result, "ratio_to_raw_lmdb", writes / raw_writes);
    result_number(result, "syncs_per_s", series_median(&streams->syncs));
    result_number(result, "peer_syncs_per_s", series_median(&streams->raw_syncs));
    result_number(result, "disk_syncs_per_s", series_median(&streams->disk_syncs));
    result_number(result, "writes_per_commit", series_median(&streams->batch));
    result_number(result, "longest_wait_s", streams->longest_wait_s);
    writes = series_median(&scattered->writes);
    raw_writes = series_median(&scattered->raw_writes);
    result_number(result, "random_value", writes);
    result_number(result, "random_peer", raw_writes);
    result_number(result, "random_ratio_to_raw_lmdb", writes / raw_writes);
    result_number(result, "random_syncs_per_s", series_median(&scattered->syncs));
    result_number(result, "random_peer_syncs_per_s", series_median(&scattered->raw_syncs));
    result_number(result, "random_disk_syncs_per_s", series_median(&scattered->disk_syncs));
    result_number(result, "random_writes_per_commit", series_median(&scattered->batch));
    result_number(result, "random_longest_wait_s", scattered->longest_wait_s);
    free(streams);
    free(scattered);
}

const struct bench_case case_write_small = {
    .name = "write-small",
    .measures = "durable writes of 76 bytes by 64 threads with 16 in flight each",
    .unit = "writes/s",
    .target = "100,000/s, and 0.6 of a raw LMDB program with the same keys, values, key "
              "distribution, size and syncs",
    .method = "64 threads keep 16 jini_write() requests each under way, with store.sync=full; a "
              "callback on the engine's loop "
              "hands a request back to its thread, which sends the next. A write puts one record, "
              "a key of 12 bytes and a value of "
              "64. The value is of writes that append, each thread to a stream of its own; the "
              "fields random_... are of writes "
              "that each replace one of 1,000,000 records, drawn at random, which dirties a page "
              "for almost every write. The raw "
              "program is one thread that puts the same records into LMDB, in batches as large as "
              "Jini's commits were on average in the "
              "round before, so that both ask for as many syncs.",
    .demands = {{"value", BENCH_AT_LEAST, 100e3}, {"ratio_to_raw_lmdb", BENCH_AT_LEAST, 0.6}},
    .run = measure,
};
