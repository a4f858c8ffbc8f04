/* Reading one record, checked. */
#include "images/pack_read.h"

#include "base/alloc.h"
#include "base/error.h"

int pack_read_record(const struct pack_source *source, const struct pack_place *place,
                     struct pack_record *out, struct jini_error *error)
{
    uint8_t header[PACK_RECORD_HEADER_BYTES];
    memset(out, 0, sizeof(*out));
    int status = pack_source_read(source, place->offset, header, sizeof(header), error);
    if (!status)
        status = pack_record_decode(slice_of(header, sizeof(header)), &source->pack, place->offset,
                                    out, error);
    if (status)
        return status;
    if (out->sequence == place->sequence)
        return 0;
    uint32_t sequence = out->sequence;
    memset(out, 0, sizeof(*out));
    return pack_corrupt(error, &source->pack, place->offset, "it holds record %u and not %u",
                        sequence, place->sequence);
}

static int no_room(const struct pack_place *place, const char *what, uint64_t length,
                   size_t capacity, struct jini_error *error)
{
    return error_set(
        error, JINI_E_TOO_BIG, "buffer",
        "the %s of record %u is %llu bytes long, and the buffer holds %zu; give a larger one", what,
        place->sequence, (unsigned long long)length, capacity);
}

int pack_read_payload(const struct pack_source *source, const struct pack_place *place,
                      void *buffer, size_t capacity, struct pack_record *out,
                      struct jini_error *error)
{
    int status = pack_read_record(source, place, out, error);
    if (status)
        return status;
    if (out->stored_length > capacity)
        return no_room(place, "payload", out->stored_length, capacity, error);
    size_t length = (size_t)out->stored_length;
    uint64_t at = place->offset + pack_payload_at(out->stored_length, out->metadata_stored_length);
    status = pack_source_read(source, at, buffer, length, error);
    if (status)
        return status;
    struct hash128 hash = hash128(slice_of(buffer, length));
    if (!hash128_equal(&hash, &out->stored_hash))
        return pack_corrupt(error, &source->pack, place->offset,
                            "the payload of record %u fails its checksum", place->sequence);
    return 0;
}

int pack_read_metadata(const struct pack_source *source, const struct pack_place *place,
                       void *buffer, size_t capacity, struct pack_record *out,
                       struct jini_error *error)
{
    int status = pack_read_record(source, place, out, error);
    if (status)
        return status;
    size_t length = out->metadata_stored_length;
    if (length > capacity)
        return no_room(place, "metadata", length, capacity, error);
    uint64_t at = place->offset + pack_metadata_at(out->stored_length);
    status = pack_source_read(source, at, buffer, length, error);
    if (status)
        return status;
    if (hash64(slice_of(buffer, length)) != out->metadata_checksum)
        return pack_corrupt(error, &source->pack, place->offset,
                            "the metadata of record %u fails its checksum", place->sequence);
    return 0;
}

/* A range read in progress. */
struct range {
    const struct pack_source *source;
    const struct pack_place *place;
    const struct pack_record *record;
    uint64_t payload_at; /* in the pack */
    uint64_t from;       /* in the payload */
    uint64_t to;
    uint8_t *buffer; /* of the caller; its first byte is the payload's byte `from` */
    uint8_t *table;
    uint8_t *block; /* holds one block of which only a part is wanted */
};

/* Reads block `index`, compares it, and leaves its wanted bytes in the caller's buffer. */
static int range_block(struct range *range, uint32_t index, struct jini_error *error)
{
    uint64_t begin = (uint64_t)index * PACK_BLOCK_BYTES;
    uint64_t end = begin + PACK_BLOCK_BYTES;
    if (end > range->record->stored_length)
        end = range->record->stored_length;
    bool whole = begin >= range->from && end <= range->to;
    uint8_t *to = whole ? range->buffer + (begin - range->from) : range->block;
    size_t length = (size_t)(end - begin);
    int status = pack_source_read(range->source, range->payload_at + begin, to, length, error);
    if (status)
        return status;
    if (!pack_table_holds(range->table, index, slice_of(to, length)))
        return pack_corrupt(error, &range->source->pack, range->payload_at + begin,
                            "block %u of record %u fails its checksum", index,
                            range->place->sequence);
    if (whole)
        return 0;
    uint64_t first = begin > range->from ? begin : range->from;
    uint64_t last = end < range->to ? end : range->to;
    memcpy(range->buffer + (first - range->from), to + (first - begin), (size_t)(last - first));
    return 0;
}

static int range_table(struct range *range, struct jini_error *error)
{
    uint32_t bytes = pack_table_bytes(range->record->stored_length);
    uint64_t at = range->place->offset + PACK_RECORD_HEADER_BYTES;
    int status = pack_source_read(range->source, at, range->table, bytes, error);
    if (status)
        return status;
    if (hash64(slice_of(range->table, bytes)) != range->record->table_checksum)
        return pack_corrupt(error, &range->source->pack, at,
                            "the block table of record %u fails its checksum",
                            range->place->sequence);
    return 0;
}

int pack_read_range(const struct pack_source *source, const struct pack_place *place, uint64_t from,
                    void *buffer, size_t length, struct pack_record *out, struct jini_error *error)
{
    int status = pack_read_record(source, place, out, error);
    if (status)
        return status;
    if (from > out->stored_length || length > out->stored_length - from)
        return error_set(error, JINI_E_INVALID, "range",
                         "%zu bytes from %llu are wanted of a payload of %llu; ask for less",
                         length, (unsigned long long)from, (unsigned long long)out->stored_length);
    if (length == 0)
        return 0;
    uint32_t table_bytes = pack_table_bytes(out->stored_length);
    uint8_t *scratch = base_malloc((size_t)table_bytes + PACK_BLOCK_BYTES);
    if (!scratch)
        return error_set(error, JINI_E_NO_MEMORY, "range", "no memory to check a range; try later");
    struct range range = {
        .source = source,
        .place = place,
        .record = out,
        .payload_at =
            place->offset + pack_payload_at(out->stored_length, out->metadata_stored_length),
        .from = from,
        .to = from + length,
        .buffer = buffer,
        .table = scratch,
        .block = scratch + table_bytes,
    };
    status = range_table(&range, error);
    uint32_t last = (uint32_t)((range.to - 1) / PACK_BLOCK_BYTES);
    for (uint32_t i = (uint32_t)(from / PACK_BLOCK_BYTES); !status && i <= last; i++)
        status = range_block(&range, i, error);
    base_free(scratch);
    return status;
}
