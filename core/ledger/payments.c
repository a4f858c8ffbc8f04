/* See payments.h. */
#include "ledger/payments.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "base/tuple.h"

#include <stddef.h>

enum { RECORDS, REFERENCES }; /* the first element of a key; pinned */

/* ---- Records ---- */

enum kind { NUMBER64, NUMBER32, TEXT, ID };

/* One field of a record, and where it stands in struct payment. */
struct field {
    uint32_t number;
    enum kind kind;
    size_t offset;
    size_t size;
};

#define ROW(number, kind, member)                                                                  \
    {                                                                                              \
        number, kind, offsetof(struct payment, member), sizeof(((struct payment *)0)->member)      \
    }

static const struct field fields[] = {
    ROW(1, NUMBER64, shown.user_id),
    ROW(2, NUMBER32, shown.state),
    ROW(3, NUMBER32, shown.refusal),
    ROW(4, NUMBER32, shown.outcome),
    ROW(5, NUMBER32, shown.days),
    ROW(6, TEXT, shown.price),
    ROW(7, TEXT, shown.tier),
    ROW(8, TEXT, shown.currency),
    ROW(9, TEXT, shown.received_currency),
    ROW(10, TEXT, shown.provider),
    ROW(11, TEXT, shown.reference),
    ROW(12, TEXT, shown.reason),
    ROW(13, NUMBER64, shown.price_version),
    ROW(14, NUMBER64, shown.amount),
    ROW(15, NUMBER64, shown.received),
    ROW(16, NUMBER64, shown.fee),
    ROW(17, NUMBER64, dispute_fee),
    ROW(18, NUMBER64, shown.refunded),
    ROW(19, NUMBER64, shown.revenue),
    ROW(20, NUMBER64, shown.credits),
    ROW(21, NUMBER64, shown.created_ms),
    ROW(22, NUMBER64, shown.received_ms),
    ROW(23, NUMBER64, shown.ended_ms),
    ROW(24, NUMBER64, shown.disputed_ms),
    ROW(25, ID, grant_account),
    ROW(26, ID, shown.grant_id),
    ROW(27, ID, previous),
    ROW(28, NUMBER64, tier_amount),
    ROW(29, NUMBER64, credits_amount),
    ROW(30, NUMBER64, period_ms),
    ROW(31, NUMBER64, served_ms),
    ROW(32, NUMBER64, time_revenue),
    ROW(33, NUMBER64, credits_revenue),
    ROW(34, NUMBER64, credits_gone),
    ROW(35, NUMBER64, due_ms),
    ROW(36, NUMBER64, moved_ms),
    ROW(37, NUMBER32, grants),
    ROW(38, NUMBER32, priority),
    ROW(39, NUMBER32, credits_expire),
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

uint64_t payment_deferred(const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    bool open = shown->state == JINI_PAYMENT_SETTLED || shown->state == JINI_PAYMENT_DISPUTED;
    return open ? shown->received - payment->time_revenue - payment->credits_revenue : 0;
}

static int take_field(const struct field *field, const struct document_field *from, uint8_t *to)
{
    uint32_t small = (uint32_t)from->number;
    switch (field->kind) {
    case NUMBER64:
        if (from->type != DOCUMENT_UINT)
            return JINI_E_CORRUPT;
        memcpy(to, &from->number, sizeof(from->number));
        return 0;
    case NUMBER32:
        if (from->type != DOCUMENT_UINT || from->number > UINT32_MAX)
            return JINI_E_CORRUPT;
        memcpy(to, &small, sizeof(small));
        return 0;
    case TEXT:
        if (from->type != DOCUMENT_TEXT || from->bytes.length >= field->size ||
            !text_is_utf8(from->bytes))
            return JINI_E_CORRUPT;
        break;
    default:
        if (from->type != DOCUMENT_BYTES || from->bytes.length != JINI_ID_BYTES)
            return JINI_E_CORRUPT;
    }
    memcpy(to, from->bytes.data, from->bytes.length);
    return 0;
}

/* What no payment of ours is, whatever its fields are by themselves. */
static bool agrees(const struct payment *payment)
{
    const struct jini_payment *shown = &payment->shown;
    bool bought = shown->state == JINI_PAYMENT_SETTLED || shown->state == JINI_PAYMENT_DISPUTED;
    return shown->user_id != 0 && shown->state >= JINI_PAYMENT_INTENT &&
           shown->state <= JINI_PAYMENT_DISPUTED && shown->currency[0] != '\0' &&
           shown->received <= JINI_MONEY_MAX && shown->refunded <= shown->received &&
           payment->time_revenue <= payment->tier_amount &&
           payment->credits_revenue <= payment->credits_amount &&
           (!bought || (payment->tier_amount <= shown->received &&
                        payment->credits_amount == shown->received - payment->tier_amount));
}

static int read_record(struct slice record, struct payment *out)
{
    struct document_reader reader;
    struct document_field from;
    uint64_t seen = 0;
    int status = document_open(&reader, record);
    while (status == 0 && (status = document_next(&reader, &from)) == 0 &&
           from.type != DOCUMENT_END) {
        if (from.field == 0 || from.field > FIELDS) {
            status = document_keep(&out->rest, &from);
            continue;
        }
        if (seen >> from.field & 1)
            return JINI_E_CORRUPT;
        seen |= UINT64_C(1) << from.field;
        const struct field *field = &fields[from.field - 1];
        status = take_field(field, &from, (uint8_t *)out + field->offset);
    }
    if (status)
        return status;
    return agrees(out) ? 0 : JINI_E_CORRUPT;
}

static void add_field(struct document_writer *writer, const struct field *field,
                      const uint8_t *from)
{
    uint64_t number = 0;
    uint32_t small = 0;
    struct jini_id id;
    switch (field->kind) {
    case NUMBER64:
        memcpy(&number, from, sizeof(number));
        break;
    case NUMBER32:
        memcpy(&small, from, sizeof(small));
        number = small;
        break;
    case TEXT:
        if (from[0] != '\0')
            document_add_text(writer, field->number, slice_of_text((const char *)from));
        return;
    default:
        memcpy(&id, from, sizeof(id));
        if (!id_is_zero(&id))
            document_add_bytes(writer, field->number, slice_of(from, sizeof(id)));
        return;
    }
    if (number != 0)
        document_add_uint(writer, field->number, number);
}

static void record_key(const struct jini_id *id, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, RECORDS);
    tuple_add_id(key, id);
}

int payments_read(struct store_txn *txn, const struct jini_id *id, struct payment *out,
                  struct jini_error *error)
{
    uint8_t bytes[PAYMENT_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct tuple key;
    memset(out, 0, sizeof(*out));
    record_key(id, &key);
    int status = store_get(txn, STORE_SPACE_PAYMENTS, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, status, "id", "there is no payment of this id");
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = read_record(buffer_slice(&value), out);
    if (status_is_damage(status))
        return error_set(error, status, "payment", "the record of a payment cannot be read: %s",
                         jini_status_text(status));
    out->shown.id = *id;
    return status;
}

int payments_write(struct store_txn *txn, const struct payment *payment)
{
    uint8_t bytes[PAYMENT_RECORD_MAX];
    struct buffer value = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    struct tuple key;
    JINI_ASSERT(agrees(payment));
    document_begin(&writer, &value);
    for (size_t i = 0; i < FIELDS; i++)
        add_field(&writer, &fields[i], (const uint8_t *)payment + fields[i].offset);
    document_add_rest(&writer, &payment->rest);
    int status = document_end(&writer);
    JINI_ASSERT(status == 0); /* all members at their bounds, and the rest, are less than that */
    record_key(&payment->shown.id, &key);
    return store_put(txn, STORE_SPACE_PAYMENTS, tuple_key(&key), buffer_slice(&value));
}

/* ---- References ---- */

static void reference_key(const char *provider, const char *reference, struct tuple *key)
{
    tuple_begin(key);
    tuple_add_uint(key, REFERENCES);
    tuple_add_bytes(key, slice_of_text(provider));
    tuple_add_bytes(key, slice_of_text(reference));
}

static int read_reference(struct store_txn *txn, struct slice key, struct jini_id *out)
{
    struct buffer value = buffer_of(out->bytes, sizeof(out->bytes));
    int status = store_get(txn, STORE_SPACE_PAYMENTS, key, &value);
    if (status == JINI_E_TOO_BIG || (status == 0 && value.length != JINI_ID_BYTES))
        return JINI_E_CORRUPT;
    return status;
}

int payments_find(struct store_txn *txn, const char *provider, const char *reference,
                  struct jini_id *out)
{
    struct tuple key;
    reference_key(provider, reference, &key);
    return read_reference(txn, tuple_key(&key), out);
}

int payments_name(struct store_txn *txn, const struct payment *payment)
{
    struct tuple key;
    reference_key(payment->shown.provider, payment->shown.reference, &key);
    return store_put(txn, STORE_SPACE_PAYMENTS, tuple_key(&key),
                     slice_of(payment->shown.id.bytes, JINI_ID_BYTES));
}

/* ---- Keys ---- */

int payments_read_key(struct slice key, struct jini_id *out)
{
    struct tuple_reader reader = tuple_reader_of(key);
    uint64_t kind;
    int status = tuple_next_uint(&reader, &kind);
    if (status || kind > REFERENCES)
        return JINI_E_CORRUPT;
    if (kind == REFERENCES)
        return JINI_E_NOT_FOUND;
    status = tuple_next_id(&reader, out);
    return status || reader.rest.length != 0 ? JINI_E_CORRUPT : 0;
}

int payments_list(struct store_txn *txn, const struct jini_id *after, struct jini_id *out,
                  size_t capacity, size_t *count)
{
    struct store_cursor cursor;
    struct tuple low;
    struct tuple high;
    *count = 0;
    tuple_begin(&low);
    tuple_add_uint(&low, RECORDS);
    high = low;
    tuple_after_prefix(&high);
    if (after) {
        record_key(after, &low);
        tuple_after_prefix(&low);
    }
    int status = store_cursor_open(txn, STORE_SPACE_PAYMENTS, tuple_key(&low), tuple_key(&high),
                                   STORE_FORWARD, &cursor);
    if (status)
        return status;
    while (*count < capacity && (status = store_cursor_next(&cursor, NULL)) == 0) {
        if (payments_read_key(cursor.key, &out[*count]) == 0)
            (*count)++; /* verify tells of the others */
    }
    store_cursor_close(&cursor);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

int payments_check_reference(struct store_txn *txn, struct slice key)
{
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element element;
    struct jini_error ignored;
    struct payment payment;
    struct jini_id id;
    struct tuple right;
    uint64_t kind;
    if (tuple_next_uint(&reader, &kind) != 0 || tuple_next(&reader, &element) != 0 ||
        tuple_next(&reader, &element) != 0 || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    int status = read_reference(txn, key, &id);
    if (status)
        return status;
    status = payments_read(txn, &id, &payment, &ignored);
    if (status)
        return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
    reference_key(payment.shown.provider, payment.shown.reference, &right);
    return slice_equal(key, tuple_key(&right)) ? 0 : JINI_E_CORRUPT;
}
