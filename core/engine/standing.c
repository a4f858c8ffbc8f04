/*
 * How a subject stands, as its next admission would find it. That one ends the jobs whose lease is
 * over before it counts; a look writes nothing, and passes them over.
 */
#include "engine/jobs.h"

#include "base/alloc.h"
#include "base/error.h"
#include "generations/check.h"
#include "generations/waiting.h"

#include <stdlib.h>

struct lapsed {
    uint32_t count;
    struct quota_receipt receipts[GENERATIONS_RUNNING_MAX * LIMITS_MAX];
};

/* A job that cannot be read is ended without what it reserved, as job_give_up_in() does. */
static int add_lapsed(struct store_txn *txn, const struct jini_id *id, struct lapsed *lapsed)
{
    uint8_t bytes[GENERATIONS_RESERVATION_MAX];
    struct buffer buffer = buffer_of(bytes, sizeof(bytes));
    struct reservation reservation;
    int status = generations_check_reservation(txn, id, &buffer);
    if (status || reservation_decode(buffer_slice(&buffer), &reservation) != 0)
        return status;
    memcpy(lapsed->receipts + lapsed->count, reservation.quotas,
           reservation.quota_count * sizeof(reservation.quotas[0]));
    lapsed->count += reservation.quota_count;
    return 0;
}

static int find_lapsed(struct store_txn *txn, struct standing *standing, struct lapsed *lapsed)
{
    const struct generations_running *running = &standing->running;
    lapsed->count = 0;
    for (uint32_t i = 0; i < running->expired; i++) {
        struct jini_job job;
        struct jini_error ignored;
        int status = generations_job_get(txn, &running->jobs[i].id, &job, &ignored);
        if (status == 0 && (job_is_held(&job, standing->now_ms) || generations_comes_back(&job)))
            continue; /* it runs, whatever the row of running jobs says, or waits again */
        if (status == 0)
            status = add_lapsed(txn, &job.id, lapsed);
        if (status && status != JINI_E_NOT_FOUND && !status_is_damage(status))
            return status;
        standing->parallel--;
    }
    return 0;
}

int standing_read(struct store_txn *txn, struct quota_charge *quotas, struct standing *out)
{
    struct generations_subject subject = {quotas->subject.user_id, quota_address(&quotas->subject)};
    struct lapsed *lapsed = NULL;
    out->now_ms = quotas->now_ns / NS_PER_MS;
    int status = generations_running_get(txn, &subject, out->now_ms, &out->running, NULL);
    if (status)
        return status;
    out->parallel = out->running.count;
    if (out->running.expired > 0) {
        lapsed = base_malloc(sizeof(*lapsed));
        status = lapsed ? find_lapsed(txn, out, lapsed) : JINI_E_NO_MEMORY;
    }
    quotas->released = lapsed ? lapsed->receipts : NULL;
    quotas->released_count = lapsed ? lapsed->count : 0;
    if (status == 0)
        status = quota_peek(txn, quotas);
    quotas->released = NULL;
    quotas->released_count = 0;
    base_free(lapsed);
    return status;
}

/* ---- The refusal ---- */

static int by_time(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Until so many leases have ended, if nobody renews one; 0: so many do not end. */
static uint64_t until_leases_end_ms(const struct standing *standing, uint32_t leases)
{
    uint64_t ends_ms[GENERATIONS_RUNNING_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < standing->running.count; i++) {
        uint64_t expires_ms = standing->running.jobs[i].expires_ms;
        if (expires_ms > standing->now_ms)
            ends_ms[count++] = expires_ms - standing->now_ms;
    }
    if (leases > count)
        return 0;
    qsort(ends_ms, count, sizeof(ends_ms[0]), by_time);
    return ends_ms[leases - 1];
}

int standing_check_parallel(const struct standing *standing, uint32_t parallel_max,
                            struct jini_error *error)
{
    char when[RATE_SPAN_MAX];
    if (parallel_max == 0 || standing->parallel < parallel_max)
        return 0;
    uint64_t wait_ms = until_leases_end_ms(standing, standing->parallel - parallel_max + 1);
    rate_span(wait_ms, when);
    error_set(error, JINI_E_LIMITED, "parallel",
              "%u %s running, and %u may at once; come back when one of them ends%s%s",
              standing->parallel, standing->parallel == 1 ? "job is" : "jobs are", parallel_max,
              wait_ms ? ", at the latest in " : "", wait_ms ? when : "");
    if (error)
        error->retry_after_ms = wait_ms;
    return JINI_E_LIMITED;
}
