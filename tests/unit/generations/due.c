/* The queue of what falls due. */
#include "records.h"

static int run_due_add(struct store_txn *txn, struct call *call)
{
    return generations_due_add(txn, call->in, &call->error);
}

static int run_due_remove(struct store_txn *txn, struct call *call)
{
    return generations_due_remove(txn, call->in);
}

static int add(struct store *store, const struct generations_due *due)
{
    return change(store, &(struct call){.run = run_due_add, .in = due});
}

static int remove_row(struct store *store, const struct generations_due *due)
{
    return change(store, &(struct call){.run = run_due_remove, .in = due});
}

static struct generations_due listed[DUE_LISTED_MAX];

/* Lists the rows behind one. */
static int run_due_after(struct store_txn *txn, struct call *call)
{
    size_t *count = call->out;
    return generations_due_list_after(txn, call->in, 100, listed, 3, count, &call->error);
}

enum { ROWS = 300, KINDS = 4 };

static struct generations_due rows[ROWS];
static bool present[ROWS];

static void random_row(struct generations_due *due, uint64_t number)
{
    static const uint64_t times[] = {1, 255, 256, 0xffff, 0x10000, UINT64_MAX - 1, UINT64_MAX};
    *due = (struct generations_due){.kind = (enum generations_due_kind)harness_random_below(KINDS),
                                    .id = make_id(harness_random_below(3), number),
                                    .due_ms = 1 + harness_random_below(1000)};
    if (harness_random_below(4) == 0)
        due->due_ms = times[harness_random_below(7)];
    due->value_length = (uint32_t)harness_random_below(GENERATIONS_DUE_VALUE_MAX + 1);
    memset(due->value, (int)number, due->value_length);
}

static int compare_rows(const struct generations_due *a, const struct generations_due *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms ? -1 : 1;
    return jini_id_compare(&a->id, &b->id);
}

static void check_listing(struct store *store, enum generations_due_kind kind, uint64_t now_ms)
{
    size_t expected = 0;
    size_t found = list_due(store, kind, now_ms, listed);
    for (size_t i = 0; i < found; i++) {
        size_t number = (size_t)load_be64(listed[i].id.bytes + 8);
        CHECK(present[number]);
        CHECK_INT(memcmp(&listed[i], &rows[number], sizeof(listed[i])), ==, 0);
        CHECK(i == 0 || compare_rows(&listed[i - 1], &listed[i]) < 0);
    }
    for (size_t i = 0; i < ROWS; i++)
        expected += present[i] && rows[i].kind == kind && rows[i].due_ms <= now_ms;
    CHECK_UINT(found, ==, expected);
}

STORE_TEST(
    what_is_due_is_listed_in_order,
    "A kind's rows of a time up to now are listed, the longest due first, with their values.")
{
    struct store *store = records_open(driver);
    memset(present, 0, sizeof(present));
    for (unsigned step = 0; step < 2000; step++) {
        size_t i = (size_t)harness_random_below(ROWS);
        if (present[i])
            CHECK_OK(remove_row(store, &rows[i]));
        else
            random_row(&rows[i], i);
        if (!present[i])
            CHECK_OK(add(store, &rows[i]));
        present[i] = !present[i];
        if (step % 50 == 0) {
            for (unsigned kind = 0; kind < KINDS; kind++) {
                check_listing(store, (enum generations_due_kind)kind, harness_random_below(1100));
                check_listing(store, (enum generations_due_kind)kind, UINT64_MAX);
            }
        }
    }
    store_close(store);
}

STORE_TEST(a_listing_is_bounded,
           "At most as many rows are listed as asked for, from the first one or behind one; what "
           "was removed is gone.")
{
    struct store *store = records_open(driver);
    struct generations_due due = {.kind = GENERATIONS_DUE_ENGINE};
    for (uint64_t i = 1; i <= 10; i++) {
        due.due_ms = i;
        CHECK_OK(add(store, &due));
    }
    size_t count;
    due.due_ms = 0;
    for (uint64_t seen = 0; seen < 10; seen += count, due = listed[count - 1]) {
        CHECK_OK(look(store, &(struct call){.run = run_due_after, .in = &due, .out = &count}));
        CHECK_UINT(count, ==, seen < 9 ? 3 : 1);
        CHECK_UINT(listed[0].due_ms, ==, seen + 1);
    }
    CHECK_OK(look(store, &(struct call){.run = run_due_after, .in = &due, .out = &count}));
    CHECK_UINT(count, ==, 0);
    for (size_t left = 10; left > 0; left -= 2) {
        struct due_call in = {GENERATIONS_DUE_ENGINE, 100, 2, 0};
        CHECK_OK(look(store, &(struct call){.run = run_due, .in = &in, .out = listed}));
        CHECK_UINT(in.count, ==, 2);
        CHECK_UINT(listed[0].due_ms, ==, 11 - left);
        CHECK_OK(remove_row(store, &listed[0]));
        CHECK_OK(remove_row(store, &listed[1]));
        CHECK_STATUS(remove_row(store, &listed[0]), JINI_E_NOT_FOUND);
    }
    CHECK_UINT(count_rows(store, STORE_SPACE_QUEUE), ==, 0);
    due.value_length = GENERATIONS_DUE_VALUE_MAX + 1;
    CHECK_STATUS(add(store, &due), JINI_E_INVALID);
    store_close(store);
}

STORE_TEST(a_row_that_was_taken_away_is_not_missed,
           "A job whose row in the queue is gone can still end, and an image be deleted.")
{
    struct store *store = records_open(driver);
    struct generations_job job = make_job(1, 7);
    struct generations_image_new image = make_image(1, 7);
    CHECK_OK(create_job(store, &job));
    CHECK_OK(create_image(store, &image));
    CHECK_UINT(list_due(store, GENERATIONS_DUE_JOB, UINT64_MAX, listed), ==, 1);
    CHECK_OK(remove_row(store, &listed[0]));
    CHECK_UINT(list_due(store, GENERATIONS_DUE_IMAGE, UINT64_MAX, listed), ==, 1);
    CHECK_OK(remove_row(store, &listed[0]));
    CHECK_OK(set_job_state(store, job.id, JINI_JOB_TIMED_OUT));
    CHECK_OK(delete_image(store, image.image.id));
    store_close(store);
}
