/*
 * Rows of CONTENT against the records that they name; rows of ORPHANS against the rows of packs.
 *
 * A row of CONTENT may name a record that no image has any more; what it says is then compared with
 * the footer of the pack. One whose pack is gone, or has no local file, counts for nothing.
 */
#include "engine/verify_private.h"

#include "base/alloc.h"
#include "images/pack_files.h"
#include "images/pack_footer.h"

#include <stdlib.h>

static void report_content(struct verifying *v, const struct index_content *content,
                           const char *kind, const char *field, const char *what)
{
    const struct verify_place place = {.kind = kind, .field = field, .pack = &content->pack};
    verify_problem(v, &place, "%s: the row for %llu bytes names record %u of the pack, %s", field,
                   (unsigned long long)content->length, content->sequence, what);
}

static void compare(struct verifying *v, const struct index_content *content, uint64_t length,
                    const struct hash128 *hash)
{
    if (length != content->length)
        report_content(v, content, "content_differs_from_record", "length",
                       "which has another length");
    else if (!hash128_equal(hash, &content->hash))
        report_content(v, content, "content_differs_from_record", "hash",
                       "which has another checksum");
}

/* Reads the row again, as it is now. JINI_E_NOT_FOUND: it is gone, or names something else. */
static int get_again(struct store_txn *txn, const struct index_content *content)
{
    struct index_content found = *content;
    int status = index_content_get(txn, &found);
    bool same = id_equal(&found.pack, &content->pack) && found.sequence == content->sequence;
    return status || same ? status : JINI_E_NOT_FOUND;
}

static bool has_file(const struct index_pack *pack)
{
    return pack->state >= INDEX_PACK_SEALED && pack->state <= INDEX_PACK_ARCHIVED;
}

/* `*to_file`: no image has the record; its pack's file has to tell. */
static int check_content(struct verifying *v, struct store_txn *txn,
                         const struct index_content *content, bool *to_file)
{
    struct index_location location;
    struct index_pack pack;
    int status = get_again(txn, content);
    if (status == 0)
        status = index_pack_get(txn, &content->pack, &pack);
    if (status || pack.state == INDEX_PACK_PURGING)
        return status;
    if (pack.tier_group != content->tier_group || pack.expiry_day != content->expiry_day)
        report_content(v, content, "content_of_another_class", "class",
                       "which is of another class");
    status = index_location_of_record(txn, &content->pack, content->sequence, &location);
    if (status == 0)
        compare(v, content, location.original_length, &location.original_hash);
    *to_file = status == JINI_E_NOT_FOUND && has_file(&pack);
    return status;
}

/* ---- Rows that the files of their packs have to tell of ---- */

/*
 * Rows come in the order of their hashes, and reading a footer for each would take rows times
 * records. So many of them are collected and gone through pack by pack.
 */
enum { WAITING_MAX = 4096 };

struct shared_run {
    struct verifying *v;
    uint64_t rows;
    size_t waiting_count;
    struct index_content *waiting; /* WAITING_MAX of them */
};

static int by_record(const void *left, const void *right)
{
    const struct index_content *a = left;
    const struct index_content *b = right;
    int order = jini_id_compare(&a->pack, &b->pack);
    return order ? order : (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* True when nothing has changed since the row was read. */
static bool still_holds(struct verifying *v, const struct index_content *content,
                        const struct index_pack *pack)
{
    struct store_txn *txn;
    if (verify_pack_changed(v, pack) || verify_snapshot(v, &txn) != 0)
        return false;
    int status = get_again(txn, content);
    verify_snapshot_end(v, txn);
    return status == 0;
}

/* Both are in the order of the records. */
static int compare_with_footer(struct verifying *v, const struct index_content *rows, size_t count,
                               const struct index_pack *pack, const struct pack_contents *contents)
{
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (verify_cancelled(v))
            return JINI_E_CANCELLED;
        while (at < contents->count && contents->entries[at].sequence < rows[i].sequence)
            at++;
        if (!still_holds(v, &rows[i], pack))
            continue;
        const struct pack_entry *entry = &contents->entries[at];
        if (at < contents->count && entry->sequence == rows[i].sequence)
            compare(v, &rows[i], entry->original_length, &entry->original_hash);
        else
            report_content(v, &rows[i], "content_without_record", "sequence",
                           "which the pack does not have");
    }
    return 0;
}

/* The rows of one pack. A file that cannot be read, and its footer, are told of elsewhere. */
static int check_file(struct verifying *v, const struct index_content *rows, size_t count)
{
    const struct pack_source *source;
    struct pack_contents contents;
    struct index_pack pack;
    struct store_txn *txn;
    int status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, &rows->pack, &pack);
    verify_snapshot_end(v, txn);
    if (status || !has_file(&pack))
        return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
    status = pack_files_acquire(v->jini->pack_files, &pack.id, &source, NULL);
    if (status)
        return status == JINI_E_NO_MEMORY ? status : 0;
    status = pack_contents_read(source, &contents, NULL);
    pack_files_release(v->jini->pack_files, source);
    if (status)
        return status == JINI_E_NO_MEMORY ? status : 0;
    status = compare_with_footer(v, rows, count, &pack, &contents);
    pack_contents_free(&contents);
    return status;
}

static int check_waiting(struct shared_run *run)
{
    struct index_content *rows = run->waiting;
    size_t left = run->waiting_count;
    int status = 0;
    qsort(rows, left, sizeof(*rows), by_record);
    run->waiting_count = 0;
    while (status == 0 && left > 0) {
        size_t count = 1;
        while (count < left && id_equal(&rows[count].pack, &rows->pack))
            count++;
        status = check_file(run->v, rows, count);
        rows += count;
        left -= count;
    }
    return status;
}

static int await_file(struct shared_run *run, const struct index_content *content)
{
    run->waiting[run->waiting_count++] = *content;
    return run->waiting_count == WAITING_MAX ? check_waiting(run) : 0;
}

/* ---- Content ---- */

static int begin_row(struct shared_run *run)
{
    if (verify_cancelled(run->v))
        return JINI_E_CANCELLED;
    if (run->rows++ % VERIFY_PROGRESS_EVERY == 0)
        verify_progress(run->v, run->rows);
    return 0;
}

static void report_no_row(struct verifying *v, const char *kind, struct slice key,
                          struct slice value)
{
    const struct verify_place place = {.kind = kind, .field = "row"};
    verify_problem(v, &place,
                   "row: a key of %zu bytes and a value of %zu that are none of this space",
                   key.length, value.length);
}

static int visit_content(void *context, struct slice key, struct slice value)
{
    struct shared_run *run = context;
    struct verifying *v = run->v;
    struct index_content content;
    struct store_txn *txn;
    bool to_file = false;
    int status = begin_row(run);
    if (status)
        return status;
    if (index_content_read(key, value, &content) != 0) {
        report_no_row(v, "content_damaged", key, value);
        return 0;
    }
    status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = check_content(v, txn, &content, &to_file);
    verify_snapshot_end(v, txn);
    if (to_file && !v->rows_only)
        return await_file(run, &content);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

static int verify_content(struct verifying *v)
{
    struct shared_run run = {.v = v, .waiting = base_malloc(WAITING_MAX * sizeof(*run.waiting))};
    if (!run.waiting)
        return JINI_E_NO_MEMORY;
    verify_phase(v, "content", STORE_SPACE_CONTENT);
    int status = verify_each(v, STORE_SPACE_CONTENT, visit_content, &run);
    if (status == 0)
        status = check_waiting(&run);
    base_free(run.waiting);
    return status;
}

/* ---- Orphans ---- */

/* An object that is to be deleted must be nobody's. */
static int check_orphan(struct verifying *v, struct store_txn *txn,
                        const struct index_orphan *orphan, struct slice key)
{
    struct index_pack pack;
    int status = store_has(txn, STORE_SPACE_ORPHANS, key);
    if (status == 0)
        status = index_pack_get(txn, &orphan->pack, &pack);
    if (status || !id_equal(&pack.attempt, &orphan->attempt))
        return status;
    const struct verify_place place = {
        .kind = "orphan_of_a_pack", .field = "attempt", .pack = &orphan->pack};
    verify_problem(v, &place, "attempt: the object of the pack is down to be deleted");
    return 0;
}

static int visit_orphan(void *context, struct slice key, struct slice value)
{
    struct shared_run *run = context;
    struct verifying *v = run->v;
    struct index_orphan orphan;
    struct store_txn *txn;
    int status = begin_row(run);
    if (status)
        return status;
    if (index_orphan_read(key, value, &orphan) != 0) {
        report_no_row(v, "orphan_damaged", key, value);
        return 0;
    }
    status = verify_snapshot(v, &txn);
    if (status)
        return status;
    status = check_orphan(v, txn, &orphan, key);
    verify_snapshot_end(v, txn);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int verify_shared(struct verifying *v)
{
    struct shared_run orphans = {.v = v};
    int status = verify_content(v);
    if (status)
        return status;
    verify_phase(v, "orphans", STORE_SPACE_ORPHANS);
    return verify_each(v, STORE_SPACE_ORPHANS, visit_orphan, &orphans);
}
