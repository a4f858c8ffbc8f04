/* Reading and writing tier records; the format stands in tier_record.h. */
#include "accounts/tier_record.h"

#include "accounts/accounts.h"
#include "accounts/record.h"

enum tier_field {
    FIELD_NAME = 1,
    FIELD_POSITION = 2,
    FIELD_CURRENCY = 3,
    FIELD_PRICE = 4,
    FIELD_LIMITS = 5,
    FIELD_WIDTH = 6,
    FIELD_HEIGHT = 7,
    FIELD_STEPS = 8,
    FIELD_PARALLEL = 9,
    FIELD_RETENTION = 10,
    FIELD_QUEUE_PRIORITY = 11,
    FIELD_VERSION = 12,
    FIELD_LAST = FIELD_VERSION
};

#define BIT(field) (UINT32_C(1) << (field))

static const uint32_t needed = BIT(FIELD_NAME) | BIT(FIELD_POSITION);

static int take_field(const struct document_field *field, struct tier_record *to)
{
    struct jini_tier *tier = &to->tier;
    struct jini_allowance *allowance = &tier->allowance;
    switch (field->field) {
    case FIELD_NAME:
        return record_take_text(field, tier->name, sizeof(tier->name));
    case FIELD_POSITION:
        return record_take_number(field, &to->position);
    case FIELD_CURRENCY:
        return record_take_text(field, tier->currency, sizeof(tier->currency));
    case FIELD_PRICE:
        return record_take_number(field, &tier->price_minor);
    case FIELD_LIMITS:
        return record_take_text(field, allowance->limits, sizeof(allowance->limits));
    case FIELD_WIDTH:
        return record_take_number32(field, &allowance->width_max);
    case FIELD_HEIGHT:
        return record_take_number32(field, &allowance->height_max);
    case FIELD_STEPS:
        return record_take_number32(field, &allowance->steps_max);
    case FIELD_PARALLEL:
        return record_take_number32(field, &allowance->parallel_max);
    case FIELD_RETENTION:
        return record_take_number32(field, &allowance->retention_days);
    case FIELD_QUEUE_PRIORITY:
        return record_take_number32(field, &tier->queue_priority);
    default:
        JINI_ASSERT(field->field == FIELD_VERSION);
        return record_take_number32(field, &tier->version);
    }
}

int tier_record_read(struct slice bytes, struct tier_record *out)
{
    struct document_reader reader;
    struct document_field field;
    uint32_t seen = 0;
    memset(out, 0, sizeof(*out));
    int status = document_open(&reader, bytes);
    while (status == 0 && (status = document_next(&reader, &field)) == 0 &&
           field.type != DOCUMENT_END) {
        if (field.field == 0 || field.field > FIELD_LAST) {
            status = document_keep(&out->rest, &field);
            continue;
        }
        if (seen & BIT(field.field))
            return JINI_E_CORRUPT;
        seen |= BIT(field.field);
        status = take_field(&field, out);
    }
    if (status)
        return status;
    bool sound = (seen & needed) == needed && out->tier.name[0] != '\0' &&
                 out->tier.queue_priority <= ACCOUNTS_QUEUE_PRIORITY_MAX;
    return sound ? 0 : JINI_E_CORRUPT;
}

int tier_record_write(const struct tier_record *record, struct buffer *out)
{
    const struct jini_tier *tier = &record->tier;
    const struct jini_allowance *allowance = &tier->allowance;
    struct document_writer writer;
    JINI_ASSERT(tier->name[0] != '\0');
    document_begin(&writer, out);
    record_add_text(&writer, FIELD_NAME, tier->name);
    document_add_uint(&writer, FIELD_POSITION, record->position);
    record_add_text(&writer, FIELD_CURRENCY, tier->currency);
    record_add_number(&writer, FIELD_PRICE, tier->price_minor);
    record_add_text(&writer, FIELD_LIMITS, allowance->limits);
    record_add_number(&writer, FIELD_WIDTH, allowance->width_max);
    record_add_number(&writer, FIELD_HEIGHT, allowance->height_max);
    record_add_number(&writer, FIELD_STEPS, allowance->steps_max);
    record_add_number(&writer, FIELD_PARALLEL, allowance->parallel_max);
    record_add_number(&writer, FIELD_RETENTION, allowance->retention_days);
    record_add_number(&writer, FIELD_QUEUE_PRIORITY, tier->queue_priority);
    record_add_number(&writer, FIELD_VERSION, tier->version);
    document_add_rest(&writer, &record->rest);
    return document_end(&writer);
}
