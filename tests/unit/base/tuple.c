/* Order-preserving keys. */
#include "base/tuple.h"

#include "harness.h"

/* A random tuple of up to four elements, as key and as elements. */
struct sample {
    struct tuple tuple;
    unsigned count;
    struct tuple_element elements[4];
};

static void random_bytes(struct tuple_element *element)
{
    element->length = harness_random_below(6);
    for (size_t i = 0; i < element->length; i++) {
        static const uint8_t choices[] = {0x00, 0x01, 'a', 'b', 0xFE, 0xFF};
        element->bytes[i] = choices[harness_random_below(sizeof(choices))];
    }
}

static void random_sample(struct sample *sample)
{
    tuple_begin(&sample->tuple);
    sample->count = (unsigned)harness_random_below(4) + 1;
    for (unsigned i = 0; i < sample->count; i++) {
        struct tuple_element *element = &sample->elements[i];
        memset(element, 0, sizeof(*element));
        element->type = (enum tuple_type)(TUPLE_BYTES + harness_random_below(4));
        switch (element->type) {
        case TUPLE_BYTES:
            random_bytes(element);
            tuple_add_bytes(&sample->tuple, slice_of(element->bytes, element->length));
            break;
        case TUPLE_TEXT:
            random_bytes(element);
            tuple_add_text(&sample->tuple, slice_of(element->bytes, element->length));
            break;
        case TUPLE_UINT:
            element->number = harness_random() >> harness_random_below(64);
            tuple_add_uint(&sample->tuple, element->number);
            break;
        default:
            for (int b = 0; b < JINI_ID_BYTES; b++)
                element->id.bytes[b] = (uint8_t)harness_random_below(3);
            tuple_add_id(&sample->tuple, &element->id);
        }
    }
}

static int compare_elements(const struct tuple_element *a, const struct tuple_element *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == TUPLE_UINT)
        return (a->number > b->number) - (a->number < b->number);
    if (a->type == TUPLE_ID)
        return jini_id_compare(&a->id, &b->id);
    return slice_compare(slice_of(a->bytes, a->length), slice_of(b->bytes, b->length));
}

static int compare_samples(const struct sample *a, const struct sample *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++) {
        int order = compare_elements(&a->elements[i], &b->elements[i]);
        if (order)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

TEST(bytes_order_as_elements_do, "Comparing the bytes of two keys compares their elements.")
{
    for (int i = 0; i < 200000; i++) {
        struct sample a;
        struct sample b;
        random_sample(&a);
        random_sample(&b);
        int expected = compare_samples(&a, &b);
        int order = slice_compare(tuple_key(&a.tuple), tuple_key(&b.tuple));
        CHECK_INT(sign(order), ==, sign(expected));
    }
}

TEST(what_was_written_is_read, "A reader gives back every element of a key, and then its end.")
{
    for (int i = 0; i < 50000; i++) {
        struct sample sample;
        random_sample(&sample);
        CHECK(!sample.tuple.overflow);
        struct tuple_reader reader = tuple_reader_of(tuple_key(&sample.tuple));
        struct tuple_element element;
        for (unsigned e = 0; e < sample.count; e++) {
            CHECK_OK(tuple_next(&reader, &element));
            CHECK_INT(compare_elements(&element, &sample.elements[e]), ==, 0);
        }
        CHECK_OK(tuple_next(&reader, &element));
        CHECK_INT(element.type, ==, TUPLE_END);
    }
}

TEST(damaged_keys_are_refused_or_equal,
     "A key with a flipped byte or a cut end is refused, or is the one way to write what it says.")
{
    for (int i = 0; i < 200000; i++) {
        struct sample sample;
        random_sample(&sample);
        struct tuple *key = &sample.tuple;
        if (harness_random_below(2))
            key->bytes[harness_random_below(key->length)] ^=
                (uint8_t)(1 + harness_random_below(255));
        else
            key->length = harness_random_below(key->length);
        struct tuple again;
        tuple_begin(&again);
        struct tuple_reader reader = tuple_reader_of(tuple_key(key));
        struct tuple_element element;
        int status;
        while ((status = tuple_next(&reader, &element)) == 0 && element.type != TUPLE_END) {
            struct slice bytes = slice_of(element.bytes, element.length);
            if (element.type == TUPLE_UINT)
                tuple_add_uint(&again, element.number);
            else if (element.type == TUPLE_ID)
                tuple_add_id(&again, &element.id);
            else if (element.type == TUPLE_TEXT)
                tuple_add_text(&again, bytes);
            else
                tuple_add_bytes(&again, bytes);
        }
        if (status == 0)
            CHECK(slice_equal(tuple_key(&again), tuple_key(key)));
        else
            CHECK_STATUS(status, JINI_E_CORRUPT);
    }
}

TEST(after_prefix_ends_the_range,
     "Every key with the prefix lies before it, every larger key does not.")
{
    struct tuple prefix;
    tuple_begin(&prefix);
    tuple_add_uint(&prefix, 7);
    struct tuple end = prefix;
    CHECK(tuple_after_prefix(&end));
    struct tuple inside = prefix;
    tuple_add_bytes(&inside, slice_of("\xff\xff\xff", 3));
    CHECK_INT(slice_compare(tuple_key(&inside), tuple_key(&end)), <, 0);
    struct tuple next;
    tuple_begin(&next);
    tuple_add_uint(&next, 8);
    CHECK_INT(slice_compare(tuple_key(&next), tuple_key(&end)), >=, 0);
}

TEST(too_long_a_key_overflows, "A key over the bound is flagged and nothing is written past it.")
{
    struct tuple tuple;
    tuple_begin(&tuple);
    uint8_t zeros[TUPLE_KEY_MAX] = {0};
    tuple_add_bytes(&tuple, slice_of(zeros, sizeof(zeros)));
    CHECK(tuple.overflow);
    CHECK_UINT(tuple.length, <=, TUPLE_KEY_MAX);
}
