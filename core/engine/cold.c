#include "engine/cold.h"

#include "base/error.h"
#include "engine/archives.h"

struct cache_key cold_key(const struct index_location *location)
{
    return (struct cache_key){location->pack, location->sequence};
}

uint64_t cold_length(const struct index_location *location)
{
    return pack_record_length(location->stored_length, location->metadata_stored_length);
}

int cold_get_init(struct cold_get *get, const struct index_pack *pack,
                  const struct index_location *location, struct jini_error *error)
{
    struct cache_key key = cold_key(location);
    uint64_t length = cold_length(location);
    memset(get, 0, sizeof(*get));
    get->entry = cache_entry_new(&key, length);
    if (!get->entry)
        return error_set(error, JINI_E_NO_MEMORY, "image", "out of memory");
    index_object_name(pack, get->name);
    get->request.operation = ARCHIVE_GET;
    get->request.name = slice_of_text(get->name);
    get->request.get = (struct archive_get){
        .offset = location->offset,
        .length = length,
        .buffer = cache_entry_bytes(get->entry),
        .capacity = length,
    };
    return 0;
}

int cold_record_check(const struct index_location *location, struct cold_record *record,
                      struct jini_error *error)
{
    struct pack_record header;
    /* As long as what was fetched, whatever this row says: it may be damaged, or that other was. */
    struct slice bytes =
        slice_of(cache_entry_bytes(record->entry), cache_entry_length(record->entry));
    int status = pack_record_check(bytes, &location->pack, location->offset, location->sequence,
                                   &header, &record->metadata, &record->payload, error);
    return status ? status : index_check_record(location, &header, error);
}
