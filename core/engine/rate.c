/*
 * Rate limits of the engine. A check of a user takes: the clock, one cache line of the user, the two change words,
 * and one compare-and-swap in the table. What is not at hand is read from a snapshot, once.
 */
#include "engine/rate.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "engine/metrics.h"
#include "engine/user_cache.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct rates {
    struct table *table;
    struct user_cache *users;
    /* The shared plan of a user seen lately, which most users have; a guess. */
    const struct plan *_Atomic usual;
};

/* ---- Opening ---- */

enum { SHARED_WORD_LIMITS = 0 };

static bool process_alive(void *context, uint32_t slot, uint32_t incarnation)
{
    return store_process_alive(context, (struct store_process){slot, incarnation});
}

int rates_open(struct jini *jini, struct jini_error *error)
{
    const struct jini_options *options = &jini->options;
    struct store_process self = store_self(jini->store);
    struct table_options table;
    table_options_init(&table);
    table.directory = jini->directory;
    table.clock = jini->clock;
    table.generation = store_shared_word(jini->store, SHARED_WORD_LIMITS);
    table.holder_slot = self.slot;
    table.holder_incarnation = self.incarnation;
    table.alive = process_alive;
    table.alive_context = jini->store;
    table.wait_ms = (uint32_t)options->limits_claim_wait_ms;
    table.regions[TABLE_AUTHENTICATED] = (struct table_region_options){
        (uint32_t)options->limits_slots,
        options->limits_when_full == JINI_WHEN_FULL_OPEN ? TABLE_FAIL_OPEN : TABLE_FAIL_CLOSED};
    table.regions[TABLE_ANONYMOUS] = (struct table_region_options){
        (uint32_t)options->limits_slots_anonymous,
        options->limits_when_full_anonymous == JINI_WHEN_FULL_OPEN ? TABLE_FAIL_OPEN
                                                                   : TABLE_FAIL_CLOSED};
    struct rates *rates = base_calloc(1, sizeof(*rates));
    if (!rates)
        return error_set(error, JINI_E_NO_MEMORY, "limits", "out of memory");
    jini->rates = rates;
    rates->users = user_cache_new(jini->store, options->cache_users);
    if (!rates->users)
        return error_set(error, JINI_E_NO_MEMORY, "cache.users", "out of memory");
    return table_open(&table, &rates->table, error);
}

void rates_close(struct jini *jini)
{
    struct rates *rates = jini->rates;
    if (!rates)
        return;
    table_close(rates->table);
    user_cache_free(rates->users);
    base_free(rates);
    jini->rates = NULL;
}

/* ---- Subjects ---- */

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

int jini_subject_parse_address(const char *text, struct jini_subject *out)
{
    struct in_addr ipv4;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        memset(out->address + 10, 0xff, 2);
        memcpy(out->address + 12, &ipv4, 4);
    } else if (inet_pton(AF_INET6, text, out->address) != 1) {
        return JINI_E_INVALID;
    }
    out->kind = JINI_SUBJECT_ADDRESS;
    return 0;
}

static int subject_init(struct table_subject *out, const struct jini_subject *subject,
                        uint64_t scope, const struct limit *limit)
{
    static const enum table_kind kinds[] = {[JINI_SUBJECT_API_KEY] = TABLE_API_KEY,
                                            [JINI_SUBJECT_TIER] = TABLE_TIER,
                                            [JINI_SUBJECT_MODEL] = TABLE_MODEL,
                                            [JINI_SUBJECT_GLOBAL] = TABLE_GLOBAL};
    switch (subject->kind) {
    case JINI_SUBJECT_USER:
        return table_subject_user(out, subject->number, scope, limit);
    case JINI_SUBJECT_ADDRESS:
        return table_subject_address(out,
                                     is_ipv4(subject->address) ? slice_of(subject->address + 12, 4)
                                                               : slice_of(subject->address, 16),
                                     scope, limit);
    case JINI_SUBJECT_API_KEY:
    case JINI_SUBJECT_TIER:
    case JINI_SUBJECT_MODEL:
    case JINI_SUBJECT_GLOBAL: {
        uint8_t number[8];
        store_le64(number, subject->number);
        return table_subject_init(out, TABLE_AUTHENTICATED, kinds[subject->kind],
                                  slice_of(number, sizeof(number)), scope, limit);
    }
    default:
        return JINI_E_INVALID;
    }
}

int subject_check(const struct jini_subject *subject, struct jini_error *error)
{
    if (subject->kind < JINI_SUBJECT_USER || subject->kind > JINI_SUBJECT_GLOBAL)
        return error_set(error, JINI_E_INVALID, "subject", "%u is no kind of subject, 1 to %d are",
                         subject->kind, JINI_SUBJECT_GLOBAL);
    if (subject->kind == JINI_SUBJECT_USER && subject->number == 0)
        return error_set(error, JINI_E_INVALID, "subject",
                         "0 is no user's id; who has no account counts by address");
    return 0;
}

static bool has_own_limits(const struct jini_subject *subject)
{
    return subject->kind == JINI_SUBJECT_USER || subject->kind == JINI_SUBJECT_ADDRESS;
}

static uint64_t user_of(const struct jini_subject *subject)
{
    return subject->kind == JINI_SUBJECT_USER ? subject->number : 0;
}

static struct quota_subject quota_subject_of(const struct jini_subject *subject)
{
    struct quota_subject out = {.user_id = user_of(subject)};
    memcpy(out.address, subject->address, sizeof(out.address));
    return out;
}

/* ---- Answers ---- */

static uint64_t to_ms(uint64_t ns)
{
    return ns == UINT64_MAX ? UINT64_MAX : ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

/* A receipt in the private words of an entry; its period follows from the entry. */
static void receipt_pack(const struct table_receipt *receipt, struct jini_limit_entry *entry)
{
    entry->window = receipt->charge.window;
    entry->receipt[0] = receipt->generation;
    entry->receipt[1] = receipt->tag;
    entry->receipt[2] = receipt->bucket | (uint64_t)(receipt->slot & 0xff) << 32 |
                        (uint64_t)(receipt->region & 0xff) << 40 |
                        (uint64_t)receipt->charge.kind << 48;
    entry->receipt[3] = receipt->charge.cost;
}

static bool receipt_unpack(const struct jini_limit_entry *entry, struct table_receipt *out)
{
    static const uint32_t unit_ms[] = {1000, 60000};
    uint64_t place = entry->receipt[2];
    if (entry->receipt[1] == 0 || entry->unit > JINI_UNIT_MINUTE)
        return false;
    *out = (struct table_receipt){
        .charge = {(enum limit_algorithm)(place >> 48), entry->multiples * unit_ms[entry->unit],
                   entry->window, entry->receipt[3]},
        .generation = entry->receipt[0],
        .tag = entry->receipt[1],
        .region = (uint32_t)(place >> 40 & 0xff),
        .bucket = (uint32_t)place,
        .slot = (uint32_t)(place >> 32 & 0xff),
    };
    return true;
}

static void fill_entry(struct jini_limit_entry *entry, const struct table_answer *answer)
{
    entry->remaining = answer->remaining;
    entry->reset_ms = to_ms(answer->reset_ns);
    entry->retry_after_ms = to_ms(answer->retry_after_ns);
    receipt_pack(&answer->receipt, entry);
    if (answer->verdict == TABLE_REFUSED || answer->verdict == TABLE_SHADOW)
        entry->flags |= JINI_LIMIT_REFUSED;
}

void rate_add_quotas(const struct plan *plan, const struct quota_charge *quotas,
                     struct jini_limit_answer *answer)
{
    answer->count = plan->list.count;
    for (uint32_t i = 0; i < plan->quotas.count; i++) {
        uint32_t place = plan->quota_index[i];
        const struct quota_outcome *outcome = &quotas->outcomes[i];
        struct jini_limit_entry *entry = &answer->entries[place];
        *entry = plan->entries[place];
        entry->remaining = outcome->remaining;
        entry->reset_ms = to_ms(outcome->reset_ns);
        entry->retry_after_ms = to_ms(outcome->retry_after_ns);
        entry->window = quotas->receipts[i].start_ns;
        if (outcome->refused)
            entry->flags |= JINI_LIMIT_REFUSED;
    }
}

void jini_limit_describe(const struct jini_limit_entry *entry, char *text, size_t capacity)
{
    static const char *const units[] = {"second", "minute", "hour", "day", "month", "year"};
    const char *unit = entry->unit <= JINI_UNIT_YEAR ? units[entry->unit] : "unit";
    if (capacity > 0)
        snprintf(text, capacity, "%llu per %u %s", (unsigned long long)entry->amount,
                 entry->multiples, unit);
}

/* A span as people say it, rounded up, so that coming back then is not too early. */
static void describe_span(uint64_t ms, char *text, size_t capacity)
{
    uint64_t s = ms / 1000 + (ms % 1000 != 0);
    if (ms < 1000)
        snprintf(text, capacity, "%llu ms", (unsigned long long)ms);
    else if (s < 120)
        snprintf(text, capacity, "%llu s", (unsigned long long)s);
    else
        snprintf(text, capacity, "%llu h %llu min", (unsigned long long)((s + 59) / 3600),
                 (unsigned long long)((s + 59) % 3600 / 60));
}

int rate_refusal(const struct jini_limit_answer *answer, struct jini_error *error)
{
    char limit[64];
    char field[64];
    char when[32];
    const struct jini_limit_entry *entry = &answer->entries[answer->decided];
    describe_span(entry->retry_after_ms, when, sizeof(when));
    jini_limit_describe(entry, limit, sizeof(limit));
    snprintf(field, sizeof(field), "%s", entry->flags & JINI_LIMIT_QUOTA ? "quota" : "rate");
    if (entry->retry_after_ms == UINT64_MAX)
        error_set(error, JINI_E_LIMITED, field,
                  "Rate limit exceeded: %s; a cost of %llu never fits", limit,
                  (unsigned long long)answer->cost);
    else
        error_set(error, JINI_E_LIMITED, field,
                  "Rate limit exceeded: %s; %llu left, the cost is %llu; come back in %s", limit,
                  (unsigned long long)entry->remaining, (unsigned long long)answer->cost, when);
    if (error)
        error->retry_after_ms = entry->retry_after_ms;
    return JINI_E_LIMITED;
}

/* The table's refusals that are no limit's. */
static int explain_unable(int status, const struct table_answer *answers, uint32_t count,
                          struct jini_error *error)
{
    bool full = false;
    for (uint32_t i = 0; i < count; i++)
        full |= answers[i].verdict == TABLE_FULL;
    if (status == JINI_E_BUSY && full)
        return error_set(error, status, "limits.slots",
                         "the table of rate limits is full of other subjects; make it larger");
    if (status == JINI_E_BUSY)
        return error_set(error, status, "limits.claim_wait_ms",
                         "a stopped process holds the place where this subject is counted");
    return error_set(error, status, "limits", "the table of rate limits: %s",
                     jini_status_text(status));
}

/* ---- Charging ---- */

/* A charge of all rate limits of a plan on its way. */
struct attempt {
    const struct plan *plan;
    uint32_t flags;
    uint64_t cost;
    uint64_t now_ns;
    bool beside_quotas; /* entries stand at their places in the text; else one after the other */
    struct table_subject subjects[LIMITS_MAX];
    struct table_item items[LIMITS_MAX];
    struct table_answer answers[LIMITS_MAX];
};

static int peek_all(struct table *table, struct attempt *attempt)
{
    int status = 0;
    for (uint32_t i = 0; i < attempt->plan->rate_count; i++) {
        int peeked = table_peek(table, &attempt->items[i], attempt->now_ns, &attempt->answers[i]);
        if (peeked)
            return peeked;
        if (attempt->answers[i].verdict == TABLE_REFUSED && status == 0)
            status = JINI_E_LIMITED;
    }
    return status;
}

static int run(struct rates *rates, struct attempt *attempt, struct jini_limit_answer *answer,
               struct jini_error *error)
{
    const struct plan *plan = attempt->plan;
    uint32_t count = plan->rate_count;
    int status = 0;
    for (uint32_t i = 0; i < count; i++)
        attempt->items[i] = (struct table_item){
            .limit = &plan->rates[i],
            .subject = &attempt->subjects[i],
            .cost = attempt->cost,
            .shadow = plan->list.limits[plan->rate_index[i]].shadow,
        };
    if (attempt->flags & JINI_CHECK_PEEK)
        status = peek_all(rates->table, attempt);
    else if (count > 0)
        status = table_charge(rates->table, attempt->items, count,
                              attempt->flags & JINI_CHECK_IN_ORDER ? TABLE_SEED : TABLE_ALL_OR_NONE,
                              attempt->now_ns, attempt->answers);
    if (__builtin_expect(status != 0 && status != JINI_E_LIMITED, 0))
        return explain_unable(status, attempt->answers, count, error);
    answer->count = attempt->beside_quotas ? plan->list.count : count;
    answer->decided = JINI_LIMITS_MAX;
    answer->retry_after_ms = 0;
    answer->cost = attempt->cost;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = attempt->beside_quotas ? plan->rate_index[i] : i;
        struct jini_limit_entry *entry = &answer->entries[place];
        *entry = plan->entries[plan->rate_index[i]];
        fill_entry(entry, &attempt->answers[i]);
        if (attempt->answers[i].verdict == TABLE_REFUSED && answer->decided == JINI_LIMITS_MAX) {
            answer->decided = place;
            answer->retry_after_ms = entry->retry_after_ms;
        }
    }
    if (status == 0)
        return 0;
    return error ? rate_refusal(answer, error) : status;
}

static int prepare_subjects(struct attempt *attempt, const struct jini_subject *subject,
                            uint64_t scope)
{
    for (uint32_t i = 0; i < attempt->plan->rate_count; i++) {
        const struct limit *limit = &attempt->plan->list.limits[attempt->plan->rate_index[i]];
        int status = subject_init(&attempt->subjects[i], subject, scope, limit);
        if (status)
            return status;
    }
    return 0;
}

int rate_charge(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer,
                struct jini_error *error)
{
    struct attempt attempt;
    attempt.plan = charge->plan;
    attempt.flags = charge->flags;
    attempt.cost = charge->cost;
    attempt.now_ns = clock_boot_ns(jini->clock);
    attempt.beside_quotas = true;
    charge->receipts.count = 0;
    int status = prepare_subjects(&attempt, &charge->subject, charge->scope);
    if (status)
        return error_set(error, status, "subject", "no such kind of subject");
    status = run(jini->rates, &attempt, answer, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < charge->plan->rate_count; i++)
        charge->receipts.items[charge->receipts.count++] = attempt.answers[i].receipt;
    return 0;
}

void rate_refund(struct jini *jini, const struct rate_receipts *receipts)
{
    for (uint32_t i = 0; i < receipts->count; i++)
        table_refund(jini->rates->table, &receipts->items[i]);
}

/* ---- The public check ---- */

static uint64_t scope_of(const struct jini_limit_check *check)
{
    if (!check->limits)
        return 0;
    uint64_t hash = hash64(slice_of_text(check->scope ? check->scope : ""));
    return hash ? hash : 1;
}

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
                               .active = (allowed.flags & JINI_USER_ACTIVE) != 0};
    user_cache_put(jini->rates->users, user_id, &words, out);
    return 0;
}

/* The subject of a user's first rate limit, as it was found last time. */
static void use_hint(struct table_subject *subject, const struct user_hint *hint)
{
    subject->generation = hint->generation;
    subject->tag = hint->tag;
    subject->bucket = hint->bucket;
    subject->first = hint->first;
    subject->slot = hint->slot;
}

static void keep_hint(struct jini *jini, uint64_t user_id, struct user_entry *entry,
                      const struct table_subject *subject)
{
    struct user_hint *hint = &entry->hint;
    if ((hint->generation == subject->generation && hint->slot == subject->slot) ||
        !entry->plan->shared)
        return;
    struct user_words words = user_cache_words(jini->rates->users, user_id);
    struct user_entry still;
    *hint = (struct user_hint){subject->generation, subject->tag, subject->bucket,
                               (uint16_t)subject->first, (uint16_t)subject->slot};
    if (user_cache_find(jini->rates->users, user_id, &still) && still.plan == entry->plan)
        user_cache_put(jini->rates->users, user_id, &words, entry);
}

/*
 * A check of one of many users waits twice for memory: for the user's cache line, and for the slot that it names. Both
 * are asked for at once here, where the slot lies by the plan that most users have: the hash takes a fifth of the time that it
 * saves. A user who was the last one too is in the processor's cache.
 */
static void ask_for_memory(const struct rates *rates, const struct jini_subject *subject)
{
    static _Thread_local uint64_t last_user;
    struct table_subject place;
    if (subject->number == last_user)
        return;
    last_user = subject->number;
    user_cache_prefetch(rates->users, subject->number);
    const struct plan *plan = atomic_load_explicit(&rates->usual, memory_order_relaxed);
    if (plan && plan->rate_count > 0 &&
        subject_init(&place, subject, 0, &plan->list.limits[plan->rate_index[0]]) == 0)
        table_prefetch(rates->table, &place);
}

static int charge_user(struct jini *jini, struct user_entry *entry,
                       const struct jini_subject *subject, struct attempt *attempt,
                       struct jini_limit_answer *answer, struct jini_error *error)
{
    if (!entry->active)
        return error_set(error, JINI_E_INACTIVE, "subject", "the account is disabled");
    attempt->plan = entry->plan;
    int status = prepare_subjects(attempt, subject, 0);
    if (status)
        return error_set(error, status, "subject", "%s", jini_status_text(status));
    if (entry->plan->rate_count > 0) {
        use_hint(&attempt->subjects[0], &entry->hint);
        table_prefetch(jini->rates->table, &attempt->subjects[0]);
    }
    attempt->now_ns = clock_boot_ns(jini->clock); /* while the slot comes from memory */
    status = run(jini->rates, attempt, answer, error);
    if (entry->plan->rate_count > 0)
        keep_hint(jini, subject->number, entry, &attempt->subjects[0]);
    return status;
}

static int check_user(struct jini *jini, const struct jini_limit_check *check,
                      struct attempt *attempt, struct jini_limit_answer *answer,
                      struct jini_error *error)
{
    struct user_entry entry;
    uint64_t user_id = check->subject.number;
    ask_for_memory(jini->rates, &check->subject);
    if (user_cache_find(jini->rates->users, user_id, &entry))
        return charge_user(jini, &entry, &check->subject, attempt, answer, error);
    int status = load_user(jini, user_id, &entry, error);
    if (status)
        return status;
    if (entry.plan->shared)
        atomic_store_explicit(&jini->rates->usual, entry.plan, memory_order_relaxed);
    status = charge_user(jini, &entry, &check->subject, attempt, answer, error);
    plan_release(entry.plan);
    return status;
}

/* The plan of a check that is not of a user's own limits; to be released. */
static int plan_of_other(struct jini *jini, const struct jini_limit_check *check,
                         const struct plan **out, struct jini_error *error)
{
    struct allowed allowed;
    if (check->limits)
        return plans_get(jini->plans, check->limits, out, error);
    int status = allowance_of(jini, 0, &allowed, error);
    *out = allowed.plan;
    return status;
}

/* Limits of the caller's own, or of an address. */
static int check_other(struct jini *jini, const struct jini_limit_check *check,
                       struct attempt *attempt, struct jini_limit_answer *answer,
                       struct jini_error *error)
{
    attempt->now_ns = clock_boot_ns(jini->clock);
    int status = plan_of_other(jini, check, &attempt->plan, error);
    if (status)
        return error_complete(error, status, "limits", "the limits");
    if (check->limits && attempt->plan->quotas.count > 0)
        status = error_set(error, JINI_E_INVALID, "limits",
                           "quotas, of an hour or more, are counted by jini_admit() only");
    if (status == 0) {
        status = prepare_subjects(attempt, &check->subject, scope_of(check));
        status = status ? error_complete(error, status, "subject", "the subject")
                        : run(jini->rates, attempt, answer, error);
    }
    plan_release(attempt->plan);
    return status;
}

/* Quotas as they stand, beside the rate limits of a peek. */
static int peek_quotas(struct jini *jini, const struct jini_limit_check *check,
                       const struct allowed *allowed, struct jini_limit_answer *answer,
                       struct jini_error *error)
{
    struct store_txn *txn;
    struct quota_plan plan = allowed->plan->quotas;
    plan.anchor_ns = allowed->anchor_ns;
    struct quota_charge charge = {.subject = quota_subject_of(&check->subject),
                                  .plan = &plan,
                                  .now_ns = clock_wall_ns(jini->clock),
                                  .cost = check->cost};
    int status = store_read_begin(jini->store, &txn);
    if (status == 0) {
        status = quota_peek(txn, &charge);
        store_read_end(txn);
    }
    if (status)
        return error_set(error, status, "quota", "%s", jini_status_text(status));
    rate_add_quotas(allowed->plan, &charge, answer);
    if (charge.decided == plan.count || answer->decided < JINI_LIMITS_MAX)
        return 0;
    answer->decided = allowed->plan->quota_index[charge.decided];
    answer->retry_after_ms = answer->entries[answer->decided].retry_after_ms;
    return rate_refusal(answer, error);
}

/* Rate limits and quotas of a subject's own by one reading of its plan, whatever changes meanwhile. */
static int peek_own(struct jini *jini, const struct jini_limit_check *check,
                    struct attempt *attempt, struct jini_limit_answer *answer,
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
        status = prepare_subjects(attempt, &check->subject, 0);
    else
        status = JINI_E_INACTIVE;
    if (status)
        error_set(error, status, "subject", "%s", jini_status_text(status));
    else
        status = run(jini->rates, attempt, answer, error);
    if (status == 0 || status == JINI_E_LIMITED) {
        int quota = peek_quotas(jini, check, &allowed, answer, error);
        status = status ? status : quota;
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
        return error_set(error, JINI_E_READ_ONLY, "jini", "opened read-only");
    if (check->cost == 0 && !(check->flags & JINI_CHECK_PEEK))
        return error_set(error, JINI_E_INVALID, "cost", "a cost is 1 or more");
    if (check->scope && strlen(check->scope) >= JINI_SCOPE_MAX)
        return error_set(error, JINI_E_INVALID, "scope", "a scope has up to %d bytes",
                         JINI_SCOPE_MAX - 1);
    return subject_check(&check->subject, error);
}

int jini_limit_check(struct jini *jini, const struct jini_limit_check *check,
                     struct jini_limit_answer *answer, struct jini_error *error)
{
    struct attempt attempt;
    answer->count = 0;
    answer->decided = JINI_LIMITS_MAX;
    answer->retry_after_ms = 0;
    answer->cost = check->cost;
    int status = check_members(jini, check, error);
    if (__builtin_expect(status != 0, 0))
        return status;
    attempt.flags = check->flags;
    attempt.cost = check->cost;
    attempt.beside_quotas = false;
    if (check->limits)
        status = check_other(jini, check, &attempt, answer, error);
    else if (!has_own_limits(&check->subject))
        status = error_set(error, JINI_E_INVALID, "limits",
                           "users and addresses have limits of their own, this kind needs a text");
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

int jini_limit_refund(struct jini *jini, const struct jini_limit_answer *answer,
                      struct jini_error *error)
{
    error_clear(error);
    int status = engine_check(jini);
    if (status == 0 && !jini->rates)
        status = JINI_E_READ_ONLY;
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    uint32_t refunded = 0;
    for (uint32_t i = 0; i < answer->count && i < JINI_LIMITS_MAX; i++) {
        struct table_receipt receipt;
        if (receipt_unpack(&answer->entries[i], &receipt))
            refunded += table_refund(jini->rates->table, &receipt) == 0;
    }
    return refunded ? 0
                    : error_set(error, JINI_E_NOT_FOUND, "answer",
                                "nothing was charged, or its windows are over");
}

/* ---- Reset ---- */

static int op_reset_quotas(struct store_txn *txn, void *argument)
{
    struct jini_limit_reset *reset = argument;
    struct quota_subject subject = quota_subject_of(&reset->subject);
    return quota_reset(txn, &subject);
}

static int reset_rates(struct jini *jini, const struct jini_subject *subject,
                       struct jini_error *error)
{
    struct allowed allowed;
    int status = allowance_of(jini, user_of(subject), &allowed, error);
    for (uint32_t i = 0; status == 0 && i < allowed.plan->rate_count; i++) {
        struct table_subject place;
        const struct limit *limit = &allowed.plan->list.limits[allowed.plan->rate_index[i]];
        status = subject_init(&place, subject, 0, limit);
        if (status == 0)
            status = table_reset(jini->rates->table, &place);
        if (status == JINI_E_NOT_FOUND)
            status = 0;
    }
    plan_release(allowed.plan);
    return status ? error_complete(error, status, "limits", "resetting rate limits") : 0;
}

int jini_limit_reset(struct jini *jini, struct jini_limit_reset *reset, jini_callback *callback)
{
    struct jini_request *request = &reset->request;
    int status = request_begin(jini, request, sizeof(*reset), REQUEST_LIMIT_RESET, callback);
    if (status)
        return status;
    if (!jini->rates)
        status = error_set(&request->error, JINI_E_READ_ONLY, "jini", "opened read-only");
    else if (!has_own_limits(&reset->subject))
        status = error_set(&request->error, JINI_E_INVALID, "subject",
                           "users and addresses have limits of their own");
    else
        status = subject_check(&reset->subject, &request->error);
    if (status == 0)
        status = reset_rates(jini, &reset->subject, &request->error);
    if (status == 0)
        status = request_write(request, op_reset_quotas, STORE_RELEASE, 512, NULL);
    if (status)
        return request_refuse(request, status);
    return callback ? 0 : request_wait(request);
}

/* ---- Reports ---- */

static struct jini_subject subject_of(const struct slot_description *description)
{
    static const uint32_t kinds[] = {
        [TABLE_USER] = JINI_SUBJECT_USER,     [TABLE_API_KEY] = JINI_SUBJECT_API_KEY,
        [TABLE_IPV4] = JINI_SUBJECT_ADDRESS,  [TABLE_IPV6] = JINI_SUBJECT_ADDRESS,
        [TABLE_TIER] = JINI_SUBJECT_TIER,     [TABLE_MODEL] = JINI_SUBJECT_MODEL,
        [TABLE_GLOBAL] = JINI_SUBJECT_GLOBAL,
    };
    struct jini_subject subject = {0};
    if (description->kind > TABLE_GLOBAL)
        return subject;
    subject.kind = kinds[description->kind];
    if (description->kind == TABLE_IPV4) {
        memset(subject.address + 10, 0xff, 2);
        memcpy(subject.address + 12, description->value, 4);
    } else if (description->kind == TABLE_IPV6) {
        memcpy(subject.address, description->value, 8);
    } else {
        subject.number = load_le64(description->value);
    }
    return subject;
}

static double share_of(const struct jini_limit_usage *usage)
{
    return usage->amount ? (double)usage->used / (double)usage->amount : 0;
}

static int by_share(const void *a, const void *b)
{
    double left = share_of(a);
    double right = share_of(b);
    return (left < right) - (left > right);
}

int jini_limit_top(struct jini *jini, struct jini_limit_usage *out, size_t capacity, size_t *count,
                   struct jini_error *error)
{
    struct table_entry entries[TABLE_TOP_MAX];
    struct jini_limit_usage all[TABLE_REGIONS * TABLE_TOP_MAX];
    size_t total = 0;
    *count = 0;
    error_clear(error);
    int status = engine_check(jini);
    if (status == 0 && !jini->rates)
        status = JINI_E_READ_ONLY;
    size_t wanted = capacity < TABLE_TOP_MAX ? capacity : TABLE_TOP_MAX;
    for (int region = 0; status == 0 && region < TABLE_REGIONS; region++) {
        size_t found = 0;
        status = table_top(jini->rates->table, (enum table_region)region, entries, wanted, &found);
        for (size_t i = 0; status == 0 && i < found; i++)
            all[total++] = (struct jini_limit_usage){
                .subject = subject_of(&entries[i].subject),
                .amount = entries[i].subject.amount,
                .used = entries[i].used,
                .reset_ms = to_ms(entries[i].reset_ns),
                .period_ms = entries[i].subject.period_ms,
            };
    }
    if (status)
        return error_set(error, status, "limits", "%s", jini_status_text(status));
    qsort(all, total, sizeof(all[0]), by_share);
    *count = total < capacity ? total : capacity;
    memcpy(out, all, *count * sizeof(all[0]));
    return 0;
}

void rates_metrics(struct jini *jini, struct metrics_page *page)
{
    struct table_counters counters;
    static const char *const regions[] = {
        [TABLE_ANONYMOUS] = "anonymous", [TABLE_AUTHENTICATED] = "authenticated"};
    if (table_counters(jini->rates->table, &counters) != 0)
        return;
    metrics_number(page, "limits_admitted_total", "counter", "Rate limits charged.",
                   counters.admitted);
    metrics_number(page, "limits_refused_total", "counter", "Charges refused by a rate limit.",
                   counters.refused);
    metrics_number(page, "limits_uncounted_total", "counter",
                   "Admitted uncounted, because the table was full and fails open.",
                   counters.uncounted);
    metrics_number(page, "limits_full_total", "counter", "Refused because the table was full.",
                   counters.full);
    metrics_number(page, "limits_busy_total", "counter",
                   "Held up by a stopped process for longer than limits.claim_wait_ms.",
                   counters.busy);
    metrics_number(page, "limits_slots_taken_total", "counter", "Slots that got a new subject.",
                   counters.taken);
    metrics_number(page, "limits_corrupt_slots_total", "counter",
                   "Words that no charge can have written.", counters.corrupt);
    metrics_number(page, "limits_claims_broken_total", "counter",
                   "Claims of dead processes that were broken.", counters.broken);
    struct table_occupancy occupancy[TABLE_REGIONS] = {0};
    for (int region = 0; region < TABLE_REGIONS; region++)
        table_occupancy(jini->rates->table, (enum table_region)region, &occupancy[region]);
    metrics_head(page, "limits_slots", "gauge", "Slots of the table.");
    for (int region = 0; region < TABLE_REGIONS; region++)
        metrics_add(page, "jini_limits_slots{region=\"%s\"} %llu\n", regions[region],
                    (unsigned long long)occupancy[region].slots);
    metrics_head(page, "limits_slots_live", "gauge", "Slots that count somebody.");
    for (int region = 0; region < TABLE_REGIONS; region++)
        metrics_add(page, "jini_limits_slots_live{region=\"%s\"} %llu\n", regions[region],
                    (unsigned long long)occupancy[region].live);
}
