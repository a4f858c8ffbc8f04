/*
 * Ledgers with the same accounts and the same history: Jini's, PostgreSQL's and SQLite's, built
 * once in a run and used by one case after the other, and the rounds in which they are measured.
 */
#ifndef BENCH_LEDGERS_H
#define BENCH_LEDGERS_H

#include "jini_ledger.h"
#include "peers/postgres.h"
#include "peers/sqlite.h"
#include "transfers.h"

/* What was there before, in words. */
#define LEDGERS_HISTORY                                                                            \
    "The ledgers hold 10,000,000 transfers beforehand, in turns 8,190 between accounts of 10,000 " \
    "drawn at random and 8,190 between two hot ones, and those that the cases before have made. "  \
    "Each transfer has one of ten codes and no user data. "

/* What PostgreSQL and SQLite are, in words. */
#define LEDGERS_PEERS                                                                              \
    "PostgreSQL 15 of Debian runs with fsync, synchronous_commit and full_page_writes on, "        \
    "with " POSTGRES_SETTINGS ", by libpq and a Unix socket; SQLite with " SQLITE_METHOD           \
    ". Both have tables of accounts and of transfers with the same fields, a primary key on "      \
    "the id, and indexes by debit account and time, credit account and time, and code and "        \
    "time. PostgreSQL makes 98,000 transfers before the rounds: after a checkpoint it logs "       \
    "each page whole that is first written, and unwarmed it was little more than half as "         \
    "fast. No checkpoint falls into the rounds. Their amounts have 64 bits, they know no "         \
    "pending, linked or balancing transfers, answer without balances and keep no hashes, all "     \
    "of which favours them. All check that the accounts exist and that the id is new, and in "     \
    "the end that debits and credits are equal and as much as was moved. "

struct ledgers {
    uint32_t accounts;
    uint64_t batches; /* of the history */
    struct jini_ledger *jini;
    struct postgres *postgres; /* NULL: there is none on this machine */
    struct sqlite *sqlite;
};

/* With PostgreSQL warmed up. */
void ledgers_open(const struct bench_options *options, struct ledgers *out,
                  struct bench_result *result);
void ledgers_close(struct ledgers *ledgers);

/* One of those that are measured in turns. */
struct contestant {
    const char *name;
    void *self; /* NULL: it is missing, and takes no part */
    void (*sums)(void *self, struct transfer_sums *out);
    struct transfer_source source;
    struct transfer_sums before;
    struct bench_series per_s;
};

/* What the accounts add up to before and after the rounds: it must be what was moved. */
void contestant_begin(struct contestant *contestant);
void contestant_end(struct contestant *contestant, struct bench_result *result);

/* Median of the ratios of neighbouring rounds; a field of the result, unless one is missing. */
void contestants_compare(struct bench_result *result, const char *field,
                         const struct contestant *contestant, const struct contestant *other);

#endif
