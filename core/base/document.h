/*
 * Documents: records whose fields may grow in number without a migration.
 *
 * Format: one MessagePack map (https://msgpack.org) from small unsigned integers to unsigned or
 * signed integers, booleans, UTF-8 strings and byte strings. A field's number is pinned by the
 * module that owns the record and never used again for something else. A reader keeps the fields
 * that it does not know and its writer puts them back, so that an older process does not drop what
 * a newer one stored.
 */
#ifndef BASE_DOCUMENT_H
#define BASE_DOCUMENT_H

#include "base/bytes.h"

enum { DOCUMENT_REST_MAX = 256 };

struct document_writer {
    struct buffer *out;
    size_t begin;
    uint32_t fields;
};

void document_begin(struct document_writer *writer, struct buffer *out);
void document_add_uint(struct document_writer *writer, uint32_t field, uint64_t value);
void document_add_int(struct document_writer *writer, uint32_t field, int64_t value);
void document_add_bool(struct document_writer *writer, uint32_t field, bool value);
void document_add_text(struct document_writer *writer, uint32_t field, struct slice text);
void document_add_bytes(struct document_writer *writer, uint32_t field, struct slice bytes);

/* JINI_E_TOO_BIG: the document does not fit into `out`, which must then not be used. */
int document_end(struct document_writer *writer);

enum document_type {
    DOCUMENT_END,
    DOCUMENT_UINT,
    DOCUMENT_INT, /* negative */
    DOCUMENT_BOOL,
    DOCUMENT_TEXT,
    DOCUMENT_BYTES,
    DOCUMENT_OTHER /* a type that this version does not write */
};

struct document_field {
    uint32_t field;
    enum document_type type;
    uint64_t number;  /* of UINT and BOOL */
    int64_t negative; /* of INT; a signed value that is not negative is read as UINT */
    struct slice
        bytes;        /* of TEXT (not checked to be UTF-8) and BYTES, borrowed from the document */
    struct slice raw; /* number and value as they stand */
};

struct document_reader {
    struct slice rest;
    uint32_t left;
};

/* JINI_E_CORRUPT: the bytes are no map. */
int document_open(struct document_reader *reader, struct slice document);

/*
 * The next field; type DOCUMENT_END after the last. JINI_E_CORRUPT: the bytes are no such document.
 */
int document_next(struct document_reader *reader, struct document_field *out);

/* Fields that the reader did not know. */
struct document_rest {
    uint32_t fields;
    uint32_t length;
    uint8_t bytes[DOCUMENT_REST_MAX];
};

/*
 * JINI_E_FORMAT: more unknown fields than can be kept; the record belongs to a much newer version.
 */
int document_keep(struct document_rest *rest, const struct document_field *field);
void document_add_rest(struct document_writer *writer, const struct document_rest *rest);

#endif
