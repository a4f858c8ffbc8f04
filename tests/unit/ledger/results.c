/*
 * Each result of the tables in README.md, by the smallest request that meets it. The results are
 * named in the comments of the cases, where results_test.py looks for them.
 */
#include "fixture.h"

#include "ledger/rules.h"

#define R(name) JINI_TRANSFER_RESULT_##name
#define A(name) JINI_ACCOUNT_RESULT_##name

static const struct jini_id greatest = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                         0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static struct fixture_ledger with_accounts(void)
{
    struct fixture_ledger ledger = ledger_open(STORE_DRIVER_MEMORY);
    struct jini_account other = ledger_account(9, 0);
    other.ledger = 2;
    CHECK_ACCOUNT_RESULT(ledger_add(&ledger, ledger_account(1, 0)), A(CREATED));
    CHECK_ACCOUNT_RESULT(ledger_add(&ledger, ledger_account(2, 0)), A(CREATED));
    CHECK_ACCOUNT_RESULT(
        ledger_add(&ledger, ledger_account(3, JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS)),
        A(CREATED));
    CHECK_ACCOUNT_RESULT(
        ledger_add(&ledger, ledger_account(4, JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS)),
        A(CREATED));
    CHECK_ACCOUNT_RESULT(ledger_add(&ledger, other), A(CREATED));
    return ledger;
}

/* ---- Accounts ---- */

static void check_account(struct jini_account account, enum jini_account_result expected)
{
    struct fixture_ledger ledger = with_accounts();
    CHECK_ACCOUNT_RESULT(ledger_add(&ledger, account), expected);
    ledger_close(&ledger);
}

/* An account that differs from account 7, which exists, or is new, in one field. */
#define ACCOUNT_CASE(result, number, statement)                                                    \
    TEST(account_##result, "A request that " #statement " is told so: " #result)                   \
    {                                                                                              \
        struct jini_account a = ledger_account(number, 0);                                         \
        statement;                                                                                 \
        check_account(a, A(result));                                                               \
    }

ACCOUNT_CASE(CREATED, 7, a.code = 11)
ACCOUNT_CASE(TIMESTAMP_MUST_BE_ZERO, 7, a.timestamp = 5)
ACCOUNT_CASE(RESERVED_FIELD, 7, a.reserved = 1)
ACCOUNT_CASE(RESERVED_FLAG, 7, a.flags = 1 << 6)
ACCOUNT_CASE(ID_MUST_NOT_BE_ZERO, 0, a.code = 10)
ACCOUNT_CASE(ID_MUST_NOT_BE_INT_MAX, 0, a.id = greatest)
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_FLAGS, 1, a.flags = JINI_ACCOUNT_HISTORY)
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_128, 1, a.user_data_128 = ledger_id(1))
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_64, 1, a.user_data_64 = 1)
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_32, 1, a.user_data_32 = 1)
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_LEDGER, 1, a.ledger = 2)
ACCOUNT_CASE(EXISTS_WITH_DIFFERENT_CODE, 1, a.code = 11)
ACCOUNT_CASE(EXISTS, 1, a.code = 10)
ACCOUNT_CASE(FLAGS_ARE_MUTUALLY_EXCLUSIVE, 7,
             a.flags = JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS |
                       JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS)
ACCOUNT_CASE(DEBITS_PENDING_MUST_BE_ZERO, 7, a.balance.debits_pending.low = 1)
ACCOUNT_CASE(DEBITS_POSTED_MUST_BE_ZERO, 7, a.balance.debits_posted.high = 1)
ACCOUNT_CASE(CREDITS_PENDING_MUST_BE_ZERO, 7, a.balance.credits_pending.low = 1)
ACCOUNT_CASE(CREDITS_POSTED_MUST_BE_ZERO, 7, a.balance.credits_posted.low = 1)
ACCOUNT_CASE(LEDGER_MUST_NOT_BE_ZERO, 7, a.ledger = 0)
ACCOUNT_CASE(CODE_MUST_NOT_BE_ZERO, 7, a.code = 0)
ACCOUNT_CASE(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE, 7, a.flags = JINI_ACCOUNT_IMPORTED)
ACCOUNT_CASE(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE, 7,
             (a.flags = JINI_ACCOUNT_IMPORTED, a.timestamp = LEDGER_FIXTURE_NS + 60 * NS_PER_S))
ACCOUNT_CASE(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS, 7,
             (a.flags = JINI_ACCOUNT_IMPORTED, a.timestamp = LEDGER_FIXTURE_NS - 1))

/* Two accounts in one request. */
static void check_two(struct jini_account first, struct jini_account second,
                      enum jini_account_result expected_first,
                      enum jini_account_result expected_second)
{
    struct fixture_ledger ledger = with_accounts();
    struct jini_account accounts[2] = {first, second};
    uint32_t results[2];
    ledger_accounts(&ledger, accounts, 2, results);
    CHECK_ACCOUNT_RESULT(results[0], expected_first);
    CHECK_ACCOUNT_RESULT(results[1], expected_second);
    ledger_close(&ledger);
}

/* LINKED_EVENT_FAILED, LINKED_EVENT_CHAIN_OPEN */
TEST(accounts_of_a_chain, "Linked accounts are made together or not at all, and a chain must end.")
{
    struct jini_account linked = ledger_account(7, JINI_ACCOUNT_LINKED);
    struct jini_account open = ledger_account(8, JINI_ACCOUNT_LINKED);
    struct jini_account bad = ledger_account(8, 0);
    bad.code = 0;
    check_two(linked, bad, A(LINKED_EVENT_FAILED), A(CODE_MUST_NOT_BE_ZERO));
    check_two(linked, open, A(LINKED_EVENT_FAILED), A(LINKED_EVENT_CHAIN_OPEN));
    check_two(linked, ledger_account(8, 0), A(CREATED), A(CREATED));
}

/* IMPORTED_EVENT_EXPECTED, IMPORTED_EVENT_NOT_EXPECTED */
TEST(accounts_imported_or_not, "All accounts of a request are imported, as its first is, or none.")
{
    struct jini_account imported = ledger_account(7, JINI_ACCOUNT_IMPORTED);
    imported.timestamp = LEDGER_FIXTURE_NS - 1;
    check_two(imported, ledger_account(8, 0), A(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS),
              A(IMPORTED_EVENT_EXPECTED));
    check_two(ledger_account(8, 0), imported, A(CREATED), A(IMPORTED_EVENT_NOT_EXPECTED));
}

/* ---- Transfers ---- */

/* Beside the accounts: 100 is a move, 101 to 104 are held, posted, voided, expired, 105 is open. */
static struct fixture_ledger with_transfers(void)
{
    struct fixture_ledger ledger = with_accounts();
    const struct jini_transfer transfers[] = {
        ledger_move(100, 1, 2, 50),
        ledger_hold(102, 1, 2, 20, 0),
        ledger_hold(103, 1, 2, 20, 0),
        ledger_hold(104, 1, 2, 20, 1),
        ledger_hold(105, 1, 2, 20, 0),
        ledger_end(112, 102, JINI_TRANSFER_POST_PENDING_TRANSFER, jini_amount_max()),
        ledger_end(113, 103, JINI_TRANSFER_VOID_PENDING_TRANSFER, jini_amount_of(0)),
    };
    const uint32_t count = sizeof(transfers) / sizeof(transfers[0]);
    struct jini_transfer_reply replies[sizeof(transfers) / sizeof(transfers[0])];
    ledger_transfers(&ledger, transfers, count, replies);
    for (uint32_t i = 0; i < count; i++)
        CHECK_RESULT(replies[i], R(CREATED));
    ledger.now_ns += 2 * NS_PER_S;
    return ledger;
}

static void check_transfer(struct jini_transfer transfer, enum jini_transfer_result expected)
{
    struct fixture_ledger ledger = with_transfers();
    struct jini_account before = ledger_look(&ledger, 1);
    struct jini_transfer_reply reply = ledger_do(&ledger, transfer);
    CHECK_RESULT(reply, expected);
    if (expected != R(CREATED)) {
        struct jini_account after = ledger_look(&ledger, 1);
        CHECK(memcmp(&before.balance.debits_posted, &after.balance.debits_posted,
                     sizeof(after.balance.debits_posted)) == 0);
        CHECK_UINT(reply.debit.debits_posted.low, ==, 0);
    }
    ledger_close(&ledger);
}

/* A transfer that differs from one that would be taken, or from 100, in what is stated. */
#define MOVE_CASE(result, number, statement)                                                       \
    TEST(move_##result, "A transfer that has " #statement " is told so: " #result)                 \
    {                                                                                              \
        struct jini_transfer t = ledger_move(number, 1, 2, 50);                                    \
        statement;                                                                                 \
        check_transfer(t, R(result));                                                              \
    }

MOVE_CASE(CREATED, 7, t.amount = jini_amount_of(0))
MOVE_CASE(TIMESTAMP_MUST_BE_ZERO, 7, t.timestamp = 1)
MOVE_CASE(IMPORTED_EVENT_TIMESTAMP_OUT_OF_RANGE, 7, t.flags = JINI_TRANSFER_IMPORTED)
MOVE_CASE(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_ADVANCE, 7,
          (t.flags = JINI_TRANSFER_IMPORTED, t.timestamp = LEDGER_FIXTURE_NS + 60 * NS_PER_S))
MOVE_CASE(RESERVED_FLAG, 7, t.flags = 1 << 9)
MOVE_CASE(ID_MUST_NOT_BE_ZERO, 0, t.code = 1)
MOVE_CASE(ID_MUST_NOT_BE_INT_MAX, 0, t.id = greatest)
MOVE_CASE(EXISTS_WITH_DIFFERENT_FLAGS, 100, t.flags = JINI_TRANSFER_PENDING)
MOVE_CASE(EXISTS_WITH_DIFFERENT_PENDING_ID, 100, t.pending_id = ledger_id(102))
MOVE_CASE(EXISTS_WITH_DIFFERENT_TIMEOUT, 100, t.timeout = 1)
MOVE_CASE(EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID, 100, t.debit_account_id = ledger_account_id(3))
MOVE_CASE(EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID, 100, t.credit_account_id = ledger_account_id(3))
MOVE_CASE(EXISTS_WITH_DIFFERENT_AMOUNT, 100, t.amount = jini_amount_of(51))
MOVE_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_128, 100, t.user_data_128 = ledger_id(1))
MOVE_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_64, 100, t.user_data_64 = 1)
MOVE_CASE(EXISTS_WITH_DIFFERENT_USER_DATA_32, 100, t.user_data_32 = 1)
MOVE_CASE(EXISTS_WITH_DIFFERENT_LEDGER, 100, t.ledger = 2)
MOVE_CASE(EXISTS_WITH_DIFFERENT_CODE, 100, t.code = 2)
MOVE_CASE(EXISTS, 100, t.code = 1)
MOVE_CASE(DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, 7, t.debit_account_id = ledger_account_id(0))
MOVE_CASE(DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, 7, t.debit_account_id = greatest)
MOVE_CASE(CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, 7, t.credit_account_id = ledger_account_id(0))
MOVE_CASE(CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX, 7, t.credit_account_id = greatest)
MOVE_CASE(ACCOUNTS_MUST_BE_DIFFERENT, 7, t.credit_account_id = ledger_account_id(1))
MOVE_CASE(PENDING_ID_MUST_BE_ZERO, 7, t.pending_id = ledger_id(102))
MOVE_CASE(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, 7, t.timeout = 1)
MOVE_CASE(CLOSING_TRANSFER_MUST_BE_PENDING, 7, t.flags = JINI_TRANSFER_CLOSING_CREDIT)
MOVE_CASE(LEDGER_MUST_NOT_BE_ZERO, 7, t.ledger = 0)
MOVE_CASE(CODE_MUST_NOT_BE_ZERO, 7, t.code = 0)
MOVE_CASE(DEBIT_ACCOUNT_NOT_FOUND, 7, t.debit_account_id = ledger_account_id(77))
MOVE_CASE(CREDIT_ACCOUNT_NOT_FOUND, 7, t.credit_account_id = ledger_account_id(77))
MOVE_CASE(ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER, 7, t.credit_account_id = ledger_account_id(9))
MOVE_CASE(TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS, 7, t.ledger = 2)
MOVE_CASE(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS, 7,
          (t.flags = JINI_TRANSFER_IMPORTED, t.timestamp = LEDGER_FIXTURE_NS - 1))
MOVE_CASE(IMPORTED_EVENT_TIMEOUT_MUST_BE_ZERO, 7,
          (t.flags = JINI_TRANSFER_IMPORTED | JINI_TRANSFER_PENDING, t.timeout = 1,
           t.timestamp = LEDGER_FIXTURE_NS + NS_PER_S))
MOVE_CASE(OVERFLOWS_DEBITS_PENDING, 7,
          (t.flags = JINI_TRANSFER_PENDING, t.amount = jini_amount_max()))
MOVE_CASE(OVERFLOWS_CREDITS_PENDING, 7,
          (t.flags = JINI_TRANSFER_PENDING, t.amount = jini_amount_max(),
           t.debit_account_id = ledger_account_id(3)))
MOVE_CASE(OVERFLOWS_DEBITS_POSTED, 7, t.amount = jini_amount_max())
MOVE_CASE(OVERFLOWS_CREDITS_POSTED, 7,
          (t.amount = jini_amount_max(), t.debit_account_id = ledger_account_id(3)))
MOVE_CASE(OVERFLOWS_DEBITS, 7, t.amount = ((struct jini_amount){UINT64_MAX - 80, UINT64_MAX}))
MOVE_CASE(OVERFLOWS_CREDITS, 7,
          (t.amount = ((struct jini_amount){UINT64_MAX - 80, UINT64_MAX}),
           t.debit_account_id = ledger_account_id(3)))
MOVE_CASE(EXCEEDS_CREDITS, 7, t.debit_account_id = ledger_account_id(3))
MOVE_CASE(EXCEEDS_DEBITS, 7, t.credit_account_id = ledger_account_id(4))

/* A post of 105 that differs in what is stated. */
#define END_CASE(result, number, pending, statement)                                               \
    TEST(end_##result, "A post that has " #statement " is told so: " #result)                      \
    {                                                                                              \
        struct jini_transfer t =                                                                   \
            ledger_end(number, pending, JINI_TRANSFER_POST_PENDING_TRANSFER, jini_amount_max());   \
        statement;                                                                                 \
        check_transfer(t, R(result));                                                              \
    }

END_CASE(FLAGS_ARE_MUTUALLY_EXCLUSIVE, 7, 105, t.flags |= JINI_TRANSFER_VOID_PENDING_TRANSFER)
END_CASE(PENDING_ID_MUST_NOT_BE_ZERO, 7, 0, t.code = 1)
END_CASE(PENDING_ID_MUST_NOT_BE_INT_MAX, 7, 0, t.pending_id = greatest)
END_CASE(PENDING_ID_MUST_BE_DIFFERENT, 7, 7, t.code = 1)
END_CASE(PENDING_TRANSFER_NOT_FOUND, 7, 77, t.code = 1)
END_CASE(PENDING_TRANSFER_NOT_PENDING, 7, 100, t.code = 1)
END_CASE(PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID, 7, 105,
         t.debit_account_id = ledger_account_id(3))
END_CASE(PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID, 7, 105,
         t.credit_account_id = ledger_account_id(3))
END_CASE(PENDING_TRANSFER_HAS_DIFFERENT_LEDGER, 7, 105, t.ledger = 2)
END_CASE(PENDING_TRANSFER_HAS_DIFFERENT_CODE, 7, 105, t.code = 2)
END_CASE(EXCEEDS_PENDING_TRANSFER_AMOUNT, 7, 105, t.amount = jini_amount_of(21))
END_CASE(PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT, 7, 105,
         (t.flags = JINI_TRANSFER_VOID_PENDING_TRANSFER, t.amount = jini_amount_of(19)))
END_CASE(PENDING_TRANSFER_ALREADY_POSTED, 7, 102, t.code = 1)
END_CASE(PENDING_TRANSFER_ALREADY_VOIDED, 7, 103, t.code = 1)
END_CASE(PENDING_TRANSFER_EXPIRED, 7, 104, t.code = 1)

/* ID_ALREADY_FAILED */
TEST(an_id_that_failed_is_used_up,
     "An id that met a result of the moment is not taken again, though the moment is over; one "
     "that broke a rule by its fields alone is.")
{
    struct fixture_ledger ledger = with_accounts();
    struct jini_transfer missing = ledger_move(7, 1, 77, 1);
    struct jini_transfer wrong = ledger_move(8, 1, 2, 1);
    wrong.code = 0;
    CHECK_RESULT(ledger_do(&ledger, missing), R(CREDIT_ACCOUNT_NOT_FOUND));
    CHECK_RESULT(ledger_do(&ledger, wrong), R(CODE_MUST_NOT_BE_ZERO));
    CHECK_ACCOUNT_RESULT(ledger_add(&ledger, ledger_account(77, 0)), A(CREATED));
    CHECK_RESULT(ledger_do(&ledger, missing), R(ID_ALREADY_FAILED));
    wrong.code = 1;
    CHECK_RESULT(ledger_do(&ledger, wrong), R(CREATED));
    ledger_close(&ledger);
}

/* DEBIT_ACCOUNT_ALREADY_CLOSED, CREDIT_ACCOUNT_ALREADY_CLOSED */
TEST(a_closed_account_takes_nothing,
     "An account that a pending transfer has closed takes nothing, until that one is voided.")
{
    struct fixture_ledger ledger = with_accounts();
    struct jini_transfer closing = ledger_hold(1, 1, 2, 0, 0);
    closing.flags |= JINI_TRANSFER_CLOSING_DEBIT;
    CHECK_RESULT(ledger_do(&ledger, closing), R(CREATED));
    CHECK_RESULT(ledger_do(&ledger, ledger_move(2, 1, 2, 1)), R(DEBIT_ACCOUNT_ALREADY_CLOSED));
    CHECK_RESULT(ledger_do(&ledger, ledger_move(3, 2, 1, 1)), R(CREDIT_ACCOUNT_ALREADY_CLOSED));
    CHECK_RESULT(ledger_do(&ledger, ledger_end(4, 1, JINI_TRANSFER_VOID_PENDING_TRANSFER,
                                               jini_amount_of(0))),
                 R(CREATED));
    CHECK_RESULT(ledger_do(&ledger, ledger_move(5, 1, 2, 1)), R(CREATED));
    ledger_close(&ledger);
}

/* OVERFLOWS_TIMEOUT */
TEST(a_timeout_behind_the_end_of_time, "A timeout that ends after the last time is refused.")
{
    struct fixture_ledger ledger = with_accounts();
    ledger.now_ns = UINT64_MAX - 5 * NS_PER_S;
    CHECK_RESULT(ledger_do(&ledger, ledger_hold(7, 1, 2, 1, 6)), R(OVERFLOWS_TIMEOUT));
    CHECK_RESULT(ledger_do(&ledger, ledger_hold(8, 1, 2, 1, 4)), R(CREATED));
    ledger_close(&ledger);
}

/* Two transfers in one request. */
static void check_pair(struct jini_transfer first, struct jini_transfer second,
                       enum jini_transfer_result expected_first,
                       enum jini_transfer_result expected_second)
{
    struct fixture_ledger ledger = with_accounts();
    struct jini_transfer transfers[2] = {first, second};
    struct jini_transfer_reply replies[2];
    ledger_transfers(&ledger, transfers, 2, replies);
    CHECK_RESULT(replies[0], expected_first);
    CHECK_RESULT(replies[1], expected_second);
    if (expected_first == R(LINKED_EVENT_FAILED))
        CHECK_UINT(replies[0].timestamp, ==, 0);
    ledger_close(&ledger);
}

static struct jini_transfer linked(struct jini_transfer transfer)
{
    transfer.flags |= JINI_TRANSFER_LINKED;
    return transfer;
}

/* LINKED_EVENT_FAILED, LINKED_EVENT_CHAIN_OPEN */
TEST(transfers_of_a_chain,
     "Linked transfers are made together or not at all, also when the chain breaks in its middle "
     "or does not end.")
{
    check_pair(linked(ledger_move(7, 1, 2, 1)), ledger_move(8, 1, 77, 1), R(LINKED_EVENT_FAILED),
               R(CREDIT_ACCOUNT_NOT_FOUND));
    check_pair(linked(ledger_move(7, 1, 2, 1)), linked(ledger_move(8, 1, 2, 1)),
               R(LINKED_EVENT_FAILED), R(LINKED_EVENT_CHAIN_OPEN));
    check_pair(linked(ledger_move(7, 1, 2, 1)), ledger_move(8, 1, 2, 1), R(CREATED), R(CREATED));
}

/* IMPORTED_EVENT_EXPECTED, IMPORTED_EVENT_NOT_EXPECTED,
   IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_DEBIT_ACCOUNT,
   IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_CREDIT_ACCOUNT */
TEST(imported_transfers,
     "All transfers of a request are imported or none; an imported one is later than all before "
     "it, and so than its accounts.")
{
    struct jini_transfer imported = ledger_move(7, 1, 2, 1);
    imported.flags = JINI_TRANSFER_IMPORTED;
    imported.timestamp = LEDGER_FIXTURE_NS - 1;
    check_pair(imported, ledger_move(8, 1, 2, 1), R(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS),
               R(IMPORTED_EVENT_EXPECTED));
    check_pair(ledger_move(8, 1, 2, 1), imported, R(CREATED), R(IMPORTED_EVENT_NOT_EXPECTED));

    struct jini_account older = ledger_account(1, 0);
    struct jini_account newer = ledger_account(2, 0);
    struct rules_parties parties = {&older, &newer, 1000};
    amount128 amount;
    older.timestamp = 2000;
    newer.timestamp = 3000;
    imported.timestamp = 2000;
    CHECK_TEXT(jini_transfer_result_name(rules_transfer(&imported, &parties, &amount)),
               "imported_event_timestamp_must_postdate_debit_account");
    imported.timestamp = 3000;
    CHECK_TEXT(jini_transfer_result_name(rules_transfer(&imported, &parties, &amount)),
               "imported_event_timestamp_must_postdate_credit_account");
    imported.timestamp = 3001;
    CHECK_INT(rules_transfer(&imported, &parties, &amount), ==, R(CREATED));
}

TEST(history_can_be_imported,
     "Accounts and transfers with times of the past are taken in their order, and found by them.")
{
    struct fixture_ledger ledger = ledger_open(STORE_DRIVER_MEMORY);
    struct jini_account accounts[2] = {ledger_account(1, JINI_ACCOUNT_IMPORTED),
                                       ledger_account(2, JINI_ACCOUNT_IMPORTED)};
    uint32_t results[2];
    accounts[0].timestamp = 1000;
    accounts[1].timestamp = 1001;
    ledger_accounts(&ledger, accounts, 2, results);
    CHECK_ACCOUNT_RESULT(results[0], A(CREATED));
    CHECK_ACCOUNT_RESULT(results[1], A(CREATED));
    struct jini_transfer transfer = ledger_move(7, 1, 2, 5);
    transfer.flags = JINI_TRANSFER_IMPORTED;
    transfer.timestamp = 5000;
    struct jini_transfer_reply reply = ledger_do(&ledger, transfer);
    CHECK_RESULT(reply, R(CREATED));
    CHECK_UINT(reply.timestamp, ==, 5000);
    CHECK_RESULT(ledger_do(&ledger, ledger_move(8, 1, 2, 5)), R(CREATED));
    ledger_close(&ledger);
}

TEST(results_have_names, "Each number of the tables has the name of TigerBeetle's page.")
{
    CHECK_TEXT(jini_transfer_result_name(54), "exceeds_credits");
    CHECK_TEXT(jini_transfer_result_name(68), "id_already_failed");
    CHECK_TEXT(jini_transfer_result_name(18), "unknown");
    CHECK_TEXT(jini_account_result_name(21), "exists");
    CHECK_TEXT(jini_account_result_name(99), "unknown");
}
