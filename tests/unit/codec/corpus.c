/*
 * Real files: JINI_CORPUS names a folder of images. Where it holds a MANIFEST.tsv (set, file,
 * source, licence, kind, bytes, wxh, metadata, commit), what the probe says is compared with it.
 */
#include "codec/image.h"

#include "make.h"

#include <dirent.h>
#include <jini/status.h>
#include <stdio.h>

enum { FILE_BYTES_MAX = 64 << 20, LINE_MAX_BYTES = 4096, COLUMNS = 9 };

static const char *corpus_folder(void)
{
    const char *folder = getenv("JINI_CORPUS");
    if (!folder || !*folder)
        harness_skip("JINI_CORPUS names no folder of images");
    return folder;
}

static struct slice read_file(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        harness_fail(__FILE__, __LINE__, "cannot open %s", path);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    long length = ftell(file);
    CHECK(length >= 0 && length <= FILE_BYTES_MAX);
    rewind(file);
    uint8_t *bytes = malloc(length ? (size_t)length : 1);
    CHECK(bytes != NULL);
    CHECK_UINT(fread(bytes, 1, (size_t)length, file), ==, length);
    fclose(file);
    return slice_of(bytes, (size_t)length);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

static enum codec_image_type type_of_name(const char *name)
{
    if (has_suffix(name, ".png"))
        return CODEC_IMAGE_PNG;
    if (has_suffix(name, ".jpg") || has_suffix(name, ".jpeg"))
        return CODEC_IMAGE_JPEG;
    return has_suffix(name, ".webp") ? CODEC_IMAGE_WEBP : CODEC_IMAGE_NONE;
}

/* Both ways of probing agree on all but damage, and the raw metadata reads back entry by entry. */
static int probe_file(struct slice bytes, struct codec_image *image)
{
    struct codec_image checked;
    struct jini_error error;
    int status = codec_image_probe(bytes, CODEC_PROBE_DEFAULT, image, &error);
    CHECK_STATUS(codec_image_probe(bytes, CODEC_PROBE_CHECK_CRC, &checked, &error), status);
    if (status)
        return status;
    CHECK_UINT(image->width, ==, checked.width);
    CHECK_UINT(image->text_count, ==, checked.text_count);
    CHECK_UINT(image->damage & ~checked.damage, ==, 0);
    uint8_t *room = malloc(image->metadata_bytes + 1);
    CHECK(room != NULL);
    struct buffer out = buffer_of(room, image->metadata_bytes);
    CHECK_OK(codec_image_metadata(image, &out, &error));
    struct codec_metadata_reader reader;
    struct codec_metadata_entry entry;
    CHECK_OK(codec_metadata_open(&reader, buffer_slice(&out), &error));
    for (uint32_t i = 0; i < image->text_count; i++) {
        CHECK_OK(codec_metadata_next(&reader, &entry, &error));
        CHECK(slice_equal(entry.keyword, image->texts[i].keyword));
        CHECK_UINT(entry.value.length, ==, image->texts[i].length);
    }
    CHECK_STATUS(codec_metadata_next(&reader, &entry, &error), JINI_E_NOT_FOUND);
    free(room);
    return 0;
}

TEST(every_file_is_described_or_refused, "No file of the corpus crashes the probe, whole, cut or "
                                         "changed, and most are what their name says.")
{
    const char *folder = corpus_folder();
    DIR *directory = opendir(folder);
    if (!directory)
        harness_fail(__FILE__, __LINE__, "cannot open the folder %s", folder);
    unsigned named = 0;
    unsigned recognised = 0;
    unsigned damaged = 0;
    unsigned seeds = 0;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        enum codec_image_type type = type_of_name(entry->d_name);
        if (type == CODEC_IMAGE_NONE)
            continue;
        struct slice bytes = read_file(folder, entry->d_name);
        struct codec_image image;
        named++;
        if (probe_file(bytes, &image) == 0) {
            recognised += image.type == type;
            damaged += image.damage != 0;
            seeds += image.has_seed;
            if (image.damage)
                printf("  %s: %s\n", entry->d_name, image.damage_text);
        }
        for (int i = 0; i < 20 && bytes.length; i++) {
            size_t length = harness_random_below(bytes.length);
            uint8_t *copy = exact_copy(bytes.data, length);
            for (int flips = 0; length && flips < 20; flips++)
                copy[harness_random_below(flips & 1 ? length : length % 4096 + 1) % length] =
                    (uint8_t)harness_random();
            codec_image_probe(slice_of(copy, length), i & 1, &image, NULL);
            free(copy);
        }
        free((void *)bytes.data);
    }
    closedir(directory);
    printf("  %u files, %u of the type of their name, %u damaged, %u with a seed\n", named,
           recognised, damaged, seeds);
    CHECK_UINT(named, >, 0);
    CHECK_UINT(recognised * 10, >=, named * 9);
}

/* Splits a line of the manifest at its tabs. */
static bool split_line(char *line, char *columns[COLUMNS])
{
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < COLUMNS; i++) {
        columns[i] = strsep(&line, "\t");
        if (!columns[i])
            return false;
    }
    return true;
}

/* "tEXt:parameters=193" tells the length of the chunk, keyword and NUL included. */
static void check_png_text(const char *name, const struct codec_image *image, const char *item)
{
    char keyword[80];
    unsigned long length;
    if (sscanf(item, "tEXt:%79[^=]=%lu", keyword, &length) != 2)
        return;
    for (uint32_t i = 0; i < image->text_count; i++) {
        if (slice_equal(image->texts[i].keyword, slice_of_text(keyword)) &&
            image->texts[i].length + strlen(keyword) + 1 == length)
            return;
    }
    harness_fail(__FILE__, __LINE__, "%s: no text \"%s\" of %lu bytes", name, keyword, length);
}

static bool has_parameters(const struct codec_image *image)
{
    for (uint32_t i = 0; i < image->text_count; i++) {
        if (slice_equal(image->texts[i].keyword, slice_of_text("parameters")))
            return true;
    }
    return false;
}

static bool is_no_image(const char *kind)
{
    return strcmp(kind, "zero-length") == 0 || strcmp(kind, "text named .png") == 0 ||
           strcmp(kind, "png signature only") == 0;
}

TEST(manifest_agrees, "Sizes, texts and the number of infotexts are those that the manifest lists.")
{
    const char *folder = corpus_folder();
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof(line), "%s/MANIFEST.tsv", folder);
    FILE *manifest = fopen(line, "r");
    if (!manifest)
        harness_skip("the corpus has no MANIFEST.tsv");
    unsigned files = 0;
    unsigned listed = 0;
    unsigned found = 0;
    char *columns[COLUMNS];
    CHECK(fgets(line, sizeof(line), manifest) != NULL);
    while (fgets(line, sizeof(line), manifest)) {
        CHECK(split_line(line, columns));
        const char *name = columns[1];
        const char *kind = columns[4];
        struct slice bytes = read_file(folder, name);
        struct codec_image image;
        int status = probe_file(bytes, &image);
        files++;
        if (is_no_image(kind)) {
            CHECK_STATUS(status, JINI_E_NOT_IMAGE);
            free((void *)bytes.data);
            continue;
        }
        CHECK_STATUS(status, 0);
        char size[32];
        snprintf(size, sizeof(size), "%ux%u", image.width, image.height);
        if (strcmp(columns[6], "?") != 0)
            CHECK_TEXT(size, columns[6]);
        bool odd = strncmp(name, "odd_", 4) == 0;
        if (!odd && image.damage)
            harness_fail(__FILE__, __LINE__, "%s: %s", name, image.damage_text);
        /* The damaged copies are made of listed files and list no texts of their own. */
        listed += strstr(columns[7], "Xt:parameters") != NULL;
        found += !odd && has_parameters(&image);
        char *rest = columns[7];
        for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ","))
            check_png_text(name, &image, item);
        free((void *)bytes.data);
    }
    fclose(manifest);
    printf("  %u files, %u with an A1111 infotext\n", files, found);
    CHECK_UINT(found, ==, listed);
    CHECK_UINT(files, >, 0);
}
