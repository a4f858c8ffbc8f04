/* Building and reading the index at the end of a sealed pack. */
#include "images/pack_footer.h"

#include "base/alloc.h"
#include "base/error.h"

int pack_footer_build(const struct jini_id *pack, const struct pack_entry *entries, uint32_t count,
                      uint64_t offset, uint8_t **out, size_t *length, struct jini_error *error)
{
    JINI_ASSERT(count <= PACK_RECORDS_MAX && offset % PACK_ALIGNMENT == 0);
    *out = NULL;
    *length = 0;
    size_t footer_bytes = (size_t)pack_footer_length(count);
    uint8_t *bytes = base_malloc(footer_bytes + PACK_TRAILER_BYTES);
    if (!bytes)
        return error_set(error, JINI_E_NO_MEMORY, "pack",
                         "no memory for a footer of %u entries; try later", count);
    struct pack_footer footer = {.pack = *pack, .offset = offset, .count = count};
    pack_footer_encode(&footer, bytes);
    uint8_t *to = bytes + PACK_FOOTER_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++, to += PACK_FOOTER_ENTRY_BYTES)
        pack_entry_encode(&entries[i], to);
    struct pack_trailer trailer = {
        .pack = *pack,
        .footer_offset = offset,
        .file_length = offset + footer_bytes + PACK_TRAILER_BYTES,
        .footer_checksum = hash64(slice_of(bytes, footer_bytes)),
        .count = count,
    };
    pack_trailer_encode(&trailer, to);
    *out = bytes;
    *length = footer_bytes + PACK_TRAILER_BYTES;
    return 0;
}

static int read_trailer(const struct pack_source *source, struct pack_trailer *out,
                        struct jini_error *error)
{
    uint64_t length;
    int status = pack_source_length(source, &length, error);
    if (status)
        return status;
    if (length < PACK_HEADER_BYTES + PACK_FOOTER_HEADER_BYTES + PACK_TRAILER_BYTES)
        return error_set(error, JINI_E_NOT_FOUND, "pack", "the pack is too short to be sealed");
    uint8_t bytes[PACK_TRAILER_BYTES];
    uint64_t offset = length - sizeof(bytes);
    status = pack_source_read(source, offset, bytes, sizeof(bytes), error);
    if (status)
        return status;
    status = pack_trailer_decode(slice_of(bytes, sizeof(bytes)), &source->pack, offset, out, error);
    if (status != JINI_E_CORRUPT)
        return status;
    return error_set(error, JINI_E_NOT_FOUND, "pack",
                     "the pack does not end in a trailer: it is not sealed, or its end is damaged");
}

static int decode_entries(struct slice bytes, const struct pack_footer *footer,
                          struct pack_contents *out, struct jini_error *error)
{
    uint64_t free_from = PACK_HEADER_BYTES;
    uint32_t next_sequence = 0;
    for (uint32_t i = 0; i < footer->count; i++) {
        size_t from = PACK_FOOTER_HEADER_BYTES + (size_t)i * PACK_FOOTER_ENTRY_BYTES;
        struct slice rest = slice_of(bytes.data + from, bytes.length - from);
        struct pack_entry *entry = &out->entries[i];
        int status = pack_entry_decode(rest, footer, footer->offset + from, entry, error);
        if (status)
            return status;
        if (entry->offset < free_from || entry->sequence < next_sequence)
            return pack_corrupt(error, &footer->pack, footer->offset + from,
                                "entry %u of the footer is out of order", i);
        free_from =
            entry->offset + pack_record_length(entry->stored_length, entry->metadata_stored_length);
        next_sequence = entry->sequence + 1;
    }
    return 0;
}

static int decode_footer(const struct pack_source *source, struct slice bytes,
                         const struct pack_trailer *trailer, struct pack_contents *out,
                         struct jini_error *error)
{
    struct pack_footer footer;
    int status = pack_footer_decode(bytes, &source->pack, trailer->footer_offset, &footer, error);
    if (status)
        return status;
    if (footer.count != trailer->count || hash64(bytes) != trailer->footer_checksum)
        return pack_corrupt(error, &source->pack, trailer->footer_offset,
                            "the footer fails its checksum");
    return decode_entries(bytes, &footer, out, error);
}

int pack_contents_read(const struct pack_source *source, struct pack_contents *out,
                       struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    struct pack_trailer trailer;
    int status = read_trailer(source, &trailer, error);
    if (status)
        return status;
    size_t length = (size_t)pack_footer_length(trailer.count);
    uint8_t *bytes = base_malloc(length);
    struct pack_entry *entries = base_calloc((size_t)trailer.count + 1, sizeof(*entries));
    out->entries = entries;
    if (!bytes || !entries) {
        status = error_set(error, JINI_E_NO_MEMORY, "pack",
                           "no memory for a footer of %u entries; try later", trailer.count);
        goto done;
    }
    status = pack_source_read(source, trailer.footer_offset, bytes, length, error);
    if (!status)
        status = decode_footer(source, slice_of(bytes, length), &trailer, out, error);
    out->count = trailer.count;
    out->footer_offset = trailer.footer_offset;
done:
    base_free(bytes);
    if (status)
        pack_contents_free(out);
    return status;
}

void pack_contents_free(struct pack_contents *contents)
{
    base_free(contents->entries);
    memset(contents, 0, sizeof(*contents));
}
