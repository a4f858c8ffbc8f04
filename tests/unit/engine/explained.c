/*
 * Refusals by what bounds the engine: each names what it waited for or the option, the numbers, and
 * what to do.
 */
#include "engine/engine_private.h"

#include "engine_fixture.h"
#include "full.h"

#include <unistd.h>

enum { SNAPSHOTS = 4, VALUE_BYTES = 65536 };

static int write_with(struct jini *jini, struct jini_write *write, jini_txn_fn *function,
                      void *argument)
{
    jini_request_init(write);
    write->function = function;
    write->argument = argument;
    return jini_write(jini, write, NULL);
}

/* ---- Snapshots ---- */

struct nested {
    struct jini *jini;
    unsigned depth;
    void (*check)(struct jini *jini);
};

/* Opens snapshots inside of one another until all are open. */
static int open_all(struct jini_txn *txn, void *argument)
{
    struct nested nested = *(const struct nested *)argument;
    struct jini_error error;
    (void)txn;
    if (++nested.depth == SNAPSHOTS) {
        nested.check(nested.jini);
        return 0;
    }
    return jini_read(nested.jini, open_all, &nested, &error);
}

static int do_nothing(struct jini_txn *txn, void *argument)
{
    (void)txn;
    (void)argument;
    return 0;
}

static void check_snapshots(int status, const struct jini_error *error)
{
    CHECK_STATUS(status, JINI_E_BUSY);
    CHECK_INT(error->code, ==, JINI_E_BUSY);
    CHECK_TEXT(error->field, "store.readers_max");
    CHECK_CONTAINS(error->message, "all 4 snapshots");
}

/* Calls that return directly, and requests that look at something before they write. */
static void check_all_are_open(struct jini *jini)
{
    struct jini_error error;
    struct jini_user user;
    struct jini_limit_answer answer;
    struct jini_limit_check check = {.subject = {.kind = JINI_SUBJECT_USER, .number = 1},
                                     .flags = JINI_CHECK_PEEK};
    check_snapshots(jini_user_get(jini, 1, &user, &error), &error);
    check_snapshots(jini_read(jini, do_nothing, NULL, &error), &error);
    check_snapshots(jini_limit_check(jini, &check, &answer, &error), &error);
    struct jini_login login;
    jini_request_init(&login);
    login.login = "alice";
    login.password = "correct horse";
    check_snapshots(jini_login(jini, &login, NULL), &login.request.error);
    struct jini_admit admit;
    jini_request_init(&admit);
    admit.subject = check.subject;
    admit.parameters = (struct jini_parameters){.width = 64, .height = 64, .steps = 1, .count = 1};
    check_snapshots(jini_admit(jini, &admit, NULL), &admit.request.error);
    struct jini_image_get get;
    jini_request_init(&get);
    check_snapshots(jini_image_get(jini, &get, NULL), &get.request.error);
}

TEST(the_bound_on_snapshots_is_named,
     "With store.readers_max snapshots open, whatever needs one more is refused by option and "
     "number.")
{
    struct jini_options options;
    fixture_options(&options);
    options.store_readers_max = SNAPSHOTS;
    struct nested nested = {.jini = fixture_open_with(&options), .check = check_all_are_open};
    CHECK_UINT(fixture_user(nested.jini, "alice", "Free"), ==, 1);
    CHECK_OK(jini_read(nested.jini, open_all, &nested, NULL));
    CHECK_OK(jini_close(nested.jini, NULL, NULL));
}

/* ---- Growing ---- */

struct big {
    struct jini *jini;
    uint32_t key;
    struct jini_write write;
};

static int put_big(struct jini_txn *txn, void *argument)
{
    static const uint8_t value[VALUE_BYTES];
    const struct big *big = argument;
    return jini_txn_put(txn, &big->key, sizeof(big->key), value, sizeof(value));
}

/* Writes until something refuses. */
static int fill(struct big *big)
{
    int status = 0;
    for (; status == 0; big->key++)
        status = write_with(big->jini, &big->write, put_big, big);
    return status;
}

static int fill_beside_a_snapshot(struct jini_txn *txn, void *argument)
{
    (void)txn;
    return fill(argument);
}

TEST(growth_behind_a_snapshot_is_named,
     "A write for which the database cannot grow, because a snapshot stays open, names the option "
     "and its number.")
{
    struct jini_options options;
    fixture_options(&options);
    options.store_map_bytes = JINI_MIB(2);
    options.store_gate_wait_ms = 50;
    struct big big = {.jini = fixture_open_with(&options)};
    CHECK_STATUS(jini_read(big.jini, fill_beside_a_snapshot, &big, NULL), JINI_E_BUSY);
    CHECK_TEXT(big.write.request.error.field, "store.gate_wait_ms");
    CHECK_CONTAINS(big.write.request.error.message, "50 ms");
    CHECK_OK(write_with(big.jini, &big.write, put_big, &big));
    CHECK_OK(jini_close(big.jini, NULL, NULL));
}

TEST(a_full_map_is_named, "New work in a database that may not grow further names the option, its "
                          "number and what is kept back.")
{
    struct jini_options options;
    fixture_options(&options);
    options.store_map_bytes = options.store_map_bytes_max = JINI_MIB(4);
    struct big big = {.jini = fixture_open_with(&options)};
    CHECK_STATUS(fill(&big), JINI_E_FULL);
    CHECK_TEXT(big.write.request.error.field, "store.map_bytes_max");
    CHECK_CONTAINS(big.write.request.error.message, "4194304");
    CHECK_CONTAINS(big.write.request.error.message, "1048576");
    CHECK_OK(jini_close(big.jini, NULL, NULL));
}

TEST(a_full_disk_is_named, "New work on a full disk names what the disk has and needs.")
{
    struct jini *jini = fixture_open();
    struct big big = {.jini = jini};
    full_begin(jini);
    CHECK_STATUS(write_with(jini, &big.write, put_big, &big), JINI_E_FULL);
    CHECK_TEXT(big.write.request.error.field, "disk");
    CHECK_CONTAINS(big.write.request.error.message, "2097152");
    CHECK_CONTAINS(big.write.request.error.message, "store.reserve_bytes");
    full_end(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Writes of this process ---- */

struct slow {
    _Atomic uint32_t entered;
    _Atomic uint32_t open;
    _Atomic uint32_t returned;
};

static int run_long(struct jini_txn *txn, void *argument)
{
    struct slow *slow = argument;
    (void)txn;
    atomic_store(&slow->entered, 1);
    while (!atomic_load(&slow->open))
        usleep(1000);
    return 0;
}

static void on_slow(struct jini_request *request)
{
    struct slow *slow = request->data;
    atomic_store(&slow->returned, 1);
}

static int put_x(struct jini_txn *txn, void *argument)
{
    (void)argument;
    return jini_txn_put(txn, "x", 1, "x", 1);
}

TEST(a_long_write_of_this_process_is_named,
     "A write that is late behind a long one of its own process says so, and for how long.")
{
    struct jini *jini = fixture_open();
    struct slow slow = {0};
    struct jini_write running;
    struct jini_write late;
    jini_request_init(&running);
    running.request.data = &slow;
    running.function = run_long;
    running.argument = &slow;
    CHECK_OK(jini_write(jini, &running, on_slow));
    while (!atomic_load(&slow.entered))
        usleep(1000);
    jini_request_init(&late);
    late.request.timeout_ms = 300;
    late.function = put_x;
    CHECK_STATUS(jini_write(jini, &late, NULL), JINI_E_TIMEOUT);
    CHECK_TEXT(late.request.error.field, "request.timeout_ms");
    CHECK_CONTAINS(late.request.error.message, "for 300 ms");
    CHECK_CONTAINS(late.request.error.message, "a write of this process has been running for");
    atomic_store(&slow.open, 1);
    CHECK_OK(jini_close(jini, NULL, NULL));
    CHECK_UINT(slow.returned, ==, 1);
}

/* ---- What the caller's own functions answer ---- */

static int answer(struct jini_txn *txn, void *argument)
{
    (void)txn;
    return *(const int *)argument;
}

static int count_runs(struct jini_txn *txn, void *argument)
{
    unsigned *runs = argument;
    char key = (char)(*runs)++;
    return jini_txn_put(txn, &key, 1, "x", 1);
}

TEST(
    what_a_function_answered_is_named,
    "A status that a function of the caller's returned is told as its answer, whichever it is, and "
    "one that cannot be repeated by the option.")
{
    static int statuses[] = {JINI_E_TIMEOUT, JINI_E_BUSY, JINI_E_FULL, JINI_E_NOT_FOUND, -12345};
    struct jini *jini = fixture_open();
    struct jini_write write;
    struct jini_error error;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        CHECK_INT(write_with(jini, &write, answer, &statuses[i]), ==, statuses[i]);
        CHECK_INT(write.request.error.code, ==, statuses[i]);
        CHECK_TEXT(write.request.error.field, "function");
        CHECK_INT(jini_read(jini, answer, &statuses[i], &error), ==, statuses[i]);
        CHECK_TEXT(error.field, "function");
    }
    unsigned runs = 0;
    CHECK_STATUS(write_with(jini, &write, count_runs, &runs), JINI_E_UNREPEATABLE);
    CHECK_TEXT(write.request.error.field, "store.run_twice");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
