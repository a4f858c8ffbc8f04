/*
 * MessagePack maps, token by token, through libmpack: no allocation, no recursion into hostile
 * bytes.
 */
#include "base/document.h"

#include <jini/status.h>
#include <mpack.h>

enum {
    MAP16 = 0xde,
    MAP16_BYTES = 3,
    INT8 = 0xd0, /* then INT16, INT32 and INT64 */
    NEGATIVE_FIXINT_MIN = -32,
    FIXINT_END = 0x80, /* a byte below is itself a number */
    FIXSTR = 0xa0,     /* to 0xbf: the length in the low five bits */
    FIXSTR_LENGTH = 0x1f,
    STR8 = 0xd9,
    UINT8 = 0xcc, /* then UINT16, UINT32 and UINT64 */
    UINT64 = 0xcf,
    FIELDS_MAX = 256,
    NESTING_MAX = 16,
};

static void write_token(struct buffer *out, mpack_token_t token)
{
    char bytes[MPACK_MAX_TOKEN_LEN];
    char *to = bytes;
    size_t room = sizeof(bytes);
    mpack_tokbuf_t tokbuf;
    mpack_tokbuf_init(&tokbuf);
    int failed = mpack_write(&tokbuf, &to, &room, &token);
    JINI_ASSERT(failed == MPACK_OK);
    buffer_append(out, bytes, sizeof(bytes) - room);
}

void document_begin(struct document_writer *writer, struct buffer *out)
{
    *writer = (struct document_writer){.out = out, .begin = out->length};
    buffer_reserve(out, MAP16_BYTES);
}

static void begin_field(struct document_writer *writer, uint32_t field)
{
    writer->fields++;
    write_token(writer->out, mpack_pack_uint(field));
}

void document_add_uint(struct document_writer *writer, uint32_t field, uint64_t value)
{
    begin_field(writer, field);
    write_token(writer->out, mpack_pack_uint(value));
}

/*
 * Negative integers are written here: mpack_write() of libmpack 1.0.5 looks at the low 32 bits
 * alone, so that it stores -4294967297 as -1, and its bound is off by one, so that it stores -129
 * as 127.
 */
static void write_negative(struct buffer *out, int64_t value)
{
    uint8_t bytes[9];
    unsigned tag = 0;
    if (value >= NEGATIVE_FIXINT_MIN) {
        buffer_append_byte(out, (uint8_t)value);
        return;
    }
    while (tag < 3 && value < -(INT64_C(1) << ((8u << tag) - 1)))
        tag++;
    size_t length = (size_t)1 << tag;
    store_be64(bytes + 1, (uint64_t)value);
    uint8_t *begin = bytes + sizeof(bytes) - length - 1;
    begin[0] = (uint8_t)(INT8 + tag);
    buffer_append(out, begin, length + 1);
}

void document_add_int(struct document_writer *writer, uint32_t field, int64_t value)
{
    begin_field(writer, field);
    if (value < 0)
        write_negative(writer->out, value);
    else
        write_token(writer->out, mpack_pack_uint((uint64_t)value));
}

void document_add_bool(struct document_writer *writer, uint32_t field, bool value)
{
    begin_field(writer, field);
    write_token(writer->out, mpack_pack_boolean(value));
}

void document_add_text(struct document_writer *writer, uint32_t field, struct slice text)
{
    JINI_ASSERT(text.length <= UINT32_MAX);
    begin_field(writer, field);
    write_token(writer->out, mpack_pack_str((uint32_t)text.length));
    buffer_append(writer->out, text.data, text.length);
}

void document_add_bytes(struct document_writer *writer, uint32_t field, struct slice bytes)
{
    JINI_ASSERT(bytes.length <= UINT32_MAX);
    begin_field(writer, field);
    write_token(writer->out, mpack_pack_bin((uint32_t)bytes.length));
    buffer_append(writer->out, bytes.data, bytes.length);
}

int document_end(struct document_writer *writer)
{
    JINI_ASSERT(writer->fields <= FIELDS_MAX);
    if (writer->out->overflow)
        return JINI_E_TOO_BIG;
    uint8_t *header = writer->out->data + writer->begin;
    header[0] = MAP16;
    header[1] = (uint8_t)(writer->fields >> 8);
    header[2] = (uint8_t)writer->fields;
    return 0;
}

static int read_token(struct slice *rest, mpack_token_t *out)
{
    const char *from = (const char *)rest->data;
    size_t left = rest->length;
    mpack_tokbuf_t tokbuf;
    mpack_tokbuf_init(&tokbuf);
    if (left == 0 || mpack_read(&tokbuf, &from, &left, out) != MPACK_OK)
        return JINI_E_CORRUPT;
    rest->data = (const uint8_t *)from;
    rest->length = left;
    return 0;
}

static int take_payload(struct slice *rest, size_t length, struct slice *out)
{
    if (length > rest->length)
        return JINI_E_CORRUPT;
    *out = slice_of(rest->data, length);
    rest->data += length;
    rest->length -= length;
    return 0;
}

/* Passes over what stands inside an array, a map or an extension whose token was just read. */
static int skip_inside(struct slice *rest, mpack_token_t token)
{
    uint64_t open[NESTING_MAX];
    int depth = 0;
    open[0] = 0;
    for (;;) {
        struct slice payload;
        if (token.type == MPACK_TOKEN_ARRAY || token.type == MPACK_TOKEN_MAP) {
            if (++depth == NESTING_MAX)
                return JINI_E_CORRUPT;
            open[depth] = (uint64_t)token.length * (token.type == MPACK_TOKEN_MAP ? 2 : 1);
        } else if (token.type == MPACK_TOKEN_STR || token.type == MPACK_TOKEN_BIN ||
                   token.type == MPACK_TOKEN_EXT) {
            if (take_payload(rest, token.length, &payload) != 0)
                return JINI_E_CORRUPT;
        }
        while (depth > 0 && open[depth] == 0)
            depth--;
        if (depth == 0)
            return 0;
        open[depth]--;
        if (read_token(rest, &token) != 0)
            return JINI_E_CORRUPT;
    }
}

static uint64_t load_be(const uint8_t *from, size_t length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        value = value << 8 | from[i];
    return value;
}

int document_open(struct document_reader *reader, struct slice document)
{
    mpack_token_t token;
    *reader = (struct document_reader){.rest = document};
    /* The header as document_end() writes it needs no library. */
    if (document.length >= MAP16_BYTES && document.data[0] == MAP16) {
        reader->left = (uint32_t)load_be(document.data + 1, 2);
        reader->rest = slice_of(document.data + MAP16_BYTES, document.length - MAP16_BYTES);
        return reader->left <= FIELDS_MAX ? 0 : JINI_E_CORRUPT;
    }
    if (read_token(&reader->rest, &token) != 0 || token.type != MPACK_TOKEN_MAP ||
        token.length > FIELDS_MAX)
        return JINI_E_CORRUPT;
    reader->left = token.length;
    return 0;
}

static int read_value(struct slice *rest, struct document_field *out)
{
    mpack_token_t token;
    if (read_token(rest, &token) != 0)
        return JINI_E_CORRUPT;
    switch (token.type) {
    case MPACK_TOKEN_UINT:
        out->type = DOCUMENT_UINT;
        out->number = mpack_unpack_uint(token);
        return 0;
    case MPACK_TOKEN_SINT:
        out->type = DOCUMENT_INT;
        out->negative = mpack_unpack_sint(token);
        return 0;
    case MPACK_TOKEN_BOOLEAN:
        out->type = DOCUMENT_BOOL;
        out->number = mpack_unpack_boolean(token);
        return 0;
    case MPACK_TOKEN_STR:
        out->type = DOCUMENT_TEXT;
        return take_payload(rest, token.length, &out->bytes);
    case MPACK_TOKEN_BIN:
        out->type = DOCUMENT_BYTES;
        return take_payload(rest, token.length, &out->bytes);
    default:
        out->type = DOCUMENT_OTHER;
        return skip_inside(rest, token);
    }
}

/*
 * Reads what nearly every field is several times faster than token by token: a number below 128,
 * then an unsigned integer or a text of up to 255 bytes. Takes nothing and returns false for all
 * else, and for bytes that are cut.
 */
static bool take_short(struct slice *rest, struct document_field *out)
{
    const uint8_t *bytes = rest->data;
    if (rest->length < 2 || bytes[0] >= FIXINT_END)
        return false;
    const uint8_t tag = bytes[1];
    const bool fixint = tag < FIXINT_END;
    enum document_type type = DOCUMENT_UINT;
    size_t begin = 2;
    size_t length = 0;
    if ((tag & ~FIXSTR_LENGTH) == FIXSTR) {
        type = DOCUMENT_TEXT;
        length = tag & FIXSTR_LENGTH;
    } else if (tag == STR8 && rest->length > 2) {
        type = DOCUMENT_TEXT;
        begin = 3;
        length = bytes[2];
    } else if (tag >= UINT8 && tag <= UINT64) {
        length = (size_t)1 << (tag - UINT8);
    } else if (!fixint) {
        return false;
    }
    if (length > rest->length - begin)
        return false;
    *out = (struct document_field){.field = bytes[0], .type = type};
    out->raw = slice_of(bytes, begin + length);
    if (type == DOCUMENT_TEXT)
        out->bytes = slice_of(bytes + begin, length);
    else
        out->number = fixint ? tag : load_be(bytes + begin, length);
    rest->data += begin + length;
    rest->length -= begin + length;
    return true;
}

int document_next(struct document_reader *reader, struct document_field *out)
{
    if (reader->left == 0) {
        *out = (struct document_field){.type = DOCUMENT_END};
        return reader->rest.length == 0 ? 0 : JINI_E_CORRUPT;
    }
    if (take_short(&reader->rest, out)) {
        reader->left--;
        return 0;
    }
    memset(out, 0, sizeof(*out));
    mpack_token_t key;
    const uint8_t *begin = reader->rest.data;
    if (read_token(&reader->rest, &key) != 0 || key.type != MPACK_TOKEN_UINT)
        return JINI_E_CORRUPT;
    uint64_t number = mpack_unpack_uint(key);
    if (number > UINT32_MAX || read_value(&reader->rest, out) != 0)
        return JINI_E_CORRUPT;
    out->field = (uint32_t)number;
    out->raw = slice_of(begin, (size_t)(reader->rest.data - begin));
    reader->left--;
    return 0;
}

int document_keep(struct document_rest *rest, const struct document_field *field)
{
    JINI_ASSERT(rest->length <= DOCUMENT_REST_MAX);
    if (field->raw.length > DOCUMENT_REST_MAX - rest->length)
        return JINI_E_FORMAT;
    memcpy(rest->bytes + rest->length, field->raw.data, field->raw.length);
    rest->length += (uint32_t)field->raw.length;
    rest->fields++;
    return 0;
}

void document_add_rest(struct document_writer *writer, const struct document_rest *rest)
{
    writer->fields += rest->fields;
    buffer_append(writer->out, rest->bytes, rest->length);
}
