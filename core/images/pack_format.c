/* Encoding and decoding pack headers and records. The format stands in pack_format.h. */
#include "images/pack_format.h"

#include "base/error.h"
#include "images/pack_part.h"

#include <stdarg.h>
#include <stdio.h>

static const char header_magic[8] = {'J', 'I', 'N', 'I', 'P', 'A', 'C', 'K'};
static const char record_magic[4] = {'J', 'R', 'E', 'C'};

/* The structs below are made of bytes: they have no alignment and no padding, on any machine. */

struct header_disk {
    uint8_t magic[8];
    uint8_t version[4];
    uint8_t flags[4];
    uint8_t pack[JINI_ID_BYTES];
    uint8_t tier_group[4];
    uint8_t expiry_day[4];
    uint8_t instance[JINI_ID_BYTES];
    uint8_t created_ns[8];
    uint8_t zero[4024];
    uint8_t checksum[8];
};

struct record_disk {
    uint8_t magic[4];
    uint8_t version[2];
    uint8_t kind[2];
    uint8_t sequence[4];
    uint8_t flags[4];
    uint8_t image[JINI_ID_BYTES];
    uint8_t codec[2];
    uint8_t codec_version[2];
    uint8_t metadata_codec[2];
    uint8_t metadata_codec_version[2];
    uint8_t original_length[8];
    uint8_t stored_length[8];
    uint8_t metadata_original_length[4];
    uint8_t metadata_stored_length[4];
    uint8_t original_hash[16];
    uint8_t stored_hash[16];
    uint8_t table_checksum[8];
    uint8_t metadata_checksum[8];
    uint8_t key_id[PACK_KEY_ID_BYTES];
    uint8_t nonce[PACK_NONCE_BYTES];
    uint8_t metadata_nonce[PACK_NONCE_BYTES];
    uint8_t zero[72];
    uint8_t checksum[8];
};

#define ASSERT_AT(type, member, at)                                                                \
    _Static_assert(offsetof(struct type, member) == (at), #type "." #member)

_Static_assert(sizeof(struct header_disk) == PACK_HEADER_BYTES, "pack header");
ASSERT_AT(header_disk, version, 8);
ASSERT_AT(header_disk, pack, 16);
ASSERT_AT(header_disk, tier_group, 32);
ASSERT_AT(header_disk, expiry_day, 36);
ASSERT_AT(header_disk, instance, 40);
ASSERT_AT(header_disk, created_ns, 56);
ASSERT_AT(header_disk, checksum, 4088);

_Static_assert(sizeof(struct record_disk) == PACK_RECORD_HEADER_BYTES, "record header");
ASSERT_AT(record_disk, version, 4);
ASSERT_AT(record_disk, kind, 6);
ASSERT_AT(record_disk, sequence, 8);
ASSERT_AT(record_disk, flags, 12);
ASSERT_AT(record_disk, image, 16);
ASSERT_AT(record_disk, codec, 32);
ASSERT_AT(record_disk, metadata_codec, 36);
ASSERT_AT(record_disk, original_length, 40);
ASSERT_AT(record_disk, stored_length, 48);
ASSERT_AT(record_disk, metadata_original_length, 56);
ASSERT_AT(record_disk, metadata_stored_length, 60);
ASSERT_AT(record_disk, original_hash, 64);
ASSERT_AT(record_disk, stored_hash, 80);
ASSERT_AT(record_disk, table_checksum, 96);
ASSERT_AT(record_disk, metadata_checksum, 104);
ASSERT_AT(record_disk, key_id, 112);
ASSERT_AT(record_disk, nonce, 128);
ASSERT_AT(record_disk, metadata_nonce, 152);
ASSERT_AT(record_disk, zero, 176);
ASSERT_AT(record_disk, checksum, 248);

/* Errors. */

static void name_pack(const struct jini_id *pack, char text[JINI_ID_TEXT_MAX])
{
    text[0] = '\0';
    if (pack)
        jini_id_format(pack, text);
}

int pack_corrupt(struct jini_error *error, const struct jini_id *pack, uint64_t offset,
                 const char *format, ...)
{
    if (!error)
        return JINI_E_CORRUPT;
    char name[JINI_ID_TEXT_MAX];
    name_pack(pack, name);
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return error_set(error, JINI_E_CORRUPT, "pack",
                     "pack %s is damaged at offset %llu: %s; restore it from another copy", name,
                     (unsigned long long)offset, what);
}

int pack_newer(struct jini_error *error, const struct jini_id *pack, uint64_t offset,
               const char *what, uint32_t value)
{
    char name[JINI_ID_TEXT_MAX];
    name_pack(pack, name);
    return error_set(
        error, JINI_E_FORMAT, "pack",
        "pack %s at offset %llu is of a newer format (%s %u, and this version knows only "
        "format %d); use the version of Jini that wrote it",
        name, (unsigned long long)offset, what, value, PACK_VERSION);
}

static uint64_t place_seed(const struct jini_id *pack, uint64_t offset)
{
    uint8_t place[JINI_ID_BYTES + 8];
    memcpy(place, pack->bytes, JINI_ID_BYTES);
    store_le64(place + JINI_ID_BYTES, offset);
    return hash64(slice_of(place, sizeof(place)));
}

/* The block table. */

static struct slice block_of(struct slice payload, uint32_t index)
{
    size_t from = (size_t)index * PACK_BLOCK_BYTES;
    size_t left = payload.length - from;
    return slice_of(payload.data + from, left < PACK_BLOCK_BYTES ? left : PACK_BLOCK_BYTES);
}

void pack_table_fill(struct slice payload, uint8_t *table)
{
    uint32_t blocks = pack_blocks(payload.length);
    for (uint32_t i = 0; i < blocks; i++)
        store_le64(table + (size_t)i * PACK_BLOCK_HASH_BYTES, hash64(block_of(payload, i)));
}

bool pack_table_holds(const uint8_t *table, uint32_t index, struct slice block)
{
    return load_le64(table + (size_t)index * PACK_BLOCK_HASH_BYTES) == hash64(block);
}

/* Pack header. */

void pack_header_encode(const struct pack_header *header, uint8_t out[PACK_HEADER_BYTES])
{
    struct header_disk *disk = (struct header_disk *)out;
    memset(disk, 0, sizeof(*disk));
    memcpy(disk->magic, header_magic, sizeof(header_magic));
    store_le32(disk->version, PACK_VERSION);
    memcpy(disk->pack, header->pack.bytes, JINI_ID_BYTES);
    store_le32(disk->tier_group, header->tier_group);
    store_le32(disk->expiry_day, header->expiry_day);
    memcpy(disk->instance, header->instance.bytes, JINI_ID_BYTES);
    store_le64(disk->created_ns, header->created_ns);
    pack_part_finish(disk, sizeof(*disk), 0);
}

int pack_header_decode(struct slice bytes, const struct jini_id *pack, struct pack_header *out,
                       struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    const struct header_disk *disk = (const struct header_disk *)bytes.data;
    if (bytes.length < sizeof(*disk))
        return pack_corrupt(error, pack, 0, "the header is cut after %zu bytes", bytes.length);
    if (memcmp(disk->magic, header_magic, sizeof(header_magic)) != 0)
        return pack_corrupt(error, pack, 0, "it does not begin as a pack");
    if (!pack_part_holds(disk, sizeof(*disk), 0))
        return pack_corrupt(error, pack, 0, "the header fails its checksum");
    if (load_le32(disk->version) != PACK_VERSION)
        return pack_newer(error, pack, 0, "version", load_le32(disk->version));
    if (load_le32(disk->flags) != 0)
        return pack_newer(error, pack, 0, "flags", load_le32(disk->flags));
    if (!pack_all_zero(disk->zero, sizeof(disk->zero)))
        return pack_newer(error, pack, 0, "fields", 0);
    if (pack && memcmp(disk->pack, pack->bytes, JINI_ID_BYTES) != 0)
        return pack_corrupt(error, pack, 0, "the header is that of another pack");
    memcpy(out->pack.bytes, disk->pack, JINI_ID_BYTES);
    memcpy(out->instance.bytes, disk->instance, JINI_ID_BYTES);
    out->created_ns = load_le64(disk->created_ns);
    out->tier_group = load_le32(disk->tier_group);
    out->expiry_day = load_le32(disk->expiry_day);
    return 0;
}

/* Record. */

bool pack_lengths_fit(uint64_t original, uint64_t stored, uint32_t metadata_original,
                      uint32_t metadata_stored)
{
    return original <= PACK_PAYLOAD_BYTES_MAX && stored <= PACK_PAYLOAD_BYTES_MAX &&
           metadata_original <= PACK_METADATA_BYTES_MAX &&
           metadata_stored <= PACK_METADATA_BYTES_MAX;
}

void pack_record_encode(const struct pack_record *record, const struct jini_id *pack,
                        uint64_t offset, uint8_t out[PACK_RECORD_HEADER_BYTES])
{
    JINI_ASSERT(offset % PACK_ALIGNMENT == 0 && offset < PACK_BYTES_MAX);
    JINI_ASSERT(pack_lengths_fit(record->original_length, record->stored_length,
                                 record->metadata_original_length, record->metadata_stored_length));
    struct record_disk *disk = (struct record_disk *)out;
    memset(disk, 0, sizeof(*disk));
    memcpy(disk->magic, record_magic, sizeof(record_magic));
    store_le16(disk->version, PACK_VERSION);
    store_le16(disk->kind, record->kind);
    store_le32(disk->sequence, record->sequence);
    store_le32(disk->flags, record->flags);
    memcpy(disk->image, record->image.bytes, JINI_ID_BYTES);
    store_le16(disk->codec, record->codec.id);
    store_le16(disk->codec_version, record->codec.version);
    store_le16(disk->metadata_codec, record->metadata_codec.id);
    store_le16(disk->metadata_codec_version, record->metadata_codec.version);
    store_le64(disk->original_length, record->original_length);
    store_le64(disk->stored_length, record->stored_length);
    store_le32(disk->metadata_original_length, record->metadata_original_length);
    store_le32(disk->metadata_stored_length, record->metadata_stored_length);
    memcpy(disk->original_hash, record->original_hash.bytes, 16);
    memcpy(disk->stored_hash, record->stored_hash.bytes, 16);
    store_le64(disk->table_checksum, record->table_checksum);
    store_le64(disk->metadata_checksum, record->metadata_checksum);
    memcpy(disk->key_id, record->key_id, sizeof(disk->key_id));
    memcpy(disk->nonce, record->nonce, sizeof(disk->nonce));
    memcpy(disk->metadata_nonce, record->metadata_nonce, sizeof(disk->metadata_nonce));
    pack_part_finish(disk, sizeof(*disk), place_seed(pack, offset));
}

static void record_load(const struct record_disk *disk, struct pack_record *out)
{
    memcpy(out->image.bytes, disk->image, JINI_ID_BYTES);
    out->original_length = load_le64(disk->original_length);
    out->stored_length = load_le64(disk->stored_length);
    out->sequence = load_le32(disk->sequence);
    out->flags = load_le32(disk->flags);
    out->metadata_original_length = load_le32(disk->metadata_original_length);
    out->metadata_stored_length = load_le32(disk->metadata_stored_length);
    out->kind = load_le16(disk->kind);
    out->codec.id = load_le16(disk->codec);
    out->codec.version = load_le16(disk->codec_version);
    out->metadata_codec.id = load_le16(disk->metadata_codec);
    out->metadata_codec.version = load_le16(disk->metadata_codec_version);
    memcpy(out->original_hash.bytes, disk->original_hash, 16);
    memcpy(out->stored_hash.bytes, disk->stored_hash, 16);
    out->table_checksum = load_le64(disk->table_checksum);
    out->metadata_checksum = load_le64(disk->metadata_checksum);
    memcpy(out->key_id, disk->key_id, sizeof(disk->key_id));
    memcpy(out->nonce, disk->nonce, sizeof(disk->nonce));
    memcpy(out->metadata_nonce, disk->metadata_nonce, sizeof(disk->metadata_nonce));
}

/* A payload that is the original says so in both lengths and both hashes. */
static bool identity_holds(const struct pack_record *record)
{
    if (record->codec.id != PACK_CODEC_NONE || !pack_all_zero(record->key_id, PACK_KEY_ID_BYTES))
        return true;
    return record->original_length == record->stored_length &&
           hash128_equal(&record->original_hash, &record->stored_hash);
}

static int record_validate(const struct pack_record *record, const struct jini_id *pack,
                           uint64_t offset, struct jini_error *error)
{
    if (!pack_lengths_fit(record->original_length, record->stored_length,
                          record->metadata_original_length, record->metadata_stored_length))
        return pack_corrupt(error, pack, offset, "a length of the record is over its bound");
    uint64_t length = pack_record_length(record->stored_length, record->metadata_stored_length);
    if (length > PACK_BYTES_MAX - offset)
        return pack_corrupt(error, pack, offset, "the record ends behind the bound of a pack");
    if (record->sequence >= PACK_RECORDS_MAX)
        return pack_corrupt(error, pack, offset, "the record's number %u is over the bound",
                            record->sequence);
    if (!identity_holds(record))
        return pack_corrupt(error, pack, offset,
                            "the record is uncoded, and yet two lengths differ");
    if (record->kind != PACK_KIND_IMAGE)
        return pack_newer(error, pack, offset, "kind", record->kind);
    if (record->flags != 0)
        return pack_newer(error, pack, offset, "flags", record->flags);
    return 0;
}

int pack_record_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                       struct pack_record *out, struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    const struct record_disk *disk = (const struct record_disk *)bytes.data;
    if (bytes.length < sizeof(*disk))
        return pack_corrupt(error, pack, offset, "the record's header is cut after %zu bytes",
                            bytes.length);
    if (offset % PACK_ALIGNMENT != 0 || offset < PACK_HEADER_BYTES || offset >= PACK_BYTES_MAX)
        return pack_corrupt(error, pack, offset, "no record can begin there");
    if (!pack_looks_like_record(bytes))
        return pack_corrupt(error, pack, offset, "no record begins there");
    if (!pack_part_holds(disk, sizeof(*disk), place_seed(pack, offset)))
        return pack_corrupt(error, pack, offset, "the record's header fails its checksum");
    if (load_le16(disk->version) != PACK_VERSION)
        return pack_newer(error, pack, offset, "version", load_le16(disk->version));
    if (!pack_all_zero(disk->zero, sizeof(disk->zero)))
        return pack_newer(error, pack, offset, "fields", 0);
    record_load(disk, out);
    int status = record_validate(out, pack, offset, error);
    if (status)
        memset(out, 0, sizeof(*out));
    return status;
}

bool pack_looks_like_record(struct slice bytes)
{
    return slice_has_prefix(bytes, slice_of(record_magic, sizeof(record_magic)));
}

int pack_record_check(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                      uint32_t sequence, struct pack_record *record, struct slice *metadata,
                      struct slice *payload, struct jini_error *error)
{
    *metadata = slice_of(NULL, 0);
    *payload = slice_of(NULL, 0);
    int status = pack_record_decode(bytes, pack, offset, record, error);
    if (status)
        return status;
    uint64_t length = pack_record_length(record->stored_length, record->metadata_stored_length);
    if (record->sequence != sequence)
        return pack_corrupt(error, pack, offset, "it holds record %u and not %u", record->sequence,
                            sequence);
    if (bytes.length < length)
        return pack_corrupt(error, pack, offset, "record %u is cut after %zu bytes", sequence,
                            bytes.length);
    const uint8_t *table = bytes.data + PACK_RECORD_HEADER_BYTES;
    struct slice text = slice_of(bytes.data + pack_metadata_at(record->stored_length),
                                 record->metadata_stored_length);
    struct slice stored = slice_of(text.data + text.length, (size_t)record->stored_length);
    if (hash64(slice_of(table, pack_table_bytes(stored.length))) != record->table_checksum)
        return pack_corrupt(error, pack, offset, "the block table of record %u fails its checksum",
                            sequence);
    if (hash64(text) != record->metadata_checksum)
        return pack_corrupt(error, pack, offset, "the metadata of record %u fails its checksum",
                            sequence);
    struct hash128 hash = hash128(stored);
    if (!hash128_equal(&hash, &record->stored_hash))
        return pack_corrupt(error, pack, offset, "the payload of record %u fails its checksum",
                            sequence);
    const uint8_t *end = stored.data + stored.length;
    if (!pack_all_zero(end, (size_t)(bytes.data + length - end)))
        return pack_corrupt(error, pack, offset, "the padding of record %u is not zero", sequence);
    *metadata = text;
    *payload = stored;
    return 0;
}
