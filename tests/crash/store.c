/*
 * Processes that write are killed at random points; what they had been told is compared with what
 * is there.
 *
 * A writer's threads each count upward. One op of a thread puts its next number under two keys in
 * two spaces, raises the thread's counter in both, and enters the number under a commit stamp. What
 * was acknowledged goes through a pipe, one record a write, to the process that kills and then
 * verifies:
 *
 *   - every acknowledged op is there, and the one after it wholly or not at all (P1);
 *   - each number stands under exactly one stamp, and stamps rise with the numbers of a thread,
 *     over all restarts.
 */
#include "store/store.h"

#include "base/clock.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 2, THREADS = 3, LANES = WRITERS * THREADS };

static const struct store_format format = {.version = 1, .version_min = 1};

static struct store_options options_of(enum store_sync sync)
{
    struct store_options options;
    store_options_init(&options);
    options.directory = harness_path("db");
    options.create = true;
    options.run_twice = false;
    options.sync = sync;
    options.map_bytes = 1 << 20; /* grows while processes are killed */
    options.map_bytes_max = UINT64_C(1) << 32;
    options.reserve_bytes = 1 << 20;
    options.process_name = "crash";
    options.format = &format;
    return options;
}

static struct store *open_store(enum store_sync sync)
{
    struct store_options options = options_of(sync);
    struct store *store;
    struct jini_error error;
    int status = store_open(&options, &store, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "store_open answers %d: %s: %s", status, error.field,
                     error.message);
    return store;
}

/* ---- The op ---- */

struct record {
    uint64_t lane;
    uint64_t number;
    uint64_t stamp;
};

static struct slice lane_key(uint8_t bytes[16], uint64_t lane, uint64_t number)
{
    store_be64(bytes, lane);
    store_be64(bytes + 8, number);
    return slice_of(bytes, 16);
}

static int put_record(struct store_txn *txn, enum store_space space, struct slice key,
                      const struct record *record)
{
    uint8_t value[24];
    store_le64(value, record->lane);
    store_le64(value + 8, record->number);
    store_le64(value + 16, record->stamp);
    return store_put(txn, space, key, slice_of(value, sizeof(value)));
}

static int get_record(struct store_txn *txn, enum store_space space, struct slice key,
                      struct record *out)
{
    uint8_t value[24] = {0};
    struct buffer buffer = buffer_of(value, sizeof(value));
    int status = store_get(txn, space, key, &buffer);
    *out = (struct record){load_le64(value), load_le64(value + 8), load_le64(value + 16)};
    return status;
}

static const enum store_space spaces[] = {STORE_SPACE_JOBS, STORE_SPACE_IMAGES};

/* The counter of a lane lies at number 0. */
static int op_next(struct store_txn *txn, void *argument)
{
    struct record *record = argument;
    struct record counter;
    uint8_t key[16];
    int status = get_record(txn, spaces[0], lane_key(key, record->lane, 0), &counter);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    record->number = counter.number + 1;
    status = store_stamp(txn, &record->stamp);
    for (int i = 0; status == 0 && i < 2; i++) {
        status = put_record(txn, spaces[i], lane_key(key, record->lane, record->number), record);
        if (status == 0)
            status = put_record(txn, spaces[i], lane_key(key, record->lane, 0), record);
    }
    if (status)
        return status;
    store_be64(key, record->stamp);
    return put_record(txn, STORE_SPACE_QUEUE, slice_of(key, 8), record);
}

/* ---- The writer ---- */

struct writer {
    struct store *store;
    int pipe;
    uint64_t lane;
};

static void *write_for_ever(void *argument)
{
    struct writer *writer = argument;
    for (;;) {
        struct record record = {.lane = writer->lane};
        int status = store_write(writer->store, op_next, &record);
        if (status == JINI_E_BUSY)
            continue; /* the map could not grow just now */
        CHECK_OK(status);
        CHECK(write(writer->pipe, &record, sizeof(record)) == sizeof(record));
    }
}

static void run_writer(enum store_sync sync, int pipe, uint64_t first_lane)
{
    struct store *store = open_store(sync);
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){store, pipe, first_lane + i};
        CHECK(pthread_create(&threads[i], NULL, write_for_ever, &writers[i]) == 0);
    }
    for (;;)
        pause();
}

/* ---- The verifier ---- */

struct verifier {
    uint64_t verified[LANES];     /* numbers up to this were found in earlier rounds */
    uint64_t acknowledged[LANES]; /* the highest of this round */
    uint64_t stamp[LANES];        /* of `verified` */
    uint64_t last_stamp;          /* of all that was found in earlier rounds */
    uint64_t acknowledgements;
    uint64_t found_beyond; /* ops that were there without having been acknowledged */
    pid_t pids[WRITERS];
    int pipes[WRITERS];
};

static void start(struct verifier *verifier, int index, enum store_sync sync)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) > 0);
    fflush(NULL);
    verifier->pids[index] = fork();
    CHECK(verifier->pids[index] >= 0);
    if (verifier->pids[index] == 0) {
        close(ends[0]);
        run_writer(sync, ends[1], (uint64_t)index * THREADS);
    }
    close(ends[1]);
    verifier->pipes[index] = ends[0];
}

static void kill_and_read(struct verifier *verifier, int index)
{
    int status;
    struct record record;
    CHECK(kill(verifier->pids[index], SIGKILL) == 0);
    CHECK(waitpid(verifier->pids[index], &status, 0) == verifier->pids[index]);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(verifier->pipes[index], &record, sizeof(record)) == sizeof(record)) {
        CHECK_UINT(record.lane, <, LANES);
        CHECK_UINT(record.number, >, verifier->acknowledged[record.lane]);
        verifier->acknowledged[record.lane] = record.number;
        verifier->acknowledgements++;
    }
    close(verifier->pipes[index]);
}

/* Every number of the lane since the last round is whole, in both spaces, under its stamp. */
static void verify_lane(struct store_txn *txn, struct verifier *verifier, uint64_t lane)
{
    struct record counters[2] = {{0}, {0}};
    struct record records[2];
    struct record entry;
    uint8_t key[16];
    for (int i = 0; i < 2; i++)
        (void)get_record(txn, spaces[i], lane_key(key, lane, 0), &counters[i]);
    CHECK_UINT(counters[0].number, ==, counters[1].number);
    CHECK_UINT(counters[0].number, >=, verifier->acknowledged[lane]);
    CHECK_UINT(counters[0].number, <=, verifier->acknowledged[lane] + 1);
    verifier->found_beyond += counters[0].number - verifier->acknowledged[lane];
    for (uint64_t n = verifier->verified[lane] + 1; n <= counters[0].number; n++) {
        for (int i = 0; i < 2; i++)
            CHECK_OK(get_record(txn, spaces[i], lane_key(key, lane, n), &records[i]));
        CHECK_UINT(records[0].stamp, ==, records[1].stamp);
        CHECK_UINT(records[0].stamp, >, verifier->stamp[lane]);
        CHECK_UINT(records[0].stamp, >, verifier->last_stamp);
        store_be64(key, records[0].stamp);
        CHECK_OK(get_record(txn, STORE_SPACE_QUEUE, slice_of(key, 8), &entry));
        CHECK(entry.lane == lane && entry.number == n);
        verifier->stamp[lane] = records[0].stamp;
    }
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(store_has(txn, spaces[i], lane_key(key, lane, counters[0].number + 1)),
                     JINI_E_NOT_FOUND);
    verifier->verified[lane] = counters[0].number;
    verifier->acknowledged[lane] = counters[0].number;
}

/*
 * The log behind the last stamp holds as many entries as were found: none twice, none of a half op.
 */
static uint64_t count_log(struct store_txn *txn, uint64_t *last_stamp)
{
    struct store_cursor cursor;
    uint8_t low[8];
    uint64_t count = 0;
    store_be64(low, *last_stamp + 1);
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_QUEUE, slice_of(low, 8), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    while (store_cursor_next(&cursor, NULL) == 0) {
        count++;
        *last_stamp = load_be64(cursor.key.data);
    }
    store_cursor_close(&cursor);
    return count;
}

static void verify(struct verifier *verifier, bool every_page)
{
    struct store *store = open_store(STORE_SYNC_NONE);
    struct store_txn *txn;
    uint64_t before = 0;
    uint64_t after = 0;
    CHECK_OK(store_read_begin(store, &txn));
    for (uint64_t lane = 0; lane < LANES; lane++) {
        before += verifier->verified[lane];
        verify_lane(txn, verifier, lane);
        after += verifier->verified[lane];
    }
    CHECK_UINT(count_log(txn, &verifier->last_stamp), ==, after - before);
    store_read_end(txn);
    if (every_page) {
        struct jini_error error;
        CHECK_OK(store_verify(store, NULL, &error));
    }
    store_close(store);
}

/*
 * So many rounds, and while a busy machine lets the writers acknowledge less than one op a round
 * more of them, which are longer: kills that come before anything was done prove nothing.
 */
static void run_rounds(unsigned rounds, enum store_sync sync)
{
    struct verifier verifier = {.last_stamp = 0};
    uint64_t life_ns_max = 60000000;
    unsigned done = 0;
    for (; done < rounds || (verifier.acknowledgements <= done && done < rounds * 10); done++) {
        int writers = 1 + (int)harness_random_below(WRITERS);
        uint64_t life_ns = harness_random_below(life_ns_max);
        for (int k = 0; k < writers; k++)
            start(&verifier, k, sync);
        nanosleep(&(struct timespec){.tv_nsec = (long)life_ns}, NULL);
        for (int k = 0; k < writers; k++)
            kill_and_read(&verifier, k);
        verify(&verifier, done % 16 == 15);
        if (verifier.acknowledgements <= done && life_ns_max < 900000000)
            life_ns_max += life_ns_max / 10;
    }
    verify(&verifier, true);
    printf("     %u rounds, %" PRIu64 " acknowledged, %" PRIu64 " there beyond that\n", done,
           verifier.acknowledgements, verifier.found_beyond);
    CHECK_UINT(verifier.acknowledgements, >, done);
}

static unsigned rounds_of(unsigned rounds)
{
    return (harness_sanitized() ? rounds / 5 : rounds) * harness_scale();
}

TEST(what_was_acknowledged_survives_kill_9,
     "Over hundreds of kills at random points, every acknowledged op is there, every other one "
     "wholly or not at all, and stamps rise over all restarts.")
{
    run_rounds(rounds_of(240), STORE_SYNC_NONE);
}

TEST(what_was_acknowledged_and_synced_survives_kill_9, "The same with each commit synced.")
{
    run_rounds(rounds_of(60), STORE_SYNC_FULL);
}

TEST(what_was_acknowledged_and_half_synced_survives_kill_9,
     "The same with the meta pages not synced.")
{
    run_rounds(rounds_of(30), STORE_SYNC_META);
}
