/*
 * The directory of a backup. Its file jini-backup says which backup it is, so that one of another
 * database, or of a later state of this one, is not written over:
 *
 *     jini-backup 1
 *     id 0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a     made with the directory
 *     epoch 3                                     how often the database had counted it
 *     damaged 0                                   1: a file in it may not hold
 *     records 32 hex digits                       XXH3-128 of data.mdb: the new one,
 *     records 32 hex digits                       or the one before it
 *
 * It is written before the new records get their name: whichever data.mdb is there afterwards, one
 * of the two lines is its. A data.mdb that is neither was changed by somebody who opened it as a
 * database.
 */
#include "engine/backup_private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { MARKER_MAX = 512, SYNC_DEPTH = 4, DIRECTORY_MODE = 0700, FILE_MODE = 0600 };

static const char marker_name[] = BACKUP_MARKER;
static const char marker_partial[] = "partial/" BACKUP_MARKER;
static const char partial_name[] = "partial";
static const char records_name[] = "data.mdb";
static const char records_before[] = "data-before.mdb";
static const char records_partial[] = "partial/data.mdb";

static int failed(const struct backup *backup, int saved_errno, const char *what, const char *name,
                  struct jini_error *error)
{
    return error_set_errno(error, saved_errno, backup->path, "cannot %s %s of the backup", what,
                           name);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* NULL with errno. */
static DIR *open_names(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !names) {
        int saved_errno = errno;
        close(fd);
        errno = saved_errno;
    }
    return names;
}

/* ---- The marker ---- */

static void hash_text(const struct hash128 *hash, char out[33])
{
    for (size_t i = 0; i < sizeof(hash->bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
}

static bool parse_hash(const char *text, struct hash128 *out)
{
    for (size_t i = 0; i < sizeof(out->bytes); i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        out->bytes[i] = (uint8_t)byte;
    }
    return true;
}

static bool parse_marker(const char *text, struct backup_marker *out)
{
    char id[JINI_ID_TEXT_MAX];
    char records[2][33];
    unsigned long long epoch;
    unsigned damaged;
    int parts = sscanf(text,
                       "jini-backup 1\nid %36s\nepoch %llu\ndamaged %u\nrecords %32s\n"
                       "records %32s\n",
                       id, &epoch, &damaged, records[0], records[1]);
    *out = (struct backup_marker){0};
    if (parts < 3 || jini_id_parse(id, &out->id) != 0)
        return false;
    out->epoch = epoch;
    out->is_damaged = damaged != 0;
    for (out->count = 0; out->count < (uint32_t)parts - 3; out->count++) {
        const char *hash = records[out->count];
        if (strlen(hash) != 32 || !parse_hash(hash, &out->records[out->count]))
            return false;
    }
    return true;
}

/* JINI_E_NOT_FOUND: there is none. */
static int read_marker(struct backup *backup, struct jini_error *error)
{
    char text[MARKER_MAX + 1];
    int fd = openat(backup->directory.descriptor, marker_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return failed(backup, errno, "open the file", marker_name, error);
    ssize_t length = read(fd, text, MARKER_MAX);
    int saved_errno = errno;
    close(fd);
    if (length < 0)
        return failed(backup, saved_errno, "read the file", marker_name, error);
    text[length] = '\0';
    if (parse_marker(text, &backup->marker))
        return 0;
    return error_set(error, JINI_E_FORMAT, backup->path,
                     "its file %s is none that this version can read; name another directory",
                     marker_name);
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        text += written;
        length -= (size_t)written;
    }
    return fsync(fd) != 0 ? errno : 0;
}

static int write_marker(const struct backup *backup, struct jini_error *error)
{
    const struct backup_marker *marker = &backup->marker;
    int directory = backup->directory.descriptor;
    char id[JINI_ID_TEXT_MAX];
    char text[MARKER_MAX];
    jini_id_format(&marker->id, id);
    int length = snprintf(text, sizeof(text), "jini-backup 1\nid %s\nepoch %llu\ndamaged %d\n", id,
                          (unsigned long long)marker->epoch, marker->is_damaged);
    for (uint32_t i = 0; i < marker->count; i++) {
        char hash[33];
        hash_text(&marker->records[i], hash);
        length += snprintf(text + length, sizeof(text) - (size_t)length, "records %s\n", hash);
    }
    if (mkdirat(directory, partial_name, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return failed(backup, errno, "make the folder", partial_name, error);
    int fd = openat(directory, marker_partial,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return failed(backup, errno, "make the file", marker_partial, error);
    int saved_errno = write_all(fd, text, (size_t)length);
    close(fd);
    if (saved_errno == 0 && renameat(directory, marker_partial, directory, marker_name) != 0)
        saved_errno = errno;
    if (saved_errno == 0 && fsync(directory) != 0)
        saved_errno = errno;
    return saved_errno ? failed(backup, saved_errno, "write the file", marker_name, error) : 0;
}

/*
 * Before the first file that does not hold gets its name. The epoch stays that of the records which
 * are there.
 */
int backup_place_note_damage(struct backup *backup, struct jini_error *error)
{
    if (backup->marker.is_damaged)
        return 0;
    backup->marker.is_damaged = true;
    return write_marker(backup, error);
}

/* ---- The records that are there ---- */

/* JINI_E_NOT_FOUND: there is no such file. */
static int hash_records(struct backup *backup, const char *name, struct hash128 *out,
                        struct stat *info, struct jini_error *error)
{
    int fd = openat(backup->directory.descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return failed(backup, errno, "open the file", name, error);
    ssize_t length;
    hash_stream_reset(backup->hash);
    while ((length = read(fd, backup->piece, BACKUP_PIECE_BYTES)) > 0 ||
           (length < 0 && errno == EINTR)) {
        if (length > 0)
            hash_stream_add(backup->hash, slice_of(backup->piece, (size_t)length));
    }
    int saved_errno = length < 0 || fstat(fd, info) != 0 ? errno : 0;
    close(fd);
    *out = hash_stream_128(backup->hash);
    return saved_errno ? failed(backup, saved_errno, "read the file", name, error) : 0;
}

static int check_records(struct backup *backup, struct jini_error *error)
{
    const struct backup_marker *marker = &backup->marker;
    int status = hash_records(backup, records_name, &backup->before, &backup->before_file, error);
    if (status)
        return status == JINI_E_NOT_FOUND ? 0 : status;
    for (uint32_t i = 0; i < marker->count; i++)
        backup->has_before |= hash128_equal(&marker->records[i], &backup->before);
    if (backup->has_before)
        return 0;
    return error_set(error, JINI_E_CONFLICT, backup->path,
                     "its data.mdb was changed since the backup was made: it was opened as a "
                     "database of its own, or it is damaged; name another directory");
}

static int check_epoch(struct backup *backup, struct jini_error *error)
{
    uint64_t known;
    int status = backup_epoch(backup, &known, error);
    if (status || backup->marker.epoch <= known)
        return status;
    return error_set(error, JINI_E_CONFLICT, backup->path,
                     "it is a backup of another database, or of a later state of this one than "
                     "the one that was put back; name another directory, and keep this one");
}

static bool is_nothing(const char *name)
{
    return is_dot(name) || strcmp(name, partial_name) == 0 || strcmp(name, "lost+found") == 0;
}

static int check_empty(const struct backup *backup, struct jini_error *error)
{
    bool empty = true;
    const struct dirent *entry;
    DIR *names = open_names(backup->directory.descriptor, ".");
    if (!names)
        return failed(backup, errno, "list", "the directory", error);
    while (empty && (entry = readdir(names)))
        empty = is_nothing(entry->d_name);
    closedir(names);
    if (empty)
        return 0;
    return error_set(error, JINI_E_EXISTS, backup->path,
                     "the directory is neither empty nor a backup; name another one");
}

/* ---- Opening ---- */

static int sync_parent(const struct backup *backup, struct jini_error *error)
{
    int parent = openat(backup->directory.descriptor, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return 0; /* one that may not be read was not written by us */
    int saved_errno = fsync(parent) != 0 ? errno : 0;
    close(parent);
    return saved_errno ? failed(backup, saved_errno, "sync", "the folder", error) : 0;
}

static int open_directory(struct backup *backup, struct jini_error *error)
{
    backup->made = mkdir(backup->path, DIRECTORY_MODE) == 0;
    if (!backup->made && errno != EEXIST)
        return error_set_errno(error, errno, backup->path, "cannot make the directory");
    int status = backup_check_owners(backup, error);
    if (status) {
        if (backup->made)
            rmdir(backup->path);
        return status;
    }
    int saved_errno =
        fork_file_open(&backup->directory, AT_FDCWD, backup->path, O_RDONLY | O_DIRECTORY, 0);
    if (saved_errno == ENOTDIR)
        return error_set(error, JINI_E_EXISTS, backup->path, "it is there, and no directory");
    if (saved_errno)
        return error_set_errno(error, saved_errno, backup->path, "cannot open the directory");
    if (flock(backup->directory.descriptor, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? error_set(error, JINI_E_BUSY, backup->path,
                               "another backup to this directory is under way")
                   : error_set_errno(error, errno, backup->path, "cannot lock the directory");
    return backup->made ? sync_parent(backup, error) : 0;
}

static int begin_backup(struct backup *backup, struct jini_error *error)
{
    int status = check_empty(backup, error);
    if (status)
        return status;
    backup->marker = (struct backup_marker){.id = id_next(&backup->jini->ids)};
    return write_marker(backup, error);
}

int backup_place_open(struct backup *backup, struct jini_error *error)
{
    snprintf(backup->path, sizeof(backup->path), "%s", backup->request->path);
    int status = open_directory(backup, error);
    if (status)
        return status;
    status = read_marker(backup, error);
    if (status == JINI_E_NOT_FOUND)
        return begin_backup(backup, error);
    if (status == 0)
        status = backup_check_folders(backup, error);
    if (status == 0)
        status = check_epoch(backup, error);
    backup->was_damaged = backup->marker.is_damaged;
    return status ? status : check_records(backup, error);
}

/* ---- Copying the records ---- */

static void clear_partial(const struct backup *backup)
{
    const struct dirent *entry;
    DIR *names = open_names(backup->directory.descriptor, partial_name);
    while (names && (entry = readdir(names))) {
        if (!is_dot(entry->d_name))
            unlinkat(dirfd(names), entry->d_name, 0);
    }
    if (names)
        closedir(names);
}

/* Nobody else knows of the copy, wherever it lies: it needs no locks. */
static int open_records(struct backup *backup, struct jini_error *error)
{
    char path[BACKUP_FULL_PATH_MAX];
    struct store_options options;
    snprintf(path, sizeof(path), "%s/%s", backup->path, partial_name);
    store_options_init(&options);
    options.directory = path;
    options.read_only = true;
    options.at_rest = true;
    options.allow_unsafe_filesystem = true;
    options.map_bytes = (backup->request->record_bytes + JINI_MIB(2)) & ~(JINI_MIB(1) - 1);
    options.clock = backup->jini->clock;
    options.log = backup->jini->log;
    options.format = &engine_format;
    return store_open(&options, &backup->records, error);
}

static bool on_pages(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return !backup_cancelled(context);
}

int backup_place_stage(struct backup *backup, struct jini_error *error)
{
    char path[BACKUP_FULL_PATH_MAX];
    struct stat info;
    struct store_watch watch = {on_pages, backup};
    backup->phase = "records";
    backup_progress(backup, 0);
    clear_partial(backup);
    if (mkdirat(backup->directory.descriptor, partial_name, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return failed(backup, errno, "make the folder", partial_name, error);
    snprintf(path, sizeof(path), "%s/%s", backup->path, records_partial);
    int status = store_copy(backup->jini->store, path, STORE_COPY_COMPACT, error);
    if (status == 0)
        status = hash_records(backup, records_partial, &backup->records_hash, &info, error);
    if (status)
        return status;
    backup->request->record_bytes = (uint64_t)info.st_size;
    backup_progress(backup, backup->request->record_bytes);
    status = open_records(backup, error);
    return status ? status : store_verify(backup->records, &watch, error);
}

/* ---- Their way to their name ---- */

static int sync_below(const struct backup *backup, int parent, const char *name, unsigned depth,
                      struct jini_error *error)
{
    const struct dirent *entry;
    int status = 0;
    DIR *names = open_names(parent, name);
    if (!names && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (!names)
        return failed(backup, errno, "open the folder", name, error);
    while (status == 0 && depth > 0 && (entry = readdir(names))) {
        bool may_be_folder = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
        if (may_be_folder && !is_dot(entry->d_name))
            status = sync_below(backup, dirfd(names), entry->d_name, depth - 1, error);
    }
    if (status == 0 && fsync(dirfd(names)) != 0)
        status = failed(backup, errno, "sync the folder", name, error);
    closedir(names);
    return status;
}

/* Whether the records in place are those that this backup has found. */
static bool is_known(void *context)
{
    const struct backup *backup = context;
    const struct stat *before = &backup->before_file;
    struct stat now;
    return backup->has_before &&
           fstatat(backup->directory.descriptor, records_name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_ino == before->st_ino && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* A second name for what is there: the first one goes to the new records. */
static int keep_before(const struct backup *backup, struct jini_error *error)
{
    int directory = backup->directory.descriptor;
    bool wanted = backup->has_before && backup->request->problems > 0;
    if (!wanted || linkat(directory, records_name, directory, records_before, 0) == 0 ||
        errno == EEXIST)
        return 0;
    return failed(backup, errno, "keep the records that are there as", records_before, error);
}

int backup_place_publish(struct backup *backup, struct jini_error *error)
{
    char path[BACKUP_FULL_PATH_MAX];
    struct backup_marker *marker = &backup->marker;
    int directory = backup->directory.descriptor;
    int status = sync_below(backup, directory, "packs", SYNC_DEPTH, error);
    if (status == 0)
        status = sync_below(backup, directory, BACKUP_ARCHIVE, SYNC_DEPTH, error);
    marker->epoch = backup->epoch;
    marker->is_damaged = backup->request->problems > 0;
    marker->count = backup->has_before ? 2 : 1;
    marker->records[0] = backup->records_hash;
    marker->records[1] = backup->before;
    if (status == 0)
        status = keep_before(backup, error);
    if (status == 0)
        status = write_marker(backup, error);
    if (status)
        return status;
    snprintf(path, sizeof(path), "%s/%s", backup->path, records_partial);
    return store_replace(backup->path, path, is_known, backup, error);
}

int backup_place_drop_before(struct backup *backup, struct jini_error *error)
{
    if (unlinkat(backup->directory.descriptor, records_before, 0) == 0 || errno == ENOENT)
        return 0;
    return failed(backup, errno, "remove the file", records_before, error);
}

void backup_place_close(struct backup *backup)
{
    store_close(backup->records);
    if (backup->directory.descriptor < 0)
        return;
    clear_partial(backup);
    unlinkat(backup->directory.descriptor, partial_name, AT_REMOVEDIR);
    fork_file_close(&backup->directory);
}
