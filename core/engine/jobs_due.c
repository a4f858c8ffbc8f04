/*
 * Jobs that fall due, a slice in each transaction: those whose lease is over are given up, and
 * ended ones that were kept for long enough are deleted; and requests that need not be known.
 *
 *  1. The transaction looks at the queue and at each job again, so several processes may do this at
 *     once and need no lease.
 *  2. A job is in the queue only when it is to be ended or deleted, and then comes out of it: what
 *     is kept costs nothing.
 *  3. What is damaged holds up no other: a row leaves the queue when its job is not to be ended or
 *     deleted by what the job's own record says.
 *  4. A turn does SLICES_MAX slices and ends early when the engine closes: what is left waits for
 *     the next one, and neither closing nor runs of the archive wait for a backlog.
 */
#include "engine/queue.h"

#include "base/alloc.h"
#include "generations/requests.h"

enum { EXPIRE_SLICE = 32, CLEAN_SLICE = 64, SWEEP_SLICE = 256, SLICES_MAX = 64 };

/* Looks whether there is anything to do, so that an idle engine commits nothing. */
static int is_due(struct jini *jini, enum generations_due_kind kind, uint64_t now_ms, bool *due)
{
    struct store_txn *txn;
    struct generations_due first;
    size_t count = 0;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = generations_due_list(txn, kind, now_ms, &first, 1, &count, NULL);
    store_read_end(txn);
    *due = count > 0;
    return status;
}

static void log_hindered(const struct jini *jini, const char *event, int status)
{
    if (status && status != JINI_E_CLOSED && status != JINI_E_CANCELLED)
        log_record(&jini->log, JINI_LOG_WARNING, event,
                   LOG_TEXT("status", jini_status_name(status)));
}

/* Of a job that has two rows, the end that the first one led to may have taken the second away. */
static int remove_row(struct store_txn *txn, const struct generations_due *due)
{
    int status = generations_due_remove(txn, due);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- Jobs that nobody came back for ---- */

struct expire_jobs {
    struct jini *jini;
    uint64_t now_ms;
    size_t count;
    struct job_damage damage;
    struct job_end ends[EXPIRE_SLICE];
};

int jobs_give_up_due(struct store_txn *txn, struct jini *jini, uint64_t now_ms,
                     struct job_end *ends, size_t capacity, size_t *count,
                     struct job_damage *damage)
{
    struct generations_due due[EXPIRE_SLICE];
    struct jini_error ignored;
    JINI_ASSERT(capacity <= EXPIRE_SLICE);
    *damage = (struct job_damage){0};
    int status =
        generations_due_list(txn, GENERATIONS_DUE_JOB, now_ms, due, capacity, count, &ignored);
    for (size_t i = 0; status == 0 && i < *count; i++) {
        ends[i] = (struct job_end){.jini = jini, .id = due[i].id, .now_ms = now_ms};
        status = job_give_up_in(txn, &ends[i], damage);
        if (status == JINI_E_NOT_FOUND || status == JINI_E_IN_USE)
            status = remove_row(txn, &due[i]);
    }
    return status;
}

static int op_expire_jobs(struct store_txn *txn, void *argument)
{
    struct expire_jobs *expire = argument;
    return jobs_give_up_due(txn, expire->jini, expire->now_ms, expire->ends, EXPIRE_SLICE,
                            &expire->count, &expire->damage);
}

void jobs_expire(struct jini *jini)
{
    struct expire_jobs *expire = base_malloc(sizeof(*expire));
    int status = expire ? 0 : JINI_E_NO_MEMORY;
    bool due;
    for (int slice = 0; slice < SLICES_MAX && status == 0; slice++) {
        if (atomic_load(&jini->state) != ENGINE_OPEN)
            break;
        expire->jini = jini;
        expire->now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        status = is_due(jini, GENERATIONS_DUE_JOB, expire->now_ms, &due);
        if (status || !due)
            break;
        status = store_write_until(jini->store, op_expire_jobs, expire, STORE_RELEASE,
                                   background_deadline(jini));
        if (status)
            break;
        for (size_t i = 0; i < expire->count; i++)
            rate_refund(jini, &expire->ends[i].rates);
        job_log_damage(jini, &expire->damage);
    }
    base_free(expire);
    log_hindered(jini, "jobs_not_expired", status);
}

/* ---- Jobs that were kept for long enough ---- */

struct clean_jobs {
    uint64_t now_ms;
    uint64_t removed;
    struct job_damage damage;
};

/* What cannot be deleted leaves the queue: it is not due, or verify tells of it. */
static int clean_job(struct store_txn *txn, struct clean_jobs *clean,
                     const struct generations_due *due)
{
    struct jini_error ignored;
    int status = generations_job_delete(txn, &due->id, &ignored);
    switch (status) {
    case 0:
        clean->removed++;
        return 0;
    case JINI_E_CORRUPT:
    case JINI_E_FORMAT:
        clean->damage.records++;
        clean->damage.last = due->id;
        break;
    case JINI_E_NOT_FOUND:
    case JINI_E_CONFLICT:
    case JINI_E_IN_USE:
        break;
    default:
        return status;
    }
    return remove_row(txn, due);
}

static int op_clean_jobs(struct store_txn *txn, void *argument)
{
    struct clean_jobs *clean = argument;
    struct generations_due due[CLEAN_SLICE];
    struct jini_error ignored;
    size_t count;
    clean->removed = 0;
    clean->damage = (struct job_damage){0};
    int status = generations_due_list(txn, GENERATIONS_DUE_ENDED, clean->now_ms, due, CLEAN_SLICE,
                                      &count, &ignored);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = clean_job(txn, clean, &due[i]);
    return status;
}

void jobs_clean(struct jini *jini)
{
    struct clean_jobs clean;
    bool due;
    int status = 0;
    for (int slice = 0; slice < SLICES_MAX && status == 0; slice++) {
        if (atomic_load(&jini->state) != ENGINE_OPEN)
            return;
        clean.now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        status = is_due(jini, GENERATIONS_DUE_ENDED, clean.now_ms, &due);
        if (status || !due)
            break;
        status = store_write_until(jini->store, op_clean_jobs, &clean, STORE_RELEASE,
                                   background_deadline(jini));
        if (status)
            break;
        atomic_fetch_add_explicit(&jini->jobs_removed, clean.removed, memory_order_relaxed);
        job_log_damage(jini, &clean.damage);
    }
    log_hindered(jini, "jobs_not_cleaned", status);
}

/* ---- Requests that need not be known any more ---- */

struct sweep_requests {
    uint64_t now_ms;
    uint32_t removed;
};

static int op_sweep_requests(struct store_txn *txn, void *argument)
{
    struct sweep_requests *sweep = argument;
    return generations_requests_sweep(txn, sweep->now_ms, SWEEP_SLICE, &sweep->removed);
}

static int requests_are_due(struct jini *jini, uint64_t now_ms, bool *due)
{
    struct store_txn *txn;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = generations_requests_due(txn, now_ms, due);
    store_read_end(txn);
    return status;
}

void requests_sweep(struct jini *jini)
{
    struct sweep_requests sweep = {0};
    bool due = true;
    int status = 0;
    for (int slice = 0; slice < SLICES_MAX && status == 0 && due; slice++) {
        if (atomic_load(&jini->state) != ENGINE_OPEN)
            break;
        sweep.now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        status = requests_are_due(jini, sweep.now_ms, &due);
        if (status == 0 && due)
            status = store_write_until(jini->store, op_sweep_requests, &sweep, STORE_RELEASE,
                                       background_deadline(jini));
    }
    log_hindered(jini, "requests_not_removed", status);
}
