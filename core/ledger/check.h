/*
 * The ledger held against itself: the chain of its blocks, and all that follows from them. Runs
 * beside writers, on short snapshots: blocks never change, so what is compared with them is read
 * with the head of the same snapshot, and what came after that head does not count.
 */
#ifndef LEDGER_CHECK_H
#define LEDGER_CHECK_H

#include "store/store.h"

#include <jini/ledger.h>

enum { LEDGER_FINDING_TEXT_MAX = 256 };

/* Something that is wrong. Borrowed for the call. */
struct ledger_finding {
    const char *kind;  /* fixed, for tools: "ledger_block_altered" */
    const char *field; /* of the row that is wrong */
    char message[LEDGER_FINDING_TEXT_MAX];
};

struct ledger_check {
    struct store *store;
    void (*found)(void *context, const struct ledger_finding *finding); /* no snapshot is open */
    bool (*goes_on)(void *context, uint64_t events); /* false: JINI_E_CANCELLED */
    void *context;
};

/*
 * Memory: some 50 MiB while there are many accounts; the blocks are read once for each 200,000 of
 * them. Returns 0 also when something was found. JINI_E_CANCELLED, JINI_E_BUSY, JINI_E_IO,
 * JINI_E_NO_MEMORY.
 */
int ledger_check(const struct ledger_check *check, struct jini_error *error);

#endif
