/*
 * Rows of packs and their files: each row can be read, each file is whole, each file with images
 * has a row.
 */
#include "engine/verify_private.h"

#include "base/alloc.h"
#include "base/tuple.h"
#include "engine/regain.h"
#include "engine/tiering_private.h"
#include "images/pack_files.h"
#include "images/pack_lost.h"
#include "images/pack_path.h"
#include "images/pack_scan.h"

struct pack_check {
    struct verifying *v;
    const struct index_pack *pack;
    const char *mend; /* what to do about damage in the file; "" */
    struct verify_merge merge;
};

/* ---- The local file ---- */

static int visit_part(void *context, const struct pack_scan_item *item)
{
    struct pack_check *check = context;
    struct verifying *v = check->v;
    if (verify_cancelled(v))
        return JINI_E_CANCELLED;
    if (item->status) {
        const struct verify_place place = {.kind = "pack_damaged",
                                           .field = "file",
                                           .image = item->entry ? &item->entry->image : NULL,
                                           .pack = &check->pack->id};
        verify_problem(v, &place, "file: %s%s", item->damage->message, check->mend);
    }
    if (v->request->flags & JINI_VERIFY_DEEP)
        v->request->bytes_read += item->length;
    return item->part == PACK_PART_RECORD ? verify_merge_record(&check->merge, item->entry) : 0;
}

/* The end of the last record that was acknowledged; a damaged row, told of elsewhere, is none. */
static int acknowledged_end(struct verifying *v, const struct jini_id *pack, uint64_t *out)
{
    struct store_txn *txn;
    struct index_location last;
    *out = 0;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = index_location_last(txn, pack, &last);
    verify_snapshot_end(v, txn);
    if (status == 0)
        *out = last.offset + pack_record_length(last.stored_length, last.metadata_stored_length);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

/* JINI_E_NOT_FOUND: there is no file. */
static int scan_local(struct pack_check *check)
{
    struct verifying *v = check->v;
    const struct index_pack *pack = check->pack;
    const struct pack_source *source;
    struct pack_scan_result result;
    struct jini_error error;
    const struct verify_place place = {
        .kind = "pack_unreadable", .field = "file", .pack = &pack->id};
    bool deep = (v->request->flags & JINI_VERIFY_DEEP) || (pack->flags & INDEX_PACK_HAS_DAMAGE);
    struct pack_scan_options options = {
        .depth = deep ? PACK_SCAN_EVERYTHING : PACK_SCAN_HEADERS,
        .expected = pack->state == INDEX_PACK_OPEN ? PACK_STATE_OPEN : PACK_STATE_SEALED,
    };
    int status = acknowledged_end(v, &pack->id, &options.acknowledged_end);
    if (status)
        return status;
    status = pack_files_acquire(v->jini->pack_files, &pack->id, &source, &error);
    if (status == JINI_E_NOT_FOUND)
        return status;
    if (status) {
        verify_problem(v, &place, "file: %s", error.message);
        return 0;
    }
    error.code = 0;
    status = pack_scan(source, &options, visit_part, check, &result, &error);
    pack_files_release(v->jini->pack_files, source);
    if (status == 0)
        return verify_merge_end(&check->merge);
    if (error.code != status)
        return status; /* a visit's: nothing is wrong with the pack */
    verify_problem(v, &place, "file: %s", error.message);
    return 0;
}

bool verify_pack_changed(struct verifying *v, const struct index_pack *pack)
{
    struct store_txn *txn;
    struct index_pack found;
    if (verify_snapshot(v, &txn) != 0)
        return true;
    int status = index_pack_get(txn, &pack->id, &found);
    verify_snapshot_end(v, txn);
    return status != 0 || found.state != pack->state;
}

/* What to do about a file that is gone or cut. `*out`: "" where it is neither. */
static int advise(struct verifying *v, const struct index_pack *pack, const char **out)
{
    struct regain_attempts attempts = {.count = 0};
    struct jini_error error;
    bool cut;
    *out = "";
    int status = regain_is_cut(v->jini, pack, &cut);
    if (status || !cut)
        return status;
    if (regain_is_set_aside(v->jini, pack)) {
        *out = ": it lies in packs/lost, from where \"jini archive run\" takes it back";
        return 0;
    }
    if (!v->archive_lost)
        status = regain_list(v->jini, v->asker, &pack->id, &attempts, &error);
    *out = attempts.count > 0
               ? ": the archive has it, from where \"jini archive run\" takes it back"
               : ": put it back from a backup";
    return status == JINI_E_CANCELLED || status == JINI_E_NO_MEMORY ? status : 0;
}

static int check_local(struct verifying *v, const struct index_pack *pack)
{
    struct pack_check *check = base_calloc(1, sizeof(*check));
    if (!check)
        return JINI_E_NO_MEMORY;
    check->v = v;
    check->pack = pack;
    int status = advise(v, pack, &check->mend);
    const char *lost = check->mend;
    if (lost[0] == '\0' && pack->state == INDEX_PACK_ARCHIVED)
        check->mend = ": \"jini archive run --free-hot\" does so, from the archive";
    check->merge.v = v;
    check->merge.pack = &pack->id;
    if (status == 0)
        status = scan_local(check);
    base_free(check);
    if (status != JINI_E_NOT_FOUND)
        return status;
    const struct verify_place place = {.kind = "pack_missing", .field = "file", .pack = &pack->id};
    if (!verify_pack_changed(v, pack))
        verify_problem(v, &place, "file: the file of the pack is gone%s", lost);
    return 0;
}

/* ---- The row ---- */

static int check_pack(struct verifying *v, const struct index_pack *pack)
{
    v->request->packs++;
    verify_progress(v, v->request->packs);
    if (pack->state == INDEX_PACK_PURGING)
        return 0;
    int status = pack->state == INDEX_PACK_COLD ? 0 : check_local(v, pack);
    if (status == 0 && (pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD))
        status = verify_object(v, pack);
    return status;
}

/* Reads a row as it is now. JINI_E_NOT_FOUND: there is nothing more to say of it. */
static int read_row(struct verifying *v, struct slice key, struct index_pack *out)
{
    struct jini_id id;
    struct store_txn *txn;
    struct tuple_reader reader = tuple_reader_of(key);
    bool right = tuple_next_id(&reader, &id) == 0 && reader.rest.length == 0;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    if (right) {
        status = index_pack_get(txn, &id, out);
    } else if ((status = store_has(txn, STORE_SPACE_PACKS, key)) == 0) {
        const struct verify_place place = {.kind = "pack_key_damaged", .field = "key"};
        verify_problem(v, &place, "key: " STORE_STRAY_KEY, key.length);
        status = JINI_E_NOT_FOUND;
    }
    if (right && status_is_damage(status)) {
        const struct verify_place place = {.kind = "pack_row_damaged", .field = "row", .pack = &id};
        verify_problem(v, &place, "row: the row of the pack cannot be read (%s)",
                       jini_status_name(status));
        v->request->packs++;
        status = JINI_E_NOT_FOUND;
    }
    verify_snapshot_end(v, txn);
    return status;
}

static int visit_pack(void *context, struct slice key, struct slice value)
{
    struct verifying *v = context;
    struct index_pack pack;
    (void)value;
    if (verify_cancelled(v))
        return JINI_E_CANCELLED;
    int status = read_row(v, key, &pack);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    return v->rows_only ? 0 : check_pack(v, &pack);
}

/*
 * A file without a row, although there are images in it. Without images it is what a put has begun,
 * or has given up, or one whose records were lost: the background sets it aside in time.
 */
static int check_file(void *context, const struct jini_id *id)
{
    struct verifying *v = context;
    struct store_txn *txn;
    struct index_pack pack;
    struct index_location location;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    const struct verify_place place = {.kind = "file_without_row", .field = "file", .pack = id};
    if (index_pack_get(txn, id, &pack) == JINI_E_NOT_FOUND &&
        index_location_last(txn, id, &location) != JINI_E_NOT_FOUND)
        verify_problem(v, &place, "file: a pack file with images whose row is missing");
    verify_snapshot_end(v, txn);
    uint64_t now_ms = clock_wall_ns(v->jini->clock) / NS_PER_MS;
    if (id_time_ms(id) + TIERING_ORPHAN_AGE_MS <= now_ms && tiering_is_unknown(v->jini, id))
        v->request->packs_unknown++;
    return 0;
}

static int count_lost(void *context, const struct pack_lost *lost)
{
    struct verifying *v = context;
    (void)lost;
    v->request->packs_unknown++;
    return 0;
}

int verify_pack_rows(struct verifying *v)
{
    verify_phase(v, "packs", STORE_SPACE_PACKS);
    return verify_each(v, STORE_SPACE_PACKS, visit_pack, v);
}

int verify_packs(struct verifying *v)
{
    int status = verify_pack_rows(v);
    if (status == 0)
        status =
            pack_path_walk(v->jini->directory_fd, check_file, v, NULL, &v->request->request.error);
    if (status == 0)
        status = pack_lost_walk(v->jini->directory_fd, count_lost, v, &v->request->request.error);
    return status ? status : verify_unknown_objects(v);
}
