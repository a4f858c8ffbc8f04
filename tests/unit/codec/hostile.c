/* Files of a few MiB made so that a reader of their metadata goes over the same bytes again. */
#include "codec/image.h"

#include "make.h"

#include <jini/status.h>
#include <time.h>

enum { FILE_BYTES = 4 << 20, ENTRIES = 65535, JPEG_SEGMENT_MAX = 65533 };

/* The CPU seconds of a probe; what it finds is left in `image`. */
static double probe_seconds(const struct made *file, struct codec_image *image)
{
    struct jini_error error;
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    int status = codec_image_probe(made_slice(file), CODEC_PROBE_CHECK_CRC, image, &error);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s", jini_status_name(status), error.message);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

/* What is linear takes milliseconds, and what is not takes tens of seconds. */
static void check_quick(const struct made *file, struct codec_image *image)
{
    CHECK(probe_seconds(file, image) < (harness_sanitized() ? 5.0 : 1.0));
    CHECK_UINT(image->metadata_bytes, <=, CODEC_METADATA_BYTES_MAX);
}

static void add_zeros(struct made *made, size_t length)
{
    uint8_t *zeros = calloc(1, length);
    CHECK(zeros != NULL);
    made_add(made, zeros, length);
    free(zeros);
}

/*
 * A little-endian Exif block of `length` bytes whose entries all have the rest of the block, zeros
 * but for the `head` that it begins with, as their value.
 */
static void shared_exif(struct made *exif, unsigned tag, unsigned entries, const char *head,
                        size_t length)
{
    size_t value = 8 + 2 + (size_t)entries * 12;
    made_add(exif, "II\x2a\0\x08\0\0\0", 8);
    made_add_le16(exif, entries);
    for (unsigned i = 0; i < entries; i++) {
        made_add_le16(exif, tag);
        made_add_le16(exif, tag == 0x9286 ? 7 : 2);
        made_add_le32(exif, (uint32_t)(length - value));
        made_add_le32(exif, (uint32_t)value);
    }
    made_add(exif, head, 8);
    add_zeros(exif, length - value - 8);
}

static void png_with_exif(struct made *png, const struct made *exif)
{
    png_begin(png, 16, 9);
    png_chunk(png, "eXIf", exif->data, exif->length);
    png_pixels(png, 16, 9);
    png_end(png);
}

TEST(entries_that_share_zeros_take_linear_time,
     "65,535 Exif entries with one run of NULs as their value are counted, not each scanned.")
{
    static const struct {
        unsigned tag;
        const char *head;
    } cases[] = {{0x010E, "\0\0\0\0\0\0\0"},
                 {0x9286, "ASCII\0\0"},
                 {0x9286, "JIS\0\0\0\0"},
                 {0x9286, "\0\0\0\0\0\0\0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct made exif = {0};
        struct made png = {0};
        struct codec_image image;
        shared_exif(&exif, cases[i].tag, ENTRIES, cases[i].head, FILE_BYTES);
        png_with_exif(&png, &exif);
        check_quick(&png, &image);
        CHECK_UINT(image.text_count, ==, 0);
        CHECK_UINT(image.texts_omitted, >=, ENTRIES - CODEC_IMAGE_TEXTS_MAX);
        CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
        made_free(&exif);
        made_free(&png);
    }
}

TEST(shared_utf16_comments_take_linear_time,
     "Neither comments over the bound nor those that fit are each looked at for their byte order.")
{
    static const size_t lengths[] = {FILE_BYTES, CODEC_METADATA_BYTES_MAX + (1 << 20)};
    for (size_t i = 0; i < 2; i++) {
        struct made exif = {0};
        struct made png = {0};
        struct codec_image image;
        shared_exif(&exif, 0x9286, ENTRIES - 1, "UNICODE", lengths[i]);
        png_with_exif(&png, &exif);
        check_quick(&png, &image);
        CHECK_UINT(image.text_count + image.texts_omitted, ==, ENTRIES - 1);
        CHECK_UINT(image.text_count, <=, 2);
        made_free(&exif);
        made_free(&png);
    }
}

TEST(value_over_the_bound_is_not_read,
     "An Exif text over 8 MiB is left out before it is scanned, and the one behind it is kept.")
{
    struct made exif = {0};
    struct made png = {0};
    struct codec_image image;
    size_t length = CODEC_METADATA_BYTES_MAX + 8 + 2 + 24 + 1;
    made_add(&exif, "II\x2a\0\x08\0\0\0", 8);
    made_add_le16(&exif, 2);
    made_add(&exif, "\x0e\x01\x02\0", 4);
    made_add_le32(&exif, CODEC_METADATA_BYTES_MAX + 1);
    made_add_le32(&exif, 8 + 2 + 24);
    made_add(&exif, "\x0f\x01\x02\0\x03\0\0\0me\0\0", 12);
    add_zeros(&exif, length - exif.length);
    png_with_exif(&png, &exif);
    check_quick(&png, &image);
    CHECK_UINT(image.texts_omitted, ==, 1);
    CHECK_CONTAINS(image.damage_text, "\"ImageDescription\" is left out");
    CHECK_UINT(image.text_count, ==, 1);
    CHECK_UINT(image.texts[0].length, ==, 2);
    made_free(&exif);
    made_free(&png);
}

TEST(values_side_by_side_are_kept,
     "64 Exif texts that do not overlap, and end in many NULs, use no bound up.")
{
    struct made exif = {0};
    struct made png = {0};
    struct codec_image image;
    enum { COUNT = CODEC_IMAGE_TEXTS_MAX, VALUE_BYTES = 4096 };
    made_add(&exif, "II\x2a\0\x08\0\0\0", 8);
    made_add_le16(&exif, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        made_add(&exif, "\x0e\x01\x02\0", 4);
        made_add_le32(&exif, VALUE_BYTES);
        made_add_le32(&exif, 8 + 2 + COUNT * 12 + i * VALUE_BYTES);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        made_add(&exif, "text", 4);
        add_zeros(&exif, VALUE_BYTES - 4);
    }
    png_with_exif(&png, &exif);
    check_quick(&png, &image);
    CHECK_TEXT(image.damage_text, "");
    CHECK_UINT(image.text_count, ==, COUNT);
    made_free(&exif);
    made_free(&png);
}

TEST(exif_blocks_do_not_add_up,
     "The bounds are those of the file: hundreds of Exif segments in a JPEG cost as one.")
{
    struct made exif = {0};
    struct made jpeg = {0};
    struct codec_image image;
    made_add(&exif, "Exif\0\0", 6);
    struct made tiff = {0};
    shared_exif(&tiff, 0x010E, 2000, "\0\0\0\0\0\0\0", JPEG_SEGMENT_MAX - 6);
    made_add(&exif, tiff.data, tiff.length);
    made_add(&jpeg, "\xff\xd8", 2);
    while (jpeg.length < (size_t)4 * FILE_BYTES) {
        made_add(&jpeg, "\xff\xe1", 2);
        made_add_be16(&jpeg, (unsigned)exif.length + 2);
        made_add(&jpeg, exif.data, exif.length);
    }
    made_add(&jpeg, "\xff\xc0\0\x11\x08\0\x09\0\x10\x03\1\x22\0\2\x11\1\3\x11\1", 19);
    made_add(&jpeg, "\xff\xda\0\x08\1\1\0\0\x3f\0pixels\xff\xd9", 18);
    check_quick(&jpeg, &image);
    CHECK_UINT(image.text_count, ==, 0);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
    made_free(&tiff);
    made_free(&exif);
    made_free(&jpeg);
}

TEST(broken_streams_are_bounded,
     "Of hundreds of thousands of broken compressed texts, 64 are opened.")
{
    struct made one = {0};
    struct made png = {0};
    struct codec_image image;
    png_chunk(&one, "zTXt", "k\0\0\x78\x9c\x4b", 6);
    png_begin(&png, 16, 9);
    unsigned count = 0;
    for (; png.length < (size_t)2 * FILE_BYTES; count++)
        made_add(&png, one.data, one.length);
    png_compressed_text(&png, "too late", "text", 4);
    png_text(&png, "plain", "text", 4);
    png_pixels(&png, 16, 9);
    png_end(&png);
    check_quick(&png, &image);
    CHECK_UINT(image.texts_omitted, ==, count + 1);
    CHECK_UINT(image.text_count, ==, 1);
    CHECK_UINT(image.texts[0].source, ==, CODEC_SOURCE_PNG_TEXT);
    made_free(&one);
    made_free(&png);
}

TEST(streams_that_inflate_to_nothing_are_bounded,
     "A compressed text longer than any that could be kept is left out without being read.")
{
    struct made data = {0};
    struct made png = {0};
    struct codec_image image;
    made_add(&data, "k\0\0\x78\x01", 5);
    while (data.length < (size_t)10 << 20)
        made_add(&data, "\0\0\0\xff\xff", 5);
    made_add(&data, "\1\0\0\xff\xff\0\0\0\1", 9);
    png_begin(&png, 16, 9);
    png_chunk(&png, "zTXt", data.data, data.length);
    png_compressed_text(&png, "kept", "text", 4);
    png_pixels(&png, 16, 9);
    png_end(&png);
    check_quick(&png, &image);
    CHECK_UINT(image.texts_omitted, ==, 1);
    CHECK_UINT(image.text_count, ==, 1);
    made_free(&data);
    made_free(&png);
}

/* An AVIF whose item 1 has 254 times the property `far`, and then property `last`. */
static void avif_of_far_properties(struct made *file, unsigned far, unsigned last)
{
    size_t box = made_box_begin(file, "ftyp");
    made_add(file, "avif\0\0\0\0", 8);
    made_box_end(file, box);
    size_t meta = made_box_begin(file, "meta");
    made_add_be32(file, 0);
    box = made_box_begin(file, "pitm");
    made_add_be32(file, 0);
    made_add_be16(file, 1);
    made_box_end(file, box);
    size_t properties = made_box_begin(file, "iprp");
    size_t list = made_box_begin(file, "ipco");
    made_size_box(file, 16, 9);
    made_size_box(file, 4, 3);
    for (unsigned i = 0; i < 33000; i++)
        made_box_end(file, made_box_begin(file, "free"));
    made_box_end(file, list);
    box = made_box_begin(file, "ipma");
    made_add_be32(file, 1);
    made_add_be32(file, 1);
    made_add_be16(file, 1);
    made_add_byte(file, 255);
    for (unsigned i = 0; i < 254; i++)
        made_add_be16(file, far);
    made_add_be16(file, last);
    made_box_end(file, box);
    made_box_end(file, properties);
    made_box_end(file, meta);
}

TEST(far_properties_are_walked_once,
     "255 properties at the end of a long list cost one walk, and the first that is a size counts.")
{
    struct made near_file = {0};
    struct made far_file = {0};
    struct codec_image image;
    avif_of_far_properties(&near_file, 2, 1);
    double near_seconds = probe_seconds(&near_file, &image);
    CHECK_UINT(image.width, ==, 4);
    avif_of_far_properties(&far_file, 0x7FFF, 1);
    double far_seconds = probe_seconds(&far_file, &image);
    CHECK_UINT(image.width, ==, 16);
    CHECK_UINT(image.height, ==, 9);
    CHECK(far_seconds < near_seconds * 20 + 0.02);
    made_free(&near_file);
    made_free(&far_file);
}

TEST(shared_exif_is_bounded_in_webp, "The Exif chunk of a WebP has the bounds of the file too.")
{
    struct made exif = {0};
    struct made webp = {0};
    struct codec_image image;
    shared_exif(&exif, 0x010E, ENTRIES, "\0\0\0\0\0\0\0", FILE_BYTES);
    made_add(&webp, "RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x0f\0\0\x08\0\0", 30);
    made_add(&webp, "VP8 \x04\0\0\0pixl", 12);
    made_add(&webp, "EXIF", 4);
    made_add_le32(&webp, (uint32_t)exif.length);
    made_add(&webp, exif.data, exif.length);
    store_le32(webp.data + 4, (uint32_t)webp.length - 8);
    check_quick(&webp, &image);
    CHECK_UINT(image.text_count, ==, 0);
    CHECK_UINT(image.texts_omitted, >=, ENTRIES - CODEC_IMAGE_TEXTS_MAX);
    made_free(&exif);
    made_free(&webp);
}

TEST(small_blocks_take_linear_time, "A GIF of a million blocks is walked and measured once.")
{
    struct made gif = {0};
    struct codec_image image;
    made_add(&gif, "GIF89a\x10\0\x09\0\0\0\0", 13);
    made_add(&gif, "\x21\xfe", 2);
    for (unsigned i = 0; i < 1000000; i++)
        made_add(&gif, "\1x", 2);
    made_add_byte(&gif, 0);
    for (unsigned i = 0; i < 500000; i++)
        made_add(&gif, "\x21\xfe\1x", 5);
    made_add(&gif, "\x2c\0\0\0\0\x10\0\x09\0\0\2\1\1\0\x3b", 15);
    check_quick(&gif, &image);
    CHECK_UINT(image.text_count, ==, CODEC_IMAGE_TEXTS_MAX);
    CHECK_UINT(image.texts_omitted, ==, 500000 - CODEC_IMAGE_TEXTS_MAX + 1);
    made_free(&gif);
}
