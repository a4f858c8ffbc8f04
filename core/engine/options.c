/*
 * Options from code, files and the environment: everything comes from the table in
 * <jini/options.h>.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 64 * 1024, SUGGESTION_DISTANCE_MAX = 4, OPTIONS_PATH_MAX = 4200 };

struct row {
    struct jini_option_info info;
    size_t offset;
};

#define NUMBER_ROW(member, name, value, least, most, text)                                         \
    {{name, "number", NULL, text, NULL, value, least, most}, offsetof(struct jini_options, member)},
#define SWITCH_ROW(member, name, value, text)                                                      \
    {{name, "switch", "no|yes", text, NULL, value, 0, 1}, offsetof(struct jini_options, member)},
#define CHOICE_ROW(member, name, value, choices, text)                                             \
    {{name, "choice", choices, text, NULL, value, 0, 0}, offsetof(struct jini_options, member)},
#define TEXT_ROW(member, name, value, text)                                                        \
    {{name, "text", NULL, text, value, 0, 0, 0}, offsetof(struct jini_options, member)},

static const struct row rows[] = {JINI_OPTION_MAP(NUMBER_ROW, SWITCH_ROW, CHOICE_ROW, TEXT_ROW)};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

const struct jini_option_info *jini_options_info(size_t index)
{
    return index < ROWS ? &rows[index].info : NULL;
}

static uint64_t *number_of(struct jini_options *options, const struct row *row)
{
    return (uint64_t *)(void *)((char *)options + row->offset);
}

static char *text_of(struct jini_options *options, const struct row *row)
{
    return (char *)options + row->offset;
}

void jini_options_init_as(struct jini_options *options, size_t size)
{
    JINI_ASSERT(size == sizeof(*options));
    memset(options, 0, size);
    options->size = (uint32_t)size;
    options->log_level = JINI_LOG_INFO;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].info.default_text)
            text_copy_utf8(text_of(options, &rows[i]), JINI_OPTION_TEXT_MAX,
                           rows[i].info.default_text);
        else
            *number_of(options, &rows[i]) = rows[i].info.default_number;
    }
}

/* Levenshtein's distance, cut at the lengths that option names have. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t columns = strlen(b);
    if (columns >= sizeof(row) / sizeof(row[0]))
        return columns;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t least = row[j] + 1 < row[j + 1] + 1 ? row[j] + 1 : row[j + 1] + 1;
            row[j + 1] = changed < least ? changed : least;
        }
    }
    return row[columns];
}

static int unknown_option(const char *name, struct jini_error *error)
{
    const char *nearest = NULL;
    size_t best = SUGGESTION_DISTANCE_MAX + 1;
    for (size_t i = 0; i < ROWS && strlen(name) < 64; i++) {
        size_t far = distance(name, rows[i].info.name);
        if (far < best) {
            best = far;
            nearest = rows[i].info.name;
        }
    }
    if (nearest)
        return error_set(error, JINI_E_INVALID, name, "there is no option \"%s\"; did you mean %s?",
                         name, nearest);
    return error_set(error, JINI_E_INVALID, name, "there is no option \"%s\"", name);
}

/* Digits, then nothing or one of KiB, MiB, GiB, TiB. */
static bool parse_number(const char *text, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *out = value << units[i].shift;
            return *out >> units[i].shift == value;
        }
    }
    return false;
}

/* The place of `word` in a list of words parted by |. */
static bool find_choice(const char *choices, const char *word, uint64_t *out)
{
    size_t length = strlen(word);
    for (uint64_t index = 0; length > 0; index++) {
        size_t span = strcspn(choices, "|");
        if (span == length && memcmp(choices, word, span) == 0) {
            *out = index;
            return true;
        }
        if (choices[span] == '\0')
            return false;
        choices += span + 1;
    }
    return false;
}

static uint64_t count_choices(const char *choices)
{
    uint64_t count = 1;
    while ((choices = strchr(choices, '|')) != NULL) {
        choices++;
        count++;
    }
    return count;
}

static int set_row(struct jini_options *options, const struct row *row, const char *value,
                   struct jini_error *error)
{
    const struct jini_option_info *info = &row->info;
    uint64_t number;
    if (info->default_text) {
        if (strlen(value) >= JINI_OPTION_TEXT_MAX || !text_is_utf8(slice_of_text(value)))
            return error_set(error, JINI_E_INVALID, info->name,
                             "the text is not UTF-8, or longer than %d bytes",
                             JINI_OPTION_TEXT_MAX - 1);
        memcpy(text_of(options, row), value, strlen(value) + 1);
        return 0;
    }
    if (info->choices) {
        if (!find_choice(info->choices, value, &number))
            return error_set(error, JINI_E_INVALID, info->name, "\"%s\" is not one of %s", value,
                             info->choices);
    } else if (!parse_number(value, &number) || number < info->least || number > info->most) {
        return error_set(error, JINI_E_INVALID, info->name,
                         "\"%s\" is not a whole number from %llu to %llu%s", value,
                         (unsigned long long)info->least, (unsigned long long)info->most,
                         strstr(info->name, "bytes") ? " (KiB, MiB, GiB, TiB may follow)" : "");
    }
    *number_of(options, row) = number;
    return 0;
}

/* Each within its range, memory and passes may be more work together than a hash is allowed. */
static int check_password_cost(const struct jini_options *options, struct jini_error *error)
{
    struct crypto_password_cost cost = {(uint32_t)options->password_memory_kib,
                                        (uint32_t)options->password_passes};
    if (crypto_password_cost_is_taken(cost))
        return 0;
    return error_set(error, JINI_E_INVALID, "password.passes",
                     "%u passes over %u KiB (password.memory_kib) are more than the 4 GiB that a "
                     "hash may go over; lower one of them",
                     cost.passes, cost.memory_kib);
}

int options_check(const struct jini_options *options, struct jini_error *error)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct jini_option_info *info = &rows[i].info;
        const char *member = (const char *)options + rows[i].offset;
        if (info->default_text) {
            if (!memchr(member, '\0', JINI_OPTION_TEXT_MAX) || !text_is_utf8(slice_of_text(member)))
                return error_set(error, JINI_E_INVALID, info->name,
                                 "the text is not UTF-8, or longer than %d bytes",
                                 JINI_OPTION_TEXT_MAX - 1);
            continue;
        }
        uint64_t number;
        memcpy(&number, member, sizeof(number));
        uint64_t most = info->choices ? count_choices(info->choices) - 1 : info->most;
        if (number < info->least || number > most)
            return error_set(error, JINI_E_INVALID, info->name, "%llu is not from %llu to %llu",
                             (unsigned long long)number, (unsigned long long)info->least,
                             (unsigned long long)most);
    }
    return check_password_cost(options, error);
}

int jini_options_set(struct jini_options *options, const char *name, const char *value,
                     struct jini_error *error)
{
    error_clear(error);
    if (!name || !value)
        return error_set(error, JINI_E_INVALID, name ? name : "name",
                         "an option has a name and a value, and neither is NULL");
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].info.name, name) == 0)
            return set_row(options, &rows[i], value, error);
    }
    return unknown_option(name, error);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

static int set_line(struct jini_options *options, char *line, const char *path, unsigned number,
                    struct jini_error *error)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *equals = strchr(line, '=');
    if (!equals)
        return error_set(error, JINI_E_INVALID, path, "line %u is not \"name = value\"", number);
    *equals = '\0';
    struct jini_error cause;
    int status = jini_options_set(options, trim(line), trim(equals + 1), &cause);
    if (status)
        error_set(error, status, cause.field, "%s, line %u: %s", path, number, cause.message);
    return status;
}

static int read_file(const char *path, char *text, size_t capacity, struct jini_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, path, "cannot open the options");
    size_t length = 0;
    ssize_t taken;
    while ((taken = read(fd, text + length, capacity - length)) != 0) {
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0)
            break;
        length += (size_t)taken;
        if (length == capacity)
            break;
    }
    int saved_errno = errno;
    close(fd);
    if (taken < 0)
        return error_set_errno(error, saved_errno, path, "cannot read the options");
    if (length == capacity)
        return error_set(error, JINI_E_TOO_BIG, path, "the options are longer than %d bytes",
                         FILE_BYTES_MAX);
    text[length] = '\0';
    if (!text_is_utf8(slice_of(text, length)))
        return error_set(error, JINI_E_INVALID, path, "the options are not UTF-8 text");
    return 0;
}

int jini_options_load(struct jini_options *options, const char *path, struct jini_error *error)
{
    error_clear(error);
    if (!path)
        return error_set(error, JINI_E_INVALID, "path", "a path is needed, and not NULL");
    char *text = base_malloc(FILE_BYTES_MAX + 1);
    if (!text)
        return error_set(error, JINI_E_NO_MEMORY, path, "out of memory");
    int status = read_file(path, text, FILE_BYTES_MAX + 1, error);
    char *line = text;
    for (unsigned number = 1; status == 0 && line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        status = set_line(options, line, path, number, error);
        line = end ? end + 1 : NULL;
    }
    base_free(text);
    return status;
}

int jini_options_environment(struct jini_options *options, struct jini_error *error)
{
    error_clear(error);
    for (size_t i = 0; i < ROWS; i++) {
        char name[96];
        int length = snprintf(name, sizeof(name), "JINI_%s", rows[i].info.name);
        for (int c = 0; c < length; c++)
            name[c] = name[c] == '.' ? '_' : (char)toupper((unsigned char)name[c]);
        const char *value = getenv(name);
        if (!value)
            continue;
        struct jini_error cause;
        int status = set_row(options, &rows[i], value, &cause);
        if (status)
            return error_set(error, status, rows[i].info.name, "environment %s: %s", name,
                             cause.message);
    }
    return 0;
}

int jini_options_read(struct jini_options *options, const char *directory, struct jini_error *error)
{
    char path[OPTIONS_PATH_MAX];
    jini_options_init(options);
    if (!directory || directory[0] == '\0')
        return error_set(error, JINI_E_INVALID, "directory", "it is missing");
    int length = snprintf(path, sizeof(path), "%s/jini.conf", directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(error, JINI_E_INVALID, "directory", "longer than %d bytes",
                         OPTIONS_PATH_MAX - (int)sizeof("/jini.conf"));
    int status = jini_options_load(options, path, error);
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    return jini_options_environment(options, error);
}
