/* See facts.h. */
#include "engine/facts.h"

#include "base/text.h"

#include <jini/status.h>

enum { VERSION = 1, SHIFT_LAST = 63 };

/* ---- Writing ---- */

static void add_number(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buffer_append_byte(out, (uint8_t)(value | 0x80));
    buffer_append_byte(out, (uint8_t)value);
}

static void add_limit(struct buffer *out, const struct jini_decision_limit *limit)
{
    buffer_append_byte(out, (uint8_t)limit->unit);
    buffer_append_byte(out, (uint8_t)limit->flags);
    add_number(out, limit->multiples);
    add_number(out, limit->amount);
    add_number(out, limit->remaining);
    add_number(out, limit->reset_ms);
    add_number(out, limit->retry_after_ms);
}

static void add_all(const struct jini_decision *decision, uint32_t limits, struct buffer *out)
{
    size_t name = strlen(decision->tier);
    buffer_append_byte(out, VERSION);
    add_number(out, decision->tier_version);
    buffer_append_byte(out, (uint8_t)name);
    buffer_append(out, decision->tier, name);
    add_number(out, decision->parallel);
    add_number(out, decision->parallel_max);
    add_number(out, decision->cost);
    add_number(out, decision->cost_version);
    add_number(out, decision->credits_before);
    add_number(out, decision->credits_after);
    buffer_append_byte(out, (uint8_t)limits);
    buffer_append_byte(out,
                       (uint8_t)(decision->decided < limits ? decision->decided : JINI_LIMITS_MAX));
    for (uint32_t i = 0; i < limits; i++)
        add_limit(out, &decision->limits[i]);
}

int facts_write(const struct jini_decision *decision, struct buffer *out)
{
    const size_t begin = out->length;
    JINI_ASSERT(decision->limit_count <= JINI_LIMITS_MAX);
    for (uint32_t limits = decision->limit_count + 1; limits-- > 0;) {
        out->length = begin;
        out->overflow = false;
        add_all(decision, limits, out);
        if (!out->overflow)
            return 0;
    }
    out->length = begin;
    return JINI_E_TOO_BIG;
}

/* ---- Reading ---- */

struct reader {
    struct slice rest;
    bool broken;
};

static uint8_t next_byte(struct reader *reader)
{
    if (reader->rest.length == 0) {
        reader->broken = true;
        return 0;
    }
    uint8_t byte = *reader->rest.data;
    reader->rest = slice_of(reader->rest.data + 1, reader->rest.length - 1);
    return byte;
}

static uint64_t next_number(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; !reader->broken; shift += 7) {
        uint8_t byte = next_byte(reader);
        uint64_t part = byte & 0x7f;
        if (shift > SHIFT_LAST || (shift == SHIFT_LAST && part > 1))
            reader->broken = true;
        else
            value |= part << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

static uint32_t next_number32(struct reader *reader)
{
    uint64_t value = next_number(reader);
    reader->broken |= value > UINT32_MAX;
    return (uint32_t)value;
}

static void next_name(struct reader *reader, char out[JINI_TIER_NAME_MAX])
{
    size_t length = next_byte(reader);
    if (length >= JINI_TIER_NAME_MAX || length > reader->rest.length ||
        !text_is_utf8(slice_of(reader->rest.data, length))) {
        reader->broken = true;
        return;
    }
    memcpy(out, reader->rest.data, length);
    reader->rest = slice_of(reader->rest.data + length, reader->rest.length - length);
}

static void next_limit(struct reader *reader, struct jini_decision_limit *out)
{
    out->unit = next_byte(reader);
    out->flags = next_byte(reader);
    out->multiples = next_number32(reader);
    out->amount = next_number(reader);
    out->remaining = next_number(reader);
    out->reset_ms = next_number(reader);
    out->retry_after_ms = next_number(reader);
}

int facts_read(struct slice bytes, struct jini_decision *out)
{
    struct reader reader = {.rest = bytes};
    struct jini_decision read = *out;
    uint8_t version = next_byte(&reader);
    if (version > VERSION)
        return JINI_E_FORMAT;
    memset(read.tier, 0, sizeof(read.tier));
    read.tier_version = next_number32(&reader);
    next_name(&reader, read.tier);
    read.parallel = next_number32(&reader);
    read.parallel_max = next_number32(&reader);
    read.cost = next_number(&reader);
    read.cost_version = next_number(&reader);
    read.credits_before = next_number(&reader);
    read.credits_after = next_number(&reader);
    read.limit_count = next_byte(&reader);
    read.decided = next_byte(&reader);
    if (read.limit_count > JINI_LIMITS_MAX || read.decided > JINI_LIMITS_MAX)
        return JINI_E_CORRUPT;
    for (uint32_t i = 0; i < read.limit_count; i++)
        next_limit(&reader, &read.limits[i]);
    if (version != VERSION || reader.broken || reader.rest.length != 0)
        return JINI_E_CORRUPT;
    *out = read;
    return 0;
}
