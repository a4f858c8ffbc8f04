/*
 * Background work of one engine, on a thread of its own: the table of rate limits, jobs that fall
 * due, quotas that are over, and tiering. Runs that callers ask for (jini_archive_run) take their
 * turn on the same thread.
 *
 * An idle engine costs next to nothing: a regular run is preceded by a look that commits nothing, a
 * look takes at most a hundredth of the time, and after a failure nothing is tried for a minute.
 */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/due.h"
#include "engine/rate.h"

#include <sys/prctl.h>

enum {
    STACK_BYTES = 1024 * 1024,
    LOCK_POLL_MS = 20,
    LOOK_SHARE = 100, /* of the time, one part for looking whether there is work */
    REST_MAX_S = 600,
    FAILURE_REST_S = 60,
    FLAGS_KNOWN = JINI_TIERING_NOW | JINI_TIERING_FREE_HOT | JINI_TIERING_DRY_RUN,
};

struct background {
    struct jini *jini;
    pthread_t thread;
    bool thread_runs;
    struct task_queue queue; /* runs that were asked for; closed: the thread is to end */

    /* Of the thread alone; boot time. */
    uint64_t rest_until_ns;
};

/* Waits for the next run or the interval. NULL: neither; the regular work is due. */
static struct worker_task *next_run(struct background *background, int *status)
{
    struct task_queue *queue = &background->queue;
    uint64_t interval_ms = background->jini->options.background_interval_ms;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + interval_ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_mutex_lock(&queue->lock);
    if (!queue->first && !queue->closed)
        pthread_cond_timedwait(&queue->wake, &queue->lock, &until);
    struct worker_task *task = task_queue_take(queue, status);
    pthread_mutex_unlock(&queue->lock);
    return task;
}

/* Another process's regular run is short: worth waiting for, up to the request's deadline. */
static int run_when_free(struct background *background, struct jini_archive_run *run)
{
    struct jini *jini = background->jini;
    struct request_state *state = request_state(&run->request);
    for (;;) {
        if (task_queue_closed(&background->queue) || atomic_load(&state->cancelled))
            return JINI_E_CANCELLED;
        int status = tiering_run(jini, run, &run->request.error);
        if (status != JINI_E_LOCKED || clock_boot_ns(jini->clock) > state->deadline_ns)
            return status;
        run->waited = 1;
        struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

static void run_archive(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    if (status == 0)
        status = run_when_free(request_state(request)->jini->background,
                               (struct jini_archive_run *)request);
    request_finish(request, status);
}

static bool moved_something(const struct jini_archive_run *run)
{
    return run->packs_sealed + run->packs_archived + run->packs_freed + run->packs_purged +
               run->images_purged + run->packs_set_aside + run->packs_dropped +
               run->packs_regained >
           0;
}

/* Bounded, for what took long may have been the machine's sleep. */
static uint64_t rest_after(uint64_t took_ns)
{
    uint64_t most = REST_MAX_S * NS_PER_S;
    return took_ns < most / LOOK_SHARE ? took_ns * LOOK_SHARE : most;
}

/* Tiering, if there is any to do. Returns for how long to let it be. */
static uint64_t tier(struct background *background, uint64_t now_ns)
{
    struct jini *jini = background->jini;
    struct jini_archive_run run = {0};
    struct jini_error error;
    bool due = tiering_may_have_work(jini);
    uint64_t looked_ns = clock_boot_ns(jini->clock);
    uint64_t rest_ns = rest_after(looked_ns - now_ns);
    if (!due)
        return rest_ns;
    int status = tiering_run(jini, &run, &error);
    if (status == JINI_E_LOCKED || status == JINI_E_CLOSED || status == JINI_E_CANCELLED)
        return rest_ns;
    if (status) {
        log_record(&jini->log, JINI_LOG_WARNING, "background_failed",
                   LOG_TEXT("status", jini_status_name(status)),
                   LOG_TEXT("message", error.message));
        return FAILURE_REST_S * NS_PER_S;
    }
    if (!moved_something(&run))
        rest_ns += rest_after(clock_boot_ns(jini->clock) - looked_ns);
    return rest_ns;
}

static void run_regular(struct background *background)
{
    struct jini *jini = background->jini;
    rates_tend(jini); /* of this process alone, so whether it takes part or not */
    if (!jini->options.background_run)
        return;
    jobs_expire(jini);
    jobs_clean(jini);
    requests_sweep(jini);
    quotas_clean(jini);
    ledger_tend(jini);
    due_tend(jini);
    events_tend(jini);
    uint64_t now_ns = clock_boot_ns(jini->clock);
    if (now_ns < background->rest_until_ns)
        return;
    uint64_t rest_ns = tier(background, now_ns);
    background->rest_until_ns = clock_boot_ns(jini->clock) + rest_ns;
}

static void *background_main(void *argument)
{
    struct background *background = argument;
    prctl(PR_SET_NAME, background->queue.options.threads, 0, 0, 0);
    loop_mark_worker_thread();
    for (;;) {
        int status;
        struct worker_task *task = next_run(background, &status);
        if (task)
            task->run(task, status);
        else if (task_queue_closed(&background->queue))
            return NULL;
        else
            run_regular(background);
    }
}

int background_start(struct jini *jini, struct jini_error *error)
{
    struct background *background = base_calloc(1, sizeof(*background));
    if (!background)
        return error_set(error, JINI_E_NO_MEMORY, "jini", "out of memory");
    background->jini = jini;
    struct task_queue_options queue = {
        .threads = "jini-background",
        .queue_option = "background.queue_max",
        .queue_max = (uint32_t)jini->options.background_queue_max,
        .clock = jini->clock,
    };
    task_queue_init(&background->queue, &queue);
    jini->background = background;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&background->thread, &attributes, background_main, background);
    pthread_attr_destroy(&attributes);
    background->thread_runs = !failed;
    return failed ? error_set_errno(error, failed, "jini", "cannot start the background thread")
                  : 0;
}

void background_sweep(struct jini *jini)
{
    if (jini->background)
        task_queue_sweep(&jini->background->queue);
}

void background_stop(struct jini *jini)
{
    struct background *background = jini->background;
    if (!background || !background->thread_runs)
        return;
    task_queue_close(&background->queue);
    pthread_join(background->thread, NULL);
    background->thread_runs = false;
}

void background_free(struct jini *jini)
{
    struct background *background = jini->background;
    if (!background)
        return;
    JINI_ASSERT(!background->thread_runs);
    task_queue_destroy(&background->queue);
    base_free(background);
    jini->background = NULL;
}

static void clear_counts(struct jini_archive_run *run)
{
    run->packs_sealed = run->packs_archived = run->packs_freed = run->packs_purged = 0;
    run->images_archived = run->images_purged = 0;
    run->bytes_archived = run->bytes_freed = 0;
    run->packs_failed = run->packs_in_use = run->objects_kept = 0;
    run->packs_set_aside = run->packs_dropped = run->packs_regained = 0;
    run->in_use_by_count = 0;
    run->keeping = JINI_KEEPING_NOTHING;
    run->waited = 0;
}

static void look(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct jini *jini = request_state(request)->jini;
    if (status == 0)
        status = tiering_run(jini, (struct jini_archive_run *)request, &request->error);
    request_finish(request, status);
}

static int queue_run(struct background *background, struct jini_archive_run *run)
{
    if (!background)
        return explain_read_only(&run->request.error);
    return task_queue_submit(&background->queue, request_task(&run->request, run_archive),
                             &run->request.error);
}

static int submit(struct jini *jini, struct jini_archive_run *run, uint32_t flags_known,
                  jini_callback *callback)
{
    int status = request_begin(jini, &run->request, sizeof(*run), REQUEST_ARCHIVE_RUN, callback);
    if (status)
        return status;
    clear_counts(run);
    status = check_flags(run->flags, flags_known, &run->request.error);
    /* A dry run only looks: it waits for no run, and works where nothing can be written. */
    if (status == 0 && run->flags & JINI_TIERING_DRY_RUN)
        status = request_run_on(jini->cpu, &run->request, look);
    else if (status == 0)
        status = queue_run(jini->background, run);
    if (status)
        return request_refuse(&run->request, status);
    return callback ? 0 : request_wait(&run->request);
}

int jini_archive_run(struct jini *jini, struct jini_archive_run *run, jini_callback *callback)
{
    return submit(jini, run, FLAGS_KNOWN, callback);
}

/* It takes its turn among the runs: none of them may delete meanwhile. */
int jini_archive_adopt(struct jini *jini, struct jini_error *error)
{
    struct jini_archive_run run;
    error_clear(error);
    jini_request_init(&run);
    run.flags = TIERING_ADOPT;
    int status = submit(jini, &run, TIERING_ADOPT, NULL);
    if (status && error)
        *error = run.request.error;
    return status;
}
