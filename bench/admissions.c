/* See admissions.h. */
#include "admissions.h"

#include "database.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { GRANTS_IN_FLIGHT = 4096, IN_FLIGHT = 1024, PARALLEL_MAX = 256 };
#define GRANTED (UINT64_C(1) << 40)

/* ---- Preparing ------------------------------------------------------------------------------- */

static void lift_limits(struct jini *jini)
{
    struct jini_tier_set set;
    struct jini_error error;
    jini_request_init(&set);
    bench_check(jini_tier_get(jini, "Premium", &set.tier, &error), &error, "the tier");
    snprintf(set.tier.allowance.limits, sizeof(set.tier.allowance.limits),
             "1000000/minute; 100000000/day");
    set.tier.allowance.parallel_max = PARALLEL_MAX;
    bench_check(jini_tier_set(jini, &set, NULL), &set.request.error, "changing the tier");
}

static void set_price(struct jini *jini)
{
    struct jini_cost_set set;
    jini_request_init(&set);
    set.cost.per_image = 1000;
    bench_check(jini_cost_set(jini, &set, NULL), &set.request.error, "setting a price");
}

uint64_t admissions_user(const struct admissions *admissions, uint64_t number)
{
    return 1 + number * (admissions->users / admissions->active);
}

static void make_id(uint64_t number, struct jini_id *out)
{
    *out = (struct jini_id){.bytes = {0x67}};
    for (int i = 0; i < 8; i++)
        out->bytes[8 + i] = (uint8_t)(number >> 8 * (7 - i));
}

static bool next_grant(void *context, struct bench_flow_step *step)
{
    struct admissions *admissions = context;
    struct jini_grant_add *add = (struct jini_grant_add *)step->request;
    if (admissions->sent == admissions->active)
        return false;
    add->grant.user_id = admissions_user(admissions, admissions->sent++);
    make_id(add->grant.user_id, &add->grant.id);
    add->grant.granted = GRANTED;
    add->grant.category = JINI_GRANT_PAID;
    step->status = jini_grant_add(admissions->jini, add, step->callback);
    return true;
}

void admissions_prepare(const char *path, uint64_t users, uint64_t active)
{
    struct jini_options options;
    bench_jini_options(&options);
    options.store_sync = JINI_SYNC_NONE;
    options.store_batch_run_ms = 100;
    options.store_batch_ops_max = GRANTS_IN_FLIGHT;
    options.request_timeout_ms = 600000;
    struct admissions admissions = {
        .jini = bench_jini_open(path, &options), .users = users, .active = active};
    struct bench_flow flow = {sizeof(struct jini_grant_add), GRANTS_IN_FLIGHT, next_grant,
                              &admissions};
    bench_progress("granting credits to %llu users", (unsigned long long)active);
    lift_limits(admissions.jini);
    set_price(admissions.jini);
    bench_flow_run(&flow);
    bench_jini_close(admissions.jini);
    database_sync(path);
}

/* ---- Admitting ------------------------------------------------------------------------------- */

static int submit(void *context, struct jini_request *request, jini_callback *callback)
{
    struct admissions *admissions = context;
    struct jini_admit *admit = (struct jini_admit *)request;
    void *data = request->data;
    jini_request_init(admit);
    admit->request.data = data;
    admit->subject.kind = JINI_SUBJECT_USER;
    admit->subject.number =
        admissions_user(admissions, bench_random_below(&admissions->random, admissions->active));
    admit->parameters = (struct jini_parameters){
        .width = 1024, .height = 1024, .steps = 30, .count = 1, .seed = (int64_t)admissions->sent};
    admit->prompt = "a lighthouse on a cliff at dusk, oil on canvas, highly detailed";
    admissions->sent++;
    return jini_admit(admissions->jini, admit, callback);
}

static void admitted(void *context, struct jini_request *request)
{
    struct admissions *admissions = context;
    const struct jini_admit *admit = (const struct jini_admit *)request;
    if (admissions->job_count == ADMISSIONS_JOBS_MAX)
        bench_fail("more jobs run than there is room for");
    admissions->jobs[admissions->job_count++] = admit->job.id;
}

void admissions_open(const char *path, uint64_t users, uint64_t active, struct admissions *out)
{
    struct jini_options options;
    bench_jini_options(&options);
    if (DATABASE_SLOTS_PER_USER * active > options.limits_slots)
        options.limits_slots = DATABASE_SLOTS_PER_USER * active;
    *out = (struct admissions){.jini = bench_jini_open(path, &options),
                               .users = users,
                               .active = active,
                               .random = 1,
                               .jobs = bench_alloc(ADMISSIONS_JOBS_MAX, sizeof(*out->jobs))};
}

void admissions_close(struct admissions *admissions)
{
    bench_jini_close(admissions->jini);
    free(admissions->jobs);
}

struct arrivals_work admissions_work(struct admissions *admissions)
{
    return (struct arrivals_work){sizeof(struct jini_admit), submit, admitted, admissions};
}

/* ---- Settling -------------------------------------------------------------------------------- */

static bool next_settle(void *context, struct bench_flow_step *step)
{
    struct admissions *admissions = context;
    struct jini_settle *settle = (struct jini_settle *)step->request;
    if (admissions->job_count == 0)
        return false;
    settle->job_id = admissions->jobs[--admissions->job_count];
    step->status = jini_settle(admissions->jini, settle, step->callback);
    return true;
}

void admissions_settle(struct admissions *admissions)
{
    struct bench_flow flow = {sizeof(struct jini_settle), IN_FLIGHT, next_settle, admissions};
    bench_flow_run(&flow);
}
