/*
 * Storing many files with a bounded number of them under way, so that their writes share syncs.
 *
 *               read, probe         admitted            stored
 *   FREE --------------> ADMITTING ---------> PUTTING ---------> FREE
 *    ^                     |    ^               |   ^
 *    |      refused        |    | busy          |   | busy
 *    |<--------------------'  WAITING           |  WAITING
 *    |                                          | failed
 *    `--------------- RELEASING <---------------'
 *
 * 1. At most `window` files are in memory, and no further one is read while they have
 *    WINDOW_BYTES_MAX.
 * 2. A job that was admitted is settled by its put, in one transaction, or released: whatever
 *    failed, and after a signal too. What kill -9 leaves is given back when the job's lease ends;
 *    a command that was stopped for longer than that admits anew what it lost by it.
 * 3. Every file that was begun is reported once.
 */
#ifndef JINI_CLI_PUT_WINDOW_H
#define JINI_CLI_PUT_WINDOW_H

#include "file.h"

#include <jini/jini.h>

/* How one file ended. Borrowed for the callback, which runs on the main thread. */
struct put_outcome {
    size_t index; /* in the list of files */
    const char *path;
    int status;              /* 0: stored */
    struct jini_error error; /* why not */
    struct jini_image image; /* when it was stored; else what was found by looking at it */
    struct jini_id job_id;   /* all zero: without admission, or refused */
    uint64_t bytes;          /* of the file, as far as it was read */
};
typedef void put_report_fn(void *context, const struct put_outcome *outcome);

/* What is to be stored, and how. */
struct put_plan {
    struct jini *jini;
    const struct file_list *files;
    uint64_t user_id;
    bool admits;                       /* false: an import */
    bool seed_of_file;                 /* parameters.seed is only for files that name none */
    struct jini_parameters parameters; /* width and height: at least the file's own */
    const char *prompt;
    const char *negative;
    uint64_t image_bytes_max;
    uint32_t lease_ms; /* of each job; 0: by the options */
    unsigned window;   /* 1 to 64 */
    put_report_fn *report;
    void (*tick)(void *context); /* ten times a second or so */
    void *context;
};

/*
 * Stores the files. Returns 0 when every file was begun, else the status that makes going on
 * useless, in `error` too (full disk, disabled user), or JINI_E_CANCELLED after a signal. What each
 * file became goes to the reports.
 */
int put_window_run(const struct put_plan *plan, struct jini_error *error);

#endif
