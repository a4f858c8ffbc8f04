/*
 * Archive, free, purge.
 *
 *   SEALED --(1) row: ARCHIVING, attempt--> (2) check the file, PUT --> (3) GET, compare -->
 *       (4) row: ARCHIVED
 *   ARCHIVED --(1) GET, compare, unless the same run has just done so--> (2) content rows go -->
 *       (3) row: COLD --> (4) delete the file
 *   PURGING --(1) delete the object--> (2) content rows go, delete the file --> (3) delete the row
 *
 * A crash between any two leaves the row in a state that leads to the same step again. An object is
 * only ever written under a name that its row already has, and whatever takes the name out of the
 * row makes an orphan of it in the same transaction, so that it can be found and deleted.
 */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/pack_footer.h"
#include "images/pack_path.h"
#include "images/pack_scan.h"
#include "images/pack_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { CONTENT_SLICE = 256 };

/* ---- Archive ---- */

static int note_first(void *context, const struct pack_scan_item *item)
{
    struct jini_error *first = context;
    if (item->status && first->code == 0)
        *first = *item->damage;
    return 0;
}

/* Every checksum in the local file, before it is trusted to be the copy that stays. */
static int check_local(const struct index_pack *pack, const struct pack_source *source,
                       struct jini_error *error)
{
    struct pack_scan_options options = {.depth = PACK_SCAN_EVERYTHING,
                                        .expected = PACK_STATE_SEALED};
    struct pack_scan_result result;
    struct jini_error first;
    error_clear(&first);
    int status = pack_scan(source, &options, note_first, &first, &result, error);
    if (status)
        return status;
    if (result.damaged > 0) {
        *error = first;
        return JINI_E_CORRUPT;
    }
    if (result.length != pack->file_bytes)
        return pack_corrupt(error, &pack->id, pack->file_bytes, "the file has %llu bytes",
                            (unsigned long long)result.length);
    return 0;
}

int tiering_check_file(const struct tiering_run *run, const struct index_pack *pack,
                       struct jini_error *error)
{
    const struct pack_source *source;
    int status = pack_files_acquire(run->jini->pack_files, &pack->id, &source, error);
    if (status)
        return status;
    status = check_local(pack, source, error);
    pack_files_release(run->jini->pack_files, source);
    return status;
}

struct compare {
    struct archive_request request;
    struct hash_stream *hash;
};

static int add_piece(struct archive_request *request, struct slice piece)
{
    struct compare *compare = (struct compare *)request;
    hash_stream_add(compare->hash, piece);
    return 0;
}

/*
 * Reads the object back and compares its hash with that of what was sent. JINI_E_CORRUPT: it
 * differs.
 */
static int verify_object(struct tiering_run *run, const struct index_pack *pack, const char *name,
                         const struct hash128 *expected, struct jini_error *error)
{
    struct compare compare = {
        .request = {.operation = ARCHIVE_GET,
                    .name = slice_of_text(name),
                    .deadline_ns = archives_deadline(run->jini, pack->file_bytes),
                    .get = {.length = ARCHIVE_TO_END, .sink = add_piece}},
        .hash = hash_stream_new(),
    };
    if (!compare.hash)
        return error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    int status = tiering_ask(run, &compare.request, error);
    struct hash128 hash = hash_stream_128(compare.hash);
    hash_stream_free(compare.hash);
    if (status)
        return status;
    if (compare.request.bytes != pack->file_bytes || !hash128_equal(&hash, expected))
        return error_set(error, JINI_E_CORRUPT, name,
                         "what was read back is not what was written; the local copy stays");
    return 0;
}

static int hash_file(const struct pack_source *source, uint64_t length, struct hash128 *out,
                     struct jini_error *error)
{
    enum { PIECE = 1 << 18 };
    struct hash_stream *stream = hash_stream_new();
    uint8_t *piece = base_malloc(PIECE);
    int status =
        stream && piece ? 0 : error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    for (uint64_t at = 0; status == 0 && at < length; at += PIECE) {
        size_t take = length - at < PIECE ? (size_t)(length - at) : PIECE;
        status = pack_source_read(source, at, piece, take, error);
        if (status == 0)
            hash_stream_add(stream, slice_of(piece, take));
    }
    if (status == 0)
        *out = hash_stream_128(stream);
    base_free(piece);
    hash_stream_free(stream);
    return status;
}

static int delete_object(const struct tiering_run *run, const struct index_pack *pack,
                         struct jini_error *error)
{
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(pack, name);
    struct archive_request request = {.operation = ARCHIVE_DELETE,
                                      .name = slice_of_text(name),
                                      .deadline_ns =
                                          archives_deadline(run->jini, pack->file_bytes)};
    return tiering_ask(run, &request, error);
}

int tiering_delete_object(struct tiering_run *run, const struct index_pack *pack,
                          struct jini_error *error)
{
    if (id_is_zero(&pack->attempt))
        return 0;
    int status = owner_may_delete(run, error);
    return status || run->owner.keeping ? status : delete_object(run, pack, error);
}

/*
 * Gives the pack a new attempt, then deletes the object of an interrupted one. Not the other way
 * round: a process that lost its lease and wakes up late would delete the object that its successor
 * has verified and is about to rely on.
 */
static int begin_attempt(struct tiering_run *run, struct index_pack *pack, struct jini_error *error)
{
    const struct index_pack before = *pack;
    pack->state = INDEX_PACK_ARCHIVING;
    pack->attempt = id_next(&run->jini->ids);
    int status = tiering_change_pack(run, pack, before.state);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    return before.state == INDEX_PACK_ARCHIVING ? tiering_delete_object(run, &before, error) : 0;
}

static int put_object(struct tiering_run *run, const struct index_pack *pack, const char *name,
                      const struct pack_source *source, struct jini_error *error)
{
    struct archive_extent extent = archive_file(source->descriptor, 0, pack->file_bytes);
    struct archive_request request = {.operation = ARCHIVE_PUT,
                                      .name = slice_of_text(name),
                                      .deadline_ns = archives_deadline(run->jini, pack->file_bytes),
                                      .put = {&extent, 1}};
    return tiering_ask(run, &request, error);
}

int tiering_archive(struct tiering_run *run, const struct index_pack *row, struct jini_error *error)
{
    struct jini *jini = run->jini;
    struct index_pack pack = *row;
    const struct pack_source *source;
    char name[INDEX_OBJECT_NAME_MAX];
    int status = archives_open(run->jini, error);
    if (status == 0)
        status = pack_files_acquire(jini->pack_files, &pack.id, &source, error);
    if (status)
        return status;
    status = check_local(&pack, source, error);
    if (status == 0)
        status = hash_file(source, pack.file_bytes, &pack.object_hash, error);
    if (status == 0)
        status = begin_attempt(run, &pack, error);
    if (status == 0) {
        index_object_name(&pack, name);
        status = put_object(run, &pack, name, source, error);
    }
    pack_files_release(jini->pack_files, source);
    if (status == 0)
        status = verify_object(run, &pack, name, &pack.object_hash, error);
    if (status)
        return status;
    pack.state = INDEX_PACK_ARCHIVED;
    pack.archived_ms = clock_wall_ns(jini->clock) / NS_PER_MS;
    status = tiering_change_pack(run, &pack, INDEX_PACK_ARCHIVING);
    /*
     * The lease was lost; a successor writes under another name. This object may be younger than
     * its orphan row, and no row of any database says that it is whole.
     */
    if (status == JINI_E_CONFLICT)
        delete_object(run, &pack, error);
    if (status)
        return error_set(error, status, "archive", "%s", jini_status_text(status));
    run->read_back = pack.attempt;
    run->request->packs_archived++;
    run->request->bytes_archived += pack.file_bytes;
    return 0;
}

/* ---- Local files ---- */

struct content_slice {
    struct index_content rows[CONTENT_SLICE];
    size_t count;
};

static int op_forget_content(struct store_txn *txn, void *argument)
{
    const struct content_slice *slice = argument;
    for (size_t i = 0; i < slice->count; i++) {
        int status = index_content_delete(txn, &slice->rows[i]);
        if (status)
            return status;
    }
    return 0;
}

int tiering_forget_records(struct tiering_run *run, const struct index_pack *pack,
                           const struct pack_contents *contents, struct jini_error *error)
{
    int status = 0;
    struct content_slice *slice = base_malloc(sizeof(*slice));
    if (!slice)
        status = error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    for (uint32_t i = 0; status == 0 && i < contents->count;) {
        slice->count = 0;
        while (i < contents->count && slice->count < CONTENT_SLICE) {
            const struct pack_entry *entry = &contents->entries[i++];
            slice->rows[slice->count++] = (struct index_content){
                .tier_group = pack->tier_group,
                .expiry_day = pack->expiry_day,
                .length = entry->original_length,
                .hash = entry->original_hash,
                .pack = pack->id,
            };
        }
        status = tiering_write(run, op_forget_content, slice);
        if (status)
            error_set(error, status, "pack", "%s", jini_status_text(status));
    }
    base_free(slice);
    return status;
}

int tiering_forget_content(struct tiering_run *run, const struct index_pack *pack,
                           struct jini_error *error)
{
    const struct pack_source *source;
    struct pack_contents contents;
    int status = pack_files_acquire(run->jini->pack_files, &pack->id, &source, error);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    status = pack_contents_read(source, &contents, error);
    pack_files_release(run->jini->pack_files, source);
    if (status) /* only its footer knows; the rows count for nothing once the pack is gone */
        return status == JINI_E_NO_MEMORY || status == JINI_E_IO ? status : 0;
    status = tiering_forget_records(run, pack, &contents, error);
    pack_contents_free(&contents);
    return status;
}

int tiering_remove_file(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error)
{
    struct jini *jini = run->jini;
    int status = pack_path_remove(jini->directory_fd, &pack->id, error);
    if (status == JINI_E_NOT_FOUND)
        status = 0;
    else if (status == 0)
        run->request->bytes_freed += pack->file_bytes;
    if (status)
        return status;
    pack_files_forget(jini->pack_files, &pack->id);
    status = pack_path_sync(jini->directory_fd, &pack->id, error);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/*
 * The object is lost or damaged, but the file is here: the pack is to be archived anew. Not before
 * the file has proved to be whole: of an object that was only read wrongly on its way it would take
 * the last good copy.
 */
static int begin_anew(struct tiering_run *run, const struct index_pack *pack,
                      struct jini_error *error)
{
    int status = tiering_check_file(run, pack, error);
    if (status)
        return status;
    struct index_pack sealed = *pack;
    sealed.state = INDEX_PACK_SEALED;
    sealed.attempt = (struct jini_id){{0}};
    sealed.archived_ms = 0;
    status = tiering_change_pack(run, &sealed, INDEX_PACK_ARCHIVED);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

static int look_at_object(struct tiering_run *run, const struct index_pack *pack, const char *name,
                          struct jini_error *error)
{
    struct archive_request request = {.operation = ARCHIVE_HEAD,
                                      .name = slice_of_text(name),
                                      .deadline_ns =
                                          archives_deadline(run->jini, pack->file_bytes)};
    int status = tiering_ask(run, &request, error);
    if (status == 0 && request.size != pack->file_bytes)
        return error_set(error, JINI_E_CORRUPT, name, "it does not have its length");
    return status;
}

static bool is_lost(int status)
{
    return status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT;
}

int tiering_renew(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error)
{
    char name[INDEX_OBJECT_NAME_MAX];
    char id[JINI_ID_TEXT_MAX];
    index_object_name(pack, name);
    int status = look_at_object(run, pack, name, error);
    if (!is_lost(status))
        return status;
    jini_id_format(&pack->id, id);
    log_record(&run->jini->log, JINI_LOG_WARNING, "object_lost", LOG_TEXT("pack", id),
               LOG_TEXT("object", name), LOG_TEXT("message", error->message));
    return begin_anew(run, pack, error);
}

/*
 * Before the file goes: the archive still has the object, and every byte of it. What an earlier run
 * has read proves nothing any more.
 */
static int check_object(struct tiering_run *run, const struct index_pack *pack,
                        struct jini_error *error)
{
    bool just_read = id_equal(&pack->attempt, &run->read_back);
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(pack, name);
    int status = archives_open(run->jini, error); /* without one nothing is known of its objects */
    if (status)
        return status;
    status = just_read ? look_at_object(run, pack, name, error)
                       : verify_object(run, pack, name, &pack->object_hash, error);
    if (!is_lost(status))
        return status;
    status = begin_anew(run, pack, error);
    return status ? status
                  : error_set(error, JINI_E_ARCHIVE, "archive",
                              "the archive %s has no whole object %s any more; the pack stays and "
                              "is archived again by the next run",
                              run->jini->options.archive_url, name);
}

int tiering_free(struct tiering_run *run, const struct index_pack *row, struct jini_error *error)
{
    struct index_pack pack = *row;
    int status = check_object(run, &pack, error);
    if (status == 0)
        status = tiering_forget_content(run, &pack, error);
    if (status)
        return status;
    pack.state = INDEX_PACK_COLD;
    status = tiering_change_pack(run, &pack, INDEX_PACK_ARCHIVED);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    status = tiering_remove_file(run, &pack, error);
    run->request->packs_freed += status == 0;
    return status;
}

struct pack_removal {
    struct jini_id id;
    uint64_t now_ms;
};

static int op_remove_row(struct store_txn *txn, void *argument)
{
    const struct pack_removal *removal = argument;
    struct index_pack found;
    int status = index_pack_get(txn, &removal->id, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status == 0 && found.state != INDEX_PACK_PURGING)
        return JINI_E_CONFLICT;
    if (status == 0)
        status = tiering_orphan(txn, &found, removal->now_ms);
    return status ? status : index_pack_delete(txn, &removal->id);
}

int tiering_purge(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error)
{
    int status = tiering_delete_object(run, pack, error);
    if (status == 0)
        status = tiering_forget_content(run, pack, error);
    if (status == 0)
        status = tiering_remove_file(run, pack, error);
    if (status)
        return status;
    struct pack_removal removal = {pack->id, clock_wall_ns(run->jini->clock) / NS_PER_MS};
    status = tiering_write(run, op_remove_row, &removal);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    run->request->packs_purged++;
    return 0;
}
