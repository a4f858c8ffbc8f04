/* Checking everything against everything: the run, and how findings reach the caller. */
#include "engine/verify_private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- Findings ---- */

static void report(struct verifying *v, const struct jini_verify_problem *problem)
{
    if (v->request->report)
        v->request->report(v->request->context, problem);
}

static void report_pending(struct verifying *v)
{
    for (uint32_t i = 0; i < v->pending; i++)
        report(v, &v->findings[i].problem);
    v->pending = 0;
}

void verify_problem(struct verifying *v, const struct verify_place *place, const char *format, ...)
{
    if (v->pending == VERIFY_PENDING_MAX)
        report_pending(v);
    struct verify_finding *finding = &v->findings[v->pending++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->message, sizeof(finding->message), format, arguments);
    va_end(arguments);
    finding->problem = (struct jini_verify_problem){.kind = place->kind,
                                                    .message = finding->message,
                                                    .field = place->field,
                                                    .user_id = place->user_id};
    if (place->image)
        finding->problem.image_id = *place->image;
    if (place->pack)
        finding->problem.pack_id = *place->pack;
    if (place->job)
        finding->problem.job_id = *place->job;
    v->request->problems++;
    if (!v->in_snapshot)
        report_pending(v);
}

int verify_snapshot(struct verifying *v, struct store_txn **out)
{
    JINI_ASSERT(!v->in_snapshot);
    int status = store_read_begin_explained(v->store, out, &v->request->request.error);
    v->in_snapshot = status == 0;
    return status;
}

void verify_snapshot_end(struct verifying *v, struct store_txn *txn)
{
    store_read_end(txn);
    v->in_snapshot = false;
    report_pending(v);
}

void verify_phase(struct verifying *v, const char *phase, enum store_space space)
{
    v->phase = phase;
    if (store_count(v->store, space, &v->phase_rows) != 0)
        v->phase_rows = 0; /* the phase itself will say what is wrong */
}

void verify_progress(struct verifying *v, uint64_t done)
{
    if (v->request->progress)
        v->request->progress(v->request->context, v->phase, done, v->phase_rows);
}

bool verify_cancelled(const struct verifying *v)
{
    return atomic_load(&request_state(v->asker)->cancelled) ||
           atomic_load(&v->jini->state) != ENGINE_OPEN;
}

int verify_each(struct verifying *v, enum store_space space, store_visit_fn *visit, void *argument)
{
    static const struct verify_place place = {.kind = "space_damaged", .field = "row"};
    struct slice all = slice_of(NULL, 0);
    int status = store_each(v->store, space, all, all, visit, argument);
    if (!status_is_damage(status))
        return status;
    verify_problem(v, &place, STORE_SPACE_DAMAGED, v->phase, jini_status_name(status));
    return 0;
}

/* ---- The whole ---- */

static bool on_pages(void *context, uint64_t done, uint64_t total)
{
    struct verifying *v = context;
    v->phase_rows = total;
    verify_progress(v, done);
    return !verify_cancelled(v);
}

/* The pages of the data file. LMDB may end the process when it reads or writes by a damaged one. */
static int verify_file(struct verifying *v, bool *is_damaged)
{
    static const struct verify_place place = {.kind = "data_file_damaged", .field = "data.mdb"};
    struct jini_error *error = &v->request->request.error;
    struct store_watch watch = {on_pages, v};
    v->phase = "data file";
    int status = store_verify(v->store, &watch, error);
    *is_damaged = status_is_damage(status);
    if (!*is_damaged)
        return status;
    verify_problem(v, &place, "%s; nothing else was checked", error->message);
    error_clear(error);
    return 0;
}

static int verify_rows(struct verifying *v)
{
    int status = verify_records(v);
    if (status == 0)
        status = verify_ledger(v);
    if (status == 0)
        status = verify_books(v);
    return status ? status : verify_locations(v);
}

static int verify_all(struct verifying *v)
{
    bool is_damaged;
    int status = verify_file(v, &is_damaged);
    if (status || is_damaged)
        return status;
    status = verify_rows(v);
    if (status == 0)
        status = verify_shared(v);
    return status ? status : verify_packs(v);
}

static int verify_copied(struct verifying *v)
{
    int status = verify_rows(v);
    if (status == 0)
        status = verify_shared(v);
    return status ? status : verify_pack_rows(v);
}

static int run(struct verifying *v, int (*parts)(struct verifying *v))
{
    v->findings = base_malloc(sizeof(*v->findings) * VERIFY_PENDING_MAX);
    int status = v->findings ? parts(v) : JINI_E_NO_MEMORY;
    base_free(v->findings);
    return status;
}

int verify_copy(struct jini *jini, struct store *copy, struct jini_request *asker,
                struct jini_verify *verify)
{
    struct verifying v = {
        .jini = jini, .store = copy, .asker = asker, .request = verify, .rows_only = true};
    return run(&v, verify_copied);
}

static void run_verify(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct jini *jini = request_state(request)->jini;
    struct verifying v = {.jini = jini,
                          .store = jini->store,
                          .asker = request,
                          .request = (struct jini_verify *)request};
    if (status == 0)
        status = run(&v, verify_all);
    atomic_store(&jini->verifying, 0);
    request_finish(request, status);
}

int jini_verify(struct jini *jini, struct jini_verify *verify, jini_callback *callback)
{
    int status = request_begin(jini, &verify->request, sizeof(*verify), REQUEST_VERIFY, callback);
    if (status)
        return status;
    verify->users = verify->jobs = verify->images = verify->packs = 0;
    verify->objects = verify->bytes_read = verify->problems = 0;
    verify->objects_unknown = verify->packs_unknown = 0;
    status = check_flags(verify->flags, JINI_VERIFY_DEEP, &verify->request.error);
    if (status)
        return request_refuse(&verify->request, status);
    uint32_t idle = 0;
    if (!atomic_compare_exchange_strong(&jini->verifying, &idle, 1)) {
        status = error_set(&verify->request.error, JINI_E_BUSY, "verify",
                           "another verify is under way in this engine; wait for it, or cancel it");
        return request_refuse(&verify->request, status);
    }
    status = request_run_on(jini->verifier, &verify->request, run_verify);
    if (status) {
        atomic_store(&jini->verifying, 0);
        return request_refuse(&verify->request, status);
    }
    return callback ? 0 : request_wait(&verify->request);
}
