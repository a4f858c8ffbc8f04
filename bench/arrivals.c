/* See arrivals.h. The calling thread sends; answers come on the engine's loop. */
#include "arrivals.h"

#include "engine.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

/* Of one request, which points to it. */
struct place {
    struct jini_request *request;
    struct arrivals *arrivals;
    struct place *next;
    uint64_t number;
    uint64_t arrived_ns;
};

struct arrivals {
    struct arrivals_work work;
    unsigned in_flight;
    uint8_t *requests;
    struct place *places;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct place *free;
    unsigned free_count;
    unsigned wanted;    /* how many free places the sender waits for */
    uint64_t *waits_ns; /* of this run, by number */
    uint64_t last_ns;   /* when the last answer came */
    uint64_t random;
};

static void on_done(struct jini_request *request)
{
    struct place *place = request->data;
    struct arrivals *arrivals = place->arrivals;
    uint64_t now_ns = bench_now_ns();
    bench_check(request->status, &request->error, "a request");
    arrivals->work.done(arrivals->work.context, request);
    pthread_mutex_lock(&arrivals->lock);
    arrivals->waits_ns[place->number] = now_ns - place->arrived_ns;
    arrivals->last_ns = now_ns;
    place->next = arrivals->free;
    arrivals->free = place;
    if (++arrivals->free_count == arrivals->wanted)
        pthread_cond_signal(&arrivals->wake);
    pthread_mutex_unlock(&arrivals->lock);
}

/* Under the lock. */
static void await(struct arrivals *arrivals, unsigned places)
{
    arrivals->wanted = places;
    while (arrivals->free_count < places)
        pthread_cond_wait(&arrivals->wake, &arrivals->lock);
    arrivals->wanted = 0;
}

static void send_next(struct arrivals *arrivals, uint64_t number, uint64_t arrived_ns)
{
    pthread_mutex_lock(&arrivals->lock);
    await(arrivals, 1);
    struct place *place = arrivals->free;
    arrivals->free = place->next;
    arrivals->free_count--;
    pthread_mutex_unlock(&arrivals->lock);
    place->number = number;
    place->arrived_ns = arrived_ns;
    bench_check(arrivals->work.submit(arrivals->work.context, place->request, on_done),
                &place->request->error, "sending a request");
}

static void sleep_until(uint64_t due_ns)
{
    for (;;) {
        uint64_t now_ns = bench_now_ns();
        if (now_ns >= due_ns)
            return;
        const struct timespec rest = {.tv_nsec = (long)(due_ns - now_ns) % 1000000000L};
        nanosleep(&rest, NULL);
    }
}

static uint64_t gap_ns(struct arrivals *arrivals, double per_s)
{
    double uniform = ((double)(bench_random(&arrivals->random) >> 11) + 0.5) / 9007199254740992.0;
    return (uint64_t)(-log(uniform) / per_s * 1e9);
}

static int by_length(const void *first, const void *second)
{
    uint64_t a = *(const uint64_t *)first;
    uint64_t b = *(const uint64_t *)second;
    return (a > b) - (a < b);
}

static double part_s(const struct arrivals *arrivals, uint64_t count, double part)
{
    return (double)arrivals->waits_ns[(uint64_t)((double)(count - 1) * part)] / 1e9;
}

struct arrivals *arrivals_new(const struct arrivals_work *work, unsigned in_flight)
{
    struct arrivals *arrivals = bench_alloc(1, sizeof(*arrivals));
    arrivals->work = *work;
    arrivals->in_flight = in_flight;
    arrivals->requests = bench_alloc(in_flight, work->request_bytes);
    arrivals->places = bench_alloc(in_flight, sizeof(*arrivals->places));
    pthread_mutex_init(&arrivals->lock, NULL);
    pthread_cond_init(&arrivals->wake, NULL);
    for (unsigned i = 0; i < in_flight; i++) {
        struct place *place = &arrivals->places[i];
        void *request = arrivals->requests + (size_t)i * work->request_bytes;
        place->request = request;
        place->request->data = place;
        place->arrivals = arrivals;
        place->next = arrivals->free;
        arrivals->free = place;
    }
    arrivals->free_count = in_flight;
    prctl(PR_SET_TIMERSLACK, 1000);
    return arrivals;
}

void arrivals_free(struct arrivals *arrivals)
{
    pthread_cond_destroy(&arrivals->wake);
    pthread_mutex_destroy(&arrivals->lock);
    free(arrivals->places);
    free(arrivals->requests);
    free(arrivals);
}

void arrivals_run(struct arrivals *arrivals, double per_s, double seconds,
                  struct arrivals_figures *out)
{
    uint64_t count = (uint64_t)(per_s * seconds);
    uint64_t begin_ns = bench_now_ns();
    uint64_t due_ns = begin_ns;
    arrivals->waits_ns = bench_alloc(count, sizeof(*arrivals->waits_ns));
    for (uint64_t i = 0; i < count; i++) {
        sleep_until(due_ns);
        send_next(arrivals, i, due_ns);
        due_ns += gap_ns(arrivals, per_s);
    }
    pthread_mutex_lock(&arrivals->lock);
    await(arrivals, arrivals->in_flight);
    pthread_mutex_unlock(&arrivals->lock);
    qsort(arrivals->waits_ns, count, sizeof(*arrivals->waits_ns), by_length);
    *out = (struct arrivals_figures){.requests = count,
                                     .per_s = (double)count /
                                              ((double)(arrivals->last_ns - begin_ns) / 1e9),
                                     .p50_s = part_s(arrivals, count, 0.5),
                                     .p99_s = part_s(arrivals, count, 0.99),
                                     .p999_s = part_s(arrivals, count, 0.999),
                                     .longest_s = part_s(arrivals, count, 1)};
    free(arrivals->waits_ns);
    arrivals->waits_ns = NULL;
}
