/* What the records of a backup name no longer: packs and objects of the backup before. */
#include "engine/backup_private.h"

#include "base/error.h"
#include "images/pack_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 512 };

static const char objects_name[] = BACKUP_ARCHIVE "/packs";

/* JINI_E_NOT_FOUND: there is no such row. */
static int load(const struct backup *backup, const struct jini_id *id, struct index_pack *out,
                bool *has_images)
{
    struct store_txn *txn;
    struct index_location any;
    int status = store_read_begin(backup->records, &txn);
    if (status)
        return status;
    status = index_pack_get(txn, id, out);
    *has_images = index_location_last(txn, id, &any) != JINI_E_NOT_FOUND;
    store_read_end(txn);
    return status;
}

static int remove_file(struct backup *backup, const char *name, struct jini_error *error)
{
    if (unlinkat(backup->directory.descriptor, name, 0) != 0)
        return error_set_errno(error, errno, backup->path, "cannot remove %s", name);
    backup->request->files_removed++;
    return 0;
}

struct pruning {
    struct backup *backup;
    struct jini_error *error;
};

static int prune_pack(void *context, const struct jini_id *id)
{
    const struct pruning *pruning = context;
    struct index_pack pack;
    char name[PACK_PATH_MAX];
    bool has_images;
    int status = load(pruning->backup, id, &pack, &has_images);
    if (status && status != JINI_E_NOT_FOUND)
        return status_is_damage(status) ? 0 : status;
    if (status == 0 ? backup_wants_file(&pack) : has_images)
        return 0;
    pack_path(id, name);
    return remove_file(pruning->backup, name, pruning->error);
}

static int prune_object(struct backup *backup, const char *month, const char *leaf,
                        struct jini_error *error)
{
    char name[NAME_MAX_BYTES];
    struct jini_id id;
    struct jini_id attempt;
    struct index_pack pack;
    bool has_images;
    snprintf(name, sizeof(name), "%s/%.100s/%.255s", BACKUP_ARCHIVE "/packs", month, leaf);
    if (index_object_parse(slice_of_text(name + sizeof(BACKUP_ARCHIVE)), &id, &attempt) != 0)
        return 0; /* none of ours */
    int status = load(backup, &id, &pack, &has_images);
    if (status && status != JINI_E_NOT_FOUND)
        return status_is_damage(status) ? 0 : status;
    bool named = status == 0 && backup_wants_object(&pack) && id_equal(&pack.attempt, &attempt);
    return named ? 0 : remove_file(backup, name, error);
}

/* NULL where there is no such folder. */
static int open_folder(struct backup *backup, int parent, const char *name, DIR **out,
                       struct jini_error *error)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    *out = fd < 0 ? NULL : fdopendir(fd);
    if (*out || errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return 0;
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    return error_set_errno(error, saved_errno, backup->path, "cannot open the folder %s", name);
}

static int prune_month(struct backup *backup, int parent, const char *month,
                       struct jini_error *error)
{
    DIR *names;
    const struct dirent *entry;
    int status = open_folder(backup, parent, month, &names, error);
    if (status || !names)
        return status;
    while (status == 0 && (entry = readdir(names))) {
        if (entry->d_name[0] != '.')
            status = prune_object(backup, month, entry->d_name, error);
    }
    closedir(names);
    return status;
}

static int prune_objects(struct backup *backup, struct jini_error *error)
{
    DIR *months;
    const struct dirent *entry;
    int status = open_folder(backup, backup->directory.descriptor, objects_name, &months, error);
    if (status || !months)
        return status;
    while (status == 0 && (entry = readdir(months))) {
        if (entry->d_name[0] != '.')
            status = prune_month(backup, dirfd(months), entry->d_name, error);
    }
    closedir(months);
    return status;
}

int backup_prune(struct backup *backup, struct jini_error *error)
{
    struct pruning pruning = {backup, error};
    int status = backup_place_drop_before(backup, error);
    if (status == 0)
        status = pack_path_walk(backup->directory.descriptor, prune_pack, &pruning, NULL, error);
    if (status == 0)
        status = prune_objects(backup, error);
    return error_complete(error, status, "backup", "what the backup does not need any more");
}
