/* See ledger_rows.h. */
#include "peers/ledger_rows.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEAD_BYTES = 88,
    BLOCK_TRANSFERS = 227,
    BLOCK_HEADER_BYTES = 48,
    TRANSFER_BYTES = 128 + 16,
    ACCOUNT_BYTES = 68,
    MARK_TRANSFERS = 128,
    LIST_HEADER_BYTES = 20,
    LIST_BYTES_MAX = 1800,
    TAIL_MAX = 32,
    KEY_BYTES_MAX = 64
};

enum { DEBITS = 1, CREDITS, CODE, LEDGER };

/* The newest times of one list, by what their row would take. */
struct tail {
    uint64_t first;
    uint64_t last;
    uint32_t count;
    uint32_t bytes;
    uint32_t last_bytes; /* of them, for the last time */
};

struct account {
    uint64_t transfers[2]; /* debits and credits */
    uint64_t touched;      /* the batch that wrote it last */
};

struct ledger_rows {
    struct raw *raw;
    unsigned transfers;
    unsigned ids;
    unsigned accounts;
    unsigned postings;
    uint64_t last_ns;
    uint64_t batches;
    struct account *account; /* by number */
    struct tail codes[TRANSFERS_CODES + 1];
    struct tail ledger;
};

static const uint8_t filler[BLOCK_HEADER_BYTES + BLOCK_TRANSFERS * TRANSFER_BYTES];

/* ---- Keys, as long as Jini's ----------------------------------------------------------------- */

struct key {
    uint8_t bytes[KEY_BYTES_MAX];
    size_t length;
};

static void add_byte(struct key *key, uint8_t byte)
{
    key->bytes[key->length++] = byte;
}

static void add_id(struct key *key, const uint8_t id[TRANSFERS_ID_BYTES])
{
    add_byte(key, 'i');
    memcpy(key->bytes + key->length, id, TRANSFERS_ID_BYTES);
    key->length += TRANSFERS_ID_BYTES;
}

static void add_time(struct key *key, uint64_t time)
{
    add_byte(key, 't');
    for (int i = 0; i < 8; i++)
        add_byte(key, (uint8_t)(time >> 8 * (7 - i)));
}

static void add_small(struct key *key, uint8_t number)
{
    add_byte(key, 'n');
    if (number > 0)
        add_byte(key, number);
}

static void put(struct ledger_rows *rows, unsigned space, const struct key *key, size_t length)
{
    raw_put(rows->raw, space, (struct raw_bytes){key->bytes, key->length},
            (struct raw_bytes){filler, length});
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static uint32_t varint_bytes(uint64_t number)
{
    uint32_t bytes = 1;
    for (; number >= 0x80; number >>= 7)
        bytes++;
    return bytes;
}

static void put_chunk(struct ledger_rows *rows, uint8_t field, const uint8_t *value,
                      struct tail *tail)
{
    struct key key = {.length = 0};
    add_small(&key, 1);
    add_small(&key, field);
    add_id(&key, value);
    add_time(&key, tail->first);
    put(rows, rows->postings, &key, tail->bytes);
    tail->count = 0;
}

static void list_add(struct ledger_rows *rows, uint8_t field, const uint8_t *value,
                     struct tail *tail, uint64_t time)
{
    uint32_t more = tail->count ? varint_bytes(time - tail->last) : 0;
    if (tail->bytes + more > LIST_BYTES_MAX)
        put_chunk(rows, field, value, tail);
    if (tail->count == 0)
        *tail = (struct tail){.first = time, .bytes = LIST_HEADER_BYTES};
    else
        tail->bytes += more;
    tail->last_bytes = more;
    tail->last = time;
    tail->count++;
}

/* The row of the newest times; when they are many, all but the last have left it. */
static void put_tail(struct ledger_rows *rows, uint8_t field, const uint8_t *value,
                     struct tail *tail)
{
    struct key key = {.length = 0};
    if (tail->count > TAIL_MAX) {
        tail->bytes -= tail->last_bytes;
        put_chunk(rows, field, value, tail);
        *tail = (struct tail){tail->last, tail->last, 1, LIST_HEADER_BYTES, 0};
    }
    add_small(&key, 0);
    add_small(&key, field);
    add_id(&key, value);
    put(rows, rows->postings, &key, tail->bytes);
}

/* The value of a code or a ledger: an id with zeros before it. */
static void number_value(uint16_t number, uint8_t value[TRANSFERS_ID_BYTES])
{
    memset(value, 0, TRANSFERS_ID_BYTES);
    value[TRANSFERS_ID_BYTES - 2] = (uint8_t)(number >> 8);
    value[TRANSFERS_ID_BYTES - 1] = (uint8_t)number;
}

static void add_to_lists(struct ledger_rows *rows, const struct transfer *transfer, uint64_t time)
{
    uint8_t value[TRANSFERS_ID_BYTES];
    number_value(transfer->code, value);
    list_add(rows, CODE, value, &rows->codes[transfer->code], time);
    number_value(TRANSFERS_LEDGER, value);
    list_add(rows, LEDGER, value, &rows->ledger, time);
}

static void put_lists(struct ledger_rows *rows)
{
    uint8_t value[TRANSFERS_ID_BYTES];
    for (uint16_t code = 1; code <= TRANSFERS_CODES; code++) {
        number_value(code, value);
        if (rows->codes[code].count > 0)
            put_tail(rows, CODE, value, &rows->codes[code]);
    }
    number_value(TRANSFERS_LEDGER, value);
    put_tail(rows, LEDGER, value, &rows->ledger);
}

/* ---- Other rows ------------------------------------------------------------------------------ */

static void put_head(struct ledger_rows *rows)
{
    struct key key = {.length = 0};
    static const char name[] = "head";
    for (size_t i = 0; i < sizeof(name); i++)
        add_byte(&key, (uint8_t)name[i]);
    put(rows, rows->transfers, &key, HEAD_BYTES);
}

static void put_blocks(struct ledger_rows *rows, uint64_t time, uint32_t count)
{
    for (uint32_t done = 0; done < count; done += BLOCK_TRANSFERS) {
        uint32_t some = count - done < BLOCK_TRANSFERS ? count - done : BLOCK_TRANSFERS;
        struct key key = {.length = 0};
        add_time(&key, time + done);
        put(rows, rows->transfers, &key, BLOCK_HEADER_BYTES + (size_t)some * TRANSFER_BYTES);
    }
}

static void put_id(struct ledger_rows *rows, const struct transfer *transfer)
{
    enum { TIME_BYTES = 8 };
    struct key key = {.length = 0};
    add_id(&key, transfer->id);
    put(rows, rows->ids, &key, TIME_BYTES);
}

/* Of every 128th debit or credit of an account. */
static void put_mark(struct ledger_rows *rows, uint8_t side, uint32_t number, uint64_t time)
{
    struct key key = {.length = 0};
    uint8_t id[TRANSFERS_ID_BYTES];
    if (++rows->account[number].transfers[side - DEBITS] % MARK_TRANSFERS != 0)
        return;
    transfers_account_id(number, id);
    add_small(&key, 1);
    add_small(&key, side);
    add_id(&key, id);
    add_time(&key, time);
    put(rows, rows->postings, &key, 0);
}

static void put_account(struct ledger_rows *rows, uint32_t number)
{
    struct key key = {.length = 0};
    uint8_t id[TRANSFERS_ID_BYTES];
    transfers_account_id(number, id);
    add_id(&key, id);
    put(rows, rows->accounts, &key, ACCOUNT_BYTES);
}

/* Once a batch. */
static void touch_account(struct ledger_rows *rows, uint32_t number)
{
    struct account *account = &rows->account[number];
    if (account->touched != rows->batches)
        put_account(rows, number);
    account->touched = rows->batches;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void ledger_rows_batch(void *context, const struct transfer *transfers, uint32_t count)
{
    struct ledger_rows *rows = context;
    uint64_t now = now_ns();
    uint64_t first = now > rows->last_ns ? now : rows->last_ns + 1;
    rows->batches++;
    raw_begin(rows->raw);
    for (uint32_t i = 0; i < count; i++) {
        put_mark(rows, DEBITS, transfers[i].debit, first + i);
        put_mark(rows, CREDITS, transfers[i].credit, first + i);
    }
    put_blocks(rows, first, count);
    for (uint32_t i = 0; i < count; i++)
        put_id(rows, &transfers[i]);
    for (uint32_t i = 0; i < count; i++)
        add_to_lists(rows, &transfers[i], first + i);
    for (uint32_t i = 0; i < count; i++) {
        touch_account(rows, transfers[i].debit);
        touch_account(rows, transfers[i].credit);
    }
    put_lists(rows);
    put_head(rows);
    raw_commit(rows->raw);
    rows->last_ns = first + count - 1;
}

static void open_raw(struct ledger_rows *rows, const char *directory, enum raw_mode mode)
{
    rows->raw = raw_open(directory, mode);
    rows->transfers = raw_space(rows->raw, "transfers");
    rows->ids = raw_space(rows->raw, "ids");
    rows->accounts = raw_space(rows->raw, "accounts");
    rows->postings = raw_space(rows->raw, "postings");
}

static void load(struct ledger_rows *rows, uint32_t accounts, uint64_t batches)
{
    struct transfer *transfers = bench_alloc(TRANSFERS_BATCH, sizeof(*transfers));
    struct transfer_source source = transfers_of_history(accounts);
    raw_begin(rows->raw);
    for (uint32_t number = 1; number <= accounts + 2; number++)
        put_account(rows, number);
    raw_commit(rows->raw);
    for (uint64_t batch = 0; batch < batches; batch++) {
        transfers_next(&source, transfers_history_accounts(batch), transfers, TRANSFERS_BATCH);
        ledger_rows_batch(rows, transfers, TRANSFERS_BATCH);
    }
    free(transfers);
}

struct ledger_rows *ledger_rows_new(const char *directory, uint32_t accounts, uint64_t batches)
{
    struct ledger_rows *rows = bench_alloc(1, sizeof(*rows));
    rows->account = bench_alloc(accounts + 3, sizeof(*rows->account));
    open_raw(rows, directory, RAW_UNSYNCED);
    load(rows, accounts, batches);
    raw_close(rows->raw);
    open_raw(rows, directory, RAW_SYNCED);
    return rows;
}

void ledger_rows_free(struct ledger_rows *rows)
{
    raw_close(rows->raw);
    free(rows->account);
    free(rows);
}
