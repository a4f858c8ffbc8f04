/*
 * What is left of a pack whose local file is gone, or shorter than the index knows it.
 */
#ifndef ENGINE_REGAIN_H
#define ENGINE_REGAIN_H

#include "engine/engine_private.h"
#include "images/index.h"

/* Whether a pack's file is gone or cut, which the index says is there. Reads no bytes of it. */
int regain_is_cut(struct jini *jini, const struct index_pack *pack, bool *out);

/* Whether the file lies in packs/lost, in its length. */
bool regain_is_set_aside(struct jini *jini, const struct index_pack *pack);

/* The attempts of a pack of which the archive has an object, the oldest first. */
enum { REGAIN_ATTEMPTS_MAX = 16 };
struct regain_attempts {
    struct jini_id pack;
    size_t count;
    struct jini_id ids[REGAIN_ATTEMPTS_MAX];
};
int regain_list(struct jini *jini, struct jini_request *asker, const struct jini_id *pack,
                struct regain_attempts *out, struct jini_error *error);

#endif
