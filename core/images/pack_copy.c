/* Records on their way to another pack. */
#include "images/pack_copy.h"

#include "base/alloc.h"
#include "base/error.h"

int pack_copy_alloc(const struct index_location *location, struct pack_copy *out,
                    struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    if (location->stored_length > PACK_PAYLOAD_BYTES_MAX ||
        location->metadata_stored_length > PACK_METADATA_BYTES_MAX)
        return pack_corrupt(error, &location->pack, location->offset,
                            "the index tells of a record that is longer than any can be");
    out->length =
        (size_t)pack_record_length(location->stored_length, location->metadata_stored_length);
    out->bytes = base_malloc(out->length);
    return out->bytes ? 0 : error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
}

void pack_copy_free(struct pack_copy *copy)
{
    base_free(copy->bytes);
    copy->bytes = NULL;
}

static struct slice metadata_of(const struct pack_copy *copy, const struct index_location *location)
{
    return slice_of(copy->bytes + pack_metadata_at(location->stored_length),
                    location->metadata_stored_length);
}

static struct slice payload_of(const struct pack_copy *copy, const struct index_location *location)
{
    return slice_of(copy->bytes +
                        pack_payload_at(location->stored_length, location->metadata_stored_length),
                    (size_t)location->stored_length);
}

static struct hash128 body_of(const struct pack_copy *copy, const struct index_location *location)
{
    size_t end =
        (size_t)(pack_payload_at(location->stored_length, location->metadata_stored_length) +
                 location->stored_length);
    return hash128(
        slice_of(copy->bytes + PACK_RECORD_HEADER_BYTES, end - PACK_RECORD_HEADER_BYTES));
}

/* The header, if it is legible and of the record that the location means. */
static int read_header(const struct pack_copy *copy, const struct index_location *location,
                       struct pack_record *out, struct jini_error *error)
{
    int status = pack_record_decode(slice_of(copy->bytes, copy->length), &location->pack,
                                    location->offset, out, error);
    if (status)
        return status;
    if (out->sequence != location->sequence)
        return pack_corrupt(error, &location->pack, location->offset,
                            "it holds record %u and not %u", out->sequence, location->sequence);
    return index_check_record(location, out, error);
}

static bool metadata_holds(const struct pack_copy *copy, const struct index_location *location,
                           const struct pack_record *record)
{
    return hash64(metadata_of(copy, location)) == record->metadata_checksum;
}

static bool payload_holds(const struct pack_copy *copy, const struct index_location *location,
                          const struct pack_record *record)
{
    struct hash128 hash = hash128(payload_of(copy, location));
    return hash128_equal(&hash, &record->stored_hash);
}

static int check_whole(const struct pack_copy *copy, const struct index_location *location,
                       struct pack_record *record, struct jini_error *error)
{
    int status = read_header(copy, location, record, error);
    if (status)
        return status;
    if (!metadata_holds(copy, location, record))
        return pack_corrupt(error, &location->pack, location->offset,
                            "the metadata of record %u fails its checksum", location->sequence);
    if (!payload_holds(copy, location, record))
        return pack_corrupt(error, &location->pack, location->offset,
                            "the payload of record %u fails its checksum", location->sequence);
    return 0;
}

/* The table is made anew from a payload that holds. */
static void fill_table(struct pack_copy *copy, const struct index_location *location,
                       struct pack_record *record)
{
    uint8_t *table = copy->bytes + PACK_RECORD_HEADER_BYTES;
    pack_table_fill(payload_of(copy, location), table);
    record->table_checksum = hash64(slice_of(table, pack_table_bytes(location->stored_length)));
}

static void prepare(struct pack_copy *copy, const struct index_location *location,
                    const struct pack_record *record)
{
    struct pack_prepared *prepared = &copy->prepared;
    prepared->record = *record;
    prepared->record.image = location->image; /* of one that lives, if several share the record */
    prepared->metadata = metadata_of(copy, location);
    prepared->payload = payload_of(copy, location);
    prepared->length = copy->length;
    prepared->head = copy->bytes;
    prepared->head_bytes = (size_t)pack_metadata_at(location->stored_length);
}

int pack_copy_take(struct pack_copy *copy, const struct index_location *location,
                   struct jini_error *error)
{
    struct pack_record record;
    int status = check_whole(copy, location, &record, error);
    if (status)
        return status;
    fill_table(copy, location, &record);
    prepare(copy, location, &record);
    return 0;
}

bool pack_copy_is_named(const struct pack_copy *copy, const struct index_location *location)
{
    struct pack_record record;
    return read_header(copy, location, &record, NULL) == 0;
}

/*
 * What the index knows of a record whose header is not legible. The hash of an uncoded payload is
 * among it; checksums that it does not know are zero, which nothing has.
 */
static struct pack_record record_of(const struct index_location *location)
{
    struct pack_record record = {
        .kind = PACK_KIND_IMAGE,
        .original_length = location->original_length,
        .stored_length = location->stored_length,
        .metadata_original_length = location->metadata_original_length,
        .metadata_stored_length = location->metadata_stored_length,
        .codec = {location->codec_id, location->codec_version},
        .metadata_codec = {location->metadata_codec_id, location->metadata_codec_version},
        .original_hash = location->original_hash,
    };
    if (location->codec_id == PACK_CODEC_NONE)
        record.stored_hash = location->original_hash;
    if (location->metadata_stored_length == 0)
        record.metadata_checksum = hash64(slice_of(NULL, 0));
    return record;
}

void pack_copy_take_damaged(struct pack_copy *copy, const struct index_location *location)
{
    struct pack_record record;
    if (read_header(copy, location, &record, NULL) != 0)
        record = record_of(location);
    bool holds = payload_holds(copy, location, &record);
    if (holds)
        fill_table(copy, location, &record);
    copy->damaged = !holds || !metadata_holds(copy, location, &record);
    copy->body = body_of(copy, location);
    prepare(copy, location, &record);
}

int pack_copy_check(const struct pack_copy *found, const struct index_location *location,
                    const struct hash128 *body, struct jini_error *error)
{
    struct pack_record record;
    if (!body)
        return check_whole(found, location, &record, error);
    int status = read_header(found, location, &record, error);
    struct hash128 hash = body_of(found, location);
    if (status == 0 && !hash128_equal(&hash, body))
        return pack_corrupt(error, &location->pack, location->offset,
                            "the copy of damaged record %u is another one", location->sequence);
    return status;
}
