/*
 * Packs against the archive: the object of each is there, and is what was archived. Objects that
 * are named by nothing here are counted and no more: they may belong to another database.
 */
#include "engine/verify_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNANSWERED_MAX = 3 };

static void report(struct verifying *v, const struct index_pack *pack, const char *kind,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

static void report(struct verifying *v, const struct index_pack *pack, const char *kind,
                   const char *format, ...)
{
    char text[VERIFY_MESSAGE_MAX - 16];
    const struct verify_place place = {.kind = kind, .field = "object", .pack = &pack->id};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    verify_problem(v, &place, "object: %s", text);
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

/*
 * Has the archive do something, for the finding about an object. Returns what ends the check;
 * `*answer` is what the archive said. One that leaves several requests in a row to their deadlines
 * is asked no more.
 */
static int ask(struct verifying *v, const struct index_pack *pack, struct archive_request *request,
               int *answer)
{
    struct jini_error error;
    request->deadline_ns = archives_deadline(v->jini, pack->file_bytes);
    *answer = archives_run(v->jini, v->asker, request, &error);
    v->unanswered = *answer == JINI_E_TIMEOUT ? v->unanswered + 1 : 0;
    if (*answer == JINI_E_CANCELLED || *answer == JINI_E_NO_MEMORY)
        return *answer;
    if (*answer && !verify_pack_changed(v, pack))
        report(v, pack, *answer == JINI_E_NOT_FOUND ? "object_missing" : "object_unreadable",
               "%.*s: %s", (int)request->name.length, (const char *)request->name.data,
               error.message);
    v->archive_lost = v->unanswered == UNANSWERED_MAX;
    if (v->archive_lost)
        report(v, pack, "archive_unreachable",
               "%u requests in a row were not answered in time; the objects of the packs that "
               "follow are not checked",
               v->unanswered);
    return 0;
}

static int read_object(struct verifying *v, const struct index_pack *pack, const char *name)
{
    struct object_read read = {.request = {.operation = ARCHIVE_GET,
                                           .name = slice_of_text(name),
                                           .get = {.length = ARCHIVE_TO_END, .sink = add_piece}},
                               .hash = hash_stream_new()};
    int answer;
    if (!read.hash)
        return JINI_E_NO_MEMORY;
    int status = ask(v, pack, &read.request, &answer);
    struct hash128 hash = hash_stream_128(read.hash);
    hash_stream_free(read.hash);
    v->request->bytes_read += read.request.bytes;
    if (!status && !answer && !hash128_equal(&hash, &pack->object_hash))
        report(v, pack, "object_damaged", "%s: its checksum is not the one of when it was archived",
               name);
    return status;
}

static int look_at_object(struct verifying *v, const struct index_pack *pack, const char *name)
{
    struct archive_request request = {.operation = ARCHIVE_HEAD, .name = slice_of_text(name)};
    int answer;
    int status = ask(v, pack, &request, &answer);
    if (!status && !answer && request.size != pack->file_bytes)
        report(v, pack, "object_damaged", "%s: %llu bytes instead of %llu", name,
               (unsigned long long)request.size, (unsigned long long)pack->file_bytes);
    return status;
}

int verify_object(struct verifying *v, const struct index_pack *pack)
{
    char name[INDEX_OBJECT_NAME_MAX];
    struct jini_error error;
    if (v->archive_lost)
        return 0;
    int status = archives_open(v->jini, &error);
    if (status == JINI_E_NO_MEMORY)
        return status;
    if (status) {
        v->archive_lost = true;
        report(v, pack, "archive_unreachable",
               "%s; the objects of this pack and of those that follow are not checked",
               error.message);
        return 0;
    }
    v->has_archive = true;
    v->request->objects++;
    index_object_name(pack, name);
    return v->request->flags & JINI_VERIFY_DEEP ? read_object(v, pack, name)
                                                : look_at_object(v, pack, name);
}

/* ---- Objects that nothing names ---- */

enum { UNNAMED_MAX = 4096 }; /* looked for among the orphans at once */

/* An object that no pack names. */
struct unnamed {
    struct jini_id pack;
    struct jini_id attempt;
    bool is_orphan;
};

struct unknown_walk {
    struct verifying *v;
    struct unnamed *unnamed;
    size_t count;
    bool
        blocked; /* orphans cannot be read, which has been told: what is nobody's cannot be known */
};

static int compare(const void *a, const void *b)
{
    const struct unnamed *first = a;
    const struct unnamed *second = b;
    int order = jini_id_compare(&first->pack, &second->pack);
    return order ? order : jini_id_compare(&first->attempt, &second->attempt);
}

static int note_orphan(void *context, struct slice key, struct slice value)
{
    const struct unknown_walk *walk = context;
    struct index_orphan orphan;
    if (index_orphan_read(key, value, &orphan) != 0)
        return 0;
    const struct unnamed wanted = {.pack = orphan.pack, .attempt = orphan.attempt};
    struct unnamed *found =
        bsearch(&wanted, walk->unnamed, walk->count, sizeof(*walk->unnamed), compare);
    if (found)
        found->is_orphan = true;
    return 0;
}

/*
 * Counts those that no orphan row names either. There may be any number of rows, as a database that
 * does not own its archive keeps them.
 */
static int count_unknown(struct unknown_walk *walk)
{
    struct verifying *v = walk->v;
    struct slice all = slice_of(NULL, 0);
    if (walk->count == 0 || walk->blocked)
        return 0;
    qsort(walk->unnamed, walk->count, sizeof(*walk->unnamed), compare);
    int status = store_each(v->store, STORE_SPACE_ORPHANS, all, all, note_orphan, walk);
    walk->blocked = status_is_damage(status);
    for (size_t i = 0; status == 0 && i < walk->count; i++)
        v->request->objects_unknown += !walk->unnamed[i].is_orphan;
    walk->count = 0;
    return walk->blocked ? 0 : status;
}

static int visit_object(struct archive_request *list, const struct archive_entry *entry)
{
    struct unknown_walk *walk = list->user;
    struct verifying *v = walk->v;
    struct unnamed object = {.is_orphan = false};
    struct index_pack pack;
    struct store_txn *txn;
    if (verify_cancelled(v))
        return JINI_E_CANCELLED;
    if (index_object_parse(entry->name, &object.pack, &object.attempt) != 0)
        return 0;
    int status = store_read_begin(v->store, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, &object.pack, &pack);
    store_read_end(txn);
    if (status_is_damage(status) || (status == 0 && id_equal(&pack.attempt, &object.attempt)))
        return 0;
    if (status && status != JINI_E_NOT_FOUND)
        return status;
    walk->unnamed[walk->count++] = object;
    return walk->count == UNNAMED_MAX ? count_unknown(walk) : 0;
}

/* Whether there may be objects where this database has none: opening would make the directory. */
static bool has_directory(const struct jini *jini)
{
    char path[ARCHIVE_URL_MAX];
    return archives_directory(jini, path, NULL) == 0 && path[0] != '\0' && access(path, F_OK) == 0;
}

int verify_unknown_objects(struct verifying *v)
{
    struct jini_error error;
    struct unknown_walk walk = {.v = v};
    if (v->archive_lost || (!v->has_archive && !has_directory(v->jini)))
        return 0; /* nothing of this database is there, or it cannot be reached */
    walk.unnamed = base_malloc(sizeof(*walk.unnamed) * UNNAMED_MAX);
    if (!walk.unnamed)
        return JINI_E_NO_MEMORY;
    error_clear(&error);
    int status =
        archives_walk(v->jini, v->asker, slice_of_text("packs/"), visit_object, &walk, &error);
    if (status == 0)
        status = count_unknown(&walk);
    if (walk.blocked)
        v->request->objects_unknown = 0;
    base_free(walk.unnamed);
    if (status == 0 || status == JINI_E_CANCELLED || error.code != status)
        return status;
    const struct verify_place place = {.kind = "archive_unlisted", .field = "object"};
    verify_problem(v, &place, "object: %s", error.message);
    return 0;
}
