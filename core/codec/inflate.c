/* zlib, with the library's heap. */
#include "codec/inflate.h"

#include "base/alloc.h"

#include <jini/status.h>
#include <limits.h>
#include <zlib.h>

enum { SCRATCH_BYTES = 8192 };

static voidpf zlib_allocate(voidpf context, uInt count, uInt size)
{
    (void)context;
    return base_calloc(count, size);
}

static void zlib_release(voidpf context, voidpf pointer)
{
    (void)context;
    base_free(pointer);
}

static int open_stream(z_stream *zlib)
{
    memset(zlib, 0, sizeof(*zlib));
    zlib->zalloc = zlib_allocate;
    zlib->zfree = zlib_release;
    switch (inflateInit(zlib)) {
    case Z_OK:
        return 0;
    case Z_MEM_ERROR:
        return JINI_E_NO_MEMORY;
    default:
        return JINI_E_UNSUPPORTED;
    }
}

/* zlib counts in 32 bits, so long input is handed over in parts. */
static uInt part_of(size_t length)
{
    return length > UINT_MAX ? UINT_MAX : (uInt)length;
}

/*
 * Inflates until the stream ends or `out` has no more room. True at the end of the stream; else
 * `status` tells why not, 0 when only the room was used up.
 */
static bool inflate_part(z_stream *zlib, struct slice *rest, struct slice room, int *status)
{
    zlib->next_out = (Bytef *)room.data;
    zlib->avail_out = part_of(room.length);
    *status = 0;
    for (;;) {
        uInt offered = part_of(rest->length);
        zlib->next_in = (z_const Bytef *)rest->data;
        zlib->avail_in = offered;
        int result = inflate(zlib, Z_NO_FLUSH);
        uInt taken = offered - zlib->avail_in;
        rest->data = taken ? rest->data + taken : rest->data;
        rest->length -= taken;
        if (result == Z_STREAM_END)
            return true;
        if (result == Z_MEM_ERROR)
            *status = JINI_E_NO_MEMORY;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            *status = JINI_E_CORRUPT;
        else if (zlib->avail_out == 0)
            return false;
        else if (rest->length == 0)
            *status = JINI_E_CORRUPT;
        if (*status)
            return false;
    }
}

int codec_inflate_measure(struct slice stream, size_t length_max, size_t *produced)
{
    *produced = 0;
    z_stream zlib;
    int status = open_stream(&zlib);
    if (status)
        return status;
    uint8_t scratch[SCRATCH_BYTES];
    bool ended = false;
    while (!ended && status == 0) {
        /* One byte over the bound tells a stream that ends there from one that goes on. */
        size_t wanted = length_max - *produced + 1;
        size_t room = wanted < sizeof(scratch) ? wanted : sizeof(scratch);
        ended = inflate_part(&zlib, &stream, slice_of(scratch, room), &status);
        *produced += room - zlib.avail_out;
        if (*produced > length_max)
            status = JINI_E_TOO_BIG;
    }
    inflateEnd(&zlib);
    return status;
}

int codec_inflate(struct slice stream, struct buffer *out)
{
    z_stream zlib;
    int status = open_stream(&zlib);
    if (status)
        return status;
    size_t begin = out->length;
    bool ended = false;
    while (!ended && status == 0) {
        size_t room = out->capacity - out->length;
        uint8_t extra;
        struct slice place = room ? slice_of(out->data + out->length, room) : slice_of(&extra, 1);
        ended = inflate_part(&zlib, &stream, place, &status);
        size_t written = part_of(place.length) - zlib.avail_out;
        if (room == 0 && written)
            status = JINI_E_TOO_BIG;
        else if (room)
            out->length += written;
    }
    inflateEnd(&zlib);
    if (status)
        out->length = begin;
    return status;
}
