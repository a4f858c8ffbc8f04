/*
 * admit-mixed: the admissions of `admit` while another process makes transfers in the largest
 * batches, lets pending ones expire, puts images and tiers them.
 */
#include "admissions.h"
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "jini_ledger.h"
#include "peers/disk.h"
#include "pictures.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    IN_FLIGHT = 8192,
    ACCOUNTS = 10000,
    PENDING_EVERY = 16, /* of the transfers: one is left to expire */
    PENDING_S = 1,
    PICTURE_BYTES = 100000,
    PICTURES = 16, /* put between two runs of tiering */
    SYNC_ROUNDS_PER_S = 4
};
#define RATE       30000.0
#define P99_MOST_S 0.06

/* What the processes share. */
struct board {
    _Atomic bool ready;
    _Atomic bool stop;
    _Atomic uint64_t batches;
    _Atomic uint64_t images;
    _Atomic uint64_t runs;
};

/* ---- The other process ----------------------------------------------------------------------- */

struct other {
    struct board *board;
    struct jini *jini;
};

static void make_batch(struct other *other, struct transfer_source *source)
{
    static struct transfer transfers[TRANSFERS_BATCH];
    static struct jini_transfer described[TRANSFERS_BATCH];
    static struct jini_transfer_reply replies[TRANSFERS_BATCH];
    struct jini_transfers_create create;
    transfers_next(source, TRANSFERS_SPREAD, transfers, TRANSFERS_BATCH);
    for (uint32_t i = 0; i < TRANSFERS_BATCH; i++) {
        jini_ledger_describe(&transfers[i], &described[i]);
        if (i % PENDING_EVERY == 0) {
            described[i].flags = JINI_TRANSFER_PENDING;
            described[i].timeout = PENDING_S;
        }
    }
    jini_request_init(&create);
    create.transfers = described;
    create.replies = replies;
    create.count = TRANSFERS_BATCH;
    bench_check(jini_transfers_create(other->jini, &create, NULL), &create.request.error,
                "making transfers");
    if (create.created != TRANSFERS_BATCH)
        bench_fail("%u of %u transfers were made", create.created, TRANSFERS_BATCH);
    atomic_fetch_add(&other->board->batches, 1);
}

static void put_some(struct other *other, struct picture *picture, uint64_t *number)
{
    for (int i = 0; i < PICTURES; i++) {
        struct jini_image_put put;
        jini_request_init(&put);
        picture_number(picture, ++*number);
        put.bytes = picture->bytes;
        put.length = picture->length;
        put.user_id = 1;
        bench_check(jini_image_put(other->jini, &put, NULL), &put.request.error, "an image");
        atomic_fetch_add(&other->board->images, 1);
    }
}

static void *tier(void *argument)
{
    struct other *other = argument;
    struct picture picture;
    uint64_t number = 0;
    picture_make(&picture, PICTURE_BYTES, 1);
    while (!atomic_load(&other->board->stop)) {
        struct jini_archive_run run;
        put_some(other, &picture, &number);
        jini_request_init(&run);
        run.flags = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT;
        int status = jini_archive_run(other->jini, &run, NULL);
        if (status != JINI_E_LOCKED) /* the background's run is at it */
            bench_check(status, &run.request.error, "tiering");
        atomic_fetch_add(&other->board->runs, 1);
    }
    picture_free(&picture);
    return NULL;
}

static void run_other(struct board *board, const char *path)
{
    struct jini_options options;
    pthread_t thread;
    bench_jini_options(&options);
    options.background_run = 1;
    options.request_timeout_ms = 60000;
    struct other other = {.board = board, .jini = bench_jini_open(path, &options)};
    struct transfer_source source = transfers_from_now(ACCOUNTS);
    if (pthread_create(&thread, NULL, tier, &other) != 0)
        bench_fail("cannot start a thread");
    atomic_store(&board->ready, true);
    while (!atomic_load(&board->stop))
        make_batch(&other, &source);
    pthread_join(thread, NULL);
    bench_jini_close(other.jini);
    _exit(0);
}

/* ---- This one -------------------------------------------------------------------------------- */

static void add_accounts(const char *path)
{
    struct jini_ledger *ledger = jini_ledger_open(path, ACCOUNTS, true);
    jini_ledger_add_accounts(ledger);
    jini_ledger_close(ledger);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct bench_series p50_s = {0};
    struct bench_series p99_s = {0};
    struct bench_series per_s = {0};
    struct bench_series disk_syncs = {0};
    struct arrivals_figures figures;
    struct admissions admissions;
    struct board *board = bench_share(sizeof(*board));
    uint64_t users = bench_scaled(options, 1000000, 10000);
    uint64_t active = bench_scaled(options, 10000, 1000);
    char *prepared = database_users(options, users);
    char *path = database_clone(options, prepared, "admit-mixed");
    admissions_prepare(path, users, active);
    add_accounts(path);
    if (bench_fork() == 0)
        run_other(board, path);
    while (!atomic_load(&board->ready)) {
        bench_fail_if_child_ended();
        bench_sleep(0.001);
    }
    admissions_open(path, users, active, &admissions);
    const struct arrivals_work work = admissions_work(&admissions);
    struct arrivals *arrivals = arrivals_new(&work, IN_FLIGHT);
    uint64_t begin_ns = bench_now_ns();
    uint64_t batches = atomic_load(&board->batches);
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        bench_progress("admit-mixed: round %u", round + 1);
        arrivals_run(arrivals, RATE, options->seconds, &figures);
        series_add(&p50_s, figures.p50_s);
        series_add(&p99_s, figures.p99_s);
        series_add(&per_s, figures.per_s);
        admissions_settle(&admissions);
        series_add(&disk_syncs,
                   disk_syncs_per_s(options->directory, options->seconds / SYNC_ROUNDS_PER_S));
        bench_fail_if_child_ended();
    }
    double took_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    result_value(result, series_median(&p99_s));
    result_ceiling(result, 1 / series_median(&disk_syncs),
                   "fdatasync of 4 KiB, beside the other process");
    result_number(result, "p50_s", series_median(&p50_s));
    result_number(result, "admissions_per_s", series_median(&per_s));
    result_number(result, "batches_per_s",
                  (double)(atomic_load(&board->batches) - batches) / took_s);
    result_number(result, "images_per_s", (double)atomic_load(&board->images) / took_s);
    result_count(result, "tiering_runs", atomic_load(&board->runs));
    atomic_store(&board->stop, true);
    bench_wait_children(1);
    arrivals_free(arrivals);
    admissions_close(&admissions);
    database_remove(path);
    free(path);
    free(prepared);
}

const struct bench_case case_admit_mixed = {
    .name = "admit-mixed",
    .measures =
        "full admissions while a second process makes batches of transfers, expires and tiers",
    .unit = "s",
    .target = "p99 under 60 ms at 30,000/s",
    .method =
        "Admissions as in `admit`, 30,000 a second, while a second process on the same database "
        "makes transfers between 10,000 accounts, 8,190 to a batch and one batch after the other, "
        "of "
        "which every 16th is left pending and expires after a second, and beside them puts images "
        "of 100 KB and has each 16 of them archived and their hot copies freed. Background work of "
        "that process is on. The value is the 99th percentile of the time from the scheduled "
        "arrival of an admission to its answer; the median of the rounds.",
    .demands = {{"value", BENCH_AT_MOST, P99_MOST_S}},
    .shown = {"admissions_per_s", "batches_per_s"},
    .run = measure,
};
