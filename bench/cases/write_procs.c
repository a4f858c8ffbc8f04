/* write-procs: four processes that write at once, and how fairly the write lock is handed over. */
#include "cases/cases.h"
#include "database.h"
#include "engine.h"
#include "peers/disk.h"
#include "peers/lmdb.h"
#include "small_writes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PROCESSES = 4, THREADS = 8, IN_FLIGHT = 4, LIGHT = 0 };

/*
 * EQUAL: all processes write as much as they can. LIGHT_ONE: one of them has a single write under
 * way. RAW: all put batches of the same size through LMDB's own lock.
 */
enum crowd { CROWD_EQUAL, CROWD_LIGHT_ONE, CROWD_RAW };

/* Shared by the processes. */
struct board {
    _Atomic uint32_t ready;
    _Atomic uint32_t go;
    _Atomic uint32_t finished;
    double seconds;
    uint64_t raw_batch;
    double writes_per_s[PROCESSES];
    double longest_wait_s[PROCESSES];
    double commits_per_s[PROCESSES];
};

static void wait_for(_Atomic uint32_t *number, uint32_t wanted)
{
    while (atomic_load(number) < wanted)
        bench_sleep(0.001);
}

/* ---- In each process ------------------------------------------------------------------------- */

static void write_jini(struct board *board, const char *path, enum crowd crowd, unsigned self)
{
    struct jini_options options;
    struct submitters_figures round;
    struct bench_figures before;
    bool light = crowd == CROWD_LIGHT_ONE && self == LIGHT;
    struct small_options small_options = {.threads = light ? 1 : THREADS,
                                          .in_flight = light ? 1 : IN_FLIGHT,
                                          .keys = SMALL_KEYS_STREAMS,
                                          .stream_first = self * SUBMITTERS_MAX};
    bench_jini_options(&options);
    struct jini *jini = bench_jini_open(path, &options);
    struct small_writes *writes = small_writes_new(jini, &small_options);
    atomic_fetch_add(&board->ready, 1);
    wait_for(&board->go, 1);
    bench_figures(jini, &before);
    submitters_run(small_writes_submitters(writes), board->seconds, &round);
    struct bench_figures done = bench_figures_since(jini, &before);
    board->writes_per_s[self] = (double)round.requests / round.seconds;
    board->longest_wait_s[self] = round.longest_wait_s;
    board->commits_per_s[self] = done.commits / round.seconds;
    small_writes_free(writes);
    atomic_fetch_add(&board->finished, 1);
    wait_for(&board->finished, PROCESSES);
    bench_jini_close(jini);
}

static void write_raw(struct board *board, const char *path, unsigned self)
{
    struct small_write write;
    struct small_source source = {.keys = SMALL_KEYS_STREAMS, .stream = self};
    struct raw *raw = raw_open(path, RAW_SYNCED);
    unsigned space = raw_space(raw, "records");
    uint64_t commits = 0;
    atomic_fetch_add(&board->ready, 1);
    wait_for(&board->go, 1);
    uint64_t begin_ns = bench_now_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(board->seconds * 1e9);
    uint64_t longest_ns = 0;
    for (uint64_t last_ns = begin_ns; last_ns < end_ns; commits++) {
        raw_begin(raw);
        for (uint64_t i = 0; i < board->raw_batch; i++) {
            small_next(&source, &write);
            raw_put(raw, space, (struct raw_bytes){write.key, sizeof(write.key)},
                    (struct raw_bytes){write.value, sizeof(write.value)});
        }
        raw_commit(raw);
        uint64_t now_ns = bench_now_ns();
        longest_ns = now_ns - last_ns > longest_ns ? now_ns - last_ns : longest_ns;
        last_ns = now_ns;
    }
    double took_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    board->writes_per_s[self] = (double)(commits * board->raw_batch) / took_s;
    board->commits_per_s[self] = (double)commits / took_s;
    board->longest_wait_s[self] = (double)longest_ns / 1e9;
    raw_close(raw);
}

/* ---- In the process that watches ------------------------------------------------------------- */

struct crowd_figures {
    double fairness; /* the slowest by the mean */
    double writes_per_s;
    double commits_per_s;
    double writes_per_commit;
    double longest_wait_s;
    double light_writes_per_s;
    double light_longest_wait_s;
};

static void sum_up(const struct board *board, struct crowd_figures *out)
{
    double least = board->writes_per_s[0];
    *out = (struct crowd_figures){.light_writes_per_s = board->writes_per_s[LIGHT],
                                  .light_longest_wait_s = board->longest_wait_s[LIGHT]};
    for (int i = 0; i < PROCESSES; i++) {
        out->writes_per_s += board->writes_per_s[i];
        out->commits_per_s += board->commits_per_s[i];
        least = board->writes_per_s[i] < least ? board->writes_per_s[i] : least;
        if (board->longest_wait_s[i] > out->longest_wait_s)
            out->longest_wait_s = board->longest_wait_s[i];
    }
    out->fairness = least / (out->writes_per_s / PROCESSES);
    out->writes_per_commit = out->commits_per_s > 0 ? out->writes_per_s / out->commits_per_s : 0;
}

static void run(const char *path, enum crowd crowd, double seconds, uint64_t raw_batch,
                struct crowd_figures *out)
{
    struct board *board = bench_share(sizeof(*board));
    board->seconds = seconds;
    board->raw_batch = raw_batch;
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (bench_fork() > 0)
            continue;
        if (crowd == CROWD_RAW)
            write_raw(board, path, i);
        else
            write_jini(board, path, crowd, i);
        _exit(0);
    }
    while (atomic_load(&board->ready) < PROCESSES) {
        bench_fail_if_child_ended();
        bench_sleep(0.001);
    }
    atomic_store(&board->go, 1);
    bench_wait_children(PROCESSES);
    sum_up(board, out);
    munmap(board, sizeof(*board));
}

/* The figures of one kind of crowd over the rounds. */
struct crowd_series {
    struct bench_series fairness;
    struct bench_series writes;
    struct bench_series commits;
    double longest_wait_s;
    struct bench_series light_writes;
    double light_longest_wait_s;
};

static void keep(struct crowd_series *series, const struct crowd_figures *figures)
{
    series_add(&series->fairness, figures->fairness);
    series_add(&series->writes, figures->writes_per_s);
    series_add(&series->commits, figures->commits_per_s);
    series_add(&series->light_writes, figures->light_writes_per_s);
    if (figures->longest_wait_s > series->longest_wait_s)
        series->longest_wait_s = figures->longest_wait_s;
    if (figures->light_longest_wait_s > series->light_longest_wait_s)
        series->light_longest_wait_s = figures->light_longest_wait_s;
}

static void report(struct crowd_series series[], const struct bench_series *disk,
                   struct bench_result *result)
{
    const struct crowd_series *equal = &series[CROWD_EQUAL];
    const struct crowd_series *raw = &series[CROWD_RAW];
    const struct crowd_series *light = &series[CROWD_LIGHT_ONE];
    result_value(result, series_median(&equal->fairness));
    result_ceiling(result, 1, "all processes get the same");
    result_peer(result, series_median(&raw->fairness), "four processes behind LMDB's own lock");
    result_number(result, "longest_wait_s", equal->longest_wait_s);
    result_number(result, "peer_longest_wait_s", raw->longest_wait_s);
    result_number(result, "value_least", series_least(&equal->fairness));
    result_number(result, "writes_per_s", series_median(&equal->writes));
    result_number(result, "peer_writes_per_s", series_median(&raw->writes));
    result_number(result, "syncs_per_s", series_median(&equal->commits) * BENCH_SYNCS_PER_COMMIT);
    result_number(result, "peer_syncs_per_s",
                  series_median(&raw->commits) * BENCH_SYNCS_PER_COMMIT);
    result_number(result, "disk_syncs_per_s", series_median(disk));
    result_number(result, "light_writer_writes_per_s", series_median(&light->light_writes));
    result_number(result, "light_writer_longest_wait_s", light->light_longest_wait_s);
}

static void measure(const struct bench_options *options, struct bench_result *result)
{
    struct crowd_series series[3] = {0};
    struct bench_series disk = {0};
    char *path = database_fresh(options, "write-procs");
    char *raw_path = database_fresh(options, "write-procs-raw");
    for (unsigned round = 0; round < bench_rounds(options); round++) {
        struct crowd_figures figures;
        bench_progress("write-procs: round %u", round + 1);
        run(path, CROWD_EQUAL, options->seconds, 0, &figures);
        keep(&series[CROWD_EQUAL], &figures);
        uint64_t batch = (uint64_t)(figures.writes_per_commit + 0.5);
        run(raw_path, CROWD_RAW, options->seconds, batch ? batch : 1, &figures);
        keep(&series[CROWD_RAW], &figures);
        run(path, CROWD_LIGHT_ONE, options->seconds, 0, &figures);
        keep(&series[CROWD_LIGHT_ONE], &figures);
        series_add(&disk, disk_syncs_per_s(options->directory, options->seconds / 4));
    }
    report(series, &disk, result);
    database_remove(path);
    database_remove(raw_path);
    free(raw_path);
    free(path);
}

const struct bench_case case_write_procs = {
    .name = "write-procs",
    .measures = "four processes writing at once: what the slowest gets of the mean",
    .unit = "ratio",
    .target = "the slowest gets half of the mean; longest wait printed",
    .method = "Four processes have one database open; in each, 8 threads keep 4 durable writes "
              "under way. The value is the "
              "slowest process's writes by the mean of the four; longest_wait_s is the longest "
              "time from submit to "
              "acknowledgement of any write in any process. The raw program is four processes that "
              "put batches of the same size "
              "through LMDB's own lock. light_writer_... are of a process with one write under way "
              "beside three busy ones.",
    .demands = {{"value", BENCH_AT_LEAST, 0.5}},
    .shown = {"longest_wait_s"},
    .run = measure,
};
