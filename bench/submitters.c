/* See submitters.h. */
#include "submitters.h"

#include "engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_BYTES = 128 * 1024 };

/* Of one request, which points to it. */
struct place {
    struct jini_request *request;
    struct submitter *submitter;
    struct place *next;
    uint64_t submitted_ns;
};

struct submitter {
    struct submitters *all;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct place *free;
    unsigned free_count;
    uint64_t done;
    uint64_t longest_ns;
    struct place places[IN_FLIGHT_MAX];
};

struct submitters {
    struct submitters_options options;
    _Atomic bool stopping;
    uint8_t *requests;
    struct submitter submitters[SUBMITTERS_MAX];
};

static void on_done(struct jini_request *request)
{
    struct place *place = request->data;
    struct submitter *submitter = place->submitter;
    uint64_t waited_ns = bench_now_ns() - place->submitted_ns;
    bench_check(request->status, &request->error, "a request");
    pthread_mutex_lock(&submitter->lock);
    place->next = submitter->free;
    submitter->free = place;
    submitter->done++;
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
            place->submitted_ns = bench_now_ns();
            bench_check(all->options.work.submit(all->options.work.context,
                                                 (unsigned)(submitter - all->submitters),
                                                 place->request, on_done),
                        &place->request->error, "submitting a request");
        }
    }
    pthread_mutex_lock(&submitter->lock);
    while (submitter->free_count < all->options.in_flight)
        pthread_cond_wait(&submitter->wake, &submitter->lock);
    pthread_mutex_unlock(&submitter->lock);
    return NULL;
}

static void init_place(struct submitter *submitter, unsigned number, uint8_t *request)
{
    const struct submitters_work *work = &submitter->all->options.work;
    struct place *place = &submitter->places[number];
    place->request = (struct jini_request *)(void *)request;
    work->init(work->context, place->request);
    place->request->data = place;
    place->submitter = submitter;
    place->next = submitter->free;
    submitter->free = place;
    submitter->free_count++;
}

struct submitters *submitters_new(const struct submitters_options *options)
{
    struct submitters *all = bench_alloc(1, sizeof(*all));
    all->options = *options;
    all->requests =
        bench_alloc((size_t)options->threads * options->in_flight, options->work.request_bytes);
    for (unsigned i = 0; i < options->threads; i++) {
        struct submitter *submitter = &all->submitters[i];
        submitter->all = all;
        pthread_mutex_init(&submitter->lock, NULL);
        pthread_cond_init(&submitter->wake, NULL);
        for (unsigned j = 0; j < options->in_flight; j++)
            init_place(submitter, j,
                       all->requests +
                           ((size_t)i * options->in_flight + j) * options->work.request_bytes);
    }
    return all;
}

void submitters_free(struct submitters *all)
{
    for (unsigned i = 0; i < all->options.threads; i++) {
        pthread_cond_destroy(&all->submitters[i].wake);
        pthread_mutex_destroy(&all->submitters[i].lock);
    }
    free(all->requests);
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
        all->submitters[i].done = 0;
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
        out->requests += submitter->done;
        if (waited_s > out->longest_wait_s)
            out->longest_wait_s = waited_s;
    }
    out->seconds = (double)(bench_now_ns() - begin) / 1e9;
    pthread_attr_destroy(&attributes);
}
