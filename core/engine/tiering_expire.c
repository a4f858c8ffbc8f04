/*
 * Images whose time is over, and the trash: the record, the location and the place in the lists go
 * in one transaction. The bytes go when their pack has no images left, or is rewritten.
 */
#include "engine/tiering_private.h"

#include "base/error.h"

enum { DUE_SLICE = 64 };

struct expiry {
    enum generations_due_kind kind;
    uint64_t now_ms;

    /* Out. */
    size_t images;
    size_t rows;
    uint64_t bytes;
    size_t damaged;
    struct jini_id last_damaged;
};

/* It is left to verify, and holds up no other. */
static void note_damaged(struct expiry *expiry, const struct jini_id *id)
{
    expiry->damaged++;
    expiry->last_damaged = *id;
}

static int delete_image(struct store_txn *txn, struct expiry *expiry, const struct jini_id *id)
{
    struct generations_image image;
    struct index_location location;
    int status = generations_image_delete(txn, id, &image, NULL);
    if (status)
        return status;
    expiry->images++;
    expiry->bytes += image.image.bytes;
    status =
        index_location_get(txn, &image.place.pack_id, image.place.pack_sequence, id, &location);
    if (status == 0)
        status = index_location_delete(txn, &location);
    if (status == 0)
        status = index_pack_note_removal(
            txn, &image.place.pack_id,
            expiry->kind == GENERATIONS_DUE_PURGE ? INDEX_PACK_MUST_COMPACT : 0);
    if (status_is_damage(status)) { /* the image is deleted, and its due row with it */
        note_damaged(expiry, id);
        return 0;
    }
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int op_expire(struct store_txn *txn, void *argument)
{
    struct expiry *expiry = argument;
    struct generations_due due[DUE_SLICE];
    expiry->images = 0;
    expiry->bytes = 0;
    expiry->rows = 0;
    expiry->damaged = 0;
    int status = generations_due_list(txn, expiry->kind, expiry->now_ms, due, DUE_SLICE,
                                      &expiry->rows, NULL);
    for (size_t i = 0; status == 0 && i < expiry->rows; i++) {
        status = delete_image(txn, expiry, &due[i].id);
        if (status_is_damage(status)) {
            note_damaged(expiry, &due[i].id);
            status = JINI_E_NOT_FOUND;
        }
        if (status == JINI_E_NOT_FOUND)
            status = generations_due_remove(txn, &due[i]);
    }
    return status;
}

static void log_damaged(const struct tiering_run *run, const struct expiry *expiry)
{
    char id[JINI_ID_TEXT_MAX];
    jini_id_format(&expiry->last_damaged, id);
    log_record(&run->jini->log, JINI_LOG_ERROR, "images_not_expired",
               LOG_NUMBER("damaged", expiry->damaged), LOG_TEXT("image", id));
}

void tiering_report_expiry(const struct tiering_run *run, enum generations_due_kind kind,
                           uint64_t images, uint64_t bytes)
{
    if (images > 0)
        tiering_report(run, JINI_TIERING_EXPIRE, NULL, images, bytes,
                       kind == GENERATIONS_DUE_PURGE ? "their time in the trash is over"
                                                     : "their retention is over");
}

static int expire_kind(struct tiering_run *run, enum generations_due_kind kind,
                       struct jini_error *error)
{
    struct expiry expiry = {.kind = kind, .now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS};
    uint64_t images = 0;
    uint64_t bytes = 0;
    int status;
    do {
        status = tiering_write(run, op_expire, &expiry);
        if (status)
            return error_set(error, status, "expiry", "%s", jini_status_text(status));
        images += expiry.images;
        bytes += expiry.bytes;
        if (expiry.damaged > 0)
            log_damaged(run, &expiry);
    } while (expiry.rows == DUE_SLICE && !tiering_must_end(run));
    run->request->images_purged += images;
    tiering_report_expiry(run, kind, images, bytes);
    return 0;
}

int tiering_expire(struct tiering_run *run, struct jini_error *error)
{
    int status = expire_kind(run, GENERATIONS_DUE_IMAGE, error);
    return status ? status : expire_kind(run, GENERATIONS_DUE_PURGE, error);
}
