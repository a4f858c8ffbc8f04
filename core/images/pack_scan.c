/* Walking through a pack, by its footer or from record to record. */
#include "images/pack_scan.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/pack_footer.h"
#include "images/pack_part.h"

/* Pieces in which bytes are read; a whole number of blocks. */
enum { CHUNK_BYTES = 4 * PACK_BLOCK_BYTES };

struct scan {
    const struct pack_source *source;
    struct pack_scan_options options;
    pack_scan_fn *visit;
    void *context;
    struct pack_scan_result *result;
    struct jini_error *error;
    struct jini_error damage; /* of the part that was looked at last */
    struct hash_stream *stream;
    uint8_t *chunk;
    uint8_t *table;
    uint64_t position;
    uint32_t next_sequence;
    bool after_gap; /* records may be missing before this position */
};

static bool fatal(int status)
{
    return status != 0 && status != JINI_E_CORRUPT;
}

/* Ends the walk: what was found stands in `damage`. */
static int give_up(struct scan *scan, int status)
{
    if (scan->error)
        *scan->error = scan->damage;
    return status;
}

static int report(struct scan *scan, struct pack_scan_item item)
{
    struct pack_scan_result *result = scan->result;
    if (item.status) {
        item.damage = &scan->damage;
        result->damaged++;
    } else {
        result->records++;
        result->payload_bytes += item.entry->stored_length;
    }
    return scan->visit ? scan->visit(scan->context, &item) : 0;
}

static int report_record(struct scan *scan, int status, const struct pack_entry *entry)
{
    return report(
        scan, (struct pack_scan_item){
                  .part = PACK_PART_RECORD,
                  .status = status,
                  .offset = entry->offset,
                  .length = pack_record_length(entry->stored_length, entry->metadata_stored_length),
                  .entry = entry,
              });
}

static int report_gap(struct scan *scan, uint64_t from, uint64_t to)
{
    return report(scan, (struct pack_scan_item){.part = PACK_PART_GAP,
                                                .status = JINI_E_CORRUPT,
                                                .offset = from,
                                                .length = to - from});
}

static uint64_t entry_end(const struct pack_entry *entry)
{
    return entry->offset + pack_record_length(entry->stored_length, entry->metadata_stored_length);
}

/* Verifying one record whose header holds. Failures go to `damage`. */

static int read_at(struct scan *scan, uint64_t offset, void *to, size_t length)
{
    return pack_source_read(scan->source, offset, to, length, &scan->damage);
}

static int damaged(struct scan *scan, uint64_t offset, uint32_t sequence, const char *what)
{
    return pack_corrupt(&scan->damage, &scan->source->pack, offset, "%s of record %u", what,
                        sequence);
}

static int verify_table(struct scan *scan, const struct pack_record *record, uint64_t offset)
{
    uint32_t bytes = pack_table_bytes(record->stored_length);
    int status = read_at(scan, offset + PACK_RECORD_HEADER_BYTES, scan->table, bytes);
    if (!status && hash64(slice_of(scan->table, bytes)) != record->table_checksum)
        status = damaged(scan, offset, record->sequence, "a wrong checksum of the block table");
    return status;
}

static int verify_metadata(struct scan *scan, const struct pack_record *record, uint64_t offset)
{
    size_t length = record->metadata_stored_length;
    uint8_t *bytes = length > CHUNK_BYTES ? base_malloc(length) : scan->chunk;
    if (!bytes)
        return error_set(&scan->damage, JINI_E_NO_MEMORY, "pack",
                         "no memory for metadata of %zu bytes; try later", length);
    int status = read_at(scan, offset + pack_metadata_at(record->stored_length), bytes, length);
    if (!status && hash64(slice_of(bytes, length)) != record->metadata_checksum)
        status = damaged(scan, offset, record->sequence, "a wrong checksum of the metadata");
    if (bytes != scan->chunk)
        base_free(bytes);
    return status;
}

static int verify_blocks(struct scan *scan, const struct pack_record *record, uint64_t offset,
                         uint64_t from, size_t length)
{
    for (size_t at = 0; at < length; at += PACK_BLOCK_BYTES) {
        size_t left = length - at;
        struct slice block =
            slice_of(scan->chunk + at, left < PACK_BLOCK_BYTES ? left : PACK_BLOCK_BYTES);
        uint32_t index = (uint32_t)((from + at) / PACK_BLOCK_BYTES);
        if (!pack_table_holds(scan->table, index, block))
            return pack_corrupt(&scan->damage, &scan->source->pack, offset,
                                "a wrong checksum of block %u of record %u", index,
                                record->sequence);
    }
    return 0;
}

static int verify_payload(struct scan *scan, const struct pack_record *record, uint64_t offset)
{
    uint64_t begin =
        offset + pack_payload_at(record->stored_length, record->metadata_stored_length);
    hash_stream_reset(scan->stream);
    for (uint64_t at = 0; at < record->stored_length; at += CHUNK_BYTES) {
        uint64_t left = record->stored_length - at;
        size_t length = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        int status = read_at(scan, begin + at, scan->chunk, length);
        if (!status)
            status = verify_blocks(scan, record, offset, at, length);
        if (status)
            return status;
        hash_stream_add(scan->stream, slice_of(scan->chunk, length));
    }
    struct hash128 hash = hash_stream_128(scan->stream);
    if (!hash128_equal(&hash, &record->stored_hash))
        return damaged(scan, offset, record->sequence, "a wrong checksum of the payload");
    return 0;
}

static int verify_padding(struct scan *scan, const struct pack_record *record, uint64_t offset)
{
    uint64_t used = pack_payload_at(record->stored_length, record->metadata_stored_length) +
                    record->stored_length;
    size_t length = (size_t)(pack_align(used) - used);
    uint8_t padding[PACK_ALIGNMENT];
    int status = read_at(scan, offset + used, padding, length);
    if (!status && !pack_all_zero(padding, length))
        status = damaged(scan, offset, record->sequence, "padding that is not zero, at the end");
    return status;
}

static int verify_record(struct scan *scan, const struct pack_record *record, uint64_t offset)
{
    if (scan->options.depth == PACK_SCAN_HEADERS)
        return 0;
    int status = verify_table(scan, record, offset);
    if (!status)
        status = verify_metadata(scan, record, offset);
    if (!status)
        status = verify_payload(scan, record, offset);
    return status ? status : verify_padding(scan, record, offset);
}

/* Walking by the footer. */

static int verify_entry(struct scan *scan, const struct pack_entry *entry)
{
    uint8_t header[PACK_RECORD_HEADER_BYTES];
    struct pack_record record;
    int status = read_at(scan, entry->offset, header, sizeof(header));
    if (!status)
        status = pack_record_decode(slice_of(header, sizeof(header)), &scan->source->pack,
                                    entry->offset, &record, &scan->damage);
    if (status)
        return status;
    struct pack_entry found = pack_entry_of(&record, entry->offset);
    if (!pack_entry_equal(&found, entry))
        return damaged(scan, entry->offset, entry->sequence,
                       "another header than the footer tells");
    return verify_record(scan, &record, entry->offset);
}

static int report_gap_before(struct scan *scan, uint64_t to)
{
    if (scan->position == to)
        return 0;
    pack_corrupt(&scan->damage, &scan->source->pack, scan->position,
                 "%llu bytes were not legible when the pack was sealed",
                 (unsigned long long)(to - scan->position));
    return report_gap(scan, scan->position, to);
}

static int scan_contents(struct scan *scan, const struct pack_contents *contents)
{
    for (uint32_t i = 0; i < contents->count; i++) {
        const struct pack_entry *entry = &contents->entries[i];
        int status = report_gap_before(scan, entry->offset);
        if (status)
            return status;
        status = verify_entry(scan, entry);
        if (fatal(status))
            return give_up(scan, status);
        status = report_record(scan, status, entry);
        if (status)
            return status;
        scan->position = entry_end(entry);
    }
    int status = report_gap_before(scan, contents->footer_offset);
    scan->position = contents->footer_offset;
    return status;
}

/* Walking from record to record. */

/*
 * What stands at a position: a record with a header that holds (and its status), a footer, or
 * neither.
 */
struct found {
    bool is_footer;
    bool is_record;
    int status;
    struct pack_entry entry;
};

static bool sequence_fits(const struct scan *scan, uint32_t sequence)
{
    return scan->after_gap ? sequence >= scan->next_sequence : sequence == scan->next_sequence;
}

/* Decodes what begins at `offset`, header only. Returns fatal errors; the rest stands in `out`. */
static int decode_at(struct scan *scan, uint64_t offset, struct found *out,
                     struct pack_record *record)
{
    memset(out, 0, sizeof(*out));
    uint64_t left = scan->result->length - offset;
    uint8_t header[PACK_RECORD_HEADER_BYTES];
    size_t length = left < sizeof(header) ? (size_t)left : sizeof(header);
    struct slice bytes = slice_of(header, length);
    int status = read_at(scan, offset, header, length);
    if (!status && pack_looks_like_footer(bytes)) {
        struct pack_footer footer;
        status = pack_footer_decode(bytes, &scan->source->pack, offset, &footer, &scan->damage);
        out->is_footer = status == 0;
    } else if (!status) {
        status = pack_record_decode(bytes, &scan->source->pack, offset, record, &scan->damage);
        if (!status && !sequence_fits(scan, record->sequence))
            status = pack_corrupt(&scan->damage, &scan->source->pack, offset,
                                  "record %u stands where record %u is due", record->sequence,
                                  scan->next_sequence);
        out->is_record = status == 0;
    }
    out->status = status;
    return fatal(status) ? status : 0;
}

static int look_at(struct scan *scan, uint64_t offset, struct found *out)
{
    struct pack_record record;
    int status = decode_at(scan, offset, out, &record);
    if (status || !out->is_record)
        return status;
    out->entry = pack_entry_of(&record, offset);
    if (entry_end(&out->entry) > scan->result->length)
        status = damaged(scan, offset, record.sequence, "the end of the file in the middle");
    else
        status = verify_record(scan, &record, offset);
    out->status = status;
    return fatal(status) ? status : 0;
}

/*
 * Looks for the next header that holds, from `position` to `limit`; `out` is `limit` when there is
 * none.
 */
static int find_next(struct scan *scan, uint64_t limit, uint64_t *out)
{
    uint64_t offset = scan->position + PACK_ALIGNMENT;
    *out = limit;
    while (offset < limit) {
        uint64_t left = limit - offset;
        size_t length = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        int status = read_at(scan, offset, scan->chunk, length);
        if (status)
            return fatal(status) ? status : 0;
        for (size_t at = 0; at < length; at += PACK_ALIGNMENT) {
            struct slice bytes = slice_of(scan->chunk + at, length - at);
            if (!pack_looks_like_record(bytes) && !pack_looks_like_footer(bytes))
                continue;
            struct found found;
            struct pack_record record;
            status = decode_at(scan, offset + at, &found, &record);
            if (status)
                return status;
            if (found.is_record || found.is_footer) {
                *out = offset + at;
                return 0;
            }
        }
        offset += length;
    }
    return 0;
}

/* Reports a stretch without a legible header, and goes on behind it. */
static int pass_gap(struct scan *scan)
{
    struct jini_error damage = scan->damage;
    uint64_t end = scan->options.acknowledged_end;
    uint64_t limit = end < scan->result->length ? end : scan->result->length;
    uint64_t next;
    scan->after_gap = true;
    int status = find_next(scan, limit, &next);
    if (status)
        return give_up(scan, status);
    if (next == scan->result->length && end != PACK_ACKNOWLEDGED_ALL)
        next = end;
    scan->damage = damage;
    status = report_gap(scan, scan->position, next);
    scan->position = pack_align(next);
    return status;
}

static int classify_tail(struct scan *scan, const struct found *found)
{
    struct pack_scan_result *result = scan->result;
    result->tail = found->is_record ? PACK_TAIL_RECORD : PACK_TAIL_ZERO;
    for (uint64_t at = scan->position; result->tail == PACK_TAIL_ZERO && at < result->length;
         at += CHUNK_BYTES) {
        uint64_t left = result->length - at;
        size_t length = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        int status = read_at(scan, at, scan->chunk, length);
        if (fatal(status))
            return give_up(scan, status);
        if (status || !pack_all_zero(scan->chunk, length))
            result->tail = PACK_TAIL_GARBAGE;
    }
    return 0;
}

/* Takes what stands at the position. `done` when the record area ends there. */
static int step(struct scan *scan, bool *done)
{
    struct found found;
    int status = look_at(scan, scan->position, &found);
    if (status)
        return give_up(scan, status);
    *done = true;
    if (found.is_footer) {
        scan->result->tail = PACK_TAIL_FOOTER;
        return 0;
    }
    if (found.status && scan->position >= scan->options.acknowledged_end)
        return classify_tail(scan, &found);
    *done = false;
    if (!found.is_record)
        return pass_gap(scan);
    scan->position = entry_end(&found.entry);
    scan->next_sequence = found.entry.sequence + 1;
    scan->after_gap = false;
    return report_record(scan, found.status, &found.entry);
}

static int scan_forward(struct scan *scan)
{
    bool done = false;
    int status = 0;
    while (!status && !done && scan->position < scan->result->length)
        status = step(scan, &done);
    uint64_t end = scan->options.acknowledged_end;
    if (status || done || end == PACK_ACKNOWLEDGED_ALL || scan->position >= end)
        return status;
    pack_corrupt(&scan->damage, &scan->source->pack, scan->position,
                 "the file ends and %llu bytes are missing",
                 (unsigned long long)(end - scan->position));
    status = report_gap(scan, scan->position, end);
    scan->position = end;
    return status;
}

/* The whole. */

static int scan_header(struct scan *scan)
{
    uint8_t *header = scan->chunk;
    uint64_t length = scan->result->length;
    size_t bytes = length < PACK_HEADER_BYTES ? (size_t)length : PACK_HEADER_BYTES;
    int status = read_at(scan, 0, header, bytes);
    if (!status)
        status = pack_header_decode(slice_of(header, bytes), &scan->source->pack,
                                    &scan->result->header, &scan->damage);
    if (fatal(status))
        return give_up(scan, status);
    if (!status)
        return 0;
    scan->result->header_damaged = true;
    return report(scan, (struct pack_scan_item){.part = PACK_PART_HEADER,
                                                .status = status,
                                                .length = PACK_HEADER_BYTES});
}

static int scan_records(struct scan *scan)
{
    struct pack_contents contents;
    int status = pack_contents_read(scan->source, &contents, &scan->damage);
    if (fatal(status) && status != JINI_E_NOT_FOUND)
        return give_up(scan, status);
    if (!status) {
        scan->result->sealed = true;
        status = scan_contents(scan, &contents);
        pack_contents_free(&contents);
        return status;
    }
    /*
     * A whole trailer is proof of a sealed pack, unless the index tells that sealing was
     * interrupted.
     */
    bool was_sealed = scan->options.expected == PACK_STATE_SEALED ||
                      (scan->options.expected == PACK_STATE_UNKNOWN && status == JINI_E_CORRUPT);
    if (!was_sealed)
        return scan_forward(scan);
    if (status == JINI_E_NOT_FOUND)
        pack_corrupt(&scan->damage, &scan->source->pack, scan->result->length,
                     "it was sealed, and does not end in a trailer");
    scan->options.acknowledged_end = PACK_ACKNOWLEDGED_ALL;
    status = report(scan, (struct pack_scan_item){.part = PACK_PART_FOOTER,
                                                  .status = JINI_E_CORRUPT,
                                                  .offset = scan->result->length});
    return status ? status : scan_forward(scan);
}

int pack_scan(const struct pack_source *source, const struct pack_scan_options *options,
              pack_scan_fn *visit, void *context, struct pack_scan_result *result,
              struct jini_error *error)
{
    memset(result, 0, sizeof(*result));
    struct scan scan = {
        .source = source,
        .options = *options,
        .visit = visit,
        .context = context,
        .result = result,
        .error = error,
        .stream = hash_stream_new(),
        .chunk = base_malloc(CHUNK_BYTES),
        .table = base_malloc(pack_table_bytes(PACK_PAYLOAD_BYTES_MAX)),
        .position = PACK_HEADER_BYTES,
    };
    int status = 0;
    if (!scan.stream || !scan.chunk || !scan.table)
        status = error_set(error, JINI_E_NO_MEMORY, "pack", "no memory to scan a pack; try later");
    if (!status)
        status = pack_source_length(source, &result->length, error);
    if (!status)
        status = scan_header(&scan);
    if (!status)
        status = scan_records(&scan);
    result->end = scan.position;
    base_free(scan.table);
    base_free(scan.chunk);
    hash_stream_free(scan.stream);
    return status;
}
