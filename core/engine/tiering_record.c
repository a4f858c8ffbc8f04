/* Single records, read to be copied to another pack, or to be compared. */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "images/pack_footer.h"

static bool has_object(const struct index_pack *pack)
{
    return pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
}

/* ---- Bytes, unchecked ---- */

enum reading { CACHED, FROM_DISK, FROM_OBJECT };

/* Of a file that has become shorter the missing bytes are zeros. */
static int read_file(const struct pack_source *source, const struct index_location *location,
                     enum reading reading, struct pack_copy *out, struct jini_error *error)
{
    uint64_t length;
    if (reading == FROM_DISK)
        pack_source_forget(source, location->offset, out->length);
    int status = pack_source_length(source, &length, error);
    if (status)
        return status;
    uint64_t left = length > location->offset ? length - location->offset : 0;
    size_t there = left < out->length ? (size_t)left : out->length;
    memset(out->bytes + there, 0, out->length - there);
    return pack_source_read(source, location->offset, out->bytes, there, error);
}

static int read_local(const struct tiering_run *run, const struct index_location *location,
                      enum reading reading, struct pack_copy *out, struct jini_error *error)
{
    const struct pack_source *source;
    int status = pack_files_acquire(run->jini->pack_files, &location->pack, &source, error);
    if (status)
        return status;
    status = read_file(source, location, reading, out, error);
    pack_files_release(run->jini->pack_files, source);
    return status;
}

/* Of an object that ends before the record does all bytes are zeros. */
static int read_object(const struct tiering_run *run, const struct index_pack *pack,
                       const struct index_location *location, struct pack_copy *out,
                       struct jini_error *error)
{
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(pack, name);
    struct archive_request request = {
        .operation = ARCHIVE_GET,
        .name = slice_of_text(name),
        .deadline_ns = archives_deadline(run->jini, out->length),
        .get = {.offset = location->offset,
                .length = out->length,
                .buffer = out->bytes,
                .capacity = out->length},
    };
    int status = tiering_ask(run, &request, error);
    if (status != JINI_E_CORRUPT)
        return status;
    memset(out->bytes, 0, out->length);
    return 0;
}

/* ---- Records that hold ---- */

static int take_local(const struct tiering_run *run, const struct index_location *location,
                      struct pack_copy *copy, struct jini_error *error)
{
    int status = read_local(run, location, CACHED, copy, error);
    return status ? status : pack_copy_take(copy, location, error);
}

static int take_object(const struct tiering_run *run, const struct index_pack *pack,
                       const struct index_location *location, struct pack_copy *copy,
                       struct jini_error *error)
{
    int status = read_object(run, pack, location, copy, error);
    return status ? status : pack_copy_take(copy, location, error);
}

int tiering_record_read(const struct tiering_run *run, const struct index_pack *pack,
                        const struct index_location *location, struct pack_copy *out,
                        struct jini_error *error)
{
    int status = pack_copy_alloc(location, out, error);
    if (status)
        return status;
    bool local = pack->state != INDEX_PACK_COLD;
    if (local)
        status = take_local(run, location, out, error);
    bool damaged = status == JINI_E_CORRUPT;
    if (has_object(pack) && (!local || status))
        status = take_object(run, pack, location, out, error);
    if (damaged && status == JINI_E_NOT_FOUND) /* it is in no other copy */
        status = error_set(error, JINI_E_CORRUPT, "pack",
                           "record %u is damaged, and the object of its pack is lost",
                           location->sequence);
    if (status)
        pack_copy_free(out);
    return status;
}

int tiering_record_check(const struct tiering_run *run, const struct index_location *location,
                         const struct hash128 *body, struct jini_error *error)
{
    struct pack_copy found;
    int status = pack_copy_alloc(location, &found, error);
    if (status == 0)
        status = read_local(run, location, FROM_DISK, &found, error);
    if (status == 0)
        status = pack_copy_check(&found, location, body, error);
    pack_copy_free(&found);
    return status;
}

/* ---- Records that do not hold ---- */

/*
 * The footer of a local pack, which has a checksum of its own, tells of the record what the index
 * does.
 */
static bool footer_names(const struct tiering_run *run, const struct index_location *location)
{
    const struct pack_source *source;
    struct pack_contents contents;
    if (pack_files_acquire(run->jini->pack_files, &location->pack, &source, NULL) != 0)
        return false;
    int status = pack_contents_read(source, &contents, NULL);
    pack_files_release(run->jini->pack_files, source);
    if (status)
        return false;
    bool named = false;
    for (uint32_t i = 0; i < contents.count && !named; i++) {
        const struct pack_entry *entry = &contents.entries[i];
        named = entry->sequence == location->sequence && entry->offset == location->offset &&
                entry->stored_length == location->stored_length &&
                entry->metadata_stored_length == location->metadata_stored_length &&
                hash128_equal(&entry->original_hash, &location->original_hash);
    }
    pack_contents_free(&contents);
    return named;
}

/*
 * Reads the record twice at one place. 0: a reading holds, it was the way that was bad. `*agree`:
 * none does, and they agree in every byte. Else there is doubt.
 */
static int read_twice(const struct tiering_run *run, const struct index_pack *pack,
                      const struct index_location *location, enum reading reading,
                      struct pack_copy *out, bool *agree, struct jini_error *error)
{
    struct hash128 readings[2];
    *agree = false;
    for (int i = 0; i < 2; i++) {
        int status = reading == FROM_OBJECT ? read_object(run, pack, location, out, error)
                                            : read_local(run, location, reading, out, error);
        if (status)
            return status;
        status = pack_copy_take(out, location, error);
        if (status != JINI_E_CORRUPT)
            return status;
        readings[i] = hash128(slice_of(out->bytes, out->length));
    }
    *agree = hash128_equal(&readings[0], &readings[1]);
    return *agree ? JINI_E_CORRUPT
                  : error_set(error, JINI_E_IO, "pack",
                              "two readings of record %u differ; it stays where it is",
                              location->sequence);
}

/* JINI_E_CORRUPT: what was read may be a record, or not. */
static int take_damaged(const struct tiering_run *run, const struct index_pack *pack,
                        const struct index_location *location, struct pack_copy *copy,
                        struct jini_error *error)
{
    bool local = pack->state != INDEX_PACK_COLD;
    if (!pack_copy_is_named(copy, location) && !(local && footer_names(run, location)))
        return pack_corrupt(error, &location->pack, location->offset,
                            "nothing but the index says that record %u stands there",
                            location->sequence);
    pack_copy_take_damaged(copy, location);
    return 0;
}

int tiering_record_damaged(const struct tiering_run *run, const struct index_pack *pack,
                           const struct index_location *location, struct pack_copy *out,
                           struct jini_error *error)
{
    int status = pack_copy_alloc(location, out, error);
    if (status)
        return status;
    bool agree = false;
    if (has_object(pack))
        status = read_twice(run, pack, location, FROM_OBJECT, out, &agree, error);
    if (pack->state != INDEX_PACK_COLD && (agree || !has_object(pack)))
        status = read_twice(run, pack, location, FROM_DISK, out, &agree, error);
    if (agree)
        status = take_damaged(run, pack, location, out, error);
    if (status)
        pack_copy_free(out);
    return status;
}
