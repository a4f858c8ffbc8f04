/* The formats of records.h. */
#include "ledger/records.h"

#include "ledger/amount.h"

enum { VERSION = 1 };

static void write_amount(struct jini_amount amount, uint8_t *out)
{
    store_le64(out, amount.low);
    store_le64(out + 8, amount.high);
}

static struct jini_amount read_amount(const uint8_t *bytes)
{
    return (struct jini_amount){load_le64(bytes), load_le64(bytes + 8)};
}

static void write_id(const struct jini_id *id, uint8_t *out)
{
    memcpy(out, id->bytes, JINI_ID_BYTES);
}

static struct jini_id read_id(const uint8_t *bytes)
{
    struct jini_id id;
    memcpy(id.bytes, bytes, JINI_ID_BYTES);
    return id;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* The first byte is the version, and `zeros` bytes from `at` are reserved. */
static int check_form(struct slice bytes, size_t length, size_t at, size_t zeros)
{
    if (bytes.length == 0)
        return JINI_E_CORRUPT;
    if (bytes.data[0] > VERSION)
        return JINI_E_FORMAT;
    if (bytes.data[0] != VERSION || bytes.length != length || !all_zero(bytes.data + at, zeros))
        return JINI_E_CORRUPT;
    return 0;
}

void record_write_balance(const struct jini_balance *balance, uint8_t out[RECORD_BALANCE_BYTES])
{
    write_amount(balance->debits_pending, out);
    write_amount(balance->debits_posted, out + 16);
    write_amount(balance->credits_pending, out + 32);
    write_amount(balance->credits_posted, out + 48);
}

void record_read_balance(const uint8_t bytes[RECORD_BALANCE_BYTES], struct jini_balance *out)
{
    out->debits_pending = read_amount(bytes);
    out->debits_posted = read_amount(bytes + 16);
    out->credits_pending = read_amount(bytes + 32);
    out->credits_posted = read_amount(bytes + 48);
}

enum { FORM_USER_DATA = 1, FORM_WIDE = 2, ACCOUNT_BYTES = 36, USER_DATA_BYTES = 28 };

static bool has_user_data(const struct jini_account *account)
{
    return !all_zero(account->user_data_128.bytes, JINI_ID_BYTES) || account->user_data_64 != 0 ||
           account->user_data_32 != 0;
}

static bool is_wide(const struct jini_balance *balance)
{
    return (balance->debits_pending.high | balance->debits_posted.high |
            balance->credits_pending.high | balance->credits_posted.high) != 0;
}

static uint8_t *write_balance(const struct jini_balance *balance, bool wide, uint8_t *at)
{
    if (wide) {
        record_write_balance(balance, at);
        return at + RECORD_BALANCE_BYTES;
    }
    store_le64(at, balance->debits_pending.low);
    store_le64(at + 8, balance->debits_posted.low);
    store_le64(at + 16, balance->credits_pending.low);
    store_le64(at + 24, balance->credits_posted.low);
    return at + RECORD_BALANCE_BYTES / 2;
}

static const uint8_t *read_balance(const uint8_t *at, bool wide, struct jini_balance *out)
{
    if (wide) {
        record_read_balance(at, out);
        return at + RECORD_BALANCE_BYTES;
    }
    out->debits_pending = jini_amount_of(load_le64(at));
    out->debits_posted = jini_amount_of(load_le64(at + 8));
    out->credits_pending = jini_amount_of(load_le64(at + 16));
    out->credits_posted = jini_amount_of(load_le64(at + 24));
    return at + RECORD_BALANCE_BYTES / 2;
}

size_t record_write_account(const struct jini_account *account, const struct chain_end ends[2],
                            uint8_t out[RECORD_ACCOUNT_BYTES_MAX])
{
    bool wide = is_wide(&account->balance);
    bool user_data = has_user_data(account);
    out[0] = VERSION;
    out[1] = (uint8_t)((user_data ? FORM_USER_DATA : 0) | (wide ? FORM_WIDE : 0));
    out[2] = (uint8_t)ends[0].since_mark;
    out[3] = (uint8_t)ends[1].since_mark;
    store_le32(out + 4, account->ledger);
    store_le16(out + 8, account->code);
    store_le16(out + 10, account->flags);
    store_le64(out + 12, account->timestamp);
    store_le64(out + 20, ends[0].last_ns);
    store_le64(out + 28, ends[1].last_ns);
    uint8_t *at = write_balance(&account->balance, wide, out + ACCOUNT_BYTES);
    if (user_data) {
        write_id(&account->user_data_128, at);
        store_le64(at + 16, account->user_data_64);
        store_le32(at + 24, account->user_data_32);
        at += USER_DATA_BYTES;
    }
    return (size_t)(at - out);
}

static size_t account_bytes(uint8_t form)
{
    return ACCOUNT_BYTES + (size_t)RECORD_BALANCE_BYTES / (form & FORM_WIDE ? 1 : 2) +
           (form & FORM_USER_DATA ? USER_DATA_BYTES : 0);
}

int record_read_account(struct slice bytes, const struct jini_id *id, struct jini_account *out,
                        struct chain_end ends[2])
{
    memset(out, 0, sizeof(*out));
    memset(ends, 0, 2 * sizeof(*ends));
    if (bytes.length < 2)
        return JINI_E_CORRUPT;
    uint8_t form = bytes.data[1];
    int status = check_form(bytes, account_bytes(form), 0, 0);
    if (status)
        return status;
    if (form & ~(FORM_USER_DATA | FORM_WIDE))
        return JINI_E_CORRUPT;
    out->id = *id;
    ends[0] = (struct chain_end){load_le64(bytes.data + 20), bytes.data[2]};
    ends[1] = (struct chain_end){load_le64(bytes.data + 28), bytes.data[3]};
    out->ledger = load_le32(bytes.data + 4);
    out->code = load_le16(bytes.data + 8);
    out->flags = load_le16(bytes.data + 10);
    out->timestamp = load_le64(bytes.data + 12);
    const uint8_t *at = read_balance(bytes.data + ACCOUNT_BYTES, form & FORM_WIDE, &out->balance);
    if (form & FORM_USER_DATA) {
        out->user_data_128 = read_id(at);
        out->user_data_64 = load_le64(at + 16);
        out->user_data_32 = load_le32(at + 24);
    }
    return 0;
}

void record_write_transfer(const struct jini_transfer *transfer, uint8_t out[RECORD_TRANSFER_BYTES])
{
    write_id(&transfer->id, out);
    write_id(&transfer->debit_account_id, out + 16);
    write_id(&transfer->credit_account_id, out + 32);
    write_amount(transfer->amount, out + 48);
    write_id(&transfer->pending_id, out + 64);
    write_id(&transfer->user_data_128, out + 80);
    store_le64(out + 96, transfer->user_data_64);
    store_le32(out + 104, transfer->user_data_32);
    store_le32(out + 108, transfer->timeout);
    store_le32(out + 112, transfer->ledger);
    store_le16(out + 116, transfer->code);
    store_le16(out + 118, transfer->flags);
    store_le64(out + 120, transfer->timestamp);
}

void record_read_transfer(const uint8_t bytes[RECORD_TRANSFER_BYTES], struct jini_transfer *out)
{
    *out = (struct jini_transfer){
        .id = read_id(bytes),
        .debit_account_id = read_id(bytes + 16),
        .credit_account_id = read_id(bytes + 32),
        .amount = read_amount(bytes + 48),
        .pending_id = read_id(bytes + 64),
        .user_data_128 = read_id(bytes + 80),
        .user_data_64 = load_le64(bytes + 96),
        .user_data_32 = load_le32(bytes + 104),
        .timeout = load_le32(bytes + 108),
        .ledger = load_le32(bytes + 112),
        .code = load_le16(bytes + 116),
        .flags = load_le16(bytes + 118),
        .timestamp = load_le64(bytes + 120),
    };
}

void record_write_pending(const struct pending *pending, uint8_t out[RECORD_PENDING_BYTES])
{
    memset(out, 0, 8);
    out[0] = VERSION;
    out[1] = (uint8_t)pending->state;
    store_le64(out + 8, pending->expires_ns);
    store_le64(out + 16, pending->ended_ns);
    record_write_transfer(&pending->transfer, out + 24);
}

int record_read_pending(struct slice bytes, struct pending *out)
{
    memset(out, 0, sizeof(*out));
    int status = check_form(bytes, RECORD_PENDING_BYTES, 2, 6);
    if (status)
        return status;
    if (bytes.data[1] < PENDING_OPEN || bytes.data[1] > PENDING_EXPIRED ||
        (bytes.data[1] == PENDING_OPEN) != (load_le64(bytes.data + 16) == 0))
        return JINI_E_CORRUPT;
    out->state = (enum pending_state)bytes.data[1];
    out->expires_ns = load_le64(bytes.data + 8);
    out->ended_ns = load_le64(bytes.data + 16);
    record_read_transfer(bytes.data + 24, &out->transfer);
    return 0;
}

void record_write_head(const struct ledger_head *head, uint8_t out[RECORD_HEAD_BYTES])
{
    memset(out, 0, 8);
    out[0] = VERSION;
    store_le64(out + 8, head->last_ns);
    store_le64(out + 16, head->events);
    store_le64(out + 24, head->blocks);
    store_le64(out + 32, head->due_ns);
    write_id(&head->greatest_id, out + 40);
    memcpy(out + 56, head->hash, RECORD_HASH_BYTES);
}

int record_read_head(struct slice bytes, struct ledger_head *out)
{
    memset(out, 0, sizeof(*out));
    int status = check_form(bytes, RECORD_HEAD_BYTES, 1, 7);
    if (status)
        return status;
    out->last_ns = load_le64(bytes.data + 8);
    out->events = load_le64(bytes.data + 16);
    out->blocks = load_le64(bytes.data + 24);
    out->due_ns = load_le64(bytes.data + 32);
    out->greatest_id = read_id(bytes.data + 40);
    memcpy(out->hash, bytes.data + 56, RECORD_HASH_BYTES);
    return 0;
}
