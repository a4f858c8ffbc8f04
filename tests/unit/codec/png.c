/* Probing PNG files: whole, damaged, hostile. */
#include "codec/image.h"

#include "make.h"

#include <jini/status.h>
#include <time.h>

static const char infotext[] = "a lighthouse\nNegative prompt: fog\n"
                               "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, "
                               "Size: 16x9";

static struct codec_image probe_ok(const struct made *png, unsigned flags)
{
    struct codec_image image;
    struct jini_error error;
    int status = codec_image_probe(made_slice(png), flags, &image, &error);
    if (status)
        harness_fail(__FILE__, __LINE__, "%s: %s", jini_status_name(status), error.message);
    CHECK_INT(error.code, ==, 0);
    return image;
}

static struct jini_error probe_refused(struct slice bytes)
{
    struct codec_image image;
    struct jini_error error;
    CHECK_STATUS(codec_image_probe(bytes, CODEC_PROBE_DEFAULT, &image, &error), JINI_E_NOT_IMAGE);
    CHECK_INT(image.type, ==, CODEC_IMAGE_NONE);
    CHECK_UINT(image.width, ==, 0);
    return error;
}

/* The raw metadata of a probed image, in a block that is exactly as long. */
static struct slice metadata_of(const struct codec_image *image)
{
    uint8_t *room = malloc(image->metadata_bytes ? image->metadata_bytes : 1);
    CHECK(room != NULL);
    struct buffer out = buffer_of(room, image->metadata_bytes);
    struct jini_error error;
    CHECK_OK(codec_image_metadata(image, &out, &error));
    CHECK_UINT(out.length, ==, image->metadata_bytes);
    return buffer_slice(&out);
}

static void check_text(struct slice metadata, const char *keyword, const void *value, size_t length,
                       enum codec_text_source source)
{
    struct codec_metadata_entry entry;
    struct jini_error error;
    CHECK_OK(codec_metadata_find(metadata, keyword, &entry, &error));
    CHECK_UINT(entry.value.length, ==, length);
    CHECK_BYTES(entry.value.data, value, length);
    CHECK_INT(entry.source, ==, source);
}

static void whole_png(struct made *png)
{
    png_begin(png, 16, 9);
    png_text(png, "parameters", infotext, strlen(infotext));
    png_pixels(png, 16, 9);
    png_end(png);
}

TEST(whole_file_is_described, "Type, size, seed and texts come out, and no damage.")
{
    struct made png = {0};
    whole_png(&png);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_CHECK_CRC);
    CHECK_INT(image.type, ==, CODEC_IMAGE_PNG);
    CHECK_TEXT(codec_image_media_type(image.type), "image/png");
    CHECK_TEXT(codec_image_type_name(image.type), "PNG");
    CHECK_TEXT(codec_image_extension(image.type), "png");
    CHECK_UINT(image.width, ==, 16);
    CHECK_UINT(image.height, ==, 9);
    CHECK_UINT(image.damage, ==, 0);
    CHECK_TEXT(image.damage_text, "");
    CHECK(image.has_seed);
    CHECK_UINT(image.seed, ==, 965400086);
    CHECK_UINT(image.text_count, ==, 1);
    struct slice metadata = metadata_of(&image);
    check_text(metadata, "parameters", infotext, strlen(infotext), CODEC_SOURCE_PNG_TEXT);
    free((void *)metadata.data);
    made_free(&png);
}

TEST(every_kind_of_text_is_kept,
     "tEXt, zTXt and iTXt, deflated or not, come out verbatim and in order.")
{
    static const char json[] = "{\"3\": {\"inputs\": {\"seed\": 5}}}\n";
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_text(&png, "prompt", json, strlen(json));
    png_compressed_text(&png, "workflow", json, strlen(json));
    png_international_text(&png, "Description", "\xe7\x8c\xab", 3, false);
    png_international_text(&png, "Comment", "\xe7\x8c\xab", 3, true);
    png_text(&png, "Software", "", 0);
    png_pixels(&png, 16, 9);
    png_text(&png, "invokeai_metadata", "caf\xe9", 4);
    png_end(&png);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.damage, ==, 0);
    CHECK_UINT(image.text_count, ==, 6);
    CHECK(!image.has_seed);
    struct slice metadata = metadata_of(&image);
    check_text(metadata, "prompt", json, strlen(json), CODEC_SOURCE_PNG_TEXT);
    check_text(metadata, "workflow", json, strlen(json), CODEC_SOURCE_PNG_COMPRESSED);
    check_text(metadata, "Description", "\xe7\x8c\xab", 3, CODEC_SOURCE_PNG_INTERNATIONAL);
    check_text(metadata, "Comment", "\xe7\x8c\xab", 3, CODEC_SOURCE_PNG_INTERNATIONAL);
    check_text(metadata, "Software", "", 0, CODEC_SOURCE_PNG_TEXT);
    check_text(metadata, "invokeai_metadata", "caf\xe9", 4, CODEC_SOURCE_PNG_TEXT);
    free((void *)metadata.data);
    made_free(&png);
}

TEST(seed_is_found_in_compressed_text,
     "An infotext in a zTXt or iTXt names the seed as one in a tEXt does.")
{
    for (int kind = 0; kind < 3; kind++) {
        struct made png = {0};
        png_begin(&png, 16, 9);
        if (kind == 0)
            png_compressed_text(&png, "parameters", infotext, strlen(infotext));
        else
            png_international_text(&png, "parameters", infotext, strlen(infotext), kind == 2);
        png_pixels(&png, 16, 9);
        png_end(&png);
        struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
        CHECK(image.has_seed);
        CHECK_UINT(image.seed, ==, 965400086);
        made_free(&png);
    }
}

TEST(two_mebibyte_workflow_goes_through, "A large ComfyUI graph is kept whole, plain and deflated.")
{
    size_t length = (size_t)2 << 20;
    char *graph = malloc(length);
    CHECK(graph != NULL);
    for (size_t i = 0; i < length; i++)
        graph[i] = (char)('!' + harness_random_below(90));
    for (int deflated = 0; deflated < 2; deflated++) {
        struct made png = {0};
        png_begin(&png, 16, 9);
        if (deflated)
            png_compressed_text(&png, "workflow", graph, length);
        else
            png_text(&png, "workflow", graph, length);
        png_pixels(&png, 16, 9);
        png_end(&png);
        struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
        CHECK_UINT(image.damage, ==, 0);
        struct slice metadata = metadata_of(&image);
        check_text(metadata, "workflow", graph, length,
                   deflated ? CODEC_SOURCE_PNG_COMPRESSED : CODEC_SOURCE_PNG_TEXT);
        free((void *)metadata.data);
        made_free(&png);
    }
    free(graph);
}

/*
 * A PNG of an infotext and `bombs` texts that would inflate to 32 MiB each; the CPU seconds of its
 * probe.
 */
static double probe_bombs(unsigned bombs, struct codec_image *image)
{
    size_t length = (size_t)32 << 20;
    char *zeros = calloc(1, length);
    CHECK(zeros != NULL);
    struct made bomb = {0};
    png_compressed_text(&bomb, "bomb", zeros, length);
    free(zeros);
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_text(&png, "parameters", infotext, strlen(infotext));
    for (unsigned i = 0; i < bombs; i++)
        made_add(&png, bomb.data, bomb.length);
    made_free(&bomb);
    png_pixels(&png, 16, 9);
    png_end(&png);
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    *image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    made_free(&png);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

TEST(bombs_are_left_out,
     "A text over 8 MiB is flagged and not inflated further; sixty cost little more than one.")
{
    struct codec_image image;
    double one = probe_bombs(1, &image);
    CHECK_UINT(image.texts_omitted, ==, 1);
    double sixty = probe_bombs(60, &image);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
    CHECK_CONTAINS(image.damage_text, "\"bomb\" is left out");
    CHECK_UINT(image.texts_omitted, ==, 60);
    CHECK_UINT(image.text_count, ==, 1);
    CHECK_UINT(image.seed, ==, 965400086);
    CHECK(sixty < one * 10);
}

TEST(texts_fill_their_room_exactly, "Raw metadata of 8 MiB is kept; one byte more is left out.")
{
    size_t overhead = CODEC_METADATA_HEADER + CODEC_METADATA_ENTRY + strlen("big");
    for (size_t extra = 0; extra < 2; extra++) {
        for (int deflated = 0; deflated < 2; deflated++) {
            size_t length = CODEC_METADATA_BYTES_MAX - overhead + extra;
            char *zeros = calloc(1, length);
            CHECK(zeros != NULL);
            struct made png = {0};
            png_begin(&png, 16, 9);
            if (deflated)
                png_compressed_text(&png, "big", zeros, length);
            else
                png_text(&png, "big", zeros, length);
            png_pixels(&png, 16, 9);
            png_end(&png);
            struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
            CHECK_UINT(image.text_count, ==, 1 - extra);
            CHECK_UINT(image.texts_omitted, ==, extra);
            CHECK_UINT(image.metadata_bytes, ==, extra ? 0 : CODEC_METADATA_BYTES_MAX);
            free((void *)metadata_of(&image).data);
            free(zeros);
            made_free(&png);
        }
    }
}

TEST(more_texts_than_the_table_are_flagged, "The first 64 texts are kept and the others counted.")
{
    struct made png = {0};
    png_begin(&png, 16, 9);
    for (int i = 0; i < CODEC_IMAGE_TEXTS_MAX + 5; i++)
        png_text(&png, "k", "v", 1);
    png_pixels(&png, 16, 9);
    png_end(&png);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.text_count, ==, CODEC_IMAGE_TEXTS_MAX);
    CHECK_UINT(image.texts_omitted, ==, 5);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
    made_free(&png);
}

TEST(infotexts_are_kept_behind_many_texts,
     "What generators write is kept however many other texts come before it, up to 8 texts.")
{
    static const char written[] = "a lake\nSteps: 20, Seed: 7, Size: 16x9";
    struct made png = {0};
    png_begin(&png, 16, 9);
    for (int i = 0; i < 20000; i++)
        png_text(&png, "k", "v", 1);
    for (int i = 0; i < CODEC_IMAGE_INFOTEXTS_MAX + 1; i++)
        png_text(&png, i % 2 ? "workflow" : "parameters", written, strlen(written));
    png_pixels(&png, 16, 9);
    png_end(&png);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.text_count, ==, CODEC_IMAGE_TEXTS_MAX + CODEC_IMAGE_INFOTEXTS_MAX);
    CHECK_UINT(image.texts_omitted, ==, 20000 - CODEC_IMAGE_TEXTS_MAX + 1);
    CHECK(image.has_seed);
    CHECK_UINT(image.seed, ==, 7);
    CHECK_UINT(image.damage & CODEC_DAMAGE_OF_IMAGE, ==, 0);
    free((void *)metadata_of(&image).data);
    made_free(&png);
}

TEST(broken_texts_are_left_out,
     "A text chunk without a keyword, or with broken deflate, is flagged.")
{
    static const struct {
        const char *type;
        const char *data;
        size_t length;
    } chunks[] = {
        {"tEXt", "no end of the keyword", 21},
        {"tEXt", "\0empty keyword", 14},
        {"tEXt", "", 0},
        {"zTXt", "k\0", 2},
        {"zTXt", "k\0\1method", 9},
        {"zTXt", "k\0\0no zlib stream", 17},
        {"zTXt", "k\0\0\x78\x9c", 5},
        {"iTXt", "k\0", 2},
        {"iTXt", "k\0\2\0\0\0text", 10},
        {"iTXt", "k\0\0\0no end", 10},
        {"iTXt", "k\0\1\1\0\0text", 10},
        {"tEXt",
         "a keyword of eighty characters, which is one more than the specification allows.\0x", 82},
    };
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        struct made png = {0};
        png_begin(&png, 16, 9);
        png_chunk(&png, chunks[i].type, chunks[i].data, chunks[i].length);
        png_pixels(&png, 16, 9);
        png_end(&png);
        struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
        CHECK_UINT(image.damage, ==, CODEC_DAMAGE_METADATA);
        CHECK_UINT(image.text_count, ==, 0);
        CHECK_UINT(image.texts_omitted, ==, 1);
        CHECK_UINT(image.metadata_bytes, ==, 0);
        made_free(&png);
    }
}

TEST(every_cut_is_truncated_or_refused,
     "Cut anywhere behind its header, a PNG is a truncated image; before that it is none.")
{
    struct made png = {0};
    whole_png(&png);
    for (size_t length = 0; length < png.length; length++) {
        uint8_t *copy = exact_copy(png.data, length);
        struct codec_image image;
        struct jini_error error;
        int status =
            codec_image_probe(slice_of(copy, length), CODEC_PROBE_CHECK_CRC, &image, &error);
        if (length < 8 + 8 + 13) {
            CHECK_STATUS(status, JINI_E_NOT_IMAGE);
        } else {
            CHECK_STATUS(status, 0);
            CHECK(image.damage & CODEC_DAMAGE_TRUNCATED);
            CHECK_UINT(image.width, ==, 16);
        }
        free(copy);
    }
    made_free(&png);
}

TEST(wrong_crc_is_flagged, "Bad CRCs are told: of IDAT only when asked for, of a text always.")
{
    struct made png = {0};
    whole_png(&png);
    png.data[png.length - 12 - 1] ^= 1; /* the CRC of IDAT, before the 12 bytes of IEND */
    CHECK_UINT(probe_ok(&png, CODEC_PROBE_DEFAULT).damage, ==, 0);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_CHECK_CRC);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_CRC);
    CHECK_CONTAINS(image.damage_text, "the IDAT chunk at ");
    png.data[33 + 8 + 20] ^= 1; /* inside of the text */
    image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_CRC);
    CHECK_CONTAINS(image.damage_text, "the tEXt chunk at 33");
    CHECK_UINT(image.text_count, ==, 1);
    made_free(&png);
}

TEST(trailing_bytes_are_flagged, "What follows IEND is counted and does not hide the image.")
{
    struct made png = {0};
    whole_png(&png);
    made_add(&png, "PK\3\4more", 8);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_TRAILING);
    CHECK_TEXT(image.damage_text, "8 bytes follow the end of the PNG");
    made_free(&png);
}

TEST(wrong_structure_is_flagged,
     "Two headers, no pixels, wrong letters, a filled IEND: still an image.")
{
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_end(&png);
    struct codec_image image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_STRUCTURE);
    CHECK_CONTAINS(image.damage_text, "no pixels");
    png.length = 33;
    png_pixels(&png, 16, 9);
    png_chunk(&png, "IEND", "x", 1);
    CHECK_UINT(probe_ok(&png, CODEC_PROBE_DEFAULT).damage, ==, CODEC_DAMAGE_STRUCTURE);
    png.length = 33;
    png_pixels(&png, 16, 9);
    png_chunk(&png, "IHDR", "\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0", 13);
    png_end(&png);
    image = probe_ok(&png, CODEC_PROBE_DEFAULT);
    CHECK_UINT(image.damage, ==, CODEC_DAMAGE_STRUCTURE);
    CHECK_UINT(image.width, ==, 16);
    png.length = 33;
    png_pixels(&png, 16, 9);
    png_chunk(&png, "te1t", "x", 1);
    png_end(&png);
    CHECK_UINT(probe_ok(&png, CODEC_PROBE_DEFAULT).damage, ==, CODEC_DAMAGE_STRUCTURE);
    made_free(&png);
}

TEST(lengths_are_not_trusted, "A chunk that claims up to 4 GiB is told as damage, at once.")
{
    static const uint32_t lengths[] = {100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF4, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct made png = {0};
        whole_png(&png);
        store_be32(png.data + 33, lengths[i]);
        uint8_t *copy = exact_copy(png.data, png.length);
        struct codec_image image;
        CHECK_OK(codec_image_probe(slice_of(copy, png.length), 0, &image, NULL));
        CHECK(image.damage & (CODEC_DAMAGE_TRUNCATED | CODEC_DAMAGE_STRUCTURE));
        CHECK_UINT(image.text_count, <=, 1);
        free(copy);
        made_free(&png);
    }
}

TEST(impossible_sizes_are_refused, "A side of 0 or over 2^31 - 1 is no PNG; the largest one is.")
{
    static const uint32_t bad[] = {0, 0x80000000, 0xFFFFFFFF};
    struct made png = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        png.length = 0;
        png_begin(&png, bad[i], 9);
        CHECK_CONTAINS(probe_refused(made_slice(&png)).message,
                       "each side must be 1 to 2147483647");
        png.length = 0;
        png_begin(&png, 16, bad[i]);
        probe_refused(made_slice(&png));
    }
    png.length = 0;
    png_begin(&png, 0x7FFFFFFF, 0x7FFFFFFF);
    CHECK_UINT(probe_ok(&png, 0).height, ==, 0x7FFFFFFF);
    made_free(&png);
}

TEST(header_rules_are_checked, "A depth that the colour type does not allow is flagged.")
{
    for (unsigned colour = 0; colour < 8; colour++) {
        for (unsigned depth = 0; depth < 20; depth++) {
            struct made png = {0};
            made_add(&png, "\x89PNG\r\n\x1a\n", 8);
            uint8_t header[13] = {0, 0, 0, 16, 0, 0, 0, 9, (uint8_t)depth, (uint8_t)colour,
                                  0, 0, 0};
            png_chunk(&png, "IHDR", header, sizeof(header));
            png_pixels(&png, 16, 9);
            png_end(&png);
            bool power = depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
            bool low = depth < 8;
            bool allowed = power && (colour == 0 || (colour == 3 && depth < 16) ||
                                     ((colour == 2 || colour == 4 || colour == 6) && !low));
            CHECK_UINT(probe_ok(&png, 0).damage, ==, allowed ? 0 : CODEC_DAMAGE_STRUCTURE);
            made_free(&png);
        }
    }
}

TEST(other_bytes_are_refused_and_shown,
     "Bytes of no known type are E_NOT_IMAGE with the first of them in hex.")
{
    struct jini_error error = probe_refused(slice_of_text("Hello, this is a text"));
    CHECK_CONTAINS(error.message, "48 65 6c 6c 6f 2c 20 74 68 69 73 20 69 73 20 61 ...");
    CHECK_CONTAINS(error.message, "PNG, JPEG, WebP, GIF or AVIF");
    CHECK_TEXT(error.field, "image");
    CHECK_CONTAINS(probe_refused(slice_of("\x00\xff", 2)).message, "its 2 bytes begin 00 ff:");
    CHECK_CONTAINS(probe_refused(slice_of(NULL, 0)).message, "empty");
    CHECK_CONTAINS(probe_refused(slice_of("\x89PNG\r\n\x1a\n", 8)).message, "89 50 4e 47");
    CHECK_CONTAINS(probe_refused(slice_of("\x89PNG\r\n\x1a\n\0\0\0\x04"
                                          "CgBI\0\0\0\0\0\0\0\0\0",
                                          29))
                       .message,
                   "does not begin with an IHDR");
    CHECK_TEXT(codec_image_media_type((enum codec_image_type)99), "application/octet-stream");
}

TEST(changed_bytes_never_crash, "Thousands of PNGs with changed, cut and grown bytes are described "
                                "or refused, and their texts lie inside.")
{
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_text(&png, "parameters", infotext, strlen(infotext));
    png_compressed_text(&png, "workflow", infotext, strlen(infotext));
    png_international_text(&png, "prompt", infotext, strlen(infotext), true);
    struct made exif = {0};
    struct made wide = {0};
    utf16_of(&wide, infotext, true);
    exif_block(&exif, true, "prompt:{}", "UNICODE", wide.data, wide.length);
    png_chunk(&png, "eXIf", exif.data, exif.length);
    png_pixels(&png, 16, 9);
    png_end(&png);
    CHECK_UINT(probe_ok(&png, 0).text_count, ==, 5);
    unsigned known = 0;
    unsigned rounds = 30000 * harness_scale();
    for (unsigned i = 0; i < rounds; i++) {
        size_t length = harness_random_below(6) ? png.length : harness_random_below(png.length);
        uint8_t *copy = exact_copy(png.data, length);
        for (unsigned flips = (unsigned)harness_random_below(5); length && flips; flips--)
            copy[harness_random_below(length)] = (uint8_t)(harness_random() >> (flips & 1 ? 0 : 7));
        struct codec_image image;
        struct jini_error error;
        int status = codec_image_probe(slice_of(copy, length), i & 1, &image, &error);
        if (status == 0) {
            known++;
            free((void *)metadata_of(&image).data);
        } else {
            CHECK_STATUS(status, JINI_E_NOT_IMAGE);
        }
        free(copy);
    }
    CHECK_UINT(known, >, rounds / 3);
    made_free(&png);
    made_free(&exif);
    made_free(&wide);
}

TEST(no_memory_is_an_error,
     "Each allocation that fails ends the probe with E_NO_MEMORY and an empty answer.")
{
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_compressed_text(&png, "parameters", infotext, strlen(infotext));
    png_pixels(&png, 16, 9);
    png_end(&png);
    uint64_t nth = 1;
    struct codec_image image;
    struct jini_error error;
    for (;; nth++) {
        harness_fail_allocation(nth);
        int status = codec_image_probe(made_slice(&png), 0, &image, &error);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        if (!failed) {
            CHECK_STATUS(status, 0);
            break;
        }
        CHECK_STATUS(status, JINI_E_NO_MEMORY);
        CHECK_UINT(image.text_count, ==, 0);
        CHECK_INT(error.code, ==, JINI_E_NO_MEMORY);
    }
    CHECK_UINT(nth, >, 3);
    uint8_t room[1024];
    for (nth = 1;; nth++) {
        struct buffer out = buffer_of(room, sizeof(room));
        harness_fail_allocation(nth);
        int status = codec_image_metadata(&image, &out, &error);
        bool failed = harness_allocation_failed();
        harness_fail_allocation(0);
        if (!failed) {
            CHECK_STATUS(status, 0);
            break;
        }
        CHECK_STATUS(status, JINI_E_NO_MEMORY);
        CHECK_UINT(out.length, ==, 0);
    }
    CHECK_UINT(nth, >, 1);
    made_free(&png);
}

TEST(metadata_needs_its_room,
     "One byte too little is E_TOO_BIG, and bytes that changed meanwhile E_CORRUPT.")
{
    struct made png = {0};
    png_begin(&png, 16, 9);
    png_compressed_text(&png, "parameters", infotext, strlen(infotext));
    png_pixels(&png, 16, 9);
    png_end(&png);
    struct codec_image image = probe_ok(&png, 0);
    uint8_t room[1024];
    struct jini_error error;
    struct buffer out = buffer_of(room, image.metadata_bytes - 1);
    CHECK_STATUS(codec_image_metadata(&image, &out, &error), JINI_E_TOO_BIG);
    CHECK_UINT(out.length, ==, 0);
    out = buffer_of(room, sizeof(room));
    buffer_append_byte(&out, 'x');
    CHECK_OK(codec_image_metadata(&image, &out, &error));
    CHECK_UINT(out.length, ==, 1 + image.metadata_bytes);
    memset((void *)(image.texts[0].stored.data + 2), 0xFF, 20);
    out = buffer_of(room, sizeof(room));
    CHECK_STATUS(codec_image_metadata(&image, &out, &error), JINI_E_CORRUPT);
    CHECK_UINT(out.length, ==, 0);
    made_free(&png);
}
