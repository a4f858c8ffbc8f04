/* See chart.h. */
#include "ledger/chart.h"

#include "base/bytes.h"
#include "base/error.h"

enum { MARK = 0x6a73 };

struct jini_id chart_account(uint32_t ledger, enum chart_code code)
{
    struct jini_id id;
    store_be64(id.bytes, (uint64_t)MARK << 48 | ledger);
    store_be64(id.bytes + 8, code);
    return id;
}

static int make_one(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns,
                    uint32_t ledger, enum chart_code code, struct jini_error *error)
{
    struct jini_account account = {
        .id = chart_account(ledger, code), .ledger = ledger, .code = (uint16_t)code};
    uint32_t result;
    int status = ledger_create_accounts(txn, batch, now_ns, &account, 1, &result, error);
    if (status || result == JINI_ACCOUNT_RESULT_CREATED || result == JINI_ACCOUNT_RESULT_EXISTS)
        return status;
    return error_set(error, JINI_E_CORRUPT, "account", "the account of code %d is another one: %s",
                     (int)code, jini_account_result_name(result));
}

int chart_make(struct store_txn *txn, struct ledger_batch *batch, uint64_t now_ns, uint32_t ledger,
               const enum chart_code *codes, uint32_t count, struct jini_error *error)
{
    struct jini_account ignored;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        struct jini_id id = chart_account(ledger, codes[i]);
        status = ledger_account_get(txn, &id, &ignored, error);
        if (status == JINI_E_NOT_FOUND)
            status = make_one(txn, batch, now_ns, ledger, codes[i], error);
    }
    return status;
}
