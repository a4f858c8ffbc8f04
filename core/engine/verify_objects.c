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
    *answer = archives_run(v->jini, &v->request->request, request, &error);
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

enum { ORPHANS_MAX = 4096 };

struct unknown_walk {
    struct verifying *v;
    struct index_orphan *orphans; /* an hour's; those beyond ORPHANS_MAX count as unknown */
    size_t orphan_count;
};

static bool is_orphan(const struct unknown_walk *walk, const struct jini_id *attempt)
{
    for (size_t i = 0; i < walk->orphan_count; i++) {
        if (id_equal(&walk->orphans[i].attempt, attempt))
            return true;
    }
    return false;
}

static int visit_object(struct archive_request *list, const struct archive_entry *entry)
{
    const struct unknown_walk *walk = list->user;
    struct verifying *v = walk->v;
    struct jini_id id;
    struct jini_id attempt;
    struct index_pack pack;
    struct store_txn *txn;
    if (verify_cancelled(v))
        return JINI_E_CANCELLED;
    if (index_object_parse(entry->name, &id, &attempt) != 0)
        return 0;
    int status = store_read_begin(v->jini->store, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, &id, &pack);
    store_read_end(txn);
    bool named = status_is_damage(status) || (status == 0 && id_equal(&pack.attempt, &attempt)) ||
                 is_orphan(walk, &attempt);
    v->request->objects_unknown += !named;
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int verify_unknown_objects(struct verifying *v)
{
    struct jini_error error;
    struct unknown_walk walk = {.v = v};
    struct store_txn *txn;
    if (!v->has_archive || v->archive_lost)
        return 0; /* nothing of this database is there, or it cannot be reached */
    walk.orphans = base_malloc(sizeof(*walk.orphans) * ORPHANS_MAX);
    if (!walk.orphans)
        return JINI_E_NO_MEMORY;
    int status = verify_snapshot(v, &txn);
    if (status == 0) {
        status = index_orphan_list(txn, UINT64_MAX, walk.orphans, ORPHANS_MAX, &walk.orphan_count);
        verify_snapshot_end(v, txn);
    }
    if (status_is_damage(status)) { /* which has been told: what is nobody's cannot be known */
        base_free(walk.orphans);
        return 0;
    }
    error_clear(&error);
    if (status == 0)
        status = archives_walk(v->jini, &v->request->request, slice_of_text("packs/"), visit_object,
                               &walk, &error);
    base_free(walk.orphans);
    if (status == 0 || status == JINI_E_CANCELLED || error.code != status)
        return status;
    const struct verify_place place = {.kind = "archive_unlisted", .field = "object"};
    verify_problem(v, &place, "object: %s", error.message);
    return 0;
}
