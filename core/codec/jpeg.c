/*
 * Reading the segments of a JPEG (ITU-T T.81, annex B).
 *
 *   FF D8           start of image
 *   FF xx           a marker, with any number of FF before it; most are followed by a segment:
 *     2             length n of the segment, these two bytes included, big-endian
 *     n - 2         what it holds
 *   FF DA, segment  start of scan; behind it lie the coded pixels, in which FF is written FF 00 and
 *                   only the restart markers FF D0 to FF D7 may stand
 *   FF D9           end of image
 *
 * The picture's size stands in the frame header (FF C0 to FF CF but C4, C8 and CC), which precedes
 * all scans.
 */
#include "codec/probe.h"

enum {
    MARKER_RST0 = 0xD0,
    MARKER_RST7 = 0xD7,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA,
    MARKER_APP1 = 0xE1,
    MARKER_COM = 0xFE,
    MARKER_TEM = 0x01,
    FRAME_BYTES_MIN = 6
};

/* A walk over the segments. */
struct walk {
    size_t position;
    uint8_t marker;
    struct slice segment; /* without its length */
};

static bool is_frame_header(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static bool has_segment(uint8_t marker)
{
    return marker != MARKER_TEM && !(marker >= MARKER_RST0 && marker <= MARKER_EOI);
}

/*
 * The position of the marker byte that follows, past everything that is none; or the file's length.
 */
static size_t find_marker(struct slice file, size_t position)
{
    while (position < file.length) {
        const uint8_t *found = memchr(file.data + position, 0xFF, file.length - position);
        if (!found)
            return file.length;
        position = (size_t)(found - file.data);
        while (position < file.length && file.data[position] == 0xFF)
            position++;
        if (position < file.length && file.data[position] != 0)
            return position;
    }
    return file.length;
}

/* Goes on to the next marker and its segment. False at the end of what there is. */
static bool next_segment(struct probe *probe, struct walk *walk)
{
    struct slice file = probe->file;
    size_t at = find_marker(file, walk->position);
    if (at < file.length && file.data[walk->position] != 0xFF)
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the JPEG has bytes of no segment at %zu",
                     walk->position);
    if (at == file.length) {
        walk->position = at;
        return false;
    }
    walk->marker = file.data[at++];
    walk->position = at;
    walk->segment = slice_of(NULL, 0);
    if (!has_segment(walk->marker))
        return true;
    if (file.length - at < 2) {
        walk->position = file.length;
        return false;
    }
    size_t length = load_be16(file.data + at);
    if (length < 2) {
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the JPEG segment at %zu has length %zu", at,
                     length);
        return true;
    }
    if (length > file.length - at) {
        walk->position = file.length;
        return false;
    }
    walk->segment = slice_of(file.data + at + 2, length - 2);
    walk->position = at + length;
    return true;
}

static void read_app1(struct probe *probe, struct slice segment)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/";
    if (segment.length >= 6 && memcmp(segment.data, "Exif\0", 6) == 0) {
        codec_exif_probe(probe, segment);
    } else if (segment.length > sizeof(xmp) && memcmp(segment.data, xmp, sizeof(xmp)) == 0) {
        struct codec_text text = {
            .source = CODEC_SOURCE_XMP,
            .encoding = CODEC_TEXT_UTF8,
            .keyword = slice_of_text("XML:com.adobe.xmp"),
            .stored = slice_of(segment.data + sizeof(xmp), segment.length - sizeof(xmp))};
        probe_add_text(probe, text);
    }
}

static void read_comment(struct probe *probe, struct slice segment)
{
    while (segment.length > 0 && segment.data[segment.length - 1] == 0)
        segment.length--;
    struct codec_text text = {.source = CODEC_SOURCE_COMMENT,
                              .encoding = CODEC_TEXT_UNSAID,
                              .keyword = slice_of_text("Comment"),
                              .stored = segment};
    if (segment.length > 0)
        probe_add_text(probe, text);
}

/*
 * Looks for the end of the image behind the first scan. A file that ends in the marker is taken as
 * whole unless every byte is to be read: trailing bytes may then hide a whole second image.
 */
static void check_end(struct probe *probe, struct walk *walk)
{
    struct slice file = probe->file;
    bool ends = file.length >= 2 && load_be16(file.data + file.length - 2) == 0xFFD9;
    if (ends && !(probe->flags & CODEC_PROBE_CHECK_CRC))
        return;
    for (;;) {
        size_t at = find_marker(file, walk->position);
        if (at == file.length)
            break;
        uint8_t marker = file.data[at];
        walk->position = at + 1;
        if (marker >= MARKER_RST0 && marker <= MARKER_RST7)
            continue;
        if (marker == MARKER_EOI) {
            if (walk->position < file.length)
                probe_damage(probe, CODEC_DAMAGE_TRAILING, "%zu bytes follow the end of the JPEG",
                             file.length - walk->position);
            return;
        }
        walk->position = at - 1;
        if (!next_segment(probe, walk))
            break;
    }
    probe_damage(probe, CODEC_DAMAGE_TRUNCATED, "the JPEG ends at byte %zu without its end marker",
                 file.length);
}

int codec_jpeg_probe(struct probe *probe)
{
    struct walk walk = {.position = 2};
    bool sized = false;
    while (!probe->status && next_segment(probe, &walk)) {
        if (is_frame_header(walk.marker) && !sized) {
            if (walk.segment.length < FRAME_BYTES_MIN)
                return probe_refuse(probe, "the frame header of the JPEG is cut");
            int status = probe_size(probe, load_be16(walk.segment.data + 3),
                                    load_be16(walk.segment.data + 1));
            if (status)
                return status;
            sized = true;
        } else if (walk.marker == MARKER_APP1) {
            read_app1(probe, walk.segment);
        } else if (walk.marker == MARKER_COM) {
            read_comment(probe, walk.segment);
        } else if (walk.marker == MARKER_SOS || walk.marker == MARKER_EOI) {
            break;
        }
    }
    if (!sized && !probe->status)
        return probe_refuse(probe, "the JPEG has no frame header before its pixels");
    if (walk.marker == MARKER_SOS && walk.position < probe->file.length) {
        check_end(probe, &walk);
    } else if (walk.marker == MARKER_EOI) {
        probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the JPEG has no pixels (no scan)");
        if (walk.position < probe->file.length)
            probe_damage(probe, CODEC_DAMAGE_TRAILING, "%zu bytes follow the end of the JPEG",
                         probe->file.length - walk.position);
    } else {
        probe_damage(probe, CODEC_DAMAGE_TRUNCATED, "the JPEG ends at byte %zu before its pixels",
                     probe->file.length);
    }
    return 0;
}
