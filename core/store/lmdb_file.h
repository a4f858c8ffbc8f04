/*
 * data.mdb as a file: made whole, copied, and checked before LMDB maps it, since LMDB trusts what
 * it maps.
 *
 * The format, as far as it is read here (LMDB 0.9 on a 64-bit machine, all integers native, which
 * is little-endian here; source: mdb.c of LMDB 0.9.24):
 *
 *   page      0 page number u64 | 8 pad u16 | 10 flags u16 | 12 lower u16 | 14 upper u16 |
 *             16 offsets of nodes, u16 each; flags: 1 branch, 2 leaf, 4 overflow, 8 meta; an
 *             overflow page has its count of pages u32 at 12
 *   meta      pages 0 and 1, at 16: magic u32 0xBEEFC0DE | version u32 1 | address u64 |
 *             map size u64 | database of free pages | database of databases | last page u64 |
 *             transaction u64
 *   database  0 page size u32 (first one only) | 4 flags u16 | 6 depth u16 | pages u64 x 3 |
 *             entries u64 | root u64
 *   node      0 low u16 | 2 high u16 | 4 flags u16 | 6 key length u16 | key | data
 *             branch: child page = low | high << 16 | flags << 32
 *             leaf: data length = low | high << 16; flags: 1 the data is the number of an overflow
 *             page, 2 the data is a database
 *   free      key: transaction u64; data: count u64, then page numbers u64, falling
 */
#ifndef STORE_LMDB_FILE_H
#define STORE_LMDB_FILE_H

#include "store/store.h"

#include <jini/error.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Makes `directory`/data.mdb, unless it is there, with all spaces in it, synced and in one step: it
 * is there as a whole or not at all. One process at a time; the caller syncs the directory.
 * JINI_E_FULL, JINI_E_IO, JINI_E_NO_MEMORY.
 */
int lmdb_file_create(const char *directory, struct jini_error *error);

/*
 * Copies the pages of a commit from one file to another, both open and at their beginning, beside
 * whoever commits more; a snapshot of that commit is open and keeps its pages. DRIVER_MOVED_ON: its
 * meta page is gone already. JINI_E_FULL, JINI_E_IO, JINI_E_NO_MEMORY, JINI_E_CORRUPT.
 */
int lmdb_file_copy(int source, uint64_t transaction, int target);

enum lmdb_check {
    LMDB_CHECK_ROOTS, /* metas, length and roots; all pages of a small file: a fixed cost */
    LMDB_CHECK_ALL    /* every page of the newest commit, each met once */
};

/*
 * Reads the file beside whoever uses it. `watch` may be NULL. JINI_E_CORRUPT: it is damaged, and
 * the error names the page. JINI_E_FORMAT: it is of another version or kind. JINI_E_CANCELLED: the
 * watch ended it. JINI_E_NOT_FOUND, JINI_E_IO, JINI_E_NO_MEMORY.
 */
int lmdb_file_check(const char *directory, enum lmdb_check extent, const struct store_watch *watch,
                    struct jini_error *error);

#endif
