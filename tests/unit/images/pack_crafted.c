/* Packs whose checksums hold and which are wrong all the same, as a defect could write them. */
#include "base/alloc.h"
#include "images/pack_footer.h"

#include "pack_support.h"

/* A pack under construction, in memory. */
struct draft {
    struct jini_id id;
    uint8_t *bytes;
    size_t length;
    uint32_t count;
    struct pack_entry entries[8];
};

static void draft_begin(struct draft *draft)
{
    struct pack_header header = support_header();
    *draft = (struct draft){.id = header.pack, .bytes = calloc(1, 1 << 20)};
    CHECK(draft->bytes);
    pack_header_encode(&header, draft->bytes);
    draft->length = PACK_HEADER_BYTES;
}

/* Adds a record of 200,000 bytes with this number, after `spoil` has had its way with it. */
static void draft_add(struct draft *draft, uint32_t sequence,
                      void (*spoil)(struct pack_record *record, uint8_t *table))
{
    struct support_image image;
    struct jini_id id = support_id();
    support_image_make(&image, &id, 200000, 70);
    struct pack_prepared *prepared = &image.prepared;
    prepared->record.sequence = sequence;
    uint8_t *table = prepared->head + PACK_RECORD_HEADER_BYTES;
    if (spoil)
        spoil(&prepared->record, table);
    pack_record_encode(&prepared->record, &draft->id, draft->length, prepared->head);
    draft->entries[draft->count++] = pack_entry_of(&prepared->record, draft->length);
    uint8_t *to = draft->bytes + draft->length;
    memcpy(to, prepared->head, prepared->head_bytes);
    memcpy(to + prepared->head_bytes, image.metadata, 70);
    memcpy(to + prepared->head_bytes + 70, image.payload, 200000);
    draft->length += (size_t)prepared->length;
    support_image_free(&image);
}

static void draft_seal(struct draft *draft)
{
    uint8_t *footer;
    size_t length;
    CHECK_OK(pack_footer_build(&draft->id, draft->entries, draft->count, draft->length, &footer,
                               &length, NULL));
    memcpy(draft->bytes + draft->length, footer, length);
    draft->length += length;
    base_free(footer);
}

static struct pack_scan_result draft_scan(const struct draft *draft, enum pack_state expected)
{
    return support_scan(&draft->id, draft->bytes, draft->length, expected, draft->length);
}

static void spoil_table(struct pack_record *record, uint8_t *table)
{
    table[9] ^= 1;
    record->table_checksum = hash64(slice_of(table, pack_table_bytes(record->stored_length)));
}

static void spoil_hash(struct pack_record *record, uint8_t *table)
{
    (void)table;
    record->stored_hash.bytes[3] ^= 1;
    record->original_hash = record->stored_hash;
}

TEST(every_checksum_is_compared,
     "A payload must agree with its hash and with its block table, each for itself.")
{
    struct draft draft;
    draft_begin(&draft);
    draft_add(&draft, 0, NULL);
    draft_add(&draft, 1, spoil_table);
    draft_add(&draft, 2, spoil_hash);
    draft_add(&draft, 3, NULL);
    struct pack_scan_result result = draft_scan(&draft, PACK_STATE_OPEN);
    CHECK_UINT(result.records, ==, 2);
    CHECK_UINT(result.damaged, ==, 2);
    draft_seal(&draft);
    result = draft_scan(&draft, PACK_STATE_SEALED);
    CHECK_UINT(result.records, ==, 2);
    CHECK_UINT(result.damaged, ==, 2);
    struct pack_source source =
        pack_source_of_bytes(&draft.id, slice_of(draft.bytes, draft.length));
    uint8_t *buffer = malloc(200000);
    struct pack_record record;
    struct pack_place wrong_table = {draft.entries[1].offset, 1};
    struct pack_place wrong_hash = {draft.entries[2].offset, 2};
    CHECK_OK(pack_read_payload(&source, &wrong_table, buffer, 200000, &record, NULL));
    CHECK_STATUS(pack_read_range(&source, &wrong_table, 70000, buffer, 1, &record, NULL),
                 JINI_E_CORRUPT);
    CHECK_STATUS(pack_read_payload(&source, &wrong_hash, buffer, 200000, &record, NULL),
                 JINI_E_CORRUPT);
    free(buffer);
    free(draft.bytes);
}

TEST(sequence_numbers_count, "A record with another number than is due is damage, and a torn tail "
                             "where nothing is acknowledged.")
{
    static const uint32_t wrong[] = {0, 2, 7, PACK_RECORDS_MAX - 1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct draft draft;
        draft_begin(&draft);
        draft_add(&draft, 0, NULL);
        draft_add(&draft, wrong[i], NULL);
        struct pack_scan_result result =
            support_scan(&draft.id, draft.bytes, draft.length, PACK_STATE_OPEN, 0);
        CHECK_UINT(result.records, ==, 1);
        CHECK_UINT(result.damaged, ==, 0);
        CHECK_UINT(result.end, ==, draft.entries[1].offset);
        result = draft_scan(&draft, PACK_STATE_OPEN);
        CHECK_UINT(result.damaged, ==, 1);
        free(draft.bytes);
    }
}

TEST(a_footer_must_tell_the_truth,
     "A footer that differs from a record's header is damage of that record.")
{
    struct draft draft;
    draft_begin(&draft);
    draft_add(&draft, 0, NULL);
    draft_add(&draft, 1, NULL);
    size_t record_end = draft.length;
    for (int field = 0; field < 4; field++) {
        struct pack_entry before = draft.entries[1];
        struct pack_entry *entry = &draft.entries[1];
        if (field == 0)
            entry->image.bytes[7] ^= 1;
        if (field == 1)
            entry->original_hash.bytes[0] ^= 1;
        if (field == 2)
            entry->sequence++;
        if (field == 3)
            entry->codec.version++;
        draft_seal(&draft);
        struct pack_scan_result result = draft_scan(&draft, PACK_STATE_SEALED);
        CHECK(result.sealed);
        CHECK_UINT(result.records, ==, 1);
        CHECK_UINT(result.damaged, ==, 1);
        draft.entries[1] = before;
        draft.length = record_end;
    }
    free(draft.bytes);
}

TEST(a_footer_must_be_in_order,
     "Entries that overlap, go backwards, repeat a number or leave the record area are refused.")
{
    struct draft draft;
    draft_begin(&draft);
    for (uint32_t i = 0; i < 3; i++)
        draft_add(&draft, i, NULL);
    size_t record_end = draft.length;
    const struct pack_entry good[3] = {draft.entries[0], draft.entries[1], draft.entries[2]};
    for (int fault = 0; fault < 8; fault++) {
        memcpy(draft.entries, good, sizeof(good));
        struct pack_entry *entry = &draft.entries[1];
        switch (fault) {
        case 0:
            entry->offset -= 64;
            break;
        case 1:
            draft.entries[2].sequence = 1;
            break;
        case 2:
            draft.entries[1] = good[2];
            draft.entries[2] = good[1];
            break;
        case 3:
            draft.entries[2].offset = record_end;
            break;
        case 4:
            draft.entries[2].stored_length += 64;
            break;
        case 5:
            draft.entries[0].offset = 0;
            break;
        case 6:
            entry->stored_length = UINT64_MAX - 63;
            break;
        default:
            entry->offset += 1;
        }
        draft_seal(&draft);
        struct pack_source source =
            pack_source_of_bytes(&draft.id, slice_of(draft.bytes, draft.length));
        struct pack_contents contents;
        CHECK_STATUS(pack_contents_read(&source, &contents, NULL), JINI_E_CORRUPT);
        struct pack_scan_result result = draft_scan(&draft, PACK_STATE_UNKNOWN);
        CHECK_UINT(result.records, ==, 3);
        CHECK_UINT(result.damaged, ==, 1);
        draft.length = record_end;
    }
    free(draft.bytes);
}

TEST(a_pack_ends_at_its_bound, "A record or trailer that lies behind the longest pack is refused.")
{
    struct jini_id pack = support_id();
    struct pack_record record = {.image = support_id(), .kind = PACK_KIND_IMAGE};
    record.original_hash = hash128(slice_of("", 0));
    record.stored_hash = record.original_hash;
    uint8_t bytes[PACK_RECORD_HEADER_BYTES];
    struct pack_record out;
    pack_record_encode(&record, &pack, PACK_BYTES_MAX - 256, bytes);
    struct slice slice = slice_of(bytes, sizeof(bytes));
    CHECK_OK(pack_record_decode(slice, &pack, PACK_BYTES_MAX - 256, &out, NULL));
    pack_record_encode(&record, &pack, PACK_BYTES_MAX - 192, bytes);
    CHECK_STATUS(pack_record_decode(slice, &pack, PACK_BYTES_MAX - 192, &out, NULL),
                 JINI_E_CORRUPT);
    struct pack_trailer trailer = {.pack = pack, .footer_offset = PACK_BYTES_MAX + 64};
    uint64_t offset = trailer.footer_offset + pack_footer_length(0);
    trailer.file_length = offset + PACK_TRAILER_BYTES;
    pack_trailer_encode(&trailer, bytes);
    CHECK_STATUS(pack_trailer_decode(slice, &pack, offset, &trailer, NULL), JINI_E_CORRUPT);
}
