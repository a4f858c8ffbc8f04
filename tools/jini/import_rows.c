/* See import_rows.h. */
#include "import_rows.h"

#include "csv.h"
#include "layout.h"
#include "ledger_args.h"
#include "money.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID, USER, AMOUNT, DATE, FIELDS };

enum { MS_PER_S = 1000 };

static const char *const names[FIELDS] = {"id", "user", "amount", "date"};

void import_rows_tell(struct import_rows *rows, uint64_t line, const char *field, const char *rule)
{
    rows->bad++;
    if (output_is_json())
        output_json(json_pack("{s:s, s:o, s:s, s:o}", "type", "bad_row", "line",
                              layout_number(line), "field", field, "rule", layout_text(rule)));
    else
        output_line("line %llu: %s: %s", (unsigned long long)line, field, rule);
}

/* ---- Fields ---- */

/* Up to 9 digits behind the point, of which three count. */
static const char *take_fraction(const char *text, uint64_t *ms)
{
    unsigned digits = 0;
    uint64_t scale = 100;
    *ms = 0;
    if (*text != '.')
        return text;
    for (text++; *text >= '0' && *text <= '9' && digits < 9; text++, digits++) {
        *ms += scale * (uint64_t)(*text - '0');
        scale /= 10;
    }
    return digits > 0 ? text : NULL;
}

/* ISO 8601 in UTC: a day, or a day and a time. */
static bool parse_date(const char *text, uint64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"};
    struct tm parts = {0};
    const char *end = NULL;
    uint64_t ms = 0;
    for (int i = 0; i < 2 && !end; i++) {
        memset(&parts, 0, sizeof(parts));
        end = strptime(text, forms[i], &parts);
    }
    if (end)
        end = take_fraction(end, &ms);
    else {
        memset(&parts, 0, sizeof(parts));
        end = strptime(text, "%Y-%m-%d", &parts);
    }
    if (!end || (strcmp(end, "") != 0 && strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0))
        return false;
    int day = parts.tm_mday;
    time_t seconds = timegm(&parts);
    *out = (uint64_t)seconds * MS_PER_S + ms;
    return parts.tm_mday == day && seconds > 0;
}

/* Digits are an id; other texts a name or an address. */
static bool find_user(struct command *command, const char *text, uint64_t *out)
{
    struct jini_user user;
    struct jini_error ignored;
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text)) {
        errno = 0;
        *out = strtoull(text, NULL, 10);
        return errno == 0 && jini_user_get(command->jini, *out, &user, &ignored) == 0;
    }
    if (jini_user_find(command->jini, text, &user, &ignored) != 0)
        return false;
    *out = user.id;
    return true;
}

/* The field that is wrong, and why; NULL: none is. */
static const char *take_fields(struct command *command, const struct import_rows *rows,
                               char *const fields[FIELDS], struct import_row *out,
                               const char **rule)
{
    *rule = "a UUID is one, and a number from 1 on";
    if (ledger_parse_id(command, "id", fields[ID], &out->id) != 0)
        return names[ID];
    *rule = "there is no such user";
    if (!find_user(command, fields[USER], &out->user_id))
        return names[USER];
    *rule = "it is no amount of the currency: 15 is one, and so is 15.00";
    if (!money_parse(fields[AMOUNT], &rows->currency, &out->amount))
        return names[AMOUNT];
    *rule = "an amount is more than 0";
    if (out->amount == 0)
        return names[AMOUNT];
    *rule = "it is no time after 1970: 2026-11-30 is one, and so is 2026-11-30T12:00:00Z";
    return parse_date(fields[DATE], &out->at_ms) ? NULL : names[DATE];
}

/* ---- Rows ---- */

static int add_row(struct command *command, struct import_rows *rows, const struct import_row *row)
{
    if (rows->count == IMPORT_ROWS_MAX)
        return command_fail(command, JINI_E_INVALID, "FILE",
                            "it has more than %d rows; import it in parts", IMPORT_ROWS_MAX);
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 1024;
        struct import_row *grown = realloc(rows->rows, capacity * sizeof(*grown));
        if (!grown)
            return command_fail(command, JINI_E_NO_MEMORY, "FILE", "out of memory");
        rows->rows = grown;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = *row;
    return 0;
}

static int take_row(struct command *command, struct import_rows *rows, struct csv *csv,
                    const unsigned places[FIELDS])
{
    struct import_row row = {.line = csv->line};
    char *fields[FIELDS];
    const char *rule;
    if (csv->count == 1 && csv->fields[0][0] == '\0' && !csv->wrong)
        return 0; /* an empty line, as at the end of many files */
    if (csv->wrong || csv->count != FIELDS) {
        import_rows_tell(rows, csv->line, "row", csv->wrong ? csv->wrong : "a row has four fields");
        return 0;
    }
    for (unsigned i = 0; i < FIELDS; i++)
        fields[i] = csv->fields[places[i]];
    const char *field = take_fields(command, rows, fields, &row, &rule);
    if (!field)
        return add_row(command, rows, &row);
    import_rows_tell(rows, csv->line, field, rule);
    return 0;
}

/* Where each field stands. */
static int take_header(struct command *command, struct csv *csv, unsigned places[FIELDS])
{
    unsigned seen = 0;
    bool any = csv_next(csv);
    for (unsigned i = 0; any && i < csv->count && csv->count == FIELDS; i++) {
        for (unsigned name = 0; name < FIELDS; name++) {
            if (strcmp(csv->fields[i], names[name]) != 0)
                continue;
            places[name] = i;
            seen |= 1u << name;
        }
    }
    if (any && !csv->wrong && seen == (1u << FIELDS) - 1)
        return 0;
    return command_fail(command, JINI_E_INVALID, "FILE",
                        "line 1: the header is id,user,amount,date, in any order%s%s",
                        csv->wrong ? "; " : "", csv->wrong ? csv->wrong : "");
}

static int read_all(struct command *command, FILE *file, struct import_rows *rows)
{
    struct csv *csv = malloc(sizeof(*csv));
    unsigned places[FIELDS] = {0};
    if (!csv)
        return command_fail(command, JINI_E_NO_MEMORY, "FILE", "out of memory");
    csv_begin(csv, file);
    int status = take_header(command, csv, places);
    while (status == 0 && !command_is_over() && csv_next(csv))
        status = take_row(command, rows, csv, places);
    if (status == 0 && ferror(file))
        status = command_fail(command, JINI_E_IO, "FILE", "it cannot be read to its end");
    free(csv);
    return status;
}

/* ---- Ids that come twice ---- */

static int by_id(const void *a, const void *b)
{
    const struct import_row *left = a;
    const struct import_row *right = b;
    int order = jini_id_compare(&left->id, &right->id);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static int by_line(const void *a, const void *b)
{
    const struct import_row *left = a;
    const struct import_row *right = b;
    return (left->line > right->line) - (left->line < right->line);
}

static void find_twice(struct import_rows *rows)
{
    if (rows->count == 0)
        return;
    qsort(rows->rows, rows->count, sizeof(rows->rows[0]), by_id);
    for (size_t i = 1; i < rows->count; i++) {
        if (jini_id_compare(&rows->rows[i - 1].id, &rows->rows[i].id) == 0)
            import_rows_tell(rows, rows->rows[i].line, names[ID], "a row before it has the same");
    }
    qsort(rows->rows, rows->count, sizeof(rows->rows[0]), by_line);
}

int import_rows_read(struct command *command, const char *path, struct import_rows *rows)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return command_fail(command, errno == ENOENT ? JINI_E_NOT_FOUND : JINI_E_IO, "FILE",
                            "\"%.200s\" cannot be opened: %s", path, strerror(errno));
    int status = read_all(command, file, rows);
    fclose(file);
    if (status == 0)
        find_twice(rows);
    return status;
}

void import_rows_free(struct import_rows *rows)
{
    free(rows->rows);
    rows->rows = NULL;
}
