#include "engine/cold.h"

#include "archive/archive.h"
#include "base/error.h"

static uint64_t length_of(const struct index_location *location)
{
    return pack_record_length(location->stored_length, location->metadata_stored_length);
}

/* Checks all bytes of the entry, and that they are the record that the index means. */
static int check(const struct index_location *location, struct cold_record *record,
                 struct jini_error *error)
{
    struct pack_record header;
    struct slice bytes = slice_of(cache_entry_bytes(record->entry), length_of(location));
    int status = pack_record_check(bytes, &location->pack, location->offset, location->sequence,
                                   &header, &record->metadata, &record->payload, error);
    return status ? status : index_check_record(location, &header, error);
}

int cold_record_fetch(struct jini *jini, const struct index_pack *pack,
                      const struct index_location *location, uint64_t deadline_ns,
                      struct cold_record *out, struct jini_error *error)
{
    struct archive *archive;
    int status = engine_archive(jini, &archive, error);
    if (status)
        return status;
    uint64_t length = length_of(location);
    struct cache_key key = {location->pack, location->sequence};
    out->entry = cache_entry_new(&key, length);
    if (!out->entry)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(pack, name);
    struct archive_request request = {
        .operation = ARCHIVE_GET,
        .name = slice_of_text(name),
        .deadline_ns = deadline_ns,
        .get = {.offset = location->offset,
                .length = length,
                .buffer = cache_entry_bytes(out->entry),
                .capacity = length},
    };
    status = archive_run(archive, &request, error);
    if (status == 0)
        status = check(location, out, error);
    if (status)
        cold_record_release(out);
    return status;
}

int cold_record_get(struct jini *jini, const struct index_pack *pack,
                    const struct index_location *location, uint64_t deadline_ns,
                    struct cold_record *out, struct jini_error *error)
{
    struct cache_key key = {location->pack, location->sequence};
    out->entry = cache_get(jini->image_cache, &key);
    if (!out->entry) {
        int status = cold_record_fetch(jini, pack, location, deadline_ns, out, error);
        if (status == 0)
            cache_put(jini->image_cache, out->entry);
        return status;
    }
    int status = check(location, out, error);
    if (status) {
        cache_forget(jini->image_cache, out->entry);
        cold_record_release(out);
    }
    return status;
}

void cold_record_release(struct cold_record *record)
{
    cache_entry_release(record->entry);
}
