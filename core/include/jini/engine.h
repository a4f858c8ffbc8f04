/*
 * The engine: opening and closing, loops, transactions of the caller's own, copies, figures.
 */
#ifndef JINI_ENGINE_H
#define JINI_ENGINE_H

#include <jini/id.h>
#include <jini/options.h>
#include <jini/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open database in this process. May be used by any number of threads. */
struct jini;

/* "0.1.0". Static. */
JINI_EXPORT const char *jini_version(void);

/*
 * Opens the database in the directory `path`. `options` is copied, and no file or environment is
 * read beside it; NULL: those of jini_options_read(), which reads both. Several processes may have
 * one database open; one process opens it once. Blocks: usually a few milliseconds; longer for a
 * migration, or behind one (store.migrate_wait_ms); up to ten seconds for the write lock, where
 * something has to be made. A database opens on a full disk too, if need be without a table of rate
 * limits: limits.when_full answers until there is room for one. Where the file `reserve` cannot be
 * made for another reason, it is JINI_E_IO with that, and store.reserve_bytes=0 opens without. When
 * it fails while the database is open, a record of the log and the figure store_reserve_errno tell,
 * and new work goes on: a disk that runs full then keeps nothing back for releases.
 *
 * In a callback or a function of jini_write() that run on a thread of an engine it is
 * JINI_E_ON_LOOP. On a thread whose loop is attached to another engine it is taken, since nobody
 * but the caller knows whether that loop is to turn meanwhile: programs open several databases one
 * after the other before they run their loop.
 *
 * With `read_only` the database may lie on read-only media, be mounted read-only, or belong to a
 * user who gives no right but to read. Where this process may not write the files by which
 * processes know of each other, none of those who write would keep what it reads. So it opens only
 * while nobody else has the database open, and when somebody opens it later, everything is answered
 * with JINI_E_POISONED from then on; what was answered before is sound.
 *
 * JINI_E_NOT_FOUND    no database there and `create` is 0; "packs": there was one, as below
 * JINI_E_EXISTS       "packs": with `create`, packs and no data.mdb: records are lost that are not
 *                     to be begun anew beside them
 * JINI_E_UNSUPPORTED  a network or overlay filesystem
 * JINI_E_LOCKED       open already in this process, by processes of another PID namespace, by one
 *                     that writes with a store.sync that does not go together with this one's, or,
 *                     for a process that may not write, by any other
 * JINI_E_FORMAT       written by a newer version; JINI_E_FORMAT_BUSY: older processes are still at
 *                     work
 * JINI_E_BUSY         64 processes have it open, or one stands still in its own opening or with the
 *                     write lock, while something has to be made or migrated; the error names it
 * JINI_E_INVALID      an option; `error.field` names it: archive.url of no kind that is known, and
 *                     anonymous.tier that is no tier of this database, among others
 * JINI_E_ON_LOOP      see above
 * JINI_E_CORRUPT, JINI_E_IO, JINI_E_FULL, JINI_E_NO_MEMORY
 */
JINI_EXPORT int jini_open(struct jini **out, const char *path, const struct jini_options *options,
                          struct jini_error *error);

typedef void jini_close_callback(void *context);

/*
 * Closes the engine: new work is refused with JINI_E_CLOSED, queued requests come back with
 * JINI_E_CANCELLED, running ones finish, or end with it out of a request to the archive, all
 * callbacks are called, then the handle is freed and `callback` is called, on the caller's attached
 * loop, which is detached by that, else on a thread of its own. Without a callback it blocks. Takes
 * NULL. In a child after fork it frees nothing.
 *
 * What the engine itself still writes then, the end of packs and unused user ids, is left out when
 * another process keeps the write lock for longer than store.close_wait_ms, as one that was stopped
 * does: the next run of tiering makes up for it.
 *
 * Requests are counted: closing waits for each, also for those that block other threads. Calls
 * without a request (jini_read(), jini_limit_check(), jini_user_get(), jini_copy(), jini_metrics(),
 * jini_cancel() and all others that take no callback) are not counted: the caller ends them on all
 * threads before it calls this. One that is running already is not waited for and would use what is
 * freed. One that begins while the engine closes, as in a callback that brings a request back, is
 * refused with JINI_E_CLOSED; only jini_health(), jini_detach() and jini_cancel() look at the
 * handle without that check. The handle lives until the last of those callbacks has returned;
 * nothing may be called on it afterwards.
 *
 *   JINI_E_BUSY       loops of other threads are attached; detach them first
 *   JINI_E_ON_LOOP    no callback on a loop thread, or in a callback of this engine, which closing
 *                     would wait for, be its loop detached or not
 *   JINI_E_CLOSED     closing already
 *   JINI_E_NO_MEMORY  with a callback: the thread that closes cannot be started
 * After these errors the handle is as it was.
 */
JINI_EXPORT int jini_close(struct jini *jini, jini_close_callback *callback, void *context);

/*
 * Makes an id, larger than all that this handle has made before. Any thread; also after fork.
 */
JINI_EXPORT void jini_id_make(struct jini *jini, struct jini_id *out);

/* 0, or JINI_E_POISONED or JINI_E_FORKED with the reason. Any thread. */
JINI_EXPORT int jini_health(const struct jini *jini, struct jini_error *error);

/* ---- Loops ----------------------------------------------------------------------------------- */

struct uv_loop_s;

/*
 * Attaches a libuv loop: requests that are submitted on this thread from now on come back on this
 * loop. Call it on the thread that runs the loop. The engine keeps one handle on the loop, which
 * keeps it running only while requests of it are under way. JINI_E_EXISTS: this thread has a loop
 * attached already.
 */
JINI_EXPORT int jini_attach(struct jini *jini, struct uv_loop_s *loop, struct jini_error *error);

/*
 * Detaches the loop of this thread. JINI_E_BUSY: requests submitted on it are under way.
 * JINI_E_NOT_FOUND: none is attached. The handle is closed by the loop's next turn, so run the loop
 * once more before closing it.
 */
JINI_EXPORT int jini_detach(struct jini *jini);

/* ---- Transactions of the caller's own -------------------------------------------------------- */

/*
 * A function of a transaction. In jini_write() it may run more than once before it counts: it must
 * give the same writes and the same result each time, take time and random values from its
 * argument, do no input or output, and read and check before it writes. It returns 0, or a negative
 * status that undoes all that it wrote.
 *
 * Calls of the engine join it in their forms jini_txn_*(), which stand beside the ones that they
 * are a form of and differ from them only in this:
 *
 *     static int close_account(struct jini_txn *txn, void *argument)
 *     {
 *         struct closing *closing = argument;
 *         int status = jini_txn_user_set(txn, &closing->set);
 *         if (status == 0)
 *             status = jini_txn_release(txn, &closing->release);
 *         return status ? status : jini_txn_put(txn, closing->key, ...);
 *     }
 *
 *  - Those that write take the struct of the request, filled in and made ready by
 *    jini_request_init(); they use its `status` and `error` and what it gives back, and no deadline
 *    or callback. They belong to functions of jini_write(): on a snapshot they are
 *    JINI_E_READ_ONLY ("txn"). Those that read work in both, and see what the transaction wrote.
 *  - One that fails leaves nothing in the transaction, and the function may go on. If it answers
 *    with the status of the call, the error of jini_write() or jini_read() is that of the call.
 *  - What they give back is written at each run. It counts once the transaction has committed: of
 *    one that was undone it tells nothing.
 *  - Time is that of jini_write(), the same in all of them.
 *  - Rate limits that jini_txn_release() gives back are given back after the commit.
 *  - A limits text inside of a transaction names no time zone, since that is looked up in a file:
 *    JINI_E_INVALID.
 *
 * Not there are those that need more than records: jini_admit(), whose rate limits are charged
 * before its transaction, jini_limit_reset(), jini_image_put() and jini_image_get(), which work on
 * files, jini_login() and jini_password_set(), which hash. A call without a transaction in such a
 * function, as jini_user_get(), reads what was committed before it.
 *
 * `txn` is the function's until it returns, and belongs to its thread.
 */
typedef int jini_txn_fn(struct jini_txn *txn, void *argument);

/*
 * Runs a function in a durable transaction, on the engine's writer thread, together with what other
 * threads write: the caller's own records and calls of the engine commit or fail as one.
 * Result: what `function` returned, with the error of the call that failed or the field "function";
 * JINI_E_UNREPEATABLE with store.run_twice.
 */
struct jini_write {
    struct jini_request request;
    jini_txn_fn *function;
    void *argument;    /* borrowed until the request comes back */
    uint32_t bytes;    /* about how much it writes, 1,024 for each call; 0: 256 */
    uint32_t releases; /* 1: it deletes or gives back, and may use the reserve of a full disk */
};
JINI_EXPORT int jini_write(struct jini *jini, struct jini_write *write, jini_callback *callback);

/*
 * Runs a function on a snapshot, on the calling thread, and returns its result. Keep it to a few
 * milliseconds: an open snapshot keeps old pages from being used again. JINI_E_BUSY:
 * store.readers_max are open.
 */
JINI_EXPORT int jini_read(struct jini *jini, jini_txn_fn *function, void *argument,
                          struct jini_error *error);

/*
 * The caller's own records: keys of 1 to 400 bytes, ordered by memcmp, values of 0 to 65,536 bytes.
 * They share nothing with the engine's. Pointers are borrowed for the call. One write changes at
 * most 262,144 keys, and puts at most 64 MiB of keys and values.
 *
 * jini_txn_get: copies up to `capacity` bytes; `length` gets the length of the value.
 *   JINI_E_NOT_FOUND; JINI_E_TOO_BIG: it does not fit, and nothing was copied.
 * jini_txn_put: JINI_E_READ_ONLY on a snapshot; JINI_E_TOO_BIG: a bound from above, which the error
 *   of the request names; JINI_E_INVALID: an empty key.
 * jini_txn_delete: JINI_E_NOT_FOUND.
 */
JINI_EXPORT int jini_txn_get(struct jini_txn *txn, const void *key, size_t key_length, void *value,
                             size_t capacity, size_t *length);
JINI_EXPORT int jini_txn_put(struct jini_txn *txn, const void *key, size_t key_length,
                             const void *value, size_t value_length);
JINI_EXPORT int jini_txn_delete(struct jini_txn *txn, const void *key, size_t key_length);

/*
 * Called for each record of a scan; the pointers are borrowed for the call. Non-zero ends the scan
 * with that value.
 */
typedef int jini_visit_fn(void *argument, const void *key, size_t key_length, const void *value,
                          size_t value_length);

/* The range of a scan: keys from `low` (included) to `high` (excluded); NULL: no bound. */
struct jini_range {
    const void *low;
    size_t low_length;
    const void *high;
    size_t high_length;
    uint32_t backward; /* 1: from the end */
    uint32_t reserved;
};
JINI_EXPORT int jini_txn_scan(struct jini_txn *txn, const struct jini_range *range,
                              jini_visit_fn *visit, void *argument);

/*
 * A number larger than every one given in every commit before this one, by any process, for the
 * whole life of the database: the key of a log. Write transactions only.
 */
JINI_EXPORT int jini_txn_stamp(struct jini_txn *txn, uint64_t *out);

/* ---- Copies and figures ---------------------------------------------------------------------- */

enum jini_copy_form {
    JINI_COPY_COMPACT, /* without free pages, in new order: as small as can be; plain all the same
                          where this process may not write in the directory of the database */
    JINI_COPY_PLAIN    /* page by page, free ones included: faster, and laid out as the original */
};

/*
 * Copies the records of a database in use (not the image bytes: jini_backup() in backup.h copies
 * all) to the new file `path`, synced. What cp(1) makes of the file of a live database is damaged;
 * this is of one moment. To use it, put it into a directory as data.mdb. There it is a copy, which
 * deletes nothing from an archive, since its original may need it: jini_archive_adopt() in
 * archive.h.
 *
 * Blocks for as long as the disk takes: on a thread whose loop is attached to this engine, in a
 * callback and in a function of a transaction it is JINI_E_ON_LOOP.
 *
 * The file appears when it is whole. It is written as PATH.jini-partial; a process that is killed
 * over it leaves that, and the next copy to the same path takes it over.
 *
 * One snapshot is open for as long as it takes. Meanwhile no page is used again that writes of any
 * process free, so that the database grows as it does beside a reader that never ends; and in this
 * process a write that needs a larger map (store.map_bytes) is JINI_E_BUSY until the copy is done.
 *
 * JINI_E_EXISTS: there is something at `path`, or at PATH.jini-partial what no copy of this user's
 * has left there; the error names it, and it is left alone. JINI_E_BUSY: another copy to `path` is
 * under way, or no snapshot is free. JINI_E_INVALID, JINI_E_FULL, JINI_E_IO.
 */
JINI_EXPORT int jini_copy(struct jini *jini, const char *path, enum jini_copy_form form,
                          struct jini_error *error);

/*
 * Writes figures as Prometheus text (exposition format 0.0.4) into `text`, with NUL, and their
 * length without it to `length`. JINI_E_TOO_BIG: `length` says what is needed. Any thread; a few
 * milliseconds (it walks the list of free pages).
 */
JINI_EXPORT int jini_metrics(struct jini *jini, char *text, size_t capacity, size_t *length,
                             struct jini_error *error);

enum { JINI_PROCESSES_MAX = 64 };

/* A live process that has the database open. */
struct jini_process {
    int32_t pid;
    uint32_t holds_write_lock; /* 1: it writes now */
    uint32_t waits_for_write_lock;
    uint32_t reserved;
    uint64_t lock_ms;    /* how long it has held the lock, or waited for it */
    uint64_t started_ms; /* since 1970 */
    char name[48];
};

/*
 * Lists the live processes of the database; JINI_PROCESSES_MAX is always enough. Never waits. Any
 * thread.
 */
JINI_EXPORT int jini_processes(struct jini *jini, struct jini_process *out, size_t capacity,
                               size_t *count);

#ifdef __cplusplus
}
#endif
#endif
