/*
 * Reading an image: the index says where it is, the record proves that it is the one.
 *
 * Index and files change beside a reader: a pack is archived, freed, rewritten, and more than once
 * while a reader is held up. A file or object goes only after the index has changed. So a reader
 * that finds it gone, or a check failed, reads the index again, and goes after the image as long as
 * that names another place, up to a bound. At a place that the index still names, bytes that fail
 * twice are damaged: then the other copy is read, if there is one.
 *
 *    look: the index ----> a local pack: read it on this thread ------> hand out ---> finish
 *      ^     |                                                             ^  |
 *      |     '----> in the archive, and not in the cache: wait             |  | gone, or a check
 *      |                              |                                    |  | failed
 *      |                              '--- a CPU thread checks the record -'  |
 *      '----------------------------------------------------------------------'
 *
 * The first look is on a CPU thread, or on the thread of a caller who waits.
 */
#include "engine/engine_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "codec/metadata.h"
#include "engine/cold_reads.h"
#include "engine/stored.h"
#include "engine/txn.h"
#include "generations/generations.h"
#include "images/index.h"

#include <jini/images.h>

enum { PLACES_MAX = 16, FAILURES_MAX = 2 /* at one place */ };

enum { UNDER_WAY = 1 }; /* beside the status codes: somebody else finishes the request */

/* All that the index says of an image, on one snapshot. */
struct place {
    struct generations_image image;
    struct index_location location;
    struct index_pack pack;
};

/* How far a read has come. */
struct reading {
    struct place place;
    unsigned places;   /* that were tried and left, since the image was moved */
    unsigned failures; /* at this one */
    bool from_archive; /* the local copy is damaged */
};

/* What a request keeps while its record is on its way from the archive. */
struct get_work {
    struct cold_read read;
    struct jini_request *request;
    struct reading reading;
};

static struct jini_image_get *get_of(struct jini_request *request)
{
    return (struct jini_image_get *)request;
}

/* ---- What the index says ---- */

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

int image_state(struct store_txn *txn, const struct generations_image *image,
                enum jini_image_state *out)
{
    struct index_pack pack;
    *out = JINI_IMAGE_TRASH;
    if (image->image.flags & JINI_IMAGE_TRASHED)
        return 0;
    int status = index_pack_get(txn, &image->place.pack_id, &pack);
    if (status == 0)
        *out = tier_state(pack.state);
    return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
}

static int locate(struct store_txn *txn, const struct jini_id *id, struct jini_image_place *out,
                  struct jini_error *error)
{
    struct generations_image image;
    struct index_location location;
    const struct codec *codec;
    int status = generations_image_get(txn, id, &image, error);
    if (status)
        return status;
    status = image_state(txn, &image, &out->state);
    if (status == 0)
        status =
            index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location);
    if (status == 0)
        status = codec_find(location.codec_id, location.codec_version, &codec, error);
    if (status)
        return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
    out->pack_id = location.pack;
    out->stored_bytes = location.stored_length;
    out->codec = codec->name;
    return 0;
}

int jini_txn_image_locate(struct jini_txn *txn, const struct jini_id *id,
                          struct jini_image_place *out, struct jini_error *error)
{
    struct jini_error *said = txn_error(txn, error);
    memset(out, 0, sizeof(*out));
    int status = locate(txn->store, id, out, said);
    return txn_answer(txn, status, said, "id", "image");
}

int jini_image_locate(struct jini *jini, const struct jini_id *id, struct jini_image_place *out,
                      struct jini_error *error)
{
    struct jini_txn txn;
    memset(out, 0, sizeof(*out));
    int status = txn_snapshot(jini, &txn, error);
    if (status)
        return status;
    status = jini_txn_image_locate(&txn, id, out, error);
    txn_snapshot_end(&txn);
    return status;
}

static int load_place(struct jini *jini, const struct jini_id *id, struct place *out,
                      struct jini_error *error)
{
    struct store_txn *txn;
    int status = store_read_begin_explained(jini->store, &txn, error);
    if (status)
        return status;
    status = generations_image_get(txn, id, &out->image, error);
    if (status == 0 && (out->image.image.flags & JINI_IMAGE_TRASHED))
        status = error_set(error, JINI_E_NOT_FOUND, "id", "the image is in the trash");
    if (status == 0)
        status = index_location_get(txn, &out->image.place.pack_id, out->image.place.pack_sequence,
                                    id, &out->location);
    if (status == 0)
        status = index_pack_get(txn, &out->location.pack, &out->pack);
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND && error->code == 0)
        status = error_set(error, JINI_E_CORRUPT, "id", "the index has no location of the image");
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

/* True when the same bytes of the same copies are meant. */
static bool same_place(const struct place *a, const struct place *b)
{
    return id_equal(&a->pack.id, &b->pack.id) && a->location.sequence == b->location.sequence &&
           a->location.offset == b->location.offset && has_local(&a->pack) == has_local(&b->pack) &&
           has_object(&a->pack) == has_object(&b->pack) &&
           id_equal(&a->pack.attempt, &b->pack.attempt);
}

/* Reads the index; what it says of the length must fit the caller's buffer. */
static int look(struct jini_request *request, struct reading *reading)
{
    struct jini_image_get *get = get_of(request);
    struct place *place = &reading->place;
    int status = load_place(request_state(request)->jini, &get->id, place, &request->error);
    if (status)
        return status;
    get->image = place->image.image;
    get->length = get->what == JINI_GET_METADATA ? place->image.image.metadata_bytes
                                                 : place->location.original_length;
    if (get->capacity < get->length)
        return error_set(&request->error, JINI_E_TOO_BIG, "capacity", "%zu bytes are needed",
                         get->length);
    return 0;
}

static struct stored_part part_of(const struct jini_image_get *get, const struct place *place)
{
    return (struct stored_part){&place->location, get->what, get->buffer, get->length};
}

/* ---- From the local disk ---- */

static int read_local(struct jini *jini, struct jini_image_get *get, const struct place *place)
{
    struct stored_part part = part_of(get, place);
    return stored_read(jini, &part, &get->request.error);
}

/* Of metadata that lies in the record of the image. */
static int read_inline(struct jini *jini, struct jini_image_get *get)
{
    struct store_txn *txn;
    struct buffer out = buffer_of(get->buffer, get->capacity);
    int status = store_read_begin_explained(jini->store, &txn, &get->request.error);
    if (status)
        return status;
    status = generations_image_metadata(txn, &get->id, &out, &get->request.error);
    store_read_end(txn);
    return status;
}

/* ---- From the archive ---- */

/* Every byte is checked again, also of a copy that lay in the cache. */
static int hand_out(struct jini *jini, struct jini_image_get *get, const struct place *place,
                    struct cache_entry *entry)
{
    struct cold_record record = {.entry = entry};
    struct stored_part part = part_of(get, place);
    int status = cold_record_check(&place->location, &record, &get->request.error);
    if (status)
        return status;
    struct slice stored = get->what == JINI_GET_METADATA ? record.metadata : record.payload;
    return stored_decode(jini, &part, stored, &get->request.error);
}

static void on_answer(struct cold_read *read);

/* After UNDER_WAY the request may be gone, and `reading` with it. */
static int wait_for_archive(struct jini_request *request, const struct reading *reading)
{
    struct request_state *state = request_state(request);
    struct get_work *work = state->work;
    if (!work)
        work = state->work = base_calloc(1, sizeof(*work));
    if (!work)
        return error_set(&request->error, JINI_E_NO_MEMORY, "image", "out of memory");
    if (reading != &work->reading)
        work->reading = *reading;
    work->request = request;
    work->read = (struct cold_read){.done = on_answer,
                                    .request = request,
                                    .cancelled = &state->cancelled,
                                    .deadline_ns = state->deadline_ns};
    const struct place *place = &work->reading.place;
    int status = cold_reads_begin(state->jini->cold_reads, &place->pack, &place->location,
                                  &work->read, &request->error);
    return status ? status : UNDER_WAY;
}

static int read_cold(struct jini_request *request, struct reading *reading)
{
    struct jini *jini = request_state(request)->jini;
    struct cache_key key = cold_key(&reading->place.location);
    struct cache_entry *entry = cache_get(jini->image_cache, &key);
    if (!entry)
        return wait_for_archive(request, reading);
    int status = hand_out(jini, get_of(request), &reading->place, entry);
    if (status)
        cache_forget(jini->image_cache, entry);
    cache_entry_release(entry);
    return status;
}

/* ---- One attempt, then another ---- */

static int attempt(struct jini_request *request, struct reading *reading)
{
    struct jini *jini = request_state(request)->jini;
    struct jini_image_get *get = get_of(request);
    const struct place *place = &reading->place;
    if (get->length == 0)
        return 0;
    if (get->what == JINI_GET_METADATA && place->image.metadata_inline)
        return read_inline(jini, get);
    return has_local(&place->pack) && !reading->from_archive ? read_local(jini, get, place)
                                                             : read_cold(request, reading);
}

/* A GET that was sent for others ends by a deadline of theirs. */
static bool has_time(const struct request_state *state)
{
    return clock_boot_ns(state->jini->clock) < state->deadline_ns;
}

static bool may_have_moved(int status)
{
    return status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT || status == JINI_E_IO;
}

/* The index names a place for the pack, and it is not there. */
static int explain_lost(const struct jini *jini, const struct index_pack *pack,
                        struct jini_error *error)
{
    char id[JINI_ID_TEXT_MAX];
    char object[INDEX_OBJECT_NAME_MAX];
    jini_id_format(&pack->id, id);
    if (!has_object(pack))
        return error_set(error, JINI_E_CORRUPT, "image",
                         "the file of the image's pack %s is gone: \"jini archive run\" takes it "
                         "back if the archive has a copy; else put it back from a backup",
                         id);
    index_object_name(pack, object);
    return error_set(error, JINI_E_CORRUPT, "image",
                     "no copy of the image's pack %s is there: the archive %.160s has no object %s",
                     id, jini->options.archive_url, object);
}

/* After a failure at a place that the index still names: 0 when its bytes, or others, may serve. */
static int suspect(struct jini *jini, struct reading *reading, int status, struct jini_error *error)
{
    if (++reading->failures < FAILURES_MAX)
        return 0;
    if (!reading->from_archive && has_local(&reading->place.pack) &&
        has_object(&reading->place.pack)) {
        log_record(&jini->log, JINI_LOG_ERROR, "image_local_copy_damaged",
                   LOG_TEXT("message", error->message));
        reading->from_archive = true;
        reading->failures = 0;
        return 0;
    }
    return status == JINI_E_NOT_FOUND ? explain_lost(jini, &reading->place.pack, error) : status;
}

/*
 * After an attempt that failed with `status`: 0 when there is another one to be made, else how the
 * read ends.
 */
static int look_again(struct jini_request *request, struct reading *reading, int status)
{
    struct jini *jini = request_state(request)->jini;
    struct jini_error *error = &request->error;
    struct jini_error failed = *error;
    struct place before = reading->place;
    bool late = status == JINI_E_TIMEOUT && has_time(request_state(request));
    if (!may_have_moved(status) && !late)
        return status;
    error_clear(error);
    int looked = look(request, reading);
    if (looked)
        return looked;
    if (!late && same_place(&before, &reading->place)) {
        *error = failed;
        return suspect(jini, reading, status, error);
    }
    reading->failures = 0;
    reading->from_archive = false;
    if (++reading->places < PLACES_MAX)
        return 0;
    if (late)
        return error_set(error, status, "deadline", "%s", failed.message);
    return error_set(error, JINI_E_BUSY, "image",
                     "the image was moved %d times while it was read; read it again", PLACES_MAX);
}

/* Reads from where the image is said to be. `status`: of the last attempt. */
static int read_on(struct jini_request *request, struct reading *reading, int status)
{
    while (status < 0) {
        status = look_again(request, reading, status);
        if (status == 0)
            status = attempt(request, reading);
        else
            return status;
    }
    return status;
}

/* ---- The request ---- */

static void finish(struct jini_request *request, int status)
{
    base_free(request_state(request)->work);
    request_state(request)->work = NULL;
    request_finish(request, status);
}

/* What came of the read, before its bytes were looked at. */
static int answer_of(struct jini_request *request, const struct cold_read *read)
{
    request->error = read->error;
    if (read->status == JINI_E_TIMEOUT)
        explain_late_read(request, read->asked);
    return read->status;
}

/* On a CPU thread, with the answer of the archive. */
static void run_answered(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct request_state *state = request_state(request);
    struct jini *jini = state->jini;
    struct get_work *work = state->work;
    struct cold_read *read = &work->read;
    if (status == 0) {
        status = answer_of(request, read);
        if (status == 0)
            status = hand_out(jini, get_of(request), &work->reading.place, read->entry);
        if (status == 0)
            cache_put(jini->image_cache, read->entry);
        cold_reads_end(jini->cold_reads, read);
        status = read_on(request, &work->reading, status);
    } else {
        cold_reads_end(jini->cold_reads, read);
    }
    if (status != UNDER_WAY)
        finish(request, status);
}

/* On a thread of the archive, or of whoever cancels. */
static void on_answer(struct cold_read *read)
{
    struct get_work *work =
        (struct get_work *)(void *)((char *)read - offsetof(struct get_work, read));
    struct jini_request *request = work->request;
    struct jini *jini = request_state(request)->jini;
    int status = request_continue_on(jini->cpu, request, run_answered);
    if (status == 0)
        return;
    cold_reads_end(jini->cold_reads, read);
    finish(request, status == JINI_E_CLOSED ? JINI_E_CANCELLED : status);
}

static void begin(struct jini_request *request)
{
    struct reading reading = {.places = 0};
    get_of(request)->length = 0;
    int status = look(request, &reading);
    if (status == 0)
        status = read_on(request, &reading, attempt(request, &reading));
    if (status != UNDER_WAY)
        finish(request, status);
}

static void run_get(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    if (status == 0)
        begin(request);
    else
        finish(request, status);
}

int jini_image_get(struct jini *jini, struct jini_image_get *get, jini_callback *callback)
{
    struct jini_request *request = &get->request;
    int status = request_begin(jini, request, sizeof(*get), REQUEST_IMAGE_GET, callback);
    if (status)
        return status;
    if (get->what > JINI_GET_METADATA)
        status = error_set(&request->error, JINI_E_INVALID, "what",
                           "%u; use JINI_GET_BYTES or JINI_GET_METADATA", get->what);
    else if (get->capacity > 0 && !get->buffer)
        status = error_set(&request->error, JINI_E_INVALID, "buffer",
                           "NULL, for a capacity of %zu bytes", get->capacity);
    if (status)
        return request_refuse(request, status);
    if (!callback) {
        begin(request);
        return request_wait(request);
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
