/*
 * Status codes: what a call answers.
 *
 * Every function that can fail returns 0 or one of these negative values. A value is pinned for
 * ever: a code that is no longer used keeps its number. This one table feeds the enum,
 * jini_status_name(), jini_status_text(), the exit codes of the `jini` command, the HTTP statuses
 * of the services and the exceptions of the bindings.
 */
#ifndef JINI_STATUS_H
#define JINI_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define JINI_EXPORT __attribute__((visibility("default")))
#else
#define JINI_EXPORT
#endif

/* What a caller should do with a request that failed. */
enum jini_retry {
    JINI_RETRY_NEVER,   /* the same request will fail again: change it */
    JINI_RETRY_BACKOFF, /* a passing shortage: try again after a pause that grows */
    JINI_RETRY_AFTER,   /* try again when `retry_after_ms` of the error has passed */
    JINI_RETRY_REOPEN   /* this handle is finished: close it, mend the cause, open again */
};

/*
 * X(name, value, exit code of the command line, HTTP status, retry class, text)
 *
 * The text says what happened; what to do about it stands in the message of the request's error.
 */
#define JINI_STATUS_MAP(X)                                                                         \
    X(OK, 0, 0, 200, NEVER, "success")                                                             \
    X(E_INVALID, -1, 2, 400, NEVER, "an argument breaks a rule")                                   \
    X(E_NOT_FOUND, -2, 3, 404, NEVER, "there is no such thing")                                    \
    X(E_EXISTS, -3, 4, 409, NEVER, "it exists already")                                            \
    X(E_NO_MEMORY, -4, 5, 503, BACKOFF, "out of memory")                                           \
    X(E_IO, -5, 6, 500, BACKOFF, "input or output failed")                                         \
    X(E_FULL, -6, 7, 507, BACKOFF, "the disk or the map is full")                                  \
    X(E_BUSY, -7, 8, 503, BACKOFF, "a bounded resource is in use up to its bound")                 \
    X(E_TIMEOUT, -8, 9, 503, BACKOFF, "the deadline passed before the work began")                 \
    X(E_CANCELLED, -9, 10, 503, NEVER, "cancelled")                                                \
    X(E_CLOSED, -10, 11, 503, REOPEN, "the engine is closing or closed")                           \
    X(E_FORKED, -11, 12, 500, REOPEN, "the handle was inherited through fork")                     \
    X(E_POISONED, -12, 13, 500, REOPEN, "the engine met an impossible state and only closes")      \
    X(E_CORRUPT, -13, 14, 500, NEVER, "stored bytes fail their check")                             \
    X(E_FORMAT, -14, 15, 500, NEVER, "the on-disk format is not one that this version reads")      \
    X(E_FORMAT_BUSY, -15, 16, 503, BACKOFF, "a migration waits for processes of the old format")   \
    X(E_LIMITED, -16, 17, 429, AFTER, "a rate limit or quota refused")                             \
    X(E_FORBIDDEN, -17, 18, 403, NEVER, "the tier does not allow it")                              \
    X(E_DENIED, -18, 19, 401, NEVER, "the credentials do not match")                               \
    X(E_TOO_BIG, -19, 20, 413, NEVER, "larger than the bound")                                     \
    X(E_CONFLICT, -20, 21, 409, NEVER, "the thing changed meanwhile")                              \
    X(E_READ_ONLY, -21, 22, 403, NEVER, "opened read-only")                                        \
    X(E_UNSUPPORTED, -22, 23, 501, NEVER, "not supported here")                                    \
    X(E_ON_LOOP, -23, 24, 500, NEVER, "a blocking call on a loop thread")                          \
    X(E_LOCKED, -24, 25, 409, BACKOFF, "another holder has it")                                    \
    X(E_UNREPEATABLE, -25, 26, 500, NEVER, "an operation gave another result when run again")      \
    X(E_IN_USE, -26, 27, 409, NEVER, "something still refers to it")                               \
    X(E_INACTIVE, -27, 28, 403, NEVER, "the account is disabled")                                  \
    X(E_ARCHIVE, -28, 29, 502, BACKOFF, "the archive did not answer as it should")                 \
    X(E_EXPIRED, -29, 30, 410, NEVER, "it has expired")                                            \
    X(E_NOT_IMAGE, -30, 31, 415, NEVER, "the bytes are no image of a known type")                  \
    X(E_FUNDS, -31, 32, 402, NEVER, "there are not enough credits")

enum jini_status {
#define JINI_STATUS_ENUM(name, value, exit_code, http, retry, text) JINI_##name = (value),
    JINI_STATUS_MAP(JINI_STATUS_ENUM)
#undef JINI_STATUS_ENUM
};

/* The name of a status ("E_BUSY"), or "E_UNKNOWN". Static; any thread. */
JINI_EXPORT const char *jini_status_name(int status);

/* The text of a status, or "unknown status". Static; any thread. */
JINI_EXPORT const char *jini_status_text(int status);

/* What to do after a status. JINI_RETRY_NEVER for one that is unknown. Any thread. */
JINI_EXPORT enum jini_retry jini_status_retry(int status);

/* The process exit code that stands for a status: 0 for JINI_OK, 1 for one that is unknown. */
JINI_EXPORT int jini_status_exit_code(int status);

/* The HTTP status that stands for a status: 500 for one that is unknown. */
JINI_EXPORT int jini_status_http(int status);

#ifdef __cplusplus
}
#endif
#endif
