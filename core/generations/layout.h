/*
 * Rows as documents (base/document.h), told by tables: a layout says for each field number which
 * member of a struct it fills. Numbers are pinned. A member that is zero or empty is left out and
 * read back as zero, so that rows stay short; fields that no layout has are kept and written back.
 */
#ifndef GENERATIONS_LAYOUT_H
#define GENERATIONS_LAYOUT_H

#include "base/document.h"

enum layout_type {
    LAYOUT_UNUSED,
    LAYOUT_UINT32,
    LAYOUT_UINT64,
    LAYOUT_INT64,
    LAYOUT_16_BYTES, /* an id or a hash */
    LAYOUT_BYTES,    /* struct slice, borrowed from the row */
    LAYOUT_TEXT      /* the same, UTF-8 without NUL */
};

struct layout_field {
    enum layout_type type;
    uint32_t offset;     /* of the member */
    uint32_t length_max; /* of bytes and text */
};

/* LAYOUT(struct job_row, UINT64, user_id, 0) is the field for that member. */
#define LAYOUT(owner, kind, member, longest)                                                       \
    {                                                                                              \
        LAYOUT_##kind, offsetof(owner, member), (longest)                                          \
    }

enum { LAYOUT_FIELDS_MAX = 64 };

struct layout {
    const struct layout_field *fields; /* fields[n] is field number n */
    uint32_t count;                    /* at most LAYOUT_FIELDS_MAX */
};

/* Fields of a newer version, as they stood in the row. */
struct layout_rest {
    struct document_rest kept;
    bool lost; /* they were too many to keep: the row can be read, not written */
};

/*
 * Fills the members that `layout` names of `row`, which is all zero before.
 * JINI_E_CORRUPT: no document, a field twice, of a wrong type or too long.
 */
int layout_read(const struct layout *layout, struct slice document, void *row,
                struct layout_rest *rest);

/* Appends the document. JINI_E_FORMAT: fields were lost. JINI_E_TOO_BIG: `out` is too small. */
int layout_write(const struct layout *layout, const void *row, const struct layout_rest *rest,
                 struct buffer *out);

#endif
