/*
 * Results in both forms. A verb makes a JSON object; with --json it is printed as it is, else this
 * file lays it out: an object as lines "name  value", a list of objects as aligned columns. So both
 * forms say the same.
 */
#ifndef JINI_CLI_LAYOUT_H
#define JINI_CLI_LAYOUT_H

#include <jansson.h>
#include <jini/generations.h>

/* How a value is shown to people. */
enum layout_format {
    LAYOUT_PLAIN,
    LAYOUT_BYTES,
    LAYOUT_SPAN,  /* of milliseconds; null: never */
    LAYOUT_TIME,  /* ISO 8601 text, without its milliseconds */
    LAYOUT_BOUND, /* 0: none */
    LAYOUT_DAYS   /* 0: for ever */
};

/* ---- Values ---- */

json_t *layout_time(uint64_t time_ms);       /* ISO 8601; null for 0 */
json_t *layout_id(const struct jini_id *id); /* null for "no id" */
json_t *layout_text(const char *text);       /* with U+FFFD for what is not UTF-8 */
json_t *layout_bytes_as_text(const void *bytes, size_t length);

/*
 * Sets a member to the name of a file. A name that is not UTF-8 has U+FFFD there; its bytes, in
 * hexadecimal digits, are "path_bytes" then, so that the file can still be found.
 */
void layout_set_path(json_t *object, const char *member, const char *path);

json_t *layout_number(uint64_t number); /* null for UINT64_MAX and what JSON cannot hold */

/* A value in words. To be freed; NULL: out of memory. */
char *layout_words(const json_t *value, enum layout_format format);

/* ---- Objects ---- */

/* Prints an object; members that are objects are named "outer.inner". Takes it over. */
void layout_object(json_t *object);

/* ---- Lists ---- */

struct layout_column {
    const char *title;
    const char *member; /* of each object; "outer.inner" goes down */
    enum layout_format format;
};

enum { LAYOUT_COLUMNS_MAX = 16, LAYOUT_ROWS_MAX = 64 };

/* A list that is being printed: up to LAYOUT_ROWS_MAX rows are aligned together. */
struct layout_list {
    const struct layout_column *columns;
    size_t column_count;
    size_t row_count;
    size_t total;
    size_t widths
        [LAYOUT_COLUMNS_MAX]; /* never shrink: the parts of a long list stand below each other */
    json_t *rows[LAYOUT_ROWS_MAX];
};

#define layout_list_begin(list, columns)                                                           \
    layout_list_begin_as((list), (columns), sizeof(columns) / sizeof((columns)[0]))
void layout_list_begin_as(struct layout_list *list, const struct layout_column *columns,
                          size_t column_count);

/* Adds a row. Takes it over. */
void layout_list_add(struct layout_list *list, json_t *object);

/* Prints what there is so far: the list is one that goes on while time passes. */
void layout_list_flush(struct layout_list *list);

/* Prints what is left, or `empty` (NULL: nothing) when there was no row. */
void layout_list_end(struct layout_list *list, const char *empty);

#endif
