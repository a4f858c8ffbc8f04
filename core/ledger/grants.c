/* See grants.h. */
#include "ledger/grants.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/id.h"
#include "ledger/amount.h"
#include "ledger/batch.h"
#include "ledger/chart.h"
#include "ledger/place.h"

#include <stdio.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 8,
    ROW_BYTES_MAX = HEADER_BYTES + 8 * GRANTS_ROW_MAX,
    SEQUENCE_BITS = 24,
    EXPIRY_BITS = 32,
    ID_HOLD = 0x00,
    ID_END = 0x40,
    ID_REFUND = 0x80
};

static const uint64_t never_s = UINT32_MAX;

/* ---- Ids ---- */

static struct jini_id id_of_job(const struct jini_id *job_id, unsigned what, uint32_t number)
{
    struct jini_id id = *job_id;
    id.bytes[JINI_ID_BYTES - 1] = (uint8_t)(what + number);
    return id;
}

/* Of what is taken from a grant by itself. Its debits grow with each. */
static struct jini_id id_of_taking(const struct jini_account *account)
{
    uint8_t seen[JINI_ID_BYTES + 16];
    struct jini_id id = account->id;
    memcpy(seen, id.bytes, JINI_ID_BYTES);
    store_le64(seen + JINI_ID_BYTES, account->balance.debits_posted.low);
    store_le64(seen + JINI_ID_BYTES + 8, account->balance.debits_posted.high);
    id.bytes[1]++;
    store_be64(id.bytes + 8, hash64(slice_of(seen, sizeof(seen))));
    return id;
}

/* ---- Numbers ---- */

static uint64_t to_seconds(uint64_t ms)
{
    return ms / 1000 + (ms % 1000 != 0);
}

static uint64_t number_of(const struct jini_grant *grant, uint32_t sequence)
{
    uint64_t expires_s = grant->expires_ms ? to_seconds(grant->expires_ms) : never_s;
    return (uint64_t)grant->priority << (SEQUENCE_BITS + EXPIRY_BITS) | expires_s << SEQUENCE_BITS |
           sequence;
}

static uint64_t expiry_ms(uint64_t number)
{
    uint64_t expires_s = number >> SEQUENCE_BITS & UINT32_MAX;
    return expires_s == never_s ? 0 : expires_s * 1000;
}

static bool has_expired(const struct jini_grant *grant, uint64_t now_ms)
{
    return grant->expires_ms != 0 && grant->expires_ms <= now_ms;
}

static bool may_be_drawn(const struct jini_grant *grant, uint64_t now_ms)
{
    return grant->effective_ms <= now_ms && !has_expired(grant, now_ms);
}

/* ---- Rows ---- */

static void wallet_key(uint64_t user_id, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, user_id);
    tuple_add_text(key, slice_of_text(GRANTS_WALLET_ROW));
}

/* What is free: credits less debits, posted and pending; no rule of the ledger lets it be less. */
static uint64_t free_of(const struct jini_account *account)
{
    struct balance balance = balance_of(&account->balance);
    return (uint64_t)(balance.credits_posted - balance.debits_posted - balance.debits_pending);
}

/* Some to be drawn, or reserved. */
static bool has_credits(const struct jini_account *account)
{
    return free_of(account) > 0 || account->balance.debits_pending.low > 0;
}

static int read_grant(struct store_txn *txn, const struct jini_id *id, struct jini_account *account,
                      struct jini_grant *out, struct jini_error *error)
{
    uint64_t number = 0;
    memset(out, 0, sizeof(*out));
    int status = ledger_account_get(txn, id, account, error);
    if (status)
        return status == JINI_E_NOT_FOUND
                   ? error_set(error, JINI_E_CORRUPT, "wallet",
                               "a grant that the wallet names has no account")
                   : status;
    place_is_of_user(id, &out->user_id, &number);
    out->account_id = *id;
    out->source_id = account->user_data_128;
    out->granted = account->user_data_64;
    out->effective_ms = (uint64_t)account->user_data_32 * 1000;
    out->category = (uint32_t)(account->code - CHART_GRANT);
    out->created_ms = account->timestamp / NS_PER_MS;
    out->priority = (uint32_t)(number >> (SEQUENCE_BITS + EXPIRY_BITS));
    out->expires_ms = expiry_ms(number);
    out->remaining = free_of(account);
    out->reserved = account->balance.debits_pending.low;
    return 0;
}

int grants_get(struct store_txn *txn, const struct jini_id *account_id, struct jini_grant *out,
               struct jini_error *error)
{
    struct jini_account account;
    return read_grant(txn, account_id, &account, out, error);
}

static int damaged(struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "wallet", "the row of the wallet is damaged");
}

/* The numbers of a wallet; none where there is no row. */
struct numbers {
    uint32_t next_sequence;
    uint32_t count;
    uint64_t items[GRANTS_ROW_MAX];
};

static int parse(struct slice row, struct numbers *out)
{
    if (row.length < HEADER_BYTES || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    out->count = load_le16(row.data + 2);
    out->next_sequence = load_le32(row.data + 4);
    if (row.data[1] != 0 || out->count > GRANTS_ROW_MAX ||
        row.length != HEADER_BYTES + 8 * (size_t)out->count)
        return JINI_E_CORRUPT;
    for (uint32_t i = 0; i < out->count; i++) {
        out->items[i] = load_le64(row.data + HEADER_BYTES + 8 * (size_t)i);
        if (i > 0 && out->items[i] <= out->items[i - 1])
            return JINI_E_CORRUPT;
    }
    return 0;
}

static int read_numbers(struct store_txn *txn, uint64_t user_id, struct numbers *out,
                        struct jini_error *error)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    out->count = 0;
    out->next_sequence = 0;
    wallet_key(user_id, &key);
    int status = store_get(txn, STORE_SPACE_ACTIVITY, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0)
        status = parse(buffer_slice(&value), out);
    return status == JINI_E_TOO_BIG || status == JINI_E_CORRUPT ? damaged(error) : status;
}

static int write_numbers(struct store_txn *txn, uint64_t user_id, const struct numbers *numbers)
{
    uint8_t bytes[ROW_BYTES_MAX] = {VERSION};
    struct tuple key;
    wallet_key(user_id, &key);
    store_le16(bytes + 2, (uint16_t)numbers->count);
    store_le32(bytes + 4, numbers->next_sequence);
    for (uint32_t i = 0; i < numbers->count; i++)
        store_le64(bytes + HEADER_BYTES + 8 * (size_t)i, numbers->items[i]);
    return store_put(txn, STORE_SPACE_ACTIVITY, tuple_key(&key),
                     slice_of(bytes, HEADER_BYTES + 8 * (size_t)numbers->count));
}

int grants_read(struct store_txn *txn, uint64_t user_id, struct wallet *out,
                struct jini_error *error)
{
    struct numbers numbers;
    struct jini_account account;
    out->user_id = user_id;
    out->count = 0;
    int status = read_numbers(txn, user_id, &numbers, error);
    out->next_sequence = numbers.next_sequence;
    for (uint32_t i = 0; status == 0 && i < numbers.count; i++) {
        struct jini_id id = place_user_account(user_id, numbers.items[i]);
        status = read_grant(txn, &id, &account, &out->grants[i], error);
        out->count += status == 0;
    }
    return status;
}

uint64_t grants_available(const struct wallet *wallet, uint64_t now_ms)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < wallet->count; i++) {
        if (may_be_drawn(&wallet->grants[i], now_ms))
            sum += wallet->grants[i].remaining;
    }
    return sum;
}

/* Where a number stands or belongs. */
static uint32_t find_number(const struct numbers *numbers, uint64_t number)
{
    uint32_t at = 0;
    while (at < numbers->count && numbers->items[at] < number)
        at++;
    return at;
}

static int add_number(struct numbers *numbers, uint64_t number, struct jini_error *error)
{
    uint32_t at = find_number(numbers, number);
    if (at < numbers->count && numbers->items[at] == number)
        return 0;
    if (numbers->count == GRANTS_ROW_MAX)
        return error_set(error, JINI_E_BUSY, "grants", "the wallet has %d grants already",
                         GRANTS_ROW_MAX);
    memmove(numbers->items + at + 1, numbers->items + at,
            (numbers->count - at) * sizeof(numbers->items[0]));
    numbers->items[at] = number;
    numbers->count++;
    return 0;
}

/* ---- Transfers ---- */

/* A request of the module's own, of which each transfer has to be made. */
struct moves {
    uint32_t count;
    struct jini_transfer transfers[GRANTS_BATCH];
    struct jini_transfer_reply replies[GRANTS_BATCH];
};

static void begin_moves(struct moves *moves)
{
    moves->count = 0; /* and no more: the rest is large, and filled in as it is taken */
}

static struct jini_transfer *add_move(struct moves *moves, struct jini_id id, enum chart_code code)
{
    JINI_ASSERT(moves->count < GRANTS_BATCH);
    struct jini_transfer *move = &moves->transfers[moves->count++];
    *move = (struct jini_transfer){.id = id, .ledger = JINI_CREDITS_LEDGER, .code = (uint16_t)code};
    return move;
}

/* All or nothing: they are linked. */
static int make(const struct grants_txn *txn, struct moves *moves)
{
    if (moves->count == 0)
        return 0;
    for (uint32_t i = 0; i + 1 < moves->count; i++)
        moves->transfers[i].flags |= JINI_TRANSFER_LINKED;
    int status =
        ledger_create_transfers(txn->store, txn->batch, txn->now_ms * NS_PER_MS, moves->transfers,
                                moves->count, moves->replies, txn->error);
    for (uint32_t i = 0; status == 0 && i < moves->count; i++) {
        uint32_t result = moves->replies[i].result;
        if (result == JINI_TRANSFER_RESULT_CREATED ||
            result == JINI_TRANSFER_RESULT_LINKED_EVENT_FAILED)
            continue;
        status = result == JINI_TRANSFER_RESULT_EXISTS ? JINI_E_EXISTS : JINI_E_CONFLICT;
        error_set(txn->error, status, "transfer", "the ledger does not take it: %s",
                  jini_transfer_result_name(result));
    }
    return status;
}

static int make_chart(const struct grants_txn *txn)
{
    static const enum chart_code codes[] = {CHART_ISSUED, CHART_USED, CHART_EXPIRED, CHART_REVOKED};
    return chart_make(txn->store, txn->batch, txn->now_ms * NS_PER_MS, JINI_CREDITS_LEDGER, codes,
                      sizeof(codes) / sizeof(codes[0]), txn->error);
}

static struct jini_id account_of(enum chart_code code)
{
    return chart_account(JINI_CREDITS_LEDGER, code);
}

/* Takes what is free of some grants; each is read afresh. */
static int take(const struct grants_txn *txn, const struct jini_id *accounts, uint32_t count,
                bool expired_only, enum chart_code code, uint64_t *taken)
{
    struct moves moves;
    struct jini_account account;
    struct jini_grant grant;
    int status = 0;
    begin_moves(&moves);
    *taken = 0;
    for (uint32_t i = 0; status == 0 && i < count && moves.count < GRANTS_BATCH; i++) {
        status = read_grant(txn->store, &accounts[i], &account, &grant, txn->error);
        if (status || grant.remaining == 0 || (expired_only && !has_expired(&grant, txn->now_ms)))
            continue;
        struct jini_transfer *move =
            add_move(&moves, id_of_taking(&account),
                     code == CHART_EXPIRED ? CHART_EXPIRY : CHART_REVOCATION);
        move->debit_account_id = accounts[i];
        move->credit_account_id = account_of(code);
        move->amount = jini_amount_of(grant.remaining);
        *taken += grant.remaining;
    }
    if (txn->news && code == CHART_EXPIRED)
        txn->news->expired += *taken;
    return status ? status : make(txn, &moves);
}

/* ---- The row of a wallet ---- */

/* Leaves out grants that have nothing left, unless one may still take effect. */
static int tidy(const struct grants_txn *txn, uint64_t user_id, struct numbers *numbers, bool write)
{
    struct jini_account account;
    uint32_t kept = 0;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < numbers->count; i++) {
        struct jini_id id = place_user_account(user_id, numbers->items[i]);
        status = ledger_account_get(txn->store, &id, &account, txn->error);
        if (status == 0 && has_credits(&account))
            numbers->items[kept++] = numbers->items[i];
    }
    if (status)
        return status;
    write = write || kept != numbers->count;
    numbers->count = kept;
    return write ? write_numbers(txn->store, user_id, numbers) : 0;
}

static int expire_numbers(const struct grants_txn *txn, uint64_t user_id,
                          const struct numbers *numbers, uint64_t *expired)
{
    struct jini_id accounts[GRANTS_ROW_MAX];
    for (uint32_t i = 0; i < numbers->count; i++)
        accounts[i] = place_user_account(user_id, numbers->items[i]);
    return take(txn, accounts, numbers->count, true, CHART_EXPIRED, expired);
}

int grants_expire(const struct grants_txn *txn, uint64_t user_id, uint64_t *expired)
{
    struct numbers numbers;
    *expired = 0;
    int status = read_numbers(txn->store, user_id, &numbers, txn->error);
    if (status == 0 && numbers.count > 0)
        status = expire_numbers(txn, user_id, &numbers, expired);
    return status || *expired == 0 ? status : tidy(txn, user_id, &numbers, false);
}

/* ---- Granting ---- */

/* The grant that an id stands for. */
static int find_same(const struct grants_txn *txn, struct jini_grant *grant, bool *found)
{
    struct jini_transfer transfer;
    struct jini_account account;
    struct jini_grant old;
    *found = false;
    int status = ledger_transfer_get(txn->store, &grant->id, &transfer, txn->error);
    if (status == JINI_E_NOT_FOUND) {
        error_clear(txn->error);
        return 0;
    }
    if (status)
        return status;
    uint64_t expires_ms = grant->expires_ms ? 1000 * to_seconds(grant->expires_ms) : 0;
    bool same = transfer.code == CHART_GRANTING &&
                place_is_of_user(&transfer.credit_account_id, NULL, NULL);
    if (same) {
        status = read_grant(txn->store, &transfer.credit_account_id, &account, &old, txn->error);
        if (status)
            return status;
        same = old.user_id == grant->user_id && old.granted == grant->granted &&
               old.category == grant->category && old.priority == grant->priority &&
               old.expires_ms == expires_ms &&
               old.effective_ms == 1000 * to_seconds(grant->effective_ms) &&
               id_equal(&old.source_id, &grant->source_id);
    }
    if (!same)
        return error_set(txn->error, JINI_E_CONFLICT, "id",
                         "this id stands for another grant or transfer");
    old.id = grant->id;
    *grant = old;
    *found = true;
    return 0;
}

static int open_account(const struct grants_txn *txn, const struct jini_grant *grant,
                        const struct jini_id *id)
{
    struct jini_account account = {
        .id = *id,
        .user_data_128 = grant->source_id,
        .user_data_64 = grant->granted,
        .user_data_32 = (uint32_t)to_seconds(grant->effective_ms),
        .ledger = JINI_CREDITS_LEDGER,
        .code = (uint16_t)(CHART_GRANT + grant->category),
        .flags = JINI_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS,
    };
    uint32_t result;
    int status = ledger_create_accounts(txn->store, txn->batch, txn->now_ms * NS_PER_MS, &account,
                                        1, &result, txn->error);
    if (status || result == JINI_ACCOUNT_RESULT_CREATED)
        return status;
    return error_set(txn->error, JINI_E_CONFLICT, "account",
                     "the ledger does not take the account of the grant: %s",
                     jini_account_result_name(result));
}

static int credit(const struct grants_txn *txn, const struct jini_grant *grant,
                  const struct jini_id *account_id)
{
    struct moves moves;
    begin_moves(&moves);
    struct jini_transfer *move = add_move(&moves, grant->id, CHART_GRANTING);
    move->debit_account_id = account_of(CHART_ISSUED);
    move->credit_account_id = *account_id;
    move->amount = jini_amount_of(grant->granted);
    return make(txn, &moves);
}

static int make_room(const struct grants_txn *txn, uint64_t user_id, struct numbers *numbers)
{
    uint64_t expired;
    int status = read_numbers(txn->store, user_id, numbers, txn->error);
    if (status || numbers->count < JINI_GRANTS_LIVE_MAX)
        return status;
    status = expire_numbers(txn, user_id, numbers, &expired);
    if (status == 0)
        status = tidy(txn, user_id, numbers, false);
    if (status == 0 && numbers->count >= JINI_GRANTS_LIVE_MAX)
        status = error_set(txn->error, JINI_E_BUSY, "grants",
                           "the user has %u grants with credits, and may have %d", numbers->count,
                           JINI_GRANTS_LIVE_MAX);
    return status;
}

int grants_add(const struct grants_txn *txn, struct jini_grant *grant)
{
    struct numbers numbers;
    struct jini_account account;
    bool found;
    int status = find_same(txn, grant, &found);
    if (status || found)
        return status;
    status = make_chart(txn);
    if (status == 0)
        status = make_room(txn, grant->user_id, &numbers);
    if (status)
        return status;
    if (numbers.next_sequence >> SEQUENCE_BITS)
        return error_set(txn->error, JINI_E_TOO_BIG, "grants",
                         "the user has had as many grants as there are numbers");
    uint64_t number = number_of(grant, numbers.next_sequence++);
    struct jini_id account_id = place_user_account(grant->user_id, number);
    struct jini_id id = grant->id;
    status = add_number(&numbers, number, txn->error);
    if (status == 0)
        status = open_account(txn, grant, &account_id);
    if (status == 0)
        status = credit(txn, grant, &account_id);
    if (status == 0)
        status = write_numbers(txn->store, grant->user_id, &numbers);
    if (status == 0)
        status = read_grant(txn->store, &account_id, &account, grant, txn->error);
    grant->id = id;
    if (status == 0 && txn->news)
        txn->news->granted = grant->granted;
    return status;
}

/* ---- Reserving ---- */

static int hold(const struct grants_txn *txn, struct moves *moves, const struct jini_id *job_id,
                const struct jini_id *account_id, uint64_t amount)
{
    if (moves->count == GRANTS_HELD_MAX)
        return error_set(txn->error, JINI_E_BUSY, "credits",
                         "the credits lie in more than %d grants", GRANTS_HELD_MAX);
    struct jini_transfer *move =
        add_move(moves, id_of_job(job_id, ID_HOLD, moves->count), CHART_GENERATION);
    move->debit_account_id = *account_id;
    move->credit_account_id = account_of(CHART_USED);
    move->amount = jini_amount_of(amount);
    move->flags = JINI_TRANSFER_PENDING;
    move->user_data_128 = *job_id;
    return 0;
}

int grants_reserve(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                   uint64_t amount, uint32_t *holds, uint64_t *left)
{
    struct numbers numbers;
    struct moves moves;
    struct jini_account account;
    struct jini_grant grant;
    uint64_t wanted = amount;
    begin_moves(&moves);
    *holds = 0;
    *left = 0;
    int status = read_numbers(txn->store, user_id, &numbers, txn->error);
    for (uint32_t i = 0; status == 0 && i < numbers.count; i++) {
        struct jini_id id = place_user_account(user_id, numbers.items[i]);
        status = read_grant(txn->store, &id, &account, &grant, txn->error);
        if (status || grant.remaining == 0 || !may_be_drawn(&grant, txn->now_ms))
            continue;
        uint64_t part = grant.remaining < wanted ? grant.remaining : wanted;
        if (part > 0)
            status = hold(txn, &moves, job_id, &id, part);
        wanted -= part;
        *left += grant.remaining - part;
    }
    if (status)
        return status;
    if (wanted > 0) {
        *left = amount - wanted;
        return error_set(txn->error, JINI_E_FUNDS, "credits",
                         "it costs %llu credits, and the wallet has %llu",
                         (unsigned long long)amount, (unsigned long long)*left);
    }
    *holds = moves.count;
    return make(txn, &moves);
}

/* ---- Settling ---- */

/* One of the holds of a job. */
static int read_hold(const struct grants_txn *txn, const struct jini_id *job_id, unsigned what,
                     uint32_t number, struct jini_transfer *out)
{
    struct jini_id id = id_of_job(job_id, what, number);
    int status = ledger_transfer_get(txn->store, &id, out, txn->error);
    if (status == JINI_E_NOT_FOUND)
        status = error_set(txn->error, JINI_E_CORRUPT, "credits",
                           "what the job reserved is not in the ledger");
    return status;
}

int grants_settle(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                  uint32_t holds, uint64_t used)
{
    struct moves moves;
    struct jini_transfer hold;
    struct jini_id accounts[GRANTS_HELD_MAX];
    struct numbers numbers;
    uint64_t expired;
    int status = holds > GRANTS_HELD_MAX ? JINI_E_CORRUPT : 0;
    begin_moves(&moves);
    for (uint32_t i = 0; status == 0 && i < holds; i++) {
        status = read_hold(txn, job_id, ID_HOLD, i, &hold);
        if (status)
            break;
        uint64_t part = hold.amount.low < used ? hold.amount.low : used;
        struct jini_transfer *move =
            add_move(&moves, id_of_job(job_id, ID_END, i), CHART_GENERATION);
        move->ledger = 0; /* as the hold has it */
        move->code = 0;
        move->pending_id = hold.id;
        move->amount = jini_amount_of(part);
        move->flags =
            part ? JINI_TRANSFER_POST_PENDING_TRANSFER : JINI_TRANSFER_VOID_PENDING_TRANSFER;
        accounts[i] = hold.debit_account_id;
        used -= part;
    }
    if (status || holds == 0)
        return status;
    status = make(txn, &moves);
    if (status == 0)
        status = take(txn, accounts, holds, true, CHART_EXPIRED, &expired);
    if (status == 0)
        status = read_numbers(txn->store, user_id, &numbers, txn->error);
    return status ? status : tidy(txn, user_id, &numbers, false);
}

/* How many holds of a job have ended; none are left open between them. */
static int count_ends(const struct grants_txn *txn, const struct jini_id *job_id, uint32_t *out)
{
    struct jini_transfer end;
    int status = 0;
    for (*out = 0; status == 0 && *out < GRANTS_HELD_MAX; *out += status == 0) {
        struct jini_id id = id_of_job(job_id, ID_END, *out);
        status = ledger_transfer_get(txn->store, &id, &end, txn->error);
    }
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int refuse_second(const struct grants_txn *txn, const struct jini_id *job_id)
{
    struct jini_transfer first;
    struct jini_id id = id_of_job(job_id, ID_REFUND, 0);
    int status = ledger_transfer_get(txn->store, &id, &first, txn->error);
    if (status == 0)
        return error_set(txn->error, JINI_E_EXISTS, "job", "it was refunded before");
    error_clear(txn->error);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int grants_refund(const struct grants_txn *txn, uint64_t user_id, const struct jini_id *job_id,
                  uint64_t amount, uint64_t *refunded)
{
    struct moves moves;
    struct jini_id accounts[GRANTS_HELD_MAX];
    struct jini_transfer end;
    struct numbers numbers;
    uint32_t ends = 0;
    uint64_t expired;
    uint64_t number;
    begin_moves(&moves);
    *refunded = 0;
    int status = refuse_second(txn, job_id);
    if (status == 0)
        status = read_numbers(txn->store, user_id, &numbers, txn->error);
    if (status == 0)
        status = count_ends(txn, job_id, &ends);
    while (status == 0 && ends-- > 0 && amount > 0) {
        status = read_hold(txn, job_id, ID_END, ends, &end);
        if (status || !(end.flags & JINI_TRANSFER_POST_PENDING_TRANSFER) ||
            !place_is_of_user(&end.debit_account_id, NULL, &number))
            continue;
        uint64_t part = end.amount.low < amount ? end.amount.low : amount;
        accounts[moves.count] = end.debit_account_id;
        struct jini_transfer *move =
            add_move(&moves, id_of_job(job_id, ID_REFUND, moves.count), CHART_REFUND);
        move->debit_account_id = account_of(CHART_USED);
        move->credit_account_id = end.debit_account_id;
        move->amount = jini_amount_of(part);
        move->user_data_128 = *job_id;
        amount -= part;
        *refunded += part;
        status = add_number(&numbers, number, txn->error);
    }
    if (status == 0)
        status = make(txn, &moves);
    if (status == 0)
        status = take(txn, accounts, moves.count, true, CHART_EXPIRED, &expired);
    return status || moves.count == 0 ? status : tidy(txn, user_id, &numbers, true);
}

int grants_user_of(struct store_txn *txn, const struct jini_id *job_id, uint64_t *user_id,
                   struct jini_error *error)
{
    struct jini_id id = id_of_job(job_id, ID_HOLD, 0);
    struct jini_transfer hold;
    int status = ledger_transfer_get(txn, &id, &hold, error);
    if (status == 0 && (hold.code != CHART_GENERATION || !id_equal(&hold.user_data_128, job_id) ||
                        !place_is_of_user(&hold.debit_account_id, user_id, NULL)))
        status = JINI_E_NOT_FOUND;
    return status;
}

int grants_revoke(const struct grants_txn *txn, const struct jini_id *grant_id, uint64_t *revoked)
{
    struct jini_transfer transfer;
    struct numbers numbers;
    uint64_t user_id;
    *revoked = 0;
    int status = ledger_transfer_get(txn->store, grant_id, &transfer, txn->error);
    if (status == 0 && (transfer.code != CHART_GRANTING ||
                        !place_is_of_user(&transfer.credit_account_id, &user_id, NULL)))
        status = error_set(txn->error, JINI_E_NOT_FOUND, "grant", "there is no grant of this id");
    if (status == 0)
        status = take(txn, &transfer.credit_account_id, 1, false, CHART_REVOKED, revoked);
    if (status == 0)
        status = read_numbers(txn->store, user_id, &numbers, txn->error);
    return status ? status : tidy(txn, user_id, &numbers, false);
}

/* ---- For verify ---- */

static void find(struct ledger_finding *out, const char *kind, const char *message)
{
    out->kind = kind;
    out->field = "wallet";
    snprintf(out->message, sizeof(out->message), "%s", message);
}

int grants_check_wallet(struct store_txn *txn, uint64_t user_id, struct ledger_finding *out)
{
    struct numbers numbers;
    struct jini_account account;
    struct jini_error ignored;
    out->kind = NULL;
    int status = read_numbers(txn, user_id, &numbers, &ignored);
    if (status_is_damage(status))
        find(out, "wallet_damaged", "the row of the wallet cannot be read; nothing can be drawn");
    for (uint32_t i = 0; status == 0 && i < numbers.count; i++) {
        struct jini_id id = place_user_account(user_id, numbers.items[i]);
        status = ledger_account_get(txn, &id, &account, &ignored);
        if (status == JINI_E_NOT_FOUND || (status == 0 && account.code < CHART_GRANT))
            find(out, "wallet_wrong", "the wallet names a grant that has no account");
    }
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int grants_check_account(struct store_txn *txn, const struct jini_id *id,
                         struct ledger_finding *out)
{
    struct numbers numbers;
    struct jini_account account;
    struct jini_error ignored;
    uint64_t user_id;
    uint64_t number;
    out->kind = NULL;
    if (!place_is_of_user(id, &user_id, &number))
        return 0;
    int status = ledger_account_get(txn, id, &account, &ignored);
    bool is_grant = status == 0 && account.ledger == JINI_CREDITS_LEDGER &&
                    account.code > CHART_GRANT &&
                    account.code <= CHART_GRANT + JINI_GRANT_PROMOTIONAL && has_credits(&account);
    if (is_grant)
        status = read_numbers(txn, user_id, &numbers, &ignored);
    if (is_grant && status == 0) {
        uint32_t at = find_number(&numbers, number);
        if (at == numbers.count || numbers.items[at] != number)
            find(out, "wallet_wrong", "a grant with credits is not in its wallet");
    }
    /* What is damaged is told where its own row is looked at. */
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int grants_check_holds(struct store_txn *txn, const struct jini_id *job_id, uint32_t holds,
                       uint64_t amount, struct ledger_finding *out)
{
    struct jini_transfer hold;
    struct batch_pending pending;
    struct jini_error ignored;
    uint64_t sum = 0;
    int status = 0;
    out->kind = NULL;
    for (uint32_t i = 0; status == 0 && i < holds; i++) {
        struct jini_id id = id_of_job(job_id, ID_HOLD, i);
        status = ledger_transfer_get(txn, &id, &hold, &ignored);
        if (status == 0)
            status = pending_read(txn, hold.timestamp, &pending);
        if (status == 0 && pending.pending.state == PENDING_OPEN)
            sum += hold.amount.low;
    }
    if (status == JINI_E_NOT_FOUND || (status == 0 && sum != amount))
        find(out, "job_credits_wrong", "the ledger does not hold the credits that the job costs");
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int grants_read_hold(struct store_txn *txn, struct slice key, struct jini_id *job_id)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_id used = account_of(CHART_USED);
    struct batch_pending pending;
    uint64_t kind;
    uint64_t timestamp;
    if (tuple_next_uint(&reader, &kind) != 0 || kind != 0 ||
        tuple_next_uint(&reader, &timestamp) != 0 || reader.rest.length != 0)
        return JINI_E_NOT_FOUND;
    int status = pending_read(txn, timestamp, &pending);
    if (status)
        return status_is_damage(status) ? JINI_E_NOT_FOUND : status;
    const struct jini_transfer *hold = &pending.pending.transfer;
    if (pending.pending.state != PENDING_OPEN || hold->code != CHART_GENERATION ||
        !id_equal(&hold->credit_account_id, &used))
        return JINI_E_NOT_FOUND;
    *job_id = hold->user_data_128;
    return 0;
}
