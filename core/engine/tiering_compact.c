/*
 * Rewriting packs: what lives in one pack, or in several small ones of a class, moves to a new
 * pack.
 *
 *   (1) create the new file; row: OPEN, so that a crash leaves no file that the index does not know
 *   (2) for each slice: append, sync, read back from the disk, then one transaction that adds the
 *       new locations and takes the old ones away
 *   (3) seal, read the footer back, row: SEALED, and the old packs without images: PURGING
 *
 * The new pack's row has no owner, so that after a crash the next run seals it as it is; both packs
 * then hold a part of the images. A slice that does not read back, or whose transaction fails, is
 * cut off again, and its images stay where they are.
 *
 * Records that do not hold would keep their old pack, and in it what was purged. They are moved
 * too, byte for byte, to a second new pack, which stays local: see tiering_record_damaged().
 */
#include "engine/tiering_private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "images/pack_file.h"
#include "images/pack_footer.h"
#include "images/pack_path.h"

#include <stdio.h>

enum kind { WHOLE, DAMAGED };

/* A record of the old pack and its place in the new one. */
struct moved {
    struct index_location from;
    struct index_location to;
    bool shares; /* the record of the one before it */
    bool damaged;
    struct hash128 body; /* of a damaged one */
};

struct compaction {
    struct tiering_run *run;
    enum kind kind; /* of the records that it takes */
    struct index_pack row;
    struct pack_file *file;
    bool has_row;
    bool has_images;
    bool may_have_images; /* a commit of unknown fate: row and file stay */

    /* Of the pack that is being copied. */
    bool any_moved;
    struct moved last; /* moved */
    bool any_left;
    uint32_t last_left; /* sequence of the last record that was passed over */
    uint64_t left;      /* images of such records */
    uint64_t damaged;   /* images that were moved with a damaged record */
    struct jini_id first_damaged;
};

struct move_slice {
    struct compaction *compaction;
    size_t count;
    struct moved moved[TIERING_SLICE];
};

/* ---- Copying ---- */

static int append(struct compaction *compaction, const struct index_pack *pack,
                  const struct index_location *from, struct moved *out, struct jini_error *error)
{
    struct pack_copy copy;
    const struct tiering_run *run = compaction->run;
    int status = compaction->kind == WHOLE ? tiering_record_read(run, pack, from, &copy, error)
                                           : tiering_record_damaged(run, pack, from, &copy, error);
    if (status)
        return status;
    struct pack_prepared *record = &copy.prepared;
    size_t appended;
    status = pack_file_append(compaction->file, &record, 1, &appended, error);
    *out = (struct moved){.from = *from, .to = *from, .damaged = copy.damaged, .body = copy.body};
    out->to.pack = compaction->row.id;
    out->to.sequence = record->record.sequence;
    out->to.offset = record->offset;
    pack_copy_free(&copy);
    return pack_file_failed(status, error);
}

int tiering_move_location(struct store_txn *txn, const struct index_location *from,
                          const struct index_location *to)
{
    struct generations_image image;
    int status = generations_image_get(txn, &from->image, &image, NULL);
    bool readable = status != JINI_E_CORRUPT && status != JINI_E_FORMAT;
    if (status && readable)
        return status;
    image.place.pack_id = to->pack;
    image.place.pack_sequence = to->sequence;
    status = readable ? generations_image_update(txn, &from->image, &image.place, NULL) : 0;
    if (status == 0)
        status = index_location_delete(txn, from);
    return status ? status : index_location_put(txn, to);
}

static int move_one(struct store_txn *txn, const struct move_slice *slice,
                    const struct moved *moved)
{
    struct index_location found;
    const struct index_location *from = &moved->from;
    int status = index_location_get(txn, &from->pack, from->sequence, &from->image, &found);
    if (status == JINI_E_NOT_FOUND)
        return 0; /* purged meanwhile */
    if (status == 0)
        status = tiering_move_location(txn, from, &moved->to);
    if (status || moved->damaged)
        return status;
    struct index_content content = {
        .tier_group = slice->compaction->row.tier_group,
        .expiry_day = slice->compaction->row.expiry_day,
        .length = from->original_length,
        .hash = from->original_hash,
        .pack = moved->to.pack,
        .sequence = moved->to.sequence,
    };
    return index_content_put(txn, &content);
}

static int op_move(struct store_txn *txn, void *argument)
{
    const struct move_slice *slice = argument;
    struct index_pack found;
    int status = index_pack_get(txn, &slice->compaction->row.id, &found);
    if (status == JINI_E_NOT_FOUND || (status == 0 && found.state != INDEX_PACK_OPEN))
        return JINI_E_CONFLICT;
    if (status == 0 && found.flags != slice->compaction->row.flags)
        status = index_pack_put(txn, &slice->compaction->row);
    if (status)
        return status;
    for (size_t i = 0; i < slice->count; i++) {
        status = move_one(txn, slice, &slice->moved[i]);
        if (status)
            return status;
    }
    return index_pack_note_removal(txn, &slice->moved[0].from.pack, 0);
}

static void pass_over(struct compaction *compaction, uint32_t sequence)
{
    compaction->left++;
    compaction->any_left = true;
    compaction->last_left = sequence;
}

/* Several images that share a record go on sharing it, also over the end of a page. */
static int append_page(struct compaction *compaction, const struct index_pack *pack,
                       const struct index_location *page, size_t count, struct move_slice *slice,
                       struct jini_error *error)
{
    slice->compaction = compaction;
    slice->count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct index_location *from = &page[i];
        struct moved *moved = &slice->moved[slice->count];
        const struct moved *before = slice->count > 0        ? moved - 1
                                     : compaction->any_moved ? &compaction->last
                                                             : NULL;
        if (compaction->any_left && compaction->last_left == from->sequence) {
            compaction->left++;
            continue;
        }
        if (before && before->from.sequence == from->sequence) {
            *moved = *before;
            moved->from = *from;
            moved->to.image = from->image;
            moved->shares = true;
            slice->count++;
            continue;
        }
        int status = append(compaction, pack, from, moved, error);
        if (status == JINI_E_CORRUPT && compaction->kind == WHOLE)
            pass_over(compaction, from->sequence);
        else if (status)
            return status;
        else
            slice->count++;
    }
    return 0;
}

/* The header of the new pack from the disk: with a damaged one it could never be archived. */
static int check_header(const struct compaction *compaction, struct jini_error *error)
{
    struct pack_files *files = compaction->run->jini->pack_files;
    const struct jini_id *pack = &compaction->row.id;
    const struct pack_source *source;
    uint8_t bytes[PACK_HEADER_BYTES];
    struct pack_header header;
    int status = pack_files_acquire(files, pack, &source, error);
    if (status)
        return status;
    pack_source_forget(source, 0, sizeof(bytes));
    status = pack_source_read(source, 0, bytes, sizeof(bytes), error);
    pack_files_release(files, source);
    return status ? status
                  : pack_header_decode(slice_of(bytes, sizeof(bytes)), pack, &header, error);
}

/* Makes the slice durable, and sure that it is there. */
static int settle_slice(const struct compaction *compaction, const struct move_slice *slice,
                        struct jini_error *error)
{
    int status = pack_file_failed(pack_file_sync(compaction->file, NULL, error), error);
    if (status == 0 && !compaction->has_images)
        status = check_header(compaction, error);
    for (size_t i = 0; status == 0 && i < slice->count; i++) {
        const struct moved *moved = &slice->moved[i];
        if (!moved->shares)
            status = tiering_record_check(compaction->run, &moved->to,
                                          moved->damaged ? &moved->body : NULL, error);
    }
    if (status != JINI_E_CORRUPT)
        return status;
    struct jini_error found = *error;
    return error_set(error, JINI_E_IO, "pack",
                     "what was copied to a new pack does not read back; its images stay where they "
                     "are: %s",
                     found.message);
}

static int move_slice(struct compaction *compaction, struct move_slice *slice,
                      struct jini_error *error)
{
    uint64_t damaged = 0;
    struct jini_id first = compaction->first_damaged;
    for (size_t i = 0; i < slice->count; i++) {
        if (slice->moved[i].damaged && compaction->damaged + damaged++ == 0)
            first = slice->moved[i].from.image;
    }
    if (damaged > 0)
        compaction->row.flags |= INDEX_PACK_HAS_DAMAGE;
    int status = tiering_write(compaction->run, op_move, slice);
    compaction->may_have_images |= status == JINI_E_POISONED;
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    compaction->has_images = true;
    compaction->damaged += damaged;
    compaction->first_damaged = first;
    compaction->any_moved = true;
    compaction->last = slice->moved[slice->count - 1];
    return 0;
}

static int copy_page(struct compaction *compaction, const struct index_pack *pack,
                     const struct index_location *page, size_t count, struct move_slice *slice,
                     struct jini_error *error)
{
    uint32_t records = pack_file_records(compaction->file);
    int status = append_page(compaction, pack, page, count, slice, error);
    if (status == 0 && slice->count > 0)
        status = settle_slice(compaction, slice, error);
    if (status == 0 && slice->count > 0)
        status = move_slice(compaction, slice, error);
    /* Else it stays for ever. If it cannot be cut off, the run that seals the pack counts it. */
    if (status && !compaction->may_have_images)
        pack_file_cut(compaction->file, records, NULL);
    return status;
}

static int copy_pages(struct compaction *compaction, const struct index_pack *pack,
                      struct index_location *page, struct move_slice *slice,
                      struct jini_error *error)
{
    struct tiering_run *run = compaction->run;
    struct index_location last;
    bool any = false;
    for (;;) {
        size_t count;
        if (tiering_must_end(run))
            return JINI_E_CANCELLED;
        int status = tiering_load_locations(run, &pack->id, any ? &last : NULL, page, &count);
        if (status || count == 0)
            return status;
        last = page[count - 1];
        any = true;
        status = copy_page(compaction, pack, page, count, slice, error);
        if (status == 0)
            status = lease_renew(&run->lease);
        if (status)
            return status;
    }
}

static int copy_pack(struct compaction *compaction, const struct index_pack *pack,
                     struct jini_error *error)
{
    struct index_location *page = base_malloc(sizeof(*page) * TIERING_SLICE);
    struct move_slice *slice = base_malloc(sizeof(*slice));
    int status = page && slice ? 0 : error_set(error, JINI_E_NO_MEMORY, "pack", "out of memory");
    compaction->any_moved = false;
    compaction->any_left = false;
    compaction->left = 0;
    compaction->damaged = 0;
    if (status == 0)
        status = copy_pages(compaction, pack, page, slice, error);
    base_free(slice);
    base_free(page);
    if (status && error->code != status)
        error_set(error, status, "pack", "%s", jini_status_text(status));
    return status;
}

/* ---- Beginning and end ---- */

static int op_begin(struct store_txn *txn, void *argument)
{
    return index_pack_put(txn, argument);
}

static int create_file(struct compaction *compaction, const struct pack_header *header,
                       struct jini_error *error)
{
    struct tiering_run *run = compaction->run;
    run->packs_made++;
    int status = pack_file_create(run->jini->directory_fd, header, &compaction->file, error);
    if (status)
        return status;
    status = tiering_write(run, op_begin, &compaction->row);
    compaction->has_row = status == 0 || status == JINI_E_POISONED;
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

/*
 * A pack of the class of `packs`. What is true of all of them is true of it: that their duplicates
 * have been looked for, or that they were cold. It is as old as the oldest of them, so that
 * rewriting puts off neither archiving nor freeing.
 */
static int create(struct compaction *compaction, const struct index_pack *packs, size_t count,
                  struct jini_error *error)
{
    struct jini *jini = compaction->run->jini;
    uint64_t now_ns = clock_wall_ns(jini->clock);
    const struct index_pack *like = &packs[0];
    uint32_t flags = INDEX_PACK_SHARED | INDEX_PACK_WAS_COLD;
    uint64_t sealed_ms = like->sealed_ms;
    for (size_t i = 0; i < count; i++) {
        flags &= packs[i].flags | (packs[i].state == INDEX_PACK_COLD ? INDEX_PACK_WAS_COLD : 0);
        sealed_ms = packs[i].sealed_ms < sealed_ms ? packs[i].sealed_ms : sealed_ms;
    }
    if (compaction->kind == DAMAGED)
        flags = INDEX_PACK_SHARED;
    compaction->row = (struct index_pack){
        .id = id_next(&jini->ids),
        .state = INDEX_PACK_OPEN,
        .flags = flags,
        .tier_group = like->tier_group,
        .expiry_day = like->expiry_day,
        .owner = {UINT32_MAX, 0},
        .created_ms = now_ns / NS_PER_MS,
        .sealed_ms = sealed_ms,
    };
    struct pack_header header = {
        .pack = compaction->row.id,
        .instance = jini->instance,
        .created_ns = now_ns,
        .tier_group = like->tier_group,
        .expiry_day = like->expiry_day,
    };
    return create_file(compaction, &header, error);
}

/*
 * The footer from the disk: without it the pack could not be archived, and nothing else tells of
 * its records.
 */
static int check_footer(const struct compaction *compaction, const struct index_pack *row,
                        struct jini_error *error)
{
    struct pack_files *files = compaction->run->jini->pack_files;
    const struct pack_source *source;
    struct pack_contents contents;
    int status = pack_files_acquire(files, &row->id, &source, error);
    if (status)
        return status;
    pack_source_forget(source, row->payload_bytes, row->file_bytes - row->payload_bytes);
    status = pack_contents_read(source, &contents, error);
    pack_files_release(files, source);
    if (status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT)
        return error_set(error, JINI_E_IO, "pack",
                         "the footer of a new pack does not read back; the next run seals it anew");
    if (status == 0)
        pack_contents_free(&contents);
    return status;
}

static int seal(struct compaction *compaction, struct jini_error *error)
{
    struct index_pack row = compaction->row;
    row.records = pack_file_records(compaction->file);
    row.payload_bytes = pack_file_end(compaction->file);
    row.file_bytes = row.payload_bytes + pack_footer_length(row.records) + PACK_TRAILER_BYTES;
    int status = pack_file_failed(pack_file_seal(compaction->file, error), error);
    if (status == 0)
        status = check_footer(compaction, &row, error);
    if (status)
        return status;
    row.state = INDEX_PACK_SEALED;
    status = tiering_change_pack(compaction->run, &row, INDEX_PACK_OPEN);
    return status ? error_set(error, status, "pack", "%s", jini_status_text(status)) : 0;
}

static int op_take_back(struct store_txn *txn, void *argument)
{
    const struct compaction *compaction = argument;
    struct index_location any;
    int status = index_location_last(txn, &compaction->row.id, &any);
    if (status != JINI_E_NOT_FOUND)
        return status ? status : JINI_E_CONFLICT;
    return index_pack_delete(txn, &compaction->row.id);
}

/* A pack that nothing was moved to. If its row cannot be taken back, a later run purges it. */
static void take_back(struct compaction *compaction)
{
    struct jini *jini = compaction->run->jini;
    if (compaction->has_row && tiering_write(compaction->run, op_take_back, compaction) != 0)
        return;
    pack_path_remove(jini->directory_fd, &compaction->row.id, NULL);
    pack_files_forget(jini->pack_files, &compaction->row.id);
}

static int end(struct compaction *compaction, int status, struct jini_error *error)
{
    struct jini_error seal_error;
    int sealed = compaction->has_images ? seal(compaction, &seal_error) : 0;
    if (status == 0 && sealed) {
        *error = seal_error;
        status = sealed;
    }
    pack_file_close(compaction->file);
    if (!compaction->has_images && !compaction->may_have_images && compaction->file)
        take_back(compaction);
    return status;
}

/* The packs that are rewritten, and how many images of each were passed over. */
struct sources {
    const struct index_pack *packs;
    size_t count;
    uint64_t left[TIERING_SOURCES_MAX];
};

/* Several are rewritten together: one that cannot be holds up no other. */
static int source_failed(struct tiering_run *run, struct sources *sources, size_t index, int status,
                         const struct jini_error *error)
{
    sources->left[index] = 0;
    if (sources->count == 1 || tiering_ends_run(status))
        return status;
    tiering_note_failure(run, &sources->packs[index].id, status, error);
    return 0;
}

static int move_whole(struct tiering_run *run, struct sources *sources, struct jini_error *error)
{
    struct compaction compaction = {.run = run, .kind = WHOLE};
    int status = create(&compaction, sources->packs, sources->count, error);
    for (size_t i = 0; status == 0 && i < sources->count; i++) {
        status = copy_pack(&compaction, &sources->packs[i], error);
        sources->left[i] = compaction.left;
        if (status)
            status = source_failed(run, sources, i, status, error);
    }
    return end(&compaction, status, error);
}

static void note_damage(const struct compaction *compaction, const struct jini_id *source)
{
    struct jini_error error;
    char id[JINI_ID_TEXT_MAX];
    char image[JINI_ID_TEXT_MAX];
    char others[48] = "";
    jini_id_format(&compaction->row.id, id);
    jini_id_format(&compaction->first_damaged, image);
    if (compaction->damaged > 1)
        snprintf(others, sizeof(others), ", and %llu more like it",
                 (unsigned long long)compaction->damaged - 1);
    error_set(&error, JINI_E_CORRUPT, "pack",
              "image %s is damaged%s; what is left was put apart as it is, into pack %s", image,
              others, id);
    tiering_note_problem(compaction->run, source, JINI_E_CORRUPT, &error);
}

static int move_damaged(struct tiering_run *run, struct sources *sources, struct jini_error *error)
{
    struct compaction compaction = {.run = run, .kind = DAMAGED};
    int status = create(&compaction, sources->packs, sources->count, error);
    for (size_t i = 0; status == 0 && i < sources->count; i++) {
        if (sources->left[i] == 0)
            continue;
        status = copy_pack(&compaction, &sources->packs[i], error);
        if (status)
            status = source_failed(run, sources, i, status, error);
        if (compaction.damaged > 0)
            note_damage(&compaction, &sources->packs[i].id);
    }
    return end(&compaction, status, error);
}

int tiering_compact(struct tiering_run *run, const struct index_pack *packs, size_t count,
                    struct jini_error *error)
{
    struct sources sources = {.packs = packs, .count = count};
    uint64_t left = 0;
    JINI_ASSERT(count <= TIERING_SOURCES_MAX);
    int status = move_whole(run, &sources, error);
    for (size_t i = 0; i < count; i++)
        left += sources.left[i];
    return status == 0 && left > 0 ? move_damaged(run, &sources, error) : status;
}
