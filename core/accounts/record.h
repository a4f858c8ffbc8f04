/*
 * Taking a field of a stored record into a member, and putting a member into a record unless it is
 * 0.
 */
#ifndef ACCOUNTS_RECORD_H
#define ACCOUNTS_RECORD_H

#include "base/document.h"
#include "base/text.h"

#include <jini/status.h>

/* JINI_E_CORRUPT: not a text, not UTF-8, or too long for `capacity` with its NUL. */
static inline int record_check_text(const struct document_field *field, size_t capacity)
{
    if (field->type != DOCUMENT_TEXT || field->bytes.length >= capacity ||
        !text_is_utf8(field->bytes))
        return JINI_E_CORRUPT;
    return 0;
}

/* The same, and copies it. */
static inline int record_take_text(const struct document_field *field, char *to, size_t capacity)
{
    int status = record_check_text(field, capacity);
    if (status)
        return status;
    memcpy(to, field->bytes.data, field->bytes.length);
    to[field->bytes.length] = '\0';
    return 0;
}

/* JINI_E_CORRUPT: not an unsigned integer. */
static inline int record_take_number(const struct document_field *field, uint64_t *to)
{
    if (field->type != DOCUMENT_UINT)
        return JINI_E_CORRUPT;
    *to = field->number;
    return 0;
}

/* JINI_E_CORRUPT: not an unsigned integer of 32 bits. */
static inline int record_take_number32(const struct document_field *field, uint32_t *to)
{
    if (field->type != DOCUMENT_UINT || field->number > UINT32_MAX)
        return JINI_E_CORRUPT;
    *to = (uint32_t)field->number;
    return 0;
}

static inline void record_add_text(struct document_writer *writer, uint32_t field, const char *text)
{
    if (text[0] != '\0')
        document_add_text(writer, field, slice_of_text(text));
}

static inline void record_add_number(struct document_writer *writer, uint32_t field, uint64_t value)
{
    if (value != 0)
        document_add_uint(writer, field, value);
}

#endif
