/*
 * Workers that wait for jobs.
 *
 *     take: nothing there --> waits --a job may be there--> op --none after all--> waits
 *                               |                            '--jobs--> finished
 *                               '--late, cancelled, closed--> finished, without a job
 *
 *  1. Nobody looks every so often for want of news. What makes a job ready, in any process, or says
 *     when it will be, signals STORE_SHARED_QUEUE with its commit. One thread of each process that
 *     has a worker waiting, the watcher, sleeps on that; another, the looker, is told by it, looks
 *     at the queue and runs the ops of those for whom there is something.
 *  2. No wake-up is lost: the looker reads the count of the watcher's news before it looks, and
 *     sleeps only while that stands still; the watcher sleeps only while the signal does.
 *  3. The looker also wakes when the first wait is over, and when the first job falls due: one that
 *     is delayed becomes ready then, one whose lease is over comes back. And it looks every
 *     SLEEP_MAX_MS: a process that was killed between its commit and the wake-up has told nobody.
 *  4. For jobs that came at once no more ops are under way than there are jobs, so that a hundred
 *     workers do not all run for one. One may be whatever the counts say, which may be damaged.
 *  5. A take is in the list, or an op of it is under way, or it ends: `lock` is held for each
 *     change of that. No request is finished, and no op submitted, under the lock.
 */
#include "engine/queue.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/txn.h"

#include <sys/prctl.h>

enum {
    STACK_BYTES = 512 * 1024,
    DUE_PAUSE_MS = 100,   /* between two turns of what falls due, which may fail */
    SLEEP_MAX_MS = 5000,  /* see 3 */
    LOOK_AGAIN_MS = 1000, /* after the store could not be read */
};

struct takes {
    struct jini *jini;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* by the monotonic clock */
    struct take_work *first;
    struct take_work *last;
    uint32_t waiting;
    uint32_t under_way; /* ops */
    uint64_t news;      /* of the watcher, of new ones that wait, and of ops that ended */
    bool closed;
    bool looker_runs;
    bool watcher_runs;
    pthread_t looker;
    pthread_t watcher;
    uint64_t due_from_ns; /* of the looker: not before */
};

/* ---- The list, under the lock ---- */

static void put(struct takes *takes, struct take_work *work)
{
    work->waits = true;
    work->next = NULL;
    work->previous = takes->last;
    if (takes->last)
        takes->last->next = work;
    else
        takes->first = work;
    takes->last = work;
    takes->waiting++;
}

static void take_out(struct takes *takes, struct take_work *work)
{
    JINI_ASSERT(work->waits);
    if (work->previous)
        work->previous->next = work->next;
    else
        takes->first = work->next;
    if (work->next)
        work->next->previous = work->previous;
    else
        takes->last = work->previous;
    work->next = work->previous = NULL;
    work->waits = false;
    takes->waiting--;
}

static void tell(struct takes *takes)
{
    takes->news++;
    pthread_cond_signal(&takes->wake);
}

/* Takes out of a chain of its own, so that each is finished without the lock. */
struct chain {
    struct take_work *first;
    struct take_work **end;
};

static void chain_begin(struct chain *chain)
{
    chain->first = NULL;
    chain->end = &chain->first;
}

static void chain_add(struct takes *takes, struct chain *chain, struct take_work *work)
{
    take_out(takes, work);
    *chain->end = work;
    chain->end = &work->next;
}

static void finish_all(struct chain *chain, int status)
{
    while (chain->first) {
        struct take_work *work = chain->first;
        chain->first = work->next;
        take_finish(work, status);
    }
}

/* ---- The looker ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Those whose wait is over; the first of the other ends, in ns from now. */
static uint64_t end_late(struct takes *takes, struct chain *late)
{
    uint64_t now_ns = clock_boot_ns(takes->jini->clock);
    uint64_t first_ns = SLEEP_MAX_MS * NS_PER_MS;
    struct take_work *next;
    for (struct take_work *work = takes->first; work; work = next) {
        next = work->next;
        if (work->until_ns <= now_ns)
            chain_add(takes, late, work);
        else
            first_ns = sooner(first_ns, work->until_ns - now_ns);
    }
    return first_ns;
}

/* How many ops may be under way. */
static uint64_t room_for_ops(struct store_txn *txn)
{
    uint64_t ready;
    uint64_t delayed;
    return generations_waiting_count(txn, &ready, &delayed) == 0 && ready > 0 ? ready : 1;
}

static void choose(struct takes *takes, struct store_txn *txn, struct chain *going)
{
    uint64_t room = room_for_ops(txn);
    struct take_work *next;
    for (struct take_work *work = takes->first; work; work = next) {
        struct generations_serves serves =
            take_serves(takes->jini, (struct jini_job_take *)work->request);
        struct jini_error ignored;
        next = work->next;
        if (takes->under_way >= room)
            return;
        if (generations_waiting_any(txn, &serves, &ignored) != 0)
            continue;
        chain_add(takes, going, work);
        work->chosen = true;
        takes->under_way++;
    }
}

/* Until the first job falls due, in ns; 0: it is due now. */
static uint64_t until_due_ns(struct takes *takes, struct store_txn *txn)
{
    uint64_t now_ms = clock_wall_ns(takes->jini->clock) / NS_PER_MS;
    uint64_t now_ns = clock_boot_ns(takes->jini->clock);
    struct generations_due due;
    size_t count;
    if (generations_due_list(txn, GENERATIONS_DUE_JOB, UINT64_MAX, &due, 1, &count, NULL) != 0 ||
        count == 0)
        return SLEEP_MAX_MS * NS_PER_MS;
    uint64_t wait_ms = due.due_ms > now_ms ? sooner(due.due_ms - now_ms, SLEEP_MAX_MS) : 0;
    if (wait_ms == 0 && now_ns < takes->due_from_ns)
        return takes->due_from_ns - now_ns;
    return wait_ms * NS_PER_MS;
}

/* One look. Returns for how long there is nothing to do; 0: a job is due. */
static uint64_t look(struct takes *takes, struct chain *late, struct chain *going)
{
    struct store_txn *txn;
    uint64_t sleep_ns = end_late(takes, late);
    if (!takes->first)
        return sleep_ns;
    if (store_read_begin(takes->jini->store, &txn) != 0)
        return sooner(sleep_ns, LOOK_AGAIN_MS * NS_PER_MS);
    choose(takes, txn, going);
    sleep_ns = sooner(sleep_ns, until_due_ns(takes, txn));
    store_read_end(txn);
    return sleep_ns;
}

static void run_all(struct takes *takes, struct chain *going)
{
    while (going->first) {
        struct take_work *work = going->first;
        going->first = work->next;
        work->next = NULL;
        int status = take_run(work);
        if (status == 0)
            continue;
        takes_ran(takes, work);
        take_finish(work, status);
    }
}

static void sleep_for(struct takes *takes, uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_cond_timedwait(&takes->wake, &takes->lock, &until);
}

static void *looker_main(void *argument)
{
    struct takes *takes = argument;
    prctl(PR_SET_NAME, "jini-takes", 0, 0, 0);
    loop_mark_worker_thread();
    pthread_mutex_lock(&takes->lock);
    while (!takes->closed) {
        struct chain late;
        struct chain going;
        uint64_t news = takes->news;
        chain_begin(&late);
        chain_begin(&going);
        uint64_t sleep_ns = look(takes, &late, &going);
        bool acts = late.first || going.first || sleep_ns == 0;
        if (acts) {
            pthread_mutex_unlock(&takes->lock);
            finish_all(&late, 0);
            run_all(takes, &going);
            if (sleep_ns == 0) {
                jobs_expire(takes->jini);
                takes->due_from_ns = clock_boot_ns(takes->jini->clock) + DUE_PAUSE_MS * NS_PER_MS;
            }
            pthread_mutex_lock(&takes->lock);
        } else if (takes->news == news) {
            sleep_for(takes, sleep_ns);
        }
    }
    pthread_mutex_unlock(&takes->lock);
    return NULL;
}

/* ---- The watcher ---- */

static void *watcher_main(void *argument)
{
    struct takes *takes = argument;
    struct store *store = takes->jini->store;
    prctl(PR_SET_NAME, "jini-watch", 0, 0, 0);
    for (;;) {
        uint32_t seen = store_signal_seen(store, STORE_SHARED_QUEUE);
        pthread_mutex_lock(&takes->lock);
        bool closed = takes->closed;
        tell(takes);
        pthread_mutex_unlock(&takes->lock);
        if (closed)
            return NULL;
        store_signal_wait(store, STORE_SHARED_QUEUE, seen, SLEEP_MAX_MS);
    }
}

/* ---- Starting and stopping ---- */

static int start_thread(pthread_t *thread, void *(*run)(void *), struct takes *takes)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(thread, &attributes, run, takes);
    pthread_attr_destroy(&attributes);
    return failed ? JINI_E_NO_MEMORY : 0;
}

/* Under the lock. A thread that could not be started is, by the next that waits. */
static int start(struct takes *takes)
{
    int status = 0;
    if (!takes->looker_runs)
        status = start_thread(&takes->looker, looker_main, takes);
    if (status)
        return status;
    takes->looker_runs = true;
    if (!takes->watcher_runs)
        status = start_thread(&takes->watcher, watcher_main, takes);
    if (status)
        return status;
    takes->watcher_runs = true;
    return 0;
}

struct takes *takes_new(struct jini *jini)
{
    struct takes *takes = base_calloc(1, sizeof(*takes));
    pthread_condattr_t monotonic;
    if (!takes)
        return NULL;
    takes->jini = jini;
    pthread_mutex_init(&takes->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&takes->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return takes;
}

void takes_stop(struct takes *takes)
{
    struct chain cancelled;
    if (!takes)
        return;
    chain_begin(&cancelled);
    pthread_mutex_lock(&takes->lock);
    takes->closed = true;
    while (takes->first)
        chain_add(takes, &cancelled, takes->first);
    tell(takes);
    bool looker_runs = takes->looker_runs;
    bool watcher_runs = takes->watcher_runs;
    takes->looker_runs = takes->watcher_runs = false;
    pthread_mutex_unlock(&takes->lock);
    finish_all(&cancelled, JINI_E_CANCELLED);
    if (looker_runs)
        pthread_join(takes->looker, NULL);
    if (!watcher_runs)
        return;
    store_signal_now(takes->jini->store,
                     STORE_SHARED_QUEUE); /* the watcher sees that it is closed */
    pthread_join(takes->watcher, NULL);
}

void takes_free(struct takes *takes)
{
    if (!takes)
        return;
    JINI_ASSERT(!takes->looker_runs && !takes->watcher_runs && !takes->first);
    pthread_cond_destroy(&takes->wake);
    pthread_mutex_destroy(&takes->lock);
    base_free(takes);
}

/* ---- Waiting ---- */

static int admit(struct takes *takes, struct take_work *work)
{
    struct jini_request *request = work->request;
    const struct jini_options *options = &takes->jini->options;
    if (takes->closed || atomic_load(&request_state(request)->cancelled))
        return JINI_E_CANCELLED;
    if (takes->waiting >= options->queue_takes_max)
        return error_set(
            &request->error, JINI_E_BUSY, "queue.takes_max",
            "%u workers of this process wait for a job; come back later, or allow more",
            takes->waiting);
    return start(takes);
}

void takes_ran(struct takes *takes, struct take_work *work)
{
    if (!work->chosen)
        return;
    work->chosen = false;
    pthread_mutex_lock(&takes->lock);
    takes->under_way--;
    tell(takes);
    pthread_mutex_unlock(&takes->lock);
}

void takes_wait(struct takes *takes, struct take_work *work)
{
    struct jini *jini = takes->jini;
    bool over = work->until_ns <= clock_boot_ns(jini->clock);
    pthread_mutex_lock(&takes->lock);
    int status = over ? 0 : admit(takes, work);
    bool waits = !over && status == 0;
    if (waits)
        put(takes, work);
    tell(takes);
    pthread_mutex_unlock(&takes->lock);
    if (!waits)
        take_finish(work, status);
}

void takes_cancel(struct takes *takes, const struct jini_request *request)
{
    struct take_work *work;
    if (!takes)
        return;
    pthread_mutex_lock(&takes->lock);
    for (work = takes->first; work && work->request != request; work = work->next)
        ;
    if (work)
        take_out(takes, work);
    pthread_mutex_unlock(&takes->lock);
    if (work)
        take_finish(work, JINI_E_CANCELLED);
}

uint32_t takes_waiting(struct takes *takes)
{
    if (!takes)
        return 0;
    pthread_mutex_lock(&takes->lock);
    uint32_t waiting = takes->waiting;
    pthread_mutex_unlock(&takes->lock);
    return waiting;
}
