/*
 * The archive of an engine, and the requests of this process to it.
 *
 *  1. The archive is opened by the first who needs it, since most processes never do.
 *  2. Every request has a deadline. Those that a thread waits for are known here while they are
 *     under way: jini_cancel() of the request that they serve reaches them, and closing cancels
 *     all. Those without a thread (cold_reads.h) hold a use of the handle, and see to that
 *     themselves. Whatever the archive does, closing waits for nothing but the drivers' threads to
 *     notice.
 *  3. An archive that can no longer say what is durable (JINI_E_POISONED) is let go of and opened
 *     anew by the next who needs it. That is told as JINI_E_ARCHIVE: it is not the engine that is
 *     poisoned.
 *  4. A handle that was let go of is closed when it has no users, by the next who opens one or by
 *     the end of the engine: its last user may be a callback of its own.
 */
#ifndef ENGINE_ARCHIVES_H
#define ENGINE_ARCHIVES_H

#include "archive/archive.h"

#include <jini/request.h>
#include <pthread.h>

struct jini;

struct archives;

struct archive_handle {
    struct archives *archives;
    struct archive *archive;
    uint32_t users;
    struct archive_handle *next; /* of those that were let go of */
};

struct archive_call;

/* Part of an engine. */
struct archives {
    pthread_mutex_t opening; /* held while the archive is being opened; taken before `lock` */
    pthread_mutex_t lock;    /* guards what follows */
    struct archive_handle *handle;
    struct archive_handle *let_go;
    struct archive_call *calls; /* under way */
    bool stopped;
};
void archives_init(struct archives *archives);
void archives_destroy(struct archives *archives); /* closes the archive */

/* Whether archive.url is of a kind that is known. */
int archives_check_option(const struct jini *jini, struct jini_error *error);

/* The path of the directory that archive.url names, there or not; "": it names none. */
int archives_directory(const struct jini *jini, char out[ARCHIVE_URL_MAX],
                       struct jini_error *error);

/*
 * A use of the handle, opened if it is not; for threads that may block. JINI_E_ARCHIVE when there
 * is no archive or it cannot be opened: JINI_E_NOT_FOUND, JINI_E_IO and damage are said of objects
 * alone.
 */
int archives_acquire(struct jini *jini, struct archive_handle **out, struct jini_error *error);

/* The same without keeping it: whether there is one. */
int archives_open(struct jini *jini, struct jini_error *error);

/* A use of the handle if it is open, else NULL. Does not block. */
struct archive_handle *archives_find(struct jini *jini);

/* Ends a use. Any thread, also in a callback of the archive. */
void archives_release(struct archive_handle *handle);

/*
 * How the engine tells what a request to the handle, which is in use, answered: as rule 3 says.
 * Returns the status; `error`, of the request, may change.
 */
int archives_answer(struct archive_handle *handle, int status, struct jini_error *error);

/*
 * Runs a request for `asker` (may be NULL: only closing ends it early) and waits; for threads that
 * may block. It must have a deadline. Errors as of archive_run() and archives_acquire(), but
 * JINI_E_CANCELLED when the engine is being closed, and JINI_E_ARCHIVE for a poisoned archive.
 */
int archives_run(struct jini *jini, struct jini_request *asker, struct archive_request *request,
                 struct jini_error *error);

/*
 * Hands every object under `prefix` to `entry`, page by page, in order. The request that `entry`
 * gets carries `user`. 0, what `entry` returned, or the status of a page.
 */
int archives_walk(struct jini *jini, struct jini_request *asker, struct slice prefix,
                  archive_entry_fn *entry, void *user, struct jini_error *error);

/* Boot time by which a request that moves so many bytes has to be done. */
uint64_t archives_deadline(const struct jini *jini, uint64_t bytes);

/* Cancels what is under way for `asker`. Does not block. */
void archives_cancel(struct jini *jini, const struct jini_request *asker);

/* Cancels what is under way and refuses the rest. Does not block. May be called again. */
void archives_stop(struct jini *jini);

#endif
