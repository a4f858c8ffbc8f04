/*
 * A program on LMDB alone that makes the puts of a ledger: what Jini writes for a batch of
 * transfers, in rows of the same keys and sizes, without reading, hashing or checking any.
 *
 *     transfers  ("head") 88 bytes; (time) a block of 227 transfers, 48 bytes and 144 for each
 *     ids        (16 bytes that grow) 8 bytes, a row for each transfer
 *     accounts   (id) 68 bytes, a row for each account of the batch
 *     postings   (1, side, id, time) empty, for every 128th debit and every 128th credit of an
 *                account; (0, field, value) the newest times of a code or a ledger, 20 bytes and
 *                1 to 10 for each but the first, and (1, field, value, time) those that have left
 *                them, which they do when there are 32 of them, or 1,800 bytes
 *
 * A batch of 8,190 over 10,000 accounts is 8,190 ids, 37 blocks, about 8,060 accounts, 128 marks,
 * 11 lists with a dozen rows that leave them, and the head.
 */
#ifndef PEERS_LEDGER_ROWS_H
#define PEERS_LEDGER_ROWS_H

#include "peers/lmdb.h"
#include "transfers.h"

struct ledger_rows;

/*
 * Fills an empty directory with the history of so many batches, without syncs, and opens it anew
 * with them.
 */
struct ledger_rows *ledger_rows_new(const char *directory, uint32_t accounts, uint64_t batches);
void ledger_rows_free(struct ledger_rows *rows);

/* One commit. */
void ledger_rows_batch(void *rows, const struct transfer *transfers, uint32_t count);

#endif
