/*
 * Four consumers in four processes, whose events are appended by all of them: each event has its
 * effect once with each consumer, though every process would like to hold each of them.
 */
#include <jini/jini.h>

#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 4, CONSUMERS = 4, EVENTS = 400, PAGE = 64 };

static const char *const names[CONSUMERS] = {"a", "b", "c", "d"};

static struct jini *open_engine(void)
{
    struct jini_options options;
    struct jini_error error;
    struct jini *jini;
    jini_options_init(&options);
    options.create = 1;
    options.store_sync = JINI_SYNC_NONE; /* no power is lost here */
    options.store_reserve_bytes = 1 << 20;
    int status = jini_open(&jini, harness_path("db"), &options, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "jini_open: %s: %s", error.field, error.message);
    return jini;
}

static void make_consumers(void)
{
    struct jini *jini = open_engine();
    for (int i = 0; i < CONSUMERS; i++) {
        struct jini_consumer_create create;
        jini_request_init(&create);
        snprintf(create.consumer.name, sizeof(create.consumer.name), "%s", names[i]);
        create.consumer.kind = JINI_CONSUMER_ONCE;
        CHECK_OK(jini_consumer_create(jini, &create, NULL));
    }
    CHECK_OK(jini_close(jini, NULL, NULL));
}

/* ---- Consuming ---- */

struct worker {
    struct jini *jini;
    const char *name;
    pthread_t thread;
    struct jini_events_take take;
    struct jini_events_advance advance;
    struct jini_event events[PAGE];
    char text[JINI_EVENT_PAYLOAD_MAX];
};

/* Counts each event, and all of the consumer, beside the advance. */
static int count_events(struct jini_txn *txn, void *argument)
{
    struct worker *worker = argument;
    char key[64];
    uint32_t count = 0;
    uint64_t sum = 0;
    size_t length;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < worker->take.page.count; i++) {
        int size = snprintf(key, sizeof(key), "%s/%llu", worker->name,
                            (unsigned long long)worker->events[i].position);
        count = 0;
        jini_txn_get(txn, key, (size_t)size, &count, sizeof(count), &length);
        count++;
        status = jini_txn_put(txn, key, (size_t)size, &count, sizeof(count));
    }
    jini_txn_get(txn, worker->name, strlen(worker->name), &sum, sizeof(sum), &length);
    sum += worker->take.page.count;
    if (status == 0)
        status = jini_txn_put(txn, worker->name, strlen(worker->name), &sum, sizeof(sum));
    return status ? status : jini_txn_events_advance(txn, &worker->advance);
}

struct sum {
    const char *name;
    uint64_t value;
};

static int read_sum(struct jini_txn *txn, void *argument)
{
    struct sum *sum = argument;
    size_t length;
    sum->value = 0;
    int status =
        jini_txn_get(txn, sum->name, strlen(sum->name), &sum->value, sizeof(sum->value), &length);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static uint64_t done_by(struct jini *jini, const char *name)
{
    struct sum sum = {.name = name};
    CHECK_OK(jini_read(jini, read_sum, &sum, NULL));
    return sum.value;
}

static void begin(struct worker *worker)
{
    jini_request_init(&worker->take);
    worker->take.consumer = worker->name;
    worker->take.lease_ms = 200;
    worker->take.wait_ms = 100;
    worker->take.page = (struct jini_events_page){.events = worker->events,
                                                  .capacity = PAGE,
                                                  .text = worker->text,
                                                  .text_capacity = sizeof(worker->text)};
}

static void take_once(struct worker *worker)
{
    struct jini_write write;
    int status = jini_events_take(worker->jini, &worker->take, NULL);
    if (status == JINI_E_LOCKED || status == JINI_E_CONFLICT) {
        begin(worker);
        return;
    }
    CHECK_OK(status);
    if (worker->take.page.count == 0)
        return;
    jini_request_init(&worker->advance);
    worker->advance.consumer = worker->name;
    worker->advance.batch = worker->take.batch;
    jini_request_init(&write);
    write.function = count_events;
    write.argument = worker;
    status = jini_write(worker->jini, &write, NULL);
    if (status != JINI_E_CONFLICT)
        CHECK_OK(status);
    if (worker->take.batch.upto % 5 == 0 || status)
        begin(worker); /* and gives others a chance to hold it */
}

static void *consume(void *argument)
{
    struct worker *worker = argument;
    begin(worker);
    while (done_by(worker->jini, worker->name) < PROCESSES * EVENTS)
        take_once(worker);
    return NULL;
}

static void child(uint64_t number)
{
    static struct worker workers[CONSUMERS];
    struct jini *jini = open_engine();
    for (int i = 0; i < CONSUMERS; i++) {
        workers[i].jini = jini;
        workers[i].name = names[i];
        CHECK_INT(pthread_create(&workers[i].thread, NULL, consume, &workers[i]), ==, 0);
    }
    for (uint64_t i = 0; i < EVENTS; i++) {
        struct jini_events_append append;
        jini_request_init(&append);
        append.type = "test.counted";
        append.user_id = number;
        CHECK_OK(jini_events_append(jini, &append, NULL));
    }
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(workers[i].thread, NULL);
    CHECK_OK(jini_close(jini, NULL, NULL));
}

static int check_count(void *argument, const void *key, size_t key_length, const void *value,
                       size_t value_length)
{
    uint64_t *seen = argument;
    uint32_t count;
    if (memchr(key, '/', key_length)) {
        CHECK_UINT(value_length, ==, sizeof(count));
        memcpy(&count, value, sizeof(count));
        CHECK_UINT(count, ==, 1);
        ++*seen;
    }
    return 0;
}

static int scan_counts(struct jini_txn *txn, void *argument)
{
    struct jini_range all = {0};
    return jini_txn_scan(txn, &all, check_count, argument);
}

TEST(four_consumers_in_four_processes,
     "Each event that any process appends has its effect once with each consumer.")
{
    pid_t pids[PROCESSES];
    uint64_t seen = 0;
    make_consumers();
    fflush(NULL);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0) {
            child(i);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        harness_wait_exit(pids[i], 0);
    struct jini *jini = open_engine();
    CHECK_OK(jini_read(jini, scan_counts, &seen, NULL));
    CHECK_UINT(seen, ==, CONSUMERS * PROCESSES * EVENTS);
    CHECK_OK(jini_close(jini, NULL, NULL));
}
