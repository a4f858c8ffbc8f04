/* Packs against the archive: the object of each is there, and is what was archived. */
#include "engine/verify_private.h"

#include "archive/archive.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>

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
    if (status && !verify_pack_changed(v, pack))
        report(v, pack, "object_unreadable", "%s: %s", name, error.message);
    else if (!status && !hash128_equal(&hash, &pack->object_hash))
        report(v, pack, "object_damaged", "%s: its checksum is not the one of when it was archived",
               name);
    return 0;
}

int verify_object(struct verifying *v, const struct index_pack *pack)
{
    char name[INDEX_OBJECT_NAME_MAX];
    struct jini_error error;
    index_object_name(pack, name);
    if (!v->archive) {
        int status = engine_archive(v->jini, &v->archive, &error);
        if (status) {
            report(v, pack, "archive_unreachable", "%s", error.message);
            return status;
        }
    }
    v->request->objects++;
    if (v->request->flags & JINI_VERIFY_DEEP)
        return read_object(v, pack, name);
    struct archive_request request = {.operation = ARCHIVE_HEAD, .name = slice_of_text(name)};
    int status = archive_run(v->archive, &request, &error);
    if (status && !verify_pack_changed(v, pack))
        report(v, pack, "object_missing", "%s: %s", name, error.message);
    else if (!status && request.size != pack->file_bytes)
        report(v, pack, "object_damaged", "%s: %llu bytes instead of %llu", name,
               (unsigned long long)request.size, (unsigned long long)pack->file_bytes);
    return status == JINI_E_NO_MEMORY ? status : 0;
}
