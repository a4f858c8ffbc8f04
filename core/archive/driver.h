/*
 * What a driver is, and what archive.c does for it. Only drivers include this.
 *
 * archive.c checks requests, counts them, and keeps the contract of submit, wait, stop and close; a
 * driver does the work. For each request that its `submit` took, a driver calls archive_complete()
 * exactly once, later and never from inside `submit`, `cancel` or `stop`, holding no lock of its
 * own.
 */
#ifndef ARCHIVE_DRIVER_H
#define ARCHIVE_DRIVER_H

#include "archive/archive.h"

#include <pthread.h>

struct archive_driver {
    const char *scheme;
    size_t size; /* of the driver's struct, which begins with a struct archive */

    /* Opens what stands behind "scheme:" in the URL. After a failure nothing is left behind.
     * Blocks. */
    int (*open)(struct archive *archive, const char *rest, struct jini_error *error);

    /* Takes a request that has been checked, or refuses it (JINI_E_BUSY, JINI_E_NO_MEMORY). Any
     * thread. */
    int (*submit)(struct archive *archive, struct archive_request *request);

    /* `internal.cancelled` of a request that may have finished meanwhile was set: hurry. Any
     * thread. */
    void (*cancel)(struct archive *archive, struct archive_request *request);

    /* No submit follows: cancel what waits. Any thread; may be called again. */
    void (*stop)(struct archive *archive);

    /*
     * Frees what `open` took. Nothing is outstanding; a thread of the driver may still be on its
     * way out of archive_complete(). After fork (archive_is_forked()) the threads are not there and
     * no lock may be taken.
     */
    void (*close)(struct archive *archive);
};

struct archive_counter {
    _Atomic uint64_t finished;
    _Atomic uint64_t failed;
    _Atomic uint64_t bytes;
    _Atomic uint64_t busy_ns;
};

/* The part that all drivers have in common, at the beginning of their struct. */
struct archive {
    const struct archive_driver *driver;
    struct archive_options options;
    char *url;
    uint32_t fork_generation;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a request is finished, or `outstanding` fell */
    uint64_t outstanding;   /* under `lock` */
    bool stopping;          /* under `lock` */

    struct archive_counter counters[ARCHIVE_OPERATIONS];
    _Atomic uint64_t refused;
    _Atomic uint64_t temporaries_collected;
};

extern const struct archive_driver archive_dir_driver;
extern const struct archive_driver archive_fault_driver;

/* The handle is the parent's and this process its child. */
bool archive_is_forked(const struct archive *archive);

/*
 * 0, or with `request->error` filled JINI_E_CANCELLED or JINI_E_TIMEOUT: what a driver asks before
 * it begins with a request, and between the pieces of its work.
 */
int archive_interrupted(const struct archive *archive, struct archive_request *request);

/* Hands a piece of a GET to the request's sink; a status that is not 0 ends the request. */
int archive_give_piece(struct archive_request *request, struct slice piece);

/* Hands an entry of a LIST to the caller, counts it and moves the cursor. */
int archive_give_entry(struct archive_request *request, const struct archive_entry *entry);

/*
 * Ends a request: status, statistics, callback. The results and, after a failure, the error must be
 * in the request. The request may be gone on return, and the archive too if it was the last one.
 */
void archive_complete(struct archive *archive, struct archive_request *request, int status);

#endif
