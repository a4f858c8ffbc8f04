/* Accounts and transfers by the public calls: alone, in transactions of the caller, by timer. */
#include "engine/engine_private.h"

#include "engine_fixture.h"
#include "full.h"

#include <unistd.h>

static struct jini_id number_id(uint64_t number)
{
    struct jini_id id = {{0}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static uint32_t add_account(struct jini *jini, uint64_t number, uint16_t flags)
{
    struct jini_account account = {.id = number_id(number), .ledger = 1, .code = 1, .flags = flags};
    uint32_t result;
    struct jini_accounts_create create;
    jini_request_init(&create);
    create.accounts = &account;
    create.results = &result;
    create.count = 1;
    fixture_must(jini_accounts_create(jini, &create, NULL), "account", &create.request.error);
    return result;
}

static struct jini_transfer move(uint64_t number, uint64_t debit, uint64_t credit, uint64_t amount)
{
    return (struct jini_transfer){.id = number_id(number),
                                  .debit_account_id = number_id(debit),
                                  .credit_account_id = number_id(credit),
                                  .amount = jini_amount_of(amount),
                                  .ledger = 1,
                                  .code = 1};
}

static struct jini_transfer_reply transfer(struct jini *jini, struct jini_transfer transfer)
{
    struct jini_transfer_reply reply;
    struct jini_transfers_create create;
    jini_request_init(&create);
    create.transfers = &transfer;
    create.replies = &reply;
    create.count = 1;
    fixture_must(jini_transfers_create(jini, &create, NULL), "transfer", &create.request.error);
    CHECK_UINT(create.created, ==, reply.result == JINI_TRANSFER_RESULT_CREATED);
    return reply;
}

static struct jini_account account_of(struct jini *jini, uint64_t number)
{
    struct jini_account account;
    struct jini_error error;
    struct jini_id id = number_id(number);
    CHECK_OK(jini_account_get(jini, &id, &account, &error));
    return account;
}

static void check_clean(struct jini *jini)
{
    struct jini_verify verify;
    jini_request_init(&verify);
    fixture_must(jini_verify(jini, &verify, NULL), "verify", &verify.request.error);
    CHECK_UINT(verify.problems, ==, 0);
}

TEST(a_transfer_moves_what_it_says, "A transfer debits one account and credits the other; a second "
                                    "request of the same answers EXISTS and moves nothing; both "
                                    "are there when the database is opened again.")
{
    struct jini *jini = fixture_open();
    struct jini_transfer found;
    struct jini_error error;
    struct jini_id id = number_id(100);
    CHECK_INT(add_account(jini, 1, 0), ==, JINI_ACCOUNT_RESULT_CREATED);
    CHECK_INT(add_account(jini, 2, 0), ==, JINI_ACCOUNT_RESULT_CREATED);
    CHECK_INT(add_account(jini, 2, 0), ==, JINI_ACCOUNT_RESULT_EXISTS);
    struct jini_transfer_reply reply = transfer(jini, move(100, 1, 2, 42));
    CHECK_INT(reply.result, ==, JINI_TRANSFER_RESULT_CREATED);
    CHECK_UINT(reply.debit.debits_posted.low, ==, 42);
    CHECK_UINT(reply.credit.credits_posted.low, ==, 42);
    CHECK_INT(transfer(jini, move(100, 1, 2, 42)).result, ==, JINI_TRANSFER_RESULT_EXISTS);
    CHECK_OK(jini_close(jini, NULL, NULL));
    jini = fixture_open();
    CHECK_UINT(account_of(jini, 1).balance.debits_posted.low, ==, 42);
    CHECK_OK(jini_transfer_get(jini, &id, &found, &error));
    CHECK_UINT(found.timestamp, ==, reply.timestamp);
    check_clean(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(ids_that_are_made_grow, "Each id is larger than the one before, and says when it was made.")
{
    struct jini *jini = fixture_open();
    struct jini_id before = {{0}};
    for (int i = 0; i < 1000; i++) {
        struct jini_id id;
        jini_id_make(jini, &id);
        CHECK_INT(jini_id_compare(&before, &id), <, 0);
        CHECK_UINT(id.bytes[6] >> 4, ==, 7); /* the version of a UUID that grows with time */
        before = id;
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(requests_say_what_is_missing,
     "A request without events, with too many or without room for results is refused by the field.")
{
    struct jini *jini = fixture_open();
    struct jini_transfers_create create;
    struct jini_transfer one = move(1, 1, 2, 1);
    struct jini_transfer_reply reply;
    jini_request_init(&create);
    CHECK_STATUS(jini_transfers_create(jini, &create, NULL), JINI_E_INVALID);
    CHECK_TEXT(create.request.error.field, "count");
    create.count = JINI_LEDGER_BATCH_MAX + 1;
    CHECK_STATUS(jini_transfers_create(jini, &create, NULL), JINI_E_INVALID);
    CHECK_TEXT(create.request.error.field, "count");
    create.count = 1;
    CHECK_STATUS(jini_transfers_create(jini, &create, NULL), JINI_E_INVALID);
    CHECK_TEXT(create.request.error.field, "transfers");
    create.transfers = &one;
    CHECK_STATUS(jini_transfers_create(jini, &create, NULL), JINI_E_INVALID);
    CHECK_TEXT(create.request.error.field, "replies");
    create.replies = &reply;
    CHECK_OK(jini_transfers_create(jini, &create, NULL));
    CHECK_INT(reply.result, ==, JINI_TRANSFER_RESULT_DEBIT_ACCOUNT_NOT_FOUND);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_full_batch_is_taken, "As many transfers as a request may have are made by one.")
{
    enum { COUNT = JINI_LEDGER_BATCH_MAX };
    static struct jini_transfer transfers[COUNT];
    static struct jini_transfer_reply replies[COUNT];
    struct jini *jini = fixture_open();
    struct jini_transfers_create create;
    add_account(jini, 1, JINI_ACCOUNT_HISTORY);
    add_account(jini, 2, 0);
    for (uint64_t i = 0; i < COUNT; i++)
        transfers[i] = move(100 + i, 1, 2, 1);
    jini_request_init(&create);
    create.transfers = transfers;
    create.replies = replies;
    create.count = COUNT;
    fixture_must(jini_transfers_create(jini, &create, NULL), "batch", &create.request.error);
    CHECK_UINT(create.created, ==, COUNT);
    CHECK_UINT(replies[COUNT - 1].debit.debits_posted.low, ==, COUNT);
    check_clean(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- In transactions ---- */

static int op_pay_and_note(struct jini_txn *txn, void *argument)
{
    const bool *fails = argument;
    struct jini_transfer_reply reply;
    struct jini_transfer one = move(100, 1, 2, 7);
    struct jini_transfers_create create;
    struct jini_account account;
    struct jini_id id = number_id(1);
    jini_request_init(&create);
    create.transfers = &one;
    create.replies = &reply;
    create.count = 1;
    CHECK_OK(jini_txn_transfers_create(txn, &create));
    CHECK_INT(reply.result, ==, JINI_TRANSFER_RESULT_CREATED);
    CHECK_OK(jini_txn_account_get(txn, &id, &account, NULL));
    CHECK_UINT(account.balance.debits_posted.low, ==, 7);
    CHECK_OK(jini_txn_put(txn, "paid", 4, "yes", 3));
    return *fails ? JINI_E_CONFLICT : 0;
}

TEST(a_transfer_goes_with_the_transaction_it_is_in,
     "A transfer in a caller's transaction is seen there, commits with it, and is undone with it.")
{
    struct jini *jini = fixture_open();
    struct jini_write write;
    bool fails = true;
    add_account(jini, 1, 0);
    add_account(jini, 2, 0);
    jini_request_init(&write);
    write.function = op_pay_and_note;
    write.argument = &fails;
    CHECK_STATUS(jini_write(jini, &write, NULL), JINI_E_CONFLICT);
    CHECK_UINT(account_of(jini, 1).balance.debits_posted.low, ==, 0);
    fails = false;
    CHECK_OK(jini_write(jini, &write, NULL));
    CHECK_UINT(account_of(jini, 1).balance.debits_posted.low, ==, 7);
    check_clean(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Expiry ---- */

static struct jini_transfer hold(uint64_t number, uint32_t timeout)
{
    struct jini_transfer transfer = move(number, 1, 2, 5);
    transfer.flags = JINI_TRANSFER_PENDING;
    transfer.timeout = timeout;
    return transfer;
}

TEST(what_is_held_comes_back_in_time,
     "A pending transfer that nobody ends gives back what it holds: by the background's timer, and "
     "before the next transfer where there is none.")
{
    for (int background = 0; background < 2; background++) {
        struct jini_options options;
        fixture_options(&options);
        options.background_run = background != 0;
        options.background_interval_ms = 20;
        struct jini *jini = fixture_open_with(&options);
        add_account(jini, 1, 0);
        add_account(jini, 2, 0);
        CHECK_INT(transfer(jini, hold(100, 60)).result, ==, JINI_TRANSFER_RESULT_CREATED);
        CHECK_UINT(account_of(jini, 1).balance.debits_pending.low, ==, 5);
        fixture_days_pass(1);
        if (!background)
            CHECK_INT(transfer(jini, move(101, 1, 2, 1)).result, ==, JINI_TRANSFER_RESULT_CREATED);
        for (int i = 0; i < 500 && account_of(jini, 1).balance.debits_pending.low != 0; i++)
            usleep(10000);
        CHECK_UINT(account_of(jini, 1).balance.debits_pending.low, ==, 0);
        check_clean(jini);
        CHECK_OK(jini_close(jini, NULL, NULL));
        harness_remove(fixture_db());
    }
}

/* One request, of which it is not asked whether it is taken. */
static int submit(struct jini *jini, const struct jini_transfer *transfers, uint32_t count,
                  struct jini_transfer_reply *replies)
{
    struct jini_transfers_create create;
    jini_request_init(&create);
    create.transfers = transfers;
    create.replies = replies;
    create.count = count;
    return jini_transfers_create(jini, &create, NULL);
}

TEST(a_full_disk_lets_holds_be_ended,
     "Down to the reserve no transfer is made, alone or beside an end; what is held can be posted "
     "and voided.")
{
    struct jini *jini = fixture_open();
    struct jini_transfer_reply replies[2];
    struct jini_transfer hold[2] = {move(10, 1, 2, 5), move(11, 1, 2, 7)};
    struct jini_transfer ends[2] = {{.id = number_id(20),
                                     .pending_id = number_id(10),
                                     .amount = jini_amount_max(),
                                     .flags = JINI_TRANSFER_POST_PENDING_TRANSFER},
                                    {.id = number_id(21),
                                     .pending_id = number_id(11),
                                     .flags = JINI_TRANSFER_VOID_PENDING_TRANSFER}};
    add_account(jini, 1, 0);
    add_account(jini, 2, 0);
    for (int i = 0; i < 2; i++) {
        hold[i].flags = JINI_TRANSFER_PENDING;
        CHECK_UINT(transfer(jini, hold[i]).result, ==, JINI_TRANSFER_RESULT_CREATED);
    }
    full_begin(jini);
    struct jini_transfer mixed[2] = {ends[0], move(30, 1, 2, 1)};
    CHECK_STATUS(submit(jini, &mixed[1], 1, replies), JINI_E_FULL);
    CHECK_STATUS(submit(jini, mixed, 2, replies), JINI_E_FULL);
    CHECK_OK(submit(jini, ends, 2, replies));
    CHECK_UINT(replies[0].result, ==, JINI_TRANSFER_RESULT_CREATED);
    CHECK_UINT(replies[1].result, ==, JINI_TRANSFER_RESULT_CREATED);
    CHECK_UINT(account_of(jini, 1).balance.debits_posted.low, ==, 5);
    CHECK_UINT(account_of(jini, 1).balance.debits_pending.low, ==, 0);
    full_end(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

TEST(a_clock_set_back_keeps_the_order,
     "After the clock was set back, the times of transfers go on growing, and nothing expires "
     "before its time.")
{
    struct jini *jini = fixture_open();
    add_account(jini, 1, 0);
    add_account(jini, 2, 0);
    fixture_days_pass(10);
    uint64_t before = transfer(jini, hold(100, 3600)).timestamp;
    __atomic_fetch_sub(&fixture_wall_offset_ns, UINT64_C(10) * 86400u * 1000000000u,
                       __ATOMIC_RELAXED);
    uint64_t after = transfer(jini, move(101, 1, 2, 1)).timestamp;
    CHECK_UINT(after, >, before);
    CHECK_UINT(account_of(jini, 1).balance.debits_pending.low, ==, 5);
    check_clean(jini);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Listings ---- */

TEST(listings_and_balances_of_the_past,
     "Transfers of an account are listed both ways, and its balance of any time is told.")
{
    struct jini *jini = fixture_open();
    struct jini_ledger_filter filter = {.account_id = number_id(1)};
    struct jini_ledger_cursor cursor = {0};
    struct jini_transfer page[4];
    struct jini_ledger_balance row;
    struct jini_error error;
    uint64_t times[6];
    size_t count;
    add_account(jini, 1, JINI_ACCOUNT_HISTORY);
    add_account(jini, 2, 0);
    for (uint64_t i = 0; i < 6; i++)
        times[i] = transfer(jini, move(100 + i, 1, 2, 10)).timestamp;
    CHECK_OK(jini_transfer_list(jini, &filter, &cursor, page, 4, &count, &error));
    CHECK_UINT(count, ==, 4);
    CHECK_UINT(page[3].timestamp, ==, times[3]);
    CHECK_OK(jini_transfer_list(jini, &filter, &cursor, page, 4, &count, &error));
    CHECK_UINT(count, ==, 2);
    CHECK_INT(cursor.state, ==, JINI_LEDGER_LISTING_ENDED);
    CHECK_OK(jini_balance_at(jini, &filter.account_id, times[2], &row, &error));
    CHECK_UINT(row.balance.debits_posted.low, ==, 30);
    CHECK_OK(jini_balance_at(jini, &filter.account_id, times[0] - 1, &row, &error));
    CHECK_UINT(row.balance.debits_posted.low, ==, 0);
    CHECK_UINT(row.timestamp, ==, 0);
    filter.account_id = number_id(2);
    CHECK_STATUS(jini_balance_at(jini, &filter.account_id, times[2], &row, &error),
                 JINI_E_UNSUPPORTED);
    filter.flags = 1 << 30;
    cursor = (struct jini_ledger_cursor){0};
    CHECK_STATUS(jini_transfer_list(jini, &filter, &cursor, page, 4, &count, &error),
                 JINI_E_INVALID);
    CHECK_TEXT(error.field, "flags");
    CHECK_OK(jini_close(jini, NULL, NULL));
}
