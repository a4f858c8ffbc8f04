/*
 * Reading the blocks of a GIF (GIF89a specification).
 *
 *   "GIF87a" or "GIF89a"
 *   logical screen: width (16, little-endian), height (16), flags, two bytes more
 *   global colour table, if flag 0x80: 3 * 2^(1 + flags % 8) bytes
 *   blocks:
 *     0x21, label, sub-blocks          an extension; label 0xFE is a comment
 *     0x2C, 9 bytes of which the last has the flags of a local colour table, that table,
 *           one byte, sub-blocks       an image
 *     0x3B                             the end
 *   sub-blocks: a length byte and as many bytes, again and again, up to a length of 0
 */
#include "codec/probe.h"

enum {
    SCREEN_END = 13,
    EXTENSION = 0x21,
    IMAGE = 0x2C,
    TRAILER = 0x3B,
    LABEL_COMMENT = 0xFE,
    IMAGE_BYTES = 10
};

static size_t colour_table_bytes(uint8_t flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* The position behind the sub-blocks at `position`, or 0 when the file ends before they do. */
static size_t skip_blocks(struct slice file, size_t position)
{
    while (position < file.length) {
        size_t length = file.data[position++];
        if (length == 0)
            return position;
        if (length > file.length - position)
            return 0;
        position += length;
    }
    return 0;
}

static size_t read_extension(struct probe *probe, size_t position)
{
    struct slice file = probe->file;
    if (file.length - position < 2)
        return 0;
    uint8_t label = file.data[position + 1];
    size_t end = skip_blocks(file, position + 2);
    if (label == LABEL_COMMENT && end > position + 3) {
        struct codec_text text = {.source = CODEC_SOURCE_COMMENT,
                                  .encoding = CODEC_TEXT_UNSAID,
                                  .form = CODEC_FORM_GIF_BLOCKS,
                                  .keyword = slice_of_text("Comment"),
                                  .stored = slice_of(file.data + position + 2, end - position - 2)};
        probe_add_text(probe, text);
    }
    return end;
}

static size_t skip_image(struct slice file, size_t position)
{
    if (file.length - position < IMAGE_BYTES)
        return 0;
    size_t table = colour_table_bytes(file.data[position + 9]);
    position += IMAGE_BYTES;
    if (table + 1 > file.length - position)
        return 0;
    return skip_blocks(file, position + table + 1);
}

/* The blocks from `position` to the end of the file. */
static void read_blocks(struct probe *probe, size_t position)
{
    struct slice file = probe->file;
    bool pixels = false;
    while (position != 0 && position < file.length && !probe->status) {
        switch (file.data[position]) {
        case EXTENSION:
            position = read_extension(probe, position);
            break;
        case IMAGE:
            pixels = true;
            position = skip_image(file, position);
            break;
        case TRAILER:
            if (!pixels)
                probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the GIF has no pixels (no image)");
            if (position + 1 < file.length)
                probe_damage(probe, CODEC_DAMAGE_TRAILING, "%zu bytes follow the end of the GIF",
                             file.length - position - 1);
            return;
        default:
            probe_damage(probe, CODEC_DAMAGE_STRUCTURE, "the bytes from %zu on are no GIF block",
                         position);
            return;
        }
    }
    probe_damage(probe, CODEC_DAMAGE_TRUNCATED, "the GIF ends at byte %zu without its end mark",
                 file.length);
}

int codec_gif_probe(struct probe *probe)
{
    struct slice file = probe->file;
    if (file.length < SCREEN_END)
        return probe_refuse(probe, "the GIF ends before its header does");
    int status = probe_size(probe, load_le16(file.data + 6), load_le16(file.data + 8));
    if (status)
        return status;
    read_blocks(probe, SCREEN_END + colour_table_bytes(file.data[10]));
    return 0;
}
