/*
 * Accounts, transfers and the head of the ledger as they are kept.
 *
 * All integers are little-endian; an id is its 16 bytes, an amount 16 bytes, low word first.
 *
 *   account    0 version u8, 1 | 1 form u8: 1 with user data, 2 with wide amounts | 2 debits
 *              since the last mark u8 | 3 the same of credits | 4 ledger u32 | 8 code u16 |
 *              10 flags u16 | 12 time u64 | 20 time of the newest debit u64, 0 none | 28 the same
 *              of credits | 36 debits pending, debits posted, credits pending, credits posted, u64
 *              each, or an amount each if one of them needs it | user data 128, 64 and 32, if one
 *              is not zero (68 to 128 bytes). All accounts that a batch touches are written with
 *              it, so a page of the store is to hold many
 *   transfer   0 id | 16 debit account | 32 credit account | 48 amount | 64 pending id |
 *              80 user data 128 | 96 user data 64 | 104 user data 32 | 108 timeout u32 |
 *              112 ledger u32 | 116 code u16 | 118 flags u16 | 120 time u64 (128 bytes)
 *   head       0 version u8, 1 | 1 zero u8 x 7 | 8 last time u64 | 16 events u64 | 24 blocks u64 |
 *              32 due u64 | 40 greatest transfer id | 56 hash of the last block (88 bytes)
 *   pending    0 version u8, 1 | 1 state u8 | 2 zero u8 x 6 | 8 expires u64, 0 never | 16 time of
 *              what ended it u64, 0 while it is open | 24 transfer (152 bytes)
 */
#ifndef LEDGER_RECORDS_H
#define LEDGER_RECORDS_H

#include "base/crypto.h"

#include <jini/error.h>
#include <jini/ledger.h>

enum {
    RECORD_ACCOUNT_BYTES_MAX = 128,
    RECORD_TRANSFER_BYTES = 128,
    RECORD_HEAD_BYTES = 88,
    RECORD_PENDING_BYTES = 24 + RECORD_TRANSFER_BYTES,
    RECORD_BALANCE_BYTES = 64,
    RECORD_HASH_BYTES = CRYPTO_DIGEST_BYTES
};

enum pending_state {
    PENDING_OPEN = 1,
    PENDING_POSTED = 2,
    PENDING_VOIDED = 3,
    PENDING_EXPIRED = 4
};

/* A pending transfer, and what became of it. */
struct pending {
    enum pending_state state;
    uint64_t expires_ns; /* 0: never */
    uint64_t ended_ns;   /* time of its post, void or expiry; 0 while it is open */
    struct jini_transfer transfer;
};

/* Where the debits or the credits of an account end: see chains.h. All zero: there are none. */
struct chain_end {
    uint64_t last_ns;
    uint32_t since_mark; /* how many there are behind the last mark */
};

/* What is true of the ledger as a whole. All zero: nothing was ever written. */
struct ledger_head {
    uint64_t last_ns; /* of the newest account or event; the next is later */
    uint64_t events;  /* transfers, and ends of pending ones */
    uint64_t blocks;
    uint64_t due_ns;            /* no pending transfer expires before */
    struct jini_id greatest_id; /* of all transfers: a greater one is new */
    uint8_t hash[RECORD_HASH_BYTES];
};

/* Returns the length. */
size_t record_write_account(const struct jini_account *account, const struct chain_end ends[2],
                            uint8_t out[RECORD_ACCOUNT_BYTES_MAX]);
void record_write_transfer(const struct jini_transfer *transfer,
                           uint8_t out[RECORD_TRANSFER_BYTES]);
void record_write_balance(const struct jini_balance *balance, uint8_t out[RECORD_BALANCE_BYTES]);
void record_write_pending(const struct pending *pending, uint8_t out[RECORD_PENDING_BYTES]);
void record_write_head(const struct ledger_head *head, uint8_t out[RECORD_HEAD_BYTES]);

/* `id` is the account's; it stands in the key. JINI_E_CORRUPT, JINI_E_FORMAT. */
int record_read_account(struct slice bytes, const struct jini_id *id, struct jini_account *out,
                        struct chain_end ends[2]);
int record_read_pending(struct slice bytes, struct pending *out);
int record_read_head(struct slice bytes, struct ledger_head *out);

/* Any 128 bytes are a transfer: who reads it checks what it says. */
void record_read_transfer(const uint8_t bytes[RECORD_TRANSFER_BYTES], struct jini_transfer *out);
void record_read_balance(const uint8_t bytes[RECORD_BALANCE_BYTES], struct jini_balance *out);

#endif
