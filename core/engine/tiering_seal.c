/*
 * Sealing open packs: by the appender, if it still has them, else from what lies on the disk. Those
 * of another live process are sealed by that one, which is asked to.
 */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "images/appender.h"
#include "images/pack_footer.h"
#include "images/pack_recover.h"

/* Three seconds: a process that answers does so within one. */
enum { AWAIT_POLL_MS = 20, AWAIT_POLLS_MAX = 150 };

/* What the file tells of itself, now that it has its footer; damaged records count too. */
static int measure(struct jini *jini, struct index_pack *sealed, struct jini_error *error)
{
    const struct pack_source *source;
    struct pack_contents contents;
    int status = pack_files_acquire(jini->pack_files, &sealed->id, &source, error);
    if (status)
        return status;
    status = pack_source_length(source, &sealed->file_bytes, error);
    if (status == 0)
        status = pack_contents_read(source, &contents, error);
    pack_files_release(jini->pack_files, source);
    if (status)
        return status;
    sealed->records = contents.count;
    pack_contents_free(&contents);
    return 0;
}

/*
 * Records that nothing names were appended, and their transaction never came: a put or a rewriting
 * that a crash has ended. They may hold what an image elsewhere holds, and are to go before that is
 * purged, for nothing would find them then.
 */
static int note_unnamed(const struct tiering_run *run, struct index_pack *sealed,
                        struct jini_error *error)
{
    struct tiering_facts facts = {.pack = sealed};
    uint64_t bytes;
    int status = tiering_count_live(run, sealed, &facts, &bytes);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    if (sealed->records > facts.live_records)
        sealed->flags |= INDEX_PACK_MUST_COMPACT;
    return 0;
}

/* A pack that nobody appends to: cut its torn tail, write its footer, then say so in the index. */
static int seal_orphan(struct tiering_run *run, const struct index_pack *pack,
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
        if (sealed.sealed_ms == 0) /* an interrupted rewriting has brought it along */
            sealed.sealed_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        sealed.payload_bytes = result.payload_bytes;
        status = measure(jini, &sealed, error);
        if (status == 0)
            status = note_unnamed(run, &sealed, error);
        if (status)
            return status;
    }
    status = tiering_change_pack(run, &sealed, INDEX_PACK_OPEN);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

int tiering_seal(struct tiering_run *run, const struct tiering_facts *facts,
                 struct jini_error *error)
{
    struct index_pack pack;
    struct appender_figures open = {.packs_open = 1};
    int status = 0;
    if (facts->owned_here) {
        appender_figures(run->jini->appender, &open); /* all of them are sealed */
        status = appender_seal(run->jini->appender, error);
    } else {
        /*
         * Read again, now that nobody appends: it may have been sealed just before that was found
         * out.
         */
        status = tiering_load_pack(run, &facts->pack->id, &pack);
        if (status)
            return error_set(error, status, "pack", "%s", jini_status_text(status));
        if (pack.state != INDEX_PACK_OPEN)
            return 0;
        status = seal_orphan(run, &pack, error);
    }
    if (status == 0)
        run->request->packs_sealed += open.packs_open;
    return status;
}

/* ---- Packs of other processes ---- */

/* Waits until the pack's process has sealed it or is gone; `context`: the looks that are left. */
static int await_pack(struct tiering_run *run, const struct index_pack *pack, void *context,
                      struct jini_error *error)
{
    const struct timespec pause = {.tv_nsec = AWAIT_POLL_MS * 1000000L};
    unsigned *polls = context;
    struct index_pack found = *pack;
    bool in_use = tiering_in_use(run, &found);
    if (!in_use)
        return 0;
    while (in_use && *polls > 0 && !tiering_must_end(run)) {
        (*polls)--;
        nanosleep(&pause, NULL);
        int status = tiering_load_pack(run, &pack->id, &found);
        if (status == JINI_E_NOT_FOUND)
            return 0;
        if (status)
            return error_set(error, status, "pack", "%s", jini_status_text(status));
        in_use = tiering_in_use(run, &found);
    }
    if (found.state != INDEX_PACK_SEALED)
        return 0;
    run->request->packs_sealed++;
    tiering_report(run, JINI_TIERING_SEAL, &found, found.records, found.payload_bytes,
                   "the process that appended to it was asked for it");
    return 0;
}

int tiering_seal_others(struct tiering_run *run, struct jini_error *error)
{
    unsigned polls = AWAIT_POLLS_MAX;
    appender_ask_others(run->jini->appender);
    return tiering_each(run, await_pack, &polls, error);
}
