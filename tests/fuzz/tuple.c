/*
 * Tuple keys: whatever the bytes are, they are refused, or they are the one way to write what they
 * say.
 */
#include "base/tuple.h"

#include "fuzz.h"

#include <jini/status.h>

static void add_element(struct tuple *tuple, const struct tuple_element *element)
{
    struct slice bytes = slice_of(element->bytes, element->length);
    switch (element->type) {
    case TUPLE_BYTES:
        tuple_add_bytes(tuple, bytes);
        break;
    case TUPLE_TEXT:
        tuple_add_text(tuple, bytes);
        break;
    case TUPLE_UINT:
        tuple_add_uint(tuple, element->number);
        break;
    default:
        FUZZ_CHECK(element->type == TUPLE_ID);
        tuple_add_id(tuple, &element->id);
    }
}

/* The readers of one type agree with the reader of any. */
static void check_typed_readers(struct tuple_reader before, const struct tuple_element *element)
{
    uint64_t number;
    struct jini_id id;
    struct tuple_reader reader = before;
    int status = tuple_next_uint(&reader, &number);
    FUZZ_CHECK(status == (element->type == TUPLE_UINT ? 0 : JINI_E_CORRUPT));
    FUZZ_CHECK(status != 0 || number == element->number);
    reader = before;
    status = tuple_next_id(&reader, &id);
    FUZZ_CHECK(status == (element->type == TUPLE_ID ? 0 : JINI_E_CORRUPT));
    FUZZ_CHECK(status != 0 || jini_id_compare(&id, &element->id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct slice key = slice_of(data, length);
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple again;
    tuple_begin(&again);
    for (;;) {
        struct tuple_reader before = reader;
        struct tuple_element element;
        int status = tuple_next(&reader, &element);
        FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
        if (status != 0)
            return 0;
        if (element.type == TUPLE_END)
            break;
        FUZZ_CHECK(reader.rest.length < before.rest.length);
        check_typed_readers(before, &element);
        add_element(&again, &element);
    }
    FUZZ_CHECK(again.overflow == (length > TUPLE_KEY_MAX));
    FUZZ_CHECK(again.overflow || slice_equal(tuple_key(&again), key));
    return 0;
}
