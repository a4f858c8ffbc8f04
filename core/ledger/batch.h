/*
 * The memory of a request. Accounts, ids and pending transfers that it meets are read from the
 * store once and kept; what it makes and changes is kept beside them until it is written.
 *
 *   batch.c      memory, and what is known of an account, an id, a pending transfer
 *   evaluate.c   the events of a request, one after the other, with their linked chains
 *   expire.c     the ends of pending transfers that nobody posted or voided
 *   write.c      what came of it, into the store
 */
#ifndef LEDGER_BATCH_H
#define LEDGER_BATCH_H

#include "base/tuple.h"
#include "ledger/blocks.h"
#include "ledger/id_map.h"
#include "ledger/ledger.h"
#include "ledger/postings.h"
#include "ledger/rules.h"

enum { BATCH_NONE = UINT32_MAX };

/* The events that have one value of a field, as a list by number. */
struct event_list {
    uint32_t first; /* BATCH_NONE: empty */
    uint32_t last;
};

struct batch_account {
    struct jini_account account;
    struct chain_end ends[2]; /* by enum block_side; moved on when the batch is written */
    bool exists;
    bool changed;
};

/* What an id of a transfer stands for. */
struct batch_id {
    enum batch_id_kind { ID_FREE, ID_STORED, ID_CREATED, ID_FAILED } kind;
    uint32_t event;     /* CREATED, by this request; void when another event has that number */
    uint64_t timestamp; /* STORED */
    bool changed;
};

struct batch_pending {
    struct pending pending;
    uint64_t due_ns; /* of its row in the queue; 0: none */
    bool exists;
    bool changed;
};

struct batch_event {
    struct block_event event;
    uint32_t account[2];            /* by enum block_side */
    uint32_t next[POSTINGS_FIELDS]; /* event with the same value of that field, from CODE on */
};

struct batch_term {
    struct postings_term term;
    struct event_list events;
};

/* What a linked chain has changed, to be taken back when it fails. */
struct batch_undo {
    enum { UNDO_ACCOUNT, UNDO_PENDING } kind;
    uint32_t index;
    union {
        struct batch_account account;
        struct batch_pending pending;
    } before;
};

struct ledger_batch {
    uint32_t requests_max;
    uint32_t expiries_max;
    struct ledger_head head;
    uint64_t now_ns;

    struct batch_event *events;
    uint32_t event_count;

    struct id_map account_map;
    struct batch_account *accounts;
    uint32_t account_count;

    struct id_map id_map;
    struct batch_id *ids;
    uint32_t id_count;
    bool failed_ids; /* some of them failed by this request */

    struct id_map pending_map;
    struct batch_pending *pendings;
    uint32_t pending_count;

    struct batch_undo *undo; /* NULL until a request has a chain */
    uint32_t undo_max;
    uint32_t undo_count;
    bool in_chain;

    struct id_map term_maps[POSTINGS_FIELDS];
    struct batch_term *terms;
    uint32_t term_count;

    struct block block;
};

/* Empties it and reads the head. */
int batch_begin(struct ledger_batch *batch, struct store_txn *txn, uint64_t now_ns,
                struct jini_error *error);

/* The time of the next event. */
static inline uint64_t batch_next_ns(const struct ledger_batch *batch)
{
    uint64_t after = batch->head.last_ns + 1;
    return batch->now_ns > after ? batch->now_ns : after;
}

/* ---- What is known; read from the store where it is asked for first ---- */

/* An account, and where its chains end. JINI_E_NOT_FOUND, JINI_E_CORRUPT, JINI_E_FORMAT. */
int account_read(struct store_txn *txn, const struct jini_id *id, struct jini_account *out,
                 struct chain_end ends[2], struct jini_error *error);

/* The account, in `accounts`; it may not exist. */
int batch_account(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                  uint32_t *index, struct jini_error *error);

/* What the id of a transfer stands for, in `ids`. */
int batch_id(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
             uint32_t *index, struct jini_error *error);

/* The pending transfer with this id, in `pendings`; it may not exist, or be none. */
int batch_pending(struct ledger_batch *batch, struct store_txn *txn, const struct jini_id *id,
                  uint32_t *index, struct jini_error *error);

/* The transfer that an id which is STORED or CREATED stands for. */
int batch_transfer(struct ledger_batch *batch, struct store_txn *txn, const struct batch_id *id,
                   struct jini_transfer *out, struct jini_error *error);

/* ---- Changes ---- */

/* For an account or a pending transfer that is about to be changed. */
void batch_touch_account(struct ledger_batch *batch, uint32_t index);
void batch_touch_pending(struct ledger_batch *batch, uint32_t index);

/*
 * Appends an event, whose effects are in the accounts already. Its time becomes the last of the
 * ledger.
 */
struct batch_event *batch_append(struct ledger_batch *batch, const struct jini_transfer *transfer,
                                 uint32_t debit, uint32_t credit);

/* Finds memory for chains. JINI_E_NO_MEMORY. */
int batch_allow_chains(struct ledger_batch *batch);

/* Writes all that has changed, and the head. */
int batch_write(struct ledger_batch *batch, struct store_txn *txn, struct jini_error *error);

/* ---- Expiry ---- */

/* Appends the ends of pending transfers that are due by the time of the batch. */
int batch_expire(struct ledger_batch *batch, struct store_txn *txn, uint32_t *expired,
                 struct jini_error *error);

/*
 * Space PENDING: (uint 0, uint time) a pending transfer, see records.h; (uint 1, uint expires, uint
 * time) empty, of one that is open and has a timeout.
 */
void pending_key(uint64_t timestamp, struct tuple *key);
void pending_due_key(uint64_t expires_ns, uint64_t timestamp, struct tuple *key);

/*
 * Reads the pending transfer of this time. A transfer that has no row is none that pends: then its
 * flags are 0. JINI_E_CORRUPT, JINI_E_FORMAT.
 */
int pending_read(struct store_txn *txn, uint64_t timestamp, struct batch_pending *out);

#endif
