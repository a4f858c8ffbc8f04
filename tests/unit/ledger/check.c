/* The check passes what the ledger makes, and finds each kind of row that was changed. */
#include "fixture.h"

#include "base/tuple.h"
#include "ledger/batch.h"
#include "ledger/chains.h"
#include "ledger/check.h"

enum { MOVES = 700, KINDS_MAX = 256 };

struct found {
    unsigned count;
    char kinds[KINDS_MAX][32];
    char message[LEDGER_FINDING_TEXT_MAX];
};

static void on_found(void *context, const struct ledger_finding *finding)
{
    struct found *found = context;
    if (found->count == 0 || strcmp(finding->kind, "ledger_block_altered") == 0)
        snprintf(found->message, sizeof(found->message), "%s", finding->message);
    if (found->count < KINDS_MAX)
        snprintf(found->kinds[found->count], sizeof(found->kinds[0]), "%s", finding->kind);
    found->count++;
}

static bool go_on(void *context, uint64_t events)
{
    (void)context;
    (void)events;
    return true;
}

static struct found check(struct fixture_ledger *ledger)
{
    struct found found = {0};
    struct ledger_check check = {
        .store = ledger->store, .found = on_found, .goes_on = go_on, .context = &found};
    struct jini_error error;
    CHECK_OK(ledger_check(&check, &error));
    return found;
}

static bool has(const struct found *found, const char *kind)
{
    for (unsigned i = 0; i < found->count && i < KINDS_MAX; i++) {
        if (strcmp(found->kinds[i], kind) == 0)
            return true;
    }
    return false;
}

/* Moves, holds that are posted, voided, expired and open, on accounts with history and without. */
static struct fixture_ledger with_much(void)
{
    struct fixture_ledger ledger = ledger_open(STORE_DRIVER_MEMORY);
    static struct jini_transfer transfers[MOVES];
    static struct jini_transfer_reply replies[MOVES];
    for (uint64_t i = 1; i <= 5; i++)
        ledger_add(&ledger, ledger_account(i, i % 2 ? JINI_ACCOUNT_HISTORY : 0));
    for (uint64_t i = 0; i < MOVES; i++) {
        transfers[i] = ledger_move(1000 + i, 1 + i % 5, 1 + (i + 1) % 5, i);
        transfers[i].user_data_64 = i % 3;
        transfers[i].user_data_128 = ledger_id(i % 50);
    }
    ledger_transfers(&ledger, transfers, MOVES, replies);
    for (uint64_t i = 0; i < 4; i++)
        ledger_do(&ledger, ledger_hold(100 + i, 1, 2, 10 + i, i == 2 ? 1 : 60));
    ledger.now_ns += 2 * NS_PER_S;
    ledger_do(&ledger,
              ledger_end(110, 100, JINI_TRANSFER_POST_PENDING_TRANSFER, jini_amount_of(4)));
    ledger_do(&ledger,
              ledger_end(111, 101, JINI_TRANSFER_VOID_PENDING_TRANSFER, jini_amount_of(0)));
    return ledger;
}

/* ---- Changes behind its back ---- */

struct edit {
    enum store_space space;
    struct tuple key;
    size_t at; /* byte that is changed; SIZE_MAX: the row goes */
};

static int op_edit(struct store_txn *txn, void *argument)
{
    const struct edit *edit = argument;
    static uint8_t bytes[STORE_VALUE_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    CHECK_OK(store_get(txn, edit->space, tuple_key(&edit->key), &value));
    if (edit->at == SIZE_MAX)
        return store_delete(txn, edit->space, tuple_key(&edit->key));
    CHECK_UINT(edit->at, <, value.length);
    bytes[edit->at] ^= 1;
    return store_put(txn, edit->space, tuple_key(&edit->key), buffer_slice(&value));
}

static int op_put(struct store_txn *txn, void *argument)
{
    const struct edit *edit = argument;
    return store_put(txn, edit->space, tuple_key(&edit->key), slice_of_text("row"));
}

static void edit(struct fixture_ledger *ledger, enum store_space space, const struct tuple *key,
                 size_t at)
{
    struct edit edit = {.space = space, .key = *key, .at = at};
    CHECK_OK(store_write(ledger->store, op_edit, &edit));
}

static struct tuple key_of_id(uint64_t number)
{
    struct tuple key;
    struct jini_id id = ledger_id(number);
    tuple_begin(&key);
    tuple_add_id(&key, &id);
    return key;
}

static enum store_space account_key(uint64_t number, struct tuple *key)
{
    struct jini_id id = ledger_account_id(number);
    return place_of_account(&id, key);
}

static uint64_t time_of(struct fixture_ledger *ledger, uint64_t number)
{
    struct jini_transfer transfer;
    struct jini_error error;
    struct jini_id id = ledger_id(number);
    struct store_txn *txn;
    CHECK_OK(store_read_begin(ledger->store, &txn));
    CHECK_OK(ledger_transfer_get(txn, &id, &transfer, &error));
    store_read_end(txn);
    return transfer.timestamp;
}

static struct tuple block_key(struct fixture_ledger *ledger, uint64_t number)
{
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, time_of(ledger, number));
    return key;
}

TEST(a_whole_ledger_has_no_findings, "All that the ledger writes goes together.")
{
    struct fixture_ledger ledger = with_much();
    struct found found = check(&ledger);
    if (found.count > 0)
        harness_fail(__FILE__, __LINE__, "%s: %s", found.kinds[0], found.message);
    ledger_close(&ledger);
    ledger = ledger_open(STORE_DRIVER_LMDB);
    CHECK_UINT(check(&ledger).count, ==, 0);
    ledger_close(&ledger);
}

TEST(an_altered_block_is_named,
     "A byte of a block that was changed is found by the block after it, or by the head, and the "
     "first altered block is named.")
{
    struct fixture_ledger ledger = with_much();
    struct tuple key = block_key(&ledger, 1000);
    edit(&ledger, STORE_SPACE_TRANSFERS, &key, BLOCK_HEADER_BYTES + 48); /* its first amount */
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_block_altered"));
    CHECK_CONTAINS(found.message, "block 1,");
    ledger_close(&ledger);

    ledger = with_much();
    key = block_key(&ledger, 111); /* the newest */
    edit(&ledger, STORE_SPACE_TRANSFERS, &key, BLOCK_HEADER_BYTES + 100);
    found = check(&ledger);
    CHECK(has(&found, "ledger_block_altered"));
    ledger_close(&ledger);
}

TEST(a_missing_block_is_found, "A block that was removed breaks the chain and the numbers.")
{
    struct fixture_ledger ledger = with_much();
    struct tuple key = block_key(&ledger, 1000 + BLOCK_EVENTS_MAX);
    edit(&ledger, STORE_SPACE_TRANSFERS, &key, SIZE_MAX);
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_block_missing"));
    CHECK(has(&found, "ledger_block_altered"));
    ledger_close(&ledger);
}

/* Nobody's account and a user's, which lie in different spaces. */
static const uint64_t both_kinds[] = {2, 3};

TEST(an_altered_balance_is_found, "A balance that was changed is not what its transfers come to.")
{
    static const char *const names[] = {"00000000-0000-0000-0000-000000000002",
                                        "6a770000-0000-0003-0000-000000000003"};
    for (int i = 0; i < 2; i++) {
        struct fixture_ledger ledger = with_much();
        struct tuple key;
        enum store_space space = account_key(both_kinds[i], &key);
        edit(&ledger, space, &key, 36 + 8);
        struct found found = check(&ledger);
        CHECK_UINT(found.count, ==, 1);
        CHECK(has(&found, "ledger_balance_wrong"));
        CHECK_CONTAINS(found.message, names[i]);
        ledger_close(&ledger);
    }
}

TEST(a_missing_account_is_found, "An account that was removed is missed by its transfers.")
{
    for (int i = 0; i < 2; i++) {
        struct fixture_ledger ledger = with_much();
        struct tuple key;
        enum store_space space = account_key(both_kinds[i], &key);
        edit(&ledger, space, &key, SIZE_MAX);
        struct found found = check(&ledger);
        CHECK(has(&found, "ledger_account_missing"));
        ledger_close(&ledger);
    }
}

TEST(a_missing_id_is_found, "An id that was removed, or leads elsewhere, is missed.")
{
    for (int i = 0; i < 2; i++) {
        struct fixture_ledger ledger = with_much();
        struct tuple key = key_of_id(1100);
        edit(&ledger, STORE_SPACE_TRANSFER_IDS, &key, i ? SIZE_MAX : 0);
        struct found found = check(&ledger);
        CHECK_UINT(found.count, ==, 1);
        CHECK(has(&found, "ledger_index_wrong"));
        CHECK_CONTAINS(found.message, "\"id\"");
        ledger_close(&ledger);
    }
}

TEST(a_missing_posting_is_found,
     "A list from which times were taken is not what the transfers make.")
{
    struct fixture_ledger ledger = with_much();
    struct postings_term code = postings_number(POSTINGS_CODE, 1);
    struct tuple key;
    tuple_begin(&key);
    tuple_add_uint(&key, 0);
    tuple_add_uint(&key, code.field);
    tuple_add_id(&key, &code.value);
    edit(&ledger, STORE_SPACE_POSTINGS, &key, SIZE_MAX);
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_index_wrong"));
    CHECK_CONTAINS(found.message, "code");
    ledger_close(&ledger);
}

TEST(a_broken_chain_is_found,
     "A link of an event that leads elsewhere, an account whose chains end elsewhere and a mark "
     "that is missing are found.")
{
    struct fixture_ledger ledger = with_much();
    struct tuple key = block_key(&ledger, 1000);
    edit(&ledger, STORE_SPACE_TRANSFERS, &key,
         BLOCK_HEADER_BYTES + BLOCK_EVENTS_MAX * RECORD_TRANSFER_BYTES + 10 * BLOCK_LINK_BYTES);
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_list_damaged"));
    CHECK(has(&found, "ledger_block_altered"));
    ledger_close(&ledger);

    for (int i = 0; i < 2; i++) {
        static const size_t of_ends[] = {2, 3, 20, 28};
        for (int at = 0; at < 4; at++) {
            ledger = with_much();
            enum store_space space = account_key(both_kinds[i], &key);
            edit(&ledger, space, &key, of_ends[at]);
            found = check(&ledger);
            CHECK_UINT(found.count, ==, 1);
            CHECK(has(&found, "ledger_list_damaged"));
            ledger_close(&ledger);
        }
    }

    ledger = with_much();
    struct jini_id account = ledger_account_id(1);
    tuple_begin(&key);
    tuple_add_uint(&key, 1);
    tuple_add_uint(&key, POSTINGS_DEBITS);
    tuple_add_id(&key, &account);
    tuple_add_uint(&key, time_of(&ledger, 1000 + 5 * (CHAIN_MARK_EVENTS - 1)));
    edit(&ledger, STORE_SPACE_POSTINGS, &key, SIZE_MAX);
    found = check(&ledger);
    CHECK_UINT(found.count, ==, 1);
    CHECK(has(&found, "ledger_index_wrong"));
    CHECK_CONTAINS(found.message, "debit_account_id");
    ledger_close(&ledger);
}

TEST(a_users_account_in_the_space_of_others_is_found,
     "A user's account that lies with those of nobody is no row of that space, and a row behind a "
     "user's account is none of it.")
{
    struct fixture_ledger ledger = with_much();
    struct jini_id id = ledger_account_id(3);
    struct edit edit = {.space = STORE_SPACE_LEDGER_ACCOUNTS};
    tuple_begin(&edit.key);
    tuple_add_id(&edit.key, &id);
    CHECK_OK(store_write(ledger.store, op_put, &edit));
    struct found found = check(&ledger);
    CHECK(has(&found, "space_damaged"));
    ledger_close(&ledger);

    ledger = with_much();
    edit.space = account_key(both_kinds[0], &edit.key);
    if (edit.space != STORE_SPACE_ACTIVITY)
        edit.space = account_key(both_kinds[1], &edit.key);
    CHECK_INT(edit.space, ==, STORE_SPACE_ACTIVITY);
    tuple_add_uint(&edit.key, POSTINGS_DEBITS);
    CHECK_OK(store_write(ledger.store, op_put, &edit));
    found = check(&ledger);
    CHECK_UINT(found.count, ==, 1);
    CHECK(has(&found, "ledger_row_damaged"));
    ledger_close(&ledger);
}

TEST(a_pending_transfer_in_another_state_is_found,
     "A pending transfer whose row says another state, or that misses in the queue of expiries, is "
     "found.")
{
    struct fixture_ledger ledger = with_much();
    struct tuple key;
    pending_key(time_of(&ledger, 100), &key);
    edit(&ledger, STORE_SPACE_PENDING, &key, 1); /* posted becomes voided */
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_index_wrong"));
    CHECK_CONTAINS(found.message, "ends of pending transfers");
    ledger_close(&ledger);

    ledger = with_much();
    uint64_t time = time_of(&ledger, 103);
    pending_due_key(time + 60 * NS_PER_S, time, &key);
    edit(&ledger, STORE_SPACE_PENDING, &key, SIZE_MAX);
    found = check(&ledger);
    CHECK(has(&found, "ledger_pending_wrong"));
    ledger_close(&ledger);
}

TEST(a_kept_balance_that_was_altered_is_found,
     "A balance of the past that was changed in its block is found beside the broken chain.")
{
    struct fixture_ledger ledger = with_much();
    struct tuple key = block_key(&ledger, 1000);
    edit(&ledger, STORE_SPACE_TRANSFERS, &key,
         BLOCK_HEADER_BYTES + BLOCK_EVENTS_MAX * (RECORD_TRANSFER_BYTES + BLOCK_LINK_BYTES) + 4);
    struct found found = check(&ledger);
    CHECK(has(&found, "ledger_history_wrong"));
    CHECK(has(&found, "ledger_block_altered"));
    ledger_close(&ledger);
}
