/* Paths of packs, and the directories that hold them. */
#include "images/pack_path.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/id.h"
#include "images/pack_lost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "packs/" and a month: the year of a 48-bit time has at most 5 digits. */
enum { MONTH_MAX = 32, DIRECTORY_MODE = 0770 };

static const char packs_name[] = "packs";
static const char suffix[] = ".pack";

static void month_path(const struct jini_id *pack, char out[MONTH_MAX])
{
    time_t seconds = (time_t)(id_time_ms(pack) / 1000);
    struct tm day;
    struct tm *known = gmtime_r(&seconds, &day);
    JINI_ASSERT(known != NULL);
    snprintf(out, MONTH_MAX, "%s/%04d-%02d", packs_name, day.tm_year + 1900, day.tm_mon + 1);
}

void pack_path(const struct jini_id *pack, char out[PACK_PATH_MAX])
{
    char month[MONTH_MAX];
    char name[JINI_ID_TEXT_MAX];
    month_path(pack, month);
    jini_id_format(pack, name);
    int length = snprintf(out, PACK_PATH_MAX, "%.20s/%s%s", month, name, suffix);
    JINI_ASSERT(length > 0 && length < PACK_PATH_MAX);
}

int pack_path_prepare(int directory, const struct jini_id *pack, struct jini_error *error)
{
    char month[MONTH_MAX];
    month_path(pack, month);
    if (mkdirat(directory, packs_name, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "pack", "cannot create the directory %s", packs_name);
    if (mkdirat(directory, month, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "pack", "cannot create the directory %s", month);
    return 0;
}

static int directory_sync(int directory, const char *path, struct jini_error *error)
{
    int descriptor = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(error, errno, "pack", "cannot open the directory %s", path);
    int status = 0;
    if (fsync(descriptor) != 0)
        status = error_set_errno(error, errno, "pack", "cannot sync the directory %s", path);
    close(descriptor);
    return status;
}

int pack_path_sync(int directory, const struct jini_id *pack, struct jini_error *error)
{
    char month[MONTH_MAX];
    month_path(pack, month);
    int status = directory_sync(directory, month, error);
    if (!status)
        status = directory_sync(directory, packs_name, error);
    return status ? status : directory_sync(directory, ".", error);
}

int pack_path_bytes(int directory, const struct jini_id *pack, uint64_t *out,
                    struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    struct stat info;
    *out = 0;
    pack_path(pack, path);
    if (fstatat(directory, path, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(error, errno, "pack", "cannot look at %s", path);
    *out = (uint64_t)info.st_size;
    return 0;
}

int pack_path_remove(int directory, const struct jini_id *pack, struct jini_error *error)
{
    char path[PACK_PATH_MAX];
    pack_path(pack, path);
    if (unlinkat(directory, path, 0) != 0)
        return error_set_errno(error, errno, "pack", "cannot remove %s", path);
    return 0;
}

/* True when `name` in the month `month` is the name of a pack, and lies where its path says. */
static bool is_pack(const char *month, const char *name, struct jini_id *out)
{
    char text[JINI_ID_TEXT_MAX];
    if (strlen(name) != JINI_ID_TEXT_MAX - 1 + sizeof(suffix) - 1)
        return false;
    memcpy(text, name, JINI_ID_TEXT_MAX - 1);
    text[JINI_ID_TEXT_MAX - 1] = '\0';
    if (jini_id_parse(text, out) != 0)
        return false;
    char expected[PACK_PATH_MAX];
    char found[PACK_PATH_MAX];
    pack_path(out, expected);
    snprintf(found, sizeof(found), "%s/%.10s/%.45s", packs_name, month, name);
    return strcmp(expected, found) == 0;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

struct walk {
    pack_path_fn *found;
    void *context;
    uint64_t strange;
    struct jini_error *error;
};

/*
 * Opens a directory for reading its names. NULL in `out` and 0 when there is none, or when it is no
 * directory.
 */
static int names_open(int directory, const char *path, DIR **out, struct jini_error *error)
{
    *out = NULL;
    int descriptor = openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (descriptor < 0)
        return error_set_errno(error, errno, "pack", "cannot open the directory %s", path);
    *out = fdopendir(descriptor);
    if (*out)
        return 0;
    int saved_errno = errno;
    close(descriptor);
    return error_set_errno(error, saved_errno, "pack", "cannot read the directory %s", path);
}

static int walk_month(struct walk *walk, int packs, const char *month)
{
    DIR *names;
    int status = names_open(packs, month, &names, walk->error);
    if (status || !names) {
        walk->strange += !status;
        return status;
    }
    while (!status) {
        errno = 0;
        const struct dirent *entry = readdir(names);
        if (!entry) {
            if (errno)
                status = error_set_errno(walk->error, errno, "pack", "cannot read %s", month);
            break;
        }
        struct jini_id pack;
        if (is_dot(entry->d_name))
            continue;
        if (is_pack(month, entry->d_name, &pack))
            status = walk->found(walk->context, &pack);
        else
            walk->strange++;
    }
    closedir(names);
    return status;
}

int pack_path_walk(int directory, pack_path_fn *found, void *context, uint64_t *strange,
                   struct jini_error *error)
{
    struct walk walk = {found, context, 0, error};
    if (strange)
        *strange = 0;
    DIR *months;
    int status = names_open(directory, packs_name, &months, error);
    if (status || !months)
        return status;
    while (!status) {
        errno = 0;
        const struct dirent *entry = readdir(months);
        if (!entry) {
            if (errno)
                status = error_set_errno(error, errno, "pack", "cannot read %s", packs_name);
            break;
        }
        if (!is_dot(entry->d_name) && strcmp(entry->d_name, PACK_LOST_FOLDER) != 0)
            status = walk_month(&walk, dirfd(months), entry->d_name);
    }
    closedir(months);
    if (strange)
        *strange = walk.strange;
    return status;
}
