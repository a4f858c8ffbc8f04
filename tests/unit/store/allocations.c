/* What writing and reading take from the heap once they have run a while: nothing. */
#include "fixture.h"

#include <jini/allocator.h>

static _Atomic uint64_t allocations;

static void *counting_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return malloc(size);
}

static void *counting_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return calloc(count, size);
}

static void *counting_realloc(void *pointer, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return realloc(pointer, size);
}

/* The heap of Jini; LMDB takes its own memory from malloc() and is not counted. */
static const struct jini_allocator counting = {counting_malloc, counting_calloc, counting_realloc,
                                               free};

/* Reads, scans both ways, replaces, deletes, and draws a stamp. */
static int op_of_every_kind(struct store_txn *txn, void *argument)
{
    uint64_t *number = argument;
    uint64_t stamp;
    int status = 0;
    for (int direction = STORE_FORWARD; direction <= STORE_BACKWARD; direction++) {
        struct store_cursor cursor;
        status = store_cursor_open(txn, STORE_SPACE_APPLICATION, slice_of(NULL, 0),
                                   slice_of(NULL, 0), (enum store_direction)direction, &cursor);
        for (int i = 0; status == 0 && i < 5; i++)
            status = store_cursor_next(&cursor, NULL);
        store_cursor_close(&cursor);
        if (status)
            return status;
    }
    struct fixture_number sum = {STORE_SPACE_APPLICATION, 1, *number};
    struct fixture_fill gone = {100, 1, 0};
    status = fixture_op_add(txn, &sum);
    if (status == 0)
        status = fixture_put_number(txn, STORE_SPACE_APPLICATION, 100, *number);
    if (status == 0)
        status = store_stamp(txn, &stamp);
    store_mark_changed(txn, (uint32_t)*number % STORE_CHANGE_WORDS);
    return status ? status : fixture_op_clear(txn, &gone);
}

static void write_and_read(struct store *store, unsigned times)
{
    for (uint64_t i = 0; i < times; i++) {
        CHECK_OK(store_write(store, op_of_every_kind, &i));
        (void)fixture_number(store, 1);
        store_tick(store);
    }
}

TEST(writes_and_reads_allocate_nothing,
     "In the steady state a write with scans, reads and stamps, a read and a tick take nothing "
     "from the heap of Jini, with and without the second run of each op.")
{
    CHECK_OK(jini_replace_allocator(&counting));
    for (int twice = 0; twice < 2; twice++) {
        struct store_options options = fixture_options(STORE_DRIVER_LMDB);
        options.run_twice = twice != 0;
        struct store *store = fixture_open_with(&options);
        CHECK_OK(fixture_fill(store, 1000, 50, 100));
        write_and_read(store, 20);
        uint64_t before = atomic_load(&allocations);
        CHECK_UINT(before, >, 0);
        write_and_read(store, 200);
        CHECK_UINT(atomic_load(&allocations), ==, before);
        store_close(store);
    }
}
