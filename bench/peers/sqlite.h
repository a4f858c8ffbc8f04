/*
 * The ledger of transfers.h in SQLite: one connection, a write-ahead log, synchronous=FULL. Errors
 * end the process.
 *
 *     accounts   id blob primary key, debits and credits posted and pending and so on; without
 *                rowid
 *     transfers  the same with the fields of a transfer; indexes by (debit account, timestamp),
 *                (credit account, timestamp), (code, timestamp)
 *
 * A transfer is made if its accounts exist and its id is new.
 */
#ifndef PEERS_SQLITE_H
#define PEERS_SQLITE_H

#include "transfers.h"

/* The settings that differ from the defaults, and how transfers are made, in words. */
#define SQLITE_METHOD                                                                              \
    "one connection, a cache of 1 GB, journal_mode=WAL with checkpoints between the rounds only, " \
    "synchronous=FULL; prepared statements"

/* Fills an empty directory, as postgres_load(). */
void sqlite_load(const char *directory, uint32_t accounts, uint64_t batches);

struct sqlite;
struct sqlite *sqlite_open(const char *directory);
void sqlite_close(struct sqlite *sqlite);

/*
 * Makes transfers in one transaction: each by an insert of its own, then each account that they
 * touch by one update with the sums.
 */
void sqlite_batch(void *sqlite, const struct transfer *transfers, uint32_t count);

/* Moves what is in the log into the database. */
void sqlite_checkpoint(struct sqlite *sqlite);

void sqlite_sums(void *sqlite, struct transfer_sums *out);

#endif
