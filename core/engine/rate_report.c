/* What is told of limits: quotas beside rate limits, refusals in words, the top list, figures. */
#include "engine/rate_private.h"

#include "base/error.h"
#include "engine/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Answers ---- */

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
        entry->reset_ms = rate_ms(outcome->reset_ns);
        entry->retry_after_ms = rate_ms(outcome->retry_after_ns);
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

void rate_span(uint64_t ms, char text[RATE_SPAN_MAX])
{
    uint64_t s = ms / 1000 + (ms % 1000 != 0);
    uint64_t minutes = (s + 59) / 60;
    if (ms < 1000)
        snprintf(text, RATE_SPAN_MAX, "%llu ms", (unsigned long long)ms);
    else if (s < 120)
        snprintf(text, RATE_SPAN_MAX, "%llu s", (unsigned long long)s);
    else if (minutes < 60)
        snprintf(text, RATE_SPAN_MAX, "%llu min", (unsigned long long)minutes);
    else
        snprintf(text, RATE_SPAN_MAX, "%llu h %llu min", (unsigned long long)(minutes / 60),
                 (unsigned long long)(minutes % 60));
}

int rate_refusal(const struct jini_limit_answer *answer, struct jini_error *error)
{
    char limit[64];
    char when[RATE_SPAN_MAX];
    const struct jini_limit_entry *entry = &answer->entries[answer->decided];
    const char *field = entry->flags & JINI_LIMIT_QUOTA ? "quota" : "rate";
    if (!error)
        return JINI_E_LIMITED;
    rate_span(entry->retry_after_ms, when);
    jini_limit_describe(entry, limit, sizeof(limit));
    if (entry->retry_after_ms == UINT64_MAX)
        error_set(error, JINI_E_LIMITED, field,
                  "Rate limit exceeded: %s; a cost of %llu never fits", limit,
                  (unsigned long long)answer->cost);
    else
        error_set(error, JINI_E_LIMITED, field,
                  "Rate limit exceeded: %s; %llu left, the cost is %llu; come back in %s", limit,
                  (unsigned long long)entry->remaining, (unsigned long long)answer->cost, when);
    error->retry_after_ms = entry->retry_after_ms;
    return JINI_E_LIMITED;
}

/* What the options and figures of a region are called. */
static const struct {
    const char *name;
    const char *subjects;
    const char *slots;
    const char *when_full;
} regions[] = {
    [TABLE_ANONYMOUS] = {"anonymous", "addresses", "limits.slots_anonymous",
                         "limits.when_full_anonymous"},
    [TABLE_AUTHENTICATED] = {"authenticated", "users", "limits.slots", "limits.when_full"},
};

static struct table_occupancy fullness_of(struct jini *jini, enum table_region region)
{
    struct rate_fullness *fullness = &jini->rates->fullness[region];
    pthread_mutex_lock(&fullness->lock);
    if (clock_boot_ns(jini->clock) >= fullness->until_ns) {
        table_occupancy(jini->rates->table, region, &fullness->occupancy);
        fullness->until_ns = clock_boot_ns(jini->clock) + NS_PER_S;
    }
    struct table_occupancy occupancy = fullness->occupancy;
    pthread_mutex_unlock(&fullness->lock);
    return occupancy;
}

int rate_region_full(struct jini *jini, enum table_region region, uint64_t retry_after_ms,
                     struct jini_error *error)
{
    char when[RATE_SPAN_MAX];
    if (!error)
        return JINI_E_BUSY;
    struct table_occupancy occupancy = fullness_of(jini, region);
    rate_span(retry_after_ms, when);
    error_set(error, JINI_E_BUSY, regions[region].slots,
              "the table of rate limits has no place for one more of its %s: %llu of %llu slots "
              "are in use, and all that this one might have; come back in %s, or raise %s",
              regions[region].subjects, (unsigned long long)occupancy.live,
              (unsigned long long)occupancy.slots, when, regions[region].slots);
    error->retry_after_ms = retry_after_ms;
    return JINI_E_BUSY;
}

int rate_place_held(const struct jini *jini, uint64_t retry_after_ms, struct jini_error *error)
{
    error_set(error, JINI_E_BUSY, "limits.claim_wait_ms",
              "a stopped process has held the place where this subject is counted for longer than "
              "the %llu ms that are waited",
              (unsigned long long)jini->options.limits_claim_wait_ms);
    if (error)
        error->retry_after_ms = retry_after_ms;
    return JINI_E_BUSY;
}

int rate_no_table(struct jini *jini, enum table_region region, int status, struct jini_error *error)
{
    struct jini_error cause;
    if (table_state(jini->rates->table, &cause) != status) /* something else, or there again */
        return error_set(error, status, "limits", "the table of rate limits: %s",
                         jini_status_text(status));
    return error_set(error, status, cause.field, "%s Until then %s answers, which is closed.",
                     cause.message, regions[region].when_full);
}

int rate_quotas_full(const struct quota_charge *quotas, struct jini_error *error)
{
    uint64_t wait_ns = 0;
    for (uint32_t i = 0; i < quotas->plan->count; i++) {
        if (quotas->outcomes[i].refused && quotas->outcomes[i].retry_after_ns > wait_ns)
            wait_ns = quotas->outcomes[i].retry_after_ns;
    }
    error_set(
        error, JINI_E_BUSY, "quota",
        "%d other periods of quotas are still counted for this subject, and more are not; wait "
        "until one ends, or forget what they counted by jini_limit_reset()",
        QUOTA_COUNTERS_MAX);
    if (error)
        error->retry_after_ms = rate_ms(wait_ns);
    return JINI_E_BUSY;
}

int rate_explain_read_only(struct jini_error *error)
{
    return error_set(
        error, JINI_E_READ_ONLY, "read_only",
        "the database was opened read-only, and its limits are counted in a table that "
        "every process shares and may have to make anew, so that looking at them needs "
        "it open for writing too");
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
        return rate_explain_read_only(error);
    size_t wanted = capacity < TABLE_TOP_MAX ? capacity : TABLE_TOP_MAX;
    for (int region = 0; status == 0 && region < TABLE_REGIONS; region++) {
        size_t found = 0;
        status = table_top(jini->rates->table, (enum table_region)region, entries, wanted, &found);
        for (size_t i = 0; status == 0 && i < found; i++)
            all[total++] = (struct jini_limit_usage){
                .subject = subject_of(&entries[i].subject),
                .amount = entries[i].subject.amount,
                .used = entries[i].used,
                .reset_ms = rate_reset_ms(entries[i].algorithm, entries[i].subject.period_ms,
                                          entries[i].reset_ns),
                .period_ms = entries[i].subject.period_ms,
            };
    }
    if (status && jini->rates && table_state(jini->rates->table, error) == status)
        return status;
    if (status)
        return error_set(error, status, "limits", "%s", jini_status_text(status));
    qsort(all, total, sizeof(all[0]), by_share);
    *count = total < wanted ? total : wanted;
    memcpy(out, all, *count * sizeof(all[0]));
    return 0;
}

static void table_metrics(const struct table_counters *counters, struct metrics_page *page)
{
    metrics_number(page, "limits_admitted_total", "counter", "Rate limits charged.",
                   counters->admitted);
    metrics_number(page, "limits_refused_total", "counter", "Charges refused by a rate limit.",
                   counters->refused);
    metrics_number(page, "limits_uncounted_total", "counter",
                   "Admitted uncounted, because the table was full and fails open.",
                   counters->uncounted);
    metrics_number(page, "limits_full_total", "counter", "Refused because the table was full.",
                   counters->full);
    metrics_number(page, "limits_busy_total", "counter",
                   "Held up by a stopped process for longer than limits.claim_wait_ms.",
                   counters->busy);
    metrics_number(page, "limits_slots_taken_total", "counter", "Slots that got a new subject.",
                   counters->taken);
    metrics_number(page, "limits_corrupt_slots_total", "counter",
                   "Words that no charge can have written.", counters->corrupt);
    metrics_number(page, "limits_claims_broken_total", "counter",
                   "Claims of dead processes that were broken.", counters->broken);
}

static void slot_metrics(struct table *table, struct metrics_page *page)
{
    struct table_occupancy occupancy[TABLE_REGIONS] = {0};
    for (int region = 0; region < TABLE_REGIONS; region++)
        table_occupancy(table, (enum table_region)region, &occupancy[region]);
    metrics_head(page, "limits_slots", "gauge", "Slots of the table.");
    for (int region = 0; region < TABLE_REGIONS; region++)
        metrics_add(page, "jini_limits_slots{region=\"%s\"} %llu\n", regions[region].name,
                    (unsigned long long)occupancy[region].slots);
    metrics_head(page, "limits_slots_live", "gauge", "Slots that count somebody.");
    for (int region = 0; region < TABLE_REGIONS; region++)
        metrics_add(page, "jini_limits_slots_live{region=\"%s\"} %llu\n", regions[region].name,
                    (unsigned long long)occupancy[region].live);
}

void rates_metrics(struct jini *jini, struct metrics_page *page)
{
    struct table_counters counters;
    struct table *table = jini->rates->table;
    bool has_table = table_counters(table, &counters) == 0;
    metrics_number(page, "limits_table", "gauge",
                   "0: there is none, and the log says why; limits.when_full answers.", has_table);
    metrics_number(page, "limits_table_missing_total", "counter",
                   "Charges by this process that found no table.", counters.missing);
    metrics_number(page, "limits_quota_rows_removed_total", "counter",
                   "Quotas of addresses that were removed when their windows were over.",
                   atomic_load_explicit(&jini->rates->quota_rows_removed, memory_order_relaxed));
    if (!has_table)
        return;
    table_metrics(&counters, page);
    slot_metrics(table, page);
}
