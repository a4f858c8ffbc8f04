/*
 * The public check. A check of a user takes: the clock, 16 bytes of the user, the two change words,
 * and one compare-and-swap in the table. What is not at hand is read from a snapshot, once.
 */
#include "engine/rate_private.h"

#include "base/error.h"
#include "base/hash.h"
#include "engine/jobs.h"

/* ---- What is counted ---- */

int rate_whom(const struct jini_limit_check *check, struct jini_error *error)
{
    if (check->scope && strlen(check->scope) >= JINI_SCOPE_MAX)
        return error_set(error, JINI_E_INVALID, "scope", "a scope has up to %d bytes",
                         JINI_SCOPE_MAX - 1);
    int status = subject_check(&check->subject, error);
    if (status || check->limits)
        return status;
    if (!has_own_limits(&check->subject))
        return error_set(error, JINI_E_INVALID, "limits",
                         "users and addresses have limits of their own, this kind needs a text");
    if (check->scope)
        return error_set(error, JINI_E_INVALID, "scope",
                         "limits of a subject's own have no scope; a text of limits has");
    return 0;
}

uint64_t rate_scope(const struct jini_limit_check *check)
{
    if (!check->limits)
        return 0;
    uint64_t hash = hash64(slice_of_text(check->scope ? check->scope : ""));
    return hash ? hash : 1;
}

int rate_plan(struct jini *jini, const struct jini_limit_check *check, const struct plan **out,
              struct jini_error *error)
{
    struct allowed allowed;
    if (!check->limits) {
        int status = allowance_of(jini, user_of(&check->subject), &allowed, error);
        *out = allowed.plan;
        return status;
    }
    int status = plans_get(jini->plans, check->limits, out, error);
    if (status == 0 && (*out)->quotas.count > 0)
        status = error_set(error, JINI_E_INVALID, "limits",
                           "quotas, of an hour or more, are counted by jini_admit() only");
    return status;
}

/* ---- Checks ---- */

/* Reads a user's plan from a snapshot and keeps it at hand. The plan of `out` is to be released. */
static int load_user(struct jini *jini, uint64_t user_id, struct user_entry *out,
                     struct jini_error *error)
{
    struct allowed allowed;
    struct user_words words = user_cache_words(jini->rates->users, user_id);
    int status = allowance_of(jini, user_id, &allowed, error);
    if (status)
        return status;
    *out = (struct user_entry){.plan = allowed.plan,
                               .active = (allowed.flags & JINI_USER_ACTIVE) != 0,
                               .until_ms = allowed.until_ms};
    user_cache_put(jini->rates->users, user_id, &words, out);
    return 0;
}

/*
 * The user whom the thread checked last, and where its first rate limit is counted: in a table of
 * this or another database, which the place's generation tells.
 */
static _Thread_local struct {
    uint64_t user;
    struct table_subject place;
} last_checked;

/*
 * A check of one of many users waits twice for memory: for what is at hand of the user, and for the
 * slot that counts it. Both are asked for at once here, before anything is known of the user: the
 * slot lies where the plan that most users have would count it. `guess` says where that is. Of the
 * user who was the last one too all of that is in the processor's cache.
 */
static void ask_for_memory(const struct rates *rates, const struct jini_subject *subject,
                           struct table_subject *guess)
{
    if (last_checked.user == subject->number) {
        *guess = last_checked.place;
        return;
    }
    guess->generation = 0;
    user_cache_prefetch(rates->users, subject->number);
    const struct plan *plan = atomic_load_explicit(&rates->usual, memory_order_acquire);
    if (plan && plan->rate_count > 0 &&
        rate_subject(guess, subject, 0, &plan->list.limits[plan->rate_index[0]]) == 0)
        table_prefetch(rates->table, guess);
}

/* Whether a user whose first rate limit is this one is counted where it was guessed. */
static bool is_right(const struct table_subject *guess, const struct limit *limit)
{
    return guess->generation != 0 && guess->algorithm == limit->algorithm &&
           guess->period_ms == limit->period_ms && guess->ordinal == limit->ordinal;
}

/* attempt->subjects[0] is what ask_for_memory() guessed. */
static int charge_user(struct jini *jini, const struct user_entry *entry,
                       const struct jini_subject *subject, struct rate_attempt *attempt,
                       struct jini_limit_answer *answer, struct jini_error *error)
{
    const struct plan *plan = entry->plan;
    struct table_subject *first = &attempt->subjects[0];
    if (!entry->active)
        return error_set(error, JINI_E_INACTIVE, "subject", "the account is disabled");
    attempt->plan = plan;
    bool guessed = plan->rate_count > 0 && is_right(first, &plan->list.limits[plan->rate_index[0]]);
    int status = rate_prepare(attempt, guessed ? 1 : 0, subject, 0);
    if (status)
        return error_set(error, status, "subject", "%s", jini_status_text(status));
    status = rate_run(jini, attempt, answer, error);
    if (plan->rate_count > 0 && (!guessed || last_checked.user != subject->number ||
                                 last_checked.place.generation != first->generation ||
                                 last_checked.place.slot != first->slot)) {
        last_checked.user = subject->number;
        last_checked.place = *first;
    }
    return status;
}

static int check_user(struct jini *jini, const struct jini_limit_check *check,
                      struct rate_attempt *attempt, struct jini_limit_answer *answer,
                      struct jini_error *error)
{
    struct user_entry entry;
    uint64_t user_id = check->subject.number;
    ask_for_memory(jini->rates, &check->subject, &attempt->subjects[0]);
    attempt->now_ns = clock_boot_ns(jini->clock); /* while they come */
    if (user_cache_find(jini->rates->users, user_id, &entry) &&
        (entry.until_ms == 0 || clock_wall_ns(jini->clock) / NS_PER_MS < entry.until_ms))
        return charge_user(jini, &entry, &check->subject, attempt, answer, error);
    int status = load_user(jini, user_id, &entry, error);
    if (status)
        return status;
    attempt->now_ns = clock_boot_ns(jini->clock); /* reading took a while */
    if (entry.plan->shared)
        atomic_store_explicit(&jini->rates->usual, entry.plan, memory_order_release);
    status = charge_user(jini, &entry, &check->subject, attempt, answer, error);
    plan_release(entry.plan);
    return status;
}

/* Limits of the caller's own, or of an address. */
static int check_other(struct jini *jini, const struct jini_limit_check *check,
                       struct rate_attempt *attempt, struct jini_limit_answer *answer,
                       struct jini_error *error)
{
    attempt->now_ns = clock_boot_ns(jini->clock);
    int status = rate_plan(jini, check, &attempt->plan, error);
    if (status) {
        error_complete(error, status, "limits", "the limits");
    } else {
        status = rate_prepare(attempt, 0, &check->subject, rate_scope(check));
        status = status ? error_complete(error, status, "subject", "the subject")
                        : rate_run(jini, attempt, answer, error);
    }
    plan_release(attempt->plan);
    return status;
}

/* `*full`: the row has no place for one of them, which its outcome says. */
static int read_quotas(struct jini *jini, struct quota_charge *quotas, struct standing *standing,
                       bool *full, struct jini_error *error)
{
    struct store_txn *txn;
    *full = false;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = standing_read(txn, quotas, standing);
    store_read_end(txn);
    *full = status == JINI_E_BUSY;
    return status && !*full ? error_set(error, status, "quota", "the quotas cannot be read: %s",
                                        jini_status_text(status))
                            : 0;
}

/*
 * Quotas and jobs as they stand, beside the rate limits of a peek. Where they cannot be read there
 * is no answer at all, not even that of a rate limit that refused: entries without counts would say
 * that nothing is left.
 */
static int peek_quotas(struct jini *jini, const struct jini_limit_check *check,
                       const struct allowed *allowed, struct jini_limit_answer *answer,
                       struct jini_error *error)
{
    struct quota_plan plan = allowed->plan->quotas;
    plan.anchor_ns = allowed->anchor_ns;
    struct quota_charge charge = {.subject = quota_subject_of(&check->subject),
                                  .plan = &plan,
                                  .now_ns = clock_wall_ns(jini->clock),
                                  .cost = check->cost};
    struct standing standing;
    uint32_t parallel_max = allowed->allowance.parallel_max;
    bool full;
    int status = read_quotas(jini, &charge, &standing, &full, error);
    if (status) {
        answer->count = 0;
        answer->decided = JINI_LIMITS_MAX;
        answer->retry_after_ms = 0;
        return status;
    }
    rate_add_quotas(allowed->plan, &charge, answer);
    answer->parallel = standing.parallel;
    answer->parallel_max = parallel_max;
    if (answer->decided < JINI_LIMITS_MAX) /* a rate limit has refused, and the error says so */
        return 0;
    struct jini_error refusal;
    if (check->cost > 0 && standing_check_parallel(&standing, parallel_max, &refusal) != 0) {
        answer->retry_after_ms = refusal.retry_after_ms;
        if (error)
            *error = refusal;
        return refusal.code;
    }
    if (full)
        return rate_quotas_full(&charge, error);
    if (charge.decided == plan.count)
        return 0;
    answer->decided = allowed->plan->quota_index[charge.decided];
    answer->retry_after_ms = answer->entries[answer->decided].retry_after_ms;
    return rate_refusal(answer, error);
}

/*
 * Rate limits and quotas of a subject's own by one reading of its plan, whatever changes meanwhile.
 */
static int peek_own(struct jini *jini, const struct jini_limit_check *check,
                    struct rate_attempt *attempt, struct jini_limit_answer *answer,
                    struct jini_error *error)
{
    struct allowed allowed;
    int status = allowance_of(jini, user_of(&check->subject), &allowed, error);
    if (status)
        return status;
    attempt->plan = allowed.plan;
    attempt->beside_quotas = true;
    attempt->now_ns = clock_boot_ns(jini->clock);
    if (allowed.flags & JINI_USER_ACTIVE)
        status = rate_prepare(attempt, 0, &check->subject, 0);
    else
        status = JINI_E_INACTIVE;
    if (status)
        error_set(error, status, "subject", "%s", jini_status_text(status));
    else
        status = rate_run(jini, attempt, answer, error);
    if (status == 0 || status == JINI_E_LIMITED) {
        int quota = peek_quotas(jini, check, &allowed, answer, error);
        status = quota ? quota : status;
    }
    plan_release(allowed.plan);
    return status;
}

static int check_members(const struct jini *jini, const struct jini_limit_check *check,
                         struct jini_error *error)
{
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    if (!jini->rates)
        return rate_explain_read_only(error);
    if (check->cost == 0 && !(check->flags & JINI_CHECK_PEEK))
        return error_set(error, JINI_E_INVALID, "cost", "a cost is 1 or more");
    status = check_flags(check->flags, JINI_CHECK_PEEK | JINI_CHECK_IN_ORDER, error);
    return status ? status : rate_whom(check, error);
}

int jini_limit_check(struct jini *jini, const struct jini_limit_check *check,
                     struct jini_limit_answer *answer, struct jini_error *error)
{
    struct rate_attempt attempt;
    answer->count = 0;
    answer->decided = JINI_LIMITS_MAX;
    answer->retry_after_ms = 0;
    answer->cost = check->cost;
    answer->parallel = 0;
    answer->parallel_max = 0;
    int status = check_members(jini, check, error);
    if (__builtin_expect(status != 0, 0))
        return status;
    attempt.flags = check->flags;
    attempt.cost = check->cost;
    attempt.beside_quotas = false;
    if (check->limits)
        status = check_other(jini, check, &attempt, answer, error);
    else if (check->flags & JINI_CHECK_PEEK)
        status = peek_own(jini, check, &attempt, answer, error);
    else if (check->subject.kind == JINI_SUBJECT_USER)
        status = check_user(jini, check, &attempt, answer, error);
    else
        status = check_other(jini, check, &attempt, answer, error);
    if (status == 0 && error)
        error->code = 0;
    return status;
}
