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
    EVENT_BYTES = 33,
    WALLET_BYTES = 96,
    HEAD_BYTES = 88,
    TRANSFER_BYTES = 192,
    TIME_BYTES = 8,
    PENDING_BYTES = 152,
    ACCOUNT_BYTES = 68,
    LIST_OF_FIELD_BYTES = 70,
    FULL_LIST_BYTES = 120,
    TIME_KEY_BYTES = 9,
    ID_KEY_BYTES = 16,
    ACCOUNT_KEY_BYTES = 17,
    FIELD_KEY_BYTES = 20,
    FIELDS = 3,
    LIST_LENGTH = 32,
    LOAD_BATCH = 10000
};

struct service {
    struct raw *raw;
    unsigned users;
    unsigned activity;
    unsigned jobs;
    unsigned queue;
    unsigned events;
    unsigned transfers;
    unsigned ids;
    unsigned pending;
    unsigned accounts;
    unsigned postings;
    bool charges;
    uint64_t next_event;
    uint64_t next_transfer;
    uint64_t user_count;
    uint64_t next_job;
    uint64_t next_settled;
    uint64_t random;
    uint64_t users_of_jobs[SERVICE_RUNNING_MAX]; /* of jobs that run, by number */
};

static const uint8_t filler[256];

static void put_of_user(struct service *service, unsigned space, uint64_t user, char row,
                        size_t length)
{
    uint8_t key[USER_KEY_BYTES];
    raw_number(user, key);
    key[RAW_NUMBER_BYTES] = (uint8_t)row;
    raw_put(service->raw, space, (struct raw_bytes){key, sizeof(key)},
            (struct raw_bytes){filler, length});
}

static void put_row(struct service *service, uint64_t user, char row, size_t length)
{
    put_of_user(service, service->activity, user, row, length);
}

static void delete_row(struct service *service, uint64_t user, char row)
{
    uint8_t key[USER_KEY_BYTES];
    raw_number(user, key);
    key[RAW_NUMBER_BYTES] = (uint8_t)row;
    raw_delete(service->raw, service->activity, (struct raw_bytes){key, sizeof(key)});
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

static void put_growing(struct service *service, unsigned space, uint64_t number, size_t key_length,
                        size_t length)
{
    uint8_t key[QUEUE_KEY_BYTES];
    raw_put(service->raw, space, growing_key(number, key, key_length),
            (struct raw_bytes){filler, length});
}

/* A transfer between the wallet of a user and an account of the service. */
static void transfer(struct service *service, uint64_t user)
{
    uint64_t number = ++service->next_transfer;
    put_growing(service, service->transfers, number, TIME_KEY_BYTES, TRANSFER_BYTES);
    put_growing(service, service->ids, number, ID_KEY_BYTES, TIME_BYTES);
    put_growing(service, service->pending, number, TIME_KEY_BYTES, PENDING_BYTES);
    put_row(service, user, 'w', WALLET_BYTES);
    put_growing(service, service->accounts, 1, ACCOUNT_KEY_BYTES, ACCOUNT_BYTES);
    for (uint64_t field = 0; field < FIELDS; field++) {
        put_growing(service, service->postings, field, FIELD_KEY_BYTES, LIST_OF_FIELD_BYTES);
        if (number % LIST_LENGTH == 0)
            put_growing(service, service->postings, FIELDS * (number + 1) + field, FIELD_KEY_BYTES,
                        FULL_LIST_BYTES);
    }
    put_growing(service, service->transfers, 0, TIME_KEY_BYTES, HEAD_BYTES);
}

static void add_event(struct service *service)
{
    put_growing(service, service->events, ++service->next_event, TIME_KEY_BYTES, EVENT_BYTES);
}

static void admit(struct service *service)
{
    uint8_t key[QUEUE_KEY_BYTES];
    uint64_t user = 1 + bench_random_below(&service->random, service->user_count);
    uint64_t job = service->next_job++;
    service->users_of_jobs[job % SERVICE_RUNNING_MAX] = user;
    put_row(service, user, 'q', QUOTA_BYTES);
    put_row(service, user, 'l', LIST_BYTES);
    put_row(service, user, 'r', RUNNING_BYTES);
    put_job(service, job, JOB_BYTES);
    raw_put(service->raw, service->queue, growing_key(job, key, sizeof(key)),
            (struct raw_bytes){filler, 0});
    if (service->charges)
        transfer(service, user);
    add_event(service);
}

static void settle(struct service *service)
{
    uint8_t key[QUEUE_KEY_BYTES];
    uint64_t job = service->next_settled++;
    uint64_t user = service->users_of_jobs[job % SERVICE_RUNNING_MAX];
    put_row(service, user, 'q', QUOTA_BYTES);
    /* The user may have another job that began meanwhile. */
    put_row(service, user, 'r', RUNNING_BYTES);
    delete_row(service, user, 'r');
    put_job(service, job, ENDED_BYTES);
    raw_delete(service->raw, service->queue, growing_key(job, key, sizeof(key)));
    if (service->charges)
        transfer(service, user);
    add_event(service);
}

static void load_users(struct service *service)
{
    for (uint64_t user = 1; user <= service->user_count; user++) {
        if (user % LOAD_BATCH == 1)
            raw_begin(service->raw);
        put_of_user(service, service->users, user, 'u', USER_BYTES);
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
    service->activity = raw_space(service->raw, "activity");
    service->jobs = raw_space(service->raw, "jobs");
    service->queue = raw_space(service->raw, "queue");
    service->events = raw_space(service->raw, "events");
    service->transfers = raw_space(service->raw, "transfers");
    service->ids = raw_space(service->raw, "ids");
    service->pending = raw_space(service->raw, "pending");
    service->accounts = raw_space(service->raw, "accounts");
    service->postings = raw_space(service->raw, "postings");
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

void service_charge(struct service *service)
{
    service->charges = true;
    for (uint64_t user = 1; user <= service->user_count; user++) {
        if (user % LOAD_BATCH == 1)
            raw_begin(service->raw);
        put_row(service, user, 'w', WALLET_BYTES);
        if (user % LOAD_BATCH == 0 || user == service->user_count)
            raw_commit(service->raw);
    }
}

void service_sync_from_now(struct service *service)
{
    raw_sync_from_now(service->raw);
}

void service_admit(struct service *service, uint64_t count, uint64_t batch)
{
    uint64_t last = service->next_job + count;
    while (service->next_job < last) {
        raw_begin(service->raw);
        for (uint64_t i = 0; i < batch && service->next_job < last; i++)
            admit(service);
        raw_commit(service->raw);
    }
}

void service_settle_all(struct service *service, uint64_t batch)
{
    while (service->next_settled < service->next_job) {
        raw_begin(service->raw);
        for (uint64_t i = 0; i < batch && service->next_settled < service->next_job; i++)
            settle(service);
        raw_commit(service->raw);
    }
}
