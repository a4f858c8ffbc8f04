/* A run of tiering: every pack, step by step, until it is where it belongs. */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/appender.h"
#include "images/pack_format.h"
#include "images/pack_recover.h"

enum { PACKS_PAGE = 64, STEPS_MAX = 8, SMALL_PARTS = 4, GARBAGE_PERCENT = 20 };

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
        if (!id_is_zero(&pack->attempt))
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
    return store_write_class(run->jini->store, op_under_lease, &leased, STORE_RELEASE);
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

struct pack_change {
    const struct index_pack *pack;
    enum index_pack_state from;
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
    changed.flags |= found.flags & INDEX_PACK_HAS_PURGED;
    return index_pack_put(txn, &changed);
}

int tiering_change_pack(const struct tiering_run *run, const struct index_pack *pack,
                        enum index_pack_state from)
{
    struct pack_change change = {pack, from};
    return tiering_write(run, op_change_pack, &change);
}

int tiering_open_archive(struct tiering_run *run, struct jini_error *error)
{
    return run->archive ? 0 : engine_archive(run->jini, &run->archive, error);
}

/* ---- Facts ---- */

/* Counts images and records of a pack. Packs hold at most 65,536 records; slices keep snapshots short. */
static int count_live(const struct tiering_run *run, const struct index_pack *pack,
                      struct tiering_facts *facts, uint64_t *bytes)
{
    struct index_location page[TIERING_SLICE];
    struct index_location last;
    bool any = false;
    size_t count;
    *bytes = 0;
    do {
        int status = tiering_load_locations(run, &pack->id, any ? &last : NULL, page, &count);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++) {
            bool same = any && page[i].sequence == last.sequence;
            facts->live_images++;
            facts->live_records += !same;
            *bytes += page[i].original_length;
            last = page[i];
            any = true;
        }
    } while (count == TIERING_SLICE);
    return 0;
}

static int gather(const struct tiering_run *run, const struct index_pack *pack,
                  struct tiering_facts *out, uint64_t *bytes)
{
    struct store_process self = store_self(run->jini->store);
    *out =
        (struct tiering_facts){.pack = pack, .now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS};
    if (pack->state == INDEX_PACK_OPEN) {
        out->owned_here =
            pack->owner.slot == self.slot && pack->owner.incarnation == self.incarnation;
        out->owner_alive = out->owned_here || store_process_alive(run->jini->store, pack->owner);
    }
    return count_live(run, pack, out, bytes);
}

/* ---- Steps ---- */

static enum jini_tiering_step public_step(enum tiering_step step)
{
    switch (step) {
    case TIERING_SEAL:
        return JINI_TIERING_SEAL;
    case TIERING_COMPACT:
        return JINI_TIERING_COMPACT;
    case TIERING_ARCHIVE:
        return JINI_TIERING_ARCHIVE;
    case TIERING_FREE:
        return JINI_TIERING_FREE;
    default:
        return JINI_TIERING_PURGE;
    }
}

const char *jini_tiering_step_name(enum jini_tiering_step step)
{
    static const char *const names[] = {"unknown", "seal",  "compact", "archive",
                                        "free",    "purge", "expire"};
    return step >= JINI_TIERING_SEAL && step <= JINI_TIERING_EXPIRE ? names[step] : names[0];
}

/* The length of the file, now that it has its footer. */
static int sealed_length(struct jini *jini, const struct jini_id *pack, uint64_t *out,
                         struct jini_error *error)
{
    const struct pack_source *source;
    int status = pack_files_acquire(jini->pack_files, pack, &source, error);
    if (status)
        return status;
    status = pack_source_length(source, out, error);
    pack_files_release(jini->pack_files, source);
    return status;
}

/* The pack of a process that is gone: cut its torn tail, write its footer, then say so in the index. */
int tiering_seal_orphan(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error)
{
    struct jini *jini = run->jini;
    struct store_txn *txn;
    struct index_location last;
    struct pack_scan_result result;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    status = index_location_last(txn, &pack->id, &last);
    store_read_end(txn);
    uint64_t end = 0;
    if (status == 0)
        end = last.offset + pack_record_length(last.stored_length, last.metadata_stored_length);
    else if (status != JINI_E_NOT_FOUND)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    status = pack_recover(jini->directory_fd, &pack->id, end, &result, error);
    struct index_pack sealed = *pack;
    if (status == JINI_E_NOT_FOUND && end == 0) {
        sealed.state = INDEX_PACK_PURGING; /* nothing was ever kept in it */
    } else if (status) {
        return status;
    } else {
        sealed.state = INDEX_PACK_SEALED;
        sealed.sealed_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        sealed.records = result.records;
        sealed.payload_bytes = result.payload_bytes;
        status = sealed_length(jini, &pack->id, &sealed.file_bytes, error);
        if (status)
            return status;
    }
    status = tiering_change_pack(run, &sealed, INDEX_PACK_OPEN);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

static int do_seal(struct tiering_run *run, const struct tiering_facts *facts,
                   struct jini_error *error)
{
    int status = facts->owned_here ? appender_seal(run->jini->appender, error)
                                   : tiering_seal_orphan(run, facts->pack, error);
    run->request->packs_sealed += status == 0;
    return status;
}

static int begin_purge(struct tiering_run *run, const struct index_pack *pack,
                       struct jini_error *error);

static int do_step(struct tiering_run *run, enum tiering_step step,
                   const struct tiering_facts *facts, struct jini_error *error)
{
    switch (step) {
    case TIERING_SEAL:
        return do_seal(run, facts, error);
    case TIERING_SHARE:
        return tiering_share(run, facts->pack, error);
    case TIERING_COMPACT:
        return tiering_compact(run, facts->pack, 1, error);
    case TIERING_ARCHIVE:
        return tiering_archive(run, facts->pack, error);
    case TIERING_FREE:
        return tiering_free(run, facts->pack, error);
    case TIERING_PURGE_BEGIN:
        return begin_purge(run, facts->pack, error);
    default:
        return tiering_purge(run, facts->pack, error);
    }
}

static int op_begin_purge(struct store_txn *txn, void *argument)
{
    const struct index_pack *pack = argument;
    struct index_pack found;
    struct index_location any;
    int status = index_pack_get(txn, &pack->id, &found);
    if (status)
        return status;
    if (found.state != pack->state)
        return JINI_E_CONFLICT;
    status = index_location_last(txn, &pack->id, &any);
    if (status != JINI_E_NOT_FOUND)
        return status ? status : JINI_E_CONFLICT;
    found.state = INDEX_PACK_PURGING;
    return index_pack_put(txn, &found);
}

static int begin_purge(struct tiering_run *run, const struct index_pack *pack,
                       struct jini_error *error)
{
    struct index_pack copy = *pack;
    int status = tiering_write(run, op_begin_purge, &copy);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

/* What is moved or freed by a step, for its report. */
static uint64_t bytes_of(enum tiering_step step, const struct index_pack *pack, uint64_t live_bytes)
{
    return step == TIERING_SEAL || step == TIERING_COMPACT ? live_bytes : pack->file_bytes;
}

static bool is_shown(enum tiering_step step)
{
    return step != TIERING_SHARE && step != TIERING_PURGE_BEGIN;
}

/* What a step would make of a pack's row. False: what would follow cannot be foreseen. */
static bool pretend(enum tiering_step step, struct index_pack *pack, uint64_t now_ms,
                    uint64_t live_bytes)
{
    switch (step) {
    case TIERING_SEAL:
        pack->state = INDEX_PACK_SEALED;
        pack->sealed_ms = now_ms;
        pack->file_bytes = live_bytes;
        return true;
    case TIERING_SHARE:
        pack->flags |= INDEX_PACK_SHARED;
        return true;
    case TIERING_ARCHIVE:
        pack->state = INDEX_PACK_ARCHIVED;
        pack->archived_ms = now_ms;
        return true;
    case TIERING_FREE:
        pack->state = INDEX_PACK_COLD;
        return true;
    case TIERING_PURGE_BEGIN:
        pack->state = INDEX_PACK_PURGING;
        return true;
    default:
        return false;
    }
}

/*
 * Reports the steps that are due, on a row that only pretends to change. Duplicates that a run would find, and small packs
 * that it would merge, are not foreseen.
 */
static int foresee(struct tiering_run *run, const struct jini_id *id, struct jini_error *error)
{
    struct index_pack pack;
    struct tiering_facts facts;
    uint64_t bytes;
    char reason[TIERING_REASON_MAX];
    int status = tiering_load_pack(run, id, &pack);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0)
        status = gather(run, &pack, &facts, &bytes);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    for (int i = 0; i < STEPS_MAX; i++) {
        enum tiering_step step = tiering_decide(&facts, &run->policy, reason);
        if (step == TIERING_NOTHING)
            return 0;
        if (is_shown(step))
            tiering_report(run, public_step(step), &pack, facts.live_images,
                           bytes_of(step, &pack, bytes), reason);
        if (!pretend(step, &pack, facts.now_ms, bytes))
            return 0;
    }
    return 0;
}

/* Takes a pack through all steps that are due. */
static int advance(struct tiering_run *run, const struct jini_id *id, struct jini_error *error)
{
    if (run->request->flags & JINI_TIERING_DRY_RUN)
        return foresee(run, id, error);
    for (int i = 0; i < STEPS_MAX; i++) {
        struct index_pack pack;
        struct tiering_facts facts;
        uint64_t bytes;
        char reason[TIERING_REASON_MAX];
        int status = tiering_load_pack(run, id, &pack);
        if (status == JINI_E_NOT_FOUND)
            return 0;
        if (status == 0)
            status = gather(run, &pack, &facts, &bytes);
        if (status)
            return error_set(error, status, "pack", "%s", jini_status_text(status));
        enum tiering_step step = tiering_decide(&facts, &run->policy, reason);
        if (step == TIERING_NOTHING)
            return 0;
        status = do_step(run, step, &facts, error);
        if (status)
            return status;
        if (step == TIERING_ARCHIVE)
            run->request->images_archived += facts.live_images;
        if (is_shown(step))
            tiering_report(run, public_step(step), &pack, facts.live_images,
                           bytes_of(step, &pack, bytes), reason);
    }
    return 0;
}

static void note_failure(struct tiering_run *run, const struct jini_id *pack, int status,
                         const struct jini_error *error)
{
    char id[JINI_ID_TEXT_MAX];
    jini_id_format(pack, id);
    run->request->packs_failed++;
    if (run->first_status == 0) {
        run->first_status = status;
        run->first_error = *error;
    }
    log_record(&run->jini->log, JINI_LOG_WARNING, "tiering_step_failed", LOG_TEXT("pack", id),
               LOG_TEXT("status", jini_status_name(status)), LOG_TEXT("message", error->message));
}

/* A lost lease or a failing store ends the run; a pack that cannot be moved does not. */
static bool ends_run(int status)
{
    return status == JINI_E_CONFLICT || status == JINI_E_POISONED || status == JINI_E_CLOSED ||
           status == JINI_E_CANCELLED || status == JINI_E_NO_MEMORY;
}

/* Closing and cancelling end a run between two packs: one over all of them may take hours. */
static bool must_end(const struct tiering_run *run)
{
    return (run->stop && atomic_load(run->stop)) || (run->cancelled && atomic_load(run->cancelled));
}

typedef int pack_fn(struct tiering_run *run, const struct index_pack *pack,
                    struct jini_error *error);

/*
 * Calls `visit` for every pack, page by page, those among them that the visits make: their ids are younger than all
 * before. The lease is renewed for each page.
 */
static int for_each_pack(struct tiering_run *run, pack_fn *visit, struct jini_error *error)
{
    struct index_pack *page = base_malloc(sizeof(*page) * PACKS_PAGE);
    if (!page)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    struct jini_id last = {{0}};
    size_t count = PACKS_PAGE;
    int status = 0;
    while (status == 0 && count > 0) {
        struct store_txn *txn;
        status = store_read_begin(run->jini->store, &txn);
        if (status)
            break;
        status = index_pack_list(txn, id_is_zero(&last) ? NULL : &last, page, PACKS_PAGE, &count);
        store_read_end(txn);
        for (size_t i = 0; status == 0 && i < count; i++) {
            last = page[i].id;
            if (must_end(run)) {
                status = JINI_E_CANCELLED;
                break;
            }
            int failed = visit(run, &page[i], error);
            if (failed && ends_run(failed))
                status = failed;
            else if (failed)
                note_failure(run, &page[i].id, failed, error);
        }
        if (status == 0)
            status = lease_renew(&run->lease);
    }
    base_free(page);
    if (status && error->code != status)
        error_set(error, status, "tiering", "%s", jini_status_text(status));
    return status;
}

static int advance_pack(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error)
{
    return advance(run, &pack->id, error);
}

/* ---- Small packs ---- */

struct merge {
    struct index_pack members[16];
    size_t count;
    uint64_t bytes;
    uint64_t records;
};

static bool is_small(const struct tiering_run *run, const struct index_pack *pack)
{
    uint64_t age_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS - pack->sealed_ms;
    return pack->state == INDEX_PACK_SEALED &&
           pack->file_bytes < run->jini->options.pack_bytes_max / SMALL_PARTS &&
           (run->policy.now || age_ms >= run->policy.archive_age_ms);
}

static int merge_now(struct tiering_run *run, struct merge *merge, struct jini_error *error)
{
    int status = 0;
    if (merge->count > 1) {
        status = tiering_compact(run, merge->members, merge->count, error);
        if (status == 0)
            tiering_report(run, JINI_TIERING_COMPACT, &merge->members[0], 0, merge->bytes,
                           "small packs of one class become one");
    }
    if (status && !ends_run(status)) { /* one that cannot be read holds up no other */
        note_failure(run, &merge->members[0].id, status, error);
        status = 0;
    }
    merge->count = 0;
    merge->bytes = 0;
    merge->records = 0;
    return status;
}

enum { MERGES_MAX = 32, MEMBERS_MAX = 16 };

struct merges {
    struct merge open[MERGES_MAX];
    size_t count;
};

/* Collects small packs by class and rewrites them together as soon as they fill a pack. */
static int add_small(struct tiering_run *run, struct merges *merges, const struct index_pack *pack,
                     struct jini_error *error)
{
    size_t i = 0;
    while (i < merges->count && (merges->open[i].members[0].tier_group != pack->tier_group ||
                                 merges->open[i].members[0].expiry_day != pack->expiry_day))
        i++;
    if (i == MERGES_MAX)
        return 0; /* left for the next run */
    struct merge *merge = &merges->open[i];
    if (i == merges->count) {
        merges->count++;
        merge->count = 0;
        merge->bytes = 0;
        merge->records = 0;
    }
    if (merge->count == MEMBERS_MAX || merge->records + pack->records > PACK_RECORDS_MAX ||
        merge->bytes + pack->file_bytes > run->jini->options.pack_bytes_max) {
        int status = merge_now(run, merge, error);
        if (status)
            return status;
    }
    merge->members[merge->count++] = *pack;
    merge->bytes += pack->file_bytes;
    merge->records += pack->records;
    return 0;
}

static int merge_small(struct tiering_run *run, struct jini_error *error)
{
    struct merges *merges = base_calloc(1, sizeof(*merges));
    struct index_pack *page = base_malloc(sizeof(*page) * PACKS_PAGE);
    struct jini_id last = {{0}};
    size_t count = PACKS_PAGE;
    int status = merges && page ? 0 : JINI_E_NO_MEMORY;
    while (status == 0 && count == PACKS_PAGE) {
        struct store_txn *txn;
        status = store_read_begin(run->jini->store, &txn);
        if (status)
            break;
        status = index_pack_list(txn, id_is_zero(&last) ? NULL : &last, page, PACKS_PAGE, &count);
        store_read_end(txn);
        for (size_t i = 0; status == 0 && i < count; i++) {
            last = page[i].id;
            if (is_small(run, &page[i]))
                status = add_small(run, merges, &page[i], error);
        }
    }
    for (size_t i = 0; status == 0 && i < merges->count; i++)
        status = merge_now(run, &merges->open[i], error);
    base_free(page);
    base_free(merges);
    return status;
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

/* Does one step, if it is the one that is due. */
static int step_if_due(struct tiering_run *run, const struct jini_id *id, enum tiering_step wanted,
                       struct jini_error *error)
{
    struct index_pack pack;
    struct tiering_facts facts;
    uint64_t bytes;
    char reason[TIERING_REASON_MAX];
    int status = tiering_load_pack(run, id, &pack);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0)
        status = gather(run, &pack, &facts, &bytes);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    if (tiering_decide(&facts, &run->policy, reason) != wanted)
        return 0;
    status = do_step(run, wanted, &facts, error);
    if (status == 0 && is_shown(wanted))
        tiering_report(run, public_step(wanted), &pack, facts.live_images,
                       bytes_of(wanted, &pack, bytes), reason);
    return status;
}

static int seal_pack(struct tiering_run *run, const struct index_pack *pack,
                     struct jini_error *error)
{
    return pack->state == INDEX_PACK_OPEN ? step_if_due(run, &pack->id, TIERING_SEAL, error) : 0;
}

static int share_pack(struct tiering_run *run, const struct index_pack *pack,
                      struct jini_error *error)
{
    bool new = pack->state == INDEX_PACK_SEALED && !(pack->flags & INDEX_PACK_SHARED);
    return new ? step_if_due(run, &pack->id, TIERING_SHARE, error) : 0;
}

int tiering_run(struct jini *jini, struct jini_archive_run *request, struct jini_error *error)
{
    struct tiering_run run = {.jini = jini,
                              .request = request,
                              .stop = &jini->state, /* ENGINE_OPEN is 0 */
                              .cancelled = &request_state(&request->request)->cancelled};
    bool dry = request->flags & JINI_TIERING_DRY_RUN;
    error_clear(error);
    set_policy(&run);
    int status = lease_take(jini, "tiering", &run.lease);
    if (status == JINI_E_LOCKED)
        return error_set(error, status, "tiering", "another process is at it; try again later");
    if (status)
        return error_set(error, status, "tiering", "%s", jini_status_text(status));
    if (!dry) {
        status = tiering_expire(&run, error);
        if (status == 0 && run.policy.now)
            status = for_each_pack(&run, seal_pack, error);
        if (status == 0)
            status = merge_small(&run, error);
        /* Of all packs, before the first is freed: duplicates are found among local packs only. */
        if (status == 0)
            status = for_each_pack(&run, share_pack, error);
    }
    if (status == 0)
        status = for_each_pack(&run, advance_pack, error);
    if (status == 0 && !dry)
        status = tiering_collect(&run, error);
    lease_give(&run.lease);
    if (status == 0 && run.first_status) {
        *error = run.first_error;
        status = run.first_status;
    }
    return status;
}
