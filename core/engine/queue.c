/* What workers do with jobs: take, extend, finish, fail. */
#include "engine/queue.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "engine/txn.h"

enum { CHANGE_OP_BYTES = 512, TAKE_OP_BYTES = 1024, SHIFT_MAX = 32 };

/* ---- Taking ---- */

static struct jini_job_take *take_of(struct jini_request *request)
{
    return (struct jini_job_take *)request;
}

struct generations_serves take_serves(const struct jini *jini, const struct jini_job_take *take)
{
    return (struct generations_serves){.models = take->models,
                                       .model_count = take->model_count,
                                       .now_ms = clock_wall_ns(jini->clock) / NS_PER_MS,
                                       .aging_ms = jini->options.queue_aging_ms};
}

static int check_models(const struct jini_job_take *take, struct jini_error *error)
{
    bool right = take->model_count <= JINI_TAKE_MODELS_MAX && (take->models || !take->model_count);
    for (uint32_t i = 0; right && i < take->model_count; i++)
        right = take->models[i] && strlen(take->models[i]) < JINI_MODEL_MAX;
    return right ? 0
                 : error_set(error, JINI_E_INVALID, "models",
                             "up to %d models of up to %d bytes each are named",
                             JINI_TAKE_MODELS_MAX, JINI_MODEL_MAX - 1);
}

static int check_take(const struct jini_job_take *take, struct jini_error *error)
{
    size_t length = take->worker ? strlen(take->worker) : 0;
    if (length == 0 || length >= JINI_WORKER_NAME_MAX ||
        !text_is_utf8(slice_of(take->worker, length)))
        return error_set(error, JINI_E_INVALID, "worker",
                         "a name of 1 to %d bytes of UTF-8 is taken", JINI_WORKER_NAME_MAX - 1);
    if (take->capacity == 0 || take->capacity > JINI_TAKE_MAX)
        return error_set(error, JINI_E_INVALID, "capacity", "%u is not from 1 to %d",
                         take->capacity, JINI_TAKE_MAX);
    if (!take->taken)
        return error_set(error, JINI_E_INVALID, "taken", "room for the jobs is needed");
    return check_models(take, error);
}

static int read_prompts(struct store_txn *txn, struct jini_job_taken *taken,
                        struct jini_error *error)
{
    struct buffer prompt = buffer_of(taken->prompt, sizeof(taken->prompt) - 1);
    struct buffer negative = buffer_of(taken->negative, sizeof(taken->negative) - 1);
    int status = generations_job_prompts(txn, &taken->job.id, &prompt, &negative, error);
    taken->prompt[prompt.length] = '\0';
    taken->negative[negative.length] = '\0';
    return status;
}

/* A job whose prompt is lost can be done by nobody. */
static int fail_unreadable(struct jini_txn *txn, struct take_work *work, const struct jini_id *id)
{
    struct jini_error ignored;
    struct job_end *end = &work->ends[work->ended++];
    *end = (struct job_end){.jini = txn->jini,
                            .id = *id,
                            .to = JINI_JOB_FAILED,
                            .flags = JOB_END_DESPITE_DAMAGE,
                            .now_ms = txn->now_ms,
                            .reason = "its prompt is damaged"};
    work->damage.records++;
    work->damage.last = *id;
    return job_end_in(txn->store, end, &ignored);
}

static int take_one(struct jini_txn *txn, struct jini_job_take *take, struct take_work *work)
{
    struct jini_error *error = &take->request.error;
    struct jini_job_taken *taken = &take->taken[take->count];
    struct generations_take one = {.serves = take_serves(txn->jini, take),
                                   .worker = take->worker,
                                   .lease_ms = take->lease_ms ? take->lease_ms
                                                              : txn->jini->options.queue_lease_ms};
    one.serves.now_ms = txn->now_ms;
    int status = generations_waiting_take(txn->store, &one, error);
    work->damage.records += one.damaged;
    if (one.damaged)
        work->damage.last = one.damaged_id;
    if (status)
        return status;
    taken->job = one.job;
    status = read_prompts(txn->store, taken, error);
    if (status_is_damage(status)) {
        error_clear(error);
        return fail_unreadable(txn, work, &taken->job.id);
    }
    if (status == 0)
        status = job_tell_started(txn->store, &taken->job);
    take->count += status == 0;
    return status;
}

static int op_take(struct jini_txn *txn, void *request)
{
    struct jini_job_take *take = request;
    struct take_work *work = request_state(&take->request)->work;
    take->count = 0;
    work->damage = (struct job_damage){0};
    int status = jobs_give_up_due(txn->store, txn->jini, txn->now_ms, work->ends, TAKE_DUE_MAX,
                                  &work->ended, &work->damage);
    while (status == 0 && take->count < take->capacity && work->ended < TAKE_ENDS_MAX)
        status = take_one(txn, take, work);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

void take_finish(struct take_work *work, int status)
{
    struct jini_request *request = work->request;
    request_state(request)->work = NULL;
    base_free(work);
    if (status)
        take_of(request)->count = 0;
    request_finish(request, status);
}

static void after_take(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct take_work *work = state->work;
    struct jini *jini = state->jini;
    takes_ran(jini->takes, work);
    if (request->status) {
        take_finish(work, request->status);
        return;
    }
    for (size_t i = 0; i < work->ended; i++)
        rate_refund(jini, &work->ends[i].rates);
    job_log_damage(jini, &work->damage);
    if (take_of(request)->count > 0)
        take_finish(work, 0);
    else
        takes_wait(jini->takes, work);
}

int take_run(struct take_work *work)
{
    struct jini_request *request = work->request;
    struct request_state *state = request_state(request);
    state->deadline_ns =
        clock_boot_ns(state->jini->clock) + request_timeout_ms(state->jini, request) * NS_PER_MS;
    return request_write(request, op_take, STORE_NEW_WORK,
                         TAKE_OP_BYTES * take_of(request)->capacity, after_take);
}

/* Whether its op would find anything to do, so that a look at an empty queue commits nothing. */
static int has_work(struct jini *jini, const struct jini_job_take *take, bool *out,
                    struct jini_error *error)
{
    struct generations_serves serves = take_serves(jini, take);
    struct generations_due due;
    struct store_txn *txn;
    size_t count = 0;
    *out = false;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = generations_waiting_any(txn, &serves, error);
    *out = status == 0;
    if (status == JINI_E_NOT_FOUND) {
        status =
            generations_due_list(txn, GENERATIONS_DUE_JOB, serves.now_ms, &due, 1, &count, error);
        *out = count > 0;
    }
    store_read_end(txn);
    return status;
}

static int start_take(struct jini *jini, struct take_work *work)
{
    struct jini_request *request = work->request;
    bool found;
    int status = has_work(jini, take_of(request), &found, &request->error);
    if (status)
        return status;
    if (found)
        return take_run(work);
    takes_wait(jini->takes, work);
    return 0;
}

int jini_job_take(struct jini *jini, struct jini_job_take *take, jini_callback *callback)
{
    struct jini_request *request = &take->request;
    int status = request_begin(jini, request, sizeof(*take), REQUEST_JOB_TAKE, callback);
    if (status)
        return status;
    take->count = 0;
    status = check_take(take, &request->error);
    if (status == 0 && !jini->takes)
        status = explain_read_only(&request->error);
    if (status)
        return request_refuse(request, status);
    struct take_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, JINI_E_NO_MEMORY);
    work->request = request;
    work->until_ns = clock_boot_ns(jini->clock) + take->wait_ms * NS_PER_MS;
    request_state(request)->work = work;
    status = start_take(jini, work);
    if (status) {
        request_state(request)->work = NULL;
        base_free(work);
        return request_refuse(request, status);
    }
    return callback ? 0 : request_wait(request);
}

/* ---- Who has a job ---- */

static int check_attempt(uint32_t attempt, struct jini_error *error)
{
    return attempt ? 0
                   : error_set(error, JINI_E_INVALID, "attempt",
                               "the number of the attempt, which came with the job, is needed");
}

static int check_extend(void *request, enum txn_place place)
{
    struct jini_job_extend *extend = request;
    (void)place;
    return check_attempt(extend->attempt, &extend->request.error);
}

static int op_extend(struct jini_txn *txn, void *request)
{
    struct jini_job_extend *extend = request;
    uint64_t lease_ms = extend->lease_ms ? extend->lease_ms : txn->jini->options.queue_lease_ms;
    struct generations_job_change change = {.id = extend->job_id,
                                            .to = JINI_JOB_IN_PROGRESS,
                                            .now_ms = txn->now_ms,
                                            .expires_ms = txn->now_ms + lease_ms,
                                            .attempt = extend->attempt};
    int status = generations_job_transition(txn->store, &change, &extend->request.error);
    if (status == JINI_E_CONFLICT)
        return job_conflict(txn->store, &extend->job_id, &extend->job);
    if (status == 0)
        extend->job = change.job;
    return status;
}

static const struct txn_form extend_form = {
    .kind = REQUEST_JOB_EXTEND,
    .size = sizeof(struct jini_job_extend),
    .bytes = CHANGE_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_extend,
    .op = op_extend,
};

int jini_job_extend(struct jini *jini, struct jini_job_extend *extend, jini_callback *callback)
{
    return txn_submit(jini, &extend->request, &extend_form, callback);
}

int jini_txn_job_extend(struct jini_txn *txn, struct jini_job_extend *extend)
{
    return txn_call(txn, &extend->request, &extend_form);
}

/* ---- Finishing ---- */

static int check_finish(void *request, enum txn_place place)
{
    struct jini_job_finish *finish = request;
    (void)place;
    return check_attempt(finish->attempt, &finish->request.error);
}

static int op_finish(struct jini_txn *txn, void *request)
{
    struct jini_job_finish *finish = request;
    int status =
        settle_job(txn->store, txn->jini, &finish->job_id, finish->attempt, finish->unused_credits,
                   txn->now_ms, &finish->job, &finish->request.error);
    return status == JINI_E_CONFLICT ? job_conflict(txn->store, &finish->job_id, &finish->job)
                                     : status;
}

static const struct txn_form finish_form = {
    .kind = REQUEST_JOB_FINISH,
    .size = sizeof(struct jini_job_finish),
    .bytes = CHANGE_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_finish,
    .op = op_finish,
};

int jini_job_finish(struct jini *jini, struct jini_job_finish *finish, jini_callback *callback)
{
    return txn_submit(jini, &finish->request, &finish_form, callback);
}

int jini_txn_job_finish(struct jini_txn *txn, struct jini_job_finish *finish)
{
    return txn_call(txn, &finish->request, &finish_form);
}

/* ---- Failing ---- */

static int check_fail(void *request, enum txn_place place)
{
    struct jini_job_fail *fail = request;
    (void)place;
    if (fail->reason && !text_is_utf8(slice_of_text(fail->reason)))
        return error_set(&fail->request.error, JINI_E_INVALID, "reason", "it is not UTF-8");
    if (fail->retry > 1)
        return error_set(&fail->request.error, JINI_E_INVALID, "retry", "%u is not 0 or 1",
                         fail->retry);
    return check_attempt(fail->attempt, &fail->request.error);
}

/*
 * Between a half and the whole of what doubles with each attempt. What is left out follows from the
 * job and the attempt: an op draws nothing, and jobs that failed together come back apart.
 */
static uint64_t delay_ms(const struct jini_options *options, const struct jini_job *job)
{
    uint32_t shift = job->attempt - 1 < SHIFT_MAX ? job->attempt - 1 : SHIFT_MAX;
    uint64_t whole = options->queue_retry_ms << shift;
    uint8_t seed[JINI_ID_BYTES + 4];
    if (whole > options->queue_retry_max_ms)
        whole = options->queue_retry_max_ms;
    memcpy(seed, job->id.bytes, JINI_ID_BYTES);
    store_le32(seed + JINI_ID_BYTES, job->attempt);
    return whole - hash64(slice_of(seed, sizeof(seed))) % (whole / 2 + 1);
}

static int try_again(struct jini_txn *txn, struct jini_job_fail *fail, const struct jini_job *job)
{
    struct generations_return back = {.id = fail->job_id,
                                      .attempt = fail->attempt,
                                      .now_ms = txn->now_ms,
                                      .failure = fail->reason};
    uint64_t wait_ms = delay_ms(&txn->jini->options, job);
    back.ready_ms = wait_ms ? txn->now_ms + wait_ms : 0;
    int status = generations_waiting_return(txn->store, &back, &fail->request.error);
    fail->job = back.job;
    return status ? status : job_tell_retried(txn->store, &back.job, job->attempt);
}

static int fail_for_good(struct jini_txn *txn, struct jini_job_fail *fail)
{
    struct job_end end = {.jini = txn->jini,
                          .id = fail->job_id,
                          .to = JINI_JOB_FAILED,
                          .now_ms = txn->now_ms,
                          .reason = fail->reason,
                          .attempt = fail->attempt};
    int status = job_end_in(txn->store, &end, &fail->request.error);
    fail->job = end.job;
    if (status || end.rates.count == 0)
        return status;
    return txn_after_commit(txn, job_refund, &end.rates, sizeof(end.rates));
}

static int op_fail(struct jini_txn *txn, void *request)
{
    struct jini_job_fail *fail = request;
    struct jini_job job;
    int status = generations_job_get(txn->store, &fail->job_id, &job, &fail->request.error);
    if (status)
        return status;
    bool again = fail->retry && job.state == JINI_JOB_IN_PROGRESS && job.attempt == fail->attempt &&
                 job.attempt < job.attempts_max;
    status = again ? try_again(txn, fail, &job) : fail_for_good(txn, fail);
    return status == JINI_E_CONFLICT ? job_conflict(txn->store, &fail->job_id, &fail->job) : status;
}

static const struct txn_form fail_form = {
    .kind = REQUEST_JOB_FAIL,
    .size = sizeof(struct jini_job_fail),
    .bytes = CHANGE_OP_BYTES,
    .class = STORE_RELEASE,
    .check = check_fail,
    .op = op_fail,
};

int jini_job_fail(struct jini *jini, struct jini_job_fail *fail, jini_callback *callback)
{
    return txn_submit(jini, &fail->request, &fail_form, callback);
}

int jini_txn_job_fail(struct jini_txn *txn, struct jini_job_fail *fail)
{
    return txn_call(txn, &fail->request, &fail_form);
}
