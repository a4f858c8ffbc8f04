/* The blocks, from first to last: the chain, and the balances that follow from their events. */
#include "ledger/check_private.h"

#include "base/alloc.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/id.h"
#include "ledger/batch.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    PASS_ACCOUNTS = 200 * 1000,
    SLICE_BLOCKS = 32, /* of one snapshot */
    TOLD_MAX = 100     /* findings of a kind that every event may have */
};

void check_found(struct checking *checking, const char *kind, const char *field, const char *format,
                 ...)
{
    struct ledger_finding finding = {.kind = kind, .field = field};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding.message, sizeof(finding.message), format, arguments);
    va_end(arguments);
    checking->check->found(checking->check->context, &finding);
}

void check_space_damaged(struct checking *checking, enum store_space space, int status)
{
    check_found(checking, "space_damaged", "row", STORE_SPACE_DAMAGED, store_space_name(space),
                jini_status_name(status));
}

/* ---- A pass: some accounts, and all events ---- */

struct pass_account {
    struct jini_id id;
    struct jini_balance expected;
    struct balance reckoned;
    struct chain_end expected_ends[2]; /* by enum block_side */
    struct chain_end ends[2];
    bool keeps_history;
};

struct pass {
    struct checking *checking;
    struct ledger_head head; /* of the snapshot that the accounts are of */
    struct id_map map;
    struct pass_account *accounts;
    uint32_t count;
    enum store_space space;    /* that was read last */
    bool ended;                /* there are no more accounts */
    struct jini_id unreadable; /* the last whose record could not be read */
    bool first;                /* looks at the chain as well, and sums up */
    uint64_t events;           /* looked at */
    uint64_t blocks;
    uint8_t hash[RECORD_HASH_BYTES]; /* of the block before */
    uint64_t before_ns;              /* time of that block */
    uint32_t told_of_blocks;
    uint32_t told_of_history;
    uint32_t told_of_chains;
};

/* JINI_E_CORRUPT: the key is none of the space. That of a user is looked at with the users. */
static int pass_add(struct pass *pass, enum store_space space, struct slice key, struct slice value)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_account account;
    struct jini_id id;
    struct pass_account *added = &pass->accounts[pass->count];
    if (place_read(space, &reader, &id) != 0 || reader.rest.length != 0)
        return space == STORE_SPACE_ACTIVITY ? 0 : JINI_E_CORRUPT;
    memset(added, 0, sizeof(*added));
    if (record_read_account(value, &id, &account, added->expected_ends) != 0) {
        pass->unreadable = id;
        return 0;
    }
    added->id = id;
    added->expected = account.balance;
    added->keeps_history = account.flags & JINI_ACCOUNT_HISTORY;
    *id_map_at(&pass->map, &id) = ++pass->count;
    return 0;
}

/* Those of a space that come behind a key. JINI_E_NOT_FOUND: there are no more. */
static int read_space(struct pass *pass, struct store_txn *txn, enum store_space space,
                      struct slice low)
{
    uint8_t bytes[RECORD_ACCOUNT_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_cursor cursor;
    int status = store_cursor_open(txn, space, low, slice_of(NULL, 0), STORE_FORWARD, &cursor);
    pass->space = space;
    while (status == 0 && pass->count < PASS_ACCOUNTS) {
        status = store_cursor_next(&cursor, &value);
        if (status == JINI_E_TOO_BIG && space == STORE_SPACE_ACTIVITY)
            status = 0; /* another row of a user */
        else if (status == 0)
            status = pass_add(pass, space, cursor.key, buffer_slice(&value));
    }
    store_cursor_close(&cursor);
    return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
}

/* Those behind the last of the pass before; first all that are nobody's. */
static int read_accounts(struct pass *pass, struct store_txn *txn, const struct jini_id *after)
{
    struct tuple low;
    enum store_space space = STORE_SPACE_LEDGER_ACCOUNTS;
    tuple_begin(&low);
    if (!id_is_zero(after)) {
        space = place_of_account(after, &low);
        tuple_after_prefix(&low);
    }
    int status = 0;
    if (space == STORE_SPACE_LEDGER_ACCOUNTS) {
        status = read_space(pass, txn, space, tuple_key(&low));
        tuple_begin(&low);
    }
    if (status == JINI_E_NOT_FOUND || space == STORE_SPACE_ACTIVITY)
        status = read_space(pass, txn, STORE_SPACE_ACTIVITY, tuple_key(&low));
    pass->ended = status != 0;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* What could not be read is told once no snapshot is open; the others are checked. */
static int tell_unread(struct pass *pass, int status)
{
    char id[JINI_ID_TEXT_MAX];
    struct checking *checking = pass->checking;
    if (!id_is_zero(&pass->unreadable)) {
        jini_id_format(&pass->unreadable, id);
        check_found(checking, "ledger_account_damaged", "account",
                    "the record of account %s cannot be read", id);
        checking->accounts_missed = true;
    }
    if (!status_is_damage(status))
        return status;
    check_space_damaged(checking, pass->space, status);
    checking->accounts_missed = true;
    return 0;
}

/* The next accounts, and the head that goes with them. */
static int pass_begin(struct pass *pass, const struct jini_id *after)
{
    struct checking *checking = pass->checking;
    struct store_txn *txn;
    id_map_clear(&pass->map);
    pass->count = 0;
    pass->unreadable = (struct jini_id){{0}};
    int status = store_read_begin_explained(checking->check->store, &txn, checking->error);
    if (status)
        return status;
    int head = blocks_read_head(txn, &pass->head, checking->error);
    status = head ? 0 : read_accounts(pass, txn, after);
    store_read_end(txn);
    if (status_is_damage(head))
        check_found(checking, "ledger_head_wrong", "head", "%s; nothing of the ledger was checked",
                    checking->error->message);
    return head ? head : tell_unread(pass, status);
}

/* ---- Events ---- */

static struct pass_account *find(struct pass *pass, const struct jini_id *id)
{
    uint32_t value = id_map_get(&pass->map, id);
    return value ? &pass->accounts[value - 1] : NULL;
}

/* How much the pending transfer held that an event ends. */
static int read_held(struct store_txn *txn, const struct jini_transfer *event, amount128 *out)
{
    struct jini_transfer held;
    struct jini_error ignored;
    int status = ledger_transfer_get(txn, &event->pending_id, &held, &ignored);
    *out = status ? 0 : amount_of(held.amount);
    return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
}

static void reckon(struct pass_account *account, enum block_side side,
                   const struct jini_transfer *event, amount128 held)
{
    struct balance *balance = &account->reckoned;
    amount128 *pending = side == BLOCK_DEBIT ? &balance->debits_pending : &balance->credits_pending;
    amount128 *posted = side == BLOCK_DEBIT ? &balance->debits_posted : &balance->credits_posted;
    if (event->flags & JINI_TRANSFER_PENDING) {
        *pending += amount_of(event->amount);
        return;
    }
    if (rules_is_end(event) || (event->flags & JINI_TRANSFER_EXPIRED))
        *pending -= held;
    if (!(event->flags & (JINI_TRANSFER_VOID_PENDING_TRANSFER | JINI_TRANSFER_EXPIRED)))
        *posted += amount_of(event->amount);
}

static void check_history(struct pass *pass, const struct pass_account *account, uint32_t index,
                          enum block_side side, const struct jini_transfer *event)
{
    struct jini_balance kept;
    struct jini_balance reckoned = balance_out(&account->reckoned);
    bool has = block_balance(&pass->checking->block, index, side, &kept);
    if (has == account->keeps_history && (!has || memcmp(&kept, &reckoned, sizeof(kept)) == 0))
        return;
    if (pass->told_of_history++ < TOLD_MAX)
        check_found(pass->checking, "ledger_history_wrong", "balance",
                    "the balance that is kept with the transfer of %llu ns is not what the "
                    "transfers come to",
                    (unsigned long long)event->timestamp);
}

/* The link of an event leads to the one before it, and where a mark is due is known then. */
static void check_link(struct pass *pass, struct pass_account *account, uint32_t index,
                       enum block_side side, const struct jini_transfer *event)
{
    struct checking *checking = pass->checking;
    struct chain_end *end = &account->ends[side];
    if (block_link(&checking->block, index, side) != end->last_ns &&
        pass->told_of_chains++ < TOLD_MAX)
        check_found(checking, "ledger_list_damaged",
                    side == BLOCK_DEBIT ? "debit_account_id" : "credit_account_id",
                    "the transfer of %llu ns does not lead to the one before it of its account",
                    (unsigned long long)event->timestamp);
    end->last_ns = event->timestamp;
    end->since_mark = (end->since_mark + 1) % CHAIN_MARK_EVENTS;
    if (end->since_mark == 0 && event->timestamp <= checking->last_ns)
        check_add_mark(checking, checking->of_events, &account->id, side, event->timestamp);
}

static int check_side(struct pass *pass, struct store_txn *txn, uint32_t index,
                      enum block_side side, const struct jini_transfer *event)
{
    amount128 held = 0;
    struct pass_account *account =
        find(pass, side == BLOCK_DEBIT ? &event->debit_account_id : &event->credit_account_id);
    if (!account)
        return 0;
    if (event->timestamp <= pass->checking->last_ns)
        pass->checking->sides++;
    int status = 0;
    if (rules_is_end(event) || (event->flags & JINI_TRANSFER_EXPIRED))
        status = read_held(txn, event, &held);
    if (status)
        return status;
    reckon(account, side, event, held);
    check_link(pass, account, index, side, event);
    check_history(pass, account, index, side, event);
    return 0;
}

static int check_event(struct pass *pass, struct store_txn *txn, uint32_t index)
{
    struct jini_transfer event;
    block_transfer(&pass->checking->block, index, &event);
    pass->events++;
    if (pass->first)
        check_add_event(pass->checking, &event);
    int status = check_side(pass, txn, index, BLOCK_DEBIT, &event);
    return status ? status : check_side(pass, txn, index, BLOCK_CREDIT, &event);
}

/* ---- Blocks ---- */

/* The hash tells of the block before this one; that of the last stands in the head. */
static void check_chain(struct pass *pass, const uint8_t *previous_hash)
{
    if (memcmp(previous_hash, pass->hash, RECORD_HASH_BYTES) == 0 ||
        pass->told_of_blocks++ >= TOLD_MAX)
        return;
    check_found(pass->checking, "ledger_block_altered", "block",
                "block %llu, whose first transfer is of %llu ns, is not what it was when the block "
                "after it was written",
                (unsigned long long)pass->blocks, (unsigned long long)pass->before_ns);
}

static int check_block(struct pass *pass, struct store_txn *txn)
{
    const struct block *block = &pass->checking->block;
    int status = 0;
    if (pass->first) {
        check_chain(pass, block_previous_hash(block));
        if (block->number != pass->blocks + 1 && pass->told_of_blocks++ < TOLD_MAX)
            check_found(pass->checking, "ledger_block_missing", "number",
                        "block %llu is followed by block %llu", (unsigned long long)pass->blocks,
                        (unsigned long long)block->number);
        block_hash(block, pass->hash);
    }
    pass->before_ns = block->first_ns;
    pass->blocks++;
    for (uint32_t i = 0; status == 0 && i < block->events; i++)
        status = check_event(pass, txn, i);
    return status;
}

static int check_slice(struct pass *pass, struct store_txn *txn, uint64_t *next_ns)
{
    struct block *block = &pass->checking->block;
    for (int i = 0; i < SLICE_BLOCKS; i++) {
        int status = blocks_read(txn, *next_ns, STORE_FORWARD, block, pass->checking->error);
        if (status)
            return status;
        if (block->first_ns > pass->head.last_ns)
            return JINI_E_NOT_FOUND;
        status = check_block(pass, txn);
        if (status)
            return status;
        *next_ns = block_time(block, block->events - 1) + 1;
    }
    return 0;
}

static int check_blocks(struct pass *pass)
{
    struct checking *checking = pass->checking;
    uint64_t next_ns = 0;
    int status = 0;
    while (status == 0) {
        struct store_txn *txn;
        status = store_read_begin_explained(checking->check->store, &txn, checking->error);
        if (status)
            return status;
        status = check_slice(pass, txn, &next_ns);
        store_read_end(txn);
        if (!checking->check->goes_on(checking->check->context, pass->events))
            return JINI_E_CANCELLED;
    }
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (!status_is_damage(status))
        return status;
    if (pass->first)
        check_found(checking, "ledger_block_damaged", "block",
                    "%s; nothing of the ledger behind it was checked", checking->error->message);
    checking->events_missed = true;
    return 0;
}

/* ---- What came of a pass ---- */

static void check_balances(struct pass *pass)
{
    char id[JINI_ID_TEXT_MAX];
    uint32_t told = 0;
    for (uint32_t i = 0; i < pass->count; i++) {
        const struct pass_account *account = &pass->accounts[i];
        struct jini_balance reckoned = balance_out(&account->reckoned);
        if (memcmp(&reckoned, &account->expected, sizeof(reckoned)) == 0 || told++ >= TOLD_MAX)
            continue;
        jini_id_format(&account->id, id);
        check_found(pass->checking, "ledger_balance_wrong", "balance",
                    "the balance of account %s is not what its transfers come to", id);
    }
}

static bool ends_agree(const struct pass_account *account, enum block_side side)
{
    return account->ends[side].last_ns == account->expected_ends[side].last_ns &&
           account->ends[side].since_mark == account->expected_ends[side].since_mark;
}

static void check_ends(struct pass *pass)
{
    char id[JINI_ID_TEXT_MAX];
    for (uint32_t i = 0; i < pass->count; i++) {
        const struct pass_account *account = &pass->accounts[i];
        if ((ends_agree(account, BLOCK_DEBIT) && ends_agree(account, BLOCK_CREDIT)) ||
            pass->told_of_chains++ >= TOLD_MAX)
            continue;
        jini_id_format(&account->id, id);
        check_found(pass->checking, "ledger_list_damaged", "account",
                    "the lists of account %s do not end with its last transfers", id);
    }
}

static void check_head(struct pass *pass)
{
    const struct ledger_head *head = &pass->head;
    check_chain(pass, head->hash);
    if (head->events != pass->events || head->blocks != pass->blocks)
        check_found(pass->checking, "ledger_head_wrong", "events",
                    "the head counts %llu events in %llu blocks; there are %llu in %llu",
                    (unsigned long long)head->events, (unsigned long long)head->blocks,
                    (unsigned long long)pass->events, (unsigned long long)pass->blocks);
}

static int run_pass(struct pass *pass, const struct jini_id *after)
{
    int status = pass_begin(pass, after);
    pass->events = pass->blocks = pass->told_of_blocks = pass->told_of_history = 0;
    memset(pass->hash, 0, sizeof(pass->hash));
    if (status == 0 && pass->first)
        pass->checking->last_ns = pass->head.last_ns;
    if (status == 0 && (pass->count > 0 || pass->first))
        status = check_blocks(pass);
    if (status || pass->checking->events_missed)
        return status;
    check_balances(pass);
    check_ends(pass);
    if (pass->first)
        check_head(pass);
    return 0;
}

/* Each account is in one pass, so both sides of each event up to the first head are met once. */
static int run_passes(struct pass *pass)
{
    struct jini_id after = {{0}};
    uint64_t events = 0;
    int status;
    do {
        status = run_pass(pass, &after);
        events = pass->first ? pass->events : events;
        pass->first = false;
        if (pass->count > 0)
            after = pass->accounts[pass->count - 1].id;
    } while (status == 0 && !pass->ended && !pass->checking->events_missed);
    bool whole = !pass->checking->accounts_missed && !pass->checking->events_missed;
    if (status == 0 && whole && pass->checking->sides != 2 * events)
        check_found(pass->checking, "ledger_account_missing", "account_id",
                    "%llu transfers name an account that is not there",
                    (unsigned long long)(2 * events - pass->checking->sides));
    return status;
}

int ledger_check(const struct ledger_check *check, struct jini_error *error)
{
    struct checking *checking = base_calloc(1, sizeof(*checking));
    struct pass pass = {.checking = checking, .first = true};
    pass.accounts = base_malloc(PASS_ACCOUNTS * sizeof(*pass.accounts));
    int status = JINI_E_NO_MEMORY;
    if (checking && pass.accounts && id_map_init(&pass.map, PASS_ACCOUNTS)) {
        checking->check = check;
        checking->error = error;
        crypto_random(&checking->seed, sizeof(checking->seed));
        status = run_passes(&pass);
        if (status == 0)
            status = check_rows(checking);
    }
    id_map_free(&pass.map);
    base_free(pass.accounts);
    base_free(checking);
    if (status_is_damage(status))
        status = 0; /* it was told */
    if (status == 0)
        error_clear(error);
    return error_complete(error, status, "ledger", "the ledger cannot be checked");
}
