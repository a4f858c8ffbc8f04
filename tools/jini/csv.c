/* See csv.h. */
#include "csv.h"

#include <string.h>

enum state { FIELD_BEGINS, IN_FIELD, IN_QUOTES, BEHIND_QUOTES };

void csv_begin(struct csv *csv, FILE *file)
{
    static const int mark[] = {0xef, 0xbb, 0xbf};
    memset(csv, 0, sizeof(*csv));
    csv->file = file;
    for (unsigned i = 0; i < 3; i++) {
        int c = getc(file);
        if (c == mark[i])
            continue;
        if (c != EOF)
            ungetc(c, file);
        if (i > 0) /* what looked like one is text, which no header is */
            csv->wrong = "the file is no UTF-8";
        return;
    }
}

static void set_wrong(struct csv *csv, const char *why)
{
    if (!csv->wrong)
        csv->wrong = why;
}

/* What is longer than a record may be is read to its end, and thrown away. */
static void put(struct csv *csv, size_t *used, int c)
{
    if (c == '\0')
        set_wrong(csv, "there is a NUL in it");
    if (*used < sizeof(csv->bytes))
        csv->bytes[(*used)++] = (char)c;
    else
        set_wrong(csv, "the record is longer than 8,192 bytes");
}

static void begin_field(struct csv *csv, size_t used)
{
    if (csv->count < CSV_FIELDS_MAX && used < sizeof(csv->bytes))
        csv->fields[csv->count++] = csv->bytes + used;
    else
        set_wrong(csv, "the record has more than 32 fields");
}

/* A byte of a record that is neither a comma nor its end. */
static enum state take(struct csv *csv, size_t *used, enum state state, int c)
{
    if (state == FIELD_BEGINS && c == '"')
        return IN_QUOTES;
    if (state == IN_QUOTES && c == '"')
        return BEHIND_QUOTES;
    if (state == BEHIND_QUOTES && c == '"') {
        put(csv, used, '"');
        return IN_QUOTES;
    }
    if (state == BEHIND_QUOTES) {
        set_wrong(csv, "there is text behind the quote that ends a field");
        return BEHIND_QUOTES;
    }
    if (state != IN_QUOTES && c == '"')
        set_wrong(csv, "there is a quote in a field that does not begin with one");
    csv->lines += c == '\n';
    put(csv, used, c);
    return state == FIELD_BEGINS ? IN_FIELD : state;
}

/* CRLF; a CR alone belongs to the field. */
static bool is_end(struct csv *csv, int c)
{
    if (c == '\n' || c == EOF)
        return true;
    if (c != '\r')
        return false;
    int next = getc(csv->file);
    if (next == '\n')
        return true;
    if (next != EOF)
        ungetc(next, csv->file);
    return next == EOF;
}

bool csv_next(struct csv *csv)
{
    enum state state = FIELD_BEGINS;
    size_t used = 0;
    int c = getc(csv->file);
    if (c == EOF)
        return false;
    if (csv->lines > 0)
        csv->wrong = NULL;
    csv->line = csv->lines + 1;
    csv->count = 0;
    begin_field(csv, used);
    for (;; c = getc(csv->file)) {
        if (state == IN_QUOTES && c == EOF) {
            set_wrong(csv, "a quoted field has no end");
            break;
        }
        if (state != IN_QUOTES && is_end(csv, c))
            break;
        if (state != IN_QUOTES && c == ',') {
            if (used < sizeof(csv->bytes))
                csv->bytes[used++] = '\0';
            begin_field(csv, used);
            state = FIELD_BEGINS;
        } else {
            state = take(csv, &used, state, c);
        }
    }
    csv->lines++;
    csv->bytes[used < sizeof(csv->bytes) ? used : sizeof(csv->bytes) - 1] = '\0';
    if (used == sizeof(csv->bytes))
        set_wrong(csv, "the record is longer than 8,192 bytes");
    return !ferror(csv->file);
}
