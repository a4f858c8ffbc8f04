/*
 * The inside of rate limits, shared by its files:
 *
 *   rate.c         opening, subjects, reset
 *   rate_charge.c  a charge of all rate limits of a plan, and giving it back
 *   rate_check.c   jini_limit_check(), and whom and what it counts
 *   rate_report.c  what is told: refusals in words, quotas, the top list, figures
 *   quota_clean.c  quota rows of addresses that are over
 */
#ifndef ENGINE_RATE_PRIVATE_H
#define ENGINE_RATE_PRIVATE_H

#include "engine/rate.h"
#include "engine/user_cache.h"

/* Where the cleaning of quota rows stands; see quota_clean.c. */
struct quota_cleaning {
    uint64_t rest_until_ns; /* boot time */
    uint64_t now_ns;        /* wall time of the slice */
    bool found;             /* something to remove, in this turn */
    uint32_t removed;       /* by the last run of the op */
    struct quota_sweep sweep;
};

/*
 * How full a region is, as of a moment ago: a look takes milliseconds, and a full region refuses
 * many at once.
 */
struct rate_fullness {
    pthread_mutex_t lock;
    uint64_t until_ns; /* boot time; 0: never looked */
    struct table_occupancy occupancy;
};

struct rates {
    struct table *table;
    struct user_cache *users;
    /* The shared plan of a user seen lately, which most users have; a guess. */
    const struct plan *_Atomic usual;
    struct quota_cleaning cleaning; /* the background thread's, as the next two */
    uint64_t check_at_ns;           /* when the table is looked at again; boot time */
    int noted;                      /* the table's state as the log has it */
    _Atomic uint64_t quota_rows_removed;
    struct rate_fullness fullness[TABLE_REGIONS];
};

/* ---- Subjects ---- */

/* Where the table counts a subject under a limit. JINI_E_INVALID: no such kind. */
int rate_subject(struct table_subject *out, const struct jini_subject *subject, uint64_t scope,
                 const struct limit *limit);

static inline bool has_own_limits(const struct jini_subject *subject)
{
    return subject->kind == JINI_SUBJECT_USER || subject->kind == JINI_SUBJECT_ADDRESS;
}

/* ---- Checks and resets ---- */

/*
 * What a check counts, which a reset forgets: who, by which limits, in which scope. The cost and
 * the flags of the check are not looked at.
 */

/* JINI_E_INVALID: a member breaks a rule. */
int rate_whom(const struct jini_limit_check *check, struct jini_error *error);

/* 0: the subject's own limits. */
uint64_t rate_scope(const struct jini_limit_check *check);

/*
 * The plan of the text, or the subject's own; to be released, after an error too. JINI_E_INVALID:
 * the text breaks a rule or has quotas.
 */
int rate_plan(struct jini *jini, const struct jini_limit_check *check, const struct plan **out,
              struct jini_error *error);

/* ---- Charging ---- */

/* A charge of all rate limits of a plan on its way. */
struct rate_attempt {
    const struct plan *plan;
    uint32_t flags;
    uint64_t cost;
    uint64_t now_ns;
    bool beside_quotas; /* entries stand at their places in the text; else one after the other */
    struct table_subject subjects[LIMITS_MAX];
    struct table_item items[LIMITS_MAX];
    struct table_answer answers[LIMITS_MAX];
};

/* Fills in the subjects from one on. JINI_E_INVALID: no such kind. */
int rate_prepare(struct rate_attempt *attempt, uint32_t from, const struct jini_subject *subject,
                 uint64_t scope);

/* Charges, or looks only, as its flags say; the answer gets the entries of all rate limits. */
int rate_run(struct jini *jini, struct rate_attempt *attempt, struct jini_limit_answer *answer,
             struct jini_error *error);

/* ---- Refusals in words ---- */

/*
 * Why a region that fails closed counts a subject not at all. JINI_E_BUSY: it has no place for one
 * more, or a stopped process holds the place. `status`: there is no table.
 */
int rate_region_full(struct jini *jini, enum table_region region, uint64_t retry_after_ms,
                     struct jini_error *error);
int rate_place_held(const struct jini *jini, uint64_t retry_after_ms, struct jini_error *error);
int rate_no_table(struct jini *jini, enum table_region region, int status,
                  struct jini_error *error);

/* JINI_E_READ_ONLY: why even a look is refused. */
int rate_explain_read_only(struct jini_error *error);

/* Rounded up, so that coming back then is not too early; UINT64_MAX, never, stays. */
static inline uint64_t rate_ms(uint64_t ns)
{
    return ns == UINT64_MAX ? UINT64_MAX : ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

/*
 * Until all of a rate limit is there again. A fixed window ends on a whole ms, up to one later than
 * its period: nobody is told of a window longer than that. When to come back is told exactly.
 */
static inline uint64_t rate_reset_ms(enum limit_algorithm algorithm, uint32_t period_ms,
                                     uint64_t reset_ns)
{
    uint64_t ms = rate_ms(reset_ns);
    return algorithm == LIMIT_FIXED_WINDOW && ms > period_ms ? period_ms : ms;
}

#endif
