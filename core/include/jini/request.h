/*
 * Requests: how work is given to an engine and comes back.
 *
 * A request is a struct of the caller's that begins with a struct jini_request. The caller fills it
 * in, hands it to the function of its name, and leaves it alone until it comes back:
 *
 *     struct jini_user_add add;
 *     jini_request_init(&add);
 *     snprintf(add.user.username, sizeof(add.user.username), "alice");
 *     status = jini_user_add(jini, &add, NULL);             blocks until done
 *     status = jini_user_add(jini, &add, on_user_added);    returns at once
 *
 *  - With a callback, a function that returns an error never calls it; one that returns 0 calls it
 *    exactly once, later, never from inside the function. `request.status` then holds the result.
 *  - The callback runs on the loop that the submitting thread has attached (jini_attach()), else on
 *    the engine's own loop thread. It may submit further requests; it must not block.
 *  - Without a callback the function blocks and returns the result, which also stands in
 *    `request.status`. On a loop thread that is the error JINI_E_ON_LOOP.
 *  - What a request points to is borrowed until it comes back. What it returns lies in the struct
 *    itself.
 *  - `request.error` tells what failed, in either form.
 *
 * Any thread may submit. A request may be used again after it came back, without a new init.
 *
 * Errors of every request, beside its own:
 *   JINI_E_INVALID    a member breaks a rule, as a flag that is unknown does; `error.field` names
 *                     it. Or the request is under way: then nothing of it is touched, and only the
 *                     function's result tells
 *   JINI_E_BUSY       a queue is full, or as many snapshots are open as may be: slow down and try
 *                     again; `error.field` names the option that bounds it
 *   JINI_E_TIMEOUT    its deadline passed while it waited; nothing was done. What waits for the
 *                     writer, a thread or the archive comes back within about a second of it, also
 *                     while they are at work for long; an image that waits to be written to a pack,
 *                     when those before it have been. `error` names what it waited for, and the
 *                     process that has the write lock if that has had it for long
 *   JINI_E_CANCELLED  jini_cancel() or jini_close() came first; nothing was done
 *   JINI_E_FULL       disk or map are down to the reserve; `error` says which, and by how much
 *   JINI_E_NO_MEMORY, JINI_E_IO, JINI_E_CLOSED, JINI_E_FORKED, JINI_E_POISONED, JINI_E_READ_ONLY
 */
#ifndef JINI_REQUEST_H
#define JINI_REQUEST_H

#include <jini/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jini;
struct jini_request;
struct jini_txn; /* see jini_write() */

typedef void jini_callback(struct jini_request *request);

enum { JINI_REQUEST_VERSION = 1 };

struct jini_request {
    uint32_t size;       /* of the whole struct; set by jini_request_init() */
    uint32_t version;    /* JINI_REQUEST_VERSION; set by jini_request_init() */
    void *data;          /* the caller's; never touched */
    uint32_t timeout_ms; /* from submit until work must have begun; 0: the option
                            request.timeout_ms */
    int32_t status;      /* the result */
    struct jini_error error;
    void *reserved[40]; /* the engine's while it has the request */
};

/* Makes any request struct ready: all zero, but for size and version. */
#define jini_request_init(pointer) jini_request_init_as(&(pointer)->request, sizeof(*(pointer)))
JINI_EXPORT void jini_request_init_as(struct jini_request *request, size_t size);

/*
 * Asks for a request back. Best effort: one that still waits comes back with JINI_E_CANCELLED, as
 * soon as a late one does and at once where it waits for a thread or the archive; one that runs
 * finishes, but for jini_verify(), jini_archive_run() and jini_backup(), which end early, also out
 * of a request to the archive. Its callback comes in either case, later. Does nothing for a request
 * that is not submitted. Any thread; the struct stays until this has returned, though the request
 * may come back before.
 */
JINI_EXPORT void jini_cancel(struct jini *jini, struct jini_request *request);

#ifdef __cplusplus
}
#endif
#endif
