/*
 * What a crash left, or an attempt that was given up: local files that nothing refers to, and the
 * objects of orphan rows.
 *
 * Files are found by looking for them, for nobody else writes into the database's directory. What
 * the index let go of is removed before its row is; so a file without a row was never named by this
 * index. A crash leaves such files. But the records that named it may have been lost, with data.mdb
 * or by an older one that was put back, and only a file without any record is nobody's for certain.
 * All others are set aside, and go after a long time.
 *
 *     packs/YYYY-MM/X.pack --unknown for an hour--> packs/lost/X.pack --pack.lost_s--> deleted
 *           ^                                            |
 *           '----- a row names it again (regain) --------'
 *
 * An archive may be shared with other databases: only what an orphan row names is deleted there,
 * and only by the one that may (owner.h).
 */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "base/fork.h"
#include "images/pack_footer.h"
#include "images/pack_lost.h"
#include "images/pack_path.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { ORPHANS_SLICE = 64 };

/* ---- Files ---- */

struct collecting {
    struct tiering_run *run;
    struct jini_error *error;
    bool dry; /* only report */
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

bool tiering_is_unknown(struct jini *jini, const struct jini_id *id)
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

static bool is_young(const struct tiering_run *run, const struct jini_id *id)
{
    uint64_t now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS;
    return id_time_ms(id) + TIERING_ORPHAN_AGE_MS > now_ms;
}

/* True when there is no record in the file, nor a part of one. */
static bool holds_nothing(struct jini *jini, const struct jini_id *id, uint64_t bytes)
{
    const struct pack_source *source;
    struct pack_contents contents;
    if (bytes <= PACK_HEADER_BYTES)
        return true;
    if (pack_files_acquire(jini->pack_files, id, &source, NULL) != 0)
        return false;
    bool sealed = pack_contents_read(source, &contents, NULL) == 0;
    bool empty = sealed && contents.count == 0 && contents.footer_offset <= PACK_HEADER_BYTES;
    pack_files_release(jini->pack_files, source);
    if (sealed)
        pack_contents_free(&contents);
    return empty;
}

static void log_lost(const struct tiering_run *run, const char *event, const struct jini_id *id,
                     uint64_t bytes, const char *what)
{
    char text[JINI_ID_TEXT_MAX];
    char path[PACK_PATH_MAX];
    char message[PACK_PATH_MAX + 160];
    jini_id_format(id, text);
    pack_lost_path(id, path);
    snprintf(message, sizeof(message), "the pack file %s, which the index does not know, %s", path,
             what);
    log_record(&run->jini->log, JINI_LOG_WARNING, event, LOG_TEXT("pack", text),
               LOG_NUMBER("bytes", bytes), LOG_TEXT("message", message));
}

static int set_aside(const struct collecting *collecting, const struct jini_id *id, uint64_t bytes)
{
    struct tiering_run *run = collecting->run;
    struct jini *jini = run->jini;
    const struct index_pack pack = {.id = *id};
    if (!collecting->dry) {
        uint64_t now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
        int status = pack_lost_put(jini->directory_fd, id, now_ms, collecting->error);
        if (status)
            return status;
        pack_files_forget(jini->pack_files, id);
        log_lost(run, "pack_set_aside", id, bytes,
                 "was set aside; if images are missing, put the data.mdb back that knows it");
        run->request->packs_set_aside++;
    }
    tiering_report(run, JINI_TIERING_SET_ASIDE, &pack, 0, bytes,
                   "the index does not know it: it is kept in packs/lost");
    return 0;
}

static int collect_unknown(const struct collecting *collecting, const struct jini_id *id)
{
    struct tiering_run *run = collecting->run;
    struct jini *jini = run->jini;
    uint64_t bytes;
    if (is_young(run, id) || is_written(jini, id))
        return 0;
    /* Whoever wrote it may have committed its row just before letting go of it. */
    if (!tiering_is_unknown(jini, id))
        return 0;
    int status = pack_path_bytes(jini->directory_fd, id, &bytes, collecting->error);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    if (!holds_nothing(jini, id, bytes))
        return set_aside(collecting, id, bytes);
    const struct index_pack pack = {.id = *id};
    return collecting->dry ? 0 : tiering_remove_file(run, &pack, collecting->error);
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
    if (status == JINI_E_NOT_FOUND)
        return collect_unknown(collecting, id);
    if (status_is_damage(status))
        return 0; /* a row that cannot be read may mean the file */
    if (status == 0 && pack.state == INDEX_PACK_COLD && !collecting->dry)
        return tiering_remove_file(run, &pack, collecting->error);
    return status;
}

/* What the index knows by now is not dropped, whatever its age: its pack may want it back. */
static int drop_lost(void *context, const struct pack_lost *lost)
{
    const struct collecting *collecting = context;
    struct tiering_run *run = collecting->run;
    struct jini *jini = run->jini;
    const struct index_pack pack = {.id = lost->pack};
    uint64_t kept_ms = jini->options.pack_lost_s * 1000;
    uint64_t now_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    char reason[TIERING_REASON_MAX];
    if (kept_ms == 0 || now_ms < lost->since_ms || now_ms - lost->since_ms < kept_ms ||
        !tiering_is_unknown(jini, &lost->pack))
        return 0;
    if (!collecting->dry) {
        int status = pack_lost_remove(jini->directory_fd, &lost->pack, collecting->error);
        if (status)
            return status == JINI_E_NOT_FOUND ? 0 : status;
        log_lost(run, "pack_dropped", &lost->pack, lost->bytes,
                 "was deleted, after pack.lost_s seconds");
        run->request->packs_dropped++;
        run->request->bytes_freed += lost->bytes;
    }
    snprintf(reason, sizeof(reason), "pack.lost_s has passed in packs/lost: %llu s of %llu s",
             (unsigned long long)(now_ms - lost->since_ms) / 1000,
             (unsigned long long)jini->options.pack_lost_s);
    tiering_report(run, JINI_TIERING_DROP, &pack, 0, lost->bytes, reason);
    return 0;
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
    struct collecting collecting = {run, error, run->request->flags & JINI_TIERING_DRY_RUN};
    int directory = run->jini->directory_fd;
    int status = pack_lost_walk(directory, drop_lost, &collecting, error);
    if (status == 0)
        status = pack_path_walk(directory, collect_file, &collecting, NULL, error);
    return status || collecting.dry ? status : collect_objects(run, error);
}
