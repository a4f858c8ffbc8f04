/* Rate limits of the engine: opening them, whom they count, and forgetting what they counted. */
#include "engine/rate_private.h"
#include "engine/txn.h"

#include "base/alloc.h"
#include "base/error.h"

#include <arpa/inet.h>

/* ---- Opening ---- */

enum { CHECK_TABLE_S = 60 };

static bool process_alive(void *context, uint32_t slot, uint32_t incarnation)
{
    return store_process_alive(context, (struct store_process){slot, incarnation});
}

/* A new table is not made of what is left for releases and deletions. */
static bool may_take_room(void *context)
{
    return store_reserve_is_whole(context);
}

static int open_table(struct jini *jini, struct jini_error *error)
{
    const struct jini_options *options = &jini->options;
    struct store_process self = store_self(jini->store);
    struct table_options table;
    table_options_init(&table);
    table.directory = jini->directory;
    table.clock = jini->clock;
    table.generation = store_shared_word(jini->store, STORE_SHARED_LIMITS);
    table.holder_slot = self.slot;
    table.holder_incarnation = self.incarnation;
    table.alive = process_alive;
    table.may_take_room = may_take_room;
    table.context = jini->store;
    table.wait_ms = (uint32_t)options->limits_claim_wait_ms;
    table.regions[TABLE_AUTHENTICATED] = (struct table_region_options){
        (uint32_t)options->limits_slots,
        options->limits_when_full == JINI_WHEN_FULL_OPEN ? TABLE_FAIL_OPEN : TABLE_FAIL_CLOSED};
    table.regions[TABLE_ANONYMOUS] = (struct table_region_options){
        (uint32_t)options->limits_slots_anonymous,
        options->limits_when_full_anonymous == JINI_WHEN_FULL_OPEN ? TABLE_FAIL_OPEN
                                                                   : TABLE_FAIL_CLOSED};
    return table_open(&table, &jini->rates->table, error);
}

/* Says in the log when the table is lost, and when it is there again. */
static void note_table(struct jini *jini)
{
    struct rates *rates = jini->rates;
    struct jini_error error;
    struct table_counters counters;
    int status = table_state(rates->table, &error);
    if (status && status != rates->noted)
        log_record(&jini->log, JINI_LOG_ERROR, "limits_table_missing",
                   LOG_TEXT("status", jini_status_name(status)),
                   LOG_TEXT("message", error.message));
    else if (!status && rates->noted && table_counters(rates->table, &counters) == 0)
        log_record(&jini->log, JINI_LOG_INFO, "limits_table_back",
                   LOG_NUMBER("charges_without", counters.missing));
    rates->noted = status;
}

int rates_open(struct jini *jini, struct jini_error *error)
{
    struct rates *rates = base_calloc(1, sizeof(*rates));
    if (!rates)
        return error_set(error, JINI_E_NO_MEMORY, "limits", "out of memory");
    for (int region = 0; region < TABLE_REGIONS; region++)
        pthread_mutex_init(&rates->fullness[region].lock, NULL);
    jini->rates = rates;
    rates->users = user_cache_new(jini->store, jini->plans, jini->options.cache_users);
    if (!rates->users)
        return error_set(error, JINI_E_NO_MEMORY, "cache.users", "out of memory");
    int status = open_table(jini, error);
    if (status == 0)
        note_table(jini);
    return status;
}

void rates_close(struct jini *jini)
{
    struct rates *rates = jini->rates;
    if (!rates)
        return;
    table_close(rates->table);
    user_cache_free(rates->users);
    for (int region = 0; region < TABLE_REGIONS; region++)
        pthread_mutex_destroy(&rates->fullness[region].lock);
    base_free(rates);
    jini->rates = NULL;
}

void rates_tend(struct jini *jini)
{
    struct rates *rates = jini->rates;
    uint64_t now_ns = clock_boot_ns(jini->clock);
    bool missing = table_state(rates->table, NULL) != 0;
    if ((!missing && now_ns < rates->check_at_ns) || engine_check(jini) != 0)
        return;
    rates->check_at_ns = now_ns + CHECK_TABLE_S * NS_PER_S;
    table_check(rates->table, NULL);
    note_table(jini);
}

/* ---- Subjects ---- */

int jini_subject_parse_address(const char *text, struct jini_subject *out)
{
    struct in_addr ipv4;
    memset(out, 0, sizeof(*out));
    if (!text)
        return JINI_E_INVALID;
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        memset(out->address + 10, 0xff, 2);
        memcpy(out->address + 12, &ipv4, 4);
    } else if (inet_pton(AF_INET6, text, out->address) != 1) {
        return JINI_E_INVALID;
    }
    out->kind = JINI_SUBJECT_ADDRESS;
    return 0;
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

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

int rate_subject(struct table_subject *out, const struct jini_subject *subject, uint64_t scope,
                 const struct limit *limit)
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

/* ---- Reset ---- */

static int op_reset_quotas(struct jini_txn *txn, void *request)
{
    struct jini_limit_reset *reset = request;
    struct quota_subject subject = quota_subject_of(&reset->subject);
    return quota_reset(txn->store, &subject);
}

static int reset_rates(struct jini *jini, const struct jini_limit_check *counted,
                       struct jini_error *error)
{
    const struct plan *plan;
    int status = rate_plan(jini, counted, &plan, error);
    for (uint32_t i = 0; status == 0 && i < plan->rate_count; i++) {
        struct table_subject place;
        const struct limit *limit = &plan->list.limits[plan->rate_index[i]];
        status = rate_subject(&place, &counted->subject, rate_scope(counted), limit);
        if (status == 0)
            status = table_reset(jini->rates->table, &place);
        /* Nothing is counted; or there is no table for the lack of room, and nothing either. */
        if (status == JINI_E_NOT_FOUND || status == JINI_E_FULL)
            status = 0;
    }
    plan_release(plan);
    return status ? error_complete(error, status, "limits", "resetting rate limits") : 0;
}

int jini_limit_reset(struct jini *jini, struct jini_limit_reset *reset, jini_callback *callback)
{
    struct jini_request *request = &reset->request;
    int status = request_begin(jini, request, sizeof(*reset), REQUEST_LIMIT_RESET, callback);
    if (status)
        return status;
    struct jini_limit_check counted = {
        .subject = reset->subject, .limits = reset->limits, .scope = reset->scope};
    if (!jini->rates)
        status = explain_read_only(&request->error);
    else
        status = rate_whom(&counted, &request->error);
    if (status == 0)
        status = reset_rates(jini, &counted, &request->error);
    if (status == 0 && reset->limits)
        request_finish(request, 0); /* all is done: a text of the caller's counts no quotas */
    else if (status == 0)
        status = request_write(request, op_reset_quotas, STORE_RELEASE, 512, NULL);
    if (status)
        return request_refuse(request, status);
    return callback ? 0 : request_wait(request);
}
