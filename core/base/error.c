/* Status texts and error details. */
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    int value;
    int exit_code;
    int http;
    enum jini_retry retry;
    const char *name;
    const char *text;
};

static const struct status_row rows[] = {
#define STATUS_ROW(name, value, exit_code, http, retry, text)                                      \
    {value, exit_code, http, JINI_RETRY_##retry, #name, text},
    JINI_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row *find_row(int status)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value == status)
            return &rows[i];
    }
    return NULL;
}

const char *jini_status_name(int status)
{
    const struct status_row *row = find_row(status);
    return row ? row->name : "E_UNKNOWN";
}

const char *jini_status_text(int status)
{
    const struct status_row *row = find_row(status);
    return row ? row->text : "unknown status";
}

enum jini_retry jini_status_retry(int status)
{
    const struct status_row *row = find_row(status);
    return row ? row->retry : JINI_RETRY_NEVER;
}

int jini_status_exit_code(int status)
{
    const struct status_row *row = find_row(status);
    return row ? row->exit_code : 1;
}

int jini_status_http(int status)
{
    const struct status_row *row = find_row(status);
    return row ? row->http : 500;
}

void error_clear(struct jini_error *error)
{
    if (error)
        memset(error, 0, sizeof(*error));
}

/*
 * A path that is too long is cut in front, at the beginning of a name where one lies in what is
 * kept, since it is the end of a path that tells which file it is.
 */
static void fill_field(char to[JINI_ERROR_FIELD_MAX], const char *field)
{
    static const char cut[] = "\xE2\x80\xA6"; /* … */
    const size_t kept = JINI_ERROR_FIELD_MAX - sizeof(cut);
    size_t length = strlen(field);
    if (length < JINI_ERROR_FIELD_MAX || !strchr(field, '/')) {
        text_copy_utf8(to, JINI_ERROR_FIELD_MAX, field);
        return;
    }
    const char *tail = field + length - kept;
    const char *name = strchr(tail, '/');
    if (name && name[1] != '\0')
        tail = name;
    while (((unsigned char)*tail & 0xC0) == 0x80) /* within a character */
        tail++;
    memcpy(to, cut, sizeof(cut));
    text_copy_utf8(to + sizeof(cut) - 1, kept + 1, tail);
}

/* `field` may be the one that stands in `error` already. */
static void error_fill(struct jini_error *error, int code, const char *field, const char *message)
{
    struct jini_error filled = {.code = code};
    fill_field(filled.field, field ? field : "");
    text_copy_utf8(filled.message, sizeof(filled.message), message);
    *error = filled;
}

int error_set(struct jini_error *error, int code, const char *field, const char *format, ...)
{
    if (!error)
        return code;
    char message[JINI_ERROR_MESSAGE_MAX * 2];
    va_list arguments;
    message[0] = '\0';
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    error_fill(error, code, field, message);
    return code;
}

int error_set_errno(struct jini_error *error, int saved_errno, const char *field,
                    const char *format, ...)
{
    int code = saved_errno ? error_from_errno(saved_errno) : JINI_E_IO;
    if (!error)
        return code;
    char message[JINI_ERROR_MESSAGE_MAX * 2];
    va_list arguments;
    message[0] = '\0';
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof(message)) {
        char reason[128];
        const char *text = strerror_r(saved_errno, reason, sizeof(reason));
        snprintf(message + length, sizeof(message) - (size_t)length, ": %s", text);
    }
    error_fill(error, code, field, message);
    return code;
}

int error_complete(struct jini_error *error, int status, const char *field, const char *what)
{
    if (error && error->code != status)
        error_set(error, status, field, "%s: %s", what, jini_status_text(status));
    return status;
}

int error_from_errno(int saved_errno)
{
    switch (saved_errno) {
    case 0:
        return JINI_OK;
    case ENOMEM:
        return JINI_E_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return JINI_E_FULL;
    case ENOENT:
    case ENOTDIR:
        return JINI_E_NOT_FOUND;
    case EEXIST:
        return JINI_E_EXISTS;
    case EROFS:
        return JINI_E_READ_ONLY;
    case EMFILE:
    case ENFILE:
    case EAGAIN:
        return JINI_E_BUSY;
    case ENAMETOOLONG:
    case EINVAL:
        return JINI_E_INVALID;
    default:
        return JINI_E_IO;
    }
}
