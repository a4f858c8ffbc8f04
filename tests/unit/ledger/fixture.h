/* A ledger on a store of its own, and short ways to make accounts and transfers. */
#ifndef LEDGER_FIXTURE_H
#define LEDGER_FIXTURE_H

#include "../store/fixture.h"

#include "ledger/amount.h"
#include "ledger/ledger.h"
#include "ledger/place.h"

enum { LEDGER_FIXTURE_EVENTS = 1024 };

#define LEDGER_FIXTURE_NS (UINT64_C(1750000000) * NS_PER_S)

struct fixture_ledger {
    struct store *store;
    struct ledger_batch *batch;
    uint64_t now_ns;
};

static inline struct fixture_ledger ledger_open(enum store_driver driver)
{
    struct store_options options = fixture_options(driver);
    options.sync = STORE_SYNC_NONE;
    struct fixture_ledger ledger = {.store = fixture_open_with(&options),
                                    .batch = ledger_batch_new(LEDGER_FIXTURE_EVENTS),
                                    .now_ns = LEDGER_FIXTURE_NS};
    CHECK(ledger.batch != NULL);
    return ledger;
}

static inline void ledger_close(struct fixture_ledger *ledger)
{
    ledger_batch_free(ledger->batch);
    store_close(ledger->store);
}

static inline struct jini_id ledger_id(uint64_t number)
{
    struct jini_id id = {{0}};
    store_be64(id.bytes + 8, number);
    return id;
}

/* Every third account is a user's, so that one kind meets the other. */
static inline struct jini_id ledger_account_id(uint64_t number)
{
    return number % 3 == 0 && number != 0 ? place_user_account(number, number) : ledger_id(number);
}

static inline struct jini_account ledger_account(uint64_t number, uint32_t flags)
{
    return (struct jini_account){
        .id = ledger_account_id(number), .ledger = 1, .code = 10, .flags = (uint16_t)flags};
}

static inline struct jini_transfer ledger_move(uint64_t number, uint64_t debit, uint64_t credit,
                                               uint64_t amount)
{
    return (struct jini_transfer){.id = ledger_id(number),
                                  .debit_account_id = ledger_account_id(debit),
                                  .credit_account_id = ledger_account_id(credit),
                                  .amount = jini_amount_of(amount),
                                  .ledger = 1,
                                  .code = 1};
}

static inline struct jini_transfer ledger_hold(uint64_t number, uint64_t debit, uint64_t credit,
                                               uint64_t amount, uint32_t timeout)
{
    struct jini_transfer transfer = ledger_move(number, debit, credit, amount);
    transfer.flags = JINI_TRANSFER_PENDING;
    transfer.timeout = timeout;
    return transfer;
}

/* A post or a void. */
static inline struct jini_transfer ledger_end(uint64_t number, uint64_t pending, uint32_t flag,
                                              struct jini_amount amount)
{
    return (struct jini_transfer){.id = ledger_id(number),
                                  .pending_id = ledger_id(pending),
                                  .amount = amount,
                                  .flags = (uint16_t)flag};
}

/* One request, as an op. */
struct ledger_call {
    struct fixture_ledger *ledger;
    const void *events;
    uint32_t count;
    void *results;
    uint32_t expired;
    struct jini_error error;
};

static inline int op_accounts(struct store_txn *txn, void *argument)
{
    struct ledger_call *call = argument;
    return ledger_create_accounts(txn, call->ledger->batch, call->ledger->now_ns, call->events,
                                  call->count, call->results, &call->error);
}

static inline int op_transfers(struct store_txn *txn, void *argument)
{
    struct ledger_call *call = argument;
    return ledger_create_transfers(txn, call->ledger->batch, call->ledger->now_ns, call->events,
                                   call->count, call->results, &call->error);
}

static inline int op_expire(struct store_txn *txn, void *argument)
{
    struct ledger_call *call = argument;
    return ledger_expire(txn, call->ledger->batch, call->ledger->now_ns, &call->expired,
                         &call->error);
}

static inline void ledger_accounts(struct fixture_ledger *ledger,
                                   const struct jini_account *accounts, uint32_t count,
                                   uint32_t *results)
{
    struct ledger_call call = {
        .ledger = ledger, .events = accounts, .count = count, .results = results};
    CHECK_OK(store_write(ledger->store, op_accounts, &call));
}

static inline void ledger_transfers(struct fixture_ledger *ledger,
                                    const struct jini_transfer *transfers, uint32_t count,
                                    struct jini_transfer_reply *replies)
{
    struct ledger_call call = {
        .ledger = ledger, .events = transfers, .count = count, .results = replies};
    CHECK_OK(store_write(ledger->store, op_transfers, &call));
}

static inline uint32_t ledger_expiries(struct fixture_ledger *ledger)
{
    struct ledger_call call = {.ledger = ledger};
    CHECK_OK(store_write(ledger->store, op_expire, &call));
    return call.expired;
}

/* One event, and what became of it. */
static inline uint32_t ledger_add(struct fixture_ledger *ledger, struct jini_account account)
{
    uint32_t result;
    ledger_accounts(ledger, &account, 1, &result);
    return result;
}

static inline struct jini_transfer_reply ledger_do(struct fixture_ledger *ledger,
                                                   struct jini_transfer transfer)
{
    struct jini_transfer_reply reply;
    ledger_transfers(ledger, &transfer, 1, &reply);
    return reply;
}

static inline struct jini_account ledger_look(struct fixture_ledger *ledger, uint64_t number)
{
    struct jini_account account;
    struct jini_error error;
    struct jini_id id = ledger_account_id(number);
    struct store_txn *txn;
    CHECK_OK(store_read_begin(ledger->store, &txn));
    CHECK_OK(ledger_account_get(txn, &id, &account, &error));
    store_read_end(txn);
    return account;
}

#define CHECK_ACCOUNT_RESULT(call, expected)                                                       \
    CHECK_TEXT(jini_account_result_name(call), jini_account_result_name(expected))
#define CHECK_RESULT(reply, expected)                                                              \
    CHECK_TEXT(jini_transfer_result_name((reply).result), jini_transfer_result_name(expected))
#define CHECK_AMOUNT(amount, expected)                                                             \
    do {                                                                                           \
        CHECK_UINT((amount).low, ==, (uint64_t)(expected));                                        \
        CHECK_UINT((amount).high, ==, 0);                                                          \
    } while (0)

#endif
