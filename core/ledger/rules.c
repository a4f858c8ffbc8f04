#include "ledger/rules.h"

#include "base/clock.h"
#include "base/id.h"

enum {
    ACCOUNT_FLAGS = (JINI_ACCOUNT_CLOSED << 1) - 1,
    ACCOUNT_LIMITS =
        JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS | JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS,
    TRANSFER_FLAGS = (JINI_TRANSFER_IMPORTED << 1) - 1,
    BALANCING = JINI_TRANSFER_BALANCING_DEBIT | JINI_TRANSFER_BALANCING_CREDIT,
    CLOSING = JINI_TRANSFER_CLOSING_DEBIT | JINI_TRANSFER_CLOSING_CREDIT
};

#define ACCOUNT(name)  JINI_ACCOUNT_RESULT_##name
#define TRANSFER(name) JINI_TRANSFER_RESULT_##name

static const struct jini_id greatest_id = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static bool is_greatest(const struct jini_id *id)
{
    return id_equal(id, &greatest_id);
}

/* ---- Accounts ---- */

enum jini_account_result rules_account_form(const struct jini_account *account)
{
    if (account->reserved != 0)
        return ACCOUNT(RESERVED_FIELD);
    if (account->flags & ~ACCOUNT_FLAGS)
        return ACCOUNT(RESERVED_FLAG);
    if (id_is_zero(&account->id))
        return ACCOUNT(ID_MUST_NOT_BE_ZERO);
    return is_greatest(&account->id) ? ACCOUNT(ID_MUST_NOT_BE_INT_MAX) : ACCOUNT(CREATED);
}

/* Whether it is closed changes, and is no difference. */
enum jini_account_result rules_account_exists(const struct jini_account *account,
                                              const struct jini_account *existing)
{
    if ((account->flags ^ existing->flags) & ~JINI_ACCOUNT_CLOSED)
        return ACCOUNT(EXISTS_WITH_DIFFERENT_FLAGS);
    if (!id_equal(&account->user_data_128, &existing->user_data_128))
        return ACCOUNT(EXISTS_WITH_DIFFERENT_USER_DATA_128);
    if (account->user_data_64 != existing->user_data_64)
        return ACCOUNT(EXISTS_WITH_DIFFERENT_USER_DATA_64);
    if (account->user_data_32 != existing->user_data_32)
        return ACCOUNT(EXISTS_WITH_DIFFERENT_USER_DATA_32);
    if (account->ledger != existing->ledger)
        return ACCOUNT(EXISTS_WITH_DIFFERENT_LEDGER);
    if (account->code != existing->code)
        return ACCOUNT(EXISTS_WITH_DIFFERENT_CODE);
    return ACCOUNT(EXISTS);
}

enum jini_account_result rules_account_fields(const struct jini_account *account)
{
    const struct jini_balance *balance = &account->balance;
    if ((account->flags & ACCOUNT_LIMITS) == ACCOUNT_LIMITS)
        return ACCOUNT(FLAGS_ARE_MUTUALLY_EXCLUSIVE);
    if (!amount_is_zero(balance->debits_pending))
        return ACCOUNT(DEBITS_PENDING_MUST_BE_ZERO);
    if (!amount_is_zero(balance->debits_posted))
        return ACCOUNT(DEBITS_POSTED_MUST_BE_ZERO);
    if (!amount_is_zero(balance->credits_pending))
        return ACCOUNT(CREDITS_PENDING_MUST_BE_ZERO);
    if (!amount_is_zero(balance->credits_posted))
        return ACCOUNT(CREDITS_POSTED_MUST_BE_ZERO);
    if (account->ledger == 0)
        return ACCOUNT(LEDGER_MUST_NOT_BE_ZERO);
    return account->code == 0 ? ACCOUNT(CODE_MUST_NOT_BE_ZERO) : ACCOUNT(CREATED);
}

/* ---- Transfers ---- */

enum jini_transfer_result rules_transfer_form(const struct jini_transfer *transfer)
{
    if (transfer->flags & ~TRANSFER_FLAGS)
        return TRANSFER(RESERVED_FLAG);
    if (id_is_zero(&transfer->id))
        return TRANSFER(ID_MUST_NOT_BE_ZERO);
    return is_greatest(&transfer->id) ? TRANSFER(ID_MUST_NOT_BE_INT_MAX) : TRANSFER(CREATED);
}

/* What a post or a void leaves out counts as what it takes from its pending transfer. */
static void fill_in(struct jini_transfer *transfer, const struct jini_transfer *pending)
{
    if (id_is_zero(&transfer->debit_account_id))
        transfer->debit_account_id = pending->debit_account_id;
    if (id_is_zero(&transfer->credit_account_id))
        transfer->credit_account_id = pending->credit_account_id;
    if (id_is_zero(&transfer->user_data_128))
        transfer->user_data_128 = pending->user_data_128;
    if (transfer->user_data_64 == 0)
        transfer->user_data_64 = pending->user_data_64;
    if (transfer->user_data_32 == 0)
        transfer->user_data_32 = pending->user_data_32;
    if (transfer->ledger == 0)
        transfer->ledger = pending->ledger;
    if (transfer->code == 0)
        transfer->code = pending->code;
}

static amount128 amount_of_end(const struct jini_transfer *transfer,
                               const struct jini_transfer *pending)
{
    amount128 amount = amount_of(transfer->amount);
    bool posts = transfer->flags & JINI_TRANSFER_POST_PENDING_TRANSFER;
    return amount == (posts ? amount_max : 0) ? amount_of(pending->amount) : amount;
}

void rules_fill_end(struct jini_transfer *transfer, const struct jini_transfer *pending)
{
    fill_in(transfer, pending);
    transfer->amount = amount_out(amount_of_end(transfer, pending));
}

/* One that balances moved what it could, up to its amount. */
static bool same_amount(const struct jini_transfer *transfer, const struct jini_transfer *existing)
{
    int order = jini_amount_compare(transfer->amount, existing->amount);
    return transfer->flags & BALANCING ? order >= 0 : order == 0;
}

static enum jini_transfer_result compare(const struct jini_transfer *transfer,
                                         const struct jini_transfer *existing)
{
    if (!id_equal(&transfer->debit_account_id, &existing->debit_account_id))
        return TRANSFER(EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID);
    if (!id_equal(&transfer->credit_account_id, &existing->credit_account_id))
        return TRANSFER(EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID);
    if (!same_amount(transfer, existing))
        return TRANSFER(EXISTS_WITH_DIFFERENT_AMOUNT);
    if (!id_equal(&transfer->user_data_128, &existing->user_data_128))
        return TRANSFER(EXISTS_WITH_DIFFERENT_USER_DATA_128);
    if (transfer->user_data_64 != existing->user_data_64)
        return TRANSFER(EXISTS_WITH_DIFFERENT_USER_DATA_64);
    if (transfer->user_data_32 != existing->user_data_32)
        return TRANSFER(EXISTS_WITH_DIFFERENT_USER_DATA_32);
    if (transfer->ledger != existing->ledger)
        return TRANSFER(EXISTS_WITH_DIFFERENT_LEDGER);
    return transfer->code == existing->code ? TRANSFER(EXISTS)
                                            : TRANSFER(EXISTS_WITH_DIFFERENT_CODE);
}

enum jini_transfer_result rules_transfer_exists(const struct jini_transfer *transfer,
                                                const struct jini_transfer *existing,
                                                const struct jini_transfer *pending)
{
    struct jini_transfer filled = *transfer;
    if (transfer->flags != existing->flags)
        return TRANSFER(EXISTS_WITH_DIFFERENT_FLAGS);
    if (!id_equal(&transfer->pending_id, &existing->pending_id))
        return TRANSFER(EXISTS_WITH_DIFFERENT_PENDING_ID);
    if (transfer->timeout != existing->timeout)
        return TRANSFER(EXISTS_WITH_DIFFERENT_TIMEOUT);
    if (pending)
        rules_fill_end(&filled, pending);
    return compare(&filled, existing);
}

static enum jini_transfer_result check_account_ids(const struct jini_transfer *transfer)
{
    if (id_is_zero(&transfer->debit_account_id))
        return TRANSFER(DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO);
    if (is_greatest(&transfer->debit_account_id))
        return TRANSFER(DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX);
    if (id_is_zero(&transfer->credit_account_id))
        return TRANSFER(CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO);
    if (is_greatest(&transfer->credit_account_id))
        return TRANSFER(CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX);
    return id_equal(&transfer->debit_account_id, &transfer->credit_account_id)
               ? TRANSFER(ACCOUNTS_MUST_BE_DIFFERENT)
               : TRANSFER(CREATED);
}

enum jini_transfer_result rules_transfer_fields(const struct jini_transfer *transfer)
{
    bool pends = transfer->flags & JINI_TRANSFER_PENDING;
    enum jini_transfer_result result = check_account_ids(transfer);
    if (result != TRANSFER(CREATED))
        return result;
    if (!id_is_zero(&transfer->pending_id))
        return TRANSFER(PENDING_ID_MUST_BE_ZERO);
    if (!pends && transfer->timeout != 0)
        return TRANSFER(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER);
    if (!pends && (transfer->flags & CLOSING))
        return TRANSFER(CLOSING_TRANSFER_MUST_BE_PENDING);
    if (transfer->ledger == 0)
        return TRANSFER(LEDGER_MUST_NOT_BE_ZERO);
    return transfer->code == 0 ? TRANSFER(CODE_MUST_NOT_BE_ZERO) : TRANSFER(CREATED);
}

/* An imported event is later than all before it and than its accounts. */
static enum jini_transfer_result check_imported(const struct jini_transfer *transfer,
                                                const struct rules_parties *parties)
{
    if (!(transfer->flags & JINI_TRANSFER_IMPORTED))
        return TRANSFER(CREATED);
    if (transfer->timestamp <= parties->last_ns)
        return TRANSFER(IMPORTED_EVENT_TIMESTAMP_MUST_NOT_REGRESS);
    if (transfer->timestamp <= parties->debit->timestamp)
        return TRANSFER(IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_DEBIT_ACCOUNT);
    if (transfer->timestamp <= parties->credit->timestamp)
        return TRANSFER(IMPORTED_EVENT_TIMESTAMP_MUST_POSTDATE_CREDIT_ACCOUNT);
    return transfer->timeout != 0 ? TRANSFER(IMPORTED_EVENT_TIMEOUT_MUST_BE_ZERO)
                                  : TRANSFER(CREATED);
}

static enum jini_transfer_result check_open(const struct rules_parties *parties)
{
    if (parties->debit->flags & JINI_ACCOUNT_CLOSED)
        return TRANSFER(DEBIT_ACCOUNT_ALREADY_CLOSED);
    return parties->credit->flags & JINI_ACCOUNT_CLOSED ? TRANSFER(CREDIT_ACCOUNT_ALREADY_CLOSED)
                                                        : TRANSFER(CREATED);
}

static amount128 less(amount128 a, amount128 b)
{
    return a > b ? a - b : 0;
}

static amount128 least(amount128 a, amount128 b)
{
    return a < b ? a : b;
}

/* As much as the accounts that it balances have to spare. */
static amount128 balanced(const struct jini_transfer *transfer, const struct balance *debit,
                          const struct balance *credit)
{
    amount128 amount = amount_of(transfer->amount);
    if (transfer->flags & JINI_TRANSFER_BALANCING_DEBIT)
        amount = least(amount,
                       less(debit->credits_posted, debit->debits_posted + debit->debits_pending));
    if (transfer->flags & JINI_TRANSFER_BALANCING_CREDIT)
        amount = least(
            amount, less(credit->debits_posted, credit->credits_posted + credit->credits_pending));
    return amount;
}

/* No sum of an account is over the largest amount, nor is the sum of its pending and posted. */
static enum jini_transfer_result check_sums(const struct jini_transfer *transfer, amount128 amount,
                                            const struct balance *debit,
                                            const struct balance *credit)
{
    bool pends = transfer->flags & JINI_TRANSFER_PENDING;
    if (pends && amount_overflows(debit->debits_pending, amount))
        return TRANSFER(OVERFLOWS_DEBITS_PENDING);
    if (pends && amount_overflows(credit->credits_pending, amount))
        return TRANSFER(OVERFLOWS_CREDITS_PENDING);
    if (amount_overflows(debit->debits_posted, amount))
        return TRANSFER(OVERFLOWS_DEBITS_POSTED);
    if (amount_overflows(credit->credits_posted, amount))
        return TRANSFER(OVERFLOWS_CREDITS_POSTED);
    if (amount_overflows(debit->debits_pending + debit->debits_posted, amount))
        return TRANSFER(OVERFLOWS_DEBITS);
    if (amount_overflows(credit->credits_pending + credit->credits_posted, amount))
        return TRANSFER(OVERFLOWS_CREDITS);
    return transfer->timestamp > UINT64_MAX - transfer->timeout * NS_PER_S
               ? TRANSFER(OVERFLOWS_TIMEOUT)
               : TRANSFER(CREATED);
}

static enum jini_transfer_result check_limits(const struct rules_parties *parties, amount128 amount,
                                              const struct balance *debit,
                                              const struct balance *credit)
{
    if ((parties->debit->flags & JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) &&
        debit->debits_pending + debit->debits_posted + amount > debit->credits_posted)
        return TRANSFER(EXCEEDS_CREDITS);
    if ((parties->credit->flags & JINI_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) &&
        credit->credits_pending + credit->credits_posted + amount > credit->debits_posted)
        return TRANSFER(EXCEEDS_DEBITS);
    return TRANSFER(CREATED);
}

static enum jini_transfer_result check_parties(const struct jini_transfer *transfer,
                                               const struct rules_parties *parties)
{
    if (!parties->debit)
        return TRANSFER(DEBIT_ACCOUNT_NOT_FOUND);
    if (!parties->credit)
        return TRANSFER(CREDIT_ACCOUNT_NOT_FOUND);
    if (parties->debit->ledger != parties->credit->ledger)
        return TRANSFER(ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER);
    if (transfer->ledger != parties->debit->ledger)
        return TRANSFER(TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS);
    enum jini_transfer_result result = check_imported(transfer, parties);
    return result == TRANSFER(CREATED) ? check_open(parties) : result;
}

enum jini_transfer_result rules_transfer(const struct jini_transfer *transfer,
                                         const struct rules_parties *parties, amount128 *amount)
{
    enum jini_transfer_result result = check_parties(transfer, parties);
    if (result != TRANSFER(CREATED))
        return result;
    struct balance debit = balance_of(&parties->debit->balance);
    struct balance credit = balance_of(&parties->credit->balance);
    *amount = balanced(transfer, &debit, &credit);
    result = check_sums(transfer, *amount, &debit, &credit);
    return result == TRANSFER(CREATED) ? check_limits(parties, *amount, &debit, &credit) : result;
}

/* ---- Posts and voids ---- */

enum jini_transfer_result rules_end_fields(const struct jini_transfer *transfer)
{
    if ((transfer->flags & RULES_ENDS) == RULES_ENDS ||
        (transfer->flags & (JINI_TRANSFER_PENDING | BALANCING | CLOSING)))
        return TRANSFER(FLAGS_ARE_MUTUALLY_EXCLUSIVE);
    if (id_is_zero(&transfer->pending_id))
        return TRANSFER(PENDING_ID_MUST_NOT_BE_ZERO);
    if (is_greatest(&transfer->pending_id))
        return TRANSFER(PENDING_ID_MUST_NOT_BE_INT_MAX);
    if (id_equal(&transfer->pending_id, &transfer->id))
        return TRANSFER(PENDING_ID_MUST_BE_DIFFERENT);
    return transfer->timeout != 0 ? TRANSFER(TIMEOUT_RESERVED_FOR_PENDING_TRANSFER)
                                  : TRANSFER(CREATED);
}

/* What it says of the pending transfer must be true of it. */
static enum jini_transfer_result compare_end(const struct jini_transfer *transfer,
                                             const struct jini_transfer *pending)
{
    struct jini_transfer filled = *transfer;
    fill_in(&filled, pending);
    if (!id_equal(&filled.debit_account_id, &pending->debit_account_id))
        return TRANSFER(PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID);
    if (!id_equal(&filled.credit_account_id, &pending->credit_account_id))
        return TRANSFER(PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID);
    if (filled.ledger != pending->ledger)
        return TRANSFER(PENDING_TRANSFER_HAS_DIFFERENT_LEDGER);
    if (filled.code != pending->code)
        return TRANSFER(PENDING_TRANSFER_HAS_DIFFERENT_CODE);
    amount128 amount = amount_of_end(transfer, pending);
    if (amount > amount_of(pending->amount))
        return TRANSFER(EXCEEDS_PENDING_TRANSFER_AMOUNT);
    if (amount < amount_of(pending->amount) &&
        (transfer->flags & JINI_TRANSFER_VOID_PENDING_TRANSFER))
        return TRANSFER(PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT);
    return TRANSFER(CREATED);
}

static enum jini_transfer_result check_state(const struct jini_transfer *transfer,
                                             const struct pending *pending)
{
    if (pending->state == PENDING_POSTED)
        return TRANSFER(PENDING_TRANSFER_ALREADY_POSTED);
    if (pending->state == PENDING_VOIDED)
        return TRANSFER(PENDING_TRANSFER_ALREADY_VOIDED);
    bool late = pending->expires_ns != 0 && pending->expires_ns <= transfer->timestamp;
    return pending->state == PENDING_EXPIRED || late ? TRANSFER(PENDING_TRANSFER_EXPIRED)
                                                     : TRANSFER(CREATED);
}

enum jini_transfer_result rules_end(const struct jini_transfer *transfer,
                                    const struct pending *pending,
                                    const struct rules_parties *parties, amount128 *amount)
{
    if (!pending)
        return TRANSFER(PENDING_TRANSFER_NOT_FOUND);
    if (!(pending->transfer.flags & JINI_TRANSFER_PENDING))
        return TRANSFER(PENDING_TRANSFER_NOT_PENDING);
    enum jini_transfer_result result = compare_end(transfer, &pending->transfer);
    if (result == TRANSFER(CREATED))
        result = check_state(transfer, pending);
    if (result == TRANSFER(CREATED))
        result = check_imported(transfer, parties);
    /* A void undoes what closed an account, so it is let through. */
    if (result == TRANSFER(CREATED) && !(transfer->flags & JINI_TRANSFER_VOID_PENDING_TRANSFER))
        result = check_open(parties);
    *amount = amount_of_end(transfer, &pending->transfer);
    return result;
}

bool rules_is_transient(enum jini_transfer_result result)
{
    return result == TRANSFER(DEBIT_ACCOUNT_NOT_FOUND) ||
           result == TRANSFER(CREDIT_ACCOUNT_NOT_FOUND) ||
           result == TRANSFER(PENDING_TRANSFER_NOT_FOUND) ||
           result == TRANSFER(DEBIT_ACCOUNT_ALREADY_CLOSED) ||
           result == TRANSFER(CREDIT_ACCOUNT_ALREADY_CLOSED) ||
           result == TRANSFER(EXCEEDS_CREDITS) || result == TRANSFER(EXCEEDS_DEBITS);
}

/* ---- Effects ---- */

void rules_apply(const struct jini_transfer *transfer, struct jini_account *debit,
                 struct jini_account *credit)
{
    amount128 amount = amount_of(transfer->amount);
    struct balance from = balance_of(&debit->balance);
    struct balance to = balance_of(&credit->balance);
    if (transfer->flags & JINI_TRANSFER_PENDING) {
        from.debits_pending += amount;
        to.credits_pending += amount;
    } else {
        from.debits_posted += amount;
        to.credits_posted += amount;
    }
    debit->balance = balance_out(&from);
    credit->balance = balance_out(&to);
    if (transfer->flags & JINI_TRANSFER_CLOSING_DEBIT)
        debit->flags |= JINI_ACCOUNT_CLOSED;
    if (transfer->flags & JINI_TRANSFER_CLOSING_CREDIT)
        credit->flags |= JINI_ACCOUNT_CLOSED;
}

void rules_apply_end(const struct jini_transfer *pending, bool posted, amount128 amount,
                     struct jini_account *debit, struct jini_account *credit)
{
    struct balance from = balance_of(&debit->balance);
    struct balance to = balance_of(&credit->balance);
    from.debits_pending -= amount_of(pending->amount);
    to.credits_pending -= amount_of(pending->amount);
    if (posted) {
        from.debits_posted += amount;
        to.credits_posted += amount;
    }
    debit->balance = balance_out(&from);
    credit->balance = balance_out(&to);
    if (!posted && (pending->flags & JINI_TRANSFER_CLOSING_DEBIT))
        debit->flags &= (uint16_t)~JINI_ACCOUNT_CLOSED;
    if (!posted && (pending->flags & JINI_TRANSFER_CLOSING_CREDIT))
        credit->flags &= (uint16_t)~JINI_ACCOUNT_CLOSED;
}

uint64_t rules_expires_ns(const struct jini_transfer *transfer)
{
    bool expires = (transfer->flags & JINI_TRANSFER_PENDING) && transfer->timeout != 0;
    return expires ? transfer->timestamp + transfer->timeout * NS_PER_S : 0;
}
