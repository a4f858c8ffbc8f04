/* Errors about files; the field is the path. */
#ifndef JINI_CLI_FILE_ERROR_H
#define JINI_CLI_FILE_ERROR_H

#include <jini/error.h>

/* Fills in `error` and returns `status`. */
int file_error(struct jini_error *error, int status, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for an errno: "cannot be read: Permission denied". Returns the status that fits it. */
int file_error_errno(struct jini_error *error, int number, const char *path, const char *what);

#endif
