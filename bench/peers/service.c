/* See service.h. */
#include "peers/service.h"

#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_BYTES = 45,
    QUOTA_BYTES = 48,
    RUNNING_BYTES = 32,
    USER_BYTES = 81,
    JOB_BYTES = 230,
    ENDED_BYTES = 129,
    JOB_KEY_BYTES = 17,
    QUEUE_KEY_BYTES = 32,
    USER_KEY_BYTES = RAW_NUMBER_BYTES + 1,
    LOAD_BATCH = 10000
};

struct service {
    struct raw *raw;
    unsigned users;
    unsigned jobs;
    unsigned queue;
    uint64_t user_count;
    uint64_t next_job;
    uint64_t next_settled;
    uint64_t random;
    uint64_t users_of_jobs[2 * LOAD_BATCH]; /* of jobs that run, by number */
};

static const uint8_t filler[256];

static void put_row(struct service *service, uint64_t user, char row, size_t length)
{
    uint8_t key[USER_KEY_BYTES];
    raw_number(user, key);
    key[RAW_NUMBER_BYTES] = (uint8_t)row;
    raw_put(service->raw, service->users, (struct raw_bytes){key, sizeof(key)},
            (struct raw_bytes){filler, length});
}

static void delete_row(struct service *service, uint64_t user, char row)
{
    uint8_t key[USER_KEY_BYTES];
    raw_number(user, key);
    key[RAW_NUMBER_BYTES] = (uint8_t)row;
    raw_delete(service->raw, service->users, (struct raw_bytes){key, sizeof(key)});
}

/* Keys that grow, as ids and times do. */
static struct raw_bytes growing_key(uint64_t number, uint8_t *key, size_t length)
{
    memset(key, 0, length);
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(number >> 8 * (7 - i));
    return (struct raw_bytes){key, length};
}

static void put_job(struct service *service, uint64_t job, size_t length)
{
    uint8_t key[JOB_KEY_BYTES];
    raw_put(service->raw, service->jobs, growing_key(job, key, sizeof(key)),
            (struct raw_bytes){filler, length});
}

static void admit(struct service *service)
{
    uint8_t key[QUEUE_KEY_BYTES];
    uint64_t user = 1 + bench_random_below(&service->random, service->user_count);
    uint64_t job = service->next_job++;
    service->users_of_jobs[job % (2 * LOAD_BATCH)] = user;
    put_row(service, user, 'q', QUOTA_BYTES);
    put_row(service, user, 'l', LIST_BYTES);
    put_row(service, user, 'r', RUNNING_BYTES);
    put_job(service, job, JOB_BYTES);
    raw_put(service->raw, service->queue, growing_key(job, key, sizeof(key)),
            (struct raw_bytes){filler, 0});
}

static void settle(struct service *service)
{
    uint8_t key[QUEUE_KEY_BYTES];
    uint64_t job = service->next_settled++;
    uint64_t user = service->users_of_jobs[job % (2 * LOAD_BATCH)];
    put_row(service, user, 'q', QUOTA_BYTES);
    /* The user may have another job that began meanwhile. */
    put_row(service, user, 'r', RUNNING_BYTES);
    delete_row(service, user, 'r');
    put_job(service, job, ENDED_BYTES);
    raw_delete(service->raw, service->queue, growing_key(job, key, sizeof(key)));
}

static void load_users(struct service *service)
{
    for (uint64_t user = 1; user <= service->user_count; user++) {
        if (user % LOAD_BATCH == 1)
            raw_begin(service->raw);
        put_row(service, user, 'u', USER_BYTES);
        if (user % LOAD_BATCH == 0 || user == service->user_count)
            raw_commit(service->raw);
    }
}

static void load_generations(struct service *service, uint64_t count)
{
    uint64_t stride = service->user_count > count ? service->user_count / count : 1;
    for (uint64_t job = 1; job <= count; job++) {
        uint64_t user = 1 + (job - 1) * stride % service->user_count;
        if (job % LOAD_BATCH == 1)
            raw_begin(service->raw);
        put_row(service, user, 'l', LIST_BYTES);
        put_row(service, user, 'q', QUOTA_BYTES);
        put_job(service, job, ENDED_BYTES);
        if (job % LOAD_BATCH == 0 || job == count)
            raw_commit(service->raw);
    }
    service->next_job = count + 1;
    service->next_settled = count + 1;
}

static void find_spaces(struct service *service)
{
    service->users = raw_space(service->raw, "users");
    service->jobs = raw_space(service->raw, "jobs");
    service->queue = raw_space(service->raw, "queue");
}

struct service *service_new(const char *directory, uint64_t users, uint64_t generations)
{
    struct service *service = bench_alloc(1, sizeof(*service));
    service->raw = raw_open(directory, RAW_UNSYNCED);
    find_spaces(service);
    service->user_count = users;
    service->random = 1;
    load_users(service);
    load_generations(service, generations);
    raw_compact(service->raw, directory);
    find_spaces(service);
    return service;
}

void service_free(struct service *service)
{
    raw_close(service->raw);
    free(service);
}

void service_run(struct service *service, uint64_t count, uint64_t batch)
{
    uint64_t last = service->next_job + count;
    uint64_t half = batch > 1 ? batch / 2 : 1;
    while (service->next_settled < last) {
        uint64_t admitted = service->next_job;
        raw_begin(service->raw);
        for (uint64_t i = 0; batch > 1 && i < half && service->next_settled < admitted; i++)
            settle(service);
        for (uint64_t i = 0; i < half && service->next_job < last; i++)
            admit(service);
        raw_commit(service->raw);
        if (batch > 1)
            continue;
        raw_begin(service->raw);
        settle(service);
        raw_commit(service->raw);
    }
}
