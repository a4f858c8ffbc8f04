/* See prices.h. */
#include "ledger/prices.h"

#include "base/error.h"
#include "base/tuple.h"
#include "ledger/currency.h"

#include <string.h>

enum {
    VERSION = 1,
    ROW_BYTES = 48,
    ROW_BYTES_MAX = ROW_BYTES + JINI_TIER_NAME_MAX,
    HEAD_BYTES = 16
};

/* ---- Rules ---- */

static int invalid(struct jini_error *error, const char *field, const char *rule)
{
    return error_set(error, JINI_E_INVALID, field, "%s", rule);
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

int prices_check_name(const char name[JINI_PRICE_NAME_MAX], const char *field,
                      struct jini_error *error)
{
    size_t length = strnlen(name, JINI_PRICE_NAME_MAX);
    bool right = length >= 1 && length < JINI_PRICE_NAME_MAX;
    for (size_t i = 0; right && i < length; i++)
        right = is_name_character(name[i]);
    return right ? 0
                 : invalid(error, field,
                           "the name of a price is 1 to 32 letters, digits, -, _ and .");
}

/* What is for the credits, and when they end. */
static int check_credits(const struct jini_price *price, struct jini_error *error)
{
    bool tier = price->tier[0] != '\0';
    if (price->credits > JINI_CREDITS_MAX)
        return invalid(error, "credits", "at most 2^62 are granted at once");
    if (price->credits_amount > price->amount)
        return invalid(error, "credits_amount", "it is a part of the amount");
    if (price->credits == 0 && price->credits_amount > 0)
        return invalid(error, "credits_amount", "it is 0 where there are no credits");
    if (!tier && price->credits > 0 && price->credits_amount != price->amount)
        return invalid(error, "credits_amount", "it is all of the amount where there is no tier");
    if (price->priority > JINI_PRIORITY_MAX)
        return invalid(error, "priority", "it is 0 to 255");
    if (price->credits_expire > 1)
        return invalid(error, "credits_expire", "it is 0 or 1");
    if (price->credits_expire && (price->credits == 0 || price->days == JINI_FOREVER))
        return invalid(error, "credits_expire", "credits expire with a period, and there is none");
    return 0;
}

int prices_check(const struct jini_price *price, struct jini_error *error)
{
    struct jini_currency currency;
    int status = prices_check_name(price->name, "name", error);
    if (status == 0)
        status = currency_check(price->currency, &currency, error);
    if (status)
        return status;
    if (price->amount < 1 || price->amount > JINI_MONEY_MAX)
        return invalid(error, "amount", "it is 1 to 10^12 of the currency's smallest unit");
    if (price->days > JINI_PERIOD_DAYS_MAX)
        return invalid(error, "days", "a period is 1 to 36,500 days, or 0 for ever");
    if (!memchr(price->tier, '\0', sizeof(price->tier)))
        return invalid(error, "tier", "no name of a tier is as long");
    if (price->tier[0] == '\0' && price->credits == 0)
        return invalid(error, "tier", "a price buys a tier, credits or both");
    return check_credits(price, error);
}

/* ---- Rows ---- */

static void head_key(struct tuple *key)
{
    tuple_begin(key);
    tuple_add_text(key, slice_of_text("prices"));
}

/* Of all entries. */
static void all_key(struct tuple *key)
{
    tuple_begin(key);
    tuple_add_text(key, slice_of_text("price"));
}

static void name_key(const char *name, struct tuple *key)
{
    all_key(key);
    tuple_add_bytes(key, slice_of_text(name));
}

static int damaged(struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "price", "an entry of the price list is damaged");
}

struct head {
    uint64_t version;
    uint64_t holding;
};

static int read_head(struct store_txn *txn, struct head *out, struct jini_error *error)
{
    uint8_t bytes[HEAD_BYTES];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    *out = (struct head){0};
    head_key(&key);
    int status = store_get(txn, STORE_SPACE_PRICES, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != HEAD_BYTES))
        return damaged(error);
    if (status == 0)
        *out = (struct head){load_le64(bytes), load_le64(bytes + 8)};
    return status;
}

static int write_head(struct store_txn *txn, const struct head *head)
{
    uint8_t bytes[HEAD_BYTES];
    struct tuple key;
    head_key(&key);
    store_le64(bytes, head->version);
    store_le64(bytes + 8, head->holding);
    return store_put(txn, STORE_SPACE_PRICES, tuple_key(&key), slice_of(bytes, sizeof(bytes)));
}

static int write_row(struct store_txn *txn, const struct jini_price *price, bool gone)
{
    uint8_t row[ROW_BYTES_MAX] = {VERSION, gone, (uint8_t)price->credits_expire,
                                  (uint8_t)price->priority};
    size_t tier_length = strlen(price->tier);
    struct tuple key;
    name_key(price->name, &key);
    tuple_add_uint(&key, price->version);
    store_le32(row + 4, price->days);
    store_le64(row + 8, price->changed_ms);
    store_le64(row + 16, price->amount);
    store_le64(row + 24, price->credits);
    store_le64(row + 32, price->credits_amount);
    memcpy(row + 40, price->currency, JINI_CURRENCY_MAX);
    row[44] = (uint8_t)tier_length;
    memcpy(row + ROW_BYTES, price->tier, tier_length);
    return store_put(txn, STORE_SPACE_PRICES, tuple_key(&key),
                     slice_of(row, ROW_BYTES + tier_length));
}

/* `out` has its name and version, from the key. */
static int read_row(struct slice row, struct jini_price *out, bool *gone)
{
    if (row.length < 1 || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    if (row.length < ROW_BYTES || row.data[1] > 1 || row.data[44] >= sizeof(out->tier) ||
        row.length != ROW_BYTES + (size_t)row.data[44] || load_le32(row.data + 44) >> 8 != 0)
        return JINI_E_CORRUPT;
    *gone = row.data[1];
    out->credits_expire = row.data[2];
    out->priority = row.data[3];
    out->days = load_le32(row.data + 4);
    out->changed_ms = load_le64(row.data + 8);
    out->amount = load_le64(row.data + 16);
    out->credits = load_le64(row.data + 24);
    out->credits_amount = load_le64(row.data + 32);
    memcpy(out->currency, row.data + 40, sizeof(out->currency));
    memcpy(out->tier, row.data + ROW_BYTES, row.data[44]);
    out->tier[row.data[44]] = '\0';
    return prices_check(out, NULL) ? JINI_E_CORRUPT : 0;
}

static int read_key(struct slice key, struct jini_price *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element kind;
    struct tuple_element name;
    if (tuple_next(&reader, &kind) != 0 || !tuple_is_text(&kind, "price") ||
        tuple_next(&reader, &name) != 0 || name.type != TUPLE_BYTES ||
        name.length >= sizeof(out->name) || memchr(name.bytes, '\0', name.length) ||
        tuple_next_uint(&reader, &out->version) != 0 || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    memset(out->name, 0, sizeof(out->name));
    memcpy(out->name, name.bytes, name.length);
    return 0;
}

/* The newest entry of a name. JINI_E_NOT_FOUND: there is none, or it was taken away. */
static int find_newest(struct store_txn *txn, const char *name, struct jini_price *out,
                       struct jini_error *error)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct store_cursor cursor;
    struct tuple low;
    bool gone = false;
    name_key(name, &low);
    struct tuple high = low;
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_PRICES, tuple_key(&low), tuple_key(&high),
                                   STORE_BACKWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, &value);
    if (status == 0)
        status = read_key(cursor.key, out);
    if (status == 0)
        status = read_row(buffer_slice(&value), out, &gone);
    store_cursor_close(&cursor);
    if (status == JINI_E_TOO_BIG || status == JINI_E_CORRUPT)
        return damaged(error);
    return status == 0 && gone ? JINI_E_NOT_FOUND : status;
}

/* The entry that a payment was begun with, which may have been replaced since. */
static int find_version(struct store_txn *txn, const char *name, uint64_t version,
                        struct jini_price *out, struct jini_error *error)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    bool gone = false;
    name_key(name, &key);
    tuple_add_uint(&key, version);
    int status = store_get(txn, STORE_SPACE_PRICES, tuple_key(&key), &value);
    if (status == 0)
        status = read_key(tuple_key(&key), out);
    if (status == 0)
        status = read_row(buffer_slice(&value), out, &gone);
    if (status == JINI_E_TOO_BIG || status == JINI_E_CORRUPT)
        return damaged(error);
    return status == 0 && gone ? JINI_E_NOT_FOUND : status;
}

int prices_find(struct store_txn *txn, const char *name, uint64_t version, struct jini_price *out,
                struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    int status =
        version ? find_version(txn, name, version, out, error) : find_newest(txn, name, out, error);
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

/* ---- Changes ---- */

int prices_set(struct store_txn *txn, struct jini_price *price, bool remove, uint64_t now_ms,
               struct jini_error *error)
{
    struct jini_price old;
    struct head head;
    int status = read_head(txn, &head, error);
    if (status)
        return status;
    status = prices_find(txn, price->name, 0, &old, error);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    bool is_new = status == JINI_E_NOT_FOUND;
    if (is_new && remove)
        return error_set(error, JINI_E_NOT_FOUND, "name", "the price list has no \"%s\"",
                         price->name);
    if (is_new && head.holding >= JINI_PRICES_MAX)
        return error_set(error, JINI_E_TOO_BIG, "name",
                         "the price list has %d prices already; take one away", JINI_PRICES_MAX);
    if (head.version >= JINI_PRICE_CHANGES_MAX)
        return error_set(error, JINI_E_TOO_BIG, "name",
                         "the price list was changed %d times, and payments may need each of its "
                         "versions",
                         JINI_PRICE_CHANGES_MAX);
    if (remove)
        *price = old;
    price->version = ++head.version;
    price->changed_ms = now_ms;
    head.holding = head.holding + is_new - remove;
    status = write_row(txn, price, remove);
    return status ? status : write_head(txn, &head);
}

/* ---- Listing ---- */

/* The first name behind the keys that begin with `low`. */
static int next_name(struct store_txn *txn, const struct tuple *low, char name[JINI_PRICE_NAME_MAX],
                     struct jini_error *error)
{
    struct store_cursor cursor;
    struct jini_price first;
    struct tuple high;
    all_key(&high);
    tuple_after_prefix(&high);
    int status = store_cursor_open(txn, STORE_SPACE_PRICES, tuple_key(low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    status = store_cursor_next(&cursor, NULL);
    if (status == 0 && read_key(cursor.key, &first) != 0)
        status = damaged(error);
    else if (status == 0)
        memcpy(name, first.name, JINI_PRICE_NAME_MAX);
    store_cursor_close(&cursor);
    return status;
}

/* The next price that holds, and `low` behind it. JINI_E_NOT_FOUND: there is no more. */
static int next_price(struct store_txn *txn, struct tuple *low, struct jini_price *out,
                      struct jini_error *error)
{
    char name[JINI_PRICE_NAME_MAX];
    int status;
    while ((status = next_name(txn, low, name, error)) == 0) {
        name_key(name, low);
        tuple_after_prefix(low);
        status = prices_find(txn, name, 0, out, error);
        if (status != JINI_E_NOT_FOUND)
            return status;
    }
    return status;
}

int prices_list(struct store_txn *txn, const char *after, struct jini_price *out, size_t capacity,
                size_t *count, struct jini_error *error)
{
    struct tuple low;
    int status = 0;
    *count = 0;
    all_key(&low);
    if (after) {
        name_key(after, &low);
        tuple_after_prefix(&low);
    }
    while (*count < capacity && (status = next_price(txn, &low, &out[*count], error)) == 0)
        (*count)++;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int prices_match(struct store_txn *txn, const char *currency, uint64_t amount,
                 struct jini_price *out, struct jini_error *error)
{
    struct jini_price price;
    struct tuple low;
    uint32_t matches = 0;
    int status;
    memset(out, 0, sizeof(*out));
    all_key(&low);
    while ((status = next_price(txn, &low, &price, error)) == 0) {
        if (price.amount != amount || strcmp(price.currency, currency) != 0)
            continue;
        if (matches++ > 0)
            return error_set(error, JINI_E_INVALID, "price",
                             "\"%s\" and \"%s\" are of this amount; say which one is meant",
                             out->name, price.name);
        *out = price;
    }
    return status == JINI_E_NOT_FOUND && matches > 0 ? 0 : status;
}

int prices_name_tier(struct store_txn *txn, const char *tier, bool *out, struct jini_error *error)
{
    struct jini_price price;
    struct tuple low;
    int status = 0;
    *out = false;
    all_key(&low);
    while (!*out && (status = next_price(txn, &low, &price, error)) == 0)
        *out = strcmp(price.tier, tier) == 0;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- For verify ---- */

bool prices_is_key(struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element kind;
    return tuple_next(&reader, &kind) == 0 &&
           (tuple_is_text(&kind, "price") || tuple_is_text(&kind, "prices"));
}

int prices_check_row(struct store_txn *txn, struct slice key)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct jini_price price = {0};
    struct tuple head;
    bool gone;
    int status = store_get(txn, STORE_SPACE_PRICES, key, &value);
    head_key(&head);
    if (status == JINI_E_TOO_BIG)
        return JINI_E_CORRUPT;
    if (status)
        return status;
    if (slice_equal(key, tuple_key(&head)))
        return value.length == HEAD_BYTES ? 0 : JINI_E_CORRUPT;
    status = read_key(key, &price);
    return status ? status : read_row(buffer_slice(&value), &price, &gone);
}
