/*
 * Documents: whatever the bytes are, they are refused, or reading them ends exactly at their end,
 * and what is written from the fields that were read says the same.
 */
#include "base/document.h"

#include "fuzz.h"

#include <jini/status.h>

enum { COPY_MAX = 1 << 17 };

static bool inside(struct slice part, struct slice whole)
{
    return part.data >= whole.data && part.length <= whole.length &&
           (size_t)(part.data - whole.data) <= whole.length - part.length;
}

static void copy_field(struct document_writer *writer, const struct document_field *field,
                       struct document_rest *rest)
{
    switch (field->type) {
    case DOCUMENT_UINT:
        document_add_uint(writer, field->field, field->number);
        break;
    case DOCUMENT_INT:
        FUZZ_CHECK(field->negative < 0);
        document_add_int(writer, field->field, field->negative);
        break;
    case DOCUMENT_BOOL:
        FUZZ_CHECK(field->number <= 1);
        document_add_bool(writer, field->field, field->number != 0);
        break;
    case DOCUMENT_TEXT:
        document_add_text(writer, field->field, field->bytes);
        break;
    case DOCUMENT_BYTES:
        document_add_bytes(writer, field->field, field->bytes);
        break;
    default:
        FUZZ_CHECK(field->type == DOCUMENT_OTHER);
        FUZZ_CHECK(document_keep(rest, field) == 0 || rest->length > 0 ||
                   field->raw.length > DOCUMENT_REST_MAX);
    }
}

static bool same(const struct document_field *a, const struct document_field *b)
{
    return a->field == b->field && a->type == b->type && a->number == b->number &&
           a->negative == b->negative && slice_equal(a->bytes, b->bytes);
}

/*
 * Both documents hold the same fields in the same order, but those of other types, which come last
 * in `b`.
 */
static void compare(struct slice a, struct slice b)
{
    struct document_reader one;
    struct document_reader two;
    struct document_field field;
    struct document_field copy;
    FUZZ_CHECK(document_open(&one, a) == 0 && document_open(&two, b) == 0);
    while (document_next(&one, &field) == 0 && field.type != DOCUMENT_END) {
        if (field.type == DOCUMENT_OTHER)
            continue;
        FUZZ_CHECK(document_next(&two, &copy) == 0);
        FUZZ_CHECK(same(&field, &copy));
    }
    do {
        FUZZ_CHECK(document_next(&two, &copy) == 0);
        FUZZ_CHECK(copy.type == DOCUMENT_END || copy.type == DOCUMENT_OTHER);
    } while (copy.type != DOCUMENT_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static uint8_t bytes[COPY_MAX];
    struct slice document = slice_of(data, length);
    struct document_reader reader;
    struct document_rest rest = {0};
    int status = document_open(&reader, document);
    FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
    if (status != 0)
        return 0;
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    document_begin(&writer, &out);
    struct document_field field;
    for (;;) {
        status = document_next(&reader, &field);
        FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
        if (status != 0)
            return 0;
        if (field.type == DOCUMENT_END)
            break;
        FUZZ_CHECK(inside(field.raw, document));
        FUZZ_CHECK(field.bytes.length == 0 || inside(field.bytes, field.raw));
        copy_field(&writer, &field, &rest);
    }
    FUZZ_CHECK(reader.rest.length == 0);
    document_add_rest(&writer, &rest);
    if (document_end(&writer) == 0)
        compare(document, buffer_slice(&out));
    return 0;
}
