/*
 * Limit plans: limits texts made ready, once per text. What the hot path needs of a text, the prepared
 * algorithms, and what a transaction must not do, opening time zones, is done here.
 *
 * Plans are immutable and live until the engine closes, so a pointer to one may be cached anywhere. There are at most
 * PLANS_MAX: texts come from tiers and overrides, which are few.
 */
#ifndef ENGINE_PLANS_H
#define ENGINE_PLANS_H

#include "limits/algorithm.h"
#include "limits/quota.h"

#include <jini/accounts.h>
#include <jini/limits.h>

enum { PLANS_MAX = 4096 };

struct plan {
    char text[JINI_LIMITS_TEXT_MAX];
    struct limit_list list;
    uint32_t rate_count;
    uint8_t rate_index[LIMITS_MAX];  /* their places in the list */
    uint8_t quota_index[LIMITS_MAX]; /* those of quotas.limits */
    struct algorithm rates[LIMITS_MAX];
    struct jini_limit_entry entries[LIMITS_MAX]; /* the parts of answers that do not change */
    struct quota_plan quotas;                    /* its anchor is the subject's: copy and fill in */
};

struct plans;

struct plans *plans_new(void); /* NULL when out of memory */
void plans_free(struct plans *plans);

/*
 * The plan of a text; an empty text is the plan without limits. Any thread.
 * JINI_E_INVALID: the text breaks a rule. JINI_E_BUSY: PLANS_MAX texts are in use. JINI_E_NO_MEMORY.
 */
int plans_get(struct plans *plans, const char *text, const struct plan **out,
              struct jini_error *error);

#endif
