/* See waits.h. */
#include "engine/waits.h"

#include "base/alloc.h"
#include "base/error.h"

#include <sys/prctl.h>

enum { STACK_BYTES = 256 * 1024 };

struct waits {
    struct jini *jini;
    uint32_t waits_max;
    pthread_mutex_t lock;
    pthread_cond_t look;   /* the runner is to go over the list */
    pthread_cond_t parked; /* the sleeper has for whom to sleep */
    struct wait_item *first;
    uint32_t count;
    bool poked;
    bool stopped;
    bool sleeper_runs;
    bool runner_runs;
    pthread_t sleeper;
    pthread_t runner;
};

static uint32_t signal_now(const struct waits *waits)
{
    return store_signal_seen(waits->jini->store, STORE_SHARED_EVENTS);
}

/* With the lock. */
static void poke(struct waits *waits)
{
    waits->poked = true;
    pthread_cond_signal(&waits->look);
}

/* ---- The sleeper ---- */

static void *sleeper_main(void *argument)
{
    struct waits *waits = argument;
    prctl(PR_SET_NAME, "jini-signals", 0, 0, 0);
    for (;;) {
        pthread_mutex_lock(&waits->lock);
        while (waits->count == 0 && !waits->stopped)
            pthread_cond_wait(&waits->parked, &waits->lock);
        uint32_t seen = signal_now(waits);
        bool stopped = waits->stopped;
        poke(waits);
        pthread_mutex_unlock(&waits->lock);
        if (stopped)
            return NULL;
        store_signal_wait(waits->jini->store, STORE_SHARED_EVENTS, seen, UINT64_MAX);
    }
}

/* ---- The runner ---- */

static bool is_ready(const struct waits *waits, const struct wait_item *item, uint64_t now_ns)
{
    return waits->stopped || item->look_at_ns <= now_ns || item->seen != signal_now(waits) ||
           atomic_load(&request_state(item->request)->cancelled) != 0;
}

/* Takes out of the list whose turn it is, and tells when the next one's is at the latest. */
static struct wait_item *take_ready(struct waits *waits, uint64_t *next_ns)
{
    uint64_t now_ns = clock_boot_ns(waits->jini->clock);
    struct wait_item *ready = NULL;
    struct wait_item **place = &waits->first;
    *next_ns = UINT64_MAX;
    while (*place) {
        struct wait_item *item = *place;
        if (is_ready(waits, item, now_ns)) {
            *place = item->next;
            item->next = ready;
            ready = item;
            waits->count--;
            continue;
        }
        if (item->look_at_ns < *next_ns)
            *next_ns = item->look_at_ns;
        place = &item->next;
    }
    return ready;
}

/* Until it is poked, or that boot time. */
static void wait_for_poke(struct waits *waits, uint64_t next_ns)
{
    uint64_t now_ns = clock_boot_ns(waits->jini->clock);
    struct timespec until;
    if (waits->poked)
        return;
    if (next_ns == UINT64_MAX) {
        pthread_cond_wait(&waits->look, &waits->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + (next_ns > now_ns ? next_ns - now_ns : 0);
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_cond_timedwait(&waits->look, &waits->lock, &until);
}

static void run_steps(struct wait_item *item)
{
    while (item) {
        struct wait_item *next = item->next; /* which the step may write over */
        item->step(item->request);
        item = next;
    }
}

static void *runner_main(void *argument)
{
    struct waits *waits = argument;
    prctl(PR_SET_NAME, "jini-waits", 0, 0, 0);
    loop_mark_worker_thread();
    pthread_mutex_lock(&waits->lock);
    for (;;) {
        uint64_t next_ns;
        waits->poked = false;
        struct wait_item *ready = take_ready(waits, &next_ns);
        if (ready) {
            pthread_mutex_unlock(&waits->lock);
            run_steps(ready);
            pthread_mutex_lock(&waits->lock);
        } else if (waits->stopped) {
            break;
        } else {
            wait_for_poke(waits, next_ns);
        }
    }
    pthread_mutex_unlock(&waits->lock);
    return NULL;
}

/* ---- Parking ---- */

static int start_threads(struct waits *waits)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (!waits->sleeper_runs)
        waits->sleeper_runs =
            pthread_create(&waits->sleeper, &attributes, sleeper_main, waits) == 0;
    if (!waits->runner_runs)
        waits->runner_runs = pthread_create(&waits->runner, &attributes, runner_main, waits) == 0;
    pthread_attr_destroy(&attributes);
    return waits->sleeper_runs && waits->runner_runs ? 0 : JINI_E_NO_MEMORY;
}

struct waits *waits_new(struct jini *jini, uint32_t waits_max)
{
    pthread_condattr_t monotonic;
    struct waits *waits = base_calloc(1, sizeof(*waits));
    if (!waits)
        return NULL;
    waits->jini = jini;
    waits->waits_max = waits_max;
    pthread_mutex_init(&waits->lock, NULL);
    pthread_cond_init(&waits->parked, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&waits->look, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return waits;
}

int waits_park(struct waits *waits, struct wait_item *item)
{
    struct request_state *state = request_state(item->request);
    uint64_t look_ns = clock_boot_ns(waits->jini->clock) + STORE_SIGNAL_LOOK_MS * NS_PER_MS;
    if (item->look_at_ns > look_ns)
        item->look_at_ns = look_ns; /* the signal may have died with its process */
    pthread_mutex_lock(&waits->lock);
    int status = waits->stopped || atomic_load(&state->cancelled) ? JINI_E_CANCELLED : 0;
    if (status == 0 && waits->count >= waits->waits_max)
        status = error_set(&item->request->error, JINI_E_BUSY, "events.waits_max",
                           "%u requests wait for events, the most", waits->count);
    if (status == 0)
        status = start_threads(waits);
    if (status == 0) {
        item->next = waits->first;
        waits->first = item;
        waits->count++;
        pthread_cond_signal(&waits->parked);
        poke(waits);
    }
    pthread_mutex_unlock(&waits->lock);
    return status;
}

void waits_cancel(struct waits *waits)
{
    if (!waits)
        return;
    pthread_mutex_lock(&waits->lock);
    poke(waits);
    pthread_mutex_unlock(&waits->lock);
}

void waits_stop(struct waits *waits)
{
    if (!waits)
        return;
    pthread_mutex_lock(&waits->lock);
    waits->stopped = true;
    pthread_cond_signal(&waits->parked);
    poke(waits);
    pthread_mutex_unlock(&waits->lock);
    store_signal_now(waits->jini->store, STORE_SHARED_EVENTS);
    if (waits->sleeper_runs)
        pthread_join(waits->sleeper, NULL);
    if (waits->runner_runs)
        pthread_join(waits->runner, NULL);
    waits->sleeper_runs = waits->runner_runs = false; /* nobody parks, who would change them */
}

void waits_free(struct waits *waits)
{
    if (!waits)
        return;
    JINI_ASSERT(!waits->first);
    pthread_cond_destroy(&waits->look);
    pthread_cond_destroy(&waits->parked);
    pthread_mutex_destroy(&waits->lock);
    base_free(waits);
}
