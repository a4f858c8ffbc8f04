/*
 * Packs whose file is gone, or shorter than the index knows it: where a whole copy lies elsewhere,
 * they are taken back.
 *
 *   in packs/lost: the file is moved back; the row stays as it is
 *   in the archive, under any attempt:
 *       (1) GET to a file without a name; check every byte, and that each image is where the index
 *           means --> (2) row: COLD, with this attempt --> (3) a cut file goes
 *
 * After an older data.mdb was put back, or a disk has lost files, the row says SEALED or OPEN, and
 * the archive has the object of a later state. No name of an object has two packs, and no pack two
 * contents: an object of this pack id that holds, with all that the row's images name, is the pack.
 */
#include "engine/tiering_private.h"

#include "base/error.h"
#include "engine/regain.h"
#include "images/pack_footer.h"
#include "images/pack_lost.h"
#include "images/pack_path.h"
#include "images/pack_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEMPORARY_MODE = 0600 };

/* An object that may be the pack. */
struct candidate {
    struct archive_request request;
    struct tiering_run *run;
    struct index_pack pack; /* the row as it would be */
    struct hash_stream *hash;
    int fd; /* a file without a name */
    uint64_t length;
    struct jini_error write_error;
};

/* ---- How much is there ---- */

/* The length that the index knows the file to have, at least. */
static int needed_bytes(struct jini *jini, const struct index_pack *pack, uint64_t *out)
{
    struct store_txn *txn;
    struct index_location last;
    *out = pack->file_bytes;
    if (pack->state != INDEX_PACK_OPEN)
        return 0;
    *out = 0;
    int status = store_read_begin(jini->store, &txn);
    if (status)
        return status;
    status = index_location_last(txn, &pack->id, &last);
    store_read_end(txn);
    if (status == 0)
        *out = last.offset + pack_record_length(last.stored_length, last.metadata_stored_length);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

int regain_is_cut(struct jini *jini, const struct index_pack *pack, bool *out)
{
    uint64_t needed;
    uint64_t bytes;
    *out = false;
    if (pack->state < INDEX_PACK_OPEN || pack->state > INDEX_PACK_ARCHIVED)
        return 0;
    int status = needed_bytes(jini, pack, &needed);
    if (status)
        return status;
    status = pack_path_bytes(jini->directory_fd, &pack->id, &bytes, NULL);
    *out = (status == 0 || status == JINI_E_NOT_FOUND) && bytes < needed;
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

/* ---- From packs/lost ---- */

bool regain_is_set_aside(struct jini *jini, const struct index_pack *pack)
{
    struct pack_lost lost;
    uint64_t needed;
    return needed_bytes(jini, pack, &needed) == 0 &&
           pack_lost_find(jini->directory_fd, &pack->id, &lost, NULL) == 0 && lost.bytes >= needed;
}

static int take_lost(struct tiering_run *run, const struct index_pack *pack,
                     struct jini_error *error)
{
    int status = pack_lost_take(run->jini->directory_fd, &pack->id, error);
    if (status == 0)
        pack_files_forget(run->jini->pack_files, &pack->id);
    return status;
}

/* ---- From the archive ---- */

static int add_piece(struct archive_request *request, struct slice piece)
{
    struct candidate *candidate = (struct candidate *)request;
    const uint8_t *bytes = piece.data;
    hash_stream_add(candidate->hash, piece);
    for (size_t at = 0; at < piece.length;) {
        ssize_t written =
            pwrite(candidate->fd, bytes + at, piece.length - at, (off_t)(candidate->length + at));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_set_errno(&candidate->write_error, errno, "pack",
                                   "cannot write an object to be checked");
        at += (size_t)written;
    }
    candidate->length += piece.length;
    return 0;
}

static int fetch(struct candidate *candidate, struct jini_error *error)
{
    struct jini *jini = candidate->run->jini;
    char name[INDEX_OBJECT_NAME_MAX];
    index_object_name(&candidate->pack, name);
    struct archive_request head = {.operation = ARCHIVE_HEAD,
                                   .name = slice_of_text(name),
                                   .deadline_ns = archives_deadline(jini, 0)};
    int status = tiering_ask(candidate->run, &head, error);
    if (status)
        return status;
    candidate->request =
        (struct archive_request){.operation = ARCHIVE_GET,
                                 .name = slice_of_text(name),
                                 .deadline_ns = archives_deadline(jini, head.size),
                                 .get = {.length = ARCHIVE_TO_END, .sink = add_piece}};
    status = tiering_ask(candidate->run, &candidate->request, error);
    if (candidate->write_error.code)
        *error = candidate->write_error;
    return candidate->write_error.code ? candidate->write_error.code : status;
}

static int by_sequence(const void *key, const void *member)
{
    const uint32_t *sequence = key;
    const struct pack_entry *entry = member;
    return (*sequence > entry->sequence) - (*sequence < entry->sequence);
}

/* Whether each image of the index is in the object, at the place that the index means. */
static int check_images(const struct candidate *candidate, const struct pack_contents *contents,
                        struct jini_error *error)
{
    struct index_location page[TIERING_SLICE];
    struct index_location last;
    bool any = false;
    size_t count;
    do {
        int status = tiering_load_locations(candidate->run, &candidate->pack.id, any ? &last : NULL,
                                            page, &count);
        if (status)
            return status;
        for (size_t i = 0; i < count; i++) {
            const struct index_location *location = &page[i];
            const struct pack_entry *entry =
                bsearch(&location->sequence, contents->entries, contents->count,
                        sizeof(*contents->entries), by_sequence);
            if (!entry || entry->offset != location->offset ||
                entry->stored_length != location->stored_length ||
                !hash128_equal(&entry->original_hash, &location->original_hash))
                return error_set(error, JINI_E_CORRUPT, "archive",
                                 "an object of the pack does not have all of its images");
            last = *location;
            any = true;
        }
    } while (count == TIERING_SLICE);
    return 0;
}

/* Every byte of what was fetched; what it tells of itself is what the row will say. */
static int check(struct candidate *candidate, struct pack_contents *contents,
                 struct jini_error *error)
{
    struct index_pack *pack = &candidate->pack;
    struct pack_source source = pack_source_of_file(&pack->id, candidate->fd);
    struct pack_scan_options options = {.depth = PACK_SCAN_EVERYTHING,
                                        .expected = PACK_STATE_SEALED};
    struct pack_scan_result result;
    int status = pack_scan(&source, &options, NULL, NULL, &result, error);
    if (status == 0 && (result.damaged > 0 || !result.sealed))
        status = error_set(error, JINI_E_CORRUPT, "archive", "an object of the pack is damaged");
    if (status == 0)
        status = pack_contents_read(&source, contents, error);
    if (status)
        return status == JINI_E_NOT_FOUND ? JINI_E_CORRUPT : status;
    status = check_images(candidate, contents, error);
    uint64_t now_ms = clock_wall_ns(candidate->run->jini->clock) / NS_PER_MS;
    pack->file_bytes = candidate->length;
    pack->records = contents->count;
    pack->payload_bytes = result.payload_bytes;
    pack->object_hash = hash_stream_128(candidate->hash);
    pack->archived_ms = now_ms;
    if (pack->sealed_ms == 0)
        pack->sealed_ms = now_ms;
    if (status)
        pack_contents_free(contents);
    return status;
}

struct adoption {
    const struct index_pack *pack;
    enum index_pack_state from;
    uint64_t now_ms;
};

/* An attempt that a row names again is not to be deleted. */
static int forget_orphan(struct store_txn *txn, const struct index_pack *pack)
{
    struct index_orphan orphan;
    int status = index_orphan_find(txn, &pack->attempt, &orphan);
    if (status == 0)
        status = index_orphan_delete(txn, &orphan);
    return status == JINI_E_NOT_FOUND ? 0 : status;
}

static int op_adopt(struct store_txn *txn, void *argument)
{
    const struct adoption *adoption = argument;
    struct index_pack adopted = *adoption->pack;
    struct index_pack found;
    int status = index_pack_get(txn, &adopted.id, &found);
    if (status)
        return status;
    if (found.state != adoption->from)
        return JINI_E_CONFLICT;
    adopted.flags |= found.flags & INDEX_PACK_MUST_COMPACT;
    adopted.removals = found.removals + 1; /* records that this index never knew are garbage */
    adopted.counted = found.counted;
    if (!id_equal(&found.attempt, &adopted.attempt))
        status = tiering_orphan(txn, &found, adoption->now_ms);
    if (status == 0)
        status = forget_orphan(txn, &adopted);
    return status ? status : index_pack_put(txn, &adopted);
}

static int adopt(struct candidate *candidate, const struct index_pack *row,
                 const struct pack_contents *contents, struct jini_error *error)
{
    struct tiering_run *run = candidate->run;
    struct index_pack *pack = &candidate->pack;
    struct tiering_facts facts = {.pack = pack};
    struct adoption adoption = {pack, row->state, clock_wall_ns(run->jini->clock) / NS_PER_MS};
    uint64_t bytes;
    int status = tiering_count_live(run, pack, &facts, &bytes);
    if (status == 0 && pack->records > facts.live_records)
        pack->flags |= INDEX_PACK_MUST_COMPACT;
    pack->state = INDEX_PACK_COLD;
    if (status == 0)
        status = tiering_forget_records(run, pack, contents, error);
    if (status == 0)
        status = tiering_write(run, op_adopt, &adoption);
    if (status)
        return error_complete(error, status, "pack", "the row of the pack");
    return tiering_remove_file(run, &(struct index_pack){.id = pack->id}, error);
}

static int try_candidate(struct candidate *candidate, const struct index_pack *row,
                         struct jini_error *error)
{
    struct pack_contents contents;
    if (ftruncate(candidate->fd, 0) != 0)
        return error_set_errno(error, errno, "pack", "cannot empty a file");
    candidate->length = 0;
    hash_stream_reset(candidate->hash);
    int status = fetch(candidate, error);
    if (status == 0)
        status = check(candidate, &contents, error);
    if (status)
        return status;
    status = adopt(candidate, row, &contents, error);
    pack_contents_free(&contents);
    return status;
}

static int note_attempt(struct archive_request *list, const struct archive_entry *entry)
{
    struct regain_attempts *attempts = list->user;
    struct jini_id pack;
    struct jini_id attempt;
    if (attempts->count < REGAIN_ATTEMPTS_MAX &&
        index_object_parse(entry->name, &pack, &attempt) == 0 && id_equal(&pack, &attempts->pack))
        attempts->ids[attempts->count++] = attempt;
    return 0;
}

int regain_list(struct jini *jini, struct jini_request *asker, const struct jini_id *pack,
                struct regain_attempts *out, struct jini_error *error)
{
    const struct index_pack any = {.id = *pack};
    char name[INDEX_OBJECT_NAME_MAX];
    *out = (struct regain_attempts){.pack = *pack};
    index_object_name(&any, name);
    name[strlen(name) - (JINI_ID_TEXT_MAX - 1) - strlen(".pack")] = '\0'; /* without an attempt */
    return archives_walk(jini, asker, slice_of_text(name), note_attempt, out, error);
}

/* What an object is to blame for: another one may do. */
static bool is_of_the_object(int status)
{
    return status == JINI_E_NOT_FOUND || status_is_damage(status);
}

/* A file that has no name and goes with its descriptor. -1 with errno. */
static int open_nameless(const struct jini *jini)
{
    int fd = openat(jini->directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, TEMPORARY_MODE);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    static const char name[] = "regained";
    fd = openat(jini->directory_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                TEMPORARY_MODE);
    if (fd >= 0)
        unlinkat(jini->directory_fd, name, 0);
    return fd;
}

/* The newest first: it was proved to be whole before the one before it was let go of. */
static int try_attempts(struct candidate *candidate, const struct index_pack *row,
                        const struct regain_attempts *attempts, struct jini_error *error)
{
    for (size_t i = attempts->count; i > 0; i--) {
        candidate->pack = *row;
        candidate->pack.attempt = attempts->ids[i - 1];
        int status = try_candidate(candidate, row, error);
        if (!is_of_the_object(status))
            return status;
    }
    return JINI_E_NOT_FOUND;
}

/* JINI_E_NOT_FOUND: the archive has no whole object of it. */
static int take_object(struct tiering_run *run, const struct index_pack *pack,
                       struct jini_error *error)
{
    struct jini *jini = run->jini;
    struct candidate candidate = {.run = run};
    struct regain_attempts attempts;
    int status = regain_list(jini, &run->request->request, &pack->id, &attempts, error);
    if (status || attempts.count == 0)
        return status ? status : JINI_E_NOT_FOUND;
    candidate.hash = hash_stream_new();
    candidate.fd = candidate.hash ? open_nameless(jini) : -1;
    if (!candidate.hash)
        status = error_set(error, JINI_E_NO_MEMORY, "archive", "out of memory");
    else if (candidate.fd < 0)
        status = error_set_errno(error, errno, "pack", "cannot make a file in the database");
    else
        status = try_attempts(&candidate, pack, &attempts, error);
    if (candidate.fd >= 0)
        close(candidate.fd);
    hash_stream_free(candidate.hash);
    return status;
}

/* ---- The pass ---- */

static void report(struct tiering_run *run, const struct jini_id *id, const char *because)
{
    struct index_pack pack;
    struct tiering_facts facts = {.pack = &pack};
    uint64_t bytes;
    char text[JINI_ID_TEXT_MAX];
    char message[160];
    jini_id_format(id, text);
    snprintf(message, sizeof(message), "the pack %s was taken back: %s", text, because);
    log_record(&run->jini->log, JINI_LOG_WARNING, "pack_regained", LOG_TEXT("pack", text),
               LOG_TEXT("message", message));
    run->request->packs_regained++;
    if (tiering_load_pack(run, id, &pack) != 0 ||
        tiering_count_live(run, &pack, &facts, &bytes) != 0)
        return;
    tiering_report(run, JINI_TIERING_REGAIN, &pack, facts.live_images,
                   pack.file_bytes ? pack.file_bytes : bytes, because);
}

int tiering_explain_lost(const struct jini_id *id, struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    pack_path(id, path);
    return error_set(error, JINI_E_CORRUPT, "pack",
                     "the file %s is gone or cut, and neither packs/lost nor the archive has a "
                     "whole copy of it; put it back from a backup, and let tiering run again "
                     "(\"jini verify\" names its images)",
                     path);
}

static int regain(struct tiering_run *run, const struct index_pack *pack, struct jini_error *error)
{
    if (regain_is_set_aside(run->jini, pack)) {
        int status = take_lost(run, pack, error);
        if (status == 0)
            report(run, &pack->id, "its file was gone or cut, and lay in packs/lost");
        return status;
    }
    int status = take_object(run, pack, error);
    if (status == 0)
        report(run, &pack->id, "its file was gone or cut, and the archive has it");
    return is_of_the_object(status) ? tiering_explain_lost(&pack->id, error) : status;
}

int tiering_regain(struct tiering_run *run, const struct index_pack *pack, void *context,
                   struct jini_error *error)
{
    (void)context;
    bool cut;
    if (pack->state == INDEX_PACK_OPEN && tiering_facts_of(run, pack).owner_alive)
        return 0; /* it is being written */
    int status = regain_is_cut(run->jini, pack, &cut);
    if (status)
        return error_set(error, status, "pack", "%s", jini_status_text(status));
    return cut ? regain(run, pack, error) : 0;
}
