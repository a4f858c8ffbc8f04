/*
 * Reading the boxes of an AVIF (AVIF 1.1; ISO 14496-12 for the boxes, ISO 23008-12 for items).
 *
 *   box       size (32 bits, big-endian; 1: 64 bits follow the type, 0: up to the end), type,
 *             content
 *   full box  a box whose content begins with a version byte and 24 bits of flags
 *
 *   ftyp      brands, one of which is avif or avis
 *   meta      full box:
 *     pitm      the primary item's id
 *     iprp      ipco: boxes of properties, counted from 1; ispe is a width and a height
 *               ipma: which properties an item has
 *     iinf      infe boxes: the type of each item; Exif is one
 *     iloc      where an item lies in the file
 */
#include "codec/probe.h"

enum { ASSOCIATIONS_MAX = 255, PROPERTY_NUMBER_MAX = 0x7FFF };

/* Reads from the front; what is not there is 0 and sets `failed`. */
struct cursor {
    struct slice rest;
    bool failed;
};

struct box {
    char type[4];
    struct slice content; /* cut at the end of what surrounds it */
    bool cut;
};

static uint64_t take(struct cursor *cursor, size_t bytes)
{
    JINI_ASSERT(bytes <= 8);
    if (cursor->failed || bytes > cursor->rest.length) {
        cursor->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | cursor->rest.data[i];
    cursor->rest = slice_of(cursor->rest.data + bytes, cursor->rest.length - bytes);
    return value;
}

static struct slice take_slice(struct cursor *cursor, uint64_t length)
{
    if (cursor->failed || length > cursor->rest.length) {
        cursor->failed = true;
        return slice_of(NULL, 0);
    }
    struct slice taken = slice_of(cursor->rest.data, (size_t)length);
    cursor->rest = slice_of(cursor->rest.data + length, cursor->rest.length - (size_t)length);
    return taken;
}

static bool is_type(const struct box *box, const char *type)
{
    return memcmp(box->type, type, 4) == 0;
}

/* The next box of a container. False, and nothing is taken, when what is left is no box. */
static bool next_box(struct cursor *container, struct box *out)
{
    struct cursor begin = *container;
    uint64_t header = 8;
    uint64_t size = take(container, 4);
    struct slice type = take_slice(container, 4);
    if (size == 1) {
        size = take(container, 8);
        header = 16;
    } else if (size == 0) {
        size = begin.rest.length;
    }
    if (container->failed || size < header) {
        *container = begin;
        return false;
    }
    memcpy(out->type, type.data, 4);
    out->cut = size - header > container->rest.length;
    out->content = take_slice(container, out->cut ? container->rest.length : size - header);
    return true;
}

static bool find_box(struct slice container, const char *type, struct box *out)
{
    struct cursor cursor = {.rest = container};
    while (next_box(&cursor, out)) {
        if (is_type(out, type))
            return true;
    }
    return false;
}

static uint32_t read_primary_item(struct slice meta)
{
    struct box box;
    if (!find_box(meta, "pitm", &box))
        return 0;
    struct cursor cursor = {.rest = box.content};
    unsigned version = (unsigned)(take(&cursor, 4) >> 24);
    uint64_t item = take(&cursor, version == 0 ? 2 : 4);
    return cursor.failed ? 0 : (uint32_t)item;
}

static bool read_size_property(const struct box *box, uint32_t size[2])
{
    struct cursor content = {.rest = box->content};
    take(&content, 4);
    size[0] = (uint32_t)take(&content, 4);
    size[1] = (uint32_t)take(&content, 4);
    return is_type(box, "ispe") && !content.failed;
}

/* The properties of an item: their numbers, counted from 1. */
struct associations {
    unsigned count;
    uint16_t numbers[ASSOCIATIONS_MAX];
};

/*
 * The first of the item's properties that is a size. All of them may be numbers of far properties,
 * so the list of properties is walked once and not for each.
 */
static bool find_size(struct slice properties, const struct associations *wanted, uint32_t size[2])
{
    struct cursor cursor = {.rest = properties};
    struct box box;
    unsigned best = wanted->count;
    for (uint32_t number = 1; best > 0 && number <= PROPERTY_NUMBER_MAX; number++) {
        uint32_t found[2];
        if (!next_box(&cursor, &box))
            break;
        if (!read_size_property(&box, found))
            continue;
        for (unsigned i = 0; i < best; i++) {
            if (wanted->numbers[i] == number) {
                best = i;
                memcpy(size, found, sizeof(found));
            }
        }
    }
    return best < wanted->count;
}

/* The size of the item, by the first entry that the association box has for it. */
static bool read_item_size(struct slice properties, struct slice associations, uint32_t item,
                           uint32_t size[2])
{
    struct cursor cursor = {.rest = associations};
    uint64_t word = take(&cursor, 4);
    bool wide = (word & 1) != 0;
    size_t item_bytes = word >> 24 == 0 ? 2 : 4;
    uint64_t entries = take(&cursor, 4);
    for (uint64_t i = 0; i < entries && !cursor.failed; i++) {
        bool wanted = take(&cursor, item_bytes) == item;
        uint64_t count = take(&cursor, 1);
        if (!wanted) {
            take_slice(&cursor, count * (wide ? 2 : 1));
            continue;
        }
        struct associations found = {0};
        for (uint64_t p = 0; p < count; p++) {
            uint64_t number = take(&cursor, wide ? 2 : 1) & (wide ? PROPERTY_NUMBER_MAX : 0x7F);
            if (!cursor.failed)
                found.numbers[found.count++] = (uint16_t)number;
        }
        return find_size(properties, &found, size);
    }
    return false;
}

static int read_size(struct probe *probe, struct slice meta)
{
    struct box properties;
    struct box associations;
    struct box list;
    uint32_t item = read_primary_item(meta);
    uint32_t size[2];
    if (!find_box(meta, "iprp", &properties) || !find_box(properties.content, "ipco", &list) ||
        !find_box(properties.content, "ipma", &associations) ||
        !read_item_size(list.content, associations.content, item, size))
        return probe_refuse(probe, "the AVIF tells no size of its primary item");
    return probe_size(probe, size[0], size[1]);
}

/* The id of the first item of type Exif, or 0. */
static uint32_t find_exif_item(struct slice meta)
{
    struct box box;
    if (!find_box(meta, "iinf", &box))
        return 0;
    struct cursor items = {.rest = box.content};
    unsigned version = (unsigned)(take(&items, 4) >> 24);
    take(&items, version == 0 ? 2 : 4);
    while (next_box(&items, &box)) {
        if (!is_type(&box, "infe"))
            continue;
        struct cursor entry = {.rest = box.content};
        version = (unsigned)(take(&entry, 4) >> 24);
        uint64_t item = take(&entry, version == 2 ? 2 : 4);
        take(&entry, 2);
        struct slice type = take_slice(&entry, 4);
        if (version >= 2 && !entry.failed && memcmp(type.data, "Exif", 4) == 0)
            return (uint32_t)item;
    }
    return 0;
}

/* Where an item lies that is one run of bytes of this file. */
static bool locate_item(const struct probe *probe, struct slice meta, uint32_t item,
                        struct slice *out)
{
    struct box box;
    if (!find_box(meta, "iloc", &box))
        return false;
    struct cursor cursor = {.rest = box.content};
    unsigned version = (unsigned)(take(&cursor, 4) >> 24);
    uint64_t sizes = take(&cursor, 2);
    size_t offset_bytes = sizes >> 12;
    size_t length_bytes = sizes >> 8 & 15;
    size_t base_bytes = sizes >> 4 & 15;
    size_t index_bytes = version == 0 ? 0 : sizes & 15;
    if (version > 2 || offset_bytes > 8 || length_bytes > 8 || base_bytes > 8 || index_bytes > 8)
        return false;
    uint64_t count = take(&cursor, version < 2 ? 2 : 4);
    for (uint64_t i = 0; i < count && !cursor.failed; i++) {
        bool wanted = take(&cursor, version < 2 ? 2 : 4) == item;
        uint64_t method = version == 0 ? 0 : take(&cursor, 2) & 15;
        uint64_t other_file = take(&cursor, 2);
        uint64_t base = take(&cursor, base_bytes);
        uint64_t extents = take(&cursor, 2);
        if (!wanted) {
            take_slice(&cursor, extents * (index_bytes + offset_bytes + length_bytes));
            continue;
        }
        take(&cursor, index_bytes);
        uint64_t offset = take(&cursor, offset_bytes);
        uint64_t length = take(&cursor, length_bytes);
        if (cursor.failed || method != 0 || other_file != 0 || extents != 1 ||
            base > probe->file.length || offset > probe->file.length - base ||
            length > probe->file.length - base - offset)
            return false;
        *out = slice_of(probe->file.data + base + offset, (size_t)length);
        return true;
    }
    return false;
}

/* An Exif item begins with 4 bytes that tell how many more come before the TIFF header. */
static void read_exif(struct probe *probe, struct slice meta)
{
    uint32_t item = find_exif_item(meta);
    if (item == 0)
        return;
    struct slice bytes = {0};
    struct cursor cursor = {0};
    if (locate_item(probe, meta, item, &bytes)) {
        cursor.rest = bytes;
        take_slice(&cursor, take(&cursor, 4));
    }
    if (bytes.length == 0 || cursor.failed)
        probe_damage(probe, CODEC_DAMAGE_METADATA, "the Exif item of the AVIF is not in the file");
    else
        codec_exif_probe(probe, cursor.rest);
}

static bool is_avif(struct slice brands)
{
    struct cursor cursor = {.rest = brands};
    for (unsigned i = 0; !cursor.failed; i++) {
        struct slice brand = take_slice(&cursor, 4);
        /* The second word is the minor version. */
        if (!cursor.failed && i != 1 &&
            (memcmp(brand.data, "avif", 4) == 0 || memcmp(brand.data, "avis", 4) == 0))
            return true;
    }
    return false;
}

int codec_avif_probe(struct probe *probe)
{
    struct cursor file = {.rest = probe->file};
    struct box box;
    if (!next_box(&file, &box) || !is_avif(box.content))
        return probe_refuse(probe, "this is an ISO media file of another brand than avif or avis");
    bool sized = false;
    while (next_box(&file, &box)) {
        if (is_type(&box, "meta") && !sized) {
            struct cursor meta = {.rest = box.content};
            take(&meta, 4);
            int status = read_size(probe, meta.rest);
            if (status)
                return status;
            sized = true;
            read_exif(probe, meta.rest);
        }
        if (box.cut)
            probe_damage(probe, CODEC_DAMAGE_TRUNCATED,
                         "the %.4s box of the AVIF reaches past the end of the file", box.type);
    }
    if (!sized)
        return probe_refuse(probe, "the AVIF ends before its header does");
    if (file.rest.length > 0)
        probe_damage(probe, CODEC_DAMAGE_TRAILING, "bytes of no box follow the end of the AVIF");
    return 0;
}
