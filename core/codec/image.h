/*
 * Looking at the bytes of an image file without decoding its pixels: what type it is, how large the
 * picture is, whether the file is whole, and what the program that generated it wrote into it.
 *
 * What is read of each type:
 *
 *   PNG   (W3C PNG, third edition)      IHDR; every tEXt, zTXt, iTXt and eXIf
 *   JPEG  (ITU-T T.81, JFIF, Exif 2.3)  the frame header; COM, Exif and XMP segments
 *   WebP  (RFC 9649)                    VP8, VP8L or VP8X; the EXIF and XMP chunks
 *   GIF   (GIF89a)                      the logical screen; comments
 *   AVIF  (AVIF 1.1 on ISO 14496-12)    the primary item's size; its Exif item
 *
 * Sizes are those of the coded picture: a rotation that the metadata asks for is not applied.
 */
#ifndef CODEC_IMAGE_H
#define CODEC_IMAGE_H

#include "codec/metadata.h"

/* Pinned: image records keep them. */
enum codec_image_type {
    CODEC_IMAGE_NONE = 0,
    CODEC_IMAGE_PNG = 1,
    CODEC_IMAGE_JPEG = 2,
    CODEC_IMAGE_WEBP = 3,
    CODEC_IMAGE_GIF = 4,
    CODEC_IMAGE_AVIF = 5
};

/* "PNG", "JPEG", ...; "unknown" for a value that is none. Static. */
const char *codec_image_type_name(enum codec_image_type type);

/* "image/png", ...; "application/octet-stream" for a value that is none. Static. */
const char *codec_image_media_type(enum codec_image_type type);

/* "png", "jpg", ..., without a dot; "bin" for a value that is none. Static. */
const char *codec_image_extension(enum codec_image_type type);

/* What is wrong with a file that is an image all the same: its bytes are kept as they are. */
enum codec_damage {
    CODEC_DAMAGE_TRUNCATED = 1, /* the file ends before its format says so */
    CODEC_DAMAGE_TRAILING = 2,  /* bytes follow the end of the image */
    CODEC_DAMAGE_CRC = 4,       /* a PNG chunk whose bytes do not match its CRC */
    CODEC_DAMAGE_STRUCTURE = 8, /* parts that the format does not allow, or not there */
    CODEC_DAMAGE_METADATA = 16, /* a text that cannot be read whole, and is left out */
    /* Those that say that bytes of the image were lost or changed. */
    CODEC_DAMAGE_OF_IMAGE = CODEC_DAMAGE_TRUNCATED | CODEC_DAMAGE_CRC | CODEC_DAMAGE_STRUCTURE
};

enum codec_probe_flags {
    CODEC_PROBE_DEFAULT = 0,
    /*
     * Read every byte: the CRCs of all PNG chunks, and JPEG scans from marker to marker. Without
     * it, the CRCs of the chunks listed above are checked, and a JPEG that ends in an end-of-image
     * marker is believed.
     */
    CODEC_PROBE_CHECK_CRC = 1
};

/* The last places are for what is asked for most, however many other texts come before it. */
enum {
    CODEC_IMAGE_TEXTS_MAX = 64,
    CODEC_IMAGE_INFOTEXTS_MAX = 8, /* of `parameters`, `prompt` and `workflow`, beyond the others */
    CODEC_DAMAGE_TEXT_MAX = 120
};

/* All that a probe found. The slices in `texts` point into the file's bytes, or to static names. */
struct codec_image {
    enum codec_image_type type;
    uint32_t width;
    uint32_t height;

    unsigned damage; /* bits of enum codec_damage */
    char
        damage_text[CODEC_DAMAGE_TEXT_MAX]; /* the first one as a sentence; "" when there is none */

    /*
     * The seed, from an A1111 infotext (PNG text `parameters`, Exif UserComment, GIF comment).
     * ComfyUI and InvokeAI write theirs into JSON graphs with any number of them: those are left
     * unknown.
     */
    bool has_seed;
    uint64_t seed;

    uint32_t text_count;
    uint32_t texts_omitted; /* over a bound or broken; still in the file, of course */
    size_t metadata_bytes;  /* what codec_image_metadata() writes; 0 when there is no text */
    struct codec_text texts[CODEC_IMAGE_TEXTS_MAX + CODEC_IMAGE_INFOTEXTS_MAX];
};

/*
 * Looks at a whole image file. Reads headers only (but see CODEC_PROBE_CHECK_CRC): the cost does
 * not grow with the pixels. Allocates only to inflate compressed texts or to read a seed from
 * UTF-16, at most 12 MiB for the length of the call.
 *
 *   bytes  the file, borrowed; `out` points into it
 *   flags  of enum codec_probe_flags
 *   out    all zero when the call fails
 *
 * JINI_E_NOT_IMAGE: the bytes are of no type above, or the header cannot be read or gives a side of
 * 0 or over 2^31 - 1 (PNG section 11.2.1 forbids both; the other formats cannot say more). The
 * message shows the first bytes. JINI_E_NO_MEMORY. Any thread.
 */
int codec_image_probe(struct slice bytes, unsigned flags, struct codec_image *out,
                      struct jini_error *error);

/*
 * Appends the raw metadata (the format stands in metadata.h) of a probed image to `out`: every text
 * verbatim, inflated where it was compressed, in the order of the file. `image` is as the probe
 * left it, and the bytes that it was made from are unchanged. Writes nothing when
 * image->metadata_bytes is 0. JINI_E_TOO_BIG: `out` has no room for image->metadata_bytes.
 * JINI_E_CORRUPT: the bytes changed meanwhile. JINI_E_NO_MEMORY. `out` keeps the length that it had
 * when the call fails.
 */
int codec_image_metadata(const struct codec_image *image, struct buffer *out,
                         struct jini_error *error);

#endif
