/*
 * One pack, step by step: what is known of it, what images/tiering.h makes of that, and having it
 * done.
 */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "images/appender.h"

/* ---- Facts ---- */

int tiering_count_live(const struct tiering_run *run, const struct index_pack *pack,
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

struct tiering_facts tiering_facts_of(const struct tiering_run *run, const struct index_pack *pack)
{
    struct jini *jini = run->jini;
    struct store_process self = store_self(jini->store);
    struct tiering_facts facts = {.pack = pack, .now_ms = clock_wall_ns(jini->clock) / NS_PER_MS};
    if (pack->state == INDEX_PACK_OPEN) {
        bool mine = pack->owner.slot == self.slot && pack->owner.incarnation == self.incarnation;
        facts.owned_here = mine && jini->appender && appender_holds(jini->appender, &pack->id);
        facts.owner_alive = mine ? facts.owned_here : store_process_alive(jini->store, pack->owner);
    }
    return facts;
}

bool tiering_in_use(const struct tiering_run *run, const struct index_pack *pack)
{
    struct tiering_facts facts = tiering_facts_of(run, pack);
    return pack->state == INDEX_PACK_OPEN && facts.owner_alive && !facts.owned_here;
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
    static const char *const names[] = {"unknown", "seal",   "compact", "archive", "free",
                                        "purge",   "expire", "aside",   "drop",    "regain"};
    return step >= JINI_TIERING_SEAL && step <= JINI_TIERING_REGAIN ? names[step] : names[0];
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

static int do_step(struct tiering_run *run, enum tiering_step step,
                   const struct tiering_facts *facts, struct jini_error *error)
{
    switch (step) {
    case TIERING_SEAL:
        return tiering_seal(run, facts, error);
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

uint64_t tiering_step_bytes(enum tiering_step step, const struct index_pack *pack,
                            uint64_t live_bytes)
{
    return step == TIERING_SEAL || step == TIERING_COMPACT ? live_bytes : pack->file_bytes;
}

void tiering_report_step(const struct tiering_run *run, enum tiering_step step,
                         const struct index_pack *pack, uint64_t images, uint64_t bytes,
                         const char *because)
{
    if (step != TIERING_SHARE && step != TIERING_PURGE_BEGIN)
        tiering_report(run, public_step(step), pack, images, bytes, because);
}

static int op_note_count(struct store_txn *txn, void *argument)
{
    const struct index_pack *counted = argument;
    struct index_pack found;
    int status = index_pack_get(txn, &counted->id, &found);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    found.counted = counted->removals;
    return index_pack_put(txn, &found);
}

/* Nothing to do for the garbage as it was counted: the next run need not count again. */
static int note_count(struct tiering_run *run, struct index_pack *pack, struct jini_error *error)
{
    int status = pack->counted == pack->removals ? 0 : tiering_write(run, op_note_count, pack);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

/*
 * Loads a pack and decides what is next; `*step` is TIERING_NOTHING when it is gone or nothing is
 * due.
 */
static int decide(struct tiering_run *run, const struct jini_id *id, struct index_pack *pack,
                  struct tiering_facts *facts, uint64_t *bytes, char *reason,
                  enum tiering_step *step, struct jini_error *error)
{
    *step = TIERING_NOTHING;
    int status = tiering_load_pack(run, id, pack);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0) {
        *facts = tiering_facts_of(run, pack);
        if (!tiering_may_be_due(facts, &run->policy))
            return 0;
        status = tiering_count_live(run, pack, facts, bytes);
    }
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    *step = tiering_decide(facts, &run->policy, reason);
    return *step == TIERING_NOTHING ? note_count(run, pack, error) : 0;
}

/*
 * After a step that found a copy of the pack to be damaged. If its file is, one bad record would
 * keep the others from the archive for ever: what holds of any copy goes to a new pack, and the
 * rest is put apart. Where that is in doubt too, the pack stays, and `error` as it is.
 */
static int rewrite_damaged(struct tiering_run *run, const struct tiering_facts *facts,
                           uint64_t bytes, struct jini_error *error)
{
    struct jini_error found;
    error_clear(&found);
    if (tiering_check_file(run, facts->pack, &found) != JINI_E_CORRUPT)
        return JINI_E_CORRUPT;
    int status = tiering_compact(run, facts->pack, 1, &found);
    if (status == JINI_E_FULL || tiering_ends_run(status))
        *error = found;
    else if (status)
        return JINI_E_CORRUPT;
    if (status)
        return status;
    tiering_report_step(run, TIERING_COMPACT, facts->pack, facts->live_images, bytes,
                        "its file is damaged");
    return 0;
}

static int do_and_report(struct tiering_run *run, enum tiering_step step,
                         const struct tiering_facts *facts, uint64_t bytes, const char *reason,
                         struct jini_error *error)
{
    int status = do_step(run, step, facts, error);
    if (status == JINI_E_CORRUPT && (step == TIERING_ARCHIVE || step == TIERING_FREE))
        return rewrite_damaged(run, facts, bytes, error);
    if (status)
        return status;
    if (step == TIERING_ARCHIVE)
        run->request->images_archived += facts->live_images;
    struct index_pack after; /* with the name of its new object; of a purged pack none is left */
    const struct index_pack *shown =
        tiering_load_pack(run, &facts->pack->id, &after) == 0 ? &after : facts->pack;
    tiering_report_step(run, step, shown, facts->live_images,
                        tiering_step_bytes(step, facts->pack, bytes), reason);
    return 0;
}

int tiering_advance(struct tiering_run *run, const struct jini_id *id, struct jini_error *error)
{
    if (run->request->flags & JINI_TIERING_DRY_RUN)
        return tiering_foresee(run, id, error);
    for (int i = 0; i < TIERING_STEPS_MAX; i++) {
        struct index_pack pack;
        struct tiering_facts facts;
        uint64_t bytes;
        char reason[TIERING_REASON_MAX];
        enum tiering_step step;
        int status = decide(run, id, &pack, &facts, &bytes, reason, &step, error);
        if (status || step == TIERING_NOTHING)
            return status;
        status = do_and_report(run, step, &facts, bytes, reason, error);
        if (status)
            return status;
    }
    return 0;
}

int tiering_step_if_due(struct tiering_run *run, const struct jini_id *id, enum tiering_step wanted,
                        struct jini_error *error)
{
    struct index_pack pack;
    struct tiering_facts facts;
    uint64_t bytes;
    char reason[TIERING_REASON_MAX];
    enum tiering_step step;
    int status = decide(run, id, &pack, &facts, &bytes, reason, &step, error);
    if (status || step != wanted)
        return status;
    return do_and_report(run, step, &facts, bytes, reason, error);
}

int tiering_renew_if_lost(struct tiering_run *run, const struct index_pack *pack,
                          struct jini_error *error)
{
    struct tiering_facts facts = {.pack = pack};
    uint64_t bytes;
    int status = tiering_renew(run, pack, error);
    if (status != JINI_E_CORRUPT)
        return status;
    status = tiering_count_live(run, pack, &facts, &bytes);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status))
                  : rewrite_damaged(run, &facts, bytes, error);
}
