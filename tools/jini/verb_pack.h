/* What the verbs of packs share. They open a file, and no database. */
#ifndef JINI_CLI_VERB_PACK_H
#define JINI_CLI_VERB_PACK_H

#include "verb.h"

/* Walks through the pack of the first argument, with a bar called `what`; NULL: none. */
struct pack_walk {
    const char *what;
    uint32_t flags;       /* enum jini_pack_flag */
    jini_pack_fn *report; /* ends early by pack_walk_on() */
    void *context;
    struct jini_pack *pack; /* while it is walked through */
    uint64_t file_bytes;
    struct jini_pack_summary summary; /* out */
};
int pack_walk(struct command *command, struct pack_walk *walk);

/* Shows how far the walk is. 0, or JINI_E_CANCELLED: it is to end. */
int pack_walk_on(const struct pack_walk *walk, const struct jini_pack_item *item);

#endif
