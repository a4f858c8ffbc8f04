/*
 * Checking everything against everything: records against each other, the index against the packs, the packs against the
 * archive.
 *
 * It runs beside other work. What is read on different snapshots may differ because it changed in between, so a
 * find is looked at again, on one new snapshot, before it is reported.
 */
#include "engine/engine_private.h"

#include "accounts/accounts.h"
#include "archive/archive.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/tuple.h"
#include "generations/generations.h"
#include "images/cache.h"
#include "images/index.h"
#include "images/pack_files.h"
#include "images/pack_path.h"
#include "images/pack_scan.h"

#include <jini/archive.h>
#include <stdarg.h>
#include <stdio.h>

enum { PAGE = 128, YOUNG_MS = 3600 * 1000, PROGRESS_EVERY = 1024 };

struct verifying {
    struct jini *jini;
    struct jini_verify *request;
    struct archive *archive;
    int status; /* of the run: something could not be read */
};

static void problem(struct verifying *v, const char *kind, const struct jini_id *image,
                    const struct jini_id *pack, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void problem(struct verifying *v, const char *kind, const struct jini_id *image,
                    const struct jini_id *pack, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    v->request->problems++;
    struct jini_verify_problem found = {.kind = kind, .message = message};
    if (image)
        found.image_id = *image;
    if (pack)
        found.pack_id = *pack;
    if (v->request->report)
        v->request->report(v->request->context, &found);
}

static void progress(struct verifying *v, const char *phase, uint64_t done, uint64_t total)
{
    if (v->request->progress)
        v->request->progress(v->request->context, phase, done, total);
}

static bool cancelled(const struct verifying *v)
{
    return atomic_load(&request_state(&v->request->request)->cancelled) ||
           atomic_load(&v->jini->state) != ENGINE_OPEN;
}

/* ---- Users ---- */

static int check_user(struct verifying *v, const struct jini_user *user)
{
    struct store_txn *txn;
    struct jini_user found;
    struct jini_tier tier;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    int present = accounts_user_get(txn, user->id, &found);
    if (present == 0) {
        struct jini_user by_name;
        if (accounts_user_find(txn, found.username, &by_name) != 0 || by_name.id != found.id)
            problem(v, "user_not_found_by_name", NULL, NULL,
                    "user %llu is not found by the name \"%s\"", (unsigned long long)found.id,
                    found.username);
        if (found.email[0] != '\0' &&
            (accounts_user_find(txn, found.email, &by_name) != 0 || by_name.id != found.id))
            problem(v, "user_not_found_by_email", NULL, NULL,
                    "user %llu is not found by its email address", (unsigned long long)found.id);
        if (accounts_tier_get(txn, found.tier, &tier) != 0)
            problem(v, "user_without_tier", NULL, NULL,
                    "user %llu has the tier \"%s\", which is not there",
                    (unsigned long long)found.id, found.tier);
    }
    store_read_end(txn);
    return present == JINI_E_NOT_FOUND ? 0 : present;
}

static int verify_users(struct verifying *v)
{
    struct jini_user *page = base_malloc(sizeof(*page) * PAGE);
    size_t count = PAGE;
    uint64_t after = 0;
    int status = page ? 0 : JINI_E_NO_MEMORY;
    while (status == 0 && count == PAGE && !cancelled(v)) {
        struct store_txn *txn;
        status = store_read_begin(v->jini->store, &txn);
        if (status)
            break;
        status = accounts_user_list(txn, after, page, PAGE, &count);
        store_read_end(txn);
        if (status == JINI_E_CORRUPT) {
            uint64_t last = count ? page[count - 1].id : after;
            problem(v, "user_damaged", NULL, NULL, "the record of the user after %llu is damaged",
                    (unsigned long long)last);
            status = 0;
            break;
        }
        for (size_t i = 0; status == 0 && i < count; i++) {
            after = page[i].id;
            v->request->users++;
            status = check_user(v, &page[i]);
        }
        progress(v, "users", v->request->users, 0);
    }
    base_free(page);
    return status;
}

/* ---- Images: each has a location, each location an image ---- */

/* On one snapshot: what is wrong with this image, if it is there. */
static int check_image(struct verifying *v, const struct jini_id *id)
{
    struct store_txn *txn;
    struct generations_image image;
    struct index_location location;
    struct index_pack pack;
    struct jini_error error = {0};
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    int present = generations_image_get(txn, id, &image, &error);
    if (present == 0) {
        int located =
            index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location);
        if (located)
            problem(v, "image_without_location", id, &image.place.pack_id,
                    "the index does not say where the image's bytes are (%s)",
                    jini_status_name(located));
        else if (location.original_length != image.image.bytes ||
                 memcmp(location.original_hash.bytes, image.image.hash, 16) != 0)
            problem(v, "image_differs_from_location", id, &image.place.pack_id,
                    "record and location disagree about length or checksum");
        if (index_pack_get(txn, &image.place.pack_id, &pack) != 0)
            problem(v, "image_without_pack", id, &image.place.pack_id,
                    "the pack of the image has no row");
        else if (pack.state == INDEX_PACK_PURGING)
            problem(v, "image_in_purged_pack", id, &pack.id, "the pack is being deleted");
    } else if (present == JINI_E_CORRUPT || present == JINI_E_FORMAT) {
        problem(v, "image_damaged", id, NULL, "the record cannot be read: %s", error.message);
    } else if (present != JINI_E_NOT_FOUND) {
        status = present;
    }
    store_read_end(txn);
    return status;
}

static int visit_image(void *context, struct slice key, struct slice value)
{
    struct verifying *v = context;
    struct jini_id id;
    struct tuple_reader reader = tuple_reader_of(key);
    (void)value;
    if (cancelled(v))
        return JINI_E_CANCELLED;
    if (tuple_next_id(&reader, &id) != 0) {
        problem(v, "image_damaged", NULL, NULL, "a key of the space of images is damaged");
        return 0;
    }
    if (++v->request->images % PROGRESS_EVERY == 0)
        progress(v, "images", v->request->images, 0);
    return check_image(v, &id);
}

static int visit_location(void *context, struct slice key, struct slice value)
{
    struct verifying *v = context;
    struct jini_id pack;
    struct jini_id image;
    uint64_t sequence;
    struct tuple_reader reader = tuple_reader_of(key);
    (void)value;
    if (cancelled(v))
        return JINI_E_CANCELLED;
    if (tuple_next_id(&reader, &pack) != 0 || tuple_next_uint(&reader, &sequence) != 0 ||
        tuple_next_id(&reader, &image) != 0 || sequence > UINT32_MAX) {
        problem(v, "location_damaged", NULL, NULL, "a key of the space of locations is damaged");
        return 0;
    }
    struct store_txn *txn;
    struct generations_image found;
    struct index_location location;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    int still = index_location_get(txn, &pack, (uint32_t)sequence, &image, &location);
    int owner = generations_image_get(txn, &image, &found, NULL);
    if (still == 0 && owner == JINI_E_NOT_FOUND)
        problem(v, "location_without_image", &image, &pack, "the index keeps bytes of no image");
    else if (still == 0 && owner == 0 &&
             (jini_id_compare(&found.place.pack_id, &pack) != 0 ||
              found.place.pack_sequence != sequence))
        problem(v, "location_twice", &image, &pack, "the image's record names another place");
    else if (still == JINI_E_CORRUPT || still == JINI_E_FORMAT)
        problem(v, "location_damaged", &image, &pack, "the row cannot be read");
    store_read_end(txn);
    return 0;
}

static int visit_job(void *context, struct slice key, struct slice value)
{
    struct verifying *v = context;
    struct jini_id id;
    struct jini_job job;
    struct store_txn *txn;
    struct tuple_reader reader = tuple_reader_of(key);
    struct tuple_element second;
    (void)value;
    if (cancelled(v))
        return JINI_E_CANCELLED;
    if (tuple_next_id(&reader, &id) != 0) {
        problem(v, "job_damaged", NULL, NULL, "a key of the space of jobs is damaged");
        return 0;
    }
    if (tuple_next(&reader, &second) != 0 || second.type != TUPLE_END)
        return 0; /* a row beside the job's own */
    v->request->jobs++;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    int present = generations_job_get(txn, &id, &job, NULL);
    if (present == JINI_E_CORRUPT || present == JINI_E_FORMAT)
        problem(v, "job_damaged", NULL, NULL, "a job's record cannot be read");
    store_read_end(txn);
    return 0;
}

/* ---- Packs: each location is a record, each record is whole ---- */

struct pack_check {
    struct verifying *v;
    const struct index_pack *pack;
};

static int visit_part(void *context, const struct pack_scan_item *item)
{
    struct pack_check *check = context;
    struct verifying *v = check->v;
    if (cancelled(v))
        return JINI_E_CANCELLED;
    if (item->status)
        problem(v, "pack_damaged", item->entry ? &item->entry->image : NULL, &check->pack->id, "%s",
                item->damage->message);
    if (v->request->flags & JINI_VERIFY_DEEP)
        v->request->bytes_read += item->length;
    return 0;
}

static int acknowledged_end(struct verifying *v, const struct jini_id *pack, uint64_t *out)
{
    struct store_txn *txn;
    struct index_location last;
    *out = 0;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    status = index_location_last(txn, pack, &last);
    store_read_end(txn);
    if (status == 0)
        *out = last.offset + pack_record_length(last.stored_length, last.metadata_stored_length);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int scan_local(struct verifying *v, const struct index_pack *pack)
{
    const struct pack_source *source;
    struct pack_scan_result result;
    struct jini_error error;
    struct pack_check check = {v, pack};
    struct pack_scan_options options = {
        .depth = v->request->flags & JINI_VERIFY_DEEP ? PACK_SCAN_EVERYTHING : PACK_SCAN_HEADERS,
        .expected = pack->state == INDEX_PACK_OPEN ? PACK_STATE_OPEN : PACK_STATE_SEALED,
    };
    int status = acknowledged_end(v, &pack->id, &options.acknowledged_end);
    if (status)
        return status;
    status = pack_files_acquire(v->jini->pack_files, &pack->id, &source, &error);
    if (status == JINI_E_NOT_FOUND)
        return status;
    if (status) {
        problem(v, "pack_unreadable", NULL, &pack->id, "%s", error.message);
        return 0;
    }
    status = pack_scan(source, &options, visit_part, &check, &result, &error);
    pack_files_release(v->jini->pack_files, source);
    if (status == JINI_E_CANCELLED)
        return status;
    if (status)
        problem(v, "pack_unreadable", NULL, &pack->id, "%s", error.message);
    return 0;
}

static bool changed_since(struct verifying *v, const struct index_pack *pack)
{
    struct store_txn *txn;
    struct index_pack found;
    if (store_read_begin(v->jini->store, &txn) != 0)
        return true;
    int status = index_pack_get(txn, &pack->id, &found);
    store_read_end(txn);
    return status != 0 || found.state != pack->state;
}

struct object_read {
    struct archive_request request;
    struct hash_stream *hash;
};

static int add_piece(struct archive_request *request, struct slice piece)
{
    struct object_read *read = (struct object_read *)request;
    hash_stream_add(read->hash, piece);
    return 0;
}

static int read_object(struct verifying *v, const struct index_pack *pack, const char *name)
{
    struct object_read read = {.request = {.operation = ARCHIVE_GET,
                                           .name = slice_of_text(name),
                                           .get = {.length = ARCHIVE_TO_END, .sink = add_piece}},
                               .hash = hash_stream_new()};
    struct jini_error error;
    if (!read.hash)
        return JINI_E_NO_MEMORY;
    int status = archive_run(v->archive, &read.request, &error);
    struct hash128 hash = hash_stream_128(read.hash);
    hash_stream_free(read.hash);
    v->request->bytes_read += read.request.bytes;
    if (status == JINI_E_NO_MEMORY)
        return status;
    if (status && !changed_since(v, pack))
        problem(v, "object_unreadable", NULL, &pack->id, "%s: %s", name, error.message);
    else if (!status && !hash128_equal(&hash, &pack->object_hash))
        problem(v, "object_damaged", NULL, &pack->id,
                "%s: its checksum is not the one of when it was archived", name);
    return 0;
}

static int check_object(struct verifying *v, const struct index_pack *pack)
{
    char name[INDEX_OBJECT_NAME_MAX];
    struct jini_error error;
    index_object_name(pack, name);
    if (!v->archive) {
        int status = engine_archive(v->jini, &v->archive, &error);
        if (status) {
            problem(v, "archive_unreachable", NULL, &pack->id, "%s", error.message);
            return status;
        }
    }
    v->request->objects++;
    if (v->request->flags & JINI_VERIFY_DEEP)
        return read_object(v, pack, name);
    struct archive_request request = {.operation = ARCHIVE_HEAD, .name = slice_of_text(name)};
    int status = archive_run(v->archive, &request, &error);
    if (status && !changed_since(v, pack))
        problem(v, "object_missing", NULL, &pack->id, "%s: %s", name, error.message);
    else if (!status && request.size != pack->file_bytes)
        problem(v, "object_damaged", NULL, &pack->id, "%s: %llu bytes instead of %llu", name,
                (unsigned long long)request.size, (unsigned long long)pack->file_bytes);
    return status == JINI_E_NO_MEMORY ? status : 0;
}

static int check_pack(struct verifying *v, const struct index_pack *pack)
{
    int status = 0;
    v->request->packs++;
    if (pack->state == INDEX_PACK_PURGING)
        return 0;
    if (pack->state != INDEX_PACK_COLD) {
        status = scan_local(v, pack);
        if (status == JINI_E_NOT_FOUND) {
            if (!changed_since(v, pack))
                problem(v, "pack_missing", NULL, &pack->id, "the file of the pack is gone");
            status = 0;
        }
    }
    if (status == 0 && (pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD))
        status = check_object(v, pack);
    return status == JINI_E_ARCHIVE || status == JINI_E_NOT_FOUND ? 0 : status;
}

static int verify_packs(struct verifying *v)
{
    struct index_pack *page = base_malloc(sizeof(*page) * PAGE);
    struct jini_id last = {{0}};
    size_t count = PAGE;
    int status = page ? 0 : JINI_E_NO_MEMORY;
    while (status == 0 && count == PAGE) {
        struct store_txn *txn;
        status = store_read_begin(v->jini->store, &txn);
        if (status)
            break;
        status = index_pack_list(txn, id_is_zero(&last) ? NULL : &last, page, PAGE, &count);
        store_read_end(txn);
        for (size_t i = 0; status == 0 && i < count; i++) {
            last = page[i].id;
            status = cancelled(v) ? JINI_E_CANCELLED : check_pack(v, &page[i]);
            progress(v, "packs", v->request->packs, 0);
        }
    }
    base_free(page);
    return status;
}

/* A file that is not of a young pack and that no row names. */
static int check_file(void *context, const struct jini_id *id)
{
    struct verifying *v = context;
    struct store_txn *txn;
    struct index_pack pack;
    uint64_t now = clock_wall_ns(v->jini->clock) / NS_PER_MS;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    int found = index_pack_get(txn, id, &pack);
    store_read_end(txn);
    if (found == JINI_E_NOT_FOUND && id_time_ms(id) + YOUNG_MS < now)
        problem(v, "file_without_row", NULL, id, "a pack file that the index does not know");
    return 0;
}

/* ---- The whole ---- */

static int verify_all(struct verifying *v)
{
    struct store *store = v->jini->store;
    struct slice all = slice_of(NULL, 0);
    int status = verify_users(v);
    if (status == 0)
        status = store_each(store, STORE_SPACE_JOBS, all, all, visit_job, v);
    if (status == 0)
        status = store_each(store, STORE_SPACE_IMAGES, all, all, visit_image, v);
    if (status == 0)
        status = store_each(store, STORE_SPACE_LOCATIONS, all, all, visit_location, v);
    if (status == 0)
        status = verify_packs(v);
    if (status == 0)
        status =
            pack_path_walk(v->jini->directory_fd, check_file, v, NULL, &v->request->request.error);
    return status;
}

static void run_verify(struct worker_task *task, int status)
{
    struct jini_request *request = request_of_task(task);
    struct verifying v = {.jini = request_state(request)->jini,
                          .request = (struct jini_verify *)request};
    if (status == 0)
        status = verify_all(&v);
    request_finish(request, status);
}

int jini_verify(struct jini *jini, struct jini_verify *verify, jini_callback *callback)
{
    int status = request_begin(jini, &verify->request, sizeof(*verify), REQUEST_VERIFY, callback);
    if (status)
        return status;
    verify->users = verify->jobs = verify->images = verify->packs = 0;
    verify->objects = verify->bytes_read = verify->problems = 0;
    status = request_run_on(jini->cpu, &verify->request, run_verify);
    if (status)
        return request_refuse(&verify->request, status);
    return callback ? 0 : request_wait(&verify->request);
}

/* ---- How things are spread ---- */

struct spread {
    struct jini *jini;
    struct jini_archive_status *out;
};

static int count_image(void *context, struct slice key, struct slice value)
{
    struct spread *spread = context;
    struct jini_archive_status *out = spread->out;
    struct jini_id id;
    struct jini_image image;
    struct store_txn *txn;
    struct tuple_reader reader = tuple_reader_of(key);
    (void)value;
    if (tuple_next_id(&reader, &id) != 0)
        return 0;
    int status = store_read_begin(spread->jini->store, &txn);
    if (status)
        return status;
    struct generations_image found;
    status = generations_image_get(txn, &id, &found, NULL);
    if (status == 0)
        status = image_fill_state(txn, &found.image, &image);
    store_read_end(txn);
    if (status)
        return 0;
    out->bytes_original += image.bytes;
    out->images_hot += image.state == JINI_IMAGE_HOT;
    out->images_hot_archived += image.state == JINI_IMAGE_HOT_ARCHIVED;
    out->images_cold += image.state == JINI_IMAGE_COLD;
    out->images_trash += image.state == JINI_IMAGE_TRASH;
    return 0;
}

static void count_pack(struct jini_archive_status *out, const struct index_pack *pack)
{
    bool local = pack->state != INDEX_PACK_COLD;
    bool archived = pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
    out->packs_open += pack->state == INDEX_PACK_OPEN;
    out->packs_sealed += pack->state == INDEX_PACK_SEALED || pack->state == INDEX_PACK_ARCHIVING;
    out->packs_archived += pack->state == INDEX_PACK_ARCHIVED;
    out->packs_cold += pack->state == INDEX_PACK_COLD;
    if (local)
        out->bytes_local += pack->file_bytes;
    if (archived)
        out->bytes_archived += pack->file_bytes;
}

int jini_archive_status(struct jini *jini, struct jini_archive_status *out,
                        struct jini_error *error)
{
    struct spread spread = {jini, out};
    struct slice all = slice_of(NULL, 0);
    memset(out, 0, sizeof(*out));
    error_clear(error);
    int status = engine_check(jini);
    if (status == 0)
        status = store_each(jini->store, STORE_SPACE_IMAGES, all, all, count_image, &spread);
    struct jini_id last = {{0}};
    size_t count = PAGE;
    struct index_pack *page = status == 0 ? base_malloc(sizeof(*page) * PAGE) : NULL;
    if (status == 0 && !page)
        status = JINI_E_NO_MEMORY;
    while (status == 0 && count == PAGE) {
        struct store_txn *txn;
        status = store_read_begin(jini->store, &txn);
        if (status)
            break;
        status = index_pack_list(txn, id_is_zero(&last) ? NULL : &last, page, PAGE, &count);
        store_read_end(txn);
        for (size_t i = 0; status == 0 && i < count; i++) {
            last = page[i].id;
            count_pack(out, &page[i]);
        }
    }
    base_free(page);
    struct cache_figures cache;
    cache_figures(jini->image_cache, &cache);
    out->bytes_cached = cache.bytes;
    return status ? error_set(error, status, "archive", "%s", jini_status_text(status)) : 0;
}
