/* See subscriptions.h. */
#include "ledger/subscriptions.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "base/tuple.h"
#include "ledger/payments.h"

#include <string.h>

enum {
    VERSION = 1,
    HEADER_BYTES = 48,
    PERIOD_BYTES = 80,
    TIER_BYTES = JINI_TIER_NAME_MAX - 1,
    ROW_BYTES_MAX = HEADER_BYTES + JINI_PERIODS_MAX * PERIOD_BYTES,
    FLAGS_KNOWN = SUBSCRIPTION_CANCELLED | SUBSCRIPTION_HOLDS | SUBSCRIPTION_PAST_DUE
};

/* ---- Rows ---- */

static void row_key(uint64_t user_id, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, user_id);
    tuple_add_text(key, slice_of_text(SUBSCRIPTION_ROW));
}

static int parse_period(const uint8_t *from, struct period *out)
{
    memcpy(out->payment_id.bytes, from, JINI_ID_BYTES);
    out->starts_ms = load_le64(from + 16);
    out->ends_ms = load_le64(from + 24);
    out->rate = load_le64(from + 32);
    out->ledger = load_le32(from + 40);
    memcpy(out->tier, from + 48, TIER_BYTES);
    out->tier[TIER_BYTES] = '\0';
    return out->tier[0] == '\0' || out->starts_ms > out->ends_ms || load_le32(from + 44) != 0 ||
                   !text_is_utf8(slice_of_text(out->tier))
               ? JINI_E_CORRUPT
               : 0;
}

static int parse(struct slice row, struct subscription *out)
{
    if (row.length < 1 || row.data[0] == 0)
        return JINI_E_CORRUPT;
    if (row.data[0] > VERSION)
        return JINI_E_FORMAT;
    if (row.length < HEADER_BYTES)
        return JINI_E_CORRUPT;
    out->flags = row.data[1];
    out->count = load_le16(row.data + 2);
    out->last_ms = load_le64(row.data + 8);
    memcpy(out->last_payment.bytes, row.data + 16, JINI_ID_BYTES);
    out->grace_ms = load_le64(row.data + 32);
    out->due_ms = load_le64(row.data + 40);
    if (out->count > JINI_PERIODS_MAX || out->flags & ~(uint32_t)FLAGS_KNOWN ||
        load_le32(row.data + 4) != 0 ||
        row.length != HEADER_BYTES + PERIOD_BYTES * (size_t)out->count)
        return JINI_E_CORRUPT;
    for (uint32_t i = 0; i < out->count; i++) {
        struct period *period = &out->periods[i];
        int status = parse_period(row.data + HEADER_BYTES + PERIOD_BYTES * (size_t)i, period);
        if (status)
            return status;
        if (i > 0 && period->starts_ms < out->periods[i - 1].ends_ms)
            return JINI_E_CORRUPT;
    }
    return 0;
}

int subscription_read(struct store_txn *txn, uint64_t user_id, struct subscription *out,
                      struct jini_error *error)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    memset(out, 0, sizeof(*out));
    out->user_id = user_id;
    row_key(user_id, &key);
    int status = store_get(txn, STORE_SPACE_USERS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = parse(buffer_slice(&value), out);
    if (status_is_damage(status))
        return error_set(error, status, "subscription",
                         "what user %llu has paid for cannot be read", (unsigned long long)user_id);
    return status;
}

static void write_period(const struct period *period, uint8_t *to)
{
    memset(to, 0, PERIOD_BYTES);
    memcpy(to, period->payment_id.bytes, JINI_ID_BYTES);
    store_le64(to + 16, period->starts_ms);
    store_le64(to + 24, period->ends_ms);
    store_le64(to + 32, period->rate);
    store_le32(to + 40, period->ledger);
    memcpy(to + 48, period->tier, strlen(period->tier));
}

int subscription_write(struct store_txn *txn, const struct subscription *subscription)
{
    uint8_t bytes[ROW_BYTES_MAX] = {VERSION, (uint8_t)subscription->flags};
    struct tuple key;
    row_key(subscription->user_id, &key);
    store_le16(bytes + 2, (uint16_t)subscription->count);
    store_le64(bytes + 8, subscription->last_ms);
    memcpy(bytes + 16, subscription->last_payment.bytes, JINI_ID_BYTES);
    store_le64(bytes + 32, subscription->grace_ms);
    store_le64(bytes + 40, subscription->due_ms);
    for (uint32_t i = 0; i < subscription->count; i++)
        write_period(&subscription->periods[i], bytes + HEADER_BYTES + PERIOD_BYTES * (size_t)i);
    return store_put(txn, STORE_SPACE_USERS, tuple_key(&key),
                     slice_of(bytes, HEADER_BYTES + PERIOD_BYTES * (size_t)subscription->count));
}

/* ---- Looking ---- */

/* The first period that is not over. */
static uint32_t first_open(const struct subscription *subscription, uint64_t now_ms)
{
    uint32_t i = 0;
    while (i < subscription->count && subscription->periods[i].ends_ms <= now_ms)
        i++;
    return i;
}

void subscription_view(const struct subscription *subscription, uint64_t now_ms,
                       struct subscription_view *out)
{
    const struct period *periods = subscription->periods;
    uint32_t count = subscription->count;
    uint32_t i = first_open(subscription, now_ms);
    *out = (struct subscription_view){.state = JINI_SUBSCRIPTION_NONE};
    if (count == 0 || (i == count && subscription->grace_ms <= now_ms))
        return;
    out->state = i == count ? JINI_SUBSCRIPTION_PAST_DUE : JINI_SUBSCRIPTION_ACTIVE;
    out->index = i == count ? count - 1 : i;
    out->tier = periods[out->index].tier;
    out->paid_ms = periods[count - 1].ends_ms;
    uint32_t last = out->index;
    while (last + 1 < count && strcmp(periods[last + 1].tier, out->tier) == 0)
        last++;
    uint64_t until_ms = last + 1 < count ? periods[last].ends_ms : subscription->grace_ms;
    out->until_ms = until_ms == PAYMENT_FOREVER ? 0 : until_ms;
}

const struct period *subscription_period(const struct subscription *subscription,
                                         const struct jini_id *payment_id)
{
    for (uint32_t i = 0; i < subscription->count; i++) {
        if (id_equal(&subscription->periods[i].payment_id, payment_id))
            return &subscription->periods[i];
    }
    return NULL;
}

uint64_t subscription_due(const struct subscription *subscription, uint64_t now_ms)
{
    uint32_t i = first_open(subscription, now_ms);
    uint64_t due_ms = i < subscription->count ? subscription->periods[i].ends_ms
                      : subscription->count   ? subscription->grace_ms
                                              : 0;
    return due_ms == PAYMENT_FOREVER ? 0 : due_ms;
}

/* ---- Changing ---- */

static uint64_t end_of(uint64_t starts_ms, uint64_t length_ms)
{
    return length_ms >= PAYMENT_FOREVER - starts_ms ? PAYMENT_FOREVER : starts_ms + length_ms;
}

/* The dearer tier goes first, where it is another one; prices of two currencies do not compare. */
static bool goes_before(const struct period *period, const struct period *other)
{
    return strcmp(period->tier, other->tier) != 0 &&
           (period->ledger != other->ledger || period->rate > other->rate);
}

/* Those behind a period begin when it ends, where they would begin before that. */
static void push_back(struct subscription *subscription, uint32_t from)
{
    struct period *periods = subscription->periods;
    for (uint32_t i = from; i < subscription->count; i++) {
        if (i == 0 || periods[i].starts_ms >= periods[i - 1].ends_ms)
            continue;
        uint64_t length_ms = periods[i].ends_ms == PAYMENT_FOREVER
                                 ? PAYMENT_FOREVER
                                 : periods[i].ends_ms - periods[i].starts_ms;
        periods[i].starts_ms = periods[i - 1].ends_ms;
        periods[i].ends_ms = end_of(periods[i].starts_ms, length_ms);
    }
}

/* One that nothing runs before; what runs is interrupted by it. */
static uint64_t start_at_once(struct subscription *subscription, uint32_t place, uint64_t length_ms,
                              uint64_t at_ms, struct period_cut *cut)
{
    struct period *periods = subscription->periods;
    if (place < subscription->count && periods[place].starts_ms < at_ms) {
        *cut =
            (struct period_cut){true, periods[place].payment_id, at_ms - periods[place].starts_ms};
        periods[place].starts_ms = at_ms;
    }
    /* In the grace: it goes on where the last one ended, unless it would be over already. */
    bool in_grace = place == subscription->count && place > 0 && at_ms < subscription->grace_ms;
    uint64_t last_ms = place > 0 ? periods[place - 1].ends_ms : 0;
    return in_grace && end_of(last_ms, length_ms) > at_ms ? last_ms : at_ms;
}

int subscription_insert(struct subscription *subscription, const struct period *period,
                        uint64_t length_ms, uint64_t at_ms, struct period_cut *cut)
{
    struct period *periods = subscription->periods;
    uint32_t first = first_open(subscription, at_ms);
    uint32_t place = first;
    *cut = (struct period_cut){0};
    if (subscription->count == JINI_PERIODS_MAX)
        return JINI_REFUSAL_PERIODS;
    /* One that comes late and is over before the others begin is in nobody's way. */
    bool is_past =
        first < subscription->count && end_of(at_ms, length_ms) <= periods[first].starts_ms;
    /* Behind one for ever nothing would ever be served. */
    bool is_last = length_ms == PAYMENT_FOREVER;
    while (!is_past && place < subscription->count &&
           (is_last || !goes_before(period, &periods[place])))
        place++;
    if (place > 0 && periods[place - 1].ends_ms == PAYMENT_FOREVER)
        return JINI_REFUSAL_OWNED;
    bool another_tier = place > 0 && strcmp(period->tier, periods[place - 1].tier) != 0;
    uint64_t starts_ms = place > first ? periods[place - 1].ends_ms
                                       : start_at_once(subscription, place, length_ms, at_ms, cut);
    if (place == first && another_tier)
        starts_ms = at_ms; /* the grace of another tier is over with that */
    memmove(periods + place + 1, periods + place, (subscription->count - place) * sizeof(*periods));
    subscription->count++;
    periods[place] = *period;
    periods[place].starts_ms = starts_ms;
    periods[place].ends_ms = end_of(starts_ms, length_ms);
    push_back(subscription, place + 1);
    return 0;
}

bool subscription_remove(struct subscription *subscription, const struct jini_id *payment_id,
                         uint64_t now_ms, uint64_t *served_ms)
{
    struct period *periods = subscription->periods;
    uint32_t place = 0;
    *served_ms = 0;
    while (place < subscription->count && !id_equal(&periods[place].payment_id, payment_id))
        place++;
    if (place == subscription->count)
        return false;
    const struct period gone = periods[place];
    uint64_t from_ms = now_ms < gone.starts_ms ? gone.starts_ms
                       : now_ms > gone.ends_ms ? gone.ends_ms
                                               : now_ms;
    uint64_t left_ms = gone.ends_ms - from_ms;
    *served_ms = from_ms - gone.starts_ms;
    subscription->count--;
    memmove(periods + place, periods + place + 1, (subscription->count - place) * sizeof(*periods));
    for (uint32_t i = place; i < subscription->count; i++) {
        periods[i].starts_ms -= left_ms;
        if (periods[i].ends_ms != PAYMENT_FOREVER)
            periods[i].ends_ms -= left_ms;
    }
    return true;
}

void subscription_drop_first(struct subscription *subscription)
{
    subscription->count--;
    memmove(subscription->periods, subscription->periods + 1,
            subscription->count * sizeof(subscription->periods[0]));
}

void subscription_set_grace(struct subscription *subscription, uint64_t grace_ms)
{
    subscription->grace_ms = 0;
    if (subscription->count == 0)
        return;
    uint64_t ends_ms = subscription->periods[subscription->count - 1].ends_ms;
    bool cancelled = subscription->flags & SUBSCRIPTION_CANCELLED;
    subscription->grace_ms = cancelled ? ends_ms : end_of(ends_ms, grace_ms);
}
