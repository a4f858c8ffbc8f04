/*
 * Object stores behind one interface. An archive holds immutable objects under names; a driver says
 * where: a directory (dir.h), another archive with faults in between (fault.h), and others that
 * speak to a network.
 *
 * What every driver promises, and its caller relies on:
 *
 * 1. An object is stored whole or not at all: nobody ever sees a part of one.
 * 2. A PUT that answered 0 is durable. One that answered JINI_E_EXISTS changed nothing, and the
 *    object that stands there is durable. After any other answer the object may be there or not;
 *    to know, PUT again, and read back what stands there if the answer is JINI_E_EXISTS. That
 *    GET, HEAD or LIST show an object does not say that it is durable.
 * 3. No PUT replaces an object. The caller never uses a name again, not even after a DELETE.
 * 4. A request that was taken calls back exactly once, later, on a thread of the driver.
 * 5. Nothing grows without end: the queue, the threads and the memory of an archive are bounded
 *    when it is opened.
 *
 * Names are checked by name.h. They form a tree, as paths do: no name may be the beginning of
 * another one up to a '/'. A driver may refuse the second of such a pair with JINI_E_CONFLICT;
 * callers must not rely on it.
 *
 * Unless it says otherwise, a function here may be called on any thread, and no string is kept
 * after it returned.
 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "archive/name.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"

#include <jini/error.h>
#include <stdatomic.h>

struct archive;
struct archive_request;

enum archive_operation {
    ARCHIVE_PUT,
    ARCHIVE_GET,
    ARCHIVE_HEAD,
    ARCHIVE_LIST,
    ARCHIVE_DELETE,
    ARCHIVE_OPERATIONS
};

enum {
    ARCHIVE_EXTENTS_MAX = 65536, /* pieces of one PUT's body */
    ARCHIVE_PAGE_MAX = 1000,     /* entries of one LIST */
    ARCHIVE_URL_MAX = 4096
};

/* Bytes of one object. It is what S3 takes in a single PUT, so every driver can store it. */
#define ARCHIVE_OBJECT_BYTES_MAX (UINT64_C(5) << 30)

/* A GET's length: as far as the object goes. */
#define ARCHIVE_TO_END UINT64_MAX

enum archive_mode {
    ARCHIVE_OPEN_EXISTING, /* refuse what is not an archive yet: a disk that is not mounted, a wrong
                              path */
    ARCHIVE_CREATE,        /* make the archive when it is not there; its parent directory must be */
    ARCHIVE_CREATE_NEW     /* the same, and refuse one that is there */
};

struct archive_options {
    const struct jini_clock
        *clock; /* for deadlines and the age of temporaries; must outlive the archive */
    enum archive_mode mode;
    uint32_t threads;          /* 1 to 4: workers of a driver that has its own */
    uint32_t queue_max;        /* 1 to 4096: requests that wait; one more answers JINI_E_BUSY */
    uint64_t temporary_age_ms; /* 0 to 30 days: temporaries younger than this are not collected */
};

/* clock_system, ARCHIVE_OPEN_EXISTING, 2 threads, 64 waiting requests, 10 minutes. */
void archive_options_init(struct archive_options *options);

/*
 * Opens the archive that `url` names, "SCHEME:REST":
 *
 *     dir:///srv/archive   dir:/srv/archive   dir:archive (relative)    core/archive/dir.h
 *     fault:every=5:dir:archive                                        core/archive/fault.h
 *
 * The rest is taken literally: nothing is unescaped. `options` (NULL: the defaults) is copied.
 * `*out` is NULL after a failure. Blocks for the driver's own check, and for the removal of
 * temporaries.
 *
 * JINI_E_INVALID: the URL or an option breaks a rule, or the path holds something else than an
 * archive. JINI_E_NOT_FOUND: there is no archive. JINI_E_EXISTS: there is one, and a new one was
 * wanted. JINI_E_FORMAT: a newer version made it.
 * JINI_E_NO_MEMORY, JINI_E_IO, JINI_E_FULL, JINI_E_READ_ONLY: as the file system says.
 */
int archive_open(const char *url, const struct archive_options *options, struct archive **out,
                 struct jini_error *error);

/* JINI_E_INVALID: the URL is of no kind that archive_open() knows. Looks at nothing else. */
int archive_check_url(const char *url, struct jini_error *error);

/*
 * Refuses new requests with JINI_E_CLOSED, cancels those that wait, and lets those that run finish.
 * Does not block. Every request still calls back; when the last one has, archive_close() does not
 * block either. May be called again.
 */
void archive_stop(struct archive *archive);

/*
 * Stops the archive, waits until every request has called back, and frees it. Takes NULL. Not from
 * inside a callback; on the thread that runs a driver's loop only after archive_stop() and the last
 * callback. In a child after fork it frees what belongs to the child; requests of the parent do not
 * call back there.
 */
void archive_close(struct archive *archive);

/* A stretch of a PUT's body. */
struct archive_extent {
    enum archive_extent_kind { ARCHIVE_EXTENT_MEMORY, ARCHIVE_EXTENT_FILE } kind;
    int fd;             /* FILE: read by position; its own position does not move */
    uint64_t offset;    /* FILE */
    uint64_t length;    /* of both */
    const void *memory; /* MEMORY; NULL when `length` is 0 */
};

static inline struct archive_extent archive_memory(const void *memory, size_t length)
{
    return (struct archive_extent){
        .kind = ARCHIVE_EXTENT_MEMORY, .fd = -1, .length = length, .memory = memory};
}

static inline struct archive_extent archive_file(int fd, uint64_t offset, uint64_t length)
{
    return (struct archive_extent){
        .kind = ARCHIVE_EXTENT_FILE, .fd = fd, .offset = offset, .length = length};
}

/* An object as LIST sees it; `name` is borrowed for the length of the callback. */
struct archive_entry {
    struct slice name;
    uint64_t size;
    uint64_t modified_ms; /* since 1970, by the clock of the store */
};

/*
 * All three are called on a thread of the driver, must not block for long, and must not call
 * archive_run(), archive_wait() or archive_close(). A sink and an entry function return 0 to go on;
 * anything else ends the request with that status. `piece` is borrowed for the length of the call.
 */
typedef void archive_done_fn(struct archive_request *request);
typedef int archive_sink_fn(struct archive_request *request, struct slice piece);
typedef int archive_entry_fn(struct archive_request *request, const struct archive_entry *entry);

/*
 * PUT: stores the extents, one after the other, under a name that is not in use. Extents, memory
 * and files are borrowed until the callback. Gives `size` and `checksum` of what was stored.
 */
struct archive_put {
    const struct archive_extent *extents;
    uint32_t extent_count; /* 0 to ARCHIVE_EXTENTS_MAX; none is an object of 0 bytes */
};

/*
 * GET: reads `length` bytes from `offset` on, in order, into `buffer` or through `sink` (exactly
 * one). An object that ends before the range does, or before a range to its end begins, answers
 * JINI_E_CORRUPT; an object of 0 bytes read from 0 to its end is good. Gives `bytes` delivered,
 * their `checksum`, and `size` of the object. After a failure, what was delivered means nothing.
 */
struct archive_get {
    uint64_t offset;
    uint64_t length; /* at least 1, or ARCHIVE_TO_END */
    uint8_t *buffer;
    size_t capacity; /* of `buffer`; more bytes than this answer JINI_E_TOO_BIG */
    archive_sink_fn *sink;
};

/*
 * LIST: hands out, in the order of their bytes, the names that begin with the request's `name` (a
 * prefix, see name.h; empty for all) and come after `cursor`, at most `entries_max` of them.
 * `cursor` (NULL: from the start) moves on to each name handed out, so that the next page is the
 * same request again, also after a failure. Gives `entries` handed out, and `more` when there may
 * be another page. An object is listed if it was there before the request and is there after it; of
 * others it may be one or the other.
 */
struct archive_list {
    archive_entry_fn *entry;
    uint32_t entries_max; /* 1 to ARCHIVE_PAGE_MAX */
    struct archive_name *cursor;
};

/*
 * A request, owned by the caller and pinned from submit to callback. All zero but for the first
 * part. It may be used again after its callback.
 *
 * HEAD gives `size` and `modified_ms`. DELETE of an object that is not there answers 0, and also
 * makes that durable; a reader that has begun may finish.
 */
struct archive_request {
    /* Set by the caller. */
    enum archive_operation operation;
    struct slice name;     /* borrowed until the callback */
    uint64_t deadline_ns;  /* by `boot_ns` of the clock; 0: none */
    archive_done_fn *done; /* NULL: somebody calls archive_wait() */
    void *user;
    union {
        struct archive_put put;
        struct archive_get get;
        struct archive_list list;
    };

    /* Set before the callback. */
    int status;
    bool more;               /* LIST */
    uint32_t entries;        /* LIST */
    uint64_t size;           /* PUT, GET, HEAD */
    uint64_t bytes;          /* GET */
    uint64_t modified_ms;    /* GET, HEAD */
    struct hash128 checksum; /* PUT, GET */
    struct jini_error error;

    /* Of the archive and its driver. */
    struct {
        struct archive_request *next;
        struct archive_request *previous;
        void *driver;
        uint64_t submitted_ns;
        _Atomic uint32_t state;
        _Atomic bool cancelled;
        uint8_t queue;
    } internal;
};

/*
 * Hands a request to the archive. After an error there is no callback and `request->error` says
 * why:
 *
 * JINI_E_INVALID: the request breaks a rule. JINI_E_TOO_BIG: a body over ARCHIVE_OBJECT_BYTES_MAX.
 * JINI_E_BUSY: the queue is full; wait for one of the callbacks. JINI_E_CLOSED: after
 * archive_stop(). JINI_E_FORKED: the archive was opened by the parent of this process.
 * JINI_E_NO_MEMORY.
 *
 * What a request can answer, beside what its operation says: JINI_E_NOT_FOUND (GET, HEAD: no such
 * object), JINI_E_EXISTS and JINI_E_CONFLICT (PUT), JINI_E_CORRUPT (PUT: a file of the body ends
 * early), JINI_E_CANCELLED, JINI_E_TIMEOUT (the deadline passed, in the queue or while running;
 * looked at between pieces, so it comes as late as one piece takes), JINI_E_FULL (nothing was
 * stored), JINI_E_READ_ONLY, JINI_E_IO, JINI_E_BUSY (out of file descriptors), JINI_E_NO_MEMORY,
 * JINI_E_UNSUPPORTED, JINI_E_ARCHIVE (the store answered against its own rules), JINI_E_POISONED
 * (PUT, DELETE: the store can no longer say what is durable; open it anew).
 */
int archive_submit(struct archive *archive, struct archive_request *request);

/*
 * Asks for the end of a request that has been submitted. Best effort: it answers JINI_E_CANCELLED,
 * or as if this had not been called. A request that has called back is left alone, as long as its
 * memory is there.
 */
void archive_cancel(struct archive *archive, struct archive_request *request);

/*
 * Blocks until a request without `done`, which has been submitted, is finished; returns its status.
 * JINI_E_ON_LOOP: called inside a callback; the request goes on.
 */
int archive_wait(struct archive *archive, struct archive_request *request);

/*
 * Submits a request and waits for it; for threads that may block. `done` is ignored. Returns its
 * status; `error` (may be NULL) gets its details. JINI_E_ON_LOOP: called inside a callback; nothing
 * was submitted.
 */
int archive_run(struct archive *archive, struct archive_request *request, struct jini_error *error);

/*
 * What the archive did since it was opened; a snapshot whose numbers may be a moment apart. Failed
 * are all answers but 0, JINI_E_NOT_FOUND, JINI_E_EXISTS and JINI_E_CANCELLED. `bytes` are those of
 * bodies stored or delivered by requests that answered 0; `busy_ns` sums the time from submit to
 * answer.
 */
struct archive_statistics {
    struct archive_operation_statistics {
        uint64_t finished;
        uint64_t failed;
        uint64_t bytes;
        uint64_t busy_ns;
    } operations[ARCHIVE_OPERATIONS];
    uint64_t refused;               /* submits that failed */
    uint64_t outstanding;           /* requests that have not called back */
    uint64_t temporaries_collected; /* left behind by processes that died */
};
void archive_statistics(struct archive *archive, struct archive_statistics *out);

/* "put", "get", "head", "list", "delete". Static. */
const char *archive_operation_name(enum archive_operation operation);

/* The URL that the archive was opened with. Lives as long as the archive. */
const char *archive_url(const struct archive *archive);

#endif
