/* Reading and writing rows by their layouts. */
#include "generations/layout.h"

#include "base/text.h"

#include <jini/status.h>

enum { SHORT_BYTES = 16 };

static int read_integer(const struct layout_field *layout, const struct document_field *field,
                        uint8_t *to)
{
    bool positive = field->type == DOCUMENT_UINT;
    if (layout->type == LAYOUT_UINT32) {
        if (!positive || field->number > UINT32_MAX)
            return JINI_E_CORRUPT;
        uint32_t value = (uint32_t)field->number;
        memcpy(to, &value, sizeof(value));
        return 0;
    }
    if (layout->type == LAYOUT_UINT64) {
        if (!positive)
            return JINI_E_CORRUPT;
        memcpy(to, &field->number, sizeof(field->number));
        return 0;
    }
    if (positive ? field->number > INT64_MAX : field->type != DOCUMENT_INT)
        return JINI_E_CORRUPT;
    int64_t value = positive ? (int64_t)field->number : field->negative;
    memcpy(to, &value, sizeof(value));
    return 0;
}

static int read_field(const struct layout_field *layout, const struct document_field *field,
                      uint8_t *to)
{
    switch (layout->type) {
    case LAYOUT_16_BYTES:
        if (field->type != DOCUMENT_BYTES || field->bytes.length != SHORT_BYTES)
            return JINI_E_CORRUPT;
        memcpy(to, field->bytes.data, SHORT_BYTES);
        return 0;
    case LAYOUT_BYTES:
        if (field->type != DOCUMENT_BYTES || field->bytes.length > layout->length_max)
            return JINI_E_CORRUPT;
        memcpy(to, &field->bytes, sizeof(field->bytes));
        return 0;
    case LAYOUT_TEXT:
        if (field->type != DOCUMENT_TEXT || field->bytes.length > layout->length_max ||
            !text_is_utf8(field->bytes))
            return JINI_E_CORRUPT;
        memcpy(to, &field->bytes, sizeof(field->bytes));
        return 0;
    default:
        return read_integer(layout, field, to);
    }
}

int layout_read(const struct layout *layout, struct slice document, void *row,
                struct layout_rest *rest)
{
    JINI_ASSERT(layout->count <= LAYOUT_FIELDS_MAX);
    *rest = (struct layout_rest){.lost = false};
    struct document_reader reader;
    int status = document_open(&reader, document);
    uint64_t seen = 0;
    while (status == 0) {
        struct document_field field;
        status = document_next(&reader, &field);
        if (status || field.type == DOCUMENT_END)
            break;
        if (field.field >= layout->count || layout->fields[field.field].type == LAYOUT_UNUSED) {
            if (document_keep(&rest->kept, &field) != 0)
                rest->lost = true;
            continue;
        }
        const struct layout_field *known = &layout->fields[field.field];
        if (seen & UINT64_C(1) << field.field)
            return JINI_E_CORRUPT;
        seen |= UINT64_C(1) << field.field;
        status = read_field(known, &field, (uint8_t *)row + known->offset);
    }
    return status;
}

static void write_integer(struct document_writer *writer, uint32_t number,
                          const struct layout_field *field, const uint8_t *from)
{
    uint32_t narrow;
    uint64_t wide;
    if (field->type == LAYOUT_UINT32) {
        memcpy(&narrow, from, sizeof(narrow));
        wide = narrow;
    } else {
        memcpy(&wide, from, sizeof(wide));
    }
    if (wide == 0)
        return;
    if (field->type == LAYOUT_INT64)
        document_add_int(writer, number, (int64_t)wide);
    else
        document_add_uint(writer, number, wide);
}

static void write_field(struct document_writer *writer, uint32_t number,
                        const struct layout_field *field, const uint8_t *from)
{
    static const uint8_t zeros[SHORT_BYTES];
    struct slice bytes;
    switch (field->type) {
    case LAYOUT_UNUSED:
        return;
    case LAYOUT_16_BYTES:
        if (memcmp(from, zeros, SHORT_BYTES) != 0)
            document_add_bytes(writer, number, slice_of(from, SHORT_BYTES));
        return;
    case LAYOUT_BYTES:
    case LAYOUT_TEXT:
        memcpy(&bytes, from, sizeof(bytes));
        JINI_ASSERT(bytes.length <= field->length_max);
        if (bytes.length == 0)
            return;
        if (field->type == LAYOUT_TEXT)
            document_add_text(writer, number, bytes);
        else
            document_add_bytes(writer, number, bytes);
        return;
    default:
        write_integer(writer, number, field, from);
    }
}

int layout_write(const struct layout *layout, const void *row, const struct layout_rest *rest,
                 struct buffer *out)
{
    if (rest->lost)
        return JINI_E_FORMAT;
    struct document_writer writer;
    document_begin(&writer, out);
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct layout_field *field = &layout->fields[i];
        write_field(&writer, i, field, (const uint8_t *)row + field->offset);
    }
    document_add_rest(&writer, &rest->kept);
    return document_end(&writer);
}
