/*
 * What a crash left, or an attempt that was given up: local files that nothing refers to, and the
 * objects of orphan rows.
 *
 * Files are found by looking for them, for nobody else writes into the database's directory. An
 * archive may be shared with other databases: only what an orphan row names is deleted there, and
 * only by the one that may (owner.h).
 */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "base/fork.h"
#include "images/pack_path.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>

enum { ORPHANS_SLICE = 64 };

/* ---- Files ---- */

struct collecting {
    struct tiering_run *run;
    struct jini_error *error;
};

/*
 * True while some process writes the file. Its age proves nothing: a process that was stopped
 * between append and commit gives the file its row when it goes on.
 */
static bool is_written(const struct jini *jini, const struct jini_id *id)
{
    char path[PACK_PATH_MAX];
    pack_path(id, path);
    struct fork_file file;
    int failed = fork_file_open(&file, jini->directory_fd, path, O_RDWR | O_NOFOLLOW, 0);
    if (failed)
        return failed != ENOENT;
    int status = pack_lock(file.descriptor, path, NULL);
    fork_file_close(&file);
    return status != 0;
}

/*
 * True when the index has neither a row nor an image of the pack. Of a lost row the images tell,
 * and verify of both.
 */
static bool is_unknown(struct jini *jini, const struct jini_id *id)
{
    struct store_txn *txn;
    struct index_pack pack;
    struct index_location location;
    if (store_read_begin(jini->store, &txn) != 0)
        return false;
    bool unknown = index_pack_get(txn, id, &pack) == JINI_E_NOT_FOUND &&
                   index_location_last(txn, id, &location) == JINI_E_NOT_FOUND;
    store_read_end(txn);
    return unknown;
}

/*
 * A file without a row, or of a pack that is COLD: left by a crash. Young ones may be about to get
 * their row.
 */
static int collect_file(void *context, const struct jini_id *id)
{
    const struct collecting *collecting = context;
    struct tiering_run *run = collecting->run;
    struct index_pack pack;
    int status = tiering_load_pack(run, id, &pack);
    if (status == JINI_E_NOT_FOUND) {
        uint64_t now = clock_wall_ns(run->jini->clock) / NS_PER_MS;
        if (id_time_ms(id) + TIERING_ORPHAN_AGE_MS > now || is_written(run->jini, id))
            return 0;
        /* Whoever wrote it may have committed its row just before letting go of it. */
        if (!is_unknown(run->jini, id))
            return 0;
        pack = (struct index_pack){.id = *id};
        return tiering_remove_file(run, &pack, collecting->error);
    }
    if (status_is_damage(status))
        return 0; /* a row that cannot be read may mean the file */
    if (status == 0 && pack.state == INDEX_PACK_COLD)
        return tiering_remove_file(run, &pack, collecting->error);
    return status;
}

/* ---- Objects ---- */

struct orphan_slice {
    struct index_orphan rows[ORPHANS_SLICE];
    size_t count; /* of rows */
    size_t gone;  /* of these, whose object is deleted */
};

static int op_forget_orphans(struct store_txn *txn, void *argument)
{
    const struct orphan_slice *slice = argument;
    for (size_t i = 0; i < slice->gone; i++) {
        int status = index_orphan_delete(txn, &slice->rows[i]);
        if (status && status != JINI_E_NOT_FOUND)
            return status;
    }
    return 0;
}

static int load_orphans(const struct tiering_run *run, struct orphan_slice *slice)
{
    struct store_txn *txn;
    uint64_t now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = index_orphan_list(txn, now_ms, slice->rows, ORPHANS_SLICE, &slice->count);
    store_read_end(txn);
    return status;
}

/* An object that cannot or may not be deleted leaves its row, and those behind it, to a later run.
 */
static int collect_slice(struct tiering_run *run, struct orphan_slice *slice,
                         struct jini_error *error)
{
    int deleted = 0;
    for (slice->gone = 0; slice->gone < slice->count; slice->gone++) {
        const struct index_orphan *orphan = &slice->rows[slice->gone];
        const struct index_pack pack = {.id = orphan->pack, .attempt = orphan->attempt};
        deleted = tiering_delete_object(run, &pack, error);
        if (deleted || run->owner.keeping)
            break;
    }
    int status = slice->gone > 0 ? tiering_write(run, op_forget_orphans, slice) : 0;
    if (status == 0 && deleted == 0)
        status = lease_renew(&run->lease);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    return deleted;
}

/* Their rows stay until the archive is this database's own, so they are many: no run walks them. */
static int count_kept(struct tiering_run *run, struct jini_error *error)
{
    struct jini_archive_run *request = run->request;
    int status = store_count(run->jini->store, STORE_SPACE_ORPHANS, &request->objects_kept);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    if (request->objects_kept > 0)
        log_record(&run->jini->log, JINI_LOG_WARNING, "objects_kept",
                   LOG_NUMBER("objects", request->objects_kept),
                   LOG_TEXT("keeping", jini_keeping_name(run->owner.keeping)),
                   LOG_TEXT("message", jini_keeping_text(run->owner.keeping)));
    return 0;
}

static int collect_objects(struct tiering_run *run, struct jini_error *error)
{
    struct orphan_slice slice = {.count = ORPHANS_SLICE};
    while (slice.count == ORPHANS_SLICE && !run->owner.keeping) {
        int status = load_orphans(run, &slice);
        if (status)
            return error_set(error, status, "archive", "%s", jini_status_text(status));
        status = slice.count > 0 ? collect_slice(run, &slice, error) : 0;
        if (status)
            return status;
    }
    return run->owner.keeping ? count_kept(run, error) : 0;
}

int tiering_collect(struct tiering_run *run, struct jini_error *error)
{
    struct collecting collecting = {run, error};
    int status = pack_path_walk(run->jini->directory_fd, collect_file, &collecting, NULL, error);
    return status ? status : collect_objects(run, error);
}
