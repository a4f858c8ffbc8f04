/* The parts of a pack, as bytes. */
#include "images/pack_format.h"

#include "pack_support.h"

static struct pack_record sample_record(void)
{
    struct pack_record record = {
        .image = support_id(),
        .original_length = 200000,
        .stored_length = 150000,
        .sequence = 7,
        .metadata_original_length = 3000,
        .metadata_stored_length = 1000,
        .kind = PACK_KIND_IMAGE,
        .codec = {3, 2},
        .metadata_codec = {1, 9},
        .table_checksum = harness_random(),
        .metadata_checksum = harness_random(),
    };
    support_fill(&record.image, 3, record.original_hash.bytes, 16);
    support_fill(&record.image, 4, record.stored_hash.bytes, 16);
    support_fill(&record.image, 5, record.key_id, sizeof(record.key_id));
    support_fill(&record.image, 6, record.nonce, sizeof(record.nonce));
    support_fill(&record.image, 7, record.metadata_nonce, sizeof(record.metadata_nonce));
    return record;
}

TEST(parts_come_back, "Every part that is encoded decodes to the same values.")
{
    uint8_t bytes[PACK_HEADER_BYTES];
    struct pack_header header = support_header();
    struct pack_header header_back;
    pack_header_encode(&header, bytes);
    CHECK_OK(pack_header_decode(slice_of(bytes, sizeof(bytes)), &header.pack, &header_back, NULL));
    CHECK(memcmp(&header, &header_back, sizeof(header)) == 0);

    struct pack_record record = sample_record();
    struct pack_record record_back;
    pack_record_encode(&record, &header.pack, 8192, bytes);
    struct slice slice = slice_of(bytes, PACK_RECORD_HEADER_BYTES);
    CHECK_OK(pack_record_decode(slice, &header.pack, 8192, &record_back, NULL));
    struct pack_entry entry = pack_entry_of(&record, 8192);
    struct pack_entry from_back = pack_entry_of(&record_back, 8192);
    CHECK(pack_entry_equal(&entry, &from_back));
    CHECK_BYTES(record.key_id, record_back.key_id, sizeof(record.key_id));
    CHECK_BYTES(record.nonce, record_back.nonce, sizeof(record.nonce));
    CHECK_BYTES(record.metadata_nonce, record_back.metadata_nonce, sizeof(record.nonce));
    CHECK_BYTES(&record.stored_hash, &record_back.stored_hash, 16);
    CHECK_UINT(record.table_checksum, ==, record_back.table_checksum);
    CHECK_UINT(record.metadata_checksum, ==, record_back.metadata_checksum);
    CHECK_UINT(record.metadata_codec.version, ==, record_back.metadata_codec.version);

    struct pack_footer footer = {.pack = header.pack, .offset = 1 << 20, .count = 5};
    struct pack_footer footer_back;
    pack_footer_encode(&footer, bytes);
    slice = slice_of(bytes, PACK_FOOTER_HEADER_BYTES);
    CHECK_OK(pack_footer_decode(slice, &header.pack, 1 << 20, &footer_back, NULL));
    CHECK_UINT(footer_back.count, ==, 5);

    struct pack_entry entry_back;
    pack_entry_encode(&entry, bytes);
    slice = slice_of(bytes, PACK_FOOTER_ENTRY_BYTES);
    CHECK_OK(pack_entry_decode(slice, &footer, 0, &entry_back, NULL));
    CHECK(pack_entry_equal(&entry, &entry_back));
}

/* Writes a number of `bytes` bytes over the part, and makes its checksum right again. */
static void patch(uint8_t *part, size_t length, size_t at, uint64_t value, size_t bytes,
                  uint64_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        part[at + i] = (uint8_t)(value >> (8 * i));
    store_le64(part + length - 8, hash64_seeded(slice_of(part, length - 8), seed));
}

static uint64_t seed_of(const struct jini_id *pack, uint64_t offset)
{
    uint8_t place[24];
    memcpy(place, pack->bytes, 16);
    store_le64(place + 16, offset);
    return hash64(slice_of(place, sizeof(place)));
}

static int decode_patched(const struct pack_record *record, size_t at, uint64_t value, size_t bytes)
{
    uint8_t header[PACK_RECORD_HEADER_BYTES];
    struct jini_id pack = support_id();
    struct pack_record out;
    pack_record_encode(record, &pack, 4096, header);
    patch(header, sizeof(header), at, value, bytes, seed_of(&pack, 4096));
    int status = pack_record_decode(slice_of(header, sizeof(header)), &pack, 4096, &out, NULL);
    struct pack_record zero = {0};
    if (status)
        CHECK(memcmp(&out, &zero, sizeof(out)) == 0);
    return status;
}

TEST(hostile_lengths_are_refused,
     "A record whose checksum holds and whose lengths break a bound is refused, whatever they are.")
{
    struct pack_record record = sample_record();
    CHECK_OK(decode_patched(&record, 40, 200000, 8));
    static const uint64_t over[] = {
        PACK_PAYLOAD_BYTES_MAX + 1, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX,
        UINT64_MAX - 4096};
    for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
        CHECK_STATUS(decode_patched(&record, 40, over[i], 8), JINI_E_CORRUPT);
        CHECK_STATUS(decode_patched(&record, 48, over[i], 8), JINI_E_CORRUPT);
    }
    CHECK_OK(decode_patched(&record, 48, PACK_PAYLOAD_BYTES_MAX, 8));
    CHECK_STATUS(decode_patched(&record, 56, PACK_METADATA_BYTES_MAX + 1, 4), JINI_E_CORRUPT);
    CHECK_STATUS(decode_patched(&record, 60, UINT32_MAX, 4), JINI_E_CORRUPT);
    CHECK_STATUS(decode_patched(&record, 8, PACK_RECORDS_MAX, 4), JINI_E_CORRUPT);
}

TEST(newer_versions_are_refused_as_newer, "A part that is whole and has a larger version, or what "
                                          "was zero is not, is newer and not damaged.")
{
    struct pack_record record = sample_record();
    CHECK_STATUS(decode_patched(&record, 4, 2, 2), JINI_E_FORMAT);
    CHECK_STATUS(decode_patched(&record, 6, 2, 2), JINI_E_FORMAT);
    CHECK_STATUS(decode_patched(&record, 12, 1, 4), JINI_E_FORMAT);
    CHECK_STATUS(decode_patched(&record, 200, 1, 1), JINI_E_FORMAT);

    uint8_t bytes[PACK_HEADER_BYTES];
    struct pack_header header = support_header();
    struct pack_header out;
    pack_header_encode(&header, bytes);
    patch(bytes, sizeof(bytes), 8, 2, 4, 0);
    struct jini_error error = {0};
    CHECK_STATUS(pack_header_decode(slice_of(bytes, sizeof(bytes)), NULL, &out, &error),
                 JINI_E_FORMAT);
    CHECK_CONTAINS(error.message, "version 2");
    pack_header_encode(&header, bytes);
    patch(bytes, sizeof(bytes), 2000, 1, 1, 0);
    CHECK_STATUS(pack_header_decode(slice_of(bytes, sizeof(bytes)), NULL, &out, NULL),
                 JINI_E_FORMAT);

    struct pack_footer footer = {.pack = header.pack, .offset = 4096};
    pack_footer_encode(&footer, bytes);
    patch(bytes, PACK_FOOTER_HEADER_BYTES, 6, 96, 2, 0);
    CHECK_STATUS(pack_footer_decode(slice_of(bytes, PACK_FOOTER_HEADER_BYTES), &header.pack, 4096,
                                    &footer, NULL),
                 JINI_E_FORMAT);
}

TEST(a_flipped_bit_is_damage, "Every bit of a header, footer or trailer matters.")
{
    uint8_t bytes[PACK_HEADER_BYTES];
    struct jini_id pack = support_id();
    struct pack_record record = sample_record();
    struct pack_record out;
    pack_record_encode(&record, &pack, 4096, bytes);
    for (unsigned bit = 0; bit < 8 * PACK_RECORD_HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_STATUS(
            pack_record_decode(slice_of(bytes, PACK_RECORD_HEADER_BYTES), &pack, 4096, &out, NULL),
            JINI_E_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    struct pack_trailer trailer = {.pack = pack,
                                   .footer_offset = 4096,
                                   .file_length = 4096 + pack_footer_length(3) + PACK_TRAILER_BYTES,
                                   .count = 3};
    uint64_t at = trailer.file_length - PACK_TRAILER_BYTES;
    pack_trailer_encode(&trailer, bytes);
    struct pack_trailer trailer_out;
    struct slice slice = slice_of(bytes, PACK_TRAILER_BYTES);
    CHECK_OK(pack_trailer_decode(slice, &pack, at, &trailer_out, NULL));
    CHECK_STATUS(pack_trailer_decode(slice, &pack, at + 64, &trailer_out, NULL), JINI_E_CORRUPT);
    for (unsigned bit = 0; bit < 8 * PACK_TRAILER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_STATUS(pack_trailer_decode(slice, &pack, at, &trailer_out, NULL), JINI_E_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(a_record_is_valid_at_its_place_only,
     "A record that was copied to another offset or another pack is refused.")
{
    uint8_t bytes[PACK_RECORD_HEADER_BYTES];
    struct jini_id pack = support_id();
    struct jini_id other = support_id();
    struct pack_record record = sample_record();
    struct pack_record out;
    pack_record_encode(&record, &pack, 4096, bytes);
    struct slice slice = slice_of(bytes, sizeof(bytes));
    CHECK_OK(pack_record_decode(slice, &pack, 4096, &out, NULL));
    CHECK_STATUS(pack_record_decode(slice, &pack, 4160, &out, NULL), JINI_E_CORRUPT);
    CHECK_STATUS(pack_record_decode(slice, &other, 4096, &out, NULL), JINI_E_CORRUPT);
    CHECK_STATUS(pack_record_decode(slice, &pack, 4097, &out, NULL), JINI_E_CORRUPT);
    CHECK_STATUS(pack_record_decode(slice, &pack, UINT64_MAX - 63, &out, NULL), JINI_E_CORRUPT);
    slice.length--;
    CHECK_STATUS(pack_record_decode(slice, &pack, 4096, &out, NULL), JINI_E_CORRUPT);
}

TEST(version_1_is_pinned,
     "The bytes of version 1 never change: a pack made of fixed values has a fixed hash.")
{
    struct jini_id pack = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct pack_header header = {pack, {{9}}, 77, 3, 20500};
    static uint8_t bytes[PACK_HEADER_BYTES + 1024];
    pack_header_encode(&header, bytes);
    struct pack_record record = {
        .image = {{42}},
        .original_length = 10,
        .stored_length = 20,
        .sequence = 5,
        .metadata_original_length = 30,
        .metadata_stored_length = 40,
        .kind = PACK_KIND_IMAGE,
        .codec = {6, 7},
        .metadata_codec = {8, 9},
        .original_hash = {{1}},
        .stored_hash = {{2}},
        .table_checksum = 3,
        .metadata_checksum = 4,
        .key_id = {5},
        .nonce = {6},
        .metadata_nonce = {7},
    };
    uint8_t *to = bytes + PACK_HEADER_BYTES;
    pack_record_encode(&record, &pack, 4096, to);
    struct pack_footer footer = {pack, 8192, 1};
    pack_footer_encode(&footer, to + 256);
    struct pack_entry entry = pack_entry_of(&record, 4096);
    pack_entry_encode(&entry, to + 320);
    struct pack_trailer trailer = {pack, 8192, 8400, 99, 1};
    pack_trailer_encode(&trailer, to + 400);
    CHECK_UINT(hash64(slice_of(bytes, sizeof(bytes))), ==, UINT64_C(5629866366141309216));
}

TEST(a_record_in_memory_is_checked, "A record got by a ranged read is checked to its last byte.")
{
    struct support_pack pack;
    int directory = support_directory();
    support_pack_make(directory, &pack);
    for (unsigned i = 0; i < pack.count; i++) {
        uint64_t offset = pack.places[i].offset;
        size_t length = (size_t)(pack.ends[i] - offset);
        uint8_t *copy = malloc(length);
        memcpy(copy, pack.bytes + offset, length);
        struct pack_record record;
        struct slice metadata;
        struct slice payload;
        CHECK_OK(pack_record_check(slice_of(copy, length), &pack.id, offset, i, &record, &metadata,
                                   &payload, NULL));
        CHECK_UINT(payload.length, ==, record.stored_length);
        CHECK_STATUS(pack_record_check(slice_of(copy, length), &pack.id, offset, i + 1, &record,
                                       &metadata, &payload, NULL),
                     JINI_E_CORRUPT);
        size_t step = 1 + length / 2000;
        for (size_t at = 0; at < length; at += step) {
            copy[at] ^= 0x10;
            CHECK_STATUS(pack_record_check(slice_of(copy, length), &pack.id, offset, i, &record,
                                           &metadata, &payload, NULL),
                         JINI_E_CORRUPT);
            CHECK(payload.data == NULL && metadata.data == NULL);
            copy[at] ^= 0x10;
            CHECK_STATUS(pack_record_check(slice_of(copy, at), &pack.id, offset, i, &record,
                                           &metadata, &payload, NULL),
                         JINI_E_CORRUPT);
        }
        free(copy);
    }
    free(pack.bytes);
    close(directory);
}
