/* A run of tiering: every pack, step by step, until it is where it belongs. */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/jobs.h"
#include "engine/regain.h"

enum { PACKS_PAGE = 64, WALKS_MAX = 4, GARBAGE_PERCENT = 20 };

void tiering_report(const struct tiering_run *run, enum jini_tiering_step step,
                    const struct index_pack *pack, uint64_t images, uint64_t bytes,
                    const char *because)
{
    if (!run->request->report)
        return;
    char name[INDEX_OBJECT_NAME_MAX] = "";
    struct jini_tiering_event event = {
        .step = step, .images = images, .bytes = bytes, .object = name, .because = because};
    if (pack) {
        event.pack_id = pack->id;
        if (pack->archived_ms != 0 && !id_is_zero(&pack->attempt)) /* else it may never have been */
            index_object_name(pack, name);
    }
    run->request->report(run->request->report_context, &event);
}

struct leased_op {
    const struct lease *lease;
    store_op_fn *op;
    void *argument;
};

static int op_under_lease(struct store_txn *txn, void *argument)
{
    const struct leased_op *leased = argument;
    int status = lease_check(txn, leased->lease);
    return status ? status : leased->op(txn, leased->argument);
}

int tiering_write(const struct tiering_run *run, store_op_fn *op, void *argument)
{
    struct leased_op leased = {&run->lease, op, argument};
    const struct jini *jini = run->jini;
    return store_write_until(jini->store, op_under_lease, &leased, STORE_RELEASE,
                             clock_boot_ns(jini->clock) +
                                 jini->options.background_lease_ms * NS_PER_MS);
}

int tiering_load_pack(const struct tiering_run *run, const struct jini_id *id,
                      struct index_pack *out)
{
    struct store_txn *txn;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, id, out);
    store_read_end(txn);
    return status;
}

int tiering_load_locations(const struct tiering_run *run, const struct jini_id *pack,
                           const struct index_location *after, struct index_location *out,
                           size_t *count)
{
    struct store_txn *txn;
    *count = 0;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = index_location_list(txn, pack, after, out, TIERING_SLICE, count);
    store_read_end(txn);
    return status;
}

int tiering_orphan(struct store_txn *txn, const struct index_pack *pack, uint64_t now_ms)
{
    const struct index_orphan orphan = {now_ms + TIERING_ORPHAN_AGE_MS, pack->id, pack->attempt};
    return id_is_zero(&pack->attempt) ? 0 : index_orphan_put(txn, &orphan);
}

struct pack_change {
    const struct index_pack *pack;
    enum index_pack_state from;
    uint64_t now_ms;
};

static int op_change_pack(struct store_txn *txn, void *argument)
{
    const struct pack_change *change = argument;
    struct index_pack found;
    int status = index_pack_get(txn, &change->pack->id, &found);
    if (status)
        return status;
    if (found.state != change->from)
        return JINI_E_CONFLICT;
    struct index_pack changed = *change->pack;
    changed.flags |= found.flags & INDEX_PACK_MUST_COMPACT;
    /* Images that were appended and never committed are garbage that nobody has counted. */
    changed.removals = found.removals + (change->from == INDEX_PACK_OPEN ? 1 : 0);
    changed.counted = found.counted;
    if (!id_equal(&found.attempt, &changed.attempt))
        status = tiering_orphan(txn, &found, change->now_ms);
    return status ? status : index_pack_put(txn, &changed);
}

int tiering_change_pack(const struct tiering_run *run, const struct index_pack *pack,
                        enum index_pack_state from)
{
    struct pack_change change = {pack, from, clock_wall_ns(run->jini->clock) / NS_PER_MS};
    return tiering_write(run, op_change_pack, &change);
}

int tiering_ask(const struct tiering_run *run, struct archive_request *request,
                struct jini_error *error)
{
    return archives_run(run->jini, &run->request->request, request, error);
}

void tiering_note_problem(struct tiering_run *run, const struct jini_id *pack, int status,
                          const struct jini_error *error)
{
    char id[JINI_ID_TEXT_MAX];
    jini_id_format(pack, id);
    if (run->first_status == 0) {
        run->first_status = status;
        run->first_error = *error;
    }
    log_record(&run->jini->log, JINI_LOG_WARNING, "tiering_step_failed", LOG_TEXT("pack", id),
               LOG_TEXT("status", jini_status_name(status)), LOG_TEXT("message", error->message));
}

/* JINI_E_CORRUPT where it is the file of the pack that is missing. */
static void explain_missing(const struct tiering_run *run, const struct jini_id *id,
                            const struct jini_error *error, struct jini_error *out)
{
    struct index_pack pack;
    bool cut = false;
    if (tiering_load_pack(run, id, &pack) == 0)
        (void)regain_is_cut(run->jini, &pack, &cut);
    if (cut)
        tiering_explain_lost(id, out);
    else
        *out = *error;
}

void tiering_note_failure(struct tiering_run *run, const struct jini_id *pack, int status,
                          const struct jini_error *error)
{
    struct jini_error lost;
    for (uint32_t i = 0; i < run->failed_count; i++) {
        if (id_equal(&run->failed[i], pack))
            return;
    }
    if (run->failed_count < TIERING_FAILED_MAX)
        run->failed[run->failed_count++] = *pack;
    if (status == JINI_E_NOT_FOUND) {
        explain_missing(run, pack, error, &lost);
        status = lost.code;
        error = &lost;
    }
    run->request->packs_failed++;
    tiering_note_problem(run, pack, status, error);
}

bool tiering_ends_run(int status)
{
    return status == JINI_E_CONFLICT || status == JINI_E_POISONED || status == JINI_E_CLOSED ||
           status == JINI_E_CANCELLED || status == JINI_E_NO_MEMORY;
}

bool tiering_must_end(const struct tiering_run *run)
{
    return (run->stop && atomic_load(run->stop)) || (run->cancelled && atomic_load(run->cancelled));
}

struct walk {
    struct jini_id last; /* visited */
    struct jini_id end;  /* the youngest when the walk began; what is younger is left for later */
    struct index_pack *page;
};

static int find_end(const struct tiering_run *run, struct walk *walk, bool *any)
{
    struct store_txn *txn;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = index_pack_last(txn, &walk->end);
    store_read_end(txn);
    *any = status == 0;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* A run may take hours: jobs whose lease is over are given up all the same, about once a second. */
static void give_up_jobs(struct tiering_run *run)
{
    uint64_t now_ns = clock_boot_ns(run->jini->clock);
    if (!run->lease.name || !run->jini->options.background_run || now_ns < run->jobs_at_ns)
        return;
    jobs_expire(run->jini);
    run->jobs_at_ns = now_ns + NS_PER_S;
}

/* Visits the next page of packs; `*more`: there may be others before the end. */
static int visit_page(struct tiering_run *run, struct walk *walk, tiering_visit_fn *visit,
                      void *context, bool *more, struct jini_error *error)
{
    struct store_txn *txn;
    size_t count;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = index_pack_list(txn, id_is_zero(&walk->last) ? NULL : &walk->last, walk->page,
                             PACKS_PAGE, &count);
    store_read_end(txn);
    *more = count > 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        const struct index_pack *pack = &walk->page[i];
        *more = jini_id_compare(&pack->id, &walk->end) <= 0;
        if (!*more)
            return 0;
        if (tiering_must_end(run))
            return JINI_E_CANCELLED;
        walk->last = pack->id;
        give_up_jobs(run);
        int failed = visit(run, pack, context, error);
        if (failed && tiering_ends_run(failed))
            status = failed;
        else if (failed)
            tiering_note_failure(run, &pack->id, failed, error);
    }
    return status;
}

int tiering_each(struct tiering_run *run, tiering_visit_fn *visit, void *context,
                 struct jini_error *error)
{
    struct walk walk = {.page = base_malloc(sizeof(*walk.page) * PACKS_PAGE)};
    if (!walk.page)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    int status = 0;
    uint64_t made;
    int walks = 0;
    do {
        made = run->packs_made;
        bool more = false;
        status = find_end(run, &walk, &more);
        while (status == 0 && more) {
            status = visit_page(run, &walk, visit, context, &more, error);
            if (status == 0 && more && run->lease.name)
                status = lease_renew(&run->lease);
        }
    } while (status == 0 && run->packs_made > made && ++walks < WALKS_MAX);
    base_free(walk.page);
    if (status && error->code != status)
        error_set(error, status, "tiering", "%s", jini_status_text(status));
    return status;
}

static void note_in_use(const struct tiering_run *run, const struct index_pack *pack)
{
    struct jini_archive_run *request = run->request;
    struct store_process_info processes[JINI_PROCESSES_MAX];
    size_t count = store_processes(run->jini->store, processes, JINI_PROCESSES_MAX);
    const struct store_process_info *owner = NULL;
    for (size_t i = 0; i < count && !owner; i++) {
        if (processes[i].process.slot == pack->owner.slot &&
            processes[i].process.incarnation == pack->owner.incarnation)
            owner = &processes[i];
    }
    request->packs_in_use++;
    uint32_t known = 0;
    while (owner && known < request->in_use_by_count && request->in_use_by[known] != owner->pid)
        known++;
    if (owner && known == request->in_use_by_count && known < JINI_PROCESSES_MAX)
        request->in_use_by[request->in_use_by_count++] = owner->pid;
}

static int advance_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                        struct jini_error *error)
{
    (void)context;
    if (tiering_in_use(run, pack))
        note_in_use(run, pack);
    return tiering_advance(run, &pack->id, error);
}

/* ---- The run ---- */

static void set_policy(struct tiering_run *run)
{
    const struct jini_options *options = &run->jini->options;
    uint32_t flags = run->request->flags;
    run->policy = (struct tiering_policy){
        .archive_age_ms = options->archive_age_min_s * 1000,
        .hot_ms = options->archive_hot_s * 1000,
        .open_age_max_ms = options->pack_age_max_s * 1000,
        .garbage_percent = GARBAGE_PERCENT,
        .now = (flags & JINI_TIERING_NOW) != 0,
        .free_hot = (flags & JINI_TIERING_FREE_HOT) != 0,
    };
}

/* The open packs of this process are sealed together: those behind the first only want telling. */
static int seal_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                     struct jini_error *error)
{
    struct index_pack found;
    struct tiering_facts facts = {.pack = &found};
    uint64_t bytes;
    (void)context;
    if (pack->state != INDEX_PACK_OPEN)
        return 0;
    int status = tiering_load_pack(run, &pack->id, &found);
    if (status || found.state != INDEX_PACK_SEALED)
        return tiering_step_if_due(run, &pack->id, TIERING_SEAL, error);
    status = tiering_count_live(run, &found, &facts, &bytes);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    tiering_report_step(run, TIERING_SEAL, &found, facts.live_images, bytes,
                        "sealed with the others");
    return 0;
}

static int share_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                      struct jini_error *error)
{
    (void)context;
    bool new = pack->state == INDEX_PACK_SEALED && !(pack->flags & INDEX_PACK_SHARED);
    return new ? tiering_step_if_due(run, &pack->id, TIERING_SHARE, error) : 0;
}

/*
 * What gives room back comes before what takes some: on a full disk rewriting needs the room that
 * archiving would use.
 */
static int reclaim_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                        struct jini_error *error)
{
    static const enum tiering_step steps[] = {TIERING_PURGE_BEGIN, TIERING_PURGE, TIERING_COMPACT};
    (void)context;
    bool may_have_garbage = pack->counted != pack->removals || pack->state == INDEX_PACK_PURGING;
    int status = 0;
    for (size_t i = 0; status == 0 && may_have_garbage && i < sizeof(steps) / sizeof(*steps); i++)
        status = tiering_step_if_due(run, &pack->id, steps[i], error);
    return status;
}

/*
 * Of a pack that is in the archive alone nothing moves, so only this look tells that there is no
 * archive any more.
 */
static bool has_archive(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error)
{
    struct archive_handle *handle;
    int status = archives_acquire(run->jini, &handle, error);
    if (status)
        tiering_note_problem(run, &pack->id, status, error);
    else
        archives_release(handle);
    return status == 0;
}

/*
 * An archive that was lost and made anew has nothing of what is here: who asks for everything now
 * gets that too. `context`: whether the archive answers; one that does not is asked once.
 */
static int renew_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                      struct jini_error *error)
{
    bool *answers = context;
    if (pack->state == INDEX_PACK_COLD && *answers)
        *answers = has_archive(run, pack, error);
    if (pack->state != INDEX_PACK_ARCHIVED || !*answers)
        return 0;
    int status = tiering_renew_if_lost(run, pack, error);
    *answers = status == 0 || status == JINI_E_CORRUPT;
    return status;
}

static struct tiering_run run_of(struct jini *jini, struct jini_archive_run *request)
{
    struct tiering_run run = {.jini = jini,
                              .request = request,
                              .stop = &jini->state, /* ENGINE_OPEN is 0 */
                              .cancelled = &request_state(&request->request)->cancelled};
    set_policy(&run);
    return run;
}

/* Something to do is no error: the answer takes the way of one that ends the walk. */
enum { FOUND_DUE = JINI_E_CONFLICT };

static int find_due(struct tiering_run *run, const struct index_pack *pack, void *context,
                    struct jini_error *error)
{
    bool *due = context;
    struct tiering_facts facts = tiering_facts_of(run, pack);
    *due = tiering_may_be_due(&facts, &run->policy);
    return *due ? error_set(error, FOUND_DUE, "pack", "it is due") : 0;
}

static int find_by_time(const struct tiering_run *run, bool *due)
{
    struct jini *jini = run->jini;
    uint64_t now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    struct store_txn *txn;
    struct generations_due row;
    size_t images = 0;
    size_t trash = 0;
    struct index_orphan orphan;
    size_t orphans = 0;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = generations_due_list(txn, GENERATIONS_DUE_IMAGE, now_ms, &row, 1, &images, NULL);
    if (status == 0)
        status = generations_due_list(txn, GENERATIONS_DUE_PURGE, now_ms, &row, 1, &trash, NULL);
    if (status == 0 && owner_known(jini) == JINI_KEEPING_NOTHING)
        status = index_orphan_list(txn, now_ms, &orphan, 1, &orphans);
    store_read_end(txn);
    *due = images + trash + orphans > 0;
    return status;
}

bool tiering_may_have_work(struct jini *jini)
{
    struct jini_archive_run request = {0};
    struct tiering_run run = run_of(jini, &request);
    struct jini_error error;
    bool due = false;
    error_clear(&error);
    int status = find_by_time(&run, &due);
    if (status == 0 && !due)
        status = tiering_each(&run, find_due, &due, &error);
    bool hindered = status && status != JINI_E_CANCELLED;
    return due || hindered; /* what hinders the look is told by the run */
}

static int run_all(struct tiering_run *run, struct jini_error *error)
{
    bool dry = run->request->flags & JINI_TIERING_DRY_RUN;
    int status = dry ? tiering_foresee_expiry(run, error) : tiering_expire(run, error);
    if (status == 0 && !dry && run->policy.now)
        status = tiering_seal_others(run, error);
    if (status == 0 && !dry)
        status = tiering_each(run, tiering_regain, NULL, error);
    if (status == 0 && !dry)
        status = tiering_each(run, seal_pack, NULL, error);
    if (status == 0 && !dry)
        status = tiering_each(run, reclaim_pack, NULL, error);
    if (status == 0 && !dry)
        status = tiering_merge_small(run, error);
    /* Of all packs, before the first is freed: duplicates are found among local packs only. */
    if (status == 0 && !dry)
        status = tiering_each(run, share_pack, NULL, error);
    bool answers = true;
    if (status == 0 && !dry && run->policy.now)
        status = tiering_each(run, renew_pack, &answers, error);
    if (status == 0)
        status = tiering_each(run, advance_pack, NULL, error);
    if (status == 0)
        status = tiering_collect(run, error);
    return status;
}

/* A run that came to its end has the status of the first pack that could not be moved. */
static int result_of(const struct tiering_run *run, int status, struct jini_error *error)
{
    if (status || run->first_status == 0)
        return status;
    *error = run->first_error;
    return run->first_status;
}

int tiering_run(struct jini *jini, struct jini_archive_run *request, struct jini_error *error)
{
    struct tiering_run run = run_of(jini, request);
    error_clear(error);
    if (request->flags & JINI_TIERING_DRY_RUN) { /* writes nothing, so it needs no lease */
        request->keeping = owner_known(jini);
        return result_of(&run, run_all(&run, error), error);
    }
    int status = lease_hold(jini, LEASE_OF_TIERING, request_state(&request->request)->deadline_ns,
                            &run.lease);
    if (status == JINI_E_LOCKED)
        return error_set(error, status, "tiering",
                         "another run is at it, or a backup; try again later");
    if (status == JINI_E_TIMEOUT)
        explain_write(jini, status, request_timeout_ms(jini, &request->request), error);
    if (status)
        return error_complete(error, status, "tiering", "the lease of a run");
    owner_begin(jini, &run.owner);
    status = request->flags & TIERING_ADOPT ? owner_adopt(&run, error) : run_all(&run, error);
    request->keeping = run.owner.keeping;
    lease_let_go(&run.lease);
    return result_of(&run, status, error);
}
