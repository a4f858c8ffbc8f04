/* Building a struct jini_error where a failure is found. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <jini/error.h>
#include <stdbool.h>

/*
 * Fills `error` (may be NULL) with `code`, the field and a sentence made as by printf, and returns
 * `code`, so that a failure reads `return error_set(error, JINI_E_INVALID, "email", "...")`.
 */
int error_set(struct jini_error *error, int code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * The same for a failed system call: the text of `saved_errno` follows the sentence. Maps errno to
 * a status; 0 is JINI_E_IO, so that a failure without a reason is not taken for success.
 */
int error_set_errno(struct jini_error *error, int saved_errno, const char *field,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Fills `error` (may be NULL) with `what` and the text of `status`, unless it says something of
 * that status already, and returns `status`.
 */
int error_complete(struct jini_error *error, int status, const char *field, const char *what);

/*
 * The status for an errno: ENOSPC and EDQUOT are JINI_E_FULL, ENOMEM is JINI_E_NO_MEMORY, and so
 * on.
 */
int error_from_errno(int saved_errno);

void error_clear(struct jini_error *error);

/* What was read is damaged, or of a version that this one does not know. */
static inline bool status_is_damage(int status)
{
    return status == JINI_E_CORRUPT || status == JINI_E_FORMAT;
}

#endif
