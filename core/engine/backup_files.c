/*
 * Packs and objects on their way to a backup.
 *
 *     is it there, from the backup before? --yes--> kept
 *        no: from the disk, or of an archived pack from its object, to DIR/partial/file
 *            --> checked, synced --> named
 *
 * A copy that does not hold is named only where the backup has none of that name: a damaged pack
 * still has records that do, and a better copy from before is kept.
 */
#include "engine/backup_private.h"

#include "base/error.h"
#include "images/pack_files.h"
#include "images/pack_footer.h"
#include "images/pack_path.h"
#include "images/pack_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 192, DIRECTORY_MODE = 0750, FILE_MODE = 0640 };

static const char partial_file[] = "partial/file";

enum form {
    SEALED,
    OPEN,   /* up to `length`, and it may grow */
    UNKNOWN /* its row is damaged or lost: as it is */
};

/* A file that the backup is to have. */
struct wanted {
    const struct index_pack *pack;
    enum form form;
    bool is_object;
    bool has_object;           /* which has the same bytes */
    uint64_t length;           /* but for UNKNOWN */
    char name[NAME_MAX_BYTES]; /* below the directory of the backup */
    char object[INDEX_OBJECT_NAME_MAX];
};

/* The copy that is being written. */
struct copy {
    struct archive_request request; /* of an object */
    struct backup *backup;
    int fd;
    uint64_t offset;
    int target_status; /* of the backup's own disk: no other source will do */
    struct jini_error target_error;
};

bool backup_wants_file(const struct index_pack *pack)
{
    return pack->state != INDEX_PACK_COLD && pack->state != INDEX_PACK_PURGING;
}

bool backup_wants_object(const struct index_pack *pack)
{
    return pack->state == INDEX_PACK_ARCHIVED || pack->state == INDEX_PACK_COLD;
}

/* ---- What is wanted ---- */

/* The end of the last record of a pack that the copied records name; 0: there is none. */
static int named_end(const struct backup *backup, const struct jini_id *pack, uint64_t *out)
{
    struct store_txn *txn;
    struct index_location last;
    *out = 0;
    int status = store_read_begin(backup->records, &txn);
    if (status)
        return status;
    status = index_location_last(txn, pack, &last);
    store_read_end(txn);
    if (status == 0)
        *out = last.offset + pack_record_length(last.stored_length, last.metadata_stored_length);
    return status == JINI_E_NOT_FOUND || status_is_damage(status) ? 0 : status;
}

static int want_file(const struct backup *backup, const struct index_pack *pack, struct wanted *out)
{
    *out = (struct wanted){.pack = pack,
                           .form = SEALED,
                           .length = pack->file_bytes,
                           .has_object = pack->state == INDEX_PACK_ARCHIVED};
    pack_path(&pack->id, out->name);
    index_object_name(pack, out->object);
    if (pack->state == INDEX_PACK_DAMAGED)
        out->form = UNKNOWN;
    if (pack->state != INDEX_PACK_OPEN)
        return 0;
    out->form = OPEN;
    int status = named_end(backup, &pack->id, &out->length);
    if (out->length == 0)
        out->length = PACK_HEADER_BYTES; /* its images went; what is left wants a file */
    return status;
}

static void want_object(const struct index_pack *pack, struct wanted *out)
{
    *out = (struct wanted){.pack = pack,
                           .form = SEALED,
                           .length = pack->file_bytes,
                           .is_object = true,
                           .has_object = true};
    index_object_name(pack, out->object);
    snprintf(out->name, sizeof(out->name), "%s/%s", BACKUP_ARCHIVE, out->object);
}

/* ---- Checking ---- */

static int differs(const struct wanted *wanted, const char *what, struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "pack", "%s: %s", wanted->name, what);
}

static int differs_in_length(const struct wanted *wanted, uint64_t bytes, struct jini_error *error)
{
    return error_set(error, JINI_E_CORRUPT, "pack", "%s: it has %llu bytes instead of %llu",
                     wanted->name, (unsigned long long)bytes, (unsigned long long)wanted->length);
}

static int hash_of(struct backup *backup, int fd, struct hash128 *out, struct jini_error *error)
{
    uint64_t offset = 0;
    ssize_t length;
    hash_stream_reset(backup->hash);
    while ((length = pread(fd, backup->piece, BACKUP_PIECE_BYTES, (off_t)offset)) != 0) {
        if (backup_cancelled(backup))
            return JINI_E_CANCELLED;
        if (length < 0 && errno != EINTR)
            return error_set_errno(error, errno, backup->path, "cannot read what was copied");
        if (length > 0) {
            hash_stream_add(backup->hash, slice_of(backup->piece, (size_t)length));
            offset += (uint64_t)length;
        }
    }
    *out = hash_stream_128(backup->hash);
    return 0;
}

static int on_part(void *context, const struct pack_scan_item *item)
{
    struct jini_error *first = context;
    if (item->status && first->code == 0)
        *first = *item->damage;
    return 0;
}

/* Every record by its checksums. */
static int check_records(const struct wanted *wanted, int fd, struct jini_error *error)
{
    struct pack_source source = pack_source_of_file(&wanted->pack->id, fd);
    struct pack_scan_options options = {.depth = PACK_SCAN_EVERYTHING,
                                        .expected = PACK_STATE_SEALED};
    struct pack_scan_result result;
    struct jini_error first;
    error_clear(&first);
    if (wanted->form == OPEN) {
        options.expected = PACK_STATE_OPEN;
        options.acknowledged_end = wanted->length;
    }
    int status = pack_scan(&source, &options, on_part, &first, &result, error);
    if (status || result.damaged == 0 || wanted->pack->flags & INDEX_PACK_HAS_DAMAGE)
        return status;
    *error = first;
    return JINI_E_CORRUPT;
}

/* Every byte. */
static int check_all(struct backup *backup, const struct wanted *wanted, int fd,
                     struct jini_error *error)
{
    struct hash128 hash;
    if (!backup_wants_object(wanted->pack))
        return check_records(wanted, fd, error);
    int status = hash_of(backup, fd, &hash, error);
    if (status || hash128_equal(&hash, &wanted->pack->object_hash))
        return status;
    return differs(wanted, "it does not have the checksum of when it was archived", error);
}

static int check_footer(const struct wanted *wanted, int fd, struct jini_error *error)
{
    struct pack_source source = pack_source_of_file(&wanted->pack->id, fd);
    struct pack_contents contents;
    int status = pack_contents_read(&source, &contents, error);
    if (status == 0)
        pack_contents_free(&contents);
    return status;
}

static bool has_length(int fd, uint64_t length)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == length;
}

/* 0, JINI_E_NOT_FOUND, JINI_E_CORRUPT, or what ends the backup. */
static int look_for(struct backup *backup, const struct wanted *wanted, struct jini_error *error)
{
    bool deep = backup->request->flags & JINI_BACKUP_DEEP || backup->was_damaged;
    int fd = openat(backup->directory.descriptor, wanted->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT
                   ? JINI_E_NOT_FOUND
                   : error_set_errno(error, errno, backup->path, "cannot open %s", wanted->name);
    int status = JINI_E_CORRUPT;
    if (wanted->form == SEALED && has_length(fd, wanted->length))
        status = deep ? check_all(backup, wanted, fd, error) : check_footer(wanted, fd, error);
    close(fd);
    return status == JINI_E_NOT_FOUND || status == JINI_E_FORMAT ? JINI_E_CORRUPT : status;
}

/* ---- Copying ---- */

static int write_piece(struct copy *copy, struct slice piece)
{
    struct backup *backup = copy->backup;
    const uint8_t *bytes = piece.data;
    if (backup_cancelled(backup))
        return JINI_E_CANCELLED;
    hash_stream_add(backup->hash, piece);
    for (size_t at = 0; at < piece.length;) {
        ssize_t written =
            pwrite(copy->fd, bytes + at, piece.length - at, (off_t)(copy->offset + at));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return copy->target_status = error_set_errno(&copy->target_error, errno, backup->path,
                                                         "cannot write the copy of a pack");
        at += (size_t)written;
    }
    copy->offset += piece.length;
    backup_progress(backup, piece.length);
    return 0;
}

static int on_piece(struct archive_request *request, struct slice piece)
{
    return write_piece((struct copy *)request, piece);
}

static int copy_object(struct copy *copy, const struct wanted *wanted, struct jini_error *error)
{
    struct jini *jini = copy->backup->jini;
    copy->request = (struct archive_request){.operation = ARCHIVE_GET,
                                             .name = slice_of_text(wanted->object),
                                             .deadline_ns = archives_deadline(jini, wanted->length),
                                             .get = {.length = ARCHIVE_TO_END, .sink = on_piece}};
    return archives_run(jini, &copy->backup->request->request, &copy->request, error);
}

static int copy_source(struct copy *copy, const struct wanted *wanted,
                       const struct pack_source *source, struct jini_error *error)
{
    struct backup *backup = copy->backup;
    uint64_t length;
    int status = pack_source_length(source, &length, error);
    if (status == 0 && wanted->form == OPEN && length > wanted->length)
        length = wanted->length;
    for (uint64_t at = 0; status == 0 && at < length;) {
        uint64_t left = length - at;
        size_t take = left < BACKUP_PIECE_BYTES ? (size_t)left : BACKUP_PIECE_BYTES;
        status = pack_source_read(source, at, backup->piece, take, error);
        if (status == 0)
            status = write_piece(copy, slice_of(backup->piece, take));
        at += take;
    }
    return status;
}

static int copy_file(struct copy *copy, const struct wanted *wanted, struct jini_error *error)
{
    struct pack_files *files = copy->backup->jini->pack_files;
    const struct pack_source *source;
    int status = pack_files_acquire(files, &wanted->pack->id, &source, error);
    if (status)
        return status;
    status = copy_source(copy, wanted, source, error);
    pack_files_release(files, source);
    return status;
}

/* What was written, against what it should be; read back from the disk where that is wanted. */
static int check_copy(struct copy *copy, const struct wanted *wanted, struct jini_error *error)
{
    struct backup *backup = copy->backup;
    struct hash128 hash = hash_stream_128(backup->hash);
    if (wanted->form == UNKNOWN)
        return differs(wanted, "its row cannot be read: it was copied as it is", error);
    if (copy->offset != wanted->length)
        return differs_in_length(wanted, copy->offset, error);
    if (backup->request->flags & JINI_BACKUP_DEEP) {
        (void)posix_fadvise(copy->fd, 0, 0, POSIX_FADV_DONTNEED);
        return check_all(backup, wanted, copy->fd, error);
    }
    if (!backup_wants_object(wanted->pack))
        return check_records(wanted, copy->fd, error);
    return hash128_equal(&hash, &wanted->pack->object_hash)
               ? 0
               : differs(wanted, "it does not have the checksum of when it was archived", error);
}

static int sync_copy(struct copy *copy)
{
    if (fdatasync(copy->fd) == 0)
        return 0;
    return copy->target_status = error_set_errno(&copy->target_error, errno, copy->backup->path,
                                                 "cannot sync the copy of a pack");
}

/* From one source, to a file without its name yet. */
static int fill(struct copy *copy, const struct wanted *wanted, bool from_object,
                struct jini_error *error)
{
    struct backup *backup = copy->backup;
    backup->done -= copy->offset; /* of the source before */
    copy->offset = 0;
    hash_stream_reset(backup->hash);
    if (ftruncate(copy->fd, 0) != 0)
        return copy->target_status = error_set_errno(&copy->target_error, errno, backup->path,
                                                     "cannot empty the copy of a pack");
    int status = from_object ? copy_object(copy, wanted, error) : copy_file(copy, wanted, error);
    if (copy->target_status)
        return copy->target_status;
    if (status == 0)
        status = sync_copy(copy);
    return status ? status : check_copy(copy, wanted, error);
}

/* What one copy of the database can be to blame for. Anything else ends the backup. */
static bool is_of_the_source(const struct copy *copy, int status)
{
    return copy->target_status == 0 &&
           (status_is_damage(status) || status == JINI_E_NOT_FOUND || status == JINI_E_IO);
}

/* Makes the folders that a name stands in. */
static int make_folders(const struct backup *backup, const char *name, struct jini_error *error)
{
    char folder[NAME_MAX_BYTES];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
        if (mkdirat(backup->directory.descriptor, folder, DIRECTORY_MODE) != 0 && errno != EEXIST)
            return error_set_errno(error, errno, backup->path, "cannot make the folder %s", folder);
    }
    return 0;
}

static int give_name(struct backup *backup, const struct wanted *wanted, uint64_t bytes,
                     struct jini_error *error)
{
    int directory = backup->directory.descriptor;
    int status = make_folders(backup, wanted->name, error);
    if (status)
        return status;
    if (renameat(directory, partial_file, directory, wanted->name) != 0)
        return error_set_errno(error, errno, backup->path, "cannot give %s its name", wanted->name);
    backup->request->files_copied++;
    backup->request->bytes_copied += bytes;
    return 0;
}

static void report(struct backup *backup, const struct wanted *wanted, const char *kind, int status,
                   const struct jini_error *error)
{
    char message[JINI_ERROR_MESSAGE_MAX + 16];
    const struct jini_verify_problem problem = {.kind = kind,
                                                .field = wanted->is_object ? "object" : "file",
                                                .pack_id = wanted->pack->id,
                                                .message = message};
    snprintf(message, sizeof(message), "%s: %s", problem.field, error->message);
    backup_problem(backup, &problem, status);
}

/*
 * The bytes of a file and of its object are the same: whichever copy holds will do. Of two that do
 * not, the first is what `error` tells, and the one that was written last is what is kept.
 */
static int fill_from_any(struct copy *copy, const struct wanted *wanted, struct jini_error *error)
{
    struct jini_error other;
    bool two = wanted->has_object && backup_wants_file(wanted->pack);
    int status = fill(copy, wanted, wanted->is_object, error);
    if (status == 0 || !two || !is_of_the_source(copy, status))
        return status;
    int again = fill(copy, wanted, !wanted->is_object, &other);
    if (again == 0 || !is_of_the_source(copy, again)) {
        *error = other;
        return again;
    }
    return status;
}

static const char *not_copied(const struct wanted *wanted)
{
    return wanted->is_object ? "object_not_copied" : "pack_not_copied";
}

/* `*has`: the backup has one already, which does not hold; and whether it has one afterwards. */
static int copy_wanted(struct backup *backup, const struct wanted *wanted, bool *has,
                       struct jini_error *error)
{
    struct copy copy = {.backup = backup};
    copy.fd = openat(backup->directory.descriptor, partial_file,
                     O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (copy.fd < 0)
        return error_set_errno(error, errno, backup->path, "cannot make the copy of a pack");
    int status = fill_from_any(&copy, wanted, error);
    close(copy.fd);
    if (status && !is_of_the_source(&copy, status)) {
        if (copy.target_status)
            *error = copy.target_error;
        return status;
    }
    if (status) {
        report(backup, wanted, not_copied(wanted), status, error);
        if (*has || copy.offset == 0)
            return 0;
        status = backup_place_note_damage(backup, error);
    }
    if (status == 0)
        status = give_name(backup, wanted, copy.offset, error);
    *has |= status == 0;
    return status;
}

/* ---- What is kept ---- */

static int look_at_file(const struct backup *backup, const struct wanted *wanted,
                        struct jini_error *error)
{
    struct stat info;
    char path[PACK_PATH_MAX];
    pack_path(&wanted->pack->id, path);
    if (fstatat(backup->jini->directory_fd, path, &info, 0) != 0)
        return error_set_errno(error, errno, "pack", "%s cannot be looked at", path);
    bool holds = wanted->form != SEALED || (uint64_t)info.st_size == wanted->length;
    return holds ? 0 : differs_in_length(wanted, (uint64_t)info.st_size, error);
}

static int look_at_object(const struct backup *backup, const struct wanted *wanted,
                          struct jini_error *error)
{
    struct archive_request head = {.operation = ARCHIVE_HEAD,
                                   .name = slice_of_text(wanted->object),
                                   .deadline_ns = background_deadline(backup->jini)};
    int status = archives_run(backup->jini, &backup->request->request, &head, error);
    return status || head.size == wanted->length ? status
                                                 : differs_in_length(wanted, head.size, error);
}

/*
 * What is taken as it is has to be in the database as well: that it is gone there would be told by
 * nobody else, and the copy in the backup is the last one.
 */
static int keep(struct backup *backup, const struct wanted *wanted, struct jini_error *error)
{
    struct jini_error other;
    const struct copy none = {.backup = backup};
    bool two = wanted->has_object && backup_wants_file(wanted->pack);
    int status = wanted->is_object ? look_at_object(backup, wanted, error)
                                   : look_at_file(backup, wanted, error);
    if (status && two && is_of_the_source(&none, status)) {
        int again = wanted->is_object ? look_at_file(backup, wanted, &other)
                                      : look_at_object(backup, wanted, &other);
        status = again == 0 ? 0 : status;
    }
    if (status && !is_of_the_source(&none, status))
        return status;
    if (status)
        report(backup, wanted, wanted->is_object ? "object_missing" : "pack_missing", status,
               error);
    backup->request->files_kept++;
    backup_progress(backup, wanted->length);
    return 0;
}

/* Records that tiering found damaged: of these the backup before may have a better copy. */
static void report_damage(struct backup *backup, const struct wanted *wanted)
{
    struct jini_error error;
    if (!(wanted->pack->flags & INDEX_PACK_HAS_DAMAGE) || wanted->is_object)
        return;
    differs(wanted, "it has records that were damaged when they were copied into it", &error);
    report(backup, wanted, "pack_has_damage", JINI_E_CORRUPT, &error);
}

/* Counts it where the backup has it, whole or not. */
static int back_up_file(struct backup *backup, const struct wanted *wanted, uint64_t *count,
                        struct jini_error *error)
{
    if (backup_cancelled(backup))
        return JINI_E_CANCELLED;
    int status = look_for(backup, wanted, error);
    bool has = status != JINI_E_NOT_FOUND;
    if (status == 0)
        status = keep(backup, wanted, error);
    else if (status == JINI_E_NOT_FOUND || status == JINI_E_CORRUPT)
        status = copy_wanted(backup, wanted, &has, error);
    if (status == 0)
        status = lease_look(&backup->lease);
    if (status)
        return status;
    report_damage(backup, wanted);
    *count += has;
    return 0;
}

/* ---- All of them ---- */

struct walk {
    struct backup *backup;
    struct jini_error *error;
    bool has_failed; /* the backup, and not the folders that are walked */
};

static int add_lengths(void *context, const struct index_pack *pack)
{
    const struct walk *walk = context;
    uint64_t *total = &walk->backup->total;
    struct wanted wanted = {0};
    int status = 0;
    if (backup_wants_file(pack))
        status = want_file(walk->backup, pack, &wanted);
    *total += wanted.length;
    if (backup_wants_object(pack))
        *total += pack->file_bytes;
    return status;
}

static int copy_pack(void *context, const struct index_pack *pack)
{
    const struct walk *walk = context;
    struct wanted wanted;
    if (!backup_wants_file(pack))
        return 0;
    int status = want_file(walk->backup, pack, &wanted);
    return status ? status
                  : back_up_file(walk->backup, &wanted, &walk->backup->request->packs, walk->error);
}

static int copy_pack_object(void *context, const struct index_pack *pack)
{
    const struct walk *walk = context;
    struct wanted wanted;
    if (!backup_wants_object(pack))
        return 0;
    want_object(pack, &wanted);
    return back_up_file(walk->backup, &wanted, &walk->backup->request->objects, walk->error);
}

/* A file without a row, although there are images in it. */
static int copy_rowless(struct walk *walk, const struct jini_id *id)
{
    const struct index_pack pack = {.id = *id, .state = INDEX_PACK_DAMAGED};
    struct index_pack row;
    struct store_txn *txn;
    uint64_t end = 0;
    int status = store_read_begin(walk->backup->records, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, id, &row);
    store_read_end(txn);
    if (status != JINI_E_NOT_FOUND)
        return 0;
    status = named_end(walk->backup, id, &end);
    return status || end == 0 ? status : copy_pack(walk, &pack);
}

static int on_file(void *context, const struct jini_id *id)
{
    struct walk *walk = context;
    int status = copy_rowless(walk, id);
    walk->has_failed = status != 0;
    return status;
}

/* Folders that cannot be read may hold such files; those that have rows were told one by one. */
static int copy_rowless_files(struct walk *walk)
{
    struct backup *backup = walk->backup;
    int status = pack_path_walk(backup->jini->directory_fd, on_file, walk, NULL, walk->error);
    if (status == 0 || walk->has_failed)
        return status;
    const struct jini_verify_problem problem = {
        .kind = "packs_unread", .field = "packs", .message = walk->error->message};
    backup_problem(backup, &problem, status);
    error_clear(walk->error);
    return 0;
}

/* The directory driver knows its archives by a marker. */
static int make_archive(const struct backup *backup, struct jini_error *error)
{
    char url[BACKUP_FULL_PATH_MAX];
    struct archive_options options;
    struct archive *archive = NULL;
    archive_options_init(&options);
    options.mode = ARCHIVE_CREATE;
    snprintf(url, sizeof(url), "dir:%s/%s", backup->path, BACKUP_ARCHIVE);
    int status = archive_open(url, &options, &archive, error);
    archive_close(archive);
    return status;
}

static void begin_phase(struct backup *backup, const char *phase)
{
    backup->phase = phase;
    backup_progress(backup, 0);
}

static int copy_packs(struct walk *walk)
{
    struct backup *backup = walk->backup;
    begin_phase(backup, "packs");
    int status = index_pack_each(backup->records, copy_pack, walk);
    return status ? status : copy_rowless_files(walk);
}

static int find_object(void *context, const struct index_pack *pack)
{
    bool *any = context;
    *any |= backup_wants_object(pack);
    return 0;
}

static int copy_objects(struct walk *walk)
{
    struct backup *backup = walk->backup;
    bool any = false;
    begin_phase(backup, "objects");
    int status = index_pack_each(backup->records, find_object, &any);
    if (status == 0 && any)
        status = make_archive(backup, walk->error);
    return status || !any ? status : index_pack_each(backup->records, copy_pack_object, walk);
}

int backup_files_copy(struct backup *backup, struct jini_error *error)
{
    struct walk walk = {.backup = backup, .error = error};
    backup->done = backup->total = 0;
    int status = index_pack_each(backup->records, add_lengths, &walk);
    if (status == 0)
        status = copy_packs(&walk);
    if (status == 0)
        status = copy_objects(&walk);
    return status == JINI_E_CANCELLED ? status
                                      : error_complete(error, status, "backup", "the packs");
}
