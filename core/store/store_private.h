/*
 * The inside of the store, shared by its own files.
 *
 *   open.c       opening, closing, health          directory.c  one handle, durable entries
 *   writer.c     queue and writer thread           txn.c        what an op and a reader may do
 *   batch.c      one commit: run, check, complete  scan.c       cursors, scans in slices
 *   reader.c     snapshots and the gate            overlay.c    writes that can be undone
 *   reserve.c    what is kept back for releases    migrate.c    formats
 *   home.c       original and copies
 *   figures.c    checking, figures                 tree.c       a persistent map in memory
 *   copy.c       copies of a database in use
 *   replace.c    a copy in the place of a data file
 *   registry.c, turn.c                             processes, and whose turn it is to write
 *   onlooker.c                                     reading where nothing can be registered
 *   lmdb.c, lmdb_file.c, memory.c                  the drivers behind driver.h
 */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "base/clock.h"
#include "store/driver.h"
#include "store/registry.h"
#include "store/tree.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    MARKS_MAX = 512,                       /* change words of one commit; beyond, all are set */
    OVERLAYS_MAX = STORE_OVERLAYS_MAX + 1, /* those of an op, and the batch's around it */
};

/* Which bound the last write of an op would have gone over. */
enum txn_bound { TXN_BOUND_NONE, TXN_BOUND_KEY, TXN_BOUND_VALUE, TXN_BOUND_KEYS, TXN_BOUND_BYTES };

struct store_txn {
    struct store *store;
    struct driver_txn *driver_txn;
    bool writable;

    /* Of the op that runs. */
    uint32_t op_keys;
    uint64_t op_bytes;
    uint64_t digest;
    enum txn_bound exceeded;
    int failure; /* the driver's first error that is not the op's to handle */

    /* Of the batch. */
    uint64_t writes;  /* changes so far, also in overlays: cursors look again after one */
    uint64_t applied; /* changes that reached the driver */
    uint64_t bytes;
    uint64_t now_ns;
    uint64_t stamp;
    bool stamp_loaded;
    bool stamp_used;
    uint32_t mark_count;
    bool mark_all;
    uint16_t marks[MARKS_MAX];
    uint32_t signals; /* bits of the shared words to be signalled after the commit */

    uint32_t overlays;
    uint32_t overlay_base; /* how many of them are the batch's */
    struct tree_node *overlay[OVERLAYS_MAX][STORE_SPACES];
};

/* A snapshot handle; taken by whoever swaps `busy` from 0 to 1. */
struct reader {
    _Atomic uint32_t busy;
    struct store_txn txn;
} __attribute__((aligned(64)));

struct counters {
    _Atomic uint64_t commits;
    _Atomic uint64_t ops;
    _Atomic uint64_t op_failures;
    _Atomic uint64_t bytes_written;
    _Atomic uint64_t commit_us_sum;
    _Atomic uint64_t commit_buckets[STORE_LATENCY_BUCKETS];
    _Atomic uint64_t batch_buckets[STORE_BATCH_BUCKETS];
    _Atomic uint64_t batch_ops_sum;
    _Atomic uint64_t batches_rerun;
    _Atomic uint64_t map_growths;
    _Atomic uint64_t lock_wait_us_sum;
    _Atomic uint64_t lock_wait_us_max;
};

/* Changed under `lock`. A write stays taken after it has completed, until it is submitted again. */
enum write_state { WRITE_IDLE, WRITE_QUEUED, WRITE_TAKEN };

/* What tells the data file from its copies; the format stands in home.c. */
enum { STORE_MACHINE_BYTES = 16 };
struct store_file {
    uint8_t machine[STORE_MACHINE_BYTES];
    uint64_t number;
    uint64_t born_ns;
};

struct store {
    struct store_options options;
    char *directory; /* NULL: memory */
    uint32_t fork_generation;
    const struct driver_ops *ops;
    struct driver *driver;
    struct store_file file; /* that is open; zero in memory */
    struct registry *registry;
    bool looks_on; /* may only read, and is seen by nobody (onlooker.c) */

    /* Health. The reason is written once, before the flag. */
    _Atomic uint32_t poisoned;
    pthread_mutex_t poison_lock;
    char poison_reason[160];

    /* The queue, guarded by `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct store_write *first;
    struct store_write *last;
    uint32_t queue_ops;
    uint64_t queue_bytes;
    uint64_t earliest_deadline_ns;
    uint32_t cancels;       /* queued writes marked as cancelled and not yet taken out */
    uint32_t gather_target; /* queued ops that the writer waits for a moment; 0: it does not */
    bool closing;
    uint64_t wait_max_ns;       /* for the turn to write; 0: as long as it takes */
    uint64_t waits_since_ns;    /* boot time, of the wait that goes on; 0: none does */
    bool gave_up;               /* the wait before this one was too long */
    pthread_mutex_t sweep_lock; /* held by a tick while it sweeps; before `lock` */

    /* The writer thread and what it alone uses. */
    pthread_t writer;
    bool writer_runs;
    struct store_write **batch;
    uint32_t batch_count;
    bool batch_overlays; /* every op of the batch in an overlay */
    uint32_t batch_full; /* why new work is refused in this attempt; 0: it is not */
    uint32_t gather_ops; /* how many ops the next batch may expect, and until when */
    uint64_t gather_until_ns;
    int io_fd;         /* /proc of the writer thread, for bytes written; -1 */
    uint64_t io_bytes; /* as of the last commit */
    struct store_txn write_txn;

    uint64_t odd_words[STORE_CHANGE_WORDS]; /* what the commit that runs has set its words to */

    /* Readers and the gate. */
    void *readers_memory;
    struct reader *readers; /* in it, each on cache lines of its own */
    _Atomic uint32_t gate_closed;
    _Atomic uint32_t writer_inside; /* a write transaction is open */
    pthread_mutex_t gate_lock;      /* one resize at a time */
    pthread_mutex_t gate_wait_lock;
    pthread_cond_t gate_opened;

    /* The reserve. */
    _Atomic uint32_t full;
    int reserve_fd;               /* the file `reserve`; -1 */
    _Atomic int reserve_errno;    /* why it cannot be made, though the disk has room; 0 */
    pthread_mutex_t reserve_lock; /* one watch at a time */
    _Atomic uint64_t reserve_checked_ns;
    uint64_t reserve_checked_bytes; /* bytes_written at that time */

    struct counters counters;
};

/* open.c */
int store_check(const struct store *store);     /* 0, JINI_E_FORKED or JINI_E_POISONED */
int store_look(struct store *store);            /* the same; poisons one that looks on disturbed */
void store_check_registry(struct store *store); /* poisons when others do not see us any more */

/* directory.c */
int directory_prepare(const struct store *store, struct jini_error *error);
const char *directory_unsafe_filesystem(uint32_t magic); /* its name, or NULL; of statfs(2) */
int directory_sync(const struct store *store, struct jini_error *error);
int directory_claim(const struct store *store, struct jini_error *error);
void directory_release(const struct store *store);

/* txn.c */
int txn_check(const struct store_txn *txn); /* 0, JINI_E_FORKED or JINI_E_POISONED */
int txn_confirm(const struct store_txn *txn, int status);
void txn_reset_batch(struct store_txn *txn);
void txn_reset_op(struct store_txn *txn);
int txn_flush_stamp(struct store_txn *txn);
int txn_apply(struct store_txn *txn, enum store_space space, struct slice key, struct slice value,
              bool remove);

/* overlay.c */
const struct tree_node *overlay_find(const struct store_txn *txn, enum store_space space,
                                     struct slice key);
int overlay_write(struct store_txn *txn, enum store_space space, struct slice key,
                  struct slice value, bool remove);
void overlay_begin_batch(struct store_txn *txn); /* the one around an op */
int overlay_keep_batch(struct store_txn *txn);
void overlay_discard_left(struct store_txn *txn); /* those that an op left open */
void overlay_discard_all(struct store_txn *txn);

/* writer.c */
int writer_start(struct store *store, struct jini_error *error);
void writer_stop(struct store *store);
bool writer_sweep(struct store *store);
void writer_tick(struct store *store);
void writer_complete(struct store_write *write, int status);

/* batch.c */
void batch_run(struct store *store);

/* signal.c */
void signal_fire(struct store *store, uint32_t signals); /* bits of words */
void signal_fire_all(struct store *store);

/* reader.c */
int readers_create(struct store *store);
void readers_destroy(struct store *store);
int gate_resize(struct store *store, uint64_t map_bytes);
int gate_enter_writer(struct store *store);
void gate_leave_writer(struct store *store);

/* migrate.c */
int format_prepare(struct store *store, struct jini_error *error);

/* home.c */
void home_find(struct store *store); /* notes the file that is open */
int home_create(struct store_txn *txn, const struct jini_id *lineage); /* of a new database */

/* reserve.c */
int reserve_open(struct store *store, struct jini_error *error);
void reserve_close(struct store *store);
enum reserve_cause { RESERVE_DISK = 1, RESERVE_MAP = 2 };
void reserve_enter(struct store *store, enum reserve_cause cause);
void reserve_watch(struct store *store);
void reserve_tick(struct store *store);
uint64_t reserve_soft_map_bytes(const struct store *store);

#endif
