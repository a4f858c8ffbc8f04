/* Documents: MessagePack maps whose fields may grow in number. */
#include "base/document.h"

#include "harness.h"

#include <jini/status.h>

enum { FIELDS = 8 };

/* One random document, as bytes and as what was put in. */
struct sample {
    uint8_t bytes[4096];
    struct buffer out;
    unsigned count;
    struct document_field fields[FIELDS];
    uint8_t payloads[FIELDS][300];
};

/* Numbers near the edges of MessagePack's sizes come up as often as any others. */
static uint64_t random_number(void)
{
    uint64_t value = harness_random() >> harness_random_below(64);
    if (harness_random_below(2))
        value = (UINT64_C(1) << harness_random_below(64)) + harness_random_below(3) - 1;
    return value;
}

static void random_field(struct sample *sample, struct document_writer *writer, unsigned index)
{
    struct document_field *field = &sample->fields[index];
    memset(field, 0, sizeof(*field));
    field->field = (uint32_t)random_number();
    field->type = (enum document_type)(DOCUMENT_UINT + harness_random_below(5));
    uint8_t *payload = sample->payloads[index];
    size_t length = harness_random_below(sizeof(sample->payloads[0]));
    switch (field->type) {
    case DOCUMENT_UINT:
        field->number = random_number();
        document_add_uint(writer, field->field, field->number);
        break;
    case DOCUMENT_INT:
        field->negative = -1 - (int64_t)(random_number() >> 1);
        document_add_int(writer, field->field, field->negative);
        break;
    case DOCUMENT_BOOL:
        field->number = harness_random_below(2);
        document_add_bool(writer, field->field, field->number != 0);
        break;
    default:
        for (size_t i = 0; i < length; i++)
            payload[i] = (uint8_t)harness_random();
        field->bytes = slice_of(payload, length);
        if (field->type == DOCUMENT_TEXT)
            document_add_text(writer, field->field, field->bytes);
        else
            document_add_bytes(writer, field->field, field->bytes);
    }
}

static void random_sample(struct sample *sample)
{
    struct document_writer writer;
    sample->out = buffer_of(sample->bytes, sizeof(sample->bytes));
    document_begin(&writer, &sample->out);
    sample->count = (unsigned)harness_random_below(FIELDS + 1);
    for (unsigned i = 0; i < sample->count; i++)
        random_field(sample, &writer, i);
    CHECK_OK(document_end(&writer));
}

static void check_same(const struct document_field *a, const struct document_field *b)
{
    CHECK_UINT(a->field, ==, b->field);
    CHECK_INT(a->type, ==, b->type);
    CHECK_UINT(a->number, ==, b->number);
    CHECK_INT(a->negative, ==, b->negative);
    CHECK(slice_equal(a->bytes, b->bytes));
}

TEST(what_was_written_is_read, "A reader gives back every field in order, and then the end.")
{
    static struct sample sample;
    for (int i = 0; i < 20000; i++) {
        random_sample(&sample);
        struct document_reader reader;
        CHECK_OK(document_open(&reader, buffer_slice(&sample.out)));
        struct document_field field;
        for (unsigned f = 0; f < sample.count; f++) {
            CHECK_OK(document_next(&reader, &field));
            check_same(&field, &sample.fields[f]);
        }
        CHECK_OK(document_next(&reader, &field));
        CHECK_INT(field.type, ==, DOCUMENT_END);
    }
}

static struct document_field write_and_read_int(int64_t value)
{
    uint8_t bytes[32];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    document_begin(&writer, &out);
    document_add_int(&writer, 1, value);
    CHECK_OK(document_end(&writer));
    struct document_reader reader;
    struct document_field field;
    CHECK_OK(document_open(&reader, buffer_slice(&out)));
    CHECK_OK(document_next(&reader, &field));
    return field;
}

TEST(every_signed_number_keeps_its_value,
     "Around every power of two, above and below zero, a signed number is read as it was written.")
{
    for (int bit = 0; bit < 63; bit++) {
        for (int64_t off = -2; off <= 2; off++) {
            int64_t value = (INT64_C(1) << bit) + off;
            struct document_field field = write_and_read_int(-value);
            if (value > 0)
                CHECK_INT(field.negative, ==, -value);
            field = write_and_read_int(value);
            CHECK_INT(value < 0 ? field.negative : (int64_t)field.number, ==, value);
        }
    }
    CHECK_INT(write_and_read_int(INT64_MIN).negative, ==, INT64_MIN);
    CHECK_UINT(write_and_read_int(INT64_MAX).number, ==, INT64_MAX);
    CHECK_INT(write_and_read_int(0).type, ==, DOCUMENT_UINT);
}

TEST(signed_numbers_take_the_fewest_bytes,
     "The bytes are those that the MessagePack format asks for.")
{
    static const struct {
        int64_t value;
        size_t length;
        const char *bytes;
    } rows[] = {
        {-1, 1, "\xff"},
        {-32, 1, "\xe0"},
        {-33, 2, "\xd0\xdf"},
        {-128, 2, "\xd0\x80"},
        {-129, 3, "\xd1\xff\x7f"},
        {-32768, 3, "\xd1\x80\x00"},
        {-32769, 5, "\xd2\xff\xff\x7f\xff"},
        {-2147483648LL, 5, "\xd2\x80\x00\x00\x00"},
        {-2147483649LL, 9, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[32];
        struct buffer out = buffer_of(bytes, sizeof(bytes));
        struct document_writer writer;
        document_begin(&writer, &out);
        document_add_int(&writer, 1, rows[i].value);
        CHECK_OK(document_end(&writer));
        CHECK_UINT(out.length, ==, 4 + rows[i].length);
        CHECK_BYTES(bytes + 4, rows[i].bytes, rows[i].length);
    }
}

TEST(a_document_that_does_not_fit_is_refused,
     "In every buffer that is too small the end answers E_TOO_BIG and nothing is written past it.")
{
    uint8_t bytes[64];
    for (size_t capacity = 0; capacity < sizeof(bytes); capacity++) {
        memset(bytes, 0xAA, sizeof(bytes));
        struct buffer out = buffer_of(bytes, capacity);
        struct document_writer writer;
        document_begin(&writer, &out);
        document_add_uint(&writer, 1, UINT64_MAX);
        document_add_text(&writer, 2, slice_of_text("twelve bytes"));
        document_add_bool(&writer, 3, true);
        CHECK_STATUS(document_end(&writer), capacity >= 29 ? JINI_OK : JINI_E_TOO_BIG);
        for (size_t i = capacity; i < sizeof(bytes); i++)
            CHECK_UINT(bytes[i], ==, 0xAA);
    }
}

/* Reads all fields; 0 or the first failure. */
static int read_all(struct slice document)
{
    struct document_reader reader;
    struct document_field field;
    int status = document_open(&reader, document);
    do {
        if (status == 0)
            status = document_next(&reader, &field);
    } while (status == 0 && field.type != DOCUMENT_END);
    return status;
}

TEST(cut_documents_are_corrupt, "Every proper beginning of a document is refused.")
{
    static struct sample sample;
    for (int i = 0; i < 2000; i++) {
        random_sample(&sample);
        size_t whole = sample.out.length;
        for (size_t length = 0; length < whole; length += 1 + harness_random_below(20)) {
            uint8_t exact[4096];
            memcpy(exact, sample.bytes, length);
            CHECK_STATUS(read_all(slice_of(exact, length)), JINI_E_CORRUPT);
        }
    }
}

TEST(bytes_after_the_end_are_corrupt, "A document with anything behind its last field is refused.")
{
    static struct sample sample;
    for (int i = 0; i < 200; i++) {
        random_sample(&sample);
        buffer_append_byte(&sample.out, (uint8_t)harness_random());
        CHECK_STATUS(read_all(buffer_slice(&sample.out)), JINI_E_CORRUPT);
    }
}

TEST(what_is_no_document_is_corrupt, "Hostile headers, keys and values are refused.")
{
    static const struct {
        const char *what;
        size_t length;
        const char *bytes;
    } rows[] = {
        {"nothing", 0, ""},
        {"a number", 1, "\x05"},
        {"an array", 2, "\x91\x01"},
        {"a reserved byte", 1, "\xc1"},
        {"a text key", 4, "\x81\xa1x\x01"},
        {"a negative key", 3, "\x81\xff\x01"},
        {"a key over 32 bits", 11, "\x81\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x01"},
        {"a reserved value", 3, "\x81\x01\xc1"},
        {"more fields than are taken", 3, "\xde\x01\x01"},
        {"four thousand million fields", 5, "\xdf\xff\xff\xff\xff"},
        {"a text longer than the document", 7, "\x81\x01\xdb\xff\xff\xff\xff"},
        {"an array longer than the document", 7, "\x81\x01\xdd\xff\xff\xff\xff"},
        {"an extension longer than the document", 8, "\x81\x01\xc9\xff\xff\xff\xff\x01"},
        {"nesting without end", 22,
         "\x81\x01\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
         "\x91\x91\x91\x91\x91\x91\x01"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (read_all(slice_of(rows[i].bytes, rows[i].length)) != JINI_E_CORRUPT)
            harness_fail(__FILE__, __LINE__, "%s is not refused", rows[i].what);
    }
}

TEST(newer_types_are_passed_over,
     "A field of a type that is not written here is read as OTHER, whole.")
{
    static const char bytes[] = "\x85\x01\xc0"                             /* nil */
                                "\x02\x92\x01\x81\xa1x\x93\x01\x02\x03"    /* [1, {"x": [1,2,3]}] */
                                "\x03\xc7\x03\x05pqr"                      /* an extension */
                                "\x04\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00" /* 1.0 */
                                "\x05\x07";
    static const size_t raw[] = {2, 10, 7, 10};
    struct document_reader reader;
    struct document_field field;
    CHECK_OK(document_open(&reader, slice_of(bytes, sizeof(bytes) - 1)));
    for (uint32_t number = 1; number <= 4; number++) {
        CHECK_OK(document_next(&reader, &field));
        CHECK_UINT(field.field, ==, number);
        CHECK_INT(field.type, ==, DOCUMENT_OTHER);
        CHECK_UINT(field.raw.length, ==, raw[number - 1]);
    }
    CHECK_OK(document_next(&reader, &field));
    CHECK_INT(field.type, ==, DOCUMENT_UINT);
    CHECK_UINT(field.number, ==, 7);
    CHECK_OK(document_next(&reader, &field));
    CHECK_INT(field.type, ==, DOCUMENT_END);
}

TEST(unknown_fields_are_put_back, "What a newer version stored survives a read and a write here.")
{
    static const char newer[] = "\x83\x01\x07\x09\xa3new\x0a\x92\x01\xc0";
    struct document_reader reader;
    struct document_field field;
    struct document_rest rest = {0};
    uint64_t known = 0;
    CHECK_OK(document_open(&reader, slice_of(newer, sizeof(newer) - 1)));
    for (;;) {
        CHECK_OK(document_next(&reader, &field));
        if (field.type == DOCUMENT_END)
            break;
        if (field.field == 1)
            known = field.number;
        else
            CHECK_OK(document_keep(&rest, &field));
    }
    uint8_t bytes[64];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    document_begin(&writer, &out);
    document_add_uint(&writer, 1, known);
    document_add_rest(&writer, &rest);
    CHECK_OK(document_end(&writer));
    /* The same but for the header, which is always the three bytes of a map 16. */
    CHECK_UINT(out.length, ==, sizeof(newer) - 1 + 2);
    CHECK_BYTES(bytes + 3, newer + 1, sizeof(newer) - 2);
    CHECK_OK(read_all(buffer_slice(&out)));
}

TEST(too_many_unknown_fields_are_another_format,
     "A record with more unknown bytes than can be kept is refused, not cut.")
{
    uint8_t bytes[1024];
    static const uint8_t payload[100];
    struct buffer out = buffer_of(bytes, sizeof(bytes));
    struct document_writer writer;
    document_begin(&writer, &out);
    for (uint32_t i = 1; i <= 3; i++)
        document_add_bytes(&writer, i, slice_of(payload, sizeof(payload)));
    CHECK_OK(document_end(&writer));
    struct document_reader reader;
    struct document_field field;
    struct document_rest rest = {0};
    CHECK_OK(document_open(&reader, buffer_slice(&out)));
    for (int i = 1; i <= 3; i++) {
        CHECK_OK(document_next(&reader, &field));
        CHECK_STATUS(document_keep(&rest, &field), i <= 2 ? JINI_OK : JINI_E_FORMAT);
    }
    CHECK_UINT(rest.fields, ==, 2);
}

TEST(damaged_documents_never_read_outside,
     "Any flipped byte is refused or read within the document.")
{
    static struct sample sample;
    for (int i = 0; i < 20000; i++) {
        random_sample(&sample);
        sample.bytes[harness_random_below(sample.out.length)] ^=
            (uint8_t)(1 + harness_random_below(255));
        int status = read_all(buffer_slice(&sample.out));
        if (status != 0)
            CHECK_STATUS(status, JINI_E_CORRUPT);
    }
}
