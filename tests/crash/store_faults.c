/*
 * One work, with its nth allocation failing and with its nth system call failing, for n = 1, 2, 3,
 * ... until a run meets no failure. Every call answers with a status, nothing crashes or hangs,
 * every op that was acknowledged is there in the end, and every other one wholly or not at all.
 */
#include "store/store.h"

#include "base/clock.h"
#include "faults.h"
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEYS = 8, FILL_BYTES = 30000, COPIES_BEHIND = 8 };

static const struct store_format format = {.version = 1, .version_min = 1};

static struct store_options options_of(enum store_driver driver, const char *directory)
{
    struct store_options options;
    store_options_init(&options);
    options.driver = driver;
    options.directory = directory;
    options.create = true;
    options.run_twice = true;
    options.map_bytes = 1 << 20;
    options.map_bytes_max = UINT64_C(1) << 30;
    options.reserve_bytes = 1 << 16;
    options.readers_max = 8;
    options.gate_wait_ms = 2000;
    options.format = &format;
    return options;
}

/* ---- The work ---- */

/*
 * What is known of each key: the value that was acknowledged last, and one that may be there
 * instead.
 */
struct knowledge {
    uint64_t certain[KEYS];
    uint64_t possible[KEYS];
};

struct change {
    uint64_t key;
    uint64_t value;
    bool overlay;
    int answer; /* after the writes */
    size_t fill;
};

static struct slice number_key(uint8_t bytes[8], uint64_t key)
{
    store_be64(bytes, key);
    return slice_of(bytes, 8);
}

static const enum store_space spaces[] = {STORE_SPACE_APPLICATION, STORE_SPACE_USERS};

/* The same value in two spaces, and beside it a value on pages of its own. */
static int op_change(struct store_txn *txn, void *argument)
{
    static const uint8_t zeros[FILL_BYTES];
    const struct change *change = argument;
    uint8_t key[8];
    uint8_t value[8];
    uint64_t stamp;
    int status = store_stamp(txn, &stamp);
    store_le64(value, change->value);
    if (status == 0 && change->overlay)
        status = store_overlay_begin(txn);
    for (int i = 0; status == 0 && i < 2; i++)
        status = store_put(txn, spaces[i], number_key(key, change->key), slice_of(value, 8));
    if (status == 0 && change->fill)
        status = store_put(txn, STORE_SPACE_JOBS, number_key(key, change->value),
                           slice_of(zeros, change->fill));
    if (status == 0 && change->overlay)
        status = store_overlay_keep(txn);
    return status ? status : change->answer;
}

static int read_value(struct store_txn *txn, enum store_space space, uint64_t key, uint64_t *out)
{
    uint8_t bytes[8];
    uint8_t value[8] = {0};
    struct buffer buffer = buffer_of(value, sizeof(value));
    int status = store_get(txn, space, number_key(bytes, key), &buffer);
    *out = load_le64(value);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static void make_change(struct store *store, struct knowledge *knowledge, struct change change)
{
    int status = store_write(store, op_change, &change);
    if (status == 0) {
        knowledge->certain[change.key] = change.value;
        knowledge->possible[change.key] = change.value;
    } else if (change.answer == 0) {
        knowledge->possible[change.key] = change.value;
    } else {
        CHECK(status < 0); /* it may have failed of something else than its own answer */
    }
}

static int visit(void *argument, struct slice key, struct slice value)
{
    CHECK(key.length == 8 && value.length == 8);
    ++*(unsigned *)argument;
    return 0;
}

static void read_all(struct store *store)
{
    struct store_txn *txn;
    struct store_cursor cursor;
    struct store_figures figures;
    unsigned count = 0;
    if (store_read_begin(store, &txn) == 0) {
        for (uint64_t key = 0; key < KEYS; key++) {
            uint64_t value;
            (void)read_value(txn, spaces[0], key, &value);
        }
        if (store_cursor_open(txn, spaces[1], slice_of(NULL, 0), slice_of(NULL, 0), STORE_BACKWARD,
                              &cursor) == 0) {
            while (store_cursor_next(&cursor, NULL) == 0)
                continue;
            store_cursor_close(&cursor);
        }
        store_read_end(txn);
    }
    (void)store_each(store, spaces[0], slice_of(NULL, 0), slice_of(NULL, 0), visit, &count);
    (void)store_figures(store, &figures);
}

static const char *const copies[] = {"compact", "plain"};

static void make_copies(struct store *store)
{
    for (int form = 0; form < 2; form++) {
        struct jini_error error;
        if (store_copy(store, copies[form], (enum store_copy_form)form, &error) != 0)
            CHECK(access(copies[form], F_OK) != 0);
    }
}

/*
 * Returns the first status that was not 0, or 0. The store is left open in `out`, or NULL. What has
 * failed already is seldom seen by a copy, which takes as long as all else: few are made behind it.
 */
static int work(const struct store_options *options, struct knowledge *knowledge,
                bool (*has_failed)(void), struct store **out)
{
    struct jini_error error;
    int status = store_open(options, out, &error);
    if (status) {
        CHECK(*out == NULL && error.code == status && error.message[0]);
        return status;
    }
    struct store *store = *out;
    for (uint64_t i = 0; i < 12; i++) {
        struct change change = {.key = i % KEYS,
                                .value = i + 1,
                                .overlay = i % 3 == 1,
                                .answer = i % 4 == 3 ? JINI_E_CONFLICT : 0,
                                .fill = i < 4 ? 0 : FILL_BYTES};
        make_change(store, knowledge, change);
        if (i % 6 == 5)
            read_all(store);
    }
    for (uint64_t i = 0; i < 40; i++) /* until the map has grown */
        make_change(store, knowledge,
                    (struct change){.key = 0, .value = 100 + i, .fill = FILL_BYTES});
    (void)store_verify(store, NULL, &error);
    if (options->driver == STORE_DRIVER_LMDB &&
        (!has_failed() || harness_random_below(COPIES_BEHIND) == 0))
        make_copies(store);
    store_tick(store);
    return 0;
}

static void verify(struct store *store, const struct knowledge *knowledge)
{
    struct store_txn *txn;
    CHECK_OK(store_read_begin(store, &txn));
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t values[2];
        for (int i = 0; i < 2; i++)
            CHECK_OK(read_value(txn, spaces[i], key, &values[i]));
        CHECK_UINT(values[0], ==, values[1]);
        if (values[0] != knowledge->possible[key])
            CHECK_UINT(values[0], ==, knowledge->certain[key]);
    }
    store_read_end(txn);
}

/* Without failures any more, what is there is what was acknowledged, and the database works. */
static void verify_reopened(const struct store_options *options, struct knowledge *knowledge)
{
    struct store *store;
    struct jini_error error;
    int status = store_open(options, &store, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "store_open answers %d: %s: %s", status, error.field,
                     error.message);
    verify(store, knowledge);
    struct change change = {.key = 1, .value = 5000, .fill = FILL_BYTES};
    CHECK_OK(store_write(store, op_change, &change));
    CHECK_OK(store_verify(store, NULL, &error));
    store_close(store);
}

/* Where the machine has it: every run makes a database of its own, and copies. */
static void enter_memory(void)
{
    CHECK(chdir(harness_fast_directory(64 << 20)) == 0);
}

static void remove_database(const char *directory)
{
    static const char *const names[] = {"data.mdb", "data.mdb.new", "lock.mdb", "processes",
                                        "reserve"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[600];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    CHECK(rmdir(directory) == 0 || errno == ENOENT);
    for (int form = 0; form < 2; form++)
        (void)unlink(copies[form]);
}

/* ---- Memory ---- */

static void fail_allocations(enum store_driver driver)
{
    const uint64_t step = harness_step_of_long_sweep();
    uint64_t n = harness_random_below(step);
    unsigned runs = 0;
    bool failed;
    enter_memory();
    harness_keep_heap();
    do {
        struct knowledge knowledge = {{0}, {0}};
        struct store *store;
        struct store_options options = options_of(driver, "db");
        options.sync = STORE_SYNC_NONE;
        harness_fail_allocation(n + 1);
        int status = work(&options, &knowledge, harness_allocation_failed, &store);
        failed = harness_allocation_failed();
        harness_fail_allocation(0);
        CHECK(status == 0 || status == JINI_E_NO_MEMORY);
        if (store) {
            verify(store, &knowledge);
            CHECK_OK(store_health(store, NULL));
        }
        store_close(store);
        if (driver == STORE_DRIVER_LMDB)
            verify_reopened(&options, &knowledge);
        remove_database(options.directory);
        runs++;
        n += step;
    } while (failed);
    printf("     %u allocations\n", runs - 1);
    CHECK_UINT(n, >, 10);
}

TEST(any_allocation_may_fail_on_lmdb, "With the nth allocation failing, calls answer "
                                      "JINI_E_NO_MEMORY, leave nothing half done and leak nothing.")
{
    fail_allocations(STORE_DRIVER_LMDB);
}

TEST(any_allocation_may_fail_in_memory,
     "The same for the memory driver, every node of its trees included.")
{
    fail_allocations(STORE_DRIVER_MEMORY);
}

/* ---- System calls ---- */

static bool some_call_failed(void)
{
    return fault_injected() > 0;
}

static void fail_calls(const struct fault_plan *plan)
{
    const uint64_t step = harness_step_of_long_sweep();
    uint64_t n = harness_random_below(step);
    unsigned runs = 0;
    uint64_t injected;
    enter_memory();
    harness_keep_heap();
    do {
        struct knowledge knowledge = {{0}, {0}};
        struct store *store;
        struct store_options options = options_of(STORE_DRIVER_LMDB, "db");
        struct fault_plan nth = *plan;
        nth.nth = n + 1;
        fault_inject(&nth);
        (void)work(&options, &knowledge, some_call_failed, &store);
        store_close(store);
        injected = fault_injected();
        fault_inject_stop();
        verify_reopened(&options, &knowledge);
        remove_database(options.directory);
        runs++;
        n += step;
    } while (injected > 0);
    printf("     %u calls\n", runs - 1);
    CHECK_UINT(n, >, 10);
}

TEST(any_call_may_fail_once,
     "With the nth call that writes failing with EIO or ENOSPC, nothing acknowledged is lost.")
{
    static const int errors[] = {EIO, ENOSPC};
    fault_attach(harness_path("control"));
    for (int i = 0; i < 2; i++)
        fail_calls(&(struct fault_plan){.kinds = FAULT_ALL_WRITING, .error = errors[i]});
}

TEST(any_write_may_be_short, "With the nth write or read cut short, nothing acknowledged is lost.")
{
    fault_attach(harness_path("control"));
    fail_calls(&(struct fault_plan){.kinds = FAULT_WRITE | FAULT_READ, .effect = FAULT_SHORT});
}

TEST(any_read_may_fail, "With the nth read failing, nothing acknowledged is lost.")
{
    fault_attach(harness_path("control"));
    fail_calls(&(struct fault_plan){.kinds = FAULT_READ, .error = EIO});
}

TEST(a_disk_may_stay_full_from_any_call_on,
     "With every write from the nth on failing for want of room, nothing acknowledged is lost.")
{
    fault_attach(harness_path("control"));
    fail_calls(&(struct fault_plan){
        .kinds = FAULT_WRITE | FAULT_SIZE, .error = ENOSPC, .repeat = FAULT_FROM_THEN_ON});
}

TEST(a_sync_that_fails_poisons,
     "After a sync that failed for good, the store only closes, and says why.")
{
    struct knowledge knowledge = {{0}, {0}};
    struct jini_error error;
    struct store *store;
    fault_attach(harness_path("control"));
    struct store_options options = options_of(STORE_DRIVER_LMDB, "db");
    CHECK_OK(store_open(&options, &store, &error));
    make_change(store, &knowledge, (struct change){.key = 0, .value = 1});
    fault_inject(&(struct fault_plan){
        .kinds = FAULT_SYNC, .error = EIO, .nth = 1, .repeat = FAULT_FROM_THEN_ON});
    struct change change = {.key = 0, .value = 2};
    CHECK_STATUS(store_write(store, op_change, &change), JINI_E_POISONED);
    knowledge.possible[0] = 2;
    fault_inject_stop();
    CHECK_STATUS(store_write(store, op_change, &change), JINI_E_POISONED);
    CHECK_STATUS(store_health(store, &error), JINI_E_POISONED);
    CHECK_CONTAINS(error.message, "sync");
    store_close(store);
    verify_reopened(&options, &knowledge);
}
