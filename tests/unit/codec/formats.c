/* Probing JPEG, WebP, GIF and AVIF, and the Exif blocks in them. */
#include "codec/image.h"

#include "make.h"

#include <jini/status.h>

static const char infotext[] = "a lighthouse\nNegative prompt: fog\n"
                               "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 77, Size: 16x9";

static struct codec_image probe_ok(const struct made *file, unsigned flags)
{
    struct codec_image image;
    struct jini_error error;
    int status = codec_image_probe(made_slice(file), flags, &image, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s", jini_status_name(status), error.message);
    return image;
}

static void check_refused(const struct made *file, const char *part)
{
    struct codec_image image;
    struct jini_error error;
    CHECK_STATUS(codec_image_probe(made_slice(file), 0, &image, &error), JINI_E_NOT_IMAGE);
    CHECK_CONTAINS(error.message, part);
}

static void check_whole(const struct codec_image *image, enum codec_image_type type)
{
    CHECK_TEXT(image->damage_text, "");
    CHECK_UINT(image->damage, ==, 0);
    CHECK_INT(image->type, ==, type);
    CHECK_UINT(image->width, ==, 16);
    CHECK_UINT(image->height, ==, 9);
}

static void check_text(const struct codec_image *image, const char *keyword, const char *expected)
{
    char room[1024];
    struct buffer out = buffer_of(room, sizeof(room));
    struct jini_error error;
    CHECK_OK(codec_image_metadata(image, &out, &error));
    struct codec_metadata_entry entry;
    CHECK_OK(codec_metadata_find(buffer_slice(&out), keyword, &entry, &error));
    char text[1024];
    struct buffer utf8 = buffer_of(text, sizeof(text) - 1);
    CHECK_OK(codec_text_to_utf8(entry.encoding, entry.value, &utf8));
    text[utf8.length] = '\0';
    CHECK_TEXT(text, expected);
}

/* Every cut of a file is refused or flagged, and never reads past the end. */
static void check_cuts(const struct made *file, size_t header_bytes)
{
    for (size_t length = 0; length < file->length; length++) {
        uint8_t *copy = exact_copy(file->data, length);
        struct codec_image image;
        struct jini_error error;
        int status = codec_image_probe(slice_of(copy, length), length & 1, &image, &error);
        if (length < header_bytes)
            CHECK_STATUS(status, JINI_E_NOT_IMAGE);
        else
            CHECK_STATUS(status, 0);
        if (!status)
            CHECK(image.damage & (CODEC_DAMAGE_TRUNCATED | CODEC_DAMAGE_STRUCTURE));
        free(copy);
    }
}

static void check_mutations(const struct made *file)
{
    unsigned known = 0;
    unsigned rounds = 20000 * harness_scale();
    for (unsigned i = 0; i < rounds; i++) {
        size_t length = harness_random_below(6) ? file->length : harness_random_below(file->length);
        uint8_t *copy = exact_copy(file->data, length);
        for (unsigned flips = (unsigned)harness_random_below(5); length && flips; flips--) {
            static const uint8_t edges[] = {0, 1, 0xFF, 0x7F, 0x80};
            uint8_t byte = flips & 1 ? (uint8_t)harness_random() : edges[harness_random_below(5)];
            copy[harness_random_below(length)] = byte;
        }
        struct codec_image image;
        struct jini_error error;
        int status = codec_image_probe(slice_of(copy, length), i & 1, &image, &error);
        known += status == 0;
        if (status) {
            CHECK_STATUS(status, JINI_E_NOT_IMAGE);
        } else if (image.metadata_bytes) {
            uint8_t *room = malloc(image.metadata_bytes);
            CHECK(room != NULL);
            struct buffer out = buffer_of(room, image.metadata_bytes);
            CHECK_OK(codec_image_metadata(&image, &out, &error));
            free(room);
        }
        free(copy);
    }
    CHECK_UINT(known, >, rounds / 4);
}

static void jpeg_segment(struct made *jpeg, unsigned marker, const void *data, size_t length)
{
    made_add_byte(jpeg, 0xFF);
    made_add_byte(jpeg, marker);
    made_add_be16(jpeg, (unsigned)length + 2);
    made_add(jpeg, data, length);
}

static void jpeg_begin(struct made *jpeg)
{
    made_add(jpeg, "\xff\xd8", 2);
    jpeg_segment(jpeg, 0xE0, "JFIF\0\1\1\0\0\1\0\1\0\0", 14);
}

static void jpeg_frame(struct made *jpeg, unsigned marker, unsigned width, unsigned height)
{
    uint8_t frame[15] = {8,
                         (uint8_t)(height >> 8),
                         (uint8_t)height,
                         (uint8_t)(width >> 8),
                         (uint8_t)width,
                         3,
                         1,
                         0x22,
                         0,
                         2,
                         0x11,
                         1,
                         3,
                         0x11,
                         1};
    jpeg_segment(jpeg, marker, frame, sizeof(frame));
}

static void jpeg_scan(struct made *jpeg)
{
    jpeg_segment(jpeg, 0xDA, "\1\1\0\0\x3f\0", 6);
    made_add(jpeg, "\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xd7\x78", 11);
}

static void jpeg_end(struct made *jpeg)
{
    made_add(jpeg, "\xff\xd9", 2);
}

static void jpeg_exif(struct made *jpeg, bool big_endian)
{
    struct made wide = {0};
    struct made exif = {0};
    made_add(&exif, "Exif\0\0", 6);
    utf16_of(&wide, infotext, big_endian);
    struct made tiff = {0};
    exif_block(&tiff, big_endian, "workflow:{}", "UNICODE", wide.data, wide.length);
    made_add(&exif, tiff.data, tiff.length);
    jpeg_segment(jpeg, 0xE1, exif.data, exif.length);
    made_free(&wide);
    made_free(&exif);
    made_free(&tiff);
}

TEST(jpeg_is_described,
     "Baseline and progressive: size, comment, Exif in both byte orders, XMP, seed.")
{
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        struct made jpeg = {0};
        jpeg_begin(&jpeg);
        jpeg_exif(&jpeg, big_endian);
        jpeg_segment(&jpeg, 0xE1, "http://ns.adobe.com/xap/1.0/\0<x/>", 33);
        jpeg_segment(&jpeg, 0xFE, "made by hand\0", 13);
        jpeg_segment(&jpeg, 0xC4, "tables", 6);
        jpeg_frame(&jpeg, big_endian ? 0xC2 : 0xC0, 16, 9);
        jpeg_scan(&jpeg);
        jpeg_segment(&jpeg, 0xC4, "tables", 6);
        jpeg_scan(&jpeg);
        jpeg_end(&jpeg);
        for (unsigned flags = 0; flags < 2; flags++) {
            struct codec_image image = probe_ok(&jpeg, flags);
            check_whole(&image, CODEC_IMAGE_JPEG);
            CHECK(image.has_seed);
            CHECK_UINT(image.seed, ==, 77);
            CHECK_UINT(image.text_count, ==, 4);
            check_text(&image, "UserComment", infotext);
            check_text(&image, "Make", "workflow:{}");
            check_text(&image, "Comment", "made by hand");
            check_text(&image, "XML:com.adobe.xmp", "<x/>");
        }
        made_free(&jpeg);
    }
}

TEST(jpeg_damage_is_told,
     "Cut, trailing and stray bytes are flagged; trailing ones behind an end mark when asked.")
{
    struct made jpeg = {0};
    jpeg_begin(&jpeg);
    jpeg_frame(&jpeg, 0xC0, 16, 9);
    size_t header = jpeg.length;
    jpeg_scan(&jpeg);
    jpeg_end(&jpeg);
    check_cuts(&jpeg, header);
    made_add(&jpeg, "tail", 4);
    CHECK_UINT(probe_ok(&jpeg, 0).damage, ==, CODEC_DAMAGE_TRAILING);
    CHECK_TEXT(probe_ok(&jpeg, 0).damage_text, "4 bytes follow the end of the JPEG");
    made_add(&jpeg, "\xff\xd9", 2);
    CHECK_UINT(probe_ok(&jpeg, 0).damage, ==, 0);
    CHECK_UINT(probe_ok(&jpeg, CODEC_PROBE_CHECK_CRC).damage, ==, CODEC_DAMAGE_TRAILING);
    jpeg.length = 0;
    jpeg_begin(&jpeg);
    made_add(&jpeg, "stray", 5);
    jpeg_frame(&jpeg, 0xC1, 16, 9);
    jpeg_scan(&jpeg);
    jpeg_end(&jpeg);
    CHECK_UINT(probe_ok(&jpeg, 0).damage, ==, CODEC_DAMAGE_STRUCTURE);
    jpeg.length = 0;
    jpeg_begin(&jpeg);
    jpeg_frame(&jpeg, 0xC0, 16, 9);
    jpeg_end(&jpeg);
    CHECK_UINT(probe_ok(&jpeg, 0).damage, ==, CODEC_DAMAGE_STRUCTURE);
    made_free(&jpeg);
}

TEST(jpeg_without_a_size_is_refused, "No frame header, a side of 0, a cut segment: no image.")
{
    struct made jpeg = {0};
    jpeg_begin(&jpeg);
    jpeg_scan(&jpeg);
    jpeg_end(&jpeg);
    check_refused(&jpeg, "no frame header before its pixels");
    jpeg.length = 0;
    jpeg_begin(&jpeg);
    jpeg_frame(&jpeg, 0xC0, 16, 0);
    check_refused(&jpeg, "16 x 0 pixels");
    jpeg.length = 0;
    jpeg_begin(&jpeg);
    jpeg_segment(&jpeg, 0xC0, "\x08\0", 2);
    check_refused(&jpeg, "frame header of the JPEG is cut");
    jpeg.length = 0;
    made_add(&jpeg, "\xff\xd8\xff", 3);
    check_refused(&jpeg, "ff d8 ff");
    made_free(&jpeg);
}

TEST(jpeg_changed_bytes_never_crash, "Thousands of changed JPEGs are described or refused.")
{
    struct made jpeg = {0};
    jpeg_begin(&jpeg);
    jpeg_exif(&jpeg, true);
    jpeg_segment(&jpeg, 0xFE, "made by hand\0", 13);
    jpeg_frame(&jpeg, 0xC2, 16, 9);
    jpeg_scan(&jpeg);
    jpeg_end(&jpeg);
    check_mutations(&jpeg);
    made_free(&jpeg);
}

static void riff_chunk(struct made *webp, const char *type, const void *data, size_t length)
{
    made_add(webp, type, 4);
    made_add_le32(webp, (uint32_t)length);
    made_add(webp, data, length);
    if (length & 1)
        made_add_byte(webp, 0);
}

static void webp_begin(struct made *webp)
{
    made_add(webp, "RIFF\0\0\0\0WEBP", 12);
}

static void webp_end(struct made *webp)
{
    store_le32(webp->data + 4, (uint32_t)webp->length - 8);
}

static const char lossy[] = "\x30\x01\x00\x9d\x01\x2a\x10\x40\x09\x80pixels";
static const char lossless[] = "\x2f\x0f\x00\x02\x00pixels";
static const char extended[] = "\x0c\0\0\0\x0f\0\0\x08\0\0";

static void webp_extended(struct made *webp)
{
    struct made exif = {0};
    struct made wide = {0};
    utf16_of(&wide, infotext, false);
    exif_block(&exif, false, NULL, "UNICODE", wide.data, wide.length);
    webp_begin(webp);
    riff_chunk(webp, "VP8X", extended, 10);
    riff_chunk(webp, "ANIM", "\0\0\0\0\0\0", 6);
    riff_chunk(webp, "ANMF", "a frame", 7);
    riff_chunk(webp, "EXIF", exif.data, exif.length);
    riff_chunk(webp, "XMP ", "<x/>", 4);
    webp_end(webp);
    made_free(&exif);
    made_free(&wide);
}

TEST(webp_is_described,
     "Lossy, lossless and extended files tell their size; Exif and XMP are kept.")
{
    struct made webp = {0};
    webp_begin(&webp);
    riff_chunk(&webp, "VP8 ", lossy, sizeof(lossy) - 1);
    webp_end(&webp);
    struct codec_image image = probe_ok(&webp, 0);
    check_whole(&image, CODEC_IMAGE_WEBP);
    webp.length = 0;
    webp_begin(&webp);
    riff_chunk(&webp, "VP8L", lossless, sizeof(lossless) - 1);
    webp_end(&webp);
    image = probe_ok(&webp, 0);
    check_whole(&image, CODEC_IMAGE_WEBP);
    webp.length = 0;
    webp_extended(&webp);
    image = probe_ok(&webp, 0);
    check_whole(&image, CODEC_IMAGE_WEBP);
    CHECK_UINT(image.seed, ==, 77);
    check_text(&image, "UserComment", infotext);
    check_text(&image, "XML:com.adobe.xmp", "<x/>");
    made_free(&webp);
}

TEST(webp_damage_is_told,
     "Cut and trailing bytes, lengths that lie, and missing pixels are flagged.")
{
    struct made webp = {0};
    webp_extended(&webp);
    check_cuts(&webp, 30);
    made_add(&webp, "tail", 4);
    CHECK_UINT(probe_ok(&webp, 0).damage, ==, CODEC_DAMAGE_TRAILING);
    store_le32(webp.data + 16, 0xFFFFFFFF);
    CHECK(probe_ok(&webp, 0).damage & CODEC_DAMAGE_TRUNCATED);
    webp.length = 0;
    webp_begin(&webp);
    riff_chunk(&webp, "VP8X", extended, 10);
    webp_end(&webp);
    CHECK_UINT(probe_ok(&webp, 0).damage, ==, CODEC_DAMAGE_STRUCTURE);
    webp.length = 0;
    webp_begin(&webp);
    riff_chunk(&webp, "VP8X", "\0\0\0\0\xff\xff\xff\xff\xff\xff", 10);
    riff_chunk(&webp, "VP8 ", lossy, sizeof(lossy) - 1);
    webp_end(&webp);
    CHECK_UINT(probe_ok(&webp, 0).damage, ==, CODEC_DAMAGE_STRUCTURE);
    CHECK_UINT(probe_ok(&webp, 0).width, ==, 1 << 24);
    made_free(&webp);
}

TEST(webp_without_a_size_is_refused,
     "A first chunk of another type, or one that is no header, is no image.")
{
    struct made webp = {0};
    webp_begin(&webp);
    check_refused(&webp, "ends before its header");
    riff_chunk(&webp, "EXIF", "x", 1);
    webp_end(&webp);
    check_refused(&webp, "does not begin with a VP8, VP8L or VP8X chunk");
    webp.length = 12;
    riff_chunk(&webp, "VP8 ", "\x31\x01\x00\x9d\x01\x2a\x10\x40\x09\x80", 10);
    webp_end(&webp);
    check_refused(&webp, "VP8 key frame");
    webp.length = 12;
    riff_chunk(&webp, "VP8 ", "\x30\x01\x00\x9d\x01\x2a\x00\x40\x09\x80", 10);
    webp_end(&webp);
    check_refused(&webp, "0 x 9 pixels");
    made_free(&webp);
}

TEST(webp_changed_bytes_never_crash, "Thousands of changed WebPs are described or refused.")
{
    struct made webp = {0};
    webp_extended(&webp);
    check_mutations(&webp);
    made_free(&webp);
}

static void whole_gif(struct made *gif)
{
    made_add(gif, "GIF89a\x10\0\x09\0\x80\0\0\0\0\0\xff\xff\xff", 19);
    made_add(gif, "\x21\xf9\x04\0\0\0\0\0", 8);
    made_add(gif, "\x21\xfe", 2);
    size_t half = strlen(infotext) / 2;
    made_add_byte(gif, (unsigned)half);
    made_add(gif, infotext, half);
    made_add_byte(gif, (unsigned)(strlen(infotext) - half));
    made_add_text(gif, infotext + half);
    made_add_byte(gif, 0);
    made_add(gif, "\x2c\0\0\0\0\x10\0\x09\0\0\x02\x03\x01\x02\x03\0", 16);
    made_add_byte(gif, 0x3B);
}

TEST(gif_is_described, "Size and comment, which is put together from its blocks, come out.")
{
    struct made gif = {0};
    whole_gif(&gif);
    struct codec_image image = probe_ok(&gif, 0);
    check_whole(&image, CODEC_IMAGE_GIF);
    check_text(&image, "Comment", infotext);
    CHECK_UINT(image.seed, ==, 77);
    check_cuts(&gif, 13);
    made_add_text(&gif, "tail");
    CHECK_UINT(probe_ok(&gif, 0).damage, ==, CODEC_DAMAGE_TRAILING);
    gif.data[19] = 'x';
    CHECK_UINT(probe_ok(&gif, 0).damage, ==, CODEC_DAMAGE_STRUCTURE);
    store_le16(gif.data + 6, 0);
    check_refused(&gif, "0 x 9 pixels");
    made_free(&gif);
}

TEST(gif_changed_bytes_never_crash, "Thousands of changed GIFs are described or refused.")
{
    struct made gif = {0};
    whole_gif(&gif);
    check_mutations(&gif);
    made_free(&gif);
}

/* Two items: 1 is a thumbnail, 2 is the picture; item 3 is an Exif block in mdat. */
static void whole_avif(struct made *file)
{
    size_t box = made_box_begin(file, "ftyp");
    made_add(file, "mif1\0\0\0\0avifmiaf", 16);
    made_box_end(file, box);
    size_t meta = made_box_begin(file, "meta");
    made_add_be32(file, 0);
    box = made_box_begin(file, "pitm");
    made_add_be32(file, 0);
    made_add_be16(file, 2);
    made_box_end(file, box);
    size_t items = made_box_begin(file, "iinf");
    made_add_be32(file, 0);
    made_add_be16(file, 3);
    for (unsigned item = 1; item <= 3; item++) {
        box = made_box_begin(file, "infe");
        made_add_be32(file, 2 << 24);
        made_add_be16(file, item);
        made_add_be16(file, 0);
        made_add(file, item == 3 ? "Exif" : "av01", 5);
        made_box_end(file, box);
    }
    made_box_end(file, items);
    box = made_box_begin(file, "iloc");
    made_add_be32(file, 0);
    made_add_be16(file, 0x4440);
    made_add_be16(file, 1);
    made_add_be16(file, 3);
    made_add_be16(file, 0);
    made_add_be32(file, 0);
    made_add_be16(file, 1);
    size_t location = file->length;
    made_add_be32(file, 0);
    made_add_be32(file, 0);
    made_box_end(file, box);
    size_t properties = made_box_begin(file, "iprp");
    size_t list = made_box_begin(file, "ipco");
    made_size_box(file, 4, 3);
    box = made_box_begin(file, "pixi");
    made_add_be32(file, 0);
    made_box_end(file, box);
    made_size_box(file, 16, 9);
    made_box_end(file, list);
    box = made_box_begin(file, "ipma");
    made_add_be32(file, 0);
    made_add_be32(file, 2);
    made_add_be16(file, 1);
    made_add(file, "\x01\x01", 2);
    made_add_be16(file, 2);
    made_add(file, "\x02\x02\x83", 3);
    made_box_end(file, box);
    made_box_end(file, properties);
    made_box_end(file, meta);
    size_t data = made_box_begin(file, "mdat");
    size_t exif = file->length;
    made_add_be32(file, 6);
    made_add(file, "Exif\0\0", 6);
    struct made tiff = {0};
    exif_block(&tiff, true, NULL, "ASCII\0\0", infotext, strlen(infotext));
    made_add(file, tiff.data, tiff.length);
    made_free(&tiff);
    store_be32(file->data + location, (uint32_t)exif);
    store_be32(file->data + location + 4, (uint32_t)(file->length - exif));
    made_add_text(file, "pixels");
    made_box_end(file, data);
}

TEST(avif_is_described, "The size is that of the primary item, and its Exif item is read.")
{
    struct made avif = {0};
    whole_avif(&avif);
    struct codec_image image = probe_ok(&avif, 0);
    check_whole(&image, CODEC_IMAGE_AVIF);
    check_text(&image, "UserComment", infotext);
    CHECK_UINT(image.seed, ==, 77);
    avif.length -= 3;
    CHECK(probe_ok(&avif, 0).damage & CODEC_DAMAGE_TRUNCATED);
    avif.length += 3;
    made_add(&avif, "tail", 4);
    CHECK_UINT(probe_ok(&avif, 0).damage, ==, CODEC_DAMAGE_TRAILING);
    memcpy(avif.data + 16, "heic", 4);
    check_refused(&avif, "another brand");
    made_free(&avif);
}

TEST(avif_changed_bytes_never_crash, "Thousands of changed and cut AVIFs are described or refused.")
{
    struct made avif = {0};
    whole_avif(&avif);
    check_mutations(&avif);
    made_free(&avif);
}

TEST(exif_encodings_are_told, "Each character code of a UserComment gives the text that was meant.")
{
    static const struct {
        const char *code;
        const char *comment;
        size_t length;
        const char *expected;
    } cases[] = {
        {"ASCII\0\0", "caf\xc3\xa9\0\0", 7, "caf\xc3\xa9"},
        {"ASCII\0\0", "caf\xe9", 4, "caf\xc3\xa9"},
        {"\0\0\0\0\0\0\0", "plain", 5, "plain"},
        {"plain te", "xt", 2, "plain text"},
        {"UNICODE",
         "\xff\xfe"
         "a\0",
         4,
         "\xef\xbb\xbf"
         "a"},
        {"UNICODE", "\x73\x2b\0,", 4, "\xe7\x8c\xab,"},
        {"UNICODE", "\x2b\x73,\0", 4, "\xe7\x8c\xab,"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct made webp = {0};
        struct made exif = {0};
        exif_block(&exif, i & 1, NULL, cases[i].code, cases[i].comment, cases[i].length);
        webp_begin(&webp);
        riff_chunk(&webp, "VP8X", extended, 10);
        riff_chunk(&webp, "VP8 ", lossy, sizeof(lossy) - 1);
        riff_chunk(&webp, "EXIF", exif.data, exif.length);
        webp_end(&webp);
        struct codec_image image = probe_ok(&webp, 0);
        CHECK_UINT(image.damage, ==, 0);
        check_text(&image, "UserComment", cases[i].expected);
        made_free(&webp);
        made_free(&exif);
    }
}

TEST(seed_is_found_beside_any_script,
     "An infotext in UTF-16 whose prompt grows by half as UTF-8 names its seed.")
{
    struct made wide = {0};
    for (int i = 0; i < 500; i++)
        made_add_be16(&wide, 0x732B);
    utf16_of(&wide, "\nSteps: 20, Sampler: Euler a, Seed: 78", true);
    struct made exif = {0};
    exif_block(&exif, true, NULL, "UNICODE", wide.data, wide.length);
    struct made webp = {0};
    webp_begin(&webp);
    riff_chunk(&webp, "VP8X", extended, 10);
    riff_chunk(&webp, "VP8 ", lossy, sizeof(lossy) - 1);
    riff_chunk(&webp, "EXIF", exif.data, exif.length);
    webp_end(&webp);
    struct codec_image image = probe_ok(&webp, 0);
    CHECK(image.has_seed);
    CHECK_UINT(image.seed, ==, 78);
    made_free(&webp);
    made_free(&exif);
    made_free(&wide);
}

TEST(hostile_exif_is_bounded,
     "A directory that points at itself or at 65,535 entries ends, and is flagged.")
{
    struct made exif = {0};
    made_add(&exif, "II\x2a\0\x08\0\0\0", 8);
    made_add_le16(&exif, 65535);
    for (int i = 0; i < 5000; i++) {
        made_add_le16(&exif, i == 0 ? 0x8769 : 0x010F);
        made_add_le16(&exif, i == 0 ? 4 : 2);
        made_add_le32(&exif, i == 0 ? 1 : 60000);
        made_add_le32(&exif, 8);
    }
    struct made webp = {0};
    webp_begin(&webp);
    riff_chunk(&webp, "VP8X", extended, 10);
    riff_chunk(&webp, "VP8 ", lossy, sizeof(lossy) - 1);
    riff_chunk(&webp, "EXIF", exif.data, exif.length);
    webp_end(&webp);
    struct codec_image image = probe_ok(&webp, 0);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
    CHECK_UINT(image.text_count, ==, CODEC_IMAGE_TEXTS_MAX);
    CHECK_UINT(image.metadata_bytes, <=, CODEC_METADATA_BYTES_MAX);
    made_free(&exif);
    made_free(&webp);
}

TEST(no_memory_is_an_error,
     "A seed in UTF-16 that cannot be converted for want of memory is E_NO_MEMORY.")
{
    struct made jpeg = {0};
    jpeg_begin(&jpeg);
    jpeg_exif(&jpeg, true);
    jpeg_frame(&jpeg, 0xC0, 16, 9);
    jpeg_scan(&jpeg);
    jpeg_end(&jpeg);
    struct codec_image image;
    struct jini_error error;
    harness_fail_allocation(1);
    CHECK_STATUS(codec_image_probe(made_slice(&jpeg), 0, &image, &error), JINI_E_NO_MEMORY);
    CHECK(harness_allocation_failed());
    CHECK_UINT(image.width, ==, 0);
    CHECK_OK(codec_image_probe(made_slice(&jpeg), 0, &image, &error));
    made_free(&jpeg);
}
