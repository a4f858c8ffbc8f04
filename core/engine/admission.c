/*
 * Admission: may this generation run?
 *
 *   on the caller's thread   request id, user and tier on a snapshot, size and steps, rate limits
 *   in the transaction       request id, user, tier and limits again; jobs that were given up;
 *                            parallel jobs; quotas; credits; the job
 *   after it                 rate limits go back unless the job was written
 *
 * What was reserved is kept in the job's record, so that whoever ends the job, in whatever process,
 * gives back exactly that.
 */
#include "engine/credentials.h"
#include "engine/grants.h"
#include "engine/queue.h"
#include "engine/rate.h"
#include "engine/txn.h"
#include "engine/why.h"
#include "events/events.h"
#include "generations/requests.h"

#include "accounts/accounts.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <jini/admission.h>

enum {
    ADMIT_OP_BYTES = 1536 + EVENT_BYTES,
    ADMIT_TRIES = 4,
    SIDE_MAX = 65536,
    QUEUE_TTL_MAX_MS = 604800000
};

struct admit_work {
    struct allowed allowed;
    struct rate_charge rates;
    struct credential_text text; /* with a credential */
    struct jini_credential credential;
    const struct plan *key_plan; /* NULL: no key, or one without limits */
    struct rate_charge key_rates;
    struct quota_charge quotas;
    struct quota_plan quota_plan;
    struct jini_id job_id;
    struct hash128 digest;    /* of what is asked for, where there is a request id */
    bool uncharged;           /* since the request seemed to be repeated */
    uint64_t now_ns;          /* wall */
    struct standing standing; /* of the last run of the op, or look after it */
    unsigned tries;
    uint32_t ended;                    /* jobs ended by the last run of the op */
    struct job_damage damage;          /* found by that run */
    struct rate_receipts *ended_rates; /* to go back once that has committed; NULL: none yet */
    bool returned;                     /* by it: a job of the subject waits for workers again */
    int decision;   /* of the last run of the op, when it had to commit a cleaning */
    uint32_t holds; /* of credits */
    uint8_t reservation[GENERATIONS_RESERVATION_MAX];
    size_t reservation_length;
    uint8_t facts[GENERATIONS_FACTS_MAX];
};

static struct jini_admit *admit_of(struct jini_request *request)
{
    return (struct jini_admit *)request;
}

/* ---- Checks that need no store ---- */

static int check_text(const char *text, const char *field, size_t bytes_max,
                      struct jini_error *error)
{
    if (!text)
        return 0;
    if (strlen(text) > bytes_max || !text_is_utf8(slice_of_text(text)))
        return error_set(error, JINI_E_INVALID, field, "UTF-8 text of up to %zu bytes is taken",
                         bytes_max);
    return 0;
}

static int check_number(uint64_t value, uint64_t most, const char *field, struct jini_error *error)
{
    if (value >= 1 && value <= most)
        return 0;
    return error_set(error, JINI_E_INVALID, field, "%llu is not from 1 to %llu",
                     (unsigned long long)value, (unsigned long long)most);
}

static int check_admit(const struct jini_admit *admit, struct jini_error *error)
{
    const struct jini_parameters *parameters = &admit->parameters;
    if (!admit->credential && admit->subject.kind != JINI_SUBJECT_USER &&
        admit->subject.kind != JINI_SUBJECT_ADDRESS)
        return error_set(error, JINI_E_INVALID, "subject", "a user or an address is admitted");
    int status = check_flags(admit->flags, JINI_ADMIT_IN_ORDER | JINI_ADMIT_QUEUE, error);
    if (status == 0 && !admit->credential)
        status = subject_check(&admit->subject, error);
    if (status)
        return status;
    if (!memchr(parameters->model, '\0', sizeof(parameters->model)))
        return error_set(error, JINI_E_INVALID, "model", "up to %d bytes are taken",
                         JINI_MODEL_MAX - 1);
    if (admit->queue_ttl_ms > QUEUE_TTL_MAX_MS)
        return error_set(error, JINI_E_INVALID, "queue_ttl_ms", "up to %d ms are taken",
                         QUEUE_TTL_MAX_MS);
    status = check_number(parameters->width, SIDE_MAX, "width", error);
    if (status == 0)
        status = check_number(parameters->height, SIDE_MAX, "height", error);
    if (status == 0)
        status = check_number(parameters->steps, UINT32_MAX, "steps", error);
    if (status == 0)
        status = check_number(parameters->count, JINI_JOB_IMAGES_MAX, "count", error);
    if (status == 0)
        status = check_text(parameters->model, "model", JINI_MODEL_MAX - 1, error);
    if (status == 0)
        status = check_text(admit->prompt, "prompt", JINI_PROMPT_MAX - 1, error);
    return status ? status : check_text(admit->negative, "negative", JINI_PROMPT_MAX - 1, error);
}

static int check_side(uint32_t value, uint32_t most, const char *field, struct jini_error *error)
{
    if (most == 0 || value <= most)
        return 0;
    return error_set(error, JINI_E_FORBIDDEN, field, "the tier allows %s of up to %u, not %u",
                     field, most, value);
}

/* What the tier forbids whatever was used so far. */
static int check_allowance(const struct jini_admit *admit, const struct allowed *allowed,
                           struct jini_error *error)
{
    const struct jini_allowance *allowance = &allowed->allowance;
    if (!(allowed->flags & JINI_USER_ACTIVE))
        return error_set(error, JINI_E_INACTIVE, "subject", "the account is disabled");
    int status = check_side(admit->parameters.width, allowance->width_max, "width", error);
    if (status == 0)
        status = check_side(admit->parameters.height, allowance->height_max, "height", error);
    if (status == 0)
        status = check_side(admit->parameters.steps, allowance->steps_max, "steps", error);
    return status;
}

/* ---- Credentials ---- */

/* Whose the credential is; the transaction looks again. */
static int find_subject(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    struct jini_error *error = &admit->request.error;
    struct jini_user user;
    if (!admit->credential)
        return 0;
    int status = credential_take(admit->credential, &work->text, error);
    if (status == 0)
        status = credential_find(jini, &work->text, &work->credential, &user, error);
    if (status == 0)
        admit->subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = user.id};
    return status;
}

/* JINI_E_CONFLICT: it has other limits than those that were charged. */
static int check_credential_in(struct store_txn *txn, struct jini_admit *admit,
                               const struct admit_work *work)
{
    struct jini_credential now;
    struct jini_user user;
    if (!admit->credential)
        return 0;
    int status = credentials_check(txn, &work->text, work->now_ns / NS_PER_MS, &now, &user,
                                   &admit->request.error);
    if (status == 0 && strcmp(now.limits, work->credential.limits) != 0)
        status = JINI_E_CONFLICT;
    return status;
}

/* Says of which key a refusal is. */
static int refused_by_key(struct jini_admit *admit, const struct admit_work *work, int status)
{
    struct jini_error *error = &admit->request.error;
    uint64_t retry_after_ms = error->retry_after_ms;
    char said[sizeof(error->message)];
    memcpy(said, error->message, sizeof(said));
    error_set(error, status, "key", "%s: %.200s", work->credential.shown, said);
    error->retry_after_ms = retry_after_ms;
    admit->answer.retry_after_ms = admit->key_answer.retry_after_ms;
    return status;
}

/* Charges the rate limits of the key; of a request that was admitted before, looks at them. */
static int charge_key(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    if (!admit->credential || work->credential.limits[0] == '\0')
        return 0;
    int status =
        plans_get(jini->plans, work->credential.limits, &work->key_plan, &admit->request.error);
    if (status)
        return status;
    work->key_rates = (struct rate_charge){
        .subject = {.kind = JINI_SUBJECT_API_KEY, .number = work->credential.id},
        .plan = work->key_plan,
        .cost = admit->parameters.count,
        .flags = work->rates.flags,
    };
    if (work->uncharged) {
        rate_look(jini, &work->key_rates, &admit->key_answer);
        return 0;
    }
    return rate_charge(jini, &work->key_rates, &admit->key_answer, &admit->request.error);
}

/* ---- Requests that come again ---- */

/* All that is asked for. The lease, the queue and how limits are counted are no part of it. */
static int digest_of(const struct jini_admit *admit, struct hash128 *out)
{
    const struct jini_parameters *p = &admit->parameters;
    struct slice prompt = slice_of_text(admit->prompt ? admit->prompt : "");
    struct slice negative = slice_of_text(admit->negative ? admit->negative : "");
    const uint64_t numbers[] = {admit->subject.kind,
                                admit->subject.number,
                                p->width,
                                p->height,
                                p->steps,
                                p->count,
                                (uint64_t)p->seed,
                                p->guidance_millionths,
                                prompt.length,
                                negative.length};
    uint8_t bytes[sizeof(numbers)];
    struct hash_stream *stream = hash_stream_new();
    if (!stream)
        return JINI_E_NO_MEMORY;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        store_le64(bytes + 8 * i, numbers[i]);
    hash_stream_reset(stream);
    hash_stream_add(stream, slice_of(bytes, sizeof(bytes)));
    hash_stream_add(stream, slice_of(admit->subject.address, sizeof(admit->subject.address)));
    hash_stream_add(stream, slice_of(p->model, strlen(p->model) + 1));
    hash_stream_add(stream, prompt);
    hash_stream_add(stream, negative);
    *out = hash_stream_128(stream);
    hash_stream_free(stream);
    return 0;
}

/* Whether the request was admitted before; then `admit->job` is its job. */
static int find_repeated(struct store_txn *txn, struct jini_admit *admit,
                         const struct admit_work *work)
{
    struct generations_request found;
    struct jini_error *error = &admit->request.error;
    admit->repeated = 0;
    if (id_is_zero(&admit->request_id))
        return 0;
    int status =
        generations_request_find(txn, &admit->request_id, work->now_ns / NS_PER_MS, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status)
        return error_set(error, status, "request_id", "what it led to cannot be read");
    if (!hash128_equal(&found.digest, &work->digest))
        return error_set(error, JINI_E_EXISTS, "request_id",
                         "it was admitted before, and something else was asked for");
    status = generations_job_get(txn, &found.job_id, &admit->job, error);
    if (status == JINI_E_NOT_FOUND)
        return error_set(error, JINI_E_EXPIRED, "request_id",
                         "it was admitted before, and the record of its job is gone");
    admit->repeated = status == 0;
    admit->cost = admit->job.cost_credits;
    return status;
}

/* The same before anything is charged; the transaction looks again. */
static int look_for_repeated(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    struct store_txn *txn;
    admit->repeated = 0;
    if (id_is_zero(&admit->request_id))
        return 0;
    int status = digest_of(admit, &work->digest);
    if (status == 0)
        status = store_read_begin_explained(jini->store, &txn, &admit->request.error);
    if (status)
        return status;
    status = find_repeated(txn, admit, work);
    store_read_end(txn);
    return status;
}

static int remember(struct store_txn *txn, const struct jini_admit *admit,
                    const struct admit_work *work)
{
    const struct generations_request request = {admit->request_id, work->job_id, work->digest};
    return id_is_zero(&admit->request_id)
               ? 0
               : generations_request_add(txn, &request, work->now_ns / NS_PER_MS);
}

/* ---- The transaction ---- */

/* Whose running jobs count. */
static struct generations_subject subject_of(const struct admit_work *work)
{
    const struct quota_subject *subject = &work->quotas.subject;
    return (struct generations_subject){subject->user_id, quota_address(subject)};
}

/*
 * Ends the subject's jobs whose lease ran out, and counts those that are left; what cannot be ended
 * leaves the row all the same.
 */
static int end_given_up(struct store_txn *txn, struct jini_admit *admit, struct admit_work *work)
{
    struct jini *jini = request_state(&admit->request)->jini;
    struct generations_subject subject = subject_of(work);
    const struct generations_running *running = &work->standing.running;
    uint64_t now_ms = work->standing.now_ms;
    work->standing.parallel = running->count;
    if (running->expired > 0 && !work->ended_rates)
        work->ended_rates = base_malloc(GENERATIONS_RUNNING_MAX * sizeof(*work->ended_rates));
    if (running->expired > 0 && !work->ended_rates)
        return JINI_E_NO_MEMORY;
    for (uint32_t i = 0; i < running->expired; i++) {
        struct job_end end = {.jini = jini, .id = running->jobs[i].id, .now_ms = now_ms};
        int status = job_give_up_in(txn, &end, &work->damage);
        if (status == JINI_E_IN_USE)
            continue; /* it runs, whatever the row of running jobs says */
        if (status == JINI_E_NOT_FOUND) {
            status = generations_running_drop(txn, &subject, &end.id, &admit->request.error);
            end.rates.count = 0;
        }
        if (status)
            return status;
        if (end.returned) {
            work->returned = true;
            continue;
        }
        work->ended_rates[work->ended++] = end.rates;
        work->standing.parallel--;
    }
    return 0;
}

static int refuse_parallel(struct store_txn *txn, struct admit_work *work, struct jini_error *error)
{
    int status = quota_peek(txn, &work->quotas); /* for the answer */
    if (status && status != JINI_E_BUSY)
        return status;
    return standing_check_parallel(&work->standing, work->allowed.allowance.parallel_max, error);
}

/* By the price list as it is now: the job keeps what it cost. */
static int reserve_credits(struct store_txn *txn, struct jini_admit *admit, struct admit_work *work)
{
    struct jini_error *error = &admit->request.error;
    struct grants_txn grants;
    struct jini_cost cost;
    work->holds = 0;
    admit->credits = 0;
    int status = cost_in(txn, &admit->parameters, &admit->cost, &cost, error);
    admit->cost_version = cost.version;
    if (status || admit->cost == 0)
        return status;
    if (admit->subject.kind != JINI_SUBJECT_USER)
        return error_set(error, JINI_E_FUNDS, "credits",
                         "it costs %llu credits, and only users have any",
                         (unsigned long long)admit->cost);
    status = grants_txn_in(txn, request_state(&admit->request)->jini, work->standing.now_ms, error,
                           &grants);
    return status ? status
                  : grants_reserve(&grants, admit->subject.number, &work->job_id, admit->cost,
                                   &work->holds, &admit->credits);
}

static int tell_admitted(struct store_txn *txn, const struct jini_admit *admit,
                         const struct admit_work *work)
{
    struct event event;
    event_begin(&event, EVENT_JOB_ADMITTED, subject_of(work).user_id, &work->job_id);
    event_add_uint(&event, EVENT_FIELD_COST_CREDITS, admit->cost);
    return events_append(txn, &event);
}

/* Why it is admitted, as its record keeps it. */
static struct slice facts_of(const struct jini_admit *admit, struct admit_work *work)
{
    struct buffer out = buffer_of(work->facts, sizeof(work->facts));
    struct jini_limit_answer answer = admit->answer;
    struct jini_decision decision;
    rate_add_quotas(work->allowed.plan, &work->quotas, &answer);
    answer.parallel = work->standing.parallel + 1;
    why_fill(admit, &work->allowed, &answer, &decision);
    decision.credits_before = decision.credits_after + (work->holds ? decision.cost : 0);
    int status = facts_write(&decision, &out);
    JINI_ASSERT(status == 0 && sizeof(work->facts) >= FACTS_MAX);
    return buffer_slice(&out);
}

/* Makes a job one for workers. */
static void queue_job(struct jini_admit *admit, const struct admit_work *work,
                      struct generations_job *job)
{
    const struct jini_options *options = &request_state(&admit->request)->jini->options;
    job->flags |= GENERATIONS_JOB_QUEUED;
    job->priority = work->allowed.queue_priority;
    job->attempts_max = (uint32_t)options->queue_attempts_max;
    job->wait_ms = admit->queue_ttl_ms ? admit->queue_ttl_ms : options->queue_ttl_ms;
    job->expires_ms = job->created_ms + job->wait_ms;
    job->waiting_max = options->queue_jobs_max;
}

/* Of the user and of the key. */
static struct rate_receipts receipts_of(const struct admit_work *work)
{
    struct rate_receipts all = work->rates.receipts;
    for (uint32_t i = 0; work->key_plan && i < work->key_rates.receipts.count; i++)
        all.items[all.count++] = work->key_rates.receipts.items[i];
    return all;
}

static int decide(struct store_txn *txn, struct jini_admit *admit, struct admit_work *work)
{
    struct jini_error *error = &admit->request.error;
    uint32_t most = work->allowed.allowance.parallel_max;
    if (standing_check_parallel(&work->standing, most, NULL) != 0)
        return refuse_parallel(txn, work, error);
    int status = quota_reserve(txn, &work->quotas);
    if (status == JINI_E_BUSY)
        return rate_quotas_full(&work->quotas, error);
    if (status == 0)
        status = reserve_credits(txn, admit, work);
    if (status)
        return status;
    const struct rate_receipts rates = receipts_of(work);
    work->reservation_length =
        reservation_encode(&admit->subject, &work->quotas, &rates, work->holds, work->reservation);
    uint64_t now_ms = work->now_ns / NS_PER_MS;
    uint64_t lease_ms = admit->lease_ms
                            ? admit->lease_ms
                            : request_state(&admit->request)->jini->options.admission_lease_ms;
    struct generations_subject subject = subject_of(work);
    struct generations_job job = {
        .id = work->job_id,
        .user_id = subject.user_id,
        .address = subject.address,
        .parameters = admit->parameters,
        .prompt = slice_of_text(admit->prompt ? admit->prompt : ""),
        .negative = slice_of_text(admit->negative ? admit->negative : ""),
        .created_ms = now_ms,
        .expires_ms = now_ms + lease_ms,
        .cost_credits = admit->cost,
        .reservation = slice_of(work->reservation, work->reservation_length),
        .facts = facts_of(admit, work),
        .flags = GENERATIONS_JOB_COUNTED,
    };
    if (admit->flags & JINI_ADMIT_QUEUE)
        queue_job(admit, work, &job);
    status = generations_job_create(txn, &job, error);
    if (status == 0)
        status = remember(txn, admit, work);
    if (status == 0)
        status = tell_admitted(txn, admit, work);
    return status ? status : generations_job_get(txn, &work->job_id, &admit->job, error);
}

static int op_admit(struct jini_txn *inside, void *request)
{
    struct store_txn *txn = inside->store;
    struct jini_admit *admit = request;
    struct request_state *state = request_state(&admit->request);
    struct admit_work *work = state->work;
    struct jini_error *error = &admit->request.error;
    struct allowed now;
    struct generations_subject subject = subject_of(work);
    error_clear(error); /* of the run before */
    work->decision = 0;
    work->ended = 0;
    work->returned = false;
    work->damage = (struct job_damage){0};
    int status = check_credential_in(txn, admit, work);
    if (status == 0)
        status = find_repeated(txn, admit, work);
    if (status || admit->repeated)
        return status;
    if (work->uncharged)
        return JINI_E_CONFLICT; /* it was forgotten meanwhile: begin anew */
    status = allowance_in(txn, state->jini, subject.user_id, work->now_ns / NS_PER_MS, &now, error);
    if (status)
        return status;
    if (strcmp(now.allowance.limits, work->allowed.plan->text) != 0)
        return JINI_E_CONFLICT; /* changed since the rate limits were charged: begin anew */
    now.plan = work->allowed.plan;
    work->allowed = now;
    status = check_allowance(admit, &now, error);
    work->standing.now_ms = work->now_ns / NS_PER_MS;
    if (status == 0)
        status = generations_running_get(txn, &subject, work->standing.now_ms,
                                         &work->standing.running, error);
    if (status == 0 && admit->flags & JINI_ADMIT_QUEUE)
        status = generations_waiting_room(txn, state->jini->options.queue_jobs_max, error);
    if (status == 0)
        status = end_given_up(txn, admit, work);
    if (status)
        return status;
    status = decide(txn, admit, work);
    if (status == JINI_E_LIMITED && (work->ended > 0 || work->returned)) {
        work->decision = status; /* the cleaning is worth keeping */
        return 0;
    }
    return status;
}

/* ---- Around it ---- */

static void drop_work(struct jini_request *request)
{
    struct admit_work *work = request_state(request)->work;
    plan_release(work->allowed.plan);
    base_free(work->ended_rates);
    plan_release(work->key_plan);
    base_free(work);
    request_state(request)->work = NULL;
}

/* Gives the answer the id by which jini_why() explains it. */
static void explain_later(struct jini_request *request, int status)
{
    const struct request_state *state = request_state(request);
    const struct admit_work *work = state->work;
    struct jini_admit *admit = admit_of(request);
    if (status == 0)
        admit->decision_id = admit->job.id;
    else if (admit->subject.kind != 0) /* it is known who asked */
        why_keep(state->jini, admit, &work->allowed, status);
}

static void finish(struct jini_request *request, int status)
{
    explain_later(request, status);
    drop_work(request);
    request_finish(request, status);
}

/*
 * Quotas as they stand, where no transaction has decided by them and been written. The answer has
 * no entries when they cannot be read, as those would say that all is used up.
 */
static void show_quotas(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    struct store_txn *txn;
    int status = store_read_begin(jini->store, &txn);
    if (status == 0) {
        status = standing_read(txn, &work->quotas, &work->standing);
        store_read_end(txn);
        if (status == JINI_E_BUSY) /* which has all outcomes */
            status = 0;
    }
    rate_add_quotas(work->allowed.plan, &work->quotas, &admit->answer);
    if (status && admit->answer.decided == JINI_LIMITS_MAX)
        admit->answer.count = 0;
}

/* Whether it was admitted or not, the caller sees every limit. */
static void fill_answer(struct jini *jini, struct jini_admit *admit, struct admit_work *work,
                        int status)
{
    struct jini_limit_answer *answer = &admit->answer;
    bool admitted = status == 0 && !admit->repeated;
    if (admitted || status == JINI_E_LIMITED)
        rate_add_quotas(work->allowed.plan, &work->quotas, answer);
    else
        show_quotas(jini, admit, work);
    answer->parallel = work->standing.parallel + admitted;
    answer->parallel_max = work->allowed.allowance.parallel_max;
    if (status == JINI_E_LIMITED && admit->request.error.code == 0) {
        uint32_t decided = work->quotas.decided;
        JINI_ASSERT(decided < work->quota_plan.count);
        answer->decided = work->allowed.plan->quota_index[decided];
        answer->retry_after_ms = answer->entries[answer->decided].retry_after_ms;
        rate_refusal(answer, &admit->request.error);
    } else if (status == JINI_E_LIMITED || status == JINI_E_BUSY) {
        answer->retry_after_ms = admit->request.error.retry_after_ms;
    }
}

static int prepare(struct jini *jini, struct jini_admit *admit, struct admit_work *work);

static void give_rates_back(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    rate_undo(jini, &work->rates, &admit->answer);
    if (work->key_plan)
        rate_undo(jini, &work->key_rates, &admit->key_answer);
}

static void after_admit(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct jini_admit *admit = admit_of(request);
    struct admit_work *work = state->work;
    int status = request->status ? request->status : work->decision;
    for (uint32_t i = 0; request->status == 0 && i < work->ended; i++)
        rate_refund(state->jini, &work->ended_rates[i]);
    if (request->status == 0)
        job_log_damage(state->jini, &work->damage);
    if (status || admit->repeated)
        give_rates_back(state->jini, admit, work);
    if (status == JINI_E_CONFLICT && ++work->tries < ADMIT_TRIES) {
        status = prepare(state->jini, admit, work);
        if (status == 0) {
            status = request_write(request, op_admit, STORE_NEW_WORK, ADMIT_OP_BYTES, after_admit);
            if (status == 0)
                return;
            give_rates_back(state->jini, admit, work);
            fill_answer(state->jini, admit, work, status);
        }
    } else {
        if (status == JINI_E_CONFLICT)
            status = error_set(&request->error, JINI_E_BUSY, "limits",
                               "the subject's limits were changed %d times meanwhile; try again",
                               ADMIT_TRIES);
        fill_answer(state->jini, admit, work, status);
    }
    finish(request, status);
}

/* What the try before has left. */
static void forget_try(struct jini_admit *admit, struct admit_work *work)
{
    memset(&admit->answer, 0, sizeof(admit->answer));
    memset(&admit->key_answer, 0, sizeof(admit->key_answer));
    admit->answer.decided = admit->key_answer.decided = JINI_LIMITS_MAX;
    plan_release(work->allowed.plan);
    plan_release(work->key_plan);
    work->allowed.plan = work->key_plan = NULL;
}

/* Charges the rate limits, of the key and of the user, all or none. */
static int charge(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    struct jini_error *error = &admit->request.error;
    int status = charge_key(jini, admit, work);
    bool by_key = status != 0;
    if (status || work->uncharged)
        rate_look(jini, &work->rates, &admit->answer);
    else
        status = rate_charge(jini, &work->rates, &admit->answer, error);
    if (status && !by_key && work->key_plan)
        rate_undo(jini, &work->key_rates, &admit->key_answer);
    /* The answer has the quotas too, as far as they can be read. */
    if (status == JINI_E_LIMITED || status == JINI_E_BUSY)
        show_quotas(jini, admit, work);
    return status && by_key ? refused_by_key(admit, work, status) : status;
}

static int prepare(struct jini *jini, struct jini_admit *admit, struct admit_work *work)
{
    struct jini_error *error = &admit->request.error;
    work->now_ns = clock_wall_ns(jini->clock);
    forget_try(admit, work);
    int status = find_subject(jini, admit, work);
    if (status == 0)
        status = look_for_repeated(jini, admit, work);
    if (status == 0)
        status = allowance_of(jini, user_of(&admit->subject), &work->allowed, error);
    if (status == 0 && !admit->repeated)
        status = check_allowance(admit, &work->allowed, error);
    if (status)
        return status;
    work->rates = (struct rate_charge){
        .subject = admit->subject,
        .plan = work->allowed.plan,
        .cost = admit->parameters.count,
        .flags = admit->flags & JINI_ADMIT_IN_ORDER ? JINI_CHECK_IN_ORDER : 0,
    };
    work->quota_plan = work->allowed.plan->quotas;
    work->quota_plan.anchor_ns = work->allowed.anchor_ns;
    work->quotas = (struct quota_charge){
        .subject = quota_subject_of(&admit->subject),
        .plan = &work->quota_plan,
        .now_ns = work->now_ns,
        .cost = admit->parameters.count,
    };
    work->uncharged = admit->repeated;
    return charge(jini, admit, work);
}

int jini_admit(struct jini *jini, struct jini_admit *admit, jini_callback *callback)
{
    struct jini_request *request = &admit->request;
    int status = request_begin(jini, request, sizeof(*admit), REQUEST_ADMIT, callback);
    if (status)
        return status;
    status = check_admit(admit, &request->error);
    if (status == 0 && !jini->rates)
        status = explain_read_only(&request->error);
    if (status)
        return request_refuse(request, status);
    struct admit_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    request_state(request)->work = work;
    memset(&admit->decision_id, 0, sizeof(admit->decision_id));
    if (admit->credential)
        memset(&admit->subject, 0, sizeof(admit->subject));
    admit->cost = admit->credits = admit->cost_version = 0;
    work->job_id = id_next(&jini->ids);
    status = prepare(jini, admit, work);
    if (status == 0) {
        status = request_write(request, op_admit, STORE_NEW_WORK, ADMIT_OP_BYTES, after_admit);
        if (status) {
            give_rates_back(jini, admit, work);
            fill_answer(jini, admit, work, status);
        }
    }
    if (status) {
        explain_later(request, status);
        drop_work(request);
        return request_refuse(request, status);
    }
    return callback ? 0 : request_wait(request);
}
