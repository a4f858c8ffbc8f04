/*
 * The newest refusals, in a file that all processes share. decisions.c has its format.
 */
#ifndef ENGINE_DECISIONS_H
#define ENGINE_DECISIONS_H

#include "base/clock.h"
#include "base/log.h"

#include <jini/error.h>
#include <jini/why.h>
#include <stdbool.h>

enum { DECISIONS_SLOT_BYTES = 512, DECISIONS_LEAST = 64, DECISIONS_MOST = 1 << 20 };

struct decisions;

/* NULL: out of memory. `kept` is for who makes the file. Nothing is opened yet. */
struct decisions *decisions_new(const char *directory, uint64_t kept);
void decisions_free(struct decisions *decisions); /* takes NULL */

/*
 * Adds one, and never waits for others. The first of a process opens the file or makes it, which
 * takes some milliseconds once, where it `may_make` it. False: there is none, or no room for it:
 * it takes no more than a quarter of what is free.
 */
bool decisions_add(struct decisions *decisions, const struct jini_decision *decision,
                   bool may_make);

/*
 * The newest first, of a user (0: of anybody) or of one id (not NULL). Slots that are being
 * written, were left torn, or hold what no process has written are passed over.
 */
struct decisions_wanted {
    uint64_t user_id;
    const struct jini_id *id;
};
size_t decisions_list(struct decisions *decisions, const struct decisions_wanted *wanted,
                      struct jini_decision *out, size_t capacity);

#endif
