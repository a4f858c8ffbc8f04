/* What operators see of the queue for workers, and how they empty it. */
#include "engine/queue.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/metrics.h"
#include "engine/txn.h"

enum { SLICE = 32, PURGE_OP_BYTES = 512 * SLICE, RANKS_SHOWN = 64 };

/* ---- Looking ---- */

int jini_job_position(struct jini *jini, const struct jini_id *id, struct jini_job_position *out,
                      struct jini_error *error)
{
    struct generations_position position;
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    struct jini_error *said = txn_error(&txn, error);
    status = generations_waiting_position(txn.store, id, JINI_POSITION_MAX, &position, said);
    *out = (struct jini_job_position){.ahead = position.ahead, .more = position.more};
    status = txn_answer(&txn, status, said, "id", "place of the job");
    txn_snapshot_end(&txn);
    return status;
}

static void show(const struct generations_line *line, struct jini_queue_line *out)
{
    *out = (struct jini_queue_line){
        .priority = line->priority,
        .waiting = line->ready,
        .delayed = line->delayed,
        .in_progress = line->taken,
        .oldest_ms = line->oldest_ms,
        .taken = line->taken_ever,
        .completed = line->completed_ever,
        .retried = line->retried_ever,
        .returned = line->returned_ever,
    };
    memcpy(out->model, line->model, sizeof(out->model));
}

typedef int list_fn(struct store_txn *txn, const struct generations_line *after,
                    struct generations_line *out, size_t capacity, size_t *count);

static int list(struct jini *jini, list_fn *read, const struct jini_queue_line *after,
                struct jini_queue_line *out, size_t capacity, size_t *count,
                struct jini_error *error)
{
    struct generations_line lines[SLICE];
    struct generations_line last = {.priority = after ? after->priority : 0};
    struct jini_txn txn;
    size_t found = SLICE;
    *count = 0;
    if (after && (!memchr(after->model, 0, sizeof(after->model)) ||
                  after->priority > JINI_QUEUE_PRIORITY_MAX))
        return error_set(error, JINI_E_INVALID, "after", "it is no line of the queue");
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    if (after)
        memcpy(last.model, after->model, sizeof(last.model));
    while (status == 0 && *count < capacity && found == SLICE) {
        size_t room = capacity - *count < SLICE ? capacity - *count : SLICE;
        status = read(txn.store, after || *count ? &last : NULL, lines, room, &found);
        for (size_t i = 0; status == 0 && i < found; i++)
            show(&lines[i], &out[(*count)++]);
        if (status == 0 && found > 0)
            last = lines[found - 1];
    }
    struct jini_error *said = txn_error(&txn, error);
    status = txn_answer(&txn, status, said, "queue", "queue for workers");
    txn_snapshot_end(&txn);
    return status;
}

int jini_queue_lines(struct jini *jini, const struct jini_queue_line *after,
                     struct jini_queue_line *out, size_t capacity, size_t *count,
                     struct jini_error *error)
{
    return list(jini, generations_lines, after, out, capacity, count, error);
}

int jini_queue_priorities(struct jini *jini, const struct jini_queue_line *after,
                          struct jini_queue_line *out, size_t capacity, size_t *count,
                          struct jini_error *error)
{
    return list(jini, generations_ranks, after, out, capacity, count, error);
}

/* A job that ended since, or is damaged, is passed over. */
static int read_jobs(struct store_txn *txn, const struct generations_flow_job *flows, size_t found,
                     enum jini_job_state state, struct jini_job *out, size_t *count)
{
    for (size_t i = 0; i < found; i++) {
        struct jini_error ignored;
        int status = generations_job_get(txn, &flows[i].id, &out[*count], &ignored);
        if (status && status != JINI_E_NOT_FOUND && !status_is_damage(status))
            return status;
        *count += status == 0 && (state == 0 || out[*count].state == state);
    }
    return 0;
}

static int list_jobs(struct store_txn *txn, const char *model, enum jini_job_state state,
                     struct generations_place_in_flows *place, struct jini_job *out,
                     size_t capacity, size_t *count)
{
    struct generations_flow_job flows[SLICE];
    size_t found = 1;
    int status = 0;
    while (status == 0 && found > 0 && *count < capacity) {
        size_t room = capacity - *count < SLICE ? capacity - *count : SLICE;
        status = generations_waiting_list(txn, model, place, flows, room, &found);
        if (status == 0)
            status = read_jobs(txn, flows, found, state, out, count);
    }
    return status;
}

int jini_queue_list(struct jini *jini, const char *model, enum jini_job_state state,
                    struct jini_queue_cursor *cursor, struct jini_job *out, size_t capacity,
                    size_t *count, struct jini_error *error)
{
    struct generations_place_in_flows place = {.length = (size_t)cursor->length};
    struct jini_txn txn;
    *count = 0;
    if (cursor->length > sizeof(place.key))
        return error_set(error, JINI_E_INVALID, "cursor", "it is none of this list");
    if (model && strlen(model) >= JINI_MODEL_MAX)
        return error_set(error, JINI_E_INVALID, "model", "it is longer than %d bytes",
                         JINI_MODEL_MAX - 1);
    memcpy(place.key, cursor->key, place.length);
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    struct jini_error *said = txn_error(&txn, error);
    status = list_jobs(txn.store, model, state, &place, out, capacity, count);
    if (status == 0) {
        cursor->length = place.length;
        memcpy(cursor->key, place.key, place.length);
    } else {
        *count = 0;
    }
    status = txn_answer(&txn, status, said, "queue", "queue for workers");
    txn_snapshot_end(&txn);
    return status;
}

/* ---- Purging ---- */

struct purge_work {
    struct generations_place_in_flows place; /* behind what was seen by all runs that committed */

    /* Of the last run. */
    struct generations_place_in_flows next_place;
    bool more;
    uint32_t ended;
    struct job_end ends[SLICE];
};

static bool is_meant(const struct jini_queue_purge *purge, const struct jini_job *job)
{
    return (job->flags & JINI_JOB_FOR_WORKERS) && job->state == JINI_JOB_IN_QUEUE &&
           (purge->user_id == 0 || job->user_id == purge->user_id) &&
           (!purge->model || strcmp(job->parameters.model, purge->model) == 0);
}

/* What is damaged is left to verify, and holds up no other. */
static int purge_one(struct jini_txn *txn, const struct jini_queue_purge *purge,
                     struct purge_work *work, const struct jini_id *id)
{
    struct jini_error ignored;
    struct jini_job job;
    struct job_end *end = &work->ends[work->ended];
    int status = generations_job_get(txn->store, id, &job, &ignored);
    if (status)
        return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
    if (!is_meant(purge, &job))
        return 0;
    *end = (struct job_end){.jini = txn->jini,
                            .id = *id,
                            .to = JINI_JOB_CANCELLED,
                            .flags = JOB_END_DESPITE_DAMAGE,
                            .now_ms = txn->now_ms};
    status = job_end_in(txn->store, end, &ignored);
    work->ended += status == 0;
    return status_is_damage(status) ? 0 : status;
}

/* A user has at most 256 that have not ended, in one row. */
static int purge_user(struct jini_txn *txn, struct jini_queue_purge *purge, struct purge_work *work)
{
    struct generations_subject subject = {.user_id = purge->user_id};
    struct generations_running *running = base_malloc(sizeof(*running));
    int status =
        running ? generations_running_get(txn->store, &subject, 0, running, &purge->request.error)
                : JINI_E_NO_MEMORY;
    for (uint32_t i = 0; status == 0 && i < running->count && work->ended < SLICE; i++)
        status = purge_one(txn, purge, work, &running->jobs[i].id);
    work->more = work->ended == SLICE;
    base_free(running);
    return status;
}

static int purge_flows(struct jini_txn *txn, struct jini_queue_purge *purge,
                       struct purge_work *work)
{
    struct generations_flow_job flows[SLICE];
    size_t count;
    int status =
        generations_waiting_list(txn->store, purge->model, &work->next_place, flows, SLICE, &count);
    work->more = count == SLICE;
    for (size_t i = 0; status == 0 && i < count; i++)
        status = purge_one(txn, purge, work, &flows[i].id);
    return status;
}

static int op_purge(struct jini_txn *txn, void *request)
{
    struct jini_queue_purge *purge = request;
    struct purge_work *work = request_state(&purge->request)->work;
    work->ended = 0;
    work->next_place = work->place;
    return purge->user_id ? purge_user(txn, purge, work) : purge_flows(txn, purge, work);
}

static void after_purge(struct jini_request *request)
{
    struct request_state *state = request_state(request);
    struct jini_queue_purge *purge = (struct jini_queue_purge *)request;
    struct purge_work *work = state->work;
    int status = request->status;
    if (status == 0) {
        purge->removed += work->ended;
        work->place = work->next_place;
        for (uint32_t i = 0; i < work->ended; i++)
            rate_refund(state->jini, &work->ends[i].rates);
        if (atomic_load(&state->cancelled))
            status = JINI_E_CANCELLED;
    }
    if (status == 0 && work->more) {
        status = request_write(request, op_purge, STORE_RELEASE, PURGE_OP_BYTES, after_purge);
        if (status == 0)
            return;
    }
    state->work = NULL;
    base_free(work);
    request_finish(request, status);
}

int jini_queue_purge(struct jini *jini, struct jini_queue_purge *purge, jini_callback *callback)
{
    struct jini_request *request = &purge->request;
    int status = request_begin(jini, request, sizeof(*purge), REQUEST_QUEUE_PURGE, callback);
    if (status)
        return status;
    purge->removed = 0;
    if (purge->model && strlen(purge->model) >= JINI_MODEL_MAX)
        status = error_set(&request->error, JINI_E_INVALID, "model", "it is longer than %d bytes",
                           JINI_MODEL_MAX - 1);
    struct purge_work *work = status ? NULL : base_calloc(1, sizeof(*work));
    if (!work)
        return request_refuse(request, status ? status : JINI_E_NO_MEMORY);
    request_state(request)->work = work;
    status = request_write(request, op_purge, STORE_RELEASE, PURGE_OP_BYTES, after_purge);
    if (status) {
        request_state(request)->work = NULL;
        base_free(work);
        return request_refuse(request, status);
    }
    return callback ? 0 : request_wait(request);
}

/* ---- Figures ---- */

static void add_jobs(struct metrics_page *page, const struct generations_line *ranks, size_t count)
{
    metrics_head(page, "queue_jobs", "gauge", "Jobs for workers that have not ended.");
    for (size_t i = 0; i < count; i++) {
        const struct {
            const char *state;
            uint64_t jobs;
        } states[] = {{"waiting", ranks[i].ready},
                      {"delayed", ranks[i].delayed},
                      {"in_progress", ranks[i].taken}};
        for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++)
            metrics_add(page, "jini_queue_jobs{priority=\"%u\",state=\"%s\"} %llu\n",
                        ranks[i].priority, states[k].state, (unsigned long long)states[k].jobs);
    }
}

static void add_ages(struct metrics_page *page, const struct generations_line *ranks, size_t count,
                     uint64_t now_ms)
{
    metrics_head(page, "queue_oldest_seconds", "gauge",
                 "Age of the oldest job that is the next of its line.");
    for (size_t i = 0; i < count; i++) {
        bool waits = ranks[i].oldest_ms != 0 && ranks[i].oldest_ms < now_ms;
        metrics_add(page, "jini_queue_oldest_seconds{priority=\"%u\"} %.3f\n", ranks[i].priority,
                    waits ? (double)(now_ms - ranks[i].oldest_ms) / 1e3 : 0.0);
    }
}

static void add_ever(struct metrics_page *page, const struct generations_line *sum)
{
    metrics_number(page, "queue_taken_total", "counter",
                   "Attempts that workers of all processes began.", sum->taken_ever);
    metrics_number(page, "queue_completed_total", "counter", "Jobs that they finished.",
                   sum->completed_ever);
    metrics_number(page, "queue_retried_total", "counter",
                   "Attempts that failed and were followed by another.", sum->retried_ever);
    metrics_number(page, "queue_returned_total", "counter",
                   "Attempts whose worker was lost, the same.", sum->returned_ever);
}

/* What has ever happened, of all priorities. */
static int sum_ever(struct store_txn *txn, struct generations_line *sum)
{
    struct generations_line ranks[SLICE];
    struct generations_line last;
    size_t count = SLICE;
    int status = 0;
    for (bool first = true; status == 0 && count == SLICE; first = false) {
        status = generations_ranks(txn, first ? NULL : &last, ranks, SLICE, &count);
        for (size_t i = 0; status == 0 && i < count; i++) {
            sum->taken_ever += ranks[i].taken_ever;
            sum->completed_ever += ranks[i].completed_ever;
            sum->retried_ever += ranks[i].retried_ever;
            sum->returned_ever += ranks[i].returned_ever;
            last = ranks[i];
        }
    }
    return status;
}

void queue_metrics(struct jini *jini, struct metrics_page *page)
{
    struct generations_line ranks[RANKS_SHOWN];
    struct generations_line sum = {0};
    struct store_txn *txn;
    size_t count = 0;
    if (store_read_begin(jini->store, &txn) == 0) {
        if (generations_ranks(txn, NULL, ranks, RANKS_SHOWN, &count) != 0 ||
            sum_ever(txn, &sum) != 0)
            count = 0;
        store_read_end(txn);
    }
    add_jobs(page, ranks, count);
    add_ages(page, ranks, count, clock_wall_ns(jini->clock) / NS_PER_MS);
    add_ever(page, &sum);
    metrics_number(page, "queue_workers", "gauge", "Workers of this process that wait for a job.",
                   takes_waiting(jini->takes));
}
