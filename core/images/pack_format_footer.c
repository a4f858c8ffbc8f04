/* Encoding and decoding footers and trailers. The format stands in pack_format.h. */
#include "images/pack_format.h"
#include "images/pack_part.h"

static const char trailer_magic[8] = {'J', 'I', 'N', 'I', 'P', 'E', 'N', 'D'};
static const char footer_magic[4] = {'J', 'F', 'T', 'R'};

/* Made of bytes, as in pack_format.c. */

struct footer_disk {
    uint8_t magic[4];
    uint8_t version[2];
    uint8_t entry_bytes[2];
    uint8_t count[4];
    uint8_t flags[4];
    uint8_t pack[JINI_ID_BYTES];
    uint8_t offset[8];
    uint8_t zero[16];
    uint8_t checksum[8];
};

struct entry_disk {
    uint8_t offset[8];
    uint8_t stored_length[8];
    uint8_t original_length[8];
    uint8_t image[JINI_ID_BYTES];
    uint8_t original_hash[16];
    uint8_t sequence[4];
    uint8_t metadata_stored_length[4];
    uint8_t metadata_original_length[4];
    uint8_t flags[4];
    uint8_t kind[2];
    uint8_t codec[2];
    uint8_t codec_version[2];
    uint8_t metadata_codec[2];
};

struct trailer_disk {
    uint8_t magic[8];
    uint8_t version[4];
    uint8_t count[4];
    uint8_t pack[JINI_ID_BYTES];
    uint8_t footer_offset[8];
    uint8_t file_length[8];
    uint8_t footer_checksum[8];
    uint8_t checksum[8];
};

#define ASSERT_AT(type, member, at)                                                                \
    _Static_assert(offsetof(struct type, member) == (at), #type "." #member)

_Static_assert(sizeof(struct footer_disk) == PACK_FOOTER_HEADER_BYTES, "footer header");
ASSERT_AT(footer_disk, count, 8);
ASSERT_AT(footer_disk, pack, 16);
ASSERT_AT(footer_disk, offset, 32);
ASSERT_AT(footer_disk, checksum, 56);

_Static_assert(sizeof(struct entry_disk) == PACK_FOOTER_ENTRY_BYTES, "footer entry");
ASSERT_AT(entry_disk, image, 24);
ASSERT_AT(entry_disk, original_hash, 40);
ASSERT_AT(entry_disk, sequence, 56);
ASSERT_AT(entry_disk, kind, 72);

_Static_assert(sizeof(struct trailer_disk) == PACK_TRAILER_BYTES, "trailer");
ASSERT_AT(trailer_disk, count, 12);
ASSERT_AT(trailer_disk, pack, 16);
ASSERT_AT(trailer_disk, footer_offset, 32);
ASSERT_AT(trailer_disk, file_length, 40);
ASSERT_AT(trailer_disk, footer_checksum, 48);
ASSERT_AT(trailer_disk, checksum, 56);

void pack_footer_encode(const struct pack_footer *footer, uint8_t out[PACK_FOOTER_HEADER_BYTES])
{
    JINI_ASSERT(footer->count <= PACK_RECORDS_MAX);
    struct footer_disk *disk = (struct footer_disk *)out;
    memset(disk, 0, sizeof(*disk));
    memcpy(disk->magic, footer_magic, sizeof(footer_magic));
    store_le16(disk->version, PACK_VERSION);
    store_le16(disk->entry_bytes, PACK_FOOTER_ENTRY_BYTES);
    store_le32(disk->count, footer->count);
    memcpy(disk->pack, footer->pack.bytes, JINI_ID_BYTES);
    store_le64(disk->offset, footer->offset);
    pack_part_finish(disk, sizeof(*disk), 0);
}

bool pack_looks_like_footer(struct slice bytes)
{
    return slice_has_prefix(bytes, slice_of(footer_magic, sizeof(footer_magic)));
}

int pack_footer_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                       struct pack_footer *out, struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    const struct footer_disk *disk = (const struct footer_disk *)bytes.data;
    if (bytes.length < sizeof(*disk))
        return pack_corrupt(error, pack, offset, "the footer is cut after %zu bytes", bytes.length);
    if (!pack_looks_like_footer(bytes))
        return pack_corrupt(error, pack, offset, "no footer begins there");
    if (!pack_part_holds(disk, sizeof(*disk), 0))
        return pack_corrupt(error, pack, offset, "the footer's header fails its checksum");
    if (load_le16(disk->version) != PACK_VERSION)
        return pack_newer(error, pack, offset, "version", load_le16(disk->version));
    if (load_le32(disk->flags) != 0)
        return pack_newer(error, pack, offset, "flags", load_le32(disk->flags));
    if (load_le16(disk->entry_bytes) != PACK_FOOTER_ENTRY_BYTES)
        return pack_newer(error, pack, offset, "entry length", load_le16(disk->entry_bytes));
    if (!pack_all_zero(disk->zero, sizeof(disk->zero)))
        return pack_newer(error, pack, offset, "fields", 0);
    if (memcmp(disk->pack, pack->bytes, JINI_ID_BYTES) != 0 || load_le64(disk->offset) != offset)
        return pack_corrupt(error, pack, offset, "the footer belongs to another place");
    if (load_le32(disk->count) > PACK_RECORDS_MAX)
        return pack_corrupt(error, pack, offset, "the footer counts %u records, over the bound",
                            load_le32(disk->count));
    out->pack = *pack;
    out->offset = offset;
    out->count = load_le32(disk->count);
    return 0;
}

void pack_entry_encode(const struct pack_entry *entry, uint8_t out[PACK_FOOTER_ENTRY_BYTES])
{
    struct entry_disk *disk = (struct entry_disk *)out;
    store_le64(disk->offset, entry->offset);
    store_le64(disk->stored_length, entry->stored_length);
    store_le64(disk->original_length, entry->original_length);
    memcpy(disk->image, entry->image.bytes, JINI_ID_BYTES);
    memcpy(disk->original_hash, entry->original_hash.bytes, 16);
    store_le32(disk->sequence, entry->sequence);
    store_le32(disk->metadata_stored_length, entry->metadata_stored_length);
    store_le32(disk->metadata_original_length, entry->metadata_original_length);
    store_le32(disk->flags, entry->flags);
    store_le16(disk->kind, entry->kind);
    store_le16(disk->codec, entry->codec.id);
    store_le16(disk->codec_version, entry->codec.version);
    store_le16(disk->metadata_codec, entry->metadata_codec_id);
}

int pack_entry_decode(struct slice bytes, const struct pack_footer *footer, uint64_t offset,
                      struct pack_entry *out, struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    const struct entry_disk *disk = (const struct entry_disk *)bytes.data;
    if (bytes.length < sizeof(*disk))
        return pack_corrupt(error, &footer->pack, offset, "an entry of the footer is cut");
    struct pack_entry entry = {
        .offset = load_le64(disk->offset),
        .stored_length = load_le64(disk->stored_length),
        .original_length = load_le64(disk->original_length),
        .sequence = load_le32(disk->sequence),
        .metadata_stored_length = load_le32(disk->metadata_stored_length),
        .metadata_original_length = load_le32(disk->metadata_original_length),
        .flags = load_le32(disk->flags),
        .kind = load_le16(disk->kind),
        .codec = {load_le16(disk->codec), load_le16(disk->codec_version)},
        .metadata_codec_id = load_le16(disk->metadata_codec),
    };
    memcpy(entry.image.bytes, disk->image, JINI_ID_BYTES);
    memcpy(entry.original_hash.bytes, disk->original_hash, 16);
    if (!pack_lengths_fit(entry.original_length, entry.stored_length,
                          entry.metadata_original_length, entry.metadata_stored_length))
        return pack_corrupt(error, &footer->pack, offset, "an entry has a length over its bound");
    uint64_t length = pack_record_length(entry.stored_length, entry.metadata_stored_length);
    if (entry.offset < PACK_HEADER_BYTES || entry.offset % PACK_ALIGNMENT != 0 ||
        entry.offset > footer->offset || length > footer->offset - entry.offset)
        return pack_corrupt(error, &footer->pack, offset, "an entry points outside of the records");
    *out = entry;
    return 0;
}

struct pack_entry pack_entry_of(const struct pack_record *record, uint64_t offset)
{
    return (struct pack_entry){
        .offset = offset,
        .stored_length = record->stored_length,
        .original_length = record->original_length,
        .image = record->image,
        .original_hash = record->original_hash,
        .sequence = record->sequence,
        .metadata_stored_length = record->metadata_stored_length,
        .metadata_original_length = record->metadata_original_length,
        .flags = record->flags,
        .kind = record->kind,
        .codec = record->codec,
        .metadata_codec_id = record->metadata_codec.id,
    };
}

bool pack_entry_equal(const struct pack_entry *a, const struct pack_entry *b)
{
    uint8_t bytes[2][PACK_FOOTER_ENTRY_BYTES];
    pack_entry_encode(a, bytes[0]);
    pack_entry_encode(b, bytes[1]);
    return memcmp(bytes[0], bytes[1], sizeof(bytes[0])) == 0;
}

void pack_trailer_encode(const struct pack_trailer *trailer, uint8_t out[PACK_TRAILER_BYTES])
{
    struct trailer_disk *disk = (struct trailer_disk *)out;
    memset(disk, 0, sizeof(*disk));
    memcpy(disk->magic, trailer_magic, sizeof(trailer_magic));
    store_le32(disk->version, PACK_VERSION);
    store_le32(disk->count, trailer->count);
    memcpy(disk->pack, trailer->pack.bytes, JINI_ID_BYTES);
    store_le64(disk->footer_offset, trailer->footer_offset);
    store_le64(disk->file_length, trailer->file_length);
    store_le64(disk->footer_checksum, trailer->footer_checksum);
    pack_part_finish(disk, sizeof(*disk), 0);
}

/* Header, records, footer and trailer fill the file: nothing between and nothing behind. */
static bool trailer_adds_up(const struct pack_trailer *trailer, uint64_t offset)
{
    return trailer->count <= PACK_RECORDS_MAX && trailer->footer_offset >= PACK_HEADER_BYTES &&
           trailer->footer_offset % PACK_ALIGNMENT == 0 &&
           trailer->footer_offset <= PACK_BYTES_MAX &&
           trailer->footer_offset + pack_footer_length(trailer->count) == offset &&
           trailer->file_length == offset + PACK_TRAILER_BYTES;
}

int pack_trailer_decode(struct slice bytes, const struct jini_id *pack, uint64_t offset,
                        struct pack_trailer *out, struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    const struct trailer_disk *disk = (const struct trailer_disk *)bytes.data;
    if (bytes.length < sizeof(*disk))
        return pack_corrupt(error, pack, offset, "the trailer is cut after %zu bytes",
                            bytes.length);
    if (memcmp(disk->magic, trailer_magic, sizeof(trailer_magic)) != 0)
        return pack_corrupt(error, pack, offset, "no trailer begins there");
    if (!pack_part_holds(disk, sizeof(*disk), 0))
        return pack_corrupt(error, pack, offset, "the trailer fails its checksum");
    if (load_le32(disk->version) != PACK_VERSION)
        return pack_newer(error, pack, offset, "version", load_le32(disk->version));
    if (pack && memcmp(disk->pack, pack->bytes, JINI_ID_BYTES) != 0)
        return pack_corrupt(error, pack, offset, "the trailer is that of another pack");
    struct pack_trailer trailer = {
        .footer_offset = load_le64(disk->footer_offset),
        .file_length = load_le64(disk->file_length),
        .footer_checksum = load_le64(disk->footer_checksum),
        .count = load_le32(disk->count),
    };
    memcpy(trailer.pack.bytes, disk->pack, JINI_ID_BYTES);
    if (!trailer_adds_up(&trailer, offset))
        return pack_corrupt(error, pack, offset, "the trailer's lengths do not add up");
    *out = trailer;
    return 0;
}
