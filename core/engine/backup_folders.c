/*
 * Whose the folders of a backup are. It deletes in them what its records do not name: so they are
 * no links, nothing is mounted in them, and they are not those of the database or of its archive.
 */
#include "engine/backup_private.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PACKS   "packs"
#define OBJECTS BACKUP_ARCHIVE "/packs"

/* ---- Owners ---- */

static bool is_inside(const char *path, const char *folder)
{
    char *outer = realpath(folder, NULL);
    char *inner = realpath(path, NULL);
    size_t length = outer ? strlen(outer) : 0;
    bool inside = outer && inner && strncmp(inner, outer, length) == 0 &&
                  (inner[length] == '/' || inner[length] == '\0');
    free(inner);
    free(outer);
    return inside;
}

static bool is_same(const struct stat *first, const struct stat *second)
{
    return first->st_dev == second->st_dev && first->st_ino == second->st_ino;
}

/* Whether a folder or one above it is `owner`, by whatever mount. */
static bool is_below(const char *path, const char *owner)
{
    struct stat wanted;
    struct stat here;
    struct stat above;
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool found = false;
    bool ends = folder < 0 || stat(owner, &wanted) != 0 || fstat(folder, &here) != 0;
    while (!ends && !(found = is_same(&here, &wanted))) {
        int next = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ends = next < 0 || fstat(next, &above) != 0 || is_same(&here, &above);
        here = above;
        close(folder);
        folder = next;
    }
    if (folder >= 0)
        close(folder);
    return found;
}

static bool belongs_to(const struct backup *backup, const char *owner)
{
    static const char *const folders[] = {"", PACKS, BACKUP_ARCHIVE, OBJECTS};
    char path[BACKUP_FULL_PATH_MAX];
    char packs[BACKUP_FULL_PATH_MAX];
    snprintf(packs, sizeof(packs), "%s/packs", owner);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", backup->path, folders[i]);
        if (is_inside(path, owner) || is_below(path, owner) || is_below(path, packs))
            return true;
    }
    return false;
}

int backup_check_owners(const struct backup *backup, struct jini_error *error)
{
    char archive[ARCHIVE_URL_MAX];
    int status = archives_directory(backup->jini, archive, error);
    if (status == 0 && belongs_to(backup, backup->jini->directory))
        return error_set(error, JINI_E_INVALID, "path",
                         "the directory, or a folder in it, belongs to the database itself; name "
                         "one elsewhere");
    if (status == 0 && archive[0] != '\0' && belongs_to(backup, archive))
        return error_set(error, JINI_E_INVALID, "path",
                         "the directory, or a folder in it, belongs to the archive of the "
                         "database; name one elsewhere");
    return status;
}

/* ---- Links and mounts ---- */

static int look(const struct backup *backup, const char *name, struct statx *out,
                struct jini_error *error)
{
    if (statx(backup->directory.descriptor, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
              STATX_TYPE | STATX_MNT_ID, out) == 0)
        return 0;
    return error_set_errno(error, errno, backup->path, "cannot look at \"%s\" of the backup", name);
}

/* JINI_E_NOT_FOUND: there is none. */
static int check_folder(const struct backup *backup, const char *name, struct jini_error *error)
{
    struct statx root;
    struct statx info;
    int status = look(backup, "", &root, error);
    if (status == 0)
        status = look(backup, name, &info, error);
    if (status)
        return status;
    if (!S_ISDIR(info.stx_mode))
        return error_set(error, JINI_E_INVALID, "path",
                         "its %s is a link or a file, where a backup has a folder of its own",
                         name);
    if (root.stx_mask & info.stx_mask & STATX_MNT_ID && root.stx_mnt_id != info.stx_mnt_id)
        return error_set(error, JINI_E_INVALID, "path",
                         "something is mounted at its %s, where a backup has a folder of its own",
                         name);
    return 0;
}

/* The folders of the months; files beside them are nobody's. */
static int check_months(const struct backup *backup, const char *parent, struct jini_error *error)
{
    char name[BACKUP_FULL_PATH_MAX];
    const struct dirent *entry;
    int status = check_folder(backup, parent, error);
    if (status == JINI_E_NOT_FOUND) {
        error_clear(error);
        return 0;
    }
    if (status)
        return status;
    int fd = openat(backup->directory.descriptor, parent,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *names = fd < 0 ? NULL : fdopendir(fd);
    if (!names) {
        status = error_set_errno(error, errno, backup->path, "cannot open %s", parent);
        if (fd >= 0)
            close(fd);
        return status;
    }
    while (status == 0 && (entry = readdir(names))) {
        if (entry->d_name[0] == '.' || entry->d_type == DT_REG)
            continue;
        snprintf(name, sizeof(name), "%s/%s", parent, entry->d_name);
        status = check_folder(backup, name, error);
    }
    closedir(names);
    return status;
}

int backup_check_folders(const struct backup *backup, struct jini_error *error)
{
    int status = check_months(backup, PACKS, error);
    if (status == 0)
        status = check_folder(backup, BACKUP_ARCHIVE, error);
    if (status == JINI_E_NOT_FOUND) {
        error_clear(error);
        return 0;
    }
    return status ? status : check_months(backup, OBJECTS, error);
}
