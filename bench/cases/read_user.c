/* read-user: users by id, beside a raw LMDB program that reads the same records. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/lmdb.h"

#include <stdlib.h>

enum { RECORD_MAX = 4096, READS_AT_ONCE = 1000 };

/* The space of users in LMDB, as core/store/spaces.h pins it. */
static const char users_space[] = "users";

struct readers {
    struct jini *jini;
    struct raw *raw;
    unsigned space;
    uint64_t users;
    uint64_t random;
    uint64_t record_bytes;
};

static void read_some_jini(struct readers *readers)
{
    struct jini_user user;
    struct jini_error error;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        uint64_t id = 1 + bench_random_below(&readers->random, readers->users);
        int status = jini_user_get(readers->jini, id, &user, &error);
        if (status || user.id != id)
            bench_check(status ? status : JINI_E_CORRUPT, &error, "reading a user");
    }
}

static void read_some_raw(struct readers *readers)
{
    uint8_t record[RECORD_MAX];
    uint8_t key[RAW_NUMBER_BYTES];
    for (int i = 0; i < READS_AT_ONCE; i++) {
        uint64_t number = 1 + bench_random_below(&readers->random, readers->users);
        readers->record_bytes +=
            raw_get(readers->raw, readers->space, raw_number(number, key), record, sizeof(record));
    }
}

static void find_some_raw(struct readers *readers)
{
    uint8_t key[RAW_NUMBER_BYTES];
    for (int i = 0; i < READS_AT_ONCE; i++) {
        uint64_t number = 1 + bench_random_below(&readers->random, readers->users);
        readers->record_bytes += raw_find(readers->raw, readers->space, raw_number(number, key));
    }
}

static double run(struct readers *readers, void (*read_some)(struct readers *), double seconds)
{
    uint64_t reads = 0;
    uint64_t begin = bench_now_ns();
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    while (bench_now_ns() < end || reads == 0) {
        read_some(readers);
        reads += READS_AT_ONCE;
    }
    return (double)reads / ((double)(bench_now_ns() - begin) / 1e9);
}

/* A database of the raw program with the records of the users, byte for byte. */
static void copy_records(struct readers *readers, const char *path, const char *raw_path)
{
    struct raw *from = raw_open(path, RAW_READ_ONLY);
    readers->raw = raw_open(raw_path, RAW_UNSYNCED);
    readers->space = raw_space(readers->raw, users_space);
    uint64_t records =
        raw_copy_values(readers->raw, readers->space, from, raw_space(from, users_space));
    if (records < readers->users)
        bench_fail("the space of users has %llu records, not %llu", (unsigned long long)records,
                   (unsigned long long)readers->users);
    raw_close(from);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct jini_options jini_options;
    struct bench_series rates = {0};
    struct bench_series raw_rates = {0};
    struct bench_series found = {0};
    struct bench_series ratios = {0};
    struct readers readers = {.users = bench_scaled(options, 1000000, 1000), .random = 1};
    char *prepared = database_users(options, readers.users);
    char *path = database_clone(options, prepared, "read-user");
    char *raw_path = database_fresh(options, "read-user-raw");
    copy_records(&readers, path, raw_path);
    bench_jini_options(&jini_options);
    readers.jini = bench_jini_open(path, &jini_options);
    run(&readers, read_some_jini, options->seconds / 2);
    run(&readers, read_some_raw, options->seconds / 2);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("read-user: round %u", round + 1);
        series_add(&rates, run(&readers, read_some_jini, options->seconds));
        series_add(&raw_rates, run(&readers, read_some_raw, options->seconds));
        series_add(&found, run(&readers, find_some_raw, options->seconds / 4));
        raw_find_end(readers.raw);
        series_add(&ratios, rates.values[round] / raw_rates.values[round]);
    }
    bench_jini_close(readers.jini);
    raw_close(readers.raw);
    database_remove(path);
    database_remove(raw_path);
    free(raw_path);
    free(path);
    free(prepared);
    result_value(result, series_median(&ratios));
    result_figure(result, series_median(&rates), "reads/s");
    result_peer(result, series_median(&raw_rates),
                "mdb_txn_renew, mdb_get of the same record, a copy of its bytes, mdb_txn_reset");
    result_ceiling(result, series_median(&found), "mdb_get alone, on one snapshot that stays open");
    result_number(result, "ratio_least", series_least(&ratios));
    result_number(result, "ratio_most", series_most(&ratios));
    result_count(result, "users", readers.users);
}

const struct bench_case case_read_user = {
    .name = "read-user",
    .measures = "users by id, decoded, of 1,000,000",
    .unit = "ratio",
    .target = "0.6 of raw mdb_get with renewed transaction and copy",
    .method = "jini_user_get() by one thread with ids drawn at random; each call opens a snapshot "
              "of its own and decodes the record "
              "into a struct jini_user. The raw program has the same records, byte for byte, in an "
              "LMDB database of its own "
              "under keys of 4 bytes; it renews its read transaction for each, copies the record "
              "and resets the transaction. Both "
              "databases are in the page cache. The value is the median of the ratios of rounds "
              "that follow each other.",
    .demands = {{"value", BENCH_AT_LEAST, 0.6}},
    .run = measure,
};
