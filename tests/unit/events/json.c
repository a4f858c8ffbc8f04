/* Payloads as JSON. */
#include "events/json.h"

#include "events/events.h"
#include "harness.h"

#include <stdio.h>

static bool is_object(const char *text)
{
    return json_is_object(slice_of_text(text));
}

TEST(an_object_is_taken,
     "Every form of a value that RFC 8259 has is taken inside of an object, with space between.")
{
    CHECK(is_object("{}"));
    CHECK(is_object(" {\"a\" : [ ] , \"b\":{ }\t}\r\n"));
    CHECK(is_object("{\"\":null,\"a\":true,\"a\":false}"));
    CHECK(is_object("{\"n\":[0,-0,1.5,-1.25e-7,12E+3,9007199254740993]}"));
    CHECK(is_object("{\"t\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9 \xc3\xa9\"}"));
}

TEST(what_is_no_object_is_refused,
     "Other values, two of them, what is cut, comments, bad escapes and bytes that are no UTF-8.")
{
    static const char *const texts[] = {
        "",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{",
        "{}{}",
        "{} x",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":-}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":1/*x*/}",
        "{\"a\":\"b}",
        "{\"a\":NaN}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is_object(texts[i]))
            harness_fail(__FILE__, __LINE__, "taken: %s", texts[i]);
    }
    CHECK(!json_is_object(slice_of("{\"a\0\":1}", 9)));
}

TEST(nesting_is_bounded, "Objects as deep as the bound are taken, and one more is refused.")
{
    char text[4 * JSON_DEPTH_MAX + 64];
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        size_t length = 0;
        length += (size_t)snprintf(text, sizeof(text), "{\"a\":");
        for (int i = 1; i < depth; i++)
            text[length++] = '[';
        for (int i = 1; i < depth; i++)
            text[length++] = ']';
        text[length++] = '}';
        CHECK_INT(json_is_object(slice_of(text, length)), ==, depth == JSON_DEPTH_MAX);
    }
}

TEST(a_document_is_written_with_the_names_of_its_fields,
     "Texts are escaped, ids are ids, a field that is not known has its number.")
{
    uint8_t bytes[256];
    char text[512] = {0};
    struct jini_id id = {{1, 2, 3}};
    struct document_writer writer;
    struct buffer document = buffer_of(bytes, sizeof(bytes));
    struct buffer out = buffer_of(text, sizeof(text));
    document_begin(&writer, &document);
    document_add_uint(&writer, EVENT_FIELD_CREDITS, UINT64_MAX);
    document_add_text(&writer, EVENT_FIELD_REASON, slice_of_text("a\"\\\n\xc3\xa9\xff"));
    document_add_bytes(&writer, 900, slice_of(id.bytes, sizeof(id.bytes)));
    document_add_bytes(&writer, 901, slice_of("\x01\xfe", 2));
    document_add_int(&writer, 902, -5);
    document_add_bool(&writer, 903, true);
    CHECK_OK(document_end(&writer));
    CHECK_OK(json_add_document(&out, buffer_slice(&document)));
    CHECK_TEXT(text, "{\"credits\":18446744073709551615,\"reason\":\"a\\\"\\\\\\u000a\xc3\xa9"
                     "\xef\xbf\xbd\",\"900\":\"01020300-0000-0000-0000-000000000000\","
                     "\"901\":\"01fe\",\"902\":-5,\"903\":true}");
    CHECK(json_is_object(buffer_slice(&out)));
    buffer_reset(&out);
    memset(text, 0, sizeof(text));
    CHECK_OK(json_add_document(&out, slice_of(NULL, 0)));
    CHECK_TEXT(text, "{}");
}
