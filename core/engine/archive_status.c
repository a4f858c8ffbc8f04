/* How images and packs are spread over the tiers: one walk over each, in slices. */
#include "engine/engine_private.h"
#include "engine/owner.h"

#include "base/error.h"
#include "base/tuple.h"
#include "generations/generations.h"
#include "images/cache.h"
#include "images/index.h"
#include "images/pack_lost.h"
#include "images/pack_path.h"

#include <jini/archive.h>

struct spread {
    struct jini *jini;
    struct jini_archive_status *out;
};

static int count_image(void *context, struct slice key, struct slice value)
{
    struct spread *spread = context;
    struct jini_archive_status *out = spread->out;
    struct jini_id id;
    enum jini_image_state state;
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
        status = image_state(txn, &found, &state);
    store_read_end(txn);
    if (status)
        return 0;
    out->bytes_original += found.image.bytes;
    out->images_hot += state == JINI_IMAGE_HOT;
    out->images_hot_archived += state == JINI_IMAGE_HOT_ARCHIVED;
    out->images_cold += state == JINI_IMAGE_COLD;
    out->images_trash += state == JINI_IMAGE_TRASH;
    return 0;
}

/* The row of an open pack knows no length; the file, which grows on, does. */
static uint64_t bytes_of(const struct jini *jini, const struct index_pack *pack)
{
    uint64_t bytes = pack->file_bytes;
    if (pack->state == INDEX_PACK_OPEN) /* or not any more: then there may be no file */
        (void)pack_path_bytes(jini->directory_fd, &pack->id, &bytes, NULL);
    return bytes;
}

static int count_pack(void *context, const struct index_pack *pack)
{
    struct spread *spread = context;
    struct jini_archive_status *out = spread->out;
    bool local = pack->state != INDEX_PACK_COLD;
    bool archived = pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
    out->packs_open += pack->state == INDEX_PACK_OPEN;
    out->packs_sealed += pack->state == INDEX_PACK_SEALED || pack->state == INDEX_PACK_ARCHIVING;
    out->packs_archived += pack->state == INDEX_PACK_ARCHIVED;
    out->packs_cold += pack->state == INDEX_PACK_COLD;
    if (local)
        out->bytes_local += bytes_of(spread->jini, pack);
    if (archived)
        out->bytes_archived += pack->file_bytes;
    return 0;
}

static int count_lost(void *context, const struct pack_lost *lost)
{
    struct jini_archive_status *out = context;
    out->packs_lost++;
    out->bytes_lost += lost->bytes;
    return 0;
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
    if (status == 0)
        status = index_pack_each(jini->store, count_pack, &spread);
    if (status == 0)
        status = store_count(jini->store, STORE_SPACE_ORPHANS, &out->objects_due);
    if (status == 0)
        status = pack_lost_walk(jini->directory_fd, count_lost, out, error);
    if (status == 0)
        out->keeping = owner_known(jini);
    struct cache_figures cache;
    cache_figures(jini->image_cache, &cache);
    out->bytes_cached = cache.bytes;
    return status ? error_set(error, status, "archive", "%s", jini_status_text(status)) : 0;
}
