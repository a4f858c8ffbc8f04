/* Telling the type of an image, and what all types have in common: texts, damage, the seed. */
#include "codec/image.h"

#include "base/alloc.h"
#include "base/error.h"
#include "codec/inflate.h"
#include "codec/infotext.h"
#include "codec/probe.h"

#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_BYTES = 16, SIDE_MAX = INT32_MAX };

struct type_row {
    enum codec_image_type type;
    const char *name;
    const char *media_type;
    const char *extension;
};

static const struct type_row types[] = {
    {CODEC_IMAGE_NONE, "unknown", "application/octet-stream", "bin"},
    {CODEC_IMAGE_PNG, "PNG", "image/png", "png"},
    {CODEC_IMAGE_JPEG, "JPEG", "image/jpeg", "jpg"},
    {CODEC_IMAGE_WEBP, "WebP", "image/webp", "webp"},
    {CODEC_IMAGE_GIF, "GIF", "image/gif", "gif"},
    {CODEC_IMAGE_AVIF, "AVIF", "image/avif", "avif"},
};

static const struct type_row *type_row(enum codec_image_type type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].type == type)
            return &types[i];
    }
    return &types[0];
}

const char *codec_image_type_name(enum codec_image_type type)
{
    return type_row(type)->name;
}

const char *codec_image_media_type(enum codec_image_type type)
{
    return type_row(type)->media_type;
}

const char *codec_image_extension(enum codec_image_type type)
{
    return type_row(type)->extension;
}

/* "89 50 4e 47 ..." into `text`, which has room for three characters a byte and the dots. */
static const char *show_bytes(struct slice bytes, char text[SHOWN_BYTES * 3 + 4])
{
    size_t shown = bytes.length < SHOWN_BYTES ? bytes.length : SHOWN_BYTES;
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < shown; i++)
        length += (size_t)snprintf(text + length, 4, i ? " %02x" : "%02x", bytes.data[i]);
    if (shown < bytes.length)
        snprintf(text + length, 5, " ...");
    return text;
}

int probe_refuse(struct probe *probe, const char *format, ...)
{
    char reason[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    char shown[SHOWN_BYTES * 3 + 4];
    return error_set(probe->error, JINI_E_NOT_IMAGE, "image",
                     "%s; its %zu bytes begin %s: give a whole PNG, JPEG, WebP, GIF or AVIF file",
                     reason, probe->file.length, show_bytes(probe->file, shown));
}

int probe_size(struct probe *probe, uint32_t width, uint32_t height)
{
    if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX)
        return probe_refuse(probe, "the %s is %u x %u pixels, and each side must be 1 to %d",
                            codec_image_type_name(probe->image->type), width, height, SIDE_MAX);
    probe->image->width = width;
    probe->image->height = height;
    return 0;
}

void probe_damage(struct probe *probe, enum codec_damage damage, const char *format, ...)
{
    struct codec_image *image = probe->image;
    image->damage |= damage;
    if (image->damage_text[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(image->damage_text, sizeof(image->damage_text), format, arguments);
    va_end(arguments);
}

void probe_leave_out(struct probe *probe, const struct codec_text *text, const char *reason)
{
    probe->image->texts_omitted++;
    char keyword[32];
    size_t length = 0;
    while (length < text->keyword.length && length < sizeof(keyword) - 1) {
        uint8_t byte = text->keyword.data[length];
        keyword[length++] = byte >= 0x20 && byte < 0x7F ? (char)byte : '?';
    }
    keyword[length] = '\0';
    probe_damage(probe, CODEC_DAMAGE_METADATA, "the text \"%s\" is left out: %s", keyword, reason);
}

/* The length of a GIF comment, and where its blocks end. False when they do not. */
static bool measure_blocks(struct slice blocks, size_t *length)
{
    size_t position = 0;
    *length = 0;
    while (position < blocks.length && blocks.data[position] != 0) {
        *length += blocks.data[position];
        position += (size_t)blocks.data[position] + 1;
    }
    return position < blocks.length;
}

/* The length of the value, which is at most `length_max`; JINI_E_TOO_BIG or JINI_E_CORRUPT else. */
static int measure(struct probe *probe, const struct codec_text *text, size_t length_max,
                   size_t *length)
{
    *length = text->stored.length;
    if (text->form == CODEC_FORM_DEFLATED) {
        struct probe_bounds *left = &probe->left;
        if (left->inflated_bytes == 0 || text->stored.length > left->deflated_bytes)
            return JINI_E_TOO_BIG;
        JINI_ASSERT(left->streams > 0);
        left->streams--;
        left->deflated_bytes -= text->stored.length;
        size_t inflate_max = length_max < left->inflated_bytes ? length_max : left->inflated_bytes;
        int status = codec_inflate_measure(text->stored, inflate_max, length);
        left->inflated_bytes -= *length < left->inflated_bytes ? *length : left->inflated_bytes;
        return status;
    }
    if (text->form == CODEC_FORM_GIF_BLOCKS && !measure_blocks(text->stored, length))
        return JINI_E_CORRUPT;
    return *length <= length_max ? 0 : JINI_E_TOO_BIG;
}

/* Exif wins over the file's own text, as it does for the programs that write both. */
static void choose_infotext(struct probe *probe, const struct codec_text *text)
{
    bool exif = text->source == CODEC_SOURCE_EXIF &&
                slice_equal(text->keyword, slice_of_text("UserComment"));
    bool parameters = slice_equal(text->keyword, slice_of_text("parameters"));
    bool comment = text->source == CODEC_SOURCE_COMMENT;
    if (exif || parameters || (comment && !probe->infotext))
        probe->infotext = text;
}

/* What A1111 and ComfyUI call their texts in a PNG. */
static bool is_infotext(const struct codec_text *text)
{
    static const char *const keywords[] = {"parameters", "prompt", "workflow"};
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (slice_equal(text->keyword, slice_of_text(keywords[i])))
            return true;
    }
    return false;
}

static bool has_place(const struct codec_image *image, const struct codec_text *text)
{
    uint32_t places = CODEC_IMAGE_TEXTS_MAX + (is_infotext(text) ? CODEC_IMAGE_INFOTEXTS_MAX : 0);
    return image->text_count < places;
}

void probe_add_text(struct probe *probe, struct codec_text text)
{
    struct codec_image *image = probe->image;
    if (probe->status)
        return;
    JINI_ASSERT(text.keyword.length >= 1 && text.keyword.length <= UINT8_MAX);
    if (!has_place(image, &text)) {
        probe_leave_out(probe, &text, "the file has more than 64 texts");
        return;
    }
    if (text.form == CODEC_FORM_DEFLATED && probe->left.streams == 0) {
        probe_leave_out(probe, &text, "64 compressed texts before it are broken or too long");
        return;
    }
    size_t before = image->metadata_bytes ? image->metadata_bytes : CODEC_METADATA_HEADER;
    size_t overhead = CODEC_METADATA_ENTRY + text.keyword.length;
    size_t room = CODEC_METADATA_BYTES_MAX - before;
    size_t length = 0;
    int status = room < overhead ? JINI_E_TOO_BIG : measure(probe, &text, room - overhead, &length);
    if (status == JINI_E_TOO_BIG) {
        probe_leave_out(probe, &text, "the texts of an image may take 8 MiB in all, inflated");
    } else if (status == JINI_E_CORRUPT) {
        probe_leave_out(probe, &text, "its compressed bytes are broken");
    } else if (status) {
        probe->status = error_set(probe->error, status, "image", "a text cannot be inflated: %s",
                                  jini_status_text(status));
    } else {
        text.length = (uint32_t)length;
        image->texts[image->text_count++] = text;
        image->metadata_bytes = before + overhead + length;
        choose_infotext(probe, &image->texts[image->text_count - 1]);
    }
}

/* The seed needs ASCII alone, so Latin-1 is looked at as it is; only UTF-16 is converted. */
static int find_seed(struct probe *probe)
{
    const struct codec_text *text = probe->infotext;
    if (!text)
        return 0;
    struct codec_image *image = probe->image;
    bool wide = text->encoding == CODEC_TEXT_UTF16_BE || text->encoding == CODEC_TEXT_UTF16_LE;
    if (text->form == CODEC_FORM_PLAIN && !wide) {
        image->has_seed = codec_infotext_seed(text->stored, &image->seed);
        return 0;
    }
    /* Two bytes of UTF-16 become at most three. Only Exif has it, and never in pieces. */
    size_t room = wide ? text->length / 2 * 3 + 3 : text->length;
    uint8_t *value = base_malloc(room ? room : 1);
    if (!value)
        return error_set(probe->error, JINI_E_NO_MEMORY, "image",
                         "no memory for a text of %zu bytes: try again later", room);
    struct buffer out = buffer_of(value, room);
    int status = wide ? codec_text_to_utf8(text->encoding, text->stored, &out)
                      : codec_text_value(text, &out);
    if (!status)
        image->has_seed = codec_infotext_seed(buffer_slice(&out), &image->seed);
    else
        error_set(probe->error, status, "image", "a text of %zu bytes cannot be read: %s", room,
                  jini_status_text(status));
    base_free(value);
    return status;
}

static enum codec_image_type type_of(struct slice file)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const uint8_t jpeg[] = {0xFF, 0xD8, 0xFF};
    if (slice_has_prefix(file, slice_of(png, sizeof(png))))
        return CODEC_IMAGE_PNG;
    if (slice_has_prefix(file, slice_of(jpeg, sizeof(jpeg))))
        return CODEC_IMAGE_JPEG;
    if (file.length < 12)
        return CODEC_IMAGE_NONE;
    if (memcmp(file.data, "RIFF", 4) == 0 && memcmp(file.data + 8, "WEBP", 4) == 0)
        return CODEC_IMAGE_WEBP;
    if (memcmp(file.data, "GIF87a", 6) == 0 || memcmp(file.data, "GIF89a", 6) == 0)
        return CODEC_IMAGE_GIF;
    if (memcmp(file.data + 4, "ftyp", 4) == 0)
        return CODEC_IMAGE_AVIF;
    return CODEC_IMAGE_NONE;
}

static int read_type(struct probe *probe)
{
    switch (probe->image->type) {
    case CODEC_IMAGE_PNG:
        return codec_png_probe(probe);
    case CODEC_IMAGE_JPEG:
        return codec_jpeg_probe(probe);
    case CODEC_IMAGE_WEBP:
        return codec_webp_probe(probe);
    case CODEC_IMAGE_GIF:
        return codec_gif_probe(probe);
    case CODEC_IMAGE_AVIF:
        return codec_avif_probe(probe);
    default:
        if (probe->file.length == 0)
            return error_set(probe->error, JINI_E_NOT_IMAGE, "image",
                             "the file is empty: give a whole PNG, JPEG, WebP, GIF or AVIF file");
        return probe_refuse(probe, "this is no image of a known type");
    }
}

int codec_image_probe(struct slice bytes, unsigned flags, struct codec_image *out,
                      struct jini_error *error)
{
    memset(out, 0, sizeof(*out));
    error_clear(error);
    struct probe probe = {.file = bytes,
                          .flags = flags,
                          .image = out,
                          .error = error,
                          .left = {.inflated_bytes = CODEC_METADATA_BYTES_MAX,
                                   .deflated_bytes = PROBE_DEFLATED_BYTES_MAX,
                                   .streams = CODEC_IMAGE_TEXTS_MAX,
                                   .exif_entries = CODEC_IMAGE_TEXTS_MAX,
                                   .exif_scanned_bytes = bytes.length}};
    out->type = type_of(bytes);
    int status = read_type(&probe);
    if (!status)
        status = probe.status;
    if (!status)
        status = find_seed(&probe);
    if (status) {
        memset(out, 0, sizeof(*out));
        return status;
    }
    JINI_ASSERT(out->width > 0 && out->height > 0);
    JINI_ASSERT(out->metadata_bytes <= CODEC_METADATA_BYTES_MAX);
    return 0;
}

int codec_image_metadata(const struct codec_image *image, struct buffer *out,
                         struct jini_error *error)
{
    if (image->metadata_bytes == 0)
        return 0;
    size_t begin = out->length;
    if (out->overflow || image->metadata_bytes > out->capacity - begin)
        return error_set(error, JINI_E_TOO_BIG, "metadata",
                         "%zu bytes of raw metadata do not fit the room of %zu",
                         image->metadata_bytes, out->capacity - begin);
    codec_metadata_begin(out);
    int status = 0;
    for (uint32_t i = 0; i < image->text_count && !status; i++)
        status = codec_metadata_add(out, &image->texts[i]);
    if (!status) {
        JINI_ASSERT(out->length - begin == image->metadata_bytes);
        return 0;
    }
    out->length = begin;
    return error_set(error, status, "metadata",
                     "a text of the image cannot be read a second time: %s",
                     jini_status_text(status));
}
