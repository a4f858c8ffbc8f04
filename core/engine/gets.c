/*
 * Reading an image: the index says where it is, the record proves that it is the one.
 *
 * Index and files change beside a reader: a pack is archived, freed, rewritten, and more than once
 * while a reader is held up. A file or object goes only after the index has changed. So a reader
 * that finds it gone, or a check failed, reads the index again, and goes after the image as long as
 * that names another place, up to a bound. At a place that the index still names, bytes that fail
 * twice are damaged: then the other copy is read, if there is one.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "codec/codec.h"
#include "codec/metadata.h"
#include "engine/cold.h"
#include "generations/generations.h"
#include "images/index.h"
#include "images/pack_files.h"
#include "images/pack_read.h"

#include <jini/images.h>

enum { PLACES_MAX = 16, FAILURES_MAX = 2 /* at one place */ };

/* All that the index says of an image, on one snapshot. */
struct place {
    struct generations_image image;
    struct index_location location;
    struct index_pack pack;
};

static enum jini_image_state tier_state(enum index_pack_state state)
{
    switch (state) {
    case INDEX_PACK_ARCHIVED:
        return JINI_IMAGE_HOT_ARCHIVED;
    case INDEX_PACK_COLD:
        return JINI_IMAGE_COLD;
    default:
        return JINI_IMAGE_HOT;
    }
}

/* Where the bytes are follows from the state of their pack. */
int image_fill_state(struct store_txn *txn, const struct jini_image *image, struct jini_image *out)
{
    struct index_pack pack;
    *out = *image;
    if (out->state == JINI_IMAGE_TRASH)
        return 0;
    int status = index_pack_get(txn, &image->pack_id, &pack);
    if (status == 0)
        out->state = tier_state(pack.state);
    return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
}

static int load_place(struct jini *jini, const struct jini_id *id, struct place *out,
                      struct jini_error *error)
{
    struct store_txn *txn;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return error_set(error, status, "id", "%s", jini_status_text(status));
    status = generations_image_get(txn, id, &out->image, error);
    if (status == 0 && out->image.image.state == JINI_IMAGE_TRASH)
        status = error_set(error, JINI_E_NOT_FOUND, "id", "the image is in the trash");
    if (status == 0)
        status = index_location_get(txn, &out->image.place.pack_id, out->image.place.pack_sequence,
                                    id, &out->location);
    if (status == 0)
        status = index_pack_get(txn, &out->location.pack, &out->pack);
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND && error->code == 0)
        status = error_set(error, JINI_E_CORRUPT, "id", "the index has no location of the image");
    if (status == 0)
        out->image.image.state = tier_state(out->pack.state);
    return status;
}

/* ---- From a pack on the local disk ---- */

/* Decodes stored bytes into the caller's buffer and compares them with the hash of the original. */
static int decode(struct jini *jini, const struct place *place, struct slice stored, void *buffer,
                  struct jini_error *error)
{
    const struct codec *codec;
    const struct index_location *location = &place->location;
    int status = codec_find(location->codec_id, location->codec_version, &codec, error);
    if (status)
        return status;
    struct buffer out = buffer_of(buffer, location->original_length);
    status = codec->decode(&jini->codecs, stored, location->original_length, &out, error);
    if (status)
        return status;
    struct hash128 hash = hash128(buffer_slice(&out));
    if (!hash128_equal(&hash, &location->original_hash))
        return pack_corrupt(error, &place->pack.id, location->offset,
                            "the decoded image is not the original");
    return 0;
}

static int read_coded(struct jini *jini, const struct place *place,
                      const struct pack_source *source, void *buffer, struct jini_error *error)
{
    const struct index_location *location = &place->location;
    struct pack_place at = {location->offset, location->sequence};
    struct pack_record record;
    uint8_t *stored = base_malloc(location->stored_length);
    if (!stored)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    int status = pack_read_payload(source, &at, stored, location->stored_length, &record, error);
    if (status == 0)
        status = index_check_record(location, &record, error);
    if (status == 0)
        status = decode(jini, place, slice_of(stored, location->stored_length), buffer, error);
    base_free(stored);
    return status;
}

static int read_plain(const struct place *place, const struct pack_source *source, void *buffer,
                      struct jini_error *error)
{
    const struct index_location *location = &place->location;
    struct pack_place at = {location->offset, location->sequence};
    struct pack_record record;
    int status = pack_read_payload(source, &at, buffer, location->original_length, &record, error);
    return status ? status : index_check_record(location, &record, error);
}

static int read_local_metadata(const struct place *place, const struct pack_source *source,
                               void *buffer, struct jini_error *error)
{
    const struct index_location *location = &place->location;
    struct pack_place at = {location->offset, location->sequence};
    struct pack_record record;
    return pack_read_metadata(source, &at, buffer, location->metadata_stored_length, &record,
                              error);
}

/* ---- From the archive ---- */

/* A request to the archive may take as long as the caller waits. */
static int read_cold(struct jini *jini, struct jini_image_get *get, const struct place *place,
                     enum jini_get_what what, void *buffer)
{
    struct jini_error *error = &get->request.error;
    struct cold_record record;
    int status = cold_record_get(jini, &place->pack, &place->location,
                                 request_state(&get->request)->deadline_ns, &record, error);
    if (status)
        return status;
    if (what == JINI_GET_METADATA)
        memcpy(buffer, record.metadata.data, record.metadata.length);
    else if (place->location.codec_id == PACK_CODEC_NONE)
        memcpy(buffer, record.payload.data, record.payload.length);
    else
        status = decode(jini, place, record.payload, buffer, error);
    cold_record_release(&record);
    return status;
}

/* ---- One attempt, then another ---- */

/* How far a read has come. */
struct reading {
    struct place place;
    unsigned places;   /* that were tried and left, since the image was moved */
    unsigned failures; /* at this one */
    bool from_archive; /* the local copy is damaged */
};

static int read_local(struct jini *jini, const struct place *place, enum jini_get_what what,
                      void *buffer, struct jini_error *error)
{
    const struct pack_source *source;
    int status = pack_files_acquire(jini->pack_files, &place->location.pack, &source, error);
    if (status)
        return status;
    if (what == JINI_GET_METADATA)
        status = read_local_metadata(place, source, buffer, error);
    else if (place->location.codec_id == PACK_CODEC_NONE)
        status = read_plain(place, source, buffer, error);
    else
        status = read_coded(jini, place, source, buffer, error);
    pack_files_release(jini->pack_files, source);
    return status;
}

static bool has_local(const struct index_pack *pack)
{
    return pack->state != INDEX_PACK_COLD;
}

static bool has_object(const struct index_pack *pack)
{
    return pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
}

static bool may_have_moved(int status)
{
    return status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_IO;
}

/* True when the same bytes of the same copies are meant. */
static bool same_place(const struct place *a, const struct place *b)
{
    return id_equal(&a->pack.id, &b->pack.id) && a->location.sequence == b->location.sequence &&
           a->location.offset == b->location.offset && has_local(&a->pack) == has_local(&b->pack) &&
           has_object(&a->pack) == has_object(&b->pack) &&
           id_equal(&a->pack.attempt, &b->pack.attempt);
}

static uint64_t stored_room(const struct place *place, enum jini_get_what what)
{
    return what == JINI_GET_METADATA ? place->location.metadata_stored_length
                                     : place->location.original_length;
}

/*
 * After an attempt that failed with `status`: 0 when there is another one to be made, else how the
 * read ends.
 */
static int look_again(struct jini *jini, struct jini_image_get *get, struct reading *reading,
                      int status)
{
    struct jini_error *error = &get->request.error;
    struct jini_error failed = *error;
    struct place before = reading->place;
    if (!may_have_moved(status))
        return status;
    error_clear(error);
    int looked = load_place(jini, &get->id, &reading->place, error);
    if (looked)
        return looked;
    if (!same_place(&before, &reading->place)) {
        reading->failures = 0;
        reading->from_archive = false;
        if (++reading->places < PLACES_MAX)
            return 0;
        return error_set(error, JINI_E_BUSY, "image",
                         "the image was moved %d times while it was read; read it again",
                         PLACES_MAX);
    }
    if (++reading->failures < FAILURES_MAX)
        return 0;
    *error = failed;
    if (!reading->from_archive && has_local(&before.pack) && has_object(&before.pack)) {
        log_record(&jini->log, JINI_LOG_ERROR, "image_local_copy_damaged",
                   LOG_TEXT("message", error->message));
        reading->from_archive = true;
        reading->failures = 0;
        return 0;
    }
    return status == JINI_E_NOT_FOUND
               ? error_set(error, JINI_E_CORRUPT, "image", "no copy of the image's pack is there")
               : status;
}

/* Reads the stored form of what is asked for. */
static int read_stored(struct jini *jini, struct jini_image_get *get, enum jini_get_what what,
                       void *buffer, struct reading *reading)
{
    uint64_t room = stored_room(&reading->place, what); /* of `buffer` */
    for (;;) {
        const struct place *place = &reading->place;
        if (stored_room(place, what) != room)
            return error_set(&get->request.error, JINI_E_BUSY, "image",
                             "the image was stored anew while it was read; read it again");
        bool local = has_local(&place->pack) && !reading->from_archive;
        int status = local ? read_local(jini, place, what, buffer, &get->request.error)
                           : read_cold(jini, get, place, what, buffer);
        if (status == 0)
            return 0;
        status = look_again(jini, get, reading, status);
        if (status)
            return status;
    }
}

static int get_metadata(struct jini *jini, struct jini_image_get *get, struct reading *reading)
{
    struct jini_error *error = &get->request.error;
    const struct index_location *location = &reading->place.location;
    get->length = reading->place.image.image.metadata_bytes;
    if (get->length == 0)
        return 0;
    if (get->capacity < get->length)
        return error_set(error, JINI_E_TOO_BIG, "capacity", "%zu bytes are needed", get->length);
    if (reading->place.image.metadata_inline) {
        struct store_txn *txn;
        struct buffer out = buffer_of(get->buffer, get->capacity);
        int status = store_read_begin(jini->store, &txn);
        if (status)
            return status;
        status = generations_image_metadata(txn, &get->id, &out, error);
        store_read_end(txn);
        return status;
    }
    uint8_t *stored = base_malloc(location->metadata_stored_length);
    if (!stored)
        return error_set(error, JINI_E_NO_MEMORY, "metadata", "out of memory");
    int status = read_stored(jini, get, JINI_GET_METADATA, stored, reading);
    const struct codec *codec = NULL;
    if (status == 0)
        status = codec_find(location->metadata_codec_id, location->metadata_codec_version, &codec,
                            error);
    struct buffer out = buffer_of(get->buffer, get->length);
    if (status == 0)
        status = codec->decode(&jini->codecs, slice_of(stored, location->metadata_stored_length),
                               get->length, &out, error);
    base_free(stored);
    return status;
}

static int get_image(struct jini *jini, struct jini_image_get *get)
{
    struct reading reading = {.places = 0};
    const struct place *place = &reading.place;
    struct jini_error *error = &get->request.error;
    get->length = 0;
    int status = load_place(jini, &get->id, &reading.place, error);
    if (status)
        return status;
    get->image = place->image.image;
    if (get->what == JINI_GET_METADATA)
        return get_metadata(jini, get, &reading);
    get->length = place->location.original_length;
    if (get->capacity < get->length)
        return error_set(error, JINI_E_TOO_BIG, "capacity", "%zu bytes are needed", get->length);
    return read_stored(jini, get, JINI_GET_BYTES, get->buffer, &reading);
}

static void run_get(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct jini *jini = request_state(request)->jini;
    if (status == 0)
        status = get_image(jini, (struct jini_image_get *)request);
    request_finish(request, status);
}

int jini_image_get(struct jini *jini, struct jini_image_get *get, jini_callback *callback)
{
    struct jini_request *request = &get->request;
    int status = request_begin(jini, request, sizeof(*get), REQUEST_IMAGE_GET, callback);
    if (status)
        return status;
    if (get->what > JINI_GET_METADATA || (get->capacity > 0 && !get->buffer)) {
        status = error_set(&request->error, JINI_E_INVALID, get->capacity ? "buffer" : "what",
                           "a buffer and JINI_GET_BYTES or JINI_GET_METADATA are needed");
        return request_refuse(request, status);
    }
    if (!callback) {
        request_finish(request, get_image(jini, get));
        return request->status;
    }
    status = request_run_on(jini->cpu, request, run_get);
    return status ? request_refuse(request, status) : 0;
}

int jini_metadata_next(const void *metadata, size_t length, size_t *position,
                       struct jini_metadata_text *out)
{
    struct codec_metadata_reader reader;
    struct codec_metadata_entry entry;
    struct slice bytes = slice_of(metadata, length);
    memset(out, 0, sizeof(*out));
    int status = codec_metadata_open(&reader, bytes, NULL);
    if (status)
        return status;
    if (*position > length)
        return JINI_E_CORRUPT;
    if (*position > 0)
        reader.rest = slice_of(bytes.data + *position, length - *position);
    status = codec_metadata_next(&reader, &entry, NULL);
    if (status)
        return status;
    *position = length - reader.rest.length;
    *out = (struct jini_metadata_text){(const char *)entry.keyword.data, entry.keyword.length,
                                       entry.value.data, entry.value.length};
    return 0;
}
