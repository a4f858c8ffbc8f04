/* The record of an image: its fields, their rules, and how the public struct shows it. */
#include "generations/generations_private.h"

#include "base/error.h"

#define IMAGE(kind, member, longest) LAYOUT(struct image_row, kind, member, longest)

/* Space IMAGES, key (id image). Numbers are pinned. */
static const struct layout_field fields[] = {
    [1] = IMAGE(UINT64, user_id, 0),
    [2] = IMAGE(16_BYTES, job_id, 0),
    [3] = IMAGE(UINT64, created_ms, 0),
    [4] = IMAGE(UINT64, expires_ms, 0),
    [5] = IMAGE(UINT64, bytes, 0),
    [6] = IMAGE(UINT64, stored_bytes, 0),
    [7] = IMAGE(16_BYTES, hash, 0),
    [8] = IMAGE(TEXT, media_type, JINI_MEDIA_TYPE_MAX - 1),
    [9] = IMAGE(UINT32, width, 0),
    [10] = IMAGE(UINT32, height, 0),
    [11] = IMAGE(INT64, seed, 0),
    [12] = IMAGE(UINT32, flags, 0),
    [13] = IMAGE(UINT32, place, 0),
    [14] = IMAGE(UINT64, trashed_ms, 0),
    [15] = IMAGE(UINT64, purge_ms, 0),
    [16] = IMAGE(16_BYTES, pack_id, 0),
    [17] = IMAGE(UINT32, pack_sequence, 0),
    [18] = IMAGE(UINT64, metadata_bytes, 0),
    [19] = IMAGE(BYTES, metadata, GENERATIONS_METADATA_INLINE_MAX),
    [20] = IMAGE(UINT64, number, 0),
    [21] = IMAGE(UINT32, texts_omitted, 0),
};

static const struct layout layout = {fields, sizeof(fields) / sizeof(fields[0])};

static bool sound(const struct image_row *row)
{
    return row->place >= JINI_IMAGE_HOT && row->place <= JINI_IMAGE_COLD &&
           (row->purge_ms != 0 || row->trashed_ms == 0) &&
           (row->metadata.length == 0 || row->metadata.length == row->metadata_bytes);
}

int image_row_read(struct slice document, struct image_row *out)
{
    memset(out, 0, sizeof(*out));
    int status = layout_read(&layout, document, out, &out->rest);
    if (status)
        return status;
    return sound(out) ? 0 : JINI_E_CORRUPT;
}

int image_row_write(const struct image_row *row, struct buffer *out)
{
    JINI_ASSERT(sound(row));
    return layout_write(&layout, row, &row->rest, out);
}

void image_row_show(const struct image_row *row, const struct jini_id *id, struct jini_image *out)
{
    uint32_t trashed = row->purge_ms != 0 ? JINI_IMAGE_TRASHED : 0;
    *out = (struct jini_image){
        .id = *id,
        .job_id = row->job_id,
        .user_id = row->user_id,
        .created_ms = row->created_ms,
        .expires_ms = row->expires_ms,
        .bytes = row->bytes,
        .metadata_bytes = row->metadata_bytes,
        .seed = row->seed,
        .width = row->width,
        .height = row->height,
        .texts_omitted = row->texts_omitted,
        .flags = (row->flags & ~(uint32_t)JINI_IMAGE_TRASHED) | trashed,
    };
    memcpy(out->hash, row->hash, sizeof(out->hash));
    JINI_ASSERT(row->media_type.length < sizeof(out->media_type));
    if (row->media_type.length)
        memcpy(out->media_type, row->media_type.data, row->media_type.length);
}

int image_load(struct store_txn *txn, const struct jini_id *id, struct loaded_image *out,
               struct jini_error *error)
{
    struct tuple key;
    key_record(&key, id);
    struct buffer value = buffer_of(out->bytes, sizeof(out->bytes));
    int status = store_get(txn, STORE_SPACE_IMAGES, tuple_key(&key), &value);
    if (status == JINI_E_NOT_FOUND)
        return status;
    if (status == JINI_E_TOO_BIG)
        status = JINI_E_CORRUPT;
    if (status == 0)
        status = image_row_read(buffer_slice(&value), &out->row);
    return status ? record_failed(error, status, "image", id) : 0;
}
