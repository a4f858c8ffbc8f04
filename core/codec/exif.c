/*
 * Texts of an Exif block (Exif 2.3, which is TIFF 6.0): a header, then directories.
 *
 *   header     "II" (little-endian) or "MM" (big-endian), 42 in 16 bits, offset of IFD0 in 32 bits
 *   directory  count in 16 bits, then entries of 12 bytes:
 *                tag (16), type (16), count (32), value (32), which is an offset when the value
 *                takes more than 4 bytes
 *
 * Read are a few tags of IFD0 and UserComment of the Exif directory. All offsets count from the
 * header, are hostile, and no directory is followed but these two. Any number of entries may point
 * at the same bytes, so for one file only so many entries are looked at, and only as many bytes of
 * values are scanned, as struct probe_bounds has left.
 */
#include "codec/probe.h"

enum {
    TAG_IMAGE_DESCRIPTION = 0x010E,
    TAG_MAKE = 0x010F,
    TAG_MODEL = 0x0110,
    TAG_SOFTWARE = 0x0131,
    TAG_EXIF_DIRECTORY = 0x8769,
    TAG_USER_COMMENT = 0x9286,

    TYPE_ASCII = 2,
    TYPE_LONG = 4,
    TYPE_UNDEFINED = 7,

    HEADER_BYTES = 8,
    ENTRY_BYTES = 12,
    CHARACTER_CODE_BYTES = 8
};

struct tiff {
    struct slice bytes;
    bool big_endian;
};

struct entry {
    uint16_t tag;
    uint16_t type;
    uint32_t count;
    struct slice value; /* of a type of one byte a unit */
    uint32_t number;    /* the last 32 bits of the entry */
};

static uint16_t read_16(const struct tiff *tiff, size_t at)
{
    return tiff->big_endian ? load_be16(tiff->bytes.data + at) : load_le16(tiff->bytes.data + at);
}

static uint32_t read_32(const struct tiff *tiff, size_t at)
{
    return tiff->big_endian ? load_be32(tiff->bytes.data + at) : load_le32(tiff->bytes.data + at);
}

/* False when the value lies outside of the block, and for types that are not read here. */
static bool read_entry(const struct tiff *tiff, size_t at, struct entry *out)
{
    out->tag = read_16(tiff, at);
    out->type = read_16(tiff, at + 2);
    out->count = read_32(tiff, at + 4);
    out->number = read_32(tiff, at + 8);
    out->value = slice_of(NULL, 0);
    if (out->type == TYPE_LONG)
        return out->count == 1;
    if (out->type != TYPE_ASCII && out->type != TYPE_UNDEFINED)
        return false;
    size_t begin = out->count > 4 ? out->number : at + 8;
    if (begin > tiff->bytes.length || out->count > tiff->bytes.length - begin)
        return false;
    out->value = slice_of(tiff->bytes.data + begin, out->count);
    return true;
}

static const char *keyword_of(uint16_t tag)
{
    switch (tag) {
    case TAG_IMAGE_DESCRIPTION:
        return "ImageDescription";
    case TAG_MAKE:
        return "Make";
    case TAG_MODEL:
        return "Model";
    case TAG_SOFTWARE:
        return "Software";
    case TAG_USER_COMMENT:
        return "UserComment";
    default:
        return NULL;
    }
}

/*
 * Notes that bytes of values were scanned. A value may overdraw what is left, and is the last one
 * then: the values of a file take at most twice its length.
 */
static void spend_scan(struct probe *probe, size_t bytes)
{
    size_t *left = &probe->left.exif_scanned_bytes;
    *left -= bytes < *left ? bytes : *left;
}

/*
 * Exif says "Unicode" and not in which order its bytes stand, and programs write both, so the bytes
 * tell: text in any script has spaces and digits, whose high byte is zero. A tie goes to
 * big-endian, which the web UIs write.
 */
static enum codec_text_encoding utf16_order(struct probe *probe, struct slice value)
{
    size_t even_zeros = 0;
    size_t odd_zeros = 0;
    if (value.length >= 2 && value.data[0] == 0xFE && value.data[1] == 0xFF)
        return CODEC_TEXT_UTF16_BE;
    if (value.length >= 2 && value.data[0] == 0xFF && value.data[1] == 0xFE)
        return CODEC_TEXT_UTF16_LE;
    spend_scan(probe, value.length);
    for (size_t i = 0; i + 1 < value.length; i += 2) {
        even_zeros += value.data[i] == 0;
        odd_zeros += value.data[i + 1] == 0;
    }
    return odd_zeros > even_zeros ? CODEC_TEXT_UTF16_LE : CODEC_TEXT_UTF16_BE;
}

static struct slice without_final_nuls(struct probe *probe, struct slice value)
{
    size_t length = value.length;
    while (value.length > 0 && value.data[value.length - 1] == 0)
        value.length--;
    spend_scan(probe, length - value.length);
    return value;
}

/* Takes the character code off the front of a UserComment. */
static void read_character_code(struct probe *probe, struct codec_text *text)
{
    struct slice value = text->stored;
    text->encoding = CODEC_TEXT_UNSAID;
    if (value.length < CHARACTER_CODE_BYTES) {
        text->stored = without_final_nuls(probe, value);
        return;
    }
    const uint8_t *code = value.data;
    value = slice_of(code + CHARACTER_CODE_BYTES, value.length - CHARACTER_CODE_BYTES);
    if (memcmp(code, "UNICODE", 8) == 0) {
        text->encoding = utf16_order(probe, value);
        text->stored = value;
    } else if (memcmp(code, "JIS\0\0\0\0", 8) == 0) {
        text->encoding = CODEC_TEXT_JIS;
        text->stored = without_final_nuls(probe, value);
    } else if (memcmp(code, "ASCII\0\0", 8) == 0 || memcmp(code, "\0\0\0\0\0\0\0", 8) == 0) {
        text->stored = without_final_nuls(probe, value);
    } else {
        /* A writer that leaves the code out. */
        text->stored = without_final_nuls(probe, text->stored);
    }
}

/* Every bound is checked before a byte of the value is read. */
static void read_text(struct probe *probe, const struct entry *entry, const char *keyword)
{
    struct codec_text text = {.source = CODEC_SOURCE_EXIF,
                              .encoding = CODEC_TEXT_UNSAID,
                              .keyword = slice_of_text(keyword),
                              .stored = entry->value};
    if (probe->left.exif_entries == 0) {
        probe_leave_out(probe, &text, "the file has more than 64 Exif texts");
        return;
    }
    probe->left.exif_entries--;
    if (entry->value.length > CODEC_METADATA_BYTES_MAX) {
        probe_leave_out(probe, &text, "an Exif text may take 8 MiB");
        return;
    }
    if (probe->left.exif_scanned_bytes == 0) {
        probe_leave_out(probe, &text, "the Exif texts overlap too much");
        return;
    }
    if (entry->tag == TAG_USER_COMMENT)
        read_character_code(probe, &text);
    else
        text.stored = without_final_nuls(probe, entry->value);
    if (text.stored.length > 0)
        probe_add_text(probe, text);
}

/* Reads one directory; the offset of the Exif directory, or 0. */
static uint32_t read_directory(struct probe *probe, const struct tiff *tiff, uint32_t offset)
{
    size_t length = tiff->bytes.length;
    if (offset < HEADER_BYTES || offset > length || length - offset < 2) {
        probe_damage(probe, CODEC_DAMAGE_METADATA, "a directory of the Exif block lies outside it");
        return 0;
    }
    size_t count = read_16(tiff, offset);
    size_t fitting = (length - offset - 2) / ENTRY_BYTES;
    if (count > fitting) {
        probe_damage(probe, CODEC_DAMAGE_METADATA, "the Exif block has room for %zu of %zu entries",
                     fitting, count);
        count = fitting;
    }
    uint32_t exif_directory = 0;
    for (size_t i = 0; i < count && !probe->status; i++) {
        struct entry entry;
        bool whole = read_entry(tiff, offset + 2 + i * ENTRY_BYTES, &entry);
        const char *keyword = keyword_of(entry.tag);
        if (whole && entry.tag == TAG_EXIF_DIRECTORY && entry.type == TYPE_LONG)
            exif_directory = entry.number;
        if (!keyword)
            continue;
        if (!whole || entry.type == TYPE_LONG) {
            probe->image->texts_omitted++;
            probe_damage(probe, CODEC_DAMAGE_METADATA, "%s lies outside of the Exif block",
                         keyword);
            continue;
        }
        read_text(probe, &entry, keyword);
    }
    return exif_directory;
}

void codec_exif_probe(struct probe *probe, struct slice bytes)
{
    /* Some writers of PNG and WebP put the mark of the JPEG segment in front. */
    if (bytes.length >= 6 && memcmp(bytes.data, "Exif\0", 6) == 0)
        bytes = slice_of(bytes.data + 6, bytes.length - 6);
    struct tiff tiff = {.bytes = bytes,
                        .big_endian = bytes.length >= 2 && memcmp(bytes.data, "MM", 2) == 0};
    if (bytes.length < HEADER_BYTES || (!tiff.big_endian && memcmp(bytes.data, "II", 2) != 0) ||
        read_16(&tiff, 2) != 42) {
        probe_damage(probe, CODEC_DAMAGE_METADATA, "the Exif block of %zu bytes has no TIFF header",
                     bytes.length);
        return;
    }
    uint32_t exif_directory = read_directory(probe, &tiff, read_32(&tiff, 4));
    if (exif_directory)
        read_directory(probe, &tiff, exif_directory);
}
