/*
 * The slots of the window, and what moves them on. All of it runs on the main thread; only
 * wait_done() does not.
 */
#include "put_window.h"

#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WINDOW_BYTES_MAX (UINT64_C(256) << 20)

enum { TICK_MS = 100, PAUSE_FIRST_MS = 5, PAUSE_MAX_MS = 500, TRIES_MAX = 60 };

enum stage {
    STAGE_FREE,
    STAGE_ADMIT_LATER, /* WAITING */
    STAGE_ADMITTING,
    STAGE_PUT_LATER, /* WAITING */
    STAGE_PUTTING,
    STAGE_RELEASING
};

struct slot {
    enum stage stage;
    unsigned tries;       /* of a step that found something busy */
    uint64_t again_at_ms; /* of a step that comes later */
    uint8_t *bytes;
    size_t length;
    struct put_outcome outcome;
    struct jini_admit admit;
    struct jini_image_put put;
    struct jini_release release;
};

struct window {
    const struct put_plan *plan;
    struct slot *slots;
    size_t next;    /* file to begin */
    uint64_t bytes; /* of all slots */
    int stopped;    /* the status that ended it, or 0 */
    bool cancelled; /* requests under way were cancelled */
    struct jini_error *error;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Ends of a file ---- */

static void report(struct window *window, struct slot *slot)
{
    window->plan->report(window->plan->context, &slot->outcome);
    window->bytes -= slot->length;
    free(slot->bytes);
    slot->bytes = NULL;
    slot->length = 0;
    slot->stage = STAGE_FREE;
}

/* The file was given up for no fault of its own. */
static void give_up(const struct window *window, struct slot *slot)
{
    struct jini_error *error = &slot->outcome.error;
    slot->outcome.status = error->code = JINI_E_CANCELLED;
    if (command_is_over())
        snprintf(error->message, sizeof(error->message), "the command was ended first");
    else
        snprintf(error->message, sizeof(error->message),
                 "given up, since another file met what this one would have met too: %s",
                 jini_status_text(window->stopped));
}

/* True for what the next file would meet too. */
static bool ends_all(int status, const struct jini_error *error)
{
    if (status == JINI_E_NOT_FOUND)
        return strcmp(error->field, "user") == 0;
    return jini_status_retry(status) == JINI_RETRY_REOPEN || status == JINI_E_FULL ||
           status == JINI_E_INACTIVE || status == JINI_E_READ_ONLY || status == JINI_E_NO_MEMORY ||
           status == JINI_E_UNREPEATABLE;
}

static void stop(struct window *window, int status, const struct jini_error *error)
{
    if (window->stopped)
        return;
    window->stopped = status;
    *window->error = *error;
}

static bool is_over(const struct window *window)
{
    return window->stopped || command_is_over();
}

static void fail(struct window *window, struct slot *slot, const struct jini_request *request)
{
    struct jini_error *error = &slot->outcome.error;
    int status = request->status;
    if (status == JINI_E_CANCELLED) {
        give_up(window, slot);
        return;
    }
    slot->outcome.status = status;
    *error = request->error;
    if (error->code == 0) {
        error->code = status;
        snprintf(error->message, sizeof(error->message), "%s", jini_status_text(status));
    }
    if (ends_all(status, error))
        stop(window, status, error);
}

/* ---- Steps ---- */

/* A request that was refused at once is as one that came back. */
static void submitted(struct jini_request *request, int status)
{
    if (status) {
        request->status = status;
        wait_done(request);
    }
}

static void submit_admit(struct window *window, struct slot *slot)
{
    slot->admit.request.data = NULL;
    slot->stage = STAGE_ADMITTING;
    submitted(&slot->admit.request, jini_admit(window->plan->jini, &slot->admit, wait_done));
}

static void submit_put(struct window *window, struct slot *slot)
{
    slot->put.request.data = NULL;
    slot->stage = STAGE_PUTTING;
    submitted(&slot->put.request, jini_image_put(window->plan->jini, &slot->put, wait_done));
}

/* Ends the file's job, if it has one, because of what stands in its outcome. */
static void give_back(struct window *window, struct slot *slot)
{
    if (!window->plan->admits) {
        report(window, slot);
        return;
    }
    bool cancelled = slot->outcome.status == JINI_E_CANCELLED;
    jini_request_init(&slot->release);
    slot->release.job_id = slot->outcome.job_id;
    slot->release.state = cancelled ? JINI_JOB_CANCELLED : JINI_JOB_FAILED;
    slot->release.reason = jini_status_name(slot->outcome.status);
    slot->stage = STAGE_RELEASING;
    submitted(&slot->release.request, jini_release(window->plan->jini, &slot->release, wait_done));
}

/* Puts a step off for a moment. False: it was put off too often. */
static bool later(struct slot *slot, enum stage stage)
{
    unsigned doublings = slot->tries < 7 ? slot->tries : 7;
    uint64_t pause_ms = (uint64_t)PAUSE_FIRST_MS << doublings;
    if (++slot->tries > TRIES_MAX)
        return false;
    slot->again_at_ms = now_ms() + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
    slot->stage = stage;
    return true;
}

static bool others_under_way(const struct window *window, const struct slot *self)
{
    for (unsigned i = 0; i < window->plan->window; i++) {
        const struct slot *slot = &window->slots[i];
        if (slot != self && slot->stage >= STAGE_PUT_LATER)
            return true;
    }
    return false;
}

/* Jobs of this very command fill the bound on parallel jobs: one of them will end. */
static bool waits_for_own_jobs(const struct window *window, const struct slot *slot)
{
    return slot->admit.request.status == JINI_E_LIMITED &&
           strcmp(slot->admit.request.error.field, "parallel") == 0 &&
           others_under_way(window, slot);
}

static void admitted(struct window *window, struct slot *slot)
{
    const struct jini_request *request = &slot->admit.request;
    int status = request->status;
    bool busy = status == JINI_E_BUSY || waits_for_own_jobs(window, slot);
    if (status == 0) {
        slot->outcome.job_id = slot->admit.job.id;
        slot->put.job_id = slot->admit.job.id;
        slot->tries = 0;
        submit_put(window, slot);
        return;
    }
    if (busy && !is_over(window) && later(slot, STAGE_ADMIT_LATER))
        return;
    fail(window, slot, request);
    report(window, slot);
}

/* The command was stopped for longer than the lease, and somebody gave the job up meanwhile. */
static bool lost_its_job(const struct jini_request *request)
{
    return request->status == JINI_E_CONFLICT && strcmp(request->error.field, "job") == 0;
}

static void stored(struct window *window, struct slot *slot)
{
    const struct jini_request *request = &slot->put.request;
    int status = request->status;
    if (status == 0) {
        slot->outcome.image = slot->put.image;
        report(window, slot);
        return;
    }
    if (status == JINI_E_BUSY && !is_over(window) && later(slot, STAGE_PUT_LATER))
        return;
    if (lost_its_job(request) && !is_over(window) && later(slot, STAGE_ADMIT_LATER))
        return;
    fail(window, slot, request);
    give_back(window, slot);
}

/* A step that was put off: again, or given up. */
static void resume(struct window *window, struct slot *slot)
{
    if (is_over(window)) {
        give_up(window, slot);
        if (slot->stage == STAGE_PUT_LATER)
            give_back(window, slot);
        else
            report(window, slot);
        return;
    }
    if (now_ms() < slot->again_at_ms)
        return;
    if (slot->stage == STAGE_ADMIT_LATER)
        submit_admit(window, slot);
    else
        submit_put(window, slot);
}

static void advance(struct window *window, struct slot *slot)
{
    switch (slot->stage) {
    case STAGE_FREE:
        break;
    case STAGE_ADMIT_LATER:
    case STAGE_PUT_LATER:
        resume(window, slot);
        break;
    case STAGE_ADMITTING:
        if (wait_is_done(&slot->admit.request))
            admitted(window, slot);
        break;
    case STAGE_PUTTING:
        if (wait_is_done(&slot->put.request))
            stored(window, slot);
        break;
    case STAGE_RELEASING:
        if (wait_is_done(&slot->release.request))
            report(window, slot);
        break;
    }
}

/* ---- Beginning a file ---- */

static void prepare_requests(const struct put_plan *plan, struct slot *slot)
{
    const struct jini_image *probe = &slot->outcome.image;
    struct jini_parameters *parameters = &slot->admit.parameters;
    jini_request_init(&slot->admit);
    jini_request_init(&slot->put);
    slot->admit.subject = (struct jini_subject){.kind = JINI_SUBJECT_USER, .number = plan->user_id};
    *parameters = plan->parameters;
    /* What was asked for, or what has come of it: a tier bounds both. */
    if (parameters->width < probe->width)
        parameters->width = probe->width;
    if (parameters->height < probe->height)
        parameters->height = probe->height;
    if (plan->seed_of_file && (probe->flags & JINI_IMAGE_HAS_SEED))
        parameters->seed = probe->seed;
    slot->admit.prompt = plan->prompt;
    slot->admit.negative = plan->negative;
    slot->admit.lease_ms = plan->lease_ms;
    slot->put.bytes = slot->bytes;
    slot->put.length = slot->length;
    slot->put.user_id = plan->user_id;
    slot->put.flags = plan->admits ? JINI_PUT_SETTLES : 0;
}

/* Reads and probes the next file. What is no image is refused here, before it could be charged. */
static void begin(struct window *window, struct slot *slot)
{
    const struct put_plan *plan = window->plan;
    memset(&slot->outcome, 0, sizeof(slot->outcome));
    slot->tries = 0;
    slot->outcome.index = window->next;
    const struct file_entry *entry = &plan->files->entries[window->next++];
    slot->outcome.path = entry->path;
    struct jini_error *error = &slot->outcome.error;
    int status = entry->failure ? entry->failure->code
                                : file_read(entry->path, plan->image_bytes_max, &slot->bytes,
                                            &slot->length, error);
    if (entry->failure)
        *error = *entry->failure;
    slot->outcome.bytes = slot->length;
    window->bytes += slot->length;
    if (status == 0)
        status = jini_image_probe(slot->bytes, slot->length, &slot->outcome.image, error);
    if (status) {
        slot->outcome.status = status;
        report(window, slot);
        return;
    }
    prepare_requests(plan, slot);
    if (plan->admits)
        submit_admit(window, slot);
    else
        submit_put(window, slot);
}

/* ---- The loop ---- */

/* Asks for everything back that has not been written yet. */
static void cancel_all(struct window *window)
{
    struct jini *jini = window->plan->jini;
    window->cancelled = true;
    for (unsigned i = 0; i < window->plan->window; i++) {
        struct slot *slot = &window->slots[i];
        if (slot->stage == STAGE_ADMITTING && !wait_is_done(&slot->admit.request))
            jini_cancel(jini, &slot->admit.request);
        else if (slot->stage == STAGE_PUTTING && !wait_is_done(&slot->put.request))
            jini_cancel(jini, &slot->put.request);
    }
}

static bool is_idle(const struct window *window)
{
    for (unsigned i = 0; i < window->plan->window; i++) {
        if (window->slots[i].stage != STAGE_FREE)
            return false;
    }
    return true;
}

/* Standard input may keep us waiting: what is under way is reported before. */
static bool may_begin(const struct window *window)
{
    const struct file_list *files = window->plan->files;
    return window->next < files->count && window->bytes < WINDOW_BYTES_MAX && !is_over(window) &&
           (strcmp(files->entries[window->next].path, "-") != 0 || is_idle(window));
}

static void fill(struct window *window)
{
    for (unsigned i = 0; i < window->plan->window; i++) {
        struct slot *slot = &window->slots[i];
        while (slot->stage == STAGE_FREE && may_begin(window))
            begin(window, slot);
    }
}

/* Until a step that was put off is due; a tick at most. */
static int sleep_ms(const struct window *window)
{
    uint64_t now = now_ms();
    uint64_t until = now + TICK_MS;
    for (unsigned i = 0; i < window->plan->window; i++) {
        const struct slot *slot = &window->slots[i];
        bool waits = slot->stage == STAGE_ADMIT_LATER || slot->stage == STAGE_PUT_LATER;
        if (waits && slot->again_at_ms < until)
            until = slot->again_at_ms;
    }
    return until > now ? (int)(until - now) : 0;
}

static void run(struct window *window)
{
    for (;;) {
        if (is_over(window) && !window->cancelled)
            cancel_all(window);
        for (unsigned i = 0; i < window->plan->window; i++)
            advance(window, &window->slots[i]);
        fill(window);
        if (is_idle(window))
            return;
        wait_sleep(sleep_ms(window));
        window->plan->tick(window->plan->context);
    }
}

int put_window_run(const struct put_plan *plan, struct jini_error *error)
{
    struct window window = {.plan = plan, .error = error};
    memset(error, 0, sizeof(*error));
    window.slots = calloc(plan->window, sizeof(*window.slots));
    if (!window.slots) {
        error->code = JINI_E_NO_MEMORY;
        return JINI_E_NO_MEMORY;
    }
    run(&window);
    free(window.slots);
    if (window.stopped == 0 && window.next < plan->files->count) {
        error->code = JINI_E_CANCELLED;
        return JINI_E_CANCELLED;
    }
    return window.stopped;
}
