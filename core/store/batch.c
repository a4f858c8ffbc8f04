/*
 * One commit: running the ops of a batch, and settling what becomes of each.
 *
 * The happy path: begin, run every op, write the last stamp, set the change words, commit and sync,
 * clear the change words, fire the signals. What else may happen:
 *
 *   an op fails before it wrote       its status is its own; the batch goes on
 *   an op fails after it wrote        roll back; run again with every op in an overlay, so that the
 *                                     failing one is undone alone
 *   the two runs of an op differ      (run_twice) it completes with JINI_E_UNREPEATABLE; the rest
 *                                     runs again
 *   the map is full                   roll back, grow the map behind the gate, run again; at the
 *                                     reserve the store is `full`: new work gets JINI_E_FULL,
 *                                     releases go on
 *   the disk is full                  roll back, give the reserve file back to the disk; the same
 *   too many pages for a transaction  run again with half of the ops
 *   the sync or a page write fails    the store is poisoned
 */
#include "store/store_private.h"

#include <stdlib.h>
#include <unistd.h>

enum outcome {
    DONE,      /* every op of the batch has its status */
    RUN_AGAIN, /* rolled back; the cause is out of the way */
};

static bool refused_when_full(const struct store *store, const struct store_write *write)
{
    return write->class == STORE_NEW_WORK && store->batch_full != 0;
}

/* Runs one op in the open transaction. */
static int run_op(struct store_txn *txn, struct store_write *write, bool overlay)
{
    txn_reset_op(txn);
    if (overlay)
        overlay_begin_batch(txn);
    int status = write->op(txn, write->argument);
    if (status > 0)
        status = JINI_E_INVALID; /* the op may be a caller's own */
    overlay_discard_left(txn);
    if (overlay && status == 0 && txn->failure == 0)
        status = overlay_keep_batch(txn);
    overlay_discard_all(txn);
    return txn->failure ? txn->failure : status;
}

static bool batch_is_long_enough(const struct store *store, uint64_t begin_ns)
{
    return store->write_txn.bytes >= store->options.batch_bytes_max ||
           clock_boot_ns(&clock_system) - begin_ns >= store->options.batch_run_ms * NS_PER_MS;
}

/*
 * Runs the ops in the open transaction, and cuts the batch where it is long enough. Returns 0, the
 * driver's failure, or JINI_E_CONFLICT when an op failed after its first write.
 */
static int run_ops(struct store *store)
{
    struct store_txn *txn = &store->write_txn;
    uint64_t begin = clock_boot_ns(&clock_system);
    for (uint32_t i = 0; i < store->batch_count; i++) {
        struct store_write *write = store->batch[i];
        if (write->status == JINI_E_UNREPEATABLE)
            continue;
        if (refused_when_full(store, write)) {
            write->status = JINI_E_FULL;
            continue;
        }
        uint64_t applied = txn->applied;
        write->status = run_op(txn, write, store->batch_overlays);
        write->digest = txn->digest;
        if (txn->failure)
            return txn->failure;
        if (write->status && txn->applied != applied)
            return JINI_E_CONFLICT;
        if (i + 1 < store->batch_count && batch_is_long_enough(store, begin))
            store->batch_count = i + 1;
    }
    return 0;
}

/*
 * Change words. Each is set to its next odd value before the commit and to the even one behind that
 * after it. Setting odd happens under the driver's lock; setting even happens after it is given
 * back, when another process may have gone on already: so it is done only where the word still
 * stands as this commit left it.
 */
static void begin_change(struct store *store)
{
    const struct store_txn *txn = &store->write_txn;
    uint32_t count = txn->mark_all ? STORE_CHANGE_WORDS : txn->mark_count;
    for (uint32_t i = 0; i < count; i++) {
        _Atomic uint64_t *word =
            registry_change_word(store->registry, txn->mark_all ? i : txn->marks[i]);
        store->odd_words[i] = (atomic_load(word) + 1) | 1;
        atomic_store(word, store->odd_words[i]);
    }
}

static void end_change(struct store *store)
{
    const struct store_txn *txn = &store->write_txn;
    uint32_t count = txn->mark_all ? STORE_CHANGE_WORDS : txn->mark_count;
    for (uint32_t i = 0; i < count; i++) {
        _Atomic uint64_t *word =
            registry_change_word(store->registry, txn->mark_all ? i : txn->marks[i]);
        uint64_t odd = store->odd_words[i];
        atomic_compare_exchange_strong(word, &odd, odd + 1);
    }
}

/*
 * Sets right the words that a process left odd when it died in the middle of a commit. The driver's
 * lock is ours, so no commit runs, and each odd word is of one that has ended.
 */
static void repair_change_words(struct store *store)
{
    for (uint32_t i = 0; i < STORE_CHANGE_WORDS; i++) {
        _Atomic uint64_t *word = registry_change_word(store->registry, i);
        uint64_t value = atomic_load(word);
        if (value & 1)
            atomic_compare_exchange_strong(word, &value, value + 1);
    }
}

static int begin(struct store *store)
{
    struct store_txn *txn = &store->write_txn;
    txn_reset_batch(txn);
    int status = gate_enter_writer(store);
    if (status)
        return status;
    status = store->ops->write_begin(store->driver, &txn->driver_txn);
    if (status) {
        txn->driver_txn = NULL;
        gate_leave_writer(store);
    } else if (registry_turn_was_broken(store->registry)) {
        repair_change_words(store);
        signal_fire_all(store); /* those that it owed, if it died right after its commit */
    }
    return status;
}

static void roll_back(struct store *store)
{
    struct store_txn *txn = &store->write_txn;
    overlay_discard_all(txn);
    if (!txn->driver_txn)
        return;
    store->ops->write_abort(txn->driver_txn);
    txn->driver_txn = NULL;
    gate_leave_writer(store);
}

static int run_once(struct store *store)
{
    int status = begin(store);
    return status ? status : run_ops(store);
}

/* The first run of run_twice: remembers statuses and digests. Leaves no transaction open. */
static int rehearse(struct store *store)
{
    int status = run_once(store);
    for (uint32_t i = 0; i < store->batch_count; i++) {
        store->batch[i]->first_status = store->batch[i]->status;
        store->batch[i]->first_digest = store->batch[i]->digest;
    }
    roll_back(store);
    return status;
}

/* True when both runs agree; else the ops that do not are marked. */
static bool runs_agree(struct store *store)
{
    bool agree = true;
    for (uint32_t i = 0; i < store->batch_count; i++) {
        struct store_write *write = store->batch[i];
        if (write->status != write->first_status || write->digest != write->first_digest) {
            write->status = JINI_E_UNREPEATABLE;
            agree = false;
        }
    }
    return agree;
}

/*
 * Bytes that this thread has handed to write calls so far, from /proc; 0 where the kernel does not
 * tell.
 */
static uint64_t bytes_written(const struct store *store)
{
    char text[512];
    if (store->io_fd < 0)
        return 0;
    ssize_t length = pread(store->io_fd, text, sizeof(text) - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *field = strstr(text, "wchar: ");
    return field ? strtoull(field + 7, NULL, 10) : 0;
}

static unsigned bucket_of(uint64_t value, unsigned buckets)
{
    unsigned bucket = 0;
    while (bucket + 1 < buckets && value > (UINT64_C(1) << bucket))
        bucket++;
    return bucket;
}

/* Those whose writes, if they made any, are in the commit. */
static uint32_t succeeded(const struct store *store)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < store->batch_count; i++)
        count += store->batch[i]->status == 0;
    return count;
}

static void count_commit(struct store *store, uint64_t begin_ns)
{
    struct counters *counters = &store->counters;
    uint32_t ops = succeeded(store);
    uint64_t us = (clock_boot_ns(&clock_system) - begin_ns) / NS_PER_US;
    atomic_fetch_add(&counters->commits, 1);
    atomic_fetch_add(&counters->commit_us_sum, us);
    atomic_fetch_add(&counters->commit_buckets[bucket_of(us, STORE_LATENCY_BUCKETS)], 1);
    atomic_fetch_add(&counters->batch_buckets[bucket_of(ops, STORE_BATCH_BUCKETS)], 1);
    atomic_fetch_add(&counters->batch_ops_sum, ops);
    uint64_t before = store->io_bytes; /* between commits the thread writes next to nothing */
    store->io_bytes = bytes_written(store);
    uint64_t written = store->io_bytes - before;
    atomic_fetch_add(&counters->bytes_written, written ? written : store->write_txn.bytes);
}

static int commit(struct store *store)
{
    struct store_txn *txn = &store->write_txn;
    if (txn->applied == 0) {
        roll_back(store);
        return 0;
    }
    int status = txn_flush_stamp(txn);
    if (status) {
        roll_back(store);
        return status;
    }
    uint64_t begin_ns = clock_boot_ns(&clock_system);
    begin_change(store);
    status = store->ops->write_commit(txn->driver_txn);
    txn->driver_txn = NULL;
    gate_leave_writer(store);
    end_change(store);
    if (status == 0) {
        signal_fire(store, txn->signals);
        count_commit(store, begin_ns);
    }
    return status;
}

static void settle_all(struct store *store, int status)
{
    for (uint32_t i = 0; i < store->batch_count; i++)
        store->batch[i]->status = status;
}

static void fail_with_poison(struct store *store, int status, const char *reason)
{
    store_poison(store, reason);
    settle_all(store, status == JINI_E_CORRUPT ? JINI_E_CORRUPT : JINI_E_POISONED);
}

/*
 * Doubles the map. Its last part is the reserve: going into it makes the store full, and a batch
 * that finds it used up runs once more, without its new work. Whether it ran without that already
 * is told by `batch_full`, since a tick may have found out meanwhile that the store is full.
 */
static enum outcome grow(struct store *store)
{
    uint64_t now = store->ops->map_bytes(store->driver);
    uint64_t soft = reserve_soft_map_bytes(store);
    uint64_t hard = store->options.map_bytes_max;
    if (now >= soft)
        reserve_enter(store, RESERVE_MAP);
    if (now >= hard) {
        if (!(store->batch_full & RESERVE_MAP))
            return RUN_AGAIN;
        settle_all(store, JINI_E_FULL);
        return DONE;
    }
    uint64_t wanted = now < soft ? (now < soft / 2 ? now * 2 : soft) : hard;
    int status = gate_resize(store, wanted);
    if (status) {
        settle_all(store, status);
        return DONE;
    }
    return RUN_AGAIN;
}

/* Decides what to do about a failure of the driver, after the batch was rolled back. */
static enum outcome recover(struct store *store, int failure)
{
    atomic_fetch_add(&store->counters.batches_rerun, 1);
    switch (failure) {
    case JINI_E_CONFLICT:
        store->batch_overlays = true;
        return RUN_AGAIN;
    case DRIVER_MAP_FULL:
        return grow(store);
    case DRIVER_MAP_RESIZED:
        failure = gate_resize(store, 0);
        if (failure == 0)
            return RUN_AGAIN;
        settle_all(store, failure);
        return DONE;
    case DRIVER_TXN_FULL:
        if (store->batch_count > 1) {
            store->batch_count /= 2;
            return RUN_AGAIN;
        }
        settle_all(store, JINI_E_TOO_BIG);
        return DONE;
    case JINI_E_FULL:
        if (!(store->batch_full & RESERVE_DISK)) {
            reserve_enter(store, RESERVE_DISK);
            return RUN_AGAIN;
        }
        settle_all(store, JINI_E_FULL);
        return DONE;
    case JINI_E_NO_MEMORY:
    case JINI_E_BUSY:
        settle_all(store, failure);
        return DONE;
    case JINI_E_CORRUPT:
        fail_with_poison(store, failure, "a transaction found the database damaged");
        return DONE;
    default:
        fail_with_poison(store, failure, "writing or syncing the database failed");
        return DONE;
    }
}

/* One attempt at the whole batch. */
static enum outcome attempt(struct store *store)
{
    int status = 0;
    store->batch_full = atomic_load(&store->full); /* once: a tick may change it in between */
    if (store->options.run_twice)
        status = rehearse(store);
    if (status == 0)
        status = run_once(store);
    if (status) {
        roll_back(store);
        return recover(store, status);
    }
    if (store->options.run_twice && !runs_agree(store)) {
        roll_back(store);
        return RUN_AGAIN;
    }
    status = commit(store);
    return status ? recover(store, status) : DONE;
}

/*
 * Runs the batch of the store, or its first part: batch_count tells how much. The turn to write is
 * ours.
 */
void batch_run(struct store *store)
{
    store->batch_overlays = false;
    store->write_txn.now_ns = clock_wall_ns(store->options.clock);
    reserve_watch(store);
    for (uint32_t i = 0; i < store->batch_count; i++)
        store->batch[i]->status = 0;
    store_check_registry(store);
    int health = store_check(store);
    if (health)
        settle_all(store, health);
    else
        while (attempt(store) == RUN_AGAIN)
            continue;
    atomic_fetch_add(&store->counters.ops, store->batch_count);
    for (uint32_t i = 0; i < store->batch_count; i++) {
        if (store->batch[i]->status)
            atomic_fetch_add(&store->counters.op_failures, 1);
    }
}
