/*
 * Limit plans: limits texts made ready. What the hot path needs of a text, the prepared algorithms,
 * and what a transaction must not do, opening time zones, is done here.
 *
 *  1. A plan is immutable.
 *  2. The first PLANS_MAX texts have one SHARED plan each, which lives until the engine closes: a
 *     pointer to it may be cached anywhere.
 *  3. Every further text gets a plan of the caller's own at each plans_get(). It ends with
 *     plan_release(), so a pointer to it is never cached; it costs reading the text again. So any
 *     number of overrides is answered, with bounded memory.
 */
#ifndef ENGINE_PLANS_H
#define ENGINE_PLANS_H

#include "limits/algorithm.h"
#include "limits/quota.h"

#include <jini/accounts.h>
#include <jini/limits.h>

enum { PLANS_MAX = 4096, PLAN_NUMBERS = 2 * PLANS_MAX };

struct plan {
    char text[JINI_LIMITS_TEXT_MAX];
    bool shared;
    uint32_t number; /* of a shared plan */
    struct limit_list list;
    uint32_t rate_count;
    uint8_t rate_index[LIMITS_MAX];  /* their places in the list */
    uint8_t quota_index[LIMITS_MAX]; /* those of quotas.limits */
    struct algorithm rates[LIMITS_MAX];
    struct jini_limit_entry entries[LIMITS_MAX]; /* the parts of answers that do not change */
    struct quota_plan quotas;                    /* its anchor is the subject's: copy and fill in */
};

struct plans;

struct plans *plans_new(void);        /* NULL when out of memory */
void plans_free(struct plans *plans); /* after every plan of a caller's own was released */

/* JINI_E_INVALID: the text is longer than any that a tier or an override can keep. */
int plans_check_length(const char *text, struct jini_error *error);

/*
 * The plan of a text; an empty text is the plan without limits. Any thread. To be given back by
 * plan_release() when nothing points to it any more, its zones included (struct quota_plan is
 * copied with them).
 * JINI_E_INVALID: the text breaks a rule. JINI_E_NO_MEMORY.
 */
int plans_get(struct plans *plans, const char *text, const struct plan **out,
              struct jini_error *error);

/* A shared plan by its number, which somebody was told who was told the plan. Any thread. */
const struct plan *plans_shared(const struct plans *plans, uint32_t number);

/* Frees a plan of the caller's own; nothing for a shared one. Takes NULL. Any thread. */
void plan_release(const struct plan *plan);

#endif
