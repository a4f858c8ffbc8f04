/*
 * Why an admission fell as it did: the limits, the balances, the tier and the cost as they stood
 * when it was decided.
 *
 * Of a job they stand with its record for as long as that is kept. Refusals write nothing durable:
 * the newest of them (decisions.kept of the process that made the file) stand in a ring in
 * decisions.shm of the database's directory, which all processes share. It is made by the first
 * refusal. A power loss may take any of it, and a process that is killed in the middle of one, that
 * one.
 */
#ifndef JINI_WHY_H
#define JINI_WHY_H

#include <jini/accounts.h>
#include <jini/generations.h>
#include <jini/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JINI_WHY_MESSAGE_MAX = 128, JINI_WHY_MODEL_MAX = 48 };

/* One limit, as it stood after the decision. */
struct jini_decision_limit {
    uint64_t amount;
    uint32_t multiples;
    uint16_t unit;  /* enum jini_limit_unit */
    uint16_t flags; /* enum jini_limit_flag */
    uint64_t remaining;
    uint64_t reset_ms; /* spans, from the time of the decision; UINT64_MAX: never */
    uint64_t retry_after_ms;
};

struct jini_decision {
    struct jini_id id; /* of the job; of a refusal `decision_id` of struct jini_admit */
    uint64_t time_ms;
    int32_t status;              /* 0: admitted */
    uint32_t parallel;           /* jobs of the subject that had not ended, an admitted one too */
    uint32_t parallel_max;       /* 0: any number */
    uint32_t tier_version;       /* changes of the tier before that; 0: as it was added */
    struct jini_subject subject; /* kind 0: an anonymous job, whose address is not kept */
    uint64_t cost;               /* in credits */
    uint64_t cost_version;       /* of the price list; 0: no entry said what it costs */
    uint64_t credits_before;     /* that the user could draw; 0 where there was no cost */
    uint64_t credits_after;
    uint32_t width;
    uint32_t height;
    uint32_t steps;
    uint32_t count;
    uint32_t limit_count;
    uint32_t decided; /* the limit that refused; JINI_LIMITS_MAX: none did */
    struct jini_decision_limit limits[JINI_LIMITS_MAX];
    char tier[JINI_TIER_NAME_MAX];
    char model[JINI_WHY_MODEL_MAX];     /* cut, where it is longer */
    char field[JINI_WHY_MODEL_MAX];     /* of a refusal: what refused, */
    char message[JINI_WHY_MESSAGE_MAX]; /* and how it was said, cut */
};

/*
 * Why a job was admitted, or a request refused. Any thread. JINI_E_NOT_FOUND: there is no such job,
 * it was admitted before this was kept, or the refusal is no longer among the newest.
 * JINI_E_CORRUPT: what the job's record keeps cannot be read.
 */
JINI_EXPORT int jini_why(struct jini *jini, const struct jini_id *id, struct jini_decision *out,
                         struct jini_error *error);

/*
 * The newest refusals, of a user (0: of anybody), newest first. Any thread; looks through the whole
 * ring, while others write to it. `count` 0: there are none.
 */
JINI_EXPORT int jini_why_last(struct jini *jini, uint64_t user_id, struct jini_decision *out,
                              size_t capacity, size_t *count, struct jini_error *error);

#ifdef __cplusplus
}
#endif
#endif
