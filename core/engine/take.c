/*
 * Taking events, and waiting for them.
 *
 *     look, on a thread of jini-cpu, on a snapshot
 *       |-- ONCE: not the holder, or not for much longer --> write: claim ----> look
 *       |-- ONCE: many events of other types passed over --> write: advance --> look
 *       |-- ONCE: events --> done
 *       |-- EACH: something is due, or new --> write: take --> done, or look where it took none
 *       '-- nothing --> done where the time to wait is over, else parked (waits.h) --> look
 *
 * What is decided on a snapshot is decided again in the write.
 */
#include "engine/txn.h"
#include "engine/waits.h"
#include "events/consumers.h"

#include "base/alloc.h"
#include "base/error.h"

enum { TAKE_BYTES = 8192, PASSED_MIN = 256, LEASE_MIN_MS = 10, LEASE_MAX_MS = MS_PER_DAY };

enum next { NEXT_DONE, NEXT_CLAIM, NEXT_PASS, NEXT_TAKE, NEXT_PARK };

/* Of a request that takes or waits. */
struct take_work {
    struct wait_item item;
    uint64_t give_up_ns; /* boot time */
    uint64_t look_at_ms; /* wall time: when it may be another's turn; UINT64_MAX */
    enum next next;
    bool claimed; /* since it last waited: however short that is, it is used */
    int idle;     /* the status of having waited in vain */
};

static struct take_work *work_of(struct jini_request *request)
{
    return request_state(request)->work;
}

static uint64_t now_ms(const struct jini *jini)
{
    return clock_wall_ns(jini->clock) / NS_PER_MS;
}

static uint32_t lease_of(struct jini *jini, const struct jini_events_take *take)
{
    return take->lease_ms ? take->lease_ms : (uint32_t)jini->options.events_lease_ms;
}

/* It was taken before the engine closed, so that is what ended it. */
static void finish(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    base_free(state->work);
    state->work = NULL;
    request_finish(request, status == JINI_E_CLOSED ? JINI_E_CANCELLED : status);
}

/* ---- Looking ---- */

static int look_for_page(struct store_txn *txn, const struct consumer *consumer,
                         struct jini_events_take *take, struct take_work *work)
{
    struct jini_events_cursor cursor = {.position = consumer->is.position};
    uint64_t first = cursor.position;
    int status = events_list(txn, &consumer->is.filter, &cursor, &take->page, &take->request.error);
    take->batch.from = first;
    take->batch.upto = cursor.position;
    if (status || take->page.count > 0)
        return status;
    /* The end of the log is near, or it would have found one: looked at are at most thousands. */
    work->next =
        !cursor.ended || cursor.position - first > PASSED_MIN * NS_PER_MS ? NEXT_PASS : NEXT_PARK;
    return 0;
}

/* Who holds it claims it again when half of the lease is over, also while waiting. */
static int look_once(struct jini *jini, struct store_txn *txn, const struct consumer *consumer,
                     struct jini_events_take *take, struct take_work *work)
{
    const struct jini_consumer *is = &consumer->is;
    uint64_t now = now_ms(jini);
    uint64_t half_ms = lease_of(jini, take) / 2;
    bool over = consumer_lease_is_over(consumer, now);
    if (take->batch.epoch == 0 && !over) {
        work->next = NEXT_PARK;
        work->look_at_ms = is->leased_until_ms;
        struct consumer asked = *consumer;
        uint64_t epoch = 0;
        work->idle = consumers_claim(txn, &asked, &epoch, 0, now, &take->request.error);
        return 0;
    }
    bool fresh = !over && is->leased_until_ms - now >= half_ms;
    if (take->batch.epoch != is->epoch || (!fresh && !work->claimed)) {
        work->next = NEXT_CLAIM;
        return 0;
    }
    int status = look_for_page(txn, consumer, take, work);
    work->look_at_ms = is->leased_until_ms - half_ms + 1;
    return status;
}

static int look_each(struct jini *jini, struct store_txn *txn, const struct consumer *consumer,
                     struct take_work *work)
{
    bool ready;
    int status = deliveries_ready(txn, consumer, now_ms(jini), &ready, &work->look_at_ms);
    work->next = ready ? NEXT_TAKE : NEXT_PARK;
    return status;
}

static int look_in(struct jini *jini, struct store_txn *txn, struct jini_events_take *take,
                   struct take_work *work)
{
    struct consumer consumer;
    struct jini_error *error = &take->request.error;
    int status = consumer_load(txn, take->consumer, &consumer, error);
    if (status)
        return status;
    if (consumer.is.kind == JINI_CONSUMER_ONCE)
        return look_once(jini, txn, &consumer, take, work);
    return look_each(jini, txn, &consumer, work);
}

static void go_on(struct jini_request *request, int status);

static int on_snapshot(struct jini_request *request,
                       int (*look)(struct jini *jini, struct store_txn *txn,
                                   struct jini_request *request))
{
    struct jini *jini = request_state(request)->jini;
    struct take_work *work = work_of(request);
    struct store_txn *txn;
    error_clear(&request->error);
    work->next = NEXT_DONE;
    work->look_at_ms = UINT64_MAX;
    work->idle = 0;
    work->item.seen = store_signal_seen(jini->store, STORE_SHARED_EVENTS);
    int status = snapshot_begin(jini, &txn, &request->error);
    if (status)
        return status;
    status = look(jini, txn, request);
    store_read_end(txn);
    return status;
}

static int look_to_take(struct jini *jini, struct store_txn *txn, struct jini_request *request)
{
    return look_in(jini, txn, (struct jini_events_take *)request, work_of(request));
}

static void take_task(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    go_on(request, status ? status : on_snapshot(request, look_to_take));
}

/* ---- Writing ---- */

static int op_claim(struct jini_txn *txn, void *request)
{
    struct jini_events_take *take = request;
    struct consumer consumer;
    struct jini_error *error = &take->request.error;
    uint64_t epoch = take->batch.epoch;
    int status = consumer_load(txn->store, take->consumer, &consumer, error);
    if (status == 0)
        status = consumers_claim(txn->store, &consumer, &epoch, lease_of(txn->jini, take),
                                 txn->now_ms, error);
    if (status == 0)
        take->batch.from = epoch; /* until it is known to have been committed */
    return status;
}

static int op_pass(struct jini_txn *txn, void *request)
{
    struct jini_events_take *take = request;
    return consumers_advance(txn->store, take->consumer, &take->batch, txn->now_ms,
                             &take->request.error);
}

static int op_take(struct jini_txn *txn, void *request)
{
    struct jini_events_take *take = request;
    const struct jini_options *options = &txn->jini->options;
    struct consumer consumer;
    struct deliveries_take deliveries = {
        .now_ms = txn->now_ms,
        .lease_ms = lease_of(txn->jini, take),
        .held_max = (uint32_t)options->events_held_max,
        .dead_max = (uint32_t)options->events_dead_max,
        .page = &take->page,
    };
    struct jini_error *error = &take->request.error;
    int status = events_page_begin(&take->page, error);
    if (status == 0)
        status = consumer_load(txn->store, take->consumer, &consumer, error);
    if (status == 0)
        status = deliveries_take(txn->store, &consumer, &deliveries, error);
    if (status)
        return status;
    take->batch = (struct jini_events_batch){consumer.is.epoch, 0, 0};
    return 0;
}

static void look_again(struct jini_request *request)
{
    struct jini *jini = request_state(request)->jini;
    int status = request_continue_on(jini->cpu, request, take_task);
    if (status)
        finish(request, status);
}

static void after_write(struct jini_request *request)
{
    struct jini_events_take *take = (struct jini_events_take *)request;
    struct take_work *work = work_of(request);
    int status = request->status;
    if (status == 0 && work->next == NEXT_CLAIM) {
        take->batch = (struct jini_events_batch){.epoch = take->batch.from};
        work->claimed = true;
    }
    if (status == JINI_E_LOCKED && work->next == NEXT_CLAIM)
        status = 0; /* another was faster: it is waited for */
    bool done = work->next == NEXT_TAKE && take->page.count > 0;
    /* One that took nothing and moved nothing has lost a race with another. */
    if (status || done)
        finish(request, status);
    else
        look_again(request);
}

static int write_next(struct jini_request *request, txn_op_fn *op, enum store_class class)
{
    struct request_state *state = request_state(request);
    uint64_t timeout_ns = request_timeout_ms(state->jini, request) * NS_PER_MS;
    state->deadline_ns = clock_boot_ns(state->jini->clock) + timeout_ns; /* it may have waited */
    return request_write(request, op, class, TAKE_BYTES, after_write);
}

/* ---- Waiting ---- */

/* Its time on the wall clock, as boot time; and not after it gives up. */
static uint64_t look_at_ns(const struct jini *jini, const struct take_work *work, uint64_t now_ns)
{
    uint64_t now = now_ms(jini);
    uint64_t wait_ms = work->look_at_ms > now ? work->look_at_ms - now : 0;
    uint64_t give_up_ns = work->give_up_ns;
    if (work->look_at_ms == UINT64_MAX || wait_ms > (give_up_ns - now_ns) / NS_PER_MS)
        return give_up_ns;
    return now_ns + wait_ms * NS_PER_MS;
}

static int park(struct jini_request *request)
{
    struct jini *jini = request_state(request)->jini;
    struct take_work *work = work_of(request);
    uint64_t now_ns = clock_boot_ns(jini->clock);
    if (now_ns >= work->give_up_ns) {
        finish(request, work->idle);
        return 0;
    }
    work->item.look_at_ns = look_at_ns(jini, work, now_ns);
    work->claimed = false;
    return waits_park(jini->waits, &work->item);
}

static void go_on(struct jini_request *request, int status)
{
    struct take_work *work = work_of(request);
    if (status == 0 && atomic_load(&request_state(request)->cancelled))
        status = JINI_E_CANCELLED;
    if (status == 0) {
        switch (work->next) {
        case NEXT_DONE:
            finish(request, 0);
            return;
        case NEXT_CLAIM:
            status = write_next(request, op_claim, STORE_RELEASE);
            break;
        case NEXT_PASS:
            status = write_next(request, op_pass, STORE_RELEASE);
            break;
        case NEXT_TAKE:
            status = write_next(request, op_take, STORE_NEW_WORK);
            break;
        case NEXT_PARK:
            status = park(request);
            break;
        }
    }
    if (status)
        finish(request, status);
}

/* ---- Calls ---- */

static int begin(struct jini_request *request, request_step_fn *step, uint32_t wait_ms)
{
    struct request_state *state = request_state(request);
    struct take_work *work = base_calloc(1, sizeof(*work));
    if (!work)
        return JINI_E_NO_MEMORY;
    state->work = work;
    work->item.request = request;
    work->item.step = step;
    work->give_up_ns = clock_boot_ns(state->jini->clock) + wait_ms * NS_PER_MS;
    return 0;
}

static int refuse(struct jini_request *request, int status)
{
    struct request_state *state = request_state(request);
    base_free(state->work);
    state->work = NULL;
    return request_refuse(request, status);
}

int jini_events_take(struct jini *jini, struct jini_events_take *take, jini_callback *callback)
{
    struct jini_request *request = &take->request;
    int status = request_begin(jini, request, sizeof(*take), REQUEST_EVENTS_TAKE, callback);
    if (status)
        return status;
    status = consumer_check_name(take->consumer, &request->error);
    if (status == 0)
        status = events_page_begin(&take->page, &request->error);
    if (status == 0 && take->lease_ms > 0 &&
        (take->lease_ms < LEASE_MIN_MS || take->lease_ms > LEASE_MAX_MS))
        status = error_set(&request->error, JINI_E_INVALID, "lease_ms",
                           "it is %d ms to a day; 0: events.lease_ms", LEASE_MIN_MS);
    if (status == 0 && jini->options.read_only)
        status = explain_read_only(&request->error);
    if (status == 0)
        status = begin(request, look_again, take->wait_ms);
    if (status == 0)
        status = request_run_on(jini->cpu, request, take_task);
    if (status)
        return refuse(request, status);
    return callback ? 0 : request_wait(request);
}

static int look_behind(struct jini *jini, struct store_txn *txn, struct jini_request *request)
{
    const struct jini_events_wait *wait = (const struct jini_events_wait *)request;
    struct take_work *work = work_of(request);
    struct jini_consumer behind = {.position = wait->position};
    (void)jini;
    int status = consumer_measure_to(txn, &behind, 0, 1);
    work->next = behind.lag_events > 0 ? NEXT_DONE : NEXT_PARK;
    work->idle = JINI_E_TIMEOUT;
    if (status == 0 && work->next == NEXT_PARK)
        error_set(&request->error, JINI_E_TIMEOUT, "position", "no event came for %u ms",
                  wait->wait_ms);
    return status;
}

static void wait_task(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    go_on(request, status ? status : on_snapshot(request, look_behind));
}

static void look_behind_again(struct jini_request *request)
{
    struct jini *jini = request_state(request)->jini;
    int status = request_continue_on(jini->cpu, request, wait_task);
    if (status)
        finish(request, status);
}

int jini_events_wait(struct jini *jini, struct jini_events_wait *wait, jini_callback *callback)
{
    struct jini_request *request = &wait->request;
    int status = request_begin(jini, request, sizeof(*wait), REQUEST_EVENTS_WAIT, callback);
    if (status)
        return status;
    status = begin(request, look_behind_again, wait->wait_ms);
    if (status == 0)
        status = request_run_on(jini->cpu, request, wait_task);
    if (status)
        return refuse(request, status);
    return callback ? 0 : request_wait(request);
}
