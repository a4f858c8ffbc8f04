/* The status table and the details of a failure. */
#include "base/error.h"

#include "harness.h"

#include <errno.h>
#include <jini/status.h>
#include <stdio.h>

struct row {
    const char *name;
    int value;
    int exit_code;
    int http;
    enum jini_retry retry;
    const char *text;
};

static const struct row rows[] = {
#define ROW(name, value, exit_code, http, retry, text)                                             \
    {#name, value, exit_code, http, JINI_RETRY_##retry, text},
    JINI_STATUS_MAP(ROW)
#undef ROW
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

TEST(every_status_answers_its_row,
     "Name, text, retry class, exit code and HTTP status are those of the table.")
{
    for (size_t i = 0; i < ROWS; i++) {
        CHECK_TEXT(jini_status_name(rows[i].value), rows[i].name);
        CHECK_TEXT(jini_status_text(rows[i].value), rows[i].text);
        CHECK_INT(jini_status_retry(rows[i].value), ==, rows[i].retry);
        CHECK_INT(jini_status_exit_code(rows[i].value), ==, rows[i].exit_code);
        CHECK_INT(jini_status_http(rows[i].value), ==, rows[i].http);
    }
}

TEST(the_table_contradicts_itself_nowhere,
     "Values, names and exit codes are unique; failures are negative and exit with 2 to 125.")
{
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK_INT(rows[i].value, !=, rows[j].value);
            CHECK_INT(rows[i].exit_code, !=, rows[j].exit_code);
            CHECK(strcmp(rows[i].name, rows[j].name) != 0);
        }
        if (rows[i].value == JINI_OK)
            continue;
        CHECK_INT(rows[i].value, <, 0);
        CHECK(rows[i].exit_code >= 2 && rows[i].exit_code <= 125);
        CHECK(rows[i].http >= 400 && rows[i].http <= 599);
        CHECK(strncmp(rows[i].name, "E_", 2) == 0);
    }
}

TEST(pinned_values_stay, "Values that programs have been built with keep their numbers.")
{
    CHECK_INT(JINI_OK, ==, 0);
    CHECK_INT(JINI_E_INVALID, ==, -1);
    CHECK_INT(JINI_E_NOT_FOUND, ==, -2);
    CHECK_INT(JINI_E_IO, ==, -5);
    CHECK_INT(JINI_E_BUSY, ==, -7);
    CHECK_INT(JINI_E_FORKED, ==, -11);
    CHECK_INT(JINI_E_CORRUPT, ==, -13);
    CHECK_INT(JINI_E_LIMITED, ==, -16);
    CHECK_INT(JINI_E_DENIED, ==, -18);
    CHECK_INT(JINI_E_CONFLICT, ==, -20);
    CHECK_INT(JINI_E_ARCHIVE, ==, -28);
    CHECK_INT(JINI_E_NOT_IMAGE, ==, -30);
    CHECK_INT(JINI_E_FUNDS, ==, -31);
}

TEST(unknown_statuses_have_an_answer,
     "A number that is in no row is an unknown failure, never success.")
{
    static const int unknown[] = {1, 42, -1000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_TEXT(jini_status_name(unknown[i]), "E_UNKNOWN");
        CHECK_TEXT(jini_status_text(unknown[i]), "unknown status");
        CHECK_INT(jini_status_retry(unknown[i]), ==, JINI_RETRY_NEVER);
        CHECK_INT(jini_status_exit_code(unknown[i]), ==, 1);
        CHECK_INT(jini_status_http(unknown[i]), ==, 500);
    }
}

TEST(a_failure_carries_field_and_sentence,
     "error_set fills all of the struct and answers the code.")
{
    struct jini_error error;
    memset(&error, 0xAA, sizeof(error));
    CHECK_STATUS(error_set(&error, JINI_E_INVALID, "email", "\"%s\" has no %c", "x", '@'),
                 JINI_E_INVALID);
    CHECK_INT(error.code, ==, JINI_E_INVALID);
    CHECK_UINT(error.reserved, ==, 0);
    CHECK_UINT(error.retry_after_ms, ==, 0);
    CHECK_TEXT(error.field, "email");
    CHECK_TEXT(error.message, "\"x\" has no @");
    static const struct jini_error zero;
    error_clear(&error);
    CHECK_BYTES(&error, &zero, sizeof(error));
}

TEST(nobody_has_to_listen, "Without a struct the code is answered all the same.")
{
    CHECK_STATUS(error_set(NULL, JINI_E_BUSY, "x", "y %d", 1), JINI_E_BUSY);
    CHECK_STATUS(error_set_errno(NULL, ENOSPC, "x", "y %d", 1), JINI_E_FULL);
    error_clear(NULL);
    struct jini_error error;
    error_set(&error, JINI_E_BUSY, NULL, "no field");
    CHECK_TEXT(error.field, "");
}

TEST(long_texts_are_cut_between_characters, "Field and message stay in their room and stay UTF-8.")
{
    char text[2000];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 2] = '\0';
    struct jini_error error;
    error_set(&error, JINI_E_INVALID, text, "%s", text);
    CHECK_UINT(strlen(error.field), ==, JINI_ERROR_FIELD_MAX - 2);
    CHECK_UINT(strlen(error.message), ==, JINI_ERROR_MESSAGE_MAX - 2);
    error_set(&error, JINI_E_INVALID, text, "x%s", text);
    CHECK_UINT(strlen(error.message), ==, JINI_ERROR_MESSAGE_MAX - 1);
    error_set_errno(&error, EIO, "f", "%s", text);
    CHECK_UINT(strlen(error.message), ==, JINI_ERROR_MESSAGE_MAX - 2);
}

/* The field that a path becomes. */
static const char *field_of(const char *path)
{
    static struct jini_error error;
    error_set(&error, JINI_E_IO, path, "cannot be read");
    CHECK_UINT(strlen(error.field), <, JINI_ERROR_FIELD_MAX);
    return error.field;
}

TEST(long_paths_are_cut_in_front,
     "Of a path that is too long the end is kept, from the beginning of a name where there is one.")
{
    char path[200];
    CHECK_TEXT(field_of("/srv/a-service/of-images/with-a-long-name/in-a-folder/more/db/data.mdb"),
               "…/of-images/with-a-long-name/in-a-folder/more/db/data.mdb");
    /* 63 bytes fit, 64 do not. */
    snprintf(path, sizeof(path), "/%061d/", 0);
    CHECK_TEXT(field_of(path), path);
    snprintf(path, sizeof(path), "/%060d/db", 0);
    CHECK_TEXT(field_of(path), "…/db");
    /* A name that leaves no room for the slash before it is cut itself. */
    snprintf(path, sizeof(path), "/srv/%090d", 7);
    CHECK_UINT(strlen(field_of(path)), ==, JINI_ERROR_FIELD_MAX - 1);
    CHECK(strncmp(field_of(path), "…000", 6) == 0);
    CHECK(field_of(path)[JINI_ERROR_FIELD_MAX - 2] == '7');
    snprintf(path, sizeof(path), "/srv/%090d/", 7);
    CHECK(strcmp(field_of(path) + JINI_ERROR_FIELD_MAX - 3, "7/") == 0);
    /* Between characters, wherever the cut falls, and with other bytes replaced. */
    for (int i = 0; i < 4; i++) {
        int length = snprintf(path, sizeof(path), "/%.*s", i, "xxxx");
        for (int k = 0; k < 40; k++)
            length += snprintf(path + length, sizeof(path) - (size_t)length, "é");
        snprintf(path + length, sizeof(path) - (size_t)length, "\xff");
        CHECK(strncmp(field_of(path), "…é", 5) == 0);
        CHECK_CONTAINS(field_of(path), "é?");
    }
}

TEST(what_is_told_already_stays,
     "error_complete() fills in an error that says nothing of the status, and leaves one that "
     "does.")
{
    struct jini_error error = {0};
    CHECK_STATUS(error_complete(&error, JINI_E_BUSY, "f", "reading"), JINI_E_BUSY);
    CHECK_TEXT(error.message, "reading: a bounded resource is in use up to its bound");
    CHECK_STATUS(error_complete(&error, JINI_E_BUSY, "g", "writing"), JINI_E_BUSY);
    CHECK_TEXT(error.field, "f");
    CHECK_STATUS(error_complete(&error, JINI_E_IO, "g", "writing"), JINI_E_IO);
    CHECK_TEXT(error.field, "g");
    CHECK_STATUS(error_complete(NULL, JINI_E_IO, "g", "writing"), JINI_E_IO);
}

TEST(hostile_bytes_become_text,
     "What is no UTF-8 in a field or an argument does not reach the message.")
{
    struct jini_error error;
    error_set(&error, JINI_E_INVALID, "na\xffme", "got \"%s\"", "\xc0\xaf");
    CHECK_TEXT(error.field, "na?me");
    CHECK_TEXT(error.message, "got \"?"
                              "?\"");
}

TEST(a_failure_may_be_told_again,
     "The struct's own texts may be arguments of the next error_set on it.")
{
    struct jini_error error;
    error_set(&error, JINI_E_IO, "path", "write failed");
    error_set(&error, JINI_E_FULL, error.field, "while saving: %s", error.message);
    CHECK_TEXT(error.field, "path");
    CHECK_TEXT(error.message, "while saving: write failed");
}

TEST(errno_is_told_and_mapped, "A failed system call gives its status and the text of its errno.")
{
    struct jini_error error;
    CHECK_STATUS(error_set_errno(&error, ENOSPC, "pack", "cannot append %d bytes", 5), JINI_E_FULL);
    CHECK_TEXT(error.message, "cannot append 5 bytes: No space left on device");
    static const struct {
        int saved_errno;
        int status;
    } map[] = {
        {0, JINI_OK},
        {ENOMEM, JINI_E_NO_MEMORY},
        {ENOSPC, JINI_E_FULL},
        {EDQUOT, JINI_E_FULL},
        {EFBIG, JINI_E_FULL},
        {ENOENT, JINI_E_NOT_FOUND},
        {ENOTDIR, JINI_E_NOT_FOUND},
        {EEXIST, JINI_E_EXISTS},
        {EROFS, JINI_E_READ_ONLY},
        {EMFILE, JINI_E_BUSY},
        {EAGAIN, JINI_E_BUSY},
        {EINVAL, JINI_E_INVALID},
        {EIO, JINI_E_IO},
        {EACCES, JINI_E_IO},
        {99999, JINI_E_IO},
    };
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
        CHECK_STATUS(error_from_errno(map[i].saved_errno), map[i].status);
}

TEST(a_failure_without_errno_is_no_success, "error_set_errno of 0 is E_IO.")
{
    struct jini_error error;
    CHECK_STATUS(error_set_errno(&error, 0, "f", "failed"), JINI_E_IO);
    CHECK_STATUS(error_set_errno(NULL, 0, "f", "failed"), JINI_E_IO);
    CHECK_INT(error.code, ==, JINI_E_IO);
}
