/*
 * Stored bytes of every codec: they decode to exactly as many bytes as the record says, or are
 * refused. The first byte tells the codec, the next two the length, little-endian.
 */
#include "codec/codec.h"

#include "fuzz.h"

#include <jini/status.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 3)
        return 0;
    const struct codec *codec;
    struct jini_error error;
    FUZZ_CHECK(codec_find(data[0] & 1, data[0] & 1, &codec, &error) == 0);
    size_t told = load_le16(data + 1);
    struct slice stored = slice_of(data + 3, length - 3);
    uint8_t *room = malloc(told ? told : 1);
    FUZZ_CHECK(room != NULL);
    struct buffer out = buffer_of(room, told);
    int status = codec->decode(NULL, stored, told, &out, &error);
    FUZZ_CHECK(status == 0 || status == JINI_E_CORRUPT);
    FUZZ_CHECK(out.length == (status ? 0 : told));
    int verified = codec->verify(NULL, stored, buffer_slice(&out), &error);
    FUZZ_CHECK(status != 0 || verified == 0);
    free(room);
    return 0;
}
