/* Image files: whatever the bytes are, they are described within their bounds, or refused. */
#include "codec/image.h"

#include "fuzz.h"

#include <jini/status.h>

static int inside(struct slice part, const uint8_t *data, size_t length)
{
    return part.length == 0 || (part.data >= data && part.data <= data + length &&
                                part.length <= (size_t)(data + length - part.data));
}

static void check_metadata(const struct codec_image *image)
{
    struct jini_error error;
    uint8_t *room = malloc(image->metadata_bytes + 1);
    FUZZ_CHECK(room != NULL);
    struct buffer out = buffer_of(room, image->metadata_bytes);
    FUZZ_CHECK(codec_image_metadata(image, &out, &error) == 0);
    FUZZ_CHECK(out.length == image->metadata_bytes);
    struct codec_metadata_reader reader;
    struct codec_metadata_entry entry;
    FUZZ_CHECK(codec_metadata_open(&reader, buffer_slice(&out), &error) == 0);
    for (uint32_t i = 0; i < image->text_count; i++) {
        FUZZ_CHECK(codec_metadata_next(&reader, &entry, &error) == 0);
        FUZZ_CHECK(slice_equal(entry.keyword, image->texts[i].keyword));
        FUZZ_CHECK(entry.value.length == image->texts[i].length);
    }
    FUZZ_CHECK(codec_metadata_next(&reader, &entry, &error) == JINI_E_NOT_FOUND);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static struct codec_image images[2];
    struct jini_error errors[2];
    int statuses[2];
    for (unsigned flags = 0; flags < 2; flags++)
        statuses[flags] =
            codec_image_probe(slice_of(data, length), flags, &images[flags], &errors[flags]);
    FUZZ_CHECK(statuses[0] == statuses[1]);
    FUZZ_CHECK(statuses[0] == 0 || statuses[0] == JINI_E_NOT_IMAGE);
    FUZZ_CHECK(errors[0].code == statuses[0]);
    const struct codec_image *image = &images[0];
    if (statuses[0]) {
        FUZZ_CHECK(image->type == CODEC_IMAGE_NONE && image->text_count == 0);
        return 0;
    }
    FUZZ_CHECK(image->width > 0 && image->height > 0);
    FUZZ_CHECK((image->damage == 0) == (image->damage_text[0] == '\0'));
    FUZZ_CHECK((image->damage & ~images[1].damage) == 0);
    FUZZ_CHECK(image->text_count <= CODEC_IMAGE_TEXTS_MAX);
    FUZZ_CHECK(image->metadata_bytes <= CODEC_METADATA_BYTES_MAX);
    for (uint32_t i = 0; i < image->text_count; i++)
        FUZZ_CHECK(inside(image->texts[i].stored, data, length));
    check_metadata(image);
    return 0;
}
