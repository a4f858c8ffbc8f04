/*
 * Grants beside a model of them: an array that is searched from one end to the other. Random calls
 * go to both; each answer and each grant must be the same, nothing may be lost, and the ledger's
 * check finds nothing.
 */
#include "fixture.h"

#include "ledger/chart.h"
#include "ledger/check.h"
#include "ledger/grants.h"

enum { USERS = 3, GRANTS = 4000, JOBS = 4000, STEPS = 3000 };

struct model_grant {
    struct jini_grant grant; /* as it was asked for */
    uint64_t free;
    uint64_t held;
    uint64_t used;
    uint64_t over; /* expired or revoked */
};

struct model_part {
    unsigned grant;
    uint64_t amount;
    uint64_t drawn;
};

struct model_job {
    struct jini_id id;
    uint64_t user_id;
    uint32_t holds;
    uint64_t amount;
    enum { HELD, ENDED, REFUNDED } state;
    struct model_part parts[GRANTS_HELD_MAX];
};

struct model {
    struct fixture_ledger ledger;
    uint64_t now_ms;
    uint64_t ids;
    unsigned grant_count;
    unsigned job_count;
    struct model_grant grants[GRANTS];
    struct model_job jobs[JOBS];
};

/* ---- The calls, as ops ---- */

struct call {
    struct model *model;
    struct jini_grant grant;
    uint64_t user_id;
    struct jini_id id;
    uint32_t holds;
    uint64_t amount;
    uint64_t out;
    struct wallet *wallet;
    struct jini_error error;
};

static struct grants_txn txn_of(struct store_txn *txn, struct call *call)
{
    return (struct grants_txn){txn, call->model->ledger.batch, call->model->now_ms, &call->error,
                               NULL};
}

static int op_add(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_add(&grants, &call->grant);
}

static int op_reserve(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_reserve(&grants, call->user_id, &call->id, call->amount, &call->holds,
                          &call->out);
}

static int op_settle(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_settle(&grants, call->user_id, &call->id, call->holds, call->amount);
}

static int op_refund(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_refund(&grants, call->user_id, &call->id, call->amount, &call->out);
}

static int op_expire_user(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_expire(&grants, call->user_id, &call->out);
}

static int op_revoke(struct store_txn *txn, void *argument)
{
    struct call *call = argument;
    struct grants_txn grants = txn_of(txn, call);
    return grants_revoke(&grants, &call->id, &call->out);
}

static int run(struct model *model, store_op_fn *op, struct call *call)
{
    call->model = model;
    return store_write(model->ledger.store, op, call);
}

/* ---- The model ---- */

static bool is_over(const struct model *model, const struct model_grant *grant)
{
    return grant->grant.expires_ms && grant->grant.expires_ms <= model->now_ms;
}

static bool is_open(const struct model *model, const struct model_grant *grant)
{
    return grant->grant.effective_ms <= model->now_ms && !is_over(model, grant);
}

static uint64_t expiry_of(const struct model_grant *grant)
{
    return grant->grant.expires_ms ? grant->grant.expires_ms : UINT64_MAX;
}

/* Whether `a` is drawn before `b`; the older one has the smaller index. */
static bool is_before(const struct model_grant *a, const struct model_grant *b)
{
    if (a->grant.priority != b->grant.priority)
        return a->grant.priority < b->grant.priority;
    if (expiry_of(a) != expiry_of(b))
        return expiry_of(a) < expiry_of(b);
    return a < b;
}

static uint64_t model_available(const struct model *model, uint64_t user_id)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < model->grant_count; i++) {
        const struct model_grant *grant = &model->grants[i];
        if (grant->grant.user_id == user_id && is_open(model, grant))
            sum += grant->free;
    }
    return sum;
}

static unsigned model_live(const struct model *model, uint64_t user_id, bool with_expired)
{
    unsigned count = 0;
    for (unsigned i = 0; i < model->grant_count; i++) {
        const struct model_grant *grant = &model->grants[i];
        bool has = grant->free > 0 && (with_expired || !is_over(model, grant));
        count += grant->grant.user_id == user_id && (has || grant->held > 0);
    }
    return count;
}

/* Who is drawn from next; NULL: nobody has anything. */
static struct model_grant *model_next(struct model *model, uint64_t user_id)
{
    struct model_grant *best = NULL;
    for (unsigned i = 0; i < model->grant_count; i++) {
        struct model_grant *grant = &model->grants[i];
        if (grant->grant.user_id == user_id && grant->free > 0 && is_open(model, grant) &&
            (!best || is_before(grant, best)))
            best = grant;
    }
    return best;
}

static void model_expire(struct model *model, struct model_grant *grant)
{
    if (!is_over(model, grant))
        return;
    grant->over += grant->free;
    grant->free = 0;
}

/* ---- One step ---- */

static struct jini_id next_id(struct model *model)
{
    struct jini_id id = {{0}};
    store_be64(id.bytes, ++model->ids);
    id.bytes[JINI_ID_BYTES - 1] = 0xff;
    return id;
}

static uint64_t up_to_second(uint64_t ms)
{
    return (ms + 999) / 1000 * 1000;
}

static void step_add(struct model *model)
{
    struct call call = {0};
    uint64_t user_id = 1 + harness_random_below(USERS);
    call.grant = (struct jini_grant){
        .id = next_id(model),
        .user_id = user_id,
        .granted = 1 + harness_random_below(50),
        .category = 1 + (uint32_t)harness_random_below(2),
        .priority = (uint32_t)harness_random_below(3),
    };
    if (harness_random_below(2))
        call.grant.expires_ms = model->now_ms + 1000 * (1 + harness_random_below(400));
    if (harness_random_below(4) == 0)
        call.grant.effective_ms = model->now_ms + 1000 * harness_random_below(50);
    if (call.grant.expires_ms && call.grant.expires_ms <= call.grant.effective_ms)
        call.grant.effective_ms = 0;
    struct jini_grant asked = call.grant;
    bool room = model_live(model, user_id, false) < JINI_GRANTS_LIVE_MAX;
    bool crowded = model_live(model, user_id, true) >= JINI_GRANTS_LIVE_MAX;
    for (unsigned i = 0; room && crowded && i < model->grant_count; i++) {
        if (model->grants[i].grant.user_id == user_id)
            model_expire(model, &model->grants[i]); /* they make room */
    }
    int status = run(model, op_add, &call);
    if (!room) {
        CHECK_STATUS(status, JINI_E_BUSY);
        return;
    }
    CHECK_OK(status);
    asked.account_id = call.grant.account_id;
    CHECK_UINT(call.grant.remaining, ==, asked.granted);
    CHECK_UINT(call.grant.expires_ms, ==, up_to_second(asked.expires_ms));
    CHECK_UINT(call.grant.effective_ms, ==, up_to_second(asked.effective_ms));
    struct model_grant *new = &model->grants[model->grant_count++];
    *new = (struct model_grant){.grant = call.grant, .free = asked.granted};
    struct call again = {.grant = asked};
    CHECK_OK(run(model, op_add, &again));
    CHECK(memcmp(&again.grant, &call.grant, sizeof(call.grant)) == 0);
    again.grant.granted++;
    CHECK_STATUS(run(model, op_add, &again), JINI_E_CONFLICT);
}

static void step_reserve(struct model *model)
{
    struct model_job *job = &model->jobs[model->job_count];
    *job = (struct model_job){.id = next_id(model), .user_id = 1 + harness_random_below(USERS)};
    uint64_t available = model_available(model, job->user_id);
    job->amount = 1 + harness_random_below(harness_random_below(3) ? 30 : available + 5);
    struct call call = {.user_id = job->user_id, .id = job->id, .amount = job->amount};
    int status = run(model, op_reserve, &call);
    if (job->amount > available) {
        CHECK_STATUS(status, JINI_E_FUNDS);
        CHECK_UINT(call.out, ==, available);
        return;
    }
    CHECK_OK(status);
    CHECK_UINT(call.out, ==, available - job->amount);
    uint64_t left = job->amount;
    while (left > 0) {
        struct model_grant *from = model_next(model, job->user_id);
        uint64_t part = from->free < left ? from->free : left;
        from->free -= part;
        from->held += part;
        left -= part;
        job->parts[job->holds++] = (struct model_part){(unsigned)(from - model->grants), part, 0};
    }
    CHECK_UINT(call.holds, ==, job->holds);
    model->job_count++;
}

static struct model_job *some_job(struct model *model, int state)
{
    for (int tries = 0; model->job_count > 0 && tries < 50; tries++) {
        struct model_job *job = &model->jobs[harness_random_below(model->job_count)];
        if ((int)job->state == state)
            return job;
    }
    return NULL;
}

static void step_settle(struct model *model)
{
    struct model_job *job = some_job(model, HELD);
    if (!job)
        return;
    uint64_t used = harness_random_below(3) ? job->amount : harness_random_below(job->amount + 1);
    struct call call = {
        .user_id = job->user_id, .id = job->id, .amount = used, .holds = job->holds};
    CHECK_OK(run(model, op_settle, &call));
    for (uint32_t i = 0; i < job->holds; i++) {
        struct model_part *part = &job->parts[i];
        struct model_grant *grant = &model->grants[part->grant];
        part->drawn = part->amount < used ? part->amount : used;
        used -= part->drawn;
        grant->held -= part->amount;
        grant->used += part->drawn;
        grant->free += part->amount - part->drawn;
        model_expire(model, grant);
    }
    job->state = ENDED;
    CHECK(run(model, op_settle, &call) != 0); /* not twice */
}

static void step_refund(struct model *model)
{
    struct model_job *job = some_job(model, ENDED);
    if (!job)
        return;
    uint64_t amount = harness_random_below(2) ? UINT64_MAX : harness_random_below(20);
    uint64_t refunded = 0;
    struct call call = {.user_id = job->user_id, .id = job->id, .amount = amount};
    CHECK_OK(run(model, op_refund, &call));
    for (uint32_t i = job->holds; i-- > 0 && amount > 0;) {
        struct model_part *part = &job->parts[i];
        struct model_grant *grant = &model->grants[part->grant];
        uint64_t back = part->drawn < amount ? part->drawn : amount;
        if (back == 0)
            continue;
        amount -= back;
        refunded += back;
        grant->used -= back;
        grant->free += back;
        model_expire(model, grant);
    }
    CHECK_UINT(call.out, ==, refunded);
    if (refunded > 0) {
        job->state = REFUNDED;
        call.amount = UINT64_MAX;
        CHECK_STATUS(run(model, op_refund, &call), JINI_E_EXISTS);
    }
}

static void step_expire(struct model *model)
{
    uint64_t sum = 0;
    struct call call = {.user_id = 1 + harness_random_below(USERS)};
    for (unsigned i = 0; i < model->grant_count; i++) {
        struct model_grant *grant = &model->grants[i];
        if (grant->grant.user_id != call.user_id)
            continue;
        sum += grant->over;
        model_expire(model, grant);
        sum -= grant->over;
    }
    CHECK_OK(run(model, op_expire_user, &call));
    CHECK_UINT(call.out, ==, 0 - sum);
}

static void step_revoke(struct model *model)
{
    if (model->grant_count == 0)
        return;
    struct model_grant *grant = &model->grants[harness_random_below(model->grant_count)];
    struct call call = {.id = grant->grant.id};
    CHECK_OK(run(model, op_revoke, &call));
    CHECK_UINT(call.out, ==, grant->free);
    grant->over += grant->free;
    grant->free = 0;
}

/* ---- Both ---- */

static const struct jini_grant *find_grant(const struct wallet *wallet, const struct jini_id *id)
{
    for (uint32_t i = 0; i < wallet->count; i++) {
        if (memcmp(&wallet->grants[i].account_id, id, sizeof(*id)) == 0)
            return &wallet->grants[i];
    }
    return NULL;
}

static void compare_user(struct model *model, uint64_t user_id)
{
    static struct wallet wallet;
    struct jini_error error;
    struct store_txn *txn;
    CHECK_OK(store_read_begin(model->ledger.store, &txn));
    CHECK_OK(grants_read(txn, user_id, &wallet, &error));
    store_read_end(txn);
    CHECK_UINT(grants_available(&wallet, model->now_ms), ==, model_available(model, user_id));
    for (unsigned i = 0; i < model->grant_count; i++) {
        const struct model_grant *grant = &model->grants[i];
        CHECK_UINT(grant->free + grant->held + grant->used + grant->over, ==, grant->grant.granted);
        if (grant->grant.user_id != user_id)
            continue;
        const struct jini_grant *kept = find_grant(&wallet, &grant->grant.account_id);
        CHECK_UINT(kept ? kept->remaining : 0, ==, grant->free);
        CHECK_UINT(kept ? kept->reserved : 0, ==, grant->held);
    }
}

static void on_found(void *context, const struct ledger_finding *finding)
{
    (void)context;
    harness_fail(__FILE__, __LINE__, "%s: %s", finding->kind, finding->message);
}

static bool on_events(void *context, uint64_t events)
{
    (void)context;
    (void)events;
    return true;
}

static void check_ledger(struct model *model)
{
    struct jini_error error;
    struct ledger_check check = {model->ledger.store, on_found, on_events, NULL};
    CHECK_OK(ledger_check(&check, &error));
}

static void step(struct model *model)
{
    static void (*const steps[])(struct model *) = {step_add,     step_reserve, step_reserve,
                                                    step_reserve, step_settle,  step_settle,
                                                    step_refund,  step_expire,  step_revoke};
    uint64_t which = harness_random_below(sizeof(steps) / sizeof(steps[0]) * 4);
    model->now_ms += harness_random_below(3000);
    model->ledger.now_ns = model->now_ms * NS_PER_MS;
    if (which < sizeof(steps) / sizeof(steps[0]))
        steps[which](model);
    else
        steps[which % 6](model); /* seldom taken back */
}

TEST(grants_do_what_their_model_does,
     "For random calls each answer and each grant is the model's, and no credit is lost.")
{
    static struct model model;
    memset(&model, 0, sizeof(model));
    model.ledger = ledger_open(STORE_DRIVER_MEMORY);
    model.now_ms = model.ledger.now_ns / NS_PER_MS;
    for (uint64_t i = 0; i < STEPS && model.job_count < JOBS && model.grant_count < GRANTS; i++) {
        step(&model);
        compare_user(&model, 1 + harness_random_below(USERS));
    }
    CHECK_UINT(model.job_count, >, 100);
    check_ledger(&model);
    ledger_close(&model.ledger);
}
