/* Why admissions fell as they did: what is kept of a decision (why.c). */
#ifndef ENGINE_WHY_H
#define ENGINE_WHY_H

#include "engine/decisions.h"
#include "engine/facts.h"
#include "engine/rate.h"

#include <jini/admission.h>

/* What a decision stood on, as the request and `answer` say; without id, time and words. */
void why_fill(const struct jini_admit *admit, const struct allowed *allowed,
              const struct jini_limit_answer *answer, struct jini_decision *out);

/*
 * Keeps a refusal, and gives the request the id under which it is found; none, where it is no
 * decision or there is no room.
 */
void why_keep(struct jini *jini, struct jini_admit *admit, const struct allowed *allowed,
              int status);

#endif
