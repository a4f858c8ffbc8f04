/* See jini_ledger.h. */
#include "jini_ledger.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 600000, NEWEST = 4 };

struct jini_ledger {
    struct jini *jini;
    uint32_t accounts; /* with the two hot ones */
    uint64_t wrong_answers;
    struct jini_transfer transfers[TRANSFERS_BATCH];
    struct jini_transfer_reply replies[TRANSFERS_BATCH];
};

struct jini_ledger *jini_ledger_open(const char *directory, uint32_t accounts, bool synced)
{
    struct jini_ledger *ledger = bench_alloc(1, sizeof(*ledger));
    struct jini_options options;
    bench_jini_options(&options);
    if (!synced)
        options.store_sync = JINI_SYNC_NONE;
    options.request_timeout_ms = TIMEOUT_MS;
    ledger->jini = bench_jini_open(directory, &options);
    ledger->accounts = accounts + 2;
    return ledger;
}

void jini_ledger_close(struct jini_ledger *ledger)
{
    bench_jini_close(ledger->jini);
    free(ledger);
}

struct jini *jini_ledger_engine(struct jini_ledger *ledger)
{
    return ledger->jini;
}

static struct jini_id id_of(const uint8_t bytes[TRANSFERS_ID_BYTES])
{
    struct jini_id id;
    memcpy(id.bytes, bytes, sizeof(id.bytes));
    return id;
}

static struct jini_id account_id(uint32_t number)
{
    struct jini_id id;
    transfers_account_id(number, id.bytes);
    return id;
}

static void add_some(struct jini_ledger *ledger, uint32_t first, uint32_t count)
{
    struct jini_account *accounts = bench_alloc(count, sizeof(*accounts));
    uint32_t *results = bench_alloc(count, sizeof(*results));
    struct jini_accounts_create create;
    for (uint32_t i = 0; i < count; i++)
        accounts[i] = (struct jini_account){.id = account_id(first + i),
                                            .ledger = TRANSFERS_LEDGER,
                                            .code = TRANSFERS_ACCOUNT_CODE};
    jini_request_init(&create);
    create.accounts = accounts;
    create.results = results;
    create.count = count;
    bench_check(jini_accounts_create(ledger->jini, &create, NULL), &create.request.error,
                "making accounts");
    if (create.created != count)
        bench_fail("%u of %u accounts were made", create.created, count);
    free(accounts);
    free(results);
}

void jini_ledger_add_accounts(struct jini_ledger *ledger)
{
    for (uint32_t first = 1; first <= ledger->accounts; first += JINI_LEDGER_BATCH_MAX) {
        uint32_t left = ledger->accounts + 1 - first;
        add_some(ledger, first, left < JINI_LEDGER_BATCH_MAX ? left : JINI_LEDGER_BATCH_MAX);
    }
}

void jini_ledger_describe(const struct transfer *transfer, struct jini_transfer *out)
{
    *out = (struct jini_transfer){.id = id_of(transfer->id),
                                  .debit_account_id = account_id(transfer->debit),
                                  .credit_account_id = account_id(transfer->credit),
                                  .amount = jini_amount_of(transfer->amount),
                                  .ledger = TRANSFERS_LEDGER,
                                  .code = transfer->code};
}

void jini_ledger_batch(void *context, const struct transfer *transfers, uint32_t count)
{
    struct jini_ledger *ledger = context;
    struct jini_transfers_create create;
    for (uint32_t i = 0; i < count; i++)
        jini_ledger_describe(&transfers[i], &ledger->transfers[i]);
    jini_request_init(&create);
    create.transfers = ledger->transfers;
    create.replies = ledger->replies;
    create.count = count;
    bench_check(jini_transfers_create(ledger->jini, &create, NULL), &create.request.error,
                "making transfers");
    if (create.created != count)
        bench_fail("%u of %u transfers were made", create.created, count);
}

/* ---- Asking for what was made ---------------------------------------------------------------- */

/* The newest that a filter finds are the last ones of the batch that it finds, in reverse order. */
static bool newest_are_those(struct jini_ledger *ledger, const struct jini_ledger_filter *filter,
                             uint32_t count)
{
    struct jini_ledger_cursor cursor = {0};
    struct jini_transfer newest[NEWEST];
    struct jini_error error;
    size_t found;
    bench_check(jini_transfer_list(ledger->jini, filter, &cursor, newest, NEWEST, &found, &error),
                &error, "listing transfers");
    size_t agreed = 0;
    for (uint32_t i = count; i > 0 && agreed < found; i--) {
        const struct jini_transfer *made = &ledger->transfers[i - 1];
        bool wanted = filter->code
                          ? made->code == filter->code
                          : jini_id_compare(&made->debit_account_id, &filter->account_id) == 0;
        if (!wanted)
            continue;
        if (jini_id_compare(&made->id, &newest[agreed].id) != 0)
            return false;
        agreed++;
    }
    return agreed > 0;
}

static bool is_found_by_id(struct jini_ledger *ledger, const struct jini_transfer *made)
{
    struct jini_transfer found;
    struct jini_error error;
    bench_check(jini_transfer_get(ledger->jini, &made->id, &found, &error), &error,
                "getting a transfer");
    return jini_id_compare(&found.debit_account_id, &made->debit_account_id) == 0 &&
           jini_id_compare(&found.credit_account_id, &made->credit_account_id) == 0 &&
           jini_amount_compare(found.amount, made->amount) == 0 && found.code == made->code;
}

void jini_ledger_batch_asked(void *context, const struct transfer *transfers, uint32_t count)
{
    struct jini_ledger *ledger = context;
    jini_ledger_batch(ledger, transfers, count);
    const struct jini_transfer *last = &ledger->transfers[count - 1];
    struct jini_ledger_filter of_account = {.account_id = last->debit_account_id,
                                            .flags = JINI_LEDGER_DEBITS | JINI_LEDGER_REVERSED};
    struct jini_ledger_filter of_code = {.code = last->code, .flags = JINI_LEDGER_REVERSED};
    ledger->wrong_answers += !newest_are_those(ledger, &of_account, count);
    ledger->wrong_answers += !newest_are_those(ledger, &of_code, count);
    ledger->wrong_answers += !is_found_by_id(ledger, &ledger->transfers[0]);
}

uint64_t jini_ledger_wrong_answers(const struct jini_ledger *ledger)
{
    return ledger->wrong_answers;
}

void jini_ledger_sums(void *context, struct transfer_sums *out)
{
    struct jini_ledger *ledger = context;
    *out = (struct transfer_sums){0};
    for (uint32_t number = 1; number <= ledger->accounts; number++) {
        struct jini_id id = account_id(number);
        struct jini_account account;
        struct jini_error error;
        bench_check(jini_account_get(ledger->jini, &id, &account, &error), &error,
                    "getting an account");
        out->debits += account.balance.debits_posted.low;
        out->credits += account.balance.credits_posted.low;
    }
}
