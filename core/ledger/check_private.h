/*
 * The parts of the check.
 *
 *   check.c           the blocks, from first to last: chain, balances, history
 *   check_rows.c      ids, postings and pending transfers, by sums over both sides
 */
#ifndef LEDGER_CHECK_PRIVATE_H
#define LEDGER_CHECK_PRIVATE_H

#include "ledger/chains.h"
#include "ledger/check.h"
#include "ledger/id_map.h"
#include "ledger/place.h"
#include "ledger/postings.h"

/*
 * A set by its count and the sum of the hashes of its members: two sets with the same are the same.
 * The seed is drawn anew for each check, so that nobody can choose members whose sums agree.
 */
struct check_sum {
    uint64_t count;
    uint64_t sum;
};

enum check_set {
    CHECK_POSTINGS =
        0, /* by field: of DEBITS and CREDITS the marks, then POSTINGS_CODE and so on */
    CHECK_IDS = POSTINGS_FIELDS,
    CHECK_PENDING,
    CHECK_ENDS,
    CHECK_SETS
};

struct checking {
    const struct ledger_check *check;
    struct jini_error *error;
    uint64_t seed;
    uint64_t last_ns;     /* of the events that the sums are of */
    uint64_t sides;       /* of those events, whose accounts were found */
    bool accounts_missed; /* some could not be read, so that events may be of those */
    bool events_missed;   /* the same of blocks: there is nothing to compare rows with */
    struct check_sum of_events[CHECK_SETS]; /* that there should be */
    struct check_sum of_rows[CHECK_SETS];   /* that there are */
    struct block block;
};

void check_found(struct checking *checking, const char *kind, const char *field, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

void check_add(const struct checking *checking, struct check_sum *sum, const void *member,
               size_t length);

/* A row that the store cannot give: those behind it were not checked. */
void check_space_damaged(struct checking *checking, enum store_space space, int status);

/* A mark in the chain of an account. */
void check_add_mark(const struct checking *checking, struct check_sum *sums,
                    const struct jini_id *account_id, enum block_side side, uint64_t timestamp);

/* The members of each other set that an event makes. */
void check_add_event(struct checking *checking, const struct jini_transfer *event);

/* Sums up the rows, and tells which sets differ. */
int check_rows(struct checking *checking);

#endif
