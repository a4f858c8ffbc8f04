#include "engine/stored.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/engine_private.h"
#include "images/pack_files.h"
#include "images/pack_read.h"

static int find_codec(const struct stored_part *part, const struct codec **out,
                      struct jini_error *error)
{
    const struct index_location *location = part->location;
    if (part->what == JINI_GET_METADATA)
        return codec_find(location->metadata_codec_id, location->metadata_codec_version, out,
                          error);
    return codec_find(location->codec_id, location->codec_version, out, error);
}

int stored_decode(struct jini *jini, const struct stored_part *part, struct slice stored,
                  struct jini_error *error)
{
    const struct codec *codec;
    const struct index_location *location = part->location;
    struct buffer out = buffer_of(part->buffer, part->length);
    int status = find_codec(part, &codec, error);
    if (status == 0)
        status = codec->decode(&jini->codecs, stored, part->length, &out, error);
    if (status == JINI_E_CORRUPT) {
        struct jini_error found = *error;
        return pack_corrupt(error, &location->pack, location->offset,
                            "record %u cannot be decoded: %s", location->sequence, found.message);
    }
    /* Of decoded metadata there is no hash; an uncoded image was compared with its hash before. */
    if (status || part->what == JINI_GET_METADATA || codec->id == CODEC_STORED)
        return status;
    struct hash128 hash = hash128(buffer_slice(&out));
    if (!hash128_equal(&hash, &location->original_hash))
        return pack_corrupt(error, &location->pack, location->offset,
                            "what record %u decodes to is not the original", location->sequence);
    return 0;
}

/* An image that is stored as it was goes straight into the caller's buffer. */
static int read_plain(const struct stored_part *part, const struct pack_source *source,
                      struct jini_error *error)
{
    struct pack_place at = {part->location->offset, part->location->sequence};
    struct pack_record record;
    int status = pack_read_payload(source, &at, part->buffer, part->length, &record, error);
    return status ? status : index_check_record(part->location, &record, error);
}

static int read_coded(struct jini *jini, const struct stored_part *part,
                      const struct pack_source *source, struct jini_error *error)
{
    const struct index_location *location = part->location;
    struct pack_place at = {location->offset, location->sequence};
    struct pack_record record;
    bool metadata = part->what == JINI_GET_METADATA;
    size_t length = metadata ? location->metadata_stored_length : location->stored_length;
    uint8_t *stored = base_malloc(length ? length : 1);
    if (!stored)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    int status = metadata ? pack_read_metadata(source, &at, stored, length, &record, error)
                          : pack_read_payload(source, &at, stored, length, &record, error);
    if (status == 0)
        status = index_check_record(location, &record, error);
    if (status == 0)
        status = stored_decode(jini, part, slice_of(stored, length), error);
    base_free(stored);
    return status;
}

int stored_read(struct jini *jini, const struct stored_part *part, struct jini_error *error)
{
    const struct pack_source *source;
    int status = pack_files_acquire(jini->pack_files, &part->location->pack, &source, error);
    if (status)
        return status;
    status = part->what == JINI_GET_BYTES && part->location->codec_id == CODEC_STORED
                 ? read_plain(part, source, error)
                 : read_coded(jini, part, source, error);
    pack_files_release(jini->pack_files, source);
    return status;
}
