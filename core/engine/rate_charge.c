/* A charge of all rate limits of a plan: the entries of its answer, and their receipts. */
#include "engine/rate_private.h"

#include "base/error.h"

/* ---- Answers ---- */

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

static bool is_refusal(enum table_verdict verdict)
{
    return verdict == TABLE_REFUSED || verdict == TABLE_FULL || verdict == TABLE_BUSY;
}

static void fill_entry(struct jini_limit_entry *entry, const struct algorithm *limit,
                       const struct table_answer *answer)
{
    entry->remaining = answer->remaining;
    entry->reset_ms = rate_reset_ms(limit->kind, limit->period_ms, answer->reset_ns);
    entry->retry_after_ms = rate_ms(answer->retry_after_ns);
    receipt_pack(&answer->receipt, entry);
    if (answer->verdict == TABLE_SHADOW || is_refusal(answer->verdict))
        entry->flags |= JINI_LIMIT_REFUSED;
}

/* The item that decided; as many as there are: none did, since there is no table. */
static uint32_t refused_item(const struct rate_attempt *attempt, int status)
{
    uint32_t item = 0;
    if (status != JINI_E_LIMITED && status != JINI_E_BUSY)
        return attempt->plan->rate_count; /* and no answers */
    while (item < attempt->plan->rate_count && !is_refusal(attempt->answers[item].verdict))
        item++;
    return item;
}

/* Says in words what the table answered for the item that decided. */
static int explain(struct jini *jini, const struct rate_attempt *attempt, uint32_t item,
                   const struct jini_limit_answer *answer, struct jini_error *error)
{
    enum table_region region = attempt->subjects[item].region;
    switch (attempt->answers[item].verdict) {
    case TABLE_FULL:
        return rate_region_full(jini, region, answer->retry_after_ms, error);
    case TABLE_BUSY:
        return rate_place_held(jini, answer->retry_after_ms, error);
    default:
        return rate_refusal(answer, error);
    }
}

/* ---- Charging ---- */

static int peek_all(struct table *table, struct rate_attempt *attempt)
{
    int status = 0;
    for (uint32_t i = 0; i < attempt->plan->rate_count; i++) {
        int peeked = table_peek(table, &attempt->items[i], attempt->now_ns, &attempt->answers[i]);
        if (peeked) {
            memset(attempt->answers, 0, sizeof(attempt->answers)); /* all untried */
            return peeked;
        }
        if (attempt->answers[i].verdict == TABLE_REFUSED && status == 0)
            status = JINI_E_LIMITED;
    }
    return status;
}

/* Charges the items, or looks only; fills in the table's answers. */
static int ask_table(struct table *table, struct rate_attempt *attempt)
{
    const struct plan *plan = attempt->plan;
    uint32_t count = plan->rate_count;
    for (uint32_t i = 0; i < count; i++)
        attempt->items[i] = (struct table_item){
            .limit = &plan->rates[i],
            .subject = &attempt->subjects[i],
            .cost = attempt->cost,
            .shadow = plan->list.limits[plan->rate_index[i]].shadow,
        };
    if (attempt->flags & JINI_CHECK_PEEK)
        return peek_all(table, attempt);
    if (count == 0)
        return 0;
    return table_charge(table, attempt->items, count,
                        attempt->flags & JINI_CHECK_IN_ORDER ? TABLE_SEED : TABLE_ALL_OR_NONE,
                        attempt->now_ns, attempt->answers);
}

int rate_run(struct jini *jini, struct rate_attempt *attempt, struct jini_limit_answer *answer,
             struct jini_error *error)
{
    const struct plan *plan = attempt->plan;
    uint32_t count = plan->rate_count;
    uint32_t refused = count; /* the item that decided */
    int status = ask_table(jini->rates->table, attempt);
    if (__builtin_expect(status != 0, 0)) {
        refused = refused_item(attempt, status);
        if (refused == count)
            return rate_no_table(jini, attempt->subjects[0].region, status, error);
    }
    answer->count = attempt->beside_quotas ? plan->list.count : count;
    answer->decided = JINI_LIMITS_MAX;
    answer->retry_after_ms = 0;
    answer->cost = attempt->cost;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = attempt->beside_quotas ? plan->rate_index[i] : i;
        struct jini_limit_entry *entry = &answer->entries[place];
        *entry = plan->entries[plan->rate_index[i]];
        fill_entry(entry, &plan->rates[i], &attempt->answers[i]);
        if (i == refused) {
            answer->decided = place;
            answer->retry_after_ms = entry->retry_after_ms;
        }
    }
    if (status == 0)
        return 0;
    return error ? explain(jini, attempt, refused, answer, error) : status;
}

int rate_prepare(struct rate_attempt *attempt, uint32_t from, const struct jini_subject *subject,
                 uint64_t scope)
{
    for (uint32_t i = from; i < attempt->plan->rate_count; i++) {
        const struct limit *limit = &attempt->plan->list.limits[attempt->plan->rate_index[i]];
        int status = rate_subject(&attempt->subjects[i], subject, scope, limit);
        if (status)
            return status;
    }
    return 0;
}

int rate_charge(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer,
                struct jini_error *error)
{
    struct rate_attempt attempt;
    attempt.plan = charge->plan;
    attempt.flags = charge->flags;
    attempt.cost = charge->cost;
    attempt.now_ns = clock_boot_ns(jini->clock);
    attempt.beside_quotas = true;
    charge->receipts.count = 0;
    int status = rate_prepare(&attempt, 0, &charge->subject, charge->scope);
    if (status)
        return error_set(error, status, "subject", "no such kind of subject");
    status = rate_run(jini, &attempt, answer, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < charge->plan->rate_count; i++)
        charge->receipts.items[charge->receipts.count++] = attempt.answers[i].receipt;
    return 0;
}

/* ---- Giving back ---- */

void rate_refund(struct jini *jini, const struct rate_receipts *receipts)
{
    for (uint32_t i = 0; i < receipts->count; i++)
        table_refund(jini->rates->table, &receipts->items[i]);
}

/* How all stand, as after a charge. */
static int look(struct jini *jini, const struct rate_charge *charge, struct jini_limit_answer *out)
{
    struct rate_attempt attempt;
    attempt.plan = charge->plan;
    attempt.flags = JINI_CHECK_PEEK;
    attempt.cost = charge->cost;
    attempt.now_ns = clock_boot_ns(jini->clock);
    attempt.beside_quotas = true;
    int status = rate_prepare(&attempt, 0, &charge->subject, charge->scope);
    return status ? status : rate_run(jini, &attempt, out, NULL);
}

void rate_look(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer)
{
    charge->receipts.count = 0;
    int status = look(jini, charge, answer);
    if (status && status != JINI_E_LIMITED)
        answer->count = 0;
    answer->decided = JINI_LIMITS_MAX; /* nothing was asked of them */
    answer->retry_after_ms = 0;
}

void rate_undo(struct jini *jini, struct rate_charge *charge, struct jini_limit_answer *answer)
{
    struct jini_limit_answer now;
    const struct plan *plan = charge->plan;
    rate_refund(jini, &charge->receipts);
    charge->receipts.count = 0;
    int status = look(jini, charge, &now);
    for (uint32_t i = 0; i < plan->rate_count; i++) {
        struct jini_limit_entry *entry = &answer->entries[plan->rate_index[i]];
        if (status == 0 || status == JINI_E_LIMITED) /* else as it was charged */
            *entry = now.entries[plan->rate_index[i]];
        entry->window = 0;
        memset(entry->receipt, 0, sizeof(entry->receipt));
    }
}

int jini_limit_refund(struct jini *jini, const struct jini_limit_answer *answer,
                      struct jini_error *error)
{
    error_clear(error);
    int status = engine_check(jini);
    if (status)
        return error_set(error, status, "jini", "%s", jini_status_text(status));
    if (!jini->rates)
        return explain_read_only(error);
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
