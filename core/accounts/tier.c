/*
 * Tiers: at most 64 of them, few enough to be read as a whole where their order or number matters.
 *
 *  1. The default tier is always there, once accounts_tiers_create() ran.
 *  2. A tier that users have stays; their "tier" rows in USER_KEYS tell.
 *  3. The spelling of a name stays as it was added, so what users' records hold stays right.
 */
#include "accounts/accounts.h"

#include "accounts/keys.h"
#include "accounts/tier_lookup.h"
#include "accounts/tier_record.h"
#include "base/error.h"

static const struct jini_tier default_tiers[] = {
    {.name = ACCOUNTS_TIER_DEFAULT,
     .currency = "EUR",
     .price_minor = 0,
     .allowance = {.limits = "5/minute; 30/day",
                   .width_max = 1024,
                   .height_max = 1024,
                   .steps_max = 200,
                   .parallel_max = 5,
                   .retention_days = 30}},
    {.name = "Basic",
     .currency = "EUR",
     .price_minor = 500,
     .allowance = {.limits = "5/minute; 30/day",
                   .width_max = 1024,
                   .height_max = 1024,
                   .steps_max = 200,
                   .parallel_max = 5,
                   .retention_days = 90},
     .queue_priority = 5},
    {.name = "Premium",
     .currency = "EUR",
     .price_minor = 1500,
     .allowance = {.limits = "60/minute; 2000/day",
                   .width_max = 2048,
                   .height_max = 2048,
                   .steps_max = 500,
                   .parallel_max = 20,
                   .retention_days = 0},
     .queue_priority = 10},
};

enum { DEFAULT_TIERS = sizeof(default_tiers) / sizeof(default_tiers[0]) };

int tier_record_load(struct store_txn *txn, const struct tuple *key, struct tier_record *out)
{
    uint8_t bytes[TIER_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    int status = store_get(txn, STORE_SPACE_TIERS, tuple_key(key), &value);
    if (status)
        return status == JINI_E_TOO_BIG ? JINI_E_CORRUPT : status;
    return tier_record_read(buffer_slice(&value), out);
}

static struct slice encode(const struct tier_record *record, uint8_t bytes[TIER_RECORD_MAX])
{
    struct buffer out = buffer_of(bytes, TIER_RECORD_MAX);
    int status = tier_record_write(record, &out);
    JINI_ASSERT(status == 0); /* all members at their bounds, and the rest, are less than that */
    return buffer_slice(&out);
}

static int save(struct store_txn *txn, const struct tuple *key, const struct tier_record *record)
{
    uint8_t bytes[TIER_RECORD_MAX];
    return store_put(txn, STORE_SPACE_TIERS, tuple_key(key), encode(record, bytes));
}

/* A name that cannot be a key is no tier's. */
static int find(struct store_txn *txn, const char *name, struct tuple *key, struct tier_record *out)
{
    int status = keys_tier(name, key);
    if (status)
        return status == JINI_E_NO_MEMORY ? status : JINI_E_NOT_FOUND;
    return tier_record_load(txn, key, out);
}

static int cannot_read(int status, const char *field, struct jini_error *error)
{
    return error_set(error, status, field, "its record cannot be read: %s",
                     jini_status_text(status));
}

int tier_resolve(struct store_txn *txn, const char *name, char out[JINI_TIER_NAME_MAX],
                 struct jini_error *error)
{
    struct tier_record record;
    struct tuple key;
    int status = find(txn, name[0] != '\0' ? name : ACCOUNTS_TIER_DEFAULT, &key, &record);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "tier", "there is no tier \"%s\"; add it, or use another",
                         name);
    if (status)
        return cannot_read(status, "tier", error);
    memcpy(out, record.tier.name, sizeof(record.tier.name));
    return 0;
}

/*
 * Calls `visit` with every tier, in the order of keys. JINI_E_CORRUPT: a record is damaged, or
 * there are more tiers than there can be.
 */
typedef void visit_fn(void *argument, const struct tier_record *record);

static int each_tier(struct store_txn *txn, visit_fn *visit, void *argument)
{
    uint8_t bytes[TIER_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct slice all = slice_of(NULL, 0);
    struct store_cursor cursor;
    struct tier_record record;
    int status = store_cursor_open(txn, STORE_SPACE_TIERS, all, all, STORE_FORWARD, &cursor);
    for (int i = 0; status == 0; i++) {
        status = store_cursor_next(&cursor, &value);
        if (status == JINI_E_TOO_BIG || (status == 0 && i == JINI_TIERS_MAX))
            status = JINI_E_CORRUPT;
        if (status == 0)
            status = tier_record_read(buffer_slice(&value), &record);
        if (status == 0)
            visit(argument, &record);
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* How many tiers there are, and the position behind the last. */
struct tally {
    unsigned count;
    uint64_t next_position;
};

static void count_tier(void *argument, const struct tier_record *record)
{
    struct tally *tally = argument;
    tally->count++;
    if (record->position >= tally->next_position)
        tally->next_position = record->position + 1;
}

static int add(struct store_txn *txn, const struct jini_tier *tier, uint64_t position)
{
    struct tier_record record = {.tier = *tier, .position = position};
    struct tuple key;
    int status = keys_tier(tier->name, &key);
    return status ? status : save(txn, &key, &record);
}

int accounts_tiers_create(struct store_txn *txn)
{
    struct tally tally = {0};
    int status = each_tier(txn, count_tier, &tally);
    if (status || tally.count > 0)
        return status;
    for (int i = 0; i < DEFAULT_TIERS && status == 0; i++)
        status = add(txn, &default_tiers[i], (uint64_t)i);
    if (status == 0)
        store_mark_changed(txn, accounts_tier_word());
    return status;
}

int accounts_tier_get(struct store_txn *txn, const char *name, struct jini_tier *out)
{
    struct tier_record record;
    struct tuple key;
    int status = find(txn, name, &key, &record);
    if (status)
        memset(out, 0, sizeof(*out));
    else
        *out = record.tier;
    return status;
}

/* A list in the order of positions, of which only the first `capacity` are kept. */
struct list {
    struct jini_tier *out;
    uint64_t positions[JINI_TIERS_MAX];
    size_t capacity;
    size_t count;
    bool too_big;
};

static void insert(void *argument, const struct tier_record *record)
{
    struct list *list = argument;
    size_t place = list->count;
    while (place > 0 && list->positions[place - 1] > record->position)
        place--;
    if (list->count == list->capacity)
        list->too_big = true;
    else
        list->count++;
    if (place >= list->count)
        return;
    size_t behind = list->count - place - 1;
    memmove(&list->out[place + 1], &list->out[place], behind * sizeof(list->out[0]));
    memmove(&list->positions[place + 1], &list->positions[place], behind * sizeof(uint64_t));
    list->out[place] = record->tier;
    list->positions[place] = record->position;
}

int accounts_tier_list(struct store_txn *txn, struct jini_tier *out, size_t capacity, size_t *count)
{
    struct list list = {.out = out,
                        .capacity = capacity < JINI_TIERS_MAX ? capacity : JINI_TIERS_MAX};
    *count = 0;
    int status = each_tier(txn, insert, &list);
    if (status)
        return status;
    *count = list.count;
    return list.too_big ? JINI_E_TOO_BIG : 0;
}

static int add_new(struct store_txn *txn, const struct jini_tier *tier, struct jini_error *error)
{
    struct tally tally = {0};
    int status = each_tier(txn, count_tier, &tally);
    if (status)
        return cannot_read(status, "name", error);
    if (tally.count >= JINI_TIERS_MAX)
        return error_set(error, JINI_E_TOO_BIG, "name", "there are %d tiers; remove one first",
                         JINI_TIERS_MAX);
    return add(txn, tier, tally.next_position);
}

static bool same_record(const struct tier_record *a, const struct tier_record *b)
{
    uint8_t bytes_a[TIER_RECORD_MAX];
    uint8_t bytes_b[TIER_RECORD_MAX];
    return slice_equal(encode(a, bytes_a), encode(b, bytes_b));
}

static void set_members(const struct jini_tier *from, uint32_t fields, struct jini_tier *to)
{
    accounts_allowance_take(&from->allowance, fields, &to->allowance);
    if (fields & JINI_TIER_FIELD_PRICE)
        to->price_minor = from->price_minor;
    if (fields & JINI_TIER_FIELD_CURRENCY)
        memcpy(to->currency, from->currency, sizeof(to->currency));
    if (fields & JINI_TIER_FIELD_QUEUE_PRIORITY)
        to->queue_priority = from->queue_priority;
}

/* 0, when the way in which the tier is to be stored fits whether there is one. */
static int check_mode(const struct accounts_tier_change *change, bool exists,
                      struct jini_error *error)
{
    if (change->mode > JINI_TIER_CHANGE)
        return error_set(error, JINI_E_INVALID, "mode", "%u; use 0 to %d", change->mode,
                         JINI_TIER_CHANGE);
    if (exists && change->mode == JINI_TIER_ADD)
        return error_set(error, JINI_E_EXISTS, "name", "there is a tier \"%s\" already",
                         change->tier->name);
    if (!exists && change->mode == JINI_TIER_CHANGE)
        return error_set(error, JINI_E_NOT_FOUND, "name", "there is no tier \"%s\"",
                         change->tier->name);
    return 0;
}

int accounts_tier_set(struct store_txn *txn, const struct accounts_tier_change *change,
                      struct jini_error *error)
{
    struct tier_record stored = {.position = 0};
    struct tuple key;
    uint32_t fields = change->fields ? change->fields : JINI_TIER_FIELD_ALL;
    error_clear(error);
    int status = accounts_tier_check(change->tier, fields, change->check_limits, error);
    if (status)
        return status;
    status = find(txn, change->tier->name, &key, &stored);
    bool exists = status == 0;
    if (status && status != JINI_E_NOT_FOUND)
        return cannot_read(status, "name", error);
    status = check_mode(change, exists, error);
    if (status)
        return status;
    if (!exists)
        memcpy(stored.tier.name, change->tier->name, sizeof(stored.tier.name));
    struct tier_record record = stored;
    set_members(change->tier, fields, &record.tier);
    status = accounts_tier_check(&record.tier, JINI_TIER_FIELD_PRICE | JINI_TIER_FIELD_CURRENCY,
                                 change->check_limits, error);
    bool differs = !exists || !same_record(&stored, &record);
    if (status == 0 && !exists)
        status = add_new(txn, &record.tier, error);
    else if (status == 0 && differs) {
        record.tier.version++;
        status = save(txn, &key, &record);
    }
    if (status)
        return status;
    if (differs)
        store_mark_changed(txn, accounts_tier_word());
    *change->tier = record.tier;
    return 0;
}

/* 0 when no user has the tier. */
static int check_unused(struct store_txn *txn, const char *name, struct jini_error *error)
{
    struct tuple low;
    struct store_cursor cursor;
    int status = keys_members(name, &low);
    if (status)
        return status;
    struct tuple high = low;
    tuple_after_prefix(&high);
    status = store_cursor_open(txn, STORE_SPACE_USER_KEYS, tuple_key(&low), tuple_key(&high),
                               STORE_FORWARD, &cursor);
    if (status == 0)
        status = store_cursor_next(&cursor, NULL);
    store_cursor_close(&cursor);
    if (status == 0)
        return error_set(error, JINI_E_IN_USE, "name",
                         "users have the tier \"%s\"; give them another one first", name);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* Whether the key is of the tier of this name; NULL is none. JINI_E_NO_MEMORY. */
static int compare_name(const struct tuple *key, const char *name, bool *same)
{
    struct tuple other;
    *same = false;
    if (!name)
        return 0;
    int status = keys_tier(name, &other);
    *same = status == 0 && slice_equal(tuple_key(key), tuple_key(&other));
    return status == JINI_E_NO_MEMORY ? status : 0;
}

/* 0 when the tier of the key may go, whether users have it or not. */
static int check_removable(const struct tuple *key, const char *anonymous, struct jini_error *error)
{
    bool same;
    int status = compare_name(key, ACCOUNTS_TIER_DEFAULT, &same);
    if (status == 0 && same)
        return error_set(error, JINI_E_IN_USE, "name", "\"%s\" is the tier of new users; it stays",
                         ACCOUNTS_TIER_DEFAULT);
    if (status == 0)
        status = compare_name(key, anonymous, &same);
    if (status == 0 && same)
        return error_set(error, JINI_E_IN_USE, "name",
                         "\"%s\" is the tier of anonymous clients (anonymous.tier); it stays",
                         anonymous);
    return status;
}

int accounts_tier_remove(struct store_txn *txn, const char *name, const char *anonymous,
                         struct jini_error *error)
{
    struct tier_record record;
    struct tuple key;
    error_clear(error);
    int status = find(txn, name, &key, &record);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "name", "there is no tier of this name");
    if (status)
        return cannot_read(status, "name", error);
    status = check_removable(&key, anonymous, error);
    if (status == 0)
        status = check_unused(txn, name, error);
    if (status == 0)
        status = store_delete(txn, STORE_SPACE_TIERS, tuple_key(&key));
    if (status == 0)
        store_mark_changed(txn, accounts_tier_word());
    return status;
}
