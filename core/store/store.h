/*
 * The store: an ordered, transactional key-value store. All durable state but image bytes goes
 * through it.
 *
 * Keys are tuples (base/tuple.h) of 1 to 400 bytes, values 0 to 65,536 bytes, in numbered spaces
 * (spaces.h).
 *
 * Writing. A write is an op: a function of a transaction. Any thread submits ops to a bounded
 * queue; one writer thread per process runs many of them in one transaction, syncs once and
 * completes each with its own status (group commit). An op may run more than once before it counts,
 * so it
 *   - takes time, ids and random bytes from its argument,
 *   - does no I/O, takes no lock and touches no memory that other threads see,
 *   - writes its results into its argument afresh at each run,
 *   - reads and checks first and writes after.
 * An op that fails leaves nothing behind, whenever it fails. With `run_twice`, the default of debug
 * builds, every op is run, rolled back and run again, and is JINI_E_UNREPEATABLE when the two runs
 * differ in what they write or answer. What they leave in the argument is not compared: the store
 * knows neither its size nor what in it is a result and what is a pointer or room to work in.
 *
 * Reading. Any thread opens a snapshot, reads what it needs and ends it: snapshots never wait for
 * the writer, and an old one keeps dead pages from being used again, so scans over many keys go
 * through store_each().
 *
 * Order. store_stamp() gives numbers that strictly increase in commit order over all processes and
 * for the whole life of the database: they are the keys of logs.
 */
#ifndef STORE_H
#define STORE_H

#include "base/bytes.h"
#include "base/log.h"
#include "store/spaces.h"

#include <jini/clock.h>
#include <jini/error.h>
#include <jini/id.h>

enum {
    STORE_KEY_MAX = 400,
    STORE_VALUE_MAX = 65536,
    STORE_OP_KEYS_MAX = 262144,    /* writes of one op */
    STORE_OP_BYTES_MAX = 64 << 20, /* their keys and values, summed: what its memory depends on */
    STORE_CHANGE_WORDS = 4096,
    STORE_OVERLAYS_MAX = 4, /* open at once in one op */
    STORE_NAME_MAX = 48,
    STORE_PROCESSES_MAX = 64,   /* that have one database open */
    STORE_READERS_MAX = 512,    /* what readers_max may be */
    STORE_OPEN_WAIT_MS = 10000, /* how long opening waits for a turn to write */
};

struct store;
struct store_txn;

/* "users" and so on. Static. */
const char *store_space_name(enum store_space space);

/*
 * What a power loss may take. A crash of the process alone takes nothing in any mode. Processes of
 * the modes FULL and META may write side by side; beside them NONE is refused, and beside NONE they
 * are. Who opens read-only is beside anybody.
 */
enum store_sync {
    STORE_SYNC_FULL, /* nothing that was acknowledged */
    STORE_SYNC_META, /* the newest commits (LMDB's MDB_NOMETASYNC); what is left is whole */
    STORE_SYNC_NONE  /* everything since the system last wrote by itself; the file may be damaged */
};

enum store_driver {
    STORE_DRIVER_LMDB,
    STORE_DRIVER_MEMORY /* for tests: one process, nothing survives */
};

/*
 * One step from format `from` to `from` + 1. `step` is an op that does a bounded piece of the work:
 * `cursor_in` is empty at first and then what the step before it put into `cursor_out`; a step that
 * leaves `cursor_out` empty was the last. A crash in between loses at most the step that ran.
 */
struct store_migration {
    uint32_t from;
    const char *name;
    int (*step)(struct store_txn *txn, struct slice cursor_in, struct buffer *cursor_out);
};

struct store_format {
    uint32_t version;     /* the format that this build reads and writes */
    uint32_t version_min; /* the oldest that it can migrate */
    const struct store_migration *migrations;
    uint32_t migration_count;
};

struct store_options {
    enum store_driver driver;
    const char *directory;    /* of the database; copied. Unused by the memory driver */
    const char *process_name; /* shown to operators beside the pid; copied */
    enum store_sync sync;
    bool create;                    /* make the directory when it is missing */
    bool read_only;                 /* no writer; see below where nothing may be written at all */
    bool at_rest;                   /* read_only, of a copy that nobody else knows of: no locks */
    bool allow_unsafe_filesystem;   /* open on network and overlay filesystems */
    bool run_twice;                 /* see above */
    uint64_t map_bytes;             /* address space reserved at open; 0: 256 GiB, 1 GiB under a
                                       sanitizer, but no more than map_bytes_max */
    uint64_t map_bytes_max;         /* growth stops here */
    uint64_t reserve_bytes;         /* of disk and of map, kept for ops of class STORE_RELEASE */
    uint32_t readers_max;           /* snapshots open at once in this process; 2 KiB each */
    uint32_t queue_ops_max;         /* ops that wait; more is JINI_E_BUSY */
    uint64_t queue_bytes_max;       /* their `bytes`, summed; more is JINI_E_BUSY */
    uint32_t batch_ops_max;         /* ops of one commit */
    uint64_t batch_bytes_max;       /* bytes written by one commit */
    uint32_t batch_run_ms;          /* time that one commit's ops may run */
    uint32_t gate_wait_ms;          /* how long growth of the map waits for running readers */
    uint32_t migrate_wait_ms;       /* how long a migration waits for processes of the old format */
    const struct jini_clock *clock; /* borrowed while the store is open; NULL: the system's */
    struct log log;
    const struct store_format *format; /* borrowed while the store is open */
};

/*
 * Reading. With `read_only` a process registers like any other where it may write the file
 * `processes`, and its snapshots hold beside writers. On read-only media, through a read-only mount
 * and as a user who may only read, it cannot, and nobody who writes would see it. So it opens only
 * while no other process has the database open, and is poisoned as soon as one comes: what it has
 * answered by then is sound. A get or a step of a scan that runs just when the other one writes its
 * first commits may meet pages that these have written over, and LMDB, which trusts them, may end
 * this process then. So nobody is to open a database for writing that is looked on at.
 */

/* Fills in the defaults. `directory` and `format` stay for the caller to set. */
void store_options_init(struct store_options *options);

/*
 * Opens a database, creating, migrating and registering as needed. Blocks: up to migrate_wait_ms
 * for a migration's wait, for the migration itself, and up to STORE_OPEN_WAIT_MS for a turn to
 * write where there is something to make or to migrate.
 *   JINI_E_NOT_FOUND    there is no database and `create` is false
 *   JINI_E_UNSUPPORTED  a network or overlay filesystem; move it, or set allow_unsafe_filesystem
 *   JINI_E_LOCKED       open already in this process, by processes of another PID namespace, by one
 *                       whose sync mode does not go together with this one's, or by any at all when
 *                       this one may not write
 *   JINI_E_FORMAT       written by a newer version
 *   JINI_E_FORMAT_BUSY  older processes are alive; the error names them
 *   JINI_E_INVALID      an option out of its range; the error names it
 *   JINI_E_CORRUPT      the data file is damaged; restore a copy
 *   JINI_E_BUSY         STORE_PROCESSES_MAX have it open, or one stands still in its own opening,
 *                       or with the write lock while this one has something to write
 *   JINI_E_IO, JINI_E_FULL, JINI_E_NO_MEMORY, JINI_E_READ_ONLY
 */
int store_open(const struct store_options *options, struct store **out, struct jini_error *error);

/*
 * The first step of closing: from now on the writer waits for its turn for `wait_ms` at most, in
 * all and not for each write. What is queued by then, and what is submitted later while the turn is
 * not to be had, completes with JINI_E_CANCELLED: a process that was stopped with the lock may keep
 * it for ever. Any thread.
 */
void store_bound_wait(struct store *store, uint32_t wait_ms);

/*
 * Stops the writer after the batch that it runs and completes what waits with JINI_E_CANCELLED.
 * Each `done` has returned then. Reading goes on; a write is refused with JINI_E_CLOSED. Takes
 * NULL; once or more. Not on the writer's thread and not in a `done`.
 */
void store_stop(struct store *store);

/*
 * Stops the writer after the batch that it runs, completes what waits with JINI_E_CANCELLED, and
 * frees the store. No snapshot may be open and no call may be running. In a child after fork it
 * frees nothing.
 */
void store_close(struct store *store);

/* 0, or why nothing but closing works any more (JINI_E_POISONED, JINI_E_FORKED). Any thread. */
int store_health(const struct store *store, struct jini_error *error);

/* Puts the store into the poisoned state, after `reason` was found to be impossible. Any thread. */
void store_poison(struct store *store, const char *reason);

/*
 * True while what the store keeps of the disk for ops of class STORE_RELEASE is whole. Then what is
 * free beside it may be taken; else it is what is left of that. Any thread.
 */
bool store_reserve_is_whole(const struct store *store);

/*
 * Housekeeping that wants to run about once a second, on any one thread, which is not the writer's
 * and not in a `done`: completes queued writes that are late or cancelled, which nobody else does
 * while a batch runs long; stale readers, reserve, registry.
 */
void store_tick(struct store *store);

/* ---- Writing --------------------------------------------------------------------------------- */

typedef int store_op_fn(struct store_txn *txn, void *argument);

enum store_class {
    STORE_NEW_WORK, /* refused with JINI_E_FULL when disk or map are down to the reserve */
    STORE_RELEASE   /* gives back, settles, renews, deletes or expires: may use the reserve */
};

/* A write request. Owned by the caller and left alone by it from submit until `done` is called. */
struct store_write {
    store_op_fn *op;
    void *argument;
    /*
     * Called once, when `status` is final: on the writer thread, or, for a write that was late or
     * cancelled in the queue, in store_tick() while the writer may be running others. May submit;
     * must not block.
     */
    void (*done)(struct store_write *write);
    /*
     * Boot time; 0: none. Still queued then: JINI_E_TIMEOUT, at once while the writer is between
     * batches or waits for its turn, else at the next tick.
     */
    uint64_t deadline_ns;
    uint32_t bytes; /* what the op is likely to write; counted against queue_bytes_max */
    enum store_class class;
    /*
     * The op's own, or what kept it from being committed: JINI_E_TIMEOUT or _CANCELLED while it was
     * queued, _FULL, _BUSY (the map could not grow: a snapshot was open for too long),
     * _UNREPEATABLE, _NO_MEMORY, _TOO_BIG, _CORRUPT, _POISONED. Nothing is written then, but after
     * JINI_E_POISONED it may be found there when the database is opened again.
     */
    int status;

    /* What waited already when store_submit() answered JINI_E_BUSY. */
    uint32_t queue_ops;
    uint64_t queue_bytes;

    /* Private to the store. */
    struct store_write *next;
    struct store_write *previous;
    uint64_t digest;
    uint64_t first_digest;
    int first_status;
    _Atomic int state; /* changes under the store's lock, but for its end */
};

/*
 * Queues a write. After 0, `done` is called exactly once, later; after an error, never. Any thread.
 * JINI_E_BUSY: the queue is full, the write says how. JINI_E_TOO_BIG: `bytes` alone is over
 * queue_bytes_max. JINI_E_READ_ONLY. JINI_E_CLOSED. JINI_E_POISONED. JINI_E_FORKED.
 */
int store_submit(struct store *store, struct store_write *write);

/*
 * Takes a write out of the queue, if it still waits there: it completes with JINI_E_CANCELLED, soon
 * as a late one does, and not in this call. Any thread.
 */
void store_cancel(struct store *store, struct store_write *write);

/*
 * Runs an op and waits for its commit. Returns the op's status. JINI_E_ON_LOOP: called from an op
 * or from `done`.
 */
int store_write(struct store *store, store_op_fn *op, void *argument);
int store_write_class(struct store *store, store_op_fn *op, void *argument, enum store_class class);
int store_write_until(struct store *store, store_op_fn *op, void *argument, enum store_class class,
                      uint64_t deadline_ns);

/*
 * store_write() for what opening a database writes, in the store and above it. JINI_E_BUSY: the
 * turn to write did not come for STORE_OPEN_WAIT_MS, and `error` names the process that has it;
 * `error` is left alone otherwise.
 */
int store_write_at_open(struct store *store, store_op_fn *op, void *argument,
                        struct jini_error *error);

/* ---- Reading --------------------------------------------------------------------------------- */

/*
 * Opens a snapshot of the newest commit. Any thread; ended by store_read_end() on any thread.
 * Short: a few milliseconds. JINI_E_BUSY: readers_max are open, or the map is being resized for
 * longer than the bound.
 */
int store_read_begin(struct store *store, struct store_txn **out);

/* The same; a refusal is said in words, with option and number. After 0 `error` is as it was. */
int store_read_begin_explained(struct store *store, struct store_txn **out,
                               struct jini_error *error);
void store_read_end(struct store_txn *txn);

/* ---- In a transaction ------------------------------------------------------------------------ */

/*
 * Copies a value. `value` is emptied first. JINI_E_NOT_FOUND. JINI_E_TOO_BIG: it does not fit the
 * buffer. JINI_E_CORRUPT, JINI_E_IO: the database is damaged.
 */
int store_get(struct store_txn *txn, enum store_space space, struct slice key,
              struct buffer *value);

/* 0 when the key is there, else JINI_E_NOT_FOUND. */
int store_has(struct store_txn *txn, enum store_space space, struct slice key);

/* One lookup of store_get_many(). */
struct store_lookup {
    enum store_space space;
    struct slice key;
    struct buffer value;
    int status; /* as of store_get() */
};
void store_get_many(struct store_txn *txn, struct store_lookup *lookups, size_t count);

/*
 * Writes or replaces a value. JINI_E_TOO_BIG: key, value, or what the op writes in all is over its
 * bound, and store_explain() tells which. JINI_E_INVALID: an empty key. JINI_E_READ_ONLY: a
 * snapshot. Other errors fail the whole op whatever it returns.
 */
int store_put(struct store_txn *txn, enum store_space space, struct slice key, struct slice value);

/* Deletes a key. JINI_E_NOT_FOUND: it was not there. */
int store_delete(struct store_txn *txn, enum store_space space, struct slice key);

/*
 * After a write of the op was JINI_E_TOO_BIG: fills `error` with the bound. Leaves it alone where
 * none was. Returns JINI_E_TOO_BIG.
 */
int store_explain(const struct store_txn *txn, struct jini_error *error);

enum store_direction { STORE_FORWARD, STORE_BACKWARD };

/*
 * A scan over the keys from `low` (included) to `high` (excluded; empty: no bound), in order or
 * from the end. It may run beside writes of its own transaction and sees them.
 */
struct store_cursor {
    struct store_txn *txn;
    enum store_space space;
    enum store_direction direction;
    struct slice
        key; /* of the entry that store_cursor_next() found; borrowed until the next call */

    /* Private. */
    void *driver_cursor;
    uint64_t seen_writes;
    bool started;
    size_t low_length;
    size_t high_length;
    size_t key_length;
    uint8_t low[STORE_KEY_MAX];
    uint8_t high[STORE_KEY_MAX];
    uint8_t key_bytes[STORE_KEY_MAX];
};

int store_cursor_open(struct store_txn *txn, enum store_space space, struct slice low,
                      struct slice high, enum store_direction direction, struct store_cursor *out);

/*
 * The next entry: its key into the cursor, its value into `value` (emptied first; NULL: not
 * wanted). JINI_E_NOT_FOUND after the last. JINI_E_TOO_BIG: the value does not fit; the cursor has
 * moved on to it.
 */
int store_cursor_next(struct store_cursor *cursor, struct buffer *value);
void store_cursor_close(struct store_cursor *cursor);

/*
 * The next commit stamp: larger than every stamp of every commit before this one, in any process.
 * Close to nanoseconds since 1970, but ordered by commit and never by clock. Write transactions
 * only.
 */
int store_stamp(struct store_txn *txn, uint64_t *out);

/*
 * An overlay collects the writes that follow, so that a group of steps inside an op can be undone:
 * kept, they go to the overlay below or to the database; discarded, they never were. Overlays nest;
 * reads see through them. What an op leaves open is discarded. JINI_E_TOO_BIG: STORE_OVERLAYS_MAX
 * are open. JINI_E_READ_ONLY: a snapshot. Other errors fail the whole op whatever it returns.
 */
int store_overlay_begin(struct store_txn *txn);
int store_overlay_keep(struct store_txn *txn);
void store_overlay_discard(struct store_txn *txn);

/* ---- Change words ---------------------------------------------------------------------------- */

/*
 * Caches of what is stored stay valid while their change word stands still. A word is even while no
 * commit that touches its things runs, and odd from before such a commit until after it.
 *
 *   filling: word = store_change_word(w); if it is odd, do not cache; read on a snapshot opened
 *            after that; keep the word with the copy
 *   using:   the copy holds while store_change_word(w) equals the word kept with it
 *
 * A process killed in the middle leaves the word odd, which only makes others read the store, until
 * the next writer of any process sets it right.
 */
uint64_t store_change_word(const struct store *store, uint32_t word);

/*
 * In an op: the commit changes things whose caches hang on this word (0 to STORE_CHANGE_WORDS - 1).
 */
void store_mark_changed(struct store_txn *txn, uint32_t word);

/* ---- Signals --------------------------------------------------------------------------------- */

/*
 * A shared word as a signal of commits, over all processes: who waits for something in the store
 * need not look again and again.
 *
 *   waiting:  seen = store_signal_seen(w); read on a snapshot opened after that; where there is
 *             nothing, store_signal_wait(w, seen), and from the beginning
 *
 * A process that is killed right after its commit leaves the signal to the next commit of any
 * process, so that who waits looks by itself every STORE_SIGNAL_LOOK_MS as well.
 */
enum { STORE_SIGNAL_LOOK_MS = 5000 };

/* In an op: once it has committed, those who wait for the word are woken. */
void store_signal(struct store_txn *txn, uint32_t word);

/* The same at once, outside of any op. Any thread. */
void store_signal_now(struct store *store, uint32_t word);

uint32_t store_signal_seen(struct store *store, uint32_t word);

/*
 * Waits until the signal is another than `seen`, for up to `wait_ms`; may return early. Any thread
 * but the writer's.
 */
void store_signal_wait(struct store *store, uint32_t word, uint32_t seen, uint64_t wait_ms);

/* ---- Processes ------------------------------------------------------------------------------- */

/*
 * This process in the table of those that have the database open. Alive means: it holds a kernel
 * file lock.
 */
struct store_process {
    uint32_t slot;
    uint32_t incarnation; /* of the slot: never used again */
};
struct store_process store_self(const struct store *store);
bool store_process_alive(struct store *store, struct store_process process);

/* Words that all processes share, for the neighbours; zero in a new registry. */
enum {
    STORE_SHARED_LIMITS = 0,  /* generation of the limits table */
    STORE_SHARED_SEALS = 1,   /* grows when all processes are asked to seal their packs */
    STORE_SHARED_SIGNALS = 2, /* this one and those behind it are signals, see above */
    STORE_SHARED_EVENTS = STORE_SHARED_SIGNALS, /* events were appended */
    STORE_SHARED_QUEUE = 3,                     /* jobs came into the queue for workers */
    STORE_SHARED_WORDS = 16
};
_Atomic uint64_t *store_shared_word(struct store *store, uint32_t index);

/* ---- Copies and scans in slices -------------------------------------------------------------- */

enum store_copy_form {
    STORE_COPY_COMPACT, /* entry by entry, without free pages; but who may write nothing beside the
                           database (see store_options) makes a plain one */
    STORE_COPY_PLAIN    /* page by page, as the file lies there: faster */
};

/*
 * Whether the database lies in its home, the file that it was made in or that was made its home by
 * store_make_home(), rather than in a copy of that (home.c). A file that is moved within its file
 * system stays what it is. What lies elsewhere and may be the original's, a copy must not delete.
 */
enum store_place {
    STORE_PLACE_HOME,
    STORE_PLACE_OTHER,  /* a copy, or it was moved to another file system or machine */
    STORE_PLACE_UNKNOWN /* what tells it is damaged, or was never written */
};

struct store_home {
    enum store_place place;
    struct jini_id lineage; /* of the database and all its copies; zero where that is not known */
};

/* JINI_E_IO, JINI_E_BUSY and others of a read: the place is unknown. */
int store_home(struct store *store, struct store_home *out);

/* For verify. JINI_E_CORRUPT: the row cannot be read. 0 also where there is none. */
int store_home_check(struct store_txn *txn);

/* In an op: the database lies in its home from now on. Its lineage stays. */
int store_make_home(struct store_txn *txn);

/*
 * Copies a snapshot of the database into the new file `path` while it is in use, synced with its
 * directory. The file appears when it is whole: it is written under the name PATH.jini-partial,
 * which a copy that was killed leaves, and the next one to the same path takes over. One snapshot
 * is open for as long as it takes; meanwhile pages that commits free are not used again, so that
 * the file grows, and where this process would have to grow the map, a write is JINI_E_BUSY.
 *
 * JINI_E_EXISTS: `path`; or what lies under the name of the partial file is not what a copy leaves,
 * a regular file of this user that nobody else may open, and it is left alone. JINI_E_BUSY: another
 * copy to `path` is under way; or no snapshot is free, or the map is being grown, try again.
 * JINI_E_FULL, JINI_E_IO. What failed leaves no file.
 */
int store_copy(struct store *store, const char *path, enum store_copy_form form,
               struct jini_error *error);

/*
 * Gives the copy `from`, a file of the same file system that is synced, the place of the data file
 * of the database in `directory`, or makes it the first there, and syncs the directory. Nobody may
 * have that database open, and nobody opens it meanwhile. `is_known` (may be NULL) is asked then,
 * with a data file in place: false keeps that, with JINI_E_CONFLICT.
 *
 * JINI_E_IN_USE: a process has the database open; the error names it. JINI_E_EXISTS: somebody made
 * a first data file meanwhile. Errors of opening a database, JINI_E_IO, JINI_E_FULL. After an error
 * the old data file is in its place, but after a failed sync it may be either.
 */
typedef bool store_is_known_fn(void *context);
int store_replace(const char *directory, const char *from, store_is_known_fn *is_known,
                  void *context, struct jini_error *error);

/* Asked again and again, with how far a call is; false ends it with JINI_E_CANCELLED. */
struct store_watch {
    bool (*goes_on)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/*
 * Checks the structure of every page of the data file that is in use, as the start of `jini
 * verify`: each is of the kind that its place asks for, and no page is in two places or free as
 * well. Reads the whole file on one snapshot, so no page is used again for as long as that takes;
 * when the map is to grow, it gives way and begins anew. `watch` may be NULL; the snapshot is open
 * while it is asked. JINI_E_CORRUPT: the error names the page. JINI_E_CANCELLED. JINI_E_BUSY: no
 * snapshot is free, or the map grew again and again. JINI_E_IO, JINI_E_NO_MEMORY.
 */
int store_verify(struct store *store, const struct store_watch *watch, struct jini_error *error);

/*
 * Calls `visit` for each entry in key order, renewing the snapshot every few hundred entries, so
 * that it may run for hours. An entry that is changed meanwhile is seen before or after the change.
 * No snapshot is open while `visit` runs, so it may write; it may not keep the slices. A visit that
 * returns non-zero ends the scan with that value. JINI_E_NO_MEMORY, JINI_E_BUSY and what
 * store_cursor_next() answers, after a visit of each entry before it.
 */
typedef int store_visit_fn(void *argument, struct slice key, struct slice value);
int store_each(struct store *store, enum store_space space, struct slice low, struct slice high,
               store_visit_fn *visit, void *argument);

/* How many entries a space has in the newest commit. Cheap. Errors as of store_read_begin(). */
int store_count(struct store *store, enum store_space space, uint64_t *out);

/* The same, and how many bytes of the file it takes. */
int store_measure(struct store *store, enum store_space space, uint64_t *entries, uint64_t *bytes);

/* ---- Figures --------------------------------------------------------------------------------- */

enum { STORE_LATENCY_BUCKETS = 24, STORE_BATCH_BUCKETS = 16 };

struct store_figures {
    uint64_t map_bytes;
    uint64_t used_bytes; /* of the file, free pages included */
    uint64_t free_pages;
    uint64_t page_bytes;
    uint32_t readers;           /* snapshots open now, in all processes */
    uint64_t oldest_reader_lag; /* commits between the oldest of them and the newest */
    uint64_t commits;
    uint64_t ops;
    uint64_t op_failures;
    uint64_t pages_written;
    uint64_t commit_us_sum;
    uint64_t commit_buckets[STORE_LATENCY_BUCKETS]; /* commits that took less than 2^i us */
    uint64_t batch_buckets[STORE_BATCH_BUCKETS];    /* commits of up to 2^i ops that succeeded */
    uint64_t batch_ops_sum;                         /* those of all commits */
    uint64_t batches_rerun;
    uint64_t map_growths;
    uint32_t queue_ops;
    uint64_t queue_bytes;
    bool full;         /* down to the reserve */
    int reserve_errno; /* why there is none, though the disk has room; 0 */
    uint64_t lock_wait_us_sum;
    uint64_t lock_wait_us_max;
};
int store_figures(struct store *store, struct store_figures *out);

/* A live process of the database. */
struct store_process_info {
    struct store_process process;
    int32_t pid;
    bool holds_write_lock;
    bool waits_for_write_lock;
    uint64_t lock_ns;    /* how long it has held it or waited for it */
    uint64_t started_ns; /* wall clock */
    uint32_t format_version;
    char name[STORE_NAME_MAX];
};

/* Lists up to `capacity` live processes; returns how many. Any thread, never waits. */
size_t store_processes(struct store *store, struct store_process_info *out, size_t capacity);

/* The process that has the write lock now, which may be this one. False: none has. As above. */
bool store_lock_holder(struct store *store, struct store_process_info *out);

/*
 * True while disk or map are down to the reserve; and JINI_E_FULL in words: which, and how full, or
 * that there is room again.
 */
bool store_is_full(const struct store *store);
int store_explain_full(const struct store *store, struct jini_error *error);

#endif
