/* The table of plans.h: open hashing under a lock; shared plans are only added. */
#include "engine/plans.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <pthread.h>

struct plans {
    pthread_mutex_t lock;
    uint32_t count;
    struct plan *slots[PLAN_NUMBERS]; /* by number */
};

struct plans *plans_new(void)
{
    struct plans *plans = base_calloc(1, sizeof(*plans));
    if (plans)
        pthread_mutex_init(&plans->lock, NULL);
    return plans;
}

static void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->quotas.count; i++)
        period_zone_close((struct period_zone *)(uintptr_t)plan->quotas.zones[i]);
    base_free(plan);
}

void plans_free(struct plans *plans)
{
    if (!plans)
        return;
    for (size_t i = 0; i < PLAN_NUMBERS; i++)
        plan_free(plans->slots[i]);
    pthread_mutex_destroy(&plans->lock);
    base_free(plans);
}

static int add_quota(struct plan *plan, uint32_t index, struct jini_error *error)
{
    const struct limit *limit = &plan->list.limits[index];
    struct quota_plan *quotas = &plan->quotas;
    uint32_t place = quotas->count;
    struct period_zone *zone = NULL;
    if (limit->period != LIMIT_FIRST_HIT && limit->zone[0] != '\0') {
        int status = period_zone_open(limit->zone, &zone);
        if (status)
            return error_set(error, JINI_E_INVALID, "zone", "this machine has no time zone \"%s\"",
                             limit->zone);
    }
    plan->quota_index[place] = (uint8_t)index;
    quotas->limits[place] = *limit;
    quotas->zones[place] = zone;
    quotas->count++;
    return 0;
}

static int fill(struct plan *plan, const char *text, struct jini_error *error)
{
    memcpy(plan->text, text, strlen(text) + 1);
    int status = text[0] == '\0' ? 0 : limit_parse(slice_of_text(text), &plan->list, error);
    for (uint32_t i = 0; status == 0 && i < plan->list.count; i++) {
        const struct limit *limit = &plan->list.limits[i];
        plan->entries[i] = (struct jini_limit_entry){
            .amount = limit->amount,
            .multiples = limit->multiples,
            .unit = (uint16_t)limit->unit,
            .flags = (uint16_t)((limit->shadow ? JINI_LIMIT_SHADOW : 0) |
                                (limit_is_quota(limit) ? JINI_LIMIT_QUOTA : 0)),
        };
        if (limit_is_quota(limit)) {
            status = add_quota(plan, i, error);
        } else {
            plan->rate_index[plan->rate_count] = (uint8_t)i;
            status = algorithm_prepare(limit, &plan->rates[plan->rate_count++], error);
        }
    }
    return status;
}

/* Held under the lock. The place of a text, or where it would go. */
static struct plan **find(struct plans *plans, const char *text)
{
    uint64_t hash = hash64(slice_of_text(text));
    for (uint64_t i = 0;; i++) {
        struct plan **slot = &plans->slots[(hash + i) % PLAN_NUMBERS];
        if (!*slot || strcmp((*slot)->text, text) == 0)
            return slot;
    }
}

static int make(const char *text, struct plan **out, struct jini_error *error)
{
    struct plan *plan = base_calloc(1, sizeof(*plan));
    *out = NULL;
    if (!plan)
        return error_set(error, JINI_E_NO_MEMORY, "limits", "out of memory");
    int status = fill(plan, text, error);
    if (status)
        plan_free(plan);
    else
        *out = plan;
    return status;
}

/* The shared plan of a text. NULL without an error: there is none, and no room for one more. */
static int get_shared(struct plans *plans, const char *text, struct plan **out,
                      struct jini_error *error)
{
    int status = 0;
    pthread_mutex_lock(&plans->lock);
    struct plan **slot = find(plans, text);
    if (!*slot && plans->count < PLANS_MAX) {
        status = make(text, slot, error);
        if (*slot) {
            (*slot)->shared = true;
            (*slot)->number = (uint32_t)(slot - plans->slots);
            plans->count++;
        }
    }
    *out = *slot;
    pthread_mutex_unlock(&plans->lock);
    return status;
}

int plans_check_length(const char *text, struct jini_error *error)
{
    if (strnlen(text, JINI_LIMITS_TEXT_MAX) < JINI_LIMITS_TEXT_MAX)
        return 0;
    return error_set(error, JINI_E_INVALID, "limits", "a limits text has up to %d bytes",
                     JINI_LIMITS_TEXT_MAX - 1);
}

int plans_get(struct plans *plans, const char *text, const struct plan **out,
              struct jini_error *error)
{
    struct plan *plan;
    *out = NULL;
    int status = plans_check_length(text, error);
    if (status)
        return status;
    status = get_shared(plans, text, &plan, error);
    if (status == 0 && !plan)
        status = make(text, &plan, error);
    *out = plan;
    return status;
}

const struct plan *plans_shared(const struct plans *plans, uint32_t number)
{
    return plans->slots[number % PLAN_NUMBERS];
}

void plan_release(const struct plan *plan)
{
    if (plan && !plan->shared)
        plan_free((struct plan *)(uintptr_t)plan);
}
