/*
 * Laying out JSON values as text. Formats of an object's members follow from their names, which
 * carry units.
 */
#include "layout.h"

#include "output.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 96 };

/* ---- Values ---- */

json_t *layout_time(uint64_t time_ms)
{
    char text[WORDS_TIME_MAX];
    if (time_ms == 0)
        return json_null();
    words_time_ms(time_ms, text);
    return json_string(text);
}

json_t *layout_id(const struct jini_id *id)
{
    static const struct jini_id none;
    char text[JINI_ID_TEXT_MAX];
    if (jini_id_compare(id, &none) == 0)
        return json_null();
    jini_id_format(id, text);
    return json_string(text);
}

json_t *layout_bytes_as_text(const void *bytes, size_t length)
{
    size_t mended_length;
    json_t *exact = json_stringn(bytes, length);
    if (exact)
        return exact;
    char *mended = words_mended(bytes, length, &mended_length);
    json_t *result = mended ? json_stringn(mended, mended_length) : NULL;
    free(mended);
    return result;
}

json_t *layout_text(const char *text)
{
    return layout_bytes_as_text(text, strlen(text));
}

void layout_set_path(json_t *object, const char *member, const char *path)
{
    json_t *exact = json_string(path);
    size_t length = strlen(path);
    char *digits = exact ? NULL : malloc(2 * length + 1);
    json_object_set_new(object, member, exact ? exact : layout_text(path));
    if (!digits)
        return;
    for (size_t i = 0; i < length; i++)
        snprintf(digits + 2 * i, 3, "%02x", (unsigned)(unsigned char)path[i]);
    json_object_set_new(object, "path_bytes", json_string(digits));
    free(digits);
}

json_t *layout_number(uint64_t number)
{
    return number > INT64_MAX ? json_null() : json_integer((json_int_t)number);
}

/* ---- In words ---- */

static char *number_in_words(uint64_t number, enum layout_format format)
{
    char text[WORDS_NUMBER_MAX];
    char *out = NULL;
    if (format == LAYOUT_BYTES)
        words_bytes(number, text);
    else if (format == LAYOUT_SPAN)
        words_span_ms(number, text);
    else if (format == LAYOUT_BOUND && number == 0)
        snprintf(text, sizeof(text), "no bound");
    else if (format == LAYOUT_DAYS && number == 0)
        snprintf(text, sizeof(text), "for ever");
    else if (format == LAYOUT_DAYS)
        snprintf(text, sizeof(text), "%" PRIu64 " days", number);
    else
        snprintf(text, sizeof(text), "%" PRIu64, number);
    out = strdup(text);
    return out;
}

static char *time_in_words(const char *time)
{
    size_t seconds = strcspn(time, ".");
    char *out = NULL;
    if (asprintf(&out, "%.*sZ", (int)seconds, time) < 0)
        return NULL;
    return out;
}

static char *array_in_words(const json_t *array)
{
    char *joined = strdup("");
    for (size_t i = 0; joined && i < json_array_size(array); i++) {
        char *next = NULL;
        char *word = layout_words(json_array_get(array, i), LAYOUT_PLAIN);
        if (!word || asprintf(&next, "%s%s%s", joined, i ? ", " : "", word) < 0)
            next = NULL;
        free(word);
        free(joined);
        joined = next;
    }
    return joined;
}

char *layout_words(const json_t *value, enum layout_format format)
{
    if (json_is_integer(value) && json_integer_value(value) < 0) {
        char text[WORDS_NUMBER_MAX];
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return strdup(text);
    }
    if (json_is_integer(value))
        return number_in_words((uint64_t)json_integer_value(value), format);
    if (json_is_real(value)) {
        char text[WORDS_NUMBER_MAX];
        snprintf(text, sizeof(text), "%.6g", json_real_value(value));
        return strdup(text);
    }
    if (json_is_string(value) && format == LAYOUT_TIME)
        return time_in_words(json_string_value(value));
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        return words_printable(text, json_string_length(value), WORDS_ONE_LINE);
    }
    if (json_is_array(value))
        return array_in_words(value);
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "yes" : "no");
    return strdup(format == LAYOUT_SPAN ? "never" : "-");
}

/* ---- Objects ---- */

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name);
    size_t ending_length = strlen(ending);
    return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

static enum layout_format format_by_name(const char *name)
{
    static const struct {
        const char *ending;
        enum layout_format format;
    } formats[] = {
        {"bytes", LAYOUT_BYTES},        {"bytes_original", LAYOUT_BYTES},
        {"bytes_local", LAYOUT_BYTES},  {"bytes_archived", LAYOUT_BYTES},
        {"bytes_cached", LAYOUT_BYTES}, {"bytes_freed", LAYOUT_BYTES},
        {"bytes_read", LAYOUT_BYTES},   {"_ms", LAYOUT_SPAN},
        {"_max", LAYOUT_BOUND},         {"retention_days", LAYOUT_DAYS},
        {"created", LAYOUT_TIME},       {"expires", LAYOUT_TIME},
        {"started", LAYOUT_TIME},       {"finished", LAYOUT_TIME},
        {"last_login", LAYOUT_TIME},
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (ends_with(name, formats[i].ending))
            return formats[i].format;
    }
    return LAYOUT_PLAIN;
}

typedef void member_fn(void *context, const char *name, const json_t *value);

/* Calls `visit` for every member that is no object, with its whole name. */
static void each_member(json_t *object, const char *prefix, member_fn *visit, void *context)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", key);
        if (json_is_object(value))
            each_member(value, name, visit, context);
        else
            visit(context, name, value);
    }
}

static void widen(void *context, const char *name, const json_t *value)
{
    size_t *width = context;
    (void)value;
    if (strlen(name) > *width)
        *width = strlen(name);
}

static void print_member(void *context, const char *name, const json_t *value)
{
    const size_t *width = context;
    char *words = layout_words(value, format_by_name(name));
    if (words && words[0] != '\0')
        output_line("%-*s  %s", (int)*width, name, words);
    else if (words)
        output_line("%s", name);
    free(words);
}

void layout_object(json_t *object)
{
    size_t width = 0;
    if (!object || output_is_json()) {
        output_json(object);
        return;
    }
    each_member(object, "", widen, &width);
    each_member(object, "", print_member, &width);
    json_decref(object);
}

/* ---- Lists ---- */

void layout_list_begin_as(struct layout_list *list, const struct layout_column *columns,
                          size_t column_count)
{
    memset(list, 0, sizeof(*list));
    list->columns = columns;
    list->column_count = column_count < LAYOUT_COLUMNS_MAX ? column_count : LAYOUT_COLUMNS_MAX;
    for (size_t i = 0; i < list->column_count; i++)
        list->widths[i] = strlen(columns[i].title);
}

static const json_t *member_of(const json_t *object, const char *path)
{
    char name[NAME_MAX_BYTES];
    const char *dot = strchr(path, '.');
    if (!dot)
        return json_object_get(object, path);
    snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
    return member_of(json_object_get(object, name), dot + 1);
}

static char *cell_words(const struct layout_list *list, size_t column, const json_t *row)
{
    const struct layout_column *spec = &list->columns[column];
    const json_t *value = member_of(row, spec->member);
    if (json_is_string(value) && json_string_length(value) == 0)
        value = NULL;
    return layout_words(value, spec->format);
}

/* One line of cells; numbers stand right. The last column is not padded. */
static void print_row(const struct layout_list *list, const json_t *row)
{
    char *line = strdup("");
    for (size_t i = 0; line && i < list->column_count; i++) {
        char *next = NULL;
        char *words = row ? cell_words(list, i, row) : strdup(list->columns[i].title);
        const json_t *value = row ? member_of(row, list->columns[i].member) : NULL;
        bool right = row && json_is_number(value);
        size_t width = words ? words_width(words) : 0;
        int pad = width < list->widths[i] ? (int)(list->widths[i] - width) : 0;
        bool last = i + 1 == list->column_count;
        if (!words || asprintf(&next, "%s%*s%s%*s", line, right ? pad : 0, "", words,
                               last ? 0 : (right ? 0 : pad) + 2, "") < 0)
            next = NULL;
        free(words);
        free(line);
        line = next;
    }
    if (line && row)
        output_line("%s", line);
    else if (line)
        output_heading("%s", line);
    free(line);
}

static void flush_rows(struct layout_list *list)
{
    bool first = list->total == list->row_count;
    for (size_t i = 0; i < list->row_count; i++) {
        for (size_t j = 0; j < list->column_count; j++) {
            char *words = cell_words(list, j, list->rows[i]);
            size_t width = words ? words_width(words) : 0;
            if (width > list->widths[j])
                list->widths[j] = width;
            free(words);
        }
    }
    if (first && list->row_count > 0)
        print_row(list, NULL);
    for (size_t i = 0; i < list->row_count; i++) {
        print_row(list, list->rows[i]);
        json_decref(list->rows[i]);
    }
    list->row_count = 0;
}

void layout_list_add(struct layout_list *list, json_t *object)
{
    list->total++;
    if (!object || output_is_json()) {
        output_json(object);
        return;
    }
    list->rows[list->row_count++] = object;
    if (list->row_count == LAYOUT_ROWS_MAX)
        flush_rows(list);
}

void layout_list_flush(struct layout_list *list)
{
    flush_rows(list);
    output_flush();
}

void layout_list_end(struct layout_list *list, const char *empty)
{
    flush_rows(list);
    if (list->total == 0 && empty)
        output_line("%s", empty);
    output_flush(); /* before what is noted about it */
}
