/*
 * Blocks of events: what the ledger consists of. All else (balances, ids, postings, what is
 * pending) follows from them. A block is written once, by the op that made its events, and never
 * changed; each has the hash of the one before it, and the head the hash of the last.
 *
 * Space TRANSFERS:
 *   (text "head")       the head, see records.h
 *   (uint first time)   a block:
 *       0 version u8, 1 | 1 zero u8 | 2 events u16 | 4 balances u16 | 6 zero u16 |
 *       8 number u64, from 1 | 16 hash of the block before, BLAKE2b-256, zero in the first |
 *       48 events, each a transfer of 128 bytes, in the order of their times |
 *       then links, one for each event: time of the debit of its debit account before it u64 |
 *       time of the credit of its credit account before it u64; 0: it is the first |
 *       then balances, in the order of their events: event u16 | side u16, 0 debit, 1 credit |
 *       balance of that account after it, 64 bytes; for accounts with history
 */
#ifndef LEDGER_BLOCKS_H
#define LEDGER_BLOCKS_H

#include "ledger/records.h"
#include "store/store.h"

enum {
    BLOCK_EVENTS_MAX = 227, /* so that a block without balances fills eight pages of the store */
    BLOCK_HEADER_BYTES = 48,
    BLOCK_LINK_BYTES = 16,
    BLOCK_BALANCE_BYTES = 4 + RECORD_BALANCE_BYTES,
    BLOCK_BYTES_MAX = BLOCK_HEADER_BYTES +
                      BLOCK_EVENTS_MAX * (RECORD_TRANSFER_BYTES + BLOCK_LINK_BYTES) +
                      2 * BLOCK_EVENTS_MAX * BLOCK_BALANCE_BYTES
};
_Static_assert((int)BLOCK_BYTES_MAX <= (int)STORE_VALUE_MAX, "a block is a value of the store");

enum block_side { BLOCK_DEBIT = 0, BLOCK_CREDIT = 1 };

/* An event, and the balances of its accounts after it. */
struct block_event {
    struct jini_transfer transfer;
    uint64_t before_ns[2]; /* by enum block_side: its links */
    struct jini_balance balance[2];
    bool keeps_balance[2]; /* of an account with history: it goes into the block */
};

/* A block that was read and found to be well formed. */
struct block {
    uint64_t first_ns; /* its key; 0: none was read */
    uint64_t number;
    uint32_t events;
    uint32_t balances;
    size_t length;
    uint8_t bytes[BLOCK_BYTES_MAX];
};

int blocks_read_head(struct store_txn *txn, struct ledger_head *out, struct jini_error *error);
int blocks_write_head(struct store_txn *txn, const struct ledger_head *head);

/* Appends 1 to BLOCK_EVENTS_MAX events as a block, and brings the head into line, in memory. */
int blocks_append(struct store_txn *txn, struct ledger_head *head,
                  const struct block_event *const *events, uint32_t count, struct block *scratch);

/*
 * Reads the last block that begins at this time or before (STORE_BACKWARD), which has the event of
 * this time if there is one; or the first that begins at it or after. JINI_E_NOT_FOUND: there is
 * none. JINI_E_CORRUPT: it is not well formed, or its key is another than its first time.
 */
int blocks_read(struct store_txn *txn, uint64_t timestamp, enum store_direction direction,
                struct block *out, struct jini_error *error);

/*
 * Finds the event of this time, which is there: JINI_E_CORRUPT otherwise. `block` has a block
 * already, unless its `first_ns` is 0; the event's is read where that is another.
 */
int blocks_seek(struct store_txn *txn, uint64_t timestamp, struct block *block, uint32_t *event,
                struct jini_error *error);

/* Reads the event of this time, which is there: JINI_E_CORRUPT otherwise. */
int blocks_find(struct store_txn *txn, uint64_t timestamp, struct block *scratch,
                struct jini_transfer *out, struct jini_error *error);

/* The first event that is not before this time; `events`: all are. */
uint32_t block_find(const struct block *block, uint64_t timestamp);
uint64_t block_time(const struct block *block, uint32_t event);
void block_transfer(const struct block *block, uint32_t event, struct jini_transfer *out);

/* The time of the event before it among those of its account on that side; 0: it is the first. */
uint64_t block_link(const struct block *block, uint32_t event, enum block_side side);

/* False: no balance was kept for that side of it. */
bool block_balance(const struct block *block, uint32_t event, enum block_side side,
                   struct jini_balance *out);

/* The hash that the next block has of this one. */
void block_hash(const struct block *block, uint8_t out[RECORD_HASH_BYTES]);

/* The hash that this block has of the one before it. */
const uint8_t *block_previous_hash(const struct block *block);

#endif
