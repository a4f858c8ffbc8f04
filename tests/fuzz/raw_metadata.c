/*
 * Raw metadata from disk, its texts as UTF-8, and the seed in them. The first byte tells the
 * encoding.
 */
#include "codec/infotext.h"
#include "codec/metadata.h"

#include "base/text.h"
#include "fuzz.h"

#include <jini/status.h>

static void check_text(enum codec_text_encoding encoding, struct slice value)
{
    uint8_t *room = malloc(value.length * 3 + 1);
    FUZZ_CHECK(room != NULL);
    struct buffer out = buffer_of(room, value.length * 3);
    int status = codec_text_to_utf8(encoding, value, &out);
    FUZZ_CHECK(status == 0 || status == JINI_E_UNSUPPORTED);
    FUZZ_CHECK(text_is_utf8(buffer_slice(&out)));
    uint64_t seed;
    FUZZ_CHECK(codec_infotext_seed(buffer_slice(&out), &seed) || seed == 0);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length == 0)
        return 0;
    struct slice bytes = slice_of(data + 1, length - 1);
    check_text((enum codec_text_encoding)(data[0] % 8), bytes);
    struct codec_metadata_reader reader;
    struct codec_metadata_entry entry;
    struct jini_error error;
    int status = codec_metadata_open(&reader, bytes, &error);
    while (status == 0) {
        size_t before = reader.rest.length;
        status = codec_metadata_next(&reader, &entry, &error);
        if (status == 0) {
            FUZZ_CHECK(reader.rest.length < before);
            FUZZ_CHECK(entry.value.length < before);
            check_text(entry.encoding, entry.value);
        }
    }
    FUZZ_CHECK(status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_FORMAT);
    return 0;
}
