/*
 * Where images' bytes are: records of images against locations, and locations against the records
 * of a pack.
 *
 * Both sides of the second come in the order of their sequence, so one page of locations at a time
 * is compared with the record that a scan of the pack has just met. A location that disagrees was
 * perhaps added, or taken away, after the scan began: it is read again, and so is the header at its
 * place, before it is a finding.
 *
 * A record may have another image's id than its location: images with the same bytes share one
 * record. So a different id alone is none, and with a different length or checksum the finding
 * names them.
 */
#include "engine/verify_private.h"

#include "base/tuple.h"
#include "generations/generations.h"
#include "images/pack_files.h"
#include "images/pack_read.h"

/* ---- Images and locations ---- */

static void compare_record(struct verifying *v, const struct generations_image *image,
                           const struct index_location *location)
{
    struct verify_place place = {.kind = "image_differs_from_location",
                                 .field = "bytes",
                                 .image = &image->image.id,
                                 .pack = &image->place.pack_id};
    if (location->original_length != image->image.bytes)
        verify_problem(v, &place, "bytes: the record says %llu, the location %llu",
                       (unsigned long long)image->image.bytes,
                       (unsigned long long)location->original_length);
    place.field = "hash";
    if (memcmp(location->original_hash.bytes, image->image.hash, 16) != 0)
        verify_problem(v, &place, "hash: record and location disagree about the checksum");
}

int verify_image_place(struct verifying *v, struct store_txn *txn, const struct jini_id *id)
{
    struct generations_image image;
    struct index_location location;
    struct index_pack pack;
    int status = generations_image_get(txn, id, &image, NULL);
    if (status)
        return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
    struct verify_place place = {.image = id, .pack = &image.place.pack_id, .field = "pack"};
    status =
        index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location);
    if (status == 0)
        compare_record(v, &image, &location);
    place.kind = "image_without_location";
    if (status == JINI_E_NOT_FOUND)
        verify_problem(v, &place, "pack: the index does not say where record %u of the pack is",
                       image.place.pack_sequence);
    if (status && status != JINI_E_NOT_FOUND && !status_is_damage(status))
        return status;
    status = index_pack_get(txn, &image.place.pack_id, &pack);
    place.kind = "image_without_pack";
    if (status == JINI_E_NOT_FOUND)
        verify_problem(v, &place, "pack: the pack of the image has no row");
    place.kind = "image_in_purged_pack";
    if (status == 0 && pack.state == INDEX_PACK_PURGING)
        verify_problem(v, &place, "pack: the pack of the image is being deleted");
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

static bool read_location_key(struct slice key, struct jini_id *pack, uint64_t *sequence,
                              struct jini_id *image)
{
    struct tuple_reader reader = tuple_reader_of(key);
    return tuple_next_id(&reader, pack) == 0 && tuple_next_uint(&reader, sequence) == 0 &&
           tuple_next_id(&reader, image) == 0 && reader.rest.length == 0 && *sequence <= UINT32_MAX;
}

static int check_location(struct verifying *v, struct store_txn *txn, struct slice key)
{
    struct jini_id pack;
    struct jini_id image;
    uint64_t sequence;
    struct generations_image found;
    struct index_location location;
    int status = store_has(txn, STORE_SPACE_LOCATIONS, key);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    struct verify_place place = {.kind = "location_key_damaged", .field = "key"};
    if (!read_location_key(key, &pack, &sequence, &image)) {
        verify_problem(v, &place, "key: " STORE_STRAY_KEY, key.length);
        return 0;
    }
    place = (struct verify_place){
        .kind = "location_damaged", .field = "row", .image = &image, .pack = &pack};
    status = index_location_get(txn, &pack, (uint32_t)sequence, &image, &location);
    if (status_is_damage(status))
        verify_problem(v, &place, "row: the location cannot be read (%s)",
                       jini_status_name(status));
    else if (status)
        return status;
    status = generations_image_get(txn, &image, &found, NULL);
    place.field = "image";
    place.kind = "location_without_image";
    if (status == JINI_E_NOT_FOUND)
        verify_problem(v, &place, "image: the index keeps bytes of no image");
    place.kind = "location_twice";
    if (status == 0 &&
        (!id_equal(&found.place.pack_id, &pack) || found.place.pack_sequence != sequence))
        verify_problem(v, &place, "image: the image's record names another place");
    return status_is_damage(status) || status == JINI_E_NOT_FOUND ? 0 : status;
}

struct location_run {
    struct verifying *v;
    uint64_t rows;
};

static int visit_location(void *context, struct slice key, struct slice value)
{
    struct location_run *run = context;
    struct store_txn *txn;
    (void)value;
    if (verify_cancelled(run->v))
        return JINI_E_CANCELLED;
    if (run->rows++ % VERIFY_PROGRESS_EVERY == 0)
        verify_progress(run->v, run->rows);
    int status = verify_snapshot(run->v, &txn);
    if (status)
        return status;
    status = check_location(run->v, txn, key);
    verify_snapshot_end(run->v, txn);
    return status;
}

int verify_locations(struct verifying *v)
{
    struct location_run run = {v, 0};
    verify_phase(v, "locations", STORE_SPACE_LOCATIONS);
    return verify_each(v, STORE_SPACE_LOCATIONS, visit_location, &run);
}

/* ---- Locations and the records of a pack ---- */

/* The field in which a location is not what the record's header says, or NULL. */
static const char *difference(const struct index_location *location, const struct pack_entry *entry)
{
    if (location->offset != entry->offset)
        return "offset";
    if (location->stored_length != entry->stored_length)
        return "stored_length";
    if (location->original_length != entry->original_length)
        return "original_length";
    if (!hash128_equal(&location->original_hash, &entry->original_hash))
        return "original_hash";
    if (location->metadata_stored_length != entry->metadata_stored_length ||
        location->metadata_original_length != entry->metadata_original_length)
        return "metadata_length";
    if (location->codec_id != entry->codec.id || location->codec_version != entry->codec.version)
        return "codec";
    return location->metadata_codec_id != entry->metadata_codec_id ? "metadata_codec" : NULL;
}

/* Reads the location again. JINI_E_NOT_FOUND: it is gone, or its pack is not on the local disk. */
static int read_again(struct verifying *v, struct index_location *location)
{
    struct index_location suspect = *location;
    struct index_pack pack;
    struct store_txn *txn;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = index_location_get(txn, &suspect.pack, suspect.sequence, &suspect.image, location);
    if (status == 0)
        status = index_pack_get(txn, &suspect.pack, &pack);
    verify_snapshot_end(v, txn);
    if (status_is_damage(status) ||
        (status == 0 && (pack.state == INDEX_PACK_COLD || pack.state == INDEX_PACK_PURGING)))
        return JINI_E_NOT_FOUND;
    return status;
}

static void report_difference(struct verifying *v, const struct index_location *location,
                              const struct pack_record *record)
{
    struct pack_entry entry = pack_entry_of(record, location->offset);
    const char *field = difference(location, &entry);
    if (!field)
        return;
    const struct verify_place place = {.kind = "location_differs_from_record",
                                       .field = field,
                                       .image = &location->image,
                                       .pack = &location->pack};
    verify_problem(v, &place, "%s: the location is not what record %u of the pack says, of %s",
                   field, location->sequence,
                   id_equal(&location->image, &entry.image) ? "this image" : "another image");
}

/* Looks again at a location that a scan met no such record for. */
static int check_suspect(struct verifying *v, struct index_location location)
{
    const struct pack_source *source;
    struct pack_record record;
    struct jini_error error;
    int status = read_again(v, &location);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    status = pack_files_acquire(v->jini->pack_files, &location.pack, &source, &error);
    if (status == JINI_E_NOT_FOUND || status == JINI_E_FORMAT)
        return 0;
    if (status)
        return status;
    const struct pack_place at = {location.offset, location.sequence};
    status = pack_read_record(source, &at, &record, &error);
    pack_files_release(v->jini->pack_files, source);
    if (status == 0)
        report_difference(v, &location, &record);
    if (status != JINI_E_CORRUPT)
        return 0; /* read errors and newer records are told of the pack as a whole */
    const struct verify_place place = {.kind = "location_without_record",
                                       .field = "offset",
                                       .image = &location.image,
                                       .pack = &location.pack};
    verify_problem(v, &place, "offset: record %u is not at %llu of the pack: %s", location.sequence,
                   (unsigned long long)location.offset, error.message);
    return 0;
}

static int list_more(struct verify_merge *merge)
{
    struct store_txn *txn;
    int status = verify_snapshot(merge->v, &txn);
    if (status)
        return status;
    merge->at = 0;
    status = index_location_list(txn, merge->pack, merge->any ? &merge->last : NULL, merge->page,
                                 VERIFY_LOCATIONS, &merge->count);
    verify_snapshot_end(merge->v, txn);
    merge->blocked = status_is_damage(status);
    merge->ended = status == 0 && merge->count < VERIFY_LOCATIONS;
    if (merge->count > 0) {
        merge->last = merge->page[merge->count - 1];
        merge->any = true;
    }
    return merge->blocked ? 0 : status;
}

/* The location that is next, or NULL when there is none to be read. */
static int peek(struct verify_merge *merge, const struct index_location **out)
{
    *out = NULL;
    if (merge->at == merge->count && !merge->ended && !merge->blocked) {
        int status = list_more(merge);
        if (status)
            return status;
    }
    if (merge->at < merge->count)
        *out = &merge->page[merge->at];
    return 0;
}

/* Goes round a row that cannot be read, to the locations of this record. */
static void unblock(struct verify_merge *merge, uint32_t sequence)
{
    if (!merge->blocked || merge->at < merge->count || sequence == 0)
        return;
    merge->last = (struct index_location){.pack = *merge->pack, .sequence = sequence - 1};
    memset(merge->last.image.bytes, 0xff, sizeof(merge->last.image.bytes));
    merge->any = true;
    merge->blocked = false;
}

int verify_merge_record(struct verify_merge *merge, const struct pack_entry *entry)
{
    const struct index_location *location;
    unblock(merge, entry->sequence);
    int status = peek(merge, &location);
    while (status == 0 && location && location->sequence <= entry->sequence) {
        if (location->sequence < entry->sequence || difference(location, entry))
            status = check_suspect(merge->v, *location);
        merge->at++;
        if (status == 0)
            status = peek(merge, &location);
    }
    return status;
}

int verify_merge_end(struct verify_merge *merge)
{
    const struct index_location *location;
    int status = peek(merge, &location);
    while (status == 0 && location) {
        status = check_suspect(merge->v, *location);
        merge->at++;
        if (status == 0)
            status = peek(merge, &location);
    }
    return status;
}
