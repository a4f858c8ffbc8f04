/*
 * Rewriting packs: what lives in one pack, or in several small ones of a class, moves to a new pack.
 *
 *   (1) create the new file   (2) for each slice: append, sync, then one transaction that adds the new locations and
 *   takes the old ones away   (3) seal, row: SEALED, and the old packs without images: PURGING
 *
 * The new pack's row has no owner, so that after a crash the next run seals it as it is; both packs then hold a
 * part of the images. Records are copied as they are stored, checked when read and again when they are archived.
 */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/cold.h"
#include "images/pack_file.h"
#include "images/pack_path.h"
#include "images/pack_read.h"

struct compaction {
    struct tiering_run *run;
    struct index_pack row;
    struct pack_file *file;
    bool has_row;
    bool
        may_have_row; /* a commit of unknown fate: the file stays, and goes to the collection if it is nobody's */
};

/* A record of the old pack and its place in the new one. */
struct moved {
    struct index_location from;
    struct index_location to;
};

struct move_slice {
    struct compaction *compaction;
    size_t count;
    struct moved moved[TIERING_SLICE];
};

/* ---- Reading a record as it is stored ---- */

struct stored_record {
    uint8_t *bytes; /* metadata, then payload */
    struct slice metadata;
    struct slice payload;
};

static int read_local(struct jini *jini, const struct index_location *location,
                      struct stored_record *out, struct jini_error *error)
{
    const struct pack_source *source;
    struct pack_place place = {location->offset, location->sequence};
    struct pack_record record;
    uint8_t *payload = out->bytes + location->metadata_stored_length;
    int status = pack_files_acquire(jini->pack_files, &location->pack, &source, error);
    if (status)
        return status;
    if (location->metadata_stored_length > 0)
        status = pack_read_metadata(source, &place, out->bytes, location->metadata_stored_length,
                                    &record, error);
    if (status == 0)
        status =
            pack_read_payload(source, &place, payload, location->stored_length, &record, error);
    pack_files_release(jini->pack_files, source);
    return status ? status : index_check_record(location, &record, error);
}

static int read_archived(const struct tiering_run *run, const struct index_pack *pack,
                         const struct index_location *location, struct stored_record *out,
                         struct jini_error *error)
{
    struct cold_record record;
    int status = cold_record_fetch(run->jini, pack, location,
                                   archives_deadline(run->jini, pack->file_bytes), &record, error);
    if (status)
        return status;
    memcpy(out->bytes, record.metadata.data, record.metadata.length);
    memcpy(out->bytes + record.metadata.length, record.payload.data, record.payload.length);
    cold_record_release(&record);
    return 0;
}

static int read_stored(const struct tiering_run *run, const struct index_pack *pack,
                       const struct index_location *location, struct stored_record *out,
                       struct jini_error *error)
{
    uint64_t length = location->stored_length + location->metadata_stored_length;
    out->bytes = base_malloc(length ? length : 1);
    if (!out->bytes)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    out->metadata = slice_of(out->bytes, location->metadata_stored_length);
    out->payload = slice_of(out->bytes + location->metadata_stored_length, location->stored_length);
    bool archived = pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
    int status = JINI_E_NOT_FOUND;
    if (pack->state != INDEX_PACK_COLD)
        status = read_local(run->jini, location, out, error);
    if (status && archived)
        status = read_archived(run, pack, location, out, error);
    if (status) {
        base_free(out->bytes);
        out->bytes = NULL;
    }
    return status;
}

/* ---- Copying ---- */

static int append(struct compaction *compaction, const struct index_pack *pack,
                  const struct index_location *from, struct index_location *to,
                  struct jini_error *error)
{
    struct stored_record stored;
    int status = read_stored(compaction->run, pack, from, &stored, error);
    if (status)
        return status;
    struct pack_input input = {
        .image = from->image,
        .payload = stored.payload,
        .codec = {from->codec_id, from->codec_version},
        .original_length = from->original_length,
        .original_hash = &from->original_hash,
        .metadata = stored.metadata,
        .metadata_codec = {from->metadata_codec_id, from->metadata_codec_version},
        .metadata_original_length = from->metadata_original_length,
    };
    struct pack_prepared prepared = {0};
    struct pack_prepared *record = &prepared;
    size_t appended;
    status = pack_prepare(&input, &prepared, error);
    if (status == 0)
        status = pack_file_append(compaction->file, &record, 1, &appended, error);
    if (status == 0) {
        *to = *from;
        to->pack = compaction->row.id;
        to->sequence = prepared.record.sequence;
        to->offset = prepared.offset;
    }
    pack_prepared_free(&prepared);
    base_free(stored.bytes);
    return status;
}

int tiering_move_location(struct store_txn *txn, const struct index_location *from,
                          const struct index_location *to)
{
    struct generations_image image;
    int status = generations_image_get(txn, &from->image, &image, NULL);
    bool readable = status != JINI_E_CORRUPT && status != JINI_E_FORMAT;
    if (status && readable)
        return status;
    image.place.pack_id = to->pack;
    image.place.pack_sequence = to->sequence;
    status = readable ? generations_image_update(txn, &from->image, &image.place, NULL) : 0;
    if (status == 0)
        status = index_location_delete(txn, from);
    return status ? status : index_location_put(txn, to);
}

static int move_one(struct store_txn *txn, const struct move_slice *slice,
                    const struct moved *moved)
{
    struct index_location found;
    const struct index_location *from = &moved->from;
    int status = index_location_get(txn, &from->pack, from->sequence, &from->image, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0; /* purged meanwhile */
    if (status == 0)
        status = tiering_move_location(txn, from, &moved->to);
    struct index_content content = {
        .tier_group = slice->compaction->row.tier_group,
        .expiry_day = slice->compaction->row.expiry_day,
        .length = from->original_length,
        .hash = from->original_hash,
        .pack = moved->to.pack,
        .sequence = moved->to.sequence,
    };
    return status ? status : index_content_put(txn, &content);
}

static int op_move(struct store_txn *txn, void *argument)
{
    const struct move_slice *slice = argument;
    struct index_pack found;
    int status = index_pack_get(txn, &slice->compaction->row.id, &found);
    if (status == 0 && found.state != INDEX_PACK_OPEN)
        return JINI_E_CONFLICT;
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    if (status == JINI_E_NOT_FOUND) {
        status = index_pack_put(txn, &slice->compaction->row);
        if (status)
            return status;
    }
    for (size_t i = 0; i < slice->count; i++) {
        status = move_one(txn, slice, &slice->moved[i]);
        if (status)
            return status;
    }
    return index_pack_note_removal(txn, &slice->moved[0].from.pack, 0);
}

/* Copies one page of locations; several images that share a record go on sharing it. */
static int copy_page(struct compaction *compaction, const struct index_pack *pack,
                     const struct index_location *page, size_t count, struct move_slice *slice,
                     struct jini_error *error)
{
    slice->compaction = compaction;
    slice->count = count;
    for (size_t i = 0; i < count; i++) {
        struct moved *moved = &slice->moved[i];
        moved->from = page[i];
        if (i > 0 && page[i].sequence == page[i - 1].sequence) {
            moved->to = slice->moved[i - 1].to;
            moved->to.image = page[i].image;
            continue;
        }
        int status = append(compaction, pack, &page[i], &moved->to, error);
        if (status)
            return status;
    }
    int status = pack_file_sync(compaction->file, NULL, error);
    if (status)
        return status;
    status = tiering_write(compaction->run, op_move, slice);
    compaction->may_have_row |= status == JINI_E_POISONED;
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    compaction->has_row = true;
    return 0;
}

static int copy_pack(struct compaction *compaction, const struct index_pack *pack,
                     struct jini_error *error)
{
    struct index_location *page = base_malloc(sizeof(*page) * TIERING_SLICE);
    struct move_slice *slice = base_malloc(sizeof(*slice));
    int status = page && slice ? 0 : error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    while (status == 0) {
        size_t count;
        /* What was moved is gone from the old pack: the first page is always the next one. */
        status = tiering_load_locations(compaction->run, &pack->id, NULL, page, &count);
        if (status || count == 0)
            break;
        status = copy_page(compaction, pack, page, count, slice, error);
        if (status == 0)
            status = lease_renew(&compaction->run->lease);
    }
    base_free(slice);
    base_free(page);
    if (status && error->code != status)
        error_set(error, status, "pack", "%s", jini_status_text(status));
    return status;
}

/* ---- Beginning and end ---- */

/*
 * A pack of the class of `packs`. What is true of all of them is true of it: that their duplicates have been looked for, or
 * that they were cold. It is as old as the oldest of them, so that rewriting puts off neither archiving nor freeing.
 */
static int create(struct compaction *compaction, const struct index_pack *packs, size_t count,
                  struct jini_error *error)
{
    struct jini *jini = compaction->run->jini;
    uint64_t now_ns = clock_wall_ns(jini->clock);
    const struct index_pack *like = &packs[0];
    uint32_t flags = INDEX_PACK_SHARED | INDEX_PACK_WAS_COLD;
    uint64_t sealed_ms = like->sealed_ms;
    for (size_t i = 0; i < count; i++) {
        flags &= packs[i].flags | (packs[i].state == INDEX_PACK_COLD ? INDEX_PACK_WAS_COLD : 0);
        sealed_ms = packs[i].sealed_ms < sealed_ms ? packs[i].sealed_ms : sealed_ms;
    }
    compaction->row = (struct index_pack){
        .id = id_next(&jini->ids),
        .state = INDEX_PACK_OPEN,
        .flags = flags,
        .tier_group = like->tier_group,
        .expiry_day = like->expiry_day,
        .owner = {UINT32_MAX, 0},
        .created_ms = now_ns / NS_PER_MS,
        .sealed_ms = sealed_ms,
    };
    struct pack_header header = {
        .pack = compaction->row.id,
        .instance = jini->instance,
        .created_ns = now_ns,
        .tier_group = like->tier_group,
        .expiry_day = like->expiry_day,
    };
    compaction->run->packs_made++;
    return pack_file_create(jini->directory_fd, &header, &compaction->file, error);
}

static int seal(struct compaction *compaction, struct jini_error *error)
{
    struct index_pack row = compaction->row;
    row.records = pack_file_records(compaction->file);
    row.payload_bytes = pack_file_end(compaction->file);
    row.file_bytes = row.payload_bytes + pack_footer_length(row.records) + PACK_TRAILER_BYTES;
    int status = pack_file_seal(compaction->file, error);
    if (status)
        return status;
    row.state = INDEX_PACK_SEALED;
    status = tiering_change_pack(compaction->run, &row, INDEX_PACK_OPEN);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

int tiering_compact(struct tiering_run *run, const struct index_pack *packs, size_t count,
                    struct jini_error *error)
{
    struct compaction compaction = {.run = run};
    int status = create(&compaction, packs, count, error);
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = copy_pack(&compaction, &packs[i], error);
        if (status && count > 1 && !tiering_ends_run(status)) { /* it holds up no other */
            tiering_note_failure(run, &packs[i].id, status, error);
            status = 0;
        }
    }
    if (compaction.has_row) {
        struct jini_error seal_error;
        int sealed = seal(&compaction, &seal_error);
        if (status == 0 && sealed) {
            *error = seal_error;
            status = sealed;
        }
    }
    pack_file_close(compaction.file);
    if (!compaction.has_row && !compaction.may_have_row && compaction.file)
        pack_path_remove(run->jini->directory_fd, &compaction.row.id, NULL);
    return status;
}
