/*
 * Duplicates: images with the same bytes in one class are stored once.
 *
 * It is done after a pack is sealed, in the background: a put takes the same way and the same time
 * whether anybody has the bytes already, so nobody learns from it that somebody has. Two records
 * are the same when their hashes and lengths agree AND their bytes do, read, decoded and compared
 * here: one may be coded and the other not. The images of the younger record then point to the
 * older one, and the younger is garbage. Its pack is rewritten before it is archived: the images'
 * row, by which a purge finds their bytes, names the older record alone.
 */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/stored.h"

/* A record that looks like an older one. */
struct candidate {
    struct index_location younger;
    struct index_content older;
};

struct share_page {
    const struct index_pack *pack;
    size_t location_count;
    size_t candidate_count;
    struct index_location locations[TIERING_SLICE];
    struct candidate candidates[TIERING_SLICE];
};

static struct index_content content_of(const struct index_pack *pack,
                                       const struct index_location *location)
{
    return (struct index_content){
        .tier_group = pack->tier_group,
        .expiry_day = pack->expiry_day,
        .length = location->original_length,
        .hash = location->original_hash,
        .pack = location->pack,
        .sequence = location->sequence,
    };
}

/* Enters the records of a page whose content is new, and collects the others. */
static int op_enter(struct store_txn *txn, void *argument)
{
    struct share_page *page = argument;
    page->candidate_count = 0;
    for (size_t i = 0; i < page->location_count; i++) {
        const struct index_location *location = &page->locations[i];
        struct index_content mine = content_of(page->pack, location);
        struct index_content found = mine;
        struct index_location any;
        int status = index_content_get(txn, &found);
        if (status == 0 && id_equal(&found.pack, &mine.pack) && found.sequence == mine.sequence)
            continue;
        if (status == 0)
            status = index_location_of_record(txn, &found.pack, found.sequence, &any);
        if (status == 0) {
            page->candidates[page->candidate_count++] = (struct candidate){*location, found};
            continue;
        }
        if (status != JINI_E_NOT_FOUND)
            return status;
        status = index_content_put(txn, &mine);
        if (status)
            return status;
    }
    return 0;
}

static int read_image(struct jini *jini, const struct index_location *location, uint8_t *buffer,
                      struct jini_error *error)
{
    struct stored_part part = {location, JINI_GET_BYTES, buffer, location->original_length};
    return stored_read(jini, &part, error);
}

/*
 * 0 when the bytes are the same, JINI_E_NOT_FOUND when they are not, or cannot be compared here.
 * The older record is what stays: it is read from the disk.
 */
static int compare(const struct tiering_run *run, const struct index_location *younger,
                   const struct index_location *older, struct jini_error *error)
{
    struct jini_error ignored;
    if (younger->original_length != older->original_length ||
        tiering_record_check(run, older, NULL, &ignored) != 0)
        return JINI_E_NOT_FOUND;
    size_t length = younger->original_length;
    uint8_t *bytes = base_malloc(2 * length + 1);
    if (!bytes)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    int status = read_image(run->jini, younger, bytes, error);
    bool same = status == 0 && read_image(run->jini, older, bytes + length, &ignored) == 0 &&
                memcmp(bytes, bytes + length, length) == 0;
    base_free(bytes);
    if (status && status != JINI_E_CORRUPT)
        return status;
    return same ? 0 : JINI_E_NOT_FOUND;
}

struct repoint {
    struct index_location from; /* any image of the younger record */
    struct index_location to;   /* any image of the older one */
};

/* All images of the younger record get locations at the older one, if that is still there. */
static int op_repoint(struct store_txn *txn, void *argument)
{
    const struct repoint *repoint = argument;
    struct index_pack pack;
    struct index_location any;
    struct index_location from;
    int status = index_pack_get(txn, &repoint->to.pack, &pack);
    if (status == 0)
        status = index_location_of_record(txn, &repoint->to.pack, repoint->to.sequence, &any);
    if (status == JINI_E_NOT_FOUND ||
        (status == 0 && (pack.state < INDEX_PACK_SEALED || pack.state > INDEX_PACK_ARCHIVED)))
        return 0;
    while (status == 0) {
        status = index_location_of_record(txn, &repoint->from.pack, repoint->from.sequence, &from);
        if (status)
            break;
        struct index_location to = any;
        to.image = from.image;
        status = tiering_move_location(txn, &from, &to);
    }
    if (status == JINI_E_NOT_FOUND)
        status = index_pack_note_removal(txn, &repoint->from.pack, INDEX_PACK_MUST_COMPACT);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int share_candidate(struct tiering_run *run, const struct candidate *candidate,
                           struct jini_error *error)
{
    struct store_txn *txn;
    struct repoint repoint = {.from = candidate->younger};
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    status = index_location_of_record(txn, &candidate->older.pack, candidate->older.sequence,
                                      &repoint.to);
    store_read_end(txn);
    if (status == 0)
        status = compare(run, &repoint.from, &repoint.to, error);
    if (status == JINI_E_NOT_FOUND)
        return 0;
    if (status)
        return status;
    status = tiering_write(run, op_repoint, &repoint);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

int tiering_share(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error)
{
    struct share_page *page = base_calloc(1, sizeof(*page));
    if (!page)
        return error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    struct index_location last;
    bool any = false;
    int status = 0;
    page->pack = pack;
    do {
        status = tiering_load_locations(run, &pack->id, any ? &last : NULL, page->locations,
                                        &page->location_count);
        if (status || page->location_count == 0)
            break;
        last = page->locations[page->location_count - 1];
        any = true;
        status = tiering_write(run, op_enter, page);
        for (size_t i = 0; status == 0 && i < page->candidate_count; i++)
            status = share_candidate(run, &page->candidates[i], error);
    } while (status == 0 && page->location_count == TIERING_SLICE);
    base_free(page);
    if (status == 0) {
        struct index_pack shared = *pack;
        shared.flags |= INDEX_PACK_SHARED;
        status = tiering_change_pack(run, &shared, INDEX_PACK_SEALED);
    }
    if (status && error->code != status)
        error_set(error, status, "pack", "%s", jini_status_text(status));
    return status;
}
