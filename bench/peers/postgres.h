/*
 * The ledger of transfers.h in PostgreSQL 15. Errors end the process.
 *
 *     accounts   id uuid primary key, debits and credits posted and pending bigint, ledger, code,
 *                flags, user data, timestamp; half of each page is left free, so that an update
 *                stays on it
 *     transfers  the fields of a transfer: id uuid primary key, accounts uuid, amount bigint and so
 *                on; indexes by (debit account, timestamp), (credit account, timestamp), (code,
 *                timestamp)
 *
 * A transfer is made if its accounts exist and its id is new.
 */
#ifndef PEERS_POSTGRES_H
#define PEERS_POSTGRES_H

#include "peers/postgres_server.h"
#include "transfers.h"

/* What a batch and a single transfer are, in words. */
#define POSTGRES_BATCH                                                                             \
    "one prepared statement a batch, which takes arrays, makes the transfers, sums them up and "   \
    "updates each account once, and commits"
#define POSTGRES_SINGLE                                                                            \
    "a prepared call of a function that makes a transfer and updates its two accounts, in the "    \
    "order of their ids, and commits"

/*
 * Fills an empty directory: a cluster with these accounts and the history of so many batches,
 * copied in, indexed, vacuumed and analysed, without syncs.
 */
void postgres_load(const char *directory, uint32_t accounts, uint64_t batches, bool small);

/* The ledger of a directory by a server that syncs. */
struct postgres;
struct postgres *postgres_open(const char *directory, bool small);
void postgres_close(struct postgres *postgres);

/* Makes up to TRANSFERS_BATCH transfers by one statement. */
void postgres_batch(void *postgres, const struct transfer *transfers, uint32_t count);

/* One connection of many, each for a thread of its own. */
struct postgres_client;
struct postgres_client *postgres_client_new(struct postgres *postgres);
void postgres_client_free(struct postgres_client *client);
void postgres_client_make(struct postgres_client *client, const struct transfer *transfer);

void postgres_sums(void *postgres, struct transfer_sums *out);

#endif
