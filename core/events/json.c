/* See json.h. */
#include "events/json.h"
#include "events/events.h"

#include "base/text.h"

#include <stdio.h>

/* ---- Checking ---- */

struct parser {
    struct slice rest;
    unsigned depth;
};

static int peek(const struct parser *parser)
{
    return parser->rest.length ? parser->rest.data[0] : -1;
}

static int take(struct parser *parser)
{
    int byte = peek(parser);
    if (byte >= 0) {
        parser->rest.data++;
        parser->rest.length--;
    }
    return byte;
}

static bool take_if(struct parser *parser, int byte)
{
    if (peek(parser) != byte)
        return false;
    take(parser);
    return true;
}

static void skip_space(struct parser *parser)
{
    for (int byte = peek(parser); byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
         byte = peek(parser))
        take(parser);
}

static bool take_word(struct parser *parser, const char *word)
{
    struct slice wanted = slice_of_text(word);
    if (!slice_has_prefix(parser->rest, wanted))
        return false;
    parser->rest = slice_of(parser->rest.data + wanted.length, parser->rest.length - wanted.length);
    return true;
}

static bool is_hex(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

/* Behind the backslash. */
static bool take_escape(struct parser *parser)
{
    int byte = take(parser);
    if (byte != 'u')
        return byte > 0 && strchr("\"\\/bfnrt", byte) != NULL;
    for (int i = 0; i < 4; i++) {
        if (!is_hex(take(parser)))
            return false;
    }
    return true;
}

/* The whole text is UTF-8, so a string is as well. */
static bool take_string(struct parser *parser)
{
    if (!take_if(parser, '"'))
        return false;
    for (;;) {
        int byte = take(parser);
        if (byte == '"')
            return true;
        if (byte < 0x20 || (byte == '\\' && !take_escape(parser)))
            return false;
    }
}

static bool take_digits(struct parser *parser)
{
    bool any = false;
    for (int byte = peek(parser); byte >= '0' && byte <= '9'; byte = peek(parser)) {
        take(parser);
        any = true;
    }
    return any;
}

static bool take_number(struct parser *parser)
{
    take_if(parser, '-');
    if (!take_if(parser, '0') && !take_digits(parser))
        return false;
    if (take_if(parser, '.') && !take_digits(parser))
        return false;
    if (!take_if(parser, 'e') && !take_if(parser, 'E'))
        return true;
    if (!take_if(parser, '+'))
        take_if(parser, '-');
    return take_digits(parser);
}

static bool take_value(struct parser *parser);

static bool take_member(struct parser *parser)
{
    skip_space(parser);
    if (!take_string(parser))
        return false;
    skip_space(parser);
    return take_if(parser, ':') && take_value(parser);
}

/* An object or an array, from behind its bracket on. Recursion ends at JSON_DEPTH_MAX. */
static bool take_members(struct parser *parser, bool (*member)(struct parser *), int end)
{
    if (++parser->depth > JSON_DEPTH_MAX)
        return false;
    skip_space(parser);
    if (!take_if(parser, end)) {
        do {
            if (!member(parser))
                return false;
            skip_space(parser);
        } while (take_if(parser, ','));
        if (!take_if(parser, end))
            return false;
    }
    parser->depth--;
    return true;
}

static bool take_value(struct parser *parser)
{
    skip_space(parser);
    switch (peek(parser)) {
    case '{':
        take(parser);
        return take_members(parser, take_member, '}');
    case '[':
        take(parser);
        return take_members(parser, take_value, ']');
    case '"':
        return take_string(parser);
    case 't':
        return take_word(parser, "true");
    case 'f':
        return take_word(parser, "false");
    case 'n':
        return take_word(parser, "null");
    default:
        return take_number(parser);
    }
}

bool json_is_object(struct slice text)
{
    struct parser parser = {text, 0};
    skip_space(&parser);
    if (peek(&parser) != '{' || !text_is_utf8(text) || !take_value(&parser))
        return false;
    skip_space(&parser);
    return parser.rest.length == 0;
}

/* ---- Writing ---- */

static void add(struct buffer *out, const char *text)
{
    buffer_append(out, text, strlen(text));
}

static void add_byte_escaped(struct buffer *out, uint8_t byte)
{
    char escape[8];
    snprintf(escape, sizeof(escape), "\\u%04x", byte);
    add(out, escape);
}

static void add_character(struct buffer *out, struct slice character)
{
    uint8_t byte = character.data[0];
    if (byte == '"' || byte == '\\')
        buffer_append_byte(out, '\\');
    if (byte < 0x20)
        add_byte_escaped(out, byte);
    else
        buffer_append(out, character.data, character.length);
}

void json_add_text(struct buffer *out, struct slice text)
{
    struct text_character character;
    buffer_append_byte(out, '"');
    while (text.length > 0) {
        const struct slice before = text;
        if (text_take(&text, &character) && text.length < before.length) {
            add_character(out, slice_of(before.data, before.length - text.length));
        } else {
            add(out, "\xef\xbf\xbd");
            text = slice_of(before.data + 1, before.length - 1);
        }
    }
    buffer_append_byte(out, '"');
}

void json_add_uint(struct buffer *out, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    add(out, text);
}

static void add_int(struct buffer *out, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    add(out, text);
}

/* An id as such, other bytes as hexadecimal digits. */
static void add_bytes(struct buffer *out, struct slice bytes)
{
    struct jini_id id;
    char text[JINI_ID_TEXT_MAX];
    buffer_append_byte(out, '"');
    if (bytes.length == sizeof(id.bytes)) {
        memcpy(id.bytes, bytes.data, sizeof(id.bytes));
        jini_id_format(&id, text);
        add(out, text);
    }
    for (size_t i = 0; bytes.length != sizeof(id.bytes) && i < bytes.length; i++) {
        snprintf(text, sizeof(text), "%02x", bytes.data[i]);
        add(out, text);
    }
    buffer_append_byte(out, '"');
}

/* A field that a newer process has added is named by its number. */
static void add_name(struct buffer *out, uint32_t field)
{
    char number[16];
    switch (field) {
#define FIELD_NAME(name, number, text)                                                             \
    case number:                                                                                   \
        add(out, "\"" text "\":");                                                                 \
        return;
        EVENT_FIELD_MAP(FIELD_NAME)
#undef FIELD_NAME
    default:
        snprintf(number, sizeof(number), "\"%u\":", field);
        add(out, number);
    }
}

static void add_value(struct buffer *out, const struct document_field *field)
{
    switch (field->type) {
    case DOCUMENT_UINT:
        json_add_uint(out, field->number);
        break;
    case DOCUMENT_INT:
        add_int(out, field->negative);
        break;
    case DOCUMENT_BOOL:
        add(out, field->number ? "true" : "false");
        break;
    case DOCUMENT_TEXT:
        json_add_text(out, field->bytes);
        break;
    case DOCUMENT_BYTES:
        add_bytes(out, field->bytes);
        break;
    case DOCUMENT_OTHER:
    case DOCUMENT_END:
        add(out, "null");
        break;
    }
}

int json_add_document(struct buffer *out, struct slice document)
{
    struct document_reader reader;
    struct document_field field;
    if (document.length == 0) {
        add(out, "{}");
        return 0;
    }
    int status = document_open(&reader, document);
    buffer_append_byte(out, '{');
    for (bool first = true; status == 0; first = false) {
        status = document_next(&reader, &field);
        if (status || field.type == DOCUMENT_END)
            break;
        if (!first)
            buffer_append_byte(out, ',');
        add_name(out, field.field);
        add_value(out, &field);
    }
    buffer_append_byte(out, '}');
    return status;
}
