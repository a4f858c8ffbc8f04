/*
 * Raw metadata: the texts that a generator wrote into an image, verbatim, as one run of bytes that
 * is kept beside the image.
 *
 * Format, version 1. Integers are little-endian.
 *
 *   offset  size  what
 *        0     3  "JMD"
 *        3     1  version, 1
 *        4     -  entries to the end of the bytes
 *
 * An entry:
 *
 *   offset  size  what
 *        0     1  source, enum codec_text_source
 *        1     1  encoding of the value, enum codec_text_encoding
 *        2     1  length of the keyword k, 1 to 255
 *        3     1  zero
 *        4     4  length of the value v, up to CODEC_METADATA_BYTES_MAX
 *        8     k  keyword: of a PNG text its own bytes (Latin-1), else one of the names below
 *    8 + k     v  value: the text as it stands in the file, inflated where the file has it deflated
 *
 * Keywords that are not the file's own: "Comment" (JPEG COM, GIF comment), "XML:com.adobe.xmp"
 * (XMP), and of Exif "UserComment", "ImageDescription", "Make", "Model" and "Software" (ComfyUI
 * writes its graphs into Make and Model). The value of UserComment is what follows its 8 bytes of
 * character code, which the encoding tells. Not kept: language tag and translated keyword of an
 * iTXt, and the NUL bytes that end an Exif text.
 *
 * Nothing here is checked but lengths: who stores it adds a checksum. No text at all is no bytes at
 * all.
 */
#ifndef CODEC_METADATA_H
#define CODEC_METADATA_H

#include "base/bytes.h"

#include <jini/error.h>

enum { CODEC_METADATA_BYTES_MAX = 8 << 20, CODEC_METADATA_VERSION = 1 };

/* Where in the file a text stood. Pinned. */
enum codec_text_source {
    CODEC_SOURCE_PNG_TEXT = 1,          /* tEXt */
    CODEC_SOURCE_PNG_COMPRESSED = 2,    /* zTXt */
    CODEC_SOURCE_PNG_INTERNATIONAL = 3, /* iTXt */
    CODEC_SOURCE_EXIF = 4,              /* of any type of image */
    CODEC_SOURCE_COMMENT = 5,           /* JPEG COM, GIF comment extension */
    CODEC_SOURCE_XMP = 6                /* of JPEG and WebP */
};

/* How the bytes of a value are to be read. Pinned. */
enum codec_text_encoding {
    CODEC_TEXT_LATIN1 = 1,
    CODEC_TEXT_UTF8 = 2,
    CODEC_TEXT_UTF16_BE = 3,
    CODEC_TEXT_UTF16_LE = 4,
    CODEC_TEXT_UNSAID = 5, /* ASCII, or not told: UTF-8 when it is valid UTF-8, else Latin-1 */
    CODEC_TEXT_JIS = 6     /* JIS X 0208: kept, not converted */
};

/* How the file holds the value. */
enum codec_text_form {
    CODEC_FORM_PLAIN,
    CODEC_FORM_DEFLATED,  /* a zlib stream */
    CODEC_FORM_GIF_BLOCKS /* blocks of a length byte and as many bytes, up to one of length 0 */
};

/* A text of a file, as a probe found it. */
struct codec_text {
    enum codec_text_source source;
    enum codec_text_encoding encoding;
    enum codec_text_form form;
    uint32_t length;      /* of the value, once inflated or put together */
    struct slice keyword; /* 1 to 255 bytes */
    struct slice stored;  /* the value as the file holds it */
};

/*
 * Appends the value of a text to `out`. JINI_E_TOO_BIG: `out` has no room for text->length bytes.
 * JINI_E_CORRUPT: the stored bytes are not what they were when the text was found.
 * JINI_E_NO_MEMORY.
 */
int codec_text_value(const struct codec_text *text, struct buffer *out);

/*
 * Appends `value` to `out` as well-formed UTF-8. What the encoding does not allow, and NUL, becomes
 * U+FFFD. The result has at most 3 bytes for every byte of `value`. JINI_E_TOO_BIG: `out` is too
 * small. JINI_E_UNSUPPORTED: an encoding that is not converted.
 */
int codec_text_to_utf8(enum codec_text_encoding encoding, struct slice value, struct buffer *out);

/*
 * Bytes that an entry takes in raw metadata. The header before the first one is
 * CODEC_METADATA_HEADER.
 */
enum { CODEC_METADATA_HEADER = 4, CODEC_METADATA_ENTRY = 8 };

/* Writes the header, or an entry, of raw metadata. What does not fit sets out->overflow. */
void codec_metadata_begin(struct buffer *out);
int codec_metadata_add(struct buffer *out, const struct codec_text *text);

/* Reads raw metadata that came from disk. */
struct codec_metadata_reader {
    struct slice rest;
};

/* One entry; the slices are borrowed from the raw metadata. */
struct codec_metadata_entry {
    enum codec_text_source source; /* of a newer version this may be a value not listed above */
    enum codec_text_encoding encoding;
    struct slice keyword;
    struct slice value;
};

/*
 * JINI_E_CORRUPT: no raw metadata. JINI_E_FORMAT: of a version that is not read here. No bytes: no
 * entries.
 */
int codec_metadata_open(struct codec_metadata_reader *reader, struct slice bytes,
                        struct jini_error *error);

/*
 * The next entry. JINI_E_NOT_FOUND: there is none; `out` is then all zero. JINI_E_CORRUPT: a length
 * reaches past the end.
 */
int codec_metadata_next(struct codec_metadata_reader *reader, struct codec_metadata_entry *out,
                        struct jini_error *error);

/*
 * The value of the first entry with this keyword, as it stands. JINI_E_NOT_FOUND, and as for
 * codec_metadata_open() and codec_metadata_next().
 */
int codec_metadata_find(struct slice bytes, const char *keyword, struct codec_metadata_entry *out,
                        struct jini_error *error);

#endif
