/* A probe under way: what image.c shares with the readers of the single formats. */
#ifndef CODEC_PROBE_H
#define CODEC_PROBE_H

#include "codec/image.h"

/* Texts that can be kept take at most as much deflated, and a little that a deflater adds. */
enum { PROBE_DEFLATED_BYTES_MAX = CODEC_METADATA_BYTES_MAX + CODEC_METADATA_BYTES_MAX / 8 };

/*
 * What may yet be spent on this file. Parts of a file can be broken without being kept as a text,
 * and can share their bytes, so the bounds on what is kept do not bound the work.
 */
struct probe_bounds {
    size_t inflated_bytes;
    size_t deflated_bytes;
    unsigned streams;      /* deflated texts that are opened */
    unsigned exif_entries; /* Exif entries that hold a text */
    /* Of their values. Those of an honest file do not overlap, so its length is enough. */
    size_t exif_scanned_bytes;
};

struct probe {
    struct slice file;
    unsigned flags;
    struct codec_image *image;
    struct jini_error *error;
    struct probe_bounds left;
    const struct codec_text *infotext; /* the text to look for a seed in */
    int status;                        /* the first failure that is not the file's fault */
};

/*
 * The readers. Each is called with a file that begins as its format does, and returns 0 once the
 * picture's size is known, whatever else is wrong.
 */
int codec_png_probe(struct probe *probe);
int codec_jpeg_probe(struct probe *probe);
int codec_webp_probe(struct probe *probe);
int codec_gif_probe(struct probe *probe);
int codec_avif_probe(struct probe *probe);

/*
 * Texts of an Exif block, which is a TIFF file: header, IFD0, and the Exif IFD that it points to.
 */
void codec_exif_probe(struct probe *probe, struct slice tiff);

/* Fills the picture's size. JINI_E_NOT_IMAGE: a side of 0, or over 2^31 - 1. */
int probe_size(struct probe *probe, uint32_t width, uint32_t height);

/*
 * Refuses the file: what makes its header unreadable, as a sentence without its end.
 * JINI_E_NOT_IMAGE.
 */
int probe_refuse(struct probe *probe, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Flags damage; the sentence of the first one is kept. */
void probe_damage(struct probe *probe, enum codec_damage damage, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Adds a text, whose length this finds out. One that is broken or too much is left out and flagged.
 */
void probe_add_text(struct probe *probe, struct codec_text text);

/* Counts and flags a text that is not kept. Of `text` only the keyword is read. */
void probe_leave_out(struct probe *probe, const struct codec_text *text, const char *reason);

/* The part of the file from `begin` to its end. */
static inline struct slice probe_rest(const struct probe *probe, size_t begin)
{
    JINI_ASSERT(begin <= probe->file.length);
    return slice_of(probe->file.data + begin, probe->file.length - begin);
}

static inline uint16_t load_be16(const void *from)
{
    const uint8_t *b = from;
    return (uint16_t)((uint16_t)b[0] << 8 | b[1]);
}

#endif
