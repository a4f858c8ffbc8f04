/* See engine.h. */
#include "engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_jini_options(struct jini_options *options)
{
    jini_options_init(options);
    options->create = 1;
    options->background_run = 0;
    snprintf(options->process_name, sizeof(options->process_name), "jini-bench");
}

void bench_check(int status, const struct jini_error *error, const char *what)
{
    if (status == 0)
        return;
    bench_fail("%s: %s: %s%s%s", what, jini_status_name(status), error ? error->field : "",
               error && error->field[0] ? ": " : "",
               error ? error->message : jini_status_text(status));
}

struct jini *bench_jini_open(const char *directory, const struct jini_options *options)
{
    struct jini *jini;
    struct jini_error error;
    bench_check(jini_open(&jini, directory, options, &error), &error, directory);
    return jini;
}

void bench_jini_close(struct jini *jini)
{
    bench_check(jini_close(jini, NULL, NULL), NULL, "jini_close");
}

/* The value of a line "name value"; metrics that carry labels are not asked for. */
static double find(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtod(line + length, NULL);
    }
    bench_fail("jini_metrics() has no %s", name);
}

void bench_figures(struct jini *jini, struct bench_figures *out)
{
    static char text[256 * 1024];
    size_t length;
    struct jini_error error;
    bench_check(jini_metrics(jini, text, sizeof(text), &length, &error), &error, "jini_metrics");
    *out = (struct bench_figures){
        .ops = find(text, "jini_store_ops_total"),
        .commits = find(text, "jini_store_commits_total"),
        .commit_s = find(text, "jini_store_commit_seconds_sum"),
        .pages = find(text, "jini_store_pages_written_total"),
        .pack_syncs = find(text, "jini_pack_syncs_total"),
        .pack_bytes = find(text, "jini_pack_bytes_total"),
        .image_cache_bytes = find(text, "jini_image_cache_bytes"),
        .archive_gets = find(text, "jini_image_cache_misses_total"),
        .batches_rerun = find(text, "jini_store_batches_rerun_total"),
    };
}

struct bench_figures bench_figures_since(struct jini *jini, const struct bench_figures *before)
{
    struct bench_figures now;
    bench_figures(jini, &now);
    return (struct bench_figures){
        .ops = now.ops - before->ops,
        .commits = now.commits - before->commits,
        .commit_s = now.commit_s - before->commit_s,
        .pages = now.pages - before->pages,
        .pack_syncs = now.pack_syncs - before->pack_syncs,
        .pack_bytes = now.pack_bytes - before->pack_bytes,
        .image_cache_bytes = now.image_cache_bytes - before->image_cache_bytes,
        .archive_gets = now.archive_gets - before->archive_gets,
        .batches_rerun = now.batches_rerun - before->batches_rerun,
    };
}

/* ---- Many requests under way ----------------------------------------------------------------- */

/* The state of one run: places that are free are linked. */
struct flow_state {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct flow_place *free;
    unsigned under_way;
    int failure;
    struct jini_error error;
};

/* In front of each request. */
struct flow_place {
    struct flow_state *state;
    struct flow_place *next;
    struct jini_request *request;
};

static void on_done(struct jini_request *request)
{
    struct flow_place *place = request->data;
    struct flow_state *state = place->state;
    pthread_mutex_lock(&state->lock);
    if (request->status && state->failure == 0) {
        state->failure = request->status;
        state->error = request->error;
    }
    place->next = state->free;
    state->free = place;
    state->under_way--;
    pthread_cond_signal(&state->wake);
    pthread_mutex_unlock(&state->lock);
}

static struct flow_place *take_place(struct flow_state *state)
{
    pthread_mutex_lock(&state->lock);
    while (!state->free)
        pthread_cond_wait(&state->wake, &state->lock);
    struct flow_place *place = state->free;
    state->free = place->next;
    state->under_way++;
    bench_check(state->failure, &state->error, "a request");
    pthread_mutex_unlock(&state->lock);
    return place;
}

static void wait_for_all(struct flow_state *state)
{
    pthread_mutex_lock(&state->lock);
    while (state->under_way > 0)
        pthread_cond_wait(&state->wake, &state->lock);
    bench_check(state->failure, &state->error, "a request");
    pthread_mutex_unlock(&state->lock);
}

void bench_flow_run(const struct bench_flow *flow)
{
    struct flow_state state = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    struct flow_place *places = bench_alloc(flow->in_flight, sizeof(*places));
    uint8_t *requests = bench_alloc(flow->in_flight, flow->request_bytes);
    for (unsigned i = 0; i < flow->in_flight; i++) {
        places[i] =
            (struct flow_place){&state, state.free, (void *)(requests + i * flow->request_bytes)};
        state.free = &places[i];
    }
    for (;;) {
        struct flow_place *place = take_place(&state);
        struct bench_flow_step step = {(unsigned)(place - places), place->request, on_done, 0};
        jini_request_init_as(place->request, flow->request_bytes);
        place->request->data = place;
        bool more = flow->next(flow->context, &step);
        if (more && step.status == 0)
            continue;
        bench_check(step.status, &place->request->error, "submitting a request");
        pthread_mutex_lock(&state.lock);
        state.under_way--;
        pthread_mutex_unlock(&state.lock);
        break;
    }
    wait_for_all(&state);
    free(requests);
    free(places);
}
