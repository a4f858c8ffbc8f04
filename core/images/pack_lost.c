/* Packs that the index does not know, set aside. */
#include "images/pack_lost.h"

#include "base/assert.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0770 };

static const char folder_name[] = "packs/" PACK_LOST_FOLDER;
static const char suffix[] = ".pack";

void pack_lost_path(const struct jini_id *pack, char out[PACK_PATH_MAX])
{
    char name[JINI_ID_TEXT_MAX];
    jini_id_format(pack, name);
    int length = snprintf(out, PACK_PATH_MAX, "%s/%s%s", folder_name, name, suffix);
    JINI_ASSERT(length > 0 && length < PACK_PATH_MAX);
}

static int sync_folder(int directory, const char *path, struct jini_error *error)
{
    int descriptor = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(error, errno, "pack", "cannot open the directory %s", path);
    int failed = fsync(descriptor) != 0 ? errno : 0;
    close(descriptor);
    return failed ? error_set_errno(error, failed, "pack", "cannot sync the directory %s", path)
                  : 0;
}

int pack_lost_put(int directory, const struct jini_id *pack, uint64_t now_ms,
                  struct jini_error *error)
{
    char from[PACK_PATH_MAX];
    char to[PACK_PATH_MAX];
    const struct timespec now = {.tv_sec = (time_t)(now_ms / 1000),
                                 .tv_nsec = (long)(now_ms % 1000) * 1000000};
    const struct timespec times[2] = {now, now};
    pack_path(pack, from);
    pack_lost_path(pack, to);
    if (mkdirat(directory, folder_name, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "pack", "cannot create the directory %s", folder_name);
    /* First, so that one that was moved has its time in any case. */
    if (utimensat(directory, from, times, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(error, errno, "pack", "cannot set the time of %s", from);
    if (renameat(directory, from, directory, to) != 0)
        return error_set_errno(error, errno, "pack", "cannot move %s to %s", from, to);
    int status = sync_folder(directory, folder_name, error);
    return status ? status : pack_path_sync(directory, pack, error);
}

int pack_lost_take(int directory, const struct jini_id *pack, struct jini_error *error)
{
    char from[PACK_PATH_MAX];
    char to[PACK_PATH_MAX];
    pack_lost_path(pack, from);
    pack_path(pack, to);
    int status = pack_path_prepare(directory, pack, error);
    if (status)
        return status;
    if (renameat(directory, from, directory, to) != 0)
        return error_set_errno(error, errno, "pack", "cannot move %s to %s", from, to);
    status = pack_path_sync(directory, pack, error);
    return status ? status : sync_folder(directory, folder_name, error);
}

int pack_lost_remove(int directory, const struct jini_id *pack, struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    pack_lost_path(pack, path);
    if (unlinkat(directory, path, 0) != 0)
        return error_set_errno(error, errno, "pack", "cannot remove %s", path);
    return sync_folder(directory, folder_name, error);
}

int pack_lost_find(int directory, const struct jini_id *pack, struct pack_lost *out,
                   struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    struct stat info;
    pack_lost_path(pack, path);
    *out = (struct pack_lost){.pack = *pack};
    if (fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(error, errno, "pack", "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return error_set(error, JINI_E_NOT_FOUND, "pack", "%s is no file", path);
    out->bytes = (uint64_t)info.st_size;
    out->since_ms = (uint64_t)info.st_mtim.tv_sec * 1000 + (uint64_t)info.st_mtim.tv_nsec / 1000000;
    return 0;
}

static bool is_pack(const char *name, struct jini_id *out)
{
    char text[JINI_ID_TEXT_MAX];
    if (strlen(name) != JINI_ID_TEXT_MAX - 1 + sizeof(suffix) - 1 ||
        strcmp(name + JINI_ID_TEXT_MAX - 1, suffix) != 0)
        return false;
    memcpy(text, name, JINI_ID_TEXT_MAX - 1);
    text[JINI_ID_TEXT_MAX - 1] = '\0';
    return jini_id_parse(text, out) == 0;
}

/* NULL in `out` and 0 when there is no such folder. */
static int open_folder(int directory, DIR **out, struct jini_error *error)
{
    *out = NULL;
    int descriptor =
        openat(directory, folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (descriptor >= 0)
        *out = fdopendir(descriptor);
    if (*out)
        return 0;
    int saved_errno = errno;
    if (descriptor >= 0)
        close(descriptor);
    return error_set_errno(error, saved_errno, "pack", "cannot open the directory %s", folder_name);
}

int pack_lost_walk(int directory, pack_lost_fn *found, void *context, struct jini_error *error)
{
    DIR *names;
    int status = open_folder(directory, &names, error);
    while (names && status == 0) {
        struct pack_lost lost;
        struct jini_id pack;
        errno = 0;
        const struct dirent *entry = readdir(names);
        if (!entry) {
            if (errno)
                status = error_set_errno(error, errno, "pack", "cannot read %s", folder_name);
            break;
        }
        if (!is_pack(entry->d_name, &pack))
            continue;
        int looked = pack_lost_find(directory, &pack, &lost, error);
        status = looked == JINI_E_NOT_FOUND ? 0 : looked; /* it went meanwhile */
        if (looked == 0)
            status = found(context, &lost);
    }
    if (names)
        closedir(names);
    return status;
}
