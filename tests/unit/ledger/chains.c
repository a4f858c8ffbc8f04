/* The debits and credits of an account are found from any time on, in both directions. */
#include "fixture.h"

#include "base/tuple.h"
#include "ledger/batch.h"
#include "ledger/chains.h"

enum { MOVES = 1000, PAGE = 100 };

/* Moves of account 1, to and fro, and others between 2 and 3, one request after the other. */
static struct fixture_ledger with_moves(void)
{
    struct fixture_ledger ledger = ledger_open(STORE_DRIVER_MEMORY);
    static struct jini_transfer transfers[MOVES];
    static struct jini_transfer_reply replies[MOVES];
    for (uint64_t i = 1; i <= 3; i++)
        ledger_add(&ledger, ledger_account(i, 0));
    for (uint64_t i = 0; i < MOVES; i++)
        transfers[i] = i % 3 == 2   ? ledger_move(1000 + i, 2, 3, i)
                       : i % 3 == 1 ? ledger_move(1000 + i, 2, 1, i)
                                    : ledger_move(1000 + i, 1, 2, i);
    for (uint32_t i = 0; i < MOVES; i += PAGE)
        ledger_transfers(&ledger, transfers + i, PAGE, replies + i);
    return ledger;
}

static bool is_listed(uint64_t move, uint32_t flags)
{
    return (move % 3 == 0 && flags != JINI_LEDGER_CREDITS) ||
           (move % 3 == 1 && flags != JINI_LEDGER_DEBITS);
}

/* All times are known: the first move has that of LEDGER_FIXTURE_NS and what came before it. */
static uint64_t first_ns(struct fixture_ledger *ledger)
{
    struct jini_transfer transfer;
    struct jini_error error;
    struct jini_id id = ledger_id(1000);
    struct store_txn *txn;
    CHECK_OK(store_read_begin(ledger->store, &txn));
    CHECK_OK(ledger_transfer_get(txn, &id, &transfer, &error));
    store_read_end(txn);
    return transfer.timestamp;
}

/* Lists the moves from `low` to `high` of account 1, so many at a time, and holds them against what
 * was made. */
static void check_listing(struct fixture_ledger *ledger, uint64_t low, uint64_t high,
                          uint32_t flags, size_t capacity)
{
    uint64_t begin_ns = first_ns(ledger);
    struct jini_ledger_filter filter = {.account_id = ledger_account_id(1),
                                        .timestamp_min = begin_ns + low,
                                        .timestamp_max = begin_ns + high,
                                        .flags = flags};
    bool reversed = flags & JINI_LEDGER_REVERSED;
    struct jini_ledger_cursor cursor = {0};
    uint64_t move = reversed ? high : low;
    uint64_t left = high - low + 1;
    while (cursor.state != JINI_LEDGER_LISTING_ENDED) {
        struct jini_transfer found[MOVES];
        struct jini_error error;
        struct store_txn *txn;
        size_t count;
        CHECK_OK(store_read_begin(ledger->store, &txn));
        CHECK_OK(ledger_transfers_list(txn, &filter, &cursor, found, capacity, &count, &error));
        store_read_end(txn);
        for (size_t i = 0; i < count; i++, left--, move += reversed ? UINT64_MAX : 1) {
            for (; !is_listed(move, flags & ~(uint32_t)JINI_LEDGER_REVERSED); left--)
                move += reversed ? UINT64_MAX : 1;
            CHECK_UINT(left, >, 0);
            CHECK_UINT(load_be64(found[i].id.bytes + 8), ==, 1000 + move);
        }
    }
    for (; left > 0; left--, move += reversed ? UINT64_MAX : 1)
        CHECK(!is_listed(move, flags & ~(uint32_t)JINI_LEDGER_REVERSED));
}

TEST(a_chain_is_listed_from_any_time_to_any_other,
     "Both sides of an account and each of them, forward and backward, over many marks and between "
     "two, whole and in pages, are what was made.")
{
    static const uint64_t bounds[][2] = {{0, MOVES - 1},
                                         {0, 0},
                                         {1, 2},
                                         {5, 380},
                                         {383, 385},
                                         {380, 390},
                                         {384, MOVES - 1},
                                         {700, 760},
                                         {MOVES - 2, MOVES - 1},
                                         {MOVES - 1, MOVES - 1}};
    static const uint32_t sides[] = {0, JINI_LEDGER_DEBITS, JINI_LEDGER_CREDITS};
    struct fixture_ledger ledger = with_moves();
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        for (int side = 0; side < 3; side++) {
            for (size_t capacity = 1; capacity <= MOVES; capacity *= 31) {
                check_listing(&ledger, bounds[i][0], bounds[i][1], sides[side], capacity);
                check_listing(&ledger, bounds[i][0], bounds[i][1],
                              sides[side] | JINI_LEDGER_REVERSED, capacity);
            }
        }
    }
    ledger_close(&ledger);
}

static int op_remove_marks(struct store_txn *txn, void *argument)
{
    struct store_cursor cursor;
    struct tuple low;
    (void)argument;
    tuple_begin(&low);
    tuple_add_uint(&low, 1);
    CHECK_OK(store_cursor_open(txn, STORE_SPACE_POSTINGS, tuple_key(&low), slice_of(NULL, 0),
                               STORE_FORWARD, &cursor));
    while (store_cursor_next(&cursor, NULL) == 0) {
        struct postings_key key;
        CHECK_OK(postings_read_key(cursor.key, &key));
        if (key.row == POSTINGS_MARK)
            CHECK_OK(store_delete(txn, STORE_SPACE_POSTINGS, cursor.key));
    }
    store_cursor_close(&cursor);
    return 0;
}

TEST(a_chain_without_its_marks_is_damaged,
     "A listing that enters a chain where a mark is missing does not walk through all of it: it is "
     "refused as damaged. From the end the chain is whole.")
{
    struct fixture_ledger ledger = with_moves();
    struct jini_ledger_filter filter = {.account_id = ledger_account_id(1),
                                        .flags = JINI_LEDGER_DEBITS};
    struct jini_ledger_cursor cursor = {0};
    struct jini_transfer found[MOVES];
    struct jini_error error;
    struct store_txn *txn;
    size_t count;
    CHECK_OK(store_write(ledger.store, op_remove_marks, NULL));
    CHECK_OK(store_read_begin(ledger.store, &txn));
    CHECK_STATUS(ledger_transfers_list(txn, &filter, &cursor, found, MOVES, &count, &error),
                 JINI_E_CORRUPT);
    CHECK_TEXT(error.field, "debit_account_id");
    filter.flags |= JINI_LEDGER_REVERSED;
    filter.timestamp_max = first_ns(&ledger) + 10;
    cursor = (struct jini_ledger_cursor){0};
    CHECK_STATUS(ledger_transfers_list(txn, &filter, &cursor, found, MOVES, &count, &error),
                 JINI_E_CORRUPT);
    filter.timestamp_max = 0;
    cursor = (struct jini_ledger_cursor){0};
    CHECK_OK(ledger_transfers_list(txn, &filter, &cursor, found, MOVES, &count, &error));
    CHECK_UINT(count, ==, (MOVES + 2) / 3);
    store_read_end(txn);
    ledger_close(&ledger);
}
