/*
 * A dry run: what would be deleted because its time is over, and the steps that are due for each
 * pack after that, on rows that only pretend to change.
 *
 * Duplicates that a run would find, and small packs that it would merge, are not foreseen, nor what
 * reading files and objects would show.
 */
#include "engine/tiering_private.h"

#include "base/error.h"

enum { DUE_SLICE = 64 };

/* ---- Images whose time is over ---- */

static int load_due(const struct tiering_run *run, uint64_t now_ms, struct generations_due *after,
                    struct generations_due *rows, size_t *count)
{
    struct store_txn *txn;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = generations_due_list_after(txn, after, now_ms, rows, DUE_SLICE, count, NULL);
    store_read_end(txn);
    return status;
}

static int add_image(const struct tiering_run *run, const struct jini_id *id, uint64_t *images,
                     uint64_t *bytes)
{
    struct store_txn *txn;
    struct generations_image image;
    int status = store_read_begin(run->jini->store, &txn);
    if (status)
        return status;
    status = generations_image_get(txn, id, &image, NULL);
    store_read_end(txn);
    if (status == JINI_E_NOT_FOUND || status_is_damage(status))
        return 0; /* as in a run, which leaves it to verify */
    *images += status == 0;
    *bytes += status == 0 ? image.image.bytes : 0;
    return status;
}

static int foresee_kind(struct tiering_run *run, enum generations_due_kind kind)
{
    uint64_t now_ms = clock_wall_ns(run->jini->clock) / NS_PER_MS;
    struct generations_due after = {.kind = kind};
    struct generations_due rows[DUE_SLICE];
    uint64_t images = 0;
    uint64_t bytes = 0;
    size_t count;
    do {
        if (tiering_must_end(run))
            return JINI_E_CANCELLED;
        int status = load_due(run, now_ms, &after, rows, &count);
        for (size_t i = 0; status == 0 && i < count; i++)
            status = add_image(run, &rows[i].id, &images, &bytes);
        if (status)
            return status;
        if (count > 0)
            after = rows[count - 1];
    } while (count == DUE_SLICE);
    run->expires |= images > 0;
    tiering_report_expiry(run, kind, images, bytes);
    return 0;
}

int tiering_foresee_expiry(struct tiering_run *run, struct jini_error *error)
{
    int status = foresee_kind(run, GENERATIONS_DUE_IMAGE);
    if (status == 0)
        status = foresee_kind(run, GENERATIONS_DUE_PURGE);
    return status ? error_set(error, status, "expiry", "%s", jini_status_text(status)) : 0;
}

/* ---- A pack ---- */

/* A pack as it would be without the images whose time is over. */
struct prospect {
    struct index_pack pack;
    struct tiering_facts facts;
    uint64_t live_bytes;
    uint32_t records; /* with those of images that go */
};

/* Whether an image goes. What cannot be read of it stays, as it does in a run. */
static bool goes(struct store_txn *txn, const struct jini_id *id, struct prospect *prospect)
{
    struct generations_image image;
    uint64_t now_ms = prospect->facts.now_ms;
    if (generations_image_get(txn, id, &image, NULL) != 0)
        return false;
    bool purged = image.purge_ms != 0 && image.purge_ms <= now_ms;
    bool expired =
        image.purge_ms == 0 && image.place.expires_ms != 0 && image.place.expires_ms <= now_ms;
    if (purged || expired)
        prospect->pack.removals = prospect->pack.counted + 1;
    if (purged)
        prospect->pack.flags |= INDEX_PACK_MUST_COMPACT;
    return purged || expired;
}

/* The images of `page` that stay; those of one record stand together. */
static void count_page(struct store_txn *txn, const struct index_location *page, size_t count,
                       struct index_location *last, bool *record_lives, struct prospect *prospect)
{
    for (size_t i = 0; i < count; i++) {
        bool same = prospect->records > 0 && page[i].sequence == last->sequence;
        prospect->records += !same;
        *record_lives = same && *record_lives;
        *last = page[i];
        if (goes(txn, &page[i].image, prospect))
            continue;
        prospect->facts.live_images++;
        prospect->facts.live_records += !*record_lives;
        prospect->live_bytes += page[i].original_length;
        *record_lives = true;
    }
}

static int count_staying(const struct tiering_run *run, struct prospect *prospect)
{
    struct index_location page[TIERING_SLICE];
    struct index_location last;
    bool record_lives = false;
    size_t count;
    do {
        struct store_txn *txn;
        int status = store_read_begin(run->jini->store, &txn);
        if (status)
            return status;
        status = index_location_list(txn, &prospect->pack.id, prospect->records ? &last : NULL,
                                     page, TIERING_SLICE, &count);
        if (status == 0)
            count_page(txn, page, count, &last, &record_lives, prospect);
        store_read_end(txn);
        if (status)
            return status;
    } while (count == TIERING_SLICE);
    return 0;
}

/* `*due`: a step may be. */
static int look_ahead(const struct tiering_run *run, const struct jini_id *id,
                      struct prospect *prospect, bool *due)
{
    *due = false;
    int status = tiering_load_pack(run, id, &prospect->pack);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    prospect->facts = tiering_facts_of(run, &prospect->pack);
    *due = tiering_may_be_due(&prospect->facts, &run->policy);
    if (!*due && !run->expires)
        return 0;
    status = count_staying(run, prospect);
    *due = *due || tiering_may_be_due(&prospect->facts, &run->policy);
    return status;
}

/* What a step would make of a pack's row. False: the pack would be gone. */
static bool pretend(enum tiering_step step, struct prospect *prospect)
{
    struct index_pack *pack = &prospect->pack;
    switch (step) {
    case TIERING_SEAL:
        pack->state = INDEX_PACK_SEALED;
        pack->sealed_ms = prospect->facts.now_ms;
        pack->file_bytes = prospect->live_bytes;
        pack->records = prospect->records;
        return true;
    case TIERING_SHARE:
        pack->flags |= INDEX_PACK_SHARED;
        return true;
    case TIERING_COMPACT: /* in the name of the old pack: that of the new one is not known */
        pack->flags = INDEX_PACK_SHARED |
                      (pack->state == INDEX_PACK_COLD ? (uint32_t)INDEX_PACK_WAS_COLD
                                                      : pack->flags & INDEX_PACK_WAS_COLD);
        pack->state = INDEX_PACK_SEALED;
        pack->file_bytes = prospect->live_bytes;
        pack->records = (uint32_t)prospect->facts.live_records;
        pack->attempt = (struct jini_id){{0}};
        pack->archived_ms = 0;
        return true;
    case TIERING_ARCHIVE:
        pack->state = INDEX_PACK_ARCHIVED;
        pack->attempt = (struct jini_id){{0}};
        pack->archived_ms = prospect->facts.now_ms;
        return true;
    case TIERING_FREE:
        pack->state = INDEX_PACK_COLD;
        return true;
    case TIERING_PURGE_BEGIN:
        pack->state = INDEX_PACK_PURGING;
        return true;
    default:
        return false;
    }
}

int tiering_foresee(struct tiering_run *run, const struct jini_id *id, struct jini_error *error)
{
    struct prospect prospect = {0};
    char reason[TIERING_REASON_MAX];
    bool due;
    int status = look_ahead(run, id, &prospect, &due);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    for (int i = 0; due && i < TIERING_STEPS_MAX; i++) {
        enum tiering_step step = tiering_decide(&prospect.facts, &run->policy, reason);
        if (step == TIERING_NOTHING)
            return 0;
        tiering_report_step(run, step, &prospect.pack, prospect.facts.live_images,
                            tiering_step_bytes(step, &prospect.pack, prospect.live_bytes), reason);
        due = pretend(step, &prospect);
    }
    return 0;
}
