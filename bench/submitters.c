/*
 * See submitters.h. A callback, on the engine's loop, hands a place back to its submitter and wakes
 * it if it waits.
 */
#include "submitters.h"

#include "engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 128 * 1024 };

struct place {
    struct jini_write request;
    struct submitter *submitter;
    struct place *next;
    struct small_write write;
    uint64_t submitted_ns;
};

struct submitter {
    struct submitters *all;
    pthread_t thread;
    struct small_source source;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct place *free;
    unsigned free_count;
    uint64_t writes;
    uint64_t longest_ns;
    struct place places[IN_FLIGHT_MAX];
};

struct submitters {
    struct jini *jini;
    struct submitters_options options;
    _Atomic bool stopping;
    struct submitter submitters[SUBMITTERS_MAX];
};

static void put_be(uint8_t *to, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

void small_record(uint64_t number, struct small_write *out)
{
    memset(out, 0, sizeof(*out));
    put_be(out->key + SMALL_KEY_BYTES - 8, number, 8);
}

void small_next(struct small_source *source, struct small_write *out)
{
    uint64_t number = ++source->next;
    if (source->keys == SMALL_KEYS_STREAMS) {
        put_be(out->key, source->stream, 4);
        put_be(out->key + 4, number, 8);
    } else {
        put_be(out->key, 0, 4);
        put_be(out->key + 4, bench_random_below(&source->random, source->records), 8);
    }
    for (unsigned i = 0; i < SMALL_VALUE_BYTES; i += 8)
        put_be(out->value + i, number * 0x9e3779b97f4a7c15 + i, 8);
}

static int put(struct jini_txn *txn, void *argument)
{
    const struct small_write *write = argument;
    return jini_txn_put(txn, write->key, sizeof(write->key), write->value, sizeof(write->value));
}

static void on_written(struct jini_request *request)
{
    struct place *place = (struct place *)request;
    struct submitter *submitter = place->submitter;
    uint64_t waited_ns = bench_now_ns() - place->submitted_ns;
    bench_check(request->status, &request->error, "a write");
    pthread_mutex_lock(&submitter->lock);
    place->next = submitter->free;
    submitter->free = place;
    submitter->writes++;
    if (waited_ns > submitter->longest_ns)
        submitter->longest_ns = waited_ns;
    unsigned count = ++submitter->free_count;
    /*
     * It waits for one place, or, to end a round, for all of them; then it may go as soon as the
     * lock is free.
     */
    if (count == 1 || count == submitter->all->options.in_flight)
        pthread_cond_signal(&submitter->wake);
    pthread_mutex_unlock(&submitter->lock);
}

/* Takes all places that are free, once there is one. */
static struct place *take(struct submitter *submitter)
{
    pthread_mutex_lock(&submitter->lock);
    while (submitter->free_count == 0)
        pthread_cond_wait(&submitter->wake, &submitter->lock);
    struct place *places = submitter->free;
    submitter->free = NULL;
    submitter->free_count = 0;
    pthread_mutex_unlock(&submitter->lock);
    return places;
}

static void *submit(void *argument)
{
    struct submitter *submitter = argument;
    struct submitters *all = submitter->all;
    while (!atomic_load_explicit(&all->stopping, memory_order_relaxed)) {
        for (struct place *places = take(submitter); places;) {
            struct place *place = places;
            places = place->next;
            small_next(&submitter->source, &place->write);
            place->submitted_ns = bench_now_ns();
            bench_check(jini_write(all->jini, &place->request, on_written),
                        &place->request.request.error, "submitting a write");
        }
    }
    pthread_mutex_lock(&submitter->lock);
    while (submitter->free_count < all->options.in_flight)
        pthread_cond_wait(&submitter->wake, &submitter->lock);
    pthread_mutex_unlock(&submitter->lock);
    return NULL;
}

struct submitters *submitters_new(struct jini *jini, const struct submitters_options *options)
{
    struct submitters *all = bench_alloc(1, sizeof(*all));
    all->jini = jini;
    all->options = *options;
    for (unsigned i = 0; i < options->threads; i++) {
        struct submitter *submitter = &all->submitters[i];
        submitter->all = all;
        submitter->source = (struct small_source){.keys = options->keys,
                                                  .stream = options->stream_first + i,
                                                  .records = options->records,
                                                  .random = options->stream_first + i};
        pthread_mutex_init(&submitter->lock, NULL);
        pthread_cond_init(&submitter->wake, NULL);
        for (unsigned j = 0; j < options->in_flight; j++) {
            struct place *place = &submitter->places[j];
            jini_request_init(&place->request);
            place->request.function = put;
            place->request.argument = &place->write;
            place->submitter = submitter;
            place->next = submitter->free;
            submitter->free = place;
            submitter->free_count++;
        }
    }
    return all;
}

void submitters_free(struct submitters *all)
{
    for (unsigned i = 0; i < all->options.threads; i++) {
        pthread_cond_destroy(&all->submitters[i].wake);
        pthread_mutex_destroy(&all->submitters[i].lock);
    }
    free(all);
}

void submitters_run(struct submitters *all, double seconds, struct submitters_figures *out)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    atomic_store(&all->stopping, false);
    *out = (struct submitters_figures){0};
    for (unsigned i = 0; i < all->options.threads; i++) {
        all->submitters[i].writes = 0;
        all->submitters[i].longest_ns = 0;
    }
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < all->options.threads; i++) {
        struct submitter *submitter = &all->submitters[i];
        if (pthread_create(&submitter->thread, &attributes, submit, submitter) != 0)
            bench_fail("cannot start a thread");
    }
    bench_sleep(seconds);
    atomic_store(&all->stopping, true);
    for (unsigned i = 0; i < all->options.threads; i++) {
        struct submitter *submitter = &all->submitters[i];
        pthread_join(submitter->thread, NULL);
        double waited_s = (double)submitter->longest_ns / 1e9;
        out->writes += submitter->writes;
        if (waited_s > out->longest_wait_s)
            out->longest_wait_s = waited_s;
    }
    out->seconds = (double)(bench_now_ns() - begin) / 1e9;
    pthread_attr_destroy(&attributes);
}
