/*
 * Any bytes as a pack: the walk ends, and what it calls whole can be read and checked in every way.
 *
 * The first byte tells what the index knows and whether checksums are mended, the second the
 * acknowledged end in steps of 64 bytes. What follows is the pack; when mended, only what follows
 * its header.
 */
#include "images/pack_scan.h"
#include "base/bytes.h"
#include "images/pack_footer.h"
#include "images/pack_read.h"

#include "fuzz.h"
#include "pack_mend.h"

#include <jini/status.h>

enum { MEND = 1, STATE_SHIFT = 1, STATE_MASK = 3, ALL_ACKNOWLEDGED = 8, HEADERS_ONLY = 16 };

struct walk {
    struct pack_source source;
    bool headers_only;
    uint64_t records;
};

/* A record that the walk calls whole is whole for all others, too. */
static void check_whole(const struct walk *walk, const struct pack_entry *entry)
{
    struct pack_place place = {entry->offset, entry->sequence};
    struct pack_record record;
    FUZZ_CHECK(pack_read_record(&walk->source, &place, &record, NULL) == 0);
    if (walk->headers_only)
        return;
    uint8_t *buffer = malloc((size_t)entry->stored_length + entry->metadata_stored_length + 1);
    FUZZ_CHECK(buffer != NULL);
    size_t length = (size_t)entry->stored_length;
    FUZZ_CHECK(pack_read_payload(&walk->source, &place, buffer, length, &record, NULL) == 0);
    FUZZ_CHECK(pack_read_range(&walk->source, &place, length / 2, buffer, length - length / 2,
                               &record, NULL) == 0);
    FUZZ_CHECK(pack_read_metadata(&walk->source, &place, buffer, entry->metadata_stored_length,
                                  &record, NULL) == 0);
    struct slice bytes = walk->source.bytes;
    struct slice metadata;
    struct slice payload;
    FUZZ_CHECK(pack_record_check(slice_of(bytes.data + entry->offset, bytes.length - entry->offset),
                                 &pack_mend_id, entry->offset, entry->sequence, &record, &metadata,
                                 &payload, NULL) == 0);
    FUZZ_CHECK(payload.length == length && metadata.length == entry->metadata_stored_length);
    free(buffer);
}

static int visit(void *context, const struct pack_scan_item *item)
{
    struct walk *walk = context;
    FUZZ_CHECK((item->status == 0) == (item->damage == NULL));
    if (item->status == 0) {
        FUZZ_CHECK(item->part == PACK_PART_RECORD && item->entry);
        walk->records++;
        check_whole(walk, item->entry);
    }
    return 0;
}

static void walk_through(struct slice bytes, uint8_t how, uint64_t acknowledged_end)
{
    struct walk walk = {.source = pack_source_of_bytes(&pack_mend_id, bytes),
                        .headers_only = how & HEADERS_ONLY};
    struct pack_scan_options options = {
        .depth = walk.headers_only ? PACK_SCAN_HEADERS : PACK_SCAN_EVERYTHING,
        .expected = (enum pack_state)((how >> STATE_SHIFT & STATE_MASK) % 3),
        .acknowledged_end = how & ALL_ACKNOWLEDGED ? PACK_ACKNOWLEDGED_ALL : acknowledged_end,
    };
    struct pack_scan_result result;
    int status = pack_scan(&walk.source, &options, visit, &walk, &result, NULL);
    FUZZ_CHECK(status == 0 || status == JINI_E_FORMAT);
    FUZZ_CHECK(walk.records == result.records && result.records <= PACK_RECORDS_MAX);
    FUZZ_CHECK(result.end % PACK_ALIGNMENT == 0 && result.end >= PACK_HEADER_BYTES);
    struct pack_contents contents;
    int listed = pack_contents_read(&walk.source, &contents, NULL);
    FUZZ_CHECK(status != 0 || (listed == 0) == result.sealed);
    pack_contents_free(&contents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 2)
        return 0;
    uint8_t how = data[0];
    uint64_t acknowledged_end = (uint64_t)data[1] * PACK_ALIGNMENT;
    size_t header_bytes = how & MEND ? PACK_HEADER_BYTES : 0;
    size_t total = header_bytes + length - 2;
    uint8_t *bytes = malloc(total ? total : 1);
    FUZZ_CHECK(bytes != NULL);
    if (how & MEND) {
        struct pack_header header = {.pack = pack_mend_id};
        pack_header_encode(&header, bytes);
        acknowledged_end += PACK_HEADER_BYTES;
    }
    if (length > 2)
        memcpy(bytes + header_bytes, data + 2, length - 2);
    if (how & MEND)
        pack_mend(bytes, total);
    walk_through(slice_of(bytes, total), how, acknowledged_end);
    free(bytes);
    return 0;
}
