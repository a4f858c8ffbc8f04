/*
 * Quotas against the jobs on record: what a crash or a power loss leaves must agree, to the unit.
 *
 * Of one user and one address, with quotas whose windows stay open for the whole test. Jobs are
 * found by their records and not by a list or a row of running jobs, which would hide a loss.
 */
#ifndef CRASH_QUOTAS_H
#define CRASH_QUOTAS_H

#include "engine/engine_private.h"

#include "base/tuple.h"
#include "generations/generations.h"
#include "limits/quota.h"

#include "harness.h"

#include <jini/admission.h>
#include <stdio.h>

enum { QUOTAS_RUNNING_MAX = 1024 };

struct quotas {
    uint64_t user;
    uint8_t address[16]; /* of all jobs without a user */
    struct jini_id last; /* job that was counted; all zero at first. Ids follow time */

    /* Units by who had them: 0 the user, 1 the address. */
    uint64_t completed[2];
    uint64_t running[2];
    uint32_t running_count;
    struct jini_id running_jobs[QUOTAS_RUNNING_MAX];
};

struct quotas_walk {
    struct jini *jini;
    struct quotas *quotas;
};

static int quotas_count_job(void *context, struct slice key, struct slice value)
{
    struct quotas_walk *walk = context;
    struct quotas *quotas = walk->quotas;
    struct tuple_reader reader = tuple_reader_of(key);
    struct jini_error error;
    struct jini_job job;
    struct jini_id id;
    (void)value;
    if (tuple_next_id(&reader, &id) != 0 || reader.rest.length != 0)
        return 0; /* a prompt */
    if (jini_job_get(walk->jini, &id, &job, &error) != 0)
        return JINI_E_CORRUPT;
    int owner = job.user_id ? 0 : 1;
    quotas->last = id;
    if (job.state == JINI_JOB_COMPLETED)
        quotas->completed[owner] += job.parameters.count;
    if (generations_job_ended(job.state))
        return 0;
    quotas->running[owner] += job.parameters.count;
    if (quotas->running_count == QUOTAS_RUNNING_MAX)
        return JINI_E_TOO_BIG;
    quotas->running_jobs[quotas->running_count++] = id;
    return 0;
}

/* Says on stderr where a subject's counters differ from its jobs. */
static int quotas_compare(struct jini *jini, const struct quotas *quotas, int owner)
{
    struct quota_subject subject = {.user_id = owner == 0 ? quotas->user : 0};
    struct quota_counter counters[QUOTA_COUNTERS_MAX];
    struct store_txn *txn;
    uint32_t count;
    memcpy(subject.address, quotas->address, sizeof(subject.address));
    if (store_read_begin(jini->store, &txn) != 0)
        return 1;
    int status = quota_list(txn, &subject, counters, &count);
    store_read_end(txn);
    uint64_t units = quotas->completed[owner] + quotas->running[owner];
    int differ = status != 0 && !(status == JINI_E_NOT_FOUND && units == 0);
    for (uint32_t i = 0; i < count; i++)
        differ |= counters[i].used != quotas->completed[owner] ||
                  counters[i].reserved != quotas->running[owner];
    if (differ)
        fprintf(stderr, "quotas of the %s: %s, %llu used and %llu reserved; its jobs: %llu, %llu\n",
                owner == 0 ? "user" : "address", jini_status_name(status),
                (unsigned long long)(count ? counters[0].used : 0),
                (unsigned long long)(count ? counters[0].reserved : 0),
                (unsigned long long)quotas->completed[owner],
                (unsigned long long)quotas->running[owner]);
    return differ;
}

/*
 * Counts the jobs since the last count, of which those that run are in `running_jobs`, and
 * compares. 0 when quotas and jobs agree.
 */
static inline int quotas_check(struct jini *jini, struct quotas *quotas)
{
    struct quotas_walk walk = {.jini = jini, .quotas = quotas};
    struct tuple low;
    tuple_begin(&low);
    tuple_add_id(&low, &quotas->last);
    tuple_add_uint(&low, 0); /* behind the record itself */
    int status = store_each(jini->store, STORE_SPACE_JOBS, tuple_key(&low), slice_of(NULL, 0),
                            quotas_count_job, &walk);
    if (status) {
        fprintf(stderr, "jobs cannot be counted: %s\n", jini_status_name(status));
        return 1;
    }
    return quotas_compare(jini, quotas, 0) | quotas_compare(jini, quotas, 1);
}

/* Ends all jobs that run, so that the next count begins with none. */
static inline void quotas_release_all(struct jini *jini, struct quotas *quotas)
{
    for (uint32_t i = 0; i < quotas->running_count; i++) {
        struct jini_release release;
        jini_request_init(&release);
        release.job_id = quotas->running_jobs[i];
        release.state = JINI_JOB_CANCELLED;
        CHECK_OK(jini_release(jini, &release, NULL));
    }
    quotas->running_count = 0;
    quotas->running[0] = quotas->running[1] = 0;
}

#endif
