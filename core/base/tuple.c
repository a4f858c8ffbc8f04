/* Writing and reading order-preserving keys; the format stands in tuple.h. */
#include "base/tuple.h"

enum {
    TAG_BYTES = 0x01,
    TAG_TEXT = 0x02,
    TAG_UINT = 0x14,
    TAG_ID = 0x30,
    ESCAPE = 0x00,
    ESCAPED_ZERO = 0xFF,
    UINT_BYTES_MAX = 8,
};

void tuple_begin(struct tuple *tuple)
{
    tuple->length = 0;
    tuple->overflow = false;
}

static void append(struct tuple *tuple, const void *data, size_t length)
{
    if (tuple->overflow || length > sizeof(tuple->bytes) - tuple->length) {
        tuple->overflow = true;
        return;
    }
    memcpy(tuple->bytes + tuple->length, data, length);
    tuple->length += length;
}

static void append_byte(struct tuple *tuple, uint8_t byte)
{
    append(tuple, &byte, 1);
}

static void add_escaped(struct tuple *tuple, uint8_t tag, struct slice bytes)
{
    append_byte(tuple, tag);
    for (size_t i = 0; i < bytes.length; i++) {
        append_byte(tuple, bytes.data[i]);
        if (bytes.data[i] == ESCAPE)
            append_byte(tuple, ESCAPED_ZERO);
    }
    append_byte(tuple, ESCAPE);
}

void tuple_add_bytes(struct tuple *tuple, struct slice bytes)
{
    add_escaped(tuple, TAG_BYTES, bytes);
}

void tuple_add_text(struct tuple *tuple, struct slice text)
{
    add_escaped(tuple, TAG_TEXT, text);
}

void tuple_add_uint(struct tuple *tuple, uint64_t value)
{
    uint8_t bytes[UINT_BYTES_MAX];
    store_be64(bytes, value);
    size_t zeros = 0;
    while (zeros < UINT_BYTES_MAX && bytes[zeros] == 0)
        zeros++;
    append_byte(tuple, (uint8_t)(TAG_UINT + UINT_BYTES_MAX - zeros));
    append(tuple, bytes + zeros, UINT_BYTES_MAX - zeros);
}

void tuple_add_id(struct tuple *tuple, const struct jini_id *id)
{
    append_byte(tuple, TAG_ID);
    append(tuple, id->bytes, sizeof(id->bytes));
}

bool tuple_after_prefix(struct tuple *tuple)
{
    while (tuple->length > 0 && tuple->bytes[tuple->length - 1] == 0xFF)
        tuple->length--;
    if (tuple->length == 0)
        return false;
    tuple->bytes[tuple->length - 1]++;
    return true;
}

static bool take(struct tuple_reader *reader, size_t length, const uint8_t **out)
{
    if (reader->rest.length < length)
        return false;
    *out = reader->rest.data;
    reader->rest.data += length;
    reader->rest.length -= length;
    return true;
}

static int take_escaped(struct tuple_reader *reader, struct tuple_element *out)
{
    const uint8_t *byte;
    out->length = 0;
    while (take(reader, 1, &byte)) {
        if (*byte == ESCAPE) {
            if (reader->rest.length == 0 || reader->rest.data[0] != ESCAPED_ZERO)
                return 0;
            reader->rest.data++;
            reader->rest.length--;
        }
        if (out->length == sizeof(out->bytes))
            return JINI_E_CORRUPT;
        out->bytes[out->length++] = *byte;
    }
    return JINI_E_CORRUPT;
}

static int take_uint(struct tuple_reader *reader, size_t length, uint64_t *out)
{
    const uint8_t *bytes;
    if (!take(reader, length, &bytes))
        return JINI_E_CORRUPT;
    if (length > 0 && bytes[0] == 0)
        return JINI_E_CORRUPT;
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        value = value << 8 | bytes[i];
    *out = value;
    return 0;
}

int tuple_next(struct tuple_reader *reader, struct tuple_element *out)
{
    const uint8_t *tag;
    out->type = TUPLE_END;
    out->number = 0;
    out->length = 0;
    if (!take(reader, 1, &tag))
        return 0;
    if (*tag == TAG_BYTES || *tag == TAG_TEXT) {
        out->type = *tag == TAG_TEXT ? TUPLE_TEXT : TUPLE_BYTES;
        return take_escaped(reader, out);
    }
    if (*tag >= TAG_UINT && *tag <= TAG_UINT + UINT_BYTES_MAX) {
        out->type = TUPLE_UINT;
        return take_uint(reader, (size_t)(*tag - TAG_UINT), &out->number);
    }
    const uint8_t *id;
    if (*tag == TAG_ID && take(reader, JINI_ID_BYTES, &id)) {
        out->type = TUPLE_ID;
        memcpy(out->id.bytes, id, JINI_ID_BYTES);
        return 0;
    }
    return JINI_E_CORRUPT;
}

bool tuple_is_text(const struct tuple_element *element, const char *text)
{
    return element->type == TUPLE_TEXT && element->length == strlen(text) &&
           memcmp(element->bytes, text, element->length) == 0;
}

int tuple_next_uint(struct tuple_reader *reader, uint64_t *out)
{
    const uint8_t *tag;
    *out = 0;
    if (!take(reader, 1, &tag) || *tag < TAG_UINT || *tag > TAG_UINT + UINT_BYTES_MAX)
        return JINI_E_CORRUPT;
    return take_uint(reader, (size_t)(*tag - TAG_UINT), out);
}

int tuple_next_id(struct tuple_reader *reader, struct jini_id *out)
{
    const uint8_t *tag;
    const uint8_t *id;
    memset(out, 0, sizeof(*out));
    if (!take(reader, 1, &tag) || *tag != TAG_ID || !take(reader, JINI_ID_BYTES, &id))
        return JINI_E_CORRUPT;
    memcpy(out->bytes, id, JINI_ID_BYTES);
    return 0;
}
