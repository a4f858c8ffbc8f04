/* What becomes of an op: alone, in a batch, failing, run twice. On every driver. */
#include "fixture.h"

#include <sys/resource.h>

static int put_text(struct store_txn *txn, const char *key, const char *value)
{
    return store_put(txn, STORE_SPACE_APPLICATION, slice_of_text(key), slice_of_text(value));
}

/* An op that writes its own key, and fails before or after that. */
struct plan {
    const char *key;
    int before;
    int after;
    unsigned runs;
};

static int op_plan(struct store_txn *txn, void *argument)
{
    struct plan *plan = argument;
    plan->runs++;
    if (plan->before)
        return plan->before;
    int status = put_text(txn, plan->key, "1");
    return status ? status : plan->after;
}

STORE_TEST(an_early_failure_leaves_its_batch_alone,
           "An op that fails before it writes completes with its status; its batch runs once.")
{
    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    struct fixture_blocker blocker;
    struct fixture_write writes[3];
    struct plan plans[3] = {{.key = "a"}, {.key = "b", .before = JINI_E_LIMITED}, {.key = "c"}};
    fixture_block(store, &blocker);
    for (int i = 0; i < 3; i++) {
        fixture_prepare(&writes[i], op_plan, &plans[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    fixture_release(&blocker);
    CHECK_OK(fixture_wait(&writes[0]));
    CHECK_STATUS(fixture_wait(&writes[1]), JINI_E_LIMITED);
    CHECK_OK(fixture_wait(&writes[2]));
    for (int i = 0; i < 3; i++)
        CHECK_UINT(plans[i].runs, ==, 1);
    CHECK_TEXT(fixture_text(store, "a"), "1");
    CHECK_TEXT(fixture_text(store, "b"), "-");
    CHECK_TEXT(fixture_text(store, "c"), "1");
    store_close(store);
}

STORE_TEST(a_late_failure_leaves_nothing,
           "An op that fails after it wrote leaves nothing of what it wrote.")
{
    struct store *store = fixture_open(driver);
    struct plan plan = {.key = "a", .after = JINI_E_FORBIDDEN};
    CHECK_STATUS(store_write(store, op_plan, &plan), JINI_E_FORBIDDEN);
    CHECK_TEXT(fixture_text(store, "a"), "-");
    store_close(store);
}

STORE_TEST(a_late_failure_is_undone_alone,
           "Of a batch with ops that fail after their writes, all others are stored.")
{
    enum { COUNT = 30 };
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write writes[COUNT];
    struct plan plans[COUNT];
    char keys[COUNT][12];
    fixture_block(store, &blocker);
    for (int i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        plans[i] = (struct plan){.key = keys[i],
                                 .before = i % 7 == 3 ? JINI_E_NOT_FOUND : 0,
                                 .after = i % 5 == 2 ? JINI_E_CONFLICT : 0};
        fixture_prepare(&writes[i], op_plan, &plans[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    fixture_release(&blocker);
    for (int i = 0; i < COUNT; i++) {
        int expected = plans[i].before ? plans[i].before : plans[i].after;
        CHECK_STATUS(fixture_wait(&writes[i]), expected);
        CHECK_TEXT(fixture_text(store, keys[i]), expected ? "-" : "1");
    }
    store_close(store);
}

static int op_positive(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(put_text(txn, "a", "1"));
    return 7;
}

STORE_TEST(a_positive_answer_is_invalid,
           "An op that answers something that is no status fails with JINI_E_INVALID.")
{
    struct store *store = fixture_open(driver);
    CHECK_STATUS(store_write(store, op_positive, NULL), JINI_E_INVALID);
    CHECK_TEXT(fixture_text(store, "a"), "-");
    fixture_put(store, "b", "1");
    store_close(store);
}

/* Two doctors are on call; each may leave while the other stays. */
static int op_leave_duty(struct store_txn *txn, void *argument)
{
    const char *name = argument;
    const char *other = strcmp(name, "anna") == 0 ? "bela" : "anna";
    if (strcmp(fixture_read_text(txn, other), "on") != 0)
        return JINI_E_CONFLICT;
    return put_text(txn, name, "off");
}

STORE_TEST(there_is_no_write_skew,
           "Of two ops that each rely on what the other one changes, one sees the other's change.")
{
    struct store *store = fixture_open(driver);
    char anna_name[] = "anna";
    char bela_name[] = "bela";
    for (int i = 0; i < 20; i++) {
        struct fixture_write anna;
        struct fixture_write bela;
        fixture_put(store, "anna", "on");
        fixture_put(store, "bela", "on");
        fixture_prepare(&anna, op_leave_duty, anna_name);
        fixture_prepare(&bela, op_leave_duty, bela_name);
        CHECK_OK(store_submit(store, &anna.write));
        CHECK_OK(store_submit(store, &bela.write));
        int first = fixture_wait(&anna);
        int second = fixture_wait(&bela);
        CHECK((first == 0 && second == JINI_E_CONFLICT) ||
              (first == JINI_E_CONFLICT && second == 0));
    }
    store_close(store);
}

static int op_count_runs(struct store_txn *txn, void *argument)
{
    unsigned *runs = argument;
    ++*runs;
    return put_text(txn, "a", "1");
}

STORE_TEST(every_op_runs_twice_when_asked,
           "With run_twice an op runs, is rolled back and runs again.")
{
    struct store *store = fixture_open(driver);
    unsigned runs = 0;
    CHECK_OK(store_write(store, op_count_runs, &runs));
    CHECK_UINT(runs, ==, 2);
    store_close(store);

    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    store = fixture_open_with(&options);
    runs = 0;
    CHECK_OK(store_write(store, op_count_runs, &runs));
    CHECK_UINT(runs, ==, 1);
    store_close(store);
}

/* Ops that are not what they were the first time. */
enum difference { VALUE, KEY, STATUS, MORE, LATE };

struct flaky {
    enum difference difference;
    unsigned runs;
};

static int op_flaky(struct store_txn *txn, void *argument)
{
    struct flaky *flaky = argument;
    bool odd = ++flaky->runs % 2 == 1;
    switch (flaky->difference) {
    case VALUE:
        return put_text(txn, "flaky", odd ? "1" : "2");
    case KEY:
        return put_text(txn, odd ? "flaky" : "flaky2", "1");
    case STATUS:
        return odd ? JINI_E_NOT_FOUND : put_text(txn, "flaky", "1");
    case MORE:
        CHECK_OK(put_text(txn, "flaky", "1"));
        return odd ? 0 : put_text(txn, "flaky2", "1");
    default:
        CHECK_OK(put_text(txn, "flaky", "1"));
        return odd ? 0 : JINI_E_CONFLICT;
    }
}

STORE_TEST(an_op_that_differs_between_runs_is_told,
           "Such an op completes with JINI_E_UNREPEATABLE and leaves nothing; its batch succeeds.")
{
    for (int difference = VALUE; difference <= LATE; difference++) {
        struct store *store = fixture_open(driver);
        struct fixture_blocker blocker;
        struct fixture_write writes[3];
        struct flaky flaky = {.difference = (enum difference)difference};
        struct plan plans[2] = {{.key = "before"}, {.key = "after"}};
        fixture_block(store, &blocker);
        fixture_prepare(&writes[0], op_plan, &plans[0]);
        fixture_prepare(&writes[1], op_flaky, &flaky);
        fixture_prepare(&writes[2], op_plan, &plans[1]);
        for (int i = 0; i < 3; i++)
            CHECK_OK(store_submit(store, &writes[i].write));
        fixture_release(&blocker);
        CHECK_OK(fixture_wait(&writes[0]));
        CHECK_STATUS(fixture_wait(&writes[1]), JINI_E_UNREPEATABLE);
        CHECK_OK(fixture_wait(&writes[2]));
        CHECK_TEXT(fixture_text(store, "flaky"), "-");
        CHECK_TEXT(fixture_text(store, "flaky2"), "-");
        CHECK_OK(fixture_delete(store, "before"));
        CHECK_OK(fixture_delete(store, "after"));
        store_close(store);
    }
}

STORE_TEST(a_batch_of_flaky_ops_ends, "A whole batch of ops that differ completes, each as told.")
{
    enum { COUNT = 20 };
    struct store *store = fixture_open(driver);
    struct fixture_blocker blocker;
    struct fixture_write writes[COUNT];
    struct flaky flaky[COUNT];
    fixture_block(store, &blocker);
    for (int i = 0; i < COUNT; i++) {
        flaky[i] = (struct flaky){.difference = (enum difference)(i % (LATE + 1))};
        fixture_prepare(&writes[i], op_flaky, &flaky[i]);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    fixture_release(&blocker);
    for (int i = 0; i < COUNT; i++)
        CHECK_STATUS(fixture_wait(&writes[i]), JINI_E_UNREPEATABLE);
    CHECK_TEXT(fixture_text(store, "flaky"), "-");
    fixture_put(store, "works", "1");
    store_close(store);
}

static int op_read_own_writes(struct store_txn *txn, void *argument)
{
    (void)argument;
    CHECK_OK(put_text(txn, "a", "1"));
    CHECK_TEXT(fixture_read_text(txn, "a"), "1");
    CHECK_OK(store_delete(txn, STORE_SPACE_APPLICATION, slice_of_text("a")));
    CHECK_TEXT(fixture_read_text(txn, "a"), "-");
    CHECK_OK(put_text(txn, "a", "2"));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, slice_of_text("a")));
    return 0;
}

STORE_TEST(an_op_reads_what_it_wrote, "Reads of an op see its own writes and deletions.")
{
    struct store *store = fixture_open(driver);
    CHECK_OK(store_write(store, op_read_own_writes, NULL));
    CHECK_TEXT(fixture_text(store, "a"), "2");
    store_close(store);
}

STORE_TEST(later_ops_see_earlier_ones,
           "The ops of one submitter run in order, each seeing the last.")
{
    enum { COUNT = 500 };
    struct store *store = fixture_open(driver);
    struct fixture_write *writes = calloc(COUNT, sizeof(*writes));
    struct fixture_number one = {STORE_SPACE_APPLICATION, 1, 1};
    CHECK(writes);
    for (int i = 0; i < COUNT; i++) {
        fixture_prepare(&writes[i], fixture_op_add, &one);
        CHECK_OK(store_submit(store, &writes[i].write));
    }
    for (int i = 0; i < COUNT; i++)
        CHECK_OK(fixture_wait(&writes[i]));
    CHECK_UINT(fixture_number(store, 1), ==, COUNT);
    free(writes);
    store_close(store);
}

STORE_TEST(an_op_may_write_many_keys, "An op of 100,000 keys is stored whole.")
{
    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    CHECK_OK(fixture_fill(store, 0, 100000, 8));
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 99999)));
    store_read_end(txn);
    store_close(store);
}

struct explained_fill {
    struct fixture_fill fill;
    struct jini_error error;
};

static int op_fill_explained(struct store_txn *txn, void *argument)
{
    struct explained_fill *explained = argument;
    int status = fixture_op_fill(txn, &explained->fill);
    return status == JINI_E_TOO_BIG ? store_explain(txn, &explained->error) : status;
}

STORE_TEST(the_keys_of_an_op_are_bounded,
           "An op that writes more than STORE_OP_KEYS_MAX keys fails and leaves nothing.")
{
    if (harness_sanitized() && driver == STORE_DRIVER_MEMORY)
        harness_skip("the bound is met on LMDB, and a sanitizer takes its time with each key");
    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    struct explained_fill fill = {.fill = {0, STORE_OP_KEYS_MAX + 1, 0}};
    CHECK_STATUS(store_write(store, op_fill_explained, &fill), JINI_E_TOO_BIG);
    CHECK_CONTAINS(fill.error.message, "262144 keys");
    struct store_txn *txn;
    uint8_t key[8];
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 0)),
                 JINI_E_NOT_FOUND);
    store_read_end(txn);
    store_close(store);
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)usage.ru_maxrss * 1024;
}

STORE_TEST(the_bytes_of_an_op_are_bounded,
           "An op whose keys and values come to more than STORE_OP_BYTES_MAX fails and leaves "
           "nothing, and its memory stays near that bound; one just below it is committed.")
{
    enum { VALUES_MAX = STORE_OP_BYTES_MAX / (STORE_VALUE_MAX + 8) };
    if (harness_sanitized())
        harness_skip("copying 64 MiB by values takes a sanitizer most of a minute");
    struct store_options options = fixture_options(driver);
    struct store_txn *txn;
    uint8_t key[8];
    options.run_twice = false;
    struct store *store = fixture_open_with(&options);
    uint64_t before = peak_bytes();
    CHECK_STATUS(fixture_fill(store, 0, 20000, STORE_VALUE_MAX), JINI_E_TOO_BIG);
    CHECK_UINT(peak_bytes() - before, <, 4 * (uint64_t)STORE_OP_BYTES_MAX);
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_STATUS(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, 0)),
                 JINI_E_NOT_FOUND);
    store_read_end(txn);
    CHECK_OK(fixture_fill(store, 0, VALUES_MAX, STORE_VALUE_MAX));
    CHECK_OK(store_read_begin(store, &txn));
    CHECK_OK(store_has(txn, STORE_SPACE_APPLICATION, fixture_number_key(key, VALUES_MAX - 1)));
    store_read_end(txn);
    store_close(store);
}

struct inner {
    struct store *store;
    int from_op;
    int from_done;
    struct fixture_write outer;
};

static int op_write_inside(struct store_txn *txn, void *argument)
{
    struct inner *inner = argument;
    struct fixture_pair pair = fixture_pair("inner", "1");
    inner->from_op = store_write(inner->store, fixture_op_put, &pair);
    return put_text(txn, "outer", "1");
}

static void done_and_write(struct store_write *write)
{
    struct inner *inner = write->argument;
    struct fixture_pair pair = fixture_pair("inner", "1");
    inner->from_done = store_write(inner->store, fixture_op_put, &pair);
    fixture_done(write);
}

STORE_TEST(a_blocking_write_on_the_writer_is_refused,
           "store_write() inside an op or a callback answers JINI_E_ON_LOOP and does not hang.")
{
    struct store *store = fixture_open(driver);
    struct inner inner = {.store = store};
    fixture_prepare(&inner.outer, op_write_inside, &inner);
    inner.outer.write.done = done_and_write;
    CHECK_OK(store_submit(store, &inner.outer.write));
    CHECK_OK(fixture_wait(&inner.outer));
    CHECK_STATUS(inner.from_op, JINI_E_ON_LOOP);
    CHECK_STATUS(inner.from_done, JINI_E_ON_LOOP);
    CHECK_TEXT(fixture_text(store, "inner"), "-");
    CHECK_TEXT(fixture_text(store, "outer"), "1");
    store_close(store);
}

static int op_ignore_errors(struct store_txn *txn, void *argument)
{
    (void)argument;
    (void)put_text(txn, "a", "1");
    harness_fail_allocation(1);
    CHECK_OK(store_overlay_begin(txn));
    CHECK_STATUS(put_text(txn, "b", "1"), JINI_E_NO_MEMORY);
    CHECK_STATUS(put_text(txn, "c", "1"), JINI_E_NO_MEMORY);
    (void)store_overlay_keep(txn);
    return 0;
}

STORE_TEST(an_error_that_the_op_ignores_fails_it,
           "An op whose write failed for want of memory fails, whatever it answers itself.")
{
    struct store_options options = fixture_options(driver);
    options.run_twice = false;
    harness_fail_allocation(0);
    struct store *store = fixture_open_with(&options);
    CHECK_STATUS(store_write(store, op_ignore_errors, NULL), JINI_E_NO_MEMORY);
    harness_fail_allocation(0);
    CHECK_TEXT(fixture_text(store, "a"), "-");
    CHECK_TEXT(fixture_text(store, "c"), "-");
    fixture_put(store, "a", "2");
    CHECK_TEXT(fixture_text(store, "a"), "2");
    store_close(store);
}

struct result {
    uint64_t sum;
    unsigned runs;
};

static int op_result(struct store_txn *txn, void *argument)
{
    struct result *result = argument;
    result->runs++;
    CHECK_OK(fixture_get_number(txn, STORE_SPACE_APPLICATION, 1, &result->sum));
    return fixture_put_number(txn, STORE_SPACE_APPLICATION, 1, result->sum + 1);
}

STORE_TEST(results_are_of_the_run_that_counts,
           "What an op wrote into its argument is of the run that was committed.")
{
    struct store_options options = fixture_options(driver);
    options.batch_run_ms = 1000; /* one batch, also on a slow machine */
    struct store *store = fixture_open_with(&options);
    struct fixture_number number = {STORE_SPACE_APPLICATION, 1, 10};
    CHECK_OK(store_write(store, fixture_op_put_number, &number));
    struct fixture_blocker blocker;
    struct fixture_write writes[2];
    struct plan bad = {.key = "bad", .after = JINI_E_CONFLICT};
    struct result result = {0};
    fixture_block(store, &blocker);
    fixture_prepare(&writes[0], op_result, &result);
    fixture_prepare(&writes[1], op_plan, &bad);
    CHECK_OK(store_submit(store, &writes[0].write));
    CHECK_OK(store_submit(store, &writes[1].write));
    fixture_release(&blocker);
    CHECK_OK(fixture_wait(&writes[0]));
    CHECK_STATUS(fixture_wait(&writes[1]), JINI_E_CONFLICT);
    CHECK_UINT(result.runs, >=, 3); /* the failure of the other made it run again */
    CHECK_UINT(result.sum, ==, 10);
    CHECK_UINT(fixture_number(store, 1), ==, 11);
    store_close(store);
}
